//! `dialect`: what it changes, for whom, and that without it nothing changes.

use std::time::{Duration, Instant};

use crate::harness::{Place, Server, code, stderr, stdout};
use crate::sessions::{
    ACCT_ERROR, AUTHOR_FAIL, ERROR, FAIL, GETPASS, GETUSER, PASS, PASS_ADD, PASS_REPL, SUCCESS,
    author_arguments, everywhere,
};
use crate::wire::{ACCOUNTING, AUTHENTICATION};
use crate::wire::{Packet, Peer, acct, answer, ascii, author, pap};

const SECRET: &str = "tacacs_secret = \"file:old-sw7.secret\"";
const CORE1: &str = "certificate = { dns = [\"core1.doorward.test\"] }";
const PLAIN: &str = "protocol = \"tacacs\" ";
pub(crate) const SHOW: [&str; 2] = ["service=shell", "cmd=show"];

/// The demo with one more line in its plain device, and one in the device with TLS.
pub(crate) fn demo_with(plain: &str, tls: &str) -> Place {
    Place::with(&[
        (SECRET, &format!("{SECRET}\n{plain}")),
        (CORE1, &format!("{CORE1}\n{tls}")),
    ])
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

/// proves: TAC-5.4.2.2-4
#[test]
fn a_pap_login_without_a_name_is_refused() {
    for place in [Place::demo(), demo_with("dialect = \"draft-05\"", "")] {
        let server = place.start();
        let mut peer = Peer::plain(server.plain(), &place);
        assert_eq!(peer.ask(pap(1, "", "x")).body[0], FAIL);
    }
}

/// How the device says that a user was authenticated is its own word, in either dialect, and decides nothing.
/// proves: TAC-6.1-3, D05-5.1-5
#[test]
fn the_method_of_authentication_decides_nothing() {
    for place in [Place::demo(), demo_with("dialect = \"draft-05\"", "")] {
        let server = place.start();
        let mut peer = Peer::plain(server.plain(), &place);
        let mut session = 0;
        for method in [0, 1, 2, 3, 4, 5, 6, 8, 0x10, 0x11, 0x20] {
            for (command, answer) in [("cmd=show", PASS_ADD), ("cmd=reload", AUTHOR_FAIL)] {
                session += 1;
                let mut request = author(session, "alice", &["service=shell", command]);
                request.body[0] = method;
                let reply = peer.ask(request.flags(4));
                assert_eq!(reply.body[0], answer, "{method} {command}");
            }
        }
        // Nor is there a word for it in a rule.
        place.edit(&[(
            "when = { group = \"noc\" }",
            "when = { authen_method = \"krb5\" }",
        )]);
        let checked = place.ask(&["reload"]);
        assert_ne!(code(&checked), 0);
        assert!(
            stderr(&checked).contains("authen_method"),
            "{}",
            stderr(&checked)
        );
    }
}

/// proves: TAC-6.1-18
#[test]
fn words_and_arguments_keep_their_order() {
    let place = Place::demo();
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    // What the rules of the demo deny begins with this word.
    let first = [
        "service=shell",
        "cmd=show",
        "cmd-arg=running-config",
        "cmd-arg=x",
    ];
    let second = [
        "service=shell",
        "cmd=show",
        "cmd-arg=x",
        "cmd-arg=running-config",
    ];
    assert_eq!(
        peer.ask(author(1, "alice", &first).flags(4)).body[0],
        AUTHOR_FAIL
    );
    assert_eq!(peer.ask(author(2, "alice", &second)).body[0], PASS_ADD);
    // An optional argument that nobody knows is left out, and so the others come back, twice where they were there twice.
    let asked = [
        "service=shell",
        "zz*1",
        "cmd=show",
        "cmd-arg=b",
        "cmd-arg=a",
        "cmd-arg=b",
    ];
    let reply = peer.ask(author(3, "alice", &asked));
    assert_eq!(reply.body[0], PASS_REPL);
    let back: Vec<&str> = asked
        .into_iter()
        .filter(|one| !one.starts_with("zz"))
        .collect();
    assert_eq!(author_arguments(&reply), back);
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

/// proves: TAC-4.5-2, TAC-10.5.1-4
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

/// Who says nothing is not waited for: before the first packet, and at a prompt of a connection for one session.
#[test]
fn a_connection_that_is_not_shared_has_an_idle_timeout_too() {
    let idle = "idle_timeout = \"1s\"\nprotocol = \"tacacs";
    let place = Place::with(&[("protocol = \"tacacs", idle)]);
    let server = place.start();
    everywhere(&place, &server, |connect, name| {
        let since = Instant::now();
        let mut silent = connect();
        let mut prompted = connect();
        assert_eq!(prompted.ask(ascii(1, "alice", "")).body[0], GETPASS);
        for peer in [&mut silent, &mut prompted] {
            assert!(peer.rest().is_empty(), "{name}");
            let idle = since.elapsed();
            let expected = Duration::from_millis(900)..Duration::from_secs(10);
            assert!(expected.contains(&idle), "{name}: closed after {idle:?}");
        }
    });
}
