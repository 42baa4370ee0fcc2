//! Octets of values, to what an operator reads.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::Dictionary;
use super::attribute::{Attribute, Hiding, Kind, VendorFormat};
use super::words::push_escaped;
use super::{address, date};
use crate::attribute::kind::VENDOR_SPECIFIC;

impl Attribute {
    /// The text of a value's octets, without tag and hiding. What does not fit the kind is shown as `0x00ff`, and
    /// what a terminal would obey is escaped.
    ///
    /// The value of a hidden attribute is shown too: who must not log it must not ask.
    pub fn show(&self, octets: &[u8]) -> String {
        self.known(octets).unwrap_or_else(|| hex(octets))
    }

    fn known(&self, octets: &[u8]) -> Option<String> {
        match self.kind {
            Kind::Integer | Kind::Byte | Kind::Short | Kind::Integer64 => {
                let number = self.fitting(octets)?;
                let name = self.values.name(number);
                Some(name.map_or_else(|| number.to_string(), ToString::to_string))
            }
            Kind::Signed => {
                let number = i32::from_be_bytes(octets.try_into().ok()?);
                let name = u64::try_from(number).ok().and_then(|n| self.values.name(n));
                Some(name.map_or_else(|| number.to_string(), ToString::to_string))
            }
            Kind::Time => Some(date::show(u32::from_be_bytes(octets.try_into().ok()?))),
            Kind::Text => {
                let text = core::str::from_utf8(octets).ok()?;
                let mut out = String::with_capacity(text.len());
                text.chars().for_each(|c| push_escaped(&mut out, c));
                Some(out)
            }
            Kind::String | Kind::Concat => plain(octets),
            Kind::Ipv4Addr => {
                let octets: [u8; 4] = octets.try_into().ok()?;
                Some(Ipv4Addr::from(octets).to_string())
            }
            Kind::Ipv6Addr => {
                let octets: [u8; 16] = octets.try_into().ok()?;
                Some(Ipv6Addr::from(octets).to_string())
            }
            Kind::Ipv4Prefix => address::show_ipv4_prefix(octets),
            Kind::Ipv6Prefix => address::show_ipv6_prefix(octets),
            Kind::IfId => {
                let number = u64::from_be_bytes(octets.try_into().ok()?);
                let group = |shift: u32| (number >> shift) & 0xffff;
                let (a, b, c, d) = (group(48), group(32), group(16), group(0));
                Some(format!("{a:x}:{b:x}:{c:x}:{d:x}"))
            }
            Kind::Ether => {
                let [a, b, c, d, e, f]: [u8; 6] = octets.try_into().ok()?;
                Some(format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"))
            }
            Kind::Tlv | Kind::Vsa | Kind::Extended | Kind::LongExtended | Kind::Evs => None,
        }
    }

    /// The number of exactly the octets its kind has.
    fn fitting(&self, octets: &[u8]) -> Option<u64> {
        let fits = self.kind.number_octets() == Some(octets.len());
        let number = octets
            .iter()
            .fold(0_u64, |number, octet| (number << 8) | u64::from(*octet));
        fits.then_some(number)
    }
}

/// One attribute of a packet as an operator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name with its tag, as in `Tunnel-Type:1`; where the dictionary has none, `Attr-240`, `Attr-241.9` or, with the
    /// number of the vendor, `Attr-26.9.250`.
    pub name: String,
    /// Its value; `None` if it is hidden, and must not be shown.
    pub value: Option<String>,
}

