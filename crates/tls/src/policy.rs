//! What all connections of a listener or a pool share: our certificate, whom we trust, suites and groups.

use std::fmt;
use std::sync::Arc;

use openssl::ssl::SslContext;
use rustls::crypto::aws_lc_rs::{self as provider, default_provider};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ConfigBuilder, DistinguishedName, Error, InconsistentKeys, ServerConfig, SupportedCipherSuite,
    WantsVerifier, version,
};

use crate::channel::openssl::{client_context, server_context};
use crate::identity::{PeerIdentity, presented_matches};
use crate::psk::{PskIdentity, PskKey};
use crate::{Clock, Der, PrivateKey, Trust};

/// Every suite of TLS 1.3 that is built in, best first.
const SUITES: &[SupportedCipherSuite] = &[
    provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];
const SUITE_NAMES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// Suites of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325 section 4.2), best first. Only clients
/// that say so offer them.
const TLS12_SUITES: &[SupportedCipherSuite] = &[
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    provider::cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];
const TLS12_SUITE_NAMES: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Every group that is built in, best first.
static GROUPS: &[&dyn SupportedKxGroup] = &[
    provider::kx_group::X25519MLKEM768,
    provider::kx_group::X25519,
    provider::kx_group::SECP256R1,
    provider::kx_group::SECP384R1,
    provider::kx_group::MLKEM768,
];
const GROUP_NAMES: &[&str] = &[
    "X25519MLKEM768",
    "x25519",
    "secp256r1",
    "secp384r1",
    "MLKEM768",
];
/// Groups when none are named.
const DEFAULT_GROUPS: usize = 3;

/// By what clients may prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods {
    /// By a certificate.
    pub certificate: bool,
    /// By an external pre-shared key. [`crate::Admission::psk`] knows them.
    pub psk: bool,
}

impl Default for Methods {
    fn default() -> Self {
        Self {
            certificate: true,
            psk: false,
        }
    }
}

/// What a [`ServerPolicy`] is made of.
#[derive(Debug)]
pub struct ServerSettings {
    /// Our certificate and its chain, leaf first.
    pub certificate_chain: Vec<Der>,
    /// The private key of the leaf.
    pub key: PrivateKey,
    /// Whom we trust.
    pub trust: Arc<Trust>,
    /// Names of suites, best first; none = all of TLS 1.3, `TLS_AES_128_GCM_SHA256` first.
    pub cipher_suites: Vec<String>,
    /// Names of groups, best first; none = `X25519MLKEM768`, `x25519`, `secp256r1`.
    pub groups: Vec<String>,
    /// A hello without server_name, or with one that is not among `sni_names`, is refused.
    pub sni_required: bool,
    /// Names by which this policy is chosen; `*` may stand for the left-most label.
    pub sni_names: Vec<String>,
    /// By what clients may prove who they are.
    pub methods: Methods,
    /// Tells the time at which certificates are judged.
    pub clock: Clock,
}

/// What a [`ClientPolicy`] is made of.
#[derive(Debug)]
pub struct ClientSettings {
    /// Our certificate and its chain, leaf first, with its key; `None` = we show none.
    pub certificate: Option<(Vec<Der>, PrivateKey)>,
    /// Whom we trust.
    pub trust: Arc<Trust>,
    /// Names of suites, best first; none = all.
    pub cipher_suites: Vec<String>,
    /// Names of groups, best first; none = `X25519MLKEM768`, `x25519`, `secp256r1`.
    pub groups: Vec<String>,
    /// Speak TLS 1.2 too, where the server knows nothing better. Never for TACACS+ (RFC 9887 section 3.1). Without
    /// effect where suites are named, because all that have names here are of TLS 1.3.
    pub tls12: bool,
    /// Prove both sides by this key and nothing else: no certificate is shown or accepted then.
    pub psk: Option<(PskIdentity, PskKey)>,
    /// Tells the time at which certificates are judged.
    pub clock: Clock,
}

