//! A server with TLS and one without are two servers, in one process or in two (RFC 9887 sections 2, 3, 5 and 7).

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{AS_CORE1, Place, Server, all_said, code, doorward, stderr, stdout};
use crate::sessions::{PASS, PASS_ADD};
use crate::transports::without_sockets;
use crate::wire::{Peer, author, client_config, pap, tcp};

const SHOW: [&str; 2] = ["service=shell", "cmd=show"];
/// Less than a connection of the tests waits before it gives up: what took longer was not closed.
const CLOSED: Duration = Duration::from_secs(15);

/// All that comes back for these octets.
fn throw(address: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut stream = tcp(address);
    _ = stream.write_all(octets);
    _ = stream.shutdown(Shutdown::Write);
    let mut reply = Vec::new();
    _ = stream.read_to_end(&mut reply);
    reply
}

/// A certificate of the demo's CA with this subjectAltName, as `NAME.pem` and `NAME.key`.
fn certificate(place: &Place, name: &str, usage: &str, names: &str) {
    std::fs::write(
        place.path("names.ext"),
        format!("subjectAltName={names}\nextendedKeyUsage={usage}\nkeyUsage=digitalSignature\n"),
    )
    .unwrap();
    let script = format!(
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -subj /CN={name} -out {name}.csr && \
         openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names.ext -out {name}.pem"
    );
    let made = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(code(&made), 0, "{}", stderr(&made));
}

/// The demo, where `core1` is at home at 127.0.0.1 and `old-sw7` at 127.0.0.9.
fn at_home() -> Place {
    Place::with(&[
        ("[\"127.0.0.1/32\"]", "[\"127.0.0.9/32\"]"),
        (
            "certificate = { dns = [\"core1.doorward.test\"] }",
            "certificate = { dns = [\"core1.doorward.test\"] }\naddress = [\"127.0.0.1/32\"]",
        ),
    ])
}

fn plain_from(address: [u8; 4], server: &Server, place: &Place) -> Peer {
    let from = SocketAddr::from((address, 0));
    Peer::plain_from(from, server.plain(), &place.text("old-sw7.secret"))
}

/// proves: TLS-2-1
#[test]
fn a_device_of_one_server_is_nobody_at_the_other_of_the_process() {
    let place = at_home();
    let mut server = place.start();
    let password = place.text("alice.password");
    assert_ne!(server.tls(), server.plain(), "two servers, two sockets");
    let login = pap(1, "alice", &password);
    // Each where it belongs.
    let mut core1 = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(core1.ask(login.clone()).body[0], PASS);
    let mut old = plain_from([127, 0, 0, 9], &server, &place);
    assert_eq!(old.ask(login.clone()).body[0], PASS);
    // The device with TLS, from its own address, at the other server.
    let mut peer = plain_from([127, 0, 0, 1], &server, &place);
    let octets = peer.octets(login.clone());
    // It may be closed before it has written.
    _ = peer.write(&octets);
    assert!(peer.rest().is_empty());
    server.wait_for_log(&["\"reason\":\"device-unknown\"", "127.0.0.1"]);
    // The device without: it has no certificate, and one of the same CA in its name makes it no device with TLS.
    let config = client_config(&place, None);
    let nobody = Peer::tls_with(server.tls(), config);
    assert!(nobody.map_or(true, |mut peer| peer.rest().is_empty()));
    server.wait_for_log(&["\"reason\":\"certificate-missing\""]);
    certificate(&place, "old-sw7", "clientAuth", "DNS:old-sw7.doorward.test");
    let other = Peer::tls(server.tls(), &place, "old-sw7");
    let served = other.and_then(|mut peer| {
        let octets = peer.octets(login);
        peer.write(&octets)?;
        peer.receive()
    });
    assert!(served.is_err(), "{served:?}");
    server.wait_for_log(&["\"reason\":\"certificate-matches-no-device\""]);
}

