//! 1,024 accounting requests at once through the proxy to a home server that stalls, drops, repeats, forges, answers late, dies and
//! refuses: what it acknowledged in time is with the client exactly once, and every other request is refused.
//!
//! ```text
//! clients ── 4 × 256 ──▶ Doorward ──▶ home server: nothing is answered before every request has come, then each by its fate;
//!                                     then (TLS) one connection dies after the other
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::answer_is_right;
use doorward_radius::build::{PacketBuilder, error_cause, protocol_error};
use doorward_radius::{Code, RawPacket, Secret};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::harness::{PATIENCE, Place, Server, stdout};
use crate::radius_wire::Device;

/// Connections of clients, and the identifiers of each.
const CLIENTS: usize = 4;
const IDS: usize = 256;
const ALL: usize = CLIENTS * IDS;

/// For an answer of the home server: transmissions over UDP are at 0, 2 and 6 seconds.
const TIMEOUT: &str = "8s";

const HOME_SECRET: &str = "the-secret-of-the-home-server";

/// What becomes of a request, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// The same answer comes twice, while its identifier is not used again.
    Twice,
    /// After all the others, in the opposite order.
    Last,
    /// Nothing at first: over UDP until it is sent again, over TLS until its connection has died.
    Again,
    /// Nothing.
    Never,
    /// Only once the client has been refused.
    Late,
    /// A Protocol-Error, which is for its hop alone.
    Refused,
    /// Over UDP an answer with a wrong authenticator comes first, and nothing is wrong over TLS.
    Forged,
}

impl Fate {
    fn of(number: usize) -> Self {
        match number % 8 {
            0 => Self::Answered,
            1 => Self::Twice,
            2 => Self::Last,
            3 => Self::Again,
            4 => Self::Never,
            5 => Self::Late,
            6 => Self::Refused,
            _ => Self::Forged,
        }
    }

    fn is_accepted(self) -> bool {
        match self {
            Self::Answered | Self::Twice | Self::Last | Self::Again | Self::Forged => true,
            Self::Never | Self::Late | Self::Refused => false,
        }
    }
}

/// Acct-Session-Id: the round and the number of a request.
fn session(round: usize, number: usize) -> String {
    format!("r{round}-{number:04}")
}

fn number(session: &str) -> (usize, usize) {
    let (round, number) = session[1..].split_once('-').unwrap();
    (round.parse().unwrap(), number.parse().unwrap())
}

