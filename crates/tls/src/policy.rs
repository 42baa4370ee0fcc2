//! What all connections of a listener or a pool share: our certificate, whom we trust, how we prove ourselves.

use std::fmt;
use std::sync::Arc;

use openssl::ssl::SslContext;
use rustls::client::{AlwaysResolvesClientRawPublicKeys, ResolvesClientCert};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage, ResolvesServerCert,
};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{
    ConfigBuilder, DistinguishedName, Error, InconsistentKeys, ServerConfig, SignatureScheme,
    WantsVerifier, version,
};

use crate::algorithms::{
    GROUP_NAMES, SUITE_NAMES, TLS12_SUITES, group_name, provider_with, suite_name,
};
use crate::channel::openssl::{client_context, server_context};
use crate::channel::resumption::Sessions;
use crate::channel::ticket::{MAX_TICKET_LIFETIME, Tickets};
use crate::channel::verifier::Delegate;
use crate::identity::{PeerIdentity, presented_matches};
use crate::key_log::{ForRustls, KeyLog};
use crate::psk::{PskIdentity, PskKey};
use crate::staple::{Shown, Stapling, own_query};
use crate::{CertificateStatus, Clock, Der, KeyPin, PrivateKey, StatusError, StatusQuery, Trust};

/// What a [`ServerPolicy`] is made of.
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
    /// The key we show to clients that want a raw public key (RFC 7250); `None` = the one of the certificate.
    pub raw_public_key: Option<PrivateKey>,
    /// Whom to ask about our own certificate, to staple the answers (RFC 8446 section 4.4.2.1); `None` = nothing is stapled.
    pub staple: Option<Stapling>,
    /// Seconds a session ticket is good for (RFC 8446 section 4.6.1), at most 604,800; 0 = no resumption.
    pub ticket_lifetime: u32,
    /// Takes the secrets of its connections; `None` = nobody learns them.
    pub key_log: Option<Arc<dyn KeyLog>>,
    /// Tells the time at which certificates are judged.
    pub clock: Clock,
}

impl fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSettings")
            .field("cipher_suites", &self.cipher_suites)
            .field("groups", &self.groups)
            .field("sni_required", &self.sni_required)
            .field("sni_names", &self.sni_names)
            .field("ticket_lifetime", &self.ticket_lifetime)
            .field("key_log", &self.key_log.is_some())
            .finish_non_exhaustive()
    }
}

/// What a [`ClientPolicy`] is made of.
#[derive(Debug)]
pub struct ClientSettings {
    /// Our certificate and its chain, leaf first, with its key; `None` = we show none.
    pub certificate: Option<(Vec<Der>, PrivateKey)>,
    /// Show the key alone instead of the certificate (RFC 7250); the chain may then be empty.
    pub raw_public_key: bool,
    /// Believe the server by one of these raw public keys, and by no certificate; none = by its certificate.
    pub server_pins: Vec<KeyPin>,
    /// Whom we trust.
    pub trust: Arc<Trust>,
    /// Name our trust anchors in the hello (certificate_authorities, RFC 8446 section 4.2.4), so that a server with several
    /// certificates can choose. They travel in clear.
    pub show_authorities: bool,
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
    /// Tickets cannot be good for longer than 604,800 seconds.
    TicketLifetime,
    /// The certificate names no OCSP responder, and the settings do not either.
    StapleResponder,
    /// The certificate of our issuer, without which no question about ours can be asked, is nowhere to be found.
    StapleIssuer,
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
            Self::TicketLifetime => write!(
                f,
                "tickets cannot be good for longer than {MAX_TICKET_LIFETIME} seconds, which are seven days (RFC 8446 section 4.6.1)"
            ),
            Self::StapleResponder => f.write_str(
                "the certificate names no OCSP responder that is asked by http, so that its status cannot be stapled",
            ),
            Self::StapleIssuer => f.write_str(
                "the certificate of the issuer is missing, without which nobody can be asked for the status to staple",
            ),
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
    /// The same for clients that know no TLS 1.3.
    old_builder: Option<ConfigBuilder<ServerConfig, WantsVerifier>>,
    resolver: Arc<Shown>,
    /// `None`: the key cannot be shown without its certificate.
    raw_resolver: Option<Arc<AlwaysResolvesServerRawPublicKeys>>,
    raw_pin: Option<KeyPin>,
    /// Subjects of the trust anchors, shown in the CertificateRequest.
    pub(crate) authorities: Vec<DistinguishedName>,
    own: PeerIdentity,
    sni_required: bool,
    sni_names: Vec<String>,
    key_log: Option<Arc<ForRustls>>,
    /// The keys of its tickets; `None` = no resumption.
    pub(crate) tickets: Option<Arc<Tickets>>,
    /// What connections by pre-shared key share; none of its suites has the hash that keys are bound to where there is `None`.
    pub(crate) psk: Option<SslContext>,
}

