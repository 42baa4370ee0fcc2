//! Log line, counters and audit row: one function derives all three from an outcome and a reason.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::accounting::{EntryView, JournalOptions, Protocol, Query, Reader, Wanted};
use crate::config::source::Location;
use crate::metrics::Answered;

/// What a request of each kind can be answered.
const ANSWERS: [(Kind, Outcome); 8] = [
    (Kind::Authentication, Outcome::Pass),
    (Kind::Authentication, Outcome::Fail),
    (Kind::Authentication, Outcome::Error),
    (Kind::Authorization, Outcome::Permit),
    (Kind::Authorization, Outcome::Deny),
    (Kind::Authorization, Outcome::Error),
    (Kind::Accounting, Outcome::Recorded),
    (Kind::Accounting, Outcome::Error),
];

/// A server's heart without a server.
struct Heart {
    folder: tempfile::TempDir,
    aaa: Aaa,
    peer: Peer,
}

impl Heart {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("doorward.toml");
        std::fs::write(
            &file,
            "version = 1\n[[listen]]\nprotocol = \"tacacs\"\naddress = \"127.0.0.1:0\"\n[device.core1]\n\
             address = [\"192.0.2.1/32\"]\ntacacs_secret = \"plain:a-secret-of-some-length\"\n",
        )
        .unwrap();
        let snapshot = Snapshot {
            generation: 1,
            config: crate::config::load(&file).unwrap().config,
            loaded: jiff::Timestamp::now(),
        };
        let journal = folder.path().join("journal.db");
        let journal = Journal::open(&journal, JournalOptions::default()).unwrap();
        let passwords = PasswordStore::open(&folder.path().join("store.db")).unwrap();
        Self {
            folder,
            aaa: Aaa::new(
                snapshot,
                journal,
                HashingPool::new(1, 1).unwrap(),
                passwords,
            ),
            peer: Peer {
                device: "core1".into(),
                address: "192.0.2.1:1024".parse().unwrap(),
                protocol: Protocol::Tacacs,
                transport: Transport::Tls,
                identity: None,
                psk_identity: None,
                listener: "tacacs-tls 192.0.2.49:300".into(),
            },
        }
    }

    fn note(
        &self,
        audit: Audit,
        kind: Kind,
        outcome: Outcome,
        decided: &Decided,
    ) -> Option<DecisionRecord> {
        let asked = Asked {
            kind,
            protocol: Protocol::Tacacs,
            person: Person {
                user: "alice",
                port: "tty1",
                remote_address: "192.0.2.7",
            },
            privilege_level: 15,
            service: None,
            request: &"show running-config <cr>",
            arguments: [
                &b"service=shell"[..],
                b"cmd=show",
                b"cmd-arg=running-config",
                b"cmd-arg=<cr>",
            ]
            .into_iter(),
        };
        self.aaa.note(audit, &self.peer, &asked, outcome, decided)
    }
}

