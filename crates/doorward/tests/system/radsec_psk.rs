//! RadSec by pre-shared keys, of TLS 1.3 and of TLS 1.2.

use std::process::Output;

use doorward_radius::{Code, RawPacket};

use crate::foreign::CORE1;
use crate::harness::{Place, Server, all_said, code, doorward, stdout};
use crate::hellos::{alert, keys};
use crate::hostile::{hello, throw};
use crate::psk;
use crate::radius::{RadSec, accounting, pap, status};

const IDENTITY: &str = "core1.example.net";
const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

fn place(auth: &str) -> Place {
    psk::place_of("radius-tls", auth)
}

/// `openssl s_client` with a key and no certificate.
pub(crate) fn by_key(
    place: &Place,
    server: &Server,
    version: &str,
    identity: &str,
    key: &str,
) -> RadSec {
    let suites = [
        "-cipher",
        "ECDHE-PSK-CHACHA20-POLY1305",
        // Its command binds such a key to SHA-256 and drops it under another hash.
        "-ciphersuites",
        "TLS_AES_128_GCM_SHA256",
    ];
    let proof = [version, "-psk_identity", identity, "-psk", key];
    RadSec::connect(place, server, &[&suites[..], &proof].concat())
}

/// What a device asks, and whether it is the answer that it should be.
fn ask_all(place: &Place, device: &mut RadSec) {
    let password = place.text("alice.password");
    let accept = device.ask(&pap(1, "alice", &password));
    assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
    let reject = device.ask(&pap(2, "alice", "wrong"));
    assert_eq!(reject.header().code, Code::ACCESS_REJECT);
    let kept = device.ask(&accounting(3, 1, |_| ()));
    assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
    let alive = device.ask(&status(0));
    assert_eq!(alive.header().code, Code::ACCESS_ACCEPT);
}

/// proves: RAD-3.3-3
#[test]
fn a_device_is_served_by_its_key_as_by_its_certificate() {
    for auth in ["[\"psk\"]", "[\"certificate\", \"psk\"]"] {
        let place = place(auth);
        let mut server = place.start();
        let key = place.text("core1.psk");
        for version in VERSIONS {
            let mut device = by_key(&place, &server, version, IDENTITY, &key);
            ask_all(&place, &mut device);
            let number = version.strip_prefix("-tls1_").unwrap();
            server.wait_for_log(&[
                "a device is connected",
                "\"device\":\"core1\"",
                "\"auth\":\"psk\"",
                &format!("\"tls\":\"1.{number}\""),
                &format!("\"psk_identity\":\"{IDENTITY}\""),
            ]);
            let devices = stdout(&place.ask(&["status", "--devices", "--json"]));
            assert!(devices.contains("\"auth\":\"psk\""), "{devices}");
            let mut device = RadSec::connect(&place, &server, &[&CORE1[..], &[version]].concat());
            if auth.contains("certificate") {
                ask_all(&place, &mut device);
            } else {
                device.try_send(&status(0));
                assert_eq!(device.receive(), None);
            }
        }
        let (_, log) = server.stop();
        assert!(!log.contains(&key));
    }
}

/// The alert of a device that is refused.
fn refused(mut device: RadSec) -> String {
    device.try_send(&status(0));
    assert_eq!(device.receive(), None);
    let errors = device.errors();
    let (_, number) = errors.split_once("alert number ").unwrap_or_else(|| {
        panic!("{errors}");
    });
    number.lines().next().unwrap_or_default().to_owned()
}

/// An identity that nobody has, a wrong key, and the right one from elsewhere are one thing to the device, and three in our log.
#[test]
fn what_is_wrong_with_a_key_is_told_to_us_and_not_to_the_device() {
    let place = place("[\"psk\"]");
    place.edit(&[(
        "[device.stolen1]",
        "[device.away]\naddress = [\"192.0.2.0/24\"]\npsk = { identity = \"away\", key = \"file:away.psk\" }\n[device.stolen1]",
    )]);
    let away = "a7".repeat(32);
    std::fs::write(place.path("away.psk"), &away).unwrap();
    let mut server = place.start();
    for (round, version) in VERSIONS.into_iter().enumerate() {
        let cases = [
            (IDENTITY, "ab".repeat(32), "psk-key"),
            ("core9.example.net", "ab".repeat(32), "psk-identity"),
            ("away", away.clone(), "device-address"),
        ];
        let told = cases.map(|(identity, key, reason)| {
            let told = refused(by_key(&place, &server, version, identity, &key));
            let reason = format!("\"reason\":\"{reason}\"");
            server.wait_for_logs(&[&reason], round + 1);
            told
        });
        assert_eq!(told[0], told[1], "{version}");
        assert_eq!(told[0], told[2], "{version}");
    }
}

