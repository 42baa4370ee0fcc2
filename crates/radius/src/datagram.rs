//! Framing over DTLS and UDP: one DTLS record (over UDP: one datagram) carries one packet.
//!
//! Octets after `length` are padding, a second packet included. A record is never completed from the next one.

use core::fmt;

use crate::RawPacket;
use crate::header::{HEADER, MAX_PACKET};

/// Why a record holds no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramError {
    /// `length` is below 20 or above 4096: the peer does not speak RADIUS.
    Length(u16),
    /// There are fewer octets than `length` says, or too few to say it.
    Truncated,
}

impl DatagramError {
    /// Whether a DTLS association ends by it. Octets that were lost on the way are nothing the peer did.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::Length(_))
    }
}

impl fmt::Display for DatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "a length of {length}, where 20 to 4096 are allowed"),
            Self::Truncated => f.write_str("fewer octets than its length says"),
        }
    }
}

impl core::error::Error for DatagramError {}

/// The packet of a record, without padding. `None` for a record without octets, which is ignored.
///
/// # Errors
/// No packet; see [`DatagramError::is_fatal`] for what follows.
pub fn packet(record: &[u8]) -> Result<Option<RawPacket>, DatagramError> {
    if record.is_empty() {
        return Ok(None);
    }
    let Some(&[_, _, high, low]) = record.first_chunk() else {
        return Err(DatagramError::Truncated);
    };
    let length = u16::from_be_bytes([high, low]);
    let whole = usize::from(length);
    if !(HEADER..=MAX_PACKET).contains(&whole) {
        return Err(DatagramError::Length(length));
    }
    let octets = record.get(..whole).ok_or(DatagramError::Truncated)?;
    RawPacket::new(octets.to_vec())
        .map(Some)
        .map_err(|_| DatagramError::Truncated)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::Code;
    use crate::raw::tests::octets;

    #[test]
    fn padding_is_ignored_even_if_it_is_a_packet() {
        let first = octets(Code::ACCESS_REQUEST, 1, 1, 40);
        for padding in [[0xAA; 8].to_vec(), octets(Code::ACCESS_REQUEST, 2, 2, 20)] {
            let record = [first.clone(), padding].concat();
            assert_eq!(packet(&record).unwrap().unwrap().octets(), first);
        }
    }

    #[test]
    fn missing_octets_are_not_fatal_and_impossible_lengths_are() {
        let whole = octets(Code::ACCESS_REQUEST, 1, 1, 40);
        for end in 1..40 {
            let error = packet(&whole[..end]).unwrap_err();
            assert_eq!(error, DatagramError::Truncated);
            assert!(!error.is_fatal());
        }
        for length in [0, 19, 4097, 65535_u16] {
            let mut record = Vec::from([1, 1]);
            record.extend_from_slice(&length.to_be_bytes());
            record.resize(5000, 0);
            let error = packet(&record).unwrap_err();
            assert_eq!(error, DatagramError::Length(length));
            assert!(error.is_fatal());
        }
        assert_eq!(packet(&[]), Ok(None));
    }

    proptest! {
        #[test]
        fn no_octets_panic(record in prop::collection::vec(any::<u8>(), 0..5000)) {
            if let Ok(Some(packet)) = packet(&record) {
                prop_assert!(record.starts_with(packet.octets()));
            }
        }
    }
}
