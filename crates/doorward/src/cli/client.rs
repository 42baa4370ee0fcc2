//! `doorward client`: asks TACACS+ servers the way a device does, and says what they answered.
//!
//! ```text
//! flags ─servers─▶ Vec<Server> ─┐
//!       ─words──▶ arguments ────┼─▶ doorward_client::Client ─▶ answer ─report─▶ line or JSON, exit code
//!       ─secret─▶ password ─────┘            ▲ prompt: the terminal
//! ```
//!
//! 0 the servers say yes, 2 one says no, 3 none decides, 64 wrong usage, 1 a fault on this side.

mod login;
pub(super) mod prompt;
mod report;
mod servers;
mod show;
mod words;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Subcommand, ValueEnum};
use doorward_client::{
    AccountingRecord, AccountingRequest, AuthenticationType, AuthorizationRequest, Client,
    ClientError, Handled, PrivilegeLevel, RemoteAddress, Who,
};

use super::asking::{self, Problem, secret};
use super::{complain, logging};
use report::Report;
use servers::ServerArgs;

/// Ask a TACACS+ server as a device does
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Ask(Box<Ask>),
    Show(Box<show::Args>),
}

/// What a server is asked.
#[derive(Debug, Subcommand)]
enum Ask {
    Authenticate(AuthenticateArgs),
    Authorize(AuthorizeArgs),
    Account(AccountArgs),
}

/// Log a user in, raise a privilege level, or change a password
#[derive(Debug, clap::Args)]
struct AuthenticateArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// What is wanted: a login, the level --priv-lvl (its password is asked for), or another password
    #[arg(long, value_enum, default_value_t = Action::Login)]
    action: Action,
    /// The new password of --action chpass; asked for twice without echo when absent
    #[arg(long, value_name = "REF")]
    new_password: Option<String>,
}

/// Ask whether a user may run COMMAND; without one, which attributes the user's session gets
#[derive(Debug, clap::Args)]
struct AuthorizeArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// One more argument of the request, or NAME*VALUE for an optional one; `service=...` replaces `service=shell`
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// An attribute this client is to count as one it can handle. A mandatory one that it cannot handle means no; it
    /// handles those of RFC 8907, and for a service the RFC does not know whatever the server sends
    #[arg(long = "handle", value_name = "NAME")]
    handled: Vec<String>,
    /// Also have the command recorded as it is entered, permitted or not
    #[arg(long)]
    account: bool,
    /// The words of the command
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// Have something recorded: COMMAND as run by the user, or the start and end of a session
#[derive(Debug, clap::Args)]
struct AccountArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    kind: KindArgs,
    /// What start and stop of one task have in common; a new random one when absent
    #[arg(long, value_name = "ID")]
    task_id: Option<String>,
    /// One more argument of the record, or NAME*VALUE for an optional one; `service=...` replaces `service=shell`
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// The words of the command
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct KindArgs {
    /// A start record (the default without COMMAND)
    #[arg(long)]
    start: bool,
    /// A stop record (the default with COMMAND, as devices record commands)
    #[arg(long)]
    stop: bool,
    /// A task goes on
    #[arg(long)]
    watchdog: bool,
    /// A task goes on with other arguments
    #[arg(long)]
    update: bool,
}

