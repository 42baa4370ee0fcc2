//! No false alarm: what is reported as never deciding never decides, whatever is asked.

use std::fmt::Write as _;
use std::sync::Arc;

use doorward::config::{AuthenticationType, Device, Lint, Loaded};
use doorward::policy::{CommandLine, Context, Protocol, Transport};
use proptest::prelude::*;

use crate::context::TestContext;

const DEVICES: &str = r#"version = 1
[device_group.core]
match = { tag = ["core"] }
[device_group.ams]
match = { tag = ["ams"] }
[device_group.all]
match = { name = "*" }
[device.core1]
tags = ["core", "ams"]
[device.core2]
tags = ["core"]
[device.edge1]
tags = ["edge", "ams"]
[device.lab]
"#;

/// A condition, a line of `when`.
fn condition() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "user = \"alice\"",
        "user = [\"alice\", \"bob\"]",
        "user = \"a*\"",
        "user = \"*\"",
        "group = \"noc\"",
        "group = [\"noc\", \"ops\"]",
        "group = \"ops\"",
        "device = \"core1\"",
        "device = \"core*\"",
        "device = [\"core1\", \"edge1\"]",
        "device = \"*1\"",
        "device_group = \"core\"",
        "device_group = [\"core\", \"ams\"]",
        "device_group = \"all\"",
        "tag = \"core\"",
        "tag = [\"edge\", \"core\"]",
        "tag = \"*\"",
        "from = \"192.0.2.0/24\"",
        "from = [\"192.0.2.0/25\", \"192.0.2.128/25\"]",
        "from = \"192.0.2.7\"",
        "time = \"Mon-Fri 07:00-20:00 UTC\"",
        "time = \"Mon 08:00-09:00 UTC\"",
        "time = [\"00:00-12:00 UTC\", \"12:00-24:00 UTC\"]",
        "time = \"Mon 22:00-06:00 UTC\"",
        "transport = \"tls\"",
        "transport = [\"tls\", \"plain\"]",
        "protocol = \"tacacs\"",
        "protocol = \"radius\"",
        "protocol = [\"tacacs\", \"radius\"]",
        "auth = \"pap\"",
        "auth = [\"pap\", \"ascii\"]",
        "service = \"shell\"",
        "service = \"*\"",
        "port = \"tty*\"",
        "port = \"*\"",
        "remote = \"192*\"",
        "address = \"192.0.2.0/24\"",
        "address = [\"192.0.2.0/25\", \"10.0.0.0/8\"]",
        "address = \"0.0.0.0/0\"",
        "psk_identity = \"tty*\"",
        "psk_identity = [\"tty1\", \"vty*\"]",
        "psk_identity = \"*\"",
    ])
}

fn rule() -> impl Strategy<Value = String> {
    prop::collection::vec(condition(), 0..4).prop_map(|conditions| {
        let mut keys: Vec<(&str, &str)> = Vec::new();
        for condition in conditions {
            let key = condition.split(' ').next().unwrap();
            if keys.iter().all(|(known, _)| *known != key) {
                keys.push((key, condition));
            }
        }
        let list: Vec<&str> = keys.iter().map(|(_, condition)| *condition).collect();
        list.join(", ")
    })
}

#[derive(Clone, Debug)]
struct Request {
    user: &'static str,
    groups: Vec<Arc<str>>,
    device: usize,
    address: Option<&'static str>,
    port: &'static str,
    minute: i64,
    tls: bool,
    radius: bool,
    service: Option<&'static str>,
    auth: Option<AuthenticationType>,
}

fn request() -> impl Strategy<Value = Request> {
    let groups = prop::sample::subsequence(vec!["noc", "ops", "x"], 0..=3);
    let auth = prop::sample::select(vec![
        None,
        Some(AuthenticationType::Pap),
        Some(AuthenticationType::Ascii),
    ]);
    (
        prop::sample::select(vec!["alice", "bob", "anna", ""]),
        groups,
        0..4_usize,
        prop::sample::select(vec![
            None,
            Some("192.0.2.7"),
            Some("192.0.2.200"),
            Some("10.1.1.1"),
        ]),
        prop::sample::select(vec!["tty1", "vty0", ""]),
        0..10_080_i64,
        (any::<bool>(), any::<bool>()),
        prop::sample::select(vec![None, Some("shell"), Some("ppp")]),
        auth,
    )
        .prop_map(
            |(user, groups, device, address, port, minute, (tls, radius), service, auth)| Request {
                user,
                groups: groups.into_iter().map(Arc::from).collect(),
                device,
                address,
                port,
                minute,
                tls,
                radius,
                service,
                auth,
            },
        )
}

