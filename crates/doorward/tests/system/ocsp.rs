//! Certificates judged by OCSP responders. The answers are made by the `openssl ocsp` of the system; only HTTP is ours.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};

use crate::exposition::Page;
use crate::foreign::{CORE1, TALKING, openssl_asks};
use crate::harness::{AS_CORE1, PATIENCE, Place, Server, code, stderr};
use crate::wire::{Packet, Peer, author, client_config};

/// What the next answers are like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// By the list.
    Answer,
    /// Nothing until the test says so, then by the list.
    Hesitate,
    /// Never.
    Hang,
    /// HTTP 500.
    Fail,
    /// No OCSP at all.
    Babble,
}

struct State {
    manner: Manner,
    /// `V` or `R`, and the serial number.
    list: Vec<(char, u64)>,
    asked: usize,
}

/// A responder of the demo's CA on loopback.
pub(crate) struct Responder {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    questions: Receiver<()>,
    pub(crate) go_on: Sender<()>,
}

impl Responder {
    fn start(place: &Place) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            manner: Manner::Answer,
            list: Vec::new(),
            asked: 0,
        }));
        let (asked, questions) = channel();
        let (go_on, wait) = channel();
        let (folder, shared) = (place.path(""), Arc::clone(&state));
        std::thread::spawn(move || {
            // Those that get no answer stay open, so that nobody mistakes their end for one.
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = request(&mut stream);
                let (manner, list) = {
                    let mut state = shared.lock().unwrap();
                    state.asked += 1;
                    (state.manner.clone(), state.list.clone())
                };
                if asked.send(()).is_err() {
                    return;
                }
                let reply = match manner {
                    Manner::Hang => {
                        hanging.push(stream);
                        continue;
                    }
                    Manner::Fail => {
                        _ = stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
                        continue;
                    }
                    Manner::Babble => b"hello".to_vec(),
                    Manner::Answer => answer(&folder, &request, &list),
                    Manner::Hesitate => {
                        if wait.recv().is_err() {
                            return;
                        }
                        answer(&folder, &request, &list)
                    }
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/ocsp-response\r\ncontent-length: {}\r\n\r\n",
                    reply.len()
                );
                _ = stream.write_all(&[head.as_bytes(), &reply].concat());
            }
        });
        Self {
            address,
            state,
            questions,
            go_on,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/ocsp", self.address)
    }

    pub(crate) fn set(&self, manner: Manner, list: &[(char, u64)]) {
        let mut state = self.state.lock().unwrap();
        state.manner = manner;
        state.list = list.to_vec();
    }

    fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    /// Waits until it is asked.
    pub(crate) fn is_asked(&self) {
        self.questions.recv_timeout(PATIENCE).unwrap();
    }
}

/// The body of one POST.
fn request(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    assert_eq!(head[0], "post /ocsp http/1.1");
    let media = "content-type: application/ocsp-request".to_owned();
    assert!(head.contains(&media), "{head:?}");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    body
}

/// What `openssl ocsp` answers for these certificates.
fn answer(folder: &std::path::Path, request: &[u8], list: &[(char, u64)]) -> Vec<u8> {
    let lines = list.iter().map(|(kind, serial)| {
        let revoked = if *kind == 'R' { "250101000000Z" } else { "" };
        format!("{kind}\t491231235959Z\t{revoked}\t{serial:02X}\tunknown\t/CN=x\n")
    });
    let text: String = lines.collect();
    std::fs::write(folder.join("index.txt"), text).unwrap();
    std::fs::write(folder.join("ocsp.request"), request).unwrap();
    let arguments = "ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin ocsp.request -respout ocsp.answer -nmin 60";
    let mut openssl = Command::new("openssl");
    let output = openssl
        .args(arguments.split(' '))
        .current_dir(folder)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    std::fs::read(folder.join("ocsp.answer")).unwrap()
}

pub(crate) const CORE: u64 = 0x51;
const SERVER: u64 = 0x52;

