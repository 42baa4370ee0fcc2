//! Sockets: who may connect, how many, for how long. Knows protocols and identities, not policy.
//!
//! ```text
//! accept → room? → source permitted? → (plain) device of the address
//!                                    → (TLS) handshake within its bounds → device of the certificate
//!        → Connection: octets → machine → aaa → machine → octets
//! datagram → 5-tuple known? → Connection
//!          → (DTLS) source permitted? → cookie → room? → handshake → Connection
//! datagram → source permitted? → device of the address → proved by its secret → machine → aaa → machine → datagram
//! ```
//!
//! Bad input costs its own connection and nothing else: every wait has a deadline, every buffer a bound.

mod connection;
mod datagrams;
mod dtls;
mod inquiry;
mod limits;
mod peer;
mod room;
mod udp;
mod wire;
mod woken;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};

pub use inquiry::Inquiries;
pub use limits::{Drain, Slot, Sweep};
pub use peer::{Seen, SeenDevices};

use crate::aaa::{Aaa, Refused, Snapshot};
use crate::config::{Listener, ListenerProtocol, contains};
use datagrams::Datagrams;
use limits::Rate;
use room::Room;

/// Pause after the operating system refused another descriptor, before the next accept.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// Connections the kernel may hold for us between two turns of the accept loop.
const BACKLOG: u32 = 1024;

/// What distinguishes one listener from another across reloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerKey {
    /// Its protocol.
    pub protocol: ListenerProtocol,
    /// Its address as configured (port 0 stays 0).
    pub address: SocketAddr,
    /// Which one of several with the same protocol and address (only port 0 can be written more than once).
    pub copy: usize,
}

impl ListenerKey {
    /// The keys of all listeners of a configuration, in its order.
    pub fn all(listeners: &[Listener]) -> impl Iterator<Item = (Self, &Listener)> {
        listeners.iter().enumerate().map(|(position, listener)| {
            let copy = listeners
                .iter()
                .take(position)
                .filter(|other| {
                    other.protocol == listener.protocol && other.address == listener.address
                })
                .count();
            (
                Self {
                    protocol: listener.protocol,
                    address: listener.address,
                    copy,
                },
                listener,
            )
        })
    }

    /// The listener of this key in a configuration.
    pub fn find<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Listener> {
        Self::all(&snapshot.config.listeners)
            .find(|(key, _)| key == self)
            .map(|(_, listener)| listener)
    }
}

/// What all listeners have in common.
#[derive(Debug)]
pub struct Shared {
    /// Begun when the server stops.
    pub drain: Arc<Drain>,
    /// Begun when open connections are to be judged again.
    pub sweep: Arc<Sweep>,
    /// What was seen of every device.
    pub seen: SeenDevices,
    /// Questions to OCSP responders.
    pub inquiries: Arc<Inquiries>,
    /// After so many records a connection over TLS 1.2 is closed, so that the device makes a new one.
    pub tls12_records: u64,
}

impl Shared {
    /// Nothing has been seen or asked.
    pub fn new(aaa: Arc<Aaa>, drain: Arc<Drain>) -> Self {
        let sweep = Arc::<Sweep>::default();
        Self {
            drain,
            inquiries: Arc::new(Inquiries::new(aaa, Arc::clone(&sweep))),
            sweep,
            seen: SeenDevices::default(),
            tls12_records: doorward_tls::TLS12_RECORDS,
        }
    }
}

/// One open listener.
#[derive(Debug)]
pub struct Open {
    /// Its identity.
    pub key: ListenerKey,
    /// The bound address.
    pub address: SocketAddr,
    /// Protocol and bound address, for logs and records.
    pub name: Arc<str>,
    /// Connections open now; over UDP, sources remembered now.
    pub connections: Arc<AtomicUsize>,
    /// Handshakes under way now.
    pub handshakes: Arc<AtomicUsize>,
    /// What it was opened with: counts for the connections that are left when it is gone from the configuration.
    opened_with: Listener,
    aaa: Arc<Aaa>,
    shared: Arc<Shared>,
    /// Begun when the last day is over.
    ended: Arc<Drain>,
    rate: Rate,
    room: Arc<Room>,
}

/// What a listener listens on.
#[derive(Debug)]
pub enum Socket {
    /// Has connections.
    Tcp(TcpListener),
    /// Has datagrams.
    Udp(UdpSocket),
}

