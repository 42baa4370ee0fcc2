//! Attributes as text, for records and log lines.

use doorward_radius::attribute::{Attribute, Attributes, kind};
use doorward_radius::dictionary::Dictionary;

/// An attribute as `name=value`; `None` for those that say nothing about the event, or must not be kept.
pub(super) fn argument(dictionary: &Dictionary, attribute: &Attribute<'_>) -> Option<String> {
    match attribute.kind {
        kind::MESSAGE_AUTHENTICATOR | kind::PROXY_STATE | kind::CHAP_PASSWORD => return None,
        _ => {}
    }
    let all = dictionary.describe(attribute).into_iter();
    let shown: Vec<String> = all
        .filter_map(|one| Some(format!("{}={}", one.name, one.value?)))
        .collect();
    (!shown.is_empty()).then(|| shown.join(" "))
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
