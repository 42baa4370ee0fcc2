//! Authorization requests: from packet to judgement and back.

use std::sync::Arc;

use doorward_tacacs::server::{AuthorizationReply, Ticket};
use doorward_tacacs::{ArgumentList, AuthorizationStatus, Separator, authorization as wire};

use super::text::{argument, displayed, is_carriage_return, printable, tolerated};
use super::{Response, Service, UNAVAILABLE};
use crate::aaa::authorization::{Answer, Argument, Arguments, judge};
use crate::aaa::{Asked, Decided, Kind, Outcome, Person, Reason, request};
use crate::accounting as journal;
use crate::config::{AuthenticationType, Config, Tolerance, Tolerances, User};
use crate::policy::{Context, Decision, GrantedArgument, Protocol};

/// What a user reads when a command is refused; the reason is for the administrator and goes to `data`.
const DENIED: &[u8] = b"denied by policy";

impl Service {
    pub(super) fn authorize(
        &mut self,
        ticket: Ticket<AuthorizationReply>,
        request: &wire::Request<'_>,
    ) -> Response {
        let name = self.name(request.user);
        let (user, port, remote) = (
            name.clone().unwrap_or_else(|| displayed(request.user)),
            displayed(request.port),
            displayed(request.rem_addr),
        );
        let person = Person {
            user: &user,
            port: &port,
            remote_address: &remote,
        };
        let asked = Asked {
            kind: Kind::Authorization,
            protocol: journal::Protocol::Tacacs,
            person,
            privilege_level: request.priv_lvl.0,
            service: None,
            request: &"",
            arguments: request.arguments.raw(),
        };
        let (answer, watched) = match self.judge(request, name.as_deref(), &person) {
            Ok(judged) => judged,
            Err(reason) => {
                let asked = Asked {
                    request: &in_words(request),
                    ..asked
                };
                self.note(&asked, Outcome::Deny, &Decided::deny(reason));
                return denied(ticket, reason);
            }
        };
        let asked = Asked {
            request: &answer.request,
            ..asked
        };
        let decided = &answer.decided;
        if decided.decision == Decision::Deny {
            self.note(&asked, Outcome::Deny, decided);
            return denied(ticket, decided.reason);
        }
        let (status, granted) = match &answer.arguments {
            Arguments::Add(arguments) => (AuthorizationStatus::PASS_ADD, arguments),
            Arguments::Replace(arguments) => (AuthorizationStatus::PASS_REPL, arguments),
        };
        match argument_list(granted) {
            Some(arguments) => {
                self.note(&asked, Outcome::Permit, decided);
                if let Some(user) = watched {
                    self.aaa.alert(
                        &user,
                        &self.peer,
                        person,
                        Kind::Authorization,
                        asked.request,
                    );
                }
                Response::Authorization(ticket, status, arguments, b"", "")
            }
            // The configuration is checked for this at load; a permit that cannot be expressed is a fault of ours, not a denial.
            None => {
                let fault = Decided::deny(Reason::AnswerTooLong);
                self.note(&asked, Outcome::Error, &fault);
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

    /// The answer, and the user if that one is watched.
    fn judge<'a>(
        &self,
        request: &wire::Request<'a>,
        name: Option<&str>,
        person: &Person<'_>,
    ) -> Result<(Answer<'a>, Option<Arc<User>>), Reason> {
        if !printable(request.port) || !printable(request.rem_addr) {
            return Err(Reason::RequestInvalid);
        }
        let name = name.ok_or(Reason::UserNameInvalid)?;
        let device = self.device().ok_or(Reason::DeviceGone)?;
        let (arguments, used) = arguments(request, device.tolerate)?;
        for tolerance in used.iter() {
            self.aaa.tolerated(&self.peer, tolerance);
        }
        let config: &Config = &self.snapshot.config;
        let user = config.users.get(name).ok_or(Reason::UserUnknown)?;
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
            protocol: Protocol::Tacacs,
            transport: self.peer.transport,
            service: None,
            auth: AuthenticationType::of_wire(request.authen_type),
            address: Some(self.peer.address.ip()),
            peer: self.peer.identity.as_deref(),
            psk_identity: self.peer.psk_identity.as_deref(),
        };
        let watched = user.alert.then(|| Arc::clone(user));
        Ok((judge(&config.policy, &context, &arguments), watched))
    }
}

/// The arguments of a request, and which tolerances it took to read them.
fn arguments<'a>(
    request: &wire::Request<'a>,
    tolerate: Tolerances,
) -> Result<(Vec<Argument<'a>>, Tolerances), Reason> {
    let mut used = Tolerances::NONE;
    let mut arguments: Vec<Argument<'_>> = Vec::with_capacity(request.arguments.len());
    for raw in request.arguments.raw() {
        match (argument(raw), tolerated(raw, tolerate)) {
            (Some(argument), _) => arguments.push(argument),
            (None, Some(tolerance)) => used.insert(tolerance),
            (None, None) => return Err(Reason::RequestInvalid),
        }
    }
    // Those at the end are normal, and stay for the log and the answer.
    let is_word = |one: &Argument<'_>| one.name == "cmd-arg" && !is_carriage_return(one);
    if tolerate.contains(Tolerance::BareCr)
        && let Some(last) = arguments.iter().rposition(is_word)
    {
        let (mut index, before) = (0, arguments.len());
        arguments.retain(|one| {
            let dropped = index < last && is_carriage_return(one);
            index += 1;
            !dropped
        });
        if arguments.len() < before {
            used.insert(Tolerance::BareCr);
        }
    }
    Ok((arguments, used))
}

/// What was asked, of a request that was refused before it was understood: its command line, or else its service.
fn in_words(request: &wire::Request<'_>) -> String {
    let command = journal::command_line(request.arguments.raw());
    if !command.is_empty() {
        return displayed(&command).into_owned();
    }
    match journal::service_argument(request.arguments.raw()) {
        [] => String::new(),
        service => format!("service={}", displayed(service)),
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
