//! RADIUS requests into the verbs, and their answers back: the last place that knows the protocol.
//!
//! | request | answer |
//! | --- | --- |
//! | Access-Request | Access-Accept, Access-Reject, or Access-Challenge for a login without a password; nothing when no decision can be made, so that the client asks elsewhere |
//! | Accounting-Request | Accounting-Response once the record is on the disk, else nothing |
//! | Status-Server | Access-Accept, if it is signed |
//! | any other | Protocol-Error with Error-Cause 406 |
//!
//! Access-Requests and Accounting-Requests of users who are not in the file may have a route: `forward.rs`.
//!
//! What closes a connection is what section 3.11 of RFC 6614bis lists, and nothing else here does. Over UDP whoever has the
//! socket proves each request before it is handed over, because a device may have several secrets there.

mod accounting;
mod answer;
mod forward;
mod fticks;
mod login;
mod orders;
mod proof;
mod rounds;
mod text;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context as Waker;
use std::time::Duration;

use doorward_radius::attribute::Attributes;
use doorward_radius::authenticator::MessageAuthenticator;
use doorward_radius::build::{PacketBuilder, error_cause, protocol_error};
use doorward_radius::server::{AnswerError, CloseReason, Event, Refusal, ServerConnection, Ticket};
use doorward_radius::{Code, Now, RawPacket, Secret};

use super::{Aaa, Asked, Decided, Judging, Kind, Outcome, Peer, Refused, Snapshot, Who, ready};
use crate::accounting::{Commit, DecisionRecord, Protocol, Record};
use crate::config::Device;
use crate::metrics::Turn;
use answer::Answer;
use forward::Forwards;
use login::Pending;
use orders::{Clerk, Heard};
pub use orders::{Obeyed, Order, OrderAttribute, Orders, Unanswered};
pub use proof::{Proved, Unproved, prove};

/// A login that a password worker looks at.
struct Waiting {
    ticket: Ticket,
    pending: Pending,
    judging: Judging,
    arrival: Duration,
}

/// What is answered once a record is on the disk.
enum Report {
    /// Of ours: to be built.
    Ours(Answer),
    /// The home server's, as the client will have it.
    Theirs(Vec<u8>),
}

/// Who reported something, in the order of the records.
type Reporters = Vec<(Ticket, Report)>;

/// Records that are being written.
struct Committing {
    commit: Commit,
    reporters: Reporters,
    arrival: Duration,
}

/// The requests of one connection; over UDP, of one source address and port.
pub struct Service {
    aaa: Arc<Aaa>,
    snapshot: Arc<Snapshot>,
    peer: Arc<Peer>,
    /// Of the request that is being handled.
    secret: Secret,
    waiting: Vec<Waiting>,
    records: Vec<Record>,
    reporters: Reporters,
    committing: Vec<Committing>,
    /// Rows of decisions for the journal; nobody waits for them.
    kept: Vec<DecisionRecord>,
    /// What was passed on.
    forwards: Forwards,
    /// Packets may be lost on the connection.
    lossy: bool,
    /// Tells the device what to do, where there is a connection for it.
    clerk: Option<Clerk>,
}

impl Service {
    /// For a RADIUS/TLS connection, or a source of RADIUS/UDP, of `peer` that begins under `snapshot`.
    pub fn new(aaa: Arc<Aaa>, snapshot: Arc<Snapshot>, peer: Arc<Peer>) -> Self {
        Self {
            aaa,
            snapshot,
            peer,
            secret: Secret::RADSEC,
            waiting: Vec::new(),
            records: Vec::new(),
            reporters: Vec::new(),
            committing: Vec::new(),
            kept: Vec::new(),
            forwards: Forwards::default(),
            lossy: false,
            clerk: None,
        }
    }

    /// The same with the secret of another channel, whose packets are proved by it.
    #[must_use]
    pub fn with_secret(self, secret: Secret) -> Self {
        Self { secret, ..self }
    }

    /// The same for a connection down which the device can be told something (RFC 5176); `lossy` where it may not arrive.
    #[must_use]
    pub fn with_orders(self, lossy: bool) -> Self {
        let desk = self.aaa.orders.open(&self.peer.device, lossy);
        Self {
            clerk: Some(Clerk::new(desk)),
            lossy,
            ..self
        }
    }

