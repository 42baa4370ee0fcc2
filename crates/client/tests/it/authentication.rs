//! Logins.

use doorward_client::{
    Answer, AttemptError, Authentication, Client, ClientError, Decision, Denial, Login,
    PrivilegeLevel, Question, QuestionKind, Who,
};
use doorward_tacacs::client::{Failure, SendError};
use doorward_tacacs::{
    Action, AuthenticationService, AuthenticationStatus, AuthenticationType, Flags, PacketType,
    SeqNo, Version,
};

use crate::fake::{Act, Fake};
use crate::{SHORT, alice, client, plain};

const PAP: Login<'static> = Login::Pap {
    password: b"\x80\xffcorrect horse",
};

async fn pap(client: &Client) -> Result<Authentication, ClientError> {
    client.authenticate(&alice(), PAP).await
}

/// The one reason of a client with one server.
fn reason(result: Result<Authentication, ClientError>) -> AttemptError {
    match result {
        Err(ClientError::Unavailable(mut attempts)) if attempts.len() == 1 => {
            attempts.pop().unwrap().reason
        }
        other => panic!("{other:?}"),
    }
}

/// proves: TAC-5.4.2.2-3, TAC-10.5.2-7
#[tokio::test]
async fn pap_carries_the_password_in_the_start() {
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let who = alice().at_level(PrivilegeLevel(15));
    let answer = client([plain(&fake)])
        .authenticate(&who, PAP)
        .await
        .unwrap();
    assert_eq!(answer.decision, Decision::Pass);
    assert_eq!(answer.status, Some(AuthenticationStatus::PASS));
    assert_eq!(answer.facts.server, fake.address().to_string());
    assert_eq!(answer.facts.tls, None);
    let requests = fake.requests();
    assert_eq!(requests.len(), 1);
    let (header, start) = (requests[0].header, requests[0].start());
    assert_eq!(
        (header.version, header.seq_no, header.packet_type),
        (Version::ONE, SeqNo::FIRST, PacketType::AUTHENTICATION)
    );
    assert!(!header.flags.contains(Flags::UNENCRYPTED));
    assert_eq!(
        (start.action, start.authen_type),
        (Action::LOGIN, AuthenticationType::PAP)
    );
    assert_eq!(start.authen_service, AuthenticationService::LOGIN);
    assert_eq!(
        (start.user, start.port, start.rem_addr),
        (
            b"alice".as_slice(),
            b"tty10".as_slice(),
            b"192.0.2.7".as_slice()
        )
    );
    assert_eq!(start.data, b"\x80\xffcorrect horse");
    assert_eq!(start.priv_lvl, PrivilegeLevel(15));
}

/// proves: TAC-5.1-10
#[tokio::test]
async fn addresses_leave_in_the_form_of_rfc_5952() {
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let who = Who::new("alice")
        .from_address("2001:0db8:0:0:0:0:0:1".parse::<std::net::IpAddr>().unwrap());
    assert!(
        client([plain(&fake)])
            .authenticate(&who, PAP)
            .await
            .unwrap()
            .decision
            .is_pass()
    );
    assert_eq!(fake.requests()[0].start().rem_addr, b"2001:db8::1");
}

