//! "Why was alice denied last night?": the decisions that the real server keeps, and what it costs when they cannot be kept.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use doorward_tacacs::ChallengeMethod;
use serde_json::Value;

use crate::harness::{PATIENCE, Place, Server, code, stderr, stdout};
use crate::sessions::{AUTHOR_FAIL, ERROR, FAIL, GETDATA, GETPASS, PASS, PASS_ADD, RESTART};
use crate::wire::{self, AUTHENTICATION, Packet, Peer, acct, answer, ascii, author, pap};

const SHOW_VERSION: [&str; 3] = ["service=shell", "cmd=show", "cmd-arg=version"];
const SHOW_RUN: [&str; 4] = [
    "service=shell",
    "cmd=show",
    "cmd-arg=running-config",
    "cmd-arg=<cr>",
];

const ALL: (&str, &str) = (
    "[[accounting]]",
    "[audit]\ndecisions = \"all\"\n\n[[accounting]]",
);

/// What `audit search --json` prints.
fn search(place: &Place, more: &[&str]) -> Vec<Value> {
    let output = place.ask(&[&["audit", "search", "--json"], more].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The same, once there are so many: nobody waits for a decision to be on the disk.
pub(crate) fn search_until(place: &Place, more: &[&str], count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = search(place, more);
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < deadline, "not {count} in {found:#?}");
    }
}

/// The line of the configuration that begins so, counted from 1.
fn line_of(place: &Place, text: &str) -> usize {
    let config = std::fs::read_to_string(place.config()).unwrap();
    let mut lines = config.lines();
    lines.position(|line| line.trim() == text).unwrap() + 1
}

#[test]
fn a_denied_command_is_found_with_the_line_that_denied_it() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(peer.ask(pap(1, "alice", &password).flags(4)).body[0], PASS);
    let mut ask = |session, arguments: &[&str]| {
        peer.ask(author(session, "alice", arguments).flags(4)).body[0]
    };
    assert_eq!(ask(2, &SHOW_VERSION), PASS_ADD);
    assert_eq!(ask(3, &SHOW_RUN), AUTHOR_FAIL);
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(pap(4, "alice", "not-her-password")).body[0], FAIL);

    search_until(&place, &[], 2);
    let (code_of_stop, log) = server.stop();
    assert_eq!(code_of_stop, Some(0), "{log}");
    // With the server down; the permits before them are not there.
    let found = search(&place, &[]);
    assert_eq!(found.len(), 2, "{found:#?}");
    let denied = search(
        &place,
        &["--user", "alice", "--outcome", "deny", "--since", "1h"],
    );
    let [denied] = &denied[..] else {
        panic!("{denied:#?}")
    };
    let line = line_of(&place, "deny   show running-config **");
    assert_eq!(
        denied["rule"],
        serde_json::json!({
            "file": place.config().to_str().unwrap(),
            "line": line,
            "text": "deny   show running-config **",
        })
    );
    for (field, value) in [
        ("kind", "authorization"),
        ("outcome", "deny"),
        ("reason", "command-rule"),
        ("why", "a command rule of the role decided"),
        ("user", "alice"),
        ("device", "core1"),
        ("remote", "192.0.2.7"),
        ("port", "tty1"),
        ("service", "shell"),
        ("command", "show running-config"),
        ("protocol", "tacacs"),
        ("transport", "tls"),
    ] {
        assert_eq!(denied[field], value, "{denied:#}");
    }
    assert_eq!(denied["args"], serde_json::json!(SHOW_RUN));
    assert_eq!(search(&place, &["--cmd", "show run*"]).len(), 1);
    assert_eq!(search(&place, &["--device", "old-sw7"]).len(), 1);
    assert_eq!(search(&place, &["--reason", "password-wrong"]).len(), 1);

    let text = place.ask(&[
        "audit",
        "search",
        "--user",
        "alice",
        "--reason",
        "command-rule",
    ]);
    let text = stdout(&text);
    let why = format!(
        "    a command rule of the role decided: {}:{line}: deny   show running-config **",
        place.config().display()
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].ends_with("deny   show running-config"), "{text}");
    assert_eq!(lines[1], why);
    // No password is anywhere in the records.
    for name in ["doorward.db", "doorward.db-wal"] {
        let Ok(octets) = std::fs::read(place.path(name)) else {
            continue;
        };
        for secret in [&*password, "not-her-password"] {
            let found = octets
                .windows(secret.len())
                .any(|some| some == secret.as_bytes());
            assert!(!found, "{secret} is in {name}");
        }
    }
    // What devices reported is another question.
    assert_eq!(stdout(&place.ask(&["acct", "search"])), "");
}

