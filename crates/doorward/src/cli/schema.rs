//! `doorward schema`: the configuration file as a JSON Schema.

use std::process::ExitCode;

use super::{FAULT, complain, say};
use crate::config::{Part, schema};

/// Print the JSON Schema of the configuration file, for editors
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Of a file that `include` names, which need not say the version
    #[arg(long)]
    included: bool,
}

/// Prints it.
pub(super) fn run(args: &Args) -> ExitCode {
    let part = if args.included {
        Part::Included
    } else {
        Part::Main
    };
    match serde_json::to_string_pretty(&schema(part)) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("error: the schema cannot be written: {error}"));
            ExitCode::from(FAULT)
        }
    }
}
