//! RADIUS logins in `[[test]]`, `explain` and `diff`.

use crate::commands::doorward;
use crate::context::TestContext;

const TEXT: &str = r#"version = 1
[device.core1]
certificate = { dns = ["core1.example.net"] }
[user.alice]
groups = ["noc"]
from = ["192.0.2.0/24"]
[role.noc]
shell = { priv_lvl = 15 }
commands = "permit show **"
radius = { Service-Type = "NAS-Prompt-User", Cisco-AVPair = ["shell:priv-lvl=1", "idle"], "Tunnel-Type:1" = "VLAN" }
[role.old]
commands = "permit ping **"
[[rule]]
name = "radius"
when = { group = "noc", protocol = "radius", auth = ["pap", "mschapv2"] }
role = "noc"
[[rule]]
name = "tacacs"
when = { group = "noc", protocol = "tacacs" }
role = "old"
"#;

const RADIUS: &str =
    "\n[[test]]\nas = { user = \"alice\" }\non = \"core1\"\nprotocol = \"radius\"\n";

/// What `doorward test` says of one `[[test]]` more, and its exit code.
fn tested(context: &TestContext, lines: &str) -> (i32, String) {
    let path = context.file("main.toml", &format!("{TEXT}{RADIUS}{lines}\n"));
    let (code, out, err) = doorward(&["test", path.to_str().unwrap()]);
    (code, format!("{out}{err}"))
}

#[test]
fn a_test_asks_for_a_radius_login_and_its_attributes() {
    let context = TestContext::new();
    for good in [
        "",
        "auth = \"mschapv2\"",
        "expect = { login = \"permit\" }",
        "expect = { radius = { Service-Type = \"NAS-Prompt-User\" } }",
        "expect = { radius = { Service-Type = 7, Cisco-AVPair = [\"idle\", \"shell:priv-lvl=1\"], \"Tunnel-Type:1\" = 13 } }",
        "as.groups = [\"ops\"]\nexpect = { login = \"deny\" }",
        "auth = \"chap\"\nexpect = { login = \"deny\" }",
        "from = \"198.51.100.1\"\nexpect = { login = \"deny\" }",
    ] {
        let text = match good.strip_prefix("as.groups = [\"ops\"]\n") {
            Some(rest) => {
                let who =
                    RADIUS.replace("user = \"alice\"", "user = \"alice\", groups = [\"ops\"]");
                format!("{TEXT}{who}{rest}\n")
            }
            None => format!("{TEXT}{RADIUS}{good}\n"),
        };
        let path = context.file("main.toml", &text);
        let (code, out, err) = doorward(&["test", path.to_str().unwrap()]);
        assert_eq!(code, 0, "{good}: {out}{err}");
    }
    for (bad, said) in [
        (
            "expect = { radius = { Service-Type = \"Login-User\" } }",
            "expected Service-Type = Login-User: role noc gives Service-Type = NAS-Prompt-User (",
        ),
        (
            "expect = { radius = { Session-Timeout = 600 } }",
            "expected Session-Timeout = 600: role noc gives none (",
        ),
        (
            "expect = { radius = { \"Tunnel-Type:2\" = \"VLAN\" } }",
            "expected Tunnel-Type:2 = VLAN: role noc gives Tunnel-Type:1 = VLAN (",
        ),
        (
            "expect = { login = \"deny\" }",
            "expected the login to be denied: `[[rule]] radius`",
        ),
        (
            "auth = \"chap\"\nexpect = { radius = { Session-Timeout = 600 } }",
            "no rule matches the login of alice on core1",
        ),
        (
            "from = \"198.51.100.1\"",
            "alice may not come from that address",
        ),
    ] {
        let (code, said_all) = tested(&context, bad);
        assert_eq!(code, 1, "{bad}: {said_all}");
        assert!(said_all.contains(said), "{bad}: {said_all}");
        let failures = said_all
            .matches("the test of alice on core1 failed")
            .count();
        assert_eq!(failures, 1, "{bad}: {said_all}");
    }
}

