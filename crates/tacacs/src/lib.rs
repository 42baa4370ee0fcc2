//! TACACS+ (RFC 8907), and over TLS (RFC 9887): the codec, and both sides of a connection as machines without sockets,
//! clock, tasks or randomness.
//!
//! ```text
//!   octets ──▶ receive ──▶ poll ──▶ Event + Ticket ──▶ (application) ──▶ answer ──▶ poll_transmit ──▶ octets
//! ```
//!
//! - [`header`], [`authentication`], [`authorization`], [`accounting`], [`argument`]: packets. Bodies borrow the octets
//!   they were decoded from; numbers that the RFC does not list survive decoding.
//! - [`dictionary`]: the arguments that the documents define, with their types.
//! - [`obfuscation`]: the pad of section 4.5. [`challenge`]: CHAP and MS-CHAP in the `data` of a START.
//! - [`server`]: [`ServerConnection`]. [`client`]: [`ClientConnection`].
//!
//! Nothing here returns an error that the caller has to turn into a closed connection: what is wrong with a peer
//! becomes events and replies, and the connection says by `close_reason` when it is over. Which trouble ends a
//! connection stands at the top of [`server`] and of [`client`]; in short: what makes the stream unreadable ends it at
//! once, a sign of different secrets or of a wrong mode ends it when the sessions that run are complete, and a mistake
//! in one session ends that session.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use doorward_tacacs::server::{Config, Event};
//! use doorward_tacacs::{AuthorizationStatus, Now, Protection, ServerConnection, authorization};
//!
//! let mut connection = ServerConnection::new(Arc::new(Config::new(Protection::Tls)), Now::default());
//! # let octets: &[u8] = b"\xc0\x02\x01\x01\0\0\0\x07\0\0\0\x08\x06\x01\x01\x01\0\0\0\0";
//! let now = Now(Duration::from_millis(3));
//! connection.receive(octets, now);
//! while let Some(event) = connection.poll() {
//!     if let Event::Authorization { ticket, request } = event {
//!         let permitted = request.user == b"alice";
//!         let status = if permitted { AuthorizationStatus::PASS_ADD } else { AuthorizationStatus::FAIL };
//!         let answer = ticket.with(authorization::Reply::new(status));
//!         connection.answer(answer, now)?;
//!     }
//! }
//! let mut out = Vec::new();
//! assert!(connection.poll_transmit(&mut out));
//! # assert_eq!(out.len(), 18);
//! # Ok::<(), doorward_tacacs::server::AnswerError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod accounting;
pub mod argument;
pub mod authentication;
pub mod authorization;
mod buffer;
pub mod challenge;
pub mod client;
pub mod dictionary;
#[doc(hidden)]
pub mod fuzzing;
pub mod header;
pub mod obfuscation;
mod protection;
mod registry;
mod secret;
pub mod server;
mod sessions;
mod time;
mod wire;

pub use argument::{Argument, ArgumentError, ArgumentList, Arguments, Separator};
pub use challenge::{ChallengeError, ChallengeMethod, ChallengeResponse};
pub use client::ClientConnection;
pub use header::{Flags, Header, SeqNo, SessionId, Version};
pub use protection::Protection;
pub use registry::{
    AccountingFlags, AccountingRecord, AccountingStatus, Action, AuthenticationMethod,
    AuthenticationService, AuthenticationStatus, AuthenticationType, AuthorizationStatus, Dialect,
    PacketType, PrivilegeLevel, Verdict,
};
pub use secret::Secret;
pub use server::ServerConnection;
pub use time::Now;
pub use wire::{DecodeError, EncodeError, Field, is_printable_ascii};
