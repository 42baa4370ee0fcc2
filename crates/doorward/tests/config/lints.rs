//! The findings: what they say, where, how many, and how a file accepts them.

use std::fmt::Write as _;

use doorward::config::lint::{digest, news};
use doorward::config::{Lint, Severity};

use crate::context::{HASH, TestContext};

/// A file without a finding.
const CLEAN: &str = r#"version = 1
[[listen]]
protocol = "tacacs"
address = "127.0.0.1:0"
[device_group.core]
match = { tag = ["core"] }
[device.core1]
address = ["10.0.0.1"]
tacacs_secret = "file:secret"
tags = ["core"]
[device.edge1]
address = ["10.0.0.2"]
tacacs_secret = "file:secret2"
tags = ["edge"]
[user.alice]
password = "file:hash"
groups = ["noc"]
[role.noc]
commands = "permit show **"
[[rule]]
name = "noc"
when = { group = "noc", device_group = "core" }
role = "noc"
[[rule]]
when = { group = "noc", tag = "edge" }
role = "noc"
"#;

/// The clean file with some of its text replaced; every replacement has to find its text.
fn with(replacements: &[(&str, &str)]) -> String {
    let mut text = CLEAN.to_owned();
    for (old, new) in replacements {
        assert!(text.contains(old), "the file has no {old:?}");
        text = text.replacen(old, new, 1);
    }
    text
}

macro_rules! finding {
    ($lint:ident, $($old:expr => $new:expr),*) => {
        insta::assert_snapshot!(TestContext::new().findings(Lint::$lint, &with(&[$(($old, $new)),*])))
    };
}

/// Something in front of the end of the clean file.
fn more(text: &str) -> String {
    format!("{CLEAN}{text}")
}

macro_rules! finding_of_more {
    ($lint:ident, $text:expr) => {
        insta::assert_snapshot!(TestContext::new().findings(Lint::$lint, &more($text)))
    };
}

#[test]
fn the_clean_file_has_none() {
    assert_eq!(TestContext::new().messages(CLEAN), "");
}

#[test]
fn a_rule_behind_one_that_matches_all_of_it() {
    finding_of_more!(
        ShadowedRule,
        r#"[[rule]]
name = "in the day"
when = { group = "noc", device = "core1", time = "Mon 08:00-09:00 UTC" }
role = "noc"
"#
    );
}

#[test]
fn a_rule_behind_an_unnamed_one_for_everybody() {
    finding!(
        ShadowedRule,
        "[[rule]]\nname = \"noc\"" => "[role.all]\ncommands = \"permit **\"\n[[rule]]\nrole = \"all\"\n[[rule]]\nname = \"noc\""
    );
}

