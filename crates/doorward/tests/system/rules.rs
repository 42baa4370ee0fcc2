//! Rules of the standards that need a server set up for them.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::commands::client;
use crate::harness::{Place, code, stderr, stdout};
use crate::sessions::{
    ACCT_ERROR, AUTHOR_FAIL, ERROR, FAIL, GETPASS, PASS, PASS_ADD, PASS_REPL, SUCCESS,
    author_arguments, everywhere,
};
use crate::wire::{Packet, Peer, acct, answer, ascii, author, pap};

const SHOW: [&str; 2] = ["service=shell", "cmd=show"];

/// proves: TAC-9-2, TAC-6.2-11, TAC-8.2-1, TAC-8.2-4, TAC-8.2-5, TAC-6.1-14
#[test]
fn a_shell_gets_its_privilege_level() {
    let place = Place::with(&[
        (
            "shell = { priv_lvl = 1, idle_time = \"15m\" }",
            "shell = { priv_lvl = 7, attributes = { \"x-zone\" = \"core\", \"x-note*\" = \"hello\" } }",
        ),
        ("expect = { priv_lvl = 1 }", "expect = { priv_lvl = 7 }"),
    ]);
    let server = place.start();
    everywhere(&place, &server, |connect, kind| {
        let mut ask = |arguments: &[&str]| connect().ask(author(1, "alice", arguments));
        let reply = ask(&["service=shell", "cmd="]);
        assert_eq!(reply.body[0], PASS_ADD, "{kind}");
        assert_eq!(
            author_arguments(&reply),
            ["priv-lvl=7", "x-zone=core", "x-note*hello"],
            "{kind}"
        );
        // A command is permitted or denied, and nothing more.
        let reply = ask(&SHOW);
        assert_eq!((reply.body[0], reply.body[1]), (PASS_ADD, 0), "{kind}");
        // An optional argument that the role does not have is left out of a replacement.
        let reply = ask(&["service=shell", "cmd=", "shell:roles*"]);
        assert_eq!(reply.body[0], PASS_REPL, "{kind}");
        let arguments = author_arguments(&reply);
        for wanted in ["service=shell", "priv-lvl=7", "x-note*hello"] {
            assert!(arguments.contains(&wanted.to_owned()), "{arguments:?}");
        }
        assert!(
            !arguments
                .iter()
                .any(|argument| argument.starts_with("shell:roles")),
            "{arguments:?}"
        );
        // A mandatory one is refused; neither service nor cmd may be missing; an argument has a separator.
        for refused in [
            &["service=shell", "cmd=", "x-new=1"][..],
            &["cmd=show"],
            &["service=shell"],
            &["service=shell", "cmd=show", "version"],
        ] {
            let status = ask(refused).body[0];
            assert!(
                [AUTHOR_FAIL, 0x11].contains(&status),
                "{kind} {refused:?}: {status:#x}"
            );
        }
    });
}

/// proves: TLS-4-3
#[test]
fn every_header_over_tls_has_the_unencrypted_flag() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let mut count = 0;
    let mut ask = |packet: Packet| {
        let octets = peer.octets(packet.flags(4));
        assert_eq!(octets[3], 5, "the request's own header");
        peer.write(&octets).unwrap();
        let reply = peer.receive().unwrap();
        assert_eq!(reply.flags, 5, "{reply:?}");
        count += 1;
        reply
    };
    // Three logins of three steps with other sessions between their steps, all on one connection.
    for login in [10, 20, 30] {
        ask(ascii(login, "", ""));
        assert_eq!(ask(author(login + 1, "alice", &SHOW)).body[0], PASS_ADD);
        assert_eq!(ask(answer(login, 3, "alice")).body[0], GETPASS);
        assert_eq!(ask(acct(login + 2, 2, "alice", &SHOW)).body[4], SUCCESS);
        assert_eq!(ask(answer(login, 5, &password)).body[0], PASS);
        assert_eq!(ask(pap(login + 3, "alice", "wrong")).body[0], FAIL);
    }
    // Refusals too: an accounting request without a kind, a number out of order.
    assert_eq!(ask(acct(40, 0, "alice", &SHOW)).body[4], ACCT_ERROR);
    ask(ascii(41, "", ""));
    assert_eq!(ask(answer(41, 7, "alice")).body[0], ERROR);
    assert_eq!(count, 21);
}

