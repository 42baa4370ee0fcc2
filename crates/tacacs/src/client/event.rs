//! What a client's connection tells its application, and what it refuses to send.

use core::fmt;

use crate::registry::PacketType;
use crate::wire::{DecodeError, EncodeError};
use crate::{
    Dialect, Protection, SeqNo, SessionId, Verdict, Version, accounting, authentication,
    authorization,
};

/// The properties of a connection, from the entry of its server.
#[derive(Clone, Debug)]
pub struct Config {
    /// TLS or obfuscation. With several secrets the first is used.
    pub protection: Protection,
    /// Whether to ask for single-connect (section 4.3).
    pub single_connection: bool,
    /// The longest body that is accepted, in octets. The longest legal reply has 196,356.
    pub max_body: u32,
    /// Which description of the protocol the server follows.
    pub dialect: Dialect,
}

impl Config {
    /// The longest legal reply.
    pub const DEFAULT_MAX_BODY: u32 = 196_356;

    /// The usual properties.
    pub fn new(protection: Protection) -> Self {
        Self {
            protection,
            single_connection: true,
            max_body: Self::DEFAULT_MAX_BODY,
            dialect: Dialect::Rfc8907,
        }
    }
}

/// Something that happened on a connection. It borrows the receive buffer until the next call.
#[derive(Debug)]
pub enum Event<'a> {
    /// The server answered a START or CONTINUE.
    AuthenticationReply {
        /// Which session.
        session: SessionId,
        /// Present if the server asked for more, and the session goes on.
        ticket: Option<ContinueTicket>,
        /// The packet. Judge it by [`crate::AuthenticationStatus::verdict`].
        reply: authentication::Reply<'a>,
    },
    /// The server answered a question of authorization; the session is over.
    AuthorizationReply {
        /// Which session.
        session: SessionId,
        /// The packet. Judge it by [`crate::AuthorizationStatus::verdict`].
        reply: authorization::Reply<'a>,
    },
    /// The server answered a record of accounting; the session is over.
    AccountingReply {
        /// Which session.
        session: SessionId,
        /// The packet. Judge it by [`crate::AccountingStatus::verdict`].
        reply: accounting::Reply<'a>,
    },
    /// A session ended without a usable reply.
    SessionFailed {
        /// Which session.
        session: SessionId,
        /// Why. [`Failure::verdict`] says what to make of it.
        reason: Failure,
    },
    /// A packet for no active session was dropped.
    Ignored {
        /// The session it named.
        session: SessionId,
    },
    /// The connection is over; told once, after the last session.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why a session ended without a usable reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The reply's flag for clear text is not what the connection wants; the connection closes
    /// (section 10.5.2, RFC 9887 section 4). Holds the type of the session.
    FlagMismatch(PacketType),
    /// The body does not add up; most often the two sides have different secrets (section 4.5).
    Garbage(DecodeError),
    /// A reply without body: the server's ERROR for what it cannot name (section 3.6).
    EmptyReply,
    /// A status that the RFC does not list.
    UnlistedStatus(u8),
    /// The reply is of another type than the request.
    WrongType(PacketType),
    /// The reply has not the next sequence number.
    Sequence(SeqNo),
    /// The server asked until no sequence number was left; the session was aborted (section 4.1).
    SequenceExhausted,
    /// The connection closed first.
    ConnectionClosed,
}