fn attribute(packet: &RawPacket, kind: u8) -> Option<String> {
    let attributes = Attributes::new(packet.attributes()).unwrap();
    let value = attributes.first(kind)?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

/// A request as it came: on which connection or from where.
#[derive(Clone)]
struct Received {
    connection: usize,
    from: SocketAddr,
    packet: RawPacket,
}

/// Identifier and authenticator: what is the same is the same request, sent again.
type Sent = (u8, [u8; 16]);

fn sent(packet: &RawPacket) -> Sent {
    let header = packet.header();
    (header.id, header.authenticator)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is answered.
    Gathering,
    /// By the fates.
    Answering,
    /// What is late goes out.
    Released,
}

/// What the home server has received and done.
struct Book {
    over_tls: bool,
    secret: Secret,
    stage: Stage,
    /// The last of each session.
    received: BTreeMap<String, Received>,
    /// How often each session came, whatever its packet was.
    times: HashMap<String, usize>,
    acknowledged: HashMap<String, Sent>,
    /// Sessions that were acknowledged and came again as other requests.
    doubled: Vec<String>,
    /// By connection.
    outgoing: HashMap<usize, Vec<(Vec<u8>, SocketAddr)>>,
    connections: usize,
    /// Connections that end one after the other, the last first.
    dying: Vec<usize>,
    dead: HashSet<usize>,
    /// Those of the dead whose client has noticed.
    buried: usize,
}

impl Book {
    fn send(&mut self, to: &Received, octets: Vec<u8>) {
        let outgoing = self.outgoing.entry(to.connection).or_default();
        outgoing.push((octets, to.from));
    }

    /// Says whose answer it is, and gives the Proxy-States back.
    fn answer(&self, session: &str, packet: &RawPacket) -> Vec<u8> {
        let mut answer = PacketBuilder::answer(Code::ACCOUNTING_RESPONSE, packet.header());
        answer
            .push(kind::REPLY_MESSAGE, session.as_bytes())
            .unwrap();
        let attributes = Attributes::new(packet.attributes()).unwrap();
        for state in attributes.all(kind::PROXY_STATE) {
            answer.push(kind::PROXY_STATE, state).unwrap();
        }
        answer.finish(&self.secret)
    }

    fn acknowledge(&mut self, session: &str, times: usize) {
        let to = self.received[session].clone();
        let octets = self.answer(session, &to.packet);
        for _ in 0..times {
            self.send(&to, octets.clone());
        }
        self.acknowledged
            .insert(session.to_owned(), sent(&to.packet));
    }

    fn receive(&mut self, received: Received) {
        let session = attribute(&received.packet, kind::ACCT_SESSION_ID).unwrap();
        *self.times.entry(session.clone()).or_default() += 1;
        self.received.insert(session.clone(), received.clone());
        if let Some(before) = self.acknowledged.get(&session) {
            if *before == sent(&received.packet) {
                let octets = self.answer(&session, &received.packet);
                self.send(&received, octets);
            } else {
                self.doubled.push(session);
            }
            return;
        }
        let (round, number) = number(&session);
        if round > 0 {
            return self.acknowledge(&session, 1);
        }
        match self.stage {
            Stage::Gathering if self.received.len() == ALL => self.begin(),
            Stage::Gathering => {}
            // What had no answer the first time.
            Stage::Answering | Stage::Released => match Fate::of(number) {
                Fate::Refused => self.refuse(&session),
                Fate::Never | Fate::Late => {}
                Fate::Answered | Fate::Twice | Fate::Last | Fate::Again | Fate::Forged => {
                    self.acknowledge(&session, 1);
                }
            },
        }
    }

    fn refuse(&mut self, session: &str) {
        let to = self.received[session].clone();
        let cause = error_cause::UNSUPPORTED_EXTENSION;
        let octets = protocol_error(to.packet.header(), cause, &self.secret);
        self.send(&to, octets);
    }

    fn begin(&mut self) {
        self.stage = Stage::Answering;
        let sessions: Vec<String> = self.received.keys().cloned().collect();
        for session in &sessions {
            match Fate::of(number(session).1) {
                Fate::Answered => self.acknowledge(session, 1),
                Fate::Twice => self.acknowledge(session, 2),
                Fate::Refused => self.refuse(session),
                Fate::Forged => {
                    if !self.over_tls {
                        let to = self.received[session].clone();
                        let mut octets = self.answer("somebody else's", &to.packet);
                        octets[10] ^= 1;
                        self.send(&to, octets);
                    }
                    self.acknowledge(session, 1);
                }
                Fate::Last | Fate::Again | Fate::Never | Fate::Late => {}
            }
        }
        for session in sessions.iter().rev() {
            if Fate::of(number(session).1) == Fate::Last {
                self.acknowledge(session, 1);
            }
        }
    }

    /// Whether this connection ends now: the next one does once the client has noticed the end of those before it, and has asked
    /// again what was lost with them. It does so once only, and two that end together could each be the other's second one.
    fn dies(&mut self, connection: usize) -> bool {
        let lost = |(session, received): (&String, &Received)| {
            self.dead.contains(&received.connection)
                && Fate::of(number(session).1) == Fate::Again
                && !self.acknowledged.contains_key(session)
        };
        let noticed = self.buried == self.dead.len() && !self.received.iter().any(lost);
        if self.dying.last() != Some(&connection) || !noticed {
            return false;
        }
        self.dying.pop();
        self.dead.insert(connection)
    }

    /// Answers what is late: by now nobody waits for it.
    fn release(&mut self) {
        self.stage = Stage::Released;
        let sessions: Vec<String> = self.received.keys().cloned().collect();
        for session in sessions {
            if Fate::of(number(&session).1) == Fate::Late {
                let to = self.received[&session].clone();
                let octets = self.answer(&session, &to.packet);
                self.send(&to, octets);
            }
        }
    }
}

/// The home server, which ends with the test's process.
struct Home {
    book: Arc<Mutex<Book>>,
    port: u16,
}

impl Home {
    fn start(place: &Place, over_tls: bool) -> Self {
        let secret = match over_tls {
            true => Secret::RADSEC,
            false => Secret::new(HOME_SECRET.as_bytes()),
        };
        let book = Arc::new(Mutex::new(Book {
            over_tls,
            secret,
            stage: Stage::Gathering,
            received: BTreeMap::new(),
            times: HashMap::new(),
            acknowledged: HashMap::new(),
            doubled: Vec::new(),
            outgoing: HashMap::new(),
            connections: 0,
            dying: Vec::new(),
            dead: HashSet::new(),
            buried: 0,
        }));
        let port = match over_tls {
            true => listen_tls(place, &book),
            false => listen_udp(&book),
        };
        Self { book, port }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }
}

/// How long a connection waits for a packet before it looks whether there is something to send.
const LOOK: Duration = Duration::from_millis(2);

fn listen_udp(book: &Arc<Mutex<Book>>) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let book = Arc::clone(book);
    std::thread::spawn(move || {
        let mut buffer = [0; 4097];
        loop {
            let received = socket.recv_from(&mut buffer);
            let mut book = book.lock().unwrap();
            if let Ok((length, from)) = received {
                let packet = RawPacket::new(buffer[..length].to_vec()).unwrap();
                let connection = 0;
                book.receive(Received {
                    connection,
                    from,
                    packet,
                });
            }
            for (octets, to) in book.outgoing.remove(&0).unwrap_or_default() {
                // The proxy may have gone at the end of the test.
                _ = socket.send_to(&octets, to);
            }
        }
    });
    port
}

