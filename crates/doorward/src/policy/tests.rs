use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::aaa::Reason;

pub(super) fn reference(line: u32, text: &str) -> Arc<RuleReference> {
    Arc::new(RuleReference {
        location: Location {
            file: Arc::from(Path::new("test.toml")),
            line,
            column: 1,
        },
        text: text.into(),
    })
}

fn rules(text: &str) -> Vec<CommandRule> {
    let (rules, problems) = parse_rules(text);
    assert!(
        problems.iter().all(|one| one.kind.is_lint()),
        "{problems:?}"
    );
    rules
        .into_iter()
        .zip(1..)
        .map(|(rule, line)| {
            let text = text[rule.line.clone()].to_owned();
            rule.at(reference(line, &text))
        })
        .collect()
}

pub(super) fn device(name: &str) -> Device {
    Device {
        name: name.into(),
        address: Vec::new(),
        certificate: None,
        raw_public_key: Vec::new(),
        psk: None,
        tacacs_secret: Vec::new(),
        radius_secret: Vec::new(),
        tags: vec!["role:core".into()],
        profile: None,
        groups: vec!["core".into()],
        tls_required: false,
        dtls_required: false,
        single_connection: None,
        accept: None,
        dialect: None,
        tolerate: crate::config::Tolerances::NONE,
        location: reference(1, "").location.clone(),
    }
}

pub(super) fn role(name: &str, commands: &str, priv_lvl: Option<u8>) -> Arc<Role> {
    Arc::new(Role {
        name: name.into(),
        shell: priv_lvl.map(|level| {
            Arc::new(ShellGrant {
                max_priv_lvl: None,
                priv_lvl: Some(level),
                arguments: Vec::new(),
                reference: reference(2, "shell"),
            })
        }),
        commands: rules(commands).into(),
        services: Vec::new(),
        radius: [].into(),
        rendered: super::Rendered::default(),
        reference: reference(1, "role"),
    })
}

pub(super) fn rule(name: &str, conditions: Vec<Test>, role: &Arc<Role>) -> Rule {
    Rule {
        name: Some(name.into()),
        conditions: conditions
            .into_iter()
            .map(|test| Condition {
                test,
                location: reference(1, "").location.clone(),
            })
            .collect(),
        role: Arc::clone(role),
        reference: reference(9, name),
    }
}

pub(super) fn context<'a>(groups: &'a [Arc<str>], device: &'a Device) -> Context<'a> {
    Context {
        user: "alice",
        groups,
        device,
        remote_address: "192.0.2.7".parse().ok(),
        remote: "192.0.2.7",
        port: "tty1",
        now: jiff::Timestamp::UNIX_EPOCH,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        service: None,
        auth: None,
        address: None,
        peer: None,
        psk_identity: None,
    }
}

const NOC: &str = "permit show running-config interface *
deny   show running-config **
permit show|ping|traceroute **
permit interface /(Gi|Te|Hu)\\S+/
";

/// What the lines of `commands` say about a command: the deciding line, or none.
fn decide(commands: &str, line: &str) -> Option<(Decision, u32)> {
    let command = CommandLine::from_text(line);
    rules(commands)
        .into_iter()
        .find(|rule| rule.matches(&command).is_ok())
        .map(|rule| (rule.decision, rule.reference.location.line))
}

#[test]
fn the_first_line_that_matches_decides() {
    for (line, expected) in [
        (
            "show running-config interface Te0/0/1",
            Some((Decision::Permit, 1)),
        ),
        ("show running-config", Some((Decision::Deny, 2))),
        ("show running-config interface", Some((Decision::Deny, 2))),
        (
            "show running-config interface Te0/0/1 extra",
            Some((Decision::Deny, 2)),
        ),
        ("show bgp summary", Some((Decision::Permit, 3))),
        ("show", Some((Decision::Permit, 3))),
        ("interface Gi0/1", Some((Decision::Permit, 4))),
        ("interface xGi0/1", None),
        ("interface Gi", None),
        ("reload", None),
        ("", None),
    ] {
        assert_eq!(decide(NOC, line), expected, "{line}");
    }
}

