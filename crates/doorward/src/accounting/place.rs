//! Whether the files the journal has open are still the ones that its path names.
//!
//! A file that was removed or replaced takes every write and keeps none of them: SQLite does not notice, and records
//! would be acknowledged that nobody can find again.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and number of a file.
type Identity = (u64, u64);

/// The database and its write-ahead log as they were when they were opened.
pub(super) struct Place {
    path: PathBuf,
    log: PathBuf,
    database: Identity,
    /// SQLite makes it with the first transaction.
    write_ahead: Option<Identity>,
}

impl Place {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = PathBuf::from(log);
        Ok(Self {
            path: path.to_owned(),
            database: identity(path)?,
            write_ahead: identity(&log).ok(),
            log,
        })
    }

    /// Whether both files are where they were.
    pub(super) fn is_unchanged(&mut self) -> bool {
        let log = identity(&self.log).ok();
        if self.write_ahead.is_none() {
            self.write_ahead = log;
        }
        self.write_ahead == log && identity(&self.path).is_ok_and(|now| now == self.database)
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
