//! Debian's FreeRADIUS as a server for our client, over TLS and over UDP.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{AS_CORE1, PATIENCE, Place, all_said, code, doorward};

const SECRET: &str = "plain:squeamish-ossifrage";

/// A server that knows alice, of the demo's CA.
pub(crate) struct FreeRadius {
    child: Child,
    pub(crate) tls: u16,
    udp: u16,
    accounting: u16,
}

/// What a server has beyond what our client needs.
pub(crate) struct More<'a> {
    /// Where it listens for RADIUS/UDP, when not at free ports of 127.0.0.1: at 1812 and 1813 of this address.
    pub(crate) address: Option<Ipv4Addr>,
    /// Modules.
    pub(crate) modules: &'a str,
    /// The first of `authorize`.
    pub(crate) authorize: &'a str,
    /// The last of `authenticate`.
    pub(crate) authenticate: &'a str,
    /// Further sections of the server.
    pub(crate) sections: &'a str,
    /// Further servers.
    pub(crate) servers: &'a str,
    /// Further users.
    pub(crate) users: &'a str,
}

const NO_MORE: More<'static> = More {
    address: None,
    modules: "",
    authorize: "",
    authenticate: "",
    sections: "",
    servers: "",
    users: "",
};

fn free_ports() -> (u16, u16, u16) {
    let tls = TcpListener::bind("127.0.0.1:0").unwrap();
    let [udp, accounting] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    (
        tls.local_addr().unwrap().port(),
        udp.local_addr().unwrap().port(),
        accounting.local_addr().unwrap().port(),
    )
}

impl FreeRadius {
    /// With the demo's certificates.
    fn start(place: &Place, version: &str) -> Self {
        Self::with(place, version, &NO_MORE)
    }

    /// The same with more.
    pub(crate) fn with(place: &Place, version: &str, more: &More<'_>) -> Self {
        let path = |name: &str| place.path(name).display().to_string();
        let (key, certificate, ca) = (path("server.key"), path("server.pem"), path("ca.pem"));
        let proof = format!(
            "private_key_file = {key}\n certificate_file = {certificate}\n ca_file = {ca}\n require_client_cert = yes"
        );
        Self::launch(place, version, &proof, more)
    }

    fn proved_by(place: &Place, version: &str, proof: &str) -> Self {
        Self::launch(place, version, proof, &NO_MORE)
    }

