//! One accounting record, in the compact form in which it is stored.
//!
//! ```text
//! version 1 | id 16 | received, ns, 8 | kind | protocol | transport | privilege level
//!   | authentication method | type | service | session 4 | device | listener | user | port | remote | service | command
//!   | number of arguments | argument ...
//! ```
//!
//! Numbers are little-endian, texts begin with their length (LEB128). Texts are the octets that the device sent: they
//! are escaped where they are shown, never where they are kept.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;

use crate::policy::Transport;

/// The version of the stored form.
const VERSION: u8 = 1;

/// One accounting record: a single allocation that the journal stores as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Vec<u8>);

/// What a record says, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// When this server received it.
    pub received: Timestamp,
    /// What it reports.
    pub kind: Kind,
    /// The protocol it came by.
    pub protocol: Protocol,
    /// The channel it came through.
    pub transport: Transport,
    /// The listener it came to, for example its protocol name and address.
    pub listener: &'a str,
    /// The name of the device in the configuration.
    pub device: &'a str,
    /// `session_id` of the request.
    pub session: u32,
    /// `priv_lvl` of the request.
    pub privilege_level: u8,
    /// `authen_method` of the request.
    pub authentication_method: u8,
    /// `authen_type` of the request.
    pub authentication_type: u8,
    /// `authen_service` of the request.
    pub authentication_service: u8,
    /// `user`.
    pub user: &'a [u8],
    /// `port`.
    pub port: &'a [u8],
    /// `rem_addr`.
    pub remote: &'a [u8],
    /// The value of the `service` argument; empty where there is none.
    pub service: &'a [u8],
    /// The command line, see [`command_line`]; empty where there is none.
    pub command: &'a [u8],
}

/// What a record reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A task begins.
    Start,
    /// A task ended.
    Stop,
    /// A task is still alive (WATCHDOG alone).
    Watchdog,
    /// A task goes on with new or changed arguments (WATCHDOG and START).
    Update,
    /// Accounting begins on the device (RADIUS Accounting-On).
    On,
    /// Accounting ends on the device (RADIUS Accounting-Off).
    Off,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Start,
        Self::Stop,
        Self::Watchdog,
        Self::Update,
        Self::On,
        Self::Off,
    ];

    /// The name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Watchdog => "watchdog",
            Self::Update => "update",
            Self::On => "on",
            Self::Off => "off",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Start => 1,
            Self::Stop => 2,
            Self::Watchdog => 3,
            Self::Update => 4,
            Self::On => 5,
            Self::Off => 6,
        }
    }
}

/// The protocol a record came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TACACS+.
    Tacacs,
    /// RADIUS.
    Radius,
}

impl Protocol {
    /// The name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tacacs => "tacacs",
            Self::Radius => "radius",
        }
    }
}

/// The unique name of a record: a UUID of version 7, so later ones sort after earlier ones, also from several servers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// A new one. Unique by the moment, 42 random bits of this process and a counter, without a call per record.
    fn next(received: Timestamp) -> Self {
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

impl Record {
    /// Makes a record, with a new id, of `fields` and the raw arguments in the order of the packet.
    pub fn new<'a, A>(fields: &Fields<'_>, arguments: A) -> Self
    where
        A: IntoIterator<Item = &'a [u8]>,
        A::IntoIter: Clone,
    {
        let arguments = arguments.into_iter();
        let texts = [
            fields.device.as_bytes(),
            fields.listener.as_bytes(),
            fields.user,
            fields.port,
            fields.remote,
            fields.service,
            fields.command,
        ];
        let (count, octets) = arguments.clone().fold((0, 0), |(count, octets), one| {
            (count + 1, octets + one.len() + 3)
        });
        let texts_octets: usize = texts.iter().map(|text| text.len() + 3).sum();
        let mut row = Vec::with_capacity(40 + texts_octets + octets);
        row.push(VERSION);
        row.extend_from_slice(&RecordId::next(fields.received).0);
        let received = i64::try_from(fields.received.as_nanosecond()).unwrap_or(i64::MAX);
        row.extend_from_slice(&received.to_le_bytes());
        row.push(fields.kind.code());
        row.push(match fields.protocol {
            Protocol::Tacacs => 1,
            Protocol::Radius => 2,
        });
        row.push(match fields.transport {
            Transport::Tls => 1,
            Transport::Plain => 2,
        });
        row.push(fields.privilege_level);
        row.push(fields.authentication_method);
        row.push(fields.authentication_type);
        row.push(fields.authentication_service);
        row.extend_from_slice(&fields.session.to_le_bytes());
        for text in texts {
            push_text(&mut row, text);
        }
        push_length(&mut row, count);
        for argument in arguments {
            push_text(&mut row, argument);
        }
        Self(row)
    }

    /// Takes a row of the journal, after a look at its form.
    pub(super) fn from_row(row: &[u8]) -> Result<Self, MalformedRecord> {
        View::parse(row).map(|_| Self(row.to_vec()))
    }

    /// The stored form.
    pub(super) fn row(&self) -> &[u8] {
        &self.0
    }

    /// What the record says. A record that was made here is never malformed.
    pub fn view(&self) -> Result<View<'_>, MalformedRecord> {
        View::parse(&self.0)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.view() {
            Ok(view) => f.debug_tuple("Record").field(&view.id).finish(),
            Err(malformed) => f.debug_tuple("Record").field(&malformed).finish(),
        }
    }
}