#[test]
fn what_makes_no_sense_in_a_radius_test_is_refused_at_its_word() {
    let context = TestContext::new();
    for (line, said, place) in [
        (
            "permit = [\"show version\"]",
            "`permit` and `protocol = \"radius\"` do not go together: RADIUS asks for no commands",
            "26:1",
        ),
        (
            "deny = [\"reload\"]",
            "`deny` and `protocol = \"radius\"` do not go together",
            "26:1",
        ),
        (
            "expect = { priv_lvl = 15 }",
            "`priv_lvl` and `protocol = \"radius\"` do not go together",
            "26:23",
        ),
        (
            "expect = { login = \"deny\", radius = { Class = \"x\" } }",
            "`radius` and `login = \"deny\"` do not go together",
            "26:37",
        ),
        (
            "auth = \"ascii\"",
            "`auth = \"ascii\"` and `protocol = \"radius\"` do not go together",
            "26:8",
        ),
        (
            "expect = { radius = { Service-Typ = 1 } }",
            "Service-Type",
            "26:23",
        ),
    ] {
        let (code, said_all) = tested(&context, line);
        assert_eq!(code, 1, "{line}: {said_all}");
        assert!(said_all.contains(said), "{line}: {said_all}");
        assert!(
            said_all.contains(&format!("main.toml:{place}")),
            "{line}: {said_all}"
        );
    }
    let tacacs = RADIUS.replace("radius", "tacacs");
    let text = format!("{TEXT}{tacacs}expect = {{ radius = {{ Class = \"x\" }} }}\n");
    let messages = context.messages(&text);
    let said = "`radius` and `protocol = \"tacacs\"` do not go together";
    assert!(messages.contains(said), "{messages}");
}

