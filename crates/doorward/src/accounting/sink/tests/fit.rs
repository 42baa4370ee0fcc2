//! Sinks come and go with the configuration.

use super::*;
use crate::accounting::DecisionRecord;

#[tokio::test]
async fn a_sink_that_keeps_its_name_goes_on_where_it_was() {
    let place = Place::new();
    let (first, second) = (place.path("first"), place.path("second"));
    let sinks = place.sinks();
    sinks.fit(&[jsonl("file", &first)]).await;
    place.record(0..4).await;
    until(&sinks, done).await;
    sinks.fit(&[jsonl("file", &second)]).await;
    place.record(4..9).await;
    until(&sinks, |stats| done(stats) && stats.delivered == 9).await;
    let count = |path| std::fs::read_to_string(path).unwrap().lines().count();
    assert_eq!((count(&first), count(&second)), (4, 5));
}

#[tokio::test]
async fn a_new_sink_gets_what_is_kept_and_one_that_is_gone_is_forgotten() {
    let place = Place::new();
    let (a, b) = (place.path("a"), place.path("no folder/b"));
    let sinks = place.sinks();
    sinks.fit(&[jsonl("a", &a)]).await;
    place.record(0..6).await;
    until(&sinks, done).await;
    let both = [jsonl("b", &b), jsonl("a", &a)];
    assert!(sinks.fit(&both).await.is_empty());
    let stats = until(&sinks, |stats| down(stats) && stats.depth == 6).await;
    assert_eq!(&*stats.name, "b", "in the order of the file");
    let names = || -> Vec<String> {
        let list = place.journal.cursors().list().unwrap();
        list.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(), ["sink:a", "sink:b"]);
    sinks.fit(&both[1..]).await;
    assert_eq!(
        (names(), sinks.stats().len()),
        (vec!["sink:a".to_owned()], 1)
    );
    // A sink that was taken out of the file while no server ran; a cursor of somebody else stays.
    drop(place.journal.cursor("other").await.unwrap());
    sinks.stop().await;
    let sinks = place.sinks();
    sinks.fit(&[]).await;
    assert_eq!(names(), ["other"]);
    assert!(sinks.stats().is_empty());
}

#[tokio::test]
async fn a_sink_that_is_down_does_not_hold_up_a_stop() {
    let place = Place::new();
    let sinks = place.sinks();
    sinks
        .fit(&[jsonl("file", &place.path("no folder/a"))])
        .await;
    place.record(0..6).await;
    until(&sinks, |stats| down(stats) && stats.depth == 6).await;
    let began = Instant::now();
    sinks.stop().await;
    assert!(began.elapsed() < QUICK.last, "{:?}", began.elapsed());
    // After the end nothing starts any more.
    sinks.fit(&[jsonl("file", &place.path("a"))]).await;
    assert!(sinks.stats().is_empty() && !place.path("a").exists());
}

/// The files of the journal were replaced under the server: positions begin anew.
#[tokio::test]
async fn a_journal_that_begins_anew_is_delivered_too() {
    let place = Place::new();
    let path = place.path("a.jsonl");
    let sinks = place.sinks();
    sinks.fit(&[jsonl("file", &path)]).await;
    place.record(0..8).await;
    until(&sinks, done).await;
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        _ = std::fs::remove_file(place.path(name));
    }
    place.record(8..11).await;
    until(&sinks, |stats| done(stats) && stats.delivered == 11).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().skip(8).collect::<Vec<_>>(), place.lines());
}

#[tokio::test]
async fn decisions_are_handed_on_only_where_they_are_asked_for() {
    let place = Place::new();
    let (with, without) = (place.path("with"), place.path("without"));
    let sinks = place.sinks();
    let both = Sink {
        decisions: true,
        ..jsonl("with", &with)
    };
    sinks.fit(&[both, jsonl("without", &without)]).await;
    place.record(0..2).await;
    for _ in 0..30 {
        let mut decisions = vec![DecisionRecord::new(&decision(), [])];
        place.journal.add_decisions(&mut decisions).unwrap();
    }
    // They ride with the next transaction, if not with one before.
    place.record(2..4).await;
    let deadline = Instant::now() + PATIENCE;
    let delivered = || -> Vec<(u64, u64)> {
        let stats = sinks.stats();
        stats.iter().map(|one| (one.depth, one.delivered)).collect()
    };
    while delivered() != [(0, 34), (0, 4)] {
        assert!(Instant::now() < deadline, "it stays at {:?}", sinks.stats());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let kinds = |path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let kind = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].clone();
        let mut kinds: Vec<String> = text.lines().map(|line| kind(line).to_string()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(&with), [r#""authorization""#, r#""stop""#]);
    assert_eq!(kinds(&without), [r#""stop""#]);
}
