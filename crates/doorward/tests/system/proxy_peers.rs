//! Foreign peers on both sides of the proxy: eapol_test, radclient and radsecproxy before it, FreeRADIUS and radsecproxy
//! behind it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use crate::freeradius::{FreeRadius, More};
use crate::harness::{Place, Server, all_said, stdout};
use crate::radsecproxy::{Carrier, PATIENT, Proxy, eapol_test, radclient};

/// What FreeRADIUS knows of whoever asks it over UDP.
const HOME_SECRET: &str = "squeamish-ossifrage";

/// FreeRADIUS's own user, by a name with a realm, which is what goes on.
const USERS: &str =
    "alice@example.org Cleartext-Password := \"clientPass-9\"\n Reply-Message = \"hello\"\n";
const USER: &str = "alice@example.org";
const PASSWORD: &str = "clientPass-9";

/// This FreeRADIUS signs its answers to a login without EAP when it is asked to.
const SIGNED: &str = "post-auth {\n update reply {\n Message-Authenticator := 0x00\n }\n\
     Post-Auth-Type REJECT {\n update reply {\n Message-Authenticator := 0x00\n }\n }\n}\n";

/// What is inside of the tunnels of EAP-TTLS and PEAP.
const TUNNEL: &str = "server inner {\n authorize {\n mschap\n eap {\n ok = return\n }\n files\n pap\n }\n\
     authenticate {\n Auth-Type PAP {\n pap\n }\n Auth-Type MS-CHAP {\n mschap\n }\n eap\n }\n}\n";

/// A FreeRADIUS with EAP at 1812 and 1813 of an address of its own, and what it lives in.
struct Home {
    place: Place,
    address: Ipv4Addr,
    server: FreeRadius,
}

impl Home {
    fn start() -> Self {
        Self::start_with(Place::demo(), "server", 1024)
    }

    /// With the certificate of this name for EAP, and this many octets of it in each packet.
    fn start_with(place: Place, name: &str, fragment: usize) -> Self {
        let address = own_address();
        let path = |name: &str| place.path(name).display().to_string();
        let key = path(&format!("{name}.key"));
        let certificate = path(&format!("{name}.pem"));
        let ca = path("ca.pem");
        let modules = format!(
            " eap {{\n default_eap_type = ttls\n timer_expire = 60\n\
             tls-config common {{\n private_key_file = {key}\n certificate_file = {certificate}\n ca_file = {ca}\n fragment_size = {fragment}\n \
             tls_min_version = \"1.2\"\n tls_max_version = \"1.2\"\n ecdh_curve = \"\"\n}}\n\
             tls {{\n tls = common\n}}\n\
             ttls {{\n tls = common\n default_eap_type = mschapv2\n virtual_server = inner\n}}\n\
             peap {{\n tls = common\n default_eap_type = mschapv2\n virtual_server = inner\n}}\n\
             mschapv2 {{\n}}\n}}\n"
        );
        let more = More {
            address: Some(address),
            modules: &modules,
            authorize: " eap {\n ok = return\n }\n",
            authenticate: " eap\n",
            sections: SIGNED,
            servers: TUNNEL,
            users: USERS,
        };
        let server = FreeRadius::with(&place, "1.2", &more);
        Self {
            place,
            address,
            server,
        }
    }

    /// What it has written of all that it received.
    fn log(&self) -> String {
        self.place.text("freeradius.log")
    }
}

/// An address of the loopback network that nobody else has: our pools ask for accounting at another port than that of logins
/// only where these are the registered ones.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A way on: the servers of a pool, and what proves either side.
fn over_udp(home: &Home) -> String {
    format!(
        "servers = [\"radius-udp://{}\"]\nsecret = \"file:home.secret\"\n",
        home.address
    )
}

fn over_tls(port: u16) -> String {
    format!(
        "servers = [\"radius-tls://127.0.0.1:{port}\"]\ntls = \"upstream\"\nserver_name = \"aaa1.doorward.test\"\n"
    )
}

