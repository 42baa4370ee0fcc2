//! The evaluation: one walk, with an observer that explanations look through.
//!
//! Requests ask only the rules that [`super::index`] finds for them; an observer sees every rule that was passed over.

use std::sync::Arc;

use super::command::{CommandLine, CommandRule, WordMiss};
use super::condition::{Condition, Protocol};
use super::index::{Commands, Rules};
use super::role::{Held, Role, ServiceGrant, ShellGrant};
use super::{Context, Decision, RuleReference, SHELL, Verdict};
use crate::aaa::Reason;

/// `[role.NAME]` and `[[rule]]`, ready to be asked.
#[derive(Debug, Default)]
pub struct Policy {
    /// `[[rule]]`, in the order of the files.
    pub rules: Rules,
}

/// One `[[rule]]`.
#[derive(Debug)]
pub struct Rule {
    /// `name`.
    pub name: Option<Arc<str>>,
    /// `when`; all have to hold, and none is always true.
    pub conditions: Vec<Condition>,
    /// `role`.
    pub role: Arc<Role>,
    /// Its place and text.
    pub reference: Arc<RuleReference>,
}

impl Rule {
    /// The first condition that does not hold, and how many before it do.
    fn failed(&self, context: &Context<'_>) -> Option<(usize, &Condition)> {
        self.conditions
            .iter()
            .enumerate()
            .find(|(_, condition)| !condition.holds(context))
    }
}

/// Sees what was tried and did not match. The real traffic is watched by `()`, which the compiler removes.
pub(super) trait Observer<'p> {
    /// Whether rules are shown that could not match.
    const SEES_ALL: bool;

    /// A `[[rule]]` did not match: its condition number `held` fails.
    fn rule_missed(&mut self, _rule: &'p Rule, _held: usize, _failed: &'p Condition) {}
    /// A `[[rule]]` matched.
    fn rule_matched(&mut self, _rule: &'p Rule) {}
    /// A command rule of the role did not match.
    fn command_missed(&mut self, _rule: &'p CommandRule, _miss: WordMiss) {}
    /// A command rule of the role matched.
    fn command_matched(&mut self, _rule: &'p CommandRule) {}
}

impl Observer<'_> for () {
    const SEES_ALL: bool = false;
}

impl Policy {
    /// The role of this user on this device, now: the first `[[rule]]` whose conditions all hold.
    pub fn select(&self, context: &Context<'_>) -> Verdict<Option<&Arc<Role>>> {
        self.select_observed(context, &mut ())
    }

    pub(super) fn select_observed<'p>(
        &'p self,
        context: &Context<'_>,
        observer: &mut impl Observer<'p>,
    ) -> Verdict<Option<&'p Arc<Role>>> {
        match self.first_rule(context, observer) {
            // TACACS+ says so at the authorization of the shell; RADIUS has only this answer.
            Some(rule) if lacks_shell(rule, context) => denied(Reason::NoShell, Some(rule)),
            Some(rule) => Verdict {
                decision: Decision::Permit,
                reason: Reason::RuleMatched,
                rule: Some(rule.reference.clone()),
                grant: Some(&rule.role),
            },
            None => denied(Reason::NoRule, None),
        }
    }

    /// May the user enter this command?
    pub fn command(&self, context: &Context<'_>, command: &CommandLine) -> Verdict {
        self.command_observed(context, command, &mut ())
    }

    /// May the user have a shell, and with which privilege level and arguments?
    pub fn shell(&self, context: &Context<'_>) -> Verdict<Option<Arc<ShellGrant>>> {
        self.shell_observed(context, &mut ())
    }

    pub(super) fn shell_observed<'p>(
        &'p self,
        context: &Context<'_>,
        observer: &mut impl Observer<'p>,
    ) -> Verdict<Option<Arc<ShellGrant>>> {
        let Some(rule) = self.first_rule(context, observer) else {
            return denied(Reason::NoRule, None);
        };
        match &rule.role.shell {
            Some(grant) => Verdict {
                decision: Decision::Permit,
                reason: Reason::ShellGranted,
                rule: Some(grant.reference.clone()),
                grant: Some(Arc::clone(grant)),
            },
            None => denied(Reason::NoShell, Some(rule)),
        }
    }

    /// May the user have this service (and protocol of it), and with which arguments?
    pub fn service(
        &self,
        context: &Context<'_>,
        service: &str,
        protocol: Option<&str>,
    ) -> Verdict<Option<Arc<ServiceGrant>>> {
        let Some(rule) = self.first_rule(context, &mut ()) else {
            return denied(Reason::NoRule, None);
        };
        match rule.role.service(service, protocol) {
            Some(found) => Verdict {
                decision: Decision::Permit,
                reason: Reason::ServiceGranted,
                rule: Some(found.grant.reference.clone()),
                grant: Some(Arc::clone(&found.grant)),
            },
            None => denied(Reason::NoService, Some(rule)),
        }
    }

    pub(super) fn command_observed<'p>(
        &'p self,
        context: &Context<'_>,
        command: &CommandLine,
        observer: &mut impl Observer<'p>,
    ) -> Verdict {
        let Some(rule) = self.first_rule(context, observer) else {
            return denied(Reason::NoRule, None);
        };
        match first_command(&rule.role.commands, command, observer) {
            Some(line) => Verdict {
                decision: line.decision,
                reason: Reason::CommandRule,
                rule: Some(line.reference.clone()),
                grant: (),
            },
            None => denied(Reason::NoCommandRule, Some(rule)),
        }
    }

    fn first_rule<'p, O: Observer<'p>>(
        &'p self,
        context: &Context<'_>,
        observer: &mut O,
    ) -> Option<&'p Rule> {
        let mut matches = |rule: &&'p Rule| match rule.failed(context) {
            None => {
                observer.rule_matched(rule);
                true
            }
            Some((held, condition)) => {
                observer.rule_missed(rule, held, condition);
                false
            }
        };
        if O::SEES_ALL {
            self.rules.iter().find(matches)
        } else {
            self.rules.candidates(context).find(|rule| matches(rule))
        }
    }
}

/// A RADIUS login to a shell, on a device whose profile makes none of the role.
fn lacks_shell(rule: &Rule, context: &Context<'_>) -> bool {
    context.protocol == Protocol::Radius
        && context.service == Some(SHELL)
        && matches!(
            rule.role.held(context.device),
            Some(Held::NoShell | Held::Refused(_))
        )
}

fn first_command<'p, O: Observer<'p>>(
    commands: &'p Commands,
    command: &CommandLine,
    observer: &mut O,
) -> Option<&'p CommandRule> {
    let mut matches = |line: &&'p CommandRule| match line.matches(command) {
        Ok(()) => {
            observer.command_matched(line);
            true
        }
        Err(miss) => {
            observer.command_missed(line, miss);
            false
        }
    };
    if O::SEES_ALL {
        commands.iter().find(matches)
    } else {
        commands.candidates(command).find(|line| matches(line))
    }
}

fn denied<T: Default>(reason: Reason, rule: Option<&Rule>) -> Verdict<T> {
    Verdict {
        decision: Decision::Deny,
        reason,
        rule: rule.map(|rule| rule.reference.clone()),
        grant: T::default(),
    }
}
