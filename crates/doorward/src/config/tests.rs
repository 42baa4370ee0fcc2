//! `[[test]]`: read from the file, and run by `check`, `test` and every reload.

mod read;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::source::{Location, escape};
use super::{AuthenticationType, Config, Device, PolicyTest};
use crate::policy::{
    CommandLine, Context, Decision, Policy, Protocol, ReplyAttribute, RuleReference, SHELL,
    Transport, explain,
};
pub(super) use read::{TestSpans, check_names, read};

/// How one `[[test]]` went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Who is tested where: `alice on core1`.
    pub name: String,
    /// Where it is written.
    pub location: Location,
    /// What was compared.
    pub expectations: usize,
    /// What was not as expected.
    pub failures: Vec<TestFailure>,
}

impl TestResult {
    /// Everything was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// What failed, a line for the expectation and one for the place; nothing for a test that passed.
impl fmt::Display for TestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.failures.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(
                f,
                "the test of {} failed: {}\n --> {}",
                self.name, failure.message, failure.location
            )?;
        }
        Ok(())
    }
}

/// One expectation that was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// Where it is written.
    pub location: Location,
    /// What was expected, what came, and why.
    pub message: String,
}

/// Runs every `[[test]]`; those without `at` are at `now`.
pub fn run(config: &Config, now: Timestamp) -> Vec<TestResult> {
    config
        .tests
        .iter()
        .map(|test| run_one(config, test, now))
        .collect()
}

fn run_one(config: &Config, test: &PolicyTest, now: Timestamp) -> TestResult {
    let mut result = TestResult {
        name: format!("{} on {}", test.user, test.device),
        location: test.location.clone(),
        expectations: 1,
        failures: Vec::new(),
    };
    let Some(device) = config.devices.by_name(&test.device) else {
        result.fail(
            &test.location,
            format!("there is no device {}", test.device),
        );
        return result;
    };
    let user = config.users.get(&test.user);
    let asked = Asked {
        user: &test.user,
        groups: test
            .groups
            .as_deref()
            .or(user.map(|user| user.groups.as_slice()))
            .unwrap_or(&[]),
        device,
        from: test.from,
        now: test.at.unwrap_or(now),
        protocol: test.protocol,
        auth: test.auth,
    };
    let trial = Trial {
        test,
        policy: &config.policy,
        command: context(&asked),
        login: login(&asked),
        barred: test.from.is_some() && user.is_some_and(|user| !user.may_come_from(test.from)),
    };
    trial.check_access(&mut result);
    for (command, location) in &test.permit {
        trial.check_command(&mut result, Decision::Permit, command, location);
    }
    for (command, location) in &test.deny {
        trial.check_command(&mut result, Decision::Deny, command, location);
    }
    if let Some(expected) = test.priv_lvl {
        trial.check_level(&mut result, expected);
    }
    for wanted in &test.radius {
        trial.check_attribute(&mut result, wanted);
    }
    result
}

/// A test under way: the same person at the login and at the commands after it.
struct Trial<'a> {
    test: &'a PolicyTest,
    policy: &'a Policy,
    login: Context<'a>,
    command: Context<'a>,
    /// A user who may not come from there can do nothing, whatever the rules say.
    barred: bool,
}

impl Trial<'_> {
    /// The login, and that the rule which admits it is the one that gives the role afterwards.
    fn check_access(&self, result: &mut TestResult) {
        let test = self.test;
        let login = self.policy.select(&self.login);
        let session = self.policy.select(&self.command);
        let wants_access = match test.login {
            Some(wanted) => wanted == Decision::Permit,
            None => !test.permit.is_empty() || test.priv_lvl.is_some() || test.deny.is_empty(),
        };
        if wants_access && login.decision == Decision::Deny {
            // The rule that chose the role is known where it is the role that lets nobody in.
            let message = match &login.rule {
                Some(rule) => format!(
                    "the login of {} is denied: {}, or none that the profile of the device could say ({})",
                    result.name, login.reason, rule.location
                ),
                None => format!(
                    "no rule matches the login of {}: {}",
                    result.name, login.reason
                ),
            };
            result.fail(&test.location, message);
        } else if wants_access && self.barred {
            result.fail(
                &test.location,
                format!("{} may not come from that address", test.user),
            );
        }
        let denied = login.decision == Decision::Deny || self.barred;
        if test.login == Some(Decision::Deny) && !denied {
            result.fail(
                &test.location,
                format!(
                    "expected the login to be denied: {} lets it in",
                    chosen(login.rule.as_deref())
                ),
            );
        }
        if login.rule != session.rule {
            result.fail(
                &test.location,
                format!(
                    "the login is decided by {}, and what comes after it by {}",
                    chosen(login.rule.as_deref()),
                    chosen(session.rule.as_deref())
                ),
            );
        }
    }

    fn check_command(
        &self,
        result: &mut TestResult,
        expected: Decision,
        command: &str,
        location: &Location,
    ) {
        result.expectations += 1;
        let line = CommandLine::from_text(command);
        let why = explain(self.policy, &self.command, Some(&line));
        let (decision, because) = if self.barred {
            let because = "the user may not come from that address".to_owned();
            (Decision::Deny, because)
        } else {
            (why.verdict.decision, why.why)
        };
        if decision != expected {
            let place = why
                .verdict
                .rule
                .map_or_else(String::new, |rule| format!(" ({})", rule.location));
            result.fail(
                location,
                format!("expected {}: {because}{place}", expected.name()),
            );
        }
    }

    fn check_level(&self, result: &mut TestResult, expected: u8) {
        result.expectations += 1;
        let granted = self.policy.shell(&self.command);
        let level = granted.grant.and_then(|grant| grant.priv_lvl);
        if level != Some(expected) {
            let got = level.map_or_else(
                || granted.reason.to_string(),
                |level| format!("it is {level}"),
            );
            result.fail(
                &self.test.location,
                format!("expected priv_lvl {expected}: {got}"),
            );
        }
    }
}

