//! HASTLS (draft-hoffman-server-has-tls-01): a DNS record in which the owner of a host says, port by port, whether a service is
//! offered without TLS, with it, or both; and what a client may do about that. No sockets, no resolver, no clock.
//!
//! - [`pair`], [`record`]: the content, on the wire and checked. [`text`]: the same in zone files, in the draft's form and in that
//!   of RFC 3597. [`rrtype`]: its number, which was never assigned.
//! - [`answer`]: what the DNS said and how well it is proved; only a secure answer yields a [`Validated`] record.
//! - [`service`]: what a client looks for, and its policy. [`plan`]: what it may try, in order, or why it may not connect.
//!
//! What the draft leaves undefined changes nothing: a client goes on as if there were no record. For TACACS+ (RFC 9887 section
//! 5.1.1) and RadSec (draft-ietf-radext-radiusdtls-bis section 7.7) no record ever opens a way that the configuration closes.
//!
//! ```
//! use doorward_hastls::{Answer, Plan, Policy, Record, Security, Service, Validation, decide};
//!
//! // A host with TACACS+ by TLS alone and RADIUS both ways.
//! let record: Record = "(0 300 1812 2083)".parse()?;
//! let rdata = record.encode()?;
//! assert_eq!(rdata, [0, 0, 1, 44, 7, 20, 8, 35]);
//!
//! let answer = Answer::read(Validation::Secure, [&rdata]);
//! let Plan::Connect(route) = decide(&answer, Policy::SecureOnly, &Service::TACACS) else {
//!     panic!("it offers TLS");
//! };
//! assert_eq!((route.first().port.get(), route.first().security), (300, Security::Tls));
//! assert!(matches!(decide(&answer, Policy::InsecureOnly, &Service::TACACS), Plan::Refuse(_)));
//!
//! // The same octets prove nothing where DNSSEC did not.
//! let spoofed = Answer::read(Validation::Insecure, [&rdata]);
//! assert!(matches!(decide(&spoofed, Policy::InsecureOnly, &Service::TACACS), Plan::Connect(_)));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod answer;
#[doc(hidden)]
pub mod fuzzing;
pub mod pair;
pub mod plan;
pub mod record;
pub mod rrtype;
pub mod service;
pub mod text;

pub use answer::{Answer, Unusable, Validated, Validation};
pub use pair::{PortPair, Server};
pub use plan::{Attempt, Basis, Mode, Plan, Refusal, Route, Security, decide};
pub use record::{Record, RecordError};
pub use rrtype::RecordType;
pub use service::{Application, Policy, Service};
pub use text::{TextError, ZoneLine};
