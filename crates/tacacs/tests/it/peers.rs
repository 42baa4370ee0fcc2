//! A server that answers by rule, and a pair of machines joined by two byte streams.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use doorward_tacacs::server::{self, Event};
use doorward_tacacs::{
    AccountingStatus, AuthenticationStatus, AuthenticationType, AuthorizationStatus,
    ClientConnection, Now, Protection, Secret, ServerConnection, SessionId, accounting,
    authentication, authorization, client,
};

pub(crate) const SECRET: &[u8] = b"a secret of thirty-two characters";

pub(crate) fn obfuscated() -> Protection {
    Protection::Obfuscated(vec![Secret::new(SECRET)])
}

pub(crate) fn now(seconds: u64) -> Now {
    Now(Duration::from_secs(seconds))
}

/// What an event was, without its borrow.
pub(crate) type Seen = String;

/// The application of a test: one user, `alice` with the password `wonderland`; what is authorized is authorized.
#[derive(Default)]
pub(crate) struct Application {
    users: HashMap<SessionId, Vec<u8>>,
    pub(crate) seen: Vec<Seen>,
}

impl Application {
    /// Deals with everything that the connection has to tell.
    pub(crate) fn run(&mut self, connection: &mut ServerConnection, now: Now) {
        loop {
            let Some(event) = connection.poll() else {
                return;
            };
            self.seen.push(format!("{event:?}"));
            let answer = match event {
                Event::AuthenticationStart { ticket, start } => {
                    let status = self.judge_start(ticket.session(), &start);
                    ticket.with(reply(status))
                }
                Event::AuthenticationContinue { ticket, answer } => {
                    let status = self.judge_answer(ticket.session(), answer.user_msg);
                    ticket.with(reply(status))
                }
                Event::Authorization { ticket, request } => {
                    let permitted = request.user == b"alice";
                    let status = if permitted {
                        AuthorizationStatus::PASS_ADD
                    } else {
                        AuthorizationStatus::FAIL
                    };
                    ticket.with(authorization::Reply::new(status))
                }
                Event::Accounting { ticket, .. } => {
                    ticket.with(accounting::Reply::new(AccountingStatus::SUCCESS))
                }
                Event::SessionEnded { session, .. } => {
                    self.users.remove(&session);
                    continue;
                }
                Event::WrongFlag { .. } | Event::Refused { .. } => continue,
            };
            connection.answer(answer, now).expect("the answer fits");
        }
    }

    fn judge_start(
        &mut self,
        session: SessionId,
        start: &authentication::Start<'_>,
    ) -> AuthenticationStatus {
        if start.authen_type != AuthenticationType::ASCII {
            let right = start.user == b"alice" && start.data == b"wonderland";
            return if right {
                AuthenticationStatus::PASS
            } else {
                AuthenticationStatus::FAIL
            };
        }
        if start.user.is_empty() {
            return AuthenticationStatus::GETUSER;
        }
        self.users.insert(session, start.user.to_vec());
        AuthenticationStatus::GETPASS
    }

    fn judge_answer(&mut self, session: SessionId, answer: &[u8]) -> AuthenticationStatus {
        match self.users.remove(&session) {
            None => {
                self.users.insert(session, answer.to_vec());
                AuthenticationStatus::GETPASS
            }
            Some(user) if user == b"alice" && answer == b"wonderland" => AuthenticationStatus::PASS,
            Some(_) => AuthenticationStatus::FAIL,
        }
    }
}

fn reply(status: AuthenticationStatus) -> authentication::Reply<'static> {
    let server_msg: &[u8] = match status {
        AuthenticationStatus::GETUSER => b"Username: ",
        AuthenticationStatus::GETPASS => b"Password: ",
        _ => b"",
    };
    let no_echo = status == AuthenticationStatus::GETPASS;
    authentication::Reply {
        status,
        no_echo,
        server_msg,
        data: b"",
    }
}

/// A client, a server and its application.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
    pub(crate) application: Application,
    /// Everything each side sent.
    pub(crate) requests: Vec<u8>,
    pub(crate) replies: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(protection: &Protection) -> Self {
        let mut client = client::Config::new(protection.clone());
        client.single_connection = true;
        Self::with(server::Config::new(protection.clone()), client)
    }

    pub(crate) fn with(server: server::Config, client: client::Config) -> Self {
        Self {
            client: ClientConnection::new(Arc::new(client), now(0)),
            server: ServerConnection::new(Arc::new(server), now(0)),
            application: Application::default(),
            requests: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// Carries octets both ways until neither side has any.
    pub(crate) fn exchange(&mut self) {
        loop {
            let mut octets = Vec::new();
            let asked = self.client.poll_transmit(&mut octets);
            self.requests.extend_from_slice(&octets);
            self.server.receive(&octets, now(0));
            self.application.run(&mut self.server, now(0));
            octets.clear();
            let answered = self.server.poll_transmit(&mut octets);
            self.replies.extend_from_slice(&octets);
            self.client.receive(&octets, now(0));
            if !asked && !answered {
                return;
            }
        }
    }
}
