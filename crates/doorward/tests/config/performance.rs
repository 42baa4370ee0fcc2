use std::fmt::Write as _;

use crate::context::TestContext;

#[test]
fn ten_thousand_devices_and_two_thousand_rules_load() {
    let context = TestContext::new();
    let mut text = String::from("version = 1\n");
    for at in 0..10_000 {
        let _ = writeln!(
            text,
            "[device.d{at}]\naddress = [\"10.{}.{}.1\"]\ntags = [\"site:{}\"]\ncertificate = {{ dns = [\"d{at}.example.net\"] }}",
            at / 250,
            at % 250,
            at % 40
        );
    }
    for at in 0..2_000 {
        let _ = writeln!(
            text,
            "[user.u{at}]\ngroups = [\"g{at}\"]\n[role.r{at}]\ncommands = '''\npermit show **\npermit interface /(Gi|Te){at}/\n'''\n[[rule]]\nwhen = {{ group = \"g{at}\" }}\nrole = \"r{at}\"",
        );
    }
    let begun = std::time::Instant::now();
    let config = context.config(&text);
    eprintln!("loaded in {:?}", begun.elapsed());
    assert_eq!(config.devices.len(), 10_000);
    assert_eq!(config.policy.rules.len(), 2_000);
}
