//! The flags that say which servers to ask, and how.

use std::path::PathBuf;
use std::time::Duration;

use doorward_client::{Client, Dialect, Secret, Server, ServerAddress, ServerError, Transports};
use doorward_tls::Der;

use crate::cli::asking::{HastlsArgs, Problem, Spoken, TlsArgs, seconds, secret};
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// A server: name, IPv4 address, or IPv6 address in brackets; PORT may be `tacacss` (300) or `tacacs` (49). Repeat it for servers to ask when one does not decide
    #[arg(long = "server", value_name = "HOST[:PORT]", required = true)]
    servers: Vec<String>,
    /// TLS 1.3, port 300 (the default); never falls back to --plain
    #[arg(long, conflicts_with = "plain")]
    tls: bool,
    #[command(flatten)]
    tls_args: TlsArgs,
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
    hastls: HastlsArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DialectArg {
    #[value(name = "rfc8907")]
    Rfc8907,
    #[value(name = "draft-05")]
    Draft05,
}

impl ServerArgs {
    /// Refuses what cannot work before any secret is read or asked for.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        self.hastls.check(&self.servers)?;
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
        seconds(self.timeout)?;
        if self.plain {
            return match self.secret.len() {
                0 => Err(Problem::usage("--plain needs --secret")),
                count if count == 1 || count == self.servers.len() => Ok(()),
                _ => Err(Problem::usage(
                    "--secret stands there once, or as often as --server",
                )),
            };
        }
        self.tls_args
            .complete(
            "TLS needs --ca, --server-pin for a raw public key, or --psk-identity and --psk-key: nobody is believed without (or use --plain with --secret for port 49)",
        )
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
            let each = self.tls_args.each(&addresses, Spoken::TacacsTls)?;
            let made = addresses.into_iter().zip(each);
            made.map(|(address, tls)| Server::tls(address, tls))
                .collect()
        };
        let timeout = Duration::from_secs_f64(self.timeout);
        let hastls = self.hastls.make(timeout)?;
        for server in &mut servers {
            server.hastls.clone_from(&hastls);
            server.connect_timeout = timeout;
            server.reply_timeout = timeout;
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

    /// The certificate of --cert, and what follows it in the file.
    pub(super) fn chain(&self) -> Result<Vec<Der>, Problem> {
        self.tls_args.chain()
    }
}
