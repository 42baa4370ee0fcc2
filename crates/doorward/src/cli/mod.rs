//! The command line: one file per command.
//!
//! Exit codes are part of the contract: 0 done (or pass, permit), 1 a local fault, 2 the answer is no, 3 no answer, 64 wrong usage.

mod acct;
mod asking;
mod audit;
mod check;
mod client;
mod completions;
mod control;
mod demo;
mod device;
mod diff;
mod explain;
mod hash_password;
mod hastls;
mod logging;
mod man;
mod radius;
mod records;
mod run;
mod schema;
mod terminal;
mod test;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use logging::LogFormat;

/// Wrong usage (`EX_USAGE` of sysexits.h). clap's own 2 would read as "denied".
pub const USAGE: u8 = 64;
/// A fault on this side: file, configuration, socket.
pub const FAULT: u8 = 1;
/// The answer is no.
pub const DENIED: u8 = 2;
/// No answer.
pub const UNAVAILABLE: u8 = 3;

/// AAA server for network devices: TACACS+ over TLS 1.3 (RFC 9887), TACACS+ (RFC 8907) and RadSec (RADIUS over TLS).
#[derive(Debug, Parser)]
#[command(
    name = "doorward",
    version,
    arg_required_else_help = true,
    subcommand_required = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Check(check::Args),
    Test(test::Args),
    Explain(explain::Args),
    Diff(diff::Args),
    Client(client::Args),
    Radius(radius::Args),
    Device(device::Args),
    Reload(control::ReloadArgs),
    Status(control::StatusArgs),
    Acct(acct::Args),
    Audit(audit::Args),
    Hastls(hastls::Args),
    HashPassword(hash_password::Args),
    Completions(completions::Args),
    Man(man::Args),
    Schema(schema::Args),
}

/// `--config`, for the commands that serve, and for those that ask a server, its file or its records.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArg {
    /// The configuration file of the server
    #[arg(
        long,
        value_name = "FILE",
        env = "DOORWARD_CONFIG",
        default_value = "/etc/doorward/doorward.toml"
    )]
    pub config: PathBuf,
}

/// Runs the command line given by `arguments` (the program's name first).
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            _ = error.print();
            return ExitCode::from(code);
        }
    };
    // Nearly every command reads secrets or asks for a password.
    crate::runtime::forbid_core_dumps();
    match arguments.command {
        Command::Demo(args) => demo::run(args),
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(args),
        Command::Test(args) => test::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Client(args) => client::run(args),
        Command::Radius(args) => radius::run(args),
        Command::Device(args) => device::run(args),
        Command::Reload(args) => control::reload(args),
        Command::Status(args) => control::status(args),
        Command::Acct(args) => acct::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Hastls(args) => hastls::run(args),
        Command::HashPassword(args) => hash_password::run(args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Schema(args) => schema::run(&args),
    }
}

/// The whole command line, for what is made from it.
fn definition() -> clap::Command {
    use clap::CommandFactory as _;
    Arguments::command()
}

/// One line or text for programs and people on stdout. A reader that went away is no fault.
#[cfg(not(test))]
fn say(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    _ = writeln!(out, "{text}");
}

/// A message for people on stderr, in one piece: other programs may write there as well.
#[cfg(not(test))]
fn complain(message: &dyn std::fmt::Display) {
    use std::io::Write;
    let line = format!("{message}\n");
    _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// The same where the test harness catches it, so that it does not break up the lines of the harness.
#[cfg(test)]
fn say(text: &str) {
    println!("{text}");
}

/// Likewise.
#[cfg(test)]
fn complain(message: &dyn std::fmt::Display) {
    eprintln!("{message}");
}

/// "1 record", "2 records".
fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
