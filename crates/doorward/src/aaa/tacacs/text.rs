//! Octets of packets as text.

use crate::aaa::authorization::Argument;
use crate::config::{Tolerance, Tolerances};

/// One argument as text; `None` when it has no separator, no name, or octets that are not printable ASCII.
pub(super) fn argument(raw: &[u8]) -> Option<Argument<'_>> {
    let parsed = doorward_tacacs::Argument::parse(raw).ok()?;
    let name = std::str::from_utf8(parsed.name).ok()?;
    let value = std::str::from_utf8(parsed.value).ok()?;
    printable(raw).then_some(Argument {
        name,
        mandatory: parsed.is_mandatory(),
        value,
    })
}

/// Whether a device may send these octets in the place of an argument. What is tolerated is no argument and is passed over.
pub(super) fn tolerated(raw: &[u8], tolerate: Tolerances) -> Option<Tolerance> {
    let tolerance = match raw {
        b"" => Tolerance::EmptyArgument,
        b"<cr>" => Tolerance::BareCr,
        _ => return None,
    };
    tolerate.contains(tolerance).then_some(tolerance)
}

/// Whether an argument is a word `<cr>` of a command: at the end of a command it means nothing, and between other words it does
/// with [`Tolerance::BareCr`] only.
pub(super) fn is_carriage_return(argument: &Argument<'_>) -> bool {
    argument.name == "cmd-arg" && argument.value == "<cr>"
}

/// RFC 8907 section 3.7: text other than user names is printable US-ASCII.
pub(super) fn printable(octets: &[u8]) -> bool {
    octets.iter().all(|octet| matches!(octet, 0x20..=0x7e))
}

/// Octets for a log line, which escapes what is not printable.
pub(super) fn displayed(octets: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(octets)
}
