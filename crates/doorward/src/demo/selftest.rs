//! The self-test: what a router would do, done by the client library over every listener.

mod radius;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_client::{
    AccountingRequest, Answer, AuthorizationRequest, Client, Login, Question, QuestionKind,
    Server as Target, ServerAddress, Tls, Transports, Who,
};
use doorward_tacacs::{AccountingRecord, ArgumentList, Secret, Separator};
use doorward_tls::{
    ClientPolicy, ClientSettings, Clock, PskIdentity, PskKey, ReferenceIdentity, Revocation, Trust,
    TrustSettings, pem,
};

use super::files::{Folder, KEYED, PSK_IDENTITY, SERVER_NAME};
use crate::accounting::{Query, Reader, Record};
use crate::runtime::Server;

/// One line of the self-test.
#[derive(Clone, Debug)]
pub struct Line {
    /// Whether what was expected happened.
    pub passed: bool,
    /// How the client was connected.
    pub transport: &'static str,
    /// What was expected.
    pub claim: String,
    /// What happened.
    pub seen: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.passed { "ok    " } else { "FAILED" };
        write!(
            f,
            "{mark} {:<8} {:<58} {}",
            self.transport, self.claim, self.seen
        )
    }
}

/// What a check saw; `Err` when it was not what was claimed.
type Seen = Result<String, String>;

/// Where the listeners are.
pub(super) struct Listeners {
    pub(super) tls: SocketAddr,
    pub(super) plain: SocketAddr,
    pub(super) radius_tls: SocketAddr,
    pub(super) radius_dtls: SocketAddr,
    pub(super) radius_udp: SocketAddr,
}

/// Runs every check against the listeners.
pub(super) async fn run(server: &Arc<Server>, folder: &Folder, listeners: Listeners) -> Vec<Line> {
    let mut report = Report::default();
    let (tls, plain) = (listeners.tls, listeners.plain);
    let clients = [
        ("TLS", "core1", tls_client(folder, "core1", tls)),
        ("plain", "old-sw7", plain_client(folder, plain)),
    ];
    for (transport, device, client) in clients {
        match client {
            Ok(client) => {
                over(
                    &mut report,
                    Router {
                        server,
                        folder,
                        client,
                        transport,
                        device,
                    },
                )
                .await
            }
            Err(error) => report.add(transport, "the client can be set up", Err(error)),
        }
    }
    let refused = match tls_client(folder, "stolen1", tls) {
        Ok(client) => match client
            .authenticate(&Who::new("alice"), Login::Pap { password: b"any" })
            .await
        {
            Ok(_) => Err("it was served".to_owned()),
            Err(error) => revoked(&error.to_string()),
        },
        Err(error) => Err(error),
    };
    report.add("TLS", REVOKED, refused);
    radius::run(&mut report, server, folder, &listeners).await;
    report.0
}

const REVOKED: &str = "a device whose certificate is revoked is refused";

/// certificate_revoked (RFC 8446 section 6.2), and no other trouble.
fn revoked(error: &str) -> Seen {
    if error.contains("alert 44") {
        Ok("alert 44, certificate_revoked".to_owned())
    } else {
        Err(error.to_owned())
    }
}

#[derive(Default)]
struct Report(Vec<Line>);

impl Report {
    fn add(&mut self, transport: &'static str, claim: impl Into<String>, seen: Seen) {
        let passed = seen.is_ok();
        let (Ok(seen) | Err(seen)) = seen;
        self.0.push(Line {
            passed,
            transport,
            claim: claim.into(),
            seen,
        });
    }
}

/// One device and its way to the server.
struct Router<'a> {
    server: &'a Arc<Server>,
    folder: &'a Folder,
    client: Client,
    transport: &'static str,
    device: &'static str,
}

async fn over(report: &mut Report, router: Router<'_>) {
    let way = router.transport;
    let device = router.device;
    report.add(
        way,
        format!("alice logs in on {device} (PAP)"),
        router.pap("alice", true).await,
    );
    report.add(
        way,
        format!("alice logs in on {device} (ASCII, asked for her password)"),
        router.ascii("alice").await,
    );
    report.add(
        way,
        "a wrong password is denied",
        router.pap("alice", false).await,
    );
    report.add(way, "alice gets a shell", router.shell("alice").await);
    report.add(
        way,
        "alice may `show version`",
        router.command("alice", "show version", true).await,
    );
    report.add(
        way,
        "alice is denied `reload`",
        router.command("alice", "reload", false).await,
    );
    report.add(
        way,
        "alice is denied `show running-config`",
        router.command("alice", "show running-config", false).await,
    );
    report.add(
        way,
        "a command is accounted and `acct search` finds it",
        router.account("alice", "show version").await,
    );
}

