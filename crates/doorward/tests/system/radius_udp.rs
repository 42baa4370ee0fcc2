//! RADIUS/UDP: asked by FreeRADIUS's radclient and by packets made here.
//!
//! Whether something is not answered is seen by what is answered next: the server takes datagrams in their order, and
//! answers Status-Server at once.

use std::net::{SocketAddr, UdpSocket};

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::{
    MessageAuthenticator, answer_is_right, message_authenticator,
};
use doorward_radius::build::{PacketBuilder, error_cause};
use doorward_radius::{Code, RawPacket, Secret};
use serde_json::Value;

use crate::harness::{PATIENCE, Place, Server, all_said, code, stdout};
use crate::radsecproxy::{PATIENT, radclient};

const LISTENER: &str = "
[[listen]]
protocol = \"radius-udp\"
address = \"127.0.0.1:0\"
";
pub(crate) const OLD: &str = "the-first-secret-of-old-sw7";
const NEW: &str = "quite-another-one-for-later";
const DEVICE: &str = "[device.old-sw7]                     # a switch that knows no TLS\n";

/// The demo's own listener.
const DEMO: &str = "[[listen]]
protocol = \"radius-udp\"              # RADIUS with a shared secret, for this machine alone; 1812 is its port in real life
address  = \"127.0.0.1:0\"
";

/// The demo with another listener, and another secret for its old switch, which is at 127.0.0.1.
pub(crate) fn place() -> Place {
    place_with("")
}

fn place_with(keys: &str) -> Place {
    let place = Place::demo();
    for (name, text) in [("radius.secret", OLD), ("radius-new.secret", NEW)] {
        std::fs::write(place.path(name), text).unwrap();
    }
    place.edit(&[(DEMO, ""), ("file:old-sw7.radius", "file:radius.secret")]);
    let text = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), format!("{text}{LISTENER}{keys}\n")).unwrap();
    place
}

/// A client of RADIUS/UDP.
pub(crate) struct Nas {
    socket: UdpSocket,
    secret: Secret,
}

impl Nas {
    pub(crate) fn new(server: &Server) -> Self {
        Self::with(server.address("radius-udp"), "127.0.0.1:0", OLD)
    }

    fn with(server: SocketAddr, from: &str, secret: &str) -> Self {
        let socket = UdpSocket::bind(from).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(server).unwrap();
        Self {
            socket,
            secret: Secret::new(secret.as_bytes()),
        }
    }

    pub(crate) fn send(&self, octets: &[u8]) {
        self.socket.send(octets).unwrap();
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 5000];
        let length = self.socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    /// The answer to a request, whose authenticators are right.
    pub(crate) fn ask(&self, request: &[u8]) -> RawPacket {
        self.send(request);
        self.answer_to(request)
    }

    fn answer_to(&self, request: &[u8]) -> RawPacket {
        let answer = RawPacket::new(self.receive()).unwrap();
        let authenticator = request[4..20].try_into().unwrap();
        assert_eq!(answer.header().id, request[1]);
        assert!(answer_is_right(&answer, &authenticator, &self.secret));
        if answer.header().code != Code::ACCOUNTING_RESPONSE {
            let attributes = Attributes::new(answer.attributes()).unwrap();
            let first = attributes.iter().next().map(|one| one.kind);
            assert_eq!(first, Some(kind::MESSAGE_AUTHENTICATOR));
            let found =
                message_authenticator(&answer, &attributes, Some(&authenticator), &self.secret);
            assert_eq!(found, MessageAuthenticator::Right);
        }
        answer
    }

    /// Sends what must not be answered: the answer to what is sent next is the first that comes.
    fn is_silent(&self, octets: &[u8], id: u8) {
        self.send(octets);
        let status = self.status(id);
        assert_eq!(self.ask(&status).header().code, Code::ACCESS_ACCEPT);
    }

    pub(crate) fn request(
        &self,
        code: Code,
        id: u8,
        signed: bool,
        fill: impl FnOnce(&mut PacketBuilder, &Secret),
    ) -> Vec<u8> {
        let mut builder = PacketBuilder::request(code, id, [id ^ 0x5a; 16]);
        if signed {
            builder.message_authenticator().unwrap();
        }
        fill(&mut builder, &self.secret);
        builder.finish(&self.secret)
    }

