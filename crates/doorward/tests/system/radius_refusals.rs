//! What the log says of RADIUS requests that were denied or not answered, whatever they are padded with.

use doorward_radius::Code;
use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::PacketBuilder;

use crate::harness::{Place, stdout};
use crate::radius::{accounting, request, secret, status};
use crate::radius_wire::Device;

/// A login without any credentials, which is rejected at once, and its Proxy-State with it.
fn empty(id: u8) -> Vec<u8> {
    request(Code::ACCESS_REQUEST, id, pad)
}

/// A record and its short answer outlive a flood of long answers on the same connection; of those the last ones are kept.
#[test]
fn a_flood_of_long_answers_costs_no_record() {
    let place = Place::demo();
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let record = accounting(200, 1, |packet| {
        packet.push(kind::USER_NAME, b"alice").unwrap();
    });
    let kept = device.ask(&record);
    for id in 0..40 {
        assert_eq!(device.ask(&empty(id)).header().code, Code::ACCESS_REJECT);
    }
    assert_eq!(device.ask(&record).octets(), kept.octets());
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    assert_eq!(records.lines().count(), 1, "{records}");
    // The last one is known, the first one is judged once more.
    device.ask(&empty(39));
    device.ask(&empty(0));
    let (_, log) = server.stop();
    let judged = log.matches("\"reason\":\"flow-not-offered\"").count();
    assert_eq!(judged, 41, "{log}");
}

/// Proxy-State until nothing more goes into the packet.
fn pad(packet: &mut PacketBuilder) {
    let all = [7; 253];
    while packet.push(kind::PROXY_STATE, &all).is_ok() {}
    let fits = |part: &&[u8]| packet.push(kind::PROXY_STATE, part).is_ok();
    let mut parts = (0..253).rev().map(|length| &all[..length]);
    parts.find(fits);
}

#[test]
fn a_guess_that_is_padded_is_rejected_and_seen() {
    let message = "m".repeat(200);
    let place = Place::with(&[(
        "[metrics]",
        &format!("[authentication]\nfail_message = \"{message}\"\n\n[metrics]"),
    )]);
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    let guess = |id, padded: bool| {
        request(Code::ACCESS_REQUEST, id, |packet| {
            packet.push(kind::USER_NAME, b"alice").unwrap();
            packet.push_password(b"wrong", &secret()).unwrap();
            if padded {
                pad(packet);
            }
        })
    };
    let short = device.ask(&guess(1, false));
    let attributes = Attributes::new(short.attributes()).unwrap();
    let said: Vec<u8> = attributes
        .all(kind::REPLY_MESSAGE)
        .flatten()
        .copied()
        .collect();
    assert_eq!(said, message.as_bytes());
    let full = guess(2, true);
    assert!(full.len() > 4090, "{}", full.len());
    let reject = device.ask(&full);
    assert_eq!(reject.header().code, Code::ACCESS_REJECT);
    let attributes = Attributes::new(reject.attributes()).unwrap();
    assert_eq!(attributes.first(kind::REPLY_MESSAGE), None);
    let states: usize = attributes.all(kind::PROXY_STATE).map(<[u8]>::len).sum();
    assert!(states > 3900, "all of it came back: {states}");
    server.wait_for_logs(&["\"reason\":\"password-wrong\"", "\"user\":\"alice\""], 2);

    // So full that no reject fits: not answered, and the reason is kept all the same.
    let mut nothing = PacketBuilder::request(Code::ACCESS_REQUEST, 3, [3; 16]);
    pad(&mut nothing);
    device.send(&nothing.finish(&secret()));
    assert_eq!(device.ask(&status(4)).header().code, Code::ACCESS_ACCEPT);
    server.wait_for_log(&["\"reason\":\"flow-not-offered\""]);
    server.wait_for_log(&["\"reason\":\"radius-answer\"", "core1"]);
    let (_, log) = server.stop();
    assert!(!log.contains("answer-too-long"), "{log}");
    let denied = stdout(&place.ask(&["audit", "search", "--json", "--user", "alice"]));
    assert_eq!(denied.matches("password-wrong").count(), 2, "{denied}");
}

#[test]
fn a_record_with_an_invalid_name_is_refused_for_its_name() {
    let place = Place::demo();
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    device.send(&accounting(1, 1, |packet| {
        packet.push(kind::USER_NAME, b"al\x1b[2Jice").unwrap();
    }));
    device.send(&accounting(2, 99, |_| {}));
    assert_eq!(device.ask(&status(3)).header().code, Code::ACCESS_ACCEPT);
    server.wait_for_log(&["\"reason\":\"radius-record\"", "Acct-Status-Type 99"]);
    let line = server.wait_for_log(&["\"reason\":\"radius-record\"", "is no valid name"]);
    // An escape of ours, within one of JSON.
    assert!(line.contains(r"al\\u{1b}[2Jice"), "{line}");
    assert!(!line.contains("Acct-Status-Type 1"), "{line}");
    assert_eq!(stdout(&place.ask(&["acct", "search", "--json"])), "");
}
