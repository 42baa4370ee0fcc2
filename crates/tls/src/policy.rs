//! What all connections of a listener or a pool share: our certificate, whom we trust, how we prove ourselves.

mod client;
mod server;

use std::fmt;
use std::sync::Arc;

use openssl::ssl::SslContext;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{DistinguishedName, Error, InconsistentKeys};

pub use client::{ClientPolicy, ClientSettings};
pub use server::{ServerPolicy, ServerSettings};

use crate::algorithms::{GROUP_NAMES, SUITE_NAMES, group_name, suite_name};
use crate::channel::ticket::MAX_TICKET_LIFETIME;
use crate::identity::PeerIdentity;
use crate::{Clock, Der, KeyPin, PrivateKey, Trust};

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
    /// DTLS 1.2 cannot carry the identity of the key ([`crate::PskIdentity::fits_tls12`]).
    PskIdentity,
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
            Self::PskIdentity => f.write_str(
                "in DTLS 1.2 the identity of a key has 256 octets at most, and no zero octet",
            ),
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

fn subjects(trust: &Trust) -> Vec<DistinguishedName> {
    let subjects = trust.anchor_subjects().iter();
    subjects.map(|subject| subject.clone().into()).collect()
}

/// The names of the groups, for OpenSSL.
fn groups_of(provider: &CryptoProvider) -> Vec<&'static str> {
    provider.kx_groups.iter().copied().map(group_name).collect()
}

/// OpenSSL's side of the same suites and groups. A key is bound to SHA-256, and OpenSSL ignores it without a word under a
/// suite with another hash: those are left out.
fn psk_context(
    provider: &CryptoProvider,
    make: impl FnOnce(&[&str], &[&str]) -> Option<SslContext>,
) -> Result<SslContext, PolicyError> {
    let suites = provider.cipher_suites.iter().copied().map(suite_name);
    let suites: Vec<&str> = suites.filter(|name| name.ends_with("_SHA256")).collect();
    let groups = groups_of(provider);
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
