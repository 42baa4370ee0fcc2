//! Messages of RFC 5424.
//!
//! ```text
//! <86>1 2026-11-20T10:00:00.250000Z aaa1 doorward 4711 stop - {"id":"...","received":"...",...}
//! ```
//!
//! MSG of a record is the JSON object of `acct search --json`. It is UTF-8 without control characters and without the mark that
//! section 6.4 asks of MSG-UTF8: JSON forbids one (RFC 8259 section 8.1), and receivers that parse JSON stumble over it.

use std::io::Write as _;

use jiff::Timestamp;

use super::ticks::Tick;
use crate::accounting::entry::EntryView;
use crate::accounting::output::{Limits, write_object};
use crate::accounting::record::Kind;
use crate::config::{FTicks, Facility};

/// What all messages of a sink have in common.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    facility: Facility,
    host: String,
    process: u32,
}

/// RFC 5424 section 6.2.4.
const MAX_HOST: usize = 255;

/// Longest text of a field in a record that has to be shortened even without its arguments, first try first.
const TEXTS: [usize; 5] = [2048, 512, 128, 48, 16];

impl Origin {
    pub(super) fn new(facility: Facility, host: &str) -> Self {
        // PRINTUSASCII only: a blank would shift every field after it.
        let mut host: String = host
            .chars()
            .map(|one| if one.is_ascii_graphic() { one } else { '_' })
            .take(MAX_HOST)
            .collect();
        if host.is_empty() {
            host.push('-');
        }
        Self {
            facility,
            host,
            process: std::process::id(),
        }
    }

    /// Appends the message of a line of statistics.
    pub(super) fn write_tick(&self, out: &mut Vec<u8>, tick: &Tick) {
        self.header(out, INFORMATIONAL, tick.at, FTicks::NAME);
        out.extend_from_slice(tick.line.as_bytes());
    }

    fn header(&self, out: &mut Vec<u8>, severity: u32, at: Timestamp, kind: &str) {
        let priority = u32::from(self.facility.0) * 8 + severity;
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "<{priority}>1 {at:.6} {} doorward {} {kind} - ",
            self.host, self.process
        );
    }

    /// Appends the message of a record. What is longer than `max` octets loses arguments from their end, then the ends
    /// of long texts, and says so; the journal has it whole, under the same id.
    pub(super) fn write(&self, out: &mut Vec<u8>, view: &EntryView<'_>, max: usize) {
        let begin = out.len();
        let (received, kind, arguments) = match view {
            EntryView::Accounting(view) => {
                let fields = &view.fields;
                (fields.received, fields.kind.name(), view.arguments)
            }
            EntryView::Decision(view) => {
                let fields = &view.fields;
                (fields.received, fields.kind.name(), view.arguments)
            }
        };
        self.header(out, severity(view), received, kind);
        let message = out.len();
        let body = |out: &mut Vec<u8>, limits| {
            out.truncate(message);
            write_object(out, view, limits);
            out.len() - begin <= max
        };
        if body(out, Limits::NONE) {
            return;
        }
        let bare = |text| Limits { arguments: 0, text };
        let fits = |text: &usize| body(&mut out.clone(), bare(*text));
        let text = std::iter::once(usize::MAX)
            .chain(TEXTS)
            .find(fits)
            .unwrap_or(16);
        // The largest number of arguments that fits: `enough` does, `too_many` does not.
        let (mut enough, mut too_many) = (0, arguments.count());
        while text == usize::MAX && enough + 1 < too_many {
            let arguments = usize::midpoint(enough, too_many);
            match body(out, Limits { arguments, text }) {
                true => enough = arguments,
                false => too_many = arguments,
            }
        }
        body(
            out,
            Limits {
                arguments: enough,
                text,
            },
        );
    }
}

/// RFC 5424 section 6.2.1.
const INFORMATIONAL: u32 = 6;

/// RFC 5424 section 6.2.1. Informational, but for what is normal and significant: a device that begins or ends accounting, and a
/// request that was denied. What could not be decided is a warning.
fn severity(view: &EntryView<'_>) -> u32 {
    const WARNING: u32 = 4;
    const NOTICE: u32 = 5;
    match view {
        EntryView::Accounting(view) => match view.fields.kind {
            Kind::Start | Kind::Stop | Kind::Watchdog | Kind::Update => INFORMATIONAL,
            Kind::On | Kind::Off => NOTICE,
        },
        // The outcome is kept as text, and a later version may have others.
        EntryView::Decision(view) => match view.fields.outcome {
            "pass" | "permit" => INFORMATIONAL,
            "fail" | "deny" => NOTICE,
            _ => WARNING,
        },
    }
}
