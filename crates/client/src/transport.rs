//! One TCP connection, with or without TLS on it: plain data in, plain data out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_tls::{ClientChannel, Handshake, HandshakeError, PeerInfo, PlainState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use crate::error::AttemptError;
use crate::outcome::TlsFacts;
use crate::server::{Mode, Server, ServerAddress, Tls};

/// Octets read from the socket at a time; a TLS record with its overhead fits in.
const CHUNK: usize = 17 * 1024;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Something was appended.
    Data,
    /// The server will send no more.
    End,
}

pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Transport {
    /// Makes the connection; over TLS the handshake included, as far as the client can see its end.
    pub(crate) async fn connect(server: &Server) -> Result<Self, AttemptError> {
        let connected = timeout(server.connect_timeout, async {
            let (stream, peer) = dial(&server.address, server.connect_timeout).await?;
            // A request is one small write; waiting to fill a segment would only delay it.
            stream.set_nodelay(true).map_err(AttemptError::Connect)?;
            match &server.mode {
                Mode::Plain(_) => Ok(Self::Plain(stream)),
                Mode::Tls(tls) => Ok(Self::Tls(Box::new(
                    TlsStream::handshake(stream, peer, tls, server.connect_timeout / 3).await?,
                ))),
            }
        });
        connected.await.unwrap_or(Err(AttemptError::ConnectTimeout))
    }

    /// What the handshake settled.
    pub(crate) fn facts(&self) -> Option<TlsFacts> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => match tls.channel.handshake() {
                Handshake::Done(info) => Some(facts(info)),
                Handshake::WantRead | Handshake::Failed(_) => None,
            },
        }
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) -> Result<(), AttemptError> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await.map_err(AttemptError::Io),
            Self::Tls(tls) => {
                tls.channel
                    .write_plain(octets)
                    .map_err(AttemptError::Channel)?;
                tls.flush().await
            }
        }
    }

    /// Waits for plain data, and appends it.
    pub(crate) async fn read(&mut self, into: &mut Vec<u8>) -> Result<Read, AttemptError> {
        match self {
            Self::Plain(stream) => match stream.read_buf(into).await {
                Ok(0) => Ok(Read::End),
                Ok(_) => Ok(Read::Data),
                Err(error) => Err(AttemptError::Io(error)),
            },
            Self::Tls(tls) => tls.read(into).await,
        }
    }

    /// Whether a connection that lay idle can carry another request: the server neither closed nor said anything.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut chunk = [0; 1024];
        match self {
            Self::Plain(stream) => nothing_to_read(stream.try_read(&mut chunk)),
            Self::Tls(tls) => tls.is_quiet(&mut chunk),
        }
    }

    /// Says goodbye, without waiting for anybody.
    pub(crate) fn close(mut self) {
        if let Self::Tls(tls) = &mut self {
            tls.channel.close();
            tls.channel.drain(&mut tls.out);
            // If the socket does not take the close_notify now, the end of the stream has to do.
            _ = tls.stream.try_write(&tls.out);
        }
    }
}

/// Asks for the addresses of the server and takes the first that accepts.
async fn dial(
    address: &ServerAddress,
    patience: Duration,
) -> Result<(TcpStream, SocketAddr), AttemptError> {
    let found = lookup_host((address.host(), address.port()))
        .await
        .map_err(AttemptError::Resolve)?;
    let candidates: Vec<SocketAddr> = found.collect();
    let end = Instant::now() + patience;
    let mut last = AttemptError::Resolve(io::ErrorKind::NotFound.into());
    for (tried, candidate) in candidates.iter().enumerate() {
        // An address that swallows packets must not eat the time of those after it.
        let left = u32::try_from(candidates.len() - tried).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => return Ok((stream, *candidate)),
            Ok(Err(error)) => last = AttemptError::Connect(error),
            Err(_) => last = AttemptError::ConnectTimeout,
        }
    }
    Err(last)
}

