//! Peers that do not read, prompts and logs that nobody looks at, files and descriptors that go away: one fault never
//! becomes everybody's.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Place, code, stderr, stdout};
use crate::wire::{Peer, acct, author, pap, tcp};

const SHOW: [&str; 2] = ["service=shell", "cmd=show"];
const RELOAD: [&str; 2] = ["service=shell", "cmd=reload"];
const TLS: &str = "protocol = \"tacacs-tls\" ";
const PLAIN: &str = "protocol = \"tacacs\" ";
const PERMIT: u8 = 1;
const DENY: u8 = 0x10;
const ERROR: u8 = 7;

fn status(place: &Place) -> Value {
    serde_json::from_str(&stdout(&place.ask(&["status", "--json"]))).unwrap()
}

/// Waits until a listener has that many connections.
pub(crate) fn wait_for_connections(place: &Place, protocol: &str, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let status = status(place);
        let listeners = status["listeners"].as_array().unwrap();
        let listener = listeners
            .iter()
            .find(|listener| listener["protocol"] == protocol)
            .unwrap();
        if listener["connections"].as_u64() == Some(wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Processor time the server has used, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Resident memory in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let field = line.and_then(|line| line.split_whitespace().nth(1));
    field.unwrap().parse().unwrap()
}

/// A server whose stderr is a pipe that nobody reads, or with other conditions that a shell can set.
struct Odd {
    child: Child,
    plain: SocketAddr,
}

impl Odd {
    fn start(place: &Place, shell: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", shell, env!("CARGO_BIN_EXE_doorward")])
            .arg(place.config())
            .env("DOORWARD_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(line.strip_prefix("ready ").unwrap()).unwrap();
        let listeners = ready["listeners"].as_array().unwrap();
        let plain = listeners
            .iter()
            .find(|listener| listener["protocol"] == "tacacs")
            .unwrap();
        Self {
            child,
            plain: plain["address"].as_str().unwrap().parse().unwrap(),
        }
    }

    fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn a_peer_that_asks_and_never_reads_is_given_up() {
    let attributes: Vec<String> = (0..40)
        .map(|number| format!("x{number} = \"{}\"", "y".repeat(200)))
        .collect();
    let place = Place::with(&[
        (PLAIN, "idle_timeout = \"1s\"\nprotocol = \"tacacs\" "),
        (
            "shell = { priv_lvl = 1, idle_time = \"15m\" }",
            &format!(
                "shell = {{ priv_lvl = 1, attributes = {{ {} }} }}",
                attributes.join(", ")
            ),
        ),
    ]);
    let server = Odd::start(&place, "exec \"$0\" run --config \"$1\"");
    let before = memory(server.child.id());
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.plain.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let secret = place.text("old-sw7.secret");
    // Each of them is answered with 8 KiB, together four times what the kernel keeps for a connection.
    let mut octets = Vec::new();
    for session in 1..=2000 {
        let request = author(session, "alice", &["service=shell", "cmd="]).flags(4);
        octets.extend(request.octets(Some(&secret)));
    }
    // The server stops reading before the end, or the kernels' buffers take the rest.
    _ = stream.write_all(&octets);
    let deadline = Instant::now() + Duration::from_secs(10);
    while status(&place)["refused"]["not-reading"] != 1 {
        assert!(Instant::now() < deadline, "{}", status(&place));
        std::thread::sleep(Duration::from_millis(50));
    }
    wait_for_connections(&place, "tacacs", 0);
    let after = memory(server.child.id());
    assert!(
        after < before + 20 * 1024,
        "memory went from {before} to {after} KiB"
    );
}

#[test]
fn a_log_that_nobody_reads_keeps_no_device_waiting() {
    let place = Place::demo();
    let server = Odd::start(&place, "exec \"$0\" run --config \"$1\"");
    let mut peer = Peer::plain(server.plain, &place);
    let long = format!("cmd-arg={}", "x".repeat(240));
    // Each denial is a line; a pipe holds 64 KiB.
    for session in 1..400 {
        let reply = peer.ask(author(session, "alice", &[RELOAD[0], RELOAD[1], &long]).flags(4));
        assert_eq!(reply.body[0], DENY);
    }
    let password = place.text("alice.password");
    let reply = Peer::plain(server.plain, &place).ask(pap(1, "alice", &password));
    assert_eq!(reply.body[0], PERMIT);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_log_whose_reader_is_gone_keeps_no_device_waiting() {
    let place = Place::demo();
    let mut server = Odd::start(&place, "exec \"$0\" run --config \"$1\"");
    drop(server.child.stderr.take());
    let mut peer = Peer::plain(server.plain, &place);
    for session in 1..10 {
        assert_eq!(
            peer.ask(author(session, "alice", &RELOAD).flags(4)).body[0],
            DENY
        );
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn without_descriptors_the_server_waits_quietly_and_comes_back() {
    let place = Place::demo();
    let mut server = Odd::start(
        &place,
        "ulimit -n 64; exec \"$0\" run --log-format json --config \"$1\"",
    );
    let held: Vec<TcpStream> = (0..120).map(|_| tcp(server.plain)).collect();
    let before = ticks(server.child.id());
    std::thread::sleep(Duration::from_millis(1500));
    let used = ticks(server.child.id()) - before;
    assert!(used < 30, "{used} ticks of 10 ms in 1.5 s");
    drop(held);
    let reply = Peer::plain(server.plain, &place).ask(author(1, "alice", &SHOW));
    assert_eq!(reply.body[0], PERMIT);
    let log = server.child.stderr.take().unwrap();
    assert_eq!(server.stop(), Some(0));
    let lines = BufReader::new(log)
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.contains("accept-failed"))
        .count();
    assert!((1..=5).contains(&lines), "{lines} lines");
}

#[test]
fn records_are_found_again_after_the_journal_was_removed_under_the_server() {
    let place = Place::demo();
    let mut server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    let mut session = 0;
    let mut record = |command: &str| {
        session += 1;
        let request = acct(session, 2, "alice", &["service=shell", command]);
        peer.ask(request.flags(4)).body[4]
    };
    assert_eq!(record("cmd=first"), 1);
    for name in ["doorward.db", "doorward.db-wal", "doorward.db-shm"] {
        std::fs::remove_file(place.path(name)).unwrap();
    }
    assert_eq!(record("cmd=second"), 1);
    std::fs::remove_file(place.path("doorward.db-wal")).unwrap();
    assert_eq!(record("cmd=third"), 1);
    server.wait_for_log(&["removed or replaced"]);
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    assert!(
        found.contains("second") && found.contains("third"),
        "{found}"
    );
    // Without a folder there is nothing to write to; when it is back, the same files go on.
    let (here, away) = (place.path(""), place.folder.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    assert_eq!(record("cmd=fourth"), 2, "ERROR");
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(record("cmd=fifth"), 1);
    let found = stdout(&place.ask(&["acct", "search", "--json"]));
    assert!(
        found.contains("third") && found.contains("fifth") && !found.contains("fourth"),
        "{found}"
    );
}

#[test]
fn a_reload_that_could_not_listen_is_refused_and_the_old_listener_serves_on() {
    let place = Place::demo();
    let server = place.start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = std::fs::read_to_string(place.config()).unwrap();
    let (head, tail) = text.split_once(PLAIN).unwrap();
    let tail = tail.replacen("127.0.0.1:0", &address, 1);
    std::fs::write(place.config(), format!("{head}{PLAIN}{tail}")).unwrap();
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 1);
    assert!(stderr(&reload).contains(&address), "{}", stderr(&reload));
    let reply = Peer::plain(server.plain(), &place).ask(author(1, "alice", &SHOW));
    assert_eq!(reply.body[0], PERMIT);
    // The address is free: now it is taken over.
    drop(taken);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    let reply = Peer::plain(address.parse().unwrap(), &place).ask(author(1, "alice", &SHOW));
    assert_eq!(reply.body[0], PERMIT);
}

#[test]
fn a_reload_that_hangs_delays_neither_logins_nor_the_stop() {
    let place = Place::demo();
    let server = place.start();
    std::fs::remove_file(place.path("ca.crl")).unwrap();
    // Opening it waits for a writer that never comes, as a file on a dead server does.
    let made = Command::new("mkfifo").arg(place.path("ca.crl")).status();
    assert!(made.unwrap().success());
    server.signal("-HUP");
    std::thread::sleep(Duration::from_millis(300));
    let password = place.text("alice.password");
    let reply = Peer::plain(server.plain(), &place).ask(pap(1, "alice", &password));
    assert_eq!(reply.body[0], PERMIT);
    let since = Instant::now();
    assert_eq!(server.stop().0, Some(0));
    assert!(since.elapsed() < Duration::from_secs(5));
}

/// proves: TAC-4.4-3
#[test]
fn a_flood_of_wrong_passwords_costs_others_an_error_at_once_and_leaves_nothing() {
    let place = Place::demo();
    let mut server = place.start();
    let (secret, password) = (place.text("old-sw7.secret"), place.text("alice.password"));
    let before = server.memory();
    let mut octets = author(1, "alice", &SHOW).flags(4).octets(Some(&secret));
    for session in 2..=900 {
        octets.extend(pap(session, "alice", "wrong").octets(Some(&secret)));
    }
    // A flood lasts as long as its passwords are hashed: a slow test may come too late for one.
    let mut floods = Vec::new();
    let busy = (1..=20).any(|_| {
        let mut flood = tcp(server.plain());
        flood.write_all(&octets).unwrap();
        floods.push(flood);
        server.wait_for_log(&["\"hashing-busy\""]);
        let since = Instant::now();
        let reply = Peer::plain(server.plain(), &place).ask(pap(1, "alice", &password));
        let took = since.elapsed();
        (reply.body[0] == ERROR) && {
            assert!(took < Duration::from_secs(1));
            true
        }
    });
    assert!(busy);
    let mut other = Peer::plain(server.plain(), &place);
    for session in 1..=20 {
        let since = Instant::now();
        let reply = other.ask(author(session, "alice", &SHOW).flags(4));
        assert_eq!(reply.body[0], PERMIT);
        assert!(since.elapsed() < Duration::from_secs(1));
    }
    assert!(server.memory() < before + 80 * 1024);
    // Nobody waits for the answers any more: the workers do not work for them.
    drop(floods);
    wait_for_connections(&place, "tacacs", 1);
    let reply = Peer::plain(server.plain(), &place).ask(pap(1, "alice", &password));
    assert_eq!(reply.body[0], PERMIT);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0));
    let lines = log
        .lines()
        .filter(|line| line.contains("\"hashing-busy\""))
        .count();
    assert!(lines <= 10, "{lines} lines");
}

#[test]
fn half_open_handshakes_and_idle_tls_connections_do_not_delay_a_login() {
    let place = Place::with(&[(
        TLS,
        "handshake_timeout = \"20s\"\nprotocol = \"tacacs-tls\" ",
    )]);
    let server = place.start();
    let half_open: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut stream = tcp(server.tls());
            stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1]).unwrap();
            stream
        })
        .collect();
    let idle: Vec<Peer> = (0..300)
        .map(|_| Peer::tls(server.tls(), &place, "core1").unwrap())
        .collect();
    let before = ticks(server.pid());
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        ticks(server.pid()) - before < 10,
        "idle connections cost nothing"
    );
    let since = Instant::now();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let reply = peer.ask(pap(1, "alice", &place.text("alice.password")));
    assert_eq!(reply.body[0], PERMIT);
    assert!(since.elapsed() < Duration::from_secs(1));
    drop((half_open, idle, peer));
    wait_for_connections(&place, "tacacs-tls", 0);
}
