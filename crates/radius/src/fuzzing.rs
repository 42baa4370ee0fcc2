//! Entry points for fuzzing. The targets in `fuzz/` call them, and so does an ordinary test with every file of the
//! corpus.

use alloc::vec::Vec;

use crate::attribute::{Attributes, kind};
use crate::build::{PacketBuilder, error_cause, protocol_error};
use crate::challenge::{Chap, MsChap2};
use crate::dictionary::{Dictionary, Hiding};
use crate::hop::{Backward, Forward, proxy_states};
use crate::rewrite::{AttributeName, Rewrite};
use crate::server::{Config, Event, Refusal, ServerConnection};
use crate::{Code, Header, Now, RawPacket, Secret, Transport, authenticator, hidden};

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

/// A request that a proxy passes on, and its octets as the answer that comes back; what goes on can go on once more.
pub fn radius_hop(data: &[u8]) {
    let Ok(packet) = RawPacket::new(data.to_vec()) else {
        return;
    };
    let (client, upstream) = (Secret::new(b"client"), Secret::RADSEC);
    let hiding = |vendor: Option<u32>, path: &[u8]| match (vendor, path) {
        (Some(529), [214]) => Hiding::Ascend,
        (Some(9), [200]) | (None, [241 | 245, 200]) => Hiding::TunnelPassword,
        _ => Hiding::None,
    };
    let name = |vendor, path: &[u8]| AttributeName {
        vendor,
        path: path.to_vec(),
    };
    let rewrite = Rewrite {
        allow: None,
        remove: Vec::from([name(Some(9), &[1]), name(None, &[241, 4])]),
        set: Vec::from([(name(None, &[1]), b"alice".to_vec())]),
        add: Vec::from([(name(Some(9), &[2]), b"added".to_vec())]),
    };
    if let Ok(mut forward) = Forward::new(&packet, &client, hiding)
        && let Ok(sent) = forward.build(1, [7; 16], 1, b"state", &upstream)
    {
        let sent = RawPacket::new(sent);
        let sent = sent.as_ref().ok().filter(|sent| {
            authenticator::request_is_right(sent, &upstream)
                && proxy_states(sent).last() == Some(&b"state"[..])
        });
        let again = sent.map(|sent| Forward::new(sent, &upstream, hiding));
        assert!(again.is_some_and(|again| again.is_ok()), "it goes on");
        forward.rewrite(&rewrite);
        _ = forward.build(1, [7; 16], 1, b"state", &upstream);
    }
    let request = Header {
        code: Code::ACCESS_REQUEST,
        ..*packet.header()
    };
    let mut answer = data.to_vec();
    if let Some(code) = answer.first_mut() {
        *code = Code::ACCESS_ACCEPT.0;
    }
    let Ok(answer) = RawPacket::new(answer) else {
        return;
    };
    if let Ok(mut backward) = Backward::new(&answer, &request, &upstream, hiding) {
        backward.rewrite(&rewrite);
        if let Ok(built) = backward.build(&request, [&b"state"[..]], 1, &client) {
            let built = RawPacket::new(built);
            assert!(built.is_ok_and(|built| {
                authenticator::answer_is_right(&built, &request.authenticator, &client)
                    && proxy_states(&built).eq([&b"state"[..]])
            }));
        }
    }
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
