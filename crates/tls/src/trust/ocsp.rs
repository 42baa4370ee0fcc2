//! Certificate status by OCSP (RFC 6960): what responders have said, and what they have yet to be asked.
//!
//! ```text
//! handshake:  path ─ revoked by an answer in hand? ─▶ refused
//! afterwards: path ─ open questions ─▶ (the caller asks the responders) ─ answers ─▶ settled: good, or refused
//! ```
//!
//! Nothing is fetched here. An answer counts until its nextUpdate.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::ocsp::{
    OcspBasicResponse, OcspCertId, OcspCertStatus, OcspFlag, OcspRequest, OcspResponse,
    OcspResponseStatus,
};
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509VerifyResult};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_PKIX_ACCESS_DESCRIPTOR_OCSP, OID_PKIX_AUTHORITY_INFO_ACCESS};

use super::crl::{SERIAL, padded};
use super::path::{Algorithms, IssuerKey, Link, key_of, parse};
use crate::{Der, PathError, der, ffi};

/// Statuses kept; beyond them the one that lapses first is forgotten.
const MAX_KEPT: usize = 64 * 1024;
/// Seconds an answer without nextUpdate counts: its responder always has a newer one.
const WITHOUT_NEXT_UPDATE: i64 = 60;
/// Seconds by which the clock of a responder may be off ours.
const AHEAD: i64 = 300;

/// `ocsp` of a `[tls.NAME]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ocsp {
    /// Nobody is asked.
    #[default]
    Off,
    /// Refused only when an answer says revoked.
    IfAvailable,
    /// No current answer that says good = refused.
    Require,
}

/// Whom to ask for the status of certificates.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking {
    pub(super) mode: Ocsp,
    /// Goes before what certificates say.
    pub(super) responder: Option<Arc<str>>,
}

impl Asking {
    /// How the status of a certificate can be asked for, if it is to be asked for and there is somebody to ask.
    pub(super) fn query(
        &self,
        certificate: &X509Certificate<'_>,
        octets: &[u8],
        issuer: &Der,
        (issuer_key, serial): (IssuerKey, &[u8]),
    ) -> Option<StatusQuery> {
        if self.mode == Ocsp::Off {
            return None;
        }
        let configured = self.responder.clone();
        let responder = configured.or_else(|| responder(certificate))?;
        Some(StatusQuery {
            responder,
            subject: Arc::new(Subject {
                certificate: octets.into(),
                issuer: Arc::clone(issuer),
                key: (issuer_key, padded(serial)),
            }),
        })
    }
}

/// The first responder that a certificate names (RFC 5280 section 4.2.2.1) and that is asked by plain HTTP: an answer is
/// signed, and TLS below it would need a status of its own.
fn responder(certificate: &X509Certificate<'_>) -> Option<Arc<str>> {
    let extension = certificate
        .get_extension_unique(&OID_PKIX_AUTHORITY_INFO_ACCESS)
        .ok()??;
    let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else {
        return None;
    };
    let named = access.iter().find_map(|one| {
        let GeneralName::URI(uri) = one.access_location else {
            return None;
        };
        let asked = one.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
        (asked && uri.starts_with("http://")).then_some(uri)
    });
    named.map(Arc::from)
}

/// One certificate of a path, as responders are asked about it.
struct Subject {
    certificate: Der,
    issuer: Der,
    key: StatusKey,
}

/// A certificate by its issuer's name and key, and its serial number.
type StatusKey = (IssuerKey, [u8; SERIAL]);

/// What a responder can be asked: the status of one certificate.
#[derive(Clone)]
pub struct StatusQuery {
    responder: Arc<str>,
    subject: Arc<Subject>,
}

impl StatusQuery {
    /// The question about a certificate whose issuer is known; `None` = there is nobody to ask, or it is none.
    pub(crate) fn about(
        certificate: &Der,
        issuer: &Der,
        responder: Option<Arc<str>>,
    ) -> Option<Self> {
        let asking = Asking {
            mode: Ocsp::Require,
            responder,
        };
        let (parsed, above) = (parse(certificate).ok()?, parse(issuer).ok()?);
        let serial = parsed.raw_serial();
        asking.query(&parsed, certificate, issuer, (key_of(&above), serial))
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        size_of::<Subject>() + self.subject.certificate.len() + self.subject.issuer.len()
    }

