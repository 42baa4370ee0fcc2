//! How a handshake ended, and with whom.

use std::sync::Arc;

use super::keys::{self, NamedKey};
use super::{Fault, OpenSsl};
use crate::channel::verifier::{Judge, Proof};
use crate::channel::{Method, PeerInfo};
use crate::psk::PskKey;
use crate::trust::Judged;
use crate::{
    ChannelError, HandshakeError, Incompatibility, PeerIdentity, PskFailure, algorithms, ffi,
};

/// Reasons in the library's error queue (openssl/sslerr.h).
mod reason {
    pub(super) const NO_SUITABLE_KEY_SHARE: i32 = 101;
    pub(super) const BAD_SIGNATURE: i32 = 123;
    pub(super) const CERTIFICATE_VERIFY_FAILED: i32 = 134;
    pub(super) const NO_SHARED_CIPHER: i32 = 193;
    pub(super) const PEER_DID_NOT_RETURN_A_CERTIFICATE: i32 = 199;
    pub(super) const BINDER_DOES_NOT_VERIFY: i32 = 253;
    pub(super) const UNSUPPORTED_PROTOCOL: i32 = 258;
    pub(super) const DECRYPTION_FAILED_OR_BAD_RECORD_MAC: i32 = 281;
    pub(super) const NO_SUITABLE_GROUPS: i32 = 295;
    pub(super) const NO_SHARED_SIGNATURE_ALGORITHMS: i32 = 376;
    pub(super) const NO_SHARED_GROUPS: i32 = 410;
    /// An alert of the peer is its number after this.
    pub(super) const ALERT: i32 = 1000;
}

impl OpenSsl {
    /// How the handshake ended; `None` = it goes on. A key is proved by the handshake itself, a certificate has its path.
    pub(in crate::channel) fn settled(
        &self,
        judge: &Judge,
        sni: Option<&str>,
    ) -> Option<Result<(PeerInfo, Option<Judged>), HandshakeError>> {
        match self.fault {
            Some(fault) => Some(Err(self.explain(fault, judge))),
            None if self.handshaking => None,
            None => Some(self.negotiated(judge, sni)),
        }
    }

    /// Whether this is the key of the connection.
    pub(in crate::channel) fn is_proved_by(&self, key: &PskKey) -> bool {
        let ssl = self.stream.ssl();
        let own = match self.is_old() {
            true => keys::named(ssl).and_then(|named| Some(named.proved()?.key)),
            false => ffi::offer(ssl).map(|offer| &*offer.key),
        };
        own.is_some_and(|own| own == key)
    }

    /// Why a handshake that has not come to its end will not: DTLS leaves out what does not decrypt without a word.
    pub(in crate::channel) fn stalled(&self) -> Option<HandshakeError> {
        if !self.handshaking {
            return None;
        }
        let named = keys::named(self.stream.ssl())?;
        let wrong = || Some(HandshakeError::Psk(PskFailure::WrongKey));
        named.refusal().cloned().or_else(|| {
            wrong().filter(|_| self.device_has_named_a_key() && self.sealed_otherwise > 1)
        })
    }

