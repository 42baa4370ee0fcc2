//! Pools of several home servers: which one gets what.

use std::time::{Duration, Instant};

use doorward_radius::attribute::kind;
use doorward_radius::{Code, RawPacket, Secret};

use crate::harness::{Place, stdout};
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

/// A device does not wait for the whole `timeout` of a silent server: the next one is asked beside it. `doorward status` says how both
/// stand.
#[test]
fn the_next_server_is_asked_before_the_device_gives_up() {
    let (place, silent, home) = two("timeout = \"8s\"\n");
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let began = Instant::now();
    device.send(&pap(1, "carol@example.org", "secret"));
    silent.receive();
    let (asked, proxy) = home.receive();
    let took = began.elapsed();
    assert!(took > Duration::from_secs(3), "{took:?}");
    let status = || -> serde_json::Value {
        serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap()
    };
    let pool = &status()["pools"][0];
    assert_eq!(pool["name"], "home");
    assert_eq!(
        (&pool["underway"], &pool["limit"]),
        (&1.into(), &4096.into())
    );
    for (at, home) in [&silent, &home].into_iter().enumerate() {
        let one = &pool["servers"][at];
        assert_eq!(
            one["server"],
            format!("radius-udp://127.0.0.1:{}", home.port())
        );
        assert_eq!(
            (&one["for"], &one["state"]),
            (&"login".into(), &"well".into())
        );
        assert_eq!(
            (&one["connections"], &one["outstanding"]),
            (&1.into(), &1.into())
        );
    }
    let text = stdout(&place.ask(&["status"]));
    assert!(
        text.contains("home, 1 of 4096 requests under way"),
        "{text}"
    );
    let line = format!(
        "{} for login: well, 1 connection, 1 request without",
        silent.port()
    );
    assert!(text.contains(&line), "{text}");
    home.send(&home.answer(Code::ACCESS_ACCEPT, &asked, |_| {}), proxy);
    assert_eq!(device.receive().unwrap().header().code, Code::ACCESS_ACCEPT);
    assert!(began.elapsed() < Duration::from_secs(7), "{began:?}");
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
