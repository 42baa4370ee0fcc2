//! CHAP (RFC 2865 section 2.2) and MS-CHAPv2 (RFC 2548 section 2.3, RFC 2759) as attributes carry them.

use alloc::string::String;
use core::fmt::Write as _;

use md4::Md4;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::attribute::{Attributes, kind};
use crate::authenticator::AUTHENTICATOR;

/// The vendor number of Microsoft.
pub const MICROSOFT: u32 = 311;

/// Numbers of Microsoft's types (RFC 2548).
pub mod microsoft {
    /// MS-CHAP-Error.
    pub const CHAP_ERROR: u8 = 2;
    /// MS-CHAP-Challenge.
    pub const CHAP_CHALLENGE: u8 = 11;
    /// MS-CHAP2-Response.
    pub const CHAP2_RESPONSE: u8 = 25;
    /// MS-CHAP2-Success.
    pub const CHAP2_SUCCESS: u8 = 26;
}

/// A CHAP-Password and its challenge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chap<'a> {
    /// The identifier of the challenge.
    pub id: u8,
    /// What was asked: CHAP-Challenge, or else the Request Authenticator.
    pub challenge: &'a [u8],
    /// The answer, 16 octets.
    pub response: &'a [u8; 16],
}

impl core::fmt::Debug for Chap<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Chap(..)")
    }
}

impl<'a> Chap<'a> {
    /// What a request holds. `None` if its CHAP-Password has not 17 octets, or it has none.
    pub fn of(attributes: &Attributes<'a>, authenticator: &'a [u8; AUTHENTICATOR]) -> Option<Self> {
        let (id, response) = attributes.first(kind::CHAP_PASSWORD)?.split_first()?;
        Some(Self {
            id: *id,
            challenge: attributes
                .first(kind::CHAP_CHALLENGE)
                .unwrap_or(authenticator),
            response: response.try_into().ok()?,
        })
    }

    /// Whether the answer is that of somebody who knows the secret of the user. Takes as long when it is not.
    pub fn verify(&self, secret: &[u8]) -> bool {
        chap(self.id, self.challenge, secret)
            .ct_eq(self.response)
            .into()
    }
}

/// The answer to a challenge (RFC 1994 section 4.1).
pub fn chap(id: u8, challenge: &[u8], secret: &[u8]) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update([id]);
    md5.update(secret);
    md5.update(challenge);
    md5.finalize().into()
}

/// An MS-CHAP2-Response and its challenge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MsChap2 {
    /// The identifier.
    pub id: u8,
    /// Flags, 0 by RFC 2759.
    pub flags: u8,
    /// What was asked.
    pub challenge: [u8; 16],
    /// The challenge of the person's side.
    pub peer_challenge: [u8; 16],
    /// Eight octets that are zero by the RFC.
    pub reserved: [u8; 8],
    /// The answer.
    pub response: [u8; 24],
}

impl core::fmt::Debug for MsChap2 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MsChap2(..)")
    }
}

impl MsChap2 {
    /// What a request holds. `None` if a piece is missing or of another size.
    pub fn of(attributes: &Attributes<'_>) -> Option<Self> {
        let challenge = attributes
            .of_vendor(MICROSOFT, microsoft::CHAP_CHALLENGE)
            .next()?;
        let value = attributes
            .of_vendor(MICROSOFT, microsoft::CHAP2_RESPONSE)
            .next()?;
        Self::parse(challenge, value)
    }

