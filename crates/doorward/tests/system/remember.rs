//! `[authentication] remember`: one hash for a run over all devices, and nothing weaker than that.

use std::cell::RefCell;

use serde_json::Value;

use crate::harness::{Place, Server, code, stdout};
use crate::sessions::{FAIL, PASS, everywhere};
use crate::wire::{Peer, pap};

fn hashed(place: &Place) -> u64 {
    let status: Value = serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap();
    status["passwords"]["hashed"].as_u64().unwrap()
}

/// The demo with a second hash of alice's password ready, and `remember` set.
fn remembering() -> (Place, Server) {
    let place = Place::with(&[(
        "[[test]]\nas     = { user = \"alice\" }",
        "[authentication]\nremember = \"1h\"\n\n[[test]]\nas     = { user = \"alice\" }",
    )]);
    let server = place.start();
    (place, server)
}

#[test]
fn a_right_password_is_hashed_once_and_a_wrong_one_always() {
    let (place, server) = remembering();
    let password = place.text("alice.password");
    everywhere(&place, &server, |connect, kind| {
        for _ in 0..5 {
            let reply = connect().ask(pap(1, "alice", &password));
            assert_eq!(reply.body[0], PASS, "{kind}");
        }
    });
    assert_eq!(hashed(&place), 1, "ten logins over two listeners");
    everywhere(&place, &server, |connect, kind| {
        for wrong in ["", "x", &password[1..]] {
            assert_eq!(
                connect().ask(pap(1, "alice", wrong)).body[0],
                FAIL,
                "{kind}"
            );
        }
        // Somebody else with alice's password is somebody else, known or not.
        for other in ["bob", "mallory"] {
            assert_eq!(
                connect().ask(pap(1, other, &password)).body[0],
                FAIL,
                "{kind}"
            );
        }
    });
    assert_eq!(hashed(&place), 11, "every wrong password costs a hash");
}

#[test]
fn a_reload_forgets_every_password() {
    let (place, server) = remembering();
    let old = place.text("alice.password");
    let pass = |password: &str| {
        let answers = RefCell::new(Vec::new());
        everywhere(&place, &server, |connect, _| {
            let reply = connect().ask(pap(1, "alice", password));
            answers.borrow_mut().push(reply.body[0]);
        });
        answers.into_inner()
    };
    assert_eq!(pass(&old), [PASS, PASS]);
    std::fs::copy(place.path("bob.hash"), place.path("alice.hash")).unwrap();
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert_eq!(
        pass(&old),
        [FAIL, FAIL],
        "the old password is worth nothing now"
    );
    assert_eq!(pass(&place.text("bob.password")), [PASS, PASS]);
}

#[test]
fn without_the_setting_nothing_is_remembered() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    everywhere(&place, &server, |connect, kind| {
        assert_eq!(
            connect().ask(pap(1, "alice", &password)).body[0],
            PASS,
            "{kind}"
        );
    });
    assert_eq!(hashed(&place), 2);
}

/// Logins that come while the first one is still being hashed wait for it, and not for a hash each.
#[test]
fn logins_that_come_together_cost_one_hash_for_each_worker() {
    let (place, server) = remembering();
    let password = place.text("alice.password");
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    for session in 0..200 {
        peer.send(pap(session, "alice", &password).flags(5));
    }
    for _ in 0..200 {
        assert_eq!(peer.receive().unwrap().body[0], PASS);
    }
    let workers = u64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    // What a worker takes up between the end of a hash and its being remembered is hashed once more.
    let count = hashed(&place);
    assert!(count <= 3 * workers, "{count}");
}
