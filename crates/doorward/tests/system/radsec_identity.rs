//! Who a RadSec client is, rule by rule of section 3.3.1 of RFC 6614bis: radsecproxy shows the certificates, radclient asks.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, OtherNameValue,
    SanType, SerialNumber,
};

use crate::foreign::{CORE1, openssl_client};
use crate::harness::{Place, Server, all_said, code, stdout};
use crate::radius::{RadSec, status};
use crate::radsecproxy::Proxy;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// id-on-naiRealm (RFC 7585 section 2.2).
const NAI_REALM: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 8];

/// Devices, each known by something else. What a certificate says decides which of them it is, if any.
const DEVICES: &str = r#"
[device.by-name]
certificate = { dns = ["proxy.name.test"] }
[device.by-address]
certificate = { ip = ["192.0.2.77"] }
[device.by-address-as-name]
certificate = { dns = ["192.0.2.78"] }
[device.by-range]
address = ["127.0.2.0/24"]
certificate = { ip = ["peer"] }
[device.by-uri]
certificate = { uri = ["urn:doorward:proxy"] }
[device.by-realm]
certificate = { realm = ["example.org"] }
[device.by-policy]
certificate = { policy_oid = ["1.3.6.1.4.1.32473.1"] }
[device.by-serial]
certificate = { issuer = "ISSUER", serial = "0abc" }
[device.by-wildcard]
certificate = { dns = ["a.wild.test"], realm = ["a.wild.example"], wildcard = true }
[device.without-wildcard]
certificate = { dns = ["a.strict.test"], realm = ["a.strict.example"] }
[device.with-property]
certificate = { dns = ["both.name.test"], policy_oid = ["1.3.6.1.4.1.32473.2"] }
[device.elsewhere]
address = ["192.0.2.0/24"]
certificate = { dns = ["elsewhere.name.test"] }
"#;

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn ip(address: &str) -> SanType {
    SanType::IpAddress(address.parse().unwrap())
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn realm(name: &str) -> SanType {
    let name = OtherNameValue::Utf8String(name.to_owned());
    SanType::OtherName((NAI_REALM.to_vec(), name))
}

/// certificatePolicies with the policy 1.3.6.1.4.1.32473.`last`, of the arc for examples (RFC 5612).
fn policy(last: u8) -> CustomExtension {
    let oid = [0x06, 9, 0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, last];
    let sequence = |octets: &[u8]| {
        let length = u8::try_from(octets.len()).unwrap();
        [&[0x30, length][..], octets].concat()
    };
    CustomExtension::from_oid_content(&[2, 5, 29, 32], sequence(&sequence(&oid)))
}

/// What a certificate of a client says beyond being one.
#[derive(Default)]
struct Says {
    names: Vec<SanType>,
    common_name: &'static str,
    policies: Vec<CustomExtension>,
    serial: Option<u64>,
    expired: bool,
}

fn says(names: Vec<SanType>) -> Says {
    Says {
        names,
        ..Says::default()
    }
}

/// `NAME.pem` and `NAME.key`.
fn issue(place: &Place, name: &str, issuer: &Issuer<'_, KeyPair>, says: Says) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, says.common_name);
    params.subject_alt_names = says.names;
    params.custom_extensions = says.policies;
    params.serial_number = says.serial.map(SerialNumber::from);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let now = SystemTime::now();
    params.not_before = (now - 2 * DAY).into();
    params.not_after = (if says.expired { now - DAY } else { now + DAY }).into();
    let certificate = params.signed_by(&key, issuer).unwrap();
    std::fs::write(place.path(&format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(place.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// A CA of this name, its certificate in `NAME.pem`, and its list, which revokes nothing, in `NAME.crl`.
fn authority(place: &Place, name: &str) -> Issuer<'static, KeyPair> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(place.path(&format!("{name}.pem")), certificate.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let now = SystemTime::now();
    let list = CertificateRevocationListParams {
        this_update: (now - DAY).into(),
        next_update: (now + DAY).into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap();
    std::fs::write(place.path(&format!("{name}.crl")), list.pem().unwrap()).unwrap();
    issuer
}

/// A RadSec listener with those devices, which trusts the demo's CA and a second one; and the second one.
fn site() -> (Place, Issuer<'static, KeyPair>) {
    let place = Place::demo();
    let second = authority(&place, "second-ca");
    let output = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in"])
        .arg(place.path("ca.pem"))
        .output()
        .unwrap();
    let subject = stdout(&output);
    let issuer = subject.trim().strip_prefix("subject=").unwrap();
    place.edit(&[
        (
            "client_ca   = [\"ca.pem\"]",
            "client_ca   = [\"ca.pem\", \"second-ca.pem\"]",
        ),
        (
            "crl         = [\"ca.crl\"]",
            "crl         = [\"ca.crl\", \"second-ca.crl\"]",
        ),
        (
            "[device.core1]",
            &format!("{}\n[device.core1]", DEVICES.replace("ISSUER", issuer)),
        ),
    ]);
    (place, second)
}

/// A login of alice through radsecproxy with this certificate, from this address.
fn log_in(place: &Place, server: &Server, certificate: &str, source: &str) -> String {
    let proxy = Proxy::start_at(place, server, certificate, source);
    let password = place.text("alice.password");
    proxy.ask(
        "auth",
        &format!(
            "User-Name = \"alice\"\nUser-Password = \"{password}\"\nMessage-Authenticator = 0x00\n"
        ),
    )
}

/// Where most connect from.
const HERE: &str = "127.0.0.1";

/// Devices, from where they connect, and certificates that are theirs.
fn good() -> Vec<(&'static str, &'static str, Says)> {
    let with_policy = |names, last| Says {
        policies: vec![policy(last)],
        ..says(names)
    };
    let with_serial = Says {
        serial: Some(0x0abc),
        ..Says::default()
    };
    vec![
        ("by-name", HERE, says(vec![dns("Proxy.NAME.test")])),
        // Another certificate of the same client, beside names of others that nobody has.
        (
            "by-name",
            "127.0.7.7",
            says(vec![
                dns("x.test"),
                realm("x.example"),
                dns("proxy.name.test"),
            ]),
        ),
        ("by-address", HERE, says(vec![ip("192.0.2.77")])),
        ("by-range", "127.0.2.5", says(vec![ip("127.0.2.5")])),
        (
            "by-range",
            "127.0.2.250",
            says(vec![ip("192.0.2.9"), ip("127.0.2.250")]),
        ),
        ("by-uri", HERE, says(vec![uri("urn:doorward:proxy")])),
        ("by-realm", HERE, says(vec![realm("Example.ORG")])),
        ("by-policy", HERE, with_policy(vec![], 1)),
        ("by-policy", HERE, with_policy(vec![dns("whoever.test")], 1)),
        ("by-serial", HERE, with_serial),
        ("by-wildcard", HERE, says(vec![dns("*.wild.test")])),
        ("by-wildcard", HERE, says(vec![realm("*.wild.example")])),
        (
            "with-property",
            HERE,
            with_policy(vec![dns("both.name.test")], 2),
        ),
    ]
}

/// proves: RAD-3.3.1-4, RAD-3.3.1-27, RAD-3.3.1-28, RAD-3.3.1-31, RAD-3.3.1-32, RAD-3.4-4
#[test]
fn good_certificates_log_in_as_the_device_they_name() {
    let (place, second) = site();
    let mut server = place.start();
    let mut logins = Vec::new();
    for (at, (device, source, certificate)) in good().into_iter().enumerate() {
        let name = format!("good{at}");
        issue(&place, &name, &place.ca(), certificate);
        let said = log_in(&place, &server, &name, source);
        assert!(
            said.contains("Received Access-Accept"),
            "{name} {device}: {said}"
        );
        logins.push(device);
        let count = logins.iter().filter(|one| **one == device).count();
        let device = format!("\"device\":\"{device}\"");
        server.wait_for_logs(
            &[&device, "\"user\":\"alice\"", "\"outcome\":\"pass\""],
            count,
        );
    }
    // Of the other CA that is trusted.
    issue(
        &place,
        "second",
        &second,
        says(vec![dns("proxy.name.test")]),
    );
    let said = log_in(&place, &server, "second", HERE);
    assert!(said.contains("Received Access-Accept"), "{said}");
    let page = server.page();
    let refused = page.series("doorward_refused_total");
    let refused: f64 = refused.map(|(_, count)| count).sum();
    assert_eq!(refused, 0.0, "nobody was refused");
}

/// Why most are refused: the path is good, and nobody is meant.
const NOBODY: &str = "certificate-matches-no-device";

/// Certificates that are no device, each with the reason.
fn bad() -> Vec<(&'static str, Says)> {
    let property = |last| Says {
        policies: vec![policy(last)],
        ..says(vec![dns("both.name.test")])
    };
    let policy_of_another = Says {
        policies: vec![policy(3)],
        ..Says::default()
    };
    let only_common_name = Says {
        common_name: "proxy.name.test",
        ..Says::default()
    };
    let serial_of_another = Says {
        serial: Some(0x0abd),
        ..Says::default()
    };
    let expired = Says {
        expired: true,
        ..says(vec![dns("proxy.name.test")])
    };
    vec![
        (NOBODY, says(vec![dns("other.name.test")])),
        (NOBODY, says(vec![dns("name.test")])),
        (NOBODY, only_common_name),
        // The crossed cases: a name that looks like an address, and an address where a name is wanted.
        (NOBODY, says(vec![dns("192.0.2.77")])),
        (NOBODY, says(vec![ip("192.0.2.78")])),
        (NOBODY, says(vec![ip("192.0.2.79")])),
        (NOBODY, says(vec![uri("urn:doorward:other")])),
        (NOBODY, says(vec![dns("example.org")])),
        (NOBODY, says(vec![realm("example.com")])),
        (NOBODY, says(vec![realm("proxy.name.test")])),
        (NOBODY, policy_of_another),
        (NOBODY, Says::default()),
        (NOBODY, serial_of_another),
        // With the name, and without the property that is wanted besides.
        (NOBODY, says(vec![dns("both.name.test")])),
        (NOBODY, property(3)),
        // Wildcards: not asked for, not a whole label, not the left-most, more than one label, none.
        (NOBODY, says(vec![dns("*.strict.test")])),
        (NOBODY, says(vec![realm("*.strict.example")])),
        (NOBODY, says(vec![dns("a*.wild.test")])),
        (NOBODY, says(vec![dns("a.*.test")])),
        (NOBODY, says(vec![dns("*.test")])),
        (NOBODY, says(vec![dns("*.a.wild.test")])),
        (NOBODY, says(vec![realm("a*.wild.example")])),
        ("certificate-date", expired),
    ]
}

/// Each at a server of its own, whose log and figures are about nothing else.
///
/// proves: RAD-3.3.1-4, RAD-3.3.1-27, RAD-3.3.1-29, RAD-3.3.1-30, RAD-3.3.1-33, RAD-3.3.1-34, RAD-3.4-6, RAD-3.4-8
#[test]
fn bad_certificates_get_nothing_through() {
    let (place, _) = site();
    let unknown = authority(&place, "unknown-ca");
    let refused = |certificate: &str, source: &str, reason: &str| {
        let mut server = place.start();
        let proxy = Proxy::start_at(&place, &server, certificate, source);
        server.wait_for_log(&[
            &format!("\"reason\":\"{reason}\""),
            &format!("\"source\":\"{source}:"),
            "\"listener\":\"radius-tls",
        ]);
        let series = format!("doorward_refused_total{{reason=\"{reason}\"}}");
        let counted = server.page().get(&series);
        assert!(counted >= Some(1.0), "{certificate}: {reason}: {counted:?}");
        drop(proxy);
        let (_, log) = server.stop();
        assert!(!log.contains("\"device\":"), "{certificate}: served: {log}");
    };
    for (at, (reason, certificate)) in bad().into_iter().enumerate() {
        let name = format!("bad{at}");
        issue(&place, &name, &place.ca(), certificate);
        refused(&name, HERE, reason);
    }
    issue(
        &place,
        "foreign",
        &unknown,
        says(vec![dns("proxy.name.test")]),
    );
    refused("foreign", HERE, "certificate-path");
    refused("stolen1", HERE, "certificate-revoked");
    // In the range with the address of another, and with its own address outside of the range.
    issue(&place, "range", &place.ca(), says(vec![ip("127.0.2.9")]));
    refused("range", "127.0.2.8", NOBODY);
    let outside = says(vec![ip("127.0.3.1")]);
    issue(&place, "outside", &place.ca(), outside);
    refused("outside", "127.0.3.1", "device-address");
    let elsewhere = says(vec![dns("elsewhere.name.test")]);
    issue(&place, "elsewhere", &place.ca(), elsewhere);
    refused("elsewhere", HERE, "device-address");
    // To trust a network instead of a policy or a name is nothing that the file can say.
    place.edit(&[(
        "certificate = { policy_oid = [\"1.3.6.1.4.1.32473.1\"] }",
        "certificate = {}",
    )]);
    let output = place.check();
    assert_eq!(code(&output), 1);
    let said = all_said(&output);
    assert!(
        said.contains("name what the certificate has to say"),
        "{said}"
    );
}

/// The client has proven who it is, and hears access_denied(49) and nothing else.
///
/// proves: RAD-3.4-8
#[test]
fn a_client_from_elsewhere_hears_access_denied() {
    let (place, _) = site();
    let mut server = place.start();
    let elsewhere = says(vec![dns("elsewhere.name.test")]);
    issue(&place, "elsewhere", &place.ca(), elsewhere);
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [version, "-cert", "elsewhere.pem", "-key", "elsewhere.key"];
        let mut device = RadSec::connect(&place, &server, &arguments);
        device.try_send(&status(0));
        assert_eq!(device.receive(), None, "{version}");
        let errors = device.errors();
        assert!(errors.contains("alert number 49"), "{version}: {errors}");
    }
    server.wait_for_logs(&["\"reason\":\"device-address\"", "radius-tls"], 2);
}

/// The names of `client_ca`, so that a client with several certificates knows which to show.
#[test]
fn the_trust_anchors_are_named_in_the_handshake() {
    let (place, _) = site();
    let server = place.start();
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [
            &CORE1[..],
            &[version, "-CAfile", "ca.pem", "-nameopt", "RFC2253"],
        ]
        .concat();
        let mut client = openssl_client(&place, server.address("radius-tls"), &arguments);
        // The end of its input is the end of the connection.
        drop(client.stdin.take());
        let said = stdout(&client.wait_with_output().unwrap());
        let (_, names) = said
            .split_once("Acceptable client certificate CA names\n")
            .unwrap_or_else(|| panic!("{version}: {said}"));
        let (names, _) = names.split_once("Requested Signature Algorithms").unwrap();
        let mut names: Vec<&str> = names
            .lines()
            .filter_map(|line| line.strip_prefix("CN="))
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["Doorward demo CA", "second-ca"], "{version}");
    }
}
