//! Sockets that a service manager hands over.

use std::net::{SocketAddr, TcpStream};

use crate::harness::{PATIENCE, Place, Server, code, stderr, stdout};
use crate::wire::{Peer, author};

/// Opens three TCP sockets and one for UDP, writes the addresses of the first two into the configuration, that of the third
/// beside it, and becomes the server with all of them as descriptors 3 to 6.
const LAUNCHER: &str = r#"
import fcntl, os, socket, sys
config, program = sys.argv[1], sys.argv[2:]
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
text = open(config).read()
for one in sockets[:2]:
    assert '"127.0.0.1:0"' in text
    text = text.replace('"127.0.0.1:0"', '"127.0.0.1:%d"' % one.getsockname()[1], 1)
open(config, "w").write(text)
open(config + ".third", "w").write("127.0.0.1:%d" % sockets[2].getsockname()[1])
sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 50) for one in sockets]
for one in sockets: one.close()
for index, one in enumerate(high): os.dup2(one, 3 + index, inheritable=True)
for one in high: os.close(one)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)))
os.execv(program[0], program)
"#;

fn activated(place: &Place) -> Server {
    let config = place.config();
    let config = config.to_str().unwrap();
    place.start_through(&["python3", "-c", LAUNCHER, config], "debug")
}

fn serves(place: &Place, address: SocketAddr) {
    let mut peer = Peer::tls(address, place, "core1").unwrap();
    let request = author(1, "alice", &["service=shell", "cmd=show"]);
    assert_eq!(peer.ask(request.flags(4)).body[0], 1);
}

/// The configuration's lines about the TLS listener's address.
fn tls_address(place: &Place) -> SocketAddr {
    let text = std::fs::read_to_string(place.config()).unwrap();
    let line = text.lines().find(|line| line.starts_with("address  = "));
    let (_, rest) = line.unwrap().split_once('"').unwrap();
    rest.split('"').next().unwrap().parse().unwrap()
}

#[test]
fn listeners_take_the_inherited_socket_of_their_address_and_others_are_closed() {
    let place = Place::demo();
    let mut server = activated(&place);
    assert_eq!(server.tls(), tls_address(&place), "a socket of our own");
    server.wait_for_log(&["listening", "tacacs-tls", "\"inherited\":true"]);
    serves(&place, server.tls());
    let third: SocketAddr = place.text("doorward.toml.third").parse().unwrap();
    assert!(
        TcpStream::connect(third).is_err(),
        "a socket without a listener stayed open"
    );
    server.wait_for_log(&[&third.to_string(), "belongs to no [[listen]]: closed"]);
    server.wait_for_log(&["the inherited descriptor 6 is no TCP socket"]);
}

#[test]
fn inherited_sockets_survive_reloads_that_take_their_listener_out_and_bring_it_back() {
    let place = Place::demo();
    let mut server = activated(&place);
    let address = server.plain();
    assert_eq!(code(&place.ask(&["reload"])), 0);
    serves(&place, server.tls());
    let text = std::fs::read_to_string(place.config()).unwrap();
    let start = text.find("[[listen]]\nprotocol = \"tacacs\" ").unwrap();
    let end = start + 1 + text[start + 1..].find("\n[").unwrap();
    let without = format!("{}{}", &text[..start], &text[end..]);
    std::fs::write(place.config(), without).unwrap();
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    server.wait_for_log(&["its socket is the service manager's", &address.to_string()]);
    std::fs::write(place.config(), text).unwrap();
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    let status = stdout(&place.ask(&["status", "--json"]));
    assert!(status.contains(&address.to_string()), "{status}");
    let mut peer = Peer::plain(address, &place);
    let request = author(1, "alice", &["service=shell", "cmd=show"]);
    assert_eq!(peer.ask(request).body[0], 1);
}

/// The variables of another process (a parent's, left in the environment) are none of ours.
#[test]
fn sockets_for_another_process_are_left_alone() {
    let place = Place::demo();
    let server = place.start_through(&["env", "LISTEN_PID=1", "LISTEN_FDS=3"], "info");
    serves(&place, server.tls());
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    assert!(!log.contains("inherited\":true"), "{log}");
}

#[test]
fn systemd_hands_a_socket_over() {
    let place = Place::demo();
    // systemd-socket-activate wants a number; nobody else is given this one while the socket is in TIME_WAIT or listens.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let text = std::fs::read_to_string(place.config()).unwrap();
    let text = text.replacen(
        "address  = \"127.0.0.1:0\"",
        &format!("address  = \"{address}\""),
        1,
    );
    std::fs::write(place.config(), text).unwrap();
    // It starts the server when somebody connects.
    let visitor = std::thread::spawn(move || {
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            if let Ok(stream) = TcpStream::connect(address) {
                return Some(stream);
            }
            std::thread::yield_now();
        }
        None
    });
    let listen = format!("--listen={address}");
    let mut server = place.start_through(&["systemd-socket-activate", &listen], "info");
    assert!(visitor.join().unwrap().is_some());
    server.wait_for_log(&["listening", "\"inherited\":true", &address.to_string()]);
    assert_eq!(server.tls(), address);
    serves(&place, address);
}
