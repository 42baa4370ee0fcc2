//! Devices and servers that are known by a bare key (RFC 7250).

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use crate::harness::{Place, Server, all_said, code, stderr, stdout};
use crate::wire::{Peer, author};

/// The pin of a key, as the guide says to make it.
fn pin(key: &Path) -> String {
    let made = Command::new("sh")
        .args([
            "-c",
            "openssl pkey -in \"$0\" -pubout -outform der | sha256sum | cut -d ' ' -f 1",
        ])
        .arg(key)
        .output()
        .unwrap();
    format!("sha256:{}", stdout(&made).trim())
}

/// The demo, whose `core1` may also show its key alone.
fn place() -> Place {
    let place = Place::demo();
    let key = pin(&place.path("core1.key"));
    place.edit(&[
        (
            "protocol = \"tacacs-tls\"",
            "protocol = \"tacacs-tls\"\nauth = [\"certificate\", \"raw-public-key\"]",
        ),
        (
            "certificate = { dns = [\"core1.doorward.test\"] }",
            &format!("raw_public_key = [\"{key}\"]"),
        ),
    ]);
    place
}

fn ask(place: &Place, server: &Server, pin: &str) -> Output {
    let ours = ["--raw-public-key", "--key", "core1.key"];
    let theirs = ["--server-pin", pin, "--server-name", "aaa1.doorward.test"];
    place.log_in(server.tls(), &[&ours[..], &theirs, &["--json"]].concat())
}

/// proves: TLS-3.3-3
#[test]
fn keys_alone_are_enough_on_both_sides() {
    let place = place();
    let mut server = place.start();
    let ours = pin(&place.path("server.key"));
    let answer = ask(&place, &server, &ours);
    assert_eq!(code(&answer), 0, "{}", stderr(&answer));
    assert!(
        stdout(&answer).contains("\"auth\":\"raw-public-key\""),
        "{}",
        stdout(&answer)
    );
    server.wait_for_log(&["\"outcome\":\"pass\"", "\"device\":\"core1\""]);
    let status = stdout(&place.ask(&["status", "--devices", "--json"]));
    assert!(status.contains("\"auth\":\"raw-public-key\""), "{status}");

    let answer = ask(&place, &server, &format!("sha256:{}", "00".repeat(32)));
    assert_eq!(code(&answer), 3, "no server decided");
    let why = "the server's raw public key is none of those that are pinned";
    assert!(stderr(&answer).contains(why), "{}", stderr(&answer));
}

/// A device that shows the key of `core1` and believes any server of the demo's CA.
fn bare(place: &Place) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = rustls::pki_types::CertificateDer::from_pem_file(place.path("ca.pem")).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_file(place.path("core1.key")).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let public = key.public_key().unwrap().to_vec();
    let shown = CertifiedKey::new(vec![public.into()], key);
    let resolver = AlwaysResolvesClientRawPublicKeys::new(Arc::new(shown));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(resolver));
    Arc::new(config)
}

/// proves: TLS-3.4.1-5
#[test]
fn a_pin_that_is_taken_out_ends_the_connection_and_the_next_one() {
    let place = place();
    let mut server = place.start();
    let config = bare(&place);
    let show = |session| author(session, "alice", &["service=shell", "cmd=show"]).flags(4);
    let mut peer = Peer::tls_with(server.tls(), Arc::clone(&config)).unwrap();
    assert_eq!(peer.ask(show(1)).body[0], 1);
    let key = pin(&place.path("core1.key"));
    place.edit(&[(&key, &format!("sha256:{}", "11".repeat(32)))]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert!(peer.rest().is_empty());
    server.wait_for_log(&[
        "\"reason\":\"key-matches-no-device\"",
        "the open connection of device core1 is closed",
    ]);
    let refused = Peer::tls_with(server.tls(), config).and_then(|mut peer| {
        peer.write(&show(2).flags(1).octets(None))?;
        peer.receive()
    });
    assert!(refused.is_err());
}

#[test]
fn the_same_key_on_two_devices_and_a_wrong_pin_are_told_of() {
    let place = place();
    let key = pin(&place.path("core1.key"));
    place.edit(&[(
        "[device.stolen1]",
        &format!("[device.twin]\nraw_public_key = [\"{key}\"]\n[device.odd]\nraw_public_key = [\"sha256:12\"]\n[device.stolen1]"),
    )]);
    let checked = place.check();
    assert_eq!(code(&checked), 1);
    let said = all_said(&checked);
    assert!(
        said.contains("a device that shows this would also be [device.core1]"),
        "{said}"
    );
    assert!(
        said.contains("this is no pin of a raw public key"),
        "{said}"
    );
}
