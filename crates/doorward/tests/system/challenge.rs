//! CHAP and MS-CHAP over the wire: the octets here are made by the functions of the protocol crate, whose own tests compare
//! them with the examples of RFC 1994, 2433 and 2759.

use doorward_tacacs::ChallengeMethod;

use crate::harness::{Place, Server, code, stderr};
use crate::sessions::{ERROR, FAIL, PASS, RESTART, everywhere};
use crate::wire::{Packet, Peer, ascii, pap, start};

const SECRET: &str = "a secret for challenges only";
const METHODS: [ChallengeMethod; 3] = [
    ChallengeMethod::Chap,
    ChallengeMethod::MsChapV1,
    ChallengeMethod::MsChapV2,
];

/// The demo with `carol`, who has nothing but a secret for challenges, and this `accept`.
fn place(accept: &str) -> Place {
    let place = Place::with(&[(
        "[user.bob]",
        "[user.carol]\nchap_secret = \"file:carol.chap\"\ngroups = [\"noc\"]\n\n[user.bob]",
    )]);
    std::fs::write(place.path("carol.chap"), format!("{SECRET}\n")).unwrap();
    place.edit(&[(
        "[[test]]\nas     = { user = \"alice\" }",
        &format!(
            "[authentication]\naccept = {accept}\n\n[[test]]\nas     = {{ user = \"alice\" }}"
        ),
    )]);
    place
}

const ALL: &str = "[\"ascii\", \"pap\", \"chap\", \"mschapv1\", \"mschapv2\"]";

fn challenge(method: ChallengeMethod) -> Vec<u8> {
    (1..=u8::try_from(method.challenge_length().unwrap_or(16)).unwrap()).collect()
}

fn data(method: ChallengeMethod, user: &str, secret: &str) -> Vec<u8> {
    let (user, secret) = (user.as_bytes(), secret.as_bytes());
    method
        .respond(7, &challenge(method), &[9; 16], user, secret)
        .unwrap()
}

fn login(method: ChallengeMethod, session: u32, user: &str, data: &[u8]) -> Packet {
    let numbers = [1, 1, method.authen_type().0, 1];
    start(numbers, session, user.as_bytes(), data).version(0xc1)
}

/// CHAP has three statuses (section 5.4.2.3). Its secrets are in memory, so that no back end of it can be out of reach; ERROR is
/// what a START gets whose numbers nobody defined.
/// proves: TAC-5.4.2.3-5, TAC-5.4.2.4-4, TAC-5.4.2.5-4, TAC-5.4.2.3-4, D05-4.4.2-4, D05-4.4.2-5
#[test]
fn the_right_answer_passes_and_every_other_one_fails() {
    let place = place(ALL);
    let server = place.start();
    everywhere(&place, &server, |connect, kind| {
        for method in METHODS {
            let right = data(method, "carol", SECRET);
            let ask = |connect: &mut dyn FnMut() -> Peer, user: &str, data: &[u8]| {
                let reply = connect().ask(login(method, 5, user, data));
                assert_eq!((reply.version, reply.seq), (0xc1, 2), "{kind} {method:?}");
                reply.body[0]
            };
            assert_eq!(ask(connect, "carol", &right), PASS, "{kind} {method:?}");
            let wrong = data(method, "carol", "another secret");
            assert_eq!(ask(connect, "carol", &wrong), FAIL, "{kind} {method:?}");
            let length = right.len();
            // Of the last octets of MS-CHAP's answers some have no meaning; this one is of the response in all three.
            let mut changed = right.clone();
            changed[length - 3] ^= 1;
            assert_eq!(ask(connect, "carol", &changed), FAIL, "{kind} {method:?}");
            assert_eq!(ask(connect, "mallory", &right), FAIL, "{kind} {method:?}");
            assert_eq!(ask(connect, "", &right), FAIL, "{kind} {method:?}");
            let mut unlisted = login(method, 6, "carol", &right);
            unlisted.body[3] = 4;
            assert_eq!(connect().ask(unlisted).body[0], ERROR, "{kind} {method:?}");
        }
    });
}

