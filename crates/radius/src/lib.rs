//! RADIUS (RFC 2865, RFC 2866 and what came after), as RadSec carries it: framing, and both sides of a connection as
//! machines without sockets, clock, tasks or randomness. Attributes and authenticators are the caller's for now.
//!
//! - [`header`]: the 20 octets every packet begins with.
//! - [`raw`], [`stream`], [`datagram`]: packets as their octets, and how TLS, DTLS and UDP carry them.
//! - [`duplicate`]: requests that came before and their answers.
//! - [`ids`], [`retransmit`], [`watchdog`]: what the connecting side keeps of its requests and its peer.
//! - [`pairs`], [`server`], [`client`]: which codes answer which, and both sides of a connection.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod datagram;
pub mod duplicate;
pub mod header;
pub mod ids;
pub mod pairs;
pub mod raw;
pub mod retransmit;
pub mod server;
pub mod stream;
pub mod time;
pub mod watchdog;

pub use header::{Code, Header, HeaderError};
pub use pairs::Transport;
pub use raw::RawPacket;
pub use time::Now;
