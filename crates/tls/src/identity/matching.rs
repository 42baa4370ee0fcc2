//! `certificate = { .. }` of a device: which identities it means ("Who is it" of the configuration).
//!
//! The names are alternatives, one that matches is enough; the conditions must all hold besides. Several values of one
//! condition are alternatives, as in a device group. A `*` in the file stands for one whole left-most label; a `*` in
//! the certificate counts only with `wildcard`.

use std::fmt;
use std::net::IpAddr;

use super::{DistinguishedName, PeerIdentity, dns};
use crate::KeyPin;

/// How well an identity fits; an exact match goes before a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchKind {
    /// Through a `*` in the file or in the certificate.
    Wildcard,
    /// By a whole name, or by the conditions alone.
    Exact,
}

/// The texts of a `certificate = { .. }` table as they stand in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchSettings {
    /// `dns`.
    pub dns: Vec<String>,
    /// `ip`: addresses, or `peer`.
    pub ip: Vec<String>,
    /// `uri`.
    pub uri: Vec<String>,
    /// `directory`: names in the form of RFC 4514.
    pub directory: Vec<String>,
    /// `realm`: NAIRealm names.
    pub realm: Vec<String>,
    /// `issuer`: in the form of RFC 4514.
    pub issuer: Option<String>,
    /// `serial`: hexadecimal, colons allowed.
    pub serial: Option<String>,
    /// `policy_oid`: one of them has to hold along the path.
    pub policy_oid: Vec<String>,
    /// `fingerprint`: SHA-256 in hexadecimal, colons and a leading `sha256:` allowed.
    pub fingerprint: Vec<String>,
    /// `wildcard`.
    pub wildcard: bool,
}

/// What a client certificate has to say to belong to a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateMatch {
    pub(super) dns: Vec<String>,
    pub(super) ip: Vec<IpAddr>,
    pub(super) peer_address: bool,
    pub(super) uri: Vec<String>,
    pub(super) directory: Vec<String>,
    pub(super) realm: Vec<String>,
    pub(super) issuer: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) policy_oid: Vec<String>,
    pub(super) fingerprint: Vec<[u8; 32]>,
    pub(super) wildcard: bool,
}

impl CertificateMatch {
    /// Checks the texts of the file.
    pub fn new(settings: MatchSettings) -> Result<Self, MatchError> {
        let mut checked = Self {
            uri: settings.uri,
            wildcard: settings.wildcard,
            ..Self::default()
        };
        for name in settings.dns {
            checked.dns.push(dotted(MatchField::Dns, name)?);
        }
        for name in settings.realm {
            checked.realm.push(dotted(MatchField::Realm, name)?);
        }
        for text in settings.ip {
            match text.parse::<IpAddr>() {
                Ok(address) => checked.ip.push(address.to_canonical()),
                Err(_) if text == "peer" => checked.peer_address = true,
                Err(_) => return Err(MatchField::Ip.wrong(text, MatchProblem::NotAnAddress)),
            }
        }
        if let Some(empty) = checked.uri.iter().find(|uri| !uri.contains(':')) {
            return Err(MatchField::Uri.wrong(empty.clone(), MatchProblem::NotAUri));
        }
        for text in settings.directory {
            checked
                .directory
                .push(canonical(MatchField::Directory, text)?);
        }
        checked.issuer = settings
            .issuer
            .map(|text| canonical(MatchField::Issuer, text))
            .transpose()?;
        checked.serial = settings.serial.map(serial).transpose()?;
        for text in settings.policy_oid {
            if !is_oid(&text) {
                return Err(MatchField::PolicyOid.wrong(text, MatchProblem::NotAnOid));
            }
            checked.policy_oid.push(text);
        }
        for text in settings.fingerprint {
            checked.fingerprint.push(fingerprint(text)?);
        }
        checked.enough()?;
        Ok(checked)
    }

