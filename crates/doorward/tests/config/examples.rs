use std::path::Path;

use crate::context::{HASH, TestContext, certificates};

#[test]
fn the_example_is_good_and_its_tests_pass() {
    let context = TestContext::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let read = |name: &str| std::fs::read_to_string(examples.join(name)).unwrap();
    certificates(&context);
    context.file("keys/old-sw7", "a-secret-of-some-length");
    context.file("users/alice.hash", HASH);
    context.file("users/oxidized.hash", HASH);
    context.file("conf.d/policy.toml", &read("conf.d/policy.toml"));
    let loaded = context
        .load(&read("doorward.toml"))
        .unwrap_or_else(|failure| panic!("{failure}"));
    let warnings: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n\n"));
    let results =
        doorward::config::tests::run(&loaded.config, "2027-01-04T10:00:00Z".parse().unwrap());
    assert_eq!(results.len(), 3);
    for result in results {
        assert!(result.passed(), "{result:?}");
    }
}

#[test]
fn the_configuration_in_the_readme_is_good_and_its_test_passes() {
    let context = TestContext::new();
    let demo = doorward::demo::Folder::prepare(&context.path().join("demo")).unwrap();
    for (from, to) in [
        ("ca.pem", "device-ca.pem"),
        ("ca.crl", "device-ca.crl"),
        ("server.pem", "server.pem"),
        ("server.key", "server.key"),
    ] {
        context.file(&format!("tls/{to}"), &demo.text(from).unwrap());
    }
    context.file("users/alice.hash", HASH);
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    // The paths of a real machine, in the test's folder.
    let loaded = context
        .load(&text.replace("/etc/doorward/", ""))
        .unwrap_or_else(|failure| panic!("{failure}"));
    let results = doorward::config::tests::run(&loaded.config, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(results.len(), 1);
    assert!(results[0].passed(), "{}", results[0]);
}

#[test]
fn a_wrong_expectation_fails_with_the_line_that_decided() {
    let context = TestContext::new();
    let config = context.config(
        r#"version = 1
[device.core1]
address = ["192.0.2.1"]
tacacs_secret = "file:secret"
[user.alice]
groups = ["noc"]
from = ["192.0.2.0/24"]
[role.noc]
shell = { priv_lvl = 7 }
commands = "permit show **"
[[rule]]
when = { group = "noc" }
role = "noc"
[[test]]
as = { user = "alice" }
on = "core1"
permit = ["reload"]
deny = ["show version"]
expect = { priv_lvl = 15 }
[[test]]
as = { user = "alice" }
on = "core1"
from = "198.51.100.1"
[[test]]
as = { user = "bob", groups = ["ops"] }
on = "core1"
deny = ["show version"]
"#,
    );
    let results = doorward::config::tests::run(&config, jiff::Timestamp::UNIX_EPOCH);
    let folder = format!("{}/", context.path().display());
    let failures: Vec<String> = results
        .iter()
        .flat_map(|result| &result.failures)
        .map(|failure| format!("{}: {}", failure.location, failure.message).replace(&folder, ""))
        .collect();
    insta::assert_snapshot!(failures.join("\n"));
}
