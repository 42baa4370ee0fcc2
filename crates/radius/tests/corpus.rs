//! Every file of the fuzzing corpus goes through its entry point.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use doorward_radius::fuzzing;

type EntryPoint = fn(&[u8]);

#[test]
fn the_fuzzing_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let targets: [(&str, EntryPoint); 4] = [
        ("radius_packet", fuzzing::radius_packet),
        (
            "radius_server_connection",
            fuzzing::radius_server_connection,
        ),
        ("radius_dictionary", fuzzing::radius_dictionary),
        ("radius_hop", fuzzing::radius_hop),
    ];
    for (target, run) in targets {
        let mut files = 0;
        for file in fs::read_dir(corpus.join(target)).unwrap() {
            run(&fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0, "{target} has no corpus");
    }
}
