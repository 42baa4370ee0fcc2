//! What a distribution ships: completions, manual pages, units and a Debian package, each judged by the programs that will read it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod completions;
mod debian;
mod features;
mod man;
mod schema;
mod units;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Runs the program under test and returns what it printed.
fn doorward(arguments: &[&str]) -> String {
    let output = run(
        Command::new(env!("CARGO_BIN_EXE_doorward")).args(arguments),
        "",
    );
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command; `package` is the Debian package that has it, which `scripts/test` installs.
fn run(command: &mut Command, package: &str) -> Output {
    command.output().unwrap_or_else(|error| {
        let program = command.get_program().display();
        panic!(
            "{program} cannot be run: {error}; scripts/test installs the Debian package {package}"
        )
    })
}

/// All that a program printed.
fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
