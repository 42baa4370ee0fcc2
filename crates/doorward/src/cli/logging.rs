//! The log: fields on stderr, as text for people or JSON for programs.
//!
//! Lines are written by a thread of their own behind a bounded queue. A reader of stderr that has stopped reading (a full pipe, a
//! stuck terminal) then costs lines, which are counted, and never a login.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// Lines that may wait for a slow reader.
const QUEUE: usize = 8192;
/// How long the end of the program waits for the last lines.
const FAREWELL: Duration = Duration::from_secs(2);

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// The running log; on drop its last lines are written.
#[must_use = "dropped, the log no longer waits for its last lines"]
pub(super) struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    queue: SyncSender<Entry>,
}

impl Log {
    /// Changes the level, unless `DOORWARD_LOG` says what it is.
    pub(super) fn level(&self, level: &str) {
        _ = self.filter.reload(filter(level));
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Entry::Flush(done)).is_ok() {
            _ = written.recv_timeout(FAREWELL);
        }
    }
}

/// Starts logging to stderr. The level comes from `DOORWARD_LOG` (as `info`, `debug` or `doorward=debug`), or else is `level`, of
/// the same form.
pub(super) fn start(format: Option<LogFormat>, level: &str) -> Log {
    let terminal = io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let (filtering, handle) = reload::Layer::new(filter(level));
    let (queue, entries) = sync_channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = Queue {
        queue: queue.clone(),
        lost: Arc::clone(&lost),
    };
    let spawned = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write(&entries, &lost, format));
    if let Err(error) = spawned {
        super::complain(&format!(
            "error: the log's thread cannot be started, so there is no log: {error}"
        ));
    }
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_target(false);
    let layer = match format {
        LogFormat::Text => layer
            .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
            .boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    // A second start (a test, the demo inside another program) keeps the first one's logger.
    _ = tracing_subscriber::registry()
        .with(layer.with_filter(filtering))
        .try_init();
    Log {
        filter: handle,
        queue,
    }
}

fn filter(level: &str) -> EnvFilter {
    const VARIABLE: &str = "DOORWARD_LOG";
    let builder = EnvFilter::builder().with_env_var(VARIABLE);
    if std::env::var_os(VARIABLE).is_none_or(|said| said.is_empty()) {
        return builder
            .with_default_directive(LevelFilter::INFO.into())
            .parse_lossy(level);
    }
    builder
        .with_default_directive(level.parse().unwrap_or_else(|_| LevelFilter::INFO.into()))
        .from_env_lossy()
}

enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Takes whole lines, and never waits.
struct Queue {
    queue: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines until the last sender is gone. A stderr that is closed loses its lines and nothing else.
fn write(entries: &Receiver<Entry>, lost: &AtomicU64, format: LogFormat) {
    let mut stderr = io::stderr();
    while let Ok(entry) = entries.recv() {
        match entry {
            Entry::Line(line) => {
                _ = stderr.write_all(&line);
                let lost = lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    _ = writeln!(stderr, "{}", lost_lines(format, lost));
                }
            }
            Entry::Flush(done) => _ = done.try_send(()),
        }
    }
}

fn lost_lines(format: LogFormat, lost: u64) -> String {
    let time = jiff::Timestamp::now();
    let message = "log lines were lost because stderr was not read fast enough";
    match format {
        LogFormat::Text => format!("{time:.6}  WARN {message} lines={lost}"),
        LogFormat::Json => serde_json::json!({ "timestamp": format!("{time:.6}"), "level": "WARN", "message": message, "lines": lost }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_stopped_costs_lines_and_no_time() {
        let (queue, _not_read) = sync_channel(2);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Queue {
            queue,
            lost: Arc::clone(&lost),
        };
        for _ in 0..5 {
            writer.make_writer().write_all(b"a line\n").unwrap();
        }
        assert_eq!(lost.load(Ordering::Relaxed), 3);
    }
}
