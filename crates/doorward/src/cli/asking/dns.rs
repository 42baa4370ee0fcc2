//! The flags that say which name servers to ask and what to believe, and what HASTLS records count.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use doorward_client::dns::{Anchors, DEADLINE, Resolver, Settings};
use doorward_client::hastls::{Hastls, Mode, RecordType};

use super::Problem;
use crate::config::name_server;

/// Who knows.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ResolverArgs {
    /// The name server to ask for HASTLS records, recursive or the zone's own; repeat it for more. Those of resolv.conf when absent
    #[arg(long, value_name = "IP[:PORT]")]
    resolver: Vec<String>,
    /// DNSKEY or DS records to start from. Nothing else is trusted then; the root's keys when absent
    #[arg(long, value_name = "FILE")]
    trust_anchor: Option<PathBuf>,
}

impl ResolverArgs {
    /// These settings, with what the command line says instead.
    pub(in crate::cli) fn settings(&self, mut settings: Settings) -> Result<Settings, Problem> {
        let server = |text: &String| {
            name_server(text).ok_or_else(|| {
                Problem::usage("--resolver is an address, or an address and port: 192.0.2.53:5353, [2001:db8::53]:5353")
            })
        };
        if !self.resolver.is_empty() {
            let servers = self.resolver.iter().map(server);
            settings.servers = servers.collect::<Result<_, _>>()?;
        }
        if let Some(file) = &self.trust_anchor {
            let at = file.display();
            let text = std::fs::read_to_string(file).map_err(|error| {
                Problem::Fault(format!(
                    "error: the trust anchor {at} cannot be read: {error}"
                ))
            })?;
            settings.anchors = Anchors::parse(&text).map_err(|error| {
                Problem::Fault(format!(
                    "error: {at} is no trust anchor: {error}\nput the DNSKEY or DS record of the zone's key-signing key there"
                ))
            })?;
        }
        Ok(settings)
    }
}

/// The type number of a flag.
pub(in crate::cli) fn record_type(flag: &str, number: u16) -> Result<RecordType, Problem> {
    RecordType::new(number).ok_or_else(|| {
        Problem::usage(format_args!(
            "{flag} is a number of the types for data, 256 to 65534; 65280 and above are for private use"
        ))
    })
}

/// Whether the servers' HASTLS records are obeyed.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HastlsArgs {
    /// Obey the HASTLS record of each --server, proved by DNSSEC: `use` connects as configured where there is none, `require` does
    /// not connect then. A record never leads from TLS to no TLS
    #[arg(long, value_name = "off|use|require", default_value_t = Mode::Off)]
    hastls: Mode,
    #[command(flatten)]
    resolver: ResolverArgs,
    /// The number of the record type, which was never assigned; 65400 when absent
    #[arg(long, value_name = "N")]
    hastls_type: Option<u16>,
}

impl HastlsArgs {
    /// Refuses what cannot work with these servers, before anything is asked.
    pub(in crate::cli) fn check(&self, servers: &[String]) -> Result<(), Problem> {
        let given = [
            ("--resolver", !self.resolver.resolver.is_empty()),
            ("--trust-anchor", self.resolver.trust_anchor.is_some()),
            ("--hastls-type", self.hastls_type.is_some()),
        ];
        match self.hastls {
            Mode::Off => given.iter().find(|(_, given)| *given).map_or(Ok(()), |(flag, _)| {
                Err(Problem::usage(format_args!(
                    "{flag} is for --hastls use and --hastls require: without them the DNS is asked for no record"
                )))
            }),
            Mode::Use => Ok(()),
            Mode::Require => servers.iter().find(|server| is_address(server)).map_or(Ok(()), |server| {
                Err(Problem::usage(format_args!(
                    "--server {server}: --hastls require wants the host's name, because an IP address has no HASTLS record"
                )))
            }),
        }
    }

    /// For all servers; a look-up takes no longer than a server may take to connect.
    pub(in crate::cli) fn make(&self, timeout: Duration) -> Result<Option<Hastls>, Problem> {
        if self.hastls == Mode::Off {
            return Ok(None);
        }
        let number = self.hastls_type.unwrap_or(RecordType::DEFAULT.number());
        let number = record_type("--hastls-type", number)?;
        let settings = Settings {
            deadline: DEADLINE.min(timeout),
            ..self.resolver.settings(Settings::default())?
        };
        Ok(Some(Hastls::new(
            self.hastls,
            Resolver::new(settings),
            number,
        )))
    }
}

fn is_address(server: &str) -> bool {
    let host = server.split_once(':').map_or(server, |(host, _)| host);
    server.starts_with('[') || host.parse::<IpAddr>().is_ok()
}
