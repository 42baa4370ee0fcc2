//! The file of the index: a database of its own beside the journal.
//!
//! It can be built again from the journal at any time, so nothing waits for the disk here (synchronous OFF): what a loss
//! of power leaves behind is judged by its checksums, as any other damage is.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::super::place::Place;
use super::super::reader::{self, Position};
use super::super::writer;
use super::segment::{Block, Damaged, Segment};

/// Says in the header of the database what it is: "dwix".
const APPLICATION: i64 = 0x6477_6978;

/// The version of the form, of the tables as of what is in them. Another one is not read, but built again.
const VERSION: i64 = 1;

const CREATE: &str = "
    CREATE TABLE segment (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, newest INTEGER NOT NULL,
        first_head BLOB NOT NULL, last_head BLOB NOT NULL, block INTEGER NOT NULL, blocks INTEGER NOT NULL,
        directory BLOB NOT NULL, checksum INTEGER NOT NULL);
    CREATE TABLE block (number INTEGER PRIMARY KEY, octets BLOB NOT NULL);
";

/// Where the index of a journal is.
pub(super) fn path(journal: &Path) -> PathBuf {
    beside(journal, ".index")
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// Why the index was of no use.
#[derive(Debug)]
pub(super) enum IndexError {
    Damaged,
    Database(rusqlite::Error),
    File(io::Error),
}

impl From<Damaged> for IndexError {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

impl From<rusqlite::Error> for IndexError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Database(source)
    }
}

impl From<io::Error> for IndexError {
    fn from(source: io::Error) -> Self {
        Self::File(source)
    }
}

impl std::fmt::Display for IndexError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged => f.write_str("it is damaged"),
            Self::Database(source) => write!(f, "{source}"),
            Self::File(source) => write!(f, "{source}"),
        }
    }
}

/// The index, for a search.
pub(super) struct IndexReader {
    connection: Connection,
}

impl IndexReader {
    /// Opens the index of a journal; `None` = there is none that can be read.
    pub(super) fn open(journal: &Path) -> Option<Self> {
        let path = path(journal);
        if !path.exists() {
            return None;
        }
        let (connection, found) = reader::open_read_only(&path, is_index).ok()?;
        found.then_some(Self { connection })
    }

    /// One state of the index, for as long as the answer lives.
    pub(super) fn transaction(&self) -> Result<rusqlite::Transaction<'_>, IndexError> {
        Ok(self.connection.unchecked_transaction()?)
    }

    /// The segment around a position, and the number of its first block.
    pub(super) fn around(&self, position: Position) -> Result<Option<(Segment, i64)>, IndexError> {
        let found = segment(
            &self.connection,
            "WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
            position,
        )?;
        Ok(found.filter(|(segment, _)| position.0 <= segment.last))
    }

    /// The octets of a block.
    pub(super) fn block(&self, first: i64, block: Block<'_>) -> Result<Vec<u8>, IndexError> {
        read_block(&self.connection, first, block)
    }
}

/// The index, for the thread that builds it.
pub(super) struct Store {
    connection: Connection,
    place: Place,
}

impl Store {
    /// Opens the index of a journal; makes it anew where there is none, or none that can be used.
    pub(super) fn open(journal: &Path) -> Result<Self, IndexError> {
        let path = path(journal);
        if path.exists() {
            match connect(&path) {
                Ok(connection) if is_index(&connection).unwrap_or(false) => {
                    return Self::new(connection, &path);
                }
                Ok(_) | Err(_) => Self::remove(journal)?,
            }
        }
        writer::create(&path)?;
        let connection = connect(&path)?;
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {CREATE} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
        Self::new(connection, &path)
    }

    fn new(connection: Connection, path: &Path) -> Result<Self, IndexError> {
        Ok(Self {
            connection,
            place: Place::of(path)?,
        })
    }

