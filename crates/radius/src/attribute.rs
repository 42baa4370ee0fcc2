//! Attributes (RFC 2865 section 5, RFC 6929): reading and joining, without copying where one attribute has it all.
//!
//! ```text
//! +------+--------+------------------+
//! | type | length |      value       |   length: octets of all three, 2 to 255
//! +------+--------+------------------+
//! 26       vendor number (4), then attributes of the vendor's own, mostly of the same form
//! 241-244  extended type, value
//! 245-246  extended type, flags (0x80: the next attribute goes on), value
//! ```
//!
//! Only what is malformed by section 5 of RFC 2865 is an error. Types that nobody knows, vendors that keep other forms
//! and values of a wrong size are left to whoever reads them.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// Octets of the longest value of one attribute.
pub const MAX_VALUE: usize = 253;

/// Numbers of types that the codec itself looks at (IANA "RADIUS Attribute Types").
pub mod kind {
    /// User-Name.
    pub const USER_NAME: u8 = 1;
    /// User-Password, hidden by the Request Authenticator.
    pub const USER_PASSWORD: u8 = 2;
    /// CHAP-Password: an identifier and 16 octets.
    pub const CHAP_PASSWORD: u8 = 3;
    /// NAS-IP-Address.
    pub const NAS_IP_ADDRESS: u8 = 4;
    /// NAS-Port.
    pub const NAS_PORT: u8 = 5;
    /// Service-Type.
    pub const SERVICE_TYPE: u8 = 6;
    /// Reply-Message.
    pub const REPLY_MESSAGE: u8 = 18;
    /// State.
    pub const STATE: u8 = 24;
    /// Class.
    pub const CLASS: u8 = 25;
    /// Vendor-Specific.
    pub const VENDOR_SPECIFIC: u8 = 26;
    /// Session-Timeout, seconds.
    pub const SESSION_TIMEOUT: u8 = 27;
    /// Called-Station-Id.
    pub const CALLED_STATION_ID: u8 = 30;
    /// Calling-Station-Id.
    pub const CALLING_STATION_ID: u8 = 31;
    /// NAS-Identifier.
    pub const NAS_IDENTIFIER: u8 = 32;
    /// Proxy-State.
    pub const PROXY_STATE: u8 = 33;
    /// Acct-Status-Type.
    pub const ACCT_STATUS_TYPE: u8 = 40;
    /// Acct-Delay-Time, seconds.
    pub const ACCT_DELAY_TIME: u8 = 41;
    /// Acct-Session-Id.
    pub const ACCT_SESSION_ID: u8 = 44;
    /// Event-Timestamp, seconds since 1970.
    pub const EVENT_TIMESTAMP: u8 = 55;
    /// CHAP-Challenge.
    pub const CHAP_CHALLENGE: u8 = 60;
    /// Tunnel-Password.
    pub const TUNNEL_PASSWORD: u8 = 69;
    /// Prompt: whether an answer may be seen while it is typed.
    pub const PROMPT: u8 = 76;
    /// EAP-Message.
    pub const EAP_MESSAGE: u8 = 79;
    /// Message-Authenticator.
    pub const MESSAGE_AUTHENTICATOR: u8 = 80;
    /// NAS-Port-Id.
    pub const NAS_PORT_ID: u8 = 87;
    /// NAS-IPv6-Address.
    pub const NAS_IPV6_ADDRESS: u8 = 95;
    /// Error-Cause.
    pub const ERROR_CAUSE: u8 = 101;
    /// Extended-Attribute-1, the first of those with an extended type.
    pub const EXTENDED_1: u8 = 241;
    /// Extended-Attribute-5, the first of those whose values may go on in the next.
    pub const LONG_EXTENDED_1: u8 = 245;
    /// The extended type of 241 that is Original-Packet-Code (RFC 7930 section 4).
    pub const ORIGINAL_PACKET_CODE: u8 = 4;
}

/// Why octets are not attributes: the packet is malformed, and on RadSec its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeError {
    /// A length of 0 or 1.
    Length {
        /// The type.
        kind: u8,
        /// The length it says.
        length: u8,
    },
    /// The last one is longer than what is left, or one octet is left over.
    Overrun {
        /// The type.
        kind: u8,
    },
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { kind, length } => {
                write!(
                    f,
                    "attribute {kind} says a length of {length}, where 2 is the least"
                )
            }
            Self::Overrun { kind } => write!(f, "attribute {kind} ends beyond the packet"),
        }
    }
}

impl core::error::Error for AttributeError {}

/// One attribute of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Type.
    pub kind: u8,
    /// Value, 0 to 253 octets, hidden or not as it came.
    pub value: &'a [u8],
}

/// Values may be passwords and are not shown.
impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({}, {} octets)", self.kind, self.value.len())
    }
}

