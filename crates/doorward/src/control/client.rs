//! The other end of the control socket, for the commands that ask the running server.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Request, Response};

/// A reload reads files and runs tests; a status is instant; an order waits for its device, and no longer than
/// [`MAX_SECONDS`](crate::runtime::MAX_SECONDS).
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the running server could not be asked.
#[derive(Debug)]
pub enum AskError {
    /// Nobody listens there.
    NotRunning(PathBuf, std::io::Error),
    /// The conversation broke off.
    Broken(PathBuf, std::io::Error),
    /// The answer was not understood.
    Answer(String),
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRunning(path, error) => write!(
                f,
                "error: no running server answers on the control socket: {error}\n  --> {}\n  help: is `doorward run` started with the same \
                 configuration, and are you the user it runs as (or root)?",
                path.display()
            ),
            Self::Broken(path, error) => write!(
                f,
                "error: the server broke off the conversation: {error}\n  --> {}\n  help: its log says why",
                path.display()
            ),
            Self::Answer(text) => write!(
                f,
                "error: the server's answer was not understood: {text}\n  help: are the running server and this program of the same version?"
            ),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the server whose control socket is at `path`.
///
/// # Errors
/// No server there, or no answer within a minute.
pub fn ask(path: &Path, request: &Request) -> Result<Response, AskError> {
    let stream = UnixStream::connect(path)
        .map_err(|error| AskError::NotRunning(path.to_path_buf(), error))?;
    let exchange = || -> std::io::Result<String> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        (&stream).write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| AskError::Broken(path.to_path_buf(), error))?;
    match serde_json::from_str(&answer) {
        Ok(Response::Invalid { error }) => Err(AskError::Answer(error)),
        Ok(response) => Ok(response),
        Err(error) => Err(AskError::Answer(error.to_string())),
    }
}
