//! Values that the shared secret hides: User-Password (RFC 2865 section 5.2), and those with a salt: Tunnel-Password
//! (RFC 2868 section 3.5) and the keys of vendors (RFC 2548 section 2.4.2).

use alloc::vec::Vec;
use core::fmt;

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::Secret;
use crate::authenticator::AUTHENTICATOR;

/// Octets of the longest password that a User-Password can hide.
pub const MAX_PASSWORD: usize = 128;
/// Octets of the longest value that a salt can hide.
pub const MAX_SALTED: usize = 239;

/// Why a value cannot be hidden or revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenError {
    /// It is too long to be hidden.
    TooLong,
    /// What is to be revealed is not a row of 16 octets, or is too long or too short.
    Size,
    /// The length that came out is impossible: another secret hid it.
    Length,
}

impl fmt::Display for HiddenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the value is too long to be hidden",
            Self::Size => "a hidden value is a row of one or more blocks of 16 octets",
            Self::Length => "what was hidden has an impossible length: another secret hid it",
        })
    }
}

impl core::error::Error for HiddenError {}

/// Hides a password: the value of User-Password.
///
/// # Errors
/// More than 128 octets.
pub fn hide_password(
    password: &[u8],
    authenticator: &[u8; AUTHENTICATOR],
    secret: &Secret,
) -> Result<Vec<u8>, HiddenError> {
    if password.len() > MAX_PASSWORD {
        return Err(HiddenError::TooLong);
    }
    let blocks = password.len().div_ceil(AUTHENTICATOR).max(1);
    let mut octets = Vec::with_capacity(blocks.saturating_mul(AUTHENTICATOR));
    octets.extend_from_slice(password);
    octets.resize(blocks.saturating_mul(AUTHENTICATOR), 0);
    mask(&mut octets, &[authenticator], secret, Side::Hide);
    Ok(octets)
}

/// Reveals a password; the zeros it was filled up with are taken off.
///
/// # Errors
/// Not 16 to 128 octets in blocks of 16.
pub fn reveal_password(
    hidden: &[u8],
    authenticator: &[u8; AUTHENTICATOR],
    secret: &Secret,
) -> Result<Zeroizing<Vec<u8>>, HiddenError> {
    if hidden.is_empty()
        || hidden.len() > MAX_PASSWORD
        || !hidden.len().is_multiple_of(AUTHENTICATOR)
    {
        return Err(HiddenError::Size);
    }
    let mut octets = Zeroizing::new(hidden.to_vec());
    mask(&mut octets, &[authenticator], secret, Side::Reveal);
    let end = octets.iter().rposition(|octet| *octet != 0);
    octets.truncate(end.map_or(0, |last| last.saturating_add(1)));
    Ok(octets)
}

/// Hides a value with a salt: two octets of salt, then what is hidden. `authenticator` is that of the request. A salt is
/// used once in a packet; its highest bit is set here, as the RFC wants it.
///
/// # Errors
/// More than 239 octets.
pub fn hide_salted(
    value: &[u8],
    salt: u16,
    authenticator: &[u8; AUTHENTICATOR],
    secret: &Secret,
) -> Result<Vec<u8>, HiddenError> {
    let length = u8::try_from(value.len()).map_err(|_| HiddenError::TooLong)?;
    if value.len() > MAX_SALTED {
        return Err(HiddenError::TooLong);
    }
    let salt = (salt | 0x8000).to_be_bytes();
    let mut octets = Vec::with_capacity(MAX_SALTED + 3);
    octets.extend_from_slice(&salt);
    octets.push(length);
    octets.extend_from_slice(value);
    let blocks = value.len().saturating_add(1).div_ceil(AUTHENTICATOR);
    octets.resize(blocks.saturating_mul(AUTHENTICATOR).saturating_add(2), 0);
    if let Some(body) = octets.get_mut(2..) {
        mask(body, &[authenticator, &salt], secret, Side::Hide);
    }
    Ok(octets)
}

/// Reveals a value with a salt.
///
/// # Errors
/// Not a salt and blocks of 16 octets, or an impossible length inside.
pub fn reveal_salted(
    hidden: &[u8],
    authenticator: &[u8; AUTHENTICATOR],
    secret: &Secret,
) -> Result<Zeroizing<Vec<u8>>, HiddenError> {
    let (salt, body) = hidden.split_first_chunk::<2>().ok_or(HiddenError::Size)?;
    if body.is_empty() || !body.len().is_multiple_of(AUTHENTICATOR) {
        return Err(HiddenError::Size);
    }
    let mut octets = Zeroizing::new(body.to_vec());
    mask(&mut octets, &[authenticator, salt], secret, Side::Reveal);
    let (length, value) = octets.split_first().ok_or(HiddenError::Length)?;
    let value = value.get(..usize::from(*length));
    Ok(Zeroizing::new(value.ok_or(HiddenError::Length)?.to_vec()))
}

