//! Disconnect-Request and CoA-Request down the connection that a device has opened (RFC 5176).

use std::process::{Child, Stdio};
use std::time::Duration;

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::{
    MessageAuthenticator, message_authenticator, request_is_right,
};
use doorward_radius::build::{PacketBuilder, error_cause, protocol_error};
use doorward_radius::{Code, RawPacket, Secret};

use crate::dtls::{dtls, place};
use crate::dtls_device::{Dtls, SILENCE};
use crate::harness::{Place, all_said, code, doorward, stderr, stdout};
use crate::radius_wire::{Device, End};

/// The command, under way.
fn order(place: &Place, arguments: &[&str]) -> Child {
    doorward()
        .arg("radius")
        .args(arguments)
        .args(["--config", "doorward.toml"])
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the device was told, which is signed in both ways, and its attributes by their numbers.
fn told(packet: &RawPacket, secret: &Secret) -> Vec<(u8, Vec<u8>)> {
    assert!(
        request_is_right(packet, secret),
        "the Request Authenticator"
    );
    let attributes = Attributes::new(packet.attributes()).unwrap();
    let signed = message_authenticator(packet, &attributes, None, secret);
    assert_eq!(signed, MessageAuthenticator::Right);
    let all = attributes.iter();
    all.map(|one| (one.kind, one.value.to_vec())).collect()
}

fn answer(code: Code, request: &RawPacket, cause: Option<u32>, secret: &Secret) -> Vec<u8> {
    let mut answer = PacketBuilder::answer(code, request.header());
    answer.message_authenticator().unwrap();
    if let Some(cause) = cause {
        answer.push_integer(kind::ERROR_CAUSE, cause).unwrap();
    }
    answer.finish(secret)
}

const ALICE: [&str; 3] = ["core1", "--attr", "User-Name=alice"];

#[test]
fn a_session_is_ended_and_changed_over_tls() {
    let place = Place::demo();
    let mut server = place.start();
    let secret = Secret::RADSEC;
    let mut device = Device::core1(&place, &server);
    device.ask(&crate::radius::status(0));
    let child = order(&place, &[&["disconnect"], &ALICE[..]].concat());
    let request = device.receive().unwrap();
    assert_eq!(request.header().code, Code::DISCONNECT_REQUEST);
    let attributes = told(&request, &secret);
    assert!(attributes.contains(&(kind::USER_NAME, b"alice".to_vec())));
    assert!(
        attributes
            .iter()
            .any(|(number, _)| *number == kind::EVENT_TIMESTAMP)
    );
    device.send(&answer(Code::DISCONNECT_ACK, &request, None, &secret));
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", all_said(&output));
    let said = stdout(&output);
    assert!(said.contains("core1 obeys (Disconnect-ACK"), "{said}");
    server.wait_for_log(&[
        "a device was told",
        "\"acknowledged\":true",
        "\"device\":\"core1\"",
    ]);

    let session = [
        "--attr",
        "Acct-Session-Id=0a1b",
        "--attr",
        "Session-Timeout=60",
        "--json",
    ];
    let child = order(&place, &[&["coa"], &ALICE[..], &session].concat());
    let request = device.receive().unwrap();
    assert_eq!(request.header().code, Code::COA_REQUEST);
    let attributes = told(&request, &secret);
    assert!(attributes.contains(&(27, 60_u32.to_be_bytes().to_vec())));
    let no_session = Some(503);
    device.send(&answer(Code::COA_NAK, &request, no_session, &secret));
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 2, "{}", all_said(&output));
    let said: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&said["result"], &said["status"]),
        (&"fail".into(), &"CoA-NAK".into())
    );
    assert!(
        said["why"]
            .as_str()
            .unwrap()
            .contains("session context not found (Error-Cause 503)"),
        "{said}"
    );

    // A device that knows no such packets says so, and the connection goes on.
    let child = order(&place, &[&["coa"], &ALICE[..]].concat());
    let request = device.receive().unwrap();
    device.send(&protocol_error(
        request.header(),
        error_cause::UNSUPPORTED_EXTENSION,
        &secret,
    ));
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", all_said(&output));
    assert!(
        stderr(&output).contains("does not know such packets"),
        "{}",
        stderr(&output)
    );
    device.ask(&crate::radius::status(1));
}