#[derive(Debug, clap::Args)]
struct CommonArgs {
    #[command(flatten)]
    servers: ServerArgs,
    /// The user; an ASCII login without one is asked for it by the server
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The password: file:PATH, env:NAME, cred:NAME, exec:PROGRAM or plain:TEXT; asked for without echo when absent.
    /// Only a login sends it
    #[arg(long, value_name = "REF")]
    password: Option<String>,
    /// How the user logs in (or logged in). Several, separated by commas: the next one is tried where the server answers
    /// RESTART. For chap and mschap --password is the secret, which is not sent
    #[arg(
        long = "type",
        value_enum,
        value_delimiter = ',',
        default_value = "ascii"
    )]
    authen_types: Vec<Type>,
    /// The level the user has, or wants: 1 when absent, and 15 with --action enable
    #[arg(long, value_name = "0..15", value_parser = clap::value_parser!(u8).range(0..=15))]
    priv_lvl: Option<u8>,
    /// The `port` field: the line the user is on, such as tty10. Any printable ASCII, sent as it is; empty when absent
    #[arg(long, value_name = "TTY", default_value = "")]
    port_name: String,
    /// The `rem_addr` field: where the user comes from, an address or a text; empty when absent
    #[arg(long, value_name = "ADDR")]
    rem_addr: Option<String>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Type {
    /// A dialogue: the server asks
    Ascii,
    /// The password goes along
    Pap,
    /// PAP as draft-05 had it first: the server asks for the password
    PapDialogue,
    /// CHAP; the server has to know the secret itself
    Chap,
    /// MS-CHAP version 1
    Mschapv1,
    /// MS-CHAP version 2
    Mschapv2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    Login,
    Enable,
    Chpass,
}

/// Runs `doorward client`.
pub(super) fn run(args: Args) -> ExitCode {
    let _log = logging::start(Some(super::LogFormat::Text), asking::LOGGED);
    let done = match args.command {
        Command::Ask(ask) => {
            let json = ask.common().json;
            prepare_and_ask(*ask).map(|report| report.print(json))
        }
        Command::Show(args) => show::show(*args),
    };
    asking::finish(done, "doorward client")
}

fn prepare_and_ask(mut ask: Ask) -> Result<Report, Problem> {
    ask.common_mut().servers.check()?;
    let runtime = asking::runtime()?;
    match ask {
        Ask::Authenticate(args) => login::authenticate(&runtime, &args),
        Ask::Authorize(args) => authorize(&runtime, &args),
        Ask::Account(args) => account(&runtime, &args),
    }
}

impl Ask {
    fn common(&self) -> &CommonArgs {
        match self {
            Self::Authenticate(args) => &args.common,
            Self::Authorize(args) => &args.common,
            Self::Account(args) => &args.common,
        }
    }

    fn common_mut(&mut self) -> &mut CommonArgs {
        match self {
            Self::Authenticate(args) => &mut args.common,
            Self::Authorize(args) => &mut args.common,
            Self::Account(args) => &mut args.common,
        }
    }
}

impl CommonArgs {
    fn who(&self) -> Result<Who, Problem> {
        let rem_addr = self
            .rem_addr
            .as_deref()
            .map(RemoteAddress::parse)
            .transpose();
        Ok(Who {
            user: self.user.clone().unwrap_or_default(),
            port: self.port_name.clone(),
            rem_addr: rem_addr.map_err(|error| Problem::Usage(format!("--rem-addr: {error}")))?,
            priv_lvl: self.priv_lvl.map_or(PrivilegeLevel::USER, PrivilegeLevel),
        })
    }

    /// Who, where the request is about somebody for certain.
    fn named(&self) -> Result<Who, Problem> {
        let who = self.who()?;
        if who.user.is_empty() {
            return Err(Problem::usage("--user is missing: whom is this about?"));
        }
        Ok(who)
    }

    /// How the user logged in, for requests that only say so.
    fn authen_type(&self) -> Result<AuthenticationType, Problem> {
        let authen_type = match self.authen_types.as_slice() {
            [] | [Type::Ascii] => AuthenticationType::ASCII,
            [Type::Pap | Type::PapDialogue] => AuthenticationType::PAP,
            [Type::Chap] => AuthenticationType::CHAP,
            [Type::Mschapv1] => AuthenticationType::MSCHAP,
            [Type::Mschapv2] => AuthenticationType::MSCHAPV2,
            [_, _, ..] => {
                return Err(Problem::usage(
                    "--type: the user logged in in one way; several are for authenticate",
                ));
            }
        };
        Ok(authen_type)
    }

    fn client(&self) -> Result<Client, Problem> {
        self.servers.client()
    }
}

