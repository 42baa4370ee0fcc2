//! One connection to one server, and one exchange on it.

use std::sync::Arc;
use std::time::Duration;

use doorward_tacacs::client::{CloseReason, Config, ContinueTicket, Event, Failure, SendError};
use doorward_tacacs::{
    AccountingStatus, AuthenticationStatus, AuthorizationStatus, ClientConnection, Now, SessionId,
    Verdict, accounting, authentication, authorization,
};
use tokio::time::{Instant, timeout};

use crate::error::{AttemptError, ServerStatus, TransportError};
use crate::outcome::TlsFacts;
use crate::request::{Answer, Answers, Question, QuestionKind};
use crate::server::{Server, ServerAddress};
use crate::transport::{Read, Transport};

/// What is sent first.
pub(crate) enum Packet<'a> {
    Start(authentication::Start<'a>),
    /// A START of the older form of PAP.
    PapDialogue(authentication::Start<'a>),
    Authorization(authorization::Request<'a>),
    Accounting(accounting::Request<'a>),
}

/// A request, and who answers questions about it.
pub(crate) struct Work<'a> {
    pub(crate) packet: Packet<'a>,
    pub(crate) answers: Option<&'a mut dyn Answers>,
}

/// A reply that decides, with its octets.
#[derive(Debug)]
pub(crate) enum Decided {
    Authentication {
        status: AuthenticationStatus,
        server_msg: Vec<u8>,
        data: Vec<u8>,
    },
    Authorization {
        status: AuthorizationStatus,
        server_msg: Vec<u8>,
        data: Vec<u8>,
        arguments: Vec<Vec<u8>>,
    },
    Accounting {
        status: AccountingStatus,
        server_msg: Vec<u8>,
        data: Vec<u8>,
    },
    /// The flag for clear text was wrong, which counts as FAIL.
    FlagMismatch,
}

/// Why an exchange has no reply that decides.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The next server may do better.
    Attempt(AttemptError),
    /// No server would.
    Request(SendError),
    /// Whoever answers gave up.
    Aborted,
}

impl From<AttemptError> for Broken {
    fn from(error: AttemptError) -> Self {
        Self::Attempt(error)
    }
}

impl From<TransportError> for Broken {
    fn from(error: TransportError) -> Self {
        Self::Attempt(error.into())
    }
}

/// What the machine said, without borrowing it.
enum Heard {
    Decided(Decided),
    Asked {
        ticket: ContinueTicket,
        question: Question,
    },
    Failed(Failure),
    Closed(CloseReason),
}

pub(crate) struct Connection {
    transport: Transport,
    port: u16,
    machine: ClientConnection,
    born: Instant,
    used: Instant,
    /// Whether anything was received since the request that runs was sent.
    heard_something: bool,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(
        server: &Server,
        address: &ServerAddress,
        config: &Arc<Config>,
    ) -> Result<Self, TransportError> {
        let transport = Transport::connect(server, address).await?;
        let born = Instant::now();
        Ok(Self {
            transport,
            port: address.port(),
            machine: ClientConnection::new(Arc::clone(config), Now::default()),
            born,
            used: born,
            heard_something: false,
            buffer: Vec::new(),
        })
    }

    pub(crate) fn facts(&self) -> Option<TlsFacts> {
        self.transport.facts()
    }

    /// Whether it can be kept for a later request (single-connect, RFC 8907 section 4.3).
    pub(crate) fn is_reusable(&self) -> bool {
        self.machine.is_reusable()
    }

    /// The port it was made to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether it still works after lying idle.
    pub(crate) fn is_fresh(&mut self, idle_timeout: Duration) -> bool {
        self.used.elapsed() < idle_timeout
            && self.machine.is_reusable()
            && self.transport.is_quiet()
    }

    /// Whether the server has sent anything since the last request.
    pub(crate) fn heard_something(&self) -> bool {
        self.heard_something
    }

    /// Runs one session. Whatever the outcome, the connection is only fit for another one if [`Self::is_reusable`]
    /// says so. Adds the time that was spent on answering questions to `typing`.
    pub(crate) async fn exchange(
        &mut self,
        session: SessionId,
        work: &mut Work<'_>,
        patience: Duration,
        typing: &mut Duration,
    ) -> Result<Decided, Broken> {
        self.heard_something = false;
        match &work.packet {
            Packet::Start(start) => self.machine.start(session, start),
            Packet::PapDialogue(start) => self.machine.start_pap_dialogue(session, start),
            Packet::Authorization(request) => self.machine.authorize(session, request),
            Packet::Accounting(request) => self.machine.account(session, request),
        }
        .map_err(|error| match error {
            SendError::NotNow | SendError::SessionInUse => Broken::Attempt(AttemptError::Busy),
            SendError::SessionOver
            | SendError::Pair
            | SendError::EnableService
            | SendError::Dialect
            | SendError::NoUser
            | SendError::NoService
            | SendError::NoCommand
            | SendError::ArgumentOrder
            | SendError::Encode(_) => Broken::Request(error),
        })?;
        let mut left = patience;
        let mut asked = [0; 3];
        // Ends: every turn takes two sequence numbers, of which a session has 255.
        loop {
            let began = Instant::now();
            let heard = timeout(left, self.hear(session))
                .await
                .map_err(|_| AttemptError::ReplyTimeout)??;
            left = left.saturating_sub(began.elapsed());
            self.used = Instant::now();
            let (ticket, mut question) = match heard {
                Heard::Decided(decided) => return error_moves_on(decided),
                Heard::Failed(Failure::ConnectionClosed) => {
                    return Err(self.why_closed(None).into());
                }
                Heard::Failed(failure) if failure.verdict() == Verdict::Fail => {
                    return Ok(Decided::FlagMismatch);
                }
                Heard::Failed(failure) => {
                    // The machine aborts a session that ran out of numbers.
                    self.send_last_words().await;
                    return Err(AttemptError::Reply(failure).into());
                }
                Heard::Closed(reason) => return Err(self.why_closed(Some(reason)).into()),
                Heard::Asked { ticket, question } => (ticket, question),
            };
            let Some(answers) = work.answers.as_deref_mut() else {
                self.give_up(ticket, b"one reply was expected").await;
                return Err(AttemptError::Question.into());
            };
            let count = match (question.kind, &mut asked) {
                (QuestionKind::User, [count, _, _])
                | (QuestionKind::Password, [_, count, _])
                | (QuestionKind::Data, [_, _, count]) => count,
            };
            *count += 1;
            question.number = *count;
            let began = Instant::now();
            let answer = answers.answer(&question).await;
            *typing += began.elapsed();
            match answer {
                Answer::Text(text) => {
                    let answer = authentication::Continue::new(&text);
                    self.machine
                        .continue_with(ticket, &answer)
                        .map_err(Broken::Request)?;
                }
                Answer::Abort(reason) => {
                    self.give_up(ticket, reason.as_bytes()).await;
                    return Err(Broken::Aborted);
                }
            }
        }
    }

    /// Sends an ABORT (section 5.4.3), if that can be done at once.
    async fn give_up(&mut self, ticket: ContinueTicket, reason: &[u8]) {
        if self.machine.abort(ticket, reason).is_ok() {
            self.send_last_words().await;
        }
    }

    /// Sends what is left, without waiting long for a server that is done with.
    async fn send_last_words(&mut self) {
        const MOMENT: Duration = Duration::from_millis(500);
        _ = timeout(MOMENT, self.send()).await;
    }

    async fn send(&mut self) -> Result<(), TransportError> {
        self.buffer.clear();
        if self.machine.poll_transmit(&mut self.buffer) {
            let sent = self.transport.write(&self.buffer).await;
            // It may hold a password of a login over TLS.
            zeroize::Zeroize::zeroize(&mut self.buffer);
            sent?;
        }
        Ok(())
    }

    /// Sends what is to be sent, and waits until the machine has something to say about the session.
    async fn hear(&mut self, session: SessionId) -> Result<Heard, TransportError> {
        let sent = self.send().await;
        loop {
            while let Some(event) = self.machine.poll() {
                if let Some(heard) = heard(event, session) {
                    return Ok(heard);
                }
            }
            self.buffer.clear();
            // A server may refuse and close before it has read all of the request: what it said comes first.
            match self.transport.read(&mut self.buffer).await {
                Ok(Read::Data) => {
                    self.heard_something = true;
                    let now = Now(self.born.elapsed());
                    self.machine.receive(&self.buffer, now);
                }
                Ok(Read::End) => self.machine.peer_closed(),
                Err(error) => {
                    sent?;
                    return Err(error);
                }
            }
        }
    }

    fn why_closed(&self, reason: Option<CloseReason>) -> AttemptError {
        match reason.or(self.machine.close_reason()) {
            Some(CloseReason::NotTacacs | CloseReason::Oversize) => AttemptError::NotTacacs,
            Some(CloseReason::UnknownSession | CloseReason::Trouble) => {
                AttemptError::Reply(Failure::ConnectionClosed)
            }
            Some(
                CloseReason::SessionComplete | CloseReason::PeerClosed | CloseReason::NoSecret,
            )
            | None => TransportError::Closed.into(),
        }
    }
}

/// An ERROR is as good as no server (section 4.4); its data is for the administrator.
fn error_moves_on(decided: Decided) -> Result<Decided, Broken> {
    let (verdict, status, server_msg, data) = match &decided {
        Decided::Authentication {
            status,
            server_msg,
            data,
        } => (
            status.verdict(),
            ServerStatus::Authentication(*status),
            server_msg,
            data,
        ),
        Decided::Authorization {
            status,
            server_msg,
            data,
            ..
        } => (
            status.verdict(),
            ServerStatus::Authorization(*status),
            server_msg,
            data,
        ),
        Decided::Accounting {
            status,
            server_msg,
            data,
        } => (
            status.verdict(),
            ServerStatus::Accounting(*status),
            server_msg,
            data,
        ),
        Decided::FlagMismatch => return Ok(decided),
    };
    match verdict {
        Verdict::Pass | Verdict::Fail => Ok(without_redirection(decided)),
        Verdict::Error | Verdict::Continue => {
            if !data.is_empty() {
                tracing::info!(status = %status, data = %data.escape_ascii(), "the server sent data with its error");
            }
            Err(AttemptError::Status {
                status,
                server_msg: server_msg.clone(),
            }
            .into())
        }
    }
}

/// Throws away what a FOLLOW points to: nobody is to use those hosts, and the keys among them are for no log and no screen
/// (section 10.5.5).
fn without_redirection(mut decided: Decided) -> Decided {
    let (follow, data) = match &mut decided {
        Decided::Authentication { status, data, .. } => {
            (*status == AuthenticationStatus::FOLLOW, data)
        }
        Decided::Authorization { status, data, .. } => {
            (*status == AuthorizationStatus::FOLLOW, data)
        }
        Decided::Accounting { status, data, .. } => (*status == AccountingStatus::FOLLOW, data),
        Decided::FlagMismatch => return decided,
    };
    if follow {
        zeroize::Zeroize::zeroize(data);
    }
    decided
}

fn heard(event: Event<'_>, session: SessionId) -> Option<Heard> {
    Some(match event {
        Event::AuthenticationReply {
            session: id,
            ticket,
            reply,
        } if id == session => match ticket {
            None => Heard::Decided(Decided::Authentication {
                status: reply.status,
                server_msg: reply.server_msg.to_vec(),
                data: reply.data.to_vec(),
            }),
            Some(ticket) => Heard::Asked {
                ticket,
                question: question(&reply),
            },
        },
        Event::AuthorizationReply { session: id, reply } if id == session => {
            Heard::Decided(Decided::Authorization {
                status: reply.status,
                server_msg: reply.server_msg.to_vec(),
                data: reply.data.to_vec(),
                arguments: reply.arguments.raw().map(<[u8]>::to_vec).collect(),
            })
        }
        Event::AccountingReply { session: id, reply } if id == session => {
            Heard::Decided(Decided::Accounting {
                status: reply.status,
                server_msg: reply.server_msg.to_vec(),
                data: reply.data.to_vec(),
            })
        }
        Event::SessionFailed {
            session: id,
            reason,
        } if id == session => Heard::Failed(reason),
        Event::Closed { reason } => Heard::Closed(reason),
        Event::AuthenticationReply { .. }
        | Event::AuthorizationReply { .. }
        | Event::AccountingReply { .. }
        | Event::SessionFailed { .. }
        | Event::Ignored { .. } => return None,
    })
}

fn question(reply: &authentication::Reply<'_>) -> Question {
    let kind = match reply.status {
        AuthenticationStatus::GETUSER => QuestionKind::User,
        AuthenticationStatus::GETPASS => QuestionKind::Password,
        _ => QuestionKind::Data,
    };
    Question {
        kind,
        prompt: reply.server_msg.to_vec(),
        no_echo: reply.no_echo,
        number: 0,
    }
}
