//! What the log says, and what it never says.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use doorward_client::{
    ArgumentList, AuthenticationStatus, AuthorizationRequest, AuthorizationStatus, Client, Login,
    Secret, Separator, Server, ServerAddress, Tls,
};
use doorward_tacacs::Flags;
use doorward_tls::ReferenceIdentity;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;

use crate::certificates::Authority;
use crate::fake::Fake;
use crate::{alice, client, plain, tls};

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Takes down all that is logged by this thread until the guard is dropped.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

async fn pap(client: &Client) -> bool {
    let answer = client
        .authenticate(
            &alice(),
            Login::Pap {
                password: b"correct horse",
            },
        )
        .await;
    answer.is_ok_and(|answer| answer.decision.is_pass())
}

/// proves: TLS-4-7
#[tokio::test]
async fn a_clear_flag_over_tls_is_logged_with_its_server() {
    let (log, _guard) = Log::start();
    let authority = Authority::new("Test CA");
    let policy = authority.server_policy(&authority.server(&[tls::NAME]));
    let fake = Fake::tls(policy, |request| {
        let reply = request
            .authenticated(AuthenticationStatus::PASS)
            .flags(Flags::NONE);
        reply.in_clear().into()
    })
    .await;
    let server = tls::server(
        &fake,
        authority.client_policy(Some(&authority.device())),
        tls::NAME,
    );
    assert!(!pap(&client([server])).await);
    let text = log.text();
    assert!(
        text.contains(&fake.address().to_string()) && text.contains("unencrypted flag"),
        "{text}"
    );
}

/// proves: TLS-6.1-1
#[test]
fn servers_with_and_without_tls_in_one_list_are_told_of() {
    let address = |port| ServerAddress::from_ip([127, 0, 0, 1].into(), port);
    let authority = Authority::new("Test CA");
    let policy = authority.client_policy(Some(&authority.device()));
    let secure = |port| {
        let reference = ReferenceIdentity::parse(tls::NAME).unwrap();
        Server::tls(address(port), Tls::new(policy.clone(), reference))
    };
    let plain = |port| Server::plain(address(port), Secret::new(crate::SECRET)).unwrap();
    for (servers, mixed) in [
        (vec![secure(300), plain(49)], true),
        (vec![plain(4949), secure(300), plain(49)], true),
        (vec![secure(300), secure(301)], false),
        (vec![plain(49), plain(50)], false),
    ] {
        let (log, _guard) = Log::start();
        let first = servers
            .iter()
            .find(|server| matches!(server.mode, doorward_client::Mode::Plain(_)))
            .map(|server| server.address.to_string());
        client(servers);
        let text = log.text();
        assert_eq!(text.contains("are mixed"), mixed, "{text}");
        assert!(!mixed || (text.contains("WARN") && text.contains(&first.unwrap())));
    }
}

/// proves: TAC-5.4.3-5
#[tokio::test]
async fn the_data_of_an_error_is_logged_escaped() {
    let (log, _guard) = Log::start();
    let first = Fake::plain(|request| {
        let mut body = vec![AuthenticationStatus::ERROR.0, 0, 0, 0, 0, 5];
        body.extend(b"db\x1b[2");
        request.reply(body).into()
    })
    .await;
    let second =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    assert!(pap(&client([plain(&first), plain(&second)])).await);
    let text = log.text();
    assert!(
        text.contains("db\\x1b[2") && !text.contains('\u{1b}'),
        "{text}"
    );
}

/// proves: TAC-6.2-10
#[tokio::test]
async fn the_data_of_an_authorization_is_logged_and_its_message_kept_for_the_user() {
    let (log, _guard) = Log::start();
    let fake = Fake::plain(|request| {
        let mut body = vec![AuthorizationStatus::FAIL.0, 0, 0, 3, 0, 5];
        body.extend(b"nop");
        body.extend(b"eru\x1b[");
        request.reply(body).into()
    })
    .await;
    let mut arguments = ArgumentList::new();
    arguments
        .push("service", Separator::Mandatory, "ppp")
        .unwrap();
    let request = AuthorizationRequest::new(alice(), arguments);
    let answer = client([plain(&fake)]).authorize(&request).await.unwrap();
    assert!(!answer.decision.is_pass());
    assert_eq!(answer.server_msg, b"nop");
    assert_eq!(answer.data, b"eru\x1b[");
    let text = log.text();
    assert!(
        text.contains("eru\\x1b[") && !text.contains('\u{1b}'),
        "{text}"
    );
}

/// proves: TAC-4.5-1
#[tokio::test]
async fn no_level_of_the_log_holds_a_secret() {
    let (log, _guard) = Log::start();
    let error =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::ERROR).into()).await;
    let other = Fake::plain(|request| {
        request
            .authenticated(AuthenticationStatus::PASS)
            .secret("another secret of length")
            .into()
    })
    .await;
    let good =
        Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into()).await;
    let client = client([plain(&error), plain(&other), plain(&good)]);
    assert!(pap(&client).await);
    let text = format!("{}{client:?}", log.text());
    assert!(text.contains("did not decide"), "{text}");
    for secret in ["ossifrage", "horse", "another secret"] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// proves: TAC-6.2-9, TAC-10.5.5-4
#[tokio::test]
async fn the_key_of_a_redirection_reaches_neither_log_nor_caller() {
    let (log, _guard) = Log::start();
    let fake = Fake::plain(|request| {
        let mut body = vec![AuthorizationStatus::FOLLOW.0, 0, 0, 0, 0, 14];
        body.extend(b"192.0.2.9@open");
        request.reply(body).into()
    })
    .await;
    let mut arguments = ArgumentList::new();
    arguments.push_raw("service=ppp").unwrap();
    let request = AuthorizationRequest::new(alice(), arguments);
    let answer = client([plain(&fake)]).authorize(&request).await.unwrap();
    assert!(!answer.decision.is_pass() && answer.data.is_empty());
    assert!(!log.text().contains("192.0.2.9"), "{}", log.text());
}