/// proves: TAC-5.4.2.3-3, TAC-5.4.2.3-6, TAC-5.4.2.4-5, TAC-5.4.2.5-5
#[test]
fn challenges_of_a_wrong_length_fail() {
    let place = place(ALL);
    let server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let mut session = 0;
    let mut ask = |method, data: &[u8]| {
        session += 1;
        let packet = login(method, session, "carol", data).flags(5);
        peer.ask(packet).body[0]
    };
    let chap = |length: usize| {
        ChallengeMethod::Chap
            .respond(1, &vec![3; length], &[0; 16], b"carol", SECRET.as_bytes())
            .unwrap()
    };
    assert_eq!(ask(ChallengeMethod::Chap, &[0; 16]), FAIL);
    assert_eq!(ask(ChallengeMethod::Chap, &[0; 17]), FAIL);
    assert_eq!(ask(ChallengeMethod::Chap, &chap(7)), FAIL, "by default");
    assert_eq!(ask(ChallengeMethod::Chap, &chap(8)), PASS);
    assert_eq!(ask(ChallengeMethod::Chap, &chap(238)), PASS);
    for (method, right) in [
        (ChallengeMethod::MsChapV1, 58),
        (ChallengeMethod::MsChapV2, 66),
    ] {
        let data = data(method, "carol", SECRET);
        assert_eq!(data.len(), right);
        assert_eq!(ask(method, &data), PASS, "{method:?}");
        assert_eq!(ask(method, &data[..right - 1]), FAIL, "{method:?}");
        assert_eq!(ask(method, &[&data[..], &[1]].concat()), FAIL, "{method:?}");
        assert_eq!(ask(method, &[]), FAIL, "{method:?}");
    }
}

#[test]
fn the_shortest_challenge_can_be_chosen() {
    let place = place(&format!("{ALL}\nmin_challenge = 12"));
    let server = place.start();
    for (length, status) in [(11, FAIL), (12, PASS)] {
        let data = ChallengeMethod::Chap
            .respond(1, &vec![3; length], &[0; 16], b"carol", SECRET.as_bytes())
            .unwrap();
        let packet = login(ChallengeMethod::Chap, 1, "carol", &data);
        let reply = Peer::plain(server.plain(), &place).ask(packet);
        assert_eq!(reply.body[0], status, "{length}");
    }
}

/// proves: TAC-5.4.2.3-7
#[test]
fn a_user_with_a_hash_alone_cannot_and_the_log_says_why() {
    let place = place(ALL);
    let mut server = place.start();
    let password = place.text("alice.password");
    for method in METHODS {
        let packet = login(method, 1, "alice", &data(method, "alice", &password));
        let reply = Peer::plain(server.plain(), &place).ask(packet);
        assert_eq!(reply.body[0], FAIL, "{method:?}");
    }
    let line = server.wait_for_log(&["user-without-chap-secret"]);
    assert!(
        line.contains("alice") && line.contains("chap_secret"),
        "{line}"
    );
    // And carol, who has no password, cannot log in by one, whatever it is.
    for packet in [pap(1, "carol", SECRET), pap(2, "carol", "")] {
        assert_eq!(
            Peer::plain(server.plain(), &place).ask(packet).body[0],
            FAIL
        );
    }
    server.wait_for_log(&["user-without-password"]);
}

fn first(server: &Server, place: &Place, packet: Packet) -> u8 {
    Peer::plain(server.plain(), place).ask(packet).body[0]
}

/// proves: TAC-10.5.3-1, TAC-5.4.2-1
#[test]
fn a_server_for_challenges_only_takes_no_password() {
    let place = place("[\"chap\", \"mschapv2\"]");
    let mut server = place.start();
    let password = place.text("alice.password");
    assert_eq!(first(&server, &place, ascii(1, "alice", "")), FAIL);
    assert_eq!(first(&server, &place, pap(2, "alice", &password)), FAIL);
    server.wait_for_log(&["type-not-accepted"]);
    let enable = start([1, 15, 1, 2], 3, b"alice", b"");
    assert_eq!(first(&server, &place, enable), FAIL);
    let change = start([2, 1, 1, 1], 4, b"alice", b"");
    assert_eq!(first(&server, &place, change), FAIL);
    for method in [ChallengeMethod::Chap, ChallengeMethod::MsChapV2] {
        let packet = login(method, 5, "carol", &data(method, "carol", SECRET));
        assert_eq!(first(&server, &place, packet), PASS, "{method:?}");
    }
}

