//! The watchdog of a connection (RFC 3539 section 3.4), with Status-Server as its question.
//!
//! INITIAL and DOWN have no timer here: when to connect again is the business of the back-off.

use core::time::Duration;

use crate::Now;

/// What is believed of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Never connected.
    Initial,
    /// In use.
    Okay,
    /// A question is overdue: new requests go elsewhere if they can.
    Suspect,
    /// Not connected, or about to be closed.
    Down,
    /// Connected again after DOWN: used once three questions were answered.
    Reopen,
}

/// What a timer that ran out asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing; it was too early, or only the health changed.
    None,
    /// Send a Status-Server, a new packet each time.
    Probe,
    /// Close the connection: the peer is DOWN.
    Close,
}

/// The watchdog of one connection. Times are arguments, and so is every random number (32 even bits).
#[derive(Clone, Debug)]
pub struct Watchdog {
    interval: Duration,
    lossy: bool,
    health: Health,
    /// A question is not answered.
    pending: bool,
    /// In REOPEN: answered questions, or `None` after one that was overdue.
    proven: Option<u8>,
    timer: Option<Now>,
}

impl Watchdog {
    /// Tw unless configured.
    pub const INTERVAL: Duration = Duration::from_secs(30);
    /// The shortest Tw.
    pub const SHORTEST: Duration = Duration::from_secs(6);
    /// Milliseconds that jitter adds or takes at most.
    const JITTER: u32 = 2000;
    /// Answers that end REOPEN.
    const PROOFS: u8 = 3;

    /// A watchdog in INITIAL with Tw `interval`, raised to 6 s if it is less. `lossy` is for DTLS and UDP, where a
    /// question may be lost: an overdue one is followed by another before the peer is DOWN.
    pub fn new(interval: Duration, lossy: bool) -> Self {
        Self {
            interval: interval.max(Self::SHORTEST),
            lossy,
            health: Health::Initial,
            pending: false,
            proven: None,
            timer: None,
        }
    }

    /// What is believed of the peer.
    pub fn health(&self) -> Health {
        self.health
    }

    /// The connection is up. After DOWN the peer has to prove itself and is asked at once.
    pub fn connected(&mut self, now: Now, random: u32) -> Action {
        self.set(now, random);
        if self.health == Health::Down {
            self.health = Health::Reopen;
            self.proven = Some(0);
            self.pending = true;
            Action::Probe
        } else {
            self.health = Health::Okay;
            self.pending = false;
            Action::None
        }
    }

    /// The connection is gone, for whatever reason.
    pub fn disconnected(&mut self) {
        if self.health != Health::Initial {
            self.health = Health::Down;
        }
        self.pending = false;
        self.timer = None;
    }

    /// A good answer to anything came; `to_probe` if to a Status-Server.
    pub fn answered(&mut self, to_probe: bool, now: Now, random: u32) {
        if to_probe {
            self.pending = false;
        }
        match self.health {
            Health::Okay | Health::Suspect => {
                self.health = Health::Okay;
                self.set(now, random);
            }
            Health::Reopen if to_probe => {
                let proven = self.proven.unwrap_or(0).saturating_add(1);
                self.proven = Some(proven);
                if proven >= Self::PROOFS {
                    self.health = Health::Okay;
                }
            }
            Health::Initial | Health::Down | Health::Reopen => {}
        }
    }

    /// When [`Watchdog::elapsed`] is due.
    pub fn timeout(&self) -> Option<Now> {
        self.timer
    }

    /// Looks whether Tw ran out.
    pub fn elapsed(&mut self, now: Now, random: u32) -> Action {
        if self.timer.is_none_or(|timer| now < timer) {
            return Action::None;
        }
        self.set(now, random);
        match self.health {
            Health::Okay | Health::Reopen if !self.pending => {
                self.pending = true;
                Action::Probe
            }
            Health::Okay => {
                self.health = Health::Suspect;
                self.again()
            }
            Health::Reopen if self.proven.is_some() => {
                self.proven = None;
                self.again()
            }
            Health::Suspect | Health::Reopen | Health::Initial | Health::Down => {
                self.disconnected();
                Action::Close
            }
        }
    }

