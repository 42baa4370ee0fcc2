//! HASTLS (draft-hoffman-server-has-tls-01) obeyed by the clients: before a connection is made, the record of the host says which port to use, or
//! that there is nothing to connect to.
//!
//! ```text
//! Server.hastls ── name of the host ──▶ dns::Resolver ── answer ──▶ doorward_hastls::Mode::decide ──▶ Way, or Forbidden
//! ```
//!
//! - What a server is spoken to with never changes by a record: TLS stays TLS (RFC 9887 section 5.1.1), and only a RADIUS server that was given a
//!   [`fallback`](crate::radius::Server::fallback) has one, which a record can take away.
//! - A server is known by two ports: its own, and for the other form that of the protocol. A pair that names neither is about something else.
//! - The record's port is the one to connect to, unless it belongs to the other form: TLS never goes to port 49, 1812 or 1813, and what is without TLS
//!   never to 300 or 2083. There the configured port stays.
//! - A record counts for its time to live. What stays connected longer is judged again.
//! - What does not count is told once for each server, and each time that the reason is another one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorward_hastls::{Application, Basis, Plan, Policy, Route, Security, Service};
pub use doorward_hastls::{Mode, RecordType, Refusal, Unusable};
use tokio::time::Instant;

use crate::dns::{Name, Resolver};
use crate::error::TransportError;
use crate::server::ServerAddress;

/// Servers whose last reason is remembered; those of one file are fewer.
const MAX_TOLD: usize = 4096;
/// A record that may not be kept at all is not looked up more often for what is connected.
const SOONEST: Duration = Duration::from_secs(1);
/// When it is looked again after no answer.
const AGAIN: Duration = Duration::from_secs(5);

/// How a server's record is looked up, and what it counts. Clones share what they know; one for all servers of a client is best.
#[derive(Clone, Debug)]
pub struct Hastls {
    mode: Mode,
    resolver: Resolver,
    number: RecordType,
    told: Arc<Mutex<BTreeMap<String, Unusable>>>,
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The server, with the port to use.
    pub(crate) address: ServerAddress,
    /// TLS is to be tried.
    pub(crate) secure: bool,
    /// What is without TLS may be tried after that.
    pub(crate) fallback: bool,
}

/// A way, and until when it is known to be the right one; `None`: for ever.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) way: Way,
    pub(crate) until: Option<Instant>,
}

/// Why HASTLS forbids a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The record does, or there is none where one is required.
    Record(Refusal),
    /// A record is required, and an IP address has none.
    Address,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(refusal) => {
                write!(f, "not connected to: {refusal}")?;
                f.write_str(match refusal {
                    Refusal::SecureOnly => ", by its HASTLS record; connect with TLS",
                    Refusal::InsecureOnly => {
                        ", by its HASTLS record, and nothing is sent without TLS instead"
                    }
                    Refusal::Contradicting => "; connect with TLS, or have the record corrected",
                    Refusal::Required(_) => "",
                })
            }
            Self::Address => f.write_str(
                "not connected to: a HASTLS record is required, and an IP address has none; name the host",
            ),
        }
    }
}

impl std::error::Error for Forbidden {}

impl Hastls {
    /// Records of this type number, looked up here.
    pub fn new(mode: Mode, resolver: Resolver, number: RecordType) -> Self {
        Self {
            mode,
            resolver,
            number,
            told: Arc::default(),
        }
    }

    /// What a record counts.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Where to connect to this server, which is known by the ports of `service`.
    async fn find(
        &self,
        server: &ServerAddress,
        policy: Policy,
        service: &Service,
    ) -> Result<Found, TransportError> {
        let configured = Found {
            way: Way::configured(server, policy),
            until: None,
        };
        if self.mode == Mode::Off {
            return Ok(configured);
        }
        let host = server.host();
        let name = match host.parse::<Name>() {
            Ok(name) if host.parse::<IpAddr>().is_err() => name,
            Ok(_) | Err(_) if self.mode == Mode::Require => {
                return Err(TransportError::Hastls(Forbidden::Address));
            }
            Ok(_) | Err(_) => {
                self.tell_address(server);
                return Ok(configured);
            }
        };
        let found = self.resolver.hastls(&name, self.number).await;
        let ttl = found.lookup.ttl().unwrap_or(AGAIN);
        match self.mode.decide(&found.answer, policy, service) {
            Plan::Refuse(refusal) => {
                tracing::debug!(%server, %refusal, "HASTLS forbids the connection");
                Err(TransportError::Hastls(Forbidden::Record(refusal)))
            }
            Plan::Connect(route) => {
                self.tell(server, &route);
                Ok(Found {
                    way: Way::of(server, &route, service),
                    until: Some(Instant::now() + ttl.max(SOONEST)),
                })
            }
        }
    }

