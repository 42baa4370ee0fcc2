//! Several certificates on one listener, chosen by the name a device asks for (SNI).

use std::process::{Command, Output};

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};

use crate::harness::{AS_CORE1, Place, Server, all_said, code, stderr, stdout};

/// The demo, whose listener has a second certificate, for `aaa2.doorward.test`.
fn place() -> Place {
    let place = Place::with(&[
        (
            "address  = \"127.0.0.1:0\"             # 0: any free port",
            "address  = \"127.0.0.1:0\"\ntls = [\"default\", \"second\"]",
        ),
        (
            "[device.core1]",
            "[tls.second]\ncertificate = \"second.pem\"\nkey = \"file:second.key\"\nclient_ca = [\"ca.pem\"]\ncrl = [\"ca.crl\"]\nsni = { names = [\"aaa2.doorward.test\", \"*.t.doorward.test\"] }\n[device.core1]",
        ),
    ]);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "second");
    params.subject_alt_names = ["aaa2.doorward.test", "*.t.doorward.test"]
        .map(|name| SanType::DnsName(name.try_into().unwrap()))
        .to_vec();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.signed_by(&key, &place.ca()).unwrap();
    std::fs::write(place.path("second.pem"), certificate.pem()).unwrap();
    std::fs::write(place.path("second.key"), key.serialize_pem()).unwrap();
    place
}

fn client(place: &Place, server: &Server, arguments: &[&str]) -> Output {
    place.log_in(server.tls(), &[&AS_CORE1, arguments].concat())
}

/// proves: TLS-3.4.2-11, TLS-3.4.2-12
#[test]
fn the_name_that_is_asked_for_chooses_the_certificate() {
    let place = place();
    let server = place.start();
    for name in [
        "aaa1.doorward.test",
        "aaa2.doorward.test",
        "x.t.doorward.test",
    ] {
        let answer = client(&place, &server, &["--server-name", name]);
        assert_eq!(code(&answer), 0, "{name}: {}", stderr(&answer));
    }
    // What is sent and what is believed are two things.
    let sent = ["--sni", "aaa2.doorward.test", "--server-name"];
    let answer = client(
        &place,
        &server,
        &[&sent[..], &["aaa2.doorward.test"]].concat(),
    );
    assert_eq!(code(&answer), 0, "{}", stderr(&answer));
    let answer = client(
        &place,
        &server,
        &[&sent[..], &["aaa1.doorward.test"]].concat(),
    );
    assert_eq!(code(&answer), 3);
    assert!(
        stderr(&answer).contains("for another name"),
        "{}",
        stderr(&answer)
    );
    // Without a name, and with one that nobody has, it is the first.
    for sni in ["none", "unknown.doorward.test"] {
        let arguments = ["--sni", sni, "--server-name", "aaa1.doorward.test"];
        let answer = client(&place, &server, &arguments);
        assert_eq!(code(&answer), 0, "{sni}: {}", stderr(&answer));
    }
}

#[test]
fn openssl_sees_the_certificate_of_the_name() {
    let place = place();
    let server = place.start();
    for (name, subject) in [
        ("aaa2.doorward.test", "second"),
        ("aaa1.doorward.test", "aaa1"),
    ] {
        let shown = Command::new("openssl")
            .args([
                "s_client",
                "-connect",
                &server.tls().to_string(),
                "-servername",
                name,
            ])
            .args([
                "-cert",
                "core1.pem",
                "-key",
                "core1.key",
                "-CAfile",
                "ca.pem",
            ])
            .current_dir(place.path(""))
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let shown = stdout(&shown);
        let line = shown
            .lines()
            .find(|line| line.starts_with("subject="))
            .unwrap();
        assert!(line.contains(subject), "{name}: {line}");
    }
}

#[test]
fn profiles_that_could_not_be_chosen_are_errors() {
    let cases = [
        (
            "sni = { names = [\"aaa2.doorward.test\", \"*.t.doorward.test\"] }",
            "",
            "is never chosen",
        ),
        (
            "tls = [\"default\", \"second\"]",
            "tls = [\"default\"]",
            "choose nothing",
        ),
        (
            "tls = [\"default\", \"second\"]",
            "tls = [\"second\", \"secnod\"]",
            "there is no [tls.secnod]",
        ),
        (
            "tls = [\"default\", \"second\"]",
            "tls = [\"second\", \"second\"]",
            "chooses [tls.second] and [tls.second]",
        ),
    ];
    for (old, new, message) in cases {
        let place = place();
        place.edit(&[(old, new)]);
        let checked = place.check();
        let said = all_said(&checked);
        assert_eq!(code(&checked), 1, "{said}");
        assert!(said.contains(message), "{message}: {said}");
    }
}
