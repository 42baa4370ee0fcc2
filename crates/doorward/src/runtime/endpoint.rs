//! The metrics endpoint that is open, and fitting it to another configuration.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::Server;
use super::figures::Figures;
use crate::metrics::{Endpoint, Source};

/// The endpoint of one server, with the address as configured (port 0 stays 0).
#[derive(Debug, Default)]
pub(super) struct MetricsEndpoint(Mutex<Option<(SocketAddr, Endpoint)>>);

/// How the log and the errors call it.
pub(super) fn named(address: SocketAddr) -> String {
    format!("[metrics] {address}")
}

impl MetricsEndpoint {
    fn lock(&self) -> MutexGuard<'_, Option<(SocketAddr, Endpoint)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bound address.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.lock().as_ref().map(|(_, endpoint)| endpoint.address)
    }

    /// Whether the endpoint that is open is the one that is wanted.
    pub(super) fn fits(&self, wanted: Option<SocketAddr>) -> bool {
        self.lock().as_ref().map(|(configured, _)| *configured) == wanted
    }

    /// Answers on a socket that was bound for `configured`.
    pub(super) fn open(
        &self,
        server: &Arc<Server>,
        configured: SocketAddr,
        socket: TcpListener,
    ) -> std::io::Result<()> {
        let endpoint = Endpoint::serve(socket, Arc::new(Told::new(server)))?;
        tracing::info!(address = %endpoint.address, "metrics are served");
        *self.lock() = Some((configured, endpoint));
        Ok(())
    }

    /// Lets the address go. Waits for the endpoint's thread, which may be making a page.
    pub(super) async fn close(&self) {
        let closing = self.lock().take();
        if closing.is_some() {
            _ = tokio::task::spawn_blocking(move || drop(closing)).await;
        }
    }
}

/// What the endpoint tells of a server that may be gone.
struct Told {
    server: Weak<Server>,
    registry: Registry,
}

impl Told {
    fn new(server: &Arc<Server>) -> Self {
        let server = Arc::downgrade(server);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Figures(Weak::clone(&server))));
        Self { server, registry }
    }
}

impl Source for Told {
    fn write(&self, page: &mut String) -> fmt::Result {
        text::encode(page, &self.registry)
    }

    fn not_ready(&self) -> Option<&'static str> {
        match self.server.upgrade() {
            Some(server) => server.not_ready(),
            None => Some("the server has stopped"),
        }
    }
}
