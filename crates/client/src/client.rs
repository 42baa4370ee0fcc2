//! The client: a list of servers, asked in order until one decides.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorward_hastls::{Policy, Service};
use doorward_tacacs::client::Config;
use doorward_tacacs::{
    AccountingRecord, Argument, ArgumentList, Protection, Separator, SessionId, Verdict,
    accounting, authorization,
};
use tokio::time::Instant;

use crate::connection::{Broken, Connection, Decided, Packet, Work};
use crate::effective::{Handled, effective};
use crate::error::{Attempt, AttemptError, ClientError, TransportError};
use crate::hastls::{self, Way};
use crate::outcome::{Accounting, Authorization, Decision, Denial, Facts};
use crate::request::{AccountingRequest, AuthorizationRequest, Who, is_accounting_argument};
use crate::server::{Mode, Server, Transports};
use crate::tasks::Tasks;

/// A TACACS+ client with the servers it may ask, in this order.
///
/// ERROR, a refused connection, a failed handshake, silence and garbage move on to the next server; FAIL never does.
/// Connections with single-connect are kept and used again, one session at a time each.
#[derive(Debug)]
pub struct Client {
    slots: Vec<Slot>,
    handled: Handled,
    tasks: Tasks,
    accounts_commands: bool,
}

/// A request on its way through the servers. A login that has to start again by another type goes on with it.
pub(crate) struct Course {
    began: Instant,
    typing: Duration,
    attempts: Vec<Attempt>,
    /// The place of the server to ask next: after an answer it is still the one that gave it.
    next: usize,
}

impl Course {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            typing: Duration::ZERO,
            attempts: Vec::new(),
            next: 0,
        }
    }
}

/// A server and the connections to it that wait for work.
struct Slot {
    server: Server,
    name: String,
    config: Arc<Config>,
    idle: Mutex<Vec<Connection>>,
}

/// How many idle connections to one server are kept.
const MAX_IDLE: usize = 8;

impl Client {
    /// A client that can act on the arguments of RFC 8907 section 8.2.
    ///
    /// # Errors
    /// There is no server, or one without TLS where `transports` allows none, or one that would be offered TLS 1.2.
    pub fn new(servers: Vec<Server>, transports: Transports) -> Result<Self, ClientError> {
        if servers.is_empty() {
            return Err(ClientError::NoServer);
        }
        let old = servers.iter().find(|server| match &server.mode {
            Mode::Tls(tls) => tls.policy.offers_tls12(),
            Mode::Plain(_) => false,
        });
        if let Some(server) = old {
            return Err(ClientError::OldTls(server.address.to_string()));
        }
        let (plain, secure): (Vec<&Server>, Vec<&Server>) = servers
            .iter()
            .partition(|server| matches!(server.mode, Mode::Plain(_)));
        if let Some(server) = plain.first() {
            let server = server.address.to_string();
            if transports == Transports::TlsOnly {
                return Err(ClientError::TlsOnly(server));
            }
            if !secure.is_empty() {
                // RFC 9887 section 6.1.
                tracing::warn!(
                    %server,
                    "servers with and without TLS are mixed: whoever keeps those with TLS from answering gets the request without"
                );
            }
        }
        Ok(Self {
            slots: servers.into_iter().map(Slot::new).collect(),
            handled: Handled::rfc8907(),
            tasks: Tasks::default(),
            accounts_commands: false,
        })
    }

    /// The same client, able to act on other arguments.
    #[must_use]
    pub fn handling(mut self, handled: Handled) -> Self {
        self.handled = handled;
        self
    }

    /// The same client, which has every command recorded that it asks about, permitted or not (section 8.3): see
    /// [`Authorization::accounted`].
    #[must_use]
    pub fn accounting_commands(mut self) -> Self {
        self.accounts_commands = true;
        self
    }

    /// Asks whether a user may do something.
    pub async fn authorize(
        &self,
        request: &AuthorizationRequest,
    ) -> Result<Authorization, ClientError> {
        let who = &request.who;
        let rem_addr = who.rem_addr_text();
        let packet = Packet::Authorization(authorization::Request {
            authen_method: request.authen_method,
            priv_lvl: who.priv_lvl,
            authen_type: request.authen_type,
            authen_service: request.authen_service,
            user: who.user.as_bytes(),
            port: who.port.as_bytes(),
            rem_addr: rem_addr.as_bytes(),
            arguments: request.arguments.as_arguments(),
        });
        let mut work = Work {
            packet,
            answers: None,
        };
        let (decided, facts) = self.ask(&mut Course::new(), &mut work).await?;
        let mut answer = Authorization {
            decision: Decision::Fail(Denial::Flag),
            status: None,
            server_msg: Vec::new(),
            data: Vec::new(),
            arguments: Vec::new(),
            effective: Vec::new(),
            accounted: None,
            facts,
        };
        if let Decided::Authorization {
            status,
            server_msg,
            data,
            arguments,
        } = decided
        {
            answer.status = Some(status);
            answer.server_msg = server_msg;
            if !data.is_empty() {
                // Section 6.2: for the administrator of the device.
                tracing::info!(?status, data = %data.escape_ascii(), "the server sent data with its decision");
            }
            answer.data = data;
            answer.decision = decision(status.verdict());
            if answer.decision.is_pass() {
                match effective(status, &request.arguments, &arguments, &self.handled) {
                    Ok(effective) => (answer.arguments, answer.effective) = (arguments, effective),
                    Err(argument) => answer.decision = Decision::Fail(Denial::Argument(argument)),
                }
            }
        }
        if self.accounts_commands
            && let Some(command) = command(&request.arguments)
        {
            answer.accounted = Some(self.start(request, command).await);
        }
        Ok(answer)
    }

