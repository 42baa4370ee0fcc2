//! Paths found good before, so that a known device costs no path building.
//!
//! A hit skips the signatures of the path and nothing else: dates, revocation, identity, admission and the
//! CertificateVerify signature are judged on every handshake. Only a handshake that succeeded as a whole puts a path in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use super::{Known, PeerRole};

/// Paths in one generation; two are kept, so the bound is twice this.
pub(super) const GENERATION: usize = 16 * 1024;

pub(crate) type Key = [u8; 32];

/// Binds the remembered path to every octet of the presented chain and to the role.
pub(super) fn key(chain: &[&[u8]], role: PeerRole) -> Key {
    let mut context = Context::new(&SHA256);
    context.update(match role {
        PeerRole::Client => b"client",
        PeerRole::Server => b"server",
    });
    for certificate in chain {
        let length = u64::try_from(certificate.len()).unwrap_or(u64::MAX);
        context.update(&length.to_be_bytes());
        context.update(certificate);
    }
    context
        .finish()
        .as_ref()
        .first_chunk()
        .copied()
        .unwrap_or_default()
}

/// Bounded by two generations: when the young one is full it becomes the old one, and the old one is dropped.
#[derive(Default)]
pub(super) struct Memo(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Key, Arc<Known>>,
    old: HashMap<Key, Arc<Known>>,
}

impl Memo {
    /// Changes nothing: whoever asks has not proved anything yet.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Known>> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = generations.young.get(key);
        found.or_else(|| generations.old.get(key)).cloned()
    }

    /// Puts a path into the young generation, wherever it was before.
    pub(super) fn insert(&self, key: Key, path: &Arc<Known>) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old } = &mut *generations;
        if let Some(known) = young.get_mut(&key) {
            known.clone_from(path);
            return;
        }
        old.remove(&key);
        if young.len() >= GENERATION {
            *old = std::mem::take(young);
        }
        young.insert(key, path.clone());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let generations = self.0.lock().unwrap();
        generations.young.len() + generations.old.len()
    }
}
