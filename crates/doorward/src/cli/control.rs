//! Skeleton.

use std::process::ExitCode;

/// Skeleton.
#[derive(Debug, clap::Args)]
pub struct ReloadArgs {}

/// Skeleton.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {}

/// Skeleton.
pub fn reload(_args: ReloadArgs) -> ExitCode {
    ExitCode::SUCCESS
}

/// Skeleton.
pub fn status(_args: StatusArgs) -> ExitCode {
    ExitCode::SUCCESS
}