/// A certificate of the demo's CA that names the responder.
fn issue(place: &Place, file: &str, name: &str, serial: u64, responder: &Responder) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, file);
    params.serial_number = Some(SerialNumber::from(serial));
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let url = responder.url();
    let element = |tag: u8, contents: &[u8]| {
        let length = u8::try_from(contents.len()).unwrap();
        [&[tag, length], contents].concat()
    };
    let oid = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1];
    let description = [&oid[..], &element(0x86, url.as_bytes())].concat();
    let access = element(0x30, &element(0x30, &description));
    let access = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access);
    params.custom_extensions.push(access);
    let certificate = params.signed_by(&key, &place.ca()).unwrap();
    std::fs::write(place.path(&format!("{file}.pem")), certificate.pem()).unwrap();
    std::fs::write(place.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
}

/// The demo with devices and a server whose certificates name a responder, and these lines in its profile.
pub(crate) fn asking(lines: &str) -> (Place, Responder) {
    let place = Place::with(&[(
        "revocation  = \"require\"              # no current CRL, no entry",
        &format!("revocation = \"if-available\"\n{lines}"),
    )]);
    let responder = Responder::start(&place);
    issue(&place, "core1", "core1.doorward.test", CORE, &responder);
    issue(&place, "server", "aaa1.doorward.test", SERVER, &responder);
    (place, responder)
}

fn show(session: u32) -> Packet {
    author(session, "alice", &["service=shell", "cmd=show"]).flags(4)
}

fn connect(server: &Server, place: &Place) -> Peer {
    Peer::tls(server.tls(), place, "core1").unwrap()
}

/// Whether a device is served: a client of TLS 1.3 sees the refusal with its first read.
fn served(server: &Server, place: &Place) -> bool {
    let asked = Peer::tls(server.tls(), place, "core1").and_then(|mut peer| {
        peer.write(&show(1).flags(1).octets(None))?;
        peer.receive()
    });
    asked.is_ok_and(|reply| reply.body[0] == 1)
}

/// proves: TLS-3.4.1-7
#[test]
fn a_certificate_its_responder_calls_revoked_is_refused_and_a_good_one_is_served() {
    let (place, responder) = asking("ocsp = \"require\"");
    let mut server = place.start();
    responder.set(Manner::Answer, &[('V', CORE)]);
    assert!(served(&server, &place));
    assert_eq!(responder.asked(), 1);
    assert!(served(&server, &place), "the answer is kept");
    assert_eq!(responder.asked(), 1);

    issue(
        &place,
        "core1",
        "core1.doorward.test",
        CORE + 16,
        &responder,
    );
    responder.set(Manner::Answer, &[('V', CORE), ('R', CORE + 16)]);
    assert!(!served(&server, &place));
    server.wait_for_log(&["\"reason\":\"certificate-revoked\"", "serial 61 is revoked"]);
    assert!(
        !served(&server, &place),
        "and refused at once the next time"
    );
    assert_eq!(responder.asked(), 2);
}

