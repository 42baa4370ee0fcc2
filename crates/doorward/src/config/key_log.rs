//! `keylog` of `[tls.NAME]`: a file for the secrets of its connections. It is opened by a server that begins to serve and by
//! nobody else, so that `check` leaves no trace.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use doorward_tls::KeyLog;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::lint::Lint;
use super::report::Report;
use super::section::Section;
use super::source::escape;
use super::tree::Value;
use super::{secret, value};

/// Lines that may wait for the disk. A handshake makes five; what does not fit is lost, because a handshake never waits.
const WAITING: usize = 4096;

/// The file of one profile.
#[derive(Debug)]
pub struct KeyLogFile {
    path: PathBuf,
    writer: OnceLock<Arc<Writer>>,
}

/// A thread of its own that writes, and how it fares.
#[derive(Debug)]
struct Writer {
    lines: SyncSender<Zeroizing<String>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
}

pub(super) fn read(report: &mut Report, section: &mut Section<'_>) -> Option<Arc<KeyLogFile>> {
    let node = section.value("keylog")?;
    if matches!(node.value, Value::Boolean(false)) {
        return None;
    }
    if node.as_str().is_none() {
        value::wrong(report, node, "keylog", "false or the path of a file");
        return None;
    }
    let name = value::name(report, "keylog", node)?;
    let path = secret::folder(report, node.span).join(name);
    report
        .warning(
            Lint::KeylogOn,
            node.span,
            format!(
                "the secrets of all TLS connections are written to {}: who has that file can read passwords in a recording of them",
                escape(&path.to_string_lossy())
            ),
        )
        .help("set `keylog` to false when the fault is found, then delete the file");
    report.places.write.insert(path.clone());
    Some(Arc::new(KeyLogFile {
        path,
        writer: OnceLock::new(),
    }))
}

impl KeyLogFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, or goes on with what the profile had open before. Blocks on the disk.
    ///
    /// # Errors
    /// The file cannot be made or opened, is no file, or others than its owner may do something with it.
    pub fn open(&self, before: Option<&Self>) -> io::Result<()> {
        let same = before.filter(|before| before.path == self.path);
        let writer = match same.and_then(|before| before.writer.get()) {
            Some(open) => Arc::clone(open),
            None => Arc::new(Writer::start(private(&self.path)?, &self.path)?),
        };
        _ = self.writer.set(writer); // nobody opens one twice
        Ok(())
    }

    /// Whether secrets are written at present.
    pub fn is_open(&self) -> bool {
        self.writer.get().is_some()
    }

    /// Lines written, and lines lost.
    pub fn counts(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        match self.writer.get() {
            Some(writer) => (read(&writer.counts.written), read(&writer.counts.lost)),
            None => (0, 0),
        }
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, line: &str) {
        let Some(writer) = self.writer.get() else {
            return;
        };
        // In one piece, so that lines of several writers do not mix.
        let mut whole = Zeroizing::new(String::with_capacity(line.len() + 1));
        whole.push_str(line);
        whole.push('\n');
        if writer.lines.try_send(whole).is_err() {
            writer.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Writer {
    fn start(file: File, path: &Path) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let (theirs, shown) = (Arc::clone(&counts), path.to_path_buf());
        std::thread::Builder::new()
            .name("key-log".into())
            .spawn(move || write(file, &waiting, &theirs, &shown))?;
        Ok(Self { lines, counts })
    }
}

/// Writes until nobody can send any more.
fn write(mut file: File, lines: &Receiver<Zeroizing<String>>, counts: &Counts, path: &Path) {
    let mut told = false;
    for line in lines {
        match file.write_all(line.as_bytes()) {
            Ok(()) => {
                counts.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                counts.lost.fetch_add(1, Ordering::Relaxed);
                if !told {
                    tracing::warn!(%error, path = %path.display(), "TLS secrets could not be written to `keylog`; told once");
                    told = true;
                }
            }
        }
    }
}

/// What the lines of such a file begin with, comments included.
const LABELS: [&[u8]; 5] = [b"CLIENT_", b"SERVER_", b"EXPORTER_", b"EARLY_", b"#"];

/// A file that nobody but its owner can read, made if it is not there; never the end of a link.
fn private(path: &Path) -> io::Result<File> {
    // A pipe without a reader would keep us waiting.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if about.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others than its owner may use it; `chmod 600` it, or delete it",
        ));
    }
    // A path that was copied from another line of the configuration must not cost a journal or a key.
    let mut head = [0; 16];
    let count = file.read_at(&mut head, 0)?;
    let head = head.get(..count).unwrap_or_default();
    if !head.is_empty() && !LABELS.iter().any(|label| head.starts_with(label)) {
        return Err(io::Error::other(
            "there is something else in it; name a file of its own",
        ));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, Instant};

    use super::*;

    fn file(path: PathBuf) -> KeyLogFile {
        KeyLogFile {
            path,
            writer: OnceLock::new(),
        }
    }

    fn wait(log: &KeyLogFile, counts: (u64, u64)) {
        let end = Instant::now() + Duration::from_secs(30);
        while log.counts() != counts {
            assert!(Instant::now() < end, "{:?}", log.counts());
            std::thread::yield_now();
        }
    }

    #[test]
    fn lines_are_appended_for_the_owner_alone_and_go_on_after_a_reload() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        let log = file(path.clone());
        log.log("before it is open");
        assert!(!path.exists() && !log.is_open());
        log.open(None).unwrap();
        log.log("one");
        wait(&log, (1, 0));
        let next = file(path.clone());
        next.open(Some(&log)).unwrap();
        drop(log);
        next.log("two");
        wait(&next, (2, 0));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Elsewhere it begins anew.
        let other = file(folder.path().join("other.log"));
        other.open(Some(&next)).unwrap();
        other.log("three");
        wait(&other, (1, 0));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_and_so_is_what_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let log = file(path.clone());
        let why = log.open(None).unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::PermissionDenied);
        log.log("secret");
        assert!(!log.is_open() && std::fs::read(&path).unwrap().is_empty());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        log.open(None).unwrap();
        let link = folder.path().join("link.log");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for bad in [link, folder.path().into(), "/dev/null".into()] {
            assert!(file(bad.clone()).open(None).is_err(), "{}", bad.display());
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.key");
        for (text, good) in [
            ("-----BEGIN PRIVATE KEY-----\n", false),
            ("SQLite format 3\0", false),
            ("# of yesterday\n", true),
            ("CLIENT_TRAFFIC_SECRET_0 00 00\n", true),
            ("", true),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let opened = file(path.clone()).open(None);
            assert_eq!(opened.is_ok(), good, "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    /// A full disk loses lines and nothing else.
    #[test]
    fn what_cannot_be_written_is_counted() {
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let log = file("/dev/full".into());
        let writer = Writer::start(full, &log.path).unwrap();
        log.writer.set(Arc::new(writer)).unwrap();
        log.log("one");
        log.log("two");
        wait(&log, (0, 2));
    }

    /// A disk that hangs costs a handshake nothing.
    #[test]
    fn nobody_waits_for_a_writer_that_hangs() {
        let (lines, waiting) = sync_channel(2);
        let log = file("keys.log".into());
        let counts = Arc::default();
        log.writer.set(Arc::new(Writer { lines, counts })).unwrap();
        for _ in 0..5 {
            log.log("line");
        }
        assert_eq!(log.counts(), (0, 3));
        drop(waiting);
    }
}
