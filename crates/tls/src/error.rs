//! Why a peer was refused: closed lists with a name for counters, a sentence for people and an alert for the peer.

use std::fmt;
use std::sync::Arc;

use crate::channel::AdmissionRefusal;
use crate::hello::HelloError;
use crate::psk::PskFailure;

/// Numbers of the TLS alerts we choose ourselves (RFC 8446 section 6).
pub(crate) mod alert {
    pub(crate) const UNEXPECTED_MESSAGE: u8 = 10;
    pub(crate) const HANDSHAKE_FAILURE: u8 = 40;
    pub(crate) const BAD_CERTIFICATE: u8 = 42;
    pub(crate) const UNSUPPORTED_CERTIFICATE: u8 = 43;
    pub(crate) const CERTIFICATE_REVOKED: u8 = 44;
    pub(crate) const CERTIFICATE_EXPIRED: u8 = 45;
    pub(crate) const CERTIFICATE_UNKNOWN: u8 = 46;
    pub(crate) const ILLEGAL_PARAMETER: u8 = 47;
    pub(crate) const UNKNOWN_CA: u8 = 48;
    pub(crate) const ACCESS_DENIED: u8 = 49;
    pub(crate) const DECODE_ERROR: u8 = 50;
    pub(crate) const PROTOCOL_VERSION: u8 = 70;
    pub(crate) const INTERNAL_ERROR: u8 = 80;
    pub(crate) const MISSING_EXTENSION: u8 = 109;
    pub(crate) const UNRECOGNIZED_NAME: u8 = 112;
}

/// Why a certification path is no good (RFC 5280 section 6 and what RFC 9325 adds). Dates are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The peer sent more certificates than anybody needs.
    TooManyCertificates,
    /// The certificates the peer sent are longer, taken together, than anybody needs.
    TooManyOctets,
    /// A certificate of the path is not well formed.
    Malformed,
    /// A subjectAltName of the leaf holds a NUL, an empty label, an over-long name or octets that are no name.
    UnusableName,
    /// An RSA key shorter than 2048 bits.
    WeakKey {
        /// Its length.
        bits: usize,
    },
    /// A signature by SHA-1, MD5 or another algorithm that is not accepted.
    SignatureAlgorithm,
    /// A signature that does not verify.
    BadSignature,
    /// No path leads to one of our trust anchors.
    UnknownIssuer,
    /// The only path leads to a trust anchor outside its own dates.
    AnchorNotValid {
        /// Its notBefore.
        not_before: i64,
        /// Its notAfter.
        not_after: i64,
    },
    /// notAfter has passed.
    Expired {
        /// The notAfter.
        not_after: i64,
    },
    /// notBefore has not come.
    NotYetValid {
        /// The notBefore.
        not_before: i64,
    },
    /// An issuer in the path is no CA.
    IssuerNotCa,
    /// The leaf is a CA certificate.
    LeafIsCa,
    /// More CA certificates than pathLenConstraint allows.
    PathLength,
    /// An issuer whose key usage lacks keyCertSign.
    IssuerKeyUsage,
    /// The leaf's key usage lacks digitalSignature.
    LeafKeyUsage,
    /// The extended key usage does not fit the role.
    ExtendedKeyUsage,
    /// A name outside the name constraints of an issuer.
    NameConstraint,
    /// A critical extension that nobody here understands.
    CriticalExtension,
    /// Listed in a CRL.
    Revoked {
        /// The serial number in hexadecimal.
        serial: String,
    },
    /// There is no current CRL of an issuer in the path, and one is required.
    NoCurrentCrl {
        /// When the newest one lapsed; `None` = there is none, or it is not of a kind that counts.
        next_update: Option<i64>,
    },
    /// No OCSP responder says that a certificate of the path is good, and one has to.
    NoStatus {
        /// The URL of the responder that was asked; `None` = there is nobody to ask.
        responder: Option<Arc<str>>,
    },
    /// Anything else, such as a path too costly to build.
    Other,
}

