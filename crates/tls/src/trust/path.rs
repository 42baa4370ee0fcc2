//! Path validation: rustls-webpki builds and verifies the path, this adds what it leaves out of RFC 5280 section 6.
//!
//! Added for every candidate path: keyCertSign of each issuer, the trust anchor's own dates, basic constraints and path
//! length, certificate policies along the path, RSA keys of at least 2048 bits, digitalSignature of the leaf, and (by
//! the caller) revocation. A candidate that fails is dropped and the next one tried.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use super::ocsp::{Asking, StatusQuery};
use super::policies::Policies;
use super::{PeerRole, TrustError};
use crate::identity::hexadecimal;
use crate::{Der, PathError};

/// RFC 9325 section 4.5.
const MIN_RSA_BITS: usize = 2048;

/// Tells issuers apart by name and key.
pub(super) type IssuerKey = [u8; 32];
pub(crate) type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

/// The certificates a [`super::Trust`] works with.
pub(super) struct Material {
    /// What webpki wants of an anchor, and what it does not look at, at the same places.
    trust_anchors: Vec<TrustAnchor<'static>>,
    anchors: Vec<Anchor>,
    subjects: Vec<Vec<u8>>,
    intermediates: Vec<Der>,
    issuers: Vec<CrlIssuer>,
    algorithms: Algorithms,
    asking: Asking,
}

struct Anchor {
    not_before: i64,
    not_after: i64,
    key: IssuerKey,
    rules: IssuerRules,
    der: Der,
}

/// Somebody whose CRLs can be verified.
pub(super) struct CrlIssuer {
    pub(super) key: IssuerKey,
    pub(super) subject: Vec<u8>,
    pub(super) public_key_info: Vec<u8>,
    pub(super) may_sign_crls: bool,
}

/// What a certificate says about its holder as an issuer.
struct IssuerRules {
    is_ca: bool,
    path_length: Option<u32>,
    may_sign_certificates: bool,
}

/// One certificate of a path below the anchor.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) issuer: IssuerKey,
    pub(super) serial: Vec<u8>,
    /// How its status can be asked for; `None` = OCSP is off, or nobody could be asked.
    pub(super) status: Option<StatusQuery>,
    not_before: i64,
    not_after: i64,
}

/// A path whose signatures and extensions are good; dates and revocation are judged again each time.
#[derive(Debug)]
pub(super) struct CheckedPath {
    /// Leaf first.
    pub(super) links: Vec<Link>,
    /// Certificate policies that hold along it.
    pub(super) policies: Vec<String>,
    /// Where it ends.
    pub(super) anchor: IssuerKey,
    anchor_not_before: i64,
    anchor_not_after: i64,
}

impl CheckedPath {
    /// Octets on the heap, about.
    pub(super) fn octets(&self) -> usize {
        let links = self.links.iter();
        let policies = self.policies.iter();
        links
            .map(|link| {
                let status = link.status.as_ref().map_or(0, StatusQuery::octets);
                size_of::<Link>() + link.serial.len() + status
            })
            .chain(policies.map(|policy| size_of::<String>() + policy.len()))
            .sum()
    }

    /// When the first of its certificates ends, Unix seconds.
    pub(super) fn valid_until(&self) -> i64 {
        let links = self.links.iter().map(|link| link.not_after);
        links.min().unwrap_or(i64::MAX).min(self.anchor_not_after)
    }

    pub(super) fn within_dates(&self, now: i64) -> Result<(), PathError> {
        for link in &self.links {
            if now > link.not_after {
                return Err(PathError::Expired {
                    not_after: link.not_after,
                });
            }
            if now < link.not_before {
                return Err(PathError::NotYetValid {
                    not_before: link.not_before,
                });
            }
        }
        let (not_before, not_after) = (self.anchor_not_before, self.anchor_not_after);
        if (not_before..=not_after).contains(&now) {
            Ok(())
        } else {
            Err(PathError::AnchorNotValid {
                not_before,
                not_after,
            })
        }
    }
}

