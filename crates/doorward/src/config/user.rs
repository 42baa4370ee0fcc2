//! `[user.NAME]`.

use std::sync::Arc;

use super::file::Document;
use super::lint::Lint;
use super::report::Report;
use super::section::{Off, Section, Unbuilt};
use super::source::Span;
use super::tree::{Entry, Node, Value};
use super::{Surroundings, User, secret, value};
use crate::identity::{HashKind, PasswordHash};

const UNBUILT: [Unbuilt; 3] = [
    Unbuilt {
        key: "enable",
        purpose: "enable passwords",
        off: Off::Never,
    },
    Unbuilt {
        key: "chap_secret",
        purpose: "CHAP and MS-CHAP",
        off: Off::Never,
    },
    Unbuilt {
        key: "mfa",
        purpose: "second factors",
        off: Off::False,
    },
];

/// A user and the places of its words.
#[derive(Debug)]
pub(super) struct ReadUser {
    pub(super) user: User,
    pub(super) name: Span,
    /// In the order of `groups`.
    pub(super) groups: Vec<Span>,
}

pub(super) fn users(
    report: &mut Report,
    document: &Document<'_>,
    surroundings: &Surroundings,
) -> Vec<ReadUser> {
    let entries = document.named(report, "user");
    let mut users = Vec::new();
    for entry in entries {
        report.about(Some(format!("user.{}", entry.key)));
        users.extend(user(report, entry, surroundings));
    }
    report.about(None);
    users
}

/// The names of users with `quiet = true`; of the rest of their tables nothing is read.
pub(super) fn quiet(document: &Document<'_>) -> Vec<Arc<str>> {
    let tables = document.all("user").iter();
    tables
        .filter_map(|table| table.value.as_table())
        .flatten()
        .filter(|user| {
            let quiet = user.value.entry("quiet").map(|entry| &entry.value.value);
            matches!(quiet, Some(Value::Boolean(true)))
        })
        .map(|user| Arc::from(user.key.as_str()))
        .collect()
}

fn user(report: &mut Report, entry: &Entry, surroundings: &Surroundings) -> Option<ReadUser> {
    let mut section = Section::new(report, format!("[user.{}]", entry.key), &entry.value)?;
    let mut user = User {
        name: entry.key.as_str().into(),
        password: None,
        groups: Vec::new(),
        from: Vec::new(),
        alert: false,
        quiet: false,
        location: report.location(entry.key_span),
    };
    if let Some(node) = section.value("password") {
        user.password = password(report, node, surroundings);
    }
    let mut group_spans = Vec::new();
    if let Some(node) = section.value("groups") {
        (user.groups, group_spans) = groups(report, node).into_iter().unzip();
    }
    if let Some(node) = section.value("from") {
        user.from = value::networks(report, "from", node);
    }
    if let Some(node) = section.value("alert") {
        user.alert = value::boolean(report, "alert", node).unwrap_or(true);
    }
    if let Some(node) = section.value("quiet") {
        user.quiet = value::boolean(report, "quiet", node).unwrap_or(false);
    }
    section.unbuilt(report, &UNBUILT);
    section.finish(report);
    Some(ReadUser {
        user,
        name: entry.key_span,
        groups: group_spans,
    })
}

fn groups(report: &mut Report, node: &Node) -> Vec<(Arc<str>, Span)> {
    let mut groups: Vec<(Arc<str>, Span)> = Vec::new();
    for (name, element) in value::texts(report, "groups", node) {
        if name.is_empty() {
            report.error(element.span, "a group needs a name");
        } else if groups.iter().any(|(known, _)| **known == *name) {
            report
                .warning(
                    Lint::RepeatedGroup,
                    element.span,
                    "this group is named twice",
                )
                .help("take one of them out");
        } else {
            groups.push((name.into(), element.span));
        }
    }
    groups
}

fn password(report: &mut Report, node: &Node, surroundings: &Surroundings) -> Option<PasswordHash> {
    let secret = secret::resolve(report, surroundings, "password", node)?;
    let Ok(text) = std::str::from_utf8(&secret) else {
        report
            .error(node.span, "the hash of `password` is no text")
            .help("`doorward hash-password` makes one");
        return None;
    };
    match PasswordHash::parse(text) {
        Ok(hash) => {
            if hash.kind() == HashKind::Md5Crypt {
                report
                    .warning(
                        Lint::WeakHash,
                        node.span,
                        "this password is stored as MD5-crypt ($1$), which is quickly searched",
                    )
                    .help("have the user choose a new password, and store what `doorward hash-password` prints");
            }
            Some(hash)
        }
        Err(error) => {
            report
                .error(node.span, format!("the hash of `password` cannot be used: {error}"))
                .help("`password` refers to a hash, never to the password; `doorward hash-password` makes one");
            None
        }
    }
}
