//! TACACS+ requests into the three verbs, and their answers back: the last place that knows the protocol.
//!
//! One [`Service`] belongs to one connection. Authorization is answered at once; a login waits for a password worker;
//! accounting records of one turn of the connection are submitted together and answered when they are on the disk.

mod accounting;
mod authentication;
mod authorization;
mod response;
mod text;

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context as Waker;
use std::time::Duration;

use doorward_tacacs::server::{
    AccountingReply, AuthenticationReply, Event, Refusal, ServerConnection, SessionEnd, Ticket,
};
use doorward_tacacs::{AccountingStatus, AuthenticationStatus, Dialect, Now, SessionId};

pub use response::Response;

use super::conversation::Conversation;
use super::{
    Aaa, Asked, Decided, Kind, Outcome, Peer, Reason, Refused, Snapshot, Transport, Who, ready,
};
use crate::accounting::{Commit, DecisionRecord, Protocol, Record};
use crate::config::{Device, Tolerance};
use crate::identity::{NameError, user_name};
use crate::metrics::Turn;
use text::displayed;

/// What the other side is told when no decision was made.
const UNAVAILABLE: &[u8] = b"no decision could be made, try another server";

/// A login that a password worker looks at, and when its packet came.
type Judging = (Ticket<AuthenticationReply>, Who, super::Judging, Duration);

/// Records that are being written, who reported them, and when they came.
type Committing = (Commit, Vec<Ticket<AccountingReply>>, Duration);

/// The requests of one connection.
pub struct Service {
    aaa: Arc<Aaa>,
    snapshot: Arc<Snapshot>,
    peer: Arc<Peer>,
    /// That of the connection, from its first packet to its last.
    dialect: Dialect,
    conversations: HashMap<SessionId, Conversation>,
    judging: Vec<Judging>,
    records: Vec<Record>,
    reporters: Vec<Ticket<AccountingReply>>,
    committing: Vec<Committing>,
    /// Rows of decisions for the journal; nobody waits for them.
    kept: Vec<DecisionRecord>,
}

