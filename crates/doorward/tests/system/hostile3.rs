//! Packets that no client should send, between sessions that are in order: a login still works after each kind, and at the
//! end connections and memory are back.

use crate::harness::{Place, Server};
use crate::hostile::assert_serves;
use crate::hostile2::wait_for_connections;
use crate::wire::{Packet, Peer, acct, answer, ascii, author, pap};

const SHOW: [&str; 2] = ["service=shell", "cmd=show"];
const PASS: u8 = 1;
const PASS_ADD: u8 = 1;
const GETPASS: u8 = 5;
const FOREIGN: &str = "a secret of somebody else";
/// What the allocator may keep of what was needed at the peak, in KiB.
const KEPT: u64 = 8 * 1024;

/// A way to connect, without TLS or with it.
type Connect<'a> = &'a dyn Fn() -> Peer;

/// Runs an attack over both listeners, several times, and looks whether the server is as before.
fn survives(attack: impl Fn(Connect<'_>, &Place)) {
    let place = Place::demo();
    let server = place.start();
    let both = |attack: &dyn Fn(Connect<'_>, &Place), server: &Server| {
        attack(&|| Peer::plain(server.plain(), &place), &place);
        assert_serves(&place, server);
        attack(
            &|| Peer::tls(server.tls(), &place, "core1").unwrap(),
            &place,
        );
        assert_serves(&place, server);
    };
    // The first time fills caches and pools.
    both(&attack, &server);
    let before = server.memory();
    for _ in 0..3 {
        both(&attack, &server);
    }
    for protocol in ["tacacs", "tacacs-tls"] {
        wait_for_connections(&place, protocol, 0);
    }
    let after = server.memory();
    assert!(
        after < before + KEPT,
        "memory went from {before} to {after} KiB"
    );
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(!log.contains("panicked"), "{log}");
}

/// One good request of each kind.
fn requests(session: u32, place: &Place) -> [Packet; 4] {
    let password = place.text("alice.password");
    [
        ascii(session, "alice", ""),
        pap(session, "alice", &password),
        author(session, "alice", &SHOW),
        acct(session, 2, "alice", &SHOW),
    ]
}

/// Whether a reply is ERROR of its type.
fn is_error(reply: &Packet) -> bool {
    match reply.kind {
        1 => reply.body == [7, 0, 0, 0, 0, 0],
        2 => reply.body == [0x11, 0, 0, 0, 0, 0],
        3 => reply.body == [0, 0, 0, 0, 2],
        _ => reply.body.is_empty(),
    }
}

/// proves: TAC-4.5-9
#[test]
fn wrong_lengths() {
    survives(|connect, place| {
        for request in requests(1, place) {
            // Every octet of the fixed part, of which most are lengths.
            for at in 0..8.min(request.body.len()) {
                for value in [0xff, request.body[at].wrapping_add(1)] {
                    let mut wrong = request.clone();
                    wrong.body[at] = value;
                    // Single-connect is asked for, so that a connection which is not closed is seen to serve on.
                    let mut peer = connect();
                    peer.send(wrong.flags(4));
                    let reply = peer.receive().unwrap();
                    assert_eq!((reply.kind, reply.session), (request.kind, 1));
                    drop(peer);
                }
            }
            // A body that is announced and does not come, and one that is shorter than any.
            for length in [1u32, 7, 60_000] {
                let mut peer = connect();
                let mut octets = peer.octets(request.clone());
                octets[8..12].copy_from_slice(&length.to_be_bytes());
                peer.write(&octets).unwrap();
                if length < 8 {
                    assert!(is_error(&peer.receive().unwrap()), "{length}");
                }
            }
        }
    });
}

/// proves: TAC-4.4-8, TAC-4.4-9, TAC-4.4-10
#[test]
fn wrong_secrets_and_noise_between_good_sessions() {
    survives(|connect, place| {
        let password = place.text("alice.password");
        for wrong in requests(9, place) {
            let mut peer = connect();
            for session in 1..=3 {
                let reply = peer.ask(ascii(session, "alice", "").flags(4));
                assert_eq!(reply.body[0], GETPASS);
            }
            // Under another secret; over TLS that is noise behind a right header.
            let tls = peer.octets(wrong.clone())[3] & 1;
            let octets = wrong.clone().flags(tls).octets(Some(FOREIGN));
            peer.write(&octets).unwrap();
            assert!(is_error(&peer.receive().unwrap()));
            // What ran is not harmed, and nothing new begins.
            for session in 1..=3 {
                let reply = peer.ask(answer(session, 3, &password));
                assert_eq!((reply.session, reply.body[0]), (session, PASS));
            }
            assert!(peer.rest().is_empty(), "then the server closes");
        }
    });
}

/// proves: TAC-4.3-6, TAC-4.5-8, TLS-4-4
#[test]
fn mixed_flags() {
    survives(|connect, place| {
        // The flag for single-connect comes and goes, with bits that mean nothing: it counted in the first packet.
        let mut peer = connect();
        for (session, flags) in (1..).zip([4, 0, 0xf8, 0xfc, 0, 4, 0x80]) {
            let reply = peer.ask(author(session, "alice", &SHOW).flags(flags));
            assert_eq!(reply.body[0], PASS_ADD);
            assert_eq!(reply.flags & 0xfe, 4);
        }
        // Without it in the first one, nothing later makes more than one session of a connection.
        let mut peer = connect();
        assert_eq!(peer.ask(ascii(1, "alice", "")).body[0], GETPASS);
        peer.send(author(2, "alice", &SHOW).flags(4));
        let password = place.text("alice.password");
        let reply = peer.ask(answer(1, 3, &password).flags(4));
        assert_eq!(
            (reply.session, reply.body[0], reply.flags & 4),
            (1, PASS, 0)
        );
        assert!(peer.rest().is_empty());
        // The flag for clear text is wrong: no reply without TLS, ERROR with it, and no service in either.
        for request in requests(1, place) {
            let mut peer = connect();
            let mut octets = peer.octets(request);
            let tls = octets[3] & 1 == 1;
            octets[3] ^= 1;
            peer.write(&octets).unwrap();
            match peer.receive() {
                Ok(reply) => assert!(tls && is_error(&reply)),
                Err(_) => assert!(!tls),
            }
            assert!(peer.rest().is_empty());
        }
    });
}

/// proves: TAC-4.1-23
#[test]
fn oversize() {
    survives(|connect, place| {
        for request in requests(1, place) {
            for length in [65_537u32, 0x7fff_ffff, u32::MAX] {
                let mut peer = connect();
                let mut octets = peer.octets(request.clone().flags(4));
                octets[8..12].copy_from_slice(&length.to_be_bytes());
                // More than the header may meet a connection that is closed already.
                peer.write(&octets[..12]).unwrap();
                let reply = peer.receive().unwrap();
                assert!(is_error(&reply) && reply.flags & 4 == 0, "{length}");
                assert!(peer.rest().is_empty());
            }
        }
        // The longest body that is taken, but for its last octet, on many connections at once.
        let held: Vec<Peer> = (0..20)
            .map(|_| {
                let mut peer = connect();
                let octets = peer.octets(Packet::new(2, 1, vec![0; 65_536]));
                peer.write(&octets[..octets.len() - 1]).unwrap();
                peer
            })
            .collect();
        drop(held);
    });
}

#[test]
fn floods_of_starts_that_nobody_continues() {
    survives(|connect, _| {
        let flood: Vec<Peer> = (0..8)
            .map(|_| {
                let mut peer = connect();
                let reply = peer.ask(ascii(1, "alice", "").flags(4));
                assert_eq!(reply.body[0], GETPASS);
                // As many sessions as a connection may have, and some more, which are told so.
                let (mut asked, mut refused) = (1, 0);
                for sessions in (2..=1100).collect::<Vec<u32>>().chunks(100) {
                    let octets = sessions
                        .iter()
                        .flat_map(|session| peer.octets(ascii(*session, "alice", "")))
                        .collect::<Vec<u8>>();
                    peer.write(&octets).unwrap();
                    for _ in sessions {
                        let reply = peer.receive().unwrap();
                        match reply.body[0] {
                            GETPASS => asked += 1,
                            _ => {
                                assert!(is_error(&reply));
                                refused += 1;
                            }
                        }
                    }
                }
                assert_eq!((asked, refused), (1000, 100));
                peer
            })
            .collect();
        // With all of them open, somebody else is served.
        let reply = connect().ask(author(1, "alice", &SHOW));
        assert_eq!(reply.body[0], PASS_ADD);
        drop(flood);
    });
}

/// proves: TAC-4.1-9, TAC-4.1-10
#[test]
fn numbers_and_sessions_out_of_order() {
    survives(|connect, place| {
        let password = place.text("alice.password");
        let mut peer = connect();
        assert_eq!(peer.ask(ascii(1, "alice", "").flags(4)).body[0], GETPASS);
        // The id of a running session again, a number that is not due, a session that never was.
        assert!(is_error(&peer.ask(author(1, "alice", &SHOW))));
        assert!(is_error(&peer.ask(answer(1, 3, &password))));
        assert_eq!(peer.ask(ascii(1, "alice", "")).body[0], GETPASS);
        assert!(is_error(&peer.ask(answer(1, 5, &password))));
        assert!(is_error(&peer.ask(answer(77, 3, &password))));
        // Even numbers and the last one have no reply that a server could send.
        for number in [0, 2, 254, 255] {
            peer.send(answer(1, number, &password));
        }
        assert_eq!(peer.ask(author(2, "alice", &SHOW)).body[0], PASS_ADD);
        assert_eq!(peer.ask(ascii(2, "alice", "")).body[0], GETPASS);
        assert_eq!(peer.ask(answer(2, 3, &password)).body[0], PASS);
    });
}
