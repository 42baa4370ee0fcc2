//! The two hand-written lists: `docs/deviations.md` and `docs/reviews.md`.
//!
//! Only lines that start with the key word count; prose around them and fenced blocks are passed over.

use std::path::Path;

/// A requirement that is deliberately not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The ids it speaks of.
    pub ids: Vec<String>,
    /// Why.
    pub reason: String,
    /// The line in the file.
    pub line: usize,
}

/// A requirement somebody checked by reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The ids it speaks of.
    pub ids: Vec<String>,
    /// The file that was read, from the root of the repository.
    pub file: String,
    /// The line in that file.
    pub place: usize,
    /// Who read it.
    pub reviewer: String,
    /// When, as YYYY-MM-DD.
    pub date: String,
    /// What was found.
    pub note: String,
    /// The line in the list.
    pub line: usize,
}

/// Reads the lines `deviates: ID[, ID] reason`.
pub fn deviations(text: &str, errors: &mut Vec<String>) -> Vec<Deviation> {
    let mut out = Vec::new();
    for (line, rest) in entries(text, "deviates") {
        let (ids, reason) = leading_ids(rest);
        if ids.is_empty() || reason.is_empty() {
            let form = "expected `deviates: ID[, ID] reason`";
            errors.push(format!("docs/deviations.md:{line}: {form}"));
        } else {
            out.push(Deviation {
                ids,
                reason: reason.to_owned(),
                line,
            });
        }
    }
    out
}

/// Reads the lines `reviewed: ID[, ID] file:line reviewer date note` and looks each place up under `root`.
pub fn reviews(text: &str, root: &Path, errors: &mut Vec<String>) -> Vec<Review> {
    let mut out = Vec::new();
    for (line, rest) in entries(text, "reviewed") {
        match review(line, rest).and_then(|review| check_place(review, root)) {
            Ok(review) => out.push(review),
            Err(error) => errors.push(format!("docs/reviews.md:{line}: {error}")),
        }
    }
    out
}

fn review(line: usize, rest: &str) -> Result<Review, String> {
    let form = || "expected `reviewed: ID[, ID] file:line reviewer date note`".to_owned();
    let (ids, rest) = leading_ids(rest);
    let mut words = rest.splitn(4, ' ').map(str::trim);
    let mut word = || {
        words
            .next()
            .filter(|word| !word.is_empty())
            .ok_or_else(form)
    };
    let (place, reviewer, date, note) = (word()?, word()?, word()?, word()?);
    let (file, place) = place.rsplit_once(':').ok_or_else(form)?;
    let place = place.parse().map_err(|_| form())?;
    if ids.is_empty() {
        return Err(form());
    }
    if !is_date(date) {
        return Err(format!("`{date}` is no date (YYYY-MM-DD)"));
    }
    let [file, reviewer, date, note] = [file, reviewer, date, note].map(str::to_owned);
    Ok(Review {
        ids,
        file,
        place,
        reviewer,
        date,
        note,
        line,
    })
}

fn check_place(review: Review, root: &Path) -> Result<Review, String> {
    let path = Path::new(&review.file);
    let inside = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if !inside {
        return Err(format!(
            "`{}` is no path inside the repository",
            review.file
        ));
    }
    let Ok(text) = std::fs::read_to_string(root.join(path)) else {
        return Err(format!("there is no file `{}`", review.file));
    };
    let lines = text.lines().count();
    if review.place == 0 || review.place > lines {
        return Err(format!(
            "`{}` has {lines} lines, no line {}",
            review.file, review.place
        ));
    }
    Ok(review)
}

/// The lines that start with `word:`, bare or as a list item, outside fenced blocks.
fn entries<'a>(text: &'a str, word: &str) -> Vec<(usize, &'a str)> {
    let mut fenced = false;
    let mut out = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let item = text.strip_prefix("- ").unwrap_or(text);
        let rest = item
            .strip_prefix(word)
            .and_then(|rest| rest.strip_prefix(':'));
        if let Some(rest) = rest.filter(|_| !fenced) {
            out.push((line, rest.trim()));
        }
    }
    out
}

