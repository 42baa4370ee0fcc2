//! A file with one JSON object a line, in the form of `acct search --json`.
//!
//! ```text
//! open (cut an incomplete last line) → append some records → fsync → the cursor advances
//! ```
//!
//! A file that was renamed, removed or replaced is noticed before each group of records, and a new one begun.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::fault::Fault;
use crate::accounting::output::write_json;
use crate::accounting::reader::Stored;

/// For its owner and its group.
const MODE: u32 = 0o640;
/// Octets looked at in one go for the end of the last whole line.
const STEP: u64 = 64 * 1024;

/// The file as it is open.
#[derive(Debug)]
pub(super) struct Jsonl {
    path: PathBuf,
    open: Option<Open>,
    lines: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
}

impl Jsonl {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            open: None,
            lines: Vec::new(),
        }
    }

    /// Has the right file open, and can write to it as far as the system tells.
    pub(super) fn ready(&mut self) -> Result<(), Fault> {
        self.file().map(|_| ())
    }

    /// Appends the records. What fails half way is cut off when the file is opened the next time.
    pub(super) fn append(&mut self, stored: &[Stored]) -> Result<(), Fault> {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for one in stored {
            match one.entry.view() {
                Ok(view) => write_json(&mut lines, &view),
                Err(error) => {
                    tracing::error!(position = %one.position, %error, "an entry is left out");
                }
            }
        }
        let written = self.file().map(|file| file.write_all(&lines));
        self.lines = lines;
        self.judged("written", written?)
    }

    /// Makes what was appended durable.
    pub(super) fn confirm(&mut self) -> Result<(), Fault> {
        match &self.open {
            Some(open) => {
                let synced = open.file.sync_data();
                self.judged("made durable", synced)
            }
            None => Ok(()),
        }
    }

    /// After a failure the file is opened anew: after a failed fsync nobody knows what of it is on the disk.
    fn judged(&mut self, what: &'static str, outcome: io::Result<()>) -> Result<(), Fault> {
        outcome.map_err(|error| {
            self.open = None;
            Fault::File(what, self.path.clone(), error)
        })
    }

    /// The file that is at the path now.
    fn file(&mut self) -> Result<&mut File, Fault> {
        let there = std::fs::metadata(&self.path).ok().map(identity);
        if self.open.as_ref().map(|open| open.identity) != there {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => open_file(&self.path)?,
        };
        Ok(&mut self.open.insert(open).file)
    }
}

fn identity(metadata: std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn open_file(path: &Path) -> Result<Open, Fault> {
    let fault = |what| move |error| Fault::File(what, path.to_owned(), error);
    // Looked at first: opening a pipe would wait for its reader.
    let known = std::fs::metadata(path);
    if known.as_ref().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Fault::NoFile(path.to_owned()));
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)
        .map_err(fault("opened"))?;
    let metadata = file.metadata().map_err(fault("opened"))?;
    if !metadata.is_file() {
        return Err(Fault::NoFile(path.to_owned()));
    }
    cut_incomplete_line(path, &mut file, metadata.len()).map_err(fault("repaired"))?;
    if known.is_err() {
        // Whoever collects the file may read it by its group, whatever the mask of a hardened service says.
        file.set_permissions(Permissions::from_mode(MODE))
            .map_err(fault("given its mode"))?;
        sync_folder(path).map_err(fault("made durable"))?;
    }
    Ok(Open {
        file,
        identity: identity(metadata),
    })
}

/// A crash may leave the beginning of a line, or room without content. Its record is written again, whole.
fn cut_incomplete_line(path: &Path, file: &mut File, length: u64) -> io::Result<()> {
    let mut end = length;
    let mut chunk = Vec::new();
    let whole = loop {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        Read::by_ref(file)
            .take(end - start)
            .read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|octet| *octet == b'\n') {
            break start + u64::try_from(at).unwrap_or(0) + 1;
        }
        if start == 0 {
            break 0;
        }
        end = start;
    };
    if whole < length {
        tracing::warn!(
            path = %path.display(),
            octets = length - whole,
            "the last line of an accounting file was incomplete and is cut off; its record is written again"
        );
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(())
}

/// The name of a new file is on the disk only with its folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
