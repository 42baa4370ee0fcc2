//! Figures: what was answered, refused and how long it took, and the small HTTP server that Prometheus asks.
//!
//! ```text
//! aaa, listen, journal → cells (atomics, indexed by closed lists)  ─┐
//! runtime → what can be looked up when asked (status, files, /proc) ┴→ Page → OpenMetrics → Endpoint → scraper
//! ```
//!
//! Counting on the way of a request costs one relaxed addition, needs no lock and looks no name up. Everything else is
//! work of whoever asks, on the endpoint's own thread.

mod endpoint;
mod histogram;
mod page;
mod requests;
mod text;
mod turn;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use endpoint::{Endpoint, Source};
pub use histogram::Histogram;
pub use page::{About, Page};
pub use requests::{Answered, Requests};
pub use turn::Turn;

use crate::aaa::{Kind, Refused};

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
        self.all()
            .map(|(label, count)| (label.name(), count))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Every value with its count.
    pub fn all(&self) -> impl Iterator<Item = (L, u64)> {
        L::ALL.iter().map(|label| (*label, self.get(*label)))
    }
}

/// All cells of one server.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests by kind, outcome and reason.
    pub requests: Requests,
    /// From the arrival of a request to its reply, by kind.
    pub durations: Durations,
    /// Connections, handshakes and packets refused, by reason.
    pub refused: Counters<Refused>,
    /// TLS handshakes.
    pub handshakes: Handshakes,
    /// What OCSP responders said.
    pub inquiries: Counters<Inquiry>,
    /// What users with `alert = true` did.
    pub alerts: Alerts,
}

/// What came of a question to an OCSP responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// The certificate is good.
    Good,
    /// It is revoked.
    Revoked,
    /// No answer, or the responder is left alone because it gave none a moment ago.
    Silent,
    /// An answer that does not count.
    Unusable,
}

impl Label for Inquiry {
    const ALL: &'static [Self] = &[Self::Good, Self::Revoked, Self::Silent, Self::Unusable];

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Silent => "silent",
            Self::Unusable => "unusable",
        }
    }
}

/// A histogram for each kind of request.
#[derive(Debug, Default)]
pub struct Durations([Histogram; Kind::ALL.len()]);

impl Durations {
    /// The histogram of one kind.
    pub fn of(&self, kind: Kind) -> &Histogram {
        let [authentication, authorization, accounting] = &self.0;
        match kind {
            Kind::Authentication => authentication,
            Kind::Authorization => authorization,
            Kind::Accounting => accounting,
        }
    }
}

/// TLS handshakes that ended.
#[derive(Debug, Default)]
pub struct Handshakes {
    /// From accept to the end of the handshakes that succeeded; their number is how many did.
    pub completed: Histogram,
    /// The others, by reason. Each of them is among [`Metrics::refused`] too.
    pub failed: Counters<Refused>,
}

impl Handshakes {
    /// Every reason a handshake can fail for, with its count; others only if it ever happened.
    pub fn failures(&self) -> impl Iterator<Item = (Refused, u64)> {
        self.failed
            .all()
            .filter(|(reason, count)| *count > 0 || reason.ends_handshakes())
    }
}

/// Permits given to users with `alert = true`, by user and kind. Rare by nature, hence behind a lock.
#[derive(Debug, Default)]
pub struct Alerts(Mutex<BTreeMap<Arc<str>, [u64; 2]>>);

impl Alerts {
    /// Counts a login, or with [`Kind::Authorization`] something that was permitted.
    pub fn add(&self, user: &Arc<str>, kind: Kind) {
        let mut alerts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [logins, permits] = alerts.entry(Arc::clone(user)).or_default();
        match kind {
            Kind::Authentication => *logins += 1,
            Kind::Authorization => *permits += 1,
            // What happened was permitted before.
            Kind::Accounting => {}
        }
    }

    /// Logins and permits of every user that was counted, and zeros for `configured` ones that were not: a counter that
    /// begins with its first use would hide that use from `increase()`.
    pub fn all<'a>(
        &self,
        configured: impl Iterator<Item = &'a Arc<str>>,
    ) -> BTreeMap<Arc<str>, [u64; 2]> {
        let mut all: BTreeMap<Arc<str>, [u64; 2]> =
            configured.map(|user| (Arc::clone(user), [0; 2])).collect();
        let alerts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(alerts.iter().map(|(user, uses)| (Arc::clone(user), *uses)));
        all
    }
}

#[cfg(test)]
mod tests;
