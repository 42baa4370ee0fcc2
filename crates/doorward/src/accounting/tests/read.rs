//! Searching and following.

use std::collections::HashSet;

use super::*;

async fn filled(place: &Place) -> Journal {
    let journal = place.journal();
    let base = fields();
    let records = vec![
        of_task(
            &Fields {
                kind: Kind::Start,
                command: b"",
                ..base
            },
            "a",
        ),
        of_task(
            &Fields {
                user: b"bob",
                received: at("2026-11-20T11:00:00Z"),
                ..base
            },
            "b",
        ),
        of_task(
            &Fields {
                device: "edge1",
                command: b"show ip route",
                received: at("2026-11-20T12:00:00Z"),
                ..base
            },
            "c",
        ),
        of_task(
            &Fields {
                user: b"oxidized",
                command: b"show running-config",
                received: at("2026-11-20T13:00:00Z"),
                ..base
            },
            "d",
        ),
        of_task(
            &Fields {
                user: b"\xff",
                kind: Kind::Update,
                received: at("2026-11-20T14:00:00Z"),
                ..base
            },
            "e",
        ),
    ];
    journal.submit(records).await.unwrap();
    journal
}

fn found(place: &Place, query: Query) -> String {
    tasks(place.reader().search(query).unwrap().map(Result::unwrap)).concat()
}

#[tokio::test]
async fn every_condition_narrows_the_search() {
    let place = Place::new();
    let _journal = filled(&place).await;
    let all = Query::default;
    assert_eq!(found(&place, all()), "abcde");
    assert_eq!(
        found(
            &place,
            Query {
                device: Some("edge1".into()),
                ..all()
            }
        ),
        "c"
    );
    assert_eq!(
        found(
            &place,
            Query {
                user: Some(b"bob".to_vec()),
                ..all()
            }
        ),
        "b"
    );
    assert_eq!(
        found(
            &place,
            Query {
                user: Some(unescape(r"\xff")),
                ..all()
            }
        ),
        "e"
    );
    assert_eq!(
        found(
            &place,
            Query {
                wanted: Wanted::Accounting {
                    kind: Some(Kind::Start)
                },
                ..all()
            }
        ),
        "a"
    );
    assert_eq!(
        found(
            &place,
            Query {
                command: Some(CommandGlob::new("show *")),
                ..all()
            }
        ),
        "bcde"
    );
    assert_eq!(
        found(
            &place,
            Query {
                command: Some(CommandGlob::new("show ??????")),
                ..all()
            }
        ),
        ""
    );
    assert_eq!(
        found(
            &place,
            Query {
                since: Some(at("2026-11-20T12:00:00Z")),
                ..all()
            }
        ),
        "cde"
    );
    let both = Query {
        user: Some(b"alice".to_vec()),
        command: Some(CommandGlob::new("*ip*")),
        ..all()
    };
    assert_eq!(found(&place, both), "c");
}

#[tokio::test]
async fn quiet_users_are_left_out_unless_named() {
    let place = Place::new();
    let _journal = filled(&place).await;
    let quiet: HashSet<_> = [b"oxidized".to_vec()].into();
    assert_eq!(
        found(
            &place,
            Query {
                quiet: quiet.clone(),
                ..Query::default()
            }
        ),
        "abce"
    );
    let named = Query {
        quiet,
        user: Some(b"oxidized".to_vec()),
        ..Query::default()
    };
    assert_eq!(found(&place, named), "d");
}

