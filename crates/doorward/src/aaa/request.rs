//! What a request says once its protocol is forgotten.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::AuthenticationType;
use crate::policy::{Protocol, Transport};

/// The device at the other end of a connection, as the handshake or its address established it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The device's name in the configuration.
    pub device: Arc<str>,
    /// Where it connects from.
    pub address: SocketAddr,
    /// What it speaks.
    pub protocol: Protocol,
    /// Through what.
    pub transport: Transport,
    /// Its certificate's identity, or the pin of its raw public key.
    pub identity: Option<Arc<doorward_tls::PeerIdentity>>,
    /// The identity of its pre-shared key, escaped as logs show it.
    pub psk_identity: Option<Arc<str>>,
    /// The listener, as `protocol address`.
    pub listener: Arc<str>,
}

/// The person at the device, as the device describes them. Text that was not printable arrives escaped.
#[derive(Clone, Debug)]
pub struct Who {
    /// User name.
    pub user: String,
    /// The device's port (line).
    pub port: String,
    /// Where the person is, as the device says.
    pub remote_address: String,
    /// How they authenticate or did.
    pub auth: AuthenticationType,
    /// The privilege level they log in at, or want.
    pub privilege_level: u8,
    /// The service they log in for, by the name authorization has for it.
    pub service: Option<&'static str>,
    /// What they ask for, in words: `login`, `enable 15`, `password change`.
    pub request: std::borrow::Cow<'static, str>,
}

impl Who {
    /// The same, borrowed.
    pub fn person(&self) -> Person<'_> {
        Person {
            user: &self.user,
            port: &self.port,
            remote_address: &self.remote_address,
        }
    }
}

/// [`Who`] without the authentication type, borrowed from a packet.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// User name.
    pub user: &'a str,
    /// The device's port (line).
    pub port: &'a str,
    /// Where the person is, as the device says.
    pub remote_address: &'a str,
}

/// `rem_addr`, where it is an address: free text by RFC 8907 section 5.1.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// A name and a proof to be judged.
#[derive(Debug)]
pub struct Login {
    /// The name as typed.
    pub user: String,
    /// What the user has to show.
    pub proof: Proof,
    /// The person.
    pub who: Who,
}

/// How users show who they are.
#[derive(Debug)]
pub enum Proof {
    /// The password.
    Password(Password),
    /// The password for the privilege level that [`Who`] names.
    Enable {
        /// What was typed.
        password: Password,
        /// The name is that of the level, and of no user.
        anonymous: bool,
    },
    /// The answer to a challenge: the `data` of the START, and the name in its octets, which the answer may cover.
    Response {
        /// CHAP or MS-CHAP.
        method: doorward_tacacs::ChallengeMethod,
        /// Challenge and answer.
        data: Vec<u8>,
        /// The name as sent.
        name: Vec<u8>,
    },
    /// The old password, for the new one.
    Change {
        /// The password so far.
        old: Password,
        /// The one from now on.
        new: Password,
    },
}

/// Octets of a password: never printed, wiped on drop.
pub struct Password(pub Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}