impl Dictionary {
    /// An attribute of a packet; of a vendor's there may be several in one.
    pub fn describe(&self, attribute: &crate::attribute::Attribute<'_>) -> Vec<Shown> {
        let kind = u32::from(attribute.kind);
        if let Some((vendor, format)) = self.odd_vendor(attribute) {
            let all = attribute.value.get(4..).unwrap_or_default();
            let all = self.of_format(vendor, format, all);
            return all.unwrap_or_else(|| Vec::from([self.shown(None, &[kind], attribute.value)]));
        }
        if let Some((vendor, inner)) = attribute.vendor() {
            let inner = inner.iter();
            return inner
                .map(|one| self.shown(Some(vendor), &[one.kind.into()], one.value))
                .collect();
        }
        let one = match attribute.extended() {
            Some((extended, value)) => self.shown(None, &[kind, extended.into()], value),
            None => self.shown(None, &[kind], attribute.value),
        };
        Vec::from([one])
    }

    /// The vendor of attributes that do not begin as RFC 2865 section 5.26 suggests.
    fn odd_vendor(
        &self,
        attribute: &crate::attribute::Attribute<'_>,
    ) -> Option<(u32, VendorFormat)> {
        let vendor = attribute.value.first_chunk();
        let vendor = vendor.filter(|_| attribute.kind == VENDOR_SPECIFIC)?;
        let vendor = u32::from_be_bytes(*vendor);
        let format = self.format(vendor);
        (format != VendorFormat::default()).then_some((vendor, format))
    }

    /// The attributes of a vendor; `None` if the octets are not a row of them.
    fn of_format(&self, vendor: u32, format: VendorFormat, octets: &[u8]) -> Option<Vec<Shown>> {
        let mut shown = Vec::new();
        let mut rest = octets;
        while !rest.is_empty() {
            let (number, length) = head(format, rest)?;
            let (whole, after) = rest.split_at_checked(length)?;
            shown.push(self.shown(Some(vendor), &[number], whole.get(format.head()..)?));
            rest = after;
        }
        Some(shown).filter(|shown| !shown.is_empty())
    }

    /// A value, with the tag it may have, of the attribute with this number; see [`Attribute::path`].
    pub fn shown(&self, vendor: Option<u32>, path: &[u32], value: &[u8]) -> Shown {
        let Some(known) = self.by_number(vendor, path) else {
            return Shown {
                name: numbered(vendor, path),
                value: Some(unknown(value)),
            };
        };
        let (tag, octets) = known.split_tag(value);
        let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
        Shown {
            name: format!("{}{tag}", known.name),
            value: (known.hidden == Hiding::None).then(|| known.show(&octets)),
        }
    }
}

/// The type and the whole length of the first of the octets.
fn head(format: VendorFormat, octets: &[u8]) -> Option<(u32, usize)> {
    let number = |octets: &[u8]| {
        let octets = octets.iter();
        octets.fold(0_u32, |number, octet| (number << 8) | u32::from(*octet))
    };
    let (kind, rest) = octets.split_at_checked(format.type_octets.into())?;
    let length = rest.get(..format.length_octets.into())?;
    let length = if length.is_empty() {
        octets.len()
    } else {
        usize::try_from(number(length)).ok()?
    };
    (length >= format.head()).then(|| (number(kind), length))
}

/// An attribute by its number: `Attr-240`, `Attr-26.9.1`.
pub(super) fn numbered(vendor: Option<u32>, path: &[u32]) -> String {
    let vendor = vendor.map_or_else(String::new, |vendor| format!("26.{vendor}."));
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    format!("Attr-{vendor}{}", path.join("."))
}

/// Text where it is such, hexadecimal digits otherwise.
fn unknown(value: &[u8]) -> String {
    let printable = value.iter().all(|octet| matches!(octet, 0x20..=0x7e));
    let text = core::str::from_utf8(value).ok();
    text.filter(|_| printable)
        .map_or_else(|| hex(value), ToString::to_string)
}

/// The octets as text, if that can be read and is not taken for hexadecimal digits when it is read back.
fn plain(octets: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(octets).ok()?;
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut out, c));
    (out == text && !text.starts_with("0x")).then_some(out)
}

/// `0x` and two digits an octet.
pub(super) fn hex(octets: &[u8]) -> String {
    let mut out = String::from("0x");
    for octet in octets {
        let _ = write!(out, "{octet:02x}");
    }
    out
}
