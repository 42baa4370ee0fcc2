//! Requests that a route takes: passed on to a home server played here over UDP, or to another Doorward.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::authenticator::{
    MessageAuthenticator, message_authenticator, request_is_right,
};
use doorward_radius::build::{PacketBuilder, error_cause, protocol_error};
use doorward_radius::challenge::MICROSOFT;
use doorward_radius::hidden::{hide_salted, reveal_password, reveal_salted};
use doorward_radius::{Code, RawPacket, Secret};

use crate::harness::{PATIENCE, Place, stdout};
use crate::radius::{accounting, pap, request, status};
use crate::radius_wire::Device;

const HOME_SECRET: &str = "the-secret-of-the-home-server";

/// MS-MPPE-Send-Key (RFC 2548 section 2.4.2).
const MPPE_SEND_KEY: u8 = 16;

/// The user of another realm, and what they type.
const USER: &str = "carol@example.org";
const PASSWORD: &str = "not judged here";

/// A home server of RADIUS/UDP, one packet at a time.
pub(crate) struct Home {
    socket: UdpSocket,
    secret: Secret,
}

impl Home {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            secret: Secret::new(HOME_SECRET.as_bytes()),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// The next packet within this time, and where it came from.
    pub(crate) fn within(&self, patience: Duration) -> Option<(RawPacket, SocketAddr)> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 4097];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        Some((RawPacket::new(buffer[..length].to_vec()).unwrap(), from))
    }

    pub(crate) fn receive(&self) -> (RawPacket, SocketAddr) {
        self.within(PATIENCE).unwrap()
    }

    pub(crate) fn send(&self, octets: &[u8], to: SocketAddr) {
        self.socket.send_to(octets, to).unwrap();
    }

    /// An answer with what has to be in it: the Proxy-States of the request, in their order.
    pub(crate) fn answer(
        &self,
        code: Code,
        request: &RawPacket,
        fill: impl FnOnce(&mut PacketBuilder),
    ) -> Vec<u8> {
        let mut answer = PacketBuilder::answer(code, request.header());
        if code != Code::ACCOUNTING_RESPONSE {
            answer.message_authenticator().unwrap();
        }
        fill(&mut answer);
        let attributes = Attributes::new(request.attributes()).unwrap();
        for state in attributes.all(kind::PROXY_STATE) {
            answer.push(kind::PROXY_STATE, state).unwrap();
        }
        answer.finish(&self.secret)
    }
}

/// The demo with a pool of these servers, whose secret is [`HOME_SECRET`], and a route to it; each with more keys.
pub(crate) fn place_of(servers: &str, pool: &str, route: &str) -> Place {
    let place = Place::demo();
    std::fs::write(place.path("home.secret"), HOME_SECRET).unwrap();
    append(
        &place,
        &format!(
            "[[pool]]\nname = \"home\"\nservers = [{servers}]\nsecret = \"file:home.secret\"\nwatchdog = \"off\"\n{pool}\
             [[route]]\nrealm = \"example.org\"\npool = \"home\"\n{route}\n"
        ),
    );
    place
}

fn append(place: &Place, text: &str) {
    let before = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), format!("{before}\n{text}")).unwrap();
}

fn over_udp(home: &Home, route: &str) -> Place {
    let servers = format!("\"radius-udp://127.0.0.1:{}\"", home.port());
    place_of(&servers, "", route)
}

fn attributes(packet: &RawPacket) -> Vec<(u8, Vec<u8>)> {
    let attributes = Attributes::new(packet.attributes()).unwrap();
    attributes
        .iter()
        .map(|one| (one.kind, one.value.to_vec()))
        .collect()
}

fn first(packet: &RawPacket, kind: u8) -> Option<Vec<u8>> {
    let found = attributes(packet).into_iter().find(|one| one.0 == kind);
    found.map(|one| one.1)
}

