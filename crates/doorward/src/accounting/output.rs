//! Entries as JSON lines for programs and as aligned lines for people.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::decision::DecisionView;
use super::entry::EntryView;
use super::escape::{Blank, printable, push_json};
use super::open::OpenTask;
use super::record::{UPSTREAM, View};
use super::row::{Arguments, MalformedRecord, Protocol};

/// Appends an entry as one line of JSON, with its line end.
pub fn write_json(out: &mut Vec<u8>, view: &EntryView<'_>) {
    write_object(out, view, Limits::NONE);
    out.push(b'\n');
}

/// Appends an open task as one line of JSON: the record that began it, with `open_since` and `last_seen`.
pub fn write_open_json(out: &mut Vec<u8>, task: &OpenTask) -> Result<(), MalformedRecord> {
    let view = task.began.entry.view()?;
    let EntryView::Accounting(view) = &view else {
        return Err(MalformedRecord);
    };
    let mut cut = Cut::default();
    let mut object = Object::begin(out);
    record(&mut object, view, Limits::NONE, &mut cut);
    object.text("open_since", view.fields.received.to_string().as_bytes());
    object.text("last_seen", task.last_seen.to_string().as_bytes());
    object.end();
    out.push(b'\n');
    Ok(())
}

/// How much of an entry is written where its receiver sets a limit. What is left out is said in the object itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Arguments; how many were left out stands in `args_left_out`.
    pub(super) arguments: usize,
    /// Octets of every other text that the device sent; the names of those that were cut stand in `cut`.
    pub(super) text: usize,
}

impl Limits {
    /// Everything.
    pub(super) const NONE: Self = Self {
        arguments: usize::MAX,
        text: usize::MAX,
    };
}

/// Appends an entry as a JSON object within limits.
pub(super) fn write_object(out: &mut Vec<u8>, view: &EntryView<'_>, limits: Limits) {
    let mut cut = Cut::default();
    let mut object = Object::begin(out);
    match view {
        EntryView::Accounting(view) => record(&mut object, view, limits, &mut cut),
        EntryView::Decision(view) => decision(&mut object, view, limits, &mut cut),
    }
    cut.write(&mut object);
    object.end();
}

/// What was left out of an object.
#[derive(Default)]
struct Cut {
    texts: Vec<&'static str>,
    arguments: usize,
}

impl Cut {
    /// Says so, if anything was.
    fn write(&self, object: &mut Object<'_>) {
        if self.arguments > 0 {
            let count = u32::try_from(self.arguments).unwrap_or(u32::MAX);
            object.number("args_left_out", count);
        }
        if !self.texts.is_empty() {
            let texts = self.texts.iter().map(|name| name.as_bytes());
            object.list("cut", texts);
        }
    }
}

/// The server that has the record, too.
fn upstream<'a>(view: &View<'a>) -> Option<&'a [u8]> {
    let second = { view.arguments }.nth(1);
    let proxied = second.filter(|_| view.fields.protocol == Protocol::Radius);
    proxied.and_then(|argument| argument.strip_prefix(UPSTREAM.as_bytes()))
}

fn record(object: &mut Object<'_>, view: &View<'_>, limits: Limits, cut: &mut Cut) {
    let fields = &view.fields;
    let mut sent = |object: &mut Object<'_>, name, value| {
        text_within(object, name, value, limits.text, &mut cut.texts);
    };
    object.text("id", view.id.to_string().as_bytes());
    object.text("received", fields.received.to_string().as_bytes());
    object.text("device", fields.device.as_bytes());
    sent(object, "user", fields.user);
    sent(object, "port", fields.port);
    sent(object, "remote", fields.remote);
    object.text("kind", fields.kind.name().as_bytes());
    sent(object, "service", fields.service);
    sent(object, "command", fields.command);
    cut.arguments = arguments(object, view.arguments, limits.arguments);
    object.text("protocol", fields.protocol.name().as_bytes());
    if let Some(server) = upstream(view) {
        object.text("upstream", server);
    }
    object.text("transport", fields.transport.name().as_bytes());
    object.text("listener", fields.listener.as_bytes());
    object.number("session", fields.session);
    object.number("priv_lvl", fields.privilege_level.into());
    object.number("authen_method", fields.authentication_method.into());
    object.number("authen_type", fields.authentication_type.into());
    object.number("authen_service", fields.authentication_service.into());
}

fn decision(object: &mut Object<'_>, view: &DecisionView<'_>, limits: Limits, cut: &mut Cut) {
    let fields = &view.fields;
    let mut sent = |object: &mut Object<'_>, name, value| {
        text_within(object, name, value, limits.text, &mut cut.texts);
    };
    object.text("id", view.id.to_string().as_bytes());
    object.text("received", fields.received.to_string().as_bytes());
    object.text("device", fields.device.as_bytes());
    sent(object, "user", fields.user);
    sent(object, "port", fields.port);
    sent(object, "remote", fields.remote);
    object.text("kind", fields.kind.name().as_bytes());
    sent(object, "service", fields.service);
    sent(object, "command", fields.command);
    cut.arguments = arguments(object, view.arguments, limits.arguments);
    sent(object, "request", fields.asked());
    object.text("outcome", fields.outcome.as_bytes());
    object.text("reason", fields.reason.as_bytes());
    object.text("why", fields.why.as_bytes());
    match &fields.rule {
        Some(rule) => object.object("rule", |object| {
            object.text("file", rule.file.as_bytes());
            object.number("line", rule.line);
            object.text("text", rule.text.as_bytes());
        }),
        None => object.null("rule"),
    }
    object.text("protocol", fields.protocol.name().as_bytes());
    object.text("transport", fields.transport.name().as_bytes());
    object.text("listener", fields.listener.as_bytes());
    object.number("priv_lvl", fields.privilege_level.into());
}

