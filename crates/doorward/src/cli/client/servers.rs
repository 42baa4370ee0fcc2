//! The flags that say which servers to ask, and how.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use doorward_client::{
    Client, Dialect, Secret, Server, ServerAddress, ServerError, Tls, Transports,
};
use doorward_tls::{
    ClientPolicy, ClientSettings, Clock, Der, KeyPin, Ocsp, PskIdentity, PskKey, ReferenceIdentity,
    Revocation, Trust, TrustSettings, pem,
};

use super::{Problem, secret};
use crate::cli::complain;
use crate::config;

/// The longest `--timeout`, in seconds.
const MAX_TIMEOUT: f64 = 3600.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OcspMode {
    Off,
    IfAvailable,
    Require,
}

#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// A server: name, IPv4 address, or IPv6 address in brackets; PORT may be `tacacss` (300) or `tacacs` (49). Repeat it for servers to ask when one does not decide
    #[arg(long = "server", value_name = "HOST[:PORT]", required = true)]
    servers: Vec<String>,
    /// TLS 1.3, port 300 (the default); never falls back to --plain
    #[arg(long, conflicts_with = "plain")]
    tls: bool,
    /// Certificates of the CAs whose servers are believed
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    ca: Vec<PathBuf>,
    /// Our certificate, with its chain
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    cert: Option<PathBuf>,
    /// The key of our certificate, or the one of --raw-public-key
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    key: Option<PathBuf>,
    /// The identity of a pre-shared key, which both sides prove themselves by instead of certificates
    #[arg(long, value_name = "ID", requires = "psk_key", conflicts_with_all = ["plain", "ca", "cert", "key", "server_pin"])]
    psk_identity: Option<String>,
    /// The pre-shared key, in hexadecimal digits or base64: file:PATH, env:NAME, cred:NAME, exec:PROGRAM or plain:TEXT
    #[arg(long, value_name = "REF", requires = "psk_identity")]
    psk_key: Option<String>,
    /// Show the public half of --key alone, without a certificate (RFC 7250)
    #[arg(long, conflicts_with_all = ["plain", "cert"])]
    raw_public_key: bool,
    /// Believe the server by its raw public key with this SHA-256 of the SubjectPublicKeyInfo, and by no certificate.
    /// Repeat it for a change of keys
    #[arg(long, value_name = "SHA256", conflicts_with_all = ["plain", "ca", "crl"])]
    server_pin: Vec<String>,
    /// Whom the server's certificate has to name, when not the host of --server: a DNS name (also sent as SNI), an
    /// address, or _tacacss.NAME
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    server_name: Option<String>,
    /// The name to send as SNI, which travels in clear, when not --server-name; `none` sends none
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    sni: Option<String>,
    /// A revocation list; a server on it is refused. Without a current list of its CA a server is not refused
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    crl: Vec<PathBuf>,
    /// Whether the server's certificate has to be good by its OCSP responder: the answer the server has stapled, or else
    /// the responder itself is asked. if-available: refused only when it says revoked
    #[arg(long, value_enum, default_value_t = OcspMode::Off, conflicts_with_all = ["plain", "server_pin", "psk_identity"])]
    ocsp: OcspMode,
    /// Port 49 and obfuscation instead of TLS
    #[arg(long)]
    plain: bool,
    /// The shared secret of --plain: file:PATH, env:NAME, cred:NAME, exec:PROGRAM or plain:TEXT. One for all servers, or
    /// repeated, one for each --server in their order
    #[arg(long, value_name = "REF", requires = "plain")]
    secret: Vec<String>,
    /// Accept a secret of fewer than 16 characters
    #[arg(long, requires = "plain")]
    allow_short_secret: bool,
    /// Which description of the protocol an old server follows; over TLS there is one only
    #[arg(long, value_enum, default_value_t = DialectArg::Rfc8907, requires = "plain")]
    dialect: DialectArg,
    /// A configuration: where its [server] says `tls_only = true`, --plain is refused
    #[arg(long, value_name = "FILE", env = "DOORWARD_CONFIG")]
    config: Option<PathBuf>,
    /// What it allows; nothing without TLS until it was asked
    #[arg(skip = Transports::TlsOnly)]
    transports: Transports,
    /// Do not ask for single-connect
    #[arg(long)]
    no_single_connect: bool,
    /// How long one server may take to connect, and then to reply
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    timeout: f64,
    #[command(flatten)]
    later: LaterArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DialectArg {
    #[value(name = "rfc8907")]
    Rfc8907,
    #[value(name = "draft-05")]
    Draft05,
}

