//! `doorward run`: serves.

use std::process::ExitCode;
use std::sync::Arc;

use super::{ConfigArg, FAULT, LogFormat, logging};
use crate::runtime::{self, Next, Server};

/// Serve until SIGTERM; SIGHUP reloads
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Form of the log on stderr; text on a terminal, JSON otherwise
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

/// Serves; the exit code is 0 after a stop that was asked for.
pub(super) fn run(args: Args) -> ExitCode {
    // Before the log, which has a thread: privileges and sandbox are given to threads.
    let prepared = match runtime::Prepared::new(&args.config.config) {
        Ok(prepared) => prepared,
        Err(error) => {
            super::complain(&error);
            return ExitCode::from(FAULT);
        }
    };
    let _log = logging::start(args.log_format, "info");
    let ready = async |server: &Arc<Server>| {
        runtime::print_ready(&server.ready())?;
        Ok(Next::Serve)
    };
    match runtime::run(prepared, ready) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            super::complain(&error);
            ExitCode::from(FAULT)
        }
    }
}
