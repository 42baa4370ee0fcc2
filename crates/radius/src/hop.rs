//! What a proxy does with a packet on its way (RFC 2865 section 2.3): values are hidden by the secret and the authenticator
//! of one hop, and so are the authenticators made.
//!
//! ```text
//! client ──request──▶ Forward ──rewrite, build──▶ upstream      Proxy-State of ours appended
//! client ◀──build, rewrite── Backward ◀──answer── upstream      Proxy-States of the client's request, no others
//! ```
//!
//! Attributes keep their order, and what nobody knows is passed on as it came. Message-Authenticator is made anew: always
//! and first in an Access-Request and its answers (RFC 3579 section 3.2, and against forged answers), not in an
//! Accounting-Response, for which no RFC says how it is made, and elsewhere where it was.

mod cover;
mod edit;
mod items;

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::attribute::{AttributeError, Attributes, kind};
use crate::authenticator::AUTHENTICATOR;
use crate::build::{BuildError, PacketBuilder};
use crate::dictionary::Hiding;
use crate::pairs::answers;
use crate::rewrite::{AttributeName, Rewrite};
use crate::{Code, Header, RawPacket, Secret};

use cover::{Cover, Lock, Salts};
use items::{Item, Items};

/// Why a packet does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HopError {
    /// It is of one hop: Status-Server (RFC 5997 section 4.5) or Protocol-Error (RFC 7930 section 4).
    HopByHop,
    /// It is no request, or no answer to the request.
    Code(Code),
    /// What follows the header is not a row of attributes.
    Malformed(AttributeError),
    /// The value of this attribute is not what is hidden with the secret of the hop.
    Hidden(AttributeName),
}

impl fmt::Display for HopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HopByHop => f.write_str("packets of this type are for one hop only"),
            Self::Code(code) => write!(f, "{code} is not what goes on here"),
            Self::Malformed(error) => error.fmt(f),
            Self::Hidden(name) => {
                f.write_str("the hidden value of attribute ")?;
                if let Some(vendor) = name.vendor {
                    write!(f, "26.{vendor}.")?;
                }
                for (at, number) in name.path.iter().enumerate() {
                    write!(f, "{}{number}", if at == 0 { "" } else { "." })?;
                }
                f.write_str(" cannot be revealed")
            }
        }
    }
}

impl core::error::Error for HopError {}

/// The values of Proxy-State of a packet, in their order (RFC 2865 section 5.33): how many proxies it passed, and whether
/// this one is among them. None if the packet is malformed.
pub fn proxy_states(packet: &RawPacket) -> impl Iterator<Item = &[u8]> + Clone {
    let attributes = Attributes::new(packet.attributes()).unwrap_or_default();
    attributes.all(kind::PROXY_STATE)
}

/// A verified request on its way on, its hidden values revealed; they are wiped with it.
pub struct Forward {
    code: Code,
    items: Items,
    /// The challenge of a CHAP-Password, which goes where that goes.
    challenge: Option<Vec<u8>>,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("code", &self.code)
            .field("attributes", &self.items.0.len())
            .finish_non_exhaustive()
    }
}

impl Forward {
    /// Takes a request that was proven with `secret`. `hiding` says how the values of an attribute are hidden, by its vendor
    /// and path; those of User-Password, Tunnel-Password and Microsoft's keys are whatever it says.
    ///
    /// # Errors
    /// Its kind is not forwarded, it is malformed, or a hidden value cannot be revealed.
    pub fn new(
        packet: &RawPacket,
        secret: &Secret,
        hiding: impl Fn(Option<u32>, &[u8]) -> Hiding,
    ) -> Result<Self, HopError> {
        let Header {
            code,
            authenticator,
            ..
        } = *packet.header();
        if matches!(code, Code::STATUS_SERVER | Code::PROTOCOL_ERROR) {
            return Err(HopError::HopByHop);
        }
        if !code.is_request() {
            return Err(HopError::Code(code));
        }
        let lock = Lock::of_request(code, authenticator, secret);
        let mut items = Items::read(packet.attributes(), &lock, hiding)?;
        if code == Code::ACCESS_REQUEST {
            sign_first(&mut items);
        }
        let mut forward = Self {
            code,
            items,
            challenge: None,
        };
        if forward.items.has(kind::CHAP_PASSWORD) {
            let mut all = forward.items.0.iter();
            let own = all.find(|item| item.kind == kind::CHAP_CHALLENGE);
            let own = own.map(|item| item.value.to_vec());
            forward.challenge = Some(own.unwrap_or_else(|| authenticator.to_vec()));
        }
        forward.keep_challenge();
        Ok(forward)
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The first User-Name.
    pub fn user_name(&self) -> Option<&[u8]> {
        self.first(&edit::plain(kind::USER_NAME))
    }

    /// Gives it another User-Name, in the place of the one that it has.
    pub fn set_user_name(&mut self, name: &[u8]) {
        self.items.set(&edit::plain(kind::USER_NAME), name);
    }

    /// The first value of an attribute; the first part of one that goes on in others. Values that the secret hides are not
    /// handed out.
    pub fn first(&self, name: &AttributeName) -> Option<&[u8]> {
        self.items.first(name)
    }

    /// Changes attributes. Message-Authenticator and Proxy-State stay, and so does the challenge while its CHAP-Password is
    /// there. Values for these, for hidden attributes and for EAP-Message are not taken.
    pub fn rewrite(&mut self, rewrite: &Rewrite) {
        self.items.rewrite(rewrite);
        self.keep_challenge();
    }

    /// Without CHAP-Challenge, the authenticator that came with a CHAP-Password is its challenge (RFC 2865 section 2.2), and
    /// the next hop has another.
    fn keep_challenge(&mut self) {
        if let Some(challenge) = &self.challenge
            && !self.items.has(kind::CHAP_CHALLENGE)
            && let Some(at) = self.items.position(kind::CHAP_PASSWORD)
        {
            let at = at.saturating_add(1);
            let new = Item::of(&edit::plain(kind::CHAP_CHALLENGE), challenge);
            self.items.0.splice(at..at, new);
        }
    }

    /// The packet for the next hop. `random` as for [`PacketBuilder::request`]; `salt`, which nobody may foresee, is the
    /// first of those that differ within the packet (RFC 2868 section 3.5); `proxy_state` is appended, unless it is empty.
    ///
    /// # Errors
    /// It would be too long, or what was put into it is.
    pub fn build(
        &self,
        id: u8,
        random: [u8; AUTHENTICATOR],
        salt: u16,
        proxy_state: &[u8],
        secret: &Secret,
    ) -> Result<Vec<u8>, BuildError> {
        let mut builder = PacketBuilder::request(self.code, id, random);
        let lock = Lock::of_request(self.code, random, secret);
        self.items.write(&mut builder, &lock, Salts::from(salt))?;
        if !proxy_state.is_empty() {
            builder.push(kind::PROXY_STATE, proxy_state)?;
        }
        Ok(builder.finish(secret))
    }
}

/// A verified answer on its way back, its hidden values revealed; they are wiped with it.
pub struct Backward {
    code: Code,
    items: Items,
}

impl fmt::Debug for Backward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backward")
            .field("code", &self.code)
            .field("attributes", &self.items.0.len())
            .finish_non_exhaustive()
    }
}

