use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::raw::tests::octets;

fn at(seconds: u64) -> Now {
    Now(Duration::from_secs(seconds))
}

fn open(transport: Transport) -> ServerConnection {
    ServerConnection::new(Config::new(transport), at(0))
}

fn request(server: &mut ServerConnection) -> Ticket {
    match server.poll() {
        Some(Event::Request { ticket, .. }) => ticket,
        other => panic!("{other:?}"),
    }
}

fn sent(server: &mut ServerConnection) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| server.poll_transmit())
        .map(|packet| packet.octets().to_vec())
        .collect()
}

#[test]
fn a_duplicate_is_dropped_and_then_answered_with_the_same_octets() {
    for transport in [Transport::Tls, Transport::Dtls, Transport::Udp] {
        let mut server = open(transport);
        let asked = octets(Code::ACCESS_REQUEST, 7, 1, 40);
        server.receive(&asked, at(0));
        server.receive(&asked, at(1));
        let ticket = request(&mut server);
        assert_eq!(server.poll(), None);
        let answer = octets(Code::ACCESS_ACCEPT, 7, 2, 30);
        server.answer(ticket, answer.clone(), at(2)).unwrap();
        server.receive(&asked, at(3));
        assert_eq!(server.poll(), None);
        assert_eq!(sent(&mut server), [answer.clone(), answer]);
        assert_eq!(server.poll_timeout(), Some(at(32)));
        server.handle_timeout(at(32));
        server.receive(&asked, at(32));
        request(&mut server);
    }
}

#[test]
fn a_replaced_request_is_told_or_never_seen() {
    let mut server = open(Transport::Tls);
    server.receive(&octets(Code::ACCESS_REQUEST, 7, 1, 20), at(0));
    let old = request(&mut server);
    server.receive(&octets(Code::ACCESS_REQUEST, 7, 2, 20), at(0));
    server.receive(&octets(Code::ACCESS_REQUEST, 7, 3, 20), at(0));
    assert_eq!(server.poll(), Some(Event::Replaced { number: 0 }));
    let new = request(&mut server);
    assert_eq!(server.poll(), None);
    let answer = octets(Code::ACCESS_REJECT, 7, 9, 20);
    assert_eq!(
        server.answer(old, answer.clone(), at(1)),
        Err(AnswerError::Gone)
    );
    assert_eq!(server.answer(new, answer, at(1)), Ok(()));
}

#[test]
fn what_is_no_answer_is_not_sent() {
    let wrong = [
        octets(Code::ACCESS_ACCEPT, 8, 9, 20),
        octets(Code::ACCESS_REQUEST, 7, 9, 20),
        octets(Code::ACCESS_ACCEPT, 7, 9, 21)[..20].to_vec(),
    ];
    for wrong in wrong {
        let mut server = open(Transport::Tls);
        server.receive(&octets(Code::ACCESS_REQUEST, 7, 1, 20), at(0));
        let ticket = request(&mut server);
        assert_eq!(
            server.answer(ticket, wrong, at(1)),
            Err(AnswerError::NoAnswer)
        );
        assert_eq!(server.poll_transmit(), None);
    }
}

#[test]
fn contents_close_tls_and_dtls_and_are_discarded_on_udp() {
    for refusal in [
        Refusal::Malformed,
        Refusal::Authenticator,
        Refusal::MessageAuthenticator,
    ] {
        for transport in [Transport::Tls, Transport::Dtls, Transport::Udp] {
            let mut server = open(transport);
            server.receive(&octets(Code::ACCESS_REQUEST, 7, 1, 20), at(0));
            let ticket = request(&mut server);
            server.refuse(ticket, refusal);
            let closed = (transport != Transport::Udp).then_some(CloseReason::Refused(refusal));
            assert_eq!(server.close_reason(), closed);
            server.receive(&octets(Code::ACCESS_REQUEST, 8, 1, 20), at(1));
            let last = server.poll();
            assert_eq!(
                matches!(last, Some(Event::Request { .. })),
                closed.is_none()
            );
        }
    }
}

#[test]
fn lengths_close_where_they_must() {
    let bad = [1, 1, 0, 19].as_slice();
    for (transport, closes) in [
        (Transport::Tls, true),
        (Transport::Dtls, true),
        (Transport::Udp, false),
    ] {
        let mut server = open(transport);
        server.receive(bad, at(0));
        let reason = closes.then_some(CloseReason::Length(19));
        assert_eq!(server.close_reason(), reason);
    }
    for short in [
        &[][..],
        &[1, 1],
        &octets(Code::ACCESS_REQUEST, 1, 1, 40)[..39],
    ] {
        let mut server = open(Transport::Dtls);
        server.receive(short, at(0));
        assert_eq!((server.close_reason(), server.poll()), (None, None));
    }
}

