//! The secure channel of Doorward: TLS 1.3 with certificates on both sides or an external pre-shared key (RFC 9887),
//! without a socket.
//!
//! ```text
//! socket octets ─feed─▶ hello (our own ClientHello reader) ─▶ engine ─read_plain─▶ TACACS+
//!                                                              │ verifier
//!                                    trust (path, CRLs) ◀──────┤
//!                                    identity (who is it) ◀────┤
//!                                    Admission (which device) ◀┘
//! TACACS+ ─write_plain─▶ engine ─drain─▶ socket octets
//! ```
//!
//! Certificates go to rustls, pre-shared keys to OpenSSL, which `ffi` completes with the only `unsafe` there is.
//!
//! Everything here is synchronous and does no IO: the caller moves octets and watches the handshake deadline.
//! [`ServerChannel`] and [`ClientChannel`] are the two roles, [`ServerPolicy`] and [`ClientPolicy`] what all
//! connections of a listener or a pool share, [`Trust`] says which certificates are good, and
//! [`CertificateMatch`] which of the good ones belong to a device.
//!
//! Every [`HandshakeError`] and [`ChannelError`] is fatal: drain what is left (it may be an alert), then close.

#![deny(unsafe_code)]

mod algorithms;
mod channel;
mod clock;
mod datagram;
mod der;
mod error;
mod ffi;
#[doc(hidden)]
pub mod fuzzing;
pub mod hello;
mod hex;
mod identity;
mod key_log;
pub mod pem;
mod policy;
mod psk;
mod raw_key;
mod staple;
#[cfg(test)]
mod testing;
mod trust;

pub use channel::{
    Admission, AdmissionRefusal, ClientChannel, Handshake, MAX_TICKET_LIFETIME, Method, Methods,
    PeerInfo, PlainState, PskDevice, ServerChannel, TLS12_RECORDS, Versions, select,
};
pub use clock::Clock;
pub use datagram::{SAFE_DATAGRAM, datagrams, is_dtls};
pub use error::{ChannelError, HandshakeError, Incompatibility, PathError};
pub use identity::{
    CertificateMatch, ExtendedKeyUsages, Mark, MatchError, MatchField, MatchKind, MatchProblem,
    MatchSettings, PeerIdentity, ReferenceError, ReferenceIdentity, Validity,
};
pub use key_log::KeyLog;
pub use pem::{Der, PrivateKey};
pub use policy::{ClientPolicy, ClientSettings, PolicyError, ServerPolicy, ServerSettings};
pub use psk::{PskError, PskFailure, PskIdentity, PskKey};
pub use raw_key::{KeyPin, KeyPinError};
pub use staple::Stapling;
pub use trust::{
    CertificateStatus, CrlInfo, CrlProblem, Ocsp, Revocation, StatusError, StatusQuery, Trust,
    TrustError, TrustSettings, TrustWarning,
};