/// proves: TLS-3.4-2
#[test]
fn a_good_certificate_of_nobody_is_not_served_and_told_of() {
    let place = Place::demo();
    for (name, names) in [
        ("stranger", "DNS:stranger.doorward.test"),
        ("nearly", "DNS:x.core1.doorward.test,IP:127.0.0.1"),
        ("nameless", "email:core1@doorward.test"),
    ] {
        certificate(&place, name, "clientAuth", names);
        let mut server = place.start();
        // The client sees its handshake as complete; the path is good, and openssl says so.
        let verified = Command::new("openssl")
            .args(["verify", "-CAfile", "ca.pem", "-purpose", "sslclient"])
            .arg(format!("{name}.pem"))
            .current_dir(place.path(""))
            .output()
            .unwrap();
        assert_eq!(code(&verified), 0, "{verified:?}");
        let served = Peer::tls(server.tls(), &place, name).and_then(|mut peer| {
            let octets = peer.octets(author(1, "alice", &SHOW));
            peer.write(&octets)?;
            peer.receive()
        });
        assert!(served.is_err(), "{name}: {served:?}");
        let line = server.wait_for_log(&["\"reason\":\"certificate-matches-no-device\""]);
        assert!(line.contains("\"source\":\"127.0.0.1:"), "{line}");
        let mut known = Peer::tls(server.tls(), &place, "core1").unwrap();
        assert_eq!(known.ask(author(2, "alice", &SHOW)).body[0], PASS_ADD);
    }
}

/// `doorward check --devices`.
pub(crate) fn devices_of(place: &Place) -> String {
    let mut command = doorward();
    let told = command.arg("check").arg(place.config()).arg("--devices");
    let told = told.output().unwrap();
    assert_eq!(code(&told), 0, "{}", stderr(&told));
    stdout(&told)
}

/// proves: TLS-3.2-7
#[test]
fn a_connection_lasts_until_session_error_or_idleness_end_it() {
    let place = Place::demo();
    let server = place.start();
    let connect = |server: &Server| Peer::tls(server.tls(), &place, "core1").unwrap();
    let begun = Instant::now();
    // Without single-connect the end of the session is the end of the connection,
    let mut one = connect(&server);
    assert_eq!(one.ask(author(1, "alice", &SHOW)).body[0], PASS_ADD);
    assert!(one.rest().is_empty());
    // with single-connect an error is: a packet of another major version.
    let mut single = connect(&server);
    for session in 1..=3 {
        let reply = single.ask(author(session, "alice", &SHOW).flags(4));
        assert_eq!((reply.body[0], reply.flags & 4), (PASS_ADD, 4));
    }
    single
        .write(
            &author(4, "alice", &SHOW)
                .version(0xb0)
                .flags(5)
                .octets(None),
        )
        .unwrap();
    assert!(single.rest().is_empty());
    // Both long before the five minutes of idleness, and before this client would have given up.
    assert!(begun.elapsed() < CLOSED, "{:?}", begun.elapsed());
    drop(server);

    place.edit(&[(
        "protocol = \"tacacs-tls\"",
        "protocol = \"tacacs-tls\"\nidle_timeout = \"2s\"",
    )]);
    let server = place.start();
    let mut single = connect(&server);
    // The idleness begins after this, however busy the machine is.
    let since = Instant::now();
    let reply = single.ask(author(1, "alice", &SHOW).flags(4));
    assert_eq!(reply.flags & 4, 4);
    assert!(single.rest().is_empty());
    let idle = since.elapsed();
    assert!(
        idle > Duration::from_millis(1900) && idle < CLOSED,
        "closed after {idle:?}"
    );
}

