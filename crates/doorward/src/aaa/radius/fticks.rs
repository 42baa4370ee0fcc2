//! `[fticks]`: what the statistics of a federation say of a login that was passed on (draft-johansson-fticks-00).
//!
//! ```text
//! F-TICKS/eduroam/1.0#REALM=example.org#VISCOUNTRY=NL#VISINST=1example.net#CSI=5f1d...#RESULT=OK#
//! ```
//!
//! `#` ends a value, so that no value has one. Of the user only the realm is said, never the name.

use std::fmt::Write as _;
use std::time::Instant;

use aws_lc_rs::hmac;
use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::{RawPacket, Secret, realm};
use jiff::Timestamp;

use super::Service;
use crate::aaa::{Outcome, Refused, Snapshot};
use crate::accounting::{Tick, invisible};
use crate::config::{FTicks, Station};

/// Operator-Name (RFC 5580 section 4.1).
const OPERATOR_NAME: u8 = 126;

/// The namespace of realms in an Operator-Name (RFC 5580 section 4.1).
const REALMS: char = '1';

/// Characters of a value: as many as a name of the DNS may have.
const LONGEST: usize = 253;

/// What is said of a station of which nothing is said.
const UNDISCLOSED: &str = "undisclosed";

/// Hexadecimal digits of a MAC address, and of its vendor's part.
const DIGITS: usize = 12;
const VENDOR: usize = 6;

impl Service {
    /// One line for a login that a home server has decided: as it came, and as it went on.
    pub(super) fn tick(
        &self,
        snapshot: &Snapshot,
        asked: &RawPacket,
        passed_on: &RawPacket,
        outcome: Outcome,
    ) {
        let Some(settings) = &snapshot.config.fticks else {
            return;
        };
        let asked = Attributes::new(asked.attributes()).unwrap_or_default();
        let passed_on = Attributes::new(passed_on.attributes()).unwrap_or_default();
        let login = Login {
            user: asked.first(kind::USER_NAME).unwrap_or_default(),
            // A route may have set it.
            operator: passed_on.first(OPERATOR_NAME),
            station: asked.first(kind::CALLING_STATION_ID).unwrap_or_default(),
            device: &self.peer.device,
            accepted: outcome == Outcome::Pass,
        };
        let tick = Tick {
            at: Timestamp::now(),
            line: line(settings, &login),
        };
        if self.aaa.ticks.add(tick) {
            return;
        }
        let reason = Refused::TickDropped;
        self.aaa.metrics.refused.add(reason);
        if let Some(more) = self.aaa.refusals.admit(reason, Instant::now()) {
            tracing::warn!(
                reason = reason.name(),
                more_since_last_line = more,
                "{}",
                reason.sentence()
            );
        }
    }
}

/// What a line is made of.
struct Login<'a> {
    user: &'a [u8],
    operator: Option<&'a [u8]>,
    station: &'a [u8],
    device: &'a str,
    accepted: bool,
}

fn line(settings: &FTicks, login: &Login<'_>) -> String {
    let realm = realm::of(login.user).unwrap_or_default();
    let institution = match (login.operator, &settings.institution) {
        (Some(name), _) => value(&String::from_utf8_lossy(name)),
        (None, Some(own)) => format!("{REALMS}{own}"),
        (None, None) => value(login.device),
    };
    format!(
        "F-TICKS/eduroam/1.0#REALM={}#VISCOUNTRY={}#VISINST={institution}#CSI={}#RESULT={}#",
        value(realm).to_lowercase(),
        settings.country,
        station(&settings.station, login.station),
        if login.accepted { "OK" } else { "FAIL" },
    )
}

/// As it can stand in a line: without what ends a value or a line, and not longer than names are.
fn value(text: &str) -> String {
    let fits = |char: &char| *char != '#' && !char.is_whitespace() && !invisible(*char);
    text.chars().filter(fits).take(LONGEST).collect()
}

fn station(what: &Station, octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    if octets.is_empty() {
        return String::new();
    }
    match what {
        Station::Undisclosed => UNDISCLOSED.to_owned(),
        Station::Full => value(&text),
        Station::Hashed(key) => match mac(&text) {
            Some(digits) => hashed(key, digits.as_bytes()),
            None => hashed(key, octets),
        },
        Station::VendorAndHashed(key) => match mac(&text) {
            Some(digits) => {
                let (vendor, _) = digits.split_at(VENDOR);
                let mut out = String::new();
                for (index, digit) in vendor.chars().enumerate() {
                    out.push(digit);
                    if index % 2 == 1 {
                        out.push('-');
                    }
                }
                out + &hashed(key, digits.as_bytes())
            }
            // It has no vendor's part that could be shown.
            None => hashed(key, octets),
        },
    }
}

