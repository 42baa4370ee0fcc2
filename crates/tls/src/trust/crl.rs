//! Revocation lists, verified once when they are loaded and looked up by (issuer key, serial) afterwards.
//!
//! ```text
//! load:   CRL ─ issuer known? ─ may it sign CRLs? ─ complete list? ─ signature ─▶ newest per issuer key
//! lookup: certificate ─ issuer key ─▶ newest list whose time has come ─ serial in it? ─ list current?
//! ```

use std::collections::HashMap;

use rustls::pki_types::SignatureVerificationAlgorithm;
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_CRL_NUMBER, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::path::{CrlIssuer, IssuerKey, Link, Material};
use super::{CrlInfo, CrlProblem, Revocation, TrustError, TrustWarning};
use crate::identity::DistinguishedName;
use crate::{Der, PathError, der};

/// Serial numbers of CRLs have at most 20 octets (RFC 5280 section 5.1.2.6); longer ones are compared by their end.
pub(super) const SERIAL: usize = 20;

/// One list that counts.
struct List {
    info: CrlInfo,
    /// cRLNumber without leading zeros: the longer one is the greater.
    number: Vec<u8>,
    /// Sorted.
    serials: Vec<[u8; SERIAL]>,
}

impl List {
    /// Compares greater for the newer list.
    fn age(&self) -> (usize, &[u8], i64) {
        (self.number.len(), &self.number, self.info.this_update)
    }

    fn has_begun(&self, now: i64) -> bool {
        self.info.this_update <= now
    }
}

/// Every list that counts, by its issuer's name and key, newest first: one whose time has come, and before it those
/// dated in the future, which must not take its place before then.
#[derive(Default)]
pub(super) struct Index(HashMap<IssuerKey, Vec<List>>);

impl Index {
    pub(super) fn new(
        crls: &[Der],
        material: &Material,
        now: i64,
    ) -> Result<(Self, Vec<TrustWarning>), TrustError> {
        let mut index = Self::default();
        let mut warnings = Vec::new();
        for (place, octets) in crls.iter().enumerate() {
            let Ok(([], parsed)) = CertificateRevocationList::from_der(octets) else {
                return Err(TrustError::Crl { index: place });
            };
            let issuer = DistinguishedName::from_certificate(parsed.issuer()).text;
            match judge(octets, &parsed, material) {
                Ok(key) => {
                    let list = read(&parsed, issuer, place);
                    index.0.entry(key).or_default().push(list);
                }
                Err(problem) => warnings.push(TrustWarning {
                    crl: place,
                    issuer,
                    problem,
                }),
            }
        }
        index.drop_superseded(now, &mut warnings);
        warnings.sort_by_key(|warning| warning.crl);
        Ok((index, warnings))
    }

    /// Nobody asks for a list again once a newer one has begun.
    fn drop_superseded(&mut self, now: i64, warnings: &mut Vec<TrustWarning>) {
        for lists in self.0.values_mut() {
            lists.sort_by(|one, other| other.age().cmp(&one.age()));
            let begun = lists.iter().position(|list| list.has_begun(now));
            let kept = begun.map_or(lists.len(), |newest| newest + 1);
            warnings.extend(lists.drain(kept..).map(|superseded| TrustWarning {
                crl: superseded.info.crl,
                issuer: superseded.info.issuer,
                problem: CrlProblem::Superseded,
            }));
        }
    }

    /// The list that counts for an issuer at `now`. Where all of them begin later, the newest tells at least what it lists.
    fn list(&self, issuer: &IssuerKey, now: i64) -> Option<&List> {
        let lists = self.0.get(issuer)?;
        let begun = lists.iter().find(|list| list.has_begun(now));
        begun.or_else(|| lists.first())
    }

    /// Judges every certificate of a path below the anchor.
    pub(super) fn check(
        &self,
        links: &[Link],
        mode: Revocation,
        now: i64,
    ) -> Result<(), PathError> {
        if mode == Revocation::Off {
            return Ok(());
        }
        let mut lacking = None;
        for link in links {
            let list = self.list(&link.issuer, now);
            // A list that lapsed still proves what it lists.
            if list.is_some_and(|list| list.serials.binary_search(&padded(&link.serial)).is_ok()) {
                return Err(PathError::Revoked {
                    serial: link.serial_text(),
                });
            }
            if !list.is_some_and(|list| list.info.is_current(now)) {
                lacking = Some(list.and_then(|list| list.info.next_update));
            }
        }
        match (mode, lacking) {
            (Revocation::Require, Some(next_update)) => {
                Err(PathError::NoCurrentCrl { next_update })
            }
            (Revocation::Require | Revocation::IfAvailable | Revocation::Off, _) => Ok(()),
        }
    }

    /// Whether the issuer has a list that is current at `now`.
    pub(super) fn is_current(&self, issuer: &IssuerKey, now: i64) -> bool {
        let list = self.list(issuer, now);
        list.is_some_and(|list| list.info.is_current(now))
    }

