//! All mistakes of a configuration, collected while it is read and worded at its end.

use std::collections::BTreeMap;

use super::Places;
use super::diagnostic::{Diagnostic, Severity};
use super::lint::Lint;
use super::lint::allow::{Accepted, Allows, Judgement};
use super::source::{Location, Sources, Span, escape};

/// The files, and what is wrong in them.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) sources: Sources,
    problems: Vec<Problem>,
    pub(super) places: Places,
    /// The section that is being read, as `[[allow]]` names it.
    about: Option<String>,
    /// What the file accepts; set before anything that could be accepted is looked for.
    pub(super) allows: Allows,
    accepted: Vec<(Problem, usize)>,
    /// Names compared for "did you mean".
    compared: usize,
    /// What was asked of each table.
    #[cfg(test)]
    asked: std::collections::BTreeMap<Span, Asked>,
}

/// The keys that the readers of one table know; the tests of the schema compare.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) keys: std::collections::BTreeSet<&'static str>,
    pub(super) required: std::collections::BTreeSet<&'static str>,
}

/// One mistake, still in octets: secrets that become known later are blanked in it too.
#[derive(Debug)]
pub(super) struct Problem {
    severity: Severity,
    lint: Option<Lint>,
    span: Option<Span>,
    message: String,
    section: Option<String>,
    related: Vec<(Span, &'static str)>,
    help: Option<String>,
    count: usize,
    /// `[[allow]]` was asked already, for each thing it is about.
    judged: bool,
}

impl Problem {
    /// What to do.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// The section it is about, as `[[allow]]` names it, where that is not the one being read.
    pub(super) fn on(&mut self, section: impl Into<String>) -> &mut Self {
        self.section = Some(section.into());
        self
    }

    /// A second place.
    pub(super) fn see(&mut self, span: Span, what: &'static str) -> &mut Self {
        self.related.push((span, what));
        self
    }

    /// How many things it is about.
    pub(super) fn stands_for(&mut self, count: usize) -> &mut Self {
        self.count = count;
        self
    }

    /// The nearest known name as help, if one is near.
    pub(super) fn suggest(&mut self, nearest: Option<&str>) -> &mut Self {
        if let Some(name) = nearest {
            self.help = Some(format!("did you mean `{name}`?"));
        }
        self
    }

    fn into_diagnostic(self, sources: &Sources) -> Diagnostic {
        Diagnostic {
            severity: self.severity,
            lint: self.lint,
            message: self.message,
            location: self.span.map(|span| sources.location(span)),
            excerpt: self.span.and_then(|span| sources.excerpt(span)),
            section: self.section.filter(|_| self.lint.is_some()),
            related: self
                .related
                .into_iter()
                .map(|(span, what)| (sources.location(span), what))
                .collect(),
            help: self.help,
            count: self.count,
        }
    }
}

/// One finding about many sections: those that are not accepted are told in one message.
pub(super) struct Fold<'f> {
    pub(super) lint: Lint,
    /// Each with its place, in the order of the file.
    pub(super) sections: Vec<(String, Span)>,
    /// The sentence, from the sections (`[device.a], [device.b] and 3 more`) and how many they are.
    pub(super) message: &'f dyn Fn(&str, usize) -> String,
    pub(super) help: &'f str,
}

/// Names that are searched at most.
const COMPARED: usize = 50_000;
/// Sections that a folded message names.
const NAMED: usize = 3;