impl Trial<'_> {
    /// One attribute of the Access-Accept; nothing is said of it where there is none, which has been said.
    fn check_attribute(&self, result: &mut TestResult, wanted: &ReplyAttribute) {
        result.expectations += 1;
        let verdict = self.policy.select(&self.login);
        let Some(role) = verdict.grant else {
            return;
        };
        let attributes = role.access_accept(self.login.device, self.login.service);
        if attributes.contains(wanted) {
            return;
        }
        let (name, value) = (&wanted.name, &wanted.text);
        let given: Vec<String> = attributes
            .iter()
            .filter(|one| one.is_alike(wanted))
            .map(|one| format!("{} = {}", one.name, one.text))
            .collect();
        let given = if given.is_empty() {
            "none".to_owned()
        } else {
            given.join(", ")
        };
        let to = match self.login.device.profile {
            Some(profile) => format!(" to a device with profile {}", profile.name()),
            None => String::new(),
        };
        result.fail(
            &self.test.location,
            format!(
                "expected {name} = {value}: role {} gives {given}{to} ({})",
                role.name, role.reference.location
            ),
        );
    }
}

fn chosen(rule: Option<&RuleReference>) -> String {
    rule.map_or_else(
        || "no rule, which denies".to_owned(),
        |rule| format!("`{}` ({})", rule.text, rule.location),
    )
}

impl TestResult {
    fn fail(&mut self, location: &Location, message: String) {
        self.failures.push(TestFailure {
            location: location.clone(),
            message: escape(&message),
        });
    }
}

/// A question without a connection: of a test, or of a person.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The user name.
    pub user: &'a str,
    /// The user's groups.
    pub groups: &'a [Arc<str>],
    /// The device.
    pub device: &'a Device,
    /// The user's remote address.
    pub from: Option<IpAddr>,
    /// The moment.
    pub now: Timestamp,
    /// What the device speaks.
    pub protocol: Protocol,
    /// How the user authenticates.
    pub auth: AuthenticationType,
}

/// The context of the login before it, which the server judges by the same rules.
pub(super) fn login<'a>(asked: &Asked<'a>) -> Context<'a> {
    Context {
        service: Some(SHELL),
        auth: Some(asked.auth),
        ..context(asked)
    }
}

/// The context of such a question: a device that has a certificate comes through TLS, a command is of the service shell.
pub fn context<'a>(asked: &Asked<'a>) -> Context<'a> {
    Context {
        user: asked.user,
        groups: asked.groups,
        device: asked.device,
        remote_address: asked.from,
        remote: "",
        port: "",
        now: asked.now,
        protocol: asked.protocol,
        transport: if asked.device.can_use_tls() {
            Transport::Tls
        } else {
            Transport::Plain
        },
        service: Some(SHELL),
        auth: Some(asked.auth),
        address: None,
        peer: None,
        psk_identity: None,
    }
}

#[cfg(test)]
mod checks {
    use super::*;

    const FILE: &str = r#"
version = 1
[device.core1]
address = ["10.0.0.1"]
tacacs_secret = "plain:a-secret-of-some-length"
[role.noc]
commands = "permit show **"
[[rule]]
name = "shells"
when = { service = "shell", auth = "ascii" }
role = "noc"
[[rule]]
name = "the rest"
role = "noc"
[[test]]
as = { user = "alice", groups = ["noc"] }
on = "core1"
permit = ["show version"]
"#;

    /// What a `[[test]]` says when the login were judged with something else than the commands.
    fn failures(change: impl FnOnce(&mut Context<'_>)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("main.toml");
        std::fs::write(&path, FILE).unwrap();
        let config = super::super::load(&path).unwrap().config;
        let test = config.tests.first().unwrap();
        let asked = Asked {
            user: &test.user,
            groups: &[],
            device: config.devices.by_name("core1").unwrap(),
            from: None,
            now: Timestamp::UNIX_EPOCH,
            protocol: test.protocol,
            auth: test.auth,
        };
        let mut trial = Trial {
            test,
            policy: &config.policy,
            login: login(&asked),
            command: context(&asked),
            barred: false,
        };
        change(&mut trial.login);
        let mut result = TestResult {
            name: "alice on core1".to_owned(),
            location: test.location.clone(),
            expectations: 1,
            failures: Vec::new(),
        };
        trial.check_access(&mut result);
        let folder = format!("{}/", folder.path().display());
        let messages = result.failures.into_iter().map(|one| one.message);
        messages.map(|text| text.replace(&folder, "")).collect()
    }

    #[test]
    fn a_login_that_another_rule_decides_is_a_failure() {
        assert_eq!(failures(|_| {}), Vec::<String>::new());
        let expected = "the login is decided by `[[rule]] the rest` (main.toml:13:8), and what comes after it by \
                        `[[rule]] shells` (main.toml:9:8)";
        assert_eq!(failures(|login| login.service = None), [expected]);
        assert_eq!(failures(|login| login.auth = None), [expected]);
    }
}
