//! Debian's radsecproxy as a RadSec client of ours, asked by FreeRADIUS's radclient: certificates good and bad.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Place, Server, stdout};

/// What radclient takes for the time and the number of its attempts.
pub(crate) const PATIENT: [&str; 4] = ["-t", "5", "-r", "2"];

/// radsecproxy between a loopback port for RADIUS/UDP and our listener.
pub(crate) struct Proxy {
    child: Child,
    port: u16,
}

/// What radsecproxy speaks to us.
#[derive(Clone, Copy)]
pub(crate) enum Carrier {
    Tls,
    Dtls,
}

/// What both ends of its RADIUS/UDP know.
pub(crate) const LOCAL_SECRET: &str = "local-secret";

impl Proxy {
    /// With the certificate that it shows.
    pub(crate) fn start(place: &Place, server: &Server, certificate: &str) -> Self {
        Self::start_at(place, server, certificate, "127.0.0.1")
    }

    /// The same, connecting from this address of the loopback network.
    pub(crate) fn start_at(
        place: &Place,
        server: &Server,
        certificate: &str,
        source: &str,
    ) -> Self {
        Self::start_over(Carrier::Tls, place, server, certificate, source)
    }

    pub(crate) fn start_over(
        carrier: Carrier,
        place: &Place,
        server: &Server,
        certificate: &str,
        source: &str,
    ) -> Self {
        let (kind, listener, secret) = match carrier {
            Carrier::Tls => ("tls", "radius-tls", "radsec"),
            Carrier::Dtls => ("dtls", "radius-dtls", "radius/dtls"),
        };
        // radsecproxy cannot say which port it got, so that one is looked for here.
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let target = server.address(listener);
        let path = |name: &str| place.path(name).display().to_string();
        let text = format!(
            "ListenUDP 127.0.0.1:{port}\n\
             Source{} {source}\n\
             tls default {{\n\
               CACertificateFile {}\n\
               CertificateFile {}\n\
               CertificateKeyFile {}\n\
             }}\n\
             client 127.0.0.1 {{\n type udp\n secret {LOCAL_SECRET}\n}}\n\
             server 127.0.0.1 {{\n type {kind}\n port {}\n secret {secret}\n CertificateNameCheck off\n StatusServer on\n}}\n\
             realm * {{\n server 127.0.0.1\n accountingServer 127.0.0.1\n}}\n",
            kind.to_uppercase(),
            path("ca.pem"),
            path(&format!("{certificate}.pem")),
            path(&format!("{certificate}.key")),
            target.port(),
        );
        Self::launch(
            place,
            &format!("radsecproxy-{certificate}.conf"),
            &text,
            "udp",
            port,
        )
    }