    /// The URL of the responder.
    pub fn responder(&self) -> &Arc<str> {
        &self.responder
    }

    /// The OCSPRequest in DER (RFC 6960 section 4.1.1), without a nonce, so that a responder may give an answer it has
    /// prepared (RFC 5019 section 2.1.1).
    ///
    /// # Errors
    /// The certificate is beyond the library.
    pub fn request(&self) -> Result<Vec<u8>, StatusError> {
        let mut request = OcspRequest::new().map_err(library)?;
        let id = self.subject.id(MessageDigest::sha1()).map_err(library)?;
        request.add_id(id).map_err(library)?;
        request.to_der().map_err(library)
    }

    /// Whether both ask about the same certificate.
    pub fn is_about_the_same(&self, other: &Self) -> bool {
        self.subject.key == other.subject.key
    }
}

impl fmt::Debug for StatusQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusQuery")
            .field("responder", &self.responder)
            .finish_non_exhaustive()
    }
}

impl Subject {
    fn id(&self, digest: MessageDigest) -> Result<OcspCertId, ErrorStack> {
        let certificate = X509::from_der(&self.certificate)?;
        let issuer = X509::from_der(&self.issuer)?;
        OcspCertId::from_cert(digest, &certificate, &issuer)
    }
}

/// The one among `candidates` whose key signed `certificate`.
pub(crate) fn issuer_of<'a>(
    certificate: &Der,
    candidates: impl Iterator<Item = &'a Der>,
) -> Option<&'a Der> {
    let certificate = X509::from_der(certificate).ok()?;
    candidates.into_iter().find(|candidate| {
        let issuer = X509::from_der(candidate);
        issuer.is_ok_and(|issuer| {
            issuer.issued(&certificate) == X509VerifyResult::OK
                && issuer
                    .public_key()
                    .and_then(|key| certificate.verify(&key))
                    .unwrap_or(false)
        })
    })
}

/// What an answer says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateStatus {
    /// It is not revoked.
    Good,
    /// It is.
    Revoked,
}

/// Why what a responder sent tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusError {
    /// No OCSP response.
    Malformed,
    /// The responder did not answer the question: its reason (RFC 6960 section 4.2.1).
    NotAnswered(&'static str),
    /// Signed by somebody who may not, with an algorithm that is not accepted, or wrongly.
    Signature,
    /// About other certificates.
    OtherCertificate,
    /// The responder does not know the certificate.
    Unknown,
    /// From the future, or lapsed.
    NotCurrent,
    /// Older than the answer there is already.
    Older,
    /// OpenSSL refused to work.
    Library,
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("what it sent is no OCSP response"),
            Self::NotAnswered(why) => write!(f, "it does not answer: {why}"),
            Self::Signature => f.write_str(
                "its answer is not signed by the issuer or by whom the issuer allows to",
            ),
            Self::OtherCertificate => f.write_str("its answer is about another certificate"),
            Self::Unknown => f.write_str("it does not know the certificate"),
            Self::NotCurrent => f.write_str("its answer has lapsed or is from the future"),
            Self::Older => f.write_str("its answer is older than the last one"),
            Self::Library => f.write_str("OpenSSL cannot work with the certificate"),
        }
    }
}

impl std::error::Error for StatusError {}

fn library(_: ErrorStack) -> StatusError {
    StatusError::Library
}

/// A verified answer, its times in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: CertificateStatus,
    this_update: i64,
    until: i64,
}

impl Answer {
    /// Whether it counts at `now` (Unix seconds).
    pub(crate) fn is_current(&self, now: i64) -> bool {
        self.this_update <= now + AHEAD && now <= self.until
    }

    #[cfg(test)]
    pub(super) fn at(status: CertificateStatus, this_update: i64, until: i64) -> Self {
        Self {
            status,
            this_update,
            until,
        }
    }

