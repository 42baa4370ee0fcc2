//! Limits of a listener for RADIUS/DTLS, and how its associations end.

use std::net::UdpSocket;
use std::time::Duration;

use doorward_radius::Code;
use doorward_tls::hello::{Cookies, First};

use crate::dtls::{dtls, place};
use crate::dtls_device::{Dtls, Proof, SILENCE, pap, status};
use crate::harness::{Place, Server, code};
use crate::hostile2::wait_for_connections;
use crate::radius_udp::refused;

const CORE1: Proof<'_> = Proof::Certificate("core1");

/// A hello of a device whose address nobody has proved.
fn first_hello(place: &Place, server: &Server) -> Vec<u8> {
    let mut device = Dtls::new(place, dtls(server), "127.0.0.1", CORE1);
    device.drained().concat()
}

/// A device that has brought its cookie and says no more.
fn half_open(place: &Place, server: &Server) -> Dtls {
    let mut device = Dtls::new(place, dtls(server), "127.0.0.1", CORE1);
    device.flush();
    assert!(device.take(Duration::from_secs(5)), "no cookie");
    device.flush();
    device
}

fn figure(server: &Server, name: &str) -> f64 {
    let page = server.page();
    let address = dtls(server).to_string();
    let mut series = page.series(name);
    series.find(|(one, _)| one.contains(&address)).unwrap().1
}

/// proves: RAD-6.5.1.1-1, RAD-6.5.1.1-2
#[test]
fn a_flood_of_hellos_costs_a_cookie_each_and_nothing_is_kept() {
    let place = place("max_handshakes = 3");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    wait_for_connections(&place, "radius-dtls", 1);
    let hello = first_hello(&place, &server);
    let sockets: Vec<UdpSocket> = (0..100)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut answers = 0;
    for round in 0..100 {
        for socket in &sockets {
            socket.send_to(&hello, dtls(&server)).unwrap();
        }
        for socket in &sockets {
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let mut answer = [0; 2048];
            let length = socket.recv(&mut answer).unwrap();
            // HelloVerifyRequest, which is no longer than the hello.
            assert_eq!((answer[0], answer[13]), (22, 3));
            assert!(length <= hello.len());
            answers += 1;
        }
        if round % 25 == 0 {
            assert!(device.is_served());
        }
    }
    assert_eq!(answers, 10_000);
    wait_for_connections(&place, "radius-dtls", 1);
    assert_eq!(figure(&server, "doorward_handshakes_open"), 0.0);
    assert!(device.is_served());
    // A cookie of another server is none.
    let mut cookies = Cookies::new(Duration::ZERO).unwrap();
    let First::Verify(foreign) = cookies.judge(&hello, b"elsewhere", Duration::ZERO) else {
        panic!("no cookie");
    };
    let mut stranger = Dtls::new(&place, dtls(&server), "127.0.0.1", CORE1);
    stranger.flush();
    stranger.feed(&foreign);
    stranger.flush();
    for _ in 0..2 {
        let answer = stranger.raw(Duration::from_secs(5)).unwrap();
        assert_eq!((answer[0], answer[13]), (22, 3));
    }
    wait_for_connections(&place, "radius-dtls", 1);
}

/// proves: RAD-6.5.1.1-3, RAD-6.5.1.1-4
#[test]
fn half_open_associations_are_counted_limited_and_given_up() {
    let place = place("max_handshakes = 3\nhandshake_timeout = \"4s\"");
    let mut server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    assert!(device.is_served());
    let held: Vec<Dtls> = (0..3).map(|_| half_open(&place, &server)).collect();
    wait_for_connections(&place, "radius-dtls", 4);
    server.wait_for(&handshakes(&server), 3.0);
    for _ in 0..5 {
        let more = half_open(&place, &server);
        assert!(more.raw(SILENCE).is_none(), "a fourth handshake began");
        assert!(device.is_served());
    }
    server.wait_for_log(&["\"reason\":\"too-many-handshakes\"", "radius-dtls"]);
    // They are given up, and there is room again.
    server.wait_for_log(&["\"reason\":\"handshake-timeout\"", "radius-dtls"]);
    server.wait_for(&handshakes(&server), 0.0);
    wait_for_connections(&place, "radius-dtls", 1);
    drop(held);
    assert!(Dtls::core1(&place, dtls(&server)).is_served());
}

fn handshakes(server: &Server) -> String {
    let page = server.page();
    let address = dtls(server).to_string();
    let mut series = page.series("doorward_handshakes_open");
    let found = series.find(|(one, _)| one.contains(&address));
    found.unwrap().0.to_owned()
}

