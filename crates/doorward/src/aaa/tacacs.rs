//! TACACS+ requests into the three verbs, and their answers back: the last place that knows the protocol.
//!
//! One [`Service`] belongs to one connection. Authorization is answered at once; a login waits for a password worker;
//! accounting records of one turn of the connection are submitted together and answered when they are on the disk.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waker, Poll};

use doorward_tacacs::server::{
    AccountingReply, Answer as WireAnswer, AnswerError, AuthenticationReply, AuthorizationReply,
    Event, Refusal, ServerConnection, SessionEnd, Ticket,
};
use doorward_tacacs::{
    AccountingRecord, AccountingStatus, Action, ArgumentList, AuthenticationService,
    AuthenticationStatus, AuthenticationType as WireType, AuthorizationStatus, Now, SessionId,
    accounting, authentication, authorization as wire,
};

use super::authorization::{Argument, Arguments, judge};
use super::conversation::{Conversation, Step};
use super::{
    Aaa, Decided, Kind, Outcome, Peer, Person, Reason, Refused, Snapshot, Unavailable, Who,
};
use crate::accounting::{self as journal, Commit, Fields, Record};
use crate::config::{AuthenticationType, Config, Device};
use crate::policy::{Context, Decision, GrantedArgument};

const USER_PROMPT: &[u8] = b"Username: ";
const PASSWORD_PROMPT: &[u8] = b"Password: ";
/// What a user reads when a command is refused; the reason is for the administrator and goes to `data`.
const DENIED: &[u8] = b"denied by policy";
const UNAVAILABLE: &[u8] = b"no decision could be made, try another server";

type Judgement = Pin<Box<dyn Future<Output = Result<Decided, Unavailable>> + Send>>;

/// The requests of one connection.
pub struct Service {
    aaa: Arc<Aaa>,
    snapshot: Arc<Snapshot>,
    peer: Arc<Peer>,
    conversations: HashMap<SessionId, Conversation>,
    judging: Vec<(Ticket<AuthenticationReply>, Who, Judgement)>,
    records: Vec<Record>,
    reporters: Vec<Ticket<AccountingReply>>,
    committing: Vec<(Commit, Vec<Ticket<AccountingReply>>)>,
}

/// An answer that can be given now.
#[must_use]
pub enum Response {
    /// To a START or CONTINUE.
    Authentication(
        Ticket<AuthenticationReply>,
        AuthenticationStatus,
        &'static [u8],
    ),
    /// To an authorization REQUEST.
    Authorization(
        Ticket<AuthorizationReply>,
        AuthorizationStatus,
        ArgumentList,
        &'static [u8],
        &'static str,
    ),
    /// To an accounting REQUEST.
    Accounting(Ticket<AccountingReply>, AccountingStatus, &'static [u8]),
}

impl Response {
    /// Hands the answer to the connection. One whose session ended meanwhile goes nowhere.
    pub fn send(self, machine: &mut ServerConnection, now: Now) {
        match self {
            Self::Authentication(ticket, status, server_msg) => {
                let no_echo = status == AuthenticationStatus::GETPASS;
                let reply = authentication::Reply {
                    no_echo,
                    server_msg,
                    ..authentication::Reply::new(status)
                };
                answer(machine, ticket.with(reply), now);
            }
            Self::Authorization(ticket, status, arguments, server_msg, data) => {
                let reply = wire::Reply {
                    server_msg,
                    data: data.as_bytes(),
                    arguments: arguments.as_arguments(),
                    ..wire::Reply::new(status)
                };
                answer(machine, ticket.with(reply), now);
            }
            Self::Accounting(ticket, status, server_msg) => {
                let reply = accounting::Reply {
                    server_msg,
                    ..accounting::Reply::new(status)
                };
                answer(machine, ticket.with(reply), now);
            }
        }
    }
}

impl Service {
    /// For a connection of `peer` that begins under `snapshot`.
    pub fn new(aaa: Arc<Aaa>, snapshot: Arc<Snapshot>, peer: Arc<Peer>) -> Self {
        Self {
            aaa,
            snapshot,
            peer,
            conversations: HashMap::new(),
            judging: Vec::new(),
            records: Vec::new(),
            reporters: Vec::new(),
            committing: Vec::new(),
        }
    }

