//! Pools of several home servers: which one gets what.

use std::time::{Duration, Instant};

use doorward_radius::attribute::kind;
use doorward_radius::{Code, RawPacket, Secret};

use crate::harness::Place;
use crate::proxy::{Home, place_of};
use crate::radius::{pap, request};
use crate::radius_wire::Device;

/// Two home servers and a pool of them with these keys.
fn two(keys: &str) -> (Place, Home, Home) {
    let (one, other) = (Home::new(), Home::new());
    let servers = [&one, &other].map(|home| format!("\"radius-udp://127.0.0.1:{}\"", home.port()));
    let place = place_of(&servers.join(", "), keys, "");
    (place, one, other)
}

/// One silent server costs three requests their time and not more: then the next one is asked at once.
#[test]
fn a_server_that_does_not_answer_is_passed_over() {
    let (place, silent, home) = two("timeout = \"2s\"\n");
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    for id in 1..=3 {
        device.send(&pap(id, "carol@example.org", "secret"));
    }
    for _ in 0..3 {
        let (asked, proxy) = home.receive();
        home.send(&home.answer(Code::ACCESS_ACCEPT, &asked, |_| {}), proxy);
        assert_eq!(device.receive().unwrap().header().code, Code::ACCESS_ACCEPT);
    }
    // Once each, or once more where the time for an answer and the first wait meet.
    for _ in 0..3 {
        silent.receive();
    }
    while silent.within(Duration::from_millis(50)).is_some() {}
    let began = Instant::now();
    device.send(&pap(4, "carol@example.org", "secret"));
    let (asked, proxy) = home.receive();
    assert!(began.elapsed() < Duration::from_secs(1), "{began:?}");
    home.send(&home.answer(Code::ACCESS_ACCEPT, &asked, |_| {}), proxy);
    assert_eq!(device.receive().unwrap().header().id, 4);
    assert!(silent.within(Duration::from_millis(100)).is_none());
}

/// What goes on with a State goes to the server that made it, also where the others would be next in turn.
#[test]
fn a_login_of_several_rounds_stays_with_one_server() {
    let (place, one, other) = two("strategy = \"balance\"\n");
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let mut asked_by = Vec::new();
    for round in 0..4_u8 {
        let user = format!("user{round}@example.org");
        device.send(&pap(2 * round + 1, &user, ""));
        let short = Duration::from_millis(300);
        let (asker, silent, asked) = match one.within(short) {
            Some(asked) => (&one, &other, asked),
            None => (&other, &one, other.receive()),
        };
        asked_by.push(std::ptr::eq(asker, &one));
        // The same State at both: it belongs to the login.
        let challenge = |request: &RawPacket| {
            asker.answer(Code::ACCESS_CHALLENGE, request, |packet| {
                packet.push(kind::STATE, b"1").unwrap();
            })
        };
        asker.send(&challenge(&asked.0), asked.1);
        let answer = device.receive().unwrap();
        assert_eq!(answer.header().code, Code::ACCESS_CHALLENGE);
        device.send(&request(Code::ACCESS_REQUEST, 2 * round + 2, |packet| {
            packet.push(kind::USER_NAME, user.as_bytes()).unwrap();
            packet.push_password(b"123456", &Secret::RADSEC).unwrap();
            packet.push(kind::STATE, b"1").unwrap();
        }));
        let (asked, proxy) = asker.receive();
        asker.send(&asker.answer(Code::ACCESS_ACCEPT, &asked, |_| {}), proxy);
        assert_eq!(device.receive().unwrap().header().code, Code::ACCESS_ACCEPT);
        assert!(silent.within(Duration::from_millis(50)).is_none());
    }
    let both = asked_by.contains(&true) && asked_by.contains(&false);
    assert!(both, "one server got everything: {asked_by:?}");
}
