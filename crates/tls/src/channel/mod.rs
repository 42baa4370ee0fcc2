//! The two roles, without a socket: octets in, octets out, plain data in between.

mod client;
mod engine;
pub(crate) mod openssl;
mod psk;
pub(crate) mod resumption;
mod server;
mod session;
pub(crate) mod ticket;
pub(crate) mod verifier;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::{HandshakeError, KeyPin, PeerIdentity, PskKey};

pub use client::ClientChannel;
pub use server::{ServerChannel, Versions, select};
pub use ticket::MAX_TICKET_LIFETIME;

/// Records that may pass over TLS 1.2 in either direction before a connection is to be renewed. Its keys cannot be changed,
/// and those of AES-GCM are good for 2^24 records, after which rustls seals nothing more. Half of them leave all the time
/// there can be for what is under way.
pub const TLS12_RECORDS: u64 = 1 << 23;

/// Decides inside the handshake which device a verified identity is. A refusal reaches the peer as access_denied (49).
pub trait Admission: Send + Sync {
    /// The device's name, or why there is none.
    fn admit(
        &self,
        identity: &PeerIdentity,
        peer: SocketAddr,
    ) -> Result<Arc<str>, AdmissionRefusal>;

    /// The same for a raw public key whose holder is about to prove that he has the other half.
    fn admit_key(&self, pin: &KeyPin, peer: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        let _ = (pin, peer);
        Err(AdmissionRefusal::UnknownKey)
    }

    /// The device of an identity of a pre-shared key, and that key. It is asked before the peer has proved that it
    /// holds the key; a refusal is not told to it.
    fn psk(&self, _identity: &[u8], _peer: SocketAddr) -> Result<PskDevice, AdmissionRefusal> {
        Err(AdmissionRefusal::UnknownKey)
    }

    /// How clients may prove who they are here.
    fn methods(&self) -> Methods {
        Methods::default()
    }
}

/// How clients may prove who they are (`auth` of a listener).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods {
    /// By a certificate.
    pub certificate: bool,
    /// By an external pre-shared key.
    pub psk: bool,
    /// By a raw public key (RFC 7250).
    pub raw_public_key: bool,
}

impl Default for Methods {
    /// By a certificate.
    fn default() -> Self {
        Self {
            certificate: true,
            psk: false,
            raw_public_key: false,
        }
    }
}

/// Whose pre-shared key it is.
#[derive(Clone, Debug)]
pub struct PskDevice {
    /// The device's name.
    pub device: Arc<str>,
    /// Its key.
    pub key: Arc<PskKey>,
}

/// Why a peer with a good certificate or a known key is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdmissionRefusal {
    /// No device says it is this identity.
    UnknownDevice,
    /// No device has this raw public key, or this identity of a pre-shared key.
    UnknownKey,
    /// Two devices say they are this identity.
    Ambiguous {
        /// One of them.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
    },
    /// The device is known, but not at this address.
    WrongAddress {
        /// The device.
        device: Arc<str>,
    },
    /// The device is known, and is to come by DTLS alone.
    DatagramsOnly {
        /// The device.
        device: Arc<str>,
    },
    /// The device is known, but this listener does not serve it.
    WrongListener {
        /// The device.
        device: Arc<str>,
    },
}

impl AdmissionRefusal {
    /// A short name for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "unknown-device",
            Self::UnknownKey => "unknown-key",
            Self::Ambiguous { .. } => "ambiguous-device",
            Self::WrongAddress { .. } => "wrong-address",
            Self::DatagramsOnly { .. } => "datagrams-only",
            Self::WrongListener { .. } => "wrong-listener",
        }
    }
}

impl fmt::Display for AdmissionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDevice => f.write_str("the certificate belongs to no device"),
            Self::UnknownKey => f.write_str("the raw public key is pinned for no device"),
            Self::Ambiguous { first, second } => {
                write!(
                    f,
                    "the certificate belongs to device {first} and to device {second}"
                )
            }
            Self::WrongAddress { device } => {
                write!(f, "device {device} may not connect from this address")
            }
            Self::DatagramsOnly { device } => {
                write!(f, "device {device} has to come by DTLS (`dtls_required`)")
            }
            Self::WrongListener { device } => write!(f, "device {device} is not served here"),
        }
    }
}

/// How the peer proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By a certificate.
    Certificate,
    /// By a raw public key (RFC 7250).
    RawPublicKey,
    /// By an external pre-shared key.
    Psk,
}

impl Method {
    /// The name in JSON and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::RawPublicKey => "raw-public-key",
            Self::Psk => "psk",
        }
    }
}

/// What a completed handshake tells.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// How the peer proved who it is.
    pub method: Method,
    /// The device that [`Admission`] named; `None` on the connecting side.
    pub device: Option<Arc<str>>,
    /// Who the peer is: of a raw public key nothing but its pin as `fingerprint`, of a pre-shared key nothing at all.
    pub identity: Arc<PeerIdentity>,
    /// The identity of the pre-shared key, where that was the method.
    pub psk_identity: Option<Vec<u8>>,
    /// server_name of the hello, lower case.
    pub sni: Option<String>,
    /// The application protocol; TACACS+ has none.
    pub alpn: Option<Vec<u8>>,
    /// `1.3`; `1.2` only where a client's policy allows it.
    pub version: &'static str,
    /// The name of the cipher suite.
    pub suite: &'static str,
    /// The name of the key exchange group.
    pub group: &'static str,
    /// Resumed by a ticket.
    pub resumed: bool,
}

/// How far a handshake is.
#[derive(Clone, Copy, Debug)]
pub enum Handshake<'a> {
    /// More octets of the peer are needed (and ours may be waiting in `drain`).
    WantRead,
    /// Complete; plain data may flow.
    Done(&'a PeerInfo),
    /// It failed; drain (an alert may be there), then close.
    Failed(&'a HandshakeError),
}

/// Whether the peer may send more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainState {
    /// It may.
    Open,
    /// It sent close_notify.
    Closed,
}

#[cfg(test)]
mod confusion_tests;
#[cfg(test)]
mod datagram_tests;
#[cfg(test)]
mod hello_surgery;
#[cfg(test)]
mod own_tests;
#[cfg(test)]
mod psk_tests;
#[cfg(test)]
mod psk_world;
#[cfg(test)]
mod raw_key_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod resumption_tests;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls12_tests;
#[cfg(test)]
mod traffic_tests;
