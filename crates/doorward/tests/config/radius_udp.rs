//! RADIUS/UDP in the file: what goes together, what does not, and what is told of.

use doorward::config::{Lint, ListenerProtocol};

use crate::context::{TestContext, certificates};

/// A listener for this machine, and a device of it.
const LOCAL: &str = "version = 1
[[listen]]
protocol = \"radius-udp\"
[device.nas]
address = [\"127.0.0.1\"]
radius_secret = \"file:secret\"
";

/// A listener on a network.
fn on_network(more: &str) -> String {
    let listener = "protocol = \"radius-udp\"\naddress = \"192.0.2.49:1812\"\nuntil = 2028-01-01";
    let text = LOCAL.replace("protocol = \"radius-udp\"", listener);
    format!("{}{more}", text.replace("\"127.0.0.1\"", "\"10.0.0.1\""))
}

/// The same with RadSec beside it.
fn beside(more: &str) -> String {
    let radsec = "[[listen]]\nprotocol = \"radius-tls\"\naddress = \"192.0.2.49:2083\"\n[tls.default]\ncertificate = \"tls/server.pem\"\nkey = \"file:tls/server.key\"\nclient_ca = [\"tls/ca.pem\"]\ncrl = [\"tls/ca.crl\"]\n";
    on_network(&format!("{radsec}{more}"))
}

#[test]
fn it_is_for_this_machine_and_requires_message_authenticators_unless_the_file_says_otherwise() {
    let context = TestContext::new();
    let config = context.config(LOCAL);
    let listener = &config.listeners[0];
    assert_eq!(listener.protocol, ListenerProtocol::RadiusUdp);
    assert_eq!(listener.address.to_string(), "127.0.0.1:1812");
    assert!(listener.message_authenticator);
    assert_eq!(context.findings(Lint::PlainListener, LOCAL), "");
    let radius = ListenerProtocol::RadiusUdp;
    let found = |protocol| {
        let device = config
            .devices
            .by_address(protocol, "127.0.0.1".parse().unwrap());
        device.map(|device| device.name.to_string())
    };
    assert_eq!(found(radius).as_deref(), Some("nas"));
    assert_eq!(found(ListenerProtocol::Tacacs), None, "a secret for one");
}

#[test]
fn what_cannot_be_is_refused() {
    let context = TestContext::new();
    certificates(&context);
    context.file("psk", "00112233445566778899aabbccddeeff");
    context.file("radsec", "radsec\n");
    context.file("dtls", "radius/dtls\n");
    let secret = "radius_secret = \"file:secret\"";
    let protocol = "protocol = \"radius-udp\"";
    for (old, new, said) in [
        (
            secret,
            "radius_secret = \"file:radsec\"",
            "one that RadSec has",
        ),
        (
            secret,
            "radius_secret = \"file:dtls\"",
            "one that RadSec has",
        ),
        (
            secret,
            "radius_secret = []",
            "`radius_secret` is an empty list",
        ),
        (
            secret,
            "tacacs_secret = \"file:secret\"",
            "none of those it is for has `address` and `radius_secret`",
        ),
        (
            protocol,
            "protocol = \"radius-udp\"\ntls = \"default\"",
            "a listener for radius-udp has no TLS",
        ),
        (
            protocol,
            "protocol = \"radius-udp\"\nidle_timeout = \"5m\"",
            "`idle_timeout` is for listeners with connections",
        ),
        (
            protocol,
            "protocol = \"radius-udp\"\nhandshake_rate = 5",
            "`handshake_rate` is for listeners with connections",
        ),
        (
            protocol,
            "protocol = \"radius-udp\"\nmake_room = true",
            "`make_room` is for listeners with connections",
        ),
        (
            protocol,
            "protocol = \"radius-udp\"\nmax_body = 5000",
            "`max_body` is for TACACS+",
        ),
        (
            protocol,
            "protocol = \"radius-udp\"\nmessage_authenticator = \"on\"",
            "is no value of `message_authenticator`",
        ),
        (
            protocol,
            "protocol = \"radius-udp\"\n[[listen]]\nprotocol = \"radius-udp\"",
            "two listeners have this address",
        ),
        (
            "[device.nas]",
            "[server]\ntls_only = true\n[device.nas]",
            "`tls_only` of [server] allows none",
        ),
        (
            "[device.nas]",
            "[device.other]\naddress = [\"127.0.0.1\"]\nradius_secret = \"file:secret2\"\n[device.nas]",
            "two devices with `radius_secret`",
        ),
        (
            "[device.nas]",
            "[secrets]\nmin_length = 60\n[device.nas]",
            "this `radius_secret` has fewer than 60 characters, which [secrets] refuses",
        ),
        (
            "[device.nas]",
            "[secrets]\nshared = \"refuse\"\n[device.other]\naddress = [\"127.0.0.2\"]\ntacacs_secret = \"file:secret\"\n[device.nas]",
            "one secret (`tacacs_secret` and `radius_secret`) is used by 2 devices",
        ),
    ] {
        let changed = LOCAL.replace(old, new);
        assert_ne!(changed, LOCAL, "{old}");
        let messages = context.load(&changed).expect_err(new).to_string();
        assert!(messages.contains(said), "{new}\n{messages}");
    }
    let other = "version = 1\n[[listen]]\nprotocol = \"tacacs\"\nmessage_authenticator = \"off\"\n[device.a]\naddress = [\"10.0.0.1\"]\ntacacs_secret = \"file:secret\"\n";
    let messages = context.load(other).unwrap_err().to_string();
    assert!(
        messages.contains("there is no `message_authenticator` of a listener for tacacs"),
        "{messages}"
    );
}

/// proves: RAD-7.7-1
#[test]
fn a_secret_is_no_pre_shared_key() {
    let context = TestContext::new();
    let key = "00112233445566778899aabbccddeeff";
    context.file("psk", key);
    let text = format!(
        "{}[device.other]\npsk = {{ identity = \"other\", key = \"file:psk\" }}\n",
        LOCAL.replace("file:secret", "file:psk")
    );
    let messages = context.load(&text).unwrap_err().to_string();
    assert!(
        messages.contains("is also the `radius_secret` of [device.nas]"),
        "{messages}"
    );
    assert!(!messages.contains(key), "{messages}");
}

#[test]
fn secure_and_insecure_never_share_a_port() {
    let context = TestContext::new();
    certificates(&context);
    let text = beside("").replace("192.0.2.49:2083", "192.0.2.49:2084");
    let text = text.replace("192.0.2.49:1812", "192.0.2.49:2084");
    let messages = context.load(&text).unwrap_err().to_string();
    assert!(
        messages.contains("a plain listener and one with TLS never share an address and port"),
        "{messages}"
    );
    assert!(messages.contains("the other one: "), "{messages}");
    // Nor on different addresses, where the port is the other one's own.
    for (from, to, said) in [
        (
            "192.0.2.49:1812",
            "192.0.2.48:2083",
            "this is the port of RadSec",
        ),
        (
            "192.0.2.49:2083",
            "192.0.2.48:1812",
            "this is a port of RADIUS/UDP",
        ),
    ] {
        let messages = context.load(&beside("").replace(from, to)).unwrap_err();
        let messages = messages.to_string();
        assert!(messages.contains(said), "{messages}");
        assert_eq!(messages.matches("error: ").count(), 1, "{messages}");
    }
}

/// The server's side of it; the client's pools have their own.
///
/// proves: RAD-3.9-4
#[test]
fn an_idle_timeout_below_a_minute_is_told_of() {
    let context = TestContext::new();
    certificates(&context);
    let lint = Lint::ShortIdleTimeout;
    let with = |time: &str| {
        let protocol = "protocol = \"radius-tls\"";
        beside("").replace(protocol, &format!("{protocol}\nidle_timeout = {time}"))
    };
    insta::assert_snapshot!(
        "short_idle_timeout",
        context.findings(lint, &with("\"59s\""))
    );
    for time in ["\"60s\"", "\"15m\"", "\"off\""] {
        assert_eq!(context.findings(lint, &with(time)), "", "{time}");
    }
    let config = context.config(&beside(""));
    let listeners = config.listeners.iter();
    let idle = listeners
        .filter(|one| one.protocol == ListenerProtocol::RadiusTls)
        .map(|one| one.idle_timeout);
    let minutes = std::time::Duration::from_secs(15 * 60);
    assert_eq!(idle.collect::<Vec<_>>(), [Some(minutes)]);
}

#[test]
fn what_does_not_stay_on_this_machine_is_told_of() {
    let context = TestContext::new();
    insta::assert_snapshot!(
        "radius_udp_listener",
        context.findings(Lint::PlainListener, &on_network(""))
    );
    insta::assert_snapshot!(
        "radius_udp_passwords",
        context.findings(Lint::PasswordOverPlain, &on_network(""))
    );
    let challenges = "[authentication]\naccept = [\"ascii\", \"chap\"]\n";
    assert_eq!(
        context.findings(Lint::PasswordOverPlain, &on_network(challenges)),
        ""
    );
    let off = LOCAL.replace(
        "protocol = \"radius-udp\"",
        "protocol = \"radius-udp\"\nmessage_authenticator = \"off\"",
    );
    insta::assert_snapshot!(
        "message_authenticator_off",
        context.findings(Lint::MessageAuthenticatorOff, &off)
    );
}

/// proves: RAD-7.1-1, RAD-7.7-3, RAD-7.7-5
#[test]
fn who_may_come_with_tls_and_without_is_told_of() {
    let context = TestContext::new();
    certificates(&context);
    let lint = Lint::DeviceOnTlsAndPlain;
    let certificate = "certificate = { dns = [\"core1.example.net\"] }\n";
    let one_name = beside("").replace("[device.nas]\n", &format!("[device.nas]\n{certificate}"));
    insta::assert_snapshot!("radius_one_name", context.findings(lint, &one_name));
    let two_names = beside(&format!(
        "[device.new]\naddress = [\"10.0.0.1\"]\n{certificate}"
    ));
    insta::assert_snapshot!("radius_two_names", context.findings(lint, &two_names));
    insta::assert_snapshot!(
        "radius_beside_tls",
        context.findings(Lint::PlainBesideTls, &beside(""))
    );
    let moved = one_name.replace("radius_secret", "transport = \"tls\"\nradius_secret");
    assert_eq!(context.findings(lint, &moved), "");
}

/// Over DTLS 1.2 alone: TLS 1.3 carries any identity, and a device with a certificate needs no key.
#[test]
fn an_identity_that_dtls_cannot_carry_is_told_of_where_nothing_else_can() {
    let context = TestContext::new();
    certificates(&context);
    context.file("psk", "00112233445566778899aabbccddeeff");
    let text = |identity: &str, more: &str, proof: &str| {
        let radsec = beside(more).replace(
            "protocol = \"radius-tls\"",
            "protocol = \"radius-dtls\"\nauth = [\"certificate\", \"psk\"]",
        );
        format!("{radsec}[device.a]\n{proof}psk = {{ {identity}, key = \"file:psk\" }}\n")
    };
    let found = |text: &str| {
        let findings = context.findings(Lint::PskIdentityUnfit, text);
        findings.contains("does not fit into DTLS 1.2")
    };
    let long = format!("identity = \"{}\"", "i".repeat(257));
    let zero = "identity_hex = \"610062\"";
    for unfit in [&*long, zero] {
        assert!(found(&text(unfit, "", "")), "{unfit}");
        let tls13 = "[[listen]]\nprotocol = \"tacacs-tls\"\nauth = [\"psk\"]\n";
        assert!(!found(&text(unfit, tls13, "")));
        assert!(!found(&text(
            unfit,
            "",
            "certificate = { dns = \"a.example.net\" }\n"
        )));
        let without = text(unfit, "", "").replace(", \"psk\"]", "]");
        assert!(!found(&without), "no key may come");
    }
    let fits = format!("identity = \"{}\"", "i".repeat(256));
    assert!(!found(&text(&fits, "", "")));
}
