//! What a connection tells its application, and how the application answers.

use core::fmt;
use core::marker::PhantomData;

use crate::registry::{Action, AuthenticationType, PacketType};
use crate::wire::{DecodeError, EncodeError, Field};
use crate::{SeqNo, SessionId, Version, accounting, authentication, authorization};

/// Something that happened on a connection. It borrows the receive buffer until the next call.
#[derive(Debug)]
pub enum Event<'a> {
    /// A session of authentication begins. Its numbers are listed ones, its version fits its flow.
    AuthenticationStart {
        /// To be answered.
        ticket: Ticket<AuthenticationReply>,
        /// The packet.
        start: authentication::Start<'a>,
    },
    /// The answer to a question of ours.
    AuthenticationContinue {
        /// To be answered.
        ticket: Ticket<AuthenticationReply>,
        /// The packet; never one with `abort`.
        answer: authentication::Continue<'a>,
    },
    /// A question of authorization.
    Authorization {
        /// To be answered.
        ticket: Ticket<AuthorizationReply>,
        /// The packet.
        request: authorization::Request<'a>,
    },
    /// Something to be recorded; its flags are a valid combination.
    Accounting {
        /// To be answered.
        ticket: Ticket<AccountingReply>,
        /// The packet.
        request: accounting::Request<'a>,
    },
    /// A session that the application knows of ended otherwise than by its answer: drop what is kept for it.
    SessionEnded {
        /// Which one.
        session: SessionId,
        /// Why.
        why: SessionEnd<'a>,
    },
    /// The flag for clear text of a packet was wrong, and [`super::Config::tolerate_wrong_flag`] let it pass: to be counted.
    /// What the packet came to is told by the event before this one.
    WrongFlag {
        /// The session the packet named.
        session: SessionId,
    },
    /// The machine dealt with a packet by itself: to be counted, and logged once.
    Refused {
        /// The session the packet named, where its header could be trusted.
        session: Option<SessionId>,
        /// What was wrong.
        reason: Refusal,
    },
}

/// Why a session ended without an answer of the application.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd<'a> {
    /// The client aborted it (section 5.4.3), for this reason; arbitrary octets, to be escaped.
    Aborted(&'a [u8]),
    /// A packet of the session was refused; the event before this one tells why.
    Refused,
    /// The connection is gone, or the peer will send no more.
    ConnectionClosed,
}

impl fmt::Debug for SessionEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted(reason) => write!(f, "Aborted(\"{}\")", reason.escape_ascii()),
            Self::Refused => f.write_str("Refused"),
            Self::ConnectionClosed => f.write_str("ConnectionClosed"),
        }
    }
}

/// Why the machine dealt with a packet by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The major version is not 0xc: no reply, the connection closes.
    NotTacacs(Version),
    /// The flag for clear text on an obfuscated connection: no reply, the connection closes (sections 4.5 and 10.5.2).
    FlagSet,
    /// The flag for clear text is missing over TLS: ERROR, and no new session on this connection (RFC 9887 section 4).
    FlagClear,
    /// A packet of no known type: a header without body in reply (section 3.6).
    UnknownType(PacketType),
    /// The body is longer than the connection accepts: ERROR, the connection closes.
    Oversize {
        /// What the header announced.
        length: u32,
    },
    /// The body does not add up: ERROR, and no new session on this connection (sections 4.4 and 4.5); in the dialect of
    /// draft-05 a connection with single-connect goes on.
    /// On an obfuscated connection suspect the secret.
    Body(DecodeError),
    /// A number that the RFC does not list: ERROR (section 3.6).
    Unlisted {
        /// In which field.
        field: Field,
        /// The number.
        value: u8,
    },
    /// The pair does not exist in the table of section 5.4.1: FAIL (draft-05: ERROR).
    Pair(Action, AuthenticationType),
    /// The pair, or the type of packet, wants the other minor version: ERROR.
    MinorVersion(Version),
    /// Flags that section 7.2 calls invalid: ERROR.
    AccountingFlags(u8),
    /// The sequence number is not the expected one: ERROR where a reply has a number left, and the session is over.
    Sequence(SeqNo),
    /// A new session with the id of an active one: ERROR, and the active one is over.
    SessionInUse,
    /// A later packet of a session that does not exist: ERROR.
    UnknownSession,
    /// A second session on a connection without single-connect: no reply.
    NotSingleConnection,
    /// A new session after connection trouble, or while draining: ERROR.
    NotAccepting,
    /// More sessions than the connection may have: ERROR.
    TooManySessions,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTacacs(version) => {
                write!(f, "version octet {:#04x} is not TACACS+", version.0)
            }
            Self::FlagSet => f.write_str("the unencrypted flag is set on a connection without TLS"),
            Self::FlagClear => {
                f.write_str("the unencrypted flag is clear on a connection with TLS")
            }
            Self::UnknownType(packet_type) => {
                write!(f, "there is no packet type {:#04x}", packet_type.0)
            }
            Self::Oversize { length } => write!(f, "a body of {length} octets is over the limit"),
            Self::Body(error) => write!(f, "{error}"),
            Self::Unlisted { field, value } => write!(f, "{field} has no value {value:#04x}"),
            Self::Pair(action, kind) => write!(f, "{action:?} does not exist with {kind:?}"),
            Self::MinorVersion(version) => {
                write!(f, "version {:#04x} does not fit the request", version.0)
            }
            Self::AccountingFlags(flags) => {
                write!(f, "accounting flags {flags:#04x} are no valid combination")
            }
            Self::Sequence(seq_no) => {
                write!(f, "sequence number {} is not the expected one", seq_no.0)
            }
            Self::SessionInUse => f.write_str("the session id is in use"),
            Self::UnknownSession => f.write_str("there is no such session"),
            Self::NotSingleConnection => f.write_str("single-connect was not established"),
            Self::NotAccepting => f.write_str("the connection takes no new sessions"),
            Self::TooManySessions => f.write_str("the connection has too many sessions"),
        }
    }
}

