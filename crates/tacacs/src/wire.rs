//! What all bodies share: the errors, the cursor, the checks of text.

use alloc::vec::Vec;
use core::fmt;

/// A body that is not what its own lengths say (section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The body is shorter than its fixed part.
    Truncated {
        /// The octets there are.
        length: usize,
    },
    /// The lengths of the fields do not add up to the length of the body. Most often the two sides have different secrets.
    LengthSum {
        /// What the fields add up to.
        sum: usize,
        /// The octets there are.
        length: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { length } => write!(
                f,
                "a body of {length} octets is shorter than its fixed part"
            ),
            Self::LengthSum { sum, length } => {
                write!(f, "the fields add up to {sum} octets in a body of {length}")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// A field of a body, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `user`
    User,
    /// `port`
    Port,
    /// `rem_addr`
    RemAddr,
    /// `data`
    Data,
    /// `server_msg`
    ServerMsg,
    /// `user_msg`
    UserMsg,
    /// `action`
    Action,
    /// `priv_lvl`
    PrivLvl,
    /// `authen_type`
    AuthenType,
    /// `authen_service`
    AuthenService,
    /// `authen_method`
    AuthenMethod,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Port => "port",
            Self::RemAddr => "rem_addr",
            Self::Data => "data",
            Self::ServerMsg => "server_msg",
            Self::UserMsg => "user_msg",
            Self::Action => "action",
            Self::PrivLvl => "priv_lvl",
            Self::AuthenType => "authen_type",
            Self::AuthenService => "authen_service",
            Self::AuthenMethod => "authen_method",
        })
    }
}

/// A body that cannot be put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A field is longer than its length field can say.
    TooLong(Field),
    /// A field has octets that its kind of text excludes (section 3.7).
    NotText(Field),
    /// There are more than 255 arguments.
    TooManyArguments,
    /// An argument breaks a rule of section 6.1.
    Argument(crate::ArgumentError),
    /// Section 7.2 calls these accounting flags invalid.
    AccountingFlags(u8),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(field) => write!(f, "{field} is too long"),
            Self::NotText(field) => write!(f, "{field} has octets that are no printable text"),
            Self::TooManyArguments => f.write_str("there are more than 255 arguments"),
            Self::Argument(error) => write!(f, "{error}"),
            Self::AccountingFlags(flags) => {
                write!(f, "accounting flags {flags:#04x} are no valid combination")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

impl From<crate::ArgumentError> for EncodeError {
    fn from(error: crate::ArgumentError) -> Self {
        Self::Argument(error)
    }
}

/// Whether every octet is printable US-ASCII, blanks included (section 3.7).
pub fn is_printable_ascii(text: &[u8]) -> bool {
    text.iter().all(|octet| matches!(octet, 0x20..=0x7e))
}

/// Whether no octet is a control character; user names are UTF-8, so octets above 0x7f are left to the profile of names.
fn has_no_control(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_control)
}

/// The rest of a body whose lengths were already added up.
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Splits a body into its fixed part and the rest.
    pub(crate) fn new<const N: usize>(body: &'a [u8]) -> Result<(&'a [u8; N], Self), DecodeError> {
        match body.split_first_chunk() {
            Some((fixed, rest)) => Ok((fixed, Self(rest))),
            None => Err(DecodeError::Truncated { length: body.len() }),
        }
    }

    /// Checks, once, that the fields fill the body exactly.
    pub(crate) fn expect(&self, fixed: usize, fields: &[usize]) -> Result<(), DecodeError> {
        let sum = fields.iter().sum::<usize>();
        if sum == self.0.len() {
            return Ok(());
        }
        Err(DecodeError::LengthSum {
            sum: fixed + sum,
            length: fixed + self.0.len(),
        })
    }

    /// The next field. The lengths were checked, so the error does not occur; it is an error rather than a panic.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((field, rest)) = self.0.split_at_checked(length) else {
            return Err(DecodeError::LengthSum {
                sum: length,
                length: self.0.len(),
            });
        };
        self.0 = rest;
        Ok(field)
    }

    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }
}

/// Text of the wire as `Debug` shows it.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

pub(crate) fn length8(field: Field, octets: &[u8]) -> Result<u8, EncodeError> {
    u8::try_from(octets.len()).map_err(|_| EncodeError::TooLong(field))
}

pub(crate) fn length16(field: Field, octets: &[u8]) -> Result<[u8; 2], EncodeError> {
    match u16::try_from(octets.len()) {
        Ok(length) => Ok(length.to_be_bytes()),
        Err(_) => Err(EncodeError::TooLong(field)),
    }
}

pub(crate) fn printable(field: Field, text: &[u8]) -> Result<(), EncodeError> {
    if is_printable_ascii(text) {
        Ok(())
    } else {
        Err(EncodeError::NotText(field))
    }
}

pub(crate) fn user_name(text: &[u8]) -> Result<(), EncodeError> {
    if has_no_control(text) {
        Ok(())
    } else {
        Err(EncodeError::NotText(Field::User))
    }
}

pub(crate) fn append(into: &mut Vec<u8>, fields: &[&[u8]]) {
    for field in fields {
        into.extend_from_slice(field);
    }
}
