//! `doorward radius` against our own server: what it prints, and how it ends.

use std::net::SocketAddr;
use std::process::Output;

use serde_json::Value;

use crate::harness::{AS_CORE1, Place, all_said, code, doorward, stdout};

const NAMED: [&str; 2] = ["--server-name", "aaa1.doorward.test"];

fn ask(place: &Place, server: SocketAddr, command: &str, arguments: &[&str]) -> Output {
    doorward()
        .args(["radius", command, "--server", &server.to_string()])
        .args(arguments)
        .current_dir(place.path(""))
        .output()
        .unwrap()
}

/// As core1, in JSON.
fn json(place: &Place, server: SocketAddr, command: &str, arguments: &[&str]) -> (i32, Value) {
    let all = [&AS_CORE1[..], &NAMED, &["--json"], arguments].concat();
    let output = ask(place, server, command, &all);
    let value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|error| {
        panic!("{error}: {}", all_said(&output));
    });
    (code(&output), value)
}

/// A user who can answer challenges.
fn with_challenges() -> Place {
    let place = Place::with(&[(
        "[role.watcher]",
        "[user.carol]\nchap_secret = \"plain:clientPass-9\"\ngroups = [\"noc\"]\n\n[role.watcher]",
    )]);
    place.edit(&[(
        "[metrics]",
        "[authentication]\naccept = [\"pap\", \"chap\", \"mschapv2\"]\n\n[metrics]",
    )]);
    place
}

/// proves: RAD-3-3, RAD-3.3.1-2
#[test]
fn logins_of_each_type_say_what_the_server_says() {
    let place = with_challenges();
    let server = place.start();
    let server = server.address("radius-tls");
    let alice = ["--user", "alice", "--password", "file:alice.password"];
    let (ended, said) = json(&place, server, "access", &alice);
    assert_eq!((ended, said["result"].as_str()), (0, Some("pass")));
    assert_eq!(said["status"], "Access-Accept");
    let attributes = said["attributes"].to_string();
    assert_eq!(
        attributes,
        r#"[["Service-Type","NAS-Prompt-User"],["Cisco-AVPair","shell:priv-lvl=1"]]"#
    );
    assert_eq!(said["tls"]["version"], "1.3");
    assert_eq!(said["tls"]["auth"], "certificate");

    for kind in ["chap", "mschapv2"] {
        for (secret, ended) in [("plain:clientPass-9", 0), ("plain:guessed", 2)] {
            let carol = ["--user", "carol", "--type", kind, "--password", secret];
            let (seen, said) = json(&place, server, "access", &carol);
            assert_eq!(seen, ended, "{kind} {secret}: {said}");
        }
    }
    let wrong = ["--user", "alice", "--password", "plain:wrong"];
    let (ended, said) = json(&place, server, "access", &wrong);
    assert_eq!((ended, said["result"].as_str()), (2, Some("fail")));
    assert_eq!(said["status"], "Access-Reject");
}

/// proves: RAD-6.2.3-2
#[test]
fn sessions_are_recorded_with_their_attributes() {
    let place = Place::demo();
    let running = place.start();
    let server = running.address("radius-tls");
    for (kind, recorded) in [
        ("--start", "start"),
        ("--update", "update"),
        ("--stop", "stop"),
        ("--on", "on"),
        ("--off", "off"),
    ] {
        let arguments = [kind, "--user", "alice", "--session-id", "s1"];
        let more = [
            "--attr",
            "Framed-IP-Address=192.0.2.9",
            "--attr",
            "Attr-240=0x00ff",
        ];
        let (ended, said) = json(
            &place,
            server,
            "accounting",
            &[&arguments[..], &more].concat(),
        );
        assert_eq!(
            (ended, said["status"].as_str()),
            (0, Some("Accounting-Response"))
        );
        let records = stdout(&place.ask(&["acct", "search", "--json"]));
        let record = records.lines().last().unwrap();
        let kind = format!("\"kind\":\"{recorded}\"");
        for wanted in [
            kind.as_str(),
            "Acct-Session-Id=s1",
            "Framed-IP-Address=192.0.2.9",
            "Attr-240=0x00ff",
            "NAS-Identifier=doorward",
            "Event-Timestamp=",
        ] {
            assert!(record.contains(wanted), "{wanted}: {record}");
        }
        assert!(!record.contains("Acct-Delay-Time"), "{record}");
    }
}

