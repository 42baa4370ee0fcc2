//! Framing over TLS: packets follow each other in the stream, and only their `length` tells where one ends.
//!
//! Nothing is padding here: octets after a packet are the next header, and what they say is believed.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::header::{HEADER, MAX_PACKET};
use crate::{HeaderError, RawPacket};

/// Octets until `length` is known.
const PREFIX: usize = 4;

/// Cuts a stream of octets into packets.
///
/// It holds the octets of one packet that is not complete yet, 4096 at most; between packets it holds no buffer.
#[derive(Debug, Default)]
pub struct StreamFraming {
    /// The first octets of a packet whose length is not known yet.
    prefix: Partial,
    /// The packet whose length is known.
    packet: Partial,
    /// Octets of the packet that have not come yet.
    missing: usize,
    refused: Option<u16>,
}

#[derive(Default)]
struct Partial(Zeroizing<Vec<u8>>);

impl core::fmt::Debug for Partial {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

impl StreamFraming {
    /// Takes octets from the front of `input` up to the end of a packet and gives that packet. `None` when `input` is
    /// used up: the rest of a packet may come at any later time.
    ///
    /// # Errors
    /// [`HeaderError::Length`] as soon as a length below 20 or above 4096 was read. There is no way to find the next
    /// packet after that, so that every later call fails the same way.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<RawPacket>, HeaderError> {
        if let Some(length) = self.refused {
            return Err(HeaderError::Length(length));
        }
        if self.missing == 0 && !self.read_prefix(input)? {
            return Ok(None);
        }
        let (now, later) = input
            .split_at_checked(self.missing)
            .unwrap_or((*input, &[]));
        self.packet.0.extend_from_slice(now);
        self.missing = self.missing.saturating_sub(now.len());
        *input = later;
        if self.missing > 0 {
            return Ok(None);
        }
        let mut packet = core::mem::take(&mut self.packet);
        RawPacket::new(core::mem::take(&mut *packet.0)).map(Some)
    }

    /// Whether a packet has begun and not ended: a stream that ends here was cut.
    pub fn is_partial(&self) -> bool {
        self.missing > 0 || !self.prefix.0.is_empty()
    }

    fn read_prefix(&mut self, input: &mut &[u8]) -> Result<bool, HeaderError> {
        while self.prefix.0.len() < PREFIX {
            let Some((octet, rest)) = input.split_first() else {
                return Ok(false);
            };
            self.prefix.0.push(*octet);
            *input = rest;
        }
        let prefix = core::mem::take(&mut self.prefix);
        let Some(&[_, _, high, low]) = prefix.0.first_chunk::<PREFIX>() else {
            return Ok(false);
        };
        let length = u16::from_be_bytes([high, low]);
        let whole = usize::from(length);
        if !(HEADER..=MAX_PACKET).contains(&whole) {
            self.refused = Some(length);
            return Err(HeaderError::Length(length));
        }
        // All at once: a buffer that grew would leave copies of its octets behind.
        self.packet = Partial(Zeroizing::new(Vec::with_capacity(whole)));
        self.packet.0.extend_from_slice(&prefix.0);
        self.missing = whole.saturating_sub(PREFIX);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::Code;
    use crate::raw::tests::octets;

    fn feed(framing: &mut StreamFraming, mut input: &[u8]) -> Result<Vec<RawPacket>, HeaderError> {
        let mut out = Vec::new();
        while let Some(packet) = framing.next(&mut input)? {
            out.push(packet);
        }
        assert!(input.is_empty());
        Ok(out)
    }

    #[test]
    fn an_impossible_length_is_refused_with_its_last_octet() {
        for length in [0_u16, 1, 19, 4097, 65535] {
            let mut framing = StreamFraming::default();
            let [high, low] = length.to_be_bytes();
            assert_eq!(feed(&mut framing, &[1, 7, high]), Ok(Vec::new()));
            let refused = Err(HeaderError::Length(length));
            assert_eq!(feed(&mut framing, &[low]), refused);
            let good = octets(Code::ACCESS_REQUEST, 1, 1, 20);
            assert_eq!(feed(&mut framing, &good), refused);
        }
    }

    #[test]
    fn padding_is_read_as_a_header() {
        let mut framing = StreamFraming::default();
        let mut stream: &[u8] = &[octets(Code::ACCESS_REQUEST, 1, 1, 20), [0; 4].to_vec()].concat();
        assert!(framing.next(&mut stream).unwrap().is_some());
        assert_eq!(framing.next(&mut stream), Err(HeaderError::Length(0)));
    }

    #[test]
    fn between_packets_there_is_no_buffer() {
        let mut framing = StreamFraming::default();
        let packet = octets(Code::ACCESS_REQUEST, 1, 1, 4096);
        assert_eq!(feed(&mut framing, &packet[..4095]).unwrap(), []);
        assert!(framing.is_partial());
        assert_eq!(feed(&mut framing, &packet[4095..]).unwrap().len(), 1);
        assert!(!framing.is_partial());
        assert_eq!(framing.packet.0.capacity(), 0);
        assert_eq!(framing.prefix.0.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_packets(
            lengths in prop::collection::vec(20_u16..=4096, 1..6),
            cuts in prop::collection::vec(1_usize..700, 1..8),
        ) {
            let packets: Vec<_> = (0_u8..).zip(&lengths)
                .map(|(id, &length)| octets(Code::ACCESS_REQUEST, id, id, length)).collect();
            let stream = packets.concat();
            let mut framing = StreamFraming::default();
            let mut got = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                let (piece, later) = rest.split_at((*cut).min(rest.len()));
                got.extend(feed(&mut framing, piece).unwrap());
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let got: Vec<_> = got.iter().map(|packet| packet.octets().to_vec()).collect();
            prop_assert_eq!(got, packets);
        }

        #[test]
        fn no_octets_panic(stream in prop::collection::vec(any::<u8>(), 0..5000)) {
            let mut framing = StreamFraming::default();
            let mut input = stream.as_slice();
            while let Ok(Some(packet)) = framing.next(&mut input) {
                prop_assert_eq!(packet.octets().len(), usize::from(packet.header().length));
            }
        }
    }
}
