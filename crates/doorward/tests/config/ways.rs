//! Devices that may come with TLS and without.

use doorward::config::{Lint, ListenerProtocol};

use crate::context::{TestContext, certificates};

const LINT: Lint = Lint::DeviceOnTlsAndPlain;

/// A listener of each kind on a network, and no device yet.
const LISTENERS: &str = r#"version = 1
[[listen]]
protocol = "tacacs-tls"
address = "192.0.2.49:300"
auth = ["certificate", "raw-public-key"]
[[listen]]
protocol = "tacacs"
address = "192.0.2.49:49"
from = ["10.0.0.0/24"]
until = 2027-12-31
[tls.default]
certificate = "tls/server.pem"
key = "file:tls/server.key"
client_ca = ["tls/ca.pem"]
crl = ["tls/ca.crl"]
[device.legacy]
address = ["10.9.9.9"]
tacacs_secret = "file:secret2"
"#;

const CORE1: &str = r#"[device.core1]
certificate = { dns = ["core1.example.net"] }
address = ["10.0.0.1"]
tacacs_secret = "file:secret"
"#;

fn context() -> TestContext {
    let context = TestContext::new();
    certificates(&context);
    context.file("psk", "00112233445566778899aabbccddeeff");
    context
}

fn count(context: &TestContext, text: &str) -> usize {
    context.config(text).findings.count(LINT)
}

/// proves: TLS-6.2-1
#[test]
fn one_device_on_both_kinds_of_listener_is_told_of() {
    let context = context();
    let text = format!("{LISTENERS}{CORE1}");
    insta::assert_snapshot!(context.findings(LINT, &text));
    let pin = format!("raw_public_key = [\"sha256:{}\"]", "00".repeat(32));
    let certificate = "certificate = { dns = [\"core1.example.net\"] }";
    let psk = "psk = { identity = \"core1\", key = \"file:psk\" }";
    for proof in [&pin, psk] {
        assert_eq!(count(&context, &text.replace(certificate, proof)), 1);
    }
    // The server with TLS is another host, and its devices come from the same inventory.
    let (before, rest) = text.split_once("[[listen]]").unwrap();
    let (_, after) = rest.split_once("[[listen]]").unwrap();
    let plain_only = format!("{before}[[listen]]{after}");
    assert_eq!(count(&context, &plain_only), 1);
    assert!(!plain_only.contains("tacacs-tls"));
    // Two of them are one message.
    let two = CORE1
        .replace("core1", "core2")
        .replace("10.0.0.1", "10.0.0.2")
        .replace("file:secret", "plain:one-of-their-own-and-long");
    let both = format!("{text}{two}");
    assert_eq!(count(&context, &both), 2);
    let found = context.findings(LINT, &both);
    assert_eq!(found.matches("warning[").count(), 1, "{found}");
    assert!(found.contains("[device.core1], [device.core2]"), "{found}");
}

/// What cannot be is not said.
#[test]
fn one_way_in_is_no_finding() {
    let context = context();
    let text = format!("{LISTENERS}{CORE1}");
    for (old, new) in [
        (
            "address = [\"10.0.0.1\"]\ntacacs_secret = \"file:secret\"\n",
            "",
        ),
        ("certificate = { dns = [\"core1.example.net\"] }", ""),
        (
            "address = [\"10.0.0.1\"]",
            "address = [\"10.0.0.1\"]\ntransport = \"tls\"",
        ),
        // The plain listener is for others, closed, or not on a network.
        (
            "until = 2027-12-31",
            "device_groups = [\"old\"]\n[device_group.old]\nmatch = { name = \"legacy\" }",
        ),
        ("until = 2027-12-31", "until = 2027-01-03"),
        ("address = \"192.0.2.49:49\"", "address = \"127.0.0.1:49\""),
    ] {
        let changed = text.replace(old, new);
        assert_ne!(changed, text, "the file has no {old:?}");
        assert_eq!(context.findings(LINT, &changed), "", "{new}");
    }
}