/// proves: TAC-5.4.2.2-5
#[test]
fn a_password_that_nobody_has_time_for_is_an_error() {
    let place = Place::demo();
    let password = place.text("alice.password");
    // As costly as a stored hash may be, so that few of them are longer than a device waits.
    std::fs::write(
        place.path("bob.hash"),
        "$argon2id$v=19$m=65536,t=29,p=1$ZG9vcndhcmQtZGVjb3ktMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    )
    .unwrap();
    let mut server = place.start();
    let status = |user: &str, password: &str| {
        let mut peer = Peer::plain(server.plain(), &place);
        peer.ask(pap(1, user, password)).body[0]
    };
    assert_eq!(status("alice", &password), PASS);
    assert_eq!(status("alice", "wrong"), FAIL);
    let mut peer = Peer::plain(server.plain(), &place);
    peer.ask(author(1, "alice", &SHOW).flags(4));
    let logins: Vec<u8> = (2..802)
        .flat_map(|session| peer.octets(pap(session, "bob", &password).flags(4)))
        .collect();
    peer.write(&logins).unwrap();
    assert_eq!(peer.receive().unwrap().body[0], ERROR);
    server.wait_for_log(&["\"reason\":\"hashing-busy\"", "\"user\":\"bob\""]);
}

/// proves: TAC-5.4.3-2
#[test]
fn the_reason_of_an_abort_is_logged_escaped() {
    let place = Place::demo();
    let mut server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(ascii(1, "alice", "")).body[0], GETPASS);
    let reason = b"gone \x1b[31mfor lunch\nuser=root";
    let mut body = vec![0, 0, 0, u8::try_from(reason.len()).unwrap(), 1];
    body.extend(reason);
    peer.send(Packet::new(crate::wire::AUTHENTICATION, 1, body).seq(3));
    assert!(
        peer.rest().is_empty(),
        "no reply, and the connection ends with its session"
    );
    let line = server.wait_for_log(&["\"reason\":\"aborted\"", "for lunch"]);
    assert!(
        line.contains("gone \\u001b[31mfor lunch\\nuser=root") && !line.contains('\u{1b}'),
        "{line}"
    );
    // One line, whose field says what the device sent.
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["user"], "alice");
}

/// proves: TLS-5.3-1
#[test]
fn a_device_that_requires_tls_is_refused_without() {
    let place = Place::with(&[
        (
            "tags          = [\"role:access\"]",
            "transport = \"tls\"\ntags = [\"role:access\"]\n\n[device.old-sw8]\naddress = [\"::1/128\"]\ntacacs_secret = \"file:old-sw7.secret\"",
        ),
        (
            "[tls.default]",
            "[[listen]]\nprotocol = \"tacacs\"\naddress = \"[::1]:0\"\n\n[tls.default]",
        ),
    ]);
    let mut server = place.start();
    let mut plain: Vec<SocketAddr> = server.ready["listeners"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|listener| listener["protocol"] == "tacacs")
        .map(|listener| listener["address"].as_str().unwrap().parse().unwrap())
        .collect();
    plain.sort_by_key(SocketAddr::is_ipv6);
    let mut peer = Peer::plain(plain[0], &place);
    assert!(peer.rest().is_empty());
    server.wait_for_log(&["tls-required"]);
    let mut other = Peer::plain(plain[1], &place);
    let reply = other.ask(pap(1, "alice", &place.text("alice.password")));
    assert_eq!(reply.body[0], PASS, "another device needs no TLS");
}

/// proves: TAC-4.3-8, TAC-4.3-7
#[test]
fn single_connect_may_be_refused_per_device_and_listener() {
    let place = Place::with(&[(
        "tags          = [\"role:access\"]",
        "tags = [\"role:access\"]\nsingle_connection = false",
    )]);
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(author(1, "alice", &SHOW).flags(4)).flags & 4, 0);
    assert!(peer.rest().is_empty(), "the server does not want it");
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(peer.ask(author(1, "alice", &SHOW).flags(4)).flags & 4, 4);
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    peer.ask(author(1, "alice", &SHOW));
    assert!(peer.rest().is_empty(), "the client does not want it");
}

/// proves: TAC-4.3-9, TAC-4.4-7, TLS-3.2-10
#[test]
fn an_idle_connection_is_closed() {
    let place = Place::with(&[(
        "protocol = \"tacacs",
        "idle_timeout = \"2s\"\nprotocol = \"tacacs",
    )]);
    let server = place.start();
    everywhere(&place, &server, |connect, kind| {
        let mut peer = connect();
        // Each request begins the two seconds anew: together they take longer.
        for session in 1..=3 {
            let reply = peer.ask(author(session, "alice", &SHOW).flags(4));
            assert_eq!((reply.body[0], reply.flags & 4), (PASS_ADD, 4), "{kind}");
            std::thread::sleep(Duration::from_millis(900));
        }
        let since = Instant::now();
        assert!(peer.rest().is_empty(), "{kind}");
        let idle = since.elapsed() + Duration::from_millis(900);
        assert!(
            idle >= Duration::from_millis(1900) && idle < Duration::from_secs(10),
            "{kind}: closed after {idle:?}"
        );
    });
}

