//! Names with `*` for any characters.

use std::fmt;

/// A name, or a pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
}

impl Pattern {
    /// From the text of the file.
    pub fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// Does the name fit?
    pub fn matches(&self, name: &str) -> bool {
        let Some((prefix, rest)) = self.text.split_once('*') else {
            return *self.text == *name;
        };
        let Some((middle, suffix)) = rest.rsplit_once('*') else {
            return name.len() >= prefix.len() + rest.len()
                && name.starts_with(prefix)
                && name.ends_with(rest);
        };
        let Some(inner) = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
        else {
            return false;
        };
        // The left-most place for each piece leaves the most room for those that follow.
        let mut rest = inner;
        middle.split('*').all(|piece| match rest.find(piece) {
            Some(at) => {
                rest = rest.get(at + piece.len()..).unwrap_or("");
                true
            }
            None => false,
        })
    }

    /// Does every name that fits `other` fit this one too?
    pub fn covers(&self, other: &Self) -> bool {
        // A star is no letter of this pattern, so only a star of this one can take a star of the other, and whatever it stands for.
        self.matches(&other.text)
    }

    /// Does it stand for one name only?
    pub fn is_exact(&self) -> bool {
        !self.text.contains('*')
    }

    /// The text of the file.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, yes, no) in [
            ("core*", vec!["core", "core1"], vec!["cor", "xcore1"]),
            ("*", vec!["", "x"], vec![]),
            ("a*a", vec!["aa", "aba"], vec!["a", "ab"]),
            (
                "a*b*c",
                vec!["abc", "axbbc", "abbc"],
                vec!["ac", "acb", "ab"],
            ),
            ("*ams*", vec!["ams", "core-ams-1"], vec!["am"]),
            ("core1", vec!["core1"], vec!["core11", "Core1"]),
        ] {
            let compiled = Pattern::new(pattern);
            for name in yes {
                assert!(compiled.matches(name), "{pattern} {name}");
            }
            for name in no {
                assert!(!compiled.matches(name), "{pattern} {name}");
            }
        }
    }
}
