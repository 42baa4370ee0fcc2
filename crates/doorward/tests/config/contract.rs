//! Every key of the contract is accepted, or refused as not built; none is unknown, none is ignored.

use doorward::config::Severity;

use crate::context::{TestContext, certificates};

const BASE: &str = r#"version = 1
[[listen]]
protocol = "tacacs-tls"
address = "[::1]:0"
{listen}
[tls.default]
certificate = "tls/server.pem"
key = "file:tls/server.key"
client_ca = ["tls/ca.pem"]
{tls}
[device_group.core]
match = { name = "core*" }
{group}
[device.core1]
address = ["192.0.2.1/32"]
{device}
[user.alice]
{user}
[role.noc]
{role}
[[rule]]
role = "noc"
{rule}
[[test]]
as = { user = "alice" }
on = "core1"
{test}
"#;

/// The base with one more line somewhere.
fn with(place: &str, line: &str) -> String {
    let mut text = BASE.to_owned();
    for slot in [
        "listen", "tls", "group", "device", "user", "role", "rule", "test",
    ] {
        text = text.replace(
            &format!("{{{slot}}}"),
            if slot == place { line } else { "" },
        );
    }
    if place == "end" {
        text.push_str(line);
    }
    text
}

const ACCEPTED: &[(&str, &str)] = &[
    (
        "device",
        "tacacs_secret = [{ key = \"plain:the first secret of it\", from = 2027-01-01 }, { key = \"plain:another secret of it\", until = 2027-01-31 }]",
    ),
    ("user", "enable = { \"15\" = \"user\" }"),
    ("user", "chap_secret = \"plain:a secret for challenges\""),
    (
        "end",
        "[authentication]\naccept = [\"chap\", \"mschapv1\", \"mschapv2\"]\nmin_challenge = 16\nfail_message = \"Denied.\"",
    ),
    (
        "end",
        "[password_policy]\nmin_length = 12\nclasses = 3\nchange = false",
    ),
    (
        "end",
        "[enable]\n\"15\" = \"user\"\n\"1\" = \"plain:$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/\"",
    ),
    ("rule", "when = { auth = [\"chap\", \"mschapv2\"] }"),
    ("role", "shell = { priv_lvl = 1, max_priv_lvl = 15 }"),
    (
        "end",
        "[server]\nname = \"aaa1\"\nstorage = \"sqlite:a.db\"\njournal = \"b.db\"\ncontrol = \"c.sock\"\nworkers = 0\ntls_only = false",
    ),
    ("listen", "tls = \"default\""),
    ("listen", "auth = [\"certificate\"]"),
    ("listen", "from = [\"192.0.2.0/24\"]"),
    ("listen", "single_connection = true"),
    ("listen", "idle_timeout = \"5m\""),
    ("listen", "handshake_timeout = \"5s\""),
    ("listen", "max_connections = 10000"),
    ("listen", "make_room = true"),
    ("listen", "max_handshakes = 512"),
    ("listen", "handshake_rate = 0"),
    ("listen", "max_body = 196356"),
    ("listen", "until = 2027-06-30"),
    ("listen", "dialect = \"rfc8907\""),
    ("listen", "device_groups = [\"core\"]"),
    ("tls", "intermediates = []"),
    ("tls", "crl = []"),
    ("tls", "revocation = \"if-available\""),
    ("tls", "ocsp = \"off\""),
    ("tls", "ocsp_staple = false"),
    (
        "tls",
        "ocsp = \"require\"\nocsp_responder = \"http://ocsp.example.net\"",
    ),
    (
        "tls",
        "ocsp_staple = true\nocsp_responder = \"http://ocsp.example.net:8080/a\"",
    ),
    ("tls", "raw_public_key = \"\""),
    ("tls", "tickets = { lifetime = \"1h\" }"),
    ("tls", "tickets = { lifetime = \"0s\" }"),
    (
        "tls",
        "cipher_suites = [\"TLS_AES_128_GCM_SHA256\", \"TLS_AES_256_GCM_SHA384\", \"TLS_CHACHA20_POLY1305_SHA256\"]",
    ),
    (
        "tls",
        "groups = [\"X25519MLKEM768\", \"x25519\", \"secp256r1\"]",
    ),
    ("tls", "min_version = \"1.2\""),
    (
        "tls",
        "sni = { required = false, names = [\"aaa1.example.net\"] }",
    ),
    ("tls", "keylog = false"),
    ("tls", "keylog = \"keys.log\""),
    ("group", "transport = \"tls\""),
    ("group", "accept = [\"pap\"]"),
    ("group", "dialect = \"draft-05\""),
    ("group", "profile = \"cisco-ios-xe\""),
    (
        "end",
        "[device_group.all]\nmatch = { name = \"c*\", address = [\"192.0.2.0/24\", \"2001:db8::/48\"], tag = [\"role:core\"] }",
    ),
    (
        "device",
        "certificate = { dns = [\"core1.example.net\"], ip = [\"10.0.0.1\"] }",
    ),
    (
        "device",
        "certificate = { uri = [\"urn:x\"], directory = [\"CN=a\"], issuer = \"CN=ca\", serial = \"01\", policy_oid = [\"1.2.3\"], wildcard = true }",
    ),
    (
        "device",
        "certificate = { dns = [\"a.example\"], realm = [\"example.net\"] }",
    ),
    ("device", "tags = [\"role:core\"]"),
    ("device", "profile = \"cisco-ios-xe\""),
    ("device", "tolerate = []"),
    (
        "device",
        "tolerate = [\"flag-set-on-plain\", \"flag-clear-on-tls\", \"password-in-start\", \"bare-cr\", \"empty-argument\", \"enable-names\"]",
    ),
    ("device", "single_connection = true"),
    ("device", "dtls_required = false"),
    ("device", "tacacs_secret = \"file:secret\""),
    ("device", "accept = [\"pap\"]"),
    ("device", "dialect = \"rfc8907\""),
    ("device", "dialect = \"draft-05\""),
    ("device", "transport = \"any\""),
    ("user", "password = \"file:hash\""),
    ("user", "groups = [\"noc\"]"),
    ("user", "from = [\"192.0.2.17/32\"]"),
    ("user", "quiet = true"),
    ("user", "alert = true"),
    ("user", "mfa = false"),
    (
        "end",
        "[authentication]\norder = [\"local\"]\naccept = [\"ascii\", \"pap\"]\nattempts = 3\nremember = \"5m\"",
    ),
    (
        "role",
        "shell = { priv_lvl = 15, idle_time = \"15m\", timeout = \"60m\", attributes = { acl = 5, \"autocmd*\" = \"x\" } }",
    ),
    ("role", "commands = \"permit show **\""),
    (
        "role",
        "services.junos-exec = { local-user-name = \"NOC\" }",
    ),
    ("rule", "name = \"noc\""),
    (
        "rule",
        "when = { user = \"alice\", group = \"noc\", device = \"core1\", device_group = \"core\", tag = \"x\", from = [\"192.0.2.0/24\"], time = \"Mon-Fri 07:00-20:00 Europe/Amsterdam\" }",
    ),
    (
        "rule",
        "when = { protocol = \"tacacs\", transport = \"tls\", auth = \"pap\", service = \"shell\", port = \"tty*\", remote = \"*\" }",
    ),
    (
        "rule",
        "when = { policy_oid = \"1.2.3\", issuer = \"CN=ca\", fingerprint = \"0000000000000000000000000000000000000000000000000000000000000000\" }",
    ),
    (
        "rule",
        "when = { address = [\"192.0.2.0/24\", \"2001:db8::/32\"], subject = \"CN=core1\", eku = [\"anyExtendedKeyUsage\", \"serverAuth\", \"clientAuth\", \"codeSigning\", \"emailProtection\", \"timeStamping\", \"OCSPSigning\", \"1.3.6.1.5.5.7.3.17\"] }",
    ),
    (
        "rule",
        "when = { san = [\"dns:CORE*.example.net\", \"ip:2001:DB8::1\", \"uri:urn:x\", \"realm:example.org\", \"srv:_tacacss.example.net\", \"directory:CN=a,O=b\"], psk_identity = [\"core*\"] }",
    ),
    (
        "test",
        "at = 2027-01-04T10:00:00Z\nfrom = \"192.0.2.1\"\nprotocol = \"tacacs\"\nauth = \"pap\"\npermit = [\"show\"]\ndeny = [\"reload\"]\nexpect = { priv_lvl = 15 }",
    ),
    ("end", "[metrics]\nlisten = \"127.0.0.1:9300\""),
    ("end", "[audit]\ndecisions = \"off\""),
    ("end", "[audit]\ndecisions = \"denied\""),
    ("end", "[audit]\ndecisions = \"all\""),
    (
        "end",
        "[secrets]\nmin_length = 16\nclasses = 2\nmax_age = \"365d\"\nshared = \"warn\"",
    ),
    ("end", "[secrets]\nshared = \"refuse\""),
    (
        "end",
        "[[allow]]\nlint = \"shared-secret\"\non = \"device.old-*\"\nreason = \"replaced in May\"\nuntil = 2027-05-31",
    ),
    ("test", "deny = [\"reload\"]\nexpect = { login = \"deny\" }"),
    (
        "test",
        "protocol = \"radius\"\nauth = \"mschapv2\"\nexpect = { login = \"deny\" }",
    ),
    (
        "test",
        "protocol = \"radius\"\nexpect = { login = \"permit\", radius = { Service-Type = \"NAS-Prompt-User\", Cisco-AVPair = [\"shell:priv-lvl=1\"] } }",
    ),
    (
        "end",
        "[[accounting]]\ntype = \"database\"\nkeep = \"400d\"",
    ),
    (
        "end",
        "[[accounting]]\ntype = \"jsonl\"\npath = \"/var/log/doorward/accounting.jsonl\"\ndecisions = true",
    ),
    (
        "end",
        "[[listen]]\nprotocol = \"tacacs\"\naddress = \"[::1]:0\"\ndialect = \"draft-05\"\n[device.old]\naddress = [\"192.0.2.7\"]\ntacacs_secret = \"file:secret\"",
    ),
    (
        "end",
        "[[accounting]]\ntype = \"syslog\"\nto = \"tls://siem.example.net:6514\"",
    ),
    (
        "end",
        "[[accounting]]\ntype = \"syslog\"\nto = \"tls://192.0.2.9:6514\"\ntls = \"default\"\nserver_name = \"siem.example.net\"\nfacility = \"local3\"\nmax_message = 4096\nname = \"siem\"",
    ),
    (
        "end",
        "[[accounting]]\ntype = \"syslog\"\nto = \"tcp://[::1]:601\"\n[[accounting]]\ntype = \"syslog\"\nto = \"tcp://localhost:601\"",
    ),
    (
        "end",
        "[[accounting]]\ntype = \"syslog\"\nto = \"unix:///dev/log\"",
    ),
    (
        "end",
        "[[listen]]\nprotocol = \"radius-tls\"\naddress = \"[::1]:0\"\nauth = [\"certificate\", \"psk\"]\nidle_timeout = \"off\"\nfrom = [\"::1/128\"]\nhandshake_rate = 5",
    ),
    (
        "end",
        "[[listen]]\nprotocol = \"radius-udp\"\nmessage_authenticator = \"require\"\nmax_connections = 100\n[device.old]\naddress = [\"192.0.2.7\"]\nradius_secret = \"file:secret\"",
    ),
    (
        "end",
        "[[listen]]\nprotocol = \"radius-udp\"\naddress = \"[::1]:1812\"\nmessage_authenticator = \"off\"\nfrom = [\"192.0.2.0/24\"]\nuntil = 2027-06-30\n[device.old]\naddress = [\"192.0.2.7\"]\nradius_secret = [{ key = \"file:secret\", until = 2027-01-31 }, { key = \"file:secret2\", from = 2027-01-01 }]",
    ),
    ("rule", "when = { protocol = \"radius\" }"),
    ("end", "[radius]\ndictionaries = []"),
    (
        "role",
        "radius = { Service-Type = \"NAS-Prompt-User\", Cisco-AVPair = [\"shell:priv-lvl=1\"], Session-Timeout = 600 }",
    ),
    (
        "end",
        "[[pool]]\nname = \"home\"\nservers = [\"radius-tls://home.example.net:2083\"]\nstrategy = \"failover\"\ntls = \"default\"\nserver_name = \"home.example.net\"\nsni = true\nmax_connections = 8\nidle_timeout = \"off\"\nreconnect = { floor = \"0.5s\", ceiling = \"60s\" }\nwatchdog = \"auto\"\nhastls = \"off\"\naccounting = \"forward\"\ntimeout = \"20s\"\n[[route]]\nrealm = \"example.org\"\npool = \"home\"\nwhen = { device_group = \"core\" }\nrewrite = { remove = [\"Filter-Id\"], set = { Operator-Name = \"1example.net\" }, add = {}, allow = [] }\nstrip_realm = false",
    ),
    (
        "end",
        "[[pool]]\nname = \"home\"\nservers = [\"radius-dtls://home.example.net\", \"radius-dtls://192.0.2.9:2084\"]\nstrategy = \"balance\"\nrealm = \"example.org\"\nwatchdog = \"off\"\n[[route]]\npool = \"home\"\nrewrite_answer = { allow = [\"User-Name\", \"Cisco\"] }",
    ),
    (
        "end",
        "[[pool]]\nname = \"home\"\nservers = [\"radius-tls://home.example.net\"]\npsk = { identity = \"aaa1\", key = \"plain:00112233445566778899aabbccddeeff\" }\n[[pool]]\nname = \"old\"\nservers = [\"radius-udp://[2001:db8::1]\"]\nsecret = \"file:secret\"",
    ),
    (
        "end",
        "[dns]\nservers = []\ntrust_anchor = \"\"\nhastls_type = 65400\n[[pool]]\nname = \"eduroam\"\ndiscover = { tag = \"aaa+auth:radius.tls.tcp\", dnssec = \"require\", max_ttl = \"1d\" }\ntls = \"default\"",
    ),
    (
        "end",
        "[dns]\nservers = [\"192.0.2.53\"]\n[[pool]]\nname = \"home\"\nservers = [\"radius-tls://home.example.net\"]\nhastls = \"require\"\n[[pool]]\nname = \"other\"\nservers = [\"radius-tls://192.0.2.9\"]\nhastls = \"use\"",
    ),
    (
        "end",
        "[fticks]\nto = \"tcp://fticks.example.net:514\"\nrealm = \"example.org\"\ncountry = \"NL\"",
    ),
    (
        "end",
        "[fticks]\nto = \"tls://fticks.example.net:6514\"\ntls = \"default\"\nserver_name = \"logs.example.net\"\nfacility = \"local0\"\ncountry = \"NL\"\nmac = \"vendor-keyed-hash\"\nkey = \"file:secret\"",
    ),
];

