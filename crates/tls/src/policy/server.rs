//! What a TLS listener needs.

use std::fmt;
use std::sync::Arc;

use openssl::ssl::SslContext;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage, ResolvesServerCert,
};
use rustls::{ConfigBuilder, DistinguishedName, ServerConfig, WantsVerifier, version};

use super::{Basis, PolicyError, certified_key, groups_of, load, psk_context, raw_key, subjects};
use crate::algorithms::{TLS12_SUITES, provider_with};
use crate::channel::openssl::contexts::{
    Own, datagram_server_context, old_server_context, server_context,
};
use crate::channel::ticket::{MAX_TICKET_LIFETIME, Tickets};
use crate::identity::{PeerIdentity, presented_matches};
use crate::key_log::{ForRustls, KeyLog};
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
    /// TLS 1.2 too, where the connection may have it ([`crate::Versions`]).
    pub tls12: bool,
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
    pin: KeyPin,
    sni_required: bool,
    sni_names: Vec<String>,
    key_log: Option<Arc<ForRustls>>,
    /// The keys of its tickets; `None` = no resumption.
    pub(crate) tickets: Option<Arc<Tickets>>,
    /// What connections by pre-shared key share; none of its suites has the hash that keys are bound to where there is `None`.
    pub(crate) psk: Option<SslContext>,
    /// The same for clients that know no TLS 1.3; `None` = the policy has no TLS 1.2.
    pub(crate) old_psk: Option<SslContext>,
    /// What associations of DTLS share; `None` = the policy has none.
    datagrams: Option<Datagrams>,
}

/// What associations of DTLS share, by the ways in which their clients may prove themselves.
struct Datagrams {
    certificate: SslContext,
    psk: SslContext,
}

impl ServerPolicy {
    /// Checks that everything fits together.
    pub fn new(settings: ServerSettings) -> Result<Self, PolicyError> {
        if settings.ticket_lifetime > MAX_TICKET_LIFETIME {
            return Err(PolicyError::TicketLifetime);
        }
        let provider = Arc::new(provider_with(&settings.cipher_suites, &settings.groups)?);
        let authorities = subjects(&settings.trust);
        let datagrams = match settings.tls12 {
            true => datagrams(&settings, &provider, &authorities),
            false => None,
        };
        let (certified, own) = certified_key(&settings.certificate_chain, settings.key, &provider)?;
        let pin = leaf_pin(&settings.certificate_chain)?;
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
        let log = settings.key_log.clone();
        let old_psk = settings
            .tls12
            .then(|| old_server_context(&groups_of(&provider), log));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|_| PolicyError::Engine)?;
        let old_builder = settings.tls12.then(|| old_builder(&provider)).flatten();
        Ok(Self {
            psk,
            old_psk: old_psk.flatten(),
            datagrams,
            builder,
            old_builder,
            resolver: Arc::new(Shown::new(certified, staple)),
            raw_pin: raw.as_ref().map(|(_, pin)| *pin),
            raw_resolver: raw.map(|(raw, _)| Arc::new(AlwaysResolvesServerRawPublicKeys::new(raw))),
            authorities,
            basis: Basis {
                provider,
                trust: settings.trust,
                clock: settings.clock,
            },
            own,
            pin,
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

    /// SHA-256 over the SubjectPublicKeyInfo of our own certificate, as a TLSA record `3 1 1` has it (RFC 6698 section 2.1).
    pub fn certificate_pin(&self) -> KeyPin {
        self.pin
    }

    /// Whether clients can be served by pre-shared keys: a suite with SHA-256 is needed, the hash that keys are bound to.
    pub fn can_serve_psk(&self) -> bool {
        self.psk.is_some()
    }

    /// Whether it can serve DTLS: the policy has version 1.2, and OpenSSL takes its certificate.
    pub fn can_serve_datagrams(&self) -> bool {
        self.datagrams.is_some()
    }

    /// What the associations of clients share that prove themselves by a key, or by a certificate.
    pub(crate) fn datagrams(&self, by_key: bool) -> Option<&SslContext> {
        let datagrams = self.datagrams.as_ref()?;
        Some(match by_key {
            true => &datagrams.psk,
            false => &datagrams.certificate,
        })
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

    /// Where the configuration of a connection with TLS 1.3 begins.
    pub(crate) fn connection_config(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
        raw: bool,
    ) -> ServerConfig {
        let resolver: Arc<dyn ResolvesServerCert> = match &self.raw_resolver {
            Some(resolver) if raw => resolver.clone(),
            Some(_) | None => self.resolver.clone(),
        };
        self.finished(self.builder.clone(), verifier, resolver)
    }

    /// For a connection of a client that knows no TLS 1.3; `None` = the policy has no TLS 1.2. The extended master secret (RFC
    /// 7627) binds the keys to the whole handshake; tickets are for TLS 1.3 alone.
    pub(crate) fn old_connection_config(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Option<Arc<ServerConfig>> {
        let builder = self.old_builder.clone()?;
        let mut config = self.finished(builder, verifier, self.resolver.clone());
        config.require_ems = true;
        Some(Arc::new(config))
    }

    /// In either version: our order of suites, no tickets and no early data.
    fn finished(
        &self,
        builder: ConfigBuilder<ServerConfig, WantsVerifier>,
        verifier: Arc<dyn ClientCertVerifier>,
        resolver: Arc<dyn ResolvesServerCert>,
    ) -> ServerConfig {
        let mut config = builder
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

fn leaf_pin(chain: &[Der]) -> Result<KeyPin, PolicyError> {
    let leaf = chain.first().ok_or(PolicyError::NoCertificate)?;
    let (_, leaf) =
        x509_parser::parse_x509_certificate(leaf).map_err(|_| PolicyError::Certificate)?;
    Ok(KeyPin::of(leaf.tbs_certificate.subject_pki.raw))
}

impl fmt::Debug for ServerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerPolicy")
            .field("certificate", &self.own.subject)
            .finish_non_exhaustive()
    }
}

fn datagrams(
    settings: &ServerSettings,
    provider: &CryptoProvider,
    authorities: &[DistinguishedName],
) -> Option<Datagrams> {
    let groups = groups_of(provider);
    let own = Own {
        chain: &settings.certificate_chain,
        key: &settings.key,
    };
    let log = || settings.key_log.clone();
    Some(Datagrams {
        certificate: datagram_server_context(Some(own), authorities, &groups, log())?,
        psk: datagram_server_context(None, &[], &groups, log())?,
    })
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
