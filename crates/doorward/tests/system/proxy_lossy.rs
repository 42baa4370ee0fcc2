//! The proxy before a wire that loses, repeats and delays datagrams, and before one that is cut and says nothing of it.
//!
//! The wires are relays of this process, as in `dtls_lossy`: a container of continuous integration has no network namespaces.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use doorward_radius::attribute::kind;
use doorward_radius::{Code, RawPacket, Secret};
use serde_json::Value;

use crate::dtls_lossy::Wire;
use crate::harness::{PATIENCE, Place, Server, stdout};
use crate::hostile_home::{attribute, sent};
use crate::proxy::{Home, place_of};
use crate::proxy_chain::{accounting, home, login, proxy_to};
use crate::radius_wire::Device;

/// Records that are under way together over UDP.
const RECORDS: u8 = 64;
/// No retransmission comes sooner.
const WAIT: Duration = Duration::from_millis(1700);

/// One session at the home server: its packet, and when it came.
type Book = HashMap<String, Vec<(RawPacket, Instant)>>;

/// Answers everything at once, the same to the same, until the test is over.
fn keep_book(home: &Home, over: &AtomicBool) -> Book {
    let mut book = Book::new();
    while !over.load(Ordering::Relaxed) {
        let Some((packet, from)) = home.within(Duration::from_millis(50)) else {
            continue;
        };
        let session = attribute(&packet, kind::ACCT_SESSION_ID).unwrap();
        let answer = home.answer(Code::ACCOUNTING_RESPONSE, &packet, |answer| {
            let session = session.as_bytes();
            answer.push(kind::REPLY_MESSAGE, session).unwrap();
        });
        home.send(&answer, from);
        let came = (packet, Instant::now());
        book.entry(session).or_default().push(came);
    }
    book
}

/// The test is over, however it ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn session(number: u8) -> String {
    format!("lossy-{number:03}")
}

/// Every record of the sessions is kept once, and none of others.
fn kept_once(place: &Place, sessions: &HashSet<String>) {
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    assert_eq!(found.lines().count(), sessions.len());
    for session in sessions {
        let argument = format!("\"Acct-Session-Id={session}\"");
        assert_eq!(found.matches(&argument).count(), 1, "{session}");
    }
}

