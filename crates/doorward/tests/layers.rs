//! Dependencies between the modules of this crate point one way.
//!
//! ```text
//! cli, demo → runtime ⇄ control
//! runtime → listen → aaa → policy, identity, accounting, metrics
//! config → policy, identity     what the file says, in their types
//! config, cli → secret          what a reference stands for
//! cli → diff → policy, config, accounting
//! cli → announce → config       what the DNS should say of the listeners
//! ```
//!
//! [`ALLOWED`] is the whole truth; code under `#[cfg(test)]` is free to reach anywhere.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// For each module under `src/`: the modules it may name, or single items of them.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "accounting",
        &[
            "config",
            "metrics::Histogram",
            "policy::Protocol",
            "policy::Transport",
        ],
    ),
    ("policy", &["aaa::Reason", "config"]),
    ("identity", &["aaa::Reason", "aaa::Unavailable", "config"]),
    ("secret", &[]),
    ("config", &["identity", "policy", "secret"]),
    ("metrics", &["aaa"]),
    (
        "aaa",
        &[
            "accounting",
            "config",
            "identity",
            "metrics",
            "policy",
            "proxy",
        ],
    ),
    ("proxy", &["config"]),
    ("diff", &["aaa::Reason", "accounting", "config", "policy"]),
    ("announce", &["config", "policy::Protocol"]),
    ("listen", &["aaa", "config", "metrics"]),
    (
        "runtime",
        &[
            "aaa",
            "accounting",
            "config",
            "control",
            "identity",
            "listen",
            "metrics",
            "policy",
            "proxy",
        ],
    ),
    ("control", &["config", "runtime"]),
    (
        "demo",
        &[
            "aaa",
            "accounting",
            "config",
            "control",
            "identity",
            "policy",
            "runtime",
        ],
    ),
    (
        "cli",
        &[
            "aaa",
            "accounting",
            "announce",
            "config",
            "control",
            "demo",
            "diff",
            "identity",
            "policy",
            "runtime",
            "secret",
        ],
    ),
];

#[test]
fn no_module_names_one_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for path in rust_files(&source) {
        let file = path
            .strip_prefix(&source)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        faults.extend(upward(&file, &fs::read_to_string(&path).unwrap()));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_listener_that_judges_is_caught() {
    for text in [
        "use crate::policy::Policy;",
        "use crate::{\n    aaa::Aaa,\n    policy,\n};",
        "use crate::{aaa::{self, Reason}, policy::{Policy as P}};",
        "fn f() { crate::policy::eval() }",
        "use super::super::policy::Policy;",
        "use super::super::{aaa, policy::Policy};",
    ] {
        let faults = upward("listen/tacacs.rs", text);
        assert!(
            faults.len() == 1 && faults[0].contains("listen may not name policy"),
            "{text}: {faults:?}"
        );
    }
    assert_eq!(upward("listen/mod.rs", "use crate::identity;").len(), 1);
    assert_eq!(upward("listen/mod.rs", "use super::identity;").len(), 1);
}

#[test]
fn policy_may_name_the_reason_and_nothing_else_of_aaa() {
    assert_eq!(upward("policy/eval.rs", "use crate::aaa::Reason;"), [""; 0]);
    assert_eq!(
        upward("policy/eval.rs", "use crate::aaa::{Aaa, Reason};").len(),
        1
    );
    assert_eq!(upward("policy/eval.rs", "use crate::aaa;").len(), 1);
    assert_eq!(
        upward("policy/eval.rs", "use crate::listen::Open;").len(),
        1
    );
}

#[test]
fn tests_comments_and_neighbours_are_free() {
    for text in [
        "#[cfg(test)]\nmod tests { use crate::policy::Policy; }",
        "// crate::policy::Policy\n/// [`crate::policy`]\npub(crate) fn f() {}",
        "use super::{Open, Slot}; use super::policy;",
        "use crate::listen::Open; use crate::aaa::Aaa;",
    ] {
        assert_eq!(upward("listen/tacacs.rs", text), [""; 0], "{text}");
    }
    assert_eq!(upward("listen/tests.rs", "use crate::policy;"), [""; 0]);
}

#[test]
fn a_module_nobody_placed_is_caught() {
    assert_eq!(upward("audit.rs", "").len(), 1);
    assert_eq!(upward("lib.rs", "use crate::policy;"), [""; 0]);
}

/// The references of one file that [`ALLOWED`] does not allow, one sentence each.
fn upward(file: &str, text: &str) -> Vec<String> {
    let parts: Vec<&str> = file
        .trim_end_matches(".rs")
        .split('/')
        .filter(|part| *part != "mod")
        .collect();
    let module = parts[0];
    if module == "lib" || module == "main" || parts.contains(&"tests") {
        return Vec::new();
    }
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{file}: say in tests/layers.rs what {module} may use"
        )];
    };
    let is_module = |name: &str| ALLOWED.iter().any(|(module, _)| *module == name);
    let fault = |path: Vec<String>| {
        let (used, item) = (path[0].as_str(), path.get(1));
        let full = item.map_or(used.to_owned(), |item| format!("{used}::{item}"));
        let fine = used == module
            || !is_module(used)
            || allowed.iter().any(|one| *one == used || *one == full);
        (!fine).then(|| format!("{file}: {module} may not name {full}"))
    };
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    references(code, parts.len())
        .into_iter()
        .filter_map(fault)
        .collect()
}

/// Every path of the code that starts at the crate's root, written with `crate` or with `super`.
fn references(code: &str, depth: usize) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let supers = (0..)
            .take_while(|n| tokens[at..].get(2 * n).is_some_and(|t| t == "super"))
            .count();
        let steps = if tokens[at] == "crate" { 1 } else { supers };
        at += 1;
        if steps > 0 && (steps >= depth || supers == 0) {
            let start = at + 2 * (steps - 1);
            if tokens.get(start).is_some_and(|token| token == "::") {
                tree(&tokens, start + 1, &[], &mut out);
            }
            at = start;
        } else {
            at += supers * 2;
        }
    }
    out
}

/// Reads a path or a group of paths, as after `use`; returns where it ends.
fn tree(tokens: &[String], mut at: usize, prefix: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let Some(first) = tokens.get(at) else {
        return at;
    };
    if first == "{" {
        at += 1;
        while tokens.get(at).is_some_and(|token| token != "}") {
            at = tree(tokens, at, prefix, out);
            while tokens
                .get(at)
                .is_some_and(|token| token != "," && token != "}")
            {
                at += 1;
            }
            at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
        }
        return at + 1;
    }
    let mut path = prefix.to_vec();
    if first != "self" {
        path.push(first.clone());
    }
    if tokens.get(at + 1).is_some_and(|token| token == "::") {
        return tree(tokens, at + 2, &path, out);
    }
    out.push(path);
    at + 1
}

/// Words, `::` and single characters; comments are left out.
fn tokens(code: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in code.lines() {
        let mut rest = line.split("//").next().unwrap_or_default();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c == '_' || c.is_alphanumeric();
            let length = if rest.starts_with("::") {
                2
            } else if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            if !token.trim().is_empty() {
                out.push(token.to_owned());
            }
            rest = after;
        }
    }
    out
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
    out.sort();
    out
}
