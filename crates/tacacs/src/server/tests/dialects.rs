//! What the dialect of draft-05 changes, each beside what RFC 8907 has in its place.

use super::*;

const BOTH: [Dialect; 2] = [Dialect::Rfc8907, Dialect::Draft05];

fn speaking(dialect: Dialect) -> Config {
    Config {
        dialect,
        ..Config::new(obfuscated())
    }
}

fn foreign(packet: Packet<'_>) -> Vec<u8> {
    packet.octets(&Protection::Obfuscated(Vec::from([Secret::new(
        *b"quite another secret",
    )])))
}

/// The rules beside this file are compiled under two names; see `dialect()`.
/// proves: D05-1-2
#[test]
fn every_rule_is_tried_in_the_dialect_that_its_module_is_named_after() {
    let old = module_path!().contains("draft_05");
    assert_eq!(dialect() == Dialect::Draft05, old);
    assert_eq!(config_of(obfuscated()).dialect, dialect());
    // The name decides what is tried: in one dialect this is FAIL, in the other ERROR.
    let chpass_with_pap = [2, 1, 2, 1, 0, 0, 0, 0];
    let replies = Peer::new(obfuscated()).exchange(&[start(1, &chpass_with_pap)]);
    assert_eq!(replies[0].1[0], if old { 0x07 } else { 0x02 });
}

/// proves: D05-3.6-3, D05-3.6-7, D05-1-1
#[test]
fn after_a_wrong_secret_a_connection_with_single_connect_goes_on_in_the_old_dialect() {
    for dialect in BOTH {
        let goes_on = dialect == Dialect::Draft05;
        for request in [start(2, ASCII_ALICE), authorization(2), accounting(2)] {
            let mut peer = Peer::established_with(speaking(dialect));
            peer.status = AuthenticationStatus::GETPASS;
            peer.exchange(&[start(1, ASCII_ALICE)]);
            peer.connection.receive(&foreign(request), at(0));
            peer.run();
            let replies = peer.replies();
            assert!(is_error(&replies[0]), "{dialect:?} {replies:?}");
            assert_eq!(replies[0].0.packet_type.0, request.packet_type);
            assert_eq!(is_error(&peer.exchange(&[authorization(3)])[0]), !goes_on);
            // The session that ran is not harmed in either.
            peer.status = AuthenticationStatus::PASS;
            assert_eq!(peer.exchange(&[answer_of(1, 3, CONTINUE)])[0].1[0], 0x01);
            assert_eq!(peer.connection.close_reason().is_none(), goes_on);
        }
    }
}

/// proves: D05-3.6-7
#[test]
fn a_wrong_secret_in_the_first_packet_closes_in_both_dialects() {
    for dialect in BOTH {
        let mut peer = Peer::with(speaking(dialect));
        let octets = foreign(authorization(1).single_connect());
        peer.connection.receive(&octets, at(0));
        peer.run();
        let replies = peer.replies();
        assert!(is_error(&replies[0]));
        assert!(!replies[0].0.flags.contains(Flags::SINGLE_CONNECT));
        assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
    }
}

#[test]
fn a_continue_with_a_wrong_secret_ends_only_its_session_in_the_old_dialect() {
    let mut peer = Peer::established_with(speaking(Dialect::Draft05));
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE), start(2, ASCII_ALICE)]);
    let octets = foreign(answer_of(1, 3, CONTINUE));
    peer.connection.receive(&octets, at(0));
    peer.run();
    assert!(is_error(&peer.replies()[0]));
    assert!(peer.saw("SessionEnded { session: SessionId(00000001), why: Refused }"));
    peer.status = AuthenticationStatus::PASS;
    assert_eq!(peer.exchange(&[answer_of(2, 3, CONTINUE)])[0].1[0], 0x01);
    assert_eq!(peer.connection.close_reason(), None);
}

/// proves: D05-3.6-6
#[test]
fn lengths_that_do_not_add_up_are_an_error_and_change_nothing() {
    let mut body = AUTHORIZATION.to_vec();
    body[8] += 1;
    for dialect in BOTH {
        let mut peer = Peer::established_with(speaking(dialect));
        let replies = peer.exchange(&[packet(PacketType::AUTHORIZATION, 1, 1, &body)]);
        assert!(is_error(&replies[0]));
        assert!(!peer.saw("Authorization {"), "{:?}", peer.seen);
        assert_eq!(peer.connection.sessions(), 0);
    }
}

/// proves: D05-4.4.1-1
#[test]
fn an_unsupported_minor_version_is_answered_with_the_closest_one() {
    for version in [0xc2, 0xc5, 0xcf] {
        for body in [PAP_ALICE, ASCII_ALICE] {
            let mut peer = Peer::with(speaking(Dialect::Draft05));
            let replies = peer.exchange(&[Packet {
                version,
                ..start(1, body)
            }]);
            assert!(is_error(&replies[0]));
            assert_eq!(replies[0].0.version.0, 0xc1);
        }
    }
}

/// proves: D05-4.1-1, D05-1-1
#[test]
fn arap_is_known_and_not_implemented_in_the_old_dialect() {
    let arap = b"\x01\x01\x04\x03\x05\0\0\0alice";
    for (dialect, told) in [
        (Dialect::Rfc8907, "Unlisted { field: AuthenType, value: 4 }"),
        (Dialect::Draft05, "Pair(LOGIN, ARAP)"),
    ] {
        let mut peer = Peer::with(speaking(dialect));
        let replies = peer.exchange(&[Packet {
            version: 0xc1,
            ..start(1, arap)
        }]);
        assert!(is_error(&replies[0]));
        assert!(peer.saw(told), "{:?}", peer.seen);
    }
}

/// proves: D05-4.4.1-4
#[test]
fn sendauth_is_for_the_types_of_ppp_and_minor_version_one() {
    let ascii = b"\x04\x01\x01\x03\x05\0\0\0alice";
    let chap = b"\x04\x01\x03\x03\x05\0\0\0alice";
    for (version, body) in [(0xc0, ascii), (0xc1, ascii), (0xc0, chap)] {
        let mut peer = Peer::with(speaking(Dialect::Draft05));
        let replies = peer.exchange(&[Packet {
            version,
            ..start(1, body)
        }]);
        assert!(is_error(&replies[0]));
        assert!(!peer.saw("AuthenticationStart"));
    }
}

/// proves: D05-4.4.1-3
#[test]
fn a_login_of_version_one_has_all_in_its_start() {
    for authen_type in [2, 3, 5, 6] {
        let body = [1, 1, authen_type, 1, 1, 0, 0, 1, b'a', b'x'];
        for status in [AuthenticationStatus::PASS, AuthenticationStatus::FAIL] {
            let mut peer = Peer::with(speaking(Dialect::Draft05));
            peer.status = status;
            let replies = peer.exchange(&[Packet {
                version: 0xc1,
                ..start(1, &body)
            }]);
            assert_eq!((replies.len(), replies[0].1[0]), (1, status.0));
            assert_eq!(peer.connection.sessions(), 0);
        }
    }
}
