//! What a router sees: logins, authorization, accounting, over both listeners.

use crate::commands::client;
use crate::harness::{Place, Server, code, doorward, stderr, stdout};
use crate::wire::{Packet, Peer, acct, answer, ascii, author, pap};

pub(crate) const PASS: u8 = 1;
pub(crate) const FAIL: u8 = 2;
pub(crate) const GETUSER: u8 = 4;
pub(crate) const GETPASS: u8 = 5;
pub(crate) const ERROR: u8 = 7;
pub(crate) const PASS_ADD: u8 = 0x01;
pub(crate) const PASS_REPL: u8 = 0x02;
pub(crate) const AUTHOR_FAIL: u8 = 0x10;
pub(crate) const SUCCESS: u8 = 1;
pub(crate) const ACCT_ERROR: u8 = 2;

/// Both kinds of connection, one after the other.
pub(crate) fn everywhere(
    place: &Place,
    server: &Server,
    test: impl Fn(&mut dyn FnMut() -> Peer, &str),
) {
    test(&mut || Peer::plain(server.plain(), place), "plain");
    test(
        &mut || Peer::tls(server.tls(), place, "core1").unwrap(),
        "tls",
    );
}

pub(crate) fn author_arguments(reply: &Packet) -> Vec<String> {
    let count = usize::from(reply.body[1]);
    let texts = usize::from(u16::from_be_bytes([reply.body[2], reply.body[3]]))
        + usize::from(u16::from_be_bytes([reply.body[4], reply.body[5]]));
    let mut at = 6 + count + texts;
    reply.body[6..6 + count]
        .iter()
        .map(|length| {
            let argument = &reply.body[at..at + usize::from(*length)];
            at += usize::from(*length);
            String::from_utf8(argument.to_vec()).unwrap()
        })
        .collect()
}

/// proves: TAC-5.4.2.2-1, TAC-4.4-2, TAC-5.4.1-4
#[test]
fn pap_logins_pass_and_fail() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    everywhere(&place, &server, |connect, kind| {
        let reply = connect().ask(pap(1, "alice", &password));
        assert_eq!(
            (reply.version, reply.kind, reply.seq, reply.session),
            (0xc1, 1, 2, 1),
            "{kind}"
        );
        assert_eq!(reply.body[0], PASS, "{kind}");
        assert_eq!(reply.flags & 1, u8::from(kind == "tls"), "{kind}");
        assert_eq!(
            connect().ask(pap(2, "alice", "wrong")).body[0],
            FAIL,
            "{kind}"
        );
        assert_eq!(
            connect().ask(pap(3, "nobody", &password)).body[0],
            FAIL,
            "{kind}"
        );
        assert_eq!(connect().ask(pap(4, "", &password)).body[0], FAIL, "{kind}");
    });
}

/// proves: TAC-5.4.2.1-2, TAC-5.4.2.1-3, TAC-5.4.2.1-5, TAC-5.4-2, TAC-5.4-5, TAC-5.4.2.1-8, TAC-5.4-7
#[test]
fn ascii_logins_ask_for_what_is_missing() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    everywhere(&place, &server, |connect, kind| {
        let mut peer = connect();
        let reply = peer.ask(ascii(1, "", ""));
        assert_eq!((reply.body[0], reply.body[1]), (GETUSER, 0), "{kind}");
        assert!(reply.body.len() > 6, "a prompt");
        let reply = peer.ask(answer(1, 3, "alice"));
        assert_eq!(
            (reply.body[0], reply.body[1], reply.seq),
            (GETPASS, 1, 4),
            "{kind}"
        );
        assert_eq!(
            u16::from_be_bytes([reply.body[4], reply.body[5]]),
            0,
            "no data in an ASCII flow"
        );
        assert_eq!(peer.ask(answer(1, 5, &password)).body[0], PASS, "{kind}");

        let mut peer = connect();
        assert_eq!(peer.ask(ascii(2, "alice", "")).body[0], GETPASS, "{kind}");
        assert_eq!(peer.ask(answer(2, 3, "wrong")).body[0], FAIL, "{kind}");
    });
}

