//! What rules and the log know of a connection: address, certificate and key, each item with its value.

use std::process::Command;

use doorward_radius::Code;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    KeyPair, KeyUsagePurpose,
};
use serde_json::Value;

use crate::audit::search_until;
use crate::harness::{Place, Server, stdout};
use crate::radius_wire::Device;
use crate::radsec_psk::by_key;
use crate::wire::client_config;
use crate::{psk, radius};

/// Where the device with the certificate comes from.
const SOURCE: &str = "127.0.4.5";
const NAMES: &str = "dns:core1.doorward.test, ip:192.0.2.77, uri:urn:Doorward:core1, directory:CN=core1,O=Example, srv:_tacacss.doorward.test, realm:example.org";
const POLICIES: &str = "1.3.6.1.4.1.32473.1, 1.3.6.1.4.1.32473.2";

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(contents.len()).unwrap()][..], contents].concat()
}

/// One attribute of a distinguished name: 2.5.4.`kind`.
fn attribute(kind: u8, value: &str) -> Vec<u8> {
    let pair = [
        element(0x06, &[0x55, 4, kind]),
        element(0x0c, value.as_bytes()),
    ];
    element(0x31, &element(0x30, &pair.concat()))
}

/// otherName of the kind id-on 8.`last` with its value.
fn other_name(last: u8, tag: u8, value: &str) -> Vec<u8> {
    let oid = element(0x06, &[0x2b, 6, 1, 5, 5, 7, 8, last]);
    let value = element(0xa0, &element(tag, value.as_bytes()));
    element(0xa0, &[oid, value].concat())
}

/// subjectAltName with a name of every kind.
fn names() -> CustomExtension {
    let directory = [attribute(10, "Example"), attribute(3, "core1")].concat();
    let names = [
        element(0x82, b"Core1.Doorward.TEST"),
        element(0x87, &[192, 0, 2, 77]),
        element(0x86, b"urn:Doorward:core1"),
        element(0xa4, &element(0x30, &directory)),
        other_name(7, 0x16, "_tacacss.doorward.test"),
        other_name(8, 0x0c, "example.org"),
    ];
    let names = names.concat();
    let length = u8::try_from(names.len()).unwrap();
    let names = [&[0x30, 0x81, length][..], &names].concat();
    CustomExtension::from_oid_content(&[2, 5, 29, 17], names)
}

/// certificatePolicies with two of the arc for examples (RFC 5612).
fn policies() -> CustomExtension {
    let policy = |last| {
        let oid = [0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, last];
        element(0x30, &element(0x06, &oid))
    };
    let policies = element(0x30, &[policy(1), policy(2)].concat());
    CustomExtension::from_oid_content(&[2, 5, 29, 32], policies)
}

/// `device.pem` and `device.key`, by the demo's CA.
fn issue(place: &Place) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example");
    params
        .distinguished_name
        .push(DnType::CommonName, "the subject");
    params.custom_extensions = vec![names(), policies()];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 17]),
    ];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.signed_by(&key, &place.ca()).unwrap();
    std::fs::write(place.path("device.pem"), certificate.pem()).unwrap();
    std::fs::write(place.path("device.key"), key.serialize_pem()).unwrap();
}

/// What another program says of the certificate.
fn openssl(place: &Place, what: &str) -> String {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-nameopt", "RFC2253", "-sha256"])
        .args(["-in", "device.pem", what])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = stdout(&output);
    let (_, value) = said.trim().split_once('=').unwrap();
    value.to_owned()
}

/// Keys of `when`, each with what is right and with what is not.
type Keys = Vec<(&'static str, String, &'static str)>;

/// A user and a rule for each key and value, and no other rule that is for somebody.
fn rules(place: &Place, keys: &Keys) {
    let mut text = String::new();
    for (at, (key, right, wrong)) in keys.iter().enumerate() {
        for (user, value) in [("right", right.as_str()), ("wrong", wrong)] {
            text += &format!(
                "[user.{user}{at}]\npassword = \"file:alice.hash\"\n[[rule]]\nname = \"{user}{at}\"\nwhen = {{ user = \"{user}{at}\", {key} = {value:?} }}\nrole = \"watcher\"\n"
            );
        }
    }
    let audit = "[audit]\ndecisions = \"all\"\n[[accounting]]";
    place.edit(&[
        ("[metrics]", &format!("{text}[metrics]")),
        ("[[accounting]]", audit),
    ]);
}

/// The line of the one connection.
fn connected(server: &mut Server) -> Value {
    let line = server.wait_for_log(&["a device is connected"]);
    serde_json::from_str(&line).unwrap()
}

/// Each right value was found by its rule, as the audit says, and no wrong one by any.
fn judged(place: &Place, keys: &Keys) {
    let permits = search_until(place, &["--outcome", "pass"], keys.len());
    let denials = search_until(place, &["--outcome", "fail"], keys.len());
    assert_eq!((permits.len(), denials.len()), (keys.len(), keys.len()));
    for (at, key) in keys.iter().enumerate() {
        let of = |found: &[Value], user: &str| {
            let user = Value::from(format!("{user}{at}"));
            found.iter().find(|one| one["user"] == user).cloned()
        };
        let permit = of(&permits, "right").unwrap();
        let rule = Value::from(format!("[[rule]] right{at}"));
        assert_eq!(permit["rule"]["text"], rule, "{:?}: {permit}", key);
        let denial = of(&denials, "wrong").unwrap();
        assert_eq!(denial["reason"], "no-rule", "{:?}: {denial}", key);
    }
}

