//! What the connections of one kind share.

use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use openssl::stack::Stack;
use openssl::x509::{X509, X509Name};
use rustls::DistinguishedName;

use super::keys;
use crate::{Der, KeyLog, PrivateKey, ffi};

/// Where OpenSSL can do the key exchanges with ML-KEM.
const FIRST_WITH_ML_KEM: i64 = 0x3050_0000;
/// Suites of DTLS 1.2 with certificates: those that rustls has for TLS 1.2 (RFC 9325 section 4.2).
const BY_CERTIFICATE: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
];
/// The suite of TLS 1.2 with a pre-shared key, forward secrecy on a curve, and authenticated encryption. OpenSSL has no other
/// one (those of RFC 8442 do not exist in it).
const BY_KEY: &str = "ECDHE-PSK-CHACHA20-POLY1305";
/// Beside it those with finite fields (RFC 5487, RFC 7905), for devices that know no curves.
const BY_KEY_IN_FINITE_FIELDS: [&str; 3] = [
    "DHE-PSK-AES128-GCM-SHA256",
    "DHE-PSK-AES256-GCM-SHA384",
    "DHE-PSK-CHACHA20-POLY1305",
];
/// 112 bits, so that the library chooses no group below 2,048 bits.
const SECURITY_LEVEL: u32 = 2;

/// Servers of TLS 1.3 by external keys with these suites and groups; `None` = the library refuses them.
pub(crate) fn server_context(
    suites: &[&str],
    groups: &[&str],
    log: Option<Arc<dyn KeyLog>>,
) -> Option<SslContext> {
    let mut context = server(SslMethod::tls_server(), groups, log).ok()?;
    of_tls13(&mut context, suites, SslVersion::TLS1_3).ok()?;
    context.set_verify(SslVerifyMode::NONE);
    ffi::serve_keys(&mut context);
    Some(context.build())
}

/// Clients of TLS 1.3 by external keys; with `old` they take TLS 1.2 too.
pub(crate) fn client_context(suites: &[&str], groups: &[&str], old: bool) -> Option<SslContext> {
    let mut context = any(SslMethod::tls_client(), groups).ok()?;
    let oldest = if old {
        SslVersion::TLS1_2
    } else {
        SslVersion::TLS1_3
    };
    of_tls13(&mut context, suites, oldest).ok()?;
    if old {
        context.set_cipher_list(BY_KEY).ok()?;
        keys::use_named(&mut context);
    }
    // There are no trust anchors: a server that shows a certificate is refused inside the handshake.
    context.set_verify(SslVerifyMode::PEER);
    ffi::use_keys(&mut context);
    Some(context.build())
}

/// Servers of TLS 1.2 by keys, for hellos that offer nothing newer. They know TLS 1.3 as well, so that the random tells a client
/// whose better hello somebody has cut down (RFC 8446 section 4.1.3).
pub(crate) fn old_server_context(
    groups: &[&str],
    log: Option<Arc<dyn KeyLog>>,
) -> Option<SslContext> {
    let mut context = server(SslMethod::tls_server(), groups, log).ok()?;
    context
        .set_min_proto_version(Some(SslVersion::TLS1_2))
        .ok()?;
    context
        .set_max_proto_version(Some(SslVersion::TLS1_3))
        .ok()?;
    context.set_num_tickets(0).ok()?;
    context.set_cipher_list(BY_KEY).ok()?;
    context.set_options(SslOptions::NO_TICKET);
    context.set_verify(SslVerifyMode::NONE);
    keys::serve(&mut context);
    Some(context.build())
}

/// Our certificate for OpenSSL.
#[derive(Clone, Copy)]
pub(crate) struct Own<'a> {
    /// Leaf first.
    pub(crate) chain: &'a [Der],
    pub(crate) key: &'a PrivateKey,
}

impl Own<'_> {
    fn show(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        let mut chain = self.chain.iter();
        let leaf = chain.next().map_or(&[][..], |leaf| leaf);
        context.set_certificate(&*X509::from_der(leaf)?)?;
        for other in chain {
            context.add_extra_chain_cert(X509::from_der(other)?)?;
        }
        context.set_private_key(&*PKey::private_key_from_der(self.key.0.secret_der())?)?;
        context.check_private_key()
    }
}

