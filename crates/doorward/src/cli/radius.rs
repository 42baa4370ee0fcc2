//! `doorward radius`: asks RADIUS servers the way a device does, and says what they answered.
//!
//! 0 the servers say yes, 2 one says no, 3 none answers, 64 wrong usage, 1 a fault on this side. The orders to devices go through the
//! running server, and end the same way.

mod attributes;
mod orders;
mod rounds;
mod servers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Subcommand, ValueEnum};
use doorward_client::for_display;
use doorward_client::radius::{Answer, Client, Code, Error, Proof, Request, status_type};
use doorward_radius::attribute::kind;
use doorward_radius::dictionary::Dictionary;

use super::asking::report::{Outcome, Report, TlsReport};
use super::asking::{self, Problem, secret};
use super::client::prompt;
use super::logging;
use crate::config::{load_dictionaries, standard_dictionary};
use crate::secret::Octets;
use servers::ServerArgs;

/// Ask a RADIUS server as a device does, over TLS or DTLS (RadSec) or UDP; or have the running server tell a device something
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Ask,
}

#[derive(Debug, Subcommand)]
enum Ask {
    Access(Box<AccessArgs>),
    Accounting(Box<AccountingArgs>),
    Status(Box<StatusArgs>),
    /// Have the running server tell a device to end a session (Disconnect-Request, RFC 5176)
    Disconnect(Box<orders::OrderArgs>),
    /// Have the running server tell a device to change a session (CoA-Request, RFC 5176)
    Coa(Box<orders::OrderArgs>),
}

/// Log a user in
#[derive(Debug, clap::Args)]
#[command(mut_arg("raw_public_key", |arg| arg.hide(true)), mut_arg("server_pin", |arg| arg.hide(true)))]
struct AccessArgs {
    #[command(flatten)]
    servers: ServerArgs,
    #[command(flatten)]
    attributes: AttributeArgs,
    /// The user
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The password: file:PATH, env:NAME, cred:NAME, exec:PROGRAM or plain:TEXT; asked for without echo when absent
    #[arg(long, value_name = "REF")]
    password: Option<String>,
    /// The answer to an Access-Challenge, as --password; repeat it for each. Without --password the login begins with the name alone.
    /// Without this flag a question is asked at the terminal, where there is one
    #[arg(long = "reply", value_name = "REF")]
    replies: Vec<String>,
    /// How the user logs in. For chap and mschapv2 --password is the secret, which is not sent
    #[arg(long = "type", value_enum, default_value_t = Type::Pap)]
    kind: Type,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Have something recorded: the beginning and the end of a session, or of the device's reports
#[derive(Debug, clap::Args)]
#[command(mut_arg("raw_public_key", |arg| arg.hide(true)), mut_arg("server_pin", |arg| arg.hide(true)))]
struct AccountingArgs {
    #[command(flatten)]
    servers: ServerArgs,
    #[command(flatten)]
    attributes: AttributeArgs,
    #[command(flatten)]
    kind: KindArgs,
    /// The user
    #[arg(long, value_name = "NAME", required_unless_present_any = ["on", "off"])]
    user: Option<String>,
    /// What the records of one session have in common (Acct-Session-Id); a new random one when absent
    #[arg(long, value_name = "ID", required_unless_present_any = ["start", "on", "off"])]
    session_id: Option<String>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false, required = true)]
struct KindArgs {
    /// A session begins
    #[arg(long)]
    start: bool,
    /// A session ends
    #[arg(long)]
    stop: bool,
    /// A session goes on (Interim-Update)
    #[arg(long)]
    update: bool,
    /// The device begins to report (Accounting-On)
    #[arg(long)]
    on: bool,
    /// The device ends reporting (Accounting-Off)
    #[arg(long)]
    off: bool,
}

