//! TLS: who is believed, and that nothing else is ever tried.

use std::sync::{Arc, Mutex};

use doorward_client::{
    AttemptError, Authentication, AuthenticationStatus, Client, ClientError, Decision, Denial,
    Login, Server, Tls, TransportError,
};
use doorward_tacacs::Flags;
use doorward_tls::{ClientPolicy, HandshakeError, PathError, ReferenceIdentity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::certificates::Authority;
use crate::fake::Fake;
use crate::{PATIENCE, alice, client, plain};

pub(crate) const NAME: &str = "aaa1.example.net";

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

fn reason(result: Result<Authentication, ClientError>) -> AttemptError {
    match result {
        Err(ClientError::Unavailable(mut attempts)) if attempts.len() == 1 => {
            attempts.pop().unwrap().reason
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn server(fake: &Fake, policy: Arc<ClientPolicy>, reference: &str) -> Server {
    let mut server = Server::tls(
        fake.address(),
        Tls::new(policy, ReferenceIdentity::parse(reference).unwrap()),
    );
    server.connect_timeout = PATIENCE;
    server.reply_timeout = PATIENCE;
    server
}

async fn passing(authority: &Authority, names: &[&str]) -> Fake {
    let policy = authority.server_policy(&authority.server(names));
    Fake::tls(policy, |request| {
        request.authenticated(AuthenticationStatus::PASS).into()
    })
    .await
}

/// proves: TLS-4-2
#[tokio::test]
async fn a_login_over_tls() {
    let authority = Authority::new("Test CA");
    let fake = passing(&authority, &[NAME]).await;
    let client = client([server(
        &fake,
        authority.client_policy(Some(&authority.device())),
        NAME,
    )]);
    for _ in 0..3 {
        let answer = pap(&client).await.unwrap();
        assert_eq!(answer.decision, Decision::Pass);
        let facts = answer.facts.tls.unwrap();
        assert_eq!(
            (facts.version, facts.auth, facts.resumed),
            ("1.3", "certificate", false)
        );
        assert!(
            facts.suite.starts_with("TLS") && !facts.group.is_empty(),
            "{facts:?}"
        );
    }
    assert_eq!(fake.connections(), 1);
    let requests = fake.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header.flags.contains(Flags::UNENCRYPTED))
    );
    assert_eq!(requests[0].start().data, b"correct horse");
}

/// proves: TLS-3.4.2-1
#[tokio::test]
async fn a_server_with_another_name_is_refused() {
    let authority = Authority::new("Test CA");
    let fake = passing(&authority, &["aaa2.example.net"]).await;
    let client = client([server(
        &fake,
        authority.client_policy(Some(&authority.device())),
        NAME,
    )]);
    let reason = reason(pap(&client).await);
    assert!(
        matches!(
            reason,
            AttemptError::Transport(TransportError::Handshake(HandshakeError::NameMismatch))
        ),
        "{reason:?}"
    );
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_server_of_another_ca_is_refused() {
    let (authority, other) = (Authority::new("Test CA"), Authority::new("Other CA"));
    let fake = passing(&other, &[NAME]).await;
    let client = client([server(
        &fake,
        authority.client_policy(Some(&authority.device())),
        NAME,
    )]);
    let reason = reason(pap(&client).await);
    assert!(
        matches!(
            reason,
            AttemptError::Transport(TransportError::Handshake(HandshakeError::Path(
                PathError::UnknownIssuer
            )))
        ),
        "{reason:?}"
    );
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_revoked_server_is_refused() {
    let authority = Authority::new("Test CA");
    let fake = passing(&authority, &[NAME]).await;
    let policy =
        authority.client_policy_with(Some(&authority.device()), vec![authority.revoke_server()]);
    let reason = reason(pap(&client([server(&fake, policy, NAME)])).await);
    assert!(
        matches!(
            reason,
            AttemptError::Transport(TransportError::Handshake(HandshakeError::Path(
                PathError::Revoked { .. }
            )))
        ),
        "{reason:?}"
    );
    assert!(fake.requests().is_empty());
}

/// The handshake looks complete to the client when the server refuses its certificate (or the lack of one).
///
/// proves: TLS-3.1-1
#[tokio::test]
async fn a_server_that_refuses_our_certificate_is_a_failed_attempt() {
    let (authority, other) = (Authority::new("Test CA"), Authority::new("Other CA"));
    for certificate in [None, Some(other.device())] {
        let first = passing(&authority, &[NAME]).await;
        let second = passing(&authority, &[NAME]).await;
        let bad = server(&first, authority.client_policy(certificate.as_ref()), NAME);
        let good = server(
            &second,
            authority.client_policy(Some(&authority.device())),
            NAME,
        );
        let answer = pap(&client([bad.clone(), good])).await.unwrap();
        assert_eq!(answer.facts.server, second.address().to_string());
        let reason = reason(pap(&client([bad])).await);
        assert!(
            matches!(
                reason,
                AttemptError::Transport(TransportError::RefusedAfterHandshake(_))
            ),
            "{reason:?}"
        );
        assert!(first.requests().is_empty());
    }
}

/// proves: TLS-3.4.2-12
#[tokio::test]
async fn an_address_is_reached_by_one_name_and_believed_by_another() {
    let authority = Authority::new("Test CA");
    let policy = authority.client_policy(Some(&authority.device()));
    let fake = passing(&authority, &["127.0.0.1"]).await;
    assert!(
        pap(&client([server(&fake, policy.clone(), "127.0.0.1")]))
            .await
            .unwrap()
            .decision
            .is_pass()
    );
    let sni = async |tls: Tls| {
        let (listener, hello) = sink().await;
        let mut server = Server::tls(listener, tls);
        (server.connect_timeout, server.reply_timeout) = (PATIENCE, PATIENCE);
        assert!(pap(&client([server])).await.is_err());
        let hello = hello.lock().unwrap().clone();
        assert_eq!(hello[0], 0x16);
        hello
    };
    let contains = |hello: &[u8], name: &str| {
        hello
            .windows(name.len())
            .any(|window| window == name.as_bytes())
    };
    let tls = Tls::new(policy, ReferenceIdentity::parse(NAME).unwrap());
    assert!(contains(&sni(tls.clone()).await, NAME));
    let other = Tls {
        sni: Some("front.example.net".to_owned()),
        ..tls.clone()
    };
    let hello = sni(other).await;
    assert!(contains(&hello, "front.example.net") && !contains(&hello, NAME));
    assert!(!contains(
        &sni(Tls { sni: None, ..tls }).await,
        "example.net"
    ));
}

/// Keeps what it is sent first, and hangs up.
async fn sink() -> (doorward_client::ServerAddress, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let kept = seen.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut chunk = vec![0; 16_384];
        let mut hello = Vec::new();
        // A ClientHello may come in several segments; its record says how long it is.
        while hello.len() < 5
            || hello.len() < 5 + usize::from(u16::from_be_bytes([hello[3], hello[4]]))
        {
            let count = stream.read(&mut chunk).await.unwrap();
            hello.extend_from_slice(&chunk[..count]);
        }
        *kept.lock().unwrap() = hello;
        stream.shutdown().await.unwrap();
    });
    (
        doorward_client::ServerAddress::from_ip(address.ip(), address.port()),
        seen,
    )
}

/// proves: TLS-4-6
#[tokio::test]
async fn a_reply_with_the_flag_clear_is_never_a_pass() {
    let authority = Authority::new("Test CA");
    let policy = authority.server_policy(&authority.server(&[NAME]));
    let mut fake = Fake::tls(policy, |request| {
        let reply = request.authenticated(AuthenticationStatus::PASS);
        reply.flags(Flags::SINGLE_CONNECT).in_clear().into()
    })
    .await;
    let client = client([server(
        &fake,
        authority.client_policy(Some(&authority.device())),
        NAME,
    )]);
    let answer = pap(&client).await.unwrap();
    assert_eq!(
        (answer.decision, answer.status),
        (Decision::Fail(Denial::Flag), None)
    );
    assert_eq!(fake.ended().await, 0);
}

#[tokio::test]
async fn no_failure_of_tls_leads_to_a_connection_without() {
    let authority = Authority::new("Test CA");
    let device = authority.device();
    // A server that would take the login without TLS at the very address where TLS is wanted.
    let fake =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let mut wanted = server(&fake, authority.client_policy(Some(&device)), NAME);
    wanted.connect_timeout = crate::SHORT;
    let reason = reason(pap(&client([wanted])).await);
    assert!(
        matches!(
            reason,
            AttemptError::Transport(
                TransportError::ConnectTimeout
                    | TransportError::Handshake(_)
                    | TransportError::Closed
            )
        ),
        "{reason:?}"
    );
    assert_eq!(fake.connections(), 1);
    // What it got can only be read as the beginning of a packet that never ends.
    assert!(fake.requests().is_empty());
}

/// proves: TAC-4.3-10
#[tokio::test]
async fn a_tls_connection_closed_while_idle_is_made_anew() {
    let authority = Authority::new("Test CA");
    let policy = authority.server_policy(&authority.server(&[NAME]));
    let fake = Fake::tls(policy, |request| {
        request
            .authenticated(AuthenticationStatus::PASS)
            .then_close()
            .into()
    })
    .await;
    let client = client([server(
        &fake,
        authority.client_policy(Some(&authority.device())),
        NAME,
    )]);
    for number in 0..2 {
        assert!(pap(&client).await.unwrap().decision.is_pass());
        assert_eq!(fake.connections(), number + 1);
    }
}

/// A plain server after a TLS server that fails is only asked because somebody listed it.
#[tokio::test]
async fn the_list_says_who_is_asked() {
    let (authority, other) = (Authority::new("Test CA"), Authority::new("Other CA"));
    let first = passing(&other, &[NAME]).await;
    let second =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let secure = server(
        &first,
        authority.client_policy(Some(&authority.device())),
        NAME,
    );
    assert!(pap(&client([secure.clone()])).await.is_err());
    assert_eq!(second.connections(), 0);
    assert!(
        pap(&client([secure, plain(&second)]))
            .await
            .unwrap()
            .decision
            .is_pass()
    );
}
