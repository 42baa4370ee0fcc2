//! Who the peer is: the names and marks of a certificate whose path has been found good.
//!
//! Names come from subjectAltName alone; the subject, and so its CN, never says which device it is: it is shown to people,
//! and rules may ask for it besides.

mod distinguished;
mod dns;
mod marks;
mod matching;
mod reference;
mod usage;

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::KeyPin;
use crate::der;
use crate::error::PathError;

pub(crate) use distinguished::DistinguishedName;
pub(crate) use dns::presented_matches;
pub use marks::Mark;
pub use matching::{
    CertificateMatch, MatchError, MatchField, MatchKind, MatchProblem, MatchSettings,
};
pub use reference::{ReferenceError, ReferenceIdentity};
pub use usage::ExtendedKeyUsages;

/// URIs longer than this make a certificate unusable.
const MAX_URI: usize = 2048;
/// id-on-dnsSRV (RFC 4985).
const SRV_NAME: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 7];
/// id-on-naiRealm (RFC 7585 section 2.2).
const NAI_REALM: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 8];

/// Who the peer proved to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerIdentity {
    /// dNSName values in lower case, wildcards included.
    pub dns: Vec<String>,
    /// iPAddress values.
    pub ip: Vec<IpAddr>,
    /// uniformResourceIdentifier values as written.
    pub uri: Vec<String>,
    /// directoryName values in the form of RFC 4514, most specific part first.
    pub directory: Vec<String>,
    /// SRV-ID values (RFC 4985) in lower case, such as `_tacacss.example.net`.
    pub srv: Vec<String>,
    /// NAIRealm values (RFC 7585 section 2.2) in lower case, wildcards included.
    pub realms: Vec<String>,
    /// The issuer in the form of RFC 4514, most specific part first.
    pub issuer: String,
    /// The subject in the same form; it never says which device it is.
    pub subject: String,
    /// The serial number in lower-case hexadecimal without leading zeros.
    pub serial: String,
    /// Certificate policies that hold along the whole path.
    pub policy_oids: Vec<String>,
    /// Extended key usages of the certificate itself, as dotted numbers.
    pub usages: ExtendedKeyUsages,
    /// SHA-256 over the certificate, or over the SubjectPublicKeyInfo of a raw public key.
    pub fingerprint: [u8; 32],
    /// notAfter in Unix seconds.
    pub not_after: i64,
    canonical_issuer: String,
    canonical_directory: Vec<String>,
}

/// When a certificate is valid, whoever it belongs to and whoever issued it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The subject in the form of RFC 4514, most specific part first.
    pub subject: String,
    /// It names itself as its issuer, as roots do.
    pub self_issued: bool,
    /// notBefore in Unix seconds.
    pub not_before: i64,
    /// notAfter in Unix seconds.
    pub not_after: i64,
}

impl Validity {
    /// Reads a certificate in DER without judging it; `None` = it is none.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self {
            self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            subject: DistinguishedName::from_certificate(parsed.subject()).text,
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }
}

