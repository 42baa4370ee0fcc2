use alloc::vec;
use std::format;

use super::*;
use crate::authenticator::{
    MessageAuthenticator, answer_is_right, message_authenticator, request_is_right,
};
use crate::challenge::{Chap, MICROSOFT, chap};
use crate::hidden::{hide_password, hide_salted, mask_ascend, reveal_password, reveal_salted};

mod edits;

const RANDOM: [u8; 16] = [0xa5; 16];
const ASCEND: u32 = 529;

/// Types and values.
type Given<'a> = &'a [(u8, &'a [u8])];

/// As the dictionary of the product says, and a few of other vendors.
fn hiding(vendor: Option<u32>, path: &[u8]) -> Hiding {
    match (vendor, path) {
        (Some(ASCEND), [214]) => Hiding::Ascend,
        (Some(9), [200]) => Hiding::TunnelPassword,
        (Some(9), [201]) => Hiding::UserPassword,
        (None, [241, 200] | [245, 200]) => Hiding::TunnelPassword,
        _ => Hiding::None,
    }
}

fn client() -> Secret {
    Secret::new(b"of the client")
}

fn upstream() -> Secret {
    Secret::RADSEC
}

fn of(vendor: u32, number: u8) -> AttributeName {
    AttributeName {
        vendor: Some(vendor),
        path: vec![number],
    }
}

/// A packet as it is received, of whatever the builder is given.
fn packet(mut builder: PacketBuilder, secret: &Secret, attributes: &[(u8, &[u8])]) -> RawPacket {
    for (kind, value) in attributes {
        if *kind == kind::MESSAGE_AUTHENTICATOR {
            builder.message_authenticator().unwrap();
        } else if *kind == kind::USER_PASSWORD {
            builder.push_password(value, secret).unwrap();
        } else {
            builder.push(*kind, value).unwrap();
        }
    }
    RawPacket::new(builder.finish(secret)).unwrap()
}

fn request(code: Code, attributes: &[(u8, &[u8])]) -> RawPacket {
    packet(
        PacketBuilder::request(code, 7, [0x11; 16]),
        &client(),
        attributes,
    )
}

/// What the upstream gets of it, once it was judged.
fn forwarded(packet: &RawPacket) -> RawPacket {
    let forward = Forward::new(packet, &client(), hiding).unwrap();
    let sent = forward
        .build(9, RANDOM, 77, b"ours", &upstream())
        .expect("it has room");
    let sent = RawPacket::new(sent).unwrap();
    assert!(request_is_right(&sent, &upstream()));
    assert_ne!(signed(&sent, None), MessageAuthenticator::Wrong);
    assert_eq!((sent.header().id, sent.header().code), (9, forward.code()));
    sent
}

fn signed(packet: &RawPacket, request: Option<&[u8; 16]>) -> MessageAuthenticator {
    let attributes = Attributes::new(packet.attributes()).unwrap();
    message_authenticator(packet, &attributes, request, &upstream())
}

fn attributes(packet: &RawPacket) -> Vec<(u8, &[u8])> {
    let attributes = Attributes::new(packet.attributes()).unwrap();
    attributes.iter().map(|one| (one.kind, one.value)).collect()
}

fn first(packet: &RawPacket, kind: u8) -> Option<&[u8]> {
    Attributes::new(packet.attributes()).unwrap().first(kind)
}

/// The answer of the upstream to `sent` on its way to the client, who asked `asked`.
fn returned(
    asked: &RawPacket,
    sent: &RawPacket,
    code: Code,
    attributes: &[(u8, &[u8])],
) -> RawPacket {
    let answer = packet(
        PacketBuilder::answer(code, sent.header()),
        &upstream(),
        attributes,
    );
    let backward = Backward::new(&answer, sent.header(), &upstream(), hiding).unwrap();
    assert_eq!(backward.code(), code);
    let built = backward.build(asked.header(), proxy_states(asked), 0xffff, &client());
    let back = RawPacket::new(built.unwrap()).unwrap();
    assert_eq!(back.header().id, asked.header().id);
    assert!(answer_is_right(
        &back,
        &asked.header().authenticator,
        &client()
    ));
    back
}

/// RFC 2865 section 2.3: a password is hidden anew, everything else passes in its order, and Proxy-State is the last.
#[test]
fn a_password_is_hidden_anew() {
    for password in [&b""[..], b"arctangent", &[0xff; 128]] {
        let asked = request(
            Code::ACCESS_REQUEST,
            &[
                (1, b"alice"),
                (2, password),
                (25, b"\0c"),
                (33, b"theirs"),
                (250, b"who knows"),
                (25, b""),
            ],
        );
        let sent = forwarded(&asked);
        let hidden = first(&sent, 2).unwrap();
        let revealed = reveal_password(hidden, &RANDOM, &upstream()).unwrap();
        assert_eq!(&**revealed, password);
        let all = attributes(&sent);
        let kinds: Vec<u8> = all.iter().map(|one| one.0).collect();
        assert_eq!(kinds, [80, 1, 2, 25, 33, 250, 25, 33]);
        assert_eq!(signed(&sent, None), MessageAuthenticator::Right);
        let kept: Vec<_> = all.iter().skip(3).map(|one| one.1).collect();
        assert_eq!(
            kept,
            [&b"\0c"[..], b"theirs", b"who knows", b"", b"ours"].to_vec()
        );
    }
}

/// The octets are the same again where nothing of the hop is different, and where the secret is empty.
#[test]
fn hops_may_have_the_same_secret() {
    for secret in [Secret::new(b""), upstream()] {
        let asked = packet(
            PacketBuilder::request(Code::ACCESS_REQUEST, 7, RANDOM),
            &secret,
            &[(80, b""), (1, b"alice"), (2, b"twice"), (26, b"odd")],
        );
        let forward = Forward::new(&asked, &secret, hiding).unwrap();
        let sent = forward.build(7, RANDOM, 1, b"", &secret).unwrap();
        assert_eq!(sent, asked.octets());
    }
}

/// RFC 2865 section 2.2: the authenticator that was the challenge goes along, once, behind the CHAP-Password.
#[test]
fn chap_keeps_its_challenge() {
    let answer = |challenge: &[u8]| {
        let mut value = vec![5];
        value.extend_from_slice(&chap(5, challenge, b"password"));
        value
    };
    let (implied, own) = (answer(&[0x11; 16]), answer(b"their own"));
    let cases: [(Given<'_>, &[u8]); 2] = [
        (&[(3, &implied), (1, b"alice")], &[80, 3, 60, 1, 33]),
        (
            &[(60, b"their own"), (3, &own), (1, b"alice")],
            &[80, 60, 3, 1, 33],
        ),
    ];
    for (given, kinds) in cases {
        let asked = request(Code::ACCESS_REQUEST, given);
        let sent = forwarded(&asked);
        let all: Vec<u8> = attributes(&sent).iter().map(|one| one.0).collect();
        assert_eq!(all, kinds);
        let attributes = Attributes::new(sent.attributes()).unwrap();
        let chap = Chap::of(&attributes, &sent.header().authenticator).unwrap();
        assert!(chap.verify(b"password"));
    }
}

/// RFC 2548 section 2.4 and RFC 2868 section 3.5: keys and Tunnel-Passwords get new salts, tags stay.
#[test]
fn keys_are_hidden_anew_with_salts_of_their_own() {
    let asked = request(Code::ACCESS_REQUEST, &[(1, b"alice")]);
    let sent = forwarded(&asked);
    let hide = |value: &[u8], salt| hide_salted(value, salt, &RANDOM, &upstream()).unwrap();
    let sub = |number: u8, value: &[u8]| {
        let length = u8::try_from(value.len() + 2).unwrap();
        [&[number, length], value].concat()
    };
    let (send, receive) = (sub(16, &hide(&[1; 32], 9)), sub(17, &hide(&[2; 32], 10)));
    let keys = [&MICROSOFT.to_be_bytes()[..], &send, &receive].concat();
    let tunnel = [&[3][..], &hide(b"tunnel", 11)].concat();
    let cisco = [&9_u32.to_be_bytes()[..], &sub(200, &hide(b"untagged", 12))].concat();
    let extended = [&[200][..], &hide(b"extended", 13)].concat();
    let long = [&[200, 0][..], &hide(b"long", 14)].concat();
    let ascend = mask_ascend(b"ascend", &RANDOM, &upstream()).unwrap();
    let ascend = [&ASCEND.to_be_bytes()[..], &sub(214, &ascend)].concat();
    let back = returned(
        &asked,
        &sent,
        Code::ACCESS_ACCEPT,
        &[
            (26, &keys),
            (69, &tunnel),
            (26, &cisco),
            (241, &extended),
            (245, &long),
            (26, &ascend),
        ],
    );
    let all = attributes(&back);
    let kinds: Vec<u8> = all.iter().map(|one| one.0).collect();
    assert_eq!(kinds, [80, 26, 69, 26, 241, 245, 26]);
    let there = Attributes::new(back.attributes()).unwrap();
    let authenticator = &asked.header().authenticator;
    let mut salts = Vec::new();
    let mut reveal = |value: &[u8]| {
        salts.push([value[0], value[1]]);
        reveal_salted(value, authenticator, &client())
            .unwrap()
            .to_vec()
    };
    let mut one = |vendor, number| reveal(there.of_vendor(vendor, number).next().unwrap());
    assert_eq!(one(MICROSOFT, 16), [1; 32]);
    assert_eq!(one(MICROSOFT, 17), [2; 32]);
    assert_eq!(one(9, 200), b"untagged");
    assert_eq!(all[2].1[0], 3);
    assert_eq!(reveal(&all[2].1[1..]), b"tunnel");
    assert_eq!(reveal(&all[4].1[1..]), b"extended");
    assert_eq!(reveal(&all[5].1[2..]), b"long");
    let secret = there.of_vendor(ASCEND, 214).next().unwrap();
    let secret = mask_ascend(secret, authenticator, &client()).unwrap();
    assert_eq!(&**secret, b"ascend");
    let distinct: std::collections::BTreeSet<_> = salts.iter().collect();
    assert_eq!(distinct.len(), 6);
    assert!(salts.iter().all(|salt| salt[0] & 0x80 != 0));
    assert_eq!(salts[0], [0xff, 0xff], "the first is that of the caller");
}

/// RFC 2548 section 2.4.1: MS-CHAP-MPPE-Keys are hidden as a password is, and may end with zeros.
#[test]
fn what_is_hidden_like_a_password_keeps_its_zeros() {
    let asked = request(Code::ACCESS_REQUEST, &[(1, b"alice")]);
    let sent = forwarded(&asked);
    let keys = [&[7; 8][..], &[0; 24]].concat();
    let hidden = hide_password(&keys, &RANDOM, &upstream()).unwrap();
    let value = [&MICROSOFT.to_be_bytes()[..], &[12, 34], &hidden].concat();
    let back = returned(&asked, &sent, Code::ACCESS_ACCEPT, &[(26, &value)]);
    let there = Attributes::new(back.attributes()).unwrap();
    let hidden = there.of_vendor(MICROSOFT, 12).next().unwrap();
    let anew = hide_password(&keys, &asked.header().authenticator, &client()).unwrap();
    assert_eq!(hidden, anew);
}

/// The authenticator of such a request is made of the hidden values: zeros stand in its place.
#[test]
fn orders_may_carry_hidden_values() {
    let hidden = hide_salted(b"tunnel", 1, &[0; 16], &client()).unwrap();
    let value = [&[1][..], &hidden].concat();
    let asked = request(Code::COA_REQUEST, &[(1, b"alice"), (69, &value), (80, b"")]);
    let sent = forwarded(&asked);
    let kinds: Vec<u8> = attributes(&sent).iter().map(|one| one.0).collect();
    assert_eq!(kinds, [1, 69, 80, 33], "signed where it was");
    assert_eq!(signed(&sent, None), MessageAuthenticator::Right);
    let value = first(&sent, 69).unwrap();
    let revealed = reveal_salted(&value[1..], &[0; 16], &upstream()).unwrap();
    assert_eq!(&**revealed, b"tunnel");
}

/// RFC 3579 section 3.1: the parts of an EAP packet stay together and as they are.
#[test]
fn eap_passes_in_its_parts() {
    let parts = [[1; 253], [2; 253]];
    let asked = request(
        Code::ACCESS_REQUEST,
        &[
            (1, b"alice"),
            (79, &parts[0]),
            (79, &parts[1]),
            (79, b"end"),
            (24, b"state"),
            (80, b""),
        ],
    );
    let sent = forwarded(&asked);
    let there = Attributes::new(sent.attributes()).unwrap();
    assert_eq!(
        there.eap().unwrap(),
        [&parts.concat()[..], b"end"].concat().as_slice()
    );
    let kinds: Vec<u8> = attributes(&sent).iter().map(|one| one.0).collect();
    assert_eq!(kinds, [80, 1, 79, 79, 79, 24, 33]);
    let back = returned(
        &asked,
        &sent,
        Code::ACCESS_CHALLENGE,
        &[(79, b"more"), (24, b"\0")],
    );
    let kinds: Vec<u8> = attributes(&back).iter().map(|one| one.0).collect();
    assert_eq!(kinds, [80, 79, 24]);
}

/// RFC 2865 section 5.33: each proxy appends its own, and the client gets back what it sent, whatever the upstream answers.
#[test]
fn proxy_states_pass_two_proxies() {
    let asked = request(
        Code::ACCOUNTING_REQUEST,
        &[(33, b"a"), (1, b"alice"), (33, b"b")],
    );
    let sent = forwarded(&asked);
    assert_eq!(
        proxy_states(&sent).collect::<Vec<_>>(),
        [&b"a"[..], b"b", b"ours"]
    );
    let second = Forward::new(&sent, &upstream(), hiding).unwrap();
    let last = second.build(1, RANDOM, 0, b"next", &client()).unwrap();
    let last = RawPacket::new(last).unwrap();
    let states: Vec<_> = proxy_states(&last).collect();
    assert_eq!(states, [&b"a"[..], b"b", b"ours", b"next"]);
    assert!(request_is_right(&last, &client()));
    assert_eq!(signed(&last, None), MessageAuthenticator::Absent);
    for given in [
        vec![(33, &b"b"[..]), (33, b"forged"), (18, b"hello"), (33, b"a")],
        vec![(18, &b"hello"[..])],
    ] {
        let back = returned(&asked, &sent, Code::ACCOUNTING_RESPONSE, &given);
        let all = attributes(&back);
        assert_eq!(all, [(18, &b"hello"[..]), (33, b"a"), (33, b"b")]);
    }
    assert_eq!(proxy_states(&request(Code::ACCESS_REQUEST, &[])).count(), 0);
}

/// RFC 3579 section 3.2: answers to an Access-Request are signed with its authenticator; of others only what was, and no
/// Accounting-Response, since the two sides may not agree how.
#[test]
fn answers_are_signed_anew() {
    let sides = [
        (Code::ACCESS_REQUEST, Code::ACCESS_REJECT, false, true),
        (Code::DISCONNECT_REQUEST, Code::DISCONNECT_NAK, false, false),
        (Code::COA_REQUEST, Code::COA_ACK, true, true),
        (
            Code::ACCOUNTING_REQUEST,
            Code::ACCOUNTING_RESPONSE,
            true,
            false,
        ),
    ];
    for (asks, answers, had, has) in sides {
        let asked = request(asks, &[(1, b"alice")]);
        let sent = forwarded(&asked);
        let given: &[(u8, &[u8])] = &[(18, b"hello"), (80, b"")];
        let given = given.get(..if had { 2 } else { 1 }).unwrap();
        let back = returned(&asked, &sent, answers, given);
        let there = Attributes::new(back.attributes()).unwrap();
        let request = Some(&asked.header().authenticator);
        let wanted = if has {
            MessageAuthenticator::Right
        } else {
            MessageAuthenticator::Absent
        };
        assert_eq!(
            message_authenticator(&back, &there, request, &client()),
            wanted
        );
    }
}

/// RFC 5997 section 4.5 and RFC 7930 section 4, and codes that do not belong there.
#[test]
fn packets_of_one_hop_do_not_go_on() {
    let forward = |code| Forward::new(&request(code, &[]), &client(), hiding).map(|_| ());
    assert_eq!(forward(Code::STATUS_SERVER), Err(HopError::HopByHop));
    assert_eq!(forward(Code::PROTOCOL_ERROR), Err(HopError::HopByHop));
    for code in [Code::ACCESS_ACCEPT, Code(99)] {
        assert_eq!(forward(code), Err(HopError::Code(code)));
    }
    let backward = |asked, code| {
        let asked = request(asked, &[]);
        let answer = packet(
            PacketBuilder::answer(code, asked.header()),
            &upstream(),
            &[],
        );
        Backward::new(&answer, asked.header(), &upstream(), hiding).map(|_| ())
    };
    let refused = backward(Code::ACCESS_REQUEST, Code::PROTOCOL_ERROR);
    assert_eq!(refused, Err(HopError::HopByHop));
    let refused = backward(Code::STATUS_SERVER, Code::ACCESS_ACCEPT);
    assert_eq!(refused, Err(HopError::HopByHop));
    let refused = backward(Code::ACCOUNTING_REQUEST, Code::ACCESS_ACCEPT);
    assert_eq!(refused, Err(HopError::Code(Code::ACCESS_ACCEPT)));
}

/// What another secret hid, or nothing did, is not passed on; a long value has no hidden parts.
#[test]
fn values_that_cannot_be_revealed_are_refused() {
    let error = |attributes: &[(u8, &[u8])]| {
        let answer = packet(
            PacketBuilder::answer(
                Code::ACCESS_ACCEPT,
                request(Code::ACCESS_REQUEST, &[]).header(),
            ),
            &upstream(),
            attributes,
        );
        let asked = request(Code::ACCESS_REQUEST, &[]);
        Backward::new(&answer, asked.header(), &upstream(), hiding).map(|_| ())
    };
    let name = |vendor, path: &[u8]| {
        let path = path.to_vec();
        Err(HopError::Hidden(AttributeName { vendor, path }))
    };
    assert_eq!(error(&[(69, b"in clear")]), name(None, &[69]));
    let other = hide_salted(b"x", 1, &[0x11; 16], &Secret::new(b"other!")).unwrap();
    let plain = [&[0][..], &other].concat();
    assert_eq!(error(&[(69, &plain)]), name(None, &[69]));
    let keys = [&MICROSOFT.to_be_bytes()[..], &[1, 3, 0, 17, 4, 1, 2]].concat();
    assert_eq!(error(&[(26, &keys)]), name(Some(MICROSOFT), &[17]));
    let odd = [&ASCEND.to_be_bytes()[..], &[214, 19], &[1; 17]].concat();
    assert_eq!(error(&[(26, &odd)]), name(Some(ASCEND), &[214]));
    assert_eq!(error(&[(245, &[200, 0x80, 1])]), name(None, &[245, 200]));
    let shown = format!("{}", error(&[(26, &keys)]).unwrap_err());
    assert!(shown.contains("26.311.17"), "{shown}");
}

/// RFC 2865 section 3: 4096 octets are all there is, also for the Proxy-State.
#[test]
fn a_packet_that_grows_too_long_is_not_built() {
    // 20 of the header, 18 of Message-Authenticator, 15 times 255.
    let mut given: Vec<(u8, &[u8])> = vec![(80, b"")];
    given.extend([(25, &[9; 253][..]); 15]);
    let fill = vec![9; 4096 - 20 - 18 - 15 * 255 - 2 - 6];
    given.push((25, &fill));
    let forward = Forward::new(&request(Code::ACCESS_REQUEST, &given), &client(), hiding).unwrap();
    let built = |state: &[u8]| forward.build(1, RANDOM, 0, state, &upstream());
    assert_eq!(built(b"ours").map(|octets| octets.len()), Ok(4096));
    assert_eq!(built(b"ours!"), Err(BuildError::Full));
    // Without Message-Authenticator, it has to get one.
    given[0] = (25, &[9; 16]);
    let forward = Forward::new(&request(Code::ACCESS_REQUEST, &given), &client(), hiding).unwrap();
    let built = forward.build(1, RANDOM, 0, b"ours", &upstream());
    assert_eq!(built, Err(BuildError::Full));
}

/// Neither passwords nor what another hop hid are shown.
#[test]
fn debug_shows_no_values() {
    let asked = request(Code::ACCESS_REQUEST, &[(1, b"alice"), (2, b"arctangent")]);
    let forward = Forward::new(&asked, &client(), hiding).unwrap();
    assert_eq!(
        format!("{forward:?}"),
        "Forward { code: Code(1), attributes: 3, .. }"
    );
    assert_eq!(forward.first(&edit::plain(2)), None);
    assert_eq!(forward.user_name(), Some(&b"alice"[..]));
}

/// A row of octets from a generator of Marsaglia's: whatever comes, nothing panics, and what goes on is whole.
#[test]
fn random_octets_do_no_harm() {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let kinds = [1, 2, 3, 26, 26, 33, 60, 69, 80, 241, 245, 246];
    for _ in 0..3000 {
        let mut octets = Vec::new();
        for _ in 0..next() % 8 {
            let length = usize::try_from(next() % 40).unwrap();
            let kind = kinds[usize::try_from(next()).unwrap() % kinds.len()];
            octets.extend_from_slice(&[kind, u8::try_from(length + 2).unwrap()]);
            octets.extend((0..length).map(|_| (next() % 30) as u8));
        }
        let code = [1, 4, 40, 43][usize::try_from(next() % 4).unwrap()];
        let mut whole = vec![code, 1, 0, 0];
        whole.extend_from_slice(&RANDOM);
        whole.extend_from_slice(&octets);
        let length = u16::try_from(whole.len()).unwrap();
        whole[2..4].copy_from_slice(&length.to_be_bytes());
        crate::fuzzing::radius_hop(&whole);
    }
}
