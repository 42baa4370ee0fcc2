//! Sockets that a service manager opened for us (sd_listen_fds(3)).
//!
//! Each belongs to the `[[listen]]` of its address. They are kept for the life of the process, and listeners get copies: a
//! listener that a reload takes out and another brings back is still there, and systemd, which holds the socket as well, would
//! let nobody else have the address.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use crate::listen::ListenerKey;

/// Inherited sockets.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    sockets: Vec<(SocketAddr, TcpListener)>,
}

impl Inherited {
    /// Takes what the environment names, and the variables out of it; to be called while there is one thread. What is of no
    /// use comes back as a sentence each.
    pub(super) fn take() -> (Self, Vec<String>) {
        let mut inherited = Self::default();
        let mut complaints = Vec::new();
        // Without the process's own number the variables are somebody else's.
        let ours =
            std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        if !ours {
            return (inherited, complaints);
        }
        let mut passed = ListenFd::from_env();
        for index in 0..passed.len() {
            match usable(&mut passed, index) {
                Ok(socket) => inherited.sockets.push(socket),
                Err(why) => complaints.push(why),
            }
        }
        (inherited, complaints)
    }

    /// A copy of the socket of a listener.
    ///
    /// # Errors
    /// What copying returns.
    pub(super) fn claim(&self, key: ListenerKey) -> std::io::Result<Option<TcpListener>> {
        if !self.has(key) {
            return Ok(None);
        }
        let address = key.address;
        let mut sockets = self.sockets.iter();
        let found = sockets.find(|(bound, _)| *bound == address);
        found.map(|(_, socket)| socket.try_clone()).transpose()
    }

    /// Whether there is a socket for this listener; datagrams have none here.
    pub(super) fn has(&self, key: ListenerKey) -> bool {
        let mut sockets = self.sockets.iter();
        !key.protocol.is_udp() && sockets.any(|(bound, _)| *bound == key.address)
    }

    /// Closes every socket that no listener has, and tells their addresses.
    pub(super) fn close_others(&mut self, wanted: &[SocketAddr]) -> Vec<SocketAddr> {
        let others = self
            .sockets
            .extract_if(.., |(bound, _)| !wanted.contains(bound));
        others.map(|(bound, _)| bound).collect()
    }
}

fn usable(passed: &mut ListenFd, index: usize) -> Result<(SocketAddr, TcpListener), String> {
    let number = index + 3;
    let socket = match passed.take_tcp_listener(index) {
        Ok(Some(socket)) => socket,
        Ok(None) => return Err(format!("the inherited descriptor {number} is gone")),
        Err(_) => {
            drop_other(passed, index);
            return Err(format!(
                "the inherited descriptor {number} is no TCP socket: it is not used, and a listener for radius-udp opens its own"
            ));
        }
    };
    let view = socket2::SockRef::from(&socket);
    if !view.is_listener().unwrap_or(false) {
        return Err(format!(
            "the inherited socket {number} does not listen (`Accept=yes` in its unit?): closed"
        ));
    }
    let address = socket
        .local_addr()
        .map_err(|error| format!("the inherited socket {number} has no address: {error}"))?;
    if address.is_ipv6() && address.ip().is_unspecified() && view.only_v6().unwrap_or(false) {
        return Err(format!(
            "the inherited socket of {address} takes IPv6 only, where a [[listen]] of that address takes IPv4 too: closed; \
             set `BindIPv6Only=both` in its unit"
        ));
    }
    Ok((address, socket))
}

/// Closes sockets of other kinds; a descriptor that is no socket stays open, and unused.
fn drop_other(passed: &mut ListenFd, index: usize) {
    _ = passed.take_udp_socket(index);
    _ = passed.take_unix_listener(index);
    _ = passed.take_unix_datagram(index);
}
