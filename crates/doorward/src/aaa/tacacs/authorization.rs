//! Authorization requests: from packet to judgement and back.

use doorward_tacacs::server::{AuthorizationReply, Ticket};
use doorward_tacacs::{ArgumentList, AuthorizationStatus, Separator, authorization as wire};

use super::authentication::type_of;
use super::text::{argument, displayed, printable, user_name};
use super::{Response, Service, UNAVAILABLE};
use crate::aaa::authorization::{Answer, Argument, Arguments, judge};
use crate::aaa::{Decided, Kind, Outcome, Person, Reason, request};
use crate::accounting as journal;
use crate::config::Config;
use crate::policy::{Context, Decision, GrantedArgument};

/// What a user reads when a command is refused; the reason is for the administrator and goes to `data`.
const DENIED: &[u8] = b"denied by policy";

impl Service {
    pub(super) fn authorize(
        &self,
        ticket: Ticket<AuthorizationReply>,
        request: &wire::Request<'_>,
    ) -> Response {
        let (user, port, remote) = (
            displayed(request.user),
            displayed(request.port),
            displayed(request.rem_addr),
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
                    &displayed(&raw),
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

    fn judge(&self, request: &wire::Request<'_>, person: &Person<'_>) -> Result<Answer, Reason> {
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
        let remote_address = request::address(person.remote_address);
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
            auth: type_of(request.authen_type),
            peer: self.peer.identity.as_deref(),
        };
        Ok(judge(&config.policy, &context, &arguments))
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