/// proves: TLS-5.1.1-1
#[test]
fn a_new_site_begins_with_tls_and_a_plain_listener_is_warned_of_at_the_start() {
    // What `doorward demo` writes: the first listener and every device but the one that knows no TLS.
    let place = Place::tacacs();
    let told = devices_of(&place);
    let mut lines = told.lines();
    assert!(lines.next().unwrap().contains("with TLS (certificate)"));
    let without: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("WITHOUT"))
        .collect();
    assert_eq!(without.len(), 2, "{told}");
    assert!(without[1].starts_with("device old-sw7:"), "{told}");
    let mut server = place.start();
    server.wait_for_log(&["listening"]);
    let (_, log) = server.stop();
    assert!(!log.contains("warning["), "on loopback nothing is exposed");
    // The one to begin with in the README has TLS alone.
    let readme = include_str!("../../../../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (sample, _) = rest.split_once("```").unwrap();
    assert_eq!(sample.matches("[[listen]]").count(), 1);
    assert!(sample.contains("protocol = \"tacacs-tls\""));
    assert!(!sample.contains("tacacs_secret"));
    // On a network the other kind is warned of whenever the server starts.
    place.edit(&[("address  = \"127.0.0.1:0\"\n", "address  = \"0.0.0.0:0\"\n")]);
    let mut server = place.start();
    let line = server.wait_for_log(&["warning[plain-listener]"]);
    assert!(line.contains("tacacs-tls"), "and what to do: {line}");
}

/// proves: TLS-5.1.1-3
#[test]
fn the_plain_server_has_a_definition_and_a_list_of_clients_of_its_own() {
    let place = at_home();
    place.edit(&[
        (
            "protocol = \"tacacs\" ",
            "device_groups = [\"legacy\"]\nprotocol = \"tacacs\" ",
        ),
        (
            "[device_group.core]",
            "[device.old-sw8]\naddress = [\"127.0.0.8/32\"]\ntacacs_secret = \"file:old-sw8.secret\"\ntags = [\"role:access\"]\n\n\
             [device_group.legacy]\nmatch = { name = \"old-sw7\" }\n\n[device_group.core]",
        ),
    ]);
    std::fs::write(place.path("old-sw8.secret"), "another secret of its own").unwrap();
    let mut server = place.start();
    let login = pap(1, "alice", &place.text("alice.password"));
    let mut listed = plain_from([127, 0, 0, 9], &server, &place);
    assert_eq!(listed.ask(login.clone()).body[0], PASS);
    // Known, with a secret, and not on the list.
    let from = SocketAddr::from(([127, 0, 0, 8], 0));
    let mut other = Peer::plain_from(from, server.plain(), "another secret of its own");
    let octets = other.octets(login.clone());
    _ = other.write(&octets);
    assert!(other.rest().is_empty());
    server.wait_for_log(&["\"reason\":\"listener-not-for-device\"", "127.0.0.8:"]);
    // The list is not that of the server with TLS.
    let mut core1 = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(core1.ask(login).body[0], PASS);
    // And no definition is both.
    for (line, why) in [
        ("tls = \"default\"", "a listener for tacacs has no TLS"),
        (
            "auth = [\"certificate\"]",
            "`auth` is for listeners with TLS",
        ),
    ] {
        let place = Place::with(&[(
            "protocol = \"tacacs\" ",
            &format!("{line}\nprotocol = \"tacacs\" "),
        )]);
        let refused = place.check();
        assert_eq!(code(&refused), 1);
        assert!(all_said(&refused).contains(why), "{}", all_said(&refused));
    }
}

/// proves: TLS-5.2-1
#[test]
fn every_peer_has_one_mode_that_is_shown_and_none_is_tried_both_ways() {
    let place = Place::tacacs();
    place.edit(&[(
        "[device_group.core]",
        "[device.old-sw8]\naddress = [\"127.0.0.8/32\"]\ntacacs_secret = \"plain:another secret of its own\"\ntransport = \"tls\"\ncertificate = { dns = [\"old-sw8.doorward.test\"] }\n\n\
         [device.keyed]\npsk = { identity = \"keyed\", key = \"plain:00112233445566778899aabbccddeeff\" }\n\n\
         [device.both]\naddress = [\"127.0.0.7/32\"]\ntacacs_secret = \"plain:a third secret of its own\"\ncertificate = { dns = [\"both.doorward.test\"] }\n\n\
         [device.new]\n\n[device_group.core]",
    )]);
    let told = devices_of(&place);
    for line in [
        "listener tacacs-tls 127.0.0.1:0: with TLS (certificate)",
        "listener tacacs 127.0.0.1:0: WITHOUT TLS",
        "device core1: with TLS (certificate)",
        "device old-sw7: WITHOUT TLS (shared secret, from 127.0.0.1/32)",
        "device old-sw8: with TLS (certificate); `transport = \"tls\"`: refused without",
        "device keyed: with TLS (psk, but no listener takes it)",
        "device both: with TLS (certificate) and WITHOUT TLS (shared secret, from 127.0.0.7/32)",
        "device new: no way to connect",
    ] {
        assert!(told.lines().any(|one| one == line), "{line}: {told}");
    }
    assert!(!told.contains("secret of its own"), "{told}");
    // The client: TLS unless it is told otherwise. Each server has its mode, and the other is never tried: rules.rs has
    // the one that refuses TLS.
    let shown = |flags: &[&str]| {
        let mut command = doorward();
        command.args(["client", "show", "--json", "--server", "a.doorward.test"]);
        command
            .args(["--server", "b.doorward.test:4949"])
            .args(flags);
        let shown = command.current_dir(place.path("")).output().unwrap();
        assert_eq!(code(&shown), 0, "{}", stderr(&shown));
        let shown: serde_json::Value = serde_json::from_str(&stdout(&shown)).unwrap();
        let servers = shown["servers"].as_array().unwrap().clone();
        servers
            .iter()
            .map(|one| format!("{} {}", one["server"], one["transport"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shown(&AS_CORE1),
        ["a.doorward.test:300 tls", "b.doorward.test:4949 tls"]
    );
    assert_eq!(
        shown(&["--plain", "--secret", "file:old-sw7.secret"]),
        ["a.doorward.test:49 plain", "b.doorward.test:4949 plain"]
    );
    // A listener without a mode is none, not one of both.
    place.edit(&[("protocol = \"tacacs\"  ", "# protocol ")]);
    let refused = place.check();
    assert_eq!(code(&refused), 1);
    assert!(
        all_said(&refused).contains("has no `protocol`"),
        "{}",
        all_said(&refused)
    );
}

/// The demo without anything without TLS: its plain listener goes, its old switch gets a certificate.
fn tls_only() -> Place {
    let place = Place::tacacs();
    let text = std::fs::read_to_string(place.config()).unwrap();
    let (before, rest) = text
        .split_once("[[listen]]\nprotocol = \"tacacs\" ")
        .unwrap();
    let (_, after) = rest.split_once("[tls.default]").unwrap();
    let text = format!("{before}[tls.default]{after}")
        .replace("name    = \"demo\"", "name    = \"demo\"\ntls_only = true")
        .replace("address       = [\"127.0.0.1/32\"]\n", "")
        .replace(
            "tacacs_secret = \"file:old-sw7.secret\"",
            "certificate = { dns = [\"old-sw7.doorward.test\"] }",
        );
    std::fs::write(place.config(), text).unwrap();
    place
}

/// proves: TLS-5.2-3, TLS-5.2-4
#[test]
fn one_option_ends_all_that_is_without_tls_on_both_sides() {
    let place = tls_only();
    let mut server = place.start();
    let listeners = server.ready["listeners"].as_array().unwrap().clone();
    assert_eq!(listeners.len(), 1);
    let password = place.text("alice.password");
    let start = pap(1, "alice", &password);
    let question = author(1, "alice", &SHOW);
    let mut count = 0;
    for listener in &listeners {
        let address: SocketAddr = listener["address"].as_str().unwrap().parse().unwrap();
        for octets in [
            start.octets(Some(&place.text("old-sw7.secret"))),
            start.clone().flags(1).octets(None),
            question.octets(Some(&place.text("old-sw7.secret"))),
            question.clone().flags(5).octets(None),
        ] {
            // At most one alert of TLS, and nothing of TACACS+.
            let reply = throw(address, &octets);
            assert!(
                reply.is_empty() || (reply[0] == 21 && reply.len() == 7),
                "{reply:x?}"
            );
            count += 1;
            server.wait_for_logs(&["\"reason\":\"not-tls\""], count);
        }
    }
    let proof = [&AS_CORE1[..], &["--server-name", "aaa1.doorward.test"]].concat();
    assert_eq!(
        code(&place.log_in(server.tls(), &proof)),
        0,
        "TLS is served"
    );
    // The same file keeps the client from it, without a socket.
    let blind = without_sockets(&place);
    let mut refused = doorward();
    refused
        .args([
            "client",
            "authenticate",
            "--server",
            &server.tls().to_string(),
        ])
        .args([
            "--plain",
            "--secret",
            "file:old-sw7.secret",
            "--user",
            "alice",
        ])
        .args(["--password", "file:alice.password", "--config"])
        .arg(place.config())
        .current_dir(place.path(""))
        .env("LD_PRELOAD", &blind);
    let refused = refused.output().unwrap();
    assert_eq!(code(&refused), 64, "{refused:?}");
    assert!(
        stderr(&refused).contains("`tls_only = true` in [server]"),
        "{refused:?}"
    );
    // And it cannot be undone by something that is added later.
    for (what, why) in [
        (
            "[[listen]]\nprotocol = \"tacacs\"\naddress = \"127.0.0.1:0\"\n",
            "this listener is plain, and `tls_only` of [server] allows none",
        ),
        (
            "[device.x]\naddress = [\"127.0.0.1\"]\ntacacs_secret = \"file:old-sw7.secret\"\n",
            "this device has a secret for plain connections, and `tls_only`",
        ),
    ] {
        let text = std::fs::read_to_string(place.config()).unwrap();
        std::fs::write(place.config(), format!("{text}\n{what}")).unwrap();
        let reload = place.ask(&["reload"]);
        assert_eq!(code(&reload), 1);
        assert!(all_said(&reload).contains(why), "{}", all_said(&reload));
        std::fs::write(place.config(), text).unwrap();
    }
}

/// The inodes of the sockets of a process that a table of its network has.
fn sockets(server: &Server, tables: &[&str]) -> BTreeSet<String> {
    let folder = format!("/proc/{}", server.pid());
    let own: BTreeSet<String> = std::fs::read_dir(format!("{folder}/fd"))
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?;
            Some(link.strip_suffix(']')?.to_owned())
        })
        .collect();
    let all = tables.iter().flat_map(|table| {
        let text = std::fs::read_to_string(format!("{folder}/net/{table}")).unwrap_or_default();
        let lines = text.lines().skip(1).map(str::to_owned);
        lines.collect::<Vec<_>>()
    });
    all.filter_map(|line| line.split_whitespace().nth(9).map(str::to_owned))
        .filter(|inode| own.contains(inode))
        .collect()
}

