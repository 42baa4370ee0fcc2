//! `profile` of devices: what is refused, and what tests, `explain` and `diff` say of it.

use crate::commands::doorward;
use crate::context::TestContext;

const TEXT: &str = r#"version = 1
[device_group.juniper]
match = { name = "pe*" }
profile = "juniper-junos"
[device.core1]
certificate = { dns = ["core1.example.net"] }
profile = "cisco-ios-xe"
[device.pe1]
certificate = { dns = ["pe1.example.net"] }
[device.pe-old]
certificate = { dns = ["pe-old.example.net"] }
profile = "mikrotik-routeros"
[device.plain]
certificate = { dns = ["plain.example.net"] }
[user.alice]
groups = ["noc"]
[role.noc]
shell = { priv_lvl = 15 }
radius = { Session-Timeout = 600, Juniper-Local-User-Name = "NOC" }
[[rule]]
when = { group = "noc" }
role = "noc"
"#;

fn radius_test(device: &str, attributes: &str) -> String {
    format!(
        "\n[[test]]\nas = {{ user = \"alice\" }}\non = \"{device}\"\nprotocol = \"radius\"\nexpect = {{ radius = {{ {attributes} }} }}\n"
    )
}

#[test]
fn unknown_profiles_and_groups_that_do_not_agree_are_refused() {
    insta::assert_snapshot!(TestContext::new().messages(
        r#"version = 1
[device_group.a]
match = { name = "sw*" }
profile = "cisco-nx-os"
[device_group.b]
match = { name = "*7" }
profile = "arista-eos"
[device_group.c]
match = { name = "x" }
profile = "cisco_iosxe"
[device.sw7]
certificate = { dns = ["sw7.example.net"] }
[device.sw17]
certificate = { dns = ["sw17.example.net"] }
profile = "arista-eos"
[device.other]
certificate = { dns = ["other.example.net"] }
profile = "vyos"
[device.third]
certificate = { dns = ["third.example.net"] }
profile = 7
"#
    ));
}