/// Asks for one permit and one denial, and stops.
fn a_permit_and_a_denial(place: &Place) {
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), place);
    let mut ask = |session, arguments: &[&str]| {
        peer.ask(author(session, "alice", arguments).flags(4)).body[0]
    };
    assert_eq!(ask(1, &SHOW_VERSION), PASS_ADD);
    assert_eq!(ask(2, &SHOW_RUN), AUTHOR_FAIL);
    let mut peer = Peer::plain(server.plain(), place);
    assert_eq!(
        peer.ask(pap(3, "alice", &place.text("alice.password")))
            .body[0],
        PASS
    );
    server.stop();
}

#[test]
fn permits_are_kept_under_all_and_nothing_is_kept_under_off() {
    let place = Place::with(&[ALL]);
    a_permit_and_a_denial(&place);
    let outcomes = |found: Vec<Value>| -> Vec<String> {
        found
            .iter()
            .map(|one| one["outcome"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(outcomes(search(&place, &[])), ["permit", "deny", "pass"]);
    let permit = search(&place, &["--outcome", "permit"]).remove(0);
    let line = line_of(&place, "permit show|ping|traceroute **");
    assert_eq!(permit["rule"]["line"], line);
    assert_eq!(permit["reason"], "command-rule");

    let place = Place::with(&[(
        "[[accounting]]",
        "[audit]\ndecisions = \"off\"\n\n[[accounting]]",
    )]);
    a_permit_and_a_denial(&place);
    let none = place.ask(&["audit", "search"]);
    assert_eq!((code(&none), &*stdout(&none)), (0, ""));
    let hint = stderr(&none);
    assert!(
        hint.starts_with("note: no decision is kept: [audit] decisions is \"off\"\n  --> "),
        "{hint}"
    );

    let place = Place::demo();
    a_permit_and_a_denial(&place);
    let none = place.ask(&["audit", "search", "--outcome", "permit"]);
    assert_eq!((code(&none), &*stdout(&none)), (0, ""));
    assert!(stderr(&none).contains("\"all\""), "{}", stderr(&none));
    // Whatever the question, `acct` is not answered with decisions.
    assert_eq!(stdout(&place.ask(&["acct", "search", "--json"])), "");
}

/// A START of any kind: action, level, type, service.
fn start(session: u32, [action, level, kind, service]: [u8; 4], user: &str) -> Packet {
    let mut packet = ascii(session, user, "");
    packet.body[..4].copy_from_slice(&[action, level, kind, service]);
    if kind != 1 {
        packet.version = 0xc1;
    }
    packet
}

/// Every reason that a device and an administrator can bring about.
fn provoke(place: &Place, server: &Server) {
    let password = place.text("alice.password");
    let mut peer = Peer::plain(server.plain(), place);
    let mut session = 0;
    let mut next = |packet: &dyn Fn(u32) -> Packet| {
        session += 1;
        peer.ask(packet(session).flags(4)).body[0]
    };
    // Logins.
    assert_eq!(next(&|at| pap(at, "alice", &password)), PASS);
    for (user, password) in [
        ("alice", "wrong"),
        ("nobody", "x"),
        ("guest", "x"),
        ("a b", "x"),
        ("bob", &*place.text("bob.password")),
        ("far", &*password),
    ] {
        assert_ne!(next(&|at| pap(at, user, password)), PASS, "{user}");
    }
    // Challenges: of no length, too short, with a wrong answer, with the right one, of somebody who has no secret for them.
    let chap = |challenge: &[u8], secret: &[u8]| {
        ChallengeMethod::Chap
            .respond(1, challenge, &[0; 16], b"carol", secret)
            .unwrap()
    };
    let right = chap(b"12345678", b"for challenges only");
    for (user, data, status) in [
        ("carol", &b"x"[..], FAIL),
        ("carol", &chap(b"123", b"for challenges only"), FAIL),
        ("carol", &chap(b"12345678", b"another"), FAIL),
        ("carol", &right, PASS),
        ("alice", &right, FAIL),
    ] {
        let packet = |at| wire::start([1, 1, 3, 1], at, user.as_bytes(), data).version(0xc1);
        assert_eq!(next(&packet), status, "{user} {data:?}");
    }
    assert_eq!(next(&|at| start(at, [1, 1, 5, 1], "carol")), RESTART);
    assert_eq!(next(&|at| start(at, [4, 1, 2, 1], "alice")), FAIL);
    // Authorizations.
    let mut ask = |user: &str, arguments: &[&str]| next(&|at| author(at, user, arguments));
    assert_eq!(ask("alice", &SHOW_VERSION), PASS_ADD);
    assert_eq!(ask("alice", &["service=shell", "cmd="]), PASS_ADD);
    assert_eq!(ask("alice", &["service=junos-exec"]), PASS_ADD);
    for (user, arguments) in [
        ("alice", &SHOW_RUN[..]),
        ("alice", &["service=shell", "cmd=reload"]),
        ("alice", &["service=ppp", "protocol=ip"]),
        ("alice", &["service=shell", "cmd=", "x-new=1"]),
        ("alice", &["cmd=show"]),
        ("bob", &["service=shell", "cmd=show"]),
        ("shellless", &["service=shell", "cmd="]),
        ("nobody", &["service=shell", "cmd="]),
        ("far", &["service=shell", "cmd="]),
        ("a b", &["service=shell", "cmd="]),
    ] {
        assert_eq!(ask(user, arguments), AUTHOR_FAIL, "{user} {arguments:?}");
    }
    // Levels: with its password, out of reach, without a password.
    let mut peer = Peer::plain(server.plain(), place);
    for (at, level, status) in [(11, 1, PASS), (12, 15, FAIL), (13, 7, FAIL)] {
        let packet = start(at, [1, level, 1, 2], "alice").flags(4);
        assert_eq!(peer.ask(packet).body[0], GETPASS);
        assert_eq!(peer.ask(answer(at, 3, &password).flags(4)).body[0], status);
    }
    // Changes: to the secret for challenges, to another one, and into a store that is gone.
    let mut change = |at, user: &str, old: &str, new: &str| {
        let packet = start(at, [2, 1, 1, 1], user).flags(4);
        assert_eq!(peer.ask(packet).body[0], GETDATA);
        assert_eq!(peer.ask(answer(at, 3, old).flags(4)).body[0], GETPASS);
        assert_eq!(peer.ask(answer(at, 5, new).flags(4)).body[0], GETPASS);
        peer.ask(answer(at, 7, new).flags(4)).body[0]
    };
    let (old, new) = ("Old-password-4", "New-password-4");
    assert_eq!(change(21, "dora", old, "Secret-of-challenges-4"), FAIL);
    let store = place.path("store");
    std::fs::rename(&store, place.path("away")).unwrap();
    assert_eq!(change(22, "dora", old, new), ERROR);
    std::fs::rename(place.path("away"), &store).unwrap();
    assert_eq!(change(23, "dora", old, new), PASS);
    // A session that asks in vain, and one that is aborted.
    assert_eq!(peer.ask(ascii(1, "alice", "").flags(4)).body[0], GETPASS);
    assert_eq!(peer.ask(answer(1, 3, "").flags(4)).body[0], GETPASS);
    assert_eq!(peer.ask(answer(1, 5, "").flags(4)).body[0], GETPASS);
    assert_eq!(peer.ask(answer(1, 7, "").flags(4)).body[0], FAIL);
    assert_eq!(peer.ask(ascii(2, "alice", "").flags(4)).body[0], GETPASS);
    let reason = b"gone \x1b[31mfor lunch";
    let mut body = vec![0, 0, 0, u8::try_from(reason.len()).unwrap(), 1];
    body.extend(reason);
    peer.send(Packet::new(AUTHENTICATION, 2, body).seq(3).flags(4));
}

/// One decision, as the log, the audit and the counters know it.
type Seen = (String, String, String, String, String, String);

fn seen(line: &Value, asked: &str) -> Seen {
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    (
        text("kind"),
        text("outcome"),
        text("reason"),
        text("device"),
        text("user"),
        text(asked),
    )
}

#[test]
fn log_counters_and_audit_agree_on_every_reason() {
    let place = Place::with(&[
        ALL,
        ("sqlite:doorward.db", "sqlite:store/users.db"),
        (
            "[role.watcher]",
            "[enable]\n1 = \"user\"\n15 = \"user\"\n\n[user.carol]\nchap_secret = \"plain:for challenges only\"\ngroups = [\"noc\"]\n\n\
             [user.dora]\npassword = \"file:dora.hash\"\nchap_secret = \"plain:Secret-of-challenges-4\"\ngroups = [\"noc\"]\n\n\
             [user.guest]\ngroups = [\"noc\"]\n\n[user.far]\npassword = \"file:alice.hash\"\ngroups = [\"noc\"]\nfrom = [\"203.0.113.0/24\"]\n\n[user.shellless]\ngroups = [\"none\"]\n\n[role.none]\ncommands = \"permit show **\"\n\n[role.watcher]",
        ),
        (
            "shell = { priv_lvl = 1, idle_time = \"15m\" }",
            "shell = { priv_lvl = 1, idle_time = \"15m\" }\nservices.junos-exec = { local-user-name = \"NOC\" }",
        ),
        (
            "[[rule]]\nname = \"the NOC",
            "[[rule]]\nname = \"none\"\nwhen = { group = \"none\" }\nrole = \"none\"\n\n[[rule]]\nname = \"the NOC",
        ),
    ]);
    std::fs::create_dir(place.path("store")).unwrap();
    let hash = doorward::identity::hash_password(b"Old-password-4").unwrap();
    std::fs::write(place.path("dora.hash"), hash).unwrap();
    let server = place.start();
    provoke(&place, &server);
    let status: Value = serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap();
    let (_, log) = server.stop();

    let audited: Vec<Seen> = search(&place, &[])
        .iter()
        .map(|row| seen(row, "request"))
        .collect();
    let mut logged: Vec<Seen> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| {
            ["authentication", "authorization"]
                .map(Value::from)
                .contains(&line["kind"])
        })
        .map(|line| seen(&line, "request"))
        .collect();
    for row in &mut logged {
        row.5 = row.5.trim_end_matches(" <cr>").to_owned();
    }
    let mut sorted = audited.clone();
    sorted.sort();
    logged.sort();
    assert_eq!(sorted, logged);
    for (name, count) in status["answered"].as_object().unwrap() {
        let (kind, outcome) = name.split_once(' ').unwrap();
        let rows = audited
            .iter()
            .filter(|row| row.0 == kind && row.1 == outcome)
            .count();
        assert_eq!(count.as_u64(), u64::try_from(rows).ok(), "{name}");
    }
    let reasons: BTreeSet<&str> = audited.iter().map(|row| &*row.2).collect();
    let expected = [
        "aborted",
        "challenge-invalid",
        "challenge-short",
        "change-not-stored",
        "command-rule",
        "flow-not-offered",
        "level-too-high",
        "mandatory-argument",
        "new-password-is-chap",
        "no-command-rule",
        "no-enable-password",
        "no-rule",
        "no-service",
        "no-shell",
        "password-changed",
        "password-right",
        "password-wrong",
        "request-invalid",
        "response-right",
        "response-wrong",
        "service-granted",
        "shell-granted",
        "too-many-attempts",
        "type-not-accepted",
        "user-address",
        "user-name-invalid",
        "user-unknown",
        "user-without-chap-secret",
        "user-without-password",
    ];
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), expected);
}