/// proves: TAC-8.2-6
#[test]
fn arguments_are_the_words_of_the_command_in_their_order() {
    let rule = &rules("permit show interface brief")[0];
    let fits = |arguments: Vec<&str>| {
        let command = CommandLine::from_arguments("show", arguments);
        rule.matches(&command).is_ok()
    };
    assert!(fits(vec!["interface", "brief"]));
    assert!(fits(vec!["interface brief"]), "one argument or two");
    assert!(!fits(vec!["brief", "interface"]));
    assert!(!fits(vec!["interface", "brief", "brief"]));
}

#[test]
fn white_space_in_an_argument_carries_no_word_past_a_deny() {
    let deny = "deny show running-config **\npermit **";
    for arguments in [
        vec!["running-config"],
        vec!["running-config interface"],
        vec!["", "running-config", "all"],
        vec!["\trunning-config\u{a0}all"],
    ] {
        let command = CommandLine::from_arguments("show", arguments.clone());
        let matched = rules(deny)
            .into_iter()
            .find(|one| one.matches(&command).is_ok());
        assert_eq!(
            matched.map(|one| one.decision),
            Some(Decision::Deny),
            "{arguments:?}"
        );
    }
    assert_eq!(
        decide(deny, "  show   running-config"),
        Some((Decision::Deny, 1))
    );
    assert_eq!(
        decide(deny, "show Running-Config"),
        Some((Decision::Permit, 2)),
        "case counts"
    );
}

#[test]
fn the_trailing_carriage_return_mark_is_no_word_and_the_raw_form_stays() {
    let command = CommandLine::from_arguments("show", ["version", "", "<cr>"]);
    assert_eq!(command.text(), "show version");
    assert_eq!(command.raw(), "show version  <cr>");
    assert_eq!(
        CommandLine::from_text("show <cr> version").text(),
        "show <cr> version"
    );
    assert_eq!(CommandLine::from_text("show x<cr>").text(), "show x<cr>");
    assert_eq!(CommandLine::from_text("<cr>").words().count(), 0);
}

#[test]
fn expressions_hold_the_whole_word_whatever_is_in_them() {
    assert_eq!(decide("permit /a|b/", "ab"), None);
    assert_eq!(decide("permit /a|b/", "b"), Some((Decision::Permit, 1)));
    assert_eq!(decide("permit /show/", "showx"), None);
    assert_eq!(
        decide("permit /sh(?m)$/", "sh"),
        Some((Decision::Permit, 1))
    );
    for bad in [
        "permit /a)(b/",
        "permit /(/",
        "permit /a{999999999}/",
        "permit /(?:a{1000}){1000}/",
    ] {
        let (parsed, problems) = parse_rules(bad);
        assert!(parsed.is_empty(), "{bad}");
        assert!(
            matches!(problems[0].kind, RuleProblemKind::BadRegex(_)),
            "{bad} {problems:?}"
        );
    }
}

#[test]
fn problems_name_their_word_and_all_are_found() {
    let text = "# comment\n\npermit show\n  allow show\ndeny\npermit a ** b\npermit x a||b /(/\npermit Gi*\npermit /all\n";
    let (parsed, problems) = parse_rules(text);
    let found: Vec<(&str, RuleProblemKind)> = problems
        .into_iter()
        .map(|one| (&text[one.piece], one.kind))
        .collect();
    assert_eq!(parsed.len(), 3);
    assert_eq!(found[0], ("allow", RuleProblemKind::NoDecision));
    assert_eq!(found[1], ("deny", RuleProblemKind::NoWords));
    assert_eq!(found[2], ("**", RuleProblemKind::RestNotLast));
    assert_eq!(found[3], ("a||b", RuleProblemKind::EmptyChoice));
    assert_eq!(found[4].0, "/(/");
    assert_eq!(found[5], ("Gi*", RuleProblemKind::LiteralStar));
    assert_eq!(found[6], ("/all", RuleProblemKind::HalfRegex));
    assert_eq!(found.len(), 7);
}

