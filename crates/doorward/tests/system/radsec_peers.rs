//! Whom RadSec believes, over TLS and over DTLS: chains and names.

use std::io::Write;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType,
};

use crate::foreign::openssl_client;
use crate::harness::{Place, Server, all_said, code, doorward, stdout};
use crate::radsec_both::{TRANSPORTS, ask};

const REFUSED: &str = "doorward_refused_total{reason=\"certificate-path\"}";
const NAME: &str = "aaa1.doorward.test";

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn root() -> Authority {
    CertifiedIssuer::self_signed(authority("Another root"), KeyPair::generate().unwrap()).unwrap()
}

fn below(upper: &Authority, name: &str, change: fn(&mut CertificateParams)) -> Authority {
    let mut params = authority(name);
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), upper).unwrap()
}

/// The Common Name and the names that count.
type Names<'a> = (&'a str, &'a [SanType]);

/// A certificate for both sides of TLS as `NAME.pem` and `NAME.key`, with the authorities above it behind it.
fn pair(
    place: &Place,
    file: &str,
    issuer: &Authority,
    above: &[&Authority],
    (common, names): Names<'_>,
) {
    let mut params = params(common);
    params.subject_alt_names = names.to_vec();
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, issuer).unwrap().pem();
    let above: String = above.iter().map(|one| one.pem()).collect();
    std::fs::write(place.path(&format!("{file}.pem")), leaf + &above).unwrap();
    std::fs::write(place.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// The demo that believes the other root too, and shows `ours`.
fn believing(root: &Authority) -> Place {
    let place = Place::with(&[
        (
            "client_ca   = [\"ca.pem\"]",
            "client_ca = [\"ca.pem\", \"root.pem\"]",
        ),
        ("revocation  = \"require\"", "revocation = \"off\""),
    ]);
    std::fs::write(place.path("root.pem"), root.pem()).unwrap();
    place
}

/// What `openssl s_client` says of a handshake as `file`, and of the end that the server makes of it.
fn comes_as(place: &Place, server: &Server, version: &str, file: &str) -> String {
    let protocol = match version {
        "-dtls1_2" => "radius-dtls",
        _ => "radius-tls",
    };
    let (chain, key) = (format!("{file}.pem"), format!("{file}.key"));
    let arguments = [
        version,
        "-CAfile",
        "ca.pem",
        "-servername",
        NAME,
        "-ign_eof",
        "-cert",
        &chain,
        "-cert_chain",
        &chain,
        "-key",
        &key,
    ];
    let mut child = openssl_client(place, server.address(protocol), &arguments);
    let mut stdin = child.stdin.take().unwrap();
    // A packet that the server closes for, where it has let the device in.
    _ = stdin.write_all(&[0; 20]);
    let said = all_said(&child.wait_with_output().unwrap());
    drop(stdin);
    said
}

/// The vectors of the channel's `chains_that_break_a_rule_of_path_validation_are_refused`: an issuer that is no CA, a path that is
/// too long, names that are not the authority's, and a critical extension that nobody knows.
///
/// proves: RAD-3.3.1-6
#[test]
fn chains_that_break_a_rule_are_refused_on_both_sides_of_both() {
    type Change = fn(&mut CertificateParams);
    let nothing: Change = |_| ();
    let no_ca: Change = |params| params.is_ca = IsCa::ExplicitNoCa;
    let no_sub: Change = |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let elsewhere: Change = |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
            excluded_subtrees: Vec::new(),
        });
    };
    let critical: Change = |params| {
        let mut odd = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 1], vec![5, 0]);
        odd.set_criticality(true);
        params.custom_extensions.push(odd);
    };
    let root = root();
    let place = believing(&root);
    let mut files = Vec::new();
    for (of_upper, of_lower, file, alert) in [
        (nothing, nothing, "good", None),
        (nothing, no_ca, "issuer-not-ca", Some(48)),
        (no_sub, nothing, "path-length", Some(48)),
        (nothing, elsewhere, "name-constraint", Some(42)),
        (nothing, critical, "critical-extension", Some(42)),
    ] {
        let upper = below(&root, "upper", of_upper);
        let lower = below(&upper, "lower", of_lower);
        let names = [dns("core1.doorward.test"), dns(NAME)];
        pair(&place, file, &lower, &[&lower, &upper], ("router", &names));
        files.push((file, alert));
    }
    let mut server = place.start();
    let mut refused = 0.0;
    for (file, alert) in &files {
        for (round, version) in ["-tls1_3", "-tls1_2", "-dtls1_2"].into_iter().enumerate() {
            let said = comes_as(&place, &server, version, file);
            match alert {
                Some(number) => {
                    let number = format!("alert number {number}");
                    assert!(said.contains(&number), "{version} {file}: {said}");
                    refused += 1.0;
                    server.wait_for(REFUSED, refused);
                }
                None => {
                    assert!(!said.contains("alert number"), "{version} {file}: {said}");
                    let texts = ["a device is connected", "\"device\":\"core1\""];
                    server.wait_for_logs(&texts, round + 1);
                }
            }
        }
    }
    drop(server);
    for (file, alert) in &files {
        shows(&place, file);
        let server = place.start();
        for (transport, protocol) in TRANSPORTS {
            let output = asked(&place, &server, transport, protocol, NAME);
            let said = all_said(&output);
            let wanted = if alert.is_some() { 3 } else { 0 };
            assert_eq!(code(&output), wanted, "{transport} {file}: {said}");
            assert_eq!(said.contains("handshake failed"), alert.is_some(), "{said}");
        }
    }
}

