use super::*;
use crate::{ArgumentList, EncodeError, Field};

fn reply(status: AuthenticationStatus) -> authentication::Reply<'static> {
    authentication::Reply::new(status)
}

/// proves: TAC-5.4.2.2-1, TAC-5.4.2.3-1, TAC-5.4.2.4-1, TAC-5.4.2.5-1, TAC-5.4.1-3
#[test]
fn a_login_of_one_packet_has_one_reply() {
    for authen_type in [2, 3, 5, 6] {
        let body = [
            1,
            1,
            authen_type,
            1,
            5,
            0,
            0,
            0,
            b'a',
            b'l',
            b'i',
            b'c',
            b'e',
        ];
        let mut peer = Peer::established(obfuscated());
        peer.send(&[Packet {
            version: 0xc1,
            ..start(1, &body)
        }]);
        let ticket = peer.authentication_ticket();
        let sent = peer
            .connection
            .answer(ticket.with(reply(AuthenticationStatus::GETPASS)), at(0));
        assert_eq!(sent, Err(AnswerError::OneReplyOnly));
        assert!(is_error(&peer.replies()[0]));
        assert_eq!(peer.connection.sessions(), 0);
    }
}

/// proves: TAC-10.5.5-2, TAC-10.2-2
#[test]
fn redirection_and_unlisted_statuses_are_never_sent() {
    for status in [0x21, 0x00, 0x08, 0xff] {
        let mut peer = Peer::established(obfuscated());
        peer.send(&[start(1, ASCII_ALICE), authorization(2), accounting(3)]);
        let ticket = peer.authentication_ticket();
        let answer = ticket.with(reply(AuthenticationStatus(status)));
        assert_eq!(
            peer.connection.answer(answer, at(0)),
            Err(AnswerError::Status(status))
        );
        let ticket = peer.authorization_ticket();
        let answer = ticket.with(authorization::Reply::new(AuthorizationStatus(status)));
        assert_eq!(
            peer.connection.answer(answer, at(0)),
            Err(AnswerError::Status(status))
        );
        let Some(Event::Accounting { ticket, .. }) = peer.connection.poll() else {
            panic!("no event")
        };
        let answer = ticket.with(accounting::Reply::new(AccountingStatus(status)));
        assert_eq!(
            peer.connection.answer(answer, at(0)),
            Err(AnswerError::Status(status))
        );
        let replies = peer.replies();
        assert_eq!(replies.len(), 3);
        assert!(replies.iter().all(is_error));
    }
}

/// proves: TAC-3.7-5
#[test]
fn a_reply_that_cannot_be_sent_becomes_error() {
    let mut peer = Peer::established(obfuscated());
    peer.send(&[start(1, ASCII_ALICE)]);
    let ticket = peer.authentication_ticket();
    let answer = ticket.with(authentication::Reply {
        server_msg: b"line\n",
        ..reply(AuthenticationStatus::PASS)
    });
    let error = AnswerError::Encode(EncodeError::NotText(Field::ServerMsg));
    assert_eq!(peer.connection.answer(answer, at(0)), Err(error));
    assert!(is_error(&peer.replies()[0]));
}

#[test]
fn a_stale_ticket_sends_nothing() {
    let mut peer = Peer::established(obfuscated());
    peer.send(&[authorization(1)]);
    let stale = peer.authorization_ticket();
    // The client breaks the session, then uses the id again.
    peer.send(&[authorization(1), authorization(1)]);
    assert!(matches!(
        peer.connection.poll(),
        Some(Event::Refused {
            reason: Refusal::SessionInUse,
            ..
        })
    ));
    assert!(matches!(
        peer.connection.poll(),
        Some(Event::SessionEnded { .. })
    ));
    let fresh = peer.authorization_ticket();
    peer.replies();
    let pass = authorization::Reply::new(AuthorizationStatus::PASS_ADD);
    assert_eq!(
        peer.connection.answer(stale.with(pass), at(0)),
        Err(AnswerError::Stale)
    );
    assert!(peer.replies().is_empty());
    assert_eq!(peer.connection.answer(fresh.with(pass), at(0)), Ok(()));
    assert_eq!(peer.replies().len(), 1);
}

#[test]
fn replies_of_one_turn_are_contiguous_and_in_order() {
    let mut peer = Peer::established(Protection::Tls);
    let mut list = ArgumentList::new();
    list.push("priv-lvl", crate::Separator::Mandatory, "15")
        .unwrap();
    let requests: Vec<Packet<'_>> = (1..=16).map(authorization).collect();
    peer.send(&requests);
    for _ in 0..16 {
        let ticket = peer.authorization_ticket();
        let arguments = list.as_arguments();
        let reply = authorization::Reply {
            arguments,
            ..authorization::Reply::new(AuthorizationStatus::PASS_ADD)
        };
        peer.connection.answer(ticket.with(reply), at(0)).unwrap();
    }
    let replies = peer.replies();
    assert!(
        replies
            .iter()
            .map(|(header, _)| header.session_id.0)
            .eq(1..=16)
    );
    assert!(
        replies
            .iter()
            .all(|(_, body)| body.ends_with(b"priv-lvl=15"))
    );
}

/// proves: TAC-5.2-2, TAC-5.4-1
#[test]
fn every_status_of_a_reply_but_redirection_can_be_sent() {
    for status in 1..=7 {
        let mut peer = Peer::established(obfuscated());
        peer.send(&[start(1, ASCII_ALICE)]);
        let ticket = peer.authentication_ticket();
        peer.connection
            .answer(ticket.with(reply(AuthenticationStatus(status))), at(0))
            .unwrap();
        assert_eq!(peer.replies()[0].1[0], status);
        assert_eq!(
            peer.connection.sessions(),
            usize::from((3..=5).contains(&status))
        );
    }
}

#[test]
fn tickets_can_be_answered_by_a_task() {
    fn is_send<T: Send>() {}
    is_send::<Ticket<AuthenticationReply>>();
    is_send::<ServerConnection>();
}
