use super::*;

/// proves: TAC-4.1-3
#[test]
fn another_major_version_closes_without_reply() {
    for protection in protections() {
        let mut peer = Peer::new(protection);
        assert!(
            peer.exchange(&[Packet {
                version: 0xd0,
                ..authorization(1)
            }])
            .is_empty()
        );
        assert_eq!(
            peer.seen,
            ["Refused { session: None, reason: NotTacacs(Version(0xd0)) }"]
        );
        assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
    }
}

/// proves: TAC-4.5-8, TAC-10.5.2-3
#[test]
fn the_flag_for_clear_text_on_an_obfuscated_connection_closes_without_reply() {
    for body in [AUTHORIZATION, b""] {
        let mut peer = Peer::new(obfuscated());
        // A body in clear, as the flag says.
        let clear = Packet {
            flags: 0,
            ..packet(PacketType::AUTHORIZATION, 1, 1, body)
        }
        .octets(&Protection::Tls);
        peer.connection.receive(&clear, at(0));
        peer.run();
        assert!(peer.replies().is_empty());
        assert_eq!(
            peer.seen,
            ["Refused { session: Some(SessionId(00000001)), reason: FlagSet }"]
        );
        assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
    }
}

#[test]
fn the_flag_for_clear_text_ends_running_sessions_of_an_obfuscated_connection() {
    let mut peer = Peer::established(obfuscated());
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    peer.exchange(&[
        Packet {
            flags: 0x01,
            ..authorization(2)
        },
        answer_of(1, 3, CONTINUE),
    ]);
    assert!(peer.saw("SessionEnded { session: SessionId(00000001), why: ConnectionClosed }"));
    assert_eq!(peer.connection.sessions(), 0);
}

/// proves: TLS-4-4, TLS-4-5
#[test]
fn a_missing_flag_over_tls_is_an_error_of_the_type_with_the_flag_set() {
    for request in [start(1, ASCII_ALICE), authorization(2), accounting(3)] {
        let mut peer = Peer::new(Protection::Tls);
        let replies = peer.exchange(&[Packet {
            flags: 0x01,
            ..request
        }]);
        let [(header, body)] = &replies[..] else {
            panic!("{replies:?}")
        };
        assert_eq!(
            (header.packet_type.0, header.seq_no.0, header.session_id.0),
            (request.packet_type, 2, request.session)
        );
        assert_eq!(header.flags, Flags::UNENCRYPTED);
        assert_eq!(body, error_body(request.packet_type));
        assert!(peer.saw("FlagClear"));
        assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
    }
}

/// proves: TLS-4-5, TAC-4.4-8, TAC-4.4-9, TAC-4.4-10
#[test]
fn a_missing_flag_over_tls_ends_its_session_and_lets_others_finish() {
    let mut peer = Peer::established(Protection::Tls);
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE), start(2, ASCII_ALICE)]);
    peer.status = AuthenticationStatus::PASS;
    let replies = peer.exchange(&[
        Packet {
            flags: 0x01,
            ..answer_of(1, 3, CONTINUE)
        },
        answer_of(1, 5, CONTINUE),
        authorization(3),
        answer_of(2, 3, CONTINUE),
    ]);
    assert!(replies[..3].iter().all(is_error), "{replies:?}");
    assert_eq!(replies[3].1[0], AuthenticationStatus::PASS.0);
    assert!(peer.saw("SessionEnded { session: SessionId(00000001), why: Refused }"));
    assert!(peer.saw("UnknownSession") && peer.saw("NotAccepting"));
    assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
}

/// proves: TLS-4-1
#[test]
fn an_obfuscated_body_over_tls_is_no_request() {
    for flags in [0, 0x01] {
        let mut peer = Peer::new(Protection::Tls);
        let mut octets = Packet {
            flags: 0x01,
            ..authorization(1)
        }
        .octets(&obfuscated());
        octets[3] ^= flags;
        peer.connection.receive(&octets, at(0));
        peer.run();
        assert!(is_error(&peer.replies()[0]));
        assert!(!peer.saw("Authorization"));
    }
}

/// proves: TAC-3.6-3, D05-3.6-8
#[test]
fn an_unknown_type_is_answered_by_its_header() {
    for protection in protections() {
        let mut peer = Peer::new(protection.clone());
        let request = Packet {
            version: 0xc0,
            packet_type: 7,
            seq_no: 1,
            flags: 0,
            session: 0x0102_0304,
            body: b"abcd",
        };
        peer.send(&[request]);
        peer.run();
        let mut reply = Vec::new();
        peer.connection.poll_transmit(&mut reply);
        let flag = protection.flags().0;
        assert_eq!(reply, [0xc0, 0x07, 0x02, flag, 1, 2, 3, 4, 0, 0, 0, 0]);
        // It was the only session of a connection without single-connect.
        assert_eq!(
            peer.connection.close_reason(),
            Some(CloseReason::SessionComplete)
        );
    }
}

