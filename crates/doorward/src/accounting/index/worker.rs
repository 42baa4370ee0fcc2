//! The one thread that builds the index.
//!
//! It has nothing to hurry for: it runs at a low priority and rests as long as it works, and much longer while records wait
//! for the disk. What it did before it was killed stands in the file, and the rest is found missing at the next start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;
use tokio::sync::watch;

use super::super::error::JournalError;
use super::super::place::Place;
use super::super::queue::Shared;
use super::super::reader::{Position, Reader};
use super::super::schema::Period;
use super::segment::Builder;
use super::store::{self, IndexError, Store};

/// How long it sleeps at most before it looks whether everything is still in its place.
const LOOK_INTERVAL: Duration = Duration::from_secs(600);

/// How often every block is read and compared with its checksum.
const VERIFY_INTERVAL: Duration = Duration::from_secs(86_400);

/// Its "nice" value: a tenth of a core beside threads that want all of it.
const PRIORITY: i32 = 10;

/// Rows read before it rests.
const PAGE: usize = 500;

/// How many times longer than its work it rests while the journal has nothing to do.
const REST: u32 = 1;

/// The same while records wait for the disk.
const REST_WHEN_BUSY: u32 = 9;

/// The indexer of a journal that is open for writing.
pub(in super::super) struct Indexer {
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Indexer {
    /// Starts the thread. A segment has `rows` rows; fewer where its period ended.
    pub(in super::super) fn start(
        journal: &Path,
        rows: u32,
        shared: Arc<Shared>,
        signal: Arc<Signal>,
    ) -> Result<Self, JournalError> {
        let worker = Worker {
            signal: Arc::clone(&signal),
            shared,
            journal: journal.to_owned(),
            rows: rows.max(1),
            files: None,
            failing: false,
        };
        let thread = thread::Builder::new()
            .name("journal-index".to_owned())
            .spawn(move || worker.run())
            .map_err(|source| JournalError::file(journal, source))?;
        Ok(Self {
            signal,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends the thread, at once: what it was building is built at the next start.
    pub(in super::super) fn close(&self) {
        self.signal.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // If it panicked there is no index any more, and searches read every row.
            let _ = thread.join();
        }
    }
}

/// What the writer tells the indexer.
pub(in super::super) struct Signal {
    state: Mutex<State>,
    wake: Condvar,
    /// Nothing up to here is left to index.
    indexed: watch::Sender<Position>,
}

#[derive(Debug)]
struct State {
    last: Position,
    /// Where the next segment would be full.
    wanted: Position,
    /// The periods are not those they were.
    periods: bool,
    closed: bool,
}

impl Signal {
    pub(in super::super) fn new(last: Position) -> Self {
        Self {
            state: Mutex::new(State {
                last,
                wanted: Position(i64::MAX),
                periods: false,
                closed: false,
            }),
            wake: Condvar::new(),
            indexed: watch::Sender::new(Position::START),
        }
    }

    /// Rows up to `last` are in the journal.
    pub(in super::super) fn committed(&self, last: Position) {
        let mut state = self.lock();
        state.last = last;
        if last >= state.wanted {
            self.wake.notify_one();
        }
    }

    /// Periods came or went.
    pub(in super::super) fn periods_changed(&self) {
        self.lock().periods = true;
        self.wake.notify_one();
    }

    /// The position up to which the index has all that it can have.
    pub(in super::super) fn indexed(&self) -> watch::Receiver<Position> {
        self.indexed.subscribe()
    }

    fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until a row at `wanted` is committed, the periods change or `patience` is over; `false` = closed.
    fn wait(&self, wanted: Position, patience: Duration) -> bool {
        let mut state = self.lock();
        state.wanted = wanted;
        let (mut state, _) = self
            .wake
            .wait_timeout_while(state, patience, |state| {
                !state.closed && !state.periods && state.last < state.wanted
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.wanted = Position(i64::MAX);
        state.periods = false;
        !state.closed
    }

    /// Does nothing for a while; `false` = closed.
    fn rest(&self, time: Duration) -> bool {
        let (state, _) = self
            .wake
            .wait_timeout_while(self.lock(), time, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker {
    signal: Arc<Signal>,
    shared: Arc<Shared>,
    journal: PathBuf,
    rows: u32,
    files: Option<Files>,
    failing: bool,
}

/// What the thread has open.
struct Files {
    reader: Reader,
    place: Place,
    store: Store,
    verified: Instant,
}

/// What one look at the journal came to.
enum Round {
    /// There may be more to do.
    Again,
    /// Nothing is left before this position is committed.
    Done(Position),
    Closed,
}

/// Rows without an index: after the one, up to the other position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    period: Period,
    after: Position,
    last: Position,
}

impl Worker {
    fn run(mut self) {
        // For this thread alone. Where it is not allowed, the rests between the pages have to do.
        let _ = rustix::process::setpriority_process(None, PRIORITY);
        loop {
            let goes_on = match self.round() {
                Ok(Round::Again) => !self.signal.is_closed(),
                Ok(Round::Done(wanted)) => {
                    self.failing = false;
                    self.signal.wait(wanted, LOOK_INTERVAL)
                }
                Ok(Round::Closed) => false,
                Err(error) => self.failed(&error),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Says so once, and tries again later; at once where a damaged file could be removed. `false` = closed.
    fn failed(&mut self, error: &Failure) -> bool {
        self.files = None;
        let path = store::path(&self.journal);
        let path = path.display();
        let again = std::mem::replace(&mut self.failing, true);
        if error.is_damage() && Store::remove(&self.journal).is_ok() && !again {
            tracing::warn!(%path, %error, "the index of the journal was damaged and is built again");
            return !self.signal.is_closed();
        }
        if !again {
            tracing::warn!(%path, %error, "the index of the journal cannot be built: searches read every record until it can");
        }
        self.signal.wait(Position(i64::MAX), LOOK_INTERVAL)
    }

    fn round(&mut self) -> Result<Round, Failure> {
        let mut open = self.files.take();
        if !open.as_mut().is_some_and(Files::are_good) {
            open = self.open()?;
        }
        let Some(mut files) = open else {
            return Ok(Round::Closed);
        };
        let round = self.build(&mut files)?;
        self.files = Some(files);
        Ok(round)
    }

    /// Opens the files, and forgets what in the index does not fit the journal; `None` = closed.
    fn open(&self) -> Result<Option<Files>, Failure> {
        let place = Place::of(&self.journal).map_err(IndexError::File)?;
        let files = Files {
            reader: Reader::open(&self.journal)?,
            place,
            store: Store::open(&self.journal)?,
            verified: Instant::now(),
        };
        for (first, _) in files.store.runs()? {
            let began = Instant::now();
            let fits = match files.store.sound(first) {
                Ok(Some(segment)) => {
                    files
                        .reader
                        .holds(Position(segment.first), &segment.first_head)?
                        && files
                            .reader
                            .holds(Position(segment.last), &segment.last_head)?
                }
                Ok(None) => false,
                Err(IndexError::Damaged) => {
                    tracing::warn!(
                        first,
                        "a part of the journal's index was damaged and is built again"
                    );
                    false
                }
                Err(error) => return Err(error.into()),
            };
            if !fits {
                files.store.forget(first)?;
            }
            if !self.pace(began) {
                return Ok(None);
            }
        }
        Ok(Some(files))
    }

    /// Builds one segment, if one is missing.
    fn build(&self, files: &mut Files) -> Result<Round, Failure> {
        let (periods, last) = files.reader.extent()?;
        let mut runs = files.store.runs()?;
        if let Some(oldest) = periods.first() {
            for (first, _) in runs.extract_if(.., |(_, last)| *last < oldest.first.0) {
                files.store.forget(first)?;
            }
        }
        let (covered, missing) = files.missing(&periods, &runs, last, self.rows)?;
        let Some(run) = missing else {
            self.signal.indexed.send_replace(covered);
            return Ok(Round::Done(Position(
                covered.0.saturating_add(self.rows.into()),
            )));
        };
        let mut builder = Builder::default();
        let mut after = run.after;
        let mut full = false;
        while !full {
            let began = Instant::now();
            let read = files
                .reader
                .page(&run.period, after, PAGE, |position, row| {
                    full = full || position > run.last || !builder.add(position, row, self.rows);
                })?;
            match read {
                Some(read) => after = read,
                None => full = true,
            }
            if !self.pace(began) {
                return Ok(Round::Closed);
            }
        }
        let rows = builder.rows();
        if let Some((segment, blocks)) = builder.finish() {
            files.store.add(&segment, &blocks)?;
            tracing::debug!(
                first = segment.first,
                last = segment.last,
                rows,
                "indexed records of the journal"
            );
        }
        Ok(Round::Again)
    }

    /// Rests after work that began then; `false` = closed.
    fn pace(&self, began: Instant) -> bool {
        let factor = match self.shared.stats().pending {
            0 => REST,
            _ => REST_WHEN_BUSY,
        };
        self.signal.rest(began.elapsed().saturating_mul(factor))
    }
}

impl Files {
    fn are_good(&mut self) -> bool {
        self.verified.elapsed() < VERIFY_INTERVAL
            && self.place.is_unchanged()
            && self.store.is_in_place()
    }

    /// The first run of rows that a segment is missing for; and before it, the position up to which none is.
    fn missing(
        &self,
        periods: &[Period],
        runs: &[(i64, i64)],
        last: Position,
        rows: u32,
    ) -> Result<(Position, Option<Run>), Failure> {
        let mut covered = Position::START;
        let mut runs = runs.iter().copied().peekable();
        for (index, period) in periods.iter().enumerate() {
            let end = periods
                .get(index + 1)
                .map(|next| Position(next.first.0 - 1));
            covered = covered.max(Position(period.first.0 - 1));
            let limit = end.unwrap_or(last);
            let run = |after, last| Run {
                period: *period,
                after,
                last,
            };
            while let Some((first, reaches)) = runs.next_if(|(first, _)| *first <= limit.0) {
                let hole = run(covered, Position(first - 1));
                if hole.after < hole.last
                    && self.reader.has_rows(&hole.period, hole.after, hole.last)?
                {
                    return Ok((covered, Some(hole)));
                }
                covered = covered.max(Position(reaches));
            }
            let rest = run(covered, limit);
            let due = match end {
                Some(_) => rest.after < rest.last,
                None => limit.0.saturating_sub(covered.0) >= i64::from(rows),
            };
            if due && self.reader.has_rows(&rest.period, rest.after, rest.last)? {
                return Ok((covered, Some(rest)));
            }
        }
        Ok((covered, None))
    }
}

/// Why the index is not built.
#[derive(Debug)]
enum Failure {
    Index(IndexError),
    Journal(JournalError),
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl Failure {
    /// Is what is in the file of no use?
    fn is_damage(&self) -> bool {
        match self {
            Self::Index(IndexError::Damaged) => true,
            // Without a code it is a value of another type than was written.
            Self::Index(IndexError::Database(source)) => {
                source.sqlite_error_code().is_none_or(|code| {
                    matches!(
                        code,
                        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown
                    )
                })
            }
            Self::Index(IndexError::File(_)) | Self::Journal(_) => false,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(error) => write!(f, "{error}"),
            Self::Journal(error) => write!(f, "{error}"),
        }
    }
}
