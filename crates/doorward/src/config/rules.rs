//! `[[rule]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use doorward_tls::ExtendedKeyUsages;
use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::authentication::authentication_type;
use super::file::Document;
use super::lint::Lint;
use super::report::Report;
use super::roles::Roles;
use super::section::{Section, not_built};
use super::source::{Span, escape};
use super::suggest::nearest;
use super::text::StringMap;
use super::tree::Node;
use super::value::{self, unknown_word};
use crate::policy::{Condition, Pattern, Protocol, Rule, RuleReference, Test, Transport, Window};

/// Names that rules may refer to.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) devices: BTreeSet<&'a str>,
    pub(super) device_groups: BTreeSet<&'a str>,
    pub(super) tags: BTreeSet<&'a str>,
    pub(super) users: BTreeSet<&'a str>,
    /// Without those that only tests name.
    pub(super) configured_users: BTreeSet<&'a str>,
    /// Groups that any user, or any test, is in.
    pub(super) groups: BTreeSet<&'a str>,
}

/// A rule and its place.
#[derive(Debug)]
pub(super) struct ReadRule {
    pub(super) rule: Rule,
    pub(super) place: Span,
    /// How `[[allow]]` calls it: by its name, or its number among all rules.
    pub(super) section: String,
}

pub(super) fn rules(
    report: &mut Report,
    document: &Document<'_>,
    roles: &Roles<'_>,
    names: &Names<'_>,
) -> Vec<ReadRule> {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let mut rules = Vec::new();
    for (index, node) in document.list(report, "rule").into_iter().enumerate() {
        let Some(mut section) = Section::new(report, "[[rule]]", node) else {
            continue;
        };
        let mut place = node.span;
        let mut name = None;
        if let Some(node) = section.value("name") {
            place = node.span;
            name = value::name(report, "name", node);
            if let Some(first) = name.and_then(|name| seen.insert(name.to_owned(), node.span)) {
                report
                    .error(node.span, "two rules have this name")
                    .see(first, "the first one")
                    .help("explanations and logs name rules: give each its own");
            }
        }
        let section_name = match name {
            Some(name) => format!("rule.{name}"),
            None => format!("rule.{}", index + 1),
        };
        report.about(Some(section_name.clone()));
        let conditions = section
            .value("when")
            .map_or_else(Vec::new, |node| conditions(report, node, names, Of::Rule));
        let role = section.required(report, "role").and_then(|node| {
            let name = value::text(report, "role", node)?;
            let role = roles.get_key_value(name);
            if role.is_none() {
                let search = report.may_search(roles.len());
                report
                    .error(node.span, format!("there is no role `{}`", escape(name)))
                    .help("define it: [role.NAME]")
                    .suggest(nearest(name, roles.keys().copied().filter(|_| search)));
            }
            role
        });
        section.finish(report);
        if let Some((key, read)) = role {
            used.insert(key);
            let rule = Rule {
                name: name.map(Arc::from),
                conditions,
                role: Arc::clone(&read.role),
                reference: rule_reference(report, place, name),
            };
            rules.push(ReadRule {
                rule,
                place,
                section: section_name,
            });
        }
        report.about(None);
    }
    for (name, read) in roles.iter().filter(|(name, _)| !used.contains(**name)) {
        let message = format!("no rule gives the role `{}` to anybody", escape(name));
        report
            .warning(Lint::UnusedRole, read.name, message)
            .on(format!("role.{name}"))
            .help("add a [[rule]] with it, or take it out");
    }
    rules
}

fn rule_reference(report: &Report, place: Span, name: Option<&str>) -> Arc<RuleReference> {
    let text = match name {
        Some(name) => format!("[[rule]] {name}"),
        None => "[[rule]]".to_owned(),
    };
    Arc::new(RuleReference {
        location: report.location(place),
        text: escape(&text).into(),
    })
}

/// Whose `when` it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Rule,
    /// It is about users from elsewhere, whose names are taken as they were sent.
    Route,
}

pub(super) fn conditions(
    report: &mut Report,
    node: &Node,
    names: &Names<'_>,
    of: Of,
) -> Vec<Condition> {
    let title = match of {
        Of::Rule => "`when` of a [[rule]]",
        Of::Route => "`when` of a [[route]]",
    };
    let Some(mut section) = Section::new(report, title, node) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for key in KEYS {
        if of == Of::Route && key == "group" {
            if let Some(entry) = section.refused(key) {
                report
                    .error(entry.key_span, "a [[route]] cannot ask for the `group` of a user")
                    .help("it is for users that are not in this file, and have none here; ask for `realm`, `user` or what is known of the device");
            }
            continue;
        }
        let Some(entry) = section.take(key) else {
            continue;
        };
        let values = value::one_or_more(report, key, &entry.value);
        if of == Of::Route && key == "protocol" {
            not_tacacs(report, &values);
        }
        if let Some(test) = test(report, key, &values, names, of) {
            found.push(Condition {
                test,
                location: report.location(entry.key_span),
            });
        }
    }
    section.finish(report);
    found
}

