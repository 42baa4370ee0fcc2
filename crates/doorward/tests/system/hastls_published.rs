//! `doorward hastls publish` and `check`: the zone of a name server against the listeners of a file and of a running server.

use std::path::Path;
use std::process::{Command, Output};

use doorward_hastls::{Record, RecordType, ZoneLine};
use serde_json::Value;

use crate::harness::{Place, all_said, code, stderr, stdout};
use crate::zones::{NameServer, Zones};

/// The demo with these listeners and nothing of RADIUS but what they have.
pub(crate) fn with_listeners(listeners: &[(&str, &str)]) -> Place {
    let place = Place::demo();
    let text = place.text("doorward.toml");
    let begin = text.find("[[listen]]").unwrap();
    let end = text.find("[tls.default]").unwrap();
    let tables: String = listeners
        .iter()
        .map(|(protocol, rest)| format!("[[listen]]\nprotocol = \"{protocol}\"\n{rest}\n\n"))
        .collect();
    place.edit(&[(&text[begin..end], &tables)]);
    place
}

fn publish(place: &Place, arguments: &[&str]) -> Output {
    let mut all = vec!["hastls", "publish", "--name", "aaa1.example.net"];
    all.extend(arguments);
    place.ask(&all)
}

/// The record that was printed, and the draft's form that stands beside it.
fn published(output: &Output) -> (Record, String) {
    let text = stdout(output);
    let line = text.lines().find(|line| line.contains("TYPE65400"));
    let line = line.unwrap_or_else(|| panic!("{}", all_said(output)));
    let generic = ZoneLine::parse(line, RecordType::DEFAULT).unwrap();
    assert_eq!(generic.owner(), "aaa1.example.net.");
    let draft = text.lines().find(|line| line.contains("HASTLS"));
    let draft = draft.unwrap().trim_start_matches("; ");
    let parsed = ZoneLine::parse(draft, RecordType::DEFAULT).unwrap();
    assert_eq!(parsed.record(), generic.record());
    (generic.record().clone(), draft.to_owned())
}

/// What a name server takes as a zone.
fn is_a_zone(place: &Place, lines: &str) {
    let file = place.path("checked.zone");
    let top = "$TTL 300\n@ SOA ns hostmaster 1 3600 900 86400 120\n@ NS ns\nns A 192.0.2.53\naaa1 A 192.0.2.49\n";
    std::fs::write(&file, format!("{top}{lines}\n")).unwrap();
    let checked = Command::new("named-checkzone")
        .arg("example.net")
        .arg(&file)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", all_said(&checked));
}

/// What listens, the name of that, and the pair.
type Policy = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

/// Each of the three policies is encoded, and decoded to the name that the tool gave it; and whoever publishes is told that it is void unless the zone is signed.
///
/// proves: HAS-1-1, HAS-4-1, HAS-4-2, HAS-4-3, HAS-6-2
#[test]
fn each_policy_is_published_under_its_name() {
    let rows: [Policy; 3] = [
        (&[PLAIN], "insecure only", "(49 0)"),
        (&[TLS], "secure only", "(0 300)"),
        (&[PLAIN, TLS], "both", "(49 300)"),
    ];
    for (listeners, name, pair) in rows {
        let place = with_listeners(listeners);
        let output = publish(&place, &[]);
        assert_eq!(code(&output), 0, "{}", all_said(&output));
        assert!(stdout(&output).contains(&format!("; TACACS+: {name}\n")));
        let (record, draft) = published(&output);
        assert_eq!(record.to_string(), pair);
        assert!(draft.ends_with(pair), "{draft}");
        let [decoded] = record.pairs() else {
            panic!("{record}")
        };
        assert_eq!(decoded.server().to_string(), name);
        is_a_zone(&place, &stdout(&output));
        let warned = stderr(&output);
        assert!(
            warned.contains("has to be signed") && warned.contains("ignore"),
            "{warned}"
        );
    }
}

/// The SHA-256 of the key of the demo's certificate, by OpenSSL.
fn key_digest(place: &Place) -> String {
    let script = "openssl x509 -in server.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r";
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    stdout(&output).split(' ').next().unwrap().to_owned()
}