#[test]
fn an_unknown_type_without_the_flag_over_tls_is_answered_with_the_flag() {
    let mut peer = Peer::new(Protection::Tls);
    let replies = peer.exchange(&[Packet {
        packet_type: 7,
        flags: 0xf9,
        ..authorization(1)
    }]);
    assert_eq!(replies[0].0.flags, Flags(0xf9));
    assert_eq!(replies[0].0.length, 0);
}

#[test]
fn the_header_of_an_unknown_type_grants_single_connect_only_where_it_is_granted() {
    for granted in [true, false] {
        let mut peer = Peer::with(Config {
            single_connection: granted,
            ..config_of(obfuscated())
        });
        let replies = peer.exchange(&[Packet {
            packet_type: 7,
            ..authorization(1)
        }
        .single_connect()]);
        assert_eq!(replies[0].0.flags.contains(Flags::SINGLE_CONNECT), granted);
        assert_eq!(peer.connection.close_reason().is_none(), granted);
        assert_eq!(
            peer.exchange(&[authorization(2)]).len(),
            usize::from(granted)
        );
    }
}

/// proves: TAC-4.1-18, TAC-4.1-19
#[test]
fn other_flag_bits_are_ignored_and_not_sent() {
    for protection in protections() {
        let mut peer = Peer::new(protection.clone());
        let replies = peer.exchange(&[Packet {
            flags: 0xf8,
            ..authorization(1)
        }]);
        assert!(peer.saw("Authorization"));
        assert_eq!(replies[0].0.flags, protection.flags());
    }
}

/// proves: TAC-4.1-23, TAC-4.1-24
#[test]
fn a_body_over_the_limit_is_refused_by_its_header() {
    for (limit, length) in [(1000, 1001), (Config::DEFAULT_MAX_BODY, u32::MAX)] {
        for packet_type in [1, 2, 3, 9] {
            let mut peer = Peer::with(Config {
                max_body: limit,
                ..config_of(obfuscated())
            });
            let header = Header {
                version: Version::DEFAULT,
                packet_type: PacketType(packet_type),
                seq_no: SeqNo(1),
                flags: Flags::SINGLE_CONNECT,
                session_id: SessionId(1),
                length,
            };
            peer.connection.receive(&header.encode(), at(0));
            peer.run();
            let replies = peer.replies();
            assert!(is_error(&replies[0]));
            assert_eq!(
                (replies[0].0.packet_type.0, replies[0].0.seq_no.0),
                (packet_type, 2)
            );
            assert!(!replies[0].0.flags.contains(Flags::SINGLE_CONNECT));
            assert!(peer.saw("Oversize"));
            assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
        }
    }
}

/// proves: TAC-4.1-24
#[test]
fn the_limit_can_admit_the_longest_legal_request() {
    let arguments = [b'a'; 255];
    let mut body = std::vec![6, 1, 1, 1, 255, 255, 255, 255];
    body.extend([255; 255]);
    body.extend([b'u'; 3 * 255]);
    for _ in 0..255 {
        body.extend(arguments);
    }
    assert_eq!(body.len(), 66_053);
    let mut peer = Peer::with(Config {
        max_body: 66_054,
        ..config_of(obfuscated())
    });
    peer.exchange(&[packet(PacketType::AUTHORIZATION, 1, 1, &body)]);
    assert!(peer.saw("Authorization"));
}

/// proves: TAC-4.1-1
#[test]
fn eleven_octets_of_a_header_wait_for_the_twelfth() {
    let mut peer = Peer::new(obfuscated());
    let octets = authorization(1).octets(&peer.protection);
    peer.connection.receive(&octets[..11], at(0));
    assert!(peer.connection.poll().is_none());
    peer.connection.receive(&octets[11..], at(0));
    assert!(peer.connection.poll().is_some());
}

/// proves: D05-3.4-3
#[test]
fn octets_after_a_body_are_the_next_header() {
    let mut peer = Peer::established(obfuscated());
    let mut octets = authorization(1).octets(&peer.protection);
    octets.push(0xd0);
    octets.extend([0; 11]);
    peer.connection.receive(&octets, at(0));
    peer.run();
    assert!(peer.saw("Authorization") && peer.saw("NotTacacs"));
}

/// proves: TAC-5.4.1-4
#[test]
fn a_reply_has_the_version_of_the_request_in_header_and_pad() {
    let mut peer = Peer::new(obfuscated());
    // `replies` removes the pad by the header of the reply, so a body that decodes proves both.
    let replies = peer.exchange(&[start(1, PAP_ALICE)]);
    assert_eq!(replies[0].0.version, Version::ONE);
    assert_eq!(replies[0].1, b"\x01\0\0\0\0\0");
}

/// There is no way to talk without a secret, in tests neither: all that stands in clear here is about the flag.
/// proves: TAC-4.1-16
#[test]
fn an_obfuscated_connection_without_secret_is_closed_from_the_start() {
    let mut peer = Peer::new(Protection::Obfuscated(Vec::new()));
    assert_eq!(peer.connection.close_reason(), Some(CloseReason::NoSecret));
    assert!(!peer.connection.wants_read());
    assert!(peer.exchange(&[authorization(1)]).is_empty());
    assert!(peer.seen.is_empty());
}
