use super::*;

fn authen(action: u8, authen_type: u8, service: u8) -> Vec<u8> {
    std::vec![action, 1, authen_type, service, 0, 0, 0, 0]
}

/// The status of the only reply to a START on a connection of its own, and whether the application saw it.
fn status_of(dialect: Dialect, version: u8, body: &[u8]) -> (u8, bool) {
    let mut peer = Peer::with(Config {
        dialect,
        ..config_of(obfuscated())
    });
    let replies = peer.exchange(&[Packet {
        version,
        ..start(1, body)
    }]);
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::SessionComplete)
    );
    assert_eq!(replies.len(), 1);
    (replies[0].1[0], peer.saw("AuthenticationStart"))
}

/// proves: TAC-3.6-1, TAC-1-1, TAC-5.4.1-5, TAC-10.5.3-6, TAC-6.1-5
#[test]
fn unlisted_numbers_of_a_start_are_an_error() {
    for (action, authen_type, service) in [
        (7, 1, 1),
        (3, 1, 1),
        (0, 1, 1),
        (1, 9, 1),
        (1, 0, 1),
        (1, 4, 1),
        (1, 1, 4),
        (1, 1, 10),
        (1, 1, 255),
    ] {
        let (status, told) = status_of(
            Dialect::Rfc8907,
            0xc0,
            &authen(action, authen_type, service),
        );
        assert_eq!(
            (status, told),
            (0x07, false),
            "{action} {authen_type} {service}"
        );
    }
}

#[test]
fn there_are_sixteen_privilege_levels() {
    let mut body = authen(1, 1, 1);
    body[1] = 15;
    assert_eq!(status_of(Dialect::Rfc8907, 0xc0, &body), (0x01, true));
    body[1] = 16;
    assert_eq!(status_of(Dialect::Rfc8907, 0xc0, &body), (0x07, false));
}

/// proves: TAC-5.4.1-1
#[test]
fn the_table_of_versions_decides_for_all_pairs() {
    for action in [1, 2, 4] {
        for authen_type in [1, 2, 3, 5, 6] {
            let minor = match (action, authen_type) {
                (1 | 2, 1) => Some(0),
                (1 | 4, 2 | 3 | 5 | 6) => Some(1),
                _ => None,
            };
            for version in [0xc0, 0xc1] {
                let expected = match minor {
                    None => (0x02, false),
                    Some(minor) if version == 0xc0 + minor => (0x01, true),
                    Some(_) => (0x07, false),
                };
                let body = authen(action, authen_type, 1);
                assert_eq!(
                    status_of(Dialect::Rfc8907, version, &body),
                    expected,
                    "{action} {authen_type} {version}"
                );
            }
        }
    }
}

#[test]
fn the_old_dialect_answers_wrong_pairs_with_error_and_knows_arap() {
    let old = Dialect::Draft05;
    assert_eq!(status_of(old, 0xc0, &authen(4, 1, 1)), (0x07, false));
    assert_eq!(status_of(old, 0xc0, &authen(2, 2, 1)), (0x07, false));
    assert_eq!(status_of(old, 0xc1, &authen(1, 4, 1)), (0x07, false));
    assert_eq!(status_of(old, 0xc1, &authen(1, 3, 4)), (0x01, true));
}

#[test]
fn the_old_dialect_takes_the_service_arap_in_authorization() {
    let mut body = AUTHORIZATION.to_vec();
    body[3] = 4;
    for (dialect, taken) in [(Dialect::Draft05, true), (Dialect::Rfc8907, false)] {
        let mut peer = Peer::with(Config {
            dialect,
            ..config_of(obfuscated())
        });
        let replies = peer.exchange(&[packet(PacketType::AUTHORIZATION, 1, 1, &body)]);
        assert_eq!(is_error(&replies[0]), !taken);
        assert_eq!(peer.saw("authen_service: ARAP"), taken);
    }
}

#[test]
fn the_old_dialect_lets_pap_with_version_zero_ask_for_the_password() {
    let body = b"\x01\x01\x02\x01\x05\0\0\0alice";
    let mut peer = Peer::with(Config {
        dialect: Dialect::Draft05,
        ..config_of(obfuscated())
    });
    peer.status = AuthenticationStatus::GETPASS;
    assert_eq!(peer.exchange(&[start(1, body)])[0].1[0], 0x05);
    peer.status = AuthenticationStatus::PASS;
    assert_eq!(peer.exchange(&[answer_of(1, 3, CONTINUE)])[0].1[0], 0x01);
    assert_eq!(status_of(Dialect::Draft05, 0xc1, PAP_ALICE), (0x01, true));
}