impl Open {
    /// Binds the listener's address, or takes the socket that a service manager has bound to it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn bind(
        (key, settings): (ListenerKey, &Listener),
        inherited: Option<std::net::TcpListener>,
        aaa: Arc<Aaa>,
        shared: Arc<Shared>,
    ) -> std::io::Result<(Arc<Self>, Socket)> {
        let socket = match inherited {
            Some(socket) => socket2::Socket::from(socket),
            None => bound(key)?,
        };
        socket.set_nonblocking(true)?;
        let (socket, address) = if key.protocol.is_udp() {
            Datagrams::prepare(&socket)?;
            let socket = UdpSocket::from_std(socket.into())?;
            let address = socket.local_addr()?;
            (Socket::Udp(socket), address)
        } else {
            // Linux: inherited by every accepted connection. Without it a reply can wait 40 ms for the peer's delayed ACK.
            socket.set_tcp_nodelay(true)?;
            socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
            let listener = TcpListener::from_std(socket.into())?;
            let address = listener.local_addr()?;
            (Socket::Tcp(listener), address)
        };
        let open = Self {
            key,
            address,
            name: format!("{} {address}", key.protocol.name()).into(),
            connections: Arc::default(),
            handshakes: Arc::default(),
            opened_with: settings.clone(),
            aaa,
            shared,
            ended: Arc::default(),
            rate: Rate::default(),
            room: Arc::default(),
        };
        Ok((Arc::new(open), socket))
    }

    /// The settings of today, or the last there were.
    fn settings<'a>(&'a self, snapshot: &'a Snapshot) -> &'a Listener {
        self.key.find(snapshot).unwrap_or(&self.opened_with)
    }

    /// Whether a listener could be opened now; nothing stays open.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn try_address(key: ListenerKey) -> std::io::Result<()> {
        let socket = bound(key)?;
        if key.protocol.is_udp() {
            return Ok(());
        }
        // Two sockets may be bound to an address that is free for reuse, but only one may listen.
        socket.listen(1)
    }

    /// Serves until the task is stopped, or the listener's last day has passed; then what is under way is finished.
    pub async fn serve(self: Arc<Self>, socket: Socket) {
        match socket {
            Socket::Tcp(listener) => self.accept(listener).await,
            Socket::Udp(socket) if self.key.protocol.is_tls() => {
                dtls::serve(self, Datagrams::new(socket)).await;
            }
            Socket::Udp(socket) => udp::serve(self, Datagrams::new(socket)).await,
        }
    }

    /// Asks the listener to answer what is under way and end. `false` where its task may just be stopped, because
    /// connections live on without it.
    pub fn finish(&self) -> bool {
        if self.key.protocol.is_udp() {
            self.ended.begin();
        }
        self.key.protocol.is_udp()
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let over = last_day(&self);
        tokio::pin!(over);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => self.accepted(socket, peer),
                    Err(error) => {
                        self.aaa.accept_failed(&self.name, &error);
                        tokio::time::sleep(EXHAUSTED).await;
                    }
                },
                () = &mut over => {
                    tracing::warn!(listener = &*self.name, "{LAST_DAY_OVER}");
                    self.ended.begin();
                    return;
                }
            }
        }
    }

    fn accepted(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let snapshot = self.aaa.snapshot();
        let Some(settings) = self.key.find(&snapshot) else {
            return;
        };
        let slot = Slot::take(&self.connections, settings.max_connections);
        if slot.is_none() && !settings.make_room {
            return self.refuse(Refused::TooManyConnections, peer, "");
        }
        if !settings.from.is_empty() && !contains(&settings.from, peer.ip()) {
            return self.refuse(Refused::SourceAddress, peer, "");
        }
        let prepared = match self.key.protocol {
            ListenerProtocol::Tacacs => connection::Connection::plain(
                Arc::clone(self),
                &snapshot,
                settings,
                socket,
                peer,
                slot,
            ),
            ListenerProtocol::TacacsTls | ListenerProtocol::RadiusTls => {
                self.tls_connection(&snapshot, settings, socket, peer, slot)
            }
            // Have no connections to accept.
            ListenerProtocol::RadiusDtls | ListenerProtocol::RadiusUdp => return,
        };
        match prepared {
            Ok(connection) => {
                tokio::spawn(connection);
            }
            Err(reason) => self.refuse(reason, peer, ""),
        }
    }

    fn tls_connection(
        self: &Arc<Self>,
        snapshot: &Arc<Snapshot>,
        settings: &Listener,
        socket: TcpStream,
        peer: SocketAddr,
        slot: Option<Slot>,
    ) -> Result<connection::Connection, Refused> {
        let slots = self.slots_for_handshake(settings, slot)?;
        connection::Connection::tls(Arc::clone(self), snapshot, settings, socket, peer, slots)
    }

    /// Places for a connection and its handshake.
    fn slots_for_handshake(
        &self,
        settings: &Listener,
        slot: Option<Slot>,
    ) -> Result<(Slot, Slot), Refused> {
        let now = std::time::Instant::now();
        if !self.rate.admit(settings.handshake_rate, now) {
            return Err(Refused::HandshakeRate);
        }
        let Some(handshake) = Slot::take(&self.handshakes, settings.max_handshakes) else {
            return Err(Refused::TooManyHandshakes);
        };
        Ok((self.place(settings, slot)?, handshake))
    }

    /// A place for a connection that nothing else speaks against, of another one where there is none left: nobody is closed
    /// for one that is then refused, unless there are more than there may be.
    fn place(&self, settings: &Listener, slot: Option<Slot>) -> Result<Slot, Refused> {
        slot.or_else(|| self.room.make(&self.connections, settings.max_connections))
            .ok_or(Refused::TooManyConnections)
    }

    fn refuse(&self, reason: Refused, peer: SocketAddr, detail: &str) {
        self.aaa.refuse(reason, &self.name, peer, detail);
    }

    /// The device that comes without TLS from an address.
    fn plain_device(
        &self,
        snapshot: &Snapshot,
        settings: &Listener,
        address: IpAddr,
    ) -> Result<Arc<crate::config::Device>, Refused> {
        let devices = &snapshot.config.devices;
        let Some(device) = devices.by_address(self.key.protocol, address) else {
            return Err(Refused::DeviceUnknown);
        };
        if device.tls_required {
            return Err(Refused::TlsRequired);
        }
        // Without a word to the peer (RFC 6614bis section 5.2).
        if device.dtls_required && self.key.protocol == ListenerProtocol::RadiusUdp {
            return Err(Refused::DtlsRequired);
        }
        if !settings.admits(device) {
            return Err(Refused::ListenerNotForDevice);
        }
        Ok(Arc::clone(device))
    }
}

