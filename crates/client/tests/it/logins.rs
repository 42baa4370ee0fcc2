//! Challenges, privilege levels, changes of passwords, and servers that want another type.

use doorward_client::{
    Answer, ArgumentList, AuthorizationRequest, ChallengeMethod, ClientError, Decision, Login,
    PrivilegeLevel, Question, QuestionKind, Secret, Separator, Server, Who,
};
use doorward_tacacs::client::SendError;
use doorward_tacacs::{
    AccountingStatus, Action, AuthenticationService, AuthenticationStatus, AuthenticationType,
    AuthorizationStatus, ChallengeResponse, PacketType, SeqNo, Version, authentication,
    obfuscation,
};

use crate::fake::Fake;
use crate::{alice, client, plain};

const METHODS: [ChallengeMethod; 3] = [
    ChallengeMethod::Chap,
    ChallengeMethod::MsChapV1,
    ChallengeMethod::MsChapV2,
];

fn challenge(method: ChallengeMethod) -> Login<'static> {
    Login::Challenge {
        method,
        secret: b"a secret for challenges",
    }
}

/// proves: TAC-5.4.2.3-2, TAC-5.4.2.4-2, TAC-5.4.2.5-2, D05-4.4.1-5
#[tokio::test]
async fn the_answer_to_a_challenge_goes_along_and_the_secret_stays() {
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let client = client([plain(&fake)]);
    for method in METHODS {
        for _ in 0..2 {
            let answer = client
                .authenticate(&alice(), challenge(method))
                .await
                .unwrap();
            assert_eq!(answer.decision, Decision::Pass);
        }
    }
    let requests = fake.requests();
    assert_eq!(requests.len(), 6);
    let mut seen = Vec::new();
    for (request, method) in requests
        .iter()
        .zip([0, 0, 1, 1, 2, 2].map(|at| METHODS[at]))
    {
        let start = request.start();
        assert_eq!(request.header.version, Version::ONE);
        assert_eq!(
            (start.action, start.authen_type),
            (Action::LOGIN, method.authen_type())
        );
        assert_eq!(
            (start.user, start.authen_service),
            (&b"alice"[..], AuthenticationService::LOGIN)
        );
        let response = ChallengeResponse::decode(method, start.data).unwrap();
        assert_eq!(
            response.verify(b"alice", b"a secret for challenges"),
            Ok(true)
        );
        assert!(response.challenge.len() >= 8);
        assert!(
            !seen.contains(&response.challenge.to_vec()),
            "each challenge is another"
        );
        seen.push(response.challenge.to_vec());
    }
}

#[tokio::test]
async fn a_challenge_without_a_name_or_a_fitting_secret_is_not_sent() {
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let client = client([plain(&fake)]);
    for method in METHODS {
        let result = client.authenticate(&Who::new(""), challenge(method)).await;
        assert!(
            matches!(result, Err(ClientError::Request(SendError::NoUser))),
            "{result:?}"
        );
    }
    let login = Login::Challenge {
        method: ChallengeMethod::MsChapV2,
        secret: &[0xff],
    };
    let result = client.authenticate(&alice(), login).await;
    assert!(
        matches!(result, Err(ClientError::Challenge(_))),
        "{result:?}"
    );
    assert!(fake.requests().is_empty());
}

/// A fake that asks in this order and passes in the end.
async fn asking(statuses: &'static [AuthenticationStatus]) -> Fake {
    Fake::plain(
        move |request| match statuses.get(usize::from(request.header.seq_no.0 / 2)) {
            Some(status) => request.ask(*status, "? ").into(),
            None => request.authenticated(AuthenticationStatus::PASS).into(),
        },
    )
    .await
}

/// proves: TAC-5.4.2.6-3, TAC-9-3, TAC-5.4.2.6-4, D05-4.4.2-8, D05-4.4.1-5
#[tokio::test]
async fn an_enable_request_names_its_level_and_nothing_else_has_its_service() {
    let fake = asking(&[AuthenticationStatus::GETPASS]).await;
    let client = client([plain(&fake)]);
    let mut answers = |_: &Question| Answer::text(*b"level password");
    let who = alice().at_level(PrivilegeLevel(15));
    let login = Login::Enable {
        answers: &mut answers,
    };
    assert!(
        client
            .authenticate(&who, login)
            .await
            .unwrap()
            .decision
            .is_pass()
    );
    let requests = fake.requests();
    let start = requests[0].start();
    assert_eq!(start.authen_service, AuthenticationService::ENABLE);
    assert_eq!(start.authen_service.0, 2);
    assert_eq!(
        (start.action, start.authen_type),
        (Action::LOGIN, AuthenticationType::ASCII)
    );
    assert_eq!(start.priv_lvl.0, 0x0f);
    assert_eq!(requests[0].header.version, Version::DEFAULT);

    let mut others = |_: &Question| Answer::text(*b"x");
    let login = Login::Ascii {
        answers: &mut others,
    };
    assert!(
        client
            .authenticate(&who, login)
            .await
            .unwrap()
            .decision
            .is_pass()
    );
    let login = Login::ChangePassword {
        answers: &mut others,
    };
    assert!(
        client
            .authenticate(&who, login)
            .await
            .unwrap()
            .decision
            .is_pass()
    );
    let starts = fake.requests();
    let later = starts
        .iter()
        .skip(1)
        .filter(|one| one.header.seq_no == SeqNo::FIRST);
    let services: Vec<_> = later.map(|one| one.start().authen_service).collect();
    assert_eq!(services, [AuthenticationService::LOGIN; 2]);
}