impl Router<'_> {
    fn who(&self, user: &str) -> Who {
        Who::new(user).at_port("tty0")
    }

    async fn pap(&self, user: &str, right: bool) -> Seen {
        let password = self
            .folder
            .text(&format!("{user}.password"))
            .map_err(|error| error.to_string())?;
        let typed = if right {
            password
        } else {
            format!("not {password}")
        };
        let answer = self
            .client
            .authenticate(
                &self.who(user),
                Login::Pap {
                    password: typed.as_bytes(),
                },
            )
            .await;
        let answer = answer.map_err(|error| error.to_string())?;
        let how = answer.facts.tls.map_or("obfuscated".to_owned(), |tls| {
            format!("TLS {} {} {}", tls.version, tls.suite, tls.group)
        });
        expect(
            answer.decision.is_pass(),
            right,
            format!("{how}, {} ms", answer.facts.elapsed.as_millis()),
        )
    }

    async fn ascii(&self, user: &str) -> Seen {
        let password = self
            .folder
            .text(&format!("{user}.password"))
            .map_err(|error| error.to_string())?;
        let mut asked = Vec::new();
        let mut answers = |question: &Question| {
            asked.push(String::from_utf8_lossy(&question.prompt).trim().to_owned());
            match question.kind {
                QuestionKind::User => Answer::text(user),
                QuestionKind::Password => Answer::text(password.as_str()),
                QuestionKind::Data => Answer::Abort("nothing else was expected".to_owned()),
            }
        };
        let answer = self
            .client
            .authenticate(
                &self.who(user),
                Login::Ascii {
                    answers: &mut answers,
                },
            )
            .await;
        let answer = answer.map_err(|error| error.to_string())?;
        expect(
            answer.decision.is_pass(),
            true,
            format!("asked: {}", asked.join(", ")),
        )
    }

    async fn shell(&self, user: &str) -> Seen {
        let arguments = arguments(&[("service", "shell"), ("cmd", "")])?;
        let answer = self
            .client
            .authorize(&AuthorizationRequest::new(self.who(user), arguments))
            .await;
        let answer = answer.map_err(|error| error.to_string())?;
        let got: Vec<String> = answer
            .arguments
            .iter()
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect();
        expect(
            answer.decision.is_pass()
                && got.iter().any(|argument| argument.starts_with("priv-lvl=")),
            true,
            got.join(" "),
        )
    }

    async fn command(&self, user: &str, command: &str, permitted: bool) -> Seen {
        let arguments = arguments(&command_arguments(command))?;
        let answer = self
            .client
            .authorize(&AuthorizationRequest::new(self.who(user), arguments))
            .await;
        let answer = answer.map_err(|error| error.to_string())?;
        let rule = self.server.deciding_rule(user, self.device, command);
        expect(answer.decision.is_pass(), permitted, rule)
    }

    async fn account(&self, user: &str, command: &str) -> Seen {
        let task = doorward_client::task_id().map_err(|error| error.to_string())?;
        let arguments = arguments(&command_arguments(command))?;
        let request = AccountingRequest::new(
            self.who(user),
            AccountingRecord::Stop,
            task.clone(),
            arguments,
        );
        let answer = self
            .client
            .account(&request)
            .await
            .map_err(|error| error.to_string())?;
        let found = find(self.server, self.device, user, &format!("task_id={task}"));
        found
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("answered {:?}, and the record is not there", answer.status))
    }
}

/// The record with this argument, as `acct search` reads it.
fn find(
    server: &Server,
    device: &str,
    user: &str,
    argument: &str,
) -> Result<Option<String>, crate::accounting::JournalError> {
    let reader = Reader::open(&server.journal_path())?;
    let query = Query {
        device: Some(device.to_owned()),
        user: Some(user.as_bytes().to_vec()),
        ..Query::default()
    };
    for row in reader.search(query)? {
        let row = row?;
        let Some(Ok(view)) = row.entry.record().map(Record::view) else {
            continue;
        };
        let mut arguments = view.arguments;
        if arguments.any(|one| one == argument.as_bytes()) {
            return Ok(Some(format!("record {}", view.id)));
        }
    }
    Ok(None)
}

