//! Reading one table: every key asked for is known, every other is refused with the nearest known name.

use super::report::Report;
use super::source::{Span, escape};
use super::suggest::nearest;
use super::tree::{Entry, Node, Value};

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Section<'t> {
    /// How messages call it: `[device.core1]`.
    pub(super) name: String,
    pub(super) span: Span,
    entries: &'t [Entry],
    known: Vec<&'static str>,
    refused: Vec<&'static str>,
}

/// A key of the contract whose part is not built yet, and what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unbuilt {
    pub(super) key: &'static str,
    pub(super) purpose: &'static str,
    /// The value that means "off", which changes nothing.
    pub(super) off: Off,
}

/// The value of an unbuilt key that is accepted, because it asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Off {
    /// `false`.
    False,
}

impl Off {
    fn accepts(self, node: &Node) -> bool {
        match self {
            Self::False => matches!(node.value, Value::Boolean(false)),
        }
    }

    fn help(self) -> String {
        match self {
            Self::False => "take it out of the file, or set it to false".into(),
        }
    }
}

/// Refuses something of the contract that is not built yet.
pub(super) fn not_built(report: &mut Report, span: Span, what: &str, purpose: &str, help: &str) {
    report
        .error(
            span,
            format!("{what} is not built yet in this version ({purpose})"),
        )
        .help(format!(
            "{help}: a setting that does nothing would be a hole"
        ));
}

impl<'t> Section<'t> {
    /// `None` when the node is no table, which is reported.
    pub(super) fn new(
        report: &mut Report,
        name: impl Into<String>,
        node: &'t Node,
    ) -> Option<Self> {
        let name = name.into();
        let Some(entries) = node.as_table() else {
            report.error(
                node.span,
                format!("{name} must be a table, not {}", node.kind()),
            );
            return None;
        };
        Some(Self {
            name,
            span: node.span,
            entries,
            known: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// The entry `key`, which is known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'t Entry> {
        self.known.push(key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of `key`.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Node> {
        self.take(key).map(|entry| &entry.value)
    }

    /// The entry `key`, which is none of this table and is refused in words of its own.
    pub(super) fn refused(&mut self, key: &'static str) -> Option<&'t Entry> {
        self.refused.push(key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of `key`, whose absence is reported.
    pub(super) fn required(&mut self, report: &mut Report, key: &'static str) -> Option<&'t Node> {
        let value = self.value(key);
        #[cfg(test)]
        report.asked(self.span).required.insert(key);
        if value.is_none() {
            report
                .error(self.span, format!("{} has no `{key}`", self.name))
                .help(format!("add `{key} = ...`"));
        }
        value
    }

    /// Refuses the keys that are not built yet, unless they say "off".
    pub(super) fn unbuilt(&mut self, report: &mut Report, keys: &[Unbuilt]) {
        for unbuilt in keys {
            let Some(entry) = self.take(unbuilt.key) else {
                continue;
            };
            if !unbuilt.off.accepts(&entry.value) {
                let what = format!("`{}` of {}", unbuilt.key, self.name);
                hide(report, &entry.value);
                not_built(
                    report,
                    entry.key_span,
                    &what,
                    unbuilt.purpose,
                    &unbuilt.off.help(),
                );
            }
        }
    }

    /// Refuses every key nobody asked for. Were there none?
    pub(super) fn finish(self, report: &mut Report) -> bool {
        #[cfg(test)]
        report.asked(self.span).keys.extend(&self.known);
        let holds_secrets = self.known.iter().any(|key| SECRETS.contains(key));
        let mut sound = true;
        for entry in self.entries {
            let key = entry.key.as_str();
            if self.known.contains(&key) || self.refused.contains(&key) {
                continue;
            }
            // A misspelt name may stand before a secret, or before a table of attributes that holds some.
            let attributes = self.known.contains(&"radius") && entry.value.as_table().is_some();
            if holds_secrets || attributes {
                hide(report, &entry.value);
            } else {
                hide_obvious(report, &entry.value);
            }
            unknown(report, entry, &self.name, &self.known);
            sound = false;
        }
        sound
    }
}

/// Reports an unknown key.
pub(super) fn unknown(report: &mut Report, entry: &Entry, place: &str, known: &[&'static str]) {
    let near = nearest(&entry.key, known.iter().copied());
    let mut names: Vec<&str> = known.to_vec();
    names.sort_unstable();
    names.dedup();
    let problem = report.error(
        entry.key_span,
        format!("`{}` is no key of {place}", escape(&entry.key)),
    );
    match near {
        Some(name) => problem.suggest(Some(name)),
        None => problem.help(format!("its keys are {}", names.join(", "))),
    };
}

/// Keys whose values are secrets.
const SECRETS: [&str; 8] = [
    "password",
    "key",
    "psk",
    "tacacs_secret",
    "radius_secret",
    "chap_secret",
    "secret",
    "enable",
];

/// Blanks what looks like a secret or a hash wherever it stands.
pub(super) fn hide_obvious(report: &mut Report, node: &Node) {
    let mut spans = Vec::new();
    node.strings(&mut spans);
    for span in spans {
        let text = report.sources.text(span).trim_start_matches(['"', '\'']);
        if text.trim_start().starts_with("plain:") || text.starts_with('$') {
            report.sources.hide(span);
        }
    }
}

/// Blanks every string of a value in messages.
pub(super) fn hide(report: &mut Report, node: &Node) {
    let mut spans = Vec::new();
    node.strings(&mut spans);
    for span in spans {
        report.sources.hide(span);
    }
}
