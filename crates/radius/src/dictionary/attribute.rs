//! What a dictionary knows about an attribute.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// How the value of an attribute is built (RFC 8044 section 3). `enum` is an [`Kind::Integer`] with named values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An unsigned number of four octets.
    Integer,
    /// Seconds since 1970, in four octets.
    Time,
    /// UTF-8.
    Text,
    /// Octets of any meaning.
    String,
    /// Octets spread over as many attributes as it takes, such as EAP-Message.
    Concat,
    /// The eight octets of an IPv6 interface.
    IfId,
    /// An IPv4 address.
    Ipv4Addr,
    /// An IPv6 address.
    Ipv6Addr,
    /// An IPv6 network; octets it does not need may be left out.
    Ipv6Prefix,
    /// An IPv4 network.
    Ipv4Prefix,
    /// An unsigned number of eight octets.
    Integer64,
    /// An unsigned number of one octet.
    Byte,
    /// An unsigned number of two octets.
    Short,
    /// A number of four octets with a sign.
    Signed,
    /// Attributes inside the attribute.
    Tlv,
    /// Attributes of a vendor (26).
    Vsa,
    /// Attributes with an extended type (RFC 6929 section 2.1).
    Extended,
    /// The same, and longer than one attribute can be (RFC 6929 section 2.2).
    LongExtended,
    /// Attributes of a vendor with an extended type (RFC 6929 section 2.4).
    Evs,
    /// A MAC address.
    Ether,
}

impl Kind {
    /// The octets of a number, for the kinds that can have named values.
    pub fn number_octets(self) -> Option<usize> {
        match self {
            Self::Byte => Some(1),
            Self::Short => Some(2),
            Self::Integer | Self::Time | Self::Signed => Some(4),
            Self::Integer64 => Some(8),
            Self::Text
            | Self::String
            | Self::Concat
            | Self::IfId
            | Self::Ipv4Addr
            | Self::Ipv6Addr
            | Self::Ipv6Prefix
            | Self::Ipv4Prefix
            | Self::Tlv
            | Self::Vsa
            | Self::Extended
            | Self::LongExtended
            | Self::Evs
            | Self::Ether => None,
        }
    }

    /// The type as a file writes it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Time => "date",
            Self::Text => "string",
            Self::String => "octets",
            Self::Concat => "octets concat",
            Self::IfId => "ifid",
            Self::Ipv4Addr => "ipaddr",
            Self::Ipv6Addr => "ipv6addr",
            Self::Ipv6Prefix => "ipv6prefix",
            Self::Ipv4Prefix => "ipv4prefix",
            Self::Integer64 => "integer64",
            Self::Byte => "byte",
            Self::Short => "short",
            Self::Signed => "signed",
            Self::Tlv => "tlv",
            Self::Vsa => "vsa",
            Self::Extended => "extended",
            Self::LongExtended => "long-extended",
            Self::Evs => "evs",
            Self::Ether => "ether",
        }
    }

    /// Whether other attributes are inside.
    pub fn is_parent(self) -> bool {
        matches!(
            self,
            Self::Tlv | Self::Vsa | Self::Extended | Self::LongExtended | Self::Evs
        )
    }
}

/// What keeps the value from being read on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hiding {
    /// Nothing.
    #[default]
    None,
    /// As User-Password (RFC 2865 section 5.2).
    UserPassword,
    /// With a salt, as Tunnel-Password (RFC 2868 section 3.5).
    TunnelPassword,
    /// As Ascend-Send-Secret.
    Ascend,
}

/// The named values of an attribute. Names are compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    by_name: BTreeMap<String, u64>,
    by_number: BTreeMap<u64, String>,
}

impl Values {
    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.by_name.get(&name.to_ascii_lowercase()).copied()
    }

    /// The name of a number; of several, the one defined last.
    pub fn name(&self, number: u64) -> Option<&str> {
        self.by_number.get(&number).map(String::as_str)
    }

    /// Numbers and their names, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &str)> {
        let pairs = self.by_number.iter();
        pairs.map(|(number, name)| (*number, name.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    pub(super) fn add(&mut self, name: &str, number: u64) {
        self.by_name.insert(name.to_ascii_lowercase(), number);
        self.by_number.insert(number, name.to_string());
    }
}

/// An attribute of a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The enterprise number of its vendor; none for the attributes of the IETF.
    pub vendor: Option<u32>,
    /// Its type, or the types from the outside in: `[1]`, `[241, 4]`, and inside a vendor the vendor's.
    pub path: Vec<u32>,
    /// How its value is built.
    pub kind: Kind,
    /// The octets its value has to have, where a dictionary says so.
    pub size: Option<usize>,
    /// Whether a tag groups it with others (RFC 2868 section 3).
    pub tagged: bool,
    /// What keeps its value from being read.
    pub hidden: Hiding,
    /// The names of its numbers.
    pub values: Values,
}

impl Attribute {
    /// Whether the value goes into as many attributes as it takes.
    pub fn is_concat(&self) -> bool {
        self.kind == Kind::Concat
    }
}

/// How a vendor writes the head of its attributes. RFC 2865 section 5.26 suggests one octet each, and not all follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VendorFormat {
    /// Octets of the type: 1, 2 or 4.
    pub type_octets: u8,
    /// Octets of the length: 0, 1 or 2; without one, the attribute fills the rest.
    pub length_octets: u8,
    /// Whether an octet of flags follows that says if the next attribute continues this one (WiMAX).
    pub continuation: bool,
}

impl Default for VendorFormat {
    fn default() -> Self {
        Self {
            type_octets: 1,
            length_octets: 1,
            continuation: false,
        }
    }
}

impl fmt::Display for VendorFormat {
    /// As a dictionary writes it: `2,1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.type_octets, self.length_octets)?;
        f.write_str(if self.continuation { ",c" } else { "" })
    }
}

impl VendorFormat {
    /// Octets before the value.
    pub fn head(self) -> usize {
        usize::from(self.type_octets)
            + usize::from(self.length_octets)
            + usize::from(self.continuation)
    }

    /// The highest type that can be written.
    pub fn max_type(self) -> u32 {
        match self.type_octets {
            1 => u32::from(u8::MAX),
            2 => u32::from(u16::MAX),
            _ => u32::MAX,
        }
    }
}

/// A vendor of a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// Its name.
    pub name: String,
    /// Its number (IANA "Private Enterprise Numbers").
    pub number: u32,
    /// How it writes its attributes.
    pub format: VendorFormat,
}
