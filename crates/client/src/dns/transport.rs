//! Questions to name servers: UDP, and TCP where the answer did not fit; one server after the other, as many at once as allowed.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::Kind;
use super::name::Name;
use super::wire::{Message, question};

/// Questions under way at once; more wait their turn.
const AT_ONCE: usize = 64;
/// Questions one look-up may lead to, with all that its proof needs.
const MAX_QUESTIONS: u32 = 100;
/// Signatures one look-up may verify (KeyTrap, CVE-2023-50387).
const MAX_SIGNATURES: u32 = 200;
/// How long one server has time in the first round; in the second twice that.
const PATIENCE: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 2;

const NO_ERROR: u16 = 0;
pub(super) const NO_NAME: u16 = 3;

/// Why the DNS did not answer. Whether there is such a record is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// No server answered in time.
    Timeout,
    /// No server can be reached.
    Network(io::ErrorKind),
    /// The answer is no message of the DNS, or none to this question.
    Garbage,
    /// The servers answered with this response code: 2 is SERVFAIL, 5 is REFUSED.
    Answered(u16),
    /// To prove it needs more questions or signatures than one look-up may cost.
    TooMuch,
    /// Aliases lead on and on.
    Aliases,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no name server answered in time"),
            Self::Network(kind) => write!(f, "no name server can be reached ({kind})"),
            Self::Garbage => f.write_str("the name server's answer is no answer to the question"),
            Self::Answered(2) => f.write_str("the name server failed (SERVFAIL)"),
            Self::Answered(5) => f.write_str("the name server refused to answer (REFUSED)"),
            Self::Answered(code) => write!(f, "the name server answered with code {code}"),
            Self::TooMuch => f.write_str("it takes too many questions to prove the answer"),
            Self::Aliases => f.write_str("one alias leads to the next without an end"),
        }
    }
}

impl std::error::Error for Unreachable {}

/// What one look-up may cost.
pub(super) struct Budget {
    deadline: Instant,
    questions: AtomicU32,
    signatures: AtomicU32,
}

impl Budget {
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            questions: AtomicU32::new(MAX_QUESTIONS),
            signatures: AtomicU32::new(MAX_SIGNATURES),
        }
    }

    pub(super) fn signature(&self) -> Result<(), Unreachable> {
        spend(&self.signatures)
    }
}

fn spend(account: &AtomicU32) -> Result<(), Unreachable> {
    let one_less = |left: u32| left.checked_sub(1);
    let spent = account.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    spent.map(|_| ()).map_err(|_| Unreachable::TooMuch)
}

/// The servers that are asked.
pub(super) struct Transport {
    servers: Vec<SocketAddr>,
    /// The one that answered last is asked first.
    preferred: AtomicUsize,
    permits: Semaphore,
}

impl Transport {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            preferred: AtomicUsize::new(0),
            permits: Semaphore::new(AT_ONCE),
        }
    }

    /// Asks, until a server says what there is or that there is nothing.
    pub(super) async fn ask(
        &self,
        name: &Name,
        kind: Kind,
        budget: &Budget,
    ) -> Result<Message, Unreachable> {
        spend(&budget.questions)?;
        let asking = async {
            // The semaphore is never closed.
            let _permit = self.permits.acquire().await;
            self.rounds(name, kind).await
        };
        let answer = timeout_at(budget.deadline, asking).await;
        answer.unwrap_or(Err(Unreachable::Timeout))
    }

    async fn rounds(&self, name: &Name, kind: Kind) -> Result<Message, Unreachable> {
        let mut why = Unreachable::Timeout;
        for round in 1..=ROUNDS {
            let first = self.preferred.load(Ordering::Relaxed);
            let (before, after) = self.servers.split_at_checked(first).unwrap_or_default();
            let order = after.iter().zip(first..).chain(before.iter().zip(0..));
            let mut all_said_no = true;
            for (server, index) in order {
                let patience = PATIENCE.saturating_mul(round);
                let asked = timeout(patience, exchange(*server, name, kind)).await;
                why = match asked.unwrap_or(Err(Unreachable::Timeout)) {
                    Ok(message) if [NO_ERROR, NO_NAME].contains(&message.rcode) => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return Ok(message);
                    }
                    Ok(message) => Unreachable::Answered(message.rcode),
                    Err(error) => {
                        all_said_no = false;
                        error
                    }
                };
            }
            if all_said_no {
                break;
            }
        }
        Err(why)
    }
}

/// One question to one server.
async fn exchange(server: SocketAddr, name: &Name, kind: Kind) -> Result<Message, Unreachable> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|_| Unreachable::Network(io::ErrorKind::Other))?;
    let id = u16::from_be_bytes(id);
    let octets = question(id, name, kind);
    let asked = (id, name, kind);
    let answer = by_udp(server, &octets, asked).await.map_err(network)?;
    if !answer.is_truncated {
        return Ok(answer);
    }
    let octets = by_tcp(server, &octets).await.map_err(network)?;
    let answer = read(&octets, asked).filter(|answer| !answer.is_truncated);
    answer.ok_or(Unreachable::Garbage)
}

fn network(error: io::Error) -> Unreachable {
    Unreachable::Network(error.kind())
}

/// The answer to this question and no other.
fn read(octets: &[u8], (id, name, kind): (u16, &Name, Kind)) -> Option<Message> {
    let message = Message::read(octets)?;
    let is_ours = message.is_response && message.id == id;
    (is_ours && message.question == (name.clone(), kind)).then_some(message)
}

async fn by_udp(
    server: SocketAddr,
    question: &[u8],
    asked: (u16, &Name, Kind),
) -> io::Result<Message> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A socket of its own for each question, so that an answer has to guess its port too (RFC 5452).
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let octets = buffer.get(..length).unwrap_or_default();
        // Whatever else arrives may be somebody's guess; the answer may still come.
        if let Some(message) = read(octets, asked) {
            return Ok(message);
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), question].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut octets = vec![0; usize::from(length)];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}
