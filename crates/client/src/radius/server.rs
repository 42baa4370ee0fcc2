//! Which servers there are, and how they are spoken to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use doorward_radius::client::Config;
use doorward_radius::retransmit::Retransmission;
use doorward_radius::watchdog::Watching;
use doorward_radius::{Secret, Transport};

use super::Reconnect;
use crate::hastls::Hastls;
use crate::server::{ServerAddress, Tls};

/// One server: where it is, what carries the packets, how long to wait for it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is.
    pub address: ServerAddress,
    /// What carries the packets. It never changes into another.
    pub carriage: Carriage,
    /// How long making a connection may take: the name, TCP and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How long an answer is waited for; over DTLS and UDP all transmissions of a request together.
    pub reply_timeout: Duration,
    /// A request that has no answer for this long speaks against its connection, and over DTLS and UDP makes
    /// [`Client::pass`](super::Client::pass) ask another server as well; a fair share of the time for an answer at most.
    pub doubt_after: Duration,
    /// When a request over DTLS or UDP is sent again: after this time, then after twice as long, 16 s at most, give or take
    /// a tenth, and five times in all (RFC 5080 section 2.2.1).
    pub retransmit: Duration,
    /// When to connect again after a failure.
    pub reconnect: Reconnect,
    /// Tw of the watchdog, 6 s at least (RFC 3539 section 3.4.1); `None` asks no questions, which is how UDP begins, where
    /// servers need not answer them.
    pub watchdog: Option<Duration>,
    /// Find out whether the server answers the watchdog's questions at all: one that has never answered any is not found dead by
    /// that as long as it answers requests, is asked no more, and is judged by its answers to requests. One that has answered
    /// once is held to it.
    pub watchdog_learns: bool,
    /// Closes a connection that carried nothing but the watchdog's questions for this long; `None` never does.
    pub idle_timeout: Option<Duration>,
    /// Keep a connection open, also while there is nothing to ask.
    pub keep_open: bool,
    /// How many connections may be open at once; more than one is used when 255 requests wait for answers on one.
    pub max_connections: usize,
    /// Over UDP: take answers to Access-Requests that have no Message-Authenticator. Whoever is on the way can then turn
    /// a rejection into an acceptance ("Blast-RADIUS").
    pub unsigned_answers: bool,
    /// Obey the HASTLS record of the server's host; `None` asks no DNS for it.
    pub hastls: Option<Hastls>,
    /// What is spoken to where TLS cannot be set up: see [`Server::with_fallback`].
    pub fallback: Option<Arc<Server>>,
}

/// What carries the packets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Carriage {
    /// RADIUS/TLS.
    Tls(Tls),
    /// RADIUS/DTLS, of which there is version 1.2.
    Dtls(Tls),
    /// RADIUS/UDP with this shared secret.
    Udp(Secret),
}

impl Carriage {
    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Tls(_) => Transport::Tls,
            Self::Dtls(_) => Transport::Dtls,
            Self::Udp(_) => Transport::Udp,
        }
    }

    pub(super) fn secret(&self) -> Secret {
        match self {
            Self::Tls(_) => Secret::RADSEC,
            Self::Dtls(_) => Secret::RADIUS_DTLS,
            Self::Udp(secret) => secret.clone(),
        }
    }
}

impl Server {
    /// The port of RadSec, over TLS and over DTLS (RFC 6614bis section 3.1).
    pub const TLS_PORT: u16 = 2083;
    /// The port of RADIUS/UDP for logins and Status-Server (RFC 2865 section 3).
    pub const UDP_PORT: u16 = 1812;
    /// The port of RADIUS/UDP for accounting (RFC 2866 section 3).
    pub const UDP_ACCOUNTING_PORT: u16 = 1813;
    /// The shortest secret that is accepted.
    pub const MIN_SECRET: usize = crate::Server::MIN_SECRET;

    /// A server over TLS, with the usual deadlines.
    ///
    /// # Errors
    /// The port is one of RADIUS/UDP, where RadSec must not be (section 3.1).
    pub fn tls(address: ServerAddress, tls: Tls) -> Result<Self, ServerError> {
        if doorward_radius::pairs::UDP_PORTS.contains(&address.port()) {
            return Err(ServerError::UdpPort);
        }
        Ok(Self::new(address, Carriage::Tls(tls)))
    }

    /// A server over DTLS, with the usual deadlines. The policy has to be for datagrams
    /// ([`doorward_tls::ClientSettings::datagrams`]).
    ///
    /// # Errors
    /// The port is one of RADIUS/UDP, where RadSec must not be (section 3.1), or the policy is for TLS alone.
    pub fn dtls(address: ServerAddress, tls: Tls) -> Result<Self, ServerError> {
        if doorward_radius::pairs::UDP_PORTS.contains(&address.port()) {
            return Err(ServerError::UdpPort);
        }
        if !tls.policy.offers_datagrams() {
            return Err(ServerError::NoDatagrams);
        }
        Ok(Self::new(address, Carriage::Dtls(tls)))
    }