    /// When it was made, Unix seconds.
    pub(crate) fn made(&self) -> i64 {
        self.this_update
    }

    /// When it lapses, Unix seconds.
    pub(crate) fn until(&self) -> i64 {
        self.until
    }
}

/// Reads and verifies what a responder sent at `now` (Unix seconds).
pub(crate) fn read(
    query: &StatusQuery,
    octets: &[u8],
    algorithms: Algorithms,
    now: i64,
) -> Result<Answer, StatusError> {
    let response = OcspResponse::from_der(octets).map_err(|_| StatusError::Malformed)?;
    if let Some(why) = not_answered(response.status()) {
        return Err(StatusError::NotAnswered(why));
    }
    let basic = response.basic().map_err(|_| StatusError::Malformed)?;
    if !accepted_algorithm(octets, algorithms).unwrap_or(false) {
        return Err(StatusError::Signature);
    }
    let issuer = X509::from_der(&query.subject.issuer).map_err(library)?;
    let (certificates, store) = believing(issuer, now).map_err(library)?;
    basic
        .verify(&certificates, &store, OcspFlag::empty())
        .map_err(|_| StatusError::Signature)?;
    let answer = find(&query.subject, &basic, now)?;
    if answer.is_current(now) {
        Ok(answer)
    } else {
        Err(StatusError::NotCurrent)
    }
}

fn find(subject: &Subject, basic: &OcspBasicResponse, now: i64) -> Result<Answer, StatusError> {
    // Answers name the certificate by the hash that was asked for; a stapled one was asked for by somebody else.
    for digest in [MessageDigest::sha1(), MessageDigest::sha256()] {
        let id = subject.id(digest).map_err(library)?;
        let Some(found) = basic.find_status(&id) else {
            continue;
        };
        let status = match found.status {
            OcspCertStatus::GOOD => CertificateStatus::Good,
            OcspCertStatus::REVOKED => CertificateStatus::Revoked,
            _ => return Err(StatusError::Unknown),
        };
        let seconds = |time| ffi::unix_time(time).ok_or(StatusError::Malformed);
        let this_update = seconds(found.this_update)?;
        let until = match found.next_update() {
            Some(next) => seconds(next)?,
            // Without this an old answer, caught by somebody on the way, could be shown for ever.
            None => this_update
                .saturating_add(AHEAD)
                .min(now + WITHOUT_NEXT_UPDATE),
        };
        return Ok(Answer {
            status,
            this_update,
            until,
        });
    }
    Err(StatusError::OtherCertificate)
}

fn not_answered(status: OcspResponseStatus) -> Option<&'static str> {
    match status {
        OcspResponseStatus::SUCCESSFUL => None,
        OcspResponseStatus::MALFORMED_REQUEST => Some("malformedRequest"),
        OcspResponseStatus::INTERNAL_ERROR => Some("internalError"),
        OcspResponseStatus::TRY_LATER => Some("tryLater"),
        OcspResponseStatus::SIG_REQUIRED => Some("sigRequired"),
        OcspResponseStatus::UNAUTHORIZED => Some("unauthorized"),
        _ => Some("an unknown status"),
    }
}

/// Nobody but the issuer is believed, and whom it has given a certificate for signing such answers.
fn believing(issuer: X509, now: i64) -> Result<(Stack<X509>, X509Store), ErrorStack> {
    let mut certificates = Stack::new()?;
    certificates.push(issuer.clone())?;
    let mut parameters = X509VerifyParam::new()?;
    parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    parameters.set_time(now);
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&parameters)?;
    store.add_cert(issuer)?;
    Ok((certificates, store.build()))
}

