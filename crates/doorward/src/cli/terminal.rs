//! A line typed on the terminal, shown or not.
//!
//! Echo is off before the prompt for a secret appears, so that not even a fast typist sees the first characters. Ctrl-C
//! ends the prompt and not the program: whoever asked has something to say to somebody else, and the terminal is as before.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::secret::Octets;

/// Longer lines are nobody's password.
const MAX_LINE: usize = 4096;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;
const KILL: u8 = 0x15;

/// Why there is no line.
#[derive(Debug)]
pub(super) enum NoLine {
    /// This process has no terminal, or it fails.
    Terminal(io::Error),
    /// The user typed Ctrl-C.
    Interrupted,
    /// The user ended the input or went away.
    Nothing,
}

impl From<io::Error> for NoLine {
    fn from(error: io::Error) -> Self {
        Self::Terminal(error)
    }
}

impl fmt::Display for NoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminal(error) => write!(f, "{error}"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Nothing => f.write_str("nothing was typed"),
        }
    }
}

/// Asks on the terminal of this process.
pub(super) fn hidden(prompt: &str) -> Result<Octets, NoLine> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let mut terminal = Tuned::new(file)?;
    terminal.file.write_all(prompt.as_bytes())?;
    let line = terminal.line();
    // The user's own line end was not shown either.
    terminal.file.write_all(b"\n")?;
    line
}

/// Asks on the terminal of this process for something that may be seen.
pub(super) fn shown(prompt: &str) -> Result<Octets, NoLine> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let mut terminal = Tuned::showing(file)?;
    terminal.file.write_all(prompt.as_bytes())?;
    let line = terminal.edited_line();
    if line.is_err() {
        terminal.file.write_all(b"\n")?;
    }
    line
}

/// A terminal that sends no signals, and shows nothing or only what is typed, until it is dropped.
struct Tuned {
    file: File,
    before: Termios,
}

impl Tuned {
    fn new(file: File) -> io::Result<Self> {
        let before = tcgetattr(&file)?;
        let mut quiet = before.clone();
        // Characters come one by one and Ctrl-C as one of them: whoever is killed cannot put things back.
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&file, OptionalActions::Now, &quiet)?;
        Ok(Self { file, before })
    }

    /// The terminal keeps its own editing of lines; Ctrl-C ends a line as Return does.
    fn showing(file: File) -> io::Result<Self> {
        let before = tcgetattr(&file)?;
        let mut loud = before.clone();
        loud.local_modes.remove(LocalModes::ISIG);
        loud.local_modes
            .insert(LocalModes::ECHO | LocalModes::ICANON);
        loud.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(&file, OptionalActions::Now, &loud)?;
        Ok(Self { file, before })
    }

    fn edited_line(&mut self) -> Result<Octets, NoLine> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
        let mut chunk = [0; MAX_LINE];
        loop {
            let count = self.file.read(&mut chunk)?;
            match chunk.get(..count).and_then(<[u8]>::split_last) {
                None => return Err(NoLine::Nothing),
                Some((&INTERRUPT, _)) => return Err(NoLine::Interrupted),
                Some((b'\n', typed)) => {
                    line.extend_from_slice(typed);
                    return Ok(line);
                }
                // Ctrl-D behind characters hands them over, and the line goes on.
                Some(_) if line.len() >= MAX_LINE => return Err(NoLine::Nothing),
                Some((last, typed)) => {
                    line.extend_from_slice(typed);
                    line.push(*last);
                }
            }
        }
    }

    fn line(&mut self) -> Result<Octets, NoLine> {
        // Never grows, so that no copy of the secret is left behind.
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
        let mut octet = [0];
        loop {
            if self.file.read(&mut octet)? == 0 {
                return Err(NoLine::Nothing);
            }
            match octet {
                [b'\n' | b'\r'] => return Ok(line),
                [INTERRUPT] => return Err(NoLine::Interrupted),
                [END] if line.is_empty() => return Err(NoLine::Nothing),
                [BACKSPACE | DELETE] => {
                    // A character of UTF-8 has any number of octets of the form 10xxxxxx behind its first.
                    while line.pop().is_some_and(|octet| octet & 0xc0 == 0x80) {}
                }
                [KILL] => line.clear(),
                [typed] if line.len() < MAX_LINE => line.push(typed),
                [_] => {}
            }
        }
    }
}

impl Drop for Tuned {
    fn drop(&mut self) {
        _ = tcsetattr(&self.file, OptionalActions::Now, &self.before);
    }
}