#[test]
fn a_test_expects_what_the_profile_of_its_device_gives() {
    let context = TestContext::new();
    let tested = |lines: &str| {
        let path = context.file("main.toml", &format!("{TEXT}{lines}"));
        let (code, out, err) = doorward(&["test", path.to_str().unwrap()]);
        (code, format!("{out}{err}"))
    };
    for (device, attributes) in [
        (
            "core1",
            "Cisco-AVPair = \"shell:priv-lvl=15\", Session-Timeout = 600",
        ),
        ("pe1", "Juniper-Local-User-Name = \"NOC\""),
        ("pe-old", "Mikrotik-Group = \"full\""),
        ("plain", "Juniper-Local-User-Name = \"NOC\""),
    ] {
        let (code, said) = tested(&radius_test(device, attributes));
        assert_eq!(code, 0, "{device}: {said}");
    }
    let (code, said) = tested(&radius_test("core1", "Juniper-Local-User-Name = \"NOC\""));
    assert_eq!(code, 1, "{said}");
    let wanted = "role noc gives none to a device with profile cisco-ios-xe (";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn explain_tells_where_each_attribute_comes_from() {
    let context = TestContext::new();
    let path = context.file("main.toml", TEXT);
    let explain = |device: &str, more: &[&str]| {
        let all = ["explain", "--config", path.to_str().unwrap()];
        let asked = ["--protocol", "radius", "alice", device];
        let (code, out, err) = doorward(&[&all[..], &asked, more].concat());
        assert_eq!(code, 0, "{out}{err}");
        out
    };
    let said = explain("core1", &[]);
    for wanted in [
        "  Session-Timeout = 600   (role)\n",
        "  Cisco-AVPair = shell:priv-lvl=15   (profile cisco-ios-xe, from priv_lvl)\n",
        "left out, because profile cisco-ios-xe is not for them: Juniper-Local-User-Name",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let said = explain("pe1", &[]);
    assert!(
        said.contains("Juniper-Local-User-Name = NOC   (role)"),
        "{said}"
    );
    assert!(!said.contains("left out"), "{said}");
    let said = explain("plain", &[]);
    assert!(
        !said.contains("(role)") && !said.contains("left out"),
        "{said}"
    );

    let json: serde_json::Value = serde_json::from_str(&explain("core1", &["--json"])).unwrap();
    assert_eq!(json["profile"], "cisco-ios-xe");
    assert_eq!(
        json["attributes"][1],
        serde_json::json!(["Cisco-AVPair", "shell:priv-lvl=15"])
    );
    let origins = serde_json::json!(["role", "profile cisco-ios-xe, from priv_lvl"]);
    assert_eq!(json["origins"], origins);
    assert_eq!(
        json["left_out"],
        serde_json::json!(["Juniper-Local-User-Name"])
    );
    let json: serde_json::Value = serde_json::from_str(&explain("plain", &["--json"])).unwrap();
    assert_eq!(json.get("profile"), None);
}

#[test]
fn diff_shows_what_another_profile_changes() {
    let context = TestContext::new();
    let asked = radius_test("core1", "Session-Timeout = 600");
    let old = context.file("old.toml", &format!("{TEXT}{asked}"));
    let changed = TEXT.replace("cisco-ios-xe", "cisco-nx-os");
    let new = context.file("new.toml", &format!("{changed}{asked}"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let (code, out, err) = doorward(&["diff", old, new, "--json"]);
    assert_eq!(code, 2, "{out}{err}");
    let json: serde_json::Value = serde_json::from_str(out.trim_end()).unwrap();
    assert_eq!(json["what"], "radius-login");
    assert_eq!(json["old_grant"][1], "Cisco-AVPair=shell:priv-lvl=15");
    assert_eq!(
        json["grant"][1],
        "Cisco-AVPair=shell:roles=\"network-admin\""
    );
}

const HELD: &str = r#"version = 1
[tls.default]
certificate = "tls/server.pem"
key = "file:tls/server.key"
client_ca = "tls/ca.pem"
revocation = "off"
[[listen]]
protocol = "radius-tls"
address = "127.0.0.1:2083"
[device.fw1]
certificate = { dns = ["fw1.example.net"] }
profile = "paloalto-panos"
[device.pe1]
certificate = { dns = ["pe1.example.net"] }
profile = "juniper-junos"
[device.core1]
certificate = { dns = ["core1.example.net"] }
profile = "cisco-ios"
[user.alice]
groups = ["noc"]
[role.backup]
shell = { priv_lvl = 15 }
commands = "permit show **"
services.junos-exec = { local-user-name = "BACKUP", "deny-commands-regexps*" = "request .*" }
[[rule]]
when = { group = "noc" }
role = "backup"
"#;

/// What `check` says of roles that are held to the least.
fn told(text: &str) -> Vec<String> {
    let context = TestContext::new();
    let demo = doorward::demo::Folder::prepare(&context.path().join("demo")).unwrap();
    for name in ["ca.pem", "server.pem", "server.key"] {
        context.file(&format!("tls/{name}"), &demo.text(name).unwrap());
    }
    let loaded = context
        .load(text)
        .unwrap_or_else(|failure| panic!("{failure}"));
    let found = loaded.diagnostics.iter();
    let found = found.filter(|one| one.lint == Some(doorward::config::Lint::RoleHeldToLeast));
    found.map(ToString::to_string).collect()
}

/// Each profile that a role is less on is told of, with what to write; and nothing where RADIUS does not come into it.
#[test]
fn roles_that_are_held_to_the_least_are_told_of() {
    let said = told(HELD);
    assert_eq!(said.len(), 3, "{said:#?}");
    for (one, wanted) in said.iter().zip([
        ["role backup has only the least rights of profile cisco-ios, on [device.core1]", "as Cisco-AVPair"],
        ["role backup lets nobody in on devices with profile juniper-junos, [device.pe1] for one: nothing there holds anybody to `deny-commands-regexps` of `services.junos-exec`", "as Juniper-Local-User-Name"],
        ["role backup has only the least rights of profile paloalto-panos, on [device.fw1] for one: nothing there holds anybody to `commands`", "as PaloAlto-Admin-Role"],
    ]) {
        assert!(wanted.iter().all(|text| one.contains(text)), "{one}");
        assert!(one.contains("on: role.backup"), "{one}");
    }
    let when = "when = { group = \"noc\"";
    for (old, new) in [
        ("protocol = \"radius-tls\"", "protocol = \"tacacs-tls\""),
        (
            "shell = { priv_lvl = 15 }\ncommands",
            "shell = { priv_lvl = 1 }\nservices.other = {}\n#",
        ),
        (when, &format!("{when}, protocol = \"tacacs\"")),
        (when, &format!("{when}, transport = \"plain\"")),
        (when, &format!("{when}, auth = \"ascii\"")),
        (when, &format!("{when}, service = \"ppp\"")),
        (
            "commands = \"permit show **\"",
            "radius = { PaloAlto-Admin-Role = \"auditor\", Juniper-Local-User-Name = \"RO\", Cisco-AVPair = \"shell:priv-lvl=5\" }\ncommands = \"permit show **\"",
        ),
    ] {
        let changed = HELD.replace(old, new);
        assert_ne!(changed, HELD);
        let mut said = told(&changed);
        // Junos is refused for its own arguments, whatever the level.
        said.retain(|one| !(new.contains("priv_lvl = 1 ") && one.contains("juniper-junos")));
        assert_eq!(said, [""; 0], "{new}");
    }
}

/// `explain` says what a role was held to, or why nobody is let in.
#[test]
fn explain_tells_why_a_role_is_less() {
    let context = TestContext::new();
    let (_, devices) = HELD.split_once("[device.fw1]").unwrap();
    let path = context.file("main.toml", &format!("version = 1\n[device.fw1]{devices}"));
    let explain = |device: &str, more: &[&str]| {
        let all = ["explain", "--config", path.to_str().unwrap()];
        let asked = ["--protocol", "radius", "alice", device];
        doorward(&[&all[..], &asked, more].concat())
    };
    let (code, said, err) = explain("fw1", &[]);
    assert_eq!(code, 0, "{said}{err}");
    for wanted in [
        "  PaloAlto-Admin-Role = superreader   (profile paloalto-panos, from priv_lvl, held to the least)\n",
        "held to the least rights of profile paloalto-panos, because over RADIUS nothing holds the user to `commands`",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let (_, said, _) = explain("fw1", &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["held_to_least"], "`commands`");
    let (code, said, err) = explain("pe1", &[]);
    assert_eq!(code, 2, "{said}{err}");
    let wanted = "a login is denied: profile juniper-junos cannot hold anybody to `deny-commands-regexps` of `services.junos-exec` of role backup (alice on pe1)";
    assert!(said.contains(wanted), "{said}");
    let (_, said, _) = explain("pe1", &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["reason"], "no-shell");
}

/// A role without a shell lets nobody in to one: the same in tests and explanations, and not where it has its own attribute.
#[test]
fn a_role_without_a_shell_is_denied_where_there_is_a_profile() {
    let context = TestContext::new();
    let text = TEXT.replace("shell = { priv_lvl = 15 }\n", "");
    let run = |lines: &str| {
        let path = context.file("main.toml", &format!("{text}{lines}"));
        let (code, out, err) = doorward(&["test", path.to_str().unwrap()]);
        (code, format!("{out}{err}"))
    };
    let login = |device: &str, decision: &str| {
        format!(
            "\n[[test]]\nas = {{ user = \"alice\" }}\non = \"{device}\"\nprotocol = \"radius\"\nexpect = {{ login = \"{decision}\" }}\n"
        )
    };
    for (device, decision) in [
        ("core1", "deny"),
        ("pe-old", "deny"),
        // Juniper-Local-User-Name is the role's own.
        ("pe1", "permit"),
        ("plain", "permit"),
    ] {
        let (code, said) = run(&login(device, decision));
        assert_eq!(code, 0, "{device}: {said}");
    }
    let (code, said) = run(&login("core1", "permit"));
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("the login of alice on core1 is denied: the role grants no shell"),
        "{said}"
    );
    let path = context.file("main.toml", &text);
    let asked = ["--protocol", "radius", "alice", "core1"];
    let all = ["explain", "--config", path.to_str().unwrap()];
    let (code, said, err) = doorward(&[&all[..], &asked].concat());
    assert_eq!(code, 2, "{said}{err}");
    let wanted = "a login is denied: role noc has no `shell`, and nothing in `radius` says what somebody may do on profile cisco-ios-xe";
    assert!(said.contains(wanted), "{said}");
}

/// What a profile adds counts against the size of a packet, on devices that there are.
#[test]
fn what_a_profile_adds_has_to_fit_into_the_packet() {
    let long = "x".repeat(200);
    let values = vec![format!("\"{long}\""); 20].join(", ");
    let junos = format!("services.junos-exec = {{ deny-commands = [{values}] }}\n[[rule]]");
    let text = TEXT.replace("[[rule]]", &junos);
    let said = TestContext::new().messages(&text);
    let wanted = "the attributes of [role.noc] do not fit into one packet for devices with profile juniper-junos";
    assert!(said.contains(wanted), "{said}");
    assert!(
        said.contains("3500 octets are the most, these take 4"),
        "{said}"
    );
    let without = text.replace("juniper-junos", "cisco-nx-os");
    let said = TestContext::new().messages(&without);
    assert!(!said.contains("one packet"), "{said}");
}

/// A role without a shell that speaks of those of one vendor is a mistake on the devices of another; one for networks is none.
#[test]
fn a_role_that_forgets_a_vendor_is_told_of() {
    let shell = "shell = { priv_lvl = 15 }\ncommands = \"permit show **\"";
    let role = |radius: &str| {
        let text = HELD.replace(shell, &format!("radius = {{ {radius} }}"));
        assert_ne!(text, HELD);
        told(&text)
    };
    let said = role("Cisco-AVPair = \"shell:priv-lvl=15\", Juniper-Local-User-Name = \"SU\"");
    let wanted = "over RADIUS, role backup lets nobody in on devices with profile paloalto-panos, [device.fw1] for one: it has no `shell`, and nothing in `radius` says what somebody may do there";
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains(wanted), "{said:#?}");
    let network = "Tunnel-Private-Group-Id = \"30\", Service-Type = \"Framed-User\"";
    assert_eq!(role(network), [""; 0]);
    // What is for the vendor's devices may be meant for their shells, unless the rule is for networks.
    let vendor = "Cisco-AVPair = \"url-redirect=x\"";
    let said = role(vendor);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("profile cisco-ios"), "{said:#?}");
    assert!(said[0].contains("service = \"ppp\""), "{said:#?}");
}
