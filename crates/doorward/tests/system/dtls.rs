//! RADIUS over DTLS: what is served, and what an association survives.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use doorward_radius::Code;
use doorward_radius::attribute::kind;
use doorward_tls::{HandshakeError, Method};

use crate::dtls_device::{Dtls, Proof, SILENCE, accounting, pap, request, status};
use crate::foreign::openssl_client;
use crate::harness::{Place, Server, all_said, code, doorward, stderr, stdout};
use crate::hostile2::wait_for_connections;
use crate::radius_udp::refused;

pub(crate) const KEY: &str = "6cfa1d8b30e94725a1f0b7c3d8e29465";
const NAMED: &str = "certificate = { dns = [\"core1.doorward.test\"] }";

/// The demo whose listener for DTLS has these keys too, for core1 with its certificate and for lab1 with a key.
pub(crate) fn place(keys: &str) -> Place {
    let protocol = "protocol = \"radius-dtls\" ";
    let listener = format!("{keys}\n{protocol}");
    let lab = format!(
        "[device.lab1]\npsk = {{ identity = \"lab1\", key = \"plain:{KEY}\" }}\n\n[device.old-sw7] "
    );
    Place::with(&[(protocol, &listener), ("[device.old-sw7] ", &lab)])
}

pub(crate) fn dtls(server: &Server) -> SocketAddr {
    server.address("radius-dtls")
}

/// What is kept of a device is told apart by both of its ends, of either kind.
fn in_both_families(run: fn(&Place)) {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let place = place("");
        place.move_listener("radius-dtls", Some(address));
        run(&place);
    }
}

const LAB1: Proof<'_> = Proof::Key("lab1", KEY);

