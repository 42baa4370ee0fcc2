//! Pairs as a configuration writes them: a name, perhaps a tag, and a value (RFC 2868 section 3).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Dictionary;
use super::attribute::{Attribute, Hiding, Kind};
use super::value::ValueError;
use super::words::quoted;

/// The highest tag; higher octets are the first of a value without one (RFC 2868 section 3.3).
const MAX_TAG: u8 = 0x1f;

/// An attribute and its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    /// What it is.
    pub attribute: &'a Attribute,
    /// The group it is in, 1 to 31.
    pub tag: Option<u8>,
    /// The octets of the value, without type, length, tag and hiding.
    pub octets: Vec<u8>,
}

impl Pair<'_> {
    /// The value with its tag, as it stands in a packet if it is not hidden.
    pub fn tagged_octets(&self) -> Vec<u8> {
        self.attribute.join_tag(self.tag, &self.octets)
    }
}

impl fmt::Debug for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Pair");
        out.field("attribute", &self.attribute.name)
            .field("tag", &self.tag);
        match self.attribute.hidden {
            Hiding::None => out
                .field("value", &self.attribute.show(&self.octets))
                .finish(),
            Hiding::UserPassword | Hiding::TunnelPassword | Hiding::Ascend => {
                out.finish_non_exhaustive()
            }
        }
    }
}

impl Dictionary {
    /// Reads `Tunnel-Type:1` and `VLAN`.
    ///
    /// # Errors
    /// No such attribute, a tag where there can be none, or no such value.
    pub fn parse_pair(&self, name: &str, value: &str) -> Result<Pair<'_>, ValueError> {
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (name, None),
        };
        let Some(attribute) = self.by_name(name) else {
            return Err(self.unknown(name));
        };
        let tag = match tag {
            None => None,
            Some(tag) if attribute.tagged => Some(read_tag(name, tag)?),
            Some(tag) => {
                let tag = quoted(tag);
                return Err(ValueError(format!(
                    "{name} has the tag {tag}, where no tag is allowed"
                )));
            }
        };
        let octets = attribute.encode(value)?;
        Ok(Pair {
            attribute,
            tag,
            octets,
        })
    }

    fn unknown(&self, name: &str) -> ValueError {
        let near = self.suggest(name);
        let near = near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
        let name = quoted(name);
        ValueError(format!(
            "{name} is no attribute of the dictionary, which is where names have to come from{near}"
        ))
    }
}

fn read_tag(name: &str, tag: &str) -> Result<u8, ValueError> {
    let digits = !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit());
    let number = tag.parse().ok().filter(|_| digits);
    number
        .filter(|number| (1..=MAX_TAG).contains(number))
        .ok_or_else(|| {
            let tag = quoted(tag);
            ValueError(format!(
                "{name} has the tag {tag}, where a number from 1 to {MAX_TAG} is allowed"
            ))
        })
}

impl Attribute {
    /// Puts the tag before the octets of a value that is not hidden yet. The tag takes the first octet of a number;
    /// text has none, unless its own first octet would be taken for one (RFC 2868 sections 3.1 and 3.3).
    pub fn join_tag(&self, tag: Option<u8>, octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len() + 1);
        let after = if !self.tagged {
            octets
        } else if self.kind == Kind::Integer {
            out.push(tag.unwrap_or(0));
            octets.get(1..).unwrap_or(octets)
        } else {
            let always = self.hidden == Hiding::TunnelPassword;
            let mistaken = octets.first().is_some_and(|first| *first <= MAX_TAG);
            let zero = (always || mistaken).then_some(0);
            out.extend(tag.or(zero));
            octets
        };
        out.extend_from_slice(after);
        out
    }

    /// Takes the tag from the octets of a value that is not hidden any more.
    pub fn split_tag(&self, octets: &[u8]) -> (Option<u8>, Vec<u8>) {
        let Some((first, rest)) = octets.split_first().filter(|_| self.tagged) else {
            return (None, octets.to_vec());
        };
        let tag = (1..=MAX_TAG).contains(first).then_some(*first);
        if self.kind == Kind::Integer {
            let mut number = octets.to_vec();
            if *first <= MAX_TAG
                && let Some(high) = number.first_mut()
            {
                *high = 0;
            }
            return (tag, number);
        }
        let is_tag = *first <= MAX_TAG || self.hidden == Hiding::TunnelPassword;
        (tag, if is_tag { rest } else { octets }.to_vec())
    }
}