impl PathError {
    /// A short name for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooManyCertificates => "too-many-certificates",
            Self::TooManyOctets => "certificates-too-long",
            Self::Malformed => "malformed-certificate",
            Self::UnusableName => "unusable-name",
            Self::WeakKey { .. } => "weak-key",
            Self::SignatureAlgorithm => "signature-algorithm",
            Self::BadSignature => "bad-signature",
            Self::UnknownIssuer => "unknown-issuer",
            Self::AnchorNotValid { .. } => "anchor-not-valid",
            Self::Expired { .. } => "certificate-expired",
            Self::NotYetValid { .. } => "certificate-not-yet-valid",
            Self::IssuerNotCa => "issuer-not-ca",
            Self::LeafIsCa => "leaf-is-ca",
            Self::PathLength => "path-length",
            Self::IssuerKeyUsage => "issuer-key-usage",
            Self::LeafKeyUsage => "leaf-key-usage",
            Self::ExtendedKeyUsage => "extended-key-usage",
            Self::NameConstraint => "name-constraint",
            Self::CriticalExtension => "critical-extension",
            Self::Revoked { .. } => "certificate-revoked",
            Self::NoCurrentCrl { .. } => "no-current-crl",
            Self::NoStatus { .. } => "no-ocsp-answer",
            Self::Other => "path-other",
        }
    }

    /// The alert that tells the peer (RFC 8446 section 6.2; section 4.4.2.4 asks for bad_certificate on old hashes).
    pub fn alert(&self) -> u8 {
        match self {
            Self::TooManyCertificates
            | Self::TooManyOctets
            | Self::Malformed
            | Self::UnusableName
            | Self::WeakKey { .. }
            | Self::SignatureAlgorithm
            | Self::BadSignature
            | Self::LeafIsCa
            | Self::NameConstraint
            | Self::CriticalExtension => alert::BAD_CERTIFICATE,
            Self::LeafKeyUsage | Self::ExtendedKeyUsage => alert::UNSUPPORTED_CERTIFICATE,
            Self::Revoked { .. } => alert::CERTIFICATE_REVOKED,
            Self::Expired { .. } | Self::NotYetValid { .. } => alert::CERTIFICATE_EXPIRED,
            Self::UnknownIssuer
            | Self::AnchorNotValid { .. }
            | Self::IssuerNotCa
            | Self::PathLength
            | Self::IssuerKeyUsage => alert::UNKNOWN_CA,
            Self::NoCurrentCrl { .. } | Self::NoStatus { .. } | Self::Other => {
                alert::CERTIFICATE_UNKNOWN
            }
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyCertificates => f.write_str("the peer sent too many certificates"),
            Self::TooManyOctets => f.write_str("the certificates of the peer are too long"),
            Self::Malformed => f.write_str("a certificate is malformed"),
            Self::UnusableName => f.write_str("a name in the certificate is unusable"),
            Self::WeakKey { bits } => write!(f, "an RSA key has only {bits} bits"),
            Self::SignatureAlgorithm => {
                f.write_str("a certificate is signed with an algorithm that is not accepted")
            }
            Self::BadSignature => f.write_str("the signature of a certificate is wrong"),
            Self::UnknownIssuer => f.write_str("the certificate was issued by nobody we trust"),
            Self::AnchorNotValid {
                not_before,
                not_after,
            } => {
                write!(
                    f,
                    "the trust anchor is valid only from {not_before} to {not_after} (Unix time)"
                )
            }
            Self::Expired { not_after } => {
                write!(f, "a certificate expired at {not_after} (Unix time)")
            }
            Self::NotYetValid { not_before } => write!(
                f,
                "a certificate is valid only from {not_before} (Unix time)"
            ),
            Self::IssuerNotCa => f.write_str("an issuer in the path is not a CA"),
            Self::LeafIsCa => f.write_str("the peer's own certificate is a CA certificate"),
            Self::PathLength => f.write_str("the path is longer than an issuer allows"),
            Self::IssuerKeyUsage => f.write_str("an issuer in the path may not sign certificates"),
            Self::LeafKeyUsage => f.write_str("the key of the certificate may not sign handshakes"),
            Self::ExtendedKeyUsage => f.write_str("the certificate is for another purpose"),
            Self::NameConstraint => {
                f.write_str("a name is outside the name constraints of an issuer")
            }
            Self::CriticalExtension => {
                f.write_str("a certificate has a critical extension that is not known")
            }
            Self::Revoked { serial } => {
                write!(f, "the certificate with serial {serial} is revoked")
            }
            Self::NoCurrentCrl {
                next_update: Some(at),
            } => {
                write!(
                    f,
                    "the revocation list of an issuer lapsed at {at} (Unix time)"
                )
            }
            Self::NoCurrentCrl { next_update: None } => {
                f.write_str("there is no revocation list of an issuer")
            }
            Self::NoStatus {
                responder: Some(url),
            } => write!(
                f,
                "the OCSP responder {url} did not say that a certificate is good"
            ),
            Self::NoStatus { responder: None } => f.write_str(
                "a certificate names no OCSP responder, and its issuer has no current revocation list",
            ),
            Self::Other => f.write_str("the certification path could not be judged"),
        }
    }
}

