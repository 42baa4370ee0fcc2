//! `tolerate`: what a device in the field may get wrong without being refused for it.

use std::fmt;

use super::report::Report;
use super::tree::Node;
use super::value::{self, unknown_word};

/// One departure from RFC 8907 or RFC 9887 that a device may be allowed. None is allowed by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tolerance {
    /// The unencrypted flag is set without TLS (RFC 8907 section 4.5). The body is de-obfuscated all the same.
    FlagSetOnPlain,
    /// The unencrypted flag is clear over TLS (RFC 9887 section 4).
    FlagClearOnTls,
    /// The password of an ASCII login is in `data` of the START (RFC 8907 section 5.4.2.1 knows none there).
    PasswordInStart,
    /// `<cr>` without a separator, or between the words of a command.
    BareCr,
    /// Arguments of no octets (RFC 8907 section 6.1 wants a name and a separator).
    EmptyArgument,
    /// `$enab15$` and the like as user names of enable requests.
    EnableNames,
}

impl Tolerance {
    /// Every tolerance, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::FlagSetOnPlain,
        Self::FlagClearOnTls,
        Self::PasswordInStart,
        Self::BareCr,
        Self::EmptyArgument,
        Self::EnableNames,
    ];

    /// The name in the file, in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlagSetOnPlain => "flag-set-on-plain",
            Self::FlagClearOnTls => "flag-clear-on-tls",
            Self::PasswordInStart => "password-in-start",
            Self::BareCr => "bare-cr",
            Self::EmptyArgument => "empty-argument",
            Self::EnableNames => "enable-names",
        }
    }

    /// Its place in [`Tolerance::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of tolerances.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Tolerances(u8);

impl Tolerances {
    /// None.
    pub const NONE: Self = Self(0);

    /// Is it in the set?
    pub fn contains(self, tolerance: Tolerance) -> bool {
        self.0 & tolerance.bit() != 0
    }

    /// Adds one.
    pub fn insert(&mut self, tolerance: Tolerance) {
        self.0 |= tolerance.bit();
    }

    /// Those in the set.
    pub fn iter(self) -> impl Iterator<Item = Tolerance> {
        Tolerance::ALL
            .into_iter()
            .filter(move |tolerance| self.contains(*tolerance))
    }
}

impl FromIterator<Tolerance> for Tolerances {
    fn from_iter<I: IntoIterator<Item = Tolerance>>(tolerances: I) -> Self {
        let bits = tolerances.into_iter().map(Tolerance::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl fmt::Debug for Tolerances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Tolerance::name))
            .finish()
    }
}

/// Reads the list.
pub(super) fn tolerances(report: &mut Report, node: &Node) -> Tolerances {
    let mut tolerances = Vec::new();
    for (word, element) in value::texts(report, "tolerate", node) {
        let known = Tolerance::ALL.into_iter().find(|one| one.name() == word);
        match known {
            Some(tolerance) => tolerances.push(tolerance),
            None => {
                let names = Tolerance::ALL.map(Tolerance::name);
                unknown_word(report, "tolerate", word, element.span, names.into_iter());
            }
        }
    }
    tolerances.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        assert_eq!(Tolerances::NONE, Tolerances::default());
        for (index, one) in Tolerance::ALL.into_iter().enumerate() {
            assert_eq!(one.index(), index);
            assert!(!Tolerances::NONE.contains(one));
            let set: Tolerances = [one].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [one]);
        }
        let all: Tolerances = Tolerance::ALL.into_iter().collect();
        assert!(all.iter().eq(Tolerance::ALL));
    }
}
