//! The TACACS+ client and HASTLS records: every policy, every kind of record, signed and not, through sockets.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use doorward_client::dns::{Anchors, Resolver, Settings};
use doorward_client::hastls::{Forbidden, Hastls, Mode, RecordType, Refusal, Unusable};
use doorward_client::{
    AttemptError, AuthenticationStatus, Client, ClientError, Login, Secret, Server, ServerAddress,
    Tls, TransportError,
};
use doorward_tls::{ClientPolicy, ReferenceIdentity};
use tokio::net::TcpSocket;

use crate::certificates::Authority;
use crate::fake::Fake;
use crate::log::Log;
use crate::zones::{NameServer, Zones};
use crate::{PATIENCE, SECRET, alice, client, tls};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Zone lines: a host and the pairs of its record.
pub(crate) fn hosts(records: &[(&str, &[(u16, u16)])]) -> String {
    let mut text = String::new();
    for (host, pairs) in records {
        _ = write!(text, "{host} TYPE65400 \\# {} ", pairs.len() * 4);
        for (insecure, secure) in *pairs {
            _ = write!(text, "{insecure:04x}{secure:04x}");
        }
        text.push('\n');
    }
    text
}

/// A resolver of this name server alone.
pub(crate) fn resolver(server: SocketAddr, zones: &Zones) -> Resolver {
    let anchor = std::fs::read_to_string(zones.anchor("example")).unwrap();
    Resolver::new(Settings {
        servers: vec![server],
        anchors: Anchors::parse(&anchor).unwrap(),
        deadline: PATIENCE,
    })
}

pub(crate) fn heed(mode: Mode, resolver: &Resolver) -> Hastls {
    Hastls::new(mode, resolver.clone(), RecordType::DEFAULT)
}

/// A host on loopback, whose address nobody has to look up.
pub(crate) fn at(host: &str, port: u16) -> ServerAddress {
    let address = ServerAddress::parse(host, port).unwrap();
    address.found_at(vec![LOOPBACK])
}

/// A port of ours where nobody listens.
pub(crate) struct Closed(TcpSocket);

impl Closed {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((LOOPBACK, 0).into()).unwrap();
        Self(socket)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

/// Servers for both forms of TACACS+ on one host, and name servers that know it.
struct Site {
    secure: Fake,
    plain: Fake,
    closed: Closed,
    clients: Arc<ClientPolicy>,
    _dns: NameServer,
    resolver: Resolver,
}

/// What a client is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// TLS: secure-only.
    Tls,
    /// Port 49: insecure-only.
    Plain,
}

impl Site {
    /// `records` is told the ports with TLS, without, and where nobody is.
    async fn new(records: impl FnOnce(u16, u16, u16) -> String) -> Self {
        let authority = Authority::new("Test CA");
        let policy = authority.server_policy(&authority.server(&[tls::NAME]));
        let secure = Fake::tls(policy, |request| {
            request.authenticated(AuthenticationStatus::PASS).into()
        });
        let plain = Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into());
        let (secure, plain) = (secure.await, plain.await);
        let (s, p) = (secure.address().port(), plain.address().port());
        let closed = Closed::new();
        let zones = Zones::of(&records(s, p, closed.port()));
        let dns = zones.knot();
        Self {
            secure,
            plain,
            closed,
            clients: authority.client_policy(Some(&authority.device())),
            resolver: resolver(dns.address, &zones),
            _dns: dns,
        }
    }

    /// A client of a host on this port.
    fn server(&self, host: &str, form: Form, port: u16, mode: Mode) -> Server {
        let address = at(host, port);
        let mut server = match form {
            Form::Plain => Server::plain(address, Secret::new(SECRET)).unwrap(),
            Form::Tls => {
                let reference = ReferenceIdentity::parse(tls::NAME).unwrap();
                Server::tls(address, Tls::new(Arc::clone(&self.clients), reference))
            }
        };
        (server.connect_timeout, server.reply_timeout) = (PATIENCE, PATIENCE);
        server.hastls = Some(heed(mode, &self.resolver));
        server
    }

    /// The usual port of a form here.
    fn port(&self, form: Form) -> u16 {
        match form {
            Form::Tls => self.secure.address().port(),
            Form::Plain => self.plain.address().port(),
        }
    }

    /// Who is connected to by one login, and why nobody is.
    async fn said(&self, server: Server) -> Result<Form, TransportError> {
        let before = (self.secure.connections(), self.plain.connections());
        let result = pap(&client([server])).await;
        let after = (self.secure.connections(), self.plain.connections());
        let connected = (after.0 - before.0, after.1 - before.1);
        match (result, connected) {
            (Ok(()), (1, 0)) => Ok(Form::Tls),
            (Ok(()), (0, 1)) => Ok(Form::Plain),
            (Err(error), (0, 0)) => Err(error),
            other => panic!("{other:?}"),
        }
    }
}

