use std::net::IpAddr;

use doorward::config::{DeviceRefusal, Devices, ListenerProtocol, Tolerance, Tolerances};
use doorward_tacacs::Dialect;
use doorward_tls::PeerIdentity;

use crate::context::TestContext;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn names(dns: &[&str]) -> PeerIdentity {
    let mut identity = PeerIdentity::default();
    identity.dns = dns.iter().map(ToString::to_string).collect();
    identity
}

fn found(devices: &Devices, identity: &PeerIdentity, from: &str) -> Result<String, DeviceRefusal> {
    devices
        .by_certificate(identity, ip(from))
        .map(|device| device.name.to_string())
}

#[test]
fn without_tls_the_longest_prefix_with_a_secret_says_who_it_is() {
    let context = TestContext::new();
    let config = context.config(
        r#"version = 1
[device.site]
address = ["10.0.0.0/8", "2001:db8::/32"]
tacacs_secret = "file:secret"
[device.switch]
address = ["10.9.9.7"]
tacacs_secret = "file:secret"
[device.tls]
address = ["10.1.0.0/16"]
certificate = { dns = ["tls.example.net"] }
"#,
    );
    let name = |address: &str| {
        config
            .devices
            .by_address(ListenerProtocol::Tacacs, ip(address))
            .map(|one| one.name.to_string())
    };
    assert_eq!(name("10.9.9.7").as_deref(), Some("switch"));
    assert_eq!(name("::ffff:10.9.9.7").as_deref(), Some("switch"));
    assert_eq!(
        name("10.1.0.1").as_deref(),
        Some("site"),
        "a device without a secret is no plain device"
    );
    assert_eq!(name("2001:db8::1").as_deref(), Some("site"));
    assert_eq!(name("192.0.2.1"), None);
}

#[test]
fn a_certificate_is_one_device_exact_before_wildcard() {
    let context = TestContext::new();
    let config = context.config(
        r#"version = 1
[device.one]
certificate = { dns = ["one.example.net"], uri = ["urn:one"] }
[device.any]
certificate = { dns = ["*.example.net"] }
[device.here]
certificate = { dns = ["here.example.org"], ip = ["peer"] }
address = ["192.0.2.0/24"]
[device.wild]
certificate = { dns = ["w.example.com"], wildcard = true }
"#,
    );
    let devices = &config.devices;
    assert_eq!(
        found(devices, &names(&["one.example.net"]), "192.0.2.1"),
        Ok("one".into())
    );
    assert_eq!(
        found(devices, &names(&["two.example.net"]), "192.0.2.1"),
        Ok("any".into())
    );
    assert_eq!(
        found(devices, &names(&["a.two.example.net"]), "192.0.2.1"),
        Err(DeviceRefusal::NoMatch)
    );
    assert_eq!(
        found(devices, &names(&["*.example.com"]), "192.0.2.1"),
        Ok("wild".into())
    );
    let mut by_uri = PeerIdentity::default();
    by_uri.uri = vec!["urn:one".into()];
    assert_eq!(found(devices, &by_uri, "192.0.2.1"), Ok("one".into()));
    let mut by_address = PeerIdentity::default();
    by_address.ip = vec![ip("192.0.2.9")];
    assert_eq!(found(devices, &by_address, "192.0.2.9"), Ok("here".into()));
    assert_eq!(
        found(devices, &by_address, "192.0.2.8"),
        Err(DeviceRefusal::NoMatch)
    );
    assert_eq!(
        found(devices, &names(&["here.example.org"]), "198.51.100.1"),
        Err(DeviceRefusal::WrongAddress {
            device: "here".into()
        })
    );
    assert_eq!(
        found(
            devices,
            &names(&["one.example.net", "here.example.org"]),
            "192.0.2.1"
        ),
        Err(DeviceRefusal::Ambiguous {
            first: "one".into(),
            second: "here".into()
        })
    );
}

#[test]
fn every_key_of_a_group_must_match_and_any_value_of_it() {
    let context = TestContext::new();
    let config = context.config(
        r#"version = 1
[device_group.core]
match = { name = ["core*", "spine*"], address = ["10.0.0.0/16"], tag = ["role:core"] }
transport = "tls"
accept = ["pap"]
[device_group.all]
match = {}
[device.core1]
address = ["10.0.0.1"]
tags = ["role:core"]
certificate = { dns = ["core1.example.net"] }
[device.spine1]
address = ["10.1.0.1"]
tags = ["role:core"]
certificate = { dns = ["spine1.example.net"] }
"#,
    );
    let core = config.devices.by_name("core1").unwrap();
    let groups: Vec<&str> = core.groups.iter().map(|group| &**group).collect();
    assert_eq!(groups, ["core", "all"]);
    assert!(core.tls_required);
    assert_eq!(
        core.accept.as_deref(),
        Some(&[doorward::config::AuthenticationType::Pap][..])
    );
    let spine = config.devices.by_name("spine1").unwrap();
    assert_eq!(spine.groups.len(), 1);
    assert!(!spine.tls_required);
}

