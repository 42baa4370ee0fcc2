//! Requests for a privilege level (RFC 8907 sections 5.4.2.6 and 9).

use crate::harness::Place;
use crate::sessions::{FAIL, GETPASS, GETUSER, PASS, author_arguments, everywhere};
use crate::wire::{Packet, Peer, answer, ascii, author, start};

const ENABLE: u8 = 2;

/// alice's own for 15; everybody's for 7 (bob's) and 15 (bob's); the own password for 1 and 3.
fn place() -> Place {
    Place::with(&[
        (
            "[user.bob]",
            "enable = { 15 = \"file:alice-enable.hash\" }\n\n[user.bob]",
        ),
        (
            "shell = { priv_lvl = 1, idle_time = \"15m\" }",
            "shell = { priv_lvl = 1, max_priv_lvl = 7, idle_time = \"15m\" }",
        ),
        (
            "[role.watcher]",
            "[user.carol]\npassword = \"file:bob.hash\"\ngroups = [\"noc\"]\n\n\
             [enable]\n1 = \"user\"\n3 = \"user\"\n7 = \"file:bob.hash\"\n15 = \"file:bob.hash\"\n\n[role.watcher]",
        ),
    ])
}

fn prepared() -> Place {
    let place = place();
    let hash = doorward::identity::hash_password(b"Alice-enables-15").unwrap();
    std::fs::write(place.path("alice-enable.hash"), hash).unwrap();
    place
}

fn enable(session: u32, user: &str, level: u8) -> Packet {
    start([1, level, 1, ENABLE], session, user.as_bytes(), b"")
}

fn outcome(peer: &mut Peer, user: &str, level: u8, password: &str) -> u8 {
    let reply = peer.ask(enable(1, user, level));
    assert_eq!((reply.body[0], reply.body[1]), (GETPASS, 1));
    peer.ask(answer(1, 3, password)).body[0]
}

/// The first packet ever of a connection asks for a level, and whoever knows its password gets it.
/// proves: TAC-5.4.2.6-1, TAC-5.4.2.6-2, TAC-5.1-6, TAC-9-4, D05-4.4.2-7, D05-4.4.2-2
#[test]
fn each_level_has_its_password() {
    let place = prepared();
    let server = place.start();
    let (alices, bobs) = (place.text("alice.password"), place.text("bob.password"));
    everywhere(&place, &server, |connect, kind| {
        for (user, level, password, status) in [
            ("alice", 7, bobs.as_str(), PASS),
            ("alice", 7, &alices, FAIL),
            ("alice", 7, "Alice-enables-15", FAIL),
            // The user's own goes before everybody's.
            ("alice", 15, "Alice-enables-15", PASS),
            ("alice", 15, &bobs, FAIL),
            // `user` is the password of the login.
            ("alice", 3, &alices, PASS),
            ("alice", 3, &bobs, FAIL),
            ("carol", 3, &bobs, PASS),
            // No password for that level.
            ("alice", 8, &bobs, FAIL),
            ("alice", 0, &alices, FAIL),
            ("mallory", 7, &bobs, FAIL),
        ] {
            let found = outcome(&mut connect(), user, level, password);
            assert_eq!(found, status, "{kind} {user} {level}");
        }
    });
}

/// proves: TAC-5.4.2.6-5
#[test]
fn a_level_that_the_role_does_not_reach_fails_with_the_right_password() {
    let place = prepared();
    let mut server = place.start();
    let bobs = place.text("bob.password");
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(outcome(&mut peer, "carol", 15, &bobs), FAIL);
    let line = server.wait_for_log(&["level-too-high"]);
    assert!(
        line.contains("max_priv_lvl") && line.contains("enable 15"),
        "{line}"
    );
    // Carol's role reaches 7; what a role says is what a session gets, too.
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(outcome(&mut peer, "carol", 7, &bobs), PASS);
    let reply =
        Peer::plain(server.plain(), &place).ask(author(1, "carol", &["service=shell", "cmd="]));
    assert!(author_arguments(&reply).contains(&"priv-lvl=1".to_owned()));
}

/// Old devices send any type, with either version.
/// proves: TAC-5.4.2.6-1
#[test]
fn the_type_of_an_enable_request_means_nothing() {
    let place = prepared();
    let server = place.start();
    let bobs = place.text("bob.password");
    for authen_type in 1..=6 {
        for version in [0xc0, 0xc1] {
            let packet = start([1, 7, authen_type, ENABLE], 1, b"alice", b"").version(version);
            if authen_type == 4 {
                continue;
            }
            let mut peer = Peer::plain(server.plain(), &place);
            let reply = peer.ask(packet);
            assert_eq!(reply.body[0], GETPASS, "{authen_type} {version:#x}");
            let answer = answer(1, 3, &bobs).version(version);
            assert_eq!(peer.ask(answer).body[0], PASS, "{authen_type} {version:#x}");
        }
    }
}

#[test]
fn a_request_without_a_name_is_asked_for_it() {
    let place = prepared();
    let server = place.start();
    let bobs = place.text("bob.password");
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(peer.ask(enable(1, "", 7)).body[0], GETUSER);
    assert_eq!(peer.ask(answer(1, 3, "alice")).body[0], GETPASS);
    assert_eq!(peer.ask(answer(1, 5, &bobs)).body[0], PASS);
}

/// `$enab15$` is the name that some old devices send for nobody in particular: only where the device is let off so, and a rule
/// speaks of that name.
#[test]
fn names_of_levels_are_for_devices_that_are_let_off() {
    let place = prepared();
    place.edit(&[(
        "[[rule]]\nname = \"the NOC",
        "[[rule]]\nwhen = { user = \"$enab15$\" }\nrole = \"engineer\"\n\n[[rule]]\nname = \"the NOC",
    )]);
    let bobs = place.text("bob.password");
    let levels = |server: &crate::harness::Server| {
        ["$enab15$", "$enab7$", "$enab16$", "$enab$", "$enab015$"].map(|name| {
            let mut peer = Peer::plain(server.plain(), &place);
            assert_eq!(peer.ask(ascii(1, name, "")).body[0], GETPASS, "{name}");
            peer.ask(answer(1, 3, &bobs)).body[0]
        })
    };
    let server = place.start();
    assert_eq!(levels(&server), [FAIL; 5], "names like any other");
    drop(server);
    place.edit(&[(
        "tags          = [\"role:access\"]",
        "tags          = [\"role:access\"]\ntolerate      = [\"enable-names\"]",
    )]);
    let server = place.start();
    // No rule speaks of the second, and the others are no levels.
    assert_eq!(levels(&server), [PASS, FAIL, FAIL, FAIL, FAIL]);
}
