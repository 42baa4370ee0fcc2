//! An acknowledged record is on the disk: SIGKILL at any moment under load loses none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Place, stdout};
use crate::wire::{Peer, acct};

#[test]
fn kill_9_under_load_loses_no_acknowledged_record() {
    let place = Arc::new(Place::demo());
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..3 {
        let server = place.start();
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (place, stop, count) =
                    (Arc::clone(&place), Arc::clone(&stop), Arc::clone(&count));
                let (tls, plain) = (server.tls(), server.plain());
                std::thread::spawn(move || {
                    let mut peer = if worker % 2 == 0 {
                        Peer::tls(tls, &place, "core1").unwrap()
                    } else {
                        Peer::plain(plain, &place)
                    };
                    let mut mine = Vec::new();
                    let mut number = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        let window = if number == 0 { 1 } else { 16 };
                        let names: Vec<String> = (0..window)
                            .map(|one| format!("{round}-{worker}-{}", number + one))
                            .collect();
                        let octets: Vec<u8> = names
                            .iter()
                            .zip(number + 1..)
                            .flat_map(|(name, session)| {
                                peer.octets(
                                    acct(
                                        session,
                                        2,
                                        "alice",
                                        &[&format!("task_id={name}"), "service=shell", "cmd=show"],
                                    )
                                    .flags(4),
                                )
                            })
                            .collect();
                        if peer.write(&octets).is_err() {
                            break;
                        }
                        for _ in 0..window {
                            let Ok(reply) = peer.receive() else {
                                return mine;
                            };
                            assert_eq!(reply.body[4], 1, "nothing is wrong with the disk");
                            mine.push(
                                names[usize::try_from(reply.session - number - 1).unwrap()].clone(),
                            );
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        number += window;
                    }
                    mine
                })
            })
            .collect();
        // A different amount of work before each kill, so that it falls at different moments.
        let deadline = Instant::now() + PATIENCE;
        while count.load(Ordering::Relaxed) < 500 + 777 * round && Instant::now() < deadline {
            std::thread::yield_now();
        }
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            acknowledged.extend(worker.join().unwrap());
        }
    }
    assert!(
        acknowledged.len() > 1500,
        "only {} records were acknowledged",
        acknowledged.len()
    );
    let found = place.ask(&["acct", "search", "--json"]);
    let found: std::collections::HashSet<String> = stdout(&found)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| {
            line["args"][0]
                .as_str()
                .unwrap()
                .strip_prefix("task_id=")
                .unwrap()
                .to_owned()
        })
        .collect();
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|name| !found.contains(*name))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged records are lost: {:?}",
        lost.len(),
        acknowledged.len(),
        lost.first()
    );
}

/// Many records share one commit when many come at once.
#[test]
fn commits_are_shared_under_load() {
    let place = Place::demo();
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(
        peer.ask(acct(1, 2, "alice", &["task_id=0"]).flags(4)).body[4],
        1
    );
    for burst in 0..20_u32 {
        let octets: Vec<u8> = (0..100)
            .flat_map(|one| {
                peer.octets(acct(2 + burst * 100 + one, 2, "alice", &["task_id=1"]).flags(4))
            })
            .collect();
        peer.write(&octets).unwrap();
        for _ in 0..100 {
            assert_eq!(peer.receive().unwrap().body[4], 1);
        }
    }
    let status: serde_json::Value =
        serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap();
    let (records, commits) = (
        status["journal"]["records"].as_u64().unwrap(),
        status["journal"]["commits"].as_u64().unwrap(),
    );
    assert_eq!(records, 2001);
    assert!(
        commits * 5 < records,
        "{records} records took {commits} commits"
    );
}

/// A stop that was asked for answers what was taken.
#[test]
fn sigterm_finishes_and_exits_0() {
    let place = Place::demo();
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(
        peer.ask(acct(1, 2, "alice", &["task_id=0"]).flags(4)).body[4],
        1
    );
    let since = Instant::now();
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "an idle single-connect connection does not hold up a stop"
    );
    assert_eq!(
        stdout(&place.ask(&["acct", "search", "--json"]))
            .lines()
            .count(),
        1
    );
}
