//! User names: RFC 8907 section 3.7 wants them by the profile UsernameCasePreserved of RFC 8265, so that one name that can be
//! typed in several ways (full-width letters, an accent as a character of its own) is one user, and `Alice` is not `alice`.
//!
//! Blanks are no part of a name here: the profile lets a deployment join several parts by them, and devices would not agree how.

use std::borrow::Cow;
use std::fmt;

use doorward_tacacs::Dialect;
use precis_profiles::UsernameCasePreserved;
use precis_profiles::precis_core::profile::Profile;

/// Why octets are no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// There are none.
    Empty,
    /// They are no UTF-8.
    Encoding,
    /// A blank, a control character, or another one that the profile refuses; or left-to-right and right-to-left mixed.
    Character,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Encoding => "it is no UTF-8",
            Self::Character => "it has characters that RFC 8265 allows in no user name (blanks and controls are such), or mixes directions",
        })
    }
}

/// The name that octets of the wire, of a file or of a command line stand for.
///
/// # Errors
/// What is no name by the profile. The old dialect knows no profile (draft-05 section 3.7): there, a name is what it is as long
/// as it is text without control characters, as names in a configuration are.
pub fn user_name(octets: &[u8], dialect: Dialect) -> Result<Cow<'_, str>, NameError> {
    let text = std::str::from_utf8(octets).map_err(|_| NameError::Encoding)?;
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    // Nearly every name; the profile leaves these as they are.
    if text.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Ok(Cow::Borrowed(text));
    }
    match dialect {
        Dialect::Rfc8907 => UsernameCasePreserved::new()
            .enforce(text)
            .map_err(|_| NameError::Character),
        Dialect::Draft05 if text.chars().any(char::is_control) => Err(NameError::Character),
        Dialect::Draft05 => Ok(Cow::Borrowed(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enforced(name: &str) -> Result<String, NameError> {
        user_name(name.as_bytes(), Dialect::Rfc8907).map(Cow::into_owned)
    }

    /// proves: TAC-3.7-1
    #[test]
    fn one_name_in_several_spellings_is_one() {
        assert_eq!(enforced("\u{ff41}lice"), Ok("alice".into()), "full width");
        assert_eq!(
            enforced("Jo\u{308}rg"),
            Ok("J\u{f6}rg".into()),
            "decomposed"
        );
        assert_eq!(enforced("J\u{f6}rg"), Ok("J\u{f6}rg".into()));
        assert_eq!(enforced("Alice"), Ok("Alice".into()), "case is kept");
        assert_eq!(enforced("\u{3c3}\u{3c2}"), Ok("\u{3c3}\u{3c2}".into()));
        assert_eq!(enforced("\u{5d0}\u{5d1}"), Ok("\u{5d0}\u{5d1}".into()));
        assert_eq!(enforced("$enab15$"), Ok("$enab15$".into()));
    }

    /// proves: TAC-3.7-2
    #[test]
    fn what_is_no_name_is_refused() {
        for name in [
            "a b",
            "a\0",
            "a\n",
            "\u{7f}",
            "a\u{2028}",
            "a\u{202e}b",
            "a\u{200b}",
            "\u{5d0}a",
            "\u{3000}",
            "\u{2163}",
            "a\u{85}",
            "\u{1f600}",
            " ",
            "\u{ad}",
        ] {
            assert_eq!(enforced(name), Err(NameError::Character), "{name:?}");
        }
        assert_eq!(enforced(""), Err(NameError::Empty));
        for octets in [&b"\xff"[..], b"a\xc3", b"\xed\xa0\x80", b"\xc0\x80"] {
            assert_eq!(
                user_name(octets, Dialect::Rfc8907),
                Err(NameError::Encoding)
            );
        }
    }

    /// proves: D05-3.7-2
    #[test]
    fn the_old_dialect_leaves_names_as_they_are() {
        for name in ["\u{c4}", "Jo\u{308}rg", "\u{ff41}lice", "a b"] {
            let found = user_name(name.as_bytes(), Dialect::Draft05);
            assert_eq!(found, Ok(Cow::Borrowed(name)));
        }
        assert_eq!(
            user_name(b"a\n", Dialect::Draft05),
            Err(NameError::Character)
        );
    }
}
