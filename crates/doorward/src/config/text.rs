//! Where in the file a piece of a string is: strings have delimiters, escapes and line continuations.

use std::ops::Range;

use super::source::{Format, Sources, Span};
use super::tree::Node;

/// For every octet of a string's value, its offset in the file.
#[derive(Debug)]
pub(super) struct StringMap {
    span: Span,
    /// One entry an octet, and one for the end; empty when the string is written in a way not understood here.
    offsets: Vec<usize>,
}

impl StringMap {
    pub(super) fn new(sources: &Sources, node: &Node) -> Self {
        let raw = sources.text(node.span);
        let format = sources
            .file(node.span)
            .map_or(Format::Toml, |file| file.format);
        let value = node.as_str().unwrap_or("");
        let offsets = match format {
            Format::Toml => toml_offsets(raw),
            Format::Json => escaped_offsets(raw, 1, raw.len().saturating_sub(1)),
        };
        // A trailing `\r` that the parser drops, or anything else unforeseen: better the whole string than a wrong word.
        let offsets = if offsets.len() == value.len() + 1 {
            offsets
        } else {
            Vec::new()
        };
        Self {
            span: node.span,
            offsets,
        }
    }

    /// The place of a piece of the value; the whole string where that is unknown.
    pub(super) fn span(&self, piece: Range<usize>) -> Span {
        let (Some(start), Some(end)) = (self.offsets.get(piece.start), self.offsets.get(piece.end))
        else {
            return self.span;
        };
        Span {
            file: self.span.file,
            start: self.span.start + start,
            end: self.span.start + end,
        }
    }
}

fn toml_offsets(raw: &str) -> Vec<usize> {
    for (delimiter, literal) in [("'''", true), ("\"\"\"", false)] {
        if raw.len() >= 6 && raw.starts_with(delimiter) {
            // A line end right after the opening delimiter does not belong to the value.
            let skip = match raw.as_bytes().get(3..5) {
                Some(b"\r\n") => 5,
                Some([b'\n', _]) => 4,
                Some(_) | None => 3,
            };
            let end = raw.len() - 3;
            return if literal {
                (skip..=end.max(skip)).collect()
            } else {
                escaped_offsets(raw, skip, end.max(skip))
            };
        }
    }
    let end = raw.len().saturating_sub(1);
    if raw.starts_with('\'') {
        (1..=end.max(1)).collect()
    } else {
        escaped_offsets(raw, 1, end.max(1))
    }
}

/// Walks `raw[start..end]` and undoes escapes, counting the octets each stands for.
fn escaped_offsets(raw: &str, start: usize, end: usize) -> Vec<usize> {
    let mut offsets = Vec::with_capacity(end.saturating_sub(start) + 1);
    let mut at = start;
    while at < end {
        let Some(character) = raw.get(at..end).and_then(|rest| rest.chars().next()) else {
            break;
        };
        if character != '\\' {
            offsets.extend(at..at + character.len_utf8());
            at += character.len_utf8();
            continue;
        }
        let (length, octets) = escape(raw.get(at..end).unwrap_or(""));
        offsets.extend(std::iter::repeat_n(at, octets));
        at += length;
    }
    offsets.push(end);
    offsets
}

/// Length of the escape at the start of `text`, and how many octets of value it gives.
fn escape(text: &str) -> (usize, usize) {
    let hexadecimal = |digits: usize| {
        text.get(2..2 + digits)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let wide = |digits: usize| {
        let octets = hexadecimal(digits)
            .and_then(char::from_u32)
            .map_or(0, char::len_utf8);
        (2 + digits, octets)
    };
    match text.as_bytes().get(1) {
        Some(b'x') => wide(2),
        Some(b'u') => match hexadecimal(4) {
            // JSON writes characters beyond the first plane as two escapes.
            Some(0xd800..=0xdbff) => (12, 4),
            Some(_) | None => wide(4),
        },
        Some(b'U') => wide(8),
        // A TOML line continuation swallows all white space after it.
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let rest = text.get(1..).unwrap_or("");
            (
                1 + rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len(),
                0,
            )
        }
        Some(_) | None => (2, 1),
    }
}
