//! Why an answer is not believed.

use std::fmt;

use super::name::Name;

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bogus {
    /// What is wrong.
    pub reason: BogusReason,
    /// With which name.
    pub at: Name,
}

/// What is wrong with an answer that should be signed. The library that validates only says that something is, so that this is read from
/// the signatures that came; the first that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BogusReason {
    /// No signature is for this time.
    Expired,
    /// There is no signature, and nothing proves that the zone has none.
    Unsigned,
    /// No key of the zone is the one that the trust anchor or the zone above names.
    Keys,
    /// No signature is right: the records were changed, or the keys.
    Signature,
    /// Nothing proves that the records are not there.
    Denial,
}

impl fmt::Display for Bogus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.at;
        match self.reason {
            BogusReason::Unsigned => write!(f, "{at} should be signed, and has no signature"),
            BogusReason::Expired => {
                write!(f, "the signatures of {at} are not valid at this time")
            }
            BogusReason::Signature => write!(f, "no signature of {at} is right"),
            BogusReason::Keys => write!(
                f,
                "no key of {at} is the one that the trust anchor or the zone above names"
            ),
            BogusReason::Denial => write!(f, "nothing proves that {at} has no such record"),
        }
    }
}

impl std::error::Error for Bogus {}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Bogus(Bogus),
    Unreachable(super::transport::Unreachable),
}

impl Failure {
    pub(super) fn bogus(reason: BogusReason, at: &Name) -> Self {
        Self::Bogus(Bogus {
            reason,
            at: at.clone(),
        })
    }
}

impl From<super::transport::Unreachable> for Failure {
    fn from(error: super::transport::Unreachable) -> Self {
        Self::Unreachable(error)
    }
}
