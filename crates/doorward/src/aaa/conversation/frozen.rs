//! A conversation as octets, for protocols whose sessions the server does not keep: what was asked, how often, and what was
//! answered. Whoever hands them out has to seal them.
//!
//! ```text
//! asked │ stage │ (length │ answer) ...
//!   1   │   1   │    2    │   n
//! ```

use zeroize::Zeroizing;

use super::{Conversation, Flow, Password, Stage, secret};
use crate::aaa::Who;

impl Conversation {
    /// What was said so far.
    pub(in crate::aaa) fn freeze(&self) -> Zeroizing<Vec<u8>> {
        let answers: Vec<&Password> = match &self.stage {
            Stage::Name | Stage::Password | Stage::OldPassword => Vec::new(),
            Stage::NewPassword { old } => vec![old],
            Stage::Repetition { old, new } => vec![old, new],
        };
        let length: usize = answers.iter().map(|one| 2 + one.0.len()).sum();
        let mut octets = Zeroizing::new(Vec::with_capacity(2 + length));
        octets.extend([self.asked, self.stage.number()]);
        for answer in answers {
            // Nothing longer came with a packet.
            let length = u16::try_from(answer.0.len()).unwrap_or(u16::MAX);
            octets.extend(length.to_be_bytes());
            octets.extend_from_slice(&answer.0);
        }
        octets
    }

    /// The conversation in which this was said; `None` if nobody could have said it.
    pub(in crate::aaa) fn thaw(who: Who, flow: Flow, attempts: u8, octets: &[u8]) -> Option<Self> {
        let ([asked, number], mut rest) = octets.split_first_chunk::<2>()?;
        let mut answer = || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = after;
            Some(secret(text))
        };
        let stage = match (*number, flow) {
            (0, _) => Stage::Name,
            (1, Flow::Login | Flow::Enable { .. }) => Stage::Password,
            (2, Flow::Change(_)) => Stage::OldPassword,
            (3, Flow::Change(_)) => Stage::NewPassword { old: answer()? },
            (4, Flow::Change(_)) => Stage::Repetition {
                old: answer()?,
                new: answer()?,
            },
            _ => return None,
        };
        rest.is_empty().then_some(Self {
            who,
            flow,
            stage,
            asked: *asked,
            attempts,
        })
    }
}

impl Stage {
    fn number(&self) -> u8 {
        match self {
            Self::Name => 0,
            Self::Password => 1,
            Self::OldPassword => 2,
            Self::NewPassword { .. } => 3,
            Self::Repetition { .. } => 4,
        }
    }
}
