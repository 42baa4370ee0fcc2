//! Entry points for fuzzing, one per decoder and one per machine. The targets in `fuzz/` call them, and so does an
//! ordinary test with every file of the corpus.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::registry::{
    AccountingStatus, Action, AuthenticationMethod, AuthenticationService, AuthenticationStatus,
    AuthenticationType, AuthorizationStatus, Dialect, PrivilegeLevel,
};
use crate::server::{self, Event, ServerConnection};
use crate::{
    Argument, ArgumentList, ClientConnection, Header, Now, Protection, Secret, SessionId,
    accounting, authentication, authorization, client, obfuscation,
};

/// A decoder, and the encoder behind it.
macro_rules! body {
    ($(#[$doc:meta])* $name:ident, $body:ty) => {
        $(#[$doc])*
        pub fn $name(data: &[u8]) {
            let Ok(body) = <$body>::decode(data) else { return };
            let mut encoded = Vec::new();
            if body.encode(&mut encoded).is_ok() {
                assert_eq!(<$body>::decode(&encoded), Ok(body), "what is encoded decodes to the same");
            } else {
                assert!(encoded.is_empty(), "nothing is appended on error");
            }
        }
    };
}

body!(
    /// Decodes a START.
    authentication_start, authentication::Start<'_>
);
body!(
    /// Decodes a REPLY of authentication.
    authentication_reply, authentication::Reply<'_>
);
body!(
    /// Decodes a CONTINUE.
    authentication_continue, authentication::Continue<'_>
);
body!(
    /// Decodes a REQUEST of authorization.
    authorization_request, authorization::Request<'_>
);
body!(
    /// Decodes a REPLY of authorization.
    authorization_reply, authorization::Reply<'_>
);
body!(
    /// Decodes a REQUEST of accounting.
    accounting_request, accounting::Request<'_>
);
body!(
    /// Decodes a REPLY of accounting.
    accounting_reply, accounting::Reply<'_>
);

/// Decodes a header.
pub fn header(data: &[u8]) {
    if let Some(header) = Header::peek(data) {
        assert!(
            data.starts_with(&header.encode()),
            "a header encodes to what it was"
        );
    }
}

/// Takes arguments apart; they are separated by line ends.
pub fn arguments(data: &[u8]) {
    let mut list = ArgumentList::new();
    for octets in data.split(|octet| *octet == b'\n') {
        let Ok(argument) = Argument::parse(octets) else {
            continue;
        };
        if list
            .push(argument.name, argument.separator, argument.value)
            .is_ok()
        {
            assert_eq!(
                list.as_arguments().raw().last(),
                Some(octets),
                "an argument is put together as it was"
            );
        }
    }
    assert_eq!(
        list.as_arguments().iter().flatten().count(),
        list.len(),
        "what is in a list is an argument"
    );
}

/// Runs the server's side. The first octet chooses the connection (TLS, single-connect, dialect, secrets, and whether a wrong
/// flag is tolerated, from the lowest bit on), the second how the stream is cut; the rest is
/// packets with bodies in clear, which are obfuscated here where the connection wants it.
pub fn server_connection(data: &[u8]) {
    let Some((&[choice, cut], stream)) = data.split_first_chunk() else {
        return;
    };
    let config = server::Config {
        single_connection: choice & 0x02 != 0,
        dialect: dialect(choice),
        tolerate_wrong_flag: choice & 0x10 != 0,
        max_sessions: 8,
        ..server::Config::new(protection(choice))
    };
    let stream = obfuscate(stream, &config.protection);
    let mut connection = ServerConnection::new(Arc::new(config), Now::default());
    let mut replies = Vec::new();
    for piece in pieces(&stream, cut) {
        connection.receive(piece, Now::default());
        serve(&mut connection);
        connection.poll_transmit(&mut replies);
    }
    connection.peer_closed();
    serve(&mut connection);
    connection.poll_transmit(&mut replies);
    assert!(
        connection.close_reason().is_some(),
        "a connection whose peer left is over"
    );
    assert_eq!(connection.sessions(), 0, "so are its sessions");
    assert_replies(&replies);
}

/// Runs the client's side, with one session of each type; see [`server_connection`] for the data.
pub fn client_connection(data: &[u8]) {
    let Some((&[choice, cut], stream)) = data.split_first_chunk() else {
        return;
    };
    let config = client::Config {
        single_connection: choice & 0x02 != 0,
        dialect: dialect(choice),
        ..client::Config::new(protection(choice))
    };
    let stream = obfuscate(stream, &config.protection);
    let mut connection = ClientConnection::new(Arc::new(config), Now::default());
    let mut requests = Vec::new();
    let _ = connection.start(SessionId(1), &LOGIN);
    for piece in pieces(&stream, cut) {
        connection.receive(piece, Now::default());
        consume(&mut connection);
        connection.poll_transmit(&mut requests);
    }
    connection.peer_closed();
    consume(&mut connection);
    assert!(
        connection.close_reason().is_some(),
        "a connection whose server left is over"
    );
    assert_eq!(connection.sessions(), 0, "so are its sessions");
}

const LOGIN: authentication::Start<'static> = authentication::Start {
    action: Action::LOGIN,
    priv_lvl: PrivilegeLevel::USER,
    authen_type: AuthenticationType::ASCII,
    authen_service: AuthenticationService::LOGIN,
    user: b"user",
    port: b"",
    rem_addr: b"",
    data: b"",
};

fn protection(choice: u8) -> Protection {
    if choice & 0x01 != 0 {
        return Protection::Tls;
    }
    let secret = Secret::new(*b"the secret of the fuzzer");
    if choice & 0x08 != 0 {
        return Protection::Obfuscated(Vec::from([Secret::new(*b"an older secret"), secret]));
    }
    Protection::Obfuscated(Vec::from([secret]))
}

fn dialect(choice: u8) -> Dialect {
    if choice & 0x04 != 0 {
        Dialect::Draft05
    } else {
        Dialect::Rfc8907
    }
}

/// Obfuscates each body of a stream, as far as it has any.
fn obfuscate(stream: &[u8], protection: &Protection) -> Vec<u8> {
    let mut octets = stream.to_vec();
    let Protection::Obfuscated(secrets) = protection else {
        return octets;
    };
    let Some(secret) = secrets.last() else {
        return octets;
    };
    let mut rest = &mut octets[..];
    while let Some(header) = Header::peek(rest) {
        let end = usize::try_from(header.length)
            .unwrap_or(usize::MAX)
            .saturating_add(Header::LENGTH);
        let Some((packet, following)) = rest.split_at_mut_checked(end) else {
            break;
        };
        obfuscation::apply(
            secret,
            &header,
            packet.get_mut(Header::LENGTH..).unwrap_or_default(),
        );
        rest = following;
    }
    octets
}

fn pieces(stream: &[u8], cut: u8) -> impl Iterator<Item = &[u8]> {
    let longest = if cut == 0 {
        stream.len().max(1)
    } else {
        usize::from(cut)
    };
    stream.chunks(longest)
}

/// Answers every event with a status that depends on its session.
fn serve(connection: &mut ServerConnection) {
    while let Some(event) = connection.poll() {
        let answer = match event {
            Event::AuthenticationStart { ticket, .. }
            | Event::AuthenticationContinue { ticket, .. } => {
                let status = AuthenticationStatus(ticket.session().0.to_le_bytes()[0] & 0x0f);
                ticket.with(authentication::Reply {
                    server_msg: b"prompt",
                    ..authentication::Reply::new(status)
                })
            }
            Event::Authorization { ticket, request } => {
                // The arguments of the request may be none that can be sent.
                let arguments = request.arguments;
                let mut list = ArgumentList::new();
                for argument in arguments.raw() {
                    let _ = list.push_raw(argument);
                }
                let status = AuthorizationStatus::PASS_REPL;
                let reply = authorization::Reply {
                    arguments: list.as_arguments(),
                    ..authorization::Reply::new(status)
                };
                let _ = connection.answer(ticket.with(reply), Now::default());
                continue;
            }
            Event::Accounting { ticket, .. } => {
                ticket.with(accounting::Reply::new(AccountingStatus::SUCCESS))
            }
            Event::SessionEnded { .. } | Event::WrongFlag { .. } | Event::Refused { .. } => {
                continue;
            }
        };
        let _ = connection.answer(answer, Now::default());
    }
}

/// Every reply has an even number that is not 0, one of the two versions, and a length that is right.
fn assert_replies(mut replies: &[u8]) {
    while let Some(header) = Header::peek(replies) {
        assert!(
            !header.seq_no.is_from_client() && header.seq_no.0 != 0,
            "a server sends even numbers"
        );
        assert!(
            header.version.is_tacacs(),
            "the major version is the only one"
        );
        let end = usize::try_from(header.length)
            .unwrap_or(usize::MAX)
            .saturating_add(Header::LENGTH);
        let rest = replies.get(end..);
        assert!(rest.is_some(), "a reply is whole");
        replies = rest.unwrap_or_default();
    }
    assert!(replies.is_empty(), "nothing follows the last reply");
}

fn consume(connection: &mut ClientConnection) {
    let mut list = ArgumentList::new();
    let _ = list.push_raw("service=ppp");
    while let Some(event) = connection.poll() {
        if let client::Event::AuthenticationReply {
            ticket: Some(ticket),
            ..
        } = event
        {
            let _ = connection.continue_with(ticket, &authentication::Continue::new(b"answer"));
        } else if connection.is_reusable() {
            let request = authorization::Request {
                authen_method: AuthenticationMethod::TACACSPLUS,
                priv_lvl: LOGIN.priv_lvl,
                authen_type: LOGIN.authen_type,
                authen_service: LOGIN.authen_service,
                user: LOGIN.user,
                port: b"",
                rem_addr: b"",
                arguments: list.as_arguments(),
            };
            let _ = connection.authorize(SessionId(2), &request);
        }
    }
}