    /// Has something recorded.
    pub async fn account(&self, request: &AccountingRequest) -> Result<Accounting, ClientError> {
        let task = self
            .tasks
            .begin(request.record, request.task_id.as_bytes())
            .ok_or(ClientError::TaskIsOpen)?;
        let answer = self.record(request).await?;
        if answer.decision.is_pass() {
            task.recorded();
        }
        Ok(answer)
    }

    async fn record(&self, request: &AccountingRequest) -> Result<Accounting, ClientError> {
        let arguments = in_order(request)?;
        let who = &request.who;
        let rem_addr = who.rem_addr_text();
        let packet = Packet::Accounting(accounting::Request {
            flags: request.record.into(),
            authen_method: request.authen_method,
            priv_lvl: who.priv_lvl,
            authen_type: request.authen_type,
            authen_service: request.authen_service,
            user: who.user.as_bytes(),
            port: who.port.as_bytes(),
            rem_addr: rem_addr.as_bytes(),
            arguments: arguments.as_arguments(),
        });
        let mut work = Work {
            packet,
            answers: None,
        };
        let (decided, facts) = self.ask(&mut Course::new(), &mut work).await?;
        let mut answer = Accounting {
            decision: Decision::Fail(Denial::Flag),
            status: None,
            server_msg: Vec::new(),
            data: Vec::new(),
            facts,
        };
        if let Decided::Accounting {
            status,
            server_msg,
            data,
        } = decided
        {
            answer.decision = decision(status.verdict());
            answer.status = Some(status);
            (answer.server_msg, answer.data) = (server_msg, data);
        }
        Ok(answer)
    }

    /// Has a command recorded as it is entered: one start record with a `task_id` of its own, `service=shell` and the
    /// words as `cmd` and `cmd-arg` (section 8.3). No stop follows.
    pub async fn account_command(
        &self,
        who: &Who,
        words: &[&str],
    ) -> Result<Accounting, ClientError> {
        let mut arguments = ArgumentList::new();
        let mut push = |name, value: &str| {
            arguments
                .push(name, Separator::Mandatory, value)
                .map_err(ClientError::Argument)
        };
        push("service", "shell")?;
        let (command, rest) = words.split_first().unwrap_or((&"", &[]));
        push("cmd", command)?;
        for word in rest {
            push("cmd-arg", word)?;
        }
        let login = AuthorizationRequest::new(who.clone(), ArgumentList::new());
        self.start(&login, arguments).await
    }

    /// Has the start of a command recorded, of a user who logged in as this request says.
    async fn start(
        &self,
        request: &AuthorizationRequest,
        command: ArgumentList,
    ) -> Result<Accounting, ClientError> {
        let task = self.tasks.fresh().map_err(|_| ClientError::Random)?;
        self.record(&AccountingRequest {
            authen_method: request.authen_method,
            authen_type: request.authen_type,
            authen_service: request.authen_service,
            ..AccountingRequest::new(request.who.clone(), AccountingRecord::Start, task, command)
        })
        .await
    }

    /// Asks one server after the other.
    pub(crate) async fn ask(
        &self,
        course: &mut Course,
        work: &mut Work<'_>,
    ) -> Result<(Decided, Facts), ClientError> {
        while let Some(slot) = self.slots.get(course.next) {
            match slot.ask(work, &mut course.typing).await {
                Ok((decided, tls)) => {
                    if matches!(decided, Decided::FlagMismatch) {
                        // RFC 9887 section 4 wants it in the log.
                        let reason = Denial::Flag;
                        tracing::warn!(server = %slot.name, %reason, "the reply is not used, the connection is closed");
                    }
                    let elapsed = course.began.elapsed().saturating_sub(course.typing);
                    return Ok((
                        decided,
                        Facts {
                            server: slot.name.clone(),
                            tls,
                            elapsed,
                        },
                    ));
                }
                Err(Trouble::Random) => return Err(ClientError::Random),
                Err(Trouble::Broken(Broken::Request(error))) => {
                    return Err(ClientError::Request(error));
                }
                Err(Trouble::Broken(Broken::Aborted)) => return Err(ClientError::Aborted),
                Err(Trouble::Broken(Broken::Attempt(reason))) => {
                    tracing::warn!(server = %slot.name, %reason, "the server did not decide");
                    course.next += 1;
                    course.attempts.push(Attempt {
                        server: slot.name.clone(),
                        reason,
                    });
                }
            }
        }
        let attempts = std::mem::take(&mut course.attempts);
        Err(ClientError::Unavailable(attempts))
    }
}

