//! When one line leaves nothing for another. Everything here errs on the side of "no".

use super::{CommandRule, Word};

/// What can stand at one position of a command that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position<'a> {
    /// One of these words.
    Words(Vec<&'a str>),
    /// Words that cannot be listed, or none.
    Open,
}

impl CommandRule {
    /// Does it match every command that `other` matches? `false` also where that is not certain.
    pub fn covers(&self, other: &Self) -> bool {
        let lengths = if self.rest {
            self.words.len() <= other.words.len()
        } else {
            !other.rest && self.words.len() == other.words.len()
        };
        lengths
            && self
                .words
                .iter()
                .zip(&other.words)
                .all(|(own, theirs)| own.covers(theirs))
    }

    /// Does it match every command? `false` also where that is not certain.
    pub fn covers_all(&self) -> bool {
        self.rest && matches!(&*self.words, [] | [Word::Any])
    }

    /// The words that fit at a position, counted from 0.
    pub fn position(&self, at: usize) -> Position<'_> {
        match self.words.get(at) {
            Some(Word::Literal(word)) => Position::Words(vec![word]),
            Some(Word::Choice(choice)) => {
                Position::Words(choice.iter().map(|word| &**word).collect())
            }
            Some(Word::Any | Word::Regex { .. }) | None => Position::Open,
        }
    }
}

impl Word {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            // Two different expressions may say the same; that is not looked into.
            (Self::Regex { text, .. }, Self::Regex { text: other, .. }) => text == other,
            (_, Self::Any | Self::Regex { .. }) => false,
            (_, Self::Literal(word)) => self.matches(word),
            (_, Self::Choice(choice)) => choice.iter().all(|word| self.matches(word)),
        }
    }
}
