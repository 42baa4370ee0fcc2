//! The journal as the server sees it: submit records, wait for the commit that holds them.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::cursor::{Cursor, Cursors};
use super::decision::DecisionRecord;
use super::error::JournalError;
use super::index::{Indexer, Signal};
use super::queue::{Commit, Shared, Task};
use super::reader::Position;
use super::record::Record;
use super::writer::{Store, Writer};
use crate::metrics::Histogram;

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// How long records are kept; `None` = for ever. Whole tables are dropped, so a record may stay up to a day longer.
    pub keep: Option<Duration>,
    /// Records that may wait for the disk.
    pub max_records: usize,
    /// Octets of records that may wait for the disk.
    pub max_octets: usize,
    /// Records after which a new table is begun, about: small ones are dropped quickly.
    pub period_records: u32,
    /// Records in one segment of the index, at most; `None` = no index is built, and searches read every record.
    pub index_records: Option<u32>,
    /// The clock that says which day it is.
    pub now: fn() -> Timestamp,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            keep: None,
            max_records: 65_536,
            max_octets: 64 * 1024 * 1024,
            period_records: 1 << 19,
            index_records: Some(1 << 18),
            now: Timestamp::now,
        }
    }
}

/// The durable journal of accounting records, open for writing.
pub struct Journal {
    shared: Arc<Shared>,
    path: PathBuf,
    writer: Mutex<Option<JoinHandle<()>>>,
    signal: Arc<Signal>,
    indexer: Option<Indexer>,
}

impl Journal {
    /// Opens the journal at `path`, makes it if there is none, and starts its writer thread.
    ///
    /// Refuses a journal that another server has open: one file beside it, with `.lock` after its name, is locked.
    pub fn open(path: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        let lock = lock(path)?;
        let store = Store::open(path, options.period_records)?;
        let signal = Arc::new(Signal::new(store.last()));
        let shared = Arc::new(Shared::new(&options, store.last()));
        let writer = Writer::new(
            Arc::clone(&shared),
            Arc::clone(&signal),
            store,
            options.now,
            lock,
        );
        let writer = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| JournalError::file(path, source))?;
        let mut journal = Self {
            shared,
            path: path.to_owned(),
            writer: Mutex::new(Some(writer)),
            signal,
            indexer: None,
        };
        if let Some(records) = options.index_records {
            let (shared, signal) = (Arc::clone(&journal.shared), Arc::clone(&journal.signal));
            journal.indexer = Some(Indexer::start(path, records, shared, signal)?);
        }
        Ok(journal)
    }

    /// Hands over the records of one turn. They are one transaction with whatever else waits: all of them are on the
    /// disk when the answer is `Ok`, none of them is in the journal when it is `Err`.
    ///
    /// Never blocks; when the queue is full the answer is [`JournalError::Full`] at once.
    pub fn submit(&self, records: Vec<Record>) -> Commit {
        match records.is_empty() {
            true => Commit::of_nothing(),
            false => self.shared.submit(Task::Append(records)),
        }
    }

    /// Hands over decisions, which leaves `decisions` empty. They ride with the next transaction, soon, and nobody waits
    /// for them.
    ///
    /// Never blocks, and never takes room that accounting records need.
    ///
    /// # Errors
    /// They were dropped, and counted as lost: more of them wait than may, the journal cannot be written, or it is closed.
    pub fn add_decisions(&self, decisions: &mut Vec<DecisionRecord>) -> Result<(), JournalError> {
        match decisions.is_empty() {
            true => Ok(()),
            false => self.shared.add_decisions(decisions),
        }
    }

    /// A named place in the journal, for a sink: made at the oldest record if it is new, and retention never goes past it.
    pub async fn cursor(&self, name: &str) -> Result<Cursor, JournalError> {
        self.cursors().open(name).await
    }

    /// What opens and forgets cursors, to be kept by whoever needs them.
    pub fn cursors(&self) -> Cursors {
        Cursors::new(Arc::clone(&self.shared), self.path.clone())
    }

    /// Forgets a cursor, so that retention no longer waits for it.
    pub fn drop_cursor(&self, name: &str) -> Commit {
        self.cursors().forget(name)
    }

    /// The position of the last committed record; changes with every commit.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.shared.watch()
    }

    /// The position up to which the index has all that it can have at present; changes as the index grows.
    pub fn indexed(&self) -> watch::Receiver<Position> {
        self.signal.indexed()
    }

    /// Changes how long records are kept, from the next look at it on.
    pub fn set_keep(&self, keep: Option<Duration>) {
        self.shared.keep(keep);
    }

    /// Figures for `status` and the metrics.
    pub fn stats(&self) -> JournalStats {
        self.shared.stats()
    }

    /// How long the successful commits took.
    pub fn commit_times(&self) -> &Histogram {
        self.shared.commit_times()
    }

    /// Takes nothing more, commits what waits and ends the threads. Blocks until then.
    pub fn close(&self) {
        // The writer's connection has to be the last one: then it empties the write-ahead log and removes it.
        if let Some(indexer) = &self.indexer {
            indexer.close();
        }
        self.shared.close();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            // A panic of the writer was answered already: whatever waited got `Stopped`.
            let _ = writer.join();
        }
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Figures of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalStats {
    /// Records that wait for the disk or are being written.
    pub pending: usize,
    /// Octets of those records.
    pub pending_octets: usize,
    /// Duration of the last successful commit.
    pub last_commit: Duration,
    /// Commits since the start.
    pub commits: u64,
    /// Records committed since the start.
    pub records: u64,
    /// Records that were refused or whose commit failed since the start.
    pub failures: u64,
    /// Decisions committed since the start.
    pub decisions: u64,
    /// Decisions that were dropped or whose commit failed since the start.
    pub decisions_lost: u64,
    /// The last commit failed, and none has succeeded since.
    pub failing: bool,
}

/// Takes the lock beside the journal, for as long as the file is open, and writes this process's number into it.
fn lock(path: &Path) -> Result<File, JournalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let failed = |source| JournalError::file(&name, source);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The number only makes the message better.
            let _ = file.take(32).read_to_string(&mut text);
            return Err(JournalError::InUse {
                path: path.to_owned(),
                process: text.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    // A full disk must not keep the server from starting because of a number.
    let _ = writeln!(file, "{}", std::process::id());
    Ok(file)
}
