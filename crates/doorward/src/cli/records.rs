//! What `acct` and `audit` share: where the journal is, searching and following it, printing what was found.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use doorward_tacacs::Dialect;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{ConfigArg, FAULT, complain};
use crate::accounting::{
    CommandGlob, JournalError, OpenTask, Query, Reader, SinceError, Stored, Tail, TextForm, Wanted,
    parse_since, unescape, write_json, write_open_json,
};
use crate::config::{self, Audit};
use crate::identity::user_name;

/// Conditions on an entry of either form.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    #[command(flatten)]
    config: ConfigArg,
    /// The journal itself, for use without a configuration
    #[arg(long, value_name = "PATH", hide = true)]
    journal: Option<PathBuf>,
    /// Only of this device
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only of this user; users marked quiet are shown only when named
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only those whose whole command line matches: `*` any characters, `?` one
    #[arg(long, value_name = "GLOB")]
    cmd: Option<String>,
    /// Only since: 2026-11-20T10:00:00Z, 2026-11-20, or an age such as 30m, 2h, 7d
    #[arg(long, value_name = "T", value_parser = since)]
    since: Option<Timestamp>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Prints what matches, oldest first.
pub(super) fn search(filter: &Filter, wanted: Wanted) -> ExitCode {
    finish(print_found(filter, wanted))
}

/// Prints the tasks that are open, in the order in which they began.
pub(super) fn open_tasks(filter: &Filter) -> ExitCode {
    finish(print_open(filter))
}

/// Prints the last `lines` that match, then new ones as they come.
pub(super) fn tail(filter: &Filter, wanted: Wanted, lines: usize) -> ExitCode {
    finish(follow(filter, wanted, lines))
}