impl Request {
    fn context<'a>(&'a self, devices: &'a [Arc<Device>]) -> Context<'a> {
        // The first Monday after the epoch.
        let seconds = 4 * 24 * 3600 + self.minute * 60;
        Context {
            user: self.user,
            groups: &self.groups,
            device: devices.get(self.device).unwrap(),
            remote_address: self.address.map(|text| text.parse().unwrap()),
            remote: self.address.unwrap_or(""),
            port: self.port,
            now: jiff::Timestamp::from_second(seconds).unwrap(),
            protocol: if self.radius {
                Protocol::Radius
            } else {
                Protocol::Tacacs
            },
            transport: if self.tls {
                Transport::Tls
            } else {
                Transport::Plain
            },
            service: self.service,
            auth: self.auth,
            address: self.address.map(|text| text.parse().unwrap()),
            peer: None,
            psk_identity: Some(self.port).filter(|text| !text.is_empty()),
        }
    }
}

fn load(context: &TestContext, rules: &[String]) -> Loaded {
    let mut text = DEVICES.to_owned();
    for (at, when) in rules.iter().enumerate() {
        let _ = writeln!(
            text,
            "[role.r{at}]\n[[rule]]\nname = \"r{at}\"\nwhen = {{ {when} }}\nrole = \"r{at}\""
        );
    }
    context
        .load(&text)
        .unwrap_or_else(|failure| panic!("{failure}"))
}

