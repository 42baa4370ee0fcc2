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

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use cover::Position;
use regex_automata::meta::{self, Regex};

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

/// What is wrong with a rule, or worth a look, and which piece of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Octets of the rule text.
    pub piece: Range<usize>,
    /// What.
    pub kind: RuleProblemKind,
}

/// What is wrong with a piece of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleProblemKind {
    /// The line does not begin with `permit` or `deny`.
    NoDecision,
    /// `permit` or `deny` without words.
    NoWords,
    /// `**` before the end.
    RestNotLast,
    /// `a||b`
    EmptyChoice,
    /// The regular expression is refused; the engine's own words.
    BadRegex(String),
    /// A `*` that stands for itself: lint.
    LiteralStar,
    /// A word that looks like half a regular expression: lint.
    HalfRegex,
    /// A line that ends in `<cr>`, which no command does after normalisation: lint.
    CarriageReturn,
}

impl RuleProblemKind {
    /// It is only worth a look.
    pub fn is_lint(&self) -> bool {
        match self {
            Self::LiteralStar | Self::HalfRegex | Self::CarriageReturn => true,
            Self::NoDecision
            | Self::NoWords
            | Self::RestNotLast
            | Self::EmptyChoice
            | Self::BadRegex(_) => false,
        }
    }

    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoDecision => "begin the line with `permit` or `deny`",
            Self::NoWords => "add the words of the command; `**` is every command",
            Self::RestNotLast => "use `*` for each single word before the end",
            Self::EmptyChoice => "name a word on both sides of each `|`",
            Self::BadRegex(_) => {
                "the syntax is that of Rust's regex crate; a literal `/` is written `[/]`"
            }
            Self::LiteralStar => "for a part of a word use a regular expression: /Gi.*/",
            Self::HalfRegex => {
                "a regular expression is one word between slashes; for white space in it there is no use, since words have none"
            }
            Self::CarriageReturn => {
                "take `<cr>` out: a line without `**` matches only the whole command anyway"
            }
        }
    }
}

impl fmt::Display for RuleProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDecision => f.write_str("a command rule begins with `permit` or `deny`"),
            Self::NoWords => f.write_str("this rule has no words, so it would match nothing"),
            Self::RestNotLast => {
                f.write_str("`**` is the rest of the command, so nothing can follow it")
            }
            Self::EmptyChoice => f.write_str("one side of this choice is empty"),
            Self::BadRegex(why) => write!(f, "this regular expression is refused: {why}"),
            Self::LiteralStar => f.write_str("`*` inside a word stands for itself"),
            Self::HalfRegex => f.write_str(
                "this word is taken literally, though it has the slash of a regular expression",
            ),
            Self::CarriageReturn => f.write_str(
                "this line matches nothing: `<cr>` at the end of a command is taken off before it is compared",
            ),
        }
    }
}

/// Memory that one compiled expression may take.
const REGEX_OCTETS: usize = 1 << 20;

/// A rule that was read, but not placed yet.
#[derive(Clone, Debug)]
pub struct ParsedRule {
    decision: Decision,
    words: Vec<Word>,
    rest: bool,
    /// The octets of the line, trimmed.
    pub line: Range<usize>,
}

impl ParsedRule {
    /// The rule at its place.
    pub fn at(self, reference: Arc<RuleReference>) -> CommandRule {
        CommandRule {
            decision: self.decision,
            reference,
            words: self.words,
            rest: self.rest,
        }
    }
}

/// Reads the text of `commands`: the rules, and every problem. Blank lines and lines that begin with `#` are skipped; a `#`
/// that stands alone begins a comment too (`#1` is a word).
pub fn parse_rules(text: &str) -> (Vec<ParsedRule>, Vec<RuleProblem>) {
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let begin = start + (line.len() - line.trim_start().len());
        let trimmed = without_comment(line.trim());
        start += line.len();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            rules.extend(parse_rule(trimmed, begin, &mut problems));
        }
    }
    (rules, problems)
}

fn without_comment(line: &str) -> &str {
    let comment = line.split_whitespace().find(|piece| *piece == "#");
    let end = comment.map_or(line.len(), |piece| {
        piece.as_ptr().addr() - line.as_ptr().addr()
    });
    line.get(..end).unwrap_or(line).trim_end()
}

