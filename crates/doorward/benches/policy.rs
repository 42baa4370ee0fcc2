//! A large site, loaded and asked: `cargo bench -p doorward --bench policy`.
//!
//! 10,000 devices, 2,000 rules (40 groups of users on 50 groups of devices) and 1,000 users, each with secrets in files.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{BatchSize, Criterion};
use doorward::aaa::authorization::{Argument, judge};
use doorward::config::{self, Config, Device, ListenerProtocol, User};
use doorward::policy::{CommandLine, Context, Decision, Protocol, Transport};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let folder = tempfile::tempdir().unwrap();
    let path = site(folder.path());
    let config = config::load(&path).unwrap().config;
    assert_eq!(config.devices.len(), 10_000);
    assert_eq!(config.policy.rules.len(), 2_000);
    rules(&mut criterion, &config);
    commands(&mut criterion, &config);
    devices(&mut criterion, &config);
    load(&mut criterion, &path);
    criterion.final_summary();
}

/// SHA-256-crypt of "x", as an imported user has it.
const HASH: &str = "$5$rounds=5000$usesomesillystri$KqJWpanXZHKq2BOB43TSaYhEWsQ1Lr5QNyPCDH/Tp.6";

fn site(folder: &Path) -> PathBuf {
    std::fs::create_dir(folder.join("secrets")).unwrap();
    let mut text = String::from("version = 1\n");
    for at in 0..10_000 {
        let secret = format!("secrets/d{at}");
        std::fs::write(folder.join(&secret), format!("a-secret-of-device-{at}\n")).unwrap();
        _ = writeln!(
            text,
            "[device.d{at}]\naddress = [\"10.{}.{}.1\"]\ntacacs_secret = \"file:{secret}\"\ntags = [\"site:{}\"]\ncertificate = {{ dns = [\"d{at}.example.net\"] }}",
            at / 250,
            at % 250,
            at % 50
        );
    }
    for at in 0..50 {
        _ = writeln!(
            text,
            "[device_group.s{at}]\nmatch = {{ tag = \"site:{at}\" }}"
        );
    }
    std::fs::write(folder.join("secrets/hash"), HASH).unwrap();
    for at in 0..1_000 {
        let password = format!("secrets/u{at}");
        std::fs::write(folder.join(&password), HASH).unwrap();
        _ = writeln!(
            text,
            "[user.u{at}]\npassword = \"file:{password}\"\ngroups = [\"g{}\", \"g{}\"]",
            at % 40,
            (at + 7) % 40
        );
    }
    text.push_str("[role.wide]\nshell = { priv_lvl = 15 }\ncommands = '''\n");
    for at in 0..100 {
        _ = writeln!(text, "permit verb{at} /(Gi|Te)\\S+/");
    }
    text.push_str("permit show **\n'''\n");
    for at in 0..2_000 {
        let (group, place) = (at % 40, at / 40);
        _ = writeln!(
            text,
            "[[rule]]\nwhen = {{ group = \"g{group}\", device_group = \"s{place}\" }}\nrole = \"wide\""
        );
    }
    let path = folder.join("doorward.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn context<'a>(user: &'a User, device: &'a Device) -> Context<'a> {
    Context {
        user: &user.name,
        groups: &user.groups,
        device,
        remote_address: "192.0.2.1".parse().ok(),
        remote: "192.0.2.1",
        port: "tty10",
        now: jiff::Timestamp::UNIX_EPOCH,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        service: None,
        auth: None,
        address: None,
        peer: None,
        psk_identity: None,
    }
}

/// Which of 2,000 rules: the first, the last, and none.
fn rules(criterion: &mut Criterion, config: &Config) {
    let mut group = criterion.benchmark_group("one of 2,000 rules");
    let stranger: User = User {
        name: "nobody".into(),
        password: None,
        chap_secret: None,
        enable: Default::default(),
        groups: vec!["strangers".into()],
        from: Vec::new(),
        alert: false,
        quiet: false,
        location: config.users.values().next().unwrap().location.clone(),
    };
    for (name, user, device, decision) in [
        (
            "first",
            &**config.users.get("u0").unwrap(),
            "d0",
            Decision::Permit,
        ),
        (
            "last",
            config.users.get("u39").unwrap(),
            "d49",
            Decision::Permit,
        ),
        ("none", &stranger, "d49", Decision::Deny),
    ] {
        let device = config.devices.by_name(device).unwrap();
        let context = context(user, device);
        assert_eq!(config.policy.select(&context).decision, decision, "{name}");
        group.bench_function(name, |bench| {
            bench.iter(|| config.policy.select(black_box(&context)));
        });
    }
    group.finish();
}

fn commands(criterion: &mut Criterion, config: &Config) {
    let mut group = criterion.benchmark_group("one of 101 commands");
    let user = config.users.get("u39").unwrap();
    let context = context(user, config.devices.by_name("d49").unwrap());
    for (name, text, decision) in [
        ("last", "show interface Te0/0/1", Decision::Permit),
        ("none", "configure terminal", Decision::Deny),
    ] {
        let line = CommandLine::from_text(text);
        assert_eq!(config.policy.command(&context, &line).decision, decision);
        group.bench_function(name, |bench| {
            bench.iter(|| config.policy.command(black_box(&context), black_box(&line)));
        });
    }
    let argument = |name, value| Argument {
        name,
        mandatory: true,
        value,
    };
    let request = [
        argument("service", "shell"),
        argument("cmd", "show"),
        argument("cmd-arg", "interface"),
        argument("cmd-arg", "Te0/0/1"),
        argument("cmd-arg", "<cr>"),
    ];
    group.bench_function("from arguments to answer", |bench| {
        bench.iter(|| judge(&config.policy, black_box(&context), black_box(&request)));
    });
    group.finish();
}

fn devices(criterion: &mut Criterion, config: &Config) {
    let mut group = criterion.benchmark_group("one of 10,000 devices");
    group.bench_function("by name", |bench| {
        bench.iter(|| config.devices.by_name(black_box("d7777")).map(Arc::as_ptr));
    });
    let address = "10.31.27.1".parse().unwrap();
    assert_eq!(
        config
            .devices
            .by_address(ListenerProtocol::Tacacs, address)
            .map(|device| &*device.name),
        Some("d7777")
    );
    group.bench_function("by address", |bench| {
        bench.iter(|| {
            config
                .devices
                .by_address(ListenerProtocol::Tacacs, black_box(address))
                .map(Arc::as_ptr)
        });
    });
    group.finish();
}

/// All of it: files, secrets, checks and indexes.
fn load(criterion: &mut Criterion, path: &Path) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    group.bench_function("10,000 devices, 2,000 rules, 1,000 users", |bench| {
        bench.iter_batched(
            || (),
            |()| config::load(black_box(path)).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}
