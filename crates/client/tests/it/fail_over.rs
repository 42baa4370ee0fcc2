//! Which trouble moves on to the next server, and what does not.

use std::sync::Arc;
use std::time::Instant;

use doorward_client::{
    AttemptError, Authentication, AuthenticationStatus, Client, ClientError, Decision, Denial,
    Login, Secret, Server, ServerAddress, Tls, TransportError, Transports,
};
use doorward_tacacs::client::Failure;
use doorward_tls::{ClientPolicy, ClientSettings, ReferenceIdentity};

use crate::certificates::Authority;
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

async fn good() -> Fake {
    Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await
}

/// Asks `bad`, then a good server, and expects the good one's answer.
async fn moves_on(bad: Server) {
    let second = good().await;
    let answer = pap(&client([bad, plain(&second)])).await.unwrap();
    assert!(answer.decision.is_pass());
    assert_eq!(answer.facts.server, second.address().to_string());
}

/// A port that is taken, and where nobody listens.
fn nobody() -> (tokio::net::TcpSocket, Server) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let address = ServerAddress::from_ip(address.ip(), address.port());
    (socket, Server::plain(address, Secret::new(SECRET)).unwrap())
}

/// proves: TAC-4.4-4, D05-4.4.3-12
#[tokio::test]
async fn error_moves_on() {
    let fake = Fake::plain(|request| {
        request
            .ask(AuthenticationStatus::ERROR, "database down")
            .into()
    })
    .await;
    moves_on(plain(&fake)).await;
    let error = pap(&client([plain(&fake)])).await.unwrap_err();
    let (status, message) = error.server_error().unwrap();
    assert_eq!(
        (status.name(), message),
        (Some("ERROR"), b"database down".as_slice())
    );
}

/// proves: TAC-4.4-11
#[tokio::test]
async fn a_refused_connection_moves_on() {
    let (_taken, server) = nobody();
    moves_on(server).await;
}

/// proves: TAC-4.4-12
#[tokio::test]
async fn silence_moves_on_after_its_deadline() {
    let mut fake = Fake::plain(|_| Act::Silence).await;
    let mut server = plain(&fake);
    server.reply_timeout = SHORT;
    let began = Instant::now();
    moves_on(server.clone()).await;
    assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE);
    assert_eq!(fake.ended().await, 0);
    let error = pap(&client([server])).await.unwrap_err();
    let ClientError::Unavailable(attempts) = error else {
        panic!("{error:?}")
    };
    assert!(matches!(attempts[0].reason, AttemptError::ReplyTimeout));
}

/// Octets push no deadline back.
#[tokio::test]
async fn half_a_reply_is_no_reply() {
    let mut fake = Fake::plain(|request| Act::Raw(request.header.encode()[..7].to_vec())).await;
    let mut server = plain(&fake);
    server.reply_timeout = SHORT;
    moves_on(server).await;
    assert_eq!(fake.ended().await, 0);
}

#[tokio::test]
async fn garbage_moves_on() {
    let fake = Fake::plain(|_| Act::Raw(vec![0x5a; 400])).await;
    moves_on(plain(&fake)).await;
}

#[tokio::test]
async fn a_zero_length_reply_moves_on() {
    let fake = Fake::plain(|request| request.reply(Vec::new()).into()).await;
    moves_on(plain(&fake)).await;
}

#[tokio::test]
async fn another_secret_moves_on() {
    let fake = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::FAIL)
            .secret("another secret of length")
            .into()
    })
    .await;
    moves_on(plain(&fake)).await;
}

/// proves: TAC-4.3-11
#[tokio::test]
async fn closing_in_the_middle_of_a_login_moves_on() {
    let first = Fake::plain(|request| match request.packet {
        0 => request
            .ask(AuthenticationStatus::GETPASS, "Password: ")
            .into(),
        _ => Act::Close,
    })
    .await;
    let second = Fake::plain(|request| match request.packet {
        0 => request
            .ask(AuthenticationStatus::GETPASS, "Password: ")
            .into(),
        _ => request.authenticated(AuthenticationStatus::PASS).into(),
    })
    .await;
    let mut asked = 0;
    let mut answers = |_: &doorward_client::Question| {
        asked += 1;
        doorward_client::Answer::text("correct horse")
    };
    let client = client([plain(&first), plain(&second)]);
    let answer = client
        .authenticate(
            &alice(),
            Login::Ascii {
                answers: &mut answers,
            },
        )
        .await
        .unwrap();
    assert!(answer.decision.is_pass());
    assert_eq!(
        (asked, first.connections(), second.connections()),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn fail_does_not_move_on() {
    let first =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::FAIL).into()).await;
    let second = good().await;
    let answer = pap(&client([plain(&first), plain(&second)])).await.unwrap();
    assert_eq!(answer.decision, Decision::Fail(Denial::Status));
    assert_eq!(answer.facts.server, first.address().to_string());
    assert_eq!(second.connections(), 0);
}

