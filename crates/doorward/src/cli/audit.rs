//! `doorward audit search|tail`: why was it denied? The decisions that `[audit]` keeps, with the server or without it.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use super::records::{self, Filter};
use crate::aaa::{Outcome, Reason};
use crate::accounting::Wanted;

/// Search and follow the decisions that were made, each with its reason and the line that made it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the decisions that match, oldest first
    Search {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        only: Only,
    },
    /// Print the last decisions that match, then new ones as they come
    Tail {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        only: Only,
        /// How many of the last decisions come first
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        lines: usize,
    },
}

/// Conditions that only decisions have.
#[derive(Debug, clap::Args)]
struct Only {
    /// Only decisions of this outcome: logins pass or fail, authorizations permit or deny, and either may be an error
    #[arg(long, value_parser = PossibleValuesParser::new(outcomes()))]
    outcome: Option<String>,
    /// Only decisions for this reason
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(reasons()))]
    reason: Option<String>,
}

impl Only {
    fn wanted(self) -> Wanted {
        Wanted::Decisions {
            outcome: self.outcome,
            reason: self.reason,
        }
    }
}

/// Runs `audit`.
pub(super) fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Search { filter, only } => records::search(&filter, only.wanted()),
        Command::Tail {
            filter,
            only,
            lines,
        } => records::tail(&filter, only.wanted(), lines),
    }
}

fn outcomes() -> impl Iterator<Item = &'static str> {
    let decided = |outcome: &Outcome| *outcome != Outcome::Recorded;
    Outcome::ALL.into_iter().filter(decided).map(Outcome::name)
}

fn reasons() -> impl Iterator<Item = &'static str> {
    Reason::ALL.iter().copied().map(Reason::name)
}
