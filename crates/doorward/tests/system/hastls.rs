//! `doorward hastls` against name servers with signed, unsigned and damaged zones.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use doorward_radius::Code;
use serde_json::{Value, json};

use crate::harness::{all_said, code, doorward, stderr, stdout};
use crate::proxy::{Home, place_of};
use crate::radius::pap;
use crate::radius_wire::Device;
use crate::zones::{NameServer, Zones};

fn hastls(server: &NameServer, anchor: &Path, arguments: &[&str]) -> Output {
    let mut command = doorward();
    command.arg("hastls").args(arguments);
    command.args(["--resolver", &server.address.to_string(), "--json"]);
    command.arg("--trust-anchor").arg(anchor).output().unwrap()
}

fn object(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap_or_else(|_| panic!("{}", all_said(output)))
}

/// A host, the validation, the reason, the pairs.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(u16, u16)],
);

const LOOKED_UP: &[Row] = &[
    ("host.example", "secure", "secure", &[(49, 300)]),
    ("only.example", "secure", "secure", &[(0, 300)]),
    (
        "many.example",
        "secure",
        "secure",
        &[(0, 300), (1812, 2083)],
    ),
    ("halfzero.example", "secure", "secure", &[(49, 300)]),
    ("alias.example", "secure", "secure", &[(49, 300)]),
    ("x.wild.example", "secure", "secure", &[(0, 300)]),
    ("out.example", "insecure", "insecure", &[]),
    ("alias.plain.example", "insecure", "insecure", &[]),
    ("host.plain.example", "insecure", "insecure", &[]),
    ("none.plain.example", "insecure", "insecure", &[]),
    ("none.example", "absent", "absent", &[]),
    ("ns.example", "absent", "absent", &[]),
    // RDATA without octets cannot be read at all.
    ("empty.example", "indeterminate", "indeterminate", &[]),
    ("odd.example", "malformed", "malformed", &[]),
    ("zero.example", "malformed", "malformed", &[]),
    ("host.late.example", "bogus", "expired", &[]),
    ("host.early.example", "bogus", "expired", &[]),
    ("host.lie.example", "bogus", "bogus", &[]),
    ("host.bare.example", "bogus", "bogus", &[]),
    ("host.stranger.example", "bogus", "bogus", &[]),
    ("host.invalid", "indeterminate", "indeterminate", &[]),
];

fn all_are_looked_up(server: &NameServer, zones: &Zones) {
    for (host, validation, reason, pairs) in LOOKED_UP {
        let output = hastls(server, &zones.anchor("example"), &["lookup", host]);
        let said = object(&output);
        assert_eq!(said["name"], *host);
        assert_eq!(said["validation"], *validation, "{said}");
        assert_eq!(said["reason"], *reason, "{said}");
        let pair =
            |(insecure, secure): &(u16, u16)| json!({"insecure": insecure, "secure": secure});
        let pairs: Vec<Value> = pairs.iter().map(pair).collect();
        assert_eq!(said["pairs"], Value::from(pairs.clone()), "{said}");
        assert_eq!(said["why"] == "", !pairs.is_empty(), "{said}");
        assert_eq!(
            code(&output),
            if pairs.is_empty() { 2 } else { 0 },
            "{said}"
        );
    }
}

/// A record counts if DNSSEC proved it and not otherwise, and each reason has its word.
///
/// proves: HAS-3-1
#[test]
fn a_record_counts_if_it_is_proved() {
    let zones = Zones::new();
    let server = zones.knot();
    all_are_looked_up(&server, &zones);
    let output = hastls(
        &server,
        &zones.anchor("example"),
        &["lookup", "host.example"],
    );
    let ttl = object(&output)["ttl"].as_u64().unwrap();
    assert!(ttl > 30 && ttl <= 60, "{ttl}");
    // The number of the type is a setting.
    let other = ["lookup", "moved.example", "--type", "65399"];
    let said = object(&hastls(&server, &zones.anchor("example"), &other));
    assert_eq!(said["pairs"], json!([{"insecure": 0, "secure": 300}]));
    let none = ["lookup", "moved.example"];
    assert_eq!(
        object(&hastls(&server, &zones.anchor("example"), &none))["validation"],
        "absent"
    );
}