/// RESTART (section 5.4.3): a client whose type is not accepted may try another one.
/// proves: TAC-5.4-1, D05-4.4.3-3
#[test]
fn a_type_that_is_not_accepted_is_restarted_where_another_one_would_do() {
    let place = place("[\"pap\", \"chap\"]");
    let server = place.start();
    assert_eq!(first(&server, &place, ascii(1, "alice", "")), RESTART);
    for method in [ChallengeMethod::MsChapV1, ChallengeMethod::MsChapV2] {
        let packet = login(method, 2, "carol", &data(method, "carol", SECRET));
        let mut peer = Peer::plain(server.plain(), &place);
        let reply = peer.ask(packet);
        assert_eq!(reply.body[0], RESTART, "{method:?}");
        assert!(reply.body.len() > 6, "it says why");
        assert!(
            peer.rest().is_empty(),
            "the session is over, and the connection"
        );
    }
    let password = place.text("alice.password");
    assert_eq!(first(&server, &place, pap(3, "alice", &password)), PASS);
}

#[test]
fn by_default_mschap_of_the_first_version_is_off() {
    let place = Place::with(&[(
        "[user.bob]\npassword = \"file:bob.hash\"",
        "[user.bob]\nchap_secret = \"plain:a secret for challenges only\"",
    )]);
    let server = place.start();
    let ask = |method| {
        let packet = login(method, 1, "bob", &data(method, "bob", SECRET));
        Peer::tls(server.tls(), &place, "core1")
            .unwrap()
            .ask(packet)
            .body[0]
    };
    assert_eq!(ask(ChallengeMethod::Chap), PASS);
    assert_eq!(ask(ChallengeMethod::MsChapV2), PASS);
    assert_eq!(ask(ChallengeMethod::MsChapV1), RESTART);
}

/// proves: TAC-10.5.3-4
#[test]
fn one_secret_for_both_is_refused() {
    let place = place(ALL);
    let password = place.text("alice.password");
    std::fs::write(place.path("alice.chap"), &password).unwrap();
    place.edit(&[(
        "password = \"file:alice.hash\"",
        "password = \"file:alice.hash\"\nchap_secret = \"file:alice.chap\"",
    )]);
    let check = place.check();
    assert_eq!(code(&check), 1);
    let text = stderr(&check);
    assert!(
        text.contains("`chap_secret` is also the password"),
        "{text}"
    );
    assert!(!text.contains(&password), "{text}");
    std::fs::write(place.path("alice.chap"), format!("{password}x")).unwrap();
    let server = place.start();
    assert_eq!(first(&server, &place, pap(1, "alice", &password)), PASS);
}

/// Rules see how a user logs in.
#[test]
fn rules_know_the_types() {
    let place = place(ALL);
    place.edit(&[(
        "when = { group = \"noc\" }",
        "when = { group = \"noc\", auth = [\"chap\", \"mschapv1\"] }",
    )]);
    let text = std::fs::read_to_string(place.config()).unwrap();
    let tests = text.find("[[test]]").unwrap();
    std::fs::write(place.config(), &text[..tests]).unwrap();
    let server = place.start();
    for method in METHODS {
        let status = first(
            &server,
            &place,
            login(method, 1, "carol", &data(method, "carol", SECRET)),
        );
        let wanted = if method == ChallengeMethod::MsChapV2 {
            FAIL
        } else {
            PASS
        };
        assert_eq!(status, wanted, "{method:?}");
    }
}

/// proves: TAC-5.4.3-3
#[test]
fn who_fails_reads_the_message_of_the_file_and_not_why() {
    let message = "Denied. NOC: +31 20 555 0100";
    let place = place(&format!(
        "[\"ascii\", \"pap\", \"chap\"]\nfail_message = \"{message}\""
    ));
    let server = place.start();
    let password = place.text("alice.password");
    let chap = |secret| {
        let data = data(ChallengeMethod::Chap, "carol", secret);
        login(ChallengeMethod::Chap, 1, "carol", &data)
    };
    let says = |packet: Packet, wanted: &str| {
        let reply = Peer::plain(server.plain(), &place).ask(packet);
        let status = if wanted.is_empty() { PASS } else { FAIL };
        assert_eq!(reply.body[0], status);
        let length = usize::from(u16::from_be_bytes([reply.body[2], reply.body[3]]));
        assert_eq!(&reply.body[6..6 + length], wanted.as_bytes());
    };
    says(pap(1, "alice", "wrong"), message);
    says(pap(1, "mallory", "wrong"), message);
    says(chap("wrong"), message);
    says(pap(1, "alice", &password), "");
    says(chap(SECRET), "");
    let mut peer = Peer::plain(server.plain(), &place);
    peer.ask(ascii(1, "alice", ""));
    let reply = peer.ask(crate::wire::answer(1, 3, "wrong"));
    assert_eq!(&reply.body[6..], message.as_bytes());
}
