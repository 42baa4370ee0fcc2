//! The tables of a journal, and what is asked of them.
//!
//! Records lie in tables by UTC day and size, in the order of their commits, without any index: that is the cheapest row
//! to write, and dropping a table is one short statement. Positions go on from table to table and are never used twice.
//! The names begin with `journal_` because the file may also hold other tables.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::reader::Position;

/// The version of the layout, kept in `journal_meta`. Version 1 had one table a day: what reads 2 reads 1, and what writes
/// 1 would drop the tables of a day that has several before the day is over.
pub(super) const VERSION: i64 = 2;

/// The versions that can be read.
pub(super) const READABLE: std::ops::RangeInclusive<i64> = 1..=VERSION;

pub(super) const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS journal_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS journal_period (number INTEGER PRIMARY KEY, day INTEGER NOT NULL, first INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS journal_cursor (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS journal_probe (number INTEGER PRIMARY KEY, filler BLOB NOT NULL);
    INSERT OR IGNORE INTO journal_meta VALUES ('version', 2);
";

/// Says that the layout is that of this version.
pub(super) const UPGRADE: &str =
    "UPDATE journal_meta SET value = 2 WHERE name = 'version' AND value < 2";

/// One table of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) number: i64,
    /// Days since 1970, by the clock of the server when it was opened.
    pub(super) day: i64,
    /// The first position it may hold.
    pub(super) first: Position,
}

impl Period {
    fn table(&self) -> String {
        format!("journal_rows_{}", self.number)
    }

    pub(super) fn insert(&self) -> String {
        format!("INSERT INTO {} VALUES (?1, ?2)", self.table())
    }

    pub(super) fn after(&self) -> String {
        format!(
            "SELECT position, row FROM {} WHERE position > ?1 ORDER BY position LIMIT ?2",
            self.table()
        )
    }

    pub(super) fn from(&self) -> String {
        format!(
            "SELECT position, row FROM {} WHERE position >= ?1 ORDER BY position",
            self.table()
        )
    }

    pub(super) fn before(&self) -> String {
        format!(
            "SELECT position, row FROM {} WHERE position < ?1 ORDER BY position DESC LIMIT ?2",
            self.table()
        )
    }
}

/// The version of the layout; `None` = no journal.
pub(super) fn version(connection: &Connection) -> Result<Option<i64>> {
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'journal_meta'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 {
        return Ok(None);
    }
    connection
        .query_row(
            "SELECT value FROM journal_meta WHERE name = 'version'",
            [],
            |row| row.get(0),
        )
        .optional()
}

/// All periods, oldest first.
pub(super) fn periods(connection: &Connection) -> Result<Vec<Period>> {
    let mut statement = connection
        .prepare_cached("SELECT number, day, first FROM journal_period ORDER BY number")?;
    let periods = statement.query_map([], period)?;
    periods.collect()
}

/// The last position in use in a period; `None` = it is empty.
pub(super) fn last(connection: &Connection, period: &Period) -> Result<Option<Position>> {
    let last: Option<i64> = connection.query_row(
        &format!("SELECT max(position) FROM {}", period.table()),
        [],
        |row| row.get(0),
    )?;
    Ok(last.map(Position))
}

/// The row at a position.
pub(super) fn row(
    connection: &Connection,
    period: &Period,
    position: Position,
) -> Result<Option<Vec<u8>>> {
    let statement = format!("SELECT row FROM {} WHERE position = ?1", period.table());
    connection
        .query_row(&statement, [position.0], |row| row.get(0))
        .optional()
}

/// The period that a position falls into.
pub(super) fn around(connection: &Connection, position: Position) -> Result<Option<Period>> {
    connection
        .prepare_cached(
            "SELECT number, day, first FROM journal_period WHERE first <= ?1 ORDER BY number DESC LIMIT 1",
        )?
        .query_row([position.0], period)
        .optional()
}

fn period(row: &Row<'_>) -> Result<Period> {
    Ok(Period {
        number: row.get(0)?,
        day: row.get(1)?,
        first: Position(row.get(2)?),
    })
}

/// Makes the table of a new period.
pub(super) fn open_period(connection: &Connection, period: &Period) -> Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE {} (position INTEGER PRIMARY KEY, row BLOB NOT NULL)",
        period.table()
    ))?;
    connection.execute(
        "INSERT INTO journal_period VALUES (?1, ?2, ?3)",
        params![period.number, period.day, period.first.0],
    )?;
    Ok(())
}

/// Drops a period with its records.
pub(super) fn drop_period(connection: &Connection, period: &Period) -> Result<()> {
    connection.execute_batch(&format!("DROP TABLE {}", period.table()))?;
    connection.execute(
        "DELETE FROM journal_period WHERE number = ?1",
        [period.number],
    )?;
    Ok(())
}

/// The position of the cursor that is furthest behind.
pub(super) fn slowest_cursor(connection: &Connection) -> Result<Option<Position>> {
    let slowest: Option<i64> =
        connection.query_row("SELECT min(position) FROM journal_cursor", [], |row| {
            row.get(0)
        })?;
    Ok(slowest.map(Position))
}

/// The position of a cursor.
pub(super) fn cursor(connection: &Connection, name: &str) -> Result<Option<Position>> {
    let statement = "SELECT position FROM journal_cursor WHERE name = ?1";
    let position = connection
        .query_row(statement, [name], |row| row.get(0))
        .optional()?;
    Ok(position.map(Position))
}

/// Every cursor with its position, by name.
pub(super) fn cursors(connection: &Connection) -> Result<Vec<(String, Position)>> {
    let mut statement =
        connection.prepare("SELECT name, position FROM journal_cursor ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, Position(row.get(1)?))))?;
    rows.collect()
}

/// Makes a cursor in front of the oldest record, unless it is there already.
pub(super) fn open_cursor(connection: &Connection, name: &str) -> Result<()> {
    connection.execute(
        "INSERT OR IGNORE INTO journal_cursor
         VALUES (?1, (SELECT coalesce(min(first) - 1, 0) FROM journal_period))",
        [name],
    )?;
    Ok(())
}

/// Moves a cursor forward, never back.
pub(super) fn advance(connection: &Connection, name: &str, position: Position) -> Result<()> {
    let statement = "UPDATE journal_cursor SET position = max(position, ?2) WHERE name = ?1";
    connection
        .prepare_cached(statement)?
        .execute(params![name, position.0])?;
    Ok(())
}

/// Forgets a cursor.
pub(super) fn drop_cursor(connection: &Connection, name: &str) -> Result<()> {
    connection.execute("DELETE FROM journal_cursor WHERE name = ?1", [name])?;
    Ok(())
}
