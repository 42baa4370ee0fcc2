//! `keylog`: the secrets of TLS connections, only where they are asked for.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{AS_CORE1, Place, Server, code, doorward, stderr, stdout};
use crate::radius::{RadSec, status};

/// The demo with a key for core1 on its listener; `keylog` in its profile where it is given.
fn place(keylog: Option<&str>) -> Place {
    let place = Place::demo();
    let made = doorward()
        .args(["device", "psk", "core1"])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    place.edit(&[
        (
            "protocol = \"tacacs-tls\" ",
            "auth = [\"certificate\", \"psk\"]\nprotocol = \"tacacs-tls\" ",
        ),
        (
            "certificate = { dns = [\"core1.doorward.test\"] }",
            "certificate = { dns = [\"core1.doorward.test\"] }\npsk = { identity = \"core1\", key = \"file:core1.psk\" }",
        ),
    ]);
    if let Some(keylog) = keylog {
        place.edit(&[(
            "[tls.default]\n",
            &format!("[tls.default]\nkeylog = \"{keylog}\"\n"),
        )]);
    }
    place
}

const BY_KEY: [&str; 4] = ["--psk-identity", "core1", "--psk-key", "file:core1.psk"];

fn log_in(place: &Place, server: &Server, proof: &[&str]) {
    let output = place.log_in(server.tls(), proof);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

const OPEN: &str = "doorward_tls_key_log_open{profile=\"default\"}";
const LINES: &str = "doorward_tls_key_log_lines_total{profile=\"default\"}";
/// What TLS 1.3 has for the two sides of a connection, and the exporter's.
const LABELS: [&str; 5] = [
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "EXPORTER_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_TRAFFIC_SECRET_0",
];

/// The lines as label, random and secret.
fn lines(text: &str) -> Vec<[&str; 3]> {
    let parts = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    parts.map(|parts| parts.try_into().unwrap()).collect()
}

#[test]
fn secrets_of_both_engines_are_written_for_the_owner_alone_and_told_of() {
    let place = place(Some("keys.log"));
    let checked = place.check();
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    let warning = "warning[keylog-on]";
    assert!(stderr(&checked).contains(warning), "{}", stderr(&checked));
    assert!(!place.path("keys.log").exists(), "made by check");

    let mut server = place.start();
    server.wait_for_log(&[warning]);
    let told = ["the secrets of TLS connections are written to a file"];
    server.wait_for_log(&told);
    assert_eq!(server.page().get(OPEN), Some(1.0));
    let mut randoms = Vec::new();
    for (done, proof) in [(1, &AS_CORE1[..]), (2, &BY_KEY[..])] {
        log_in(&place, &server, proof);
        server.wait_for(LINES, f64::from(done) * 5.0);
        let text = place.text("keys.log");
        let all = lines(&text);
        let new = &all[(done as usize - 1) * 5..];
        let mut labels: Vec<_> = new.iter().map(|[label, ..]| *label).collect();
        labels.sort_unstable();
        assert_eq!(labels, LABELS);
        for [_, random, secret] in new {
            assert_eq!((random.len(), *random), (64, new[0][1]));
            let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_hexdigit());
            assert!(secret.len() >= 64 && digits(secret) && digits(random));
        }
        randoms.push(new[0][1].to_owned());
    }
    assert_ne!(randoms[0], randoms[1]);
    let mode = |place: &Place| {
        let about = std::fs::metadata(place.path("keys.log")).unwrap();
        about.permissions().mode() & 0o777
    };
    assert_eq!(mode(&place), 0o600);

    // It goes on after a reload, and stops with one that turns it off.
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    server.wait_for_logs(&told, 2);
    log_in(&place, &server, &AS_CORE1);
    server.wait_for(LINES, 15.0);
    place.edit(&[("keylog = \"keys.log\"\n", "")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    server.wait_for(OPEN, 0.0);
    let before = place.text("keys.log");
    assert_eq!(lines(&before).len(), 15);
    for proof in [&AS_CORE1[..], &BY_KEY] {
        log_in(&place, &server, proof);
    }
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(place.text("keys.log"), before);
}

/// TLS 1.2 has one secret for both directions, named by the random of the hello.
#[test]
fn the_secret_of_a_radsec_connection_over_tls_1_2_is_written() {
    let place = place(Some("keys.log"));
    let server = place.start();
    let proof = ["-cert", "core1.pem", "-key", "core1.key", "-tls1_2"];
    let mut device = RadSec::connect(&place, &server, &proof);
    device.try_send(&status(1));
    assert!(device.receive().is_some());
    server.wait_for(LINES, 1.0);
    let text = place.text("keys.log");
    let [[label, random, secret]] = lines(&text)[..] else {
        panic!("{text}");
    };
    assert_eq!(
        (label, random.len(), secret.len()),
        ("CLIENT_RANDOM", 64, 96)
    );
}

#[test]
fn nobody_learns_secrets_unless_asked_for() {
    let place = place(None);
    let names = |place: &Place| {
        let listed = std::fs::read_dir(place.path("")).unwrap();
        let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.contains("log")).collect();
        names.sort_unstable();
        names
    };
    let before = names(&place);
    let server = place.start();
    log_in(&place, &server, &AS_CORE1);
    log_in(&place, &server, &BY_KEY);
    assert_eq!(server.page().get(OPEN), Some(0.0));
    assert_eq!(server.page().get(LINES), Some(0.0));
    let (exit, log) = server.stop();
    assert_eq!(exit, Some(0));
    assert!(!log.contains("keylog"), "{log}");
    assert!(!log.contains("TRAFFIC_SECRET"), "{log}");
    assert_eq!(names(&place), before);
}

#[test]
fn a_file_that_others_may_read_keeps_no_secret_and_no_device_out() {
    let place = place(Some("keys.log"));
    std::fs::write(place.path("keys.log"), "").unwrap();
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(place.path("keys.log"), open).unwrap();
    let mut server = place.start();
    server.wait_for_log(&["`keylog` cannot be opened", "chmod 600"]);
    log_in(&place, &server, &AS_CORE1);
    assert_eq!(server.page().get(OPEN), Some(0.0));
    assert_eq!(place.text("keys.log"), "");
    // Put right, a reload begins to write.
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(place.path("keys.log"), private).unwrap();
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert!(!stdout(&reload).contains("cannot be opened"));
    log_in(&place, &server, &BY_KEY);
    server.wait_for(LINES, 5.0);
}

/// The sandbox lets the server write in the folder of the file, wherever that is.
#[test]
fn the_sandbox_has_room_for_the_file() {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("keys.log");
    let place = place(Some(path.to_str().unwrap()));
    let mut server = place.start();
    server.wait_for_log(&["sandbox: "]);
    log_in(&place, &server, &AS_CORE1);
    server.wait_for(LINES, 5.0);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 5);
}