impl Material {
    pub(super) fn new(
        anchors: &[Der],
        intermediates: Vec<Der>,
        algorithms: Algorithms,
        asking: Asking,
    ) -> Result<Self, TrustError> {
        let mut material = Self {
            trust_anchors: Vec::new(),
            anchors: Vec::new(),
            subjects: Vec::new(),
            intermediates: Vec::new(),
            issuers: Vec::new(),
            algorithms,
            asking,
        };
        for (index, der) in anchors.iter().enumerate() {
            material
                .add_anchor(der)
                .ok_or(TrustError::Anchor { index })?;
        }
        for (index, der) in intermediates.iter().enumerate() {
            let certificate = parse(der).map_err(|_| TrustError::Intermediate { index })?;
            let issuer =
                CrlIssuer::of(&certificate).map_err(|_| TrustError::Intermediate { index })?;
            material.issuers.push(issuer);
        }
        material.intermediates = intermediates;
        Ok(material)
    }

    fn add_anchor(&mut self, der: &Der) -> Option<()> {
        let certificate = parse(der).ok()?;
        let rules = IssuerRules::of(&certificate).ok()?;
        let trust_anchor = CertificateDer::from(&**der);
        let trust_anchor = webpki::anchor_from_trusted_cert(&trust_anchor)
            .ok()?
            .to_owned();
        let issuer = CrlIssuer::of(&certificate).ok()?;
        self.anchors.push(Anchor {
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            key: issuer.key,
            rules,
            der: Arc::clone(der),
        });
        self.issuers.push(issuer);
        self.subjects.push(certificate.subject().as_raw().to_vec());
        self.trust_anchors.push(trust_anchor);
        Some(())
    }

    pub(super) fn anchor_subjects(&self) -> &[Vec<u8>] {
        &self.subjects
    }

    pub(super) fn trusts(&self, anchor: &IssuerKey) -> bool {
        self.anchors.iter().any(|one| one.key == *anchor)
    }

