//! Passwords that users changed through a device: on the disk before the device hears of it, in memory for every login.
//!
//! A row says which stored hash of the file it replaces. As long as the file's own value is that one, the changed password
//! counts; a new value in the file wins, and the row goes. Logins look in memory only: a database that is gone or full makes
//! changes fail (with ERROR, never half), and nobody's login.

use std::collections::HashMap;
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};

use super::hash::Fingerprint;
use super::{HashError, PasswordHash};
use crate::config::User;

/// How long a change waits for another program that has the file locked.
const BUSY: Duration = Duration::from_secs(2);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS changed_password (
    user TEXT NOT NULL PRIMARY KEY,
    replaces BLOB NOT NULL,
    hash TEXT NOT NULL,
    changed_at TEXT NOT NULL
) STRICT";

/// The changed passwords.
pub struct PasswordStore {
    path: PathBuf,
    /// Opened by the first change: a server whose users never change anything makes no file.
    connection: Mutex<Option<Connection>>,
    changed: RwLock<HashMap<Arc<str>, Changed>>,
}

#[derive(Clone)]
struct Changed {
    /// Of the hash in the file that was in force then.
    replaces: Fingerprint,
    hash: PasswordHash,
    at: Timestamp,
}

/// A user whose password is not the one of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPassword {
    /// The user.
    pub user: Arc<str>,
    /// When it was changed.
    pub at: Timestamp,
}

impl PasswordStore {
    /// Reads what was changed so far; a file that does not exist holds nothing.
    ///
    /// # Errors
    /// A file that cannot be read, or that is none of ours: serving without it would bring old passwords back.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let changed = read(path).map_err(|why| StoreError::new(path, why))?;
        Ok(Self {
            path: path.to_path_buf(),
            connection: Mutex::default(),
            changed: RwLock::new(changed),
        })
    }

    /// What judges this user's password now.
    pub fn current(&self, user: &User) -> Option<PasswordHash> {
        let file = user.password.as_ref()?;
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let hash = changed
            .get(&user.name)
            .filter(|changed| changed.replaces == *file.fingerprint())
            .map_or(file, |changed| &changed.hash);
        Some(hash.clone())
    }

    /// Puts a new hash in the place of the file's: durable when this returns, and in force for every login from then on.
    ///
    /// # Errors
    /// The change is not on the disk and counts for nothing.
    pub fn change(&self, user: &User, hash: &str, at: Timestamp) -> Result<(), StoreError> {
        let fault = |why| StoreError::new(&self.path, why);
        let Some(file) = &user.password else {
            return Err(fault(Why::NoPassword));
        };
        let parsed = PasswordHash::parse(hash).map_err(|error| fault(Why::Hash(error)))?;
        let mut connection = self.lock();
        let open = match connection.take() {
            Some(open) => open,
            None => create(&self.path).map_err(fault)?,
        };
        open.execute(
            "INSERT INTO changed_password (user, replaces, hash, changed_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (user) DO UPDATE SET replaces = ?2, hash = ?3, changed_at = ?4",
            params![&*user.name, &file.fingerprint()[..], hash, at.to_string()],
        )
        .map_err(|error| fault(Why::Database(error)))?;
        // Only a connection that works is kept: the next change tries a new one otherwise.
        *connection = Some(open);
        let changed = Changed {
            replaces: *file.fingerprint(),
            hash: parsed,
            at,
        };
        self.changed
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(Arc::clone(&user.name), changed);
        Ok(())
    }

    /// Forgets what the file has overtaken: users whose own value is another one now. Users that are not in the file keep
    /// theirs, in case they come back.
    ///
    /// # Errors
    /// They are forgotten in memory, but still on the disk.
    pub fn settle(&self, users: &HashMap<Arc<str>, Arc<User>>) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        let mut changed = self.changed.write().unwrap_or_else(PoisonError::into_inner);
        changed.retain(|name, changed| {
            let overtaken = users.get(name).is_some_and(|user| {
                let file = user.password.as_ref();
                file.is_none_or(|file| *file.fingerprint() != changed.replaces)
            });
            if overtaken {
                gone.push(Arc::clone(name));
            }
            !overtaken
        });
        drop(changed);
        if gone.is_empty() {
            return Ok(());
        }
        let mut connection = self.lock();
        let open = match connection.take() {
            Some(open) => open,
            None => create(&self.path).map_err(|why| StoreError::new(&self.path, why))?,
        };
        for user in gone {
            open.execute("DELETE FROM changed_password WHERE user = ?1", [&*user])
                .map_err(|error| StoreError::new(&self.path, Why::Database(error)))?;
        }
        *connection = Some(open);
        Ok(())
    }

    /// The users whose password is not the one of the file, by name.
    pub fn in_force(&self, users: &HashMap<Arc<str>, Arc<User>>) -> Vec<ChangedPassword> {
        let changed = self.changed.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> = changed
            .iter()
            .filter(|(name, changed)| {
                let file = users.get(*name).and_then(|user| user.password.as_ref());
                file.is_some_and(|file| *file.fingerprint() == changed.replaces)
            })
            .map(|(user, changed)| ChangedPassword {
                user: Arc::clone(user),
                at: changed.at,
            })
            .collect();
        found.sort_unstable_by(|a, b| a.user.cmp(&b.user));
        found
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        // A panic while the lock is held leaves no connection, and the next change opens one.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PasswordStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<HashMap<Arc<str>, Changed>, Why> {
    if !path.try_exists().map_err(Why::File)? {
        return Ok(HashMap::new());
    }
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    let exists = connection.table_exists(None, "changed_password")?;
    if !exists {
        return Ok(HashMap::new());
    }
    let mut statement =
        connection.prepare("SELECT user, replaces, hash, changed_at FROM changed_password")?;
    let mut rows = statement.query([])?;
    let mut changed = HashMap::new();
    while let Some(row) = rows.next()? {
        let (user, at): (String, String) = (row.get(0)?, row.get(3)?);
        let hash: String = row.get(2)?;
        let row = Changed {
            replaces: row.get(1)?,
            hash: PasswordHash::parse(&hash).map_err(Why::Hash)?,
            at: at.parse().map_err(|_| Why::Row)?,
        };
        changed.insert(user.into(), row);
    }
    Ok(changed)
}

/// Opens the file for changes, and makes it (for its owner alone) if there is none.
fn create(path: &Path) -> Result<Connection, Why> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(Why::File)?;
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    // The journal mode stays as it is: the file may be that of accounting records, too.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.execute(TABLE, [])?;
    Ok(connection)
}

/// What is wrong with the store.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    why: Why,
}

impl StoreError {
    fn new(path: &Path, why: Why) -> Self {
        Self {
            path: path.to_path_buf(),
            why,
        }
    }
}

#[derive(Debug)]
enum Why {
    File(std::io::Error),
    Database(rusqlite::Error),
    Hash(HashError),
    Row,
    NoPassword,
}

impl From<rusqlite::Error> for Why {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the store of changed passwords, {}: ",
            self.path.display()
        )?;
        match &self.why {
            Why::File(error) => error.fmt(f),
            Why::Database(error) => error.fmt(f),
            Why::Hash(error) => write!(f, "a stored hash cannot be used: {error}"),
            Why::Row => f.write_str("a row has no time"),
            Why::NoPassword => f.write_str("the user has no password to be changed"),
        }
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests;
