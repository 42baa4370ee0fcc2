//! How the bodies of a connection are protected: a property of the connection, never of a packet.

use alloc::vec::Vec;

use crate::{Flags, Secret};

/// TLS or obfuscation (section 4.5; RFC 9887 section 4).
#[derive(Clone, Debug)]
pub enum Protection {
    /// Inside TLS: bodies are clear, and every packet has the flag that says so.
    Tls,
    /// Bodies are obfuscated and the flag is clear. There are several secrets during a change of secret: the first with
    /// which the first packet makes sense serves the connection. Without any secret the connection closes at once.
    Obfuscated(Vec<Secret>),
}

impl Protection {
    /// The flag for clear text as this connection has it.
    pub fn flags(&self) -> Flags {
        match self {
            Self::Tls => Flags::UNENCRYPTED,
            Self::Obfuscated(_) => Flags::NONE,
        }
    }

    /// Whether bodies are to be obfuscated, and there is nothing to do it with.
    pub(crate) fn lacks_secret(&self) -> bool {
        matches!(self, Self::Obfuscated(secrets) if secrets.is_empty())
    }

    /// The secret that a client uses.
    pub(crate) fn first_secret(&self) -> Option<&Secret> {
        match self {
            Self::Tls => None,
            Self::Obfuscated(secrets) => secrets.first(),
        }
    }
}
