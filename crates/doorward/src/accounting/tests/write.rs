//! Commits, failures, recovery, retention and cursors.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rusqlite::Connection;

use super::*;

fn poll(commit: &mut Commit) -> Poll<Result<(), JournalError>> {
    pin!(commit).poll(&mut Context::from_waker(Waker::noop()))
}

/// Keeps every other connection from writing until it is dropped.
fn hold(place: &Place) -> Connection {
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[tokio::test]
async fn records_are_found_in_the_order_of_their_commits_also_after_a_restart() {
    let place = Place::new();
    for round in 0..3 {
        let journal = place.journal();
        for batch in 0..10 {
            let records = (0..3)
                .map(|one| numbered(format!("{round}.{batch}.{one}")))
                .collect();
            journal.submit(records).await.unwrap();
        }
    }
    let expected: Vec<_> = (0..90)
        .map(|n| format!("{}.{}.{}", n / 30, n / 3 % 10, n % 3))
        .collect();
    assert_eq!(place.tasks(), expected);
}

#[tokio::test]
async fn a_commit_is_pending_until_the_transaction_ended_and_many_records_share_one() {
    let place = Place::new();
    let journal = place.journal();
    journal.submit(vec![numbered("first")]).await.unwrap();
    let before = journal.stats().commits;

    let held = hold(&place);
    let mut commits: Vec<_> = (0..500)
        .map(|number| journal.submit(vec![numbered(number)]))
        .collect();
    // Nothing can be committed now; that none of this blocks the thread is what brings us here.
    assert!(commits.iter_mut().all(|commit| poll(commit).is_pending()));
    assert_eq!(journal.stats().pending, 500);
    assert_eq!(place.tasks(), ["first"]);
    drop(held);

    for commit in commits {
        commit.await.unwrap();
    }
    let stats = journal.stats();
    // The writer may have held the first ones already; all others gathered behind them.
    assert!(stats.commits - before <= 2, "{stats:?}");
    assert_eq!(
        (stats.records, stats.failures, stats.pending, stats.failing),
        (501, 0, 0, false)
    );
    assert_eq!(place.tasks().len(), 501);
}

#[tokio::test]
async fn a_record_whose_submitter_went_away_is_kept() {
    let place = Place::new();
    let journal = place.journal();
    drop(journal.submit(vec![numbered("orphan")]));
    journal.submit(vec![numbered("next")]).await.unwrap();
    assert_eq!(place.tasks(), ["orphan", "next"]);
}

#[tokio::test]
async fn a_second_server_is_refused_by_name() {
    let place = Place::new();
    let journal = place.journal();
    let refused = Journal::open(&place.path(), JournalOptions::default()).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("in use by another server"), "{message}");
    assert!(
        message.contains(&std::process::id().to_string()),
        "{message}"
    );
    assert!(
        message.contains(place.path().to_str().unwrap()),
        "{message}"
    );
    drop(journal);
    place.journal().submit(vec![numbered(1)]).await.unwrap();
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_keeps_nothing_of_the_batch() {
    let place = Place::new();
    let few = JournalOptions {
        max_records: 10,
        ..JournalOptions::default()
    };
    let journal = Journal::open(&place.path(), few).unwrap();
    let held = hold(&place);
    let first = journal.submit((0..9).map(numbered).collect());
    let mut second = journal.submit(vec![numbered("x"), numbered("y")]);
    assert!(matches!(
        poll(&mut second),
        Poll::Ready(Err(JournalError::Full))
    ));
    let third = journal.submit(vec![numbered(9)]);
    drop(held);
    first.await.unwrap();
    third.await.unwrap();
    assert_eq!(
        place.tasks(),
        (0..10).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    assert_eq!(journal.stats().failures, 2);
    drop(journal);

    let small = JournalOptions {
        max_octets: 1000,
        ..JournalOptions::default()
    };
    let journal = Journal::open(&place.path(), small).unwrap();
    let long = Record::new(
        &Fields {
            command: &[b'x'; 1000],
            ..fields()
        },
        [],
    );
    assert!(matches!(
        journal.submit(vec![long]).await,
        Err(JournalError::Full)
    ));
    assert!(journal.submit(Vec::new()).await.is_ok());
}

#[tokio::test]
async fn a_batch_that_meets_a_full_disk_fails_whole_and_the_journal_recovers() {
    let place = Place::new();
    let journal = place.journal();
    journal.submit(vec![numbered("before")]).await.unwrap();
    let long = vec![b'x'; 50_000];
    let huge = Fields {
        command: &long,
        ..fields()
    };
    // The database may not grow any more.
    journal.shared().max_pages.store(1, Ordering::SeqCst);
    for _ in 0..3 {
        let mut records = vec![numbered("lost")];
        records.extend((0..20).map(|number| of_task(&huge, number)));
        let failed = journal.submit(records).await;
        assert!(matches!(failed, Err(JournalError::DiskFull)), "{failed:?}");
    }
    assert!(journal.stats().failing);
    assert_eq!(journal.stats().failures, 63);
    journal.shared().max_pages.store(0, Ordering::SeqCst);
    journal.submit(vec![numbered("after")]).await.unwrap();
    assert!(!journal.stats().failing);
    assert_eq!(place.tasks(), ["before", "after"]);
    drop(journal);
    assert_eq!(place.tasks(), ["before", "after"]);
}

#[tokio::test]
async fn a_failed_batch_takes_no_new_period_with_it() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let place = Place::new();
    let journal = on_day(&place, &NOW, || second(&NOW), None);
    day(&NOW, 20_000);
    journal.submit(vec![numbered("before")]).await.unwrap();
    day(&NOW, 20_001);
    journal.shared().max_pages.store(1, Ordering::SeqCst);
    assert!(journal.submit(vec![numbered("lost")]).await.is_err());
    journal.shared().max_pages.store(0, Ordering::SeqCst);
    journal.submit(vec![numbered("after")]).await.unwrap();
    assert_eq!(place.tasks(), ["before", "after"]);
}

#[tokio::test]
async fn closing_commits_what_waits_and_takes_no_more() {
    let place = Place::new();
    let journal = place.journal();
    let commits: Vec<_> = (0..200)
        .map(|number| journal.submit(vec![numbered(number)]))
        .collect();
    journal.close();
    assert!(matches!(
        journal.submit(vec![numbered("late")]).await,
        Err(JournalError::Stopped)
    ));
    for commit in commits {
        commit.await.unwrap();
    }
    assert_eq!(place.tasks().len(), 200);
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let place = Place::new();
    let journal = place.journal();
    journal.submit(vec![numbered(1)]).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(place.folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
        files += 1;
    }
    assert!(files >= 3, "{files}");
}

#[test]
fn what_is_no_journal_is_refused() {
    let place = Place::new();
    assert!(matches!(
        Reader::open(&place.path()),
        Err(JournalError::Missing(_))
    ));
    std::fs::write(
        place.path(),
        "this is not a database, but a text of some length",
    )
    .unwrap();
    for refused in [
        Reader::open(&place.path()).unwrap_err(),
        Journal::open(&place.path(), JournalOptions::default()).unwrap_err(),
    ] {
        assert!(
            refused.to_string().contains(place.path().to_str().unwrap()),
            "{refused}"
        );
    }
    let nowhere = place.folder.path().join("missing/journal.db");
    assert!(matches!(
        Journal::open(&nowhere, JournalOptions::default()),
        Err(JournalError::File(..))
    ));

    let place = Place::new();
    drop(place.journal());
    let connection = Connection::open(place.path()).unwrap();
    connection
        .execute("UPDATE journal_meta SET value = 3", [])
        .unwrap();
    drop(connection);
    assert!(matches!(
        Reader::open(&place.path()),
        Err(JournalError::Format(_))
    ));
    assert!(matches!(
        Journal::open(&place.path(), JournalOptions::default()),
        Err(JournalError::Format(_))
    ));
}

const DAY: Duration = Duration::from_secs(86_400);

fn day(clock: &AtomicI64, number: i64) {
    clock.store(number * 86_400 + 3600, Ordering::SeqCst);
}

fn second(clock: &AtomicI64) -> Timestamp {
    Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap()
}

fn on_day(
    place: &Place,
    clock: &AtomicI64,
    now: fn() -> Timestamp,
    keep: Option<Duration>,
) -> Journal {
    if clock.load(Ordering::SeqCst) == 0 {
        day(clock, 20_000);
    }
    Journal::open(
        &place.path(),
        JournalOptions {
            keep,
            now,
            ..JournalOptions::default()
        },
    )
    .unwrap()
}

/// A commit of each of `days`, and then more than there are periods to drop: after each the writer drops one.
async fn days(journal: &Journal, clock: &AtomicI64, days: impl IntoIterator<Item = i64>) {
    for number in days {
        day(clock, number);
        journal.submit(vec![numbered(number)]).await.unwrap();
    }
    look_at_old(journal).await;
}

/// Longer than the writer needs to drop up to twenty periods.
pub(super) async fn look_at_old(journal: &Journal) {
    for _ in 0..20 {
        journal.drop_cursor("no such cursor").await.unwrap();
    }
}

#[tokio::test]
async fn old_periods_are_dropped() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let place = Place::new();
    let journal = on_day(&place, &NOW, || second(&NOW), Some(2 * DAY));
    days(&journal, &NOW, 20_000..20_003).await;
    assert_eq!(place.tasks(), ["20000", "20001", "20002"]);
    days(&journal, &NOW, [20_003]).await;
    assert_eq!(place.tasks(), ["20001", "20002", "20003"]);
    days(&journal, &NOW, [20_010]).await;
    assert_eq!(place.tasks(), ["20003", "20010"]);
    journal.set_keep(None);
    days(&journal, &NOW, [20_100]).await;
    assert_eq!(place.tasks(), ["20003", "20010", "20100"]);
}