fn parse_rule(line: &str, begin: usize, problems: &mut Vec<RuleProblem>) -> Option<ParsedRule> {
    let mut pieces = line.split_whitespace().map(|piece| {
        let at = begin + (piece.as_ptr().addr() - line.as_ptr().addr());
        (piece, at..at + piece.len())
    });
    let (first, first_range) = pieces.next()?;
    let decision = match first {
        "permit" => Decision::Permit,
        "deny" => Decision::Deny,
        _ => {
            problems.push(RuleProblem {
                piece: first_range,
                kind: RuleProblemKind::NoDecision,
            });
            return None;
        }
    };
    let (mut words, mut rest, mut sound) = (Vec::new(), None::<Range<usize>>, true);
    let mut last = None;
    for (piece, range) in pieces {
        last = Some((piece, range.clone()));
        if let Some(rest) = rest.take() {
            problems.push(RuleProblem {
                piece: rest,
                kind: RuleProblemKind::RestNotLast,
            });
            sound = false;
        }
        if piece == "**" {
            rest = Some(range);
            continue;
        }
        let (word, kind) = parse_word(piece);
        sound &= word.is_some();
        words.extend(word);
        problems.extend(kind.map(|kind| RuleProblem { piece: range, kind }));
    }
    if words.is_empty() && rest.is_none() && sound {
        problems.push(RuleProblem {
            piece: first_range,
            kind: RuleProblemKind::NoWords,
        });
        return None;
    }
    if let Some(("<cr>", piece)) = last {
        let kind = RuleProblemKind::CarriageReturn;
        problems.push(RuleProblem { piece, kind });
    }
    sound.then_some(ParsedRule {
        decision,
        words,
        rest: rest.is_some(),
        line: begin..begin + line.len(),
    })
}

fn parse_word(piece: &str) -> (Option<Word>, Option<RuleProblemKind>) {
    if piece == "*" {
        return (Some(Word::Any), None);
    }
    let inner = piece
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'))
        .filter(|inner| !inner.is_empty());
    if let Some(inner) = inner {
        return match compile(inner) {
            Ok(whole) => {
                let text = piece.into();
                (Some(Word::Regex { whole, text }), None)
            }
            Err(why) => (None, Some(RuleProblemKind::BadRegex(why))),
        };
    }
    let lint = if piece.contains('*') {
        Some(RuleProblemKind::LiteralStar)
    } else if piece.starts_with('/') || piece.contains("|/") {
        Some(RuleProblemKind::HalfRegex)
    } else {
        None
    };
    // A lone `|` is a word of its own on most devices: `show run | include bgp`.
    if piece == "|" || !piece.contains('|') {
        return (Some(Word::Literal(piece.into())), lint);
    }
    let choice: Box<[Box<str>]> = piece.split('|').map(Box::from).collect();
    if choice.iter().any(|one| one.is_empty()) {
        return (None, Some(RuleProblemKind::EmptyChoice));
    }
    (Some(Word::Choice(choice)), lint)
}

fn compile(inner: &str) -> Result<Regex, String> {
    // No whole automaton: building one costs many times what it can save on the few words of a command.
    let settings = meta::Config::new()
        .nfa_size_limit(Some(REGEX_OCTETS))
        .hybrid_cache_capacity(2 * REGEX_OCTETS)
        .dfa(false);
    let build = |pattern: &str| {
        Regex::builder()
            .configure(settings.clone())
            .build(pattern)
            .map_err(|error| one_line(&error))
    };
    // First by itself, so that no stray parenthesis can close the group that the anchors hold on to.
    if !plainly_balanced(inner) {
        build(inner)?;
    }
    build(&format!(r"\A(?:{inner})\z"))
}

/// Certainly no parenthesis closes what it did not open: escapes are skipped, anything more intricate is no plain case.
fn plainly_balanced(inner: &str) -> bool {
    let (mut depth, mut escaped) = (0_usize, false);
    for character in inner.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' if depth == 0 => return false,
            ')' => depth -= 1,
            '[' | '?' | '#' => return false,
            _ => {}
        }
    }
    depth == 0 && !escaped
}

/// The engine's message in one line: those that draw the pattern are left out.
fn one_line(error: &meta::BuildError) -> String {
    if let Some(limit) = error.size_limit() {
        return format!("it needs more than {limit} octets of memory");
    }
    let Some(error) = error.syntax_error() else {
        return error.to_string();
    };
    let text = error.to_string();
    let last = text.lines().last().unwrap_or("");
    last.trim_start_matches("error: ").to_owned()
}
