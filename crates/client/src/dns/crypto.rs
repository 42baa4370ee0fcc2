//! Keys of zones and signatures (RFC 4034 sections 2, 3 and 5).
//!
//! Supported are the algorithms that RFC 8624 wants validated, but for those with SHA-1, which count as unknown (RFC 9905), and Ed448. A zone
//! that has others alone is not signed for us, as RFC 4035 section 5.2 wants it.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::Kind;
use super::name::Name;
use super::wire::{IN, Reader, Record};

const RSA_SHA256: u8 = 8;
const RSA_SHA512: u8 = 10;
const ECDSA_P256: u8 = 13;
const ECDSA_P384: u8 = 14;
const ED_25519: u8 = 15;
/// Digests of keys.
const SHA256: u8 = 2;
const SHA384: u8 = 4;

fn is_supported(algorithm: u8) -> bool {
    [RSA_SHA256, RSA_SHA512, ECDSA_P256, ECDSA_P384, ED_25519].contains(&algorithm)
}

/// A public key of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    flags: u16,
    protocol: u8,
    algorithm: u8,
    key: Vec<u8>,
    rdata: Vec<u8>,
}

impl Key {
    pub(super) fn read(rdata: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(rdata);
        Some(Self {
            flags: reader.u16()?,
            protocol: reader.u8()?,
            algorithm: reader.u8()?,
            key: reader.rest().to_vec(),
            rdata: rdata.to_vec(),
        })
    }

    /// Whether it may sign: a key of a zone (RFC 4034 section 2.1.1) that is not revoked (RFC 5011 section 7).
    pub(super) fn may_sign(&self) -> bool {
        const ZONE: u16 = 0x0100;
        const REVOKED: u16 = 0x0080;
        self.protocol == 3 && self.flags & ZONE != 0 && self.flags & REVOKED == 0
    }

    pub(super) fn is_supported(&self) -> bool {
        is_supported(self.algorithm)
    }

    /// RFC 4034 appendix B.
    fn tag(&self) -> u16 {
        let pairs = self.rdata.chunks(2);
        let sum: u32 = pairs
            .map(|pair| match pair {
                [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
                [high] => u32::from(*high) << 8,
                _ => 0,
            })
            .fold(0, u32::wrapping_add);
        let folded = sum.wrapping_add(sum >> 16) & 0xffff;
        u16::try_from(folded).unwrap_or_default()
    }

    fn verifies(&self, octets: &[u8], signature: &[u8]) -> bool {
        match self.algorithm {
            RSA_SHA256 | RSA_SHA512 => self.verifies_rsa(octets, signature).is_some(),
            ECDSA_P256 | ECDSA_P384 => {
                let algorithm = if self.algorithm == ECDSA_P256 {
                    &ECDSA_P256_SHA256_FIXED
                } else {
                    &ECDSA_P384_SHA384_FIXED
                };
                let point = [&[4], self.key.as_slice()].concat();
                let key = UnparsedPublicKey::new(algorithm, point);
                key.verify(octets, signature).is_ok()
            }
            ED_25519 => {
                let key = UnparsedPublicKey::new(&ED25519, &self.key);
                key.verify(octets, signature).is_ok()
            }
            _ => false,
        }
    }

    /// RFC 3110 section 2.
    fn verifies_rsa(&self, octets: &[u8], signature: &[u8]) -> Option<()> {
        let mut reader = Reader::new(&self.key);
        let length = match reader.u8()? {
            0 => usize::from(reader.u16()?),
            length => usize::from(length),
        };
        let exponent = without_zeros(reader.take(length)?);
        let modulus = without_zeros(reader.rest());
        let parameters = if self.algorithm == RSA_SHA256 {
            &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        } else {
            &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        };
        let key = RsaPublicKeyComponents {
            n: modulus,
            e: exponent,
        };
        key.verify(parameters, octets, signature).ok()
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The digest of a key, which the zone above signs (RFC 4034 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    tag: u16,
    algorithm: u8,
    hash: u8,
    digest: Vec<u8>,
}

impl Digest {
    pub(super) fn read(rdata: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(rdata);
        Some(Self {
            tag: reader.u16()?,
            algorithm: reader.u8()?,
            hash: reader.u8()?,
            digest: reader.rest().to_vec(),
        })
    }

    pub(super) fn is_supported(&self) -> bool {
        is_supported(self.algorithm) && [SHA256, SHA384].contains(&self.hash)
    }

    /// Whether it is the digest of this key of this zone.
    pub(super) fn covers(&self, zone: &Name, key: &Key) -> bool {
        if self.algorithm != key.algorithm || self.tag != key.tag() {
            return false;
        }
        let algorithm = match self.hash {
            SHA256 => &digest::SHA256,
            SHA384 => &digest::SHA384,
            _ => return false,
        };
        let octets = [zone.wire(), key.rdata.as_slice()].concat();
        digest(algorithm, &octets).as_ref() == self.digest
    }
}

/// A signature of a set of records (RFC 4034 section 3).
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub(super) covered: Kind,
    algorithm: u8,
    labels: u8,
    original_ttl: u32,
    expiration: u32,
    inception: u32,
    tag: u16,
    pub(super) signer: Name,
    /// The fields before the signature itself, as they are signed.
    head: Vec<u8>,
    signature: Vec<u8>,
}

/// What a signature that is right says beside that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verified {
    /// In seconds.
    pub(super) ttl: u32,
    /// The records were made from the wildcard beneath this name.
    pub(super) wildcard_of: Option<Name>,
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    /// It is not by a key of the zone, or is no signature of these records.
    Wrong,
    /// It is right, and its time is over or has not come.
    Time,
}

impl Signature {
    pub(super) fn read(rdata: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(rdata);
        let signature = Self {
            covered: Kind(reader.u16()?),
            algorithm: reader.u8()?,
            labels: reader.u8()?,
            original_ttl: reader.u32()?,
            expiration: reader.u32()?,
            inception: reader.u32()?,
            tag: reader.u16()?,
            signer: reader.name()?,
            head: Vec::new(),
            signature: reader.rest().to_vec(),
        };
        let fixed = rdata.get(..18)?;
        Some(Self {
            head: [fixed, signature.signer.wire()].concat(),
            ..signature
        })
    }

