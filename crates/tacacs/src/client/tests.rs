//! The rules of the client's side, against a server that is played by hand.

use std::format;
use std::string::String;
use std::vec::Vec;

mod flows;

use super::*;
use crate::registry::{
    AccountingFlags, Action, AuthenticationMethod, AuthenticationService, AuthenticationStatus,
    AuthenticationType, PrivilegeLevel, Verdict,
};
use crate::{ArgumentList, Protection, Secret, Separator};

const SECRET: &[u8] = b"a secret of thirty-two characters";
const PASS: &[u8] = b"\x01\0\0\0\0\0";
const GETDATA: &[u8] = b"\x03\0\0\0\0\0";

fn obfuscated() -> Protection {
    Protection::Obfuscated(Vec::from([Secret::new(SECRET)]))
}

fn login() -> authentication::Start<'static> {
    authentication::Start {
        action: Action::LOGIN,
        priv_lvl: PrivilegeLevel::USER,
        authen_type: AuthenticationType::ASCII,
        authen_service: AuthenticationService::LOGIN,
        user: b"alice",
        port: b"tty10",
        rem_addr: b"192.0.2.1",
        data: b"",
    }
}

fn arguments(list: &[&str]) -> ArgumentList {
    let mut arguments = ArgumentList::new();
    for argument in list {
        arguments.push_raw(argument).unwrap();
    }
    arguments
}

fn authorization(arguments: &ArgumentList) -> authorization::Request<'_> {
    authorization::Request {
        authen_method: AuthenticationMethod::TACACSPLUS,
        priv_lvl: PrivilegeLevel::USER,
        authen_type: AuthenticationType::ASCII,
        authen_service: AuthenticationService::LOGIN,
        user: b"alice",
        port: b"tty10",
        rem_addr: b"192.0.2.1",
        arguments: arguments.as_arguments(),
    }
}

fn accounting(arguments: &ArgumentList) -> accounting::Request<'_> {
    accounting::Request {
        flags: AccountingFlags::START,
        authen_method: AuthenticationMethod::TACACSPLUS,
        priv_lvl: PrivilegeLevel::USER,
        authen_type: AuthenticationType::ASCII,
        authen_service: AuthenticationService::LOGIN,
        user: b"alice",
        port: b"tty10",
        rem_addr: b"192.0.2.1",
        arguments: arguments.as_arguments(),
    }
}

/// A client, and the server played by hand.
struct Script {
    connection: ClientConnection,
    protection: Protection,
}

impl Script {
    fn new(protection: Protection) -> Self {
        let connection =
            ClientConnection::new(Arc::new(Config::new(protection.clone())), Now::default());
        Self {
            connection,
            protection,
        }
    }

    /// With one session of each type, numbered by its type, and single-connect established.
    fn of_each_type(protection: Protection) -> Self {
        let mut script = Self::new(protection);
        script.connection.start(SessionId(9), &login()).unwrap();
        script.reply(script.header(1, 2, 9), PASS);
        script.events();
        script.connection.start(SessionId(1), &login()).unwrap();
        script
            .connection
            .authorize(SessionId(2), &authorization(&arguments(&["service=ppp"])))
            .unwrap();
        script
            .connection
            .account(SessionId(3), &accounting(&arguments(&["task_id=1"])))
            .unwrap();
        script.sent();
        script
    }

    fn header(&self, packet_type: u8, seq_no: u8, session: u32) -> Header {
        Header {
            version: Version::DEFAULT,
            packet_type: PacketType(packet_type),
            seq_no: SeqNo(seq_no),
            flags: self.protection.flags().with(Flags::SINGLE_CONNECT),
            session_id: SessionId(session),
            length: 0,
        }
    }

    fn reply(&mut self, header: Header, body: &[u8]) {
        let header = Header {
            length: u32::try_from(body.len()).unwrap(),
            ..header
        };
        let mut body = body.to_vec();
        if let Some(secret) = self.protection.first_secret() {
            obfuscation::apply(secret, &header, &mut body);
        }
        self.connection
            .receive(&[&header.encode()[..], &body].concat(), Now::default());
    }

    fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.connection.poll() {
            events.push(format!("{event:?}"));
        }
        events
    }

    fn failure(&mut self) -> (SessionId, Failure) {
        match self.connection.poll() {
            Some(Event::SessionFailed { session, reason }) => (session, reason),
            other => panic!("{other:?}"),
        }
    }

    fn question(&mut self) -> ContinueTicket {
        match self.connection.poll() {
            Some(Event::AuthenticationReply {
                ticket: Some(ticket),
                ..
            }) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// What was sent, in clear.
    fn sent(&mut self) -> Vec<(Header, Vec<u8>)> {
        let mut stream = Vec::new();
        self.connection.poll_transmit(&mut stream);
        let mut rest = &stream[..];
        let mut packets = Vec::new();
        while let Some(header) = Header::peek(rest) {
            let end = Header::LENGTH + header.length as usize;
            let mut body = rest[Header::LENGTH..end].to_vec();
            if let Some(secret) = self.protection.first_secret() {
                obfuscation::apply(secret, &header, &mut body);
            }
            packets.push((header, body));
            rest = &rest[end..];
        }
        packets
    }
}

fn protections() -> [Protection; 2] {
    [Protection::Tls, obfuscated()]
}

/// proves: TAC-4.3-3, TAC-4.3-2
#[test]
fn no_second_session_before_single_connect_is_established() {
    let mut script = Script::new(obfuscated());
    let list = arguments(&["service=ppp"]);
    assert!(script.connection.may_start());
    script.connection.start(SessionId(1), &login()).unwrap();
    assert!(!script.connection.may_start());
    assert_eq!(
        script
            .connection
            .authorize(SessionId(2), &authorization(&list)),
        Err(SendError::NotNow)
    );
    let sent = script.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0.flags, Flags::SINGLE_CONNECT);

    script.reply(script.header(1, 2, 1), GETDATA);
    assert_eq!(script.events().len(), 1);
    assert!(script.connection.may_start() && script.connection.is_reusable());
    script
        .connection
        .authorize(SessionId(2), &authorization(&list))
        .unwrap();
}

/// proves: TAC-4.3-5, D05-3.3-1
#[test]
fn a_flag_that_was_not_asked_for_is_ignored() {
    let config = Config {
        single_connection: false,
        ..Config::new(obfuscated())
    };
    let mut script = Script::new(obfuscated());
    script.connection = ClientConnection::new(Arc::new(config), Now::default());
    script.connection.start(SessionId(1), &login()).unwrap();
    assert_eq!(script.sent()[0].0.flags, Flags::NONE);
    script.reply(script.header(1, 2, 1), PASS);
    script.events();
    assert_eq!(
        script.connection.close_reason(),
        Some(CloseReason::SessionComplete)
    );
}

/// proves: TAC-4.3-6
#[test]
fn the_flag_means_nothing_after_the_second_packet() {
    let mut script = Script::of_each_type(obfuscated());
    let clear = |header: Header| Header {
        flags: Flags::NONE,
        ..header
    };
    script.reply(clear(script.header(2, 2, 2)), b"\x01\0\0\0\0\0");
    script.reply(clear(script.header(3, 2, 3)), b"\0\0\0\0\x01");
    assert_eq!(script.events().len(), 2);
    assert!(script.connection.is_reusable());
}

