//! The client's side of a connection.
//!
//! ```text
//!   start, authorize, account ──▶ 1 may start?   one session until single-connect is established   4.3
//!                                 2 check        what the server may expect                        5.4, 8.2, 8.3
//!   octets ◀── poll_transmit ──── 3 send         the right version, encode, obfuscate              5.4.1, 4.5
//!
//!   octets ──▶ receive ─────────▶ 4 trust        version, flag, length                             4.1, 10.5.2
//!                                 5 negotiate    the first reply decides about single-connect      4.3
//!                                 6 route        session, type, sequence number                    4.1
//!                                 7 reveal       de-obfuscate, add up the lengths                  4.5
//!   event  ◀── poll ───────────── 8 judge        listed status; a question brings a ticket         5.2, 5.4
//!   continue_with, abort ───────▶ 3
//! ```
//!
//! No reply that breaks a rule becomes a result: the session fails, which is like a server that cannot be reached
//! (section 4.4). Trouble that ends the connection: a major version other than 0xc, the wrong flag, a body over the
//! limit (at once); a body that does not add up (as soon as the other sessions are complete).

mod check;
mod event;
mod judge;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::buffer::{Inbox, Outbox};
use crate::registry::PacketType;
use crate::sessions::Sessions;
use crate::wire::EncodeError;
use crate::{Flags, Header, Now, SeqNo, SessionId, Version, obfuscation};
use crate::{accounting, authentication, authorization};

pub use event::{CloseReason, Config, ContinueTicket, Event, Failure, SendError};

/// The client's side of one connection.
#[derive(Debug)]
pub struct ClientConnection {
    config: Arc<Config>,
    inbox: Inbox,
    outbox: Outbox,
    sessions: Sessions<Session>,
    next_serial: u32,
    negotiation: Negotiation,
    life: Life,
    peer_closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    /// Tells this session from a later one with the same id.
    serial: u32,
    packet_type: PacketType,
    /// The number of the reply that is awaited, or `None` while the application has the ticket.
    awaited: Option<SeqNo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Negotiation {
    Fresh,
    FirstReply,
    Established,
    SingleSession,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    Finishing(CloseReason),
    Closed(CloseReason),
    /// Closed, and the application knows.
    Told(CloseReason),
}

enum Step {
    Wait,
    Authentication(SessionId, Option<ContinueTicket>, Range<usize>),
    Authorization(SessionId, Range<usize>),
    Accounting(SessionId, Range<usize>),
    Failed(SessionId, Failure),
    Ignored(SessionId),
    Closed(CloseReason),
}

impl ClientConnection {
    /// A connection that was just made (and, over TLS, whose handshake is done).
    ///
    /// This machine has no timer: how long a reply may take is the business of the caller, who then gives up the
    /// connection. The times are there so that both machines look alike.
    pub fn new(config: Arc<Config>, _now: Now) -> Self {
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
            next_serial: 0,
            negotiation: Negotiation::Fresh,
            life,
            peer_closed: false,
        }
    }

    /// Whether a session may be started now: the first one, or any number once single-connect is established.
    pub fn may_start(&self) -> bool {
        let negotiated = matches!(
            self.negotiation,
            Negotiation::Fresh | Negotiation::Established
        );
        negotiated && self.life == Life::Open && !self.peer_closed
    }

    /// Starts a session of authentication. The id must come from a cryptographic random generator.
    ///
    /// # Errors
    /// [`SendError`], and nothing is sent: the connection takes no session now, or section 5.4 forbids such a START.
    pub fn start(
        &mut self,
        session: SessionId,
        start: &authentication::Start<'_>,
    ) -> Result<(), SendError> {
        let version = check::start_version(start)?;
        self.open(session, PacketType::AUTHENTICATION, version, |into| {
            start.encode(into)
        })
    }

    /// Starts a login by PAP in its older form (draft-05 section 4.4.1): `minor_version` 0, the name in the START and no
    /// `data`; the server asks for the password. The id must come from a cryptographic random generator.
    ///
    /// # Errors
    /// [`SendError::Dialect`] unless the connection is set up for draft-05; otherwise as [`ClientConnection::start`].
    pub fn start_pap_dialogue(
        &mut self,
        session: SessionId,
        start: &authentication::Start<'_>,
    ) -> Result<(), SendError> {
        let version = check::pap_dialogue(start, self.config.dialect)?;
        self.open(session, PacketType::AUTHENTICATION, version, |into| {
            start.encode(into)
        })
    }

    /// Asks for authorization. The id must come from a cryptographic random generator.
    pub fn authorize(
        &mut self,
        session: SessionId,
        request: &authorization::Request<'_>,
    ) -> Result<(), SendError> {
        check::authorization(request)?;
        self.open(
            session,
            PacketType::AUTHORIZATION,
            Version::DEFAULT,
            |into| request.encode(into),
        )
    }

