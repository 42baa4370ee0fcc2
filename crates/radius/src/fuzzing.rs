//! Entry points for fuzzing. The targets in `fuzz/` call them, and so does an ordinary test with every file of the
//! corpus.

use alloc::vec::Vec;

use crate::attribute::{Attributes, kind};
use crate::build::{PacketBuilder, error_cause, protocol_error};
use crate::challenge::{Chap, MsChap2};
use crate::dictionary::Dictionary;
use crate::server::{Config, Event, Refusal, ServerConnection};
use crate::{Code, Now, RawPacket, Secret, Transport, authenticator, hidden};

/// Everything that reads a packet.
pub fn radius_packet(data: &[u8]) {
    let Ok(packet) = RawPacket::new(data.to_vec()) else {
        return;
    };
    let Ok(attributes) = Attributes::new(packet.attributes()) else {
        return;
    };
    let secret = Secret::new(b"radsec");
    let header = packet.header();
    let octets: usize = attributes.iter().map(|one| one.value.len() + 2).sum();
    assert_eq!(octets, packet.attributes().len(), "no octet is left out");
    _ = authenticator::request_is_right(&packet, &secret);
    _ = authenticator::message_authenticator(&packet, &attributes, None, &secret);
    _ = Chap::of(&attributes, &header.authenticator).map(|chap| chap.verify(b"secret"));
    _ = MsChap2::of(&attributes).map(|response| response.success(b"alice", b"secret"));
    _ = attributes.eap();
    for attribute in &attributes {
        _ = attribute.vendor().map(|(_, inner)| inner.iter().count());
        _ = attributes.of_long_extended(attribute.kind, 1);
        _ = hidden::reveal_password(attribute.value, &header.authenticator, &secret);
        _ = hidden::reveal_salted(attribute.value, &header.authenticator, &secret);
    }
    let answer = protocol_error(header, error_cause::UNSUPPORTED_EXTENSION, &secret);
    let answer = RawPacket::new(answer);
    assert!(answer.is_ok_and(|answer| {
        authenticator::answer_is_right(&answer, &header.authenticator, &secret)
    }));
}

/// A stream of octets for the accepting side, in pieces whose sizes the first octets say; what can be answered is.
pub fn radius_server_connection(data: &[u8]) {
    let Some((sizes, mut stream)) = data.split_first_chunk::<4>() else {
        return;
    };
    let secret = Secret::new(b"radsec");
    let mut connection = ServerConnection::new(Config::new(Transport::Tls), Now::default());
    let mut sent = 0_usize;
    for size in sizes.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(stream.len().min(usize::from(*size).max(1)));
        stream = rest;
        connection.receive(piece, Now::default());
        while let Some(event) = connection.poll() {
            let Event::Request { ticket, packet } = event else {
                continue;
            };
            let Ok(attributes) = Attributes::new(packet.attributes()) else {
                connection.refuse(ticket, Refusal::Malformed);
                continue;
            };
            if attributes.first(kind::STATE).is_some() {
                connection.discard(ticket);
                continue;
            }
            let answer = PacketBuilder::answer(Code::ACCESS_REJECT, packet.header());
            _ = connection.answer(ticket, answer.finish(&secret), Now::default());
        }
        while let Some(packet) = connection.poll_transmit() {
            sent = sent.saturating_add(packet.octets().len());
        }
    }
    // Every answer has 20 octets and a request that has as many.
    assert!(sent <= data.len(), "more was answered than asked");
}

/// A dictionary file, and its names.
pub fn radius_dictionary(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let mut dictionary = Dictionary::default();
    let mut include = |_: &str| Err("no files here".into());
    if dictionary.load("fuzz", text, &mut include).is_err() {
        return;
    }
    let names: Vec<_> = dictionary
        .attributes()
        .map(|one| one.name.clone())
        .collect();
    for name in names {
        assert!(
            dictionary.by_name(&name).is_some(),
            "a name that was read is found"
        );
        _ = dictionary.parse_pair(&name, "1");
    }
}
