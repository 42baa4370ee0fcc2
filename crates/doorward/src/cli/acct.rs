//! `doorward acct search|tail`: reads the accounting journal, with the server or without it.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
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
    let reader = Reader::open(&path)?;
    let mut printer = Printer::new(filter.json);
    for stored in reader.search(query)? {
        printer.print(stored)?;
    }
    printer.flush()?;
    Ok(printer.code)
}

fn tail(filter: &Filter, lines: usize) -> Result<ExitCode, Trouble> {
    let (path, query) = filter.read()?;
    let reader = Reader::open(&path)?;
    let mut printer = Printer::new(filter.json);
    let (last, mut tail) = reader.tail(query, lines)?;
    for stored in last {
        printer.print(Ok(stored))?;
    }
    printer.flush()?;
    loop {
        match tail.poll()? {
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
                let loaded = config::load(&self.config.config).map_err(Trouble::Configuration)?;
                let users = loaded.config.users.values().filter(|user| user.quiet);
                quiet.extend(users.map(|user| user.name.as_bytes().to_vec()));
                loaded.config.server.journal.clone()
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
struct Printer {
    out: Vec<u8>,
    text: Option<TextForm>,
    code: ExitCode,
}

/// Octets gathered before they are written.
const CHUNK: usize = 64 * 1024;

impl Printer {
    fn new(json: bool) -> Self {
        let text = (!json).then(|| TextForm::new(TimeZone::system()));
        Self {
            out: Vec::with_capacity(CHUNK * 2),
            text,
            code: ExitCode::SUCCESS,
        }
    }

    /// A record that cannot be read is reported, and the others are still shown.
    fn print(&mut self, stored: Result<Stored, JournalError>) -> Result<(), Trouble> {
        let stored = match stored {
            Err(error @ JournalError::Malformed(_)) => {
                complain(&error);
                self.code = ExitCode::from(FAULT);
                return Ok(());
            }
            stored => stored?,
        };
        let view = stored
            .record
            .view()
            .map_err(|_| JournalError::Malformed(stored.position))?;
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
    Journal(JournalError),
    Output(io::Error),
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Configuration(failure) => write!(f, "{failure}"),
            Self::Journal(error @ JournalError::Missing(_)) => write!(
                f,
                "{error}\nit is made when the server first runs; see `journal` in the [server] table of its configuration"
            ),
            Self::Journal(error @ JournalError::Open(..)) => {
                write!(
                    f,
                    "{error}\nrun this as the user of the server, or as one who may read its files"
                )
            }
            Self::Journal(error) => write!(f, "{error}"),
            Self::Output(error) => write!(f, "the output cannot be written: {error}"),
        }
    }
}
