//! The RADIUS client over DTLS, against a socket that a test answers from record by record.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward_client::radius::{
    AttemptError, Client, Code, Request, Secret, Server, ServerError, status_type,
};
use doorward_client::{ServerAddress, Tls, TransportError};
use doorward_radius::RawPacket;
use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::{error_cause, protocol_error};
use doorward_tls::hello::{Cookies, First};
use doorward_tls::{
    ClientPolicy, ClientSettings, Handshake, HandshakeError, PlainState, PolicyError,
    ReferenceIdentity, ServerChannel, ServerPolicy, ServerSettings, datagrams,
};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::PATIENCE;
use crate::certificates::Authority;
use crate::radius::{answer, pap, reasons};
use crate::radius_psk::{Keys, by_key};
use crate::tls::NAME;

/// A server with one socket; what came to it, from whom.
pub(crate) struct Home {
    pub(crate) socket: UdpSocket,
    policies: Arc<[Arc<ServerPolicy>]>,
    pub(crate) clients: ClientSettings,
    seen: Mutex<Vec<(SocketAddr, Vec<u8>)>>,
}

impl Home {
    pub(crate) async fn new() -> Self {
        Self::called(NAME).await
    }

    async fn called(name: &str) -> Self {
        let authority = Authority::new("CA");
        let device = authority.device();
        let clients = ClientSettings {
            datagrams: true,
            ..authority.client_settings(Some(&device), Vec::new())
        };
        Self::of(&authority, name, clients).await
    }

    /// With a certificate of this CA.
    pub(crate) async fn of(authority: &Authority, name: &str, clients: ClientSettings) -> Self {
        let settings = ServerSettings {
            tls12: true,
            ..authority.server_settings(&authority.server(&[name]))
        };
        Self::with(settings, clients).await
    }

    async fn with(settings: ServerSettings, clients: ClientSettings) -> Self {
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            policies: Arc::new([Arc::new(ServerPolicy::new(settings).unwrap())]),
            clients,
            seen: Mutex::default(),
        }
    }

    fn address(&self) -> ServerAddress {
        let address = self.socket.local_addr().unwrap();
        ServerAddress::from_ip(address.ip(), address.port())
    }

    /// Its clients' view of it; called once.
    pub(crate) fn server(&mut self) -> Server {
        let authority = Authority::new("no one's");
        let none = authority.client_settings(None, Vec::new());
        let settings = std::mem::replace(&mut self.clients, none);
        let policy = Arc::new(ClientPolicy::new(settings).unwrap());
        let tls = Tls::new(policy, ReferenceIdentity::parse(NAME).unwrap());
        let mut server = Server::dtls(self.address(), tls).unwrap();
        server.connect_timeout = PATIENCE;
        server.reply_timeout = PATIENCE;
        server
    }

    pub(crate) async fn datagram(&self) -> (SocketAddr, Vec<u8>) {
        let mut octets = vec![0; 65_536];
        let (count, from) = self.socket.recv_from(&mut octets).await.unwrap();
        octets.truncate(count);
        let datagram = (from, octets);
        self.seen.lock().unwrap().push(datagram.clone());
        datagram
    }

    /// The next client that knows where it is, and the first flight for it.
    async fn hello(&self) -> Peer<'_> {
        let mut cookies = Cookies::new(Duration::ZERO).unwrap();
        loop {
            let (from, datagram) = timeout(PATIENCE, self.datagram()).await.unwrap();
            let ends = from.to_string();
            match cookies.judge(&datagram, ends.as_bytes(), Duration::ZERO) {
                First::Verify(answer) => {
                    self.socket.send_to(&answer, from).await.unwrap();
                }
                First::Proved(hello) => {
                    let policies = Arc::clone(&self.policies);
                    let keys = Arc::new(Keys);
                    let channel = ServerChannel::datagrams(policies, keys, from, hello, &datagram);
                    let mut peer = Peer {
                        home: self,
                        from,
                        channel,
                        records: VecDeque::new(),
                    };
                    peer.flush().await;
                    return peer;
                }
                // What an association before has to say at its end.
                First::Nothing | First::Own(_) => {}
                First::Refused(error) => panic!("{error}"),
            }
        }
    }

    /// The next association.
    pub(crate) async fn accept(&self) -> Peer<'_> {
        let mut peer = self.hello().await;
        peer.shake_hands().await.unwrap();
        peer
    }

    /// Everything that came is DTLS (RFC 7983 section 7, RFC 6347 section 4.1).
    pub(crate) fn saw_dtls_alone(&self) {
        let seen = self.seen.lock().unwrap();
        assert!(!seen.is_empty());
        for (_, datagram) in &*seen {
            assert!(matches!(datagram[..], [20..=25, 254, 253 | 255, ..]));
        }
    }
}

