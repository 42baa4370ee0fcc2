//! RadSec: RADIUS over TLS, asked through OpenSSL's client with packets built by the codec.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::{
    MessageAuthenticator, answer_is_right, message_authenticator,
};
use doorward_radius::build::PacketBuilder;
use doorward_radius::challenge::{MICROSOFT, chap, microsoft};
use doorward_radius::{Code, RawPacket, Secret, Transport};

use crate::foreign::{CORE1, openssl_client};
use crate::harness::{AS_CORE1, PATIENCE, Place, Server, all_said, code, stdout};
use crate::revocation::{brief, publish, serial};

/// What the demo's role for alice gives.
pub(crate) const ROLE: &str =
    "radius = { Service-Type = \"NAS-Prompt-User\", Cisco-AVPair = \"shell:priv-lvl=1\" }\n";

pub(crate) fn secret() -> Secret {
    Secret::of(Transport::Tls).unwrap()
}

/// A connection of a device.
pub(crate) struct RadSec {
    child: Child,
    stdin: Option<ChildStdin>,
    octets: Receiver<Vec<u8>>,
    received: Vec<u8>,
}

impl RadSec {
    pub(crate) fn connect(place: &Place, server: &Server, arguments: &[&str]) -> Self {
        let believed = ["-quiet", "-CAfile", "ca.pem", "-verify_return_error"];
        let named = ["-servername", "aaa1.doorward.test"];
        let all = [&believed[..], &named, arguments].concat();
        let mut child = openssl_client(place, server.address("radius-tls"), &all);
        let mut out = child.stdout.take().unwrap();
        let (sender, octets) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            octets,
            received: Vec::new(),
        }
    }

    fn send(&mut self, octets: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(octets).unwrap();
        stdin.flush().unwrap();
    }

    /// The same where a refused handshake may have closed it already.
    pub(crate) fn try_send(&mut self, octets: &[u8]) {
        _ = self.stdin.as_mut().unwrap().write_all(octets);
    }

    /// The next packet; none when the server has closed.
    pub(crate) fn receive(&mut self) -> Option<RawPacket> {
        loop {
            if let Some(length) = self.received.get(2..4) {
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                if self.received.len() >= length {
                    let packet = self.received.drain(..length).collect();
                    return Some(RawPacket::new(packet).unwrap());
                }
            }
            match self.octets.recv_timeout(PATIENCE) {
                Ok(octets) => self.received.extend(octets),
                Err(RecvTimeoutError::Disconnected) => {
                    assert!(self.received.is_empty(), "half a packet");
                    return None;
                }
                Err(RecvTimeoutError::Timeout) => panic!("no packet, and no end"),
            }
        }
    }

    /// What OpenSSL said about a connection that is over.
    pub(crate) fn errors(mut self) -> String {
        let mut errors = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        errors
    }

    /// Sends a request and gives its answer, whose authenticators are right.
    pub(crate) fn ask(&mut self, request: &[u8]) -> RawPacket {
        self.send(request);
        let answer = self.receive().unwrap();
        let authenticator = request[4..20].try_into().unwrap();
        assert_eq!(answer.header().id, request[1]);
        assert!(answer_is_right(&answer, &authenticator, &secret()));
        let attributes = Attributes::new(answer.attributes()).unwrap();
        let judged = message_authenticator(&answer, &attributes, Some(&authenticator), &secret());
        let first = attributes.iter().next().map(|one| one.kind);
        if answer.header().code == Code::ACCOUNTING_RESPONSE {
            assert_eq!(judged, MessageAuthenticator::Absent);
        } else {
            assert_eq!(judged, MessageAuthenticator::Right);
            assert_eq!(first, Some(kind::MESSAGE_AUTHENTICATOR));
        }
        answer
    }
}

