//! Start, reload, drain, stop.
//!
//! One [`Server`] holds the [`Aaa`](crate::aaa::Aaa) with its snapshot, the listeners that are open, and what `status` tells.
//! A reload loads and tests the file away from the workers, swaps one snapshot, then opens and closes
//! listeners to fit; sessions under way are not touched. A file that does not load leaves everything as it was.

mod activation;
mod endpoint;
mod figures;
mod key_logs;
mod listeners;
mod orders;
mod prepare;
mod privileges;
mod process;
mod reload;
mod revocation;
mod sandbox;
mod staple;
mod status;
mod upstreams;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

pub use orders::{MAX_SECONDS, Ordered};
pub use prepare::Prepared;
pub use privileges::{PrivilegeError, check_account, forbid_core_dumps};
pub use reload::{ReloadReport, Reloaded};
pub use sandbox::SandboxError;
pub use status::{DeviceStatus, ListenerStatus, PoolStatus, SinkStatus, Status, UpstreamStatus};

use crate::aaa::{Aaa, Snapshot};
use crate::accounting::{Journal, JournalOptions, SinkStats, Sinks};
use crate::config;
use crate::control;
use crate::identity::{HashingPool, PasswordStore};
use crate::listen::Drain;
use crate::metrics::Endpoint;
use endpoint::MetricsEndpoint;
use listeners::{ListenerFigures, Listeners};
use sandbox::Sandbox;

/// How long sessions under way may finish after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// How long work that hangs may keep the process after everything else has ended.
const HANGING: Duration = Duration::from_millis(500);
/// Logins waiting for a password worker, at most; the pool refuses earlier when they would wait too long.
const HASHING_QUEUE: usize = 4096;

/// A running server.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    aaa: Arc<Aaa>,
    listeners: Listeners,
    sandbox: Arc<Sandbox>,
    sinks: Sinks,
    metrics: MetricsEndpoint,
    drain: Arc<Drain>,
    started: jiff::Timestamp,
    last_error: Mutex<Option<String>>,
    stopping: AtomicBool,
    /// Only one reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration; already rendered for people.
    Configuration(String),
    /// The user of `[server]` and why the process is not that user.
    Privileges(String, PrivilegeError),
    /// The sandbox that `[server]` requires.
    Sandbox(SandboxError),
    /// The journal.
    Journal(PathBuf, crate::accounting::JournalError),
    /// The passwords that users changed.
    Storage(crate::identity::StoreError),
    /// A listener or the metrics endpoint.
    Listen(String, std::io::Error),
    /// The control socket.
    Control(PathBuf, std::io::Error),
    /// The operating system refused threads or signals.
    System(&'static str, std::io::Error),
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of IO errors are the standard library's and never complete"
)]
impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Configuration(text) => f.write_str(text),
            Self::Privileges(user, error) => write!(
                f,
                "error: the server cannot become the user `{user}` of [server]: {error}\n  help: name a user of this machine that is not \
                 root (`useradd --system doorward` makes one), or take `user` out"
            ),
            Self::Sandbox(error) => write!(
                f,
                "error: the sandbox that [server] requires cannot be had: {error}\n  help: use a kernel with Landlock, or set \
                 `sandbox = \"auto\"`"
            ),
            Self::Storage(error) => write!(
                f,
                "error: {error}\n  help: without it, passwords that users have changed would be the old ones again; make the file readable \
                 for the user doorward runs as, or restore it from a backup"
            ),
            Self::Journal(path, error) => write!(
                f,
                "error: the accounting journal cannot be used: {error}\n  --> {}\n  help: check that the directory exists, belongs to the \
                 user doorward runs as, has room, and that no other doorward uses the same journal",
                path.display()
            ),
            Self::Listen(listener, error) => {
                write!(
                    f,
                    "error: a listener cannot be opened: {error}\n  --> {listener}\n  help: "
                )?;
                f.write_str(match error.kind() {
                    std::io::ErrorKind::AddrInUse => {
                        "another program has that address and port; `ss -ltunp` shows which"
                    }
                    std::io::ErrorKind::PermissionDenied => {
                        "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
                    }
                    _ => "check that the address belongs to this host",
                })
            }
            Self::Control(path, error) => write!(
                f,
                "error: the control socket cannot be opened: {error}\n  --> {}\n  help: set `control` in [server] to a path in a directory \
                 that the user doorward runs as can write",
                path.display()
            ),
            Self::System(what, error) => {
                write!(f, "error: the operating system refused {what}: {error}")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// The line a program waits for: everything is bound.
#[derive(Debug, serde::Serialize)]
pub struct Ready {
    /// Process id.
    pub pid: u32,
    /// Bound addresses.
    pub listeners: Vec<ReadyListener>,
    /// The control socket.
    pub control: PathBuf,
    /// Where metrics are served.
    pub metrics: Option<std::net::SocketAddr>,
}

/// One listener of the ready line.
#[derive(Debug, serde::Serialize)]
pub struct ReadyListener {
    /// Its name in the file, `tacacs-tls` for example.
    pub protocol: &'static str,
    /// Bound address and port.
    pub address: std::net::SocketAddr,
}

/// What to do once everything is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Serve until SIGTERM or SIGINT.
    Serve,
    /// Stop at once.
    Stop,
}

