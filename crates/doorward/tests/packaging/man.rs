//! Manual pages.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::{doorward, run, said};

/// What groff says about a page, and the page as text.
fn set(page: &Path) -> (String, String) {
    let mut command = Command::new("groff");
    command.args(["-man", "-ww", "-Tutf8", "-P-cbou"]).arg(page);
    let output = run(&mut command, "groff-base");
    assert!(output.status.success(), "{}", said(&output));
    let text = |octets| String::from_utf8(octets).unwrap();
    (text(output.stderr), text(output.stdout))
}

/// The commands below a command, as its help lists them.
fn below(path: &[&str]) -> Vec<String> {
    let mut arguments = path.to_vec();
    arguments.push("--help");
    let help = doorward(&arguments);
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let lines = list.lines().take_while(|line| !line.is_empty());
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_a_page_that_groff_sets_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    doorward(&["man", "--dir", folder.path().to_str().unwrap()]);
    let mut wanted = BTreeSet::from(["doorward.1".to_owned()]);
    for command in below(&[]) {
        for one in below(&[&command]) {
            wanted.insert(format!("doorward-{command}-{one}.1"));
        }
        wanted.insert(format!("doorward-{command}.1"));
    }
    assert!(wanted.contains("doorward-acct-search.1"), "{wanted:?}");
    let names = std::fs::read_dir(folder.path()).unwrap();
    let found: BTreeSet<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, wanted);
    for name in found {
        let (warnings, text) = set(&folder.path().join(&name));
        assert_eq!(warnings, "", "{name}");
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS"] {
            assert!(
                text.lines().any(|line| line == heading),
                "{name} has no {heading}\n{text}"
            );
        }
        let title = name.trim_end_matches(".1");
        let (_, rest) = text.split_once("NAME\n").unwrap();
        let words: Vec<&str> = rest.lines().next().unwrap().split_whitespace().collect();
        let purpose = words.join(" ");
        assert!(
            purpose.starts_with(&format!("{title} - ")) && purpose.len() > title.len() + 10,
            "{name}: {purpose}"
        );
    }
}

#[test]
fn the_page_on_stdout_is_that_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    doorward(&["man", "--dir", folder.path().to_str().unwrap()]);
    let page = doorward(&["man"]);
    let written = std::fs::read_to_string(folder.path().join("doorward.1")).unwrap();
    assert_eq!(page, written);
    let gone = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["man", "--dir", "/nonexistent/folder"])
        .output()
        .unwrap();
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        said(&gone).starts_with("error: a manual page cannot be written"),
        "{}",
        said(&gone)
    );
}
