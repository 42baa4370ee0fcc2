//! With TLS or without: which of both a connection is, said once and never guessed (RFC 9887 sections 2, 5.2, 6 and 7).

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::harness::{AS_CORE1, Place, code, doorward, stderr, stdout};
use crate::servers_apart::devices_of;

/// A socket that nobody may connect to.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// The kernel accepts before the program does: who has connected is here, whatever became of it.
    fn saw_nobody(&self) {
        let error = self.0.accept().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// Ends a program with 99 that asks for a socket of a network or for the address of a name.
const WITHOUT_SOCKETS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>
int socket(int domain, int type, int protocol) {
    if (domain != AF_UNIX) _exit(99);
    return ((int (*)(int, int, int)) dlsym(RTLD_NEXT, "socket"))(domain, type, protocol);
}
int getaddrinfo(const char *n, const char *s, const struct addrinfo *h, struct addrinfo **r) {
    (void) n, (void) s, (void) h, (void) r;
    _exit(99);
}
"#;

/// A library for `LD_PRELOAD` that shows whether a program goes near a network; the compiler is there that builds OpenSSL.
pub(crate) fn without_sockets(place: &Place) -> PathBuf {
    let (source, library) = (place.path("blind.c"), place.path("blind.so"));
    std::fs::write(&source, WITHOUT_SOCKETS).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl");
    let made = compiler.output().unwrap();
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    library
}

/// A request of our client in the folder of the demo.
fn client(place: &Place, verb: &str, server: &str) -> Command {
    let mut command = doorward();
    command
        .args(["client", verb, "--server", server])
        .current_dir(place.path(""));
    if verb != "show" {
        command.args(["--user", "alice", "--timeout", "5"]);
    }
    if verb == "authenticate" {
        command.args(["--password", "file:alice.password"]);
    }
    command
}

const PLAIN: [&str; 3] = ["--plain", "--secret", "file:old-sw7.secret"];
const VERBS: [&str; 4] = ["authenticate", "authorize", "account", "show"];

fn output(command: &mut Command) -> (i32, String, Output) {
    let output = command.output().unwrap();
    (code(&output), stderr(&output), output)
}

/// proves: TLS-5.2-5
#[test]
fn a_client_for_tls_only_opens_no_plain_connection() {
    let place = Place::demo();
    let (silent, blind) = (Silent::new(), without_sockets(&place));
    let write = |text: &str| std::fs::write(place.path("only.toml"), text).unwrap();
    let refused = "`tls_only = true` in [server] of only.toml";
    write("version = 1\n[server]\ntls_only = true\n");
    for verb in VERBS {
        // The name would be looked up first, and exists nowhere.
        for server in [silent.address(), "aaa1.doorward.test".to_owned()] {
            let mut command = client(&place, verb, &server);
            command.args(PLAIN).env("LD_PRELOAD", &blind);
            let by_name = output(command.env("DOORWARD_CONFIG", "only.toml"));
            command.env_remove("DOORWARD_CONFIG");
            let by_flag = output(command.args(["--config", "only.toml"]));
            for (code, said, _) in [by_name, by_flag] {
                assert_eq!(code, 64, "{verb}: {said}");
                assert!(said.contains(refused), "{verb}: {said}");
            }
        }
    }
    // What cannot be read allows nothing either: it may be the option, misspelt.
    for text in [
        "version = 1\n[server]\ntls_onyl = true\n",
        "version = 1\n[sevrer]\ntls_only = true\n",
        "version = 1\n[server]\ntls_only = \"yes\"\n",
        "version = 1\ninclude = [\"nowhere.toml\"]\n",
        "tls_only",
    ] {
        write(text);
        let mut command = client(&place, "authenticate", &silent.address());
        let (code, said, _) = output(command.args(PLAIN).args(["--config", "only.toml"]));
        assert_eq!(code, 1, "{text}: {said}");
        assert!(said.contains("nobody is connected to"), "{text}: {said}");
    }
    let mut command = client(&place, "authenticate", &silent.address());
    assert_eq!(
        output(command.args(PLAIN).args(["--config", "no.toml"])).0,
        1
    );
    silent.saw_nobody();
}

#[test]
fn without_the_option_the_client_connects_as_ever() {
    let place = Place::demo();
    let server = place.start();
    let mut command = client(&place, "authenticate", &server.plain().to_string());
    command.args(PLAIN);
    assert_eq!(output(&mut command).0, 0);
    // The demo's own file says nothing of `tls_only`.
    command.args(["--config", "doorward.toml"]);
    command.env("LD_PRELOAD", without_sockets(&place));
    assert_eq!(output(&mut command).0, 99, "it wants a socket");
    command.env_remove("LD_PRELOAD");
    let (exit, said, _) = output(&mut command);
    assert_eq!(exit, 0, "{said}");
    // Over TLS no permission is needed, and the file not read.
    let name = ["--server-name", "aaa1.doorward.test", "--config", "no.toml"];
    let answer = place.log_in(server.tls(), &[&AS_CORE1[..], &name].concat());
    assert_eq!(code(&answer), 0, "{}", stderr(&answer));
}

/// Who asks several servers says once whether with TLS: there is no list of both.
#[test]
fn one_command_cannot_mix_servers_with_and_without_tls() {
    let place = Place::demo();
    let silent = Silent::new();
    for (flags, named) in [
        (&["--tls"][..], "--tls"),
        (&["--ca", "ca.pem"], "--ca"),
        (&["--cert", "core1.pem"], "--cert"),
        (&["--server-name", "aaa1.doorward.test"], "--server-name"),
        (
            &["--psk-identity", "x", "--psk-key", "env:X"],
            "--psk-identity",
        ),
        (&["--server-pin", "00"], "--server-pin"),
    ] {
        let mut command = client(&place, "authenticate", &silent.address());
        command.args(["--server", &silent.address()]);
        let (code, said, _) = output(command.args(PLAIN).args(flags));
        assert_eq!(code, 64, "{flags:?}: {said}");
        assert!(said.contains("cannot be used with"), "{flags:?}: {said}");
        assert!(said.contains(named), "{flags:?}: {said}");
    }
    silent.saw_nobody();
}

/// A certificate below an authority of its own below the demo's CA, with its chain in one file.
fn chain(place: &Place, name: &str, years: (i32, i32)) {
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(years.0, 5, 6);
        params.not_after = date_time_ymd(years.1, 5, 6);
        params
    };
    let mut authority = params("Devices");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority
        .signed_by(&authority_key, &place.ca())
        .unwrap()
        .pem();
    let mut leaf = params(name);
    leaf.subject_alt_names = vec![rcgen::SanType::DnsName(name.try_into().unwrap())];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let pem = leaf.signed_by(&key, &issuer).unwrap().pem();
    std::fs::write(place.path("device.pem"), pem + &authority_pem).unwrap();
    std::fs::write(place.path("device.key"), key.serialize_pem()).unwrap();
}