/// Ask whether a server is there, with a Status-Server (RFC 5997)
#[derive(Debug, clap::Args)]
#[command(mut_arg("raw_public_key", |arg| arg.hide(true)), mut_arg("server_pin", |arg| arg.hide(true)))]
struct StatusArgs {
    #[command(flatten)]
    servers: ServerArgs,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct AttributeArgs {
    /// One more attribute of the request, by the names of the RFCs and of vendors, or by number: Attr-26.9.1=0x00ff.
    /// Without NAS-Identifier or NAS-IP-Address the device is `doorward`
    #[arg(long = "attr", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// A dictionary in the format of FreeRADIUS: its names are known to --attr, and shown in the answer. Repeat it for more
    #[arg(long = "dictionary", value_name = "FILE")]
    dictionaries: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Type {
    /// The password goes along
    Pap,
    /// CHAP; the server has to know the secret itself
    Chap,
    /// MS-CHAP version 2; the server has to prove that it knows the secret too
    Mschapv2,
}

/// Runs `doorward radius`.
pub(super) fn run(args: Args) -> ExitCode {
    let _log = logging::start(Some(super::LogFormat::Text), asking::LOGGED);
    let done = match args.command {
        Ask::Access(args) => access(&args).map(|report| report.print(args.json)),
        Ask::Accounting(args) => accounting(&args).map(|report| report.print(args.json)),
        Ask::Status(args) => status(&args).map(|report| report.print(args.json)),
        Ask::Disconnect(args) => orders::give(&args, true).map(|report| report.print(args.json)),
        Ask::Coa(args) => orders::give(&args, false).map(|report| report.print(args.json)),
    };
    asking::finish(done, "doorward radius")
}

fn access(args: &AccessArgs) -> Result<Report, Problem> {
    args.servers.check()?;
    let dictionary = args.attributes.dictionary()?;
    let client = args.servers.client(false)?;
    let password = match &args.password {
        Some(reference) => secret::read("--password", reference)?,
        None if args.replies.is_empty() || args.kind != Type::Pap => prompt::hidden("Password: ")?,
        None => Octets::default(),
    };
    let mut rounds = rounds::Rounds::new(args, &dictionary)?;
    let proof = match args.kind {
        Type::Pap => Proof::Pap(&password),
        Type::Chap => Proof::Chap(&password),
        Type::Mschapv2 => Proof::MsChapV2(&password),
    };
    let request = Request::access(&args.user, proof).map_err(problem)?;
    let request = args.attributes.add_to(request, &dictionary)?;
    let user = args.user.escape_debug().to_string();
    let more = |answer: &Answer| rounds.next(answer);
    ask(client, Some(request), &dictionary, more, |answer| {
        let (outcome, sentence) = match answer.code() {
            _ if answer.is_accept() => (Outcome::Pass, format!("{user} is logged in")),
            // Neither yes nor no, and nobody is there who could answer.
            Code::ACCESS_CHALLENGE => (
                Outcome::Error,
                format!(
                    "the server asks {user} for more (Access-Challenge), which nobody answers: use --reply, or a terminal"
                ),
            ),
            _ => (Outcome::Fail, format!("{user} is not logged in")),
        };
        let why = answer.is_unproven().then(|| {
            "the server accepts, but does not prove that it knows the secret (MS-CHAP2-Success)"
                .to_owned()
        });
        (outcome, sentence, why)
    })
}

fn accounting(args: &AccountingArgs) -> Result<Report, Problem> {
    args.servers.check()?;
    let dictionary = args.attributes.dictionary()?;
    let client = args.servers.client(true)?;
    let session = match &args.session_id {
        Some(id) => id.clone(),
        None => doorward_client::task_id().map_err(|_| {
            Problem::Fault("the operating system gives no random numbers".to_owned())
        })?,
    };
    let mut request = Request::accounting(args.kind.status());
    request.push(None, &[kind::ACCT_SESSION_ID], session.as_bytes());
    if let Some(user) = &args.user {
        request.push(None, &[kind::USER_NAME], user.as_bytes());
    }
    let request = args.attributes.add_to(request, &dictionary)?;
    ask(client, Some(request), &dictionary, no_more, |_| {
        let session = session.escape_debug();
        (
            Outcome::Pass,
            format!("recorded with Acct-Session-Id {session}"),
            None,
        )
    })
}

fn status(args: &StatusArgs) -> Result<Report, Problem> {
    args.servers.check()?;
    let client = args.servers.client(false)?;
    ask(client, None, &standard_dictionary(), no_more, |_| {
        (Outcome::Pass, "the server is there".to_owned(), None)
    })
}

impl KindArgs {
    fn status(&self) -> u32 {
        match (self.start, self.stop, self.update, self.on) {
            (true, ..) => status_type::START,
            (_, true, ..) => status_type::STOP,
            (_, _, true, _) => status_type::INTERIM_UPDATE,
            (.., true) => status_type::ACCOUNTING_ON,
            _ => status_type::ACCOUNTING_OFF,
        }
    }
}

impl AttributeArgs {
    fn dictionary(&self) -> Result<Arc<Dictionary>, Problem> {
        load_dictionaries(&self.dictionaries).map_err(|failure| Problem::Fault(failure.to_string()))
    }

    fn add_to(&self, mut request: Request, dictionary: &Dictionary) -> Result<Request, Problem> {
        for text in &self.attributes {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                Problem::Usage(format!("--attr {}: write NAME=VALUE", text.escape_debug()))
            })?;
            attributes::add(
                &mut request,
                dictionary,
                name.trim_end(),
                value.trim_start(),
            )?;
        }
        attributes::name_device(&mut request);
        Ok(request)
    }
}