impl std::error::Error for PathError {}

/// What both sides have no common value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incompatibility {
    /// Not TLS 1.3.
    Version,
    /// No common cipher suite.
    CipherSuite,
    /// No common group for the key exchange.
    Group,
    /// No common signature scheme.
    SignatureScheme,
    /// The peer wants certificates where there are keys, or keys where there are certificates.
    CertificateType,
    /// The peer does not bind the keys of version 1.2 to its handshake (extended_master_secret, RFC 7627).
    ExtendedMasterSecret,
    /// Something else.
    Other,
}

impl Incompatibility {
    fn name(self) -> &'static str {
        match self {
            Self::Version => "no-common-version",
            Self::CipherSuite => "no-common-cipher-suite",
            Self::Group => "no-common-group",
            Self::SignatureScheme => "no-common-signature-scheme",
            Self::CertificateType => "no-common-certificate-type",
            Self::ExtendedMasterSecret => "no-extended-master-secret",
            Self::Other => "incompatible",
        }
    }
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The ClientHello was refused before the engine saw it.
    Hello(HelloError),
    /// The hello names no server, and the listener wants a name.
    NoServerName,
    /// The hello names a server that we are not.
    UnknownServerName,
    /// The peer showed no certificate.
    NoCertificate,
    /// The peer's certification path is no good.
    Path(PathError),
    /// The peer's certificate is good, but nobody we serve from there.
    Admission(AdmissionRefusal),
    /// The server's certificate is good, but for another name than the one we wanted (RFC 9525).
    NameMismatch,
    /// The server's raw public key is none of those that are pinned.
    UnknownServerKey,
    /// The peer does not hold the private key of its certificate.
    ProofOfPossession,
    /// The pre-shared key did not prove the peer.
    Psk(PskFailure),
    /// Nothing in common.
    Incompatible(Incompatibility),
    /// The peer ended the handshake with this alert.
    PeerAlert(u8),
    /// A message that is malformed or out of place.
    Protocol,
    /// A record that does not decrypt.
    Decrypt,
    /// Our own engine refused to work.
    Internal,
}

impl HandshakeError {
    /// A short name for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(error) => error.name(),
            Self::NoServerName => "no-server-name",
            Self::UnknownServerName => "unknown-server-name",
            Self::NoCertificate => "no-certificate",
            Self::Path(error) => error.name(),
            Self::Admission(refusal) => refusal.name(),
            Self::NameMismatch => "name-mismatch",
            Self::UnknownServerKey => "unknown-server-key",
            Self::ProofOfPossession => "proof-of-possession",
            Self::Psk(failure) => failure.name(),
            Self::Incompatible(what) => what.name(),
            Self::PeerAlert(_) => "peer-alert",
            Self::Protocol => "protocol-error",
            Self::Decrypt => "decrypt-error",
            Self::Internal => "internal-error",
        }
    }
}

