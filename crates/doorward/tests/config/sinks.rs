//! `[[accounting]]` of the types that hand records on.

use doorward::config::{SinkKind, Station, SyslogTarget};

use crate::context::{TestContext, certificates};

const BASE: &str = "version = 1
[[listen]]
protocol = \"tacacs-tls\"
address = \"[::1]:0\"
[tls.default]
certificate = \"tls/server.pem\"
key = \"file:tls/server.key\"
client_ca = [\"tls/ca.pem\"]
crl = [\"tls/ca.crl\"]
[role.all]
[[rule]]
role = \"all\"
";

fn messages(text: &str) -> String {
    let context = TestContext::new();
    certificates(&context);
    context.messages(&format!("{BASE}{text}"))
}

#[test]
fn mistakes_are_shown_with_what_to_do() {
    insta::assert_snapshot!(messages(
        r#"[[accounting]]
type = "jsonl"
[[accounting]]
type = "jsonl"
path = "a.jsonl"
rotate = "1d"
[[accounting]]
type = "jsonl"
path = "a.jsonl"
name = "again"
[[accounting]]
type = "syslog"
to = "tls://siem.example.net"
[[accounting]]
type = "syslog"
to = "tls://siem.example.net:6514"
tls = "defualt"
server_name = "*.example.net"
facility = "authprv"
max_message = 100
[[accounting]]
type = "syslog"
to = "tls://collector:6514"
[[accounting]]
type = "syslog"
to = "unix:///dev/log"
tls = "default"
[[accounting]]
type = "syslog"
to = "relp://siem.example.net:2514"
[[accounting]]
type = "syslog"
to = "tcp://127.0.0.1:601"
name = "again"
"#
    ));
}

#[test]
fn what_can_be_lost_or_read_on_its_way_is_warned_of() {
    insta::assert_snapshot!(messages(
        r#"[[accounting]]
type = "syslog"
to = "udp://siem.example.net:514"
[[accounting]]
type = "syslog"
to = "tcp://siem.example.net:601"
[[accounting]]
type = "syslog"
to = "tcp://127.0.0.1:601"
"#
    ));
}

#[test]
fn names_are_stable_and_may_be_given() {
    let context = TestContext::new();
    certificates(&context);
    let config = context.config(&format!(
        "{BASE}
[[accounting]]
type = \"jsonl\"
path = \"log/a.jsonl\"
[[accounting]]
type = \"syslog\"
to = \"tls://siem.example.net:6514\"
[[accounting]]
type = \"syslog\"
to = \"tcp://[::1]:601\"
name = \"local collector\"
"
    ));
    let names: Vec<&str> = config.sinks.iter().map(|sink| &*sink.name).collect();
    let file = context.path().join("log/a.jsonl");
    assert_eq!(
        names,
        [
            &format!("jsonl:{}", file.display()),
            "syslog:tls://siem.example.net:6514",
            "local collector"
        ]
    );
    let SinkKind::Syslog(syslog) = &config.sinks[1].kind else {
        panic!("{:?}", config.sinks[1]);
    };
    let SyslogTarget::Tls(_, tls) = &syslog.target else {
        panic!("{syslog:?}");
    };
    assert_eq!(tls.reference.to_string(), "siem.example.net");
    assert_eq!(tls.sni.as_deref(), Some("siem.example.net"));
    assert_eq!((syslog.facility.0, syslog.max_message), (10, 8192));
}

fn of_fticks(keys: &str) -> String {
    messages(&format!("[fticks]\n{keys}"))
}

#[test]
fn a_line_of_statistics_hides_a_station_by_a_key_or_altogether() {
    let [full, short] =
        ["a-key-of-some-length", "short"].map(|key| format!("key = \"plain:{key}\"\n"));
    let common = "to = \"tcp://127.0.0.1:514\"\ncountry = \"NL\"\n";
    let load = |keys: &str| {
        let context = TestContext::new();
        certificates(&context);
        let config = context.config(&format!("{BASE}[fticks]\n{common}{keys}"));
        config.fticks.clone().unwrap()
    };
    assert!(matches!(load("").station, Station::Undisclosed));
    let realm = load("realm = \"Example.ORG\"\n").institution;
    assert_eq!(realm.as_deref(), Some("example.org"));
    assert!(matches!(load(&full).station, Station::Hashed(_)));
    let vendor = load(&format!("mac = \"vendor-keyed-hash\"\n{full}"));
    assert!(matches!(vendor.station, Station::VendorAndHashed(_)));
    assert!(!format!("{vendor:?}").contains("a-key"));
    assert!(matches!(load("mac = \"full\"\n").station, Station::Full));
    let wrong = format!("mac = \"full\"\n{full}");
    insta::assert_snapshot!(
        [
            of_fticks(&format!("{common}mac = \"keyed-hash\"\n")),
            of_fticks(&format!("{common}{wrong}")),
            of_fticks(&format!("{common}{short}")),
            of_fticks("to = \"udp://fticks.example.net:514\"\nrealm = \"@example\"\ncountry = \"nl\"\nmac = \"md5\"\n"),
            of_fticks("to = \"tls://fticks.example.net\"\n"),
            messages("[[accounting]]\ntype = \"syslog\"\nto = \"tcp://127.0.0.1:601\"\nname = \"fticks\"\n"),
        ]
        .join("\n")
    );
}