/// TLSA and the discovery of RadSec say the same beside it; an update replaces what is this host's own and no more.
#[test]
fn what_goes_with_the_record_says_the_same() {
    let place = with_listeners(&[
        ("tacacs-tls", "address = \"[::]:300\""),
        ("radius-tls", "address = \"[::]:2083\""),
        ("radius-dtls", "address = \"[::]:2083\""),
        ("radius-udp", "address = \"127.0.0.1:1812\""),
    ]);
    let digest = key_digest(&place);
    assert_eq!(digest.len(), 64);
    let arguments = ["--realm", "example.net", "--type", "65399", "--ttl", "60"];
    let output = publish(&place, &arguments);
    let text = stdout(&output);
    let records: Vec<&str> = text.lines().filter(|line| !line.starts_with(';')).collect();
    let expected = [
        "aaa1.example.net. 60 IN TYPE65399 \\# 8 0000012c00000823".to_owned(),
        format!("_300._tcp.aaa1.example.net. 60 IN TLSA 3 1 1 {digest}"),
        format!("_2083._tcp.aaa1.example.net. 60 IN TLSA 3 1 1 {digest}"),
        format!("_2083._udp.aaa1.example.net. 60 IN TLSA 3 1 1 {digest}"),
        "example.net. 60 IN NAPTR 50 50 \"s\" \"aaa+auth:radius.tls.tcp\" \"\" _radiustls._tcp.example.net.".to_owned(),
        "_radiustls._tcp.example.net. 60 IN SRV 0 10 2083 aaa1.example.net.".to_owned(),
        "example.net. 60 IN NAPTR 50 50 \"s\" \"aaa+auth:radius.dtls.udp\" \"\" _radiusdtls._udp.example.net.".to_owned(),
        "_radiusdtls._udp.example.net. 60 IN SRV 0 10 2083 aaa1.example.net.".to_owned(),
    ];
    assert_eq!(records, expected, "{text}");
    assert!(
        text.contains("; left out, for this machine alone: radius-udp 127.0.0.1:1812"),
        "{text}"
    );
    is_a_zone(&place, &text);
    let updates = stdout(&publish(
        &place,
        &[&arguments[..], &["--nsupdate"]].concat(),
    ));
    let deleted: Vec<&str> = updates
        .lines()
        .filter_map(|line| line.strip_prefix("update delete "))
        .collect();
    assert_eq!(
        deleted,
        [
            "aaa1.example.net. IN TYPE65399",
            "_300._tcp.aaa1.example.net. IN TLSA",
            "_2083._tcp.aaa1.example.net. IN TLSA",
            "_2083._udp.aaa1.example.net. IN TLSA",
        ]
    );
    let added: Vec<&str> = updates
        .lines()
        .filter_map(|line| line.strip_prefix("update add "))
        .collect();
    assert_eq!(added, expected);
    assert_eq!(updates.lines().last(), Some("send"));
}

/// Listeners that one record cannot describe are refused with the reason, and those that close are announced as they are.
#[test]
fn what_cannot_be_announced_is_refused() {
    let place = with_listeners(&[
        ("tacacs-tls", "address = \"192.0.2.1:49\""),
        ("tacacs", "address = \"192.0.2.2:49\""),
    ]);
    let output = publish(&place, &[]);
    assert_eq!((code(&output), stdout(&output)), (1, String::new()));
    assert!(
        stderr(&output).contains("upgrade in band"),
        "{}",
        all_said(&output)
    );
    let place = with_listeners(&[
        ("tacacs-tls", "address = \"0.0.0.0:300\""),
        ("tacacs", "address = \"0.0.0.0:49\"\nuntil = 2107-06-30"),
    ]);
    let output = publish(&place, &[]);
    assert_eq!(published(&output).0.to_string(), "(49 300)");
    assert!(
        stdout(&output).contains("publish (0 300) instead: --on 2107-07-01"),
        "{}",
        all_said(&output)
    );
    let output = publish(&place, &["--on", "2107-06-30"]);
    assert_eq!(published(&output).0.to_string(), "(49 300)");
    let output = publish(&place, &["--on", "2107-07-01"]);
    assert_eq!(published(&output).0.to_string(), "(0 300)");
    for wrong in [["--type", "1"], ["--on", "tomorrow"], ["--realm", "a..b"]] {
        assert_eq!(code(&publish(&place, &wrong)), 64);
    }
}

pub(crate) fn check(place: &Place, host: &str, server: &NameServer, anchor: &Path) -> (i32, Value) {
    let anchor = anchor.to_str().unwrap();
    let resolver = server.address.to_string();
    let output = place.ask(&[
        "hastls",
        "check",
        "--name",
        host,
        "--resolver",
        &resolver,
        "--trust-anchor",
        anchor,
        "--json",
    ]);
    let object = serde_json::from_str(&stdout(&output));
    (
        code(&output),
        object.unwrap_or_else(|_| panic!("{}", all_said(&output))),
    )
}

pub(crate) fn names(object: &Value, key: &str) -> Vec<String> {
    let all = object[key].as_array().unwrap();
    let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
    all.iter().map(name).collect()
}

/// The host, what listens of TACACS+, and the faults.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const PLAIN: (&str, &str) = ("tacacs", "address = \"0.0.0.0:49\"");
const TLS: (&str, &str) = ("tacacs-tls", "address = \"0.0.0.0:300\"");

