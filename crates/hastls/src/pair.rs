//! One pair of ports, and what it says about the server (sections 2 and 3).
//!
//! ```text
//! +--------+--------+--------+--------+
//! |  insecure-port  |   secure-port   |   16 bits each, network byte order; 0: not offered
//! +--------+--------+--------+--------+
//! ```

use core::fmt;
use core::num::NonZeroU16;

/// Octets of a pair on the wire.
pub const PAIR: usize = 4;

/// What a server offers of one application (section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Server {
    /// SIO: without TLS only.
    InsecureOnly,
    /// SSO: with TLS only, on a port of its own or by a mandatory upgrade on the application's port.
    SecureOnly,
    /// SSB: both ways, on two ports or by an optional upgrade on one.
    Both,
}

impl Server {
    /// The draft's three letters: `SIO`, `SSO`, `SSB`.
    pub fn abbreviation(self) -> &'static str {
        match self {
            Self::InsecureOnly => "SIO",
            Self::SecureOnly => "SSO",
            Self::Both => "SSB",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InsecureOnly => "insecure only",
            Self::SecureOnly => "secure only",
            Self::Both => "both",
        })
    }
}

/// Where one application is served. The pair `(0 0)`, which has no meaning (section 3), cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortPair {
    /// `(p 0)`: without TLS only.
    InsecureOnly(NonZeroU16),
    /// `(0 p)`: with TLS only.
    SecureOnly(NonZeroU16),
    /// `(p q)`: both ways. Where the ports are equal, TLS is set up in band.
    Both {
        /// The port of the insecure form.
        insecure: NonZeroU16,
        /// The port of the secure form.
        secure: NonZeroU16,
    },
}

impl PortPair {
    /// The pair of two port numbers, 0 where the form is not offered; `None` for `(0 0)`.
    pub fn new(insecure: u16, secure: u16) -> Option<Self> {
        match (NonZeroU16::new(insecure), NonZeroU16::new(secure)) {
            (Some(insecure), Some(secure)) => Some(Self::Both { insecure, secure }),
            (Some(insecure), None) => Some(Self::InsecureOnly(insecure)),
            (None, Some(secure)) => Some(Self::SecureOnly(secure)),
            (None, None) => None,
        }
    }

    /// The port of the insecure form, if it is offered.
    pub fn insecure(self) -> Option<NonZeroU16> {
        match self {
            Self::InsecureOnly(insecure) | Self::Both { insecure, .. } => Some(insecure),
            Self::SecureOnly(_) => None,
        }
    }

    /// The port of the secure form, if it is offered.
    pub fn secure(self) -> Option<NonZeroU16> {
        match self {
            Self::SecureOnly(secure) | Self::Both { secure, .. } => Some(secure),
            Self::InsecureOnly(_) => None,
        }
    }

    /// What the server offers.
    pub fn server(self) -> Server {
        match self {
            Self::InsecureOnly(_) => Server::InsecureOnly,
            Self::SecureOnly(_) => Server::SecureOnly,
            Self::Both { .. } => Server::Both,
        }
    }

    /// Whether both forms share a port, so that TLS is set up in band, as by STARTTLS. An upgrade that is mandatory cannot be told
    /// from TLS on that port: both are `(0 p)`.
    pub fn is_upgrade(self) -> bool {
        matches!(self, Self::Both { insecure, secure } if insecure == secure)
    }

    /// The ports it names, one or two.
    pub fn ports(self) -> impl Iterator<Item = NonZeroU16> {
        self.insecure().into_iter().chain(self.secure())
    }

    /// Its octets on the wire.
    pub fn encode(self) -> [u8; PAIR] {
        let [a, b] = self.insecure().map_or(0, NonZeroU16::get).to_be_bytes();
        let [c, d] = self.secure().map_or(0, NonZeroU16::get).to_be_bytes();
        [a, b, c, d]
    }

    /// The pair of four octets; `None` for `(0 0)`.
    pub fn decode([a, b, c, d]: [u8; PAIR]) -> Option<Self> {
        Self::new(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    }
}

/// Two numbers with a space, as inside the parentheses of a record.
impl fmt::Display for PortPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |port: Option<NonZeroU16>| port.map_or(0, NonZeroU16::get);
        write!(f, "{} {}", number(self.insecure()), number(self.secure()))
    }
}
