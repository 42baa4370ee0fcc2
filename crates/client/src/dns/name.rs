//! Names of the DNS, in lower case: two that differ in case alone are the same name (RFC 4343).

use std::fmt;
use std::str::FromStr;

use hickory_proto::rr as hickory;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

/// Octets of the longest label.
const MAX_LABEL: usize = 63;

/// An absolute name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(hickory::Name);

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self(hickory::Name::root())
    }

    /// How many labels it has, the root's not counted.
    pub fn depth(&self) -> usize {
        self.0.iter().len()
    }

    /// Whether it is this name or lies beneath it.
    pub fn is_within(&self, zone: &Self) -> bool {
        zone.0.zone_of(&self.0)
    }

    /// As the library wants it.
    pub(super) fn wire(&self) -> &hickory::Name {
        &self.0
    }

    /// A name of the wire, which is all that these octets are.
    pub(super) fn read(wire: &[u8]) -> Option<Self> {
        let mut decoder = BinDecoder::new(wire);
        let name = hickory::Name::read(&mut decoder).ok()?;
        decoder.is_empty().then(|| name.into())
    }

    /// The name that DNAME makes of this one (RFC 6672 section 2.2), unless it is too long.
    pub(super) fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        let more = self.depth().checked_sub(from.depth())?;
        let labels = self.0.iter().take(more).chain(to.0.iter());
        hickory::Name::from_labels(labels).ok().map(Into::into)
    }
}

impl From<hickory::Name> for Name {
    fn from(name: hickory::Name) -> Self {
        let mut name = name.to_lowercase();
        name.set_fqdn(true);
        Self(name)
    }
}

/// Without a dot at the end; other characters than those of host names are escaped as in zone files (`\046`).
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_ascii();
        match text.strip_suffix('.') {
            Some(text) if !text.is_empty() => f.write_str(text),
            Some(_) | None => f.write_str(&text),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// Names of letters, digits, `-`, `_` and `*`. The dot at the end may be left out: every name is absolute.
impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_root = text == ".";
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return if is_root {
                Ok(Self::root())
            } else {
                Err(NameError::Empty)
            };
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(NameError::Empty);
            }
            if !label.is_ascii() {
                return Err(NameError::NotAscii);
            }
            let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_*".contains(&octet);
            if !label.bytes().all(plain) {
                return Err(NameError::Character);
            }
            if label.len() > MAX_LABEL {
                return Err(NameError::Long);
            }
        }
        let labels = text.split('.').map(str::as_bytes);
        let name = hickory::Name::from_labels(labels).map_err(|_| NameError::Long)?;
        Ok(name.into())
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing at all, or two dots without a label between.
    Empty,
    /// A label of more than 63 octets, or a name of more than 253.
    Long,
    /// Not in ASCII.
    NotAscii,
    /// A character that no name of a host or service has.
    Character,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a label of the name is empty",
            Self::Long => "the name has more than 253 characters, or a label more than 63",
            Self::NotAscii => "the name is not in ASCII: write it in its xn-- form",
            Self::Character => "the name has a character beside letters, digits, - and _",
        })
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn case_and_the_last_dot_do_not_matter() {
        assert_eq!(name("Host.Example."), name("host.example"));
        assert_eq!(name("Host.Example.").to_string(), "host.example");
        assert_eq!(name(".").to_string(), ".");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, error) in [
            ("", NameError::Empty),
            ("a..b", NameError::Empty),
            ("bücher.example", NameError::NotAscii),
            ("a b", NameError::Character),
            (&"a".repeat(64), NameError::Long),
            (&"abcdefg.".repeat(32), NameError::Long),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
    }

    #[test]
    fn labels_make_the_tree_not_octets() {
        assert!(name("a.example").is_within(&name("example")));
        assert!(name("example").is_within(&Name::root()));
        assert!(!name("badexample").is_within(&name("example")));
        assert!(!name("example").is_within(&name("a.example")));
    }

    #[test]
    fn a_tree_can_be_moved() {
        let moved = name("a.b.example").moved(&name("b.example"), &name("c.net"));
        assert_eq!(moved, Some(name("a.c.net")));
    }
}
