//! `psk = { identity = "..", key = REF }` of a device, and that no key is used for anything else.

use std::collections::HashMap;
use std::sync::Arc;

use doorward_tls::{PskError, PskIdentity, PskKey};
use zeroize::Zeroizing;

use super::device::ReadDevice;
use super::report::Report;
use super::section::{Section, hide};
use super::source::{Span, escape};
use super::tree::Node;
use super::{Surroundings, secret, value};

/// How an identity of a key begins among the identities of devices.
pub(super) const PSK: &str = "psk ";

/// The pre-shared key of a device.
#[derive(Clone, Debug)]
pub struct DevicePsk {
    /// By what it names the key in the hello.
    pub identity: PskIdentity,
    /// The key.
    pub key: Arc<PskKey>,
    /// The key as it is written in its file: a secret that looks the same is the same.
    text: Zeroizing<Vec<u8>>,
}

impl DevicePsk {
    /// The octets that a secret must not have: those of the key, and those of its file.
    pub(super) fn looks(&self) -> [&[u8]; 2] {
        [self.key.octets(), &self.text]
    }
}

/// A key by what its text looks like: hexadecimal digits, or else base64.
///
/// # Errors
/// It is neither, or too short or too long.
pub fn key_from_text(text: &str) -> Result<PskKey, PskError> {
    if text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        PskKey::from_hex(text)
    } else {
        PskKey::from_base64(text)
    }
}

pub(super) fn read(
    report: &mut Report,
    surroundings: &Surroundings,
    title: &str,
    node: &Node,
    identities: &mut Vec<(String, Span)>,
) -> Option<DevicePsk> {
    if node.as_table().is_none() {
        hide(report, node);
    }
    let mut section = Section::new(report, format!("`psk` of {title}"), node)?;
    let identity = identity(report, &mut section, node.span);
    let key = section.required(report, "key").and_then(|node| {
        let octets = secret::resolve(report, surroundings, "key", node)?;
        let text = Zeroizing::new(octets.to_vec());
        let read = std::str::from_utf8(&text).map_err(|_| PskError::NotBase64);
        match read.and_then(key_from_text) {
            Ok(key) => Some((key, text)),
            Err(error) => {
                report
                    .error(
                        node.span,
                        format!("the key of `psk` cannot be used: {error}"),
                    )
                    .help("`doorward device psk NAME` makes a good one: 64 hexadecimal digits");
                None
            }
        }
    });
    section.finish(report);
    let ((identity, place), (key, text)) = (identity?, key?);
    identities.push((format!("{PSK}{identity}"), place));
    Some(DevicePsk {
        identity,
        key: Arc::new(key),
        text,
    })
}

/// `identity` or `identity_hex`.
fn identity(
    report: &mut Report,
    section: &mut Section<'_>,
    span: Span,
) -> Option<(PskIdentity, Span)> {
    let plain = section.value("identity");
    let hex = section.value("identity_hex");
    let Some(node) = plain.or(hex) else {
        report
            .error(span, "`psk` has no `identity`")
            .help("write `identity = \"core1.example.net\"`, as the device sends it; `identity_hex` for octets that are no text");
        return None;
    };
    let read = match plain {
        Some(node) => {
            let text = value::text(report, "identity", node)?;
            Some(PskIdentity::new(text.as_bytes()))
        }
        None => None,
    };
    let digits = match hex {
        Some(node) => {
            let read = PskIdentity::from_hex(value::text(report, "identity_hex", node)?);
            if read == Err(PskError::NotHex) {
                report
                    .error(
                        node.span,
                        "`identity_hex` is not made of pairs of hexadecimal digits",
                    )
                    .help("write \"636f726531\" for core1");
                return None;
            }
            Some(read)
        }
        None => None,
    };
    if let (Some(text), Some(digits), Some(node)) = (&read, &digits, hex)
        && text != digits
    {
        report
            .error(
                node.span,
                "`identity_hex` says something else than `identity`",
            )
            .help("leave one of them");
        return None;
    }
    match read.or(digits)? {
        Ok(identity) => Some((identity, node.span)),
        Err(error) => {
            report
                .error(node.span, format!("this identity cannot be used: {error}"))
                .help("take from 1 to 512 octets, a name of the device for example");
            None
        }
    }
}

/// A key is for one device, and for TLS alone (RFC 9887 section 3.5, RFC 9257 section 4).
pub(super) fn used_once(report: &mut Report, devices: &[ReadDevice]) {
    let mut secrets: HashMap<&[u8], (&ReadDevice, &str, Span)> = HashMap::new();
    for read in devices {
        for (key, secret, span) in read.shared_secrets() {
            let octets = secret.key.octets();
            secrets.entry(octets).or_insert((read, key, span));
        }
    }
    let mut keys: HashMap<&[u8], &ReadDevice> = HashMap::new();
    for read in devices {
        let (Some(psk), Some(place)) = (&read.device.psk, read.psk) else {
            continue;
        };
        let name = escape(&read.device.name);
        let looks = psk.looks();
        if let Some((other, key, span)) = looks.iter().find_map(|look| secrets.get(look)) {
            let other = escape(&other.device.name);
            report
                .error(
                    place,
                    format!("the pre-shared key of [device.{name}] is also the `{key}` of [device.{other}]"),
                )
                .see(*span, "the secret")
                .help("a key for TLS is used for nothing else (RFC 9887 section 3.5, RFC 6614bis section 7.7): make a new one with `doorward device psk`");
        }
        if let Some(other) = keys.insert(psk.key.octets(), read) {
            let other = escape(&other.device.name);
            report
                .error(
                    place,
                    format!("[device.{name}] and [device.{other}] have one pre-shared key"),
                )
                .help("whoever has the key of one could be the other: give each its own, by `doorward device psk`");
        }
    }
}
