//! RADIUS (RFC 2865, RFC 2866 and what came after), as RadSec carries it: the codec, and both sides of a connection as
//! machines without sockets, clock, tasks or randomness.
//!
//! - [`header`]: the 20 octets every packet begins with.
//! - [`raw`], [`stream`], [`datagram`]: packets as their octets, and how TLS, DTLS and UDP carry them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod datagram;
pub mod header;
pub mod raw;
pub mod stream;
pub mod time;

pub use header::{Code, Header, HeaderError};
pub use raw::RawPacket;
pub use time::Now;
