//! The accepting side of a connection.
//!
//! ```text
//!   octets ──▶ receive        framing, duplicates: dropped, or the same answer again
//!   event  ◀── poll           a request with its ticket
//!   answer ──▶ answer, discard or refuse
//!   octets ◀── poll_transmit  one packet a call
//! ```
//!
//! A packet is its header and octets here; what only its contents tell the application reports with
//! [`ServerConnection::refuse`]. What ends a connection is what [`CloseReason`] lists, nothing else does: a code that is
//! unknown or unwanted, an unknown attribute and a request that cannot be served leave it open. Over UDP there is
//! nothing to close, and what would have closed a connection is only discarded.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::datagram;
use crate::duplicate::{Duplicates, Lookup};
use crate::pairs::is_answer;
use crate::stream::StreamFraming;
use crate::{Code, HeaderError, Now, RawPacket, Transport};

/// How connections are served.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// What carries the packets.
    pub transport: Transport,
    /// Closes a connection on which nothing but Status-Server came or went for this long; `None` never does.
    pub idle: Option<Duration>,
    /// How long an answer is kept for duplicates of its request (RFC 5080 section 2.2.2).
    pub answers: Duration,
}

impl Config {
    /// No idle timeout, answers kept for 30 s.
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            idle: None,
            answers: Duplicates::LIFETIME,
        }
    }
}

/// Names a request until it is answered, discarded or refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    id: u8,
    serial: u64,
}

impl Ticket {
    /// The number by which later events name the request, unique on its connection.
    pub fn number(&self) -> u64 {
        self.serial
    }
}

/// What the application has to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A request, or a packet of an unknown code, that was not seen before.
    Request {
        /// For the answer.
        ticket: Ticket,
        /// The packet.
        packet: RawPacket,
    },
    /// A packet whose code is that of an answer: to what [`ServerConnection::ask`] sent, or to nothing. It may be ignored; if its contents are malformed, see
    /// [`ServerConnection::close`].
    Unwanted(RawPacket),
    /// The client gave up a request for another one of the same id: its answer would not be sent.
    Replaced {
        /// The ticket's number.
        number: u64,
    },
    /// The connection is closed. Comes once and is the last event.
    Closed {
        /// Why.
        reason: CloseReason,
        /// Requests to stop working on (RFC 6614bis section 3.10), by the numbers of their tickets.
        cancelled: Vec<u64>,
        /// Accounting-Requests that are being recorded: to be finished, their answers are discarded.
        finish: Vec<u64>,
    },
}

/// What is wrong with a packet's contents so that the connection ends (section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An attribute of length 0 or 1, or attributes that do not fill the packet exactly.
    Malformed,
    /// The Request or Response Authenticator is wrong where it has to be verified.
    Authenticator,
    /// A Message-Authenticator that is wrong, of another length than 18 octets, or there twice.
    MessageAuthenticator,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// A `length` below 20 or above 4096.
    Length(u16),
    /// A packet's contents.
    Refused(Refusal),
    /// Nothing came or went for the idle time.
    Idle,
    /// The watchdog of the connecting side had no answer.
    Silent,
    /// The peer closed, or the transport failed.
    Peer,
    /// The caller's decision.
    Local,
}

/// Why an answer is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// The connection is closed, or the client replaced the request: the answer is discarded, nothing is wrong.
    Gone,
    /// The octets are not exactly one packet with the code of an answer and the id of the request.
    NoAnswer,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "nobody waits for the answer any more",
            Self::NoAnswer => "the octets are no answer to the request",
        })
    }
}

impl core::error::Error for AnswerError {}

/// The accepting side of one connection; over UDP, of one source address and port.
#[derive(Debug)]
pub struct ServerConnection {
    config: Config,
    framing: StreamFraming,
    duplicates: Duplicates,
    events: VecDeque<Event>,
    /// Requests the application has, by serial.
    working: BTreeMap<u64, Code>,
    outbox: VecDeque<Arc<RawPacket>>,
    queued: usize,
    closed: Option<CloseReason>,
    active: Now,
}

impl ServerConnection {
    /// Octets that may wait to be sent before reading pauses.
    const OUTBOX_LIMIT: usize = 256 * 1024;
    /// Events that may wait to be polled before reading pauses.
    const EVENTS_LIMIT: usize = 256;

