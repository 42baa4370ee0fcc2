//! How RadSec connections close, and what becomes of what was asked on them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward_radius::build::PacketBuilder;
use doorward_radius::{Code, RawPacket};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::harness::{AS_CORE1, PATIENCE, Place, all_said, code, doorward, stdout};
use crate::radius::{accounting, pap, secret, status};
use crate::radius_wire::{Device, End, end_of};
use crate::wire::{client_config, tcp};

const HASHED: &str = "doorward_passwords_hashed_total";

/// Code, id, length, authenticator, and what follows.
fn raw(code: u8, length: u16, rest: &[u8]) -> Vec<u8> {
    [&[code, 7][..], &length.to_be_bytes(), &[9; 16], rest].concat()
}

/// The conditions of section 3.11 that a client can make.
fn conditions() -> Vec<(&'static str, Vec<u8>)> {
    let mut zero = accounting(7, 1, |_| {});
    zero[4..20].fill(0);
    let mut wrong = accounting(7, 1, |_| {});
    wrong[10] ^= 1;
    let mut changed = status(7);
    changed[30] ^= 1;
    let mut twice = [&status(7)[..], &status(7)[20..]].concat();
    twice[3] = u8::try_from(twice.len()).unwrap();
    vec![
        ("length 0", raw(1, 0, &[])),
        ("length 1", raw(1, 1, &[])),
        ("length 19", raw(1, 19, &[])),
        ("length 4097", raw(1, 4097, &[])),
        ("length 65535", raw(1, 65535, &[])),
        ("attribute length 0", raw(1, 23, &[1, 0, 5])),
        ("attribute length 1", raw(1, 23, &[1, 1, 5])),
        ("overrun", raw(1, 23, &[1, 4, 5])),
        ("an octet left", raw(1, 24, &[1, 3, 5, 1])),
        ("authenticator of zeros", zero),
        ("wrong authenticator", wrong),
        ("wrong Message-Authenticator", changed),
        (
            "short Message-Authenticator",
            raw(1, 37, &[&[80, 17][..], &[0; 15]].concat()),
        ),
        ("two Message-Authenticators", twice),
    ]
}

/// Nothing is answered, close_notify comes and then FIN; of a stranger an alert and the end. The client's condition, a wrong
/// Response Authenticator, has a test of its own.
///
/// proves: RAD-3.11-2, RAD-3.11-3
#[test]
fn every_condition_closes_within_a_second_with_a_word() {
    let place = Place::demo();
    let server = place.start();
    for (what, octets) in conditions() {
        let mut device = Device::core1(&place, &server);
        assert_eq!(device.ask(&status(0)).header().id, 0);
        let begin = Instant::now();
        device.send(&octets);
        assert_eq!(device.end(), End::Orderly, "{what}");
        assert!(begin.elapsed() < Duration::from_secs(1), "{what}");
    }
    let line = "certificate = { dns = [\"core1.doorward.test\"] }";
    place.edit(&[(line, "certificate = { dns = [\"core2.doorward.test\"] }")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    let begin = Instant::now();
    let config = client_config(&place, Some("core1"));
    let stranger = Device::connect(server.address("radius-tls"), "127.0.0.1", &config);
    let end = stranger.map_or_else(|error| end_of(&error), |mut device| device.end());
    assert_eq!(end, End::Alert("AccessDenied".into()));
    assert!(begin.elapsed() < Duration::from_secs(1));
}

/// A server with the demo's name that answers the first packet of its first connection, and then waits for the client's end.
fn faulty(place: &Place, listener: TcpListener) -> std::thread::JoinHandle<Duration> {
    let chain = CertificateDer::pem_file_iter(place.path("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(place.path("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // Nobody else is served.
        drop(listener);
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, socket);
        let mut request = vec![0; 4];
        stream.read_exact(&mut request).unwrap();
        let length = usize::from(u16::from_be_bytes([request[2], request[3]]));
        request.resize(length, 0);
        stream.read_exact(&mut request[4..]).unwrap();
        let request = RawPacket::new(request).unwrap();
        let mut answer = PacketBuilder::answer(Code::ACCESS_ACCEPT, request.header());
        answer.message_authenticator().unwrap();
        let mut octets = answer.finish(&secret());
        // Message-Authenticator is still right: it covers the authenticator of the request.
        octets[10] ^= 1;
        stream.write_all(&octets).unwrap();
        stream.flush().unwrap();
        let begin = Instant::now();
        let mut rest = Vec::new();
        _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:x?}");
        begin.elapsed()
    })
}

