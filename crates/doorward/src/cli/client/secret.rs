//! Secret references on the command line. No message shows a value, nor a text that may be one.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::{Octets, Problem};
use crate::cli::complain;

/// No secret is longer.
const MAX_OCTETS: u64 = 1 << 20;

/// The secret that `text` refers to, for the flag `flag`.
pub(super) fn read(flag: &str, text: &str) -> Result<Octets, Problem> {
    let unknown = || {
        Problem::Usage(format!(
            "{flag} is no secret reference: write file:PATH, env:NAME, cred:NAME, exec:PROGRAM or plain:TEXT"
        ))
    };
    let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
    let fault = |why: String| Problem::Fault(format!("the secret of {flag} cannot be read: {why}"));
    let mut secret = match kind {
        "file" => from_file(Path::new(rest)).map_err(fault)?,
        "env" => std::env::var_os(rest)
            .map(|value| Zeroizing::new(value.into_encoded_bytes()))
            .ok_or_else(|| {
                fault(format!(
                    "the environment variable {} is not set",
                    rest.escape_debug()
                ))
            })?,
        "cred" => credential(rest).map_err(fault)?,
        "exec" => from_program(rest).map_err(fault)?,
        "plain" => {
            complain(&format_args!(
                "warning: {flag} stands on the command line, where others can see it"
            ));
            return Ok(Zeroizing::new(rest.as_bytes().to_vec()));
        }
        _ => return Err(unknown()),
    };
    if secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
    if secret.is_empty() {
        return Err(fault("it is empty".to_owned()));
    }
    Ok(secret)
}

fn from_file(path: &Path) -> Result<Octets, String> {
    let fault = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(fault)?;
    let mut secret = Zeroizing::new(Vec::new());
    file.take(MAX_OCTETS)
        .read_to_end(&mut secret)
        .map_err(fault)?;
    Ok(secret)
}

/// A credential that systemd handed over.
fn credential(name: &str) -> Result<Octets, String> {
    if name.is_empty() || name.contains('/') || name == ".." {
        return Err("a credential has a plain name".to_owned());
    }
    let folder =
        std::env::var_os("CREDENTIALS_DIRECTORY").ok_or("CREDENTIALS_DIRECTORY is not set")?;
    from_file(&Path::new(&folder).join(name))
}

/// What a program prints; its words stand between blanks.
fn from_program(text: &str) -> Result<Octets, String> {
    let mut words = text.split_whitespace().map(OsStr::new);
    let program = words.next().ok_or("there is no program")?;
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let secret = Zeroizing::new(output.stdout);
    if output.status.success() {
        Ok(secret)
    } else {
        Err(format!(
            "{} ended with {}",
            program.display(),
            output.status
        ))
    }
}