impl ServerPolicy {
    /// Checks that everything fits together.
    pub fn new(settings: ServerSettings) -> Result<Self, PolicyError> {
        if settings.ticket_lifetime > MAX_TICKET_LIFETIME {
            return Err(PolicyError::TicketLifetime);
        }
        let provider = Arc::new(provider_with(&settings.cipher_suites, &settings.groups)?);
        let (certified, own) = certified_key(&settings.certificate_chain, settings.key, &provider)?;
        let staple = match settings.staple {
            Some(stapling) => {
                let chain = &settings.certificate_chain;
                Some(own_query(chain, &settings.trust, &stapling)?)
            }
            None => None,
        };
        let raw = raw_key(match settings.raw_public_key {
            Some(key) => load(key, &provider)?,
            None => certified.key.clone(),
        });
        let log = settings.key_log.clone();
        let psk = psk_context(&provider, |suites, groups| {
            server_context(suites, groups, log)
        });
        let psk = psk.ok();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|_| PolicyError::Engine)?;
        let old_builder = old_builder(&provider);
        Ok(Self {
            psk,
            builder,
            old_builder,
            resolver: Arc::new(Shown::new(certified, staple)),
            raw_pin: raw.as_ref().map(|(_, pin)| *pin),
            raw_resolver: raw.map(|(raw, _)| Arc::new(AlwaysResolvesServerRawPublicKeys::new(raw))),
            authorities: subjects(&settings.trust),
            basis: Basis {
                provider,
                trust: settings.trust,
                clock: settings.clock,
            },
            own,
            tickets: (settings.ticket_lifetime > 0)
                .then(|| Arc::new(Tickets::new(settings.ticket_lifetime))),
            key_log: settings.key_log.map(|log| Arc::new(ForRustls(log))),
            sni_required: settings.sni_required,
            sni_names: settings
                .sni_names
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
        })
    }

    /// dNSName values of our own certificate in lower case, wildcards included.
    pub fn certificate_names(&self) -> &[String] {
        &self.own.dns
    }

    /// notAfter of our own certificate, Unix seconds.
    pub fn certificate_expires(&self) -> i64 {
        self.own.not_after
    }

    /// Whether clients can be served by pre-shared keys: a suite with SHA-256 is needed, the hash that keys are bound to.
    pub fn can_serve_psk(&self) -> bool {
        self.psk.is_some()
    }

    /// The pin of the raw public key that clients see who ask for one.
    pub fn raw_public_key_pin(&self) -> Option<KeyPin> {
        self.raw_pin
    }

    /// What the OCSP responder of our own certificate has to be asked at `now` (Unix seconds), if it is time. Tell what
    /// came of it by [`Self::staple`] or [`Self::not_stapled`].
    pub fn staple_due(&self, now: i64) -> Option<&StatusQuery> {
        self.resolver.due(now)
    }

    /// Staples what the responder sent at `now` (Unix seconds) to our certificate from now on, if it counts.
    ///
    /// # Errors
    /// Why it does not count; what was stapled stays until it lapses.
    pub fn staple(&self, octets: &[u8], now: i64) -> Result<CertificateStatus, StatusError> {
        let algorithms = self.basis.provider.signature_verification_algorithms.all;
        self.resolver.answered(octets, algorithms, now)
    }

    /// The responder did not answer, or its answer does not count: it is asked again soon.
    pub fn not_stapled(&self, now: i64) {
        self.resolver.unanswered(now);
    }

    /// When what is stapled lapses, in Unix seconds; 0 = nothing is stapled that should be. `None` = stapling is off.
    pub fn stapled_until(&self) -> Option<i64> {
        let until = self.resolver.until().unwrap_or(0);
        self.resolver.is_stapled().then_some(until)
    }

    /// Takes over what the policy of an earlier configuration knows: the answers of OCSP responders, and what is stapled.
    pub fn adopt_answers(&self, earlier: &Self) {
        self.basis.trust.adopt_answers(&earlier.basis.trust);
        self.resolver.adopt(&earlier.resolver);
    }

    /// Whom it trusts.
    pub fn trust(&self) -> &Arc<Trust> {
        &self.basis.trust
    }

    /// Where the configuration of a connection begins: TLS 1.3, our order of suites, no tickets and no early data.
    pub(crate) fn connection_config(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
        raw: bool,
    ) -> ServerConfig {
        let resolver: Arc<dyn ResolvesServerCert> = match &self.raw_resolver {
            Some(resolver) if raw => resolver.clone(),
            Some(_) | None => self.resolver.clone(),
        };
        let mut config = self
            .builder
            .clone()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        if let Some(log) = &self.key_log {
            config.key_log = log.clone();
        }
        config
    }

    /// For a connection of a client that knows no TLS 1.3; `None` = the library refuses. The extended master secret (RFC
    /// 7627) binds the keys to the whole handshake; tickets are for TLS 1.3 alone.
    pub(crate) fn old_connection_config(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Option<Arc<ServerConfig>> {
        let mut config = self
            .old_builder
            .clone()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.resolver.clone());
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.require_ems = true;
        Some(Arc::new(config))
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
    /// Both are the same for all connections: rustls resumes only then.
    pub(crate) credentials: Arc<dyn ResolvesClientCert>,
    pub(crate) verifier: Arc<Delegate>,
    /// Raw public keys servers are believed by.
    pub(crate) pins: Vec<KeyPin>,
    /// TLS 1.2 is offered.
    pub(crate) tls12: bool,
    pub(crate) sessions: Sessions,
    /// Both sides are proved by this.
    pub(crate) psk: Option<ClientPsk>,
    /// Of the key we show without a certificate.
    raw_public_key: Option<KeyPin>,
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
        let mut raw_public_key = None;
        let credentials: Arc<dyn ResolvesClientCert> = match settings.certificate {
            Some((_, key)) if settings.raw_public_key => {
                let (raw, pin) = raw_key(load(key, &provider)?).ok_or(PolicyError::Key)?;
                raw_public_key = Some(pin);
                Arc::new(AlwaysResolvesClientRawPublicKeys::new(raw))
            }
            Some((chain, key)) => {
                let (certified, _) = certified_key(&chain, key, &provider)?;
                Arc::new(SingleCertAndKey::from(certified))
            }
            None => Arc::new(NoCertificate),
        };
        let authorities = subjects(&settings.trust);
        Ok(Self {
            basis: Basis {
                provider: provider.clone(),
                trust: settings.trust,
                clock: settings.clock,
            },
            credentials,
            verifier: Arc::new(Delegate {
                authorities: settings.show_authorities.then_some(authorities),
                provider,
                tls12,
                raw: !settings.server_pins.is_empty(),
            }),
            pins: settings.server_pins,
            tls12,
            sessions: Sessions::default(),
            psk,
            raw_public_key,
        })
    }

    /// Whether TLS 1.2 is offered beside TLS 1.3.
    pub fn offers_tls12(&self) -> bool {
        self.tls12
    }

    /// The pin of the raw public key that we show.
    pub fn raw_public_key_pin(&self) -> Option<KeyPin> {
        self.raw_public_key
    }

    /// The identity of the pre-shared key that we offer. It travels in clear.
    pub fn psk_identity(&self) -> Option<&PskIdentity> {
        self.psk.as_ref().map(|psk| &psk.identity)
    }
}

