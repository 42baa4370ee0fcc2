//! What the commands that ask other servers have in common.

mod dns;
pub(super) mod report;
pub(super) mod secret;
mod tls;

use std::fmt;
use std::process::ExitCode;

use super::{FAULT, USAGE, complain};
pub(super) use dns::{HastlsArgs, ResolverArgs, record_type};
pub(super) use tls::TlsArgs;

/// Why nothing was asked.
#[derive(Debug)]
pub(super) enum Problem {
    /// The command line is wrong.
    Usage(String),
    /// A file, a variable or the terminal is.
    Fault(String),
}

impl Problem {
    pub(super) fn usage(what: impl fmt::Display) -> Self {
        Self::Usage(what.to_string())
    }
}

/// What is spoken inside of TLS, which decides about its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// TLS 1.3 (RFC 9887 section 3.1).
    TacacsTls,
    /// TLS 1.3, or 1.2 where the server knows nothing better.
    RadiusTls,
    /// DTLS 1.2.
    RadiusDtls,
}

/// What is logged: faults, and HASTLS records that change nothing, which whoever asks for them wants to know.
pub(super) const LOGGED: &str = "error,doorward_client::hastls=warn";

/// The longest `--timeout`, in seconds.
const MAX_TIMEOUT: f64 = 3600.0;

/// Refuses a `--timeout` that is none.
pub(super) fn seconds(timeout: f64) -> Result<(), Problem> {
    if timeout > 0.0 && timeout <= MAX_TIMEOUT {
        return Ok(());
    }
    Err(Problem::usage(
        "--timeout is a number of seconds from above 0 to 3600",
    ))
}

/// What asynchronous clients run on.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| {
        Problem::Fault(format!("the asynchronous runtime does not start: {error}"))
    })
}

/// Says why nothing was asked, if so, and how the program ends.
pub(super) fn finish(done: Result<ExitCode, Problem>, command: &str) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(Problem::Usage(what)) => {
            complain(&format_args!("{what}\nsee {command} --help"));
            ExitCode::from(USAGE)
        }
        Err(Problem::Fault(what)) => {
            complain(&what);
            ExitCode::from(FAULT)
        }
    }
}