/// Why settings do not make a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// No certificate of our own.
    NoCertificate,
    /// Our own certificate cannot be read.
    Certificate,
    /// The private key is of a kind that is not supported.
    Key,
    /// The private key does not belong to the certificate.
    KeyMismatch,
    /// A suite that is not built in.
    UnknownSuite {
        /// Its name as written.
        name: String,
    },
    /// A group that is not built in.
    UnknownGroup {
        /// Its name as written.
        name: String,
    },
    /// Pre-shared keys need a suite with SHA-256, the hash they are bound to.
    PskSuite,
    /// There is no method by which a client could prove itself.
    NoMethod,
    /// The library refused the combination.
    Engine,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("there is no certificate"),
            Self::Certificate => f.write_str("the certificate cannot be read"),
            Self::Key => f.write_str("the private key is of a kind that is not supported"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::UnknownSuite { name } => {
                write!(
                    f,
                    "there is no cipher suite {name}; known are {}",
                    SUITE_NAMES.join(", ")
                )
            }
            Self::UnknownGroup { name } => write!(
                f,
                "there is no group {name}; known are {}",
                GROUP_NAMES.join(", ")
            ),
            Self::PskSuite => f.write_str("pre-shared keys need a cipher suite with SHA-256"),
            Self::NoMethod => {
                f.write_str("there is no method by which a client could prove itself")
            }
            Self::Engine => f.write_str("the TLS engine refuses these settings"),
        }
    }
}

impl std::error::Error for PolicyError {}

/// By what peers are judged in either role.
pub(crate) struct Basis {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) clock: Clock,
}

/// What a TLS listener needs.
pub struct ServerPolicy {
    pub(crate) basis: Basis,
    /// Where the configuration of each connection begins; its verifier belongs to that connection alone.
    builder: ConfigBuilder<ServerConfig, WantsVerifier>,
    resolver: Arc<SingleCertAndKey>,
    /// Subjects of the trust anchors, shown in the CertificateRequest.
    pub(crate) authorities: Vec<DistinguishedName>,
    own: PeerIdentity,
    sni_required: bool,
    sni_names: Vec<String>,
    pub(crate) methods: Methods,
    /// What connections by pre-shared key share, where those are served.
    pub(crate) psk: Option<SslContext>,
}

impl ServerPolicy {
    /// Checks that everything fits together.
    pub fn new(settings: ServerSettings) -> Result<Self, PolicyError> {
        let provider = Arc::new(provider_with(&settings.cipher_suites, &settings.groups)?);
        let (certified, own) = certified_key(&settings.certificate_chain, settings.key, &provider)?;
        let methods = settings.methods;
        let psk = match methods {
            Methods { psk: true, .. } => Some(psk_context(&provider, server_context)?),
            Methods {
                certificate: true, ..
            } => None,
            Methods { .. } => return Err(PolicyError::NoMethod),
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|_| PolicyError::Engine)?;
        Ok(Self {
            methods,
            psk,
            builder,
            resolver: Arc::new(SingleCertAndKey::from(certified)),
            authorities: settings
                .trust
                .anchor_subjects()
                .iter()
                .map(|subject| subject.clone().into())
                .collect(),
            basis: Basis {
                provider,
                trust: settings.trust,
                clock: settings.clock,
            },
            own,
            sni_required: settings.sni_required,
            sni_names: settings
                .sni_names
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
        })
    }

    /// notAfter of our own certificate, Unix seconds.
    pub fn certificate_expires(&self) -> i64 {
        self.own.not_after
    }

    /// Whom it trusts.
    pub fn trust(&self) -> &Arc<Trust> {
        &self.basis.trust
    }

    /// The configuration of one connection: TLS 1.3, our order of suites, no resumption and no early data.
    pub(crate) fn connection_config(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Arc<ServerConfig> {
        let mut config = self
            .builder
            .clone()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.resolver.clone());
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Arc::new(config)
    }

    /// Is `name` (lower case) one of ours?
    pub(crate) fn serves(&self, name: &str) -> bool {
        self.sni_names
            .iter()
            .any(|ours| presented_matches(ours, name))
    }

    /// May a client come without a name we know? Names that are listed but not required only select.
    pub(crate) fn wants_name(&self) -> bool {
        self.sni_required
    }

    pub(crate) fn has_names(&self) -> bool {
        !self.sni_names.is_empty()
    }
}

impl fmt::Debug for ServerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerPolicy")
            .field("certificate", &self.own.subject)
            .finish_non_exhaustive()
    }
}

/// What connections we open need.
pub struct ClientPolicy {
    pub(crate) basis: Basis,
    pub(crate) certified: Option<Arc<CertifiedKey>>,
    /// TLS 1.2 is offered.
    pub(crate) tls12: bool,
    /// Both sides are proved by this.
    pub(crate) psk: Option<ClientPsk>,
}

/// The key of a client, and what its connections share.
pub(crate) struct ClientPsk {
    pub(crate) context: SslContext,
    pub(crate) identity: PskIdentity,
    pub(crate) key: Arc<PskKey>,
}

