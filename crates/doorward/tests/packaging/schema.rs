//! The JSON Schema, judged by a validator nobody here wrote (Debian's python3-jsonschema).

use std::process::Command;

use crate::{doorward, repository, run, said};

const JUDGE: &str = r#"
import json, sys, tomllib, datetime, jsonschema
def plain(value):
    if isinstance(value, dict): return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list): return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.datetime)) else value
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for path in sys.argv[2:]:
    with open(path, "rb") as file: errors = list(validator.iter_errors(plain(tomllib.load(file))))
    print(len(errors), path, *(error.message[:200] for error in errors))
"#;

/// The number of errors in each of the files.
fn judge(flags: &[&str], files: &[std::path::PathBuf]) -> Vec<(usize, String)> {
    let folder = tempfile::tempdir().unwrap();
    let schema = folder.path().join("schema.json");
    let arguments: Vec<&str> = ["schema"].iter().chain(flags).copied().collect();
    std::fs::write(&schema, doorward(&arguments)).unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", JUDGE]).arg(&schema).args(files);
    let output = run(&mut command, "python3-jsonschema");
    assert!(
        output.status.success(),
        "{}\nscripts/test installs the Debian package python3-jsonschema",
        said(&output)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (count, rest) = line.split_once(' ').unwrap();
        (count.parse().unwrap(), rest.to_owned())
    };
    let found: Vec<_> = text.lines().map(line).collect();
    assert_eq!(found.len(), files.len());
    found
}

#[test]
fn a_foreign_validator_takes_the_schema_and_every_example() {
    let main = judge(
        &[],
        &[
            repository("docs/examples/doorward.toml"),
            repository("packaging/debian/doorward.toml"),
            repository("crates/doorward/src/demo/doorward.toml"),
        ],
    );
    let included = judge(
        &["--included"],
        &[repository("docs/examples/conf.d/policy.toml")],
    );
    for (errors, what) in main.into_iter().chain(included) {
        assert_eq!(errors, 0, "{what}");
    }
}

#[test]
fn a_foreign_validator_refuses_what_the_server_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (index, text) in [
        "",
        "version = 1\nnonsense = 1",
        "version = 1\n[server]\nworkers = \"two\"",
        "version = 1\n[[listen]]\nprotocol = \"telnet\"",
        "version = 1\n[user.alice]\npassword = \"hunter2\"",
        "version = 1\n[[accounting]]\ntype = \"paper\"",
    ]
    .iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{index}.toml"));
        std::fs::write(&path, text).unwrap();
        let check = run(
            Command::new(env!("CARGO_BIN_EXE_doorward"))
                .arg("check")
                .arg(&path),
            "",
        );
        assert_eq!(check.status.code(), Some(1), "{text}");
        files.push(path);
    }
    for (errors, what) in judge(&[], &files) {
        assert!(errors > 0, "{what}");
    }
}