fn listen_tls(place: &Place, book: &Arc<Mutex<Book>>) -> u16 {
    let chain = CertificateDer::pem_file_iter(place.path("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(place.path("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let book = Arc::clone(book);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (config, book) = (Arc::clone(&config), Arc::clone(&book));
            let connection = book.lock().unwrap().connections;
            book.lock().unwrap().connections += 1;
            std::thread::spawn(move || serve_tls(socket.unwrap(), config, &book, connection));
        }
    });
    port
}

fn serve_tls(
    mut socket: TcpStream,
    config: Arc<rustls::ServerConfig>,
    book: &Mutex<Book>,
    connection: usize,
) {
    let from = socket.peer_addr().unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let mut tls = rustls::ServerConnection::new(config).unwrap();
    let mut plain = Vec::new();
    loop {
        match tls.read_tls(&mut socket) {
            Ok(0) => return,
            Ok(_) => {
                // A client that has gone may have left half a record.
                let Ok(state) = tls.process_new_packets() else {
                    return;
                };
                let mut octets = vec![0; state.plaintext_bytes_to_read()];
                tls.reader().read_exact(&mut octets).unwrap();
                plain.extend(octets);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        let mut now = book.lock().unwrap();
        while let Some(length) = plain.get(2..4) {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if plain.len() < length {
                break;
            }
            let packet = RawPacket::new(plain.drain(..length).collect::<Vec<u8>>()).unwrap();
            now.receive(Received {
                connection,
                from,
                packet,
            });
        }
        for (octets, _) in now.outgoing.remove(&connection).unwrap_or_default() {
            tls.writer().write_all(&octets).unwrap();
        }
        let dies = now.dies(connection);
        drop(now);
        if dies {
            tls.send_close_notify();
        }
        while tls.wants_write() {
            if tls.write_tls(&mut socket).is_err() {
                return;
            }
        }
        if dies {
            // What is not read any more is not acknowledged either; a reset would take answers with it.
            _ = socket.shutdown(Shutdown::Write);
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            _ = socket.read_to_end(&mut Vec::new());
            book.lock().unwrap().buried += 1;
            return;
        }
    }
}

/// The demo with a pool of that server.
fn proxy(home: &Home, place: &Place) -> Server {
    let pool = match home.book().over_tls {
        true => format!(
            "servers = [\"radius-tls://127.0.0.1:{}\"]\ntls = \"upstream\"\nserver_name = \"aaa1.doorward.test\"\n",
            home.port
        ),
        false => format!(
            "servers = [\"radius-udp://127.0.0.1:{}\"]\nsecret = \"file:home.secret\"\n",
            home.port
        ),
    };
    let text = format!(
        "\n[tls.upstream]\ncertificate = \"core1.pem\"\nkey = \"file:core1.key\"\nclient_ca = [\"ca.pem\"]\ncrl = [\"ca.crl\"]\n\
         [[pool]]\nname = \"home\"\n{pool}timeout = \"{TIMEOUT}\"\nwatchdog = \"off\"\n\
         [[route]]\nrealm = \"example.org\"\npool = \"home\"\n"
    );
    std::fs::write(place.path("home.secret"), HOME_SECRET).unwrap();
    std::fs::write(place.path("old-sw7.radius"), crate::radius_udp::OLD).unwrap();
    let before = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), before + &text).unwrap();
    place.start()
}