#[test]
fn unknown_codes_and_answers_leave_it_open() {
    let mut server = open(Transport::Tls);
    server.receive(&octets(Code(99), 7, 1, 20), at(0));
    server.receive(&octets(Code::ACCESS_ACCEPT, 7, 1, 20), at(0));
    let ticket = request(&mut server);
    assert!(matches!(server.poll(), Some(Event::Unwanted(_))));
    server
        .answer(ticket, octets(Code::PROTOCOL_ERROR, 7, 2, 27), at(0))
        .unwrap();
    assert_eq!(server.close_reason(), None);
}

#[test]
fn after_close_only_accounting_is_finished() {
    let mut server = open(Transport::Tls);
    for (code, id) in [
        (Code::ACCESS_REQUEST, 1),
        (Code::ACCOUNTING_REQUEST, 2),
        (Code::ACCESS_REQUEST, 3),
    ] {
        server.receive(&octets(code, id, 1, 20), at(0));
    }
    let tickets = [
        request(&mut server),
        request(&mut server),
        request(&mut server),
    ];
    let [first, second, third] = tickets;
    server
        .answer(third, octets(Code::ACCESS_ACCEPT, 3, 2, 20), at(0))
        .unwrap();
    server.close(CloseReason::Peer);
    assert_eq!(
        server.poll(),
        Some(Event::Closed {
            reason: CloseReason::Peer,
            cancelled: Vec::from([first.number()]),
            finish: Vec::from([second.number()]),
        })
    );
    let answer = octets(Code::ACCOUNTING_RESPONSE, 2, 2, 20);
    assert_eq!(server.answer(second, answer, at(1)), Err(AnswerError::Gone));
    assert_eq!(server.poll_transmit(), None);
    assert!(server.duplicates.is_empty());
    assert_eq!((server.poll(), server.poll_timeout()), (None, None));
}

#[test]
fn the_watchdog_does_not_keep_an_idle_connection_open() {
    let config = Config {
        idle: Some(Duration::from_secs(60)),
        ..Config::new(Transport::Tls)
    };
    let mut server = ServerConnection::new(config, at(0));
    server.receive(&octets(Code::STATUS_SERVER, 0, 1, 38), at(50));
    let probe = request(&mut server);
    server
        .answer(probe, octets(Code::ACCESS_ACCEPT, 0, 1, 20), at(51))
        .unwrap();
    server.handle_timeout(at(59));
    assert_eq!(server.close_reason(), None);
    server.receive(&octets(Code::ACCESS_REQUEST, 1, 1, 38), at(59));
    let slow = request(&mut server);
    server.handle_timeout(at(200));
    assert_eq!(server.close_reason(), None);
    server
        .answer(slow, octets(Code::ACCESS_ACCEPT, 1, 1, 20), at(200))
        .unwrap();
    server.handle_timeout(at(259));
    assert_eq!(server.close_reason(), None);
    server.handle_timeout(at(260));
    assert_eq!(server.close_reason(), Some(CloseReason::Idle));
}

proptest! {
    #[test]
    fn no_octets_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        for transport in [Transport::Tls, Transport::Dtls, Transport::Udp] {
            let mut server = open(transport);
            for piece in &pieces {
                server.receive(piece, at(0));
                while let Some(event) = server.poll() {
                    if let Event::Request { ticket, packet } = event {
                        let id = packet.header().id;
                        prop_assert_eq!(server.answer(ticket, octets(Code::PROTOCOL_ERROR, id, 0, 20), at(0)), Ok(()));
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_is_under_way_once_all_is_answered_and_sent() {
    let mut server = open(Transport::Tls);
    assert_eq!(server.idle_since(), Some(at(0)));
    let asked = octets(Code::ACCESS_REQUEST, 7, 1, 40);
    server.receive(&asked[..3], at(1));
    assert_eq!(server.idle_since(), None, "three octets");
    server.receive(&asked[3..], at(2));
    assert_eq!(server.idle_since(), None, "not taken yet");
    let ticket = request(&mut server);
    assert_eq!(server.idle_since(), None, "an answer is owed");
    let answer = octets(Code::ACCESS_ACCEPT, 7, 2, 30);
    server.answer(ticket, answer, at(3)).unwrap();
    assert_eq!(server.idle_since(), None, "an answer is to be sent");
    assert_eq!(sent(&mut server).len(), 1);
    assert_eq!(server.idle_since(), Some(at(3)));
    // Status-Server is no traffic, and is answered all the same.
    server.receive(&octets(Code::STATUS_SERVER, 8, 1, 40), at(4));
    let ticket = request(&mut server);
    assert_eq!(server.idle_since(), None);
    let answer = octets(Code::ACCESS_ACCEPT, 8, 2, 30);
    server.answer(ticket, answer, at(5)).unwrap();
    assert_eq!(sent(&mut server).len(), 1);
    assert_eq!(server.idle_since(), Some(at(3)));
    server.receive(&octets(Code::ACCESS_REQUEST, 9, 1, 40), at(6));
    let ticket = request(&mut server);
    server.discard(ticket);
    assert_eq!(server.idle_since(), Some(at(6)));
    server.close(CloseReason::Local);
    assert_eq!(server.idle_since(), None);
}
