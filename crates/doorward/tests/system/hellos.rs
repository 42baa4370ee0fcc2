//! Hellos that no library makes, and hellos in pieces that few make, against a listener for certificates and keys and one for
//! keys alone.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{JoinHandle, spawn};

use crate::harness::{AS_CORE1, Place, Server, code, stderr};
use crate::hostile::{hello, throw};
use crate::psk;
use crate::wire::tcp;

const MIXED: &str = "[\"certificate\", \"psk\"]";
const KEYS_ALONE: &str = "[\"psk\"]";

const BY_KEY: [&str; 6] = [
    "--psk-identity",
    "core1.example.net",
    "--psk-key",
    "file:core1.psk",
    "--server-name",
    "aaa1.doorward.test",
];

fn log_in(place: &Place, address: SocketAddr, proof: &[&str]) {
    let answer = place.log_in(address, proof);
    assert_eq!(code(&answer), 0, "{}", stderr(&answer));
}

fn sized(octets: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(octets.len()).unwrap().to_be_bytes()[..],
        octets,
    ]
    .concat()
}

/// pre_shared_key with these identities, and a wrong binder for each.
pub(crate) fn keys(identities: &[Vec<u8>]) -> Vec<u8> {
    let named = |identity: &Vec<u8>| [&sized(identity)[..], &[0; 4]].concat();
    let named: Vec<u8> = identities.iter().flat_map(named).collect();
    let binders = [&[32][..], &[6; 32]].concat().repeat(identities.len());
    [sized(&named), sized(&binders)].concat()
}

/// The message in records of other lengths.
fn fragmented(record: &[u8], fragment: usize) -> Vec<u8> {
    let pieces = record[5..].chunks(fragment);
    pieces
        .flat_map(|piece| [&[0x16, 3, 1][..], &sized(piece)].concat())
        .collect()
}

pub(crate) fn alert(number: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, number]
}

const HANDSHAKE_FAILURE: u8 = 40;
const ILLEGAL_PARAMETER: u8 = 47;
const DECODE_ERROR: u8 = 50;
const DECRYPT_ERROR: u8 = 51;

/// And counted under its reason; the next device is served as before.
fn refused(place: &Place, server: &Server, octets: &[u8], answer: &[u8], reason: &str) {
    let series = format!("doorward_refused_total{{reason=\"{reason}\"}}");
    let before = server.page().get(&series).unwrap();
    let reply = throw(server.tls(), octets);
    assert_eq!(reply, answer, "{reason}");
    server.wait_for(&series, before + 1.0);
    log_in(place, server.tls(), &BY_KEY);
}

/// With an external key as well: with data behind it or none, the peer is cut off and not even told.
///
/// proves: TLS-5.1.2-3
#[test]
fn early_data_is_cut_off_with_and_without_data_and_whatever_the_key() {
    for auth in [MIXED, KEYS_ALONE] {
        let place = psk::place(auth);
        let server = place.start();
        let known = keys(&[b"core1.example.net".to_vec()]);
        let unknown = keys(&[b"core9.example.net".to_vec()]);
        for key in [known, unknown] {
            let hello = hello(&[(42, &[]), (45, &[1, 1]), (41, &key)]);
            let early = [&[0x17, 3, 3, 0, 32][..], &[8; 32]].concat();
            let with_data = [&hello[..], &early].concat();
            for octets in [&hello, &with_data] {
                refused(&place, &server, octets, &[], "early-data");
            }
        }
    }
}

/// proves: TLS-3.5-1
#[test]
fn a_hello_with_keys_and_no_key_exchange_is_refused() {
    for auth in [MIXED, KEYS_ALONE] {
        let place = psk::place(auth);
        let server = place.start();
        let key = keys(&[b"core1.example.net".to_vec()]);
        let octets = hello(&[(45, &[1, 0]), (41, &key)]);
        let answer = alert(HANDSHAKE_FAILURE);
        refused(&place, &server, &octets, &answer, "handshake");
    }
}