/// Flags of parts that are not built yet: known, and refused with that reason.
#[derive(Debug, clap::Args)]
struct LaterArgs {
    #[arg(long, value_name = "off|use|require", hide = true)]
    hastls: Option<String>,
    #[arg(long, value_name = "IP:PORT", hide = true)]
    resolver: Option<String>,
    #[arg(long, value_name = "FILE", hide = true)]
    trust_anchor: Option<String>,
    #[arg(long, value_name = "N", hide = true)]
    hastls_type: Option<String>,
}

impl LaterArgs {
    fn check(&self) -> Result<(), Problem> {
        // Off is what this version does.
        let hastls = self.hastls.as_deref().is_some_and(|value| value != "off");
        let given = [
            ("--hastls", hastls),
            ("--resolver", self.resolver.is_some()),
            ("--trust-anchor", self.trust_anchor.is_some()),
            ("--hastls-type", self.hastls_type.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Problem::not_built(flag)),
            None => Ok(()),
        }
    }
}

impl ServerArgs {
    /// Refuses what cannot work before any secret is read or asked for.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        self.later.check()?;
        self.transports = self.allowed()?;
        self.complete()
    }

    /// Whether the configuration allows connections without TLS. A file that cannot be read allows nothing.
    fn allowed(&self) -> Result<Transports, Problem> {
        // Connections with TLS need no permission, and their user perhaps cannot read the file of a server.
        if !self.plain {
            return Ok(Transports::TlsOnly);
        }
        let Some(file) = &self.config else {
            return Ok(Transports::Any);
        };
        let tls_only = config::load_tls_only(file).map_err(|failure| {
            Problem::Fault(format!(
                "{failure}\nwhether `tls_only` allows --plain is not known: nobody is connected to"
            ))
        })?;
        if tls_only {
            return Err(Problem::Usage(format!(
                "--plain is refused: `tls_only = true` in [server] of {} allows connections with TLS only",
                file.display()
            )));
        }
        Ok(Transports::Any)
    }

    /// Are there all the flags that belong together?
    fn complete(&self) -> Result<(), Problem> {
        if !(self.timeout > 0.0 && self.timeout <= MAX_TIMEOUT) {
            return Err(Problem::usage(
                "--timeout is a number of seconds from above 0 to 3600",
            ));
        }
        if self.plain {
            return match self.secret.len() {
                0 => Err(Problem::usage("--plain needs --secret")),
                count if count == 1 || count == self.servers.len() => Ok(()),
                _ => Err(Problem::usage(
                    "--secret stands there once, or as often as --server",
                )),
            };
        }
        if self.psk_identity.is_some() {
            return Ok(());
        }
        if self.ca.is_empty() && self.server_pin.is_empty() {
            return Err(Problem::usage(
                "TLS needs --ca, --server-pin for a raw public key, or --psk-identity and --psk-key: nobody is believed without (or use --plain with --secret for port 49)",
            ));
        }
        match (&self.cert, &self.key) {
            (Some(_), Some(_)) => Ok(()),
            (None, Some(_)) if self.raw_public_key => Ok(()),
            (None, None) if self.raw_public_key => {
                Err(Problem::usage("--raw-public-key needs --key"))
            }
            (None, None) => Err(Problem::usage(
                "TLS needs --cert and --key: a server takes nobody without a certificate",
            )),
            (Some(_), None) => Err(Problem::usage("--cert needs --key")),
            (None, Some(_)) => Err(Problem::usage("--key needs --cert")),
        }
    }

    pub(super) fn is_old_dialect(&self) -> bool {
        self.dialect == DialectArg::Draft05
    }

    /// A client for the servers.
    pub(super) fn client(&self) -> Result<Client, Problem> {
        Client::new(self.servers()?, self.transports).map_err(Problem::usage)
    }

    /// The servers, in order.
    pub(super) fn servers(&self) -> Result<Vec<Server>, Problem> {
        let port = if self.plain {
            ServerAddress::PLAIN_PORT
        } else {
            ServerAddress::TLS_PORT
        };
        let mut addresses = Vec::new();
        for text in &self.servers {
            let address = ServerAddress::parse(text, port).map_err(|error| {
                Problem::Usage(format!("--server {}: {error}", text.escape_debug()))
            })?;
            addresses.push(address);
        }
        let mut servers = if self.plain {
            self.plain(addresses)?
        } else {
            self.secure(addresses)?
        };
        for server in &mut servers {
            server.connect_timeout = Duration::from_secs_f64(self.timeout);
            server.reply_timeout = Duration::from_secs_f64(self.timeout);
            server.single_connection = !self.no_single_connect;
            server.dialect = match self.dialect {
                DialectArg::Rfc8907 => Dialect::Rfc8907,
                DialectArg::Draft05 => Dialect::Draft05,
            };
        }
        Ok(servers)
    }

    fn plain(&self, addresses: Vec<ServerAddress>) -> Result<Vec<Server>, Problem> {
        let mut secrets = Vec::new();
        for reference in &self.secret {
            secrets.push(Secret::new(secret::read("--secret", reference)?.as_slice()));
        }
        let make = if self.allow_short_secret {
            Server::plain_with_short_secret
        } else {
            Server::plain
        };
        // One secret is for all; otherwise there are as many as servers.
        let servers = addresses
            .into_iter()
            .zip(secrets.iter().cycle())
            .map(|(address, secret)| make(address, secret.clone()));
        servers
            .collect::<Result<_, _>>()
            .map_err(|error| match error {
                ServerError::ShortSecret => Problem::Usage(format!(
                    "{error}; --allow-short-secret takes it all the same"
                )),
                ServerError::NoSecret => Problem::usage(error),
            })
    }

    fn secure(&self, addresses: Vec<ServerAddress>) -> Result<Vec<Server>, Problem> {
        let named = addresses
            .iter()
            .filter(|address| address.host().parse::<std::net::IpAddr>().is_err());
        if let Some(name) = self.server_name.as_deref().filter(|_| named.count() > 1) {
            complain(&format_args!(
                "warning: several servers are found by DNS and all are believed as {name}: whoever answers for one with the address of another is not noticed (RFC 9887 section 5.1.6)\n  help: leave --server-name out, so that each has to be the host of its --server"
            ));
        }
        let policy = Arc::new(self.policy()?);
        let responders = Arc::default();
        let mut servers = Vec::new();
        for address in addresses {
            let name = self.server_name.as_deref().unwrap_or(address.host());
            let reference = ReferenceIdentity::parse(name).map_err(|error| {
                Problem::Usage(format!("--server-name {}: {error}", name.escape_debug()))
            })?;
            let mut tls = Tls::new(Arc::clone(&policy), reference);
            tls.responders = Arc::clone(&responders);
            match self.sni.as_deref() {
                None => {}
                Some("none") => tls.sni = None,
                Some(name) => match ReferenceIdentity::parse(name) {
                    Ok(ReferenceIdentity::Dns(name)) => tls.sni = Some(name),
                    Ok(
                        ReferenceIdentity::Ip(_)
                        | ReferenceIdentity::Srv(_)
                        | ReferenceIdentity::Realm(_),
                    )
                    | Err(_) => {
                        return Err(Problem::Usage(format!(
                            "--sni {}: this is no DNS name",
                            name.escape_debug()
                        )));
                    }
                },
            }
            servers.push(Server::tls(address, tls));
        }
        Ok(servers)
    }

    /// The certificate of --cert, and what follows it in the file.
    pub(super) fn chain(&self) -> Result<Vec<Der>, Problem> {
        match &self.cert {
            Some(file) => read_pem(file, pem::certificates),
            None => Ok(Vec::new()),
        }
    }

    fn policy(&self) -> Result<ClientPolicy, Problem> {
        let trust = self.trust()?;
        let certificate = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let chain = read_pem(cert, pem::certificates)?;
                Some((chain, read_pem(key, pem::private_key)?))
            }
            (None, Some(key)) => Some((Vec::new(), read_pem(key, pem::private_key)?)),
            (_, None) => None,
        };
        let mut server_pins = Vec::new();
        for text in &self.server_pin {
            server_pins.push(KeyPin::parse(text).map_err(|error| {
                Problem::Usage(format!("--server-pin {}: {error}", text.escape_debug()))
            })?);
        }
        let settings = ClientSettings {
            certificate,
            raw_public_key: self.raw_public_key,
            server_pins,
            trust: Arc::new(trust),
            show_authorities: false,
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            tls12: false,
            psk: self.psk()?,
            clock: Clock::system(),
        };
        ClientPolicy::new(settings)
            .map_err(|error| Problem::Fault(format!("--cert and --key: {error}")))
    }

    fn psk(&self) -> Result<Option<(PskIdentity, PskKey)>, Problem> {
        let (Some(identity), Some(reference)) = (&self.psk_identity, &self.psk_key) else {
            return Ok(None);
        };
        let identity = PskIdentity::new(identity.as_bytes())
            .map_err(|error| Problem::Usage(format!("--psk-identity: {error}")))?;
        let text = secret::read("--psk-key", reference)?;
        let key = std::str::from_utf8(&text).map_err(|_| doorward_tls::PskError::NotBase64);
        let key = key.and_then(crate::config::key_from_text);
        let key = key.map_err(|error| Problem::Fault(format!("--psk-key: {error}")))?;
        Ok(Some((identity, key)))
    }

    fn trust(&self) -> Result<Trust, Problem> {
        let settings = TrustSettings {
            anchors: read_all(&self.ca, pem::certificates)?,
            crls: read_all(&self.crl, pem::crls)?,
            revocation: Revocation::IfAvailable,
            ocsp: match self.ocsp {
                OcspMode::Off => Ocsp::Off,
                OcspMode::IfAvailable => Ocsp::IfAvailable,
                OcspMode::Require => Ocsp::Require,
            },
            ..TrustSettings::default()
        };
        let trust = Trust::new(settings)
            .map_err(|error| Problem::Fault(format!("--ca and --crl: {error}")))?;
        for warning in trust.warnings() {
            complain(&format_args!(
                "warning: the revocation list of {} does not count: {}",
                warning.issuer, warning.problem
            ));
        }
        Ok(trust)
    }
}

fn read_all<E: std::fmt::Display>(
    paths: &[PathBuf],
    parse: impl Fn(&[u8]) -> Result<Vec<Der>, E>,
) -> Result<Vec<Der>, Problem> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(read_pem(path, &parse)?);
    }
    Ok(all)
}

fn read_pem<T, E: std::fmt::Display>(
    path: &Path,
    parse: impl Fn(&[u8]) -> Result<T, E>,
) -> Result<T, Problem> {
    let octets = std::fs::read(path).map(zeroize::Zeroizing::new);
    let octets = octets.map_err(|error| Problem::Fault(format!("{}: {error}", path.display())))?;
    parse(&octets).map_err(|error| Problem::Fault(format!("{}: {error}", path.display())))
}
