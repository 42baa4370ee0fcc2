//! `tolerate`: what a device is let off, that it is counted, and that without it nothing changes.

use std::time::Instant;

use crate::dialects::{SHOW, demo_with};
use crate::exposition::Page;
use crate::harness::{PATIENCE, Place, Server, stdout};
use crate::sessions::{ACCT_ERROR, AUTHOR_FAIL, GETPASS, PASS, PASS_ADD, SUCCESS};
use crate::wire::{AUTHORIZATION, Packet, Peer, acct, answer, ascii, author};

/// Waits until so many uses are counted; a page of metrics may be some milliseconds old.
fn assert_uses(server: &Server, device: &str, tolerance: &str, wanted: Option<f64>) {
    let address = server.ready["metrics"].as_str().unwrap().parse().unwrap();
    let series =
        format!("doorward_tolerated_total{{device=\"{device}\",tolerance=\"{tolerance}\"}}");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counted = Page::scrape(address).get(&series);
        if counted == wanted {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{series}: {counted:?} instead of {wanted:?}"
        );
        std::thread::yield_now();
    }
}

/// Sends octets as they are; the reply, if there is one before the end.
fn raw(mut peer: Peer, octets: &[u8]) -> Option<Packet> {
    peer.write(octets).unwrap();
    peer.receive().ok()
}

#[test]
fn a_set_flag_without_tls_is_tolerated_where_it_says_so_and_counted() {
    let place = demo_with("tolerate = [\"flag-set-on-plain\"]", "");
    let mut server = place.start();
    assert_uses(&server, "old-sw7", "flag-set-on-plain", Some(0.0));
    let mut peer = Peer::plain(server.plain(), &place);
    let reply = peer.ask(author(1, "alice", &SHOW).flags(5));
    assert_eq!((reply.body[0], reply.flags), (PASS_ADD, 4));
    let reply = peer.ask(ascii(2, "alice", "").flags(1));
    assert_eq!((reply.body[0], reply.flags & 1), (GETPASS, 0));
    let password = place.text("alice.password");
    let reply = peer.ask(answer(2, 3, &password).flags(1));
    assert_eq!(reply.body[0], PASS);
    assert_eq!(peer.ask(author(3, "alice", &SHOW)).body[0], PASS_ADD);
    assert_uses(&server, "old-sw7", "flag-set-on-plain", Some(3.0));
    let line = server.wait_for_log(&["flag-set-on-plain"]);
    assert!(line.contains("old-sw7"), "{line}");

    // The flag never makes clear text of a body.
    let clear = author(4, "alice", &SHOW).flags(1).octets(None);
    let reply = raw(Peer::plain(server.plain(), &place), &clear).unwrap();
    assert_eq!((reply.kind, reply.body[0]), (AUTHORIZATION, 0x11));
    let (_, log) = server.stop();
    assert!(log.contains("secret-mismatch"), "{log}");
    let told = log
        .lines()
        .filter(|line| line.contains("flag-set-on-plain"));
    assert!(told.count() <= 1, "only the first use is told");
}

/// proves: TAC-10.5.2-1
#[test]
fn a_clear_flag_over_tls_is_tolerated_where_it_says_so_and_counted() {
    let place = demo_with("", "tolerate = [\"flag-clear-on-tls\"]");
    let server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    for session in 1..=3 {
        let request = author(session, "alice", &SHOW).flags(4).octets(None);
        peer.write(&request).unwrap();
        let reply = peer.receive().unwrap();
        assert_eq!((reply.body[0], reply.flags), (PASS_ADD, 5));
    }
    assert_uses(&server, "core1", "flag-clear-on-tls", Some(3.0));
    // The other device has no such word.
    let set = author(4, "alice", &SHOW).flags(1);
    let octets = Peer::plain(server.plain(), &place).octets(set);
    assert_eq!(raw(Peer::plain(server.plain(), &place), &octets), None);
    assert_uses(&server, "old-sw7", "flag-set-on-plain", None);
}

#[test]
fn bare_carriage_returns_and_empty_arguments_are_tolerated_where_it_says_so() {
    let bare = ["service=shell", "cmd=show", "cmd-arg=version", "<cr>"];
    let between = [
        "service=shell",
        "cmd=show",
        "cmd-arg=<cr>",
        "cmd-arg=running-config",
    ];
    let empty = ["service=shell", "", "cmd=show"];
    let at_end = [
        "service=shell",
        "cmd=show",
        "cmd-arg=version",
        "cmd-arg=<cr>",
    ];
    let ask = |server: &Server, place: &Place, request: Packet| {
        Peer::plain(server.plain(), place).ask(request).body
    };

    let strict = Place::demo();
    let server = strict.start();
    for (arguments, answer) in [
        (&bare[..], AUTHOR_FAIL),
        (&empty, AUTHOR_FAIL),
        // Between words it is a word like any other, and no rule of the demo denies `show <cr> running-config`.
        (&between, PASS_ADD),
        (&at_end, PASS_ADD),
    ] {
        let body = ask(&server, &strict, author(1, "alice", arguments));
        assert_eq!(body[0], answer, "{arguments:?}");
    }
    for arguments in [&bare[..], &empty] {
        let body = ask(&server, &strict, acct(1, 2, "alice", arguments));
        assert_eq!(body[4], ACCT_ERROR);
    }

    let place = demo_with("tolerate = [\"bare-cr\", \"empty-argument\"]", "");
    let server = place.start();
    let counted = |name: &str, wanted: f64| assert_uses(&server, "old-sw7", name, Some(wanted));
    for (arguments, answer, carriage_returns, empties) in [
        (&bare[..], PASS_ADD, 1.0, 0.0),
        (&empty, PASS_ADD, 1.0, 1.0),
        (&between, AUTHOR_FAIL, 2.0, 1.0),
        (&at_end, PASS_ADD, 2.0, 1.0),
    ] {
        let body = ask(&server, &place, author(1, "alice", arguments));
        assert_eq!(body[0], answer, "{arguments:?}");
        counted("bare-cr", carriage_returns);
        counted("empty-argument", empties);
    }
    for arguments in [&bare[..], &empty, &at_end] {
        let body = ask(&server, &place, acct(1, 2, "alice", arguments));
        assert_eq!(body[4], SUCCESS, "{arguments:?}");
    }
    counted("bare-cr", 3.0);
    counted("empty-argument", 2.0);
    // What is no argument is none in the record either, and what is one stays.
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    let records: Vec<serde_json::Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records[0]["args"], serde_json::json!(bare[..3]));
    assert_eq!(
        records[1]["args"],
        serde_json::json!(["service=shell", "cmd=show"])
    );
    assert_eq!(records[2]["args"], serde_json::json!(at_end));
    // Anything else that is no argument is refused all the same.
    for wrong in ["<CR>", "cr", "=x"] {
        let arguments = ["service=shell", "cmd=show", wrong];
        let body = ask(&server, &place, author(1, "alice", &arguments));
        assert_eq!(body[0], AUTHOR_FAIL, "{wrong}");
        let body = ask(&server, &place, acct(1, 2, "alice", &arguments));
        assert_eq!(body[4], ACCT_ERROR, "{wrong}");
    }
}