    /// Takes one event of the connection; `None` = the answer comes later, or there is none.
    pub fn handle(&mut self, event: Event<'_>) -> Option<Response> {
        match event {
            Event::AuthenticationStart { ticket, start } => {
                self.refresh();
                self.start(ticket, &start)
            }
            Event::AuthenticationContinue { ticket, answer } => {
                let Some(conversation) = self.conversations.remove(&ticket.session()) else {
                    return Some(Response::Authentication(
                        ticket,
                        AuthenticationStatus::ERROR,
                        UNAVAILABLE,
                    ));
                };
                let step = conversation.answer(answer.user_msg, user_name);
                self.take(ticket, step)
            }
            Event::Authorization { ticket, request } => {
                self.refresh();
                Some(self.authorize(ticket, &request))
            }
            Event::Accounting { ticket, request } => self.account(ticket, &request),
            Event::SessionEnded { session, why } => {
                self.ended(session, &why);
                None
            }
            Event::Refused { reason, .. } => {
                self.refused(reason);
                None
            }
        }
    }

    /// Submits the accounting records taken since the last call, as one batch.
    pub fn submit(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let commit = self.aaa.account(std::mem::take(&mut self.records));
        self.committing
            .push((commit, std::mem::take(&mut self.reporters)));
    }

    /// Answers what has been decided meanwhile; true when there was something.
    pub fn poll(&mut self, cx: &mut Waker<'_>, machine: &mut ServerConnection, now: Now) -> bool {
        let mut answered = false;
        let mut index = 0;
        while let Some((_, _, judgement)) = self.judging.get_mut(index) {
            let Poll::Ready(result) = judgement.as_mut().poll(cx) else {
                index += 1;
                continue;
            };
            let (ticket, who, _) = self.judging.swap_remove(index);
            let status = self.judged(&who, result);
            Response::Authentication(
                ticket,
                status,
                if status == AuthenticationStatus::ERROR {
                    UNAVAILABLE
                } else {
                    b""
                },
            )
            .send(machine, now);
            answered = true;
        }
        let mut index = 0;
        while let Some((commit, _)) = self.committing.get_mut(index) {
            let Poll::Ready(result) = Pin::new(commit).poll(cx) else {
                index += 1;
                continue;
            };
            let (_, tickets) = self.committing.remove(index);
            let status = self.committed(result, tickets.len());
            for ticket in tickets {
                Response::Accounting(
                    ticket,
                    status,
                    if status == AccountingStatus::ERROR {
                        UNAVAILABLE
                    } else {
                        b""
                    },
                )
                .send(machine, now);
            }
            answered = true;
        }
        answered
    }

    /// The connection is gone: nobody waits for an answer any more.
    pub fn closed(&mut self) {
        self.conversations.clear();
        self.judging.clear();
        self.committing.clear();
    }

    /// Every session begins under the configuration in force.
    fn refresh(&mut self) {
        self.snapshot = self.aaa.snapshot();
    }

    fn device(&self) -> Option<&Arc<Device>> {
        self.snapshot.config.devices.by_name(&self.peer.device)
    }

    fn start(
        &mut self,
        ticket: Ticket<AuthenticationReply>,
        start: &authentication::Start<'_>,
    ) -> Option<Response> {
        let auth = if start.authen_type == WireType::PAP {
            AuthenticationType::Pap
        } else {
            AuthenticationType::Ascii
        };
        let user = user_name(start.user);
        let who = Who {
            user: user
                .clone()
                .unwrap_or_else(|| text(start.user).into_owned()),
            port: text(start.port).into_owned(),
            remote_address: text(start.rem_addr).into_owned(),
            auth,
        };
        let step = match self.acceptable(start) {
            Err(reason) => Step::Fail(who, reason),
            Ok(()) if user.is_none() && !start.user.is_empty() => {
                Step::Fail(who, Reason::UserNameInvalid)
            }
            Ok(()) if auth == AuthenticationType::Pap => Conversation::pap(who, start.data),
            Ok(()) => Conversation::ascii(who, self.snapshot.config.authentication.attempts),
        };
        self.take(ticket, step)
    }

    /// Whether this server offers what a START asks for. The values are all listed ones: the connection saw to that.
    fn acceptable(&self, start: &authentication::Start<'_>) -> Result<(), Reason> {
        if !printable(start.port) || !printable(start.rem_addr) {
            return Err(Reason::RequestInvalid);
        }
        if start.action != Action::LOGIN || start.authen_service == AuthenticationService::ENABLE {
            return Err(Reason::FlowNotOffered);
        }
        let wanted = match start.authen_type {
            WireType::ASCII => AuthenticationType::Ascii,
            WireType::PAP => AuthenticationType::Pap,
            _ => return Err(Reason::TypeNotAccepted),
        };
        let accepted = self
            .device()
            .and_then(|device| device.accept.as_ref())
            .unwrap_or(&self.snapshot.config.authentication.accept);
        if accepted.contains(&wanted) {
            Ok(())
        } else {
            Err(Reason::TypeNotAccepted)
        }
    }