#[test]
fn the_ranges_of_its_devices_are_added_to_those_of_a_listener() {
    let context = TestContext::new();
    let config = context.config(
        r#"version = 1
[[listen]]
protocol = "tacacs"
address = "127.0.0.1:0"
from = ["192.0.2.0/25", "192.0.2.128/25"]
[[listen]]
protocol = "tacacs"
address = "127.0.0.1:0"
[device.plain]
address = ["10.0.0.1"]
tacacs_secret = "file:secret"
[device.tls]
address = ["10.0.0.9"]
certificate = { dns = ["tls.example.net"] }
"#,
    );
    let from: Vec<String> = config.listeners[0]
        .from
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(from, ["10.0.0.1/32", "192.0.2.0/24"]);
    assert!(config.listeners[1].from.is_empty(), "everybody");
}

/// What the device says beats what its groups say, and that beats its listener.
#[test]
fn the_dialect_comes_from_the_device_or_its_groups() {
    let context = TestContext::new();
    let config = context.config(
        r#"version = 1
[[listen]]
protocol = "tacacs"
address = "127.0.0.1:0"
dialect = "draft-05"
[[listen]]
protocol = "tacacs"
address = "[::1]:0"
[device_group.old]
match = { name = "old*" }
dialect = "draft-05"
[device_group.older]
match = { name = "older*" }
dialect = "draft-05"
[device.old1]
address = ["192.0.2.1"]
tacacs_secret = "file:secret"
[device.older]
address = ["192.0.2.2"]
tacacs_secret = "file:secret"
dialect = "rfc8907"
tolerate = ["bare-cr", "enable-names", "bare-cr"]
[device.other]
address = ["192.0.2.3"]
tacacs_secret = "file:secret"
[device.older2]
address = ["192.0.2.4"]
tacacs_secret = "file:secret"
"#,
    );
    let dialects: Vec<Dialect> = config.listeners.iter().map(|one| one.dialect).collect();
    assert_eq!(dialects, [Dialect::Draft05, Dialect::Rfc8907]);
    let device = |name: &str| config.devices.by_name(name).unwrap();
    assert_eq!(device("old1").dialect, Some(Dialect::Draft05));
    assert_eq!(device("older").dialect, Some(Dialect::Rfc8907));
    assert_eq!(device("other").dialect, None);
    assert_eq!(device("older2").dialect, Some(Dialect::Draft05));
    let tolerated: Vec<Tolerance> = device("older").tolerate.iter().collect();
    assert_eq!(tolerated, [Tolerance::BareCr, Tolerance::EnableNames]);
    assert_eq!(device("other").tolerate, Tolerances::NONE);
}

/// proves: TAC-3.4-1, D05-3.1-1
#[test]
fn without_a_port_tacacs_is_port_49_in_both_dialects() {
    let context = TestContext::new();
    for dialect in ["rfc8907", "draft-05"] {
        let config = context.config(&format!(
            "version = 1\n[[listen]]\nprotocol = \"tacacs\"\ndialect = \"{dialect}\"\n\
             [device.sw]\naddress = [\"192.0.2.1\"]\ntacacs_secret = \"file:secret\"\n"
        ));
        assert_eq!(config.listeners[0].address.port(), 49);
    }
    // The client of the same name, which has one default for both.
    assert_eq!(doorward_client::ServerAddress::PLAIN_PORT, 49);
    let server = doorward_client::ServerAddress::parse("192.0.2.49", 49).unwrap();
    assert_eq!(server.to_string(), "192.0.2.49:49");
}

/// proves: TAC-4.5-7
#[test]
fn no_default_and_no_sample_lets_the_flag_for_clear_text_pass() {
    let context = TestContext::new();
    let config = context.config(
        "version = 1\n[device.sw]\naddress = [\"192.0.2.1\"]\ntacacs_secret = \"file:secret\"\n",
    );
    assert_eq!(
        config.devices.by_name("sw").unwrap().tolerate,
        Tolerances::NONE
    );
    // Every sample of the repository; what stands in a comment or a page about tolerances is none.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    for name in [
        "README.md",
        "docs/examples/doorward.toml",
        "docs/examples/conf.d/policy.toml",
        "crates/doorward/src/demo/doorward.toml",
        "packaging/debian/doorward.toml",
    ] {
        let sample = read(name);
        let mut lines = sample.lines().map(str::trim_start);
        assert!(
            !lines.any(|line| line.starts_with("tolerate") && line.contains("flag-set-on-plain")),
            "{name}"
        );
    }
}
