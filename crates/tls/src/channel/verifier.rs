//! Judges the peer's certificate inside the handshake and remembers why, which an alert alone does not tell.
//!
//! One judge serves one connection, so it knows the peer's address and can hand identity and device back. As a client,
//! rustls resumes only with the verifier of the first connection: there it is the [`Delegate`] of the policy, which asks
//! the judge of the connection that is being fed on this thread.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme,
};

use super::Admission;
use crate::error::alert;
use crate::ffi::Shown;
use crate::policy::Basis;
use crate::trust::{Judged, PathKey, PeerRole};
use crate::{ClientPolicy, HandshakeError, PeerIdentity, ReferenceIdentity, ServerPolicy, raw_key};

/// What is known of a peer whose certificate was accepted. The CertificateVerify signature is checked after that.
#[derive(Clone)]
pub(super) struct Accepted {
    pub(super) proof: Proof,
    pub(super) device: Option<Arc<str>>,
}

/// By what the peer is known.
#[derive(Clone)]
pub(super) enum Proof {
    /// A certificate with a good path.
    Path(Judged),
    /// A raw public key that is pinned.
    Key(Arc<PeerIdentity>),
}

impl Proof {
    pub(super) fn identity(&self) -> &Arc<PeerIdentity> {
        match self {
            Self::Path(judged) => judged.identity(),
            Self::Key(identity) => identity,
        }
    }

    /// The path, if it is one.
    pub(super) fn path(&self) -> Option<&Judged> {
        match self {
            Self::Path(judged) => Some(judged),
            Self::Key(_) => None,
        }
    }
}

pub(super) type Verdict = Result<Accepted, HandshakeError>;

/// Who is judged, and what is asked of it besides a good path.
pub(super) enum Subject {
    /// A client: the device it is has to be admitted.
    Client {
        policy: Arc<ServerPolicy>,
        admission: Arc<dyn Admission>,
        peer: SocketAddr,
        /// Of its two ways: a raw public key, and not a certificate.
        raw: bool,
        /// It knows no TLS 1.3, and may do without.
        tls12: bool,
    },
    /// A server: it has to be the one that was wanted.
    Server {
        policy: Arc<ClientPolicy>,
        reference: ReferenceIdentity,
    },
}

/// Judges the peer of one connection.
pub(super) struct Judge {
    subject: Subject,
    /// On what the peer showed in this handshake.
    verdict: OnceLock<Verdict>,
    /// On whom the last good ticket belongs to; it counts if the handshake turns out to be resumed.
    resumption: Mutex<Option<Accepted>>,
}

impl Judge {
    pub(super) fn new(subject: Subject) -> Arc<Self> {
        Arc::new(Self {
            subject,
            verdict: OnceLock::new(),
            resumption: Mutex::default(),
        })
    }

    /// The verdict, once the peer has shown its certificate.
    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.get()
    }

    /// Whom a resumed handshake is with.
    pub(super) fn resumption(&self) -> Option<Accepted> {
        let resumption = self.resumption.lock();
        resumption.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whom the handshake is with. What was shown in it goes before a ticket that was offered and not used.
    pub(super) fn accepted(&self) -> Option<Accepted> {
        match self.verdict.get() {
            Some(Ok(accepted)) => Some(accepted.clone()),
            Some(Err(_)) => None,
            None => self.resumption(),
        }
    }

    /// Judges the client of a ticket as a full handshake would: path, dates, revocation, device and address. `take`
    /// claims the ticket once all else is good.
    pub(super) fn resume(&self, path: &PathKey, now: i64, take: impl FnOnce() -> bool) -> bool {
        let Subject::Client {
            policy,
            admission,
            peer,
            raw: false,
            tls12: false,
        } = &self.subject
        else {
            return false;
        };
        let Some(judged) = policy.basis.trust.recall(path, now) else {
            return false;
        };
        let Ok(device) = admission.admit(judged.identity(), *peer) else {
            return false;
        };
        take()
            && self.put(Accepted {
                proof: Proof::Path(judged),
                device: Some(device),
            })
    }

    /// Whether the server of a ticket is still good, so that the ticket may be offered.
    pub(super) fn offer(&self, judged: Judged) -> bool {
        let basis = self.basis();
        let now = basis.clock.now();
        let good = basis.trust.still_good(&judged, now);
        good && self.put(Accepted {
            proof: Proof::Path(judged),
            device: None,
        })
    }

    fn put(&self, accepted: Accepted) -> bool {
        *self
            .resumption
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(accepted);
        true
    }

    /// By what it judges.
    pub(super) fn basis(&self) -> &Basis {
        match &self.subject {
            Subject::Client { policy, .. } => &policy.basis,
            Subject::Server { policy, .. } => &policy.basis,
        }
    }

    fn judge(&self, chain: &[&[u8]], stapled: &[u8]) -> Verdict {
        let role = match &self.subject {
            Subject::Client { .. } => PeerRole::Client,
            Subject::Server { .. } => PeerRole::Server,
        };
        let basis = self.basis();
        let now = basis.clock.now();
        let judged = basis
            .trust
            .verify(chain, role, now)
            .map_err(HandshakeError::Path)?;
        // A stapled answer that will not do is as good as none: the responder itself is asked then.
        basis
            .trust
            .take_stapled(&judged, stapled, now)
            .map_err(HandshakeError::Path)?;
        let identity = judged.identity();
        let device = match &self.subject {
            Subject::Client {
                admission, peer, ..
            } => Some(
                admission
                    .admit(identity, *peer)
                    .map_err(HandshakeError::Admission)?,
            ),
            Subject::Server { reference, .. } if reference.matches(identity) => None,
            Subject::Server { .. } => return Err(HandshakeError::NameMismatch),
        };
        Ok(Accepted {
            proof: Proof::Path(judged),
            device,
        })
    }

    /// Whether the peer's key is one that is pinned.
    fn judge_key(&self, public_key_info: &[u8]) -> Verdict {
        let pin = raw_key::check(public_key_info).map_err(HandshakeError::Path)?;
        let device = match &self.subject {
            Subject::Client {
                admission, peer, ..
            } => Some(
                admission
                    .admit_key(&pin, *peer)
                    .map_err(HandshakeError::Admission)?,
            ),
            Subject::Server { policy, .. } if policy.pins.contains(&pin) => None,
            Subject::Server { .. } => return Err(HandshakeError::UnknownServerKey),
        };
        Ok(Accepted {
            proof: Proof::Key(Arc::new(PeerIdentity::of_key(pin))),
            device,
        })
    }

    /// What stands where the certificate would is a raw public key.
    fn wants_raw(&self) -> bool {
        match &self.subject {
            Subject::Client { raw, .. } => *raw,
            Subject::Server { policy, .. } => !policy.pins.is_empty(),
        }
    }

    /// Judges what the peer shows and picks the error that makes rustls send the alert we want.
    fn shown(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        stapled: &[u8],
    ) -> Result<(), Error> {
        let chain: Vec<&[u8]> = std::iter::once(end_entity)
            .chain(intermediates)
            .map(AsRef::as_ref)
            .collect();
        let verdict = self.verdict.get_or_init(|| match self.wants_raw() {
            true => self.judge_key(end_entity),
            false => self.judge(&chain, stapled),
        });
        match verdict {
            Ok(_) => Ok(()),
            Err(refusal) => Err(with_alert(refusal)),
        }
    }

    /// The alert for a peer whose certificate was refused.
    pub(super) fn refused(&self) -> Option<u8> {
        match self.verdict.get()? {
            Ok(_) => None,
            Err(refusal) => Some(refusal.certificate_alert()),
        }
    }
}

