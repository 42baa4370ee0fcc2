//! Which servers there are, and how they are spoken to.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_tacacs::{Dialect, Secret};
use doorward_tls::hello::OwnHellos;
use doorward_tls::{ClientPolicy, ReferenceIdentity};

use crate::hastls::Hastls;
use crate::responder::Responders;

/// One server: where it is, how the connection is protected, how long to wait for it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is.
    pub address: ServerAddress,
    /// How the connection is protected. It never changes into another mode.
    pub mode: Mode,
    /// How long making the connection may take: the name, TCP and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How long the server may keep one request waiting, all replies of a login together. What the user takes to
    /// answer a prompt does not count.
    pub reply_timeout: Duration,
    /// How long a kept connection may lie idle before a new one is made instead.
    pub idle_timeout: Duration,
    /// Whether to ask for single-connect (RFC 8907 section 4.3), and keep the connection if the server agrees.
    pub single_connection: bool,
    /// Which description of the protocol the server follows.
    pub dialect: Dialect,
    /// Obey the HASTLS record of the server's host; `None` asks no DNS for it. A record can close the way to the server and choose its port, and
    /// never opens one without TLS.
    pub hastls: Option<Hastls>,
}

impl Server {
    /// The shortest secret that is accepted (RFC 8907 section 10.5.1).
    pub const MIN_SECRET: usize = 16;

    /// A server over TLS, with the usual deadlines.
    pub fn tls(address: ServerAddress, tls: Tls) -> Self {
        Self::new(address, Mode::Tls(tls))
    }

    /// A server on port 49 with obfuscation. A secret shorter than [`Server::MIN_SECRET`] is refused.
    pub fn plain(address: ServerAddress, secret: Secret) -> Result<Self, ServerError> {
        match secret.octets().len() {
            0 => Err(ServerError::NoSecret),
            length if length < Self::MIN_SECRET => Err(ServerError::ShortSecret),
            _ => Ok(Self::new(address, Mode::Plain(secret))),
        }
    }

    /// [`Server::plain`] for an old server whose secret cannot be made longer. Without any secret it is still refused.
    pub fn plain_with_short_secret(
        address: ServerAddress,
        secret: Secret,
    ) -> Result<Self, ServerError> {
        if secret.octets().is_empty() {
            return Err(ServerError::NoSecret);
        }
        Ok(Self::new(address, Mode::Plain(secret)))
    }

    fn new(address: ServerAddress, mode: Mode) -> Self {
        Self {
            address,
            mode,
            connect_timeout: Duration::from_secs(3),
            reply_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(240),
            single_connection: true,
            dialect: Dialect::Rfc8907,
            hastls: None,
        }
    }
}

/// Which connections a client may make at all: the one option of RFC 9887 section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transports {
    /// With TLS only. A server without it is refused before there is a connection, or a look-up of its name.
    TlsOnly,
    /// With TLS and without, each server as its [`Mode`] says.
    Any,
}

/// How a connection is protected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Mode {
    /// TLS 1.3 (RFC 9887).
    Tls(Tls),
    /// TCP with obfuscated bodies (RFC 8907 section 4.5).
    Plain(Secret),
}

/// What a connection over TLS needs.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Our certificate, whom we trust, suites and groups.
    pub policy: Arc<ClientPolicy>,
    /// Whom the server's certificate has to name (RFC 9887 section 3.4.2).
    pub reference: ReferenceIdentity,
    /// The server_name to send. It travels in clear; `None` sends none.
    pub sni: Option<String>,
    /// Through whom OCSP responders are asked about the server's certificate, where the policy's trust wants that. To be
    /// shared by all servers, so that a silent responder is waited for once.
    pub responders: Arc<Responders>,
    /// Where the listeners of the same endpoint look whether a connection comes from itself; `None` for who is no server.
    pub own_hellos: Option<Arc<OwnHellos>>,
}

impl Tls {
    /// Wants `reference`, and sends its DNS name, if it has one, as server_name.
    pub fn new(policy: Arc<ClientPolicy>, reference: ReferenceIdentity) -> Self {
        let sni = reference.host_name().map(str::to_owned);
        Self {
            policy,
            reference,
            sni,
            responders: Arc::default(),
            own_hellos: None,
        }
    }
}

/// Why a server is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerError {
    /// Obfuscation without a secret is none.
    NoSecret,
    /// The secret has less than [`Server::MIN_SECRET`] octets.
    ShortSecret,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecret => f.write_str("a server without TLS needs a secret"),
            Self::ShortSecret => {
                write!(
                    f,
                    "the secret has fewer than {} characters (RFC 8907 section 10.5.1)",
                    Server::MIN_SECRET
                )
            }
        }
    }
}

impl std::error::Error for ServerError {}

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// An address or a DNS name.
    host: String,
    port: u16,
    /// Where it is found already; else it is looked up for each connection.
    found: Vec<IpAddr>,
}