/// The command line of a request: the value of `cmd`, then those of the `cmd-arg`s, joined by single blanks; a trailing
/// `<cr>` and empty values are left out (the raw arguments keep them).
pub fn command_line<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut line = Vec::new();
    for argument in arguments {
        let Some(end) = argument
            .iter()
            .position(|octet| matches!(octet, b'=' | b'*'))
        else {
            continue;
        };
        let (name, value) = argument.split_at(end);
        let Some((_, value)) = value.split_first() else {
            continue;
        };
        if matches!(name, b"cmd" | b"cmd-arg") && !value.is_empty() {
            if !line.is_empty() {
                line.push(b' ');
            }
            line.extend_from_slice(value);
        }
    }
    if let Some(shorter) = line.strip_suffix(b"<cr>") {
        let end = shorter.trim_ascii_end().len();
        if end == 0 || shorter.len() > end {
            line.truncate(end);
        }
    }
    line
}

/// A stored record, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// Its unique name.
    pub id: RecordId,
    /// What it says.
    pub fields: Fields<'a>,
    /// The raw arguments.
    pub arguments: Arguments<'a>,
}

impl<'a> View<'a> {
    /// Reads a stored form.
    pub(super) fn parse(row: &'a [u8]) -> Result<Self, MalformedRecord> {
        let mut input = Input(row);
        if input.octet()? != VERSION {
            return Err(MalformedRecord);
        }
        let id = RecordId(input.array()?);
        let received = i64::from_le_bytes(input.array()?);
        let received = Timestamp::from_nanosecond(received.into()).map_err(|_| MalformedRecord)?;
        let kind = input.octet()?;
        let kind = Kind::ALL
            .into_iter()
            .find(|known| known.code() == kind)
            .ok_or(MalformedRecord)?;
        let protocol = match input.octet()? {
            1 => Protocol::Tacacs,
            2 => Protocol::Radius,
            _ => return Err(MalformedRecord),
        };
        let transport = match input.octet()? {
            1 => Transport::Tls,
            2 => Transport::Plain,
            _ => return Err(MalformedRecord),
        };
        // A struct expression evaluates its fields as they are written: the order here is the order of the row.
        let fields = Fields {
            received,
            kind,
            protocol,
            transport,
            privilege_level: input.octet()?,
            authentication_method: input.octet()?,
            authentication_type: input.octet()?,
            authentication_service: input.octet()?,
            session: u32::from_le_bytes(input.array()?),
            device: input.string()?,
            listener: input.string()?,
            user: input.text()?,
            port: input.text()?,
            remote: input.text()?,
            service: input.text()?,
            command: input.text()?,
        };
        let count = input.length()?;
        let arguments = Arguments {
            rest: input.0,
            count,
        };
        for _ in 0..count {
            input.text()?;
        }
        match input.0.is_empty() {
            true => Ok(Self {
                id,
                fields,
                arguments,
            }),
            false => Err(MalformedRecord),
        }
    }
}

/// The raw arguments of a record, in the order of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    rest: &'a [u8],
    count: usize,
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

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MalformedRecord> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MalformedRecord)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedRecord> {
        self.take(N)?.try_into().map_err(|_| MalformedRecord)
    }

    fn octet(&mut self) -> Result<u8, MalformedRecord> {
        let [octet] = self.array()?;
        Ok(octet)
    }

    fn length(&mut self) -> Result<usize, MalformedRecord> {
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

    fn text(&mut self) -> Result<&'a [u8], MalformedRecord> {
        let length = self.length()?;
        self.take(length)
    }

    fn string(&mut self) -> Result<&'a str, MalformedRecord> {
        std::str::from_utf8(self.text()?).map_err(|_| MalformedRecord)
    }
}

/// Longest text of a record; far above what a packet can carry.
const MAX_TEXT: usize = (1 << 28) - 1;

fn push_text(row: &mut Vec<u8>, text: &[u8]) {
    let text = text.get(..MAX_TEXT).unwrap_or(text);
    push_length(row, text.len());
    row.extend_from_slice(text);
}

fn push_length(row: &mut Vec<u8>, mut length: usize) {
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
