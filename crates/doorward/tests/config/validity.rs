//! Certificates and revocation lists that end, and what their end means; names that would choose a profile.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
};

use crate::context::{NOW, TestContext};

const DAY: i64 = 24 * 3600;

fn at(days: i64) -> SystemTime {
    let seconds = u64::try_from(NOW + days * DAY).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Messages about a profile whose certificate and whose list end so many days from now.
fn messages(certificate: i64, list: i64, revocation: &str) -> String {
    with_ca((-400, 4000), certificate, list, revocation)
}

/// The same with a CA, and one below it that our own certificate is from, that are valid between these days.
fn with_ca(days: (i64, i64), certificate: i64, list: i64, revocation: &str) -> String {
    let context = TestContext::new();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name = rcgen::DistinguishedName::new();
    ca.distinguished_name.push(DnType::CommonName, "Device CA");
    (ca.not_before, ca.not_after) = (at(days.0).into(), at(days.1).into());
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let (sub_key, mut sub) = (KeyPair::generate().unwrap(), ca.clone());
    sub.distinguished_name = rcgen::DistinguishedName::new();
    sub.distinguished_name.push(DnType::CommonName, "Server CA");
    let issuer = Issuer::new(ca, &ca_key);
    let sub_certificate = sub.signed_by(&sub_key, &issuer).unwrap();
    let sub_issuer = Issuer::new(sub, &sub_key);
    let key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(vec!["aaa1.example.net".into()]).unwrap();
    server.not_before = at(-400).into();
    server.not_after = at(certificate).into();
    let server = server.signed_by(&key, &sub_issuer).unwrap();
    let crl = CertificateRevocationListParams {
        this_update: at(-100).into(),
        next_update: at(list).into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let crl = crl.signed_by(&issuer).unwrap();
    context.file("ca.pem", &ca_certificate.pem());
    context.file("ca.crl", &crl.pem().unwrap());
    let chain = [server.pem(), sub_certificate.pem(), ca_certificate.pem()];
    context.file("server.pem", &chain.concat());
    context.file("server.key", &key.serialize_pem());
    context.messages(&format!(
        r#"version = 1
[role.all]
[[rule]]
role = "all"
[[listen]]
protocol = "tacacs-tls"
address = "[::1]:3000"
[tls.default]
certificate = "server.pem"
key = "file:server.key"
client_ca = "ca.pem"
crl = "ca.crl"
revocation = "{revocation}"
"#
    ))
}

#[test]
fn what_ends_soon_is_warned_of_where_it_is_named() {
    assert_eq!(messages(31, 8, "require"), "");
    insta::assert_snapshot!(messages(29, 6, "require"));
}

#[test]
fn what_has_ended_is_warned_of_where_it_is_named() {
    insta::assert_snapshot!(messages(-1, -1, "require"));
}

#[test]
fn a_ca_that_ends_takes_its_devices_and_our_chain_with_it() {
    assert_eq!(with_ca((-400, 31), 60, 20, "require"), "");
    insta::assert_snapshot!(
        "a_ca_that_ends_soon",
        with_ca((-400, 29), 60, 20, "require")
    );
    insta::assert_snapshot!(
        "a_ca_that_has_ended",
        with_ca((-400, -1), 60, 20, "require")
    );
    insta::assert_snapshot!("a_ca_of_the_future", with_ca((1, 400), 60, 20, "require"));
}

#[test]
fn a_list_that_is_not_required_or_not_asked_for() {
    let soon = messages(31, 6, "if-available");
    assert!(
        soon.contains("later revocations will go unnoticed then"),
        "{soon}"
    );
    let over = messages(31, -1, "if-available");
    assert!(over.contains(": later revocations go unnoticed"), "{over}");
    let off = messages(31, -1, "off");
    assert!(!off.contains("out of date"), "{off}");
}

#[test]
fn names_that_could_choose_no_profile_are_refused() {
    let context = TestContext::new();
    crate::context::certificates(&context);
    let profile = |name: &str, sni: &str| {
        format!(
            r#"[tls.{name}]
certificate = "tls/server.pem"
key = "file:tls/server.key"
client_ca = "tls/ca.pem"
crl = "tls/ca.crl"
revocation = "if-available"
sni = {{ required = false, names = [{sni}] }}
"#
        )
    };
    let listen = "version = 1\n[role.all]\n[[rule]]\nrole = \"all\"\n[[listen]]\nprotocol = \"tacacs-tls\"\naddress = \"[::1]:3000\"\n";
    let one = format!("{listen}{}", profile("default", "\"aaa1.example.net\""));
    assert_eq!(context.messages(&one), "");
    let spare = format!("{one}{}", profile("spare", ""));
    assert_eq!(context.messages(&spare), "");
    let two = format!("{one}{}", profile("other", "\"aaa2.example.net\""));
    insta::assert_snapshot!(context.messages(&two));
}
