//! A connection that is proved by a pre-shared key, for the hand-made packets: the product's own channel over a socket that blocks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use doorward_tls::{ClientChannel, ClientPolicy, Handshake, PlainState, ReferenceIdentity};

use crate::dtls_device::{psk, settings};
use crate::wire::tcp;

pub(crate) struct PskStream {
    channel: ClientChannel,
    socket: TcpStream,
    /// Opened and not read yet.
    plain: Vec<u8>,
}

impl PskStream {
    /// After the handshake, as this side sees it.
    pub(crate) fn connect(address: SocketAddr, identity: &str, key: &str) -> std::io::Result<Self> {
        let policy = ClientPolicy::new(settings(Vec::new(), None, Some(psk(identity, key))));
        let reference = ReferenceIdentity::parse("aaa1.doorward.test").unwrap();
        let name = Some("aaa1.doorward.test");
        let channel = ClientChannel::new(Arc::new(policy.unwrap()), reference, name, address);
        let mut stream = Self {
            channel,
            socket: tcp(address),
            plain: Vec::new(),
        };
        stream.flush()?;
        while !matches!(stream.channel.handshake(), Handshake::Done(_)) {
            if !stream.turn()? {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(stream)
    }

    /// Takes what the server sends next; false at its end.
    fn turn(&mut self) -> std::io::Result<bool> {
        let mut octets = [0; 4096];
        let count = self.socket.read(&mut octets)?;
        self.channel.feed(&octets[..count]);
        self.flush()?;
        if let Handshake::Failed(error) = self.channel.handshake() {
            return Err(std::io::Error::other(error.to_string()));
        }
        Ok(count > 0)
    }
}

impl Read for PskStream {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let state = self.channel.read_plain(&mut self.plain);
            if !self.plain.is_empty() {
                let count = self.plain.as_slice().read(room)?;
                self.plain.drain(..count);
                return Ok(count);
            }
            let state = state.map_err(|error| std::io::Error::other(error.to_string()))?;
            if state == PlainState::Closed {
                return Ok(0);
            }
            if !self.turn()? {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Write for PskStream {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        let written = self.channel.write_plain(octets);
        written.map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let mut octets = Vec::new();
        self.channel.drain(&mut octets);
        self.socket.write_all(&octets)
    }
}
