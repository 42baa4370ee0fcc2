use std::collections::BTreeSet;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::raw::tests::octets;

fn at(seconds: u64) -> Now {
    Now(Duration::from_secs(seconds))
}

fn open(transport: Transport) -> ClientConnection {
    ClientConnection::new(Config::new(transport), false, 1, at(0))
}

fn access(id: u8) -> Vec<u8> {
    octets(Code::ACCESS_REQUEST, id, 1, 40)
}

/// Octet 19, the authenticator's last one, is 255 in answers that are wrong.
fn verify(_: &RawPacket, answer: &RawPacket) -> Result<(), Refusal> {
    if answer.octets()[19] == 255 {
        Err(Refusal::Authenticator)
    } else {
        Ok(())
    }
}

fn sent(client: &mut ClientConnection) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| client.poll_transmit())
        .map(|packet| packet.octets().to_vec())
        .collect()
}

/// Lets time pass up to `end` and gives what was sent with the second of it.
fn run(client: &mut ClientConnection, end: Now) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    while let Some(now) = client.poll_timeout().filter(|now| *now <= end) {
        client.handle_timeout(now);
        out.extend(
            sent(client)
                .into_iter()
                .map(|packet| (now.0.as_secs(), packet)),
        );
    }
    out
}

#[test]
fn only_a_good_answer_of_the_right_code_ends_a_request() {
    for (code, matches) in [
        (2, true),
        (3, true),
        (11, true),
        (52, true),
        (5, false),
        (1, false),
    ] {
        let mut client = open(Transport::Tls);
        let handle = client.send(access, at(0)).unwrap();
        client.receive(&octets(Code(code), 1, 2, 20), at(1), verify);
        match client.poll() {
            Some(Event::Answer { handle: got, .. }) => assert!(matches && got == handle),
            Some(Event::Unmatched(_)) => assert!(!matches),
            other => panic!("{other:?}"),
        }
        assert_eq!(client.free(), if matches { 255 } else { 254 });
        assert_eq!(client.close_reason(), None);
    }
}

#[test]
fn a_bad_answer_closes_and_leaves_the_request_unanswered() {
    for code in [Code::ACCESS_ACCEPT, Code::PROTOCOL_ERROR] {
        let mut client = open(Transport::Dtls);
        let handle = client.send(access, at(0)).unwrap();
        client.receive(&octets(code, 1, 255, 20), at(1), verify);
        let reason = CloseReason::Refused(Refusal::Authenticator);
        let unanswered = Vec::from([handle]);
        assert_eq!(client.poll(), Some(Event::Closed { reason, unanswered }));
        assert_eq!(client.poll(), None);
        assert_eq!(client.send(access, at(1)), Err(SendError::Closed));
        let mut client = open(Transport::Udp);
        client.send(access, at(0)).unwrap();
        client.receive(&octets(code, 1, 255, 20), at(1), verify);
        assert_eq!((client.poll(), client.close_reason()), (None, None));
        client.receive(&octets(code, 1, 2, 20), at(1), verify);
        assert!(matches!(client.poll(), Some(Event::Answer { .. })));
    }
}

#[test]
fn over_tls_nothing_is_sent_twice() {
    let mut client = open(Transport::Tls);
    let handle = client.send(access, at(0)).unwrap();
    assert_eq!(sent(&mut client), [access(1)]);
    assert_eq!(run(&mut client, at(31)), []);
    let events: Vec<_> = core::iter::from_fn(|| client.poll()).collect();
    assert!(events.contains(&Event::TimedOut(handle)), "{events:?}");
}

#[test]
fn datagrams_are_sent_again_until_given_up_or_answered() {
    let mut config = Config::new(Transport::Dtls);
    config.retransmission.count = 3;
    let mut client = ClientConnection::new(config, false, 1, at(0));
    let handle = client.send(access, at(0)).unwrap();
    sent(&mut client);
    let again = run(&mut client, at(32));
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|(_, packet)| *packet == access(1)));
    let events: Vec<_> = core::iter::from_fn(|| client.poll()).collect();
    assert!(events.contains(&Event::TimedOut(handle)), "{events:?}");

    let mut client = open(Transport::Dtls);
    client.send(access, at(0)).unwrap();
    sent(&mut client);
    assert_eq!(run(&mut client, at(3)).len(), 1);
    client.receive(&octets(Code::PROTOCOL_ERROR, 1, 2, 27), at(3), verify);
    assert_eq!(run(&mut client, at(25)), []);
}

