//! `doorward radius --dtls` against Debian's radsecproxy, which hands everything on to our server over TLS.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{AS_CORE1, PATIENCE, Place, Server, all_said, code, doorward, stdout};

struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Proxy {
    fn start(place: &Place, server: &Server) -> Self {
        // It cannot say which port it got, so that one is looked for here.
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let path = |name: &str| place.path(name).display().to_string();
        let profile = |name: &str| {
            format!(
                "CACertificateFile {}\n CertificateFile {}\n CertificateKeyFile {}\n",
                path("ca.pem"),
                path(&format!("{name}.pem")),
                path(&format!("{name}.key")),
            )
        };
        let text = format!(
            "ListenDTLS {address}\n\
             tls theirs {{\n {}}}\n\
             tls ours {{\n {}}}\n\
             client 127.0.0.1 {{\n type dtls\n tls theirs\n secret radius/dtls\n CertificateNameCheck off\n}}\n\
             server 127.0.0.1 {{\n type tls\n tls ours\n port {}\n secret radsec\n CertificateNameCheck off\n}}\n\
             realm * {{\n server 127.0.0.1\n accountingServer 127.0.0.1\n}}\n",
            profile("server"),
            profile("core1"),
            server.address("radius-tls").port(),
        );
        std::fs::write(place.path("radsecproxy.conf"), text).unwrap();
        let program = "/usr/sbin/radsecproxy";
        let started = Command::new(program)
            .args(["-f", "-c"])
            .arg(place.path("radsecproxy.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = started.unwrap_or_else(|error| {
            panic!("{program} cannot be started ({error}): this test needs the Debian package radsecproxy, which scripts/test installs")
        });
        let mut this = Self { child, address };
        let bound = format!("0100007F:{:04X}", address.port());
        let deadline = Instant::now() + PATIENCE;
        while !std::fs::read_to_string("/proc/net/udp")
            .unwrap()
            .contains(&bound)
        {
            let ended = this.child.try_wait().unwrap();
            assert!(ended.is_none(), "radsecproxy ended: {ended:?}");
            assert!(Instant::now() < deadline, "radsecproxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        this
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn ask(place: &Place, server: SocketAddr, arguments: &[&str]) -> Output {
    doorward()
        .arg("radius")
        .args(arguments)
        .args(["--dtls", "--server", &server.to_string()])
        .args(AS_CORE1)
        .current_dir(place.path(""))
        .output()
        .unwrap()
}

#[test]
fn radsecproxy_over_dtls_answers_our_client() {
    let place = Place::demo();
    let server = place.start();
    let proxy = Proxy::start(&place, &server);
    let named = ["--server-name", "aaa1.doorward.test"];
    let alice = ["access", "--user", "alice", "--password"];
    for (password, ended, wanted) in [
        ("file:alice.password", 0, "Access-Accept"),
        ("plain:wrong", 2, "Access-Reject"),
    ] {
        let login = [&alice[..], &[password], &named].concat();
        let output = ask(&place, proxy.address, &login);
        let said = all_said(&output);
        assert_eq!(code(&output), ended, "{said}");
        assert!(said.contains(wanted) && said.contains("DTLS 1.2"), "{said}");
    }
    let account = ["accounting", "--start", "--user", "alice", "--json"];
    let output = ask(&place, proxy.address, &[&account[..], &named].concat());
    let said = stdout(&output);
    assert_eq!(code(&output), 0, "{}", all_said(&output));
    assert!(said.contains("\"auth\":\"certificate\""), "{said}");
    // Another name is not believed, and a port where nobody is says so at once.
    let other = ["status", "--server-name", "aaa2.doorward.test"];
    let output = ask(&place, proxy.address, &other);
    let said = all_said(&output);
    assert_eq!(code(&output), 3, "{said}");
    assert!(said.contains("the TLS handshake failed"), "{said}");
    let address = proxy.address;
    drop(proxy);
    let output = ask(&place, address, &[&["status"][..], &named].concat());
    let said = all_said(&output);
    assert_eq!(code(&output), 3, "{said}");
    assert!(said.contains("no connection ("), "{said}");
}
