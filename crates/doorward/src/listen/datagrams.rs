//! A UDP socket that answers from the address it was asked at.
//!
//! On a socket of all addresses the kernel chooses by its routes from where a datagram leaves, and a client that asked
//! another address of this host discards the answer. So each datagram comes with both of its ends, and an answer goes back
//! between the same two.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use doorward_tls::SAFE_DATAGRAM;
use nix::libc;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, cmsg_space, recvmsg, sendmsg,
    setsockopt,
};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;

/// Octets that the kernel may hold for us between two turns, if it lets us.
const BACKLOG: usize = 4 << 20;

/// The two ends of a datagram: whose it is, and at which of our addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ends {
    /// The peer, as the socket tells it.
    pub(super) peer: SocketAddr,
    local: Local,
}

/// Our end. A socket of one address has no other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Local {
    Bound,
    V4(Ipv4Addr),
    /// With the interface, where the address is one of a link.
    V6(Ipv6Addr, u32),
}

impl Ends {
    /// All that tells two of them apart, for a digest.
    pub(super) fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(48);
        match self.peer.ip() {
            IpAddr::V4(address) => octets.extend(address.octets()),
            IpAddr::V6(address) => octets.extend(address.octets()),
        }
        octets.extend(self.peer.port().to_be_bytes());
        match self.local {
            Local::Bound => {}
            Local::V4(address) => octets.extend(address.octets()),
            Local::V6(address, interface) => {
                octets.extend(address.octets());
                octets.extend(interface.to_be_bytes());
            }
        }
        octets
    }

    /// The peer, an IPv4 address as one.
    pub(super) fn canonical(&self) -> SocketAddr {
        SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port())
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            Local::Bound => write!(f, "{}", self.peer),
            Local::V4(address) => write!(f, "{} at {address}", self.peer),
            Local::V6(address, _) => write!(f, "{} at {address}", self.peer),
        }
    }
}

/// The half that receives; whoever has an [`Outlet`] sends.
pub(super) struct Datagrams {
    outlet: Arc<Outlet>,
    /// Where the kernel tells to which address a datagram came; empty for a socket of one address.
    told: Vec<u8>,
}

impl Datagrams {
    /// Lets the kernel hold more than by default, as far as it does, and tell to which address a datagram came.
    pub(super) fn prepare(socket: &socket2::Socket) -> io::Result<()> {
        _ = socket.set_recv_buffer_size(BACKLOG);
        _ = socket.set_send_buffer_size(BACKLOG);
        let Some(bound) = socket.local_addr()?.as_socket() else {
            return Ok(());
        };
        // Routers may divide what is longer than their link, and tell nobody: what they would tell is lost on many ways.
        _ = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT);
        if bound.is_ipv6() {
            _ = set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT);
        }
        match bound {
            _ if !bound.ip().is_unspecified() => {}
            SocketAddr::V4(_) => setsockopt(socket, Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvPacketInfo, &true)?,
        }
        Ok(())
    }

    /// For sending.
    pub(super) fn outlet(&self) -> &Arc<Outlet> {
        &self.outlet
    }

    /// Takes a socket that was prepared.
    pub(super) fn new(socket: UdpSocket) -> Self {
        let all = socket
            .local_addr()
            .is_ok_and(|address| address.ip().is_unspecified());
        let room = match all {
            true => cmsg_space::<libc::in_pktinfo>() + cmsg_space::<libc::in6_pktinfo>(),
            false => 0,
        };
        Self {
            outlet: Arc::new(Outlet {
                socket,
                divides: AtomicBool::new(true),
            }),
            told: vec![0; room],
        }
    }

    /// The next datagram, of which `buffer` gets as much as it holds, with its length there.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, Ends)>> {
        let inlet = &self.outlet.socket;
        if self.told.is_empty() {
            let mut read = ReadBuf::new(buffer);
            let peer = ready!(inlet.poll_recv_from(cx, &mut read))?;
            let local = Local::Bound;
            return Poll::Ready(Ok((read.filled().len(), Ends { peer, local })));
        }
        loop {
            ready!(inlet.poll_recv_ready(cx))?;
            let told = &mut self.told;
            let socket = inlet.as_raw_fd();
            let received = inlet.try_io(Interest::READABLE, || receive(socket, buffer, told));
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

/// The half that sends.
pub(super) struct Outlet {
    socket: UdpSocket,
    /// The kernel divides what is several datagrams.
    divides: AtomicBool,
}

impl Outlet {
    /// Sends a datagram between two ends. What the kernel does not take is lost, as on any network.
    pub(super) fn send(&self, datagram: &[u8], ends: &Ends) {
        if ends.local == Local::Bound {
            _ = self.socket.try_send_to(datagram, ends.peer);
        } else {
            _ = self.send_with(datagram, None, ends);
        }
    }

    /// Sends datagrams of `length` octets each, one behind the other in `run`: with one call, where the kernel can divide them
    /// (UDP_SEGMENT, since Linux 4.18).
    pub(super) fn send_run(&self, run: &[u8], length: usize, ends: &Ends) {
        if let Ok(size) = u16::try_from(length)
            && run.len() > length
            // The kernel divides none that is longer than the path allows.
            && size <= SAFE_DATAGRAM
            && self.divides.load(Ordering::Relaxed)
        {
            match self.send_with(run, Some(size), ends) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    // Not on the way to this peer, or never with this kernel.
                    if let Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP | libc::EINVAL | libc::EIO) =
                        error.raw_os_error()
                    {
                        self.divides.store(false, Ordering::Relaxed);
                    }
                }
                Ok(_) | Err(_) => return,
            }
        }
        for datagram in run.chunks(length.max(1)) {
            self.send(datagram, ends);
        }
    }

    fn send_with(&self, octets: &[u8], size: Option<u16>, ends: &Ends) -> io::Result<usize> {
        let info = match ends.local {
            Local::Bound => Info::None,
            Local::V4(address) => Info::V4(libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            }),
            Local::V6(address, interface) => Info::V6(libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: address.octets(),
                },
                ipi6_ifindex: interface,
            }),
        };
        let source = match &info {
            Info::None => None,
            Info::V4(info) => Some(ControlMessage::Ipv4PacketInfo(info)),
            Info::V6(info) => Some(ControlMessage::Ipv6PacketInfo(info)),
        };
        let size = size.as_ref().map(ControlMessage::UdpGsoSegments);
        let messages: Vec<ControlMessage<'_>> = source.into_iter().chain(size).collect();
        self.socket.try_io(Interest::WRITABLE, || {
            let sent = sendmsg(
                self.socket.as_raw_fd(),
                &[IoSlice::new(octets)],
                &messages,
                MsgFlags::MSG_DONTWAIT,
                Some(&SockaddrStorage::from(ends.peer)),
            );
            Ok(sent?)
        })
    }
}

