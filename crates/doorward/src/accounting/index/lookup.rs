//! How a search uses the index: segment by segment, and without it wherever there is none that fits.

use std::path::Path;

use super::super::error::JournalError;
use super::super::reader::{Position, Reader};
use super::bits::Bits;
use super::plan::{self, Conditions};
use super::store::{IndexError, IndexReader};

/// What a search knows of the index. A fault of the index is never one of the search: it then reads every row.
pub(in super::super) struct Lookup {
    index: Option<IndexReader>,
    known: Option<Known>,
}

/// Positions from `first` to `last`: what was found out about them.
struct Known {
    first: Position,
    last: Position,
    /// `None` = they are not indexed.
    candidates: Option<Candidates>,
}

impl Lookup {
    /// A lookup in the index of a journal, if it can help.
    pub(in super::super) fn new(journal: &Path, conditions: &Conditions<'_>) -> Self {
        let index = match conditions.are_selective() {
            true => IndexReader::open(journal),
            false => None,
        };
        Self { index, known: None }
    }

    #[cfg(test)]
    pub(in super::super) fn none() -> Self {
        Self {
            index: None,
            known: None,
        }
    }

    /// The candidates of the segment around a position; `None` = the rows there have to be read.
    pub(in super::super) fn around(
        &mut self,
        reader: &Reader,
        position: Position,
        conditions: &Conditions<'_>,
    ) -> Result<Option<&Candidates>, JournalError> {
        let Some(index) = &self.index else {
            return Ok(None);
        };
        let fits = |known: &Known| known.first <= position && position <= known.last;
        if !self.known.as_ref().is_some_and(fits) {
            self.known = match find(index, reader, position, conditions) {
                Ok(known) => Some(known),
                Err(Trouble::Journal(error)) => return Err(error),
                Err(Trouble::Index(error)) => {
                    tracing::debug!(%error, "the index of the journal is of no use here");
                    if !matches!(error, IndexError::Damaged) {
                        self.index = None;
                    }
                    None
                }
            };
        }
        Ok(self
            .known
            .as_ref()
            .and_then(|known| known.candidates.as_ref()))
    }
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

enum Trouble {
    Index(IndexError),
    Journal(JournalError),
}

impl From<IndexError> for Trouble {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

fn find(
    index: &IndexReader,
    reader: &Reader,
    position: Position,
    conditions: &Conditions<'_>,
) -> Result<Known, Trouble> {
    let transaction = index.transaction()?;
    let Some((segment, block)) = index.around(position)? else {
        return Ok(Known {
            first: position,
            last: position,
            candidates: None,
        });
    };
    let (first, last) = (Position(segment.first), Position(segment.last));
    let ours = reader
        .holds(first, &segment.first_head)
        .and_then(|ours| Ok(ours && reader.holds(last, &segment.last_head)?))
        .map_err(Trouble::Journal)?;
    let candidates = match ours.then(|| plan::select(index, &segment, block, conditions)) {
        Some(Ok(rows)) => Some(Candidates { first, last, rows }),
        Some(Err(IndexError::Damaged)) | None => None,
        Some(Err(error)) => return Err(error.into()),
    };
    drop(transaction);
    Ok(Known {
        first,
        last,
        candidates,
    })
}

/// The rows of a segment that a search has to look at.
#[derive(Debug)]
pub(in super::super) struct Candidates {
    first: Position,
    last: Position,
    rows: Bits,
}

impl Candidates {
    /// The first position of the segment.
    pub(in super::super) fn first(&self) -> Position {
        self.first
    }

    /// The last position of the segment.
    pub(in super::super) fn last(&self) -> Position {
        self.last
    }

    /// The first `count` after a position, ascending.
    pub(in super::super) fn after(&self, position: Position, count: usize) -> Vec<Position> {
        let mut found = Vec::new();
        let mut next = self.offset(position.0.saturating_add(1));
        while found.len() < count
            && let Some(offset) = self.rows.at_or_after(next)
        {
            found.push(self.position(offset));
            next = offset.saturating_add(1);
        }
        found
    }

    /// The last `count` before a position, ascending.
    pub(in super::super) fn before(&self, position: Position, count: usize) -> Vec<Position> {
        let mut found = Vec::new();
        let mut before = self.offset(position.0);
        while found.len() < count
            && let Some(offset) = self.rows.before(before)
        {
            found.push(self.position(offset));
            before = offset;
        }
        found.reverse();
        found
    }

    fn offset(&self, position: i64) -> u32 {
        let offset = position.saturating_sub(self.first.0).max(0);
        u32::try_from(offset).unwrap_or(u32::MAX)
    }

    fn position(&self, offset: u32) -> Position {
        Position(self.first.0 + i64::from(offset))
    }
}
