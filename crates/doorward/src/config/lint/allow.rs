//! `[[allow]]`: findings that are known and accepted, each with a reason.

use std::collections::HashMap;

use jiff::civil::Date;

use super::Lint;
use crate::config::Surroundings;
use crate::config::diagnostic::Diagnostic;
use crate::config::file::Document;
use crate::config::report::Report;
use crate::config::section::Section;
use crate::config::source::{Location, Sources, Span, escape};
use crate::config::suggest::nearest;
use crate::config::tree::Node;
use crate::config::value;
use crate::policy::Pattern;

/// A finding that the file accepts.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What was found.
    pub diagnostic: Diagnostic,
    /// Why it is accepted, in the words of the file; control characters escaped.
    pub reason: String,
    /// The last day of the acceptance; `None` = no end.
    pub until: Option<Date>,
    /// The `[[allow]]`.
    pub location: Location,
}

/// All acceptances of a file.
#[derive(Debug, Default)]
pub(in crate::config) struct Allows {
    list: Vec<Allow>,
    /// For exact names: the first in force, else the first that ended.
    exact: HashMap<(Lint, String), usize>,
    /// Those with a `*`, by lint.
    patterns: HashMap<Lint, Vec<usize>>,
}

#[derive(Debug)]
struct Allow {
    lint: Lint,
    on: Pattern,
    reason: String,
    until: Option<(Date, Span)>,
    ended: bool,
    span: Span,
    used: bool,
}

/// What the acceptances say about one finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Judgement {
    /// Accepted by the one of this number.
    Accepted(usize),
    /// Accepted once, until the day written there.
    Ended(Span),
    /// Not accepted.
    Open,
}

impl Allows {
    /// Reads every `[[allow]]`.
    pub(in crate::config) fn read(
        report: &mut Report,
        document: &Document<'_>,
        surroundings: &Surroundings,
    ) -> Self {
        let today = surroundings.today();
        let mut allows = Self::default();
        for node in document.list(report, "allow") {
            if let Some(allow) = read_one(report, node, today) {
                allows.add(allow);
            }
        }
        allows
    }

    fn add(&mut self, allow: Allow) {
        let at = self.list.len();
        if allow.on.is_exact() {
            let key = (allow.lint, allow.on.as_str().to_owned());
            let known = self.exact.get(&key).and_then(|known| self.list.get(*known));
            if known.is_none_or(|known| known.ended && !allow.ended) {
                self.exact.insert(key, at);
            }
        } else {
            self.patterns.entry(allow.lint).or_default().push(at);
        }
        self.list.push(allow);
    }

    /// Is a finding on this section accepted? Remembers which acceptance was of use.
    pub(in crate::config) fn judge(&mut self, lint: Lint, section: &str) -> Judgement {
        if self.list.is_empty() {
            return Judgement::Open;
        }
        let exact = self.exact.get(&(lint, section.to_owned())).into_iter();
        let patterns = self.patterns.get(&lint).into_iter().flatten();
        let mut found: Option<usize> = None;
        for at in exact.chain(patterns).copied() {
            let Some(allow) = self.list.get(at).filter(|one| one.on.matches(section)) else {
                continue;
            };
            if !allow.ended {
                found = Some(at);
                break;
            }
            found = found.or(Some(at));
        }
        let Some((at, allow)) = found.and_then(|at| Some((at, self.list.get_mut(at)?))) else {
            return Judgement::Open;
        };
        allow.used = true;
        match allow.until {
            Some((_, span)) if allow.ended => Judgement::Ended(span),
            Some(_) | None => Judgement::Accepted(at),
        }
    }

    /// Those that were of no use, each with the lint it is about.
    pub(in crate::config) fn unused(&self) -> impl Iterator<Item = (Lint, Span)> {
        let unused = self.list.iter().filter(|allow| !allow.used);
        unused.map(|allow| (allow.lint, allow.span))
    }

    /// The acceptance of a finding by the one of this number.
    pub(in crate::config) fn accepted(
        &self,
        by: usize,
        diagnostic: Diagnostic,
        sources: &Sources,
    ) -> Option<Accepted> {
        let allow = self.list.get(by)?;
        Some(Accepted {
            diagnostic,
            reason: allow.reason.clone(),
            until: allow.until.map(|(day, _)| day),
            location: sources.location(allow.span),
        })
    }
}

/// First words of `on`.
const SECTIONS: [&str; 13] = [
    "accounting",
    "device",
    "device_group",
    "group",
    "listen",
    "pool",
    "radius",
    "role",
    "route",
    "rule",
    "test",
    "tls",
    "user",
];

fn read_one(report: &mut Report, node: &Node, today: Date) -> Option<Allow> {
    let mut section = Section::new(report, "[[allow]]", node)?;
    let lint_node = section.required(report, "lint");
    let lint = lint_node.and_then(|node| lint(report, node));
    let on_node = section.required(report, "on");
    let on = on_node.and_then(|node| on(report, node));
    let reason_node = section.required(report, "reason");
    let reason = reason_node.and_then(|node| reason(report, node));
    let until_node = section.value("until");
    let until =
        until_node.and_then(|node| value::date(report, "until", node).map(|day| (day, node.span)));
    section.finish(report);
    Some(Allow {
        lint: lint?,
        on: on?,
        reason: reason?,
        until,
        ended: until.is_some_and(|(day, _)| day < today),
        span: lint_node.map_or(node.span, |node| node.span),
        used: false,
    })
}

fn lint(report: &mut Report, node: &Node) -> Option<Lint> {
    let name = value::text(report, "lint", node)?;
    match Lint::by_name(name) {
        Some(Lint::UnusedAllow) => {
            report
                .error(node.span, "`unused-allow` cannot be accepted")
                .help("take out the [[allow]] that hides nothing");
            None
        }
        Some(lint) => Some(lint),
        None => {
            let near = nearest(name, Lint::ALL.map(Lint::name));
            let problem = report.error(node.span, format!("`{}` is no lint", escape(name)));
            match near {
                Some(near) => problem.suggest(Some(near)),
                None => problem.help("docs/lints.md has all names; an error cannot be accepted"),
            };
            None
        }
    }
}

fn on(report: &mut Report, node: &Node) -> Option<Pattern> {
    let text = value::name(report, "on", node)?;
    let kind = text.split('.').next().unwrap_or(text);
    if !kind.contains('*') && !SECTIONS.contains(&kind) {
        let problem = report.error(
            node.span,
            format!("`{}` is no kind of section", escape(kind)),
        );
        match nearest(kind, SECTIONS) {
            Some(near) => problem.suggest(Some(near)),
            None => problem.help("name the section that the finding names: \"device.old-sw7\", \"rule.noc\", \"device.old-*\""),
        };
        return None;
    }
    Some(Pattern::new(text))
}

fn reason(report: &mut Report, node: &Node) -> Option<String> {
    let text = value::text(report, "reason", node)?;
    if text.trim().is_empty() {
        report
            .error(node.span, "`reason` is empty")
            .help("write why this is accepted: whoever reads the file next year will ask");
        return None;
    }
    Some(escape(text.trim()))
}