    fn pap(&self, id: u8, password: &str) -> Vec<u8> {
        self.request(Code::ACCESS_REQUEST, id, true, |packet, secret| {
            log_in(packet, password, secret)
        })
    }

    fn status(&self, id: u8) -> Vec<u8> {
        self.request(Code::STATUS_SERVER, id, true, |_, _| {})
    }

    fn accounting(&self, id: u8, session: &str) -> Vec<u8> {
        self.request(Code::ACCOUNTING_REQUEST, id, false, |packet, _| {
            packet.push(kind::USER_NAME, b"alice").unwrap();
            packet.push_integer(kind::ACCT_STATUS_TYPE, 1).unwrap();
            packet
                .push(kind::ACCT_SESSION_ID, session.as_bytes())
                .unwrap();
        })
    }
}

fn log_in(packet: &mut PacketBuilder, password: &str, secret: &Secret) {
    packet.push(kind::USER_NAME, b"alice").unwrap();
    packet.push_password(password.as_bytes(), secret).unwrap();
    packet.push(kind::NAS_PORT_ID, b"tty1").unwrap();
}

fn status_of(place: &Place) -> Value {
    serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap()
}

/// How often something was refused for this reason.
pub(crate) fn refused(place: &Place, reason: &str) -> u64 {
    status_of(place)["refused"][reason].as_u64().unwrap_or(0)
}

#[test]
fn radclient_logs_in_and_accounts() {
    let place = place();
    let mut server = place.start();
    let address = server.address("radius-udp");
    let password = place.text("alice.password");
    let login = |word: &str| {
        let attributes = format!(
            "User-Name = \"alice\"\nUser-Password = \"{word}\"\nCalling-Station-Id = \"192.0.2.7\"\nMessage-Authenticator = 0x00\n"
        );
        radclient(address, PATIENT, "auth", OLD, &attributes)
    };
    let said = login(&password);
    assert!(said.contains("Received Access-Accept"), "{said}");
    let said = login("wrong");
    assert!(said.contains("Received Access-Reject"), "{said}");
    let said = radclient(
        address,
        PATIENT,
        "acct",
        OLD,
        "User-Name = \"alice\"\nAcct-Status-Type = Start\nAcct-Session-Id = \"s1\"\nNAS-Port = 3\n",
    );
    assert!(said.contains("Received Accounting-Response"), "{said}");
    let said = radclient(
        address,
        PATIENT,
        "status",
        OLD,
        "Message-Authenticator = 0x00\n",
    );
    assert!(said.contains("Received Access-Accept"), "{said}");
    server.wait_for_log(&[
        "\"reason\":\"password-wrong\"",
        "\"device\":\"old-sw7\"",
        "\"remote\":\"192.0.2.7\"",
    ]);
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    for wanted in [
        "\"device\":\"old-sw7\"",
        "\"protocol\":\"radius\"",
        "\"transport\":\"plain\"",
        "Acct-Session-Id=s1",
        "NAS-Port=3",
    ] {
        assert!(records.contains(wanted), "{wanted}: {records}");
    }
    let listeners = status_of(&place)["listeners"].clone();
    let listeners = listeners.as_array().unwrap().iter();
    let ours: Vec<&Value> = listeners
        .filter(|one| one["protocol"] == "radius-udp")
        .collect();
    assert_eq!(ours[0]["connections"], 4, "one for each port of radclient");
    let checked = place.check();
    assert_eq!(code(&checked), 0);
    let devices = all_said(&place_devices(&place));
    assert!(
        devices.contains("listener radius-udp 127.0.0.1:0: WITHOUT TLS"),
        "{devices}"
    );
    assert!(
        devices.contains("WITHOUT TLS (shared secret of RADIUS/UDP, from 127.0.0.1/32)"),
        "{devices}"
    );
}

fn place_devices(place: &Place) -> std::process::Output {
    let mut command = crate::harness::doorward();
    command
        .args(["check", "--devices"])
        .arg(place.config())
        .output()
        .unwrap()
}

