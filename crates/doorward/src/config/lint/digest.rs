//! Findings for people who read them in a row: a few of each kind, and how many more there are.

use std::collections::BTreeMap;

use super::{Findings, Lint};
use crate::config::diagnostic::Diagnostic;

/// Messages of one kind that are shown before the rest is only counted.
const SHOWN: usize = 10;

/// The messages to print: at most ten of each kind, then how many more of it there are. All come with `check -v`.
pub fn digest<'d>(diagnostics: impl IntoIterator<Item = &'d Diagnostic>) -> Vec<String> {
    let mut seen: BTreeMap<Lint, usize> = BTreeMap::new();
    let mut texts = Vec::new();
    for diagnostic in diagnostics {
        let number = diagnostic.lint.map_or(0, |lint| {
            let number = seen.entry(lint).or_default();
            *number += 1;
            *number
        });
        if number <= SHOWN {
            texts.push(diagnostic.to_string());
        }
    }
    texts.extend(seen.iter().filter(|(_, number)| **number > SHOWN).map(
        |(lint, number)| {
            let (name, more) = (lint.name(), number - SHOWN);
            format!("warning[{name}]: {more} more like these\n  = help: `doorward check -v FILE` shows all of them")
        },
    ));
    texts
}

/// What of the findings was not there before, and how many were.
pub fn news<'d>(diagnostics: &'d [Diagnostic], before: &Findings) -> (Vec<&'d Diagnostic>, usize) {
    let (known, new): (Vec<_>, Vec<_>) = diagnostics
        .iter()
        .partition(|diagnostic| before.knows(diagnostic));
    (new, known.len())
}
