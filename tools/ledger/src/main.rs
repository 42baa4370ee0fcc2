//! `doorward-ledger`: the ledger check on the command line.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use doorward_ledger::check::{Report, check};
use doorward_ledger::page::{PAGE, page, table};

const USAGE: &str = "\
usage: doorward-ledger --results FILE [--root DIR] [--write | --check] [-v]

  --results FILE  the output of `cargo test --workspace`, stdout and stderr
  --root DIR      the root of the repository (default: the current directory)
  --write         write docs/conformance.md
  --check         fail when docs/conformance.md is out of date
  -v, --verbose   list the warnings
";

/// The code for a command line that makes no sense (EX_USAGE).
const USAGE_ERROR: u8 = 64;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            let _ = write!(io::stderr(), "doorward-ledger: {error}\n\n{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    let result = if options.help {
        io::stdout().write_all(USAGE.as_bytes()).map(|()| true)
    } else {
        run(&options)
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "doorward-ledger: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PageAction {
    #[default]
    Leave,
    Write,
    Check,
}

#[derive(Debug, Default)]
struct Options {
    results: PathBuf,
    root: PathBuf,
    page: PageAction,
    verbose: bool,
    help: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            root: PathBuf::from("."),
            ..Self::default()
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--results" => options.results = value()?.into(),
                "--root" => options.root = value()?.into(),
                "--write" | "--check" if options.page != PageAction::Leave => {
                    return Err("--write and --check exclude each other".to_owned());
                }
                "--write" => options.page = PageAction::Write,
                "--check" => options.page = PageAction::Check,
                "-v" | "--verbose" => options.verbose = true,
                "-h" | "--help" => options.help = true,
                other => return Err(format!("unknown argument `{other}`")),
            }
        }
        if options.results.as_os_str().is_empty() && !options.help {
            return Err("--results is missing".to_owned());
        }
        Ok(options)
    }
}

/// Whether the ledger is in order.
fn run(options: &Options) -> io::Result<bool> {
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
    };
    // Tests may print anything; the lines that matter are plain text.
    let output = String::from_utf8_lossy(&read(&options.results)?).into_owned();
    let mut report = check(&options.root, &output);
    settle_page(options, &mut report)?;

    let mut out = io::stdout().lock();
    out.write_all(table(&report).as_bytes())?;
    if options.verbose {
        for warning in &report.warnings {
            writeln!(out, "warning: {warning}")?;
        }
    }
    for error in &report.errors {
        writeln!(out, "error: {error}")?;
    }
    let hint = if options.verbose || report.warnings.is_empty() {
        ""
    } else {
        " (-v lists them)"
    };
    let (errors, warnings) = (report.errors.len(), report.warnings.len());
    writeln!(out, "ledger: {errors} errors, {warnings} warnings{hint}")?;
    Ok(report.errors.is_empty())
}

fn settle_page(options: &Options, report: &mut Report) -> io::Result<()> {
    let path = options.root.join(PAGE);
    match options.page {
        PageAction::Leave => {}
        PageAction::Write if report.errors.is_empty() => fs::write(path, page(report))?,
        PageAction::Write => report.errors.push(format!("{PAGE} was not written")),
        PageAction::Check => {
            if fs::read_to_string(path).unwrap_or_default() != page(report) {
                let again = format!("--results {} --write", options.results.display());
                let error =
                    format!("{PAGE} is out of date; anew: cargo run -p doorward-ledger -- {again}");
                report.errors.push(error);
            }
        }
    }
    Ok(())
}
