//! Arguments of authorization and accounting (sections 6.1 and 8).
//!
//! On receipt an argument is any octets; [`Argument::parse`] says whether they are one. What is sent has to be one.

use alloc::vec::Vec;
use core::fmt;

use crate::wire::{Cursor, DecodeError, EncodeError, Quoted, is_printable_ascii};

/// What stands between name and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Separator {
    /// `=`: the receiver has to act on the argument, or refuse.
    Mandatory,
    /// `*`: the receiver may disregard the argument.
    Optional,
}

impl Separator {
    /// The octet.
    pub fn octet(self) -> u8 {
        match self {
            Self::Mandatory => b'=',
            Self::Optional => b'*',
        }
    }

    fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            b'=' => Some(Self::Mandatory),
            b'*' => Some(Self::Optional),
            _ => None,
        }
    }
}

/// Why octets are no argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArgumentError {
    /// Shorter than a name of one character and a separator.
    TooShort,
    /// Longer than 255 octets.
    TooLong,
    /// Neither `=` nor `*`.
    NoSeparator,
    /// Nothing before the separator.
    NoName,
    /// A separator in the name.
    SeparatorInName,
    /// A control character or an octet above 0x7e.
    NotPrintable,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "an argument has at least two octets",
            Self::TooLong => "an argument has at most 255 octets",
            Self::NoSeparator => "an argument needs '=' or '*'",
            Self::NoName => "an argument needs a name",
            Self::SeparatorInName => "the name of an argument has no '=' or '*'",
            Self::NotPrintable => "an argument is printable ASCII",
        })
    }
}

impl core::error::Error for ArgumentError {}

/// A well-formed argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Argument<'a> {
    /// What is before the first separator.
    pub name: &'a [u8],
    /// The first separator.
    pub separator: Separator,
    /// What is after it, further separators included; may be empty.
    pub value: &'a [u8],
}

impl<'a> Argument<'a> {
    /// Takes the octets of an argument apart at the first separator.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ArgumentError> {
        match octets.len() {
            0 | 1 => return Err(ArgumentError::TooShort),
            2..=255 => {}
            _ => return Err(ArgumentError::TooLong),
        }
        if !is_printable_ascii(octets) {
            return Err(ArgumentError::NotPrintable);
        }
        let (name, rest) = octets
            .iter()
            .position(|octet| Separator::from_octet(*octet).is_some())
            .and_then(|at| octets.split_at_checked(at))
            .ok_or(ArgumentError::NoSeparator)?;
        let (separator, value) = rest
            .split_first()
            .and_then(|(octet, value)| Some((Separator::from_octet(*octet)?, value)))
            .ok_or(ArgumentError::NoSeparator)?;
        if name.is_empty() {
            return Err(ArgumentError::NoName);
        }
        Ok(Self {
            name,
            separator,
            value,
        })
    }

    /// Whether the receiver has to act on it.
    pub fn is_mandatory(&self) -> bool {
        self.separator == Separator::Mandatory
    }
}

/// A borrowed list of arguments, in the order of the wire, duplicates included.
///
/// The lengths of the arguments always add up to the octets: both sources of a list (a decoded body, an [`ArgumentList`]) see to it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Arguments<'a> {
    lengths: &'a [u8],
    octets: &'a [u8],
}