    /// Does the identity, connecting from `peer`, belong to this device?
    pub fn matches(&self, identity: &PeerIdentity, peer: IpAddr) -> Option<MatchKind> {
        if !self.conditions_hold(identity) {
            return None;
        }
        if !self.has_names() {
            return Some(MatchKind::Exact);
        }
        let exact = self.ip.iter().any(|address| identity.ip.contains(address))
            || self.peer_address && identity.ip.contains(&peer.to_canonical())
            || self.uri.iter().any(|uri| identity.uri.contains(uri))
            || self
                .directory
                .iter()
                .any(|name| identity.canonical_directory.contains(name));
        if exact {
            return Some(MatchKind::Exact);
        }
        // A realm is compared as a DNS name is (RFC 7585 section 2.2), and never with one.
        let kinds = [(&self.dns, &identity.dns), (&self.realm, &identity.realms)];
        let pairs = kinds.into_iter().flat_map(|(ours, theirs)| {
            ours.iter()
                .flat_map(|ours| theirs.iter().map(move |theirs| (ours, theirs)))
        });
        pairs
            .filter_map(|(ours, theirs)| self.name_matches(ours, theirs))
            .max()
    }

    /// Does a condition (issuer, serial, fingerprint) make it impossible for one certificate to be both?
    pub fn told_apart(&self, other: &Self) -> bool {
        differ(self.issuer.as_ref(), other.issuer.as_ref())
            || differ(self.serial.as_ref(), other.serial.as_ref())
            || !self.fingerprint.is_empty()
                && !other.fingerprint.is_empty()
                && !self
                    .fingerprint
                    .iter()
                    .any(|one| other.fingerprint.contains(one))
    }

    fn name_matches(&self, ours: &str, theirs: &str) -> Option<MatchKind> {
        if theirs.contains('*') {
            let same = ours == theirs && !dns::odd_wildcard(theirs)
                || dns::presented_matches(theirs, ours);
            return (self.wildcard && same).then_some(MatchKind::Wildcard);
        }
        if ours.contains('*') {
            return dns::presented_matches(ours, theirs).then_some(MatchKind::Wildcard);
        }
        (ours == theirs).then_some(MatchKind::Exact)
    }

    fn conditions_hold(&self, identity: &PeerIdentity) -> bool {
        self.issuer
            .as_ref()
            .is_none_or(|issuer| *issuer == identity.canonical_issuer)
            && self
                .serial
                .as_ref()
                .is_none_or(|serial| *serial == identity.serial)
            && (self.fingerprint.is_empty() || self.fingerprint.contains(&identity.fingerprint))
            && (self.policy_oid.is_empty()
                || self
                    .policy_oid
                    .iter()
                    .any(|oid| identity.policy_oids.contains(oid)))
    }

    pub(super) fn has_names(&self) -> bool {
        let Self {
            dns,
            ip,
            peer_address,
            uri,
            directory,
            realm,
            ..
        } = self;
        *peer_address
            || !(dns.is_empty()
                && ip.is_empty()
                && uri.is_empty()
                && directory.is_empty()
                && realm.is_empty())
    }

    /// Conditions without a name are enough only where they pin one certificate or a purpose-made policy.
    fn enough(&self) -> Result<(), MatchError> {
        let pinned = self.issuer.is_some() && self.serial.is_some()
            || !self.fingerprint.is_empty()
            || !self.policy_oid.is_empty();
        if self.has_names() || pinned {
            return Ok(());
        }
        let (field, problem) = match (&self.issuer, &self.serial) {
            (Some(_), _) => (MatchField::Issuer, MatchProblem::IssuerAlone),
            (None, Some(_)) => (MatchField::Serial, MatchProblem::SerialAlone),
            (None, None) => (MatchField::Certificate, MatchProblem::Nothing),
        };
        Err(MatchError {
            field,
            value: String::new(),
            problem,
        })
    }
}

fn differ(one: Option<&String>, other: Option<&String>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

/// A DNS name, or a realm, which has the form of one.
fn dotted(field: MatchField, name: String) -> Result<String, MatchError> {
    let problem = if !name.is_ascii() {
        MatchProblem::NotAnALabel
    } else if !dns::usable(&name) {
        if field == MatchField::Realm {
            MatchProblem::NotARealm
        } else {
            MatchProblem::NotADnsName
        }
    } else if dns::odd_wildcard(&name) {
        MatchProblem::OddWildcard
    } else {
        return Ok(name.to_ascii_lowercase());
    };
    Err(field.wrong(name, problem))
}

fn canonical(field: MatchField, text: String) -> Result<String, MatchError> {
    match DistinguishedName::parse(&text) {
        Some(name) => Ok(name.canonical),
        None => Err(field.wrong(text, MatchProblem::NotADistinguishedName)),
    }
}

fn serial(text: String) -> Result<String, MatchError> {
    let digits: String = text.chars().filter(|&character| character != ':').collect();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(MatchField::Serial.wrong(text, MatchProblem::NotHexadecimal));
    }
    Ok(super::without_leading_zeros(&digits.to_ascii_lowercase()))
}

