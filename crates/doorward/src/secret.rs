//! References to secrets: `file:`, `env:`, `cred:` (systemd), `exec:`, and `plain:`, the secret itself.
//!
//! No error shows a value, nor a text that may be one.

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// No secret, hash or key is longer.
const MAX_OCTETS: usize = 1 << 20;
/// How long the program of an `exec:` reference may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A secret; wiped on drop.
pub type Octets = Zeroizing<Vec<u8>>;

/// Where a secret is. Without `Debug`: one variant holds the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reference<'a> {
    /// The content of the file of this path.
    File(&'a str),
    /// The environment variable of this name.
    Variable(&'a str),
    /// The credential of this name that systemd handed over.
    Credential(&'a str),
    /// What this program with these arguments prints.
    Program(&'a str),
    /// This text.
    Plain(&'a str),
}

/// What a reference may lean on.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Where relative paths start.
    pub folder: &'a Path,
    /// Environment variables, `$CREDENTIALS_DIRECTORY` among them.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Whether the user sees what a program says on stderr.
    pub stderr: bool,
}

impl<'a> Reference<'a> {
    /// Reads `KIND:REST`; `None` = this is no reference, and may be the secret itself.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "file" => Some(Self::File(rest)),
            "env" => Some(Self::Variable(rest)),
            "cred" => Some(Self::Credential(rest)),
            "exec" => Some(Self::Program(rest)),
            "plain" => Some(Self::Plain(rest)),
            _ => None,
        }
    }

    /// The program that an `exec:` reference starts; a bare name is looked for in `PATH`, and is as it is here.
    pub fn program(&self, folder: &Path) -> Option<PathBuf> {
        match self {
            Self::Program(text) => words(text)?.first().map(|name| program(name, folder)),
            Self::File(_) | Self::Variable(_) | Self::Credential(_) | Self::Plain(_) => None,
        }
    }

    /// The secret without its line end, which only a `plain:` one keeps; never empty.
    pub fn read(&self, world: &World<'_>) -> Result<Octets, ReadError> {
        let mut secret = match *self {
            Self::File(path) => read_file(&world.folder.join(path)),
            Self::Variable(name) => (world.variable)(name)
                .map(|value| Zeroizing::new(value.into_encoded_bytes()))
                .ok_or(ReadError::NoVariable),
            Self::Credential(name) => credential(name, world),
            Self::Program(text) => run(text, world, PATIENCE),
            Self::Plain(text) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        }?;
        if !matches!(self, Self::Plain(_)) {
            trim_line_end(&mut secret);
        }
        if secret.is_empty() {
            return Err(ReadError::Empty);
        }
        Ok(secret)
    }
}

/// Why a secret cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// The environment variable is not set.
    NoVariable,
    /// The name of a credential is empty or a path.
    CredentialName,
    /// This process got no credentials from systemd.
    NoCredentials,
    /// The file cannot be read, or the program not be started.
    Io(PathBuf, std::io::Error),
    /// The file is larger than 1 MiB.
    LargeFile(PathBuf),
    /// A quote among the words of the program is not closed.
    OpenQuote,
    /// There are no words of a program.
    NoProgram,
    /// The program printed more than 1 MiB.
    LargeOutput(PathBuf),
    /// The program did not end in time.
    Late(PathBuf),
    /// The program says that it failed.
    Failed(PathBuf, ExitStatus),
    /// The output of the program is lost.
    NoOutput,
    /// There is nothing.
    Empty,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVariable => f.write_str("that environment variable is not set"),
            Self::CredentialName => f.write_str("a credential has a plain name"),
            Self::NoCredentials => f.write_str(
                "CREDENTIALS_DIRECTORY is not set: this process was not started by systemd with credentials",
            ),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::LargeFile(path) => write!(f, "{} is larger than 1 MiB", path.display()),
            Self::OpenQuote => f.write_str("a quote is not closed"),
            Self::NoProgram => f.write_str("no program is named"),
            Self::LargeOutput(program) => {
                write!(f, "{} printed more than 1 MiB", program.display())
            }
            Self::Late(program) => {
                let seconds = PATIENCE.as_secs();
                write!(f, "{} did not end within {seconds} seconds", program.display())
            }
            Self::Failed(program, status) => {
                write!(f, "{} failed ({status})", program.display())
            }
            Self::NoOutput => f.write_str("its output cannot be read"),
            Self::Empty => f.write_str("it is empty"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            Self::NoVariable
            | Self::CredentialName
            | Self::NoCredentials
            | Self::LargeFile(_)
            | Self::OpenQuote
            | Self::NoProgram
            | Self::LargeOutput(_)
            | Self::Late(_)
            | Self::Failed(..)
            | Self::NoOutput
            | Self::Empty => None,
        }
    }
}

/// Takes one line end off.
pub fn trim_line_end(text: &mut Vec<u8>) {
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
}

/// Reads to the end, or just so far that the excess shows.
fn read_all(from: impl Read) -> std::io::Result<Octets> {
    let mut secret = Zeroizing::new(Vec::new());
    from.take(MAX_OCTETS as u64 + 1).read_to_end(&mut secret)?;
    Ok(secret)
}

fn read_file(path: &Path) -> Result<Octets, ReadError> {
    let secret = std::fs::File::open(path)
        .and_then(read_all)
        .map_err(|error| ReadError::Io(path.to_owned(), error))?;
    if secret.len() > MAX_OCTETS {
        return Err(ReadError::LargeFile(path.to_owned()));
    }
    Ok(secret)
}

