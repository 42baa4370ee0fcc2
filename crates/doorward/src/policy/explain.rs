//! Why: the decision in words, and the rules that came close.

use std::sync::Arc;

use super::command::{CommandLine, CommandRule, WordMiss};
use super::condition::Condition;
use super::eval::{Observer, Policy, Rule};
use super::{Context, Decision, Held, ReplyAttribute, RuleReference, SHELL, Verdict};
use crate::aaa::Reason;

/// A decision on a command, a shell or a RADIUS login, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The decision: the very one that the server makes.
    pub verdict: Verdict,
    /// The `[[rule]]` that chose the role.
    pub chosen_by: Option<Arc<RuleReference>>,
    /// The role.
    pub role: Option<Arc<str>>,
    /// What the role gives with the Access-Accept; only for a RADIUS login that is permitted.
    pub attributes: Option<Arc<[ReplyAttribute]>>,
    /// What of the role does not hold over RADIUS, so that the rights are the least of the device's profile.
    pub held_to_least: Option<Arc<str>>,
    /// What of the role's attributes the profile of the device leaves out, by name.
    pub left_out: Vec<String>,
    /// One sentence with the words compared.
    pub why: String,
    /// Rules that were tried and did not match, the closest first.
    pub nearest: Vec<Miss>,
}

/// A rule that did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Which.
    pub rule: Arc<RuleReference>,
    /// What it would have decided; a `[[rule]]` decides nothing by itself.
    pub decision: Option<Decision>,
    /// The first word or condition that failed.
    pub failed: String,
}

/// How many misses are worth reading.
const NEAREST: usize = 5;

/// Explains the decision on a command, or on a shell where `command` is `None`.
pub fn explain(
    policy: &Policy,
    context: &Context<'_>,
    command: Option<&CommandLine>,
) -> Explanation {
    let mut trail = Trail::default();
    let verdict = match command {
        Some(command) => policy.command_observed(context, command, &mut trail),
        None => {
            let verdict = policy.shell_observed(context, &mut trail);
            Verdict {
                decision: verdict.decision,
                reason: verdict.reason,
                rule: verdict.rule,
                grant: (),
            }
        }
    };
    let why = sentence(&verdict, &trail, context, command);
    Explanation {
        verdict,
        chosen_by: trail.chosen.map(|rule| rule.reference.clone()),
        role: trail.chosen.map(|rule| rule.role.name.clone()),
        attributes: None,
        held_to_least: None,
        left_out: Vec::new(),
        why,
        nearest: trail.nearest(context, command),
    }
}

/// Explains the decision on a RADIUS login, which asks for nothing but the role.
pub fn explain_login(policy: &Policy, context: &Context<'_>) -> Explanation {
    let mut trail = Trail::default();
    let verdict = policy.select_observed(context, &mut trail);
    let who = format!("{} on {}", context.user, context.device.name);
    let attributes = verdict
        .grant
        .map(|role| role.access_accept(context.device, context.service));
    let left_out = verdict.grant.map(|role| {
        let names = role.left_out(context.device).map(|one| one.name.clone());
        names.collect()
    });
    let role = trail.chosen.map(|rule| &rule.role);
    let held = role.and_then(|role| role.held(context.device));
    let profile = context.device.profile.map_or("", super::Profile::name);
    let why = match (verdict.grant, role, held) {
        (Some(role), _, _) => format!("a login is granted role {} ({who})", role.name),
        (None, Some(role), Some(Held::Refused(why))) => format!(
            "a login is denied: profile {profile} cannot hold anybody to {why} of role {} ({who})",
            role.name
        ),
        (None, Some(role), _) => format!(
            "a login is denied: role {} has no `shell`, and nothing in `radius` says what somebody may do on profile {profile} ({who})",
            role.name
        ),
        (None, None, _) => format!("a login is denied: {} ({who})", verdict.reason),
    };
    let held_to_least = match (verdict.grant, held) {
        (Some(_), Some(Held::Least(why))) if context.service == Some(SHELL) => {
            Some(Arc::clone(why))
        }
        _ => None,
    };
    Explanation {
        verdict: Verdict {
            decision: verdict.decision,
            reason: verdict.reason,
            rule: verdict.rule,
            grant: (),
        },
        chosen_by: trail.chosen.map(|rule| rule.reference.clone()),
        role: trail.chosen.map(|rule| rule.role.name.clone()),
        attributes,
        held_to_least,
        left_out: left_out.unwrap_or_default(),
        why,
        nearest: trail.nearest(context, None),
    }
}

