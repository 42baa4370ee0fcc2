//! What is asked of a server.

use std::fmt;
use std::future::{Future, ready};
use std::net::IpAddr;
use std::pin::Pin;

use doorward_tacacs::dictionary::{Definition, Place};
use doorward_tacacs::{
    AccountingRecord, ArgumentList, AuthenticationMethod, AuthenticationService,
    AuthenticationType, ChallengeMethod, Dialect, PrivilegeLevel,
};
use zeroize::Zeroizing;

/// Whom a request is about, and where that user is: the fields that all requests share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The user name in UTF-8. Empty: an ASCII login is asked for it by the server.
    pub user: String,
    /// The port of the device that the user is at, such as `tty10` or `Virtual-Access3`: any text of printable ASCII, sent as it
    /// is and never made up here. Empty, nothing is said about it. (Section 5.1 leaves its values to the client.)
    pub port: String,
    /// Where the user comes from.
    pub rem_addr: Option<RemoteAddress>,
    /// The level the user has (or, in a login, wants).
    pub priv_lvl: PrivilegeLevel,
}

impl Who {
    /// A user, with level 1, nowhere in particular.
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            port: String::new(),
            rem_addr: None,
            priv_lvl: PrivilegeLevel::USER,
        }
    }

    /// The same user at this port of the device.
    #[must_use]
    pub fn at_port(mut self, port: impl Into<String>) -> Self {
        self.port = port.into();
        self
    }

    /// The same user, coming from there.
    #[must_use]
    pub fn from_address(mut self, address: impl Into<RemoteAddress>) -> Self {
        self.rem_addr = Some(address.into());
        self
    }

    /// The same user at this level.
    #[must_use]
    pub fn at_level(mut self, level: PrivilegeLevel) -> Self {
        self.priv_lvl = level;
        self
    }

    pub(crate) fn rem_addr_text(&self) -> String {
        self.rem_addr
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}

/// `rem_addr` (RFC 8907 section 5.1): an address in the form of RFC 5952, or some other text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteAddress {
    /// A network address.
    Ip(IpAddr),
    /// Anything else that says where the user is, such as a caller id.
    Text(String),
}

/// A text that looks like a network address, and is none (`010.0.0.1`, `2001::db8::1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteAddressError;

impl fmt::Display for RemoteAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this looks like a network address, but is none")
    }
}

impl std::error::Error for RemoteAddressError {}

impl RemoteAddress {
    /// Reads an address in any of its forms, or takes the text as it is.
    pub fn parse(text: &str) -> Result<Self, RemoteAddressError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let dotted = text.contains('.')
            && text
                .bytes()
                .all(|octet| octet.is_ascii_digit() || octet == b'.');
        let coloned = text.matches(':').count() > 1
            && text
                .bytes()
                .all(|octet| octet.is_ascii_hexdigit() || matches!(octet, b':' | b'.'));
        if dotted || coloned {
            Err(RemoteAddressError)
        } else {
            Ok(Self::Text(text.to_owned()))
        }
    }
}

impl From<IpAddr> for RemoteAddress {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The standard library writes IPv6 as RFC 5952 wants it.
            Self::Ip(address) => address.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What a user wants, and how the user shows who it is (RFC 8907 section 5.4.2).
#[non_exhaustive]
pub enum Login<'a> {
    /// The password goes along with the request; one reply.
    Pap {
        /// The password.
        password: &'a [u8],
    },
    /// The server asks, the user answers.
    Ascii {
        /// Who answers.
        answers: &'a mut dyn Answers,
    },
    /// PAP in its older form (draft-05 section 4.4.1): the server asks for the password. Only for servers of
    /// [`Dialect::Draft05`]; the user has to be named.
    PapDialogue {
        /// Who answers.
        answers: &'a mut dyn Answers,
    },
    /// The secret stays here; the answer to a random challenge of our own goes along with the request. One reply.
    Challenge {
        /// CHAP or MS-CHAP.
        method: ChallengeMethod,
        /// The secret; UTF-8 for MS-CHAP.
        secret: &'a [u8],
    },
    /// The privilege level of [`Who`] for a user who is logged in (section 5.4.2.6): the server asks for its password.
    Enable {
        /// Who answers.
        answers: &'a mut dyn Answers,
    },
    /// Another password (section 5.4.2.7): the server asks for the old one as [`QuestionKind::Data`], for the new one as
    /// [`QuestionKind::Password`], maybe twice.
    ChangePassword {
        /// Who answers.
        answers: &'a mut dyn Answers,
    },
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pap { .. } => f.write_str("Pap(..)"),
            Self::Ascii { .. } => f.write_str("Ascii(..)"),
            Self::PapDialogue { .. } => f.write_str("PapDialogue(..)"),
            Self::Challenge { method, .. } => write!(f, "Challenge({method:?}, ..)"),
            Self::Enable { .. } => f.write_str("Enable(..)"),
            Self::ChangePassword { .. } => f.write_str("ChangePassword(..)"),
        }
    }
}

