//! External pre-shared keys (RFC 9887 section 3.5, RFC 9257): what they are made of and how they go wrong.

use std::fmt;

use zeroize::Zeroizing;

use crate::channel::ticket::MAGIC;
use crate::hex;

const MAX_IDENTITY: usize = 512;
/// OpenSSL handles those of TLS 1.2 and DTLS 1.2 as strings of at most so many octets.
const MAX_OLD_IDENTITY: usize = 256;
const MIN_KEY: usize = 16;
/// The oldest OpenSSL that we link takes no longer one.
const MAX_KEY: usize = 256;

/// Is this what one of our tickets looks like? No configured identity may, so that neither is taken for the other.
pub(crate) fn is_ticket(identity: &[u8]) -> bool {
    identity.starts_with(&MAGIC)
}

/// The identity of a key: 1 to 512 octets of any value, compared octet for octet (RFC 9257 section 6.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PskIdentity(Vec<u8>);

impl PskIdentity {
    /// Takes the octets as they are.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, PskError> {
        let octets = octets.into();
        match octets.len() {
            0 => Err(PskError::IdentityEmpty),
            1..=MAX_IDENTITY if is_ticket(&octets) => Err(PskError::IdentityReserved),
            1..=MAX_IDENTITY => Ok(Self(octets)),
            length => Err(PskError::IdentityTooLong { length }),
        }
    }

    /// Reads hexadecimal digits in either case.
    pub fn from_hex(text: &str) -> Result<Self, PskError> {
        let octets = hex::octets(text.as_bytes()).ok_or(PskError::NotHex)?;
        Self::new(octets.to_vec())
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Whether TLS 1.2 and DTLS 1.2 can carry it: 256 octets at most, none of which is zero.
    pub fn fits_tls12(&self) -> bool {
        self.0.len() <= MAX_OLD_IDENTITY && !self.0.contains(&0)
    }
}

impl fmt::Display for PskIdentity {
    /// Printable ASCII as it is, everything else escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for PskIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A key: 16 to 256 octets, zeroized on drop and never printed.
#[derive(Clone)]
pub struct PskKey(Zeroizing<Vec<u8>>);

impl PskKey {
    /// Takes the octets as they are.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, PskError> {
        let octets = Zeroizing::new(octets.into());
        match octets.len() {
            length @ ..MIN_KEY => Err(PskError::KeyTooShort { length }),
            MIN_KEY..=MAX_KEY => Ok(Self(octets)),
            length => Err(PskError::KeyTooLong { length }),
        }
    }

    /// Reads hexadecimal digits in either case.
    pub fn from_hex(text: &str) -> Result<Self, PskError> {
        let mut octets = hex::octets(text.as_bytes()).ok_or(PskError::NotHex)?;
        Self::new(std::mem::take(&mut *octets))
    }

    /// Reads base64 with its padding (RFC 4648 section 4), without white space.
    pub fn from_base64(text: &str) -> Result<Self, PskError> {
        let mut octets = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3));
        let (groups, rest) = text.as_bytes().as_chunks::<4>();
        if !rest.is_empty() {
            return Err(PskError::NotBase64);
        }
        for (place, group) in groups.iter().enumerate() {
            let padding = group
                .iter()
                .rev()
                .take_while(|&&octet| octet == b'=')
                .count();
            if padding > 2 || (padding > 0 && place + 1 < groups.len()) {
                return Err(PskError::NotBase64);
            }
            let digits = group.get(..4 - padding).unwrap_or_default();
            let mut value = 0_u32;
            for &digit in digits {
                value = value << 6 | sextet(digit).ok_or(PskError::NotBase64)?;
            }
            value <<= 6 * padding;
            let [_, three @ ..] = value.to_be_bytes();
            let (used, unused) = three.split_at_checked(3 - padding).unwrap_or_default();
            if unused.iter().any(|&octet| octet != 0) {
                return Err(PskError::NotBase64);
            }
            octets.extend_from_slice(used);
        }
        Self::new(std::mem::take(&mut *octets))
    }

    /// A key that nobody holds.
    pub(crate) fn random() -> Option<Self> {
        let mut octets = vec![0; 32];
        openssl::rand::rand_bytes(&mut octets).ok()?;
        Self::new(octets).ok()
    }

    /// The octets, for the comparison with other secrets and for nothing else outside this crate.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for PskKey {
    /// Takes as long wherever the first difference is.
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && openssl::memcmp::eq(&self.0, &other.0)
    }
}

impl Eq for PskKey {}

impl fmt::Debug for PskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PskKey(..)")
    }
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// Why octets are no identity or no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PskError {
    /// The identity has no octet.
    IdentityEmpty,
    /// The identity is too long.
    IdentityTooLong {
        /// Its octets.
        length: usize,
    },
    /// The identity begins like our own tickets.
    IdentityReserved,
    /// The key is too short (RFC 9887 section 3.5).
    KeyTooShort {
        /// Its octets.
        length: usize,
    },
    /// The key is too long.
    KeyTooLong {
        /// Its octets.
        length: usize,
    },
    /// Not an even number of hexadecimal digits.
    NotHex,
    /// Not base64 with its padding.
    NotBase64,
}

