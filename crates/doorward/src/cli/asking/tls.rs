//! The flags of connections with TLS: who we are, and whom we believe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use doorward_client::{ServerAddress, Tls};
use doorward_tls::{
    ClientPolicy, ClientSettings, Clock, Der, KeyPin, Ocsp, PskIdentity, PskKey, ReferenceIdentity,
    Revocation, Trust, TrustSettings, pem,
};

use super::{Problem, Spoken, secret};
use crate::cli::complain;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OcspMode {
    Off,
    IfAvailable,
    Require,
}

/// All are refused with `plain`, the flag of the command for connections without TLS.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TlsArgs {
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
}

impl TlsArgs {
    pub(in crate::cli) fn has_raw_keys(&self) -> bool {
        self.raw_public_key || !self.server_pin.is_empty()
    }

    /// Are there all the flags that belong together? `unbelieved` is said where nobody could be believed.
    pub(in crate::cli) fn complete(&self, unbelieved: &str) -> Result<(), Problem> {
        if self.psk_identity.is_some() {
            return Ok(());
        }
        if self.ca.is_empty() && self.server_pin.is_empty() {
            return Err(Problem::usage(unbelieved));
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

    /// What connections to these servers need.
    pub(in crate::cli) fn each(
        &self,
        addresses: &[ServerAddress],
        spoken: Spoken,
    ) -> Result<Vec<Tls>, Problem> {
        let named = addresses
            .iter()
            .filter(|address| address.host().parse::<std::net::IpAddr>().is_err());
        if let Some(name) = self.server_name.as_deref().filter(|_| named.count() > 1) {
            complain(&format_args!(
                "warning: several servers are found by DNS and all are believed as {name}: whoever answers for one with the address of another is not noticed (RFC 9887 section 5.1.6)\n  help: leave --server-name out, so that each has to be the host of its --server"
            ));
        }
        let policy = Arc::new(self.policy(spoken)?);
        let responders = Arc::default();
        let mut all = Vec::new();
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
                        | ReferenceIdentity::Realm(_)
                        | ReferenceIdentity::Found { .. },
                    )
                    | Err(_) => {
                        return Err(Problem::Usage(format!(
                            "--sni {}: this is no DNS name",
                            name.escape_debug()
                        )));
                    }
                },
            }
            all.push(tls);
        }
        Ok(all)
    }

    /// The certificate of --cert, and what follows it in the file.
    pub(in crate::cli) fn chain(&self) -> Result<Vec<Der>, Problem> {
        match &self.cert {
            Some(file) => read_pem(file, pem::certificates),
            None => Ok(Vec::new()),
        }
    }

    fn policy(&self, spoken: Spoken) -> Result<ClientPolicy, Problem> {
        let radius = spoken != Spoken::TacacsTls;
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
            // RadSec wants them named (RFC 6614bis section 3.3.1).
            show_authorities: radius,
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            tls12: radius,
            datagrams: spoken == Spoken::RadiusDtls,
            psk: self.psk()?,
            clock: Clock::system(),
        };
        let flags = match settings.psk {
            Some(_) => "--psk-identity and --psk-key",
            None => "--cert and --key",
        };
        ClientPolicy::new(settings).map_err(|error| Problem::Fault(format!("{flags}: {error}")))
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
