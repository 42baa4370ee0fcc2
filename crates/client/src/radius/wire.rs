//! What carries the packets of one connection: octets in, octets out.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use doorward_radius::RawPacket;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::dtls::Dtls;
use super::{Carriage, Server};
use crate::error::TransportError;
use crate::outcome::TlsFacts;
use crate::server::ServerAddress;
use crate::transport::{self, Read, TlsStream, Unconnected};

/// The largest packet (RFC 2865 section 3), and an octet more that shows a longer one.
const DATAGRAM: usize = 4097;

pub(super) enum Wire {
    Tls(Box<TlsStream>),
    Dtls(Box<Dtls>),
    Udp(Udp),
}

/// A socket, and what it has not taken yet.
pub(super) struct Udp {
    socket: UdpSocket,
    out: VecDeque<Arc<RawPacket>>,
    /// Addresses of the server that were not tried yet, and what was sent to the one before them; of no use any more once
    /// something has come.
    others: VecDeque<SocketAddr>,
    sent: Vec<Arc<RawPacket>>,
}

impl Wire {
    /// Connects to a server at this address.
    pub(super) async fn connect(
        server: &Server,
        address: &ServerAddress,
    ) -> Result<Self, Unconnected> {
        let patience = server.connect_timeout;
        Ok(match &server.carriage {
            Carriage::Tls(tls) => {
                let stream = TlsStream::connect(address, tls, patience).await?;
                Self::Tls(Box::new(stream))
            }
            Carriage::Dtls(tls) => {
                let association = Dtls::connect(address, tls, patience).await?;
                Self::Dtls(Box::new(association))
            }
            Carriage::Udp(_) => {
                let bound = timeout(patience, Udp::bind(address)).await;
                Self::Udp(bound.unwrap_or(Err(TransportError::ConnectTimeout))?)
            }
        })
    }

    /// What the handshake settled, where there was one.
    pub(super) fn facts(&self) -> Option<TlsFacts> {
        match self {
            Self::Tls(stream) => stream.facts(),
            Self::Dtls(association) => association.facts(),
            Self::Udp(_) => None,
        }
    }

    /// Whether whoever is on the way can neither read nor change anything.
    pub(super) fn is_protected(&self) -> bool {
        match self {
            Self::Tls(_) | Self::Dtls(_) => true,
            Self::Udp(_) => false,
        }
    }

    /// Its keys are worn and cannot be changed.
    pub(super) fn wants_renewal(&self) -> bool {
        match self {
            Self::Tls(stream) => stream.wants_renewal(),
            Self::Dtls(association) => association.wants_renewal(),
            Self::Udp(_) => false,
        }
    }

    /// Takes a packet for the next read, which sends it: as a record, or as a datagram.
    pub(super) fn queue(&mut self, packet: Arc<RawPacket>) -> Result<(), TransportError> {
        match self {
            Self::Tls(stream) => stream.queue(packet.octets()),
            Self::Dtls(association) => association.queue(packet.octets()),
            Self::Udp(udp) => {
                udp.out.push_back(packet);
                Ok(())
            }
        }
    }

    /// Sends what is queued and waits for octets; over DTLS and UDP it gives one packet at a time. Nothing is lost if it is dropped meanwhile.
    pub(super) async fn read(&mut self, into: &mut Vec<u8>) -> Result<Read, TransportError> {
        match self {
            Self::Tls(stream) => stream.read(into).await,
            Self::Dtls(association) => association.read(into).await,
            Self::Udp(udp) => udp.read(into).await.map_err(TransportError::Io),
        }
    }
}

impl Udp {
    /// A socket of its own for each connection: its port tells the answers apart.
    async fn bind(address: &ServerAddress) -> Result<Self, TransportError> {
        let found = transport::addresses(address).await?;
        let mut others = VecDeque::from(found);
        let socket = connect_first(&mut others).await;
        Ok(Self {
            socket: socket.map_err(TransportError::Connect)?,
            out: VecDeque::new(),
            others,
            sent: Vec::new(),
        })
    }

    async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<Read> {
        loop {
            match self.turn(into).await {
                // Nobody is there: another address may do better.
                Err(error) if !self.others.is_empty() => {
                    tracing::debug!(%error, "the next address of the server is tried");
                    self.socket = connect_first(&mut self.others).await?;
                    self.out = std::mem::take(&mut self.sent).into();
                }
                turned => {
                    if turned? {
                        self.others.clear();
                        self.sent.clear();
                        return Ok(Read::Data);
                    }
                }
            }
        }
    }

    /// Waits for the socket; true if it gave something.
    async fn turn(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        let mut interest = Interest::READABLE;
        if !self.out.is_empty() {
            interest |= Interest::WRITABLE;
        }
        let ready = self.socket.ready(interest).await?;
        if ready.is_writable()
            && let Some(packet) = self.out.front()
        {
            match self.socket.try_send(packet.octets()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    let packet = self.out.pop_front();
                    self.sent.extend(packet.filter(|_| !self.others.is_empty()));
                }
            }
        }
        if ready.is_readable() {
            into.resize(DATAGRAM, 0);
            match self.socket.try_recv(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => into.clear(),
                Err(error) => return Err(error),
                Ok(count) => {
                    into.truncate(count);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A socket for the first address that has a way to it; those that were tried are taken out.
async fn connect_first(addresses: &mut VecDeque<SocketAddr>) -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    while let Some(address) = addresses.pop_front() {
        match connected(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A new socket that speaks with this address alone.
pub(super) async fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}
