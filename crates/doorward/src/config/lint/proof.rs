//! Tests that pass whatever the roles say.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Lint, Whole};
use crate::config::report::Report;
use crate::config::source::escape;
use crate::config::tests::{Asked, login};
use crate::config::{Device, PolicyTest, User};
use crate::policy::{Context, Rule, Test};

/// Rules looked at for all tests together; in a file with more, nothing is said of the later tests.
const LOOKED_AT: usize = 2_000_000;

pub(super) fn tests(report: &mut Report, whole: &Whole<'_>) {
    let devices: HashMap<&str, &Device> = whole
        .devices
        .iter()
        .map(|read| (&*read.device.name, &read.device))
        .collect();
    let users: HashMap<&str, &User> = whole
        .users
        .iter()
        .map(|read| (&*read.user.name, &read.user))
        .collect();
    let mut left = LOOKED_AT;
    for (test, spans) in whole.tests {
        let device = devices.get(&*test.device);
        let Some(device) = device.filter(|_| only_denies(test)) else {
            continue;
        };
        let user = users.get(&*test.user).copied();
        let (who, place) = (escape(&test.user), escape(&test.device));
        let message =
            if test.from.is_some() && user.is_some_and(|user| !user.may_come_from(test.from)) {
                format!("these commands are denied only because {who} may not come from there")
            } else {
                let Some(rest) = left.checked_sub(whole.rules.len()) else {
                    return;
                };
                left = rest;
                let rules = whole.rules.iter().map(|read| &read.rule);
                if admitted(rules, test, device, user) {
                    continue;
                }
                format!("these commands are denied only because no rule lets {who} in on {place}")
            };
        report
            .warning(Lint::TestProvesNothing, spans.deny, message)
            .on(format!("test.{}.{}", test.user, test.device))
            .help("if that is what the test is for, add `expect = { login = \"deny\" }`; otherwise mend `as`, `on`, `at` or `from`");
    }
}

/// Nothing in the test would fail if the user were not let in.
fn only_denies(test: &PolicyTest) -> bool {
    test.permit.is_empty()
        && !test.deny.is_empty()
        && test.priv_lvl.is_none()
        && test.login.is_none()
}

/// Does some rule let the user in? Without `at`, at any time: what is found must not depend on the hour of the check.
fn admitted<'r>(
    mut rules: impl Iterator<Item = &'r Rule>,
    test: &PolicyTest,
    device: &Device,
    user: Option<&User>,
) -> bool {
    let own: &[Arc<str>] = user.map_or(&[], |user| &user.groups);
    let asked = Asked {
        user: &test.user,
        groups: test.groups.as_deref().unwrap_or(own),
        device,
        from: test.from,
        now: test.at.unwrap_or(jiff::Timestamp::UNIX_EPOCH),
        protocol: test.protocol,
        auth: test.auth,
    };
    let context = login(&asked);
    rules.any(|rule| holds(rule, &context, test.at.is_none()))
}

fn holds(rule: &Rule, context: &Context<'_>, any_time: bool) -> bool {
    rule.conditions.iter().all(|condition| {
        (any_time && matches!(condition.test, Test::Time(_))) || condition.holds(context)
    })
}
