//! `doorward client show`: which servers would be asked, how, and what we would show them. Nobody is connected to.

use std::fmt::Write as _;
use std::process::ExitCode;

use doorward_client::{Mode, Server};
use doorward_tls::{Der, PeerIdentity, PskIdentity, ReferenceIdentity, Validity};
use serde::Serialize;

use super::Problem;
use super::servers::ServerArgs;
use crate::cli::{FAULT, complain, say};
use crate::config::lint::moment;
use crate::policy::hexadecimal;

/// Show which servers would be asked, with or without TLS, and the certificate and chain they would see; connects to nobody
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    servers: ServerArgs,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    servers: Vec<ShownServer>,
    presents: Presented,
}

#[derive(Debug, Serialize)]
struct ShownServer {
    server: String,
    transport: &'static str,
    /// Whom its certificate has to name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Presented {
    auth: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chain: Vec<Certificate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psk_identity: Option<String>,
}

#[derive(Debug, Serialize)]
struct Certificate {
    subject: String,
    issuer: String,
    serial: String,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    fingerprint: String,
    /// What keeps servers from accepting it, of what can be seen without them.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// 0 = shown, 1 = shown, and a certificate in it is not valid now.
pub(super) fn show(mut args: Args) -> Result<ExitCode, Problem> {
    args.servers.check()?;
    let servers = args.servers.servers()?;
    let chain = args.servers.chain()?;
    let now = jiff::Timestamp::now();
    let shown = Shown {
        presents: Presented::new(servers.first(), &chain, now)?,
        servers: servers.iter().map(ShownServer::new).collect(),
    };
    if args.json {
        let line = serde_json::to_string(&shown)
            .map_err(|error| Problem::Fault(format!("this cannot be written as JSON: {error}")))?;
        say(&line);
    } else {
        say(&shown.text());
    }
    let mut problems = shown.presents.chain.iter().filter_map(|one| {
        let problem = one.problem.as_ref()?;
        Some(format!(
            "error: the certificate of {} {problem}: servers refuse it",
            one.subject.escape_debug()
        ))
    });
    Ok(match problems.next() {
        None => ExitCode::SUCCESS,
        Some(first) => {
            complain(&first);
            problems.for_each(|problem| complain(&problem));
            ExitCode::from(FAULT)
        }
    })
}

impl ShownServer {
    fn new(server: &Server) -> Self {
        let (name, sni) = match &server.mode {
            Mode::Tls(tls) => {
                let known_by_key = tls.policy.psk_identity().is_some();
                let name = Some(&tls.reference).filter(|_| !known_by_key);
                (name.map(ReferenceIdentity::to_string), tls.sni.clone())
            }
            Mode::Plain(_) | _ => (None, None),
        };
        Self {
            server: server.address.to_string(),
            transport: transport(&server.mode),
            name,
            sni,
        }
    }
}

/// As `transport` of a rule calls it.
fn transport(mode: &Mode) -> &'static str {
    match mode {
        Mode::Tls(_) => "tls",
        Mode::Plain(_) | _ => "plain",
    }
}

impl Presented {
    /// All servers are shown the same.
    fn new(server: Option<&Server>, chain: &[Der], now: jiff::Timestamp) -> Result<Self, Problem> {
        let Some(Mode::Tls(tls)) = server.map(|server| &server.mode) else {
            return Ok(Self {
                auth: "secret",
                ..Self::default()
            });
        };
        if let Some(identity) = tls.policy.psk_identity() {
            return Ok(Self {
                auth: "psk",
                psk_identity: Some(text(identity)),
                ..Self::default()
            });
        }
        if let Some(pin) = tls.policy.raw_public_key_pin() {
            return Ok(Self {
                auth: "raw-public-key",
                raw_public_key: Some(pin.to_string()),
                ..Self::default()
            });
        }
        let chain = chain.iter().map(|der| Certificate::read(der, now));
        Ok(Self {
            auth: "certificate",
            chain: chain.collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }
}

/// An identity may be any octets.
fn text(identity: &PskIdentity) -> String {
    identity.octets().escape_ascii().to_string()
}

impl Certificate {
    fn read(der: &Der, now: jiff::Timestamp) -> Result<Self, Problem> {
        let unreadable =
            || Problem::Fault("--cert: a certificate in the chain cannot be read".to_owned());
        let identity = PeerIdentity::from_der(der)
            .map_err(|error| Problem::Fault(format!("--cert: {error}")))?;
        let validity = Validity::of(der).ok_or_else(unreadable)?;
        let (begins, ends) = (validity.not_before, validity.not_after);
        let problem = if ends < now.as_second() {
            Some("has expired")
        } else if begins > now.as_second() {
            Some("is not valid yet")
        } else {
            None
        };
        let named = |kind: &'static str, names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("{kind} {name}")).collect()
        };
        let ip: Vec<String> = identity.ip.iter().map(ToString::to_string).collect();
        Ok(Self {
            names: [
                named("dns", &identity.dns),
                named("ip", &ip),
                named("uri", &identity.uri),
                named("directory", &identity.directory),
                named("srv", &identity.srv),
                named("realm", &identity.realms),
            ]
            .concat(),
            not_before: moment(begins),
            not_after: moment(ends),
            fingerprint: hexadecimal(&identity.fingerprint),
            subject: identity.subject,
            issuer: identity.issuer,
            serial: identity.serial,
            problem: problem.map(str::to_owned),
        })
    }
}

impl Shown {
    /// Names come from files of others, and are escaped.
    fn text(&self) -> String {
        let mut text = String::new();
        for one in &self.servers {
            let how = match (one.transport, &one.name) {
                ("tls", Some(name)) => format!("with TLS 1.3, its certificate has to name {name}"),
                ("tls", None) => "with TLS 1.3, known by the pre-shared key".to_owned(),
                _ => "WITHOUT TLS, known by its address and the shared secret".to_owned(),
            };
            let sni = match (one.transport, &one.sni) {
                ("tls", Some(name)) => format!(", SNI {name}"),
                ("tls", None) => ", no SNI".to_owned(),
                _ => String::new(),
            };
            _ = writeln!(text, "server       {}: {how}{sni}", one.server);
        }
        let presents = &self.presents;
        match (&presents.psk_identity, &presents.raw_public_key) {
            (Some(identity), _) => {
                _ = writeln!(
                    text,
                    "presents     the pre-shared key with the identity {identity}"
                );
            }
            (None, Some(pin)) => _ = writeln!(text, "presents     the raw public key {pin}"),
            (None, None) if presents.chain.is_empty() => {
                _ = writeln!(
                    text,
                    "presents     no certificate: our address says who we are"
                );
            }
            (None, None) => {}
        }
        for (at, one) in presents.chain.iter().enumerate() {
            let what = if at == 0 { "certificate" } else { "chain" };
            one.describe(what, &mut text);
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Certificate {
    fn describe(&self, what: &str, text: &mut String) {
        let mut line = |label: &str, value: &str| {
            _ = writeln!(text, "{label:<12} {}", value.escape_debug());
        };
        line(what, &self.subject);
        line("  issuer", &self.issuer);
        line("  serial", &self.serial);
        for name in &self.names {
            line("  name", name);
        }
        line("  from", &self.not_before);
        let ends = match &self.problem {
            None => self.not_after.clone(),
            Some(problem) => format!("{}; it {problem}", self.not_after),
        };
        line("  until", &ends);
        line("  sha256", &self.fingerprint);
    }
}