/// proves: TAC-4.5-1, TAC-10.5.1-2, TAC-10.5.1-3
#[test]
fn no_secret_reaches_the_log() {
    let place = Place::demo();
    let server = place.start_through(&[], "trace");
    let password = place.text("alice.password");
    let replies = RefCell::new(Vec::new());
    everywhere(&place, &server, |connect, _| {
        let mut peer = connect();
        let mut received = vec![
            connect().ask(pap(1, "alice", &password)),
            connect().ask(pap(2, "bob", &password)),
            connect().ask(pap(6, "alice", &password).flags(2).seq(3)),
            connect().ask(acct(7, 0, "alice", &SHOW)),
            peer.ask(ascii(3, "alice", &password)),
        ];
        received.push(peer.ask(answer(3, 3, &password)));
        replies
            .borrow_mut()
            .extend(received.into_iter().map(|reply| reply.body));
    });
    // One with another secret, whose body comes out as anything.
    let mut peer = Peer::plain(server.plain(), &place);
    peer.write(&pap(8, "alice", &password).octets(Some("another secret entirely")))
        .unwrap();
    replies.borrow_mut().push(peer.rest());
    let status = place.ask(&["status", "--devices", "--json"]);
    let explained = place.ask(&["explain", "alice", "core1", "show version"]);
    place.edit(&[("version = 1", "version = 1\nnonsense = 1")]);
    let faulty = place.ask(&["reload"]);
    assert_ne!(code(&faulty), 0);
    let (_, log) = server.stop();
    assert!(!log.contains("lines were lost"));
    let mut texts: Vec<Vec<u8>> = replies.into_inner();
    texts.push(log.into_bytes());
    for output in [&status, &explained, &faulty] {
        texts.push((stdout(output) + &stderr(output)).into_bytes());
    }
    for secret in [
        &place.text("old-sw7.secret"),
        &place.text("alice.hash"),
        &place.text("bob.hash"),
        &password,
    ] {
        for text in &texts {
            assert!(
                !text
                    .windows(secret.len())
                    .any(|octets| octets == secret.as_bytes())
            );
        }
    }
}

/// proves: TAC-10.5.1-9
#[test]
fn long_secrets_work_on_both_sides() {
    for length in [32, 64, 255] {
        let place = Place::demo();
        let secret: String = ('!'..='~').cycle().take(length).collect();
        std::fs::write(place.path("old-sw7.secret"), &secret).unwrap();
        let server = place.start();
        let address = server.plain().to_string();
        let mut arguments = vec!["authenticate", "--server", &address, "--plain"];
        arguments.extend(["--secret", "file:old-sw7.secret", "--user", "alice"]);
        arguments.extend(["--type", "pap", "--password", "file:alice.password"]);
        let output = client(&place, &arguments);
        assert_eq!(code(&output), 0, "{length}: {output:?}");
        // All of it counts.
        std::fs::write(place.path("old-sw7.secret"), &secret[..length - 1]).unwrap();
        assert_eq!(code(&client(&place, &arguments)), 3, "{length}");
    }
}

/// proves: TLS-5.1.1-5
#[test]
fn the_client_does_not_fall_back_to_a_connection_without_tls() {
    let place = Place::demo();
    // An address of the loopback network for this test alone, with something that would take a login without TLS at port
    // 49, which is the default, and at the port next to the one that refuses TLS. An unprivileged test cannot have 49.
    let refusing = TcpListener::bind("127.73.21.49:0").unwrap();
    let address = refusing.local_addr().unwrap();
    let mut reachable = vec![TcpListener::bind("127.73.21.49:0").unwrap()];
    reachable.extend(TcpListener::bind("127.73.21.49:49").ok());
    let handshakes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handshakes);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = refusing.accept() {
            let mut octets = [0; 3];
            _ = stream.read_exact(&mut octets);
            assert_eq!(octets[..2], [0x16, 3], "a handshake record of TLS");
            // handshake_failure, fatal.
            _ = stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    for action in ["authenticate", "authorize"] {
        let output = client(
            &place,
            &[
                action,
                "--server",
                &address.to_string(),
                "--ca",
                "ca.pem",
                "--cert",
                "core1.pem",
                "--key",
                "core1.key",
                "--server-name",
                "aaa1.doorward.test",
                "--user",
                "alice",
            ],
        );
        assert_eq!(code(&output), 3, "{output:?}");
    }
    assert!(handshakes.load(Ordering::SeqCst) >= 2);
    for listener in reachable {
        listener.set_nonblocking(true).unwrap();
        let error = listener.accept().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}
