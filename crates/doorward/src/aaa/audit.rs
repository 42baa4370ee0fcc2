//! What `[audit]` keeps of a decision: the row that says what the log line says, for a search months later.

use std::fmt;

use super::{Decided, Kind, Outcome, Peer, Person};
use crate::accounting::{
    DecidingRule, DecisionFields, DecisionKind, DecisionRecord, Protocol, command_line,
    service_argument,
};
use crate::config::Audit;

/// What was asked, by whom and how: all that a log line and a row say besides the decision itself.
#[derive(Clone, Copy)]
pub struct Asked<'a, A = std::iter::Empty<&'a [u8]>> {
    /// Which of the three verbs.
    pub kind: Kind,
    /// The protocol of the request.
    pub protocol: Protocol,
    /// Who, as the device describes them.
    pub person: Person<'a>,
    /// `priv_lvl` of the request.
    pub privilege_level: u8,
    /// The service, where no argument names it.
    pub service: Option<&'a str>,
    /// What was asked, in words: made only for a line or a row.
    pub request: &'a dyn fmt::Display,
    /// The raw arguments of the request, in its order. A password is never one.
    pub arguments: A,
}

/// The row of a decision; `None` where it is not to be kept, for which nothing is made.
pub(super) fn row<'a, A>(
    audit: Audit,
    peer: &Peer,
    asked: &Asked<'a, A>,
    outcome: Outcome,
    decided: &Decided,
) -> Option<DecisionRecord>
where
    A: Iterator<Item = &'a [u8]> + Clone,
{
    let kind = match asked.kind {
        Kind::Authentication => DecisionKind::Authentication,
        Kind::Authorization => DecisionKind::Authorization,
        Kind::Accounting => return None,
    };
    if !keeps(audit, outcome) {
        return None;
    }
    let service = asked
        .service
        .map_or_else(|| service_argument(asked.arguments.clone()), str::as_bytes);
    let command = command_line(asked.arguments.clone());
    // What the command line says, up to the `<cr>` that devices add, is not kept twice.
    let request = asked.request.to_string();
    let request = request.as_bytes();
    let bare = request
        .strip_suffix(b"<cr>")
        .map_or(request, <[u8]>::trim_ascii_end);
    let request = if bare == command { &[] } else { request };
    let file = decided
        .rule
        .as_ref()
        .map(|rule| rule.location.file.to_string_lossy());
    let rule = decided
        .rule
        .as_ref()
        .zip(file.as_deref())
        .map(|(rule, file)| DecidingRule {
            file,
            line: rule.location.line,
            text: &rule.text,
        });
    let fields = DecisionFields {
        received: jiff::Timestamp::now(),
        kind,
        protocol: asked.protocol,
        transport: peer.transport,
        privilege_level: asked.privilege_level,
        listener: &peer.listener,
        device: &peer.device,
        user: asked.person.user.as_bytes(),
        port: asked.person.port.as_bytes(),
        remote: asked.person.remote_address.as_bytes(),
        service,
        command: &command,
        request,
        outcome: outcome.name(),
        reason: decided.reason.name(),
        why: decided.reason.sentence(),
        rule,
    };
    Some(DecisionRecord::new(&fields, asked.arguments.clone()))
}

fn keeps(audit: Audit, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Fail | Outcome::Deny | Outcome::Error => match audit {
            Audit::Denied | Audit::All => true,
            Audit::Off => false,
        },
        Outcome::Pass | Outcome::Permit => match audit {
            Audit::All => true,
            Audit::Denied | Audit::Off => false,
        },
        // A record is kept by being recorded.
        Outcome::Recorded => false,
    }
}
