//! Tests of the sinks, each with a journal of its own and receivers that do as the test says.

mod file;
mod fit;
mod receiver;
mod stream;
mod text;
mod ticks;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;

use super::worker::Pace;
use super::*;
use crate::accounting::{
    DecidingRule, DecisionFields, DecisionKind, Fields, Journal, JournalOptions, Kind, Protocol,
    Query, Reader, Record,
};
use crate::config::source::Location;
use crate::config::{Facility, HostPort, SinkKind, Syslog, SyslogTarget};
use crate::policy::Transport;

/// How long anything that should happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing is waited for longer than a test needs.
const QUICK: Pace = Pace {
    batch: 10,
    records: 25,
    span: Duration::from_millis(200),
    idle: Duration::from_millis(20),
    gather: Duration::from_millis(1),
    floor: Duration::from_millis(5),
    ceiling: Duration::from_millis(40),
    last: Duration::from_secs(3),
};

struct Place {
    folder: TempDir,
    journal: Journal,
}

impl Place {
    fn new() -> Self {
        Self::with(JournalOptions::default())
    }

    fn with(options: JournalOptions) -> Self {
        let folder = TempDir::new().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db"), options).unwrap();
        Self { folder, journal }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sinks(&self) -> Sinks {
        Sinks::with_pace(self.journal.cursors(), QUICK)
    }

    /// Puts records with these numbers as `task_id` into the journal.
    async fn record(&self, tasks: std::ops::Range<usize>) {
        self.journal
            .submit(tasks.map(record).collect())
            .await
            .unwrap();
    }

    /// Every record of the journal, as `acct search --json` shows it.
    fn lines(&self) -> Vec<String> {
        let reader = Reader::open(&self.path("journal.db")).unwrap();
        let search = reader.search(Query::default()).unwrap();
        search
            .map(|stored| {
                let mut line = Vec::new();
                let entry = stored.unwrap().entry;
                crate::accounting::write_json(&mut line, &entry.view().unwrap());
                String::from_utf8(line).unwrap().trim_end().to_owned()
            })
            .collect()
    }
}

fn fields() -> Fields<'static> {
    Fields {
        received: "2026-11-20T10:00:00.25Z".parse().unwrap(),
        kind: Kind::Stop,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        listener: "tacacs-tls [::]:300",
        device: "core1",
        session: 0xdead_beef,
        privilege_level: 15,
        authentication_method: 6,
        authentication_type: 1,
        authentication_service: 1,
        user: b"alice",
        port: b"tty1",
        remote: b"192.0.2.7",
        service: b"shell",
        command: b"show version",
    }
}

fn decision() -> DecisionFields<'static> {
    DecisionFields {
        received: "2026-11-20T10:00:00.25Z".parse().unwrap(),
        kind: DecisionKind::Authorization,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        privilege_level: 15,
        listener: "tacacs-tls [::]:300",
        device: "core1",
        user: b"alice",
        port: b"tty1",
        remote: b"192.0.2.7",
        service: b"shell",
        command: b"reload",
        request: b"",
        outcome: "deny",
        reason: "command-denied",
        why: "a rule denies it",
        rule: Some(DecidingRule {
            file: "doorward.toml",
            line: 7,
            text: "deny reload",
        }),
    }
}

fn record(task: impl std::fmt::Display) -> Record {
    let argument = format!("task_id={task}");
    Record::new(&fields(), [argument.as_bytes()])
}

fn jsonl(name: &str, path: &Path) -> Sink {
    sink(
        name,
        SinkKind::Jsonl {
            path: path.to_owned(),
        },
    )
}

fn syslog(name: &str, target: SyslogTarget) -> Sink {
    let syslog = Syslog {
        target,
        facility: Facility::default(),
        max_message: 8192,
        host_name: "aaa1".into(),
    };
    sink(name, SinkKind::Syslog(Box::new(syslog)))
}

fn sink(name: &str, kind: SinkKind) -> Sink {
    Sink {
        name: name.into(),
        decisions: false,
        kind,
        location: Location {
            file: Arc::from(Path::new("doorward.toml")),
            line: 1,
            column: 1,
        },
    }
}

fn here(port: u16) -> HostPort {
    HostPort {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

/// Waits until the figures of the first sink are as wanted.
async fn until(sinks: &Sinks, wanted: impl Fn(&SinkStats) -> bool) -> SinkStats {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stats = sinks.stats().remove(0);
        if wanted(&stats) {
            return stats;
        }
        assert!(Instant::now() < deadline, "it stays at {stats:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn done(stats: &SinkStats) -> bool {
    stats.depth == 0 && stats.up
}

fn down(stats: &SinkStats) -> bool {
    !stats.up
}
