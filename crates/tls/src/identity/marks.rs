//! What a device is looked up by when a certificate comes, so that a thousand devices cost no more than one.

use std::net::IpAddr;

use super::{CertificateMatch, PeerIdentity};

/// A mark that both a certificate and the device it may belong to have.
///
/// A [`CertificateMatch`] that fits a [`PeerIdentity`] has at least one mark in common with it; the reverse is for
/// [`CertificateMatch::matches`] to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// SHA-256 over the certificate.
    Fingerprint([u8; 32]),
    /// The serial number in lower-case hexadecimal without leading zeros.
    Serial(String),
    /// A DNS name or a realm in lower case, without wildcards: what they are of, the look-up does not ask.
    Name(String),
    /// A name below this one: the device is known by a wildcard.
    Below(String),
    /// A wildcard below this name: the certificate has one, and the device accepts it.
    WildcardBelow(String),
    /// An address.
    Address(IpAddr),
    /// Any address: the device is known by the one it connects from.
    AnyAddress,
    /// A URI as written.
    Uri(String),
    /// A directory name in its canonical form.
    Directory(String),
    /// A certificate policy.
    Policy(String),
}

impl CertificateMatch {
    /// Every identity that this fits has one of these marks. Empty where there is no condition at all, which fits
    /// whatever comes.
    pub fn marks(&self) -> Vec<Mark> {
        // What must hold besides the names tells more than they do, and is one look-up.
        if !self.fingerprint.is_empty() {
            return self
                .fingerprint
                .iter()
                .copied()
                .map(Mark::Fingerprint)
                .collect();
        }
        if let Some(serial) = &self.serial {
            return vec![Mark::Serial(serial.clone())];
        }
        if !self.has_names() {
            return self.policy_oid.iter().cloned().map(Mark::Policy).collect();
        }
        let mut marks = Vec::new();
        for name in self.dns.iter().chain(&self.realm) {
            let (label, parent) = parts(name);
            marks.push(if label == "*" {
                Mark::Below(parent.to_owned())
            } else {
                Mark::Name(name.clone())
            });
            if self.wildcard {
                marks.push(Mark::WildcardBelow(parent.to_owned()));
            }
        }
        marks.extend(self.ip.iter().copied().map(Mark::Address));
        marks.extend(self.peer_address.then_some(Mark::AnyAddress));
        marks.extend(self.uri.iter().cloned().map(Mark::Uri));
        marks.extend(self.directory.iter().cloned().map(Mark::Directory));
        marks
    }
}

impl PeerIdentity {
    /// All that a device could be looked up by.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        let names = self.dns.iter().chain(&self.realms).flat_map(|name| {
            let (label, parent) = parts(name);
            if label == "*" {
                [Some(Mark::WildcardBelow(parent.to_owned())), None]
            } else {
                [
                    Some(Mark::Name(name.clone())),
                    Some(Mark::Below(parent.to_owned())),
                ]
            }
        });
        [
            Mark::Fingerprint(self.fingerprint),
            Mark::Serial(self.serial.clone()),
        ]
        .into_iter()
        .chain(names.flatten())
        .chain(self.ip.iter().copied().map(Mark::Address))
        .chain((!self.ip.is_empty()).then_some(Mark::AnyAddress))
        .chain(self.uri.iter().cloned().map(Mark::Uri))
        .chain(
            self.canonical_directory
                .iter()
                .cloned()
                .map(Mark::Directory),
        )
        .chain(self.policy_oids.iter().cloned().map(Mark::Policy))
    }
}

/// The left-most label, and what follows it.
fn parts(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or(("", name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;

    const NAMES: [&str; 6] = ["r1.a.net", "r2.a.net", "*.a.net", "a.net", "*.net", "r1"];
    const ADDRESSES: [&str; 3] = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
    const URIS: [&str; 2] = ["urn:one", "urn:two"];
    const DIRECTORY: [&str; 2] = ["cn=one", "cn=two"];
    const POLICIES: [&str; 2] = ["1.2.3", "1.2.4"];
    const SERIALS: [&str; 2] = ["1a", "2b"];

    fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
        subsequence(of, 0..=of.len()).prop_map(|some| some.into_iter().map(str::to_owned).collect())
    }

    fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
        some(&ADDRESSES).prop_map(|some| some.iter().map(|one| one.parse().unwrap()).collect())
    }

    fn identity() -> impl Strategy<Value = PeerIdentity> {
        let parts = (
            (some(&NAMES), some(&NAMES)),
            addresses(),
            some(&URIS),
            some(&DIRECTORY),
            some(&POLICIES),
            select(&SERIALS[..]),
            0..3_u8,
        );
        parts.prop_map(
            |((dns, realms), ip, uri, canonical_directory, policy_oids, serial, print)| {
                PeerIdentity {
                    dns,
                    realms,
                    ip,
                    uri,
                    canonical_directory,
                    policy_oids,
                    serial: serial.to_owned(),
                    fingerprint: [print; 32],
                    ..PeerIdentity::default()
                }
            },
        )
    }

    fn wanted() -> impl Strategy<Value = CertificateMatch> {
        let dotted = (some(&NAMES), some(&NAMES));
        let names = (dotted, addresses(), some(&URIS), some(&DIRECTORY));
        let prints = prop::collection::vec(0..3_u8, 0..2);
        let serial = prop::option::weighted(0.3, select(&SERIALS[..]));
        let rest = (some(&POLICIES), serial, prints, any::<(bool, bool)>());
        (names, rest).prop_map(|(((dns, realm), ip, uri, directory), rest)| {
            let (policy_oid, serial, prints, (peer_address, wildcard)) = rest;
            CertificateMatch {
                dns,
                ip,
                peer_address,
                uri,
                directory,
                realm,
                issuer: None,
                serial: serial.map(str::to_owned),
                policy_oid,
                fingerprint: prints.into_iter().map(|one| [one; 32]).collect(),
                wildcard,
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// What fits is found by its marks.
        #[test]
        fn whatever_fits_has_a_mark_in_common(wanted in wanted(), identity in identity()) {
            let marks = wanted.marks();
            let found = marks.is_empty() || identity.marks().any(|mark| marks.contains(&mark));
            let peer = ADDRESSES[0].parse().unwrap();
            prop_assert!(found || wanted.matches(&identity, peer).is_none());
        }
    }
}