    /// Whether answers are owed.
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
            || !self.committing.is_empty()
            || !self.reporters.is_empty()
            || !self.forwards.is_empty()
    }

    /// Whether the device owes an answer to what it was told to do.
    pub fn is_asking(&self) -> bool {
        self.clerk.as_ref().is_some_and(Clerk::is_waiting)
    }

    /// Whether as much as can be is under way at other servers, so that the caller should read no more of a stream.
    pub fn is_pressed(&self) -> bool {
        self.forwards.is_pressed()
    }

    /// Takes one event of a connection, whose requests are proved here.
    pub fn handle(
        &mut self,
        event: Event,
        machine: &mut ServerConnection,
        now: Now,
        turn: &mut Turn,
    ) {
        self.take(event, None, machine, now, turn);
    }

    /// Takes one event that follows from a request over UDP, which was proved.
    pub fn handle_proved(
        &mut self,
        event: Event,
        proved: &Proved,
        machine: &mut ServerConnection,
        now: Now,
        turn: &mut Turn,
    ) {
        self.secret = proved.secret.clone();
        self.take(event, Some(proved.signed), machine, now, turn);
    }

    fn take(
        &mut self,
        event: Event,
        signed: Option<MessageAuthenticator>,
        machine: &mut ServerConnection,
        now: Now,
        turn: &mut Turn,
    ) {
        match event {
            Event::Request { ticket, packet } => {
                self.snapshot = self.aaa.snapshot();
                self.request(ticket, &packet, signed, machine, now, turn);
            }
            Event::Unwanted(packet) => self.heard(&packet, machine),
            Event::Replaced { number } => {
                self.waiting.retain(|one| one.ticket.number() != number);
                self.give_up(number);
            }
            // What is being recorded is recorded, and nobody is told.
            Event::Closed { .. } => self.closed(),
        }
    }

    /// Takes an answer of the device. Where nothing was asked of it nothing can be judged but the form.
    fn heard(&mut self, packet: &RawPacket, machine: &mut ServerConnection) {
        let attributes = match Attributes::new(packet.attributes()) {
            Ok(attributes) => attributes,
            Err(error) => {
                self.refused(Refused::RadiusAttributes, packet, &error.to_string());
                return machine.close(CloseReason::Refused(Refusal::Malformed));
            }
        };
        let heard = match &mut self.clerk {
            Some(clerk) => clerk.hear(packet, &attributes, &self.secret),
            None => Heard::Unasked,
        };
        if let Heard::Forged(what) = heard {
            self.refused(Refused::RadiusAuthenticator, packet, what);
            machine.close(CloseReason::Refused(Refusal::Authenticator));
        }
    }

    fn request(
        &mut self,
        ticket: Ticket,
        packet: &RawPacket,
        signed: Option<MessageAuthenticator>,
        machine: &mut ServerConnection,
        now: Now,
        turn: &mut Turn,
    ) {
        let attributes = match Attributes::new(packet.attributes()) {
            Ok(attributes) => attributes,
            Err(error) => {
                self.refused(Refused::RadiusAttributes, packet, &error.to_string());
                return machine.refuse(ticket, Refusal::Malformed);
            }
        };
        let signed =
            match signed.map_or_else(|| proof::judge(packet, &attributes, &self.secret), Ok) {
                Ok(signed) => signed,
                Err(refusal) => {
                    let what = proof::called(refusal);
                    self.refused(Refused::RadiusAuthenticator, packet, what);
                    return machine.refuse(ticket, refusal);
                }
            };
        let Some(ticket) = self.forward(ticket, packet, &attributes, signed, machine, now) else {
            return;
        };
        match packet.header().code {
            Code::ACCESS_REQUEST => {
                self.log_in(ticket, packet, &attributes, machine, now, turn);
            }
            Code::ACCOUNTING_REQUEST => self.account(ticket, packet, &attributes, machine),
            Code::STATUS_SERVER if signed == MessageAuthenticator::Absent => {
                self.refused(Refused::RadiusUnsigned, packet, "");
                machine.discard(ticket);
            }
            // RFC 5997 section 3: one answer, and it grants nothing.
            Code::STATUS_SERVER => {
                let mut answer = PacketBuilder::answer(Code::ACCESS_ACCEPT, packet.header());
                _ = answer.message_authenticator();
                self.send(machine.answer(ticket, answer.finish(&self.secret), now));
            }
            _ => {
                let cause = error_cause::UNSUPPORTED_EXTENSION;
                self.refused(Refused::RadiusCode, packet, "");
                let answer = protocol_error(packet.header(), cause, &self.secret);
                self.send(machine.answer(ticket, answer, now));
            }
        }
    }

    /// Submits the records taken since the last call, as one batch, and the decisions that are kept.
    pub fn submit(&mut self, turn: &Turn) {
        if !self.kept.is_empty() {
            self.aaa.keep(&self.peer, &mut self.kept);
        }
        if self.records.is_empty() {
            return;
        }
        self.committing.push(Committing {
            commit: self.aaa.account(std::mem::take(&mut self.records)),
            reporters: std::mem::take(&mut self.reporters),
            arrival: turn.began(),
        });
    }

    /// Answers what has been decided meanwhile; true when there was something.
    pub fn poll(
        &mut self,
        cx: &mut Waker<'_>,
        machine: &mut ServerConnection,
        now: Now,
        turn: &mut Turn,
    ) -> bool {
        let mut answered = false;
        let mut from = 0;
        let judged = |one: &mut Waiting, cx: &mut Waker<'_>| one.judging.as_mut().poll(cx);
        while let Some((waiting, result)) = ready(&mut self.waiting, &mut from, cx, judged) {
            turn.answered_late(Kind::Authentication, waiting.arrival, 1);
            self.judged(waiting.ticket, waiting.pending, result, machine, now);
            answered = true;
        }
        let mut from = 0;
        let committed =
            |one: &mut Committing, cx: &mut Waker<'_>| Pin::new(&mut one.commit).poll(cx);
        while let Some((one, result)) = ready(&mut self.committing, &mut from, cx, committed) {
            let records = u64::try_from(one.reporters.len()).unwrap_or(u64::MAX);
            turn.answered_late(Kind::Accounting, one.arrival, records);
            self.committed(result, one.reporters, machine, now);
            answered = true;
        }
        answered |= self.poll_forwards(cx, machine, now, turn);
        if let Some(clerk) = &mut self.clerk {
            answered |= clerk.give(cx, machine, &self.secret);
        }
        answered
    }

    /// The connection is gone: nobody waits for an answer any more.
    pub fn closed(&mut self) {
        self.give_up_all();
        if !self.kept.is_empty() {
            self.aaa.keep(&self.peer, &mut self.kept);
        }
        // Records of the turn in which it went were understood; they are kept like those before them.
        if !self.records.is_empty() {
            drop(self.aaa.account(std::mem::take(&mut self.records)));
        }
        self.reporters.clear();
        self.waiting.clear();
        self.committing.clear();
        if let Some(clerk) = self.clerk.take() {
            self.aaa.orders.close(&self.peer.device, clerk.desk());
        }
    }

    fn device(&self) -> Option<&Arc<Device>> {
        self.snapshot.config.devices.by_name(&self.peer.device)
    }

    fn note_login(&mut self, who: &Who, outcome: Outcome, decided: &Decided) {
        let asked = Asked {
            kind: Kind::Authentication,
            protocol: Protocol::Radius,
            person: who.person(),
            privilege_level: who.privilege_level,
            service: who.service,
            request: &who.request,
            arguments: std::iter::empty(),
        };
        let audit = self.snapshot.config.audit;
        let row = self.aaa.note(audit, &self.peer, &asked, outcome, decided);
        self.kept.extend(row);
    }

    fn refused(&self, reason: Refused, packet: &RawPacket, detail: &str) {
        let code = packet.header().code;
        let separator = if detail.is_empty() { "" } else { ": " };
        let detail = format!("device {}: {code}{separator}{detail}", self.peer.device);
        self.aaa
            .refuse(reason, &self.peer.listener, self.peer.address, &detail);
    }

    /// An answer nobody waits for is no fault; one the machine does not take is ours.
    fn send(&self, sent: Result<(), AnswerError>) {
        if let Err(error @ AnswerError::NoAnswer) = sent {
            self.unsent(&error);
        }
    }

    fn unsent(&self, error: &dyn std::fmt::Display) {
        let detail = format!("device {}: {error}", self.peer.device);
        let (listener, source) = (&self.peer.listener, self.peer.address);
        self.aaa
            .refuse(Refused::RadiusAnswer, listener, source, &detail);
    }
}
