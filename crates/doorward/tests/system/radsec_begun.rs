//! How connections and associations of RadSec begin, and what cannot begin: nothing before the certificate, nothing again, nothing
//! from elsewhere.

use std::io::Write;
use std::net::UdpSocket;

use doorward_radius::build::PacketBuilder;
use doorward_radius::{Code, RawPacket, Secret};

use crate::dtls::{dtls, place};
use crate::dtls_device::{self, Dtls, SILENCE};
use crate::foreign::{CORE1, openssl_client};
use crate::harness::{AS_CORE1, PATIENCE, Place, Server, all_said, code, stdout};
use crate::radius::{self, RadSec};
use crate::radsec_both::{TRANSPORTS, extensions, first_flight};

const BELIEVED: [&str; 4] = ["-CAfile", "ca.pem", "-servername", "aaa1.doorward.test"];

/// `openssl s_client` with these octets behind its handshake: what it said, when the server had ended it or it itself.
fn says(place: &Place, server: &Server, arguments: &[&str], octets: &[u8]) -> String {
    let datagrams = arguments.contains(&"-dtls1_2");
    let protocol = if datagrams {
        "radius-dtls"
    } else {
        "radius-tls"
    };
    let all = [&BELIEVED[..], arguments].concat();
    let mut child = openssl_client(place, server.address(protocol), &all);
    let mut stdin = child.stdin.take().unwrap();
    // A handshake that is refused may have ended it.
    _ = stdin.write_all(octets);
    let said = all_said(&child.wait_with_output().unwrap());
    drop(stdin);
    said
}

/// A record that is sent as soon as a device may is kept where its certificate is good, and is nothing where it is not: at 1.3 it
/// comes with the certificate and before the server has judged it.
///
/// proves: RAD-3.3-4
#[test]
fn nothing_is_processed_before_the_certificate_is_judged() {
    let place = Place::demo();
    let mut server = place.start();
    let none = || {
        let found = place.ask(&["acct", "search", "--json"]);
        assert_eq!(code(&found), 0, "{}", all_said(&found));
        stdout(&found).lines().count()
    };
    let over_tls = radius::accounting(1, 1, |_| ());
    let over_dtls = dtls_device::accounting(1, "early");
    let versions = ["-tls1_3", "-tls1_2", "-dtls1_2"];
    for (round, version) in versions.into_iter().enumerate() {
        let packet = match version {
            "-dtls1_2" => &over_dtls,
            _ => &over_tls,
        };
        for (rest, reason) in [
            (
                &["-cert", "stolen1.pem", "-key", "stolen1.key"][..],
                "certificate-revoked",
            ),
            (
                &["-cert", "server.pem", "-key", "server.key"],
                "certificate-path",
            ),
            (&[], "certificate-missing"),
        ] {
            let all = [&[version, "-ign_eof"], rest].concat();
            let said = says(&place, &server, &all, packet);
            assert!(said.contains("alert number"), "{version} {reason}: {said}");
            server.wait_for_logs(&[&format!("\"reason\":\"{reason}\"")], round + 1);
        }
    }
    assert_eq!(none(), 0);
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let kept = device.ask(&over_tls);
    assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
    let kept = Dtls::core1(&place, dtls(&server)).ask(&over_dtls);
    assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
    assert_eq!(none(), 2);
}

/// `R` of OpenSSL's command asks for another handshake; and our client offers no certificate after the first.
///
/// proves: RAD-3.3-5
#[test]
fn a_second_handshake_is_refused_on_both() {
    let place = Place::demo();
    let server = place.start();
    let key = place.text("lab-pe1.psk");
    let by_key = [
        "-psk_identity",
        "lab-pe1.doorward.test",
        "-psk",
        &key,
        "-cipher",
        "ECDHE-PSK-CHACHA20-POLY1305",
    ];
    for version in ["-tls1_2", "-dtls1_2"] {
        for proof in [&CORE1[..], &by_key] {
            let all = [&[version], proof].concat();
            let said = says(&place, &server, &all, b"R\n");
            assert!(said.contains("RENEGOTIATING"), "{version}: {said}");
            assert!(said.contains("no renegotiation"), "{version}: {said}");
        }
    }
    let proof = [&AS_CORE1[..], &["--server-name", "aaa1.doorward.test"]].concat();
    for (transport, _) in TRANSPORTS {
        let hello = first_flight(&place, transport, &proof);
        let kinds = extensions(&hello, transport == "--dtls");
        // post_handshake_auth (RFC 8446 section 4.2.6).
        assert!(!kinds.is_empty() && !kinds.contains(&49), "{kinds:?}");
    }
    let (_, log) = server.stop();
    let connected = log.matches("a device is connected").count();
    assert_eq!(connected, 4, "{log}");
}