/// proves: TAC-5.4.2.7-1, D05-4.4.1-5
#[tokio::test]
async fn a_change_of_password_answers_old_and_new() {
    let fake = asking(&[
        AuthenticationStatus::GETUSER,
        AuthenticationStatus::GETDATA,
        AuthenticationStatus::GETPASS,
        AuthenticationStatus::GETPASS,
    ])
    .await;
    let mut kinds = Vec::new();
    let mut answers = |question: &Question| {
        kinds.push((question.kind, question.number));
        match question.kind {
            QuestionKind::User => Answer::text(*b"alice"),
            QuestionKind::Data => Answer::text(*b"old"),
            QuestionKind::Password => Answer::text(*b"new"),
        }
    };
    let login = Login::ChangePassword {
        answers: &mut answers,
    };
    let answer = client([plain(&fake)])
        .authenticate(&Who::new(""), login)
        .await
        .unwrap();
    assert!(answer.decision.is_pass());
    assert_eq!(
        kinds,
        [
            (QuestionKind::User, 1),
            (QuestionKind::Data, 1),
            (QuestionKind::Password, 1),
            (QuestionKind::Password, 2),
        ]
    );
    let requests = fake.requests();
    let start = requests[0].start();
    assert_eq!(
        (start.action, start.authen_type),
        (Action::CHPASS, AuthenticationType::ASCII)
    );
    assert!(
        requests
            .iter()
            .all(|one| one.header.version == Version::DEFAULT)
    );
}

/// proves: TAC-5.4.3-6, TAC-5.4.3-8, D05-4.4.3-13
#[tokio::test]
async fn restart_makes_way_for_the_next_type_once_each() {
    let fake = Fake::plain(|request| {
        let status = match request.start().authen_type {
            AuthenticationType::PAP => AuthenticationStatus::PASS,
            _ => AuthenticationStatus::RESTART,
        };
        request.authenticated(status).into()
    })
    .await;
    let client = client([plain(&fake)]);
    let pap = || Login::Pap {
        password: b"correct horse",
    };
    let first = challenge(ChallengeMethod::MsChapV2);
    let others = [challenge(ChallengeMethod::Chap), pap()];
    let answer = client
        .authenticate_by_any(&alice(), first, others)
        .await
        .unwrap();
    assert!(answer.decision.is_pass());
    let requests = fake.requests();
    let types: Vec<_> = requests
        .iter()
        .map(|one| one.start().authen_type.0)
        .collect();
    assert_eq!(types, [6, 3, 2]);
    assert!(requests.iter().all(|one| one.header.seq_no == SeqNo::FIRST));
    let mut ids: Vec<_> = requests.iter().map(|one| one.header.session_id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each in a session of its own");

    // A server that says nothing else is left after the last of them.
    let first = challenge(ChallengeMethod::MsChapV1);
    let others = [challenge(ChallengeMethod::Chap)];
    let answer = client
        .authenticate_by_any(&alice(), first, others)
        .await
        .unwrap();
    assert_eq!(answer.status, Some(AuthenticationStatus::RESTART));
    assert!(!answer.decision.is_pass());
    assert_eq!(fake.requests().len(), 5);
}

/// A denial makes way for nothing.
#[tokio::test]
async fn fail_is_the_end_whatever_other_types_there_are() {
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::FAIL).into()).await;
    let others = [Login::Pap { password: b"x" }];
    let answer = client([plain(&fake)])
        .authenticate_by_any(&alice(), challenge(ChallengeMethod::Chap), others)
        .await
        .unwrap();
    assert_eq!(answer.status, Some(AuthenticationStatus::FAIL));
    assert_eq!(fake.requests().len(), 1);
}

