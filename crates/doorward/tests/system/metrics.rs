//! `/metrics`, `/healthz`, `/readyz`: exact counts after known traffic, and what abuse costs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::exposition::{Page, get, promtool, request, strict_reader};
use crate::harness::{PATIENCE, Place, Server, code, doorward, stderr, stdout};
use crate::wire::{Peer, acct, answer, ascii, author, pap, tcp};

const SHOW: [&str; 2] = ["service=shell", "cmd=show"];
const RELOAD: [&str; 2] = ["service=shell", "cmd=reload"];
const SHELL: [&str; 2] = ["service=shell", "cmd="];
const METRICS: &str = "[metrics]\nlisten  = \"127.0.0.1:0\"";

impl Server {
    fn metrics(&self) -> SocketAddr {
        self.ready["metrics"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn page(&self) -> Page {
        Page::scrape(self.metrics())
    }

    /// Scrapes until a figure has a value: for what happens after the last reply a client can see.
    pub(crate) fn wait_for(&self, series: &str, wanted: f64) -> Page {
        self.wait_until(series, |value| value == wanted)
    }

    fn wait_until(&self, series: &str, fits: impl Fn(f64) -> bool) -> Page {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let page = self.page();
            if page.get(series).is_some_and(&fits) {
                return page;
            }
            assert!(
                Instant::now() < deadline,
                "{series} stays at {:?}",
                page.get(series)
            );
            std::thread::yield_now();
        }
    }
}

/// The series of a family that are not zero, with the labels left of their family's name.
fn counted(page: &Page, family: &str) -> BTreeMap<String, u64> {
    page.series(family)
        .filter(|(_, value)| *value != 0.0)
        .map(|(series, value)| {
            (
                series.strip_prefix(family).unwrap().to_owned(),
                value as u64,
            )
        })
        .collect()
}

fn table<const N: usize>(rows: [(&str, u64); N]) -> BTreeMap<String, u64> {
    rows.into_iter()
        .map(|(labels, count)| (labels.to_owned(), count))
        .collect()
}

fn requests(kind: &str, outcome: &str, reason: &str) -> String {
    format!("{{kind=\"{kind}\",outcome=\"{outcome}\",reason=\"{reason}\"}}")
}

/// Logins, authorizations and records over both transports, and handshakes that fail.
fn traffic(place: &Place, server: &Server) -> (Peer, Peer) {
    let password = place.text("alice.password");
    let mut tls = Peer::tls(server.tls(), place, "core1").unwrap();
    assert_eq!(tls.ask(pap(1, "alice", &password).flags(4)).body[0], 1);
    assert_eq!(tls.ask(pap(2, "alice", "wrong").flags(4)).body[0], 2);
    assert_eq!(tls.ask(pap(3, "nobody", "wrong").flags(4)).body[0], 2);
    // A dialogue is one request, however many packets it takes.
    assert_eq!(tls.ask(ascii(4, "alice", "").flags(4)).body[0], 5);
    assert_eq!(tls.ask(answer(4, 3, &password).flags(4)).body[0], 1);
    assert_eq!(tls.ask(author(5, "alice", &SHOW).flags(4)).body[0], 1);
    assert_eq!(tls.ask(author(6, "alice", &SHELL).flags(4)).body[0], 1);
    assert_eq!(tls.ask(author(7, "alice", &RELOAD).flags(4)).body[0], 0x10);
    let record = ["task_id=1", "service=shell"];
    for session in 8..11 {
        tls.send(acct(session, 2, "alice", &record).flags(4));
    }
    for _ in 8..11 {
        assert_eq!(tls.receive().unwrap().body[4], 1, "recorded");
    }
    // A record that breaks a rule of the protocol is an ERROR.
    tls.ask(acct(11, 2, "al\u{7f}ice", &record).flags(4));

    let mut plain = Peer::plain(server.plain(), place);
    assert_eq!(plain.ask(author(1, "alice", &SHOW).flags(4)).body[0], 1);
    for _ in 0..2 {
        revoked(place, server);
    }
    let mut nobody = tcp(server.tls());
    nobody.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    _ = nobody.read_to_end(&mut Vec::new());
    (tls, plain)
}

/// A handshake with a revoked certificate, up to the alert.
fn revoked(place: &Place, server: &Server) {
    let refused = Peer::tls(server.tls(), place, "stolen1").and_then(|mut peer| {
        peer.write(&author(1, "alice", &SHOW).flags(1).octets(None))?;
        peer.receive()
    });
    assert!(refused.is_err());
}

#[test]
fn what_was_answered_and_refused_is_counted_exactly() {
    let place = Place::demo();
    let server = place.start();
    let before = server.page();
    assert_eq!(counted(&before, "doorward_requests_total"), table([]));
    let began = unix_now();
    let (_tls, _plain) = traffic(&place, &server);
    // The last that happens; a page may be a little older than the question.
    let page = server.wait_for(
        "doorward_handshakes_total{outcome=\"failed\",reason=\"not-tls\"}",
        1.0,
    );
    assert_eq!(
        counted(&page, "doorward_requests_total"),
        table([
            (&requests("authentication", "pass", "password-right"), 2),
            (&requests("authentication", "fail", "password-wrong"), 1),
            (&requests("authentication", "fail", "user-unknown"), 1),
            (&requests("authorization", "permit", "command-rule"), 2),
            (&requests("authorization", "permit", "shell-granted"), 1),
            (&requests("authorization", "deny", "no-command-rule"), 1),
            (&requests("accounting", "recorded", "journalled"), 3),
            (&requests("accounting", "error", "request-invalid"), 1),
        ])
    );
    assert_eq!(
        counted(&page, "doorward_request_duration_seconds_count"),
        table([
            ("{kind=\"accounting\"}", 4),
            ("{kind=\"authentication\"}", 4),
            ("{kind=\"authorization\"}", 4),
        ])
    );
    // A password hash takes longer than a rule, and nothing takes as long as this test.
    let sum = |kind: &str| {
        page.get(&format!(
            "doorward_request_duration_seconds_sum{{kind=\"{kind}\"}}"
        ))
        .unwrap()
    };
    assert!(sum("authentication") > sum("authorization"));
    assert!(sum("accounting") > 0.0 && sum("authentication") < (unix_now() - began + 1.0) * 4.0);
    assert_eq!(
        counted(&page, "doorward_handshakes_total"),
        table([
            ("{outcome=\"completed\",reason=\"certificate\"}", 1),
            ("{outcome=\"failed\",reason=\"certificate-revoked\"}", 2),
            ("{outcome=\"failed\",reason=\"not-tls\"}", 1),
        ])
    );
    assert_eq!(
        page.get("doorward_handshake_duration_seconds_count"),
        Some(1.0)
    );
    assert_eq!(
        counted(&page, "doorward_refused_total"),
        table([
            ("{reason=\"certificate-revoked\"}", 2),
            ("{reason=\"not-tls\"}", 1),
        ])
    );
    assert_eq!(page.get("doorward_journal_records_total"), Some(3.0));
    // Two logins and a command were denied; nobody waited for their rows.
    let page = server.wait_for("doorward_audit_decisions_total", 3.0);
    let commits = page.get("doorward_journal_commit_duration_seconds_count");
    assert!(
        commits.is_some_and(|commits| (1.0..=6.0).contains(&commits)),
        "{commits:?}"
    );
    assert_eq!(page.get("doorward_audit_decisions_lost_total"), Some(0.0));
    assert_eq!(page.get("doorward_journal_pending_records"), Some(0.0));
    assert_eq!(page.get("doorward_journal_pending_bytes"), Some(0.0));
    assert_eq!(page.get("doorward_passwords_hashed_total"), Some(4.0));
    assert_eq!(page.get("doorward_ready"), Some(1.0));
    // What did not happen is there as well, so that its first time is an increase.
    let fault = requests("accounting", "error", "journal-failed");
    assert_eq!(
        page.get(&format!("doorward_requests_total{fault}")),
        Some(0.0)
    );
}

#[test]
fn devices_listeners_and_what_ends_are_told() {
    let place = Place::demo();
    let server = place.start();
    let began = unix_now().floor();
    let (tls, plain) = traffic(&place, &server);
    let page = server.page();
    let seen = |device: &str, transport: &str| {
        page.get(&format!(
            "doorward_device_last_seen_timestamp_seconds{{device=\"{device}\",transport=\"{transport}\"}}"
        ))
        .unwrap()
    };
    assert!(seen("core1", "tls") >= began && seen("old-sw7", "plain") >= began);
    for (device, transport) in [("core1", "plain"), ("old-sw7", "tls"), ("stolen1", "tls")] {
        assert_eq!(seen(device, transport), 0.0, "{device} {transport}");
    }
    assert_eq!(
        counted(&page, "doorward_devices"),
        table([
            ("{last_seen=\"never\"}", 2),
            ("{last_seen=\"plain\"}", 1),
            ("{last_seen=\"tls\"}", 1),
        ])
    );
    let year = began + 366.0 * 86400.0;
    let near = |value: f64, wanted: f64| (value - wanted).abs() < 600.0;
    for series in [
        "doorward_device_certificate_expiry_timestamp_seconds{device=\"core1\"}",
        "doorward_server_certificate_expiry_timestamp_seconds{profile=\"default\"}",
    ] {
        assert!(near(page.get(series).unwrap(), year), "{series} {year}");
    }
    assert_eq!(
        page.series("doorward_device_certificate_expiry_timestamp_seconds")
            .count(),
        1,
        "a revoked certificate is nobody's"
    );
    let crls: Vec<_> = page
        .series("doorward_crl_next_update_timestamp_seconds")
        .collect();
    let [(series, next_update)] = crls[..] else {
        panic!("{crls:?}")
    };
    assert!(near(next_update, began + 30.0 * 86400.0), "{next_update}");
    let file = place.path("ca.crl");
    for label in [
        "profile=\"default\"".to_owned(),
        format!("file=\"{}\"", file.display()),
        "issuer=\"CN=Doorward demo CA\"".to_owned(),
    ] {
        assert!(series.contains(&label), "{series} {label}");
    }
    let listener = |name: &str, protocol: &str, address: SocketAddr| {
        format!("{name}{{protocol=\"{protocol}\",listener=\"{address}\"}}")
    };
    let connections = listener("doorward_connections", "tacacs", server.plain());
    assert_eq!(page.get(&connections), Some(1.0));
    let limit = listener("doorward_connections_limit", "tacacs-tls", server.tls());
    assert_eq!(page.get(&limit), Some(10_000.0));
    drop(plain);
    server.wait_for(&connections, 0.0);
    drop(tls);
    let connections = listener("doorward_connections", "tacacs-tls", server.tls());
    let page = server.wait_for(&connections, 0.0);
    let open = listener("doorward_handshakes_open", "tacacs-tls", server.tls());
    assert_eq!(page.get(&open), Some(0.0));
    assert!(page.get("process_resident_memory_bytes").unwrap() > 1e6);
    assert!(page.get("process_cpu_seconds_total").unwrap() > 0.0);
    let started = page.get("process_start_time_seconds").unwrap();
    assert!((started - began).abs() < 60.0, "{started}");
    let descriptors = page.get("process_open_fds").unwrap();
    assert!(descriptors > 5.0 && descriptors < page.get("process_max_fds").unwrap());
}

#[test]
fn a_break_glass_user_is_counted_by_name() {
    let place = Place::with(&[("[user.alice] ", "[user.alice]\nalert = true ")]);
    let mut server = place.start();
    let uses =
        |kind: &str| format!("doorward_alert_user_uses_total{{user=\"alice\",kind=\"{kind}\"}}");
    let page = server.page();
    assert_eq!(
        page.get(&uses("authentication")),
        Some(0.0),
        "before the first use"
    );
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    peer.ask(pap(1, "alice", "wrong").flags(4));
    peer.ask(pap(2, "alice", &place.text("alice.password")).flags(4));
    peer.ask(author(3, "alice", &SHOW).flags(4));
    peer.ask(author(4, "alice", &SHOW).flags(4));
    peer.ask(author(5, "alice", &RELOAD).flags(4));
    peer.ask(author(6, "bob", &SHOW).flags(4));
    let page = server.wait_for(&uses("authorization"), 2.0);
    assert_eq!(page.get(&uses("authentication")), Some(1.0));
    assert_eq!(
        page.series("doorward_alert_user_uses_total").count(),
        2,
        "bob is not watched"
    );
    server.wait_for_logs(
        &["a user with alert = true is at work", "\"user\":\"alice\""],
        3,
    );
}

#[test]
fn sinks_tell_what_waits_for_them() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let sinks = format!(
        "[[accounting]]\ntype = \"jsonl\"\npath = \"records.jsonl\"\nname = \"file\"\n\
         [[accounting]]\ntype = \"syslog\"\nto = \"tcp://{address}\"\nname = \"siem\"\n\
         [[accounting]]\ntype = \"database\""
    );
    let place = Place::with(&[("[[accounting]]\ntype = \"database\"", &sinks)]);
    let server = place.start();
    let (_tls, _plain) = traffic(&place, &server);
    let of = |name: &str, sink: &str| format!("doorward_sink_{name}{{sink=\"{sink}\"}}");
    server.wait_for(&of("delivered_records_total", "file"), 3.0);
    server.wait_for(&of("pending_records", "file"), 0.0);
    server.wait_for(&of("up", "siem"), 0.0);
    // Three records, and the three decisions of [audit] between them, which are passed over when they are reached.
    let page = server.wait_for(&of("pending_records", "siem"), 6.0);
    for (name, sink, value) in [
        ("up", "file", 1.0),
        ("lag_seconds", "file", 0.0),
        ("failures_total", "file", 0.0),
        ("delivered_records_total", "siem", 0.0),
    ] {
        assert_eq!(page.get(&of(name, sink)), Some(value), "{name} {sink}");
    }
    assert!(page.get(&of("failures_total", "siem")).unwrap() >= 1.0);
    // Known from the next attempt on, since the first was made when nothing waited.
    server.wait_until(&of("lag_seconds", "siem"), |lag| lag > 0.0);
}