/// An association, as the server has it.
pub(crate) struct Peer<'a> {
    home: &'a Home,
    pub(crate) from: SocketAddr,
    channel: ServerChannel,
    records: VecDeque<Vec<u8>>,
}

impl Peer<'_> {
    async fn flush(&mut self) {
        let mut records = Vec::new();
        self.channel.drain(&mut records);
        for datagram in datagrams(&records) {
            let sent = self.home.socket.send_to(datagram, self.from).await;
            sent.unwrap();
        }
    }

    async fn shake_hands(&mut self) -> Result<(), HandshakeError> {
        loop {
            match self.channel.handshake() {
                Handshake::Done(_) => return Ok(()),
                Handshake::Failed(error) => return Err(error.clone()),
                Handshake::WantRead => {}
            }
            let (from, datagram) = self.home.datagram().await;
            assert_eq!(from, self.from);
            self.channel.feed(&datagram);
            self.flush().await;
        }
    }

    /// The next packet; `None` at the end of the association.
    pub(crate) async fn packet(&mut self) -> Option<RawPacket> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Some(RawPacket::new(record).unwrap());
            }
            let (from, datagram) = self.home.datagram().await;
            assert_eq!(from, self.from);
            self.channel.feed(&datagram);
            let records = &mut self.records;
            let state = self
                .channel
                .read_records(&mut |record| records.push_back(record.to_vec()));
            if state != Ok(PlainState::Open) && self.records.is_empty() {
                return None;
            }
        }
    }

    async fn send(&mut self, packet: &[u8]) {
        self.channel.write_record(packet).unwrap();
        self.flush().await;
    }

    pub(crate) async fn answer(&mut self, request: &RawPacket, code: Code) {
        let answer = answer(request, code, &Secret::RADIUS_DTLS);
        self.send(&answer).await;
    }
}

/// proves: RAD-5.3-1
#[tokio::test]
async fn logins_over_dtls_by_certificate_and_by_key() {
    for auth in ["certificate", "psk"] {
        let mut home = Home::new().await;
        if auth == "psk" {
            let authority = Authority::new("of no use");
            home.clients = by_key(&authority, "core1");
        }
        let client = Client::new(vec![home.server()]).unwrap();
        let (facts, ()) = tokio::join!(
            async {
                let first = client.ask(pap()).await.unwrap();
                assert!(first.is_accept());
                assert!(client.ask(pap()).await.unwrap().is_accept());
                let alive = client.status().await.unwrap();
                assert_eq!(alive.code(), Code::ACCESS_ACCEPT);
                client.close().await;
                first.facts.tls.unwrap()
            },
            async {
                let mut peer = home.accept().await;
                for _ in 0..3 {
                    let request = peer.packet().await.unwrap();
                    peer.answer(&request, Code::ACCESS_ACCEPT).await;
                }
                assert_eq!(peer.packet().await, None, "close_notify");
            }
        );
        assert_eq!((facts.version, facts.auth), ("1.2", auth));
        assert!(facts.datagrams);
        home.saw_dtls_alone();
    }
}

/// The packet is the same, its time and its delay included, and each record is another.
/// proves: RAD-5.1-9, RAD-6.2.3-3, RAD-6.2.3-5, RAD-3.8.2-5
#[tokio::test]
async fn what_is_not_answered_is_sent_again_in_a_new_record() {
    let mut home = Home::new().await;
    let mut server = home.server();
    server.retransmit = Duration::from_millis(20);
    let client = Client::new(vec![server]).unwrap();
    let request = Request::accounting(status_type::START)
        .from_nas("core1")
        .with(kind::ACCT_DELAY_TIME, &[0, 0, 0, 7]);
    let (answered, copies) = tokio::join!(client.ask(request), async {
        let mut peer = home.accept().await;
        let before = home.seen.lock().unwrap().len();
        let first = peer.packet().await.unwrap();
        let attributes = Attributes::new(first.attributes()).unwrap();
        assert!(attributes.integer(kind::EVENT_TIMESTAMP).is_some());
        assert_eq!(attributes.integer(kind::ACCT_DELAY_TIME), Some(7));
        for _ in 0..2 {
            assert_eq!(peer.packet().await.unwrap(), first);
        }
        let seen: BTreeSet<Vec<u8>> = home.seen.lock().unwrap()[before..]
            .iter()
            .map(|(_, datagram)| datagram.clone())
            .collect();
        peer.answer(&first, Code::ACCOUNTING_RESPONSE).await;
        seen
    });
    assert_eq!(answered.unwrap().code(), Code::ACCOUNTING_RESPONSE);
    assert_eq!(copies.len(), 3);
    // Sequence numbers of one epoch that only grow.
    let numbers: BTreeSet<&[u8]> = copies.iter().map(|record| &record[3..11]).collect();
    assert_eq!(numbers.len(), 3);
}

