//! Names of the DNS, in lower case: two that differ in case alone are the same name (RFC 4343).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Octets of the longest name on the wire (RFC 1035 section 2.3.4).
const MAX_WIRE: usize = 255;
/// Octets of the longest label.
const MAX_LABEL: usize = 63;

/// An absolute name. Ordered as in RFC 4034 section 6.1.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// The name of a wire form without compression that is known to be whole.
    pub(super) fn of_wire(wire: &[u8]) -> Self {
        // The octets that say how long a label is are no letters.
        Self(wire.to_ascii_lowercase().into_boxed_slice())
    }

    /// The wire form.
    pub(super) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from left to right, without the root's.
    pub(super) fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            (*length > 0).then_some(label)
        })
    }

    /// How many labels it has, the root's not counted.
    pub fn depth(&self) -> usize {
        self.labels().count()
    }

    /// Whether it is this name or lies beneath it.
    pub fn is_within(&self, zone: &Self) -> bool {
        self.depth()
            .checked_sub(zone.depth())
            .is_some_and(|more| self.skip(more).is_some_and(|end| end == zone.wire()))
    }

    /// The name of its last `depth` labels; itself if it has no more.
    pub(super) fn last(&self, depth: usize) -> Self {
        let more = self.depth().saturating_sub(depth);
        self.skip(more)
            .map_or_else(Self::root, |end| Self(end.into()))
    }

    /// The deepest name above both, or one of them.
    pub(super) fn common(&self, other: &Self) -> Self {
        let (mine, theirs) = (self.reversed(), other.reversed());
        let same = mine.iter().zip(&theirs).take_while(|(a, b)| a == b);
        self.last(same.count())
    }

    /// `*` beneath it, unless that is too long.
    pub(super) fn wildcard(&self) -> Option<Self> {
        self.beneath(&[1, b'*'])
    }

    /// The name with these labels (wire form, without end) in front.
    pub(super) fn beneath(&self, labels: &[u8]) -> Option<Self> {
        let wire = [labels, self.wire()].concat();
        (wire.len() <= MAX_WIRE).then(|| Self::of_wire(&wire))
    }

    /// The wire form of the labels it has more than a name above it, without end.
    pub(super) fn above(&self, zone: &Self) -> &[u8] {
        let length = self.0.len().saturating_sub(zone.0.len());
        self.0.get(..length).unwrap_or_default()
    }

    fn skip(&self, labels: usize) -> Option<&[u8]> {
        let skipped = self.labels().take(labels);
        let octets: usize = skipped.map(|label| label.len().saturating_add(1)).sum();
        self.0.get(octets..)
    }

    fn reversed(&self) -> Vec<&[u8]> {
        let mut labels: Vec<&[u8]> = self.labels().collect();
        labels.reverse();
        labels
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.reversed().cmp(&other.reversed())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Without a dot at the end; what is no printable ASCII, and dots inside of labels, as in zone files (`\046`).
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for label in self.labels() {
            f.write_str(before)?;
            before = ".";
            for octet in label {
                if octet.is_ascii_graphic() && !b".\\\"();@$".contains(octet) {
                    write!(f, "{}", char::from(*octet))?;
                } else {
                    write!(f, "\\{octet:03}")?;
                }
            }
        }
        if before.is_empty() {
            f.write_str(".")?;
        }
        Ok(())
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
        let mut wire = Vec::with_capacity(text.len().saturating_add(2));
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            if label.is_empty() && text == "." {
                break;
            }
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
            let length = u8::try_from(label.len()).map_err(|_| NameError::Long)?;
            if label.len() > MAX_LABEL {
                return Err(NameError::Long);
            }
            wire.push(length);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        if wire.len() > MAX_WIRE {
            return Err(NameError::Long);
        }
        Ok(Self::of_wire(&wire))
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
        assert_eq!(
            name("a.b.example").common(&name("x.b.example")),
            name("b.example")
        );
        assert_eq!(name("a.b.example").last(1), name("example"));
        assert_eq!(name("a.b.example").above(&name("example")), b"\x01a\x01b");
    }

    /// The example of RFC 4034 section 6.1, as far as names of hosts go.
    #[test]
    fn the_order_is_the_canonical_one() {
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "z.a.example",
            "zabc.a.example",
            "z.example",
            "*.z.example",
        ];
        assert!(sorted.map(name).is_sorted());
    }
}
