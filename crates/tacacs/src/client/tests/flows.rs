//! The flows of section 5.4.2 and the older dialect, as the client puts them on the wire.

use super::*;
use crate::Dialect;
use crate::challenge::ChallengeMethod;

const DIALECTS: [Dialect; 2] = [Dialect::Rfc8907, Dialect::Draft05];

fn script_in(dialect: Dialect) -> Script {
    let mut script = Script::new(obfuscated());
    let config = Config {
        dialect,
        ..Config::new(obfuscated())
    };
    script.connection = ClientConnection::new(Arc::new(config), Now::default());
    script
}

fn enable(user: &'static [u8]) -> authentication::Start<'static> {
    authentication::Start {
        priv_lvl: PrivilegeLevel::ROOT,
        authen_service: AuthenticationService::ENABLE,
        user,
        ..login()
    }
}

/// The whole of a first packet: its header and its body in clear.
fn first_packet(
    dialect: Dialect,
    start: &authentication::Start<'_>,
) -> Result<(Header, Vec<u8>), SendError> {
    let mut script = script_in(dialect);
    script.connection.start(SessionId(1), start)?;
    let mut sent = script.sent();
    assert_eq!(sent.len(), 1);
    Ok(sent.remove(0))
}

/// proves: TAC-5.4.2.6-3, TAC-9-3, D05-4.4.2-8
#[test]
fn enable_has_its_service_and_the_wanted_level() {
    for dialect in DIALECTS {
        for user in [&b"alice"[..], b""] {
            let (header, body) = first_packet(dialect, &enable(user)).unwrap();
            assert_eq!(header.version, Version::DEFAULT);
            assert_eq!(body[..4], [1, 15, 1, 2]);
            assert_eq!(usize::from(body[4]), user.len());
        }
    }
}

/// proves: TAC-5.4.2.6-4, D05-4.4.2-8
#[test]
fn nothing_but_a_request_for_privileges_has_the_service_enable() {
    let service = AuthenticationService::ENABLE;
    let mut script = script_in(Dialect::Draft05);
    for (action, authen_type) in [
        (Action::CHPASS, AuthenticationType::ASCII),
        (Action::LOGIN, AuthenticationType::PAP),
        (Action::LOGIN, AuthenticationType::CHAP),
        (Action::LOGIN, AuthenticationType::MSCHAP),
        (Action::LOGIN, AuthenticationType::MSCHAPV2),
    ] {
        let start = authentication::Start {
            action,
            authen_type,
            ..enable(b"alice")
        };
        let sent = script.connection.start(SessionId(1), &start);
        assert_eq!(sent, Err(SendError::Pair), "{start:?}");
        let sent = script.connection.start_pap_dialogue(SessionId(1), &start);
        assert_eq!(sent, Err(SendError::Pair), "{start:?}");
    }
    let list = arguments(&["service=ppp"]);
    let question = authorization::Request {
        authen_service: service,
        ..authorization(&list)
    };
    let sent = script.connection.authorize(SessionId(1), &question);
    assert_eq!(sent, Err(SendError::EnableService));
    let list = arguments(&["task_id=1"]);
    let record = accounting::Request {
        authen_service: service,
        ..accounting(&list)
    };
    let sent = script.connection.account(SessionId(1), &record);
    assert_eq!(sent, Err(SendError::EnableService));
    assert!(script.sent().is_empty());
    // The others leave with another service.
    for action in [Action::LOGIN, Action::CHPASS] {
        let start = authentication::Start { action, ..login() };
        assert_eq!(first_packet(Dialect::Draft05, &start).unwrap().1[3], 1);
    }
}

/// The digest of CHAP was computed elsewhere; those of the Microsoft methods are proved against their RFCs' vectors.
///
/// proves: TAC-5.4.2.3-2, TAC-5.4.2.4-2, TAC-5.4.2.5-2, TAC-5.4.1-3
#[test]
fn a_response_follows_the_user_and_its_parts_are_in_their_places() {
    for (method, number, lengths) in [
        (ChallengeMethod::Chap, 3, [1, 16, 16]),
        (ChallengeMethod::MsChapV1, 5, [1, 8, 49]),
        (ChallengeMethod::MsChapV2, 6, [1, 16, 49]),
    ] {
        let challenge = [0x5b; 16];
        let challenge = &challenge[..lengths[1]];
        let data = method.respond(0xa7, challenge, &[0x21; 16], b"alice", b"clientPass");
        let data = data.unwrap();
        let start = authentication::Start {
            authen_type: method.authen_type(),
            data: &data,
            ..login()
        };
        let (header, body) = first_packet(Dialect::Rfc8907, &start).unwrap();
        assert_eq!((header.version, body[2]), (Version::ONE, number));
        assert_eq!((body[4], usize::from(body[7])), (5, lengths.iter().sum()));
        let sent = &body[body.len() - data.len()..];
        assert_eq!((sent[0], &sent[1..1 + challenge.len()]), (0xa7, challenge));
        let response = &sent[1 + challenge.len()..];
        assert_eq!(response.len(), lengths[2]);
        match method {
            ChallengeMethod::Chap => assert_eq!(
                response,
                b"\xba\xbb\xcd\xd8\x54\x32\x5a\x41\xef\xf6\x2f\xad\xd4\x2a\x91\xff"
            ),
            ChallengeMethod::MsChapV1 => {
                assert_eq!((&response[..24], response[48]), (&[0; 24][..], 1));
            }
            ChallengeMethod::MsChapV2 => {
                assert_eq!(response[..16], [0x21; 16]);
                assert_eq!((&response[16..24], response[48]), (&[0; 8][..], 0));
            }
        }
        let nobody = authentication::Start { user: b"", ..start };
        let sent = first_packet(Dialect::Rfc8907, &nobody);
        assert_eq!(sent.unwrap_err(), SendError::NoUser);
    }
}

/// proves: D05-4.4.1-5, D05-4.4.1-4
#[test]
fn only_logins_of_one_reply_have_the_minor_version_one() {
    for dialect in DIALECTS {
        for (action, service, authen_type, version) in [
            (1, 1, AuthenticationType::ASCII, Some(0xc0)),
            (1, 2, AuthenticationType::ASCII, Some(0xc0)),
            (2, 1, AuthenticationType::ASCII, Some(0xc0)),
            (1, 1, AuthenticationType::PAP, Some(0xc1)),
            (1, 1, AuthenticationType::CHAP, Some(0xc1)),
            (1, 1, AuthenticationType::MSCHAP, Some(0xc1)),
            (1, 1, AuthenticationType::MSCHAPV2, Some(0xc1)),
            (1, 1, AuthenticationType::ARAP, None),
            (4, 1, AuthenticationType::ASCII, None),
            (4, 3, AuthenticationType::PAP, None),
        ] {
            let start = authentication::Start {
                action: Action(action),
                authen_service: AuthenticationService(service),
                authen_type,
                data: b"x",
                ..login()
            };
            let sent = first_packet(dialect, &start);
            let sent = sent.map(|(header, _)| header.version.0).ok();
            assert_eq!(sent, version, "{start:?}");
        }
        let list = arguments(&["service=ppp"]);
        let mut script = script_in(dialect);
        let question = authorization(&list);
        script
            .connection
            .authorize(SessionId(1), &question)
            .unwrap();
        assert_eq!(script.sent()[0].0.version.0, 0xc0);
        let mut script = script_in(dialect);
        let record = accounting(&list);
        script.connection.account(SessionId(1), &record).unwrap();
        assert_eq!(script.sent()[0].0.version.0, 0xc0);
    }
}

/// proves: D05-4.4.2-2
#[test]
fn the_old_dialect_may_ask_for_the_password_of_pap() {
    let start = authentication::Start {
        authen_type: AuthenticationType::PAP,
        ..login()
    };
    let mut script = script_in(Dialect::Draft05);
    let nobody = authentication::Start { user: b"", ..start };
    let ascii = login();
    let filled = authentication::Start {
        data: b"wonderland",
        ..start
    };
    let begin =
        |script: &mut Script, start| script.connection.start_pap_dialogue(SessionId(1), start);
    assert_eq!(begin(&mut script, &nobody), Err(SendError::NoUser));
    assert_eq!(begin(&mut script, &filled), Err(SendError::Pair));
    assert_eq!(begin(&mut script, &ascii), Err(SendError::Pair));
    let rfc = begin(&mut script_in(Dialect::Rfc8907), &start);
    assert_eq!(rfc, Err(SendError::Dialect));

    begin(&mut script, &start).unwrap();
    let (header, body) = script.sent().remove(0);
    assert_eq!((header.version, body[2], body[7]), (Version::DEFAULT, 2, 0));
    script.reply(script.header(1, 2, 1), b"\x05\x01\0\0\0\0");
    let ticket = script.question();
    let answer = authentication::Continue::new(b"wonderland");
    script.connection.continue_with(ticket, &answer).unwrap();
    let (header, body) = script.sent().remove(0);
    assert_eq!(
        (header.version, header.seq_no),
        (Version::DEFAULT, SeqNo(3))
    );
    assert_eq!(body, b"\0\x0a\0\0\0wonderland");
    script.reply(script.header(1, 4, 1), PASS);
    let event = script.connection.poll();
    assert!(matches!(
        event,
        Some(Event::AuthenticationReply { ticket: None, .. })
    ));
}

/// proves: D05-3.5-1, D05-3.5-2
#[test]
fn what_is_absent_is_zero() {
    let nothing = authentication::Start {
        action: Action::CHPASS,
        priv_lvl: PrivilegeLevel::MIN,
        user: b"",
        port: b"",
        rem_addr: b"",
        ..login()
    };
    let (header, body) = first_packet(Dialect::Draft05, &nothing).unwrap();
    assert_eq!(body, [2, 0, 1, 1, 0, 0, 0, 0]);
    assert_eq!(header.flags.0 & !0x04, 0);

    let list = arguments(&["service=ppp"]);
    let question = authorization::Request {
        user: b"",
        port: b"",
        rem_addr: b"",
        priv_lvl: PrivilegeLevel::MIN,
        ..authorization(&list)
    };
    let mut script = script_in(Dialect::Draft05);
    script
        .connection
        .authorize(SessionId(1), &question)
        .unwrap();
    let (_, body) = script.sent().remove(0);
    assert_eq!(body, *b"\x06\0\x01\x01\0\0\0\x01\x0bservice=ppp");

    let mut script = script_in(Dialect::Draft05);
    script.connection.start(SessionId(1), &login()).unwrap();
    script.sent();
    script.reply(script.header(1, 2, 1), GETDATA);
    let ticket = script.question();
    let empty = authentication::Continue::new(b"");
    script.connection.continue_with(ticket, &empty).unwrap();
    assert_eq!(script.sent().remove(0).1, [0; 5]);
}

/// proves: D05-3.3-2, D05-3.3-3, D05-3.4-4
#[test]
fn the_old_dialect_keeps_the_rules_of_a_connection() {
    let mut script = script_in(Dialect::Draft05);
    let list = arguments(&["service=ppp"]);
    script.connection.start(SessionId(1), &login()).unwrap();
    let early = script
        .connection
        .authorize(SessionId(2), &authorization(&list));
    assert_eq!(early, Err(SendError::NotNow));
    let sent = script.sent();
    assert_eq!((sent.len(), sent[0].0.seq_no), (1, SeqNo::FIRST));
    script.reply(script.header(1, 2, 1), GETDATA);
    let ticket = script.question();
    // Established: the flag of later packets changes nothing, whichever way it points.
    let answer = authentication::Continue::new(b"x");
    script.connection.continue_with(ticket, &answer).unwrap();
    assert_eq!(script.sent()[0].0.seq_no, SeqNo(3));
    let without = Header {
        flags: Flags::NONE,
        ..script.header(1, 4, 1)
    };
    script.reply(without, PASS);
    assert_eq!(script.events().len(), 1);
    assert!(script.connection.is_reusable());
    script
        .connection
        .authorize(SessionId(2), &authorization(&list))
        .unwrap();
    assert_eq!(script.sent()[0].0.seq_no, SeqNo::FIRST);
    // And what was not established stays so.
    let mut script = script_in(Dialect::Draft05);
    script.connection.start(SessionId(1), &login()).unwrap();
    let without = Header {
        flags: Flags::NONE,
        ..script.header(1, 2, 1)
    };
    script.reply(without, GETDATA);
    let ticket = script.question();
    script.connection.continue_with(ticket, &answer).unwrap();
    script.reply(script.header(1, 4, 1), PASS);
    script.events();
    let over = Some(CloseReason::SessionComplete);
    assert_eq!(script.connection.close_reason(), over);
}

/// No third mode exists, so none can be switched on; and the one for port 49 does nothing without a secret.
///
/// proves: TAC-4.1-14, TAC-4.1-16, D05-3.6-4
#[test]
fn there_is_no_mode_in_clear() {
    for protection in [Protection::Tls, obfuscated()] {
        let clear = match &protection {
            Protection::Tls => true,
            Protection::Obfuscated(_) => false,
        };
        let mut script = Script::new(protection);
        script.connection.start(SessionId(1), &login()).unwrap();
        let flags = script.sent()[0].0.flags;
        assert_eq!(flags.contains(Flags::UNENCRYPTED), clear);
    }
    for dialect in DIALECTS {
        let config = Config {
            dialect,
            ..Config::new(Protection::Obfuscated(Vec::new()))
        };
        let mut connection = ClientConnection::new(Arc::new(config), Now::default());
        let sent = connection.start(SessionId(1), &login());
        assert_eq!(sent, Err(SendError::NotNow));
        assert!(!connection.poll_transmit(&mut Vec::new()));
    }
}
