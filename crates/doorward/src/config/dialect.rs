//! `dialect`: how a device is answered. What the device says beats what its groups say, and that beats its listener.

use std::collections::BTreeSet;

use doorward_tacacs::Dialect;

use super::Device;
use super::report::Report;
use super::source::Span;
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

/// What the groups of one device say.
#[derive(Debug)]
pub(super) struct Claims {
    own: Option<Dialect>,
    first: Option<(Dialect, Span)>,
}

impl Claims {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            own: device.dialect,
            first: None,
        }
    }

    /// Adds what a group says. Two groups of a device that do not agree are reported once, however many devices are in both.
    pub(super) fn add(
        &mut self,
        report: &mut Report,
        device: &mut Device,
        (dialect, span): (Dialect, Span),
        reported: &mut BTreeSet<(Span, Span)>,
    ) {
        if self.own.is_some() {
            return;
        }
        match self.first {
            None => {
                self.first = Some((dialect, span));
                device.dialect = Some(dialect);
            }
            Some((first, place)) if first != dialect && reported.insert((place, span)) => {
                report
                    .error(
                        span,
                        format!(
                            "two groups of [device.{}] have different dialects",
                            device.name
                        ),
                    )
                    .see(place, "the other one")
                    .help("let the groups agree, or write `dialect` into the device");
            }
            Some(_) => {}
        }
    }
}