/// proves: RAD-3.11-10
#[test]
fn our_client_closes_on_a_wrong_response_authenticator() {
    let place = Place::demo();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let closed = faulty(&place, listener);
    let output = doorward()
        .args(["radius", "access", "--server", &address])
        .args(AS_CORE1)
        .args(["--server-name", "aaa1.doorward.test", "--timeout", "5"])
        .args(["--user", "alice", "--password", "file:alice.password"])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = all_said(&output);
    assert_ne!(code(&output), 0, "{said}");
    assert!(!said.contains("Access-Accept"), "{said}");
    let closed = closed.join().unwrap();
    assert!(closed < Duration::from_secs(1), "{closed:?}");
}

/// The workers do not go on for a connection that is gone, and nobody hears of what they had done: their metric shows it, and
/// the log has no decision. Asked again, everything is judged anew.
///
/// proves: RAD-3.10-1, RAD-3.10-2, RAD-3.10-5
#[test]
fn what_was_asked_ends_with_its_connection() {
    let place = Place::demo();
    let server = place.start();
    let guesses: Vec<Vec<u8>> = (1..=12)
        .map(|id| pap(id, "alice", &format!("wrong-{id}")))
        .collect();
    let before = server.page().get(HASHED).unwrap();
    let mut device = Device::core1(&place, &server);
    device.send(&[guesses.concat(), status(0)].concat());
    // Status-Server is answered at once: the others have been taken, and wait for a worker.
    assert_eq!(device.receive().unwrap().header().id, 0);
    device.close();
    let mut other = Device::core1(&place, &server);
    assert_eq!(other.ask(&status(50)).header().id, 50);
    server.wait_for("doorward_password_queue_length", 0.0);
    server.wait_for("doorward_password_workers_busy", 0.0);
    let hashed = server.page().get(HASHED).unwrap() - before;
    assert!(hashed < 12.0, "{hashed} of 12 were hashed");
    // The same packets: each is judged, though its id and authenticator were there before.
    for guess in &guesses {
        assert_eq!(other.ask(guess).header().code, Code::ACCESS_REJECT);
    }
    let total = server.page().get(HASHED).unwrap() - before;
    assert_eq!(total, hashed + 12.0);
    // An answer that was given and kept goes with its connection, too.
    other.close();
    let mut third = Device::core1(&place, &server);
    let reject = third.ask(&guesses[0]);
    assert_eq!(reject.header().code, Code::ACCESS_REJECT);
    assert_eq!(server.page().get(HASHED).unwrap() - before, total + 1.0);
    let (_, log) = server.stop();
    let judged = log.matches("\"reason\":\"password-wrong\"").count();
    // Perhaps one or two were judged before the end of the connection was seen.
    assert!((13..25).contains(&judged), "{judged}: {log}");
}

/// It is kept, and nobody else hears of it.
///
/// proves: RAD-3.10-6
#[test]
fn a_record_outlives_its_connection() {
    let place = Place::demo();
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let mut other = Device::core1(&place, &server);
    let record = accounting(1, 1, |_| {});
    // The record has been taken when the second request is answered; its own answer may come before that or never.
    device.send(&[record, status(2)].concat());
    device.receive().unwrap();
    device.close();
    let deadline = Instant::now() + PATIENCE;
    while stdout(&place.ask(&["acct", "search", "--json"])).is_empty() {
        assert!(Instant::now() < deadline, "nothing is recorded");
    }
    assert_eq!(other.ask(&status(50)).header().id, 50);
}

/// The time passes while a connection without a hello is waited for.
///
/// proves: RAD-4.1-6
#[test]
fn a_packet_may_take_its_time() {
    let protocol = "protocol = \"radius-tls\" ";
    let keys = format!("handshake_timeout = \"3s\"\n{protocol}");
    let place = Place::with(&[(protocol, &keys)]);
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let request = pap(1, "alice", &place.text("alice.password"));
    device.send(&request[..10]);
    let begin = Instant::now();
    let mut rest = Vec::new();
    _ = tcp(server.address("radius-tls")).read_to_end(&mut rest);
    assert!(begin.elapsed() >= Duration::from_secs(3));
    device.send(&request[10..]);
    let answer = device.receive().unwrap();
    assert_eq!(
        (answer.header().id, answer.header().code),
        (1, Code::ACCESS_ACCEPT)
    );
}