impl Failure {
    /// What to make of it: like a server that cannot be reached, except that section 10.5.2 calls a wrong flag FAIL
    /// for authentication and authorization (accounting has no FAIL).
    pub fn verdict(self) -> Verdict {
        match self {
            Self::FlagMismatch(PacketType::ACCOUNTING) => Verdict::Error,
            Self::FlagMismatch(_) => Verdict::Fail,
            Self::Garbage(_)
            | Self::EmptyReply
            | Self::UnlistedStatus(_)
            | Self::WrongType(_)
            | Self::Sequence(_)
            | Self::SequenceExhausted
            | Self::ConnectionClosed => Verdict::Error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FlagMismatch(_) => {
                f.write_str("the unencrypted flag of the reply does not fit the connection")
            }
            Self::Garbage(error) => write!(f, "{error}; do both sides have the same secret?"),
            Self::EmptyReply => f.write_str("the server sent an error without body"),
            Self::UnlistedStatus(status) => {
                write!(f, "the server sent the unlisted status {status:#04x}")
            }
            Self::WrongType(packet_type) => {
                write!(f, "the reply is of type {:#04x}", packet_type.0)
            }
            Self::Sequence(seq_no) => write!(f, "the reply has the sequence number {}", seq_no.0),
            Self::SequenceExhausted => {
                f.write_str("the server asked until the sequence numbers ran out")
            }
            Self::ConnectionClosed => f.write_str("the connection closed before the reply"),
        }
    }
}

impl core::error::Error for Failure {}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Its only session is over: single-connect was not established.
    SessionComplete,
    /// The server closed.
    PeerClosed,
    /// A reply could not be trusted (garbage, a wrong flag), and the sessions that ran are complete.
    Trouble,
    /// A reply was longer than the limit.
    Oversize,
    /// The server does not speak TACACS+.
    NotTacacs,
    /// A reply for a session that was not ours, on a connection for one session.
    UnknownSession,
    /// An obfuscated connection was set up without a secret.
    NoSecret,
}

/// The right to continue one session of authentication, once.
#[must_use = "the session waits: continue or abort it"]
#[derive(Debug)]
pub struct ContinueTicket {
    pub(super) session: SessionId,
    /// Tells a session from a later one with the same id.
    pub(super) serial: u32,
    pub(super) seq_no: SeqNo,
    pub(super) version: Version,
}

impl ContinueTicket {
    /// The session.
    pub fn session(&self) -> SessionId {
        self.session
    }
}

/// Why a packet was not sent. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The connection takes no session now: see [`ClientConnection::may_start`](super::ClientConnection::may_start).
    NotNow,
    /// The id is in use.
    SessionInUse,
    /// The session is over.
    SessionOver,
    /// The pair of action and type does not exist (section 5.4.1), or is SENDAUTH, which section 10.5.3 advises
    /// against, or asks for ENABLE otherwise than by an ASCII LOGIN (section 5.4.2.6).
    Pair,
    /// A request of authorization or accounting with the service ENABLE, which only a request for more privileges has
    /// (section 5.4.2.6).
    EnableService,
    /// PAP as a dialogue exists in draft-05 only.
    Dialect,
    /// This kind of login needs a user name in the START (sections 5.4.2.2 to 5.4.2.5).
    NoUser,
    /// An authorization needs the argument `service` (section 8.2).
    NoService,
    /// `service=shell` needs the argument `cmd` (section 8.2).
    NoCommand,
    /// The arguments of accounting stand before those of authorization (section 8.3).
    ArgumentOrder,
    /// The packet cannot be put on the wire.
    Encode(EncodeError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNow => f.write_str("the connection takes no session now"),
            Self::SessionInUse => f.write_str("the session id is in use"),
            Self::SessionOver => f.write_str("the session is over"),
            Self::Pair => {
                f.write_str("this kind of authentication does not exist or is not offered")
            }
            Self::EnableService => {
                f.write_str("only a request for more privileges has the service ENABLE")
            }
            Self::Dialect => f.write_str("PAP as a dialogue exists in the dialect draft-05 only"),
            Self::NoUser => f.write_str("this kind of login needs a user name"),
            Self::NoService => f.write_str("an authorization needs the argument service"),
            Self::NoCommand => f.write_str("service=shell needs the argument cmd"),
            Self::ArgumentOrder => {
                f.write_str("accounting arguments stand before authorization arguments")
            }
            Self::Encode(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for SendError {}

impl From<EncodeError> for SendError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
