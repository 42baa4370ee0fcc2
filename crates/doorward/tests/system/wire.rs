//! TACACS+ octets made by hand, independent of the product's codec, over plain TCP or TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest, Md5};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::harness::Place;
use crate::psk_stream::PskStream;

pub(crate) const AUTHENTICATION: u8 = 1;
pub(crate) const AUTHORIZATION: u8 = 2;
pub(crate) const ACCOUNTING: u8 = 3;

/// A packet as it is on the wire, body in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub version: u8,
    pub kind: u8,
    pub seq: u8,
    pub flags: u8,
    pub session: u32,
    pub body: Vec<u8>,
}

impl Packet {
    pub(crate) fn new(kind: u8, session: u32, body: Vec<u8>) -> Self {
        Self {
            version: 0xc0,
            kind,
            seq: 1,
            flags: 0,
            session,
            body,
        }
    }

    pub(crate) fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn seq(mut self, seq: u8) -> Self {
        self.seq = seq;
        self
    }

    /// The octets, obfuscated with `secret` if there is one.
    pub(crate) fn octets(&self, secret: Option<&str>) -> Vec<u8> {
        let mut octets = vec![self.version, self.kind, self.seq, self.flags];
        octets.extend(self.session.to_be_bytes());
        octets.extend(u32::try_from(self.body.len()).unwrap().to_be_bytes());
        let mut body = self.body.clone();
        if let Some(secret) = secret {
            obfuscate(self.session, self.version, self.seq, secret, &mut body);
        }
        octets.extend(body);
        octets
    }
}

pub(crate) fn obfuscate(session: u32, version: u8, seq: u8, secret: &str, body: &mut [u8]) {
    let mut previous: Vec<u8> = Vec::new();
    for chunk in body.chunks_mut(16) {
        let mut hash = Md5::new();
        hash.update(session.to_be_bytes());
        hash.update(secret.as_bytes());
        hash.update([version, seq]);
        hash.update(&previous);
        previous = hash.finalize().to_vec();
        for (octet, pad) in chunk.iter_mut().zip(&previous) {
            *octet ^= pad;
        }
    }
}

/// START: action, privilege level, type and service as numbers.
pub(crate) fn start(numbers: [u8; 4], session: u32, user: &[u8], data: &[u8]) -> Packet {
    let mut body = numbers.to_vec();
    let fields = [user, b"tty1", b"192.0.2.7", data];
    body.extend(
        fields
            .iter()
            .map(|field| u8::try_from(field.len()).unwrap()),
    );
    fields.iter().for_each(|field| body.extend(*field));
    Packet::new(AUTHENTICATION, session, body)
}

/// START of a PAP login.
pub(crate) fn pap(session: u32, user: &str, password: &str) -> Packet {
    start([1, 1, 2, 1], session, user.as_bytes(), password.as_bytes()).version(0xc1)
}

/// START of an ASCII login.
pub(crate) fn ascii(session: u32, user: &str, data: &str) -> Packet {
    start([1, 1, 1, 1], session, user.as_bytes(), data.as_bytes())
}

/// CONTINUE with an answer.
pub(crate) fn answer(session: u32, seq: u8, text: &str) -> Packet {
    let mut body = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    body.extend([0, 0, 0]);
    body.extend(text.as_bytes());
    Packet::new(AUTHENTICATION, session, body).seq(seq)
}

fn arguments(mut body: Vec<u8>, user: &str, arguments: &[&str]) -> Vec<u8> {
    let fields = [user, "tty1", "192.0.2.7"];
    body.extend(
        fields
            .iter()
            .map(|field| u8::try_from(field.len()).unwrap()),
    );
    body.push(u8::try_from(arguments.len()).unwrap());
    body.extend(
        arguments
            .iter()
            .map(|argument| u8::try_from(argument.len()).unwrap()),
    );
    fields
        .iter()
        .for_each(|field| body.extend(field.as_bytes()));
    arguments
        .iter()
        .for_each(|argument| body.extend(argument.as_bytes()));
    body
}

/// Authorization REQUEST.
pub(crate) fn author(session: u32, user: &str, args: &[&str]) -> Packet {
    Packet::new(
        AUTHORIZATION,
        session,
        arguments(vec![6, 1, 1, 1], user, args),
    )
}

/// Accounting REQUEST.
pub(crate) fn acct(session: u32, flags: u8, user: &str, args: &[&str]) -> Packet {
    Packet::new(
        ACCOUNTING,
        session,
        arguments(vec![flags, 6, 1, 1, 1], user, args),
    )
}

/// One connection.
pub(crate) struct Peer {
    stream: Stream,
    secret: Option<String>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Psk(Box<PskStream>),
}

