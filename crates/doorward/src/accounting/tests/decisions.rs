//! Decisions beside the records: their form, their way into the journal, and that they are never in the way.

use std::time::{Duration, Instant};

use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use super::super::row::{Form, keys};
use super::*;

fn entries(entries: &[Entry]) -> (String, String) {
    let (mut json, mut text) = (Vec::new(), Vec::new());
    let mut form = TextForm::new(TimeZone::fixed(Offset::constant(1)));
    for entry in entries {
        let view = entry.view().unwrap();
        write_json(&mut json, &view);
        form.write(&mut text, &view);
    }
    let string = |octets| String::from_utf8(octets).unwrap();
    (string(json), string(text))
}

/// What an operator sees of a night.
fn night() -> Vec<Entry> {
    let command = [
        &b"service=shell"[..],
        b"cmd=show",
        b"cmd-arg=running-config",
        b"cmd-arg=<cr>",
    ];
    let login = DecisionFields {
        kind: DecisionKind::Authentication,
        command: b"",
        request: b"login",
        outcome: "fail",
        reason: "password-wrong",
        why: "the password is wrong",
        rule: None,
        ..decision()
    };
    let other = DecisionFields {
        device: "edge-fra-2.example.net",
        user: b"",
        port: b"",
        command: b"reload",
        request: b"reload [x-new]",
        outcome: "error",
        reason: "of-a-later-version",
        why: "a sentence of a later version",
        rule: None,
        ..decision()
    };
    vec![
        Entry::Decision(DecisionRecord::new(&decision(), command)),
        Entry::Decision(DecisionRecord::new(&login, [])),
        Entry::Decision(DecisionRecord::new(&other, [])),
    ]
}

/// The ids are new each time.
fn without_ids(json: &str) -> String {
    let cut = |line: &str| format!("{}{}\n", &line[..7], &line[43..]);
    json.lines().map(cut).collect()
}

#[test]
fn decisions_answer_who_what_and_why_at_a_glance() {
    let (json, text) = entries(&night());
    insta::assert_snapshot!("decisions_text", text);
    insta::assert_snapshot!("decisions_json", without_ids(&json));
    for line in json.lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,30}",
        "\\PC{0,20}",
        "[\u{0}-\u{1f}\u{9b}\u{202e}]{0,10}"
    ]
}

proptest! {
    #[test]
    fn what_is_stored_of_a_decision_is_what_was_given(
        octets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 6),
        texts in prop::collection::vec(text(), 7),
        arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..20),
        line in prop::option::of(1_u32..),
        level: u8,
    ) {
        let fields = DecisionFields {
            user: &octets[0],
            port: &octets[1],
            remote: &octets[2],
            service: &octets[3],
            command: &octets[4],
            request: &octets[5],
            device: &texts[0],
            listener: &texts[1],
            outcome: &texts[2],
            reason: &texts[3],
            why: &texts[4],
            rule: line.map(|line| DecidingRule { file: &texts[5], line, text: &texts[6] }),
            privilege_level: level,
            ..decision()
        };
        let row = DecisionRecord::new(&fields, arguments.iter().map(Vec::as_slice));
        let copy = DecisionRecord::from_row(row.row()).unwrap();
        let view = copy.view().unwrap();
        prop_assert_eq!(view.fields, fields);
        prop_assert_eq!(view.arguments.collect::<Vec<_>>(), arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let keys = keys(row.row()).unwrap();
        prop_assert_eq!(
            (keys.form, keys.received, keys.device, keys.user, keys.command),
            (Form::Decision, fields.received, fields.device, fields.user, fields.command)
        );
        // Nothing that was sent can drive a terminal, begin a line, or stand on the line of the reason.
        let (json, shown) = entries(&[Entry::Decision(copy)]);
        prop_assert_eq!(json.matches('\n').count(), 1);
        prop_assert_eq!(shown.matches('\n').count(), 2);
        for out in [json, shown] {
            prop_assert!(!out.chars().any(|c| c != '\n' && (c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c))), "{:?}", out);
        }
    }

    #[test]
    fn a_row_of_a_decision_is_read_or_refused(cut: usize, flip: (usize, u8)) {
        let whole = DecisionRecord::new(&decision(), [&b"service=shell"[..]]);
        let mut row = whole.row().to_vec();
        prop_assert_eq!(DecisionView::parse(&row[..cut % row.len()]).err(), Some(MalformedRecord));
        let _ = keys(&row[..cut % row.len()]);
        let place = flip.0 % row.len();
        row[place] ^= flip.1;
        let _ = keys(&row);
        if let Ok(entry) = Entry::from_row(&row) {
            let _ = entries(&[entry]);
        }
    }
}

