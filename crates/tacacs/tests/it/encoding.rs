//! What our packets hold where there is nothing to say, and which versions they have, in the older dialect too.

use std::sync::Arc;

use doorward_tacacs::{
    AccountingStatus, Action, AuthenticationService, AuthenticationStatus, AuthenticationType,
    AuthorizationStatus, ClientConnection, Dialect, Flags, Header, SessionId, accounting,
    authentication, authorization, client,
};

use crate::pair::{accounting as record, authorization as question, login, pap, shell};
use crate::peers::{now, obfuscated};

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    encode(&mut body);
    body
}

/// A body of each kind with nothing in it.
fn empty_bodies() -> [Vec<u8>; 6] {
    let none = doorward_tacacs::ArgumentList::new();
    let start = authentication::Start {
        user: b"",
        port: b"",
        rem_addr: b"",
        ..login(b"")
    };
    let request = authorization::Request {
        user: b"",
        port: b"",
        rem_addr: b"",
        ..question(&none)
    };
    [
        encoded(|body| start.encode(body).unwrap()),
        encoded(|body| {
            authentication::Reply::new(AuthenticationStatus::PASS)
                .encode(body)
                .unwrap();
        }),
        encoded(|body| authentication::Continue::new(b"").encode(body).unwrap()),
        encoded(|body| request.encode(body).unwrap()),
        encoded(|body| {
            authorization::Reply::new(AuthorizationStatus::FAIL)
                .encode(body)
                .unwrap();
        }),
        encoded(|body| {
            accounting::Reply::new(AccountingStatus::SUCCESS)
                .encode(body)
                .unwrap();
        }),
    ]
}

/// proves: D05-3.5-1, D05-3.5-2
#[test]
fn what_is_not_used_is_zero() {
    let [start, reply, answer, request, verdict, recorded] = empty_bodies();
    // After the four numbers nothing but lengths of zero.
    assert_eq!(start, [1, 1, 1, 1, 0, 0, 0, 0]);
    // Status, flags, and two lengths of two octets each.
    assert_eq!(reply, [1, 0, 0, 0, 0, 0]);
    // Two lengths, flags.
    assert_eq!(answer, [0, 0, 0, 0, 0]);
    assert_eq!(request, [6, 1, 1, 1, 0, 0, 0, 0]);
    assert_eq!(verdict, [0x10, 0, 0, 0, 0, 0]);
    assert_eq!(recorded, [0, 0, 0, 0, 1]);
}

/// The first header that a client of the older dialect sends.
fn header_of(send: impl FnOnce(&mut ClientConnection)) -> Header {
    let config = client::Config {
        dialect: Dialect::Draft05,
        ..client::Config::new(obfuscated())
    };
    let mut client = ClientConnection::new(Arc::new(config), now(0));
    send(&mut client);
    let mut sent = Vec::new();
    assert!(client.poll_transmit(&mut sent));
    Header::peek(&sent).unwrap()
}

/// proves: D05-4.4.1-5, D05-3.5-2
#[test]
fn only_logins_of_one_packet_have_minor_version_one() {
    let (one, list) = (SessionId(1), shell("show"));
    let chpass = authentication::Start {
        action: Action::CHPASS,
        ..login(b"alice")
    };
    let enable = authentication::Start {
        authen_service: AuthenticationService::ENABLE,
        ..login(b"alice")
    };
    for (header, version) in [
        (
            header_of(|client| client.start(one, &login(b"alice")).unwrap()),
            0xc0,
        ),
        (
            header_of(|client| client.start(one, &chpass).unwrap()),
            0xc0,
        ),
        (
            header_of(|client| client.start(one, &enable).unwrap()),
            0xc0,
        ),
        (
            header_of(|client| client.authorize(one, &question(&list)).unwrap()),
            0xc0,
        ),
        (
            header_of(|client| client.account(one, &record(&list)).unwrap()),
            0xc0,
        ),
        (
            header_of(|client| client.start(one, &pap(b"x")).unwrap()),
            0xc1,
        ),
    ] {
        assert_eq!(header.version.0, version);
        // No bit but the one for single-connect.
        assert_eq!(header.flags, Flags::SINGLE_CONNECT);
    }
    for authen_type in [
        AuthenticationType::CHAP,
        AuthenticationType::MSCHAP,
        AuthenticationType::MSCHAPV2,
    ] {
        let data = [0; 66];
        let challenge = authentication::Start {
            authen_type,
            data: &data,
            ..login(b"alice")
        };
        let header = header_of(|client| client.start(one, &challenge).unwrap());
        assert_eq!(header.version.0, 0xc1, "{authen_type:?}");
    }
}

/// proves: D05-3.7-1
#[test]
fn texts_are_ascii_but_for_user_names_and_passwords() {
    for text in [&b"caf\xc3\xa9"[..], b"\x80", b"bell\x07", b"\x7f"] {
        let reply = authentication::Reply {
            server_msg: text,
            ..authentication::Reply::new(AuthenticationStatus::FAIL)
        };
        assert!(reply.encode(&mut Vec::new()).is_err(), "{text:?}");
        let reply = authorization::Reply {
            server_msg: text,
            ..authorization::Reply::new(AuthorizationStatus::FAIL)
        };
        assert!(reply.encode(&mut Vec::new()).is_err(), "{text:?}");
        let reply = accounting::Reply {
            server_msg: text,
            ..accounting::Reply::new(AccountingStatus::ERROR)
        };
        assert!(reply.encode(&mut Vec::new()).is_err(), "{text:?}");
    }
    let name = authentication::Start {
        user: b"J\xc3\xbcrgen",
        ..pap(b"\xff\x00\x80")
    };
    assert!(name.encode(&mut Vec::new()).is_ok());
}
