//! Records as JSON lines for programs and as aligned lines for people.

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::escape::{Blank, printable, push_json};
use super::record::View;
use crate::policy::Transport;

/// Appends a record as one line of JSON, with its line end.
pub fn write_json(out: &mut Vec<u8>, view: &View<'_>) {
    let fields = &view.fields;
    let mut separator = b'{';
    let mut text = |out: &mut Vec<u8>, name: &str, value: &[u8]| {
        out.extend_from_slice(&[separator, b'"']);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        push_json(out, value);
        separator = b',';
    };
    text(out, "id", view.id.to_string().as_bytes());
    text(out, "received", fields.received.to_string().as_bytes());
    text(out, "device", fields.device.as_bytes());
    text(out, "user", fields.user);
    text(out, "port", fields.port);
    text(out, "remote", fields.remote);
    text(out, "kind", fields.kind.name().as_bytes());
    text(out, "service", fields.service);
    text(out, "command", fields.command);
    out.extend_from_slice(b",\"args\":");
    let mut bracket = b'[';
    for argument in view.arguments {
        out.push(bracket);
        push_json(out, argument);
        bracket = b',';
    }
    if bracket == b'[' {
        out.push(b'[');
    }
    out.push(b']');
    text(out, "protocol", fields.protocol.name().as_bytes());
    text(out, "transport", transport(fields.transport).as_bytes());
    text(out, "listener", fields.listener.as_bytes());
    let numbers = format!(
        ",\"session\":{},\"priv_lvl\":{},\"authen_method\":{},\"authen_type\":{},\"authen_service\":{}}}\n",
        fields.session,
        fields.privilege_level,
        fields.authentication_method,
        fields.authentication_type,
        fields.authentication_service
    );
    out.extend_from_slice(numbers.as_bytes());
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tls => "tls",
        Transport::Plain => "plain",
    }
}

/// Lines for people: columns that grow with what they have to hold, and the local time with its offset.
#[derive(Debug)]
pub struct TextForm {
    zone: TimeZone,
    widths: [usize; 6],
}

/// Widest a column grows: one long name must not push all others out of sight.
const MAX_WIDTH: usize = 32;

impl TextForm {
    /// A form with times in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            widths: [10, 8, 6, 12, 5, 5],
        }
    }

    /// Appends a record as one line, with its line end. An empty field is `-`; a record without a command line shows
    /// its arguments.
    pub fn write(&mut self, out: &mut Vec<u8>, view: &View<'_>) {
        let fields = &view.fields;
        let time = fields
            .received
            .to_zoned(self.zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S%:z");
        out.extend_from_slice(time.to_string().as_bytes());
        let columns = [
            fields.device.as_bytes(),
            fields.user,
            fields.port,
            fields.remote,
            fields.kind.name().as_bytes(),
            fields.service,
        ];
        for (width, column) in self.widths.iter_mut().zip(columns) {
            let text = match column {
                [] => Cow::Borrowed("-"),
                column => printable(column, Blank::Hidden),
            };
            let length = text.chars().count();
            *width = length.min(MAX_WIDTH).max(*width);
            out.extend_from_slice(b"  ");
            out.extend_from_slice(text.as_bytes());
            out.resize(out.len() + width.saturating_sub(length), b' ');
        }
        out.extend_from_slice(b"  ");
        if fields.command.is_empty() {
            for (index, argument) in view.arguments.enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(printable(argument, Blank::Hidden).as_bytes());
            }
        } else {
            out.extend_from_slice(printable(fields.command, Blank::Shown).as_bytes());
        }
        while out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(b'\n');
    }
}