const CHECKED: &[Row] = &[
    ("host.example", &[PLAIN, TLS], &[]),
    ("alias.example", &[PLAIN, TLS], &[]),
    ("only.example", &[TLS], &[]),
    ("only.example", &[PLAIN, TLS], &["plain-open"]),
    ("host.example", &[TLS], &["nobody-listens"]),
    ("host.example", &[PLAIN], &["nobody-listens"]),
    (
        "many.example",
        &[TLS],
        &["nobody-listens", "nobody-listens"],
    ),
    ("moved.example", &[TLS], &["absent"]),
    ("upgrade.example", &[PLAIN], &["upgrade", "not-announced"]),
    (
        "clash.example",
        &[PLAIN, TLS],
        &["contradicting", "plain-open"],
    ),
    ("host.plain.example", &[PLAIN, TLS], &["unsigned"]),
    (
        "host.plain.example",
        &[TLS],
        &["unsigned", "nobody-listens"],
    ),
    ("host.late.example", &[PLAIN, TLS], &["expired"]),
    ("host.lie.example", &[PLAIN, TLS], &["bogus"]),
    ("odd.example", &[PLAIN, TLS], &["malformed"]),
    ("host.invalid", &[PLAIN, TLS], &["indeterminate"]),
];

/// A record that says TLS alone beside a listener without is a lie, and so is everything else that is not so; equal ports are none of
/// TACACS+'s, whatever they are of another service; and a zone that is not signed makes all of it void.
///
/// proves: HAS-2-8, HAS-3-6
#[test]
fn a_zone_that_lies_is_found_out() {
    let zones = Zones::new();
    let server = zones.knot();
    let anchor = zones.anchor("example");
    for (host, listeners, faults) in CHECKED {
        let place = with_listeners(listeners);
        let (code, said) = check(&place, host, &server, &anchor);
        assert_eq!(names(&said, "faults"), *faults, "{host}: {said}");
        assert_eq!(said["good"], faults.is_empty(), "{said}");
        assert_eq!(code, if faults.is_empty() { 0 } else { 2 }, "{said}");
        for fault in said["faults"].as_array().unwrap() {
            assert!(!fault["message"].as_str().unwrap().is_empty());
            assert!(!fault["help"].as_str().unwrap().is_empty());
        }
        if *host == "upgrade.example" {
            let notes = said["notes"].to_string();
            assert!(
                notes.contains("(25 25) is about another service, with an upgrade to TLS in band"),
                "{notes}"
            );
        }
    }
    // For a person: what is wrong, what the zone says, what listens, what to do.
    let place = with_listeners(&[PLAIN, TLS]);
    let output = place.ask(&[
        "hastls",
        "check",
        "--name",
        "only.example",
        "--resolver",
        &server.address.to_string(),
        "--trust-anchor",
        anchor.to_str().unwrap(),
    ]);
    assert_eq!((code(&output), stdout(&output)), (2, String::new()));
    let told = stderr(&output);
    for text in [
        "error[plain-open]: the zone says (0 300), TACACS+ with TLS alone, but port 49 is open without TLS",
        "zone:    (0 300), proved",
        "listens: tacacs 0.0.0.0:49; tacacs-tls 0.0.0.0:300 (the file)",
        "help: if the last device has moved to TLS",
        "compared with the file alone",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
}

/// What `[dns]` says counts where the command line says nothing.
#[test]
fn the_file_says_whom_to_ask() {
    let zones = Zones::new();
    let server = zones.knot();
    let place = with_listeners(&[TLS]);
    let anchor = zones.anchor("example");
    let dns = format!(
        "[dns]\nservers = [\"{}\"]\ntrust_anchor = \"{}\"\nhastls_type = 65399\n\n[tls.default]",
        server.address,
        anchor.display()
    );
    place.edit(&[("[tls.default]", &dns)]);
    let moved = ["hastls", "check", "--name", "moved.example"];
    let output = place.ask(&moved);
    assert_eq!(code(&output), 0, "{}", all_said(&output));
    assert!(stdout(&output).contains("the zone says what listens: (0 300), proved"));
    let output = place.ask(&[&moved[..], &["--type", "65400"]].concat());
    assert_eq!(code(&output), 2, "{}", all_said(&output));
    assert!(
        publish(&place, &[])
            .stdout
            .windows(9)
            .any(|part| part == b"TYPE65399")
    );
    // A file that no server would take is a fault of this side.
    place.edit(&[("hastls_type = 65399", "hastls_type = 1")]);
    for arguments in [
        &moved[..],
        &["hastls", "publish", "--name", "moved.example"],
    ] {
        let output = place.ask(arguments);
        assert_eq!((code(&output), stdout(&output)), (1, String::new()));
        assert!(
            stderr(&output).contains("hastls_type"),
            "{}",
            all_said(&output)
        );
    }
}
