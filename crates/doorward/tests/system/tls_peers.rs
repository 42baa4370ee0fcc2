//! TLS as others wrote it: the `ssl` module of Python (OpenSSL behind it) and tlslite-ng from PyPI, which is not.

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::{Place, Server, all_said};
use crate::wire::author;

/// Connects, sends the octets of its last argument and prints the reply, in hexadecimal digits.
const PYTHON_SSL: &str = r#"
import socket, ssl, sys
host, port, version, packet = sys.argv[1], int(sys.argv[2]), sys.argv[3], bytes.fromhex(sys.argv[4])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations("ca.pem")
context.load_cert_chain("core1.pem", "core1.key")
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
with socket.create_connection((host, port), 20) as plain:
    with context.wrap_socket(plain, server_hostname="aaa1.doorward.test") as tls:
        tls.sendall(packet)
        reply = b""
        while len(reply) < 18:
            more = tls.recv(18 - len(reply))
            if not more:
                break
            reply += more
        print(tls.version(), reply.hex())
"#;

/// The same with settings of tlslite-ng, and with a certificate where `cert` is among them.
const TLSLITE: &str = r#"
import socket, sys
from tlslite.api import TLSConnection, HandshakeSettings, X509CertChain, parsePEMKey
host, port, packet = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
settings = HandshakeSettings()
settings.minVersion = settings.maxVersion = (3, 4)
# It would compress its certificate for a server that has not said it can read that (RFC 8879 section 4).
settings.certificate_compression_send = []
chain = key = None
for argument in sys.argv[4:]:
    name, _, value = argument.partition("=")
    if name == "cert":
        chain = X509CertChain()
        chain.parsePemList(open(value + ".pem").read())
        key = parsePEMKey(open(value + ".key").read(), private=True)
    else:
        setattr(settings, name, eval(value))
connection = TLSConnection(socket.create_connection((host, port), 20))
connection.handshakeClientCert(chain, key, settings=settings, serverName="aaa1.doorward.test")
connection.write(packet)
print(connection.getVersionName(), bytes(connection.read(min=18, max=18)).hex())
"#;