/// Servers of DTLS 1.2: by certificate where there is one of our own, or else by keys. A client that offers both would get a suite
/// with certificates from one that serves both, and has none.
pub(crate) fn datagram_server_context(
    own: Option<Own<'_>>,
    authorities: &[DistinguishedName],
    groups: &[&str],
    log: Option<Arc<dyn KeyLog>>,
) -> Option<SslContext> {
    let mut context = server(SslMethod::dtls_server(), groups, log).ok()?;
    of_datagrams(&mut context, own.is_none()).ok()?;
    // The cookie was judged before the library is shown anything, and needs no second judge.
    context.set_cookie_generate_cb(|_, _| Err(ErrorStack::get()));
    context.set_cookie_verify_cb(|_, _| true);
    if let Some(own) = own {
        own.show(&mut context).ok()?;
        let mut names = Stack::new().ok()?;
        for authority in authorities {
            names
                .push(X509Name::from_der(authority.as_ref()).ok()?)
                .ok()?;
        }
        context.set_client_ca_list(names);
    } else {
        keys::serve(&mut context);
    }
    // Suites with keys ask for no certificate.
    context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    ffi::ask_judges(&mut context);
    Some(context.build())
}

/// Clients of DTLS 1.2: by a key if there is one, or else by certificate.
pub(crate) fn datagram_client_context(
    own: Option<Own<'_>>,
    by_key: bool,
    groups: &[&str],
) -> Option<SslContext> {
    let mut context = any(SslMethod::dtls_client(), groups).ok()?;
    of_datagrams(&mut context, by_key).ok()?;
    if let Some(own) = own.filter(|_| !by_key) {
        own.show(&mut context).ok()?;
    }
    context.set_verify(SslVerifyMode::PEER);
    ffi::ask_judges(&mut context);
    keys::use_named(&mut context);
    Some(context.build())
}

fn server(
    method: SslMethod,
    groups: &[&str],
    log: Option<Arc<dyn KeyLog>>,
) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = any(method, groups)?;
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    context.set_session_id_context(b"doorward")?;
    if let Some(log) = log {
        context.set_keylog_callback(move |_, line| log.log(line));
    }
    Ok(context)
}

fn any(method: SslMethod, groups: &[&str]) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(method)?;
    let ml_kem = openssl::version::number() >= FIRST_WITH_ML_KEM;
    let groups: Vec<&str> = groups
        .iter()
        .copied()
        .filter(|name| ml_kem || !name.contains("MLKEM"))
        .collect();
    context.set_groups_list(&groups.join(":"))?;
    context.set_mode(SslMode::RELEASE_BUFFERS);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
    Ok(context)
}

fn of_tls13(
    context: &mut SslContextBuilder,
    suites: &[&str],
    oldest: SslVersion,
) -> Result<(), ErrorStack> {
    context.set_min_proto_version(Some(oldest))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_ciphersuites(&suites.join(":"))?;
    context.set_num_tickets(0)?;
    context.set_max_early_data(0)
}

/// DTLS 1.2 alone: no OpenSSL before 4.1 has DTLS 1.3 to offer.
fn of_datagrams(context: &mut SslContextBuilder, by_key: bool) -> Result<(), ErrorStack> {
    context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
    context.set_security_level(SECURITY_LEVEL);
    if by_key {
        let suites = [&[BY_KEY][..], &BY_KEY_IN_FINITE_FIELDS].concat();
        context.set_cipher_list(&suites.join(":"))?;
        if !ffi::choose_dh_group(context) {
            return Err(ErrorStack::get());
        }
    } else {
        context.set_cipher_list(&BY_CERTIFICATE.join(":"))?;
    }
    // How long a datagram may be is ours to say: the library has no socket to ask.
    context.set_options(SslOptions::NO_QUERY_MTU | SslOptions::NO_TICKET);
    Ok(())
}
