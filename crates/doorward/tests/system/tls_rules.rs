//! What RFC 9887 asks of the wire: nothing outside TLS, nothing weaker than TLS 1.3, no early data.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread::{JoinHandle, spawn};

use crate::foreign::{CORE1, TALKING, openssl_asks};
use crate::harness::{AS_CORE1, Place, Server, all_said, code, doorward, stderr};
use crate::wire::tcp;

/// A wire that remembers what went over it: one connection, each direction apart.
struct Wire {
    address: SocketAddr,
    recording: JoinHandle<(Vec<u8>, Vec<u8>)>,
}

impl Wire {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let recording = spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = tcp(server);
            let (from_client, to_server) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            let up = spawn(move || copy(from_client, to_server));
            let down = copy(server, client);
            (up.join().unwrap(), down)
        });
        Self { address, recording }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> Vec<u8> {
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count) = from.read(&mut chunk) {
        if count == 0 || to.write_all(&chunk[..count]).is_err() {
            break;
        }
        all.extend_from_slice(&chunk[..count]);
    }
    _ = to.shutdown(Shutdown::Write);
    all
}

/// The types of the records that octets consist of, with nothing between or after them.
fn records(mut octets: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while !octets.is_empty() {
        assert_eq!(octets[1], 3, "a version of TLS");
        let length = usize::from(u16::from_be_bytes([octets[3], octets[4]]));
        kinds.push(octets[0]);
        octets = &octets[5 + length..];
    }
    kinds
}

fn contains(octets: &[u8], wanted: &[u8]) -> bool {
    octets.windows(wanted.len()).any(|window| window == wanted)
}

/// proves: TLS-3.1-2, TLS-3.1-3, TLS-3.1-8
#[test]
fn a_login_leaves_nothing_on_the_wire_but_tls() {
    let place = Place::demo();
    let server = place.start();
    let wire = Wire::to(server.tls());
    let name = ["--server-name", "aaa1.doorward.test"];
    let answer = place.log_in(wire.address, &[&AS_CORE1[..], &name].concat());
    assert_eq!(code(&answer), 0, "{}", stderr(&answer));
    let (up, down) = wire.recording.join().unwrap();
    let (sent, heard) = (records(&up), records(&down));
    assert_eq!((sent[0], heard[0]), (22, 22), "both begin with a handshake");
    let tls = |kinds: &[u8]| kinds.iter().all(|kind| matches!(kind, 20 | 22 | 23));
    assert!(tls(&sent) && tls(&heard), "{sent:?} {heard:?}");
    assert!(sent.contains(&23) && heard.contains(&23));
    let password = place.text("alice.password");
    for octets in [&up, &down] {
        assert!(!contains(octets, b"alice"));
        assert!(!contains(octets, password.trim().as_bytes()));
        // Version, type, sequence and flag of the packets that were exchanged.
        for header in [
            [0xc1, 1, 1, 5],
            [0xc1, 1, 1, 1],
            [0xc1, 1, 2, 5],
            [0xc1, 1, 2, 1],
        ] {
            assert!(!contains(octets, &header));
        }
    }
}

/// What `openssl s_client` prints that asks one question.
fn s_client(place: &Place, server: &Server, arguments: &[&str]) -> String {
    let (said, errors) = openssl_asks(place, server, &[&TALKING, arguments].concat());
    String::from_utf8_lossy(&said).into_owned() + &errors
}

/// OpenSSL decodes what we send inside the handshake and after it.
///
/// proves: TLS-5.1.2-4
#[test]
fn no_message_of_the_server_speaks_of_early_data() {
    let place = Place::demo();
    let server = place.start();
    let trace = s_client(&place, &server, &[&CORE1[..], &["-trace"]].concat());
    for message in ["EncryptedExtensions", "NewSessionTicket", "Finished"] {
        assert!(trace.contains(message), "{message}: {trace}");
    }
    assert!(!trace.contains("early_data"), "{trace}");
    assert!(trace.contains("Max Early Data: 0"), "{trace}");
}