#[test]
fn enable_takes_any_type_with_either_version_and_may_ask() {
    for authen_type in [1, 2, 3, 5, 6] {
        for version in [0xc0, 0xc1] {
            let mut peer = Peer::new(obfuscated());
            peer.status = AuthenticationStatus::GETPASS;
            let body = authen(1, authen_type, 2);
            assert_eq!(
                peer.exchange(&[Packet {
                    version,
                    ..start(1, &body)
                }])[0]
                    .1[0],
                0x05
            );
            peer.status = AuthenticationStatus::PASS;
            assert_eq!(
                peer.exchange(&[Packet {
                    version,
                    ..answer_of(1, 3, CONTINUE)
                }])[0]
                    .1[0],
                0x01
            );
        }
    }
}

/// proves: TAC-4.1-2
#[test]
fn a_minor_version_that_does_not_exist_is_an_error_with_the_nearest_one() {
    for dialect in [Dialect::Rfc8907, Dialect::Draft05] {
        for request in [start(1, ASCII_ALICE), authorization(1), accounting(1)] {
            let mut peer = Peer::with(Config {
                dialect,
                ..config_of(obfuscated())
            });
            let replies = peer.exchange(&[Packet {
                version: 0xc5,
                ..request
            }]);
            assert!(is_error(&replies[0]));
            assert_eq!(replies[0].0.version, Version::ONE);
        }
    }
}

/// proves: TAC-5.4.1-2
#[test]
fn authorization_and_accounting_have_minor_version_zero() {
    for request in [authorization(1), accounting(1)] {
        let mut peer = Peer::new(obfuscated());
        assert!(is_error(
            &peer.exchange(&[Packet {
                version: 0xc1,
                ..request
            }])[0]
        ));
        assert!(peer.saw("MinorVersion"));
    }
}

/// proves: TAC-6.1-2, TAC-6.1-5
#[test]
fn authorization_and_accounting_take_listed_numbers_only() {
    let wrong = [
        (0, 7),
        (0, 9),
        (0, 0x12),
        (0, 0xff),
        (1, 16),
        (2, 4),
        (2, 7),
        (3, 4),
        (3, 10),
    ];
    for (packet_type, body, skip) in [
        (PacketType::AUTHORIZATION, AUTHORIZATION, 0),
        (PacketType::ACCOUNTING, ACCOUNTING, 1),
    ] {
        for (field, number) in wrong {
            let mut body = body.to_vec();
            body[skip + field] = number;
            // The older dialect lists ARAP, and the others of these numbers neither.
            let mut peer = Peer::with(Config::new(obfuscated()));
            let replies = peer.exchange(&[packet(packet_type, 1, 1, &body)]);
            assert!(
                is_error(&replies[0]) && peer.saw("Unlisted"),
                "{packet_type:?} {field} {number}"
            );
        }
        for method in [0, 1, 2, 3, 4, 5, 6, 8, 0x10, 0x11, 0x20] {
            let mut body = body.to_vec();
            body[skip] = method;
            body[skip + 2] = 0;
            let mut peer = Peer::new(obfuscated());
            let replies = peer.exchange(&[packet(packet_type, 1, 1, &body)]);
            assert!(!is_error(&replies[0]) && peer.saw("NOT_SET"), "{method}");
        }
    }
}

/// proves: TAC-7.2-7, TAC-7.2-12, TAC-7.2-13, D05-6.2-4
#[test]
fn accounting_flags_make_four_records_and_four_errors() {
    for flags in 0..=255 {
        let mut body = ACCOUNTING.to_vec();
        body[0] = flags;
        let mut peer = Peer::new(obfuscated());
        let replies = peer.exchange(&[packet(PacketType::ACCOUNTING, 1, 1, &body)]);
        let valid = matches!(flags & 0x0e, 0x02 | 0x04 | 0x08 | 0x0a);
        assert_eq!(
            replies[0].1[4],
            if valid { 0x01 } else { 0x02 },
            "{flags:#04x}"
        );
        assert_eq!(peer.saw("Accounting {"), valid);
    }
}

/// proves: TAC-5.1-11
#[test]
fn what_only_the_application_can_judge_reaches_it() {
    let mut peer = Peer::established(obfuscated());
    peer.exchange(&[start(1, ASCII_ALICE)]);
    assert!(peer.saw("rem_addr: \"\""));
    let body = b"\x06\x01\x01\x01\x05\0\0\x03\x04\x05\x07alicecmd=shellzz=\xff\n 1";
    peer.exchange(&[packet(PacketType::AUTHORIZATION, 2, 1, body)]);
    assert!(
        peer.saw(r#"arguments: ["cmd=", "shell", "zz=\xff\n 1"]"#),
        "{:?}",
        peer.seen
    );
}

/// proves: TAC-1-3
#[test]
fn authorization_and_accounting_need_no_authentication_before() {
    let mut peer = Peer::new(obfuscated());
    assert!(!is_error(&peer.exchange(&[authorization(1)])[0]));
    let mut peer = Peer::new(obfuscated());
    assert!(!is_error(&peer.exchange(&[accounting(1)])[0]));
}
