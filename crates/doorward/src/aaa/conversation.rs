//! The dialogue of one authentication session (RFC 8907 section 5.4): what to ask next, and when there is enough to judge.
//!
//! ```text
//! ASCII:  START → (no name) GETUSER ⇄ CONTINUE → GETPASS ⇄ CONTINUE → judge → PASS | FAIL | ERROR
//! ENABLE: the same, judged by the credential of the privilege level
//! CHPASS: START → (no name) GETUSER ⇄ → GETDATA (old) ⇄ → GETPASS (new) ⇄ → GETPASS (again) ⇄ → judge, store
//! others: START (name, and password or answer to a challenge) ────────→ judge → PASS | FAIL | ERROR
//! ```
//!
//! A wrong password ends the session with FAIL at once: devices start a new session for the next try, and some wait
//! for minutes when they are asked again instead. Only an empty answer, and a new password that will not do, are asked for
//! again, and that counts as an attempt. Whether an old password is right is only said at the end: a user who does not exist
//! is asked the same questions.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::request::{Password, Proof};
use super::{Login, Reason, Who};
use crate::config::PasswordPolicy;

/// The state of one session between two packets.
#[derive(Debug)]
pub(super) struct Conversation {
    who: Who,
    flow: Flow,
    stage: Stage,
    asked: u8,
    attempts: u8,
}

/// What the session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// A login.
    Login,
    /// A privilege level.
    Enable {
        /// The name stands for the level and for nobody (`$enab15$`).
        anonymous: bool,
    },
    /// Another password, which has to be as the policy wants it.
    Change(PasswordPolicy),
}

/// What was asked last.
#[derive(Debug)]
enum Stage {
    Name,
    Password,
    OldPassword,
    NewPassword { old: Password },
    Repetition { old: Password, new: Password },
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask this and keep the conversation.
    Ask(Question, Conversation),
    /// Judge this.
    Judge(Login),
    /// Fail without asking further.
    Fail(Who, Reason),
}

/// A question to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The name.
    Name,
    /// The password.
    Password,
    /// The password so far.
    OldPassword,
    /// The new password; what was wrong with the one before.
    NewPassword(Option<Cow<'static, str>>),
    /// The new password once more.
    Repetition,
}

impl Question {
    /// What the user reads.
    pub(super) fn prompt(&self) -> Cow<'static, str> {
        match self {
            Self::Name => "Username: ".into(),
            Self::Password => "Password: ".into(),
            Self::OldPassword => "Old password: ".into(),
            Self::NewPassword(None) => "New password: ".into(),
            Self::NewPassword(Some(wrong)) => format!("{wrong} New password: ").into(),
            Self::Repetition => "New password again: ".into(),
        }
    }

    /// Whether what is typed must not be seen.
    pub(super) fn is_secret(&self) -> bool {
        match self {
            Self::Name => false,
            Self::Password | Self::OldPassword | Self::NewPassword(_) | Self::Repetition => true,
        }
    }
}

impl Conversation {
    /// A dialogue (sections 5.4.2.1, 5.4.2.6 and 5.4.2.7); the name may be in the START.
    pub(super) fn begin(who: Who, flow: Flow, attempts: u8) -> Step {
        let stage = if who.user.is_empty() {
            Stage::Name
        } else {
            flow.first_stage()
        };
        let conversation = Self {
            who,
            flow,
            stage,
            asked: 0,
            attempts,
        };
        conversation.ask(None)
    }

    /// A PAP login (section 5.4.2.2), or a password that came with the START of a dialogue: all there is, is there.
    pub(super) fn complete(who: Who, flow: Flow, password: &[u8]) -> Step {
        if who.user.is_empty() {
            return Step::Fail(who, Reason::UserNameInvalid);
        }
        judge(who, flow, secret(password))
    }

    /// The person in this conversation, as far as known.
    pub(super) fn who(&self) -> &Who {
        &self.who
    }

