//! Sinks: whoever else is given the records, each behind a cursor of its own over the journal.
//!
//! ```text
//!                    ┌ cursor ─ thread ─ jsonl    file, fsync
//! journal (on disk) ─┼ cursor ─ thread ─ syslog   TLS, TCP: until the receiver closed in order
//!                    └ cursor ─ ...
//! ```
//!
//! Nothing of it is on the way of a request: a sink reads what is committed already. One that is down has its records
//! wait in the journal, which keeps them until it is back, whatever `keep` says. Every record is delivered at least once,
//! the last ones again after a fault, under the same id.

mod fault;
mod jsonl;
mod message;
mod stats;
mod syslog;
mod ticks;
mod wire;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

pub use stats::SinkStats;
pub use ticks::{Tick, Ticks};

use super::cursor::Cursors;
use super::error::JournalError;
use super::reader::Position;
use crate::config::Sink;
use stats::{Figures, Of};
use worker::{Pace, Worker};

/// In front of the names of sinks in the journal's list of cursors, so that nobody else's are taken for ours.
const PREFIX: &str = "sink:";

/// Beyond what a sink takes for its last records, its thread is waited for this long: it may hang in a file system.
const HANGING: Duration = Duration::from_secs(2);

/// The sinks at work.
#[derive(Debug)]
pub struct Sinks {
    cursors: Cursors,
    pace: Pace,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    running: BTreeMap<Arc<str>, Running>,
    /// Names in the order of the configuration.
    order: Vec<Arc<str>>,
    stopped: bool,
}

