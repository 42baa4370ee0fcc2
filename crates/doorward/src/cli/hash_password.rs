//! `doorward hash-password`: a password from stdin or the terminal, its hash on stdout.

use std::fmt;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use zeroize::Zeroizing;

use super::terminal::{NoLine, hidden};
use super::{FAULT, complain, say};
use crate::identity::{HashError, MAX_PASSWORD, hash_password};
use crate::secret::{Octets, trim_line_end};

/// Read a password from stdin and print its hash for the configuration
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs `hash-password`.
pub(super) fn run(_args: Args) -> ExitCode {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        ask()
    } else {
        read(stdin.lock())
    };
    match password.and_then(|password| hash_password(&password).map_err(Trouble::Hash)) {
        Ok(hash) => {
            say(&hash);
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            complain(&trouble);
            ExitCode::from(FAULT)
        }
    }
}

fn ask() -> Result<Octets, Trouble> {
    let password = hidden("Password: ").map_err(Trouble::Typing)?;
    let again = hidden("The same again: ").map_err(Trouble::Typing)?;
    match *again == *password {
        true => Ok(password),
        false => Err(Trouble::Different),
    }
}

/// Everything up to the end of the input, without one line end.
fn read(input: impl Read) -> Result<Octets, Trouble> {
    // Room for it all from the start: a buffer that grows leaves copies behind. One octet too many is read, so that
    // what is too long is refused rather than cut.
    let limit = MAX_PASSWORD + 3;
    let mut password = Zeroizing::new(Vec::with_capacity(limit + 1));
    let octets = u64::try_from(limit).unwrap_or(u64::MAX);
    input
        .take(octets)
        .read_to_end(&mut password)
        .map_err(Trouble::Input)?;
    trim_line_end(&mut password);
    Ok(password)
}

#[derive(Debug)]
enum Trouble {
    Input(io::Error),
    Typing(NoLine),
    Different,
    Hash(HashError),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => write!(f, "the password cannot be read: {error}"),
            Self::Typing(error) => write!(f, "the password cannot be read: {error}"),
            Self::Different => {
                f.write_str("the two passwords are not the same: nothing was hashed")
            }
            Self::Hash(error) => write!(f, "{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_taken_off_and_nothing_else() {
        for (input, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("secret\n\n", "secret\n"),
            (" a b \n", " a b "),
            ("\n", ""),
        ] {
            assert_eq!(
                read(input.as_bytes()).unwrap().as_slice(),
                password.as_bytes()
            );
        }
    }

    #[test]
    fn a_password_that_is_too_long_is_refused_not_cut() {
        for line_end in ["", "\n", "\r\n"] {
            let longest = "x".repeat(MAX_PASSWORD);
            let password = read(format!("{longest}{line_end}").as_bytes()).unwrap();
            assert_eq!(password.len(), MAX_PASSWORD);
            let password = read(format!("{longest}x{line_end}").as_bytes()).unwrap();
            assert_eq!(hash_password(&password), Err(HashError::Length));
        }
    }
}
