//! The journal as the server sees it: submit records, wait for the commit that holds them.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::cursor::{Cursor, Cursors};
use super::decision::DecisionRecord;
use super::error::JournalError;
use super::index::{Indexer, Signal};
use super::reader::Position;
use super::record::Record;
use super::writer::{Store, Writer};
use crate::metrics::Histogram;

/// How long decisions wait for company when nothing else is to be written: nobody waits for them, and a run of denials
/// should cost the disk few commits.
const LINGER: Duration = Duration::from_millis(100);

/// So many of them are company enough.
const COMPANY: usize = 1024;

/// What part of the bounds on waiting records decisions have, beside those.
const PART: usize = 4;

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

/// What the callers and the writer thread share.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    max_records: usize,
    max_octets: usize,
    commits: AtomicU64,
    committed: AtomicU64,
    failed: AtomicU64,
    decisions_committed: AtomicU64,
    decisions_lost: AtomicU64,
    commit_nanoseconds: AtomicU64,
    commit_times: Histogram,
    failing: AtomicBool,
    keep_seconds: AtomicI64,
    last: watch::Sender<Position>,
    #[cfg(test)]
    pub(super) max_pages: std::sync::atomic::AtomicU32,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Work>,
    /// Records and octets that wait or are being written.
    records: usize,
    octets: usize,
    decisions: Vec<DecisionRecord>,
    /// Octets of the decisions that wait.
    decision_octets: usize,
    idle: bool,
    closed: bool,
}

/// What the writer took for its next transaction.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) work: Vec<Work>,
    pub(super) decisions: Vec<DecisionRecord>,
}

impl Taken {
    pub(super) fn is_empty(&self) -> bool {
        self.work.is_empty() && self.decisions.is_empty()
    }
}

/// One thing to be done in the next transaction, and who waits for it.
pub(super) struct Work {
    pub(super) task: Task,
    pub(super) done: oneshot::Sender<Result<(), JournalError>>,
}

pub(super) enum Task {
    Append(Vec<Record>),
    OpenCursor(Arc<str>),
    Advance(Arc<str>, Position),
    DropCursor(Arc<str>),
}