/// Serves the configuration that was prepared until SIGTERM or SIGINT. `on_ready` runs once everything is bound and answers.
///
/// # Errors
/// Anything that keeps the server from starting. Once started it returns only when it was asked to stop.
pub fn run(
    prepared: Prepared,
    on_ready: impl AsyncFnOnce(&Arc<Server>) -> std::io::Result<Next>,
) -> Result<(), StartError> {
    prepared.announce();
    raise_file_limit();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let workers = prepared.config.server.workers;
    if workers > 0 {
        builder.worker_threads(workers);
    }
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| StartError::System("worker threads", error))?;
    let outcome = runtime.block_on(async {
        // First, so that a SIGHUP that comes early reloads rather than kills.
        let signals =
            Signals::new().map_err(|error| StartError::System("signal handlers", error))?;
        let server = Server::start(prepared).await?;
        let control = control::Socket::open(&server.control_path())
            .map_err(|error| StartError::Control(server.control_path(), error))?;
        let control_task = tokio::spawn(control.serve(Arc::clone(&server)));
        let revocation_task = tokio::spawn(revocation::watch(Arc::clone(&server)));
        let staple_task = tokio::spawn(staple::keep_fresh(Arc::clone(&server)));
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
            tracing::warn!(%error, "systemd was not told that the service is ready");
        }
        let next = on_ready(&server)
            .await
            .map_err(|error| StartError::System("announcing that the service is ready", error))?;
        if next == Next::Serve {
            signals.serve(&server).await;
        }
        control_task.abort();
        revocation_task.abort();
        staple_task.abort();
        server.stop().await;
        Ok(())
    });
    // A reload that hangs (a file on a server that is gone, say) must not keep the process.
    runtime.shutdown_timeout(HANGING);
    outcome
}

/// Prints the ready line on stdout.
///
/// # Errors
/// What writing to stdout returns.
pub fn print_ready(ready: &Ready) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready {}", serde_json::to_string(ready)?)?;
    out.flush()
}

