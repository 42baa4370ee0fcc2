//! TACACS+ (RFC 8907). Skeleton.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

/// A shared secret: never printed, wiped on drop.
#[derive(Clone)]
pub struct Secret(zeroize::Zeroizing<alloc::vec::Vec<u8>>);

impl Secret {
    /// Takes the octets of the secret.
    pub fn new(octets: impl Into<alloc::vec::Vec<u8>>) -> Self {
        Self(zeroize::Zeroizing::new(octets.into()))
    }
    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}
