//! Which records a search is for.

use std::collections::HashSet;
use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::entry::EntryView;
use super::index::Conditions;
use super::record::Kind;
use super::row::{Form, Keys};

/// Which entries a search is for: all conditions that are given hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The device's name.
    pub device: Option<String>,
    /// The user's name.
    pub user: Option<Vec<u8>>,
    /// The command line.
    pub command: Option<CommandGlob>,
    /// Received then or later.
    pub since: Option<Timestamp>,
    /// Of which form, and what only that form has.
    pub wanted: Wanted,
    /// Users that are left out unless `user` names them.
    pub quiet: HashSet<Vec<u8>>,
}

/// A search is for one form of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Accounting records.
    Accounting {
        /// What they report.
        kind: Option<Kind>,
    },
    /// Decisions.
    Decisions {
        /// The name of their outcome.
        outcome: Option<String>,
        /// The name of their reason.
        reason: Option<String>,
    },
}

impl Default for Wanted {
    fn default() -> Self {
        Self::Accounting { kind: None }
    }
}

impl Query {
    /// What of it the index can judge.
    pub(super) fn conditions(&self) -> Conditions<'_> {
        Conditions {
            form: self.form(),
            device: self.device.as_deref().map(str::as_bytes),
            user: self.user.as_deref(),
            command: self.command.as_ref(),
            since: self.since,
            quiet: &self.quiet,
        }
    }

    /// Whether an entry with these keys can be one of them: all that can be said without the rest of its row.
    pub(super) fn may_match(&self, keys: &Keys<'_>) -> bool {
        self.is_for(keys.form)
            && self.since.is_none_or(|since| since <= keys.received)
            && self
                .device
                .as_deref()
                .is_none_or(|device| device == keys.device)
            && match &self.user {
                Some(user) => user == keys.user,
                None => self.quiet.is_empty() || !self.quiet.contains(keys.user),
            }
            && self
                .command
                .as_ref()
                .is_none_or(|glob| glob.matches(keys.command))
    }

    /// Whether it is for entries of this form.
    pub(super) fn is_for(&self, form: Form) -> bool {
        form == self.form()
    }

    fn form(&self) -> Form {
        match self.wanted {
            Wanted::Accounting { .. } => Form::Accounting,
            Wanted::Decisions { .. } => Form::Decision,
        }
    }

    /// Is this entry, whose keys may match, one of them?
    pub(super) fn matches(&self, view: &EntryView<'_>) -> bool {
        match (&self.wanted, view) {
            (Wanted::Accounting { kind }, EntryView::Accounting(view)) => {
                kind.is_none_or(|kind| kind == view.fields.kind)
            }
            (Wanted::Decisions { outcome, reason }, EntryView::Decision(view)) => {
                let same = |wanted: &Option<String>, found: &str| {
                    wanted.as_deref().is_none_or(|wanted| wanted == found)
                };
                same(outcome, view.fields.outcome) && same(reason, view.fields.reason)
            }
            (Wanted::Accounting { .. }, EntryView::Decision(_))
            | (Wanted::Decisions { .. }, EntryView::Accounting(_)) => false,
        }
    }
}

/// A pattern over a whole command line: `*` any number of characters, `?` one, anything else itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandGlob(Vec<u8>);

impl CommandGlob {
    /// Takes the pattern.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.as_bytes().to_vec())
    }

    /// What every line that matches begins with.
    pub(super) fn prefix(&self) -> &[u8] {
        let end = self.0.iter().position(|octet| matches!(octet, b'*' | b'?'));
        self.0.get(..end.unwrap_or(self.0.len())).unwrap_or(&self.0)
    }

    /// Does it leave out any line at all?
    pub(super) fn is_selective(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(|octet| *octet != b'*')
    }

    /// Does the whole line match? Time is at worst the product of both lengths.
    pub fn matches(&self, line: &[u8]) -> bool {
        let (mut pattern, mut rest) = (self.0.as_slice(), line);
        // After the last `*`: the pattern behind it, and what of the line it has not swallowed.
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern.split_first(), rest.split_first()) {
                (Some((b'*', behind)), _) => {
                    pattern = behind;
                    retry = Some((behind, rest));
                    continue;
                }
                (None, None) => return true,
                (Some((b'?', behind)), Some(_)) => {
                    pattern = behind;
                    rest = rest.get(character(rest)..).unwrap_or_default();
                    continue;
                }
                (Some((wanted, behind)), Some((found, left))) if wanted == found => {
                    pattern = behind;
                    rest = left;
                    continue;
                }
                (Some(_) | None, Some(_)) | (Some(_), None) => {}
            }
            match retry {
                Some((behind, [_, left @ ..])) => {
                    pattern = behind;
                    rest = left;
                    retry = Some((behind, left));
                }
                Some((_, [])) | None => return false,
            }
        }
    }
}

/// Octets of the first character; one for an octet that begins none.
fn character(text: &[u8]) -> usize {
    let start = text.get(..4).unwrap_or(text);
    let valid = match std::str::from_utf8(start) {
        Ok(valid) => valid,
        Err(error) => start
            .get(..error.valid_up_to())
            .and_then(|valid| std::str::from_utf8(valid).ok())
            .unwrap_or_default(),
    };
    valid.chars().next().map_or(1, char::len_utf8)
}

/// Reads `--since`: a moment (RFC 3339), a local date or date and time, or an age such as `90s`, `30m`, `2h`, `7d`, `2w`.
pub fn parse_since(text: &str, now: &Zoned) -> Result<Timestamp, SinceError> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local = text
        .parse::<DateTime>()
        .ok()
        .or_else(|| text.parse::<Date>().ok().map(|day| day.at(0, 0, 0, 0)));
    if let Some(local) = local {
        let moment = local
            .to_zoned(now.time_zone().clone())
            .map_err(|_| SinceError)?;
        return Ok(moment.timestamp());
    }
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let seconds = match text.get(digits.len()..) {
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        Some("d") => 86_400,
        Some("w") => 604_800,
        Some(_) | None => return Err(SinceError),
    };
    if digits.is_empty() || digits.bytes().any(|octet| !octet.is_ascii_digit()) {
        return Err(SinceError);
    }
    let count: i64 = digits.parse().map_err(|_| SinceError)?;
    let age = SignedDuration::from_secs(count.checked_mul(seconds).ok_or(SinceError)?);
    now.timestamp().checked_sub(age).map_err(|_| SinceError)
}

/// Not a moment, a date or an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinceError;

impl fmt::Display for SinceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a moment (2026-11-20T10:00:00Z), a date (2026-11-20) nor an age (90s, 30m, 2h, 7d, 2w)")
    }
}

impl std::error::Error for SinceError {}
