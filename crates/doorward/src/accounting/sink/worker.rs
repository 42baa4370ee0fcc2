//! One sink at work, on a thread and a small runtime of its own.
//!
//! ```text
//! wait for records → read some after the cursor → send → ... → confirm → the cursor advances → wait for records
//!        ▲                                │ fault
//!        └── wait longer each time ◀──────┘ everything after the cursor is sent again
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::fault::Fault;
use super::jsonl::Jsonl;
use super::stats::Figures;
use super::syslog::{Batch, Receiver};
use crate::accounting::cursor::{Cursor, Cursors};
use crate::accounting::reader::{Position, Stored};
use crate::config::{Sink, SinkKind};

/// How a sink takes its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Records read at a time.
    pub(super) batch: usize,
    /// After so many records without a confirmation one is asked for.
    pub(super) records: usize,
    /// After this time without a confirmation one is asked for.
    pub(super) span: Duration,
    /// After this time without a new record a confirmation is asked for.
    pub(super) idle: Duration,
    /// Records may gather for this long after a confirmation: a busy journal is not asked to advance a cursor each millisecond.
    pub(super) gather: Duration,
    /// Wait after the first fault, and after many in a row; each is shortened by chance by up to half.
    pub(super) floor: Duration,
    pub(super) ceiling: Duration,
    /// A stop waits for the last records for so long.
    pub(super) last: Duration,
}

impl Pace {
    pub(super) const NORMAL: Self = Self {
        batch: 500,
        records: 5000,
        span: Duration::from_secs(5),
        idle: Duration::from_millis(500),
        gather: Duration::from_millis(50),
        floor: Duration::from_secs(1),
        ceiling: Duration::from_secs(60),
        last: Duration::from_secs(3),
    };
}

/// Where records go.
enum Output {
    Jsonl(Jsonl),
    Syslog(Box<Receiver>),
}

impl Output {
    fn new(kind: &SinkKind) -> Self {
        match kind {
            SinkKind::Jsonl { path } => Self::Jsonl(Jsonl::new(path.clone())),
            SinkKind::Syslog(syslog) => Self::Syslog(Box::new(Receiver::new((**syslog).clone()))),
        }
    }

    async fn send(&mut self, stored: &[Stored]) -> Result<(), Fault> {
        match self {
            Self::Jsonl(file) => file.append(stored),
            Self::Syslog(receiver) => receiver.send(Batch::Records(stored)).await,
        }
    }

    async fn confirm(&mut self) -> Result<(), Fault> {
        match self {
            Self::Jsonl(file) => file.confirm(),
            Self::Syslog(receiver) => receiver.confirm().await,
        }
    }

    /// Whether records would be taken now.
    async fn probe(&mut self) -> Result<(), Fault> {
        match self {
            Self::Jsonl(file) => file.ready(),
            Self::Syslog(receiver) => receiver.probe().await,
        }
    }

    /// Whether it pays to wait for more before a confirmation, because a confirmation costs a connection.
    fn waits_for_more(&self) -> bool {
        match self {
            Self::Jsonl(_) => false,
            Self::Syslog(_) => true,
        }
    }
}

/// One sink at work.
pub(super) struct Worker {
    /// The name of its cursor in the journal.
    pub(super) cursor: String,
    pub(super) cursors: Cursors,
    pub(super) settings: watch::Receiver<Arc<Sink>>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) figures: Arc<Figures>,
    pub(super) pace: Pace,
}

/// How a round ended that met with no fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// There was nothing to deliver.
    Nothing,
    /// Something was delivered.
    Some,
}