/// proves: TAC-10.5.2-10, TAC-10.5.2-11, TLS-4-6
#[test]
fn a_reply_with_the_wrong_flag_fails_and_closes() {
    for protection in protections() {
        for (packet_type, body, verdict) in [
            (1, PASS, Verdict::Fail),
            (2, PASS, Verdict::Fail),
            (3, &b"\0\0\0\0\x01"[..], Verdict::Error),
        ] {
            let mut script = Script::of_each_type(protection.clone());
            let header = script.header(packet_type, 2, packet_type.into());
            // As a peer in the other mode would send it: flag and body fit each other.
            let header = Header {
                flags: Flags(header.flags.0 ^ 0x01),
                length: body.len() as u32,
                ..header
            };
            script
                .connection
                .receive(&[&header.encode()[..], body].concat(), Now::default());
            let (session, failure) = script.failure();
            assert_eq!(session, SessionId(packet_type.into()));
            assert_eq!(failure, Failure::FlagMismatch(PacketType(packet_type)));
            assert_eq!(failure.verdict(), verdict);
            assert_eq!(script.failure().1, Failure::ConnectionClosed);
            assert_eq!(script.failure().1, Failure::ConnectionClosed);
            assert_eq!(script.events(), ["Closed { reason: Trouble }"]);
            assert_eq!(script.connection.close_reason(), Some(CloseReason::Trouble));
        }
    }
}

/// proves: TAC-4.5-9
#[test]
fn garbage_is_an_unreachable_server_and_never_a_denial() {
    let bodies: [(u8, &[u8]); 6] = [
        (1, b"\x01\0\0\0\0\x01"),
        (1, b"\x01\0\0\0\0\0x"),
        (2, b"\x01\0\0\0\0\x01"),
        (2, b"\x01\0\0\0\0\0x"),
        (3, b"\0\0\0\x01\x01"),
        (3, b"\0\0\0\0\x01x"),
    ];
    for (packet_type, body) in bodies {
        let mut script = Script::of_each_type(obfuscated());
        script.reply(script.header(packet_type, 2, packet_type.into()), body);
        let (session, failure) = script.failure();
        assert_eq!(session, SessionId(packet_type.into()));
        assert!(matches!(failure, Failure::Garbage(_)));
        assert_eq!(failure.verdict(), Verdict::Error);
        // No new session; the others may finish, then the connection is over.
        assert!(!script.connection.may_start());
        assert_eq!(script.connection.close_reason(), None);
        for (other, body) in [(1, PASS), (2, PASS), (3, &b"\0\0\0\0\x01"[..])] {
            if other != packet_type {
                script.reply(script.header(other, 2, other.into()), body);
            }
        }
        assert_eq!(script.events().len(), 3);
        assert_eq!(script.connection.close_reason(), Some(CloseReason::Trouble));
    }
}

/// Ruling 5.
#[test]
fn a_reply_without_body_is_an_error() {
    for packet_type in 1..=3 {
        let mut script = Script::of_each_type(obfuscated());
        script.reply(script.header(packet_type, 2, packet_type.into()), b"");
        let (_, failure) = script.failure();
        assert_eq!(
            (failure, failure.verdict()),
            (Failure::EmptyReply, Verdict::Error)
        );
        assert!(script.connection.is_reusable());
    }
}

/// proves: TAC-5.2-3, TAC-6.2-2
#[test]
fn an_unlisted_status_is_never_a_result() {
    for status in [0x00, 0x08, 0xff] {
        for (packet_type, body) in [
            (1, &[status, 0, 0, 0, 0, 0][..]),
            (2, &[status, 0, 0, 0, 0, 0]),
            (3, &[0, 0, 0, 0, status]),
        ] {
            let mut script = Script::of_each_type(obfuscated());
            script.reply(script.header(packet_type, 2, packet_type.into()), body);
            let (_, failure) = script.failure();
            assert_eq!(
                (failure, failure.verdict()),
                (Failure::UnlistedStatus(status), Verdict::Error)
            );
        }
    }
}

