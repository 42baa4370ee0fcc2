//! Why there is no answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use doorward_radius::build::{BuildError, error_cause};
use doorward_tacacs::ChallengeError;

use super::Answer;
use crate::error::{TransportError, list};

/// Why a request has no answer. An Access-Reject is none of these.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The client has no server.
    NoServer,
    /// Servers of different kinds together: whoever keeps those over TLS from answering would get the requests
    /// without it (RFC 6614bis section 7.1).
    Mixed,
    /// The request does not fit into a packet.
    Request(BuildError),
    /// There is no answer to a challenge with this secret.
    Challenge(ChallengeError),
    /// The operating system gives no random numbers.
    Random,
    /// No server answered: each with its reason, in the order they were tried.
    Unavailable(Vec<Attempt>),
    /// The server that sent an Access-Challenge did not answer what was said to it. No other one can.
    AskerGone(Box<Attempt>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer => f.write_str("there is no server to ask"),
            Self::Mixed => f.write_str(
                "servers over TLS, DTLS and UDP cannot be mixed: whoever keeps those with TLS from answering would get the requests without",
            ),
            Self::Request(error) => write!(f, "the request cannot be sent: {error}"),
            Self::Challenge(error) => error.fmt(f),
            Self::Random => f.write_str("the operating system gives no random numbers"),
            Self::Unavailable(attempts) => {
                f.write_str("no server answered")?;
                list(attempts, f)
            }
            Self::AskerGone(attempt) => write!(
                f,
                "the server that asked, {}, did not answer: {}; no other one can go on with this login, which has to begin anew",
                attempt.server, attempt.reason
            ),
        }
    }
}

impl std::error::Error for Error {}

/// One server that did not answer.
pub type Attempt = crate::error::Attempt<AttemptError>;

/// Why one server did not answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AttemptError {
    /// There is no connection to it.
    Transport(Arc<TransportError>),
    /// The last attempts to connect failed, and it is not yet time for the next one.
    Waiting {
        /// Until then.
        left: Duration,
        /// What the last attempt came to.
        last: Arc<TransportError>,
    },
    /// No answer in time. The request may have been understood all the same.
    ReplyTimeout,
    /// No connection had room for it in time: it was not sent.
    Busy,
    /// No answer in time that can be believed; over UDP such answers are ignored, and this is what was wrong with one.
    Ignored(&'static str),
    /// The connection ended before the answer came.
    Lost(Lost),
    /// The server says that it does not handle such a request (RFC 7930 section 4).
    ProtocolError(Box<Answer>),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// The server closed it, or the network did.
    Closed,
    /// It did not answer the watchdog's questions.
    Silent,
    /// What came from it was no RADIUS, or not authentic.
    Refused(&'static str),
    /// The client is being closed.
    Local,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the server closed the connection before its answer"),
            Self::Silent => f.write_str("the server answers no Status-Server"),
            Self::Refused(what) => f.write_str(what),
            Self::Local => f.write_str("the client was closed"),
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Waiting { left, last } => write!(
                f,
                "not tried, because the last attempt failed and the next one is in {:.1} s ({last})",
                left.as_secs_f64()
            ),
            Self::ReplyTimeout => f.write_str("no answer in time"),
            Self::Busy => f.write_str("not sent, because no connection had room for it in time"),
            Self::Ignored(why) => write!(f, "no answer that can be believed ({why})"),
            Self::Lost(lost) => lost.fmt(f),
            Self::ProtocolError(answer) => {
                f.write_str("the server answered Protocol-Error")?;
                let cause = answer.error_cause();
                cause.map_or(Ok(()), |cause| match error_cause::name(cause) {
                    Some(name) => write!(f, ": {name} ({cause})"),
                    None => write!(f, " with Error-Cause {cause}"),
                })
            }
        }
    }
}

impl std::error::Error for AttemptError {}
