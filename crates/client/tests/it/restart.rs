//! RESTART with several servers, and the older form of PAP.

use doorward_client::{
    Answer, AuthenticationStatus, ChallengeMethod, ClientError, Decision, Denial, Dialect, Login,
    Question,
};
use doorward_tacacs::client::SendError;
use doorward_tacacs::{AuthenticationType, SeqNo, Version};

use crate::fake::{Act, Fake};
use crate::{alice, client, plain};

fn chap<'a>() -> Login<'a> {
    Login::Challenge {
        method: ChallengeMethod::Chap,
        secret: b"correct horse",
    }
}

fn pap<'a>() -> Login<'a> {
    Login::Pap {
        password: b"correct horse",
    }
}

async fn always(status: AuthenticationStatus) -> Fake {
    Fake::plain(move |request| request.authenticated(status).into()).await
}

fn types(fake: &Fake) -> Vec<AuthenticationType> {
    fake.requests()
        .iter()
        .map(|request| request.start().authen_type)
        .collect()
}

/// The servers before the one that wanted a RESTART had their turn, and those behind it have theirs still.
#[tokio::test]
async fn servers_that_did_not_decide_are_not_asked_again() {
    let broken = always(AuthenticationStatus::ERROR).await;
    let picky = Fake::plain(|request| {
        if request.start().authen_type == AuthenticationType::CHAP {
            request.authenticated(AuthenticationStatus::RESTART).into()
        } else {
            Act::Close
        }
    })
    .await;
    let last = always(AuthenticationStatus::PASS).await;
    let client = client([plain(&broken), plain(&picky), plain(&last)]);
    let answer = client.authenticate_by_any(&alice(), chap(), [pap()]).await;
    let answer = answer.unwrap();
    assert!(answer.decision.is_pass());
    assert_eq!(answer.facts.server, last.address().to_string());
    assert_eq!(types(&broken), [AuthenticationType::CHAP]);
    assert_eq!(types(&last), [AuthenticationType::PAP]);
}

/// A new session on the connection that is there, and one reply of RESTART is no reason to try another server.
///
/// proves: TAC-5.4.3-6, TAC-5.4.3-8, D05-4.4.3-13, D05-4.4.3-14
#[tokio::test]
async fn a_server_that_always_restarts_is_a_denial_in_the_end() {
    let fake = always(AuthenticationStatus::RESTART).await;
    let next = always(AuthenticationStatus::PASS).await;
    let client = client([plain(&fake), plain(&next)]);
    let answer = client.authenticate_by_any(&alice(), chap(), [pap()]).await;
    let answer = answer.unwrap();
    assert_eq!(answer.decision, Decision::Fail(Denial::Status));
    assert_eq!(answer.status, Some(AuthenticationStatus::RESTART));
    let expected = [AuthenticationType::CHAP, AuthenticationType::PAP];
    assert_eq!(types(&fake), expected);
    assert_eq!((fake.connections(), next.connections()), (1, 0));
    let requests = fake.requests();
    let ids = [requests[0].header.session_id, requests[1].header.session_id];
    assert_ne!(ids[0], ids[1]);
    for request in &requests {
        assert_eq!(request.header.seq_no, SeqNo::FIRST);
    }
}

/// proves: D05-4.4.2-2
#[tokio::test]
async fn the_old_dialect_has_pap_as_a_dialogue() {
    let fake = Fake::plain(|request| {
        Act::Send(match request.packet {
            0 => request.ask(AuthenticationStatus::GETPASS, "Password: "),
            _ => request.authenticated(AuthenticationStatus::PASS),
        })
    })
    .await;
    for dialect in [Dialect::Rfc8907, Dialect::Draft05] {
        let mut server = plain(&fake);
        server.dialect = dialect;
        let mut answers = |_: &Question| Answer::text("correct horse");
        let login = Login::PapDialogue {
            answers: &mut answers,
        };
        let result = client([server]).authenticate(&alice(), login).await;
        match dialect {
            Dialect::Draft05 => assert!(result.unwrap().decision.is_pass()),
            Dialect::Rfc8907 => assert!(
                matches!(result, Err(ClientError::Request(SendError::Dialect))),
                "{result:?}"
            ),
        }
    }
    let requests = fake.requests();
    assert_eq!(requests.len(), 2);
    let start = requests[0].start();
    let kind = (start.authen_type, start.data);
    assert_eq!(kind, (AuthenticationType::PAP, &b""[..]));
    for request in &requests {
        assert_eq!(request.header.version, Version::DEFAULT);
    }
    assert_eq!(requests[1].answer().user_msg, b"correct horse");
}
