//! The client machine and the server machine, joined in memory.

use doorward_tacacs::client::{self, CloseReason, Event, Failure};
use doorward_tacacs::{
    AccountingFlags, AccountingStatus, Action, ArgumentList, AuthenticationMethod,
    AuthenticationService, AuthenticationStatus, AuthenticationType, AuthorizationStatus, Flags,
    Header, PrivilegeLevel, Protection, Secret, Separator, SessionId, Version, accounting,
    authentication, authorization, server,
};

use crate::peers::{Pair, obfuscated};

pub(crate) fn login(user: &'static [u8]) -> authentication::Start<'static> {
    authentication::Start {
        action: Action::LOGIN,
        priv_lvl: PrivilegeLevel::USER,
        authen_type: AuthenticationType::ASCII,
        authen_service: AuthenticationService::LOGIN,
        user,
        port: b"tty10",
        rem_addr: b"2001:db8::1",
        data: b"",
    }
}

pub(crate) fn pap(password: &'static [u8]) -> authentication::Start<'static> {
    authentication::Start {
        authen_type: AuthenticationType::PAP,
        data: password,
        ..login(b"alice")
    }
}

pub(crate) fn shell(command: &str) -> ArgumentList {
    let mut arguments = ArgumentList::new();
    arguments
        .push("service", Separator::Mandatory, "shell")
        .unwrap();
    arguments
        .push("cmd", Separator::Mandatory, command)
        .unwrap();
    arguments
}

pub(crate) fn authorization(arguments: &ArgumentList) -> authorization::Request<'_> {
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

pub(crate) fn accounting(arguments: &ArgumentList) -> accounting::Request<'_> {
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

/// The headers of a stream of packets.
pub(crate) fn headers(mut stream: &[u8]) -> Vec<Header> {
    let mut headers = Vec::new();
    while let Some(header) = Header::peek(stream) {
        headers.push(header);
        stream = &stream[Header::LENGTH + header.length as usize..];
    }
    headers
}

fn protections() -> [Protection; 2] {
    [Protection::Tls, obfuscated()]
}

/// proves: TAC-3.5-2, TAC-5.4-3, TAC-5.4.2.1-1, TAC-5.4.2.1-6, TAC-5.4.1-2, TAC-4.1-2, TAC-4.1-9
#[test]
fn a_login_asks_for_name_and_password() {
    for protection in protections() {
        let mut pair = Pair::new(&protection);
        let session = SessionId(0x0102_0304);
        pair.client.start(session, &login(b"")).unwrap();
        let mut statuses = Vec::new();
        for answer in [&b"alice"[..], b"wonderland", b""] {
            pair.exchange();
            let Some(Event::AuthenticationReply { ticket, reply, .. }) = pair.client.poll() else {
                panic!("no reply");
            };
            statuses.push(reply.status);
            if let Some(ticket) = ticket {
                pair.client
                    .continue_with(ticket, &authentication::Continue::new(answer))
                    .unwrap();
            }
        }
        let expected = [
            AuthenticationStatus::GETUSER,
            AuthenticationStatus::GETPASS,
            AuthenticationStatus::PASS,
        ];
        assert_eq!(statuses, expected);
        let requests = headers(&pair.requests);
        assert_eq!(
            requests
                .iter()
                .map(|header| header.seq_no.0)
                .collect::<Vec<_>>(),
            [1, 3, 5]
        );
        assert!(
            requests
                .iter()
                .all(|header| header.version == Version::DEFAULT)
        );
        let replies = headers(&pair.replies);
        assert_eq!(
            replies
                .iter()
                .map(|header| header.seq_no.0)
                .collect::<Vec<_>>(),
            [2, 4, 6]
        );
        assert_eq!((pair.server.sessions(), pair.client.sessions()), (0, 0));
    }
}

/// proves: TLS-4-2, TAC-4.3-1, TAC-4.3-2, TAC-4.3-4, TAC-4.4-6
#[test]
fn many_sessions_share_a_connection_once_single_connect_is_established() {
    for protection in protections() {
        let mut pair = Pair::new(&protection);
        let clear = protection.flags();
        for number in 1..=5 {
            pair.client
                .start(SessionId(number), &pap(b"wonderland"))
                .unwrap();
            pair.exchange();
            assert!(matches!(
                pair.client.poll(),
                Some(Event::AuthenticationReply { ticket: None, .. })
            ));
        }
        assert!(pair.client.is_reusable());
        assert_eq!(pair.server.close_reason(), None);
        for header in headers(&pair.requests)
            .into_iter()
            .chain(headers(&pair.replies))
        {
            assert_eq!(header.flags, clear.with(Flags::SINGLE_CONNECT));
            assert_eq!(header.version, Version::ONE);
        }
    }
}

/// proves: TAC-4.1-20
#[test]
fn interleaved_sessions_keep_apart() {
    for protection in protections() {
        let mut pair = Pair::new(&protection);
        let arguments = shell("");
        pair.client
            .authorize(SessionId(1), &authorization(&arguments))
            .unwrap();
        pair.exchange();
        assert!(matches!(
            pair.client.poll(),
            Some(Event::AuthorizationReply { .. })
        ));

        pair.client.start(SessionId(2), &login(b"alice")).unwrap();
        pair.client.start(SessionId(3), &login(b"mallory")).unwrap();
        pair.client
            .account(SessionId(4), &accounting(&arguments))
            .unwrap();
        pair.exchange();
        let mut tickets = Vec::new();
        for _ in 0..2 {
            let Some(Event::AuthenticationReply {
                ticket: Some(ticket),
                ..
            }) = pair.client.poll()
            else {
                panic!("no question");
            };
            tickets.push(ticket);
        }
        let Some(Event::AccountingReply {
            session: SessionId(4),
            reply,
        }) = pair.client.poll()
        else {
            panic!("no accounting");
        };
        assert_eq!(reply.status, AccountingStatus::SUCCESS);
        assert_eq!(pair.server.sessions(), 2);

        for ticket in tickets.into_iter().rev() {
            pair.client
                .continue_with(ticket, &authentication::Continue::new(b"wonderland"))
                .unwrap();
        }
        pair.exchange();
        let mut results = Vec::new();
        while let Some(Event::AuthenticationReply { session, reply, .. }) = pair.client.poll() {
            results.push((session.0, reply.status));
        }
        assert_eq!(
            results,
            [
                (3, AuthenticationStatus::FAIL),
                (2, AuthenticationStatus::PASS)
            ]
        );
    }
}

/// proves: TAC-4.3-7, TAC-4.4-5
#[test]
fn without_single_connect_both_sides_close_after_the_first_session() {
    for (server_offers, client_asks) in [(false, true), (true, false), (false, false)] {
        let mut server = server::Config::new(obfuscated());
        server.single_connection = server_offers;
        let mut client = client::Config::new(obfuscated());
        client.single_connection = client_asks;
        let mut pair = Pair::with(server, client);
        let arguments = shell("");
        pair.client
            .authorize(SessionId(1), &authorization(&arguments))
            .unwrap();
        assert!(!pair.client.may_start());
        pair.exchange();
        let Some(Event::AuthorizationReply { reply, .. }) = pair.client.poll() else {
            panic!("no reply")
        };
        assert_eq!(reply.status, AuthorizationStatus::PASS_ADD);
        assert_eq!(
            pair.server.close_reason(),
            Some(server::CloseReason::SessionComplete)
        );
        assert_eq!(
            pair.client.close_reason(),
            Some(CloseReason::SessionComplete)
        );
        assert!(
            headers(&pair.replies)
                .iter()
                .all(|header| !header.flags.contains(Flags::SINGLE_CONNECT))
        );
    }
}

/// proves: TAC-4.5-6, TAC-4.5-9
#[test]
fn different_secrets_are_an_unreachable_server_and_a_refused_client() {
    let server = server::Config::obfuscated(Secret::new(*b"this is the secret of the server"));
    let mut pair = Pair::with(server, client::Config::new(obfuscated()));
    let arguments = shell("show version");
    pair.client
        .authorize(SessionId(7), &authorization(&arguments))
        .unwrap();
    pair.exchange();
    let Some(Event::SessionFailed {
        session: SessionId(7),
        reason: Failure::Garbage(_),
    }) = pair.client.poll()
    else {
        panic!("no failure");
    };
    assert!(matches!(
        pair.client.poll(),
        Some(Event::Closed {
            reason: CloseReason::Trouble
        })
    ));
    assert!(
        pair.application.seen[0].contains("Refused"),
        "{:?}",
        pair.application.seen
    );
    assert_eq!(
        pair.server.close_reason(),
        Some(server::CloseReason::Trouble)
    );
}

/// proves: TAC-4.3-11
#[test]
fn a_connection_that_closes_mid_login_is_no_result() {
    let mut pair = Pair::new(&Protection::Tls);
    pair.client.start(SessionId(1), &login(b"alice")).unwrap();
    pair.exchange();
    assert!(matches!(
        pair.client.poll(),
        Some(Event::AuthenticationReply {
            ticket: Some(_),
            ..
        })
    ));
    pair.client.peer_closed();
    let Some(Event::SessionFailed {
        reason: Failure::ConnectionClosed,
        ..
    }) = pair.client.poll()
    else {
        panic!("no failure");
    };
    assert!(matches!(
        pair.client.poll(),
        Some(Event::Closed {
            reason: CloseReason::PeerClosed
        })
    ));
    assert!(pair.client.poll().is_none());
}
