//! Counters: how often each outcome and each refusal happened, since the start.
//!
//! Fixed arrays of atomics indexed by the enums of [`crate::aaa`] and [`crate::listen`]: counting costs one
//! relaxed addition, needs no lock and no name look-up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::aaa::{Kind, Outcome, Reason};

/// A closed list that can index an array of counters.
pub trait Label: Copy + 'static {
    /// Every value, in the order of `index`.
    const ALL: &'static [Self];
    /// Position in `ALL`.
    fn index(self) -> usize;
    /// Name in `status`, logs and metrics.
    fn name(self) -> &'static str;
}

/// One counter for each value of a label.
#[derive(Debug)]
pub struct Counters<L: Label> {
    cells: Box<[AtomicU64]>,
    label: std::marker::PhantomData<L>,
}

impl<L: Label> Default for Counters<L> {
    fn default() -> Self {
        Self {
            cells: L::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            label: std::marker::PhantomData,
        }
    }
}

impl<L: Label> Counters<L> {
    /// Counts one.
    pub fn add(&self, label: L) {
        self.add_many(label, 1);
    }

    /// Counts several.
    pub fn add_many(&self, label: L, count: u64) {
        if let Some(cell) = self.cells.get(label.index()) {
            cell.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How often so far.
    pub fn get(&self, label: L) -> u64 {
        self.cells
            .get(label.index())
            .map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Names and counts, without the zeros.
    pub fn report(&self) -> BTreeMap<&'static str, u64> {
        L::ALL
            .iter()
            .map(|label| (label.name(), self.get(*label)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

impl Label for Reason {
    const ALL: &'static [Self] = Reason::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        Reason::name(self)
    }
}

/// What was answered to a request of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered(pub Kind, pub Outcome);

impl Label for Answered {
    const ALL: &'static [Self] = &[
        Self(Kind::Authentication, Outcome::Pass),
        Self(Kind::Authentication, Outcome::Fail),
        Self(Kind::Authentication, Outcome::Error),
        Self(Kind::Authorization, Outcome::Permit),
        Self(Kind::Authorization, Outcome::Deny),
        Self(Kind::Authorization, Outcome::Error),
        Self(Kind::Accounting, Outcome::Recorded),
        Self(Kind::Accounting, Outcome::Error),
    ];

    fn index(self) -> usize {
        Self::ALL
            .iter()
            .position(|label| *label == self)
            .unwrap_or(usize::MAX)
    }

    fn name(self) -> &'static str {
        match (self.0, self.1) {
            (Kind::Authentication, Outcome::Pass) => "authentication pass",
            (Kind::Authentication, Outcome::Fail) => "authentication fail",
            (Kind::Authentication, _) => "authentication error",
            (Kind::Authorization, Outcome::Permit) => "authorization permit",
            (Kind::Authorization, Outcome::Deny) => "authorization deny",
            (Kind::Authorization, _) => "authorization error",
            (Kind::Accounting, Outcome::Recorded) => "accounting recorded",
            (Kind::Accounting, _) => "accounting error",
        }
    }
}

/// All counters of one server.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests by kind and outcome.
    pub answered: Counters<Answered>,
    /// Requests by reason of the answer.
    pub reasons: Counters<Reason>,
    /// Connections, handshakes and packets refused, by reason.
    pub refused: Counters<crate::aaa::Refused>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_counts_in_its_own_cell() {
        let answered = Counters::<Answered>::default();
        for (index, label) in Answered::ALL.iter().enumerate() {
            assert_eq!(label.index(), index);
            answered.add(*label);
            assert_eq!(answered.get(*label), 1);
        }
        assert_eq!(answered.report().len(), Answered::ALL.len());
        for (index, label) in <Reason as Label>::ALL.iter().enumerate() {
            assert_eq!(Label::index(*label), index);
        }
    }
}