    /// A connection whose handshake is done.
    pub fn new(config: Config, now: Now) -> Self {
        Self {
            config,
            framing: StreamFraming::default(),
            duplicates: Duplicates::new(config.answers),
            events: VecDeque::new(),
            working: BTreeMap::new(),
            outbox: VecDeque::new(),
            queued: 0,
            closed: None,
            active: now,
        }
    }

    /// Whether the caller should read from the peer. While it is `false`, reading on would let the peer fill our memory.
    pub fn wants_read(&self) -> bool {
        self.closed.is_none()
            && self.queued < Self::OUTBOX_LIMIT
            && self.events.len() < Self::EVENTS_LIMIT
    }

    /// Takes octets of the peer: a piece of the stream of any size, or exactly one DTLS record or UDP datagram.
    pub fn receive(&mut self, mut octets: &[u8], now: Now) {
        if self.config.transport != Transport::Tls {
            match datagram::packet(octets) {
                Ok(Some(packet)) if self.closed.is_none() => self.take(packet, now),
                Err(datagram::DatagramError::Length(length)) => {
                    self.fault(CloseReason::Length(length));
                }
                Ok(_) | Err(datagram::DatagramError::Truncated) => {}
            }
            return;
        }
        while self.closed.is_none() {
            match self.framing.next(&mut octets) {
                Ok(Some(packet)) => self.take(packet, now),
                Ok(None) => return,
                Err(HeaderError::Length(length)) => self.fault(CloseReason::Length(length)),
                // The framing gives whole packets only.
                Err(HeaderError::Short) => return,
            }
        }
    }

    /// Takes a whole packet, where the caller has found it in a record or datagram already.
    pub fn receive_packet(&mut self, packet: RawPacket, now: Now) {
        if self.closed.is_none() {
            self.take(packet, now);
        }
    }

    /// The next event, if any.
    pub fn poll(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Request { ticket, packet } = &event {
            let code = packet.header().code;
            self.working.insert(ticket.serial, code);
        }
        Some(event)
    }

    /// Sends an answer, which is kept for duplicates of its request.
    ///
    /// # Errors
    /// It is not sent; after [`AnswerError::NoAnswer`] the request counts as discarded.
    pub fn answer(&mut self, ticket: Ticket, octets: Vec<u8>, now: Now) -> Result<(), AnswerError> {
        let code = self.settle(&ticket)?;
        let answer = RawPacket::new(octets)
            .ok()
            .filter(|packet| packet.header().id == ticket.id && is_answer(packet.header().code));
        let Some(answer) = answer.map(Arc::new) else {
            self.duplicates.forget(ticket.id, ticket.serial);
            return Err(AnswerError::NoAnswer);
        };
        if !self
            .duplicates
            .answer(ticket.serial, Arc::clone(&answer), now)
        {
            return Err(AnswerError::Gone);
        }
        if code != Code::STATUS_SERVER {
            self.active = now;
        }
        self.send(answer);
        Ok(())
    }

    /// Leaves a request without answer and the connection open: there are no resources for it, or the RFC asks for
    /// silence without a close. A duplicate of it is a new request.
    pub fn discard(&mut self, ticket: Ticket) {
        if self.settle(&ticket).is_ok() {
            self.duplicates.forget(ticket.id, ticket.serial);
        }
    }