/// The home server gets the password hidden anew, and the device its answer with the keys hidden anew; each hop has its own
/// authenticators, and Proxy-State stays between the proxy and the home server.
#[test]
fn a_login_is_passed_on_and_its_answer_back() {
    let home = Home::new();
    let place = over_udp(&home, "");
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    let sent = request(Code::ACCESS_REQUEST, 7, |packet| {
        packet.push(kind::USER_NAME, USER.as_bytes()).unwrap();
        let radsec = Secret::RADSEC;
        packet.push_password(PASSWORD.as_bytes(), &radsec).unwrap();
        packet.push(kind::PROXY_STATE, b"an earlier hop").unwrap();
        packet.push(kind::NAS_PORT_ID, b"tty1").unwrap();
    });
    device.send(&sent);
    let (asked, proxy) = home.receive();
    let read = Attributes::new(asked.attributes()).unwrap();
    let authenticator = asked.header().authenticator;
    let signed = message_authenticator(&asked, &read, None, &home.secret);
    assert_eq!(signed, MessageAuthenticator::Right);
    assert_ne!(authenticator, sent[4..20]);
    let hidden = read.first(kind::USER_PASSWORD).unwrap();
    let password = reveal_password(hidden, &authenticator, &home.secret).unwrap();
    assert_eq!(*password, PASSWORD.as_bytes());
    let states: Vec<&[u8]> = read.all(kind::PROXY_STATE).collect();
    assert_eq!(states.len(), 2);
    assert_eq!(states[0], b"an earlier hop");
    assert_eq!(attributes(&asked).last().unwrap().0, kind::PROXY_STATE);
    let key = [7; 32];
    let accept = home.answer(Code::ACCESS_ACCEPT, &asked, |packet| {
        packet.push(kind::REPLY_MESSAGE, b"welcome home").unwrap();
        let hidden = hide_salted(&key, 0x8123, &authenticator, &home.secret).unwrap();
        packet
            .push_vendor(MICROSOFT, MPPE_SEND_KEY, &hidden)
            .unwrap();
    });
    home.send(&accept, proxy);
    let got = device.receive().unwrap();
    assert_eq!(
        (got.header().code, got.header().id),
        (Code::ACCESS_ACCEPT, 7)
    );
    let read = Attributes::new(got.attributes()).unwrap();
    let asked: [u8; 16] = sent[4..20].try_into().unwrap();
    let signed = message_authenticator(&got, &read, Some(&asked), &Secret::RADSEC);
    assert_eq!(signed, MessageAuthenticator::Right);
    assert_eq!(read.first(kind::REPLY_MESSAGE), Some(&b"welcome home"[..]));
    let hidden = read.of_vendor(MICROSOFT, MPPE_SEND_KEY).next();
    let revealed = reveal_salted(hidden.unwrap(), &asked, &Secret::RADSEC).unwrap();
    assert_eq!(*revealed, key);
    let states: Vec<&[u8]> = read.all(kind::PROXY_STATE).collect();
    assert_eq!(states, [b"an earlier hop"]);
    // A user of the file is judged here, whatever the routes are.
    let answer = device.ask(&pap(8, "alice", &place.text("alice.password")));
    assert_eq!(answer.header().code, Code::ACCESS_ACCEPT);
    assert!(home.within(Duration::from_millis(200)).is_none());
    server.wait_for_log(&["login through radius-udp://", "upstream-accepted"]);
}

