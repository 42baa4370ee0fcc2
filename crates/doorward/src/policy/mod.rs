//! Who may do what: roles, rules and their evaluation. Pure: no clock, no IO, no store.
//!
//! ```text
//! Context (user, device, time, ...) → Policy::select → Role → Policy::command / shell / service → Verdict
//! ```
//!
//! The default is deny. Every [`Verdict`] names the place in the file that made it, or says that nothing matched.
//! [`explain`] asks the same evaluation with its eyes open: the tracing is a parameter, the decision is not made twice.

mod command;
mod condition;
mod eval;
mod explain;
mod index;
mod pattern;
mod profile;
mod role;
mod route;
mod time;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

pub use command::{
    CommandLine, CommandRule, ParsedRule, Position, RuleProblem, RuleProblemKind, WordMiss,
    WordMissKind, parse_rules,
};
pub(crate) use condition::hexadecimal;
pub use condition::{Condition, Names, Protocol, Test};
pub use eval::{Policy, Rule};
pub use explain::{Explanation, Miss, explain, explain_login};
pub use index::{Commands, Rules};
pub use pattern::Pattern;
pub use profile::{Derivation, Profile, Saying};
pub use role::{
    GrantedArgument, Held, PerProfile, Rendered, ReplyAttribute, ReplySecret, ReplyValue, Role,
    Service, ServiceGrant, ShellGrant,
};
pub use route::{RealmPattern, Route, Routes};
pub use time::{Window, WindowError, WindowErrorKind};

use crate::config::source::Location;
use crate::config::{AuthenticationType, Device};

/// All that a rule may look at. `authen_method` is missing on purpose (RFC 8907 section 6.1).
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The user name.
    pub user: &'a str,
    /// The user's groups.
    pub groups: &'a [Arc<str>],
    /// The device that asks.
    pub device: &'a Device,
    /// The user's remote address (`rem_addr`), where it is an address.
    pub remote_address: Option<IpAddr>,
    /// `rem_addr` as the device sent it.
    pub remote: &'a str,
    /// `port` of the request.
    pub port: &'a str,
    /// The moment of the request.
    pub now: jiff::Timestamp,
    /// The protocol it came by.
    pub protocol: Protocol,
    /// Channel the request came through.
    pub transport: Transport,
    /// The `service` argument of an authorization; at a login, the service it is for.
    pub service: Option<&'a str>,
    /// How the user authenticates, or did before an authorization, as the device says.
    pub auth: Option<AuthenticationType>,
    /// Where the device connects from, where there is a connection or a datagram.
    pub address: Option<IpAddr>,
    /// The client certificate's identity, where there is one.
    pub peer: Option<&'a doorward_tls::PeerIdentity>,
    /// The identity of the pre-shared key, where the device has come by one.
    pub psk_identity: Option<&'a str>,
}

/// The service of command lines, and what a login is for unless the device says otherwise.
pub const SHELL: &str = "shell";

/// Channel of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TLS 1.3.
    Tls,
    /// No TLS.
    Plain,
}

impl Transport {
    /// The name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Plain => "plain",
        }
    }
}

/// Permit or deny. There is no third value: a fault is not a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Allowed.
    Permit,
    /// Refused.
    Deny,
}

impl Decision {
    /// The name in the file, in logs and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        }
    }
}

/// The line of a file that decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleReference {
    /// Where.
    pub location: Location,
    /// The text of the line, trimmed.
    pub text: Arc<str>,
}

/// A decision, why it was made, and by which line.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<T = ()> {
    /// Permit or deny.
    pub decision: Decision,
    /// Why, from the closed list.
    pub reason: crate::aaa::Reason,
    /// The deciding line; `None` where nothing matched. A role that lacks what was asked is named by the `[[rule]]` that chose it.
    pub rule: Option<Arc<RuleReference>>,
    /// What a permit grants (privilege level, arguments).
    pub grant: T,
}