/// The demo with a pool of these servers for the realm of [`USER`]; as a client of TLS it is the home place's core1.
fn proxy(home: &Home, pool: &str) -> (Place, Server) {
    proxy_of(&home.place, pool)
}

/// The same, as the core1 of this place.
fn proxy_of(home: &Place, pool: &str) -> (Place, Server) {
    let place = Place::demo();
    let path = |name: &str| home.path(name).display().to_string();
    let text = format!(
        "\n[tls.upstream]\ncertificate = \"{}\"\nkey = \"file:{}\"\nclient_ca = [\"{}\"]\ncrl = [\"{}\"]\n\
         [[pool]]\nname = \"home\"\n{pool}\n\
         [[route]]\nrealm = \"example.org\"\npool = \"home\"\n",
        path("core1.pem"),
        path("core1.key"),
        path("ca.pem"),
        path("ca.crl"),
    );
    std::fs::write(place.path("home.secret"), HOME_SECRET).unwrap();
    std::fs::write(place.path("old-sw7.radius"), crate::radius_udp::OLD).unwrap();
    let before = std::fs::read_to_string(place.config()).unwrap();
    std::fs::write(place.config(), before + &text).unwrap();
    let server = place.start();
    (place, server)
}

/// Logs in by eapol_test as the demo's old switch, with what the supplicant has for a method; all it said.
fn eap(home: &Home, server: &Server, method: &str) -> (bool, String) {
    let ca = home.place.path("ca.pem").display().to_string();
    let network = format!(
        "network={{\n key_mgmt=WPA-EAP\n identity=\"{USER}\"\n ca_cert=\"{ca}\"\n{method}\n}}\n"
    );
    let config = home.place.path("eapol.conf");
    std::fs::write(&config, network).unwrap();
    let port = server.address("radius-udp").port();
    // Framed-MTU: FreeRADIUS makes no packets beyond it, whatever its own bound is.
    let large = ["-N", "12:d:3900"];
    let output = eapol_test(port, crate::radius_udp::OLD, &config, &large);
    (output.status.success(), all_said(&output))
}

/// The supplicant's part of EAP-TLS by the certificate of this name of the home's demo.
fn by_certificate(home: &Home, name: &str) -> String {
    let path = |end: &str| home.place.path(&format!("{name}.{end}"));
    format!(
        "eap=TLS\n client_cert=\"{}\"\n private_key=\"{}\"",
        path("pem").display(),
        path("key").display()
    )
}

/// Each method with what is right and with what is wrong. That the keys of the answer are those of the supplicant shows that
/// they were hidden anew for our device: neither its secret nor its request's authenticator is the home server's.
fn every_method(home: &Home, pool: &str) {
    let (_place, mut server) = proxy(home, pool);
    let by_password = |method: &str, password: &str| format!("{method}\n password=\"{password}\"");
    let mut logins = vec![
        (by_certificate(home, "core1"), true),
        // Good for servers, and for no client.
        (by_certificate(home, "server"), false),
    ];
    for method in [
        "eap=TTLS\n phase2=\"auth=PAP\"",
        "eap=TTLS\n phase2=\"auth=MSCHAPV2\"",
        "eap=PEAP\n phase2=\"auth=MSCHAPV2\"",
    ] {
        logins.push((by_password(method, PASSWORD), true));
        logins.push((by_password(method, "wrong"), false));
    }
    for (method, right) in &logins {
        let (succeeded, said) = eap(home, &server, method);
        let wanted: &[&str] = if *right {
            &["code=2 (Access-Accept)", "MPPE keys OK: 1  mismatch: 0"]
        } else {
            &["code=3 (Access-Reject)", "EAP-Failure", "MPPE keys OK: 0"]
        };
        let ended = if *right { "SUCCESS" } else { "FAILURE" };
        assert_eq!(succeeded, *right, "{method}: {said}");
        assert_eq!(said.lines().last(), Some(ended), "{method}: {said}");
        for text in wanted {
            assert!(said.contains(text), "{method}: {text}: {said}");
        }
    }
    let rights = logins.iter().filter(|one| one.1).count();
    server.wait_for_logs(&["upstream-accepted"], rights);
    server.wait_for_logs(&["upstream-rejected"], logins.len() - rights);
}

