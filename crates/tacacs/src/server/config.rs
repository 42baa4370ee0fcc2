//! What the owner of a connection decides before its first octet.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{Dialect, Protection};

/// The properties of a connection, from its listener and its device; one value serves any number of connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// TLS or obfuscation: never read from a packet.
    pub protection: Protection,
    /// Whether single-connect is granted to a client that asks for it (section 4.3).
    pub single_connection: bool,
    /// How long the peer may be silent while no reply is owed to it. `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// How long the first packet may take to arrive in full. `None`: as long as `idle_timeout`.
    pub first_packet_timeout: Option<Duration>,
    /// The longest body that is accepted, in octets. The longest legal request has 66,054.
    pub max_body: u32,
    /// How many sessions may be active at a time.
    pub max_sessions: usize,
    /// Which description of the protocol the peer follows.
    pub dialect: Dialect,
    /// Whether a packet is taken whose flag for clear text is wrong: set without TLS, clear with it. Each one is told by
    /// [`super::Event::WrongFlag`]. A body is never taken for clear text because of its flag, and replies have the right one.
    pub tolerate_wrong_flag: bool,
}

impl Config {
    /// The default length limit of a body: section 4.1 recommends 2^16.
    pub const DEFAULT_MAX_BODY: u32 = 65_536;

    /// The usual properties: single-connect, five minutes of silence, ten seconds for the first packet.
    pub fn new(protection: Protection) -> Self {
        Self {
            protection,
            single_connection: true,
            idle_timeout: Some(Duration::from_secs(300)),
            first_packet_timeout: Some(Duration::from_secs(10)),
            max_body: Self::DEFAULT_MAX_BODY,
            max_sessions: 1000,
            dialect: Dialect::Rfc8907,
            tolerate_wrong_flag: false,
        }
    }

    /// [`Config::new`] for a connection with this one secret.
    pub fn obfuscated(secret: crate::Secret) -> Self {
        Self::new(Protection::Obfuscated(Vec::from([secret])))
    }
}