/// Dropping a large table takes time: whoever waits for a commit waits for one at most.
#[tokio::test]
async fn old_periods_are_dropped_one_at_a_time_also_while_nothing_comes() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let place = Place::new();
    let journal = on_day(&place, &NOW, || second(&NOW), None);
    days(&journal, &NOW, 20_000..20_006).await;
    drop(journal);
    let mut store = super::super::writer::Store::open(&place.path(), u32::MAX).unwrap();
    for left in [5, 4] {
        assert!(store.retain(20_005, 20_004 * 86_400).unwrap().is_some());
        assert_eq!(place.tasks().len(), left);
    }
    drop(store);
    day(&NOW, 20_009);
    let journal = on_day(&place, &NOW, || second(&NOW), Some(DAY));
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while place.tasks() != ["20005"] {
        assert!(std::time::Instant::now() < deadline, "{:?}", place.tasks());
        tokio::task::yield_now().await;
    }
    drop(journal);
}

#[tokio::test]
async fn a_server_that_was_down_drops_old_periods_at_its_start_and_reuses_no_position() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let place = Place::new();
    let journal = on_day(&place, &NOW, || second(&NOW), Some(DAY));
    days(&journal, &NOW, 20_000..20_002).await;
    let last = *journal.watch().borrow();
    drop(journal);
    day(&NOW, 20_100);
    // The last period ends when the new day is seen, so it goes one retention later.
    drop(on_day(&place, &NOW, || second(&NOW), Some(DAY)));
    assert_eq!(place.tasks(), ["20001"]);
    day(&NOW, 20_102);
    let journal = on_day(&place, &NOW, || second(&NOW), Some(DAY));
    journal.submit(vec![numbered("new")]).await.unwrap();
    assert_eq!(place.tasks(), ["new"]);
    assert!(*journal.watch().borrow() > last);
}

