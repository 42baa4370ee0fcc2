//! The server's side of a connection.
//!
//! ```text
//!   octets ──▶ 1 receive     into the one receive buffer
//!              2 hold        after the first packet until its reply is sent          4.3
//!              3 trust       major version, flag, length: known before the body      4.1, 4.5, 10.5.2
//!              4 negotiate   first packet: does the client ask for single-connect?   4.3
//!              5 route       flag over TLS, type, sequence number, session           4.1, 3.6, RFC 9887 4
//!              6 reveal      de-obfuscate in place, add up the lengths               4.5
//!              7 check       listed numbers, versions, accounting flags              3.6, 5.4.1, 7.2
//!   event  ◀── 8 poll        with a ticket; borrows the receive buffer
//!
//!   answer ──▶ 9 judge       no redirection, no question too many                    10.5.5, 5.4.2, 4.1
//!             10 send        single-connect decided, encode, obfuscate in place      4.3, 4.5
//!             11 settle      session over; last one: close                           4.4
//!   octets ◀──12 poll_transmit
//! ```
//!
//! What a packet is refused for in steps 3 to 7 is answered by the machine (see [`Refusal`]) and told once.
//! Trouble that ends the connection: a major version other than 0xc, the flag for clear text without TLS and a body
//! over the limit (at once); a body that does not add up and a missing flag over TLS (as soon as the sessions that
//! run are complete, section 4.4). Everything else ends its session at most.
//!
//! [`Dialect::Draft05`](crate::Dialect::Draft05) changes what its rows change and no more: a flow that is not offered is
//! ERROR instead of FAIL, PAP with minor version 0 may ask, the numbers of ARAP are listed, and a body that does not add
//! up leaves a connection with single-connect open.

mod check;
mod config;
mod event;
mod receive;
mod reply;
mod session;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::buffer::{Inbox, Outbox};
use crate::sessions::Sessions;
use crate::{Header, Now, SessionId, accounting, authentication, authorization};

use session::{Delivery, Ending, Life, Negotiation, Session, Step};

pub use config::Config;
pub use event::{
    AccountingReply, Answer, AnswerError, AuthenticationReply, AuthorizationReply, CloseReason,
    Event, Refusal, SessionEnd, Ticket,
};

/// The server's side of one connection: octets in, events out, answers in, octets out.
#[derive(Debug)]
pub struct ServerConnection {
    config: Arc<Config>,
    inbox: Inbox,
    outbox: Outbox,
    sessions: Sessions<Session>,
    /// How many sessions wait for the application.
    owed: usize,
    next_serial: u32,
    negotiation: Negotiation,
    life: Life,
    peer_closed: bool,
    /// Which of several secrets the peer has, once a packet told.
    secret: Option<usize>,
    /// A session that ended by the packet that was refused last.
    ended: Option<SessionId>,
    /// The session of the last packet, if its flag was wrong and tolerated.
    tolerated: Option<SessionId>,
    opened: Now,
    /// The latest time that is known.
    now: Now,
    /// When a whole packet last came or went.
    active: Now,
}

impl ServerConnection {
    /// What may lie in the transmit buffer before reading pauses.
    const OUTBOX_LIMIT: usize = 256 * 1024;

    /// A connection that was just accepted (and, over TLS, whose handshake is done).
    pub fn new(config: Arc<Config>, now: Now) -> Self {
        let life = if config.protection.lacks_secret() {
            Life::Closed(CloseReason::NoSecret)
        } else {
            Life::Open
        };
        Self {
            config,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            sessions: Sessions::default(),
            owed: 0,
            next_serial: 0,
            negotiation: Negotiation::FirstPacket,
            life,
            peer_closed: false,
            secret: None,
            ended: None,
            tolerated: None,
            opened: now,
            now,
            active: now,
        }
    }

    /// Whether the caller should read from the peer. While it is `false`, reading on would let the peer fill our memory.
    pub fn wants_read(&self) -> bool {
        // One packet always has room, or a connection whose packets are held would never see the end of one.
        let most = usize::try_from(self.config.max_body)
            .unwrap_or(usize::MAX)
            .saturating_add(Header::LENGTH);
        !self.is_closed()
            && !self.peer_closed
            && self.inbox.unread() < most
            && self.outbox.len() < Self::OUTBOX_LIMIT
    }

    /// Takes octets of the peer. Call [`ServerConnection::poll`] until it has no more events, then
    /// [`ServerConnection::poll_transmit`], then look at [`ServerConnection::close_reason`].
    pub fn receive(&mut self, octets: &[u8], now: Now) {
        self.now = self.now.max(now);
        if !self.is_closed() && !self.peer_closed {
            self.inbox.push(octets);
        }
    }