#[test]
fn there_are_never_more_associations_than_allowed() {
    let place = place("max_connections = 2\nhandshake_rate = 100");
    let server = place.start();
    let mut devices: Vec<Dtls> = (0..2).map(|_| Dtls::core1(&place, dtls(&server))).collect();
    for device in &mut devices {
        assert!(device.is_served());
    }
    let third = half_open(&place, &server);
    assert!(third.raw(SILENCE).is_none(), "a third association");
    assert_eq!(refused(&place, "too-many-connections"), 1);
    devices[0].close();
    assert!(devices[0].is_closed());
    wait_for_connections(&place, "radius-dtls", 1);
    assert!(Dtls::core1(&place, dtls(&server)).is_served());
}

#[test]
fn no_more_handshakes_begin_than_the_rate_allows() {
    let place = place("handshake_rate = 1");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    let begun = std::time::Instant::now();
    let greeted = (0..20)
        .map(|_| half_open(&place, &server))
        .filter(|one| one.raw(SILENCE / 3).is_some())
        .count();
    let most = 1.0 + begun.elapsed().as_secs_f64();
    assert!(greeted as f64 <= most, "{greeted}: {most}");
    assert!(refused(&place, "handshake-rate") >= 10);
    assert!(device.is_served());
}

/// Addresses are judged before a cookie is made.
#[test]
fn addresses_that_may_not_come_get_no_cookie() {
    let place = place("from = [\"127.0.0.8/32\"]");
    let server = place.start();
    let mut elsewhere = Dtls::new(&place, dtls(&server), "127.0.0.1", CORE1);
    elsewhere.flush();
    assert!(elsewhere.raw(SILENCE).is_none());
    assert_eq!(refused(&place, "source-address"), 1);
    let mut there = Dtls::new(&place, dtls(&server), "127.0.0.8", CORE1);
    there.handshake().unwrap();
    assert!(there.is_served());
}

#[test]
fn an_idle_association_is_closed() {
    let place = place("idle_timeout = \"1s\"");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    assert!(device.is_served());
    assert!(device.is_closed());
    wait_for_connections(&place, "radius-dtls", 0);
}

/// What is under way is answered, and close_notify follows; the socket lives as long.
#[test]
fn a_server_that_stops_answers_what_is_under_way() {
    let place = place("");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    assert!(device.is_served());
    device.send(&pap(5, "alice", &place.text("alice.password")));
    let waiter = std::thread::spawn(move || {
        let answer = device.receive();
        (answer.header().code, device.is_closed())
    });
    // The request is in the socket before the signal is.
    wait_for_connections(&place, "radius-dtls", 1);
    let (exit, _) = server.stop();
    assert_eq!(exit, Some(0));
    assert_eq!(waiter.join().unwrap(), (Code::ACCESS_ACCEPT, true));
}

/// After a reload every association is judged again, and a listener that is gone takes none.
#[test]
fn a_reload_ends_what_may_no_longer_be_there() {
    let place = place("");
    let mut server = place.start();
    let key = Proof::Key("lab1", crate::dtls::KEY);
    let mut lab = Dtls::connect(&place, dtls(&server), key);
    let mut core = Dtls::core1(&place, dtls(&server));
    assert!(lab.is_served() && core.is_served());
    place.edit(&[("psk = { identity = \"lab1\"", "psk = { identity = \"lab2\"")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert!(lab.is_closed());
    server.wait_for_log(&["the open connection of device lab1 is closed"]);
    assert!(core.is_served());
    let text = place.text("doorward.toml");
    let at = text.find("protocol = \"radius-dtls\"").unwrap();
    let begin = text[..at].rfind("[[listen]]").unwrap();
    let end = at + text[at..].find("[[listen]]").unwrap();
    place.edit(&[(&text[begin..end], "")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert!(core.is_closed());
    let mut late = Dtls::new(&place, core.socket.peer_addr().unwrap(), "127.0.0.1", CORE1);
    let mut out = Vec::new();
    late.channel.drain(&mut out);
    // The port is closed: the kernel may say so.
    _ = late.socket.send(&out);
    assert!(late.raw(SILENCE).is_none());
}

/// On a socket of all addresses, over both families.
#[test]
fn associations_are_told_apart_by_both_ends_in_both_families() {
    let place = place("");
    place.move_listener("radius-dtls", Some("[::]:0"));
    let server = place.start();
    let port = dtls(&server).port();
    let mut devices = Vec::new();
    for (ours, theirs) in [
        ("::1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.5"),
    ] {
        let address = std::net::SocketAddr::new(theirs.parse().unwrap(), port);
        let mut device = Dtls::new(&place, address, ours, CORE1);
        // The socket takes nothing that is not from the address it asked.
        device.handshake().unwrap();
        assert!(device.is_served());
        devices.push(device);
    }
    wait_for_connections(&place, "radius-dtls", 3);
    for device in &mut devices {
        assert!(device.is_served());
        device.send(&status(9));
        assert_eq!(device.receive().header().code, Code::ACCESS_ACCEPT);
        device.close();
        assert!(device.is_closed());
    }
    wait_for_connections(&place, "radius-dtls", 0);
}