#[test]
fn an_id_rests_until_each_transmission_is_answered() {
    let mut client = open(Transport::Dtls);
    client.send(access, at(0)).unwrap();
    sent(&mut client);
    assert_eq!(run(&mut client, at(3)).len(), 1);
    let answer = octets(Code::ACCESS_ACCEPT, 1, 2, 20);
    client.receive(&answer, at(3), verify);
    assert!(matches!(client.poll(), Some(Event::Answer { .. })));
    assert_eq!(client.free(), 254);
    client.receive(&answer, at(4), verify);
    assert!(matches!(client.poll(), Some(Event::Unmatched(_))));
    assert_eq!(client.free(), 255);
}

#[test]
fn an_id_that_timed_out_rests_until_its_answer_comes() {
    let mut client = open(Transport::Tls);
    for _ in 0..255 {
        client.send(access, at(0)).unwrap();
    }
    assert_eq!(client.send(access, at(0)), Err(SendError::Full));
    client.handle_timeout(at(30));
    assert_eq!(client.send(access, at(30)), Err(SendError::Full));
    while client.poll().is_some() {}
    client.receive(&octets(Code::ACCESS_ACCEPT, 9, 2, 20), at(31), verify);
    assert!(matches!(client.poll(), Some(Event::Unmatched(_))));
    client.send(access, at(31)).unwrap();
    assert_eq!(client.send(access, at(31)), Err(SendError::Full));
    client.handle_timeout(at(90));
    assert_eq!(client.free(), 254);
}

#[test]
fn a_request_that_was_built_wrongly_is_not_sent() {
    let wrong = [
        octets(Code::ACCESS_REQUEST, 9, 1, 20),
        octets(Code::ACCESS_ACCEPT, 1, 1, 20),
        octets(Code::STATUS_SERVER, 1, 1, 20),
    ];
    for wrong in wrong {
        let mut client = open(Transport::Tls);
        assert_eq!(client.send(|_| wrong, at(0)), Err(SendError::NoRequest));
        assert_eq!((client.free(), client.poll_transmit()), (255, None));
    }
}

#[test]
fn a_peer_that_answers_no_probe_is_down() {
    let mut client = open(Transport::Tls);
    run(&mut client, at(32));
    assert_eq!(client.poll(), Some(Event::ProbeDue));
    client.probe(octets(Code::STATUS_SERVER, 0, 1, 38)).unwrap();
    run(&mut client, at(64));
    assert_eq!(client.health(), Health::Suspect);
    run(&mut client, at(96));
    let reason = CloseReason::Silent;
    let unanswered = Vec::new();
    assert_eq!(client.poll(), Some(Event::Closed { reason, unanswered }));
}

/// proves: RAD-3.7-5
#[test]
fn probes_that_are_answered_keep_it_up_though_requests_time_out() {
    let mut client = open(Transport::Tls);
    client.send(access, at(0)).unwrap();
    for round in 1..10 {
        run(&mut client, at(32 * round));
        let due = core::iter::from_fn(|| client.poll()).any(|event| event == Event::ProbeDue);
        if due {
            client.probe(octets(Code::STATUS_SERVER, 0, 1, 38)).unwrap();
            let now = at(32 * round);
            client.receive(&octets(Code::ACCOUNTING_RESPONSE, 0, 2, 20), now, verify);
        }
    }
    assert_eq!(
        (client.health(), client.close_reason()),
        (Health::Okay, None)
    );
}

fn open_by(watching: Watching, down: bool) -> ClientConnection {
    let config = Config {
        watching,
        ..Config::new(Transport::Tls)
    };
    ClientConnection::new(config, down, 1, at(0))
}

