use std::sync::Arc;

use jiff::Timestamp;

use super::{Case, Comparison, Difference, Outcome, What};
use crate::accounting::{
    DecisionFields, DecisionKind, DecisionRecord, EntryView, Fields, Kind, Protocol, Record,
};
use crate::config::{self, Config};
use crate::policy::{Decision, Transport};

/// A site, with text replaced for the other side.
pub(crate) const SITE: &str = r#"version = 1
[device_group.core]
match = { name = "core*" }
[device.core1]
address = ["10.0.0.1"]
tacacs_secret = "plain:the-first-secret"
[device.core2]
address = ["10.0.0.2"]
tacacs_secret = "plain:the-second-secret"
[device.edge1]
address = ["10.0.1.1"]
tacacs_secret = "plain:the-third-secret"
[user.alice]
groups = ["noc"]
[user.bob]
groups = ["ops"]
from = ["192.0.2.0/24"]
[role.noc]
shell = { priv_lvl = 15 }
services."ppp/ip" = { addr = "10.9.9.9" }
commands = '''
permit show **
permit reload
'''
[[rule]]
name = "noc"
when = { group = "noc" }
role = "noc"
[[rule]]
name = "ops in the night"
when = { group = "ops", time = "00:00-06:00 UTC" }
role = "noc"
"#;

/// The configuration of a text, in a folder that is gone once it is loaded.
pub(crate) fn loaded(name: &str, text: &str) -> Arc<Config> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    config::load(&path).unwrap().config
}

pub(crate) fn edited(replacements: &[(&str, &str)]) -> String {
    let mut text = SITE.to_owned();
    for (old, new) in replacements {
        assert!(text.contains(old), "the site has no {old:?}");
        text = text.replace(old, new);
    }
    text
}

/// What a device reports, with what its user typed.
#[derive(Clone, Copy)]
pub(crate) struct Typed<'a> {
    pub(crate) user: &'a str,
    pub(crate) device: &'a str,
    pub(crate) command: &'a str,
    pub(crate) remote: &'a str,
    pub(crate) at: &'a str,
}

impl Typed<'_> {
    pub(crate) fn record(&self, service: &str, arguments: &[&str]) -> Record {
        let fields = Fields {
            received: self.at.parse().unwrap(),
            kind: Kind::Stop,
            protocol: Protocol::Tacacs,
            transport: Transport::Plain,
            listener: "tacacs 127.0.0.1:49",
            device: self.device,
            session: 7,
            privilege_level: 15,
            authentication_method: 6,
            authentication_type: 1,
            authentication_service: 1,
            user: self.user.as_bytes(),
            port: b"tty1",
            remote: self.remote.as_bytes(),
            service: service.as_bytes(),
            command: self.command.as_bytes(),
        };
        let arguments: Vec<&[u8]> = arguments.iter().map(|text| text.as_bytes()).collect();
        Record::new(&fields, arguments)
    }
}

pub(crate) const ALICE: Typed<'static> = Typed {
    user: "alice",
    device: "core1",
    command: "reload",
    remote: "192.0.2.1",
    at: "2027-01-04T10:00:00Z",
};

fn compare(old: &str, new: &str, records: &[Record]) -> Vec<Difference> {
    let (old, new) = (loaded("old.toml", old), loaded("new.toml", new));
    let mut comparison = Comparison::new(&old, &new, Timestamp::UNIX_EPOCH);
    comparison.files();
    for record in records {
        comparison.entry(&EntryView::Accounting(record.view().unwrap()));
    }
    comparison.finish().0
}

/// In short: who, where, what, and both answers.
fn short(found: &[Difference]) -> Vec<String> {
    let outcome = |one: &Outcome| match &one.grant {
        Some(grant) => format!("{} {}", one.decision.name(), grant.join(",")),
        None => one.decision.name().to_owned(),
    };
    found
        .iter()
        .map(|one| {
            let Case {
                user,
                device,
                what,
                old,
                new,
            } = &one.case;
            let (old, new) = (outcome(old), outcome(new));
            format!("{user}@{device} {what:?}: {old} -> {new} ({})", one.records)
        })
        .collect()
}

