//! Which certificates are good: trust anchors, local intermediates and revocation, for both roles.

mod crl;
mod memo;
mod ocsp;
mod path;
mod policies;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs::default_provider;

use crate::identity::{PeerIdentity, sha256};
use crate::{Clock, Der, PathError};

pub(crate) use memo::Key as PathKey;
pub use ocsp::{CertificateStatus, Ocsp, StatusError, StatusQuery};
pub(crate) use ocsp::{issuer_of, read as read_answer};
pub(crate) use path::{Algorithms, strong_key};

/// Certificates a peer may send; real chains have two to four. Path building tries every order of certificates that name
/// each other as issuers: 5 behind the leaf are 300 steps, 9 would be a million, for whoever connects.
const MAX_CERTIFICATES: usize = 6;
/// Octets all of them may have; real ones have one or two thousand each.
const MAX_OCTETS: usize = 32 * 1024;
/// A path that would take more memory than this is judged anew each time. Usual ones take less than one thousand, and
/// with OCSP two certificates each more.
const MAX_REMEMBERED: usize = 8192;

/// `revocation` of a `[tls.NAME]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revocation {
    /// No current CRL of an issuer in the path = refused.
    #[default]
    Require,
    /// Refused only when listed.
    IfAvailable,
    /// CRLs are not looked at.
    Off,
}

/// What a [`Trust`] is made of.
#[derive(Clone, Debug, Default)]
pub struct TrustSettings {
    /// Trust anchors, whole certificates. None = nobody is trusted.
    pub anchors: Vec<Der>,
    /// Chain parts the peers may leave out.
    pub intermediates: Vec<Der>,
    /// Revocation lists, in any order.
    pub crls: Vec<Der>,
    /// How much they matter.
    pub revocation: Revocation,
    /// How much the answers of OCSP responders matter.
    pub ocsp: Ocsp,
    /// The URL of the responder to ask about every certificate; `None` = the one each certificate names.
    pub ocsp_responder: Option<Arc<str>>,
}

/// A file that cannot be used at all. The index counts within its own list of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustError {
    /// No certificate that could be a trust anchor.
    Anchor {
        /// Its place in `anchors`.
        index: usize,
    },
    /// No certificate.
    Intermediate {
        /// Its place in `intermediates`.
        index: usize,
    },
    /// No CRL.
    Crl {
        /// Its place in `crls`.
        index: usize,
    },
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anchor { .. } => "this is not a certificate that could be a trust anchor",
            Self::Intermediate { .. } => "this is not a certificate",
            Self::Crl { .. } => "this is not a certificate revocation list",
        })
    }
}

impl std::error::Error for TrustError {}

/// A CRL that was read but does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustWarning {
    /// Its place in `crls` of the settings.
    pub crl: usize,
    /// Whom it says it is from, in the form of RFC 4514.
    pub issuer: String,
    /// Why it does not count.
    pub problem: CrlProblem,
}

/// Why a CRL does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrlProblem {
    /// Its issuer is neither a trust anchor nor a local intermediate.
    UnknownIssuer,
    /// Its signature does not verify with the key of its issuer, or uses an algorithm that is not accepted.
    BadSignature,
    /// Its issuer's key usage lacks cRLSign.
    IssuerMayNotSign,
    /// A delta, indirect or partitioned CRL, or one with a critical extension that is not known.
    NotEvaluated,
    /// A newer one of the same issuer is there as well.
    Superseded,
}

impl fmt::Display for CrlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => "its issuer is neither in client_ca nor in intermediates",
            Self::BadSignature => "its signature does not verify with the key of its issuer",
            Self::IssuerMayNotSign => "its issuer may not sign revocation lists",
            Self::NotEvaluated => {
                "delta, indirect and partitioned revocation lists are not evaluated"
            }
            Self::Superseded => "a newer one of the same issuer is loaded as well",
        })
    }
}

/// A CRL that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlInfo {
    /// Its index in [`TrustSettings::crls`].
    pub crl: usize,
    /// The issuer in the form of RFC 4514.
    pub issuer: String,
    /// thisUpdate in Unix seconds.
    pub this_update: i64,
    /// nextUpdate in Unix seconds; without one it is never current.
    pub next_update: Option<i64>,
    /// Revoked certificates in it.
    pub entries: usize,
}

impl CrlInfo {
    /// Whether it is within its dates at `now` (Unix seconds).
    pub fn is_current(&self, now: i64) -> bool {
        self.this_update <= now && self.next_update.is_some_and(|next| now <= next)
    }
}

/// What is kept of a path found good: what time and new lists may change, and whose it is. No certificate is kept.
pub(crate) struct Known {
    path: path::CheckedPath,
    identity: Arc<PeerIdentity>,
}

impl Known {
    /// Octets it takes in memory, about.
    fn octets(&self) -> usize {
        size_of::<Self>() + self.path.octets() + self.identity.octets()
    }
}

/// A chain judged good; [`Trust::remember`] takes it once the peer has proved that it is its own.
#[derive(Clone)]
pub(crate) struct Judged {
    key: PathKey,
    known: Arc<Known>,
}

