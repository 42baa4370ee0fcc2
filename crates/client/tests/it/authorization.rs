//! Authorization: which arguments apply in the end.

use doorward_client::{
    ArgumentList, Authorization, AuthorizationRequest, AuthorizationStatus, Client, ClientError,
    Decision, Denial, Handled, Separator, Transports,
};
use doorward_tacacs::client::SendError;
use doorward_tacacs::{Header, SeqNo};

use crate::fake::Fake;
use crate::{alice, client, plain};

fn list(arguments: &[(&str, &str)]) -> ArgumentList {
    let mut list = ArgumentList::new();
    for (name, value) in arguments {
        list.push(name, Separator::Mandatory, value).unwrap();
    }
    list
}

fn show_version() -> AuthorizationRequest {
    AuthorizationRequest::new(
        alice(),
        list(&[
            ("service", "shell"),
            ("cmd", "show"),
            ("cmd-arg", "version"),
        ]),
    )
}

async fn answered(
    status: AuthorizationStatus,
    arguments: &'static [&'static str],
) -> (Fake, Authorization) {
    let fake = Fake::plain(move |request| request.authorized(status, arguments).into()).await;
    let answer = client([plain(&fake)])
        .authorize(&show_version())
        .await
        .unwrap();
    (fake, answer)
}

fn text(arguments: &[Vec<u8>]) -> Vec<&str> {
    arguments
        .iter()
        .map(|octets| std::str::from_utf8(octets).unwrap())
        .collect()
}

/// proves: TAC-6.2-3, TAC-6-2
#[tokio::test]
async fn pass_add_keeps_what_was_asked_for() {
    let (fake, answer) = answered(
        AuthorizationStatus::PASS_ADD,
        &["priv-lvl=15", "idletime=30"],
    )
    .await;
    assert_eq!(answer.decision, Decision::Pass);
    assert_eq!(text(&answer.arguments), ["priv-lvl=15", "idletime=30"]);
    assert_eq!(
        text(&answer.effective),
        [
            "service=shell",
            "cmd=show",
            "cmd-arg=version",
            "priv-lvl=15",
            "idletime=30"
        ]
    );
    let requests = fake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header.seq_no, SeqNo::FIRST);
    assert_eq!(
        requests[0].arguments(),
        ["service=shell", "cmd=show", "cmd-arg=version"]
    );
}

/// proves: TAC-6.2-5, D05-5.2-1
#[tokio::test]
async fn pass_repl_replaces_it() {
    let (_, answer) = answered(AuthorizationStatus::PASS_REPL, &["priv-lvl=1"]).await;
    assert_eq!(
        (answer.decision, text(&answer.effective)),
        (Decision::Pass, vec!["priv-lvl=1"])
    );
    let (_, answer) = answered(AuthorizationStatus::PASS_REPL, &[]).await;
    assert_eq!(
        (answer.decision, answer.effective),
        (Decision::Pass, Vec::new())
    );
}

/// proves: TAC-6.1-13, TAC-10.5.4-2, D05-5.1-4, D05-5-1
#[tokio::test]
async fn an_unknown_mandatory_argument_denies() {
    for status in [
        AuthorizationStatus::PASS_ADD,
        AuthorizationStatus::PASS_REPL,
    ] {
        let (_, answer) = answered(status, &["priv-lvl=15", "x-unknown=1"]).await;
        assert_eq!(
            answer.decision,
            Decision::Fail(Denial::Argument(b"x-unknown=1".to_vec()))
        );
        assert!(answer.effective.is_empty() && answer.arguments.is_empty());
        let (_, answer) = answered(status, &["priv-lvl=15", "x-unknown*1"]).await;
        assert_eq!(answer.decision, Decision::Pass);
        assert_eq!(text(&answer.arguments), ["priv-lvl=15", "x-unknown*1"]);
        assert!(!text(&answer.effective).contains(&"x-unknown*1"));
    }
}

#[tokio::test]
async fn a_malformed_argument_denies() {
    for bad in ["shell", "", "=a", "priv-lvl=1\u{1b}[2J"] {
        let fake = Fake::plain(move |request| {
            request
                .authorized(AuthorizationStatus::PASS_ADD, &[bad])
                .into()
        })
        .await;
        let answer = client([plain(&fake)])
            .authorize(&show_version())
            .await
            .unwrap();
        let Decision::Fail(denial) = &answer.decision else {
            panic!("{bad:?}")
        };
        assert!(!denial.to_string().contains('\u{1b}'));
    }
}