#[test]
fn explain_tells_the_protocols_apart() {
    let context = TestContext::new();
    let path = context.file("main.toml", TEXT);
    let explain = |arguments: &[&str]| {
        let mut all = vec!["explain", "--config", path.to_str().unwrap()];
        all.extend(arguments);
        doorward(&all)
    };
    let radius = ["--protocol", "radius", "alice", "core1"];
    let (code, out, _) = explain(&radius);
    assert_eq!(code, 0, "{out}");
    for wanted in [
        "permit: a login is granted role noc (alice on core1)",
        "main.toml:14:8",
        "[[rule]] radius",
        "Service-Type = NAS-Prompt-User",
        "Cisco-AVPair = shell:priv-lvl=1",
        "Cisco-AVPair = idle",
        "Tunnel-Type:1 = VLAN",
    ] {
        assert!(out.contains(wanted), "{wanted}: {out}");
    }
    let (code, out, _) = explain(&[&radius[..], &["--json"]].concat());
    assert_eq!(code, 0, "{out}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["decision"], "permit");
    assert_eq!(json["rule"]["line"], 14);
    assert_eq!(json["role"], "noc");
    let first = serde_json::json!(["Service-Type", "NAS-Prompt-User"]);
    assert_eq!(json["attributes"][0], first);
    assert_eq!(json["attributes"].as_array().unwrap().len(), 4);
    // The other protocol has the other rule, and no attributes.
    let (code, out, _) = explain(&["alice", "core1", "ping 192.0.2.1", "--json"]);
    assert_eq!(code, 0, "{out}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&json["role"], json.get("attributes")),
        (&"old".into(), None)
    );
    let near = &json["nearest"][0];
    assert_eq!(near["failed"], "protocol is tacacs, not radius");
    for denied in [
        &[&radius[..], &["--from", "198.51.100.1"]].concat(),
        &vec!["--protocol", "radius", "bob", "core1"],
    ] {
        let (code, out, _) = explain(denied);
        assert_eq!(code, 2, "{out}");
        assert!(!out.contains("Service-Type"), "{out}");
    }
    let without = TEXT.replace(", protocol = \"radius\"", ", protocol = \"tacacs\"");
    context.file("main.toml", &without);
    let (code, out, _) = explain(&radius);
    assert_eq!(code, 2, "{out}");
    assert!(
        out.contains("deny: a login is denied: ") && out.contains("protocol is radius, not tacacs"),
        "{out}"
    );
    let (code, _, err) = explain(&[&radius[..], &["show version"]].concat());
    assert_eq!(code, 64);
    assert!(err.contains("RADIUS asks for no commands"), "{err}");
    assert_eq!(explain(&["--protocol", "diameter", "alice", "core1"]).0, 64);
}

#[test]
fn diff_tells_what_a_radius_login_would_get() {
    let context = TestContext::new();
    let old = context.file("old.toml", &format!("{TEXT}{RADIUS}"));
    let changed = TEXT.replace("NAS-Prompt-User", "Administrative-User");
    let new = context.file("new.toml", &format!("{changed}{RADIUS}"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let (code, out, err) = doorward(&["diff", old, new, "--json"]);
    assert_eq!(code, 2, "{out}{err}");
    let json: serde_json::Value = serde_json::from_str(out.trim_end()).unwrap();
    assert_eq!(json["what"], "radius-login");
    assert_eq!(json["old_grant"][0], "Service-Type=NAS-Prompt-User");
    assert_eq!(json["grant"][0], "Service-Type=Administrative-User");
    let (code, out, _) = doorward(&["diff", old, new]);
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("RADIUS login"), "{out}");
    assert!(
        out.contains("gives Service-Type=Administrative-User"),
        "{out}"
    );
    assert_eq!(doorward(&["diff", old, old]).0, 0);
}

const SECRETS: &str = r#"radius = { "Tunnel-Password:1" = "file:secret", Tunnel-Password = ["file:secret2", "env:SECRET"], MS-MPPE-Send-Key = "file:key" }"#;

/// The configuration with secrets for devices.
fn with_secrets(context: &TestContext) -> String {
    context.file("key", "0x00ff00ff");
    let radius = TEXT
        .lines()
        .find(|line| line.starts_with("radius ="))
        .unwrap();
    TEXT.replace(radius, SECRETS)
}

/// Wherever attributes are shown, secrets are not.
#[test]
fn secrets_of_a_role_are_compared_and_never_shown() {
    let context = TestContext::new();
    let text = with_secrets(&context).replace(", \"env:SECRET\"", "");
    let path = context.file("main.toml", &text);
    let path = path.to_str().unwrap();
    let unseen = |said: &str| {
        for secret in ["a-secret-of-some-length", "quite-another-one", "00ff00ff"] {
            assert!(!said.contains(secret), "{said}");
        }
    };
    for json in [&[][..], &["--json"]] {
        let arguments = ["explain", "--config", path, "--protocol", "radius"];
        let all = [&arguments[..], json, &["alice", "core1"]].concat();
        let (code, out, err) = doorward(&all);
        assert_eq!(code, 0, "{out}{err}");
        unseen(&out);
        let shown = ["Tunnel-Password:1", "Tunnel-Password", "MS-MPPE-Send-Key"];
        assert!(shown.iter().all(|name| out.contains(name)), "{out}");
        assert_eq!(out.matches("(hidden)").count(), 3, "{out}");
    }
    let tested = |expect: &str| {
        let text = format!("{text}{RADIUS}expect = {{ radius = {{ {expect} }} }}\n");
        let path = context.file("tested.toml", &text);
        let (code, out, err) = doorward(&["test", path.to_str().unwrap()]);
        unseen(&format!("{out}{err}"));
        (code, format!("{out}{err}"))
    };
    assert_eq!(tested("\"Tunnel-Password:1\" = \"file:secret\"").0, 0);
    let (code, said) = tested("\"Tunnel-Password:2\" = \"file:secret\"");
    assert_eq!(code, 1, "{said}");
    let wanted = "expected Tunnel-Password:2 = (hidden): role noc gives Tunnel-Password:1 = (hidden), Tunnel-Password = (hidden) (";
    assert!(said.contains(wanted), "{said}");

    let changed = text.replace(
        "\"Tunnel-Password:1\" = \"file:secret\"",
        "\"Tunnel-Password:1\" = \"file:secret2\"",
    );
    let [old, new] = [("old.toml", &text), ("new.toml", &changed)]
        .map(|(name, text)| context.file(name, &format!("{text}{RADIUS}")));
    let diff = |new: &std::path::Path| {
        let (code, out, err) = doorward(&["diff", old.to_str().unwrap(), new.to_str().unwrap()]);
        unseen(&format!("{out}{err}"));
        (code, out)
    };
    assert_eq!(diff(&old).0, 0);
    let (code, out) = diff(&new);
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("Tunnel-Password:1=(hidden)"), "{out}");
}

#[test]
fn secrets_of_a_role_are_references_and_in_no_debug_output() {
    let context = TestContext::new();
    let text = with_secrets(&context);
    let loaded = context
        .load(&text)
        .unwrap_or_else(|failure| panic!("{failure}"));
    let shown = format!("{:?} {:#?}", loaded.config.policy, loaded.diagnostics);
    assert!(shown.contains("ReplySecret(..)"), "{shown}");
    for secret in [
        "a-secret-of",
        "quite-another",
        "from-the-environment",
        "255, 0, 255",
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(
        loaded
            .config
            .places
            .read
            .contains(&context.path().join("key"))
    );

    let plain = text.replace("file:secret\"", "plain:hunter2\"");
    insta::assert_snapshot!(context.findings(doorward::config::Lint::PlainSecret, &plain));
    // One line with several roles: what rules refer to is such a line.
    let line = format!(
        "role = {{ noc = {{ {SECRETS} }}, old = {{ {} }} }}\n",
        SECRETS.replace("file:secret\"", "plain:hunter2\"")
    );
    let begin = TEXT.find("[role.noc]").unwrap();
    let end = TEXT.find("[[rule]]").unwrap();
    let head = TEXT[..begin].replacen("version = 1\n", &format!("version = 1\n{line}"), 1);
    let path = context.file(
        "line.toml",
        &format!("{head}{}", &TEXT[end..]).replace(", \"env:SECRET\"", ""),
    );
    let arguments = [
        "explain",
        "--json",
        "--protocol",
        "radius",
        "alice",
        "core1",
    ];
    let (code, out, err) =
        doorward(&[&arguments[..], &["--config", path.to_str().unwrap()]].concat());
    assert_eq!(code, 0, "{out}{err}");
    assert!(!format!("{out}{err}").contains("hunter2"), "{out}{err}");

    std::fs::write(context.path().join("long"), "x".repeat(240)).unwrap();
    std::fs::write(context.path().join("octets"), [0xff, 0xfe]).unwrap();
    let role = |line: &str| {
        let said = context.messages(&format!("version = 1\n[role.a]\nradius = {{ {line} }}\n"));
        let errors = said.split("\n\n").filter(|one| one.starts_with("error"));
        errors.collect::<Vec<_>>().join("\n\n")
    };
    let said = [
        role("Tunnel-Password = \"hunter2\""),
        role("Tunnel-Password = \"file:nowhere\""),
        role("Tunnel-Password = \"file:long\""),
        role("Tunnel-Password = \"file:octets\""),
        role("\"Tunnel-Password:32\" = \"file:secret\""),
        role("MS-CHAP-MPPE-Keys = \"file:secret\""),
        role("User-Password = \"file:secret\""),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
    assert_eq!(role("MS-MPPE-Send-Key = \"file:octets\""), "");
}
