use super::*;

fn foreign() -> Protection {
    Protection::Obfuscated(Vec::from([Secret::new(*b"quite another secret")]))
}

impl Peer {
    fn send_foreign(&mut self, packet: Packet<'_>) {
        let octets = packet.octets(&foreign());
        self.connection.receive(&octets, at(0));
        self.run();
    }
}

/// proves: TAC-4.5-6, TAC-4.5-9
#[test]
fn a_wrong_secret_is_an_error_with_our_key() {
    for request in [start(1, ASCII_ALICE), authorization(2), accounting(3)] {
        let mut peer = Peer::new(obfuscated());
        peer.send_foreign(request.single_connect());
        let replies = peer.replies();
        assert!(is_error(&replies[0]));
        assert_eq!(
            (replies[0].0.packet_type.0, replies[0].0.seq_no.0),
            (request.packet_type, 2)
        );
        assert_eq!(replies[0].0.flags, Flags::NONE);
        assert!(peer.saw("reason: Body("));
        assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
    }
}

/// proves: TAC-4.4-8, TAC-4.4-9, TAC-4.4-10, TAC-10.5.2-5, TAC-10.5.2-6
#[test]
fn after_a_wrong_secret_running_sessions_finish_and_no_new_one_starts() {
    let mut peer = Peer::established_by_rfc8907(obfuscated());
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    peer.send_foreign(start(2, ASCII_ALICE));
    assert!(is_error(&peer.replies()[0]));
    assert_eq!(peer.connection.close_reason(), None);

    peer.seen.clear();
    assert!(is_error(&peer.exchange(&[start(3, ASCII_ALICE)])[0]));
    assert_eq!(
        peer.seen,
        ["Refused { session: Some(SessionId(00000003)), reason: NotAccepting }"]
    );

    peer.status = AuthenticationStatus::PASS;
    assert_eq!(peer.exchange(&[answer_of(1, 3, CONTINUE)])[0].1[0], 0x01);
    assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
    assert!(!peer.connection.wants_read());
}

#[test]
fn a_continue_with_a_wrong_secret_ends_its_session() {
    let mut peer = Peer::established_by_rfc8907(obfuscated());
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    peer.send_foreign(answer_of(1, 3, CONTINUE));
    assert!(is_error(&peer.replies()[0]));
    assert!(peer.saw("why: Refused"));
    assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
}

/// proves: TAC-6.1-7, D05-4.1-3
#[test]
fn every_length_octet_counts() {
    for (request, lengths) in [
        (start(1, PAP_ALICE), &[4, 5, 6, 7][..]),
        (authorization(1), &[4, 5, 6, 7, 8, 9]),
        (accounting(1), &[5, 6, 7, 8, 9]),
    ] {
        for (position, by) in lengths
            .iter()
            .flat_map(|position| [(*position, 1), (*position, 0xff)])
        {
            let mut body = request.body.to_vec();
            body[position] = body[position].wrapping_add(by);
            let mut peer = Peer::new(obfuscated());
            let replies = peer.exchange(&[Packet {
                body: &body,
                ..request
            }]);
            assert!(
                is_error(&replies[0]) && peer.saw("reason: Body("),
                "{position} {by}"
            );
        }
    }
}

#[test]
fn during_a_change_of_secret_the_peers_own_one_serves_the_connection() {
    let secrets = Vec::from([Secret::new(*b"quite another secret"), Secret::new(SECRET)]);
    let mut peer = Peer::with(Config::new(Protection::Obfuscated(secrets)));
    peer.protection = obfuscated();
    peer.status = AuthenticationStatus::GETPASS;
    let replies = peer.exchange(&[start(1, ASCII_ALICE).single_connect()]);
    assert_eq!(replies[0].1[0], 0x05);
    peer.status = AuthenticationStatus::PASS;
    assert_eq!(peer.exchange(&[answer_of(1, 3, CONTINUE)])[0].1[0], 0x01);
    // The other secret, though valid for a new connection, is a wrong one here.
    peer.send_foreign(authorization(2));
    assert!(is_error(&peer.replies()[0]));
    assert_eq!(peer.connection.close_reason(), Some(CloseReason::Trouble));
}

/// Ruling 8.
#[test]
fn a_wrong_secret_whose_lengths_add_up_by_chance_does_not_win() {
    // The longer the fields, the more lengths add up: about one secret in two hundred does for this body.
    let mut body = Vec::from([1, 1, 1, 1, 200, 100, 100, 100]);
    body.extend([b'x'; 500]);
    let octets = start(1, &body).octets(&obfuscated());
    let header = Header::peek(&octets).unwrap();
    let by_chance = (0..100_000u32)
        .map(|number| Secret::new(format!("{number}")))
        .find(|secret| {
            let mut body = octets[Header::LENGTH..].to_vec();
            obfuscation::apply(secret, &header, &mut body);
            authentication::Start::decode(&body).is_ok_and(|start| !start.action.is_listed())
        })
        .expect("some secret in so many");
    let mut peer = Peer::new(Protection::Obfuscated(Vec::from([
        by_chance,
        Secret::new(SECRET),
    ])));
    peer.protection = obfuscated();
    assert!(!is_error(&peer.exchange(&[start(1, &body)])[0]));
}

#[test]
fn nothing_prints_a_secret_or_a_password() {
    let mut peer = Peer::new(obfuscated());
    peer.send(&[start(1, PAP_ALICE)]);
    let connection = format!("{:?}", peer.connection);
    let event = format!("{:?}", peer.connection.poll());
    for text in [connection, event] {
        assert!(
            !text.contains("a secret of") && !text.contains("pw"),
            "{text}"
        );
    }
}

#[test]
fn draining_lets_sessions_finish_and_closes() {
    let mut peer = Peer::established(obfuscated());
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    peer.connection.refuse_new_sessions();
    assert!(is_error(&peer.exchange(&[authorization(2)])[0]));
    peer.status = AuthenticationStatus::PASS;
    assert_eq!(peer.exchange(&[answer_of(1, 3, CONTINUE)])[0].1[0], 0x01);
    assert_eq!(peer.connection.close_reason(), Some(CloseReason::Drained));

    let mut idle = Peer::established(obfuscated());
    idle.connection.refuse_new_sessions();
    assert_eq!(idle.connection.close_reason(), Some(CloseReason::Drained));
}

#[test]
fn after_the_peers_end_of_stream_owed_replies_still_go_out() {
    let mut peer = Peer::established(obfuscated());
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    peer.send(&[authorization(2)]);
    let ticket = peer.authorization_ticket();
    peer.send(&[accounting(3)]);
    peer.connection.peer_closed();
    peer.run();
    assert!(
        peer.saw("Accounting {"),
        "what came before the end is served"
    );
    assert!(peer.saw("SessionEnded { session: SessionId(00000001), why: ConnectionClosed }"));
    assert_eq!(peer.connection.close_reason(), None);
    let reply = authorization::Reply::new(AuthorizationStatus::FAIL);
    peer.connection.answer(ticket.with(reply), at(0)).unwrap();
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::PeerClosed)
    );
    assert_eq!(peer.replies().len(), 2);
}