impl PeerIdentity {
    /// Reads a certificate without judging it; `policy_oids` stays empty.
    pub fn from_der(certificate: &[u8]) -> Result<Self, PathError> {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| PathError::Malformed)?;
        Self::from_leaf(&parsed, sha256(certificate))
    }

    /// Reads the leaf; `policy_oids` is left to whoever judged the path.
    pub(crate) fn from_leaf(
        certificate: &X509Certificate<'_>,
        fingerprint: [u8; 32],
    ) -> Result<Self, PathError> {
        let issuer = DistinguishedName::from_certificate(certificate.issuer());
        let mut identity = Self {
            issuer: issuer.text,
            canonical_issuer: issuer.canonical,
            subject: DistinguishedName::from_certificate(certificate.subject()).text,
            serial: hexadecimal(certificate.raw_serial()),
            fingerprint,
            not_after: certificate.validity().not_after.timestamp(),
            ..Self::default()
        };
        let usages = certificate
            .extended_key_usage()
            .map_err(|_| PathError::Malformed)?;
        if let Some(usages) = usages {
            identity.usages = ExtendedKeyUsages::of(usages.value);
        }
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| PathError::Malformed)?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            identity.add(name)?;
        }
        Ok(identity)
    }

    /// Every name of subjectAltName after its kind, in the words of the configuration: `dns:`, `ip:`, `uri:`, `directory:`,
    /// `srv:` or `realm:`.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        fn of<'a>(kind: &'a str, names: &'a [String]) -> impl Iterator<Item = String> + 'a {
            names.iter().map(move |name| format!("{kind}:{name}"))
        }
        of("dns", &self.dns)
            .chain(self.ip.iter().map(|address| format!("ip:{address}")))
            .chain(of("uri", &self.uri))
            .chain(of("directory", &self.directory))
            .chain(of("srv", &self.srv))
            .chain(of("realm", &self.realms))
    }

    /// What there is to say of a raw public key.
    pub(crate) fn of_key(pin: KeyPin) -> Self {
        Self {
            fingerprint: pin.0,
            ..Self::without_certificate()
        }
    }

    /// Whoever is known by something else has no names here and no end.
    pub(crate) fn without_certificate() -> Self {
        Self {
            not_after: i64::MAX,
            ..Self::default()
        }
    }

    /// Octets it takes in memory, about.
    pub(crate) fn octets(&self) -> usize {
        let lists: [&[String]; 8] = [
            &self.dns,
            &self.uri,
            &self.directory,
            &self.srv,
            &self.realms,
            &self.policy_oids,
            self.usages.as_slice(),
            &self.canonical_directory,
        ];
        let listed = lists.into_iter().flatten();
        let single = [
            &self.issuer,
            &self.subject,
            &self.serial,
            &self.canonical_issuer,
        ];
        size_of::<Self>()
            + self.ip.len() * size_of::<IpAddr>()
            + listed
                .map(|text| size_of::<String>() + text.len())
                .sum::<usize>()
            + single.into_iter().map(String::len).sum::<usize>()
    }

    /// One unusable name makes the whole certificate unusable: half of an identity is none.
    fn add(&mut self, name: &GeneralName<'_>) -> Result<(), PathError> {
        match name {
            GeneralName::DNSName(name) if dns::usable(name) => {
                self.dns.push(name.to_ascii_lowercase())
            }
            GeneralName::IPAddress(octets) => self
                .ip
                .push(address(octets).ok_or(PathError::UnusableName)?),
            GeneralName::URI(uri)
                if uri.len() <= MAX_URI && uri.bytes().all(|octet| octet.is_ascii_graphic()) =>
            {
                self.uri.push((*uri).to_owned());
            }
            GeneralName::DirectoryName(name) => {
                if name
                    .iter_attributes()
                    .any(|part| part.as_slice().contains(&0) && part.as_str().is_ok())
                {
                    return Err(PathError::UnusableName);
                }
                let name = DistinguishedName::from_certificate(name);
                self.directory.push(name.text);
                self.canonical_directory.push(name.canonical);
            }
            GeneralName::OtherName(oid, value) => {
                let is = |kind: &[u64]| oid.iter().is_some_and(|oid| oid.eq(kind.iter().copied()));
                let (names, name) = if is(SRV_NAME) {
                    (&mut self.srv, srv_name(value))
                } else if is(NAI_REALM) {
                    (&mut self.realms, realm(value))
                } else {
                    return Ok(());
                };
                names.push(name.ok_or(PathError::UnusableName)?);
            }
            GeneralName::RFC822Name(address) if !address.contains('\0') => {}
            GeneralName::X400Address(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_) => {}
            GeneralName::DNSName(_)
            | GeneralName::URI(_)
            | GeneralName::RFC822Name(_)
            | GeneralName::Invalid(..) => {
                return Err(PathError::UnusableName);
            }
        }
        Ok(())
    }
}

pub(crate) fn sha256(octets: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// Four or sixteen octets (RFC 5280 section 4.2.1.6).
fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(octets)
        .ok()
        .map(|octets| IpAddr::from(octets).to_canonical())
}

/// `[0] EXPLICIT IA5String` of the form `_service.name`.
fn srv_name(value: &[u8]) -> Option<String> {
    let text = explicit(value, der::IA5_STRING)?;
    (text.starts_with('_') && dns::usable(text)).then(|| text.to_ascii_lowercase())
}

/// `[0] EXPLICIT UTF8String`: a realm (RFC 7542 section 2.2), which has the form of a DNS name. Labels that are not ASCII
/// have to stand as A-labels to be compared.
fn realm(value: &[u8]) -> Option<String> {
    let text = explicit(value, der::UTF8_STRING)?;
    dns::usable(text).then(|| text.to_ascii_lowercase())
}

/// The text within `[0] EXPLICIT`, alone there.
fn explicit(value: &[u8], tag: u8) -> Option<&str> {
    let mut outer = der::Reader::new(value);
    let tagged = outer.element().ok()?;
    let mut inner = der::Reader::new(tagged.contents);
    let text = inner.expect(tag).ok()?;
    if !(outer.at_end() && inner.at_end()) {
        return None;
    }
    std::str::from_utf8(text.contents).ok()
}

/// Lower-case hexadecimal of a big-endian number; zero is `0`.
pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    let digits: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    without_leading_zeros(&digits.concat())
}

fn without_leading_zeros(digits: &str) -> String {
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests;
