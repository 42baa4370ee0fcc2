//! The dialogue of one authentication session (RFC 8907 section 5.4): what to ask next, and when there is enough to judge.
//!
//! ```text
//! ASCII: START → (no name) GETUSER ⇄ CONTINUE → GETPASS ⇄ CONTINUE → judge → PASS | FAIL | ERROR
//! PAP:   START (name and password) ──────────────────────────────→ judge → PASS | FAIL | ERROR
//! ```
//!
//! A wrong password ends the session with FAIL at once: devices start a new session for the next try, and some wait
//! for minutes when they are asked again instead. Only an empty answer is asked for again, and that counts as an attempt.

use zeroize::Zeroizing;

use super::request::Password;
use super::{Login, Reason, Who};

/// The state of one session between two packets.
#[derive(Debug)]
pub(super) struct Conversation {
    who: Who,
    stage: Stage,
    asked: u8,
    attempts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Name,
    Password,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask for the name and keep the conversation.
    AskName(Conversation),
    /// Ask for the password, without echo, and keep the conversation.
    AskPassword(Conversation),
    /// Judge this.
    Judge(Login),
    /// Fail without asking further.
    Fail(Who, Reason),
}

impl Conversation {
    /// An ASCII login (section 5.4.2.1); the name may be in the START.
    pub(super) fn ascii(who: Who, attempts: u8) -> Step {
        let stage = if who.user.is_empty() {
            Stage::Name
        } else {
            Stage::Password
        };
        Self {
            who,
            stage,
            asked: 0,
            attempts,
        }
        .ask()
    }

    /// A PAP login (section 5.4.2.2): all there is, is there.
    pub(super) fn pap(who: Who, password: &[u8]) -> Step {
        if who.user.is_empty() {
            return Step::Fail(who, Reason::UserNameInvalid);
        }
        Step::Judge(login(who, password))
    }

    /// The older form of a PAP login: the name is in the START, the password is asked for (draft-05 section 4.4.1).
    pub(super) fn pap_in_dialogue(who: Who, attempts: u8) -> Step {
        if who.user.is_empty() {
            return Step::Fail(who, Reason::UserNameInvalid);
        }
        Self::ascii(who, attempts)
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
            return self.ask();
        }
        match self.stage {
            Stage::Name => {
                let Some(user) = name(octets) else {
                    return Step::Fail(self.who, Reason::UserNameInvalid);
                };
                self.who.user = user;
                self.stage = Stage::Password;
                self.asked = 0;
                self.ask()
            }
            Stage::Password => Step::Judge(login(self.who, octets)),
        }
    }

    fn ask(mut self) -> Step {
        if self.asked >= self.attempts {
            return Step::Fail(self.who, Reason::TooManyAttempts);
        }
        self.asked += 1;
        match self.stage {
            Stage::Name => Step::AskName(self),
            Stage::Password => Step::AskPassword(self),
        }
    }
}

fn login(who: Who, password: &[u8]) -> Login {
    Login {
        user: who.user.clone(),
        password: Password(Zeroizing::new(password.to_vec())),
        who,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AuthenticationType;

    fn who(user: &str) -> Who {
        Who {
            user: user.into(),
            port: "tty1".into(),
            remote_address: "192.0.2.1".into(),
            auth: AuthenticationType::Ascii,
            privilege_level: 1,
            service: Some(crate::policy::SHELL),
        }
    }

    fn utf8(octets: &[u8]) -> Option<String> {
        String::from_utf8(octets.to_vec()).ok()
    }

    #[test]
    fn name_then_password_then_judgement() {
        let Step::AskName(conversation) = Conversation::ascii(who(""), 3) else {
            panic!("no name, so it is asked for")
        };
        let Step::AskPassword(conversation) = conversation.answer(b"alice", utf8) else {
            panic!("then the password")
        };
        let Step::Judge(login) = conversation.answer(b"secret", utf8) else {
            panic!("then judgement")
        };
        assert_eq!(login.user, "alice");
        assert_eq!(login.password.0.as_slice(), b"secret");
    }

    /// proves: TAC-5.4.2.1-4
    #[test]
    fn empty_names_are_asked_for_three_times() {
        let Step::AskName(first) = Conversation::ascii(who(""), 3) else {
            panic!()
        };
        let Step::AskName(second) = first.answer(b"", utf8) else {
            panic!()
        };
        let Step::AskName(third) = second.answer(b"", utf8) else {
            panic!()
        };
        assert!(matches!(
            third.answer(b"", utf8),
            Step::Fail(_, Reason::TooManyAttempts)
        ));
    }

    #[test]
    fn a_name_that_is_no_name_fails() {
        let Step::AskName(conversation) = Conversation::ascii(who(""), 3) else {
            panic!()
        };
        assert!(matches!(
            conversation.answer(&[0xff], utf8),
            Step::Fail(_, Reason::UserNameInvalid)
        ));
    }

    #[test]
    fn pap_without_a_name_fails() {
        assert!(matches!(
            Conversation::pap(who(""), b"x"),
            Step::Fail(_, Reason::UserNameInvalid)
        ));
        assert!(matches!(
            Conversation::pap_in_dialogue(who(""), 3),
            Step::Fail(_, Reason::UserNameInvalid)
        ));
    }
}
