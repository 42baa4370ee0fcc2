//! What a server decided.

use std::fmt;
use std::time::Duration;

use doorward_tacacs::{AccountingStatus, AuthenticationStatus, AuthorizationStatus};

use crate::text::for_display;

/// Yes or no. The default of everything is no.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision that is not looked at lets everybody in"]
pub enum Decision {
    /// Yes.
    Pass,
    /// No.
    Fail(Denial),
}

impl Decision {
    /// Whether it is a yes.
    pub fn is_pass(&self) -> bool {
        match self {
            Self::Pass => true,
            Self::Fail(_) => false,
        }
    }
}

/// Why it is a no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The server says so: FAIL, or what counts as it (RESTART, FOLLOW).
    Status,
    /// The reply's flag for clear text does not fit the connection (RFC 8907 section 10.5.2, RFC 9887 section 4). The
    /// connection is closed, and nothing of the reply is used.
    Flag,
    /// The server permits, but only with this mandatory argument, which the client cannot handle (section 10.5.4).
    Argument(Vec<u8>),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("the server says no"),
            Self::Flag => {
                f.write_str("the unencrypted flag of the reply does not fit the connection")
            }
            Self::Argument(octets) => {
                write!(
                    f,
                    "the reply has the mandatory argument \"{}\", which is not handled",
                    for_display(octets)
                )
            }
        }
    }
}

/// How an answer came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The address of the server that decided, as configured.
    pub server: String,
    /// The secure channel; `None` on port 49.
    pub tls: Option<TlsFacts>,
    /// From the call to the answer, failed servers included, the user's typing not.
    pub elapsed: Duration,
}

/// What the TLS handshake settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `1.3` or `1.2`.
    pub version: &'static str,
    /// It is DTLS.
    pub datagrams: bool,
    /// The cipher suite.
    pub suite: &'static str,
    /// The key exchange group.
    pub group: &'static str,
    /// Whether a ticket was used.
    pub resumed: bool,
    /// How the server proved who it is: `certificate`.
    pub auth: &'static str,
}

/// The answer to a login.
#[derive(Clone, Debug)]
#[must_use]
pub struct Authentication {
    /// Yes or no.
    pub decision: Decision,
    /// The server's status; `None` if its reply was not to be used.
    pub status: Option<AuthenticationStatus>,
    /// Text for the user; to be escaped.
    pub server_msg: Vec<u8>,
    /// Data for the client, no text.
    pub data: Vec<u8>,
    /// How it came about.
    pub facts: Facts,
}

/// The answer to a question of authorization.
#[derive(Debug)]
#[must_use]
pub struct Authorization {
    /// Yes or no.
    pub decision: Decision,
    /// The server's status; `None` if its reply was not to be used.
    pub status: Option<AuthorizationStatus>,
    /// Text for the user; to be escaped.
    pub server_msg: Vec<u8>,
    /// Text for the administrator's log; to be escaped.
    pub data: Vec<u8>,
    /// The arguments of the reply, as received; none when denied.
    pub arguments: Vec<Vec<u8>>,
    /// What applies: the request and the reply after PASS_ADD, the reply alone after PASS_REPL; none when denied.
    pub effective: Vec<Vec<u8>>,
    /// What became of the record of the command, where the client accounts them
    /// ([`crate::Client::accounting_commands`]).
    pub accounted: Option<Result<Accounting, crate::ClientError>>,
    /// How it came about.
    pub facts: Facts,
}

/// The answer to an accounting record.
#[derive(Clone, Debug)]
#[must_use]
pub struct Accounting {
    /// Recorded or not. Not recorded is FOLLOW only: whatever else went wrong is [`crate::ClientError::Unavailable`].
    pub decision: Decision,
    /// The server's status; `None` if its reply was not to be used.
    pub status: Option<AccountingStatus>,
    /// Text for the user; to be escaped.
    pub server_msg: Vec<u8>,
    /// Text for the administrator's log; to be escaped.
    pub data: Vec<u8>,
    /// How it came about.
    pub facts: Facts,
}