impl Journal {
    /// Opens the journal at `path`, makes it if there is none, and starts its writer thread.
    ///
    /// Refuses a journal that another server has open: one file beside it, with `.lock` after its name, is locked.
    pub fn open(path: &Path, options: JournalOptions) -> Result<Self, JournalError> {
        let lock = lock(path)?;
        let store = Store::open(path, options.period_records)?;
        let signal = Arc::new(Signal::new(store.last()));
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            max_records: options.max_records,
            max_octets: options.max_octets,
            commits: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            decisions_committed: AtomicU64::new(0),
            decisions_lost: AtomicU64::new(0),
            commit_nanoseconds: AtomicU64::new(0),
            commit_times: Histogram::default(),
            failing: AtomicBool::new(false),
            keep_seconds: AtomicI64::new(-1),
            last: watch::Sender::new(store.last()),
            #[cfg(test)]
            max_pages: std::sync::atomic::AtomicU32::new(0),
        });
        shared.keep(options.keep);
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
            true => Commit(State::Known(Ok(()))),
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
        &self.shared.commit_times
    }

    /// Takes nothing more, commits what waits and ends the threads. Blocks until then.
    pub fn close(&self) {
        // The writer's connection has to be the last one: then it empties the write-ahead log and removes it.
        if let Some(indexer) = &self.indexer {
            indexer.close();
        }
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while the lock is held cannot leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn submit(&self, task: Task) -> Commit {
        let (records, octets) = task.size();
        let (done, answer) = oneshot::channel();
        let mut queue = self.lock();
        if queue.closed {
            return Commit(State::Known(Err(JournalError::Stopped)));
        }
        let full = queue.records.saturating_add(records) > self.max_records
            || queue.octets.saturating_add(octets) > self.max_octets;
        if full && records > 0 {
            drop(queue);
            self.count(&self.failed, records);
            return Commit(State::Known(Err(JournalError::Full)));
        }
        queue.records += records;
        queue.octets += octets;
        queue.waiting.push(Work { task, done });
        let wake = std::mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
        Commit(State::Waiting(answer))
    }

    fn add_decisions(&self, decisions: &mut Vec<DecisionRecord>) -> Result<(), JournalError> {
        let octets: usize = decisions.iter().map(|one| one.row().len()).sum();
        let count = decisions.len();
        let outcome = if self.failing.load(Ordering::Relaxed) {
            // They would only make the transaction larger by which accounting tries the disk again.
            Err(JournalError::Failing)
        } else {
            self.gather(decisions, octets)
        };
        if outcome.is_err() {
            decisions.clear();
            self.count(&self.decisions_lost, count);
        }
        outcome
    }

    fn gather(
        &self,
        decisions: &mut Vec<DecisionRecord>,
        octets: usize,
    ) -> Result<(), JournalError> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(JournalError::Stopped);
        }
        let waiting = queue.decisions.len().saturating_add(decisions.len());
        let more_octets = queue.decision_octets.saturating_add(octets);
        if waiting > self.max_records / PART || more_octets > self.max_octets / PART {
            return Err(JournalError::Full);
        }
        let first = queue.decisions.is_empty();
        queue.decisions.append(decisions);
        queue.decision_octets = more_octets;
        let wake = (first || waiting >= COMPANY) && std::mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Swaps all that waits for the empty `taken`; after `patience` without work, returns with nothing taken.
    /// `false` = closed, and nothing is left.
    pub(super) fn take(&self, taken: &mut Taken, patience: Duration) -> bool {
        let mut queue = self.lock();
        if queue.waiting.is_empty() && queue.decisions.is_empty() && !queue.closed {
            queue = self.rest(queue, patience);
        }
        let alone = queue.waiting.is_empty() && (1..COMPANY).contains(&queue.decisions.len());
        if alone && !queue.closed {
            queue = self.rest(queue, LINGER);
        }
        std::mem::swap(&mut queue.waiting, &mut taken.work);
        std::mem::swap(&mut queue.decisions, &mut taken.decisions);
        queue.decision_octets = 0;
        !(queue.closed && taken.is_empty())
    }

    fn rest<'a>(&self, mut queue: MutexGuard<'a, Queue>, time: Duration) -> MutexGuard<'a, Queue> {
        queue.idle = true;
        queue = self
            .wake
            .wait_timeout(queue, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        queue.idle = false;
        queue
    }

    /// Accounts for what was taken and whose transaction ended so.
    pub(super) fn finished(&self, taken: &Taken, outcome: Result<(Duration, Position), ()>) {
        let decisions = taken.decisions.len();
        let (mut records, mut octets) = (0, 0);
        for (some, size) in taken.work.iter().map(|work| work.task.size()) {
            records += some;
            octets += size;
        }
        let mut queue = self.lock();
        queue.records = queue.records.saturating_sub(records);
        queue.octets = queue.octets.saturating_sub(octets);
        drop(queue);
        match outcome {
            Ok((took, last)) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                self.count(&self.committed, records);
                self.count(&self.decisions_committed, decisions);
                self.commit_times.observe(took);
                let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                self.commit_nanoseconds.store(took, Ordering::Relaxed);
                self.last
                    .send_if_modified(|known| std::mem::replace(known, last) != last);
            }
            Err(()) => {
                self.count(&self.failed, records);
                self.count(&self.decisions_lost, decisions);
            }
        }
        self.failing.store(outcome.is_err(), Ordering::Relaxed);
    }

    pub(super) fn recovered(&self) {
        self.failing.store(false, Ordering::Relaxed);
    }

    /// Nobody writes any more: whatever waits is answered [`JournalError::Stopped`].
    pub(super) fn stop(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        let left = std::mem::take(&mut queue.waiting);
        let decisions = std::mem::take(&mut queue.decisions);
        drop(queue);
        self.count(&self.decisions_lost, decisions.len());
        drop(left);
    }

    pub(super) fn watch(&self) -> watch::Receiver<Position> {
        self.last.subscribe()
    }

    pub(super) fn keep_for(&self) -> Option<Duration> {
        let seconds = self.keep_seconds.load(Ordering::Relaxed);
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    fn keep(&self, keep: Option<Duration>) {
        let seconds = keep.map_or(-1, |keep| i64::try_from(keep.as_secs()).unwrap_or(i64::MAX));
        self.keep_seconds.store(seconds, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> JournalStats {
        let (pending, pending_octets) = {
            let queue = self.lock();
            (queue.records, queue.octets)
        };
        JournalStats {
            pending,
            pending_octets,
            last_commit: Duration::from_nanos(self.commit_nanoseconds.load(Ordering::Relaxed)),
            commits: self.commits.load(Ordering::Relaxed),
            records: self.committed.load(Ordering::Relaxed),
            failures: self.failed.load(Ordering::Relaxed),
            decisions: self.decisions_committed.load(Ordering::Relaxed),
            decisions_lost: self.decisions_lost.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
        }
    }

    fn count(&self, counter: &AtomicU64, records: usize) {
        counter.fetch_add(u64::try_from(records).unwrap_or(0), Ordering::Relaxed);
    }
}

impl Task {
    /// Records, and octets of records.
    fn size(&self) -> (usize, usize) {
        match self {
            Self::Append(records) => (
                records.len(),
                records.iter().map(|record| record.row().len()).sum(),
            ),
            Self::OpenCursor(_) | Self::Advance(..) | Self::DropCursor(_) => (0, 0),
        }
    }
}

/// Resolves when the transaction that holds a submitted batch ended: `Ok` = on the disk, `Err` = not in the journal.
#[must_use = "a record is durable only when its commit resolved to Ok"]
pub struct Commit(State);

enum State {
    Known(Result<(), JournalError>),
    Waiting(oneshot::Receiver<Result<(), JournalError>>),
}

impl Future for Commit {
    type Output = Result<(), JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Known(outcome) => Poll::Ready(outcome.clone()),
            State::Waiting(answer) => Pin::new(answer)
                .poll(context)
                .map(|outcome| outcome.unwrap_or(Err(JournalError::Stopped))),
        }
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commit(..)")
    }
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
