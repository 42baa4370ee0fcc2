use super::*;

fn config() -> Config {
    Config {
        idle_timeout: Some(Duration::from_secs(2)),
        first_packet_timeout: Some(Duration::from_secs(1)),
        ..config_of(obfuscated())
    }
}

#[test]
fn the_first_packet_has_to_arrive_in_time() {
    let mut peer = Peer::with(config());
    assert_eq!(peer.connection.poll_timeout(), Some(at(1000)));
    // A part of a packet does not count.
    let octets = authorization(1).octets(&peer.protection);
    peer.connection.receive(&octets[..20], at(900));
    peer.connection.handle_timeout(at(999));
    assert_eq!(peer.connection.close_reason(), None);
    peer.connection.handle_timeout(at(1000));
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::FirstPacketTimeout)
    );
    assert_eq!(peer.connection.poll_timeout(), None);
}

/// proves: TAC-4.3-9, TAC-4.4-7
#[test]
fn silence_closes_a_single_connect_connection_and_activity_does_not() {
    let mut peer = Peer::with(config());
    peer.exchange(&[authorization(1).single_connect()]);
    assert_eq!(peer.connection.poll_timeout(), Some(at(2000)));
    let octets = authorization(2).octets(&peer.protection);
    peer.connection.receive(&octets, at(1900));
    let ticket = peer.authorization_ticket();
    let reply = authorization::Reply::new(AuthorizationStatus::FAIL);
    peer.connection
        .answer(ticket.with(reply), at(1950))
        .unwrap();
    peer.connection.handle_timeout(at(2000));
    assert_eq!(peer.connection.close_reason(), None);
    assert_eq!(peer.connection.poll_timeout(), Some(at(3950)));
    peer.connection.handle_timeout(at(3950));
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::IdleTimeout)
    );
}

#[test]
fn a_peer_that_waits_for_us_is_not_idle() {
    let mut peer = Peer::with(config());
    peer.send(&[authorization(1)]);
    let ticket = peer.authorization_ticket();
    assert_eq!(peer.connection.poll_timeout(), None);
    peer.connection.handle_timeout(at(60_000));
    let reply = authorization::Reply::new(AuthorizationStatus::PASS_ADD);
    peer.connection
        .answer(ticket.with(reply), at(60_000))
        .unwrap();
    assert_eq!(peer.replies().len(), 1);
}

#[test]
fn nothing_is_under_way_once_all_is_answered_and_sent() {
    let mut peer = Peer::with(config());
    assert_eq!(
        peer.connection.idle_since(),
        None,
        "before the first packet"
    );
    peer.exchange(&[authorization(1).single_connect()]);
    assert_eq!(peer.connection.idle_since(), Some(at(0)));
    let octets = authorization(2).octets(&peer.protection);
    let (some, rest) = octets.split_at(20);
    peer.connection.receive(some, at(100));
    assert_eq!(peer.connection.idle_since(), None, "half a packet");
    peer.connection.receive(rest, at(200));
    let ticket = peer.authorization_ticket();
    assert_eq!(peer.connection.idle_since(), None, "a reply is owed");
    let reply = authorization::Reply::new(AuthorizationStatus::FAIL);
    peer.connection.answer(ticket.with(reply), at(300)).unwrap();
    assert_eq!(peer.connection.idle_since(), None, "a reply is to be sent");
    assert_eq!(peer.replies().len(), 1);
    assert_eq!(peer.connection.idle_since(), Some(at(300)));
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(3, ASCII_ALICE)]);
    assert_eq!(peer.connection.idle_since(), None, "a session is open");
    peer.connection.handle_timeout(at(60_000));
    assert!(peer.connection.close_reason().is_some());
    assert_eq!(peer.connection.idle_since(), None, "it is closed");

    // Over TLS the device is known before its first packet.
    let config = Config {
        first_packet_timeout: None,
        ..config()
    };
    assert_eq!(Peer::with(config).connection.idle_since(), Some(at(0)));
}

#[test]
fn a_user_who_does_not_answer_is_idle() {
    let mut peer = Peer::with(config());
    peer.status = AuthenticationStatus::GETPASS;
    peer.exchange(&[start(1, ASCII_ALICE)]);
    peer.connection.handle_timeout(at(2000));
    peer.run();
    assert_eq!(
        peer.connection.close_reason(),
        Some(CloseReason::IdleTimeout)
    );
    assert!(peer.saw("why: ConnectionClosed"));
}

#[test]
fn without_timeouts_nothing_is_to_be_waited_for() {
    let peer = Peer::with(Config {
        idle_timeout: None,
        first_packet_timeout: None,
        ..config()
    });
    assert_eq!(peer.connection.poll_timeout(), None);
}
