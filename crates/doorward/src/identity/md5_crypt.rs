//! MD5-crypt (`$1$`), for hashes brought along from old servers. Only verified, never made.

use md5::{Digest, Md5};

/// Octets of salt that count.
pub(super) const MAX_SALT: usize = 8;

/// Characters of the encoded digest.
pub(super) const ENCODED: usize = 22;

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The digest octets behind each group of characters, most significant first.
const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The digest of `password`.
pub(super) fn md5_crypt(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let alternate = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update(b"$1$")
        .chain_update(salt);
    for chunk in password.chunks(alternate.len()) {
        first.update(alternate.get(..chunk.len()).unwrap_or_default());
    }
    // One octet for every bit of the length: a zero for a one bit, the first of the password for a zero bit.
    let mut length = password.len();
    while length > 0 {
        let octet = if length & 1 == 1 {
            Some(&0)
        } else {
            password.first()
        };
        first.update(octet.map(std::slice::from_ref).unwrap_or_default());
        length >>= 1;
    }
    let mut digest: [u8; 16] = first.finalize().into();
    for round in 0..1000_u32 {
        let mut next = Md5::new();
        let odd = round % 2 == 1;
        next.update(if odd { password } else { &digest });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &digest } else { password });
        digest = next.finalize().into();
    }
    digest
}

/// The 16 octets behind the 22 characters after the salt.
pub(super) fn decode(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != ENCODED {
        return None;
    }
    let mut digest = [0; 16];
    for (characters, octets) in text.chunks(4).zip(GROUPS) {
        let value = number(characters)?;
        for (octet, shift) in octets.into_iter().zip([16_u32, 8, 0]) {
            *digest.get_mut(octet)? = u8::try_from(value >> shift & 0xff).ok()?;
        }
    }
    *digest.get_mut(11)? = u8::try_from(number(text.get(20..)?)?).ok()?;
    Some(digest)
}

/// Six bits a character, the first one least significant.
fn number(characters: &[u8]) -> Option<u32> {
    let mut value = 0;
    for character in characters.iter().rev() {
        let digit = ALPHABET.iter().position(|letter| letter == character)?;
        value = value << 6 | u32::try_from(digit).ok()?;
    }
    Some(value)
}