fn credential(name: &str, world: &World<'_>) -> Result<Octets, ReadError> {
    if name.is_empty() || name.contains('/') || name == ".." {
        return Err(ReadError::CredentialName);
    }
    let folder = (world.variable)("CREDENTIALS_DIRECTORY").ok_or(ReadError::NoCredentials)?;
    read_file(&Path::new(&folder).join(name))
}

/// The words of an `exec:` reference; quotes keep white space together.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (_, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A bare name is looked for in PATH, a path is relative to the given folder.
fn program(name: &str, folder: &Path) -> PathBuf {
    if name.contains('/') {
        folder.join(name)
    } else {
        PathBuf::from(name)
    }
}

fn run(text: &str, world: &World<'_>, patience: Duration) -> Result<Octets, ReadError> {
    let words = words(text).ok_or(ReadError::OpenQuote)?;
    let (program, rest) = words.split_first().ok_or(ReadError::NoProgram)?;
    let program = self::program(program, world.folder);
    let stderr = if world.stderr {
        Stdio::inherit()
    } else {
        Stdio::null()
    };
    let mut child = Command::new(&program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(|error| ReadError::Io(program.clone(), error))?;
    let output = child.stdout.take().ok_or(ReadError::NoOutput)?;
    let (sender, receiver) = mpsc::channel();
    // The thread ends with the pipe, which the kill below closes unless the program left children behind.
    std::thread::spawn(move || {
        _ = sender.send(read_all(output));
    });
    let deadline = Instant::now() + patience;
    let read = receiver.recv_timeout(patience);
    let ended = match &read {
        Ok(Ok(secret)) if secret.len() <= MAX_OCTETS => wait_until(&mut child, deadline),
        Ok(_) | Err(_) => None,
    };
    let Some(status) = ended else {
        _ = child.kill();
        _ = child.wait();
        return Err(match read {
            Ok(Ok(secret)) if secret.len() > MAX_OCTETS => ReadError::LargeOutput(program),
            Ok(Err(error)) => ReadError::Io(program, error),
            Ok(Ok(_)) | Err(_) => ReadError::Late(program),
        });
    };
    if !status.success() {
        return Err(ReadError::Failed(program, status));
    }
    match read {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(_)) | Err(_) => Err(ReadError::NoOutput),
    }
}

/// Its output is at its end, so the program is about to be too.
fn wait_until(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(folder: &Path) -> World<'_> {
        World {
            folder,
            variable: &|name| match name {
                "SECRET" => Some("hunter2\r\n".into()),
                "CREDENTIALS_DIRECTORY" => Some("/nonexistent".into()),
                _ => None,
            },
            stderr: false,
        }
    }

    fn read(folder: &Path, text: &str) -> Result<String, ReadError> {
        let secret = Reference::parse(text).unwrap().read(&world(folder))?;
        Ok(String::from_utf8(secret.to_vec()).unwrap())
    }

    #[test]
    fn words_of_a_program_keep_quoted_white_space_together() {
        assert_eq!(
            words("pass show 'my secret' \"\""),
            Some(vec![
                "pass".into(),
                "show".into(),
                "my secret".into(),
                String::new()
            ])
        );
        assert_eq!(words("a 'b"), None);
    }

    #[test]
    fn a_secret_comes_from_each_place_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "from a file\n\n").unwrap();
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("shell")).unwrap();
        for (text, secret) in [
            ("file:secret", "from a file\n"),
            ("env:SECRET", "hunter2"),
            ("exec:printf 'a b\\n'", "a b"),
            ("exec:./shell -c 'echo \"a  b\"'", "a  b"),
            ("plain:a:b\n", "a:b\n"),
        ] {
            assert_eq!(read(folder.path(), text).unwrap(), secret, "{text}");
        }
        for text in ["hunter2", "vault:hunter2", "", "FILE:secret"] {
            assert!(Reference::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_apart_and_shows_no_value() {
        let folder = tempfile::tempdir().unwrap();
        let large = vec![b'x'; MAX_OCTETS + 1];
        std::fs::write(folder.path().join("large"), &large).unwrap();
        std::fs::write(folder.path().join("fits"), &large[..MAX_OCTETS]).unwrap();
        std::fs::write(folder.path().join("empty"), "\r\n").unwrap();
        assert_eq!(
            read(folder.path(), "file:fits").map(|text| text.len()).ok(),
            Some(MAX_OCTETS)
        );
        for (text, why) in [
            ("file:missing", "/missing: No such file"),
            ("file:large", "/large is larger than 1 MiB"),
            ("file:empty", "it is empty"),
            ("env:hunter2", "that environment variable is not set"),
            ("cred:", "a credential has a plain name"),
            ("cred:../hunter2", "a credential has a plain name"),
            ("cred:x", "/nonexistent/x: No such file"),
            ("exec:", "no program is named"),
            ("exec:printf 'hunter2", "a quote is not closed"),
            ("exec:./missing hunter2", "/missing: No such file"),
            ("exec:printf ''", "it is empty"),
            (
                "exec:sh -c 'echo hunter2; exit 3'",
                "sh failed (exit status: 3)",
            ),
            (
                "exec:head -c 2000000 /dev/zero",
                "head printed more than 1 MiB",
            ),
            ("plain:", "it is empty"),
        ] {
            let error = read(folder.path(), text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn a_program_that_does_not_end_is_not_waited_for() {
        let world = world(Path::new(""));
        for text in [
            "sleep 60",
            "sh -c 'exec >&-; exec sleep 60'",
            "sh -c 'sleep 60'",
        ] {
            let began = Instant::now();
            let result = run(text, &world, Duration::from_millis(200));
            assert!(matches!(result, Err(ReadError::Late(_))), "{text}");
            assert!(began.elapsed() < Duration::from_secs(30), "{text}");
        }
    }
}
