//! The one thread that writes the journal.
//!
//! ```text
//! take all that waits → BEGIN → rows → COMMIT (fsync of the write-ahead log) → wake each batch → take all that waits ...
//! ```
//!
//! There is no delay to gather more: while one commit waits for the disk the next group gathers by itself. After a
//! failure nothing special happens, the next group simply tries again, so the journal recovers when the disk does.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};

use super::decision::DecisionRecord;
use super::error::JournalError;
use super::index::Signal;
use super::place::Place;
use super::queue::{Shared, Taken, Task};
use super::reader::Position;
use super::record::Record;
use super::schema::{self, Period};

/// How long the writer sleeps without work before it looks whether old records are due.
const RETENTION_INTERVAL: Duration = Duration::from_secs(600);

/// How long it sleeps while the last commit failed: then it tries the disk with a probe.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a lock of another connection to the same file is waited for.
pub(super) const BUSY: Duration = Duration::from_secs(5);

const DAY: i64 = 86_400;

/// The writer thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    signal: Arc<Signal>,
    store: Store,
    now: fn() -> Timestamp,
    failing: bool,
    /// Holds the lock of the journal.
    _lock: File,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        signal: Arc<Signal>,
        store: Store,
        now: fn() -> Timestamp,
        lock: File,
    ) -> Self {
        Self {
            shared,
            signal,
            store,
            now,
            failing: false,
            _lock: lock,
        }
    }

    pub(super) fn run(mut self) {
        let mut taken = Taken::default();
        let mut more_due = self.retain();
        let mut looked = Instant::now();
        let mut patience = self.patience(more_due);
        while self.shared.take(&mut taken, patience) {
            let period = self.store.newest;
            if taken.is_empty() {
                self.idle();
            } else {
                self.commit(&mut taken);
            }
            if self.store.newest != period {
                self.signal.periods_changed();
            }
            if more_due || self.store.newest != period || looked.elapsed() >= RETENTION_INTERVAL {
                more_due = self.retain();
                looked = Instant::now();
            }
            patience = self.patience(more_due);
        }
    }

    /// How long to wait for work. Nothing is dropped while the disk fails, so that a full one is not asked in a loop.
    fn patience(&self, more_due: bool) -> Duration {
        if self.failing {
            PROBE_INTERVAL
        } else if more_due {
            Duration::ZERO
        } else {
            RETENTION_INTERVAL
        }
    }

    fn commit(&mut self, taken: &mut Taken) {
        #[cfg(test)]
        self.store.limit_pages(
            self.shared
                .max_pages
                .load(std::sync::atomic::Ordering::SeqCst),
        );
        let began = Instant::now();
        match self.store.write(taken, today(self.now)) {
            Ok(()) => {
                self.shared
                    .finished(taken, Ok((began.elapsed(), self.store.last())));
                self.signal.committed(self.store.last());
                self.recovered();
                for work in taken.work.drain(..) {
                    // Whoever submitted it may have gone; the record stays.
                    let _ = work.done.send(Ok(()));
                }
            }
            Err(error) => {
                self.shared.finished(taken, Err(()));
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the journal cannot be written: accounting is answered with ERROR and decisions are not kept until it can");
                }
                for work in taken.work.drain(..) {
                    let _ = work.done.send(Err(error.clone()));
                }
            }
        }
        taken.decisions.clear();
    }

    fn idle(&mut self) {
        if self.failing && self.store.probe().is_ok() {
            self.recovered();
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.failing) {
            self.shared.recovered();
            tracing::info!("the journal can be written again");
        }
    }

    /// Drops one period at most, since a commit waits for it; says whether another may be due.
    fn retain(&mut self) -> bool {
        let Some(keep) = self.shared.keep_for() else {
            return false;
        };
        let keep = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
        let limit = (self.now)().as_second().saturating_sub(keep);
        match self.store.retain(today(self.now), limit) {
            Ok(None) => false,
            Ok(Some(period)) => {
                self.signal.periods_changed();
                tracing::info!(
                    period = period.number,
                    records_from = period.first.0,
                    "dropped records that are older than the configuration keeps them"
                );
                true
            }
            Err(error) => {
                tracing::warn!(%error, "old records could not be dropped");
                false
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

fn today(now: fn() -> Timestamp) -> i64 {
    now().as_second().div_euclid(DAY)
}

/// The database as the writer has it.
pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
    place: Place,
    newest: Option<Period>,
    insert: String,
    next: Position,
    period_records: u32,
    #[cfg(test)]
    max_pages: u32,
}

impl Store {
    pub(super) fn open(path: &Path, period_records: u32) -> Result<Self, JournalError> {
        create(path).map_err(|source| JournalError::file(path, source))?;
        let failed = |source| JournalError::open(path, source);
        let connection = connect(path).map_err(failed)?;
        match schema::version(&connection).map_err(failed)? {
            Some(schema::VERSION) => {}
            Some(older) if schema::READABLE.contains(&older) => {
                connection.execute_batch(schema::UPGRADE).map_err(failed)?;
            }
            Some(_) | None => return Err(JournalError::Format(path.to_owned())),
        }
        let place = Place::of(path).map_err(|source| JournalError::file(path, source))?;
        let mut store = Self {
            connection,
            place,
            path: path.to_owned(),
            newest: None,
            insert: String::new(),
            next: Position(1),
            period_records,
            #[cfg(test)]
            max_pages: 0,
        };
        store
            .load()
            .map_err(|source| JournalError::open(path, source))?;
        Ok(store)
    }

    /// The last position in use.
    pub(super) fn last(&self) -> Position {
        Position(self.next.0 - 1)
    }

    /// Reads where the journal ends.
    fn load(&mut self) -> rusqlite::Result<()> {
        let newest = schema::periods(&self.connection)?.pop();
        self.next = match &newest {
            Some(period) => match schema::last(&self.connection, period)? {
                Some(last) => Position(last.0 + 1),
                None => period.first,
            },
            None => Position(1),
        };
        self.insert = newest.as_ref().map(Period::insert).unwrap_or_default();
        self.newest = newest;
        Ok(())
    }

    /// One transaction for all of `taken`; after an error nothing of it is in the journal.
    fn write(&mut self, taken: &Taken, today: i64) -> Result<(), JournalError> {
        self.stay()?;
        let outcome = self.transaction(taken, today);
        if outcome.is_err() {
            self.back_out();
        }
        Ok(outcome?)
    }

    fn transaction(&mut self, taken: &Taken, today: i64) -> rusqlite::Result<()> {
        self.execute("BEGIN IMMEDIATE")?;
        for work in &taken.work {
            match &work.task {
                Task::Append(records) => {
                    self.append(today, records.iter().map(Record::row))?;
                }
                Task::OpenCursor(name) => schema::open_cursor(&self.connection, name)?,
                Task::Advance(name, position) => {
                    schema::advance(&self.connection, name, *position)?
                }
                Task::DropCursor(name) => schema::drop_cursor(&self.connection, name)?,
            }
        }
        if !taken.decisions.is_empty() {
            self.append(today, taken.decisions.iter().map(DecisionRecord::row))?;
        }
        self.execute("COMMIT")
    }

    fn append<'a>(
        &mut self,
        today: i64,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> rusqlite::Result<()> {
        self.roll(today)?;
        let mut insert = self.connection.prepare_cached(&self.insert)?;
        for row in rows {
            insert.execute(params![self.next.0, row])?;
            self.next.0 += 1;
        }
        Ok(())
    }

    /// Leaves the failed transaction, and goes back to what the database says.
    fn back_out(&mut self) {
        if !self.connection.is_autocommit() {
            // An error that rolled back by itself makes this one fail, which is looked at below.
            let _ = self.execute("ROLLBACK");
        }
        if !self.connection.is_autocommit()
            && let Ok(connection) = connect(&self.path)
        {
            self.connection = connection;
        }
        if let Err(error) = self.load() {
            // `newest` and `next` may be ahead of the database: a gap in the positions at worst, or a missing table,
            // which fails again and comes back here.
            tracing::debug!(%error, "the end of the journal could not be read");
        }
    }

    /// Begins a new journal where the old one was removed or replaced under us. A folder that is gone is an error, and
    /// when it comes back with the old files in it, they are written on.
    fn stay(&mut self) -> Result<(), JournalError> {
        if self.place.is_unchanged() {
            return Ok(());
        }
        // What only the removed log holds can still be saved into a database that is where it was.
        let _ = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let fresh = Self::open(&self.path, self.period_records)?;
        tracing::error!(
            path = %self.path.display(),
            "the files of the journal were removed or replaced while the server ran; it goes on in the files that are there now, \
             and records that only the old ones held are lost"
        );
        *self = fresh;
        Ok(())
    }

    /// Opens a period of `today`, where the newest is full or one of another day.
    fn roll(&mut self, today: i64) -> rusqlite::Result<()> {
        let goes_on = |newest: &Period| {
            let records = self.next.0.saturating_sub(newest.first.0);
            newest.day == today && records < i64::from(self.period_records)
        };
        if self.newest.as_ref().is_some_and(goes_on) {
            return Ok(());
        }
        let number = self.newest.map_or(1, |newest| newest.number + 1);
        let period = Period {
            number,
            day: today,
            first: self.next,
        };
        schema::open_period(&self.connection, &period)?;
        self.insert = period.insert();
        self.newest = Some(period);
        Ok(())
    }

    /// Drops the oldest period that ended before `limit` (Unix seconds) and that no cursor still needs; says which.
    ///
    /// A period ends with its day or when the next one begins, whichever is later: a clock that was wrong for a while
    /// makes records stay longer, never shorter.
    pub(super) fn retain(
        &mut self,
        today: i64,
        limit: i64,
    ) -> Result<Option<Period>, JournalError> {
        if let Some(newest) = self.newest
            && newest.day != today
            && schema::last(&self.connection, &newest)?.is_some()
        {
            // Without new records the last period would never end.
            self.alone(|store| store.roll(today))?;
        }
        let periods = schema::periods(&self.connection)?;
        let slowest = schema::slowest_cursor(&self.connection)?;
        let due = periods
            .iter()
            .zip(periods.iter().skip(1))
            .find(|(period, next)| {
                let ended = next.day.max(period.day + 1).saturating_mul(DAY);
                let needed = slowest.is_some_and(|slowest| slowest.0 < next.first.0 - 1);
                ended <= limit && !needed
            });
        let Some((period, _)) = due else {
            return Ok(None);
        };
        self.alone(|store| schema::drop_period(&store.connection, period))?;
        Ok(Some(*period))
    }

    /// Writes and removes a few pages: is there room again? It also overwrites what a commit that failed in its last
    /// step may have left behind in the write-ahead log.
    fn probe(&mut self) -> Result<(), JournalError> {
        self.stay()?;
        self.alone(|store| {
            store.execute("REPLACE INTO journal_probe VALUES (1, zeroblob(65536))")
        })?;
        self.alone(|store| store.execute("DELETE FROM journal_probe"))
    }

    /// A transaction of its own.
    fn alone(
        &mut self,
        what: impl FnOnce(&mut Self) -> rusqlite::Result<()>,
    ) -> Result<(), JournalError> {
        let outcome = self
            .execute("BEGIN IMMEDIATE")
            .and_then(|()| what(self))
            .and_then(|()| self.execute("COMMIT"));
        if outcome.is_err() {
            self.back_out();
        }
        Ok(outcome?)
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    #[cfg(test)]
    fn limit_pages(&mut self, pages: u32) {
        if pages != self.max_pages {
            let pragma = if pages == 0 { 1_073_741_823 } else { pages };
            self.connection
                .pragma_update(None, "max_page_count", pragma)
                .expect("the pragma is legal");
            self.max_pages = pages;
        }
    }
}

/// Makes an empty file that only its owner can read (command lines may hold secrets); SQLite gives the files beside it
/// the same mode.
pub(super) fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                Some(_) | None => Path::new("."),
            };
            File::open(folder)?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::metadata(path).map(|_| ())
        }
        Err(error) => Err(error),
    }
}

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    if schema::version(&connection)?.is_none() {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", schema::CREATE))?;
    }
    Ok(connection)
}
