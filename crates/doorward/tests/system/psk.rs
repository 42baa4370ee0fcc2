//! Devices that are known by an external pre-shared key.

use std::process::Output;

use crate::foreign::openssl_asks;
use crate::harness::{Place, Server, all_said, code, doorward, stderr, stdout};
use crate::wire::{Peer, author};

/// Makes a key for `core1` by the command, and lets the demo's listener take it, beside certificates or alone.
pub(crate) fn place(auth: &str) -> Place {
    place_of("tacacs-tls", auth)
}

/// The same for another of the demo's listeners.
pub(crate) fn place_of(protocol: &str, auth: &str) -> Place {
    let place = Place::demo();
    let listener = format!("protocol = \"{protocol}\" ");
    let text = place.text("doorward.toml");
    let (before, rest) = text.split_once(&listener).unwrap();
    // What the demo's listener takes is replaced.
    let (own, after) = rest.split_once("\n\n").unwrap();
    let own: Vec<&str> = own
        .lines()
        .filter(|line| !line.starts_with("auth "))
        .collect();
    let own = own.join("\n");
    let text = format!("{before}auth = {auth}\n{listener}{own}\n\n{after}\n");
    std::fs::write(place.config(), text).unwrap();
    let made = make(&place, &["core1", "--identity", "core1.example.net"]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    place.edit(&[(
        "certificate = { dns = [\"core1.doorward.test\"] }",
        "certificate = { dns = [\"core1.doorward.test\"] }\npsk = { identity = \"core1.example.net\", key = \"file:core1.psk\" }",
    )]);
    place
}

fn make(place: &Place, arguments: &[&str]) -> Output {
    doorward()
        .args(["device", "psk"])
        .args(arguments)
        .current_dir(place.path(""))
        .output()
        .unwrap()
}

fn ask(place: &Place, server: &Server, identity: &str, key: &str) -> Output {
    let proof = ["--psk-identity", identity, "--psk-key", key, "--json"];
    place.log_in(server.tls(), &proof)
}

/// proves: TLS-3.3-2, TLS-3.5-2
#[test]
fn a_key_made_by_the_command_logs_in_beside_certificates_and_alone() {
    for auth in ["[\"certificate\", \"psk\"]", "[\"psk\"]"] {
        let place = place(auth);
        let mut server = place.start();
        let answer = ask(&place, &server, "core1.example.net", "file:core1.psk");
        assert_eq!(code(&answer), 0, "{}", stderr(&answer));
        assert!(
            stdout(&answer).contains("\"auth\":\"psk\""),
            "{}",
            stdout(&answer)
        );
        server.wait_for_log(&["\"outcome\":\"pass\"", "\"device\":\"core1\""]);
        let status = stdout(&place.ask(&["status", "--devices", "--json"]));
        assert!(status.contains("\"auth\":\"psk\""), "{status}");
    }
}

/// An unknown identity and a wrong key are one thing to the device, and two in our log.
#[test]
fn what_is_wrong_with_a_key_is_told_to_us_and_not_to_the_device() {
    let place = place("[\"psk\"]");
    let other = make(&place, &["other"]);
    assert_eq!(code(&other), 0);
    let mut server = place.start();
    let wrong = ask(&place, &server, "core1.example.net", "file:other.psk");
    server.wait_for_log(&["\"reason\":\"psk-key\""]);
    let unknown = ask(&place, &server, "core9.example.net", "file:other.psk");
    server.wait_for_log(&["\"reason\":\"psk-identity\""]);
    let (wrong, unknown) = (stderr(&wrong), stderr(&unknown));
    assert!(wrong.contains("alert"), "{wrong}");
    assert_eq!(wrong, unknown);
}

/// `openssl s_client` with a key and no certificate.
#[test]
fn openssl_logs_in_by_a_key() {
    let place = place("[\"certificate\", \"psk\"]");
    let server = place.start();
    let key = place.text("core1.psk");
    let run = |identity: &str, key: &str| {
        // OpenSSL's command binds an old-style key to SHA-256 and drops it under another hash.
        let suite = ["-ciphersuites", "TLS_AES_128_GCM_SHA256"];
        let proof = ["-psk_identity", identity, "-psk", key.trim()];
        let all = [&["-quiet", "-tls1_3"][..], &proof, &suite].concat();
        openssl_asks(&place, &server, &all).0
    };
    let reply = run("core1.example.net", &key);
    assert_eq!(reply.get(12), Some(&1), "PASS_ADD: {reply:?}");
    assert!(run("core1.example.net", &"ab".repeat(32)).is_empty());
}

#[test]
fn a_device_that_loses_its_key_loses_its_place() {
    let place = place("[\"psk\"]");
    let server = place.start();
    place.edit(&[(
        "identity = \"core1.example.net\"",
        "identity = \"core1.new.example.net\"",
    )]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    let gone = ask(&place, &server, "core1.example.net", "file:core1.psk");
    assert_eq!(code(&gone), 3, "{}", stderr(&gone));
    let come = ask(&place, &server, "core1.new.example.net", "file:core1.psk");
    assert_eq!(code(&come), 0, "{}", stderr(&come));
}

/// The identity stays and the key changes: whoever holds the old one is out, on connections that are open as well.
#[test]
fn a_key_that_is_changed_ends_the_connections_made_with_the_old_one() {
    let place = place("[\"psk\"]");
    let mut server = place.start();
    let show = |session| author(session, "alice", &["service=shell", "cmd=show"]).flags(4);
    let old = place.text("core1.psk");
    let connect = |key: &str| Peer::psk(server.tls(), "core1.example.net", key);
    let mut peer = connect(&old).unwrap();
    assert_eq!(peer.ask(show(1)).body[0], 1);

    // A reload that leaves the key alone leaves the connection alone, whoever else changes.
    place.edit(&[(
        "[user.bob]",
        "[user.carol]\ngroups = [\"noc\"]\n\n[user.bob]",
    )]);
    let reload = || {
        let reload = place.ask(&["reload"]);
        assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    };
    reload();
    assert_eq!(peer.ask(show(2)).body[0], 1);

    std::fs::remove_file(place.path("core1.psk")).unwrap();
    assert_eq!(code(&make(&place, &["core1"])), 0);
    let new = place.text("core1.psk");
    assert_ne!(old, new);
    reload();
    assert!(peer.rest().is_empty());
    let mut kept = connect(&new).unwrap();
    assert_eq!(kept.ask(show(3)).body[0], 1);
    assert!(connect(&old).is_err());
    server.wait_for_log(&[
        "\"reason\":\"psk-key\"",
        "the open connection of device core1 is closed",
    ]);
    reload();
    assert_eq!(kept.ask(show(4)).body[0], 1);
    let (_, log) = server.stop();
    assert!(!log.contains(&old) && !log.contains(&new));
}

/// proves: TLS-3.5-6
#[test]
fn a_key_that_is_also_a_shared_secret_is_refused_by_name_and_never_shown() {
    let place = place("[\"psk\"]");
    let key = place.text("core1.psk");
    std::fs::write(place.path("old-sw7.secret"), &key).unwrap();
    let checked = place.check();
    let said = all_said(&checked);
    assert_eq!(code(&checked), 1, "{said}");
    assert!(
        said.contains(
            "the pre-shared key of [device.core1] is also the `tacacs_secret` of [device.old-sw7]"
        ),
        "{said}"
    );
    assert!(!said.contains(key.trim()));
    let started = doorward()
        .arg("run")
        .arg("--config")
        .arg(place.config())
        .output()
        .unwrap();
    assert_eq!(code(&started), 1);
    assert!(!(all_said(&started)).contains(key.trim()));
}

#[test]
fn mistakes_with_keys_are_told_at_their_place() {
    let good = "psk = { identity = \"core1.example.net\", key = \"file:core1.psk\" }";
    let cases = [
        (
            "psk = { identity = \"\", key = \"file:core1.psk\" }",
            "this identity cannot be used",
        ),
        (
            "psk = { identity_hex = \"4\", key = \"file:core1.psk\" }",
            "pairs of hexadecimal digits",
        ),
        ("psk = { key = \"file:core1.psk\" }", "has no `identity`"),
        (
            "psk = { identity = \"a\", identity_hex = \"41\", key = \"file:core1.psk\" }",
            "says something else than `identity`",
        ),
        (
            "psk = { identity = \"DWT1x\", key = \"file:core1.psk\" }",
            "this identity cannot be used",
        ),
        (
            "psk = { identity = \"a\", key = \"file:short.psk\" }",
            "the key of `psk` cannot be used",
        ),
    ];
    for (bad, message) in cases {
        let place = place("[\"psk\"]");
        std::fs::write(place.path("short.psk"), "0badc0ffee").unwrap();
        place.edit(&[(good, bad)]);
        let checked = place.check();
        let said = all_said(&checked);
        assert_eq!(code(&checked), 1, "{bad}: {said}");
        assert!(said.contains(message), "{message}: {said}");
    }
    let place = place("[\"psk\"]");
    place.edit(&[(
        "[device.stolen1]",
        "[device.twin]\npsk = { identity = \"core1.example.net\", key = \"file:core1.psk\" }\n[device.stolen1]",
    )]);
    let checked = place.check();
    let said = all_said(&checked);
    assert!(said.contains("have one pre-shared key"), "{said}");
    assert!(said.contains("would also be [device.core1]"), "{said}");
}

#[test]
fn the_command_overwrites_nothing_and_keeps_the_key_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::demo();
    let made = make(&place, &["lab-pe2"]);
    let (lines, advice) = (stdout(&made), stderr(&made));
    let key = place.text("lab-pe2.psk");
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        ["identity lab-pe2".to_owned(), format!("key {}", key.trim())]
    );
    assert_eq!(key.trim().len(), 64);
    let kept = place.path("lab-pe2.psk");
    let kept = kept.canonicalize().unwrap();
    let line = format!(
        "psk = {{ identity = \"lab-pe2\", key = \"file:{}\" }}",
        kept.display()
    );
    assert!(advice.contains(&line), "{advice}");
    let mode = std::fs::metadata(place.path("lab-pe2.psk"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = make(&place, &["lab-pe2"]);
    assert_eq!(code(&again), 1);
    assert!(stdout(&again).is_empty());
    let told = stderr(&again);
    assert!(
        told.contains("no key was made: there is a file already"),
        "{told}"
    );
    assert_eq!(place.text("lab-pe2.psk"), key);
    assert_eq!(code(&make(&place, &["a/b"])), 64);
}
