//! The flags that say which servers to ask, and how.

use std::time::Duration;

use doorward_client::ServerAddress;
use doorward_client::radius::{Client, Secret, Server, ServerError};
use doorward_tls::ReferenceIdentity;

use crate::cli::asking::{HastlsArgs, Problem, Spoken, TlsArgs, seconds, secret};

#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// A server: name, IPv4 address, or IPv6 address in brackets. The port is 2083, with --udp 1812, or 1813 for
    /// accounting. Repeat it for servers to ask when one cannot be reached
    #[arg(long = "server", value_name = "HOST[:PORT]", required = true)]
    servers: Vec<String>,
    /// RADIUS over TLS (RadSec, the default); never falls back to --udp
    #[arg(long, conflicts_with_all = ["plain", "dtls"])]
    tls: bool,
    /// RADIUS over DTLS 1.2 (RadSec) instead of TLS; never falls back to either
    #[arg(long, conflicts_with = "plain")]
    dtls: bool,
    #[command(flatten)]
    tls_args: TlsArgs,
    /// Believe the server by this NAIRealm in its certificate, and by no name or address (RFC 7585)
    #[arg(long, value_name = "REALM", conflicts_with_all = ["plain", "server_name", "psk_identity"])]
    realm: Option<String>,
    /// RADIUS/UDP instead of RadSec: passwords are all that is hidden
    #[arg(long = "udp")]
    plain: bool,
    /// The shared secret of --udp: file:PATH, env:NAME, cred:NAME, exec:PROGRAM or plain:TEXT. RadSec has none to set
    #[arg(long, value_name = "REF", requires = "plain")]
    secret: Option<String>,
    /// Accept a secret of fewer than 16 characters
    #[arg(long, requires = "plain")]
    allow_short_secret: bool,
    /// Take an answer to a login without Message-Authenticator, which somebody on the way can forge
    #[arg(long, requires = "plain")]
    allow_unsigned: bool,
    /// How long one server may take to connect, and then to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    timeout: f64,
    #[command(flatten)]
    hastls: HastlsArgs,
}

impl ServerArgs {
    /// Refuses what cannot work before any secret is read or asked for.
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.hastls.check(&self.servers)?;
        seconds(self.timeout)?;
        if self.plain {
            return match &self.secret {
                Some(_) => Ok(()),
                None => Err(Problem::usage("--udp needs --secret")),
            };
        }
        // clap does not ask for a flag that another one excludes.
        if self.secret.is_some() {
            return Err(Problem::usage(
                "--secret is for --udp: the shared secret of RadSec is fixed, and hides nothing",
            ));
        }
        if self.allow_short_secret || self.allow_unsigned {
            return Err(Problem::usage(
                "--allow-short-secret and --allow-unsigned are for --udp",
            ));
        }
        if self.tls_args.has_raw_keys() {
            return Err(Problem::usage(
                "RadSec knows no raw public keys: leave --raw-public-key and --server-pin out",
            ));
        }
        self.tls_args
            .complete("TLS needs --ca, or --psk-identity and --psk-key: nobody is believed without (or use --udp with --secret)")
    }

    /// A client of the servers; `accounting` has a port of its own over UDP.
    pub(super) fn client(&self, accounting: bool) -> Result<Client, Problem> {
        let port = match (self.plain, accounting) {
            (false, _) => Server::TLS_PORT,
            (true, false) => Server::UDP_PORT,
            (true, true) => Server::UDP_ACCOUNTING_PORT,
        };
        let mut addresses = Vec::new();
        for text in &self.servers {
            let address = ServerAddress::parse(text, port);
            addresses.push(address.map_err(|error| {
                Problem::Usage(format!("--server {}: {error}", text.escape_debug()))
            })?);
        }
        let mut servers = if self.plain {
            self.udp(addresses)?
        } else {
            self.secure(addresses)?
        };
        let timeout = Duration::from_secs_f64(self.timeout);
        let hastls = self.hastls.make(timeout)?;
        for server in &mut servers {
            server.hastls.clone_from(&hastls);
            server.connect_timeout = timeout;
            server.reply_timeout = timeout;
        }
        Client::new(servers).map_err(Problem::usage)
    }

    fn udp(&self, addresses: Vec<ServerAddress>) -> Result<Vec<Server>, Problem> {
        let reference = self.secret.as_deref().unwrap_or_default();
        let secret = Secret::new(&secret::read("--secret", reference)?);
        let make = if self.allow_short_secret {
            Server::udp_with_short_secret
        } else {
            Server::udp
        };
        let mut servers = Vec::new();
        for address in addresses {
            let mut server = make(address, secret.clone()).map_err(|error| match error {
                ServerError::ShortSecret => Problem::Usage(format!(
                    "{error}; --allow-short-secret takes it all the same"
                )),
                ServerError::NoSecret
                | ServerError::UdpPort
                | ServerError::TlsPort
                | ServerError::NoDatagrams
                | ServerError::Fallback => Problem::usage(error),
            })?;
            server.unsigned_answers = self.allow_unsigned;
            servers.push(server);
        }
        Ok(servers)
    }

    fn secure(&self, addresses: Vec<ServerAddress>) -> Result<Vec<Server>, Problem> {
        let realm = self.realm.as_deref().map(|realm| {
            ReferenceIdentity::realm(realm).map_err(|_| {
                Problem::Usage(format!(
                    "--realm {}: this is no realm in the form of a DNS name",
                    realm.escape_debug()
                ))
            })
        });
        let realm = realm.transpose()?;
        let spoken = match self.dtls {
            true => Spoken::RadiusDtls,
            false => Spoken::RadiusTls,
        };
        let each = self.tls_args.each(&addresses, spoken)?;
        let mut servers = Vec::new();
        for (address, mut tls) in addresses.into_iter().zip(each) {
            if let Some(realm) = &realm {
                tls.reference = realm.clone();
            }
            let named = address.to_string();
            let server = match spoken {
                Spoken::RadiusDtls => Server::dtls(address, tls),
                Spoken::RadiusTls | Spoken::TacacsTls => Server::tls(address, tls),
            };
            servers.push(
                server.map_err(|error| Problem::Usage(format!("--server {named}: {error}")))?,
            );
        }
        Ok(servers)
    }
}
