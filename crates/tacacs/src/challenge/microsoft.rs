//! The NT responses of RFC 2433 and RFC 2759.

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use sha1::Sha1;
use zeroize::Zeroizing;

/// The NT response of MS-CHAPv1 (RFC 2433 section A.5): 24 octets. `None` for a secret that is no UTF-8.
pub(super) fn version_1(challenge: &[u8], secret: &[u8]) -> Option<[u8; 24]> {
    let challenge = challenge.first_chunk()?;
    Some(response(challenge, &*password_hash(secret)?))
}

/// The NT response of MS-CHAPv2 (RFC 2759 section 8.1): 24 octets. `None` for a secret that is no UTF-8.
pub(super) fn version_2(
    challenge: &[u8],
    peer_challenge: &[u8],
    user: &[u8],
    secret: &[u8],
) -> Option<[u8; 24]> {
    let name = user.rsplit(|octet| *octet == b'\\').next().unwrap_or(user);
    let mut hash = Sha1::new();
    hash.update(peer_challenge);
    hash.update(challenge);
    hash.update(name);
    let hash: [u8; 20] = hash.finalize().into();
    let challenge = hash.first_chunk()?;
    Some(response(challenge, &*password_hash(secret)?))
}

/// MD4 over the password in UTF-16, little-endian.
fn password_hash(secret: &[u8]) -> Option<Zeroizing<[u8; 16]>> {
    let mut hash = Md4::new();
    for unit in core::str::from_utf8(secret).ok()?.encode_utf16() {
        hash.update(unit.to_le_bytes());
    }
    Some(Zeroizing::new(hash.finalize().into()))
}

/// The challenge under DES with each third of the hash, which is filled up with zeros to 21 octets.
fn response(challenge: &[u8; 8], hash: &[u8; 16]) -> [u8; 24] {
    let mut keys = Zeroizing::new([0_u8; 21]);
    for (key, octet) in keys.iter_mut().zip(hash) {
        *key = *octet;
    }
    let mut out = [0; 24];
    for (out, key) in out.chunks_exact_mut(8).zip(keys.chunks_exact(7)) {
        let mut block: Array<u8, _> = (*challenge).into();
        Des::new(&(*with_parity(key)).into()).encrypt_block(&mut block);
        out.copy_from_slice(&block);
    }
    out
}

/// Seven bits an octet; the parity bit, which DES ignores, stays zero.
fn with_parity(key: &[u8]) -> Zeroizing<[u8; 8]> {
    let bits = key
        .iter()
        .fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
    let mut out = Zeroizing::new([0; 8]);
    for (index, octet) in out.iter_mut().rev().enumerate() {
        let seven = bits >> (7 * index) & 0x7f;
        *octet = u8::try_from(seven << 1).unwrap_or_default();
    }
    out
}
