//! The number of the record type, which the draft calls TBD1 and nobody ever assigned.

use core::fmt;

/// A type number for HASTLS, chosen by whoever runs the zone. Servers treat it as an unknown type (RFC 3597).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordType(u16);

impl RecordType {
    /// The number we take where nothing else is configured, of the range for private use.
    pub const DEFAULT: Self = Self(65400);

    /// A number of the range for data types (RFC 6895 section 3.1), 256 to 65534. `None` for others: those below 128 belong to well-known
    /// types, and the rest are no types of data.
    pub fn new(number: u16) -> Option<Self> {
        (256..u16::MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Whether it is for private use (65280 to 65534), where nobody else's type can be.
    pub fn is_private(self) -> bool {
        self.0 >= 65280
    }
}

impl Default for RecordType {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// `TYPE65400`, as in RFC 3597 section 5.
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TYPE{}", self.0)
    }
}