    /// Removes the files. Whoever has them open reads on in what they were.
    pub(super) fn remove(journal: &Path) -> io::Result<()> {
        let path = path(journal);
        for file in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Whether the files are still the ones that the path names.
    pub(super) fn is_in_place(&mut self) -> bool {
        self.place.is_unchanged()
    }

    /// First and last position of every segment, in order.
    pub(super) fn runs(&self) -> Result<Vec<(i64, i64)>, IndexError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT first, last FROM segment ORDER BY first")?;
        let runs = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        Ok(runs)
    }

    /// The segment that begins at a position, with all its blocks looked at; an error where it is not what was written.
    pub(super) fn sound(&self, first: i64) -> Result<Option<Segment>, IndexError> {
        let found = segment(&self.connection, "WHERE first = ?1", Position(first))?;
        let Some((segment, block)) = found else {
            return Ok(None);
        };
        for one in segment.all_blocks()? {
            read_block(&self.connection, block, one)?;
        }
        Ok(Some(segment))
    }

    /// Adds a segment with its blocks.
    pub(super) fn add(&self, segment: &Segment, blocks: &[Vec<u8>]) -> Result<(), IndexError> {
        let transaction = self.connection.unchecked_transaction()?;
        let first: i64 = transaction.query_row(
            "SELECT coalesce(max(number), 0) + 1 FROM block",
            [],
            |row| row.get(0),
        )?;
        let mut count = 0;
        for block in blocks {
            transaction
                .prepare_cached("INSERT INTO block VALUES (?1, ?2)")?
                .execute(params![first + count, block])?;
            count += 1;
        }
        transaction
            .prepare_cached("INSERT INTO segment VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                segment.first,
                segment.last,
                segment.newest,
                segment.first_head,
                segment.last_head,
                first,
                count,
                segment.directory,
                segment.checksum(first),
            ])?;
        Ok(transaction.commit()?)
    }

    /// Forgets the segment that begins at a position.
    pub(super) fn forget(&self, first: i64) -> Result<(), IndexError> {
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute(
            "DELETE FROM block WHERE number >= (SELECT block FROM segment WHERE first = ?1)
             AND number < (SELECT block + blocks FROM segment WHERE first = ?1)",
            [first],
        )?;
        transaction.execute("DELETE FROM segment WHERE first = ?1", [first])?;
        Ok(transaction.commit()?)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(writer::BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    Ok(connection)
}

fn is_index(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(number("application_id")? == APPLICATION && number("user_version")? == VERSION)
}

/// A segment and the number of its first block.
fn segment(
    connection: &Connection,
    which: &str,
    position: Position,
) -> Result<Option<(Segment, i64)>, IndexError> {
    let statement = format!(
        "SELECT first, last, newest, first_head, last_head, directory, block, checksum FROM segment {which}"
    );
    let found = connection
        .prepare_cached(&statement)?
        .query_row([position.0], |row| {
            let segment = Segment {
                first: row.get(0)?,
                last: row.get(1)?,
                newest: row.get(2)?,
                first_head: row.get(3)?,
                last_head: row.get(4)?,
                directory: row.get(5)?,
            };
            Ok((segment, row.get(6)?, row.get::<_, u32>(7)?))
        })
        .optional()?;
    let Some((segment, block, checksum)) = found else {
        return Ok(None);
    };
    match segment.checksum(block) == checksum {
        true => Ok(Some((segment, block))),
        false => Err(IndexError::Damaged),
    }
}

fn read_block(
    connection: &Connection,
    first: i64,
    block: Block<'_>,
) -> Result<Vec<u8>, IndexError> {
    let octets: Option<Vec<u8>> = connection
        .prepare_cached("SELECT octets FROM block WHERE number = ?1")?
        .query_row([first.saturating_add(block.number)], |row| row.get(0))
        .optional()?;
    octets
        .filter(|octets| crc32fast::hash(octets) == block.checksum)
        .ok_or(IndexError::Damaged)
}
