//! Passwords changed through a device (RFC 8907 section 5.4.2.7).

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Place, Server, code, stdout};
use crate::sessions::{ERROR, FAIL, GETDATA, GETPASS, GETUSER, PASS, everywhere};
use crate::wire::{Packet, Peer, answer, pap, start};

const NEW: &str = "Fresh-password-7";

/// A store of its own, so that it can be taken away.
fn place() -> Place {
    let place = Place::with(&[("sqlite:doorward.db", "sqlite:store/users.db")]);
    std::fs::create_dir(place.path("store")).unwrap();
    place
}

fn change(session: u32, user: &str) -> Packet {
    start([2, 1, 1, 1], session, user.as_bytes(), b"")
}

/// The whole dialogue, with its last status.
fn dialogue(peer: &mut Peer, user: &str, old: &str, new: &str) -> u8 {
    let reply = peer.ask(change(1, user));
    assert_eq!((reply.body[0], reply.body[1]), (GETDATA, 1), "no echo");
    let reply = peer.ask(answer(1, 3, old));
    assert_eq!((reply.body[0], reply.body[1]), (GETPASS, 1), "no echo");
    let reply = peer.ask(answer(1, 5, new));
    assert_eq!((reply.body[0], reply.body[1]), (GETPASS, 1), "no echo");
    peer.ask(answer(1, 7, new)).body[0]
}

fn passes(place: &Place, server: &Server, password: &str) -> bool {
    let mut answers = Vec::new();
    answers.push(
        Peer::plain(server.plain(), place)
            .ask(pap(1, "alice", password))
            .body[0],
    );
    let mut peer = Peer::tls(server.tls(), place, "core1").unwrap();
    answers.push(peer.ask(pap(1, "alice", password)).body[0]);
    assert_eq!(answers[0], answers[1]);
    answers[0] == PASS
}

/// proves: TAC-5.4.2.7-1, TAC-5.4.2.7-2, TAC-5.4.2.7-3, TAC-5.4.2.7-4, TAC-5.4.2.7-5, D05-4.4.2-9, D05-4.4.2-2
#[test]
fn a_new_password_counts_at_once_after_a_restart_and_until_the_file_says_otherwise() {
    let place = place();
    let server = place.start();
    let old = place.text("alice.password");
    let mut peer = Peer::plain(server.plain(), &place);
    let reply = peer.ask(change(1, ""));
    assert_eq!(reply.body[0], GETUSER);
    assert_eq!(peer.ask(answer(1, 3, "alice")).body[0], GETDATA);
    assert_eq!(peer.ask(answer(1, 5, &old)).body[0], GETPASS);
    assert_eq!(peer.ask(answer(1, 7, NEW)).body[0], GETPASS);
    let reply = peer.ask(answer(1, 9, NEW));
    assert_eq!((reply.version, reply.body[0]), (0xc0, PASS));
    assert!(passes(&place, &server, NEW) && !passes(&place, &server, &old));
    let status = stdout(&place.ask(&["status"]));
    assert!(status.contains("not those of the file: alice"), "{status}");

    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert!(passes(&place, &server, NEW), "a reload keeps it");
    drop(server);
    let server = place.start();
    assert!(passes(&place, &server, NEW) && !passes(&place, &server, &old));
    let check = place.check();
    let text = stdout(&check);
    assert!(text.contains("[user.alice] is not in force"), "{text}");

    // The administrator's new value wins, and the changed one never comes back.
    let before = place.text("alice.hash");
    std::fs::copy(place.path("bob.hash"), place.path("alice.hash")).unwrap();
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert!(passes(&place, &server, &place.text("bob.password")));
    assert!(!passes(&place, &server, NEW));
    std::fs::write(place.path("alice.hash"), before).unwrap();
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert!(passes(&place, &server, &old) && !passes(&place, &server, NEW));
}

