//! What `doorward status` tells.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use doorward_client::radius::{ServerState, Standing};
use serde::{Deserialize, Serialize};

use super::Server;
use crate::accounting::SinkStats;
use crate::listen::Seen;
use crate::proxy::Purpose;

/// The state of the service, in the form of the command-line contract.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Start of the process.
    pub since: String,
    /// Whether a login would be served now.
    pub ready: bool,
    /// Why not, when not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready_because: Option<String>,
    /// The configuration in force.
    pub configuration: ConfigurationStatus,
    /// Open listeners.
    pub listeners: Vec<ListenerStatus>,
    /// Where metrics are served.
    pub metrics: Option<String>,
    /// The journal.
    pub journal: JournalStatus,
    /// The password workers.
    pub passwords: PasswordStatus,
    /// The accounting sinks.
    #[serde(default)]
    pub sinks: Vec<SinkStatus>,
    /// The pools that requests are forwarded to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolStatus>,
    /// What was answered so far, by kind and outcome.
    pub answered: BTreeMap<String, u64>,
    /// What was refused so far, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Only when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<DeviceStatus>>,
}

/// The configuration in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigurationStatus {
    /// The file.
    pub file: PathBuf,
    /// When it was loaded.
    pub loaded: String,
    /// How many times a configuration was put in force.
    pub generation: u64,
    /// Why the last reload was refused; null when it was not.
    pub last_error: Option<String>,
}

/// One open listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// `tacacs-tls` or `tacacs`.
    pub protocol: String,
    /// Bound address.
    pub address: String,
    /// Connections open now.
    pub connections: usize,
    /// Handshakes under way now.
    pub handshakes: usize,
    /// Its last day.
    pub until: Option<String>,
}

/// The journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Records handed in and not yet on the disk.
    pub pending: usize,
    /// Duration of the last commit.
    pub commit_ms: f64,
    /// Records committed since the start.
    pub records: u64,
    /// Commits since the start.
    pub commits: u64,
    /// Decisions kept since the start.
    pub decisions: u64,
    /// Decisions that `[audit]` wanted and the journal did not take, since the start.
    pub decisions_lost: u64,
    /// The last commit failed: records are answered with ERROR until one succeeds.
    pub failing: bool,
}

/// The threads that hash passwords.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PasswordStatus {
    /// Passwords hashed since the start; one that is remembered (`[authentication] remember`) is not hashed again.
    pub hashed: u64,
    /// Logins that wait for a worker.
    pub waiting: usize,
    /// Users whose password is one they changed through a device, and not that of the file.
    #[serde(default)]
    pub changed: Vec<String>,
}

/// One accounting sink.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// The last attempt did not fail.
    pub up: bool,
    /// Records in the journal that it has not delivered.
    pub depth: u64,
    /// Age of the oldest of them.
    pub lag_seconds: f64,
    /// Records delivered since the start.
    pub delivered: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// Why the last attempt failed; null when it did not.
    pub error: Option<String>,
}

impl From<SinkStats> for SinkStatus {
    fn from(stats: SinkStats) -> Self {
        Self {
            name: stats.name.to_string(),
            up: stats.up,
            depth: stats.depth,
            lag_seconds: stats.lag.as_secs_f64(),
            delivered: stats.delivered,
            failures: stats.failures,
            error: stats.error,
        }
    }
}

/// One pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Requests that were passed on and have no answer yet.
    pub underway: usize,
    /// How many there may be.
    pub limit: usize,
    /// Its servers, in their order.
    pub servers: Vec<UpstreamStatus>,
}

/// One server of a pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// As the file calls it.
    pub server: String,
    /// The realm that it was found for, where the pool finds its servers in the DNS.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub realm: Option<String>,
    /// `login`, or `accounting` where that has a port of its own.
    #[serde(rename = "for")]
    pub purpose: String,
    /// `well`, `doubtful`, `connecting` or `down`.
    pub state: String,
    /// Open connections to it.
    pub connections: u64,
    /// Requests that it has not answered yet, those that wait for a connection included.
    pub outstanding: u64,
}

impl UpstreamStatus {
    fn new(server: &str, realm: Option<&str>, purpose: Purpose, found: &ServerState) -> Self {
        let state = match found.standing {
            Standing::Well | Standing::Doubtful if found.connecting && found.connections == 0 => {
                "connecting"
            }
            Standing::Well | Standing::Doubtful | Standing::Down => found.standing.name(),
        };
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            server: server.to_owned(),
            realm: realm.map(str::to_owned),
            purpose: purpose.name().to_owned(),
            state: state.to_owned(),
            connections: number(found.connections),
            outstanding: number(found.outstanding),
        }
    }
}

/// One device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// Name.
    pub name: String,
    /// When it was last here, with TLS and without.
    pub seen: SeenStatus,
    /// How it proved who it is, the last time.
    pub auth: Option<String>,
    /// notAfter of the certificate it showed last.
    pub certificate_expires: Option<String>,
    /// What keeps it from `transport = "tls"`; empty when nothing does.
    pub blocker: String,
}

