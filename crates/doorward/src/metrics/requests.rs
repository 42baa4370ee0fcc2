//! Requests by kind, outcome and reason: one family over three closed lists.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::aaa::{Kind, Outcome, Reason};

/// A cell for every combination; most of them can never be counted, and only those that can are shown.
#[derive(Debug)]
pub struct Requests(Box<[AtomicU64]>);

/// One combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which verb.
    pub kind: Kind,
    /// What was answered.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

impl Default for Requests {
    fn default() -> Self {
        let cells = Kind::ALL.len() * Outcome::ALL.len() * Reason::ALL.len();
        Self((0..cells).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Answered {
    fn index(self) -> usize {
        (self.kind as usize * Outcome::ALL.len() + self.outcome as usize) * Reason::ALL.len()
            + self.reason as usize
    }

    /// Every combination.
    fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.iter().flat_map(|kind| {
            Outcome::ALL.iter().flat_map(move |outcome| {
                Reason::ALL.iter().map(move |reason| Self {
                    kind: *kind,
                    outcome: *outcome,
                    reason: *reason,
                })
            })
        })
    }
}

impl Requests {
    /// Counts one.
    pub fn add(&self, kind: Kind, outcome: Outcome, reason: Reason) {
        self.add_many(kind, outcome, reason, 1);
    }

    /// Counts several.
    pub fn add_many(&self, kind: Kind, outcome: Outcome, reason: Reason, count: u64) {
        let answered = Answered {
            kind,
            outcome,
            reason,
        };
        if let Some(cell) = self.0.get(answered.index()) {
            cell.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How often so far.
    pub fn get(&self, answered: Answered) -> u64 {
        self.0
            .get(answered.index())
            .map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// What to show: every combination that [`expected`] knows, also those that never happened, because a counter that
    /// begins with its first fault would hide that fault from `increase()`. What happened against expectation is shown too.
    pub fn shown(&self) -> impl Iterator<Item = (Answered, u64)> {
        Answered::all()
            .map(|answered| (answered, self.get(answered)))
            .filter(|(answered, count)| *count > 0 || is_expected(*answered))
    }

    /// Counts by kind and outcome, without the zeros, by names such as `authentication pass`.
    pub fn report(&self) -> BTreeMap<String, u64> {
        let mut report = BTreeMap::new();
        for answered in Answered::all() {
            let count = self.get(answered);
            if count > 0 {
                let name = format!("{} {}", answered.kind.name(), answered.outcome.name());
                *report.entry(name).or_default() += count;
            }
        }
        report
    }
}

fn is_expected(answered: Answered) -> bool {
    expected(answered.reason).contains(&(answered.kind, answered.outcome))
}

const PASS: (Kind, Outcome) = (Kind::Authentication, Outcome::Pass);
const FAIL: (Kind, Outcome) = (Kind::Authentication, Outcome::Fail);
const NO_LOGIN: (Kind, Outcome) = (Kind::Authentication, Outcome::Error);
const PERMIT: (Kind, Outcome) = (Kind::Authorization, Outcome::Permit);
const DENY: (Kind, Outcome) = (Kind::Authorization, Outcome::Deny);
const NO_VERDICT: (Kind, Outcome) = (Kind::Authorization, Outcome::Error);
const RECORDED: (Kind, Outcome) = (Kind::Accounting, Outcome::Recorded);
const NOT_RECORDED: (Kind, Outcome) = (Kind::Accounting, Outcome::Error);

/// The answers that a reason can have.
fn expected(reason: Reason) -> &'static [(Kind, Outcome)] {
    match reason {
        Reason::PasswordRight
        | Reason::ResponseRight
        | Reason::PasswordChanged
        | Reason::UpstreamAccepted => &[PASS],
        Reason::PasswordWrong
        | Reason::UserWithoutPassword
        | Reason::Aborted
        | Reason::TooManyAttempts
        | Reason::TypeNotAccepted
        | Reason::FlowNotOffered
        | Reason::ResponseWrong
        | Reason::ChallengeInvalid
        | Reason::ChallengeShort
        | Reason::RadiusInvalid
        | Reason::StateInvalid
        | Reason::StateExpired
        | Reason::StateForeign
        | Reason::EapNotOffered
        | Reason::UpstreamRejected
        | Reason::RealmUnknown
        | Reason::UserWithoutChapSecret
        | Reason::NoEnablePassword
        | Reason::LevelTooHigh
        | Reason::NewPasswordIsChap => &[FAIL],
        Reason::UserUnknown
        | Reason::DeviceGone
        | Reason::UserAddress
        | Reason::UserNameInvalid
        | Reason::NoRule
        | Reason::NoShell => &[FAIL, DENY],
        Reason::RuleMatched => &[],
        Reason::CommandRule => &[PERMIT, DENY],
        Reason::NoCommandRule | Reason::NoService | Reason::MandatoryArgument => &[DENY],
        Reason::ShellGranted | Reason::ServiceGranted => &[PERMIT],
        Reason::RequestInvalid => &[FAIL, DENY, NOT_RECORDED],
        Reason::AnswerTooLong => &[NO_LOGIN, NO_VERDICT],
        Reason::Journalled => &[RECORDED],
        Reason::JournalFailed => &[NOT_RECORDED],
        Reason::HashingBusy
        | Reason::NoRandom
        | Reason::PasswordStoreFault
        | Reason::ChangeNotStored
        | Reason::UpstreamUnavailable
        | Reason::RealmUnresolved
        | Reason::UpstreamSilent
        | Reason::UpstreamNotBelieved
        | Reason::UpstreamAnswer
        | Reason::GivenUp
        | Reason::Stopping => &[NO_LOGIN],
    }
}