/// What a device or a person sends cannot drive the terminal of whoever looks at it, nor pass for another line.
#[test]
fn hostile_names_and_commands_are_shown_harmless() {
    let place = Place::demo();
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    let mut ask = |session, user: &str, arguments: &[&str]| {
        peer.ask(author(session, user, arguments).flags(4)).body[0]
    };
    let name = "root\x1b]0;owned\x07\r\n    the password is right";
    assert_eq!(ask(1, name, &SHOW_VERSION), AUTHOR_FAIL);
    let command = "cmd=reload\x1b[2J\n\u{9b}31m\u{202e}";
    assert_eq!(ask(2, "alice", &["service=shell", command]), AUTHOR_FAIL);
    server.stop();
    for form in [&["audit", "search"][..], &["audit", "search", "--json"]] {
        let shown = stdout(&place.ask(form));
        let hostile =
            |c: char| c != '\n' && (c.is_control() || ('\u{200e}'..='\u{202e}').contains(&c));
        assert!(!shown.contains(hostile), "{shown:?}");
        let lines = if form.len() == 2 { 4 } else { 2 };
        assert_eq!(shown.lines().count(), lines, "{shown}");
    }
    let users: Vec<Value> = search(&place, &["--reason", "user-name-invalid"]);
    assert_eq!(users[0]["user"], name);
}