/// Whether alice may run `show`, as its octets over TLS.
fn question() -> String {
    let question = author(7, "alice", &["service=shell", "cmd=show"]);
    let octets = question.flags(1).octets(None);
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A reply to it that says PASS_ADD.
const PERMITTED: &str = "TLSv1.3 c00202010000000700000006010000000000";

fn run(place: &Place, program: &str, script: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(["-c", script])
        .args(arguments)
        .current_dir(place.path(""))
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    all_said(&output)
}

fn python_ssl(place: &Place, server: SocketAddr, version: &str) -> String {
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    let arguments = [&host, &port, version, &question()];
    run(place, "python3", PYTHON_SSL, &arguments)
}

fn tlslite(place: &Place, server: SocketAddr, settings: &[&str]) -> String {
    let venv = std::env::var("DOORWARD_INTEROP_VENV").unwrap_or_else(|_| {
        panic!("DOORWARD_INTEROP_VENV names no virtual environment with the PyPI package tlslite-ng; run the tests by ./scripts/test")
    });
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    let question = question();
    let arguments = [&[host.as_str(), &port, &question], settings].concat();
    run(place, &format!("{venv}/bin/python"), TLSLITE, &arguments)
}

/// Its name for the version differs.
fn permitted(said: &str) -> bool {
    said.replace("TLS 1.3", "TLSv1.3").trim() == PERMITTED
}

#[test]
fn python_is_served_over_tls_1_3_and_refused_below() {
    let place = Place::demo();
    let mut server = place.start();
    let said = python_ssl(&place, server.tls(), "TLSv1_3");
    assert!(permitted(&said), "{said}");
    let said = python_ssl(&place, server.tls(), "TLSv1_2");
    assert!(said.contains("ALERT_PROTOCOL_VERSION"), "{said}");
    server.wait_for_log(&["\"reason\":\"tls-version\""]);
}

#[test]
fn tlslite_is_served_by_its_certificate() {
    let place = Place::demo();
    let server = place.start();
    let with = |settings: &[&str]| tlslite(&place, server.tls(), settings);
    let said = with(&["cert=core1"]);
    assert!(permitted(&said), "{said}");
    for group in ["x25519", "secp256r1", "secp384r1"] {
        let curves = format!("eccCurves=['{group}']");
        let shares = format!("keyShares=['{group}']");
        let said = with(&["cert=core1", &curves, &shares]);
        let known = group != "secp384r1";
        assert_eq!(permitted(&said), known, "{group}: {said}");
    }
    for cipher in ["aes128gcm", "aes256gcm", "chacha20-poly1305"] {
        let said = with(&["cert=core1", &format!("cipherNames=['{cipher}']")]);
        assert!(permitted(&said), "{cipher}: {said}");
    }
    // No share for a group we have: the server asks for one (HelloRetryRequest).
    let said = with(&["cert=core1", "keyShares=[]"]);
    assert!(permitted(&said), "{said}");
    let said = with(&["cert=core1", "minVersion=(3,3)", "maxVersion=(3,3)"]);
    assert!(said.contains("protocol_version"), "{said}");
    let said = with(&[]);
    assert!(said.contains("certificate_required"), "{said}");
    let said = with(&["cert=stolen1"]);
    assert!(said.contains("certificate_revoked"), "{said}");
}

/// A place whose listener takes keys, beside certificates or alone; the server; the key of core1.
fn by_key(auth: &str) -> (Place, Server, String) {
    let place = crate::psk::place(auth);
    let server = place.start();
    let key = place.text("core1.psk");
    (place, server, key)
}

fn keys(list: &[(&str, &str)]) -> String {
    let one =
        |(identity, key): &(&str, &str)| format!("({identity}, bytes.fromhex('{key}'), 'sha256')");
    let all: Vec<String> = list.iter().map(one).collect();
    format!("pskConfigs=[{}]", all.join(", "))
}

#[test]
fn tlslite_is_served_by_a_key() {
    for auth in ["[\"psk\"]", "[\"certificate\", \"psk\"]"] {
        let (place, server, key) = by_key(auth);
        let with = |settings: &[&str]| tlslite(&place, server.tls(), settings);
        let ours = keys(&[("b'core1.example.net'", &key)]);
        let said = with(&[&ours]);
        assert!(permitted(&said), "{auth}: {said}");
        // A key without a key exchange has no forward secrecy.
        let said = with(&[&ours, "psk_modes=['psk_ke']"]);
        assert!(said.contains("handshake_failure"), "{auth}: {said}");
        // The hello that comes again after a HelloRetryRequest has to carry a good binder as well.
        let said = with(&[&ours, "keyShares=[]"]);
        assert!(permitted(&said), "{auth}: {said}");
        // Ours is the last of many.
        let mut many = vec![("b'core2.example.net'", "00".repeat(32)); 30];
        many.push(("b'core1.example.net'", key.clone()));
        let many: Vec<(&str, &str)> = many.iter().map(|(id, key)| (*id, &**key)).collect();
        let said = with(&[&keys(&many)]);
        assert!(permitted(&said), "{auth}: {said}");
    }
}

#[test]
fn what_tlslite_has_wrong_about_a_key_is_one_thing_to_it() {
    let (place, mut server, key) = by_key("[\"psk\"]");
    let with = |settings: &[&str]| tlslite(&place, server.tls(), settings);
    let other = "ab".repeat(32);
    let wrong = with(&[&keys(&[("b'core1.example.net'", &other)])]);
    let unknown = with(&[&keys(&[("b'core2.example.net'", &key)])]);
    let strange = with(&[&keys(&[("bytes([0, 255, 10])", &key)])]);
    let long = with(&[&keys(&[("b'x' * 513", &key)])]);
    let longer = with(&[&keys(&[("b'x' * 9000", &key)])]);
    for said in [&wrong, &unknown, &strange, &long, &longer] {
        assert!(said.contains("decrypt_error"), "{said}");
    }
    // No hello is that long.
    let huge = with(&[&keys(&[("b'x' * 60000", &key)])]);
    assert!(huge.contains("decode_error"), "{huge}");
    server.wait_for_log(&["\"reason\":\"psk-key\""]);
    server.wait_for_log(&["\"reason\":\"psk-identity\""]);
    server.wait_for_log(&["\"reason\":\"client-hello\"", "too long"]);
    let said = tlslite(
        &place,
        server.tls(),
        &[&keys(&[("b'core1.example.net'", &key)])],
    );
    assert!(permitted(&said), "none of it cost anybody else: {said}");
}
