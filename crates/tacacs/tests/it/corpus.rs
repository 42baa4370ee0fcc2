//! Every file of the fuzzing corpus goes through its entry point.

use std::fs;
use std::path::Path;

use doorward_tacacs::fuzzing;

type Target = (&'static str, fn(&[u8]));

#[test]
fn the_fuzzing_corpus_passes() {
    let targets: [Target; 11] = [
        ("header", fuzzing::header),
        ("authentication_start", fuzzing::authentication_start),
        ("authentication_reply", fuzzing::authentication_reply),
        ("authentication_continue", fuzzing::authentication_continue),
        ("authorization_request", fuzzing::authorization_request),
        ("authorization_reply", fuzzing::authorization_reply),
        ("accounting_request", fuzzing::accounting_request),
        ("accounting_reply", fuzzing::accounting_reply),
        ("arguments", fuzzing::arguments),
        ("server_connection", fuzzing::server_connection),
        ("client_connection", fuzzing::client_connection),
    ];
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (target, run) in targets {
        let mut seen = 0;
        for file in fs::read_dir(corpus.join(target)).unwrap() {
            run(&fs::read(file.unwrap().path()).unwrap());
            seen += 1;
        }
        assert!(seen > 2, "{target} has {seen} files");
    }
}