fn request(round: usize, number: usize, secret: &Secret) -> Vec<u8> {
    let id = u8::try_from(number % IDS).unwrap();
    let mut packet = PacketBuilder::request(Code::ACCOUNTING_REQUEST, id, [0; 16]);
    packet.push(kind::USER_NAME, b"carol@example.org").unwrap();
    packet.push_integer(kind::ACCT_STATUS_TYPE, 2).unwrap();
    let session = session(round, number);
    packet
        .push(kind::ACCT_SESSION_ID, session.as_bytes())
        .unwrap();
    packet.finish(secret)
}

/// What a client was told of each request.
#[derive(Debug, Default)]
struct Told {
    accepted: BTreeSet<usize>,
    refused: BTreeSet<usize>,
}

impl Told {
    /// An answer to one of the requests of this client, which begin at `first`; `false` where it came before.
    fn take(&mut self, answer: &RawPacket, round: usize, first: usize, secret: &Secret) -> bool {
        let number = first + usize::from(answer.header().id);
        let asked = request(round, number, secret);
        let authenticator = asked[4..20].try_into().unwrap();
        assert!(answer_is_right(answer, &authenticator, secret));
        if answer.header().code == Code::PROTOCOL_ERROR {
            let attributes = Attributes::new(answer.attributes()).unwrap();
            let cause = attributes.integer(kind::ERROR_CAUSE);
            assert_eq!(cause, Some(error_cause::REQUEST_NOT_ROUTABLE));
            return self.refused.insert(number);
        }
        assert_eq!(answer.header().code, Code::ACCOUNTING_RESPONSE);
        let whose = attribute(answer, kind::REPLY_MESSAGE).unwrap();
        assert_eq!(
            whose,
            session(round, number),
            "an answer to another request"
        );
        self.accepted.insert(number)
    }

    fn join(all: Vec<Self>) -> Self {
        let mut one = Self::default();
        for told in all {
            one.accepted.extend(told.accepted);
            one.refused.extend(told.refused);
        }
        one
    }
}

