//! Our own certificate as it is shown: with the newest answer of its OCSP responder stapled to it (RFC 8446 section 4.4.2.1).

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::trust::{Algorithms, issuer_of, read_answer};
use crate::{CertificateStatus, Der, PolicyError, StatusError, StatusQuery, Trust};

/// Seconds until a responder that did not answer is asked again.
const AGAIN: i64 = 30;
/// Seconds between two questions at least, whatever the answers say.
const PAUSE: i64 = 60;

/// Who is asked for the status of our own certificate.
#[derive(Clone, Debug, Default)]
pub struct Stapling {
    /// The URL of the OCSP responder where the certificate names none.
    pub responder: Option<Arc<str>>,
}

/// What a listener shows.
#[derive(Debug)]
pub(crate) struct Shown {
    /// How its status is asked for; `None` = nothing is stapled.
    query: Option<StatusQuery>,
    now: RwLock<Now>,
}

#[derive(Clone, Debug)]
struct Now {
    certified: Arc<CertifiedKey>,
    /// When what is stapled was made, when it lapses, and when the responder is asked next, all in Unix seconds.
    made: i64,
    until: Option<i64>,
    next: i64,
}

impl Shown {
    pub(crate) fn new(certified: Arc<CertifiedKey>, query: Option<StatusQuery>) -> Self {
        Self {
            query,
            now: RwLock::new(Now {
                certified,
                made: i64::MIN,
                until: None,
                next: 0,
            }),
        }
    }

    /// The question to ask at `now`, once it is time.
    pub(crate) fn due(&self, now: i64) -> Option<&StatusQuery> {
        let state = self.now.read().unwrap_or_else(PoisonError::into_inner);
        self.query.as_ref().filter(|_| state.next <= now)
    }

    pub(crate) fn until(&self) -> Option<i64> {
        let state = self.now.read().unwrap_or_else(PoisonError::into_inner);
        state.until
    }

    pub(crate) fn is_stapled(&self) -> bool {
        self.query.is_some()
    }

    /// Takes what the responder sent.
    pub(crate) fn answered(
        &self,
        octets: &[u8],
        algorithms: Algorithms,
        now: i64,
    ) -> Result<CertificateStatus, StatusError> {
        let query = self.query.as_ref().ok_or(StatusError::OtherCertificate)?;
        let answer = read_answer(query, octets, algorithms, now)?;
        let (made, until) = (answer.made(), answer.until());
        self.change(|state| {
            if made < state.made {
                return Err(StatusError::Older);
            }
            state.made = made;
            state.show(Some(octets.to_vec()));
            state.until = Some(until);
            // Halfway, so that a responder may be away for as long as that again.
            state.next = now + (until.saturating_sub(now) / 2).max(PAUSE);
            Ok(answer.status)
        })
    }

    /// The responder did not answer; what has lapsed is not shown any more.
    pub(crate) fn unanswered(&self, now: i64) {
        self.change(|state| {
            state.next = now + AGAIN;
            if state.until.is_some_and(|until| until < now) {
                state.show(None);
                state.until = None;
            }
        });
    }

    /// Takes over what an earlier one has stapled to the same certificate.
    pub(crate) fn adopt(&self, earlier: &Self) {
        let before = earlier.now.read().unwrap_or_else(PoisonError::into_inner);
        let before = before.clone();
        self.change(|state| {
            let same = before.certified.cert.first() == state.certified.cert.first();
            if self.query.is_some() && same && before.until.is_some() {
                state.show(before.certified.ocsp.clone());
                (state.made, state.until, state.next) = (before.made, before.until, before.next);
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        change(&mut self.now.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Now {
    fn show(&mut self, stapled: Option<Vec<u8>>) {
        let mut next = CertifiedKey::clone(&self.certified);
        next.ocsp = stapled;
        self.certified = Arc::new(next);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let state = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&state.certified))
    }
}

/// How our own status is asked for. The issuer is the next certificate of our chain, or one of those we trust.
pub(crate) fn own_query(
    chain: &[Der],
    trust: &Trust,
    stapling: &Stapling,
) -> Result<StatusQuery, PolicyError> {
    let [leaf, rest @ ..] = chain else {
        return Err(PolicyError::NoCertificate);
    };
    let issuers = rest.iter().chain(trust.certificates());
    let issuer = issuer_of(leaf, issuers).ok_or(PolicyError::StapleIssuer)?;
    // Our certificate may be from elsewhere than those of the devices, so that what it says goes first.
    let named = StatusQuery::about(leaf, issuer, None);
    named
        .or_else(|| StatusQuery::about(leaf, issuer, stapling.responder.clone()))
        .ok_or(PolicyError::StapleResponder)
}