    /// The answer to what was asked last. `name` turns the octets of a name into text, or refuses it.
    pub(super) fn answer(
        mut self,
        octets: &[u8],
        name: impl FnOnce(&[u8]) -> Option<String>,
    ) -> Step {
        if octets.is_empty() {
            return self.ask(None);
        }
        match self.stage {
            Stage::Name => {
                let Some(user) = name(octets) else {
                    return Step::Fail(self.who, Reason::UserNameInvalid);
                };
                self.who.user = user;
                let stage = self.flow.first_stage();
                self.go_on(stage)
            }
            Stage::Password => judge(self.who, self.flow, secret(octets)),
            Stage::OldPassword => {
                let old = secret(octets);
                self.stage = Stage::Name;
                self.go_on(Stage::NewPassword { old })
            }
            Stage::NewPassword { old } => {
                let wrong = match self.flow {
                    Flow::Change(policy) => policy.objection(octets, &old.0, &self.who.user),
                    Flow::Login | Flow::Enable { .. } => None,
                };
                if wrong.is_some() {
                    self.stage = Stage::NewPassword { old };
                    return self.ask(wrong);
                }
                let new = secret(octets);
                self.stage = Stage::Name;
                self.go_on(Stage::Repetition { old, new })
            }
            Stage::Repetition { old, new } if *new.0 == octets => Step::Judge(Login {
                user: self.who.user.clone(),
                proof: Proof::Change { old, new },
                who: self.who,
            }),
            Stage::Repetition { old, .. } => {
                self.stage = Stage::NewPassword { old };
                self.ask(Some("The two were not the same.".into()))
            }
        }
    }

    /// A question that was not asked yet has all its attempts.
    fn go_on(mut self, stage: Stage) -> Step {
        self.asked = match stage {
            // A new password and its repetition share theirs, or two that differ could be asked for for ever.
            Stage::Repetition { .. } => self.asked.saturating_sub(1),
            Stage::Name | Stage::Password | Stage::OldPassword | Stage::NewPassword { .. } => 0,
        };
        self.stage = stage;
        self.ask(None)
    }

    fn ask(mut self, wrong: Option<Cow<'static, str>>) -> Step {
        if self.asked >= self.attempts {
            return Step::Fail(self.who, Reason::TooManyAttempts);
        }
        self.asked += 1;
        let question = match self.stage {
            Stage::Name => Question::Name,
            Stage::Password => Question::Password,
            Stage::OldPassword => Question::OldPassword,
            Stage::NewPassword { .. } => Question::NewPassword(wrong),
            Stage::Repetition { .. } => Question::Repetition,
        };
        Step::Ask(question, self)
    }
}

impl Flow {
    fn first_stage(self) -> Stage {
        match self {
            Self::Login | Self::Enable { .. } => Stage::Password,
            Self::Change(_) => Stage::OldPassword,
        }
    }
}

impl PasswordPolicy {
    /// What is wrong with a new password, for the user to read.
    fn objection(&self, new: &[u8], old: &[u8], user: &str) -> Option<Cow<'static, str>> {
        if new == old {
            return Some("That is the old password.".into());
        }
        if new.len() > crate::identity::MAX_PASSWORD {
            return Some("That is too long.".into());
        }
        // Octets of no text count each as a character.
        let text = String::from_utf8_lossy(new);
        if text.chars().count() < self.min_length {
            return Some(format!("It needs {} characters or more.", self.min_length).into());
        }
        if classes(&text) < self.classes {
            return Some(
                format!(
                    "It needs {} of: small letters, capitals, digits, others.",
                    self.classes
                )
                .into(),
            );
        }
        let named = !user.is_empty() && text.to_lowercase().contains(&user.to_lowercase());
        named.then_some("It must not hold your user name.".into())
    }
}

/// How many of the four classes of characters occur.
fn classes(text: &str) -> usize {
    let is: [fn(char) -> bool; 4] = [
        char::is_lowercase,
        char::is_uppercase,
        char::is_numeric,
        |char| !char.is_lowercase() && !char.is_uppercase() && !char.is_numeric(),
    ];
    is.into_iter().filter(|is| text.chars().any(is)).count()
}

fn secret(octets: &[u8]) -> Password {
    Password(Zeroizing::new(octets.to_vec()))
}

fn judge(who: Who, flow: Flow, password: Password) -> Step {
    let proof = match flow {
        Flow::Enable { anonymous } => Proof::Enable {
            password,
            anonymous,
        },
        Flow::Login | Flow::Change(_) => Proof::Password(password),
    };
    Step::Judge(Login {
        user: who.user.clone(),
        proof,
        who,
    })
}

mod frozen;
#[cfg(test)]
mod tests;
