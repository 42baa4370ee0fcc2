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
