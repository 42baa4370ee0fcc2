//! What the messages say, where they point, and what they never show.

use doorward::config::Lint;

use crate::context::{HASH, TestContext, certificates};

macro_rules! message {
    ($text:expr) => {
        insta::assert_snapshot!(TestContext::new().messages($text))
    };
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    message!(
        r#"version = 1
[server]
nmae = "aaa1"
[servr]
[device.core1]
addres = ["192.0.2.1"]
colour = "blue"
certificate = { dnss = ["a.example.net"] }
[[rule]]
when = { gruop = "noc" }
"#
    );
}

#[test]
fn rule_strings_are_pointed_into() {
    message!(
        "version = 1
[role.literal]
commands = '''
# a comment
permit show version
alow show running-config
permit show ** detail
'''
[role.basic]
commands = \"\"\"
permit show \\\"x\\\" \\
   permit
deny\tshow /Gi(/
permit \\u00e9t\\u00e9 a||b\"\"\"
[role.short]
commands = 'permit Gi*'
[role.line]
commands = \"permit a\\npermitt b\"
"
    );
}

#[test]
fn json_is_pointed_into_and_duplicates_name_both_places() {
    let context = TestContext::new();
    context.file(
        "inventory/a.json",
        r#"{
  "device": {
    "core1": { "address": ["10.0.0.1"], "tacacs_secret": "file:../secret" },
    "core2": { "address": ["10.0.0.300"], "tags": "x" }
  },
  "role": { "r": { "commands": "permit show\nallow \"caf\u00e9\" x" } }
}"#,
    );
    context.file("inventory/b.json", "{ \"device\": { \"core1\": {}, } }");
    context.file(
        "inventory/c.json",
        "{ \"device\": { \"core1\": {}, \"core1\": {} } }",
    );
    insta::assert_snapshot!(
        context.messages("version = 1\ninclude = [\"inventory/*.json\", \"missing.toml\"]\n")
    );
}

#[test]
fn values_of_the_wrong_kind_or_size() {
    message!(
        r#"version = 2
[server]
workers = "many"
tls_only = 1
[[listen]]
protocol = "tacacs-tsl"
[[listen]]
protocol = "tacacs-tls"
address = "300"
idle_timeout = "off"
handshake_timeout = "5 minutes"
max_body = 500000
until = "tomorrow"
from = ["192.0.2.1/24"]
[authentication]
attempts = 0
order = []
[device.a]
certificate = { dns = ["a.*.net", "b.example.net"], fingerprint = "zz" }
[role.r]
shell = { priv_lvl = 16, idle_time = "90s" }
"#
    );
}

#[test]
fn what_no_certificate_says() {
    message!(
        r#"version = 1
[role.r]
[[rule]]
role = "r"
[rule.when]
eku = ["ClientAuth", "1.3.", "1.3.6.1.5.5.7.3.2"]
san = ["core1.example.net", "dns:", "email:noc@example.net", "ip:core1", "ip:192.0.2.*", "uri:*"]
address = "core1.example.net"
subjct = "CN=core1"
"#
    );
}

#[test]
fn references_to_what_is_not_there() {
    message!(
        r#"version = 1
[[listen]]
protocol = "tacacs-tls"
address = "[::1]:3000"
tls = "defualt"
device_groups = ["coer"]
[tls.default]
[device_group.core]
match = { name = "core*" }
[device.core1]
certificate = { dns = ["core1.example.net"] }
[user.alice]
groups = ["noc"]
[role.noc]
[[rule]]
when = { group = "nco", device_group = "cores", device = "core2", time = "Mon-Fri 07:00-20:00 Europe/Amsterdm" }
role = "nocc"
[[test]]
as = { user = "alcie" }
on = "core2"
"#
    );
}

#[test]
fn listeners_and_devices_that_cannot_be_together() {
    message!(
        r#"version = 1
[server]
tls_only = true
[[listen]]
protocol = "tacacs-tls"
address = "[::]:4900"
[[listen]]
protocol = "tacacs"
address = "192.0.2.1:4900"
until = 2026-12-31
[tls.default]
[device.a]
address = ["10.0.0.1"]
tacacs_secret = "file:secret"
[device.b]
address = ["10.0.0.1/32"]
tacacs_secret = "env:SECRET"
certificate = { dns = ["x.example.net"] }
[device.c]
certificate = { dns = ["X.example.net"] }
[device.d]
transport = "tls"
"#
    );
}

#[test]
fn credentials_of_levels_are_named_and_not_shown() {
    message!(
        "version = 1\n[enable]\n16 = \"file:x\"\n15 = \"$argon2id$hunter2\"\n[user.a]\nenable = { \"015\" = \"user\", \"7\" = \"plain:hunter2\" }\n[user.b]\nenable = \"hunter2\"\nchap_secret = \"hunter2\"\n"
    );
}