#[test]
fn the_same_twice_differs_in_nothing() {
    let records = [ALICE.record("shell", &[])];
    assert_eq!(compare(SITE, SITE, &records), []);
    // Lines that move, other names of rules and other reasons change no result.
    let moved = edited(&[
        ("name = \"noc\"\n", "name = \"the noc\"\n\n"),
        ("permit reload", "permit reload|write **"),
    ]);
    assert_eq!(compare(SITE, &moved, &records), []);
}

#[test]
fn a_recorded_command_that_would_be_denied_is_one_difference_however_often() {
    let new = edited(&[("permit reload\n", "")]);
    let later = Typed {
        at: "2027-01-05T10:00:00Z",
        ..ALICE
    };
    let shown = Typed {
        command: "show version",
        ..ALICE
    };
    let records = [later, ALICE, shown].map(|one| one.record("shell", &[]));
    let found = compare(SITE, &new, &records);
    assert_eq!(
        short(&found),
        ["alice@core1 Command(\"reload\"): permit -> deny (2)"]
    );
    assert_eq!(found[0].last, Some(later.at.parse().unwrap()));
    let line = |outcome: &Outcome| {
        let rule = outcome.rule.as_ref().unwrap();
        (rule.location.line, rule.text.to_string())
    };
    assert_eq!(line(&found[0].case.old), (23, "permit reload".to_owned()));
    assert_eq!(line(&found[0].case.new), (25, "[[rule]] noc".to_owned()));
}

#[test]
fn a_record_is_judged_at_its_time_from_its_address() {
    let new = edited(&[
        ("00:00-06:00 UTC", "00:00-04:00 UTC"),
        ("192.0.2.0/24", "192.0.2.0/25"),
    ]);
    let bob = |at, remote| {
        let typed = Typed {
            user: "bob",
            at,
            remote,
            ..ALICE
        };
        typed.record("shell", &[])
    };
    let records = [
        bob("2027-01-04T03:00:00Z", "192.0.2.1"),
        bob("2027-01-04T05:00:00Z", "192.0.2.1"),
        bob("2027-01-04T05:00:00Z", "198.51.100.1"),
        bob("2027-01-04T12:00:00Z", "192.0.2.1"),
        bob("2027-01-04T03:00:00Z", "192.0.2.200"),
        bob("2027-01-04T03:00:00Z", "console"),
    ];
    assert_eq!(
        short(&compare(SITE, &new, &records)),
        [
            // At five o'clock for the time, and from .200 for the address.
            "bob@core1 Login: permit priv-lvl=15 -> deny (1)",
            "bob@core1 Login: permit priv-lvl=15 -> deny (1)",
            "bob@core1 Command(\"reload\"): permit -> deny (1)",
            "bob@core1 Command(\"reload\"): permit -> deny (1)",
        ]
    );
}

#[test]
fn levels_services_and_the_loss_of_a_shell_are_differences() {
    let ppp = Typed {
        command: "",
        ..ALICE
    };
    let records = [
        ALICE.record("shell", &[]),
        ppp.record("ppp", &["service=ppp", "protocol=ip"]),
        ppp.record("ppp", &["service=ppp", "protocol*lcp"]),
    ];
    let lower = edited(&[("priv_lvl = 15", "priv_lvl = 1"), ("10.9.9.9", "10.9.9.8")]);
    assert_eq!(
        short(&compare(SITE, &lower, &records)),
        [
            "alice@core1 Login: permit priv-lvl=15 -> permit priv-lvl=1 (1)",
            "alice@core1 Service(\"ppp/ip\"): permit addr=10.9.9.9 -> permit addr=10.9.9.8 (1)",
        ]
    );
    let none = edited(&[("shell = { priv_lvl = 15 }\n", "")]);
    assert_eq!(
        short(&compare(SITE, &none, &records)),
        ["alice@core1 Login: permit priv-lvl=15 -> permit (1)"]
    );
}

#[test]
fn users_and_devices_of_one_side_are_differences_and_so_is_what_they_did() {
    let new = edited(&[
        ("[user.alice]", "[user.carol]"),
        ("device.edge1", "device.edge2"),
    ]);
    let found = compare(SITE, &new, &[ALICE.record("shell", &[])]);
    assert_eq!(
        short(&found),
        [
            "@edge1 Device: permit -> deny (0)",
            "@edge2 Device: deny -> permit (0)",
            "alice@ User: permit -> deny (0)",
            "carol@ User: deny -> permit (0)",
            "alice@core1 Login: permit priv-lvl=15 -> deny (1)",
            "alice@core1 Command(\"reload\"): permit -> deny (1)",
        ]
    );
}