/// What the wire to the home server loses is sent again as it was; every record has one answer, its own, and is kept once.
#[test]
fn records_over_udp_on_a_bad_wire() {
    let upstream = Home::new();
    let target = SocketAddr::from(([127, 0, 0, 1], upstream.port()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wire = runtime.block_on(Wire::new(target, 400));
    let servers = format!("\"radius-udp://{}\"", wire.address);
    let place = place_of(&servers, "", "");
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let over = AtomicBool::new(false);
    let record = |number| accounting(number, &Secret::RADSEC, &session(number));
    let book = std::thread::scope(|scope| {
        let book = scope.spawn(|| keep_book(&upstream, &over));
        let end = Over(&over);
        (0..RECORDS).for_each(|number| device.send(&record(number)));
        let mut answered = HashSet::new();
        for _ in 0..RECORDS {
            let answer = device.receive().unwrap();
            assert_eq!(answer.header().code, Code::ACCOUNTING_RESPONSE);
            let number = answer.header().id;
            let whose = attribute(&answer, kind::REPLY_MESSAGE).unwrap();
            assert_eq!(whose, session(number), "an answer to another request");
            assert!(answered.insert(number), "a second answer to {number}");
        }
        // Nothing comes between these and the next.
        device.ask(&record(RECORDS));
        drop(end);
        book.join().unwrap()
    });
    wire.assert_was_bad();
    let sessions: HashSet<String> = (0..=RECORDS).map(session).collect();
    assert_eq!(book.keys().cloned().collect::<HashSet<_>>(), sessions);
    let mut again = 0;
    for (session, came) in &book {
        let (first, began) = &came[0];
        let same = |(packet, _): &(RawPacket, Instant)| sent(packet) == sent(first);
        assert!(came.iter().all(same), "{session} was sent as another one");
        again += usize::from(came.iter().any(|(_, at)| *at - *began >= WAIT));
    }
    assert!(again > 0, "no answer was lost on its way back");
    kept_once(&place, &sessions);
}

/// The same over DTLS, where each is sent again as a new record: one request after the other, so that none is lost more often
/// than it is sent.
#[test]
fn logins_and_records_over_dtls_on_a_bad_wire() {
    let home = home();
    let at_home = home.start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wire = runtime.block_on(Wire::new(at_home.address("radius-dtls"), 540));
    let place = proxy_to(&home, &[wire.address], "radius-dtls", "watchdog = \"off\"");
    let server = place.start();
    wait_for_states(&place, &["well"]);
    let mut device = Device::core1(&place, &server);
    let password = home.text("alice.password");
    let mut sessions = HashSet::new();
    for round in 0..5 {
        let right = device.ask(&login(3 * round, &Secret::RADSEC, &password));
        assert_eq!(right.header().code, Code::ACCESS_ACCEPT);
        let wrong = device.ask(&login(3 * round + 1, &Secret::RADSEC, "wrong"));
        assert_eq!(wrong.header().code, Code::ACCESS_REJECT);
        let kept = device.ask(&accounting(3 * round + 2, &Secret::RADSEC, &session(round)));
        assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
        sessions.insert(session(round));
    }
    wire.assert_was_bad();
    kept_once(&home, &sessions);
    kept_once(&place, &sessions);
    let (_, log) = at_home.stop();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("\"outcome\":\"pass\""), 5);
    assert_eq!(count("\"outcome\":\"fail\""), 5);
}

/// Waits until the servers of the pool, as `doorward status` has them, are in these states.
fn wait_for_states(place: &Place, wanted: &[&str]) {
    // Three signs of life, eight seconds apart at most, are well within.
    let deadline = Instant::now() + PATIENCE * 2;
    loop {
        let states = states(place);
        if states == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{states:?}, not {wanted:?}");
    }
}

/// By server.
fn states(place: &Place) -> Vec<String> {
    let status: Value = serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap();
    let servers = status["pools"][0]["servers"].as_array().unwrap();
    let connected = |one: &&Value| one["for"] == "login";
    let state = |one: &Value| one["state"].as_str().unwrap().to_owned();
    servers.iter().filter(connected).map(state).collect()
}

/// A cable for TCP that can be cut: nothing passes then, in either direction, and neither end is told.
struct Cable {
    address: SocketAddr,
    whole: Arc<(Mutex<bool>, Condvar)>,
}

impl Cable {
    fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let whole = Arc::new((Mutex::new(true), Condvar::new()));
        let passes = Arc::clone(&whole);
        std::thread::spawn(move || {
            for from in listener.incoming() {
                let from = from.unwrap();
                let passes = Arc::clone(&passes);
                std::thread::spawn(move || {
                    wait(&passes);
                    let Ok(to) = TcpStream::connect(server) else {
                        return;
                    };
                    let back = (to.try_clone().unwrap(), from.try_clone().unwrap());
                    let both_ways = Arc::clone(&passes);
                    std::thread::spawn(move || carry(back.0, back.1, &both_ways));
                    carry(from, to, &passes);
                });
            }
        });
        Self { address, whole }
    }

    fn set(&self, whole: bool) {
        *self.whole.0.lock().unwrap() = whole;
        self.whole.1.notify_all();
    }
}

/// Until the cable is whole.
fn wait(passes: &(Mutex<bool>, Condvar)) {
    let whole = passes.0.lock().unwrap();
    drop(passes.1.wait_while(whole, |whole| !*whole).unwrap());
}

/// What is on its way when the cable is cut arrives once it is whole, as TCP does it.
fn carry(mut from: TcpStream, mut to: TcpStream, passes: &(Mutex<bool>, Condvar)) {
    let mut octets = [0; 4096];
    loop {
        let read = from.read(&mut octets);
        wait(passes);
        let Ok(length @ 1..) = read else {
            _ = to.shutdown(Shutdown::Write);
            return;
        };
        if to.write_all(&octets[..length]).is_err() {
            return;
        }
    }
}

/// Two homes of which the first is behind a cable, and the proxy before them.
struct Two {
    first: Place,
    second: Place,
    /// They run as long as this is there.
    _at_home: [Server; 2],
    cable: Cable,
    place: Place,
    server: Server,
}

