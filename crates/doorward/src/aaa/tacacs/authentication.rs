//! Logins: which are offered, what is asked next, what came of it.

use std::time::Duration;

use doorward_tacacs::server::{AuthenticationReply, Ticket};
use doorward_tacacs::{
    Action, AuthenticationService, AuthenticationStatus, AuthenticationType as WireType, Dialect,
    authentication,
};

use super::text::{displayed, printable, user_name};
use super::{Response, Service};
use crate::aaa::conversation::{Conversation, Step};
use crate::aaa::{Decided, Judgement, Kind, Outcome, Reason, Unavailable, Who};
use crate::config::AuthenticationType;
use crate::policy::{Decision, SHELL};

const USER_PROMPT: &[u8] = b"Username: ";
const PASSWORD_PROMPT: &[u8] = b"Password: ";

/// What a login asks for, in words.
pub(super) const LOGIN: &str = "login";

/// How a user authenticates, as the rules call it.
pub(super) fn type_of(wire: WireType) -> Option<AuthenticationType> {
    match wire {
        WireType::ASCII => Some(AuthenticationType::Ascii),
        WireType::PAP => Some(AuthenticationType::Pap),
        _ => None,
    }
}

/// What a login is for, by the name of the `service` argument that the authorization after it has: LOGIN asks for a shell.
fn service_of(wire: AuthenticationService) -> Option<&'static str> {
    match wire {
        AuthenticationService::LOGIN => Some(SHELL),
        AuthenticationService::PPP => Some("ppp"),
        _ => None,
    }
}

impl Service {
    pub(super) fn start(
        &mut self,
        ticket: Ticket<AuthenticationReply>,
        start: &authentication::Start<'_>,
        arrival: Duration,
    ) -> Option<Response> {
        // What is neither of the two is refused below; its line in the log calls it ASCII.
        let auth = type_of(start.authen_type).unwrap_or(AuthenticationType::Ascii);
        let user = user_name(start.user);
        let who = Who {
            user: user.map_or_else(|| displayed(start.user).into_owned(), str::to_owned),
            port: displayed(start.port).into_owned(),
            remote_address: displayed(start.rem_addr).into_owned(),
            auth,
            privilege_level: start.priv_lvl.0,
            service: service_of(start.authen_service),
        };
        let step = match self.acceptable(start) {
            Err(reason) => Step::Fail(who, reason),
            Ok(()) if user.is_none() && !start.user.is_empty() => {
                Step::Fail(who, Reason::UserNameInvalid)
            }
            // The older form of PAP asks for its password (draft-05 section 4.4.1); the connection takes it in that dialect only.
            Ok(()) if auth == AuthenticationType::Pap && ticket.version().minor() == 0 => {
                Conversation::pap_in_dialogue(who, self.snapshot.config.authentication.attempts)
            }
            Ok(()) if auth == AuthenticationType::Pap => Conversation::pap(who, start.data),
            Ok(()) => Conversation::ascii(who, self.snapshot.config.authentication.attempts),
        };
        self.take(ticket, step, arrival)
    }

    /// Whether this server offers what a START asks for. The values are all listed ones: the connection saw to that.
    fn acceptable(&self, start: &authentication::Start<'_>) -> Result<(), Reason> {
        if !printable(start.port) || !printable(start.rem_addr) {
            return Err(Reason::RequestInvalid);
        }
        if start.action != Action::LOGIN || start.authen_service == AuthenticationService::ENABLE {
            return Err(Reason::FlowNotOffered);
        }
        let wanted = type_of(start.authen_type).ok_or(Reason::TypeNotAccepted)?;
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

    pub(super) fn take(
        &mut self,
        ticket: Ticket<AuthenticationReply>,
        step: Step,
        arrival: Duration,
    ) -> Option<Response> {
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
                // RFC 8907 section 5.4.2 wants FAIL for a flow that is not offered, where draft-05 had ERROR.
                let old = self.dialect == Dialect::Draft05;
                let (status, outcome) = if old && reason == Reason::FlowNotOffered {
                    (AuthenticationStatus::ERROR, Outcome::Error)
                } else {
                    (AuthenticationStatus::FAIL, Outcome::Fail)
                };
                self.note_login(&who, outcome, &Decided::deny(reason), LOGIN);
                Some(Response::Authentication(ticket, status, b""))
            }
            Step::Judge(login) => {
                let who = login.who.clone();
                match self.aaa.authenticate(&self.snapshot, &self.peer, login) {
                    Judgement::Known(decided) => {
                        let status = self.judged(&who, Ok(decided));
                        Some(Response::Authentication(ticket, status, b""))
                    }
                    Judgement::Later(judgement) => {
                        let judgement = Box::pin(judgement);
                        self.judging.push((ticket, who, judgement, arrival));
                        None
                    }
                }
            }
        }
    }

    pub(super) fn judged(
        &mut self,
        who: &Who,
        result: Result<Decided, Unavailable>,
    ) -> AuthenticationStatus {
        match result {
            Ok(decided) if decided.decision == Decision::Permit => {
                self.note_login(who, Outcome::Pass, &decided, LOGIN);
                if let Some(user) = self.snapshot.config.users.get(who.user.as_str()) {
                    let (person, kind) = (who.person(), Kind::Authentication);
                    self.aaa.alert(user, &self.peer, person, kind, &LOGIN);
                }
                AuthenticationStatus::PASS
            }
            Ok(decided) => {
                self.note_login(who, Outcome::Fail, &decided, LOGIN);
                AuthenticationStatus::FAIL
            }
            Err(Unavailable(reason)) => {
                self.note_login(who, Outcome::Error, &Decided::deny(reason), LOGIN);
                AuthenticationStatus::ERROR
            }
        }
    }
}