/// Routes are of RADIUS so far.
fn not_tacacs(report: &mut Report, values: &[(&str, &Node)]) {
    for (_, node) in values.iter().filter(|(text, _)| *text == "tacacs") {
        not_built(
            report,
            node.span,
            "a [[route]] with `protocol = \"tacacs\"`",
            "forwarding TACACS+",
            "take it out: routes are for RADIUS",
        );
    }
}

/// The keys of `when`, the cheap ones first: it is the order in which they are asked.
const KEYS: [&str; 21] = [
    "group",
    "user",
    "device_group",
    "device",
    "tag",
    "transport",
    "protocol",
    "auth",
    "service",
    "port",
    "remote",
    "from",
    "address",
    "policy_oid",
    "issuer",
    "subject",
    "fingerprint",
    "eku",
    "psk_identity",
    "san",
    "time",
];

fn test(
    report: &mut Report,
    key: &'static str,
    values: &[(&str, &Node)],
    names: &Names<'_>,
    of: Of,
) -> Option<Test> {
    let here = key != "user" || of == Of::Rule;
    if key == "user" && here {
        // A `*` is a character that names may have, so that patterns are judged like names.
        for (text, node) in values {
            value::is_user_name(report, text, node.span);
        }
    }
    if here {
        known_names(report, key, values, names);
    }
    let patterns = || values.iter().map(|(text, _)| Pattern::new(text)).collect();
    let texts = || values.iter().map(|(text, _)| Arc::from(*text)).collect();
    Some(match key {
        "user" => Test::User(patterns()),
        "group" => Test::Group(texts()),
        "device" => Test::Device(patterns()),
        "device_group" => Test::DeviceGroup(texts()),
        "tag" => Test::Tag(patterns()),
        "service" => Test::Service(patterns()),
        "port" => Test::Port(patterns()),
        "remote" => Test::Remote(patterns()),
        "from" => Test::From(networks(report, key, values)),
        "address" => Test::Address(networks(report, key, values)),
        "time" => Test::Time(each(values, |text, node| window(report, text, node))),
        "protocol" => Test::Protocol(each(values, |text, node| protocol(report, text, node))),
        "transport" => Test::Transport(each(values, |text, node| match text {
            "tls" => Some(Transport::Tls),
            "plain" => Some(Transport::Plain),
            other => {
                unknown_word(report, key, other, node.span, ["tls", "plain"].into_iter());
                None
            }
        })),
        "auth" => Test::Auth(each(values, |text, node| {
            authentication_type(report, key, text, node.span)
        })),
        "policy_oid" => Test::PolicyOid(texts()),
        "issuer" => Test::Issuer(texts()),
        "subject" => Test::Subject(texts()),
        "eku" => Test::Eku(each(values, |text, node| usage(report, text, node))),
        "san" => Test::San(each(values, |text, node| name_of_kind(report, text, node))),
        "psk_identity" => Test::PskIdentity(values.iter().map(|(text, _)| escaped(text)).collect()),
        "fingerprint" => {
            Test::Fingerprint(each(values, |text, node| fingerprint(report, text, node)))
        }
        _ => return None,
    })
}

/// Checks the names that the rest of the file has to define.
fn known_names(
    report: &mut Report,
    key: &'static str,
    values: &[(&str, &Node)],
    names: &Names<'_>,
) {
    let (names, what, gravity) = match key {
        "user" => (&names.users, "user", Gravity::Look),
        // Not an error: who takes the last user out of a group must not be kept from reloading.
        "group" => (&names.groups, "user in the group", Gravity::Look),
        "device" => (&names.devices, "device", Gravity::Refuse),
        "device_group" => (&names.device_groups, "device group", Gravity::Refuse),
        "tag" => (&names.tags, "device with the tag", Gravity::Look),
        _ => return,
    };
    known(report, values, names, what, gravity);
}

fn networks(report: &mut Report, key: &'static str, values: &[(&str, &Node)]) -> Vec<IpNet> {
    each(values, |text, node| {
        value::network(report, key, text, node.span)
    })
}

