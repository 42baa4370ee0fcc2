//! `dialect` and `tolerate`: what they change, for whom, and that without them nothing changes.

use std::time::Instant;

use crate::exposition::Page;
use crate::harness::{PATIENCE, Place, Server, stdout};
use crate::sessions::{
    ACCT_ERROR, AUTHOR_FAIL, ERROR, FAIL, GETPASS, GETUSER, PASS, PASS_ADD, SUCCESS,
};
use crate::wire::{ACCOUNTING, AUTHENTICATION, AUTHORIZATION};
use crate::wire::{Packet, Peer, acct, answer, ascii, author, pap};

const SECRET: &str = "tacacs_secret = \"file:old-sw7.secret\"";
const CORE1: &str = "certificate = { dns = [\"core1.doorward.test\"] }";
const PLAIN: &str = "protocol = \"tacacs\" ";
const SHOW: [&str; 2] = ["service=shell", "cmd=show"];

/// The demo with one more line in its plain device, and one in the device with TLS.
fn demo_with(plain: &str, tls: &str) -> Place {
    Place::with(&[
        (SECRET, &format!("{SECRET}\n{plain}")),
        (CORE1, &format!("{CORE1}\n{tls}")),
    ])
}

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

fn sendauth(session: u32) -> Packet {
    let mut packet = pap(session, "alice", "x");
    packet.body[0] = 4;
    packet
}

/// START of a PAP login of the older form: without password, minor version 0.
fn old_pap(session: u32, user: &str) -> Packet {
    Packet {
        version: 0xc0,
        ..pap(session, user, "")
    }
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

/// What one connection of the plain device gets for what the dialects answer differently.
fn answers(server: &Server, place: &Place) -> (u8, u8) {
    let sent = Peer::plain(server.plain(), place).ask(sendauth(1));
    let old = Peer::plain(server.plain(), place).ask(old_pap(2, "alice"));
    (sent.body[0], old.body[0])
}

/// proves: D05-1-1, D05-4.4.2-1
#[test]
fn the_older_dialect_is_spoken_where_device_group_or_listener_say_so() {
    let group = "[device_group.core]";
    let old_group = "[device_group.old]\nmatch = { tag = [\"role:access\"] }\ndialect = \"draft-05\"\n[device_group.core]";
    let new = (FAIL, ERROR);
    let old = (ERROR, GETPASS);
    for (place, expected) in [
        (Place::demo(), new),
        (demo_with("dialect = \"draft-05\"", ""), old),
        (
            Place::with(&[(PLAIN, "dialect = \"draft-05\"\nprotocol = \"tacacs\" ")]),
            old,
        ),
        (Place::with(&[(group, old_group)]), old),
        (
            Place::with(&[
                (PLAIN, "dialect = \"draft-05\"\nprotocol = \"tacacs\" "),
                (group, old_group),
                (SECRET, &format!("{SECRET}\ndialect = \"rfc8907\"")),
            ]),
            new,
        ),
    ] {
        let server = place.start();
        assert_eq!(answers(&server, &place), expected);
    }
    // Over TLS there is only one.
    let place = demo_with("", "dialect = \"draft-05\"");
    let server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(peer.ask(sendauth(1)).body[0], FAIL);
}

/// proves: D05-4.4.1-2, D05-4.4.1-3, D05-4.4.2-2, D05-4.4-2
#[test]
fn the_flows_of_the_older_dialect() {
    let place = demo_with("dialect = \"draft-05\"", "");
    let server = place.start();
    let password = place.text("alice.password");
    for (typed, result) in [(&*password, PASS), ("wrong", FAIL)] {
        // The older PAP: the name in the START, the password when asked for.
        let mut peer = Peer::plain(server.plain(), &place);
        let reply = peer.ask(old_pap(1, "alice"));
        assert_eq!(
            (reply.body[0], reply.body[1] & 1),
            (GETPASS, 1),
            "without echo"
        );
        assert!(
            u16::from_be_bytes([reply.body[2], reply.body[3]]) > 0,
            "a prompt"
        );
        assert_eq!(peer.ask(answer(1, 3, typed)).body[0], result);
        // PAP as it is now.
        let mut peer = Peer::plain(server.plain(), &place);
        assert_eq!(peer.ask(pap(2, "alice", typed)).body[0], result);
        // ASCII, with all questions, each with a prompt.
        let mut peer = Peer::plain(server.plain(), &place);
        let reply = peer.ask(ascii(3, "", ""));
        assert!(
            u16::from_be_bytes([reply.body[2], reply.body[3]]) > 0,
            "a prompt"
        );
        assert_eq!(peer.ask(answer(3, 3, "alice")).body[0], GETPASS);
        assert_eq!(peer.ask(answer(3, 5, typed)).body[0], result);
    }
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(
        peer.ask(old_pap(4, "")).body[0],
        FAIL,
        "there is no PAP without a name"
    );
}

/// proves: D05-3.7-2
#[test]
fn user_names_are_octets_in_the_older_dialect() {
    let user =
        "[user.\"\u{c4}lice\"]\npassword = \"file:alice.hash\"\ngroups = [\"noc\"]\n\n[user.bob]";
    let place = demo_with("dialect = \"draft-05\"", "");
    place.edit(&[("[user.bob]", user)]);
    let server = place.start();
    let password = place.text("alice.password");
    for (name, result) in [
        ("\u{c4}lice", PASS),
        ("alice", PASS),
        // The same name decomposed, and one in letters of full width: nothing is mapped.
        ("A\u{308}lice", FAIL),
        ("\u{ff41}lice", FAIL),
        ("Alice", FAIL),
    ] {
        let mut peer = Peer::plain(server.plain(), &place);
        assert_eq!(peer.ask(pap(1, name, &password)).body[0], result, "{name}");
        let mut peer = Peer::plain(server.plain(), &place);
        assert_eq!(peer.ask(ascii(2, "", "")).body[0], GETUSER);
        assert_eq!(peer.ask(answer(2, 3, name)).body[0], GETPASS);
        assert_eq!(peer.ask(answer(2, 5, &password)).body[0], result, "{name}");
        let mut peer = Peer::plain(server.plain(), &place);
        let permitted = if result == PASS {
            PASS_ADD
        } else {
            AUTHOR_FAIL
        };
        let reply = peer.ask(author(3, name, &SHOW));
        assert_eq!(reply.body[0], permitted, "{name}");
    }
}

/// proves: D05-4.4.2-3
#[test]
fn names_are_not_asked_for_for_ever_in_the_older_dialect_either() {
    let place = demo_with("dialect = \"draft-05\"", "");
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(ascii(1, "", "")).body[0], GETUSER);
    assert_eq!(peer.ask(answer(1, 3, "")).body[0], GETUSER);
    assert_eq!(peer.ask(answer(1, 5, "")).body[0], GETUSER);
    assert_eq!(peer.ask(answer(1, 7, "")).body[0], FAIL);
}

