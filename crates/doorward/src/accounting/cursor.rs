//! A named place in the journal: how a sink reads it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::error::JournalError;
use super::queue::{Commit, Shared, Task};
use super::reader::{Position, Reader, Stored};

/// A named place in the journal, kept in the journal itself. Entries after it are never dropped by age.
///
/// A sink reads some entries, delivers them, then advances: after a crash it may deliver the last ones again, under the
/// same ids, and never leaves one out.
pub struct Cursor {
    shared: Arc<Shared>,
    reader: Reader,
    name: Arc<str>,
    position: Position,
}

impl Cursor {
    pub(super) fn new(
        shared: Arc<Shared>,
        reader: Reader,
        name: Arc<str>,
    ) -> Result<Self, JournalError> {
        let position = reader.cursor(&name)?.unwrap_or(Position::START);
        Ok(Self {
            shared,
            reader,
            name,
            position,
        })
    }

    /// The last position this cursor has done with.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next entries after the cursor, accounting records and decisions, at most `count`, in order. Reads the disk: call it on a thread that may block.
    pub fn read(&self, count: usize) -> Result<Vec<Stored>, JournalError> {
        self.reader.read_after(self.position, count)
    }

    /// The next records after `position`, for a sink that goes on before it may advance.
    pub fn read_after(
        &self,
        position: Position,
        count: usize,
    ) -> Result<Vec<Stored>, JournalError> {
        self.reader.read_after(position, count)
    }

    /// Has done with everything up to `position`; durable when the answer is `Ok`, together with the next records.
    pub fn advance(&mut self, position: Position) -> Commit {
        self.position = self.position.max(position);
        self.shared
            .submit(Task::Advance(Arc::clone(&self.name), self.position))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("name", &self.name)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Opens, lists and forgets the cursors of a journal. It may outlive the journal, whose commits then fail.
#[derive(Clone)]
pub struct Cursors {
    shared: Arc<Shared>,
    path: PathBuf,
}

impl Cursors {
    pub(super) fn new(shared: Arc<Shared>, path: PathBuf) -> Self {
        Self { shared, path }
    }

    /// A cursor: made at the oldest record if it is new, and retention never goes past it.
    ///
    /// # Errors
    /// The journal cannot be written or read.
    pub async fn open(&self, name: &str) -> Result<Cursor, JournalError> {
        let name: Arc<str> = name.into();
        self.shared
            .submit(Task::OpenCursor(Arc::clone(&name)))
            .await?;
        let reader = Reader::open(&self.path)?;
        Cursor::new(Arc::clone(&self.shared), reader, name)
    }

    /// Forgets a cursor, so that retention no longer waits for it.
    pub fn forget(&self, name: &str) -> Commit {
        self.shared.submit(Task::DropCursor(name.into()))
    }

    /// Every cursor of the journal with its place, by name. Reads the disk.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn list(&self) -> Result<Vec<(String, Position)>, JournalError> {
        Reader::open(&self.path)?.cursors()
    }

    /// The position of the last committed record; changes with every commit.
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.shared.watch()
    }
}

impl fmt::Debug for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursors")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