/// proves: TAC-5.4.2.2-2
#[tokio::test]
async fn pap_without_a_user_is_not_sent() {
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let result = client([plain(&fake)])
        .authenticate(&Who::new(""), PAP)
        .await;
    assert!(
        matches!(result, Err(ClientError::Request(SendError::NoUser))),
        "{result:?}"
    );
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn fail_is_a_decision_with_its_message() {
    let fake =
        Fake::plain(|request| request.ask(AuthenticationStatus::FAIL, "Go away").into()).await;
    let answer = pap(&client([plain(&fake)])).await.unwrap();
    assert_eq!(answer.decision, Decision::Fail(Denial::Status));
    assert_eq!(answer.status, Some(AuthenticationStatus::FAIL));
    assert_eq!(answer.server_msg, b"Go away");
}

/// proves: TAC-5.4-3, TAC-5.4-4, TAC-5.1-7, TAC-5.4.2.1-1, TAC-5.4.2.1-6
#[tokio::test]
async fn an_ascii_login_answers_in_user_msg() {
    let fake = Fake::plain(|request| {
        Act::Send(match request.packet {
            0 => request.ask(AuthenticationStatus::GETUSER, "Username: "),
            1 => request.ask(AuthenticationStatus::GETPASS, "Password: "),
            2 => request.ask(AuthenticationStatus::GETDATA, "Favourite colour: "),
            _ => request.authenticated(AuthenticationStatus::PASS),
        })
    })
    .await;
    let mut asked = Vec::new();
    let mut answers = |question: &Question| {
        asked.push(question.clone());
        Answer::text(match question.kind {
            QuestionKind::User => "alice",
            QuestionKind::Password => "correct horse",
            QuestionKind::Data => "mauve",
        })
    };
    let login = Login::Ascii {
        answers: &mut answers,
    };
    let answer = client([plain(&fake)])
        .authenticate(&Who::new(""), login)
        .await
        .unwrap();
    assert!(answer.decision.is_pass());
    let question = |kind, prompt: &str, no_echo| Question {
        kind,
        prompt: prompt.into(),
        no_echo,
        number: 1,
    };
    assert_eq!(
        asked,
        [
            question(QuestionKind::User, "Username: ", false),
            question(QuestionKind::Password, "Password: ", true),
            question(QuestionKind::Data, "Favourite colour: ", false),
        ]
    );
    let requests = fake.requests();
    let start = requests[0].start();
    assert_eq!(requests[0].body[4], 0);
    assert_eq!(requests[0].header.version, Version::DEFAULT);
    assert_eq!(
        (start.action, start.authen_type),
        (Action::LOGIN, AuthenticationType::ASCII)
    );
    for (request, (typed, seq_no)) in
        requests[1..]
            .iter()
            .zip([("alice", 3), ("correct horse", 5), ("mauve", 7)])
    {
        assert_eq!(request.answer().user_msg, typed.as_bytes());
        assert!(request.answer().data.is_empty() && !request.answer().abort);
        assert_eq!(request.header.seq_no, SeqNo(seq_no));
        assert_eq!(request.header.session_id, requests[0].header.session_id);
        assert_eq!(request.header.version, Version::DEFAULT);
    }
}

#[tokio::test]
async fn an_ascii_login_may_name_the_user_at_once() {
    let fake = Fake::plain(|request| {
        Act::Send(match request.packet {
            0 => request.ask(AuthenticationStatus::GETPASS, "Password: "),
            _ => request.authenticated(AuthenticationStatus::PASS),
        })
    })
    .await;
    let mut answers = |_: &Question| Answer::text("correct horse");
    let answer = client([plain(&fake)])
        .authenticate(
            &alice(),
            Login::Ascii {
                answers: &mut answers,
            },
        )
        .await
        .unwrap();
    assert!(answer.decision.is_pass());
    assert_eq!(fake.requests()[0].start().user, b"alice");
}

/// proves: TAC-5.4.3-1
#[tokio::test]
async fn giving_up_sends_an_abort() {
    let mut fake = Fake::plain(|request| match request.packet {
        0 => request
            .ask(AuthenticationStatus::GETPASS, "Password: ")
            .into(),
        _ => Act::Silence,
    })
    .await;
    let mut answers = |_: &Question| Answer::Abort("no patience".to_owned());
    let result = client([plain(&fake)])
        .authenticate(
            &alice(),
            Login::Ascii {
                answers: &mut answers,
            },
        )
        .await;
    assert!(matches!(result, Err(ClientError::Aborted)), "{result:?}");
    fake.ended().await;
    let requests = fake.requests();
    assert!(requests[1].answer().abort);
    assert_eq!(requests[1].answer().data, b"no patience");
}

/// proves: TAC-4.1-12
#[tokio::test]
async fn a_server_that_asks_for_ever_is_left() {
    let mut fake =
        Fake::plain(|request| request.ask(AuthenticationStatus::GETDATA, "More: ").into()).await;
    let mut answers = |_: &Question| Answer::text("more");
    let result = client([plain(&fake)])
        .authenticate(
            &alice(),
            Login::Ascii {
                answers: &mut answers,
            },
        )
        .await;
    assert!(matches!(
        reason(result),
        AttemptError::Reply(Failure::SequenceExhausted)
    ));
    fake.ended().await;
    let requests = fake.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header.seq_no.is_from_client())
    );
    assert_eq!(requests.last().unwrap().header.seq_no, SeqNo(255));
    assert!(requests.last().unwrap().answer().abort);
}

/// proves: TAC-5.2-3
#[tokio::test]
async fn an_unlisted_status_is_no_pass() {
    for status in [0x00, 0x08, 0xff] {
        let fake =
            Fake::plain(move |request| request.reply(vec![status, 0, 0, 0, 0, 0]).into()).await;
        let reason = reason(pap(&client([plain(&fake)])).await);
        assert!(
            matches!(reason, AttemptError::Reply(Failure::UnlistedStatus(seen)) if seen == status),
            "{reason:?}"
        );
    }
}

/// proves: TAC-5.4.3-4, TAC-10.5.5-4, D05-4.4.3-10
#[tokio::test]
async fn follow_and_restart_are_fail() {
    for status in [AuthenticationStatus::FOLLOW, AuthenticationStatus::RESTART] {
        let first = Fake::plain(move |request| {
            let mut body = vec![status.0, 0, 0, 0, 0, 9];
            body.extend(b"192.0.2.9");
            request.reply(body).into()
        })
        .await;
        let second =
            Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
        let answer = pap(&client([plain(&first), plain(&second)])).await.unwrap();
        assert_eq!(
            (answer.decision, answer.status),
            (Decision::Fail(Denial::Status), Some(status))
        );
        assert_eq!((first.connections(), second.connections()), (1, 0));
        // Hosts and keys of a redirection are thrown away.
        let follow = status == AuthenticationStatus::FOLLOW;
        assert_eq!(answer.data.is_empty(), follow);
    }
}

