//! The RADIUS client over TLS, against a server that a test plays step by step.

use std::sync::Arc;
use std::time::Duration;

use doorward_client::radius::{
    Answer, AttemptError, Client, Code, Error, Lost, Proof, Reconnect, Request, Secret, Server,
    status_type,
};
use doorward_client::{ServerAddress, Tls, TransportError};
use doorward_radius::RawPacket;
use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::{self, MessageAuthenticator};
use doorward_radius::build::{PacketBuilder, error_cause, protocol_error};
use doorward_radius::hidden::reveal_password;
use doorward_tls::{ClientPolicy, ClientSettings, ReferenceIdentity, ServerPolicy};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::certificates::Authority;
use crate::fake::Wire;
use crate::tls::NAME;

/// A server that speaks when it is told to.
pub(crate) struct Home {
    listener: TcpListener,
    policy: Arc<ServerPolicy>,
    clients: Arc<ClientPolicy>,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let authority = Authority::new("CA");
        let policy = authority.server_policy(&authority.server(&[NAME]));
        let device = authority.device();
        let settings = ClientSettings {
            tls12: true,
            ..authority.client_settings(Some(&device), Vec::new())
        };
        Self::with(policy, Arc::new(ClientPolicy::new(settings).unwrap())).await
    }

    async fn with(policy: ServerPolicy, clients: Arc<ClientPolicy>) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            policy: Arc::new(policy),
            clients,
        }
    }

    pub(crate) fn server(&self) -> Server {
        let address = self.listener.local_addr().unwrap();
        let address = ServerAddress::from_ip(address.ip(), address.port());
        let reference = ReferenceIdentity::parse(NAME).unwrap();
        let tls = Tls::new(Arc::clone(&self.clients), reference);
        let mut server = Server::tls(address, tls).unwrap();
        server.connect_timeout = PATIENCE;
        server.reply_timeout = PATIENCE;
        server
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, peer) = timeout(PATIENCE, self.listener.accept())
            .await
            .unwrap()
            .unwrap();
        Peer(Wire::new(stream, peer, Some(&self.policy)))
    }

    /// The next connection, whenever it comes.
    pub(crate) async fn next(&self) -> Peer {
        let (stream, peer) = self.listener.accept().await.unwrap();
        Peer(Wire::new(stream, peer, Some(&self.policy)))
    }

    /// The next connection that is used, and what comes first on it: attempts that were given up may be waiting, too.
    pub(crate) async fn used(&self) -> (Peer, RawPacket) {
        loop {
            let mut peer = self.accept().await;
            if let Some(packet) = peer.packet().await {
                return (peer, packet);
            }
        }
    }

    /// Nobody is waiting to be accepted.
    pub(crate) async fn is_quiet(&self) -> bool {
        timeout(Duration::ZERO, self.listener.accept())
            .await
            .is_err()
    }
}

/// A connection, as the server has it.
pub(crate) struct Peer(Wire);

impl Peer {
    /// The next packet; `None` at the end of the connection.
    pub(crate) async fn packet(&mut self) -> Option<RawPacket> {
        self.0.fill(20).await?;
        let length = u16::from_be_bytes([self.0.seen()[2], self.0.seen()[3]]);
        self.0.fill(length.into()).await?;
        Some(RawPacket::new(self.0.take(length.into())).unwrap())
    }

    /// Ends TLS 1.3 by a fatal alert.
    pub(crate) async fn alert(&mut self) {
        self.0.alert().await;
    }

    pub(crate) async fn answer(&mut self, request: &RawPacket, code: Code) {
        self.send(&answer(request, code, &Secret::RADSEC)).await;
    }

    /// Ends the connection in good order.
    pub(crate) async fn end(self) {
        self.0.end().await;
    }

    async fn send(&mut self, octets: &[u8]) {
        self.0.write(octets).await;
    }
}

pub(crate) fn answer(request: &RawPacket, code: Code, secret: &Secret) -> Vec<u8> {
    let mut packet = PacketBuilder::answer(code, request.header());
    if code != Code::ACCOUNTING_RESPONSE {
        packet.message_authenticator().unwrap();
    }
    packet.finish(secret)
}

pub(crate) fn pap() -> Request {
    let request = Request::access("alice", Proof::Pap(b"correct horse")).unwrap();
    request.from_nas("core1")
}