    /// By this configuration, which is written to a file of this name, and until it listens on this port of UDP or TCP.
    pub(crate) fn launch(place: &Place, name: &str, text: &str, kind: &str, port: u16) -> Self {
        let config = place.path(name);
        std::fs::write(&config, text).unwrap();
        let program = "/usr/sbin/radsecproxy";
        let started = Command::new(program)
            .args(["-f", "-c"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = started.unwrap_or_else(|error| {
            panic!("{program} cannot be started ({error}): this test needs the Debian package radsecproxy, which scripts/test installs")
        });
        let mut proxy = Self { child, port };
        proxy.wait(&format!("/proc/net/{kind}"));
        proxy
    }

    /// Until its port is bound, which it does not say; the kernel does.
    fn wait(&mut self, sockets: &str) {
        let address = format!("0100007F:{:04X}", self.port);
        let deadline = Instant::now() + PATIENCE;
        while !std::fs::read_to_string(sockets).unwrap().contains(&address) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "radsecproxy ended: {ended:?}");
            assert!(Instant::now() < deadline, "radsecproxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its port for RADIUS/UDP.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// One request of radclient: its kind, its attributes; all it wrote.
    pub(crate) fn ask(&self, kind: &str, attributes: &str) -> String {
        self.ask_within(PATIENT, kind, attributes)
    }

    /// The same with its own patience.
    fn ask_within(&self, patience: [&str; 4], kind: &str, attributes: &str) -> String {
        let server = SocketAddr::from(([127, 0, 0, 1], self.port));
        radclient(server, patience, kind, LOCAL_SECRET, attributes)
    }
}

/// One request of radclient: whom, how patiently, its kind, its secret, its attributes; all it wrote.
pub(crate) fn radclient(
    server: SocketAddr,
    patience: [&str; 4],
    kind: &str,
    secret: &str,
    attributes: &str,
) -> String {
    let started = Command::new("radclient")
        .arg("-x")
        .args(patience)
        .args([&server.to_string(), kind, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.unwrap_or_else(|error| {
        panic!("radclient cannot be started ({error}): this test needs the Debian package freeradius-utils, which scripts/test installs")
    });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(attributes.as_bytes()).unwrap();
    drop(stdin);
    crate::harness::all_said(&child.wait_with_output().unwrap())
}

/// A login of eapol_test at this port of 127.0.0.1: what both know, the network of the supplicant, and more arguments.
pub(crate) fn eapol_test(port: u16, secret: &str, network: &Path, more: &[&str]) -> Output {
    let ran = Command::new("eapol_test")
        .args(["-a", "127.0.0.1", "-p", &port.to_string()])
        .args(["-s", secret, "-t", "20", "-c"])
        .arg(network)
        .args(more)
        .output();
    ran.unwrap_or_else(|error| {
        panic!("eapol_test cannot be started ({error}): this test needs the Debian package eapoltest, which scripts/test installs")
    })
}

impl Drop for Proxy {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn radclient_through_radsecproxy_logs_in_and_accounts() {
    logs_in_and_accounts(&Place::demo(), Carrier::Tls);
}

#[test]
fn radclient_through_radsecproxy_does_so_over_dtls() {
    logs_in_and_accounts(&crate::dtls::place(""), Carrier::Dtls);
}

fn logs_in_and_accounts(place: &Place, carrier: Carrier) {
    let mut server = place.start();
    let proxy = Proxy::start_over(carrier, place, &server, "core1", "127.0.0.1");
    let password = place.text("alice.password");
    let login = |word: &str| {
        let attributes = format!(
            "User-Name = \"alice\"\nUser-Password = \"{word}\"\nCalling-Station-Id = \"192.0.2.7\"\nMessage-Authenticator = 0x00\n"
        );
        proxy.ask("auth", &attributes)
    };
    let said = login(&password);
    assert!(said.contains("Received Access-Accept"), "{said}");
    let said = login("wrong");
    assert!(said.contains("Received Access-Reject"), "{said}");
    let said = proxy.ask(
        "acct",
        "User-Name = \"alice\"\nAcct-Status-Type = Start\nAcct-Session-Id = \"s1\"\nNAS-Port = 3\n",
    );
    assert!(said.contains("Received Accounting-Response"), "{said}");
    server.wait_for_log(&["\"reason\":\"password-wrong\"", "\"remote\":\"192.0.2.7\""]);
    let records = stdout(&place.ask(&["acct", "search", "--json"]));
    for wanted in [
        "\"device\":\"core1\"",
        "\"user\":\"alice\"",
        "Acct-Session-Id=s1",
        "NAS-Port=3",
    ] {
        assert!(records.contains(wanted), "{wanted}: {records}");
    }
}

/// proves: RAD-3.3.1-26, RAD-3.11-4
#[test]
fn radsecproxy_with_a_bad_certificate_gets_nothing_through() {
    let place = Place::demo();
    let mut server = place.start();
    // A good chain, and no device of that name.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut stranger =
        rcgen::CertificateParams::new(vec!["stranger.doorward.test".into()]).unwrap();
    stranger.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    stranger.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let stranger = stranger.signed_by(&key, &place.ca()).unwrap();
    std::fs::write(place.path("stranger.pem"), stranger.pem()).unwrap();
    std::fs::write(place.path("stranger.key"), key.serialize_pem()).unwrap();
    for (certificate, reason) in [
        ("stolen1", "certificate-revoked"),
        ("stranger", "certificate-matches-no-device"),
        ("server", "certificate-path"),
    ] {
        let proxy = Proxy::start(&place, &server, certificate);
        server.wait_for_log(&[&format!("\"reason\":\"{reason}\"")]);
        let login = "User-Name = \"alice\"\nUser-Password = \"x\"\nMessage-Authenticator = 0x00\n";
        let said = proxy.ask_within(["-t", "1", "-r", "1"], "auth", login);
        assert!(said.contains("Sent Access-Request"), "{said}");
        assert!(!said.contains("Received"), "{certificate}: {said}");
    }
    let (_, log) = server.stop();
    assert!(!log.contains("\"user\":\"alice\""), "{log}");
}

/// The access point and the supplicant are those of hostapd, in one program.
#[test]
fn eapol_test_is_told_that_there_is_no_eap() {
    let place = Place::demo();
    let mut server = place.start();
    let proxy = Proxy::start(&place, &server, "core1");
    let network = "network={\n key_mgmt=WPA-EAP\n eap=TTLS PEAP MD5\n identity=\"alice\"\n password=\"whatever\"\n}\n";
    let config = place.path("eapol.conf");
    std::fs::write(&config, network).unwrap();
    let output = eapol_test(proxy.port(), LOCAL_SECRET, &config, &[]);
    let said = crate::harness::all_said(&output);
    assert!(!output.status.success(), "{said}");
    for wanted in ["code=3 (Access-Reject)", "EAP Failure"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    server.wait_for_log(&["\"reason\":\"eap-not-offered\""]);
    server.stop();
    let denied = stdout(&place.ask(&["audit", "search", "--json", "--user", "alice"]));
    for wanted in ["\"reason\":\"eap-not-offered\"", "\"device\":\"core1\""] {
        assert!(denied.contains(wanted), "{wanted}: {denied}");
    }
}