/// By default 2 s, twice that and so on, give or take a tenth: until 30 s are over, or after five transmissions.
/// proves: RAD-3.8.2-1, RAD-3.8.2-2
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let day = Duration::from_secs(86_400);
    for patience in [Duration::from_secs(30), day] {
        let mut home = Home::new().await;
        let mut server = home.server();
        server.reply_timeout = patience;
        // Its questions would come between.
        server.watchdog = None;
        let client = Client::new(vec![server]).unwrap();
        let ask = client.ask(pap());
        tokio::pin!(ask);
        let (mut peer, first) = tokio::select! {
            _ = &mut ask => panic!("there is no answer"),
            seen = async {
                let mut peer = home.accept().await;
                let first = peer.packet().await.unwrap();
                (peer, first)
            } => seen,
        };
        // From here on nobody waits for the network, so that time may jump from one timer to the next.
        tokio::time::pause();
        let began = Instant::now();
        let mut times = vec![Duration::ZERO];
        let answered = loop {
            tokio::select! {
                answered = &mut ask => break answered,
                packet = peer.packet() => {
                    assert_eq!(packet.as_ref(), Some(&first));
                    times.push(began.elapsed());
                }
            }
        };
        let end = began.elapsed();
        tokio::time::resume();
        assert!(matches!(
            reasons(answered)[..],
            [AttemptError::ReplyTimeout]
        ));
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect();
        assert!((1.7..=2.25).contains(&gaps[0]), "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap < 17.7), "{gaps:?}");
        for pair in gaps[..3].windows(2) {
            assert!((1.85..=2.15).contains(&(pair[1] / pair[0])), "{gaps:?}");
        }
        let even = gaps.iter().all(|gap| (gap - gap.round()).abs() < 0.002);
        assert!(!even, "without jitter: {gaps:?}");
        if patience == day {
            assert_eq!(times.len(), 5, "{gaps:?}");
            assert!((40..=52).contains(&end.as_secs()), "{end:?}");
        } else {
            assert!((4..=5).contains(&times.len()), "{gaps:?}");
            assert!((29..=31).contains(&end.as_secs()), "{end:?}");
        }
        home.saw_dtls_alone();
    }
}

/// Neither the wrong server nor one that says nothing gets a packet.
/// proves: RAD-5.3-2
#[tokio::test]
async fn where_dtls_fails_nothing_else_is_sent() {
    let mut home = Home::called("aaa2.example.net").await;
    let client = Client::new(vec![home.server()]).unwrap();
    let (answered, told) = tokio::join!(client.ask(pap()), async {
        home.hello().await.shake_hands().await
    });
    let [AttemptError::Transport(error)] = &reasons(answered)[..] else {
        panic!("it was believed");
    };
    assert!(
        matches!(
            **error,
            TransportError::Handshake(HandshakeError::NameMismatch)
        ),
        "{error}"
    );
    assert!(
        matches!(told, Err(HandshakeError::PeerAlert(_))),
        "{told:?}"
    );
    home.saw_dtls_alone();

    let mut home = Home::new().await;
    let mut server = home.server();
    server.connect_timeout = crate::SHORT;
    server.retransmit = crate::SHORT / 100;
    let client = Client::new(vec![server]).unwrap();
    let reasons = reasons(client.ask(pap()).await);
    let [AttemptError::Transport(error)] = &reasons[..] else {
        panic!("{reasons:?}");
    };
    assert!(matches!(**error, TransportError::ConnectTimeout), "{error}");
    client.close().await;
    let mut octet = [0; 4096];
    while let Ok((count, from)) = home.socket.try_recv_from(&mut octet) {
        let datagram = (from, octet[..count].to_vec());
        home.seen.lock().unwrap().push(datagram);
    }
    home.saw_dtls_alone();
}

