//! `radius` of a role: attributes of an Access-Accept, by their names.

use std::fmt::Write as _;

use doorward_radius::attribute::kind;
use doorward_radius::dictionary::{Attribute, Dictionary, Hiding, Kind, Pair, VendorFormat};
use zeroize::Zeroizing;

use super::report::Report;
use super::section::hide;
use super::source::{Span, escape};
use super::tree::{Entry, Node};
use super::{Surroundings, secret, value};
use crate::policy::{ReplyAttribute, ReplySecret, ReplyValue};

/// What an Access-Accept holds besides what the server adds: less than a packet, more than any device reads.
pub(super) const OCTETS: usize = 3500;

/// What the server puts into answers itself, or what only requests have.
const MADE: [u8; 6] = [
    kind::USER_PASSWORD,
    kind::CHAP_PASSWORD,
    kind::STATE,
    kind::PROXY_STATE,
    kind::EAP_MESSAGE,
    kind::MESSAGE_AUTHENTICATOR,
];

/// What the attributes of roles and tests are read with.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) dictionary: &'a Dictionary,
    pub(super) surroundings: &'a Surroundings,
}

pub(super) fn attributes(
    report: &mut Report,
    known: &Known<'_>,
    title: &str,
    node: &Node,
) -> Vec<ReplyAttribute> {
    let Some(entries) = node.as_table() else {
        value::wrong(report, node, "radius", "a table of attributes");
        return Vec::new();
    };
    let mut attributes = Vec::new();
    for entry in entries {
        for node in entry
            .value
            .as_list()
            .unwrap_or(std::slice::from_ref(&entry.value))
        {
            attributes.extend(attribute(report, known, entry, node));
        }
    }
    let octets = octets(&attributes);
    if octets > OCTETS {
        report
            .error(
                node.span,
                format!("the attributes of {title} do not fit into one packet"),
            )
            .help(format!(
                "leave some out: {OCTETS} octets are the most, these take {octets}"
            ));
    }
    attributes
}

fn attribute(
    report: &mut Report,
    known: &Known<'_>,
    entry: &Entry,
    node: &Node,
) -> Option<ReplyAttribute> {
    let dictionary = known.dictionary;
    let (name, _) = entry.key.rsplit_once(':').unwrap_or((&entry.key, ""));
    if let Some(hidden) = dictionary
        .by_name(name)
        .filter(|one| one.hidden != Hiding::None)
    {
        return secret_attribute(report, known, entry, node, hidden);
    }
    let text = value::string_or_number(report, &entry.key, node)?;
    let pair = match dictionary.parse_pair(&entry.key, &text) {
        Ok(pair) => pair,
        Err(error) => {
            let known = dictionary.by_name(name).is_some();
            let span = if known { node.span } else { entry.key_span };
            if !known {
                // A misspelt name may stand before a secret.
                hide(report, node);
            }
            report
                .error(span, error.to_string())
                .help("the names are those of the RFCs, for vendors those that FreeRADIUS has too; `dictionaries` of [radius] adds more");
            return None;
        }
    };
    if let Some(why) = unfit(dictionary, pair.attribute) {
        refuse(report, entry.key_span, pair.attribute, why);
        return None;
    }
    let Some(path) = path(dictionary, pair.attribute) else {
        refuse(report, entry.key_span, pair.attribute, FORM);
        return None;
    };
    Some(plain(dictionary, &pair, path))
}

/// An attribute whose value everybody may see, as a packet has it at `path`.
pub(super) fn plain(dictionary: &Dictionary, pair: &Pair<'_>, path: Vec<u8>) -> ReplyAttribute {
    let (vendor, value) = (pair.attribute.vendor, pair.tagged_octets());
    let shown = dictionary.shown(vendor, &pair.attribute.path, &value);
    ReplyAttribute {
        vendor,
        path,
        value: ReplyValue::Plain(value),
        name: shown.name,
        // Those that have none are secrets.
        text: shown.value.unwrap_or_default(),
        derived: None,
    }
}

/// An attribute whose value is hidden on the wire, and a reference to a secret in the file.
fn secret_attribute(
    report: &mut Report,
    known: &Known<'_>,
    entry: &Entry,
    node: &Node,
    attribute: &Attribute,
) -> Option<ReplyAttribute> {
    let path = match (
        unfit(known.dictionary, attribute),
        path(known.dictionary, attribute),
    ) {
        (None, Some(path)) => path,
        (why, _) => {
            hide(report, node);
            refuse(report, entry.key_span, attribute, why.unwrap_or(FORM));
            return None;
        }
    };
    let octets = secret::resolve(report, known.surroundings, &escape(&entry.key), node)?;
    let text = match std::str::from_utf8(&octets) {
        Ok(text) => Zeroizing::new(text.to_owned()),
        Err(_) if attribute.kind == Kind::String => hexadecimal(&octets),
        Err(_) => {
            let message = format!("the secret of `{}` is not UTF-8 text", escape(&entry.key));
            report
                .error(node.span, message)
                .help("the attribute holds text; write it so");
            return None;
        }
    };
    let pair = match known.dictionary.parse_pair(&entry.key, &text) {
        Ok(pair) => pair,
        Err(error) => {
            // Without the value of what is to stay hidden.
            report
                .error(entry.key_span, error.to_string())
                .help("correct the name and its tag, or the secret that the reference stands for");
            return None;
        }
    };
    let tag = attribute.tagged.then(|| pair.tag.unwrap_or_default());
    Some(ReplyAttribute {
        vendor: attribute.vendor,
        path,
        value: ReplyValue::Secret(ReplySecret::new(tag, attribute.hidden, pair.octets)),
        name: pair.tag.map_or_else(
            || attribute.name.clone(),
            |tag| format!("{}:{tag}", attribute.name),
        ),
        text: HIDDEN.into(),
        derived: None,
    })
}

