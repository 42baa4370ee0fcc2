//! Our client asks our server over DTLS on a wire that loses datagrams, brings them twice and out of turn.
//!
//! The wire is a relay in this process: a network namespace with `tc netem` needs root and a kernel module that a container of
//! continuous integration need not have, and this one makes the same trouble in each run of a seed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward_client::radius::{Client, Code, Proof, Request, Server, status_type};
use doorward_client::{ServerAddress, Tls};
use doorward_radius::attribute::kind;
use doorward_tls::ReferenceIdentity;
use tokio::net::UdpSocket;

use crate::dtls::{KEY, dtls, place};
use crate::dtls_device::{self, policy};
use crate::harness::{PATIENCE, Place, all_said, code, stdout};

/// What happens to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Passes,
    IsLost,
    ComesTwice,
    /// After the next one.
    ComesLate,
}

/// One direction of one association.
struct Direction {
    state: u64,
    /// Datagrams since the last one that did not arrive in its turn.
    since: u32,
    late: Option<Vec<u8>>,
    /// What did not arrive in its turn: it does when it is sent again as it was.
    spared: HashSet<Vec<u8>>,
}

impl Direction {
    fn new(seed: u64) -> Self {
        // Seeds that are neighbours begin far apart.
        let state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            state,
            since: 0,
            late: None,
            spared: HashSet::new(),
        }
    }

    /// Of three in a row at most one is lost or late, so that five transmissions are enough (RFC 5080 section 2.2.1: no
    /// client sends more) and the test does not hang on luck.
    fn fate(&mut self, datagram: &[u8]) -> Fate {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.since += 1;
        let fate = match self.state >> 61 {
            0 | 1 if self.since > 2 => Fate::IsLost,
            2 | 3 if self.since > 2 => Fate::ComesLate,
            4 | 5 => Fate::ComesTwice,
            _ => Fate::Passes,
        };
        if !matches!(fate, Fate::IsLost | Fate::ComesLate) {
            return fate;
        }
        if !self.spared.insert(datagram.to_vec()) {
            return Fate::Passes;
        }
        self.since = 0;
        fate
    }

    /// What arrives when this one was sent.
    fn carry(&mut self, datagram: &[u8], tally: &Tally) -> Vec<Vec<u8>> {
        let fate = self.fate(datagram);
        *tally.lock().unwrap().entry(fate).or_default() += 1;
        let before = self.late.take();
        let mut arrive = match fate {
            Fate::Passes => vec![datagram.to_vec()],
            Fate::ComesTwice => vec![datagram.to_vec(); 2],
            Fate::IsLost => Vec::new(),
            Fate::ComesLate => {
                self.late = Some(datagram.to_vec());
                Vec::new()
            }
        };
        arrive.extend(before);
        arrive
    }
}

/// How many datagrams met each fate.
type Tally = Mutex<BTreeMap<Fate, u32>>;

/// The wire to `server`: its end for clients, and what it did there and back.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    there: Arc<Tally>,
    back: Arc<Tally>,
}

impl Wire {
    /// Needs a tokio runtime, whose tasks carry the datagrams.
    pub(crate) async fn new(server: SocketAddr, seed: u64) -> Self {
        let end = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let this = Self {
            address: end.local_addr().unwrap(),
            there: Arc::default(),
            back: Arc::default(),
        };
        let (there, back) = (Arc::clone(&this.there), Arc::clone(&this.back));
        tokio::spawn(async move {
            let mut flows = HashMap::new();
            let mut datagram = vec![0; 1 << 16];
            loop {
                // ICMP of a client that is gone is no end of the wire.
                let Ok((length, client)) = end.recv_from(&mut datagram).await else {
                    continue;
                };
                if !flows.contains_key(&client) {
                    let outer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                    outer.connect(server).await.unwrap();
                    let outer = Arc::new(outer);
                    let seed = seed + 2 * flows.len() as u64;
                    let answers = Arc::clone(&outer);
                    let (end, back) = (Arc::clone(&end), Arc::clone(&back));
                    tokio::spawn(bring_back(answers, end, client, seed + 1, back));
                    flows.insert(client, (outer, Direction::new(seed)));
                }
                let (outer, direction) = flows.get_mut(&client).unwrap();
                for datagram in direction.carry(&datagram[..length], &there) {
                    _ = outer.send(&datagram).await;
                }
            }
        });
        this
    }

