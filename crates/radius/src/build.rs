//! Building packets.
//!
//! ```text
//! PacketBuilder::request or ::answer ─▶ push … ─▶ finish: the authenticators, last
//! ```
//!
//! Message-Authenticator goes first, where it helps against forged answers (BlastRADIUS), and is computed at the end.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::attribute::{MAX_VALUE, kind};
use crate::authenticator::{self, AUTHENTICATOR};
use crate::header::{HEADER, MAX_PACKET};
use crate::hidden::{self, HiddenError};
use crate::pairs::is_answer;
use crate::{Code, Header, Secret};

/// Why an attribute is not added; the packet stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The value is longer than one attribute holds.
    TooLong,
    /// The packet would be longer than 4096 octets.
    Full,
    /// The type has a form of its own, which another function makes.
    Kind,
    /// The value cannot be hidden.
    Hidden(HiddenError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the value is longer than an attribute holds"),
            Self::Full => f.write_str("the packet would be longer than 4096 octets"),
            Self::Kind => f.write_str("attributes of this type are made in another way"),
            Self::Hidden(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<HiddenError> for BuildError {
    fn from(error: HiddenError) -> Self {
        Self::Hidden(error)
    }
}

/// A packet being built.
pub struct PacketBuilder {
    octets: Zeroizing<Vec<u8>>,
    /// Of the request: its own, or that of the request that is answered.
    authenticator: [u8; AUTHENTICATOR],
    /// Where the value of Message-Authenticator begins, if it is to have one.
    signed: Option<usize>,
}

impl fmt::Debug for PacketBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketBuilder")
            .field("code", &self.code())
            .field("length", &self.octets.len())
            .finish_non_exhaustive()
    }
}

impl PacketBuilder {
    /// A request. `random` becomes the authenticator of an Access-Request and of a Status-Server, and must never come
    /// again with the same secret; for other codes it is not used.
    pub fn request(code: Code, id: u8, random: [u8; AUTHENTICATOR]) -> Self {
        let authenticator = if authenticator::is_digest(code) {
            [0; AUTHENTICATOR]
        } else {
            random
        };
        Self::new(code, id, authenticator)
    }

    /// The answer to a request.
    pub fn answer(code: Code, request: &Header) -> Self {
        Self::new(code, request.id, request.authenticator)
    }

    fn new(code: Code, id: u8, authenticator: [u8; AUTHENTICATOR]) -> Self {
        let mut octets = Vec::with_capacity(256);
        octets.extend_from_slice(&[code.0, id, 0, 0]);
        octets.extend_from_slice(&authenticator);
        Self {
            octets: Zeroizing::new(octets),
            authenticator,
            signed: None,
        }
    }

    fn code(&self) -> Code {
        Code(self.octets.first().copied().unwrap_or_default())
    }

    /// Gives the packet a Message-Authenticator, which stands where it is asked for: call it first.
    ///
    /// # Errors
    /// The packet is full.
    pub fn message_authenticator(&mut self) -> Result<&mut Self, BuildError> {
        if self.signed.is_some() {
            return Ok(self);
        }
        self.append(kind::MESSAGE_AUTHENTICATOR, &[&[0; AUTHENTICATOR]])?;
        self.signed = self.octets.len().checked_sub(AUTHENTICATOR);
        Ok(self)
    }

    /// Adds an attribute as it stands.
    ///
    /// # Errors
    /// It is too long, or Message-Authenticator or User-Password, which the builder makes.
    pub fn push(&mut self, kind: u8, value: &[u8]) -> Result<&mut Self, BuildError> {
        if kind == kind::MESSAGE_AUTHENTICATOR || kind == kind::USER_PASSWORD {
            return Err(BuildError::Kind);
        }
        self.append(kind, &[value])
    }

    /// Adds a number of four octets.
    ///
    /// # Errors
    /// The packet is full.
    pub fn push_integer(&mut self, kind: u8, value: u32) -> Result<&mut Self, BuildError> {
        self.push(kind, &value.to_be_bytes())
    }

    /// Adds a vendor's attribute in a Vendor-Specific of its own.
    ///
    /// # Errors
    /// More than 247 octets, or the packet is full.
    pub fn push_vendor(
        &mut self,
        vendor: u32,
        kind: u8,
        value: &[u8],
    ) -> Result<&mut Self, BuildError> {
        let length = value
            .len()
            .checked_add(2)
            .and_then(|length| u8::try_from(length).ok());
        let length = length.ok_or(BuildError::TooLong)?;
        let head = [&vendor.to_be_bytes()[..], &[kind, length], value];
        self.append(kind::VENDOR_SPECIFIC, &head)
    }

    /// Adds an attribute of an extended type, 241 to 246; over 252 octets only with 245 and 246, in several parts.
    ///
    /// # Errors
    /// Too long, another type, or the packet is full: nothing of it is added then.
    pub fn push_extended(
        &mut self,
        kind: u8,
        extended: u8,
        value: &[u8],
    ) -> Result<&mut Self, BuildError> {
        match kind {
            241..=244 => self.append(kind, &[&[extended], value]),
            245 | 246 => {
                let before = self.octets.len();
                let mut parts = value.chunks(MAX_VALUE - 2).peekable();
                loop {
                    let part = parts.next().unwrap_or_default();
                    let more = if parts.peek().is_some() { 0x80 } else { 0 };
                    if let Err(error) = self.append(kind, &[&[extended, more], part]) {
                        self.octets.truncate(before);
                        return Err(error);
                    }
                    if more == 0 {
                        return Ok(self);
                    }
                }
            }
            _ => Err(BuildError::Kind),
        }
    }