/// Nothing but a login goes on.
fn no_more(_: &Answer) -> Result<Option<Request>, Problem> {
    Ok(None)
}

/// Asks, again with what `more` makes of an answer, and says what came of it: `told` has the outcome of an answer, a sentence, and why if that is known.
fn ask(
    client: Client,
    request: Option<Request>,
    dictionary: &Dictionary,
    mut more: impl FnMut(&Answer) -> Result<Option<Request>, Problem>,
    told: impl FnOnce(&Answer) -> (Outcome, String, Option<String>),
) -> Result<Report, Problem> {
    let runtime = asking::runtime()?;
    let began = Instant::now();
    let result = runtime.block_on(async {
        let mut result = match request {
            Some(request) => client.ask(request).await,
            None => client.status().await,
        };
        while let Ok(answer) = &result {
            match more(answer) {
                Ok(Some(request)) => result = client.ask_on(answer, request).await,
                Ok(None) => break,
                Err(problem) => return Err(problem),
            }
        }
        client.close().await;
        Ok(result)
    })?;
    match result {
        Ok(answer) => {
            let (outcome, sentence, why) = told(&answer);
            Ok(report(&answer, dictionary, outcome, sentence, why))
        }
        Err(error @ (Error::Unavailable(_) | Error::AskerGone(_))) => {
            Ok(unavailable(&error, began.elapsed()))
        }
        Err(error) => Err(problem(error)),
    }
}

fn report(
    answer: &Answer,
    dictionary: &Dictionary,
    outcome: Outcome,
    sentence: String,
    why: Option<String>,
) -> Report {
    let mut report = Report::new(outcome, answer.facts.elapsed, sentence);
    let name = answer.code().name();
    report.status = name.map(str::to_owned);
    report.server_msg = Some(for_display(&answer.reply_message()));
    let shown = answer.attributes().iter();
    let shown = shown.flat_map(|one| dictionary.describe(&one));
    let shown = shown
        .filter(|one| one.name != "Reply-Message" && one.name != "Message-Authenticator")
        .map(|one| (one.name, one.value.unwrap_or_else(|| "(hidden)".to_owned())));
    let shown: Vec<(String, String)> = shown.collect();
    report.effective = shown
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    report.attributes = Some(shown);
    report.server = Some(answer.facts.server.clone());
    report.tls = answer.facts.tls.as_ref().map(TlsReport::new);
    report.why = why;
    report
}

fn unavailable(error: &Error, elapsed: Duration) -> Report {
    let mut report = Report::new(Outcome::Error, elapsed, error.to_string());
    report.why = Some(error.to_string());
    report
}

/// What was never asked.
fn problem(error: Error) -> Problem {
    match error {
        Error::Random => Problem::Fault(error.to_string()),
        Error::NoServer
        | Error::Mixed
        | Error::Request(_)
        | Error::Challenge(_)
        | Error::Unavailable(_)
        | Error::AskerGone(_)
        | _ => Problem::Usage(error.to_string()),
    }
}