    pub(super) fn describe(&self) -> Vec<CrlInfo> {
        let mut all: Vec<CrlInfo> = self
            .0
            .values()
            .flatten()
            .map(|list| list.info.clone())
            .collect();
        all.sort_by(|one, other| one.issuer.cmp(&other.issuer));
        all
    }
}

/// Finds the issuer whose key made the signature. Several may share the name: a CA that changed its key.
fn judge(
    octets: &[u8],
    crl: &CertificateRevocationList<'_>,
    material: &Material,
) -> Result<IssuerKey, CrlProblem> {
    let named: Vec<&CrlIssuer> = material
        .issuers()
        .iter()
        .filter(|issuer| issuer.subject == crl.issuer().as_raw())
        .collect();
    if named.is_empty() {
        return Err(CrlProblem::UnknownIssuer);
    }
    if !evaluated(crl) {
        return Err(CrlProblem::NotEvaluated);
    }
    // Several certificates may be of one key; one that may sign lists is enough.
    let (able, unable): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|issuer| issuer.may_sign_crls);
    let signed =
        |issuer: &&&CrlIssuer| signed_by(octets, &issuer.public_key_info, material.algorithms());
    if let Some(signer) = able.iter().find(signed) {
        return Ok(signer.key);
    }
    Err(match unable.iter().find(signed) {
        Some(_) => CrlProblem::IssuerMayNotSign,
        None => CrlProblem::BadSignature,
    })
}

/// A complete list about all certificates of its own issuer. The issuing distribution point and the delta indicator
/// say otherwise, and so may any critical extension that is not known.
fn evaluated(crl: &CertificateRevocationList<'_>) -> bool {
    let (delta, partition) = (known(&[2, 5, 29, 27]), known(&[2, 5, 29, 28]));
    let harmless = [
        OID_X509_EXT_CRL_NUMBER,
        OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
    ];
    let odd = |oid: &Oid<'_>| Some(oid) == delta.as_ref() || Some(oid) == partition.as_ref();
    let whole = crl.extensions().iter().all(|extension| {
        !odd(&extension.oid) && (!extension.critical || harmless.contains(&extension.oid))
    });
    // certificateIssuer in an entry is critical: it makes the list an indirect one.
    whole
        && crl.iter_revoked_certificates().all(|entry| {
            entry
                .extensions()
                .iter()
                .all(|extension| !extension.critical)
        })
}

fn known(arcs: &[u64]) -> Option<Oid<'static>> {
    Oid::from(arcs).ok()
}

fn read(crl: &CertificateRevocationList<'_>, issuer: String, place: usize) -> List {
    let mut serials: Vec<[u8; SERIAL]> = crl
        .iter_revoked_certificates()
        .map(|entry| padded(entry.raw_serial()))
        .collect();
    serials.sort_unstable();
    serials.dedup();
    List {
        info: CrlInfo {
            crl: place,
            issuer,
            this_update: crl.last_update().timestamp(),
            next_update: crl.next_update().map(|next| next.timestamp()),
            entries: serials.len(),
        },
        number: crl
            .crl_number()
            .map(|number| number.to_bytes_be())
            .unwrap_or_default(),
        serials,
    }
}

/// Right-aligned, so that leading zeros make no difference.
pub(super) fn padded(serial: &[u8]) -> [u8; SERIAL] {
    let mut out = [0; SERIAL];
    for (to, from) in out.iter_mut().rev().zip(serial.iter().rev()) {
        *to = *from;
    }
    out
}

/// Verifies `SEQUENCE { tbs, algorithm, signature }` with a key, over the exact octets that were signed.
fn signed_by(
    octets: &[u8],
    public_key_info: &[u8],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    try_signed_by(octets, public_key_info, algorithms).unwrap_or(false)
}

fn try_signed_by(
    octets: &[u8],
    public_key_info: &[u8],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<bool, der::DerError> {
    let mut outer = der::Reader::new(der::Reader::new(octets).expect(der::SEQUENCE)?.contents);
    let signed = outer.expect(der::SEQUENCE)?;
    let algorithm = outer.expect(der::SEQUENCE)?.contents;
    let signature = bits(outer.expect(der::BIT_STRING)?.contents)?;
    let mut info = der::Reader::new(
        der::Reader::new(public_key_info)
            .expect(der::SEQUENCE)?
            .contents,
    );
    let key_algorithm = info.expect(der::SEQUENCE)?.contents;
    let key = bits(info.expect(der::BIT_STRING)?.contents)?;
    let mut fitting = algorithms.iter().filter(|known| {
        known.signature_alg_id().as_ref() == algorithm
            && known.public_key_alg_id().as_ref() == key_algorithm
    });
    Ok(fitting.any(|known| known.verify_signature(key, signed.whole, signature).is_ok()))
}

/// A BIT STRING of whole octets.
fn bits(contents: &[u8]) -> Result<&[u8], der::DerError> {
    match contents.split_first() {
        Some((0, octets)) => Ok(octets),
        _ => Err(der::DerError),
    }
}
