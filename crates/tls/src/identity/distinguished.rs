//! Distinguished names as text in the form of RFC 4514, and a canonical form to compare them by.

use std::fmt::Write as _;

use x509_parser::asn1_rs::Tag;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Short names that RFC 4514 section 3 and common tools use.
const TYPES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// A name in both forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DistinguishedName {
    /// For people: most specific part first, as RFC 4514 writes it.
    pub(crate) text: String,
    /// For comparison: types as OIDs, values in lower case with single spaces, parts of one RDN sorted.
    pub(crate) canonical: String,
}

impl DistinguishedName {
    /// Takes a name out of a certificate.
    pub(crate) fn from_certificate(name: &X509Name<'_>) -> Self {
        let mut parts: Vec<Vec<(String, String)>> = name
            .iter_rdn()
            .map(|rdn| {
                rdn.iter()
                    .map(|part| (part.attr_type().to_id_string(), value_text(part)))
                    .collect()
            })
            .collect();
        parts.reverse();
        Self::from_parts(parts)
    }

    /// Reads the form of RFC 4514; `None` when it is not that.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = vec![Vec::new()];
        let mut rest = text;
        loop {
            let (kind, after) = rest.split_once('=')?;
            let (value, end, after) = read_value(after)?;
            parts.last_mut()?.push((type_oid(kind.trim())?, value));
            match end {
                None => return Some(Self::from_parts(parts)),
                Some('+') => {}
                Some(_) => parts.push(Vec::new()),
            }
            rest = after;
        }
    }

    fn from_parts(parts: Vec<Vec<(String, String)>>) -> Self {
        let text = joined(&parts, |(oid, value)| {
            format!("{}={}", type_name(oid), escaped(value))
        });
        let mut folded = parts;
        for rdn in &mut folded {
            for (_, value) in rdn.iter_mut() {
                *value = fold(value);
            }
            rdn.sort();
        }
        let canonical = joined(&folded, |(oid, value)| format!("{oid}={}", escaped(value)));
        Self { text, canonical }
    }
}

fn joined(parts: &[Vec<(String, String)>], one: impl Fn(&(String, String)) -> String) -> String {
    let rdns: Vec<String> = parts
        .iter()
        .map(|rdn| rdn.iter().map(&one).collect::<Vec<_>>().join("+"))
        .collect();
    rdns.join(",")
}

/// Case and runs of spaces do not tell names apart (a small part of RFC 4518, enough for what CAs write).
fn fold(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

fn type_name(oid: &str) -> &str {
    TYPES
        .iter()
        .find(|(known, _)| *known == oid)
        .map_or(oid, |(_, name)| name)
}

fn type_oid(name: &str) -> Option<String> {
    let known = TYPES
        .iter()
        .find(|(_, short)| short.eq_ignore_ascii_case(name));
    if let Some((oid, _)) = known {
        return Some((*oid).to_owned());
    }
    super::matching::is_oid(name).then(|| name.to_owned())
}

/// RFC 4514 section 2.4, and every control character as hexadecimal so that no log line is broken by one.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => {
                text.push('\\');
                text.push(character);
            }
            '#' if at == 0 => text.push_str("\\#"),
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            control if control.is_control() => {
                let mut octets = [0; 4];
                for octet in control.encode_utf8(&mut octets).bytes() {
                    let _ = write!(text, "\\{octet:02X}");
                }
            }
            other => text.push(other),
        }
    }
    text
}

/// The value in front of the next separator, that separator, and what follows it.
fn read_value(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start();
    let mut octets = Vec::new();
    let mut kept = 0; // octets that are not unescaped trailing space
    let mut characters = text.char_indices();
    let mut buffer = [0; 4];
    while let Some((at, character)) = characters.next() {
        match character {
            ',' | ';' | '+' => {
                octets.truncate(kept);
                let rest = text.get(at + 1..)?;
                return String::from_utf8(octets)
                    .ok()
                    .map(|value| (value, Some(character), rest));
            }
            '\\' => {
                let (_, next) = characters.next()?;
                match next.to_digit(16) {
                    Some(high) => {
                        let (_, low) = characters.next()?;
                        octets.push(u8::try_from(high << 4 | low.to_digit(16)?).ok()?);
                    }
                    None => octets.extend_from_slice(next.encode_utf8(&mut buffer).as_bytes()),
                }
                kept = octets.len();
            }
            '"' | '<' | '>' => return None,
            other => {
                octets.extend_from_slice(other.encode_utf8(&mut buffer).as_bytes());
                if other != ' ' {
                    kept = octets.len();
                }
            }
        }
    }
    octets.truncate(kept);
    String::from_utf8(octets)
        .ok()
        .map(|value| (value, None, ""))
}

fn value_text(part: &AttributeTypeAndValue<'_>) -> String {
    let octets = part.as_slice();
    let tag = part.attr_value().tag();
    if tag == Tag::BmpString {
        let units = octets.chunks_exact(2).map(|pair| {
            pair.iter()
                .fold(0, |sum, &octet| sum << 8 | u16::from(octet))
        });
        return char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
    }
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => octets.iter().fold(String::from("#"), |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_regard_to_case_spaces_and_order_inside_an_rdn() {
        let one = DistinguishedName::parse("CN=Core  One,OU=a+O=Example\\, Inc.,C=NL").unwrap();
        let other =
            DistinguishedName::parse("cn = core one , o=example\\2C inc.+ou=A, c=nl").unwrap();
        assert_eq!(one.canonical, other.canonical);
        assert_eq!(one.text, "CN=Core  One,OU=a+O=Example\\, Inc.,C=NL");
        let reversed = DistinguishedName::parse("C=NL,OU=a+O=Example\\, Inc.,CN=Core One").unwrap();
        assert_ne!(one.canonical, reversed.canonical);
    }

    #[test]
    fn text_that_is_no_distinguished_name_is_refused() {
        for bad in [
            "",
            "CN",
            "CN=a,",
            "nosuchtype=a",
            "CN=a\\",
            "CN=\"a\"",
            "CN=a\\f",
        ] {
            assert!(DistinguishedName::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn control_characters_never_reach_the_text() {
        assert_eq!(escaped("a\n\0b"), "a\\0A\\00b");
    }
}
