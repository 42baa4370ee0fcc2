//! 1,024 accounting requests at once through the proxy to a home server that stalls, drops, repeats, forges, answers late, dies and
//! refuses: what it acknowledged in time is with the client exactly once, and every other request is refused.
//!
//! ```text
//! clients ── 4 × 256 ──▶ Doorward ──▶ home server: nothing is answered before every request has come, then each by its fate;
//!                                     then (TLS) one connection dies after the other
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::answer_is_right;
use doorward_radius::build::{PacketBuilder, error_cause};
use doorward_radius::{Code, RawPacket, Secret};

use crate::harness::{PATIENCE, Place, Server, stdout};
use crate::hostile_home::{ALL, Fate, HOME_SECRET, Home, Stage, attribute, number, session};
use crate::radius_wire::Device;

/// Connections of clients, and the identifiers of each.
const CLIENTS: usize = 4;
const IDS: usize = ALL / CLIENTS;

/// For an answer of the home server: transmissions over UDP are at 0, 2 and 6 seconds.
const TIMEOUT: &str = "8s";

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
            let most = match Fate::of(number(session).1) {
                Fate::Again => 2,
                // The connections may die faster than it can be told.
                Fate::Never | Fate::Late => 5,
                Fate::Answered | Fate::Twice | Fate::Last | Fate::Refused | Fate::Forged => 1,
            };
            *times > most
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