    fn launch(place: &Place, version: &str, proof: &str, more: &More<'_>) -> Self {
        let (tls, mut udp, mut accounting) = free_ports();
        if more.address.is_some() {
            (udp, accounting) = (1812, 1813);
        }
        let address = more.address.unwrap_or(Ipv4Addr::LOCALHOST);
        let More {
            modules,
            authorize,
            authenticate,
            sections,
            servers,
            users,
            ..
        } = more;
        let folder = place.path("").display().to_string();
        let text = format!(
            "name = freeradius\n\
             libdir = /usr/lib/freeradius\n\
             logdir = {folder}\n\
             run_dir = {folder}\n\
             security {{\n reject_delay = 0\n status_server = yes\n}}\n\
             thread pool {{\n start_servers = 1\n max_servers = 2\n min_spare_servers = 1\n max_spare_servers = 1\n}}\n\
             modules {{\n pap {{\n }}\n chap {{\n }}\n mschap {{\n }}\n files {{\n usersfile = {folder}/users\n }}\n always ok {{\n rcode = ok\n }}\n{modules}}}\n\
             clients radsec {{\n client tls {{\n ipaddr = 127.0.0.1\n proto = tls\n secret = radsec\n }}\n}}\n\
             client udp {{\n ipaddr = 127.0.0.1\n secret = squeamish-ossifrage\n}}\n\
             server default {{\n\
             listen {{\n type = auth\n ipaddr = {address}\n port = {udp}\n}}\n\
             listen {{\n type = acct\n ipaddr = {address}\n port = {accounting}\n}}\n\
             listen {{\n type = auth+acct\n proto = tcp\n ipaddr = 127.0.0.1\n port = {tls}\n clients = radsec\n\
             tls {{\n {proof}\n tls_min_version = \"{version}\"\n tls_max_version = \"{version}\"\n}}\n}}\n\
             authorize {{\n{authorize} chap\n mschap\n files\n pap\n}}\n\
             authenticate {{\n Auth-Type PAP {{\n pap\n }}\n Auth-Type CHAP {{\n chap\n }}\n Auth-Type MS-CHAP {{\n mschap\n }}\n{authenticate}}}\n\
             accounting {{\n ok\n}}\n{sections}}}\n{servers}"
        );
        std::fs::write(place.path("radiusd.conf"), text).unwrap();
        std::fs::write(
            place.path("users"),
            format!(
                "alice Cleartext-Password := \"clientPass-9\"\n Service-Type = NAS-Prompt-User,\n Reply-Message = \"hello\"\n{users}"
            ),
        )
        .unwrap();
        let program = "/usr/sbin/freeradius";
        let started = Command::new(program)
            .args(["-fxx", "-l", "stdout", "-d", &folder])
            .stdout(std::fs::File::create(place.path("freeradius.log")).unwrap())
            .stderr(Stdio::null())
            .spawn();
        let child = started.unwrap_or_else(|error| {
            panic!("{program} cannot be started ({error}): this test needs the Debian package freeradius, which scripts/test installs")
        });
        let mut this = Self {
            child,
            tls,
            udp,
            accounting,
        };
        let deadline = Instant::now() + PATIENCE;
        while !place
            .text("freeradius.log")
            .contains("Ready to process requests")
        {
            let ended = this.child.try_wait().unwrap();
            let log = place.text("freeradius.log");
            assert!(ended.is_none(), "freeradius ended: {log}");
            assert!(Instant::now() < deadline, "freeradius is not ready: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        this
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn ask(place: &Place, port: u16, command: &str, arguments: &[&str]) -> Output {
    doorward()
        .args(["radius", command, "--server", &format!("127.0.0.1:{port}")])
        .args(arguments)
        .current_dir(place.path(""))
        .output()
        .unwrap()
}

fn expect(output: &Output, ended: i32, wanted: &[&str]) {
    let said = all_said(output);
    assert_eq!(code(output), ended, "{said}");
    for text in wanted {
        assert!(said.contains(text), "{text}: {said}");
    }
}

/// The claims hold for TLS 1.2, to which this FreeRADIUS is held.
/// proves: RAD-3.3.1-2
#[test]
fn freeradius_over_tls_answers_our_client() {
    let place = Place::demo();
    let server = FreeRadius::start(&place, "1.2");
    let named = ["--server-name", "aaa1.doorward.test"];
    let core1 = [&AS_CORE1[..], &named].concat();
    for kind in ["pap", "chap", "mschapv2"] {
        let alice = ["--user", "alice", "--type", kind, "--password"];
        let all = [&core1[..], &alice, &["plain:clientPass-9"]].concat();
        let output = ask(&place, server.tls, "access", &all);
        let wanted = [
            "Access-Accept",
            "TLS 1.2",
            "hello",
            "Service-Type = NAS-Prompt-User",
        ];
        expect(&output, 0, &wanted);
        let all = [&core1[..], &alice, &["plain:wrong"]].concat();
        let output = ask(&place, server.tls, "access", &all);
        expect(&output, 2, &["Access-Reject"]);
    }
    let account = [&core1[..], &["--start", "--user", "alice"]].concat();
    let output = ask(&place, server.tls, "accounting", &account);
    expect(&output, 0, &["Accounting-Response"]);
    let output = ask(&place, server.tls, "status", &core1);
    expect(&output, 0, &["the server is there"]);
}

/// Of both versions of TLS.
/// proves: RAD-3.3.2-3
#[test]
fn freeradius_over_tls_by_a_key_answers_our_client() {
    let digits = "5f".repeat(32);
    for (version, suite) in [
        ("1.2", "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"),
        ("1.3", "_SHA256"),
    ] {
        let place = Place::demo();
        let proof = format!(
            "psk_identity = \"core1\"\n psk_hexphrase = \"{digits}\"\n cipher_list = \"ECDHE-PSK-CHACHA20-POLY1305\""
        );
        let server = FreeRadius::proved_by(&place, version, &proof);
        std::fs::write(place.path("core1.psk"), &digits).unwrap();
        let core1 = [
            "--psk-identity",
            "core1",
            "--psk-key",
            "file:core1.psk",
            "--json",
        ];
        for (password, ended) in [("plain:clientPass-9", 0), ("plain:wrong", 2)] {
            let alice = ["--user", "alice", "--password", password];
            let output = ask(&place, server.tls, "access", &[&core1[..], &alice].concat());
            let version = format!("\"version\":\"{version}\"");
            expect(&output, ended, &[&version, suite, "\"auth\":\"psk\""]);
        }
        let output = ask(&place, server.tls, "status", &core1);
        expect(&output, 0, &["\"result\":\"pass\""]);
        let wrong = ["--psk-identity", "core1", "--psk-key"];
        let key = format!("plain:{}", "5e".repeat(32));
        let output = ask(
            &place,
            server.tls,
            "status",
            &[&wrong[..], &[&key]].concat(),
        );
        expect(&output, 3, &["no server answered"]);
    }
}

/// This FreeRADIUS is older than the remedy against forged answers, and does not sign them unless it is asked to.
#[test]
fn freeradius_over_udp_answers_our_client() {
    let place = Place::demo();
    let server = FreeRadius::start(&place, "1.2");
    let udp = ["--udp", "--secret", SECRET];
    let alice = ["--user", "alice", "--password", "plain:clientPass-9"];
    let short = ["--timeout", "1"];
    let unsigned = [&udp[..], &alice, &short].concat();
    let output = ask(&place, server.udp, "access", &unsigned);
    expect(&output, 3, &["Message-Authenticator is wrong, or missing"]);
    for (kind, word, ended) in [
        ("pap", "plain:clientPass-9", 0),
        ("chap", "plain:clientPass-9", 0),
        ("mschapv2", "plain:clientPass-9", 0),
        ("pap", "plain:wrong", 2),
    ] {
        let login = ["--user", "alice", "--type", kind, "--password", word];
        let all = [&udp[..], &login, &["--allow-unsigned"]].concat();
        expect(
            &ask(&place, server.udp, "access", &all),
            ended,
            &["without TLS"],
        );
    }
    let account = [
        &udp[..],
        &["--stop", "--user", "alice", "--session-id", "s1"],
    ]
    .concat();
    let output = ask(&place, server.accounting, "accounting", &account);
    expect(&output, 0, &["Accounting-Response"]);
    let output = ask(&place, server.udp, "status", &udp);
    expect(&output, 0, &["the server is there"]);
    let other = [
        "--udp",
        "--secret",
        "plain:another-secret-of-enough-length",
        "--timeout",
        "1",
    ];
    expect(
        &ask(&place, server.udp, "access", &[&other[..], &alice].concat()),
        3,
        &["no answer"],
    );
}
