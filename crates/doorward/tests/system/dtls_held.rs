//! An association over DTLS whose device is held until its OCSP responder has answered.

use doorward_radius::Code;

use crate::dtls::dtls;
use crate::dtls_device::{Dtls, Proof, status};
use crate::harness::PATIENCE;
use crate::ocsp::{CORE, Manner, asking};

/// Whether a datagram has a record after the change of keys.
fn is_encrypted(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some(head) = rest.get(..13) {
        if head[3..5] != [0, 0] {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([head[11], head[12]]));
        rest = rest.get(13 + length..).unwrap_or_default();
    }
    false
}

/// The end of the handshake is lost on its way to the device, which sends its own again (RFC 6347 section 4.2.4) and gets
/// it, although nobody knows yet whether it will be served. What it asks then waits like it.
#[test]
fn a_lost_end_of_the_handshake_comes_again_while_the_responder_thinks() {
    let (place, responder) = asking("ocsp = \"require\"");
    responder.set(Manner::Hesitate, &[('V', CORE)]);
    let server = place.start();
    let proof = Proof::Certificate("core1");
    let mut device = Dtls::new(&place, dtls(&server), "127.0.0.1", proof);
    device.flush();
    while !device.sent.iter().any(|datagram| is_encrypted(datagram)) {
        assert!(device.take(PATIENCE), "the server is silent");
        device.flush();
    }
    responder.is_asked();
    while !is_encrypted(&device.raw(PATIENCE).unwrap()) {}

    device.handshake().unwrap();
    let held: f64 = server
        .page()
        .series("doorward_handshakes_open")
        .map(|(_, value)| value)
        .sum();
    assert_eq!(held, 1.0);
    device.send(&status(7));
    responder.go_on.send(()).unwrap();
    let answer = device.receive();
    assert_eq!(
        (answer.header().id, answer.header().code),
        (7, Code::ACCESS_ACCEPT)
    );
}

/// It thinks that it is served, so that it hears when it is not.
#[test]
fn a_server_that_stops_says_goodbye_to_who_is_held() {
    let (place, responder) = asking("ocsp = \"require\"");
    responder.set(Manner::Hesitate, &[('V', CORE)]);
    let server = place.start();
    let proof = Proof::Certificate("core1");
    let mut device = Dtls::new(&place, dtls(&server), "127.0.0.1", proof);
    device.handshake().unwrap();
    responder.is_asked();
    assert_eq!(server.stop().0, Some(0));
    assert!(device.is_closed());
}