pub(crate) fn reasons(result: Result<Answer, Error>) -> Vec<AttemptError> {
    match result {
        Err(Error::Unavailable(attempts)) => {
            attempts.into_iter().map(|attempt| attempt.reason).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// What a request of ours looks like: Message-Authenticator first, the password hidden under its own authenticator.
/// proves: RAD-3.2-1, RAD-3.7-14
#[tokio::test]
async fn a_login_over_tls() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        assert_eq!(request.header().code, Code::ACCESS_REQUEST);
        assert_ne!(request.header().id, 0);
        let attributes = Attributes::new(request.attributes()).unwrap();
        assert_eq!(
            attributes.iter().next().unwrap().kind,
            kind::MESSAGE_AUTHENTICATOR
        );
        let signed =
            authenticator::message_authenticator(&request, &attributes, None, &Secret::RADSEC);
        assert_eq!(signed, MessageAuthenticator::Right);
        let hidden = attributes.first(kind::USER_PASSWORD).unwrap();
        let password =
            reveal_password(hidden, &request.header().authenticator, &Secret::RADSEC).unwrap();
        assert_eq!(*password, *b"correct horse");
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    let answered = answered.unwrap();
    assert!(answered.is_accept());
    assert_eq!(answered.facts.tls.as_ref().unwrap().version, "1.3");
}

/// proves: RAD-3.3-2
#[tokio::test]
async fn an_untrusted_server_gets_no_packet() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let policy = theirs.server_policy(&theirs.server(&[NAME]));
    let device = theirs.device();
    let home = Home::with(policy, ours.client_policy(Some(&device))).await;
    let client = Client::new(vec![home.server()]).unwrap();
    let (answered, seen) = tokio::join!(client.ask(pap()), async {
        home.accept().await.packet().await
    });
    assert_eq!(seen, None);
    let [AttemptError::Transport(error)] = &reasons(answered)[..] else {
        panic!("it was believed");
    };
    assert!(matches!(**error, TransportError::Handshake(_)), "{error}");
}

/// proves: RAD-6.2.3-1, RAD-6.2.3-2
#[tokio::test]
async fn accounting_has_the_time_of_the_event_and_no_delay() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let request = Request::accounting(status_type::START).from_nas("core1");
    let (answered, ()) = tokio::join!(client.ask(request), async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        assert!(authenticator::request_is_right(&request, &Secret::RADSEC));
        let attributes = Attributes::new(request.attributes()).unwrap();
        let seconds = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let event = u64::from(attributes.integer(kind::EVENT_TIMESTAMP).unwrap());
        assert!(event <= seconds && seconds < event + 60);
        assert_eq!(attributes.first(kind::ACCT_DELAY_TIME), None);
        peer.answer(&request, Code::ACCOUNTING_RESPONSE).await;
    });
    assert_eq!(answered.unwrap().code(), Code::ACCOUNTING_RESPONSE);
    client.close().await;
}

/// The answer to a Status-Server may have either code, and the connection is used on.
/// proves: RAD-3.7-10
#[tokio::test]
async fn a_server_that_is_there_says_so() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let ask = async {
        let alive = client.status().await.unwrap();
        let login = client.ask(pap()).await.unwrap();
        (alive.code(), login.is_accept())
    };
    let (seen, ()) = tokio::join!(ask, async {
        let mut peer = home.accept().await;
        let probe = peer.packet().await.unwrap();
        assert_eq!(
            (probe.header().code, probe.header().id),
            (Code::STATUS_SERVER, 0)
        );
        let attributes = Attributes::new(probe.attributes()).unwrap();
        let signed =
            authenticator::message_authenticator(&probe, &attributes, None, &Secret::RADSEC);
        assert_eq!(signed, MessageAuthenticator::Right);
        peer.answer(&probe, Code::ACCOUNTING_RESPONSE).await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert_eq!(seen, (Code::ACCOUNTING_RESPONSE, true));
}

/// proves: RAD-6.1.1-3, RAD-6.1.1-2
#[tokio::test]
async fn protocol_error_ends_a_request_which_the_next_server_gets() {
    let (first, second) = (Home::new().await, Home::new().await);
    let client = Client::new(vec![first.server(), second.server()]).unwrap();
    let refuse = async |home: &Home| {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        let header = request.header();
        // What is unknown is ignored.
        peer.answer(&request, Code(99)).await;
        let cause = error_cause::UNSUPPORTED_EXTENSION;
        let refused = protocol_error(header, cause, &Secret::RADSEC);
        peer.0.write(&refused).await;
        peer
    };
    let (answered, _peer, ()) = tokio::join!(client.ask(pap()), refuse(&first), async {
        let mut peer = second.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_REJECT).await;
    });
    let answered = answered.unwrap();
    assert_eq!(answered.code(), Code::ACCESS_REJECT);
    assert_eq!(answered.facts.server, second.server().address.to_string());

    let alone = Client::new(vec![first.server()]).unwrap();
    let (answered, _peer) = tokio::join!(alone.ask(pap()), refuse(&first));
    let error = answered.unwrap_err();
    assert!(error.to_string().contains("(406)"), "{error}");
    assert!(matches!(
        reasons(Err(error))[..],
        [AttemptError::ProtocolError(_)]
    ));
}