/// A text that the device sent, or as much of it as may be, without taking a character apart.
fn text_within(
    object: &mut Object<'_>,
    name: &'static str,
    value: &[u8],
    limit: usize,
    cut: &mut Vec<&'static str>,
) {
    let mut end = value.len();
    if end > limit {
        cut.push(name);
        end = limit;
        while end > 0 && value.get(end).is_some_and(|octet| octet & 0xc0 == 0x80) {
            end -= 1;
        }
    }
    object.text(name, value.get(..end).unwrap_or(value));
}

/// The first arguments, at most so many; how many are left out.
fn arguments(object: &mut Object<'_>, mut all: Arguments<'_>, limit: usize) -> usize {
    object.list("args", all.by_ref().take(limit));
    all.count()
}

/// A JSON object that is being written. Its names are ours and need no escapes.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    separator: u8,
}

impl<'o> Object<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            separator: b'{',
        }
    }

    fn end(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.separator = b',';
    }

    fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        push_json(self.out, value);
    }

    fn number(&mut self, name: &str, value: u32) {
        self.name(name);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    fn null(&mut self, name: &str) {
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    fn list<'a>(&mut self, name: &str, texts: impl Iterator<Item = &'a [u8]>) {
        self.name(name);
        let mut bracket = b'[';
        for text in texts {
            self.out.push(bracket);
            push_json(self.out, text);
            bracket = b',';
        }
        if bracket == b'[' {
            self.out.push(b'[');
        }
        self.out.push(b']');
    }

    fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut inner = Object::begin(self.out);
        fill(&mut inner);
        inner.end();
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

    /// Appends an entry, with its line end; an empty field is `-`.
    ///
    /// A record is one line, and one without a command line shows its arguments. A decision is one line that says what was
    /// asked, then one that says why it was decided so: what a device sent stands on the first alone, so that it cannot
    /// pass for a reason.
    pub fn write(&mut self, out: &mut Vec<u8>, view: &EntryView<'_>) {
        match view {
            EntryView::Accounting(view) => self.record(out, view),
            EntryView::Decision(view) => self.decision(out, view),
        }
    }

    /// Appends an open task, with its line end: the record that began it, then since when and until when it is known to run.
    pub fn write_open(
        &mut self,
        out: &mut Vec<u8>,
        task: &OpenTask,
        now: Timestamp,
    ) -> Result<(), MalformedRecord> {
        let view = task.began.entry.view()?;
        self.write(out, &view);
        let EntryView::Accounting(view) = &view else {
            return Err(MalformedRecord);
        };
        let open = age(view.fields.received, now);
        let seen = age(task.last_seen, now);
        out.extend_from_slice(
            format!("    open for {open}, last heard of {seen} ago\n").as_bytes(),
        );
        Ok(())
    }

    fn record(&mut self, out: &mut Vec<u8>, view: &View<'_>) {
        let fields = &view.fields;
        let columns = [
            fields.device.as_bytes(),
            fields.user,
            fields.port,
            fields.remote,
            fields.kind.name().as_bytes(),
            fields.service,
        ];
        self.columns(out, fields.received, &columns);
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
        end_line(out);
    }

    fn decision(&mut self, out: &mut Vec<u8>, view: &DecisionView<'_>) {
        let fields = &view.fields;
        let columns = [
            fields.device.as_bytes(),
            fields.user,
            fields.port,
            fields.remote,
            fields.outcome.as_bytes(),
        ];
        self.columns(out, fields.received, &columns);
        out.extend_from_slice(printable(fields.asked(), Blank::Shown).as_bytes());
        end_line(out);
        let text = |out: &mut Vec<u8>, text: &str| {
            out.extend_from_slice(printable(text.as_bytes(), Blank::Shown).as_bytes());
        };
        out.extend_from_slice(b"    ");
        text(out, fields.why);
        if let Some(rule) = &fields.rule {
            out.extend_from_slice(b": ");
            text(out, rule.file);
            out.extend_from_slice(format!(":{}: ", rule.line).as_bytes());
            text(out, rule.text);
        }
        end_line(out);
    }

    /// The time and the columns, with the gap behind each.
    fn columns(&mut self, out: &mut Vec<u8>, received: Timestamp, columns: &[&[u8]]) {
        let time = received
            .to_zoned(self.zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S%:z");
        out.extend_from_slice(time.to_string().as_bytes());
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
    }
}

/// How long ago, in the two largest units.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

fn end_line(out: &mut Vec<u8>) {
    while out.last() == Some(&b' ') {
        out.pop();
    }
    out.push(b'\n');
}