/// Has the connections over TLS die once the second answers have been ignored: one that came for an identifier in use would be the
/// answer to another request, for which a client closes the connection.
fn kill_when_quiet(home: &Home, server: &mut Server) {
    let over_tls = home.book().over_tls;
    if over_tls {
        let twice = numbers(|fate| fate == Fate::Twice).len();
        server.wait_for_logs(&["a packet that answers nothing is ignored"], twice);
        let mut book = home.book();
        book.dying = (0..book.connections).collect();
    }
}

/// Every client sends all of its requests, and then reads as many answers.
fn over_tls(clients: &mut [Device], round: usize) -> Told {
    let secret = Secret::RADSEC;
    let one = |index: usize, client: &mut Device| {
        let first = index * IDS;
        for number in first..first + IDS {
            client.send(&request(round, number, &secret));
        }
        let mut told = Told::default();
        for _ in 0..IDS {
            let answer = client.receive().unwrap();
            let new = told.take(&answer, round, first, &secret);
            assert!(new, "a second answer to {}", answer.header().id);
        }
        told
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(index, client)| scope.spawn(move || one(index, client)))
            .collect();
        let told = started.into_iter().map(|one| one.join().unwrap());
        Told::join(told.collect())
    })
}

/// Every client sends each of its requests twice, and again what should have an answer and has none yet.
fn over_udp(home: &Home, clients: &[UdpSocket], round: usize) -> Told {
    let secret = Secret::new(crate::radius_udp::OLD.as_bytes());
    let one = |index: usize, client: &UdpSocket| {
        let first = index * IDS;
        let mut told = Told::default();
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 4097];
        let awaited = |number: &usize| round > 0 || Fate::of(*number).is_accepted();
        let mut times = 2;
        loop {
            let gathered = round > 0 || home.book().stage != Stage::Gathering;
            let all = first..first + IDS;
            let left: Vec<usize> = all
                .filter(|number| !told.accepted.contains(number))
                .filter(|number| !gathered || awaited(number))
                .collect();
            if left.is_empty() {
                return told;
            }
            assert!(Instant::now() < deadline, "{left:?}");
            for number in left {
                for _ in 0..times {
                    client.send(&request(round, number, &secret)).unwrap();
                }
            }
            times = 1;
            while let Ok(length) = client.recv(&mut buffer) {
                let answer = RawPacket::new(buffer[..length].to_vec()).unwrap();
                told.take(&answer, round, first, &secret);
            }
        }
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(index, client)| scope.spawn(move || one(index, client)))
            .collect();
        let told = started.into_iter().map(|one| one.join().unwrap());
        Told::join(told.collect())
    })
}

fn numbers(of: impl Fn(Fate) -> bool) -> BTreeSet<usize> {
    (0..ALL).filter(|number| of(Fate::of(*number))).collect()
}

/// The sessions of a round that the home server has acknowledged.
fn acknowledged(home: &Home, round: usize) -> BTreeSet<usize> {
    let book = home.book();
    let sessions = book.acknowledged.keys().map(|session| number(session));
    sessions
        .filter(|one| one.0 == round)
        .map(|one| one.1)
        .collect()
}

/// Each record that the home server has acknowledged is in the journal of the proxy, once.
fn recorded(place: &Place, home: &Home) {
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    let mut times: HashMap<String, usize> = HashMap::new();
    for line in found.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let arguments = record["args"].as_array().unwrap();
        let session = arguments
            .iter()
            .find_map(|one| one.as_str().unwrap().strip_prefix("Acct-Session-Id="));
        *times.entry(session.unwrap().to_owned()).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    let recorded: HashSet<String> = times.into_keys().collect();
    let acknowledged: HashSet<String> = home.book().acknowledged.keys().cloned().collect();
    assert_eq!(recorded, acknowledged);
}