const NOT_BUILT: &[(&str, &str)] = &[
    (
        "end",
        "[server]\nstorage = \"postgres://doorward@db.example.net/doorward\"",
    ),
    ("user", "mfa = true"),
    ("end", "[identity.ad]\ntype = \"ldap\""),
    ("end", "[authentication]\norder = [\"local\", \"ad\"]"),
    ("end", "[mfa]\nrequired_for = [\"x\"]"),
    ("end", "[lockout]\nfailures = 5"),
    (
        "end",
        "[[accounting]]\ntype = \"jetstream\"\nto = \"tls://x\"",
    ),
    (
        "end",
        "[[pool]]\nname = \"home\"\nservers = [\"tacacs-tls://home.example.net\"]",
    ),
    (
        "end",
        "[[pool]]\nname = \"home\"\nservers = [\"radius-tls://home.example.net\"]\naccounting = \"journal\"",
    ),
    (
        "end",
        "[[pool]]\nname = \"home\"\nservers = [\"radius-tls://home.example.net\"]\n[[route]]\npool = \"home\"\nwhen = { protocol = \"tacacs\" }",
    ),
];

#[test]
fn every_key_of_the_contract_is_accepted_or_refused_as_not_built() {
    let context = TestContext::new();
    certificates(&context);
    for (place, line) in ACCEPTED {
        if let Err(failure) = context.load(&with(place, line)) {
            panic!("{place}: {line}\n{failure}");
        }
    }
    for (place, line) in NOT_BUILT {
        let failure = context.load(&with(place, line)).expect_err(line);
        for diagnostic in failure
            .diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error)
        {
            assert!(
                diagnostic.message.contains("is not built yet"),
                "{line}\n{diagnostic}"
            );
        }
    }
}

