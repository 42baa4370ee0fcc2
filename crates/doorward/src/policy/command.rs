//! The words of a command, and the rules that judge them.
//!
//! ```text
//! permit show running-config interface *      a word each; * is any one word
//! deny   show running-config **               ** is the rest, also nothing
//! permit show|ping|traceroute **              a choice
//! permit interface /(Gi|Te|Hu)\S+/            a regular expression over the whole word
//! ```
//!
//! The first line whose words all fit decides; no line, no permission. Letter case counts.

mod cover;
mod parse;

use std::fmt;
use std::sync::Arc;

pub use cover::Position;
pub use parse::{ParsedRule, RuleProblem, RuleProblemKind, parse_rules};
use regex_automata::meta::Regex;

use super::{Decision, RuleReference};

/// The words of a command as rules see them, and the form it came in.
///
/// White space inside an argument separates words too, so that no `deny` is passed by an argument that holds two words.
/// Trailing `<cr>` and empty arguments are no words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    raw: String,
    /// The words with one space between.
    text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    /// So many octets of the raw form, which is what nearly every device sends.
    Prefix(usize),
    Own(String),
}

impl CommandLine {
    /// From the value of `cmd` and those of the `cmd-arg`s, in order.
    pub fn from_arguments<'a>(cmd: &'a str, cmd_args: impl IntoIterator<Item = &'a str>) -> Self {
        // Long enough for what people type, so that it need not grow.
        let mut raw = String::with_capacity(cmd.len() + 64);
        raw.push_str(cmd);
        for argument in cmd_args {
            raw.push(' ');
            raw.push_str(argument);
        }
        Self::from_raw(raw)
    }

    /// From a line as a person types it.
    pub fn from_text(line: &str) -> Self {
        Self::from_raw(line.to_owned())
    }

    fn from_raw(raw: String) -> Self {
        if is_plain(&raw) {
            let text = Text::Prefix(without_carriage_return(&raw).len());
            return Self { raw, text };
        }
        let mut text = String::with_capacity(raw.len());
        for word in raw.split_whitespace() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text.truncate(without_carriage_return(&text).len());
        let text = Text::Own(text);
        Self { raw, text }
    }

    /// The words.
    pub fn words(&self) -> impl Iterator<Item = &str> + Clone {
        self.text().split(' ').filter(|word| !word.is_empty())
    }

    /// The words with one space between: what the rules judged.
    pub fn text(&self) -> &str {
        match &self.text {
            Text::Prefix(end) => self.raw.get(..*end).unwrap_or(&self.raw),
            Text::Own(text) => text,
        }
    }

    /// `cmd` and its arguments as they came, with one space between them: for records. Not escaped.
    pub fn raw(&self) -> &str {
        &self.raw
    }
}

/// Printable ASCII with one space between the words: there is nothing to normalise but its end.
fn is_plain(raw: &str) -> bool {
    let octets = raw.as_bytes();
    octets.iter().all(|octet| matches!(octet, 0x20..=0x7e))
        && octets.first() != Some(&b' ')
        && octets.last() != Some(&b' ')
        && !octets.windows(2).any(|pair| pair == b"  ")
}

/// Words with one space between, without those at the end that are `<cr>`.
fn without_carriage_return(mut text: &str) -> &str {
    while let Some(shorter) = text.strip_suffix("<cr>") {
        // It is dropped as a whole word only.
        if !(shorter.is_empty() || shorter.ends_with(' ')) {
            break;
        }
        text = shorter.trim_end();
    }
    text
}

/// One line of `commands`.
#[derive(Clone, Debug)]
pub struct CommandRule {
    /// What it decides.
    pub decision: Decision,
    /// Its place and text.
    pub reference: Arc<RuleReference>,
    words: Vec<Word>,
    /// It ends in `**`.
    rest: bool,
}

/// One word of a rule.
#[derive(Clone, Debug)]
enum Word {
    /// `*`
    Any,
    Literal(Box<str>),
    /// `a|b`
    Choice(Box<[Box<str>]>),
    /// `/re/`, anchored at both ends.
    Regex {
        whole: Regex,
        text: Box<str>,
    },
}

impl Word {
    fn matches(&self, word: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(literal) => **literal == *word,
            Self::Choice(choice) => choice.iter().any(|one| **one == *word),
            Self::Regex { whole, .. } => whole.is_match(word),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Literal(text) => f.write_str(text),
            Self::Choice(choice) => f.write_str(&choice.join("|")),
            Self::Regex { text, .. } => f.write_str(text),
        }
    }
}

/// Where a rule and a command part: the words before `matched` fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordMiss {
    /// How many words fit.
    pub matched: usize,
    /// What is wrong with the next one.
    pub kind: WordMissKind,
}

/// The two sides of a [`WordMiss`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordMissKind {
    /// The word does not fit.
    Differs,
    /// The command ends, the rule wants another word.
    CommandEnds,
    /// The rule ends, the command has another word.
    RuleEnds,
}

impl CommandRule {
    /// Do all words fit?
    pub fn matches(&self, command: &CommandLine) -> Result<(), WordMiss> {
        let mut given = command.words();
        for (matched, wanted) in self.words.iter().enumerate() {
            let kind = match given.next() {
                Some(word) if wanted.matches(word) => continue,
                Some(_) => WordMissKind::Differs,
                None => WordMissKind::CommandEnds,
            };
            return Err(WordMiss { matched, kind });
        }
        if self.rest || given.next().is_none() {
            return Ok(());
        }
        Err(WordMiss {
            matched: self.words.len(),
            kind: WordMissKind::RuleEnds,
        })
    }

    /// The words one of which a command that matches begins with; `None` = there are too many to tell.
    pub(super) fn first_words(&self) -> Option<impl Iterator<Item = &str>> {
        let words = match self.words.first()? {
            Word::Literal(word) => std::slice::from_ref(word),
            Word::Choice(words) => &**words,
            Word::Any | Word::Regex { .. } => return None,
        };
        Some(words.iter().map(|word| &**word))
    }

    /// The words of the rule side by side with those of the command: `show = show, * = Te0/0/1, ** = (nothing)`.
    pub fn comparison(&self, command: &CommandLine) -> String {
        let mut pairs: Vec<String> = self
            .words
            .iter()
            .zip(command.words())
            .map(|(wanted, given)| format!("{wanted} = {given}"))
            .collect();
        if self.rest {
            let rest: Vec<&str> = command.words().skip(self.words.len()).collect();
            let rest = if rest.is_empty() {
                "nothing".into()
            } else {
                rest.join(" ")
            };
            pairs.push(format!("** = {rest}"));
        }
        if pairs.is_empty() {
            "no words on either side".into()
        } else {
            pairs.join(", ")
        }
    }

    /// Why it did not match, in words.
    pub fn miss(&self, command: &CommandLine, miss: WordMiss) -> String {
        let position = miss.matched + 1;
        let wanted = self.words.get(miss.matched);
        let given = command.words().nth(miss.matched).unwrap_or("");
        match (miss.kind, wanted) {
            (WordMissKind::Differs, Some(wanted)) => {
                format!("word {position} is `{given}`, not `{wanted}`")
            }
            (WordMissKind::CommandEnds, Some(wanted)) => {
                format!("the command ends where the rule wants `{wanted}`")
            }
            (WordMissKind::Differs | WordMissKind::CommandEnds, None)
            | (WordMissKind::RuleEnds, _) => {
                format!("the rule ends before word {position}, `{given}`")
            }
        }
    }
}