impl Worker {
    /// Delivers until it is told to stop; then what is there is delivered yet, within bounds.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        let last = self.pace.last;
        let end = async {
            // An error = nobody is left who could stop it.
            _ = stop.wait_for(|stop| *stop).await;
            sleep(last).await;
        };
        tokio::select! {
            () = self.serve() => {}
            () = end => tracing::warn!(sink = &*self.figures.name, "an accounting sink was stopped while it delivered"),
        }
    }

    async fn serve(&mut self) {
        let mut records = self.cursors.watch();
        let mut cursor: Option<Cursor> = None;
        let mut output = Output::new(&self.settings.borrow_and_update().kind);
        let mut untried = true;
        let mut faults = 0;
        loop {
            if self.settings.has_changed().unwrap_or(false) {
                // Nothing is under way between two rounds, so that an output can simply be exchanged.
                output = Output::new(&self.settings.borrow_and_update().kind);
                untried = true;
            }
            // Asked before the journal is read: whatever was committed before a stop is in the last round.
            let last = self.stopping();
            let round = self
                .round(&mut cursor, &mut output, &mut records, untried)
                .await;
            match round {
                Ok(round) => {
                    untried = false;
                    faults = 0;
                    self.figures.works();
                    match round {
                        Round::Nothing if last => return,
                        Round::Nothing => self.wait_for_records(&mut records).await,
                        Round::Some if last => {}
                        Round::Some => {
                            pause(&mut self.settings, &self.stop, self.pace.gather).await
                        }
                    }
                }
                Err(fault) => {
                    self.figures.fails(&fault);
                    // Only what was tried says that it is up again.
                    untried = true;
                    if self.stopping() {
                        return;
                    }
                    let wait = back_off(&self.pace, faults);
                    faults += 1;
                    pause(&mut self.settings, &self.stop, wait).await;
                }
            }
        }
    }

    /// From the cursor to the next confirmation.
    async fn round(
        &mut self,
        place: &mut Option<Cursor>,
        output: &mut Output,
        records: &mut watch::Receiver<Position>,
        untried: bool,
    ) -> Result<Round, Fault> {
        let cursor = match place {
            Some(cursor) => cursor,
            None => place.insert(self.open_cursor().await?),
        };
        let decisions = self.settings.borrow().decisions;
        let mut done = cursor.position();
        let mut sent = 0;
        let began = Instant::now();
        loop {
            let end = *records.borrow_and_update();
            let mut stored = cursor.read_after(done, self.pace.batch)?;
            let full = stored.len() == self.pace.batch;
            match stored.last() {
                Some(last) => done = last.position,
                None if done == cursor.position() && end != done => {
                    return self.reconsider(place, end).await;
                }
                None => {}
            }
            stored.retain(|one| decisions || one.entry.record().is_some());
            if sent == 0 {
                self.figures.begins_with(stored.first());
            }
            if !stored.is_empty() {
                output.send(&stored).await?;
                sent += stored.len();
            }
            let enough = sent >= self.pace.records || began.elapsed() >= self.pace.span;
            if enough || !(full || self.more_comes(output, records, sent).await) {
                break;
            }
        }
        if sent > 0 {
            output.confirm().await?;
        } else if untried {
            output.probe().await?;
        }
        if done == cursor.position() {
            return Ok(Round::Nothing);
        }
        cursor.advance(done).await?;
        self.figures.delivered(done, sent);
        Ok(Round::Some)
    }

    /// Whether a record comes before a confirmation is due.
    async fn more_comes(
        &mut self,
        output: &Output,
        records: &mut watch::Receiver<Position>,
        count: usize,
    ) -> bool {
        if count == 0 || !output.waits_for_more() || self.stopping() {
            return false;
        }
        let mut stop = self.stop.clone();
        tokio::select! {
            came = timeout(self.pace.idle, records.changed()) => matches!(came, Ok(Ok(()))),
            _ = stop.wait_for(|stop| *stop) => false,
        }
    }

    /// There should be records up to `end` and none can be read: either they are unreadable, and were said to be, or the
    /// journal's file was replaced and its positions begin anew.
    async fn reconsider(
        &mut self,
        place: &mut Option<Cursor>,
        end: Position,
    ) -> Result<Round, Fault> {
        let before = place.as_ref().map(Cursor::position);
        let mut cursor = self.open_cursor().await?;
        if cursor.position() > end {
            self.cursors.forget(&self.cursor).await?;
            cursor = self.open_cursor().await?;
        } else if before == Some(cursor.position()) && cursor.read(1)?.is_empty() {
            cursor.advance(end).await?;
            self.figures.delivered(end, 0);
        }
        *place = Some(cursor);
        Ok(Round::Some)
    }

    async fn open_cursor(&self) -> Result<Cursor, Fault> {
        let cursor = self.cursors.open(&self.cursor).await?;
        self.figures.stands_at(cursor.position());
        Ok(cursor)
    }

    fn stopping(&self) -> bool {
        // Whoever could say so may be gone.
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    async fn wait_for_records(&mut self, records: &mut watch::Receiver<Position>) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = records.changed() => {}
            _ = self.settings.changed() => self.settings.mark_changed(),
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// Waits, unless the settings change or it is time to stop.
pub(super) async fn pause<T>(
    settings: &mut watch::Receiver<T>,
    stop: &watch::Receiver<bool>,
    time: Duration,
) {
    let mut stop = stop.clone();
    tokio::select! {
        () = sleep(time) => {}
        _ = settings.changed() => settings.mark_changed(),
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Longer after each fault, and by chance different for each sink, so that a receiver that comes back is not stormed.
pub(super) fn back_off(pace: &Pace, faults: u32) -> Duration {
    let whole = pace
        .floor
        .saturating_mul(1 << faults.min(16))
        .min(pace.ceiling);
    // Without randomness from the system the waits are only less spread.
    let chance = getrandom::u32().unwrap_or(u32::MAX);
    whole.mul_f64(0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX))
}