/// eapol_test, Doorward, FreeRADIUS: over UDP both times, with two secrets.
#[test]
fn a_supplicant_logs_in_at_freeradius_over_udp() {
    let home = Home::start();
    every_method(&home, &over_udp(&home));
}

/// eapol_test, Doorward, FreeRADIUS: over UDP and TLS.
#[test]
fn a_supplicant_logs_in_at_freeradius_over_tls() {
    let home = Home::start();
    every_method(&home, &over_tls(home.server.tls));
}

/// A login, one with a wrong password and an accounting record, of whoever asks by `ask`: answered by the home server, which
/// gets the record as well as we do.
fn logs_in_and_accounts(
    home: &Home,
    place: &Place,
    session: &str,
    ask: &dyn Fn(&str, &str) -> String,
) {
    for (password, answer) in [(PASSWORD, "Access-Accept"), ("wrong", "Access-Reject")] {
        let said = ask(
            "auth",
            &format!(
                "User-Name = \"{USER}\"\nUser-Password = \"{password}\"\nMessage-Authenticator = 0x00\n"
            ),
        );
        assert!(said.contains(&format!("Received {answer}")), "{said}");
        // What FreeRADIUS says to this user, whatever it answers.
        assert!(said.contains("hello"), "{said}");
    }
    let said = ask(
        "acct",
        &format!(
            "User-Name = \"{USER}\"\nAcct-Status-Type = Start\nAcct-Session-Id = \"{session}\"\n"
        ),
    );
    assert!(said.contains("Received Accounting-Response"), "{said}");
    let log = home.log();
    let (_, received) = log.split_once("Received Accounting-Request").unwrap();
    let named = format!("Acct-Session-Id = \"{session}\"");
    assert!(received.contains(&named), "{log}");
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    let argument = format!("Acct-Session-Id={session}");
    for wanted in [USER, &argument, "\"upstream\":"] {
        assert!(records.contains(wanted), "{wanted}: {records}");
    }
}

/// How a hop is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Udp,
    Tls,
    Dtls,
}

impl Way {
    /// What radsecproxy calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tls => "tls",
            Self::Dtls => "dtls",
        }
    }
}

/// The six pairs of different ways in and on.
const PAIRS: [(Way, Way); 6] = [
    (Way::Udp, Way::Tls),
    (Way::Udp, Way::Dtls),
    (Way::Tls, Way::Udp),
    (Way::Tls, Way::Dtls),
    (Way::Dtls, Way::Udp),
    (Way::Dtls, Way::Tls),
];

/// Whose servers stand before and behind us, wherever they speak the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Radsecproxy,
    FreeRadius,
}

/// Who asks us.
enum Before {
    /// FreeRADIUS's own client of RADIUS/UDP alone.
    Radclient,
    Radsecproxy(Proxy),
    /// It ends with this.
    FreeRadius {
        _running: FreeRadius,
        address: Ipv4Addr,
    },
}

impl Before {
    fn start(peer: Peer, way: Way, place: &Place, server: &Server) -> Self {
        match (peer, way) {
            (Peer::Radsecproxy | Peer::FreeRadius, Way::Udp) => Self::Radclient,
            (Peer::Radsecproxy, Way::Tls) => Self::radsecproxy(Carrier::Tls, place, server),
            (Peer::Radsecproxy | Peer::FreeRadius, Way::Dtls) => {
                Self::radsecproxy(Carrier::Dtls, place, server)
            }
            (Peer::FreeRadius, Way::Tls) => {
                let port = server.address("radius-tls").port();
                let path = |name: &str| place.path(name).display().to_string();
                let tls = format!(
                    " port = {port}\n proto = tcp\n secret = radsec\n\
                     tls {{\n private_key_file = {}\n certificate_file = {}\n ca_file = {}\n \
                     tls_min_version = \"1.2\"\n tls_max_version = \"1.2\"\n}}\n",
                    path("core1.key"),
                    path("core1.pem"),
                    path("ca.pem"),
                );
                Self::freeradius(place, &tls)
            }
        }
    }