enum Trouble {
    Random,
    Broken(Broken),
}

impl Slot {
    fn new(server: Server) -> Self {
        let protection = match &server.mode {
            Mode::Tls(_) => Protection::Tls,
            Mode::Plain(secret) => Protection::Obfuscated(vec![secret.clone()]),
        };
        let config = Config {
            single_connection: server.single_connection,
            dialect: server.dialect,
            ..Config::new(protection)
        };
        let name = server.address.to_string();
        Self {
            server,
            name,
            config: Arc::new(config),
            idle: Mutex::default(),
        }
    }

    async fn ask(
        &self,
        work: &mut Work<'_>,
        typing: &mut Duration,
    ) -> Result<(Decided, Option<crate::TlsFacts>), Trouble> {
        let found = self.find().await;
        let way = found.map_err(|error| Trouble::Broken(error.into()))?;
        if let Some(kept) = self.take(way.address.port()) {
            let (outcome, heard_something) = self.run(kept, work, typing).await?;
            // The server may close an idle connection at any time (section 4.3), also while the request was under way.
            let stale = matches!(
                &outcome,
                Err(Broken::Attempt(AttemptError::Transport(
                    TransportError::Closed | TransportError::Io(_) | TransportError::Channel(_)
                )))
            );
            if !stale || heard_something {
                return outcome.map_err(Trouble::Broken);
            }
            tracing::debug!(server = %self.name, "the kept connection was closed; making a new one");
        }
        let fresh = Connection::open(&self.server, &way.address, &self.config).await;
        let fresh = fresh.map_err(|error| Trouble::Broken(error.into()))?;
        let (outcome, _) = self.run(fresh, work, typing).await?;
        outcome.map_err(Trouble::Broken)
    }

    /// Where to connect now. Kept connections that HASTLS forbids meanwhile are ended.
    async fn find(&self) -> Result<Way, TransportError> {
        let server = &self.server;
        let secure = matches!(server.mode, Mode::Tls(_));
        let policy = if secure {
            Policy::SecureOnly
        } else {
            Policy::InsecureOnly
        };
        let service = hastls::service(Service::TACACS, server.address.port(), secure, None);
        let found = hastls::find(server.hastls.as_ref(), &server.address, policy, &service).await;
        match found {
            Ok(found) => Ok(found.way),
            Err(error) => {
                self.lock().clear();
                Err(error)
            }
        }
    }

    /// Runs the request, and keeps the connection if it can be used again.
    async fn run(
        &self,
        mut connection: Connection,
        work: &mut Work<'_>,
        typing: &mut Duration,
    ) -> Result<(Result<(Decided, Option<crate::TlsFacts>), Broken>, bool), Trouble> {
        let session = SessionId(getrandom::u32().map_err(|_| Trouble::Random)?);
        let outcome = connection
            .exchange(session, work, self.server.reply_timeout, typing)
            .await;
        let facts = connection.facts();
        let heard_something = connection.heard_something();
        // After a timeout a late reply may come, so only a connection that did its work is kept.
        if outcome.is_ok() && connection.is_reusable() {
            self.keep(connection);
        }
        Ok((outcome.map(|decided| (decided, facts)), heard_something))
    }

    /// The connection to this port that was used last, unless it died meanwhile.
    fn take(&self, port: u16) -> Option<Connection> {
        let mut idle = self.lock();
        while let Some(mut connection) = idle.pop() {
            if connection.port() == port && connection.is_fresh(self.server.idle_timeout) {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.lock();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    /// Says goodbye on the connections that wait.
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        idle.clear();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The service and the words of the command that a request is about, as they stand there; none for a session.
fn command(arguments: &ArgumentList) -> Option<ArgumentList> {
    let all = || arguments.as_arguments().iter().flatten();
    if !all().any(|one| one.name == b"cmd" && !one.value.is_empty()) {
        return None;
    }
    let mut command = ArgumentList::new();
    for one in all().filter(|one| matches!(one.name, b"service" | b"cmd" | b"cmd-arg")) {
        // What fitted into the request fits here.
        command
            .push(one.name, Separator::Mandatory, one.value)
            .ok()?;
    }
    Some(command)
}

pub(crate) fn decision(verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Pass => Decision::Pass,
        Verdict::Fail | Verdict::Error | Verdict::Continue => Decision::Fail(Denial::Status),
    }
}

/// `task_id`, then the arguments of accounting, then those of authorization (section 8.3).
fn in_order(request: &AccountingRequest) -> Result<ArgumentList, ClientError> {
    let mut list = ArgumentList::new();
    list.push("task_id", Separator::Mandatory, &request.task_id)
        .map_err(ClientError::Argument)?;
    let accounting = |octets: &&[u8]| {
        Argument::parse(octets).is_ok_and(|argument| is_accounting_argument(argument.name))
    };
    let all = request.arguments.as_arguments();
    let first = all.raw().filter(accounting);
    let last = all.raw().filter(|octets| !accounting(octets));
    for octets in first.chain(last) {
        list.push_raw(octets).map_err(ClientError::Argument)?;
    }
    Ok(list)
}
