//! One decision on a login or an authorization, in the compact form in which it is stored beside the accounting records.
//!
//! ```text
//! version 2 | id 16 | received, ns, 8 | kind | protocol | transport | privilege level
//!   | device | listener | user | port | remote | service | command | request | outcome | reason | why
//!   | file and line of the rule | text of the rule | number of arguments | argument ...
//! ```
//!
//! Outcome, reason and sentence are kept as texts: a row of a version that knows other reasons stays readable, and says
//! what was said then.

use std::fmt;

use jiff::Timestamp;

use super::row::{
    Arguments, Form, Head, Input, MalformedRecord, Protocol, RecordId, push_arguments, push_text,
    room,
};
use crate::policy::Transport;

/// One decision: a single allocation that the journal stores as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct DecisionRecord(Vec<u8>);

/// What was decided upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecisionKind {
    /// Who is it.
    Authentication,
    /// May they.
    Authorization,
}

impl DecisionKind {
    /// The name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Authentication => 1,
            Self::Authorization => 2,
        }
    }
}

/// What the row of a decision says, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionFields<'a> {
    /// When it was decided.
    pub received: Timestamp,
    /// What was decided upon.
    pub kind: DecisionKind,
    /// The protocol the request came by.
    pub protocol: Protocol,
    /// The channel it came through.
    pub transport: Transport,
    /// `priv_lvl` of the request.
    pub privilege_level: u8,
    /// The listener it came to, for example its protocol name and address.
    pub listener: &'a str,
    /// The name of the device in the configuration.
    pub device: &'a str,
    /// The user name.
    pub user: &'a [u8],
    /// The device's port (line).
    pub port: &'a [u8],
    /// Where the person is, as the device says.
    pub remote: &'a [u8],
    /// The service asked for; empty where there is none.
    pub service: &'a [u8],
    /// The command line, see [`super::command_line`]; empty where there is none.
    pub command: &'a [u8],
    /// What was asked, in words; empty where the command line says it all.
    pub request: &'a [u8],
    /// The name of the outcome: pass, fail, permit, deny, error.
    pub outcome: &'a str,
    /// The name of the reason, from a closed list.
    pub reason: &'a str,
    /// The reason as one sentence.
    pub why: &'a str,
    /// The line that decided, where one did.
    pub rule: Option<DecidingRule<'a>>,
}

impl<'a> DecisionFields<'a> {
    /// What was asked, for people.
    pub fn asked(&self) -> &'a [u8] {
        match self.request {
            [] => self.command,
            request => request,
        }
    }
}

/// The line of a configuration file that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecidingRule<'a> {
    /// The file, as the configuration names it.
    pub file: &'a str,
    /// The line, counted from 1.
    pub line: u32,
    /// The text of the line.
    pub text: &'a str,
}

impl DecisionRecord {
    /// Makes a row, with a new id, of `fields` and the raw arguments in the order of the packet.
    pub fn new<'a, A>(fields: &DecisionFields<'_>, arguments: A) -> Self
    where
        A: IntoIterator<Item = &'a [u8]>,
        A::IntoIter: Clone,
    {
        let arguments = arguments.into_iter();
        let rule = fields.rule.unwrap_or(DecidingRule {
            file: "",
            line: 0,
            text: "",
        });
        let texts = [
            fields.device.as_bytes(),
            fields.listener.as_bytes(),
            fields.user,
            fields.port,
            fields.remote,
            fields.service,
            fields.command,
            fields.request,
            fields.outcome.as_bytes(),
            fields.reason.as_bytes(),
            fields.why.as_bytes(),
            rule.file.as_bytes(),
            rule.text.as_bytes(),
        ];
        let lengths = texts.iter().map(|text| text.len());
        let head = Head {
            form: Form::Decision,
            received: fields.received,
            kind: fields.kind.code(),
            protocol: fields.protocol,
            transport: fields.transport,
            privilege_level: fields.privilege_level,
        };
        let mut row = head.begin(room(lengths.chain(arguments.clone().map(<[u8]>::len))));
        for text in texts {
            push_text(&mut row, text);
        }
        row.extend_from_slice(&rule.line.to_le_bytes());
        push_arguments(&mut row, arguments);
        Self(row)
    }

    /// Takes a row of the journal, after a look at its form.
    pub(super) fn from_row(row: &[u8]) -> Result<Self, MalformedRecord> {
        DecisionView::parse(row).map(|_| Self(row.to_vec()))
    }

    /// The stored form.
    pub(super) fn row(&self) -> &[u8] {
        &self.0
    }

    /// What the row says. One that was made here is never malformed.
    ///
    /// # Errors
    /// [`MalformedRecord`] for a row that this version cannot read.
    pub fn view(&self) -> Result<DecisionView<'_>, MalformedRecord> {
        DecisionView::parse(&self.0)
    }
}

impl fmt::Debug for DecisionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.view() {
            Ok(view) => f.debug_tuple("DecisionRecord").field(&view.id).finish(),
            Err(malformed) => f.debug_tuple("DecisionRecord").field(&malformed).finish(),
        }
    }
}

/// A stored decision, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionView<'a> {
    /// Its unique name.
    pub id: RecordId,
    /// What it says.
    pub fields: DecisionFields<'a>,
    /// The raw arguments of the request.
    pub arguments: Arguments<'a>,
}

impl<'a> DecisionView<'a> {
    /// Reads a stored form.
    pub(super) fn parse(row: &'a [u8]) -> Result<Self, MalformedRecord> {
        let mut input = Input(row);
        if input.octet()? != Form::Decision.version() {
            return Err(MalformedRecord);
        }
        let id = RecordId(input.array()?);
        // A struct expression evaluates its fields as they are written: the order here is the order of the row.
        let mut fields = DecisionFields {
            received: input.timestamp()?,
            kind: match input.octet()? {
                1 => DecisionKind::Authentication,
                2 => DecisionKind::Authorization,
                _ => return Err(MalformedRecord),
            },
            protocol: input.protocol()?,
            transport: input.transport()?,
            privilege_level: input.octet()?,
            device: input.string()?,
            listener: input.string()?,
            user: input.text()?,
            port: input.text()?,
            remote: input.text()?,
            service: input.text()?,
            command: input.text()?,
            request: input.text()?,
            outcome: input.string()?,
            reason: input.string()?,
            why: input.string()?,
            rule: None,
        };
        let (file, text) = (input.string()?, input.string()?);
        let line = u32::from_le_bytes(input.array()?);
        if line > 0 {
            fields.rule = Some(DecidingRule { file, line, text });
        }
        Ok(Self {
            id,
            fields,
            arguments: Arguments::parse(input)?,
        })
    }
}
