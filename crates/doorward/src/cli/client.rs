//! Skeleton.

use std::process::ExitCode;

/// Skeleton.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Skeleton.
pub fn run(_args: Args) -> ExitCode {
    ExitCode::SUCCESS
}
