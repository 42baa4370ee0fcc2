//! With the index and without it: the same rule, and few that are asked.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::tests::{context, device, role, rule};
use super::super::{
    CommandLine, Context, Decision, Pattern, Policy, Role, Rule, RuleReference, Test, Transport,
    explain,
};
use crate::aaa::Reason;
use crate::config::Device;

/// The first rule that matches, by asking each: what the index must agree with.
fn plainly<'p>(policy: &'p Policy, context: &Context<'_>) -> Option<&'p Rule> {
    let holds = |rule: &&Rule| rule.conditions.iter().all(|one| one.holds(context));
    policy.rules.iter().find(holds)
}

fn command_plainly(role: &Role, command: &CommandLine) -> Option<(Decision, Arc<RuleReference>)> {
    let mut lines = role.commands.iter();
    let line = lines.find(|line| line.matches(command).is_ok())?;
    Some((line.decision, Arc::clone(&line.reference)))
}

fn names(prefix: &'static str, most: usize) -> impl Strategy<Value = Vec<Arc<str>>> {
    prop::collection::vec(
        (0..4_u8).prop_map(move |n| format!("{prefix}{n}").into()),
        1..=most,
    )
}

/// Names, and now and then a pattern among them.
fn patterns(prefix: &'static str) -> impl Strategy<Value = Vec<Pattern>> {
    let one = prop_oneof![
        6 => (0..4_u8).prop_map(move |n| format!("{prefix}{n}")),
        1 => Just(format!("{prefix}*")),
        1 => Just("*2".to_owned()),
    ];
    prop::collection::vec(one.prop_map(|text| Pattern::new(&text)), 1..=2)
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        patterns("u").prop_map(Test::User),
        names("g", 2).prop_map(Test::Group),
        patterns("d").prop_map(Test::Device),
        names("dg", 2).prop_map(Test::DeviceGroup),
        patterns("t").prop_map(Test::Tag),
        Just(Test::Transport(vec![Transport::Tls])),
    ]
}

const WORDS: [&str; 8] = [
    "show",
    "ping",
    "reload",
    "*",
    "show|ping",
    "/p.*/",
    "show|show",
    "no",
];

