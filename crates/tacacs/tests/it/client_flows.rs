//! What the client's machine does beside the plain login, with the server's machine at the other end.

use doorward_tacacs::client::{self, CloseReason, ContinueTicket, Event};
use doorward_tacacs::{Dialect, Flags, SessionId, authentication, server};

use crate::pair::{accounting, authorization, headers, login, pap, shell};
use crate::peers::{Pair, obfuscated};

fn pair_in(dialect: Dialect, single_connection: bool) -> Pair {
    let server = server::Config {
        dialect,
        ..server::Config::new(obfuscated())
    };
    let client = client::Config {
        dialect,
        single_connection,
        ..client::Config::new(obfuscated())
    };
    Pair::with(server, client)
}

/// Carries octets, and expects a question.
fn question(pair: &mut Pair) -> ContinueTicket {
    pair.exchange();
    match pair.client.poll() {
        Some(Event::AuthenticationReply {
            ticket: Some(ticket),
            ..
        }) => ticket,
        other => panic!("{other:?}"),
    }
}

/// proves: D05-4.4.3-1, TAC-5.4.3-1
#[test]
fn an_abort_has_no_reply_and_the_connection_goes_its_way() {
    for dialect in [Dialect::Rfc8907, Dialect::Draft05] {
        for single_connection in [true, false] {
            let mut pair = pair_in(dialect, single_connection);
            pair.client.start(SessionId(1), &login(b"alice")).unwrap();
            let ticket = question(&mut pair);
            let replies = pair.replies.len();
            pair.client.abort(ticket, b"interrupted").unwrap();
            pair.exchange();
            assert_eq!(pair.replies.len(), replies);
            let told = pair.application.seen.last().unwrap();
            assert!(
                told.contains("SessionEnded") && told.contains("interrupted"),
                "{told}"
            );
            assert_eq!((pair.client.sessions(), pair.server.sessions()), (0, 0));
            if single_connection {
                assert!(pair.client.is_reusable());
                pair.client
                    .start(SessionId(1), &pap(b"wonderland"))
                    .unwrap();
                pair.exchange();
                assert!(pair.replies.len() > replies);
            } else {
                let over = Some(CloseReason::SessionComplete);
                assert_eq!(pair.client.close_reason(), over);
                assert!(pair.server.close_reason().is_some());
            }
        }
    }
}

/// proves: D05-3.3-4, D05-3.3-5
#[test]
fn the_old_dialect_interleaves_sessions_too() {
    let mut pair = pair_in(Dialect::Draft05, true);
    let show = shell("show");
    pair.client.start(SessionId(1), &login(b"alice")).unwrap();
    let first = question(&mut pair);
    pair.client.start(SessionId(2), &login(b"alice")).unwrap();
    let second = question(&mut pair);
    pair.client
        .authorize(SessionId(3), &authorization(&show))
        .unwrap();
    pair.client
        .account(SessionId(4), &accounting(&show))
        .unwrap();
    for (ticket, password) in [(second, &b"wonderland"[..]), (first, b"wrong")] {
        let answer = authentication::Continue::new(password);
        pair.client.continue_with(ticket, &answer).unwrap();
    }
    pair.exchange();
    let mut decided = Vec::new();
    while let Some(event) = pair.client.poll() {
        decided.push(match event {
            Event::AuthenticationReply { session, reply, .. } => (session.0, reply.status.0),
            Event::AuthorizationReply { session, reply } => (session.0, reply.status.0),
            Event::AccountingReply { session, reply } => (session.0, reply.status.0),
            Event::SessionFailed { .. } | Event::Ignored { .. } | Event::Closed { .. } => {
                panic!("{event:?}")
            }
        });
    }
    decided.sort_unstable();
    assert_eq!(decided, [(1, 2), (2, 1), (3, 1), (4, 1)]);

    // Without single-connect both sides are done with the connection after the first.
    let mut pair = pair_in(Dialect::Draft05, false);
    pair.client
        .start(SessionId(1), &pap(b"wonderland"))
        .unwrap();
    pair.exchange();
    while pair.client.poll().is_some() {}
    assert!(pair.client.close_reason().is_some() && pair.server.close_reason().is_some());
}

/// proves: TAC-4.1-15
#[test]
fn neither_side_sets_the_flag_for_clear_text_on_port_49() {
    for dialect in [Dialect::Rfc8907, Dialect::Draft05] {
        let mut pair = pair_in(dialect, true);
        let show = shell("show");
        pair.client.start(SessionId(1), &login(b"alice")).unwrap();
        let ticket = question(&mut pair);
        let answer = authentication::Continue::new(b"wonderland");
        pair.client.continue_with(ticket, &answer).unwrap();
        pair.client
            .authorize(SessionId(2), &authorization(&show))
            .unwrap();
        pair.client
            .account(SessionId(3), &accounting(&show))
            .unwrap();
        pair.exchange();
        let (requests, replies) = (headers(&pair.requests), headers(&pair.replies));
        assert_eq!((requests.len(), replies.len()), (4, 4));
        for header in requests.iter().chain(&replies) {
            assert!(!header.flags.contains(Flags::UNENCRYPTED), "{header:?}");
        }
        // And the bodies are not readable.
        for octets in [&pair.requests, &pair.replies] {
            assert!(
                !octets
                    .windows(5)
                    .any(|part| part == b"alice" || part == b"Passw")
            );
        }
    }
}

/// proves: D05-4.1-4
#[test]
fn rem_addr_may_be_a_caller_id() {
    let mut pair = pair_in(Dialect::Draft05, true);
    let start = authentication::Start {
        rem_addr: b"5551234",
        ..pap(b"wonderland")
    };
    pair.client.start(SessionId(1), &start).unwrap();
    pair.exchange();
    assert!(pair.application.seen[0].contains("rem_addr: \"5551234\""));
    let Some(Event::AuthenticationReply { reply, .. }) = pair.client.poll() else {
        panic!("no reply")
    };
    assert_eq!(reply.status.name(), Some("PASS"));
}