/// What is not authentic closes the connection and is no answer, Protocol-Error included.
/// proves: RAD-3.6-9
#[tokio::test]
async fn an_answer_that_is_not_authentic_is_none() {
    for code in [Code::ACCESS_ACCEPT, Code::PROTOCOL_ERROR] {
        let home = Home::new().await;
        let client = Client::new(vec![home.server()]).unwrap();
        let (answered, ()) = tokio::join!(client.ask(pap()), async {
            let mut peer = home.accept().await;
            let request = peer.packet().await.unwrap();
            let forged = answer(&request, code, &Secret::new(b"another"));
            peer.0.write(&forged).await;
            assert_eq!(peer.packet().await, None);
        });
        let [AttemptError::Lost(Lost::Refused(why))] = reasons(answered)[..] else {
            panic!("{code}");
        };
        assert!(why.contains("not authentic"), "{why}");
    }
}

/// proves: RAD-3.8.2-3, RAD-4.2-1, RAD-4.2-6
#[tokio::test]
async fn a_silent_server_gets_a_request_once_and_nobody_else_does() {
    let (silent, other) = (Home::new().await, Home::new().await);
    let mut server = silent.server();
    server.reply_timeout = crate::SHORT;
    // Far more often than it could have been sent again.
    server.retransmit = crate::SHORT / 100;
    let client = Client::new(vec![server, other.server()]).unwrap();
    let (reasons, peer) = tokio::join!(async { reasons(client.ask(pap()).await) }, async {
        let mut peer = silent.accept().await;
        peer.packet().await.unwrap();
        peer
    });
    assert!(matches!(reasons[..], [AttemptError::ReplyTimeout]));
    assert!(other.is_quiet().await);
    let mut peer = peer;
    // All that comes until the client closes.
    let ((), rest) = tokio::join!(client.close(), peer.packet());
    assert_eq!(rest, None);
}