    /// Everything happened, both ways.
    pub(crate) fn assert_was_bad(&self) {
        for tally in [&self.there, &self.back] {
            let tally = tally.lock().unwrap();
            for fate in [Fate::IsLost, Fate::ComesTwice, Fate::ComesLate] {
                assert!(tally.contains_key(&fate), "{tally:?}");
            }
        }
    }
}

async fn bring_back(
    outer: Arc<UdpSocket>,
    end: Arc<UdpSocket>,
    client: SocketAddr,
    seed: u64,
    tally: Arc<Tally>,
) {
    let mut direction = Direction::new(seed);
    let mut datagram = vec![0; 1 << 16];
    loop {
        let Ok(length) = outer.recv(&mut datagram).await else {
            continue;
        };
        for datagram in direction.carry(&datagram[..length], &tally) {
            _ = end.send_to(&datagram, client).await;
        }
    }
}

fn client(place: &Place, server: SocketAddr, proof: dtls_device::Proof<'_>) -> Client {
    let reference = ReferenceIdentity::parse("aaa1.doorward.test").unwrap();
    let tls = Tls::new(Arc::new(policy(place, proof)), reference);
    let address = ServerAddress::from_ip(server.ip(), server.port());
    let mut server = Server::dtls(address, tls).unwrap();
    server.connect_timeout = 2 * PATIENCE;
    server.reply_timeout = PATIENCE;
    server.retransmit = Duration::from_millis(150);
    Client::new(vec![server]).unwrap()
}

fn login(password: &str) -> Request {
    let request = Request::access("alice", Proof::Pap(password.as_bytes()));
    request.unwrap().from_nas("router")
}

fn start(session: &str) -> Request {
    Request::accounting(status_type::START)
        .from_nas("router")
        .with(kind::USER_NAME, b"alice")
        .with(kind::ACCT_SESSION_ID, session.as_bytes())
}

/// Ten rounds of a login, a wrong one and two records, the four of a round at once; the sessions that were acknowledged.
async fn ten_rounds(client: Client, password: String, name: &str) -> Vec<String> {
    let mut sessions = Vec::new();
    for round in 0..10 {
        let pair = [format!("{name}-{round}-a"), format!("{name}-{round}-b")];
        let (accept, reject, first, second) = tokio::join!(
            client.ask(login(&password)),
            client.ask(login("wrong")),
            client.ask(start(&pair[0])),
            client.ask(start(&pair[1])),
        );
        assert_eq!(accept.unwrap().code(), Code::ACCESS_ACCEPT);
        assert_eq!(reject.unwrap().code(), Code::ACCESS_REJECT);
        for kept in [first, second] {
            assert_eq!(kept.unwrap().code(), Code::ACCOUNTING_RESPONSE);
        }
        sessions.extend(pair);
    }
    client.close().await;
    sessions
}

/// Three associations, by certificate and by key, of 20 logins and 20 records each, and their handshakes: every request has
/// its answer, is judged once, and every record is kept once.
#[test]
fn what_is_asked_on_a_bad_wire_is_done_once() {
    let place = place("handshake_timeout = \"60s\"");
    let server = place.start();
    let password = place.text("alice.password");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sessions = runtime.block_on(async {
        let mut running = Vec::new();
        let mut wires = Vec::new();
        for (name, seed, proof) in [
            ("one", 100, dtls_device::Proof::Certificate("core1")),
            ("two", 200, dtls_device::Proof::Key("lab1", KEY)),
            ("three", 300, dtls_device::Proof::Certificate("core1")),
        ] {
            let wire = Wire::new(dtls(&server), seed).await;
            let client = client(&place, wire.address, proof);
            let password = password.clone();
            running.push(tokio::spawn(async move {
                ten_rounds(client, password, name).await
            }));
            wires.push(wire);
        }
        let mut sessions = Vec::new();
        for one in running {
            sessions.extend(one.await.unwrap());
        }
        for wire in wires {
            wire.assert_was_bad();
        }
        sessions
    });
    let found = place.ask(&["acct", "search", "--json"]);
    assert_eq!(code(&found), 0, "{}", all_said(&found));
    let found = stdout(&found);
    assert_eq!(found.lines().count(), sessions.len());
    for session in sessions {
        let argument = format!("\"Acct-Session-Id={session}\"");
        assert_eq!(found.matches(&argument).count(), 1, "{session}");
    }
    let (_, log) = server.stop();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("\"outcome\":\"pass\""), 30);
    assert_eq!(count("\"outcome\":\"fail\""), 30);
}
