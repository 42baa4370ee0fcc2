//! `[[accounting]]`: how long the database keeps records, and the sinks that are given each of them.

use std::sync::Arc;
use std::time::Duration;

use super::file::Document;
use super::fticks::FTicks;
use super::report::Report;
use super::section::{Section, not_built};
use super::server::path;
use super::sink::{Sink, SinkKind};
use super::source::{Span, escape};
use super::syslog::{self, Known};
use super::value::{self, unknown_word};

/// What is said of the records.
#[derive(Debug, Default)]
pub(super) struct Accounting {
    /// How long the database keeps them; `None` = for ever.
    pub(super) keep: Option<Duration>,
    /// Who else gets them.
    pub(super) sinks: Vec<Sink>,
}

pub(super) fn accounting(
    report: &mut Report,
    document: &Document<'_>,
    known: &Known<'_>,
) -> Accounting {
    let mut accounting = Accounting::default();
    let mut database: Option<Span> = None;
    let mut sinks: Vec<(Sink, Span)> = Vec::new();
    for node in document.list(report, "accounting") {
        let Some(mut section) = Section::new(report, "[[accounting]]", node) else {
            continue;
        };
        let Some(kind) = section.required(report, "type") else {
            continue;
        };
        let kind_span = kind.span;
        let sink = match value::text(report, "type", kind) {
            Some("database") => {
                if let Some(first) = database.replace(node.span) {
                    report
                        .error(node.span, "the accounting database is configured twice")
                        .see(first, "first here")
                        .help("keep one of them");
                }
                if let Some(node) = section.value("keep") {
                    let least = Duration::from_secs(3600);
                    accounting.keep = value::duration_from(report, "keep", node, least);
                }
                section.finish(report);
                continue;
            }
            Some("jsonl") => jsonl(report, section),
            Some("syslog") => syslog(report, section, known),
            Some("jetstream") => {
                not_built(
                    report,
                    kind_span,
                    "an accounting sink of type jetstream",
                    "sending records to NATS",
                    "take this [[accounting]] out of the file",
                );
                continue;
            }
            Some(other) => {
                let words = ["database", "jsonl", "syslog", "jetstream"];
                unknown_word(report, "type", other, kind_span, words.into_iter());
                continue;
            }
            None => continue,
        };
        if let Some((sink, span)) = sink {
            distinct(report, &sinks, &sink, span);
            sinks.push((sink, span));
        }
    }
    accounting.sinks = sinks.into_iter().map(|(sink, _)| sink).collect();
    accounting
}

/// The name is the place in the journal: two sinks with one would each miss what the other got.
fn distinct(report: &mut Report, sinks: &[(Sink, Span)], sink: &Sink, span: Span) {
    if *sink.name == *FTicks::NAME {
        report
            .error(
                span,
                "in the figures of sinks `fticks` is the receiver of [fticks]",
            )
            .help("give this sink another `name`");
        return;
    }
    if let Some((_, first)) = sinks.iter().find(|(other, _)| other.name == sink.name) {
        let name = escape(&sink.name);
        report
            .error(span, format!("two sinks have the name `{name}`"))
            .see(*first, "the other one")
            .help("give each its own `name`, or take one of them out");
        return;
    }
    let SinkKind::Jsonl { path } = &sink.kind else {
        return;
    };
    let same =
        |other: &Sink| matches!(&other.kind, SinkKind::Jsonl { path: theirs } if theirs == path);
    if let Some((_, first)) = sinks.iter().find(|(other, _)| same(other)) {
        report
            .error(span, "two sinks write to the same file")
            .see(*first, "the other one")
            .help("give one of them another `path`");
    }
}

/// What every sink has.
struct Common {
    name: Option<Arc<str>>,
    decisions: bool,
}

fn common(report: &mut Report, section: &mut Section<'_>) -> Common {
    let name = section
        .value("name")
        .and_then(|node| value::name(report, "name", node))
        .map(Arc::from);
    let decisions = section
        .value("decisions")
        .and_then(|node| value::boolean(report, "decisions", node));
    Common {
        name,
        decisions: decisions.unwrap_or(false),
    }
}

/// The sink and the place of what it is called by.
fn jsonl(report: &mut Report, mut section: Section<'_>) -> Option<(Sink, Span)> {
    let Common { name, decisions } = common(report, &mut section);
    let node = section.required(report, "path");
    section.finish(report);
    let node = node?;
    let path = path(report, "path", node)?;
    let name = name.unwrap_or_else(|| format!("jsonl:{}", path.display()).into());
    let sink = Sink {
        name,
        decisions,
        kind: SinkKind::Jsonl { path },
        location: report.location(node.span),
    };
    Some((sink, node.span))
}

fn syslog(
    report: &mut Report,
    mut section: Section<'_>,
    known: &Known<'_>,
) -> Option<(Sink, Span)> {
    let Common { name, decisions } = common(report, &mut section);
    let keys = syslog::Keys::read(report, &mut section);
    let max_message = section
        .value("max_message")
        .and_then(|node| value::integer(report, "max_message", node, 1024..=65_000));
    section.finish(report);
    let called = name.as_deref().or(keys.written()).unwrap_or("syslog");
    let called = format!("accounting.{called}");
    let (mut syslog, span) = keys.syslog(report, &called, known)?;
    syslog.max_message = max_message.unwrap_or(syslog.max_message);
    let name = name.unwrap_or_else(|| format!("syslog:{}", syslog.target).into());
    let sink = Sink {
        name,
        decisions,
        kind: SinkKind::Syslog(Box::new(syslog)),
        location: report.location(span),
    };
    Some((sink, span))
}
