//! From the identity a handshake proved to the device of the configuration.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use doorward_tls::hello::HelloError;
use doorward_tls::{
    Admission, AdmissionRefusal, HandshakeError, Incompatibility, KeyPin, Method, Methods,
    PathError, PeerIdentity, PskDevice, PskFailure,
};

use super::Open;
use crate::aaa::{Refused, Snapshot};
use crate::config::{Device, DeviceRefusal, ListenerProtocol};

/// When a device was last here, since the server started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// With TLS.
    pub tls: Option<jiff::Timestamp>,
    /// Without.
    pub plain: Option<jiff::Timestamp>,
    /// notAfter of the certificate it showed last, Unix seconds.
    pub certificate_expires: Option<i64>,
    /// How it proved itself the last time it came with TLS.
    pub method: Option<Method>,
    /// It came by DTLS.
    pub dtls: bool,
}

/// What was seen of every device.
#[derive(Debug, Default)]
pub struct SeenDevices(Mutex<HashMap<Arc<str>, Seen>>);

impl SeenDevices {
    /// What was seen of one device.
    pub fn get(&self, device: &str) -> Option<Seen> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(device)
            .copied()
    }

    pub(super) fn plain(&self, device: &Arc<str>) {
        self.update(device, |seen| seen.plain = Some(jiff::Timestamp::now()));
    }

    pub(super) fn tls(&self, device: &Arc<str>, method: Method, identity: &PeerIdentity) {
        let expires = (method == Method::Certificate).then_some(identity.not_after);
        self.update(device, |seen| {
            seen.tls = Some(jiff::Timestamp::now());
            seen.certificate_expires = expires;
            seen.method = Some(method);
        });
    }

    /// Notes that it came by DTLS; true the first time.
    pub(super) fn dtls(&self, device: &Arc<str>) -> bool {
        let mut first = false;
        self.update(device, |seen| {
            first = !std::mem::replace(&mut seen.dtls, true)
        });
        first
    }

    fn update(&self, device: &Arc<str>, change: impl FnOnce(&mut Seen)) {
        change(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(Arc::clone(device))
                .or_default(),
        );
    }
}

/// Asked inside the handshake: which device is it, and may it come from there.
impl Admission for Open {
    fn admit(
        &self,
        identity: &PeerIdentity,
        peer: SocketAddr,
    ) -> Result<Arc<str>, AdmissionRefusal> {
        let snapshot = self.aaa.snapshot();
        let found = snapshot.config.devices.by_certificate(identity, peer.ip());
        self.served(&snapshot, found, AdmissionRefusal::UnknownDevice)
    }

    fn admit_key(&self, pin: &KeyPin, peer: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        let snapshot = self.aaa.snapshot();
        let found = snapshot.config.devices.by_raw_key(pin, peer.ip());
        self.served(&snapshot, found, AdmissionRefusal::UnknownKey)
    }

    fn psk(&self, identity: &[u8], peer: SocketAddr) -> Result<PskDevice, AdmissionRefusal> {
        let snapshot = self.aaa.snapshot();
        let found = snapshot.config.devices.by_psk(identity, peer.ip());
        let key = found.as_ref().ok().map(|(_, key)| Arc::clone(key));
        let found = found.map(|(device, _)| device);
        let device = self.served(&snapshot, found, AdmissionRefusal::UnknownKey)?;
        let key = key.ok_or(AdmissionRefusal::UnknownKey)?;
        Ok(PskDevice { device, key })
    }

    fn methods(&self) -> Methods {
        let snapshot = self.aaa.snapshot();
        self.settings(&snapshot).methods
    }
}

impl Open {
    /// The name of a device that was found, if this listener is for it.
    fn served(
        &self,
        snapshot: &Snapshot,
        found: Result<&Arc<Device>, DeviceRefusal>,
        unknown: AdmissionRefusal,
    ) -> Result<Arc<str>, AdmissionRefusal> {
        let device = found.map_err(|refusal| match refusal {
            DeviceRefusal::NoMatch => unknown,
            DeviceRefusal::Ambiguous { first, second } => {
                AdmissionRefusal::Ambiguous { first, second }
            }
            DeviceRefusal::WrongAddress { device } => AdmissionRefusal::WrongAddress { device },
        })?;
        let name = Arc::clone(&device.name);
        if device.dtls_required && self.key.protocol == ListenerProtocol::RadiusTls {
            return Err(AdmissionRefusal::DatagramsOnly { device: name });
        }
        if self.settings(snapshot).admits(device) {
            Ok(name)
        } else {
            Err(AdmissionRefusal::WrongListener { device: name })
        }
    }
}

/// A failed handshake in the words of the counters.
pub(super) fn refusal(error: &HandshakeError) -> Refused {
    match error {
        HandshakeError::Hello(HelloError::EarlyData) => Refused::EarlyData,
        HandshakeError::Hello(HelloError::NotTls) => Refused::NotTls,
        HandshakeError::Hello(HelloError::Own) => Refused::Loop,
        HandshakeError::Hello(_) => Refused::ClientHello,
        HandshakeError::Incompatible(Incompatibility::Version) => Refused::TlsVersion,
        HandshakeError::NoCertificate => Refused::CertificateMissing,
        HandshakeError::Path(path) => match path {
            PathError::Expired { .. }
            | PathError::NotYetValid { .. }
            | PathError::AnchorNotValid { .. } => Refused::CertificateDate,
            PathError::Revoked { .. } => Refused::CertificateRevoked,
            PathError::NoCurrentCrl { .. } => Refused::RevocationUnknown,
            PathError::NoStatus { .. } => Refused::StatusUnknown,
            PathError::TooManyCertificates
            | PathError::TooManyOctets
            | PathError::Malformed
            | PathError::UnusableName
            | PathError::WeakKey { .. }
            | PathError::SignatureAlgorithm
            | PathError::BadSignature
            | PathError::UnknownIssuer
            | PathError::IssuerNotCa
            | PathError::LeafIsCa
            | PathError::PathLength
            | PathError::IssuerKeyUsage
            | PathError::LeafKeyUsage
            | PathError::ExtendedKeyUsage
            | PathError::NameConstraint
            | PathError::CriticalExtension
            | PathError::Other => Refused::CertificatePath,
        },
        HandshakeError::Admission(refusal) => match refusal {
            AdmissionRefusal::UnknownDevice => Refused::CertificateMatchesNoDevice,
            AdmissionRefusal::UnknownKey => Refused::KeyMatchesNoDevice,
            AdmissionRefusal::Ambiguous { .. } => Refused::CertificateAmbiguous,
            AdmissionRefusal::WrongAddress { .. } => Refused::DeviceAddress,
            AdmissionRefusal::DatagramsOnly { .. } => Refused::DtlsRequired,
            AdmissionRefusal::WrongListener { .. } => Refused::ListenerNotForDevice,
        },
        HandshakeError::Psk(failure) => match failure {
            PskFailure::UnknownIdentity => Refused::PskIdentity,
            PskFailure::WrongKey => Refused::PskKey,
            PskFailure::NotOffered
            | PskFailure::NoKeyExchange
            | PskFailure::NoModes
            | PskFailure::NotAccepted => Refused::Handshake,
        },
        HandshakeError::NoServerName
        | HandshakeError::UnknownServerName
        | HandshakeError::NameMismatch
        | HandshakeError::UnknownServerKey
        | HandshakeError::ProofOfPossession
        | HandshakeError::Incompatible(_)
        | HandshakeError::PeerAlert(_)
        | HandshakeError::Protocol
        | HandshakeError::Decrypt
        | HandshakeError::Internal => Refused::Handshake,
    }
}