#[tokio::test]
async fn a_long_search_holds_one_page_and_goes_over_periods() {
    static DAY: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(20_000);
    let place = Place::new();
    let options = JournalOptions {
        now: || {
            Timestamp::from_second(DAY.fetch_add(1, std::sync::atomic::Ordering::SeqCst) * 86_400)
                .unwrap()
        },
        ..JournalOptions::default()
    };
    let journal = Journal::open(&place.path(), options).unwrap();
    for start in [0, 2500, 2600] {
        let end = if start == 2500 { 2600 } else { start + 2500 };
        journal
            .submit((start..end).map(numbered).collect())
            .await
            .unwrap();
    }
    let reader = place.reader();
    let mut search = reader.search(Query::default()).unwrap();
    let mut count = 0;
    while let Some(stored) = search.next() {
        assert_eq!(
            task(stored.unwrap().entry.record().unwrap()),
            count.to_string()
        );
        assert!(search.held() < 1000);
        count += 1;
    }
    assert_eq!(count, 5100);
    let (last, _) = reader.tail(Query::default(), 2510).unwrap();
    assert_eq!(
        tasks(last),
        (2590..5100).map(|n| n.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_search_since_skips_old_periods_but_no_late_record() {
    static HOUR: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
    let place = Place::new();
    let start = at("2026-11-18T00:00:00Z");
    let now = || {
        let start: Timestamp = "2026-11-18T00:00:00Z".parse().unwrap();
        start + jiff::SignedDuration::from_hours(HOUR.load(std::sync::atomic::Ordering::SeqCst))
    };
    let journal = Journal::open(
        &place.path(),
        JournalOptions {
            now,
            ..JournalOptions::default()
        },
    )
    .unwrap();
    for hour in 0..72 {
        HOUR.store(hour, std::sync::atomic::Ordering::SeqCst);
        let received = start + jiff::SignedDuration::from_hours(hour);
        journal
            .submit(vec![of_task(
                &Fields {
                    received,
                    ..fields()
                },
                hour,
            )])
            .await
            .unwrap();
    }
    for hour in [0, 1, 23, 24, 25, 47, 48, 71, 72] {
        let since = Some(start + jiff::SignedDuration::from_hours(hour));
        let reader = place.reader();
        let found = reader
            .search(Query {
                since,
                ..Query::default()
            })
            .unwrap();
        let expected: Vec<_> = (hour..72).map(|n| n.to_string()).collect();
        assert_eq!(tasks(found.map(Result::unwrap)), expected);
    }
}

#[tokio::test]
async fn tail_shows_the_last_ones_and_then_what_comes() {
    let place = Place::new();
    let journal = filled(&place).await;
    let reader = place.reader();
    let (last, mut tail) = reader
        .tail(
            Query {
                command: Some(CommandGlob::new("show*")),
                ..Query::default()
            },
            2,
        )
        .unwrap();
    assert_eq!(tasks(last), ["d", "e"]);
    let mut follow = || {
        let mut new = Vec::new();
        while let Some(some) = tail.poll().unwrap() {
            new.extend(some.into_iter().map(Result::unwrap));
        }
        tasks(new)
    };
    assert_eq!(follow(), [""; 0]);
    journal.submit(vec![numbered("f")]).await.unwrap();
    journal
        .submit(vec![
            of_task(
                &Fields {
                    command: b"reload",
                    ..fields()
                },
                "g",
            ),
            numbered("h"),
        ])
        .await
        .unwrap();
    assert_eq!(follow(), ["f", "h"]);
    assert_eq!(follow(), [""; 0]);
    journal
        .submit((0..2500).map(numbered).collect())
        .await
        .unwrap();
    assert_eq!(follow().len(), 2500);
    let (none, _) = reader.tail(Query::default(), 0).unwrap();
    assert_eq!(none, []);
}

#[tokio::test]
async fn a_reader_in_the_middle_never_holds_up_the_writer() {
    let place = Place::new();
    let journal = place.journal();
    journal
        .submit((0..1500).map(numbered).collect())
        .await
        .unwrap();
    let reader = place.reader();
    let mut search = reader.search(Query::default()).unwrap();
    search.next().unwrap().unwrap();
    let raw = rusqlite::Connection::open(place.path()).unwrap();
    raw.execute_batch("BEGIN; SELECT count(*) FROM journal_meta;")
        .unwrap();
    for number in 1500..1600 {
        journal.submit(vec![numbered(number)]).await.unwrap();
    }
    // The search ends where the journal ended when it began.
    assert_eq!(search.count(), 1499);
}

#[tokio::test]
async fn a_journal_can_be_read_without_a_server_and_after_a_crash() {
    let place = Place::new();
    let journal = place.journal();
    journal.submit(vec![numbered(1)]).await.unwrap();
    // What a crash leaves: the files as they are now.
    let crashed = Place::new();
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(
            place.folder.path().join(name),
            crashed.folder.path().join(name),
        )
        .unwrap();
    }
    assert_eq!(crashed.tasks(), ["1"]);
    drop(journal);
    assert_eq!(place.tasks(), ["1"]);
    // A name with characters that mean something in a URI.
    let odd = place.folder.path().join("a b?c#d%e.db");
    std::fs::copy(place.path(), &odd).unwrap();
    assert_eq!(
        Reader::open(&odd)
            .unwrap()
            .search(Query::default())
            .unwrap()
            .count(),
        1
    );
}

#[tokio::test]
async fn an_unreadable_row_is_reported_and_the_others_are_found() {
    let place = Place::new();
    let journal = place.journal();
    journal
        .submit((0..3).map(numbered).collect())
        .await
        .unwrap();
    let raw = rusqlite::Connection::open(place.path()).unwrap();
    raw.execute(
        "UPDATE journal_rows_1 SET row = x'ff' WHERE position = 2",
        [],
    )
    .unwrap();
    let found: Vec<_> = place.reader().search(Query::default()).unwrap().collect();
    assert_eq!(found.len(), 3);
    assert!(matches!(
        found[1],
        Err(JournalError::Malformed(Position(2)))
    ));
    assert_eq!(
        tasks(journal.cursor("sink").await.unwrap().read(10).unwrap()),
        ["0", "2"]
    );
}
