//! `doorward check FILE`: reads the configuration as a server would, and runs its tests. Starts nothing.

mod peers;

use std::path::PathBuf;
use std::process::ExitCode;

use super::{FAULT, complain, say, test};
use crate::config::{self, Accepted, Config, Loaded, lint};
use crate::identity::{ChangedPassword, PasswordStore};
use crate::runtime;

/// Checks a configuration file and runs the tests in it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    file: PathBuf,
    /// Every warning, and what the file accepts with its reasons
    #[arg(long, short)]
    verbose: bool,
    /// Every listener and device: with TLS, without, or both
    #[arg(long)]
    devices: bool,
    /// Exit with 1 on a warning that the file does not accept
    #[arg(long)]
    strict: bool,
}

/// 0 = a server would take it, 1 = it would not (or, with `--strict`, there are warnings).
pub(super) fn run(args: Args) -> ExitCode {
    let loaded = match config::load(&args.file) {
        Ok(loaded) => loaded,
        Err(failure) => {
            for text in lint::digest(&failure.diagnostics) {
                complain(&text);
                complain(&"");
            }
            complain(&refusal(failure.errors(), failure.diagnostics.len()));
            return ExitCode::from(FAULT);
        }
    };
    let warnings = if args.verbose {
        loaded.diagnostics.iter().map(ToString::to_string).collect()
    } else {
        lint::digest(&loaded.diagnostics)
    };
    for warning in &warnings {
        complain(warning);
        complain(&"");
    }
    let process = process(&loaded.config);
    if let Some(warning) = &process {
        complain(warning);
    }
    let results = config::tests::run(&loaded.config, jiff::Timestamp::now());
    let failed = test::complain_of(&results);
    if args.devices {
        say(&peers::describe(&loaded.config));
    }
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
    for text in accepted(&loaded, args.verbose) {
        say(&text);
    }
    for text in changed_passwords(&loaded.config) {
        say(&text);
    }
    let strict = args.strict && !loaded.diagnostics.is_empty();
    if strict {
        complain(
            &"refused because of its warnings (--strict): mend them, or accept them with [[allow]] and a reason",
        );
    }
    if failed == 0 && !strict {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAULT)
    }
}

/// The users whose password is not the one of the file, as far as this user may know.
fn changed_passwords(config: &Config) -> Vec<String> {
    let store = match PasswordStore::open(&config.server.storage) {
        Ok(store) => store,
        Err(error) => {
            return vec![format!(
                "note: whether users changed their passwords through a device is not known: {error}"
            )];
        }
    };
    let changed = store.in_force(&config.users);
    let tell = |one: &ChangedPassword| {
        format!(
            "note: `password` of [user.{}] is not in force: the user changed it through a device at {}; a new value in the file wins",
            config::source::escape(&one.user),
            one.at
        )
    };
    changed.iter().map(tell).collect()
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

/// What the file accepts: how much, or each finding with its reason.
fn accepted(loaded: &Loaded, verbose: bool) -> Vec<String> {
    let number = loaded.config.findings.accepted();
    if number == 0 {
        return Vec::new();
    }
    let mut texts = vec![format!(
        "{} accepted by [[allow]]{}",
        count(number, "finding"),
        if verbose { ":" } else { "; -v lists them" }
    )];
    if verbose {
        texts.extend(loaded.accepted.iter().map(describe));
    }
    texts
}

fn describe(accepted: &Accepted) -> String {
    let found = &accepted.diagnostic;
    let lint = found.lint.map_or("", |lint| lint.name());
    let place = found.location.as_ref();
    let until = accepted.until;
    format!(
        "  {lint}: {}\n    where: {}\n    why: {} ({}{})",
        found.message,
        place.map_or_else(|| "the whole file".to_owned(), ToString::to_string),
        accepted.reason,
        accepted.location,
        until.map_or_else(String::new, |day| format!(", until {day}"))
    )
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