    /// Anchors and local intermediates.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &Der> {
        let anchors = self.anchors.iter().map(|anchor| &anchor.der);
        anchors.chain(&self.intermediates)
    }

    pub(super) fn issuers(&self) -> &[CrlIssuer] {
        &self.issuers
    }

    pub(super) fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// Finds a path for a chain, whose leaf comes parsed as well, that satisfies webpki, the checks of this module, and `judge`.
    pub(super) fn verify(
        &self,
        (chain, parsed): (&[&[u8]], &X509Certificate<'_>),
        role: PeerRole,
        now: i64,
        judge: impl Fn(&CheckedPath) -> Result<(), PathError>,
    ) -> Result<CheckedPath, PathError> {
        let (leaf, presented) = chain.split_first().ok_or(PathError::Malformed)?;
        strong_key(parsed.public_key())?;
        let mut candidates: Vec<CertificateDer<'_>> = presented
            .iter()
            .map(|&der| CertificateDer::from(der))
            .collect();
        candidates.extend(
            self.intermediates
                .iter()
                .map(|der| CertificateDer::from(&**der)),
        );
        let leaf = CertificateDer::from(*leaf);
        let leaf = EndEntityCert::try_from(&leaf).map_err(|error| from_webpki(&error))?;
        let usage = match role {
            PeerRole::Client => KeyUsage::client_auth(),
            PeerRole::Server => KeyUsage::server_auth(),
        };
        let seconds = u64::try_from(now).unwrap_or(0);
        let outcome = RefCell::new(Err(PathError::UnknownIssuer));
        let judged = |path: &webpki::VerifiedPath<'_>| {
            let checked = self
                .check(path, parsed)
                .and_then(|checked| judge(&checked).map(|()| checked));
            let good = checked.is_ok();
            let mut outcome = outcome.borrow_mut();
            // Of several refusals the one that says most is kept: a lapsed anchor is often only the older twin.
            if good
                || matches!(
                    *outcome,
                    Err(PathError::UnknownIssuer | PathError::AnchorNotValid { .. })
                )
            {
                *outcome = checked;
            }
            if good {
                Ok(())
            } else {
                Err(webpki::Error::UnknownIssuer)
            }
        };
        let built = leaf.verify_for_usage(
            self.algorithms,
            &self.trust_anchors,
            &candidates,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            usage,
            None,
            Some(&judged),
        );
        match (built, outcome.into_inner()) {
            (Ok(_), outcome) => outcome,
            (Err(error), Err(PathError::UnknownIssuer) | Ok(_)) => Err(explain(&error, presented)),
            (Err(_), Err(refusal)) => Err(refusal),
        }
    }

    /// What webpki leaves out, for one candidate path.
    fn check(
        &self,
        path: &webpki::VerifiedPath<'_>,
        leaf: &X509Certificate<'_>,
    ) -> Result<CheckedPath, PathError> {
        let place = self
            .trust_anchors
            .iter()
            .position(|anchor| std::ptr::eq(anchor, path.anchor()));
        let anchor = place
            .and_then(|place| self.anchors.get(place))
            .ok_or(PathError::Other)?;
        // From the anchor down, so that each certificate finds its issuer's key in the one before.
        let mut ders: Vec<CertificateDer<'_>> = path
            .intermediate_certificates()
            .map(|issuer| issuer.der())
            .collect();
        ders.reverse();
        let mut above = (anchor.key, Arc::clone(&anchor.der));
        let mut policies = Policies::Any;
        let mut links = Vec::with_capacity(ders.len() + 1);
        let mut below = u32::try_from(ders.len()).unwrap_or(u32::MAX);
        anchor.rules.allow(below)?;
        for der in &ders {
            let issuer = parse(der)?;
            strong_key(issuer.public_key())?;
            links.push(self.link(&issuer, der, &above));
            policies.narrow(&issuer)?;
            below = below.saturating_sub(1);
            IssuerRules::of(&issuer)?.allow(below)?;
            above = (key_of(&issuer), Arc::from(der.as_ref()));
        }
        if leaf
            .key_usage()
            .map_err(|_| PathError::Malformed)?
            .is_some_and(|usage| !usage.value.digital_signature())
        {
            return Err(PathError::LeafKeyUsage);
        }
        policies.narrow(leaf)?;
        let octets = path.end_entity().der();
        links.push(self.link(leaf, &octets, &above));
        links.reverse();
        Ok(CheckedPath {
            links,
            policies: policies.named(),
            anchor: anchor.key,
            anchor_not_before: anchor.not_before,
            anchor_not_after: anchor.not_after,
        })
    }

    /// One certificate of a path, `above` being its issuer.
    fn link(
        &self,
        certificate: &X509Certificate<'_>,
        octets: &[u8],
        (issuer, issuer_der): &(IssuerKey, Der),
    ) -> Link {
        let serial = certificate.raw_serial().to_vec();
        let status = self
            .asking
            .query(certificate, octets, issuer_der, (*issuer, &serial));
        Link {
            issuer: *issuer,
            status,
            serial,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        }
    }
}

impl CrlIssuer {
    fn of(certificate: &X509Certificate<'_>) -> Result<Self, PathError> {
        let usage = certificate.key_usage().map_err(|_| PathError::Malformed)?;
        Ok(Self {
            key: key_of(certificate),
            subject: certificate.subject().as_raw().to_vec(),
            public_key_info: certificate.public_key().raw.to_vec(),
            may_sign_crls: usage.is_none_or(|usage| usage.value.crl_sign()),
        })
    }
}