    /// Whether this key may have made it.
    pub(super) fn may_be_by(&self, zone: &Name, key: &Key) -> bool {
        self.signer == *zone
            && self.algorithm == key.algorithm
            && key.may_sign()
            && self.tag == key.tag()
    }

    /// Verifies records of one owner and type (RFC 4035 section 5.3). `now` is in seconds since 1970, modulo 2^32.
    ///
    /// # Errors
    ///
    /// Why it does not count.
    pub(super) fn verify(
        &self,
        records: &[&Record],
        key: &Key,
        now: u32,
    ) -> Result<Verified, Flaw> {
        let owner = &records.first().ok_or(Flaw::Wrong)?.owner;
        let labels = usize::from(self.labels);
        // The star of a wildcard's own name is not counted.
        let is_star = owner.labels().next() == Some(b"*");
        let depth = owner.depth().saturating_sub(usize::from(is_star));
        if !owner.is_within(&self.signer) || labels > depth || labels < self.signer.depth() {
            return Err(Flaw::Wrong);
        }
        let wildcard_of = (labels < depth).then(|| owner.last(labels));
        let signed_name = match &wildcard_of {
            Some(above) => above.wildcard().ok_or(Flaw::Wrong)?,
            None => owner.clone(),
        };
        if !key.verifies(&self.signed(&signed_name, records), &self.signature) {
            return Err(Flaw::Wrong);
        }
        if !(is_until(self.inception, now) && is_until(now, self.expiration)) {
            return Err(Flaw::Time);
        }
        let ttls = records.iter().map(|record| record.ttl);
        let left = self.expiration.wrapping_sub(now);
        let ttl = ttls.chain([self.original_ttl, left]).min();
        Ok(Verified {
            ttl: ttl.unwrap_or_default(),
            wildcard_of,
        })
    }

    /// RFC 4035 section 5.3.2.
    fn signed(&self, name: &Name, records: &[&Record]) -> Vec<u8> {
        let canonical = records.iter().map(|record| record.canonical());
        let mut sorted: Vec<Vec<u8>> = canonical.collect();
        sorted.sort();
        sorted.dedup();
        let mut octets = self.head.clone();
        for rdata in sorted {
            octets.extend(name.wire());
            octets.extend(self.covered.0.to_be_bytes());
            octets.extend(IN.to_be_bytes());
            octets.extend(self.original_ttl.to_be_bytes());
            // RDATA came with a length of 16 bits. Names in it that were compressed can make it longer than that; then nobody signed it.
            let length = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
            octets.extend(length.to_be_bytes());
            octets.extend(rdata);
        }
        octets
    }
}

/// Whether one time is not after another, in the arithmetic of RFC 1982.
fn is_until(one: u32, other: u32) -> bool {
    other.wrapping_sub(one) <= i32::MAX as u32
}

/// The hash of a name for NSEC3 (RFC 5155 section 5).
pub(super) fn nsec3_hash(name: &Name, salt: &[u8], iterations: u16) -> Vec<u8> {
    let sha1 = |octets: &[u8]| {
        let octets = [octets, salt].concat();
        digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &octets)
            .as_ref()
            .to_vec()
    };
    let mut hash = sha1(name.wire());
    for _ in 0..iterations {
        hash = sha1(&hash);
    }
    hash
}
