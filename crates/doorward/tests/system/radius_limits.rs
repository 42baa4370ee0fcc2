//! Limits of a RadSec listener: connections, handshakes, their rate and their time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use doorward_radius::Code;

use crate::harness::{PATIENCE, Place, Server};
use crate::hostile::hello;
use crate::hostile2::wait_for_connections;
use crate::radius::status;
use crate::radius_wire::{Device, End, end_of, tcp_from};
use crate::wire::{client_config, tcp};

/// The demo with more keys for its RadSec listener.
fn place(keys: &str) -> Place {
    let protocol = "protocol = \"radius-tls\" ";
    Place::with(&[(protocol, &format!("{keys}\n{protocol}"))])
}

fn answered(device: &mut Device, id: u8) {
    assert_eq!(device.ask(&status(id)).header().code, Code::ACCESS_ACCEPT);
}

/// Why there is no connection from an address.
fn turned_away(place: &Place, server: &Server, from: &str) -> End {
    let config = client_config(place, Some("core1"));
    match Device::connect(server.address("radius-tls"), from, &config) {
        Ok(_) => panic!("a connection from {from}"),
        Err(error) => end_of(&error),
    }
}

/// The limit of the server; the new connection is the one that is not created.
///
/// proves: RAD-3.9-1, RAD-3.9-2, RAD-7.4-3, RAD-7.4-4
#[test]
fn there_are_never_more_connections_than_allowed() {
    let place = place("max_connections = 10");
    let mut server = place.start();
    let address = server.address("radius-tls");
    let mut open: Vec<Device> = (0..10).map(|_| Device::core1(&place, &server)).collect();
    for device in &mut open {
        answered(device, 0);
    }
    for _ in 0..3 {
        assert_eq!(turned_away(&place, &server, "127.0.0.1"), End::Cut);
    }
    server.wait_for_log(&["\"reason\":\"too-many-connections\"", "radius-tls"]);
    let page = server.page();
    let figure = |name| {
        let mut series = page.series(name);
        let ours = series.find(|(series, _)| series.contains(&address.to_string()));
        ours.unwrap().1
    };
    assert_eq!(figure("doorward_connections_limit"), 10.0);
    assert_eq!(figure("doorward_connections"), 10.0);
    for device in &mut open {
        answered(device, 1);
    }
    open.pop().unwrap().close();
    wait_for_connections(&place, "radius-tls", 9);
    answered(&mut Device::core1(&place, &server), 0);
}

/// proves: RAD-7.4-6, RAD-7.4-7
#[test]
fn half_open_connections_are_limited_and_those_there_are_go_on() {
    let place = place("max_handshakes = 3\nhandshake_timeout = \"20s\"");
    let mut server = place.start();
    let address = server.address("radius-tls");
    let mut device = Device::core1(&place, &server);
    answered(&mut device, 0);
    let half = |_| {
        let mut stream = tcp(address);
        stream.write_all(&hello(&[])[..40]).unwrap();
        stream
    };
    let held: Vec<TcpStream> = (0..3).map(half).collect();
    for id in 1..20 {
        assert_eq!(turned_away(&place, &server, "127.0.0.1"), End::Cut);
        answered(&mut device, id);
    }
    server.wait_for_log(&["\"reason\":\"too-many-handshakes\"", "radius-tls"]);
    drop(held);
    wait_for_connections(&place, "radius-tls", 1);
    answered(&mut Device::core1(&place, &server), 0);
}

/// How many of `count` connections at once get a ServerHello.
fn hellos(server: SocketAddr, from: &str, count: usize) -> u32 {
    let connect = |_| tcp_from(from.parse().unwrap(), server);
    let mut streams: Vec<TcpStream> = (0..count).map(connect).collect();
    for stream in &mut streams {
        // Who is turned away may know by now.
        _ = stream.write_all(&hello(&[]));
    }
    let greeted = |stream: &mut TcpStream| {
        let mut first = [0];
        matches!(stream.read(&mut first), Ok(1)) && first == [0x16]
    };
    streams.iter_mut().map(|one| u32::from(greeted(one))).sum()
}