impl ClientPolicy {
    /// Checks that everything fits together.
    pub fn new(settings: ClientSettings) -> Result<Self, PolicyError> {
        let mut provider = provider_with(&settings.cipher_suites, &settings.groups)?;
        let psk = match settings.psk {
            Some((identity, key)) => Some(ClientPsk {
                context: psk_context(&provider, client_context)?,
                identity,
                key: Arc::new(key),
            }),
            None => None,
        };
        let tls12 = settings.tls12 && settings.cipher_suites.is_empty();
        if tls12 {
            provider.cipher_suites.extend_from_slice(TLS12_SUITES);
        }
        let provider = Arc::new(provider);
        let certified = match settings.certificate {
            Some((chain, key)) => Some(certified_key(&chain, key, &provider)?.0),
            None => None,
        };
        Ok(Self {
            basis: Basis {
                provider,
                trust: settings.trust,
                clock: settings.clock,
            },
            certified,
            tls12,
            psk,
        })
    }
}

impl fmt::Debug for ClientPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientPolicy")
            .field("certificate", &self.certified.is_some())
            .finish_non_exhaustive()
    }
}

fn provider_with(suites: &[String], groups: &[String]) -> Result<CryptoProvider, PolicyError> {
    let named = |names: &[&str], name: &String| {
        names
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
    };
    let mut provider = default_provider();
    provider.cipher_suites = SUITES.to_vec();
    if !suites.is_empty() {
        let chosen = suites.iter().map(|name| {
            let known = named(SUITE_NAMES, name)
                .and_then(|place| SUITES.get(place))
                .copied();
            known.ok_or_else(|| PolicyError::UnknownSuite { name: name.clone() })
        });
        provider.cipher_suites = chosen.collect::<Result<_, _>>()?;
    }
    provider.kx_groups = GROUPS.iter().take(DEFAULT_GROUPS).copied().collect();
    if !groups.is_empty() {
        let chosen = groups.iter().map(|name| {
            let known = named(GROUP_NAMES, name)
                .and_then(|place| GROUPS.get(place))
                .copied();
            known.ok_or_else(|| PolicyError::UnknownGroup { name: name.clone() })
        });
        provider.kx_groups = chosen.collect::<Result<_, _>>()?;
    }
    Ok(provider)
}

/// OpenSSL's side of the same suites and groups. A key is bound to SHA-256, and OpenSSL ignores it without a word under a
/// suite with another hash: those are left out.
fn psk_context(
    provider: &CryptoProvider,
    make: fn(&[&str], &[&str]) -> Option<SslContext>,
) -> Result<SslContext, PolicyError> {
    let suites = provider.cipher_suites.iter().copied().map(suite_name);
    let suites: Vec<&str> = suites.filter(|name| name.ends_with("_SHA256")).collect();
    let groups: Vec<&str> = provider.kx_groups.iter().copied().map(group_name).collect();
    if suites.is_empty() {
        return Err(PolicyError::PskSuite);
    }
    make(&suites, &groups).ok_or(PolicyError::Engine)
}

fn certified_key(
    chain: &[Der],
    key: PrivateKey,
    provider: &CryptoProvider,
) -> Result<(Arc<CertifiedKey>, PeerIdentity), PolicyError> {
    let leaf = chain.first().ok_or(PolicyError::NoCertificate)?;
    let own = PeerIdentity::from_der(leaf).map_err(|_| PolicyError::Certificate)?;
    let key = provider
        .key_provider
        .load_private_key(key.0.clone_key())
        .map_err(|_| PolicyError::Key)?;
    let certified = CertifiedKey::new(chain.iter().map(|der| der.to_vec().into()).collect(), key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => return Err(PolicyError::KeyMismatch),
        Err(_) => return Err(PolicyError::Certificate),
    }
    Ok((Arc::new(certified), own))
}

/// The name of a suite as the configuration writes it.
pub(crate) fn suite_name(suite: SupportedCipherSuite) -> &'static str {
    let known = SUITES.iter().chain(TLS12_SUITES);
    let mut named = known.zip(SUITE_NAMES.iter().chain(TLS12_SUITE_NAMES));
    named
        .find(|(known, _)| known.suite() == suite.suite())
        .map_or("", |(_, name)| name)
}

/// The name of a group as the configuration writes it.
pub(crate) fn group_name(group: &dyn SupportedKxGroup) -> &'static str {
    let place = GROUPS.iter().position(|known| known.name() == group.name());
    place
        .and_then(|place| GROUP_NAMES.get(place))
        .copied()
        .unwrap_or_default()
}

/// The same name for what another library calls by it, in whatever case.
pub(crate) fn known_group(name: &str) -> &'static str {
    let mut known = GROUP_NAMES.iter().copied();
    known
        .find(|known| known.eq_ignore_ascii_case(name))
        .unwrap_or_default()
}