/// What would close a connection over TLS is discarded, and the next request is answered.
#[test]
fn what_is_not_proved_is_not_answered_and_is_counted() {
    let place = place();
    let mut server = place.start();
    let nas = Nas::new(&server);
    let stranger = Nas::with(
        server.address("radius-udp"),
        "127.0.0.1:0",
        "a-secret-that-is-not-theirs",
    );
    let password = place.text("alice.password");
    let unsigned = nas.request(Code::ACCESS_REQUEST, 1, false, |packet, secret| {
        log_in(packet, &password, secret)
    });
    let mut changed = nas.pap(1, &password);
    *changed.last_mut().unwrap() ^= 1;
    let mut record = nas.accounting(1, "forged");
    record[10] ^= 1;
    let mut long = nas.status(1);
    long[2..4].copy_from_slice(&4097_u16.to_be_bytes());
    let mut short = nas.status(1);
    short.truncate(30);
    let mut odd = nas.status(1);
    odd[21] = 1;
    let cases = [
        ("radius-unsigned", unsigned),
        (
            "radius-unsigned",
            nas.request(Code::STATUS_SERVER, 1, false, |_, _| {}),
        ),
        (
            "radius-unsigned",
            nas.request(Code(50), 1, false, |_, _| {}),
        ),
        ("radius-authenticator", changed),
        ("radius-authenticator", record),
        ("radius-authenticator", stranger.pap(1, &password)),
        ("radius-authenticator", stranger.accounting(1, "forged")),
        ("radius-length", long),
        ("radius-length", short),
        ("radius-attributes", odd),
    ];
    for (index, (reason, octets)) in cases.into_iter().enumerate() {
        let before = refused(&place, reason);
        nas.is_silent(&octets, u8::try_from(index + 2).unwrap());
        assert_eq!(refused(&place, reason), before + 1, "{index}: {reason}");
    }
    // Neither is an answer, nor what is empty.
    nas.is_silent(&[], 20);
    nas.is_silent(&nas.request(Code::ACCESS_ACCEPT, 1, true, |_, _| {}), 21);
    server.wait_for_log(&[
        "\"reason\":\"radius-unsigned\"",
        "device old-sw7",
        "no Message-Authenticator",
    ]);
    assert_eq!(
        stdout(&place.ask(&["acct", "search", "--json"])),
        "",
        "nothing forged is kept"
    );
    let (_, log) = server.stop();
    assert!(!log.contains(OLD) && !log.contains(&password));
    assert!(!log.contains("password-right"), "no login was judged");
}

