//! How users log in: `[authentication]`, `[enable]` and `[password_policy]`.

use std::collections::BTreeMap;
use std::time::Duration;

use doorward_tacacs::is_printable_ascii;

use super::file::Document;
use super::report::Report;
use super::section::{Section, hide, not_built};
use super::source::Span;
use super::tree::Node;
use super::user::password;
use super::value::{self, unknown_word};
use super::{Authentication, AuthenticationType, EnableCredential, PasswordPolicy, Surroundings};

/// The longest `remember`.
const MAX_REMEMBER: Duration = Duration::from_secs(86_400);

/// Octets of the longest `fail_message`.
const MAX_MESSAGE: usize = 200;

pub(super) fn authentication(report: &mut Report, document: &Document<'_>) -> Authentication {
    let mut authentication = Authentication {
        accept: vec![
            AuthenticationType::Ascii,
            AuthenticationType::Pap,
            AuthenticationType::Chap,
            AuthenticationType::MsChapV2,
        ],
        attempts: 3,
        remember: Duration::ZERO,
        min_challenge: 8,
        fail_message: "".into(),
    };
    let Some(entry) = document.single(report, "authentication") else {
        return authentication;
    };
    let Some(mut section) = Section::new(report, "[authentication]", &entry.value) else {
        return authentication;
    };
    if let Some(node) = section.value("order") {
        for (name, element) in value::texts(report, "order", node) {
            if name != "local" {
                let what = format!("the identity source `{}`", super::source::escape(name));
                not_built(
                    report,
                    element.span,
                    &what,
                    "users outside the file",
                    "leave \"local\"",
                );
            }
        }
        if node.as_list().is_some_and(<[Node]>::is_empty) {
            report
                .error(node.span, "`order` is empty, so that nobody could log in")
                .help("write [\"local\"]");
        }
    }
    if let Some(node) = section.value("accept") {
        authentication.accept = accept(report, node);
    }
    if let Some(node) = section.value("attempts") {
        authentication.attempts = value::integer(report, "attempts", node, 1..=10).unwrap_or(1);
    }
    if let Some(node) = section.value("remember") {
        authentication.remember = value::duration(report, "remember", node).unwrap_or_default();
        if authentication.remember > MAX_REMEMBER {
            report
                .error(node.span, "`remember` is longer than a day")
                .help("a changed mind about a password should not take that long; minutes are enough for a run over all devices");
        }
    }
    if let Some(node) = section.value("min_challenge") {
        let read = value::integer(report, "min_challenge", node, 1..=238);
        authentication.min_challenge = read.unwrap_or(authentication.min_challenge);
    }
    if let Some(node) = section.value("fail_message")
        && let Some(text) = value::text(report, "fail_message", node)
    {
        if text.len() <= MAX_MESSAGE && is_printable_ascii(text.as_bytes()) {
            authentication.fail_message = text.into();
        } else {
            report
                .error(
                    node.span,
                    "`fail_message` must be one line of printable ASCII, 200 characters at most",
                )
                .help("devices show it to the user as it is (RFC 8907 section 3.7)");
        }
    }
    section.finish(report);
    authentication
}

/// `accept`: authentication types.
pub(super) fn accept(report: &mut Report, node: &Node) -> Vec<AuthenticationType> {
    let mut accepted = Vec::new();
    for (name, element) in value::texts(report, "accept", node) {
        if let Some(one) = authentication_type(report, "accept", name, element.span)
            && !accepted.contains(&one)
        {
            accepted.push(one);
        }
    }
    if node.as_list().is_some_and(<[Node]>::is_empty) {
        report
            .error(node.span, "`accept` is empty, so that nobody could log in")
            .help("name at least one of ascii, pap, chap, mschapv1, mschapv2");
    }
    accepted
}

/// One authentication type.
pub(super) fn authentication_type(
    report: &mut Report,
    key: &str,
    name: &str,
    span: Span,
) -> Option<AuthenticationType> {
    let all = AuthenticationType::ALL;
    let found = all.into_iter().find(|known| known.name() == name);
    if found.is_none() {
        let names = all.map(AuthenticationType::name).into_iter();
        unknown_word(report, key, name, span, names);
    }
    found
}

/// `[enable]`: the credentials that everybody's enable requests are judged by, for each level.
pub(super) fn enable(
    report: &mut Report,
    document: &Document<'_>,
    surroundings: &Surroundings,
) -> BTreeMap<u8, EnableCredential> {
    match document.single(report, "enable") {
        Some(entry) => levels(report, "[enable]", &entry.value, surroundings),
        None => BTreeMap::new(),
    }
}

/// A table of privilege levels, each with the reference of a hash, or `"user"`.
pub(super) fn levels(
    report: &mut Report,
    title: &str,
    node: &Node,
    surroundings: &Surroundings,
) -> BTreeMap<u8, EnableCredential> {
    let mut levels = BTreeMap::new();
    let Some(entries) = node.as_table() else {
        hide(report, node);
        report
            .error(
                node.span,
                format!("{title} must be a table of privilege levels"),
            )
            .help("write { \"15\" = \"file:PATH\" }");
        return levels;
    };
    for entry in entries {
        let level = entry.key.parse::<u8>().ok().filter(|level| *level <= 15);
        let Some(level) = level.filter(|level| level.to_string() == entry.key) else {
            hide(report, &entry.value);
            report
                .error(
                    entry.key_span,
                    format!("a key of {title} is no privilege level"),
                )
                .help("levels are 0 to 15");
            continue;
        };
        let credential = if entry.value.as_str() == Some("user") {
            Some(EnableCredential::OwnPassword)
        } else {
            let key = format!("enable.{level}");
            password(report, &key, &entry.value, surroundings).map(EnableCredential::Hash)
        };
        levels.extend(credential.map(|credential| (level, credential)));
    }
    levels
}

/// `[password_policy]`.
pub(super) fn password_policy(report: &mut Report, document: &Document<'_>) -> PasswordPolicy {
    let mut policy = PasswordPolicy::default();
    let Some(entry) = document.single(report, "password_policy") else {
        return policy;
    };
    let Some(mut section) = Section::new(report, "[password_policy]", &entry.value) else {
        return policy;
    };
    if let Some(node) = section.value("min_length") {
        let read = value::integer(report, "min_length", node, 1..=128);
        policy.min_length = read.unwrap_or(policy.min_length);
    }
    if let Some(node) = section.value("classes") {
        let read = value::integer(report, "classes", node, 1..=4);
        policy.classes = read.unwrap_or(policy.classes);
    }
    if let Some(node) = section.value("change") {
        policy.change = value::boolean(report, "change", node).unwrap_or(false);
    }
    section.finish(report);
    policy
}
