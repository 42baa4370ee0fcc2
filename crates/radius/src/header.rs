//! The header of a packet (RFC 2865 section 3).
//!
//! ```text
//!  0        1        2        3
//! +--------+--------+--------+--------+
//! |  code  |   id   |     length      |   length: octets of the whole packet, 20 to 4096
//! +--------+--------+--------+--------+
//! |           authenticator           |   16 octets
//! +-----------------------------------+
//! ```

use core::fmt;

/// Octets of a header.
pub const HEADER: usize = 20;
/// Octets of the longest packet (RFC 2865 section 3; RFC 7930 is not for RadSec).
pub const MAX_PACKET: usize = 4096;

/// What a packet is (IANA "RADIUS Packet Type Codes"). Numbers that are not listed survive decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u8);

impl Code {
    /// Access-Request (RFC 2865).
    pub const ACCESS_REQUEST: Self = Self(1);
    /// Access-Accept (RFC 2865).
    pub const ACCESS_ACCEPT: Self = Self(2);
    /// Access-Reject (RFC 2865).
    pub const ACCESS_REJECT: Self = Self(3);
    /// Accounting-Request (RFC 2866).
    pub const ACCOUNTING_REQUEST: Self = Self(4);
    /// Accounting-Response (RFC 2866).
    pub const ACCOUNTING_RESPONSE: Self = Self(5);
    /// Access-Challenge (RFC 2865).
    pub const ACCESS_CHALLENGE: Self = Self(11);
    /// Status-Server (RFC 5997).
    pub const STATUS_SERVER: Self = Self(12);
    /// Disconnect-Request (RFC 5176).
    pub const DISCONNECT_REQUEST: Self = Self(40);
    /// Disconnect-ACK (RFC 5176).
    pub const DISCONNECT_ACK: Self = Self(41);
    /// Disconnect-NAK (RFC 5176).
    pub const DISCONNECT_NAK: Self = Self(42);
    /// CoA-Request (RFC 5176).
    pub const COA_REQUEST: Self = Self(43);
    /// CoA-ACK (RFC 5176).
    pub const COA_ACK: Self = Self(44);
    /// CoA-NAK (RFC 5176).
    pub const COA_NAK: Self = Self(45);
    /// Protocol-Error (RFC 7930 section 4).
    pub const PROTOCOL_ERROR: Self = Self(52);

    /// The name of the registry, if the number is one of those above.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ACCESS_REQUEST => "Access-Request",
            Self::ACCESS_ACCEPT => "Access-Accept",
            Self::ACCESS_REJECT => "Access-Reject",
            Self::ACCOUNTING_REQUEST => "Accounting-Request",
            Self::ACCOUNTING_RESPONSE => "Accounting-Response",
            Self::ACCESS_CHALLENGE => "Access-Challenge",
            Self::STATUS_SERVER => "Status-Server",
            Self::DISCONNECT_REQUEST => "Disconnect-Request",
            Self::DISCONNECT_ACK => "Disconnect-ACK",
            Self::DISCONNECT_NAK => "Disconnect-NAK",
            Self::COA_REQUEST => "CoA-Request",
            Self::COA_ACK => "CoA-ACK",
            Self::COA_NAK => "CoA-NAK",
            Self::PROTOCOL_ERROR => "Protocol-Error",
            _ => return None,
        })
    }

    /// Whether it asks for an answer.
    pub fn is_request(self) -> bool {
        matches!(
            self,
            Self::ACCESS_REQUEST
                | Self::ACCOUNTING_REQUEST
                | Self::STATUS_SERVER
                | Self::DISCONNECT_REQUEST
                | Self::COA_REQUEST
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "code {}", self.0),
        }
    }
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the packet is.
    pub code: Code,
    /// Matches an answer to its request.
    pub id: u8,
    /// Octets of the whole packet, header included.
    pub length: u16,
    /// Of the request or of the response, by the code.
    pub authenticator: [u8; 16],
}

/// Why octets are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// There are fewer than 20 octets.
    Short,
    /// `length` is below 20 or above 4096.
    Length(u16),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("fewer than the 20 octets of a header"),
            Self::Length(length) => write!(f, "a length of {length}, where 20 to 4096 are allowed"),
        }
    }
}

impl core::error::Error for HeaderError {}

impl Header {
    /// Reads a header; what follows it is not looked at.
    ///
    /// # Errors
    /// Too few octets, or an impossible length.
    pub fn decode(octets: &[u8]) -> Result<Self, HeaderError> {
        let Some((head, _)) = octets.split_first_chunk::<HEADER>() else {
            return Err(HeaderError::Short);
        };
        let [code, id, high, low, authenticator @ ..] = *head;
        let length = u16::from_be_bytes([high, low]);
        if !(HEADER..=MAX_PACKET).contains(&usize::from(length)) {
            return Err(HeaderError::Length(length));
        }
        Ok(Self {
            code: Code(code),
            id,
            length,
            authenticator,
        })
    }

    /// Appends the 20 octets.
    pub fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
        out.extend_from_slice(&[self.code.0, self.id]);
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.authenticator);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn lengths_from_20_to_4096_are_headers() {
        let head = |length: u16| {
            let mut octets = Vec::from([1, 7]);
            octets.extend_from_slice(&length.to_be_bytes());
            octets.extend_from_slice(&[9; 16]);
            octets
        };
        for length in [20, 21, 4095, 4096] {
            let header = Header::decode(&head(length)).unwrap();
            assert_eq!(
                (header.code, header.id, header.length),
                (Code(1), 7, length)
            );
            let mut out = Vec::new();
            header.encode(&mut out);
            assert_eq!(out, head(length));
        }
        for length in [0, 1, 19, 4097, 65535] {
            let refused = Header::decode(&head(length));
            assert_eq!(refused, Err(HeaderError::Length(length)));
        }
        assert_eq!(Header::decode(&head(20)[..19]), Err(HeaderError::Short));
        assert_eq!(Header::decode(&[]), Err(HeaderError::Short));
    }
}
