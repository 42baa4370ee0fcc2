//! A connection to a syslog receiver, and the proof that the receiver read what was sent.
//!
//! ```text
//! we                                        receiver
//! messages ──────────────────────────────▶  reads
//! close_notify (TLS), then FIN ──────────▶  reads the end of the stream
//!                      ◀──────────────────  FIN: everything was read
//!                      ◀──────────────────  RST: something was not
//! ```
//!
//! Syslog has no acknowledgement, and TCP's says only that the receiver's kernel has the octets. But a system that closes
//! a socket with unread octets in it, or gets octets for one that is closed, answers with a reset (RFC 1122 section
//! 4.2.2.13, RFC 2525 section 2.17). So a stream that the receiver ends after us, without a reset, was read to its end.
//!
//! Some receivers shut a socket down before they close it when they stop; their reset then comes after an end that looks
//! right. That is why a second connection has to be taken and closed in order too: a receiver that stops takes none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_tls::{ClientChannel, Handshake, HandshakeError, PlainState};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::fault::Fault;
use crate::config::{HostPort, SyslogTls};

/// How long the OCSP responder of the receiver's certificate is waited for.
const STATUS: Duration = Duration::from_secs(3);
/// For the connection, over TLS with its handshake.
const CONNECT: Duration = Duration::from_secs(10);
/// Without progress for this long a connection is given up.
const STALL: Duration = Duration::from_secs(30);
/// For the receiver to close its side.
const CLOSE: Duration = Duration::from_secs(10);
/// Octets read at a time; a TLS record with its overhead fits in.
const CHUNK: usize = 17 * 1024;
/// Reads in one look at what the receiver says: one that never stops talking must not hold us up.
const READS: usize = 16;

/// A stream to the receiver.
pub(super) struct Wire {
    socket: Socket,
    tls: Option<Box<ClientChannel>>,
    out: Vec<u8>,
    chunk: Vec<u8>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Connects; the name is resolved anew each time, and every address is tried.
    pub(super) async fn connect(place: &HostPort, tls: Option<&SyslogTls>) -> Result<Self, Fault> {
        let end = Instant::now() + CONNECT;
        let addresses = resolve(place).await?;
        let mut fault = Fault::NoAddress(place.host.clone());
        for (tried, address) in addresses.iter().enumerate() {
            // An address that swallows packets must not eat the time of those after it.
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = end.saturating_duration_since(Instant::now()) / left;
            match timeout(share, Self::open(*address, tls)).await {
                Ok(Ok(wire)) => return Ok(wire),
                Ok(Err(error)) => fault = error,
                Err(_) => fault = Fault::ConnectTimeout(*address, share),
            }
        }
        Err(fault)
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self::new(Socket::Unix(stream), None)
    }

    fn new(socket: Socket, tls: Option<Box<ClientChannel>>) -> Self {
        Self {
            socket,
            tls,
            out: Vec::new(),
            chunk: vec![0; CHUNK],
        }
    }

