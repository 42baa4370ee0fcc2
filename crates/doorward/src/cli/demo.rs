//! `doorward demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{FAULT, complain, logging, say};
use crate::demo;

/// Try Doorward: make a CA, users and rules, serve them on loopback, and test everything with the real client
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where everything is made; used again if it is there
    #[arg(long, value_name = "DIR", default_value = "./doorward-demo")]
    dir: PathBuf,
    /// Stop after the self-test
    #[arg(long)]
    once: bool,
}

/// Exit code 0 only if every line of the self-test passed.
pub(super) fn run(args: Args) -> ExitCode {
    // The self-test provokes denials and says so in its own lines; the log comes after it.
    let log = logging::start(None, "off");
    match demo::run(&args.dir, args.once, say, || log.level("info")) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAULT),
        Err(error) => {
            complain(&error);
            ExitCode::from(FAULT)
        }
    }
}