/// proves: TLS-6-1
#[test]
fn the_client_shows_what_it_would_present_and_fails_without() {
    let place = Place::demo();
    let silent = Silent::new();
    let show = |flags: &[&str]| {
        let mut command = client(&place, "show", &silent.address());
        output(command.args(["--ca", "ca.pem"]).args(flags))
    };
    let device = ["--cert", "device.pem", "--key", "device.key"];
    chain(&place, "core9.doorward.test", (2020, 2040));
    let (code, said, shown) = show(&device);
    assert_eq!(code, 0, "{said}");
    let text = stdout(&shown);
    let parts = [
        "with TLS 1.3",
        "CN=core9.doorward.test",
        "CN=Devices",
        "dns core9.doorward.test",
        "2040-05-06T00:00:00Z",
        "chain        CN=Devices",
        "CN=Doorward demo CA",
        "2040-05-06T00:00:00Z",
    ];
    let mut rest = text.as_str();
    for part in parts {
        let (_, behind) = rest
            .split_once(part)
            .unwrap_or_else(|| panic!("{part}: {text}"));
        rest = behind;
    }
    let (_, _, shown) = show(&[&device[..], &["--json"]].concat());
    let shown: serde_json::Value = serde_json::from_str(&stdout(&shown)).unwrap();
    let presented = &shown["presents"];
    assert_eq!(presented["auth"], "certificate");
    let chain_of = presented["chain"].as_array().unwrap();
    assert_eq!(chain_of.len(), 2);
    assert_eq!(chain_of[0]["names"][0], "dns core9.doorward.test");
    assert_eq!(chain_of[0]["not_before"], "2020-05-06T00:00:00Z");
    assert_eq!(chain_of[1]["not_after"], "2040-05-06T00:00:00Z");
    let digest = Command::new("openssl")
        .args([
            "x509",
            "-in",
            "device.pem",
            "-noout",
            "-fingerprint",
            "-sha256",
        ])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let digest = stdout(&digest).trim().replace(':', "").to_lowercase();
    let fingerprint = chain_of[0]["fingerprint"].as_str().unwrap();
    assert!(digest.ends_with(fingerprint), "{digest} {fingerprint}");

    for (flags, wanted, why) in [
        (&[][..], 64, "TLS needs --cert and --key"),
        (&device[..2], 64, "--cert needs --key"),
        (&device[2..], 64, "--key needs --cert"),
        (&["--cert", "no.pem", "--key", "device.key"], 1, "no.pem"),
        (
            &["--cert", "device.pem", "--key", "core1.key"],
            1,
            "--cert and --key",
        ),
    ] {
        let (code, said, shown) = show(flags);
        assert_eq!(code, wanted, "{flags:?}: {said}");
        assert!(said.contains(why), "{flags:?}: {said}");
        assert!(shown.stdout.is_empty(), "{flags:?}: {shown:?}");
    }
    for (years, why) in [
        ((2020, 2021), "has expired: servers refuse it"),
        ((2090, 2091), "is not valid yet: servers refuse it"),
    ] {
        chain(&place, "core9.doorward.test", years);
        let (code, said, _) = show(&device);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(why), "{said}");
    }
    silent.saw_nobody();
}