    /// Sends a record of accounting. The id must come from a cryptographic random generator.
    pub fn account(
        &mut self,
        session: SessionId,
        request: &accounting::Request<'_>,
    ) -> Result<(), SendError> {
        check::accounting(request)?;
        self.open(session, PacketType::ACCOUNTING, Version::DEFAULT, |into| {
            request.encode(into)
        })
    }

    /// Answers a question of the server.
    ///
    /// If the answer cannot be put on the wire, the session is aborted.
    pub fn continue_with(
        &mut self,
        ticket: ContinueTicket,
        answer: &authentication::Continue<'_>,
    ) -> Result<(), SendError> {
        let current = self
            .sessions
            .get(ticket.session)
            .is_some_and(|session| session.serial == ticket.serial);
        if !current || self.is_closed() {
            return Err(SendError::SessionOver);
        }
        let sent = self.send_continue(&ticket, answer);
        if answer.abort || sent.is_err() {
            if sent.is_err() {
                let abort = authentication::Continue {
                    user_msg: &[],
                    data: &[],
                    abort: true,
                };
                let _ = self.send_continue(&ticket, &abort);
            }
            self.sessions.remove(ticket.session);
            self.settle();
        } else if let Some(session) = self.sessions.get_mut(ticket.session) {
            session.awaited = ticket.seq_no.next();
        }
        sent.map_err(SendError::Encode)
    }

    /// Ends a session instead of answering (section 5.4.3). There is no reply.
    pub fn abort(&mut self, ticket: ContinueTicket, reason: &[u8]) -> Result<(), SendError> {
        self.continue_with(
            ticket,
            &authentication::Continue {
                user_msg: &[],
                data: reason,
                abort: true,
            },
        )
    }

    /// Takes octets of the server. Call [`ClientConnection::poll`] until it has no more events.
    pub fn receive(&mut self, octets: &[u8], _now: Now) {
        if !self.is_closed() && !self.peer_closed {
            self.inbox.push(octets);
        }
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<Event<'_>> {
        let event = match self.step() {
            Step::Wait => return None,
            // The step decoded the body already, so none of these is an error.
            Step::Authentication(session, ticket, range) => {
                let reply = authentication::Reply::decode(self.inbox.body(&range)).ok()?;
                Event::AuthenticationReply {
                    session,
                    ticket,
                    reply,
                }
            }
            Step::Authorization(session, range) => {
                let reply = authorization::Reply::decode(self.inbox.body(&range)).ok()?;
                Event::AuthorizationReply { session, reply }
            }
            Step::Accounting(session, range) => {
                let reply = accounting::Reply::decode(self.inbox.body(&range)).ok()?;
                Event::AccountingReply { session, reply }
            }
            Step::Failed(session, reason) => Event::SessionFailed { session, reason },
            Step::Ignored(session) => Event::Ignored { session },
            Step::Closed(reason) => Event::Closed { reason },
        };
        Some(event)
    }