fn nothing_to_read(read: io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn facts(info: &PeerInfo) -> TlsFacts {
    TlsFacts {
        version: info.version,
        suite: info.suite,
        group: info.group,
        resumed: info.resumed,
        auth: info.method.name(),
    }
}

pub(crate) struct TlsStream {
    stream: TcpStream,
    channel: ClientChannel,
    out: Vec<u8>,
}

impl TlsStream {
    /// Begins at once, and hands nothing over before the end of the handshake (RFC 9887 sections 3.2 and 5.1.2) and
    /// before the status of the server's certificate is known, or `patience` with its OCSP responder has run out.
    async fn handshake(
        stream: TcpStream,
        peer: SocketAddr,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Self, AttemptError> {
        let channel = ClientChannel::new(
            Arc::clone(&tls.policy),
            tls.reference.clone(),
            tls.sni.as_deref(),
            peer,
        );
        let mut this = Self {
            stream,
            channel,
            out: Vec::new(),
        };
        let mut chunk = vec![0; CHUNK];
        loop {
            this.flush().await?;
            match this.channel.handshake() {
                Handshake::Done(_) => {
                    let judged = tls.responders.judge(&mut this.channel, patience).await;
                    judged.map_err(|error| AttemptError::Handshake(HandshakeError::Path(error)))?;
                    return Ok(this);
                }
                Handshake::Failed(error) => return Err(AttemptError::Handshake(error.clone())),
                Handshake::WantRead => {}
            }
            match this.stream.read(&mut chunk).await {
                Ok(0) => return Err(AttemptError::Closed),
                Ok(count) => this.channel.feed(chunk.get(..count).unwrap_or_default()),
                Err(error) => return Err(AttemptError::Io(error)),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), AttemptError> {
        self.channel.drain(&mut self.out);
        if !self.out.is_empty() {
            self.stream
                .write_all(&self.out)
                .await
                .map_err(AttemptError::Io)?;
            self.out.clear();
        }
        Ok(())
    }

    async fn read(&mut self, into: &mut Vec<u8>) -> Result<Read, AttemptError> {
        let before = into.len();
        let mut chunk = vec![0; CHUNK];
        loop {
            let confirmed = self.channel.confirmed();
            let state = self.channel.read_plain(into);
            if into.len() > before {
                return Ok(Read::Data);
            }
            match state {
                Ok(PlainState::Open) => {}
                Ok(PlainState::Closed) if confirmed => return Ok(Read::End),
                Ok(PlainState::Closed) => return Err(AttemptError::RefusedAfterHandshake(None)),
                Err(error) => {
                    // An alert of ours may be waiting; the connection is lost in any case.
                    _ = self.flush().await;
                    return Err(if confirmed {
                        AttemptError::Channel(error)
                    } else {
                        AttemptError::RefusedAfterHandshake(Some(error))
                    });
                }
            }
            self.flush().await?;
            match self.stream.read(&mut chunk).await {
                Ok(0) if confirmed => return Ok(Read::End),
                Ok(0) => return Err(AttemptError::RefusedAfterHandshake(None)),
                Ok(count) => self.channel.feed(chunk.get(..count).unwrap_or_default()),
                Err(_) if !confirmed => return Err(AttemptError::RefusedAfterHandshake(None)),
                Err(error) => return Err(AttemptError::Io(error)),
            }
        }
    }

    fn is_quiet(&mut self, chunk: &mut [u8]) -> bool {
        let mut plain = Vec::new();
        // Bounded: a server that keeps sending into an idle connection loses it.
        for _ in 0..16 {
            let read = self.stream.try_read(chunk);
            let Ok(count) = read else {
                return nothing_to_read(read);
            };
            // Tickets and key updates are no reason to give a connection up.
            self.channel.feed(chunk.get(..count).unwrap_or_default());
            let open = self.channel.read_plain(&mut plain) == Ok(PlainState::Open);
            if count == 0 || !open || !plain.is_empty() {
                return false;
            }
        }
        false
    }
}
