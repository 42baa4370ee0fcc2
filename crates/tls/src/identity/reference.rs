//! Which server a client wanted: the reference identity of RFC 9525.

use std::fmt;
use std::net::IpAddr;

use super::{PeerIdentity, dns};

/// The one identity a server's certificate has to carry. URI-IDs and the CN never count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReferenceIdentity {
    /// A DNS-ID: a dNSName, whose left-most label may be `*` in the certificate.
    Dns(String),
    /// An IP-ID: an iPAddress, octet by octet.
    Ip(IpAddr),
    /// An SRV-ID such as `_tacacss.example.net` (RFC 4985).
    Srv(String),
    /// A NAIRealm such as `example.org` (RFC 7585 section 2.2), whose left-most label may be `*` in the certificate. A
    /// dNSName of the same text does not count.
    Realm(String),
    /// A server that DNSSEC-proved answers name for a realm (RFC 7585 section 2.2): a NAIRealm of it, or the host's dNSName.
    Found {
        /// The realm, as in [`ReferenceIdentity::Realm`].
        realm: String,
        /// The host, as in [`ReferenceIdentity::Dns`].
        host: String,
    },
}

/// The text is no reference identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceError;

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this is neither a DNS name, an IP address nor an SRV-ID such as _tacacss.example.net",
        )
    }
}

impl std::error::Error for ReferenceError {}

impl ReferenceIdentity {
    /// Reads a name, an address, or `_service.name`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(address.to_canonical()));
        }
        let name = text.to_ascii_lowercase();
        if !dns::usable(&name) || name.contains('*') {
            return Err(ReferenceError);
        }
        match name.strip_prefix('_') {
            Some(service) if dns::parent(service).is_some() => Ok(Self::Srv(name)),
            Some(_) => Err(ReferenceError),
            None => Ok(Self::Dns(name)),
        }
    }

    /// A realm, as a server that is tied to one has to prove it.
    ///
    /// # Errors
    /// It does not have the form of a DNS name in A-labels, or has a wildcard.
    pub fn realm(text: &str) -> Result<Self, ReferenceError> {
        let realm = text.to_ascii_lowercase();
        if !dns::usable(&realm) || realm.contains('*') {
            return Err(ReferenceError);
        }
        Ok(Self::Realm(realm))
    }

    /// A server of a realm, found by answers that DNSSEC has proved: its host's name is as good as the realm.
    ///
    /// # Errors
    /// Either does not have the form of a DNS name in A-labels, or has a wildcard.
    pub fn found(realm: &str, host: &str) -> Result<Self, ReferenceError> {
        match (Self::realm(realm)?, Self::parse(host)?) {
            (Self::Realm(realm), Self::Dns(host)) => Ok(Self::Found { realm, host }),
            _ => Err(ReferenceError),
        }
    }

    /// Does a server's certificate carry this identity (RFC 9525 section 6)?
    pub fn matches(&self, identity: &PeerIdentity) -> bool {
        let has = |presented: &[String], name: &str| {
            let mut presented = presented.iter();
            presented.any(|one| dns::presented_matches(one, name))
        };
        match self {
            Self::Dns(name) => has(&identity.dns, &name.to_ascii_lowercase()),
            Self::Ip(address) => identity.ip.contains(&address.to_canonical()),
            Self::Srv(name) => identity
                .srv
                .iter()
                .any(|presented| presented.eq_ignore_ascii_case(name)),
            Self::Realm(realm) => has(&identity.realms, realm),
            Self::Found { realm, host } => has(&identity.realms, realm) || has(&identity.dns, host),
        }
    }

    /// The DNS name in it, for server_name.
    pub fn host_name(&self) -> Option<&str> {
        match self {
            Self::Dns(name) | Self::Found { host: name, .. } => Some(name),
            Self::Srv(name) => dns::parent(name),
            Self::Ip(_) | Self::Realm(_) => None,
        }
    }
}

impl fmt::Display for ReferenceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Srv(name) | Self::Realm(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
            Self::Found { realm, host } => write!(f, "{host} or the realm {realm}"),
        }
    }
}