/// What is shown in place of a secret.
const HIDDEN: &str = "(hidden)";

/// The octets as a dictionary reads them: 0x and digits.
fn hexadecimal(octets: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * octets.len() + 2));
    text.push_str("0x");
    for octet in octets {
        _ = write!(text, "{octet:02x}");
    }
    text
}

/// What these take of a packet, at most.
pub(super) fn octets(attributes: &[ReplyAttribute]) -> usize {
    attributes.iter().map(|one| length(&one.value) + 8).sum()
}

/// The octets of a value in the packet.
fn length(value: &ReplyValue) -> usize {
    /// What is hidden fills whole blocks of so many.
    const BLOCK: usize = 16;
    match value {
        ReplyValue::Plain(octets) => octets.len(),
        // A tag, a salt and the length before the value.
        ReplyValue::Secret(secret) => 3 + (secret.octets().len() + 1).next_multiple_of(BLOCK),
    }
}

/// Why an attribute has no [`path`].
const FORM: &str = "has a form this version cannot send";

/// The numbers of an attribute that packets of ours can carry; `None` for other forms.
pub fn path(dictionary: &Dictionary, attribute: &Attribute) -> Option<Vec<u8>> {
    let known = match (attribute.vendor, attribute.path.as_slice()) {
        (Some(vendor), [_]) => dictionary.format(vendor) == VendorFormat::default(),
        (None, [1..=240] | [241..=246, _]) => true,
        _ => false,
    };
    let single = attribute.kind != Kind::Concat && !attribute.kind.is_parent();
    let path = attribute.path.iter().map(|number| u8::try_from(*number));
    path.collect::<Result<_, _>>()
        .ok()
        .filter(|_| known && single)
}

fn refuse(report: &mut Report, span: Span, attribute: &Attribute, why: &str) {
    report
        .error(span, format!("{} {why}", escape(&attribute.name)))
        .help("take it out");
}

/// Why an attribute cannot be written for a role.
fn unfit(dictionary: &Dictionary, attribute: &Attribute) -> Option<&'static str> {
    let plain = attribute.vendor.is_none();
    match attribute.path.first() {
        Some(number) if plain && MADE.iter().any(|made| u32::from(*made) == *number) => {
            return Some("is made by the server, where one is needed");
        }
        // Of Accounting-Requests, and of requests.
        Some(1 | 4 | 5 | 40..=55 | 60) if plain => {
            return Some("does not belong into an Access-Accept");
        }
        _ => {}
    }
    let tagged = attribute.tagged;
    match attribute.hidden {
        Hiding::Ascend => return Some("is hidden in a way this version cannot write"),
        // Their tags would be inside of what is hidden.
        Hiding::UserPassword if tagged => return Some(FORM),
        Hiding::TunnelPassword if tagged && attribute.kind == Kind::Integer => return Some(FORM),
        Hiding::None | Hiding::UserPassword | Hiding::TunnelPassword => {}
    }
    path(dictionary, attribute).is_none().then_some(FORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why_not(name: &str) -> Option<&'static str> {
        let dictionary = Dictionary::standard();
        let attribute = dictionary.by_name(name);
        unfit(&dictionary, attribute.unwrap_or_else(|| panic!("{name}")))
    }

    /// A role can name what devices are administered by.
    #[test]
    fn what_devices_are_administered_by_can_be_sent() {
        for name in [
            "Service-Type",
            "Filter-Id",
            "Session-Timeout",
            "Reply-Message",
            "Class",
            "Cisco-AVPair",
            "Juniper-Local-User-Name",
            "Management-Privilege-Level",
            "Tunnel-Type",
            "Tunnel-Password",
            "MS-MPPE-Send-Key",
        ] {
            assert_eq!(why_not(name), None, "{name}");
        }
        for name in ["User-Password", "Acct-Session-Id", "EAP-Message"] {
            assert!(why_not(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_hidden_is_refused() {
        let mut dictionary = Dictionary::standard();
        let text = "VENDOR v 5\nBEGIN-VENDOR v\nATTRIBUTE ascend 1 string encrypt=3\nATTRIBUTE number 2 integer encrypt=2\n\
                    ATTRIBUTE tagged 3 integer has_tag,encrypt=2\nATTRIBUTE old 4 string has_tag,encrypt=1\nEND-VENDOR v";
        assert!(
            dictionary
                .load("f", text, &mut |_| Err(String::new()))
                .is_ok()
        );
        let why = |name| unfit(&dictionary, dictionary.by_name(name).unwrap());
        assert_eq!(why("number"), None);
        for name in ["ascend", "tagged", "old"] {
            assert!(why(name).is_some(), "{name}");
        }
    }
}
