//! A syslog receiver: one connection after another, each ended in order before its records count as delivered.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::{UdpSocket, UnixDatagram, UnixStream};
use tokio::time::{sleep, timeout};

use super::fault::Fault;
use super::message::Origin;
use super::ticks::Tick;
use super::wire::{Wire, resolve};
use crate::accounting::reader::Stored;
use crate::config::{Syslog, SyslogTarget};

/// Octets gathered for one write.
const WRITE: usize = 64 * 1024;
/// Without progress for this long a local socket is given up.
const STALL: Duration = Duration::from_secs(30);
/// UDP has nothing that slows a sender down (RFC 5426 section 4.3): a backlog is sent at no more than this pace, which
/// leaves an ordinary receiver's buffer the time to be read.
const BURST: usize = 8;
const BREATH: Duration = Duration::from_millis(2);
/// A message that even a datagram of this size cannot carry is given up as unsendable.
const SMALLEST: usize = 480;

/// What is sent in one go.
#[derive(Clone, Copy)]
pub(super) enum Batch<'a> {
    Records(&'a [Stored]),
    Ticks(&'a [Tick]),
}

impl Batch<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Records(stored) => stored.len(),
            Self::Ticks(ticks) => ticks.len(),
        }
    }

    /// Appends one message of `max` octets at most; `false` where there is none.
    fn write(&self, index: usize, origin: &Origin, out: &mut Vec<u8>, max: usize) -> bool {
        match self {
            Self::Records(stored) => {
                let Some(one) = stored.get(index) else {
                    return false;
                };
                match one.entry.view() {
                    Ok(view) => origin.write(out, &view, max),
                    Err(error) => {
                        tracing::error!(position = %one.position, %error, "an entry is left out");
                        return false;
                    }
                }
            }
            Self::Ticks(ticks) => {
                let Some(tick) = ticks.get(index) else {
                    return false;
                };
                origin.write_tick(out, tick);
            }
        }
        true
    }
}

/// The way to a receiver.
pub(super) struct Receiver {
    settings: Syslog,
    origin: Origin,
    link: Option<Link>,
    frames: Vec<u8>,
    message: Vec<u8>,
}

enum Link {
    Stream(Wire, Framing),
    Udp(UdpSocket),
    Local(UnixDatagram),
}

/// How one message is told from the next in a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Its length in front (RFC 5425 section 4.3, RFC 6587 section 3.4.1).
    Counted,
    /// A line end behind it, as local sockets have it; messages hold none (RFC 6587 section 3.4.2).
    Lines,
}

impl Receiver {
    pub(super) fn new(settings: Syslog) -> Self {
        Self {
            origin: Origin::new(settings.facility, &settings.host_name),
            settings,
            link: None,
            frames: Vec::new(),
            message: Vec::new(),
        }
    }

    /// Connects, where there is no connection.
    pub(super) async fn ready(&mut self) -> Result<(), Fault> {
        if self.link.is_none() {
            self.link = Some(connect(&self.settings.target).await?);
        }
        Ok(())
    }

    /// Sends messages. After a failure nothing is known of any since the last [`Self::confirm`].
    pub(super) async fn send(&mut self, batch: Batch<'_>) -> Result<(), Fault> {
        self.ready().await?;
        let sent = self.send_all(batch).await;
        if sent.is_err() {
            self.link = None;
        }
        sent
    }

    /// Ends the connection in order, and sees that the receiver is still there. `Ok` = it read everything, as far as its
    /// protocol can tell.
    pub(super) async fn confirm(&mut self) -> Result<(), Fault> {
        match self.link.take() {
            Some(Link::Stream(wire, _)) => {
                wire.finish().await?;
                self.probe().await
            }
            // What an earlier datagram met with on its way is told to the next call.
            Some(Link::Udp(socket)) => match socket.take_error() {
                Ok(None) => Ok(()),
                Ok(Some(error)) | Err(error) => Err(Fault::Datagram(error)),
            },
            Some(Link::Local(_)) | None => Ok(()),
        }
    }