/// `A-1-1, A-1-2 the rest` → the ids and the rest.
fn leading_ids(text: &str) -> (Vec<String>, &str) {
    let mut ids = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let id = word.trim_end_matches(',');
        if !crate::source::is_id(id) {
            return (ids, rest);
        }
        ids.push(id.to_owned());
        rest = after.trim_start();
        if !word.ends_with(',') {
            return (ids, rest);
        }
    }
}

fn is_date(text: &str) -> bool {
    let digits = |part: &str, length| {
        let plain = part.len() == length && part.bytes().all(|octet| octet.is_ascii_digit());
        if plain {
            part.parse::<u16>().unwrap_or_default()
        } else {
            0
        }
    };
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    digits(year, 4) > 0
        && (1..=12).contains(&digits(month, 2))
        && (1..=31).contains(&digits(day, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = env!("CARGO_MANIFEST_DIR");

    fn deviation_errors(text: &str) -> Vec<String> {
        let mut errors = Vec::new();
        assert_eq!(deviations(text, &mut errors), []);
        errors
    }

    fn review_errors(text: &str) -> Vec<String> {
        let mut errors = Vec::new();
        assert_eq!(reviews(text, Path::new(ROOT), &mut errors), []);
        errors
    }

    #[test]
    fn a_deviation_has_ids_and_a_reason() {
        let mut errors = Vec::new();
        let text = "Text\n\n- deviates: TLS-3.4.1-3, TLS-1-1 no library has it: TLS-9-9.\n";
        let found = deviations(text, &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(
            found,
            [Deviation {
                ids: vec!["TLS-3.4.1-3".into(), "TLS-1-1".into()],
                reason: "no library has it: TLS-9-9.".into(),
                line: 3,
            }]
        );
    }

    #[test]
    fn a_deviation_without_reason_or_id_is_an_error() {
        for text in [
            "deviates: TLS-1-1",
            "deviates: because",
            "deviates:",
            "deviates: TLS-1-1,",
        ] {
            let error = "docs/deviations.md:1: expected `deviates: ID[, ID] reason`";
            assert_eq!(deviation_errors(text), [error], "{text}");
        }
    }

    #[test]
    fn fenced_blocks_and_prose_are_passed_over() {
        let text = "```\ndeviates: X\n```\nA line `deviates: X`.\n    deviates: X\n";
        assert_eq!(deviation_errors(text), Vec::<String>::new());
    }

    #[test]
    fn a_review_names_place_reviewer_date_and_note() {
        let mut errors = Vec::new();
        let text = "reviewed: TLS-2-3 src/lib.rs:1 kim 2026-11-20 one identity a connection";
        let found = reviews(text, Path::new(ROOT), &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        let review = &found[0];
        assert_eq!((review.file.as_str(), review.place), ("src/lib.rs", 1));
        assert_eq!(
            (review.reviewer.as_str(), review.date.as_str()),
            ("kim", "2026-11-20")
        );
        assert_eq!(review.note, "one identity a connection");
    }

    #[test]
    fn a_review_of_nothing_is_an_error() {
        for (text, error) in [
            (
                "src/no.rs:1 kim 2026-11-20 fine",
                "there is no file `src/no.rs`",
            ),
            (
                "../ledger/src/lib.rs:1 kim 2026-11-20 fine",
                "is no path inside the repository",
            ),
            (
                "/etc/hostname:1 kim 2026-11-20 fine",
                "is no path inside the repository",
            ),
            ("src/lib.rs:0 kim 2026-11-20 fine", "no line 0"),
            ("src/lib.rs:90000 kim 2026-11-20 fine", "no line 90000"),
            (
                "src/lib.rs:1 kim 2026-13-20 fine",
                "`2026-13-20` is no date",
            ),
            ("src/lib.rs:1 kim yesterday fine", "`yesterday` is no date"),
            ("src/lib.rs:1 kim 2026-11-20", "expected `reviewed:"),
            ("src/lib.rs kim 2026-11-20 fine", "expected `reviewed:"),
            ("", "expected `reviewed:"),
        ] {
            let errors = review_errors(&format!("reviewed: TLS-2-3 {text}"));
            assert!(
                errors.len() == 1 && errors[0].contains(error),
                "{text}: {errors:?}"
            );
        }
        assert_eq!(
            review_errors("reviewed: src/lib.rs:1 kim 2026-11-20 fine").len(),
            1
        );
    }
}
