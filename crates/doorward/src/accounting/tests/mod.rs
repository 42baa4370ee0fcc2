//! Tests of the journal; what needs a process of its own is in `tests/journal.rs` of the crate.

mod decisions;
mod form;
mod index;
mod open;
mod read;
mod write;

use std::path::PathBuf;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::policy::Transport;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.path(), JournalOptions::default()).unwrap()
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.path()).unwrap()
    }

    /// Every record, oldest first, by its `task_id`.
    fn tasks(&self) -> Vec<String> {
        tasks(
            self.reader()
                .search(Query::default())
                .unwrap()
                .map(Result::unwrap),
        )
    }
}

fn tasks(stored: impl IntoIterator<Item = Stored>) -> Vec<String> {
    stored
        .into_iter()
        .map(|stored| task(stored.entry.record().unwrap()))
        .collect()
}

fn task(record: &Record) -> String {
    let first = record.view().unwrap().arguments.next().unwrap();
    String::from_utf8(first.strip_prefix(b"task_id=").unwrap().to_vec()).unwrap()
}

fn fields() -> Fields<'static> {
    Fields {
        received: "2026-11-20T10:00:00.25Z".parse().unwrap(),
        kind: Kind::Stop,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        listener: "tacacs-tls",
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
        listener: "tacacs-tls",
        device: "core1",
        user: b"alice",
        port: b"tty1",
        remote: b"192.0.2.7",
        service: b"shell",
        command: b"show running-config",
        request: b"",
        outcome: "deny",
        reason: "command-rule",
        why: "a command rule of the role decided",
        rule: Some(DecidingRule {
            file: "/etc/doorward/doorward.toml",
            line: 41,
            text: "deny   show running-config **",
        }),
    }
}

/// A decision on a command.
fn decided(command: &str) -> DecisionRecord {
    DecisionRecord::new(
        &DecisionFields {
            command: command.as_bytes(),
            ..decision()
        },
        [],
    )
}

/// The commands of decisions.
fn commands(stored: impl IntoIterator<Item = Stored>) -> Vec<String> {
    let command = |stored: Stored| match stored.entry.view().unwrap() {
        EntryView::Decision(view) => String::from_utf8(view.fields.command.to_vec()).unwrap(),
        EntryView::Accounting(view) => panic!("an accounting record: {view:?}"),
    };
    stored.into_iter().map(command).collect()
}

fn decisions() -> Query {
    Query {
        wanted: Wanted::Decisions {
            outcome: None,
            reason: None,
        },
        ..Query::default()
    }
}

/// The record of a task.
fn numbered(task: impl std::fmt::Display) -> Record {
    of_task(&fields(), task)
}

fn of_task(fields: &Fields<'_>, task: impl std::fmt::Display) -> Record {
    let argument = format!("task_id={task}");
    Record::new(fields, [argument.as_bytes()])
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
