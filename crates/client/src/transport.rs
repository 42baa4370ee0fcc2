//! One TCP connection, with or without TLS on it: plain data in, plain data out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_tls::{ClientChannel, Handshake, HandshakeError, PeerInfo, PlainState};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use crate::error::TransportError;
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

/// Why a connection over TLS was not made.
#[derive(Debug)]
pub(crate) struct Unconnected {
    pub(crate) error: TransportError,
    /// The server ended a handshake in which a ticket was offered. The tickets are forgotten: the next attempt is a full
    /// handshake, and may be made at once.
    pub(crate) resuming: bool,
}

impl From<TransportError> for Unconnected {
    fn from(error: TransportError) -> Self {
        Self {
            error,
            resuming: false,
        }
    }
}

impl From<Unconnected> for TransportError {
    fn from(unconnected: Unconnected) -> Self {
        unconnected.error
    }
}

pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Transport {
    /// Makes the connection; over TLS the handshake included, as far as the client can see its end.
    pub(crate) async fn connect(
        server: &Server,
        address: &ServerAddress,
    ) -> Result<Self, TransportError> {
        let patience = server.connect_timeout;
        match &server.mode {
            Mode::Tls(tls) => {
                let stream = TlsStream::connect(address, tls, patience).await?;
                Ok(Self::Tls(Box::new(stream)))
            }
            Mode::Plain(_) => {
                let dialled = timeout(patience, dial(address, patience)).await;
                let (stream, _) = dialled.unwrap_or(Err(TransportError::ConnectTimeout))?;
                Ok(Self::Plain(stream))
            }
        }
    }

    /// What the handshake settled.
    pub(crate) fn facts(&self) -> Option<TlsFacts> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => tls.facts(),
        }
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) -> Result<(), TransportError> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await.map_err(TransportError::Io),
            Self::Tls(tls) => tls.write(octets).await,
        }
    }

    /// Waits for plain data, and appends it.
    pub(crate) async fn read(&mut self, into: &mut Vec<u8>) -> Result<Read, TransportError> {
        match self {
            Self::Plain(stream) => match stream.read_buf(into).await {
                Ok(0) => Ok(Read::End),
                Ok(_) => Ok(Read::Data),
                Err(error) => Err(TransportError::Io(error)),
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
}

/// The addresses of a server, of which there is one at least.
pub(crate) async fn addresses(address: &ServerAddress) -> Result<Vec<SocketAddr>, TransportError> {
    if !address.found().is_empty() {
        let found = address.found().iter();
        return Ok(found.map(|ip| (*ip, address.port()).into()).collect());
    }
    let found = lookup_host((address.host(), address.port())).await;
    let found: Vec<SocketAddr> = found.map_err(TransportError::Resolve)?.collect();
    if found.is_empty() {
        return Err(TransportError::Resolve(io::ErrorKind::NotFound.into()));
    }
    Ok(found)
}

/// Takes the first address that accepts.
async fn dial(
    address: &ServerAddress,
    patience: Duration,
) -> Result<(TcpStream, SocketAddr), TransportError> {
    let candidates = addresses(address).await?;
    let end = Instant::now() + patience;
    let mut last = TransportError::ConnectTimeout;
    for (tried, candidate) in candidates.iter().enumerate() {
        // An address that swallows packets must not eat the time of those after it.
        let left = u32::try_from(candidates.len() - tried).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => {
                // A request is one small write; waiting to fill a segment would only delay it.
                stream.set_nodelay(true).map_err(TransportError::Connect)?;
                return Ok((stream, *candidate));
            }
            Ok(Err(error)) => last = TransportError::Connect(error),
            Err(_) => last = TransportError::ConnectTimeout,
        }
    }
    Err(last)
}

fn nothing_to_read(read: io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// What the handshake of a channel settled, for those who asked.
pub(crate) fn facts_of(channel: &ClientChannel, datagrams: bool) -> Option<TlsFacts> {
    match channel.handshake() {
        Handshake::Done(info) => Some(facts(info, datagrams)),
        Handshake::WantRead | Handshake::Failed(_) => None,
    }
}

fn facts(info: &PeerInfo, datagrams: bool) -> TlsFacts {
    TlsFacts {
        version: info.version,
        datagrams,
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
    /// Makes the connection, the handshake included as far as a client can see its end.
    pub(crate) async fn connect(
        address: &ServerAddress,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Self, Unconnected> {
        let connected = timeout(patience, async {
            let (stream, peer) = dial(address, patience).await?;
            Self::handshake(stream, peer, tls, patience / 3).await
        });
        connected
            .await
            .unwrap_or_else(|_| Err(TransportError::ConnectTimeout.into()))
    }

    /// Begins at once, and hands nothing over before the end of the handshake (RFC 9887 sections 3.2 and 5.1.2) and
    /// before the status of the server's certificate is known, or `patience` with its OCSP responder has run out.
    async fn handshake(
        stream: TcpStream,
        peer: SocketAddr,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Self, Unconnected> {
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
        this.channel.drain(&mut this.out);
        let own = tls.own_hellos.as_ref();
        let known = own.and_then(|own| own.hold(&this.out));
        let shaken = this.shake_hands().await;
        drop(known);
        if let Err(error) = shaken {
            let ended = matches!(
                &error,
                TransportError::Closed
                    | TransportError::Io(_)
                    | TransportError::Handshake(HandshakeError::PeerAlert(_))
            );
            let resuming = ended && this.channel.offered_resumption();
            return Err(Unconnected { error, resuming });
        }
        let judged = tls.responders.judge(&mut this.channel, patience).await;
        judged.map_err(|error| TransportError::Handshake(HandshakeError::Path(error)))?;
        Ok(this)
    }

    async fn shake_hands(&mut self) -> Result<(), TransportError> {
        let mut chunk = vec![0; CHUNK];
        loop {
            self.flush().await?;
            match self.channel.handshake() {
                Handshake::Done(_) => return Ok(()),
                Handshake::Failed(error) => return Err(TransportError::Handshake(error.clone())),
                Handshake::WantRead => {}
            }
            match self.stream.read(&mut chunk).await {
                Ok(0) => return Err(TransportError::Closed),
                Ok(count) => self.channel.feed(chunk.get(..count).unwrap_or_default()),
                Err(error) => return Err(TransportError::Io(error)),
            }
        }
    }

    /// What the handshake settled.
    pub(crate) fn facts(&self) -> Option<TlsFacts> {
        facts_of(&self.channel, false)
    }

    /// Takes plain data for the server, as a record of its own; [`Self::read`] sends it while it waits.
    pub(crate) fn queue(&mut self, octets: &[u8]) -> Result<(), TransportError> {
        let queued = self.channel.write_record(octets);
        queued.map_err(TransportError::Channel)
    }

    /// Sends plain data at once, in as few records as it takes.
    async fn write(&mut self, octets: &[u8]) -> Result<(), TransportError> {
        let written = self.channel.write_plain(octets);
        written.map_err(TransportError::Channel)?;
        self.flush().await
    }

    /// Whether the keys are worn and cannot be changed, which happens over TLS 1.2 alone: what is under way should be waited
    /// for, and the next request go over another connection.
    pub(crate) fn wants_renewal(&self) -> bool {
        self.channel.wants_renewal()
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        self.channel.drain(&mut self.out);
        while !self.out.is_empty() {
            let written = self.stream.write(&self.out).await;
            let written = written.map_err(TransportError::Io)?;
            self.out.drain(..written);
        }
        Ok(())
    }

    /// Sends what is queued and waits for plain data, which it appends. Nothing is lost if it is dropped meanwhile.
    pub(crate) async fn read(&mut self, into: &mut Vec<u8>) -> Result<Read, TransportError> {
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
                Ok(PlainState::Closed) => return Err(TransportError::RefusedAfterHandshake(None)),
                Err(error) => {
                    // An alert of ours may be waiting; the connection is lost in any case.
                    _ = self.flush().await;
                    return Err(if confirmed {
                        TransportError::Channel(error)
                    } else {
                        TransportError::RefusedAfterHandshake(Some(error))
                    });
                }
            }
            match self.turn(&mut chunk).await {
                Ok(None) => {}
                Ok(Some(0)) if confirmed => return Ok(Read::End),
                Ok(Some(0)) => return Err(TransportError::RefusedAfterHandshake(None)),
                Ok(Some(count)) => self.channel.feed(chunk.get(..count).unwrap_or_default()),
                Err(_) if !confirmed => return Err(TransportError::RefusedAfterHandshake(None)),
                Err(error) => return Err(TransportError::Io(error)),
            }
        }
    }

    /// Waits until the socket gives octets (how many; 0 is its end) or has taken some. A server that does not read must
    /// not keep us from reading.
    async fn turn(&mut self, chunk: &mut [u8]) -> io::Result<Option<usize>> {
        self.channel.drain(&mut self.out);
        let mut interest = Interest::READABLE;
        if !self.out.is_empty() {
            interest |= Interest::WRITABLE;
        }
        loop {
            let ready = self.stream.ready(interest).await?;
            let mut sent = false;
            if ready.is_writable() {
                match self.stream.try_write(&self.out) {
                    Ok(written) => {
                        self.out.drain(..written);
                        sent = true;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // What the server said before it went comes first.
                    Err(error) if !ready.is_readable() => return Err(error),
                    Err(_) => self.out.clear(),
                }
            }
            if ready.is_readable() {
                match self.stream.try_read(chunk) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read.map(Some),
                }
            }
            if sent {
                return Ok(None);
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

impl Drop for TlsStream {
    /// Says goodbye without waiting for anybody, however it ends: also where the server was found to be another one, or
    /// nobody waits for the connection any more.
    fn drop(&mut self) {
        self.channel.close();
        self.channel.drain(&mut self.out);
        // If the socket does not take the close_notify now, the end of the stream has to do.
        _ = self.stream.try_write(&self.out);
    }
}

#[cfg(test)]
mod tests;
