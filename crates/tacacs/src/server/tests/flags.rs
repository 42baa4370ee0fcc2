//! The flag for clear text where it is tolerated to be wrong.

use super::*;

fn tolerant(protection: Protection) -> Config {
    Config {
        tolerate_wrong_flag: true,
        ..config_of(protection)
    }
}

fn wrong(packet: Packet<'_>) -> Packet<'_> {
    Packet {
        flags: packet.flags ^ 0x01,
        ..packet
    }
}

#[test]
fn a_wrong_flag_is_let_pass_told_and_not_sent_back() {
    for protection in protections() {
        for request in [start(1, ASCII_ALICE), authorization(1), accounting(1)] {
            let mut peer = Peer::with(tolerant(protection.clone()));
            let replies = peer.exchange(&[wrong(request)]);
            assert_eq!(replies.len(), 1);
            assert!(!is_error(&replies[0]), "{:?}", peer.seen);
            assert_eq!(replies[0].0.flags, protection.flags());
            assert_eq!(
                peer.seen[1..],
                ["WrongFlag { session: SessionId(00000001) }"]
            );
        }
        let mut peer = Peer::with(tolerant(protection.clone()));
        let replies = peer.exchange(&[wrong(packet(PacketType(9), 1, 1, b""))]);
        assert_eq!(replies[0].0.flags, protection.flags());
    }
}

#[test]
fn every_packet_with_a_wrong_flag_is_told_and_a_right_one_is_not() {
    for protection in protections() {
        let mut peer = Peer::established_with(tolerant(protection));
        peer.status = AuthenticationStatus::GETPASS;
        peer.exchange(&[wrong(start(1, ASCII_ALICE)), authorization(2)]);
        peer.status = AuthenticationStatus::PASS;
        let replies = peer.exchange(&[wrong(answer_of(1, 3, CONTINUE))]);
        assert_eq!(replies[0].1[0], 0x01);
        let told = peer
            .seen
            .iter()
            .filter(|event| event.contains("WrongFlag"))
            .count();
        assert_eq!(told, 2, "{:?}", peer.seen);
    }
}

/// Ruling 1: what a body is, is a property of the connection.
/// proves: D05-3.6-5
#[test]
fn a_body_in_clear_is_not_read_as_such_whatever_its_flag_says() {
    for tolerate_wrong_flag in [true, false] {
        let mut peer = Peer::with(Config {
            tolerate_wrong_flag,
            ..config_of(obfuscated())
        });
        // Flag and body both say clear text.
        let octets = authorization(1).octets(&Protection::Tls);
        peer.connection.receive(&octets, at(0));
        peer.run();
        assert!(!peer.saw("Authorization {"), "{:?}", peer.seen);
        let replies = peer.replies();
        assert_eq!(replies.len(), usize::from(tolerate_wrong_flag));
        assert!(replies.iter().all(is_error));
        assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));

        // Over TLS an obfuscated body is as little a request.
        let mut peer = Peer::with(Config {
            tolerate_wrong_flag,
            ..config_of(Protection::Tls)
        });
        let octets = authorization(1).octets(&obfuscated());
        peer.connection.receive(&octets, at(0));
        peer.run();
        assert!(!peer.saw("Authorization {") && is_error(&peer.replies()[0]));
    }
}

/// proves: D05-3.6-4
#[test]
fn without_being_told_no_dialect_takes_the_flag() {
    for dialect in [Dialect::Rfc8907, Dialect::Draft05] {
        let mut peer = Peer::with(Config {
            dialect,
            ..Config::new(obfuscated())
        });
        assert!(peer.exchange(&[wrong(authorization(1))]).is_empty());
        assert!(peer.saw("FlagSet"));
        assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
    }
}

#[test]
fn a_use_is_told_also_when_it_was_the_last_packet() {
    let mut peer = Peer::with(tolerant(obfuscated()));
    let octets = wrong(authorization(1)).octets(&obfuscated());
    peer.connection.receive(&octets, at(0));
    peer.connection.peer_closed();
    peer.run();
    assert_eq!(peer.replies().len(), 1);
    assert!(peer.saw("WrongFlag"), "{:?}", peer.seen);
}