/// A question of the server during an ASCII login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is wanted.
    pub kind: QuestionKind,
    /// What the server wants the user to read; to be escaped (see [`crate::for_display`]). May be empty.
    pub prompt: Vec<u8>,
    /// What the user types must not be shown.
    pub no_echo: bool,
    /// The how many-th question of its kind this is in this login, from 1.
    pub number: u32,
}

/// What a server asks for (section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuestionKind {
    /// The user name.
    User,
    /// The password.
    Password,
    /// Something else.
    Data,
}

/// What becomes of a question.
pub enum Answer {
    /// This, as typed, without line end.
    Text(Zeroizing<Vec<u8>>),
    /// The user gives up; the server is told, with this reason (section 5.4.3).
    Abort(String),
}

impl Answer {
    /// An answer.
    pub fn text(octets: impl Into<Vec<u8>>) -> Self {
        Self::Text(Zeroizing::new(octets.into()))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::Abort(reason) => f.debug_tuple("Abort").field(reason).finish(),
        }
    }
}

/// An answer that may take a while.
pub type BoxedAnswer<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Answers the questions of an ASCII login: a terminal, a script, a dialogue. Closures from [`Question`] to [`Answer`] do.
///
/// A login that moves on to the next server begins anew, and so do its questions.
pub trait Answers: Send {
    /// Answers one question.
    fn answer<'a>(&'a mut self, question: &'a Question) -> BoxedAnswer<'a>;
}

impl<F: FnMut(&Question) -> Answer + Send> Answers for F {
    fn answer<'a>(&'a mut self, question: &'a Question) -> BoxedAnswer<'a> {
        Box::pin(ready(self(question)))
    }
}

/// A question of authorization (section 6.1). `service` is always among the arguments, and `cmd` too if that is `shell`.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Who.
    pub who: Who,
    /// How the user was authenticated.
    pub authen_method: AuthenticationMethod,
    /// The kind of authentication.
    pub authen_type: AuthenticationType,
    /// The service that authenticated.
    pub authen_service: AuthenticationService,
    /// What is asked for.
    pub arguments: ArgumentList,
}

impl AuthorizationRequest {
    /// A user who logged in through TACACS+ with a dialogue asks for this.
    pub fn new(who: Who, arguments: ArgumentList) -> Self {
        Self {
            who,
            authen_method: AuthenticationMethod::TACACSPLUS,
            authen_type: AuthenticationType::ASCII,
            authen_service: AuthenticationService::LOGIN,
            arguments,
        }
    }
}

/// Something to be recorded (section 7.1).
#[derive(Clone, Debug)]
pub struct AccountingRequest {
    /// Who.
    pub who: Who,
    /// Start, stop or something between.
    pub record: AccountingRecord,
    /// What the start and the stop of one task have in common; see [`crate::task_id`].
    pub task_id: String,
    /// How the user was authenticated.
    pub authen_method: AuthenticationMethod,
    /// The kind of authentication.
    pub authen_type: AuthenticationType,
    /// The service that authenticated.
    pub authen_service: AuthenticationService,
    /// What happened, without `task_id`. Any order: those of accounting are sent before those of authorization
    /// (section 8.3), each group in the order given here.
    pub arguments: ArgumentList,
}

impl AccountingRequest {
    /// A user who logged in through TACACS+ with a dialogue did this.
    pub fn new(
        who: Who,
        record: AccountingRecord,
        task_id: impl Into<String>,
        arguments: ArgumentList,
    ) -> Self {
        Self {
            who,
            record,
            task_id: task_id.into(),
            authen_method: AuthenticationMethod::TACACSPLUS,
            authen_type: AuthenticationType::ASCII,
            authen_service: AuthenticationService::LOGIN,
            arguments,
        }
    }
}

/// Whether an argument of this name is one of accounting (section 8.3, or draft-05 section 7.2), and stands before those of authorization.
pub fn is_accounting_argument(name: &[u8]) -> bool {
    Definition::of(name, Dialect::Draft05).is_some_and(|one| one.place == Place::Accounting)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// proves: TAC-8.1-7
    #[test]
    fn addresses_are_written_in_their_canonical_form() {
        let parse = |text| RemoteAddress::parse(text).map(|address| address.to_string());
        assert_eq!(parse("2001:DB8:0::1"), Ok("2001:db8::1".to_owned()));
        assert_eq!(parse("2001:0db8:0:0:0:0:0:1"), Ok("2001:db8::1".to_owned()));
        assert_eq!(parse("::ffff:192.0.2.1"), Ok("::ffff:192.0.2.1".to_owned()));
        assert_eq!(parse("192.0.2.1"), Ok("192.0.2.1".to_owned()));
        assert_eq!(parse("010.0.0.1"), Err(RemoteAddressError));
        assert_eq!(parse("2001::db8::1"), Err(RemoteAddressError));
        assert_eq!(parse("async"), Ok("async".to_owned()));
        assert_eq!(parse("5551234"), Ok("5551234".to_owned()));
    }

    #[test]
    fn debug_output_has_no_answer() {
        assert_eq!(format!("{:?}", Answer::text(*b"hunter2")), "Text(..)");
        assert_eq!(
            format!(
                "{:?}",
                Login::Pap {
                    password: b"hunter2"
                }
            ),
            "Pap(..)"
        );
    }
}