impl<'a> Attribute<'a> {
    /// The value as a number of four octets.
    pub fn integer(&self) -> Option<u32> {
        self.value.try_into().ok().map(u32::from_be_bytes)
    }

    /// The vendor's number and attributes of a Vendor-Specific. `None` for other types and where the vendor keeps another
    /// form than type, length and value of one octet each.
    pub fn vendor(&self) -> Option<(u32, Attributes<'a>)> {
        if self.kind != kind::VENDOR_SPECIFIC {
            return None;
        }
        let (vendor, rest) = self.value.split_first_chunk::<4>()?;
        let inner = Attributes::new(rest).ok()?;
        Some((u32::from_be_bytes(*vendor), inner))
    }

    /// The extended type and the value of one of 241 to 244.
    pub fn extended(&self) -> Option<(u8, &'a [u8])> {
        let short = (kind::EXTENDED_1..kind::LONG_EXTENDED_1).contains(&self.kind);
        let (extended, value) = self.value.split_first()?;
        short.then_some((*extended, value))
    }

    /// The extended type, whether the next one goes on, and this part of the value of one of 245 and 246.
    fn long_extended(&self) -> Option<(u8, bool, &'a [u8])> {
        let long = (kind::LONG_EXTENDED_1..=246).contains(&self.kind);
        let ([extended, flags], value) = self.value.split_first_chunk::<2>()?;
        long.then_some((*extended, flags & 0x80 != 0, value))
    }
}

/// The attributes of a packet, in their order. Cheap to copy.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes<'a>(&'a [u8]);

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Attributes<'a> {
    /// Takes the octets after the header.
    ///
    /// # Errors
    /// They are not exactly a row of attributes.
    pub fn new(octets: &'a [u8]) -> Result<Self, AttributeError> {
        let mut rest = octets;
        while let Some((kind, tail)) = rest.split_first() {
            let kind = *kind;
            let length = *tail.first().ok_or(AttributeError::Overrun { kind })?;
            if length < 2 {
                return Err(AttributeError::Length { kind, length });
            }
            rest = rest
                .get(usize::from(length)..)
                .ok_or(AttributeError::Overrun { kind })?;
        }
        Ok(Self(octets))
    }

    /// All of them.
    pub fn iter(&self) -> Iter<'a> {
        Iter(self.0)
    }

    /// The octets.
    pub fn octets(&self) -> &'a [u8] {
        self.0
    }

    /// The values of a type.
    pub fn all(&self, kind: u8) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.iter()
            .filter(move |attribute| attribute.kind == kind)
            .map(|attribute| attribute.value)
    }

    /// The first value of a type.
    pub fn first(&self, kind: u8) -> Option<&'a [u8]> {
        self.all(kind).next()
    }

    /// The first value of a type as a number.
    pub fn integer(&self, kind: u8) -> Option<u32> {
        let value = self.first(kind)?;
        Attribute { kind, value }.integer()
    }

    /// The values of one type of a vendor, whether each has a Vendor-Specific of its own or not.
    pub fn of_vendor(&self, vendor: u32, kind: u8) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter()
            .filter_map(|attribute| attribute.vendor())
            .filter(move |(number, _)| *number == vendor)
            .flat_map(move |(_, inner)| inner.all(kind))
    }

    /// The values of an extended type of 241 to 244.
    pub fn of_extended(&self, kind: u8, extended: u8) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter()
            .filter(move |attribute| attribute.kind == kind)
            .filter_map(|attribute| attribute.extended())
            .filter(move |(number, _)| *number == extended)
            .map(|(_, value)| value)
    }

    /// The values of an extended type of 245 or 246, their parts joined (RFC 6929 section 2.2). A value whose end is
    /// missing, or whose parts are parted by another attribute, is left out.
    pub fn of_long_extended(&self, kind: u8, extended: u8) -> Vec<Cow<'a, [u8]>> {
        let mut values = Vec::new();
        let mut begun: Option<Cow<'a, [u8]>> = None;
        for attribute in self.iter() {
            let part = attribute.long_extended();
            let Some((_, more, octets)) =
                part.filter(|(number, ..)| attribute.kind == kind && *number == extended)
            else {
                begun = None;
                continue;
            };
            let mut value = begun.take().unwrap_or_default();
            if value.is_empty() {
                value = Cow::Borrowed(octets);
            } else {
                value.to_mut().extend_from_slice(octets);
            }
            if more {
                begun = Some(value);
            } else {
                values.push(value);
            }
        }
        values
    }

    /// The EAP packet, its parts joined (RFC 3579 section 3.1).
    pub fn eap(&self) -> Option<Cow<'a, [u8]>> {
        let mut parts = self.all(kind::EAP_MESSAGE);
        let mut message = Cow::Borrowed(parts.next()?);
        for part in parts {
            message.to_mut().extend_from_slice(part);
        }
        Some(message)
    }
}

