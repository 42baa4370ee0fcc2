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

impl Clone for PrivateKey {
    fn clone(&self) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Ca;

    fn pem(label: &str, der: &[u8]) -> String {
        let base64 = |octets: &[u8]| -> String {
            const DIGITS: &[u8] =
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let group = |chunk: &[u8]| -> String {
                let bits = (0..3).fold(0, |sum, at| {
                    sum << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
                });
                let digit = |at: usize| match at <= chunk.len() {
                    true => char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]),
                    false => '=',
                };
                (0..4).map(digit).collect()
            };
            octets.chunks(3).map(group).collect()
        };
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            base64(der)
        )
    }

    #[test]
    fn certificates_keep_their_order_and_other_sections_are_passed_over() {
        let root = Ca::root("root");
        let leaf = root.leaf("a.example");
        let text = [
            &leaf.key.serialize_pem(),
            "a comment\n",
            &pem("CERTIFICATE", &leaf.der),
            &pem("CERTIFICATE", &root.der),
        ];
        let text = text.concat();
        assert_eq!(
            certificates(text.as_bytes()).unwrap(),
            [leaf.der.clone(), root.der.clone()]
        );
        assert!(private_key(text.as_bytes()).is_ok());
        assert_eq!(crls(text.as_bytes()), Err(PemError::NothingFound));
        let list = root.crl(&[1]);
        assert_eq!(crls(pem("X509 CRL", &list).as_bytes()).unwrap(), [list]);
    }

    #[test]
    fn der_is_read_as_well() {
        let root = Ca::root("root");
        assert_eq!(
            certificates(&root.der).unwrap(),
            std::slice::from_ref(&root.der)
        );
        let list = root.crl(&[]);
        assert_eq!(crls(&list).unwrap(), std::slice::from_ref(&list));
        assert!(private_key(root.key.serialized_der()).is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_told_apart() {
        let root = Ca::root("root");
        assert_eq!(certificates(b""), Err(PemError::Empty));
        assert_eq!(certificates(b"nothing"), Err(PemError::NothingFound));
        assert_eq!(
            certificates(b"-----BEGIN CERTIFICATE-----\nMII\n"),
            Err(PemError::Damaged)
        );
        let two = [root.key.serialize_pem(), root.key.serialize_pem()].concat();
        assert_eq!(
            private_key(two.as_bytes()).unwrap_err(),
            PemError::SeveralKeys
        );
        let locked = pem("ENCRYPTED PRIVATE KEY", &[0x30, 0]);
        assert_eq!(
            private_key(locked.as_bytes()).unwrap_err(),
            PemError::EncryptedKey
        );
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = private_key(Ca::root("root").key.serialize_pem().as_bytes()).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(redacted)");
    }
}