/// What a search looks for stands at the same place in both forms.
#[test]
fn keys_are_the_fields_of_either_form() {
    let record = numbered(1);
    let found = keys(record.row()).unwrap();
    assert_eq!(
        (found.form, found.device, found.user, found.command),
        (
            Form::Accounting,
            "core1",
            &b"alice"[..],
            &b"show version"[..]
        )
    );
    assert_eq!(found.received, fields().received);
    assert_eq!(keys(&[]), Err(MalformedRecord));
    assert_eq!(keys(&[3; 100]), Err(MalformedRecord));
}

/// Waits until so many decisions were committed.
fn wait_for(journal: &Journal, decisions: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while journal.stats().decisions < decisions {
        assert!(Instant::now() < deadline, "{:?}", journal.stats());
        std::thread::yield_now();
    }
}

fn found(place: &Place, query: Query) -> Vec<String> {
    commands(place.reader().search(query).unwrap().map(Result::unwrap))
}

#[tokio::test]
async fn records_and_decisions_share_positions_and_searches_tell_them_apart() {
    let place = Place::new();
    let journal = place.journal();
    let mut cursor = journal.cursor("sink").await.unwrap();
    journal.submit(vec![numbered("a")]).await.unwrap();
    journal
        .add_decisions(&mut vec![decided("reload"), decided("erase")])
        .unwrap();
    wait_for(&journal, 2);
    journal.submit(vec![numbered("b")]).await.unwrap();

    assert_eq!(place.tasks(), ["a", "b"]);
    assert_eq!(found(&place, decisions()), ["reload", "erase"]);
    let reader = place.reader();
    let (last, _) = reader.tail(decisions(), 1).unwrap();
    assert_eq!(commands(last), ["erase"]);
    let (last, _) = reader.tail(Query::default(), 1).unwrap();
    assert_eq!(tasks(last), ["b"]);

    let all = cursor.read(10).unwrap();
    let kinds: Vec<_> = all.iter().map(|one| one.entry.record().is_some()).collect();
    assert_eq!(kinds, [true, false, false, true]);
    assert!(all.is_sorted_by(|one, next| one.position < next.position));
    cursor.advance(all[1].position).await.unwrap();
    assert_eq!(cursor.read(10).unwrap(), all[2..]);
    assert_eq!(reader.begins().unwrap(), Some(fields().received));
}

#[tokio::test]
async fn every_condition_narrows_a_search_of_decisions() {
    let place = Place::new();
    let journal = place.journal();
    let base = decision();
    let make = |fields: &DecisionFields<'_>| DecisionRecord::new(fields, []);
    let mut rows = vec![
        make(&DecisionFields {
            command: b"a",
            ..base
        }),
        make(&DecisionFields {
            command: b"b",
            outcome: "error",
            ..base
        }),
        make(&DecisionFields {
            command: b"c",
            reason: "no-rule",
            ..base
        }),
        make(&DecisionFields {
            command: b"d",
            user: b"bob",
            ..base
        }),
        make(&DecisionFields {
            command: b"e",
            device: "edge1",
            received: at("2026-11-21T10:00:00Z"),
            ..base
        }),
    ];
    journal.add_decisions(&mut rows).unwrap();
    assert!(rows.is_empty());
    wait_for(&journal, 5);
    let by = |outcome: Option<&str>, reason: Option<&str>| Query {
        wanted: Wanted::Decisions {
            outcome: outcome.map(str::to_owned),
            reason: reason.map(str::to_owned),
        },
        ..Query::default()
    };
    assert_eq!(found(&place, by(Some("error"), None)), ["b"]);
    assert_eq!(found(&place, by(None, Some("no-rule"))), ["c"]);
    assert_eq!(found(&place, by(Some("error"), Some("no-rule"))), [""; 0]);
    let query = Query {
        user: Some(b"bob".to_vec()),
        ..decisions()
    };
    assert_eq!(found(&place, query), ["d"]);
    let query = Query {
        device: Some("edge1".to_owned()),
        ..decisions()
    };
    assert_eq!(found(&place, query), ["e"]);
    let query = Query {
        since: Some(at("2026-11-21T00:00:00Z")),
        ..decisions()
    };
    assert_eq!(found(&place, query), ["e"]);
    let query = Query {
        quiet: [b"alice".to_vec()].into(),
        ..decisions()
    };
    assert_eq!(found(&place, query), ["d"]);
}