/// proves: TAC-5.4.2.1-7
#[test]
fn the_data_of_an_ascii_login_is_ignored() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(ascii(1, "alice", &password)).body[0], GETPASS);
    assert_eq!(peer.ask(answer(1, 3, "wrong")).body[0], FAIL);
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(ascii(2, "alice", "garbage")).body[0], GETPASS);
    assert_eq!(peer.ask(answer(2, 3, &password)).body[0], PASS);
}

/// proves: TAC-5.4.2.1-4
#[test]
fn the_third_empty_name_fails() {
    let place = Place::demo();
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(ascii(1, "", "")).body[0], GETUSER);
    assert_eq!(peer.ask(answer(1, 3, "")).body[0], GETUSER);
    assert_eq!(peer.ask(answer(1, 5, "")).body[0], GETUSER);
    assert_eq!(peer.ask(answer(1, 7, "")).body[0], FAIL);
}

/// proves: TAC-6.2-4, TAC-1-3
#[test]
fn commands_are_permitted_and_denied_by_the_role() {
    let place = Place::demo();
    let mut server = place.start();
    everywhere(&place, &server, |connect, kind| {
        let reply = connect().ask(author(
            1,
            "alice",
            &[
                "service=shell",
                "cmd=show",
                "cmd-arg=version",
                "cmd-arg=<cr>",
            ],
        ));
        assert_eq!((reply.body[0], reply.body[1]), (PASS_ADD, 0), "{kind}");
        let reply = connect().ask(author(
            2,
            "alice",
            &["service=shell", "cmd=reload", "cmd-arg=<cr>"],
        ));
        assert_eq!(reply.body[0], AUTHOR_FAIL, "{kind}");
        // White space inside an argument carries no word past a deny.
        let reply = connect().ask(author(
            3,
            "alice",
            &["service=shell", "cmd=show", "cmd-arg=running-config all"],
        ));
        assert_eq!(reply.body[0], AUTHOR_FAIL, "{kind}");
        let reply = connect().ask(author(4, "nobody", &["service=shell", "cmd=show"]));
        assert_eq!(reply.body[0], AUTHOR_FAIL, "{kind}");
    });
    let line = server.wait_for_log(&["\"reason\":\"no-command-rule\"", "reload"]);
    assert!(line.contains("\"user\":\"alice\""), "{line}");
    server.wait_for_log(&[
        "\"reason\":\"command-rule\"",
        "running-config all",
        "doorward.toml:",
        "deny   show running-config **",
    ]);
}

/// proves: TAC-7.2-7, TAC-7.2-12, TAC-7.2-13, TAC-7.1-3, TAC-7.2-9, TAC-7.2-10
#[test]
fn records_are_acknowledged_and_found_again() {
    let place = Place::demo();
    let server = place.start();
    let args = ["task_id=7", "service=shell", "cmd=show version <cr>"];
    let mut session = 100;
    for (flags, status) in [
        (2, SUCCESS),
        (4, SUCCESS),
        (8, SUCCESS),
        (0xa, SUCCESS),
        (0, ACCT_ERROR),
        (6, ACCT_ERROR),
        (0xc, ACCT_ERROR),
        (0xe, ACCT_ERROR),
        (3, SUCCESS),
    ] {
        session += 1;
        let reply = Peer::tls(server.tls(), &place, "core1")
            .unwrap()
            .ask(acct(session, flags, "alice", &args));
        assert_eq!(reply.body[4], status, "flags {flags:#x}");
    }
    let found = place.ask(&["acct", "search", "--json"]);
    let lines: Vec<serde_json::Value> = crate::harness::stdout(&found)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["start", "stop", "watchdog", "update", "start"]);
    let first = &lines[0];
    assert_eq!(first["device"], "core1");
    assert_eq!(first["user"], "alice");
    assert_eq!(first["port"], "tty1");
    assert_eq!(first["remote"], "192.0.2.7");
    assert_eq!(first["service"], "shell");
    assert_eq!(first["protocol"], "tacacs");
    assert_eq!(first["priv_lvl"], 1);
    assert_eq!(first["authen_method"], 6);
    assert_eq!(first["authen_type"], 1);
    assert_eq!(first["authen_service"], 1);
    assert_eq!(first["args"], serde_json::json!(args));
    assert_eq!(
        lines[2]["args"],
        serde_json::json!(["task_id=7"]),
        "a watchdog brings no argument values"
    );
    assert_eq!(lines[3]["args"], serde_json::json!(args), "an update does");
}