/// Rules of commands, a few or many; each is told from the others by its last word.
fn commands() -> impl Strategy<Value = String> {
    let line = (
        prop::sample::select(WORDS.to_vec()),
        any::<bool>(),
        any::<bool>(),
    );
    prop::collection::vec(line, 0..20).prop_map(|lines| {
        let line = |(word, permit, rest): (&str, bool, bool)| {
            let decision = if permit { "permit" } else { "deny" };
            let rest = if rest { " **" } else { "" };
            format!("{decision} {word}{rest}\n")
        };
        lines.into_iter().map(line).collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let rules = prop::collection::vec(prop::collection::vec(test(), 0..4), 0..60);
    (rules, prop::collection::vec(commands(), 3)).prop_map(|(rules, commands)| {
        let roles: Vec<Arc<Role>> = commands
            .iter()
            .map(|text| role("r", text, (text.len() % 2 == 0).then_some(1)))
            .collect();
        let numbered = rules.into_iter().enumerate();
        let rules: Vec<Rule> = numbered
            .map(|(at, tests)| rule(&format!("rule {at}"), tests, &roles[at % roles.len()]))
            .collect();
        Policy {
            rules: rules.into(),
        }
    })
}

fn somewhere() -> impl Strategy<Value = Device> {
    let parts = (
        prop::sample::select(vec!["d0", "d1", "d2", "x"]),
        prop::collection::vec((0..4_u8).prop_map(|n| Arc::from(format!("dg{n}"))), 0..3),
        prop::collection::vec((0..4_u8).prop_map(|n| Arc::from(format!("t{n}"))), 0..3),
    );
    parts.prop_map(|(name, groups, tags)| Device {
        groups,
        tags,
        ..device(name)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_index_changes_no_decision(
        policy in policy(),
        device in somewhere(),
        user in prop::sample::select(vec!["u0", "u1", "u2", "x"]),
        groups in prop::collection::vec((0..5_u8).prop_map(|n| Arc::<str>::from(format!("g{n}"))), 0..4),
        command in "(show|ping|reload|no|other|) ?(a|<cr>)?",
        tls: bool,
    ) {
        let mut context = context(&groups, &device);
        context.user = user;
        context.transport = if tls { Transport::Tls } else { Transport::Plain };
        let line = CommandLine::from_text(&command);
        let chosen = plainly(&policy, &context);
        let expected = chosen.and_then(|rule| command_plainly(&rule.role, &line));
        let verdict = policy.command(&context, &line);
        prop_assert_eq!(&verdict, &explain(&policy, &context, Some(&line)).verdict);
        match (chosen, expected) {
            (None, _) => prop_assert_eq!((verdict.reason, verdict.rule), (Reason::NoRule, None)),
            (Some(rule), None) => prop_assert_eq!(
                (verdict.reason, verdict.rule),
                (Reason::NoCommandRule, Some(Arc::clone(&rule.reference)))
            ),
            (Some(_), Some((decision, reference))) => {
                prop_assert_eq!((verdict.decision, verdict.rule), (decision, Some(reference)));
            }
        }
        let selected = policy.select(&context);
        prop_assert_eq!(selected.rule.as_ref(), chosen.map(|rule| &rule.reference));
        let shell = policy.shell(&context);
        prop_assert_eq!(shell.reason, explain(&policy, &context, None).verdict.reason);
        // What may match is offered in the order of the file, each once.
        let offered: Vec<u32> = policy
            .rules
            .candidates(&context)
            .map(|rule| rule.reference.text["rule ".len()..].parse().unwrap())
            .collect();
        prop_assert!(offered.is_sorted_by(|one, next| one < next), "{:?}", offered);
    }
}

/// A user in more groups than lists are merged in place, each group with more rules than are asked without a look-up.
#[test]
fn somebody_in_a_hundred_groups_is_judged_by_the_first_rule_all_the_same() {
    let (some, last) = (
        role("some", "permit a", None),
        role("last", "permit b", None),
    );
    let mut rules: Vec<Rule> = (0..2_000)
        .map(|at| {
            let group = Arc::from(format!("g{}", at % 100));
            let elsewhere = Pattern::new(&format!("d{at}"));
            let tests = vec![Test::Group(vec![group]), Test::Device(vec![elsewhere])];
            rule("elsewhere", tests, &some)
        })
        .collect();
    rules.push(rule(
        "here",
        vec![Test::Device(vec![Pattern::new("core1")])],
        &last,
    ));
    for at in 0..1_000 {
        let group = Arc::from(format!("g{}", at % 100));
        rules.push(rule("later", vec![Test::Group(vec![group])], &some));
    }
    let policy = Policy {
        rules: rules.into(),
    };
    let groups: Vec<Arc<str>> = (0..100).map(|at| format!("g{at}").into()).collect();
    let device = device("core1");
    let context = context(&groups, &device);
    let verdict = policy.select(&context);
    assert_eq!(
        verdict.rule.as_deref().map(|rule| &*rule.text),
        Some("here")
    );
    assert_eq!(policy.rules.candidates(&context).count(), 1_001);
}

#[test]
fn a_role_with_a_thousand_commands_asks_those_of_the_first_word() {
    let mut text: String = (0..1_000)
        .map(|at| format!("permit verb{at} **\n"))
        .collect();
    text.push_str("deny * secret\npermit verb7|verb8 **\n");
    let role = role("many", &text, None);
    let offered = |command: &str| -> Vec<u32> {
        let line = CommandLine::from_text(command);
        let candidates = role.commands.candidates(&line);
        candidates
            .map(|rule| rule.reference.location.line)
            .collect()
    };
    assert_eq!(offered("verb8 x"), [9, 1_001, 1_002]);
    assert_eq!(offered("other"), [1_001]);
    assert_eq!(offered(""), [1_001]);
}
