//! Searching and following: pages of rows, by the index where there is one.

use std::collections::VecDeque;
use std::time::Duration;

use super::entry::{Entry, EntryView};
use super::error::JournalError;
use super::index::Lookup;
use super::query::Query;
use super::reader::{PAGE, Position, Reader, Stored};
use super::row::{self, Form, MalformedRecord};

/// Rows that are worth a transaction where fewer are wanted.
const MIN_PAGE: usize = 16;

/// The matching entries of a journal, oldest first. One that cannot be read is an error, and the search goes on.
#[derive(Debug)]
pub struct Search<'a> {
    reader: &'a Reader,
    query: Query,
    lookup: Lookup,
    after: Position,
    end: Position,
    found: VecDeque<Result<Stored, JournalError>>,
}

impl Search<'_> {
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.found.len()
    }
}

impl Iterator for Search<'_> {
    type Item = Result<Stored, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.found.is_empty() && self.after < self.end {
            match self.reader.forth(
                &mut self.lookup,
                &self.query,
                self.after,
                self.end,
                &mut self.found,
            ) {
                Ok(Some(last)) => self.after = last,
                Ok(None) => self.after = self.end,
                Err(error) => {
                    self.after = self.end;
                    return Some(Err(error));
                }
            }
        }
        self.found.pop_front()
    }
}

impl Reader {
    /// The entries that match, oldest first, up to what is in the journal now. Constant memory, however many.
    pub fn search(&self, query: Query) -> Result<Search<'_>, JournalError> {
        let (after, end) = self.transaction(|| Ok((self.start(&query)?, self.end()?)))?;
        Ok(Search {
            reader: self,
            lookup: self.lookup(&query),
            query,
            after,
            end,
            found: VecDeque::new(),
        })
    }

    /// The last `count` entries that match, oldest first, and the place to follow from.
    pub fn tail(
        &self,
        query: Query,
        count: usize,
    ) -> Result<(Vec<Stored>, Tail<'_>), JournalError> {
        let end = self.transaction(|| self.end())?;
        let mut found = VecDeque::new();
        let mut before = Position(end.0.saturating_add(1));
        let mut lookup = self.lookup(&query);
        while found.len() < count {
            let wanted = PAGE.min((count - found.len()).max(MIN_PAGE));
            let show = |position, row: &[u8]| {
                if found.len() < count
                    && let Some(Ok(entry)) = matching(&query, row)
                {
                    found.push_front(Stored { position, entry });
                }
            };
            match self.back(&mut lookup, &query, before, wanted, show)? {
                Some(next) => before = next,
                None => break,
            }
        }
        Ok((
            found.into(),
            Tail {
                reader: self,
                query,
                after: end,
                seen: None,
            },
        ))
    }

    fn lookup(&self, query: &Query) -> Lookup {
        #[cfg(test)]
        if self.plain {
            return Lookup::none();
        }
        Lookup::new(&self.path, &query.conditions())
    }

    /// One page of what [`Reader::matching`] finds, by the index where there is one.
    fn forth(
        &self,
        lookup: &mut Lookup,
        query: &Query,
        after: Position,
        end: Position,
        found: &mut VecDeque<Result<Stored, JournalError>>,
    ) -> Result<Option<Position>, JournalError> {
        let next = Position(after.0.saturating_add(1));
        let Some(candidates) = lookup.around(self, next, &query.conditions())? else {
            return self.matching(query, after, end, found);
        };
        let positions = candidates.after(after, PAGE);
        self.transaction(|| {
            self.rows_at(&positions, |position, row| {
                judge(query, end, position, row, found);
            })
        })?;
        // A page that is not full is the last one of its segment.
        match positions.last() {
            Some(last) if positions.len() == PAGE => Ok(Some(*last)),
            Some(_) | None => Ok(Some(candidates.last())),
        }
    }

    /// Shows rows before `before` that may match, newest first, up to about `count` of them; the place to go on from,
    /// `None` = there are no more.
    fn back(
        &self,
        lookup: &mut Lookup,
        query: &Query,
        before: Position,
        count: usize,
        mut show: impl FnMut(Position, &[u8]),
    ) -> Result<Option<Position>, JournalError> {
        let next = Position(before.0.saturating_sub(1));
        let Some(candidates) = lookup.around(self, next, &query.conditions())? else {
            return self.transaction(|| self.rows_before(before, show));
        };
        let positions = candidates.before(before, count);
        let mut rows = Vec::new();
        self.transaction(|| {
            self.rows_at(&positions, |position, row| {
                rows.push((position, row.to_vec()));
            })
        })?;
        for (position, row) in rows.iter().rev() {
            show(*position, row);
        }
        match positions.first() {
            Some(first) if positions.len() == count => Ok(Some(*first)),
            Some(_) | None => Ok(Some(candidates.first())),
        }
    }

    /// One page: the matching rows after `after`, up to `end`.
    fn matching(
        &self,
        query: &Query,
        after: Position,
        end: Position,
        found: &mut VecDeque<Result<Stored, JournalError>>,
    ) -> Result<Option<Position>, JournalError> {
        self.transaction(|| {
            self.rows_after(after, PAGE, |position, row| {
                judge(query, end, position, row, found);
            })
        })
    }
}

/// Adds what is in a row, if it is one of those that a search is for.
fn judge(
    query: &Query,
    end: Position,
    position: Position,
    row: &[u8],
    found: &mut VecDeque<Result<Stored, JournalError>>,
) {
    if position <= end
        && let Some(entry) = matching(query, row)
    {
        found.push_back(match entry {
            Ok(entry) => Ok(Stored { position, entry }),
            Err(MalformedRecord) => Err(JournalError::Malformed(position)),
        });
    }
}

/// The entry of a row that a search is for. A row that cannot be read may be one, unless its keys say otherwise.
fn matching(query: &Query, row: &[u8]) -> Option<Result<Entry, MalformedRecord>> {
    match row::keys(row) {
        Ok(keys) if !query.may_match(&keys) => return None,
        Ok(_) => {}
        Err(malformed) => {
            let other_form = Form::of(row).is_ok_and(|form| !query.is_for(form));
            return (!other_form).then_some(Err(malformed));
        }
    }
    match EntryView::parse(row) {
        Ok(view) if !query.matches(&view) => None,
        Ok(_) | Err(_) => Some(Entry::from_row(row)),
    }
}

/// Follows a journal.
#[derive(Debug)]
pub struct Tail<'a> {
    reader: &'a Reader,
    query: Query,
    after: Position,
    seen: Option<i64>,
}

impl Tail<'_> {
    /// How often it pays to ask.
    pub const INTERVAL: Duration = Duration::from_millis(200);

    /// The matching entries since the last call, at most a page of them; `None` = nothing was committed since.
    pub fn poll(&mut self) -> Result<Option<Vec<Result<Stored, JournalError>>>, JournalError> {
        // Asked before the rows: a commit in between is then seen next time.
        let version = self.reader.data_version()?;
        if self.seen == Some(version) {
            return Ok(None);
        }
        let mut found = VecDeque::new();
        match self
            .reader
            .matching(&self.query, self.after, Position(i64::MAX), &mut found)?
        {
            Some(last) => self.after = last,
            None => self.seen = Some(version),
        }
        Ok(Some(found.into()))
    }
}