    /// Says once why a record does not count.
    fn tell(&self, server: &ServerAddress, route: &Route) {
        let why = match route.basis() {
            Basis::Record(offers) => {
                let to = route.first();
                tracing::debug!(%server, %offers, %to, "the server's HASTLS record is obeyed");
                self.lock().remove(&server.to_string());
                return;
            }
            Basis::Configured(why) => why,
        };
        if !self.is_new(server, why) {
            return;
        }
        let reason = why.name();
        match why {
            // Nothing is wrong.
            Unusable::Absent | Unusable::Silent | Unusable::NotAsked => {
                tracing::info!(%server, reason, "the server is connected to as configured: {why}");
            }
            Unusable::Insecure
            | Unusable::Bogus
            | Unusable::Expired
            | Unusable::Indeterminate
            | Unusable::Malformed(_)
            | Unusable::Contradicting
            | Unusable::Upgrade => {
                tracing::warn!(%server, reason, "the server is connected to as if it had no HASTLS record: {why}");
            }
        }
    }

    fn tell_address(&self, server: &ServerAddress) {
        if self.is_new(server, Unusable::NotAsked) {
            tracing::warn!(%server, "an IP address has no HASTLS record: the server is connected to as configured; name the host to have its record obeyed");
        }
    }

    /// Whether this was not the last thing that was told of the server.
    fn is_new(&self, server: &ServerAddress, why: Unusable) -> bool {
        let mut told = self.lock();
        if told.len() >= MAX_TOLD {
            told.clear();
        }
        told.insert(server.to_string(), why) != Some(why)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Unusable>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    fn configured(server: &ServerAddress, policy: Policy) -> Self {
        Self {
            address: server.clone(),
            secure: policy != Policy::InsecureOnly,
            fallback: policy == Policy::AllowFallback,
        }
    }

    fn of(server: &ServerAddress, route: &Route, service: &Service) -> Self {
        let first = route.first();
        let secure = match first.security {
            // Neither application has an upgrade.
            Security::Tls | Security::Upgrade => true,
            Security::Plain => false,
        };
        let port = first.port.get();
        let address = if port != server.port() && is_of(!secure, port, service) {
            tracing::warn!(%server, port, "the HASTLS record has a port of the other form, which is never used so: the configured one stays");
            server.clone()
        } else {
            server.at_port(port)
        };
        Self {
            address,
            secure,
            fallback: route.fallback().is_some(),
        }
    }
}

/// Whether a port belongs to the form with TLS (`secure`) or to that without, by the numbers that the protocols have.
fn is_of(secure: bool, port: u16, service: &Service) -> bool {
    match (service.application, secure) {
        (Application::Tacacs, true) => port == ServerAddress::TLS_PORT,
        (Application::Tacacs, false) => port == ServerAddress::PLAIN_PORT,
        (Application::Radius, true) => port == crate::radius::Server::TLS_PORT,
        (Application::Radius, false) => doorward_radius::pairs::UDP_PORTS.contains(&port),
        (Application::Other, _) => false,
    }
}

/// Where to connect; without DNS and at no cost where nobody asked for HASTLS.
pub(crate) async fn find(
    hastls: Option<&Hastls>,
    server: &ServerAddress,
    policy: Policy,
    service: &Service,
) -> Result<Found, TransportError> {
    match hastls {
        Some(hastls) => hastls.find(server, policy, service).await,
        None => Ok(Found {
            way: Way::configured(server, policy),
            until: None,
        }),
    }
}

/// The service on a server's port, whose other port is the usual one or `other`.
pub(crate) fn service(usual: Service, port: u16, secure: bool, other: Option<u16>) -> Service {
    let port = NonZeroU16::new(port);
    let other = other.and_then(NonZeroU16::new);
    let (insecure, secure) = match secure {
        true => (other, port),
        false => (port, other),
    };
    Service::new(
        usual.application,
        insecure.unwrap_or(usual.insecure),
        secure.unwrap_or(usual.secure),
    )
}