#[test]
fn an_extension_that_comes_twice_ends_the_handshake() {
    let place = psk::place(MIXED);
    let server = place.start();
    let key = keys(&[b"core1.example.net".to_vec()]);
    for octets in [
        hello(&[(43, &[2, 3, 4])]),
        hello(&[(45, &[1, 1]), (45, &[1, 1]), (41, &key)]),
        hello(&[(45, &[1, 1]), (41, &key), (41, &key)]),
        hello(&[(0x0a0a, &[]), (0x0a0a, &[])]),
    ] {
        let answer = alert(ILLEGAL_PARAMETER);
        refused(&place, &server, &octets, &answer, "client-hello");
    }
}

/// Longer than any configured identity is an unknown one; longer than a hello may be, it is not read to its end.
#[test]
fn long_and_many_identities_are_judged_within_bounds() {
    let place = psk::place(KEYS_ALONE);
    let server = place.start();
    let offer = |identities: &[Vec<u8>]| hello(&[(45, &[1, 1]), (41, &keys(identities))]);
    let unknown = alert(DECRYPT_ERROR);
    let one = offer(&[vec![b'i'; 513]]);
    refused(&place, &server, &one, &unknown, "psk-identity");
    let near = offer(&[vec![b'i'; 16_000]]);
    refused(&place, &server, &near, &unknown, "psk-identity");
    let many: Vec<Vec<u8>> = (0..300_u32).map(|name| name.to_be_bytes().into()).collect();
    refused(&place, &server, &offer(&many), &unknown, "psk-identity");
    let mixed = [&many[..200], &[b"core1.example.net".to_vec()], &many[200..]].concat();
    refused(&place, &server, &offer(&mixed), &unknown, "psk-key");

    let huge = fragmented(&offer(&[vec![b'i'; 65_000]]), 16_384);
    let answer = alert(DECODE_ERROR);
    refused(&place, &server, &huge, &answer, "client-hello");
    let before = server.memory();
    for _ in 0..100 {
        assert_eq!(throw(server.tls(), &huge), answer);
    }
    let after = server.memory();
    assert!(after < before + 10_240, "from {before} to {after} KiB");
}

/// Carries one connection, the first record of the client cut into records of `fragment` octets and written octet by octet.
fn in_pieces(server: SocketAddr, fragment: fn(usize) -> usize) -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let relay = spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = tcp(server);
        let mut record = vec![0; 5];
        client.read_exact(&mut record).unwrap();
        let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
        record.resize(5 + length, 0);
        client.read_exact(&mut record[5..]).unwrap();
        let octets = fragmented(&record, fragment(length));
        for octet in &octets {
            // A server that has refused it may have closed.
            if server.write_all(&[*octet]).is_err() {
                break;
            }
        }
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = spawn(move || pass(from, to));
        pass(server, client);
        up.join().unwrap();
        length
    });
    (address, relay)
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    _ = std::io::copy(&mut from, &mut to);
    _ = to.shutdown(Shutdown::Write);
}

#[test]
fn a_hello_in_many_records_and_segments_is_served_by_both_engines() {
    let place = psk::place(MIXED);
    let server = place.start();
    let certificate = [&AS_CORE1[..], &["--server-name", "aaa1.doorward.test"]].concat();
    for proof in [&certificate[..], &BY_KEY] {
        for pieces in [
            (|_| 100_000) as fn(usize) -> usize,
            |length| length.div_ceil(2),
            |length| length.div_ceil(16),
        ] {
            let (address, relay) = in_pieces(server.tls(), pieces);
            log_in(&place, address, proof);
            assert!(relay.join().unwrap() > 200);
        }
        // One record more than we read.
        let (address, relay) = in_pieces(server.tls(), |length| length / 17);
        let series = "doorward_refused_total{reason=\"client-hello\"}";
        let before = server.page().get(series).unwrap();
        let answer = place.log_in(address, proof);
        assert_ne!(code(&answer), 0);
        relay.join().unwrap();
        server.wait_for(series, before + 1.0);
    }
}
