//! Properties: bodies survive a round trip, octets never cause a panic, and how a stream is cut makes no difference.

use std::sync::Arc;

use doorward_tacacs::client;
use doorward_tacacs::dictionary::{ARGUMENTS, Definition};
use doorward_tacacs::server::{self, ServerConnection};
use doorward_tacacs::{
    AccountingFlags, AccountingStatus, Action, Argument, ArgumentList, Arguments,
    AuthenticationMethod, AuthenticationService, AuthenticationStatus, AuthenticationType,
    AuthorizationStatus, ChallengeMethod, ChallengeResponse, ClientConnection, Dialect, Flags,
    Header, PacketType, PrivilegeLevel, Protection, Secret, Separator, SeqNo, SessionId, Version,
    accounting, authentication, authorization, obfuscation,
};
use proptest::prelude::*;

use crate::pair::{authorization as authorization_request, login, shell};
use crate::peers::{Application, SECRET, now, obfuscated};

fn text(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0x20u8..=0x7e, 0..=longest)
}

fn octets(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=longest)
}

fn user() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![0x20u8..=0x7e, 0x80u8..=0xff], 0..=255)
}

fn arguments() -> impl Strategy<Value = ArgumentList> {
    let name = prop::collection::vec(
        (0x20u8..=0x7e).prop_filter("separators", |c| !b"=*".contains(c)),
        1..20,
    );
    let separator = prop_oneof![Just(Separator::Mandatory), Just(Separator::Optional)];
    prop::collection::vec((name, separator, text(235)), 0..=255).prop_map(|arguments| {
        let mut list = ArgumentList::new();
        for (name, separator, value) in arguments {
            list.push(name, separator, value).unwrap();
        }
        list
    })
}

fn accounting_flags() -> impl Strategy<Value = AccountingFlags> {
    prop_oneof![
        Just(AccountingFlags::START),
        Just(AccountingFlags::STOP),
        Just(AccountingFlags::WATCHDOG),
        Just(AccountingFlags::UPDATE)
    ]
}

/// Encodes, and decodes what came out.
macro_rules! assert_round_trip {
    ($kind:ty, $body:expr) => {{
        let body = $body;
        let mut encoded = vec![0xaa];
        body.encode(&mut encoded).unwrap();
        prop_assert_eq!(<$kind>::decode(&encoded[1..]), Ok(body));
    }};
}

