use super::*;

/// A connection with single-connect and session 1 at GETPASS.
fn asked() -> Peer {
    let mut peer = Peer::established(obfuscated());
    peer.status = AuthenticationStatus::GETPASS;
    let replies = peer.exchange(&[start(1, ASCII_ALICE)]);
    assert_eq!((replies[0].0.seq_no.0, replies[0].1[0]), (2, 0x05));
    peer.seen.clear();
    peer.status = AuthenticationStatus::PASS;
    peer
}

/// proves: D05-3.4-4, TAC-4.1-9, TAC-4.2-1, TAC-4.4-1, TAC-5.4.2.1-8
#[test]
fn a_session_goes_on_with_the_next_number_and_ends_with_its_result() {
    let mut peer = asked();
    let replies = peer.exchange(&[answer_of(1, 3, CONTINUE)]);
    assert_eq!((replies[0].0.seq_no.0, replies[0].1[0]), (4, 0x01));
    assert!(peer.saw("AuthenticationContinue"));
    let replies = peer.exchange(&[answer_of(1, 5, CONTINUE)]);
    assert!(is_error(&replies[0]) && peer.saw("UnknownSession"));
}

/// proves: TAC-4.1-9
#[test]
fn a_wrong_number_ends_its_session_with_error() {
    for wrong in [5, 7, 253] {
        let mut peer = asked();
        let replies = peer.exchange(&[answer_of(1, wrong, CONTINUE), answer_of(1, 3, CONTINUE)]);
        assert_eq!(replies[0].0.seq_no.0, wrong + 1);
        assert!(is_error(&replies[0]) && is_error(&replies[1]));
        assert!(peer.saw("Sequence") && peer.saw("why: Refused"));
        assert_eq!(
            (peer.connection.sessions(), peer.connection.close_reason()),
            (0, None)
        );
    }
}

/// proves: TAC-4.1-10
#[test]
fn an_even_number_has_no_reply_and_ends_its_session() {
    let mut peer = asked();
    assert!(peer.exchange(&[answer_of(1, 4, CONTINUE)]).is_empty());
    assert!(peer.saw("Sequence(SeqNo(4))") && peer.saw("why: Refused"));
    let mut peer = Peer::new(obfuscated());
    assert!(
        peer.exchange(&[Packet {
            seq_no: 2,
            ..authorization(1)
        }
        .single_connect()])
            .is_empty()
    );
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::SessionComplete)
    );
}

/// proves: TAC-4.1-8, D05-3.4-4
#[test]
fn a_first_packet_has_the_number_one() {
    for request in [start(1, ASCII_ALICE), authorization(1), accounting(1)] {
        let mut peer = Peer::established(obfuscated());
        let replies = peer.exchange(&[Packet {
            seq_no: 3,
            ..request
        }]);
        assert!(is_error(&replies[0]));
        assert_eq!(replies[0].0.seq_no.0, 4);
        assert_eq!(peer.connection.sessions(), 0);
    }
}

/// Ruling 12.
#[test]
fn the_id_of_an_active_session_cannot_be_used_again() {
    let mut peer = asked();
    peer.send(&[start(2, ASCII_ALICE)]);
    let other = peer.authentication_ticket();
    let replies = peer.exchange(&[authorization(1)]);
    assert!(is_error(&replies[0]));
    assert!(
        peer.saw("SessionInUse")
            && peer.saw("SessionEnded { session: SessionId(00000001), why: Refused }")
    );
    // The other session is not harmed, and the id is free again.
    let reply = authentication::Reply::new(AuthenticationStatus::PASS);
    peer.connection.answer(other.with(reply), at(0)).unwrap();
    assert!(!is_error(&peer.replies()[0]));
    assert!(!is_error(&peer.exchange(&[authorization(1)])[0]));
}

/// Ruling 37.
#[test]
fn a_continue_of_no_session_is_an_error_and_harms_nobody() {
    let mut peer = asked();
    let replies = peer.exchange(&[answer_of(9, 3, CONTINUE), answer_of(1, 3, CONTINUE)]);
    assert!(is_error(&replies[0]));
    assert_eq!(
        (replies[0].0.session_id, replies[0].0.seq_no),
        (SessionId(9), SeqNo(4))
    );
    assert_eq!(replies[1].1[0], 0x01);
}

/// proves: TAC-4.1-20
#[test]
fn a_packet_of_another_type_ends_the_session() {
    let mut peer = asked();
    let replies = peer.exchange(&[packet(PacketType::AUTHORIZATION, 1, 3, AUTHORIZATION)]);
    assert!(is_error(&replies[0]) && peer.saw("why: Refused"));
}

/// proves: TAC-3.5-1, TAC-6-2, D05-6.2-2
#[test]
fn authorization_and_accounting_end_with_their_reply() {
    for request in [authorization(1), accounting(1)] {
        let mut peer = Peer::established(obfuscated());
        assert_eq!(peer.exchange(&[request])[0].0.seq_no.0, 2);
        assert_eq!(peer.connection.sessions(), 0);
        assert!(is_error(
            &peer.exchange(&[Packet {
                seq_no: 3,
                ..request
            }])[0]
        ));
    }
}

/// proves: D05-4.4.3-1
#[test]
fn an_abort_has_no_reply_and_tells_its_reason() {
    let mut peer = asked();
    assert!(peer.exchange(&[answer_of(1, 3, ABORT)]).is_empty());
    assert_eq!(
        peer.seen,
        ["SessionEnded { session: SessionId(00000001), why: Aborted(\"bye\") }"]
    );
    assert_eq!(peer.connection.close_reason(), None);
    assert!(!is_error(&peer.exchange(&[authorization(1)])[0]));
}

/// proves: D05-4.4.3-1
#[test]
fn an_abort_closes_a_connection_without_single_connect() {
    let mut peer = Peer::new(obfuscated());
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    assert!(peer.exchange(&[answer_of(1, 3, ABORT)]).is_empty());
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::SessionComplete)
    );
}

/// proves: TAC-4.1-11, TAC-5.4-1, D05-3.4-4
#[test]
fn questions_end_before_the_numbers_wrap() {
    let mut peer = asked();
    peer.status = AuthenticationStatus::GETDATA;
    for seq_no in (3..253).step_by(2) {
        let replies = peer.exchange(&[answer_of(1, seq_no, CONTINUE)]);
        assert_eq!((replies[0].0.seq_no.0, replies[0].1[0]), (seq_no + 1, 0x03));
    }
    peer.send(&[answer_of(1, 253, CONTINUE)]);
    let ticket = peer.authentication_ticket();
    let question = authentication::Reply::new(AuthenticationStatus::GETDATA);
    assert_eq!(
        peer.connection.answer(ticket.with(question), at(0)),
        Err(AnswerError::SequenceExhausted)
    );
    let replies = peer.replies();
    assert_eq!(replies[0].0.seq_no.0, 254);
    assert!(is_error(&replies[0]));
    // The last number of a client has no reply at all.
    assert!(peer.exchange(&[answer_of(1, 255, CONTINUE)]).is_empty());
    assert!(peer.saw("UnknownSession"));
}

/// proves: TAC-4.1-11
#[test]
fn number_255_of_an_unknown_type_has_no_reply() {
    let mut peer = Peer::established(obfuscated());
    assert!(
        peer.exchange(&[Packet {
            packet_type: 9,
            seq_no: 255,
            ..authorization(1)
        }])
        .is_empty()
    );
}
