//! Completion scripts.

use std::process::Command;

use crate::{doorward, run, said};

/// What bash offers for the last of these words.
fn offered(script: &std::path::Path, words: &[&str]) -> Vec<String> {
    let text = r#"
        set -u
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _doorward doorward "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", text, "bash"]).arg(script);
    let output = run(command.args(words), "bash");
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("doorward");
    std::fs::write(&script, doorward(&["completions", "bash"])).unwrap();
    let syntax = run(Command::new("bash").arg("-n").arg(&script), "bash");
    assert!(
        syntax.status.success() && syntax.stderr.is_empty(),
        "{}",
        said(&syntax)
    );
    assert_eq!(offered(&script, &["doorward", "ac"]), ["acct"]);
    assert_eq!(offered(&script, &["doorward", "acct", "se"]), ["search"]);
    assert_eq!(
        offered(&script, &["doorward", "status", "--dev"]),
        ["--devices"]
    );
    assert_eq!(
        offered(&script, &["doorward", "run", "--log-format", ""]),
        ["text", "json"]
    );
}

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = doorward(&["completions", shell]);
        for command in ["hash-password", "completions", "search", "--devices"] {
            let word = command.trim_start_matches('-');
            assert!(script.contains(word), "{shell} does not know {command}");
        }
    }
    let unknown = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["completions", "csh"])
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(64));
}