impl Report {
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Error, None, Some(span), message.into())
    }

    pub(super) fn warning(
        &mut self,
        lint: Lint,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Warning, Some(lint), Some(span), message.into())
    }

    /// An error that no place in a file stands for.
    pub(super) fn fault(&mut self, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Error, None, None, message.into())
    }

    /// A warning that no place in a file stands for.
    pub(super) fn remark(&mut self, lint: Lint, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Warning, Some(lint), None, message.into())
    }

    /// May so many names be searched for the nearest one? A file that is wrong in thousands of places loads as quickly as any.
    pub(super) fn may_search(&mut self, names: usize) -> bool {
        self.compared += names;
        self.compared <= COMPARED
    }

    /// From now on warnings are about this section.
    pub(super) fn about(&mut self, section: Option<String>) {
        self.about = section;
    }

    fn add(
        &mut self,
        severity: Severity,
        lint: Option<Lint>,
        span: Option<Span>,
        message: String,
    ) -> &mut Problem {
        let at = self.problems.len();
        self.problems.push(Problem {
            severity,
            lint,
            span,
            message,
            section: self.about.clone().filter(|_| lint.is_some()),
            related: Vec::new(),
            help: None,
            count: 1,
            judged: false,
        });
        #[expect(clippy::indexing_slicing, reason = "the element was pushed just above")]
        &mut self.problems[at]
    }

    #[cfg(test)]
    pub(super) fn asked(&mut self, table: Span) -> &mut Asked {
        self.asked.entry(table).or_default()
    }

    #[cfg(test)]
    pub(super) fn errors(&self) -> Vec<&str> {
        let errors = self.problems.iter();
        errors
            .filter(|one| one.severity == Severity::Error)
            .map(|one| one.message.as_str())
            .collect()
    }

    /// Reports a finding about many sections, without those that are accepted.
    pub(super) fn fold(&mut self, fold: Fold<'_>) {
        let mut open = Vec::new();
        let mut accepted: BTreeMap<usize, Vec<(String, Span)>> = BTreeMap::new();
        let mut ended = None;
        for (section, span) in fold.sections {
            match self.allows.judge(fold.lint, &section) {
                Judgement::Accepted(by) => accepted.entry(by).or_default().push((section, span)),
                Judgement::Ended(since) => {
                    ended = ended.or(Some(since));
                    open.push((section, span));
                }
                Judgement::Open => open.push((section, span)),
            }
        }
        let problem = |sections: Vec<(String, Span)>, ended: Option<Span>| {
            let mut names: Vec<String> = sections.iter().map(|(name, _)| shown(name)).collect();
            let more = names.len().saturating_sub(NAMED);
            names.truncate(NAMED);
            let mut list = names.join(", ");
            if more > 0 {
                list.push_str(&format!(" and {more} more"));
            }
            let related = sections.iter().skip(1).take(NAMED - 1);
            Problem {
                severity: Severity::Warning,
                lint: Some(fold.lint),
                span: sections.first().map(|(_, span)| *span),
                message: (fold.message)(&list, sections.len()),
                section: sections.first().map(|(name, _)| name.clone()),
                related: related
                    .map(|(_, span)| (*span, "also here"))
                    .chain(ended.map(|span| (span, ENDED)))
                    .collect(),
                help: Some(fold.help.to_owned()),
                count: sections.len(),
                judged: true,
            }
        };
        for (by, sections) in accepted {
            self.accepted.push((problem(sections, None), by));
        }
        if !open.is_empty() {
            self.problems.push(problem(open, ended));
        }
    }

    /// Takes out of the warnings what the file accepts, and warns of acceptances that hide nothing, where the file is `complete`.
    pub(super) fn settle(&mut self, complete: bool) {
        let mut open = Vec::new();
        for mut problem in std::mem::take(&mut self.problems) {
            let lint = problem.lint.filter(|_| !problem.judged);
            let judgement = match (lint, &problem.section) {
                (Some(lint), Some(section)) => self.allows.judge(lint, section),
                (Some(_) | None, _) => Judgement::Open,
            };
            match judgement {
                Judgement::Accepted(by) => self.accepted.push((problem, by)),
                Judgement::Ended(span) => {
                    problem.see(span, ENDED);
                    open.push(problem);
                }
                Judgement::Open => open.push(problem),
            }
        }
        self.problems = open;
        for (lint, span) in self
            .allows
            .unused()
            .filter(|_| complete)
            .collect::<Vec<_>>()
        {
            let name = lint.name();
            self.warning(
                Lint::UnusedAllow,
                span,
                format!("this [[allow]] hides nothing: there is no finding `{name}` on what it names"),
            )
            .help("take it out; what it was for has been mended, or `on` names another section (`doorward check -v` lists them)");
        }
    }

    pub(super) fn location(&self, span: Span) -> Location {
        self.sources.location(span)
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// The messages in the order of the files, and the findings that were accepted.
    pub(super) fn into_diagnostics(mut self) -> (Vec<Diagnostic>, Vec<Accepted>) {
        self.problems.sort_by_key(|problem| problem.span);
        self.accepted.sort_by_key(|(problem, _)| problem.span);
        let (sources, allows) = (&self.sources, &self.allows);
        let diagnostics = self.problems.into_iter();
        let accepted = self.accepted.into_iter();
        (
            diagnostics
                .map(|problem| problem.into_diagnostic(sources))
                .collect(),
            accepted
                .filter_map(|(problem, by)| {
                    allows.accepted(by, problem.into_diagnostic(sources), sources)
                })
                .collect(),
        )
    }
}

const ENDED: &str = "its acceptance ended after this day";

/// A section as a file writes it.
fn shown(section: &str) -> String {
    format!("[{}]", escape(section))
}