/// Every request of the first round came to an end that its figures tell, and over UDP each that nobody answered is one time-out. A
/// connection that dies may be the second one of a request, which is then not sent any more.
fn counted(home: &Home, server: &Server) {
    let page = server.wait_for("doorward_pool_requests_underway{pool=\"home\"}", 0.0);
    let over_tls = home.book().over_tls;
    let scheme = if over_tls { "radius-tls" } else { "radius-udp" };
    let port = home.port;
    let count = |name: &str| {
        let series = format!(
            "doorward_upstream_{name}_total{{pool=\"home\",server=\"{scheme}://127.0.0.1:{port}\",for=\"login\"}}"
        );
        page.get(&series).unwrap()
    };
    let whole = |fits: fn(Fate) -> bool| numbers(fits).len() as f64;
    let answered = whole(|fate| fate.is_accepted() || fate == Fate::Refused);
    let silent = whole(|fate| matches!(fate, Fate::Never | Fate::Late));
    assert_eq!(count("answers"), answered);
    if over_tls {
        assert!(count("timeouts") + count("failures") >= silent);
    } else {
        assert_eq!((count("timeouts"), count("failures")), (silent, 0.0));
    }
}

/// After the first round: what was acknowledged was told, and nothing was acknowledged twice.
fn nothing_lost_nothing_doubled(home: &Home, told: &Told) {
    assert_eq!(told.accepted, acknowledged(home, 0));
    assert_eq!(told.accepted, numbers(Fate::is_accepted));
    assert_eq!(home.book().doubled, [""; 0]);
}

fn from_tls(to_tls: bool) {
    let place = Place::demo();
    let home = Home::start(&place, to_tls);
    let mut server = proxy(&home, &place);
    let mut clients: Vec<Device> = (0..CLIENTS)
        .map(|_| Device::core1(&place, &server))
        .collect();
    let told = std::thread::scope(|scope| {
        scope.spawn(|| kill_when_quiet(&home, &mut server));
        over_tls(&mut clients, 0)
    });
    nothing_lost_nothing_doubled(&home, &told);
    assert_eq!(told.refused, numbers(|fate| !fate.is_accepted()));
    recorded(&place, &home);
    counted(&home, &server);
    // Late answers belong to nobody, whatever takes their identifiers.
    home.book().release();
    let told = over_tls(&mut clients, 1);
    assert_eq!(told.accepted.len(), ALL);
    assert_eq!(told.accepted, acknowledged(&home, 1));
    assert_eq!(home.book().doubled, [""; 0]);
    recorded(&place, &home);
}

#[test]
fn from_tls_to_udp() {
    from_tls(false);
}

#[test]
fn from_tls_to_tls() {
    from_tls(true);
}

/// A device of RADIUS/UDP is told nothing of what is refused.
/// proves: RAD-6.2.2-1
#[test]
fn from_udp_to_tls() {
    let place = Place::demo();
    let home = Home::start(&place, true);
    let mut server = proxy(&home, &place);
    let clients: Vec<UdpSocket> = (0..CLIENTS)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(server.address("radius-udp")).unwrap();
            let wait = Some(Duration::from_millis(500));
            socket.set_read_timeout(wait).unwrap();
            socket
        })
        .collect();
    let told = std::thread::scope(|scope| {
        scope.spawn(|| kill_when_quiet(&home, &mut server));
        over_udp(&home, &clients, 0)
    });
    nothing_lost_nothing_doubled(&home, &told);
    assert!(told.refused.is_empty());
    counted(&home, &server);
    recorded(&place, &home);
    // What clients sent twice came once, and once more where the connection died.
    let twice = {
        let book = home.book();
        let more = |(session, times): (&String, &usize)| {
            let dies = matches!(
                Fate::of(number(session).1),
                Fate::Again | Fate::Never | Fate::Late
            );
            *times > if dies { 2 } else { 1 }
        };
        book.times.iter().filter(|one| more(*one)).count()
    };
    assert_eq!(twice, 0);
    home.book().release();
    let told = over_udp(&home, &clients, 1);
    assert_eq!(told.accepted.len(), ALL);
    assert_eq!(told.accepted, acknowledged(&home, 1));
    assert_eq!(home.book().doubled, [""; 0]);
    recorded(&place, &home);
}