impl Service {
    /// For a connection of `peer` that begins under `snapshot` and is spoken to in `dialect`.
    pub fn new(aaa: Arc<Aaa>, snapshot: Arc<Snapshot>, peer: Arc<Peer>, dialect: Dialect) -> Self {
        Self {
            aaa,
            snapshot,
            peer,
            dialect,
            conversations: HashMap::new(),
            judging: Vec::new(),
            records: Vec::new(),
            reporters: Vec::new(),
            committing: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Takes one event of the connection; `None` = the answer comes later, or there is none.
    pub fn handle(&mut self, event: Event<'_>, turn: &mut Turn) -> Option<Response> {
        let response = self.respond(event, turn);
        if let Some(kind) = response.as_ref().and_then(Response::concludes) {
            turn.answered(kind);
        }
        response
    }

    fn respond(&mut self, event: Event<'_>, turn: &Turn) -> Option<Response> {
        match event {
            Event::AuthenticationStart { ticket, start } => {
                self.refresh();
                self.start(ticket, &start, turn.began())
            }
            Event::AuthenticationContinue { ticket, answer } => {
                let Some(conversation) = self.conversations.remove(&ticket.session()) else {
                    return Some(Response::Authentication(
                        ticket,
                        AuthenticationStatus::ERROR,
                        UNAVAILABLE.into(),
                    ));
                };
                let step = conversation.answer(answer.user_msg, |octets| {
                    self.name(octets).map(Cow::into_owned)
                });
                self.take(ticket, step, turn.began())
            }
            Event::Authorization { ticket, request } => {
                self.refresh();
                Some(self.authorize(ticket, &request))
            }
            Event::Accounting { ticket, request } => {
                // A connection that does nothing but accounting must not keep an old configuration in memory.
                self.refresh();
                self.account(ticket, &request)
            }
            Event::SessionEnded { session, why } => {
                self.ended(session, &why);
                None
            }
            Event::WrongFlag { .. } => {
                let tolerance = match self.peer.transport {
                    Transport::Plain => Tolerance::FlagSetOnPlain,
                    Transport::Tls => Tolerance::FlagClearOnTls,
                };
                self.aaa.tolerated(&self.peer, tolerance);
                None
            }
            Event::Refused { reason, .. } => {
                self.refused(reason);
                None
            }
        }
    }

    /// Submits the accounting records taken since the last call, as one batch, and the decisions that are kept.
    pub fn submit(&mut self, turn: &Turn) {
        if !self.kept.is_empty() {
            self.aaa.keep(&self.peer, &mut self.kept);
        }
        if self.records.is_empty() {
            return;
        }
        let commit = self.aaa.account(std::mem::take(&mut self.records));
        let tickets = std::mem::take(&mut self.reporters);
        self.committing.push((commit, tickets, turn.began()));
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
        let judged = |one: &mut Judging, cx: &mut Waker<'_>| one.2.as_mut().poll(cx);
        while let Some((one, result)) = ready(&mut self.judging, &mut from, cx, judged) {
            let (ticket, who, _, arrival) = one;
            let status = self.judged(&who, result);
            turn.answered_late(Kind::Authentication, arrival, 1);
            let message = self.message_of(status);
            Response::Authentication(ticket, status, message).send(machine, now);
            answered = true;
        }
        let mut from = 0;
        let committed = |one: &mut Committing, cx: &mut Waker<'_>| Pin::new(&mut one.0).poll(cx);
        while let Some((one, result)) = ready(&mut self.committing, &mut from, cx, committed) {
            let (_, tickets, arrival) = one;
            let status = self.committed(result, tickets.len());
            let records = u64::try_from(tickets.len()).unwrap_or(u64::MAX);
            turn.answered_late(Kind::Accounting, arrival, records);
            let message: &'static [u8] = if status == AccountingStatus::ERROR {
                UNAVAILABLE
            } else {
                b""
            };
            for ticket in tickets {
                Response::Accounting(ticket, status, message).send(machine, now);
            }
            answered = true;
        }
        answered
    }

    /// The connection is gone: nobody waits for an answer any more.
    pub fn closed(&mut self) {
        if !self.kept.is_empty() {
            self.aaa.keep(&self.peer, &mut self.kept);
        }
        self.conversations.clear();
        self.judging.clear();
        self.committing.clear();
    }

    /// Every session begins under the configuration in force.
    fn refresh(&mut self) {
        self.snapshot = self.aaa.snapshot();
    }

    /// The user name that octets stand for; `None` for what is no name. Names in another encoding are told of: they are the
    /// mistake of a setting, which nobody finds by the denials alone.
    fn name<'n>(&self, octets: &'n [u8]) -> Option<Cow<'n, str>> {
        match user_name(octets, self.dialect) {
            Ok(name) => Some(name),
            Err(NameError::Encoding) => {
                let detail = format!("device {}: {}", self.peer.device, displayed(octets));
                let (listener, source) = (&self.peer.listener, self.peer.address);
                self.aaa
                    .refuse(Refused::NameEncoding, listener, source, &detail);
                None
            }
            Err(NameError::Empty | NameError::Character) => None,
        }
    }

    fn device(&self) -> Option<&Arc<Device>> {
        self.snapshot.config.devices.by_name(&self.peer.device)
    }

    fn note<'a, A>(&mut self, asked: &Asked<'a, A>, outcome: Outcome, decided: &Decided)
    where
        A: Iterator<Item = &'a [u8]> + Clone,
    {
        let audit = self.snapshot.config.audit;
        let row = self.aaa.note(audit, &self.peer, asked, outcome, decided);
        self.kept.extend(row);
    }

    fn note_login(&mut self, who: &Who, outcome: Outcome, decided: &Decided) {
        let asked = Asked {
            kind: Kind::Authentication,
            protocol: Protocol::Tacacs,
            person: who.person(),
            privilege_level: who.privilege_level,
            service: who.service,
            request: &who.request,
            arguments: std::iter::empty(),
        };
        self.note(&asked, outcome, decided);
    }

    fn ended(&mut self, session: SessionId, why: &SessionEnd<'_>) {
        let conversation = self.conversations.remove(&session);
        self.judging
            .retain(|(ticket, ..)| ticket.session() != session);
        if let (Some(conversation), SessionEnd::Aborted(reason)) = (conversation, why) {
            let said = displayed(reason);
            let separator = if said.is_empty() { "" } else { ": " };
            let mut who = conversation.who().clone();
            who.request = format!("{}{separator}{said}", who.request).into();
            self.note_login(&who, Outcome::Fail, &Decided::deny(Reason::Aborted));
        }
    }

    fn refused(&self, reason: Refusal) {
        let detail = format!("device {}: {reason}", self.peer.device);
        self.aaa.refuse(
            refused(reason, self.peer.transport),
            &self.peer.listener,
            self.peer.address,
            &detail,
        );
    }
}

/// The machine's word for a refusal in the words of the counters.
fn refused(reason: Refusal, transport: Transport) -> Refused {
    match reason {
        Refusal::NotTacacs(_) | Refusal::UnknownType(_) => Refused::NotTacacs,
        Refusal::FlagSet => Refused::UnencryptedFlagSet,
        Refusal::FlagClear => Refused::UnencryptedFlagClear,
        Refusal::Oversize { .. } => Refused::BodyTooLarge,
        Refusal::Body(_) if transport == Transport::Plain => Refused::SecretMismatch,
        Refusal::Body(_) | Refusal::AccountingFlags(_) => Refused::Malformed,
        Refusal::Unlisted { .. } | Refusal::Pair(..) | Refusal::MinorVersion(_) => {
            Refused::UnlistedValue
        }
        Refusal::Sequence(_) | Refusal::SessionInUse | Refusal::UnknownSession => Refused::Sequence,
        Refusal::NotSingleConnection | Refusal::NotAccepting => Refused::NotAccepting,
        Refusal::TooManySessions => Refused::TooManySessions,
    }
}
