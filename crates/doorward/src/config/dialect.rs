//! `dialect`: how a device is answered. What the device says beats what its groups say, and that beats its listener.

use doorward_tacacs::Dialect;

use super::report::Report;
use super::tree::Node;
use super::value;

/// Reads the word.
pub(super) fn dialect(report: &mut Report, node: &Node) -> Option<Dialect> {
    let words = [
        ("rfc8907", Dialect::Rfc8907),
        ("draft-05", Dialect::Draft05),
    ];
    value::choice(report, "dialect", node, &words)
}
