//! `[fticks]`: a line for each login that was passed on and decided, to a receiver that may be down.

use std::io::Read;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use doorward_radius::attribute::kind;
use doorward_radius::{Code, Secret};
use serde_json::Value;

use crate::harness::{PATIENCE, Place, Server, code, stdout};
use crate::proxy::{Home, place_of};
use crate::radius::{pap, request};
use crate::radius_wire::Device;

/// A receiver of syslog at this address; what it gets, one message after the other.
fn receiver(listener: TcpListener) -> mpsc::Receiver<String> {
    let (sender, messages) = mpsc::channel();
    // It ends with the test's process, or with the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut text = String::new();
            stream.unwrap().read_to_string(&mut text).unwrap();
            let mut rest = &*text;
            while let Some((length, more)) = rest.split_once(' ') {
                let (message, after) = more.split_at(length.parse().unwrap());
                if sender.send(message.to_owned()).is_err() {
                    return;
                }
                rest = after;
            }
        }
    });
    messages
}

/// The demo with a home server over UDP, and the lines to a receiver at this port.
fn place(home: &Home, port: u16, fticks: &str) -> Place {
    let servers = format!("\"radius-udp://127.0.0.1:{}\"", home.port());
    let keys = format!("[fticks]\nto = \"tcp://127.0.0.1:{port}\"\ncountry = \"NL\"\n{fticks}\n");
    let place = place_of(&servers, "timeout = \"1s\"\n", &keys);
    std::fs::write(place.path("fticks.key"), "a-key-of-some-length\n").unwrap();
    place
}

/// HMAC-SHA256 of `aabbccddeeff` with that key, made with another program.
const HASH: &str = "4c38286e2ec91771a345f0680ef76db397a876991d9b8f8bf24faa3946233c3f";

fn login(id: u8, user: &str, operator: Option<&str>) -> Vec<u8> {
    request(Code::ACCESS_REQUEST, id, |packet| {
        packet.push(kind::USER_NAME, user.as_bytes()).unwrap();
        packet.push_password(b"secret", &Secret::RADSEC).unwrap();
        let station = b"AA-BB-CC-DD-EE-FF";
        packet.push(kind::CALLING_STATION_ID, station).unwrap();
        if let Some(operator) = operator {
            packet.push(126, operator.as_bytes()).unwrap();
        }
    })
}

fn decide(home: &Home, device: &mut Device, login: &[u8], code: Code) {
    device.send(login);
    let (asked, proxy) = home.receive();
    home.send(&home.answer(code, &asked, |_| {}), proxy);
    assert_eq!(device.receive().unwrap().header().code, code);
}

/// Accepted and rejected ones; no challenge, no login that nobody answered, none of a user of the file, no accounting.
#[test]
fn every_decision_of_a_home_server_is_one_line_and_nothing_else_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lines = receiver(listener);
    let home = Home::new();
    let place = place(&home, port, "key = \"file:fticks.key\"");
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let mut send = |login: &[u8], code| decide(&home, &mut device, login, code);
    send(&login(1, "carol@Example.ORG", None), Code::ACCESS_CHALLENGE);
    send(&login(2, "carol@Example.ORG", None), Code::ACCESS_ACCEPT);
    let operator = Some("1other.example");
    send(&login(3, "dave@example.org", operator), Code::ACCESS_REJECT);
    send(
        &crate::radius::accounting(4, 1, |packet| {
            packet.push(kind::USER_NAME, b"carol@example.org").unwrap();
        }),
        Code::ACCOUNTING_RESPONSE,
    );
    let ours = device.ask(&pap(5, "alice", &place.text("alice.password")));
    assert_eq!(ours.header().code, Code::ACCESS_ACCEPT);
    let unanswered = device.ask(&login(6, "erin@example.org", None));
    assert_eq!(unanswered.header().code, Code::PROTOCOL_ERROR);
    // A stop delivers what waits.
    let (_, log) = server.stop();
    assert!(!log.contains("[fticks]"), "{log}");
    let got: Vec<String> = lines.try_iter().collect();
    let said: Vec<&str> = got
        .iter()
        .map(|one| one.split_once(" fticks - ").unwrap().1)
        .collect();
    let line = |visited: &str, result: &str| {
        format!(
            "F-TICKS/eduroam/1.0#REALM=example.org#VISCOUNTRY=NL#VISINST={visited}#CSI={HASH}#RESULT={result}#"
        )
    };
    assert_eq!(said, [line("core1", "OK"), line("1other.example", "FAIL")]);
}

fn fticks(place: &Place) -> Value {
    let status = place.ask(&["status", "--json"]);
    assert_eq!(code(&status), 0);
    let status: Value = serde_json::from_str(&stdout(&status)).unwrap();
    let sinks = status["sinks"].as_array().unwrap().clone();
    let found = sinks.into_iter().find(|sink| sink["name"] == "fticks");
    found.unwrap()
}

fn until(place: &Place, wanted: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sink = fticks(place);
        if wanted(&sink) {
            return;
        }
        assert!(Instant::now() < deadline, "it stays at {sink}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Nobody listens: logins take no longer, the server says so, and a reload to a receiver that is there delivers what waited.
#[test]
fn a_receiver_that_is_down_delays_no_login() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = nobody.local_addr().unwrap().port();
    drop(nobody);
    let home = Home::new();
    let place = place(&home, down, "realm = \"example.net\"");
    let mut server: Server = place.start();
    server.wait_for_log(&["the receiver of [fticks] is down", "cannot be reached"]);
    let mut device = Device::core1(&place, &server);
    let began = Instant::now();
    for id in 1..=50 {
        let login = login(id, "carol@example.org", None);
        decide(&home, &mut device, &login, Code::ACCESS_ACCEPT);
    }
    // Each would wait for a second at least, if any did.
    assert!(began.elapsed() < Duration::from_secs(10), "{began:?}");
    until(&place, |sink| sink["depth"] == 50 && sink["up"] == false);
    server.wait_for("doorward_sink_up{sink=\"fticks\"}", 0.0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lines = receiver(listener);
    place.edit(&[(&format!(":{down}\""), &format!(":{port}\""))]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    until(&place, |sink| sink["delivered"] == 50 && sink["up"] == true);
    server.wait_for_log(&["the receiver of [fticks] is up again"]);
    let got: Vec<String> = lines.try_iter().collect();
    assert_eq!(got.len(), 50);
    let line = "#VISINST=1example.net#CSI=undisclosed#RESULT=OK#";
    assert!(got.iter().all(|one| one.ends_with(line)), "{got:?}");
    let text = "[fticks]\nto = ";
    let config = place.text("doorward.toml");
    let without = config.split_once(text).unwrap().0;
    std::fs::write(place.config(), without).unwrap();
    assert_eq!(code(&place.ask(&["reload"])), 0);
    let status = stdout(&place.ask(&["status", "--json"]));
    assert!(!status.contains("fticks"), "{status}");
}
