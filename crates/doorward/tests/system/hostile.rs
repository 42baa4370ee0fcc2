//! Any octets on any port: the blast radius is one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{Place, stdout};
use crate::wire::{Peer, author, pap, tcp};

/// A small generator with a fixed seed: the same octets every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn octets(&mut self, most: u64) -> Vec<u8> {
        let length = self.next() % most;
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Writes what the server takes and waits until it has closed; a server that keeps the connection would fail by the time-out.
pub(crate) fn throw(address: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut stream = tcp(address);
    _ = stream.write_all(octets);
    _ = stream.shutdown(std::net::Shutdown::Write);
    let mut reply = Vec::new();
    _ = stream.read_to_end(&mut reply);
    reply
}

pub(crate) fn assert_serves(place: &Place, server: &crate::harness::Server) {
    let password = place.text("alice.password");
    assert_eq!(
        Peer::plain(server.plain(), place)
            .ask(pap(1, "alice", &password))
            .body[0],
        1
    );
    assert_eq!(
        Peer::tls(server.tls(), place, "core1")
            .unwrap()
            .ask(pap(1, "alice", &password))
            .body[0],
        1
    );
}

#[test]
fn noise_on_both_ports_changes_nothing() {
    let place = Place::demo();
    let server = place.start();
    assert_serves(&place, &server);
    let before = server.memory();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for _ in 0..300 {
        let mut octets = noise.octets(3000);
        throw(server.plain(), &octets);
        throw(server.tls(), &octets);
        // The same behind something that looks right.
        for (address, start) in [
            (server.plain(), &[0xc0, 1, 1, 0][..]),
            (server.tls(), &[0x16, 3, 1, 0x05, 0x00, 1, 0, 4, 0xfc][..]),
        ] {
            octets.splice(..octets.len().min(start.len()), start.iter().copied());
            throw(address, &octets);
        }
    }
    assert_serves(&place, &server);
    let after = server.memory();
    assert!(
        after < before + 40 * 1024,
        "memory went from {before} to {after} KiB"
    );
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(!log.contains("panicked"), "{log}");
}

/// proves: TLS-5.1.1-2, TLS-3.1-4
#[test]
fn plain_packets_on_the_tls_port_and_tls_on_the_plain_port_get_nothing() {
    let place = Place::demo();
    let mut server = place.start();
    let packet = pap(1, "alice", &place.text("alice.password"));
    for octets in [
        packet.octets(Some(&place.text("old-sw7.secret"))),
        packet.clone().flags(1).octets(None),
    ] {
        let reply = throw(server.tls(), &octets);
        assert!(
            !reply.starts_with(&[0xc1]) && !reply.starts_with(&[0xc0]),
            "no TACACS+ on the TLS port"
        );
        // A ClientHello behind it does not help.
        let reply = throw(server.tls(), &[&octets[..], &hello(&[])].concat());
        assert!(
            !reply.starts_with(&[0xc1]) && !reply.starts_with(&[0x16]),
            "{reply:x?}"
        );
    }
    // Nor behind a packet that is served, on a connection that stays open for more.
    let octets = author(1, "alice", &["service=shell", "cmd=show"])
        .flags(4)
        .octets(Some(&place.text("old-sw7.secret")));
    let reply = throw(server.plain(), &[&octets[..], &hello(&[])].concat());
    assert_eq!(reply.len(), 18, "the reply and nothing more: {reply:x?}");
    assert_eq!(reply[..4], [0xc0, 2, 2, 4]);
    server.wait_for_log(&["not-tls"]);
    let stream = tcp(server.plain());
    let config = crate::wire::client_config(&place, Some("core1"));
    let connection = rustls::ClientConnection::new(
        config,
        rustls::pki_types::ServerName::try_from("aaa1.doorward.test").unwrap(),
    )
    .unwrap();
    let mut tls = rustls::StreamOwned::new(connection, stream);
    assert!(
        tls.conn.complete_io(&mut tls.sock).is_err(),
        "no TLS on the plain port"
    );
    assert_serves(&place, &server);
}