    /// A server over UDP. A secret shorter than [`Server::MIN_SECRET`] is refused.
    ///
    /// # Errors
    /// The secret is too short, or the port is RadSec's, where everything is TLS or DTLS.
    pub fn udp(address: ServerAddress, secret: Secret) -> Result<Self, ServerError> {
        match secret.octets().len() {
            0 => Err(ServerError::NoSecret),
            length if length < Self::MIN_SECRET => Err(ServerError::ShortSecret),
            _ => Self::udp_with_short_secret(address, secret),
        }
    }

    /// [`Server::udp`] for an old server whose secret cannot be made longer.
    ///
    /// # Errors
    /// There is no secret.
    pub fn udp_with_short_secret(
        address: ServerAddress,
        secret: Secret,
    ) -> Result<Self, ServerError> {
        if secret.octets().is_empty() {
            return Err(ServerError::NoSecret);
        }
        if address.port() == Self::TLS_PORT {
            return Err(ServerError::TlsPort);
        }
        Ok(Self::new(address, Carriage::Udp(secret)))
    }

    /// The same server, and where TLS cannot be set up, this one over UDP: RFC 6614bis section 7.7 forbids that unless somebody wants it, and whoever
    /// keeps TLS from working gets the requests without. Each time is logged. TLS is tried again after a minute.
    ///
    /// # Errors
    /// This server is over UDP itself, or the other one is not.
    pub fn with_fallback(self, udp: Self) -> Result<Self, ServerError> {
        match (&self.carriage, &udp.carriage) {
            (Carriage::Tls(_) | Carriage::Dtls(_), Carriage::Udp(_)) => Ok(Self {
                fallback: Some(Arc::new(udp)),
                ..self
            }),
            (Carriage::Udp(_), _) | (_, Carriage::Tls(_) | Carriage::Dtls(_)) => {
                Err(ServerError::Fallback)
            }
        }
    }

    fn new(address: ServerAddress, carriage: Carriage) -> Self {
        let transport = carriage.transport();
        Self {
            address,
            carriage,
            connect_timeout: Duration::from_secs(5),
            reply_timeout: Duration::from_secs(30),
            doubt_after: Duration::from_secs(6),
            retransmit: Duration::from_secs(2),
            reconnect: Reconnect::default(),
            watchdog: Config::new(transport).watchdog,
            watchdog_learns: false,
            idle_timeout: None,
            keep_open: false,
            max_connections: 8,
            unsigned_answers: false,
            hastls: None,
            fallback: None,
        }
    }

    /// What is known of the server before it was ever connected.
    pub(super) fn watching(&self) -> Watching {
        if self.watchdog_learns {
            Watching::Learning
        } else {
            Watching::Status
        }
    }

    /// For the machine of a connection.
    pub(super) fn config(&self, watching: Watching) -> Config {
        Config {
            timeout: self.reply_timeout,
            retransmission: Retransmission {
                initial: self.retransmit,
                duration: self.reply_timeout,
                ..Retransmission::default()
            },
            watchdog: self.watchdog,
            watching,
            idle: self.idle_timeout,
            ..Config::new(self.carriage.transport())
        }
    }
}

/// Why a server is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerError {
    /// RadSec on a port of RADIUS/UDP.
    UdpPort,
    /// RADIUS/UDP on the port of RadSec.
    TlsPort,
    /// RADIUS/UDP without a secret.
    NoSecret,
    /// The secret has less than [`Server::MIN_SECRET`] octets.
    ShortSecret,
    /// RADIUS/DTLS with a policy for TLS alone.
    NoDatagrams,
    /// A fall-back that is none from TLS or DTLS to UDP.
    Fallback,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UdpPort => f.write_str(
                "this is a port of RADIUS/UDP, where RadSec must not be; its own is 2083",
            ),
            Self::TlsPort => f.write_str(
                "this is the port of RadSec, where RADIUS/UDP must not be; its own are 1812 and 1813",
            ),
            Self::NoSecret => f.write_str("RADIUS/UDP needs a shared secret"),
            Self::ShortSecret => write!(
                f,
                "the secret has fewer than {} characters, and whoever reads along can guess it",
                Server::MIN_SECRET
            ),
            Self::Fallback => f.write_str("a fall-back leads from RadSec to RADIUS/UDP"),
            Self::NoDatagrams => f.write_str("what is to prove us and the server is not for DTLS"),
        }
    }
}

impl std::error::Error for ServerError {}