impl Drop for RadSec {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A request that is signed and has these attributes.
pub(crate) fn request(code: Code, id: u8, fill: impl FnOnce(&mut PacketBuilder)) -> Vec<u8> {
    let mut builder = PacketBuilder::request(code, id, [id ^ 0x5a; 16]);
    builder.message_authenticator().unwrap();
    fill(&mut builder);
    builder.finish(&secret())
}

pub(crate) fn pap(id: u8, user: &str, password: &str) -> Vec<u8> {
    request(Code::ACCESS_REQUEST, id, |packet| {
        packet.push(kind::USER_NAME, user.as_bytes()).unwrap();
        packet
            .push_password(password.as_bytes(), &secret())
            .unwrap();
        packet.push(kind::NAS_PORT_ID, b"tty1").unwrap();
        packet.push(kind::CALLING_STATION_ID, b"192.0.2.7").unwrap();
    })
}

pub(crate) fn status(id: u8) -> Vec<u8> {
    request(Code::STATUS_SERVER, id, |_| {})
}

pub(crate) fn accounting(id: u8, status: u32, fill: impl FnOnce(&mut PacketBuilder)) -> Vec<u8> {
    request(Code::ACCOUNTING_REQUEST, id, |packet| {
        packet.push_integer(kind::ACCT_STATUS_TYPE, status).unwrap();
        packet.push(kind::ACCT_SESSION_ID, b"session-1").unwrap();
        fill(packet);
    })
}

/// proves: RAD-3.1-6, RAD-3.7-11, RAD-3.7-13
#[test]
fn a_login_accounting_and_status_server_are_answered_on_one_connection() {
    let place = Place::demo();
    let mut server = place.start();
    let password = place.text("alice.password");
    for version in ["-tls1_2", "-tls1_3"] {
        let mut device = RadSec::connect(&place, &server, &[&CORE1[..], &[version]].concat());
        let accept = device.ask(&pap(1, "alice", &password));
        assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
        let reject = device.ask(&pap(2, "alice", "wrong"));
        assert_eq!(reject.header().code, Code::ACCESS_REJECT);
        let kept = device.ask(&accounting(3, 1, |packet| {
            packet.push(kind::USER_NAME, b"alice").unwrap();
        }));
        assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
        let alive = device.ask(&status(0));
        assert_eq!(alive.header().code, Code::ACCESS_ACCEPT);
        let kinds = Attributes::new(alive.attributes()).unwrap();
        assert!(kinds.iter().all(|one| [18, 80].contains(&one.kind)));
    }
    server.wait_for_log(&["\"reason\":\"password-wrong\"", "\"device\":\"core1\""]);
}

/// In one write, answered in any order: a login waits for its hash, a record for the disk.
///
/// proves: RAD-3.6-3
#[test]
fn requests_of_three_kinds_at_once_get_their_answers() {
    let place = Place::demo();
    let server = place.start();
    let login = pap(1, "alice", &place.text("alice.password"));
    let record = accounting(2, 1, |packet| {
        packet.push(kind::USER_NAME, b"alice").unwrap();
    });
    let alive = status(3);
    let mut device = RadSec::connect(&place, &server, &CORE1);
    device.send(&[&login[..], &record, &alive].concat());
    let mut answers: Vec<RawPacket> = (0..3).map(|_| device.receive().unwrap()).collect();
    answers.sort_by_key(|answer| answer.header().id);
    let wanted = [
        (login, Code::ACCESS_ACCEPT),
        (record, Code::ACCOUNTING_RESPONSE),
        (alive, Code::ACCESS_ACCEPT),
    ];
    for (answer, (request, code)) in answers.iter().zip(wanted) {
        assert_eq!(
            (answer.header().id, answer.header().code),
            (request[1], code)
        );
        let authenticator = request[4..20].try_into().unwrap();
        assert!(answer_is_right(answer, &authenticator, &secret()));
    }
}

/// proves: RAD-3.3-1, RAD-3.2-11, RAD-3.2-8, RAD-3.2-9
#[test]
fn who_is_not_known_gets_no_octet() {
    let place = Place::demo();
    let mut server = place.start();
    let core1 = |first: &[&'static str]| [first, &CORE1].concat();
    for (arguments, reason, alert) in [
        (vec!["-tls1_3"], "certificate-missing", 116),
        (vec!["-tls1_2"], "certificate-missing", 116),
        (
            vec!["-tls1_3", "-cert", "stolen1.pem", "-key", "stolen1.key"],
            "certificate-revoked",
            44,
        ),
        (
            vec!["-tls1_2", "-cert", "server.pem", "-key", "server.key"],
            "certificate-path",
            43,
        ),
        (
            core1(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]),
            "tls-version",
            70,
        ),
        (
            core1(&["-tls1_2", "-cipher", "NULL:@SECLEVEL=0"]),
            "handshake",
            40,
        ),
        (
            core1(&[
                "-tls1_2",
                "-cipher",
                "AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA",
            ]),
            "handshake",
            40,
        ),
    ] {
        let mut device = RadSec::connect(&place, &server, &arguments);
        device.try_send(&status(0));
        assert_eq!(device.receive(), None, "{arguments:?}");
        let errors = device.errors();
        let alert = format!("alert number {alert}");
        assert!(errors.contains(&alert), "{arguments:?}: {errors}");
        server.wait_for_log(&[&format!("\"reason\":\"{reason}\"")]);
    }
}

/// proves: RAD-4.1-1, RAD-4.1-3, RAD-4.1-5
#[test]
fn packets_are_found_however_they_are_cut() {
    let place = Place::demo();
    let server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let eight: Vec<u8> = (1..=8).flat_map(status).collect();
    device.send(&eight);
    for id in 1..=8 {
        assert_eq!(device.receive().unwrap().header().id, id);
    }
    for octet in status(9) {
        device.send(&[octet]);
    }
    assert_eq!(device.receive().unwrap().header().id, 9);
}

/// Every condition of section 3.11 that octets can make, and what is none.
///
/// proves: RAD-3.11-5, RAD-3.11-6, RAD-3.11-7, RAD-3.11-8, RAD-3.11-9, RAD-3.11-11, RAD-4.1-4, RAD-7.6-1, RAD-3.11-12
#[test]
fn what_is_malformed_closes_its_connection_and_nothing_else_does() {
    let place = Place::demo();
    let mut server = place.start();
    let header = |code: u8, length: u16, rest: &[u8]| {
        let mut octets = vec![code, 7];
        octets.extend(length.to_be_bytes());
        octets.extend([9; 16]);
        octets.extend(rest);
        octets
    };
    let signed = |change: fn(&mut Vec<u8>)| {
        let mut octets = pap(7, "alice", "x");
        change(&mut octets);
        octets
    };
    let twice = {
        let once = status(7);
        let mut octets = once.clone();
        octets.extend(&once[20..]);
        octets[3] = u8::try_from(octets.len()).unwrap();
        octets
    };
    let mut wrong_record = accounting(7, 1, |_| {});
    wrong_record[10] ^= 1;
    for (what, octets, reason) in [
        ("length 0", header(1, 0, &[]), "radius-length"),
        ("length 1", header(1, 1, &[]), "radius-length"),
        ("length 19", header(1, 19, &[]), "radius-length"),
        ("length 4097", header(1, 4097, &[]), "radius-length"),
        ("length 65535", header(1, 65535, &[]), "radius-length"),
        (
            "attribute length 0",
            header(1, 23, &[1, 0, 5]),
            "radius-attributes",
        ),
        (
            "attribute length 1",
            header(1, 23, &[1, 1, 5]),
            "radius-attributes",
        ),
        ("overrun", header(1, 23, &[1, 4, 5]), "radius-attributes"),
        (
            "one octet left",
            header(1, 24, &[1, 3, 5, 1]),
            "radius-attributes",
        ),
        (
            "in an answer",
            header(2, 23, &[1, 0, 5]),
            "radius-attributes",
        ),
        (
            "zero authenticator",
            {
                let mut o = accounting(7, 1, |_| {});
                o[4..20].fill(0);
                o
            },
            "radius-authenticator",
        ),
        ("wrong authenticator", wrong_record, "radius-authenticator"),
        (
            "changed",
            signed(|octets| *octets.last_mut().unwrap() ^= 1),
            "radius-authenticator",
        ),
        (
            "short",
            header(1, 37, &[&[80, 17][..], &[0; 15]].concat()),
            "radius-authenticator",
        ),
        ("twice", twice, "radius-authenticator"),
        (
            "padding",
            [&status(7)[..], &[0; 20]].concat(),
            "radius-length",
        ),
    ] {
        let mut device = RadSec::connect(&place, &server, &CORE1);
        assert_eq!(device.ask(&status(0)).header().code, Code::ACCESS_ACCEPT);
        device.send(&octets);
        if what == "padding" {
            // What came before it may be answered.
            if device.receive().is_some() {
                assert_eq!(device.receive(), None);
            }
        } else {
            assert_eq!(device.receive(), None, "{what}");
        }
        server.wait_for_log(&[&format!("\"reason\":\"{reason}\""), "core1"]);
    }
    // The rest leaves it open: unknown codes and attributes, answers to nothing, unsigned probes.
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let unknown = device.ask(&header(99, 20, &[]));
    assert_eq!(unknown.header().code, Code::PROTOCOL_ERROR);
    device.send(&header(2, 20, &[]));
    device.send(&header(12, 20, &[]));
    let odd = request(Code::ACCESS_REQUEST, 8, |packet| {
        packet.push(kind::USER_NAME, b"alice").unwrap();
        packet.push(250, b"odd").unwrap();
        packet.push_vendor(4_000_000, 200, b"odder").unwrap();
        packet.push_password(b"wrong", &secret()).unwrap();
    });
    assert_eq!(device.ask(&odd).header().code, Code::ACCESS_REJECT);
    let records = place.ask(&["acct", "search", "--json"]);
    assert_eq!(stdout(&records), "", "nothing of it was recorded");
}

/// proves: RAD-3.6-4, RAD-3.6-5, RAD-3.6-6
#[test]
fn what_is_not_served_is_answered_with_protocol_error() {
    let place = Place::demo();
    let server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    for code in [Code::COA_REQUEST, Code::DISCONNECT_REQUEST] {
        let answer = device.ask(&request(code, 5, |_| {}));
        assert_eq!(answer.header().code, Code::PROTOCOL_ERROR);
        let attributes = Attributes::new(answer.attributes()).unwrap();
        assert_eq!(attributes.integer(kind::ERROR_CAUSE), Some(406));
        let asked = [0xf1, 7, 4, 0, 0, 0, code.0];
        assert!(answer.octets().windows(7).any(|octets| octets == asked));
    }
}

/// proves: RAD-4.2-5
#[test]
fn a_request_that_comes_twice_is_judged_once() {
    let place = Place::demo();
    let mut server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let same = pap(4, "alice", "wrong");
    let first = device.ask(&same);
    let again = device.ask(&same);
    assert_eq!(first.octets(), again.octets());
    let other = device.ask(&pap(5, "alice", "other"));
    assert_eq!(other.header().code, Code::ACCESS_REJECT);
    server.wait_for_logs(&["\"reason\":\"password-wrong\""], 2);
    server.stop();
    let denied = stdout(&place.ask(&["audit", "search", "--json", "--user", "alice"]));
    assert_eq!(denied.lines().count(), 2, "{denied}");
}

/// proves: RAD-6.2.3-8
#[test]
fn accounting_is_found_with_the_time_of_its_event() {
    let place = Place::demo();
    let server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let both = accounting(1, 2, |packet| {
        packet.push(kind::USER_NAME, b"alice").unwrap();
        packet
            .push_integer(kind::EVENT_TIMESTAMP, 1_700_000_000)
            .unwrap();
        packet.push_integer(kind::ACCT_DELAY_TIME, 3600).unwrap();
        packet.push(kind::CALLING_STATION_ID, b"192.0.2.7").unwrap();
        packet.push(kind::PROXY_STATE, b"one").unwrap();
        packet.push(kind::PROXY_STATE, b"two").unwrap();
    });
    let answer = device.ask(&both);
    assert_eq!(answer.header().code, Code::ACCOUNTING_RESPONSE);
    let attributes = Attributes::new(answer.attributes()).unwrap();
    let proxies: Vec<_> = attributes.all(kind::PROXY_STATE).collect();
    assert_eq!(proxies, [b"one", b"two"]);
    for (id, status) in [(2, 1), (3, 3), (4, 7), (5, 8)] {
        let answer = device.ask(&accounting(id, status, |_| {}));
        assert_eq!(answer.header().code, Code::ACCOUNTING_RESPONSE);
    }
    // One without a status that is known is not answered, since it is not kept.
    device.send(&accounting(6, 15, |_| {}));
    assert_eq!(device.ask(&status(0)).header().id, 0);
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    let lines: Vec<&str> = records.lines().collect();
    assert_eq!(lines.len(), 5, "{records}");
    for wanted in [
        "\"protocol\":\"radius\"",
        "\"kind\":\"stop\"",
        "\"user\":\"alice\"",
        "\"remote\":\"192.0.2.7\"",
        "event_time=2023-11-14T22:13:20Z",
        "Event-Timestamp=2023-11-14T22:13:20Z",
        "Acct-Status-Type=Stop",
        "Acct-Session-Id=session-1",
    ] {
        assert!(lines[0].contains(wanted), "{wanted}: {}", lines[0]);
    }
    for (line, kind) in lines[1..].iter().zip(["start", "update", "on", "off"]) {
        assert!(line.contains(&format!("\"kind\":\"{kind}\"")), "{line}");
    }
}

#[test]
fn chap_and_mschapv2_are_judged_like_those_of_tacacs() {
    let place = Place::demo();
    let text = std::fs::read_to_string(place.config()).unwrap();
    let with_chap = text.replace(
        "password = \"file:alice.hash\"",
        "password = \"file:alice.hash\"\nchap_secret = \"file:alice.chap\"",
    );
    assert_ne!(text, with_chap);
    std::fs::write(place.path("alice.chap"), "clientPass-and-more\n").unwrap();
    std::fs::write(place.config(), format!("{with_chap}\n")).unwrap();
    let server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    for (id, password, code) in [
        (1, "clientPass-and-more", Code::ACCESS_ACCEPT),
        (2, "other", Code::ACCESS_REJECT),
    ] {
        let challenge = [7; 16];
        let login = request(Code::ACCESS_REQUEST, id, |packet| {
            let response = chap(9, &challenge, password.as_bytes());
            packet.push(kind::USER_NAME, b"alice").unwrap();
            packet
                .push(kind::CHAP_PASSWORD, &[&[9][..], &response].concat())
                .unwrap();
            packet.push(kind::CHAP_CHALLENGE, &challenge).unwrap();
        });
        assert_eq!(device.ask(&login).header().code, code, "{password}");
        let method = doorward_tacacs::ChallengeMethod::MsChapV2;
        let made = method.respond(9, &challenge, &[3; 16], b"alice", password.as_bytes());
        let data = made.unwrap();
        // Identifier, challenge, then the response as TACACS+ has it: its flags go to the front.
        let response = [&[9, 0][..], &data[17..17 + 48]].concat();
        let login = request(Code::ACCESS_REQUEST, id + 10, |packet| {
            packet.push(kind::USER_NAME, b"alice").unwrap();
            packet
                .push_vendor(MICROSOFT, microsoft::CHAP_CHALLENGE, &challenge)
                .unwrap();
            packet
                .push_vendor(MICROSOFT, microsoft::CHAP2_RESPONSE, &response)
                .unwrap();
        });
        let answer = device.ask(&login);
        assert_eq!(answer.header().code, code, "{password}");
        let attributes = Attributes::new(answer.attributes()).unwrap();
        let mut success = attributes.of_vendor(MICROSOFT, microsoft::CHAP2_SUCCESS);
        let mut error = attributes.of_vendor(MICROSOFT, microsoft::CHAP_ERROR);
        if code == Code::ACCESS_ACCEPT {
            assert!(success.next().unwrap().starts_with(b"\x09S="));
        } else {
            assert_eq!(error.next(), Some(&b"\x09E=691 R=0 V=3"[..]));
        }
    }
}

#[test]
fn eap_is_refused_with_its_reason() {
    let place = Place::demo();
    let mut server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let login = request(Code::ACCESS_REQUEST, 1, |packet| {
        packet.push(kind::USER_NAME, b"alice").unwrap();
        packet.push_eap(b"\x02\x2a\0\x0a\x01alice").unwrap();
    });
    let answer = device.ask(&login);
    assert_eq!(answer.header().code, Code::ACCESS_REJECT);
    let attributes = Attributes::new(answer.attributes()).unwrap();
    assert_eq!(attributes.eap().as_deref(), Some(&[4, 0x2a, 0, 4][..]));
    server.wait_for_log(&["\"reason\":\"eap-not-offered\""]);
}

/// proves: RAD-3.9-3
#[test]
fn probes_do_not_keep_an_idle_connection_open() {
    let place = Place::with(&[(
        "protocol = \"radius-tls\" ",
        "idle_timeout = \"1s\"\nprotocol = \"radius-tls\" ",
    )]);
    let server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let start = std::time::Instant::now();
    let mut id = 0;
    // Each answer is waited for, so that the loop turns as fast as the server answers, until it closes.
    loop {
        let probe = status(id);
        let stdin = device.stdin.as_mut().unwrap();
        if stdin.write_all(&probe).is_err() || device.receive().is_none() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "kept open by Status-Server");
        id = id.wrapping_add(1);
    }
    assert!(start.elapsed() >= std::time::Duration::from_secs(1));
}

