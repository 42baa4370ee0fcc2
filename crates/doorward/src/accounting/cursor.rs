//! A named place in the journal: how a sink reads it.

use std::fmt;
use std::sync::Arc;

use super::error::JournalError;
use super::journal::{Commit, Shared, Task};
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