/// proves: TLS-7-1
#[test]
fn the_service_is_tcp_alone_and_its_srv_id_is_tacacss() {
    let place = Place::tacacs();
    let name = |label: &str| format!("otherName:1.3.6.1.5.5.7.8.7;IA5STRING:{label}.doorward.test");
    let ask = |server: &Server, label: &str| {
        let name = format!("{label}.doorward.test");
        let proof = [&AS_CORE1[..], &["--server-name", &name]].concat();
        place.log_in(server.tls(), &proof)
    };
    certificate(&place, "server", "serverAuth", &name("_tacacss"));
    let server = place.start();
    assert_eq!(
        sockets(&server, &["tcp", "tcp6"]).len(),
        3,
        "TLS, plain, metrics"
    );
    assert_eq!(
        sockets(&server, &["udp", "udp6", "udplite", "udplite6"]),
        BTreeSet::new()
    );
    let answer = ask(&server, "_tacacss");
    assert_eq!(code(&answer), 0, "{}", stderr(&answer));
    // Another service of the same name is another identity, and the certificate has no DNS-ID.
    for label in ["_tacacs", "_radsec", "_https"] {
        let answer = ask(&server, label);
        assert_eq!(code(&answer), 3);
        assert!(
            stderr(&answer).contains("another name"),
            "{}",
            stderr(&answer)
        );
    }
    drop(server);
    certificate(&place, "server", "serverAuth", &name("_tacacs"));
    let server = place.start();
    assert_eq!(code(&ask(&server, "_tacacss")), 3);
}
