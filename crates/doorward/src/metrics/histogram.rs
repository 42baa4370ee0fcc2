//! How long something took: a histogram that threads fill without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Upper bounds of the buckets in nanoseconds, 50 µs to 10 s; one more bucket holds the rest.
const BOUNDS: [u64; 17] = [
    50 * MICROSECOND,
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    2_500 * MICROSECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    2_500 * MILLISECOND,
    5 * SECOND,
    10 * SECOND,
];

/// Durations in fixed buckets: two relaxed additions each, whatever their number.
///
/// prometheus-client's own histogram takes a lock for every observation, which two workers would wait for.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            nanoseconds: AtomicU64::new(0),
        }
    }
}

/// The content of a histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Sum of all durations in seconds.
    pub sum: f64,
    /// Number of durations.
    pub count: u64,
    /// Upper bound in seconds (infinity for the last) and number in that bucket alone.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        self.observe_many(took, 1);
    }

    /// Counts `count` things that took as long.
    pub fn observe_many(&self, took: Duration, count: u64) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| *bound < nanoseconds);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        self.nanoseconds
            .fetch_add(nanoseconds.saturating_mul(count), Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }

    /// What is in it. The count is the sum of the buckets, whatever is counted meanwhile.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of 104 days in nanoseconds is exact, and a longer one is near enough"
    )]
    pub fn read(&self) -> Reading {
        let sum = self.nanoseconds.load(Ordering::Relaxed) as f64 / SECOND as f64;
        let bounds = BOUNDS
            .iter()
            .map(|bound| *bound as f64 / SECOND as f64)
            .chain([f64::INFINITY]);
        let counts = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        Reading {
            sum,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}
