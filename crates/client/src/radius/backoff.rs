//! When to connect again (RFC 6614bis section 3.8.1).

use std::time::Duration;

use tokio::time::Instant;

/// The bounds of the time between attempts to connect: it doubles from the lower to the upper one, give or take a tenth.
/// There is no giving up, and requests that come meanwhile change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    floor: Duration,
    ceiling: Duration,
}

impl Reconnect {
    /// The least time between two attempts that RadSec allows.
    pub const SHORTEST: Duration = Duration::from_millis(500);

    /// Both bounds. A floor below [`Self::SHORTEST`] is raised to it, a ceiling below the floor to the floor.
    pub fn new(floor: Duration, ceiling: Duration) -> Self {
        let floor = floor.max(Self::SHORTEST);
        Self {
            floor,
            ceiling: ceiling.max(floor),
        }
    }
}

impl Default for Reconnect {
    /// Half a second and a minute.
    fn default() -> Self {
        Self::new(Self::SHORTEST, Duration::from_secs(60))
    }
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// The last connection worked, but has only just been made.
    Soon(Instant),
    /// The last attempts failed: whoever asks is told so.
    Closed(Instant),
}

/// The attempts to connect to one server.
#[derive(Debug)]
pub(super) struct Backoff {
    bounds: Reconnect,
    /// The last time waited for, without jitter; zero where the last attempt worked.
    wait: Duration,
    /// How many attempts there were, and when the last one began.
    attempts: u64,
    began: Option<Instant>,
    next: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(bounds: Reconnect) -> Self {
        Self {
            bounds,
            wait: Duration::ZERO,
            attempts: 0,
            began: None,
            next: None,
        }
    }

    /// An attempt begins; its number is for [`Self::worked`].
    pub(super) fn begin(&mut self, now: Instant) -> u64 {
        self.began = Some(now);
        self.attempts += 1;
        self.attempts
    }

    /// It failed. `random` is any number.
    pub(super) fn failed(&mut self, now: Instant, random: u32) {
        let bounds = self.bounds;
        self.wait = match self.wait.saturating_mul(2) {
            Duration::ZERO => bounds.floor,
            twice => twice.min(bounds.ceiling),
        };
        let tenths = 0.9 + 0.2 * f64::from(random) / f64::from(u32::MAX);
        let wait = self.wait.mul_f64(tenths).max(bounds.floor);
        self.next = Some(now + wait);
    }

    /// The server has said something on the connection of this attempt. That says nothing of later attempts.
    pub(super) fn worked(&mut self, attempt: u64) {
        if attempt != self.attempts {
            return;
        }
        self.wait = Duration::ZERO;
        self.next = self.began.map(|began| began + self.bounds.floor);
    }

    /// The server ended an attempt to resume: a full handshake may follow at once.
    pub(super) fn at_once(&mut self) {
        self.next = None;
    }

    pub(super) fn gate(&self, now: Instant) -> Gate {
        match self.next.filter(|next| now < *next) {
            None => Gate::Open,
            Some(next) if self.wait.is_zero() => Gate::Soon(next),
            Some(next) => Gate::Closed(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_is_the_least() {
        let tenth = Duration::from_millis(100);
        assert_eq!(
            Reconnect::new(tenth, tenth),
            Reconnect::new(Reconnect::SHORTEST, tenth)
        );
        for floor in [tenth, Duration::from_secs(2)] {
            let bounds = Reconnect::new(floor, Duration::from_secs(60));
            let mut backoff = Backoff::new(bounds);
            let now = Instant::now();
            _ = backoff.begin(now);
            backoff.failed(now, 0);
            let least = floor.max(Reconnect::SHORTEST);
            assert_eq!(backoff.gate(now), Gate::Closed(now + least));
            assert_eq!(backoff.gate(now + least), Gate::Open);
        }
    }

    /// proves: RAD-3.8.1-13
    #[test]
    fn the_time_doubles_up_to_a_minute_with_jitter_and_never_ends() {
        let mut backoff = Backoff::new(Reconnect::default());
        let now = Instant::now();
        let mut waits = Vec::new();
        for attempt in 0..20_u32 {
            backoff.failed(now, if attempt % 2 == 0 { 0 } else { u32::MAX });
            let Gate::Closed(next) = backoff.gate(now) else {
                panic!("an attempt may be made at once");
            };
            waits.push((next - now).as_millis());
        }
        assert_eq!(
            waits[..8],
            [500, 1100, 1800, 4400, 7200, 17600, 28800, 66000]
        );
        assert!(
            waits[8..]
                .iter()
                .all(|wait| (54_000..=66_000).contains(wait))
        );
        let attempt = backoff.begin(now);
        backoff.worked(attempt - 1);
        assert!(matches!(backoff.gate(now), Gate::Closed(_)));
        backoff.worked(attempt);
        assert_eq!(backoff.gate(now), Gate::Soon(now + Reconnect::SHORTEST));
    }
}
