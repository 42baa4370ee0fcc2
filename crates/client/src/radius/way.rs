//! From a server to a wire: where HASTLS says to connect, TLS first, and the fall-back where one was configured and nothing forbids it.

use std::sync::Arc;
use std::time::Duration;

use doorward_hastls::{Policy, Service};
use tokio::time::Instant;

use super::wire::Wire;
use super::{Carriage, Server};
use crate::error::TransportError;
use crate::hastls::{self, Found};
use crate::transport::Unconnected;

/// How long requests go without TLS before it is tried again.
const WITHOUT: Duration = Duration::from_secs(60);

/// A wire, and what is spoken on it.
pub(super) struct Opened {
    pub(super) wire: Wire,
    /// The server, or its fall-back.
    pub(super) server: Arc<Server>,
    pub(super) found: Found,
    /// It is the fall-back, and until when.
    pub(super) fallen: Option<Instant>,
}

/// Where to connect now.
pub(super) async fn find(server: &Server) -> Result<Found, TransportError> {
    let port = server.address.port();
    let policy = match (&server.carriage, &server.fallback) {
        (Carriage::Udp(_), _) => Policy::InsecureOnly,
        (Carriage::Tls(_) | Carriage::Dtls(_), None) => Policy::SecureOnly,
        (Carriage::Tls(_) | Carriage::Dtls(_), Some(_)) => Policy::AllowFallback,
    };
    let other = server.fallback.as_ref().map(|plain| plain.address.port());
    let secure = policy != Policy::InsecureOnly;
    let service = hastls::service(Service::RADIUS, port, secure, other);
    hastls::find(server.hastls.as_ref(), &server.address, policy, &service).await
}

/// Connects.
pub(super) async fn open(server: &Arc<Server>) -> Result<Opened, Unconnected> {
    let found = find(server).await?;
    let way = &found.way;
    let (error, fallback) = match (way.secure, &server.fallback) {
        (false, Some(fallback)) => (None, fallback),
        (false, None) | (true, _) => {
            match (Wire::connect(server, &way.address).await, &server.fallback) {
                (Ok(wire), _) => {
                    return Ok(Opened {
                        wire,
                        server: Arc::clone(server),
                        found,
                        fallen: None,
                    });
                }
                // A full handshake may follow at once.
                (Err(error), Some(fallback)) if way.fallback && !error.resuming => {
                    (Some(error.error), fallback)
                }
                (Err(error), _) => return Err(error),
            }
        }
    };
    let (to, configured) = (&fallback.address, &server.address);
    match error {
        Some(error) => {
            tracing::warn!(server = %configured, %to, %error, "there is no TLS with the server: what is to be asked goes by RADIUS/UDP, as configured");
        }
        None => {
            tracing::warn!(server = %configured, %to, "the server has no TLS by its HASTLS record: what is to be asked goes by RADIUS/UDP, as configured");
        }
    }
    Ok(Opened {
        wire: Wire::connect(fallback, to).await?,
        server: Arc::clone(fallback),
        fallen: Some(Instant::now() + WITHOUT),
        found,
    })
}