#[test]
fn only_who_knows_the_old_password_may_and_only_to_a_good_one() {
    let place = place();
    let server = place.start();
    let old = place.text("alice.password");
    everywhere(&place, &server, |connect, kind| {
        assert_eq!(
            dialogue(&mut connect(), "alice", "wrong", NEW),
            FAIL,
            "{kind}"
        );
        assert_eq!(
            dialogue(&mut connect(), "mallory", &old, NEW),
            FAIL,
            "{kind}"
        );
        // Three that will not do, each with a reason to read.
        let mut peer = connect();
        assert_eq!(peer.ask(change(1, "alice")).body[0], GETDATA);
        assert_eq!(peer.ask(answer(1, 3, &old)).body[0], GETPASS);
        for (seq, (bad, why)) in [("Short-1", "12 characters"), ("onlysmallletters", "3 of")]
            .into_iter()
            .enumerate()
        {
            let seq = 5 + 2 * u8::try_from(seq).unwrap();
            let reply = peer.ask(answer(1, seq, bad));
            assert_eq!(reply.body[0], GETPASS, "{kind} {bad}");
            let prompt = String::from_utf8_lossy(&reply.body[6..]);
            assert!(prompt.contains(why), "{prompt}");
        }
        assert_eq!(
            peer.ask(answer(1, 9, &old)).body[0],
            FAIL,
            "{kind} the old one"
        );
    });
    assert!(passes(&place, &server, &old) && !passes(&place, &server, NEW));
}

/// Whom no rule lets in here changes nothing here.
#[test]
fn a_user_who_may_not_log_in_here_changes_nothing() {
    let place = place();
    let server = place.start();
    let old = place.text("bob.password");
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(dialogue(&mut peer, "bob", &old, NEW), FAIL);
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(peer.ask(pap(1, "bob", &old)).body[0], PASS);
}

/// A store that cannot take it is a fault: ERROR, the old password stays, logins go on; and it mends itself.
/// proves: TAC-4.4-3
#[test]
fn a_change_that_cannot_be_stored_is_an_error() {
    let place = place();
    let mut server = place.start();
    let old = place.text("alice.password");
    let folder = place.path("store");
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(dialogue(&mut peer, "alice", &old, NEW), ERROR);
    server.wait_for_log(&["change-not-stored"]);
    assert!(passes(&place, &server, &old) && !passes(&place, &server, NEW));
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    drop(server);
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(dialogue(&mut peer, "alice", &old, NEW), PASS);
    let store = std::fs::metadata(folder.join("users.db")).unwrap();
    assert_eq!(store.permissions().mode() & 0o077, 0);
    let octets = std::fs::read(folder.join("users.db")).unwrap();
    let text = String::from_utf8_lossy(&octets);
    assert!(text.contains("$argon2id$") && !text.contains(NEW));
}

/// proves: TAC-5.4.2-1
#[test]
fn where_changes_are_off_they_fail() {
    let place = place();
    place.edit(&[(
        "[role.watcher]",
        "[password_policy]\nchange = false\n\n[role.watcher]",
    )]);
    let mut server = place.start();
    let reply = Peer::plain(server.plain(), &place).ask(change(1, "alice"));
    assert_eq!(reply.body[0], FAIL);
    server.wait_for_log(&["flow-not-offered", "password change"]);
}

/// A remembered password is not remembered any longer once it was changed.
#[test]
fn what_was_remembered_is_forgotten() {
    let place = place();
    place.edit(&[(
        "[role.watcher]",
        "[authentication]\nremember = \"1h\"\n\n[role.watcher]",
    )]);
    let server = place.start();
    let old = place.text("alice.password");
    assert!(passes(&place, &server, &old));
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(dialogue(&mut peer, "alice", &old, NEW), PASS);
    assert!(!passes(&place, &server, &old) && passes(&place, &server, NEW));
}

#[test]
fn a_store_that_is_broken_at_the_start_stops_it() {
    let place = place();
    std::fs::write(
        place.path("store").join("users.db"),
        "no database".repeat(500),
    )
    .unwrap();
    let output = place.ask(&["run"]);
    assert_eq!(code(&output), 1);
    let text = crate::harness::stderr(&output);
    assert!(
        text.contains("changed passwords") && text.contains("users.db"),
        "{text}"
    );
}
