//! A device that speaks RADIUS/DTLS, made of the product's own channel over a socket that blocks: it sees every datagram, and can
//! change, repeat and withhold them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward_radius::attribute::kind;
use doorward_radius::build::PacketBuilder;
use doorward_radius::{Code, RawPacket, Secret};
use doorward_tls::{
    ChannelError, ClientChannel, ClientPolicy, ClientSettings, Clock, Der, Handshake,
    HandshakeError, PlainState, PrivateKey, PskIdentity, PskKey, ReferenceIdentity, Revocation,
    Trust, TrustSettings, datagrams, pem,
};

use crate::harness::{PATIENCE, Place};

/// How long nothing may come where nothing should.
pub(crate) const SILENCE: Duration = Duration::from_millis(300);

/// A certificate of the demo by the name of its files, or a key as identity and hexadecimal digits.
#[derive(Clone, Copy)]
pub(crate) enum Proof<'a> {
    Certificate(&'a str),
    Key(&'a str, &'a str),
}

pub(crate) fn policy(place: &Place, proof: Proof<'_>) -> ClientPolicy {
    let read = |name: String| std::fs::read(place.path(&name)).unwrap();
    let anchors = pem::certificates(&read("ca.pem".into())).unwrap();
    let (certificate, psk) = match proof {
        Proof::Certificate(name) => {
            let chain = pem::certificates(&read(format!("{name}.pem"))).unwrap();
            let key = pem::private_key(&read(format!("{name}.key"))).unwrap();
            (Some((chain, key)), None)
        }
        Proof::Key(identity, key) => (None, Some(psk(identity, key))),
    };
    let settings = settings(anchors, certificate, psk);
    ClientPolicy::new(ClientSettings {
        tls12: true,
        datagrams: true,
        ..settings
    })
    .unwrap()
}

/// A key by its identity and its hexadecimal digits.
pub(crate) fn psk(identity: &str, key: &str) -> (PskIdentity, PskKey) {
    let identity = PskIdentity::new(identity).unwrap();
    (identity, PskKey::from_hex(key).unwrap())
}

/// What a device of TLS 1.3 believes and shows.
pub(crate) fn settings(
    anchors: Vec<Der>,
    certificate: Option<(Vec<Der>, PrivateKey)>,
    psk: Option<(PskIdentity, PskKey)>,
) -> ClientSettings {
    let trust = TrustSettings {
        anchors,
        revocation: Revocation::Off,
        ..TrustSettings::default()
    };
    ClientSettings {
        certificate,
        raw_public_key: false,
        server_pins: Vec::new(),
        trust: Arc::new(Trust::new(trust).unwrap()),
        show_authorities: false,
        cipher_suites: Vec::new(),
        groups: Vec::new(),
        tls12: false,
        datagrams: false,
        psk,
        clock: Clock::system(),
    }
}

pub(crate) struct Dtls {
    pub(crate) channel: ClientChannel,
    pub(crate) socket: UdpSocket,
    records: Vec<Vec<u8>>,
    /// What was sent last, for whoever wants to send it again.
    pub(crate) sent: Vec<Vec<u8>>,
    ended: Option<Result<PlainState, ChannelError>>,
}

impl Dtls {
    /// Before the first datagram, from an address of the loopback network.
    pub(crate) fn new(place: &Place, server: SocketAddr, from: &str, proof: Proof<'_>) -> Self {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(server).unwrap();
        Self::over(place, server, socket, proof)
    }

    /// The same over a socket that is there.
    pub(crate) fn over(
        place: &Place,
        server: SocketAddr,
        socket: UdpSocket,
        proof: Proof<'_>,
    ) -> Self {
        let policy = Arc::new(policy(place, proof));
        let reference = ReferenceIdentity::parse("aaa1.doorward.test").unwrap();
        let name = Some("aaa1.doorward.test");
        Self {
            channel: ClientChannel::datagrams(policy, reference, name, server),
            socket,
            records: Vec::new(),
            sent: Vec::new(),
            ended: None,
        }
    }

    pub(crate) fn connect(place: &Place, server: SocketAddr, proof: Proof<'_>) -> Self {
        let from = if server.is_ipv6() { "::1" } else { "127.0.0.1" };
        let mut device = Self::new(place, server, from, proof);
        device.handshake().unwrap();
        device
    }

    /// The demo's core1.
    pub(crate) fn core1(place: &Place, server: SocketAddr) -> Self {
        Self::connect(place, server, Proof::Certificate("core1"))
    }

