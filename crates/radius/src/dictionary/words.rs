//! Words of messages: the one that was meant, and the ones that are allowed.

use alloc::string::String;
use alloc::vec::Vec;

/// Longer words than this are nobody's misspelling, and would take long to compare.
const LONGEST: usize = 64;

/// The word nearest to `word` without regard to case, at most `limit` letters away and not wholly another one.
pub(super) fn nearest<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str>,
    limit: usize,
) -> Option<&'a str> {
    let letters = lower(word)?;
    let limit = limit.min(letters.len() / 2);
    known
        .filter(|known| known.len().abs_diff(word.len()) <= limit * 4)
        .filter_map(|known| Some((distance(&letters, &lower(known)?), known)))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn lower(word: &str) -> Option<Vec<char>> {
    let short = word.len() <= LONGEST;
    short.then(|| word.chars().map(|c| c.to_ascii_lowercase()).collect())
}

/// Letters to insert, delete or replace (Levenshtein).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut left = i + 1;
        let mut corner = i;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (y, up) in b.iter().zip(row.iter().skip(1)) {
            left = (corner + usize::from(x != y)).min(*up + 1).min(left + 1);
            corner = *up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// `word` for a message: short, and without what would break a line.
pub(super) fn quoted(word: &str) -> String {
    let mut out = String::from("`");
    for (at, c) in word.chars().enumerate() {
        if at == LONGEST {
            out.push_str("...");
            break;
        }
        push_escaped(&mut out, c);
    }
    out.push('`');
    out
}

/// Appends a character so that a terminal shows it and does not obey it.
pub(super) fn push_escaped(out: &mut String, c: char) {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if c.is_control() || turns {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_word() {
        let known = || ["User-Name", "User-Password", "NAS-Port"].into_iter();
        assert_eq!(nearest("user-nam", known(), 3), Some("User-Name"));
        assert_eq!(nearest("UserPassword", known(), 3), Some("User-Password"));
        assert_eq!(nearest("NAS-Prot", known(), 3), Some("NAS-Port"));
        assert_eq!(nearest("Framed-MTU", known(), 3), None);
        assert_eq!(nearest("", known(), 3), None);
        assert_eq!(nearest(&"x".repeat(65), known(), 3), None);
    }

    #[test]
    fn quoted_words_stay_on_their_line() {
        assert_eq!(quoted("a\nb\u{202e}"), "`a\\nb\\u{202e}`");
        assert_eq!(quoted(&"x".repeat(99)).len(), LONGEST + 5);
    }
}
