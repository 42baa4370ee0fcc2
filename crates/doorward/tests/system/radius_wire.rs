//! A RadSec device made of rustls: it sees alerts, close_notify and FIN, and can come from any loopback address.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use doorward_radius::RawPacket;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use crate::harness::{Place, Server};
use crate::wire::{client_config, tcp};

/// How a connection came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// close_notify, and the FIN behind it.
    Orderly,
    /// An alert, by its name.
    Alert(String),
    /// FIN or RST without a word.
    Cut,
}

pub(crate) struct Device {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Device {
    /// The demo's core1.
    pub(crate) fn core1(place: &Place, server: &Server) -> Self {
        let config = client_config(place, Some("core1"));
        Self::connect(server.address("radius-tls"), "127.0.0.1", &config).unwrap()
    }

    /// From an address of the loopback network, with a configuration that may remember tickets.
    pub(crate) fn connect(
        server: SocketAddr,
        from: &str,
        config: &Arc<ClientConfig>,
    ) -> std::io::Result<Self> {
        let from: IpAddr = from.parse().unwrap();
        let name = ServerName::try_from("aaa1.doorward.test").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, tcp_from(from, server));
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock)? == (0, 0) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Self { stream })
    }

    pub(crate) fn kind(&self) -> HandshakeKind {
        self.stream.conn.handshake_kind().unwrap()
    }

    /// In one record, as far as one holds it.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.try_send(octets).unwrap();
    }

    pub(crate) fn try_send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(octets)?;
        self.stream.flush()
    }

    pub(crate) fn receive(&mut self) -> std::io::Result<RawPacket> {
        let mut packet = vec![0; 4];
        self.stream.read_exact(&mut packet)?;
        let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        packet.resize(length, 0);
        self.stream.read_exact(&mut packet[4..])?;
        Ok(RawPacket::new(packet).unwrap())
    }

    pub(crate) fn ask(&mut self, request: &[u8]) -> RawPacket {
        self.send(request);
        let answer = self.receive().unwrap();
        assert_eq!(answer.header().id, request[1]);
        answer
    }

    /// The end, before which no octet may come.
    pub(crate) fn end(&mut self) -> End {
        let mut octet = [0];
        match self.stream.read(&mut octet) {
            Ok(0) => {
                // What rustls calls an end is close_notify; the FIN has to follow.
                let after = self.stream.sock.read(&mut octet);
                assert!(matches!(after, Ok(0)), "{after:?}");
                End::Orderly
            }
            Ok(_) => panic!("an octet in place of the end"),
            Err(error) => end_of(&error),
        }
    }

    /// Says close_notify and FIN, without waiting.
    pub(crate) fn close(mut self) {
        self.stream.conn.send_close_notify();
        _ = self.stream.flush();
        _ = self.stream.sock.shutdown(Shutdown::Both);
    }
}

/// What an error of a connection says about its end.
pub(crate) fn end_of(error: &Error) -> End {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match (inner, error.kind()) {
        (Some(rustls::Error::AlertReceived(alert)), _) => End::Alert(format!("{alert:?}")),
        (
            _,
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe,
        ) => End::Cut,
        _ => panic!("neither an end nor an alert: {error:?}"),
    }
}

pub(crate) fn tcp_from(from: IpAddr, server: SocketAddr) -> TcpStream {
    if server.ip() == from {
        return tcp(server);
    }
    let domain = socket2::Domain::for_address(server);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream.set_write_timeout(patience).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
