//! The jsonl sink: rotation, crashes, files that cannot be written, and what the journal keeps meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_record_is_a_line_as_a_search_shows_it_also_over_restarts() {
    let place = Place::new();
    let path = place.path("a.jsonl");
    place.record(0..35).await;
    for round in 0..2 {
        let sinks = place.sinks();
        assert!(sinks.fit(&[jsonl("file", &path)]).await.is_empty());
        place.record(100 * round..100 * round + 7).await;
        let stats = until(&sinks, done).await;
        assert_eq!(stats.failures, 0);
        place.record(300..305).await;
        // What is committed is still delivered by a stop.
        sinks.stop().await;
        assert_eq!(lines(&path), place.lines());
    }
    assert_eq!(lines(&path).len(), 35 + 2 * 12);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[tokio::test]
async fn a_renamed_a_removed_and_a_replaced_file_are_noticed() {
    let place = Place::new();
    let (path, old) = (place.path("a.jsonl"), place.path("a.jsonl.1"));
    let sinks = place.sinks();
    sinks.fit(&[jsonl("file", &path)]).await;
    place.record(0..3).await;
    until(&sinks, done).await;
    fs::rename(&path, &old).unwrap();
    place.record(3..5).await;
    until(&sinks, |stats| done(stats) && stats.delivered == 5).await;
    assert_eq!(lines(&old), place.lines()[..3]);
    assert_eq!(lines(&path), place.lines()[3..]);
    fs::remove_file(&path).unwrap();
    place.record(5..6).await;
    until(&sinks, |stats| done(stats) && stats.delivered == 6).await;
    assert_eq!(lines(&path), place.lines()[5..]);
    let other = place.path("other");
    fs::write(&other, "kept\n").unwrap();
    fs::rename(&other, &path).unwrap();
    place.record(6..7).await;
    until(&sinks, |stats| done(stats) && stats.delivered == 7).await;
    assert_eq!(lines(&path), ["kept", &place.lines()[6]]);
    // Rotation with a reload: the new file is there at once, as a program that reads it expects.
    fs::rename(&path, &old).unwrap();
    sinks.fit(&[jsonl("file", &path)]).await;
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < deadline, "no new file after a reload");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn what_a_crash_left_of_a_line_is_cut_off() {
    let place = Place::new();
    let path = place.path("a.jsonl");
    let long = "x".repeat(200_000);
    for (left, kept) in [
        ("whole\n{\"id\":\"half", vec!["whole"]),
        ("only half", vec![]),
        ("whole\n\0\0\0\0", vec!["whole"]),
        (&*format!("a\nb\n{long}"), vec!["a", "b"]),
        ("whole\n", vec!["whole"]),
    ] {
        fs::write(&path, left).unwrap();
        let sinks = place.sinks();
        sinks.fit(&[jsonl("file", &path)]).await;
        place.record(0..1).await;
        until(&sinks, done).await;
        sinks.stop().await;
        let found = lines(&path);
        let (last, before) = found.split_last().unwrap();
        assert_eq!(before, kept);
        assert_eq!(Some(last), place.lines().last());
    }
}

#[tokio::test]
async fn a_missing_folder_costs_nothing_but_time() {
    let place = Place::new();
    let path = place.path("late/a.jsonl");
    let sinks = place.sinks();
    sinks.fit(&[jsonl("file", &path)]).await;
    // It is known without any record.
    let stats = until(&sinks, down).await;
    let error = stats.error.unwrap();
    assert!(
        error.contains("late/a.jsonl cannot be opened: No such file"),
        "{error}"
    );
    place.record(0..40).await;
    let stats = until(&sinks, |stats| {
        stats.failures > 3 && stats.lag > Duration::ZERO
    })
    .await;
    assert_eq!((stats.depth, stats.delivered), (40, 0));
    assert!(
        stats.lag > Duration::from_secs(3600),
        "by the time of the record: {stats:?}"
    );
    fs::create_dir(place.path("late")).unwrap();
    let stats = until(&sinks, done).await;
    assert_eq!(
        (stats.lag, stats.error, stats.delivered),
        (Duration::ZERO, None, 40)
    );
    assert_eq!(lines(&path), place.lines());
}

#[tokio::test]
async fn what_is_no_file_is_never_opened() {
    let place = Place::new();
    let pipe = place.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [place.folder.path(), &pipe, Path::new("/dev/full")] {
        let sinks = place.sinks();
        sinks.fit(&[jsonl("file", path)]).await;
        let error = until(&sinks, down).await.error.unwrap();
        assert!(error.ends_with("is no regular file"), "{error}");
        sinks.stop().await;
    }
}

#[tokio::test]
async fn retention_waits_for_a_sink_that_is_down() {
    const DAY: i64 = 86_400;
    static NOW: AtomicI64 = AtomicI64::new(20_000 * DAY);
    let place = Place::with(JournalOptions {
        keep: Some(Duration::from_secs(86_400)),
        now: || Timestamp::from_second(NOW.load(Ordering::SeqCst)).unwrap(),
        ..JournalOptions::default()
    });
    let path = place.path("late/a.jsonl");
    let sinks = place.sinks();
    sinks.fit(&[jsonl("file", &path)]).await;
    until(&sinks, down).await;
    for day in 20_000..20_010 {
        NOW.store(day * DAY, Ordering::SeqCst);
        place.record(0..5).await;
    }
    let all = place.lines();
    assert_eq!(all.len(), 50, "nothing was dropped");
    fs::create_dir(place.path("late")).unwrap();
    until(&sinks, done).await;
    assert_eq!(lines(&path), all);
    // And goes on once it has delivered.
    NOW.store(20_020 * DAY, Ordering::SeqCst);
    place.record(0..1).await;
    until(&sinks, |stats| done(stats) && stats.delivered == 51).await;
    NOW.store(20_021 * DAY, Ordering::SeqCst);
    place.record(0..1).await;
    until(&sinks, |stats| done(stats) && stats.delivered == 52).await;
    // One old table goes after each of these.
    for _ in 0..20 {
        place.journal.drop_cursor("no such cursor").await.unwrap();
    }
    assert!(place.lines().len() < 10, "{}", place.lines().len());
}