    /// Until the handshake is over.
    pub(crate) fn handshake(&mut self) -> Result<(), HandshakeError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.flush();
            match self.channel.handshake() {
                Handshake::Done(_) => return Ok(()),
                Handshake::Failed(error) => return Err(error.clone()),
                Handshake::WantRead => {}
            }
            assert!(Instant::now() < deadline, "the handshake goes on");
            let patience = self.channel.timeout().unwrap_or(PATIENCE);
            if !self.take(patience.max(Duration::from_millis(1))) {
                self.channel.handle_timeout();
            }
        }
    }

    /// What the channel has to send, as datagrams.
    pub(crate) fn drained(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        self.channel.drain(&mut out);
        datagrams(&out).map(<[u8]>::to_vec).collect()
    }

    pub(crate) fn flush(&mut self) {
        let drained = self.drained();
        for datagram in &drained {
            self.socket.send(datagram).unwrap();
        }
        if !drained.is_empty() {
            self.sent = drained;
        }
    }

    /// The next datagram as it comes; none within this time.
    pub(crate) fn raw(&self, patience: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut datagram = vec![0; 1 << 16];
        let length = self.socket.recv(&mut datagram).ok()?;
        datagram.truncate(length);
        Some(datagram)
    }

    /// Takes the next datagram; false where none comes within this time.
    pub(crate) fn take(&mut self, patience: Duration) -> bool {
        let Some(datagram) = self.raw(patience) else {
            return false;
        };
        self.feed(&datagram);
        true
    }

    pub(crate) fn feed(&mut self, datagram: &[u8]) {
        self.channel.feed(datagram);
        if let Handshake::Done(_) = self.channel.handshake() {
            let records = &mut self.records;
            let state = self
                .channel
                .read_records(&mut |record| records.push(record.to_vec()));
            if state != Ok(PlainState::Open) {
                self.ended = Some(state);
            }
        }
    }

    /// A record with these octets, sent.
    pub(crate) fn send(&mut self, record: &[u8]) {
        self.channel.write_record(record).unwrap();
        self.flush();
    }

    /// The same, and not sent.
    pub(crate) fn sealed(&mut self, record: &[u8]) -> Vec<u8> {
        self.channel.write_record(record).unwrap();
        self.drained().concat()
    }

    /// The next packet; none within this time, or at the end.
    pub(crate) fn receive_within(&mut self, patience: Duration) -> Option<RawPacket> {
        while self.records.is_empty() {
            if self.ended.is_some() || !self.take(patience) {
                return None;
            }
        }
        Some(RawPacket::new(self.records.remove(0)).unwrap())
    }

    pub(crate) fn receive(&mut self) -> RawPacket {
        self.receive_within(PATIENCE).unwrap()
    }

    pub(crate) fn ask(&mut self, packet: &[u8]) -> RawPacket {
        self.send(packet);
        let answer = self.receive();
        assert_eq!(answer.header().id, packet[1]);
        answer
    }

    /// Whether the server still answers.
    pub(crate) fn is_served(&mut self) -> bool {
        self.ask(&status(0)).header().code == Code::ACCESS_ACCEPT
    }

    /// Whether the server says close_notify, and no packet before it.
    pub(crate) fn is_closed(&mut self) -> bool {
        let packet = self.receive_within(PATIENCE);
        packet.is_none() && self.ended == Some(Ok(PlainState::Closed))
    }

    /// Says close_notify.
    pub(crate) fn close(&mut self) {
        self.channel.close();
        self.flush();
    }
}

pub(crate) fn request(code: Code, id: u8, fill: impl FnOnce(&mut PacketBuilder)) -> Vec<u8> {
    let mut builder = PacketBuilder::request(code, id, [id ^ 0x5a; 16]);
    builder.message_authenticator().unwrap();
    fill(&mut builder);
    builder.finish(&Secret::RADIUS_DTLS)
}

pub(crate) fn status(id: u8) -> Vec<u8> {
    request(Code::STATUS_SERVER, id, |_| {})
}

pub(crate) fn pap(id: u8, user: &str, password: &str) -> Vec<u8> {
    request(Code::ACCESS_REQUEST, id, |packet| {
        packet.push(kind::USER_NAME, user.as_bytes()).unwrap();
        let secret = Secret::RADIUS_DTLS;
        packet.push_password(password.as_bytes(), &secret).unwrap();
    })
}

pub(crate) fn accounting(id: u8, session: &str) -> Vec<u8> {
    request(Code::ACCOUNTING_REQUEST, id, |packet| {
        packet.push_integer(kind::ACCT_STATUS_TYPE, 1).unwrap();
        packet
            .push(kind::ACCT_SESSION_ID, session.as_bytes())
            .unwrap();
        packet.push(kind::USER_NAME, b"alice").unwrap();
    })
}