impl Server {
    /// Opens the journal and every listener.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub async fn start(prepared: Prepared) -> Result<Arc<Self>, StartError> {
        let Prepared {
            path,
            config,
            inherited,
            sandbox,
            ..
        } = prepared;
        for failure in config::tests::run(&config, jiff::Timestamp::now())
            .iter()
            .filter(|result| !result.passed())
        {
            tracing::error!(
                "an in-file test fails, and `doorward check` would refuse this file: {failure}"
            );
        }
        for note in key_logs::open(&config, None) {
            tracing::error!("{note}");
        }
        let journal = Journal::open(
            &config.server.journal,
            JournalOptions {
                keep: config.keep,
                ..JournalOptions::default()
            },
        )
        .map_err(|error| StartError::Journal(config.server.journal.clone(), error))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let hashing = HashingPool::new(cores, HASHING_QUEUE)
            .map_err(|error| StartError::System("password workers", error))?;
        let snapshot = Snapshot {
            generation: 1,
            config: Arc::clone(&config),
            loaded: jiff::Timestamp::now(),
        };
        let passwords = PasswordStore::open(&config.server.storage).map_err(StartError::Storage)?;
        let aaa = Arc::new(Aaa::new(snapshot, journal, hashing, passwords));
        let drain = Arc::new(Drain::default());
        let cannot_listen = |(listener, error)| StartError::Listen(listener, error);
        let metrics = match config.metrics {
            Some(address) => {
                let bound = Endpoint::bind(address)
                    .map_err(|error| cannot_listen((endpoint::named(address), error)))?;
                Some((address, bound))
            }
            None => None,
        };
        let listeners = Listeners::new(Arc::clone(&aaa), Arc::clone(&drain), inherited);
        listeners.open_all(&config).await.map_err(cannot_listen)?;
        let sinks = Sinks::new(aaa.journal().cursors());
        let mut notes = sinks.fit(&config.sinks).await;
        notes.extend(aaa.ticks.fit(config.fticks.as_ref()).await);
        for note in notes {
            tracing::error!("{note}");
        }
        let server = Arc::new(Self {
            path,
            aaa,
            listeners,
            sandbox: Arc::new(sandbox),
            sinks,
            metrics: MetricsEndpoint::default(),
            drain,
            started: jiff::Timestamp::now(),
            last_error: Mutex::new(None),
            stopping: AtomicBool::new(false),
            reloading: tokio::sync::Mutex::new(()),
        });
        if let Some((address, bound)) = metrics {
            server
                .metrics
                .open(&server, address, bound)
                .map_err(|error| StartError::System("a thread for the metrics", error))?;
        }
        Ok(server)
    }

    /// The ready line's content.
    pub fn ready(&self) -> Ready {
        Ready {
            pid: std::process::id(),
            listeners: self
                .listeners
                .list()
                .into_iter()
                .map(|(protocol, address)| ReadyListener {
                    protocol: protocol.name(),
                    address,
                })
                .collect(),
            control: self.control_path(),
            metrics: self.metrics.address(),
        }
    }

    /// Where the accounting journal is.
    pub fn journal_path(&self) -> PathBuf {
        self.aaa.snapshot().config.server.journal.clone()
    }

    /// The line of the configuration that decides on a command, as `explain` names it.
    pub fn deciding_rule(&self, user: &str, device: &str, command: &str) -> String {
        let snapshot = self.aaa.snapshot();
        let config = &snapshot.config;
        let (Some(user), Some(device)) = (config.users.get(user), config.devices.by_name(device))
        else {
            return String::new();
        };
        let asked = config::tests::Asked {
            user: &user.name,
            groups: &user.groups,
            device,
            from: None,
            now: jiff::Timestamp::now(),
            protocol: crate::policy::Protocol::Tacacs,
            auth: config::AuthenticationType::Ascii,
        };
        let explanation = crate::policy::explain(
            &config.policy,
            &config::tests::context(&asked),
            Some(&crate::policy::CommandLine::from_text(command)),
        );
        match explanation.verdict.rule {
            Some(rule) => format!("line {}: {}", rule.location.line, rule.text),
            None => explanation.why,
        }
    }

    /// Figures of the accounting sinks, in the order of the configuration, and of the receiver of `[fticks]`.
    pub fn sinks(&self) -> Vec<SinkStats> {
        let mut stats = self.sinks.stats();
        stats.extend(self.aaa.ticks.stats());
        stats
    }

    fn control_path(&self) -> PathBuf {
        self.aaa.snapshot().config.server.control.clone()
    }

    /// Stops accepting, lets sessions under way finish within ten seconds and sinks deliver what is left within a few, closes the journal.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        self.listeners.close_all();
        self.drain.begin();
        if tokio::time::timeout(DRAIN, self.drain.finished())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = self.drain.connections(),
                "stopping with connections still open after ten seconds"
            );
        }
        // After the last commits, and before the journal no longer takes their new places.
        tokio::join!(self.sinks.stop(), self.aaa.ticks.stop());
        let aaa = Arc::clone(&self.aaa);
        _ = tokio::task::spawn_blocking(move || aaa.journal().close()).await;
        self.metrics.close().await;
        tracing::info!("stopped; every acknowledged record is on the disk");
    }
}

/// SIGHUP reloads, SIGTERM and SIGINT stop.
struct Signals {
    reload: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn serve(mut self, server: &Arc<Server>) {
        loop {
            tokio::select! {
                _ = self.reload.recv() => {
                    // Beside the signals: a reload that waits for a slow `exec:` secret must not hold up a stop.
                    let server = Arc::clone(server);
                    tokio::spawn(async move { _ = server.reload().await; });
                }
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }
}

/// Thousands of devices are thousands of descriptors; the soft limit of most systems is 1,024.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    ) {
        tracing::warn!(%error, "the limit of open files could not be raised; connections beyond it are refused");
    }
}
