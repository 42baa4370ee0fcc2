//! What the machine keeps of a session, and what became of the single-connect negotiation.

use crate::registry::PacketType;
use crate::{Now, SeqNo, SessionId};

use super::CloseReason;

/// An active session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    /// Tells this session from a later one with the same id.
    pub(super) serial: u32,
    pub(super) packet_type: PacketType,
    /// The flow has no second packet of the client (sections 5.4.2.2 to 5.4.2.5, 6 and 7).
    pub(super) one_reply: bool,
    pub(super) state: State,
    /// When the peer last did something in it.
    pub(super) active: Now,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The application has the ticket.
    ReplyOwed,
    /// The peer has the question; its CONTINUE has this number.
    AwaitingContinue(SeqNo),
}

/// Single-connect (section 4.3): decided by the first two packets of the connection, whatever their sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Negotiation {
    /// Nothing came yet.
    FirstPacket,
    /// The first packet came; what follows is held until the first reply is sent.
    FirstReply { asked: bool },
    /// Many sessions.
    Established,
    /// One session, then the connection closes.
    SingleSession,
}

/// How long the connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    /// The sessions that run may finish, no new ones (section 4.4).
    Finishing(CloseReason),
    Closed(CloseReason),
}

/// What one packet came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing to do until something happens outside.
    Wait,
    Deliver(super::event::Key, Delivery, core::ops::Range<usize>),
    Aborted(SessionId, core::ops::Range<usize>),
    Ended(SessionId, Ending),
    Refused(SessionId, super::Refusal),
    WrongFlag(SessionId),
    /// A header that cannot be trusted to name a session.
    Distrusted(super::Refusal),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Delivery {
    Start,
    Continue,
    Authorization,
    Accounting,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Refused,
    ConnectionClosed,
}
