//! Secret references on the command line. No message shows a value, nor a text that may be one.

use std::path::Path;

use super::Problem;
use crate::cli::complain;
use crate::secret::{Octets, ReadError, Reference, World};

/// The secret that `text` refers to, for the flag `flag`.
pub(in crate::cli) fn read(flag: &str, text: &str) -> Result<Octets, Problem> {
    let reference = Reference::parse(text).ok_or_else(|| {
        Problem::Usage(format!(
            "{flag} is no secret reference: write file:PATH, env:NAME, cred:NAME, exec:PROGRAM or plain:TEXT"
        ))
    })?;
    if let Reference::Plain(_) = reference {
        complain(&format_args!(
            "warning: {flag} stands on the command line, where others can see it"
        ));
    }
    let world = World {
        folder: Path::new(""),
        variable: &|name| std::env::var_os(name),
        stderr: true,
    };
    reference.read(&world).map_err(|error| {
        let why = match (&error, reference) {
            (ReadError::NoVariable, Reference::Variable(name)) => {
                format!(
                    "the environment variable {} is not set",
                    name.escape_debug()
                )
            }
            (ReadError::NoCredentials, _) => "CREDENTIALS_DIRECTORY is not set".to_owned(),
            (ReadError::NoProgram, _) => "there is no program".to_owned(),
            (ReadError::Failed(program, status), _) => {
                format!("{} ended with {status}", program.display())
            }
            _ => error.to_string(),
        };
        Problem::Fault(format!("the secret of {flag} cannot be read: {why}"))
    })
}
