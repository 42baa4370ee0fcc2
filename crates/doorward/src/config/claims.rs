//! What several groups say of one device under a key that has one value. What the device says itself beats them all.

use std::collections::BTreeSet;

use super::report::Report;
use super::source::Span;

/// What the groups of one device say under one key.
#[derive(Debug)]
pub(super) struct Claims<T> {
    /// The key, and what its values are called.
    key: (&'static str, &'static str),
    own: bool,
    first: Option<(T, Span)>,
}

impl<T: Copy + PartialEq> Claims<T> {
    /// For a device that says this of itself.
    pub(super) fn of(key: &'static str, values: &'static str, own: Option<T>) -> Self {
        Self {
            key: (key, values),
            own: own.is_some(),
            first: None,
        }
    }

    /// Adds what a group says; gives it back where it is what counts. Two groups of a device that do not agree are reported
    /// once, however many devices are in both.
    pub(super) fn add(
        &mut self,
        report: &mut Report,
        device: &str,
        (claim, span): (T, Span),
        reported: &mut BTreeSet<(Span, Span)>,
    ) -> Option<T> {
        if self.own {
            return None;
        }
        let Some((first, place)) = self.first else {
            self.first = Some((claim, span));
            return Some(claim);
        };
        if first != claim && reported.insert((place, span)) {
            let (key, values) = self.key;
            report
                .error(
                    span,
                    format!("two groups of [device.{device}] have different {values}"),
                )
                .see(place, "the other one")
                .help(format!(
                    "let the groups agree, or write `{key}` into the device"
                ));
        }
        None
    }
}