#[test]
fn ports_of_radius_udp_are_refused() {
    for port in [1812, 1813, 3799, 1645, 1646] {
        let place = Place::demo();
        place.move_listener("radius-tls", Some(&format!("127.0.0.1:{port}")));
        let said = all_said(&place.check());
        assert!(said.contains("a port of RADIUS/UDP"), "{said}");
    }
}

#[test]
fn rules_tell_the_protocols_apart() {
    let place = Place::demo();
    place.edit(&[(
        "when = { group = \"noc\" }",
        "when = { group = \"noc\", protocol = \"tacacs\" }",
    )]);
    let mut server = place.start();
    let password = place.text("alice.password");
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let answer = device.ask(&pap(1, "alice", &password));
    assert_eq!(answer.header().code, Code::ACCESS_REJECT);
    server.wait_for_log(&["\"reason\":\"no-rule\"", "\"user\":\"alice\""]);
    let explained = place.ask(&["explain", "--protocol", "radius", "alice", "core1"]);
    assert_eq!(code(&explained), 2, "{explained:?}");
    let explained = place.ask(&["explain", "alice", "core1", ""]);
    assert_eq!(code(&explained), 0, "{explained:?}");
    let server_name = ["--server-name", "aaa1.doorward.test"];
    let proof = [&AS_CORE1[..], &server_name].concat();
    let output = place.log_in(server.tls(), &proof);
    assert_eq!(code(&output), 0, "{output:?}");
}