/// Hides or reveals a value as Ascend-Send-Secret is, which no RFC has: mixed with the digest of the authenticator of the
/// request and the secret. What is shorter than 16 octets stays so.
///
/// # Errors
/// No octets, or more than 16.
pub fn mask_ascend(
    value: &[u8],
    authenticator: &[u8; AUTHENTICATOR],
    secret: &Secret,
) -> Result<Zeroizing<Vec<u8>>, HiddenError> {
    if !(1..=AUTHENTICATOR).contains(&value.len()) {
        return Err(HiddenError::Size);
    }
    let mut md5 = Md5::new();
    md5.update(authenticator);
    md5.update(secret.octets());
    let pad = Zeroizing::new(<[u8; AUTHENTICATOR]>::from(md5.finalize()));
    let mut octets = Zeroizing::new(value.to_vec());
    for (octet, pad) in octets.iter_mut().zip(pad.iter()) {
        *octet ^= pad;
    }
    Ok(octets)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Hide,
    Reveal,
}

/// Each block is mixed with a digest of the secret and the hidden block before it; the first with `first`.
fn mask(octets: &mut [u8], first: &[&[u8]], secret: &Secret, side: Side) {
    let mut md5 = Md5::new();
    md5.update(secret.octets());
    for part in first {
        md5.update(part);
    }
    let mut pad = Zeroizing::new(<[u8; AUTHENTICATOR]>::from(md5.finalize()));
    for block in octets.chunks_mut(AUTHENTICATOR) {
        let mut next = Md5::new();
        next.update(secret.octets());
        if side == Side::Reveal {
            next.update(&block);
        }
        for (octet, pad) in block.iter_mut().zip(pad.iter()) {
            *octet ^= pad;
        }
        if side == Side::Hide {
            next.update(&block);
        }
        *pad = next.finalize().into();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_have_their_bounds() {
        let (authenticator, secret) = ([7; 16], Secret::new(b"secret"));
        let hide = |length| hide_password(&vec![1; length], &authenticator, &secret);
        assert_eq!(hide(0).map(|octets| octets.len()), Ok(16));
        assert_eq!(hide(16).map(|octets| octets.len()), Ok(16));
        assert_eq!(hide(17).map(|octets| octets.len()), Ok(32));
        assert_eq!(hide(128).map(|octets| octets.len()), Ok(128));
        assert_eq!(hide(129), Err(HiddenError::TooLong));
        for length in [0, 15, 17, 144] {
            let revealed = reveal_password(&vec![1; length], &authenticator, &secret);
            assert_eq!(revealed, Err(HiddenError::Size));
        }
        let salted = |length| hide_salted(&vec![1; length], 1, &authenticator, &secret);
        assert_eq!(salted(239).map(|octets| octets.len()), Ok(242));
        assert_eq!(salted(240), Err(HiddenError::TooLong));
        for length in [0, 2, 17, 19] {
            let revealed = reveal_salted(&vec![1; length], &authenticator, &secret);
            assert_eq!(revealed, Err(HiddenError::Size));
        }
    }

    #[test]
    fn another_secret_does_not_reveal() {
        let (authenticator, secret) = ([7; 16], Secret::new(b"secret"));
        let hidden = hide_password(b"arctangent", &authenticator, &secret).unwrap();
        let other = reveal_password(&hidden, &authenticator, &Secret::new(b"other")).unwrap();
        assert_ne!(&**other, b"arctangent");
    }

    /// Both directions are the same; there is one block at most. The octets are from another implementation of MD5.
    #[test]
    fn ascend_hides_one_block() {
        let mask = |value: &[u8]| mask_ascend(value, &[7; 16], &Secret::new(b"secret"));
        assert_eq!(mask(b""), Err(HiddenError::Size));
        assert_eq!(mask(&[0; 17]), Err(HiddenError::Size));
        assert_eq!(&**mask(&[0; 4]).unwrap(), [0x84, 0xf9, 0xcb, 0x72]);
        let hidden = mask(b"sixteen octets!!").unwrap();
        assert_eq!(&**mask(&hidden).unwrap(), b"sixteen octets!!");
    }

    proptest! {
        #[test]
        fn what_was_hidden_is_revealed(
            password in proptest::collection::vec(1_u8.., 0..129),
            value in proptest::collection::vec(any::<u8>(), 0..240),
            salt: u16,
            authenticator: [u8; 16],
            secret in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let secret = Secret::new(&secret);
            let hidden = hide_password(&password, &authenticator, &secret).unwrap();
            let revealed = reveal_password(&hidden, &authenticator, &secret).unwrap();
            prop_assert_eq!(&*revealed, &password);
            let hidden = hide_salted(&value, salt, &authenticator, &secret).unwrap();
            prop_assert!(hidden[0] >= 0x80);
            let revealed = reveal_salted(&hidden, &authenticator, &secret).unwrap();
            prop_assert_eq!(&*revealed, &value);
        }
    }
}
