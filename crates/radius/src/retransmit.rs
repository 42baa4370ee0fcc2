//! Retransmission (RFC 5080 section 2.2.1), for DTLS and UDP only: the same octets again, id included.

use core::time::Duration;

use crate::Now;

/// The timers, by their names in the RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// IRT: the time before the second transmission.
    pub initial: Duration,
    /// MRT: the longest time between two transmissions; zero for no bound.
    pub longest: Duration,
    /// MRC: transmissions in all; zero for no bound.
    pub count: u32,
    /// MRD: the time after the first transmission at which it is given up; zero for no bound.
    pub duration: Duration,
}

impl Default for Retransmission {
    /// 2 s, doubled up to 16 s, 5 transmissions, 30 s.
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(2),
            longest: Duration::from_secs(16),
            count: 5,
            duration: Duration::from_secs(30),
        }
    }
}

impl Retransmission {
    /// Whether it ends at some time, as it must: with neither MRC nor MRD a request would be sent for ever.
    pub fn is_bounded(&self) -> bool {
        self.count > 0 || !self.duration.is_zero()
    }
}

/// What is to be done for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Wait,
    /// Send the same octets again.
    Send,
    /// No answer will come.
    GiveUp,
}

/// The transmissions of one request.
#[derive(Clone, Copy, Debug)]
pub struct Transmissions {
    first: Now,
    sent: u32,
    interval: Duration,
    next: Now,
}

impl Transmissions {
    /// The request was sent for the first time.
    pub fn start(timers: &Retransmission, now: Now, random: u32) -> Self {
        let interval = spread(timers.initial, timers.initial, random);
        let mut this = Self {
            first: now,
            sent: 1,
            interval,
            next: now,
        };
        this.plan(timers, now);
        this
    }

    /// When [`Transmissions::due`] has something to say.
    pub fn timeout(&self) -> Now {
        self.next
    }

    /// What is due now. [`Due::Send`] counts as sent.
    pub fn due(&mut self, timers: &Retransmission, now: Now, random: u32) -> Due {
        if now < self.next {
            return Due::Wait;
        }
        let over = !timers.duration.is_zero() && now >= self.first.after(timers.duration);
        if over || (timers.count > 0 && self.sent >= timers.count) {
            return Due::GiveUp;
        }
        self.sent = self.sent.saturating_add(1);
        let doubled = self.interval.saturating_mul(2);
        self.interval = if !timers.longest.is_zero() && doubled > timers.longest {
            spread(timers.longest, timers.longest, random)
        } else {
            spread(doubled, self.interval, random)
        };
        self.plan(timers, now);
        Due::Send
    }

    fn plan(&mut self, timers: &Retransmission, now: Now) {
        self.next = now.after(self.interval);
        if !timers.duration.is_zero() {
            self.next = self.next.min(self.first.after(timers.duration));
        }
    }
}

/// `span` with jitter of up to a tenth of `of` either way.
fn spread(span: Duration, of: Duration, random: u32) -> Duration {
    let tenth = of / 10;
    let add = (tenth / 1000).saturating_mul(random % 2001);
    span.saturating_sub(tenth).saturating_add(add)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// No jitter.
    const MIDDLE: u32 = 1000;

    fn run(timers: &Retransmission, random: u32) -> Vec<(u128, Due)> {
        let mut sending = Transmissions::start(timers, Now::default(), random);
        let mut seen = Vec::new();
        loop {
            let now = sending.timeout();
            let before = Now(now.0.saturating_sub(Duration::from_millis(1)));
            assert_eq!(sending.due(timers, before, random), Due::Wait);
            let due = sending.due(timers, now, random);
            seen.push((now.0.as_millis(), due));
            if due == Due::GiveUp {
                return seen;
            }
        }
    }

    #[test]
    fn gaps_double_up_to_the_longest_and_end() {
        let timers = Retransmission::default();
        let expected = [
            (2000, Due::Send),
            (6000, Due::Send),
            (14000, Due::Send),
            (30000, Due::GiveUp),
        ];
        assert_eq!(run(&timers, MIDDLE), expected);
        let counted = Retransmission {
            longest: Duration::from_secs(3),
            count: 4,
            duration: Duration::ZERO,
            ..timers
        };
        let expected = [
            (2000, Due::Send),
            (5000, Due::Send),
            (8000, Due::Send),
            (11000, Due::GiveUp),
        ];
        assert_eq!(run(&counted, MIDDLE), expected);
    }

    #[test]
    fn jitter_is_a_tenth() {
        let timers = Retransmission::default();
        assert_eq!(run(&timers, 0)[..2], [(1800, Due::Send), (5220, Due::Send)]);
        assert_eq!(
            run(&timers, 2000)[..2],
            [(2200, Due::Send), (6820, Due::Send)]
        );
    }

    #[test]
    fn one_of_both_bounds_is_needed() {
        let unbounded = Retransmission {
            count: 0,
            duration: Duration::ZERO,
            ..Retransmission::default()
        };
        assert!(!unbounded.is_bounded());
        assert!(
            Retransmission {
                count: 1,
                ..unbounded
            }
            .is_bounded()
        );
    }
}