/// Whoever asks at the same time shares one question: there is one id, and a late answer to another one would look forged.
/// proves: RAD-3.7-9
#[tokio::test]
async fn one_status_server_is_outstanding_at_a_time() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let asks = async {
        let all = tokio::join!(client.status(), client.status(), client.status());
        for answer in [all.0, all.1, all.2] {
            assert_eq!(answer.unwrap().code(), Code::ACCESS_ACCEPT);
        }
        assert_eq!(client.status().await.unwrap().code(), Code::ACCESS_ACCEPT);
        client.ask(pap()).await.unwrap().is_accept()
    };
    let (accepted, ()) = tokio::join!(asks, async {
        let mut peer = home.accept().await;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2 {
            let probe = peer.packet().await.unwrap();
            assert_eq!(probe.header().code, Code::STATUS_SERVER);
            assert!(seen.insert(probe.header().authenticator));
            peer.answer(&probe, Code::ACCESS_ACCEPT).await;
        }
        let request = peer.packet().await.unwrap();
        assert_eq!(request.header().code, Code::ACCESS_REQUEST);
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(accepted);
}

/// A static connection is tried again and again, whoever asks meanwhile.
/// proves: RAD-3.8.1-3, RAD-3.8.1-4, RAD-3.8.1-5, RAD-3.8.1-7, RAD-3.8.1-11
#[tokio::test]
async fn attempts_come_when_the_back_off_says() {
    let tenth = Duration::from_millis(100);
    let gaps = async |floor: Duration, ceiling: Duration, count: usize| {
        let home = Home::new().await;
        let mut server = home.server();
        server.reconnect = Reconnect::new(floor, ceiling);
        server.keep_open = true;
        let client = Client::new(vec![server]).unwrap();
        let (answered, ()) = tokio::join!(client.ask(pap()), async {
            drop(home.accept().await);
        });
        _ = reasons(answered);
        let mut last = std::time::Instant::now();
        let mut gaps = Vec::new();
        for _ in 0..count {
            // One that is asked in between is told so at once, and changes nothing.
            let seen = reasons(client.ask(pap()).await);
            assert!(
                matches!(seen[..], [AttemptError::Waiting { .. }]),
                "{seen:?}"
            );
            drop(home.accept().await);
            gaps.push(last.elapsed().as_millis());
            last = std::time::Instant::now();
            // The client has yet to see that it was refused.
            while !matches!(
                reasons(client.ask(pap()).await)[..],
                [AttemptError::Waiting { .. }]
            ) {}
        }
        gaps
    };
    let (short, long) = tokio::join!(
        gaps(tenth, Duration::from_secs(1), 3),
        gaps(Duration::from_secs(2), Duration::from_secs(4), 1)
    );
    // Below half a second is half a second; then a second, which is the most. The clock of the test starts a little late.
    let most = 20_000;
    assert!((450..most).contains(&short[0]), "{short:?}");
    assert!((850..most).contains(&short[1]), "{short:?}");
    assert!((850..most).contains(&short[2]), "{short:?}");
    assert!((1950..most).contains(&long[0]), "{long:?}");
}

/// An id that comes back by a late answer is of use to whoever waits for one, where not most of them are gone.
#[tokio::test]
async fn ids_that_come_back_late_are_used() {
    let home = Home::new().await;
    let mut server = home.server();
    server.max_connections = 1;
    server.watchdog = None;
    server.reply_timeout = Duration::from_secs(2);
    let client = Arc::new(Client::new(vec![server]).unwrap());
    let ask = |asks: &mut tokio::task::JoinSet<_>, count| {
        for _ in 0..count {
            let client = Arc::clone(&client);
            asks.spawn(async move { reasons(client.ask(pap()).await) });
        }
    };
    let (mut late, mut others) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
    ask(&mut late, 100);
    let (mut peer, mut held) = (home.accept().await, Vec::new());
    for _ in 0..100 {
        held.push(peer.packet().await.unwrap());
    }
    for seen in late.join_all().await {
        assert!(matches!(seen[..], [AttemptError::ReplyTimeout]));
    }
    ask(&mut others, 155);
    for _ in 0..155 {
        peer.packet().await.unwrap();
    }
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        peer.answer(&held[7], Code::ACCESS_REJECT).await;
        let request = peer.packet().await.unwrap();
        assert_eq!(request.header().id, held[7].header().id);
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(answered.unwrap().is_accept());
}

/// Where most of the ids are those of requests that had no answer, there is another connection in its place, also where there may be
/// only one: nobody waits until they may be used again.
#[tokio::test]
async fn ids_that_do_not_come_back_are_not_waited_for() {
    let home = Home::new().await;
    let mut server = home.server();
    server.max_connections = 1;
    server.watchdog = None;
    server.reply_timeout = crate::SHORT;
    let client = Arc::new(Client::new(vec![server]).unwrap());
    let mut asks = tokio::task::JoinSet::new();
    for _ in 0..255 {
        let client = Arc::clone(&client);
        asks.spawn(async move { reasons(client.ask(pap()).await) });
    }
    let mut spent = home.accept().await;
    for _ in 0..255 {
        spent.packet().await.unwrap();
    }
    for seen in asks.join_all().await {
        assert!(matches!(seen[..], [AttemptError::ReplyTimeout]));
    }
    assert_eq!(spent.packet().await, None);
    let next = async {
        let (mut peer, request) = home.used().await;
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    };
    let (answered, ()) = tokio::join!(client.ask(pap()), next);
    assert!(answered.unwrap().is_accept());
}

/// What waits on a connection that ends by a bad answer moves to another one of the same server, but for the request that
/// was answered so.
#[tokio::test]
async fn a_bad_answer_ends_no_other_request() {
    let (home, other) = (Home::new().await, Home::new().await);
    let client = Client::new(vec![home.server(), other.server()]).unwrap();
    let client = Arc::new(client);
    let mut asks = tokio::task::JoinSet::new();
    let mut ask = || {
        let client = Arc::clone(&client);
        asks.spawn(async move { client.ask(pap()).await.unwrap().is_accept() });
    };
    (0..255).for_each(|_| ask());
    let mut first = home.accept().await;
    let bad = first.packet().await.unwrap();
    for _ in 1..254 {
        first.packet().await.unwrap();
    }
    let answered = first.packet().await.unwrap();
    ask();
    let mut second = home.accept().await;
    let kept = second.packet().await.unwrap();
    // The others fit beside that one.
    first.answer(&answered, Code::ACCESS_ACCEPT).await;
    assert!(asks.join_next().await.unwrap().unwrap());
    let forged = answer(&bad, Code::ACCESS_ACCEPT, &Secret::new(b"another"));
    first.send(&forged).await;
    for _ in 0..253 {
        let request = second.packet().await.unwrap();
        second.answer(&request, Code::ACCESS_ACCEPT).await;
    }
    second.answer(&kept, Code::ACCESS_ACCEPT).await;
    let (mut next, request) = other.used().await;
    next.answer(&request, Code::ACCESS_ACCEPT).await;
    let all = asks.join_all().await;
    assert!(all.len() == 255 && all.into_iter().all(|accepted| accepted));
    assert!(other.is_quiet().await, "more went to the other server");
}

/// proves: RAD-3.7-1, RAD-3.7-2
#[tokio::test]
async fn a_reset_ends_a_connection_at_once() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let ask = async {
        assert!(client.ask(pap()).await.unwrap().is_accept());
        client.ask(pap()).await.unwrap().is_accept()
    };
    let (accepted, ()) = tokio::join!(ask, async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
        peer.packet().await.unwrap();
        peer.0.reset();
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(accepted);
}

/// proves: RAD-3.8.2-4, RAD-4.2-2, RAD-4.2-4
#[tokio::test]
async fn what_was_not_answered_comes_anew_on_the_next_connection() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let ask = async {
        assert!(client.ask(pap()).await.unwrap().is_accept());
        client.ask(pap()).await.unwrap()
    };
    let (answered, ()) = tokio::join!(ask, async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
        let lost = peer.packet().await.unwrap();
        peer.0.end().await;
        let mut peer = home.accept().await;
        let again = peer.packet().await.unwrap();
        assert_ne!(lost.header().authenticator, again.header().authenticator);
        let attributes = Attributes::new(again.attributes()).unwrap();
        let signed =
            authenticator::message_authenticator(&again, &attributes, None, &Secret::RADSEC);
        assert_eq!(signed, MessageAuthenticator::Right);
        let hidden = attributes.first(kind::USER_PASSWORD).unwrap();
        let password = reveal_password(hidden, &again.header().authenticator, &Secret::RADSEC);
        assert_eq!(*password.unwrap(), *b"correct horse");
        peer.answer(&again, Code::ACCESS_REJECT).await;
    });
    assert_eq!(answered.code(), Code::ACCESS_REJECT);
}

