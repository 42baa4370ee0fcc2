//! What holds for RadSec over TLS and over DTLS alike: ports, suites, names, chains.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Output;

use doorward_radius::Code;

use crate::dtls::dtls;
use crate::dtls_device::{Dtls, Proof};
use crate::foreign::{CORE1, openssl_client};
use crate::harness::{AS_CORE1, Place, Server, all_said, code, doorward, stdout};
use crate::radius::{RadSec, status};

const NAMED: [&str; 2] = ["--server-name", "aaa1.doorward.test"];
const BY_KEY: [&str; 4] = [
    "--psk-identity",
    "lab-pe1.doorward.test",
    "--psk-key",
    "file:lab-pe1.psk",
];
/// The flags for each transport, and the listener.
pub(crate) const TRANSPORTS: [(&str, &str); 2] =
    [("--tls", "radius-tls"), ("--dtls", "radius-dtls")];

/// `doorward radius` with these flags.
pub(crate) fn ask(place: &Place, address: SocketAddr, arguments: &[&str]) -> Output {
    doorward()
        .arg("radius")
        .args(arguments)
        .args(["--server", &address.to_string(), "--json"])
        .current_dir(place.path(""))
        .output()
        .unwrap()
}

/// That the library does the same is shown by the demo, whose self-test is the library's (`the_demo_proves_what_it_says`).
///
/// proves: RAD-3-2, RAD-3.3.2-1, RAD-3.3.2-2
#[test]
fn our_client_is_served_over_both_by_certificate_and_by_key() {
    let place = Place::demo();
    let server = place.start();
    let by_certificate = [&AS_CORE1[..], &NAMED].concat();
    for (transport, protocol) in TRANSPORTS {
        for (proof, auth, device) in [
            (&by_certificate[..], "certificate", "core1"),
            (&BY_KEY[..], "psk", "lab-pe1"),
        ] {
            let alice = [
                "access",
                "--user",
                "alice",
                "--password",
                "file:alice.password",
            ];
            for (command, wanted) in [
                (&alice[..], "Access-Accept"),
                (
                    &[
                        "accounting",
                        "--start",
                        "--user",
                        "alice",
                        "--session-id",
                        protocol,
                    ],
                    "Accounting-Response",
                ),
                (&["status"], "Access-Accept"),
            ] {
                let all = [command, &[transport], proof].concat();
                let output = ask(&place, server.address(protocol), &all);
                let said = stdout(&output);
                assert_eq!(code(&output), 0, "{}", all_said(&output));
                assert!(said.contains(wanted), "{said}");
                assert!(said.contains(&format!("\"auth\":\"{auth}\"")), "{said}");
            }
            let found = place.ask(&["acct", "search", "--json", "--device", device]);
            let found = stdout(&found);
            assert!(
                found.contains(&format!("Acct-Session-Id={protocol}")),
                "{found}"
            );
        }
    }
}

/// The number is 2083 where the file says none; on an address of this test alone that nobody else has taken it.
///
/// proves: RAD-3-1
#[test]
fn one_server_answers_on_2083_by_both() {
    let place = Place::demo();
    let ours = place.text("doorward.toml");
    for (_, protocol) in TRANSPORTS {
        place.move_listener(protocol, None);
    }
    let told = crate::servers_apart::devices_of(&place);
    for (_, protocol) in TRANSPORTS {
        let line = format!("listener {protocol} [::]:2083: with");
        assert!(told.contains(&line), "{told}");
    }
    std::fs::write(place.config(), ours).unwrap();
    for (_, protocol) in TRANSPORTS {
        place.move_listener(protocol, Some("127.83.20.83:2083"));
    }
    let server = place.start();
    for (transport, protocol) in TRANSPORTS {
        let address = server.address(protocol);
        assert_eq!(address.to_string(), "127.83.20.83:2083");
        let all = [&["status", transport][..], &AS_CORE1, &NAMED].concat();
        let output = ask(&place, address, &all);
        assert_eq!(code(&output), 0, "{}", all_said(&output));
    }
}

/// What `openssl s_client` says of a handshake, and of nothing else.
fn shakes_hands(place: &Place, server: &Server, version: &str, arguments: &[&str]) -> String {
    let dtls = version == "-dtls1_2";
    let protocol = if dtls { "radius-dtls" } else { "radius-tls" };
    let believed = [
        version,
        "-CAfile",
        "ca.pem",
        "-servername",
        "aaa1.doorward.test",
    ];
    let all = [&believed[..], arguments].concat();
    let mut child = openssl_client(place, server.address(protocol), &all);
    // The end of its input ends it after the handshake.
    drop(child.stdin.take());
    all_said(&child.wait_with_output().unwrap())
}

