//! Hours of the week: `Mon-Fri 07:00-20:00 Europe/Amsterdam`.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// Some hours of some days, in one time zone.
///
/// A range over midnight belongs to the day on which it begins; the end is not part of it.
#[derive(Clone, Debug)]
pub struct Window {
    /// Monday first.
    days: [bool; 7],
    /// Minutes after midnight.
    start: u16,
    end: u16,
    zone: TimeZone,
    text: Box<str>,
}

const DAY: u16 = 24 * 60;

/// What is wrong in the text of a [`Window`], and which piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowError {
    /// Octets of the piece.
    pub piece: std::ops::Range<usize>,
    /// Why.
    pub kind: WindowErrorKind,
}

/// Why a text is no [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowErrorKind {
    /// Nothing there.
    Empty,
    /// Not a day of the week.
    Day,
    /// Not `HH:MM-HH:MM`.
    Hours,
    /// Not a known time zone.
    Zone,
}

impl fmt::Display for WindowErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the time is empty",
            Self::Day => "this is no day of the week (Mon, Tue, Wed, Thu, Fri, Sat, Sun)",
            Self::Hours => {
                "these are no hours (07:00-20:00; the end may be 24:00, and differs from the start)"
            }
            Self::Zone => "this time zone is not known",
        })
    }
}

impl Window {
    /// From the text of the file: days, hours, zone, in that order. Without days it is every day, without hours the whole
    /// day, without a zone `local`.
    pub fn parse(text: &str, local: &TimeZone) -> Result<Self, WindowError> {
        let (mut days, mut hours, mut zone) = (None, None, None);
        for word in text.split_whitespace() {
            let at = word.as_ptr().addr() - text.as_ptr().addr();
            let wrong = |kind| WindowError {
                piece: at..at + word.len(),
                kind,
            };
            if word.starts_with(|c: char| c.is_ascii_digit()) && hours.is_none() && zone.is_none() {
                hours = Some(parse_hours(word).ok_or_else(|| wrong(WindowErrorKind::Hours))?);
            } else if days.is_none() && hours.is_none() && zone.is_none() && looks_like_days(word) {
                days = Some(parse_days(word).ok_or_else(|| wrong(WindowErrorKind::Day))?);
            } else if zone.is_none() {
                let known = if word == "local" {
                    Ok(local.clone())
                } else {
                    TimeZone::get(word)
                };
                zone = Some(known.map_err(|_| wrong(WindowErrorKind::Zone))?);
            } else {
                return Err(wrong(WindowErrorKind::Zone));
            }
        }
        if text.trim().is_empty() {
            return Err(WindowError {
                piece: 0..text.len(),
                kind: WindowErrorKind::Empty,
            });
        }
        let (start, end) = hours.unwrap_or((0, DAY));
        Ok(Self {
            days: days.unwrap_or([true; 7]),
            start,
            end,
            zone: zone.unwrap_or_else(|| local.clone()),
            text: text.into(),
        })
    }

    /// Is the moment within?
    pub fn contains(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let today = self.has(local.weekday());
        if self.start < self.end {
            return today && self.start <= minute && minute < self.end;
        }
        let yesterday = self.has(local.weekday().previous());
        (today && minute >= self.start) || (yesterday && minute < self.end)
    }

    fn has(&self, day: Weekday) -> bool {
        let index = usize::from(day.to_monday_zero_offset().unsigned_abs());
        self.days.get(index).copied().unwrap_or(false)
    }

    /// The text of the file.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The moment as a clock in the window's zone shows it, for explanations.
    pub fn local_time(&self, now: Timestamp) -> String {
        now.to_zoned(self.zone.clone())
            .strftime("%a %H:%M %Z")
            .to_string()
    }
}

const WEEK: u16 = 7 * DAY;

/// Does some window of `own` hold whenever one of `other` does? Windows of different zones are not compared.
pub(super) fn covers(own: &[Window], other: &[Window]) -> bool {
    always(own)
        || other.iter().all(|window| {
            let covered = minutes(own.iter().filter(|one| one.zone == window.zone));
            let within = |(from, to): &(u16, u16)| {
                let mut all = covered.iter();
                all.any(|(first, last)| first <= from && to <= last)
            };
            minutes(std::iter::once(window)).iter().all(within)
        })
}

/// Do the windows of one zone fill the week?
pub(super) fn always(windows: &[Window]) -> bool {
    windows.iter().any(|window| {
        let same = windows.iter().filter(|one| one.zone == window.zone);
        minutes(same) == [(0, WEEK)]
    })
}

/// Ranges of minutes after Monday's midnight, sorted, those that touch joined.
fn minutes<'a>(windows: impl Iterator<Item = &'a Window>) -> Vec<(u16, u16)> {
    let mut ranges = Vec::new();
    for window in windows {
        for (begin, _) in (0..WEEK)
            .step_by(usize::from(DAY))
            .zip(window.days)
            .filter(|(_, on)| *on)
        {
            if window.start < window.end {
                ranges.push((begin + window.start, begin + window.end));
            } else {
                ranges.push((begin + window.start, begin + DAY));
                let next = (begin + DAY) % WEEK;
                ranges.push((next, next + window.end));
            }
        }
    }
    ranges.retain(|(from, to)| from < to);
    ranges.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for (from, to) in ranges {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            Some(_) | None => joined.push((from, to)),
        }
    }
    joined
}

