//! What every row of the journal is made of, whichever form it has.
//!
//! ```text
//! version | id 16 | received, ns, 8 | numbers of the form | device | listener | user | port | remote | service | command | ...
//! ```
//!
//! Numbers are little-endian, texts begin with their length (LEB128). Texts are the octets that the device sent: they
//! are escaped where they are shown, never where they are kept. What a search looks for stands at the same place in every
//! form, see [`keys`].

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;

pub use crate::policy::Protocol;
use crate::policy::Transport;

/// The forms of rows; the number is their first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Form {
    /// An accounting record, see [`super::Record`].
    Accounting,
    /// A decision, see [`super::DecisionRecord`].
    Decision,
}

impl Form {
    pub(super) fn version(self) -> u8 {
        match self {
            Self::Accounting => 1,
            Self::Decision => 2,
        }
    }

    /// Octets between `received` and the first text.
    fn numbers(self) -> usize {
        match self {
            Self::Accounting => 11,
            Self::Decision => 4,
        }
    }

    /// The form of a row.
    pub(super) fn of(row: &[u8]) -> Result<Self, MalformedRecord> {
        match row.first() {
            Some(1) => Ok(Self::Accounting),
            Some(2) => Ok(Self::Decision),
            Some(_) | None => Err(MalformedRecord),
        }
    }
}

/// What searches look at, of a row of any form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys<'a> {
    pub(super) form: Form,
    pub(super) received: Timestamp,
    pub(super) device: &'a str,
    pub(super) user: &'a [u8],
    /// The command line; empty where there is none.
    pub(super) command: &'a [u8],
}

/// Reads what searches look at, without the rest of the row.
pub(super) fn keys(row: &[u8]) -> Result<Keys<'_>, MalformedRecord> {
    let form = Form::of(row)?;
    let mut input = Input(row);
    input.octet()?;
    input.take(16)?;
    let received = input.timestamp()?;
    input.take(form.numbers())?;
    let device = input.string()?;
    let _listener = input.text()?;
    let user = input.text()?;
    let _port = input.text()?;
    let _remote = input.text()?;
    let _service = input.text()?;
    Ok(Keys {
        form,
        received,
        device,
        user,
        command: input.text()?,
    })
}

/// The number of a protocol in a row.
fn code(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tacacs => 1,
        Protocol::Radius => 2,
    }
}

/// What a row of either form begins with.
pub(super) struct Head {
    pub(super) form: Form,
    pub(super) received: Timestamp,
    /// The code of the kind, of which each form has its own.
    pub(super) kind: u8,
    pub(super) protocol: Protocol,
    pub(super) transport: Transport,
    pub(super) privilege_level: u8,
}

impl Head {
    /// Begins a row under a new id, with room for `capacity` octets.
    pub(super) fn begin(&self, capacity: usize) -> Vec<u8> {
        let mut row = Vec::with_capacity(capacity);
        row.push(self.form.version());
        row.extend_from_slice(&RecordId::next(self.received).0);
        let nanoseconds = i64::try_from(self.received.as_nanosecond()).unwrap_or(i64::MAX);
        row.extend_from_slice(&nanoseconds.to_le_bytes());
        row.push(self.kind);
        row.push(code(self.protocol));
        row.push(match self.transport {
            Transport::Tls => 1,
            Transport::Plain => 2,
        });
        row.push(self.privilege_level);
        row
    }
}

/// The unique name of a record: a UUID of version 7, so later ones sort after earlier ones, also from several servers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub(super) [u8; 16]);