/// Who owes the answer to an order is not idle, and its connection no room for another one.
#[test]
fn a_connection_whose_answer_is_awaited_does_not_give_way() {
    let line = "protocol = \"radius-tls\" ";
    let keys = format!("max_connections = 1\nmake_room = true\n{line}");
    let place = Place::with(&[(line, &keys)]);
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    device.ask(&crate::radius::status(0));
    let child = order(&place, &[&["disconnect"], &ALICE[..]].concat());
    let request = device.receive().unwrap();
    // The listener takes the connection and turns it away.
    let mut other = crate::wire::tcp(server.address("radius-tls"));
    let turned_away = std::io::Read::read(&mut other, &mut [0]);
    assert!(matches!(turned_away, Ok(0) | Err(_)), "{turned_away:?}");
    server.wait_for_log(&["\"reason\":\"too-many-connections\""]);
    let answer = answer(Code::DISCONNECT_ACK, &request, None, &Secret::RADSEC);
    device.send(&answer);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", all_said(&output));

    // Now it is idle.
    let mut next = Device::core1(&place, &server);
    next.ask(&crate::radius::status(0));
    server.wait_for_log(&["\"reason\":\"made-room\""]);
}

/// The packet is the same each time, and the record another.
#[test]
fn an_order_without_an_answer_is_given_again_over_dtls() {
    let place = place("");
    let server = place.start();
    let mut device = Dtls::core1(&place, dtls(&server));
    assert!(device.is_served());
    let child = order(&place, &[&["disconnect"], &ALICE[..]].concat());
    let mut datagrams = Vec::new();
    let mut packets = Vec::new();
    for _ in 0..2 {
        let datagram = device.raw(Duration::from_secs(8)).unwrap();
        device.feed(&datagram);
        datagrams.push(datagram);
        packets.push(device.receive());
    }
    assert_eq!(packets[0].octets(), packets[1].octets());
    assert_ne!(datagrams[0], datagrams[1]);
    told(&packets[0], &Secret::RADIUS_DTLS);
    let ack = answer(
        Code::DISCONNECT_ACK,
        &packets[1],
        None,
        &Secret::RADIUS_DTLS,
    );
    device.send(&ack);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", all_said(&output));
    // An answer that comes again is one that nobody asked for.
    device.send(&ack);
    assert!(device.receive_within(SILENCE).is_none());
    assert!(device.is_served());

    // One that never answers is given up, and its late answer changes nothing.
    let patience = ["--timeout", "1"];
    let child = order(&place, &[&["disconnect"], &ALICE[..], &patience].concat());
    let request = device.receive();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", all_said(&output));
    assert!(
        stderr(&output).contains("did not answer in time"),
        "{}",
        stderr(&output)
    );
    device.send(&answer(
        Code::DISCONNECT_ACK,
        &request,
        None,
        &Secret::RADIUS_DTLS,
    ));
    assert!(device.is_served());
}

#[test]
fn what_cannot_be_told_is_told_of() {
    let place = Place::demo();
    let server = place.start();
    let cases: [(&[&str], i32, &str); 5] = [
        (
            &["disconnect", "core1", "--attr", "User-Name=alice"],
            3,
            "no RadSec connection open",
        ),
        (
            &["disconnect", "core9", "--attr", "User-Name=alice"],
            64,
            "there is no [device.core9]",
        ),
        (
            &["coa", "core1", "--attr", "Usr-Name=alice"],
            64,
            "Usr-Name",
        ),
        (
            &["coa", "core1", "--attr", "User-Password=x"],
            64,
            "User-Password",
        ),
        (&["coa", "core1"], 64, "--attr"),
    ];
    for (arguments, wanted, text) in cases {
        let output = order(&place, arguments).wait_with_output().unwrap();
        let said = all_said(&output);
        assert_eq!(code(&output), wanted, "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
    // The connection ends before the device has answered.
    let mut device = Device::core1(&place, &server);
    device.ask(&crate::radius::status(0));
    let child = order(&place, &[&["disconnect"], &ALICE[..]].concat());
    device.receive().unwrap();
    device.close();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", all_said(&output));
    assert!(
        stderr(&output).contains("ended before it answered"),
        "{}",
        stderr(&output)
    );
}

/// An answer that does not prove itself closes the connection, as any packet of that kind does.
#[test]
fn a_forged_answer_closes_the_connection() {
    let place = Place::demo();
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    device.ask(&crate::radius::status(0));
    let child = order(&place, &[&["disconnect"], &ALICE[..]].concat());
    let request = device.receive().unwrap();
    let mut forged = answer(Code::DISCONNECT_ACK, &request, None, &Secret::RADSEC);
    forged[4] ^= 1;
    device.send(&forged);
    assert_eq!(device.end(), End::Orderly);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", all_said(&output));
    server.wait_for_log(&["\"reason\":\"radius-authenticator\"", "Disconnect-ACK"]);
}
