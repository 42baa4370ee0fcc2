//! Foreign peers on both sides of the proxy: eapol_test, radclient and radsecproxy before it, FreeRADIUS and radsecproxy
//! behind it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::freeradius::{FreeRadius, More};
use crate::harness::{Place, Server, all_said, stdout};
use crate::radsecproxy::{PATIENT, Proxy, eapol_test, radclient};

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
        let place = Place::demo();
        let address = own_address();
        let path = |name: &str| place.path(name).display().to_string();
        let (key, certificate, ca) = (path("server.key"), path("server.pem"), path("ca.pem"));
        let modules = format!(
            " eap {{\n default_eap_type = ttls\n timer_expire = 60\n\
             tls-config common {{\n private_key_file = {key}\n certificate_file = {certificate}\n ca_file = {ca}\n \
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
    let place = Place::demo();
    let path = |name: &str| home.place.path(name).display().to_string();
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
    let output = eapol_test(port, crate::radius_udp::OLD, &config);
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
/// gets the record as well as we do; ours says that `upstream` has it.
fn logs_in_and_accounts(
    home: &Home,
    place: &Place,
    upstream: &str,
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
            "User-Name = \"{USER}\"\nAcct-Status-Type = Start\nAcct-Session-Id = \"session-1\"\n"
        ),
    );
    assert!(said.contains("Received Accounting-Response"), "{said}");
    let log = home.log();
    let (_, received) = log.split_once("Received Accounting-Request").unwrap();
    assert!(
        received.contains("Acct-Session-Id = \"session-1\""),
        "{log}"
    );
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    let upstream = format!("\"upstream\":\"{upstream}\"");
    for wanted in [USER, "Acct-Session-Id=session-1", &upstream] {
        assert!(records.contains(wanted), "{wanted}: {records}");
    }
}

/// radclient, radsecproxy, Doorward, FreeRADIUS: over UDP, TLS and UDP.
#[test]
fn radsecproxy_before_us_asks_freeradius_behind_us() {
    let home = Home::start();
    let (place, server) = proxy(&home, &over_udp(&home));
    let before = Proxy::start(&place, &server, "core1");
    // The port of accounting, not that of logins.
    let upstream = format!("radius-udp://{}:1813", home.address);
    logs_in_and_accounts(&home, &place, &upstream, &|kind, text| {
        before.ask(kind, text)
    });
}

/// radclient, Doorward, radsecproxy, FreeRADIUS: over UDP, TLS and UDP.
#[test]
fn radsecproxy_behind_us_asks_freeradius_for_us() {
    let home = Home::start();
    let behind = behind(&home);
    let (place, server) = proxy(&home, &over_tls(behind.port()));
    let device = SocketAddr::from(([127, 0, 0, 1], server.address("radius-udp").port()));
    let upstream = format!("radius-tls://127.0.0.1:{}", behind.port());
    logs_in_and_accounts(&home, &place, &upstream, &|kind, text| {
        radclient(device, PATIENT, kind, crate::radius_udp::OLD, text)
    });
}

/// radsecproxy as a server of RADIUS/TLS, with the home's certificate for it, that asks the home over UDP.
fn behind(home: &Home) -> Proxy {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let path = |name: &str| home.place.path(name).display().to_string();
    let server = |name: &str, port: u16| {
        format!(
            "server {name} {{\n host {}\n port {port}\n type udp\n secret {HOME_SECRET}\n}}\n",
            home.address
        )
    };
    let text = format!(
        "ListenTLS 127.0.0.1:{port}\n\
         tls default {{\n CACertificateFile {}\n CertificateFile {}\n CertificateKeyFile {}\n}}\n\
         client 127.0.0.1 {{\n type tls\n secret radsec\n CertificateNameCheck off\n}}\n\
         {}{}realm * {{\n server logins\n accountingServer records\n}}\n",
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
        server("logins", 1812),
        server("records", 1813),
    );
    Proxy::launch(&home.place, "radsecproxy-behind.conf", &text, "tcp", port)
}