/// What has this answer is not sent again, and its id is free: all 255 are used by the next requests.
/// proves: RAD-3.6-8
#[tokio::test]
async fn protocol_error_ends_retransmission() {
    let mut home = Home::new().await;
    let mut server = home.server();
    server.retransmit = Duration::from_millis(50);
    server.max_connections = 1;
    let client = Arc::new(Client::new(vec![server]).unwrap());
    let (answered, (mut peer, refused)) = tokio::join!(client.ask(pap()), async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        let cause = error_cause::UNSUPPORTED_EXTENSION;
        let error = protocol_error(request.header(), cause, &Secret::RADIUS_DTLS);
        peer.send(&error).await;
        (peer, request)
    });
    assert!(matches!(
        reasons(answered)[..],
        [AttemptError::ProtocolError(_)]
    ));
    let mut asks = JoinSet::new();
    for _ in 0..255 {
        let client = Arc::clone(&client);
        asks.spawn(async move { client.ask(pap()).await });
    }
    let (mut ids, mut copies) = (BTreeSet::new(), 0);
    // The second copy of what has its id now comes later than one of the first would have.
    while ids.len() < 255 || copies < 2 {
        let packet = peer.packet().await.unwrap();
        assert_ne!(packet, refused);
        ids.insert(packet.header().id);
        copies += usize::from(packet.header().id == refused.header().id);
    }
}

/// A request that waits comes anew on another association, from a socket of its own.
#[tokio::test]
async fn close_notify_ends_an_association_at_once() {
    let mut home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let mut first = home.accept().await;
        let request = first.packet().await.unwrap();
        first.channel.close();
        first.flush().await;
        let mut second = home.accept().await;
        assert_ne!(first.from, second.from);
        let anew = second.packet().await.unwrap();
        assert_ne!(anew.header().authenticator, request.header().authenticator);
        second.answer(&anew, Code::ACCESS_ACCEPT).await;
    });
    assert!(answered.unwrap().is_accept());
}

/// Which of them a server speaks is not tried out: what is configured is used.
/// proves: RAD-5.3-3, RAD-5.3-4, RAD-6.5.2-1
#[tokio::test]
async fn dtls_and_udp_have_nothing_to_do_with_each_other() {
    let mut home = Home::new().await;
    let plain = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let address = ServerAddress::from_ip(address.ip(), address.port());
    let secret = Secret::new(b"squeamish ossifrage");
    let mut udp = Server::udp(address, secret.clone()).unwrap();
    udp.retransmit = Duration::from_millis(20);
    udp.reply_timeout = PATIENCE;
    let dtls = home.server();
    assert!(Client::new(vec![dtls.clone(), udp.clone()]).is_err());
    let (secure, insecure) = (
        Client::new(vec![dtls]).unwrap(),
        Client::new(vec![udp]).unwrap(),
    );
    let asks = async { tokio::join!(secure.ask(pap()), insecure.ask(pap())) };
    let over_dtls = async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
        peer.from
    };
    let over_udp = async {
        let mut octets = [0; 4096];
        // Also when it is not answered, nothing but RADIUS comes.
        for copy in 0.. {
            let (count, from) = plain.recv_from(&mut octets).await.unwrap();
            let request = RawPacket::new(octets[..count].to_vec()).unwrap();
            assert_eq!(request.header().code, Code::ACCESS_REQUEST);
            if copy == 3 {
                let accept = answer(&request, Code::ACCESS_ACCEPT, &secret);
                plain.send_to(&accept, from).await.unwrap();
                return from;
            }
        }
        unreachable!("it ends by an answer")
    };
    let (answered, from, other) = tokio::join!(asks, over_dtls, over_udp);
    assert!(answered.0.unwrap().is_accept() && answered.1.unwrap().is_accept());
    assert_ne!(from.port(), other.port());
    home.saw_dtls_alone();
}

#[tokio::test]
async fn what_is_no_server_over_dtls_is_refused() {
    let authority = Authority::new("CA");
    let tls = |datagrams| {
        let settings = ClientSettings {
            datagrams,
            ..authority.client_settings(None, Vec::new())
        };
        let policy = Arc::new(ClientPolicy::new(settings).unwrap());
        Tls::new(policy, ReferenceIdentity::parse(NAME).unwrap())
    };
    let at = |port| ServerAddress::from_ip([192, 0, 2, 1].into(), port);
    let refused = |port, datagrams| Server::dtls(at(port), tls(datagrams)).unwrap_err();
    assert_eq!(refused(1812, true), ServerError::UdpPort);
    assert_eq!(refused(2083, false), ServerError::NoDatagrams);
    assert!(Server::dtls(at(2083), tls(true)).is_ok());
    let long = by_key(&authority, &"i".repeat(257));
    assert_eq!(
        ClientPolicy::new(long).unwrap_err(),
        PolicyError::PskIdentity
    );
}
