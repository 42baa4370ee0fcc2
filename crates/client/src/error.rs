//! Why there is no answer.

use std::fmt;
use std::io;

use doorward_tacacs::client::{Failure, SendError};
use doorward_tacacs::{
    AccountingStatus, AuthenticationStatus, AuthorizationStatus, ChallengeError, EncodeError,
};
use doorward_tls::{ChannelError, HandshakeError};

use crate::hastls::Forbidden;
use crate::text::for_display;

/// Why a request has no answer. A denial is none of these.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The client has no server.
    NoServer,
    /// This server is without TLS, and the client may make connections with TLS only.
    TlsOnly(String),
    /// The policy for this server offers TLS 1.2, which TACACS+ never uses (RFC 9887 section 3.1).
    OldTls(String),
    /// The request cannot be sent to any server.
    Request(SendError),
    /// An argument cannot be sent.
    Argument(EncodeError),
    /// The `task_id` of this start record was started before, and not stopped (RFC 8907 section 8.3).
    TaskIsOpen,
    /// Whoever answers the questions gave up; the server was told.
    Aborted,
    /// There is no answer to a challenge with this secret.
    Challenge(ChallengeError),
    /// The operating system gives no random numbers.
    Random,
    /// No server decided: each with its reason, in the order they were tried.
    Unavailable(Vec<Attempt>),
}

impl ClientError {
    /// The status and message of the last server that answered ERROR, if one did.
    pub fn server_error(&self) -> Option<(ServerStatus, &[u8])> {
        let Self::Unavailable(attempts) = self else {
            return None;
        };
        attempts
            .iter()
            .rev()
            .find_map(|attempt| attempt.reason.status())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer => f.write_str("there is no server to ask"),
            Self::TlsOnly(server) => write!(
                f,
                "the server {server} is without TLS, and only connections with TLS are allowed"
            ),
            Self::OldTls(server) => write!(
                f,
                "the server {server} would be offered TLS 1.2, and TACACS+ uses TLS 1.3 alone"
            ),
            Self::Request(error) => error.fmt(f),
            Self::Argument(error) => error.fmt(f),
            Self::Challenge(error) => error.fmt(f),
            Self::TaskIsOpen => f.write_str("the task_id was started before, and not stopped"),
            Self::Aborted => f.write_str("the login was given up"),
            Self::Random => f.write_str("the operating system gives no random numbers"),
            Self::Unavailable(attempts) => {
                f.write_str("no server decided")?;
                list(attempts, f)
            }
        }
    }
}

impl std::error::Error for ClientError {}

/// One server that did not decide, or over RADIUS did not answer.
#[derive(Debug)]
pub struct Attempt<R = AttemptError> {
    /// The server's address, as configured.
    pub server: String,
    /// Why it did not.
    pub reason: R,
}

/// Writes what became of each server, after what became of all.
pub(crate) fn list<R: fmt::Display>(
    attempts: &[Attempt<R>],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (place, attempt) in attempts.iter().enumerate() {
        write!(f, "{} {attempt}", if place == 0 { ":" } else { ";" })?;
    }
    Ok(())
}

impl<R: fmt::Display> fmt::Display for Attempt<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.server, self.reason)
    }
}

/// Why there is no connection to a server, or none any more.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// HASTLS forbids it: nobody was connected to.
    Hastls(Forbidden),
    /// Its name has no address.
    Resolve(io::Error),
    /// The connection was refused, or no way leads there.
    Connect(io::Error),
    /// The connection, with its TLS handshake, was not made in time.
    ConnectTimeout,
    /// The TLS handshake failed. Nothing is sent without TLS instead.
    Handshake(HandshakeError),
    /// The handshake seemed complete here, but the server ended the connection before its first octet: with TLS 1.3
    /// that is how it refuses our certificate.
    RefusedAfterHandshake(Option<ChannelError>),
    /// The secure channel broke.
    Channel(ChannelError),
    /// The connection broke.
    Io(io::Error),
    /// The server closed before its reply.
    Closed,
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hastls(forbidden) => forbidden.fmt(f),
            Self::Resolve(error) => write!(f, "the name has no address ({error})"),
            Self::Connect(error) => write!(f, "no connection ({error})"),
            Self::ConnectTimeout => f.write_str("no connection in time"),
            Self::Handshake(error) => write!(f, "the TLS handshake failed: {error}"),
            Self::RefusedAfterHandshake(None) => f.write_str(
                "the server closed right after the TLS handshake; does it accept our certificate?",
            ),
            Self::RefusedAfterHandshake(Some(error)) => {
                write!(
                    f,
                    "the server refused the connection after the TLS handshake: {error}"
                )
            }
            Self::Channel(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the connection broke ({error})"),
            Self::Closed => f.write_str("the server closed the connection before its reply"),
        }
    }
}

impl std::error::Error for TransportError {}

/// Why one server did not decide.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttemptError {
    /// There is no connection to it.
    Transport(TransportError),
    /// No reply in time.
    ReplyTimeout,
    /// The reply was no usable one.
    Reply(Failure),
    /// The server says that it could not decide.
    Status {
        /// Its status.
        status: ServerStatus,
        /// What it says about that; to be escaped.
        server_msg: Vec<u8>,
    },
    /// A question where the request has one reply only.
    Question,
    /// A reply longer than any can be, or no TACACS+ at all.
    NotTacacs,
    /// The connection takes no session, for a reason that is ours.
    Busy,
}

impl From<TransportError> for AttemptError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl AttemptError {
    fn status(&self) -> Option<(ServerStatus, &[u8])> {
        if let Self::Status { status, server_msg } = self {
            Some((*status, server_msg))
        } else {
            None
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::ReplyTimeout => f.write_str("no reply in time"),
            Self::Reply(failure) => failure.fmt(f),
            Self::Status { status, server_msg } if server_msg.is_empty() => {
                write!(f, "the server answered {status}")
            }
            Self::Status { status, server_msg } => {
                write!(
                    f,
                    "the server answered {status}: {}",
                    for_display(server_msg)
                )
            }
            Self::Question => f.write_str("the server asks a question where it has to decide"),
            Self::NotTacacs => f.write_str("the server does not speak TACACS+"),
            Self::Busy => f.write_str("the connection takes no session"),
        }
    }
}

impl std::error::Error for AttemptError {}

/// A status, of whichever kind of reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerStatus {
    /// Of an authentication.
    Authentication(AuthenticationStatus),
    /// Of an authorization.
    Authorization(AuthorizationStatus),
    /// Of an accounting record.
    Accounting(AccountingStatus),
}

impl ServerStatus {
    /// The protocol's own name, if the RFC lists the number.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Authentication(status) => status.name(),
            Self::Authorization(status) => status.name(),
            Self::Accounting(status) => status.name(),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Authentication(status) => status.0,
            Self::Authorization(status) => status.0,
            Self::Accounting(status) => status.0,
        }
    }
}

impl fmt::Display for ServerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "the unlisted status {:#04x}", self.number()),
        }
    }
}
