//! Looks up records and proves them with DNSSEC (RFC 4033 to 4035, 5155, 6840) on this host.
//!
//! ```text
//! Resolver ── question ──▶ name servers            any: recursive, or those of the zone itself
//!     │   ◀── records and signatures ──
//!     └── hickory-net: anchor ▶ zone ▶ zone ▶ records    each step asked for and verified here
//! ```
//!
//! What a server says about its own checks (the AD bit) is never looked at; it is asked not to check (CD), so that we see what is wrong. Each
//! answer is one of four things: [`Lookup::Found`] and [`Lookup::Absent`], both with how well they are proved, and
//! [`Lookup::Bogus`] and [`Lookup::Unreachable`], from which nothing may be concluded. Look-ups are bounded in time, questions and
//! signatures, and so is what is remembered.
//!
//! Aliases (CNAME, DNAME) are followed one by one, and what they lead to is as secure as the weakest of them. A zone above which no anchor stands
//! is [`Security::Indeterminate`]. A zone is insecure only if the zone above proves that it has no keys, or only keys of algorithms
//! that hickory-proto does not have (it has RSA, ECDSA and Ed25519; RSA/SHA-1 too, which it should not), or hides its delegations (NSEC3
//! opt-out), or hashes names more than a hundred times. Absence behind opt-out is insecure.
//!
//! What the library that validates cannot say, or says otherwise than the standards, is told in the modules `proof` and `denial`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use doorward_client::dns::{Kind, Lookup, Resolver, Security, Settings};
//!
//! let resolver = Resolver::new(Settings::default());
//! match resolver.lookup(&"_radsec._tcp.example.net".parse()?, Kind::SRV).await {
//!     Lookup::Found(found) if found.security == Security::Secure => println!("{:?}", found.records),
//!     Lookup::Found(_) | Lookup::Absent(_) => println!("nothing that is proved"),
//!     Lookup::Bogus(why) => println!("{why}"),
//!     Lookup::Unreachable(why) => println!("{why}"),
//! }
//! # Ok(())
//! # }
//! ```

mod anchor;
mod answer;
mod bogus;
mod cache;
mod denial;
mod name;
mod proof;
mod resolver;
mod system;
mod transport;

use std::fmt;

pub use anchor::{AnchorError, Anchors};
pub use answer::{Absent, Data, Found, Lookup, Naptr, Security, Srv};
pub use bogus::{Bogus, BogusReason};
pub use name::{Name, NameError};
pub use resolver::{DEADLINE, Hastls, Resolver, Settings};
pub use transport::Unreachable;

/// The number of a record type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A name server.
    pub const NS: Self = Self(2);
    /// An alias for one name.
    pub const CNAME: Self = Self(5);
    /// The beginning of a zone.
    pub const SOA: Self = Self(6);
    /// The name of an address.
    pub const PTR: Self = Self(12);
    /// A mail server.
    pub const MX: Self = Self(15);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// Where a service is.
    pub const SRV: Self = Self(33);
    /// What to ask next.
    pub const NAPTR: Self = Self(35);
    /// An alias for a tree of names.
    pub const DNAME: Self = Self(39);
    /// Which certificate a service has.
    pub const TLSA: Self = Self(52);
}

/// As in RFC 3597 section 5: `TYPE33`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TYPE{}", self.0)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