/// A row that one kind of search cannot read is no fault of the other.
#[tokio::test]
async fn a_damaged_decision_is_reported_to_who_looks_for_decisions() {
    let place = Place::new();
    let journal = place.journal();
    journal.add_decisions(&mut vec![decided("reload")]).unwrap();
    wait_for(&journal, 1);
    let raw = rusqlite::Connection::open(place.path()).unwrap();
    raw.execute("UPDATE journal_rows_1 SET row = substr(row, 1, 30)", [])
        .unwrap();
    assert_eq!(place.tasks(), [""; 0]);
    let reader = place.reader();
    let found: Vec<_> = reader.search(decisions()).unwrap().collect();
    assert!(
        matches!(found[..], [Err(JournalError::Malformed(_))]),
        "{found:?}"
    );
}

#[tokio::test]
async fn decisions_alone_are_committed_soon_and_together() {
    let place = Place::new();
    let journal = place.journal();
    for number in 0..50 {
        journal
            .add_decisions(&mut vec![decided(&number.to_string())])
            .unwrap();
    }
    wait_for(&journal, 50);
    assert!(journal.stats().commits <= 3, "{:?}", journal.stats());
}

#[tokio::test]
async fn a_close_commits_the_decisions_that_wait() {
    let place = Place::new();
    let journal = place.journal();
    journal.add_decisions(&mut vec![decided("reload")]).unwrap();
    journal.close();
    assert_eq!(found(&place, decisions()), ["reload"]);
    let late = journal.add_decisions(&mut vec![decided("erase")]);
    assert!(matches!(late, Err(JournalError::Stopped)));
    assert_eq!(journal.stats().decisions_lost, 1);
}

/// Many decisions that wait are dropped; a record behind them is not.
#[tokio::test]
async fn decisions_never_take_the_room_of_records() {
    let place = Place::new();
    let few = JournalOptions {
        max_records: 8,
        ..JournalOptions::default()
    };
    let journal = Journal::open(&place.path(), few).unwrap();
    // The writer waits for this lock with what it took; the rest waits in the queue.
    let held = rusqlite::Connection::open(place.path()).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut dropped = 0;
    for number in 0..100 {
        let mut one = vec![decided(&number.to_string())];
        match journal.add_decisions(&mut one) {
            Ok(()) => {}
            Err(error) => {
                assert!(matches!(error, JournalError::Full), "{error}");
                dropped += 1;
            }
        }
        assert!(one.is_empty());
    }
    assert!(dropped >= 90, "{dropped}");
    let commit = journal.submit((0..8).map(numbered).collect());
    held.execute_batch("COMMIT").unwrap();
    commit.await.unwrap();
    wait_for(&journal, 100 - dropped);
    let stats = journal.stats();
    assert_eq!((stats.decisions_lost, stats.failures), (dropped, 0));
    assert_eq!(place.tasks().len(), 8);
}

/// A disk without room costs decisions, and says so once; it is tried again by the probe and by accounting.
#[tokio::test]
async fn a_journal_that_cannot_be_written_drops_decisions_until_it_can() {
    let place = Place::new();
    let journal = place.journal();
    journal.submit(vec![numbered(1)]).await.unwrap();
    let limit = |pages| {
        let shared = journal.shared();
        shared
            .max_pages
            .store(pages, std::sync::atomic::Ordering::SeqCst);
    };
    limit(1);
    let large = "x".repeat(100_000);
    journal.add_decisions(&mut vec![decided(&large)]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !journal.stats().failing {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert_eq!(journal.stats().decisions_lost, 1);
    let refused = journal.add_decisions(&mut vec![decided("reload")]);
    assert!(matches!(refused, Err(JournalError::Failing)));
    assert_eq!(journal.stats().decisions_lost, 2);
    assert_eq!(journal.stats().failures, 0);
    limit(0);
    journal.submit(vec![numbered(2)]).await.unwrap();
    journal.add_decisions(&mut vec![decided("reload")]).unwrap();
    wait_for(&journal, 1);
    assert_eq!(found(&place, decisions()), ["reload"]);
}
