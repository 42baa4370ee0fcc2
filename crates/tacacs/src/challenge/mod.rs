//! The `data` of a START with CHAP, MS-CHAPv1 or MS-CHAPv2 (RFC 8907 sections 5.4.2.3 to 5.4.2.5): its layout, how a
//! response is computed, and how one is checked.
//!
//! ```text
//! CHAP       id 1 │ challenge n  │ MD5 over id, secret and challenge 16
//! MS-CHAPv1  id 1 │ challenge 8  │ LM response 24 │ NT response 24 │ use NT 1          RFC 2433
//! MS-CHAPv2  id 1 │ challenge 16 │ peer challenge 16 │ zeros 8 │ NT response 24 │ 0    RFC 2759
//! ```
//!
//! Whoever checks a response needs the secret itself: a one-way hash of it will not do. MD4 and single DES are what the
//! Microsoft variants are made of; who reads a challenge and its response on the way can search the secret offline.

mod microsoft;

use alloc::vec::Vec;
use core::fmt;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::AuthenticationType;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChallengeMethod {
    /// CHAP, RFC 1994 with MD5.
    Chap,
    /// MS-CHAP version 1, RFC 2433. The LM response is neither sent nor looked at: it gives the password away.
    MsChapV1,
    /// MS-CHAP version 2, RFC 2759.
    MsChapV2,
}

impl ChallengeMethod {
    /// The method of an `authen_type`; `None` for those that send a password.
    pub fn of(authen_type: AuthenticationType) -> Option<Self> {
        match authen_type {
            AuthenticationType::CHAP => Some(Self::Chap),
            AuthenticationType::MSCHAP => Some(Self::MsChapV1),
            AuthenticationType::MSCHAPV2 => Some(Self::MsChapV2),
            _ => None,
        }
    }

    /// The `authen_type` that stands for it.
    pub fn authen_type(self) -> AuthenticationType {
        match self {
            Self::Chap => AuthenticationType::CHAP,
            Self::MsChapV1 => AuthenticationType::MSCHAP,
            Self::MsChapV2 => AuthenticationType::MSCHAPV2,
        }
    }

    /// Octets of the response.
    pub fn response_length(self) -> usize {
        match self {
            Self::Chap => 16,
            Self::MsChapV1 | Self::MsChapV2 => 49,
        }
    }

    /// Octets of the challenge, where they are fixed.
    pub fn challenge_length(self) -> Option<usize> {
        match self {
            Self::Chap => None,
            Self::MsChapV1 => Some(8),
            Self::MsChapV2 => Some(16),
        }
    }

