//! Obfuscation of bodies (section 4.5). It hides nothing from anyone who tries; it is here because old devices speak nothing else.

use md5::{Digest, Md5};

use crate::{Header, Secret};

const DIGEST: usize = 16;

/// Applies the pad to a body in place; doing it twice restores the body.
///
/// The pad depends on the session, version and sequence number of `header`, each as on the wire, and on the secret.
pub fn apply(secret: &Secret, header: &Header, body: &mut [u8]) {
    let mut prefix = Md5::new();
    prefix.update(header.session_id.0.to_be_bytes());
    prefix.update(secret.octets());
    prefix.update([header.version.0, header.seq_no.0]);

    let mut previous: Option<[u8; DIGEST]> = None;
    for part in body.chunks_mut(DIGEST) {
        let mut hash = prefix.clone();
        if let Some(previous) = previous {
            hash.update(previous);
        }
        let pad: [u8; DIGEST] = hash.finalize().into();
        // The whole-chunk case is its own branch so that it becomes one vector operation.
        if let Ok(whole) = <&mut [u8; DIGEST]>::try_from(&mut *part) {
            let masked = u128::from_ne_bytes(*whole) ^ u128::from_ne_bytes(pad);
            *whole = masked.to_ne_bytes();
        } else {
            for (octet, mask) in part.iter_mut().zip(pad) {
                *octet ^= mask;
            }
        }
        previous = Some(pad);
    }
}
