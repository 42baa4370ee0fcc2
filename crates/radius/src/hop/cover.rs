//! Taking values out of what hides them on one hop, and hiding them anew on the next.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::attribute::kind;
use crate::authenticator::{AUTHENTICATOR, is_digest};
use crate::challenge::MICROSOFT;
use crate::dictionary::Hiding;
use crate::hidden::{self, HiddenError};
use crate::{Code, Secret};

/// How the value of an item was hidden, and is to be again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// Not at all.
    None,
    /// As User-Password. The value is kept with its zeros: the keys of RFC 2548 section 2.4.1 may end with some.
    Password,
    /// With a salt, behind the tag if there is one.
    Salted { tag: Option<u8> },
    /// As Ascend-Send-Secret.
    Ascend,
}

/// What is hidden whatever a dictionary says: User-Password, Tunnel-Password and the keys of RFC 2548 section 2.4.
pub(super) fn known(vendor: Option<u32>, path: &[u8]) -> Option<Hiding> {
    match (vendor, path) {
        (None, [kind::USER_PASSWORD]) | (Some(MICROSOFT), [12]) => Some(Hiding::UserPassword),
        (None, [kind::TUNNEL_PASSWORD]) | (Some(MICROSOFT), [16 | 17]) => {
            Some(Hiding::TunnelPassword)
        }
        _ => None,
    }
}

/// What the values of a packet are hidden with.
pub(super) struct Lock<'a> {
    pub(super) authenticator: [u8; AUTHENTICATOR],
    pub(super) secret: &'a Secret,
}

impl<'a> Lock<'a> {
    /// Of a request. An authenticator that is made from what is hidden cannot hide it; zeros stand in its place, as they do
    /// while it is made (RFC 5176 section 2.3).
    pub(super) fn of_request(
        code: Code,
        authenticator: [u8; AUTHENTICATOR],
        secret: &'a Secret,
    ) -> Self {
        let zeros = is_digest(code).then_some([0; AUTHENTICATOR]);
        Self {
            authenticator: zeros.unwrap_or(authenticator),
            secret,
        }
    }

    pub(super) fn reveal(
        &self,
        hiding: Hiding,
        value: &[u8],
    ) -> Result<(Cover, Zeroizing<Vec<u8>>), HiddenError> {
        let Self {
            authenticator,
            secret,
        } = self;
        Ok(match hiding {
            Hiding::None => (Cover::None, Zeroizing::new(value.to_vec())),
            Hiding::UserPassword => {
                let mut revealed = hidden::reveal_password(value, authenticator, secret)?;
                let room = value.len().saturating_sub(revealed.len());
                let mut whole = Zeroizing::new(Vec::with_capacity(value.len()));
                whole.append(&mut revealed);
                whole.extend(core::iter::repeat_n(0, room));
                (Cover::Password, whole)
            }
            Hiding::TunnelPassword => {
                // Whole blocks and a salt: one octet more can only be a tag.
                let (tag, salted) = match value.split_first() {
                    Some((tag, rest)) if value.len() % AUTHENTICATOR == 3 => (Some(*tag), rest),
                    _ => (None, value),
                };
                let revealed = hidden::reveal_salted(salted, authenticator, secret)?;
                (Cover::Salted { tag }, revealed)
            }
            Hiding::Ascend => {
                let revealed = hidden::mask_ascend(value, authenticator, secret)?;
                (Cover::Ascend, revealed)
            }
        })
    }

    /// The value as it stands in the next packet.
    pub(super) fn hide(
        &self,
        cover: Cover,
        value: &[u8],
        salts: &mut Salts,
    ) -> Result<Zeroizing<Vec<u8>>, HiddenError> {
        let Self {
            authenticator,
            secret,
        } = self;
        Ok(match cover {
            Cover::None => Zeroizing::new(value.to_vec()),
            Cover::Password => hidden::hide_password(value, authenticator, secret)?.into(),
            Cover::Salted { tag } => {
                let salted = hidden::hide_salted(value, salts.next(), authenticator, secret)?;
                let tagged: Vec<u8> = tag.into_iter().chain(salted).collect();
                tagged.into()
            }
            Cover::Ascend => hidden::mask_ascend(value, authenticator, secret)?,
        })
    }
}

/// The salts of one packet, all of them different (RFC 2868 section 3.5).
pub(super) struct Salts(u16);

impl Salts {
    pub(super) fn from(first: u16) -> Self {
        Self(first)
    }

    fn next(&mut self) -> u16 {
        let salt = self.0 | 0x8000;
        self.0 = self.0.wrapping_add(1);
        salt
    }
}