    async fn open(address: SocketAddr, tls: Option<&SyslogTls>) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| Fault::Connect(address, error))?;
        let channel = tls.map(|tls| {
            Box::new(ClientChannel::new(
                Arc::clone(&tls.policy),
                tls.reference.clone(),
                tls.sni.as_deref(),
                address,
            ))
        });
        let mut this = Self::new(Socket::Tcp(stream), channel);
        this.handshake().await?;
        if let (Some(channel), Some(tls)) = (&mut this.tls, tls) {
            let judged = tls.responders.judge(channel, STATUS).await;
            judged.map_err(|error| Fault::Handshake(HandshakeError::Path(error)))?;
        }
        Ok(this)
    }

    async fn handshake(&mut self) -> Result<(), Fault> {
        loop {
            let Some(channel) = &mut self.tls else {
                return Ok(());
            };
            channel.drain(&mut self.out);
            let outcome = match channel.handshake() {
                Handshake::WantRead => None,
                Handshake::Done(_) => Some(Ok(())),
                Handshake::Failed(error) => Some(Err(Fault::Handshake(error.clone()))),
            };
            // Also after a failure: an alert may be waiting.
            let flushed = self.flush().await;
            match outcome {
                Some(outcome) => return outcome.and(flushed),
                None => flushed?,
            }
            self.socket.readable().await.map_err(Fault::Broken)?;
            self.take()?;
        }
    }

    /// Sends octets, after a look at what the receiver said meanwhile.
    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), Fault> {
        for _ in 0..READS {
            if !self.take()? {
                break;
            }
        }
        match &mut self.tls {
            Some(channel) => {
                channel.write_plain(octets).map_err(Fault::Channel)?;
                channel.drain(&mut self.out);
            }
            None => self.out.extend_from_slice(octets),
        }
        self.flush().await
    }

    /// Ends the stream in order. `Ok` = the receiver read everything.
    pub(super) async fn finish(mut self) -> Result<(), Fault> {
        if let Some(channel) = &mut self.tls {
            channel.close();
            channel.drain(&mut self.out);
        }
        self.flush().await?;
        // An end of theirs that comes before ours says nothing.
        while self.take()? {}
        self.socket.shutdown().await.map_err(Fault::Broken)?;
        timeout(CLOSE, self.closed())
            .await
            .unwrap_or(Err(Fault::NotClosed(CLOSE)))
    }

    /// Waits for the end of what the receiver sends.
    async fn closed(&mut self) -> Result<(), Fault> {
        loop {
            self.socket.readable().await.map_err(Fault::Broken)?;
            match self.take() {
                Ok(_) => {}
                Err(Fault::Closed) => return self.socket.ended_in_order(),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Takes what the receiver says, without waiting: `false` = nothing now. The end of the stream is [`Fault::Closed`].
    fn take(&mut self) -> Result<bool, Fault> {
        let count = match self.socket.try_read(&mut self.chunk) {
            Ok(0) => return Err(self.said().err().unwrap_or(Fault::Closed)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(self.said().err().unwrap_or(Fault::Broken(error))),
        };
        if let Some(channel) = &mut self.tls {
            channel.feed(self.chunk.get(..count).unwrap_or_default());
            channel.drain(&mut self.out);
        }
        self.said().map(|()| true)
    }

    /// What the receiver says over TLS means nothing, but an alert does. That it will say no more (close_notify) is left
    /// to the end of the stream.
    fn said(&mut self) -> Result<(), Fault> {
        let Some(channel) = &mut self.tls else {
            return Ok(());
        };
        match channel.handshake() {
            Handshake::Done(_) => {}
            // Its loop asks by itself.
            Handshake::WantRead | Handshake::Failed(_) => return Ok(()),
        }
        match channel.read_plain(&mut Vec::new()) {
            Ok(PlainState::Open | PlainState::Closed) => Ok(()),
            Err(error) => Err(Fault::Channel(error)),
        }
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        let mut sent = 0;
        while let Some(rest) = self.out.get(sent..).filter(|rest| !rest.is_empty()) {
            match timeout(STALL, self.socket.write(rest)).await {
                Ok(Ok(count)) => sent += count,
                Ok(Err(error)) => {
                    // An alert that came before the reset says more than the reset.
                    return Err(match self.take() {
                        Err(fault @ Fault::Channel(_)) => fault,
                        Ok(_) | Err(_) => Fault::Broken(error),
                    });
                }
                Err(_) => return Err(Fault::Stalled(STALL)),
            }
        }
        self.out.clear();
        Ok(())
    }
}

impl Socket {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    fn try_read(&self, chunk: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(chunk),
            Self::Unix(stream) => stream.try_read(chunk),
        }
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(octets).await,
            Self::Unix(stream) => stream.write(octets).await,
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown().await,
            Self::Unix(stream) => stream.shutdown().await,
        }
    }

    /// Whether our end was acknowledged before theirs came, and no reset came. Linux knows no peer any more then: the
    /// socket is in TIME_WAIT. Where their end came first, ours is still to be acknowledged.
    fn ended_in_order(&self) -> Result<(), Fault> {
        let (over, error) = match self {
            Self::Tcp(stream) => {
                let peer = stream.peer_addr();
                let over = peer.is_err_and(|error| error.kind() == io::ErrorKind::NotConnected);
                (over, stream.take_error())
            }
            // A local receiver that leaves something unread makes our read fail, which is seen before this.
            Self::Unix(stream) => (true, stream.take_error()),
        };
        match error {
            Ok(None) if over => Ok(()),
            Ok(None) => Err(Fault::Closed),
            Ok(Some(error)) | Err(error) => Err(Fault::Broken(error)),
        }
    }
}

/// The addresses of a host, one after another as the system prefers them.
pub(super) async fn resolve(place: &HostPort) -> Result<Vec<SocketAddr>, Fault> {
    let found = timeout(CONNECT, lookup_host((&*place.host, place.port)))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| Fault::Resolve(place.host.clone(), error))?;
    let found: Vec<SocketAddr> = found.collect();
    match found.is_empty() {
        true => Err(Fault::NoAddress(place.host.clone())),
        false => Ok(found),
    }
}