/// By certificate and by key, each with a login, a record and Status-Server; and a record is found by its device.
///
/// proves: RAD-3.3.1-1, RAD-3.3.2-1, RAD-4.1-2
#[test]
fn devices_are_served_by_certificate_and_by_key() {
    let place = place("");
    let mut server = place.start();
    let password = place.text("alice.password");
    for (proof, device) in [(Proof::Certificate("core1"), "core1"), (LAB1, "lab1")] {
        let mut association = Dtls::connect(&place, dtls(&server), proof);
        let accept = association.ask(&pap(1, "alice", &password));
        assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
        let reject = association.ask(&pap(2, "alice", "wrong"));
        assert_eq!(reject.header().code, Code::ACCESS_REJECT);
        let kept = association.ask(&accounting(3, device));
        assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
        assert!(association.is_served());
        server.wait_for_log(&[
            "\"reason\":\"password-wrong\"",
            &format!("\"device\":\"{device}\""),
        ]);
        let found = place.ask(&["acct", "search", "--device", device]);
        assert_eq!(stdout(&found).lines().count(), 1, "{}", all_said(&found));
    }
    let status = place.ask(&["status", "--devices", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&stdout(&status)).unwrap();
    let auth = |name: &str| {
        let devices = status["devices"].as_array().unwrap();
        let device = devices.iter().find(|device| device["name"] == name);
        device.unwrap()["auth"].as_str().unwrap().to_owned()
    };
    assert_eq!(auth("core1"), Method::Certificate.name());
    assert_eq!(auth("lab1"), Method::Psk.name());
}

/// Devices of others: OpenSSL's command by certificate and by key, with the two kinds of key exchange.
#[test]
fn openssl_comes_in_by_certificate_and_by_key() {
    let place = place("");
    let mut server = place.start_through(&[], "debug");
    let by_key = ["-psk_identity", "lab1", "-psk", KEY, "-cipher"];
    let plain = ["-psk_identity", "lab1", "-psk", KEY];
    let ways: [(&[&str], &str, &str); 5] = [
        // It offers certificates as well.
        (&plain, "lab1", ""),
        (
            &["-cert", "core1.pem", "-key", "core1.key"],
            "core1",
            "ECDHE-ECDSA",
        ),
        (&by_key, "lab1", "ECDHE-PSK-CHACHA20-POLY1305"),
        (&by_key, "lab1", "DHE-PSK-AES128-GCM-SHA256"),
        (&by_key, "lab1", "DHE-PSK-AES256-GCM-SHA384"),
    ];
    let mut seen = std::collections::BTreeMap::new();
    for (proof, device, suite) in ways {
        let suites: &[&str] = match proof.last() {
            Some(&"-cipher") => &[suite],
            _ => &[],
        };
        let believed = ["-dtls1_2", "-quiet", "-CAfile", "ca.pem"];
        let named = ["-servername", "aaa1.doorward.test"];
        let all = [&believed[..], &named, proof, suites].concat();
        let mut child = openssl_client(&place, dtls(&server), &all);
        let count = seen.entry(device).or_insert(0);
        *count += 1;
        let named = format!("\"device\":\"{device}\"");
        server.wait_for_logs(&["a device is connected", &named, "radius-dtls"], *count);
        _ = child.kill();
        _ = child.wait();
    }
}

/// Suites without forward secrecy or authenticated encryption, and older versions.
#[test]
fn weak_suites_and_old_versions_are_refused() {
    let place = place("");
    let server = place.start();
    let certificate = ["-cert", "core1.pem", "-key", "core1.key"];
    let key = ["-psk_identity", "lab1", "-psk", KEY];
    let weak: [(&[&str], &[&str]); 6] = [
        (&certificate, &["-dtls1"]),
        (
            &certificate,
            &[
                "-dtls1_2",
                "-cipher",
                "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0",
            ],
        ),
        (
            &certificate,
            &["-dtls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
        ),
        (
            &certificate,
            &["-dtls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"],
        ),
        (
            &key,
            &["-dtls1_2", "-cipher", "PSK-AES128-GCM-SHA256:@SECLEVEL=0"],
        ),
        (
            &key,
            &[
                "-dtls1_2",
                "-cipher",
                "ECDHE-PSK-AES128-CBC-SHA256:@SECLEVEL=0",
            ],
        ),
    ];
    for (proof, offer) in weak {
        let all = [&["-CAfile", "ca.pem"], proof, offer].concat();
        let child = openssl_client(&place, dtls(&server), &all);
        let output = child.wait_with_output().unwrap();
        assert_ne!(code(&output), 0, "{offer:?}: {}", all_said(&output));
        let said = all_said(&output);
        assert!(said.contains("alert"), "{offer:?}: {said}");
    }
}

/// proves: RAD-5.1-1, RAD-5.1-2, RAD-5.1-6, RAD-5.1-7
#[test]
fn long_packets_and_padding_are_taken() {
    let place = place("");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    let longest = request(Code::ACCOUNTING_REQUEST, 9, |packet| {
        packet.push_integer(kind::ACCT_STATUS_TYPE, 1).unwrap();
        packet.push(kind::ACCT_SESSION_ID, b"longest").unwrap();
        // 20 octets of header, 18 of the signature, 6 and 9 of these; the rest is filled.
        for _ in 0..15 {
            packet.push(kind::CLASS, &[7; 253]).unwrap();
        }
        packet.push(kind::CLASS, &[7; 216]).unwrap();
    });
    assert_eq!(longest.len(), 4096);
    let kept = device.ask(&longest);
    assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
    for id in 10..30 {
        let padded = [&status(id)[..], &[0xaa; 8]].concat();
        assert_eq!(device.ask(&padded).header().code, Code::ACCESS_ACCEPT);
    }
    // A second packet in one record is padding as well: it has no answer.
    let two = [status(30), status(31)].concat();
    assert_eq!(device.ask(&two).header().code, Code::ACCESS_ACCEPT);
    assert!(device.receive_within(SILENCE).is_none());
    // What comes back is one packet a record and one record a datagram.
    device.send(&status(32));
    device.send(&status(33));
    for _ in 0..2 {
        let datagram = device.raw(Duration::from_secs(5)).unwrap();
        let length = usize::from(u16::from_be_bytes([datagram[11], datagram[12]]));
        assert_eq!((datagram[0], 13 + length), (23, datagram.len()));
        device.feed(&datagram);
        let answer = device.receive();
        assert!((32..=33).contains(&answer.header().id));
    }
}

/// proves: RAD-5.1-5, RAD-5.1-8
#[test]
fn records_of_one_datagram_are_taken_one_by_one() {
    let place = place("");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    let both = [device.sealed(&status(1)), device.sealed(&status(2))].concat();
    device.socket.send(&both).unwrap();
    let mut ids = [device.receive().header().id, device.receive().header().id];
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    // The first does not decrypt: it is nobody's, and the second is answered.
    let mut broken = device.sealed(&status(3));
    *broken.last_mut().unwrap() ^= 1;
    let both = [broken, device.sealed(&status(4))].concat();
    device.socket.send(&both).unwrap();
    assert_eq!(device.receive().header().id, 4);
    // Octets that are missing are not taken from the next record.
    let request = status(5);
    let (first, rest) = request.split_at(25);
    let parts = [device.sealed(first), device.sealed(rest)].concat();
    device.socket.send(&parts).unwrap();
    assert!(device.is_closed());
}

/// The answer is kept as a packet, and sealed anew: the records differ and what is in them does not.
///
/// proves: RAD-5.1-9
#[test]
fn a_duplicate_gets_the_same_answer_in_another_record() {
    let place = place("");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    let request = pap(7, "alice", &place.text("alice.password"));
    let mut answers = Vec::new();
    for _ in 0..2 {
        device.send(&request);
        let datagram = device.raw(Duration::from_secs(10)).unwrap();
        device.feed(&datagram);
        answers.push((datagram, device.receive()));
    }
    let [(one, first), (other, second)] = &answers[..] else {
        panic!("two answers");
    };
    assert_eq!(first.octets(), second.octets());
    assert_ne!(one, other);
    let number = |datagram: &[u8]| u64::from_be_bytes(datagram[3..11].try_into().unwrap());
    assert!(number(one) < number(other));
    // It was judged once.
    let searched = place.ask(&["audit", "search", "--user", "alice"]);
    assert_eq!(code(&searched), 0, "{}", stderr(&searched));
    // A datagram that was replayed is nothing at all.
    let replayed = device.sent.clone();
    device.socket.send(&replayed[0]).unwrap();
    assert!(device.receive_within(SILENCE).is_none());
}

/// proves: RAD-5.2-1, RAD-5.2-2
#[test]
fn what_is_no_dtls_is_nothing_on_its_port() {
    let place = place("");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(dtls(&server)).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    // Of an address that RADIUS/UDP knows, by its secret.
    let secret = doorward_radius::Secret::new(place.text("old-sw7.radius").trim().as_bytes());
    let mut plain = doorward_radius::build::PacketBuilder::request(Code::STATUS_SERVER, 0, [1; 16]);
    plain.message_authenticator().unwrap();
    let plain = plain.finish(&secret);
    for datagram in [&plain[..], &[], b"GET / HTTP/1.1\r\n\r\n", &[22, 254, 253]] {
        socket.send(datagram).unwrap();
        device.socket.send(datagram).unwrap();
        assert!(socket.recv(&mut [0; 100]).is_err(), "{datagram:?}");
    }
    assert!(device.is_served());
    let (_, log) = server.stop();
    assert!(!log.contains("old-sw7"), "{log}");
}

/// An off-path attacker who knows both ends has a new hello, garbage and alerts: nothing of it reaches the association.
///
/// proves: RAD-6.5.1.1-9, RAD-6.5.1.1-10
#[test]
fn a_hello_on_a_live_5_tuple_changes_nothing() {
    in_both_families(hello_on_a_live_5_tuple);
}

fn hello_on_a_live_5_tuple(place: &Place) {
    let server = place.start();
    let mut device = Dtls::core1(place, dtls(&server));
    assert!(device.is_served());
    wait_for_connections(place, "radius-dtls", 1);
    let socket = device.socket.try_clone().unwrap();
    let mut second = Dtls::over(place, dtls(&server), socket, Proof::Certificate("core1"));
    for _ in 0..3 {
        second.flush();
        second.channel.handle_timeout();
        let hello = second.sent.clone();
        second.socket.send(&hello[0]).unwrap();
        if let Some(datagram) = second.raw(SILENCE) {
            panic!("an answer to a hello of a live 5-tuple: {datagram:?}");
        }
    }
    let alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let mut foreign = vec![23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 99, 0, 40];
    foreign.resize(13 + 40, 7);
    for datagram in [&alert[..], &foreign] {
        device.socket.send(datagram).unwrap();
    }
    assert!(device.is_served());
    wait_for_connections(place, "radius-dtls", 1);
}

/// proves: RAD-6.5.1-1, RAD-6.5.1-2, RAD-6.5.1.1-5
#[test]
fn each_5_tuple_is_an_association_until_it_is_closed() {
    in_both_families(one_association_each);
}

fn one_association_each(place: &Place) {
    let server = place.start();
    let mut devices: Vec<Dtls> = (0..2).map(|_| Dtls::core1(place, dtls(&server))).collect();
    // The same id and authenticator, on each.
    for device in &mut devices {
        assert!(device.is_served());
    }
    wait_for_connections(place, "radius-dtls", 2);
    devices[0].close();
    assert!(devices[0].is_closed());
    wait_for_connections(place, "radius-dtls", 1);
    assert!(devices[1].is_served());
    // The 5-tuple is free again.
    let socket = devices[0].socket.try_clone().unwrap();
    let mut again = Dtls::over(place, dtls(&server), socket, Proof::Certificate("core1"));
    again.handshake().unwrap();
    assert!(again.is_served());
}

/// What ends a TLS connection ends an association, with close_notify; and nothing of it is left.
///
/// proves: RAD-5.1-4, RAD-6.5.1.1-6, RAD-6.5.1.1-7, RAD-6.5.1.1-8
#[test]
fn an_association_that_fails_a_check_is_closed_and_forgotten() {
    in_both_families(closed_and_forgotten);
}

fn closed_and_forgotten(place: &Place) {
    let server = place.start();
    let mut wrong_signature = status(1);
    *wrong_signature.last_mut().unwrap() ^= 1;
    let with_length = |length: u16| {
        let mut packet = status(1);
        packet.resize(usize::from(length).max(20), 0);
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet
    };
    // An attribute of 200 octets in a packet that ends before it.
    let mut overrun = with_length(24);
    overrun[20..].copy_from_slice(&[1, 200, b'a', b'b']);
    for malformed in [with_length(19), with_length(4097), overrun, wrong_signature] {
        let mut device = Dtls::core1(place, dtls(&server));
        assert!(device.is_served());
        wait_for_connections(place, "radius-dtls", 1);
        device.send(&malformed);
        assert!(device.is_closed(), "{malformed:?}");
        wait_for_connections(place, "radius-dtls", 0);
        // The same 5-tuple begins anew, by a full handshake: no resumption is ever offered.
        let socket = device.socket.try_clone().unwrap();
        let mut again = Dtls::over(place, dtls(&server), socket, Proof::Certificate("core1"));
        again.handshake().unwrap();
        assert!(!again.channel.offered_resumption());
        assert!(again.is_served());
        again.close();
        assert!(again.is_closed());
    }
}

/// proves: RAD-5.2-3, RAD-5.2-4, RAD-5.2-5
#[test]
fn what_has_to_come_by_dtls_is_heard_by_no_other_way() {
    let place = place("");
    place.edit(&[(
        "radius_secret = \"file:old-sw7.radius\"",
        "radius_secret = \"file:old-sw7.radius\"\ncertificate = { dns = [\"old-sw7.doorward.test\"] }",
    )]);
    let mut server = place.start();
    let status_by_udp = |server: &Server| {
        let address = server.address("radius-udp").to_string();
        let output = doorward()
            .args(["radius", "status", "--udp", "--server", &address])
            .args(["--secret", "file:old-sw7.radius", "--timeout", "1"])
            .current_dir(place.path(""))
            .output();
        code(&output.unwrap())
    };
    assert_eq!(status_by_udp(&server), 0);
    // Whoever comes by DTLS could come by it alone: told once.
    let mut device = Dtls::core1(&place, dtls(&server));
    Dtls::core1(&place, dtls(&server)).close();
    server.wait_for_logs(
        &[
            "the device comes by DTLS",
            "dtls_required",
            "\"device\":\"core1\"",
        ],
        1,
    );
    place.edit(&[
        (
            "radius_secret = \"file:old-sw7.radius\"",
            "dtls_required = true\nradius_secret = \"file:old-sw7.radius\"",
        ),
        (NAMED, &format!("{NAMED}\ndtls_required = true")),
    ]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert_eq!(status_by_udp(&server), 3);
    // The client asks more than once.
    assert!(refused(&place, "dtls-required") > 0);
    // Over TLS its handshake is refused, and its association goes on.
    let address = server.address("radius-tls").to_string();
    let over_tls = doorward()
        .args(["radius", "status", "--server", &address, "--ca", "ca.pem"])
        .args(["--cert", "core1.pem", "--key", "core1.key"])
        .args(["--server-name", "aaa1.doorward.test"])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(code(&over_tls), 3, "{}", all_said(&over_tls));
    assert!(
        all_said(&over_tls).contains("access_denied"),
        "{}",
        all_said(&over_tls)
    );
    assert!(device.is_served());
    let (_, log) = server.stop();
    assert_eq!(log.matches("the device comes by DTLS").count(), 1, "{log}");
}

/// Neither is told which of the two it was, and the log says it.
#[test]
fn an_unknown_identity_and_a_wrong_key_wait_alike() {
    let place = place("handshake_timeout = \"4s\"");
    let mut server = place.start();
    let wrong = "00112233445566778899aabbccddeeff";
    let mut told = Vec::new();
    for (proof, reason) in [
        (Proof::Key("nobody", KEY), "psk-identity"),
        (Proof::Key("lab1", wrong), "psk-key"),
    ] {
        let mut device = Dtls::new(&place, dtls(&server), "127.0.0.1", proof);
        let mut seen = Vec::new();
        for _ in 0..2 {
            device.flush();
            while let Some(datagram) = device.raw(SILENCE * 4) {
                // The kinds of the records: a flight that is sent again looks as it did.
                seen.push((datagram[0], datagram[13]));
                device.feed(&datagram);
                device.flush();
            }
            device.channel.handle_timeout();
        }
        assert!(
            !seen.iter().any(|(kind, _)| *kind == 21),
            "an alert: {seen:?}"
        );
        server.wait_for_log(&[&format!("\"reason\":\"{reason}\""), "radius-dtls"]);
        // A flight that is sent again has the same records: which ones come, not how often.
        seen.sort_unstable();
        seen.dedup();
        told.push(seen);
    }
    assert_eq!(told[0], told[1]);
}

/// proves: RAD-3.12-1, RAD-3.12-2
#[test]
fn ways_share_a_number_only_where_both_are_secure() {
    let place = place("");
    let at = |protocol: &str, port: &str| {
        place.move_listener(protocol, Some(&format!("127.0.0.1:{port}")));
    };
    at("radius-dtls", "1812");
    let output = place.check();
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).contains("a port of RADIUS/UDP"),
        "{}",
        stderr(&output)
    );
    // On one number RadSec has both.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    at("radius-dtls", &port);
    at("radius-udp", &port);
    let refused = place.check();
    assert_eq!(code(&refused), 1);
    let said = stderr(&refused);
    assert!(said.contains("give one of them another port"), "{said}");
    at("radius-udp", "0");
    at("radius-tls", &port);
    let server = place.start();
    assert_eq!(server.address("radius-tls"), dtls(&server));
    let mut device = Dtls::core1(&place, dtls(&server));
    assert!(device.is_served());
    // Three entries of one address, each with its own state.
    for (protocol, connections) in [("radius-dtls", 1), ("radius-tls", 0), ("radius-udp", 0)] {
        assert_eq!(server.address(protocol).ip(), dtls(&server).ip());
        wait_for_connections(&place, protocol, connections);
    }
}

#[test]
fn a_device_elsewhere_is_refused_by_alert_49() {
    let place = place("");
    place.edit(&[(NAMED, &format!("{NAMED}\naddress = [\"127.0.0.77/32\"]"))]);
    let server = place.start();
    let proof = Proof::Certificate("core1");
    let mut device = Dtls::new(&place, dtls(&server), "127.0.0.1", proof);
    assert_eq!(device.handshake(), Err(HandshakeError::PeerAlert(49)));
    let mut device = Dtls::new(&place, dtls(&server), "127.0.0.77", proof);
    device.handshake().unwrap();
    assert!(device.is_served());
    // A key that is known, and from elsewhere, is a key nobody has.
    assert_eq!(refused(&place, "device-address"), 1);
}