enum Info {
    None,
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

fn receive(
    socket: std::os::fd::RawFd,
    buffer: &mut [u8],
    told: &mut [u8],
) -> io::Result<(usize, Ends)> {
    let mut room = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = recvmsg::<SockaddrStorage>(socket, &mut room, Some(told), flags)?;
    let peer = received.address.as_ref().and_then(address);
    let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
    let mut local = Local::Bound;
    for message in received.cmsgs()? {
        if let ControlMessageOwned::Ipv4PacketInfo(info) = message {
            local = Local::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()));
        } else if let ControlMessageOwned::Ipv6PacketInfo(info) = message {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let linked = address.is_unicast_link_local();
            local = Local::V6(address, if linked { info.ipi6_ifindex } else { 0 });
        }
    }
    Ok((received.bytes, Ends { peer, local }))
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|one| (*one).into());
    let v6 = || {
        storage
            .as_sockaddr_in6()
            .map(|one| SocketAddr::V6((*one).into()))
    };
    v4.map(SocketAddr::V4).or_else(v6)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A socket of all addresses, its port, and a client.
    fn all(address: &str) -> (Datagrams, u16) {
        let address: SocketAddr = address.parse().unwrap();
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::DGRAM,
            None,
        );
        let socket = socket.unwrap();
        if address.is_ipv6() {
            socket.set_only_v6(false).unwrap();
        }
        socket.bind(&address.into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        Datagrams::prepare(&socket).unwrap();
        let socket = UdpSocket::from_std(socket.into()).unwrap();
        let port = socket.local_addr().unwrap().port();
        (Datagrams::new(socket), port)
    }

    /// The kernel by itself would answer all of them from 127.0.0.1: the client is there.
    #[tokio::test]
    async fn an_answer_comes_from_the_address_that_was_asked() {
        for bound in ["0.0.0.0:0", "[::]:0", "127.0.0.1:0"] {
            let (mut server, port) = all(bound);
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let asked: &[&str] = match bound {
                "127.0.0.1:0" => &["127.0.0.1"],
                _ => &["127.0.0.2", "127.9.9.9", "127.0.0.1"],
            };
            for address in asked {
                let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), port);
                client.send_to(b"who is it?", address).await.unwrap();
                let mut buffer = [0; 100];
                let received = poll_fn(|cx| server.poll_receive(cx, &mut buffer)).await;
                let (length, ends) = received.unwrap();
                assert_eq!(&buffer[..length], b"who is it?");
                assert_eq!(ends.canonical(), client.local_addr().unwrap());
                server.outlet().send(b"me", &ends);
                let (length, from) = client.recv_from(&mut buffer).await.unwrap();
                assert_eq!((length, from), (2, address), "{bound}");
                // Several with one call arrive as several, and one by one where the kernel divides nothing.
                for divides in [true, false] {
                    let outlet = server.outlet();
                    outlet.divides.store(divides, Ordering::Relaxed);
                    outlet.send_run(b"onetwosix", 3, &ends);
                    for word in [b"one", b"two", b"six"] {
                        let (length, from) = client.recv_from(&mut buffer).await.unwrap();
                        assert_eq!((&buffer[..length], from), (&word[..], address));
                    }
                }
            }
        }
    }
}
