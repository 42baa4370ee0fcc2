//! Reload: one snapshot swapped whole, sessions kept, bad files refused.

use crate::harness::{Place, code, stderr, stdout};
use crate::wire::{Peer, answer, ascii, author};

const RELOAD_DENIED: [&str; 2] = ["service=shell", "cmd=reload"];

fn watcher_may_reload(place: &Place) {
    place.edit(&[
        (
            "permit show|ping|traceroute **",
            "permit show|ping|traceroute|reload **",
        ),
        ("deny   = [\"reload\", ", "deny   = ["),
    ]);
}

#[test]
fn a_reload_changes_decisions_and_keeps_connections() {
    let place = Place::demo();
    let mut server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(
        peer.ask(author(1, "alice", &RELOAD_DENIED).flags(4)).body[0],
        0x10
    );
    let reply = peer.ask(ascii(2, "alice", "").flags(4));
    assert_eq!(reply.body[0], 5);
    watcher_may_reload(&place);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert_eq!(
        peer.ask(author(3, "alice", &RELOAD_DENIED).flags(4)).body[0],
        1
    );
    assert_eq!(
        peer.ask(answer(2, 3, &place.text("alice.password"))).body[0],
        1,
        "the login under way goes on"
    );
    // The signal does the same.
    server.signal("-HUP");
    server.wait_for_log(&["configuration reloaded", "\"generation\":3"]);
    assert_eq!(
        peer.ask(author(4, "alice", &RELOAD_DENIED).flags(4)).body[0],
        1
    );
}

#[test]
fn a_bad_file_leaves_the_old_one_serving_and_says_why() {
    let place = Place::demo();
    let mut server = place.start();
    let mut refused = 0;
    let good = std::fs::read_to_string(place.config()).unwrap();
    for (old, new, complaint) in [
        ("[user.alice]", "[user.alice", "doorward.toml:"),
        ("groups   = [\"noc\"]", "grups   = [\"noc\"]", "grups"),
        ("role = \"watcher\"", "role = \"wather\"", "wather"),
        (
            "permit = [\"show version\", \"ping 192.0.2.1\"]",
            "permit = [\"reload\"]",
            "in-file test",
        ),
    ] {
        place.edit(&[(old, new)]);
        let reload = place.ask(&["reload"]);
        // A file so broken that the control socket cannot be read from it says so itself.
        assert_eq!(code(&reload), 1);
        assert!(stderr(&reload).contains(complaint), "{}", stderr(&reload));
        server.signal("-HUP");
        // The signal is answered by the log alone: the file stays bad until it was read.
        refused += if complaint == "doorward.toml:" { 1 } else { 2 };
        server.wait_for_logs(&["the new configuration was refused"], refused);
        let mut peer = Peer::plain(server.plain(), &place);
        assert_eq!(
            peer.ask(author(1, "alice", &["service=shell", "cmd=show"]))
                .body[0],
            1
        );
        std::fs::write(place.config(), &good).unwrap();
    }
    let status: serde_json::Value =
        serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap();
    assert_eq!(status["configuration"]["generation"], 1);
    assert!(
        status["configuration"]["last_error"].is_string(),
        "{status}"
    );
}

#[test]
fn listeners_come_and_go_with_the_file() {
    let place = Place::demo();
    let mut server = place.start();
    let old = server.plain();
    let mut peer = Peer::plain(old, &place);
    assert_eq!(
        peer.ask(author(1, "alice", &["service=shell", "cmd=show"]).flags(4))
            .body[0],
        1
    );
    let block = "[[listen]]\nprotocol = \"tacacs\"                  # TACACS+ with obfuscation (RFC 8907); 49 is its port in real life\naddress  = \"127.0.0.1:0\"\n";
    place.edit(&[(block, "")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert!(
        std::net::TcpStream::connect(old).is_err(),
        "the listener is closed"
    );
    assert_eq!(
        peer.ask(author(2, "alice", &["service=shell", "cmd=show"]).flags(4))
            .body[0],
        1,
        "its connections are not"
    );
    place.edit(&[("[tls.default]", &format!("{block}[tls.default]"))]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    let status: serde_json::Value =
        serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap();
    let listeners = status["listeners"].as_array().unwrap();
    let new = listeners
        .iter()
        .find(|listener| listener["protocol"] == "tacacs")
        .unwrap();
    let mut peer = Peer::plain(new["address"].as_str().unwrap().parse().unwrap(), &place);
    assert_eq!(
        peer.ask(author(1, "alice", &["service=shell", "cmd=show"]))
            .body[0],
        1
    );
    server.wait_for_log(&["configuration reloaded"]);
}

/// A device taken out of the file is no device any more, and the connection it still has is closed.
#[test]
fn a_removed_device_is_cut_off() {
    let place = Place::demo();
    let server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(
        peer.ask(author(1, "alice", &["service=shell", "cmd=show"]).flags(4))
            .body[0],
        1
    );
    place.edit(&[
        ("[device.core1]", "[device.core9]"),
        (
            "core1.doorward.test\"] }\ntags",
            "core9.doorward.test\"] }\ntags",
        ),
        ("on     = \"core1\"", "on     = \"core9\""),
    ]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert!(peer.rest().is_empty());
    assert!(
        Peer::tls(server.tls(), &place, "core1")
            .and_then(|mut peer| {
                peer.write(
                    &author(1, "alice", &["service=shell", "cmd=show"])
                        .flags(1)
                        .octets(None),
                )?;
                peer.receive()
            })
            .is_err()
    );
}