/// The same id and authenticator, from one address and port, over UDP and over DTLS: two requests of two clients.
///
/// proves: RAD-3.12-4
#[test]
fn one_port_of_a_device_is_two_clients_by_udp_and_by_dtls() {
    let place = Place::demo();
    let mut server = place.start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(dtls(&server)).unwrap();
    let ours = socket.try_clone().unwrap();
    let proof = dtls_device::Proof::Certificate("core1");
    let mut device = Dtls::over(&place, dtls(&server), ours, proof);
    device.handshake().unwrap();
    let password = place.text("alice.password");
    let secret = Secret::new(place.text("old-sw7.radius").as_bytes());
    let mut plain = PacketBuilder::request(Code::ACCESS_REQUEST, 7, [7 ^ 0x5a; 16]);
    plain.message_authenticator().unwrap();
    plain
        .push(doorward_radius::attribute::kind::USER_NAME, b"alice")
        .unwrap();
    plain.push_password(b"wrong", &secret).unwrap();
    let plain = plain.finish(&secret);
    let sealed = dtls_device::pap(7, "alice", &password);
    assert_eq!(plain[1], sealed[1]);
    assert_eq!(plain[4..20], sealed[4..20]);
    // Over UDP it is wrong, over DTLS right, each time: neither is a duplicate of the other.
    for _ in 0..2 {
        socket.connect(server.address("radius-udp")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(&plain).unwrap();
        let mut answer = vec![0; 4096];
        let length = socket.recv(&mut answer).unwrap();
        answer.truncate(length);
        let answer = RawPacket::new(answer).unwrap();
        assert_eq!(answer.header().code, Code::ACCESS_REJECT);
        socket.connect(dtls(&server)).unwrap();
        let accept = device.ask(&sealed);
        assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
    }
    server.wait_for_log(&["\"device\":\"old-sw7\"", "\"outcome\":\"fail\""]);
    server.wait_for_log(&["\"device\":\"core1\"", "\"outcome\":\"pass\""]);
}

/// An association is its 5-tuple, and there are no connection ids (RFC 9146): what another address sends for it is nobody's,
/// whatever it is in.
///
/// proves: RAD-6.5-2
#[test]
fn an_association_does_not_move_to_another_address() {
    let place = Place::with(&[(
        "certificate = { dns = [\"core1.doorward.test\"] }",
        "certificate = { dns = [\"core1.doorward.test\"] }\naddress = [\"127.0.0.1/32\"]",
    )]);
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    let sealed = device.sealed(&dtls_device::status(1));
    // The same as a record with a connection id of no octets and of one.
    let mut with_id = sealed.clone();
    with_id[0] = 25;
    let mut with_longer = with_id.clone();
    with_longer.insert(11, 1);
    for from in ["127.0.0.77", "127.0.0.1"] {
        let elsewhere = UdpSocket::bind((from, 0)).unwrap();
        elsewhere.connect(dtls(&server)).unwrap();
        elsewhere.set_read_timeout(Some(SILENCE)).unwrap();
        for datagram in [&sealed, &with_id, &with_longer] {
            elsewhere.send(datagram).unwrap();
            assert!(elsewhere.recv(&mut [0; 4096]).is_err());
            assert!(device.receive_within(SILENCE).is_none());
        }
    }
    // It was good all the time.
    device.socket.send(&sealed).unwrap();
    assert_eq!(device.receive().header().id, 1);
}

/// There is nothing to keep of an association, whether it ended well or by a malformed packet: no ticket and no id. OpenSSL, which
/// would write down whatever can be resumed, comes back by a full handshake.
///
/// proves: RAD-6.5.1.1-7
#[test]
fn the_session_of_an_association_that_failed_is_of_no_use() {
    let place = place("");
    let mut server = place.start();
    for round in 1..=2 {
        let all = ["-dtls1_2", "-ign_eof", "-sess_out", "failed.session"];
        let said = says(&place, &server, &[&all[..], &CORE1].concat(), &[0; 20]);
        assert!(said.contains("New, TLSv1.2"), "{said}");
        assert!(!said.contains("Reused"), "{said}");
        assert!(said.contains("Session-ID: \n"), "{said}");
        assert!(!said.contains("session ticket"), "{said}");
        assert!(!place.path("failed.session").exists());
        server.wait_for_logs(&["a device is connected"], round);
        let length = ["\"reason\":\"radius-length\"", "radius-dtls"];
        server.wait_for_logs(&length, 1);
    }
}