/// proves: RAD-3.3.2-4
#[test]
fn a_key_is_long_and_used_with_a_key_exchange() {
    let long = "i".repeat(128);
    let place = place("[\"psk\"]");
    let good = format!("identity = \"{IDENTITY}\"");
    place.edit(&[(&good, &format!("identity = \"{long}\""))]);
    let key = place.text("core1.psk");
    let server = place.start();
    for version in VERSIONS {
        let mut device = by_key(&place, &server, version, &long, &key);
        let password = place.text("alice.password");
        let accept = device.ask(&pap(1, "alice", &password));
        assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
    }
    // psk_ke and nothing else.
    let named = keys(&[long.clone().into_bytes()]);
    let only_psk_ke = hello(&[(45, &[1, 0]), (41, &named)]);
    let answer = throw(server.address("radius-tls"), &only_psk_ke);
    assert_eq!(answer, alert(40));
    // Without a key exchange, by the certificate's key, without AEAD.
    for suites in [
        "PSK-AES128-GCM-SHA256:PSK-CHACHA20-POLY1305:PSK-AES256-CBC-SHA384",
        "RSA-PSK-AES128-GCM-SHA256:RSA-PSK-CHACHA20-POLY1305",
        "ECDHE-PSK-AES128-CBC-SHA256:ECDHE-PSK-AES256-CBC-SHA384",
    ] {
        let proof = ["-psk_identity", &long, "-psk", &key];
        let offer = ["-tls1_2", "-cipher", suites];
        let device = RadSec::connect(&place, &server, &[&offer[..], &proof].concat());
        assert_eq!(refused(device), "40", "{suites}");
    }
    drop(server);
    std::fs::write(place.path("core1.psk"), "5a".repeat(15)).unwrap();
    let checked = place.check();
    let said = all_said(&checked);
    assert_eq!(code(&checked), 1, "{said}");
    assert!(said.contains("the key has 15 octets"), "{said}");
    std::fs::write(place.path("core1.psk"), "5a".repeat(16)).unwrap();
    assert_eq!(code(&place.check()), 0);
}

/// The same octets from the same address are two requests of two devices.
/// proves: RAD-3.4-2
#[test]
fn who_asks_is_told_by_the_identity() {
    let place = place("[\"psk\"]");
    place.edit(&[(
        "[device.stolen1]",
        "[device.core2]\npsk = { identity = \"core2\", key = \"file:core2.psk\" }\n[device.stolen1]",
    )]);
    place.edit(&[(
        "when = { group = \"noc\" }",
        "when = { group = \"noc\", psk_identity = \"core1.*\" }",
    )]);
    let other = "c2".repeat(32);
    std::fs::write(place.path("core2.psk"), &other).unwrap();
    let mut server = place.start();
    let key = place.text("core1.psk");
    for version in VERSIONS {
        let request = pap(1, "alice", &place.text("alice.password"));
        let code = |answer: RawPacket| answer.header().code;
        let mut first = by_key(&place, &server, version, IDENTITY, &key);
        let mut second = by_key(&place, &server, version, "core2", &other);
        assert_eq!(code(first.ask(&request)), Code::ACCESS_ACCEPT);
        assert_eq!(code(second.ask(&request)), Code::ACCESS_REJECT);
        assert_eq!(code(first.ask(&request)), Code::ACCESS_ACCEPT);
    }
    server.wait_for_log(&["\"device\":\"core1\"", "\"outcome\":\"pass\""]);
    server.wait_for_log(&["\"device\":\"core2\"", "\"outcome\":\"fail\""]);
}

/// Both the identity and the key: whoever has the old one is out, on open connections as well.
#[test]
fn a_key_that_is_changed_ends_what_was_begun_with_it() {
    for version in VERSIONS {
        let place = place("[\"certificate\", \"psk\"]");
        let server = place.start();
        let old = place.text("core1.psk");
        let mut device = by_key(&place, &server, version, IDENTITY, &old);
        ask_all(&place, &mut device);
        let new = "b1".repeat(32);
        std::fs::write(place.path("core1.psk"), &new).unwrap();
        let reload = place.ask(&["reload"]);
        assert_eq!(code(&reload), 0, "{}", all_said(&reload));
        assert_eq!(device.receive(), None);
        ask_all(
            &place,
            &mut by_key(&place, &server, version, IDENTITY, &new),
        );
        let mut late = by_key(&place, &server, version, IDENTITY, &old);
        late.try_send(&status(0));
        assert_eq!(late.receive(), None);
    }
}

fn ask(place: &Place, server: &Server, arguments: &[&str]) -> Output {
    let address = server.address("radius-tls").to_string();
    doorward()
        .arg("radius")
        .args(arguments)
        .args(["--server", &address, "--json"])
        .current_dir(place.path(""))
        .output()
        .unwrap()
}

/// proves: RAD-3.3.1-3, RAD-3.3.2-3
#[test]
fn our_client_has_a_key_too() {
    let place = place("[\"psk\"]");
    let server = place.start();
    let proof = ["--psk-identity", IDENTITY, "--psk-key", "file:core1.psk"];
    let alice = ["--user", "alice", "--password", "file:alice.password"];
    for command in [
        &[&["access"][..], &alice].concat()[..],
        &["accounting", "--start", "--user", "alice"],
        &["status"],
    ] {
        let output = ask(&place, &server, &[command, &proof].concat());
        assert_eq!(code(&output), 0, "{}", all_said(&output));
        let said = stdout(&output);
        assert!(said.contains("\"auth\":\"psk\""), "{said}");
        assert!(said.contains("\"version\":\"1.3\""), "{said}");
    }
    // A server that wants a certificate gets no request.
    let place = self::place("[\"certificate\"]");
    let server = place.start();
    let proof = [
        "--psk-identity",
        IDENTITY,
        "--psk-key",
        &format!("plain:{}", "ab".repeat(32)),
    ];
    let output = ask(&place, &server, &[&["status"][..], &proof].concat());
    let said = all_said(&output);
    assert_eq!(code(&output), 3, "{said}");
    assert!(!said.contains(&"ab".repeat(8)), "{said}");
}