impl Two {
    fn new(watchdog: &str) -> Self {
        let (first, second) = (home(), home());
        let (at_first, at_second) = (first.start(), second.start());
        let cable = Cable::new(at_first.address("radius-tls"));
        let targets = [cable.address, at_second.address("radius-tls")];
        let keys = format!(
            "timeout = \"60s\"\nwatchdog = {watchdog}\nreconnect = {{ floor = \"0.5s\", ceiling = \"1s\" }}"
        );
        let place = proxy_to(&first, &targets, "psk", &keys);
        let server = place.start();
        Self {
            first,
            second,
            _at_home: [at_first, at_second],
            cable,
            place,
            server,
        }
    }
}

impl Two {
    /// Both are well, the first is used, and its link is cut before some records.
    fn cut(watchdog: &str, records: u8) -> (Self, Device, Instant) {
        let two = Self::new(watchdog);
        wait_for_states(&two.place, &["well", "well"]);
        let mut device = Device::core1(&two.place, &two.server);
        assert_eq!(two.whose(&mut device, 1), Whose::First);
        two.cable.set(false);
        let cut = Instant::now();
        for number in 0..records {
            let record = accounting(100 + number, &Secret::RADSEC, &session(number));
            device.send(&record);
        }
        (two, device, cut)
    }

    /// Who answers a login: the password is right at the second one alone.
    fn whose(&self, device: &mut Device, id: u8) -> Whose {
        let password = self.second.text("alice.password");
        let answer = device.ask(&login(id, &Secret::RADSEC, &password));
        match answer.header().code {
            Code::ACCESS_ACCEPT => Whose::Second,
            Code::ACCESS_REJECT => Whose::First,
            other => panic!("{other:?}"),
        }
    }

    /// From now on everything is at the first one again.
    fn is_steady(&self, device: &mut Device) {
        for id in 20..40 {
            assert_eq!(self.whose(device, id), Whose::First, "{id}");
            assert_eq!(states(&self.place), ["well", "well"], "{id}");
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Whose {
    First,
    Second,
}

/// The records that are under way get their answers, each one.
fn answers(device: &mut Device, count: u8) {
    let mut ids = HashSet::new();
    for _ in 0..count {
        let answer = device.receive().unwrap();
        assert_eq!(answer.header().code, Code::ACCOUNTING_RESPONSE);
        assert!(ids.insert(answer.header().id));
    }
    assert!((0..count).all(|number| ids.contains(&(100 + number))));
}

/// A link that is cut for some seconds: what is asked meanwhile goes to the second server as soon as the first one is in doubt, what
/// is under way waits for its connection, and once the link is back the first server is used again and stays so.
#[test]
fn a_link_that_comes_back_before_its_server_is_given_up() {
    let (two, mut device, cut) = Two::cut("\"30s\"", 3);
    wait_for_states(&two.place, &["doubtful", "well"]);
    // An answer is missed after six seconds, and the sign of life after three more.
    let doubted = cut.elapsed();
    assert!(doubted < Duration::from_secs(14), "{doubted:?}");
    for id in 2..5 {
        let began = Instant::now();
        assert_eq!(two.whose(&mut device, id), Whose::Second);
        assert!(began.elapsed() < Duration::from_secs(3), "{began:?}");
    }
    two.cable.set(true);
    answers(&mut device, 3);
    wait_for_states(&two.place, &["well", "well"]);
    two.is_steady(&mut device);
    let sessions = (0..3).map(session).collect();
    kept_once(&two.first, &sessions);
    kept_once(&two.place, &sessions);
    kept_once(&two.second, &HashSet::new());
}

/// A link that is cut for so long that its server is found dead: what was under way is answered by the second one, and the first has
/// to prove itself when the link is back, before it is used again.
#[test]
fn a_link_that_comes_back_after_its_server_was_found_dead() {
    let (two, mut device, cut) = Two::cut("\"6s\"", 3);
    let kept = || stdout(&two.place.ask(&["acct", "search", "--json"]));
    while kept().lines().count() < 3 {
        assert!(cut.elapsed() < PATIENCE * 2, "{}", kept());
    }
    answers(&mut device, 3);
    assert_ne!(states(&two.place)[0], "well");
    for id in 2..5 {
        assert_eq!(two.whose(&mut device, id), Whose::Second);
    }
    let sessions = (0..3).map(session).collect();
    kept_once(&two.second, &sessions);
    two.cable.set(true);
    assert_eq!(two.whose(&mut device, 5), Whose::Second);
    wait_for_states(&two.place, &["well", "well"]);
    two.is_steady(&mut device);
    kept_once(&two.place, &sessions);
}
