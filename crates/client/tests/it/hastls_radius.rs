//! The RADIUS client and HASTLS records: without TLS, with it, and with a fall-back that somebody wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use doorward_client::dns::Resolver;
use doorward_client::hastls::{Forbidden, Mode, Refusal};
use doorward_client::radius::{
    Aim, AttemptError, Carriage, Client, Code, Secret, Server, ServerError,
};
use doorward_client::{Tls, TransportError};
use doorward_radius::RawPacket;
use doorward_tls::{ClientPolicy, ReferenceIdentity};
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use crate::hastls::{at, forbidden, heed, hosts, resolver};
use crate::log::Log;
use crate::radius::{Home, answer, pap, reasons};
use crate::radius_udp::SECRET;
use crate::zones::{NameServer, Zones};
use crate::{PATIENCE, tls};

/// What came to a server.
#[derive(Default)]
struct Seen {
    /// Connections over TLS, whatever became of them.
    connections: AtomicUsize,
    /// Packets without TLS.
    datagrams: AtomicUsize,
    /// The test's own.
    marks: AtomicUsize,
    marked: Notify,
}

/// A home server for both forms on one host, and a name server that knows it.
struct Site {
    clients: Arc<ClientPolicy>,
    secure: u16,
    plain: u16,
    seen: Arc<Seen>,
    _dns: NameServer,
    resolver: Resolver,
}

/// What a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    /// CIO.
    Udp,
    /// CSO.
    Tls,
    /// CFB.
    Both,
}

/// What one request came to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// An answer over TLS.
    Tls,
    /// An answer over UDP, and whether TLS was tried.
    Udp { tried: bool },
    /// None, after TLS was tried and nothing else.
    TlsFailed,
    /// Nobody was connected to.
    Refused(Refusal),
}

impl Site {
    /// `records` is told the ports with TLS and without.
    async fn new(records: impl FnOnce(u16, u16) -> String) -> Self {
        let home = Home::new().await;
        let known = home.server();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (secure, plain) = (known.address.port(), socket.local_addr().unwrap().port());
        let Carriage::Tls(tls) = known.carriage else {
            panic!("it is for TLS");
        };
        let seen = Arc::<Seen>::default();
        tokio::spawn(serve_tls(home, Arc::clone(&seen)));
        tokio::spawn(serve_udp(socket, Arc::clone(&seen)));
        let zones = Zones::of(&records(secure, plain));
        let dns = zones.knot();
        Self {
            clients: tls.policy,
            secure,
            plain,
            seen,
            resolver: resolver(dns.address, &zones),
            _dns: dns,
        }
    }

    fn udp(&self, host: &str) -> Server {
        let server = Server::udp(at(host, self.plain), Secret::new(SECRET));
        Server {
            reply_timeout: PATIENCE,
            ..server.unwrap()
        }
    }

    /// A client of this host; `works` says whether the server can prove that it is the right one.
    fn server(&self, host: &str, has: Has, works: bool, mode: Mode) -> Server {
        let name = if works { tls::NAME } else { "aaa2.example.net" };
        let reference = ReferenceIdentity::parse(name).unwrap();
        let tls = Tls::new(Arc::clone(&self.clients), reference);
        let secure = Server::tls(at(host, self.secure), tls).unwrap();
        let mut server = match has {
            Has::Udp => self.udp(host),
            Has::Tls => secure,
            Has::Both => secure.with_fallback(self.udp(host)).unwrap(),
        };
        (server.connect_timeout, server.reply_timeout) = (PATIENCE, PATIENCE);
        server.hastls = (mode != Mode::Off).then(|| heed(mode, &self.resolver));
        server
    }

    fn count(&self) -> (usize, usize) {
        let Seen {
            connections,
            datagrams,
            ..
        } = &*self.seen;
        (
            connections.load(Ordering::SeqCst),
            datagrams.load(Ordering::SeqCst),
        )
    }

    /// Until everything that was sent has been seen.
    async fn settle(&self) {
        let before = self.seen.marks.load(Ordering::SeqCst);
        let ours = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        ours.send_to(b"!", ("127.0.0.1", self.plain)).await.unwrap();
        let seen = async {
            while self.seen.marks.load(Ordering::SeqCst) == before {
                self.seen.marked.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap();
    }

    async fn came(&self, server: Server) -> Came {
        let before = self.count();
        let client = Client::new(vec![server]).unwrap();
        let answered = client.ask(pap()).await;
        self.settle().await;
        client.close().await;
        let after = self.count();
        let tried = after.0 > before.0;
        let (secure, plain) = match &answered {
            Ok(answer) => (answer.facts.tls.is_some(), answer.facts.tls.is_none()),
            Err(_) => (false, false),
        };
        assert_eq!(after.1 > before.1, plain, "{answered:?}");
        if secure {
            return Came::Tls;
        }
        if plain {
            return Came::Udp { tried };
        }
        let reason = reasons(answered).pop().unwrap();
        let AttemptError::Transport(error) = reason else {
            panic!("{reason:?}");
        };
        if tried {
            assert!(matches!(*error, TransportError::Handshake(_)), "{error}");
            return Came::TlsFailed;
        }
        match forbidden(&error) {
            Forbidden::Record(refusal) => Came::Refused(refusal),
            Forbidden::Address => panic!("it has a name"),
        }
    }
}

async fn serve_tls(home: Home, seen: Arc<Seen>) {
    loop {
        let mut peer = home.next().await;
        seen.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            while let Some(request) = peer.packet().await {
                peer.answer(&request, Code::ACCESS_ACCEPT).await;
            }
        });
    }
}