/// What the evaluation tried.
#[derive(Default)]
struct Trail<'p> {
    chosen: Option<&'p Rule>,
    matched: Option<&'p CommandRule>,
    rules: Vec<(&'p Rule, usize, &'p Condition)>,
    commands: Vec<(&'p CommandRule, WordMiss)>,
}

impl<'p> Observer<'p> for Trail<'p> {
    const SEES_ALL: bool = true;

    fn rule_missed(&mut self, rule: &'p Rule, held: usize, failed: &'p Condition) {
        self.rules.push((rule, held, failed));
    }

    fn rule_matched(&mut self, rule: &'p Rule) {
        self.chosen = Some(rule);
    }

    fn command_missed(&mut self, rule: &'p CommandRule, miss: WordMiss) {
        self.commands.push((rule, miss));
    }

    fn command_matched(&mut self, rule: &'p CommandRule) {
        self.matched = Some(rule);
    }
}

impl Trail<'_> {
    /// Command rules of the chosen role first: they are closer to the request than any rule that chose no role.
    fn nearest(mut self, context: &Context<'_>, command: Option<&CommandLine>) -> Vec<Miss> {
        // Stable: among equally close ones the earlier line stands first.
        self.commands
            .sort_by_key(|(_, miss)| std::cmp::Reverse(miss.matched));
        self.rules.sort_by_key(|(rule, held, _)| {
            let left = rule.conditions.len().saturating_sub(*held);
            (left, std::cmp::Reverse(*held))
        });
        let commands = self.commands.iter().filter_map(|(rule, miss)| {
            command.map(|command| Miss {
                rule: rule.reference.clone(),
                decision: Some(rule.decision),
                failed: rule.miss(command, *miss),
            })
        });
        let rules = self.rules.iter().map(|(rule, _, failed)| Miss {
            rule: rule.reference.clone(),
            decision: None,
            failed: format!(
                "{} is {}, not {}",
                failed.key(),
                failed.found(context),
                failed.wanted()
            ),
        });
        commands.chain(rules).take(NEAREST).collect()
    }
}

fn sentence(
    verdict: &Verdict,
    trail: &Trail<'_>,
    context: &Context<'_>,
    command: Option<&CommandLine>,
) -> String {
    let asked = command.map_or_else(|| "a shell".to_owned(), |one| format!("`{}`", one.text()));
    let who = format!("{} on {}", context.user, context.device.name);
    let Some(chosen) = trail.chosen else {
        return format!("{asked} is denied: {} ({who})", Reason::NoRule);
    };
    let role = &chosen.role.name;
    match (verdict.decision, trail.matched, command) {
        (decision, Some(rule), Some(command)) => {
            let done = match decision {
                Decision::Permit => "permitted",
                Decision::Deny => "denied",
            };
            format!(
                "{asked} is {done} by `{}` of role {role}: {}",
                rule.reference.text,
                rule.comparison(command)
            )
        }
        (Decision::Permit, _, _) => format!("{asked} is granted by role {role} ({who})"),
        (Decision::Deny, _, Some(_)) => {
            format!(
                "{asked} is denied: no command rule of role {role} matches it, and no match denies"
            )
        }
        (Decision::Deny, _, None) => format!("{asked} is denied: role {role} grants none"),
    }
}