/// proves: TAC-5.4.3-4, TAC-10.5.5-4, TAC-6.2-9, TAC-7.2-5
#[test]
fn redirection_and_restart_are_failures() {
    let mut script = Script::of_each_type(obfuscated());
    script.reply(script.header(1, 2, 1), b"\x21\0\0\0\0\x04host");
    script.reply(script.header(2, 2, 2), b"\x21\x01\0\0\0\x04\x03hosta=b");
    script.reply(script.header(3, 2, 3), b"\0\0\0\x04\x21host");
    let Some(Event::AuthenticationReply {
        ticket: None,
        reply,
        ..
    }) = script.connection.poll()
    else {
        panic!()
    };
    assert_eq!(reply.status.verdict(), Verdict::Fail);
    let Some(Event::AuthorizationReply { reply, .. }) = script.connection.poll() else {
        panic!()
    };
    assert_eq!(reply.status.verdict(), Verdict::Fail);
    let Some(Event::AccountingReply { reply, .. }) = script.connection.poll() else {
        panic!()
    };
    assert_eq!(reply.status.verdict(), Verdict::Fail);
    assert_eq!(AuthenticationStatus::RESTART.verdict(), Verdict::Fail);
}

/// proves: TAC-4.1-10, TAC-4.1-9
#[test]
fn a_reply_has_the_next_number() {
    for wrong in [1, 3, 4, 0, 255] {
        let mut script = Script::of_each_type(obfuscated());
        script.reply(script.header(1, wrong, 1), PASS);
        assert_eq!(
            script.failure(),
            (SessionId(1), Failure::Sequence(SeqNo(wrong)))
        );
    }
}

/// proves: TAC-4.1-20
#[test]
fn a_reply_for_another_session_is_no_reply() {
    let mut script = Script::of_each_type(obfuscated());
    script.reply(script.header(1, 2, 77), PASS);
    assert_eq!(
        script.events(),
        ["Ignored { session: SessionId(0000004d) }"]
    );
    assert_eq!(script.connection.sessions(), 3);

    let mut script = Script::new(obfuscated());
    script.connection.start(SessionId(1), &login()).unwrap();
    let header = Header {
        flags: Flags::NONE,
        ..script.header(1, 2, 2)
    };
    script.reply(header, PASS);
    let expected = [
        "Ignored { session: SessionId(00000002) }",
        "SessionFailed { session: SessionId(00000001), reason: ConnectionClosed }",
        "Closed { reason: UnknownSession }",
    ];
    assert_eq!(script.events(), expected);
}

#[test]
fn a_reply_has_the_type_of_the_request() {
    let mut script = Script::of_each_type(obfuscated());
    script.reply(script.header(2, 2, 1), PASS);
    assert_eq!(
        script.failure(),
        (SessionId(1), Failure::WrongType(PacketType(2)))
    );
}