proptest! {
    /// proves: D05-1-3
    #[test]
    fn authentication_start_survives(
        numbers in any::<[u8; 4]>(), user in user(), port in text(255), rem_addr in text(255), data in octets(255),
    ) {
        let [action, priv_lvl, authen_type, authen_service] = numbers;
        assert_round_trip!(authentication::Start<'_>, authentication::Start {
            action: Action(action),
            priv_lvl: PrivilegeLevel(priv_lvl),
            authen_type: AuthenticationType(authen_type),
            authen_service: AuthenticationService(authen_service),
            user: &user,
            port: &port,
            rem_addr: &rem_addr,
            data: &data,
        });
    }

    #[test]
    fn authentication_reply_survives(
        status in any::<u8>(), no_echo in any::<bool>(), server_msg in text(700), data in octets(700),
    ) {
        let status = AuthenticationStatus(status);
        let reply = authentication::Reply { status, no_echo, server_msg: &server_msg, data: &data };
        assert_round_trip!(authentication::Reply<'_>, reply);
    }

    #[test]
    fn authentication_continue_survives(user_msg in octets(700), data in octets(700), abort in any::<bool>()) {
        assert_round_trip!(authentication::Continue<'_>, authentication::Continue {
            user_msg: &user_msg, data: &data, abort,
        });
    }

    #[test]
    fn authorization_request_survives(
        numbers in any::<[u8; 4]>(), user in user(), port in text(255), rem_addr in text(255), list in arguments(),
    ) {
        let [method, priv_lvl, authen_type, authen_service] = numbers;
        assert_round_trip!(authorization::Request<'_>, authorization::Request {
            authen_method: AuthenticationMethod(method),
            priv_lvl: PrivilegeLevel(priv_lvl),
            authen_type: AuthenticationType(authen_type),
            authen_service: AuthenticationService(authen_service),
            user: &user,
            port: &port,
            rem_addr: &rem_addr,
            arguments: list.as_arguments(),
        });
    }

    #[test]
    fn authorization_reply_survives(
        status in any::<u8>(), server_msg in text(700), data in text(700), list in arguments(),
    ) {
        let (status, arguments) = (AuthorizationStatus(status), list.as_arguments());
        let reply = authorization::Reply { status, server_msg: &server_msg, data: &data, arguments };
        assert_round_trip!(authorization::Reply<'_>, reply);
    }

    #[test]
    fn accounting_request_survives(
        flags in accounting_flags(), numbers in any::<[u8; 4]>(),
        user in user(), port in text(255), rem_addr in text(255), list in arguments(),
    ) {
        let [method, priv_lvl, authen_type, authen_service] = numbers;
        assert_round_trip!(accounting::Request<'_>, accounting::Request {
            flags,
            authen_method: AuthenticationMethod(method),
            priv_lvl: PrivilegeLevel(priv_lvl),
            authen_type: AuthenticationType(authen_type),
            authen_service: AuthenticationService(authen_service),
            user: &user,
            port: &port,
            rem_addr: &rem_addr,
            arguments: list.as_arguments(),
        });
    }

    #[test]
    fn accounting_reply_survives(status in any::<u8>(), server_msg in text(700), data in text(700)) {
        let status = AccountingStatus(status);
        assert_round_trip!(accounting::Reply<'_>, accounting::Reply { status, server_msg: &server_msg, data: &data });
    }

    #[test]
    fn header_survives(octets in any::<[u8; 12]>()) {
        prop_assert_eq!(Header::decode(&octets).encode(), octets);
    }

    /// proves: TAC-6.1-8, TAC-6.1-10, D05-5.1-1
    #[test]
    fn an_argument_is_cut_at_its_first_separator(octets in octets(260)) {
        if let Ok(Argument { name, separator, value }) = Argument::parse(&octets) {
            prop_assert!(!name.is_empty() && !name.contains(&b'=') && !name.contains(&b'*'));
            prop_assert_eq!([name, &[separator.octet()], value].concat(), octets);
        }
    }

    #[test]
    fn obfuscating_twice_restores(octets in octets(300), key in octets(100), header in any::<[u8; 12]>()) {
        let (secret, header) = (Secret::new(key), Header::decode(&header));
        let mut twice = octets.clone();
        obfuscation::apply(&secret, &header, &mut twice);
        prop_assert!(octets.len() < 8 || twice != octets);
        obfuscation::apply(&secret, &header, &mut twice);
        prop_assert_eq!(twice, octets);
    }

    #[test]
    fn a_server_does_not_care_how_a_stream_is_cut(
        tls in any::<bool>(), old in any::<bool>(), tolerate_wrong_flag in any::<bool>(),
        packets in prop::collection::vec(packet(), 1..12), cuts in prop::collection::vec(1usize..90, 1..200),
    ) {
        let protection = if tls { Protection::Tls } else { obfuscated() };
        let stream = stream(&packets, &protection);
        let dialect = if old { Dialect::Draft05 } else { Dialect::Rfc8907 };
        let config = server::Config { dialect, tolerate_wrong_flag, ..server::Config::new(protection) };
        let whole = serve(&config, &stream, &[]);
        let cut = serve(&config, &stream, &cuts);
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn a_client_does_not_care_how_a_stream_is_cut(
        tls in any::<bool>(), packets in prop::collection::vec(packet(), 1..12), cuts in prop::collection::vec(1usize..90, 1..200),
    ) {
        let protection = if tls { Protection::Tls } else { obfuscated() };
        let stream = stream(&packets, &protection);
        let whole = consume(&protection, &stream, &[]);
        let cut = consume(&protection, &stream, &cuts);
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn no_octets_make_a_decoder_panic(octets in octets(600)) {
        let _ = authentication::Start::decode(&octets);
        let _ = authentication::Reply::decode(&octets);
        let _ = authentication::Continue::decode(&octets);
        let _ = authorization::Request::decode(&octets).map(|request| count(request.arguments));
        let _ = authorization::Reply::decode(&octets).map(|reply| count(reply.arguments));
        let _ = accounting::Request::decode(&octets).map(|request| count(request.arguments));
        let _ = accounting::Reply::decode(&octets);
    }

    #[test]
    fn no_octets_make_a_machine_panic(octets in octets(600), cuts in prop::collection::vec(1usize..90, 1..20)) {
        for protection in [Protection::Tls, obfuscated()] {
            for tolerate_wrong_flag in [false, true] {
                let config = server::Config { tolerate_wrong_flag, ..server::Config::new(protection.clone()) };
                serve(&config, &octets, &cuts);
            }
            consume(&protection, &octets, &cuts);
        }
    }
}

fn count(arguments: Arguments<'_>) -> usize {
    assert_eq!(arguments.raw().count(), arguments.len());
    arguments.iter().count()
}

/// A packet that is right more often than random octets are.
#[derive(Clone, Debug)]
struct Packet {
    header: Header,
    body: Vec<u8>,
    /// Obfuscated with another secret than that of the connection.
    foreign: bool,
}

fn packet() -> impl Strategy<Value = Packet> {
    let version = prop_oneof![8 => Just(0xc0u8), 3 => Just(0xc1), 1 => Just(0xc7), 1 => Just(0xd0)];
    let packet_type = prop_oneof![12 => 1u8..=3, 1 => Just(9)];
    let seq_no = prop_oneof![8 => 1u8..=6, 1 => Just(253), 1 => Just(254), 1 => Just(255)];
    let flags = prop_oneof![8 => Just(0x04u8), 2 => Just(0), 1 => Just(0xf8), 1 => Just(0x80)];
    let wrong_flag = prop_oneof![12 => Just(false), 1 => Just(true)];
    let foreign = prop_oneof![12 => Just(false), 1 => Just(true)];
    let length = prop_oneof![20 => Just(None), 1 => any::<u32>().prop_map(Some)];
    (
        version,
        packet_type,
        seq_no,
        flags,
        wrong_flag,
        foreign,
        1u32..4,
        length,
        body(),
    )
        .prop_map(
            |(version, packet_type, seq_no, flags, wrong_flag, foreign, session, length, body)| {
                let length = length.unwrap_or(u32::try_from(body.len()).unwrap());
                let header = Header {
                    version: Version(version),
                    packet_type: PacketType(packet_type),
                    seq_no: SeqNo(seq_no),
                    // The lowest bit says here whether the flag for clear text is the wrong one.
                    flags: Flags(flags | u8::from(wrong_flag)),
                    session_id: SessionId(session),
                    length,
                };
                Packet {
                    header,
                    body,
                    foreign,
                }
            },
        )
}

/// The octets of a body of any kind, some of them broken.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let mut bodies = vec![Vec::new(), vec![0; 5], vec![0; 8], vec![0xff; 40]];
    let list = shell("show");
    for user in [&b""[..], b"alice"] {
        let mut octets = Vec::new();
        login(user).encode(&mut octets).unwrap();
        bodies.push(octets);
    }
    let mut octets = Vec::new();
    authorization_request(&list).encode(&mut octets).unwrap();
    bodies.push(octets);
    for flags in [2, 0x0a, 0x0e] {
        let mut octets = Vec::new();
        crate::pair::accounting(&list).encode(&mut octets).unwrap();
        octets[0] = flags;
        bodies.push(octets);
    }
    for abort in [false, true] {
        let mut octets = Vec::new();
        authentication::Continue {
            user_msg: b"wonderland",
            data: b"bye",
            abort,
        }
        .encode(&mut octets)
        .unwrap();
        bodies.push(octets);
    }
    for status in [1, 5, 7, 0x21, 0x77] {
        let mut octets = Vec::new();
        authentication::Reply::new(AuthenticationStatus(status))
            .encode(&mut octets)
            .unwrap();
        bodies.push(octets);
        octets = Vec::new();
        authorization::Reply::new(AuthorizationStatus(status))
            .encode(&mut octets)
            .unwrap();
        bodies.push(octets);
        octets = Vec::new();
        accounting::Reply::new(AccountingStatus(status))
            .encode(&mut octets)
            .unwrap();
        bodies.push(octets);
    }
    prop::sample::select(bodies)
}

fn stream(packets: &[Packet], protection: &Protection) -> Vec<u8> {
    let mut stream = Vec::new();
    for Packet {
        header,
        body,
        foreign,
    } in packets
    {
        let header = Header {
            flags: Flags(header.flags.0 ^ protection.flags().0),
            ..*header
        };
        let mut body = body.clone();
        if let Protection::Obfuscated(secrets) = protection {
            let foreign_secret = Secret::new(SECRET[1..].to_vec());
            obfuscation::apply(
                if *foreign {
                    &foreign_secret
                } else {
                    &secrets[0]
                },
                &header,
                &mut body,
            );
        }
        stream.extend_from_slice(&header.encode());
        stream.extend_from_slice(&body);
    }
    stream
}

/// Cuts a stream into pieces of these lengths, over and over; without lengths into one piece.
fn pieces<'a>(mut stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts.iter().cycle() {
        let (piece, rest) = stream.split_at(stream.len().min(*cut));
        pieces.push(piece);
        stream = rest;
        if stream.is_empty() {
            break;
        }
    }
    pieces.push(stream);
    pieces
}