/// proves: RAD-6.2.2-3, RAD-6.2.3-9
#[test]
fn what_goes_on_over_udp_is_sent_again_with_a_longer_wait_each_time() {
    let home = Home::new();
    let place = over_udp(&home, "");
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    device.send(&accounting(9, 1, |packet| {
        packet.push(kind::USER_NAME, USER.as_bytes()).unwrap();
        packet.push_integer(kind::ACCT_DELAY_TIME, 5).unwrap();
    }));
    let (one, _) = home.receive();
    let began = Instant::now();
    let (two, _) = home.receive();
    let second = began.elapsed();
    let (three, proxy) = home.receive();
    let third = began.elapsed() - second;
    // RFC 5080 section 2.2.1: 2 s and then twice as long, give or take a tenth.
    assert!(second > Duration::from_millis(1700), "{second:?}");
    assert!(third > second.mul_f64(1.6), "{second:?} {third:?}");
    assert_eq!(one.octets(), two.octets());
    assert_eq!(one.octets(), three.octets());
    for packet in [&one, &two, &three] {
        let delay = first(packet, kind::ACCT_DELAY_TIME).unwrap();
        assert_eq!(delay, 5_u32.to_be_bytes());
    }
    assert!(request_is_right(&one, &home.secret));
    home.send(
        &home.answer(Code::ACCOUNTING_RESPONSE, &three, |_| {}),
        proxy,
    );
    let answer = device.receive().unwrap();
    assert_eq!(answer.header().code, Code::ACCOUNTING_RESPONSE);
    assert_eq!(answer.header().id, 9);
    // The record is here as well, and says who else has it.
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    let record: serde_json::Value = serde_json::from_str(&found).unwrap();
    let name = format!("radius-udp://127.0.0.1:{}", home.port());
    assert_eq!(record["upstream"], name);
    assert_eq!(record["user"], USER);
}

/// Where the home server takes a record under a name that is none here, it is kept here as well: with escapes in place of what a
/// terminal would obey.
#[test]
fn a_record_under_an_odd_name_is_kept_as_well() {
    let home = Home::new();
    let place = over_udp(&home, "");
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let odd = b"\x1b[2Jcarol@example.org";
    device.send(&accounting(9, 1, |packet| {
        packet.push(kind::USER_NAME, odd).unwrap();
    }));
    let (asked, proxy) = home.receive();
    assert_eq!(first(&asked, kind::USER_NAME).unwrap(), odd);
    let answer = home.answer(Code::ACCOUNTING_RESPONSE, &asked, |_| {});
    home.send(&answer, proxy);
    let answer = device.receive().unwrap();
    assert_eq!(answer.header().code, Code::ACCOUNTING_RESPONSE);
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    let record: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(record["user"], "\"\\u{1b}[2Jcarol@example.org\"");
}

/// Longer than the first wait of a retransmission.
const QUIET: Duration = Duration::from_millis(3200);

/// proves: RAD-3.10-3, RAD-3.10-4, RAD-6.2.2-4, RAD-6.2.2-5
#[test]
fn nothing_more_is_sent_for_a_client_that_has_gone() {
    let home = Home::new();
    let place = over_udp(&home, "");
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    device.send(&pap(3, USER, PASSWORD));
    let (asked, proxy) = home.receive();
    device.close();
    server.wait_for_log(&["given-up", "login through home", USER]);
    assert!(home.within(QUIET).is_none(), "it was sent again");
    // The late answer goes nowhere: whoever comes next gets nothing but its own.
    home.send(&home.answer(Code::ACCESS_ACCEPT, &asked, |_| {}), proxy);
    let mut next = Device::core1(&place, &server);
    let answer = next.ask(&status(4));
    assert_eq!(answer.header().id, 4);
    next.send(&pap(3, USER, PASSWORD));
    let (again, proxy) = home.receive();
    home.send(&home.answer(Code::ACCESS_REJECT, &again, |_| {}), proxy);
    let answer = next.receive().unwrap();
    assert_eq!(answer.header().code, Code::ACCESS_REJECT);
}