#[test]
fn what_is_no_certificate_is_shown_too_and_no_key_with_it() {
    let place = Place::demo();
    let silent = Silent::new();
    let show = |flags: &[&str]| {
        let mut command = client(&place, "show", &silent.address());
        let (code, said, shown) = output(command.args(flags));
        assert_eq!(code, 0, "{said}");
        said + &stdout(&shown)
    };
    let key = "00112233445566778899aabbccddeeff";
    std::fs::write(place.path("core1.psk"), key).unwrap();
    let said = show(&[
        "--psk-identity",
        "core1.example",
        "--psk-key",
        "file:core1.psk",
    ]);
    assert!(
        said.contains("the pre-shared key with the identity core1.example"),
        "{said}"
    );
    assert!(!said.contains(key), "{said}");
    let said = show(&["--ca", "ca.pem", "--raw-public-key", "--key", "core1.key"]);
    let digits = Command::new("sh")
        .args([
            "-c",
            "openssl pkey -in core1.key -pubout -outform der | sha256sum",
        ])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let digits = stdout(&digits);
    let digits = digits.split_whitespace().next().unwrap();
    assert!(
        said.contains(&format!("the raw public key sha256:{digits}")),
        "{said}"
    );
    let said = show(&PLAIN);
    assert!(said.contains("WITHOUT TLS"), "{said}");
    assert!(!said.contains(&place.text("old-sw7.secret")), "{said}");
    silent.saw_nobody();
}

/// Whether a process can have a network of its own here.
fn has_namespaces() -> bool {
    let status = Command::new("unshare").args(["-r", "-n", "true"]).status();
    status.is_ok_and(|status| status.success())
}

/// proves: TLS-2-2, TLS-3.1-7
#[test]
fn without_a_port_it_is_49_without_tls_and_300_with() {
    let place = Place::demo();
    let text = std::fs::read_to_string(place.config()).unwrap();
    let (text, _) = text.split_once("[metrics]").unwrap();
    let without = text
        .lines()
        .filter(|line| !line.starts_with("address  = \"127.0.0.1:0\""));
    let text: Vec<&str> = without.collect();
    std::fs::write(place.config(), text.join("\n")).unwrap();
    let told = devices_of(&place);
    assert!(
        told.contains("listener tacacs-tls [::]:300: with TLS"),
        "{told}"
    );
    assert!(
        told.contains("listener tacacs [::]:49: WITHOUT TLS"),
        "{told}"
    );
    if has_namespaces() {
        // Where nobody else is, and an ordinary user may have the ports.
        let server = place.start_through(&["unshare", "-r", "-n"], "info");
        assert_eq!((server.tls().port(), server.plain().port()), (300, 49));
        server.kill();
    } else {
        eprintln!("no network of its own is to be had here: only what check says is tested");
    }
    // What the client connects to, and what it makes of the names of the services.
    let show = |flags: &[&str]| {
        let mut command = doorward();
        command.args(["client", "show"]).args(flags);
        let shown = command.current_dir(place.path("")).output().unwrap();
        assert_eq!(code(&shown), 0, "{}", stderr(&shown));
        stdout(&shown)
    };
    let host = ["--server", "127.0.0.1"];
    let plain = ["--plain", "--secret", "file:old-sw7.secret"];
    assert!(show(&[&host[..], &AS_CORE1].concat()).contains("server       127.0.0.1:300: with"));
    assert!(show(&[&host[..], &plain].concat()).contains("server       127.0.0.1:49: WITHOUT"));
    let named = ["--server", "127.0.0.1:tacacss"];
    assert!(show(&[&named[..], &AS_CORE1].concat()).contains("127.0.0.1:300"));
    let named = ["--server", "127.0.0.1:tacacs"];
    assert!(show(&[&named[..], &plain].concat()).contains("127.0.0.1:49"));
}

/// proves: TLS-7-2
#[test]
fn a_client_without_a_server_looks_for_none() {
    let place = Place::demo();
    let blind = without_sockets(&place);
    let run = |verb: &str, flags: &[&str]| {
        let mut command = doorward();
        command.args(["client", verb]).args(AS_CORE1).args(flags);
        if verb != "show" {
            command.args(["--user", "alice"]);
        }
        if verb == "authenticate" {
            command.args(["--password", "file:alice.password"]);
        }
        command
            .current_dir(place.path(""))
            .env("LD_PRELOAD", &blind);
        let output = command.output().unwrap();
        (code(&output), stderr(&output))
    };
    for verb in ["authenticate", "authorize", "account", "show"] {
        let (code, said) = run(verb, &[]);
        assert_eq!(code, 64, "{verb}: {said}");
        assert!(said.contains("--server <HOST[:PORT]>"), "{verb}: {said}");
    }
    // The DNS is asked about servers that were named, and for none.
    let (code, said) = run("authenticate", &["--hastls", "require"]);
    assert_eq!(code, 64, "{said}");
    // That it could not have looked in secret: with a server it wants a socket, and ends there.
    let (code, _) = run("authenticate", &["--server", "localhost"]);
    assert_eq!(code, 99);
}