    /// Reports contents for which the connection is closed; over UDP the request is discarded.
    pub fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        self.discard(ticket);
        self.fault(CloseReason::Refused(refusal));
    }

    /// Closes the connection: the peer or the transport did ([`CloseReason::Peer`]), or the caller wants it. Answers
    /// that were not sent are dropped with everything else.
    pub fn close(&mut self, reason: CloseReason) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason);
        self.framing = StreamFraming::default();
        self.duplicates.clear();
        self.outbox.clear();
        self.queued = 0;
        self.events.clear();
        let (mut cancelled, mut finish) = (Vec::new(), Vec::new());
        for (serial, code) in core::mem::take(&mut self.working) {
            if code == Code::ACCOUNTING_REQUEST {
                finish.push(serial);
            } else {
                cancelled.push(serial);
            }
        }
        self.events.push_back(Event::Closed {
            reason,
            cancelled,
            finish,
        });
    }

    /// Sends a request of our own down the connection (RFC 5176; RFC 6614bis section 3.3 lets servers do so). What the peer answers comes as
    /// [`Event::Unwanted`]: identifiers, authenticators and repetition are the caller's.
    pub fn ask(&mut self, packet: RawPacket) {
        if self.closed.is_none() {
            self.send(Arc::new(packet));
        }
    }

    /// The next packet to send. Each belongs into a TLS or DTLS record of its own, the records of one turn into one
    /// write.
    pub fn poll_transmit(&mut self) -> Option<Arc<RawPacket>> {
        let packet = self.outbox.pop_front()?;
        self.queued = self.queued.saturating_sub(packet.octets().len());
        Some(packet)
    }

    /// When [`ServerConnection::handle_timeout`] is due, if ever.
    pub fn poll_timeout(&self) -> Option<Now> {
        if self.closed.is_some() {
            return None;
        }
        [self.idle_end(), self.duplicates.timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what time asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        self.duplicates.expire(now);
        if self.idle_end().is_some_and(|end| end <= now) {
            self.close(CloseReason::Idle);
        }
    }

    /// Octets of the answers that are kept for duplicates.
    pub fn kept(&self) -> usize {
        self.duplicates.kept()
    }

    /// Forgets answers, so that no more than so many octets are kept: for callers with many connections, which together
    /// keep too much. [`crate::duplicate`] says which ones go first.
    pub fn keep_at_most(&mut self, octets: usize) {
        self.duplicates.keep_at_most(octets);
    }

    /// Why the connection is closed, if it is. Over TLS and DTLS the caller sends close_notify.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Since when there is nothing under way: no request without its answer, none of which only a part has come, none that
    /// is still to be sent. `None` while there is, and once it is closed. Status-Server does not count as traffic here either.
    pub fn idle_since(&self) -> Option<Now> {
        let nothing = self.working.is_empty()
            && self.events.is_empty()
            && self.outbox.is_empty()
            && !self.framing.is_partial();
        (nothing && self.closed.is_none()).then_some(self.active)
    }

    /// A connection that owes an answer is not idle.
    fn idle_end(&self) -> Option<Now> {
        let owed = |code| code != Code::STATUS_SERVER;
        let idle = self.config.idle?;
        (self.duplicates.in_progress(owed) == 0).then(|| self.active.after(idle))
    }

    fn take(&mut self, packet: RawPacket, now: Now) {
        let header = *packet.header();
        if header.code != Code::STATUS_SERVER {
            self.active = now;
        }
        if is_answer(header.code) {
            self.events.push_back(Event::Unwanted(packet));
            return;
        }
        match self.duplicates.request(&header, now) {
            Lookup::InProgress => {}
            // A flood of duplicates must not be worth more than what may wait.
            Lookup::Answered(answer) if self.queued < Self::OUTBOX_LIMIT => self.send(answer),
            Lookup::Answered(_) => {}
            Lookup::New { serial, replaced } => {
                if let Some(number) = replaced {
                    self.replace(number);
                }
                let ticket = Ticket {
                    id: header.id,
                    serial,
                };
                self.events.push_back(Event::Request { ticket, packet });
            }
        }
    }

    /// The application either has the replaced request and is told, or never sees it.
    fn replace(&mut self, number: u64) {
        if self.working.remove(&number).is_some() {
            self.events.push_back(Event::Replaced { number });
        } else {
            self.events.retain(
                |event| !matches!(event, Event::Request { ticket, .. } if ticket.serial == number),
            );
        }
    }

    fn settle(&mut self, ticket: &Ticket) -> Result<Code, AnswerError> {
        self.working.remove(&ticket.serial).ok_or(AnswerError::Gone)
    }

    fn send(&mut self, packet: Arc<RawPacket>) {
        self.queued = self.queued.saturating_add(packet.octets().len());
        self.outbox.push_back(packet);
    }

    fn fault(&mut self, reason: CloseReason) {
        if self.config.transport != Transport::Udp {
            self.close(reason);
        }
    }
}

#[cfg(test)]
mod tests;
