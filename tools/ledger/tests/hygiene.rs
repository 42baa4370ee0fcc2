//! Rules every file of the tree keeps.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

use doorward_ledger::lexer::tokens;
use doorward_ledger::workspace::{entries, packages, relative};

/// A file longer than this is two files.
const LONGEST_FILE: usize = 800;

/// The one file that may hold `unsafe`.
const FOREIGN_CODE: &str = "crates/tls/src/ffi.rs";

#[test]
fn no_source_file_is_too_long() {
    let long = |path: &PathBuf| read(path).lines().count() > LONGEST_FILE;
    let found = names(source_files(&["rs", "sh", "toml"]).into_iter().filter(long));
    assert_eq!(found, [""; 0], "over {LONGEST_FILE} lines: divide them");
}

#[test]
fn unsafe_code_is_in_one_file() {
    let found = names(
        source_files(&["rs"])
            .into_iter()
            .filter(|path| names_unsafe(&read(path))),
    );
    let elsewhere: Vec<String> = found
        .into_iter()
        .filter(|name| name != FOREIGN_CODE)
        .collect();
    assert_eq!(
        elsewhere, [""; 0],
        "only {FOREIGN_CODE} may hold unsafe code"
    );
}

#[test]
fn unsafe_is_seen_in_code_and_not_in_text() {
    assert!(names_unsafe("fn f() { unsafe { g() } }"));
    assert!(names_unsafe("unsafe impl Send for X {}"));
    assert!(!names_unsafe(
        "#![forbid(unsafe_code)] // unsafe\nconst X: &str = \"unsafe\";"
    ));
}

#[test]
fn no_path_of_one_machine_is_in_the_tree() {
    // Put together here, so that this file does not find itself.
    let homes = ["work", "root", "home"].map(|name| format!("/{name}/"));
    let names_one = |path: &PathBuf| {
        let text = read(path);
        homes.iter().any(|home| text.contains(home.as_str()))
    };
    let found = names(
        source_files(&["rs", "sh", "toml", "md"])
            .into_iter()
            .filter(names_one),
    );
    assert_eq!(
        found, [""; 0],
        "these name a directory that exists on one machine only: {homes:?}"
    );
}

#[test]
fn every_package_keeps_the_lints_of_the_workspace() {
    let deaf = |package: &PathBuf| {
        let manifest: toml::Table = toml::from_str(&read(&package.join("Cargo.toml"))).unwrap();
        manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            != Some(&true.into())
    };
    let found = names(packages(&root()).into_iter().filter(deaf));
    assert_eq!(found, [""; 0], "`[lints] workspace = true` is missing");
}

fn names_unsafe(text: &str) -> bool {
    tokens(text)
        .iter()
        .any(|token| token.kind.word() == Some("unsafe"))
}

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn names(paths: impl Iterator<Item = PathBuf>) -> Vec<String> {
    paths.map(|path| relative(&root(), &path)).collect()
}

/// The files of the repository that have one of these extensions; scripts without one count as `sh`.
fn source_files(extensions: &[&str]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !is_foreign(&name) {
                    folders.push(path);
                }
                continue;
            }
            let script = folder.ends_with("scripts") || folder.ends_with(".ci");
            let default = if script { "sh" } else { "" };
            let extension = path
                .extension()
                .map_or(default.into(), |e| e.to_string_lossy());
            if extensions.contains(&extension.as_ref()) {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

/// Folders that are not in the repository, or hold data.
fn is_foreign(name: &str) -> bool {
    let hidden = name.starts_with('.') && name != ".ci" && name != ".github";
    hidden || ["target", "artifacts", "corpus", "doorward-demo"].contains(&name)
}
