//! `doorward check FILE`: reads the configuration as a server would, and runs its tests. Starts nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{FAULT, complain, say, test};
use crate::config::{self, Config};
use crate::runtime;

/// Checks a configuration file and runs the tests in it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    file: PathBuf,
}

/// 0 = a server would take it, 1 = it would not.
pub(super) fn run(args: Args) -> ExitCode {
    let loaded = match config::load(&args.file) {
        Ok(loaded) => loaded,
        Err(failure) => {
            complain(&failure);
            complain(&refusal(failure.errors(), failure.diagnostics.len()));
            return ExitCode::from(FAULT);
        }
    };
    for warning in &loaded.diagnostics {
        complain(warning);
    }
    let process = process(&loaded.config);
    if let Some(warning) = &process {
        complain(warning);
    }
    let results = config::tests::run(&loaded.config, jiff::Timestamp::now());
    let failed = test::complain_of(&results);
    say(&summary(&loaded.config));
    say(&format!(
        "{}, {}: {} passed, {} failed",
        count(
            loaded.diagnostics.len() + usize::from(process.is_some()),
            "warning"
        ),
        count(results.len(), "test"),
        results.len() - failed,
        failed
    ));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAULT)
    }
}

/// What there is to say of the user that the server would run as, if it were started here like this command.
fn process(config: &Config) -> Option<String> {
    let server = &config.server;
    match &server.user {
        Some(user) => runtime::check_account(user, server.group.as_deref())
            .err()
            .map(|error| {
                format!(
                    "warning: the server could not become the user `{user}` of [server] on this machine: {error}\n  help: make that \
                     user, or name another"
                )
            }),
        None if rustix::process::geteuid().is_root() => Some(
            "warning: started as root like this command, the server would stay root\n  help: set `user = \"doorward\"` in [server]; \
             under systemd, `User=` of the unit is enough"
                .to_owned(),
        ),
        None => None,
    }
}

fn refusal(errors: usize, all: usize) -> String {
    format!(
        "\nthe configuration is refused: {}, {}",
        count(errors, "error"),
        count(all - errors, "warning")
    )
}

fn summary(config: &Config) -> String {
    [
        count(config.listeners.len(), "listener"),
        count(config.devices.len(), "device"),
        count(config.users.len(), "user"),
        count(config.policy.rules.len(), "rule"),
    ]
    .join(", ")
}

/// "1 rule", "2 rules".
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