/// The digits of a MAC address in whatever form devices write it, some with more behind a `;`: one station is the same everywhere.
fn mac(text: &str) -> Option<String> {
    let (address, _) = text.split_once(';').unwrap_or((text, ""));
    let is_part = |char: char| char.is_ascii_hexdigit() || matches!(char, '-' | ':' | '.');
    if !address.chars().all(is_part) {
        return None;
    }
    let digits: String = address
        .chars()
        .filter(char::is_ascii_hexdigit)
        .map(|digit| digit.to_ascii_lowercase())
        .collect();
    (digits.len() == DIGITS).then_some(digits)
}

fn hashed(key: &Secret, octets: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.octets());
    let tag = hmac::sign(&key, octets);
    let mut out = String::with_capacity(2 * tag.as_ref().len());
    for octet in tag.as_ref() {
        // Writing to a String cannot fail.
        _ = write!(out, "{octet:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Facility, HostPort, Syslog, SyslogTarget};

    fn settings(institution: Option<&str>, station: Station) -> FTicks {
        let place = HostPort {
            host: "192.0.2.1".to_owned(),
            port: 514,
        };
        FTicks {
            syslog: Syslog {
                target: SyslogTarget::Udp(place),
                facility: Facility::default(),
                max_message: 2048,
                host_name: "aaa1".into(),
            },
            institution: institution.map(Into::into),
            country: "NL".into(),
            station,
        }
    }

    fn key() -> Secret {
        Secret::new(b"a-key-of-some-length")
    }

    const LOGIN: Login<'static> = Login {
        user: b"Alice@Example.ORG",
        operator: None,
        station: b"AA-BB-CC-DD-EE-FF",
        device: "wifi1",
        accepted: true,
    };

    /// HMAC-SHA256 of `aabbccddeeff`, made with another program.
    const HASH: &str = "4c38286e2ec91771a345f0680ef76db397a876991d9b8f8bf24faa3946233c3f";

    #[test]
    fn a_line_has_the_realm_and_never_the_name() {
        let settings = settings(Some("example.net"), Station::Undisclosed);
        let said = line(&settings, &LOGIN);
        assert_eq!(
            said,
            "F-TICKS/eduroam/1.0#REALM=example.org#VISCOUNTRY=NL#VISINST=1example.net#CSI=undisclosed#RESULT=OK#"
        );
        for (user, realm) in [
            (&b"a@b@Sub.Example.org"[..], "sub.example.org"),
            (b"alice", ""),
            (b"alice@", ""),
            (b"", ""),
            (b"a@\xff", ""),
            (b"a@x#RESULT=OK#y\n<0>1", "xresult=oky<0>1"),
            ("a@b\u{202e}c".as_bytes(), "bc"),
        ] {
            let login = Login {
                user,
                accepted: false,
                ..LOGIN
            };
            let said = line(&settings, &login);
            assert_eq!(said.split('#').nth(1), Some(&*format!("REALM={realm}")));
            assert!(said.ends_with("#RESULT=FAIL#"), "{said}");
            assert_eq!(said.matches('#').count(), 6, "{said}");
        }
    }

    #[test]
    fn the_institution_is_what_the_device_says_then_ours_then_the_device() {
        let visited = |institution, operator| {
            let login = Login { operator, ..LOGIN };
            let said = line(&settings(institution, Station::Undisclosed), &login);
            said.split('#').nth(3).unwrap().to_owned()
        };
        let other: Option<&[u8]> = Some(b"1other.example");
        assert_eq!(visited(Some("a.example"), other), "VISINST=1other.example");
        assert_eq!(visited(Some("a.example"), None), "VISINST=1a.example");
        assert_eq!(visited(None, None), "VISINST=wifi1");
        let long = "x".repeat(300);
        let cut = visited(None, Some(long.as_bytes()));
        assert_eq!(cut.len(), "VISINST=".len() + LONGEST);
    }

    #[test]
    fn a_station_is_one_hash_in_whatever_form_it_is_written() {
        let of = |what: &Station, octets: &[u8]| station(what, octets);
        for form in [
            &b"AA-BB-CC-DD-EE-FF"[..],
            b"aa:bb:cc:dd:ee:ff",
            b"aabb.ccdd.eeff",
            b"aabbccddeeff",
            b"AABBCCDDEEFF;eduroam",
        ] {
            assert_eq!(of(&Station::Hashed(key()), form), HASH);
            let vendor = of(&Station::VendorAndHashed(key()), form);
            assert_eq!(vendor, format!("aa-bb-cc-{HASH}"));
            assert_eq!(of(&Station::Undisclosed, form), "undisclosed");
        }
        // What is no MAC address has no vendor, and is hashed as it is.
        let address = "16c57f9773493c56bda6fe028f139590c93065621db085d0ae71458edd00cb80";
        for what in [Station::Hashed(key()), Station::VendorAndHashed(key())] {
            assert_eq!(of(&what, b"192.0.2.7"), address);
            assert_eq!(of(&what, b""), "");
        }
        assert_eq!(of(&Station::Full, b"AA-BB\n#C"), "AA-BBC");
    }
}