    fn again(&self) -> Action {
        if self.lossy {
            Action::Probe
        } else {
            Action::None
        }
    }

    fn set(&mut self, now: Now, random: u32) {
        let jitter = random % (2 * Self::JITTER + 1);
        let least = self
            .interval
            .saturating_sub(Duration::from_millis(Self::JITTER.into()));
        let span = least.saturating_add(Duration::from_millis(jitter.into()));
        self.timer = Some(now.after(span));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No jitter.
    const MIDDLE: u32 = 2000;

    fn at(seconds: u64) -> Now {
        Now(Duration::from_secs(seconds))
    }

    fn up(lossy: bool) -> Watchdog {
        let mut dog = Watchdog::new(Watchdog::INTERVAL, lossy);
        assert_eq!(dog.health(), Health::Initial);
        assert_eq!(dog.connected(at(0), MIDDLE), Action::None);
        dog
    }

    #[test]
    fn a_silent_peer_is_suspect_and_then_down() {
        for (lossy, overdue) in [(false, Action::None), (true, Action::Probe)] {
            let mut dog = up(lossy);
            assert_eq!(dog.elapsed(at(29), MIDDLE), Action::None);
            assert_eq!(dog.elapsed(at(30), MIDDLE), Action::Probe);
            assert_eq!(dog.health(), Health::Okay);
            assert_eq!(dog.elapsed(at(60), MIDDLE), overdue);
            assert_eq!(dog.health(), Health::Suspect);
            assert_eq!(dog.elapsed(at(90), MIDDLE), Action::Close);
            assert_eq!(dog.health(), Health::Down);
            assert_eq!(dog.timeout(), None);
        }
    }

    #[test]
    fn any_answer_is_life() {
        let mut dog = up(false);
        dog.answered(false, at(20), MIDDLE);
        assert_eq!(dog.timeout(), Some(at(50)));
        assert_eq!(dog.elapsed(at(50), MIDDLE), Action::Probe);
        dog.elapsed(at(80), MIDDLE);
        assert_eq!(dog.health(), Health::Suspect);
        dog.answered(false, at(81), MIDDLE);
        assert_eq!(dog.health(), Health::Okay);
        // The question itself is still open, so that no other is asked.
        assert_eq!(dog.elapsed(at(111), MIDDLE), Action::None);
        assert_eq!(dog.health(), Health::Suspect);
        dog.answered(true, at(112), MIDDLE);
        assert_eq!(dog.elapsed(at(142), MIDDLE), Action::Probe);
    }

    #[test]
    fn after_down_three_answers_are_needed() {
        let mut dog = up(false);
        dog.disconnected();
        assert_eq!(dog.connected(at(100), MIDDLE), Action::Probe);
        for round in [130, 160] {
            dog.answered(true, at(round - 29), MIDDLE);
            dog.answered(false, at(round - 29), MIDDLE);
            assert_eq!(dog.health(), Health::Reopen);
            assert_eq!(dog.elapsed(at(round), MIDDLE), Action::Probe);
        }
        dog.answered(true, at(161), MIDDLE);
        assert_eq!(dog.health(), Health::Okay);
    }

    #[test]
    fn a_silent_peer_in_reopen_is_down_after_two_timers() {
        let mut dog = up(false);
        dog.disconnected();
        dog.connected(at(100), MIDDLE);
        assert_eq!(dog.elapsed(at(130), MIDDLE), Action::None);
        assert_eq!(dog.elapsed(at(160), MIDDLE), Action::Close);
    }

    #[test]
    fn jitter_is_two_seconds_and_tw_at_least_six() {
        let mut dog = Watchdog::new(Duration::from_secs(1), false);
        for (random, due) in [(0, 4), (2000, 6), (4000, 8), (4001, 4)] {
            dog.connected(at(0), random);
            assert_eq!(dog.timeout(), Some(at(due)));
        }
    }
}
