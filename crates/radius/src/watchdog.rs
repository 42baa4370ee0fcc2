//! The watchdog of a connection (RFC 3539 section 3.4), with Status-Server as its question.
//!
//! INITIAL and DOWN have no timer here: when to connect again is the business of the back-off.
//!
//! There are servers that answer no Status-Server, however alive they are. [`Watching::Learning`] finds out, and
//! [`Watching::Traffic`] judges them by what they do answer.

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

/// By what the peer is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watching {
    /// By its answers to Status-Server, as RFC 3539 has it.
    #[default]
    Status,
    /// The same, but it is not known whether it answers Status-Server at all. An answer to one makes this
    /// [`Watching::Status`]; where none comes although the peer lives, it becomes [`Watching::Traffic`].
    Learning,
    /// By its answers to requests: it gets no Status-Server, because it answers none.
    Traffic,
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
    watching: Watching,
    health: Health,
    /// A question is not answered.
    pending: bool,
    /// In REOPEN: answered questions, or `None` after one that was overdue.
    proven: Option<u8>,
    /// Where Status-Server alone does not tell: how often Tw ran out over the question of a peer that may well live.
    ignored: u8,
    /// Requests since the last answer to anything.
    unanswered: u8,
    /// The peer has answered something on this connection.
    heard: bool,
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
    /// How often Tw has to run out over a question for the peer to be one that answers none.
    const IGNORED: u8 = 3;
    /// Requests that a peer may leave unanswered and live: it discards what it does not like (RFC 2865 section 3).
    const DISCARDED: u8 = 2;

    /// A watchdog in INITIAL with Tw `interval`, raised to 6 s if it is less. `lossy` is for DTLS and UDP, where a
    /// question may be lost: an overdue one is followed by another before the peer is DOWN.
    pub fn new(interval: Duration, lossy: bool) -> Self {
        Self {
            interval: interval.max(Self::SHORTEST),
            lossy,
            watching: Watching::Status,
            health: Health::Initial,
            pending: false,
            proven: None,
            ignored: 0,
            unanswered: 0,
            heard: false,
            timer: None,
        }
    }

    /// The same, before it is connected, for a peer that is judged by this.
    #[must_use]
    pub fn watching_by(self, watching: Watching) -> Self {
        Self { watching, ..self }
    }

    /// By what the peer is judged, as far as it is known.
    pub fn watching(&self) -> Watching {
        self.watching
    }

    /// What is believed of the peer.
    pub fn health(&self) -> Health {
        self.health
    }

    /// The connection is up. After DOWN the peer has to prove itself and is asked at once.
    pub fn connected(&mut self, now: Now, random: u32) -> Action {
        self.set(now, random);
        (self.ignored, self.unanswered, self.heard) = (0, 0, false);
        // Who answers no question proves itself by being there.
        if self.health == Health::Down && self.watching != Watching::Traffic {
            self.health = Health::Reopen;
            self.proven = Some(0);
            self.pending = true;
            Action::Probe
        } else {
            self.health = Health::Okay;
            self.pending = false;
            self.rest();
            Action::None
        }
    }

    /// A request goes to the peer, which is not to be silent about it for long.
    pub fn sent(&mut self, now: Now, random: u32) {
        if self.unanswered == 0 && self.watching != Watching::Status {
            self.set(now, random);
        }
        self.unanswered = self.unanswered.saturating_add(1);
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
        (self.unanswered, self.heard) = (0, true);
        if to_probe {
            self.pending = false;
            self.watching = Watching::Status;
        }
        match self.health {
            Health::Okay | Health::Suspect => {
                self.health = Health::Okay;
                self.set(now, random);
                self.rest();
            }
            // It may have no other way to prove itself.
            Health::Reopen if self.watching == Watching::Learning => self.health = Health::Okay,
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
        match self.watching {
            Watching::Traffic => return self.judge_traffic(),
            Watching::Learning if self.pending && !self.is_mute() => return self.ignored(),
            Watching::Learning | Watching::Status => {}
        }
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

    /// More of its answers are missing than a peer that lives would leave out. Who has said nothing at all yet owes the first.
    fn is_mute(&self) -> bool {
        let discards = self.heard || self.watching == Watching::Traffic;
        self.unanswered > if discards { Self::DISCARDED } else { 0 }
    }

    /// The question is not answered, and nothing else says that the peer is dead.
    fn ignored(&mut self) -> Action {
        self.ignored = self.ignored.saturating_add(1);
        // A peer that has said nothing may be gone after all, and would be taken for one that answers none.
        if self.ignored < Self::IGNORED || !self.heard {
            return self.again();
        }
        self.watching = Watching::Traffic;
        self.health = Health::Okay;
        self.pending = false;
        self.rest();
        Action::None
    }

    fn judge_traffic(&mut self) -> Action {
        if !self.is_mute() {
            self.rest();
        } else if self.health == Health::Suspect {
            self.disconnected();
            return Action::Close;
        } else {
            self.health = Health::Suspect;
        }
        Action::None
    }

    /// Nothing is to be judged until a request is sent.
    fn rest(&mut self) {
        if self.watching == Watching::Traffic && self.unanswered == 0 {
            self.timer = None;
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

    fn learning(lossy: bool) -> Watchdog {
        let mut dog = Watchdog::new(Watchdog::INTERVAL, lossy).watching_by(Watching::Learning);
        assert_eq!(dog.connected(at(0), MIDDLE), Action::None);
        dog
    }

    /// A peer that answered a request, and then Tw runs out over a question until it is known to answer none.
    fn learned() -> Watchdog {
        let mut dog = learning(false);
        dog.sent(at(1), MIDDLE);
        dog.answered(false, at(2), MIDDLE);
        assert_eq!(dog.elapsed(at(32), MIDDLE), Action::Probe);
        for round in [62, 92, 122] {
            assert_eq!(dog.watching(), Watching::Learning);
            assert_eq!(dog.elapsed(at(round), MIDDLE), Action::None);
            assert_eq!(dog.health(), Health::Okay);
        }
        assert_eq!(dog.watching(), Watching::Traffic);
        dog
    }

    #[test]
    fn who_answers_requests_and_no_question_is_asked_no_more() {
        let dog = learned();
        assert_eq!((dog.health(), dog.timeout()), (Health::Okay, None));
    }

    /// It may have got lost.
    #[test]
    fn while_it_learns_it_asks_again_where_questions_get_lost() {
        let mut dog = learning(true);
        dog.answered(false, at(0), MIDDLE);
        for round in [30, 60, 90] {
            assert_eq!(dog.elapsed(at(round), MIDDLE), Action::Probe);
        }
        assert_eq!(dog.elapsed(at(120), MIDDLE), Action::None);
        assert_eq!(dog.watching(), Watching::Traffic);
    }

    #[test]
    fn who_answers_a_question_is_held_to_it() {
        for mut dog in [learning(false), learned()] {
            dog.answered(true, at(200), MIDDLE);
            assert_eq!(dog.watching(), Watching::Status);
            assert_eq!(dog.elapsed(at(230), MIDDLE), Action::Probe);
            assert_eq!(dog.elapsed(at(260), MIDDLE), Action::None);
            assert_eq!(dog.health(), Health::Suspect);
            assert_eq!(dog.elapsed(at(290), MIDDLE), Action::Close);
        }
    }

    /// Nothing is owed, so that nothing says that the peer is dead, nor that it lives.
    #[test]
    fn from_an_idle_peer_that_said_nothing_nothing_is_learned() {
        let mut dog = learning(false);
        assert_eq!(dog.elapsed(at(30), MIDDLE), Action::Probe);
        for round in 2..20 {
            assert_eq!(dog.elapsed(at(30 * round), MIDDLE), Action::None);
            let seen = (dog.health(), dog.watching());
            assert_eq!(seen, (Health::Okay, Watching::Learning));
        }
        dog.sent(at(600), MIDDLE);
        dog.answered(false, at(601), MIDDLE);
        assert_eq!(dog.elapsed(at(631), MIDDLE), Action::None);
        assert_eq!(dog.watching(), Watching::Traffic);
    }

    #[test]
    fn who_answers_neither_question_nor_request_is_down_while_it_learns() {
        // Nothing was ever heard: one request is enough.
        let mut dog = learning(false);
        dog.sent(at(0), MIDDLE);
        assert_eq!(dog.elapsed(at(30), MIDDLE), Action::Probe);
        assert_eq!(dog.elapsed(at(60), MIDDLE), Action::None);
        assert_eq!(dog.health(), Health::Suspect);
        assert_eq!(dog.elapsed(at(90), MIDDLE), Action::Close);
        assert_eq!(dog.watching(), Watching::Learning);
        // Who was heard may discard two.
        for (requests, health) in [(2, Health::Okay), (3, Health::Suspect)] {
            let mut dog = learning(false);
            dog.answered(false, at(0), MIDDLE);
            (0..requests).for_each(|_| dog.sent(at(0), MIDDLE));
            assert_eq!(dog.elapsed(at(30), MIDDLE), Action::Probe);
            assert_eq!(dog.elapsed(at(60), MIDDLE), Action::None);
            assert_eq!(dog.health(), health);
        }
    }

    #[test]
    fn who_answers_no_question_is_down_by_requests_alone() {
        let mut dog = learned();
        (0..2).for_each(|_| dog.sent(at(200), MIDDLE));
        for round in [230, 260, 290] {
            assert_eq!(dog.timeout(), Some(at(round)));
            assert_eq!(dog.elapsed(at(round), MIDDLE), Action::None);
            assert_eq!(dog.health(), Health::Okay);
        }
        dog.sent(at(300), MIDDLE);
        assert_eq!(dog.elapsed(at(320), MIDDLE), Action::None);
        assert_eq!(dog.health(), Health::Suspect);
        // Any answer is life.
        let mut alive = dog.clone();
        alive.answered(false, at(330), MIDDLE);
        assert_eq!((alive.health(), alive.timeout()), (Health::Okay, None));
        assert_eq!(dog.elapsed(at(350), MIDDLE), Action::Close);
        assert_eq!((dog.health(), dog.timeout()), (Health::Down, None));
        // The next connection is proof enough.
        assert_eq!(dog.connected(at(400), MIDDLE), Action::None);
        assert_eq!((dog.health(), dog.timeout()), (Health::Okay, None));
        assert_eq!(dog.watching(), Watching::Traffic);
    }

    #[test]
    fn in_reopen_an_answer_to_a_request_is_proof_while_it_learns() {
        let mut dog = learning(false);
        dog.disconnected();
        assert_eq!(dog.connected(at(100), MIDDLE), Action::Probe);
        assert_eq!(dog.health(), Health::Reopen);
        let mut silent = dog.clone();
        // It is asked, owes nothing, and is left.
        for round in [130, 160, 190, 220] {
            assert_eq!(dog.elapsed(at(round), MIDDLE), Action::None);
            assert_eq!(dog.health(), Health::Reopen);
        }
        dog.answered(false, at(230), MIDDLE);
        assert_eq!(dog.health(), Health::Okay);
        silent.sent(at(101), MIDDLE);
        assert_eq!(silent.elapsed(at(131), MIDDLE), Action::None);
        assert_eq!(silent.elapsed(at(161), MIDDLE), Action::Close);
    }

    /// Who answers Status-Server proves itself by that and nothing else, though it was not known before.
    #[test]
    fn in_reopen_an_answered_question_makes_two_more_due() {
        let mut dog = learning(false);
        dog.disconnected();
        dog.connected(at(100), MIDDLE);
        dog.answered(true, at(101), MIDDLE);
        dog.answered(false, at(102), MIDDLE);
        assert_eq!(dog.health(), Health::Reopen);
        dog.answered(true, at(103), MIDDLE);
        dog.answered(true, at(104), MIDDLE);
        assert_eq!(dog.health(), Health::Okay);
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
