//! What speaks against a connection before its watchdog does: answers that are missing.

use std::time::Duration;

use doorward_radius::watchdog::Watchdog;
use tokio::time::Instant;

/// How long a server is passed over that does not answer or was found dead, where there is another.
pub(super) const DOUBT: Duration = Duration::from_secs(60);

/// Requests in a row that a server may leave without an answer and be thought well of.
const DISCARDED: u32 = 2;

/// Who is doubted sooner than this is not asked for a sign of life: its answers might just be on their way.
const PATIENT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Doubt {
    /// How long an answer may take that is not missed.
    after: Duration,
    /// Answers that are missed since the last one came, and until when that counts.
    missed: u32,
    until: Option<Instant>,
    /// When the server was last asked for a sign of life because an answer was missed, and whether it still owes that.
    asked: Option<Instant>,
    owes: bool,
}

impl Doubt {
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            missed: 0,
            until: None,
            asked: None,
            owes: false,
        }
    }

    /// When the answer to what is sent now will be missed.
    pub(super) fn overdue(&self) -> Instant {
        Instant::now() + self.after
    }

    /// Until when it should not be chosen, if others can be: too many answers in a row were missed. Then it has another try,
    /// which is how a server comes back that is asked nothing else.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until.filter(|until| Instant::now() < *until)
    }

    pub(super) fn miss(&mut self) {
        self.missed = self.missed.saturating_add(1);
        // Servers may discard what they do not like (RFC 2865 section 3): that alone says nothing.
        if self.missed > DISCARDED {
            self.until = Some(Instant::now() + DOUBT);
        }
    }

    /// An answer came.
    pub(super) fn forgive(&mut self) {
        self.missed = 0;
        self.until = None;
        self.owes = false;
    }

    /// Whether it may be asked for a sign of life: no more often than a watchdog would.
    pub(super) fn may_ask(&self) -> bool {
        let now = Instant::now();
        let rested = |asked: Instant| asked + Watchdog::SHORTEST <= now;
        self.after >= PATIENT && self.asked.is_none_or(rested)
    }

    /// It was asked for a sign of life.
    pub(super) fn asked(&mut self) {
        self.asked = Some(Instant::now());
        self.owes = true;
    }

    /// When [`Self::judge`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let asked = self.asked.filter(|_| self.owes);
        asked.map(|asked| asked + self.after / 2)
    }

    /// True if the sign of life is missed by now, which says more than requests that may have been discarded.
    pub(super) fn judge(&mut self) -> bool {
        let now = Instant::now();
        let missed = self.due().is_some_and(|due| due <= now);
        if missed {
            self.owes = false;
            self.until = Some(now + DOUBT);
        }
        missed
    }
}