/// proves: TLS-4-4, TLS-4-5, TLS-4-1, TLS-3.2-6
#[test]
fn a_clear_flag_over_tls_is_an_error_of_its_type() {
    // The device has a secret as well, which means nothing over TLS.
    let place = Place::with(&[
        (
            "certificate = { dns = [\"core1.doorward.test\"] }",
            "certificate = { dns = [\"core1.doorward.test\"] }\naddress = [\"127.0.0.1\"]\ntacacs_secret = \"file:core1.secret\"",
        ),
        ("[\"127.0.0.1/32\"]", "[\"192.0.2.77/32\"]"),
    ]);
    let secret = "a secret that must not matter";
    std::fs::write(place.path("core1.secret"), secret).unwrap();
    let server = place.start();
    let password = place.text("alice.password");
    for (packet, at, error) in [
        (pap(1, "alice", &password), 0, ERROR),
        (author(2, "alice", &["service=shell", "cmd=show"]), 0, 0x11),
        (acct(3, 2, "alice", &["task_id=1"]), 4, ACCT_ERROR),
    ] {
        for secret in [None, Some(secret)] {
            let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
            peer.write(&packet.octets(secret)).unwrap();
            let reply = peer.receive().unwrap();
            assert_eq!(
                (reply.kind, reply.seq, reply.session, reply.flags & 1),
                (packet.kind, 2, packet.session, 1)
            );
            assert_eq!(reply.body[at], error);
            assert!(peer.rest().is_empty(), "the connection closes");
        }
    }
    // With the flag set an obfuscated body is what it looks like: no request.
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let obfuscated = pap(4, "alice", &password).flags(1).octets(Some(secret));
    peer.write(&obfuscated).unwrap();
    assert_eq!(peer.receive().unwrap().body[0], ERROR);
    // In clear both ways it is one.
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let reply = peer.ask(pap(5, "alice", &password));
    assert_eq!(reply.body, [PASS, 0, 0, 0, 0, 0]);
}

/// proves: TAC-4.5-8, TAC-10.5.2-3
#[test]
fn a_set_flag_without_tls_closes_without_a_reply() {
    let place = Place::demo();
    let mut server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    peer.write(
        &pap(1, "alice", &place.text("alice.password"))
            .flags(1)
            .octets(None),
    )
    .unwrap();
    assert!(peer.rest().is_empty());
    server.wait_for_log(&["unencrypted-flag-set"]);
}

/// proves: TAC-4.5-6, TAC-4.4-8, TAC-4.4-9, TAC-4.4-10, TAC-10.5.2-5, TAC-10.5.2-6, TAC-4.5-11
#[test]
fn a_wrong_secret_ends_what_is_new_and_spares_what_runs() {
    let place = Place::demo();
    let mut server = place.start();
    let secret = place.text("old-sw7.secret");
    let mut peer = Peer::plain(server.plain(), &place);
    let reply = peer.ask(ascii(1, "alice", "").flags(4));
    assert_eq!((reply.body[0], reply.flags & 4), (GETPASS, 4));
    peer.write(
        &ascii(2, "alice", "")
            .flags(4)
            .octets(Some("another secret entirely")),
    )
    .unwrap();
    let reply = peer.receive().unwrap();
    assert_eq!(
        (reply.session, reply.body[0]),
        (2, ERROR),
        "obfuscated with the server's own secret"
    );
    peer.write(&ascii(3, "alice", "").flags(4).octets(Some(&secret)))
        .unwrap();
    let reply = peer.ask(answer(1, 3, &place.text("alice.password")));
    let (first, second) = if reply.session == 1 {
        (reply, None)
    } else {
        (peer.receive().unwrap(), Some(reply))
    };
    assert_eq!(
        (first.session, first.body[0]),
        (1, PASS),
        "the session that ran may finish"
    );
    assert!(
        second.is_none_or(|reply| reply.body[0] == ERROR),
        "the new one is not served"
    );
    assert!(peer.rest().is_empty(), "then the server closes");
    let line = server.wait_for_log(&["secret-mismatch", "old-sw7"]);
    assert!(
        line.contains("\"source\":\"127.0.0.1:") && line.contains("different secrets"),
        "{line}"
    );
}