/// The same from BIND.
#[test]
fn bind_is_understood_as_well() {
    let zones = Zones::new();
    let server = zones.bind();
    all_are_looked_up(&server, &zones);
}

/// Nothing is believed without an anchor above it, and a file without one is an error and not a reason to believe.
#[test]
fn without_the_right_anchor_nothing_counts() {
    let zones = Zones::new();
    let server = zones.knot();
    let wrong = zones.path("wrong.anchor");
    let other = std::fs::read_to_string(zones.anchor("lie.example")).unwrap();
    std::fs::write(&wrong, other.replace("lie.example.", "example.")).unwrap();
    let output = hastls(&server, &wrong, &["lookup", "host.example"]);
    assert_eq!(
        (code(&output), &object(&output)["validation"]),
        (2, &json!("bogus"))
    );
    let output = hastls(
        &server,
        &zones.anchor("secure.example"),
        &["lookup", "host.example"],
    );
    assert_eq!(
        (code(&output), &object(&output)["validation"]),
        (2, &json!("indeterminate"))
    );
    let empty = zones.path("empty.anchor");
    std::fs::write(&empty, "; nothing\n").unwrap();
    for file in [empty, zones.path("absent.anchor")] {
        let output = hastls(&server, &file, &["lookup", "host.example"]);
        assert_eq!(code(&output), 1);
        assert_eq!(stdout(&output), "");
        assert!(
            stderr(&output).contains("trust anchor"),
            "{}",
            stderr(&output)
        );
    }
}

/// Service and policy, the host, and the ways to connect.
type Decision = (
    &'static [&'static str],
    &'static str,
    &'static [(&'static str, u16)],
);

const CIO: &str = "insecure-only";
const CSO: &str = "secure-only";
const CFB: &str = "allow-fallback";

/// What the policy says, within what the record says; and the policy alone where no record counts.
#[test]
fn a_client_is_told_where_to_connect() {
    let zones = Zones::new();
    let server = zones.knot();
    let rows: &[Decision] = &[
        (&["tacacs", CIO], "host.example", &[("plain", 49)]),
        (&["tacacs", CSO], "host.example", &[("tls", 300)]),
        (&["tacacs", CFB], "host.example", &[("tls", 300)]),
        (&["tacacs", CIO], "only.example", &[]),
        (&["tacacs", CFB], "only.example", &[("tls", 300)]),
        (
            &["radius", CFB],
            "many.example",
            &[("tls", 2083), ("plain", 1812)],
        ),
        (&["radius", CSO], "many.example", &[("tls", 2083)]),
        (&["tacacs", CIO], "host.plain.example", &[("plain", 49)]),
        (&["tacacs", CFB], "none.example", &[("tls", 300)]),
        (
            &["radius", CFB],
            "host.lie.example",
            &[("tls", 2083), ("plain", 1812)],
        ),
        (&["tacacs", CIO], "host.late.example", &[("plain", 49)]),
    ];
    for (asked, host, ways) in rows {
        let arguments = ["decide", host, "--service", asked[0], "--policy", asked[1]];
        let output = hastls(&server, &zones.anchor("example"), &arguments);
        let said = object(&output);
        let way = |(transport, port): &(&str, u16)| json!({"transport": transport, "port": port});
        let expected: Vec<Value> = ways.iter().map(way).collect();
        assert_eq!(
            said["connect"],
            Value::from(expected),
            "{asked:?} {host} {said}"
        );
        assert!(said["why"].as_str().is_some_and(|why| !why.is_empty()));
        assert_eq!(code(&output), if ways.is_empty() { 2 } else { 0 });
    }
}

#[test]
fn wrong_usage_is_told_apart() {
    for arguments in [
        ["lookup", "a..b", "--type", "65400"],
        ["lookup", "host.example", "--type", "1"],
        ["lookup", "host.example", "--resolver", "nobody"],
    ] {
        let output = doorward().arg("hastls").args(arguments).output().unwrap();
        assert_eq!(code(&output), 64, "{}", all_said(&output));
    }
}

