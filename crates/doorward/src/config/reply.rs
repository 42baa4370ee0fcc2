//! `radius` of a role: attributes of an Access-Accept, by their names.

use doorward_radius::attribute::kind;
use doorward_radius::dictionary::{Attribute, Dictionary, Hiding, Kind, VendorFormat};

use super::report::Report;
use super::source::{Span, escape};
use super::tree::{Entry, Node, Value};
use super::value;
use crate::policy::ReplyAttribute;

/// What an Access-Accept holds besides what the server adds: less than a packet, more than any device reads.
const OCTETS: usize = 3500;

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
    let octets: usize = attributes.iter().map(|one| one.value.len() + 8).sum();
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
    let number;
    let text = match &node.value {
        Value::String(text) => text.as_str(),
        Value::Integer(integer) => {
            number = integer.to_string();
            &number
        }
        Value::Number
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Array(_)
        | Value::Table(_)
        | Value::Null => {
            value::wrong(
                report,
                node,
                &entry.key,
                "a string, a number, or a list of them",
            );
            return None;
        }
    };
    let pair = match dictionary.parse_pair(&entry.key, text) {
        Ok(pair) => pair,
        Err(error) => {
            let name = entry.key.split(':').next().unwrap_or_default();
            let known = dictionary.by_name(name).is_some();
            let span = if known { node.span } else { entry.key_span };
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
    let (vendor, value) = (pair.attribute.vendor, pair.tagged_octets());
    let shown = dictionary.shown(vendor, &pair.attribute.path, &value);
    Some(ReplyAttribute {
        vendor,
        path,
        value,
        name: shown.name,
        // Roles have no hidden ones.
        text: shown.value.unwrap_or_default(),
    })
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
    if attribute.hidden != Hiding::None {
        return Some("is a secret, which a role cannot have yet");
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
        ] {
            assert_eq!(why_not(name), None, "{name}");
        }
        for name in [
            "User-Password",
            "Tunnel-Password",
            "Acct-Session-Id",
            "EAP-Message",
        ] {
            assert!(why_not(name).is_some(), "{name}");
        }
    }
}
