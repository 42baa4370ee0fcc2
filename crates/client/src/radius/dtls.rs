//! One association of DTLS on a socket of its own: packets in, packets out.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_tls::{ChannelError, ClientChannel, Handshake, HandshakeError, PlainState, datagrams};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

use super::wire::connected;
use crate::error::TransportError;
use crate::outcome::TlsFacts;
use crate::server::{ServerAddress, Tls};
use crate::transport::{self, Read};

/// The longest datagram there can be: several records may share one.
const LONGEST: usize = 65_536;

/// A connected socket: no other sender, and nothing but DTLS, ever has to do with it (RFC 6614bis sections 5.3 and 6.5.2).
pub(super) struct Dtls {
    socket: UdpSocket,
    channel: ClientChannel,
    /// What the channel gave last.
    records: Vec<u8>,
    /// Datagrams that the socket has not taken yet.
    out: VecDeque<Vec<u8>>,
    /// Packets that came and were not asked for yet.
    packets: VecDeque<Vec<u8>>,
    /// How it ended, behind them.
    ended: Option<Result<Read, ChannelError>>,
}

impl Dtls {
    /// Makes the association with the first address whose server proves itself; each may take its part of the time.
    pub(super) async fn connect(
        address: &ServerAddress,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Self, TransportError> {
        let end = Instant::now() + patience;
        let found = timeout(patience, transport::addresses(address)).await;
        let candidates = found.unwrap_or(Err(TransportError::ConnectTimeout))?;
        let mut last = TransportError::ConnectTimeout;
        for (tried, candidate) in candidates.iter().enumerate() {
            let left = u32::try_from(candidates.len() - tried).unwrap_or(u32::MAX);
            let share = end.saturating_duration_since(Instant::now()) / left;
            let made = timeout(share, Self::associate(*candidate, tls, share / 3)).await;
            match made.unwrap_or(Err(TransportError::ConnectTimeout)) {
                Ok(association) => return Ok(association),
                // Somebody is there, and no other address makes it somebody else.
                Err(error @ TransportError::Handshake(_)) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Hands nothing over before the status of the server's certificate is known, or `patience` with its OCSP responder
    /// has run out.
    async fn associate(
        peer: SocketAddr,
        tls: &Tls,
        patience: Duration,
    ) -> Result<Self, TransportError> {
        let socket = connected(peer).await.map_err(TransportError::Connect)?;
        let policy = Arc::clone(&tls.policy);
        let sni = tls.sni.as_deref();
        let channel = ClientChannel::datagrams(policy, tls.reference.clone(), sni, peer);
        let mut this = Self {
            socket,
            channel,
            records: Vec::new(),
            out: VecDeque::new(),
            packets: VecDeque::new(),
            ended: None,
        };
        this.divide();
        let own = tls.own_hellos.as_ref();
        let _known = own
            .zip(this.out.front())
            .and_then(|(own, hello)| own.hold(hello));
        this.shake_hands().await?;
        let judged = tls.responders.judge(&mut this.channel, patience).await;
        judged.map_err(|error| TransportError::Handshake(HandshakeError::Path(error)))?;
        Ok(this)
    }

    async fn shake_hands(&mut self) -> Result<(), TransportError> {
        let mut datagram = vec![0; LONGEST];
        loop {
            self.divide();
            while let Some(next) = self.out.pop_front() {
                let sent = self.socket.send(&next).await;
                sent.map_err(TransportError::Connect)?;
            }
            match self.channel.handshake() {
                Handshake::Done(_) => return Ok(()),
                Handshake::Failed(error) => return Err(TransportError::Handshake(error.clone())),
                Handshake::WantRead => {}
            }
            let due = self.channel.timeout();
            let timer = async {
                match due {
                    Some(due) => sleep(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = self.socket.recv(&mut datagram) => {
                    let count = received.map_err(TransportError::Connect)?;
                    self.channel.feed(datagram.get(..count).unwrap_or_default());
                }
                () = timer => self.channel.handle_timeout(),
            }
        }
    }

    pub(super) fn facts(&self) -> Option<TlsFacts> {
        transport::facts_of(&self.channel, true)
    }

    pub(super) fn wants_renewal(&self) -> bool {
        self.channel.wants_renewal()
    }

    /// Takes a packet for the server, as a record of its own; [`Self::read`] sends it while it waits.
    pub(super) fn queue(&mut self, packet: &[u8]) -> Result<(), TransportError> {
        let queued = self.channel.write_record(packet);
        queued.map_err(TransportError::Channel)?;
        self.divide();
        Ok(())
    }

    /// Sends what is queued and waits for a packet, which it appends. Nothing is lost if it is dropped meanwhile.
    pub(super) async fn read(&mut self, into: &mut Vec<u8>) -> Result<Read, TransportError> {
        loop {
            if let Some(packet) = self.packets.pop_front() {
                into.extend_from_slice(&packet);
                return Ok(Read::Data);
            }
            if let Some(ended) = self.ended {
                return ended.map_err(TransportError::Channel);
            }
            let mut interest = Interest::READABLE;
            if !self.out.is_empty() {
                interest |= Interest::WRITABLE;
            }
            let ready = self.socket.ready(interest).await;
            let ready = ready.map_err(TransportError::Io)?;
            if ready.is_writable() {
                self.send().map_err(TransportError::Io)?;
            }
            if ready.is_readable() {
                self.receive().map_err(TransportError::Io)?;
            }
        }
    }

    /// As many datagrams as the socket takes now.
    fn send(&mut self) -> io::Result<()> {
        while let Some(next) = self.out.front() {
            match self.socket.try_send(next) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
                Ok(_) => _ = self.out.pop_front(),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut datagram = vec![0; LONGEST];
        let count = match self.socket.try_recv(&mut datagram) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            received => received?,
        };
        self.channel.feed(datagram.get(..count).unwrap_or_default());
        let packets = &mut self.packets;
        let state = self
            .channel
            .read_records(&mut |record| packets.push_back(record.to_vec()));
        match state {
            Ok(PlainState::Open) => {}
            Ok(PlainState::Closed) => self.ended = Some(Ok(Read::End)),
            Err(error) => self.ended = Some(Err(error)),
        }
        // The last flight of the handshake, if the server has not seen it.
        self.divide();
        Ok(())
    }

    /// Divides what the channel has to say into datagrams.
    fn divide(&mut self) {
        self.records.clear();
        self.channel.drain(&mut self.records);
        self.out
            .extend(datagrams(&self.records).map(<[u8]>::to_vec));
    }
}

impl Drop for Dtls {
    /// Says goodbye without waiting for anybody, however it ends: also where the server was found to be another one, or
    /// nobody waits for the connection any more. Without it the server would keep the association until its own timer fires.
    fn drop(&mut self) {
        // Nobody waits any more for what has not left.
        self.out.clear();
        self.channel.close();
        self.divide();
        // What the socket does not take now, the server's own timers have to do.
        _ = self.send();
    }
}