/// A client that obeys records: nothing is sent to a port that one closes, and what does not count is told of and changes nothing.
///
/// proves: HAS-4-4
#[test]
fn the_clients_obey_records() {
    let record = "only TYPE65400 \\# 8 0000012c00000823\n";
    let zones = Zones::with(record, record, &[]);
    let server = zones.knot();
    let tacacs = TcpListener::bind("127.0.0.1:0").unwrap();
    let radius = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ask = |command: &[&str], host: &str, port: u16, mode: &str| {
        let mut client = doorward();
        client
            .args(command)
            .args(["--timeout", "5", "--secret", "plain:squeamish ossifrage"]);
        client.args(["--user", "alice", "--password", "plain:correct horse"]);
        client.args(["--server", &format!("{host}:{port}"), "--hastls", mode]);
        client.args(["--resolver", &server.address.to_string()]);
        let anchor = zones.anchor("example");
        client.arg("--trust-anchor").arg(anchor).output().unwrap()
    };
    let (plain, udp) = (
        ["client", "authenticate", "--type", "pap", "--plain"],
        ["radius", "access", "--udp"],
    );
    let ports = (
        tacacs.local_addr().unwrap().port(),
        radius.local_addr().unwrap().port(),
    );
    for (command, port) in [(plain.as_slice(), ports.0), (&udp, ports.1)] {
        for mode in ["use", "require"] {
            let output = ask(command, "only.example", port, mode);
            let said = all_said(&output);
            assert_eq!(code(&output), 3, "{said}");
            assert!(said.contains("with TLS only"), "{said}");
        }
        // Anybody may have written that, so that it is as if it were not there: the name is looked up, which leads nowhere.
        let output = ask(command, "only.plain.example", port, "use");
        let said = all_said(&output);
        assert_eq!(code(&output), 3, "{said}");
        assert!(said.contains("the zone is not signed"), "{said}");
        assert!(said.contains("the name has no address"), "{said}");
        let output = ask(command, "only.plain.example", port, "require");
        let said = all_said(&output);
        assert_eq!(code(&output), 3, "{said}");
        assert!(said.contains("a HASTLS record is required"), "{said}");
        assert!(!said.contains("the name has no address"), "{said}");
    }
    tacacs.set_nonblocking(true).unwrap();
    radius.set_nonblocking(true).unwrap();
    assert!(tacacs.accept().is_err());
    assert!(radius.recv(&mut [0; 4096]).is_err());
}

/// A pool obeys records, too: a server that one closes gets nothing, and one of a zone that nobody signed is used as ever.
#[test]
fn pools_obey_records() {
    let record = "only TYPE65400 \\# 4 00000823\n";
    let zones = Zones::with(record, record, &[]);
    let names = zones.knot();
    let home = Home::new();
    let tried = |host: &str, mode: &str, said: &[&str]| {
        let servers = format!("\"radius-udp://{host}:{}\"", home.port());
        let place = place_of(&servers, &format!("hastls = \"{mode}\"\n"), "");
        let text = format!(
            "\n[dns]\nservers = [\"{}\"]\ntrust_anchor = \"{}\"\n",
            names.address,
            zones.anchor("example").display(),
        );
        let before = std::fs::read_to_string(place.config()).unwrap();
        std::fs::write(place.config(), before + &text).unwrap();
        let mut server = place.start();
        let mut device = Device::core1(&place, &server);
        let answer = device.ask(&pap(7, "carol@example.org", "not judged here"));
        assert_eq!(answer.header().code, Code::PROTOCOL_ERROR);
        server.wait_for_log(said);
    };
    tried("only.example", "use", &["with TLS only"]);
    // As without a record: the name is looked up, and leads nowhere.
    tried("only.plain.example", "use", &["\"reason\":\"insecure\""]);
    tried("only.plain.example", "use", &["the name has no address"]);
    tried(
        "only.plain.example",
        "require",
        &["a HASTLS record is required"],
    );
    tried("only.plain.example", "off", &["the name has no address"]);
    assert!(home.within(Duration::from_millis(1)).is_none());
}
