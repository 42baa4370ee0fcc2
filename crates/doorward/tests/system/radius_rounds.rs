//! Logins over RADIUS that need more than one round: Access-Challenge, and State on its way there and back.

use std::io::Write as _;
use std::process::{Command, Stdio};

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::PacketBuilder;
use doorward_radius::{Code, RawPacket, Secret};
use serde_json::Value;

use crate::client_flows::TERMINAL;
use crate::foreign::CORE1;
use crate::harness::{AS_CORE1, Place, Server, all_said, code, doorward, stdout};
use crate::radius::{RadSec, accounting, request, secret};
use crate::radius_udp::{self, Nas};

/// What the server asks: State, and that it asks as it should.
fn asked(answer: &RawPacket) -> Vec<u8> {
    assert_eq!(answer.header().code, Code::ACCESS_CHALLENGE);
    let attributes = Attributes::new(answer.attributes()).unwrap();
    assert_eq!(
        attributes.first(kind::REPLY_MESSAGE),
        Some(&b"Password: "[..])
    );
    assert_eq!(attributes.integer(kind::PROMPT), Some(0));
    assert_eq!(attributes.integer(kind::SESSION_TIMEOUT), Some(30));
    let states: Vec<&[u8]> = attributes.all(kind::STATE).collect();
    assert_eq!(states.len(), 1);
    states[0].to_vec()
}

/// A login as far as it has come: a name, perhaps a password, perhaps the State of a question.
fn fill(
    packet: &mut PacketBuilder,
    secret: &Secret,
    user: &str,
    password: Option<&str>,
    state: Option<&[u8]>,
) {
    packet.push(kind::USER_NAME, user.as_bytes()).unwrap();
    if let Some(password) = password {
        packet.push_password(password.as_bytes(), secret).unwrap();
    }
    if let Some(state) = state {
        packet.push(kind::STATE, state).unwrap();
    }
}

fn login(id: u8, user: &str, password: Option<&str>, state: Option<&[u8]>) -> Vec<u8> {
    request(Code::ACCESS_REQUEST, id, |packet| {
        fill(packet, &secret(), user, password, state);
    })
}

fn rejected(server: &mut Server, answer: &RawPacket, reason: &str) {
    assert_eq!(answer.header().code, Code::ACCESS_REJECT, "{reason}");
    server.wait_for_log(&[&format!("\"reason\":\"{reason}\""), "\"device\":\"core1\""]);
}

#[test]
fn a_login_without_a_password_is_asked_for_one() {
    let place = Place::with(&[("[metrics]", "[audit]\ndecisions = \"all\"\n\n[metrics]")]);
    let mut server = place.start();
    let password = place.text("alice.password");
    let mut device = RadSec::connect(&place, &server, &CORE1);
    // None at all, and an empty one.
    let state = asked(&device.ask(&login(1, "alice", None, None)));
    let other = asked(&device.ask(&login(2, "alice", Some(""), None)));
    assert_ne!(state, other);
    // The same request again is the same question; nothing is judged twice.
    assert_eq!(asked(&device.ask(&login(1, "alice", None, None))), state);
    let accept = device.ask(&login(3, "alice", Some(&password), Some(&state)));
    assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
    let attributes = Attributes::new(accept.attributes()).unwrap();
    assert_eq!(attributes.integer(kind::SERVICE_TYPE), Some(7));
    assert_eq!(attributes.first(kind::STATE), None);
    // A connection later it is still the same login.
    let mut later = RadSec::connect(&place, &server, &CORE1);
    let reject = later.ask(&login(1, "alice", Some("guessed"), Some(&other)));
    rejected(&mut server, &reject, "password-wrong");
    device.ask(&accounting(4, 1, |packet| {
        packet.push(kind::USER_NAME, b"alice").unwrap();
    }));
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    assert_eq!(records.lines().count(), 1, "{records}");

    // One row for each login, none for a question.
    let (_, log) = server.stop();
    let rows = stdout(&place.ask(&["audit", "search", "--json"]));
    let reasons: Vec<String> = rows
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["reason"].to_string())
        .collect();
    assert_eq!(
        reasons,
        ["\"password-right\"", "\"password-wrong\""],
        "{rows}"
    );
    for hidden in [&*password, "guessed"] {
        assert!(!log.contains(hidden), "{log}");
    }
}

#[test]
fn a_question_is_asked_as_often_as_in_an_ascii_login() {
    let place = Place::with(&[("[metrics]", "[authentication]\nattempts = 2\n\n[metrics]")]);
    let mut server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let first = asked(&device.ask(&login(1, "alice", None, None)));
    let second = asked(&device.ask(&login(2, "alice", Some(""), Some(&first))));
    let reject = device.ask(&login(3, "alice", None, Some(&second)));
    rejected(&mut server, &reject, "too-many-attempts");
    // Nobody learns who exists: a name that nobody has is asked the same.
    let state = asked(&device.ask(&login(4, "nobody", None, None)));
    let reject = device.ask(&login(5, "nobody", Some("x"), Some(&state)));
    rejected(&mut server, &reject, "user-unknown");
}