impl fmt::Debug for ClientPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientPolicy")
            .field("certificate", &self.credentials.has_certs())
            .finish_non_exhaustive()
    }
}

fn load(key: PrivateKey, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, PolicyError> {
    provider
        .key_provider
        .load_private_key(key.0.clone_key())
        .map_err(|_| PolicyError::Key)
}

/// A key in the form that is shown without a certificate; `None` = the library cannot tell its public half.
fn raw_key(key: Arc<dyn SigningKey>) -> Option<(Arc<CertifiedKey>, KeyPin)> {
    let public = key.public_key()?.as_ref().to_vec();
    let pin = KeyPin::of(&public);
    Some((Arc::new(CertifiedKey::new(vec![public.into()], key)), pin))
}

/// TLS 1.2 by the suites that are built in, whatever suites of TLS 1.3 are named, and by the same groups. It knows TLS 1.3
/// as well, so that its random tells a client whose better hello somebody has cut down (RFC 8446 section 4.1.3).
fn old_builder(provider: &CryptoProvider) -> Option<ConfigBuilder<ServerConfig, WantsVerifier>> {
    let mut old = provider.clone();
    old.cipher_suites.extend_from_slice(TLS12_SUITES);
    ServerConfig::builder_with_provider(Arc::new(old))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .ok()
}

fn subjects(trust: &Trust) -> Vec<DistinguishedName> {
    let subjects = trust.anchor_subjects().iter();
    subjects.map(|subject| subject.clone().into()).collect()
}

/// Shows no certificate.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// OpenSSL's side of the same suites and groups. A key is bound to SHA-256, and OpenSSL ignores it without a word under a
/// suite with another hash: those are left out.
fn psk_context(
    provider: &CryptoProvider,
    make: impl FnOnce(&[&str], &[&str]) -> Option<SslContext>,
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
    let key = load(key, provider)?;
    let certified = CertifiedKey::new(chain.iter().map(|der| der.to_vec().into()).collect(), key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => return Err(PolicyError::KeyMismatch),
        Err(_) => return Err(PolicyError::Certificate),
    }
    Ok((Arc::new(certified), own))
}
