//! The time of one turn of a connection, taken once for all that it answered.

use std::time::Duration;

use super::Durations;
use crate::aaa::Kind;

/// What one turn answered.
///
/// The replies of a turn leave in one write, so that they share its end: the clock is read once for all of them, and not
/// at all by a turn without an answer. Times count from any moment that stays the same while a connection lasts.
#[derive(Debug, Default)]
pub struct Turn {
    began: Duration,
    at_once: [u64; Kind::ALL.len()],
    /// Kind, arrival and number of the requests that came in an earlier turn.
    waited: Vec<(Kind, Duration, u64)>,
}

impl Turn {
    /// A turn begins to handle packets at `now`; what was not finished before is forgotten.
    pub fn begin(&mut self, now: Duration) {
        self.began = now;
        self.at_once = [0; Kind::ALL.len()];
        self.waited.clear();
    }

    /// When it began: the arrival of the requests it finds.
    pub fn began(&self) -> Duration {
        self.began
    }

    /// A request of this turn was answered.
    pub fn answered(&mut self, kind: Kind) {
        if let Some(count) = self.at_once.get_mut(kind as usize) {
            *count += 1;
        }
    }

    /// Requests that arrived at `arrival` were answered.
    pub fn answered_late(&mut self, kind: Kind, arrival: Duration, count: u64) {
        self.waited.push((kind, arrival, count));
    }

    /// Counts what was answered, as of now.
    pub fn finish(&mut self, durations: &Durations, now: impl FnOnce() -> Duration) {
        if self.waited.is_empty() && self.at_once.iter().all(|count| *count == 0) {
            return;
        }
        let now = now();
        let took = now.saturating_sub(self.began);
        for (kind, count) in Kind::ALL.iter().zip(&mut self.at_once) {
            if *count > 0 {
                durations
                    .of(*kind)
                    .observe_many(took, std::mem::take(count));
            }
        }
        for (kind, arrival, count) in self.waited.drain(..) {
            let took = now.saturating_sub(arrival);
            durations.of(kind).observe_many(took, count);
        }
    }
}
