//! What lies in the journal: accounting records and decisions, in one order.

use super::decision::{DecisionRecord, DecisionView};
use super::record::{Record, View};
use super::row::{Form, MalformedRecord};

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// What a device reported.
    Accounting(Record),
    /// What this server decided.
    Decision(DecisionRecord),
}

impl Entry {
    /// Takes a row of the journal, after a look at its form.
    pub(super) fn from_row(row: &[u8]) -> Result<Self, MalformedRecord> {
        match Form::of(row)? {
            Form::Accounting => Record::from_row(row).map(Self::Accounting),
            Form::Decision => DecisionRecord::from_row(row).map(Self::Decision),
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// [`MalformedRecord`] for a row that this version cannot read; none that was made or searched for here is one.
    pub fn view(&self) -> Result<EntryView<'_>, MalformedRecord> {
        match self {
            Self::Accounting(record) => record.view().map(EntryView::Accounting),
            Self::Decision(decision) => decision.view().map(EntryView::Decision),
        }
    }

    /// The accounting record, if it is one.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Accounting(record) => Some(record),
            Self::Decision(_) => None,
        }
    }
}

/// An entry, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryView<'a> {
    /// What a device reported.
    Accounting(View<'a>),
    /// What this server decided.
    Decision(DecisionView<'a>),
}

impl<'a> EntryView<'a> {
    /// Reads a stored form.
    pub(super) fn parse(row: &'a [u8]) -> Result<Self, MalformedRecord> {
        match Form::of(row)? {
            Form::Accounting => View::parse(row).map(Self::Accounting),
            Form::Decision => DecisionView::parse(row).map(Self::Decision),
        }
    }
}
