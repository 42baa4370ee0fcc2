//! `doorward reload` and `doorward status`: questions to the running server.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{ConfigArg, FAULT, complain, counted, say};
use crate::config;
use crate::control::{AskError, Request, Response, ask};
use crate::runtime::{DeviceStatus, SinkStatus, Status, UpstreamStatus};

/// Have the running server read its configuration again
#[derive(Debug, clap::Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Tell the state of the running server
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Every device: when it was last here, how, and what keeps it from TLS
    #[arg(long)]
    devices: bool,
    /// Exit with 1 unless a login would be served now
    #[arg(long)]
    ready: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Exit code 0 when the new configuration is in force.
pub(super) fn reload(args: ReloadArgs) -> ExitCode {
    match question(&args.config, &Request::Reload) {
        Ok(Response::Reloaded(done)) => {
            for note in &done.notes {
                complain(note);
            }
            if let Some(text) = known(done.known) {
                complain(&text);
            }
            say(&format!(
                "reloaded: generation {} is in force, {} in-file tests pass",
                done.generation, done.tests
            ));
            ExitCode::SUCCESS
        }
        Ok(Response::Refused { error }) => {
            complain(&format!(
                "error: the new configuration was refused; the old one serves on\n{error}"
            ));
            ExitCode::from(FAULT)
        }
        Ok(Response::Status(_) | Response::Ordered(_) | Response::Invalid { .. }) => unexpected(),
        Err(text) => {
            complain(&text);
            ExitCode::from(FAULT)
        }
    }
}

/// Exit code 0 when the server answered (and, with `--ready`, would serve a login).
pub(super) fn status(args: StatusArgs) -> ExitCode {
    let status = match question(
        &args.config,
        &Request::Status {
            devices: args.devices,
        },
    ) {
        Ok(Response::Status(status)) => status,
        Ok(
            Response::Reloaded(_)
            | Response::Refused { .. }
            | Response::Ordered(_)
            | Response::Invalid { .. },
        ) => {
            return unexpected();
        }
        Err(text) => {
            complain(&text);
            return ExitCode::from(FAULT);
        }
    };
    if args.json {
        match serde_json::to_string(&status) {
            Ok(text) => say(&text),
            Err(error) => complain(&error),
        }
    } else {
        say(&describe(&status));
    }
    if args.ready && !status.ready {
        ExitCode::from(FAULT)
    } else {
        ExitCode::SUCCESS
    }
}

/// What a nightly operator has seen before is only counted.
fn known(warnings: usize) -> Option<String> {
    let text = match warnings {
        0 => return None,
        1 => "1 warning is as before".to_owned(),
        count => format!("{count} warnings are as before"),
    };
    Some(format!("{text}; `doorward check FILE` shows all"))
}

fn unexpected() -> ExitCode {
    complain(
        &"error: the server answered something else than was asked\n  help: are the running server and this program of the same version?",
    );
    ExitCode::from(FAULT)
}

/// The control socket's path is in the configuration. A file that no longer loads must not keep an operator from asking.
pub(super) fn question(config: &ConfigArg, request: &Request) -> Result<Response, String> {
    let server = config::load_server(&config.config).map_err(|failure| failure.to_string())?;
    ask(&server.control, request).map_err(|error: AskError| error.to_string())
}

fn describe(status: &Status) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| _ = writeln!(text, "{label:<14} {value}");
    describe_server(status, &mut line);
    describe_traffic(status, &mut line);
    for device in status.devices.iter().flatten() {
        line("device", describe_device(device));
    }
    text.truncate(text.trim_end().len());
    text
}

fn describe_server(status: &Status, line: &mut impl FnMut(&str, String)) {
    let ready = match &status.not_ready_because {
        None => "yes".to_owned(),
        Some(why) => format!("NO: {why}"),
    };
    line("ready", ready);
    line(
        "version",
        format!("{}, running since {}", status.version, status.since),
    );
    let configuration = &status.configuration;
    line(
        "configuration",
        format!(
            "{}, generation {}, loaded {}",
            configuration.file.display(),
            configuration.generation,
            configuration.loaded
        ),
    );
    if let Some(error) = &configuration.last_error {
        line(
            "last reload",
            format!("REFUSED, the configuration above serves on\n{error}"),
        );
    }
}

