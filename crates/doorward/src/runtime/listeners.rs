//! The listeners that are open, and fitting them to another configuration.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::ListenerStatus;
use super::activation::Inherited;
use crate::aaa::Aaa;
use crate::config::{Config, Listener, ListenerProtocol};
use crate::listen::{CLOSES_SOON, Drain, ListenerKey, Open, SeenDevices, Shared, days_left};

/// How long a listener that a reload takes out may answer what is under way: longer than a password may take.
const FINISH: Duration = Duration::from_secs(5);

/// Open listeners, each with the task that accepts on it.
type Accepting = HashMap<ListenerKey, (Arc<Open>, JoinHandle<()>)>;

/// Figures of one open listener.
#[derive(Debug)]
pub(super) struct ListenerFigures {
    protocol: &'static str,
    address: String,
    pub(super) connections: usize,
    pub(super) max_connections: usize,
    pub(super) handshakes: usize,
    pub(super) max_handshakes: usize,
    pub(super) closes: Option<jiff::Timestamp>,
}

impl ListenerFigures {
    /// What distinguishes it in the metrics.
    pub(super) fn labels(&self) -> [(&'static str, &str); 2] {
        [("protocol", self.protocol), ("listener", &self.address)]
    }
}

/// Every open listener with the task that accepts on it.
#[derive(Debug)]
pub(super) struct Listeners {
    aaa: Arc<Aaa>,
    pub(super) shared: Arc<Shared>,
    open: Mutex<Accepting>,
    inherited: Inherited,
}

impl Listeners {
    pub(super) fn new(aaa: Arc<Aaa>, drain: Arc<Drain>, inherited: Inherited) -> Self {
        Self {
            shared: Arc::new(Shared::new(Arc::clone(&aaa), drain)),
            aaa,
            open: Mutex::default(),
            inherited,
        }
    }

    /// Opens all listeners of the first configuration, or none.
    pub(super) async fn open_all(&self, config: &Config) -> Result<(), (String, std::io::Error)> {
        let mut failures = self.fit(config).await;
        match failures.pop() {
            None => Ok(()),
            Some(failure) => {
                self.close_all();
                Err(failure)
            }
        }
    }

    /// Closes what the configuration no longer has, opens what is new; returns what could not be opened.
    pub(super) async fn fit(&self, config: &Config) -> Vec<(String, std::io::Error)> {
        let wanted: Vec<(ListenerKey, &Listener)> = ListenerKey::all(&config.listeners)
            .filter(|(key, listener)| still_serves(*key, listener))
            .collect();
        let closing: Vec<(Arc<Open>, JoinHandle<()>)> = {
            let mut open = self.lock();
            let gone: Vec<ListenerKey> = open
                .keys()
                .filter(|key| !wanted.iter().any(|(wanted, _)| wanted == *key))
                .copied()
                .collect();
            for key in gone.iter().filter(|key| self.inherited.has(**key)) {
                tracing::warn!(address = %key.address, "{STILL_HELD}");
            }
            gone.iter().filter_map(|key| open.remove(key)).collect()
        };
        for (listener, mut task) in closing {
            if !listener.finish() || tokio::time::timeout(FINISH, &mut task).await.is_err() {
                task.abort();
                // The address is free once the task has let go of its socket.
                _ = task.await;
            }
        }
        let mut failures = Vec::new();
        for (key, settings) in wanted {
            let mut open = self.lock();
            if open.get(&key).is_some_and(|(_, task)| !task.is_finished()) {
                continue;
            }
            let inherited = self.inherited.has(key);
            let opened = self.inherited.claim(key).and_then(|socket| {
                Open::bind(
                    (key, settings),
                    socket,
                    Arc::clone(&self.aaa),
                    Arc::clone(&self.shared),
                )
            });
            match opened {
                Ok((listener, socket)) => {
                    tracing::info!(listener = &*listener.name, inherited, "listening");
                    let task = tokio::spawn(Arc::clone(&listener).serve(socket));
                    open.insert(key, (listener, task));
                }
                Err(error) => failures.push((named(key), error)),
            }
        }
        failures
    }

