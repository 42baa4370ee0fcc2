//! Logins: which are offered, what is asked next, what came of it.

use std::borrow::Cow;
use std::time::Duration;

use doorward_tacacs::server::{AuthenticationReply, Ticket};
use doorward_tacacs::{
    Action, AuthenticationService, AuthenticationStatus, ChallengeMethod, Dialect, authentication,
};

use super::text::{displayed, printable};
use super::{Response, Service, UNAVAILABLE};
use crate::aaa::conversation::{Conversation, Flow, Question, Step};
use crate::aaa::{Decided, Judgement, Kind, Login, Outcome, Proof, Reason, Unavailable, Who};
use crate::config::{AuthenticationType, Tolerance};
use crate::policy::{Decision, SHELL};

/// What a login asks for, in words.
pub(super) const LOGIN: &str = "login";

/// What rules call a request for a privilege level.
const ENABLE: &str = "enable";

/// The level that a name like `$enab15$` stands for.
fn level_of_name(user: &str) -> Option<u8> {
    let digits = user.strip_prefix("$enab")?.strip_suffix('$')?;
    let level = digits.parse::<u8>().ok()?;
    (level <= 15 && level.to_string() == digits).then_some(level)
}

/// What a login is for, by the name of the `service` argument that the authorization after it has: LOGIN asks for a shell.
fn service_of(wire: AuthenticationService) -> Option<&'static str> {
    match wire {
        AuthenticationService::LOGIN => Some(SHELL),
        AuthenticationService::ENABLE => Some(ENABLE),
        AuthenticationService::PPP => Some("ppp"),
        _ => None,
    }
}

/// What is asked for, for the log.
fn in_words(who: &Who, action: Action) -> Cow<'static, str> {
    match (action, who.service) {
        (Action::CHPASS, _) => "password change".into(),
        (_, Some(ENABLE)) => format!("enable {}", who.privilege_level).into(),
        (_, _) => LOGIN.into(),
    }
}

impl Service {
    pub(super) fn start(
        &mut self,
        ticket: Ticket<AuthenticationReply>,
        start: &authentication::Start<'_>,
        arrival: Duration,
    ) -> Option<Response> {
        // What is none of them is refused below; its line in the log calls it ASCII.
        let auth =
            AuthenticationType::of_wire(start.authen_type).unwrap_or(AuthenticationType::Ascii);
        let user = if start.user.is_empty() {
            Some(Cow::default())
        } else {
            self.name(start.user)
        };
        let valid = user.is_some();
        let mut who = Who {
            user: user.unwrap_or_else(|| displayed(start.user)).into_owned(),
            port: displayed(start.port).into_owned(),
            remote_address: displayed(start.rem_addr).into_owned(),
            auth,
            privilege_level: start.priv_lvl.0,
            service: service_of(start.authen_service),
            request: LOGIN.into(),
        };
        who.request = in_words(&who, start.action);
        let step = match self.flow(start) {
            Err(Unfit::Restart) => return Some(self.restart(ticket, &who)),
            Err(Unfit::Fail(reason)) => Step::Fail(who, reason),
            Ok(_) if !valid => Step::Fail(who, Reason::UserNameInvalid),
            Ok(flow) => self.first_step(who, flow, start, &ticket),
        };
        self.take(ticket, step, arrival)
    }

    /// What a START leads to that is offered and accepted.
    fn first_step(
        &self,
        mut who: Who,
        mut flow: Flow,
        start: &authentication::Start<'_>,
        ticket: &Ticket<AuthenticationReply>,
    ) -> Step {
        let attempts = self.snapshot.config.authentication.attempts;
        if flow == Flow::Login && who.auth != AuthenticationType::Ascii {
            return match ChallengeMethod::of(start.authen_type) {
                _ if who.user.is_empty() => Step::Fail(who, Reason::UserNameInvalid),
                // The older form of PAP asks for its password (draft-05 section 4.4.1); the connection takes it in that dialect
                // only.
                None if ticket.version().minor() == 0 => Conversation::begin(who, flow, attempts),
                None => Conversation::complete(who, flow, start.data),
                Some(method) => Step::Judge(Login {
                    user: who.user.clone(),
                    proof: Proof::Response {
                        method,
                        data: start.data.to_vec(),
                        name: start.user.to_vec(),
                    },
                    who,
                }),
            };
        }
        if !matches!(flow, Flow::Change(_)) {
            if let Some(level) = level_of_name(&who.user)
                && self.tolerates(Tolerance::EnableNames)
            {
                who.privilege_level = level;
                who.service = Some(ENABLE);
                who.request = in_words(&who, start.action);
                flow = Flow::Enable { anonymous: true };
            }
            if !start.data.is_empty()
                && !who.user.is_empty()
                && self.tolerates(Tolerance::PasswordInStart)
            {
                return Conversation::complete(who, flow, start.data);
            }
        }
        Conversation::begin(who, flow, attempts)
    }

    /// Whether the device is let off something it just did, which counts it.
    fn tolerates(&self, tolerance: Tolerance) -> bool {
        let tolerated = self
            .device()
            .is_some_and(|device| device.tolerate.contains(tolerance));
        if tolerated {
            self.aaa.tolerated(&self.peer, tolerance);
        }
        tolerated
    }