fn decided(reason: Reason) -> Decided {
    Decided {
        rule: Some(Arc::new(RuleReference {
            location: Location {
                file: std::path::Path::new("/etc/doorward/doorward.toml").into(),
                line: 41,
                column: 3,
            },
            text: "deny   show running-config **".into(),
        })),
        ..Decided::deny(reason)
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Runs `what` under a log of every level, and takes its lines.
    fn of<T>(what: impl FnOnce() -> T) -> (T, Vec<serde_json::Value>) {
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(lines.clone())
            .finish();
        let out = tracing::subscriber::with_default(subscriber, what);
        let octets = lines.0.lock().unwrap();
        let text = std::str::from_utf8(&octets).unwrap();
        let parsed = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (out, parsed)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn line_counters_and_row_say_the_same_of_every_outcome_and_reason() {
    let heart = Heart::new();
    let metrics = &heart.aaa.metrics;
    for (kind, outcome) in ANSWERS {
        for reason in Reason::ALL.iter().copied() {
            // A flood of these is one event; its lines are bounded.
            let bounded = reason == Reason::HashingBusy;
            let answered = Answered {
                kind,
                outcome,
                reason,
            };
            assert_eq!(metrics.requests.get(answered), 0, "{answered:?}");
            let (row, lines) =
                Lines::of(|| heart.note(Audit::All, kind, outcome, &decided(reason)));
            assert_eq!(metrics.requests.get(answered), 1, "{answered:?}");
            assert!(lines.len() == 1 || bounded, "{lines:?}");
            for line in &lines {
                assert_eq!(line["kind"], kind.name());
                assert_eq!(line["outcome"], outcome.name());
                assert_eq!(line["reason"], reason.name());
                assert_eq!(line["message"], reason.sentence());
                assert_eq!(line["rule"], "/etc/doorward/doorward.toml:41:3");
                assert_eq!(line["rule_text"], "deny   show running-config **");
            }
            let Some(row) = row else {
                assert_eq!(kind, Kind::Accounting, "every decision is a row");
                continue;
            };
            let fields = row.view().unwrap().fields;
            assert_eq!(fields.kind.name(), kind.name());
            assert_eq!(
                (fields.outcome, fields.reason, fields.why),
                (outcome.name(), reason.name(), reason.sentence())
            );
            let rule = fields.rule.unwrap();
            assert_eq!(
                (rule.file, rule.line, rule.text),
                (
                    "/etc/doorward/doorward.toml",
                    41,
                    "deny   show running-config **"
                )
            );
            assert_eq!(
                (fields.device, fields.user, fields.remote, fields.port),
                ("core1", &b"alice"[..], &b"192.0.2.7"[..], &b"tty1"[..])
            );
            assert_eq!(
                (fields.service, fields.command, fields.request),
                (&b"shell"[..], &b"show running-config"[..], &b""[..]),
                "the command line is not kept twice"
            );
            assert_eq!(row.view().unwrap().arguments.count(), 4);
        }
    }
}

#[test]
fn what_is_kept_is_what_the_configuration_says() {
    let heart = Heart::new();
    let kept = |audit, kind, outcome| {
        heart
            .note(audit, kind, outcome, &Decided::deny(Reason::NoRule))
            .is_some()
    };
    for (kind, outcome) in ANSWERS {
        let decision = kind != Kind::Accounting;
        let denied = matches!(outcome, Outcome::Fail | Outcome::Deny | Outcome::Error);
        assert_eq!(kept(Audit::All, kind, outcome), decision);
        assert_eq!(kept(Audit::Denied, kind, outcome), decision && denied);
        assert!(!kept(Audit::Off, kind, outcome));
    }
}

/// A journal that takes nothing costs a counter and few lines, and nobody waits for it.
#[test]
fn decisions_that_the_journal_does_not_take_are_counted_and_logged_with_a_bound() {
    let heart = Heart::new();
    let row = || {
        heart
            .note(
                Audit::Denied,
                Kind::Authorization,
                Outcome::Deny,
                &Decided::deny(Reason::NoRule),
            )
            .unwrap()
    };
    let mut rows = vec![row()];
    heart.aaa.keep(&heart.peer, &mut rows);
    assert!(rows.is_empty());
    heart.aaa.journal().close();
    let reader = Reader::open(&heart.folder.path().join("journal.db")).unwrap();
    let query = Query {
        wanted: Wanted::Decisions {
            outcome: Some("deny".to_owned()),
            reason: Some("no-rule".to_owned()),
        },
        ..Query::default()
    };
    let found: Vec<_> = reader.search(query).unwrap().map(Result::unwrap).collect();
    assert!(
        matches!(&found[..], [one] if matches!(one.entry.view(), Ok(EntryView::Decision(_)))),
        "{found:?}"
    );

    let ((), lines) = Lines::of(|| {
        for _ in 0..100 {
            heart.aaa.keep(&heart.peer, &mut vec![row(), row()]);
        }
    });
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| line["reason"] == "decision-not-kept")
        .collect();
    assert!((1..=5).contains(&lines.len()), "{lines:?}");
    assert_eq!(lines[0]["decisions"], 2);
    assert_eq!(lines[0]["device"], "core1");
    assert_eq!(lines[0]["error"], "the journal is closed");
    assert_eq!(heart.aaa.metrics.refused.get(Refused::DecisionNotKept), 200);
    assert_eq!(heart.aaa.journal().stats().decisions_lost, 200);
}