    fn take(&mut self, ticket: Ticket<AuthenticationReply>, step: Step) -> Option<Response> {
        match step {
            Step::AskName(conversation) => {
                self.conversations.insert(ticket.session(), conversation);
                Some(Response::Authentication(
                    ticket,
                    AuthenticationStatus::GETUSER,
                    USER_PROMPT,
                ))
            }
            Step::AskPassword(conversation) => {
                self.conversations.insert(ticket.session(), conversation);
                Some(Response::Authentication(
                    ticket,
                    AuthenticationStatus::GETPASS,
                    PASSWORD_PROMPT,
                ))
            }
            Step::Fail(who, reason) => {
                self.note(
                    &who,
                    Kind::Authentication,
                    Outcome::Fail,
                    &Decided::deny(reason),
                    "login",
                );
                Some(Response::Authentication(
                    ticket,
                    AuthenticationStatus::FAIL,
                    b"",
                ))
            }
            Step::Judge(login) => {
                let who = login.who.clone();
                let judgement = self.aaa.authenticate(
                    Arc::clone(&self.snapshot),
                    Arc::clone(&self.peer),
                    login,
                );
                self.judging.push((ticket, who, Box::pin(judgement)));
                None
            }
        }
    }

    fn judged(&self, who: &Who, result: Result<Decided, Unavailable>) -> AuthenticationStatus {
        match result {
            Ok(decided) if decided.decision == Decision::Permit => {
                self.note(who, Kind::Authentication, Outcome::Pass, &decided, "login");
                AuthenticationStatus::PASS
            }
            Ok(decided) => {
                self.note(who, Kind::Authentication, Outcome::Fail, &decided, "login");
                AuthenticationStatus::FAIL
            }
            Err(Unavailable(reason)) => {
                self.note(
                    who,
                    Kind::Authentication,
                    Outcome::Error,
                    &Decided::deny(reason),
                    "login",
                );
                AuthenticationStatus::ERROR
            }
        }
    }

    fn note(&self, who: &Who, kind: Kind, outcome: Outcome, decided: &Decided, request: &str) {
        self.aaa
            .note(&self.peer, who.person(), kind, outcome, decided, request);
    }

    fn authorize(
        &self,
        ticket: Ticket<AuthorizationReply>,
        request: &wire::Request<'_>,
    ) -> Response {
        let (user, port, remote) = (
            text(request.user),
            text(request.port),
            text(request.rem_addr),
        );
        let person = Person {
            user: &user,
            port: &port,
            remote_address: &remote,
        };
        let answer = match self.judge(request, &person) {
            Ok(answer) => answer,
            Err(reason) => {
                let raw = journal::command_line(request.arguments.raw());
                let decided = Decided::deny(reason);
                self.aaa.note(
                    &self.peer,
                    person,
                    Kind::Authorization,
                    Outcome::Deny,
                    &decided,
                    &text(&raw),
                );
                return denied(ticket, reason);
            }
        };
        let decided = &answer.decided;
        if decided.decision == Decision::Deny {
            self.aaa.note(
                &self.peer,
                person,
                Kind::Authorization,
                Outcome::Deny,
                decided,
                &answer.request,
            );
            return denied(ticket, decided.reason);
        }
        let (status, granted) = match &answer.arguments {
            Arguments::Add(arguments) => (AuthorizationStatus::PASS_ADD, arguments),
            Arguments::Replace(arguments) => (AuthorizationStatus::PASS_REPL, arguments),
        };
        match argument_list(granted) {
            Some(arguments) => {
                self.aaa.note(
                    &self.peer,
                    person,
                    Kind::Authorization,
                    Outcome::Permit,
                    decided,
                    &answer.request,
                );
                Response::Authorization(ticket, status, arguments, b"", "")
            }
            // The configuration is checked for this at load; a permit that cannot be expressed is a fault of ours, not a denial.
            None => {
                let fault = Decided::deny(Reason::AnswerTooLong);
                self.aaa.note(
                    &self.peer,
                    person,
                    Kind::Authorization,
                    Outcome::Error,
                    &fault,
                    &answer.request,
                );
                Response::Authorization(
                    ticket,
                    AuthorizationStatus::ERROR,
                    ArgumentList::new(),
                    UNAVAILABLE,
                    Reason::AnswerTooLong.name(),
                )
            }
        }
    }

