//! Octets of unknown origin, shown so that they stay one text and can do nothing to a terminal.
//!
//! An octet that is not UTF-8 is shown as `\xHH`. So that such a text cannot be mistaken for another, a back-slash that
//! would begin the same four characters is itself shown as `\x5c`; every other back-slash stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text of `octets`: valid UTF-8 as it is, anything else as `\xHH`. [`unescape`] gives the octets back.
pub fn escape(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.as_bytes().windows(4).any(looks_escaped) => Cow::Borrowed(text),
        Ok(_) | Err(_) => Cow::Owned(escaped(octets, |_| false)),
    }
}

/// [`escape`] for people: octets of control and invisible characters are `\xHH` too, and blanks where `blank` says so.
pub(super) fn printable(octets: &[u8], blank: Blank) -> Cow<'_, str> {
    let hide =
        |character: char| invisible(character) || (blank == Blank::Hidden && character == ' ');
    match std::str::from_utf8(octets) {
        Ok(text)
            if !text
                .chars()
                .any(|character| hide(character) || character == '\\') =>
        {
            Cow::Borrowed(text)
        }
        Ok(_) | Err(_) => Cow::Owned(escaped(octets, hide)),
    }
}

/// Whether a blank is shown as such: in a column of a table it would look like the end of the column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blank {
    /// As a blank.
    Shown,
    /// As `\x20`.
    Hidden,
}

/// The octets that [`escape`] shows as `text`.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, left)) = rest.split_first() {
        match rest.first_chunk::<4>() {
            Some(start) if looks_escaped(start) => {
                let [_, _, high, low] =
                    start.map(|digit| char::from(digit).to_digit(16).unwrap_or(0));
                octets.push(u8::try_from(high * 16 + low).unwrap_or(0));
                rest = rest.get(4..).unwrap_or_default();
            }
            Some(_) | None => {
                octets.push(*first);
                rest = left;
            }
        }
    }
    octets
}

/// Appends `octets` as a JSON string. Control and invisible characters are escaped, so that no line can be forged and no
/// terminal be driven by it.
pub(super) fn push_json(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    for character in escape(octets).chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', u8::try_from(character).unwrap_or(b'\\')]),
            character if invisible(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
            character => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn escaped(octets: &[u8], hide: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(octets.len() + 16);
    let mut rest = octets;
    while !rest.is_empty() {
        let mut chunks = rest.utf8_chunks();
        let Some(chunk) = chunks.next() else {
            break;
        };
        let valid = chunk.valid();
        for (index, character) in valid.char_indices() {
            // The look ahead goes over the end of the chunk: there follows a `\x` of our own, which is no hazard.
            let from_here = valid.as_bytes().get(index..).unwrap_or_default();
            if hide(character)
                || from_here
                    .first_chunk::<4>()
                    .is_some_and(|start| looks_escaped(start))
            {
                push_hex(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(character);
            }
        }
        push_hex(&mut text, chunk.invalid());
        rest = rest
            .get(valid.len() + chunk.invalid().len()..)
            .unwrap_or_default();
    }
    text
}

fn push_hex(text: &mut String, octets: &[u8]) {
    for octet in octets {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\x{octet:02x}");
    }
}

fn looks_escaped(start: &[u8]) -> bool {
    matches!(start, [b'\\', b'x', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Characters that are not seen, or that change how others are seen.
pub fn invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
