//! `doorward hastls`: what the DNS says about the ports of a host (draft-hoffman-server-has-tls-01), and what follows from it; and what it should
//! say about ours.
//!
//! 0 there is a record that counts, or a way to connect, or the zone says what listens; 2 there is none, or it does not; 64 wrong usage, 1 a fault on
//! this side. A record that does not count changes nothing: `decide` then says what the policy alone allows.

mod check;
mod publish;

use std::num::NonZeroU16;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Subcommand, ValueEnum};
use doorward_client::dns::{Bogus, Hastls, Lookup, Name, Resolver, Settings};
use doorward_hastls::{
    Answer, Attempt, Basis, Plan, Policy, PortPair, RecordType, Security, Service, Unusable, decide,
};
use serde::Serialize;

use super::asking::{self, Problem, ResolverArgs, record_type};
use super::{ConfigArg, DENIED, FAULT, complain, say};
use crate::config::{self, Config};

/// Which ports of a host speak TLS: ask the DNS, publish our own, check what is published
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Lookup(LookupArgs),
    Decide(DecideArgs),
    Publish(publish::Args),
    Check(check::Args),
}

/// Look up the HASTLS record of a host and prove it with DNSSEC
#[derive(Debug, clap::Args)]
struct LookupArgs {
    #[command(flatten)]
    asked: Asked,
}

/// Say what a client may do: where to connect, in the order to try, or why not
#[derive(Debug, clap::Args)]
struct DecideArgs {
    #[command(flatten)]
    asked: Asked,
    /// What the client speaks, on ports 49 and 300 or 1812 and 2083
    #[arg(long, value_enum)]
    service: ServiceArg,
    /// What it is configured to do: insecure-only, secure-only or allow-fallback (which for TACACS+ is secure-only)
    #[arg(long, value_name = "POLICY")]
    policy: Policy,
    /// Its port without TLS
    #[arg(long, value_name = "N")]
    insecure_port: Option<NonZeroU16>,
    /// Its port with TLS
    #[arg(long, value_name = "N")]
    secure_port: Option<NonZeroU16>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ServiceArg {
    Tacacs,
    Radius,
}

/// Which host, and who knows.
#[derive(Debug, clap::Args)]
struct Asked {
    /// The host, by its whole name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    resolver: ResolverArgs,
    /// The number of the record type, which was never assigned
    #[arg(long = "type", value_name = "N", default_value_t = RecordType::DEFAULT.number())]
    number: u16,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Asks and says.
pub(super) fn run(args: Args) -> ExitCode {
    let done = match args.command {
        Command::Lookup(args) => args.asked.ask().map(|found| lookup(&args.asked, &found)),
        Command::Decide(args) => args.asked.ask().map(|found| args.decide(&found)),
        Command::Publish(args) => publish::run(&args),
        Command::Check(args) => check::run(&args),
    };
    asking::finish(done, "doorward hastls")
}

impl Asked {
    fn ask(&self) -> Result<Hastls, Problem> {
        let name = name(&self.name, "NAME")?;
        let number = record_type("--type", self.number)?;
        let resolver = Resolver::new(self.resolver.settings(Settings::default())?);
        Ok(asking::runtime()?.block_on(resolver.hastls(&name, number)))
    }
}

fn name(text: &str, what: &str) -> Result<Name, Problem> {
    let name = text.parse();
    name.map_err(|error| Problem::usage(format_args!("{what}: {error}")))
}

/// A configuration that a server would take.
fn load(config: &ConfigArg) -> Result<Arc<Config>, Problem> {
    match config::load(&config.config) {
        Ok(loaded) => Ok(loaded.config),
        Err(failure) => Err(Problem::Fault(failure.to_string())),
    }
}

/// `hastls lookup --json`.
#[derive(Serialize)]
struct Looked<'a> {
    name: &'a str,
    validation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    pairs: Vec<Pair>,
    /// One word, finer than `validation`.
    reason: &'a str,
    why: String,
}

#[derive(Serialize)]
struct Pair {
    insecure: u16,
    secure: u16,
}

impl From<&PortPair> for Pair {
    fn from(pair: &PortPair) -> Self {
        Self {
            insecure: pair.insecure().map_or(0, NonZeroU16::get),
            secure: pair.secure().map_or(0, NonZeroU16::get),
        }
    }
}

fn lookup(asked: &Asked, found: &Hastls) -> ExitCode {
    let ttl = found.lookup.ttl().map(|ttl| ttl.as_secs());
    let (validation, reason, pairs) = match &found.answer {
        Answer::Secure(record) => ("secure", "secure", record.pairs()),
        Answer::Unusable(why) => (validation(*why), why.name(), [].as_slice()),
    };
    let why = why(found);
    if asked.json {
        let code = print(&Looked {
            name: &asked.name,
            validation,
            ttl,
            pairs: pairs.iter().map(Pair::from).collect(),
            reason,
            why,
        });
        return code.unwrap_or_else(|| ending(!pairs.is_empty()));
    }
    match &found.answer {
        Answer::Secure(record) => {
            let ttl = ttl.unwrap_or_default();
            say(&format!("{} {ttl} IN HASTLS {}", asked.name, &**record));
        }
        Answer::Unusable(_) => complain(&format_args!("{}: {why}", asked.name)),
    }
    ending(!pairs.is_empty())
}

/// The words of RFC 4033, in which signatures out of their time are bogus.
fn validation(why: Unusable) -> &'static str {
    match why {
        Unusable::Expired => Unusable::Bogus.name(),
        Unusable::NotAsked
        | Unusable::Absent
        | Unusable::Insecure
        | Unusable::Bogus
        | Unusable::Indeterminate
        | Unusable::Malformed(_)
        | Unusable::Silent
        | Unusable::Contradicting
        | Unusable::Upgrade => why.name(),
    }
}

