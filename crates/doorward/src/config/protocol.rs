//! What listeners speak, and through what.

use crate::policy::Protocol;

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenerProtocol {
    /// TACACS+ over TLS 1.3 (RFC 9887).
    TacacsTls,
    /// TACACS+ with obfuscation (RFC 8907).
    Tacacs,
    /// RADIUS over TLS (RadSec).
    RadiusTls,
    /// RADIUS over DTLS (RadSec).
    RadiusDtls,
    /// RADIUS over UDP, with a secret of each device.
    RadiusUdp,
}

impl ListenerProtocol {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::TacacsTls,
        Self::Tacacs,
        Self::RadiusTls,
        Self::RadiusDtls,
        Self::RadiusUdp,
    ];

    /// That of a [`name`](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The name in the file, in the ready line and in `status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TacacsTls => "tacacs-tls",
            Self::Tacacs => "tacacs",
            Self::RadiusTls => "radius-tls",
            Self::RadiusDtls => "radius-dtls",
            Self::RadiusUdp => "radius-udp",
        }
    }

    /// What is spoken on its connections.
    pub fn speaks(self) -> Protocol {
        match self {
            Self::TacacsTls | Self::Tacacs => Protocol::Tacacs,
            Self::RadiusTls | Self::RadiusDtls | Self::RadiusUdp => Protocol::Radius,
        }
    }

    /// Whether it is protected by TLS or DTLS.
    pub fn is_tls(self) -> bool {
        match self {
            Self::TacacsTls | Self::RadiusTls | Self::RadiusDtls => true,
            Self::Tacacs | Self::RadiusUdp => false,
        }
    }

    /// Whether it has a socket of datagrams.
    pub fn is_udp(self) -> bool {
        match self {
            Self::RadiusDtls | Self::RadiusUdp => true,
            Self::TacacsTls | Self::Tacacs | Self::RadiusTls => false,
        }
    }

    /// The key of a device that holds its secret for this protocol; none where TLS protects it.
    pub fn secret_key(self) -> Option<&'static str> {
        match self {
            Self::TacacsTls | Self::RadiusTls | Self::RadiusDtls => None,
            Self::Tacacs => Some("tacacs_secret"),
            Self::RadiusUdp => Some("radius_secret"),
        }
    }

    /// The port it is known by.
    pub fn default_port(self) -> u16 {
        match self {
            Self::TacacsTls => 300,
            Self::Tacacs => 49,
            Self::RadiusTls | Self::RadiusDtls => 2083,
            Self::RadiusUdp => 1812,
        }
    }
}
