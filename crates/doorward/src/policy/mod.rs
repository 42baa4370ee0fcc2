//! Who may do what: roles, rules and their evaluation. Pure: no clock, no IO, no store.
//!
//! ```text
//! Context (user, device, time, ...) → Policy::select → Role → Role::command / Role::session / Role::service → Verdict
//! ```
//!
//! The default is deny. Every [`Verdict`] names the place in the file that made it, or says that nothing matched.

use std::net::IpAddr;
use std::sync::Arc;

mod command;
mod role;

pub use command::CommandLine;
pub use role::{GrantedArgument, Role, ServiceGrant, ShellGrant};

use crate::config::source::Location;
use crate::config::{AuthenticationType, Device};

/// `[role.NAME]` and `[[rule]]`, ready to be asked.
#[derive(Debug, Default)]
pub struct Policy {
    // filled in by the policy part
}

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
    /// Channel the request came through.
    pub transport: Transport,
    /// The `service` argument, where there is one.
    pub service: Option<&'a str>,
    /// How the user authenticates, at a login.
    pub auth: Option<AuthenticationType>,
    /// The client certificate's identity, where there is one.
    pub peer: Option<&'a doorward_tls::PeerIdentity>,
}

/// Channel of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TLS 1.3.
    Tls,
    /// No TLS.
    Plain,
}

/// Permit or deny. There is no third value: a fault is not a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Allowed.
    Permit,
    /// Refused.
    Deny,
}

/// The line of a file that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The deciding line; `None` where nothing matched.
    pub rule: Option<RuleReference>,
    /// What a permit grants (privilege level, arguments).
    pub grant: T,
}

impl Policy {
    /// The role of this user on this device, now: the first `[[rule]]` whose conditions all hold.
    pub fn select(&self, _context: &Context<'_>) -> Verdict<Option<&Arc<Role>>> {
        Verdict {
            decision: Decision::Deny,
            reason: crate::aaa::Reason::NoRule,
            rule: None,
            grant: None,
        }
    }

    /// May the user enter this command?
    pub fn command(&self, _context: &Context<'_>, _words: &CommandLine) -> Verdict {
        Verdict {
            decision: Decision::Deny,
            reason: crate::aaa::Reason::NoRule,
            rule: None,
            grant: (),
        }
    }

    /// May the user have a shell, and with which privilege level and arguments?
    pub fn shell(&self, _context: &Context<'_>) -> Verdict<Option<Arc<ShellGrant>>> {
        Verdict {
            decision: Decision::Deny,
            reason: crate::aaa::Reason::NoRule,
            rule: None,
            grant: None,
        }
    }

    /// May the user have this service (and protocol of it), and with which arguments?
    pub fn service(
        &self,
        _context: &Context<'_>,
        _service: &str,
        _protocol: Option<&str>,
    ) -> Verdict<Option<Arc<ServiceGrant>>> {
        Verdict {
            decision: Decision::Deny,
            reason: crate::aaa::Reason::NoRule,
            rule: None,
            grant: None,
        }
    }
}