    /// Has a connection without records taken and closed in order.
    pub(super) async fn probe(&mut self) -> Result<(), Fault> {
        self.ready().await?;
        match self.link.take() {
            Some(Link::Stream(wire, _)) => wire.finish().await,
            Some(Link::Udp(_) | Link::Local(_)) | None => Ok(()),
        }
    }

    async fn send_all(&mut self, batch: Batch<'_>) -> Result<(), Fault> {
        self.frames.clear();
        for index in 0..batch.len() {
            let max = self.settings.max_message;
            self.message.clear();
            if !batch.write(index, &self.origin, &mut self.message, max) {
                continue;
            }
            match &mut self.link {
                Some(Link::Stream(wire, framing)) => {
                    frame(&mut self.frames, &self.message, *framing);
                    if self.frames.len() >= WRITE {
                        wire.send(&self.frames).await?;
                        self.frames.clear();
                    }
                }
                Some(Link::Udp(_) | Link::Local(_)) => {
                    self.send_datagram(batch, index).await?;
                    if index % BURST == BURST - 1 && matches!(self.link, Some(Link::Udp(_))) {
                        sleep(BREATH).await;
                    }
                }
                None => return Err(Fault::Closed),
            }
        }
        if let Some(Link::Stream(wire, _)) = &mut self.link
            && !self.frames.is_empty()
        {
            wire.send(&self.frames).await?;
        }
        Ok(())
    }

    /// Sends the message; one that is too long for the way is written anew and shorter until it is not.
    async fn send_datagram(&mut self, batch: Batch<'_>, index: usize) -> Result<(), Fault> {
        let mut max = self.settings.max_message;
        loop {
            let sent = match &self.link {
                Some(Link::Udp(socket)) => socket.send(&self.message).await,
                Some(Link::Local(socket)) => timeout(STALL, socket.send(&self.message))
                    .await
                    .map_err(|_| Fault::Stalled(STALL))?,
                Some(Link::Stream(..)) | None => return Err(Fault::Closed),
            };
            match sent {
                Ok(_) => return Ok(()),
                Err(error) if is_too_long(&error) && max > SMALLEST => {
                    max = (self.message.len().min(max) / 2).max(SMALLEST);
                    self.message.clear();
                    batch.write(index, &self.origin, &mut self.message, max);
                }
                Err(error) => return Err(Fault::Datagram(error)),
            }
        }
    }
}

fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

fn frame(out: &mut Vec<u8>, message: &[u8], framing: Framing) {
    if framing == Framing::Counted {
        out.extend_from_slice(message.len().to_string().as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(message);
    if framing == Framing::Lines {
        out.push(b'\n');
    }
}

async fn connect(target: &SyslogTarget) -> Result<Link, Fault> {
    match target {
        SyslogTarget::Tls(place, tls) => Wire::connect(place, Some(tls))
            .await
            .map(|wire| Link::Stream(wire, Framing::Counted)),
        SyslogTarget::Tcp(place) => Wire::connect(place, None)
            .await
            .map(|wire| Link::Stream(wire, Framing::Counted)),
        SyslogTarget::Udp(place) => {
            let mut fault = Fault::NoAddress(place.host.clone());
            for address in resolve(place).await? {
                match udp(address).await {
                    Ok(socket) => return Ok(Link::Udp(socket)),
                    Err(error) => fault = Fault::Connect(address, error),
                }
            }
            Err(fault)
        }
        SyslogTarget::Unix(path) => local(path)
            .await
            .map_err(|error| Fault::Unix(path.clone(), error)),
    }
}

async fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// A socket of datagrams, as /dev/log is nearly everywhere, or of a stream.
async fn local(path: &Path) -> io::Result<Link> {
    let socket = UnixDatagram::unbound()?;
    match socket.connect(path) {
        Ok(()) => Ok(Link::Local(socket)),
        Err(error) if is_other_type(&error) => {
            let stream = UnixStream::connect(path).await?;
            Ok(Link::Stream(Wire::unix(stream), Framing::Lines))
        }
        Err(error) => Err(error),
    }
}

fn is_other_type(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error())
}