#[test]
fn a_tls_profile_of_the_wrong_halves_is_refused_at_its_word() {
    let context = TestContext::new();
    certificates(&context);
    let other = rcgen::KeyPair::generate().unwrap();
    context.file("tls/other.key", &other.serialize_pem());
    let text = with(
        "tls",
        "cipher_suites = [\"TLS_AES_128_GCM_SHA256\", \"TLS_RSA\"]",
    )
    .replace("tls/server.key", "tls/other.key");
    let messages = context.messages(&text);
    assert!(messages.contains("TLS_RSA"), "{messages}");
    let messages = context.messages(&with("", "").replace("tls/server.key", "tls/other.key"));
    assert!(
        messages.contains("the private key does not belong to the certificate"),
        "{messages}"
    );
    let messages = context.messages(&with("", "").replace("tls/ca.pem", "tls/server.key"));
    assert!(
        messages.contains("`client_ca` cannot be used"),
        "{messages}"
    );
}

/// As certificates and logs have it, however the file writes it.
#[test]
fn what_a_connection_has_to_say_is_read_in_one_form() {
    let context = TestContext::new();
    let config = context.config(
        r#"version = 1
[role.noc]
[[rule]]
role = "noc"
[rule.when]
san = ["dns:CORE*.Example.net", "realm:Example.ORG", "srv:_TACACSS.example.net", "ip:2001:DB8:0::1", "ip:::ffff:192.0.2.1", "ip:2001:DB8::*", "uri:urn:X", "directory:CN=A"]
eku = ["1.3.6.1.5.5.7.3.2", "serverAuth", "1.2.3"]
psk_identity = ["r\u00e9seau*", 'x\x00']
"#,
    );
    let conditions = &config.policy.rules[0].conditions;
    let wanted: Vec<(&str, String)> = conditions
        .iter()
        .map(|one| (one.key(), one.wanted()))
        .collect();
    let names = "dns:core*.example.net, realm:example.org, srv:_tacacss.example.net, ip:2001:db8::1, ip:192.0.2.1, ip:2001:db8::*, uri:urn:X, directory:CN=A";
    assert_eq!(
        wanted,
        [
            ("eku", "clientAuth, serverAuth, 1.2.3".to_owned()),
            ("psk_identity", r"r\xc3\xa9seau*, x\x00".to_owned()),
            ("san", names.to_owned()),
        ]
    );
}