/// OpenSSL would take a signature with SHA-1 here; we take none that a certificate may not have.
fn accepted_algorithm(octets: &[u8], algorithms: Algorithms) -> Result<bool, der::DerError> {
    // OCSPResponse { status, [0] { ResponseBytes { type, OCTET STRING { BasicOCSPResponse { data, algorithm, .. } } } } }
    let within = |octets| der::Reader::new(octets).expect(der::SEQUENCE);
    let mut response = der::Reader::new(within(octets)?.contents);
    response.element()?;
    let mut bytes = der::Reader::new(within(response.element()?.contents)?.contents);
    bytes.element()?;
    let mut basic = der::Reader::new(within(bytes.element()?.contents)?.contents);
    basic.element()?;
    let algorithm = basic.expect(der::SEQUENCE)?.contents;
    let mut known = algorithms.iter();
    Ok(known.any(|known| known.signature_alg_id().as_ref() == algorithm))
}

/// The answers there are.
#[derive(Default)]
pub(super) struct Statuses(RwLock<HashMap<StatusKey, Answer>>);

impl Statuses {
    fn get(&self, query: &StatusQuery) -> Option<Answer> {
        let answers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        answers.get(&query.subject.key).copied()
    }

    pub(super) fn current(&self, query: &StatusQuery, now: i64) -> Option<CertificateStatus> {
        let answer = self.get(query).filter(|answer| answer.is_current(now))?;
        Some(answer.status)
    }

    /// Keeps a verified answer, unless there is a newer one.
    pub(super) fn keep(
        &self,
        query: &StatusQuery,
        answer: Answer,
        now: i64,
    ) -> Result<(), StatusError> {
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = answers.get(&query.subject.key);
        if known.is_some_and(|known| known.this_update > answer.this_update) {
            return Err(StatusError::Older);
        }
        if known.is_none() && answers.len() >= MAX_KEPT {
            answers.retain(|_, known| known.is_current(now));
            let first = answers.iter().min_by_key(|(_, known)| known.until);
            let first = first.map(|(key, _)| *key);
            if let Some(first) = first.filter(|_| answers.len() >= MAX_KEPT) {
                answers.remove(&first);
            }
        }
        answers.insert(query.subject.key, answer);
        Ok(())
    }

    /// Takes over what another one knows.
    pub(super) fn adopt(&self, other: &Self) {
        let known = other.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, answer) in &*known {
            let ours = answers.entry(*key).or_insert(*answer);
            if ours.this_update < answer.this_update {
                *ours = *answer;
            }
        }
    }

    /// What the answers in hand forbid.
    pub(super) fn check(&self, links: &[Link], now: i64) -> Result<(), PathError> {
        for link in links {
            let answer = link.status.as_ref().and_then(|query| self.get(query));
            if answer.is_some_and(|answer| {
                answer.status == CertificateStatus::Revoked && answer.is_current(now)
            }) {
                return Err(revoked(link));
            }
        }
        Ok(())
    }

    /// What has to be asked, because no answer in hand is current.
    pub(super) fn open_questions(&self, links: &[Link], now: i64) -> Vec<StatusQuery> {
        let queries = links.iter().filter_map(|link| link.status.as_ref());
        let open = queries.filter(|query| {
            let answer = self.get(query);
            !answer.is_some_and(|answer| answer.is_current(now))
        });
        open.cloned().collect()
    }

    /// Judges once everybody has been asked. An answer that lapsed and said revoked is still believed.
    pub(super) fn settle(&self, links: &[Link], mode: Ocsp, now: i64) -> Result<(), PathError> {
        for link in links {
            let Some(query) = &link.status else {
                continue;
            };
            match self.get(query) {
                Some(answer) if answer.status == CertificateStatus::Revoked => {
                    return Err(revoked(link));
                }
                Some(answer) if answer.is_current(now) => {}
                Some(_) | None if mode == Ocsp::Require => {
                    return Err(PathError::NoStatus {
                        responder: Some(Arc::clone(&query.responder)),
                    });
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// When the first of the answers about a path lapses, Unix seconds; one that is missing has lapsed. `None` where nobody
    /// is asked.
    pub(super) fn until(&self, links: &[Link]) -> Option<i64> {
        let queries = links.iter().filter_map(|link| link.status.as_ref());
        let until = |query| self.get(query).map_or(i64::MIN, |answer| answer.until());
        queries.map(until).min()
    }
}

fn revoked(link: &Link) -> PathError {
    PathError::Revoked {
        serial: link.serial_text(),
    }
}
