//! One question under one configuration, answered as the server would.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Outcome, membership};
use crate::aaa::Reason;
use crate::config::{AuthenticationType, Config};
use crate::policy::{
    CommandLine, Context, Decision, Protocol, ReplyAttribute, RuleReference, SHELL, ServiceGrant,
    ShellGrant, Transport,
};

/// Who asks, from where, when and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) user: &'a str,
    /// `None` = those the configuration gives the user.
    pub(super) groups: Option<&'a [Arc<str>]>,
    pub(super) device: &'a str,
    pub(super) remote_address: Option<IpAddr>,
    pub(super) remote: &'a str,
    pub(super) port: &'a str,
    pub(super) now: Timestamp,
    /// `None` = TLS if the device has a certificate.
    pub(super) transport: Option<Transport>,
    pub(super) protocol: Protocol,
    pub(super) auth: Option<AuthenticationType>,
    /// `from` of the user is not asked.
    pub(super) from_anywhere: bool,
}

/// An answer, still cheap: most are the same on both sides, and nobody looks at them.
#[derive(Debug)]
pub(super) struct Judged {
    decision: Decision,
    reason: Reason,
    rule: Option<Arc<RuleReference>>,
    grant: Grant,
}

#[derive(Debug)]
enum Grant {
    None,
    Shell(Arc<ShellGrant>),
    Service(Arc<ServiceGrant>),
    Radius(Arc<[ReplyAttribute]>),
}

impl Grant {
    /// Would the device get the same?
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Shell(one), Self::Shell(other)) => one.arguments == other.arguments,
            (Self::Service(one), Self::Service(other)) => one.arguments == other.arguments,
            (Self::Radius(one), Self::Radius(other)) => one == other,
            (Self::None | Self::Shell(_) | Self::Service(_) | Self::Radius(_), _) => false,
        }
    }

    /// What is granted, as text.
    fn texts(&self) -> Option<Vec<String>> {
        let arguments = match self {
            Self::None => return None,
            Self::Shell(grant) => &grant.arguments,
            Self::Service(grant) => &grant.arguments,
            Self::Radius(attributes) => {
                let text = |one: &ReplyAttribute| format!("{}={}", one.name, one.text);
                return Some(attributes.iter().map(text).collect());
            }
        };
        let texts = arguments.iter().map(|one| {
            let separator = if one.mandatory { '=' } else { '*' };
            format!("{}{separator}{}", one.name, one.value)
        });
        Some(texts.collect())
    }
}

impl Judged {
    fn deny(reason: Reason, rule: Option<Arc<RuleReference>>) -> Self {
        Self {
            decision: Decision::Deny,
            reason,
            rule,
            grant: Grant::None,
        }
    }

    /// Would the device do the same? Another rule or another reason for it is no difference.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.decision == other.decision && self.grant.is_same(&other.grant)
    }

    pub(super) fn into_outcome(self) -> Outcome {
        Outcome {
            decision: self.decision,
            reason: Some(self.reason),
            rule: self.rule,
            grant: self.grant.texts(),
        }
    }
}

/// The context of the question, or the denial that stands before every rule.
fn context<'a>(config: &'a Config, question: &Question<'a>) -> Result<Context<'a>, Judged> {
    let user = config.users.get(question.user);
    let groups = match (question.groups, user) {
        (Some(groups), _) => groups,
        (None, Some(user)) => &user.groups,
        (None, None) => return Err(Judged::deny(Reason::UserUnknown, None)),
    };
    let Some(device) = config.devices.by_name(question.device) else {
        return Err(Judged::deny(Reason::DeviceGone, None));
    };
    let remote_address = question
        .remote_address
        .map(|address| address.to_canonical());
    if let Some(user) = user
        && !question.from_anywhere
        && !user.may_come_from(remote_address)
    {
        let place = membership("user", &user.name, &user.location);
        return Err(Judged::deny(Reason::UserAddress, Some(Arc::new(place))));
    }
    Ok(Context {
        user: question.user,
        groups,
        device,
        remote_address,
        remote: question.remote,
        port: question.port,
        now: question.now,
        protocol: question.protocol,
        transport: question.transport.unwrap_or(if device.can_use_tls() {
            Transport::Tls
        } else {
            Transport::Plain
        }),
        service: Some(SHELL),
        auth: question.auth,
        address: None,
        peer: None,
        psk_identity: None,
    })
}

/// May the user log in, and which shell comes of it? A login without a shell is permitted and grants nothing.
pub(super) fn login(config: &Config, question: &Question<'_>) -> Judged {
    let context = match context(config, question) {
        Ok(context) => context,
        Err(denied) => return denied,
    };
    let admitted = config.policy.select(&context);
    let shell = config.policy.shell(&context);
    Judged {
        decision: admitted.decision,
        reason: match admitted.decision {
            Decision::Permit => shell.reason,
            Decision::Deny => admitted.reason,
        },
        rule: shell.rule,
        grant: shell.grant.map_or(Grant::None, Grant::Shell),
    }
}

/// May the user log in by RADIUS, and what does the Access-Accept hold?
pub(super) fn radius_login(config: &Config, question: &Question<'_>) -> Judged {
    let context = match context(config, question) {
        Ok(context) => context,
        Err(denied) => return denied,
    };
    let verdict = config.policy.select(&context);
    Judged {
        decision: verdict.decision,
        reason: verdict.reason,
        rule: verdict.rule,
        grant: verdict.grant.map_or(Grant::None, |role| {
            Grant::Radius(role.access_accept(context.device, context.service))
        }),
    }
}

pub(super) fn command(config: &Config, question: &Question<'_>, line: &CommandLine) -> Judged {
    let context = match context(config, question) {
        Ok(context) => context,
        Err(denied) => return denied,
    };
    let verdict = config.policy.command(&context, line);
    Judged {
        decision: verdict.decision,
        reason: verdict.reason,
        rule: verdict.rule,
        grant: Grant::None,
    }
}

pub(super) fn service(
    config: &Config,
    question: &Question<'_>,
    service: &str,
    protocol: Option<&str>,
) -> Judged {
    let context = match context(config, question) {
        Ok(context) => context,
        Err(denied) => return denied,
    };
    let context = Context {
        service: Some(service),
        ..context
    };
    let verdict = config.policy.service(&context, service, protocol);
    Judged {
        decision: verdict.decision,
        reason: verdict.reason,
        rule: verdict.rule,
        grant: verdict.grant.map_or(Grant::None, Grant::Service),
    }
}