    /// The `data` of a START that proves that the sender knows `secret`.
    ///
    /// `challenge` has 1 to 238 octets with CHAP (8 or more are wise), 8 with MS-CHAPv1, 16 with MS-CHAPv2, and comes
    /// from a random generator, as does `peer_challenge`, which only MS-CHAPv2 looks at. `user` is the name of the START.
    ///
    /// # Errors
    /// A challenge of another length, or a secret that is no UTF-8 with a Microsoft method.
    pub fn respond(
        self,
        id: u8,
        challenge: &[u8],
        peer_challenge: &[u8; 16],
        user: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, ChallengeError> {
        self.check_challenge(challenge)?;
        let mut data = Vec::with_capacity(1 + challenge.len() + self.response_length());
        data.push(id);
        data.extend_from_slice(challenge);
        match self {
            Self::Chap => data.extend_from_slice(&chap(id, secret, challenge)),
            Self::MsChapV1 => {
                data.extend_from_slice(&[0; 24]);
                let response = microsoft::version_1(challenge, secret);
                data.extend_from_slice(&response.ok_or(ChallengeError::Secret)?);
                data.push(1);
            }
            Self::MsChapV2 => {
                data.extend_from_slice(peer_challenge);
                data.extend_from_slice(&[0; 8]);
                let response = microsoft::version_2(challenge, peer_challenge, user, secret);
                data.extend_from_slice(&response.ok_or(ChallengeError::Secret)?);
                data.push(0);
            }
        }
        Ok(data)
    }

    fn check_challenge(self, challenge: &[u8]) -> Result<(), ChallengeError> {
        let found = challenge.len();
        match self.challenge_length() {
            Some(wanted) if found != wanted => Err(ChallengeError::Challenge { found, wanted }),
            // The length field of `data` has one octet.
            None if found == 0 || found > 255 - 17 => {
                Err(ChallengeError::Challenge { found, wanted: 16 })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The parts of the `data` of a START.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChallengeResponse<'a> {
    /// Which method.
    pub method: ChallengeMethod,
    /// The identifier, which tells the tries of one client apart.
    pub id: u8,
    /// What the client asked its peer, 1 octet or more.
    pub challenge: &'a [u8],
    /// What the peer answered: 16 octets with CHAP, 49 otherwise.
    pub response: &'a [u8],
}

impl<'a> ChallengeResponse<'a> {
    /// Takes `data` apart.
    ///
    /// # Errors
    /// Too few octets, or a challenge of a length that the method does not have (sections 5.4.2.4 and 5.4.2.5: 8 and 16
    /// octets and no others).
    pub fn decode(method: ChallengeMethod, data: &'a [u8]) -> Result<Self, ChallengeError> {
        let short = ChallengeError::Short {
            found: data.len(),
            least: 1 + method.challenge_length().unwrap_or(1) + method.response_length(),
        };
        let (id, rest) = data.split_first().ok_or(short)?;
        let end = rest.len().checked_sub(method.response_length());
        let (challenge, response) = end
            .and_then(|end| rest.split_at_checked(end))
            .ok_or(short)?;
        if challenge.is_empty() {
            return Err(short);
        }
        method.check_challenge(challenge)?;
        Ok(Self {
            method,
            id: *id,
            challenge,
            response,
        })
    }

    /// Whether the response proves that its sender knows `secret`; `user` is the name of the START, which MS-CHAPv2 covers
    /// (without a domain before a backslash). Takes the same time wherever a wrong response differs.
    ///
    /// # Errors
    /// [`ChallengeError::Secret`]: nobody can answer with a secret that is no UTF-8 by a Microsoft method.
    /// [`ChallengeError::LmOnly`]: the response has nothing but an LM response, which is not looked at.
    pub fn verify(&self, user: &[u8], secret: &[u8]) -> Result<bool, ChallengeError> {
        let (wanted, found) = match self.method {
            ChallengeMethod::Chap => {
                let wanted = chap(self.id, secret, self.challenge);
                return Ok(wanted.ct_eq(self.response).into());
            }
            ChallengeMethod::MsChapV1 => {
                if self.response.last() != Some(&1) {
                    return Err(ChallengeError::LmOnly);
                }
                let wanted = microsoft::version_1(self.challenge, secret);
                (wanted, self.response.get(24..48))
            }
            ChallengeMethod::MsChapV2 => {
                let peer = self.response.get(..16).unwrap_or_default();
                let wanted = microsoft::version_2(self.challenge, peer, user, secret);
                (wanted, self.response.get(24..48))
            }
        };
        let wanted = wanted.ok_or(ChallengeError::Secret)?;
        Ok(found.is_some_and(|found| wanted.ct_eq(found).into()))
    }
}

impl fmt::Debug for ChallengeResponse<'_> {
    /// Without the octets: from a challenge and its response the secret can be searched.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChallengeResponse")
            .field("method", &self.method)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why there is no response, or none to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChallengeError {
    /// The data is too short for the method.
    Short {
        /// Its octets.
        found: usize,
        /// The fewest that the method needs.
        least: usize,
    },
    /// The challenge has a length that the method does not allow.
    Challenge {
        /// Its octets.
        found: usize,
        /// The usual number.
        wanted: usize,
    },
    /// A secret for a Microsoft method has to be UTF-8.
    Secret,
    /// There is no NT response.
    LmOnly,
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { found, least } => {
                write!(f, "{found} octets of data, where {least} are needed")
            }
            Self::Challenge { found, wanted } => {
                write!(f, "a challenge of {found} octets, not of {wanted}")
            }
            Self::Secret => f.write_str("the secret is no UTF-8, which MS-CHAP needs"),
            Self::LmOnly => f.write_str("an LM response only, which is not looked at"),
        }
    }
}

impl core::error::Error for ChallengeError {}

fn chap(id: u8, secret: &[u8], challenge: &[u8]) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update([id]);
    hash.update(secret);
    hash.update(challenge);
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