impl Backward {
    /// Takes an answer that was proven with `secret` for the header of `request`, as it was sent to the upstream. `hiding` as
    /// for [`Forward::new`].
    ///
    /// # Errors
    /// Its kind is not passed on or does not answer the request, it is malformed, or a hidden value cannot be revealed.
    pub fn new(
        answer: &RawPacket,
        request: &Header,
        secret: &Secret,
        hiding: impl Fn(Option<u32>, &[u8]) -> Hiding,
    ) -> Result<Self, HopError> {
        let code = answer.header().code;
        if code == Code::PROTOCOL_ERROR || request.code == Code::STATUS_SERVER {
            return Err(HopError::HopByHop);
        }
        if !answers(request.code, code) {
            return Err(HopError::Code(code));
        }
        let lock = Lock {
            authenticator: request.authenticator,
            secret,
        };
        let mut items = Items::read(answer.attributes(), &lock, hiding)?;
        items.0.retain(|item| item.kind != kind::PROXY_STATE);
        if request.code == Code::ACCESS_REQUEST {
            sign_first(&mut items);
        } else if code == Code::ACCOUNTING_RESPONSE {
            // No RFC says how that of an Accounting-Response is made: the client might judge it by another rule than ours.
            items
                .0
                .retain(|item| item.kind != kind::MESSAGE_AUTHENTICATOR);
        }
        Ok(Self { code, items })
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// As [`Forward::first`].
    pub fn first(&self, name: &AttributeName) -> Option<&[u8]> {
        self.items.first(name)
    }

    /// As [`Forward::rewrite`].
    pub fn rewrite(&mut self, rewrite: &Rewrite) {
        self.items.rewrite(rewrite);
    }

    /// The answer to the request `to` of the client, which had `proxy_states` (RFC 2865 section 5.33), whatever the upstream
    /// sent of them. `salt` as for [`Forward::build`].
    ///
    /// # Errors
    /// It would be too long, or what was put into it is.
    pub fn build<'a>(
        &self,
        to: &Header,
        proxy_states: impl IntoIterator<Item = &'a [u8]>,
        salt: u16,
        secret: &Secret,
    ) -> Result<Vec<u8>, BuildError> {
        let mut builder = PacketBuilder::answer(self.code, to);
        let lock = Lock {
            authenticator: to.authenticator,
            secret,
        };
        self.items.write(&mut builder, &lock, Salts::from(salt))?;
        for state in proxy_states {
            builder.push(kind::PROXY_STATE, state)?;
        }
        Ok(builder.finish(secret))
    }
}

impl Items {
    fn first(&self, name: &AttributeName) -> Option<&[u8]> {
        let item = self.0.iter().find(|item| item.name == *name)?;
        (item.cover == Cover::None).then_some(&item.value)
    }
}

/// Puts a Message-Authenticator before everything else, whether there is one or not. Its value is made with the packet.
fn sign_first(items: &mut Items) {
    let name = edit::plain(kind::MESSAGE_AUTHENTICATOR);
    items.0.retain(|item| item.name != name);
    let first = Item {
        name,
        kind: kind::MESSAGE_AUTHENTICATOR,
        head: Vec::new(),
        value: Zeroizing::default(),
        cover: Cover::None,
        group: None,
    };
    items.0.insert(0, first);
}

#[cfg(test)]
mod tests;
