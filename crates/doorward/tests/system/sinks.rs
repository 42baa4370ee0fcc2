//! Sinks of the running server: Debian's rsyslog as the receiver, stopped and started under load; files, rotated and full.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{PATIENCE, Place, Server, code, stderr, stdout};
use crate::wire::{Peer, acct};

/// rsyslogd in the foreground, with files of its own in the folder of the test.
struct Rsyslog<'a> {
    place: &'a Place,
    tls: bool,
    /// The port that the system gave it at its first start.
    port: u16,
    child: Option<Child>,
}

impl<'a> Rsyslog<'a> {
    fn start(place: &'a Place, tls: bool) -> Self {
        let mut this = Self {
            place,
            tls,
            port: 0,
            child: None,
        };
        this.run();
        this
    }

    /// Everything that arrived, one message a line: the parts of the header, then MSG.
    fn received(&self) -> PathBuf {
        self.place.path("received")
    }

    /// Starts it, the first time on any free port, and waits until it listens.
    fn run(&mut self) {
        let config = self.place.path("rsyslog.conf");
        let port_file = self.place.path("rsyslog.port");
        _ = fs::remove_file(&port_file);
        fs::write(&config, self.config()).unwrap();
        let log = fs::File::create(self.place.path("rsyslog.log")).unwrap();
        let started = Command::new("rsyslogd")
            .args(["-n", "-i"])
            .arg(self.place.path("rsyslog.pid"))
            .arg("-f")
            .arg(&config)
            .env(
                "PATH",
                "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin",
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let child = started.unwrap_or_else(|error| {
            panic!("rsyslogd cannot be started ({error}): this test needs the Debian packages rsyslog and rsyslog-gnutls, which scripts/test installs")
        });
        // Kept at once, so that it is ended whatever happens.
        let child = self.child.insert(child);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A port that it was told it says to nobody.
            if self.port != 0 && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                break;
            }
            let port = fs::read_to_string(&port_file).unwrap_or_default();
            if let Ok(port) = port.trim().parse() {
                self.port = port;
                break;
            }
            let log = || fs::read_to_string(self.place.path("rsyslog.log")).unwrap();
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "rsyslogd ended: {ended:?}\n{}", log());
            assert!(
                Instant::now() < deadline,
                "rsyslogd does not listen\n{}",
                log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn config(&self) -> String {
        let path = |name: &str| self.place.path(name).display().to_string();
        let (files, driver) = match self.tls {
            false => (String::new(), String::new()),
            true => (
                format!(
                    "defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\"",
                    path("ca.pem"),
                    path("server.pem"),
                    path("server.key")
                ),
                "streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"x509/name\" permittedPeer=[\"core1.doorward.test\"]".to_owned(),
            ),
        };
        // Without a queue of its own what rsyslogd has read is in the file before it reads on: it loses nothing that it has read,
        // even when it is killed.
        format!(
            "global(workDirectory=\"{folder}\" net.enableDNS=\"off\" {files})
main_queue(queue.type=\"Direct\")
module(load=\"imtcp\" {driver})
template(name=\"parts\" type=\"string\" string=\"%pri% %protocol-version% %timestamp:::date-rfc3339% %hostname% %app-name% %procid% %msgid% %structured-data% %msg%\\n\")
input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\" listenPortFileName=\"{port_file}\")
if $app-name == \"doorward\" then {{ action(type=\"omfile\" file=\"{received}\" template=\"parts\") }}
",
            folder = self.place.folder.path().display(),
            port = self.port,
            port_file = path("rsyslog.port"),
            received = self.received().display(),
        )
    }

    /// Stops it by this signal, and waits for its end.
    fn stop(&mut self, signal: &str) {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        child.wait().unwrap();
    }
}

impl Drop for Rsyslog<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// Sends records from several connections, sixteen outstanding on each; returns the `task_id`s that were acknowledged.
struct Load {
    sent: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    const CONNECTIONS: usize = 4;

    fn start(place: &Arc<Place>, server: &Server, round: usize, records: usize) -> Self {
        let sent = Arc::new(AtomicUsize::new(0));
        let start = |connection| {
            let (place, sent) = (Arc::clone(place), Arc::clone(&sent));
            let (tls, plain) = (server.tls(), server.plain());
            std::thread::spawn(move || {
                let mut peer = connect(&place, connection, tls, plain);
                let name = |number| format!("{round}-{connection}-{number}");
                let mut acknowledged = Vec::new();
                let mut next = 0;
                while next < records / Self::CONNECTIONS {
                    // Alone at first, so that single-connect is agreed on.
                    let window = if next == 0 { 1 } else { 16 };
                    for number in next..next + window {
                        let session = u32::try_from(number + 1).unwrap();
                        let task = format!("task_id={}", name(number));
                        peer.send(
                            acct(session, 2, "alice", &[&task, "service=shell", "cmd=show"])
                                .flags(4),
                        );
                    }
                    for _ in 0..window {
                        let reply = peer.receive().unwrap();
                        assert_eq!(
                            reply.body[4], 1,
                            "a sink that is down is no fault of the journal"
                        );
                        acknowledged.push(name(usize::try_from(reply.session).unwrap() - 1));
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                    next += window;
                }
                acknowledged
            })
        };
        let threads = (0..Self::CONNECTIONS).map(start).collect();
        Self { sent, threads }
    }

    fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.sent.load(Ordering::Relaxed) < count {
            assert!(
                Instant::now() < deadline,
                "not {count} records were acknowledged"
            );
            std::thread::yield_now();
        }
    }

    fn end(self) -> Vec<String> {
        let ended = self
            .threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        ended.collect()
    }
}

fn connect(place: &Place, connection: usize, tls: SocketAddr, plain: SocketAddr) -> Peer {
    match connection % 2 {
        0 => Peer::tls(tls, place, "core1").unwrap(),
        _ => Peer::plain(plain, place),
    }
}

fn sinks(place: &Place) -> Vec<Value> {
    let status = place.ask(&["status", "--json"]);
    assert_eq!(code(&status), 0, "{}", stderr(&status));
    let status: Value = serde_json::from_str(&stdout(&status)).unwrap();
    status["sinks"].as_array().unwrap().clone()
}

/// Waits until the first sink is as wanted.
fn until(place: &Place, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + 4 * PATIENCE;
    loop {
        let sink = sinks(place).remove(0);
        if wanted(&sink) {
            return sink;
        }
        assert!(Instant::now() < deadline, "it stays at {sink}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn delivered(sink: &Value) -> bool {
    sink["depth"] == 0 && sink["up"] == true
}

/// The ids of records given as JSON lines, how many lines there are, and their `task_id`s.
fn records<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> (BTreeSet<String>, usize, BTreeSet<String>) {
    let (mut ids, mut tasks, mut count) = (BTreeSet::new(), BTreeSet::new(), 0);
    for line in lines {
        let json: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let task = json["args"][0].as_str().unwrap();
        ids.insert(json["id"].as_str().unwrap().to_owned());
        tasks.insert(task.strip_prefix("task_id=").unwrap().to_owned());
        count += 1;
    }
    (ids, count, tasks)
}

/// The receiver is stopped and started again under load, in order and by SIGKILL. In the end it has every record.
fn a_receiver_restarted_under_load(tls: bool) {
    const RECORDS: usize = 800;
    let place = Arc::new(Place::demo());
    let mut rsyslog = Rsyslog::start(&place, tls);
    let scheme = if tls { "tls" } else { "tcp" };
    let sink = format!(
        "[tls.siem]
certificate = \"core1.pem\"
key = \"file:core1.key\"
client_ca = [\"ca.pem\"]
crl = [\"ca.crl\"]
[[accounting]]
type = \"syslog\"
to = \"{scheme}://127.0.0.1:{}\"
{}
[[accounting]]",
        rsyslog.port,
        if tls { "tls = \"siem\"" } else { "" }
    );
    place.edit(&[("[[accounting]]", &sink)]);
    let mut server = place.start();
    let mut acknowledged = Vec::new();
    for (round, signal) in ["-TERM", "-KILL", "-TERM", "-KILL"].into_iter().enumerate() {
        let load = Load::start(&place, &server, round, RECORDS);
        // A different amount of work before each stop, so that it falls at different moments.
        load.wait_for(100 + 150 * round);
        rsyslog.stop(signal);
        acknowledged.extend(load.end());
        // The sink may have failed just now, with records that are younger than what is counted.
        let lags = |sink: &Value| sink["lag_seconds"].as_f64().is_some_and(|lag| lag > 0.0);
        let down = until(&place, |sink| sink["up"] == false && lags(sink));
        assert!(down["depth"].as_u64().unwrap() > 0, "{down}");
        rsyslog.run();
        if round % 2 == 1 {
            until(&place, delivered);
        }
    }
    let load = Load::start(&place, &server, 9, RECORDS);
    acknowledged.extend(load.end());
    until(&place, delivered);
    server.wait_for_log(&[
        "an accounting sink is down",
        &format!("syslog:{scheme}://127.0.0.1:"),
    ]);
    server.wait_for_log(&["an accounting sink is up again"]);
    let (exit, _) = server.stop();
    assert_eq!(exit, Some(0));
    rsyslog.stop("-TERM");

    let text = fs::read_to_string(rsyslog.received()).unwrap();
    let bodies = text.lines().map(|line| {
        // PRI, version, time, host, program, process, message id and structured data, as rsyslog understood them.
        let parts: Vec<&str> = line.splitn(9, ' ').collect();
        assert_eq!(
            (parts[0], parts[1], parts[3], parts[4]),
            ("86", "1", "demo", "doorward"),
            "{line}"
        );
        assert_eq!((parts[6], parts[7]), ("start", "-"), "{line}");
        parts[8]
    });
    let (received, lines, tasks) = records(bodies);
    let search = place.ask(&["acct", "search", "--json"]);
    let (kept, kept_lines, _) = records(stdout(&search).lines());
    assert_eq!(kept.len(), kept_lines);
    assert_eq!(
        acknowledged.len(),
        kept.len(),
        "acknowledged and in the journal"
    );
    assert!(acknowledged.len() >= 5 * RECORDS);
    assert_eq!(
        received.len(),
        kept.len(),
        "distinct ids at the receiver, of {lines} lines"
    );
    assert_eq!(received, kept);
    assert_eq!(tasks, acknowledged.into_iter().collect());
}

#[test]
fn rsyslog_over_tls_restarted_under_load_has_every_record() {
    a_receiver_restarted_under_load(true);
}

#[test]
fn rsyslog_over_tcp_restarted_under_load_has_every_record() {
    a_receiver_restarted_under_load(false);
}

/// A receiver that does not trust us, or that we do not trust, gets nothing, and the operator reads why.
#[test]
fn both_ends_of_tls_are_judged() {
    let place = Place::demo();
    let rsyslog = Rsyslog::start(&place, true);
    let sink = |profile: &str, server_name: &str| {
        format!(
            "[tls.siem]
certificate = \"{profile}.pem\"
key = \"file:{profile}.key\"
client_ca = [\"ca.pem\"]
crl = [\"ca.crl\"]
[[accounting]]
type = \"syslog\"
to = \"tls://localhost:{}\"
tls = \"siem\"
server_name = \"{server_name}\"
name = \"siem\"
[[accounting]]",
            rsyslog.port
        )
    };
    let wrong_name = sink("core1", "siem.example.net");
    place.edit(&[("[[accounting]]", &wrong_name)]);
    let server = place.start();
    let mut peer = Peer::plain(server.plain(), &place);
    assert_eq!(
        peer.ask(acct(1, 2, "alice", &["task_id=1", "service=shell"]))
            .body[4],
        1
    );
    let refused = until(&place, |sink| sink["up"] == false);
    let error = refused["error"].as_str().unwrap();
    assert!(
        error.contains("the server's certificate is for another name"),
        "{error}"
    );

    // rsyslog permits core1 only, and closes without an answer once it knows who we are.
    let stranger = sink("server", "127.0.0.1");
    place.edit(&[(&*wrong_name, &*stranger)]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    until(&place, |sink| {
        let error = sink["error"].as_str();
        error.is_some_and(|error| !error.contains("another name"))
    });
    assert_eq!(
        until(&place, |sink| sink["failures"].as_u64() > Some(2))["delivered"],
        0
    );
    assert!(
        !rsyslog.received().exists(),
        "nothing was written for a stranger"
    );

    let good = sink("core1", "127.0.0.1");
    place.edit(&[(&*stranger, &*good)]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    until(&place, delivered);
    assert_eq!(
        fs::read_to_string(rsyslog.received())
            .unwrap()
            .lines()
            .count(),
        1
    );
}

/// What logrotate does: rename, then reload. And what an operator sees of it.
#[test]
fn a_file_is_rotated_by_rename_and_reload_and_a_sink_taken_out_is_forgotten() {
    let place = Arc::new(Place::with(&[(
        "[[accounting]]",
        "[[accounting]]\ntype = \"jsonl\"\npath = \"acct.jsonl\"\n[[accounting]]",
    )]));
    let mut server = place.start();
    let mut acknowledged = Load::start(&place, &server, 0, 200).end();
    let load = Load::start(&place, &server, 1, 400);
    load.wait_for(100);
    let (path, rotated) = (place.path("acct.jsonl"), place.path("acct.jsonl.1"));
    fs::rename(&path, &rotated).unwrap();
    server.signal("-HUP");
    server.wait_for_log(&["configuration reloaded", "\"generation\":2"]);
    acknowledged.extend(load.end());
    until(&place, delivered);
    let both = [&rotated, &path].map(|path| fs::read_to_string(path).unwrap());
    let (ids, lines, tasks) = records(both.iter().flat_map(|text| text.lines()));
    assert_eq!(
        (ids.len(), lines),
        (acknowledged.len(), acknowledged.len()),
        "each once"
    );
    assert_eq!(tasks, acknowledged.into_iter().collect());

    let text = stdout(&place.ask(&["status"]));
    let line = text.lines().find(|line| line.starts_with("sink")).unwrap();
    assert!(
        line.contains(&format!("jsonl:{}", path.display())) && line.ends_with("nothing waits, up"),
        "{line}"
    );

    // A sink that cannot deliver says so at once; taken out of the file it is forgotten with what it owed.
    place.edit(&[(
        "path = \"acct.jsonl\"",
        "path = \"nowhere/acct.jsonl\"\nname = \"broken\"",
    )]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    server.wait_for_log(&["no longer configured", "had delivered everything"]);
    let down = until(&place, |sink| sink["up"] == false);
    assert!(
        down["error"]
            .as_str()
            .unwrap()
            .contains("No such file or directory"),
        "{down}"
    );
    let text = stdout(&place.ask(&["status"]));
    let line = text.lines().find(|line| line.starts_with("sink")).unwrap();
    assert!(
        line.contains("DOWN: ") && line.contains("wait in the journal"),
        "{line}"
    );
    place.edit(&[(
        "[[accounting]]\ntype = \"jsonl\"\npath = \"nowhere/acct.jsonl\"\nname = \"broken\"\n",
        "",
    )]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    let owed = format!("\"undelivered\":{lines}");
    server.wait_for_log(&["no longer configured", "\"sink\":\"broken\"", &owed]);
    assert!(sinks(&place).is_empty());
}

/// Whether this test may mount; as root in a container it may or may not.
fn can_mount(folder: &str) -> bool {
    let mounted = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none", folder])
        .status();
    mounted.is_ok_and(|status| status.success())
}

/// The disk of the file is full, that of the journal is not: every record is acknowledged, and in the file once there is room.
#[test]
fn a_full_disk_of_a_sink_costs_no_record() {
    let place = Arc::new(Place::with(&[(
        "[[accounting]]",
        "[[accounting]]\ntype = \"jsonl\"\npath = \"disk/acct.jsonl\"\n[[accounting]]",
    )]));
    let disk = place.path("disk");
    fs::create_dir(&disk).unwrap();
    let disk = disk.to_str().unwrap();
    if !can_mount(disk) {
        eprintln!("no tmpfs can be mounted here: what a full disk does is not shown");
        return;
    }
    let mount = "mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"";
    let mut server = place.start_through(&["unshare", "-m", "sh", "-c", mount, disk], "info");
    // About 70 KB of lines.
    let acknowledged = Load::start(&place, &server, 0, 200).end();
    let line = server.wait_for_log(&["an accounting sink is down", "No space left on device"]);
    assert!(line.contains("disk/acct.jsonl cannot be written"), "{line}");
    assert!(
        until(&place, |sink| sink["up"] == false)["depth"]
            .as_u64()
            .unwrap()
            > 0
    );
    let pid = server.pid().to_string();
    let inside = |command: &[&str]| {
        let output = Command::new("nsenter")
            .args(["-m", "-t", &pid])
            .args(command)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    };
    inside(&["mount", "-o", "remount,size=1m", disk]);
    until(&place, delivered);
    let file = inside(&["cat", &format!("{disk}/acct.jsonl")]);
    let (ids, _, tasks) = records(stdout(&file).lines());
    assert_eq!(ids.len(), acknowledged.len());
    assert_eq!(tasks, acknowledged.into_iter().collect());
}
