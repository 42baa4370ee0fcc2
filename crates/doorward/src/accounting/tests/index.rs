//! Searches through the index find what a search without it finds, and read little more than that.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::SignedDuration;
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;

/// Pieces so small that few records make many.
fn small() -> JournalOptions {
    JournalOptions {
        period_records: 40,
        index_records: Some(16),
        ..JournalOptions::default()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

/// Waits until the index has all that it can have: what is left fits into one segment.
async fn settled(journal: &Journal, segment: i64) {
    let last = *journal.watch().borrow();
    let mut indexed = journal.indexed();
    let settled = indexed.wait_for(|upto| last.0 - upto.0 < segment);
    tokio::time::timeout(std::time::Duration::from_secs(300), settled)
        .await
        .expect("the index is built")
        .unwrap();
}

fn index_of(place: &Place) -> PathBuf {
    place.folder.path().join("journal.db.index")
}

fn segments(place: &Place) -> Vec<(i64, i64)> {
    let index = Connection::open(index_of(place)).unwrap();
    let mut statement = index
        .prepare("SELECT first, last FROM segment ORDER BY first")
        .unwrap();
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

type Found = Vec<Result<Stored, String>>;

/// What a search finds, and the last `count` that match; and how many rows the search read.
fn found(place: &Place, query: &Query, count: usize, plain: bool) -> (Found, Vec<Stored>, u64) {
    let mut reader = place.reader();
    reader.plain = plain;
    let search = reader.search(query.clone()).unwrap();
    let all = search
        .map(|one| one.map_err(|error| error.to_string()))
        .collect();
    let read = reader.read.get();
    let (last, _) = reader.tail(query.clone(), count).unwrap();
    (all, last, read)
}

/// Searches with and without the index; rows read with it.
fn same(place: &Place, query: &Query, count: usize) -> u64 {
    let (all, last, read) = found(place, query, count, false);
    let (expected, expected_last, _) = found(place, query, count, true);
    assert_eq!(all, expected, "{query:?}");
    assert_eq!(last, expected_last, "{query:?}");
    read
}

#[derive(Clone, Debug)]
struct Made {
    device: String,
    user: Vec<u8>,
    command: Vec<u8>,
    kind: Kind,
    second: i64,
    outcome: Option<&'static str>,
}

impl Made {
    fn received(&self) -> Timestamp {
        at("2026-11-20T00:00:00Z") + SignedDuration::from_secs(self.second)
    }

    fn decision(&self) -> Option<DecisionRecord> {
        let fields = DecisionFields {
            received: self.received(),
            device: &self.device,
            user: &self.user,
            command: &self.command,
            outcome: self.outcome?,
            ..decision()
        };
        Some(DecisionRecord::new(&fields, []))
    }

    fn record(&self) -> Record {
        let fields = Fields {
            received: self.received(),
            device: &self.device,
            user: &self.user,
            command: &self.command,
            kind: self.kind,
            ..fields()
        };
        Record::new(&fields, [])
    }
}

fn made() -> impl Strategy<Value = Made> {
    (
        "[abc]",
        prop_oneof![
            Just(b"oxidized".to_vec()),
            "[x-z]".prop_map(String::into_bytes),
            Just(vec![0xff])
        ],
        "(show|no|reload)( [abc]{1,2}){0,2}",
        prop::sample::select(vec![Kind::Start, Kind::Stop]),
        0..100_000_i64,
        prop::sample::select(vec![None, None, Some("permit"), Some("deny")]),
    )
        .prop_map(|(device, user, command, kind, second, outcome)| Made {
            device,
            user,
            command: command.into_bytes(),
            kind,
            second,
            outcome,
        })
}

/// Records and decisions in one transaction, or two.
async fn add(journal: &Journal, batch: &[Made]) {
    let mut decisions = batch.iter().filter_map(Made::decision).collect();
    journal.add_decisions(&mut decisions).unwrap();
    let records = batch.iter().filter(|made| made.outcome.is_none());
    journal
        .submit(records.map(Made::record).collect())
        .await
        .unwrap();
    journal.drop_cursor("no such cursor").await.unwrap();
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let kinds = vec![None, Some(Kind::Start), Some(Kind::Stop)];
    let outcomes = vec![None, Some("permit"), Some("deny")];
    prop_oneof![
        2 => prop::sample::select(kinds).prop_map(|kind| Wanted::Accounting { kind }),
        1 => prop::sample::select(outcomes).prop_map(|outcome| Wanted::Decisions {
            outcome: outcome.map(str::to_owned),
            reason: None,
        }),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    (
        prop::option::of("[a-d]"),
        prop::option::of("(oxidized|[x-z])"),
        prop::option::of("(show [*]|[*]a|reload[*]|[*] b[*]|s?ow [*]|[*]|no|)"),
        prop::option::of(0..110_000_i64),
        wanted(),
        any::<bool>(),
    )
        .prop_map(|(device, user, command, since, wanted, quiet)| Query {
            device,
            user: user.map(String::into_bytes),
            command: command.as_deref().map(CommandGlob::new),
            since: since
                .map(|second| at("2026-11-20T00:00:00Z") + SignedDuration::from_secs(second)),
            wanted,
            quiet: match quiet {
                true => HashSet::from([b"oxidized".to_vec()]),
                false => HashSet::new(),
            },
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// At every moment: with what is not indexed yet, what is being indexed, and what an earlier server left.
    #[test]
    fn an_index_changes_no_answer(
        batches in prop::collection::vec(prop::collection::vec(made(), 1..40), 1..12),
        more in prop::collection::vec(made(), 0..40),
        queries in prop::collection::vec(query(), 1..12),
        wait: bool,
        damaged in prop::option::of(0..400_usize),
    ) {
        let place = Place::new();
        block_on(async {
            let journal = Journal::open(&place.path(), small()).unwrap();
            for batch in &batches {
                add(&journal, batch).await;
            }
            if let Some(position) = damaged {
                // Before the index, where it is fast enough: an unreadable row is found by every search.
                let raw = Connection::open(place.path()).unwrap();
                raw.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
                let table = format!("journal_rows_{}", position / 40 + 1);
                let _ = raw.execute(&format!("UPDATE {table} SET row = x'ff' WHERE position = {position}"), []);
            }
            if wait {
                settled(&journal, 16).await;
            }
            if damaged.is_none() {
                for query in &queries {
                    same(&place, query, 7);
                }
            }
            drop(journal);
            if damaged.is_some() {
                // What was indexed before the damage is built again.
                std::fs::remove_file(index_of(&place)).unwrap();
            }
            let journal = Journal::open(&place.path(), small()).unwrap();
            add(&journal, &more).await;
            settled(&journal, 16).await;
            for query in &queries {
                same(&place, query, 7);
            }
            drop(journal);
            for query in &queries {
                same(&place, query, 1000);
            }
        });
    }
}

/// Rows read, and not time: a machine that is busy must not fail this, a search that reads everything must.
#[tokio::test]
async fn a_search_of_an_indexed_journal_reads_little_more_than_it_finds() {
    const RECORDS: usize = 300_000;
    let place = Place::new();
    let options = JournalOptions {
        period_records: 100_000,
        index_records: Some(50_000),
        ..JournalOptions::default()
    };
    let journal = Journal::open(&place.path(), options).unwrap();
    let devices: Vec<_> = (0..1000).map(|n| format!("device{n}")).collect();
    let users: Vec<_> = (0..200).map(|n| format!("user{n}")).collect();
    let commands: Vec<_> = (0..3000)
        .map(|n| match n % 1000 {
            0 => format!("reload in {n}"),
            1 => format!("switchport access vlan {n}"),
            _ => format!("show interface {n}"),
        })
        .collect();
    for start in (0..RECORDS).step_by(1000) {
        let records = (start..start + 1000)
            .map(|n| {
                // Strides without a common divisor: every combination comes in turn.
                let fields = Fields {
                    device: &devices[n * 7 % 1000],
                    user: users[n * 11 % 200].as_bytes(),
                    command: commands[n * 13 % 3000].as_bytes(),
                    ..fields()
                };
                Record::new(&fields, [])
            })
            .collect();
        journal.submit(records).await.unwrap();
    }
    settled(&journal, 50_000).await;
    // What a full period still lacks: the last one is as long as a segment, so nothing.
    assert_eq!(segments(&place).len(), RECORDS / 50_000);

    let device = || Query {
        device: Some("device77".into()),
        ..Query::default()
    };
    let user = || Query {
        user: Some(b"user3".to_vec()),
        ..Query::default()
    };
    let command = |glob| Query {
        command: Some(CommandGlob::new(glob)),
        ..Query::default()
    };
    let combined = Query {
        device: Some("device77".into()),
        ..command("*interface*")
    };
    for query in [
        device(),
        user(),
        command("reload*"),
        command("*vlan*"),
        combined,
        command("no such command*"),
    ] {
        let reader = place.reader();
        let matching = u64::try_from(reader.search(query.clone()).unwrap().count()).unwrap();
        let read = reader.read.get();
        // Rows passed on the way to a near one count, too.
        assert!(
            read <= matching * 16 + 100,
            "{query:?}: {read} rows read for {matching}"
        );
        assert!(read <= 25_000, "{query:?}: {read} rows read");
        let reader = place.reader();
        let (last, _) = reader.tail(query.clone(), 5).unwrap();
        assert_eq!(last.len() as u64, matching.min(5));
        assert!(
            reader.read.get() <= 300,
            "{query:?}: {} for 5",
            reader.read.get()
        );
    }
    assert!(same(&place, &device(), 10) < 1000);
}

#[tokio::test]
async fn a_lost_or_damaged_index_is_built_again_and_fails_no_search() {
    let place = Place::new();
    let query = Query {
        device: Some("core1".into()),
        user: Some(b"alice".to_vec()),
        ..Query::default()
    };
    let other = Fields {
        user: b"bob",
        ..fields()
    };
    let fill = |journal: &Journal| {
        let records = (0..200).map(|n| match n % 50 {
            0 => numbered(n),
            _ => of_task(&other, n),
        });
        journal.submit(records.collect())
    };
    let journal = Journal::open(&place.path(), small()).unwrap();
    fill(&journal).await.unwrap();
    settled(&journal, 16).await;
    let complete = segments(&place);
    assert!(same(&place, &query, 3) < 60);

    // Removed while the server runs: noticed with the next records.
    std::fs::remove_file(index_of(&place)).unwrap();
    assert!(same(&place, &query, 3) >= 200);
    fill(&journal).await.unwrap();
    settled(&journal, 16).await;
    assert!(segments(&place).starts_with(&complete));
    assert!(same(&place, &query, 3) < 120);
    drop(journal);

    let octets = std::fs::read(index_of(&place)).unwrap();
    let damages: [fn(&mut Vec<u8>); 5] = [
        |octets| octets.clear(),
        |octets| octets.truncate(octets.len() / 2),
        |octets| octets[..100].fill(b'x'),
        |octets| octets[100..].fill(0),
        |octets| {
            for octet in octets.iter_mut().skip(5000).step_by(97) {
                *octet ^= 0x55;
            }
        },
    ];
    for damage in damages {
        let mut damaged = octets.clone();
        damage(&mut damaged);
        std::fs::write(index_of(&place), &damaged).unwrap();
        same(&place, &query, 3);
        let journal = Journal::open(&place.path(), small()).unwrap();
        settled(&journal, 16).await;
        drop(journal);
        assert!(segments(&place).starts_with(&complete));
        assert!(same(&place, &query, 3) < 120);
    }

    // One of another journal, of the same length.
    let elsewhere = Place::new();
    let journal = Journal::open(&elsewhere.path(), small()).unwrap();
    fill(&journal).await.unwrap();
    fill(&journal).await.unwrap();
    settled(&journal, 16).await;
    drop(journal);
    std::fs::copy(index_of(&elsewhere), index_of(&place)).unwrap();
    assert!(same(&place, &query, 3) >= 400);
    let journal = Journal::open(&place.path(), small()).unwrap();
    settled(&journal, 16).await;
    assert!(same(&place, &query, 3) < 120);
}

#[tokio::test]
async fn an_index_that_cannot_be_written_fails_nothing() {
    let place = Place::new();
    // A folder in its place can be neither opened nor removed.
    std::fs::create_dir_all(index_of(&place).join("x")).unwrap();
    let journal = Journal::open(&place.path(), small()).unwrap();
    journal
        .submit((0..100).map(numbered).collect())
        .await
        .unwrap();
    let query = Query {
        user: Some(b"alice".to_vec()),
        ..Query::default()
    };
    let reader = place.reader();
    let found = reader.search(query).unwrap().map(Result::unwrap);
    assert_eq!(tasks(found).len(), 100);
}

/// What a journal of version 1 was: one table a day, whatever its size.
#[tokio::test]
async fn a_journal_of_the_first_layout_is_read_and_written_on() {
    let place = Place::new();
    let large = JournalOptions {
        period_records: u32::MAX,
        index_records: None,
        ..JournalOptions::default()
    };
    let journal = Journal::open(&place.path(), large).unwrap();
    journal
        .submit((0..500).map(numbered).collect())
        .await
        .unwrap();
    drop(journal);
    let raw = Connection::open(place.path()).unwrap();
    raw.execute("UPDATE journal_meta SET value = 1", [])
        .unwrap();
    let query = Query {
        user: Some(b"alice".to_vec()),
        ..Query::default()
    };
    assert_eq!(place.tasks().len(), 500);
    assert!(!index_of(&place).exists());
    let journal = Journal::open(&place.path(), small()).unwrap();
    journal
        .submit((500..600).map(numbered).collect())
        .await
        .unwrap();
    settled(&journal, 16).await;
    let expected: Vec<_> = (0..600).map(|n| n.to_string()).collect();
    assert_eq!(place.tasks(), expected);
    same(&place, &query, 10);
    let version: i64 = raw
        .query_row("SELECT value FROM journal_meta", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
    // The table of the day is indexed in pieces, too.
    assert_eq!(segments(&place)[..2], [(1, 16), (17, 32)]);
}

#[tokio::test]
async fn a_day_in_several_tables_is_kept_as_long_as_any_other() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let place = Place::new();
    let options = JournalOptions {
        keep: Some(std::time::Duration::from_secs(86_400)),
        now: || Timestamp::from_second(NOW.load(Ordering::SeqCst)).unwrap(),
        ..small()
    };
    let at_hour = |day: i64, hour: i64| NOW.store(day * 86_400 + hour * 3600, Ordering::SeqCst);
    at_hour(20_000, 23);
    let journal = Journal::open(&place.path(), options).unwrap();
    for batch in 0..5 {
        let records = (batch * 40..batch * 40 + 40).map(numbered).collect();
        journal.submit(records).await.unwrap();
    }
    // Less than a day later, all of it is there; the look at old records is over when the next commit is.
    at_hour(20_001, 22);
    journal.submit(vec![numbered("new")]).await.unwrap();
    journal.drop_cursor("no such cursor").await.unwrap();
    assert_eq!(place.tasks().len(), 201);
    settled(&journal, 16).await;
    assert_eq!(segments(&place).len(), 15);
    at_hour(20_002, 1);
    journal.submit(vec![numbered("newer")]).await.unwrap();
    super::write::look_at_old(&journal).await;
    assert_eq!(place.tasks(), ["new", "newer"]);
    // The index lets go of it, too: what is left is the closed period of the day before.
    let mut indexed = journal.indexed();
    indexed.wait_for(|upto| upto.0 >= 201).await.unwrap();
    while segments(&place) != [(201, 201)] {
        tokio::task::yield_now().await;
    }
}