#[tokio::test]
async fn a_client_may_handle_more() {
    let fake = Fake::plain(|request| {
        request
            .authorized(AuthorizationStatus::PASS_ADD, &["local-user-name=NOC"])
            .into()
    })
    .await;
    let handled = Handled::rfc8907().and(["local-user-name"]);
    let client = Client::new(vec![plain(&fake)], Transports::Any)
        .unwrap()
        .handling(handled);
    assert!(
        client
            .authorize(&show_version())
            .await
            .unwrap()
            .decision
            .is_pass()
    );
}

#[tokio::test]
async fn fail_denies_and_brings_no_arguments() {
    let (_, answer) = answered(AuthorizationStatus::FAIL, &["priv-lvl=15"]).await;
    assert_eq!(
        (answer.decision, answer.status),
        (
            Decision::Fail(Denial::Status),
            Some(AuthorizationStatus::FAIL)
        )
    );
    assert!(answer.arguments.is_empty() && answer.effective.is_empty());
}

/// proves: TAC-6.2-9, TAC-10.5.5-4
#[tokio::test]
async fn follow_denies_and_leads_nowhere() {
    for arguments in [&[] as &[&str], &["priv-lvl=15"]] {
        let first = Fake::plain(move |request| {
            request
                .authorized(AuthorizationStatus::FOLLOW, arguments)
                .into()
        })
        .await;
        let second = Fake::plain(|request| {
            request
                .authorized(AuthorizationStatus::PASS_ADD, &[])
                .into()
        })
        .await;
        let answer = client([plain(&first), plain(&second)])
            .authorize(&show_version())
            .await
            .unwrap();
        assert_eq!(answer.decision, Decision::Fail(Denial::Status));
        assert!(answer.arguments.is_empty());
        assert_eq!((first.connections(), second.connections()), (1, 0));
    }
}

/// proves: TAC-6.2-7, D05-5.2-4
#[tokio::test]
async fn error_is_no_denial_and_brings_no_arguments() {
    let fake = Fake::plain(|request| {
        request
            .authorized(AuthorizationStatus::ERROR, &["priv-lvl=15"])
            .into()
    })
    .await;
    let error = client([plain(&fake)])
        .authorize(&show_version())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ClientError::Unavailable(attempts) if attempts.len() == 1),
        "{error:?}"
    );
    assert_eq!(error.server_error().unwrap().0.name(), Some("ERROR"));
}

/// proves: TAC-8.2-1, TAC-8.2-4
#[tokio::test]
async fn service_and_cmd_are_never_left_out() {
    let fake = Fake::plain(|request| {
        request
            .authorized(AuthorizationStatus::PASS_ADD, &[])
            .into()
    })
    .await;
    let client = client([plain(&fake)]);
    let ask = async |arguments| {
        client
            .authorize(&AuthorizationRequest::new(alice(), arguments))
            .await
    };
    assert!(matches!(
        ask(list(&[("cmd", "show")])).await,
        Err(ClientError::Request(SendError::NoService))
    ));
    assert!(matches!(
        ask(list(&[("service", "shell")])).await,
        Err(ClientError::Request(SendError::NoCommand))
    ));
    assert!(fake.requests().is_empty());
    assert!(
        ask(list(&[("service", "shell"), ("cmd", "")]))
            .await
            .unwrap()
            .decision
            .is_pass()
    );
}

/// A reply as long as the protocol allows.
#[tokio::test]
async fn the_longest_reply_is_read() {
    let long: &'static str = Box::leak(format!("autocmd={}", "x".repeat(247)).into_boxed_str());
    let fake = Fake::plain(move |request| {
        let status = AuthorizationStatus::PASS_ADD.0;
        let mut body = vec![status, 255, 0xff, 0xff, 0xff, 0xff];
        body.extend([255; 255]);
        body.extend([b'm'; 2 * 65_535]);
        body.extend(long.bytes().cycle().take(255 * 255));
        assert_eq!(Header::LENGTH + body.len(), Header::LENGTH + 196_356);
        request.reply(body).into()
    })
    .await;
    let answer = client([plain(&fake)])
        .authorize(&show_version())
        .await
        .unwrap();
    assert!(answer.decision.is_pass());
    assert_eq!(
        (
            answer.arguments.len(),
            answer.server_msg.len(),
            answer.data.len()
        ),
        (255, 65_535, 65_535)
    );
}
