//! Values as an operator writes them, to octets.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use super::attribute::{Attribute, Hiding, Kind};
use super::words::{nearest, quoted};
use super::{address, date};

/// Octets of the longest value of a plain attribute (RFC 2865 section 5).
const PLAIN: usize = 253;
/// Octets of the longest value that takes many attributes: what a packet holds (RFC 2865 section 3).
const PACKET: usize = crate::header::MAX_PACKET - crate::header::HEADER;
/// Octets of the longest password (RFC 2865 section 5.2).
const PASSWORD: usize = 128;
/// The highest number beside a tag, which takes the first of its four octets (RFC 2868 section 3.1).
const TAGGED: u64 = 0x00ff_ffff;
/// This many allowed names are listed; more would not be read.
const LISTED: usize = 12;

/// Why a pair cannot be: one sentence with what is wrong and what is allowed. Hidden values are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError(pub(super) String);

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ValueError {}

impl Attribute {
    /// The octets of a value, without type, length, tag and hiding.
    ///
    /// Numbers are written by name, in decimal or as `0x1f`; times as RFC 3339 or in seconds since 1970; octets as
    /// they are or as `0x00ff`.
    ///
    /// # Errors
    /// The text does not fit the kind of the attribute, or is too long for it.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, ValueError> {
        let octets = match self.kind {
            Kind::Integer | Kind::Integer64 | Kind::Byte | Kind::Short => self.number(text)?,
            Kind::Signed => self.signed(text)?,
            Kind::Time => self.time(text)?,
            Kind::Text => text.as_bytes().to_vec(),
            Kind::String | Kind::Concat => match text.strip_prefix("0x") {
                Some(digits) => self.hex(text, digits)?,
                None => text.as_bytes().to_vec(),
            },
            Kind::Tlv | Kind::Vsa | Kind::Extended | Kind::LongExtended | Kind::Evs => {
                let digits = text.strip_prefix("0x");
                let digits = digits.ok_or_else(|| self.no(text, "0x and hexadecimal digits"))?;
                self.hex(text, digits)?
            }
            Kind::Ipv4Addr => {
                let address = text.parse::<Ipv4Addr>();
                let address = address.map_err(|_| self.no(text, "an address such as 192.0.2.1"))?;
                address.octets().to_vec()
            }
            Kind::Ipv6Addr => {
                let address = text.parse::<Ipv6Addr>();
                let address =
                    address.map_err(|_| self.no(text, "an address such as 2001:db8::1"))?;
                address.octets().to_vec()
            }
            Kind::Ipv4Prefix => address::ipv4_prefix(text)
                .map_err(|error| self.no_network(text, error, "192.0.2.0/24"))?,
            Kind::Ipv6Prefix => address::ipv6_prefix(text)
                .map_err(|error| self.no_network(text, error, "2001:db8::/32"))?,
            Kind::IfId => address::if_id(text).ok_or_else(|| {
                self.no(
                    text,
                    "four groups of hexadecimal digits such as 0:53ff:fe00:1",
                )
            })?,
            Kind::Ether => address::ether(text)
                .ok_or_else(|| self.no(text, "a MAC address such as 00:53:00:aa:bb:cc"))?,
        };
        self.fits(&octets)?;
        Ok(octets)
    }

    /// Octets of the longest value.
    pub fn capacity(&self) -> usize {
        if self.is_concat()
            || (self.vendor.is_none() && matches!(self.path.first(), Some(245 | 246)))
        {
            return PACKET;
        }
        // Inside a vendor: its number, and a type and length of the usual octet each. Inside others: a type and length.
        let head = match self.vendor {
            Some(_) => 4 + 2 * self.path.len(),
            None if matches!(self.path.first(), Some(241..=244)) => {
                1 + 2 * self.path.len().saturating_sub(2)
            }
            None => 2 * self.path.len().saturating_sub(1),
        };
        let room = PLAIN.saturating_sub(head + usize::from(self.tagged));
        match self.hidden {
            Hiding::None | Hiding::Ascend => room,
            Hiding::UserPassword => room.min(PASSWORD),
            // The salt, and whole blocks of 16 of which the first octet is the length (RFC 2868 section 3.5).
            Hiding::TunnelPassword => (room.saturating_sub(2) / 16 * 16).saturating_sub(1),
        }
    }

    fn fits(&self, octets: &[u8]) -> Result<(), ValueError> {
        let (name, got) = (&self.name, octets.len());
        if let Some(size) = self.size.filter(|size| *size != got) {
            return Err(ValueError(format!(
                "{name} has {got} octets, where exactly {size} are allowed"
            )));
        }
        // An empty EAP-Message asks for the conversation to begin (RFC 2869 section 5.13); others have to be left out.
        if got == 0 && !self.is_concat() {
            return Err(ValueError(format!(
                "{name} is empty, where at least one octet is needed (leave it out instead)"
            )));
        }
        let most = self.capacity();
        if got > most {
            return Err(ValueError(format!(
                "{name} has {got} octets, where at most {most} are allowed"
            )));
        }
        Ok(())
    }

    fn number(&self, text: &str) -> Result<Vec<u8>, ValueError> {
        let octets = self.kind.number_octets().unwrap_or(4);
        let named = self.values.number(text);
        let Some(number) = named.or_else(|| unsigned(text)) else {
            return Err(self.no_name(text));
        };
        let most = match octets {
            _ if self.tagged => TAGGED,
            1 => u64::from(u8::MAX),
            2 => u64::from(u16::MAX),
            4 => u64::from(u32::MAX),
            _ => u64::MAX,
        };
        if number > most {
            return Err(self.no(text, &format!("a number from 0 to {most}")));
        }
        let all = number.to_be_bytes();
        let skip = all.len().saturating_sub(octets);
        Ok(all.into_iter().skip(skip).collect())
    }

    fn signed(&self, text: &str) -> Result<Vec<u8>, ValueError> {
        let named = self.values.number(text).and_then(|n| i32::try_from(n).ok());
        let number = named.or_else(|| text.parse().ok());
        let number: i32 = number.ok_or_else(|| {
            let (least, most) = (i32::MIN, i32::MAX);
            self.no(text, &format!("a number from {least} to {most}"))
        })?;
        Ok(number.to_be_bytes().to_vec())
    }

    fn time(&self, text: &str) -> Result<Vec<u8>, ValueError> {
        let plain = unsigned(text).and_then(|number| u32::try_from(number).ok());
        let number = plain.or_else(|| date::seconds(text)).ok_or_else(|| {
            let until = date::show(u32::MAX);
            self.no(
                text,
                &format!(
                    "a time such as 2026-01-31T12:00:00Z, until {until}, or seconds since 1970"
                ),
            )
        })?;
        Ok(number.to_be_bytes().to_vec())
    }

    fn hex(&self, text: &str, digits: &str) -> Result<Vec<u8>, ValueError> {
        from_hex(digits)
            .ok_or_else(|| self.no(text, "an even number of hexadecimal digits after 0x"))
    }

    fn no_network(&self, text: &str, error: address::PrefixError, such: &str) -> ValueError {
        match error {
            address::PrefixError::Form => self.no(text, &format!("a network such as {such}")),
            address::PrefixError::Bits => self.no(
                text,
                &format!("a network without bits beyond its length, such as {such}"),
            ),
        }
    }

    fn no_name(&self, text: &str) -> ValueError {
        if self.values.is_empty() {
            return self.no(text, "a number");
        }
        let names = || self.values.iter().map(|(_, name)| name);
        if let Some(near) = nearest(text, names(), super::NEAR) {
            return self.no(
                text,
                &format!("a number or one of its names, such as {near}"),
            );
        }
        let mut listed: Vec<&str> = names().take(LISTED).collect();
        if names().count() > LISTED {
            listed.push("...");
        }
        self.no(text, &format!("a number or one of: {}", listed.join(", ")))
    }

    /// What a value is not, without the value of what is to stay hidden.
    fn no(&self, text: &str, allowed: &str) -> ValueError {
        let what = match self.hidden {
            Hiding::None => quoted(text),
            Hiding::UserPassword | Hiding::TunnelPassword | Hiding::Ascend => {
                "the hidden text".to_string()
            }
        };
        let name = &self.name;
        ValueError(format!(
            "{what} is no value of {name}, which takes {allowed}"
        ))
    }
}

/// A number in decimal or as `0x1f`, without sign.
pub(super) fn unsigned(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` takes a plus sign.
    let first = digits.chars().next()?;
    first.is_ascii_hexdigit().then_some(())?;
    u64::from_str_radix(digits, radix).ok()
}

/// Octets of an even number of hexadecimal digits.
pub(super) fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let octet = |&[high, low]: &[u8; 2]| {
        let (high, low) = (
            char::from(high).to_digit(16)?,
            char::from(low).to_digit(16)?,
        );
        u8::try_from(high * 16 + low).ok()
    };
    pairs.iter().map(octet).collect()
}