fn describe_traffic(status: &Status, line: &mut impl FnMut(&str, String)) {
    for listener in &status.listeners {
        let until = listener
            .until
            .as_ref()
            .map_or(String::new(), |until| format!(", closes after {until}"));
        line(
            "listener",
            format!(
                "{} {}, {} connections, {} handshakes under way{until}",
                listener.protocol, listener.address, listener.connections, listener.handshakes
            ),
        );
    }
    if let Some(address) = &status.metrics {
        line("metrics", format!("http://{address}/metrics"));
    }
    let journal = &status.journal;
    line(
        "journal",
        format!(
            "{} in {}, {} pending, last commit {:.1} ms{}",
            counted(journal.records, "record"),
            counted(journal.commits, "commit"),
            journal.pending,
            journal.commit_ms,
            if journal.failing {
                ", FAILING: records are answered with ERROR"
            } else {
                ""
            }
        ),
    );
    if journal.decisions > 0 || journal.decisions_lost > 0 {
        let lost = match journal.decisions_lost {
            0 => String::new(),
            lost => format!(", {lost} LOST: the journal did not take them"),
        };
        line(
            "audit",
            format!("{} kept{lost}", counted(journal.decisions, "decision")),
        );
    }
    if !status.passwords.changed.is_empty() {
        line(
            "passwords",
            format!(
                "changed through a device, not those of the file: {}",
                status.passwords.changed.join(", ")
            ),
        );
    }
    for sink in &status.sinks {
        line("sink", describe_sink(sink));
    }
    describe_pools(status, line);
    for (name, count) in &status.answered {
        line("answered", format!("{count:>8} {name}"));
    }
    for (name, count) in &status.refused {
        line("refused", format!("{count:>8} {name}"));
    }
}

fn describe_sink(sink: &SinkStatus) -> String {
    let state = match &sink.error {
        None => "up".to_owned(),
        Some(error) => format!("DOWN: {error}; its records wait in the journal"),
    };
    let waits = match sink.depth {
        0 => "nothing waits".to_owned(),
        depth => format!("{depth} wait, the oldest for {:.1} s", sink.lag_seconds),
    };
    format!(
        "{}, {} delivered, {waits}, {state}",
        sink.name, sink.delivered
    )
}

fn describe_pools(status: &Status, line: &mut impl FnMut(&str, String)) {
    for pool in &status.pools {
        line(
            "pool",
            format!(
                "{}, {} of {} requests under way",
                pool.name, pool.underway, pool.limit
            ),
        );
        for server in &pool.servers {
            line("upstream", describe_upstream(server));
        }
    }
}

fn describe_upstream(server: &UpstreamStatus) -> String {
    let realm = server.realm.as_ref();
    let realm = realm.map_or_else(String::new, |realm| format!(" of {}", realm.escape_debug()));
    format!(
        "{}{realm} for {}: {}, {}, {} without an answer",
        server.server,
        server.purpose,
        server.state,
        counted(server.connections, "connection"),
        counted(server.outstanding, "request"),
    )
}

fn describe_device(device: &DeviceStatus) -> String {
    let seen = |when: &Option<String>| when.clone().unwrap_or_else(|| "never".to_owned());
    let blocker = if device.blocker.is_empty() {
        "ready for transport = \"tls\""
    } else {
        &device.blocker
    };
    let expires = device
        .certificate_expires
        .as_ref()
        .map_or(String::new(), |when| format!(", certificate ends {when}"));
    format!(
        "{}: TLS {}, plain {}{expires}; {blocker}",
        device.name,
        seen(&device.seen.tls),
        seen(&device.seen.plain)
    )
}