/// proves: TAC-3.6-3
#[test]
fn an_unknown_type_gets_a_header_without_a_body() {
    let place = Place::demo();
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    peer.write(&[0xc0, 7, 1, 0, 0, 0, 0, 9, 0, 0, 0, 4, 1, 2, 3, 4])
        .unwrap();
    assert_eq!(peer.rest(), [0xc0, 7, 2, 0, 0, 0, 0, 9, 0, 0, 0, 0]);
}

/// proves: TAC-4.3-1, TAC-4.3-4, TAC-4.4-6
#[test]
fn single_connect_serves_many_sessions_interleaved() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    everywhere(&place, &server, |connect, kind| {
        let mut peer = connect();
        let reply = peer.ask(author(1, "alice", &["service=shell", "cmd=show"]).flags(4));
        assert_eq!(reply.flags & 4, 4, "{kind}");
        let mut octets = peer.octets(pap(2, "alice", &password).flags(4));
        octets.extend(peer.octets(author(3, "alice", &["service=shell", "cmd=show"]).flags(4)));
        octets.extend(peer.octets(acct(4, 2, "alice", &["task_id=1"]).flags(4)));
        peer.write(&octets).unwrap();
        let mut sessions: Vec<u32> = (0..3).map(|_| peer.receive().unwrap().session).collect();
        assert_eq!(
            sessions[0], 3,
            "an authorization does not wait for a password hash"
        );
        sessions.sort_unstable();
        assert_eq!(sessions, [2, 3, 4]);
    });
}

/// proves: TLS-3.2-9, TAC-4.4-5
#[test]
fn without_single_connect_one_session_is_all() {
    let place = Place::demo();
    let server = place.start();
    everywhere(&place, &server, |connect, kind| {
        let mut peer = connect();
        assert_eq!(
            peer.ask(author(1, "alice", &["service=shell", "cmd=show"]))
                .flags
                & 4,
            0,
            "{kind}"
        );
        // What is sent too late may meet a connection that is gone already.
        let second = peer.octets(author(2, "alice", &["service=shell", "cmd=show"]));
        _ = peer.write(&second);
        assert!(peer.rest().is_empty(), "{kind}");
    });
}

/// proves: TAC-4.1-23
#[test]
fn the_largest_body_is_configurable() {
    let place = Place::with(&[(
        "protocol = \"tacacs\" ",
        "max_body = 1000\nprotocol = \"tacacs\" ",
    )]);
    let mut server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    // The header alone: the server does not wait for a body it will not take.
    peer.write(&[0xc0, 2, 1, 0, 0, 0, 0, 9, 0, 0, 3, 0xe9])
        .unwrap();
    let reply = peer.receive().unwrap();
    assert_eq!((reply.kind, reply.body[0]), (2, 0x11));
    assert!(peer.rest().is_empty());
    server.wait_for_log(&["body-too-large"]);
    // The other listener has the default, 65,536.
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    peer.write(&[0xc0, 2, 1, 1, 0, 0, 0, 9, 0, 1, 0, 1])
        .unwrap();
    assert_eq!(peer.receive().unwrap().body[0], 0x11);
    let mut largest = author(1, "alice", &["service=shell", "cmd=show"]);
    largest.body.resize(65_536, 0);
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    peer.send(largest);
    peer.receive().unwrap();
    server.wait_for_log(&["\"reason\":\"malformed\"", "core1"]);
}

