//! All mistakes of a configuration, collected while it is read and worded at its end.

use super::Places;
use super::diagnostic::{Diagnostic, Severity};
use super::source::{Location, Sources, Span};

/// The files, and what is wrong in them.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) sources: Sources,
    problems: Vec<Problem>,
    pub(super) places: Places,
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
    /// Keys that are not built and have no value that asks for nothing.
    pub(super) refused: std::collections::BTreeSet<&'static str>,
}

/// One mistake, still in octets: secrets that become known later are blanked in it too.
#[derive(Debug)]
pub(super) struct Problem {
    severity: Severity,
    span: Option<Span>,
    message: String,
    related: Vec<(Span, &'static str)>,
    help: Option<String>,
}

impl Problem {
    /// What to do.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// A second place.
    pub(super) fn see(&mut self, span: Span, what: &'static str) -> &mut Self {
        self.related.push((span, what));
        self
    }

    /// The nearest known name as help, if one is near.
    pub(super) fn suggest(&mut self, nearest: Option<&str>) -> &mut Self {
        if let Some(name) = nearest {
            self.help = Some(format!("did you mean `{name}`?"));
        }
        self
    }
}

impl Report {
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Error, Some(span), message.into())
    }

    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Warning, Some(span), message.into())
    }

    /// An error that no place in a file stands for.
    pub(super) fn fault(&mut self, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Error, None, message.into())
    }

    /// A warning that no place in a file stands for.
    pub(super) fn remark(&mut self, message: impl Into<String>) -> &mut Problem {
        self.add(Severity::Warning, None, message.into())
    }

    fn add(&mut self, severity: Severity, span: Option<Span>, message: String) -> &mut Problem {
        let at = self.problems.len();
        self.problems.push(Problem {
            severity,
            span,
            message,
            related: Vec::new(),
            help: None,
        });
        #[expect(
            clippy::indexing_slicing,
            reason = "the element was pushed two lines above"
        )]
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

    pub(super) fn location(&self, span: Span) -> Location {
        self.sources.location(span)
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// The messages in the order of the files.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.problems.sort_by_key(|problem| problem.span);
        let sources = &self.sources;
        self.problems
            .into_iter()
            .map(|problem| Diagnostic {
                severity: problem.severity,
                message: problem.message,
                location: problem.span.map(|span| sources.location(span)),
                excerpt: problem.span.and_then(|span| sources.excerpt(span)),
                related: problem
                    .related
                    .into_iter()
                    .map(|(span, what)| (sources.location(span), what))
                    .collect(),
                help: problem.help,
            })
            .collect()
    }
}
