//! What an entry of the journal asked, as far as the journal knows.

use jiff::Timestamp;

use super::judge::Question;
use crate::accounting::{Arguments, DecisionKind, DecisionView, Protocol, View};
use crate::config::AuthenticationType;
use crate::policy::{self, SHELL, Transport};

/// One question of the past.
pub(super) struct Asked<'a> {
    pub(super) question: Question<'a>,
    pub(super) service: &'a str,
    pub(super) protocol: Option<&'a str>,
    /// Empty for a session as such.
    pub(super) command: &'a str,
}

/// What both kinds of entries have.
struct Parts<'a> {
    user: &'a [u8],
    device: &'a str,
    port: &'a [u8],
    remote: &'a [u8],
    received: Timestamp,
    transport: Transport,
    auth: Option<AuthenticationType>,
    service: &'a [u8],
    command: &'a [u8],
    arguments: Arguments<'a>,
}

impl<'a> Asked<'a> {
    /// A record of accounting.
    pub(super) fn record(view: &View<'a>) -> Option<Self> {
        let fields = &view.fields;
        if fields.protocol != Protocol::Tacacs {
            return None;
        }
        Self::new(Parts {
            user: fields.user,
            device: fields.device,
            port: fields.port,
            remote: fields.remote,
            received: fields.received,
            transport: fields.transport,
            auth: AuthenticationType::of_wire(doorward_tacacs::AuthenticationType(
                fields.authentication_type,
            )),
            service: fields.service,
            command: fields.command,
            arguments: view.arguments,
        })
    }

    /// A decision of this server. It does not say how the user authenticated: ASCII, as in a `[[test]]` that does not say it.
    pub(super) fn decision(view: &DecisionView<'a>) -> Option<Self> {
        let fields = &view.fields;
        if fields.protocol != Protocol::Tacacs {
            return None;
        }
        // A login that was for nothing known is taken for one that wants a shell, as by the server.
        let service = match fields.kind {
            DecisionKind::Authentication if fields.service.is_empty() => SHELL.as_bytes(),
            DecisionKind::Authentication | DecisionKind::Authorization => fields.service,
        };
        Self::new(Parts {
            user: fields.user,
            device: fields.device,
            port: fields.port,
            remote: fields.remote,
            received: fields.received,
            transport: fields.transport,
            auth: Some(AuthenticationType::Ascii),
            service,
            command: fields.command,
            arguments: view.arguments,
        })
    }

    fn new(parts: Parts<'a>) -> Option<Self> {
        let text = |octets: &'a [u8]| std::str::from_utf8(octets).ok();
        let user = text(parts.user).filter(|user| !user.is_empty())?;
        let (remote, command) = (text(parts.remote)?, text(parts.command)?);
        let service = match text(parts.service)? {
            "" if command.is_empty() => return None,
            "" => SHELL,
            named => named,
        };
        let protocol = parts.arguments.into_iter().find_map(|argument| {
            let value = argument.strip_prefix(b"protocol")?;
            text(
                value
                    .strip_prefix(b"=")
                    .or_else(|| value.strip_prefix(b"*"))?,
            )
        });
        Some(Self {
            question: Question {
                user,
                groups: None,
                device: parts.device,
                remote_address: remote.parse().ok(),
                remote,
                port: text(parts.port)?,
                now: parts.received,
                transport: Some(parts.transport),
                protocol: policy::Protocol::Tacacs,
                auth: parts.auth,
                from_anywhere: false,
            },
            service,
            protocol,
            command,
        })
    }
}
