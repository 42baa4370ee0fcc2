//! `[fticks]`: where a line about each roaming login goes, and what it says of whom.

use std::sync::Arc;

use doorward_radius::Secret;

use super::file::Document;
use super::report::Report;
use super::section::Section;
use super::sink::Syslog;
use super::source::{Span, escape};
use super::syslog::{self, Known};
use super::tree::Node;
use super::{Surroundings, secret, value};

/// `[fticks]`: statistics of a federation (draft-johansson-fticks), one line of syslog for each login that was passed on.
#[derive(Clone, Debug)]
pub struct FTicks {
    /// The receiver.
    pub syslog: Syslog,
    /// `realm`, in lower case: the institution that the devices belong to. `None` = each device is named.
    pub institution: Option<Arc<str>>,
    /// `country`: the visited one, as ISO 3166 writes it.
    pub country: Arc<str>,
    /// `mac`: what is said of the station.
    pub station: Station,
}

impl FTicks {
    /// What the figures of sinks call it.
    pub const NAME: &str = "fticks";
}

/// What a line says of a Calling-Station-Id.
#[derive(Clone, Debug)]
pub enum Station {
    /// Nothing.
    Undisclosed,
    /// All of it.
    Full,
    /// Its HMAC-SHA256 with the `key`.
    Hashed(Secret),
    /// The vendor's part of a MAC address, then the same.
    VendorAndHashed(Secret),
}

/// `mac` as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mac {
    Off,
    Full,
    KeyedHash,
    VendorKeyedHash,
}

const MACS: [(&str, Mac); 4] = [
    ("keyed-hash", Mac::KeyedHash),
    ("vendor-keyed-hash", Mac::VendorKeyedHash),
    ("full", Mac::Full),
    ("off", Mac::Off),
];

/// Octets of a `key` at least. There are few MAC addresses: whoever guesses the key finds them all again.
const LEAST: usize = 16;

pub(super) fn fticks(
    report: &mut Report,
    document: &Document<'_>,
    surroundings: &Surroundings,
    known: &Known<'_>,
) -> Option<FTicks> {
    let entry = document.single(report, "fticks")?;
    let mut section = Section::new(report, "[fticks]", &entry.value)?;
    let keys = syslog::Keys::read(report, &mut section);
    let realm = section.value("realm");
    let country = section.required(report, "country");
    let mac = section.value("mac");
    let key = section.value("key");
    section.finish(report);
    let institution = realm.and_then(|node| institution(report, node));
    let country = country.and_then(|node| country_code(report, node));
    let station = station(report, surroundings, entry.key_span, mac, key);
    let (syslog, _) = keys.syslog(report, "fticks", known)?;
    Some(FTicks {
        syslog,
        institution,
        country: country?,
        station: station?,
    })
}

fn institution(report: &mut Report, node: &Node) -> Option<Arc<str>> {
    let text = value::text(report, "realm", node)?;
    let is_label = |label: &str| {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        !label.is_empty() && label.bytes().all(fits)
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Some(text.to_ascii_lowercase().into());
    }
    report
        .error(node.span, format!("`{}` is no realm", escape(text)))
        .help("write the realm of your own institution, as \"example.org\"; without `realm` each device is named");
    None
}

fn country_code(report: &mut Report, node: &Node) -> Option<Arc<str>> {
    let text = value::text(report, "country", node)?;
    if text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_uppercase()) {
        return Some(text.into());
    }
    report
        .error(node.span, format!("`{}` is no country", escape(text)))
        .help("write its two capital letters of ISO 3166, as \"NL\"");
    None
}

/// Without `mac`, what the `key` allows: no address leaves this server because something was left out.
fn station(
    report: &mut Report,
    surroundings: &Surroundings,
    place: Span,
    mac: Option<&Node>,
    key: Option<&Node>,
) -> Option<Station> {
    let chosen = match mac {
        Some(node) => value::choice(report, "mac", node, &MACS)?,
        None if key.is_some() => Mac::KeyedHash,
        None => Mac::Off,
    };
    let secret = match key {
        Some(node) => Some((self::key(report, surroundings, node)?, node.span)),
        None => None,
    };
    match (chosen, secret) {
        (Mac::KeyedHash, Some((key, _))) => Some(Station::Hashed(key)),
        (Mac::VendorKeyedHash, Some((key, _))) => Some(Station::VendorAndHashed(key)),
        (Mac::Full, None) => Some(Station::Full),
        (Mac::Off, None) => Some(Station::Undisclosed),
        (Mac::KeyedHash | Mac::VendorKeyedHash, None) => {
            report
                .error(
                    mac.map_or(place, |node| node.span),
                    "a hash without a `key` hides nothing: all MAC addresses are tried in minutes",
                )
                .help("add `key = \"file:PATH\"` with a random key of this server's own (`openssl rand -base64 24`)");
            None
        }
        (Mac::Full | Mac::Off, Some((_, span))) => {
            report
                .error(span, "`key` is for a hash, and this `mac` is none")
                .help("write `mac = \"keyed-hash\"`, or take `key` out");
            None
        }
    }
}

fn key(report: &mut Report, surroundings: &Surroundings, node: &Node) -> Option<Secret> {
    let octets = secret::resolve(report, surroundings, "key", node)?;
    if octets.len() < LEAST {
        report
            .error(
                node.span,
                format!("the `key` of [fticks] has fewer than {LEAST} octets"),
            )
            .help("whoever guesses it finds every MAC address again: take a random one (`openssl rand -base64 24`)");
        return None;
    }
    Some(Secret::new(&octets))
}
