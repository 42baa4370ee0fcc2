//! From the command line to a process that may serve: inherited sockets, privileges, configuration, sandbox, in this order and
//! all before there is a second thread.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StartError;
use super::activation::Inherited;
use super::privileges::{Identity, become_user, forbid_core_dumps};
use super::sandbox::Sandbox;
use crate::config::{self, Config, Diagnostic};

/// A process that may serve.
#[derive(Debug)]
pub struct Prepared {
    pub(super) path: PathBuf,
    pub(super) config: Arc<Config>,
    pub(super) inherited: Inherited,
    pub(super) sandbox: Sandbox,
    pub(super) diagnostics: Vec<Diagnostic>,
    identity: Identity,
    complaints: Vec<String>,
}

impl Prepared {
    /// Takes inherited sockets, becomes the user of the configuration, reads it as that user, and enters the sandbox. To be
    /// called while the process has one thread.
    ///
    /// # Errors
    /// A configuration that cannot be served, a user that cannot be become, or a sandbox that is required and not to be had.
    pub fn new(path: &Path) -> Result<Self, StartError> {
        let (inherited, complaints) = Inherited::take();
        // Only root has something to give up before anything else is read.
        let root = rustix::process::geteuid().is_root();
        let before = if root {
            let server = config::load_server(path)
                .map_err(|failure| StartError::Configuration(failure.to_string()))?;
            become_configured(&server)?
        } else {
            Identity::AsStarted
        };
        let mut prepared = Self::read(path, before)?;
        if !root {
            prepared.identity = become_configured(&prepared.config.server)?;
        }
        forbid_core_dumps();
        prepared.take_sockets(inherited, complaints);
        make_folder(&prepared.config.server.control);
        prepared.sandbox = Sandbox::enter(&prepared.config).map_err(StartError::Sandbox)?;
        Ok(prepared)
    }

    /// Only reads the configuration: for a process that does more than serve.
    ///
    /// # Errors
    /// A configuration that cannot be served.
    pub fn unconfined(path: &Path) -> Result<Self, StartError> {
        Self::read(path, Identity::AsStarted)
    }

    fn read(path: &Path, identity: Identity) -> Result<Self, StartError> {
        let loaded = config::load(path).map_err(|failure| {
            let mut text = failure.to_string();
            if let Identity::Became(account) = &identity {
                text.push_str(&format!(
                    "\nnote: everything is read as the user `{}` (uid {}), as [server] says: that user has to be able to read the \
                     configuration and all it names, now and at every reload",
                    account.name, account.uid
                ));
            }
            StartError::Configuration(text)
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            config: loaded.config,
            inherited: Inherited::default(),
            sandbox: Sandbox::off(),
            diagnostics: loaded.diagnostics,
            identity,
            complaints: Vec::new(),
        })
    }

    /// Keeps the sockets that listeners of the configuration want; the others are closed.
    fn take_sockets(&mut self, mut inherited: Inherited, mut complaints: Vec<String>) {
        let listeners = self.config.listeners.iter();
        let listeners = listeners.filter(|one| !one.protocol.is_udp());
        let wanted: Vec<SocketAddr> = listeners.map(|one| one.address).collect();
        let closed = inherited.close_others(&wanted);
        complaints.extend(closed.iter().map(|address| {
            format!("the inherited socket of {address} belongs to no [[listen]]: closed; add one of that address, or take the socket out of its unit")
        }));
        self.inherited = inherited;
        self.complaints = complaints;
    }

    /// Says in the log what there is to look at, once there is a log.
    pub(super) fn announce(&self) {
        for finding in config::lint::digest(&self.diagnostics) {
            tracing::warn!("{finding}");
        }
        for complaint in &self.complaints {
            tracing::warn!("{complaint}");
        }
        match &self.identity {
            Identity::Root => tracing::warn!(
                "running as root: set `user` in [server], or let systemd start it as a user with CAP_NET_BIND_SERVICE"
            ),
            Identity::Became(account) => tracing::info!(
                user = account.name,
                uid = account.uid,
                "no longer root; of its capabilities CAP_NET_BIND_SERVICE is left"
            ),
            Identity::Other(uid) => tracing::warn!(
                uid,
                "`user` in [server] has no effect: only root can become that user"
            ),
            Identity::Already | Identity::AsStarted => {}
        }
        self.sandbox.announce();
    }
}

fn become_configured(server: &config::Server) -> Result<Identity, StartError> {
    become_user(server.user.as_deref(), server.group.as_deref())
        .map_err(|error| StartError::Privileges(server.user.clone().unwrap_or_default(), error))
}

/// The folder of the control socket may be missing (`/run` is empty after a boot); what is wrong is told when it is used.
fn make_folder(control: &Path) {
    if let Some(folder) = control.parent() {
        _ = std::fs::create_dir_all(folder);
    }
}