impl RecordId {
    /// A new one. Unique by the moment, 42 random bits of this process and a counter, without a call per record.
    pub(super) fn next(received: Timestamp) -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let process = *PROCESS.get_or_init(|| {
            let mut octets = [0; 8];
            if getrandom::fill(&mut octets).is_err() {
                // Without random octets the process number still tells servers on one machine apart.
                octets = u64::from(std::process::id()).to_le_bytes();
            }
            u64::from_le_bytes(octets)
        });
        let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
        let milliseconds =
            u128::try_from(received.as_millisecond()).unwrap_or(0) & 0xffff_ffff_ffff;
        let random = u128::from(process);
        let id = milliseconds << 80
            | 0x7 << 76
            | (random & 0xfff) << 64
            | 0b10 << 62
            | (random >> 12 & 0x3fff_ffff) << 32
            | u128::from(counter);
        Self(id.to_be_bytes())
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The raw arguments of a record, in the order of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    rest: &'a [u8],
    count: usize,
}

impl<'a> Arguments<'a> {
    /// Reads them to the end of the row.
    pub(super) fn parse(mut input: Input<'a>) -> Result<Self, MalformedRecord> {
        let count = input.length()?;
        let arguments = Self {
            rest: input.0,
            count,
        };
        for _ in 0..count {
            input.text()?;
        }
        match input.0.is_empty() {
            true => Ok(arguments),
            false => Err(MalformedRecord),
        }
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.count = self.count.checked_sub(1)?;
        let mut input = Input(self.rest);
        let text = input.text().ok()?;
        self.rest = input.0;
        Some(text)
    }
}

/// Reads numbers and texts from the front of octets.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], MalformedRecord> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MalformedRecord)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedRecord> {
        self.take(N)?.try_into().map_err(|_| MalformedRecord)
    }

    pub(super) fn octet(&mut self) -> Result<u8, MalformedRecord> {
        let [octet] = self.array()?;
        Ok(octet)
    }

    pub(super) fn length(&mut self) -> Result<usize, MalformedRecord> {
        let mut length = 0;
        for shift in [0_u32, 7, 14, 21] {
            let octet = self.octet()?;
            length |= usize::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(MalformedRecord)
    }

    /// Nanoseconds since 1970.
    pub(super) fn timestamp(&mut self) -> Result<Timestamp, MalformedRecord> {
        let nanoseconds = i64::from_le_bytes(self.array()?);
        Timestamp::from_nanosecond(nanoseconds.into()).map_err(|_| MalformedRecord)
    }

    pub(super) fn protocol(&mut self) -> Result<Protocol, MalformedRecord> {
        match self.octet()? {
            1 => Ok(Protocol::Tacacs),
            2 => Ok(Protocol::Radius),
            _ => Err(MalformedRecord),
        }
    }

    pub(super) fn transport(&mut self) -> Result<Transport, MalformedRecord> {
        match self.octet()? {
            1 => Ok(Transport::Tls),
            2 => Ok(Transport::Plain),
            _ => Err(MalformedRecord),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a [u8], MalformedRecord> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn string(&mut self) -> Result<&'a str, MalformedRecord> {
        std::str::from_utf8(self.text()?).map_err(|_| MalformedRecord)
    }
}

/// Longest text of a record; far above what a packet can carry.
const MAX_TEXT: usize = (1 << 28) - 1;

/// Octets of a row that holds texts of these lengths, or a little more.
pub(super) fn room(lengths: impl Iterator<Item = usize>) -> usize {
    48 + lengths.map(|length| length + 3).sum::<usize>()
}

/// Appends the number of arguments and the arguments.
pub(super) fn push_arguments<'a>(
    row: &mut Vec<u8>,
    arguments: impl Iterator<Item = &'a [u8]> + Clone,
) {
    push_length(row, arguments.clone().count());
    for argument in arguments {
        push_text(row, argument);
    }
}

pub(super) fn push_text(row: &mut Vec<u8>, text: &[u8]) {
    let text = text.get(..MAX_TEXT).unwrap_or(text);
    push_length(row, text.len());
    row.extend_from_slice(text);
}

pub(super) fn push_length(row: &mut Vec<u8>, mut length: usize) {
    while length > 0x7f {
        row.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    row.push(u8::try_from(length).unwrap_or(0));
}

/// A row of the journal that this version cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedRecord;

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored record is not in a form this version can read")
    }
}

impl std::error::Error for MalformedRecord {}