fn each<T>(values: &[(&str, &Node)], mut read: impl FnMut(&str, &Node) -> Option<T>) -> Vec<T> {
    values
        .iter()
        .filter_map(|(text, node)| read(text, node))
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gravity {
    Refuse,
    Look,
}

/// Checks names; patterns may be meant for what comes later.
fn known(
    report: &mut Report,
    values: &[(&str, &Node)],
    names: &BTreeSet<&str>,
    what: &str,
    gravity: Gravity,
) {
    let patterned = what != "user in the group" && what != "device group";
    for (text, node) in values {
        if names.contains(text) || (patterned && text.contains('*')) {
            continue;
        }
        let message = format!("there is no {what} `{}`", escape(text));
        let search = report.may_search(names.len());
        let near = nearest(text, names.iter().copied().filter(|_| search));
        match gravity {
            Gravity::Refuse => report.error(node.span, message),
            Gravity::Look => report.warning(Lint::UnknownName, node.span, message),
        }
        .help("this condition can hold for nobody")
        .suggest(near);
    }
}

fn window(report: &mut Report, text: &str, node: &Node) -> Option<Window> {
    Window::parse(text, &TimeZone::system())
        .map_err(|error| {
            let span = StringMap::new(&report.sources, node).span(error.piece);
            report.error(span, error.kind.to_string()).help(
                "write days, hours and a time zone: \"Mon-Fri 07:00-20:00 Europe/Amsterdam\"",
            );
        })
        .ok()
}

fn protocol(report: &mut Report, text: &str, node: &Node) -> Option<Protocol> {
    match text {
        "tacacs" => Some(Protocol::Tacacs),
        "radius" => Some(Protocol::Radius),
        other => {
            unknown_word(
                report,
                "protocol",
                other,
                node.span,
                ["tacacs", "radius"].into_iter(),
            );
            None
        }
    }
}

/// An extended key usage by name or number, as a number.
fn usage(report: &mut Report, text: &str, node: &Node) -> Option<Arc<str>> {
    if let Some(number) = ExtendedKeyUsages::number(text) {
        return Some(number.into());
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|one| one.is_ascii_digit());
    if text.contains('.') && text.split('.').all(digits) {
        return Some(text.into());
    }
    let known: Vec<&str> = ExtendedKeyUsages::known().collect();
    let message = format!("`{}` is no extended key usage", escape(text));
    report
        .error(node.span, message)
        .help(format!(
            "write a dotted number, or one of {}",
            known.join(", ")
        ))
        .suggest(nearest(text, known));
    None
}

/// A name of a certificate after its kind, in the form that [`doorward_tls::PeerIdentity::names`] gives.
fn name_of_kind(report: &mut Report, text: &str, node: &Node) -> Option<Pattern> {
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    let name = match kind {
        _ if name.is_empty() => None,
        "dns" | "srv" | "realm" => Some(name.to_ascii_lowercase()),
        "uri" | "directory" => Some(name.to_owned()),
        "ip" if name.contains('*') => Some(name.to_ascii_lowercase()),
        "ip" => {
            let address = name.parse().ok();
            address.map(|address: IpAddr| address.to_canonical().to_string())
        }
        _ => None,
    };
    if name.is_none() {
        report
            .error(node.span, format!("`{}` is no name of a certificate", escape(text)))
            .help("write \"dns:NAME\", \"ip:ADDRESS\", \"uri:URI\", \"realm:REALM\", \"srv:_SERVICE.NAME\" or \"directory:CN=..\"; `*` stands for any characters");
    }
    name.map(|name| Pattern::new(&format!("{kind}:{name}")))
}

/// A pattern of identities, which are not always text: what is not ASCII is escaped in both. A backslash is the escape of
/// logs already, so that every identity can be written.
fn escaped(text: &str) -> Pattern {
    let mut pattern = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii() {
            pattern.push(char);
        } else {
            let mut octets = [0; 4];
            let octets = char.encode_utf8(&mut octets).as_bytes();
            pattern.push_str(&octets.escape_ascii().to_string());
        }
    }
    Pattern::new(&pattern)
}

fn fingerprint(report: &mut Report, text: &str, node: &Node) -> Option<[u8; 32]> {
    let digits: String = text
        .strip_prefix("sha256:")
        .unwrap_or(text)
        .chars()
        .filter(|digit| *digit != ':')
        .collect();
    let octets: Option<Vec<u8>> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect();
    let digest = octets.and_then(|octets| octets.try_into().ok());
    if digest.is_none() {
        report
            .error(node.span, "this is no SHA-256 fingerprint")
            .help("write 64 hexadecimal digits, with or without colons, maybe after \"sha256:\"");
    }
    digest
}
