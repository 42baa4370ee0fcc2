//! Reload: load and test the new file, then swap.

use std::sync::Arc;
use std::sync::PoisonError;

use super::sandbox::Sandbox;
use super::{Server, endpoint, key_logs};
use crate::config::{self, Config, Loaded};
use crate::metrics::Endpoint;

/// What a successful reload did.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Reloaded {
    /// The new generation.
    pub generation: u64,
    /// In-file tests that passed.
    pub tests: usize,
    /// Things to look at: warnings that the configuration before did not have, settings that need a restart, listeners that could
    /// not be opened.
    pub notes: Vec<String>,
    /// Warnings that the configuration before had as well.
    #[serde(default)]
    pub known: usize,
}

/// A reload that succeeded, or the reason, rendered for people, why the old configuration serves on.
pub type ReloadReport = Result<Reloaded, String>;

impl Server {
    /// Reads the configuration again and puts it in force, or says why not and changes nothing.
    ///
    /// # Errors
    /// The rendered mistakes of the file, or the in-file tests that failed.
    pub async fn reload(self: &Arc<Self>) -> ReloadReport {
        let _one_at_a_time = self.reloading.lock().await;
        reloading();
        let path = self.path.clone();
        let sandbox = Arc::clone(&self.sandbox);
        let prepared = tokio::task::spawn_blocking(move || prepare(&path, &sandbox)).await;
        let report = match prepared {
            Ok(Ok((loaded, tests))) => match self.unavailable(&loaded.config) {
                taken if taken.is_empty() => Ok(self.put_in_force(loaded, tests).await),
                taken => Err(cannot_listen(&taken)),
            },
            Ok(Err(text)) => Err(text),
            Err(error) => Err(format!("error: the reload was interrupted: {error}")),
        };
        _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let mut last_error = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &report {
            Ok(done) => {
                tracing::info!(
                    generation = done.generation,
                    tests = done.tests,
                    known_warnings = done.known,
                    "configuration reloaded"
                );
                *last_error = None;
            }
            Err(text) => {
                tracing::error!(
                    "the new configuration was refused and the old one serves on: {text}"
                );
                *last_error = Some(text.clone());
            }
        }
        report
    }

    /// What the configuration wants to listen on and cannot.
    fn unavailable(&self, config: &Config) -> Vec<(String, std::io::Error)> {
        let ours = self.metrics.address().map(|address| address.port());
        let mut unavailable = self.listeners.unavailable(config, ours);
        let wanted = config
            .metrics
            .filter(|address| !self.metrics.fits(Some(*address)))
            .filter(|address| ours != Some(address.port()))
            .filter(|address| !self.listeners.has_port(address.port()));
        if let Some(address) = wanted
            && let Err(error) = Endpoint::bind(address)
        {
            unavailable.push((endpoint::named(address), error));
        }
        unavailable
    }

    async fn put_in_force(self: &Arc<Self>, loaded: Loaded, tests: usize) -> Reloaded {
        let before = self.aaa.snapshot();
        let (new, known) = config::lint::news(&loaded.diagnostics, &before.config.findings);
        let mut notes = config::lint::digest(new);
        notes.extend(needs_restart(&before.config, &loaded.config));
        for (name, profile) in &loaded.config.tls {
            if let Some(earlier) = before.config.tls.get(name) {
                profile.server.adopt_answers(&earlier.server);
            }
        }
        let (old, new) = (Arc::clone(&before), Arc::clone(&loaded.config));
        let opened = tokio::task::spawn_blocking(move || key_logs::open(&new, Some(&old.config)));
        notes.extend(opened.await.unwrap_or_default());
        let generation = self.aaa.replace_snapshot(Arc::clone(&loaded.config));
        self.aaa.journal().set_keep(loaded.config.keep);
        // One may want the port that the other leaves.
        if !self.metrics.fits(loaded.config.metrics) {
            self.metrics.close().await;
        }
        let mut failures = self.listeners.fit(&loaded.config).await;
        self.listeners.sweep();
        if let Some(address) = loaded
            .config
            .metrics
            .filter(|_| self.metrics.address().is_none())
            && let Err(error) =
                Endpoint::bind(address).and_then(|socket| self.metrics.open(self, address, socket))
        {
            failures.push((endpoint::named(address), error));
        }
        for (listener, error) in failures {
            notes.push(format!(
                "warning: the new listener {listener} cannot be opened: {error}"
            ));
        }
        notes.extend(self.sinks.fit(&loaded.config.sinks).await);
        let ticks = &self.aaa.ticks;
        notes.extend(ticks.fit(loaded.config.fticks.as_ref()).await);
        for note in &notes {
            tracing::warn!("{note}");
        }
        Reloaded {
            generation,
            tests,
            notes,
            known,
        }
    }
}

/// Tells systemd, which wants to know since when: it is how `Type=notify-reload` tells this reload from an earlier one.
fn reloading() {
    let sent = sd_notify::NotifyState::monotonic_usec_now()
        .and_then(|now| sd_notify::notify(&[sd_notify::NotifyState::Reloading, now]));
    if let Err(error) = sent {
        tracing::warn!(%error, "systemd was not told of the reload");
    }
}

fn prepare(path: &std::path::Path, sandbox: &Sandbox) -> Result<(Loaded, usize), String> {
    let loaded = config::load(path).map_err(|failure| {
        let outside = sandbox.unreadable(&failure.places);
        let outside = outside.map(|text| format!("{text}\n\n"));
        format!("{}{failure}", outside.unwrap_or_default())
    })?;
    if let Some(outside) = sandbox.unwritable(&loaded.config) {
        return Err(outside);
    }
    let results = config::tests::run(&loaded.config, jiff::Timestamp::now());
    let failures: Vec<String> = results
        .iter()
        .filter(|result| !result.passed())
        .map(ToString::to_string)
        .collect();
    if failures.is_empty() {
        return Ok((loaded, results.len()));
    }
    Err(format!(
        "error: {} of {} in-file tests fail\n{}",
        failures.len(),
        results.len(),
        failures.join("\n")
    ))
}

/// A configuration in force without its listeners would be an outage that a reload made.
fn cannot_listen(taken: &[(String, std::io::Error)]) -> String {
    let lines: Vec<String> = taken
        .iter()
        .map(|(listener, error)| format!("  --> {listener}: {error}"))
        .collect();
    format!(
        "error: a new listener cannot be opened\n{}\n  help: `ss -ltnp` shows which program has an address and port",
        lines.join("\n")
    )
}

/// Settings that are read once at the start.
fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let changed = [
        ("journal", old.server.journal != new.server.journal),
        ("storage", old.server.storage != new.server.storage),
        ("control", old.server.control != new.server.control),
        ("workers", old.server.workers != new.server.workers),
        ("user", old.server.user != new.server.user),
        ("group", old.server.group != new.server.group),
        ("sandbox", old.server.sandbox != new.server.sandbox),
    ];
    changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| {
            format!(
                "warning: `{key}` in [server] was changed, which takes effect at the next start"
            )
        })
        .collect()
}
