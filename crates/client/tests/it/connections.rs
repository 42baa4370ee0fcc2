//! Single-connect: which connections are kept, and what happens when they are gone.

use std::collections::HashSet;
use std::time::Duration;

use doorward_client::{Authentication, AuthenticationStatus, Client, ClientError, Login};
use doorward_tacacs::{Flags, SessionId};

use crate::fake::{Act, Fake};
use crate::{alice, client, plain};

async fn pap(client: &Client) -> Result<Authentication, ClientError> {
    client
        .authenticate(
            &alice(),
            Login::Pap {
                password: b"correct horse",
            },
        )
        .await
}

/// proves: TAC-4.3-1, TAC-4.3-2, TAC-4.1-21
#[tokio::test]
async fn a_single_connect_connection_is_used_again() {
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let client = client([plain(&fake)]);
    for _ in 0..50 {
        assert!(pap(&client).await.unwrap().decision.is_pass());
    }
    assert_eq!(fake.connections(), 1);
    let requests = fake.requests();
    assert!(requests[0].header.flags.contains(Flags::SINGLE_CONNECT));
    let ids: HashSet<SessionId> = requests
        .iter()
        .map(|request| request.header.session_id)
        .collect();
    assert_eq!(ids.len(), 50);
    // Of 1,600 random bits half are set, give or take five standard deviations.
    let set: u32 = ids.iter().map(|id| id.0.count_ones()).sum();
    assert!((700..=900).contains(&set), "{set}");
}

#[tokio::test]
async fn without_single_connect_each_session_has_its_connection() {
    let mut fake = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::PASS)
            .flags(Flags::NONE)
            .into()
    })
    .await;
    let client = client([plain(&fake)]);
    for number in 0..2 {
        assert!(pap(&client).await.unwrap().decision.is_pass());
        assert_eq!(fake.ended().await, number);
    }
}

/// proves: TAC-4.3-5
#[tokio::test]
async fn a_flag_nobody_asked_for_is_ignored() {
    let mut fake = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::PASS)
            .flags(Flags::SINGLE_CONNECT)
            .into()
    })
    .await;
    let mut server = plain(&fake);
    server.single_connection = false;
    assert!(pap(&client([server])).await.unwrap().decision.is_pass());
    assert!(
        !fake.requests()[0]
            .header
            .flags
            .contains(Flags::SINGLE_CONNECT)
    );
    assert_eq!(fake.ended().await, 0);
}

/// proves: TAC-4.3-10, TAC-4.3-12
#[tokio::test]
async fn a_connection_closed_while_idle_is_made_anew() {
    let mut fake = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::PASS)
            .then_close()
            .into()
    })
    .await;
    let client = client([plain(&fake)]);
    for number in 0..3 {
        assert!(pap(&client).await.unwrap().decision.is_pass());
        assert_eq!(fake.connections(), number + 1);
    }
    // Our side is closed as soon as the next request finds out.
    assert_eq!((fake.ended().await, fake.ended().await), (0, 1));
    assert!(
        fake.requests()
            .iter()
            .all(|request| request.header.flags.contains(Flags::SINGLE_CONNECT))
    );
}

/// The server closes while the request is on its way: it never answered, so the request goes out once more.
#[tokio::test]
async fn a_connection_closed_under_a_request_is_made_anew() {
    let fake = Fake::plain(|request| match (request.connection, request.packet) {
        (0, 1) => Act::Close,
        _ => request.authenticated(AuthenticationStatus::PASS).into(),
    })
    .await;
    let client = client([plain(&fake)]);
    assert!(pap(&client).await.unwrap().decision.is_pass());
    assert!(pap(&client).await.unwrap().decision.is_pass());
    assert_eq!(fake.connections(), 2);
}

/// But only once: a server that always closes is not asked for ever.
#[tokio::test]
async fn a_server_that_always_closes_is_left() {
    let fake = Fake::plain(|request| match (request.connection, request.packet) {
        (0, 0) => request.authenticated(AuthenticationStatus::PASS).into(),
        _ => Act::Close,
    })
    .await;
    let client = client([plain(&fake)]);
    assert!(pap(&client).await.unwrap().decision.is_pass());
    assert!(matches!(
        pap(&client).await,
        Err(ClientError::Unavailable(_))
    ));
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn a_connection_that_lay_idle_for_too_long_is_not_used() {
    let mut fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let mut server = plain(&fake);
    server.idle_timeout = Duration::ZERO;
    let client = client([server]);
    assert!(pap(&client).await.unwrap().decision.is_pass());
    assert!(pap(&client).await.unwrap().decision.is_pass());
    assert_eq!(fake.ended().await, 0);
    assert_eq!(fake.connections(), 2);
}

/// proves: TAC-4.3-3
#[tokio::test]
async fn sessions_are_never_mixed() {
    let fake = Fake::plain(|request| {
        // Each reply is for the packet just read: a second session pipelined on the connection would show here.
        let user = String::from_utf8(request.start().user.to_vec()).unwrap();
        request.ask(AuthenticationStatus::PASS, &user).into()
    })
    .await;
    let client = std::sync::Arc::new(client([plain(&fake)]));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let client = client.clone();
        tasks.spawn(async move {
            let who = doorward_client::Who::new(format!("user{number}"));
            let answer = client
                .authenticate(&who, Login::Pap { password: b"x" })
                .await
                .unwrap();
            assert_eq!(answer.server_msg, who.user.as_bytes());
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(fake.requests().len(), 20);
}

#[tokio::test]
async fn a_reply_that_came_too_late_is_nobodys() {
    let fake = Fake::plain(|request| match (request.connection, request.packet) {
        (0, 0) => Act::Silence,
        _ => request.authenticated(AuthenticationStatus::PASS).into(),
    })
    .await;
    let mut server = plain(&fake);
    server.reply_timeout = crate::SHORT;
    let client = client([server]);
    assert!(pap(&client).await.is_err());
    assert!(pap(&client).await.unwrap().decision.is_pass());
    assert_eq!(fake.connections(), 2);
}