#[test]
fn one_address_under_two_names_is_told_of() {
    let context = context();
    let pair = |tls: &str, plain: &str| {
        format!(
            "{LISTENERS}[device.core1]\ncertificate = {{ dns = [\"core1.example.net\"] }}\naddress = [{tls}]\n\
             [device.core1-old]\naddress = [{plain}]\ntacacs_secret = \"file:secret\"\n"
        )
    };
    insta::assert_snapshot!(
        "two_names",
        context.findings(LINT, &pair("\"10.0.0.1\"", "\"10.0.0.1/32\""))
    );
    for (tls, plain, found) in [
        ("\"10.0.0.1\"", "\"::ffff:10.0.0.1\"", 1),
        ("\"::ffff:10.0.0.1\"", "\"10.0.0.1\"", 1),
        ("\"10.0.0.1\"", "\"::ffff:10.0.0.0/120\"", 1),
        ("\"10.1.0.1\", \"10.0.0.7\"", "\"10.0.0.0/24\"", 1),
        ("\"2001:db8::1\"", "\"2001:db8::/64\"", 1),
        ("\"2001:db8::1\"", "\"2001:db8::1\"", 1),
        ("\"10.0.0.1\"", "\"10.0.0.2\"", 0),
        ("\"10.0.0.1\"", "\"10.0.1.0/24\"", 0),
        // One of many addresses that the device with TLS may have: who holds its certificate may be there.
        ("\"10.0.0.0/24\"", "\"10.0.0.1\"", 1),
        ("\"10.0.0.0/8\"", "\"10.0.0.1/32\"", 1),
        ("\"2001:db8::/32\"", "\"2001:db8::1\"", 1),
        ("\"10.0.0.0/24\"", "\"10.0.1.1\"", 0),
        ("\"10.0.0.1\"", "\"::/1\"", 0),
    ] {
        assert_eq!(count(&context, &pair(tls, plain)), found, "{tls} {plain}");
    }
    // A narrower device without TLS is the one that is meant.
    let narrow = format!(
        "{}[device.net]\naddress = [\"10.0.0.0/24\"]\ntacacs_secret = \"plain:one-of-their-own-and-long\"\n",
        pair("\"10.0.0.1\"", "\"10.0.0.1\"")
    );
    let found = context.findings(LINT, &narrow);
    assert!(found.contains("one of [device.core1-old]"), "{found}");
    assert_eq!(count(&context, &narrow), 1);
}

/// An address of IPv4 in IPv6 clothes is the address of IPv4 wherever the file has one.
#[test]
fn mapped_addresses_are_those_of_ipv4() {
    let context = context();
    let config = context.config(
        "version = 1\n[device.a]\naddress = [\"::ffff:10.0.0.1\", \"::ffff:10.1.0.0/112\", \"::fffe:0:0/96\"]\ntacacs_secret = \"file:secret\"\n",
    );
    let found = |address: &str| {
        let device = config
            .devices
            .by_address(ListenerProtocol::Tacacs, address.parse().unwrap());
        device.map(|device| device.name.to_string())
    };
    for address in ["10.0.0.1", "::ffff:10.0.0.1", "10.1.255.255", "::fffe:1:1"] {
        assert_eq!(found(address).as_deref(), Some("a"), "{address}");
    }
    for address in ["10.0.0.2", "10.2.0.0", "::a00:1"] {
        assert_eq!(found(address), None, "{address}");
    }
    let twice = "version = 1\n[device.a]\naddress = [\"10.0.0.1\"]\ntacacs_secret = \"file:secret\"\n[device.b]\naddress = [\"::ffff:10.0.0.1\"]\ntacacs_secret = \"file:secret2\"\n";
    let failure = context.load(twice).unwrap_err().to_string();
    assert!(
        failure.contains("two devices with `tacacs_secret`"),
        "{failure}"
    );
}

#[test]
fn who_is_moving_accepts_it_for_a_while() {
    let context = context();
    let allow = "[[allow]]\nlint = \"device-on-tls-and-plain\"\non = \"device.core*\"\nreason = \"moves in January\"\nuntil = 2027-01-31\n";
    let text = format!("{LISTENERS}{CORE1}{allow}");
    assert_eq!(context.findings(LINT, &text), "");
    assert_eq!(context.config(&text).findings.accepted(), 1);
    let over = text.replace("2027-01-31", "2027-01-01");
    assert_eq!(count(&context, &over), 1);
}