/// The names of the rules that a lint is about.
fn reported(loaded: &Loaded, lints: &[Lint]) -> Vec<String> {
    let found = loaded.diagnostics.iter();
    found
        .filter(|one| one.lint.is_some_and(|lint| lints.contains(&lint)))
        .map(|one| {
            one.section
                .clone()
                .unwrap()
                .trim_start_matches("rule.")
                .to_owned()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_that_is_said_never_to_decide_never_does(
        rules in prop::collection::vec(rule(), 1..12),
        requests in prop::collection::vec(request(), 64),
    ) {
        let folder = TestContext::new();
        let loaded = load(&folder, &rules);
        let never = reported(&loaded, &[Lint::ShadowedRule, Lint::RuleWithoutDevice]);
        let devices: Vec<Arc<Device>> = loaded.config.devices.iter().cloned().collect();
        for request in &requests {
            let verdict = loaded.config.policy.select(&request.context(&devices));
            if let Some(role) = verdict.grant {
                prop_assert!(
                    !never.contains(&role.name.to_string()),
                    "{} decided {request:?}\n{}", role.name, rules.join("\n")
                );
            }
        }
    }

    #[test]
    fn a_device_that_is_said_to_have_no_rule_has_none(
        rules in prop::collection::vec(rule(), 1..6),
        requests in prop::collection::vec(request(), 64),
    ) {
        let folder = TestContext::new();
        let loaded = load(&folder, &rules);
        let without = loaded.diagnostics.iter().find(|one| one.lint == Some(Lint::DeviceWithoutRule));
        let devices: Vec<Arc<Device>> = loaded.config.devices.iter().cloned().collect();
        if let Some(found) = without {
            for request in &requests {
                let context = request.context(&devices);
                if found.message.contains(&format!("[device.{}]", context.device.name)) {
                    prop_assert!(loaded.config.policy.select(&context).grant.is_none());
                }
            }
        }
    }

    #[test]
    fn a_line_that_is_said_never_to_decide_never_does(
        lines in prop::collection::vec(line(), 1..14),
        commands in prop::collection::vec(prop::collection::vec(word(), 1..5), 64),
    ) {
        let folder = TestContext::new();
        let text = format!("{DEVICES}[role.r]\ncommands = '''\n{}\n'''\n[[rule]]\nrole = \"r\"\n", lines.join("\n"));
        let loaded = folder.load(&text).unwrap_or_else(|failure| panic!("{failure}"));
        let devices: Vec<Arc<Device>> = loaded.config.devices.iter().cloned().collect();
        let asked = Request { user: "a", groups: vec![], device: 0, address: None, port: "", minute: 0, tls: true, radius: false, service: None, auth: None };
        let found: Vec<_> = loaded.diagnostics.iter().filter(|one| one.lint == Some(Lint::ShadowedRule)).collect();
        for command in &commands {
            let command = CommandLine::from_text(&command.join(" "));
            let verdict = loaded.config.policy.command(&asked.context(&devices), &command);
            let decided = verdict.rule.map(|rule| rule.location.line);
            for finding in &found {
                prop_assert!(decided != finding.location.as_ref().map(|place| place.line), "{}\n{finding}", command.text());
            }
        }
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["show", "ping", "Gi1", "Gi2", "x"])
}

fn line() -> impl Strategy<Value = String> {
    let pieces = vec![
        "show",
        "ping",
        "show|ping",
        "Gi1",
        "/Gi\\d/",
        "/.*/",
        "*",
        "x",
        "Gi1|Gi2",
    ];
    (
        any::<bool>(),
        prop::collection::vec(prop::sample::select(pieces), 0..4),
        any::<bool>(),
    )
        .prop_map(|(permit, mut words, rest)| {
            if rest || words.is_empty() {
                words.push("**");
            }
            format!(
                "{} {}",
                if permit { "permit" } else { "deny" },
                words.join(" ")
            )
        })
}

/// The other side: what plainly never decides is said. The earlier rule, the later one, and whether that is so.
#[test]
fn rules_that_plainly_never_decide_are_found() {
    let context = TestContext::new();
    for (earlier, later, found) in [
        ("", "group = \"noc\"", true),
        ("group = \"noc\"", "group = \"noc\"", true),
        ("group = \"noc\"", "", false),
        ("group = \"noc\"", "group = [\"noc\", \"ops\"]", false),
        ("group = [\"noc\", \"ops\"]", "group = \"ops\"", true),
        ("group = \"noc\"", "user = \"alice\"", false),
        ("user = \"a*\"", "user = \"al*ce\"", true),
        ("user = \"al*ce\"", "user = \"a*\"", false),
        ("user = \"*\"", "group = \"noc\"", true),
        ("device_group = \"core\"", "device = \"core1\"", true),
        ("device_group = \"core\"", "device = \"edge1\"", false),
        ("device_group = \"ams\"", "tag = \"core\"", false),
        (
            "tag = \"ams\"",
            "device_group = \"core\", tag = \"ams\"",
            true,
        ),
        (
            "device = [\"core1\", \"core2\"]",
            "device_group = \"core\"",
            true,
        ),
        // A rule for every device is meant for those to come, too.
        ("device_group = \"all\"", "", false),
        ("device = \"*\"", "", true),
        (
            "from = [\"192.0.2.0/25\", \"192.0.2.128/25\"]",
            "from = \"192.0.2.0/24\"",
            true,
        ),
        ("from = \"192.0.2.0/25\"", "from = \"192.0.2.0/24\"", false),
        (
            "time = \"Mon-Fri UTC\"",
            "time = \"Tue 08:00-09:00 UTC\"",
            true,
        ),
        ("time = \"Mon-Fri UTC\"", "group = \"noc\"", false),
        ("time = \"00:00-24:00 UTC\"", "group = \"noc\"", true),
        ("transport = [\"tls\", \"plain\"]", "", true),
        (
            "transport = \"tls\"",
            "transport = \"tls\", auth = \"pap\"",
            true,
        ),
        ("auth = [\"pap\", \"ascii\"]", "", false),
        ("service = \"*\"", "", false),
        ("service = \"*\"", "service = \"shell\"", true),
        (
            "group = \"noc\", device_group = \"core\"",
            "group = \"noc\", device = \"core2\", service = \"shell\"",
            true,
        ),
    ] {
        let between = "user = \"somebody-else\"".to_owned();
        let loaded = load(&context, &[earlier.to_owned(), between, later.to_owned()]);
        let names = reported(&loaded, &[Lint::ShadowedRule]);
        assert_eq!(
            names.contains(&"r2".to_owned()),
            found,
            "{earlier} / {later}"
        );
    }
}