    /// Appends what is to be sent, and says whether there was anything.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.outbox.transmit(out)
    }

    /// Tells that the server will send no more; poll afterwards.
    pub fn peer_closed(&mut self) {
        self.peer_closed = true;
    }

    /// Some when the connection is over: send what is left, then close.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.life {
            Life::Closed(reason) | Life::Told(reason) => Some(reason),
            Life::Open | Life::Finishing(_) => None,
        }
    }

    /// The number of active sessions.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whether single-connect is established, and the connection can be kept for later sessions.
    pub fn is_reusable(&self) -> bool {
        self.negotiation == Negotiation::Established && self.may_start()
    }

    fn is_closed(&self) -> bool {
        self.close_reason().is_some()
    }

    fn open(
        &mut self,
        session_id: SessionId,
        packet_type: PacketType,
        version: Version,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), SendError> {
        if !self.may_start() {
            return Err(SendError::NotNow);
        }
        if self.sessions.get(session_id).is_some() {
            return Err(SendError::SessionInUse);
        }
        let header = Header {
            version,
            packet_type,
            seq_no: SeqNo::FIRST,
            flags: self.request_flags(),
            session_id,
            length: 0,
        };
        self.outbox
            .write(header, self.config.protection.first_secret(), encode)?;
        if self.negotiation == Negotiation::Fresh {
            self.negotiation = Negotiation::FirstReply;
        }
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        self.sessions.insert(
            session_id,
            Session {
                serial,
                packet_type,
                awaited: SeqNo::FIRST.next(),
            },
        );
        Ok(())
    }

    fn send_continue(
        &mut self,
        ticket: &ContinueTicket,
        answer: &authentication::Continue<'_>,
    ) -> Result<(), EncodeError> {
        let header = Header {
            version: ticket.version,
            packet_type: PacketType::AUTHENTICATION,
            seq_no: ticket.seq_no,
            flags: self.request_flags(),
            session_id: ticket.session,
            length: 0,
        };
        self.outbox
            .write(header, self.config.protection.first_secret(), |into| {
                answer.encode(into)
            })
    }

    fn request_flags(&self) -> Flags {
        let flags = self.config.protection.flags();
        let single = match self.negotiation {
            Negotiation::Fresh | Negotiation::FirstReply => self.config.single_connection,
            Negotiation::Established => true,
            Negotiation::SingleSession => false,
        };
        if single {
            flags.with(Flags::SINGLE_CONNECT)
        } else {
            flags
        }
    }

    /// Deals with at most one packet.
    fn step(&mut self) -> Step {
        self.inbox.release();
        if self.is_closed() {
            return self.finish();
        }
        let Some(header) = self.inbox.peek() else {
            return self.end_of_stream();
        };
        if let Err((reason, failure)) = self.trust(&header) {
            self.life = Life::Closed(reason);
            return match self.sessions.remove(header.session_id) {
                Some(_) => Step::Failed(header.session_id, failure),
                None => self.finish(),
            };
        }
        let Some(body) = self.inbox.take(&header) else {
            return self.end_of_stream();
        };
        if self.negotiation == Negotiation::FirstReply {
            // A flag that was not asked for is ignored (section 4.3).
            let granted =
                self.config.single_connection && header.flags.contains(Flags::SINGLE_CONNECT);
            self.negotiation = if granted {
                Negotiation::Established
            } else {
                Negotiation::SingleSession
            };
        }
        self.route(&header, body)
    }

    /// What can be said before the body is here, and after which the stream cannot be trusted any more.
    fn trust(&self, header: &Header) -> Result<(), (CloseReason, Failure)> {
        if !header.version.is_tacacs() {
            return Err((CloseReason::NotTacacs, Failure::ConnectionClosed));
        }
        let wanted = self.config.protection.flags().contains(Flags::UNENCRYPTED);
        if header.flags.contains(Flags::UNENCRYPTED) != wanted {
            let session = self.sessions.get(header.session_id);
            let packet_type = session.map_or(header.packet_type, |session| session.packet_type);
            return Err((CloseReason::Trouble, Failure::FlagMismatch(packet_type)));
        }
        if header.length > self.config.max_body {
            return Err((CloseReason::Oversize, Failure::ConnectionClosed));
        }
        Ok(())
    }

    fn route(&mut self, header: &Header, body: Range<usize>) -> Step {
        let id = header.session_id;
        let Some(session) = self.sessions.get(id).copied() else {
            if self.negotiation != Negotiation::Established {
                self.life = Life::Closed(CloseReason::UnknownSession);
            }
            return Step::Ignored(id);
        };
        if header.packet_type != session.packet_type {
            return self.fail(id, Failure::WrongType(header.packet_type));
        }
        if session.awaited != Some(header.seq_no) {
            return self.fail(id, Failure::Sequence(header.seq_no));
        }
        if header.length == 0 {
            return self.fail(id, Failure::EmptyReply);
        }
        if let Some(secret) = self.config.protection.first_secret() {
            obfuscation::apply(secret, header, self.inbox.body_mut(&body));
        }
        match session.packet_type {
            PacketType::AUTHORIZATION => self.authorization_reply(id, body),
            PacketType::ACCOUNTING => self.accounting_reply(id, body),
            _ => self.authentication_reply(header, session, body),
        }
    }

    fn complete(&mut self, id: SessionId) {
        self.sessions.remove(id);
        self.settle();
    }

    fn fail(&mut self, id: SessionId, failure: Failure) -> Step {
        if matches!(failure, Failure::Garbage(_)) {
            self.life = Life::Finishing(CloseReason::Trouble);
        }
        self.complete(id);
        Step::Failed(id, failure)
    }

    /// Closes when nothing is left to be done (sections 4.3 and 4.4).
    fn settle(&mut self) {
        if !self.sessions.is_empty() {
            return;
        }
        match self.life {
            Life::Finishing(reason) => self.life = Life::Closed(reason),
            Life::Open if self.negotiation == Negotiation::SingleSession => {
                self.life = Life::Closed(CloseReason::SessionComplete);
            }
            Life::Open | Life::Closed(_) | Life::Told(_) => {}
        }
    }

    fn end_of_stream(&mut self) -> Step {
        if !self.peer_closed {
            return Step::Wait;
        }
        self.life = Life::Closed(CloseReason::PeerClosed);
        self.finish()
    }

    /// Tells every session that is left, then the application.
    fn finish(&mut self) -> Step {
        if let Some((id, _)) = self.sessions.remove_one(|_| true) {
            return Step::Failed(id, Failure::ConnectionClosed);
        }
        match self.life {
            Life::Closed(reason) => {
                self.life = Life::Told(reason);
                Step::Closed(reason)
            }
            Life::Open | Life::Finishing(_) | Life::Told(_) => Step::Wait,
        }
    }
}

#[cfg(test)]
mod tests;
