//! `doorward acct search|tail`: reads the accounting journal, with the server or without it.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{ConfigArg, FAULT, complain};
use crate::accounting::{
    CommandGlob, JournalError, Kind, Query, Reader, SinceError, Stored, Tail, TextForm,
    parse_since, unescape, write_json,
};
use crate::config;

/// Search and follow what was recorded
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the records that match, oldest first
    Search {
        #[command(flatten)]
        filter: Filter,
    },
    /// Print the last records that match, then new ones as they come
    Tail {
        #[command(flatten)]
        filter: Filter,
        /// How many of the last records come first
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        lines: usize,
    },
}

#[derive(Debug, clap::Args)]
struct Filter {
    #[command(flatten)]
    config: ConfigArg,
    /// The journal itself, for use without a configuration
    #[arg(long, value_name = "PATH", hide = true)]
    journal: Option<PathBuf>,
    /// Only records of this device
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only records of this user; users marked quiet are shown only when named
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only records whose whole command line matches: `*` any characters, `?` one
    #[arg(long, value_name = "GLOB")]
    cmd: Option<String>,
    /// Only records received since: 2026-11-20T10:00:00Z, 2026-11-20, or an age such as 30m, 2h, 7d
    #[arg(long, value_name = "T", value_parser = since)]
    since: Option<Timestamp>,
    /// Only records of this kind
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Runs `acct`.
pub(super) fn run(args: Args) -> ExitCode {
    let outcome = match args.command {
        Command::Search { filter } => search(&filter),
        Command::Tail { filter, lines } => tail(&filter, lines),
    };
    match outcome {
        Ok(code) => code,
        // Whoever read our output has seen enough.
        Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            complain(&trouble);
            ExitCode::from(FAULT)
        }
    }
}

fn search(filter: &Filter) -> Result<ExitCode, Trouble> {
    let (path, query) = filter.read()?;
    let mut printer = Printer::new(filter.json, &path);
    let reader = printer.sound(Reader::open(&path))?;
    for stored in printer.sound(reader.search(query))? {
        printer.print(stored)?;
    }
    printer.flush()?;
    Ok(printer.code)
}

fn tail(filter: &Filter, lines: usize) -> Result<ExitCode, Trouble> {
    let (path, query) = filter.read()?;
    let mut printer = Printer::new(filter.json, &path);
    let reader = printer.sound(Reader::open(&path))?;
    let (last, mut tail) = printer.sound(reader.tail(query, lines))?;
    for stored in last {
        printer.print(Ok(stored))?;
    }
    printer.flush()?;
    loop {
        match printer.sound(tail.poll())? {
            Some(new) => {
                for stored in new {
                    printer.print(stored)?;
                }
                printer.flush()?;
            }
            None => std::thread::sleep(Tail::INTERVAL),
        }
    }
}

impl Filter {
    /// Where the journal is, and what is searched for.
    fn read(&self) -> Result<(PathBuf, Query), Trouble> {
        let mut quiet = HashSet::new();
        let path = match &self.journal {
            Some(path) => path.clone(),
            None => {
                let found = config::load_for_records(&self.config.config)
                    .map_err(Trouble::Configuration)?;
                quiet.extend(found.quiet.iter().map(|name| name.as_bytes().to_vec()));
                found.journal
            }
        };
        let query = Query {
            device: self.device.clone(),
            user: self.user.as_deref().map(unescape),
            command: self.cmd.as_deref().map(CommandGlob::new),
            since: self.since,
            kind: self.kind,
            quiet,
        };
        Ok((path, query))
    }
}

fn since(text: &str) -> Result<Timestamp, SinceError> {
    parse_since(text, &Zoned::now())
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| format!("one of {}", Kind::ALL.map(Kind::name).join(", ")))
}

/// Writes records to stdout, many at a time.
struct Printer<'a> {
    journal: &'a Path,
    out: Vec<u8>,
    text: Option<TextForm>,
    code: ExitCode,
}

/// Octets gathered before they are written.
const CHUNK: usize = 64 * 1024;

impl<'a> Printer<'a> {
    fn new(json: bool, journal: &'a Path) -> Self {
        let text = (!json).then(|| TextForm::new(TimeZone::system()));
        Self {
            journal,
            out: Vec::with_capacity(CHUNK * 2),
            text,
            code: ExitCode::SUCCESS,
        }
    }

    /// A fault of the journal, with its path.
    fn trouble(&self, error: JournalError) -> Trouble {
        Trouble::Journal(self.journal.to_path_buf(), error)
    }

    fn sound<T>(&self, outcome: Result<T, JournalError>) -> Result<T, Trouble> {
        outcome.map_err(|error| self.trouble(error))
    }

    /// A record that cannot be read is reported, and the others are still shown.
    fn print(&mut self, stored: Result<Stored, JournalError>) -> Result<(), Trouble> {
        let stored = match stored {
            Err(error @ JournalError::Malformed(_)) => {
                complain(&self.trouble(error));
                self.code = ExitCode::from(FAULT);
                return Ok(());
            }
            stored => self.sound(stored)?,
        };
        let view = stored
            .record
            .view()
            .map_err(|_| self.trouble(JournalError::Malformed(stored.position)))?;
        match &mut self.text {
            Some(form) => form.write(&mut self.out, &view),
            None => write_json(&mut self.out, &view),
        }
        match self.out.len() >= CHUNK {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        let mut stdout = io::stdout().lock();
        let outcome = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        outcome.map_err(Trouble::Output)
    }
}

enum Trouble {
    Configuration(config::Failure),
    Journal(PathBuf, JournalError),
    Output(io::Error),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Configuration(failure) => write!(f, "{failure}"),
            Self::Journal(path, error) => write!(
                f,
                "error: {error}\n  --> {}\n  help: {}",
                path.display(),
                help(error)
            ),
            Self::Output(error) => write!(
                f,
                "error: the output cannot be written: {error}\n  --> stdout\n  help: look at what it goes to"
            ),
        }
    }
}

fn help(error: &JournalError) -> &'static str {
    match error {
        JournalError::Missing(_) => {
            "it is made when the server first runs; see `journal` in the [server] table of its configuration"
        }
        JournalError::File(..) | JournalError::Open(..) => {
            "run this as the user of the server, or as one who may read its files"
        }
        JournalError::Format(_) => {
            "is `journal` in [server] the right file, and this program of the version that writes it?"
        }
        JournalError::Malformed(_) => {
            "the other records are shown; is this program of the version that wrote it? if so, the file is damaged: keep a copy"
        }
        JournalError::Database(_) | JournalError::DiskFull => {
            "check the disk (room, errors in the kernel's log); `sqlite3 FILE 'pragma integrity_check'` tests the file"
        }
        JournalError::InUse { .. } | JournalError::Full | JournalError::Stopped => {
            "try again; the server's log says more"
        }
    }
}