/// proves: TAC-4.1-12, TAC-4.1-11
#[test]
fn a_server_that_asks_for_ever_is_aborted_at_the_last_number() {
    let mut script = Script::new(obfuscated());
    script.connection.start(SessionId(1), &login()).unwrap();
    script.sent();
    for seq_no in (2..254).step_by(2) {
        script.reply(script.header(1, seq_no, 1), GETDATA);
        let ticket = script.question();
        script
            .connection
            .continue_with(ticket, &authentication::Continue::new(b"x"))
            .unwrap();
        assert_eq!(script.sent()[0].0.seq_no, SeqNo(seq_no + 1));
    }
    script.reply(script.header(1, 254, 1), GETDATA);
    assert_eq!(script.failure(), (SessionId(1), Failure::SequenceExhausted));
    let sent = script.sent();
    let [(header, body)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(
        (header.seq_no, &body[..]),
        (SeqNo(255), &b"\0\0\0\0\x01"[..])
    );
    assert!(script.connection.may_start());
}

/// proves: TAC-5.4.3-1, TAC-5.3-2
#[test]
fn an_abort_sends_its_reason_and_ends_the_session() {
    let mut script = Script::of_each_type(obfuscated());
    script.reply(script.header(1, 2, 1), GETDATA);
    let ticket = script.question();
    script.connection.abort(ticket, b"interrupted").unwrap();
    assert_eq!(script.sent()[0].1, b"\0\0\0\x0b\x01interrupted");
    assert_eq!(script.connection.sessions(), 2);
}

/// proves: TAC-5.4-3, TAC-5.3-3, TAC-5.4.2.1-6
#[test]
fn an_answer_travels_in_user_msg() {
    let mut script = Script::of_each_type(Protection::Tls);
    script.reply(script.header(1, 2, 1), GETDATA);
    let ticket = script.question();
    script
        .connection
        .continue_with(ticket, &authentication::Continue::new(b"wonderland"))
        .unwrap();
    let sent = script.sent();
    assert_eq!(sent[0].0.seq_no, SeqNo(3));
    assert_eq!(sent[0].1, b"\0\x0a\0\0\0wonderland");
    // A reply that nobody asked for, while the application has the ticket or not, is out of sequence.
    script.reply(script.header(1, 2, 1), GETDATA);
    assert_eq!(script.failure().1, Failure::Sequence(SeqNo(2)));
}

/// proves: TAC-5.4.1-2, TAC-5.4.1-3, TAC-5.4.2.2-6
#[test]
fn versions_follow_the_flow() {
    let kinds = [
        (AuthenticationType::ASCII, Version::DEFAULT),
        (AuthenticationType::PAP, Version::ONE),
        (AuthenticationType::CHAP, Version::ONE),
        (AuthenticationType::MSCHAP, Version::ONE),
        (AuthenticationType::MSCHAPV2, Version::ONE),
    ];
    for (authen_type, version) in kinds {
        let mut script = Script::new(obfuscated());
        script
            .connection
            .start(
                SessionId(1),
                &authentication::Start {
                    authen_type,
                    ..login()
                },
            )
            .unwrap();
        assert_eq!(script.sent()[0].0.version, version);
    }
    let mut script = Script::new(obfuscated());
    script
        .connection
        .start(
            SessionId(1),
            &authentication::Start {
                action: Action::CHPASS,
                ..login()
            },
        )
        .unwrap();
    assert_eq!(script.sent()[0].0.version, Version::DEFAULT);
    let mut script = Script::new(obfuscated());
    script
        .connection
        .account(SessionId(1), &accounting(&arguments(&["task_id=1"])))
        .unwrap();
    assert_eq!(script.sent()[0].0.version, Version::DEFAULT);
}

/// proves: TAC-5.4.2.2-2, TAC-5.4.2.6-4, TAC-10.5.3-5
#[test]
fn a_start_that_the_rfc_forbids_is_not_sent() {
    let mut script = Script::new(obfuscated());
    let pap = authentication::Start {
        authen_type: AuthenticationType::PAP,
        user: b"",
        ..login()
    };
    assert_eq!(
        script.connection.start(SessionId(1), &pap),
        Err(SendError::NoUser)
    );
    let unpaired = authentication::Start {
        action: Action::CHPASS,
        user: b"alice",
        ..pap
    };
    assert_eq!(
        script.connection.start(SessionId(1), &unpaired),
        Err(SendError::Pair)
    );
    // SENDPASS is an action of old drafts only.
    for action in [Action::SENDAUTH, Action(3)] {
        let asks_for_passwords = authentication::Start {
            action,
            user: b"alice",
            ..pap
        };
        assert_eq!(
            script.connection.start(SessionId(1), &asks_for_passwords),
            Err(SendError::Pair)
        );
    }
    let enable = AuthenticationService::ENABLE;
    let chpass = authentication::Start {
        action: Action::CHPASS,
        authen_service: enable,
        ..login()
    };
    assert_eq!(
        script.connection.start(SessionId(1), &chpass),
        Err(SendError::Pair)
    );
    assert!(script.sent().is_empty() && script.connection.may_start());
}

/// proves: TAC-8.2-1, TAC-8.2-4, D05-7.1-6
#[test]
fn an_authorization_names_service_and_command() {
    let mut script = Script::new(obfuscated());
    for (list, error) in [
        (&["cmd=show"][..], Some(SendError::NoService)),
        (&["service=shell"], Some(SendError::NoCommand)),
        (&["service=shell", "cmd="], None),
    ] {
        let list = arguments(list);
        let sent = script
            .connection
            .authorize(SessionId(1), &authorization(&list));
        assert_eq!(sent.err(), error);
    }
}

/// proves: TAC-8.3-1, D05-7.2-1
#[test]
fn accounting_arguments_stand_first() {
    let wrong = arguments(&["task_id=1", "service=shell", "start_time=1700000000"]);
    let right = arguments(&[
        "task_id=1",
        "start_time=1700000000",
        "service=shell",
        "cmd=show",
    ]);
    let mut script = Script::new(obfuscated());
    assert_eq!(
        script.connection.account(SessionId(1), &accounting(&wrong)),
        Err(SendError::ArgumentOrder)
    );
    assert_eq!(
        script.connection.account(SessionId(1), &accounting(&right)),
        Ok(())
    );
}

#[test]
fn an_answer_that_cannot_be_sent_aborts_the_session() {
    let mut script = Script::of_each_type(obfuscated());
    script.reply(script.header(1, 2, 1), GETDATA);
    let ticket = script.question();
    let long = std::vec![b'x'; 65_536];
    assert!(
        script
            .connection
            .continue_with(ticket, &authentication::Continue::new(&long))
            .is_err()
    );
    assert_eq!(script.sent()[0].1, b"\0\0\0\0\x01");
    assert_eq!(script.connection.sessions(), 2);
}

/// proves: TAC-4.3-10, TAC-4.3-12
#[test]
fn a_server_that_closes_an_idle_connection_harms_no_session() {
    let mut script = Script::new(obfuscated());
    script.connection.start(SessionId(1), &login()).unwrap();
    script.reply(script.header(1, 2, 1), PASS);
    script.events();
    script.connection.peer_closed();
    assert_eq!(script.events(), ["Closed { reason: PeerClosed }"]);
    assert!(!script.connection.may_start() && !script.connection.is_reusable());
}

#[test]
fn a_server_of_another_protocol_or_with_too_long_replies_is_left() {
    let header = Header {
        length: u32::MAX,
        ..Script::new(obfuscated()).header(1, 2, 1)
    };
    for (header, reason) in [
        (header, "Closed { reason: Oversize }"),
        (
            Header {
                version: Version(0x16),
                ..header
            },
            "Closed { reason: NotTacacs }",
        ),
    ] {
        let mut script = Script::new(obfuscated());
        script.connection.start(SessionId(1), &login()).unwrap();
        script.connection.receive(&header.encode(), Now::default());
        assert_eq!(script.failure().1.verdict(), Verdict::Error);
        assert_eq!(script.events(), [reason]);
    }
}

#[test]
fn a_client_without_secret_sends_nothing() {
    let mut script = Script::new(Protection::Obfuscated(Vec::new()));
    assert_eq!(
        script.connection.start(SessionId(1), &login()),
        Err(SendError::NotNow)
    );
    assert_eq!(script.events(), ["Closed { reason: NoSecret }"]);
}

/// proves: TAC-3.6-2
#[test]
fn error_is_told_apart_from_fail() {
    let mut script = Script::of_each_type(obfuscated());
    script.reply(script.header(1, 2, 1), b"\x07\0\0\x04\0\0oops");
    script.reply(script.header(2, 2, 2), b"\x10\0\0\0\0\0");
    let Some(Event::AuthenticationReply { reply, .. }) = script.connection.poll() else {
        panic!()
    };
    assert_eq!(
        (reply.status.verdict(), reply.server_msg),
        (Verdict::Error, &b"oops"[..])
    );
    let Some(Event::AuthorizationReply { reply, .. }) = script.connection.poll() else {
        panic!()
    };
    assert_eq!(reply.status.verdict(), Verdict::Fail);
}

#[test]
fn a_separator_is_what_the_list_says() {
    let mut list = ArgumentList::new();
    list.push("zz", Separator::Optional, "1").unwrap();
    assert_eq!(list, arguments(&["zz*1"]));
}
