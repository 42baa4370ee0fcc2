//! Revocation lists, verified once when they are loaded and looked up by (issuer key, serial) afterwards.
//!
//! ```text
//! load:   CRL ─ issuer known? ─ may it sign CRLs? ─ complete list? ─ signature ─▶ newest per issuer key
//! lookup: certificate ─ issuer key ─▶ list ─ serial in it? ─ list current?
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
const SERIAL: usize = 20;

/// One list that counts.
struct List {
    info: CrlInfo,
    /// cRLNumber without leading zeros: the longer one is the greater.
    number: Vec<u8>,
    /// Place in the settings, for the warning when a newer one turns up.
    place: usize,
    /// Sorted.
    serials: Vec<[u8; SERIAL]>,
}

/// Every list that counts, by its issuer's name and key.
#[derive(Default)]
pub(super) struct Index(HashMap<IssuerKey, List>);

impl Index {
    pub(super) fn new(
        crls: &[Der],
        material: &Material,
    ) -> Result<(Self, Vec<TrustWarning>), TrustError> {
        let mut index = Self::default();
        let mut warnings = Vec::new();
        for (place, octets) in crls.iter().enumerate() {
            let Ok(([], parsed)) = CertificateRevocationList::from_der(octets) else {
                return Err(TrustError::Crl { index: place });
            };
            let issuer = DistinguishedName::from_certificate(parsed.issuer()).text;
            match judge(octets, &parsed, material) {
                Ok(key) => index.keep_newest(key, read(&parsed, issuer, place), &mut warnings),
                Err(problem) => warnings.push(TrustWarning {
                    crl: place,
                    issuer,
                    problem,
                }),
            }
        }
        Ok((index, warnings))
    }

    fn keep_newest(&mut self, key: IssuerKey, list: List, warnings: &mut Vec<TrustWarning>) {
        let age = |list: &List| {
            (
                list.number.len(),
                list.number.clone(),
                list.info.this_update,
            )
        };
        let superseded = match self.0.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(list);
                return;
            }
            Entry::Occupied(mut kept) if age(&list) > age(kept.get()) => kept.insert(list),
            Entry::Occupied(_) => list,
        };
        warnings.push(TrustWarning {
            crl: superseded.place,
            issuer: superseded.info.issuer,
            problem: CrlProblem::Superseded,
        });
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
            let list = self.0.get(&link.issuer);
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

    pub(super) fn describe(&self) -> Vec<CrlInfo> {
        let mut all: Vec<CrlInfo> = self.0.values().map(|list| list.info.clone()).collect();
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
    let signer = named
        .into_iter()
        .find(|issuer| signed_by(octets, &issuer.public_key_info, material.algorithms()));
    match signer {
        None => Err(CrlProblem::BadSignature),
        Some(issuer) if !issuer.may_sign_crls => Err(CrlProblem::IssuerMayNotSign),
        Some(issuer) => Ok(issuer.key),
    }
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
            issuer,
            this_update: crl.last_update().timestamp(),
            next_update: crl.next_update().map(|next| next.timestamp()),
            entries: serials.len(),
        },
        number: crl
            .crl_number()
            .map(|number| number.to_bytes_be())
            .unwrap_or_default(),
        place,
        serials,
    }
}

/// Right-aligned, so that leading zeros make no difference.
fn padded(serial: &[u8]) -> [u8; SERIAL] {
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
