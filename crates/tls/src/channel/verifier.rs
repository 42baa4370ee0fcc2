//! Judges the peer's certificate inside the handshake and remembers why, which an alert alone does not tell.
//!
//! One verifier serves one connection, so it knows the peer's address and can hand identity and device back.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme,
};

use super::Admission;
use crate::error::alert;
use crate::trust::{Judged, PeerRole};
use crate::{ClientPolicy, HandshakeError, ReferenceIdentity, ServerPolicy};

/// What is known of a peer whose certificate was accepted. The CertificateVerify signature is checked after that.
#[derive(Clone)]
pub(super) struct Accepted {
    pub(super) judged: Judged,
    pub(super) device: Option<Arc<str>>,
}

pub(super) type Verdict = Result<Accepted, HandshakeError>;

/// Judges clients.
pub(super) struct ClientJudge {
    pub(super) policy: Arc<ServerPolicy>,
    pub(super) admission: Arc<dyn Admission>,
    pub(super) peer: SocketAddr,
    pub(super) verdict: OnceLock<Verdict>,
}

impl ClientJudge {
    fn judge(&self, chain: &[&[u8]]) -> Verdict {
        let now = self.policy.clock.now();
        let judged = self
            .policy
            .trust
            .verify(chain, PeerRole::Client, now)
            .map_err(HandshakeError::Path)?;
        let device = self
            .admission
            .admit(judged.identity(), self.peer)
            .map_err(HandshakeError::Admission)?;
        Ok(Accepted {
            judged,
            device: Some(device),
        })
    }
}

impl fmt::Debug for ClientJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientJudge")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl ClientCertVerifier for ClientJudge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.policy.authorities
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self
            .verdict
            .get_or_init(|| self.judge(&whole(end_entity, intermediates)));
        outcome(verdict).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature(&self.policy.provider, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.policy
            .provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Judges servers.
pub(super) struct ServerJudge {
    pub(super) policy: Arc<ClientPolicy>,
    pub(super) reference: ReferenceIdentity,
    pub(super) verdict: OnceLock<Verdict>,
}

impl ServerJudge {
    fn judge(&self, chain: &[&[u8]]) -> Verdict {
        let now = self.policy.clock.now();
        let judged = self
            .policy
            .trust
            .verify(chain, PeerRole::Server, now)
            .map_err(HandshakeError::Path)?;
        if !self.reference.matches(judged.identity()) {
            return Err(HandshakeError::NameMismatch);
        }
        Ok(Accepted {
            judged,
            device: None,
        })
    }
}

impl fmt::Debug for ServerJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerJudge")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ServerJudge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self
            .verdict
            .get_or_init(|| self.judge(&whole(end_entity, intermediates)));
        outcome(verdict).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature(&self.policy.provider, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.policy
            .provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn whole<'a>(
    end_entity: &'a CertificateDer<'_>,
    intermediates: &'a [CertificateDer<'_>],
) -> Vec<&'a [u8]> {
    std::iter::once(end_entity)
        .chain(intermediates)
        .map(AsRef::as_ref)
        .collect()
}

fn signature(
    provider: &CryptoProvider,
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature(
        message,
        cert,
        dss,
        &provider.signature_verification_algorithms,
    )
}

/// Picks the error that makes rustls send the alert we want.
fn outcome(verdict: &Verdict) -> Result<(), Error> {
    let Err(refusal) = verdict else { return Ok(()) };
    let number = refusal.certificate_alert();
    Err(Error::InvalidCertificate(match number {
        alert::BAD_CERTIFICATE => CertificateError::BadEncoding,
        alert::UNSUPPORTED_CERTIFICATE => CertificateError::InvalidPurpose,
        alert::CERTIFICATE_REVOKED => CertificateError::Revoked,
        alert::CERTIFICATE_EXPIRED => CertificateError::Expired,
        alert::UNKNOWN_CA => CertificateError::UnknownIssuer,
        alert::ACCESS_DENIED => CertificateError::ApplicationVerificationFailure,
        _ => CertificateError::Other(OtherError(Arc::new(refusal.clone()))),
    }))
}

/// What an error of the library means while the handshake runs; a verdict of ours says more.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's lists are open"
)]
pub(super) fn explain(error: &Error, verdict: Option<&Verdict>) -> HandshakeError {
    use crate::Incompatibility as Lacking;
    if let Some(Err(refusal)) = verdict {
        return refusal.clone();
    }
    match error {
        Error::NoCertificatesPresented => HandshakeError::NoCertificate,
        Error::AlertReceived(alert) => HandshakeError::PeerAlert(u8::from(*alert)),
        Error::DecryptError => HandshakeError::Decrypt,
        Error::InvalidCertificate(_) => HandshakeError::ProofOfPossession,
        Error::PeerIncompatible(what) => HandshakeError::Incompatible(match what {
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => Lacking::Version,
            PeerIncompatible::NoCipherSuitesInCommon => Lacking::CipherSuite,
            PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NamedGroupsExtensionRequired
            | PeerIncompatible::KeyShareExtensionRequired => Lacking::Group,
            PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
                Lacking::SignatureScheme
            }
            _ => Lacking::Other,
        }),
        Error::EncryptError
        | Error::General(_)
        | Error::Other(_)
        | Error::FailedToGetRandomBytes => HandshakeError::Internal,
        _ => HandshakeError::Protocol,
    }
}
