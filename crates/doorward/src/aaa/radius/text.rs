//! Attributes as text, for records and log lines.

use doorward_radius::attribute::{Attribute, Attributes, kind};

/// Forms of values.
enum Form {
    Text,
    Number,
    Address,
}

/// What accounting is mostly made of, under the names of the RFCs; anything else is shown by its number.
fn known(kind: u8) -> Option<(&'static str, Form)> {
    use Form::{Address, Number, Text};
    Some(match kind {
        1 => ("User-Name", Text),
        4 => ("NAS-IP-Address", Address),
        5 => ("NAS-Port", Number),
        6 => ("Service-Type", Number),
        7 => ("Framed-Protocol", Number),
        8 => ("Framed-IP-Address", Address),
        11 => ("Filter-Id", Text),
        14 => ("Login-IP-Host", Address),
        18 => ("Reply-Message", Text),
        27 => ("Session-Timeout", Number),
        28 => ("Idle-Timeout", Number),
        30 => ("Called-Station-Id", Text),
        31 => ("Calling-Station-Id", Text),
        32 => ("NAS-Identifier", Text),
        40 => ("Acct-Status-Type", Number),
        41 => ("Acct-Delay-Time", Number),
        42 => ("Acct-Input-Octets", Number),
        43 => ("Acct-Output-Octets", Number),
        44 => ("Acct-Session-Id", Text),
        45 => ("Acct-Authentic", Number),
        46 => ("Acct-Session-Time", Number),
        47 => ("Acct-Input-Packets", Number),
        48 => ("Acct-Output-Packets", Number),
        49 => ("Acct-Terminate-Cause", Number),
        50 => ("Acct-Multi-Session-Id", Text),
        51 => ("Acct-Link-Count", Number),
        52 => ("Acct-Input-Gigawords", Number),
        53 => ("Acct-Output-Gigawords", Number),
        55 => ("Event-Timestamp", Number),
        61 => ("NAS-Port-Type", Number),
        77 => ("Connect-Info", Text),
        85 => ("Acct-Interim-Interval", Number),
        87 => ("NAS-Port-Id", Text),
        _ => return None,
    })
}

/// An attribute as `name=value`; `None` for those that say nothing about the event, or must not be kept.
pub(super) fn argument(attribute: &Attribute<'_>) -> Option<String> {
    match attribute.kind {
        kind::MESSAGE_AUTHENTICATOR | kind::PROXY_STATE => return None,
        kind::USER_PASSWORD | kind::CHAP_PASSWORD | kind::TUNNEL_PASSWORD => return None,
        _ => {}
    }
    if let Some((vendor, inner)) = attribute.vendor() {
        let inner: Vec<String> = inner
            .iter()
            .map(|one| format!("Attr-26.{vendor}.{}={}", one.kind, octets(one.value)))
            .collect();
        return Some(inner.join(" "));
    }
    let value = attribute.value;
    let Some((name, form)) = known(attribute.kind) else {
        return Some(format!("Attr-{}={}", attribute.kind, octets(value)));
    };
    let shown = match (form, attribute.integer()) {
        (Form::Text, _) => of(Some(value)),
        (Form::Number, Some(number)) => number.to_string(),
        (Form::Address, Some(number)) => std::net::Ipv4Addr::from(number).to_string(),
        (Form::Number | Form::Address, None) => octets(value),
    };
    Some(format!("{name}={shown}"))
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