/// proves: D05-3.6-3, D05-3.6-7
#[test]
fn a_wrong_secret_leaves_a_connection_of_the_older_dialect_open() {
    let place = demo_with("dialect = \"draft-05\"", "");
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(ascii(1, "alice", "").flags(4)).body[0], GETPASS);
    for (request, status) in [
        (ascii(2, "alice", ""), ERROR),
        (author(3, "alice", &SHOW), 0x11),
    ] {
        let kind = request.kind;
        peer.write(&request.octets(Some("another secret entirely")))
            .unwrap();
        let reply = peer.receive().unwrap();
        assert_eq!((reply.kind, reply.body[0]), (kind, status));
    }
    assert_eq!(peer.ask(author(4, "alice", &SHOW)).body[0], PASS_ADD);
    let password = place.text("alice.password");
    assert_eq!(peer.ask(answer(1, 3, &password)).body[0], PASS);
}

/// proves: D05-6.2-3, D05-6.2-4, D05-6.2-2
#[test]
fn the_older_dialect_keeps_the_arguments_of_a_watchdog() {
    let place = demo_with("dialect = \"draft-05\"", "");
    let server = place.start();
    let args = ["task_id=7", "service=shell", "elapsed_time=60"];
    let mut peer = Peer::plain(server.plain(), &place);
    for (session, flags, status) in [
        (1, 0x8, SUCCESS),
        (2, 0x0, ACCT_ERROR),
        (3, 0x6, ACCT_ERROR),
        (4, 0xc, ACCT_ERROR),
        (5, 0xe, ACCT_ERROR),
    ] {
        let reply = peer.ask(acct(session, flags, "alice", &args).flags(4));
        assert_eq!(
            (reply.kind, reply.body[4]),
            (ACCOUNTING, status),
            "{flags:#x}"
        );
    }
    // The session ended with its reply.
    let reply = peer.ask(acct(1, 8, "alice", &args).seq(3));
    assert_eq!((reply.body[4], reply.seq), (ACCT_ERROR, 4));
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    let records: Vec<serde_json::Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 1, "{found}");
    assert_eq!(records[0]["args"], serde_json::json!(args));
}

