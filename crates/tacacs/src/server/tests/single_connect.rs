use super::*;

fn single(offered: bool) -> Peer {
    Peer::with(Config {
        single_connection: offered,
        ..config_of(obfuscated())
    })
}

/// proves: TAC-4.3-1, TAC-4.3-4, TAC-4.3-5, TAC-4.3-7, TAC-4.4-5, TAC-4.4-6, D05-3.3-5
#[test]
fn it_takes_both_sides_to_establish_it() {
    for (offered, asked) in [(true, true), (true, false), (false, true), (false, false)] {
        for protection in protections() {
            let mut peer = Peer::with(Config {
                single_connection: offered,
                ..config_of(protection)
            });
            let first = if asked {
                authorization(1).single_connect()
            } else {
                authorization(1)
            };
            let replies = peer.exchange(&[first]);
            let established = offered && asked;
            assert_eq!(
                replies[0].0.flags.contains(Flags::SINGLE_CONNECT),
                established
            );
            let reason = (!established).then_some(CloseReason::SessionComplete);
            assert_eq!(peer.connection.close_reason(), reason);
            assert_eq!(
                peer.exchange(&[authorization(2)]).len(),
                usize::from(established)
            );
        }
    }
}

/// proves: TAC-4.3-6, D05-3.3-3
#[test]
fn the_flag_means_nothing_after_the_second_packet() {
    let mut peer = single(true);
    peer.exchange(&[authorization(1).single_connect()]);
    for session in 2..9 {
        let request = authorization(session);
        let replies = peer.exchange(&[if session % 2 == 0 {
            request
        } else {
            request.single_connect()
        }]);
        assert!(!is_error(&replies[0]));
        assert_eq!(peer.connection.close_reason(), None);
    }
    // Nor does a later packet of the first session establish it.
    let mut peer = single(true);
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    peer.status = AuthenticationStatus::PASS;
    let replies = peer.exchange(&[answer_of(1, 3, CONTINUE).single_connect()]);
    assert!(!replies[0].0.flags.contains(Flags::SINGLE_CONNECT));
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::SessionComplete)
    );
}

/// Ruling 10.
#[test]
fn a_request_before_establishment_is_held_until_the_first_reply() {
    for offered in [true, false] {
        let mut peer = single(offered);
        peer.send(&[
            authorization(1).single_connect(),
            authorization(2),
            accounting(3),
        ]);
        let ticket = peer.authorization_ticket();
        assert!(
            peer.connection.poll().is_none(),
            "the second request is held"
        );
        let reply = authorization::Reply::new(AuthorizationStatus::FAIL);
        peer.connection.answer(ticket.with(reply), at(0)).unwrap();
        peer.run();
        let sessions: Vec<u32> = peer
            .replies()
            .iter()
            .map(|(header, _)| header.session_id.0)
            .collect();
        assert_eq!(sessions, if offered { &[1, 2, 3][..] } else { &[1] });
        assert_eq!(peer.connection.close_reason().is_none(), offered);
    }
}

#[test]
fn a_second_session_beside_the_only_one_is_dropped() {
    let mut peer = single(true);
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    assert!(peer.exchange(&[authorization(2)]).is_empty());
    assert!(peer.saw("NotSingleConnection"));
    peer.status = AuthenticationStatus::PASS;
    let replies = peer.exchange(&[answer_of(1, 3, CONTINUE)]);
    assert_eq!(replies[0].1[0], 0x01);
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::SessionComplete)
    );
}

/// Ruling 38.
#[test]
fn a_failed_session_closes_the_connection_as_well() {
    for status in [
        AuthenticationStatus::FAIL,
        AuthenticationStatus::ERROR,
        AuthenticationStatus::RESTART,
    ] {
        let mut peer = single(true);
        peer.status = status;
        assert_eq!(peer.exchange(&[start(1, ASCII_ALICE)])[0].1[0], status.0);
        assert_eq!(
            peer.connection.close_reason(),
            Some(CloseReason::SessionComplete)
        );
    }
}

