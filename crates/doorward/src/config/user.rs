//! `[user.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::file::Document;
use super::lint::Lint;
use super::report::Report;
use super::section::{Off, Section, Unbuilt};
use super::source::Span;
use super::tree::{Entry, Node, Value};
use super::{Surroundings, User, authentication, secret, value};
use crate::identity::{ChapSecret, HashKind, PasswordHash, Scratch};

const UNBUILT: [Unbuilt; 1] = [Unbuilt {
    key: "mfa",
    purpose: "second factors",
    off: Off::False,
}];

/// Characters of a `chap_secret` below which it is told of.
const MIN_CHAP_SECRET: usize = 16;

/// A user and the places of its words.
#[derive(Debug)]
pub(super) struct ReadUser {
    pub(super) user: User,
    pub(super) name: Span,
    pub(super) chap_secret: Option<Span>,
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
    refuse_one_for_both(report, &users);
    users
}

/// A secret that proves a login by its answer to a challenge must not be the password as well: whoever reads one login of the
/// other kind would have it (RFC 8907 section 10.5.3). Costs a password hash for each user who has both.
fn refuse_one_for_both(report: &mut Report, users: &[ReadUser]) {
    let both: Vec<_> = users
        .iter()
        .filter_map(|read| {
            let (hash, secret) = (
                read.user.password.as_ref()?,
                read.user.chap_secret.as_ref()?,
            );
            Some((hash, secret, read.chap_secret?))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let compare = || {
        let (mut scratch, mut found) = (Scratch::default(), Vec::new());
        while let Some((hash, secret, span)) = both.get(next.fetch_add(1, Ordering::Relaxed)) {
            if hash.verify(secret.octets(), &mut scratch).unwrap_or(false) {
                found.push(*span);
            }
        }
        found
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut equal = thread::scope(|scope| {
        // One alone is compared where it is.
        let others = threads.min(both.len()).saturating_sub(1);
        let others: Vec<_> = (0..others).map(|_| scope.spawn(compare)).collect();
        let mut found = compare();
        for other in others {
            found.extend(other.join().unwrap_or_default());
        }
        found
    });
    equal.sort_unstable_by_key(|span| (span.file, span.start));
    for span in equal {
        report
            .error(span, "`chap_secret` is also the password of this user")
            .help("CHAP and MS-CHAP need a secret of their own: one that is used for both is given away by the weaker of them");
    }
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
    value::is_user_name(report, &entry.key, entry.key_span);
    let mut section = Section::new(report, format!("[user.{}]", entry.key), &entry.value)?;
    let mut user = User {
        name: entry.key.as_str().into(),
        password: None,
        chap_secret: None,
        enable: BTreeMap::new(),
        groups: Vec::new(),
        from: Vec::new(),
        alert: false,
        quiet: false,
        location: report.location(entry.key_span),
    };
    if let Some(node) = section.value("password") {
        user.password = password(report, "password", node, surroundings);
    }
    let mut chap_span = None;
    if let Some(node) = section.value("chap_secret") {
        chap_span = Some(node.span);
        let secret = secret::resolve(report, surroundings, "chap_secret", node);
        if let Some(octets) = &secret
            && String::from_utf8_lossy(octets).chars().count() < MIN_CHAP_SECRET
        {
            report
                .warning(
                    Lint::WeakSecret,
                    node.span,
                    format!("this `chap_secret` has fewer than {MIN_CHAP_SECRET} characters"),
                )
                .help("whoever reads one challenge with its answer can search for it: take a random one (`openssl rand -base64 24`)");
        }
        user.chap_secret = secret.map(|octets| ChapSecret::new(&octets));
    }
    if let Some(node) = section.value("enable") {
        let title = format!("`enable` of [user.{}]", entry.key);
        user.enable = authentication::levels(report, &title, node, surroundings);
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
        chap_secret: chap_span,
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

/// The hash that the reference `key` stands for.
pub(super) fn password(
    report: &mut Report,
    key: &str,
    node: &Node,
    surroundings: &Surroundings,
) -> Option<PasswordHash> {
    let secret = secret::resolve(report, surroundings, key, node)?;
    let Ok(text) = std::str::from_utf8(&secret) else {
        report
            .error(node.span, format!("the hash of `{key}` is no text"))
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
                .error(node.span, format!("the hash of `{key}` cannot be used: {error}"))
                .help("it refers to a hash, never to the password; `doorward hash-password` makes one");
            None
        }
    }
}
