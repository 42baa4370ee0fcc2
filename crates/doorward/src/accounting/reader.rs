//! Reading the journal: read only, in short transactions, beside the server or without it.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::entry::{Entry, EntryView};
use super::error::JournalError;
use super::query::Query;
use super::row::{self, Form, MalformedRecord};
use super::schema::{self, Period};

/// Rows looked at in one read transaction: short ones let the writer's checkpoints go on.
const PAGE: usize = 1000;

/// Records stand in the order of their commits, which is nearly, not quite, the order of their times.
const DISORDER: SignedDuration = SignedDuration::from_hours(1);

/// The place of a record in its journal. Later records have greater ones, and none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub(super) i64);

impl Position {
    /// In front of every record.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An entry and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The place.
    pub position: Position,
    /// The entry.
    pub entry: Entry,
}

/// A journal, open for reading.
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens the journal at `path`. It may be written at the same time, and no server needs to run.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.exists() {
            return Err(JournalError::Missing(path.to_owned()));
        }
        let open = |source| JournalError::open(path, source);
        let connection = match connect(path, "")
            .and_then(|found| schema::version(&found).map(|version| (found, version)))
        {
            // In a folder that this process may not write, the files beside the database cannot be made. If there are
            // none, nobody writes, and the database alone is all there is.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !has_log(path) =>
            {
                let connection = connect(path, "&immutable=1").map_err(open)?;
                let version = schema::version(&connection).map_err(open)?;
                (connection, version)
            }
            outcome => outcome.map_err(open)?,
        };
        match connection {
            (connection, Some(schema::VERSION)) => Ok(Self { connection }),
            (_, Some(_) | None) => Err(JournalError::Format(path.to_owned())),
        }
    }

    /// The entries that match, oldest first, up to what is in the journal now. Constant memory, however many.
    pub fn search(&self, query: Query) -> Result<Search<'_>, JournalError> {
        let (after, end) = self.transaction(|| Ok((self.start(&query)?, self.end()?)))?;
        Ok(Search {
            reader: self,
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
        while found.len() < count {
            let Some(next) = self.transaction(|| {
                self.rows_before(before, |position, row| {
                    if found.len() < count
                        && let Some(Ok(entry)) = matching(&query, row)
                    {
                        found.push_front(Stored { position, entry });
                    }
                })
            })?
            else {
                break;
            };
            before = next;
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

    /// The next entries after `after`, at most `count`; unreadable ones are left out and logged.
    pub(super) fn read_after(
        &self,
        after: Position,
        count: usize,
    ) -> Result<Vec<Stored>, JournalError> {
        let mut found = Vec::new();
        let mut place = after;
        while found.len() < count {
            let wanted = count - found.len();
            let last = self.transaction(|| {
                self.rows_after(
                    place,
                    wanted.min(PAGE),
                    |position, row| match Entry::from_row(row) {
                        Ok(entry) => found.push(Stored { position, entry }),
                        Err(error) => tracing::error!(%position, %error, "a record is left out"),
                    },
                )
            })?;
            match last {
                Some(last) => place = last,
                None => break,
            }
        }
        Ok(found)
    }

    /// When the oldest entry was received; `None` = there is none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn begins(&self) -> Result<Option<Timestamp>, JournalError> {
        let mut oldest = None;
        self.transaction(|| {
            self.rows_after(Position::START, 1, |_, row| {
                oldest = row::keys(row).ok().map(|keys| keys.received);
            })
        })?;
        Ok(oldest)
    }

    /// The position of a cursor.
    pub(super) fn cursor(&self, name: &str) -> Result<Option<Position>, JournalError> {
        Ok(schema::cursor(&self.connection, name)?)
    }

    /// Where a search begins: periods that ended before `since` are not read at all.
    fn start(&self, query: &Query) -> rusqlite::Result<Position> {
        let mut start = Position::START;
        let Some(since) = query.since else {
            return Ok(start);
        };
        for period in schema::periods(&self.connection)? {
            let Some(last) = schema::last(&self.connection, &period)? else {
                continue;
            };
            let row = schema::row(&self.connection, &period, last)?;
            let received = row::keys(&row).map_or(Timestamp::MAX, |keys| keys.received);
            if received
                .saturating_add(DISORDER)
                .is_ok_and(|latest| latest >= since)
            {
                break;
            }
            start = last;
        }
        Ok(start)
    }

    /// The last position in use.
    fn end(&self) -> rusqlite::Result<Position> {
        let Some(newest) = schema::periods(&self.connection)?.pop() else {
            return Ok(Position::START);
        };
        let last = schema::last(&self.connection, &newest)?;
        Ok(last.unwrap_or(Position(newest.first.0 - 1)))
    }

    /// Shows up to `limit` rows after `after`, in order; the last position shown, `None` = there are no more.
    fn rows_after(
        &self,
        after: Position,
        limit: usize,
        mut show: impl FnMut(Position, &[u8]),
    ) -> rusqlite::Result<Option<Position>> {
        let periods = schema::periods(&self.connection)?;
        let ends = periods
            .iter()
            .skip(1)
            .map(|next| next.first.0 - 1)
            .chain([i64::MAX]);
        for (period, _) in periods.iter().zip(ends).filter(|(_, end)| *end > after.0) {
            let last = self.rows(&period.after(), after, limit, &mut show)?;
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// Shows up to [`PAGE`] rows before `before`, newest first; the last position shown, `None` = there are no more.
    fn rows_before(
        &self,
        before: Position,
        mut show: impl FnMut(Position, &[u8]),
    ) -> rusqlite::Result<Option<Position>> {
        let periods = schema::periods(&self.connection)?;
        let earlier = |period: &&Period| period.first < before;
        for period in periods.iter().rev().filter(earlier) {
            let last = self.rows(&period.before(), before, PAGE, &mut show)?;
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    fn rows(
        &self,
        statement: &str,
        from: Position,
        limit: usize,
        show: &mut impl FnMut(Position, &[u8]),
    ) -> rusqlite::Result<Option<Position>> {
        let mut statement = self.connection.prepare_cached(statement)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![from.0, limit])?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            let position = Position(row.get(0)?);
            show(position, row.get_ref(1)?.as_blob()?);
            last = Some(position);
        }
        Ok(last)
    }

    /// One read transaction: what is asked inside sees one state of the journal.
    fn transaction<T>(&self, ask: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, JournalError> {
        let transaction = self.connection.unchecked_transaction()?;
        let answer = ask()?;
        transaction.finish()?;
        Ok(answer)
    }

    /// A number that changes with every commit of another connection.
    fn data_version(&self) -> Result<i64, JournalError> {
        Ok(self
            .connection
            .pragma_query_value(None, "data_version", |row| row.get(0))?)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader(..)")
    }
}

/// The matching entries of a journal, oldest first. One that cannot be read is an error, and the search goes on.
#[derive(Debug)]
pub struct Search<'a> {
    reader: &'a Reader,
    query: Query,
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
            match self
                .reader
                .matching(&self.query, self.after, self.end, &mut self.found)
            {
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
                if position <= end
                    && let Some(entry) = matching(query, row)
                {
                    found.push_back(match entry {
                        Ok(entry) => Ok(Stored { position, entry }),
                        Err(MalformedRecord) => Err(JournalError::Malformed(position)),
                    });
                }
            })
        })
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

fn connect(path: &Path, more: &str) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for octet in path.as_os_str().as_encoded_bytes() {
        match octet {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*octet)),
            octet if octet.is_ascii_alphanumeric() => uri.push(char::from(*octet)),
            octet => uri.push_str(&format!("%{octet:02x}")),
        }
    }
    uri.push_str("?mode=ro");
    uri.push_str(more);
    let connection = Connection::open_with_flags(
        uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Is there a write-ahead log beside the database?
fn has_log(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    Path::new(&name).exists()
}
