//! Peers that others wrote: the PyPI `tacacs_plus` client and OpenSSL's `s_client`.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use crate::harness::{Place, Server, code, stdout};
use crate::wire::{author, pap};

/// The client's program, in the virtual environment that `scripts/test` makes.
fn tacacs_client() -> PathBuf {
    let venv = std::env::var("DOORWARD_INTEROP_VENV").unwrap_or_else(|_| {
        panic!("DOORWARD_INTEROP_VENV names no virtual environment with the PyPI package tacacs_plus; run the tests by ./scripts/test")
    });
    PathBuf::from(venv).join("bin/tacacs_client")
}

fn pypi(place: &Place, server: &Server, user: &str, password: &str, arguments: &[&str]) -> Output {
    let address = server.plain();
    let output = Command::new(tacacs_client())
        .args([
            "-v",
            "-H",
            &address.ip().to_string(),
            "-p",
            &address.port().to_string(),
            "-u",
            user,
            "-k",
            &place.text("old-sw7.secret"),
        ])
        .args(arguments)
        .env("TACACS_PLUS_PWD", password)
        .stdin(Stdio::null())
        .output();
    output.unwrap_or_else(|error| panic!("{}: {error}", tacacs_client().display()))
}

/// proves: TAC-4.5-5
#[test]
fn the_pypi_client_logs_in_by_pap_and_ascii() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    for method in ["pap", "ascii"] {
        let good = pypi(
            &place,
            &server,
            "alice",
            &password,
            &["-t", method, "authenticate"],
        );
        assert!(stdout(&good).contains("PASS"), "{good:?}");
        assert_eq!(code(&good), 0);
        let bad = pypi(
            &place,
            &server,
            "alice",
            "wrong",
            &["-t", method, "authenticate"],
        );
        assert!(stdout(&bad).contains("FAIL"), "{bad:?}");
        assert_ne!(code(&bad), 0);
    }
}