    /// Adds an EAP packet, in parts of 253 octets.
    ///
    /// # Errors
    /// The packet is full: nothing of it is added then.
    pub fn push_eap(&mut self, message: &[u8]) -> Result<&mut Self, BuildError> {
        let before = self.octets.len();
        for part in message.chunks(MAX_VALUE) {
            if let Err(error) = self.append(kind::EAP_MESSAGE, &[part]) {
                self.octets.truncate(before);
                return Err(error);
            }
        }
        Ok(self)
    }

    /// Adds a User-Password, hidden.
    ///
    /// # Errors
    /// It has more than 128 octets, or the packet is full.
    pub fn push_password(
        &mut self,
        password: &[u8],
        secret: &Secret,
    ) -> Result<&mut Self, BuildError> {
        let hidden = hidden::hide_password(password, &self.authenticator, secret)?;
        self.append(kind::USER_PASSWORD, &[&hidden])
    }

    /// Adds a Tunnel-Password (RFC 2868 section 3.5).
    ///
    /// # Errors
    /// It has more than 239 octets, or the packet is full.
    pub fn push_tunnel_password(
        &mut self,
        tag: u8,
        password: &[u8],
        salt: u16,
        secret: &Secret,
    ) -> Result<&mut Self, BuildError> {
        let hidden = hidden::hide_salted(password, salt, &self.authenticator, secret)?;
        self.append(kind::TUNNEL_PASSWORD, &[&[tag], &hidden])
    }

    fn append(&mut self, kind: u8, parts: &[&[u8]]) -> Result<&mut Self, BuildError> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let length = size
            .checked_add(2)
            .and_then(|length| u8::try_from(length).ok());
        let length = length.ok_or(BuildError::TooLong)?;
        if self.octets.len().saturating_add(usize::from(length)) > MAX_PACKET {
            return Err(BuildError::Full);
        }
        self.octets.extend_from_slice(&[kind, length]);
        for part in parts {
            self.octets.extend_from_slice(part);
        }
        Ok(self)
    }

    /// Writes the length and the authenticators.
    pub fn finish(mut self, secret: &Secret) -> Vec<u8> {
        let code = self.code();
        let mut octets = core::mem::take(&mut *self.octets);
        let length = u16::try_from(octets.len()).unwrap_or_default();
        if let Some(field) = octets.get_mut(2..4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        if let Some(at) = self.signed
            && let Some(mac) = authenticator::keyed(&octets, &self.authenticator, at, secret)
            && let Some(field) = octets.get_mut(at..at.saturating_add(AUTHENTICATOR))
        {
            field.copy_from_slice(&mac);
        }
        if is_answer(code) || authenticator::is_digest(code) {
            let digest = authenticator::digest(&octets, &self.authenticator, secret);
            if let Some(field) = octets.get_mut(4..HEADER) {
                field.copy_from_slice(&digest);
            }
        }
        octets
    }
}

/// A Protocol-Error for a request (RFC 7930 section 4): which code was asked, and why nothing came of it.
pub fn protocol_error(request: &Header, cause: u32, secret: &Secret) -> Vec<u8> {
    let mut answer = PacketBuilder::answer(Code::PROTOCOL_ERROR, request);
    let code = u32::from(request.code.0).to_be_bytes();
    // A fresh packet has room for all three.
    let made = answer.message_authenticator().and_then(|answer| {
        answer
            .push_extended(kind::EXTENDED_1, kind::ORIGINAL_PACKET_CODE, &code)?
            .push_integer(kind::ERROR_CAUSE, cause)
    });
    debug_assert!(made.is_ok(), "an empty packet is full");
    answer.finish(secret)
}

/// Values of Error-Cause (RFC 5176 section 3.6).
pub mod error_cause {
    /// Unsupported Extension: the packet type is not served here.
    pub const UNSUPPORTED_EXTENSION: u32 = 406;
    /// Request Not Routable (Proxy).
    pub const REQUEST_NOT_ROUTABLE: u32 = 502;

    /// What a device says of an order that it does not carry out, or only in part (RFC 5176 section 3.6).
    pub fn of_order(cause: u32) -> Option<&'static str> {
        Some(match cause {
            201 => "residual session context removed",
            202 => "invalid EAP packet",
            401 => "unsupported attribute",
            402 => "missing attribute",
            403 => "NAS identification mismatch",
            404 => "invalid request",
            405 => "unsupported service",
            UNSUPPORTED_EXTENSION => "unsupported extension",
            407 => "invalid attribute value",
            501 => "administratively prohibited",
            REQUEST_NOT_ROUTABLE => "request not routable",
            503 => "session context not found",
            504 => "session context not removable",
            505 => "other proxy processing error",
            506 => "resources unavailable",
            507 => "request initiated",
            508 => "multiple session selection unsupported",
            _ => return None,
        })
    }

    /// What a Protocol-Error of RadSec says (RFC 6614bis section 3.6).
    pub fn name(cause: u32) -> Option<&'static str> {
        match cause {
            UNSUPPORTED_EXTENSION => Some("it does not serve this type of packet"),
            REQUEST_NOT_ROUTABLE => Some("it has no route for the request"),
            _ => None,
        }
    }
}