async fn pap(client: &Client) -> Result<(), TransportError> {
    let login = Login::Pap {
        password: b"correct horse",
    };
    match client.authenticate(&alice(), login).await {
        Ok(answer) if answer.decision.is_pass() => Ok(()),
        Err(ClientError::Unavailable(mut attempts)) if attempts.len() == 1 => {
            match attempts.pop().unwrap().reason {
                AttemptError::Transport(error) => Err(error),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

/// Why HASTLS does not let a client connect.
pub(crate) fn forbidden(error: &TransportError) -> Forbidden {
    match error {
        TransportError::Hastls(forbidden) => *forbidden,
        other => panic!("{other:?}"),
    }
}

/// A record of TLS alone, port 300: a client for port 49 sends nothing, and says why; one with TLS comes in.
///
/// proves: HAS-4-4
#[tokio::test]
async fn nobody_goes_to_a_port_that_the_record_closes() {
    let site =
        Site::new(|secure, _, _| hosts(&[("only", &[(0, 300)]), ("here", &[(0, secure)])])).await;
    for mode in [Mode::Use, Mode::Require] {
        let server = site.server("only.example", Form::Plain, site.port(Form::Plain), mode);
        let error = site.said(server).await.unwrap_err();
        assert_eq!(forbidden(&error), Forbidden::Record(Refusal::SecureOnly));
        let said = error.to_string();
        assert!(said.contains("with TLS only"), "{said}");
    }
    let server = site.server(
        "here.example",
        Form::Tls,
        site.port(Form::Tls),
        Mode::Require,
    );
    assert_eq!(site.said(server).await.unwrap(), Form::Tls);
    assert!(site.plain.was_left_alone().await);
}

/// Every policy against every kind of record.
///
/// proves: HAS-2-1, HAS-4-5, HAS-4-10
#[tokio::test]
async fn each_policy_has_its_way_with_each_record() {
    let site = Site::new(|secure, plain, _| {
        hosts(&[
            ("sio", &[(plain, 0)]),
            ("sso", &[(0, secure)]),
            ("ssb", &[(plain, secure)]),
            ("usual", &[(49, 0)]),
            ("moved", &[(49, secure)]),
            ("mine", &[(plain, 300)]),
            ("other", &[(25, 25), (0, 443)]),
            ("clash", &[(plain, secure), (0, secure)]),
            ("upgrade", &[(plain, plain)]),
        ]) + "odd TYPE65400 \\# 3 003101\nns2 A 127.0.0.1\n"
    })
    .await;
    let (secure, plain) = (site.port(Form::Tls), site.port(Form::Plain));
    let silent = Refusal::Required(Unusable::Silent);
    let only = |refusal| Err(Forbidden::Record(refusal));
    // Host, what the client has, its port; what happens if records are used, and if they are required.
    let table = [
        ("sio", Form::Plain, plain, Ok(Form::Plain), Ok(Form::Plain)),
        (
            "usual",
            Form::Tls,
            secure,
            only(Refusal::InsecureOnly),
            only(Refusal::InsecureOnly),
        ),
        ("sso", Form::Tls, secure, Ok(Form::Tls), Ok(Form::Tls)),
        ("ssb", Form::Tls, secure, Ok(Form::Tls), Ok(Form::Tls)),
        ("ssb", Form::Plain, plain, Ok(Form::Plain), Ok(Form::Plain)),
        // The record's port, and not the configured one, where nobody is.
        ("moved", Form::Tls, 300, Ok(Form::Tls), Ok(Form::Tls)),
        ("mine", Form::Plain, 49, Ok(Form::Plain), Ok(Form::Plain)),
        // Records of something else, and those that mean nothing.
        ("other", Form::Tls, secure, Ok(Form::Tls), only(silent)),
        ("other", Form::Plain, plain, Ok(Form::Plain), only(silent)),
        ("sso", Form::Plain, plain, Ok(Form::Plain), only(silent)),
        (
            "clash",
            Form::Plain,
            plain,
            only(Refusal::Contradicting),
            only(Refusal::Contradicting),
        ),
        (
            "upgrade",
            Form::Plain,
            plain,
            Ok(Form::Plain),
            only(Refusal::Required(Unusable::Upgrade)),
        ),
        (
            "ns2",
            Form::Plain,
            plain,
            Ok(Form::Plain),
            only(Refusal::Required(Unusable::Absent)),
        ),
        (
            "none",
            Form::Tls,
            secure,
            Ok(Form::Tls),
            only(Refusal::Required(Unusable::Absent)),
        ),
    ];
    for (host, form, port, used, required) in table {
        let host = format!("{host}.example");
        for (mode, expected) in [
            (Mode::Use, used),
            (Mode::Require, required),
            (Mode::Off, Ok(form)),
        ] {
            // Without records nobody is where only they lead.
            if mode == Mode::Off && [300, 49].contains(&port) {
                continue;
            }
            let said = site.said(site.server(&host, form, port, mode)).await;
            let said = said.map_err(|error| forbidden(&error));
            assert_eq!(said, expected, "{host} {form:?} {port} {mode}");
        }
    }
}

/// TLS that does not come up is an error, whatever the record says of the port without: to TACACS+ there is no policy that falls back.
///
/// proves: HAS-2-2, HAS-4-6, HAS-4-11
#[tokio::test]
async fn no_record_leads_from_tls_to_no_tls() {
    let site = Site::new(|secure, plain, closed| {
        hosts(&[
            ("gone", &[(plain, closed)]),
            ("ssb", &[(plain, secure)]),
            ("sio", &[(plain, 0)]),
        ])
    })
    .await;
    let gone = site.server("gone.example", Form::Tls, site.closed.port(), Mode::Use);
    let error = pap(&client([gone])).await.unwrap_err();
    assert!(matches!(error, TransportError::Connect(_)), "{error}");
    for (host, mode) in [
        ("ssb.example", Mode::Use),
        ("none.example", Mode::Use),
        ("sio.example", Mode::Use),
        ("ssb.example", Mode::Off),
    ] {
        let mut server = site.server(host, Form::Tls, site.port(Form::Tls), mode);
        // The server cannot prove that it is this one.
        let reference = ReferenceIdentity::parse("aaa2.example.net").unwrap();
        server.mode = doorward_client::Mode::Tls(Tls::new(Arc::clone(&site.clients), reference));
        let error = pap(&client([server])).await.unwrap_err();
        assert!(
            matches!(error, TransportError::Handshake(_)),
            "{host}: {error}"
        );
    }
    assert!(site.plain.was_left_alone().await);
}

/// What is not proved changes nothing, and is told once with its reason; what is proved does.
///
/// proves: HAS-3-12, HAS-4-13
#[tokio::test]
async fn what_is_not_proved_is_as_if_it_were_not_there() {
    let site = Site::new(|_, _, _| {
        hosts(&[("only", &[(0, 300)]), ("sio", &[(49, 0)])]) + "odd TYPE65400 \\# 3 003101\n"
    })
    .await;
    let (secure, plain) = (site.port(Form::Tls), site.port(Form::Plain));
    for (host, form, reason) in [
        ("only.plain.example", Form::Plain, Unusable::Insecure),
        ("sio.plain.example", Form::Tls, Unusable::Insecure),
        ("only.late.example", Form::Plain, Unusable::Expired),
        ("host.lie.example", Form::Tls, Unusable::Bogus),
        ("none.example", Form::Plain, Unusable::Absent),
        ("ns.example", Form::Tls, Unusable::Absent),
        (
            "odd.example",
            Form::Plain,
            Unusable::Malformed(doorward_hastls::RecordError::Length(3)),
        ),
        ("only.invalid", Form::Plain, Unusable::Indeterminate),
    ] {
        let port = if form == Form::Tls { secure } else { plain };
        let (log, _guard) = Log::start();
        let server = site.server(host, form, port, Mode::Use);
        for _ in 0..3 {
            assert_eq!(site.said(server.clone()).await.unwrap(), form, "{host}");
        }
        let text = log.text();
        let told = format!("reason=\"{}\"", reason.name());
        assert_eq!(text.matches("reason=").count(), 1, "{text}");
        assert!(
            text.contains(&told) && text.contains(&format!("server={host}:{port}")),
            "{text}"
        );
        let server = site.server(host, form, port, Mode::Require);
        let error = site.said(server).await.unwrap_err();
        assert_eq!(
            forbidden(&error),
            Forbidden::Record(Refusal::Required(reason)),
            "{host}"
        );
        assert!(error.to_string().contains(&reason.to_string()), "{error}");
        // As nobody looks.
        let server = site.server(host, form, port, Mode::Off);
        assert_eq!(site.said(server).await.unwrap(), form, "{host}");
    }
    let proved = site.server("only.example", Form::Plain, plain, Mode::Use);
    let error = site.said(proved).await.unwrap_err();
    assert_eq!(forbidden(&error), Forbidden::Record(Refusal::SecureOnly));
    let proved = site.server("sio.example", Form::Tls, secure, Mode::Use);
    let error = site.said(proved).await.unwrap_err();
    assert_eq!(forbidden(&error), Forbidden::Record(Refusal::InsecureOnly));
}

/// TLS never goes to a port that belongs to what is without, and the other way round.
#[tokio::test]
async fn a_port_of_the_other_form_is_not_taken() {
    let site = Site::new(|secure, plain, _| {
        hosts(&[
            ("low", &[(0, 49), (0, secure)]),
            ("high", &[(300, 0), (plain, 0)]),
        ])
    })
    .await;
    for (host, form) in [("low.example", Form::Tls), ("high.example", Form::Plain)] {
        let (log, _guard) = Log::start();
        let server = site.server(host, form, site.port(form), Mode::Use);
        assert_eq!(site.said(server).await.unwrap(), form, "{host}");
        let text = log.text();
        assert!(text.contains("port of the other form"), "{text}");
    }
}

/// An address has no record: nobody is asked.
#[tokio::test]
async fn an_address_has_no_record() {
    let dns = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    dns.set_nonblocking(true).unwrap();
    let resolver = Resolver::new(Settings {
        servers: vec![dns.local_addr().unwrap()],
        deadline: Duration::from_millis(10),
        ..Settings::default()
    });
    let fake = Fake::plain(|request| request.authenticated(AuthenticationStatus::PASS).into());
    let fake = fake.await;
    let (log, _guard) = Log::start();
    let mut server = crate::plain(&fake);
    server.hastls = Some(heed(Mode::Use, &resolver));
    let client = client([server.clone()]);
    for _ in 0..2 {
        pap(&client).await.unwrap();
    }
    let text = log.text();
    assert_eq!(
        text.matches("an IP address has no HASTLS record").count(),
        1,
        "{text}"
    );
    server.hastls = Some(heed(Mode::Require, &resolver));
    let error = pap(&crate::client([server])).await.unwrap_err();
    assert_eq!(forbidden(&error), Forbidden::Address);
    assert_eq!(fake.connections(), 1);
    assert!(dns.recv(&mut [0; 512]).is_err());
}
