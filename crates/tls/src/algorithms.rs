//! The suites and groups that are built in, and the names the configuration has for them.

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::{self as provider, default_provider};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

use crate::PolicyError;

/// Every suite of TLS 1.3 that is built in, best first.
const SUITES: &[SupportedCipherSuite] = &[
    provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];
pub(crate) const SUITE_NAMES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// Suites of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325 section 4.2), best first. Only clients
/// that say so offer them.
pub(crate) const TLS12_SUITES: &[SupportedCipherSuite] = &[
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
pub(crate) const GROUP_NAMES: &[&str] = &[
    "X25519MLKEM768",
    "x25519",
    "secp256r1",
    "secp384r1",
    "MLKEM768",
];
/// Groups when none are named.
const DEFAULT_GROUPS: usize = 3;

/// The library with these suites and groups, or the default ones where none are named.
pub(crate) fn provider_with(
    suites: &[String],
    groups: &[String],
) -> Result<CryptoProvider, PolicyError> {
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
