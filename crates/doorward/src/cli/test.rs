//! `doorward test FILE`: only the tests in the configuration.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{FAULT, complain, say};
use crate::config;
use crate::config::tests::TestResult;

/// Runs the tests in a configuration file
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file
    file: PathBuf,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "OUT")]
    junit: Option<PathBuf>,
}

/// 0 = all pass, 1 = not.
pub(super) fn run(args: Args) -> ExitCode {
    let loaded = match config::load(&args.file) {
        Ok(loaded) => loaded,
        Err(failure) => {
            complain(&failure);
            return ExitCode::from(FAULT);
        }
    };
    let results = config::tests::run(&loaded.config, jiff::Timestamp::now());
    let failed = complain_of(&results);
    if let Some(path) = args.junit
        && let Err(error) = std::fs::write(&path, junit(&results))
    {
        complain(&format!(
            "the results cannot be written\n --> {}: {error}",
            path.display()
        ));
        return ExitCode::from(FAULT);
    }
    for result in results.iter().filter(|result| result.passed()) {
        say(&format!("ok {} ({})", result.name, result.location));
    }
    say(&format!(
        "{} passed, {failed} failed",
        results.len() - failed
    ));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAULT)
    }
}

/// Prints what failed, and how many tests did.
pub(super) fn complain_of(results: &[TestResult]) -> usize {
    let failed = results.iter().filter(|result| !result.passed());
    for result in failed.clone() {
        complain(result);
    }
    failed.count()
}

fn junit(results: &[TestResult]) -> String {
    let failed = results.iter().filter(|result| !result.passed()).count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    _ = writeln!(
        xml,
        "<testsuite name=\"doorward\" tests=\"{}\" failures=\"{failed}\">",
        results.len()
    );
    for result in results {
        let name = escape(&format!("{} ({})", result.name, result.location));
        _ = write!(
            xml,
            "  <testcase classname=\"doorward\" name=\"{name}\" assertions=\"{}\"",
            result.expectations
        );
        if result.passed() {
            xml.push_str("/>\n");
            continue;
        }
        xml.push_str(">\n");
        let messages: Vec<String> = result
            .failures
            .iter()
            .map(|failure| format!("{}: {}", failure.location, failure.message))
            .collect();
        let first = escape(messages.first().map_or("", String::as_str));
        _ = writeln!(
            xml,
            "    <failure message=\"{first}\">{}</failure>",
            escape(&messages.join("\n"))
        );
        xml.push_str("  </testcase>\n");
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