fn expect(pass: bool, expected: bool, seen: String) -> Seen {
    if pass == expected {
        Ok(seen)
    } else {
        Err(format!(
            "{}: {seen}",
            if pass { "permitted" } else { "denied" }
        ))
    }
}

fn command_arguments(command: &str) -> Vec<(&str, &str)> {
    let mut words = command.split(' ');
    let cmd = words.next().unwrap_or_default();
    [("service", "shell"), ("cmd", cmd)]
        .into_iter()
        .chain(words.map(|word| ("cmd-arg", word)))
        .collect()
}

fn arguments(pairs: &[(&str, &str)]) -> Result<ArgumentList, String> {
    let mut list = ArgumentList::new();
    for (name, value) in pairs {
        list.push(name, Separator::Mandatory, value)
            .map_err(|error| error.to_string())?;
    }
    Ok(list)
}

fn plain_client(folder: &Folder, address: SocketAddr) -> Result<Client, String> {
    let secret = folder
        .text("old-sw7.secret")
        .map_err(|error| error.to_string())?;
    let address = ServerAddress::from_ip(address.ip(), address.port());
    let target = Target::plain(address, Secret::new(secret.into_bytes()))
        .map_err(|error| error.to_string())?;
    client(target)
}

/// What a device shows of itself.
#[derive(Clone, Copy)]
enum Shown {
    /// The certificate of the device of this name.
    Certificate(&'static str),
    /// The pre-shared key of the folder.
    Key,
}

/// What may be spoken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Tls13,
    /// TLS 1.2 as well.
    Tls,
    Dtls,
}

/// What a device needs to believe the server and to show itself.
fn tls(folder: &Folder, shown: Shown, spoken: Spoken) -> Result<Tls, String> {
    let read = |name: &str| folder.text(name).map_err(|error| error.to_string());
    let certificates =
        |name: &str| pem::certificates(read(name)?.as_bytes()).map_err(|error| error.to_string());
    let crls = pem::crls(read("ca.crl")?.as_bytes()).map_err(|error| error.to_string())?;
    let trust = TrustSettings {
        anchors: certificates("ca.pem")?,
        crls,
        revocation: Revocation::Require,
        ..TrustSettings::default()
    };
    let trust = Trust::new(trust).map_err(|error| error.to_string())?;
    let (mut certificate, mut psk) = (None, None);
    match shown {
        Shown::Certificate(device) => {
            let key = pem::private_key(read(&format!("{device}.key"))?.as_bytes())
                .map_err(|error| error.to_string())?;
            certificate = Some((certificates(&format!("{device}.pem"))?, key));
        }
        Shown::Key => {
            let identity = PskIdentity::new(PSK_IDENTITY).map_err(|error| error.to_string())?;
            let key = PskKey::from_hex(&read(&format!("{KEYED}.psk"))?);
            psk = Some((identity, key.map_err(|error| error.to_string())?));
        }
    }
    let settings = ClientSettings {
        certificate,
        raw_public_key: false,
        server_pins: Vec::new(),
        trust: Arc::new(trust),
        show_authorities: false,
        cipher_suites: Vec::new(),
        groups: Vec::new(),
        tls12: spoken != Spoken::Tls13,
        datagrams: spoken == Spoken::Dtls,
        psk,
        clock: Clock::system(),
    };
    let policy = ClientPolicy::new(settings).map_err(|error| error.to_string())?;
    let reference = ReferenceIdentity::parse(SERVER_NAME).map_err(|error| error.to_string())?;
    Ok(Tls::new(Arc::new(policy), reference))
}

fn tls_client(
    folder: &Folder,
    device: &'static str,
    address: SocketAddr,
) -> Result<Client, String> {
    let address = ServerAddress::from_ip(address.ip(), address.port());
    client(Target::tls(
        address,
        tls(folder, Shown::Certificate(device), Spoken::Tls13)?,
    ))
}

/// A machine that is busy building or hashing is no failure of the demo.
const PATIENCE: Duration = Duration::from_secs(10);

fn client(mut target: Target) -> Result<Client, String> {
    target.connect_timeout = PATIENCE;
    target.reply_timeout = PATIENCE;
    Client::new(vec![target], Transports::Any).map_err(|error| error.to_string())
}
