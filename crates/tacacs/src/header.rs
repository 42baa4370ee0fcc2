//! The twelve octets before every body (section 4.1).

use core::fmt;

use crate::registry::PacketType;

/// Identifies a session on its connection; the client chooses it from a cryptographic random generator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:08x})", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The number of a packet in its session: odd from the client, even from the server, never wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqNo(pub u8);

impl SeqNo {
    /// The number of the first packet of a session.
    pub const FIRST: Self = Self(1);
    /// The last number that a server can send.
    pub const LAST_OF_SERVER: Self = Self(254);

    /// The following number, or `None` after 255: the session has to end then.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// Whether a client may send it.
    pub fn is_from_client(self) -> bool {
        self.0 % 2 == 1
    }
}

/// The version octet: major version in the high, minor version in the low four bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub u8);

impl Version {
    /// `minor_version` 0: everything but the one-packet logins.
    pub const DEFAULT: Self = Self(0xc0);
    /// `minor_version` 1: logins by PAP, CHAP and MS-CHAP.
    pub const ONE: Self = Self(0xc1);

    /// Whether the major version is the only one that there is.
    pub fn is_tacacs(self) -> bool {
        self.0 >> 4 == 0xc
    }

    /// The minor version.
    pub fn minor(self) -> u8 {
        self.0 & 0x0f
    }

    /// The version a reply has: that of the request, or the nearest one that exists.
    pub fn of_reply(self) -> Self {
        if self.minor() == 0 {
            Self::DEFAULT
        } else {
            Self::ONE
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({:#04x})", self.0)
    }
}

/// The flags of a header; other bits than the two named ones are ignored on receipt.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The body is not obfuscated.
    pub const UNENCRYPTED: Self = Self(0x01);
    /// Many sessions on one connection.
    pub const SINGLE_CONNECT: Self = Self(0x04);

    /// Whether every bit of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those of `other`.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These bits but not those of `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#04x}", self.0)?;
        if self.contains(Self::UNENCRYPTED) {
            f.write_str(" UNENCRYPTED")?;
        }
        if self.contains(Self::SINGLE_CONNECT) {
            f.write_str(" SINGLE_CONNECT")?;
        }
        f.write_str(")")
    }
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version octet.
    pub version: Version,
    /// The type, which decides how the body is laid out.
    pub packet_type: PacketType,
    /// The number in the session.
    pub seq_no: SeqNo,
    /// The flags.
    pub flags: Flags,
    /// The session.
    pub session_id: SessionId,
    /// The number of octets of the body.
    pub length: u32,
}

impl Header {
    /// The number of octets of a header.
    pub const LENGTH: usize = 12;

    /// Reads a header. Every twelve octets are one; what the fields may hold is the business of the connection.
    pub fn decode(octets: &[u8; Self::LENGTH]) -> Self {
        let &[
            version,
            packet_type,
            seq_no,
            flags,
            s0,
            s1,
            s2,
            s3,
            l0,
            l1,
            l2,
            l3,
        ] = octets;
        Self {
            version: Version(version),
            packet_type: PacketType(packet_type),
            seq_no: SeqNo(seq_no),
            flags: Flags(flags),
            session_id: SessionId(u32::from_be_bytes([s0, s1, s2, s3])),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        }
    }

    /// Reads the header at the start of `octets`, or `None` when more octets are needed.
    pub fn peek(octets: &[u8]) -> Option<Self> {
        octets.first_chunk().map(Self::decode)
    }

    /// The octets on the wire.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let [s0, s1, s2, s3] = self.session_id.0.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        let (version, packet_type) = (self.version.0, self.packet_type.0);
        [
            version,
            packet_type,
            self.seq_no.0,
            self.flags.0,
            s0,
            s1,
            s2,
            s3,
            l0,
            l1,
            l2,
            l3,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTETS: [u8; 12] = [
        0xc1, 0x02, 0x03, 0x04, 0xde, 0xad, 0xbe, 0xef, 0x80, 0x00, 0x00, 0x09,
    ];

    /// proves: TAC-4.1-1, TAC-4.1-7, TAC-4.1-17
    #[test]
    fn known_octets_decode_and_encode() {
        let header = Header::decode(&OCTETS);
        assert_eq!(header.version, Version::ONE);
        assert_eq!(header.packet_type, PacketType::AUTHORIZATION);
        assert_eq!(header.seq_no, SeqNo(3));
        assert_eq!(header.flags, Flags::SINGLE_CONNECT);
        assert_eq!(header.session_id, SessionId(0xdead_beef));
        assert_eq!(header.length, 0x8000_0009);
        assert_eq!(header.encode(), OCTETS);
    }

    /// proves: TAC-4.1-1
    #[test]
    fn eleven_octets_are_not_yet_a_header() {
        assert_eq!(Header::peek(&OCTETS[..11]), None);
        assert!(Header::peek(&OCTETS).is_some());
    }

    /// proves: TAC-4.1-11
    #[test]
    fn sequence_numbers_do_not_wrap() {
        assert_eq!(SeqNo(254).next(), Some(SeqNo(255)));
        assert_eq!(SeqNo(255).next(), None);
    }

    /// proves: TAC-4.1-2
    #[test]
    fn replies_have_one_of_the_two_versions() {
        for octet in 0xc0..=0xcf {
            assert!(Version(octet).is_tacacs());
            assert!([Version::DEFAULT, Version::ONE].contains(&Version(octet).of_reply()));
        }
        assert!(!Version(0xd0).is_tacacs());
    }
}
