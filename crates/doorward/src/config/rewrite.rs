//! `rewrite` and `rewrite_answer` of a `[[route]]`: what a proxy changes, by the names of the dictionary.

use doorward_radius::attribute::kind;
use doorward_radius::dictionary::{Attribute, Dictionary, Hiding, VendorFormat};
use doorward_radius::rewrite::{AttributeName, Rewrite};

use super::report::Report;
use super::section::{Section, hide};
use super::source::{Span, escape};
use super::tree::Node;
use super::{reply, value};

/// Reads the table; `title` is the key.
pub(super) fn read(
    report: &mut Report,
    dictionary: &Dictionary,
    title: &'static str,
    node: &Node,
) -> Rewrite {
    let mut rewrite = Rewrite::default();
    let name = format!("`{title}` of a [[route]]");
    let Some(mut section) = Section::new(report, name, node) else {
        return rewrite;
    };
    if let Some(node) = section.value("allow") {
        let names = names(report, dictionary, "allow", node);
        rewrite.allow = Some(names).filter(|names| !names.is_empty());
    }
    if let Some(node) = section.value("remove") {
        rewrite.remove = names(report, dictionary, "remove", node);
    }
    for (key, first) in [("set", true), ("add", false)] {
        let Some(node) = section.value(key) else {
            continue;
        };
        for (name, values) in values(report, dictionary, key, node) {
            // Of several values the first takes the place of what was there, and the others stand beside it.
            let mut values = values.into_iter();
            if first && let Some(value) = values.next() {
                rewrite.set.push((name.clone(), value));
            }
            rewrite
                .add
                .extend(values.map(|value| (name.clone(), value)));
        }
    }
    section.finish(report);
    rewrite
}

/// What must be left to the two ends, or is made anew by every hop, and why.
fn reserved(attribute: &Attribute) -> Option<&'static str> {
    let [number] = attribute.path.as_slice() else {
        return None;
    };
    let number = u8::try_from(*number).ok()?;
    if attribute.vendor.is_some() {
        return None;
    }
    match number {
        kind::USER_PASSWORD | kind::CHAP_PASSWORD | kind::CHAP_CHALLENGE => {
            Some("proves who the user is: only the server that judges it may have an opinion")
        }
        kind::MESSAGE_AUTHENTICATOR => Some("is made anew for every hop"),
        kind::PROXY_STATE => Some("is how the answer finds its way back"),
        kind::STATE | kind::EAP_MESSAGE => {
            Some("belongs to the conversation of the user and the server that judges it")
        }
        _ => None,
    }
}

/// A list of names: of attributes, or of vendors for all that is theirs.
fn names(
    report: &mut Report,
    dictionary: &Dictionary,
    key: &'static str,
    node: &Node,
) -> Vec<AttributeName> {
    let mut found = Vec::new();
    for (text, node) in value::texts(report, key, node) {
        let Some(attribute) = dictionary.by_name(text) else {
            if let Some(vendor) = dictionary.vendor_by_name(text) {
                found.push(AttributeName {
                    vendor: Some(vendor.number),
                    path: Vec::new(),
                });
            } else {
                unknown(report, dictionary, text, node.span);
            }
            continue;
        };
        if key != "allow"
            && let Some(why) = reserved(attribute)
        {
            refuse(report, node.span, attribute, why);
            continue;
        }
        match name(dictionary, attribute) {
            Some(name) => found.push(name),
            None => refuse(report, node.span, attribute, FORM),
        }
    }
    found
}

/// Why an attribute cannot be told apart in a packet.
const FORM: &str = "has a form this version cannot tell apart";

fn unknown(report: &mut Report, dictionary: &Dictionary, text: &str, span: Span) {
    let near = dictionary.suggest(text);
    report
        .error(span, format!("`{}` is no attribute of the dictionary", escape(text)))
        .help("the names are those of the RFCs, for vendors those that FreeRADIUS has too, and of vendors themselves; `dictionaries` of [radius] adds more")
        .suggest(near);
}

fn refuse(report: &mut Report, span: Span, attribute: &Attribute, why: &str) {
    report
        .error(span, format!("{} {why}", escape(&attribute.name)))
        .help("take it out");
}

fn name(dictionary: &Dictionary, attribute: &Attribute) -> Option<AttributeName> {
    let own = |vendor| dictionary.format(vendor) == VendorFormat::default();
    let numbers = attribute.path.iter().map(|number| u8::try_from(*number));
    let path = numbers.collect::<Result<Vec<u8>, _>>().ok()?;
    let known = match (attribute.vendor, path.as_slice()) {
        (Some(vendor), [_]) => own(vendor),
        (Some(_), [241..=246, 26, _]) | (None, [_] | [241..=246, _]) => true,
        _ => false,
    };
    known.then_some(AttributeName {
        vendor: attribute.vendor,
        path,
    })
}

/// A table of attributes: the name and its values.
fn values(
    report: &mut Report,
    dictionary: &Dictionary,
    key: &'static str,
    node: &Node,
) -> Vec<(AttributeName, Vec<Vec<u8>>)> {
    let Some(entries) = node.as_table() else {
        value::wrong(report, node, key, "a table of attributes");
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        let (bare, _) = entry.key.rsplit_once(':').unwrap_or((&entry.key, ""));
        let Some(attribute) = dictionary.by_name(bare) else {
            // A misspelt name may stand before a secret.
            hide(report, &entry.value);
            unknown(report, dictionary, bare, entry.key_span);
            continue;
        };
        let hidden = (attribute.hidden != Hiding::None).then_some(
            "is hidden on the wire, with a key of one hop: a route can only remove it or let it pass",
        );
        if let Some(why) = reserved(attribute).or(hidden) {
            hide(report, &entry.value);
            refuse(report, entry.key_span, attribute, why);
            continue;
        }
        let Some(path) = reply::path(dictionary, attribute) else {
            refuse(
                report,
                entry.key_span,
                attribute,
                "has a form this version cannot send",
            );
            continue;
        };
        let one = std::slice::from_ref(&entry.value);
        let list = entry.value.as_list().unwrap_or(one);
        let read = list
            .iter()
            .filter_map(|node| octets(report, dictionary, &entry.key, node));
        let values: Vec<Vec<u8>> = read.collect();
        if list.is_empty() {
            let message = format!("`{}` of `{key}` has no value", escape(&entry.key));
            report
                .error(entry.value.span, message)
                .help("write a value, or name the attribute in `remove`");
        }
        let vendor = attribute.vendor;
        found.push((AttributeName { vendor, path }, values));
    }
    found
}

/// The value as a packet has it.
fn octets(report: &mut Report, dictionary: &Dictionary, key: &str, node: &Node) -> Option<Vec<u8>> {
    let text = value::string_or_number(report, key, node)?;
    match dictionary.parse_pair(key, &text) {
        Ok(pair) => Some(pair.tagged_octets()),
        Err(error) => {
            report.error(node.span, error.to_string());
            None
        }
    }
}