    fn radsecproxy(carrier: Carrier, place: &Place, server: &Server) -> Self {
        let source = "127.0.0.1";
        let proxy = Proxy::start_over(carrier, place, server, "core1", source);
        Self::Radsecproxy(proxy)
    }

    /// One that sends everybody of [`USER`]'s realm to a home server with these keys.
    fn freeradius(place: &Place, home: &str) -> Self {
        let address = own_address();
        let servers = format!(
            "home_server doorward {{\n type = auth+acct\n ipaddr = 127.0.0.1\n status_check = none\n{home}}}\n\
             home_server_pool doorward {{\n type = fail-over\n home_server = doorward\n}}\n\
             realm example.org {{\n auth_pool = doorward\n acct_pool = doorward\n nostrip\n}}\n"
        );
        let more = More {
            address: Some(address),
            modules: " realm suffix {\n format = suffix\n delimiter = \"@\"\n}\n",
            authorize: " suffix\n",
            authenticate: "",
            sections: "preacct {\n suffix\n}\n",
            servers: &servers,
            users: "",
        };
        Self::FreeRadius {
            _running: FreeRadius::with(place, "1.2", &more),
            address,
        }
    }

    fn ask(&self, server: &Server, kind: &str, text: &str) -> String {
        match self {
            Self::Radclient => {
                let port = server.address("radius-udp").port();
                let device = SocketAddr::from(([127, 0, 0, 1], port));
                radclient(device, PATIENT, kind, crate::radius_udp::OLD, text)
            }
            Self::Radsecproxy(proxy) => proxy.ask(kind, text),
            Self::FreeRadius { address, .. } => {
                let port = if kind == "acct" { 1813 } else { 1812 };
                let device = SocketAddr::from((*address, port));
                radclient(device, PATIENT, kind, HOME_SECRET, text)
            }
        }
    }
}

/// radclient, the peer or where it does not speak the transport radsecproxy, Doorward, the same, FreeRADIUS.
fn every_pair(peer: Peer) {
    let home = Home::start();
    for (way_in, way_on) in PAIRS {
        let (_behind, pool) = match (peer, way_on) {
            (Peer::FreeRadius, Way::Udp) => (None, over_udp(&home)),
            (Peer::FreeRadius, Way::Tls) => (None, over_tls(home.server.tls)),
            (Peer::Radsecproxy, Way::Udp | Way::Tls | Way::Dtls)
            | (Peer::FreeRadius, Way::Dtls) => {
                let behind = behind(&home, way_on);
                let pool = pool(way_on, behind.port());
                (Some(behind), pool)
            }
        };
        let (place, server) = proxy(&home, &pool);
        let before = Before::start(peer, way_in, &place, &server);
        let session = format!("{}-{}", way_in.name(), way_on.name());
        let ask = |kind: &str, text: &str| before.ask(&server, kind, text);
        logs_in_and_accounts(&home, &place, &session, &ask);
    }
}

#[test]
fn radsecproxy_before_and_behind_us_in_all_pairs_of_transports() {
    every_pair(Peer::Radsecproxy);
}

/// It speaks no DTLS, so that radsecproxy stands there; over UDP its radclient asks us.
#[test]
fn freeradius_before_and_behind_us_in_all_pairs_of_transports() {
    every_pair(Peer::FreeRadius);
}

/// A pool of that one server, as a way on.
fn pool(way: Way, port: u16) -> String {
    let name = way.name();
    let proof = match way {
        Way::Udp => "secret = \"file:home.secret\"",
        Way::Tls | Way::Dtls => "tls = \"upstream\"\nserver_name = \"aaa1.doorward.test\"",
    };
    format!("servers = [\"radius-{name}://127.0.0.1:{port}\"]\n{proof}\n")
}

