//! Records as text: the draft's `(49 300)`, the generic `\# 4 0031012c` of RFC 3597, and lines of zone files with either.
//!
//! ```text
//! aaa1.example.net. 3600 IN HASTLS    (49 300 0 2083)
//! aaa1.example.net. 3600 IN TYPE65400 \# 8 0031012c00000823
//! ```
//!
//! Ports are decimal. Parentheses may be left out, and inside them lines may end; a comment goes from `;` to the end of its line. Zone
//! files are what somebody wants to publish, so that text is refused with all that [`Record::new`] refuses.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::str::FromStr;

use crate::{Record, RecordError, RecordType};

/// The longest time to live, in seconds (RFC 2181 section 8).
pub const MAX_TTL: u32 = i32::MAX as u32;
/// Octets of the longest name as text, without escapes (RFC 1035 section 3.1).
pub const MAX_NAME: usize = 254;

impl Record {
    /// The generic form of the RDATA: `\# 4 0031012c`.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn to_generic(&self) -> Result<String, RecordError> {
        let octets = self.encode()?;
        let mut text = String::with_capacity(octets.len().saturating_mul(2).saturating_add(9));
        // Writing to a String cannot fail.
        _ = write!(text, "\\# {} ", octets.len());
        for octet in octets {
            _ = write!(text, "{octet:02x}");
        }
        Ok(text)
    }
}

/// RDATA in either form.
impl FromStr for Record {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let (words, _) = words(text)?;
        rdata(&words, true)
    }
}

/// One line of a zone file, which parentheses may spread over several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneLine {
    owner: String,
    ttl: Option<u32>,
    record: Record,
}

impl ZoneLine {
    /// A line for this host. The owner is the name of the host itself, with no labels for port or protocol before it; relative to the
    /// zone's origin if it does not end in a dot. The time to live is in seconds; without one the zone's counts.
    ///
    /// # Errors
    ///
    /// [`TextError::Owner`], [`TextError::Ttl`] beyond [`MAX_TTL`], or what keeps the record from being published.
    pub fn new(owner: &str, ttl: Option<u32>, record: Record) -> Result<Self, TextError> {
        record.check()?;
        if !is_name(owner) {
            return Err(TextError::Owner);
        }
        if ttl.is_some_and(|ttl| ttl > MAX_TTL) {
            return Err(TextError::Ttl);
        }
        Ok(Self {
            owner: owner.to_owned(),
            ttl,
            record,
        })
    }

    /// Reads a line that begins with its owner: `OWNER [TTL] [IN] HASTLS RDATA`, with `TYPEn` of this number instead of the mnemonic if
    /// the RDATA is generic.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(text: &str, rrtype: RecordType) -> Result<Self, TextError> {
        let (words, indented) = words(text)?;
        if indented {
            return Err(TextError::Owner);
        }
        let mut rest = words.as_slice();
        let owner = next(&mut rest)?;
        let (mut ttl, mut class) = (None, false);
        let draft = loop {
            let word = next(&mut rest)?;
            if is_number(word) && ttl.is_none() {
                ttl = Some(word.parse().map_err(|_| TextError::Ttl)?);
            } else if is_class(word) && !class {
                if !["IN", "CLASS1"]
                    .iter()
                    .any(|one| word.eq_ignore_ascii_case(one))
                {
                    return Err(TextError::Class);
                }
                class = true;
            } else if word.eq_ignore_ascii_case("HASTLS") {
                break true;
            } else if is_type(word, rrtype) {
                break false;
            } else {
                return Err(TextError::Type);
            }
        };
        Self::new(owner, ttl, rdata(rest, draft)?)
    }

    /// The name of the host, as it was written.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The time to live in seconds, if the line has one.
    pub fn ttl(&self) -> Option<u32> {
        self.ttl
    }

    /// Its record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The line that every name server takes: `aaa1.example.net. 3600 IN TYPE65400 \# 4 0000012c`, without a line end.
    ///
    /// # Errors
    ///
    /// Never: what a line holds can be published.
    pub fn to_generic(&self, rrtype: RecordType) -> Result<String, RecordError> {
        let (mut line, rdata) = (self.beginning(), self.record.to_generic()?);
        _ = write!(line, "{rrtype} {rdata}");
        Ok(line)
    }

    /// Owner, time to live and class, with a space after each.
    fn beginning(&self) -> String {
        let mut line = self.owner.clone();
        if let Some(ttl) = self.ttl {
            _ = write!(line, " {ttl}");
        }
        line.push_str(" IN ");
        line
    }
}

/// The line of the draft: `aaa1.example.net. 3600 IN HASTLS (0 300)`.
impl fmt::Display for ZoneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}HASTLS {}", self.beginning(), self.record)
    }
}

