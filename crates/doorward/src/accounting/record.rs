//! One accounting record, in the compact form in which it is stored.
//!
//! ```text
//! version 1 | id 16 | received, ns, 8 | kind | protocol | transport | privilege level
//!   | authentication method | type | service | session 4 | device | listener | user | port | remote | service | command
//!   | number of arguments | argument ...
//! ```

use std::fmt;

use jiff::Timestamp;

use super::row::{
    Arguments, Form, Head, Input, MalformedRecord, Protocol, RecordId, push_arguments, push_text,
    room,
};
use crate::policy::Transport;

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

/// What the second argument of a RADIUS record begins with where another server has the record, too: its name follows. Arguments
/// that are attributes have the names of the dictionary, and come later.
pub const UPSTREAM: &str = "upstream=";

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
        let lengths = texts.iter().map(|text| text.len());
        let head = Head {
            form: Form::Accounting,
            received: fields.received,
            kind: fields.kind.code(),
            protocol: fields.protocol,
            transport: fields.transport,
            privilege_level: fields.privilege_level,
        };
        let mut row = head.begin(room(lengths.chain(arguments.clone().map(<[u8]>::len))));
        row.push(fields.authentication_method);
        row.push(fields.authentication_type);
        row.push(fields.authentication_service);
        row.extend_from_slice(&fields.session.to_le_bytes());
        for text in texts {
            push_text(&mut row, text);
        }
        push_arguments(&mut row, arguments);
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

/// The value of the `service` argument; empty where there is none.
pub fn service_argument<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> &'a [u8] {
    let value = |raw: &'a [u8]| {
        raw.strip_prefix(b"service=")
            .or_else(|| raw.strip_prefix(b"service*"))
    };
    arguments.into_iter().find_map(value).unwrap_or_default()
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
        if input.octet()? != Form::Accounting.version() {
            return Err(MalformedRecord);
        }
        let id = RecordId(input.array()?);
        let received = input.timestamp()?;
        let kind = input.octet()?;
        let kind = Kind::ALL
            .into_iter()
            .find(|known| known.code() == kind)
            .ok_or(MalformedRecord)?;
        // A struct expression evaluates its fields as they are written: the order here is the order of the row.
        let fields = Fields {
            received,
            kind,
            protocol: input.protocol()?,
            transport: input.transport()?,
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
        Ok(Self {
            id,
            fields,
            arguments: Arguments::parse(input)?,
        })
    }
}
