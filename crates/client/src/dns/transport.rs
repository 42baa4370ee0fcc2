//! Questions to name servers: UDP, and TCP where the answer did not fit; one server after the other, as many at once as allowed.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsHandle as _, DnsRequestSender as _, FirstAnswer as _};
use hickory_proto::op::{DnsRequest, DnsResponse, ResponseCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Questions under way at once; more wait their turn.
const AT_ONCE: usize = 64;
/// How long one server has time in the first round; in the second twice that.
const PATIENCE: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 2;

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
    /// We failed on the answer.
    Fault,
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
            Self::Fault => f.write_str("the resolver has a fault: please report it"),
            Self::Aliases => f.write_str("one alias leads to the next without an end"),
        }
    }
}

impl std::error::Error for Unreachable {}

impl From<&NetError> for Unreachable {
    fn from(error: &NetError) -> Self {
        if let NetError::Io(error) = error {
            Self::Network(error.kind())
        } else if matches!(error, NetError::Timeout) {
            Self::Timeout
        } else {
            Self::Garbage
        }
    }
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
    pub(super) async fn ask(&self, request: &DnsRequest) -> Result<DnsResponse, Unreachable> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        let said = [ResponseCode::NoError, ResponseCode::NXDomain];
        let mut why = Unreachable::Timeout;
        for round in 1..=ROUNDS {
            let first = self.preferred.load(Ordering::Relaxed);
            let (before, after) = self.servers.split_at_checked(first).unwrap_or_default();
            let order = after.iter().zip(first..).chain(before.iter().zip(0..));
            let mut all_said_no = true;
            for (server, index) in order {
                let patience = PATIENCE.saturating_mul(round);
                let asked = timeout(patience, exchange(*server, request, patience)).await;
                why = match asked.unwrap_or(Err(NetError::Timeout)) {
                    Ok(response) if said.contains(&response.response_code) => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return Ok(response);
                    }
                    Ok(response) => Unreachable::Answered(response.response_code.into()),
                    Err(error) => {
                        all_said_no = false;
                        Unreachable::from(&error)
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

/// One question to one server. The library chooses the number of the question and the port for each, and compares the question that comes
/// back (RFC 5452).
async fn exchange(
    server: SocketAddr,
    request: &DnsRequest,
    patience: Duration,
) -> Result<DnsResponse, NetError> {
    let provider = TokioRuntimeProvider::new();
    let udp = UdpClientStream::builder(server, provider.clone())
        .with_timeout(Some(patience))
        .with_max_retries(0);
    let mut udp = udp.build();
    let response = udp.send_message(request.clone()).first_answer().await?;
    if !response.truncation {
        return Ok(response);
    }
    let tcp = TcpClientStream::exchange(server, None, patience, Some(1), provider).await?;
    let response = tcp.send(request.clone()).first_answer().await?;
    let is_answer = !response.truncation && response.queries == request.queries;
    if is_answer {
        Ok(response)
    } else {
        Err(NetError::Truncated)
    }
}
