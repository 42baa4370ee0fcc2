//! Places in configuration files, the files themselves, and what of them may be shown.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::Excerpt;

/// One place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file as it was named on the command line or by `include`.
    pub file: Arc<Path>,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            escape(&self.file.to_string_lossy()),
            self.line,
            self.column
        )
    }
}

/// Text of a file as it may appear in a message: control characters become visible escapes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        push_escaped(&mut out, character);
    }
    out
}

fn push_escaped(out: &mut String, character: char) {
    // The bidirectional controls re-order what a terminal shows, so that a message could lie about a line.
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    if character.is_control() || reorders {
        out.extend(character.escape_default());
    } else {
        out.push(character);
    }
}

/// A stretch of one file, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The two notations of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Json,
}

/// One file that was read.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) path: Arc<Path>,
    pub(super) text: String,
    pub(super) format: Format,
    /// Offsets at which lines begin.
    lines: Vec<usize>,
    /// Stretches that are never shown, sorted, none overlapping another.
    hidden: Vec<Range<usize>>,
}

impl SourceFile {
    pub(super) fn new(path: Arc<Path>, text: String, format: Format) -> Self {
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            path,
            text,
            format,
            lines,
            hidden: Vec::new(),
        }
    }

    /// Thousands of secrets are hidden in turn, mostly from the top of the file to its end.
    fn hide(&mut self, mut stretch: Range<usize>) {
        let first = self.hidden.partition_point(|one| one.end < stretch.start);
        let last = self.hidden.partition_point(|one| one.start <= stretch.end);
        for one in self.hidden.get(first..last).unwrap_or_default() {
            stretch = stretch.start.min(one.start)..stretch.end.max(one.end);
        }
        self.hidden.splice(first..last, std::iter::once(stretch));
    }

    fn line_index(&self, offset: usize) -> usize {
        self.lines
            .partition_point(|&start| start <= offset)
            .saturating_sub(1)
    }

    fn line_range(&self, index: usize) -> Range<usize> {
        let start = self.lines.get(index).copied().unwrap_or(0);
        let end = self
            .lines
            .get(index + 1)
            .map_or(self.text.len(), |next| next.saturating_sub(1));
        start..end.max(start)
    }
}

/// Every file of one configuration.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) files: Vec<SourceFile>,
}

impl Sources {
    pub(super) fn file(&self, span: Span) -> Option<&SourceFile> {
        self.files.get(span.file)
    }

    pub(super) fn text(&self, span: Span) -> &str {
        self.file(span)
            .and_then(|file| file.text.get(span.start..span.end))
            .unwrap_or("")
    }

    pub(super) fn location(&self, span: Span) -> Location {
        let Some(file) = self.file(span) else {
            return Location {
                file: Arc::from(Path::new("?")),
                line: 0,
                column: 0,
            };
        };
        let index = file.line_index(span.start);
        let before = file
            .text
            .get(file.line_range(index).start..span.start)
            .unwrap_or("");
        Location {
            file: Arc::clone(&file.path),
            line: number(index + 1),
            column: number(before.chars().count() + 1),
        }
    }

    /// The line of `span`, trimmed and fit to be shown.
    pub(super) fn line(&self, span: Span) -> String {
        self.excerpt(span)
            .map(|excerpt| excerpt.line.trim().to_owned())
            .unwrap_or_default()
    }

    /// A part of a line, counted from 1, of a file.
    pub(super) fn in_line(&self, file: usize, line: usize, octets: Range<usize>) -> Span {
        let lines = self.files.get(file).map(|file| file.lines.as_slice());
        let start = lines.and_then(|lines| lines.get(line.saturating_sub(1)));
        let start = start.copied().unwrap_or_default();
        Span {
            file,
            start: start + octets.start,
            end: start + octets.end,
        }
    }

    /// From now on the stretch is blanked wherever its line is shown.
    pub(super) fn hide(&mut self, span: Span) {
        if let Some(file) = self.files.get_mut(span.file) {
            file.hide(span.start..span.end);
        }
    }

    pub(super) fn excerpt(&self, span: Span) -> Option<Excerpt> {
        let file = self.file(span)?;
        let range = file.line_range(file.line_index(span.start));
        let first = file.hidden.partition_point(|one| one.end < range.start);
        let hidden: Vec<&Range<usize>> = file
            .hidden
            .iter()
            .skip(first)
            .take_while(|hidden| hidden.start <= range.end)
            .collect();
        let mut line = String::new();
        let (mut column, mut start, mut end) = (0, None, None);
        let mut blanked = false;
        for (offset, character) in file.text.get(range.clone())?.char_indices() {
            let offset = range.start + offset;
            if offset >= span.start && start.is_none() {
                start = Some(column);
            }
            if offset >= span.end && end.is_none() {
                end = Some(column);
            }
            if hidden.iter().any(|hidden| hidden.contains(&offset)) {
                if !blanked {
                    line.push_str("[hidden]");
                    column += "[hidden]".len();
                }
                blanked = true;
                continue;
            }
            blanked = false;
            match character {
                '\t' => line.push(' '),
                '\r' => {}
                other => push_escaped(&mut line, other),
            }
            column = line.chars().count();
        }
        let start = start.unwrap_or(column);
        let width = end.unwrap_or(column).saturating_sub(start).max(1);
        Some(Excerpt { line, start, width })
    }

    /// Hides what may be a secret in a file that could not be read as a whole, so that nothing is known about its values:
    /// the rest of every line that looks like one, up to the next key.
    pub(super) fn hide_suspects(&mut self, index: usize) {
        let Some(file) = self.files.get_mut(index) else {
            return;
        };
        let mut suspect = false;
        for line in 0..file.lines.len() {
            let range = file.line_range(line);
            let text = file.text.get(range.clone()).unwrap_or("");
            let trimmed = text.trim_start();
            let key_end = text
                .find(['=', ':'])
                .filter(|_| !trimmed.starts_with(['\'', '}', ']']));
            let begins = trimmed.starts_with('[') || key_end.is_some();
            let secret = looks_secret(text);
            suspect = secret || (suspect && !begins);
            if suspect {
                let from = key_end.map_or(range.start, |at| range.start + at + 1);
                file.hide(from..range.end);
            }
        }
    }
}

/// Does a line, read as mere text, look as if it held a secret?
fn looks_secret(line: &str) -> bool {
    let lower = line.to_lowercase();
    [
        "plain:", "secret", "passw", "psk", "key", "enable", "\"$", "'$",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
