//! `doorward acct search|tail`: reads the accounting records of the journal, with the server or without it.

use std::process::ExitCode;

use super::records::{self, Filter};
use crate::accounting::{Kind, Wanted};

/// Search and follow what was recorded
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the records that match, oldest first
    Search {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        only: Only,
        /// Only tasks that have begun and not ended: each with its first record, since when, and when it was last heard of
        #[arg(long, conflicts_with = "kind")]
        open: bool,
    },
    /// Print the last records that match, then new ones as they come
    Tail {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        only: Only,
        /// How many of the last records come first
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        lines: usize,
    },
}

/// Conditions that only accounting records have.
#[derive(Debug, clap::Args)]
struct Only {
    /// Only records of this kind
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
}

impl Only {
    fn wanted(&self) -> Wanted {
        Wanted::Accounting { kind: self.kind }
    }
}

/// Runs `acct`.
pub(super) fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Search {
            filter, open: true, ..
        } => records::open_tasks(&filter),
        Command::Search { filter, only, .. } => records::search(&filter, only.wanted()),
        Command::Tail {
            filter,
            only,
            lines,
        } => records::tail(&filter, only.wanted(), lines),
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| format!("one of {}", Kind::ALL.map(Kind::name).join(", ")))
}