fn bound(key: ListenerKey) -> std::io::Result<socket2::Socket> {
    let address = key.address;
    let domain = socket2::Domain::for_address(address);
    let socket = if key.protocol.is_udp() {
        // Reuse would let another process take datagrams away.
        socket2::Socket::new(domain, socket2::Type::DGRAM, None)?
    } else {
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket
    };
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Ready when the listener's last day is over; asks the configuration in force once an hour, and warns once a day when
/// the end is near.
async fn last_day(open: &Open) {
    let mut warned = jiff::Zoned::now().date();
    loop {
        let snapshot = open.aaa.snapshot();
        let listener = open.key.find(&snapshot);
        let now = jiff::Zoned::now();
        if listener.is_some_and(|listener| listener.is_closed(now.date())) {
            return;
        }
        if let Some(days) = listener
            .and_then(|listener| listener.until)
            .and_then(|day| days_left(day, now.date()))
            .filter(|_| warned != now.date())
        {
            warned = now.date();
            tracing::warn!(listener = &*open.name, days, "{CLOSES_SOON}");
        }
        let midnight = now
            .tomorrow()
            .and_then(|tomorrow| tomorrow.start_of_day())
            .map(|midnight| now.duration_until(&midnight));
        let rest = midnight
            .ok()
            .and_then(|rest| Duration::try_from(rest).ok())
            .unwrap_or(Duration::from_secs(3600));
        tokio::time::sleep(rest.min(Duration::from_secs(3600)) + Duration::from_secs(1)).await;
    }
}

/// Said at the start, at a reload and every day from 30 days before the end.
pub const CLOSES_SOON: &str = "the listener closes soon (`until`): move its devices to TLS";

/// Said when the end has come.
const LAST_DAY_OVER: &str =
    "the listener's last day (`until`) has passed: closed; the others serve on";

/// Days until the last day, when there are no more than 30.
pub fn days_left(day: jiff::civil::Date, today: jiff::civil::Date) -> Option<i32> {
    let days = today.until(day).ok()?.get_days();
    (0..=30).contains(&days).then_some(days)
}

impl Drop for Open {
    fn drop(&mut self) {
        tracing::debug!(
            listener = &*self.name,
            connections = self.connections.load(Ordering::Relaxed),
            "listener closed"
        );
    }
}