#[test]
fn tests_of_both_files_are_asked_in_their_own_context() {
    let test = |command: &str| {
        format!(
            "[[test]]\nas = {{ user = \"dave\", groups = [\"ops\"] }}\non = \"core1\"\nat = 2027-01-04T05:00:00Z\npermit = [\"{command}\"]\n"
        )
    };
    let old = SITE.to_owned() + &test("reload");
    let new = edited(&[("permit reload\n", "")]) + &test("show version") + &test("reload");
    let found = compare(&old, &new, &[]);
    assert_eq!(
        short(&found),
        ["dave@core1 Command(\"reload\"): permit -> deny (0)"]
    );
    assert!(found[0].tested);
}

#[test]
fn no_more_differences_are_kept_than_the_limit_and_the_others_are_counted() {
    let new = edited(&[("permit show **", "permit show version")]);
    let (old, new) = (loaded("old.toml", SITE), loaded("new.toml", &new));
    let mut comparison = Comparison::new(&old, &new, Timestamp::UNIX_EPOCH);
    comparison.limit = 3;
    for round in 0..2 {
        for at in 0..5 {
            let command = format!("show interface {at}");
            let record = Typed {
                command: &command,
                ..ALICE
            }
            .record("shell", &[]);
            comparison.entry(&EntryView::Accounting(record.view().unwrap()));
        }
        assert_eq!(comparison.counts.left_out, 2 * (round + 1));
    }
    let (found, counts) = comparison.finish();
    assert_eq!((found.len(), counts.records), (3, 10));
    assert!(found.iter().all(|one| one.records == 2));
}

#[test]
fn records_that_ask_nothing_are_passed_over() {
    let new = edited(&[("group = \"noc\"", "group = \"ops\"")]);
    let nobody = Typed { user: "", ..ALICE };
    let nothing = Typed {
        command: "",
        ..ALICE
    };
    let records = [nobody.record("shell", &[]), nothing.record("", &[])];
    assert_eq!(compare(SITE, &new, &records), []);
    let found = compare(SITE, &new, &[nothing.record("shell", &[])]);
    assert_eq!(
        short(&found),
        ["alice@core1 Login: permit priv-lvl=15 -> deny (1)"]
    );
    assert_eq!(found[0].case.what, What::Login);
    assert_eq!(found[0].case.new.decision, Decision::Deny);
}

#[test]
fn decisions_are_asked_again_the_denied_ones_among_them() {
    let decided = |kind, command: &str, user: &str| {
        let fields = DecisionFields {
            received: ALICE.at.parse().unwrap(),
            kind,
            protocol: Protocol::Tacacs,
            transport: Transport::Plain,
            privilege_level: 1,
            listener: "tacacs 127.0.0.1:49",
            device: "core1",
            user: user.as_bytes(),
            port: b"tty1",
            remote: b"192.0.2.1",
            service: match kind {
                DecisionKind::Authentication => b"",
                DecisionKind::Authorization => b"shell",
            },
            command: command.as_bytes(),
            request: b"",
            outcome: "deny",
            reason: "no-command-rule",
            why: "",
            rule: None,
        };
        DecisionRecord::new(&fields, std::iter::empty::<&[u8]>())
    };
    let new = edited(&[
        ("permit reload\n", "permit reload\npermit write\n"),
        ("[user.bob]", "[user.carol]\ngroups = [\"noc\"]\n[user.bob]"),
    ]);
    let (old, new) = (loaded("old.toml", SITE), loaded("new.toml", &new));
    let mut comparison = Comparison::new(&old, &new, Timestamp::UNIX_EPOCH);
    for one in [
        decided(DecisionKind::Authorization, "write", "alice"),
        decided(DecisionKind::Authentication, "", "carol"),
        decided(DecisionKind::Authentication, "", "alice"),
    ] {
        comparison.entry(&EntryView::Decision(one.view().unwrap()));
    }
    let (found, counts) = comparison.finish();
    assert_eq!(
        short(&found),
        [
            "alice@core1 Command(\"write\"): deny -> permit (1)",
            "carol@core1 Login: deny -> permit priv-lvl=15 (1)",
        ]
    );
    assert_eq!((counts.records, counts.decisions), (0, 3));
}
