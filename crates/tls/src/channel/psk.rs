//! Which engine a hello goes to on a listener that takes pre-shared keys.

use std::net::SocketAddr;
use std::sync::Arc;

use super::openssl::{Known, OpenSsl};
use super::{Admission, AdmissionRefusal, Methods};
use crate::error::alert;
use crate::hello::ClientHello;
use crate::psk::is_ticket;
use crate::{HandshakeError, Incompatibility, PskFailure, ServerPolicy};

/// psk_dhe_ke (RFC 8446 section 4.2.9): a key together with a key exchange.
const PSK_DHE_KE: u8 = 1;
/// TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256 (RFC 7905).
const ECDHE_PSK_CHACHA20_POLY1305: u16 = 0xccac;

/// The suites of DTLS 1.2 with a key and forward secrecy: that one, and those in finite fields (RFC 5487, RFC 7905).
const KEY_SUITES: [u16; 4] = [ECDHE_PSK_CHACHA20_POLY1305, 0x00aa, 0x00ab, 0xccad];

/// Whether a client of DTLS 1.2 offers a suite with a key: then it has one, whatever else it offers.
pub(super) fn offers_key(hello: &ClientHello) -> bool {
    hello
        .cipher_suites
        .iter()
        .any(|suite| KEY_SUITES.contains(suite))
}

/// Where a hello goes.
pub(super) enum Route {
    /// To the engine for certificates.
    Certificate,
    /// To this engine.
    Psk(Box<OpenSsl>),
    /// Nowhere; the number is of the alert.
    Refused(HandshakeError, u8),
}

/// Decides by what the hello offers and the listener takes.
///
/// Where nothing but a key can succeed, a client that nobody knows is asked for one it cannot hold, so that it cannot
/// tell an unknown identity, or one that is not served to it, from a wrong key. Where the hello allows certificates
/// too, an unknown identity may be another server's ticket and leads to a full handshake.
pub(super) fn route(
    policy: &ServerPolicy,
    admission: &Arc<dyn Admission>,
    methods: Methods,
    peer: SocketAddr,
    hello: &ClientHello,
) -> Route {
    if !hello.offers_tls13() {
        return old_route(policy, admission, methods, peer, hello);
    }
    let Some(context) = policy.psk.as_ref().filter(|_| methods.psk) else {
        return Route::Certificate;
    };
    let offered = !hello.psk_identities.is_empty();
    if offered && !hello.psk_modes.contains(&PSK_DHE_KE) {
        let (failure, number) = match hello.psk_modes.is_empty() {
            true => (PskFailure::NoModes, alert::MISSING_EXTENSION),
            false => (PskFailure::NoKeyExchange, alert::HANDSHAKE_FAILURE),
        };
        return Route::Refused(HandshakeError::Psk(failure), number);
    }
    let known = lookup(&**admission, peer, hello);
    let signatures = methods.certificate || methods.raw_public_key;
    let certificates = signatures && !hello.signature_algorithms.is_empty();
    if certificates && matches!(known, Known::Nobody(_)) {
        return Route::Certificate;
    }
    match OpenSsl::server(context, known) {
        Some(engine) => Route::Psk(Box::new(engine)),
        None => Route::Refused(HandshakeError::Internal, alert::INTERNAL_ERROR),
    }
}

/// A client of TLS 1.2 that offers a suite with keys has a key, whatever else it offers; the handshake will name it.
fn old_route(
    policy: &ServerPolicy,
    admission: &Arc<dyn Admission>,
    methods: Methods,
    peer: SocketAddr,
    hello: &ClientHello,
) -> Route {
    let Some(context) = policy.old_psk.as_ref().filter(|_| methods.psk) else {
        return Route::Certificate;
    };
    let keyed = hello.cipher_suites.contains(&ECDHE_PSK_CHACHA20_POLY1305);
    let certificates = methods.certificate || methods.raw_public_key;
    if certificates && !keyed {
        return Route::Certificate;
    }
    if !keyed {
        let error = HandshakeError::Incompatible(Incompatibility::CipherSuite);
        return Route::Refused(error, alert::HANDSHAKE_FAILURE);
    }
    if !hello.extended_master_secret {
        let error = HandshakeError::Incompatible(Incompatibility::ExtendedMasterSecret);
        return Route::Refused(error, alert::HANDSHAKE_FAILURE);
    }
    match OpenSsl::old_server(context, admission.clone(), peer) {
        Some(engine) => Route::Psk(Box::new(engine)),
        None => Route::Refused(HandshakeError::Internal, alert::INTERNAL_ERROR),
    }
}

/// The first identity that is served, or why none is.
fn lookup(admission: &dyn Admission, peer: SocketAddr, hello: &ClientHello) -> Known {
    let mut refusal = HandshakeError::Psk(PskFailure::NotOffered);
    for identity in &hello.psk_identities {
        if is_ticket(identity) {
            continue;
        }
        let next = match admission.psk(identity, peer) {
            Ok(found) => {
                return Known::Device {
                    name: found.device,
                    identity: identity.clone(),
                    key: found.key,
                };
            }
            Err(AdmissionRefusal::UnknownKey) => HandshakeError::Psk(PskFailure::UnknownIdentity),
            Err(refusal) => HandshakeError::Admission(refusal),
        };
        // A device that is known but not served says more than an identity nobody has.
        if !matches!(refusal, HandshakeError::Admission(_)) {
            refusal = next;
        }
    }
    Known::Nobody(refusal)
}
