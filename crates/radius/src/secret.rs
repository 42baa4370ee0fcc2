//! Shared secrets, the two static ones of RadSec among them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::Transport;

/// What authenticators are made with, and passwords hidden. Never shown, wiped with its last clone.
#[derive(Clone)]
pub struct Secret(Inner);

#[derive(Clone)]
enum Inner {
    Fixed(&'static [u8]),
    Own(Arc<Zeroizing<Vec<u8>>>),
}

impl Secret {
    /// The secret of RADIUS/TLS (RFC 6614bis section 3.1).
    pub const RADSEC: Self = Self(Inner::Fixed(b"radsec"));
    /// The secret of RADIUS/DTLS.
    pub const RADIUS_DTLS: Self = Self(Inner::Fixed(b"radius/dtls"));

    /// The secret of a device that speaks RADIUS/UDP.
    pub fn new(octets: &[u8]) -> Self {
        Self(Inner::Own(Arc::new(Zeroizing::new(octets.to_vec()))))
    }

    /// The secret that all RadSec connections have: it protects nothing, (D)TLS does. `None` over UDP, where each device
    /// has its own.
    pub fn of(transport: Transport) -> Option<Self> {
        match transport {
            Transport::Tls => Some(Self::RADSEC),
            Transport::Dtls => Some(Self::RADIUS_DTLS),
            Transport::Udp => None,
        }
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        match &self.0 {
            Inner::Fixed(octets) => octets,
            Inner::Own(octets) => octets,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn radsec_has_two_static_secrets() {
        let of = |transport| Secret::of(transport).map(|secret| secret.octets().to_vec());
        assert_eq!(of(Transport::Tls), Some(b"radsec".to_vec()));
        assert_eq!(of(Transport::Dtls), Some(b"radius/dtls".to_vec()));
        assert_eq!(of(Transport::Udp), None);
        assert_eq!(format!("{:?}", Secret::new(b"hunter2")), "Secret(..)");
    }
}