fn finish(outcome: Result<ExitCode, Trouble>) -> ExitCode {
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

fn print_found(filter: &Filter, wanted: Wanted) -> Result<ExitCode, Trouble> {
    let place = filter.place()?;
    let query = filter.query(&place, wanted);
    let mut printer = Printer::new(filter.json, &place.journal);
    let reader = printer.sound(Reader::open(&place.journal))?;
    for stored in printer.sound(reader.search(query.clone()))? {
        printer.print(stored)?;
    }
    printer.flush()?;
    if printer.printed == 0 {
        hints(&place, &query, printer.sound(reader.begins())?);
    }
    Ok(printer.code)
}

fn print_open(filter: &Filter) -> Result<ExitCode, Trouble> {
    let place = filter.place()?;
    let query = filter.query(&place, Wanted::default());
    let mut printer = Printer::new(filter.json, &place.journal);
    let reader = printer.sound(Reader::open(&place.journal))?;
    let mut unread = Vec::new();
    let found = reader.open_tasks(&query, |error| unread.push(error));
    for error in unread {
        complain(&printer.trouble(error));
        printer.code = ExitCode::from(FAULT);
    }
    let found = printer.sound(found)?;
    for task in &found.tasks {
        printer.print_open(task)?;
    }
    printer.flush()?;
    if found.left_out > 0 {
        note(
            &place.journal,
            &format!("{} older tasks without an end are left out", found.left_out),
            "devices that report starts alone have one for every command: ask for less with --device or --since",
        );
    }
    if printer.printed == 0 {
        hints(&place, &query, printer.sound(reader.begins())?);
    }
    Ok(printer.code)
}

fn follow(filter: &Filter, wanted: Wanted, lines: usize) -> Result<ExitCode, Trouble> {
    let place = filter.place()?;
    let query = filter.query(&place, wanted);
    let mut printer = Printer::new(filter.json, &place.journal);
    let reader = printer.sound(Reader::open(&place.journal))?;
    let (last, mut tail) = printer.sound(reader.tail(query.clone(), lines))?;
    if last.is_empty() {
        not_kept(&place, &query);
    }
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

/// What the configuration says about the records.
struct Place {
    journal: PathBuf,
    quiet: HashSet<Vec<u8>>,
    /// Which decisions are kept, and the file that says so; `None` without a configuration.
    audit: Option<(Audit, PathBuf)>,
}

impl Filter {
    fn place(&self) -> Result<Place, Trouble> {
        if let Some(journal) = &self.journal {
            return Ok(Place {
                journal: journal.clone(),
                quiet: HashSet::new(),
                audit: None,
            });
        }
        let file = &self.config.config;
        let found = config::load_for_records(file).map_err(Trouble::Configuration)?;
        let quiet = found.quiet.iter().map(|name| name.as_bytes().to_vec());
        Ok(Place {
            quiet: quiet.collect(),
            journal: found.journal,
            audit: Some((found.audit, file.clone())),
        })
    }

    fn query(&self, place: &Place, wanted: Wanted) -> Query {
        Query {
            device: self.device.clone(),
            user: self.user.as_deref().map(as_recorded),
            command: self.cmd.as_deref().map(CommandGlob::new),
            since: self.since,
            wanted,
            quiet: place.quiet.clone(),
        }
    }
}

pub(super) fn since(text: &str) -> Result<Timestamp, SinceError> {
    parse_since(text, &Zoned::now())
}

/// Says why nothing was found, where that is not because nothing happened.
fn hints(place: &Place, query: &Query, begins: Option<Timestamp>) {
    not_kept(place, query);
    match (begins, query.since) {
        (None, _) => note(
            &place.journal,
            "nothing was recorded so far",
            "is this the journal that the server writes? see `journal` in the [server] table of its configuration",
        ),
        (Some(begins), Some(since)) if since < begins => {
            let begins = begins
                .to_zoned(TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S%:z");
            note(
                &place.journal,
                &format!("the records begin at {begins}, which is later than --since"),
                "older ones were dropped (see `keep` of the [[accounting]] database), or there were none",
            );
        }
        (Some(_), _) => {}
    }
}

/// Says so where the configuration keeps none of the decisions that are asked for.
fn not_kept(place: &Place, query: &Query) {
    let Wanted::Decisions { outcome, .. } = &query.wanted else {
        return;
    };
    let Some((audit, file)) = &place.audit else {
        return;
    };
    match audit {
        Audit::Off => note(
            file,
            "no decision is kept: [audit] decisions is \"off\"",
            "write decisions = \"denied\", or \"all\", and run `doorward reload`",
        ),
        Audit::Denied if matches!(outcome.as_deref(), Some("pass" | "permit")) => note(
            file,
            "permits and successful logins are not kept: [audit] decisions is \"denied\"",
            "write decisions = \"all\" and run `doorward reload`; what users did is in `doorward acct search`",
        ),
        Audit::Denied | Audit::All => {}
    }
}

fn note(place: &Path, what: &str, help: &str) {
    complain(&format_args!(
        "note: {what}\n  --> {}\n  help: {help}",
        place.display()
    ));
}

/// Writes entries to stdout, many at a time.
struct Printer<'a> {
    journal: &'a Path,
    out: Vec<u8>,
    text: Option<TextForm>,
    code: ExitCode,
    printed: usize,
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
            printed: 0,
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
            .entry
            .view()
            .map_err(|_| self.trouble(JournalError::Malformed(stored.position)))?;
        self.printed += 1;
        match &mut self.text {
            Some(form) => form.write(&mut self.out, &view),
            None => write_json(&mut self.out, &view),
        }
        match self.out.len() >= CHUNK {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn print_open(&mut self, task: &OpenTask) -> Result<(), Trouble> {
        let written = match &mut self.text {
            Some(form) => form.write_open(&mut self.out, task, Timestamp::now()),
            None => write_open_json(&mut self.out, task),
        };
        written.map_err(|_| self.trouble(JournalError::Malformed(task.began.position)))?;
        self.printed += 1;
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

pub(super) fn help(error: &JournalError) -> &'static str {
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
        JournalError::InUse { .. }
        | JournalError::Failing
        | JournalError::Full
        | JournalError::Stopped => "try again; the server's log says more",
    }
}

/// A user name in the form that records have: however it is typed, it is found. What is no name is looked for as it is.
fn as_recorded(text: &str) -> Vec<u8> {
    let octets = unescape(text);
    match user_name(&octets, Dialect::Rfc8907) {
        Ok(name) => name.into_owned().into_bytes(),
        Err(_) => octets,
    }
}