#[test]
fn what_is_not_built_yet_is_said_so() {
    message!(
        "version = 1\n[mfa]\nmethods = [\"totp\"]\n[dns]\nservers = []\n[user.a]\nmfa = true\n"
    );
}

#[test]
fn no_message_shows_a_secret() {
    let context = TestContext::new();
    let texts = [
        "version = 1\n[user.a]\npassword = \"hunter2-bare\"\n[user.b]\npassword = \"plain:hunter2-plain\"\n[user.c]\npasswrod = \"hunter2-typo\"\n",
        "version = 1\n[device.a]\ntacacs_secret = \"plain:hunter2\" # trailing\naddress = [\"x\"]\n",
        "version = 1\n[device.a]\ntacacs_secret = { key = \"hunter2\" }\nradius_secret = \"hunter2\"\npsk = { identity = \"x\", key = \"hunter2\" }\n",
        "version = 1\n[device.a]\ntacacs_secret = \"plain:hunter2\n",
        "version = 1\n[device.a]\ntacacs_secret = \"\"\"\nplain:hunter2\nhunter2 more\n",
        "version = 1\ndevice.a = { tacacs_secret = \"plain:hunter2\", address = [\"x\"], }}\n",
        "version = 1\n[server]\nstorage = \"postgres://u:hunter2@db/x\"\n",
        "version = 1\n[identity.ad]\nbind = { dn = \"x\", password = \"hunter2\" }\n",
        "version = 1\n[enable]\n\"15\" = \"hunter2\"\n[secretz]\nx = [\"hunter2\"]\n",
        "version = 1\n[user.a]\npassword = \"plain:$6$hunter2\"\n[user.a]\npassword = \"plain:hunter2\"\n",
        "version = 1\n[role.a]\nradius = { Tunnel-Password = \"hunter2\" }\n",
        "version = 1\n[role.a]\nradius = { Tunnel-Password = \"plain:hunter2\", Class = 1.5 }\n",
        "version = 1\n[role.a]\nradius = { Tunnel-Pasword = \"hunter2\" }\n",
        "version = 1\n[role.a]\nradius = { \"Tunnel-Password:99\" = [\"plain:hunter2\"] }\n",
        "version = 1\n[role.a]\nradius = { User-Password = \"hunter2\", Tunnel-Password = { key = \"hunter2\" } }\n",
        "version = 1\n[role.a]\nradius = { MS-CHAP-MPPE-Keys = \"plain:hunter2\" }\n",
        "version = 1\n[role.a]\nradiu = { Tunnel-Password = \"hunter2\" }\n",
        "version = 1\n[role.a]\nradius = { Tunnel-Password = \"plain:hunter2\n",
        "version = 1\nrole.a.radius = { Tunnel-Password = \"plain:hunter2\" }\n[[test]]\nas.user = \"b\"\non = \"c\"\nprotocol = \"radius\"\nexpect.radius = { Tunnel-Password = \"hunter2\" }\n",
    ];
    for text in texts {
        let messages = context.messages(text);
        assert!(!messages.is_empty(), "{text}");
        assert!(!messages.contains("hunter2"), "{text}\n\n{messages}");
    }
}

#[test]
fn control_characters_of_the_file_are_escaped() {
    let messages = TestContext::new()
        .messages("version = 1\n[server]\n\"na\\u001b[31mme\" = 'x\u{202e}y'\nwor\u{7f} = 1\n");
    assert!(messages.contains("\\u{"), "{messages}");
    assert!(
        messages.chars().all(|one| one == '\n' || !one.is_control()),
        "{messages:?}"
    );
    assert!(!messages.contains('\u{202e}'), "{messages:?}");
}

/// proves: TAC-10.5.1-1
#[test]
fn secrets_come_from_files_of_one_reader_and_are_in_no_debug_output() {
    use std::os::unix::fs::PermissionsExt as _;
    let context = TestContext::new();
    let path = context.file("secret", "a-secret-of-some-length");
    context.file("chap", "another-secret-for-challenges");
    let text = "version = 1\n[device.a]\naddress = [\"10.0.0.1\"]\ntacacs_secret = [{ key = \"file:secret\" }, { key = \"file:secret2\" }]\n[user.carol]\nchap_secret = \"file:chap\"\n[user.alice]\npassword = \"file:hash\"\n";
    let readable = |mode: u32| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        context.findings(Lint::ReadableSecret, text)
    };
    assert_eq!(readable(0o640), "");
    assert_eq!(readable(0o400), "");
    let found = readable(0o644);
    assert!(found.contains("everybody on this machine"), "{found}");
    let loaded = context.load(text).unwrap();
    let shown = format!("{loaded:?} {loaded:#?}");
    assert!(shown.contains("carol") && shown.contains("Secret(..)"));
    for secret in [
        "a-secret-of-some-length",
        "quite-another-one-of-its-kind",
        "another-secret-for-challenges",
        HASH,
    ] {
        assert!(!shown.contains(secret), "{shown}");
        let octets: Vec<String> = secret.bytes().map(|octet| octet.to_string()).collect();
        assert!(!shown.contains(&octets[..4].join(", ")), "as numbers");
    }
}