/// Killed at any moment, with denials and records on their way: both are readable afterwards.
#[test]
fn kill_9_leaves_decisions_and_records_readable() {
    let place = Arc::new(Place::demo());
    for round in 0..2 {
        let server = place.start();
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let (place, stop, count) =
                    (Arc::clone(&place), Arc::clone(&stop), Arc::clone(&count));
                let plain = server.plain();
                std::thread::spawn(move || {
                    let mut peer = Peer::plain(plain, &place);
                    let mut session = 0;
                    let mut acknowledged = 0_usize;
                    while !stop.load(Ordering::Relaxed) {
                        session += 1;
                        let packet = if worker == 0 {
                            author(session, "alice", &SHOW_RUN)
                        } else {
                            acct(session, 2, "alice", &["task_id=1"])
                        };
                        let octets = peer.octets(packet.flags(4));
                        if peer.write(&octets).is_err() {
                            break;
                        }
                        let Ok(reply) = peer.receive() else {
                            break;
                        };
                        if worker == 0 {
                            assert_eq!(reply.body[0], AUTHOR_FAIL);
                        } else {
                            acknowledged += 1;
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    acknowledged
                })
            })
            .collect();
        let deadline = Instant::now() + PATIENCE;
        while count.load(Ordering::Relaxed) < 300 + 400 * round && Instant::now() < deadline {
            std::thread::yield_now();
        }
        // Some decisions are on the disk; which of the last ones are is nobody's promise.
        let before = search_until(&place, &[], 1).len();
        server.kill();
        stop.store(true, Ordering::Relaxed);
        let acknowledged: usize = workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum();
        assert!(search(&place, &[]).len() >= before);
        let records = place.ask(&["acct", "search", "--json"]);
        assert_eq!(code(&records), 0, "{}", stderr(&records));
        assert!(stdout(&records).lines().count() >= acknowledged);
    }
}

/// The commands have a usage error of their own, and say what is known.
#[test]
fn an_unknown_outcome_or_reason_is_a_usage_error() {
    let place = Place::demo();
    for (wrong, known) in [
        (["--outcome", "denied"], "deny"),
        (["--reason", "password-rong"], "password-wrong"),
    ] {
        let output = place.ask(&[&["audit", "search"][..], &wrong].concat());
        assert_eq!(code(&output), 64);
        assert!(stderr(&output).contains(known), "{}", stderr(&output));
    }
    // Before the server ever ran.
    let output = place.ask(&["audit", "search"]);
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).starts_with("error: there is no journal at "),
        "{}",
        stderr(&output)
    );
}