/// proves: TAC-10.5.2-10
#[tokio::test]
async fn a_reply_in_clear_is_fail_and_ends_the_connection() {
    let mut fake = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::PASS)
            .flags(Flags::UNENCRYPTED.with(Flags::SINGLE_CONNECT))
            .into()
    })
    .await;
    let second =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let answer = pap(&client([plain(&fake), plain(&second)])).await.unwrap();
    assert_eq!(
        (answer.decision, answer.status),
        (Decision::Fail(Denial::Flag), None)
    );
    assert_eq!(fake.ended().await, 0);
    assert_eq!(second.connections(), 0);
}

#[tokio::test]
async fn a_reply_without_body_is_an_error() {
    let fake = Fake::plain(|request| request.reply(Vec::new()).into()).await;
    let reason = reason(pap(&client([plain(&fake)])).await);
    assert!(
        matches!(reason, AttemptError::Reply(Failure::EmptyReply)),
        "{reason:?}"
    );
}

#[tokio::test]
async fn another_secret_is_no_denial_and_is_named() {
    let fake = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::FAIL)
            .secret("another secret of length")
            .into()
    })
    .await;
    let result = pap(&client([plain(&fake)])).await;
    let text = result.as_ref().unwrap_err().to_string();
    assert!(
        text.contains(&fake.address().to_string()) && text.contains("secret"),
        "{text}"
    );
    assert!(!text.contains("ossifrage"));
}

#[tokio::test]
async fn a_body_that_does_not_add_up_is_no_reply() {
    for body in [
        vec![1, 0, 0, 1, 0, 0],
        vec![1, 0, 0, 0, 0, 0, 0],
        vec![1, 0, 0, 0, 0],
    ] {
        let fake = Fake::plain(move |request| request.reply(body.clone()).into()).await;
        let reason = reason(pap(&client([plain(&fake)])).await);
        assert!(
            matches!(reason, AttemptError::Reply(Failure::Garbage(_))),
            "{reason:?}"
        );
    }
}

#[tokio::test]
async fn a_reply_out_of_order_is_no_reply() {
    let fake = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::PASS)
            .seq_no(3)
            .into()
    })
    .await;
    let reason = reason(pap(&client([plain(&fake)])).await);
    assert!(
        matches!(reason, AttemptError::Reply(Failure::Sequence(SeqNo(3)))),
        "{reason:?}"
    );
}

/// proves: TAC-4.1-20
#[tokio::test]
async fn a_reply_for_another_session_is_no_reply() {
    for flags in [Flags::NONE, Flags::SINGLE_CONNECT] {
        let fake = Fake::plain(move |request| {
            let other = request.header.session_id.0.wrapping_add(1);
            let reply = request.authenticated(AuthenticationStatus::PASS);
            reply.session(other).flags(flags).into()
        })
        .await;
        let mut server = plain(&fake);
        server.reply_timeout = SHORT;
        let reason = reason(pap(&client([server])).await);
        // With single-connect another session is possible, and the reply to ours may still come.
        let fits = match reason {
            AttemptError::Reply(Failure::ConnectionClosed) => flags == Flags::NONE,
            AttemptError::ReplyTimeout => flags == Flags::SINGLE_CONNECT,
            _ => false,
        };
        assert!(fits, "{flags:?} {reason:?}");
    }
}

#[tokio::test]
async fn a_reply_of_another_type_is_no_reply() {
    let fake = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::PASS)
            .packet_type(PacketType::ACCOUNTING)
            .into()
    })
    .await;
    let reason = reason(pap(&client([plain(&fake)])).await);
    assert!(
        matches!(
            reason,
            AttemptError::Reply(Failure::WrongType(PacketType::ACCOUNTING))
        ),
        "{reason:?}"
    );
}

#[tokio::test]
async fn a_web_server_is_no_tacacs_server() {
    let fake = Fake::plain(|_| Act::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await;
    let reason = reason(pap(&client([plain(&fake)])).await);
    assert!(matches!(reason, AttemptError::NotTacacs), "{reason:?}");
}

#[tokio::test]
async fn a_question_to_pap_is_no_reply() {
    let fake = Fake::plain(|request| {
        request
            .ask(AuthenticationStatus::GETPASS, "Password: ")
            .into()
    })
    .await;
    let reason = reason(pap(&client([plain(&fake)])).await);
    assert!(matches!(reason, AttemptError::Question), "{reason:?}");
}

// The secret and the password appear in nothing that a caller might log.
#[tokio::test]
async fn nothing_printable_holds_a_secret() {
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::ERROR).into()).await;
    let client = client([plain(&fake)]);
    let error = pap(&client).await.unwrap_err();
    let all = format!("{client:?} {error:?} {error} {PAP:?} {:?}", alice());
    assert!(
        !all.contains("ossifrage") && !all.contains("horse"),
        "{all}"
    );
}