async fn serve_udp(socket: UdpSocket, seen: Arc<Seen>) {
    let mut octets = vec![0; 4096];
    while let Ok((count, from)) = socket.recv_from(&mut octets).await {
        let Ok(request) = RawPacket::new(octets[..count].to_vec()) else {
            seen.marks.fetch_add(1, Ordering::SeqCst);
            seen.marked.notify_one();
            continue;
        };
        seen.datagrams.fetch_add(1, Ordering::SeqCst);
        let answer = answer(&request, Code::ACCESS_ACCEPT, &Secret::new(SECRET));
        socket.send_to(&answer, from).await.unwrap();
    }
}

/// All policies and records, with TLS that works and TLS that does not.
///
/// proves: HAS-2-1, HAS-2-2, HAS-2-3, HAS-4-4, HAS-4-7, HAS-4-8, HAS-4-9
#[tokio::test]
async fn each_policy_has_its_way_with_each_record() {
    let site = Site::new(|secure, plain| {
        hosts(&[
            ("sio", &[(plain, 0)]),
            ("sso", &[(0, secure)]),
            ("only", &[(0, 2083)]),
            ("ssb", &[(plain, secure)]),
            ("usual", &[(1812, 0)]),
        ])
    })
    .await;
    let refused = Came::Refused;
    let table = [
        ("none", Has::Udp, true, Came::Udp { tried: false }),
        ("none", Has::Tls, true, Came::Tls),
        ("none", Has::Tls, false, Came::TlsFailed),
        ("none", Has::Both, true, Came::Tls),
        ("none", Has::Both, false, Came::Udp { tried: true }),
        ("sio", Has::Udp, true, Came::Udp { tried: false }),
        ("usual", Has::Tls, true, refused(Refusal::InsecureOnly)),
        ("sio", Has::Both, true, Came::Udp { tried: false }),
        ("only", Has::Udp, true, refused(Refusal::SecureOnly)),
        ("sso", Has::Tls, true, Came::Tls),
        ("sso", Has::Both, true, Came::Tls),
        ("sso", Has::Both, false, Came::TlsFailed),
        ("ssb", Has::Udp, true, Came::Udp { tried: false }),
        ("ssb", Has::Tls, true, Came::Tls),
        ("ssb", Has::Tls, false, Came::TlsFailed),
        ("ssb", Has::Both, true, Came::Tls),
        ("ssb", Has::Both, false, Came::Udp { tried: true }),
    ];
    for (host, has, works, expected) in table {
        let server = site.server(&format!("{host}.example"), has, works, Mode::Use);
        assert_eq!(site.came(server).await, expected, "{host} {has:?} {works}");
    }
}

/// A fall-back has to be wanted, and is told of each time.
///
/// proves: HAS-4-12
#[tokio::test]
async fn a_fall_back_is_wanted_and_told_of() {
    let site = Site::new(|secure, plain| hosts(&[("ssb", &[(plain, secure)])])).await;
    let (log, _guard) = Log::start();
    let unwanted = site.server("ssb.example", Has::Tls, false, Mode::Use);
    assert_eq!(site.came(unwanted).await, Came::TlsFailed);
    assert!(!log.text().contains("goes by RADIUS/UDP"), "{}", log.text());
    let wanted = site.server("ssb.example", Has::Both, false, Mode::Use);
    assert_eq!(site.came(wanted).await, Came::Udp { tried: true });
    let text = log.text();
    assert!(
        text.contains("WARN") && text.contains("goes by RADIUS/UDP, as configured"),
        "{text}"
    );
    for wrong in [
        site.udp("ssb.example")
            .with_fallback(site.udp("ssb.example")),
        site.server("ssb.example", Has::Tls, true, Mode::Off)
            .with_fallback(site.server("ssb.example", Has::Tls, true, Mode::Off)),
    ] {
        assert_eq!(wrong.err(), Some(ServerError::Fallback));
    }
}

/// What whoever is on the way may have written takes nobody's TLS away.
///
/// proves: HAS-6-1
#[tokio::test]
async fn an_unsigned_record_opens_no_way() {
    let site = Site::new(|_, plain| hosts(&[("sio", &[(plain, 0)]), ("only", &[(0, 2083)])])).await;
    let proved = site.server("sio.example", Has::Both, true, Mode::Use);
    assert_eq!(site.came(proved).await, Came::Udp { tried: false });
    for zone in ["plain.example", "late.example"] {
        let spoofed = site.server(&format!("sio.{zone}"), Has::Both, true, Mode::Use);
        assert_eq!(site.came(spoofed).await, Came::Tls, "{zone}");
        // As without a record.
        let spoofed = site.server(&format!("only.{zone}"), Has::Both, false, Mode::Use);
        assert_eq!(
            site.came(spoofed).await,
            Came::Udp { tried: true },
            "{zone}"
        );
        let spoofed = site.server(&format!("only.{zone}"), Has::Udp, true, Mode::Use);
        assert_eq!(
            site.came(spoofed).await,
            Came::Udp { tried: false },
            "{zone}"
        );
    }
}

/// Who passes requests on has to know by which secret the answer was made.
#[tokio::test]
async fn an_answer_by_the_fall_back_has_its_secret() {
    let site = Site::new(|_, plain| hosts(&[("ssb", &[(plain, 2083)])])).await;
    for (works, secret) in [(true, Secret::RADSEC), (false, Secret::new(SECRET))] {
        let server = site.server("none.example", Has::Both, works, Mode::Use);
        let client = Client::new(vec![server]).unwrap();
        let passed = client.pass(Arc::new(pap()), Aim::Any).await.unwrap();
        assert_eq!(passed.secret.octets(), secret.octets());
        client.close().await;
    }
}
