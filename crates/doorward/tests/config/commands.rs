//! The commands by their exit codes and output, as programs see them.

use std::process::{Command, Output};

use crate::context::TestContext;

const TEXT: &str = r#"version = 1
[device.core1]
address = ["192.0.2.1"]
tacacs_secret = "file:secret"
[user.alice]
groups = ["noc"]
from = ["192.0.2.0/24"]
[role.noc]
shell = { priv_lvl = 7 }
commands = '''
permit show **
deny reload
'''
[[rule]]
name = "noc"
when = { group = "noc", time = "Mon-Fri 07:00-20:00 UTC" }
role = "noc"
[[test]]
as = { user = "alice" }
on = "core1"
at = 2027-01-04T10:00:00Z
permit = ["show version"]
deny = ["reload"]
expect = { priv_lvl = 7 }
"#;

pub(crate) fn doorward(arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn check_counts_and_refuses() {
    let context = TestContext::new();
    let path = context.file("main.toml", TEXT);
    let (code, out, _) = doorward(&["check", path.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("0 listeners, 1 device, 1 user, 1 rule"),
        "{out}"
    );
    assert!(out.contains("1 test: 1 passed, 0 failed"), "{out}");
    let bad = context.file(
        "bad.toml",
        &TEXT.replace("version = 1", "version = 1\nnonsense = 1"),
    );
    let (code, out, err) = doorward(&["check", bad.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("`nonsense` is no key of the file") && err.contains("bad.toml:2:1"),
        "{err}"
    );
    let failing = context.file(
        "failing.toml",
        &TEXT
            .replace("deny = [\"reload\"]", "permit = [\"reload\"]")
            .replacen("permit = [\"show version\"]\n", "", 1),
    );
    let (code, _, err) = doorward(&["check", failing.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        err.contains("expected permit: `reload` is denied by `deny reload`"),
        "{err}"
    );
    assert_eq!(doorward(&["check"]).0, 64);
    assert_eq!(doorward(&["check", "/nonexistent.toml"]).0, 1);
}

#[test]
fn test_writes_junit() {
    let context = TestContext::new();
    let path = context.file(
        "main.toml",
        &TEXT.replace("deny = [\"reload\"]", "deny = [\"show <x> & y\"]"),
    );
    let junit = context.path().join("out.xml");
    let (code, _, err) = doorward(&[
        "test",
        path.to_str().unwrap(),
        "--junit",
        junit.to_str().unwrap(),
    ]);
    assert_eq!(code, 1, "{err}");
    let xml = std::fs::read_to_string(junit).unwrap();
    assert!(
        xml.contains("<testsuite name=\"doorward\" tests=\"1\" failures=\"1\">"),
        "{xml}"
    );
    assert!(
        xml.contains("`show &lt;x&gt; &amp; y` is permitted"),
        "{xml}"
    );
    let path = context.file("main.toml", TEXT);
    assert_eq!(doorward(&["test", path.to_str().unwrap()]).0, 0);
}

#[test]
fn explain_answers_by_exit_code_text_and_json() {
    let context = TestContext::new();
    let path = context.file("main.toml", TEXT);
    let explain = |arguments: &[&str]| {
        let mut all = vec!["explain", "--config", path.to_str().unwrap()];
        all.extend(arguments);
        doorward(&all)
    };
    let monday = "2027-01-04T10:00:00Z";
    let (code, out, _) = explain(&["alice", "core1", "show version", "--at", monday]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("main.toml:11:1") && out.contains("show = show, ** = version"),
        "{out}"
    );
    let (code, out, _) = explain(&["alice", "core1", "configure", "--at", monday, "--json"]);
    assert_eq!(code, 2);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["decision"], "deny");
    assert_eq!(json["nearest"][0]["text"], "permit show **");
    let (code, out, _) = explain(&["alice", "core1", "reload", "--at", monday, "--json"]);
    assert_eq!(code, 2);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&json["rule"]["line"], &json["rule"]["text"]),
        (&12.into(), &"deny reload".into())
    );
    let (code, out, _) = explain(&[
        "alice",
        "core1",
        "show version",
        "--at",
        "2027-01-03T10:00:00Z",
    ]);
    assert_eq!(code, 2);
    assert!(
        out.contains("time is Sun 10:00 UTC, not Mon-Fri 07:00-20:00 UTC"),
        "{out}"
    );
    let (code, _, _) = explain(&[
        "alice",
        "core1",
        "show version",
        "--at",
        monday,
        "--from",
        "198.51.100.1",
    ]);
    assert_eq!(code, 2);
    let (code, out, _) = explain(&["alcie", "core1", "show"]);
    assert_eq!(code, 2);
    assert!(
        out.contains("there is no user `alcie` (did you mean `alice`?)"),
        "{out}"
    );
    let (code, _, err) = explain(&["alice", "core2", "show"]);
    assert_eq!(code, 1);
    assert!(err.contains("did you mean `core1`?"), "{err}");
    assert_eq!(explain(&["alice", "core1"]).0, 64);
    assert_eq!(explain(&["alice", "core1", "show", "--at", "noon"]).0, 64);
}