/// proves: TLS-5.1.2-3
#[test]
fn early_data_in_a_hello_is_cut_off() {
    let place = Place::demo();
    let mut server = place.start();
    // A resumption: early_data, the one mode of a key known before, and a key; then the early record.
    let mut key = vec![0, 22, 0, 16];
    key.extend([5; 16]);
    key.extend([0, 0, 0, 0, 0, 33, 32]);
    key.extend([6; 32]);
    let mut octets = hello(&[(42, &[]), (45, &[1, 1]), (41, &key)]);
    octets.extend([0x17, 3, 3, 0, 32]);
    octets.extend([8; 32]);
    let reply = throw(server.tls(), &octets);
    assert!(reply.is_empty(), "not even an alert: {reply:?}");
    server.wait_for_log(&["early-data"]);
    assert_serves(&place, &server);
}

/// A TLS 1.3 ClientHello with more extensions than it needs.
pub(crate) fn hello(more: &[(u16, &[u8])]) -> Vec<u8> {
    let mut extensions: Vec<u8> = Vec::new();
    let mut extension = |kind: u16, body: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        extensions.extend(body);
    };
    extension(43, &[2, 3, 4]);
    extension(13, &[0, 2, 4, 3]);
    extension(10, &[0, 2, 0, 0x1d]);
    extension(51, &[&[0, 36, 0, 0x1d, 0, 32][..], &[9; 32]].concat());
    for (kind, body) in more {
        extension(*kind, body);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(&extensions);
    let mut message = vec![1, 0];
    message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    message.extend(&body);
    let mut record = vec![0x16, 3, 1];
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(&message);
    record
}

#[test]
fn half_open_and_idle_connections_do_not_delay_a_login() {
    let place = Place::demo();
    let server = place.start();
    // Half of a ClientHello each.
    let half_open: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut stream = tcp(server.tls());
            stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1]).unwrap();
            stream
        })
        .collect();
    let mut idle: Vec<Peer> = Vec::new();
    let connect = Instant::now();
    for session in 0..2000 {
        let mut peer = Peer::plain(server.plain(), &place);
        let reply = peer.ask(author(session + 1, "alice", &["service=shell", "cmd=show"]).flags(4));
        assert_eq!(reply.body[0], 1);
        idle.push(peer);
    }
    let connect = connect.elapsed();
    let password = place.text("alice.password");
    for _ in 0..3 {
        let since = Instant::now();
        let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
        assert_eq!(peer.ask(pap(1, "alice", &password)).body[0], 1);
        assert!(
            since.elapsed() < Duration::from_secs(1),
            "a login took {:?} (2,000 connections: {connect:?})",
            since.elapsed()
        );
    }
    let status: serde_json::Value =
        serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap();
    let listeners = status["listeners"].as_array().unwrap();
    assert!(
        listeners
            .iter()
            .any(|listener| listener["connections"].as_u64() >= Some(2000)),
        "{status}"
    );
    drop((half_open, idle));
}

#[test]
fn a_handshake_that_stalls_is_closed_in_time() {
    let place = Place::with(&[(
        "protocol = \"tacacs-tls\" ",
        "handshake_timeout = \"500ms\"\nprotocol = \"tacacs-tls\" ",
    )]);
    let mut server = place.start();
    let mut stream = tcp(server.tls());
    stream.write_all(&[0x16, 3, 1]).unwrap();
    let mut rest = Vec::new();
    _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    server.wait_for_log(&["handshake-timeout"]);
}

#[test]
fn bounds_on_connections_and_handshakes_hold() {
    let place = Place::with(&[
        (
            "protocol = \"tacacs-tls\" ",
            "max_handshakes = 3\nprotocol = \"tacacs-tls\" ",
        ),
        (
            "protocol = \"tacacs\" ",
            "max_connections = 3\nprotocol = \"tacacs\" ",
        ),
    ]);
    let mut server = place.start();
    for (address, reason) in [
        (server.tls(), "too-many-handshakes"),
        (server.plain(), "too-many-connections"),
    ] {
        let held: Vec<TcpStream> = (0..3).map(|_| tcp(address)).collect();
        let mut refused = tcp(address);
        let mut rest = Vec::new();
        _ = refused.read_to_end(&mut rest);
        assert!(rest.is_empty());
        server.wait_for_log(&[reason]);
        drop(held);
    }
}