/// Everything a server says in a text for users is 7-bit, and where the user is may be any text.
/// proves: D05-4.2-1, D05-4.1-4
#[test]
fn texts_of_the_server_are_ascii_and_a_place_is_any_text() {
    let place = demo_with("dialect = \"draft-05\"", "");
    let server = place.start();
    let password = place.text("alice.password");
    let remote = |mut packet: Packet, place: &str| {
        let body = String::from_utf8(packet.body.split_off(8)).unwrap();
        packet.body[6] = u8::try_from(place.len()).unwrap();
        packet
            .body
            .extend(body.replacen("192.0.2.7", place, 1).into_bytes());
        packet
    };
    for place_of_user in ["5551234", "room 7, second floor", "2001:DB8::1"] {
        let mut peer = Peer::plain(server.plain(), &place);
        let reply = peer.ask(remote(pap(1, "alice", &password), place_of_user));
        assert_eq!(reply.body[0], PASS, "{place_of_user}");
    }
    for request in [
        ascii(1, "", ""),
        ascii(2, "alice", ""),
        pap(3, "alice", "wrong"),
        sendauth(4),
    ] {
        let reply = Peer::plain(server.plain(), &place).ask(request);
        assert_eq!(reply.kind, AUTHENTICATION);
        assert!(
            reply.body[6..]
                .iter()
                .all(|octet| matches!(octet, 0x20..=0x7e))
        );
    }
}

/// proves: TAC-1-2
#[test]
fn a_server_with_nothing_but_accounting_refuses_the_rest() {
    let place = Place::demo();
    let text = format!(
        "version = 1\n[server]\nname = \"records\"\nstorage = \"sqlite:doorward.db\"\njournal = \"doorward.db\"\ncontrol = \"control.sock\"\n\
         [[listen]]\nprotocol = \"tacacs\"\naddress = \"127.0.0.1:0\"\n\
         [device.sw]\naddress = [\"127.0.0.1/32\"]\n{SECRET}\n[[accounting]]\ntype = \"database\"\nkeep = \"1d\"\n"
    );
    std::fs::write(place.config(), text).unwrap();
    let server = place.start();
    let ask = |request: Packet| Peer::plain(server.plain(), &place).ask(request).body;
    assert_eq!(
        ask(acct(1, 2, "alice", &["service=shell", "cmd=show"]))[4],
        SUCCESS
    );
    assert_eq!(ask(pap(2, "alice", "x"))[0], FAIL);
    assert_eq!(ask(author(3, "alice", &SHOW))[0], AUTHOR_FAIL);
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(ascii(4, "alice", "")).body[0], GETPASS);
    assert_eq!(peer.ask(answer(4, 3, "x")).body[0], FAIL);
}

/// proves: TAC-4.5-2
#[test]
fn every_device_has_a_secret_of_its_own() {
    let place = Place::with(&[(
        "[device.old-sw7] ",
        "[device.old-sw8]\naddress = [\"127.0.0.2/32\"]\ntacacs_secret = \"file:sw8.secret\"\n[device.old-sw7] ",
    )]);
    let secrets = [
        place.text("old-sw7.secret"),
        "a secret that only sw8 has".to_owned(),
    ];
    std::fs::write(place.path("sw8.secret"), &secrets[1]).unwrap();
    let server = place.start();
    let password = place.text("alice.password");
    for (own, address) in ["127.0.0.1:0", "127.0.0.2:0"].into_iter().enumerate() {
        for (index, secret) in secrets.iter().enumerate() {
            let mut peer = Peer::plain_from(address.parse().unwrap(), server.plain(), secret);
            peer.send(pap(1, "alice", &password));
            let reply = peer.receive().unwrap();
            // With a wrong secret the ERROR comes under the other one, and reads as noise.
            let passed = reply.body == [PASS, 0, 0, 0, 0, 0];
            assert_eq!(passed, own == index, "{address} {index}");
        }
    }
}

/// Whether a connection may have several sessions is the listener's word and the device's.
#[test]
fn single_connection_is_refused_by_listener_or_device() {
    let (yes, no) = ("single_connection = true", "single_connection = false");
    for (listener, device, granted) in [
        (yes, yes, true),
        (yes, no, false),
        (no, yes, false),
        (no, no, false),
    ] {
        let place = Place::with(&[
            (PLAIN, &format!("{listener}\n{PLAIN}")),
            (SECRET, &format!("{SECRET}\n{device}")),
        ]);
        let server = place.start();
        let mut peer = Peer::plain(server.plain(), &place);
        let reply = peer.ask(author(1, "alice", &SHOW).flags(4));
        assert_eq!((reply.body[0], reply.flags & 4 != 0), (PASS_ADD, granted));
        if granted {
            assert_eq!(peer.ask(author(2, "alice", &SHOW)).body[0], PASS_ADD);
        } else {
            assert!(peer.rest().is_empty(), "closed after its only session");
        }
    }
}
