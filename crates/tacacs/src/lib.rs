//! TACACS+ (RFC 8907, and over TLS RFC 9887) without sockets, clock or tasks.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod accounting;
pub mod argument;
pub mod authentication;
pub mod authorization;
pub mod client;
pub mod header;
pub mod obfuscation;
mod protection;
mod registry;
mod secret;
pub mod server;
mod time;
mod wire;

pub use argument::{Argument, ArgumentError, ArgumentList, Arguments, Separator};
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
