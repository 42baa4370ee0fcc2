//! Authentication, authorization, accounting.

mod outcome;

pub use outcome::{Outcome, Reason, Unavailable};