/// proves: D05-3.6-1
#[tokio::test]
async fn each_server_has_its_secret() {
    const OTHER: &str = "another secret of some length";
    let refusing =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::ERROR).into()).await;
    let other = Fake::plain(|request| {
        let reply = request.authenticated(AuthenticationStatus::PASS);
        reply.secret(OTHER).into()
    })
    .await;
    let second = Server::plain(other.address(), Secret::new(OTHER)).unwrap();
    let answer = client([plain(&refusing), second])
        .authenticate(&alice(), Login::Pap { password: b"x" })
        .await
        .unwrap();
    assert!(answer.decision.is_pass());
    assert_eq!(answer.facts.server, other.address().to_string());
    assert_eq!(refusing.requests()[0].start().user, b"alice");
    // The fake takes every body for one under the usual secret: that is undone, and the other one applied.
    let request = &other.requests()[0];
    let mut body = request.body.clone();
    obfuscation::apply(&Secret::new(crate::SECRET), &request.header, &mut body);
    obfuscation::apply(&Secret::new(OTHER), &request.header, &mut body);
    assert_eq!(authentication::Start::decode(&body).unwrap().user, b"alice");
}

/// proves: TAC-8.3-11, TAC-8.3-12
#[tokio::test]
async fn commands_are_recorded_as_they_are_asked_about() {
    let fake = Fake::plain(|request| {
        if request.header.packet_type == PacketType::ACCOUNTING {
            return request.accounted(AccountingStatus::SUCCESS).into();
        }
        let arguments = &request.authorization().arguments;
        let reload = arguments.raw().any(|one| one == b"cmd=reload");
        let status = if reload {
            AuthorizationStatus::FAIL
        } else {
            AuthorizationStatus::PASS_ADD
        };
        request.authorized(status, &[]).into()
    })
    .await;
    let client = client([plain(&fake)]).accounting_commands();
    let request = |words: &[&str]| {
        let mut list = ArgumentList::new();
        list.push("service", Separator::Mandatory, "shell").unwrap();
        for (at, word) in words.iter().enumerate() {
            let name = if at == 0 { "cmd" } else { "cmd-arg" };
            list.push(name, Separator::Mandatory, *word).unwrap();
        }
        AuthorizationRequest::new(alice(), list)
    };
    for (words, pass, recorded) in [
        (&["show", "clock"][..], true, true),
        (&["reload"], false, true),
        (&[""], true, false),
    ] {
        let answer = client.authorize(&request(words)).await.unwrap();
        assert_eq!(answer.decision.is_pass(), pass, "{words:?}");
        let accounted = answer.accounted.map(|one| one.unwrap().decision.is_pass());
        assert_eq!(accounted, recorded.then_some(true), "{words:?}");
    }
    let requests = fake.requests();
    let records: Vec<Vec<String>> = requests
        .iter()
        .filter(|one| one.header.packet_type == PacketType::ACCOUNTING)
        .map(|one| {
            let record = one.accounting();
            assert_eq!(record.flags.0, 2, "a start");
            let raw = record.arguments.raw();
            raw.map(|one| String::from_utf8_lossy(one).into_owned())
                .collect()
        })
        .collect();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|one| one[0].starts_with("task_id=")));
    assert_ne!(records[0][0], records[1][0]);
    assert_eq!(
        records[0][1..],
        ["service=shell", "cmd=show", "cmd-arg=clock"]
    );
    assert_eq!(records[1][1..], ["service=shell", "cmd=reload"]);
}

/// A record says how the user logged in, and what was asked about, as the request does.
#[tokio::test]
async fn the_record_of_a_command_fits_its_authorization() {
    let fake = Fake::plain(|request| match request.header.packet_type {
        PacketType::ACCOUNTING => request.accounted(AccountingStatus::SUCCESS).into(),
        _ => request
            .authorized(AuthorizationStatus::PASS_ADD, &[])
            .into(),
    })
    .await;
    let client = client([plain(&fake)]).accounting_commands();
    let mut list = ArgumentList::new();
    for (name, value) in [("service", "router-cli"), ("cmd", "echo"), ("cmd-arg", "")] {
        list.push(name, Separator::Mandatory, value).unwrap();
    }
    list.push("protocol", Separator::Optional, "ip").unwrap();
    let who = alice().at_level(PrivilegeLevel(7));
    let mut request = AuthorizationRequest::new(who, list);
    request.authen_type = AuthenticationType::MSCHAPV2;
    request.authen_service = AuthenticationService::PPP;
    let answer = client.authorize(&request).await.unwrap();
    assert!(answer.accounted.unwrap().unwrap().decision.is_pass());
    let requests = fake.requests();
    let (asked, record) = (requests[0].authorization(), requests[1].accounting());
    assert_eq!(
        (record.user, record.port, record.rem_addr, record.priv_lvl),
        (asked.user, asked.port, asked.rem_addr, PrivilegeLevel(7))
    );
    assert_eq!(
        (
            record.authen_method,
            record.authen_type,
            record.authen_service
        ),
        (
            asked.authen_method,
            AuthenticationType::MSCHAPV2,
            AuthenticationService::PPP
        )
    );
    assert_eq!(
        requests[1].arguments()[1..],
        ["service=router-cli", "cmd=echo", "cmd-arg="]
    );
}