    fn judge(
        &self,
        request: &wire::Request<'_>,
        person: &Person<'_>,
    ) -> Result<super::authorization::Answer, Reason> {
        if !printable(request.port) || !printable(request.rem_addr) {
            return Err(Reason::RequestInvalid);
        }
        let name = user_name(request.user).ok_or(Reason::UserNameInvalid)?;
        let arguments: Vec<Argument<'_>> = request
            .arguments
            .raw()
            .map(|raw| argument(raw).ok_or(Reason::RequestInvalid))
            .collect::<Result<_, _>>()?;
        let device = self.device().ok_or(Reason::DeviceGone)?;
        let config: &Config = &self.snapshot.config;
        let user = config.users.get(name.as_str()).ok_or(Reason::UserUnknown)?;
        let remote_address = super::request::address(person.remote_address);
        if !user.may_come_from(remote_address) {
            return Err(Reason::UserAddress);
        }
        let context = Context {
            user: &user.name,
            groups: &user.groups,
            device,
            remote_address,
            remote: person.remote_address,
            port: person.port,
            now: jiff::Timestamp::now(),
            transport: self.peer.transport,
            service: None,
            auth: None,
            peer: self.peer.identity.as_deref(),
        };
        Ok(judge(&config.policy, &context, &arguments))
    }

    fn account(
        &mut self,
        ticket: Ticket<AccountingReply>,
        request: &accounting::Request<'_>,
    ) -> Option<Response> {
        let kind = match request.flags.record() {
            Some(AccountingRecord::Start) => journal::Kind::Start,
            Some(AccountingRecord::Stop) => journal::Kind::Stop,
            Some(AccountingRecord::Watchdog) => journal::Kind::Watchdog,
            Some(AccountingRecord::Update) => journal::Kind::Update,
            None => return Some(self.unacceptable(ticket, request)),
        };
        let well_formed = printable(request.port)
            && printable(request.rem_addr)
            && request.arguments.raw().all(|raw| argument(raw).is_some());
        if !well_formed || (!request.user.is_empty() && user_name(request.user).is_none()) {
            return Some(self.unacceptable(ticket, request));
        }
        // A WATCHDOG without START says that the task lives; its arguments are to be ignored (section 7.2). Which task it is stays.
        let kept = |raw: &&[u8]| {
            kind != journal::Kind::Watchdog
                || raw.starts_with(b"task_id=")
                || raw.starts_with(b"task_id*")
        };
        let arguments = request.arguments.raw().filter(kept);
        let service = arguments.clone().find_map(|raw| {
            raw.strip_prefix(b"service=")
                .or_else(|| raw.strip_prefix(b"service*"))
        });
        let command = journal::command_line(arguments.clone());
        let fields = Fields {
            received: jiff::Timestamp::now(),
            kind,
            protocol: journal::Protocol::Tacacs,
            transport: self.peer.transport,
            listener: &self.peer.listener,
            device: &self.peer.device,
            session: ticket.session().0,
            privilege_level: request.priv_lvl.0,
            authentication_method: request.authen_method.0,
            authentication_type: request.authen_type.0,
            authentication_service: request.authen_service.0,
            user: request.user,
            port: request.port,
            remote: request.rem_addr,
            service: service.unwrap_or_default(),
            command: &command,
        };
        self.records.push(Record::new(&fields, arguments));
        self.reporters.push(ticket);
        None
    }

    /// Accounting knows no FAIL: what cannot be recorded as it stands is an ERROR (section 7.2).
    fn unacceptable(
        &self,
        ticket: Ticket<AccountingReply>,
        request: &accounting::Request<'_>,
    ) -> Response {
        let (user, port, remote) = (
            text(request.user),
            text(request.port),
            text(request.rem_addr),
        );
        let person = Person {
            user: &user,
            port: &port,
            remote_address: &remote,
        };
        let raw = journal::command_line(request.arguments.raw());
        let decided = Decided::deny(Reason::RequestInvalid);
        self.aaa.note(
            &self.peer,
            person,
            Kind::Accounting,
            Outcome::Error,
            &decided,
            &text(&raw),
        );
        Response::Accounting(
            ticket,
            AccountingStatus::ERROR,
            b"the record breaks a rule of RFC 8907 and was not kept",
        )
    }