/// It is asked once, found to answer requests alone, and left in peace; whoever wants to ask it can.
#[test]
fn a_peer_that_answers_no_probe_but_lives_is_kept() {
    let mut client = open_by(Watching::Learning, false);
    client.send(access, at(0)).unwrap();
    client.receive(&octets(Code::ACCESS_ACCEPT, 1, 2, 20), at(1), verify);
    assert!(matches!(client.poll(), Some(Event::Answer { .. })));
    run(&mut client, at(33));
    assert_eq!(client.poll(), Some(Event::ProbeDue));
    client.probe(octets(Code::STATUS_SERVER, 0, 1, 38)).unwrap();
    run(&mut client, at(95));
    assert_eq!(client.watching(), Watching::Learning);
    run(&mut client, at(1000));
    assert_eq!((client.poll(), client.poll_timeout()), (None, None));
    let seen = (client.watching(), client.health(), client.is_probing());
    assert_eq!(seen, (Watching::Traffic, Health::Okay, false));
    client.probe(octets(Code::STATUS_SERVER, 0, 3, 38)).unwrap();
    client.receive(&octets(Code::ACCESS_ACCEPT, 0, 2, 20), at(1001), verify);
    assert!(matches!(client.poll(), Some(Event::Probed(_))));
    assert_eq!(client.watching(), Watching::Status);
}

/// Nothing is asked, and what it leaves unanswered tells. The next connection is used at once.
#[test]
fn a_peer_judged_by_traffic_is_down_when_it_answers_nothing() {
    for (requests, end) in [(2, None), (3, Some(CloseReason::Silent))] {
        let mut client = open_by(Watching::Traffic, true);
        assert_eq!((client.health(), client.poll()), (Health::Okay, None));
        assert_eq!(client.poll_timeout(), None);
        for _ in 0..requests {
            client.send(access, at(100)).unwrap();
        }
        run(&mut client, at(155));
        assert_eq!(client.close_reason(), None);
        run(&mut client, at(300));
        assert_eq!(client.close_reason(), end);
        let asked = core::iter::from_fn(|| client.poll()).any(|event| event == Event::ProbeDue);
        assert!(!asked);
    }
}

#[test]
fn a_late_answer_to_the_probe_before_is_good() {
    let mut client = open(Transport::Dtls);
    for fill in [1, 2] {
        client
            .probe(octets(Code::STATUS_SERVER, 0, fill, 38))
            .unwrap();
    }
    let of_first = |probe: &RawPacket, _: &RawPacket| match probe.header().authenticator {
        [1, ..] => Ok(()),
        _ => Err(Refusal::Authenticator),
    };
    client.receive(&octets(Code::ACCESS_ACCEPT, 0, 2, 20), at(1), of_first);
    assert!(matches!(client.poll(), Some(Event::Probed(_))));
    assert_eq!((client.poll(), client.close_reason()), (None, None));
}

/// Whoever asked is gone: nothing is sent again, and the id rests while answers may be on their way.
/// proves: RAD-6.2.2-7
#[test]
fn a_request_that_nobody_waits_for_is_not_sent_again() {
    let mut client = open(Transport::Udp);
    let handle = client.send(access, at(0)).unwrap();
    assert!(client.poll_transmit().is_some());
    client.cancel(handle, at(1));
    run(&mut client, at(29));
    assert_eq!((client.poll_transmit(), client.free()), (None, 254));
    client.receive(&octets(Code::ACCESS_ACCEPT, 1, 2, 20), at(29), verify);
    assert!(matches!(client.poll(), Some(Event::Unmatched(_))));
    assert_eq!(client.free(), 255);
}

#[test]
fn after_down_it_is_probed_at_once() {
    let mut client = ClientConnection::new(Config::new(Transport::Tls), true, 1, at(0));
    assert_eq!(client.health(), Health::Reopen);
    assert_eq!(client.poll(), Some(Event::ProbeDue));
}

#[test]
fn the_watchdog_does_not_keep_an_idle_connection_open() {
    let config = Config {
        idle: Some(Duration::from_secs(60)),
        ..Config::new(Transport::Tls)
    };
    let mut client = ClientConnection::new(config, false, 1, at(0));
    client.probe(octets(Code::STATUS_SERVER, 0, 1, 38)).unwrap();
    client.receive(&octets(Code::ACCESS_ACCEPT, 0, 2, 20), at(50), verify);
    client.handle_timeout(at(59));
    assert_eq!(client.close_reason(), None);
    client.handle_timeout(at(60));
    assert_eq!(client.close_reason(), Some(CloseReason::Idle));
}

proptest! {
    #[test]
    fn no_octets_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        for transport in [Transport::Tls, Transport::Dtls, Transport::Udp] {
            let mut client = open(transport);
            let mut handles = BTreeSet::new();
            for piece in &pieces {
                if let Ok(handle) = client.send(access, at(0)) {
                    prop_assert!(handles.insert(handle));
                }
                client.receive(piece, at(0), verify);
            }
        }
    }
}
