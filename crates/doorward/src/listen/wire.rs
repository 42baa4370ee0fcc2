//! The socket of one connection, with what waits to be written; an association of DTLS has its share of a socket.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::SendFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dtls::Share;

/// Octets of a peer that are thrown away after our FIN, at most.
const DISCARDED: usize = 1 << 20;

/// The socket broke; there is nobody to tell.
pub(super) struct Gone;

/// What a read found.
pub(super) enum Input<'a> {
    /// These octets.
    Octets(&'a [u8]),
    /// Nothing now; the task is woken when there is something.
    Nothing,
    /// The peer's FIN.
    End,
}

/// What carries the octets.
enum Carrier {
    Stream(TcpStream),
    /// One datagram is read at a time, and what is written are records.
    Datagrams(Share),
}

/// A socket that never blocks.
pub(super) struct Wire {
    carrier: Carrier,
    /// What is to be written; whoever has something appends it.
    pub(super) out: Vec<u8>,
    written: usize,
    /// Since when the peer has taken nothing of `out`.
    stalled: Option<Instant>,
    /// How long it may do so.
    patience: Duration,
    discarded: usize,
    shut: bool,
}

impl Wire {
    pub(super) fn new(socket: TcpStream, patience: Duration) -> Self {
        Self::over(Carrier::Stream(socket), patience)
    }

    /// Of an association.
    pub(super) fn datagrams(share: Share) -> Self {
        Self::over(Carrier::Datagrams(share), Duration::ZERO)
    }

    /// Whether what one read gives was sent at once, and stands alone.
    pub(super) fn has_datagrams(&self) -> bool {
        matches!(self.carrier, Carrier::Datagrams(_))
    }

    fn over(carrier: Carrier, patience: Duration) -> Self {
        Self {
            carrier,
            out: Vec::new(),
            written: 0,
            stalled: None,
            patience,
            discarded: 0,
            shut: false,
        }
    }

    /// One read into `buffer`.
    pub(super) fn read<'a>(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &'a mut [u8],
    ) -> Result<Input<'a>, Gone> {
        let socket = match &mut self.carrier {
            Carrier::Stream(socket) => socket,
            Carrier::Datagrams(share) => {
                return Ok(match share.poll_read(cx, buffer) {
                    Poll::Ready(count) => Input::Octets(buffer.get(..count).unwrap_or_default()),
                    Poll::Pending => Input::Nothing,
                });
            }
        };
        let mut read = ReadBuf::new(buffer);
        match Pin::new(socket).poll_read(cx, &mut read) {
            Poll::Pending => return Ok(Input::Nothing),
            Poll::Ready(Err(_)) => return Err(Gone),
            Poll::Ready(Ok(())) => {}
        }
        let count = read.filled().len();
        match buffer.get(..count) {
            Some(octets) if count > 0 => Ok(Input::Octets(octets)),
            _ => Ok(Input::End),
        }
    }

    /// Writes what there is; false when the peer does not take it now.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Gone> {
        self.write_with(cx, SendFlags::empty())
    }

    fn write_with(&mut self, cx: &mut Context<'_>, flags: SendFlags) -> Result<bool, Gone> {
        let socket = match &self.carrier {
            Carrier::Stream(socket) => socket,
            Carrier::Datagrams(share) => {
                share.send(&self.out);
                self.out = Vec::new();
                return Ok(true);
            }
        };
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match send(socket, cx, rest, flags) {
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Ok(false);
                }
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.written += count;
                    self.stalled = None;
                }
                Poll::Ready(_) => return Err(Gone),
            }
        }
        self.written = 0;
        // An idle connection keeps no buffer.
        self.out = Vec::new();
        Ok(true)
    }

    /// When a peer that takes nothing is given up. No other timer runs then: the connection may owe replies that cannot even be
    /// made while the old ones are not gone.
    pub(super) fn given_up(&self) -> Option<Instant> {
        self.stalled.map(|since| since + self.patience)
    }

    /// Sends FIN once everything is written, and throws away what still comes, so that a reset does not overtake our last
    /// octets; true when the peer has closed too.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Result<bool, Gone> {
        // The FIN that follows carries the last octets with it: one segment less for a session with a connection of its own.
        if !self.write_with(cx, SendFlags::MORE)? {
            return Ok(false);
        }
        if !self.shut {
            let socket = match &mut self.carrier {
                Carrier::Stream(socket) => socket,
                // An association is over with its last record.
                Carrier::Datagrams(_) => return Ok(true),
            };
            match Pin::new(socket).poll_shutdown(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(_)) => return Err(Gone),
                Poll::Ready(Ok(())) => self.shut = true,
            }
        }
        while self.discarded <= DISCARDED {
            match self.read(cx, buffer)? {
                Input::Nothing => return Ok(false),
                Input::End => return Ok(true),
                Input::Octets(octets) => self.discarded += octets.len(),
            }
        }
        Err(Gone)
    }

    /// Has the socket reset rather than closed when it is dropped.
    pub(super) fn reset_on_drop(&self) {
        if let Carrier::Stream(socket) = &self.carrier {
            _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

/// One send that never blocks and never raises SIGPIPE.
fn send(
    socket: &TcpStream,
    cx: &mut Context<'_>,
    octets: &[u8],
    flags: SendFlags,
) -> Poll<std::io::Result<usize>> {
    loop {
        if socket.poll_write_ready(cx)?.is_pending() {
            return Poll::Pending;
        }
        let sent = socket.try_io(Interest::WRITABLE, || {
            Ok(rustix::net::send(
                socket,
                octets,
                flags | SendFlags::NOSIGNAL,
            )?)
        });
        match sent {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}