#[test]
fn hostile_traffic_makes_no_series() {
    let place = Place::demo();
    let server = place.start();
    let names = |page: &Page| -> BTreeSet<String> {
        page.samples
            .iter()
            .map(|(series, _)| series.clone())
            .collect()
    };
    // The one series that comes with a device: the end of its certificate.
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    peer.ask(author(1, "alice", &SHOW).flags(4));
    let before = names(&server.page());
    for number in 2..60 {
        let user = format!("user\"{number}\\");
        peer.ask(author(number, &user, &[&format!("service=x{number}")]).flags(4));
        peer.ask(
            author(
                number + 1000,
                "alice",
                &["service=shell", &format!("cmd=c{number}")],
            )
            .flags(4),
        );
        get(server.metrics(), &format!("/metrics/{number}?x={number}"));
    }
    revoked(&place, &server);
    let page = server.wait_for(
        "doorward_handshakes_total{outcome=\"failed\",reason=\"certificate-revoked\"}",
        1.0,
    );
    assert_eq!(names(&page), before);
    assert!(before.len() < 500, "{} series", before.len());
    let total: f64 = page
        .series("doorward_requests_total")
        .map(|(_, count)| count)
        .sum();
    assert_eq!(total, 117.0);
}

#[test]
fn both_forms_are_what_prometheus_reads() {
    // Names and paths that have to be escaped.
    let place = Place::with(&[
        ("[device.core1]", "[device.'co\"re\\1']"),
        ("on     = \"core1\"", "on     = 'co\"re\\1'"),
        ("[user.alice] ", "[user.alice]\nalert = true "),
        (
            "address  = \"127.0.0.1:0\"\n\n[tls.default]",
            "address  = \"127.0.0.1:0\"\nuntil = 2999-12-31\n\n[tls.default]",
        ),
    ]);
    let server = place.start();
    let (_tls, _plain) = traffic(&place, &server);
    let older = get(server.metrics(), "/metrics");
    assert_eq!(
        older.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        older
            .body
            .contains("{device=\"co\\\"re\\\\1\",transport=\"tls\"}"),
        "{}",
        older.body
    );
    promtool(&["check", "metrics"], &older.body);

    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let reply = request(
        server.metrics(),
        &format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}\r\n"),
    );
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    strict_reader(&reply.body);
    let page = Page::open_metrics(&reply.body);
    let older = Page::parse(&older.body);
    let names = |page: &Page| -> BTreeSet<String> {
        page.samples
            .iter()
            .map(|(series, _)| series.clone())
            .collect()
    };
    assert_eq!(names(&page), names(&older));
}