/// RFC 9325 sections 3.1.1, 3.5 and 4.1, at peers that are limited to 1.2; and our client offers nothing else.
///
/// proves: RAD-3.2-5
#[test]
fn at_1_2_the_weak_is_refused_and_handshakes_are_bound() {
    let place = Place::demo();
    let server = place.start();
    let key = place.text("lab-pe1.psk");
    let by_key = ["-psk_identity", "lab-pe1.doorward.test", "-psk", &key];
    for version in ["-tls1_2", "-dtls1_2"] {
        for (proof, suite) in [
            (&CORE1[..], "ECDHE-ECDSA-AES128-GCM-SHA256"),
            (&CORE1[..], "ECDHE-ECDSA-AES256-GCM-SHA384"),
            (&CORE1[..], "ECDHE-ECDSA-CHACHA20-POLY1305"),
            (&by_key[..], "ECDHE-PSK-CHACHA20-POLY1305"),
        ] {
            let said = shakes_hands(
                &place,
                &server,
                version,
                &[proof, &["-cipher", suite]].concat(),
            );
            assert!(
                said.contains(&format!("Cipher is {suite}")),
                "{version}: {said}"
            );
            assert!(
                said.contains("Extended master secret: yes"),
                "{version} {suite}: {said}"
            );
            assert!(
                said.contains("Secure Renegotiation IS supported"),
                "{version} {suite}: {said}"
            );
        }
        // CBC, SHA-1, RSA as key exchange, none at all, and no forward secrecy.
        for (proof, suite) in [
            (&CORE1[..], "ECDHE-ECDSA-AES128-SHA256"),
            (&CORE1[..], "ECDHE-ECDSA-AES256-SHA384"),
            (&CORE1[..], "ECDHE-ECDSA-AES128-SHA"),
            (&CORE1[..], "AES128-GCM-SHA256"),
            (&CORE1[..], "AES128-SHA"),
            (&CORE1[..], "ECDHE-ECDSA-NULL-SHA"),
            (&by_key[..], "PSK-AES128-GCM-SHA256"),
            (&by_key[..], "RSA-PSK-AES128-GCM-SHA256"),
            (&by_key[..], "ECDHE-PSK-AES128-CBC-SHA256"),
        ] {
            let suite = format!("{suite}:@SECLEVEL=0");
            let said = shakes_hands(
                &place,
                &server,
                version,
                &[proof, &["-cipher", &suite]].concat(),
            );
            assert!(
                said.contains("alert number 40"),
                "{version} {suite}: {said}"
            );
        }
        let sha1 = [
            "-sigalgs",
            "ECDSA+SHA1:RSA+SHA1",
            "-cipher",
            "ALL:@SECLEVEL=0",
        ];
        let said = shakes_hands(&place, &server, version, &[&CORE1[..], &sha1].concat());
        assert!(said.contains("alert number 40"), "{version} {said}");
    }
    offers_nothing_weak(&place);
}

fn offers_nothing_weak(place: &Place) {
    let by_certificate = [&AS_CORE1[..], &NAMED].concat();
    for (transport, _) in TRANSPORTS {
        for proof in [&by_certificate[..], &BY_KEY] {
            let datagrams = transport == "--dtls";
            let hello = first_flight(place, transport, proof);
            let offered = suites(&hello, datagrams);
            let strong = |one: &u16| STRONG.contains(one);
            assert!(offered.iter().any(strong), "{offered:04x?}");
            let all = offered.iter().all(|one| strong(one) || *one == SIGNAL);
            assert!(all, "{transport} {proof:?}: {offered:04x?}");
            let kinds = extensions(&hello, datagrams);
            // extended_master_secret, and renegotiation_info or the word for it.
            assert!(kinds.contains(&23), "{transport} {proof:?}: {kinds:?}");
            let bound = kinds.contains(&0xff01) || offered.contains(&SIGNAL);
            assert!(bound, "{transport} {proof:?}: {kinds:?} {offered:04x?}");
        }
    }
}

/// `openssl s_server` that knows nothing but version 1.2; it takes the handshake and answers nothing.
fn limited_server(place: &Place, version: &str) -> (std::process::Child, SocketAddr) {
    use std::io::BufRead;
    let mut child = std::process::Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", version])
        .args([
            "-cert",
            "server.pem",
            "-key",
            "server.key",
            "-CAfile",
            "ca.pem",
        ])
        .args(["-Verify", "1"])
        .current_dir(place.path(""))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let address = loop {
        let line = lines.next().unwrap().unwrap();
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            break address.parse().unwrap();
        }
    };
    (child, address)
}

struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Our server with a peer that is limited to 1.2, and our client with one.
///
/// proves: RAD-3.2-6
#[test]
fn peers_that_are_limited_to_1_2_are_spoken_to() {
    let place = Place::demo();
    let mut server = place.start();
    let mut device = RadSec::connect(&place, &server, &[&CORE1[..], &["-tls1_2"]].concat());
    assert_eq!(device.ask(&status(0)).header().code, Code::ACCESS_ACCEPT);
    server.wait_for_log(&["a device is connected", "radius-tls", "\"tls\":\"1.2\""]);
    let said = shakes_hands(&place, &server, "-dtls1_2", &CORE1);
    assert!(said.contains("Protocol  : DTLSv1.2"), "{said}");
    server.wait_for_log(&["a device is connected", "radius-dtls", "\"tls\":\"1.2\""]);
    let mut device = Dtls::core1(&place, dtls(&server));
    assert!(device.is_served());
    for (transport, version) in [("--tls", "-tls1_2"), ("--dtls", "-dtls1_2")] {
        let (child, address) = limited_server(&place, version);
        let mut child = Ended(child);
        let client = ["status", "--timeout", "2", transport];
        let output = ask(&place, address, &[&client[..], &AS_CORE1, &NAMED].concat());
        let said = all_said(&output);
        assert_eq!(code(&output), 3, "{said}");
        assert!(!said.contains("handshake"), "{said}");
        drop(child.0.stdin.take());
        _ = child.0.kill();
        let mut told = Vec::new();
        let mut out = child.0.stdout.take().unwrap();
        std::io::Read::read_to_end(&mut out, &mut told).unwrap();
        // The request is among it.
        let told = String::from_utf8_lossy(&told);
        assert!(
            told.contains("CIPHER is ECDHE-ECDSA-AES128-GCM-SHA256"),
            "{told}"
        );
        assert!(told.contains("core1.doorward.test"), "{told}");
    }
}

/// Where the compression methods of a hello begin, in the body behind version and random: the octet that counts them.
fn compression(body: &[u8], datagrams: bool) -> usize {
    let mut at = 34;
    at += 1 + usize::from(body[at]);
    if datagrams {
        at += 1 + usize::from(body[at]);
    }
    at + 2 + usize::from(u16::from_be_bytes([body[at], body[at + 1]]))
}

/// The headers of the record and of the message.
fn headers(datagrams: bool) -> usize {
    if datagrams { 13 + 12 } else { 5 + 4 }
}

/// The hello with deflate (RFC 3749) offered before none.
fn with_deflate(hello: &[u8], datagrams: bool) -> Vec<u8> {
    let start = headers(datagrams);
    let at = start + compression(&hello[start..], datagrams);
    assert_eq!(hello[at..at + 2], [1, 0], "nothing but none");
    let mut longer = [&hello[..at], &[2, 1, 0], &hello[at + 2..]].concat();
    // The lengths of the record, of the message, and of its one fragment.
    let lengths: &[usize] = if datagrams { &[11, 15, 23] } else { &[3, 7] };
    for place in lengths {
        let length = u16::from_be_bytes([longer[*place], longer[place + 1]]) + 1;
        longer[*place..place + 2].copy_from_slice(&length.to_be_bytes());
    }
    longer
}

/// Whether this is an alert, or a ServerHello without compression.
fn is_without(answer: &[u8], datagrams: bool) -> bool {
    let start = headers(datagrams);
    let header = if datagrams { 13 } else { 5 };
    if answer[0] == 21 {
        return true;
    }
    assert_eq!((answer[0], answer[header]), (22, 2), "{answer:?}");
    let at = start + 34;
    let suite = at + 1 + usize::from(answer[at]);
    answer[suite + 2] == 0
}

/// What our client sends first, over TLS or DTLS, to a server that says nothing.
pub(crate) fn first_flight(place: &Place, transport: &str, proof: &[&str]) -> Vec<u8> {
    let command = ["status", transport, "--timeout", "1"];
    let arguments = [&command[..], proof].concat();
    let mut hello = vec![0; 1 << 14];
    let length = if transport == "--dtls" {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        ask(place, socket.local_addr().unwrap(), &arguments);
        socket.recv(&mut hello).unwrap()
    } else {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        ask(place, listener.local_addr().unwrap(), &arguments);
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Read::read(&mut stream, &mut hello).unwrap()
    };
    hello.truncate(length);
    hello
}

/// Suites of TLS 1.3, and of TLS 1.2 with forward secrecy and authenticated encryption: by certificate, and by key on curves and
/// in finite fields.
const STRONG: [u16; 13] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9, 0xccac, 0xccad, 0x00aa,
    0x00ab,
];
/// Not a suite, but a word for renegotiation_info (RFC 5746 section 3.3).
const SIGNAL: u16 = 0x00ff;

/// The suites of a hello.
fn suites(hello: &[u8], datagrams: bool) -> Vec<u16> {
    let body = &hello[headers(datagrams)..];
    let end = compression(body, datagrams);
    let mut at = 34 + 1 + usize::from(body[34]);
    if datagrams {
        at += 1 + usize::from(body[at]);
    }
    let pairs = body[at + 2..end].chunks(2);
    pairs
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect()
}

