//! Reads command rules, and says what is wrong with them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::meta::{self, Regex};

use super::{CommandRule, Word};
use crate::policy::{Decision, RuleReference};

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