fn of_the_certificate(place: &Place) -> Keys {
    let digits = openssl(place, "-fingerprint");
    let mut keys = vec![
        ("address", "127.0.4.0/24".to_owned(), "127.0.5.0/24"),
        (
            "fingerprint",
            digits,
            "sha256:abababababababababababababababababababababababababababababababab",
        ),
        (
            "issuer",
            openssl(place, "-issuer"),
            "CN=the subject,O=Example",
        ),
        ("subject", openssl(place, "-subject"), "CN=Doorward demo CA"),
        ("eku", "clientAuth".to_owned(), "serverAuth"),
        ("eku", "1.3.6.1.5.5.7.3.17".to_owned(), "1.3.6.1.5.5.7.3.18"),
        (
            "policy_oid",
            "1.3.6.1.4.1.32473.2".to_owned(),
            "1.3.6.1.4.1.32473.3",
        ),
    ];
    let wrong = [
        "dns:core2.doorward.test",
        "ip:192.0.2.78",
        "uri:urn:doorward:core1",
        "directory:CN=the subject,O=Example",
        "srv:_radsec.doorward.test",
        "realm:core1.doorward.test",
    ];
    let right = NAMES.split(", ").map(str::to_owned);
    keys.extend(right.zip(wrong).map(|(right, wrong)| ("san", right, wrong)));
    // As nobody would mind to write it.
    keys.push((
        "san",
        "dns:CORE*.doorward.TEST".to_owned(),
        "dns:*.core1.doorward.test",
    ));
    keys
}

/// proves: RAD-6.3-1
#[test]
fn each_item_of_a_certificate_is_in_the_log_and_in_rules() {
    let place = Place::demo();
    issue(&place);
    let keys = of_the_certificate(&place);
    rules(&place, &keys);
    let mut server = place.start();
    let config = client_config(&place, Some("device"));
    let address = server.address("radius-tls");
    let mut device = Device::connect(address, SOURCE, &config).unwrap();
    let line = connected(&mut server);
    let source = line["source"].as_str().unwrap();
    assert!(source.starts_with(&format!("{SOURCE}:")), "{line}");
    let fingerprint = openssl(&place, "-fingerprint").replace(':', "");
    for (item, value) in [
        ("device", "core1"),
        ("auth", "certificate"),
        ("fingerprint", &fingerprint.to_lowercase()),
        ("issuer", &openssl(&place, "-issuer")),
        ("subject", &openssl(&place, "-subject")),
        ("eku", "clientAuth, 1.3.6.1.5.5.7.3.17"),
        ("san", NAMES),
        ("policy_oid", POLICIES),
    ] {
        assert_eq!(line[item], value, "{item}: {line}");
    }
    assert_eq!(line["psk_identity"], Value::Null);
    let password = place.text("alice.password");
    let mut id = 0;
    let mut log_in = |user: String| {
        id += 1;
        device.ask(&radius::pap(id, &user, &password)).header().code
    };
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(
            log_in(format!("right{at}")),
            Code::ACCESS_ACCEPT,
            "{:?}",
            key
        );
        assert_eq!(
            log_in(format!("wrong{at}")),
            Code::ACCESS_REJECT,
            "{:?}",
            key
        );
    }
    judged(&place, &keys);
}

/// Of a pre-shared key there is the identity and the address, and nothing that a certificate would say.
///
/// proves: RAD-6.3-1
#[test]
fn address_and_identity_of_a_pre_shared_key_are_in_the_log_and_in_rules() {
    let place = psk::place_of("radius-tls", "[\"psk\"]");
    let keys = vec![
        ("address", "127.0.0.1".to_owned(), "127.0.4.0/24"),
        (
            "psk_identity",
            "core1.example.net".to_owned(),
            "core2.example.net",
        ),
        ("psk_identity", "core*".to_owned(), "core1"),
        ("address", "127.0.0.0/8".to_owned(), "10.0.0.0/8"),
    ];
    rules(&place, &keys);
    // What has no certificate has no empty one either.
    let zero = "00".repeat(32);
    let empty = format!(
        "[[rule]]\nwhen = {{ user = \"wrong*\", fingerprint = \"{zero}\" }}\nrole = \"watcher\"\n[[rule]]\nwhen = {{ user = \"wrong*\", san = [\"dns:*\", \"ip:*\"] }}\nrole = \"watcher\"\n[metrics]"
    );
    place.edit(&[("[metrics]", &empty)]);
    let mut server = place.start();
    let key = place.text("core1.psk");
    let mut peer = by_key(&place, &server, "-tls1_3", "core1.example.net", &key);
    let line = connected(&mut server);
    let source = line["source"].as_str().unwrap();
    assert!(source.starts_with("127.0.0.1:"), "{line}");
    for (item, value) in [
        ("device", "core1"),
        ("auth", "psk"),
        ("psk_identity", "core1.example.net"),
    ] {
        assert_eq!(line[item], value, "{item}: {line}");
    }
    for item in [
        "fingerprint",
        "issuer",
        "subject",
        "eku",
        "san",
        "policy_oid",
    ] {
        assert_eq!(line[item], Value::Null, "{item}: {line}");
    }
    let password = place.text("alice.password");
    let mut session = 0;
    let mut log_in = |user: String| {
        session += 1;
        let answer = peer.ask(&radius::pap(session, &user, &password));
        answer.header().code
    };
    for (at, key) in keys.iter().enumerate() {
        let right = log_in(format!("right{at}"));
        assert_eq!(right, Code::ACCESS_ACCEPT, "{:?}", key);
        let wrong = log_in(format!("wrong{at}"));
        assert_eq!(wrong, Code::ACCESS_REJECT, "{:?}", key);
    }
    judged(&place, &keys);
    let (_, log) = server.stop();
    assert!(!log.contains(&key));
}
