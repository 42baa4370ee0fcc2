//! Messages about configuration files: what went wrong in one sentence, then where, then what to do.
//!
//! The text of a file may hold secrets and control characters. An [`Excerpt`] is therefore made once, where the file is at hand:
//! secrets blanked, control characters escaped. Everything downstream may print it.

use std::fmt;

use super::lint::Lint;
use super::source::{Location, escape};

/// One message about a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Does it stop the file from being used?
    pub severity: Severity,
    /// Which kind of warning it is; errors have none.
    pub lint: Option<Lint>,
    /// What went wrong, one sentence without a full stop.
    pub message: String,
    /// Where; `None` when the file itself could not be read.
    pub location: Option<Location>,
    /// The line, fit to be shown.
    pub excerpt: Option<Excerpt>,
    /// The section it is about, as `on` of `[[allow]]` names it: `device.core1`. The first one, where it is about several.
    pub section: Option<String>,
    /// Other places that belong to it ("first defined here").
    pub related: Vec<(Location, &'static str)>,
    /// What to do.
    pub help: Option<String>,
    /// How many sections it is about.
    pub count: usize,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is used, and this should be looked at.
    Warning,
}

impl Severity {
    /// The word in front of the message.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One line of a file with the marked word, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, secrets blanked and control characters escaped.
    pub line: String,
    /// Characters of `line` before the mark.
    pub start: usize,
    /// Characters marked, at least one.
    pub width: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.severity.name())?;
        if let Some(lint) = self.lint {
            write!(f, "[{}]", lint.name())?;
        }
        write!(f, ": {}", self.message)?;
        let Some(location) = &self.location else {
            return self.write_end(f, 1);
        };
        let number = location.line.to_string();
        let gutter = number.len();
        write!(f, "\n{:gutter$}--> {location}", "")?;
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{:gutter$} |\n{number} | {}", "", excerpt.line)?;
            write!(
                f,
                "\n{:gutter$} | {:2$}{3}",
                "",
                "",
                excerpt.start,
                "^".repeat(excerpt.width.max(1))
            )?;
        }
        for (place, what) in &self.related {
            write!(f, "\n{:gutter$} = {what}: {place}", "")?;
        }
        self.write_end(f, gutter)
    }
}

impl Diagnostic {
    fn write_end(&self, f: &mut fmt::Formatter<'_>, gutter: usize) -> fmt::Result {
        // Which section a finding is about can be seen, except that `[[allow]]` has to name it.
        if let Some(section) = &self.section {
            write!(f, "\n{:gutter$} = on: {}", "", escape(section))?;
        }
        match &self.help {
            Some(help) => write!(f, "\n{:gutter$} = help: {help}", ""),
            None => Ok(()),
        }
    }
}

/// Why a configuration was refused: every mistake found, at least one of them an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// What of the file system it named, as far as it was read.
    pub places: super::Places,
}

impl Failure {
    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