/// A certificate of the demo's CA for a key of OpenSSL's making.
fn certificate(place: &Place, key: &str) {
    std::fs::write(
        place.path("weak.ext"),
        "subjectAltName=DNS:core1.doorward.test\nextendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n",
    )
    .unwrap();
    let script = format!(
        "openssl req -new -newkey {key} -nodes -keyout weak.key -subj /CN=weak -out weak.csr && \
         openssl x509 -req -in weak.csr -CA ca.pem -CAkey ca.key -days 2 -extfile weak.ext -out weak.pem"
    );
    let made = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(code(&made), 0, "{}", stderr(&made));
}

/// Signatures with SHA-1 no tool offers any more: the hand-made hello is among the tests of the channel.
///
/// proves: TLS-5.1.3-1
#[test]
fn what_bcp_195_has_given_up_is_refused() {
    let place = Place::demo();
    let mut server = place.start();
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    let cases: [(&[&str], &str); 4] = [
        (&["-tls1_2"], "\"reason\":\"tls-version\""),
        (&["-tls1_1"], "\"reason\":\"tls-version\""),
        // Static RSA is a matter of TLS 1.2 and goes with it.
        (
            &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
            "\"reason\":\"tls-version\"",
        ),
        (
            &["-tls1_3", "-groups", "ffdhe2048"],
            "there is no common group",
        ),
    ];
    for (arguments, reason) in cases {
        let all = [&CORE1[..], &weak, arguments].concat();
        let said = s_client(&place, &server, &all);
        assert!(said.contains("alert"), "{arguments:?}: {said}");
        server.wait_for_log(&[reason]);
    }
    certificate(&place, "rsa:1024");
    let weak_key = ["-cert", "weak.pem", "-key", "weak.key", "-tls1_3"];
    let said = s_client(&place, &server, &[&weak[..], &weak_key].concat());
    assert!(said.contains("alert"), "{said}");
    server.wait_for_log(&["an RSA key has only 1024 bits"]);
    certificate(&place, "rsa:2048");
    let strong = s_client(&place, &server, &weak_key);
    assert!(strong.contains("New, TLSv1.3"), "{strong}");
    server.wait_for_log(&["\"outcome\":\"permit\"", "\"device\":\"core1\""]);
}

/// proves: TLS-5.1.3-2
#[test]
fn what_tls_1_3_makes_mandatory_works_alone() {
    let place = Place::demo();
    let server = place.start();
    let offers: [&[&str]; 4] = [
        &["-groups", "P-256"],
        &["-groups", "X25519"],
        // The share is of a group that we do not take: HelloRetryRequest.
        &["-groups", "P-521:P-256"],
        &["-sigalgs", "ECDSA+SHA256:RSA-PSS+SHA256"],
    ];
    for offer in offers {
        let said = s_client(&place, &server, &[&CORE1[..], offer].concat());
        assert!(said.contains("New, TLSv1.3"), "{offer:?}: {said}");
    }
    for (key, scheme) in [
        ("rsa:2048", "RSA-PSS+SHA256"),
        ("ec -pkeyopt ec_paramgen_curve:P-256", "ECDSA+SHA256"),
    ] {
        certificate(&place, key);
        let all = [
            "-cert",
            "weak.pem",
            "-key",
            "weak.key",
            "-client_sigalgs",
            scheme,
        ];
        let said = s_client(&place, &server, &all);
        assert!(said.contains("New, TLSv1.3"), "{key}: {said}");
    }
}

fn findings(place: &Place) -> String {
    let checked = place.check();
    assert_eq!(code(&checked), 0, "{}", stderr(&checked));
    all_said(&checked)
}

