//! Lines of a role's `commands` that never decide.

use std::collections::{BTreeMap, HashMap};

use super::Lint;
use crate::config::report::Report;
use crate::config::roles::ReadRole;
use crate::config::source::escape;
use crate::policy::{CommandRule, Position};

/// Lines under one key that are compared with a later one; more are not looked at.
const COMPARED: usize = 64;
/// Words of a choice that a line is filed under; one with more is compared with every later line.
const KEYS: usize = 8;

pub(super) fn shadowed(report: &mut Report, read: &ReadRole) {
    let lines = &read.role.commands;
    let mut index = Index::default();
    // The earlier line, and those it leaves nothing for.
    let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        match index.covering(lines, line) {
            Some(earlier) => found.entry(earlier).or_default().push(at),
            None => index.insert(at, line),
        }
    }
    for (earlier, later) in found {
        let first = later.first().copied();
        let (Some(by), Some(line)) = (lines.get(earlier), first.and_then(|at| lines.get(at)))
        else {
            continue;
        };
        let place = |at: Option<usize>| at.and_then(|at| read.commands.get(at)).copied();
        let (Some(span), Some(by_span)) = (place(first), place(Some(earlier))) else {
            continue;
        };
        let others = later.iter().filter_map(|at| lines.get(*at));
        let differs = others.clone().any(|one| one.decision != by.decision);
        let subject = match later.len() {
            1 => "this line never decides".to_owned(),
            2 => "this line and another one after it never decide".to_owned(),
            count => format!("this line and {} after it never decide", count - 1),
        };
        let message = format!(
            "{subject}: `{}`, earlier in role {}, matches whenever {} would",
            by.reference.text,
            escape(&read.role.name),
            if later.len() == 1 { "it" } else { "they" }
        );
        let help = if differs {
            "as it stands, commands are decided the other way: move this line before the earlier one, or narrow that one"
        } else if words(by) == words(line) {
            "it is there twice: take one out"
        } else {
            "nothing changes without it: take it out, or narrow the earlier line"
        };
        report
            .warning(Lint::ShadowedRule, span, message)
            .on(format!("role.{}", read.role.name))
            .see(by_span, "the earlier line")
            .help(help)
            .stands_for(later.len());
    }
}

/// Lines by the words that can stand first and second; `None` = a word that cannot be listed, or none.
#[derive(Default)]
struct Index<'l> {
    heads: HashMap<(Option<&'l str>, Option<&'l str>), Vec<usize>>,
    /// By the words as they are written, so that repetitions are found among any number of lines.
    texts: HashMap<String, usize>,
}

impl<'l> Index<'l> {
    fn insert(&mut self, at: usize, line: &'l CommandRule) {
        let first = keys(line.position(0));
        let second = keys(line.position(1));
        for one in &first {
            for two in &second {
                let list = self.heads.entry((*one, *two)).or_default();
                if list.len() < COMPARED {
                    list.push(at);
                }
            }
        }
        self.texts.entry(words(line)).or_insert(at);
    }

    /// The first line known that covers this one.
    fn covering(&self, lines: &[CommandRule], line: &CommandRule) -> Option<usize> {
        // A line that covers this one has to fit any one of its words, so that one word of a choice is enough to find it.
        let first = some_word(line, 0);
        let second = some_word(line, 1);
        let mut best: Option<usize> = None;
        for one in [first, None] {
            for two in [second, None] {
                let list = self.heads.get(&(one, two)).map_or(&[][..], Vec::as_slice);
                let covers = |at: &&usize| lines.get(**at).is_some_and(|by| by.covers(line));
                let found = list.iter().find(covers).copied();
                best = match (best, found) {
                    (Some(best), Some(found)) => Some(best.min(found)),
                    (best, found) => best.or(found),
                };
            }
        }
        best.or_else(|| {
            let same = self.texts.get(&words(line)).copied();
            same.filter(|at| lines.get(*at).is_some_and(|by| by.covers(line)))
        })
    }
}

fn keys(position: Position<'_>) -> Vec<Option<&str>> {
    match position {
        Position::Words(words) if words.len() <= KEYS => words.into_iter().map(Some).collect(),
        Position::Words(_) | Position::Open => vec![None],
    }
}

fn some_word(line: &CommandRule, at: usize) -> Option<&str> {
    match line.position(at) {
        Position::Words(words) => words.first().copied(),
        Position::Open => None,
    }
}

/// The words of a line without its decision.
fn words(line: &CommandRule) -> String {
    let words: Vec<&str> = line.reference.text.split_whitespace().skip(1).collect();
    words.join(" ")
}
