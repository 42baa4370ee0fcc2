//! The shared secret of section 4.5.

use alloc::vec::Vec;
use core::fmt;
use core::hint::black_box;

use zeroize::Zeroizing;

/// A shared secret: never printed, wiped on drop, compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the octets of the secret.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(octets.into()))
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    /// Takes the same time wherever the first difference is; only the lengths may be learnt.
    fn eq(&self, other: &Self) -> bool {
        if self.0.len() != other.0.len() {
            return false;
        }
        let difference = self
            .0
            .iter()
            .zip(other.0.iter())
            .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
        difference == 0
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// proves: TAC-10.5.1-1
    #[test]
    fn debug_output_has_no_octet_of_the_secret() {
        assert_eq!(format!("{:?}", Secret::new(*b"hunter2")), "Secret(..)");
    }

    #[test]
    fn equality_looks_at_every_octet() {
        assert_eq!(Secret::new(*b"abc"), Secret::new(*b"abc"));
        assert_ne!(Secret::new(*b"abc"), Secret::new(*b"abd"));
        assert_ne!(Secret::new(*b"abc"), Secret::new(*b"xbc"));
        assert_ne!(Secret::new(*b"abc"), Secret::new(*b"abcd"));
    }
}
