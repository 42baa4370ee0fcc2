//! What a HASTLS record should say of our listeners (draft-hoffman-server-has-tls-01), and whether one does.
//!
//! ```text
//! listeners ── Offer ── pairs ──▶ the record to publish
//!                 │
//!    record ── compare ──▶ faults, notes
//! ```
//!
//! Every port without TLS is paired with every port with TLS of the same protocol, the usual ports first: then no pair says that a service is
//! offered with TLS alone while there is a way without, and each says what is true. It asks nobody, and opens nothing.

mod compare;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use doorward_hastls::{PortPair, Record, RecordError};
use jiff::civil::Date;

pub use compare::{Fault, Note, compare};

use crate::config::{Listener, ListenerProtocol};
use crate::policy::Protocol;

/// The protocols that a record of ours speaks of.
const PROTOCOLS: [Protocol; 2] = [Protocol::Tacacs, Protocol::Radius];

/// The name for people.
pub fn title(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tacacs => "TACACS+",
        Protocol::Radius => "RADIUS",
    }
}

/// The ports without and with TLS that a protocol is known by, the usual ones first.
fn known_ports(protocol: Protocol) -> &'static [u16] {
    match protocol {
        Protocol::Tacacs => &[49, 300],
        Protocol::Radius => &[1812, 2083, 1813, 1645, 1646],
    }
}

/// A listener as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// What it speaks.
    pub protocol: ListenerProtocol,
    /// Where.
    pub address: SocketAddr,
    /// Its last day.
    pub until: Option<Date>,
}

impl From<&Listener> for Listening {
    fn from(listener: &Listener) -> Self {
        Self {
            protocol: listener.protocol,
            address: listener.address,
            until: listener.until,
        }
    }
}

impl Listening {
    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    fn speaks(&self) -> Protocol {
        self.protocol.speaks()
    }

    fn is_tls(&self) -> bool {
        self.protocol.is_tls()
    }

    /// Of two on one port, the one that stays for longer tells how long it is open.
    fn stays(&self) -> (bool, Option<Date>) {
        (self.until.is_none(), self.until)
    }
}

/// `tacacs 192.0.2.49:49, closes after 2027-06-30`.
impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol.name(), self.address)?;
        match self.until {
            Some(day) => write!(f, ", closes after {day}"),
            None => Ok(()),
        }
    }
}

/// What a host offers: its listeners that are open today and can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// What others can reach.
    pub listening: Vec<Listening>,
    /// What is on loopback beside listeners that are not: for this machine alone, so that no record speaks of it.
    pub local: Vec<Listening>,
    /// Port 0: any free port, which is known only while the server runs.
    pub unknown: Vec<Listening>,
}

impl Offer {
    /// The offer of these listeners. Where all of them are on loopback, as in a trial, all count.
    pub fn new(listeners: impl IntoIterator<Item = Listening>, today: Date) -> Self {
        let open = |one: &Listening| one.until.is_none_or(|until| until >= today);
        let open: Vec<Listening> = listeners.into_iter().filter(open).collect();
        let loopback = |one: &Listening| one.address.ip().to_canonical().is_loopback();
        let all = open.iter().all(loopback);
        let (listening, local): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|one| all || !loopback(one));
        let (unknown, listening) = listening.into_iter().partition(|one| one.port() == 0);
        Self {
            listening,
            local,
            unknown,
        }
    }

    /// The offer from the day on that follows `day`.
    #[must_use]
    pub fn after(&self, day: Date) -> Self {
        let stays = |one: &&Listening| one.until.is_none_or(|until| until > day);
        Self {
            listening: self.listening.iter().filter(stays).copied().collect(),
            ..Self::default()
        }
    }

    /// The last days of its listeners, in their order.
    pub fn ends(&self) -> BTreeSet<Date> {
        self.listening.iter().filter_map(|one| one.until).collect()
    }

    /// The ports of a protocol with or without TLS, the usual ones first.
    pub fn ports(&self, protocol: Protocol, tls: bool) -> Vec<u16> {
        let of = |one: &&Listening| one.speaks() == protocol && one.is_tls() == tls;
        let ports: BTreeSet<u16> = self
            .listening
            .iter()
            .filter(of)
            .map(Listening::port)
            .collect();
        let mut ports: Vec<u16> = ports.into_iter().collect();
        let known = known_ports(protocol);
        ports.sort_by_key(|port| {
            known
                .iter()
                .position(|one| one == port)
                .unwrap_or(known.len())
        });
        ports
    }

    /// The pairs of a protocol; none if it is not offered.
    pub fn pairs(&self, protocol: Protocol) -> Vec<(u16, u16)> {
        let (plain, tls) = (self.ports(protocol, false), self.ports(protocol, true));
        match (plain.as_slice(), tls.as_slice()) {
            (plain, []) => plain.iter().map(|port| (*port, 0)).collect(),
            ([], tls) => tls.iter().map(|port| (0, *port)).collect(),
            (plain, tls) => {
                let with = |one: &u16| tls.iter().map(|other| (*one, *other)).collect::<Vec<_>>();
                plain.iter().flat_map(with).collect()
            }
        }
    }

    /// The record that says all of it: TACACS+, then RADIUS.
    ///
    /// # Errors
    /// What the listeners are cannot be said by a record.
    pub fn record(&self) -> Result<Record, Unsayable> {
        let all = PROTOCOLS.map(|protocol| (protocol, self.pairs(protocol)));
        for (protocol, pairs) in &all {
            if let Some((port, _)) = pairs.iter().find(|(plain, tls)| plain == tls) {
                return Err(Unsayable::Shared(*protocol, *port));
            }
        }
        let pairs = all.into_iter().flat_map(|(_, pairs)| pairs);
        Record::new(pairs).map_err(|error| match error {
            RecordError::Empty => Unsayable::Nothing,
            RecordError::Contradiction(one, other) => Unsayable::Contradiction(one, other),
            RecordError::Length(_) | RecordError::Undefined | RecordError::TooMany(_) => {
                Unsayable::Record(error)
            }
        })
    }
}

/// Why the listeners cannot be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsayable {
    /// There are none that others reach.
    Nothing,
    /// A protocol has one port with and without TLS, on different addresses: a pair of equal ports would announce an upgrade in band.
    Shared(Protocol, u16),
    /// Two protocols share a port, on different addresses, and offer different forms.
    Contradiction(PortPair, PortPair),
    /// Another fault of the record.
    Record(RecordError),
}

impl fmt::Display for Unsayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("there is no open listener that others can reach"),
            Self::Shared(protocol, port) => write!(
                f,
                "{} listens on port {port} with and without TLS, on different addresses: equal ports would announce an upgrade in band, which it does not have",
                title(*protocol)
            ),
            Self::Contradiction(one, other) => write!(
                f,
                "two protocols share a port, on different addresses: the pairs ({one}) and ({other}) contradict each other for clients, which know a service by its ports alone"
            ),
            Self::Record(error) => error.fmt(f),
        }
    }
}

impl Unsayable {
    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Nothing => {
                "listeners on loopback are left out where there are others, and so are those whose last day is over"
            }
            Self::Shared(..) | Self::Contradiction(..) | Self::Record(_) => {
                "give one of the two another port; or give each address a name of its own, with its own record"
            }
        }
    }
}

#[cfg(test)]
mod tests;