/// radsecproxy as a server, with the home's certificate for it where it has one, that asks the home over UDP.
fn behind(home: &Home, way: Way) -> Proxy {
    let (port, sockets, secret) = match way {
        Way::Udp => (free_datagram_port(), "udp", HOME_SECRET),
        Way::Tls => (free_port(), "tcp", "radsec"),
        Way::Dtls => (free_datagram_port(), "udp", "radius/dtls"),
    };
    let path = |name: &str| home.place.path(name).display().to_string();
    let server = |name: &str, port: u16| {
        format!(
            "server {name} {{\n host {}\n port {port}\n type udp\n secret {HOME_SECRET}\n}}\n",
            home.address
        )
    };
    let name = way.name();
    let check = match way {
        Way::Udp => "",
        Way::Tls | Way::Dtls => " CertificateNameCheck off\n",
    };
    let text = format!(
        "Listen{} 127.0.0.1:{port}\n\
         tls default {{\n CACertificateFile {}\n CertificateFile {}\n CertificateKeyFile {}\n}}\n\
         client 127.0.0.1 {{\n type {name}\n secret {secret}\n{check}}}\n\
         {}{}realm * {{\n server logins\n accountingServer records\n}}\n",
        name.to_uppercase(),
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
        server("logins", 1812),
        server("records", 1813),
    );
    Proxy::launch(
        &home.place,
        &format!("radsecproxy-behind-{name}.conf"),
        &text,
        sockets,
        port,
    )
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

fn free_datagram_port() -> u16 {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// Octets of a fragment of EAP-TLS: with what is about it, nearly the 4,096 of a packet.
const LARGE: usize = 3600;

/// A certificate of the demo's CA that is larger than a packet, as long chains are.
fn large(place: &Place, name: &str, usage: ExtendedKeyUsagePurpose) {
    let key = KeyPair::generate().unwrap();
    let names =
        (0..200).map(|number| format!("{name}-{number:04}.a-rather-long-name.doorward.test"));
    let mut parameters = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
    parameters.extended_key_usages = vec![usage];
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let signed = parameters.signed_by(&key, &place.ca()).unwrap();
    assert!(signed.der().len() > 8192);
    std::fs::write(place.path(&format!("{name}.pem")), signed.pem()).unwrap();
    std::fs::write(place.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// eapol_test, Doorward, Doorward, FreeRADIUS: over UDP, DTLS and UDP; and certificates that need several packets each way, nearly as
/// large as packets may be.
#[test]
fn a_supplicant_logs_in_through_two_of_us_over_dtls() {
    let place = Place::demo();
    large(&place, "large-home", ExtendedKeyUsagePurpose::ServerAuth);
    large(&place, "large-user", ExtendedKeyUsagePurpose::ClientAuth);
    let home = Home::start_with(place, "large-home", LARGE);
    let (middle, at_middle) = proxy(&home, &over_udp(&home));
    let port = at_middle.address("radius-dtls").port();
    // Its device core1 is known by a certificate of its own CA.
    let (_place, mut server) = proxy_of(&middle, &pool(Way::Dtls, port));
    let by_certificate = by_certificate(&home, "large-user");
    let method = format!("{by_certificate}\n fragment_size={LARGE}");
    let (succeeded, said) = eap(&home, &server, &method);
    assert!(succeeded, "{said}");
    let accepted = ["code=2 (Access-Accept)", "MPPE keys OK: 1  mismatch: 0"];
    for text in accepted {
        assert!(said.contains(text), "{text}: {said}");
    }
    for code in ["code=1 (Access-Request)", "code=11 (Access-Challenge)"] {
        let packets = said.lines().filter(|line| line.contains(code));
        let lengths = packets.filter_map(|line| line.rsplit_once("length=")?.1.parse().ok());
        let longest: Option<usize> = lengths.max();
        assert!(longest > Some(LARGE), "{code}: {longest:?}: {said}");
    }
    server.wait_for_log(&["upstream-accepted", "login through radius-dtls://"]);
    for (password, ended) in [(PASSWORD, "SUCCESS"), ("wrong", "FAILURE")] {
        let method = format!("eap=PEAP\n phase2=\"auth=MSCHAPV2\"\n password=\"{password}\"");
        let (_, said) = eap(&home, &server, &method);
        assert_eq!(said.lines().last(), Some(ended), "{said}");
    }
    server.wait_for_log(&["upstream-rejected"]);
}