/// For OpenSSL.
impl Shown for Judge {
    fn shown(&self, chain: &[&[u8]]) -> bool {
        self.verdict.get_or_init(|| self.judge(chain, &[])).is_ok()
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Judge");
        match &self.subject {
            Subject::Client { peer, .. } => shown.field("client", peer),
            Subject::Server { reference, .. } => shown.field("server", reference),
        };
        shown.finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.subject {
            Subject::Client { policy, .. } => &policy.authorities,
            Subject::Server { .. } => &[],
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.shown(end_entity, intermediates, &[])?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Subject::Client { tls12: true, .. } = &self.subject else {
            return Err(no_tls12());
        };
        let known = &self.basis().provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.basis().provider.signature_verification_algorithms;
        signature(message, cert, dss, known, self.wants_raw())
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.wants_raw()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.basis().provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

thread_local! {
    /// The judge of the connection whose octets this thread is feeding to rustls.
    static CURRENT: RefCell<Option<Arc<Judge>>> = const { RefCell::new(None) };
}

/// Lets the [`Delegate`] find `judge` while `feed` runs.
pub(super) fn judged_by<T>(judge: &Arc<Judge>, feed: impl FnOnce() -> T) -> T {
    CURRENT.set(Some(Arc::clone(judge)));
    let fed = feed();
    CURRENT.set(None);
    fed
}

/// The one verifier of a [`ClientPolicy`]; decides nothing itself.
pub(crate) struct Delegate {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) tls12: bool,
    /// Servers show raw public keys.
    pub(crate) raw: bool,
    /// Named in the hello.
    pub(crate) authorities: Option<Vec<DistinguishedName>>,
}

impl fmt::Debug for Delegate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delegate")
    }
}

impl ServerCertVerifier for Delegate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judge = CURRENT.with_borrow(Clone::clone);
        // Cannot be missing: a client's engine is fed in one place.
        let judge = judge.ok_or(Error::General(String::new()))?;
        judge.shown(end_entity, intermediates, ocsp_response)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.tls12 {
            return Err(no_tls12());
        }
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        signature(message, cert, dss, known, self.raw)
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.authorities.as_deref()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = &self.provider.signature_verification_algorithms;
        known.supported_schemes()
    }
}

/// Whether the peer holds the other half of the key in its certificate, or of the bare one.
fn signature(
    message: &[u8],
    shown: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
    raw: bool,
) -> Result<HandshakeSignatureValid, Error> {
    if raw {
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        return verify_tls13_signature_with_raw_key(message, &key, dss, known);
    }
    verify_tls13_signature(message, shown, dss, known)
}

/// Unless the policy of a client or the listener allows it neither role speaks it, so that rustls never asks.
fn no_tls12() -> Error {
    Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig)
}

/// The error that makes rustls send the alert of a refusal.
fn with_alert(refusal: &HandshakeError) -> Error {
    let number = refusal.certificate_alert();
    Error::InvalidCertificate(match number {
        alert::BAD_CERTIFICATE => CertificateError::BadEncoding,
        alert::UNSUPPORTED_CERTIFICATE => CertificateError::InvalidPurpose,
        alert::CERTIFICATE_REVOKED => CertificateError::Revoked,
        alert::CERTIFICATE_EXPIRED => CertificateError::Expired,
        alert::UNKNOWN_CA => CertificateError::UnknownIssuer,
        alert::ACCESS_DENIED => CertificateError::ApplicationVerificationFailure,
        _ => CertificateError::Other(OtherError(Arc::new(refusal.clone()))),
    })
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
