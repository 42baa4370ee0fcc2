//! A large site: how long it loads, and how little of it a request looks at.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::config::Config;
use doorward::policy::{CommandLine, Context, Protocol, Transport};

use crate::context::TestContext;

const DEVICES: usize = 10_000;
const RULES: usize = 2_000;
const USERS: usize = 1_000;

/// 40 groups of users on 50 groups of devices, each pair with a rule of its own; secrets and hashes in files.
fn site(context: &TestContext) -> Arc<Config> {
    let mut text = String::from("version = 1\n");
    for at in 0..DEVICES {
        context.file(
            &format!("secrets/d{at}"),
            &format!("a-secret-of-device-{at}\n"),
        );
        _ = writeln!(
            text,
            "[device.d{at}]\naddress = [\"10.{}.{}.1\"]\ntacacs_secret = \"file:secrets/d{at}\"\ntags = [\"site:{}\"]\ncertificate = {{ dns = [\"d{at}.example.net\"] }}",
            at / 250,
            at % 250,
            at % 50
        );
    }
    for at in 0..50 {
        _ = writeln!(
            text,
            "[device_group.s{at}]\nmatch = {{ tag = \"site:{at}\" }}"
        );
    }
    for at in 0..USERS {
        _ = writeln!(
            text,
            "[user.u{at}]\npassword = \"file:hash\"\ngroups = [\"g{}\", \"g{}\"]",
            at % 40,
            (at + 7) % 40
        );
    }
    for at in 0..RULES {
        _ = writeln!(
            text,
            "[role.r{at}]\ncommands = '''\npermit show **\npermit interface /(Gi|Te){at}/\n'''\n[[rule]]\nwhen = {{ group = \"g{}\", device_group = \"s{}\" }}\nrole = \"r{at}\"",
            at % 40,
            at / 40
        );
    }
    context.config(&text)
}

/// The bar is one second for a release build on an idle machine (`cargo bench -p doorward --bench policy`). This one is for
/// debug builds beside other tests; what is quadratic fails it all the same.
const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn ten_thousand_devices_and_two_thousand_rules_load_and_are_not_looked_through() {
    let context = TestContext::new();
    let begun = Instant::now();
    let config = site(&context);
    let took = begun.elapsed();
    eprintln!("loaded in {took:?}");
    assert!(took < PATIENCE, "{took:?}");
    assert_eq!(config.devices.len(), DEVICES);
    assert_eq!(config.policy.rules.len(), RULES);
    assert_eq!(config.users.len(), USERS);
    few_rules_are_looked_at(&config);
}

/// Counted, not timed.
fn few_rules_are_looked_at(config: &Config) {
    let mut most = 0;
    for at in 0..USERS {
        let user = config.users.get(format!("u{at}").as_str()).unwrap();
        let device = config.devices.by_name(&format!("d{}", at * 7)).unwrap();
        let context = Context {
            user: &user.name,
            groups: &user.groups,
            device,
            remote_address: None,
            remote: "",
            port: "",
            now: jiff::Timestamp::UNIX_EPOCH,
            protocol: Protocol::Tacacs,
            transport: Transport::Tls,
            service: None,
            auth: None,
            address: None,
            peer: None,
            psk_identity: None,
        };
        most = most.max(config.policy.rules.candidates(&context).count());
        let verdict = config
            .policy
            .command(&context, &CommandLine::from_text("show version"));
        // Rule p * 40 + g is for group g at place p; a user has two groups.
        let (place, one, other) = (at * 7 % 50, at % 40, (at + 7) % 40);
        let expected = config
            .policy
            .rules
            .get(place * 40 + one.min(other))
            .unwrap();
        let role = config
            .policy
            .select(&context)
            .grant
            .map(|role| role.name.clone());
        assert_eq!(role.as_ref(), Some(&expected.role.name));
        assert_eq!(verdict.decision.name(), "permit");
    }
    assert_eq!(most, 2, "a rule for each group of the user, at one place");
}