/// When a device was last here since the start of the server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SeenStatus {
    /// With TLS.
    pub tls: Option<String>,
    /// Without.
    pub plain: Option<String>,
}

impl Server {
    /// The state now; `devices` adds the list of devices.
    pub fn status(&self, devices: bool) -> Status {
        let snapshot = self.aaa.snapshot();
        let journal = self.aaa.journal().stats();
        let hashing = self.aaa.hashing().stats();
        let not_ready_because = self.not_ready();
        let own = |report: BTreeMap<&'static str, u64>| {
            report
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect()
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: rfc3339(self.started),
            ready: not_ready_because.is_none(),
            not_ready_because: not_ready_because.map(str::to_owned),
            configuration: ConfigurationStatus {
                file: self.path.clone(),
                loaded: rfc3339(snapshot.loaded),
                generation: snapshot.generation,
                last_error: self
                    .last_error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
            },
            listeners: self.listeners.status(&snapshot.config),
            metrics: self.metrics.address().map(|address| address.to_string()),
            journal: JournalStatus {
                pending: journal.pending,
                commit_ms: journal.last_commit.as_secs_f64() * 1e3,
                records: journal.records,
                commits: journal.commits,
                decisions: journal.decisions,
                decisions_lost: journal.decisions_lost,
                failing: journal.failing,
            },
            passwords: PasswordStatus {
                hashed: hashing.hashed,
                waiting: hashing.waiting,
                changed: self
                    .aaa
                    .passwords()
                    .in_force(&snapshot.config.users)
                    .into_iter()
                    .map(|one| one.user.to_string())
                    .collect(),
            },
            sinks: self.sinks().into_iter().map(SinkStatus::from).collect(),
            pools: self.pools(),
            answered: self.aaa.metrics.requests.report(),
            refused: own(self.aaa.metrics.refused.report()),
            devices: devices.then(|| self.devices()),
        }
    }

    fn pools(&self) -> Vec<PoolStatus> {
        let upstreams = self.aaa.proxy.upstreams();
        let pools = upstreams.iter().map(|upstream| {
            let (underway, limit) = upstream.load();
            let destinations = upstream.destinations();
            let servers = destinations.iter().flat_map(|(realm, servers)| {
                let states = servers.states();
                states.map(|(server, purpose, state)| {
                    UpstreamStatus::new(server, realm.as_deref(), purpose, &state)
                })
            });
            PoolStatus {
                name: upstream.name().to_string(),
                underway,
                limit,
                servers: servers.collect(),
            }
        });
        pools.collect()
    }

    pub(super) fn not_ready(&self) -> Option<&'static str> {
        if self.stopping.load(Ordering::Relaxed) {
            Some("the server is stopping")
        } else if self.listeners.list().is_empty() {
            Some("no listener is open")
        } else if self.aaa.hashing_is_saturated() {
            Some("the password workers are busy for longer than a device would wait")
        } else {
            None
        }
    }

    fn devices(&self) -> Vec<DeviceStatus> {
        let snapshot = self.aaa.snapshot();
        let mut devices: Vec<DeviceStatus> = snapshot
            .config
            .devices
            .iter()
            .map(|device| {
                let seen = self.listeners.seen().get(&device.name).unwrap_or_default();
                DeviceStatus {
                    name: device.name.to_string(),
                    auth: auth(&seen).map(str::to_owned),
                    certificate_expires: seen
                        .certificate_expires
                        .and_then(|unix| jiff::Timestamp::from_second(unix).ok())
                        .map(rfc3339),
                    blocker: blocker(device, &seen).to_owned(),
                    seen: SeenStatus {
                        tls: seen.tls.map(rfc3339),
                        plain: seen.plain.map(rfc3339),
                    },
                }
            })
            .collect();
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        devices
    }
}

fn rfc3339(time: jiff::Timestamp) -> String {
    format!("{time:.3}")
}

fn auth(seen: &Seen) -> Option<&'static str> {
    match (seen.tls, seen.plain) {
        (Some(tls), Some(plain)) if plain > tls => Some("secret"),
        (Some(_), _) => seen.method.map(doorward_tls::Method::name),
        (None, Some(_)) => Some("secret"),
        (None, None) => None,
    }
}

fn blocker(device: &crate::config::Device, seen: &Seen) -> &'static str {
    match (device.can_use_tls(), seen.tls, seen.plain) {
        (false, ..) => "no certificate or raw public key is configured for it",
        (true, None, None) => "it has not been seen since the server started",
        (true, None, Some(_)) => "it has not come with TLS since the server started",
        (true, Some(tls), Some(plain)) if plain > tls => "the last time it came without TLS",
        (true, Some(_), _) => "",
    }
}