/// Why the record does not count, with the exact fault; empty if it does.
fn why(found: &Hastls) -> String {
    let Answer::Unusable(why) = &found.answer else {
        return String::new();
    };
    match &found.lookup {
        Lookup::Bogus(bogus @ Bogus { .. }) => format!("{why}: {bogus}"),
        Lookup::Unreachable(error) => format!("{why}: {error}"),
        Lookup::Found(_) | Lookup::Absent(_) => why.to_string(),
    }
}

/// `hastls decide --json`.
#[derive(Serialize)]
struct Decided {
    connect: Vec<To>,
    why: String,
}

#[derive(Serialize)]
struct To {
    transport: &'static str,
    port: NonZeroU16,
}

impl From<Attempt> for To {
    fn from(attempt: Attempt) -> Self {
        Self {
            transport: match attempt.security {
                Security::Plain => "plain",
                // TACACS+ and RADIUS have no upgrade in band.
                Security::Tls | Security::Upgrade => "tls",
            },
            port: attempt.port,
        }
    }
}

impl DecideArgs {
    fn decide(&self, found: &Hastls) -> ExitCode {
        let mut service = match self.service {
            ServiceArg::Tacacs => Service::TACACS,
            ServiceArg::Radius => Service::RADIUS,
        };
        service.insecure = self.insecure_port.unwrap_or(service.insecure);
        service.secure = self.secure_port.unwrap_or(service.secure);
        let (attempts, why): (Vec<Attempt>, String) =
            match decide(&found.answer, self.policy, &service) {
                Plan::Connect(route) => {
                    let why = match route.basis() {
                        Basis::Record(server) => format!("the record says: {server}"),
                        Basis::Configured(unusable) => {
                            let exact = why(found);
                            let why = if exact.is_empty() {
                                unusable.to_string()
                            } else {
                                exact
                            };
                            format!("the policy alone: {why}")
                        }
                    };
                    (route.attempts().collect(), why)
                }
                Plan::Refuse(refusal) => (Vec::new(), refusal.to_string()),
            };
        if self.asked.json {
            let connect = attempts.iter().copied().map(To::from).collect();
            let code = print(&Decided { connect, why });
            return code.unwrap_or_else(|| ending(!attempts.is_empty()));
        }
        let ways: Vec<String> = attempts.iter().map(Attempt::to_string).collect();
        if ways.is_empty() {
            complain(&format_args!("do not connect: {why}"));
        } else {
            say(&format!("{} ({why})", ways.join(", then ")));
        }
        ending(!ways.is_empty())
    }
}

fn ending(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DENIED)
    }
}

/// Prints an object; the exit code if it cannot be.
fn print(object: &impl Serialize) -> Option<ExitCode> {
    match serde_json::to_string(object) {
        Ok(text) => {
            say(&text);
            None
        }
        Err(error) => {
            complain(&format_args!(
                "error: the answer cannot be written: {error}"
            ));
            Some(ExitCode::from(FAULT))
        }
    }
}