    fn negotiated(
        &self,
        judge: &Judge,
        sni: Option<&str>,
    ) -> Result<(PeerInfo, Option<Judged>), HandshakeError> {
        let ssl = self.stream.ssl();
        let suite = ssl.current_cipher().and_then(|suite| suite.standard_name());
        let suite = suite.unwrap_or_default();
        let mut info = PeerInfo {
            method: Method::Psk,
            device: self.device.clone(),
            identity: Arc::new(PeerIdentity::without_certificate()),
            psk_identity: None,
            sni: sni.map(str::to_owned),
            alpn: None,
            version: if self.is_old() { "1.2" } else { "1.3" },
            suite,
            group: ffi::group_name(ssl).map_or("", algorithms::known_group),
            resumed: false,
        };
        if !self.is_old() {
            let offer = ffi::offer(ssl).ok_or(HandshakeError::Internal)?;
            info.psk_identity = offer.identity.clone();
            // An external key counts as a reused session. Without one the peer has not proved anything.
            let proved = ssl.session_reused() && info.psk_identity.is_some();
            return match proved {
                true => Ok((info, None)),
                false => Err(HandshakeError::Psk(PskFailure::NotAccepted)),
            };
        }
        if suite.contains("_PSK_") {
            let proved = keys::named(ssl).and_then(NamedKey::proved);
            let proved = proved.ok_or(HandshakeError::Internal)?;
            info.device = proved.device.cloned();
            info.psk_identity = Some(proved.identity.to_vec());
            return Ok((info, None));
        }
        let accepted = judge.accepted().ok_or(HandshakeError::NoCertificate)?;
        info.method = Method::Certificate;
        info.identity = accepted.proof.identity().clone();
        info.device = accepted.device;
        match accepted.proof {
            Proof::Path(judged) => Ok((info, Some(judged))),
            Proof::Key(_) => Err(HandshakeError::Internal),
        }
    }

    /// What a fault of the handshake means; a refusal of ours says more than the wrong key that the peer sees.
    fn explain(&self, fault: Fault, judge: &Judge) -> HandshakeError {
        use Incompatibility as Lacking;
        if let Some(Err(refusal)) = judge.verdict() {
            return refusal.clone();
        }
        if let Some(refusal) = keys::named(self.stream.ssl()).and_then(NamedKey::refusal) {
            return refusal.clone();
        }
        let library = match fault {
            Fault::Alert(number) => return HandshakeError::PeerAlert(number),
            Fault::Internal => return HandshakeError::Internal,
            Fault::Library(reason) => reason,
        };
        match library {
            reason::BINDER_DOES_NOT_VERIFY => self
                .refusal
                .clone()
                .unwrap_or(HandshakeError::Psk(PskFailure::WrongKey)),
            reason::CERTIFICATE_VERIFY_FAILED => HandshakeError::Psk(PskFailure::NotAccepted),
            reason::UNSUPPORTED_PROTOCOL => HandshakeError::Incompatible(Lacking::Version),
            reason::NO_SHARED_CIPHER => HandshakeError::Incompatible(Lacking::CipherSuite),
            reason::NO_SUITABLE_KEY_SHARE
            | reason::NO_SUITABLE_GROUPS
            | reason::NO_SHARED_GROUPS => HandshakeError::Incompatible(Lacking::Group),
            reason::PEER_DID_NOT_RETURN_A_CERTIFICATE => HandshakeError::NoCertificate,
            reason::BAD_SIGNATURE => HandshakeError::ProofOfPossession,
            reason::NO_SHARED_SIGNATURE_ALGORITHMS => {
                HandshakeError::Incompatible(Lacking::SignatureScheme)
            }
            // The first record that is sealed shows whether both sides have the same key.
            reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC if self.device_has_named_a_key() => {
                HandshakeError::Psk(PskFailure::WrongKey)
            }
            reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC => HandshakeError::Decrypt,
            _ => match &self.refusal {
                Some(error @ HandshakeError::Psk(PskFailure::NotOffered)) => error.clone(),
                Some(_) | None => HandshakeError::Protocol,
            },
        }
    }

    fn device_has_named_a_key(&self) -> bool {
        let named = keys::named(self.stream.ssl()).and_then(NamedKey::proved);
        named.is_some_and(|named| named.device.is_some())
    }
}

impl Fault {
    pub(super) fn of(code: i32) -> Self {
        match u8::try_from(code - reason::ALERT) {
            Ok(number) => Self::Alert(number),
            Err(_) => Self::Library(code),
        }
    }

    /// What it means once the handshake is over.
    pub(super) fn once_open(self) -> ChannelError {
        match self {
            Self::Alert(number) => ChannelError::PeerAlert(number),
            Self::Library(reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC) => ChannelError::Decrypt,
            Self::Library(_) => ChannelError::Protocol,
            Self::Internal => ChannelError::Internal,
        }
    }
}