    fn committed(
        &self,
        result: Result<(), journal::JournalError>,
        records: usize,
    ) -> AccountingStatus {
        match result {
            Ok(()) => {
                self.aaa
                    .note_records(Outcome::Recorded, Reason::Journalled, records);
                AccountingStatus::SUCCESS
            }
            Err(error) => {
                self.aaa
                    .note_records(Outcome::Error, Reason::JournalFailed, records);
                self.aaa.journal_failed(&self.peer, records, &error);
                AccountingStatus::ERROR
            }
        }
    }

    fn ended(&mut self, session: SessionId, why: &SessionEnd<'_>) {
        let conversation = self.conversations.remove(&session);
        self.judging
            .retain(|(ticket, _, _)| ticket.session() != session);
        if let (Some(conversation), SessionEnd::Aborted(reason)) = (conversation, why) {
            self.note(
                conversation.who(),
                Kind::Authentication,
                Outcome::Fail,
                &Decided::deny(Reason::Aborted),
                &text(reason),
            );
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

/// A stale answer is for a session that ended meanwhile. Any other failure is ours; the connection has answered ERROR by itself.
fn answer(machine: &mut ServerConnection, answer: WireAnswer<'_>, now: Now) {
    match machine.answer(answer, now) {
        Ok(()) | Err(AnswerError::Stale) => {}
        Err(error) => {
            tracing::error!(%error, "a reply could not be sent as it was decided and went out as ERROR")
        }
    }
}

fn denied(ticket: Ticket<AuthorizationReply>, reason: Reason) -> Response {
    Response::Authorization(
        ticket,
        AuthorizationStatus::FAIL,
        ArgumentList::new(),
        DENIED,
        reason.name(),
    )
}

fn argument_list(granted: &[GrantedArgument]) -> Option<ArgumentList> {
    use doorward_tacacs::Separator;
    let mut list = ArgumentList::new();
    for argument in granted {
        let separator = if argument.mandatory {
            Separator::Mandatory
        } else {
            Separator::Optional
        };
        list.push(&*argument.name, separator, &*argument.value)
            .ok()?;
    }
    Some(list)
}

/// One argument as text; `None` when it has no separator, no name, or octets that are not printable ASCII.
fn argument(raw: &[u8]) -> Option<Argument<'_>> {
    let parsed = doorward_tacacs::Argument::parse(raw).ok()?;
    let name = std::str::from_utf8(parsed.name).ok()?;
    let value = std::str::from_utf8(parsed.value).ok()?;
    printable(raw).then_some(Argument {
        name,
        mandatory: parsed.is_mandatory(),
        value,
    })
}

/// RFC 8907 section 3.7: text other than user names is printable US-ASCII.
fn printable(octets: &[u8]) -> bool {
    octets.iter().all(|octet| matches!(octet, 0x20..=0x7e))
}

/// A user name as text; `None` for what no name may be.
fn user_name(octets: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(octets).ok()?;
    let valid = !name.is_empty()
        && !name
            .chars()
            .any(|char| char.is_control() || char.is_whitespace());
    valid.then(|| name.to_owned())
}

/// Octets for a log line, which escapes what is not printable.
fn text(octets: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(octets)
}

/// The machine's word for a refusal in the words of the counters.
fn refused(reason: Refusal, transport: super::Transport) -> Refused {
    match reason {
        Refusal::NotTacacs(_) | Refusal::UnknownType(_) => Refused::NotTacacs,
        Refusal::FlagSet => Refused::UnencryptedFlagSet,
        Refusal::FlagClear => Refused::UnencryptedFlagClear,
        Refusal::Oversize { .. } => Refused::BodyTooLarge,
        Refusal::Body(_) if transport == super::Transport::Plain => Refused::SecretMismatch,
        Refusal::Body(_) | Refusal::AccountingFlags(_) => Refused::Malformed,
        Refusal::Unlisted { .. } | Refusal::Pair(..) | Refusal::MinorVersion(_) => {
            Refused::UnlistedValue
        }
        Refusal::Sequence(_) | Refusal::SessionInUse | Refusal::UnknownSession => Refused::Sequence,
        Refusal::NotSingleConnection | Refusal::NotAccepting => Refused::NotAccepting,
        Refusal::TooManySessions => Refused::TooManySessions,
    }
}