#[test]
fn a_pipe_alone_is_a_word() {
    assert_eq!(
        decide("permit show run | include *", "show run | include bgp"),
        Some((Decision::Permit, 1))
    );
}

#[test]
fn without_a_rule_everything_is_denied() {
    let device = device("core1");
    let policy = Policy::default();
    let context = context(&[], &device);
    let command = CommandLine::from_text("show version");
    assert_eq!(policy.command(&context, &command).reason, Reason::NoRule);
    assert_eq!(policy.shell(&context).decision, Decision::Deny);
    assert_eq!(
        policy.service(&context, "ppp", None).decision,
        Decision::Deny
    );
    assert_eq!(policy.select(&context).decision, Decision::Deny);
}

#[test]
fn the_first_rule_whose_conditions_all_hold_chooses_the_role() {
    let device = device("core1");
    let noc = role("noc", NOC, Some(15));
    let open = role("open", "permit **", None);
    let policy = Policy {
        rules: vec![
            rule(
                "a",
                vec![
                    Test::Group(vec!["noc".into()]),
                    Test::Device(vec![Pattern::new("edge*")]),
                ],
                &open,
            ),
            rule(
                "b",
                vec![
                    Test::Group(vec!["ops".into(), "noc".into()]),
                    Test::Transport(vec![Transport::Tls]),
                ],
                &noc,
            ),
            rule("c", vec![], &open),
        ]
        .into(),
    };
    let groups: [Arc<str>; 1] = ["noc".into()];
    let mut context = context(&groups, &device);
    let selected = policy.select(&context);
    assert_eq!(selected.grant.map(|role| &*role.name), Some("noc"));
    assert_eq!(
        policy
            .shell(&context)
            .grant
            .and_then(|grant| grant.priv_lvl),
        Some(15)
    );
    let reload = policy.command(&context, &CommandLine::from_text("reload"));
    assert_eq!(
        reload.decision,
        Decision::Deny,
        "no rule after the first that matches is asked"
    );
    assert_eq!(reload.reason, Reason::NoCommandRule);
    context.transport = Transport::Plain;
    assert_eq!(
        policy.select(&context).grant.map(|role| &*role.name),
        Some("open")
    );
    assert_eq!(policy.shell(&context).reason, Reason::NoShell);
}

/// proves: TAC-8.2-3
#[test]
fn a_service_with_a_protocol_matches_only_requests_that_carry_it() {
    let grant = |line| {
        Arc::new(ServiceGrant {
            arguments: Vec::new(),
            reference: reference(line, ""),
        })
    };
    let service = |name: &str, protocol: Option<&str>, line| Service {
        name: name.into(),
        protocol: protocol.map(Arc::from),
        grant: grant(line),
    };
    let role = Role {
        name: "r".into(),
        shell: None,
        commands: Commands::default(),
        radius: [].into(),
        rendered: super::Rendered::default(),
        services: vec![
            service("ppp", Some("ip"), 1),
            service("slip", None, 2),
            service("slip", Some("ip"), 3),
        ],
        reference: reference(1, ""),
    };
    let line = |name, protocol| {
        role.service(name, protocol)
            .map(|service| service.grant.reference.location.line)
    };
    assert_eq!(line("ppp", Some("ip")), Some(1));
    assert_eq!(line("ppp", None), None);
    assert_eq!(line("ppp", Some("lcp")), None);
    assert_eq!(line("slip", None), Some(2));
    assert_eq!(line("slip", Some("ip")), Some(3));
    assert_eq!(line("custom-x", None), None);
}

