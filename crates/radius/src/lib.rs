//! RADIUS (RFC 2865, RFC 2866 and what came after), as RadSec carries it: the codec, framing, and both sides of a
//! connection as machines without sockets, clock, tasks or randomness.
//!
//! - [`header`]: the 20 octets every packet begins with.
//! - [`attribute`], [`build`]: what follows it, read and written. [`secret`], [`authenticator`], [`hidden`],
//!   [`challenge`]: what the shared secret and the passwords of users protect.
//! - [`raw`], [`stream`], [`datagram`]: packets as their octets, and how TLS, DTLS and UDP carry them.
//! - [`duplicate`]: requests that came before and their answers.
//! - [`ids`], [`retransmit`], [`watchdog`]: what the connecting side keeps of its requests and its peer.
//! - [`dictionary`]: the names of attributes and how their values are written.
//! - [`hop`], [`rewrite`], [`realm`]: what a proxy does with packets, and which user belongs where.
//! - [`pairs`], [`server`], [`client`]: which codes answer which, and both sides of a connection.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod attribute;
pub mod authenticator;
pub mod build;
pub mod challenge;
pub mod client;
pub mod datagram;
pub mod dictionary;
pub mod duplicate;
#[doc(hidden)]
pub mod fuzzing;
pub mod header;
pub mod hidden;
pub mod hop;
pub mod ids;
pub mod pairs;
pub mod raw;
pub mod realm;
pub mod retransmit;
pub mod rewrite;
pub mod secret;
pub mod server;
pub mod stream;
pub mod time;
pub mod watchdog;

pub use header::{Code, Header, HeaderError};
pub use pairs::Transport;
pub use raw::RawPacket;
pub use secret::Secret;
pub use time::Now;