/// The kinds of the extensions of a hello.
pub(crate) fn extensions(hello: &[u8], datagrams: bool) -> Vec<u16> {
    let body = &hello[headers(datagrams)..];
    let at = compression(body, datagrams);
    let mut rest = &body[at + 1 + usize::from(body[at]) + 2..];
    let mut kinds = Vec::new();
    while let [a, b, c, d, more @ ..] = rest {
        kinds.push(u16::from_be_bytes([*a, *b]));
        rest = &more[usize::from(u16::from_be_bytes([*c, *d]))..];
    }
    kinds
}

/// Neither compression, nor early data, nor a certificate after the handshake is in what our client offers, by certificate
/// and by key.
///
/// proves: RAD-3.2-10, RAD-3.2-13
#[test]
fn compression_and_early_data_are_neither_offered_nor_taken() {
    let place = Place::demo();
    let server = place.start();
    let by_certificate = [&AS_CORE1[..], &NAMED].concat();
    for (transport, protocol) in TRANSPORTS {
        let datagrams = transport == "--dtls";
        for proof in [&by_certificate[..], &BY_KEY] {
            let hello = first_flight(&place, transport, proof);
            let body = &hello[headers(datagrams)..];
            let at = compression(body, datagrams);
            assert_eq!(body[at..at + 2], [1, 0], "{transport} {proof:?}");
            let kinds = extensions(&hello, datagrams);
            assert!(!kinds.is_empty());
            // early_data and post_handshake_auth (RFC 8446 section 4.2).
            for never in [42, 49] {
                assert!(!kinds.contains(&never), "{transport} {proof:?}: {kinds:?}");
            }
            if datagrams {
                continue;
            }
            // The same with deflate: no version of TLS takes it.
            let answer =
                crate::hostile::throw(server.address(protocol), &with_deflate(&hello, false));
            assert!(is_without(&answer, false), "{answer:?}");
        }
    }
    // A hello of TLS 1.2 alone, where compression may be offered.
    let answer = crate::hostile::throw(
        server.address("radius-tls"),
        &with_deflate(&hello_of_1_2(), false),
    );
    assert_eq!(answer[0], 22, "a ServerHello: {answer:?}");
    assert!(is_without(&answer, false), "{answer:?}");
    // Over DTLS behind the cookie.
    let mut device = Dtls::new(
        &place,
        dtls(&server),
        "127.0.0.1",
        Proof::Certificate("core1"),
    );
    let first = device.drained().concat();
    device.socket.send(&with_deflate(&first, true)).unwrap();
    assert!(device.take(crate::harness::PATIENCE));
    let second = device.drained().concat();
    device.socket.send(&with_deflate(&second, true)).unwrap();
    let answer = device.raw(crate::harness::PATIENCE).unwrap();
    assert_eq!(answer[0], 22, "a ServerHello: {answer:?}");
    assert!(is_without(&answer, true), "{answer:?}");
    // What OpenSSL keeps of a session at 1.3 says how much early data would be taken with it.
    let arguments = [&CORE1[..], &["-tls1_3", "-ign_eof"]].concat();
    let believed = ["-CAfile", "ca.pem", "-servername", "aaa1.doorward.test"];
    let all = [&believed[..], &arguments].concat();
    let mut child = openssl_client(&place, server.address("radius-tls"), &all);
    let mut stdin = child.stdin.take().unwrap();
    // The server closes after this, so that both tickets have come.
    std::io::Write::write_all(&mut stdin, &[0; 20]).unwrap();
    let said = all_said(&child.wait_with_output().unwrap());
    drop(stdin);
    assert!(said.contains("Post-Handshake New Session Ticket"), "{said}");
    assert_eq!(
        said.matches("Max Early Data: ").count(),
        said.matches("Max Early Data: 0").count()
    );
    assert!(said.contains("Max Early Data: 0"), "{said}");
    let early = crate::hostile::hello(&[(42, &[])]);
    let answer = crate::hostile::throw(server.address("radius-tls"), &early);
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
}

/// With ECDHE, the extended master secret and nothing of TLS 1.3.
fn hello_of_1_2() -> Vec<u8> {
    let extensions: [&[u8]; 4] = [
        // extended_master_secret
        &[0, 23, 0, 0],
        // supported_groups: x25519
        &[0, 10, 0, 4, 0, 2, 0, 0x1d],
        // signature_algorithms: ecdsa_secp256r1_sha256
        &[0, 13, 0, 4, 0, 2, 4, 3],
        // ec_point_formats: uncompressed
        &[0, 11, 0, 2, 1, 0],
    ];
    let extensions = extensions.concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(&extensions);
    let length = u16::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(&body);
    record
}
