//! What waits for the journal's writer: handed over by connections and sinks, and taken whole for each transaction.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::decision::DecisionRecord;
use super::error::JournalError;
use super::journal::{JournalOptions, JournalStats};
use super::reader::Position;
use super::record::Record;
use crate::metrics::Histogram;

/// How long decisions wait for company when nothing else is to be written: nobody waits for them, and a run of denials
/// should cost the disk few commits.
const LINGER: Duration = Duration::from_millis(100);

/// So many of them are company enough.
const COMPANY: usize = 1024;

/// What part of the bounds on waiting records decisions have, beside those.
const PART: usize = 4;

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

impl Shared {
    /// Of a journal whose last position is `last`.
    pub(super) fn new(options: &JournalOptions, last: Position) -> Self {
        let shared = Self {
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
            last: watch::Sender::new(last),
            #[cfg(test)]
            max_pages: std::sync::atomic::AtomicU32::new(0),
        };
        shared.keep(options.keep);
        shared
    }

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

    pub(super) fn add_decisions(
        &self,
        decisions: &mut Vec<DecisionRecord>,
    ) -> Result<(), JournalError> {
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

    /// Takes nothing more; the writer ends when it has written what waits.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
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

    pub(super) fn keep(&self, keep: Option<Duration>) {
        let seconds = keep.map_or(-1, |keep| i64::try_from(keep.as_secs()).unwrap_or(i64::MAX));
        self.keep_seconds.store(seconds, Ordering::Relaxed);
    }

    pub(super) fn commit_times(&self) -> &Histogram {
        &self.commit_times
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

impl Commit {
    /// Of no records: there is nothing to wait for.
    pub(super) fn of_nothing() -> Self {
        Self(State::Known(Ok(())))
    }
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
