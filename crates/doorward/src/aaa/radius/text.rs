//! Attributes as text, for records and log lines.

use doorward_radius::attribute::{Attribute, Attributes, kind};
use doorward_radius::dictionary::Hiding;

use crate::config;

/// An attribute as `name=value`; `None` for those that say nothing about the event, or must not be kept.
pub(super) fn argument(attribute: &Attribute<'_>) -> Option<String> {
    match attribute.kind {
        kind::MESSAGE_AUTHENTICATOR | kind::PROXY_STATE => return None,
        kind::USER_PASSWORD | kind::CHAP_PASSWORD | kind::TUNNEL_PASSWORD => return None,
        _ => {}
    }
    if let Some((vendor, inner)) = attribute.vendor() {
        let inner = inner.iter();
        let shown: Vec<String> = inner
            .filter_map(|one| named(Some(vendor), one.kind, one.value))
            .collect();
        return (!shown.is_empty()).then(|| shown.join(" "));
    }
    named(None, attribute.kind, attribute.value)
}

/// A value under the name of the dictionary, else by its number; `None` for what is hidden.
fn named(vendor: Option<u32>, kind: u8, value: &[u8]) -> Option<String> {
    let Some(known) = config::dictionary().by_number(vendor, &[kind.into()]) else {
        let number = vendor.map_or_else(
            || format!("Attr-{kind}"),
            |vendor| format!("Attr-26.{vendor}.{kind}"),
        );
        return Some(format!("{number}={}", octets(value)));
    };
    if known.hidden != Hiding::None {
        return None;
    }
    let (name, value) = config::named(known, value);
    Some(format!("{name}={value}"))
}

/// Text where it is such, hexadecimal digits otherwise.
fn octets(value: &[u8]) -> String {
    if value.iter().all(|octet| matches!(octet, 0x20..=0x7e)) {
        return of(Some(value));
    }
    let digits = value.iter().map(|octet| format!("{octet:02x}"));
    format!("0x{}", digits.collect::<String>())
}

/// A text of a request; empty where there is none.
pub(super) fn of(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// Where on the device: its own name for the port, else the number.
pub(super) fn port(attributes: &Attributes<'_>) -> String {
    if let Some(name) = attributes.first(kind::NAS_PORT_ID) {
        return of(Some(name));
    }
    let number = attributes.integer(kind::NAS_PORT);
    number.map_or_else(String::new, |number| number.to_string())
}

/// A text in parts of so many octets at most, each of whole characters.
pub(super) fn parts(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(most);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (part, tail) = rest.split_at(end);
        rest = tail;
        Some(part)
    })
}