#[test]
fn unknown_sources_and_devices_that_need_tls_are_not_answered() {
    let place = place();
    let server = place.start();
    let address = server.address("radius-udp");
    let nas = Nas::new(&server);
    let elsewhere = Nas::with(address, "127.0.0.2:0", OLD);
    elsewhere.send(&elsewhere.status(1));
    assert_eq!(nas.ask(&nas.status(1)).header().id, 1);
    elsewhere.socket.set_nonblocking(true).unwrap();
    let nothing = elsewhere.socket.recv(&mut [0; 100]);
    assert!(nothing.is_err(), "{nothing:?}");
    assert_eq!(refused(&place, "device-unknown"), 1);
    // The first socket is known already, and is not answered any more.
    let second =
        "[device.second]\naddress = [\"127.0.0.2\"]\nradius_secret = \"file:radius-new.secret\"\n";
    let only_tls = format!("{second}{DEVICE}transport = \"tls\"\n");
    place.edit(&[(DEVICE, &only_tls)]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", all_said(&reload));
    nas.send(&nas.status(2));
    let second = Nas::with(address, "127.0.0.2:0", NEW);
    assert_eq!(second.ask(&second.status(1)).header().id, 1);
    nas.socket.set_nonblocking(true).unwrap();
    assert!(nas.socket.recv(&mut [0; 100]).is_err());
    assert_eq!(refused(&place, "tls-required"), 1);
}

/// proves: RAD-3.12-5
#[test]
fn a_device_is_served_by_the_listeners_it_is_for() {
    let other = format!("{LISTENER}device_groups = [\"core\"]\n");
    let place = place_with(&other);
    let core = "[device.core1]                       # a router that comes with TLS\n";
    let served =
        format!("{core}address = [\"127.0.0.3\"]\nradius_secret = \"file:radius-new.secret\"\n");
    place.edit(&[(core, &served)]);
    let mut server = place.start();
    let listeners = server.ready["listeners"].as_array().unwrap().iter();
    let ours: Vec<SocketAddr> = listeners
        .filter(|one| one["protocol"] == "radius-udp")
        .map(|one| one["address"].as_str().unwrap().parse().unwrap())
        .collect();
    let nas = Nas::with(ours[0], "127.0.0.1:0", OLD);
    let there = Nas::with(ours[1], "127.0.0.1:0", OLD);
    assert_eq!(nas.ask(&nas.status(1)).header().id, 1);
    there.send(&there.status(1));
    server.wait_for_log(&[
        "\"reason\":\"listener-not-for-device\"",
        &ours[1].to_string(),
    ]);
    let core = Nas::with(ours[1], "127.0.0.3:0", NEW);
    assert_eq!(core.ask(&core.status(1)).header().id, 1);
    there.socket.set_nonblocking(true).unwrap();
    assert!(there.socket.recv(&mut [0; 100]).is_err());
}

#[test]
fn a_duplicate_gets_the_same_octets_and_is_judged_once() {
    let place = place();
    let server = place.start();
    let nas = Nas::new(&server);
    let (login, record) = (nas.pap(1, "wrong"), nas.accounting(2, "once"));
    for request in [&login, &record] {
        let first = nas.ask(request);
        nas.send(request);
        assert_eq!(nas.receive(), first.octets());
    }
    // Another port is another client: the same request there is a new one.
    let other = Nas::new(&server);
    assert_eq!(other.ask(&login).header().code, Code::ACCESS_REJECT);
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    assert_eq!(
        records.matches("Acct-Session-Id=once").count(),
        1,
        "{records}"
    );
    let (_, log) = server.stop();
    assert_eq!(
        log.matches("\"reason\":\"password-wrong\"").count(),
        2,
        "{log}"
    );
}

#[test]
fn requests_of_many_kinds_on_one_socket_get_their_answers() {
    let place = place();
    let server = place.start();
    let nas = Nas::new(&server);
    let password = place.text("alice.password");
    let mut padded = nas.pap(1, &password);
    padded.extend([0xaa; 40]);
    assert_eq!(nas.ask(&padded).header().code, Code::ACCESS_ACCEPT);
    for id in 2..40 {
        let kept = nas.ask(&nas.accounting(id, &format!("session-{id}")));
        assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE);
    }
    // Each is on the disk before its answer leaves.
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    assert!(
        (2..40).all(|id| records.contains(&format!("Acct-Session-Id=session-{id}"))),
        "{records}"
    );
    let unknown = nas.ask(&nas.request(Code::COA_REQUEST, 50, true, |_, _| {}));
    assert_eq!(unknown.header().code, Code::PROTOCOL_ERROR);
    let attributes = Attributes::new(unknown.attributes()).unwrap();
    assert_eq!(
        attributes.integer(kind::ERROR_CAUSE),
        Some(error_cause::UNSUPPORTED_EXTENSION)
    );
}