#[test]
fn a_state_that_is_not_good_is_a_reject_with_its_reason() {
    let place = Place::with(&[(
        "[metrics]",
        "[authentication]\naccept = [\"pap\", \"chap\"]\n\n[metrics]",
    )]);
    let mut server = place.start();
    let password = place.text("alice.password");
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let state = asked(&device.ask(&login(1, "alice", None, None)));
    for (id, changed) in [
        (
            2,
            [&state[..state.len() - 1], &[!state[state.len() - 1]]].concat(),
        ),
        (3, b"of another server".to_vec()),
        (4, Vec::from([0])),
    ] {
        let reject = device.ask(&login(id, "alice", Some(&password), Some(&changed)));
        rejected(&mut server, &reject, "state-invalid");
    }
    // Bob cannot go on with what alice was asked, whatever his password is.
    let bob = place.text("bob.password");
    let reject = device.ask(&login(5, "bob", Some(&bob), Some(&state)));
    rejected(&mut server, &reject, "state-foreign");
    // Two of them, or the answer in another form, are against the rules.
    let reject = device.ask(&request(Code::ACCESS_REQUEST, 6, |packet| {
        fill(packet, &secret(), "alice", Some(&password), Some(&state));
        packet.push(kind::STATE, &state).unwrap();
    }));
    rejected(&mut server, &reject, "radius-invalid");
    let reject = device.ask(&request(Code::ACCESS_REQUEST, 7, |packet| {
        fill(packet, &secret(), "alice", None, Some(&state));
        packet.push(kind::CHAP_PASSWORD, &[1; 17]).unwrap();
    }));
    rejected(&mut server, &reject, "radius-invalid");
    // A machine that is let into a network is not asked.
    let reject = device.ask(&request(Code::ACCESS_REQUEST, 8, |packet| {
        fill(packet, &secret(), "alice", None, None);
        packet.push_integer(kind::SERVICE_TYPE, 2).unwrap();
    }));
    rejected(&mut server, &reject, "flow-not-offered");
    // And it was good all the time.
    let accept = device.ask(&login(9, "alice", Some(&password), Some(&state)));
    assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);

    // Who may not send a password is not asked for one.
    place.edit(&[("accept = [\"pap\", \"chap\"]", "accept = [\"chap\"]")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    let reject = device.ask(&login(10, "alice", None, None));
    rejected(&mut server, &reject, "type-not-accepted");
    server.stop();
    let rows = stdout(&place.ask(&["audit", "search", "--json"]));
    assert_eq!(rows.matches("\"state-invalid\"").count(), 3, "{rows}");
    assert_eq!(rows.matches("\"state-foreign\"").count(), 1, "{rows}");
}

/// Another server process has other keys.
#[test]
fn a_state_does_not_outlive_the_server() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let state = asked(&device.ask(&login(1, "alice", None, None)));
    server.stop();
    let mut server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let reject = device.ask(&login(1, "alice", Some(&password), Some(&state)));
    rejected(&mut server, &reject, "state-invalid");
}

#[test]
fn over_udp_and_for_another_device() {
    let place = radius_udp::place();
    let mut server = place.start();
    let password = place.text("alice.password");
    let nas = Nas::new(&server);
    let over_udp = |id, password: Option<&str>, state: Option<&[u8]>| {
        nas.ask(
            &nas.request(Code::ACCESS_REQUEST, id, true, |packet, secret| {
                fill(packet, secret, "alice", password, state);
            }),
        )
    };
    let state = asked(&over_udp(1, None, None));
    // old-sw7 was asked, not core1.
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let reject = device.ask(&login(1, "alice", Some(&password), Some(&state)));
    rejected(&mut server, &reject, "state-foreign");
    // From another port it is the same device.
    let accept = over_udp(2, Some(&password), Some(&state));
    assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
}

#[test]
fn our_client_answers_with_reply_and_tells_where_nobody_does() {
    let place = Place::demo();
    let server = place.start();
    let ask = |arguments: &[&str]| {
        let mut child = doorward()
            .args(["radius", "access", "--json", "--server"])
            .arg(server.address("radius-tls").to_string())
            .args(AS_CORE1)
            .args(["--server-name", "aaa1.doorward.test", "--user", "alice"])
            .args(arguments)
            .current_dir(place.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // An empty password, where one is asked for; nobody is at a terminal.
        _ = child.stdin.take().unwrap().write_all(b"\n");
        let output = child.wait_with_output().unwrap();
        let said: Value = serde_json::from_str(&stdout(&output))
            .unwrap_or_else(|error| panic!("{error}: {}", all_said(&output)));
        (code(&output), said["status"].to_string(), all_said(&output))
    };
    let (ended, status, said) = ask(&["--reply", "file:alice.password"]);
    assert_eq!((ended, &*status), (0, "\"Access-Accept\""), "{said}");
    let (ended, status, said) = ask(&["--reply", "plain:wrong"]);
    assert_eq!((ended, &*status), (2, "\"Access-Reject\""), "{said}");
    let (ended, status, said) = ask(&[]);
    assert_eq!((ended, &*status), (3, "\"Access-Challenge\""), "{said}");
    for wanted in ["Password: ", "use --reply"] {
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn our_client_asks_whoever_sits_at_the_terminal() {
    let place = Place::demo();
    let server = place.start();
    let password = place.text("alice.password");
    // Twice an empty line, then the password.
    let steps =
        ["\n", "\n", &format!("{password}\n")].map(|line| ["Password: ", line].map(str::to_owned));
    let output = Command::new("python3")
        .args(["-c", TERMINAL, &serde_json::to_string(&steps).unwrap()])
        .arg(env!("CARGO_BIN_EXE_doorward"))
        .args(["radius", "access", "--server"])
        .arg(server.address("radius-tls").to_string())
        .args(AS_CORE1)
        .args(["--server-name", "aaa1.doorward.test", "--user", "alice"])
        .current_dir(place.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = all_said(&output);
    assert_eq!(code(&output), 0, "{shown}");
    assert!(shown.contains("alice is logged in"), "{shown}");
    // By the command itself, and by the server twice.
    assert_eq!(shown.matches("Password: ").count(), 3, "{shown}");
    assert!(!shown.contains(&password), "{shown}");
}
