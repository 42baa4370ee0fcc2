//! What a role grants besides commands.

use std::sync::Arc;

use crate::config::source::Location;

/// `[role.NAME]`.
#[derive(Debug)]
pub struct Role {
    /// NAME.
    pub name: Arc<str>,
    /// `shell`; `None` = no shell.
    pub shell: Option<Arc<ShellGrant>>,
    /// Where it is defined.
    pub location: Location,
}

/// An argument of an authorization reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedArgument {
    /// Name, without separator.
    pub name: Arc<str>,
    /// `=` (the device has to honour it) or `*` (it may ignore it); RFC 8907 section 6.1.
    pub mandatory: bool,
    /// Value, maybe empty.
    pub value: Arc<str>,
}

/// `shell` of a role: what a session-based shell authorization grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellGrant {
    /// `priv_lvl`, 0 to 15 (RFC 8907 section 9); `None` = not said, the device's default.
    pub priv_lvl: Option<u8>,
    /// Everything to send, in order, `priv-lvl` included.
    pub arguments: Vec<GrantedArgument>,
    /// Where it is defined.
    pub location: Location,
}

/// `services.NAME` of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceGrant {
    /// Everything to send, in order.
    pub arguments: Vec<GrantedArgument>,
    /// Where it is defined.
    pub location: Location,
}