#[test]
fn a_role_says_what_an_accept_has() {
    let place = Place::demo();
    place.edit(&[(
        ROLE,
        "radius = { Service-Type = \"NAS-Prompt-User\", Cisco-AVPair = [\"shell:priv-lvl=1\", \"idle\"], \"Tunnel-Type:1\" = \"VLAN\" }\n",
    )]);
    let server = place.start();
    let mut device = RadSec::connect(&place, &server, &CORE1);
    let accept = device.ask(&pap(1, "alice", &place.text("alice.password")));
    assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
    let attributes = Attributes::new(accept.attributes()).unwrap();
    assert_eq!(attributes.integer(kind::SERVICE_TYPE), Some(7));
    let pairs: Vec<_> = attributes.of_vendor(9, 1).collect();
    assert_eq!(pairs, [&b"shell:priv-lvl=1"[..], b"idle"]);
    assert_eq!(attributes.first(64), Some(&[1, 0, 0, 13][..]));
    let reject = device.ask(&pap(2, "alice", "wrong"));
    let attributes = Attributes::new(reject.attributes()).unwrap();
    assert_eq!(attributes.first(kind::SERVICE_TYPE), None);
}

/// A name nobody knows, a value the attribute does not have, and what is not for a role.
#[test]
fn attributes_that_cannot_be_sent_are_told_of() {
    for (written, said) in [
        ("Service-Typ = 1", "Service-Type"),
        ("Service-Type = \"Nobody\"", "Service-Type"),
        ("User-Password = \"x\"", "made by the server"),
        (
            "Acct-Session-Id = \"x\"",
            "does not belong into an Access-Accept",
        ),
        ("Tunnel-Password = \"x\"", "is no secret reference"),
        ("Service-Type = true", "a string, a number"),
    ] {
        let place = Place::demo();
        place.edit(&[(ROLE, &format!("radius = {{ {written} }}\n"))]);
        let output = place.check();
        assert_eq!(code(&output), 1, "{written}");
        let all = all_said(&output);
        assert!(all.contains(said), "{written}: {all}");
    }
}

/// proves: RAD-3.3.1-8, RAD-3.3.1-10
#[test]
fn a_connection_ends_with_what_made_it_good() {
    let place = Place::demo();
    let mut server = place.start();
    brief(&place);
    let short = ["-cert", "brief.pem", "-key", "brief.key"];
    let mut ending = RadSec::connect(&place, &server, &short);
    let mut revoked = RadSec::connect(&place, &server, &CORE1);
    assert_eq!(revoked.ask(&status(0)).header().id, 0);
    assert_eq!(ending.ask(&status(0)).header().id, 0);
    publish(&place, &[serial(&place, "core1.pem")]);
    assert_eq!(revoked.receive(), None);
    server.wait_for_log(&["certificate-revoked", "the open connection of device core1"]);
    assert_eq!(ending.receive(), None);
    server.wait_for_log(&["certificate-date", "the open connection of device core1"]);
}