#[tokio::test]
async fn a_clock_that_was_wrong_costs_no_records() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let place = Place::new();
    let journal = on_day(&place, &NOW, || second(&NOW), Some(2 * DAY));
    days(&journal, &NOW, [20_000, 0, 20_001]).await;
    assert_eq!(place.tasks(), ["20000", "0", "20001"]);
    days(&journal, &NOW, [20_003]).await;
    assert_eq!(place.tasks(), ["20001", "20003"]);
}

/// What a sink does: it reads, delivers and advances.
struct TestSink {
    cursor: Cursor,
    delivered: Vec<String>,
}

impl TestSink {
    async fn turn(&mut self, count: usize) -> usize {
        let records = self.cursor.read(count).unwrap();
        if let Some(last) = records.last() {
            let last = last.position;
            self.delivered.extend(tasks(records.iter().cloned()));
            self.cursor.advance(last).await.unwrap();
        }
        records.len()
    }
}

#[tokio::test]
async fn a_sink_gets_every_record_in_order_over_restarts() {
    let place = Place::new();
    let journal = place.journal();
    journal
        .submit((0..2500).map(numbered).collect())
        .await
        .unwrap();
    let mut sink = TestSink {
        cursor: journal.cursor("test").await.unwrap(),
        delivered: Vec::new(),
    };
    assert_eq!(sink.turn(7).await, 7);
    assert_eq!(sink.turn(1500).await, 1500);
    // Delivered, but the server was killed before the cursor moved: it comes again under the same position and id.
    let again = sink.cursor.read(1).unwrap();
    let TestSink { delivered, .. } = sink;
    drop(journal);

    let journal = place.journal();
    journal
        .submit((2500..2600).map(numbered).collect())
        .await
        .unwrap();
    let mut sink = TestSink {
        cursor: journal.cursor("test").await.unwrap(),
        delivered,
    };
    assert_eq!(sink.cursor.read(1).unwrap(), again);
    while sink.turn(100).await > 0 {}
    assert_eq!(
        sink.delivered,
        (0..2600).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    // A second sink has a place of its own.
    assert_eq!(
        journal
            .cursor("other")
            .await
            .unwrap()
            .read(1)
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn retention_never_goes_past_a_cursor() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let place = Place::new();
    let journal = on_day(&place, &NOW, || second(&NOW), Some(DAY));
    days(&journal, &NOW, [20_000]).await;
    let cursor = journal.cursor("slow").await.unwrap();
    let mut sink = TestSink {
        cursor,
        delivered: Vec::new(),
    };
    days(&journal, &NOW, 20_001..20_010).await;
    assert_eq!(place.tasks().len(), 10);
    assert_eq!(sink.turn(3).await, 3);
    days(&journal, &NOW, [20_010]).await;
    assert_eq!(place.tasks()[0], "20003");
    assert_eq!(sink.turn(1).await, 1);
    assert_eq!(sink.delivered, ["20000", "20001", "20002", "20003"]);
    journal.drop_cursor("slow").await.unwrap();
    days(&journal, &NOW, [20_011]).await;
    assert_eq!(place.tasks(), ["20010", "20011"]);
}

#[tokio::test]
async fn commits_are_announced_to_sinks() {
    let place = Place::new();
    let journal = place.journal();
    let mut watch = journal.watch();
    let start = *watch.borrow_and_update();
    journal
        .submit(vec![numbered(1), numbered(2)])
        .await
        .unwrap();
    watch.changed().await.unwrap();
    assert!(*watch.borrow_and_update() > start);
}

/// A killed process loses nothing that it wrote, a machine without power loses what was not synced: only these
/// settings stand between the two.
#[test]
fn every_commit_is_synced() {
    let place = Place::new();
    drop(place.journal());
    let connection = super::super::writer::connect(&place.path()).unwrap();
    let number = |name: &str| -> i64 {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(number("synchronous"), 2);
    assert_eq!(number("wal_autocheckpoint"), 1000);
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}