type Outcome<R> = (Vec<String>, Vec<u8>, Option<R>, usize);

fn serve(config: &server::Config, stream: &[u8], cuts: &[usize]) -> Outcome<server::CloseReason> {
    let mut connection = ServerConnection::new(Arc::new(config.clone()), now(0));
    let mut application = Application::default();
    let mut replies = Vec::new();
    for piece in pieces(stream, cuts) {
        connection.receive(piece, now(0));
        application.run(&mut connection, now(0));
        connection.poll_transmit(&mut replies);
    }
    let closed = connection.close_reason();
    connection.peer_closed();
    application.run(&mut connection, now(0));
    connection.poll_transmit(&mut replies);
    assert!(connection.close_reason().is_some());
    (application.seen, replies, closed, connection.sessions())
}

fn consume(protection: &Protection, stream: &[u8], cuts: &[usize]) -> Outcome<client::CloseReason> {
    let mut connection =
        ClientConnection::new(Arc::new(client::Config::new(protection.clone())), now(0));
    connection.start(SessionId(1), &login(b"alice")).unwrap();
    let mut seen = Vec::new();
    let mut requests = Vec::new();
    for piece in pieces(stream, cuts) {
        connection.receive(piece, now(0));
        drain(&mut connection, &mut seen);
        connection.poll_transmit(&mut requests);
    }
    let closed = connection.close_reason();
    connection.peer_closed();
    drain(&mut connection, &mut seen);
    assert!(connection.close_reason().is_some());
    (seen, requests, closed, connection.sessions())
}

