//! A Doorward before a Doorward: every way in, and every way on.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use doorward_radius::build::PacketBuilder;
use doorward_radius::{Code, Secret, attribute::kind};

use crate::dtls_device::Dtls;
use crate::harness::{Place, Server, stdout};
use crate::radius_udp::Nas;
use crate::radius_wire::Device;

/// What the home server's old switch and the proxy know together.
const SECRET: &str = "what-both-of-them-know-well";

/// A pre-shared key of the proxy's own, in the home server's file.
const KEY: &str = "9d1f0c7a5be24c8896a3d2e4f1b05c77";
const PROXY1: &str = "[device.proxy1]
psk  = { identity = \"proxy1.doorward.test\", key = \"file:proxy1.psk\" }
tags = [\"role:core\"]
[device_group.core]";

/// The demo, which knows the proxy.
pub(crate) fn home() -> Place {
    let home = Place::demo();
    std::fs::write(home.path("udp.secret"), SECRET).unwrap();
    std::fs::write(home.path("proxy1.psk"), KEY).unwrap();
    home.edit(&[
        ("file:old-sw7.radius", "file:udp.secret"),
        ("[device_group.core]", PROXY1),
    ]);
    home
}

/// The pool's keys for a way on: by certificate as the home server's core1, by a key of the proxy's own, or by its switch's secret.
fn proxy(home: &Place, server: &Server, on: &str) -> Place {
    let listener = match on {
        "psk" => "radius-tls",
        protocol => protocol,
    };
    proxy_to(home, &[server.address(listener)], on, "")
}

/// The demo with a pool of these servers, which has more keys, and a route to it.
pub(crate) fn proxy_to(home: &Place, targets: &[SocketAddr], on: &str, more: &str) -> Place {
    let place = Place::demo();
    let path = |name: &str| home.path(name).display().to_string();
    let (protocol, proof) = match on {
        "radius-udp" => (
            "radius-udp",
            format!("secret = \"file:{}\"", path("udp.secret")),
        ),
        "psk" => (
            "radius-tls",
            format!(
                "psk = {{ identity = \"proxy1.doorward.test\", key = \"file:{}\" }}",
                path("proxy1.psk")
            ),
        ),
        protocol => (
            protocol,
            "tls = \"upstream\"\nserver_name = \"aaa1.doorward.test\"".to_owned(),
        ),
    };
    let servers = targets.iter();
    let servers: Vec<String> = servers
        .map(|target| format!("\"{protocol}://{target}\""))
        .collect();
    let text = format!(
        "\n[tls.upstream]\ncertificate = \"{}\"\nkey = \"file:{}\"\nclient_ca = [\"{}\"]\ncrl = [\"{}\"]\n\
         [[pool]]\nname = \"home\"\nservers = [{}]\n{proof}\n{more}\n\
         [[route]]\nrealm = \"example.org\"\npool = \"home\"\nstrip_realm = true\n",
        path("core1.pem"),
        path("core1.key"),
        path("ca.pem"),
        path("ca.crl"),
        servers.join(", "),
    );
    let before = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), before + &text).unwrap();
    place
}

pub(crate) fn login(id: u8, secret: &Secret, password: &str) -> Vec<u8> {
    let mut packet = PacketBuilder::request(Code::ACCESS_REQUEST, id, [id ^ 0x5a; 16]);
    packet.message_authenticator().unwrap();
    let name = b"alice@example.org";
    packet.push(kind::USER_NAME, name).unwrap();
    packet.push_password(password.as_bytes(), secret).unwrap();
    packet.finish(secret)
}

pub(crate) fn accounting(id: u8, secret: &Secret, session: &str) -> Vec<u8> {
    let mut packet = PacketBuilder::request(Code::ACCOUNTING_REQUEST, id, [0; 16]);
    packet.push(kind::USER_NAME, b"alice@example.org").unwrap();
    packet.push_integer(kind::ACCT_STATUS_TYPE, 1).unwrap();
    let session = session.as_bytes();
    packet.push(kind::ACCT_SESSION_ID, session).unwrap();
    packet.finish(secret)
}