impl<'a> Arguments<'a> {
    /// No arguments.
    pub const EMPTY: Arguments<'static> = Arguments {
        lengths: &[],
        octets: &[],
    };

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The octets of each argument, as received.
    pub fn raw(&self) -> RawArguments<'a> {
        RawArguments {
            lengths: self.lengths.iter(),
            octets: self.octets,
        }
    }

    /// Each argument taken apart, or the reason why it is none.
    pub fn iter(&self) -> impl Iterator<Item = Result<Argument<'a>, ArgumentError>> + use<'a> {
        self.raw().map(Argument::parse)
    }

    /// The lists as they stand in a body: lengths, then octets.
    pub(crate) fn parts(&self) -> (&'a [u8], &'a [u8]) {
        (self.lengths, self.octets)
    }

    pub(crate) fn count(&self) -> Result<u8, EncodeError> {
        u8::try_from(self.lengths.len()).map_err(|_| EncodeError::TooManyArguments)
    }

    /// Checks what may be sent: every argument well-formed.
    pub(crate) fn check(&self) -> Result<(), EncodeError> {
        for argument in self.iter() {
            argument?;
        }
        Ok(())
    }

    /// The number of octets that `lengths` announce.
    pub(crate) fn sum(lengths: &[u8]) -> usize {
        lengths.iter().map(|length| usize::from(*length)).sum()
    }

    /// Takes the last field of a body, whose length was already checked against [`Arguments::sum`].
    pub(crate) fn take(lengths: &'a [u8], cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let octets = cursor.take(cursor.remaining())?;
        Ok(Self { lengths, octets })
    }
}

impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for octets in self.raw() {
            list.entry(&Quoted(octets));
        }
        list.finish()
    }
}

impl<'a> IntoIterator for Arguments<'a> {
    type Item = &'a [u8];
    type IntoIter = RawArguments<'a>;

    fn into_iter(self) -> RawArguments<'a> {
        self.raw()
    }
}

/// The octets of each argument of a list.
#[derive(Clone, Debug)]
pub struct RawArguments<'a> {
    lengths: core::slice::Iter<'a, u8>,
    octets: &'a [u8],
}

impl<'a> Iterator for RawArguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(*self.lengths.next()?);
        let (argument, rest) = self.octets.split_at_checked(length)?;
        self.octets = rest;
        Some(argument)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lengths.size_hint()
    }
}

/// Arguments being collected for a packet to send.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ArgumentList {
    lengths: Vec<u8>,
    octets: Vec<u8>,
}

impl ArgumentList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an argument; nothing is added on error.
    pub fn push(
        &mut self,
        name: impl AsRef<[u8]>,
        separator: Separator,
        value: impl AsRef<[u8]>,
    ) -> Result<(), EncodeError> {
        let (name, value) = (name.as_ref(), value.as_ref());
        if name.is_empty() {
            return Err(ArgumentError::NoName.into());
        }
        if name
            .iter()
            .any(|octet| Separator::from_octet(*octet).is_some())
        {
            return Err(ArgumentError::SeparatorInName.into());
        }
        self.append(&[name, &[separator.octet()], value])
    }

    /// Adds an argument that is already put together, such as a received one; nothing is added on error.
    pub fn push_raw(&mut self, argument: impl AsRef<[u8]>) -> Result<(), EncodeError> {
        let argument = argument.as_ref();
        Argument::parse(argument)?;
        self.append(&[argument])
    }

    fn append(&mut self, parts: &[&[u8]]) -> Result<(), EncodeError> {
        if self.lengths.len() >= usize::from(u8::MAX) {
            return Err(EncodeError::TooManyArguments);
        }
        if !parts.iter().all(|part| is_printable_ascii(part)) {
            return Err(ArgumentError::NotPrintable.into());
        }
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u8::try_from(length).map_err(|_| ArgumentError::TooLong)?;
        self.lengths.push(length);
        for part in parts {
            self.octets.extend_from_slice(part);
        }
        Ok(())
    }

    /// How many arguments there are.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Takes all arguments out and keeps the memory.
    pub fn clear(&mut self) {
        self.lengths.clear();
        self.octets.clear();
    }

    /// The list as a body wants it.
    pub fn as_arguments(&self) -> Arguments<'_> {
        Arguments {
            lengths: &self.lengths,
            octets: &self.octets,
        }
    }
}

impl fmt::Debug for ArgumentList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_arguments().fmt(f)
    }
}

#[cfg(test)]
mod tests;
