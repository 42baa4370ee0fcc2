//! What can go wrong with the journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

use super::reader::Position;

/// A fault of the journal. For a submitted batch it means: not recorded.
#[derive(Clone, Debug)]
pub enum JournalError {
    /// Another server writes to this journal.
    InUse {
        /// The journal.
        path: PathBuf,
        /// The process that has it, where it said so.
        process: Option<u32>,
    },
    /// There is no journal at that path.
    Missing(PathBuf),
    /// The file could not be made or locked.
    File(PathBuf, Arc<io::Error>),
    /// The database could not be opened.
    Open(PathBuf, Arc<rusqlite::Error>),
    /// The database is no journal, or one of a later version.
    Format(PathBuf),
    /// The last commit failed, and none has succeeded since.
    Failing,
    /// More records wait than the queue may hold.
    Full,
    /// The disk is full.
    DiskFull,
    /// The database failed.
    Database(Arc<rusqlite::Error>),
    /// A stored record cannot be read.
    Malformed(Position),
    /// The journal is closed.
    Stopped,
}

impl JournalError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File(path.to_owned(), Arc::new(source))
    }

    pub(super) fn open(path: &Path, source: rusqlite::Error) -> Self {
        Self::Open(path.to_owned(), Arc::new(source))
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Database(Arc::new(source)),
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse {
                path,
                process: Some(process),
            } => {
                write!(
                    f,
                    "the journal {} is in use by another server, process {process}",
                    path.display()
                )
            }
            Self::InUse {
                path,
                process: None,
            } => {
                write!(
                    f,
                    "the journal {} is in use by another server",
                    path.display()
                )
            }
            Self::Missing(path) => write!(f, "there is no journal at {}", path.display()),
            Self::File(path, source) => write!(
                f,
                "the journal file {} cannot be used: {source}",
                path.display()
            ),
            Self::Open(path, source) => write!(
                f,
                "the journal {} cannot be opened: {source}",
                path.display()
            ),
            Self::Format(path) => {
                write!(
                    f,
                    "the database {} is not a journal that this version can read",
                    path.display()
                )
            }
            Self::Failing => f.write_str("the journal cannot be written at the moment"),
            Self::Full => {
                f.write_str("more records wait for the disk than the journal's queue may hold")
            }
            Self::DiskFull => f.write_str("the disk of the journal is full"),
            Self::Database(source) => write!(f, "the journal's database failed: {source}"),
            Self::Malformed(position) => {
                write!(
                    f,
                    "the stored record at position {position} is not in a form this version can read"
                )
            }
            Self::Stopped => f.write_str("the journal is closed"),
        }
    }
}

impl std::error::Error for JournalError {}