/// Divides a text of one line, or of several inside parentheses, into its words; and says whether the first one is indented. Parentheses
/// do no more than that, so that they are not among the words.
fn words(text: &str) -> Result<(Vec<&str>, bool), TextError> {
    let (mut words, mut indented, mut open, mut ended) = (Vec::new(), false, false, false);
    for line in text.lines() {
        let content = line.split_once(';').map_or(line, |(before, _)| before);
        if words.is_empty() && !open {
            indented = content.starts_with([' ', '\t']);
        }
        for part in content.split_inclusive([' ', '\t', '(', ')']) {
            let word = part.trim_end_matches([' ', '\t', '(', ')']);
            let (opens, closes) = (part.ends_with('('), part.ends_with(')'));
            if ended && !(word.is_empty() && !opens && !closes) {
                return Err(TextError::Rest);
            }
            if (opens && open) || (closes && !open) {
                return Err(TextError::Parentheses);
            }
            open = (open || opens) && !closes;
            words.extend(Some(word).filter(|word| !word.is_empty()));
        }
        ended = !open && !words.is_empty();
    }
    if open {
        return Err(TextError::Parentheses);
    }
    Ok((words, indented))
}

/// RDATA: generic, or where `draft` says that the mnemonic was written, in the draft's form too.
fn rdata(words: &[&str], draft: bool) -> Result<Record, TextError> {
    match words {
        [r"\#", rest @ ..] => generic(rest),
        _ if draft => pairs(words),
        _ => Err(TextError::NotGeneric),
    }
}

fn pairs(words: &[&str]) -> Result<Record, TextError> {
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(TextError::Odd);
    }
    let mut ports = Vec::with_capacity(pairs.len());
    for [insecure, secure] in pairs {
        ports.push((port(insecure)?, port(secure)?));
    }
    Ok(Record::new(ports)?)
}

fn port(word: &str) -> Result<u16, TextError> {
    number(word).ok_or(TextError::Port)
}

fn generic(words: &[&str]) -> Result<Record, TextError> {
    let (length, hexadecimal) = words.split_first().ok_or(TextError::Length)?;
    let length: u16 = number(length).ok_or(TextError::Length)?;
    let mut octets = Vec::new();
    for word in hexadecimal {
        let (whole, rest) = word.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(TextError::Hexadecimal);
        }
        for [high, low] in whole {
            let digits = digit(*high).zip(digit(*low));
            let (high, low) = digits.ok_or(TextError::Hexadecimal)?;
            octets.push(high << 4 | low);
        }
    }
    if octets.len() != usize::from(length) {
        return Err(TextError::Length);
    }
    let record = Record::decode([octets])?;
    record.check()?;
    Ok(record)
}

fn digit(character: u8) -> Option<u8> {
    let digit = char::from(character).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// A decimal number without sign.
fn number<N: FromStr>(word: &str) -> Option<N> {
    let digits = is_number(word).then_some(word)?;
    digits.parse().ok()
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_digit())
}

fn is_class(word: &str) -> bool {
    let known = ["IN", "CS", "CH", "HS", "NONE", "ANY"];
    known.iter().any(|one| word.eq_ignore_ascii_case(one)) || numbered(word, "CLASS").is_some()
}

fn is_type(word: &str, rrtype: RecordType) -> bool {
    numbered(word, "TYPE") == Some(rrtype.number())
}

/// The number of `CLASSn` and `TYPEn`.
fn numbered(word: &str, before: &str) -> Option<u16> {
    let (name, digits) = word.split_at_checked(before.len())?;
    number(digits).filter(|_| name.eq_ignore_ascii_case(before))
}

/// Whether a name can stand in a zone file as it is: what would need escapes is in no name of a host.
fn is_name(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_*".contains(&octet);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    let labels = name.strip_suffix('.').unwrap_or(name);
    name == "@" || (name.len() <= MAX_NAME && labels.split('.').all(label))
}

fn next<'a>(rest: &mut &[&'a str]) -> Result<&'a str, TextError> {
    let (first, others) = rest.split_first().ok_or(TextError::Short)?;
    *rest = others;
    Ok(first)
}

/// Why a text is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// The line ends too early.
    Short,
    /// Something follows after the end of the line.
    Rest,
    /// Parentheses without their other half, or inside others.
    Parentheses,
    /// No owner, or none that can be written without escapes.
    Owner,
    /// A time to live beyond [`MAX_TTL`].
    Ttl,
    /// Another class than IN.
    Class,
    /// Another type, or another number than the one that was asked for.
    Type,
    /// A type that is named by its number has generic RDATA.
    NotGeneric,
    /// A last port without its partner.
    Odd,
    /// No decimal number from 0 to 65535.
    Port,
    /// No pairs of hexadecimal digits.
    Hexadecimal,
    /// The number of octets is not the one announced.
    Length,
    /// Well written, and not to be published.
    Record(RecordError),
}

impl From<RecordError> for TextError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the line ends too early: OWNER [TTL] [IN] HASTLS (PORT PORT ..)",
            Self::Rest => "something follows after the end of the record",
            Self::Parentheses => "a parenthesis has no other half, or is inside others",
            Self::Owner => "the line does not begin with the name of a host",
            Self::Ttl => "the time to live is longer than 2147483647 seconds",
            Self::Class => "the class is not IN",
            Self::Type => "the type is not HASTLS, or not of the number that is configured",
            Self::NotGeneric => r"RDATA of a type without name begins with \#",
            Self::Odd => "the last port has no partner",
            Self::Port => "a port is a decimal number from 0 to 65535",
            Self::Hexadecimal => r"after \# and the length come pairs of hexadecimal digits",
            Self::Length => r"the length after \# is not the number of octets that follow",
            Self::Record(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for TextError {}