/// proves: TLS-3.1-6, TLS-5.1.1-4
#[test]
fn a_plain_listener_on_the_host_of_tls_is_told_of() {
    let place = Place::tacacs();
    assert!(
        !findings(&place).contains("plain-beside-tls"),
        "loopback is no network"
    );
    place.edit(&[("address  = \"127.0.0.1:0\"\n", "address  = \"0.0.0.0:0\"\n")]);
    let said = findings(&place);
    assert_eq!(
        said.matches("warning[plain-beside-tls]").count(),
        1,
        "{said}"
    );
    assert!(said.contains("RFC 9887 section 5.1.1"), "{said}");
    let mut server = place.start();
    server.wait_for_log(&["warning[plain-beside-tls]"]);
}

/// proves: TLS-3.4.2-5, TLS-5.1.6-2
#[test]
fn a_wildcard_in_our_own_certificate_is_told_of_with_what_it_covers() {
    let place = Place::demo();
    assert!(!findings(&place).contains("wildcard-certificate"));
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec![
        "aaa1.doorward.test".to_owned(),
        "*.doorward.test".to_owned(),
    ];
    let params = rcgen::CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &place.ca()).unwrap();
    std::fs::write(place.path("server.pem"), certificate.pem()).unwrap();
    std::fs::write(place.path("server.key"), key.serialize_pem()).unwrap();
    let said = findings(&place);
    assert_eq!(
        said.matches("warning[wildcard-certificate]").count(),
        1,
        "{said}"
    );
    assert!(
        said.contains("every host right under doorward.test"),
        "{said}"
    );
}

/// proves: TLS-5.1.6-3
#[test]
fn servers_found_by_dns_under_one_identity_are_told_of() {
    let warn = |servers: &[&str], name: &[&str]| {
        let mut command = doorward();
        command.args([
            "client",
            "authenticate",
            "--user",
            "alice",
            "--password",
            "plain:x",
        ]);
        for server in servers {
            command.args(["--server", server]);
        }
        let place = Place::demo();
        let output = command
            .args(AS_CORE1)
            .args(["--timeout", "1"])
            .args(name)
            .current_dir(place.path(""))
            .output()
            .unwrap();
        stderr(&output).contains("several servers are found by DNS")
    };
    let one = ["--server-name", "aaa.t.example.net"];
    assert!(warn(&["localhost:1", "localhost:2"], &one));
    assert!(!warn(&["localhost:1", "localhost:2"], &[]));
    assert!(!warn(&["127.0.0.1:1", "127.0.0.1:2"], &one));
    assert!(!warn(&["localhost:1"], &one));
}

/// proves: TLS-3.1-5
#[test]
fn one_address_and_port_for_both_is_an_error_and_no_start() {
    for (tls, plain) in [
        ("127.0.0.1:4300", "127.0.0.1:4300"),
        ("[::]:4300", "127.0.0.1:4300"),
    ] {
        let place = Place::demo();
        let config = std::fs::read_to_string(place.config()).unwrap();
        let config = config
            .replacen("\"127.0.0.1:0\"", &format!("\"{tls}\""), 1)
            .replacen("\"127.0.0.1:0\"", &format!("\"{plain}\""), 1);
        std::fs::write(place.config(), config).unwrap();
        for command in [vec!["check"], vec!["run", "--config"]] {
            let refused = doorward()
                .args(&command)
                .arg(place.config())
                .output()
                .unwrap();
            assert_eq!(code(&refused), 1);
            let said = all_said(&refused);
            let why = "a plain listener and one with TLS never share an address and port";
            assert!(said.contains(why), "{said}");
        }
    }
}

#[test]
fn a_server_for_tls_only_has_no_plain_listener() {
    let place = Place::with(&[("name    = \"demo\"", "name    = \"demo\"\ntls_only = true")]);
    let refused = place.check();
    let said = all_said(&refused);
    assert_eq!(code(&refused), 1);
    assert!(
        said.contains("this listener is plain, and `tls_only` of [server] allows none"),
        "{said}"
    );
    assert!(
        said.contains("this device has a secret for plain connections, and `tls_only`"),
        "{said}"
    );
}
