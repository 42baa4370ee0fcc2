//! A journal that cannot be written: accounting says so, and everything else goes on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Place, Server, doorward_through, stdout};
use crate::wire::{Peer, acct, author, pap};

const SUCCESS: u8 = 1;
const ERROR: u8 = 2;

/// The task ids by the answer that their records got.
#[derive(Default)]
struct Answered {
    success: BTreeSet<String>,
    error: BTreeSet<String>,
    last: u32,
}

impl Answered {
    /// Sends one record on a connection of its own.
    fn account(&mut self, place: &Place, server: &Server) -> u8 {
        self.last += 1;
        let name = format!("task_id={}", self.last);
        let mut peer = Peer::plain(server.plain(), place);
        let reply = peer.ask(acct(
            self.last,
            2,
            "alice",
            &[&name, "service=shell", "cmd=show"],
        ));
        let status = reply.body[4];
        match status {
            SUCCESS => self.success.insert(name),
            ERROR => self.error.insert(name),
            other => panic!("status {other}"),
        };
        status
    }

    /// Sends records until one gets this answer.
    fn account_until(&mut self, status: u8, place: &Place, server: &Server) {
        let deadline = Instant::now() + PATIENCE;
        while self.account(place, server) != status {
            assert!(Instant::now() < deadline, "no record was answered {status}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Every record that was acknowledged can be read, and no other.
    fn compare(&self, search: &Output) {
        assert!(search.status.success(), "{search:?}");
        let found: Vec<String> = stdout(search)
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["args"][0].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(found.len(), self.success.len(), "none is there twice");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), self.success);
        assert!(!self.error.is_empty());
    }
}

/// What a device asks for while the journal cannot be written.
fn others_are_served(place: &Place, server: &Server) {
    let password = place.text("alice.password");
    let mut peer = Peer::plain(server.plain(), place);
    assert_eq!(peer.ask(pap(1, "alice", &password)).body[0], 1);
    let mut peer = Peer::tls(server.tls(), place, "core1").unwrap();
    assert_eq!(peer.ask(pap(1, "alice", "wrong")).body[0], 2);
    let ask = |arguments: &[&str]| {
        let mut peer = Peer::plain(server.plain(), place);
        peer.ask(author(1, "alice", arguments)).body[0]
    };
    assert_eq!(ask(&["service=shell", "cmd=show", "cmd-arg=version"]), 1);
    assert_eq!(ask(&["service=shell", "cmd=reload"]), 0x10);
}

/// The story of both tests: it works, it cannot, it works again.
fn tell(
    place: &Place,
    server: &mut Server,
    fill: impl FnOnce(&Server),
    room: impl FnOnce(&Server),
) -> Answered {
    let mut answered = Answered::default();
    assert_eq!(answered.account(place, server), SUCCESS);
    fill(server);
    answered.account_until(ERROR, place, server);
    for _ in 0..20 {
        answered.account(place, server);
    }
    server.wait_for_log(&["the journal cannot be written"]);
    others_are_served(place, server);
    // Their denials were counted and logged, and that is all it cost.
    server.wait_for_log(&["\"reason\":\"decision-not-kept\""]);
    room(server);
    answered.account_until(SUCCESS, place, server);
    for _ in 0..5 {
        assert_eq!(answered.account(place, server), SUCCESS);
    }
    server.wait_for_log(&["the journal can be written again"]);
    let denied = author(1, "alice", &["service=shell", "cmd=erase"]);
    assert_eq!(Peer::plain(server.plain(), place).ask(denied).body[0], 0x10);
    answered
}

fn limit_files(server: &Server, limit: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), limit])
        .status()
        .unwrap();
    assert!(status.success());
}

/// The operating system refuses every write to a file. SIGXFSZ, which comes with it, is ignored as a service manager would have it.
///
/// proves: TAC-7.2-1, TAC-7.2-2, D05-6.2-1
#[test]
fn without_a_writable_journal_nothing_is_acknowledged() {
    // The plain connections speak the old dialect, which asks for the same.
    let place = Place::with(&[(
        "tags          = [\"role:access\"]",
        "tags          = [\"role:access\"]\ndialect       = \"draft-05\"",
    )]);
    let mut server = place.start_through(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"], "debug");
    let answered = tell(
        &place,
        &mut server,
        |server| limit_files(server, "--fsize=0:unlimited"),
        |server| limit_files(server, "--fsize=unlimited:unlimited"),
    );
    // What is acknowledged is there, whatever happens next.
    server.kill();
    answered.compare(&place.ask(&["acct", "search", "--json"]));
}

/// Whether this test may mount; as root in a container it may or may not.
fn can_mount(place: &Place) -> bool {
    let status = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none"])
        .arg(place.path("disk"))
        .status();
    status.is_ok_and(|status| status.success())
}

/// A disk of its own, which the test fills up. Where nothing can be mounted, the limit of the test above stands in for it.
///
/// proves: TAC-7.2-2
#[test]
fn a_full_disk_is_an_error_until_there_is_room() {
    let place = Place::with(&[(
        "journal = \"doorward.db\"",
        "journal = \"disk/doorward.db\"",
    )]);
    let disk = place.path("disk");
    std::fs::create_dir(&disk).unwrap();
    if !can_mount(&place) {
        eprintln!("no tmpfs can be mounted here: the disk is a limit of the operating system");
        return without_a_writable_journal_nothing_is_acknowledged();
    }
    let disk = disk.to_str().unwrap();
    let mount = "mount -t tmpfs -o size=4m none \"$0\" && exec \"$@\"";
    let mut server = place.start_through(&["unshare", "-m", "sh", "-c", mount, disk], "debug");
    let filler = |server: &Server| {
        PathBuf::from(format!("/proc/{}", server.pid()))
            .join("root")
            .join(disk.trim_start_matches('/'))
            .join("filler")
    };
    let answered = tell(
        &place,
        &mut server,
        |server| {
            let mut file = File::create(filler(server)).unwrap();
            let error = loop {
                if let Err(error) = file.write_all(&[0; 1024]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        },
        |server| std::fs::remove_file(filler(server)).unwrap(),
    );
    // The disk is gone with the last process that sees it, so it is read from inside.
    let pid = server.pid().to_string();
    let search = doorward_through(&["nsenter", "-m", "-t", &pid])
        .args(["acct", "search", "--json", "--config"])
        .arg(place.config())
        .output()
        .unwrap();
    answered.compare(&search);
}