/// proves: TAC-10.5.2-4
#[test]
fn secrets_are_read_from_where_they_are_said_to_be() {
    let context = TestContext::new();
    context.file("empty", "\n");
    let load = |reference: &str| {
        let text = format!(
            "version = 1\n[device.a]\naddress = [\"10.0.0.1\"]\ntacacs_secret = \"{reference}\"\n"
        );
        context.load(&text).map(|loaded| {
            let device = loaded.config.devices.by_name("a").unwrap();
            let secret = device.tacacs_secret[0].key.octets().to_vec();
            (String::from_utf8(secret).unwrap(), loaded.diagnostics.len())
        })
    };
    // The two warnings of each are that there is no listener and no rule.
    assert_eq!(
        load("file:secret").unwrap(),
        ("a-secret-of-some-length".into(), 2)
    );
    assert_eq!(
        load("env:SECRET").unwrap(),
        ("from-the-environment".into(), 2)
    );
    assert_eq!(
        load("exec:printf 'sixteen-octets %s' long").unwrap(),
        ("sixteen-octets long".into(), 2)
    );
    assert_eq!(load("plain:sixteen-octets-long").unwrap().1, 3);
    assert_eq!(load("plain:short").unwrap().1, 4);
    for bad in [
        "file:missing",
        "env:MISSING",
        "cred:x",
        "exec:false",
        "plain:",
        "file:empty",
        "exec:printf ''",
        "vault:x",
    ] {
        assert!(load(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_secret_that_everybody_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let context = TestContext::new();
    let path = context.file("open", "a-secret-of-some-length");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let messages = context.messages(
        "version = 1\n[device.a]\naddress = [\"10.0.0.1\"]\ntacacs_secret = \"file:open\"\n",
    );
    assert!(
        messages.contains("everybody on this machine can read"),
        "{messages}"
    );
}

#[test]
fn includes_are_read_once_in_order_relative_to_their_file() {
    let context = TestContext::new();
    context.file("conf.d/b.toml", "include = [\"../main.toml\", \"b.toml\"]\n[role.b]\ncommands = 'permit b'\n[[rule]]\nrole = \"b\"\n");
    context.file("conf.d/a.toml", "[role.a]\ncommands = 'permit a'\n[[rule]]\nrole = \"a\"\n[user.u]\npassword = \"file:../hash\"\n");
    context.file("conf.d/.hidden.toml", "nonsense");
    let config = context.config(
        "version = 1\ninclude = [\"conf.d/*.toml\"]\n[role.main]\n[[rule]]\nrole = \"main\"\n",
    );
    let roles: Vec<&str> = config
        .policy
        .rules
        .iter()
        .map(|rule| &*rule.role.name)
        .collect();
    assert_eq!(roles, ["main", "a", "b"]);
    assert!(config.users.contains_key("u"));
}

#[test]
fn dialects_and_tolerances_are_refused_at_their_words() {
    message!(
        r#"version = 1
[[listen]]
protocol = "tacacs-tls"
address = "[::1]:0"
dialect = "draft-05"
[[listen]]
protocol = "tacacs"
address = "127.0.0.1:0"
dialect = "draft05"
[device_group.a]
match = { name = "sw*" }
dialect = "draft-05"
[device_group.b]
match = { name = "*7" }
dialect = "rfc8907"
[device.sw7]
tolerate = ["bare-cr", "bare_cr", 3]
[device.sw77]
[device.sw17]
dialect = "rfc8907"
"#
    );
}

#[test]
fn whom_to_ask_about_certificates_is_checked() {
    let context = TestContext::new();
    certificates(&context);
    let tls = "version = 1\n[tls.default]\ncertificate = \"tls/server.pem\"\nkey = \"file:tls/server.key\"\nclient_ca = [\"tls/ca.pem\"]\nrevocation = \"if-available\"\n";
    let said = |lines: &str| context.messages(&format!("{tls}{lines}"));
    insta::assert_snapshot!(
        [
            said("ocsp = \"sometimes\"\nocsp_responder = \"https://ocsp.example.net/\""),
            said("ocsp_responder = \"http://ocsp.example.net/\""),
            said("ocsp_staple = true"),
        ]
        .join("\n----\n")
    );
}
