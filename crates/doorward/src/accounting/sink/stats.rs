//! The figures of a sink, kept by its thread and read by whoever asks.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::fault::Fault;
use crate::accounting::entry::EntryView;
use crate::accounting::reader::{Position, Stored};

/// Figures of one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkStats {
    /// Its name.
    pub name: Arc<str>,
    /// Records in the journal that it has not delivered.
    pub depth: u64,
    /// Age of the oldest of them.
    pub lag: Duration,
    /// Records delivered since the start, without those that were sent again.
    pub delivered: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// The last attempt did not fail.
    pub up: bool,
    /// Why it failed, when it did.
    pub error: Option<String>,
}

/// No record is known to wait.
const NONE: i64 = i64::MIN;

/// What a sink delivers, for what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// What the journal keeps until it is delivered.
    Records,
    /// Lines of [`super::Ticks`].
    Ticks,
}

/// What a sink's thread tells.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) name: Arc<str>,
    of: Of,
    position: AtomicI64,
    /// When the first record after the cursor was received, in nanoseconds since 1970.
    oldest: AtomicI64,
    delivered: AtomicU64,
    failures: AtomicU64,
    error: Mutex<Option<String>>,
}

impl Figures {
    pub(super) fn new(name: Arc<str>, of: Of, position: Position) -> Self {
        Self {
            name,
            of,
            position: AtomicI64::new(position.0),
            oldest: AtomicI64::new(NONE),
            delivered: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            error: Mutex::new(None),
        }
    }

    /// The figures, where `end` is the last position of the journal.
    pub(super) fn stats(&self, end: Position, now: Timestamp) -> SinkStats {
        let depth = end.records_since(Position(self.position.load(Ordering::Relaxed)));
        let lag = match self.oldest.load(Ordering::Relaxed) {
            oldest if oldest != NONE && depth > 0 => {
                let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
                Duration::from_nanos(u64::try_from(now.saturating_sub(oldest)).unwrap_or(0))
            }
            _ => Duration::ZERO,
        };
        let error = self.lock().clone();
        SinkStats {
            name: Arc::clone(&self.name),
            depth,
            lag,
            delivered: self.delivered.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            up: error.is_none(),
            error,
        }
    }

    pub(super) fn stands_at(&self, position: Position) {
        self.position.store(position.0, Ordering::Relaxed);
    }

    /// This record is the first that waits.
    pub(super) fn begins_with(&self, first: Option<&Stored>) {
        let received = first.and_then(|first| match first.entry.view().ok()? {
            EntryView::Accounting(view) => Some(view.fields.received),
            EntryView::Decision(view) => Some(view.fields.received),
        });
        self.waits_since(received);
    }

    /// The first that waits is from then.
    pub(super) fn waits_since(&self, received: Option<Timestamp>) {
        let received = received.and_then(|one| i64::try_from(one.as_nanosecond()).ok());
        self.oldest
            .store(received.unwrap_or(NONE), Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, position: Position, records: usize) {
        self.stands_at(position);
        self.oldest.store(NONE, Ordering::Relaxed);
        let records = u64::try_from(records).unwrap_or(0);
        self.delivered.fetch_add(records, Ordering::Relaxed);
    }

    /// An attempt failed: said once, until one succeeds.
    pub(super) fn fails(&self, fault: &Fault) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let error = fault.to_string();
        let before = self.lock().replace(error);
        if before.is_some() {
            return;
        }
        match self.of {
            Of::Records => tracing::warn!(
                sink = &*self.name,
                error = %fault,
                "an accounting sink is down: its records wait in the journal and are sent when it is up again"
            ),
            Of::Ticks => tracing::warn!(
                sink = &*self.name,
                error = %fault,
                "the receiver of [fticks] is down: logins go on as before, its lines wait in memory, and what is more than fits is dropped"
            ),
        }
    }

    /// An attempt succeeded.
    pub(super) fn works(&self) {
        let before = self.lock().take();
        if before.is_none() {
            return;
        }
        match self.of {
            Of::Records => tracing::info!(sink = &*self.name, "an accounting sink is up again"),
            Of::Ticks => tracing::info!(sink = &*self.name, "the receiver of [fticks] is up again"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
