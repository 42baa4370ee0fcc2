//! Tasks without an end.

use super::*;
use crate::accounting::{OpenTask, OpenTasks};

fn record(device: &str, kind: Kind, minute: u8, task: &str) -> Record {
    let received = format!("2026-11-20T10:{minute:02}:00Z");
    of_task(
        &Fields {
            device,
            kind,
            received: at(&received),
            command: b"",
            ..fields()
        },
        task,
    )
}

fn open(place: &Place, query: &Query) -> Vec<(String, String, String)> {
    let tasks = place.reader().open_tasks(query, |error| panic!("{error}"));
    let text = |task: OpenTask| {
        let EntryView::Accounting(view) = task.began.entry.view().unwrap() else {
            panic!("a record began it")
        };
        let argument = view
            .arguments
            .map(|one| String::from_utf8_lossy(one).into_owned());
        let task_id = argument
            .into_iter()
            .find(|one| one.starts_with("task_id"))
            .unwrap();
        (
            format!("{} {task_id}", view.fields.device),
            view.fields.received.to_string(),
            task.last_seen.to_string(),
        )
    };
    tasks.unwrap().tasks.into_iter().map(text).collect()
}

fn time(minute: u8) -> String {
    format!("2026-11-20T10:{minute:02}:00Z")
}

#[tokio::test]
async fn a_start_is_open_until_its_stop_on_its_device() {
    let place = Place::new();
    let journal = place.journal();
    let records = vec![
        record("core1", Kind::Start, 0, "1"),
        record("core1", Kind::Start, 1, "2"),
        record("core2", Kind::Start, 2, "1"),
        record("core1", Kind::Stop, 3, "1"),
        record("core1", Kind::Watchdog, 4, "2"),
        record("core1", Kind::Update, 5, "2"),
        // Its start is not here.
        record("core1", Kind::Update, 6, "3"),
        record("core1", Kind::Stop, 7, "4"),
        // Begun twice: the first was never ended, and is no longer what the id stands for.
        record("core2", Kind::Start, 8, "5"),
        record("core2", Kind::Start, 9, "5"),
    ];
    journal.submit(records).await.unwrap();
    let all = open(&place, &Query::default());
    let expected = [
        ("core1 task_id=2", 1, 5),
        ("core2 task_id=1", 2, 2),
        ("core1 task_id=3", 6, 6),
        ("core2 task_id=5", 9, 9),
    ]
    .map(|(task, since, seen)| (task.to_owned(), time(since), time(seen)));
    assert_eq!(all, expected);
    let of_core2 = Query {
        device: Some("core2".into()),
        ..Query::default()
    };
    assert_eq!(
        open(&place, &of_core2),
        [expected[1].clone(), expected[3].clone()]
    );
    let since = Query {
        since: Some(at(&time(7))),
        ..Query::default()
    };
    assert_eq!(open(&place, &since), [expected[3].clone()]);
    journal
        .submit(vec![record("core2", Kind::Stop, 10, "5")])
        .await
        .unwrap();
    assert_eq!(open(&place, &Query::default()).len(), 3);
}

/// The stop of a command does not name it: conditions are for what began.
#[tokio::test]
async fn conditions_are_those_of_the_first_record() {
    let place = Place::new();
    let journal = place.journal();
    let begin = |user: &'static [u8], command: &'static [u8], task| {
        of_task(
            &Fields {
                kind: Kind::Start,
                user,
                command,
                ..fields()
            },
            task,
        )
    };
    let end = |task| {
        of_task(
            &Fields {
                kind: Kind::Stop,
                user: b"",
                command: b"",
                ..fields()
            },
            task,
        )
    };
    let records = vec![
        begin(b"alice", b"copy flash:", "1"),
        begin(b"alice", b"show log", "2"),
        begin(b"bob", b"show log", "3"),
        end("2"),
    ];
    journal.submit(records).await.unwrap();
    let count = |user: Option<&str>, command: Option<&str>| {
        let query = Query {
            user: user.map(|user| user.as_bytes().to_vec()),
            command: command.map(CommandGlob::new),
            ..Query::default()
        };
        open(&place, &query).len()
    };
    assert_eq!(count(None, None), 2);
    assert_eq!(count(Some("alice"), None), 1);
    assert_eq!(count(Some("alice"), Some("show*")), 0);
    assert_eq!(count(None, Some("show*")), 1);
}

/// Devices that report starts and no ends must not take all the memory there is.
#[tokio::test]
async fn of_very_many_the_last_are_kept() {
    let place = Place::new();
    let journal = place.journal();
    let more = 1_234;
    let tasks: Vec<usize> = (0..OpenTasks::MOST + more).collect();
    for part in tasks.chunks(20_000) {
        let records = part
            .iter()
            .map(|task| record("core1", Kind::Start, 0, &task.to_string()));
        journal.submit(records.collect()).await.unwrap();
    }
    let found = place
        .reader()
        .open_tasks(&Query::default(), |error| panic!("{error}"))
        .unwrap();
    assert_eq!((found.tasks.len(), found.left_out), (OpenTasks::MOST, more));
    let EntryView::Accounting(view) = found.tasks[0].began.entry.view().unwrap() else {
        panic!("a record began it")
    };
    let first = view.arguments.last().unwrap();
    assert_eq!(first, format!("task_id={more}").as_bytes());
}