/// Our server shows this certificate from now on.
fn shows(place: &Place, file: &str) {
    let text = place.text("doorward.toml");
    let lines = text.lines().map(|line| {
        if line.starts_with("certificate = \"") {
            format!("certificate = \"{file}.pem\"")
        } else if line.starts_with("key         = ") {
            format!("key         = \"file:{file}.key\"")
        } else {
            line.to_owned()
        }
    });
    let lines: Vec<String> = lines.collect();
    std::fs::write(place.config(), lines.join("\n") + "\n").unwrap();
}

/// Status-Server by our client, who believes the other root and wants this name.
fn asked(
    place: &Place,
    server: &Server,
    transport: &str,
    protocol: &str,
    name: &str,
) -> std::process::Output {
    let proof = [
        "--ca",
        "root.pem",
        "--cert",
        "core1.pem",
        "--key",
        "core1.key",
    ];
    let all = [&["status", transport, "--server-name", name][..], &proof].concat();
    ask(place, server.address(protocol), &all)
}

/// RFC 9525 section 6: who the server says it is, by what kind of name, and how far a wildcard goes.
///
/// proves: RAD-3.3.1-15, RAD-3.3.1-23
#[test]
fn the_name_of_a_server_is_judged_alike_over_both() {
    let root = root();
    let place = believing(&root);
    let here = SanType::IpAddress([127, 0, 0, 1].into());
    let cases: [(Names<'_>, &[(&str, bool)]); 4] = [
        (
            ("router", &[dns(NAME), here]),
            &[
                (NAME, true),
                ("AAA1.Doorward.TEST", true),
                ("aaa2.doorward.test", false),
                ("doorward.test", false),
                ("127.0.0.1", true),
                ("127.0.0.2", false),
            ],
        ),
        (
            ("router", &[dns("*.doorward.test")]),
            &[
                (NAME, true),
                ("doorward.test", false),
                ("a.aaa1.doorward.test", false),
                ("127.0.0.1", false),
            ],
        ),
        (("router", &[dns("a*.doorward.test")]), &[(NAME, false)]),
        // The Common Name is for people.
        ((NAME, &[dns("aaa2.doorward.test")]), &[(NAME, false)]),
    ];
    for (round, (names, references)) in cases.into_iter().enumerate() {
        let file = format!("named{round}");
        pair(&place, &file, &root, &[], names);
        shows(&place, &file);
        judge(&place, references, &file);
    }
    // The Common Name alone.
    pair(&place, "common", &root, &[], (NAME, &[]));
    shows(&place, "common");
    judge(&place, &[(NAME, false), ("127.0.0.1", false)], "common");
}

fn judge(place: &Place, references: &[(&str, bool)], file: &str) {
    let server = place.start();
    for (transport, protocol) in TRANSPORTS {
        for (reference, good) in references {
            let output = asked(place, &server, transport, protocol, reference);
            let said = all_said(&output);
            let wanted = if *good { 0 } else { 3 };
            assert_eq!(
                code(&output),
                wanted,
                "{file} {transport} {reference}: {said}"
            );
            assert_eq!(said.contains("handshake failed"), !good, "{said}");
        }
    }
}

/// There is no flag and no key to take a certificate as it comes; without anchors nothing is asked and nothing served.
///
/// proves: RAD-3.3.1-25
#[test]
fn no_certificate_is_taken_as_it_comes() {
    let place = Place::demo();
    let said = |arguments: &[&str]| {
        let output = doorward().args(arguments).output().unwrap();
        stdout(&output).to_lowercase()
    };
    for command in ["access", "accounting", "status"] {
        let help = said(&["radius", command, "--help"]);
        assert!(help.contains("--ca"), "{help}");
        for word in [
            "insecure",
            "no-verify",
            "skip",
            "unchecked",
            "any certificate",
        ] {
            assert!(!help.contains(word), "{word}: {help}");
        }
    }
    let schema: serde_json::Value = serde_json::from_str(&said(&["schema"])).unwrap();
    let mut keys = Vec::new();
    names(&schema, &mut keys);
    assert!(keys.contains(&"client_ca"), "{keys:?}");
    for key in keys {
        for word in ["insecure", "verify", "unchecked"] {
            assert!(!key.contains(word), "{key}");
        }
    }
    let server = place.start();
    for (transport, protocol) in TRANSPORTS {
        let core1 = ["--cert", "core1.pem", "--key", "core1.key"];
        let named = ["status", transport, "--server-name", NAME];
        // Whom to believe is not told.
        let output = ask(
            &place,
            server.address(protocol),
            &[&named[..], &core1].concat(),
        );
        assert_eq!(code(&output), 64, "{}", all_said(&output));
    }
    place.edit(&[("client_ca   = [\"ca.pem\"]\n", "")]);
    drop(server);
    let server = place.start();
    for (transport, protocol) in TRANSPORTS {
        let proof = [
            "--ca",
            "ca.pem",
            "--cert",
            "core1.pem",
            "--key",
            "core1.key",
        ];
        let named = ["status", transport, "--server-name", NAME];
        let output = ask(
            &place,
            server.address(protocol),
            &[&named[..], &proof].concat(),
        );
        assert_eq!(code(&output), 3, "{}", all_said(&output));
    }
}

/// The names of a schema's properties.
fn names<'a>(value: &'a serde_json::Value, into: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::Object(object) => {
            if let Some(serde_json::Value::Object(properties)) = object.get("properties") {
                into.extend(properties.keys().map(String::as_str));
            }
            object.values().for_each(|one| names(one, into));
        }
        serde_json::Value::Array(array) => array.iter().for_each(|one| names(one, into)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}