/// proves: TAC-10.5.2-2
#[test]
fn an_unknown_address_is_closed_without_a_reply() {
    let place = Place::with(&[(
        "address       = [\"127.0.0.1/32\"]",
        "address = [\"192.0.2.77/32\"]",
    )]);
    let mut server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert!(peer.rest().is_empty());
    server.wait_for_log(&["device-unknown", "127.0.0.1"]);
}

/// proves: TAC-1-1, TAC-5.4.1-5, TAC-3.6-1, TAC-10.5.3-6, TAC-10.5.3-7, TAC-5.4.2-1
#[test]
fn what_is_not_offered_fails_and_what_is_not_listed_is_an_error() {
    let place = Place::demo();
    let server = place.start();
    let with = |at: usize, value: u8| {
        let mut packet = ascii(9, "alice", "");
        packet.body[at] = value;
        Peer::plain(server.plain(), &place).ask(packet).body[0]
    };
    assert_eq!(with(0, 3), ERROR, "SENDPASS is no longer an action");
    assert_eq!(with(0, 7), ERROR, "no such action");
    assert_eq!(with(2, 9), ERROR, "no such authen_type");
    assert_eq!(with(3, 4), ERROR, "no such authen_service");
    let mut sendauth = pap(9, "alice", "x");
    sendauth.body[0] = 4;
    assert_eq!(
        Peer::plain(server.plain(), &place).ask(sendauth).body[0],
        FAIL,
        "SENDAUTH is listed and not offered"
    );
}

/// proves: TAC-10.4-2
#[test]
fn hostile_text_is_refused_and_reaches_the_log_escaped() {
    let place = Place::demo();
    let mut server = place.start();
    for user in ["ali\u{0}ce", "alice\u{2028}", "a b", "\u{1b}[31malice"] {
        let status = Peer::plain(server.plain(), &place)
            .ask(pap(1, user, "x"))
            .body[0];
        assert_eq!(status, FAIL, "{user:?}");
    }
    let reply =
        Peer::plain(server.plain(), &place).ask(acct(2, 2, "alice", &["task_id=1", "cmd=a\nb"]));
    assert_eq!(reply.body[4], ACCT_ERROR);
    server.wait_for_log(&["user-name-invalid"]);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(
        !log.contains('\u{1b}') && !log.contains('\u{0}'),
        "control octets in the log"
    );
}

/// proves: TLS-3.2-12
#[test]
fn ipv6_serves_like_ipv4() {
    let place = Place::with(&[
        ("address  = \"127.0.0.1:0\"", "address  = \"[::1]:0\""),
        ("[\"127.0.0.1/32\"]", "[\"::1/128\"]"),
    ]);
    let server = place.start();
    assert!(server.tls().is_ipv6() && server.plain().is_ipv6());
    let password = place.text("alice.password");
    everywhere(&place, &server, |connect, kind| {
        assert_eq!(
            connect().ask(pap(1, "alice", &password)).body[0],
            PASS,
            "{kind}"
        );
        let mut peer = connect();
        assert_eq!(peer.ask(ascii(3, "", "")).body[0], GETUSER, "{kind}");
        assert_eq!(peer.ask(answer(3, 3, "alice")).body[0], GETPASS, "{kind}");
        assert_eq!(peer.ask(answer(3, 5, &password)).body[0], PASS, "{kind}");
        let reply = connect().ask(author(2, "alice", &["service=shell", "cmd=reload"]));
        assert_eq!(reply.body[0], AUTHOR_FAIL, "{kind}");
    });
    // The literal is the address of the server for our own client, too.
    let address = server.plain().to_string();
    assert!(address.starts_with("[::1]:"));
    for method in ["pap", "ascii"] {
        let output = client(
            &place,
            &[
                "authenticate",
                "--server",
                &address,
                "--plain",
                "--secret",
                "file:old-sw7.secret",
                "--user",
                "alice",
                "--type",
                method,
                "--password",
                "file:alice.password",
            ],
        );
        assert_eq!(code(&output), 0, "{output:?}");
    }
}