/// It asks for identifier and challenge at its standard input.
/// proves: TAC-5.4.2.3-4
#[test]
fn the_pypi_client_logs_in_by_chap() {
    let place = Place::with(&[(
        "[user.bob]",
        "[user.carol]\nchap_secret = \"plain:a secret for challenges only\"\ngroups = [\"noc\"]\n\n[user.bob]",
    )]);
    let server = place.start();
    let run = |secret: &str, challenge: &str| {
        let address = server.plain();
        let mut child = Command::new(tacacs_client())
            .args(["-v", "-H", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .args(["-u", "carol", "-k", &place.text("old-sw7.secret")])
            .args(["-t", "chap", "authenticate"])
            .env("TACACS_PLUS_PWD", secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "7\n{challenge}").unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    };
    let good = run("a secret for challenges only", "0123456789abcdef");
    assert!(stdout(&good).contains("PASS"), "{good:?}");
    let bad = run("another secret", "0123456789abcdef");
    assert!(stdout(&bad).contains("FAIL"), "{bad:?}");
    let short = run("a secret for challenges only", "0123456");
    assert!(stdout(&short).contains("FAIL"), "{short:?}");
}

#[test]
fn the_pypi_client_authorizes_and_accounts() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    let permit = pypi(
        &place,
        &server,
        "alice",
        &password,
        &[
            "authorize",
            "-c",
            "service=shell",
            "cmd=show",
            "cmd-arg=version",
        ],
    );
    assert!(stdout(&permit).contains("PASS"), "{permit:?}");
    let deny = pypi(
        &place,
        &server,
        "alice",
        &password,
        &[
            "authorize",
            "-c",
            "service=shell",
            "cmd=reload",
            "cmd-arg=now",
        ],
    );
    assert!(stdout(&deny).contains("FAIL"), "{deny:?}");
    for flag in ["start", "stop", "update"] {
        let done = pypi(
            &place,
            &server,
            "alice",
            &password,
            &[
                "account",
                "-f",
                flag,
                "-c",
                "task_id=42",
                "service=shell",
                "cmd=show",
                "cmd-arg=clock",
            ],
        );
        assert!(stdout(&done).contains("SUCCESS"), "{flag}: {done:?}");
    }
    let found = place.ask(&[
        "acct",
        "search",
        "--json",
        "--device",
        "old-sw7",
        "--cmd",
        "show clock*",
    ]);
    assert_eq!(stdout(&found).lines().count(), 2, "{found:?}");
    // Its "update" is a WATCHDOG alone, whose arguments section 7.2 has the server ignore.
    let found = place.ask(&["acct", "search", "--json", "--kind", "watchdog"]);
    assert_eq!(stdout(&found).lines().count(), 1, "{found:?}");
    assert!(!stdout(&found).contains("clock"), "{found:?}");
}

/// `openssl s_client` with one packet on its standard input; what it wrote on stdout and stderr.
fn s_client(
    place: &Place,
    address: SocketAddr,
    arguments: &[&str],
    packet: &[u8],
    reply: usize,
) -> (Vec<u8>, String) {
    let believed = [
        "-quiet",
        "-CAfile",
        "ca.pem",
        "-verify_return_error",
        "-servername",
        "aaa1.doorward.test",
    ];
    let all = [&believed, arguments].concat();
    let (mut octets, errors) = openssl_sends(place, address, &all, packet);
    if octets.len() < reply {
        octets.clear();
    }
    octets.truncate(reply);
    (octets, errors)
}

/// `openssl s_client` among the files of a place, with pipes on all three sides.
pub(crate) fn openssl_client(place: &Place, address: SocketAddr, arguments: &[&str]) -> Child {
    Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(arguments)
        .current_dir(place.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// `openssl s_client` with these octets on its standard input; all it wrote on stdout and stderr until the server closed.
fn openssl_sends(
    place: &Place,
    address: SocketAddr,
    arguments: &[&str],
    octets: &[u8],
) -> (Vec<u8>, String) {
    let mut child = openssl_client(place, address, arguments);
    let mut stdin = child.stdin.take().unwrap();
    // A refused handshake may close it first.
    _ = stdin.write_all(octets);
    // Standard input stays open until the server has closed.
    let (mut out, mut errors) = (Vec::new(), String::new());
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    drop(stdin);
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    child.wait().unwrap();
    (out, errors)
}

/// One question about a command of alice, asked by `openssl s_client` with `arguments`: what it wrote.
pub(crate) fn openssl_asks(
    place: &Place,
    server: &Server,
    arguments: &[&str],
) -> (Vec<u8>, String) {
    let question = author(7, "alice", &["service=shell", "cmd=show"]);
    let octets = question.flags(1).octets(None);
    openssl_sends(place, server.tls(), arguments, &octets)
}

/// What it takes besides to talk about the connection, and to believe the demo's CA.
pub(crate) const TALKING: [&str; 5] = [
    "-ign_eof",
    "-CAfile",
    "ca.pem",
    "-servername",
    "aaa1.doorward.test",
];

pub(crate) const CORE1: [&str; 4] = ["-cert", "core1.pem", "-key", "core1.key"];

/// proves: TLS-3.3-1
#[test]
fn openssl_with_a_certificate_is_served() {
    let place = Place::demo();
    let mut server = place.start();
    let request = pap(7, "alice", &place.text("alice.password"))
        .flags(1)
        .octets(None);
    let (reply, errors) = s_client(
        &place,
        server.tls(),
        &[&["-tls1_3"][..], &CORE1].concat(),
        &request,
        18,
    );
    assert!(!reply.is_empty(), "{errors}");
    assert_eq!(
        reply[..12],
        [0xc1, 1, 2, 1, 0, 0, 0, 7, 0, 0, 0, 6],
        "{errors}"
    );
    assert_eq!(reply[12], 1, "PASS");
    server.wait_for_log(&["\"outcome\":\"pass\"", "\"device\":\"core1\""]);
}

/// proves: TLS-3.4.3-1
#[test]
fn openssl_with_each_suite_is_served() {
    let place = Place::demo();
    let server = place.start();
    let request = author(7, "alice", &["service=shell", "cmd=show"])
        .flags(1)
        .octets(None);
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let (reply, errors) = s_client(
            &place,
            server.tls(),
            &[&["-tls1_3", "-ciphersuites", suite][..], &CORE1].concat(),
            &request,
            18,
        );
        assert_eq!(reply.get(12), Some(&1), "{suite}: {errors}");
    }
}

/// proves: TLS-3.2-2, TLS-3.1-1
#[test]
fn openssl_without_what_it_takes_is_refused_by_the_right_alert() {
    let place = Place::demo();
    let mut server = place.start();
    let request = author(7, "alice", &["service=shell", "cmd=show"])
        .flags(1)
        .octets(None);
    for (arguments, alert, reason) in [
        (
            &["-tls1_2", "-cert", "core1.pem", "-key", "core1.key"][..],
            "alert number 70",
            "tls-version",
        ),
        (&["-tls1_3"], "alert number 116", "certificate-missing"),
        (
            &["-tls1_3", "-cert", "stolen1.pem", "-key", "stolen1.key"],
            "alert number 44",
            "certificate-revoked",
        ),
        // The server's own certificate is under the same CA and is no client's.
        (
            &["-tls1_3", "-cert", "server.pem", "-key", "server.key"],
            "alert number",
            "certificate-path",
        ),
    ] {
        let (reply, errors) = s_client(&place, server.tls(), arguments, &request, 18);
        assert!(reply.is_empty(), "{arguments:?} was served");
        assert!(errors.contains(alert), "{arguments:?}: {errors}");
        server.wait_for_log(&[&format!("\"reason\":\"{reason}\"")]);
    }
}