/// Answers every question, and starts a second session as soon as that is allowed.
fn drain(connection: &mut ClientConnection, seen: &mut Vec<String>) {
    let list = shell("");
    loop {
        let Some(event) = connection.poll() else {
            return;
        };
        seen.push(format!("{event:?}"));
        let client::Event::AuthenticationReply {
            ticket: Some(ticket),
            ..
        } = event
        else {
            if connection.is_reusable() {
                let _ = connection.authorize(SessionId(2), &authorization_request(&list));
            }
            continue;
        };
        connection
            .continue_with(ticket, &authentication::Continue::new(b"wonderland"))
            .unwrap();
    }
}

proptest! {
    /// Whatever is in `data`, it is judged and nothing panics; what we make ourselves is right for the same secret alone.
    #[test]
    fn challenges_of_any_octets_are_judged(
        data in octets(255), user in octets(40), secret in octets(40), id in any::<u8>(),
        challenge in octets(238), peer in any::<[u8; 16]>(),
    ) {
        for method in [ChallengeMethod::Chap, ChallengeMethod::MsChapV1, ChallengeMethod::MsChapV2] {
            if let Ok(decoded) = ChallengeResponse::decode(method, &data) {
                let _ = decoded.verify(&user, &secret);
            }
            let length = method.challenge_length().unwrap_or(challenge.len()).min(challenge.len());
            let made = method.respond(id, &challenge[..length], &peer, &user, &secret);
            if let Ok(made) = made {
                let decoded = ChallengeResponse::decode(method, &made).unwrap();
                prop_assert_eq!(decoded.verify(&user, &secret), Ok(true));
                let mut other = secret.clone();
                other.push(b'x');
                prop_assert_ne!(decoded.verify(&user, &other), Ok(true));
            }
        }
    }

    /// Whatever is in a name and a value, the dictionary judges it and nothing panics.
    #[test]
    fn arguments_of_any_octets_are_judged(name in octets(30), value in octets(255)) {
        for dialect in [Dialect::Rfc8907, Dialect::Draft05] {
            if let Some(definition) = Definition::of(&name, dialect) {
                let _ = definition.check(&value);
            }
        }
        for definition in &ARGUMENTS {
            let _ = definition.check(&value);
        }
    }
}
