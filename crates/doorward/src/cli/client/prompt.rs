//! The user's terminal: what is asked there, and what is typed without being shown.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use doorward_client::{Answer, Answers, BoxedAnswer, Question, QuestionKind, for_display};
use zeroize::Zeroizing;

use super::Problem;
use crate::cli::complain;
use crate::cli::terminal::{self, NoLine};
use crate::secret::{Octets, trim_line_end};

/// Longer lines are nobody's password.
const MAX_LINE: u64 = 4096;

/// How often a new password of the command line is sent: once, once more for a server that wants to be sure, and once more
/// for one that is slow to say why it is not good enough.
const MAX_GIVEN: u32 = 3;

/// Why a question has no answer, for the user and for the server.
struct Unanswered {
    problem: Problem,
    reason: &'static str,
}

impl From<Unanswered> for Problem {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.problem
    }
}

/// The new password of a change.
#[derive(Default)]
struct Change {
    /// From the command line: a server that asks again gets it again.
    given: Option<Octets>,
    /// Typed twice, for a server that asks for it a second time to be sure.
    typed: Option<Octets>,
}

/// Answers a server's questions: with what the flags say, otherwise by asking.
pub(super) struct User {
    name: Option<String>,
    password: Option<Octets>,
    /// Of a user who changes the password: the new one, once it is known.
    change: Option<Change>,
    typing: Duration,
    fault: Option<Problem>,
}

impl User {
    pub(super) fn new(name: Option<String>, password: Option<Octets>) -> Self {
        Self {
            name,
            password,
            change: None,
            typing: Duration::ZERO,
            fault: None,
        }
    }

    /// The same user, who wants another password: `new`, or one that is asked for.
    pub(super) fn changing_to(mut self, new: Option<Octets>) -> Self {
        self.change = Some(Change {
            given: new,
            typed: None,
        });
        self
    }

    /// The answer to a question about a password during a change (RFC 8907 section 5.4.2.7): GETDATA asks for the old one,
    /// GETPASS for the new one.
    fn change_reply(&mut self, question: &Question, prompt: &str) -> Result<Octets, Unanswered> {
        let Some(change) = &mut self.change else {
            return Ok(Octets::default());
        };
        if question.kind == QuestionKind::Data {
            return match &self.password {
                Some(password) => Ok(password.clone()),
                None => typed(prompt),
            };
        }
        if let Some(given) = &change.given {
            return if question.number <= MAX_GIVEN {
                Ok(given.clone())
            } else {
                Err(Unanswered {
                    problem: Problem::Fault(format!(
                        "the server does not take the new password and asks for another one (\"{}\"); nothing was changed",
                        prompt.trim_end()
                    )),
                    reason: "there is no other new password",
                })
            };
        }
        // The second time it is asked for to be sure. If it was not good enough, the third question says so.
        if let Some(typed) = change
            .typed
            .take()
            .filter(|_| question.number.is_multiple_of(2))
        {
            return Ok(typed);
        }
        loop {
            let first = typed(prompt)?;
            if first == typed("The same again: ")? {
                change.typed = Some(first.clone());
                return Ok(first);
            }
            complain(&"the two were not the same; please try again");
        }
    }

    /// The time spent at the terminal.
    pub(super) fn typing(&self) -> Duration {
        self.typing
    }

    /// Why a question could not be asked.
    pub(super) fn fault(&mut self) -> Result<(), Problem> {
        self.fault.take().map_or(Ok(()), Err)
    }

    fn reply(&mut self, question: &Question) -> Result<Octets, Unanswered> {
        let prompt = for_display(&question.prompt);
        let or = |default: &str| {
            if prompt.is_empty() {
                default.to_owned()
            } else {
                prompt.clone()
            }
        };
        if self.change.is_some() && question.kind != QuestionKind::User {
            let prompt = or(match question.kind {
                QuestionKind::Data => "Old password: ",
                QuestionKind::User | QuestionKind::Password => "New password: ",
            });
            return self.change_reply(question, &prompt);
        }
        match (question.kind, &self.name, &self.password) {
            (QuestionKind::User, Some(name), _) => Ok(Zeroizing::new(name.clone().into_bytes())),
            // A server that asks again gets the same again: how often a wrong password may be tried is up to it.
            (QuestionKind::Password, _, Some(password)) => Ok(password.clone()),
            (QuestionKind::Password, _, None) => typed(&or("Password: ")),
            (QuestionKind::User, None, _) if !question.no_echo => shown(&or("Username: ")),
            (QuestionKind::Data, _, _) if !question.no_echo => shown(&or("The server asks: ")),
            (QuestionKind::User | QuestionKind::Data, _, _) => typed(&or("The server asks: ")),
        }
    }
}

impl Answers for User {
    fn answer<'a>(&'a mut self, question: &'a Question) -> BoxedAnswer<'a> {
        // Nothing else runs in this program while the user types.
        let began = Instant::now();
        let reply = self.reply(question);
        self.typing += began.elapsed();
        let answer = match reply {
            Ok(text) => Answer::Text(text),
            Err(Unanswered { problem, reason }) => {
                self.fault = Some(problem);
                Answer::Abort(reason.to_owned())
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

/// Asks for something that is not shown while it is typed; without a terminal it is a line of stdin.
pub(in crate::cli) fn hidden(prompt: &str) -> Result<Octets, Problem> {
    Ok(typed(prompt)?)
}

fn typed(prompt: &str) -> Result<Octets, Unanswered> {
    match terminal::hidden(prompt) {
        Err(NoLine::Terminal(_)) => line(),
        line => line.map_err(unanswered),
    }
}

/// Asks for something that may be seen while it is typed.
pub(in crate::cli) fn visible(prompt: &str) -> Result<Octets, Problem> {
    Ok(shown(prompt)?)
}

fn shown(prompt: &str) -> Result<Octets, Unanswered> {
    if io::stdin().is_terminal() {
        match terminal::shown(prompt) {
            Err(NoLine::Terminal(_)) => {}
            line => return line.map_err(unanswered),
        }
    }
    let mut terminal = io::stderr().lock();
    _ = write!(terminal, "{prompt}");
    _ = terminal.flush();
    line()
}

fn unanswered(why: NoLine) -> Unanswered {
    Unanswered {
        reason: match why {
            NoLine::Interrupted => "interrupted by the user",
            NoLine::Nothing | NoLine::Terminal(_) => "the user gave no answer",
        },
        problem: Problem::Fault(why.to_string()),
    }
}

fn line() -> Result<Octets, Unanswered> {
    let mut text = Zeroizing::new(Vec::new());
    let read = io::stdin()
        .lock()
        .take(MAX_LINE)
        .read_until(b'\n', &mut text);
    trim_line_end(&mut text);
    let (problem, reason) = match read {
        Ok(0) => (
            "there is no terminal to ask, and stdin is at its end; use --password".to_owned(),
            "there is nobody to ask",
        ),
        Ok(_) => return Ok(text),
        Err(error) => (
            format!("nothing can be read from stdin: {error}"),
            "the terminal is broken",
        ),
    };
    Err(Unanswered {
        problem: Problem::Fault(problem),
        reason,
    })
}
