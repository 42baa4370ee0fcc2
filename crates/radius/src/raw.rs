//! A packet as its octets: what the framings yield and the connections carry.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::header::HEADER;
use crate::{Header, HeaderError};

/// A whole packet of 20 to 4096 octets, nothing of which beyond the header was looked at.
///
/// The static secrets of RadSec hide nothing, so that the octets hold passwords as good as in clear: they are not
/// shown by `Debug` and wiped when the packet is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct RawPacket {
    header: Header,
    octets: Zeroizing<Vec<u8>>,
}

impl RawPacket {
    /// Takes octets that are exactly one packet.
    ///
    /// # Errors
    /// No header, an impossible length ([`HeaderError::Length`]), or another number of octets than `length` says
    /// ([`HeaderError::Short`] for too few; what is too much is a `Length` too).
    pub fn new(octets: Vec<u8>) -> Result<Self, HeaderError> {
        let octets = Zeroizing::new(octets);
        let header = Header::decode(&octets)?;
        match octets.len().cmp(&usize::from(header.length)) {
            core::cmp::Ordering::Less => Err(HeaderError::Short),
            core::cmp::Ordering::Greater => Err(HeaderError::Length(header.length)),
            core::cmp::Ordering::Equal => Ok(Self { header, octets }),
        }
    }

    /// The decoded header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The octets after the header.
    pub fn attributes(&self) -> &[u8] {
        self.octets.get(HEADER..).unwrap_or_default()
    }

    /// All octets, header included.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl fmt::Debug for RawPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPacket")
            .field("code", &self.header.code)
            .field("id", &self.header.id)
            .field("length", &self.header.length)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::vec::Vec;
    use std::format;

    use super::*;
    use crate::Code;

    /// A packet of `length` octets whose authenticator and attributes are all `fill`.
    pub(crate) fn octets(code: Code, id: u8, fill: u8, length: u16) -> Vec<u8> {
        let mut out = Vec::new();
        Header {
            code,
            id,
            length,
            authenticator: [fill; 16],
        }
        .encode(&mut out);
        out.resize(usize::from(length), fill);
        out
    }

    #[test]
    fn octets_that_are_not_exactly_one_packet_are_refused() {
        let whole = octets(Code::ACCESS_REQUEST, 3, 9, 30);
        assert_eq!(RawPacket::new(whole.clone()).unwrap().octets(), whole);
        assert_eq!(
            RawPacket::new(whole[..29].to_vec()),
            Err(HeaderError::Short)
        );
        let mut more = whole;
        more.push(0);
        assert_eq!(RawPacket::new(more), Err(HeaderError::Length(30)));
    }

    #[test]
    fn debug_shows_no_content() {
        let packet = RawPacket::new(octets(Code::ACCESS_REQUEST, 3, 213, 30)).unwrap();
        assert!(!format!("{packet:?}").contains("213"));
    }
}