impl fmt::Display for PskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdentityEmpty => f.write_str("the identity is empty"),
            Self::IdentityTooLong { length } => write!(
                f,
                "the identity has {length} octets; {MAX_IDENTITY} is the most there can be"
            ),
            Self::IdentityReserved => f.write_str("identities that begin with DWT1 are our own"),
            Self::KeyTooShort { length } => write!(
                f,
                "the key has {length} octets; {MIN_KEY} is the least there can be"
            ),
            Self::KeyTooLong { length } => write!(
                f,
                "the key has {length} octets; {MAX_KEY} is the most there can be"
            ),
            Self::NotHex => f.write_str("the key is not an even number of hexadecimal digits"),
            Self::NotBase64 => f.write_str("the key is not base64 with its padding"),
        }
    }
}

impl std::error::Error for PskError {}

/// Why a handshake by a pre-shared key failed. The peer is never told which of the first two it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PskFailure {
    /// No device has an identity that the client offers.
    UnknownIdentity,
    /// The client does not hold the key of the identity it offers.
    WrongKey,
    /// The client offers no key where nothing else is accepted.
    NotOffered,
    /// The client offers keys without a key exchange besides, so without forward secrecy.
    NoKeyExchange,
    /// The client offers keys and does not say how it would use them (RFC 8446 section 4.2.9).
    NoModes,
    /// The server does not take our key; it wants a certificate instead.
    NotAccepted,
}

impl PskFailure {
    /// A short name for counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownIdentity => "psk-unknown-identity",
            Self::WrongKey => "psk-wrong-key",
            Self::NotOffered => "psk-not-offered",
            Self::NoKeyExchange => "psk-no-key-exchange",
            Self::NoModes => "psk-no-modes",
            Self::NotAccepted => "psk-not-accepted",
        }
    }
}

impl fmt::Display for PskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIdentity => "the pre-shared key of the client belongs to no device",
            Self::WrongKey => "the client does not hold the pre-shared key it names",
            Self::NotOffered => "the client offers no pre-shared key",
            Self::NoKeyExchange => {
                "the client wants to use a pre-shared key without a key exchange"
            }
            Self::NoModes => "the client does not say how it would use its pre-shared key",
            Self::NotAccepted => "the server does not take our pre-shared key",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(octets: usize) -> Result<PskKey, PskError> {
        PskKey::new(vec![7; octets])
    }

    #[test]
    fn keys_have_sixteen_octets_and_more() {
        for good in [16, 32, 64, 256] {
            assert_eq!(key(good).unwrap().octets().len(), good);
        }
        assert_eq!(key(15).unwrap_err(), PskError::KeyTooShort { length: 15 });
        assert_eq!(key(257).unwrap_err(), PskError::KeyTooLong { length: 257 });
        assert_eq!(format!("{:?}", key(16).unwrap()), "PskKey(..)");
        assert_eq!(key(16), key(16));
        assert_ne!(key(16), key(17));
        assert_ne!(PskKey::new([8; 16]).unwrap(), key(16).unwrap());
    }

    #[test]
    fn identities_are_octets() {
        let shown = |octets: &[u8]| format!("{:?}", PskIdentity::new(octets).unwrap());
        assert_eq!(shown(b"core1\0\xff\"\n"), r#""core1\x00\xff\"\n""#);
        assert_eq!(PskIdentity::new([]), Err(PskError::IdentityEmpty));
        assert!(PskIdentity::new([1; 512]).is_ok());
        let long = PskError::IdentityTooLong { length: 513 };
        assert_eq!(PskIdentity::new([1; 513]), Err(long));
        assert_eq!(PskIdentity::new("DWT1x"), Err(PskError::IdentityReserved));
        assert!(PskIdentity::new("dwt1x").is_ok());
        let fits = |octets: &[u8]| PskIdentity::new(octets).unwrap().fits_tls12();
        assert!(fits(&[1; 256]) && !fits(&[1; 257]) && !fits(b"a\0b"));
    }

    #[test]
    fn keys_are_read_from_text() {
        let sixteen: Vec<u8> = (0xf0..=0xff).collect();
        let hex = PskKey::from_hex("f0f1f2f3f4f5f6f7F8F9FAFBFCFDFEFF").unwrap();
        assert_eq!(hex.octets(), sixteen);
        let base64 = PskKey::from_base64("8PHy8/T19vf4+fr7/P3+/w==").unwrap();
        assert_eq!(base64.octets(), sixteen);
        let eighteen = PskKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAB").unwrap();
        assert_eq!(eighteen.octets().last(), Some(&1));

        for bad in ["f", "fg", "+1", "0x", "é"] {
            assert_eq!(
                PskKey::from_hex(bad).unwrap_err(),
                PskError::NotHex,
                "{bad}"
            );
        }
        for bad in [
            "A", "AA", "A===", "====", "AB==", "AA==AAAA", "AA=A", "AA A", "_-AA",
        ] {
            assert_eq!(
                PskKey::from_base64(bad).unwrap_err(),
                PskError::NotBase64,
                "{bad}"
            );
        }
        let short = PskError::KeyTooShort { length: 0 };
        assert_eq!(PskKey::from_hex("").unwrap_err(), short);
        assert_eq!(PskKey::from_base64("").unwrap_err(), short);
    }
}