/// proves: D05-3.3-4
#[test]
fn sessions_may_finish_in_any_order() {
    let mut peer = Peer::established(obfuscated());
    peer.send(&[authorization(1), authorization(2), authorization(3)]);
    let tickets = [
        peer.authorization_ticket(),
        peer.authorization_ticket(),
        peer.authorization_ticket(),
    ];
    assert_eq!(peer.connection.sessions(), 3);
    for ticket in tickets.into_iter().rev() {
        let reply = authorization::Reply::new(AuthorizationStatus::PASS_ADD);
        peer.connection.answer(ticket.with(reply), at(0)).unwrap();
    }
    let sessions: Vec<u32> = peer
        .replies()
        .iter()
        .map(|(header, _)| header.session_id.0)
        .collect();
    assert_eq!(sessions, [3, 2, 1]);
}

#[test]
fn a_thousand_sessions_and_not_one_more() {
    let mut peer = Peer::established(obfuscated());
    peer.status = AuthenticationStatus::GETPASS;
    let requests: Vec<Packet<'_>> = (1..=1001)
        .map(|session| start(session, ASCII_ALICE))
        .collect();
    let replies = peer.exchange(&requests);
    assert_eq!(peer.connection.sessions(), 1000);
    assert_eq!(replies.iter().filter(|reply| is_error(reply)).count(), 1);
    assert!(peer.saw("Refused { session: Some(SessionId(000003e9)), reason: TooManySessions }"));
    peer.status = AuthenticationStatus::PASS;
    let answers: Vec<Packet<'_>> = (1..=1000)
        .map(|session| answer_of(session, 3, CONTINUE))
        .collect();
    assert!(
        peer.exchange(&answers)
            .iter()
            .all(|reply| reply.1[0] == 0x01)
    );
    assert_eq!(peer.connection.sessions(), 0);
}

#[test]
fn prompts_that_nobody_answers_do_not_fill_a_connection_for_ever() {
    let mut peer = Peer::with(Config {
        idle_timeout: Some(Duration::from_secs(2)),
        max_sessions: 2,
        ..config_of(obfuscated())
    });
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE).single_connect()]);
    peer.exchange(&[start(2, ASCII_ALICE)]);
    assert!(peer.exchange(&[start(3, ASCII_ALICE)]).iter().all(is_error));
    assert_eq!(peer.connection.sessions(), 2, "both are young");
    let octets = start(4, ASCII_ALICE).octets(&peer.protection);
    peer.connection.receive(&octets, at(2000));
    assert!(matches!(
        peer.connection.poll(),
        Some(Event::AuthenticationStart { .. })
    ));
    let ended = peer.connection.poll();
    assert!(
        matches!(ended, Some(Event::SessionEnded { .. })),
        "{ended:?}"
    );
    assert_eq!(peer.connection.sessions(), 2);
}

#[test]
fn held_packets_do_not_fill_the_memory() {
    let mut peer = Peer::with(Config {
        max_body: 1000,
        ..config_of(obfuscated())
    });
    peer.send(&[authorization(1).single_connect()]);
    let ticket = peer.authorization_ticket();
    let mut sent = 0;
    while peer.connection.wants_read() {
        peer.send(&[authorization(2 + sent)]);
        assert!(peer.connection.poll().is_none());
        sent += 1;
        assert!(sent < 100);
    }
    assert_eq!(
        sent as usize,
        (Header::LENGTH + 1000) / (Header::LENGTH + AUTHORIZATION.len())
    );
    let reply = authorization::Reply::new(AuthorizationStatus::FAIL);
    peer.connection.answer(ticket.with(reply), at(0)).unwrap();
    peer.run();
    assert!(peer.connection.wants_read());
    assert_eq!(peer.replies().len(), 1 + sent as usize);
}

#[test]
fn a_peer_that_does_not_read_its_replies_is_not_read() {
    let mut peer = Peer::established(obfuscated());
    let message = std::vec![b'x'; 60_000];
    for session in 1..=5 {
        assert!(peer.connection.wants_read());
        peer.send(&[authorization(session)]);
        let ticket = peer.authorization_ticket();
        let reply = authorization::Reply {
            server_msg: &message,
            ..authorization::Reply::new(AuthorizationStatus::FAIL)
        };
        peer.connection.answer(ticket.with(reply), at(0)).unwrap();
    }
    assert!(!peer.connection.wants_read());
    assert_eq!(peer.replies().len(), 5);
    assert!(peer.connection.wants_read());
}
