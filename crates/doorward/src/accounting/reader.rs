//! Reading the journal: read only, in short transactions, beside the server or without it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::entry::Entry;
use super::error::JournalError;
use super::query::Query;
use super::row;
use super::schema::{self, Period};

/// Rows looked at in one read transaction: short ones let the writer's checkpoints go on.
pub(super) const PAGE: usize = 1000;

/// Rows between two wanted ones above which it is cheaper to look for the second than to walk there.
const STRIDE: i64 = 16;

/// Records stand in the order of their commits, which is nearly, not quite, the order of their times.
const DISORDER: SignedDuration = SignedDuration::from_hours(1);

/// The place of a record in its journal. Later records have greater ones, and none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub(super) i64);

impl Position {
    /// In front of every record.
    pub const START: Self = Self(0);

    /// Records from another place up to this one, about; none where the other is not before it.
    pub fn records_since(self, other: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(other.0)).unwrap_or(0)
    }
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
    pub(super) path: PathBuf,
    /// Rows read so far.
    #[cfg(test)]
    pub(super) read: std::cell::Cell<u64>,
    /// Leave the index aside.
    #[cfg(test)]
    pub(super) plain: bool,
}

impl Reader {
    /// Opens the journal at `path`. It may be written at the same time, and no server needs to run.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.exists() {
            return Err(JournalError::Missing(path.to_owned()));
        }
        let (connection, version) = open_read_only(path, schema::version)
            .map_err(|source| JournalError::open(path, source))?;
        match version {
            Some(version) if schema::READABLE.contains(&version) => Ok(Self {
                connection,
                path: path.to_owned(),
                #[cfg(test)]
                read: std::cell::Cell::new(0),
                #[cfg(test)]
                plain: false,
            }),
            Some(_) | None => Err(JournalError::Format(path.to_owned())),
        }
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

    /// Every cursor with its position, by name.
    pub(super) fn cursors(&self) -> Result<Vec<(String, Position)>, JournalError> {
        Ok(schema::cursors(&self.connection)?)
    }

    /// Where a search begins: periods that ended before `since` are not read at all.
    pub(super) fn start(&self, query: &Query) -> rusqlite::Result<Position> {
        let mut start = Position::START;
        let Some(since) = query.since else {
            return Ok(start);
        };
        for period in schema::periods(&self.connection)? {
            let Some(last) = schema::last(&self.connection, &period)? else {
                continue;
            };
            let row = schema::row(&self.connection, &period, last)?.unwrap_or_default();
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
    pub(super) fn end(&self) -> rusqlite::Result<Position> {
        let Some(newest) = schema::periods(&self.connection)?.pop() else {
            return Ok(Position::START);
        };
        let last = schema::last(&self.connection, &newest)?;
        Ok(last.unwrap_or(Position(newest.first.0 - 1)))
    }

    /// Shows up to `limit` rows after `after`, in order; the last position shown, `None` = there are no more.
    pub(super) fn rows_after(
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
    pub(super) fn rows_before(
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
            #[cfg(test)]
            self.read.set(self.read.get() + 1);
            show(position, row.get_ref(1)?.as_blob()?);
            last = Some(position);
        }
        Ok(last)
    }

    /// Shows the rows at some positions, which ascend and are of one period; those that are gone are left out.
    pub(super) fn rows_at(
        &self,
        positions: &[Position],
        mut show: impl FnMut(Position, &[u8]),
    ) -> rusqlite::Result<()> {
        let period = match positions.first() {
            Some(first) => schema::around(&self.connection, *first)?,
            None => None,
        };
        let Some(period) = period else {
            return Ok(());
        };
        let mut statement = self.connection.prepare_cached(&period.from())?;
        let mut wanted = positions.iter().copied().peekable();
        while let Some(start) = wanted.peek().copied() {
            let mut rows = statement.query([start.0])?;
            loop {
                let Some(row) = rows.next()? else {
                    return Ok(());
                };
                let position = Position(row.get(0)?);
                #[cfg(test)]
                self.read.set(self.read.get() + 1);
                while wanted.next_if(|wanted| *wanted < position).is_some() {}
                if wanted.next_if_eq(&position).is_some() {
                    show(position, row.get_ref(1)?.as_blob()?);
                }
                match wanted.peek() {
                    Some(next) if next.0 - position.0 <= STRIDE => {}
                    Some(_) | None => break,
                }
            }
        }
        Ok(())
    }

    /// One read transaction: what is asked inside sees one state of the journal.
    pub(super) fn transaction<T>(
        &self,
        ask: impl FnOnce() -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let transaction = self.connection.unchecked_transaction()?;
        let answer = ask()?;
        transaction.finish()?;
        Ok(answer)
    }

    /// A number that changes with every commit of another connection.
    pub(super) fn data_version(&self) -> Result<i64, JournalError> {
        Ok(self
            .connection
            .pragma_query_value(None, "data_version", |row| row.get(0))?)
    }
}

/// What the index asks.
impl Reader {
    /// Does the row at a position begin so?
    pub(super) fn holds(&self, position: Position, head: &[u8]) -> Result<bool, JournalError> {
        self.transaction(|| {
            let Some(period) = schema::around(&self.connection, position)? else {
                return Ok(false);
            };
            let row = schema::row(&self.connection, &period, position)?;
            Ok(row.is_some_and(|row| row.starts_with(head)))
        })
    }

    /// The periods, and the last position in use.
    pub(super) fn extent(&self) -> Result<(Vec<Period>, Position), JournalError> {
        self.transaction(|| Ok((schema::periods(&self.connection)?, self.end()?)))
    }

    /// Has a period rows after one and up to another position?
    pub(super) fn has_rows(
        &self,
        period: &Period,
        after: Position,
        last: Position,
    ) -> Result<bool, JournalError> {
        let mut found = false;
        self.page(period, after, 1, |position, _| found = position <= last)?;
        Ok(found)
    }

    /// Shows up to `limit` rows of a period after `after`, in order; the last position shown.
    pub(super) fn page(
        &self,
        period: &Period,
        after: Position,
        limit: usize,
        mut show: impl FnMut(Position, &[u8]),
    ) -> Result<Option<Position>, JournalError> {
        self.transaction(|| self.rows(&period.after(), after, limit, &mut show))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader(..)")
    }
}

/// Opens a database that others may write, and asks it something.
pub(super) fn open_read_only<T>(
    path: &Path,
    ask: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<(Connection, T)> {
    let open = |more| -> rusqlite::Result<(Connection, T)> {
        let connection = connect(path, more)?;
        let answer = ask(&connection)?;
        Ok((connection, answer))
    };
    match open("") {
        // In a folder that this process may not write, the files beside the database cannot be made. If there are
        // none, nobody writes, and the database alone is all there is.
        Err(error)
            if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !has_log(path) =>
        {
            open("&immutable=1")
        }
        outcome => outcome,
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