/// proves: RAD-6.2.2-4, RAD-6.2.2-6
#[test]
fn a_request_that_the_client_gave_up_is_not_sent_again() {
    let home = Home::new();
    let place = over_udp(&home, "");
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    let login = |user: &str, random: u8| {
        let mut packet = PacketBuilder::request(Code::ACCESS_REQUEST, 3, [random; 16]);
        packet.message_authenticator().unwrap();
        packet.push(kind::USER_NAME, user.as_bytes()).unwrap();
        let radsec = Secret::RADSEC;
        packet.push_password(b"secret", &radsec).unwrap();
        packet.finish(&radsec)
    };
    device.send(&login("old@example.org", 1));
    let (old, proxy) = home.receive();
    assert_eq!(first(&old, kind::USER_NAME).unwrap(), b"old@example.org");
    device.send(&login("new@example.org", 2));
    server.wait_for_log(&["given-up", "old@example.org"]);
    // From here on nothing but the new one, which is sent again.
    let mut new = Vec::new();
    let end = Instant::now() + QUIET;
    while let Some(left) = end.checked_duration_since(Instant::now())
        && let Some((packet, _)) = home.within(left.max(Duration::from_millis(1)))
    {
        assert_eq!(first(&packet, kind::USER_NAME).unwrap(), b"new@example.org");
        new.push(packet);
    }
    assert!(new.len() >= 2, "{} times", new.len());
    home.send(&home.answer(Code::ACCESS_ACCEPT, &old, |_| {}), proxy);
    let reject = home.answer(Code::ACCESS_REJECT, &new[0], |_| {});
    home.send(&reject, proxy);
    let answer = device.receive().unwrap();
    assert_eq!(answer.header().code, Code::ACCESS_REJECT);
}

/// A fault is no denial: over TLS the device is told that there is no way, at once where nobody listens.
#[test]
fn without_a_home_server_there_is_no_denial() {
    let home = Home::new();
    let place = over_udp(&home, "");
    drop(home);
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    let answer = device.ask(&pap(3, USER, PASSWORD));
    assert_eq!(answer.header().code, Code::PROTOCOL_ERROR);
    let cause = first(&answer, kind::ERROR_CAUSE).unwrap();
    assert_eq!(cause, error_cause::REQUEST_NOT_ROUTABLE.to_be_bytes());
    server.wait_for_log(&["not-passed-on", "pool home"]);
}

/// A request with our own mark has been here before.
#[test]
fn a_request_that_comes_round_again_is_refused() {
    let home = Home::new();
    let place = over_udp(&home, "");
    let mut server = place.start();
    let mut device = Device::core1(&place, &server);
    device.send(&pap(3, USER, PASSWORD));
    let (asked, _) = home.receive();
    let mark = first(&asked, kind::PROXY_STATE).unwrap();
    let again = device.ask(&request(Code::ACCESS_REQUEST, 4, |packet| {
        packet.push(kind::USER_NAME, USER.as_bytes()).unwrap();
        packet.push(kind::PROXY_STATE, &mark).unwrap();
    }));
    assert_eq!(again.header().code, Code::PROTOCOL_ERROR);
    server.wait_for_log(&["proxy-circle"]);
}

/// proves: RAD-3.6-10, RAD-3.7-18
#[test]
fn protocol_errors_and_status_servers_stay_on_their_hop() {
    let home = Home::new();
    let place = over_udp(&home, "");
    let server = place.start();
    let mut device = Device::core1(&place, &server);
    let alive = device.ask(&status(0));
    assert_eq!(alive.header().code, Code::ACCESS_ACCEPT);
    device.send(&pap(3, USER, PASSWORD));
    // The login is the first that comes to the home server.
    let (asked, proxy) = home.receive();
    assert_eq!(asked.header().code, Code::ACCESS_REQUEST);
    let unsupported = error_cause::UNSUPPORTED_EXTENSION;
    home.send(
        &protocol_error(asked.header(), unsupported, &home.secret),
        proxy,
    );
    let answer = device.receive().unwrap();
    assert_eq!(answer.header().code, Code::PROTOCOL_ERROR);
    let cause = first(&answer, kind::ERROR_CAUSE).unwrap();
    assert_eq!(cause, error_cause::REQUEST_NOT_ROUTABLE.to_be_bytes());
}
