//! What connections we open need.

use std::fmt;
use std::sync::Arc;

use openssl::ssl::SslContext;
use rustls::SignatureScheme;
use rustls::client::{AlwaysResolvesClientRawPublicKeys, ResolvesClientCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::{Basis, PolicyError, certified_key, groups_of, load, psk_context, raw_key, subjects};
use crate::algorithms::{TLS12_SUITES, provider_with};
use crate::channel::TLS12_RECORDS;
use crate::channel::openssl::contexts::{Own, client_context, datagram_client_context};
use crate::channel::resumption::Sessions;
use crate::channel::verifier::Delegate;
use crate::psk::{PskIdentity, PskKey};
use crate::{Clock, Der, KeyPin, PrivateKey, Trust};

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
    /// For DTLS 1.2 ([`crate::ClientChannel::datagrams`]) as well. Without effect where a raw public key is shown or pinned.
    pub datagrams: bool,
    /// Prove both sides by this key and nothing else: no certificate is shown or accepted then.
    pub psk: Option<(PskIdentity, PskKey)>,
    /// Tells the time at which certificates are judged.
    pub clock: Clock,
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
    /// After so many records over it a connection wants to be renewed.
    pub(crate) tls12_records: u64,
    pub(crate) sessions: Sessions,
    /// What associations of DTLS share.
    pub(crate) datagrams: Option<SslContext>,
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
        let tls12 = settings.tls12 && settings.cipher_suites.is_empty();
        let keys = settings.raw_public_key || !settings.server_pins.is_empty();
        let named = settings.psk.as_ref().map(|(identity, _)| identity);
        if settings.datagrams && named.is_some_and(|identity| !identity.fits_tls12()) {
            return Err(PolicyError::PskIdentity);
        }
        let datagrams = match settings.datagrams && !keys {
            true => {
                let own = settings.certificate.as_ref();
                let own = own.map(|(chain, key)| Own { chain, key });
                let groups = groups_of(&provider);
                let context = datagram_client_context(own, settings.psk.is_some(), &groups);
                Some(context.ok_or(PolicyError::Engine)?)
            }
            false => None,
        };
        let psk = match settings.psk {
            Some((identity, key)) => Some(ClientPsk {
                context: psk_context(&provider, |suites, groups| {
                    client_context(suites, groups, tls12)
                })?,
                identity,
                key: Arc::new(key),
            }),
            None => None,
        };
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
        let authorities = settings.show_authorities.then(|| subjects(&settings.trust));
        Ok(Self {
            basis: Basis {
                provider: provider.clone(),
                trust: settings.trust,
                clock: settings.clock,
            },
            credentials,
            verifier: Arc::new(Delegate {
                authorities,
                provider,
                tls12,
                raw: !settings.server_pins.is_empty(),
            }),
            pins: settings.server_pins,
            tls12,
            tls12_records: TLS12_RECORDS,
            sessions: Sessions::default(),
            datagrams,
            psk,
            raw_public_key,
        })
    }

    /// The same policy with connections that want to be renewed after this many records over TLS 1.2; for tests, which
    /// cannot wait for [`TLS12_RECORDS`].
    #[must_use]
    pub fn with_tls12_records(self, tls12_records: u64) -> Self {
        Self {
            tls12_records,
            ..self
        }
    }

    /// Whether TLS 1.2 is offered beside TLS 1.3.
    pub fn offers_tls12(&self) -> bool {
        self.tls12
    }

    /// Whether it is for DTLS ([`crate::ClientChannel::datagrams`]) as well.
    pub fn offers_datagrams(&self) -> bool {
        self.datagrams.is_some()
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