fn authorize(runtime: &tokio::runtime::Runtime, args: &AuthorizeArgs) -> Result<Report, Problem> {
    let common = &args.common;
    let who = common.named()?;
    let words = words::split(&args.command);
    let arguments = words::request(&words, &args.arguments)?;
    let handled = if words::is_foreign(&arguments) {
        Handled::everything()
    } else {
        Handled::rfc8907()
    };
    let mut client = common
        .client()?
        .handling(handled.and(args.handled.iter().map(String::as_str)));
    if args.account {
        client = client.accounting_commands();
    }
    let what = words::describe(&arguments);
    let mut request = AuthorizationRequest::new(who, arguments);
    request.authen_type = common.authen_type()?;
    let doubts = words::doubts(&request.arguments, request.authen_method);
    doubts.iter().for_each(|doubt| complain(doubt));
    let began = Instant::now();
    match runtime.block_on(client.authorize(&request)) {
        Ok(answer) => Ok(Report::authorization(&answer, &request.who.user, &what)),
        Err(error) => unavailable(error, began.elapsed()),
    }
}

fn account(runtime: &tokio::runtime::Runtime, args: &AccountArgs) -> Result<Report, Problem> {
    let common = &args.common;
    let who = common.named()?;
    let words = words::split(&args.command);
    let record = args.record(&words)?;
    let mut arguments = words::record(&words, &args.arguments)?;
    words::add_time(&mut arguments, record)?;
    let task_id = match &args.task_id {
        Some(id) => id.clone(),
        None => doorward_client::task_id().map_err(|_| {
            Problem::Fault("the operating system gives no random numbers".to_owned())
        })?,
    };
    let client = common.client()?;
    let mut request = AccountingRequest::new(who, record, task_id, arguments);
    request.authen_type = common.authen_type()?;
    let doubts = words::doubts(&request.arguments, request.authen_method);
    doubts.iter().for_each(|doubt| complain(doubt));
    let began = Instant::now();
    match runtime.block_on(client.account(&request)) {
        Ok(answer) => Ok(Report::accounting(&answer, &request)),
        Err(error) => unavailable(error, began.elapsed()),
    }
}

impl AccountArgs {
    fn record(&self, words: &[String]) -> Result<AccountingRecord, Problem> {
        let kind = &self.kind;
        let record = match (kind.start, kind.stop, kind.watchdog, kind.update) {
            (true, ..) => AccountingRecord::Start,
            (_, true, ..) => AccountingRecord::Stop,
            (_, _, true, _) => AccountingRecord::Watchdog,
            (.., true) => AccountingRecord::Update,
            _ if self
                .arguments
                .iter()
                .any(|argument| argument.starts_with("event=")) =>
            {
                return Err(Problem::usage("an event needs --start or --stop"));
            }
            _ if words.is_empty() => AccountingRecord::Start,
            _ => AccountingRecord::Stop,
        };
        // A command is one record; everything else ends what was begun before.
        let continues = record != AccountingRecord::Start && words.is_empty();
        if continues
            && self.task_id.is_none()
            && !self
                .arguments
                .iter()
                .any(|text| text.starts_with("task_id="))
        {
            return Err(Problem::usage(
                "this record belongs to an earlier start: give its --task-id",
            ));
        }
        Ok(record)
    }
}

/// Tells apart what the servers did not decide and what was never asked.
fn unavailable(error: ClientError, elapsed: Duration) -> Result<Report, Problem> {
    match error {
        ClientError::Unavailable(_) | ClientError::Aborted => Ok(Report::error(&error, elapsed)),
        ClientError::Random => Err(Problem::Fault(error.to_string())),
        ClientError::NoServer
        | ClientError::TlsOnly(_)
        | ClientError::OldTls(_)
        | ClientError::Challenge(_)
        | ClientError::Request(_)
        | ClientError::Argument(_)
        | ClientError::TaskIsOpen
        | _ => Err(Problem::Usage(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