/// Written like a pin of a key, and over the whole certificate.
fn fingerprint(text: String) -> Result<[u8; 32], MatchError> {
    match KeyPin::parse(&text) {
        Ok(KeyPin(digest)) => Ok(digest),
        Err(_) => Err(MatchField::Fingerprint.wrong(text, MatchProblem::NotASha256)),
    }
}

/// Dotted decimal with at least two numbers and no leading zeros.
pub(super) fn is_oid(text: &str) -> bool {
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|digit| digit.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    text.contains('.') && text.split('.').all(number)
}

/// A key of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchField {
    /// The table as a whole.
    Certificate,
    /// `dns`.
    Dns,
    /// `ip`.
    Ip,
    /// `uri`.
    Uri,
    /// `directory`.
    Directory,
    /// `realm`.
    Realm,
    /// `issuer`.
    Issuer,
    /// `serial`.
    Serial,
    /// `policy_oid`.
    PolicyOid,
    /// `fingerprint`.
    Fingerprint,
}

impl MatchField {
    /// The key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Dns => "dns",
            Self::Ip => "ip",
            Self::Uri => "uri",
            Self::Directory => "directory",
            Self::Realm => "realm",
            Self::Issuer => "issuer",
            Self::Serial => "serial",
            Self::PolicyOid => "policy_oid",
            Self::Fingerprint => "fingerprint",
        }
    }

    fn wrong(self, value: String, problem: MatchProblem) -> MatchError {
        MatchError {
            field: self,
            value,
            problem,
        }
    }
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchProblem {
    /// No DNS name.
    NotADnsName,
    /// No realm.
    NotARealm,
    /// Letters outside ASCII.
    NotAnALabel,
    /// A `*` that is not the whole left-most label.
    OddWildcard,
    /// Neither an address nor `peer`.
    NotAnAddress,
    /// No URI.
    NotAUri,
    /// Not the form of RFC 4514.
    NotADistinguishedName,
    /// No hexadecimal number.
    NotHexadecimal,
    /// No dotted OID.
    NotAnOid,
    /// Not 64 hexadecimal digits.
    NotASha256,
    /// Only an issuer: everybody it ever certified would be this device.
    IssuerAlone,
    /// Only a serial number, which is unique per issuer alone.
    SerialAlone,
    /// Neither a name nor a condition.
    Nothing,
}

impl fmt::Display for MatchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotADnsName => "this is not a DNS name",
            Self::NotARealm => "this is not a realm such as example.org",
            Self::NotAnALabel => "write the name as A-labels (xn--...)",
            Self::OddWildcard => "a * may only be the whole left-most label",
            Self::NotAnAddress => "this is neither an IP address nor \"peer\"",
            Self::NotAUri => "this is not a URI",
            Self::NotADistinguishedName => "this is not a distinguished name such as CN=router,O=Example,C=NL",
            Self::NotHexadecimal => "this is not a hexadecimal number",
            Self::NotAnOid => "this is not an object identifier such as 1.3.6.1.4.1.1.2",
            Self::NotASha256 => "a fingerprint is SHA-256, 64 hexadecimal digits",
            Self::IssuerAlone => "an issuer alone would let everybody it certified in; add a name, serial or fingerprint",
            Self::SerialAlone => "a serial number means nothing without its issuer",
            Self::Nothing => "name what the certificate has to say",
        })
    }
}

/// Which key is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchError {
    /// The key.
    pub field: MatchField,
    /// Its value as written; empty when the key as a whole is meant.
    pub value: String,
    /// What is wrong with it.
    pub problem: MatchProblem,
}

impl fmt::Display for MatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field.key(), self.problem)
    }
}

impl std::error::Error for MatchError {}