impl Peer {
    /// Without TLS, with the demo's secret.
    pub(crate) fn plain(address: SocketAddr, place: &Place) -> Self {
        Self {
            stream: Stream::Plain(tcp(address)),
            secret: Some(place.text("old-sw7.secret")),
        }
    }

    /// Without TLS, from another address of the loopback network and with a secret of choice.
    pub(crate) fn plain_from(from: SocketAddr, address: SocketAddr, secret: &str) -> Self {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(from),
            socket2::Type::STREAM,
            None,
        )
        .unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self {
            stream: Stream::Plain(stream),
            secret: Some(secret.to_owned()),
        }
    }

    /// With TLS and the certificate of a device of the demo; every packet sent gets the unencrypted flag.
    pub(crate) fn tls(address: SocketAddr, place: &Place, device: &str) -> std::io::Result<Self> {
        Self::tls_with(address, client_config(place, Some(device)))
    }

    /// The same with a configuration that may remember tickets.
    pub(crate) fn tls_with(
        address: SocketAddr,
        config: Arc<ClientConfig>,
    ) -> std::io::Result<Self> {
        let connection =
            ClientConnection::new(config, ServerName::try_from("aaa1.doorward.test").unwrap());
        let mut stream = StreamOwned::new(connection.unwrap(), tcp(address));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self {
            stream: Stream::Tls(Box::new(stream)),
            secret: None,
        })
    }

    /// With TLS and a pre-shared key.
    pub(crate) fn psk(address: SocketAddr, identity: &str, key: &str) -> std::io::Result<Self> {
        let stream = PskStream::connect(address, identity, key)?;
        Ok(Self {
            stream: Stream::Psk(Box::new(stream)),
            secret: None,
        })
    }

    /// How the TLS handshake went.
    pub(crate) fn kind(&self) -> rustls::HandshakeKind {
        match &self.stream {
            Stream::Plain(_) | Stream::Psk(_) => panic!("rustls made none"),
            Stream::Tls(stream) => stream.conn.handshake_kind().unwrap(),
        }
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> std::io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(octets),
            Stream::Tls(stream) => {
                stream.write_all(octets)?;
                stream.flush()
            }
            Stream::Psk(stream) => {
                stream.write_all(octets)?;
                stream.flush()
            }
        }
    }

    /// Sends a packet as this connection has to: flag and obfuscation.
    pub(crate) fn send(&mut self, packet: Packet) {
        let octets = self.octets(packet);
        self.write(&octets).unwrap();
    }

    /// The octets [`send`](Self::send) would send.
    pub(crate) fn octets(&self, mut packet: Packet) -> Vec<u8> {
        if self.secret.is_none() {
            packet.flags |= 1;
        }
        packet.octets(self.secret.as_deref())
    }

    fn read_exact(&mut self, octets: &mut [u8]) -> std::io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.read_exact(octets),
            Stream::Tls(stream) => stream.read_exact(octets),
            Stream::Psk(stream) => stream.read_exact(octets),
        }
    }

    /// The next packet, body in clear.
    pub(crate) fn receive(&mut self) -> std::io::Result<Packet> {
        let mut header = [0; 12];
        self.read_exact(&mut header)?;
        let session = u32::from_be_bytes(header[4..8].try_into().unwrap());
        let length = u32::from_be_bytes(header[8..12].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.read_exact(&mut body)?;
        if let Some(secret) = &self.secret {
            obfuscate(session, header[0], header[2], secret, &mut body);
        }
        Ok(Packet {
            version: header[0],
            kind: header[1],
            seq: header[2],
            flags: header[3],
            session,
            body,
        })
    }

    /// Sends and receives.
    pub(crate) fn ask(&mut self, packet: Packet) -> Packet {
        self.send(packet);
        self.receive().unwrap()
    }

    /// Whether the server has closed: everything up to its FIN (or reset).
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        _ = match &mut self.stream {
            Stream::Plain(stream) => stream.read_to_end(&mut rest),
            Stream::Tls(stream) => stream.read_to_end(&mut rest),
            Stream::Psk(stream) => stream.read_to_end(&mut rest),
        };
        rest
    }
}

/// A TCP connection on which nothing waits for ever.
pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A rustls client of the demo's CA.
pub(crate) fn client_config(place: &Place, device: Option<&str>) -> Arc<ClientConfig> {
    client_config_with(place, device, rustls::DEFAULT_VERSIONS)
}

/// The same that speaks these versions.
pub(crate) fn client_config_with(
    place: &Place,
    device: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(place.path("ca.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match device {
        None => builder.with_no_client_auth(),
        Some(device) => {
            let chain = CertificateDer::pem_file_iter(place.path(&format!("{device}.pem")))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let key = PrivateKeyDer::from_pem_file(place.path(&format!("{device}.key"))).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}