#[test]
fn lines_of_a_role_that_an_earlier_one_leaves_nothing_for() {
    finding!(
        ShadowedRule,
        "commands = \"permit show **\"" => r"commands = '''
permit show interface *
deny show interface Gi0/1
permit ping|traceroute *
permit ping 192.0.2.1
permit ping 192.0.2.2
permit interface /Gi\d+/
permit interface Gi7
permit write memory
permit  write  memory
permit **
deny reload **
deny write erase
deny **
'''"
    );
}

#[test]
fn words_that_do_something_else_than_they_look_like() {
    finding!(
        SuspectWord,
        "permit show **" => "permit interface Gi*\\npermit interface /Gi0/1\\npermit show version <cr>\\npermit echo <cr> **"
    );
}

#[test]
fn a_role_that_nobody_gets() {
    finding_of_more!(UnusedRole, "[role.ops]\ncommands = \"permit **\"\n");
}

#[test]
fn devices_that_no_rule_can_match_are_told_together() {
    let mut text = String::new();
    for at in 1..=7 {
        let _ = writeln!(
            text,
            "[device.new{at}]\ncertificate = {{ dns = [\"new{at}.example.net\"] }}"
        );
    }
    finding_of_more!(DeviceWithoutRule, &text);
}

#[test]
fn conditions_that_leave_no_device_together() {
    finding!(
        RuleWithoutDevice,
        "name = \"noc\"\nwhen = { group = \"noc\", device_group = \"core\" }" => "name = \"noc\"\nwhen = { group = \"noc\", device_group = \"core\", tag = \"edge\" }"
    );
}

#[test]
fn a_group_of_users_that_no_rule_names() {
    finding!(GroupWithoutRule, "groups = [\"noc\"]" => "groups = [\"noc\", \"ncc\"]");
}

#[test]
fn a_group_of_devices_that_nothing_refers_to() {
    finding!(
        GroupWithoutRule,
        "[device.core1]" => "[device_group.edge]\nmatch = { tag = [\"edge\"] }\n[device_group.old]\nmatch = { tag = [\"edge\"] }\naccept = [\"pap\"]\n[device.core1]"
    );
}

#[test]
fn a_group_of_devices_without_any() {
    finding!(EmptyDeviceGroup, "tag = [\"core\"]" => "tag = [\"core\"], name = \"cor1\"");
}

#[test]
fn users_that_no_rule_can_match() {
    finding!(
        UserWithoutRule,
        "[role.noc]" => "[user.bob]\ngroups = [\"ncc\"]\n[user.carol]\n[role.noc]"
    );
}

/// proves: TAC-10.5.1-7
#[test]
fn one_secret_for_several_devices_names_them_and_not_the_secret() {
    let context = TestContext::new();
    let text = with(&[("file:secret2", "file:secret")]);
    let found = context.findings(Lint::SharedSecret, &text);
    assert!(!found.contains("a-secret-of-some-length"), "{found}");
    insta::assert_snapshot!(found);
    let policy = "[secrets]\nshared = \"refuse\"\n[device.core1]";
    let refused = context.messages(&text.replace("[device.core1]", policy));
    insta::assert_snapshot!("one_secret_for_several_devices_refused", refused);
}

#[test]
fn weak_secrets_are_told_apart_without_being_shown() {
    let context = TestContext::new();
    let found = |policy: &str, secret: &str| {
        context.file("secret2", secret);
        let found = context.findings(Lint::WeakSecret, &more(policy));
        assert!(!found.contains(secret), "{found}");
        found
    };
    insta::assert_snapshot!("weak_short", found("", "fifteen-letters"));
    insta::assert_snapshot!("weak_guessable", found("", "Tacacs-Secret-2026"));
    for guessable in [
        "aaaaaaaaaaaaaaaa",
        "k3yk3yk3yk3yk3yk3y",
        "12345678901234567890",
        "abcdefghijklmnopqrst",
        "CiscoSharedSecret1!",
        "edge1-edge1:secret",
        "changeme_changeme_1",
        "passw0rd-passw0rd-x",
    ] {
        assert_ne!(found("", guessable), "", "{guessable}");
    }
    for sound in [
        "exactly16letters",
        "8305719462837465",
        "5f2b9c81e07d4a36",
        "a secret that mentions cisco, twice",
        "Zm9vYmFyYmF6cXV4Zm9v",
    ] {
        assert_eq!(found("", sound), "", "{sound}");
    }
    assert_eq!(found("[secrets]\nmin_length = 8\n", "five5-8x"), "");
    let four = "[secrets]\nclasses = 4\n[device.edge1.x]\n";
    assert!(context.load(&more(four)).is_err());
    assert_eq!(found("", "sixteen-umlauts-ü"), "");
}

#[test]
fn a_short_secret_for_challenges_is_told_of() {
    let context = TestContext::new();
    let found = |secret: &str| {
        context.file("chap", secret);
        let text = with(&[("password = \"file:hash\"", "chap_secret = \"file:chap\"")]);
        context.findings(Lint::WeakSecret, &text)
    };
    insta::assert_snapshot!("weak_chap_secret", found("fifteen-letters"));
    assert_eq!(found("exactly16letters"), "");
}

/// What the file asks for itself is refused.
/// proves: TAC-10.5.1-10, TAC-10.5.1-12
#[test]
fn secrets_that_break_a_policy_of_the_file_are_refused() {
    let context = TestContext::new();
    let load = |policy: &str, secret: &str| {
        context.file("secret2", secret);
        context
            .load(&more(policy))
            .map(|loaded| loaded.diagnostics.len())
    };
    let (long, simple) = ("exactly16letters", "onlysmallletters-and-others");
    assert_eq!(
        load("", "fifteen-letters").unwrap(),
        1,
        "a warning by default"
    );
    assert!(load("[secrets]\nmin_length = 17\n", long).is_err());
    assert!(load("[secrets]\nmin_length = 16\n", long).is_ok());
    assert!(load("[secrets]\nclasses = 3\n", simple).is_err());
    assert!(load("[secrets]\nclasses = 2\n", simple).is_ok());
    context.file("secret2", simple);
    let refused = context.messages(&more("[secrets]\nclasses = 3\n"));
    assert!(!refused.contains(simple), "{refused}");
    insta::assert_snapshot!("weak_refused", refused);
}

fn dated(list: &str) -> String {
    with(&[(
        "tacacs_secret = \"file:secret2\"",
        &format!("tacacs_secret = {list}"),
    )])
}

/// proves: TAC-10.5.1-6
#[test]
fn a_changeover_has_no_day_without_a_secret() {
    let context = TestContext::new();
    context.file("new", "a-new-secret-of-some-length");
    let found = |list: &str| context.findings(Lint::SecretGap, &dated(list));
    // The clock of these tests stands at the beginning of 2027.
    let overlap = "[{ key = \"file:new\", from = 2027-02-01 }, { key = \"file:secret2\", until = 2027-03-01 }]";
    assert_eq!(found(overlap), "");
    assert_eq!(
        found(&overlap.replace("2027-03-01", "2027-01-31")),
        "",
        "day after day"
    );
    let gap = overlap.replace("2027-03-01", "2027-01-30");
    insta::assert_snapshot!("secret_gap_to_come", found(&gap));
    let future = "[{ key = \"file:new\", from = 2027-06-01 }]";
    insta::assert_snapshot!("secret_not_yet", found(future));
    let past = "[{ key = \"file:new\", until = 2026-06-01 }]";
    insta::assert_snapshot!("secret_no_more", found(past));
    let near = "[{ key = \"file:new\", until = 2027-01-20 }]";
    insta::assert_snapshot!("secret_ends", found(near));
    assert_eq!(found(&near.replace("2027-01-20", "2027-12-31")), "");
    let messages = |list: &str| context.messages(&dated(list));
    insta::assert_snapshot!(
        "secret_dates_wrong",
        messages(
            "[{ key = \"file:new\", from = 2027-02-01, until = 2027-01-01 }, { key = \"file:new\" }, { from = 2027-01-01 }, \"hunter2\"]"
        )
    );
    insta::assert_snapshot!("secret_list_empty", messages("[]"));
}

/// proves: TAC-10.5.1-5
#[test]
fn an_old_secret_is_to_be_changed() {
    let context = TestContext::new();
    context.age("secret", 365);
    assert_eq!(context.findings(Lint::OldSecret, CLEAN), "");
    context.age("secret", 366);
    insta::assert_snapshot!(context.findings(Lint::OldSecret, CLEAN));
    let policy = |age: &str| more(&format!("[secrets]\nmax_age = \"{age}\"\n"));
    assert_eq!(context.findings(Lint::OldSecret, &policy("400d")), "");
    context.age("secret2", 31);
    let found = context.findings(Lint::OldSecret, &policy("30d"));
    assert_eq!(found.matches("30 days").count(), 2, "{found}");
}

#[test]
fn a_test_that_passes_because_nobody_is_let_in() {
    let test = |more: &str| {
        format!(
            "[[test]]\nas = {{ user = \"bob\", groups = [\"ncc\"] }}\non = \"core1\"\ndeny = [\"reload\"]\n{more}"
        )
    };
    finding_of_more!(TestProvesNothing, &test(""));
    let context = TestContext::new();
    let found = |text: &str| context.findings(Lint::TestProvesNothing, &more(text));
    assert_eq!(found(&test("expect = { login = \"deny\" }")), "");
    assert_eq!(found(&test("").replace("ncc", "noc")), "");
    let barred = "[user.carol]\ngroups = [\"noc\"]\nfrom = [\"192.0.2.0/24\"]\n[[test]]\nas = { user = \"carol\" }\non = \"core1\"\nfrom = \"198.51.100.1\"\ndeny = [\"reload\"]\n";
    insta::assert_snapshot!("a_test_from_where_nobody_may_come", found(barred));
}

/// What is found must not depend on the hour at which the file is checked.
#[test]
fn a_test_without_a_time_is_not_judged_by_the_clock() {
    let context = TestContext::new();
    let text = |at: &str| {
        let file = with(&[(
            "device_group = \"core\" }",
            "device_group = \"core\", time = \"Sun UTC\" }",
        )]);
        format!(
            "{file}[[test]]\nas = {{ user = \"alice\" }}\non = \"core1\"\n{at}deny = [\"reload\"]\n"
        )
    };
    assert_eq!(context.findings(Lint::TestProvesNothing, &text("")), "");
    let monday = text("at = 2027-01-04T10:00:00Z\n");
    assert_ne!(context.findings(Lint::TestProvesNothing, &monday), "");
}

#[test]
fn an_expected_denial_of_the_login_is_tested() {
    let context = TestContext::new();
    let run = |group: &str, login: &str| {
        let text = more(&format!(
            "[[test]]\nas = {{ user = \"bob\", groups = [\"{group}\"] }}\non = \"core1\"\ndeny = [\"reload\"]\nexpect = {{ login = \"{login}\" }}\n"
        ));
        let config = context.config(&text);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let results = doorward::config::tests::run(&config, now);
        let failures: Vec<String> = results
            .iter()
            .map(|one| context.clean(&one.to_string()))
            .collect();
        failures.join("\n")
    };
    assert_eq!(run("ncc", "deny"), "");
    assert_eq!(run("noc", "permit"), "");
    insta::assert_snapshot!("login_let_in", run("noc", "deny"));
    insta::assert_snapshot!("login_not_let_in", run("ncc", "permit"));
}

#[test]
fn a_plain_listener_for_everybody() {
    finding!(OpenPlainListener, "address = \"127.0.0.1:0\"" => "address = \"[::]:49\"");
    let context = TestContext::new();
    let found = |address: &str| {
        let text = with(&[("address = \"127.0.0.1:0\"", address)]);
        context.findings(Lint::OpenPlainListener, &text)
    };
    insta::assert_snapshot!(
        "a_plain_listener_for_nearly_everybody",
        found("address = \"192.0.2.1:49\"\nfrom = [\"0.0.0.0/0\"]")
    );
    for narrow in [
        "address = \"[::1]:49\"",
        "address = \"[::ffff:127.0.0.1]:49\"",
        "address = \"192.0.2.1:49\"\nfrom = [\"10.0.0.0/8\", \"2001:db8::/32\"]",
        "address = \"192.0.2.1:49\"\nuntil = 2026-12-31",
    ] {
        assert_eq!(found(narrow), "", "{narrow}");
    }
}

/// What is exposed without TLS, and where it goes instead.
/// proves: TAC-10.1-2, TAC-10.2-1, TAC-10.3-1, TAC-10.4-1, TAC-10.5-1, TAC-10.5-2, TAC-10.5-4, TAC-10.5-6
#[test]
fn a_plain_listener_off_loopback_is_told_of() {
    let context = TestContext::new();
    let found = |lint, address: &str| {
        let text = with(&[("address = \"127.0.0.1:0\"", address)]);
        context.findings(lint, &text)
    };
    let (near, everywhere) = ("address = \"192.0.2.1:49\"", "address = \"[::]:49\"");
    insta::assert_snapshot!("plain_listener", found(Lint::PlainListener, near));
    insta::assert_snapshot!("plain_everywhere", found(Lint::PlainEverywhere, everywhere));
    insta::assert_snapshot!("plain_without_end", found(Lint::PlainWithoutEnd, near));
    insta::assert_snapshot!("password_over_plain", found(Lint::PasswordOverPlain, near));
    assert_eq!(found(Lint::PlainEverywhere, near), "");
    let until = "address = \"192.0.2.1:49\"\nuntil = 2028-01-01";
    assert_eq!(found(Lint::PlainWithoutEnd, until), "");
    assert_ne!(found(Lint::PlainListener, until), "");
    for lint in [
        Lint::PlainListener,
        Lint::PlainEverywhere,
        Lint::PlainWithoutEnd,
        Lint::PasswordOverPlain,
    ] {
        assert_eq!(found(lint, "address = \"127.0.0.1:49\""), "", "loopback");
        assert_eq!(
            found(lint, "address = \"192.0.2.1:49\"\nuntil = 2026-12-01"),
            "",
            "closed"
        );
    }
}

/// proves: TAC-10.5.3-2, TAC-10.5.3-3
#[test]
fn passwords_over_plain_are_told_of_until_challenges_are_all_that_is_taken() {
    let context = TestContext::new();
    let found = |device: &str, all: &str| {
        let text = with(&[
            ("address = \"127.0.0.1:0\"", "address = \"192.0.2.1:49\""),
            (
                "tacacs_secret = \"file:secret2\"",
                &format!("tacacs_secret = \"file:secret2\"\n{device}"),
            ),
        ]);
        context.findings(Lint::PasswordOverPlain, &format!("{text}{all}"))
    };
    let challenges = "accept = [\"chap\", \"mschapv2\"]\n";
    let all = found("", "");
    assert!(all.contains("accept = [\"chap\", \"mschapv2\"]"), "{all}");
    let one = found(challenges, "");
    assert_ne!(one, all, "one device less");
    assert_eq!(found("", &format!("[authentication]\n{challenges}")), "");
    assert_ne!(found("accept = [\"pap\"]", ""), "");
}

#[test]
fn a_listener_near_its_last_day() {
    let context = TestContext::new();
    let found = |day: &str| {
        let until = format!("address = \"127.0.0.1:0\"\nuntil = {day}");
        let text = with(&[("address = \"127.0.0.1:0\"", &until)]);
        context.findings(Lint::ListenerEnds, &text)
    };
    assert_eq!(found("2027-02-04"), "");
    insta::assert_snapshot!("a_listener_that_ends_soon", found("2027-02-03"));
    assert_ne!(found("2027-01-04"), "");
    insta::assert_snapshot!("a_listener_that_has_ended", found("2027-01-03"));
}

#[test]
fn a_device_that_could_be_anywhere() {
    finding!(WideAddress, "10.0.0.1" => "0.0.0.0/0");
    let context = TestContext::new();
    let found = |address: &str| {
        let text = with(&[("\"10.0.0.1\"", address)]);
        context.findings(Lint::WideAddress, &text)
    };
    for (address, any) in [
        ("\"10.0.0.1\", \"::/0\"", true),
        ("\"10.0.0.0/7\", \"0.0.0.0/0\"", true),
        ("\"10.0.0.0/7\"", false),
        ("\"10.0.0.0/10\", \"2000::/12\"", false),
    ] {
        let text = found(address);
        assert_eq!(
            text.contains("any address is that of [device.core1]"),
            any,
            "{text}"
        );
        assert_eq!(text.contains("nearly any address"), !any, "{text}");
    }
    assert_eq!(found("\"10.0.0.0/8\", \"2001::/16\""), "");
}

#[test]
fn a_hash_that_is_quickly_searched() {
    let context = TestContext::new();
    context.file("hash", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/");
    insta::assert_snapshot!(context.findings(Lint::WeakHash, CLEAN));
    context.file("hash", HASH);
    assert_eq!(context.findings(Lint::WeakHash, CLEAN), "");
}

#[test]
fn revocation_that_is_off_or_has_no_list() {
    let context = TestContext::new();
    crate::context::certificates(&context);
    let found = |lint: Lint, lines: &str| {
        let text = format!(
            "[tls.default]\ncertificate = \"tls/server.pem\"\nkey = \"file:tls/server.key\"\n{lines}"
        );
        context.findings(lint, &more(&text))
    };
    let ca = "client_ca = \"tls/ca.pem\"\n";
    insta::assert_snapshot!(
        "revocation_off",
        found(Lint::RevocationOff, &format!("{ca}revocation = \"off\"\n"))
    );
    insta::assert_snapshot!(
        "revocation_without_a_list",
        found(
            Lint::RevocationOff,
            &format!("{ca}revocation = \"if-available\"\n")
        )
    );
    insta::assert_snapshot!("required_and_no_list", found(Lint::TrustsNobody, ca));
    insta::assert_snapshot!("no_ca", found(Lint::TrustsNobody, ""));
    let sound = format!("{ca}crl = \"tls/ca.crl\"\nrevocation = \"if-available\"\n");
    for lint in [Lint::RevocationOff, Lint::TrustsNobody, Lint::CrlEnds] {
        assert_eq!(found(lint, &sound), "");
    }
}

#[test]
fn no_rule_at_all() {
    let (text, _) = CLEAN.split_once("[role.noc]").unwrap();
    insta::assert_snapshot!(TestContext::new().messages(text));
}

#[test]
fn the_rest_of_the_messages() {
    let context = TestContext::new();
    use std::os::unix::fs::PermissionsExt as _;
    let open = context.file("secret", "a-secret-of-some-length");
    std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = with(&[
        (
            "tacacs_secret = \"file:secret2\"",
            "tacacs_secret = \"plain:a-sound-secret-of-this-file\"",
        ),
        ("groups = [\"noc\"]", "groups = [\"noc\", \"noc\"]"),
        ("tag = \"edge\"", "tag = [\"edge\", \"egde\"]"),
        (
            "[user.alice]",
            "[device.none]\ntags = [\"edge\"]\n[device.half]\ntacacs_secret = \"env:SECRET\"\ntags = [\"edge\"]\n[user.alice]",
        ),
    ]);
    insta::assert_snapshot!(context.messages(&text));
}

const SHARED: &str = "[device.edge2]\naddress = [\"10.0.0.3\"]\ntacacs_secret = \"file:secret\"\ntags = [\"edge\"]\n[device.edge3]\naddress = [\"10.0.0.4\"]\ntacacs_secret = \"file:secret\"\ntags = [\"edge\"]\n";

fn allow(lint: &str, on: &str, rest: &str) -> String {
    format!(
        "[[allow]]\nlint = \"{lint}\"\non = \"{on}\"\nreason = \"the vendor's box takes one secret\"\n{rest}"
    )
}

#[test]
fn what_is_accepted_is_no_warning_and_is_counted_with_its_reason() {
    let context = TestContext::new();
    let text = more(SHARED);
    let shared = |allows: &str| {
        let text = format!("{text}{allows}");
        (context.messages(&text), context.load(&text).unwrap())
    };
    let (messages, loaded) = shared("");
    assert_eq!(loaded.config.findings.count(Lint::SharedSecret), 3);
    insta::assert_snapshot!("accepted_none", messages);
    // One of three: the others still share it.
    let (messages, loaded) = shared(&allow("shared-secret", "device.edge3", ""));
    assert_eq!(loaded.config.findings.count(Lint::SharedSecret), 2);
    assert_eq!(loaded.config.findings.accepted(), 1);
    insta::assert_snapshot!("accepted_one", messages);
    let both = [
        allow("shared-secret", "device.edge*", "until = 2027-01-04\n"),
        allow("shared-secret", "device.core1", ""),
    ];
    let (messages, loaded) = shared(&both.concat());
    assert_eq!(messages, "");
    assert_eq!(loaded.config.findings.accepted(), 3);
    assert_eq!(loaded.accepted.len(), 2);
    let [core, edge] = loaded.accepted.as_slice() else {
        panic!("{:?}", loaded.accepted);
    };
    assert_eq!(core.reason, "the vendor's box takes one secret");
    assert_eq!(
        (core.until, edge.until),
        (None, Some(jiff::civil::date(2027, 1, 4)))
    );
    assert_eq!(edge.diagnostic.count, 2);
    assert!(
        edge.diagnostic
            .message
            .ends_with("[device.edge2], [device.edge3]")
    );
}

#[test]
fn an_acceptance_that_ended_lets_the_warning_return() {
    let context = TestContext::new();
    let ended = allow("shared-secret", "device.*", "until = 2027-01-03\n");
    let text = more(&format!("{SHARED}{ended}"));
    insta::assert_snapshot!(context.messages(&text));
    let single = with(&[
        ("10.0.0.1", "0.0.0.0/0"),
        ("file:secret2", "plain:a-sound-secret-of-this-file"),
    ]);
    let ended = allow("plain-secret", "device.edge1", "until = 2027-01-03\n");
    insta::assert_snapshot!(
        "an_acceptance_of_one_finding_that_ended",
        context.findings(Lint::PlainSecret, &format!("{single}{ended}"))
    );
    // A later acceptance of the same counts.
    let renewed = allow("plain-secret", "device.edge*", "until = 2027-02-01\n");
    let text = format!("{single}{ended}{renewed}");
    assert_eq!(context.findings(Lint::PlainSecret, &text), "");
}

#[test]
fn an_acceptance_that_hides_nothing_is_a_warning() {
    let allows = [
        allow("shared-secret", "device.edge1", ""),
        allow("weak-secret", "device.*", "until = 2020-01-01\n"),
    ];
    insta::assert_snapshot!(TestContext::new().messages(&more(&allows.concat())));
}

#[test]
fn acceptances_that_cannot_be_read() {
    let text = more(
        r#"[[allow]]
lint = "shared-secrets"
on = "devise.x"
reason = " "
[[allow]]
lint = "nonsense"
until = "soon"
[[allow]]
lint = "unused-allow"
on = "*"
reason = "x"
why = "y"
[[allow]]
lint = "no-rule"
on = "elsewhere"
reason = "x"
"#,
    );
    insta::assert_snapshot!(TestContext::new().messages(&text));
}

/// An error is an error, whatever the file accepts.
#[test]
fn an_error_cannot_be_accepted() {
    let policy = "[secrets]\nshared = \"refuse\"\n";
    let text = more(&format!(
        "{SHARED}{policy}{}",
        allow("shared-secret", "*", "")
    ));
    let failure = TestContext::new().load(&text).unwrap_err();
    assert_eq!(failure.errors(), 1, "{failure}");
    assert_eq!(failure.diagnostics.len(), 1, "{failure}");
}

#[test]
fn only_what_is_new_is_told_again_and_lines_may_move() {
    let context = TestContext::new();
    let before = context.load(&more(SHARED)).unwrap();
    let after = context
        .load(
            &format!("\n\n# moved\n{}", more(SHARED))
                .replace("\n\n# moved\nversion = 1", "# moved\nversion = 1"),
        )
        .unwrap();
    let (new, known) = news(&after.diagnostics, &before.config.findings);
    assert_eq!((new.len(), known), (0, 1));
    let text = more(&format!("{SHARED}[role.ops]\n"));
    let after = context.load(&text).unwrap();
    let (new, known) = news(&after.diagnostics, &before.config.findings);
    assert_eq!((new.len(), known), (1, 1));
    assert_eq!(new[0].lint, Some(Lint::UnusedRole));
}

#[test]
fn many_of_a_kind_are_shown_in_part() {
    let mut text = String::from(CLEAN);
    for at in 0..25 {
        let _ = writeln!(text, "[role.r{at}]\n");
    }
    let loaded = TestContext::new().load(&text).unwrap();
    assert_eq!(loaded.diagnostics.len(), 25);
    assert_eq!(loaded.config.findings.count(Lint::UnusedRole), 25);
    let texts = digest(&loaded.diagnostics);
    assert_eq!(texts.len(), 11);
    insta::assert_snapshot!(texts[10]);
}

/// What is not certain in a file with errors is not said.
#[test]
fn a_file_with_errors_has_no_findings_about_what_is_missing() {
    let text = with(&[("device_group = \"core\"", "device_group = \"coer\"")]);
    let failure = TestContext::new().load(&text).unwrap_err();
    assert_eq!(failure.diagnostics.len(), 1, "{failure}");
}

#[test]
fn every_warning_has_a_name_and_something_to_do() {
    let context = TestContext::new();
    let text = with(&[
        ("127.0.0.1:0", "192.0.2.1:49"),
        ("file:secret2", "plain:short"),
        ("groups = [\"noc\"]", "groups = [\"noc\", \"noc\", \"ncc\"]"),
        (
            "permit show **",
            "permit **\\ndeny show **\\npermit show Gi*",
        ),
    ]);
    let loaded = context.load(&text).unwrap();
    assert!(loaded.diagnostics.len() > 6);
    for finding in &loaded.diagnostics {
        assert_eq!(finding.severity, Severity::Warning);
        assert!(
            finding.lint.is_some() && finding.help.is_some(),
            "{finding}"
        );
        assert!(finding.section.is_some(), "{finding}");
    }
}

/// The table that people read is the enum, in its order.
#[test]
fn the_documentation_has_every_lint() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lints.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows: Vec<(String, String)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`').to_owned();
            let meaning = cells.next()?.to_owned();
            let rest = cells.next().unwrap_or("").trim_end_matches(" |");
            assert!(rest.len() > 10, "{name} says nothing to do");
            Some((name, meaning))
        })
        .collect();
    let lints: Vec<(String, String)> = Lint::ALL
        .iter()
        .map(|lint| (lint.name().to_owned(), lint.sentence().to_owned()))
        .collect();
    assert_eq!(rows, lints);
    let mut sorted = Lint::ALL.map(Lint::name);
    sorted.sort_unstable();
    assert_eq!(sorted, Lint::ALL.map(Lint::name));
    for lint in Lint::ALL {
        assert_eq!(Lint::by_name(lint.name()), Some(lint));
    }
}
