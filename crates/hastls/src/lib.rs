//! HASTLS (draft-hoffman-server-has-tls-01): a DNS record in which the owner of a host says, port by port, whether a service is
//! offered without TLS, with it, or both;
//! here as octets and as text. No sockets, no resolver, no clock.
//!
//! - [`pair`], [`record`]: the content, on the wire and checked. [`text`]: the same in zone files, in the draft's form and in that
//!   of RFC 3597. [`rrtype`]: its number, which was never assigned.
//!
//! ```
//! use doorward_hastls::Record;
//!
//! // A host with TACACS+ by TLS alone and RADIUS both ways.
//! let record: Record = "(0 300 1812 2083)".parse()?;
//! assert_eq!(record.encode()?, [0, 0, 1, 44, 7, 20, 8, 35]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod pair;
pub mod record;
pub mod rrtype;
pub mod text;

pub use pair::{PortPair, Server};
pub use record::{Record, RecordError};
pub use rrtype::RecordType;
pub use text::{TextError, ZoneLine};