/// proves: RAD-3.7-11, RAD-3.3.1-20
#[test]
fn a_server_is_there_or_is_not_believed() {
    let place = Place::demo();
    let running = place.start();
    let server = running.address("radius-tls");
    let (ended, said) = json(&place, server, "status", &[]);
    assert_eq!((ended, said["status"].as_str()), (0, Some("Access-Accept")));
    for (wanted, name) in [
        ("--server-name", "aaa2.doorward.test"),
        ("--realm", "aaa1.doorward.test"),
    ] {
        let alice = ["--user", "alice", "--password", "file:alice.password"];
        let all = [&AS_CORE1[..], &[wanted, name], &alice].concat();
        let output = ask(&place, server, "access", &all);
        let said = all_said(&output);
        assert_eq!(code(&output), 3, "{said}");
        assert!(said.contains("the TLS handshake failed"), "{said}");
    }
    let (_, log) = running.stop();
    assert!(!log.contains("\"outcome\":\"pass\""), "{log}");
}

/// proves: RAD-7.7-4
#[test]
fn nothing_is_sent_over_udp_where_tls_fails() {
    let place = Place::demo();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap();
    let all = [&AS_CORE1[..], &NAMED].concat();
    let login = ["--user", "alice", "--password", "file:alice.password"];
    let output = ask(&place, address, "access", &[&all[..], &login].concat());
    assert_eq!(code(&output), 3, "{}", all_said(&output));
    udp.set_nonblocking(true).unwrap();
    let nothing = udp.recv(&mut [0; 4096]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

/// proves: RAD-3.1-8, RAD-3.1-5
#[test]
fn wrong_flags_say_what_to_do() {
    let place = Place::demo();
    let server: SocketAddr = "127.0.0.1:2083".parse().unwrap();
    let core1 = [&AS_CORE1[..], &NAMED].concat();
    let secret = ["--secret", "plain:0123456789abcdef"];
    for (port, arguments, wanted) in [
        (
            1812,
            core1.clone(),
            "a port of RADIUS/UDP, where RadSec must not be",
        ),
        (2083, NAMED.to_vec(), "or use --udp with --secret"),
        (2083, [&core1[..], &secret].concat(), "--udp"),
        (2083, vec!["--udp"], "--udp needs --secret"),
        (
            2083,
            vec!["--udp", "--secret", "plain:short"],
            "--allow-short-secret",
        ),
        (
            1812,
            [&core1[..], &["--dtls"]].concat(),
            "a port of RADIUS/UDP, where RadSec must not be",
        ),
        (
            2083,
            vec!["--raw-public-key", "--key", "core1.key", "--ca", "ca.pem"],
            "raw public key",
        ),
    ] {
        let server = SocketAddr::new(server.ip(), port);
        let output = ask(&place, server, "status", &arguments);
        let said = all_said(&output);
        assert_eq!(code(&output), 64, "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
    for attribute in [
        "Service-Tpye=Login-User",
        "Service-Type=Nobody",
        "User-Password=x",
        "x",
    ] {
        let alice = [
            "--user",
            "alice",
            "--password",
            "plain:x",
            "--attr",
            attribute,
        ];
        let output = ask(&place, server, "access", &[&core1[..], &alice].concat());
        assert_eq!(code(&output), 64, "{attribute}: {}", all_said(&output));
    }
}

/// Whom we believe stands in our hello; that a listener names its authorities is shown beside the identities.
/// proves: RAD-3.2-1, RAD-3.3.1-7
#[test]
fn the_first_octets_are_a_hello_that_names_our_authorities() {
    let place = Place::demo();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut header = [0; 5];
        std::io::Read::read_exact(&mut stream, &mut header).unwrap();
        let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        std::io::Read::read_exact(&mut stream, &mut hello).unwrap();
        (header, hello)
    });
    let all = [&AS_CORE1[..], &NAMED].concat();
    let output = ask(&place, address, "status", &all);
    assert_eq!(code(&output), 3, "{}", all_said(&output));
    let (header, hello) = seen.join().unwrap();
    // A handshake record with a ClientHello.
    assert_eq!((header[0], hello[0]), (22, 1));
    // certificate_authorities (RFC 8446 section 4.2.4) is the one reason for the CA's name to be there.
    let authority = b"Doorward demo CA";
    assert!(hello.windows(authority.len()).any(|part| part == authority));
}
