//! Time as an argument: the machines hold no clock.

use core::time::Duration;

/// A point in time: what has passed since an origin of the caller's choice.
///
/// The origin must be the same for every call on one connection, and time must not run backwards;
/// a monotonic clock does both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(pub Duration);

impl Now {
    /// The point `span` later, or the last representable one.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}
