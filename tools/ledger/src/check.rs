//! Brings rows, tests, results and hand-written lists together and judges them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::papers::{self, Deviation, Review};
use crate::results::{self, Outcome, Run};
use crate::rows::{self, Document, Level, Row};
use crate::workspace::{self, Workspace};

/// What is known about one id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The names of the tests that passed, sorted.
    pub tests: BTreeSet<String>,
    /// Why it is not met.
    pub deviations: Vec<String>,
    /// Who read what, and what was found.
    pub reviews: Vec<String>,
}

impl Evidence {
    /// Whether anything answers for the id.
    pub fn covers(&self) -> bool {
        !(self.tests.is_empty() && self.deviations.is_empty() && self.reviews.is_empty())
    }
}

/// The outcome of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// The documents with their rows.
    pub documents: Vec<Document>,
    /// What answers for each id.
    pub evidence: BTreeMap<String, Evidence>,
    /// What makes the check fail.
    pub errors: Vec<String>,
    /// What should be looked at.
    pub warnings: Vec<String>,
}

impl Report {
    /// Whether anything answers for the row.
    pub fn covers(&self, row: &Row) -> bool {
        self.evidence.get(&row.id).is_some_and(Evidence::covers)
    }

    /// How many rows of a level are answered for, and how many there are. Withdrawn rows do not count.
    pub fn count(&self, document: &Document, level: Level) -> (usize, usize) {
        let rows = document
            .rows
            .iter()
            .filter(|row| row.level == level && !row.is_withdrawn());
        let covered = rows.clone().filter(|row| self.covers(row)).count();
        (covered, rows.count())
    }
}

/// Checks the tree at `root` against the output of `cargo test`.
pub fn check(root: &Path, test_output: &str) -> Report {
    let mut report = Report::default();
    let errors = &mut report.errors;
    report.documents = rows::load(&root.join("conformance"), errors);
    let workspace = workspace::load(root, errors);
    let deviations = papers::deviations(&read(root, "docs/deviations.md", errors), errors);
    let reviews = papers::reviews(&read(root, "docs/reviews.md", errors), root, errors);
    let runs = results::parse(test_output);
    if runs.is_empty() {
        report
            .errors
            .push("the test output names no test binary".to_owned());
    } else {
        report.take_claims(&workspace, &runs);
    }
    report.take_deviations(deviations);
    report.take_reviews(reviews);
    report.judge();
    report
}

fn read(root: &Path, file: &str, errors: &mut Vec<String>) -> String {
    fs::read_to_string(root.join(file)).unwrap_or_else(|error| {
        errors.push(format!("{file}: {error}"));
        String::new()
    })
}

impl Report {
    fn row(&self, id: &str) -> Option<&Row> {
        self.documents
            .iter()
            .flat_map(|document| &document.rows)
            .find(|row| row.id == id)
    }

    /// The evidence of a known id; an unknown one is an error.
    fn evidence_of(&mut self, id: &str, place: &str) -> Option<&mut Evidence> {
        if self.row(id).is_none() {
            self.errors.push(format!("{place}: {id} is in no document"));
            return None;
        }
        Some(self.evidence.entry(id.to_owned()).or_default())
    }

    fn take_claims(&mut self, workspace: &Workspace, runs: &[Run]) {
        let runs = workspace.match_runs(runs);
        for claim in &workspace.claims {
            let place = &claim.place;
            let name = claim.name();
            let fault = if claim.is_test {
                match claim.outcome(&runs) {
                    Some(Outcome::Passed) => None,
                    Some(Outcome::Failed) => Some(format!("`{name}` failed")),
                    Some(Outcome::Ignored) => Some(format!("`{name}` was ignored")),
                    None => Some(format!("`{name}` is not among the tests that ran")),
                }
            } else {
                Some(format!("`{name}` says `proves:` but is no test"))
            };
            let passed = fault.is_none();
            self.errors
                .extend(fault.map(|fault| format!("{place}: {fault}")));
            for id in &claim.ids {
                if let Some(evidence) = self.evidence_of(id, place)
                    && passed
                {
                    evidence.tests.insert(name.clone());
                }
            }
        }
    }

    fn take_deviations(&mut self, deviations: Vec<Deviation>) {
        for Deviation { ids, reason, line } in deviations {
            let place = format!("docs/deviations.md:{line}");
            for id in ids {
                if let Some(evidence) = self.evidence_of(&id, &place) {
                    evidence.deviations.push(reason.clone());
                    if !evidence.tests.is_empty() {
                        let warning = format!("{place}: {id} is also proved by a test");
                        self.warnings.push(warning);
                    }
                }
            }
        }
    }

    fn take_reviews(&mut self, reviews: Vec<Review>) {
        for review in reviews {
            let line = format!("docs/reviews.md:{}", review.line);
            let Review {
                file,
                place,
                reviewer,
                date,
                note,
                ..
            } = &review;
            for id in &review.ids {
                if self.row(id).is_some_and(|row| !row.takes_review()) {
                    let warning =
                        format!("{line}: {id} asks for a test; the review does not count");
                    self.warnings.push(warning);
                } else if let Some(evidence) = self.evidence_of(id, &line) {
                    let text = format!("{file}:{place}, {reviewer} {date}: {note}");
                    evidence.reviews.push(text);
                }
            }
        }
    }

    /// Rows of finished documents that nothing answers for.
    fn judge(&mut self) {
        let finished = self.documents.iter().filter(|document| document.finished);
        for row in finished.flat_map(|document| &document.rows) {
            if row.is_withdrawn() || self.evidence.get(&row.id).is_some_and(Evidence::covers) {
                continue;
            }
            let sentence = format!("{} ({}) is shown by nothing", row.id, row.level);
            match row.level {
                Level::Must | Level::MustNot => self.errors.push(sentence),
                Level::Should | Level::ShouldNot | Level::Fact => self.warnings.push(sentence),
                Level::May => {}
            }
        }
    }
}