impl IssuerRules {
    fn of(certificate: &X509Certificate<'_>) -> Result<Self, PathError> {
        let usage = certificate.key_usage().map_err(|_| PathError::Malformed)?;
        let basic = certificate
            .get_extension_unique(&OID_X509_EXT_BASIC_CONSTRAINTS)
            .map_err(|_| PathError::Malformed)?;
        let (is_ca, path_length) = match basic.map(|extension| extension.parsed_extension()) {
            Some(ParsedExtension::BasicConstraints(basic)) => (basic.ca, basic.path_len_constraint),
            Some(_) => return Err(PathError::Malformed),
            // A root of version 1 has no extensions to say so with.
            None => (certificate.version() == X509Version::V1, None),
        };
        let may_sign_certificates = usage.is_none_or(|usage| usage.value.key_cert_sign());
        Ok(Self {
            is_ca,
            path_length,
            may_sign_certificates,
        })
    }

    /// May the holder issue a certificate with `below` CA certificates between it and the leaf?
    fn allow(&self, below: u32) -> Result<(), PathError> {
        if !self.is_ca {
            Err(PathError::IssuerNotCa)
        } else if !self.may_sign_certificates {
            Err(PathError::IssuerKeyUsage)
        } else if self.path_length.is_some_and(|most| below > most) {
            Err(PathError::PathLength)
        } else {
            Ok(())
        }
    }
}

impl Link {
    pub(super) fn serial_text(&self) -> String {
        hexadecimal(&self.serial)
    }
}

pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, PathError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(PathError::Malformed),
    }
}

pub(super) fn key_of(certificate: &X509Certificate<'_>) -> IssuerKey {
    issuer_key(certificate.subject().as_raw(), certificate.public_key().raw)
}

/// Both parts are DER and tell their own length, so that no two pairs look alike.
fn issuer_key(subject: &[u8], public_key_info: &[u8]) -> IssuerKey {
    crate::identity::sha256(&[subject, public_key_info].concat())
}

pub(crate) fn strong_key(info: &SubjectPublicKeyInfo<'_>) -> Result<(), PathError> {
    let Ok(PublicKey::RSA(key)) = info.parsed() else {
        return Ok(()); // curves that are too small have no accepted signature algorithm
    };
    let modulus: Vec<u8> = key
        .modulus
        .iter()
        .copied()
        .skip_while(|&octet| octet == 0)
        .collect();
    let unused = modulus
        .first()
        .map_or(0, |first| first.leading_zeros() as usize);
    let bits = (modulus.len() * 8).saturating_sub(unused);
    if bits < MIN_RSA_BITS {
        Err(PathError::WeakKey { bits })
    } else {
        Ok(())
    }
}

/// A signature by a key that is too short is reported as that.
fn explain(error: &webpki::Error, presented: &[&[u8]]) -> PathError {
    let reason = from_webpki(error);
    if reason != PathError::BadSignature && reason != PathError::SignatureAlgorithm {
        return reason;
    }
    let weak = presented
        .iter()
        .find_map(|der| strong_key(parse(der).ok()?.public_key()).err());
    weak.unwrap_or(reason)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list is open")]
fn from_webpki(error: &webpki::Error) -> PathError {
    use webpki::Error as E;
    match error {
        E::UnknownIssuer => PathError::UnknownIssuer,
        E::CertExpired { not_after, .. } => PathError::Expired {
            not_after: i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX),
        },
        E::CertNotValidYet { not_before, .. } => PathError::NotYetValid {
            not_before: i64::try_from(not_before.as_secs()).unwrap_or(i64::MAX),
        },
        E::CaUsedAsEndEntity => PathError::LeafIsCa,
        E::EndEntityUsedAsCa => PathError::IssuerNotCa,
        E::PathLenConstraintViolated => PathError::PathLength,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => PathError::ExtendedKeyUsage,
        E::NameConstraintViolation | E::UnsupportedNameType => PathError::NameConstraint,
        E::UnsupportedCriticalExtension => PathError::CriticalExtension,
        E::InvalidSignatureForPublicKey => PathError::BadSignature,
        E::SignatureAlgorithmMismatch
        | E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => PathError::SignatureAlgorithm,
        E::MaximumNameConstraintComparisonsExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumPathDepthExceeded
        | E::MaximumSignatureChecksExceeded
        | E::CertDistrusted => PathError::Other,
        _ => PathError::Malformed,
    }
}