/// A rule that looks at `service` or `auth` decides the same at the login, at every command, in `explain` and in a `[[test]]`.
#[test]
fn login_authorization_explain_and_tests_agree() {
    for (when, admitted, auth) in [
        ("service = \"shell\"", true, "ascii"),
        ("service = \"ppp\"", false, "ascii"),
        ("auth = \"ascii\"", true, "ascii"),
        ("auth = \"pap\"", false, "ascii"),
        ("auth = \"pap\"", true, "pap"),
        ("auth = \"ascii\"", false, "pap"),
        (
            "service = \"shell\", auth = [\"pap\", \"ascii\"]",
            true,
            "pap",
        ),
    ] {
        let place = Place::demo();
        let text = std::fs::read_to_string(place.config()).unwrap();
        // The demo's own tests are about its own rules.
        let (text, _) = text.split_once("[[test]]").unwrap();
        std::fs::write(
            place.config(),
            format!(
                "{text}[[test]]\nas = {{ user = \"alice\" }}\non = \"core1\"\nauth = \"{auth}\"\npermit = [\"show version\"]\n"
            ),
        )
        .unwrap();
        place.edit(&[(
            "when = { group = \"noc\" }",
            &format!("when = {{ group = \"noc\", {when} }}"),
        )]);
        let server = place.start();
        let password = place.text("alice.password");
        let shown = format!("{when} with {auth}");

        let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
        let login = if auth == "pap" {
            peer.ask(pap(1, "alice", &password))
        } else {
            assert_eq!(peer.ask(ascii(1, "alice", "")).body[0], GETPASS, "{shown}");
            peer.ask(answer(1, 3, &password))
        };
        assert_eq!(login.body[0] == PASS, admitted, "login: {shown}");

        let mut request = author(
            2,
            "alice",
            &["service=shell", "cmd=show", "cmd-arg=version"],
        );
        request.body[2] = if auth == "pap" { 2 } else { 1 };
        let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
        let reply = peer.ask(request);
        assert_eq!(
            reply.body[0] == PASS_ADD,
            admitted,
            "authorization: {shown}"
        );

        let test = doorward().arg("test").arg(place.config()).output().unwrap();
        assert_eq!(
            code(&test),
            i32::from(!admitted),
            "[[test]]: {shown}: {}",
            stderr(&test)
        );
        // `explain` is about a login by ASCII.
        if auth == "ascii" {
            let explain = place.ask(&["explain", "alice", "core1", "show version"]);
            assert_eq!(
                code(&explain),
                if admitted { 0 } else { 2 },
                "explain: {shown}: {}",
                stdout(&explain)
            );
        }
    }
}

/// A login for PPP is none for a shell, and what authenticated by something that no rule can name is not called ASCII.
#[test]
fn other_services_and_types_do_not_pass_for_a_shell_by_ascii() {
    let place = Place::with(&[(
        "when = { group = \"noc\" }",
        "when = { group = \"noc\", service = \"shell\", auth = [\"ascii\", \"pap\"] }",
    )]);
    let server = place.start();
    let password = place.text("alice.password");
    let mut login = pap(1, "alice", &password);
    assert_eq!(
        Peer::plain(server.plain(), &place).ask(login.clone()).body[0],
        PASS
    );
    login.body[3] = 3;
    assert_eq!(Peer::plain(server.plain(), &place).ask(login).body[0], FAIL);
    let mut request = author(
        2,
        "alice",
        &["service=shell", "cmd=show", "cmd-arg=version"],
    );
    request.body[2] = 3;
    assert_eq!(
        Peer::plain(server.plain(), &place).ask(request).body[0],
        AUTHOR_FAIL
    );
}
