//! `doorward man`: the manual pages, made from the help texts.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_mangen::Man;

use super::{FAULT, complain};

/// Print the manual page, or write one for every command into a directory
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write doorward.1 and a page for each command there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints doorward(1), or writes all pages.
pub(super) fn run(args: &Args) -> ExitCode {
    let (result, place) = match &args.dir {
        Some(folder) => (write_all(folder), folder.display().to_string()),
        None => (
            page(&built()).and_then(|text| io::stdout().lock().write_all(&text)),
            "standard output".to_owned(),
        ),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!(
                "error: a manual page cannot be written: {error}\n  --> {place}\n  help: the directory has to exist, and to be yours to write"
            ));
            ExitCode::from(FAULT)
        }
    }
}

/// The command line with every name and flag in its place. `--help` says what `help` would, so that it needs no pages.
fn built() -> clap::Command {
    let mut command = super::definition().disable_help_subcommand(true);
    command.build();
    command
}

fn write_all(folder: &Path) -> io::Result<()> {
    for command in tree(built()) {
        let path = folder.join(format!("{}.1", name(&command)));
        std::fs::write(&path, page(&command)?)?;
    }
    Ok(())
}

/// A command and all below it.
fn tree(command: clap::Command) -> Vec<clap::Command> {
    let below: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    std::iter::once(command)
        .chain(below.into_iter().flat_map(tree))
        .collect()
}

/// `doorward-acct-search`.
fn name(command: &clap::Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = Vec::new();
    Man::new(command.clone())
        .manual("Doorward")
        .source(format!("doorward {version}"))
        .render(&mut text)?;
    text.extend_from_slice(CLOSING.as_bytes());
    if name(command) != "doorward" {
        text.extend_from_slice(b".SH \"SEE ALSO\"\n\\fBdoorward\\fR(1)\n");
    }
    Ok(text)
}

/// What holds for every command (section "Every day" of the README says the same).
const CLOSING: &str = r#".SH "EXIT STATUS"
.TP
\fB0\fR
Done; where something was asked: pass, permit.
.TP
\fB1\fR
A fault on this side: a file, the configuration, a socket.
.TP
\fB2\fR
The answer is no: fail, deny, differs.
.TP
\fB3\fR
No answer.
.TP
\fB64\fR
Wrong usage.
.SH FILES
.TP
\fI/etc/doorward/doorward.toml\fR
The configuration.
.TP
\fI/var/lib/doorward\fR
The accounting journal and the store.
.TP
\fI/run/doorward/control.sock\fR
Where \fBdoorward reload\fR and \fBdoorward status\fR ask the running server.
.SH ENVIRONMENT
.TP
\fBDOORWARD_CONFIG\fR
The configuration file, where \fB\-\-config\fR does not name one.
.TP
\fBDOORWARD_LOG\fR
The level of the log: \fBerror\fR, \fBwarn\fR, \fBinfo\fR (the default), \fBdebug\fR or \fBtrace\fR.
"#;