#[test]
fn readiness_is_that_of_status_and_turns_when_the_server_stops() {
    let place = Place::demo();
    let server = place.start();
    let ready = get(server.metrics(), "/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    assert_eq!(get(server.metrics(), "/healthz").status, 200);
    // A session under way keeps the server for a while after it was asked to stop.
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(peer.ask(ascii(1, "alice", "").flags(4)).body[0], 5);
    let metrics = server.metrics();
    server.signal("-TERM");
    let deadline = Instant::now() + PATIENCE;
    let stopping = loop {
        let reply = get(metrics, "/readyz");
        if reply.status != 200 {
            break reply;
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!(
        (stopping.status, stopping.body.as_str()),
        (503, "not ready: the server is stopping\n")
    );
    assert_eq!(
        get(metrics, "/healthz").status,
        200,
        "it still serves what it has"
    );
    assert_eq!(Page::scrape(metrics).get("doorward_ready"), Some(0.0));
    assert_eq!(
        peer.ask(answer(1, 3, &place.text("alice.password")).flags(4))
            .body[0],
        1
    );
    drop(peer);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn readiness_turns_when_logins_would_wait_too_long() {
    let place = Place::demo();
    let server = place.start();
    let metrics = server.metrics();
    // More logins than two seconds of all cores can judge, each asked at once on connections of their own.
    let mut peers: Vec<Peer> = (0..8)
        .map(|_| Peer::tls(server.tls(), &place, "core1").unwrap())
        .collect();
    let deadline = Instant::now() + PATIENCE;
    let mut session = 0;
    let mut flood = || {
        for peer in &mut peers {
            for _ in 0..20 {
                session += 1;
                peer.send(pap(session, "nobody", "x").flags(4));
            }
        }
        assert!(
            Instant::now() < deadline,
            "{session} logins did not keep the workers busy"
        );
    };
    let busy = loop {
        flood();
        let reply = get(metrics, "/readyz");
        if reply.status == 503 {
            break reply;
        }
    };
    assert!(busy.body.contains("password workers"), "{}", busy.body);
    // With every login that is judged there is room for another one, until the next comes: the page has to be of such a moment.
    let page = loop {
        flood();
        let page = Page::scrape(metrics);
        let saturated = page.get("doorward_password_workers_saturated") == Some(1.0);
        if saturated && page.get("doorward_ready") == Some(0.0) {
            break page;
        }
    };
    assert!(page.get("doorward_password_queue_length").unwrap() > 0.0);
    assert!(page.get("doorward_password_workers_busy").unwrap() > 0.0);
    // Devices that gave up leave the queue to others. What they had sent before may fill it once more: only a server that has
    // read the last of it is ready for good.
    drop(peers);
    server.wait_for("doorward_password_workers_busy", 0.0);
    while get(metrics, "/readyz").status != 200 {
        assert!(
            Instant::now() < deadline,
            "{}",
            get(metrics, "/readyz").body
        );
    }
}

#[test]
fn only_three_paths_and_two_methods_are_answered() {
    let place = Place::demo();
    let server = place.start();
    let metrics = server.metrics();
    for path in [
        "/",
        "/metrics/",
        "/metricsx",
        "//metrics",
        "/../metrics",
        "/healthz/x",
        "/favicon.ico",
    ] {
        assert_eq!(get(metrics, path).status, 404, "{path}");
    }
    assert_eq!(get(metrics, "/metrics?name[]=x").status, 200);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        let reply = request(
            metrics,
            &format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"),
        );
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some("GET, HEAD")),
            "{method}"
        );
    }
    let head = request(metrics, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(
        head.header("content-length")
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > 1000
    );
    let old = request(metrics, "GET /readyz HTTP/1.0\r\n\r\n");
    assert_eq!(old.status, 200);
    assert_eq!(old.header("cache-control"), Some("no-store"));
}

#[test]
fn abuse_of_the_endpoint_costs_its_own_connection() {
    let place = Place::demo();
    let server = place.start();
    let metrics = server.metrics();
    let memory = server.memory();
    let long = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(9000)
    );
    assert_eq!(request(metrics, &long).status, 431);
    let many = "X: y\r\n".repeat(65);
    assert_eq!(
        request(metrics, &format!("GET /metrics HTTP/1.1\r\n{many}\r\n")).status,
        431
    );
    let path = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    assert!(matches!(request(metrics, &path).status, 0 | 414 | 431));
    for octets in [
        "\0\0\0\0\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET\r\n\r\n",
    ] {
        let reply = request(metrics, octets);
        assert!(
            matches!(reply.status, 0 | 400 | 505),
            "{octets:?} {}",
            reply.status
        );
    }
    // A crowd that says nothing does not keep the scraper out, nor a login.
    let crowd: Vec<_> = (0..200).map(|_| tcp(metrics)).collect();
    assert_eq!(get(metrics, "/metrics").status, 200);
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(peer.ask(author(1, "alice", &SHOW)).body[0], 1);
    assert!(
        (&crowd[0]).read(&mut [0]).is_ok_and(|octets| octets == 0),
        "the oldest had to go"
    );
    let page = server.page();
    assert!(page.get("process_open_fds").unwrap() < 100.0);
    let grown = server.memory().saturating_sub(memory);
    assert!(grown < 16 * 1024, "{grown} KiB");
    // Closed by the limit of time, not by us.
    let silent = tcp(metrics);
    assert!((&silent).read(&mut [0]).is_ok_and(|octets| octets == 0));
}

#[test]
fn a_reload_moves_the_endpoint_and_a_taken_address_is_refused() {
    let place = Place::demo();
    let mut server = place.start();
    let first = server.metrics();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("[metrics]\nlisten  = \"{}\"", taken.local_addr().unwrap());
    place.edit(&[(METRICS, &elsewhere)]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 1);
    let text = stderr(&reload);
    assert!(
        text.contains("a new listener cannot be opened")
            && text.contains("--> [metrics] 127.0.0.1:"),
        "{text}"
    );
    let page = Page::scrape(first);
    assert_eq!(
        page.get("doorward_configuration_last_reload_successful"),
        Some(0.0)
    );
    assert_eq!(page.get("doorward_configuration_generation"), Some(1.0));

    let free = taken.local_addr().unwrap();
    drop(taken);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    let page = Page::scrape(free);
    assert_eq!(
        page.get("doorward_configuration_last_reload_successful"),
        Some(1.0)
    );
    assert_eq!(page.get("doorward_configuration_generation"), Some(2.0));
    assert!(
        std::net::TcpStream::connect(first).is_err(),
        "the old one is closed"
    );
    server.wait_for_log(&["metrics are served", &free.to_string()]);

    // The listener takes the port that the endpoint leaves.
    let plain = format!("address  = \"{free}\"\n\n[[listen]]\nprotocol = \"radius-tls");
    place.edit(&[
        (&elsewhere, ""),
        (
            "address  = \"127.0.0.1:0\"\n\n[[listen]]\nprotocol = \"radius-tls",
            &plain,
        ),
    ]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    let mut peer = Peer::plain(free, &place);
    assert_eq!(peer.ask(author(1, "alice", &SHOW)).body[0], 1);
    assert_eq!(status(&place)["metrics"], Value::Null);
    // And the other way round.
    place.edit(&[(
        &plain,
        &format!(
            "address  = \"127.0.0.1:0\"\n\n{elsewhere}\n\n[[listen]]\nprotocol = \"radius-tls"
        ),
    )]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    assert_eq!(status(&place)["metrics"], free.to_string());
    assert_eq!(
        Page::scrape(free).get("doorward_configuration_generation"),
        Some(4.0)
    );
}

fn status(place: &Place) -> Value {
    serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap()
}

#[test]
fn without_metrics_nothing_listens_and_a_taken_address_is_no_start() {
    let place = Place::with(&[(METRICS, "")]);
    let server = place.start();
    assert_eq!(server.ready["metrics"], Value::Null);
    drop(server);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    place.edit(&[(
        "[tls.default]",
        &format!("[metrics]\nlisten = \"{address}\"\n[tls.default]"),
    )]);
    let output = doorward()
        .args(["run", "--config"])
        .arg(place.config())
        .output()
        .unwrap();
    assert_eq!(code(&output), 1);
    let text = stderr(&output);
    assert!(
        text.contains("error: a listener cannot be opened")
            && text.contains(&format!("--> [metrics] {address}\n")),
        "{text}"
    );
    place.edit(&[
        (
            &format!("listen = \"{address}\""),
            "listen = \"127.0.0.1:9300\"",
        ),
        (
            "address  = \"127.0.0.1:0\"             # 0: any free port",
            "address = \"[::]:9300\"",
        ),
    ]);
    let output = place.check();
    assert_eq!(code(&output), 1);
    let text = stderr(&output) + &stdout(&output);
    assert!(
        text.contains("a listener has the address of [metrics]"),
        "{text}"
    );
}

fn unix_now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}