    /// What a START asks for, if this server offers it. The values are all listed ones: the connection saw to that.
    fn flow(&self, start: &authentication::Start<'_>) -> Result<Flow, Unfit> {
        if !printable(start.port) || !printable(start.rem_addr) {
            return Err(Unfit::Fail(Reason::RequestInvalid));
        }
        let policy = self.snapshot.config.password_policy;
        let enable = start.authen_service == AuthenticationService::ENABLE;
        let (flow, wanted) = match start.action {
            // Section 5.4.2.6 gives the type of an enable request no meaning: it is a dialogue.
            Action::LOGIN if enable => (
                Flow::Enable { anonymous: false },
                Some(AuthenticationType::Ascii),
            ),
            Action::LOGIN => (Flow::Login, AuthenticationType::of_wire(start.authen_type)),
            Action::CHPASS if policy.change => {
                (Flow::Change(policy), Some(AuthenticationType::Ascii))
            }
            _ => return Err(Unfit::Fail(Reason::FlowNotOffered)),
        };
        let accepted = self
            .device()
            .and_then(|device| device.accept.as_ref())
            .unwrap_or(&self.snapshot.config.authentication.accept);
        match wanted {
            Some(wanted) if accepted.contains(&wanted) => Ok(flow),
            // Whoever can answer a challenge also has a password to send; the reverse is not certain.
            Some(wanted)
                if flow == Flow::Login
                    && accepted
                        .iter()
                        .any(|one| one.sends_password() || !wanted.sends_password()) =>
            {
                Err(Unfit::Restart)
            }
            Some(_) | None => Err(Unfit::Fail(Reason::TypeNotAccepted)),
        }
    }

    /// Another type would do (section 5.4.3).
    fn restart(&mut self, ticket: Ticket<AuthenticationReply>, who: &Who) -> Response {
        let decided = Decided::deny(Reason::TypeNotAccepted);
        self.note_login(who, Outcome::Fail, &decided);
        Response::Authentication(
            ticket,
            AuthenticationStatus::RESTART,
            b"this authentication type is not accepted here; another one is".into(),
        )
    }

    pub(super) fn take(
        &mut self,
        ticket: Ticket<AuthenticationReply>,
        step: Step,
        arrival: Duration,
    ) -> Option<Response> {
        match step {
            Step::Ask(question, conversation) => {
                self.conversations.insert(ticket.session(), conversation);
                let (status, prompt) = ask(&question);
                Some(Response::Authentication(ticket, status, prompt))
            }
            Step::Fail(who, reason) => {
                // RFC 8907 section 5.4.2 wants FAIL for a flow that is not offered, where draft-05 had ERROR.
                let old = self.dialect == Dialect::Draft05;
                let (status, outcome) = if old && reason == Reason::FlowNotOffered {
                    (AuthenticationStatus::ERROR, Outcome::Error)
                } else {
                    (AuthenticationStatus::FAIL, Outcome::Fail)
                };
                self.note_login(&who, outcome, &Decided::deny(reason));
                let message = self.message_of(status);
                Some(Response::Authentication(ticket, status, message))
            }
            Step::Judge(login) => {
                let who = login.who.clone();
                match self.aaa.authenticate(&self.snapshot, &self.peer, login) {
                    Judgement::Known(decided) => {
                        let status = self.judged(&who, Ok(decided));
                        let message = self.message_of(status);
                        Some(Response::Authentication(ticket, status, message))
                    }
                    Judgement::Later(judgement) => {
                        self.judging.push((ticket, who, judgement, arrival));
                        None
                    }
                }
            }
        }
    }

    /// What the user reads with an outcome. The reason is for the log: whoever is guessing must not learn how near they are.
    pub(super) fn message_of(&self, status: AuthenticationStatus) -> Cow<'static, [u8]> {
        match status {
            AuthenticationStatus::ERROR => UNAVAILABLE.into(),
            AuthenticationStatus::FAIL => {
                let message = &self.snapshot.config.authentication.fail_message;
                message.as_bytes().to_vec().into()
            }
            _ => Cow::default(),
        }
    }

    pub(super) fn judged(
        &mut self,
        who: &Who,
        result: Result<Decided, Unavailable>,
    ) -> AuthenticationStatus {
        match result {
            Ok(decided) if decided.decision == Decision::Permit => {
                self.note_login(who, Outcome::Pass, &decided);
                if let Some(user) = self.snapshot.config.users.get(who.user.as_str()) {
                    let (person, kind) = (who.person(), Kind::Authentication);
                    self.aaa.alert(user, &self.peer, person, kind, &who.request);
                }
                AuthenticationStatus::PASS
            }
            Ok(decided) => {
                self.note_login(who, Outcome::Fail, &decided);
                AuthenticationStatus::FAIL
            }
            Err(Unavailable(reason)) => {
                self.note_login(who, Outcome::Error, &Decided::deny(reason));
                AuthenticationStatus::ERROR
            }
        }
    }
}

/// Why a START is not served.
enum Unfit {
    Fail(Reason),
    /// The client may try another type.
    Restart,
}

/// The status of a question, and what the user reads. GETPASS is for the one password that counts from then on (section 5.4.2.7).
fn ask(question: &Question) -> (AuthenticationStatus, Cow<'static, [u8]>) {
    let status = match question {
        Question::Name => AuthenticationStatus::GETUSER,
        Question::OldPassword => AuthenticationStatus::GETDATA,
        Question::Password | Question::NewPassword(_) | Question::Repetition => {
            AuthenticationStatus::GETPASS
        }
    };
    let prompt = match question.prompt() {
        Cow::Borrowed(prompt) => Cow::Borrowed(prompt.as_bytes()),
        Cow::Owned(prompt) => Cow::Owned(prompt.into_bytes()),
    };
    (status, prompt)
}
