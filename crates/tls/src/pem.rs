//! Certificates, CRLs and private keys out of PEM or DER octets.
//!
//! Errors never quote the input: it may be a key.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroize;

/// One DER structure, shared.
pub type Der = Arc<[u8]>;

/// A private key in DER (PKCS #8, PKCS #1 or SEC 1); zeroized on drop and never printed.
pub struct PrivateKey(pub(crate) PrivateKeyDer<'static>);

impl PrivateKey {
    /// The same key again.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone_key())
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// Why a file holds nothing usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemError {
    /// The file has no octets.
    Empty,
    /// Neither PEM with a section of the wanted kind nor DER.
    NothingFound,
    /// A PEM section is damaged.
    Damaged,
    /// The private key is encrypted with a passphrase.
    EncryptedKey,
    /// There is more than one private key.
    SeveralKeys,
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the file is empty",
            Self::NothingFound => "there is neither a PEM section of the wanted kind nor DER",
            Self::Damaged => "a PEM section is damaged",
            Self::EncryptedKey => {
                "the private key is encrypted with a passphrase, which is not supported"
            }
            Self::SeveralKeys => "there is more than one private key",
        })
    }
}

impl std::error::Error for PemError {}

/// Reads the certificates of a PEM file, or the one of a DER file, in their order.
pub fn certificates(octets: &[u8]) -> Result<Vec<Der>, PemError> {
    if let Some(der) = whole_der(octets)? {
        return Ok(vec![der]);
    }
    sections::<CertificateDer<'static>>(octets)
}

/// Reads the CRLs of a PEM file, or the one of a DER file.
pub fn crls(octets: &[u8]) -> Result<Vec<Der>, PemError> {
    if let Some(der) = whole_der(octets)? {
        return Ok(vec![der]);
    }
    sections::<CertificateRevocationListDer<'static>>(octets)
}

/// Reads the one private key of a PEM or DER file.
pub fn private_key(octets: &[u8]) -> Result<PrivateKey, PemError> {
    if whole_der(octets)?.is_some() {
        return PrivateKeyDer::try_from(octets)
            .map(|key| PrivateKey(key.clone_key()))
            .map_err(|_| PemError::NothingFound);
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(octets);
    let first = match keys.next() {
        Some(Ok(key)) => PrivateKey(key),
        Some(Err(_)) => return Err(PemError::Damaged),
        None if encrypted(octets) => return Err(PemError::EncryptedKey),
        None => return Err(PemError::NothingFound),
    };
    match keys.next() {
        Some(Ok(mut second)) => {
            second.zeroize();
            Err(PemError::SeveralKeys)
        }
        Some(Err(_)) => Err(PemError::Damaged),
        None => Ok(first),
    }
}

fn encrypted(octets: &[u8]) -> bool {
    const LABEL: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    octets.windows(LABEL.len()).any(|window| window == LABEL)
}

/// DER begins with the tag of a SEQUENCE, which no PEM file does ('0' may open a comment, so the length has to fit too).
fn whole_der(octets: &[u8]) -> Result<Option<Der>, PemError> {
    if octets.is_empty() {
        return Err(PemError::Empty);
    }
    let mut reader = crate::der::Reader::new(octets);
    match reader.element() {
        Ok(element) if element.tag == crate::der::SEQUENCE && reader.at_end() => {
            Ok(Some(octets.into()))
        }
        _ => Ok(None),
    }
}

fn sections<T: PemObject + AsRef<[u8]>>(octets: &[u8]) -> Result<Vec<Der>, PemError> {
    let mut found = Vec::new();
    for section in T::pem_slice_iter(octets) {
        let section = section.map_err(|_| PemError::Damaged)?;
        found.push(section.as_ref().into());
    }
    if found.is_empty() {
        Err(PemError::NothingFound)
    } else {
        Ok(found)
    }
}
