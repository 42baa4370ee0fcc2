//! Single-connect: which connections are kept, and what happens when they are gone.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use doorward_client::{
    Authentication, AuthenticationStatus, Client, ClientError, Login, Secret, Server, ServerAddress,
};
use doorward_tacacs::{Flags, Header, SeqNo, SessionId, authentication, obfuscation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Act, Fake};
use crate::{PATIENCE, SECRET, SHORT, alice, client, plain};

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

/// proves: TAC-4.3-1, TAC-4.3-2
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
    // A server by hand, which counts what a connection brings before it answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::plain(
        ServerAddress::from_ip(address.ip(), address.port()),
        Secret::new(SECRET),
    )
    .unwrap();
    (server.connect_timeout, server.reply_timeout) = (PATIENCE, PATIENCE);
    let client = std::sync::Arc::new(client([server]));
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
    // Every connection begins with one packet and nothing more, however long its answer takes.
    let early = std::sync::Arc::new(AtomicUsize::new(0));
    let serve = async {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer_slowly(stream, early.clone()));
        }
    };
    let finish = async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    };
    tokio::select! {
        () = serve => panic!("the server ended"),
        () = finish => {}
    }
    assert_eq!(early.load(Ordering::SeqCst), 0, "octets before a reply");
}

/// Waits before each answer; more octets than one packet until then are counted and end the connection.
async fn answer_slowly(mut stream: tokio::net::TcpStream, early: std::sync::Arc<AtomicUsize>) {
    loop {
        let mut header = [0; Header::LENGTH];
        if stream.read_exact(&mut header).await.is_err() {
            return;
        }
        let header = Header::peek(&header).unwrap();
        let mut body = vec![0; usize::try_from(header.length).unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        let mut more = [0; 1];
        if let Ok(read) = tokio::time::timeout(SHORT, stream.read(&mut more)).await {
            early.fetch_add(read.unwrap_or(0), Ordering::SeqCst);
            return;
        }
        obfuscation::apply(&Secret::new(SECRET), &header, &mut body);
        let user = authentication::Start::decode(&body).unwrap().user.to_vec();
        let reply = authentication::Reply {
            server_msg: &user,
            ..authentication::Reply::new(AuthenticationStatus::PASS)
        };
        let mut body = Vec::new();
        reply.encode(&mut body).unwrap();
        let header = Header {
            seq_no: SeqNo(2),
            length: u32::try_from(body.len()).unwrap(),
            ..header
        };
        obfuscation::apply(&Secret::new(SECRET), &header, &mut body);
        stream
            .write_all(&[header.encode().as_slice(), &body].concat())
            .await
            .unwrap();
    }
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
