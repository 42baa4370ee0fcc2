//! `make_room`: a full listener closes the connection that has been idle for longest, and no other one.

use std::io::Write as _;

use doorward_radius::Code;

use crate::harness::{Place, Server, code, stderr};
use crate::hostile::hello;
use crate::hostile2::wait_for_connections;
use crate::radius::{pap, status};
use crate::radius_wire::{Device, End};
use crate::sessions::{GETPASS, PASS, PASS_ADD};
use crate::wire::{Peer, answer, ascii, author, client_config, tcp};

/// The demo with more keys for the listener of a protocol.
fn place(protocol: &str, keys: &str) -> Place {
    let line = format!("protocol = \"{protocol}\" ");
    Place::with(&[(&line, &format!("{keys}\n{line}"))])
}

fn answered(device: &mut Device, id: u8) {
    assert_eq!(device.ask(&status(id)).header().code, Code::ACCESS_ACCEPT);
}

/// A connection that is established: something was answered on it, which is no traffic.
fn connect(place: &Place, server: &Server) -> Device {
    let mut device = Device::core1(place, server);
    answered(&mut device, 0);
    device
}

const MADE_ROOM: &str = "doorward_refused_total{reason=\"made-room\"}";

/// Whether so many have given way, and there are as many as before.
fn gave_way(server: &Server, count: f64) {
    let address = server.address("radius-tls").to_string();
    let page = server.wait_for(MADE_ROOM, count);
    let mut series = page.series("doorward_connections");
    let ours = series.find(|(one, _)| one.contains(&address));
    assert_eq!(ours.unwrap().1, 10.0);
}

/// What the log of a whole life says.
fn given_way(server: Server) -> usize {
    server.stop().1.matches("\"reason\":\"made-room\"").count()
}

/// The eleventh, and one more. A Status-Server is no traffic, a login is.
///
/// proves: RAD-7.4-5
#[test]
fn the_connection_that_is_idle_for_longest_gives_way_to_a_new_one() {
    let place = place("radius-tls", "max_connections = 10\nmake_room = true");
    let mut server = place.start();
    let mut open: Vec<Device> = (0..10).map(|_| connect(&place, &server)).collect();
    let login = pap(1, "alice", &place.text("alice.password"));
    assert_eq!(open[0].ask(&login).header().code, Code::ACCESS_ACCEPT);
    answered(&mut open[1], 2);

    let mut eleventh = connect(&place, &server);
    assert_eq!(open.remove(1).end(), End::Orderly);
    let line = server.wait_for_log(&["\"reason\":\"made-room\"", "radius-tls"]);
    assert!(
        line.contains("the open connection of device core1 is closed, idle for"),
        "{line}"
    );
    gave_way(&server, 1.0);
    for device in &mut open {
        answered(device, 3);
    }
    let mut twelfth = connect(&place, &server);
    assert_eq!(open.remove(1).end(), End::Orderly);
    gave_way(&server, 2.0);
    for device in open.iter_mut().chain([&mut eleventh, &mut twelfth]) {
        answered(device, 4);
    }

    // One that goes by itself leaves its place to the next, for which nobody has to go.
    open.pop().unwrap().close();
    wait_for_connections(&place, "radius-tls", 9);
    let mut thirteenth = connect(&place, &server);
    for device in open
        .iter_mut()
        .chain([&mut eleventh, &mut twelfth, &mut thirteenth])
    {
        answered(device, 5);
    }
    assert_eq!(given_way(server), 2);
}

/// With a session under way, and in the handshake (without TLS: before the first packet), nobody gives way. The new
/// connection is turned away.
#[test]
fn who_is_busy_or_begins_does_not_give_way() {
    for protocol in ["tacacs-tls", "tacacs"] {
        let place = place(
            protocol,
            "max_connections = 2\nhandshake_timeout = \"60s\"\nmake_room = true",
        );
        let mut server = place.start();
        let address = server.address(protocol);
        let new = || match protocol {
            "tacacs" => Ok(Peer::plain(address, &place)),
            _ => Peer::tls(address, &place, "core1"),
        };
        let mut busy = new().unwrap();
        let prompt = busy.ask(ascii(1, "alice", "").flags(4));
        assert_eq!(prompt.body[0], GETPASS);
        let mut begins = tcp(address);
        if protocol == "tacacs-tls" {
            begins.write_all(&hello(&[])[..40]).unwrap();
        }
        wait_for_connections(&place, protocol, 2);
        if let Ok(mut refused) = new() {
            assert!(refused.rest().is_empty());
        }
        server.wait_for_log(&["\"reason\":\"too-many-connections\"", protocol]);

        let password = place.text("alice.password");
        let reply = busy.ask(answer(1, 3, &password).flags(4));
        assert_eq!(reply.body[0], PASS, "{protocol}");
        let show = |session| author(session, "alice", &["service=shell", "cmd=show"]).flags(4);
        let mut next = new().unwrap();
        assert_eq!(next.ask(show(2)).body[0], PASS_ADD);
        assert!(busy.rest().is_empty());
        assert_eq!(given_way(server), 1);
    }
}

/// Nobody is closed for one that is refused for something else.
#[test]
fn who_may_not_come_anyway_takes_no_place() {
    let place = place(
        "radius-tls",
        "from = [\"127.0.0.1\"]\nmax_connections = 2\nmax_handshakes = 1\nhandshake_timeout = \"60s\"\nmake_room = true",
    );
    let mut server = place.start();
    let mut device = connect(&place, &server);
    let address = server.address("radius-tls");
    let _begins = tcp(address);
    wait_for_connections(&place, "radius-tls", 2);
    let config = client_config(&place, Some("core1"));
    for (from, reason) in [
        ("127.0.0.2", "source-address"),
        ("127.0.0.1", "too-many-handshakes"),
    ] {
        assert!(Device::connect(address, from, &config).is_err());
        server.wait_for_log(&[&format!("\"reason\":\"{reason}\"")]);
        answered(&mut device, 1);
    }
    assert_eq!(given_way(server), 0);
}

/// A reload turns it on for connections that are open already.
#[test]
fn a_reload_turns_it_on() {
    let place = place("radius-tls", "max_connections = 1");
    let server = place.start();
    let mut device = connect(&place, &server);
    let config = client_config(&place, Some("core1"));
    let address = server.address("radius-tls");
    assert!(Device::connect(address, "127.0.0.1", &config).is_err());
    answered(&mut device, 1);
    let line = "max_connections = 1";
    place.edit(&[(line, &format!("{line}\nmake_room = true"))]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    // Answered after the reload, so that it has been looked at.
    answered(&mut device, 2);
    let mut new = connect(&place, &server);
    assert_eq!(device.end(), End::Orderly);
    answered(&mut new, 1);
}

/// A reload that lowers the limit takes effect with the next that comes: as many give way as it takes.
#[test]
fn a_lowered_limit_is_kept_when_the_next_comes() {
    let place = place("radius-tls", "max_connections = 5\nmake_room = true");
    let server = place.start();
    let mut open: Vec<Device> = (0..5).map(|_| connect(&place, &server)).collect();
    place.edit(&[("max_connections = 5", "max_connections = 2")]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    let mut new = connect(&place, &server);
    for mut device in open.drain(..4) {
        assert_eq!(device.end(), End::Orderly);
    }
    for device in [&mut open[0], &mut new] {
        answered(device, 1);
    }
    wait_for_connections(&place, "radius-tls", 2);
    assert_eq!(given_way(server), 4);
}