/// The answers outlive a reload, so that a responder that is down then locks nobody out.
#[test]
fn an_answer_is_kept_over_a_reload_and_the_responders_end() {
    let (place, responder) = asking("ocsp = \"require\"");
    let server = place.start();
    responder.set(Manner::Answer, &[('V', CORE)]);
    assert!(served(&server, &place));
    responder.set(Manner::Fail, &[]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert!(served(&server, &place));
    assert_eq!(responder.asked(), 1);
}

#[test]
fn nothing_is_processed_before_the_responder_has_answered() {
    let (place, responder) = asking("ocsp = \"require\"");
    responder.set(Manner::Hesitate, &[('V', CORE)]);
    let server = place.start();
    let mut peer = connect(&server, &place);
    // Sent together with the end of the handshake, most likely, and in any case before the answer.
    peer.send(show(7));
    responder.is_asked();
    let page = server.page();
    let sum =
        |page: &Page, family: &str| -> f64 { page.series(family).map(|(_, value)| value).sum() };
    assert_eq!(sum(&page, "doorward_handshakes_open"), 1.0);
    assert_eq!(sum(&page, "doorward_requests_total"), 0.0);
    responder.go_on.send(()).unwrap();
    assert_eq!(peer.receive().unwrap().body[0], 1);
    let page = server.wait_for("doorward_ocsp_inquiries_total{result=\"good\"}", 1.0);
    assert_eq!(sum(&page, "doorward_requests_total"), 1.0);
}

/// The answer to a question that was asked under the configuration before counts under the next one.
#[test]
fn a_reload_while_the_responder_thinks_loses_no_answer() {
    for (kind, permitted) in [('V', true), ('R', false)] {
        let (place, responder) = asking("ocsp = \"if-available\"");
        responder.set(Manner::Hesitate, &[(kind, CORE)]);
        let server = place.start();
        let mut peer = connect(&server, &place);
        peer.send(show(7));
        responder.is_asked();
        let reload = place.ask(&["reload"]);
        assert_eq!(code(&reload), 0, "{}", stderr(&reload));
        responder.go_on.send(()).unwrap();
        let reply = peer.receive();
        assert_eq!(
            reply.is_ok_and(|reply| reply.body[0] == 1),
            permitted,
            "{kind}"
        );
        assert_eq!(responder.asked(), 1);
    }
}

/// Hard fail and soft fail, each as configured and each told.
///
/// proves: TLS-5.1.4-1
#[test]
fn a_responder_that_does_not_answer_refuses_where_it_is_required_and_only_there() {
    for manner in [Manner::Hang, Manner::Fail, Manner::Babble] {
        let edit = "\nhandshake_timeout = \"1s\"";
        for (mode, wanted) in [("require", false), ("if-available", true)] {
            let (place, responder) = asking(&format!("ocsp = \"{mode}\""));
            let address = "address  = \"127.0.0.1:0\"             # 0: any free port";
            place.edit(&[(address, &format!("{address}{edit}"))]);
            responder.set(manner.clone(), &[]);
            let mut server = place.start();
            assert_eq!(served(&server, &place), wanted, "{manner:?} {mode}");
            let told = match manner {
                Manner::Hang => "no answer in time",
                Manner::Fail => "it answers 500",
                Manner::Babble | Manner::Answer | Manner::Hesitate => {
                    "what it sent is no OCSP response"
                }
            };
            server.wait_for_log(&["\"level\":\"WARN\"", &responder.url(), told]);
            if !wanted {
                server.wait_for_log(&["\"reason\":\"status-unknown\"", &responder.url()]);
            }
        }
    }
}

/// One that is silent is waited for once and not by each connection.
#[test]
fn a_silent_responder_is_left_alone_for_a_while() {
    let (place, responder) = asking("ocsp = \"if-available\"");
    responder.set(Manner::Fail, &[]);
    let server = place.start();
    for _ in 0..5 {
        assert!(served(&server, &place));
    }
    assert_eq!(responder.asked(), 1);
}

#[test]
fn a_revocation_that_one_connection_learns_of_ends_the_others() {
    let (place, responder) = asking("ocsp = \"if-available\"");
    // It does not know the certificate, so that it is served and asked about again the next time.
    responder.set(Manner::Answer, &[]);
    let mut server = place.start();
    let mut peer = connect(&server, &place);
    assert_eq!(peer.ask(show(1)).body[0], 1);
    server.wait_for_log(&["it does not know the certificate"]);
    responder.set(Manner::Answer, &[('R', CORE)]);
    assert!(!served(&server, &place));
    assert!(peer.rest().is_empty());
    server.wait_for_log(&[
        "the open connection of device core1 is closed",
        "serial 51 is revoked",
    ]);
}

/// A ticket gets nobody past the responder.
#[test]
fn a_resumed_connection_is_asked_about_like_any_other() {
    let (place, responder) = asking("ocsp = \"if-available\"");
    responder.set(Manner::Answer, &[]);
    let mut server = place.start();
    let config = client_config(&place, Some("core1"));
    let connect = || Peer::tls_with(server.tls(), Arc::clone(&config)).unwrap();
    let mut first = connect();
    assert_eq!(first.ask(show(1)).body[0], 1);
    responder.set(Manner::Answer, &[('R', CORE)]);
    let mut second = connect();
    assert_eq!(second.kind(), rustls::HandshakeKind::Resumed);
    _ = second.write(&show(2).flags(1).octets(None));
    assert!(second.receive().is_err());
    server.wait_for_log(&["\"reason\":\"certificate-revoked\"", "serial 51 is revoked"]);
}

#[test]
fn one_configured_responder_is_asked_about_all() {
    let (place, named) = asking("ocsp = \"require\"");
    let configured = Responder::start(&place);
    let line = format!(
        "ocsp = \"require\"\nocsp_responder = \"{}\"",
        configured.url()
    );
    place.edit(&[("ocsp = \"require\"", &line)]);
    configured.set(Manner::Answer, &[('V', CORE)]);
    let server = place.start();
    assert!(served(&server, &place));
    assert_eq!((configured.asked(), named.asked()), (1, 0));
}

#[test]
fn our_own_status_is_stapled_and_openssl_sees_it() {
    let (place, responder) = asking("ocsp_staple = true");
    responder.set(Manner::Answer, &[('V', SERVER)]);
    let server = place.start();
    let series = "doorward_ocsp_stapled_until_timestamp_seconds{profile=\"default\"}";
    let deadline = std::time::Instant::now() + PATIENCE;
    while server.page().get(series).is_none_or(|until| until == 0.0) {
        assert!(std::time::Instant::now() < deadline, "nothing is stapled");
        std::thread::yield_now();
    }
    let is_stapled = || {
        let arguments = [&TALKING[..], &CORE1, &["-status"]].concat();
        let (said, _) = openssl_asks(&place, &server, &arguments);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("OCSP Response Status: successful"), "{said}");
        assert!(said.contains("Cert Status: good"), "{said}");
    };
    is_stapled();
    // Our own client needs nobody but the server then.
    let asked = responder.asked();
    let proof = [
        &AS_CORE1[..],
        &["--server-name", "aaa1.doorward.test", "--ocsp", "require"],
    ]
    .concat();
    let login = place.log_in(server.tls(), &proof);
    assert_eq!(code(&login), 0, "{}", stderr(&login));
    assert_eq!(responder.asked(), asked);
    // What is stapled outlives a reload, even where the responder does not.
    responder.set(Manner::Fail, &[]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    is_stapled();
}

#[test]
fn our_client_asks_about_a_server_that_staples_nothing() {
    let (place, responder) = asking("");
    let server = place.start();
    let log_in = |mode| {
        let proof = [
            &AS_CORE1[..],
            &["--server-name", "aaa1.doorward.test", "--ocsp", mode],
        ]
        .concat();
        let login = place.log_in(server.tls(), &proof);
        (code(&login), stderr(&login))
    };
    responder.set(Manner::Answer, &[('V', SERVER)]);
    assert_eq!(log_in("require").0, 0);
    assert_eq!(responder.asked(), 1);
    responder.set(Manner::Answer, &[('R', SERVER)]);
    for mode in ["require", "if-available"] {
        let (code, said) = log_in(mode);
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("serial 52 is revoked"), "{said}");
    }
    responder.set(Manner::Fail, &[]);
    let (refused, said) = log_in("require");
    assert_eq!(refused, 3, "{said}");
    assert!(said.contains(&responder.url()), "{said}");
    assert_eq!(log_in("if-available").0, 0);
    assert_eq!(log_in("off").0, 0);
}
