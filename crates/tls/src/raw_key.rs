//! Raw public keys (RFC 7250): a SubjectPublicKeyInfo where a certificate would be, believed because it is pinned.
//!
//! A raw key has no name, no expiry and no issuer: the list of pins is all there is, and taking a pin out of it is the
//! revocation (RFC 9887 section 3.4.1).

use std::fmt;

use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::identity::sha256;
use crate::{PathError, hex, trust};

/// SHA-256 over a SubjectPublicKeyInfo in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPin(pub [u8; 32]);

/// The text is no pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPinError;

impl fmt::Display for KeyPinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pin is sha256: and 64 hexadecimal digits, over the SubjectPublicKeyInfo")
    }
}

impl std::error::Error for KeyPinError {}

impl KeyPin {
    /// Reads 64 hexadecimal digits; colons between them and a leading `sha256:` are allowed.
    ///
    /// # Errors
    /// The text is something else.
    pub fn parse(text: &str) -> Result<Self, KeyPinError> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let digits: Vec<u8> = digits.bytes().filter(|&octet| octet != b':').collect();
        let octets = hex::octets(&digits).ok_or(KeyPinError)?;
        let pin = octets.as_slice().try_into().map_err(|_| KeyPinError)?;
        Ok(Self(pin))
    }

    /// The pin of a SubjectPublicKeyInfo in DER.
    pub fn of(public_key_info: &[u8]) -> Self {
        Self(sha256(public_key_info))
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Whether what a peer shows is one key, and strong enough to be believed at all.
pub(crate) fn check(public_key_info: &[u8]) -> Result<KeyPin, PathError> {
    match SubjectPublicKeyInfo::from_der(public_key_info) {
        Ok(([], info)) => {
            trust::strong_key(&info)?;
            Ok(KeyPin::of(public_key_info))
        }
        Ok(_) | Err(_) => Err(PathError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_as_people_write_them() {
        let plain = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";
        let pin = KeyPin::parse(plain).unwrap();
        assert_eq!(pin.0[..4], [0x01, 0x23, 0x45, 0x67]);
        assert_eq!(KeyPin::parse(&format!("sha256:{plain}")), Ok(pin));
        assert_eq!(KeyPin::parse(&pin.to_string()), Ok(pin));
        let pairs: Vec<&str> = (0..32).map(|at| &plain[2 * at..2 * at + 2]).collect();
        assert_eq!(KeyPin::parse(&pairs.join(":")), Ok(pin));
        let wrong = [
            &plain[1..],
            &format!("{plain}00"),
            "",
            "sha256:",
            &plain.replace('a', "g"),
        ];
        for wrong in wrong {
            assert_eq!(KeyPin::parse(wrong), Err(KeyPinError), "{wrong}");
        }
    }

    #[test]
    fn rubbish_is_no_key() {
        assert_eq!(check(b""), Err(PathError::Malformed));
        assert_eq!(check(b"0\x03\x02\x01\x00"), Err(PathError::Malformed));
    }
}
