//! Secrets that a challenge and its answer are judged by.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// `chap_secret` of a user: the secret itself, since CHAP and MS-CHAP cannot be judged by a hash of it. Clones share it; it is
/// never printed, and wiped with the last of them.
#[derive(Clone)]
pub struct ChapSecret(Arc<Zeroizing<Vec<u8>>>);

impl ChapSecret {
    /// Takes the octets.
    pub fn new(octets: &[u8]) -> Self {
        Self(Arc::new(Zeroizing::new(octets.to_vec())))
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ChapSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChapSecret(..)")
    }
}