    /// The next event.
    ///
    /// To be called also after [`ServerConnection::answer`], which may release a packet that was held, and after
    /// [`ServerConnection::peer_closed`] and [`ServerConnection::handle_timeout`], which may end sessions.
    pub fn poll(&mut self) -> Option<Event<'_>> {
        let event = match self.step() {
            Step::Wait => return None,
            Step::Deliver(key, delivery, range) => {
                let body = self.inbox.body(&range);
                // The step decoded the body already, so none of these is an error.
                match delivery {
                    Delivery::Start => {
                        let start = authentication::Start::decode(body).ok()?;
                        Event::AuthenticationStart {
                            ticket: Ticket::new(key),
                            start,
                        }
                    }
                    Delivery::Continue => {
                        let answer = authentication::Continue::decode(body).ok()?;
                        Event::AuthenticationContinue {
                            ticket: Ticket::new(key),
                            answer,
                        }
                    }
                    Delivery::Authorization => {
                        let request = authorization::Request::decode(body).ok()?;
                        Event::Authorization {
                            ticket: Ticket::new(key),
                            request,
                        }
                    }
                    Delivery::Accounting => {
                        let request = accounting::Request::decode(body).ok()?;
                        Event::Accounting {
                            ticket: Ticket::new(key),
                            request,
                        }
                    }
                }
            }
            Step::Aborted(session, range) => {
                let answer = authentication::Continue::decode(self.inbox.body(&range)).ok()?;
                Event::SessionEnded {
                    session,
                    why: SessionEnd::Aborted(answer.data),
                }
            }
            Step::Ended(session, Ending::Refused) => Event::SessionEnded {
                session,
                why: SessionEnd::Refused,
            },
            Step::Ended(session, Ending::ConnectionClosed) => Event::SessionEnded {
                session,
                why: SessionEnd::ConnectionClosed,
            },
            Step::WrongFlag(session) => Event::WrongFlag { session },
            Step::Refused(session, reason) => Event::Refused {
                session: Some(session),
                reason,
            },
            Step::Distrusted(reason) => Event::Refused {
                session: None,
                reason,
            },
        };
        Some(event)
    }

    /// Appends what is to be sent, and says whether there was anything. The replies of one turn are contiguous.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.outbox.transmit(out)
    }

    /// When [`ServerConnection::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Now> {
        self.deadline().map(|(at, _)| at)
    }

    /// Tells that time has passed. Harmless when called early.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = self.now.max(now);
        if let Some((at, reason)) = self.deadline()
            && at <= self.now
        {
            self.life = Life::Closed(reason);
        }
    }

    /// The timer that ends first. The peer cannot be blamed for silence while it waits for us.
    fn deadline(&self) -> Option<(Now, CloseReason)> {
        if self.is_closed() || self.owed > 0 {
            return None;
        }
        let idle = self
            .config
            .idle_timeout
            .map(|span| (self.active.after(span), CloseReason::IdleTimeout));
        let first = match (self.negotiation, self.config.first_packet_timeout) {
            (Negotiation::FirstPacket, Some(span)) => {
                Some((self.opened.after(span), CloseReason::FirstPacketTimeout))
            }
            _ => None,
        };
        first.into_iter().chain(idle).min_by_key(|(at, _)| *at)
    }

    /// Since when there is nothing under way: no session, no octets that are not answered or not sent. `None` while there is,
    /// once it is closed, and where the first packet has a deadline, before that has come.
    pub fn idle_since(&self) -> Option<Now> {
        let begins = matches!(self.negotiation, Negotiation::FirstPacket)
            && self.config.first_packet_timeout.is_some();
        let nothing = self.sessions.is_empty()
            && self.owed == 0
            && self.inbox.unread() == 0
            && self.outbox.len() == 0;
        (nothing && !begins && !self.is_closed()).then_some(self.active)
    }

    /// Some when the connection is over: poll the events that are left, send what is left, then close our side.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.life {
            Life::Closed(reason) => Some(reason),
            Life::Open | Life::Finishing(_) => None,
        }
    }

    /// Tells that the peer will send no more. Replies that are owed can still be given.
    pub fn peer_closed(&mut self) {
        self.peer_closed = true;
        self.settle();
    }

    /// The number of active sessions.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The active sessions, in no particular order.
    pub fn session_ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.ids()
    }

    /// Lets the sessions that run finish, refuses new ones, then closes.
    pub fn refuse_new_sessions(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Finishing(CloseReason::Drained);
            self.settle();
        }
    }

    fn is_closed(&self) -> bool {
        matches!(self.life, Life::Closed(_))
    }

    /// Closes when nothing is left to be done (sections 4.3 and 4.4).
    fn settle(&mut self) {
        if !self.sessions.is_empty() {
            return;
        }
        match (self.life, self.negotiation) {
            (Life::Closed(_), _) => {}
            (Life::Finishing(reason), _) => self.life = Life::Closed(reason),
            (Life::Open, Negotiation::SingleSession) => {
                self.life = Life::Closed(CloseReason::SessionComplete)
            }
            (
                Life::Open,
                Negotiation::FirstPacket
                | Negotiation::FirstReply { .. }
                | Negotiation::Established,
            ) => {
                if self.peer_closed && !self.inbox.has_packet() {
                    self.life = Life::Closed(CloseReason::PeerClosed);
                }
            }
        }
    }
}

impl Refusal {
    /// Whether the lengths of the body were wrong.
    pub fn is_body(&self) -> bool {
        matches!(self, Self::Body(_))
    }

    /// Whether the connection takes no new session after it (section 4.4).
    pub fn is_trouble(&self) -> bool {
        match self {
            Self::NotTacacs(_)
            | Self::FlagSet
            | Self::FlagClear
            | Self::Oversize { .. }
            | Self::Body(_) => true,
            Self::UnknownType(_)
            | Self::Unlisted { .. }
            | Self::Pair(..)
            | Self::MinorVersion(_)
            | Self::AccountingFlags(_)
            | Self::Sequence(_)
            | Self::SessionInUse
            | Self::UnknownSession
            | Self::NotSingleConnection
            | Self::NotAccepting
            | Self::TooManySessions => false,
        }
    }
}

#[cfg(test)]
mod tests;
/// The same rules, but for those that `tests/dialects.rs` tells apart.
#[cfg(test)]
#[path = "tests/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "every rule is tried in both dialects")]
mod tests_of_draft_05;