#[test]
fn an_explanation_is_the_decision_with_the_words_compared() {
    let device = device("core1");
    let noc = role("noc", NOC, Some(15));
    let policy = Policy {
        rules: vec![
            rule(
                "far",
                vec![
                    Test::Group(vec!["ops".into()]),
                    Test::User(vec![Pattern::new("bob")]),
                ],
                &noc,
            ),
            rule(
                "near",
                vec![
                    Test::Group(vec!["noc".into()]),
                    Test::User(vec![Pattern::new("bob")]),
                ],
                &noc,
            ),
            rule("noc", vec![Test::Group(vec!["noc".into()])], &noc),
        ]
        .into(),
    };
    let groups: [Arc<str>; 1] = ["noc".into()];
    let context = context(&groups, &device);
    let command = CommandLine::from_text("show running-config");
    let why = explain(&policy, &context, Some(&command));
    assert_eq!(why.verdict, policy.command(&context, &command));
    assert_eq!(
        why.why,
        "`show running-config` is denied by `deny   show running-config **` of role noc: show = show, running-config = running-config, ** = nothing"
    );
    let nearest: Vec<String> = why
        .nearest
        .iter()
        .map(|miss| format!("{}: {}", miss.rule.text, miss.failed))
        .collect();
    assert_eq!(
        nearest,
        [
            "permit show running-config interface *: the command ends where the rule wants `interface`",
            "near: user is alice, not bob",
            "far: group is noc, not ops",
        ]
    );
    let reload = explain(&policy, &context, Some(&CommandLine::from_text("reload")));
    assert_eq!(
        reload.why,
        "`reload` is denied: no command rule of role noc matches it, and no match denies"
    );
    assert_eq!(reload.nearest[0].failed, "word 1 is `reload`, not `show`");
}

/// The matcher as a definition: recursive, without any of the shortcuts.
fn reference_matches(rule: &[&str], words: &[&str]) -> bool {
    match rule {
        [] => words.is_empty(),
        ["**"] => true,
        [first, rest @ ..] => {
            let Some((word, words)) = words.split_first() else {
                return false;
            };
            let fits = *first == "*"
                || first.split('|').any(|one| one == *word)
                || first
                    .strip_prefix('/')
                    .and_then(|one| one.strip_suffix('/'))
                    .is_some_and(|inner| {
                        // The only expression of the generator: a letter and anything.
                        word.starts_with(inner.trim_end_matches(".*"))
                    });
            fits && reference_matches(rest, words)
        }
    }
}

proptest! {
    #[test]
    fn the_matcher_agrees_with_its_definition(
        rule in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "*", "a|b", "/a.*/"]), 0..5),
        rest: bool,
        words in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "abc", "c", "<cr>", ""]), 0..6),
    ) {
        let mut rule = rule;
        if rest {
            rule.push("**");
        }
        prop_assume!(!rule.is_empty());
        let text = format!("permit {}", rule.join(" "));
        let compiled = rules(&text).remove(0);
        let mut expected: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
        while expected.last() == Some(&"<cr>") {
            expected.pop();
        }
        let command = CommandLine::from_arguments(words.first().unwrap_or(&""), words.iter().skip(1).copied());
        prop_assert_eq!(command.words().collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(compiled.matches(&command).is_ok(), reference_matches(&rule, &expected));
    }

    #[test]
    fn no_rule_text_and_no_command_panics(text in ".{0,80}", command in ".{0,40}") {
        let (parsed, problems) = parse_rules(&text);
        for problem in problems {
            prop_assert!(text.get(problem.piece).is_some());
        }
        let command = CommandLine::from_text(&command);
        for rule in parsed {
            let rule = rule.at(reference(1, ""));
            match rule.matches(&command) {
                Ok(()) => drop(rule.comparison(&command)),
                Err(miss) => drop(rule.miss(&command, miss)),
            }
        }
    }
}
