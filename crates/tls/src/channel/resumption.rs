//! Tickets that servers gave us (RFC 8446 section 4.6.1 and appendix C.4): each is offered once, to the server it came
//! from, and only while that server's certificate is still good.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

use super::verifier::Judge;
use crate::trust::Judged;
use crate::{ClientPolicy, ReferenceIdentity};

/// Tickets kept for one server; one per connection that may be opened at once.
const TICKETS: usize = 8;
/// Servers tickets are kept for; beyond it all are dropped, which costs full handshakes.
const SERVERS: usize = 1024;

/// A server as a client knows it. A ticket for one says nothing to another, even of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) peer: SocketAddr,
    pub(crate) reference: ReferenceIdentity,
    pub(crate) sni: Option<String>,
}

impl Place {
    /// `sni` as it was written, with a dot at its end perhaps.
    pub(crate) fn new(peer: SocketAddr, reference: ReferenceIdentity, sni: Option<&str>) -> Self {
        let sni = sni.map(|name| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase());
        Self {
            peer,
            reference,
            sni,
        }
    }
}

struct Kept {
    ticket: Tls13ClientSessionValue,
    judged: Judged,
}

/// The tickets of a [`ClientPolicy`].
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Place, VecDeque<Kept>>>);

impl Sessions {
    /// After a resumed connection that came to nothing: the next handshake is a full one.
    pub(super) fn forget(&self, place: &Place) {
        self.lock().remove(place);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, VecDeque<Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store of one connection.
pub(super) struct Store {
    policy: Arc<ClientPolicy>,
    place: Place,
    judge: Arc<Judge>,
}

impl Store {
    pub(super) fn new(policy: Arc<ClientPolicy>, place: Place, judge: Arc<Judge>) -> Self {
        Self {
            policy,
            place,
            judge,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, _server: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _server: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    /// TLS 1.2 is for old receivers of syslog, whose sessions last.
    fn set_tls12_session(&self, _server: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let accepted = self.judge.accepted();
        let path = accepted.and_then(|accepted| accepted.proof.path().cloned());
        let Some(judged) = path else {
            return;
        };
        let mut sessions = self.policy.sessions.lock();
        if sessions.len() >= SERVERS && !sessions.contains_key(&self.place) {
            sessions.clear();
        }
        let kept = sessions.entry(self.place.clone()).or_default();
        if kept.len() >= TICKETS {
            kept.pop_front();
        }
        kept.push_back(Kept { ticket, judged });
    }

    /// The newest ticket whose server would still be believed after a full handshake.
    fn take_tls13_ticket(&self, _server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        loop {
            let kept = self
                .policy
                .sessions
                .lock()
                .get_mut(&self.place)?
                .pop_back()?;
            if self.judge.offer(kept.judged) {
                return Some(kept.ticket);
            }
        }
    }
}