/// Why a text names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing before the port.
    NoHost,
    /// The port is no number from 1 to 65535, and no service that is known.
    Port,
    /// An IPv6 address without brackets: where would its port begin?
    Brackets,
    /// Neither an address nor a DNS name.
    Host,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHost => "there is no host",
            Self::Port => "the port is not a number from 1 to 65535, tacacss or tacacs",
            Self::Brackets => {
                "an IPv6 address stands in brackets: [2001:db8::1] or [2001:db8::1]:300"
            }
            Self::Host => "this is neither an IP address nor a DNS name",
        })
    }
}

impl std::error::Error for AddressError {}

impl ServerAddress {
    /// The port of TACACS+ over TLS (RFC 9887 section 7).
    pub const TLS_PORT: u16 = 300;
    /// The port of TACACS+ with obfuscation (RFC 8907 section 4).
    pub const PLAIN_PORT: u16 = 49;

    /// An address.
    pub fn from_ip(address: IpAddr, port: u16) -> Self {
        Self {
            host: address.to_string(),
            port,
            found: Vec::new(),
        }
    }

    /// The same at these addresses, which are tried in their order: nobody looks the name up any more.
    #[must_use]
    pub fn found_at(self, found: Vec<IpAddr>) -> Self {
        Self { found, ..self }
    }

    /// Reads `HOST` or `HOST:PORT`, where the host is a DNS name, an IPv4 address, or an IPv6 address in brackets. The port
    /// is a number, or the name of its service: `tacacss` (RFC 9887 section 7) or `tacacs`.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, AddressError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(AddressError::Brackets)?;
            let address: std::net::Ipv6Addr = host.parse().map_err(|_| AddressError::Host)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(port),
                None if rest.is_empty() => None,
                None => return Err(AddressError::Brackets),
            };
            (address.to_string(), port)
        } else {
            match text.split_once(':') {
                Some((_, port)) if port.contains(':') => return Err(AddressError::Brackets),
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (text.to_owned(), None),
            }
        };
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        if ReferenceIdentity::parse(&host).is_err() || host.starts_with('_') {
            return Err(AddressError::Host);
        }
        let port = match port {
            Some("tacacss") => Self::TLS_PORT,
            Some("tacacs") => Self::PLAIN_PORT,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(AddressError::Port)?,
            None => default_port,
        };
        Ok(Self {
            host,
            port,
            found: Vec::new(),
        })
    }

    /// The address or the name, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same host at another port.
    pub(crate) fn at_port(&self, port: u16) -> Self {
        Self {
            port,
            ..self.clone()
        }
    }

    /// Where it was found; empty where its name is to be looked up.
    pub fn found(&self) -> &[IpAddr] {
        &self.found
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let parse = |text| ServerAddress::parse(text, 300).map(|address| address.to_string());
        assert_eq!(
            parse("aaa1.example.net"),
            Ok("aaa1.example.net:300".to_owned())
        );
        assert_eq!(parse("192.0.2.1:49"), Ok("192.0.2.1:49".to_owned()));
        assert_eq!(
            parse("[2001:DB8:0::1]:4949"),
            Ok("[2001:db8::1]:4949".to_owned())
        );
        assert_eq!(parse("[::1]"), Ok("[::1]:300".to_owned()));
        assert_eq!(parse("aaa1:tacacss"), Ok("aaa1:300".to_owned()));
        assert_eq!(parse("[::1]:tacacs"), Ok("[::1]:49".to_owned()));
        assert_eq!(parse("aaa1:https"), Err(AddressError::Port));
        assert_eq!(parse("::1"), Err(AddressError::Brackets));
        assert_eq!(parse("[::1"), Err(AddressError::Brackets));
        assert_eq!(parse("[::1]49"), Err(AddressError::Brackets));
        assert_eq!(parse("[aaa1]:49"), Err(AddressError::Host));
        assert_eq!(parse(":49"), Err(AddressError::NoHost));
        assert_eq!(parse("aaa1:0"), Err(AddressError::Port));
        assert_eq!(parse("aaa1:65536"), Err(AddressError::Port));
        assert_eq!(parse("aaa1:"), Err(AddressError::Port));
        assert_eq!(parse("aaa 1"), Err(AddressError::Host));
    }

    /// proves: TAC-10.5.1-11
    #[test]
    fn a_secret_needs_sixteen_characters() {
        let address = || ServerAddress::from_ip([192, 0, 2, 1].into(), 49);
        let plain = |length| Server::plain(address(), Secret::new(vec![b'x'; length])).map(|_| ());
        assert_eq!(plain(0), Err(ServerError::NoSecret));
        assert_eq!(plain(15), Err(ServerError::ShortSecret));
        assert_eq!(plain(16), Ok(()));
        assert!(Server::plain_with_short_secret(address(), Secret::new(*b"short")).is_ok());
        assert!(Server::plain_with_short_secret(address(), Secret::new(*b"")).is_err());
    }

    #[test]
    fn debug_output_of_a_server_has_no_secret() {
        let address = ServerAddress::from_ip([192, 0, 2, 1].into(), 49);
        let server = Server::plain(address, Secret::new(*b"squeamish ossifrage")).unwrap();
        assert!(!format!("{server:?}").contains("ossifrage"));
    }
}