#[tokio::test]
async fn when_no_server_decides_every_reason_is_told() {
    let (_taken, refused) = nobody();
    let error =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::ERROR).into()).await;
    let garbage = Fake::plain(|request| request.reply(vec![1, 2, 3]).into()).await;
    let closing = Fake::plain(|_| Act::Close).await;
    let names = [
        refused.address.to_string(),
        error.address().to_string(),
        garbage.address().to_string(),
        closing.address().to_string(),
    ];
    let servers = [refused, plain(&error), plain(&garbage), plain(&closing)];
    let result = pap(&client(servers)).await;
    let Err(ClientError::Unavailable(attempts)) = result else {
        panic!("{result:?}")
    };
    let seen: Vec<&str> = attempts
        .iter()
        .map(|attempt| attempt.server.as_str())
        .collect();
    assert_eq!(seen, names);
    assert!(matches!(
        attempts[0].reason,
        AttemptError::Transport(TransportError::Connect(_))
    ));
    assert!(matches!(attempts[1].reason, AttemptError::Status { .. }));
    assert!(matches!(
        attempts[2].reason,
        AttemptError::Reply(Failure::Garbage(_))
    ));
    assert!(matches!(
        attempts[3].reason,
        AttemptError::Transport(TransportError::Closed)
    ));
}

#[test]
fn a_client_needs_a_server() {
    assert!(matches!(
        Client::new(Vec::new(), Transports::Any),
        Err(ClientError::NoServer)
    ));
}

/// Sinks may speak TLS 1.2, under policies of the same kind.
#[test]
fn a_server_of_tacacs_is_never_offered_tls_1_2() {
    let authority = Authority::new("Test CA");
    let policy = |tls12| {
        let settings = authority.client_settings(Some(&authority.device()), Vec::new());
        Arc::new(ClientPolicy::new(ClientSettings { tls12, ..settings }).unwrap())
    };
    let server = |policy| {
        let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
        let address = ServerAddress::parse("aaa1.example.net", 300).unwrap();
        Server::tls(address, Tls::new(policy, reference))
    };
    let good = server(policy(false));
    assert!(Client::new(vec![good.clone()], Transports::Any).is_ok());
    for transports in [Transports::Any, Transports::TlsOnly] {
        match Client::new(vec![good.clone(), server(policy(true))], transports) {
            Err(ClientError::OldTls(server)) => assert_eq!(server, "aaa1.example.net:300"),
            other => panic!("{other:?}"),
        }
    }
}

/// proves: TLS-5.2-5
#[test]
fn a_client_for_tls_only_takes_no_server_without() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let address = silent.local_addr().unwrap();
    let plain = |address| Server::plain(address, Secret::new(*b"squeamish ossifrage")).unwrap();
    let here = plain(ServerAddress::from_ip(address.ip(), address.port()));
    // A name that no resolver is asked for.
    let named = plain(ServerAddress::parse("aaa1.example.net", 49).unwrap());
    let authority = Authority::new("Test CA");
    let policy = authority.client_policy(Some(&authority.device()));
    let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
    let secure = Server::tls(
        ServerAddress::from_ip(address.ip(), address.port()),
        Tls::new(policy, reference),
    );
    for (servers, first) in [
        (vec![here.clone()], address.to_string()),
        (vec![named], "aaa1.example.net:49".to_owned()),
        (vec![secure.clone(), here], address.to_string()),
    ] {
        match Client::new(servers.clone(), Transports::TlsOnly) {
            Err(ClientError::TlsOnly(server)) => assert_eq!(server, first),
            other => panic!("{other:?}"),
        }
        assert!(Client::new(servers, Transports::Any).is_ok());
    }
    assert!(Client::new(vec![secure], Transports::TlsOnly).is_ok());
    let nobody = silent.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}
