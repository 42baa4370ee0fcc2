//! Trust anchors: the keys from which every proof starts.

use std::fmt;

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_proto::dnssec::{DigestType, Verifier as _};
use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::txt::trust_anchor::{Entry, Parser};

use super::name::Name;

/// The keys of the root since 2017 and 2024, as IANA publishes them.
const ROOT: &str = "\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
";

/// One key, or what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Key(DNSKEY),
    Digest(DS),
}

impl Anchor {
    /// Whether this is the key of the anchor.
    pub(super) fn is(&self, zone: &Name, key: &DNSKEY) -> bool {
        match self {
            Self::Key(anchor) => anchor.public_key() == key.public_key(),
            Self::Digest(digest) => digest.covers(zone.wire(), key).unwrap_or(false),
        }
    }
}

/// Trust anchors, for the root or for a part of the tree that is signed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchors(Vec<(Name, Anchor)>);

impl Anchors {
    /// The keys of the root, which came with this version.
    pub fn root() -> Self {
        Self::parse(ROOT).unwrap_or(Self(Vec::new()))
    }

    /// DNSKEY and DS records as in a zone file, such as `keymgr`, `dnssec-keygen` and IANA write them: with whole names, with or without time to
    /// live and class, and with parentheses and comments where the writer had them. Nothing else is trusted than what stands here.
    ///
    /// # Errors
    ///
    /// The first line that is no such record, or that there is none.
    pub fn parse(text: &str) -> Result<Self, AnchorError> {
        let mut anchors = Vec::new();
        let (mut words, mut open, mut first) = (Vec::new(), false, 1);
        for (line, number) in text.lines().zip(1..) {
            let content = line.split_once(';').map_or(line, |(before, _)| before);
            if words.is_empty() {
                first = number;
            }
            for part in content.split_inclusive(['(', ')']) {
                open = match part.chars().last() {
                    Some('(') => true,
                    Some(')') => false,
                    _ => open,
                };
                words.extend(part.trim_end_matches(['(', ')']).split_whitespace());
            }
            if !open && !words.is_empty() {
                anchors.push(anchor(&words).ok_or(AnchorError::Line(first))?);
                words.clear();
            }
        }
        if !words.is_empty() {
            return Err(AnchorError::Line(first));
        }
        if anchors.is_empty() {
            return Err(AnchorError::None);
        }
        Ok(Self(anchors))
    }

    /// The deepest zone with anchors that has this name in it.
    pub(super) fn above(&self, name: &Name) -> Option<&Name> {
        let zones = self.0.iter().map(|(zone, _)| zone);
        zones
            .filter(|zone| name.is_within(zone))
            .max_by_key(|zone| zone.depth())
    }

    pub(super) fn of(&self, zone: &Name) -> impl Iterator<Item = &Anchor> {
        let of = move |(owner, anchor)| (owner == zone).then_some(anchor);
        self.0
            .iter()
            .map(|(owner, anchor)| (owner, anchor))
            .filter_map(of)
    }
}

/// `OWNER [TTL] [IN] DNSKEY FLAGS 3 ALGORITHM BASE64..` or `OWNER [TTL] [IN] DS TAG ALGORITHM HASH HEXADECIMAL..`
fn anchor(words: &[&str]) -> Option<(Name, Anchor)> {
    let (owner, mut rest) = words.split_first()?;
    let owner: Name = owner.parse().ok()?;
    loop {
        let (word, after) = rest.split_first()?;
        rest = after;
        if word.eq_ignore_ascii_case("DNSKEY") {
            let key = key(&rest.join(" "))?;
            return Some((owner, Anchor::Key(key)));
        } else if word.eq_ignore_ascii_case("DS") {
            let digest = digest(&rest.join(" "))?;
            return Some((owner, Anchor::Digest(digest)));
        } else if !word.eq_ignore_ascii_case("IN") && word.parse::<u32>().is_err() {
            return None;
        }
    }
}

fn key(rdata: &str) -> Option<DNSKEY> {
    // The library reads only whole records; of whom this one is has been read.
    let entries = Parser::new(format!(". IN DNSKEY {rdata}")).parse().ok()?;
    let Some(Entry::DNSKEY(record)) = entries.into_iter().next() else {
        return None;
    };
    let key = record.data().clone();
    may_sign(&key).then_some(key)
}

fn digest(rdata: &str) -> Option<DS> {
    let RData::DNSSEC(DNSSECRData::DS(ds)) = RData::try_from_str(RecordType::DS, rdata).ok()?
    else {
        return None;
    };
    // A digest of SHA-1 anchors nothing (RFC 9905).
    let whole = [(DigestType::SHA256, 32), (DigestType::SHA384, 48)];
    let is_whole = whole.contains(&(ds.digest_type(), ds.digest().len()));
    (ds.algorithm().is_supported() && is_whole).then_some(ds)
}

/// Whether signatures of this key count.
pub(super) fn may_sign(key: &DNSKEY) -> bool {
    key.zone_key() && !key.revoke() && key.algorithm().is_supported() && key.key().is_ok()
}

/// Why a text has no trust anchors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorError {
    /// There is no record in it.
    None,
    /// In this line begins what is no DNSKEY or DS record of a zone's key, or one of an algorithm that is not supported.
    Line(usize),
}

impl fmt::Display for AnchorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("there is no DNSKEY or DS record in it"),
            Self::Line(number) => write!(
                f,
                "line {number} begins no DNSKEY or DS record that can be a trust anchor (RSA/SHA-2, ECDSA or Ed25519)"
            ),
        }
    }
}

impl std::error::Error for AnchorError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_two_keys() {
        assert_eq!(Anchors::root().of(&Name::root()).count(), 2);
    }

    #[test]
    fn files_of_others_are_read() {
        let key = "oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA==";
        for text in [
            format!("example. DNSKEY 257 3 13 {key}"),
            format!(
                "; a comment\nexample. 3600 IN DNSKEY 257 3 13 (\n  {}\n  {} ) ; KSK\n\n",
                &key[..40],
                &key[40..]
            ),
        ] {
            let anchors = Anchors::parse(&text).unwrap();
            let name: Name = "host.example".parse().unwrap();
            assert_eq!(anchors.above(&name), "example".parse().ok().as_ref());
            assert_eq!(anchors.above(&"net".parse().unwrap()), None);
        }
    }

    #[test]
    fn what_anchors_nothing_is_refused() {
        for (text, error) in [
            ("", AnchorError::None),
            ("; nothing\n\n", AnchorError::None),
            ("\nexample. A 192.0.2.1", AnchorError::Line(2)),
            ("example. DNSKEY 257 3 13 (AAAA", AnchorError::Line(1)),
            ("example. DNSKEY 0 3 13 AAAA", AnchorError::Line(1)),
            ("example. DNSKEY 257 3 1 AAAA", AnchorError::Line(1)),
            ("example. DS 1 13 2 0", AnchorError::Line(1)),
        ] {
            assert_eq!(Anchors::parse(text).err(), Some(error), "{text}");
        }
    }
}
