//! Name servers that answer with rubbish, or with too much: a look-up ends in its time, proves nothing by it, and keeps no more than fits.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use doorward_client::dns::{Anchors, Kind, Lookup, Resolver, Security, Settings};

use super::name;

const HASTLS: Kind = Kind(65400);
const DEADLINE: Duration = Duration::from_secs(2);
/// What a busy machine may take longer.
const SLACK: Duration = Duration::from_secs(8);

/// The key of a zone, so that something stands above the names of `example`; nobody has the other half.
const ANCHOR: &str = "example. 3600 IN DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
/// The same where nothing stands above them.
const ELSEWHERE: &str = "other. 3600 IN DS 12345 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

/// What is said to a question; nothing if it is empty.
type Answers = fn(question: &[u8], number: u32) -> Vec<u8>;

/// A name server of the test's own.
struct Fake {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Fake {
    fn start(answers: Answers) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let patience = Some(Duration::from_millis(50));
        socket.set_read_timeout(patience).unwrap();
        let address = socket.local_addr().unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut number) = ([0; 4096], 0);
            while !over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                number += 1;
                let answer = answers(&buffer[..length], number);
                if !answer.is_empty() {
                    _ = socket.send_to(&answer, from);
                }
            }
        });
        Self {
            address,
            ends,
            thread: Some(thread),
        }
    }

    fn resolver(&self, anchor: &str) -> Resolver {
        Resolver::new(Settings {
            servers: vec![self.address],
            anchors: Anchors::parse(anchor).unwrap(),
            deadline: DEADLINE,
        })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        _ = self.thread.take().unwrap().join();
    }
}

/// Identifier and question as they came, with these counts of records and what follows.
fn reply(question: &[u8], counts: [u16; 3], rest: &[u8]) -> Vec<u8> {
    let labels = &question[12..];
    let end = 12 + labels.iter().position(|octet| *octet == 0).unwrap() + 5;
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1]);
    answer.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    answer.extend(&question[12..end]);
    answer.extend(rest);
    answer
}

/// A record of the name that was asked for.
fn record(kind: u16, rdata: &[u8]) -> Vec<u8> {
    let mut record = vec![0xc0, 12];
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 14, 16]);
    record.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
    record.extend(rdata);
    record
}

fn garbage(_: &[u8], number: u32) -> Vec<u8> {
    (0..200_u32)
        .map(|at| (at.wrapping_mul(number * 97 + 31) >> 3).to_le_bytes()[0])
        .collect()
}

fn half(question: &[u8], _: u32) -> Vec<u8> {
    let whole = reply(question, [1, 0, 0], &record(65400, &[0, 49, 1, 44]));
    whole[..whole.len() - 3].to_vec()
}

/// Only the flag: there is nobody to ask over TCP.
fn truncated(question: &[u8], _: u32) -> Vec<u8> {
    let mut answer = reply(question, [0; 3], &[]);
    answer[2] |= 2;
    answer
}

fn pointers_in_a_circle(question: &[u8], _: u32) -> Vec<u8> {
    let empty = reply(question, [1, 0, 0], &[]);
    let at = u16::try_from(empty.len()).unwrap() | 0xc000;
    let mut answer = empty;
    answer.extend(at.to_be_bytes());
    answer.extend([0xff, 0x78, 0, 1, 0, 0, 0, 60, 0, 4, 0, 49, 1, 44]);
    answer
}

fn aliases_without_end(question: &[u8], number: u32) -> Vec<u8> {
    let label = format!("n{number}");
    let mut target = vec![u8::try_from(label.len()).unwrap()];
    target.extend(label.bytes());
    target.extend(b"\x07example\0");
    reply(question, [1, 0, 0], &record(5, &target))
}

fn another_identifier(question: &[u8], _: u32) -> Vec<u8> {
    let mut answer = reply(question, [1, 0, 0], &record(65400, &[0, 49, 1, 44]));
    answer[0] ^= 0x55;
    answer
}

fn thousands_beside(question: &[u8], _: u32) -> Vec<u8> {
    let one = record(1, &[127, 0, 0, 1]);
    reply(question, [0, 0, 4000], &one.repeat(4000))
}

fn counts_that_lie(question: &[u8], _: u32) -> Vec<u8> {
    reply(question, [u16::MAX; 3], &[])
}

fn silence(_: &[u8], _: u32) -> Vec<u8> {
    Vec::new()
}

const HOSTILE: [(&str, Answers); 9] = [
    ("garbage", garbage),
    ("half", half),
    ("truncated", truncated),
    ("pointers", pointers_in_a_circle),
    ("aliases", aliases_without_end),
    ("identifier", another_identifier),
    ("thousands", thousands_beside),
    ("counts", counts_that_lie),
    ("silence", silence),
];

/// Whatever a server says, the look-up ends in its time, and it is no answer: bogus or unreachable where the zone is to be signed.
#[tokio::test]
async fn rubbish_is_no_answer_and_ends_in_time() {
    for (what, answers) in HOSTILE {
        let fake = Fake::start(answers);
        for anchor in [ANCHOR, ELSEWHERE] {
            let begun = Instant::now();
            let lookup = fake
                .resolver(anchor)
                .lookup(&name("host.example"), HASTLS)
                .await;
            let took = begun.elapsed();
            assert!(took < DEADLINE + SLACK, "{what}: {took:?}");
            let void = match &lookup {
                Lookup::Bogus(_) | Lookup::Unreachable(_) => true,
                // Nobody said that this zone is signed.
                Lookup::Found(found) => anchor == ELSEWHERE && found.security != Security::Secure,
                Lookup::Absent(none) => anchor == ELSEWHERE && none.security != Security::Secure,
            };
            assert!(void, "{what}: {lookup:?}");
        }
    }
}

/// Resident memory of this process in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

fn a_kilobyte(question: &[u8], _: u32) -> Vec<u8> {
    reply(question, [1, 0, 0], &record(65400, &[1; 1000]))
}

/// Thirty megabytes of different answers, each good for an hour, and what is remembered stays within a few.
#[tokio::test]
async fn a_flood_of_names_does_not_fill_the_memory() {
    let fake = Fake::start(a_kilobyte);
    let resolver = fake.resolver(ELSEWHERE);
    let mut before = 0;
    for number in 0..36_000 {
        let host = name(&format!("n{number}.example"));
        let lookup = resolver.lookup(&host, HASTLS).await;
        assert!(matches!(lookup, Lookup::Found(_)), "{lookup:?}");
        // By then its room is full once.
        if number == 6000 {
            before = memory();
        }
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
}
