//! Authenticators of packets (RFC 2865 section 3, RFC 2866 section 3, RFC 5176 section 2.3) and Message-Authenticator
//! (RFC 3579 section 3.2, RFC 5997 section 3).
//!
//! | packet | authenticator | Message-Authenticator is made with |
//! | --- | --- | --- |
//! | Access-Request, Status-Server | random | the packet as it stands |
//! | Accounting-, CoA-, Disconnect-Request | MD5 over the packet with zeros, and the secret | zeros there |
//! | answers | MD5 over the packet with the request's, and the secret | the request's there |

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::attribute::{Attributes, kind};
use crate::header::HEADER;
use crate::pairs::is_answer;
use crate::{Code, RawPacket, Secret};

/// Octets of an authenticator.
pub const AUTHENTICATOR: usize = 16;

/// What the Message-Authenticator of a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageAuthenticator {
    /// There is none.
    Absent,
    /// It is right.
    Right,
    /// It is wrong, of another length than 18 octets, or there twice.
    Wrong,
}

/// Whether the authenticator of a request of this code is a digest of it, rather than a random number.
pub fn is_digest(code: Code) -> bool {
    matches!(
        code,
        Code::ACCOUNTING_REQUEST | Code::DISCONNECT_REQUEST | Code::COA_REQUEST
    )
}

/// Whether the authenticator of a request is right. Always so where it is a random number.
pub fn request_is_right(packet: &RawPacket, secret: &Secret) -> bool {
    let header = packet.header();
    if !is_digest(header.code) {
        return true;
    }
    let right = digest(packet.octets(), &[0; AUTHENTICATOR], secret);
    right.ct_eq(&header.authenticator).into()
}

/// Whether the authenticator of an answer is right, for the authenticator of its request.
pub fn answer_is_right(packet: &RawPacket, request: &[u8; AUTHENTICATOR], secret: &Secret) -> bool {
    let right = digest(packet.octets(), request, secret);
    right.ct_eq(&packet.header().authenticator).into()
}

/// Judges the Message-Authenticator of a request, or of an answer for the authenticator of its request.
pub fn message_authenticator(
    packet: &RawPacket,
    attributes: &Attributes<'_>,
    request: Option<&[u8; AUTHENTICATOR]>,
    secret: &Secret,
) -> MessageAuthenticator {
    let mut found = None;
    let mut at = HEADER;
    for attribute in attributes {
        if attribute.kind == kind::MESSAGE_AUTHENTICATOR
            && found.replace((at, attribute.value)).is_some()
        {
            return MessageAuthenticator::Wrong;
        }
        at = at.saturating_add(attribute.value.len()).saturating_add(2);
    }
    let Some((at, value)) = found else {
        return MessageAuthenticator::Absent;
    };
    let Ok(value) = <&[u8; AUTHENTICATOR]>::try_from(value) else {
        return MessageAuthenticator::Wrong;
    };
    let header = packet.header();
    let authenticator = match request {
        Some(request) if is_answer(header.code) => *request,
        _ if is_digest(header.code) => [0; AUTHENTICATOR],
        _ => header.authenticator,
    };
    let at = at.saturating_add(2);
    let right = keyed(packet.octets(), &authenticator, at, secret);
    if right.is_some_and(|right| right.ct_eq(value).into()) {
        MessageAuthenticator::Right
    } else {
        MessageAuthenticator::Wrong
    }
}

/// MD5 over the packet with another authenticator, and the secret.
pub(crate) fn digest(
    octets: &[u8],
    authenticator: &[u8; AUTHENTICATOR],
    secret: &Secret,
) -> [u8; AUTHENTICATOR] {
    let mut md5 = Md5::new();
    md5.update(octets.get(..4).unwrap_or_default());
    md5.update(authenticator);
    md5.update(octets.get(HEADER..).unwrap_or_default());
    md5.update(secret.octets());
    md5.finalize().into()
}

/// HMAC-MD5 over the packet with another authenticator, and with 16 zeros at `at`.
pub(crate) fn keyed(
    octets: &[u8],
    authenticator: &[u8; AUTHENTICATOR],
    at: usize,
    secret: &Secret,
) -> Option<[u8; AUTHENTICATOR]> {
    let mut mac = Hmac::<Md5>::new_from_slice(secret.octets()).ok()?;
    mac.update(octets.get(..4)?);
    mac.update(authenticator);
    mac.update(octets.get(HEADER..at)?);
    mac.update(&[0; AUTHENTICATOR]);
    mac.update(octets.get(at.checked_add(AUTHENTICATOR)?..)?);
    Some(mac.finalize().into_bytes().into())
}
