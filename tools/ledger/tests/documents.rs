//! The standing documents say what is in the tree.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use doorward_ledger::workspace::{entries, packages, relative};

/// A map longer than this is not read.
const LONGEST_MAP: usize = 150;

/// Folders paths in the documents may start from.
const BASES: [&str; 2] = ["", "crates/doorward/src"];

#[test]
fn every_dependency_is_argued_and_every_argument_has_its_dependency() {
    let text = read("docs/decisions.md");
    let section = text.split("\n## Dependencies\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let names = |text: &str| {
        text.lines()
            .filter_map(argued)
            .collect::<BTreeSet<String>>()
    };
    let (argued, linked) = (names(&text), names(section));
    let used: BTreeSet<String> = manifests()
        .iter()
        .flat_map(|path| dependencies(path))
        .collect();
    let missing: Vec<&String> = used.difference(&argued).collect();
    assert!(
        missing.is_empty(),
        "without a line in docs/decisions.md: {missing:?}"
    );
    let stale: Vec<&String> = linked.difference(&used).collect();
    assert!(
        stale.is_empty(),
        "in docs/decisions.md, but no Cargo.toml names them: {stale:?}"
    );
}

#[test]
fn every_kind_of_dependency_is_seen() {
    let manifest = "[dependencies]\na = \"1\"\n[dev-dependencies.b]\nversion = \"1\"\n[build-dependencies]\nc = \"1\"
        [target.'cfg(unix)'.dependencies]\nd = \"1\"\n[workspace.dependencies]\ne = \"1\"\n[features]\nf = []\n";
    let found: Vec<String> = names(&toml::from_str(manifest).unwrap())
        .into_iter()
        .collect();
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_line_argues_only_with_an_argument() {
    assert_eq!(argued("- `x`: because."), Some("x".to_owned()));
    for line in ["- `x`: ", "- `x`", "- x: because.", "`x`: because."] {
        assert_eq!(argued(line), None, "{line}");
    }
}

#[test]
fn the_map_is_short() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(
        lines <= LONGEST_MAP,
        "ARCHITECTURE.md has {lines} lines; {LONGEST_MAP} are allowed"
    );
}

#[test]
fn the_map_leads_to_places_that_exist() {
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let found = paths(&read(document));
        assert!(found.len() > 5, "{document} names hardly any path");
        let gone: Vec<&String> = found.iter().filter(|path| !exists(path)).collect();
        assert!(
            gone.is_empty(),
            "{document} names what is not there: {gone:?}"
        );
    }
}

#[test]
fn the_map_shows_every_crate_and_module() {
    let text = read("ARCHITECTURE.md");
    let found = paths(&text);
    let mut places: Vec<String> = packages(&root())
        .iter()
        .map(|path| relative(&root(), path))
        .collect();
    let source = root().join("crates/doorward/src");
    for path in entries(&source) {
        places.push(relative(&source, &path));
    }
    let shown = |place: &String| {
        found
            .iter()
            .any(|path| path.trim_end_matches('/') == *place)
    };
    let missing: Vec<&String> = places.iter().filter(|place| !shown(place)).collect();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md does not show {missing:?}"
    );
}

#[test]
fn paths_are_found_in_code_marks_only() {
    let text =
        "See `docs/x.md` and `a::b`, not crates/y; `scripts/test -v`, `lib.rs`, `no-std-check/`.
        `aaa/{mod,tacacs}.rs`, `TARGET/x`, `tls_policy`, `https://x.org/y`, `and/or not`.";
    let found: Vec<String> = paths(text).into_iter().collect();
    assert_eq!(
        found,
        [
            "aaa/mod.rs",
            "aaa/tacacs.rs",
            "docs/x.md",
            "lib.rs",
            "no-std-check/",
            "scripts/test"
        ]
    );
}

/// `- `name`: argument` → the name.
fn argued(line: &str) -> Option<String> {
    let (name, argument) = line.strip_prefix("- `")?.split_once("`: ")?;
    (!argument.trim().is_empty()).then(|| name.to_owned())
}

fn manifests() -> Vec<PathBuf> {
    let mut out = packages(&root());
    out.extend(["", "fuzz", "no-std-check"].map(|folder| root().join(folder)));
    out.into_iter()
        .map(|folder| folder.join("Cargo.toml"))
        .filter(|path| path.is_file())
        .collect()
}

fn dependencies(manifest: &Path) -> BTreeSet<String> {
    names(&toml::from_str(&fs::read_to_string(manifest).unwrap()).unwrap())
}

/// The keys of every table whose name ends in `dependencies`, at any depth.
fn names(table: &toml::Table) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (key, value) in table {
        let Some(inner) = value.as_table() else {
            continue;
        };
        if key.ends_with("dependencies") {
            out.extend(inner.keys().cloned());
        } else {
            out.extend(names(inner));
        }
    }
    out
}

/// What stands between backticks and looks like a path: one with a slash or a file's extension.
fn paths(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for marked in text
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
    {
        let word = marked.split(' ').next().unwrap_or_default();
        let alone = word == marked || word.starts_with("scripts/") || word.starts_with(".ci/");
        let is_file = [".rs", ".md", ".toml"]
            .iter()
            .any(|extension| word.ends_with(extension));
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_./{},".contains(c);
        let named = is_file && !word.contains('/');
        if alone && (word.contains('/') || is_file) && (named || word.chars().all(fits)) {
            out.extend(spread(word));
        }
    }
    out
}

/// `a/{b,c}.rs` → `a/b.rs` and `a/c.rs`.
fn spread(word: &str) -> Vec<String> {
    let Some((head, rest)) = word.split_once('{') else {
        return vec![word.to_owned()];
    };
    let Some((choices, tail)) = rest.split_once('}') else {
        return vec![word.to_owned()];
    };
    choices
        .split(',')
        .map(|choice| format!("{head}{choice}{tail}"))
        .collect()
}

fn exists(path: &str) -> bool {
    BASES
        .iter()
        .any(|base| root().join(base).join(path).exists())
}

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}
