//! The worked packets of the RFCs, octet for octet, and what the authenticators protect.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::{
    MessageAuthenticator, answer_is_right, message_authenticator, request_is_right,
};
use doorward_radius::build::{BuildError, PacketBuilder, error_cause, protocol_error};
use doorward_radius::challenge::Chap;
use doorward_radius::hidden::{reveal_password, reveal_salted};
use doorward_radius::{Code, RawPacket, Secret, Transport};
use proptest::prelude::*;

const SECRET: &[u8] = b"xyzzy5461";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|octet| !octet.is_ascii_whitespace())
        .map(|octet| u8::try_from(char::from(octet).to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn packet(octets: &[u8]) -> RawPacket {
    RawPacket::new(octets.to_vec()).unwrap()
}

fn attributes(packet: &RawPacket) -> Attributes<'_> {
    Attributes::new(packet.attributes()).unwrap()
}

const TELNET: &str = "01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a 01 06 6e 65 6d 6f 02 12 0d be 70 8d
    93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8 01 10 05 06 00 00 00 03";
const TELNET_ACCEPT: &str =
    "02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00
    00 00 0e 06 c0 a8 01 03";
const FRAMED: &str = "01 01 00 47 2a ee 86 f0 8d 0d 55 96 9c a5 97 8e 0d 33 67 a2 01 08 66 6c 6f 70 73 79 03 13 16 e9
    75 57 c3 16 18 58 95 f2 93 ff 63 44 07 72 75 04 06 c0 a8 01 10 05 06 00 00 00 14 06 06 00 00 00 02 07 06 00 00 00 01";
const FRAMED_ACCEPT: &str =
    "02 01 00 38 15 ef bc 7d ab 26 cf a3 dc 34 d9 c0 3c 86 01 a4 06 06 00 00 00 02 07 06 00 00
    00 01 08 06 ff ff ff fe 0a 06 00 00 00 02 0d 06 00 00 00 01 0c 06 00 00 05 dc";
const STATUS: &str = "0c da 00 26 8a 54 f4 68 6f b3 94 c5 28 66 e3 02 18 5d 06 23 50 12 5a 66 5e 2e 1e 84 11 f3 e2 43
    82 20 97 c8 4f a3";
const STATUS_ANSWER: &str = "02 da 00 14 ef 0d 55 2a 4b f2 d6 93 ec 2b 6f e8 b5 41 1d 66";

/// RFC 2865 section 7.1.
///
/// proves: RAD-3.1-1
#[test]
fn the_telnet_login_of_rfc_2865_is_built_and_read() {
    let secret = Secret::new(SECRET);
    let wanted = hex(TELNET);
    let random = wanted[4..20].try_into().unwrap();
    let mut request = PacketBuilder::request(Code::ACCESS_REQUEST, 0, random);
    request
        .push(kind::USER_NAME, b"nemo")
        .unwrap()
        .push_password(b"arctangent", &secret)
        .unwrap()
        .push(kind::NAS_IP_ADDRESS, &[192, 168, 1, 16])
        .unwrap()
        .push_integer(kind::NAS_PORT, 3)
        .unwrap();
    assert_eq!(request.finish(&secret), wanted);

    let request = packet(&wanted);
    let hidden = attributes(&request).first(kind::USER_PASSWORD).unwrap();
    let password = reveal_password(hidden, &request.header().authenticator, &secret).unwrap();
    assert_eq!(&**password, b"arctangent");

    let mut answer = PacketBuilder::answer(Code::ACCESS_ACCEPT, request.header());
    answer
        .push_integer(kind::SERVICE_TYPE, 1)
        .unwrap()
        .push_integer(15, 0)
        .unwrap()
        .push(14, &[192, 168, 1, 3])
        .unwrap();
    assert_eq!(answer.finish(&secret), hex(TELNET_ACCEPT));
    let answer = packet(&hex(TELNET_ACCEPT));
    assert!(answer_is_right(
        &answer,
        &request.header().authenticator,
        &secret
    ));
    assert!(!answer_is_right(&answer, &[0; 16], &secret));
}

/// RFC 2865 section 7.2.
#[test]
fn the_framed_login_of_rfc_2865_is_judged() {
    let secret = Secret::new(SECRET);
    let request = packet(&hex(FRAMED));
    let chap = Chap::of(&attributes(&request), &request.header().authenticator).unwrap();
    assert!(chap.verify(b"arctangent"));
    assert!(!chap.verify(b"Arctangent"));
    let answer = packet(&hex(FRAMED_ACCEPT));
    assert!(answer_is_right(
        &answer,
        &request.header().authenticator,
        &secret
    ));
}

/// RFC 5997 section 6.
#[test]
fn the_status_server_of_rfc_5997_is_built_and_answered() {
    let secret = Secret::new(SECRET);
    let wanted = hex(STATUS);
    let random = wanted[4..20].try_into().unwrap();
    let mut request = PacketBuilder::request(Code::STATUS_SERVER, 218, random);
    request.message_authenticator().unwrap();
    assert_eq!(request.finish(&secret), wanted);
    let request = packet(&wanted);
    let judged = message_authenticator(&request, &attributes(&request), None, &secret);
    assert_eq!(judged, MessageAuthenticator::Right);
    let answer = PacketBuilder::answer(Code::ACCESS_ACCEPT, request.header());
    assert_eq!(answer.finish(&secret), hex(STATUS_ANSWER));
}

/// proves: RAD-3.1-2
#[test]
fn the_static_secrets_sign_like_any_other_and_not_for_each_other() {
    let of = |transport| Secret::of(transport).unwrap();
    let (tls, dtls) = (of(Transport::Tls), of(Transport::Dtls));
    assert_eq!(tls.octets(), b"radsec");
    for (secret, other) in [(&tls, &dtls), (&dtls, &tls)] {
        let mut request = PacketBuilder::request(Code::ACCESS_REQUEST, 5, [7; 16]);
        request.message_authenticator().unwrap();
        request.push_password(b"correct horse", secret).unwrap();
        let request = packet(&request.finish(secret));
        let judge = |secret| message_authenticator(&request, &attributes(&request), None, secret);
        assert_eq!(judge(secret), MessageAuthenticator::Right);
        assert_eq!(judge(other), MessageAuthenticator::Wrong);
        let answer = PacketBuilder::answer(Code::ACCESS_REJECT, request.header()).finish(secret);
        let answer = packet(&answer);
        assert!(answer_is_right(&answer, &[7; 16], secret));
        assert!(!answer_is_right(&answer, &[7; 16], other));
    }
}

/// A login and its Access-Accept with the secret of RADIUS/TLS, computed apart from this code.
const RADSEC_LOGIN: &str = "0105004f000102030405060708090a0b0c0d0e0f5012dd97eeac0a7fdf3716f1ea4cca90909e0107616c69636502222babba
    da569e9e33a3bcffa19dc9f15a19ee23dd64b266a7ed1a14219d66404e";
const RADSEC_ACCEPT: &str =
    "0205002c38c8a01609b36bf1cd942c182ae006b250120e18b8a1a53014b4ccb2fd4d2ad7a4b7060600000006";
/// The same with the secret of RADIUS/DTLS.
const DTLS_LOGIN: &str = "0105004f000102030405060708090a0b0c0d0e0f50122234cd1cf3bdcba221ac965eaaf778670107616c696365022243e834
    e3cb7adaa176f5bae24fe9d4b562735f222f8b79ad68f91fe9f07eb4db";
const DTLS_ACCEPT: &str =
    "0205002cfb0f3e04e40fcecd52a1ea712edbd2ac5012f232fa8b01ab20b1d78c594427b94827060600000006";

/// proves: RAD-3.6-1
#[test]
fn the_static_secrets_give_what_another_calculation_gives() {
    let authenticator = core::array::from_fn(|at| u8::try_from(at).unwrap());
    for (transport, login, accept) in [
        (Transport::Tls, RADSEC_LOGIN, RADSEC_ACCEPT),
        (Transport::Dtls, DTLS_LOGIN, DTLS_ACCEPT),
    ] {
        let secret = Secret::of(transport).unwrap();
        let mut request = PacketBuilder::request(Code::ACCESS_REQUEST, 5, authenticator);
        request
            .message_authenticator()
            .unwrap()
            .push(kind::USER_NAME, b"alice")
            .unwrap()
            .push_password(b"correct horse battery staple", &secret)
            .unwrap();
        assert_eq!(request.finish(&secret), hex(login));
        let request = packet(&hex(login));
        let mut answer = PacketBuilder::answer(Code::ACCESS_ACCEPT, request.header());
        answer
            .message_authenticator()
            .unwrap()
            .push_integer(kind::SERVICE_TYPE, 6)
            .unwrap();
        assert_eq!(answer.finish(&secret), hex(accept));
    }
}

#[test]
fn requests_that_carry_a_digest_are_judged_by_it() {
    let secret = Secret::new(SECRET);
    for code in [
        Code::ACCOUNTING_REQUEST,
        Code::COA_REQUEST,
        Code::DISCONNECT_REQUEST,
    ] {
        let mut request = PacketBuilder::request(code, 9, [3; 16]);
        request.message_authenticator().unwrap();
        request.push(kind::USER_NAME, b"alice").unwrap();
        let octets = request.finish(&secret);
        let whole = packet(&octets);
        assert!(request_is_right(&whole, &secret));
        assert!(!request_is_right(&whole, &Secret::new(b"other")));
        let judged = message_authenticator(&whole, &attributes(&whole), None, &secret);
        assert_eq!(judged, MessageAuthenticator::Right);
        let mut changed = octets;
        *changed.last_mut().unwrap() ^= 1;
        assert!(!request_is_right(&packet(&changed), &secret));
    }
}

#[test]
fn a_message_authenticator_of_another_length_or_there_twice_is_wrong() {
    let secret = Secret::new(SECRET);
    let judge = |rest: &[u8]| {
        let length = u8::try_from(20 + rest.len()).unwrap();
        let octets = [&[1, 1, 0, length][..], &[9; 16], rest].concat();
        let packet = packet(&octets);
        message_authenticator(&packet, &attributes(&packet), None, &secret)
    };
    assert_eq!(judge(&[1, 3, b'a']), MessageAuthenticator::Absent);
    assert_eq!(judge(&[80, 2]), MessageAuthenticator::Wrong);
    let short = [&[80, 17][..], &[0; 15]].concat();
    assert_eq!(judge(&short), MessageAuthenticator::Wrong);
    let mut request = PacketBuilder::request(Code::ACCESS_REQUEST, 1, [9; 16]);
    request.message_authenticator().unwrap();
    let once = request.finish(&secret);
    assert_eq!(judge(&once[20..]), MessageAuthenticator::Right);
    let twice = [&once[20..], &once[20..]].concat();
    assert_eq!(judge(&twice), MessageAuthenticator::Wrong);
}

#[test]
fn an_answers_message_authenticator_is_made_with_the_request() {
    let secret = Secret::new(SECRET);
    let request = packet(&hex(TELNET));
    let answer = packet(&protocol_error(
        request.header(),
        error_cause::UNSUPPORTED_EXTENSION,
        &secret,
    ));
    let found = attributes(&answer);
    let judge = |request: &[u8; 16]| message_authenticator(&answer, &found, Some(request), &secret);
    assert_eq!(
        judge(&request.header().authenticator),
        MessageAuthenticator::Right
    );
    assert_eq!(judge(&[0; 16]), MessageAuthenticator::Wrong);
    assert!(answer_is_right(
        &answer,
        &request.header().authenticator,
        &secret
    ));
    // It comes first.
    assert_eq!(
        found.iter().next().unwrap().kind,
        kind::MESSAGE_AUTHENTICATOR
    );
    assert_eq!(&answer.octets()[38..45], [0xf1, 7, 4, 0, 0, 0, 1]);
    assert_eq!(found.integer(kind::ERROR_CAUSE), Some(406));
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let secret = Secret::new(SECRET);
    let mut packet = PacketBuilder::request(Code::ACCESS_REQUEST, 1, [9; 16]);
    let kinds = |error: Result<&mut PacketBuilder, BuildError>| error.unwrap_err();
    assert_eq!(kinds(packet.push(1, &[0; 254])), BuildError::TooLong);
    assert_eq!(
        kinds(packet.push_vendor(9, 1, &[0; 248])),
        BuildError::TooLong
    );
    assert_eq!(kinds(packet.push(2, b"clear")), BuildError::Kind);
    assert_eq!(kinds(packet.push(80, &[0; 16])), BuildError::Kind);
    assert_eq!(
        kinds(packet.push_extended(241, 1, &[0; 253])),
        BuildError::TooLong
    );
    assert_eq!(kinds(packet.push_eap(&[0; 4096])), BuildError::Full);
    assert_eq!(
        kinds(packet.push_extended(245, 1, &[0; 4096])),
        BuildError::Full
    );
    packet.push_extended(245, 1, &[5; 600]).unwrap();
    packet.push_extended(246, 1, &[]).unwrap();
    packet
        .push_tunnel_password(1, b"tunnel", 3, &secret)
        .unwrap();
    let octets = packet.finish(&secret);
    let whole = RawPacket::new(octets).unwrap();
    let found = attributes(&whole);
    assert_eq!(found.of_long_extended(245, 1), [&[5; 600][..]]);
    assert_eq!(found.of_long_extended(246, 1), [&[][..]]);
    let hidden = &found.first(kind::TUNNEL_PASSWORD).unwrap()[1..];
    assert_eq!(
        &**reveal_salted(hidden, &[9; 16], &secret).unwrap(),
        b"tunnel"
    );
}

proptest! {
    #[test]
    fn what_is_built_is_read(
        values in proptest::collection::vec((1_u8..=240, proptest::collection::vec(any::<u8>(), 0..254)), 0..12),
        eap in proptest::collection::vec(any::<u8>(), 0..700),
        random: [u8; 16],
        flip in 0_usize..4096,
    ) {
        let secret = Secret::new(SECRET);
        let mut builder = PacketBuilder::request(Code::ACCESS_REQUEST, 1, random);
        builder.message_authenticator().unwrap();
        let mut wanted = Vec::new();
        for (kind, value) in values.iter().filter(|(kind, _)| ![2, 79, 80].contains(kind)) {
            builder.push(*kind, value).unwrap();
            wanted.push((*kind, value.clone()));
        }
        builder.push_eap(&eap).unwrap();
        let octets = builder.finish(&secret);
        let whole = packet(&octets);
        let found = attributes(&whole);
        let seen: Vec<_> = found
            .iter()
            .filter(|one| ![79, 80].contains(&one.kind))
            .map(|one| (one.kind, one.value.to_vec()))
            .collect();
        prop_assert_eq!(seen, wanted);
        prop_assert_eq!(found.eap().map(|eap| eap.into_owned()).unwrap_or_default(), eap);
        prop_assert_eq!(message_authenticator(&whole, &found, None, &secret), MessageAuthenticator::Right);
        // No octet can be changed.
        let mut changed = octets;
        let at = flip % changed.len();
        changed[at] ^= 0x10;
        if let Ok(changed) = RawPacket::new(changed)
            && let Ok(found) = Attributes::new(changed.attributes())
            && ![4, 40, 43].contains(&changed.header().code.0)
        {
            let judged = message_authenticator(&changed, &found, None, &secret);
            prop_assert_ne!(judged, MessageAuthenticator::Right);
        }
    }
}