impl HandshakeError {
    /// The alert about a certificate that we refuse.
    pub(crate) fn certificate_alert(&self) -> u8 {
        match self {
            Self::Path(error) => error.alert(),
            Self::NameMismatch | Self::UnknownServerKey => alert::BAD_CERTIFICATE,
            Self::Admission(_)
            | Self::Hello(_)
            | Self::NoServerName
            | Self::UnknownServerName
            | Self::NoCertificate
            | Self::ProofOfPossession
            | Self::Psk(_)
            | Self::Incompatible(_)
            | Self::PeerAlert(_)
            | Self::Protocol
            | Self::Decrypt
            | Self::Internal => alert::ACCESS_DENIED,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(error) => error.fmt(f),
            Self::NoServerName => f.write_str("the client names no server"),
            Self::UnknownServerName => f.write_str("the client names a server that we are not"),
            Self::NoCertificate => f.write_str("the peer showed no certificate"),
            Self::Path(error) => error.fmt(f),
            Self::Admission(refusal) => refusal.fmt(f),
            Self::NameMismatch => f.write_str("the server's certificate is for another name"),
            Self::UnknownServerKey => {
                f.write_str("the server's raw public key is none of those that are pinned")
            }
            Self::ProofOfPossession => {
                f.write_str("the peer does not hold the key of its certificate")
            }
            Self::Psk(failure) => failure.fmt(f),
            Self::Incompatible(what) => f.write_str(match what {
                Incompatibility::Version => "the peer speaks no version of TLS or DTLS that is taken here",
                Incompatibility::CipherSuite => "there is no common cipher suite",
                Incompatibility::Group => "there is no common group for the key exchange",
                Incompatibility::SignatureScheme => "there is no common signature scheme",
                Incompatibility::CertificateType => {
                    "one side wants certificates (X.509) and the other raw public keys (RFC 7250)"
                }
                Incompatibility::ExtendedMasterSecret => {
                    "the peer does not offer the extended master secret (RFC 7627), which is required in version 1.2"
                }
                Incompatibility::Other => "the peer wants something we do not offer",
            }),
            Self::PeerAlert(number) => {
                write!(
                    f,
                    "the peer ended the handshake with alert {}",
                    Alert(*number)
                )
            }
            Self::Protocol => f.write_str("the peer broke the TLS protocol"),
            Self::Decrypt => f.write_str("a record of the peer does not decrypt"),
            Self::Internal => f.write_str("the TLS engine failed"),
        }
    }
}

impl std::error::Error for HandshakeError {}

/// Why an established channel is no longer usable, or was used too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// The handshake is not complete, or failed.
    NotReady,
    /// We closed it ourselves.
    Closed,
    /// The peer ended it with this alert.
    PeerAlert(u8),
    /// A message that is malformed or out of place.
    Protocol,
    /// A record that does not decrypt.
    Decrypt,
    /// Our own engine refused to work.
    Internal,
}

impl ChannelError {
    /// A short name for counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotReady => "not-ready",
            Self::Closed => "closed",
            Self::PeerAlert(_) => "peer-alert",
            Self::Protocol => "protocol-error",
            Self::Decrypt => "decrypt-error",
            Self::Internal => "internal-error",
        }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the TLS handshake is not complete"),
            Self::Closed => f.write_str("the channel is closed"),
            Self::PeerAlert(number) => {
                write!(
                    f,
                    "the peer ended the channel with alert {}",
                    Alert(*number)
                )
            }
            Self::Protocol => f.write_str("the peer broke the TLS protocol"),
            Self::Decrypt => f.write_str("a record of the peer does not decrypt"),
            Self::Internal => f.write_str("the TLS engine failed"),
        }
    }
}

impl std::error::Error for ChannelError {}

/// An alert by number and, where RFC 8446 section 6 has one, name: the number alone helps nobody at night.
struct Alert(u8);

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            22 => "record_overflow",
            40 => "handshake_failure",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            109 => "missing_extension",
            110 => "unsupported_extension",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            number => return write!(f, "{number}"),
        };
        write!(f, "{} ({name})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_told_by_number_and_name() {
        let told = |number| HandshakeError::PeerAlert(number).to_string();
        assert!(told(49).ends_with("alert 49 (access_denied)"));
        assert!(told(200).ends_with("alert 200"));
        assert!(
            ChannelError::PeerAlert(44)
                .to_string()
                .ends_with("alert 44 (certificate_revoked)")
        );
    }
}