/// One sink and the ends of its thread.
#[derive(Debug)]
struct Running {
    figures: Arc<Figures>,
    settings: watch::Sender<Arc<Sink>>,
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl Sinks {
    /// None at work yet.
    pub fn new(cursors: Cursors) -> Self {
        Self::with_pace(cursors, Pace::NORMAL)
    }

    fn with_pace(cursors: Cursors, pace: Pace) -> Self {
        Self {
            cursors,
            pace,
            table: Mutex::default(),
        }
    }

    /// Starts the sinks that are new, gives the others their settings, ends those that are gone and forgets their places
    /// in the journal, also of sinks that were taken out of the file while no server ran. Returns what went wrong.
    pub async fn fit(&self, wanted: &[Sink]) -> Vec<String> {
        let mut notes = Vec::new();
        let mut known = self.places().await.unwrap_or_else(|error| {
            notes.push(format!(
                "warning: the places of the accounting sinks in the journal cannot be read: {error}"
            ));
            BTreeMap::new()
        });
        let gone: BTreeMap<Arc<str>, Running> = {
            let mut table = self.lock();
            if table.stopped {
                return notes;
            }
            table.order = wanted.iter().map(|sink| Arc::clone(&sink.name)).collect();
            let (kept, gone) = std::mem::take(&mut table.running)
                .into_iter()
                .partition(|(name, _)| wanted.iter().any(|sink| sink.name == *name));
            table.running = kept;
            gone
        };
        self.end(gone).await;
        for name in known.keys() {
            if !wanted.iter().any(|sink| *sink.name == **name) {
                self.forget(name).await;
            }
        }
        for sink in wanted {
            // Before its thread, so that nothing is dropped that it should get, and its figures are right at once.
            if !known.contains_key(&*sink.name)
                && let Ok(cursor) = self.cursors.open(&cursor_name(&sink.name)).await
            {
                known.insert(sink.name.to_string(), cursor.position());
            }
        }
        let mut table = self.lock();
        for sink in wanted {
            if let Some(running) = table.running.get(&sink.name) {
                running.settings.send_replace(Arc::new(sink.clone()));
                continue;
            }
            let place = known.get(&*sink.name).copied();
            match self.start(sink, place.unwrap_or(Position::START)) {
                Ok(running) => _ = table.running.insert(Arc::clone(&sink.name), running),
                Err(error) => notes.push(format!(
                    "warning: the accounting sink {} cannot be started: {error}",
                    sink.name
                )),
            }
        }
        notes
    }

    /// Figures of every sink, in the order of the configuration.
    pub fn stats(&self) -> Vec<SinkStats> {
        let end = *self.cursors.watch().borrow();
        let now = Timestamp::now();
        let table = self.lock();
        let running = table
            .order
            .iter()
            .filter_map(|name| table.running.get(name));
        running.map(|one| one.figures.stats(end, now)).collect()
    }

    /// Ends every sink, after the records that are in the journal now where it is up; within bounds.
    pub async fn stop(&self) {
        let all = {
            let mut table = self.lock();
            table.stopped = true;
            std::mem::take(&mut table.running)
        };
        self.end(all).await;
    }

    fn start(&self, sink: &Sink, place: Position) -> std::io::Result<Running> {
        let figures = Arc::new(Figures::new(Arc::clone(&sink.name), Of::Records, place));
        let settings = watch::Sender::new(Arc::new(sink.clone()));
        let stop = watch::Sender::new(false);
        let worker = Worker {
            cursor: cursor_name(&sink.name),
            cursors: self.cursors.clone(),
            settings: settings.subscribe(),
            stop: stop.subscribe(),
            figures: Arc::clone(&figures),
            pace: self.pace,
        };
        let ended = spawn("sink", move || work(worker))?;
        Ok(Running {
            figures,
            settings,
            stop,
            ended,
        })
    }

    async fn end(&self, sinks: BTreeMap<Arc<str>, Running>) {
        for sink in sinks.values() {
            sink.stop.send_replace(true);
        }
        let patience = self.pace.last + HANGING;
        let all = async {
            for sink in sinks.into_values() {
                // An error = the thread has ended by a panic.
                _ = sink.ended.await;
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!(
                "an accounting sink hangs and is left behind; what it has not delivered waits in the journal"
            );
        }
    }

    /// Forgets the place of a sink that is no more.
    async fn forget(&self, name: &str) {
        // Asked again: it may have delivered some since.
        let place = self
            .places()
            .await
            .ok()
            .and_then(|places| places.get(name).copied());
        let end = *self.cursors.watch().borrow();
        let undelivered = place.map_or(0, |place| end.records_since(place));
        match self.cursors.forget(&cursor_name(name)).await {
            Ok(()) if undelivered > 0 => tracing::warn!(
                sink = name,
                undelivered,
                "an accounting sink is no longer configured: the records it had not delivered will not be"
            ),
            Ok(()) => tracing::info!(
                sink = name,
                undelivered,
                "an accounting sink is no longer configured; it had delivered everything"
            ),
            Err(error) => tracing::error!(
                sink = name,
                %error,
                "the place of an accounting sink that is no longer configured could not be forgotten: records are kept for it"
            ),
        }
    }

    /// The places of sinks in the journal, by name.
    async fn places(&self) -> Result<BTreeMap<String, Position>, JournalError> {
        let cursors = self.cursors.clone();
        let list = tokio::task::spawn_blocking(move || cursors.list()).await;
        let list = list.unwrap_or(Err(JournalError::Stopped))?;
        let ours = |(name, place): (String, Position)| {
            name.strip_prefix(PREFIX)
                .map(|name| (name.to_owned(), place))
        };
        Ok(list.into_iter().filter_map(ours).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cursor_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Does it on a thread of its own, whose end can be waited for.
fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<oneshot::Receiver<()>> {
    let (end, ended) = oneshot::channel();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            work();
            // Nobody may be waiting.
            _ = end.send(());
        })?;
    Ok(ended)
}

/// The thread of a sink.
fn work(worker: Worker) {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match built {
        Ok(runtime) => {
            runtime.block_on(worker.run());
            // A look-up of a name may hang for longer than a stop may take.
            runtime.shutdown_background();
        }
        Err(error) => {
            tracing::error!(%error, "an accounting sink has no event loop; its records wait in the journal")
        }
    }
}