impl Judged {
    /// Whose chain it is.
    pub(crate) fn identity(&self) -> &Arc<PeerIdentity> {
        &self.known.identity
    }

    /// What it is remembered by.
    pub(crate) fn key(&self) -> &PathKey {
        &self.key
    }

    /// Whether there is somebody who can be asked about one of its certificates.
    pub(crate) fn asks_status(&self) -> bool {
        let links = &self.known.path.links;
        links.iter().any(|link| link.status.is_some())
    }

    /// When the first certificate of the path, or its anchor, ends; Unix seconds.
    pub(crate) fn valid_until(&self) -> i64 {
        self.known.path.valid_until()
    }
}

/// Which role the peer plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerRole {
    Client,
    Server,
}

/// Trust anchors, intermediates and CRLs, checked once and shared by all connections.
pub struct Trust {
    material: path::Material,
    /// Replaced when the files change; what was verified with an older one is judged by the new one from then on.
    crls: RwLock<Arc<crl::Index>>,
    revocation: Revocation,
    statuses: ocsp::Statuses,
    ocsp: Ocsp,
    memo: memo::Memo,
    warnings: Vec<TrustWarning>,
}

impl Trust {
    /// Reads the certificates and verifies every CRL against the key of its issuer.
    pub fn new(settings: TrustSettings) -> Result<Self, TrustError> {
        Self::with_algorithms(
            settings,
            default_provider().signature_verification_algorithms.all,
            Clock::system().now(),
        )
    }

    /// The same at another time.
    #[cfg(test)]
    pub(crate) fn at(settings: TrustSettings, now: i64) -> Result<Self, TrustError> {
        Self::with_algorithms(
            settings,
            default_provider().signature_verification_algorithms.all,
            now,
        )
    }

    fn with_algorithms(
        settings: TrustSettings,
        algorithms: path::Algorithms,
        now: i64,
    ) -> Result<Self, TrustError> {
        let asking = ocsp::Asking {
            mode: settings.ocsp,
            responder: settings.ocsp_responder,
        };
        let material = path::Material::new(
            &settings.anchors,
            settings.intermediates,
            algorithms,
            asking,
        )?;
        let (crls, warnings) = crl::Index::new(&settings.crls, &material, now)?;
        Ok(Self {
            material,
            crls: RwLock::new(Arc::new(crls)),
            revocation: settings.revocation,
            statuses: ocsp::Statuses::default(),
            ocsp: settings.ocsp,
            memo: memo::Memo::default(),
            warnings,
        })
    }

    /// Judges a chain, leaf first, at `now` (Unix seconds). Whoever shows it has not proved yet that it is his.
    pub(crate) fn verify(
        &self,
        chain: &[&[u8]],
        role: PeerRole,
        now: i64,
    ) -> Result<Judged, PathError> {
        if chain.len() > MAX_CERTIFICATES {
            return Err(PathError::TooManyCertificates);
        }
        if chain.iter().map(|der| der.len()).sum::<usize>() > MAX_OCTETS {
            return Err(PathError::TooManyOctets);
        }
        let key = memo::key(chain, role);
        if let Some(known) = self.memo.get(&key)
            && self.judge_again(&known.path, now).is_ok()
        {
            return Ok(Judged { key, known });
        }
        // Another path may be good where the remembered one no longer is, so it is built again before refusing.
        let (octets, _) = chain.split_first().ok_or(PathError::Malformed)?;
        let leaf = path::parse(octets)?;
        let judge = |path: &path::CheckedPath| self.judge_again(path, now);
        let mut path = self.material.verify((chain, &leaf), role, now, judge)?;
        let mut identity = PeerIdentity::from_leaf(&leaf, sha256(octets))?;
        identity.policy_oids = std::mem::take(&mut path.policies);
        let known = Arc::new(Known {
            path,
            identity: Arc::new(identity),
        });
        Ok(Judged { key, known })
    }

    /// Remembers the path of a peer whose whole handshake succeeded. Earlier than that anybody who saw the certificate
    /// could fill the memory, by sending it with another piece of rubbish behind it each time.
    pub(crate) fn remember(&self, judged: &Judged) {
        if judged.known.octets() <= MAX_REMEMBERED {
            self.memo.insert(judged.key, &judged.known);
        }
    }