/// One device after the other, each by its own way in: who may and who may not is what the home server says, and each record is
/// there once and names no user of ours.
fn every_way_in(on: &str) {
    let home = home();
    let at_home = home.start();
    let place = proxy(&home, &at_home, on);
    std::fs::write(place.path("old-sw7.radius"), crate::radius_udp::OLD).unwrap();
    let server = place.start();
    let password = home.text("alice.password");
    let udp = Nas::new(&server);
    let mut tls = Device::core1(&place, &server);
    let mut dtls = Dtls::core1(&place, server.address("radius-dtls"));
    let (radsec, radius_dtls) = (Secret::RADSEC, Secret::RADIUS_DTLS);
    let shared = Secret::new(crate::radius_udp::OLD.as_bytes());
    let mut ask = |way: usize, packet: &dyn Fn(&Secret) -> Vec<u8>| match way {
        0 => udp.ask(&packet(&shared)),
        1 => tls.ask(&packet(&radsec)),
        _ => dtls.ask(&packet(&radius_dtls)),
    };
    for way in 0..3 {
        let right = ask(way, &|secret| login(1, secret, &password));
        assert_eq!(right.header().code, Code::ACCESS_ACCEPT, "{on} {way}");
        let wrong = ask(way, &|secret| login(2, secret, "wrong"));
        assert_eq!(wrong.header().code, Code::ACCESS_REJECT, "{on} {way}");
        let session = format!("{on}-{way}");
        let kept = ask(way, &|secret| accounting(3, secret, &session));
        assert_eq!(kept.header().code, Code::ACCOUNTING_RESPONSE, "{on} {way}");
    }
    for place in [&home, &place] {
        let found = stdout(&place.ask(&["acct", "search", "--json"]));
        assert_eq!(found.lines().count(), 3, "{found}");
        for way in 0..3 {
            assert_eq!(found.matches(&format!("{on}-{way}")).count(), 1, "{found}");
        }
    }
}

#[test]
fn over_tls() {
    every_way_in("radius-tls");
}

#[test]
fn over_dtls() {
    every_way_in("radius-dtls");
}

#[test]
fn over_udp() {
    every_way_in("radius-udp");
}

#[test]
fn by_a_pre_shared_key() {
    every_way_in("psk");
}

/// proves: RAD-6.2.2-1
#[test]
fn what_a_client_sends_again_is_passed_on_once() {
    let home = Place::demo();
    let at_home = home.start();
    let place = proxy(&home, &at_home, "radius-tls");
    std::fs::write(place.path("old-sw7.radius"), crate::radius_udp::OLD).unwrap();
    let server = place.start();
    let nas = Nas::new(&server);
    let shared = Secret::new(crate::radius_udp::OLD.as_bytes());
    let password = home.text("alice.password");
    let packet = login(1, &shared, &password);
    // The second comes while the first is judged, and the third once it is answered.
    nas.send(&packet);
    nas.send(&packet);
    assert_eq!(nas.ask(&packet).header().code, Code::ACCESS_ACCEPT);
    assert_eq!(nas.ask(&packet).header().code, Code::ACCESS_ACCEPT);
    let series = "doorward_requests_total{kind=\"authentication\",outcome=\"pass\",reason=\"password-right\"}";
    at_home.wait_for(series, 1.0);
    // What came after it was answered by the same connection, so that nothing can still be on its way.
    assert_eq!(
        nas.ask(&login(2, &shared, "wrong")).header().code,
        Code::ACCESS_REJECT
    );
    at_home.wait_for(series, 1.0);
}

/// Hands the first connection on to an address that is told later: a way round that no file shows.
fn detour() -> (SocketAddr, mpsc::Sender<SocketAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (from, _) = listener.accept().unwrap();
        let to = TcpStream::connect(told.recv().unwrap()).unwrap();
        let mut ways = [
            (from.try_clone().unwrap(), to.try_clone().unwrap()),
            (to, from),
        ];
        let [one, other] = &mut ways;
        std::thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut one.0, &mut one.1));
            scope.spawn(|| std::io::copy(&mut other.0, &mut other.1));
        });
    });
    (address, tell)
}

/// proves: RAD-7.2.1-1, RAD-7.2.1-2
#[test]
fn a_pool_that_leads_back_to_our_own_listener_is_refused_by_it() {
    let home = Place::demo();
    std::fs::write(home.path("proxy1.psk"), KEY).unwrap();
    for on in ["radius-tls", "psk"] {
        let (address, tell) = detour();
        let place = proxy_to(&home, &[address], on, "");
        let mut server = place.start();
        tell.send(server.address("radius-tls")).unwrap();
        server.wait_for_log(&["\"reason\":\"loop\"", "leads back"]);
        // It serves its devices as before.
        let mut device = Device::core1(&place, &server);
        let alive = device.ask(&crate::radius::status(0));
        assert_eq!(alive.header().code, Code::ACCESS_ACCEPT);
    }
}