#[test]
fn while_a_secret_changes_both_are_taken() {
    let place = place();
    let both = "radius_secret = [{ key = \"file:radius.secret\" }, { key = \"file:radius-new.secret\" }, { key = \"plain:it-is-over-with-this-one\", until = 2020-01-01 }]";
    place.edit(&[("radius_secret = \"file:radius.secret\"", both)]);
    let server = place.start();
    let nas = Nas::new(&server);
    let address = server.address("radius-udp");
    let password = place.text("alice.password");
    // From one port too: a device changes in the middle.
    let mut changing = Nas {
        socket: nas.socket.try_clone().unwrap(),
        secret: Secret::new(NEW.as_bytes()),
    };
    for (nas, id) in [(&nas, 1), (&changing, 10)] {
        assert_eq!(
            nas.ask(&nas.pap(id, &password)).header().code,
            Code::ACCESS_ACCEPT
        );
        let record = nas.accounting(id + 1, "s");
        assert_eq!(nas.ask(&record).header().code, Code::ACCOUNTING_RESPONSE);
        assert_eq!(
            nas.ask(&nas.status(id + 2)).header().code,
            Code::ACCESS_ACCEPT
        );
    }
    let over = Nas::with(address, "127.0.0.1:0", "it-is-over-with-this-one");
    over.send(&over.status(1));
    assert_eq!(nas.ask(&nas.status(20)).header().id, 20);
    assert_eq!(refused(&place, "radius-authenticator"), 1);
    // The changeover is over: what is known of the source changes with the file.
    place.edit(&[(both, "radius_secret = \"file:radius-new.secret\"")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    changing.send(&nas.status(21));
    assert_eq!(changing.ask(&changing.status(22)).header().id, 22);
    changing.secret = Secret::new(OLD.as_bytes());
    assert_eq!(refused(&place, "radius-authenticator"), 2);
}

#[test]
fn an_old_device_may_do_without_message_authenticator_where_the_file_says_so() {
    let place = place_with("message_authenticator = \"off\"");
    let server = place.start();
    let nas = Nas::new(&server);
    let password = place.text("alice.password");
    let unsigned = |id, code| {
        nas.request(code, id, false, |packet, secret| {
            log_in(packet, &password, secret)
        })
    };
    let accept = nas.ask(&unsigned(1, Code::ACCESS_REQUEST));
    assert_eq!(accept.header().code, Code::ACCESS_ACCEPT);
    nas.is_silent(&unsigned(2, Code::STATUS_SERVER), 3);
    let mut wrong = nas.pap(4, &password);
    wrong[22] ^= 1;
    nas.is_silent(&wrong, 5);
    let said = all_said(&place.check());
    assert!(said.contains("message-authenticator-off"), "{said}");
}

#[test]
fn a_full_listener_forgets_whom_it_owes_nothing() {
    let place = place_with("max_connections = 2");
    let server = place.start();
    for _ in 0..5 {
        let nas = Nas::new(&server);
        assert_eq!(nas.ask(&nas.status(1)).header().id, 1);
    }
    let listeners = status_of(&place)["listeners"].clone();
    let mut listeners = listeners.as_array().unwrap().iter();
    let ours = listeners
        .find(|one| one["protocol"] == "radius-udp")
        .unwrap();
    assert_eq!(ours["connections"], 2);
    assert_eq!(refused(&place, "too-many-connections"), 0);
}

#[test]
fn what_is_under_way_is_answered_before_a_listener_closes() {
    let place = place();
    let server = place.start();
    let address = server.address("radius-udp");
    let password = place.text("alice.password");
    let nas = Nas::new(&server);
    let login = nas.pap(1, &password);
    nas.send(&login);
    // The answer to the next request shows that this one was taken.
    nas.send(&nas.status(2));
    let mut answers = vec![nas.receive()];
    let text = std::fs::read_to_string(place.config()).unwrap();
    let without = text.replace(LISTENER, "");
    std::fs::write(place.config(), without).unwrap();
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", all_said(&reload));
    answers.push(nas.receive());
    answers.sort_by_key(|answer| answer[1]);
    let [accept, alive] = &answers[..] else {
        panic!("two answers");
    };
    assert_eq!((accept[0], accept[1]), (2, 1));
    assert_eq!((alive[0], alive[1]), (2, 2));
    UdpSocket::bind(address).unwrap();
    // And brought back, it serves until the server stops.
    std::fs::write(place.config(), text).unwrap();
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", all_said(&reload));
    let again = Nas::with(udp_address(&place), "127.0.0.1:0", OLD);
    again.send(&again.pap(1, &password));
    again.send(&again.status(2));
    let first = again.receive();
    let (exit, _) = server.stop();
    assert_eq!(exit, Some(0));
    let second = again.receive();
    let mut ids = [first[1], second[1]];
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
}

fn udp_address(place: &Place) -> SocketAddr {
    let status = status_of(place);
    let mut listeners = status["listeners"].as_array().unwrap().iter();
    let ours = listeners
        .find(|one| one["protocol"] == "radius-udp")
        .unwrap();
    ours["address"].as_str().unwrap().parse().unwrap()
}

/// Hidden with the secret of the device, which over UDP is all that hides it.
#[test]
fn secrets_of_a_role_are_hidden_with_the_secret_of_the_device() {
    let place = place();
    place.edit(&[(crate::radius::ROLE, crate::radius_hidden::HIDDEN)]);
    crate::radius_hidden::write_secrets(&place);
    let server = place.start();
    let nas = Nas::new(&server);
    let request = nas.pap(1, &place.text("alice.password"));
    let answer = nas.ask(&request);
    crate::radius_hidden::revealed(&answer, &request, &nas.secret);
}