    /// Paths remembered now.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.memo.len()
    }

    /// Whether a path found good by this trust earlier would be found good at `now` (Unix seconds).
    pub(crate) fn still_good(&self, judged: &Judged, now: i64) -> bool {
        self.judge_again(&judged.known.path, now).is_ok()
    }

    /// The part of the judgement that time or new lists may change.
    fn judge_again(&self, path: &path::CheckedPath, now: i64) -> Result<(), PathError> {
        path.within_dates(now)?;
        let lists = self.index();
        lists.check(&path.links, self.revocation, now)?;
        if self.ocsp == Ocsp::Off {
            return Ok(());
        }
        // Where nobody can be asked a current list has to do.
        let unknown =
            |link: &path::Link| link.status.is_none() && !lists.is_current(&link.issuer, now);
        if self.ocsp == Ocsp::Require && path.links.iter().any(unknown) {
            return Err(PathError::NoStatus { responder: None });
        }
        self.statuses.check(&path.links, now)
    }

    /// Which responders have to be asked about a path before its peer is served. None where OCSP is off.
    pub(crate) fn open_questions(&self, judged: &Judged, now: i64) -> Vec<StatusQuery> {
        let links = &judged.known.path.links;
        self.statuses.open_questions(links, now)
    }

    /// Judges a path once the responders were asked, whatever they said.
    pub(crate) fn settle(&self, judged: &Judged, now: i64) -> Result<(), PathError> {
        let links = &judged.known.path.links;
        self.statuses.settle(links, self.ocsp, now)
    }

    /// When the first answer about a path lapses, Unix seconds.
    pub(crate) fn status_until(&self, judged: &Judged) -> Option<i64> {
        self.statuses.until(&judged.known.path.links)
    }

    /// Takes what a responder sent at `now` (Unix seconds): verified and, where it says good or revoked, kept until it
    /// lapses.
    ///
    /// # Errors
    /// Why it tells nothing.
    pub fn take_answer(
        &self,
        query: &StatusQuery,
        octets: &[u8],
        now: i64,
    ) -> Result<CertificateStatus, StatusError> {
        let answer = ocsp::read(query, octets, self.material.algorithms(), now)?;
        self.statuses.keep(query, answer, now)?;
        Ok(answer.status)
    }

    /// Takes the answer about the leaf that its holder has brought along, if it is one that counts.
    pub(crate) fn take_stapled(
        &self,
        judged: &Judged,
        stapled: &[u8],
        now: i64,
    ) -> Result<(), PathError> {
        if stapled.is_empty() {
            return Ok(());
        }
        let links = &judged.known.path.links;
        let query = links.first().and_then(|leaf| leaf.status.as_ref());
        if let Some(query) = query {
            _ = self.take_answer(query, stapled, now);
        }
        self.statuses.check(links, now)
    }

    /// What the answer in hand says, if it is current at `now` (Unix seconds).
    pub fn status(&self, query: &StatusQuery, now: i64) -> Option<CertificateStatus> {
        self.statuses.current(query, now)
    }

    /// Takes over the answers that the trust of an earlier configuration has.
    pub fn adopt_answers(&self, earlier: &Self) {
        if self.ocsp != Ocsp::Off {
            self.statuses.adopt(&earlier.statuses);
        }
    }

    fn index(&self) -> Arc<crl::Index> {
        Arc::clone(&self.crls.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The path of that key, if it is remembered and still good at `now` (Unix seconds).
    pub(crate) fn recall(&self, key: &PathKey, now: i64) -> Option<Judged> {
        let known = self.memo.get(key)?;
        self.judge_again(&known.path, now).ok()?;
        Some(Judged { key: *key, known })
    }

    /// Judges a path again that was found good earlier, perhaps by the trust of an earlier configuration: its anchor,
    /// its dates, and the lists of today. Unlike for a new connection a list that lapsed is no reason to end an old one.
    pub(crate) fn rejudge(&self, judged: &Judged, now: i64) -> Result<(), PathError> {
        let path = &judged.known.path;
        if !self.material.trusts(&path.anchor) {
            return Err(PathError::UnknownIssuer);
        }
        match self.judge_again(path, now) {
            Err(PathError::NoCurrentCrl { .. } | PathError::NoStatus { .. }) => Ok(()),
            judgement => judgement,
        }
    }

    /// Puts newer revocation lists in the place of all there are, and says which of them do not count. The certificates
    /// stay. After an error nothing has changed.
    ///
    /// # Errors
    /// A list that cannot be read at all.
    pub fn replace_crls(&self, crls: &[Der]) -> Result<Vec<TrustWarning>, TrustError> {
        let now = Clock::system().now();
        let (index, warnings) = crl::Index::new(crls, &self.material, now)?;
        *self.crls.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
        Ok(warnings)
    }

    /// The CRLs that count, for warnings of one that lapses soon.
    pub fn crls(&self) -> Vec<CrlInfo> {
        self.index().describe()
    }

    /// CRLs that were given but do not count, for the configuration to print.
    pub fn warnings(&self) -> &[TrustWarning] {
        &self.warnings
    }

    /// The trust anchors and the local intermediates.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Der> {
        self.material.certificates()
    }

    /// Subjects of the trust anchors, DER, for the CertificateRequest.
    pub(crate) fn anchor_subjects(&self) -> &[Vec<u8>] {
        self.material.anchor_subjects()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("ocsp", &self.ocsp)
            .field("anchors", &self.material.anchor_subjects().len())
            .field("crls", &self.index().describe())
            .field("revocation", &self.revocation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod memo_tests;
#[cfg(test)]
mod ocsp_tests;
#[cfg(test)]
mod revocation_tests;
#[cfg(test)]
mod tests;