    /// From the values of MS-CHAP-Challenge and MS-CHAP2-Response. `None` if one is of another size.
    pub fn parse(challenge: &[u8], value: &[u8]) -> Option<Self> {
        let ([id, flags], rest) = value.split_first_chunk::<2>()?;
        let (peer_challenge, rest) = rest.split_first_chunk::<16>()?;
        let (reserved, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            id: *id,
            flags: *flags,
            challenge: challenge.try_into().ok()?,
            peer_challenge: *peer_challenge,
            reserved: *reserved,
            response: rest.try_into().ok()?,
        })
    }

    /// What tells the person's side that the server knows the secret too: the text of MS-CHAP2-Success after its
    /// identifier (RFC 2759 section 8.7). `user` is the name that the answer covers; a domain before a `\` is left out.
    ///
    /// `None` if the secret is not UTF-8.
    pub fn success(&self, user: &[u8], secret: &[u8]) -> Option<String> {
        let hash = Zeroizing::new(nt_hash(secret)?);
        let hash_hash = Zeroizing::new(<[u8; 16]>::from(Md4::digest(*hash)));
        let mut sha = Sha1::new();
        sha.update(*hash_hash);
        sha.update(self.response);
        sha.update(b"Magic server to client signing constant");
        let digest = sha.finalize();
        let mut sha = Sha1::new();
        sha.update(digest);
        sha.update(self.challenge_hash(user));
        sha.update(b"Pad to make it do more than one iteration");
        let mut text = String::from("S=");
        for octet in sha.finalize() {
            // Writing into a String does not fail.
            _ = write!(text, "{octet:02X}");
        }
        Some(text)
    }

    fn challenge_hash(&self, user: &[u8]) -> [u8; 8] {
        let name = user.rsplit(|octet| *octet == b'\\').next().unwrap_or(user);
        let mut sha = Sha1::new();
        sha.update(self.peer_challenge);
        sha.update(self.challenge);
        sha.update(name);
        let digest: [u8; 20] = sha.finalize().into();
        digest.first_chunk().copied().unwrap_or_default()
    }
}

/// MD4 over the secret in UTF-16.
fn nt_hash(secret: &[u8]) -> Option<[u8; 16]> {
    let text = core::str::from_utf8(secret).ok()?;
    let mut md4 = Md4::new();
    for unit in text.encode_utf16() {
        md4.update(unit.to_le_bytes());
    }
    Some(md4.finalize().into())
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let octets: Vec<u8> = (0..text.len() / 2)
            .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        octets.try_into().unwrap()
    }

    /// The example of RFC 2759 section 9.2.
    #[test]
    fn the_server_proves_itself_as_in_the_rfcs_example() {
        let response = MsChap2 {
            id: 1,
            flags: 0,
            challenge: hex("5B5D7C7D7B3F2F3E3C2C602132262628"),
            peer_challenge: hex("21402324255E262A28295F2B3A337C7E"),
            reserved: [0; 8],
            response: hex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"),
        };
        let success = response.success(b"User", b"clientPass").unwrap();
        assert_eq!(success, "S=407A5589115FD0D6209F510FE9C04566932CDA56");
        let domain = response.success(b"REALM\\User", b"clientPass").unwrap();
        assert_eq!(domain, success);
        assert_ne!(response.success(b"User", b"other").unwrap(), success);
        assert_eq!(response.success(b"User", &[0xff]), None);
    }

    #[test]
    fn only_whole_responses_are_taken() {
        let authenticator = [5; 16];
        let of = |octets: &[u8]| {
            let attributes = Attributes::new(octets).unwrap();
            Chap::of(&attributes, &authenticator).map(|chap| (chap.id, chap.challenge.to_vec()))
        };
        let mut octets = Vec::from([3, 19, 22]);
        octets.extend([9; 16]);
        assert_eq!(of(&octets), Some((22, authenticator.to_vec())));
        octets.extend([60, 4, 1, 2]);
        assert_eq!(of(&octets), Some((22, Vec::from([1, 2]))));
        octets[1] = 18;
        octets[18] = 2;
        assert!(Attributes::new(&octets).is_err());
        assert_eq!(of(&[3, 4, 1, 2]), None);
        assert_eq!(of(&[3, 2]), None);
        let mut microsoft = Vec::from([26, 24, 0, 0, 1, 55, 11, 18]);
        microsoft.extend([1; 16]);
        microsoft.extend([26, 58, 0, 0, 1, 55, 25, 52, 7, 0]);
        microsoft.extend([2; 48]);
        let whole = MsChap2::of(&Attributes::new(&microsoft).unwrap()).unwrap();
        assert_eq!((whole.id, whole.response), (7, [2; 24]));
        microsoft.truncate(microsoft.len() - 1);
        microsoft[25] = 57;
        microsoft[31] = 51;
        assert_eq!(MsChap2::of(&Attributes::new(&microsoft).unwrap()), None);
    }
}
