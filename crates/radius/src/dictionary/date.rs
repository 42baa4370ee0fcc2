//! Times of the calendar as seconds since 1970, and back (RFC 3339), without a clock or time zones.

use alloc::format;
use alloc::string::String;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The seconds of `2026-01-31T12:00:00Z` or of the same with an offset; fractions are dropped.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = (rest.get(..8)?, rest.get(8..)?);
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = (1..=12).contains(&month) && (1..=last).contains(&day);
    // The 60 is a leap second, which the count leaves out.
    if !valid || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = offset(fraction(rest)?)?;
    let clock = hour * 3600 + minute * 60 + second.min(59);
    u32::try_from(days(year, month, day) * DAY + clock - offset).ok()
}

/// The reverse of [`seconds`], in UTC.
pub(super) fn show(seconds: u32) -> String {
    let seconds = i64::from(seconds);
    let (year, month, day) = civil(seconds / DAY);
    let clock = seconds % DAY;
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Three numbers of as many digits as said.
fn numbers(text: &str, mark: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut groups = text.split(mark);
    let mut out = [0; 3];
    for (number, digits) in out.iter_mut().zip(digits) {
        *number = digits_of(groups.next()?, digits)?;
    }
    groups.next().is_none().then_some(out)
}

fn digits_of(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// What follows a fraction of a second, if there is one.
fn fraction(rest: &str) -> Option<&str> {
    let Some(digits) = rest.strip_prefix('.') else {
        return Some(rest);
    };
    let after = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < digits.len()).then_some(after)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits_of(hours, 2)?, digits_of(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Days from 1970 to a date. Years begin in March here, so that the leap day is the last of one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + in_year - 719_468
}

/// The date so many days after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let in_era = days.rem_euclid(146_097);
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_days_are_found() {
        for (text, number) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-27T19:26:16Z", 1_795_807_576),
            ("2106-02-07T06:28:15Z", u32::MAX),
        ] {
            assert_eq!(seconds(text), Some(number), "{text}");
            assert_eq!(show(number), text);
        }
        assert_eq!(seconds("1970-01-01 01:30:00.25+01:00"), Some(1800));
        assert_eq!(seconds("1969-12-31t23:00:00-01:30"), Some(1800));
        assert_eq!(seconds("2016-12-31T23:59:60z"), Some(1_483_228_799));
    }

    #[test]
    fn what_is_on_no_calendar_is_refused() {
        for text in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01",
            "1969-12-31T23:59:59Z",
            "2106-02-07T06:28:16Z",
            "+026-01-01T00:00:00Z",
            "äääää-01T00:00:00Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_second_comes_back(number: u32) {
            prop_assert_eq!(seconds(&show(number)), Some(number));
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[0-9TtZz:. +-]{0,40}") {
            let _ = seconds(&text);
        }
    }
}