impl<'a> IntoIterator for &Attributes<'a> {
    type Item = Attribute<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over attributes.
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let [kind, length, ..] = *self.0 else {
            return None;
        };
        let (whole, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        let value = whole.get(2..)?;
        Some(Attribute { kind, value })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use std::format;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_of_attributes_is_read_in_its_order() {
        let octets = b"\x01\x07alice\x19\x02\x06\x06\0\0\0\x01\x19\x03c";
        let attributes = Attributes::new(octets).unwrap();
        let seen: Vec<_> = attributes.iter().map(|one| (one.kind, one.value)).collect();
        let wanted: [(u8, &[u8]); 4] = [(1, b"alice"), (25, b""), (6, &[0, 0, 0, 1]), (25, b"c")];
        assert_eq!(seen, wanted);
        assert_eq!(attributes.first(1), Some(&b"alice"[..]));
        assert_eq!(attributes.integer(6), Some(1));
        assert_eq!(attributes.integer(1), None);
        assert_eq!(attributes.all(25).count(), 2);
        assert!(!format!("{attributes:?}").contains("97"));
    }

    /// RFC 2865 section 5, and nothing else.
    #[test]
    fn only_lengths_make_attributes_malformed() {
        for length in [0, 1] {
            let octets = [1, length, 3];
            assert_eq!(
                Attributes::new(&octets),
                Err(AttributeError::Length { kind: 1, length })
            );
        }
        let over = Err(AttributeError::Overrun { kind: 1 });
        assert_eq!(Attributes::new(&[1, 3]), over);
        assert_eq!(Attributes::new(&[6, 2, 1]), over);
        assert!(Attributes::new(&[]).unwrap().iter().next().is_none());
        // Unknown type, vendor's own form, extended type missing.
        let odd = [250, 2, 26, 7, 0, 0, 0, 9, 200, 241, 2, 245, 3, 1];
        let attributes = Attributes::new(&odd).unwrap();
        assert_eq!(attributes.iter().count(), 4);
        assert!(attributes.iter().all(|one| one.vendor().is_none()));
        assert!(attributes.iter().all(|one| one.extended().is_none()));
        assert!(attributes.of_long_extended(245, 1).is_empty());
    }

    #[test]
    fn vendors_attributes_are_found_in_one_and_in_several() {
        let octets = b"\x1a\x0c\0\0\0\x09\x01\x03a\x02\x03b\x1a\x09\0\0\0\x09\x01\x03c\x1a\x09\0\0\x0a\x4c\x01\x03d";
        let attributes = Attributes::new(octets).unwrap();
        let of = |vendor, kind| attributes.of_vendor(vendor, kind).collect::<Vec<_>>();
        assert_eq!(of(9, 1), [b"a", b"c"]);
        assert_eq!(of(9, 2), [b"b"]);
        assert_eq!(of(2636, 1), [b"d"]);
    }

    #[test]
    fn long_values_are_joined_and_broken_ones_left_out() {
        let octets = [
            [245, 6, 1, 0x80, 1, 2],
            [245, 6, 1, 0x00, 3, 4],
            [245, 6, 1, 0x80, 5, 6],
            [245, 6, 2, 0x00, 7, 8],
            [245, 6, 1, 0x00, 9, 10],
        ]
        .concat();
        let attributes = Attributes::new(&octets).unwrap();
        assert_eq!(
            attributes.of_long_extended(245, 1),
            [&[1, 2, 3, 4][..], &[9, 10]]
        );
        assert_eq!(attributes.of_long_extended(245, 2), [&[7, 8][..]]);
        assert_eq!(attributes.of_extended(245, 1).count(), 0);
        let short = Attributes::new(&[241, 7, 4, 0, 0, 0, 43]).unwrap();
        assert_eq!(short.of_extended(241, 4).next(), Some(&[0, 0, 0, 43][..]));
    }

    #[test]
    fn eap_is_joined() {
        let mut octets = vec![79, 255];
        octets.resize(255, 1);
        octets.extend([1, 3, b'a', 79, 4, 2, 2]);
        let attributes = Attributes::new(&octets).unwrap();
        let eap = attributes.eap().unwrap();
        assert_eq!((eap.len(), eap.last()), (255, Some(&2)));
        assert_eq!(Attributes::new(b"\x01\x03a").unwrap().eap(), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_attributes_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            let Ok(attributes) = Attributes::new(&octets) else { return Ok(()) };
            let sum: usize = attributes.iter().map(|one| one.value.len() + 2).sum();
            prop_assert_eq!(sum, octets.len());
            _ = attributes.eap();
            _ = attributes.of_long_extended(245, 1);
            _ = attributes.of_vendor(9, 1).count();
        }
    }
}