    /// The new listeners of a configuration whose address is another program's or not this host's. An address that one of
    /// ours still has is not judged: it may be free once the old listener is closed.
    /// `metrics` is the port of the metrics endpoint, which is ours as well.
    pub(super) fn unavailable(
        &self,
        config: &Config,
        metrics: Option<u16>,
    ) -> Vec<(String, std::io::Error)> {
        let today = jiff::Zoned::now().date();
        let keys: Vec<ListenerKey> = self.lock().keys().copied().collect();
        let ours: Vec<u16> = self.ports().into_iter().chain(metrics).collect();
        ListenerKey::all(&config.listeners)
            .filter(|(_, listener)| !listener.is_closed(today))
            .map(|(key, _)| key)
            .filter(|key| !keys.contains(key) && !ours.contains(&key.address.port()))
            .filter(|key| !self.inherited.has(*key))
            .filter_map(|key| {
                let error = Open::try_address(key).err()?;
                Some((named(key), error))
            })
            .collect()
    }

    /// Lets every open connection be judged by the configuration and the revocation lists in force.
    pub(super) fn sweep(&self) {
        self.shared.sweep.begin();
    }

    /// Closes every listener; connections stay, and what is under way over UDP is answered.
    pub(super) fn close_all(&self) {
        for (_, (listener, task)) in self.lock().drain() {
            if !listener.finish() {
                task.abort();
            }
        }
    }

    /// Protocols and bound addresses, in the order of the configuration.
    pub(super) fn list(&self) -> Vec<(ListenerProtocol, SocketAddr)> {
        self.in_order()
            .into_iter()
            .map(|open| (open.key.protocol, open.address))
            .collect()
    }

    pub(super) fn status(&self, config: &Config) -> Vec<ListenerStatus> {
        self.in_order()
            .into_iter()
            .map(|open| ListenerStatus {
                protocol: open.key.protocol.name().to_owned(),
                address: open.address.to_string(),
                connections: open.connections.load(Ordering::Relaxed),
                handshakes: open.handshakes.load(Ordering::Relaxed),
                until: ListenerKey::all(&config.listeners)
                    .find(|(key, _)| *key == open.key)
                    .and_then(|(_, listener)| listener.until)
                    .map(|day| day.to_string()),
            })
            .collect()
    }

    /// Figures for the metrics.
    pub(super) fn figures(&self) -> Vec<ListenerFigures> {
        let snapshot = self.aaa.snapshot();
        self.in_order()
            .into_iter()
            .filter_map(|open| {
                let settings = open.key.find(&snapshot)?;
                Some(ListenerFigures {
                    protocol: open.key.protocol.name(),
                    address: open.address.to_string(),
                    connections: open.connections.load(Ordering::Relaxed),
                    max_connections: settings.max_connections,
                    handshakes: open.handshakes.load(Ordering::Relaxed),
                    max_handshakes: settings.max_handshakes,
                    closes: settings.until.and_then(closes),
                })
            })
            .collect()
    }

    /// The ports of the open listeners.
    fn ports(&self) -> Vec<u16> {
        let open = self.lock();
        open.values().map(|(one, _)| one.address.port()).collect()
    }

    /// Whether one of the open listeners has this port.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.ports().contains(&port)
    }

    pub(super) fn seen(&self) -> &SeenDevices {
        &self.shared.seen
    }

    fn in_order(&self) -> Vec<Arc<Open>> {
        let snapshot = self.aaa.snapshot();
        let open = self.lock();
        ListenerKey::all(&snapshot.config.listeners)
            .filter_map(|(key, _)| open.get(&key))
            .filter(|(_, task)| !task.is_finished())
            .map(|(listener, _)| Arc::clone(listener))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Accepting> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// systemd holds the socket as well, so that closing our copy closes nothing.
const STILL_HELD: &str = "this listener was taken out of the configuration, and its socket is the service manager's: devices that \
    connect wait in vain until it is taken out of the socket unit too";
/// How the log and the errors call a listener that is not bound.
fn named(key: ListenerKey) -> String {
    format!("[[listen]] {} {}", key.protocol.name(), key.address)
}

/// The end of a listener's last day.
fn closes(last: jiff::civil::Date) -> Option<jiff::Timestamp> {
    let next = last.tomorrow().ok()?;
    let midnight = next.to_zoned(jiff::tz::TimeZone::system()).ok()?;
    Some(midnight.timestamp())
}

/// Whether the listener's last day is still to come; says so in the log when it is past or near.
fn still_serves(key: ListenerKey, listener: &Listener) -> bool {
    let Some(until) = listener.until else {
        return true;
    };
    let today = jiff::Zoned::now().date();
    let name = format!("{} {}", key.protocol.name(), key.address);
    if listener.is_closed(today) {
        tracing::warn!(listener = name, %until, "the listener's last day (`until`) has passed: it is not opened");
        return false;
    }
    if let Some(days) = days_left(until, today) {
        tracing::warn!(listener = name, %until, days, "{CLOSES_SOON}");
    }
    true
}