/// Why a connection is over. What is left to be sent is still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Its only session is over: single-connect was not established (section 4.3).
    SessionComplete,
    /// The peer closed.
    PeerClosed,
    /// The peer was silent for too long.
    IdleTimeout,
    /// The first packet did not arrive in time.
    FirstPacketTimeout,
    /// A refused packet was connection trouble, and the sessions that ran are complete (section 4.4).
    Trouble,
    /// The application asked for no new sessions, and those that ran are complete.
    Drained,
    /// An obfuscated connection was set up without a secret.
    NoSecret,
}

/// The reply that an authentication packet wants.
#[derive(Debug)]
pub enum AuthenticationReply {}
/// The reply that an authorization packet wants.
#[derive(Debug)]
pub enum AuthorizationReply {}
/// The reply that an accounting packet wants.
#[derive(Debug)]
pub enum AccountingReply {}

/// The right to answer one packet, once, with a reply of the right kind. A ticket that is dropped leaves its session waiting.
#[must_use = "the peer waits for an answer"]
pub struct Ticket<R> {
    pub(super) key: Key,
    reply: PhantomData<fn(R)>,
}

/// Which packet is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) session: SessionId,
    /// Tells a session from a later one with the same id.
    pub(super) serial: u32,
    pub(super) seq_no: SeqNo,
    pub(super) version: Version,
}

impl<R> Ticket<R> {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            reply: PhantomData,
        }
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.key.session
    }

    /// The sequence number of the packet to be answered.
    pub fn seq_no(&self) -> SeqNo {
        self.key.seq_no
    }

    /// The version of the reply.
    pub fn version(&self) -> Version {
        self.key.version
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("session", &self.key.session)
            .field("seq_no", &self.key.seq_no.0)
            .finish()
    }
}

impl Ticket<AuthenticationReply> {
    /// Answers. GETUSER, GETPASS and GETDATA keep the session; everything else ends it.
    pub fn with<'a>(self, reply: authentication::Reply<'a>) -> Answer<'a> {
        Answer {
            key: self.key,
            body: Body::Authentication(reply),
        }
    }
}

impl Ticket<AuthorizationReply> {
    /// Answers, which ends the session.
    pub fn with<'a>(self, reply: authorization::Reply<'a>) -> Answer<'a> {
        Answer {
            key: self.key,
            body: Body::Authorization(reply),
        }
    }
}

impl Ticket<AccountingReply> {
    /// Answers, which ends the session.
    pub fn with<'a>(self, reply: accounting::Reply<'a>) -> Answer<'a> {
        Answer {
            key: self.key,
            body: Body::Accounting(reply),
        }
    }
}

/// A reply and the packet it belongs to.
#[derive(Debug)]
#[must_use = "an answer has to be handed to the connection"]
pub struct Answer<'a> {
    pub(super) key: Key,
    pub(super) body: Body<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Body<'a> {
    Authentication(authentication::Reply<'a>),
    Authorization(authorization::Reply<'a>),
    Accounting(accounting::Reply<'a>),
}

/// Why an answer did not go out as it was given. Except for a stale one, the peer got ERROR and the session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// The session ended meanwhile; nothing was sent.
    Stale,
    /// The reply cannot be put on the wire.
    Encode(EncodeError),
    /// The status is redirection, or a number that no reply has.
    Status(u8),
    /// A question, where the flow allows one reply only (sections 5.4.2.2 to 5.4.2.5).
    OneReplyOnly,
    /// A question, and no sequence number left for the answer to it (section 4.1).
    SequenceExhausted,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the session is over"),
            Self::Encode(error) => write!(f, "{error}"),
            Self::Status(status) => write!(f, "status {status:#04x} is never sent"),
            Self::OneReplyOnly => f.write_str("this kind of login has one reply only"),
            Self::SequenceExhausted => f.write_str("the session has no sequence number left"),
        }
    }
}

impl core::error::Error for AnswerError {}