/// proves: RAD-4.2-7
#[tokio::test]
async fn a_server_that_is_gone_is_followed_by_the_next() {
    let (first, second) = (Home::new().await, Home::new().await);
    let client = Client::new(vec![first.server(), second.server()]).unwrap();
    let (answered, ()) = tokio::join!(client.ask(pap()), async {
        let mut peer = first.accept().await;
        peer.packet().await.unwrap();
        drop(first);
        drop(peer);
        let mut peer = second.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(answered.unwrap().is_accept());
}

/// The server closes in the handshake, or does not accept our certificate, which TLS 1.3 tells after our Finished.
/// proves: RAD-3.8.1-1, RAD-3.8.1-2, RAD-3.8.1-10
#[tokio::test]
async fn a_failed_attempt_is_not_repeated_at_once() {
    for hangs_up in [true, false] {
        let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
        let policy = theirs.server_policy(&theirs.server(&[NAME]));
        let device = ours.device();
        let clients = theirs.client_policy(Some(&device));
        let home = Home::with(policy, clients).await;
        let mut server = home.server();
        server.reconnect = Reconnect::new(PATIENCE, PATIENCE);
        let client = Client::new(vec![server]).unwrap();
        let (answered, ()) = tokio::join!(client.ask(pap()), async {
            let mut peer = home.accept().await;
            if !hangs_up {
                assert_eq!(peer.packet().await, None);
            }
        });
        let [AttemptError::Transport(error)] = &reasons(answered)[..] else {
            panic!("not refused");
        };
        let refused = matches!(**error, TransportError::RefusedAfterHandshake(Some(_)));
        assert_eq!(refused, !hangs_up, "{error}");
        for _ in 0..3 {
            let reasons = reasons(client.ask(pap()).await);
            assert!(matches!(reasons[..], [AttemptError::Waiting { .. }]));
        }
        assert!(home.is_quiet().await);
    }
}

/// proves: RAD-3.5-7, RAD-3.8.1-6
#[tokio::test]
async fn a_refused_resumption_is_followed_by_a_full_handshake() {
    let home = Home::new().await;
    let mut server = home.server();
    // Whatever comes later than at once does not come at all.
    server.reconnect = Reconnect::new(PATIENCE * 10, PATIENCE * 10);
    let first = Client::new(vec![server.clone()]).unwrap();
    let (answered, ()) = tokio::join!(first.ask(pap()), async {
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(!answered.unwrap().facts.tls.unwrap().resumed);
    first.close().await;

    let second = Client::new(vec![server]).unwrap();
    let (answered, ()) = tokio::join!(second.ask(pap()), async {
        let mut peer = home.accept().await;
        // It was resumed: the request is there.
        peer.packet().await.unwrap();
        peer.0.end().await;
        let mut peer = home.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
    });
    assert!(!answered.unwrap().facts.tls.unwrap().resumed);
}

/// proves: RAD-3.7-14, RAD-3.7-15
#[tokio::test]
async fn more_than_255_requests_take_another_connection() {
    let home = Home::new().await;
    let client = Client::new(vec![home.server()]).unwrap();
    let asks = async {
        let mut asks = tokio::task::JoinSet::new();
        let client = Arc::new(client);
        for _ in 0..300 {
            let client = Arc::clone(&client);
            asks.spawn(async move { client.ask(pap()).await.unwrap().is_accept() });
        }
        asks.join_all().await
    };
    let serve = async {
        let mut first = home.accept().await;
        let mut held = Vec::new();
        for _ in 0..255 {
            held.push(first.packet().await.unwrap());
        }
        let ids: std::collections::BTreeSet<u8> =
            held.iter().map(|packet| packet.header().id).collect();
        assert!(ids.len() == 255 && !ids.contains(&0));
        let mut second = home.accept().await;
        for _ in 255..300 {
            let request = second.packet().await.unwrap();
            second.answer(&request, Code::ACCESS_ACCEPT).await;
        }
        for request in &held {
            first.answer(request, Code::ACCESS_ACCEPT).await;
        }
        (first, second)
    };
    let (answered, _open) = tokio::join!(asks, serve);
    assert_eq!(answered.len(), 300);
    assert!(answered.into_iter().all(|accepted| accepted));
}

/// proves: RAD-3.1-8, RAD-7.1-3
#[tokio::test]
async fn tls_and_udp_are_never_mixed() {
    let home = Home::new().await;
    let address = home.server().address;
    let udp = Server::udp(address, Secret::new(b"0123456789abcdef")).unwrap();
    let mixed = Client::new(vec![home.server(), udp]);
    assert!(matches!(mixed, Err(Error::Mixed)));
    for port in [1812, 1813, 3799, 1645, 1646] {
        let reference = ReferenceIdentity::parse(NAME).unwrap();
        let tls = Tls::new(Arc::clone(&home.clients), reference);
        let address = ServerAddress::from_ip([192, 0, 2, 1].into(), port);
        assert!(Server::tls(address, tls).is_err());
    }
    let radsec = ServerAddress::from_ip([192, 0, 2, 1].into(), 2083);
    assert!(Server::udp(radsec, Secret::new(b"0123456789abcdef")).is_err());
}
