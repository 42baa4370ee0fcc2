//! `doorward completions SHELL`: a completion script, made from the definition of the command line.

use std::process::ExitCode;

use clap_complete::Shell;

use super::{FAULT, complain};

/// Print a completion script, for bash to /usr/share/bash-completion/completions/doorward
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &Args) -> ExitCode {
    use std::io::Write as _;
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::definition(),
        "doorward",
        &mut script,
    );
    match std::io::stdout().lock().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!(
                "error: the completion script cannot be written: {error}\n  --> standard output"
            ));
            ExitCode::from(FAULT)
        }
    }
}