/// A word without a slash that is not a zone of one piece such as `UTC` or `local`.
fn looks_like_days(word: &str) -> bool {
    let first = word.split([',', '-']).next().unwrap_or("");
    day(first).is_some() || word.contains([',', '-']) && !word.contains('/')
}

fn day(name: &str) -> Option<usize> {
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        .iter()
        .position(|short| name.eq_ignore_ascii_case(short))
}

fn parse_days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        for _ in 0..7 {
            if let Some(one) = days.get_mut(at) {
                *one = true;
            }
            if at == last {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Some(days)
}

fn parse_hours(text: &str) -> Option<(u16, u16)> {
    let (start, end) = text.split_once('-')?;
    let (start, end) = (parse_minute(start)?, parse_minute(end)?);
    (start != end && start < DAY).then_some((start, end))
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() <= 2 && part.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(hour) || !digits(minute) || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        Window::parse(text, &TimeZone::UTC).expect(text)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    #[test]
    fn office_hours_follow_the_zone_and_its_summer_time() {
        let office = window("Mon-Fri 07:00-20:00 Europe/Amsterdam");
        assert!(office.contains(at("2027-01-04T06:00:00Z")));
        assert!(!office.contains(at("2027-01-04T05:59:59Z")));
        assert!(
            office.contains(at("2027-07-05T05:00:00Z")),
            "summer time is an hour earlier in UTC"
        );
        assert!(
            !office.contains(at("2027-01-04T19:00:00Z")),
            "the end is outside"
        );
        assert!(!office.contains(at("2027-01-03T12:00:00Z")), "a Sunday");
    }

    #[test]
    fn a_range_over_midnight_belongs_to_the_day_it_begins_on() {
        let night = window("Fri 22:00-06:00 UTC");
        assert!(night.contains(at("2027-01-01T23:00:00Z")));
        assert!(
            night.contains(at("2027-01-02T05:59:00Z")),
            "Saturday morning"
        );
        assert!(
            !night.contains(at("2027-01-01T05:00:00Z")),
            "Friday morning belongs to Thursday"
        );
        assert!(!night.contains(at("2027-01-02T06:00:00Z")));
    }

    #[test]
    fn each_part_may_be_left_out() {
        assert!(window("Sat,Sun").contains(at("2027-01-03T23:59:00Z")));
        assert!(window("Sat-Mon").contains(at("2027-01-04T00:00:00Z")));
        assert!(!window("Sat-Mon").contains(at("2027-01-05T00:00:00Z")));
        assert!(window("00:00-24:00").contains(at("2027-01-05T23:59:00Z")));
        assert!(window("09:00-10:00 UTC").contains(at("2027-01-05T09:30:00Z")));
    }

    fn windows(texts: &[&str]) -> Vec<Window> {
        texts.iter().map(|text| window(text)).collect()
    }

    #[test]
    fn hours_within_other_hours_are_seen() {
        for (wide, narrow, within) in [
            (&["Mon-Fri 07:00-20:00"][..], &["Tue 08:00-09:00"][..], true),
            (&["Mon-Fri 07:00-20:00"], &["Sat 08:00-09:00"], false),
            (&["Mon-Fri 07:00-20:00"], &["Tue 19:00-21:00"], false),
            (&["07:00-12:00", "12:00-20:00"], &["08:00-19:00"], true),
            (&["Sat", "Sun 00:00-06:00"], &["Sat 22:00-06:00"], true),
            (&["Sat", "Sun 00:00-05:00"], &["Sat 22:00-06:00"], false),
            (&["Mon 00:00-06:00", "Sun"], &["Sun 22:00-06:00"], true),
            (&["UTC"], &["Europe/Amsterdam"], true),
            (&["Mon-Fri UTC"], &["Tue Europe/Amsterdam"], false),
            (&["Mon-Sat"], &["Mon-Sun"], false),
        ] {
            assert_eq!(
                covers(&windows(wide), &windows(narrow)),
                within,
                "{wide:?} {narrow:?}"
            );
        }
        assert!(always(&windows(&["Mon-Thu", "Fri-Sun"])));
        assert!(!always(&windows(&["Mon-Thu", "Fri-Sun 00:00-23:59"])));
    }

    #[test]
    fn mistakes_name_their_word() {
        for (text, piece, kind) in [
            ("", "", WindowErrorKind::Empty),
            ("Mon-Fry 07:00-20:00", "Mon-Fry", WindowErrorKind::Day),
            ("Mon 7-20", "7-20", WindowErrorKind::Hours),
            ("Mon 07:00-25:00", "07:00-25:00", WindowErrorKind::Hours),
            ("Mon 07:00-07:00", "07:00-07:00", WindowErrorKind::Hours),
            (
                "Mon 07:00-20:00 Europe/Amsterdm",
                "Europe/Amsterdm",
                WindowErrorKind::Zone,
            ),
            ("Monday", "Monday", WindowErrorKind::Zone),
        ] {
            let error = Window::parse(text, &TimeZone::UTC).expect_err(text);
            assert_eq!(
                (text.get(error.piece.clone()), error.kind),
                (Some(piece), kind),
                "{text}"
            );
        }
    }
}
