//! Answers on their way to the connection.

use std::borrow::Cow;

use doorward_tacacs::server::{
    AccountingReply, Answer, AnswerError, AuthenticationReply, AuthorizationReply,
    ServerConnection, Ticket,
};
use doorward_tacacs::{
    AccountingStatus, ArgumentList, AuthenticationStatus, AuthorizationStatus, Now, accounting,
    authentication, authorization,
};

use crate::aaa::Kind;

/// An answer that can be given now.
#[must_use]
pub enum Response {
    /// To a START or CONTINUE.
    Authentication(
        Ticket<AuthenticationReply>,
        AuthenticationStatus,
        Cow<'static, [u8]>,
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
    /// The kind of the request that this ends; a question to the user ends none.
    pub(super) fn concludes(&self) -> Option<Kind> {
        match self {
            Self::Authentication(
                _,
                AuthenticationStatus::GETUSER
                | AuthenticationStatus::GETPASS
                | AuthenticationStatus::GETDATA,
                _,
            ) => None,
            Self::Authentication(..) => Some(Kind::Authentication),
            Self::Authorization(..) => Some(Kind::Authorization),
            Self::Accounting(..) => Some(Kind::Accounting),
        }
    }

    /// Hands the answer to the connection. One whose session ended meanwhile goes nowhere.
    pub fn send(self, machine: &mut ServerConnection, now: Now) {
        match self {
            Self::Authentication(ticket, status, server_msg) => {
                // What is asked for by GETDATA is the old password.
                let no_echo = matches!(
                    status,
                    AuthenticationStatus::GETPASS | AuthenticationStatus::GETDATA
                );
                let reply = authentication::Reply {
                    no_echo,
                    server_msg: &server_msg,
                    ..authentication::Reply::new(status)
                };
                answer(machine, ticket.with(reply), now);
            }
            Self::Authorization(ticket, status, arguments, server_msg, data) => {
                let reply = authorization::Reply {
                    server_msg,
                    data: data.as_bytes(),
                    arguments: arguments.as_arguments(),
                    ..authorization::Reply::new(status)
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
/// A stale answer is for a session that ended meanwhile. Any other failure is ours; the connection has answered ERROR by itself.
fn answer(machine: &mut ServerConnection, answer: Answer<'_>, now: Now) {
    match machine.answer(answer, now) {
        Ok(()) | Err(AnswerError::Stale) => {}
        Err(error) => {
            tracing::error!(%error, "a reply could not be sent as it was decided and went out as ERROR")
        }
    }
}
