//! Counting places: connections, handshakes, handshakes a second; and waiting for the last connection to end.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;

/// One of a bounded number of places; given back on drop.
#[derive(Debug)]
pub struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// A place, unless `limit` are taken.
    pub fn take(counter: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < limit).then_some(taken + 1)
            })
            .is_ok()
            .then(|| Self(Arc::clone(counter)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Handshakes a second: a bucket that holds one second's worth.
#[derive(Debug, Default)]
pub(super) struct Rate(Mutex<Option<(Instant, f64)>>);

impl Rate {
    /// Whether another one may begin; `limit` 0 = always.
    pub(super) fn admit(&self, limit: u32, now: Instant) -> bool {
        if limit == 0 {
            return true;
        }
        let Ok(mut bucket) = self.0.lock() else {
            return true;
        };
        let full = f64::from(limit);
        let (since, level) = bucket.unwrap_or((now, full));
        let level = (level + now.saturating_duration_since(since).as_secs_f64() * full).min(full);
        let admitted = level >= 1.0;
        *bucket = Some((now, if admitted { level - 1.0 } else { level }));
        admitted
    }
}

/// Tells every connection that the server stops, and when the last one is gone.
#[derive(Debug, Default)]
pub struct Drain {
    begun: AtomicBool,
    connections: AtomicUsize,
    begin: Notify,
    end: Notify,
}

impl Drain {
    /// The server stops: connections finish the sessions they have and take no new ones.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
        self.begin.notify_waiters();
        self.end.notify_waiters();
    }

    /// Whether [`begin`](Self::begin) was called.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Ready when no connection is left.
    pub async fn finished(&self) {
        loop {
            let notified = self.end.notified();
            if self.connections() == 0 {
                return;
            }
            notified.await;
        }
    }

    pub(super) fn enter(self: &Arc<Self>) -> Present {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Present(Arc::clone(self))
    }

    /// Ready when one of the two has begun.
    pub(super) fn either(
        one: &Arc<Self>,
        other: &Arc<Self>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (one, other) = (Arc::clone(one), Arc::clone(other));
        Box::pin(async move {
            tokio::select! {
                () = one.begins() => {}
                () = other.begins() => {}
            }
        })
    }

    async fn begins(&self) {
        let notified = self.begin.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if !self.has_begun() {
            notified.await;
        }
    }
}

/// Asks every open connection whether its device may still be here: after a reload, and when revocation lists change.
#[derive(Debug, Default)]
pub struct Sweep {
    round: AtomicU64,
    begin: Notify,
}

impl Sweep {
    /// Begins another round.
    pub fn begin(&self) {
        self.round.fetch_add(1, Ordering::SeqCst);
        self.begin.notify_waiters();
    }

    pub(super) fn round(&self) -> u64 {
        self.round.load(Ordering::SeqCst)
    }

    /// Ready once the round is not `seen` any more.
    pub(super) fn after(self: &Arc<Self>, seen: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let sweep = Arc::clone(self);
        Box::pin(async move {
            let notified = sweep.begin.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if sweep.round() == seen {
                notified.await;
            }
        })
    }
}

/// One connection that a drain waits for.
#[derive(Debug)]
pub(super) struct Present(Arc<Drain>);

impl Drop for Present {
    fn drop(&mut self) {
        if self.0.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.end.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn places_are_given_back() {
        let counter = Arc::new(AtomicUsize::new(0));
        let first = Slot::take(&counter, 2).unwrap();
        let second = Slot::take(&counter, 2).unwrap();
        assert!(Slot::take(&counter, 2).is_none());
        drop(first);
        let third = Slot::take(&counter, 2);
        assert!(third.is_some());
        drop((second, third));
        assert_eq!(counter.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_rate_of_ten_admits_ten_and_refills() {
        let rate = Rate::default();
        let start = Instant::now();
        assert_eq!((0..100).filter(|_| rate.admit(10, start)).count(), 10);
        assert_eq!(
            (0..100)
                .filter(|_| rate.admit(10, start + Duration::from_millis(500)))
                .count(),
            5
        );
        assert!(rate.admit(0, start), "0 is no limit");
    }

    #[tokio::test]
    async fn drain_waits_for_the_last_connection() {
        let drain = Arc::new(Drain::default());
        let present = drain.enter();
        let other = Arc::default();
        let signal = Drain::either(&other, &drain);
        drain.begin();
        signal.await;
        let finished = drain.finished();
        tokio::pin!(finished);
        assert!(
            tokio::time::timeout(Duration::ZERO, &mut finished)
                .await
                .is_err(),
            "one connection is open"
        );
        drop(present);
        finished.await;
    }
}