/// proves: RAD-7.4-1, RAD-7.4-2
#[test]
fn no_more_handshakes_begin_than_the_rate_allows() {
    let place = place("handshake_rate = 5");
    let mut server = place.start();
    let address = server.address("radius-tls");
    let mut device = Device::core1(&place, &server);
    let begin = Instant::now();
    let mut greeted = 0;
    for from in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        greeted += hellos(address, from, 50);
        // What a second holds, and what came in since.
        let most = 5.0 + 5.0 * begin.elapsed().as_secs_f64();
        assert!(f64::from(greeted) <= most, "{greeted} from {from}: {most}");
    }
    assert!(greeted >= 4, "{greeted}");
    server.wait_for_log(&["\"reason\":\"handshake-rate\"", "radius-tls"]);
    answered(&mut device, 0);
}

/// When a connection that says nothing is closed.
fn silent(server: SocketAddr) -> Duration {
    let begin = Instant::now();
    let mut rest = Vec::new();
    _ = tcp(server).read_to_end(&mut rest);
    assert!(rest.is_empty(), "{rest:x?}");
    begin.elapsed()
}

/// With a time of its own, and with the default of five seconds.
///
/// proves: RAD-7.4-8, RAD-7.4-9
#[test]
fn a_connection_without_a_hello_is_closed_in_seconds() {
    let both = [place("handshake_timeout = \"2s\""), Place::demo()];
    let times = both.map(|place| {
        std::thread::spawn(move || {
            let mut server = place.start();
            let time = silent(server.address("radius-tls"));
            server.wait_for_log(&["\"reason\":\"handshake-timeout\"", "radius-tls"]);
            time
        })
    });
    let [two, five] = times.map(|time| time.join().unwrap());
    assert!(
        two >= Duration::from_secs(2) && two < Duration::from_secs(4),
        "{two:?}"
    );
    assert!(
        five >= Duration::from_secs(5) && five < Duration::from_secs(8),
        "{five:?}"
    );
}

/// One listener that closes after a second, and one that does not, with the same Status-Server on both: how the first ends
/// is the clock.
///
/// proves: RAD-3.9-5
#[test]
fn without_an_idle_timeout_a_connection_stays() {
    let place = place("idle_timeout = \"off\"");
    let text = place.text("doorward.toml");
    let second =
        "[[listen]]\nprotocol = \"radius-tls\"\naddress = \"127.0.0.1:0\"\nidle_timeout = \"1s\"\n";
    std::fs::write(place.config(), format!("{text}\n{second}")).unwrap();
    let server = place.start();
    let listeners = server.ready["listeners"].as_array().unwrap().iter();
    let radsec = listeners.filter(|one| one["protocol"] == "radius-tls");
    let config = client_config(&place, Some("core1"));
    let mut devices: Vec<Device> = radsec
        .map(|one| {
            let address = one["address"].as_str().unwrap().parse().unwrap();
            Device::connect(address, "127.0.0.1", &config).unwrap()
        })
        .collect();
    let (mut short, mut lasting) = (devices.pop().unwrap(), devices.pop().unwrap());
    let begin = Instant::now();
    for id in (0..=255).cycle() {
        answered(&mut lasting, id);
        if short.try_send(&status(id)).is_err() || short.receive().is_err() {
            break;
        }
        assert!(begin.elapsed() < PATIENCE);
    }
    assert!(begin.elapsed() >= Duration::from_secs(1));
    answered(&mut lasting, 7);
}

/// Those of the listener, and those of the devices that can come by TLS.
///
/// proves: RAD-7.4-10
#[test]
fn who_is_in_no_range_is_turned_away_before_the_handshake() {
    let line = "certificate = { dns = [\"core1.doorward.test\"] }";
    let place = place("from = [\"127.0.0.2/32\"]");
    place.edit(&[(line, &format!("{line}\naddress = [\"127.0.0.3/32\"]"))]);
    let mut server = place.start();
    let address = server.address("radius-tls");
    assert_eq!(hellos(address, "127.0.0.1", 3), 0);
    server.wait_for_logs(&["\"reason\":\"source-address\"", "127.0.0.1"], 1);
    assert_eq!(hellos(address, "127.0.0.2", 1), 1);
    let config = client_config(&place, Some("core1"));
    answered(
        &mut Device::connect(address, "127.0.0.3", &config).unwrap(),
        0,
    );
    let (_, log) = server.stop();
    assert!(!log.contains("password"), "nothing was judged: {log}");
}
