//! A tree of zones, signed by the tools of BIND, and a name server that has them: Knot DNS or BIND. On loopback, stopped by its pid.
//!
//! ```text
//! example.            signed (NSEC)
//! ├─ secure           signed (NSEC3), RSA
//! ├─ optout           signed (NSEC3 with opt-out), Ed25519
//! │  └─ plain         not signed
//! ├─ plain            not signed
//! ├─ late             its signatures are over
//! ├─ early            its signatures have not begun
//! ├─ lie              its records were changed after they were signed
//! ├─ bare             should be signed and is not
//! └─ stranger         signed with other keys than the zone above names
//! ```

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// What every zone begins with.
const TOP: &str =
    "$TTL 300\n@ SOA ns.example. hostmaster.example. 1 3600 900 86400 120\n@ NS ns.example.\n";

/// The hosts of the zone at the top.
const EXAMPLE: &str = r#"
ns        A 127.0.0.1
host  60  TYPE65400 \# 4 0031012c
only      TYPE65400 \# 4 0000012c
many      TYPE65400 \# 8 0000012c07140823
two       TYPE65400 \# 4 0000012c
two       TYPE65400 \# 4 07140823
moved     TYPE65399 \# 4 0000012c
empty     TYPE65400 \# 0
odd       TYPE65400 \# 3 003101
zero      TYPE65400 \# 4 00000000
halfzero  TYPE65400 \# 8 000000000031012c
upgrade   TYPE65400 \# 8 0019001900310031
clash     TYPE65400 \# 8 0031012c0000012c
big       TYPE65400 \# 4 0031012c
alias     CNAME host
ALIAS2    CNAME Alias
loop      CNAME loop
out       CNAME host.plain
tree      DNAME secure
*.wild    TYPE65400 \# 4 0000012c
own.wild  TYPE65400 \# 4 00310000
a.b.ent   TXT nothing
srv       SRV 1 2 2083 Host
naptr     NAPTR 1 2 s aaa+auth:radius.tls.tcp "" _radsec._tcp.Example.
"#;

const HOST: &str =
    "host TYPE65400 \\# 4 0031012c\n*.wild TYPE65400 \\# 4 0000012c\na.b TXT nothing\n";

/// A folder with zones and keys.
pub(crate) struct Zones {
    folder: tempfile::TempDir,
    names: Vec<String>,
}

impl Zones {
    pub(crate) fn new() -> Self {
        let mut zones = Self {
            folder: tempfile::tempdir().unwrap(),
            names: Vec::new(),
        };
        zones.plain("plain.optout.example", HOST);
        zones.plain(
            "plain.example",
            &format!("{HOST}alias CNAME host.example.\n"),
        );
        zones.signed(
            "secure.example",
            HOST,
            "RSASHA256",
            &["-3", "ab12", "-H", "3"],
        );
        let delegating = format!("{HOST}plain NS ns.example.\n");
        zones.signed("optout.example", &delegating, "ED25519", &["-3", "-", "-A"]);
        let over = ["-s", "20200101000000", "-e", "20200201000000"];
        zones.signed("late.example", HOST, "ECDSAP384SHA384", &over);
        let ahead = ["-s", "+86400", "-e", "+172800"];
        zones.signed("early.example", HOST, "ECDSAP256SHA256", &ahead);
        for name in ["lie.example", "bare.example", "stranger.example"] {
            zones.signed(name, HOST, "ECDSAP256SHA256", &[]);
        }
        zones.tamper("lie.example");
        zones.plain("bare.example", HOST);
        let text = zones.delegations(EXAMPLE);
        zones.signed("example", &text, "ECDSAP256SHA256", &[]);
        zones.rekey("stranger.example");
        zones
    }

    /// `example.`, signed, and below it `plain.example.`, which is not, with these records; and zones that nobody signed and that no anchor is
    /// above.
    #[allow(dead_code, reason = "the tests of the server have their own records")]
    pub(crate) fn with(example: &str, plain: &str, others: &[(&str, &str)]) -> Self {
        let mut zones = Self {
            folder: tempfile::tempdir().unwrap(),
            names: Vec::new(),
        };
        zones.plain("plain.example", plain);
        for (name, text) in others {
            zones.plain(name, text);
        }
        let text = format!("ns A 127.0.0.1\nplain NS ns.example.\n{example}");
        zones.signed("example", &text, "ECDSAP256SHA256", &[]);
        zones
    }

    /// The zone at the top with these hosts, and beneath it, with the same ones, `plain` (not signed), `late` (its signatures are over) and `lie`
    /// (what it says of ports 49 and 300 was changed after it was signed).
    #[allow(dead_code, reason = "the tests of the clients have their own records")]
    pub(crate) fn of(hosts: &str) -> Self {
        let mut zones = Self {
            folder: tempfile::tempdir().unwrap(),
            names: Vec::new(),
        };
        zones.plain("plain.example", hosts);
        let over = ["-s", "20200101000000", "-e", "20200201000000"];
        zones.signed("late.example", hosts, "ECDSAP256SHA256", &over);
        let lie = format!("{hosts}host TYPE65400 \\# 4 0031012c\n");
        zones.signed("lie.example", &lie, "ECDSAP256SHA256", &[]);
        zones.tamper("lie.example");
        let text = zones.delegations(&format!("ns A 127.0.0.1\n{hosts}"));
        zones.signed("example", &text, "ECDSAP256SHA256", &[]);
        zones
    }

    /// Changes the hosts of the zone at the top, which keeps its keys. For name servers that are started afterwards.
    #[allow(dead_code, reason = "the tests of the clients have their own records")]
    pub(crate) fn change(&mut self, hosts: &str) {
        let text = self.delegations(&format!("ns A 127.0.0.1\n{hosts}"));
        self.plain("example", &text);
        self.sign_again("example", &[]);
    }

    fn delegations(&self, hosts: &str) -> String {
        let mut text = hosts.to_owned();
        for number in 1..=90 {
            _ = writeln!(text, "crowd A 192.0.2.{number}");
        }
        let mut names: Vec<&String> = self.names.iter().collect();
        names.dedup();
        for name in names {
            let Some(label) = name.strip_suffix(".example") else {
                continue;
            };
            if !label.contains('.') {
                _ = writeln!(text, "{label} NS ns.example.");
            }
        }
        text
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with the trust anchor of a zone, in DNSKEY form.
    pub(crate) fn anchor(&self, zone: &str) -> PathBuf {
        self.path(&format!("{zone}.anchor"))
    }

    fn plain(&mut self, zone: &str, text: &str) {
        std::fs::write(self.path(&format!("{zone}.zone")), format!("{TOP}{text}")).unwrap();
        if !self.names.iter().any(|name| name == zone) {
            self.names.push(zone.to_owned());
        }
    }

    fn signed(&mut self, zone: &str, text: &str, algorithm: &str, options: &[&str]) {
        self.plain(zone, text);
        self.sign(zone, algorithm, options);
    }

    /// Makes keys and signs; what the zone above needs is kept for it.
    fn sign(&self, zone: &str, algorithm: &str, options: &[&str]) {
        let folder = self.folder.path();
        let mut key = Vec::new();
        for flags in [["-f", "KSK"].as_slice(), &[]] {
            let mut keygen = Command::new("dnssec-keygen");
            keygen
                .args(["-q", "-K"])
                .arg(folder)
                .args(["-a", algorithm]);
            if algorithm.starts_with("RSA") {
                keygen.args(["-b", "2048"]);
            }
            let name = run(keygen.args(flags).arg(zone));
            key.push(format!("{}.key", name.trim()));
        }
        std::fs::copy(self.path(&key[0]), self.anchor(zone)).unwrap();
        self.sign_again(zone, options);
    }

    fn sign_again(&self, zone: &str, options: &[&str]) {
        let folder = self.folder.path();
        let file = self.path(&format!("{zone}.zone"));
        let mut signzone = Command::new("dnssec-signzone");
        signzone
            .args(["-q", "-P", "-S", "-g", "-K"])
            .arg(folder)
            .arg("-d")
            .arg(folder);
        run(signzone
            .args(["-o", zone])
            .args(options)
            .arg("-f")
            .arg(&file)
            .arg(&file));
    }

    fn tamper(&self, zone: &str) {
        let file = self.path(&format!("{zone}.zone"));
        let text = std::fs::read_to_string(&file).unwrap();
        let changed = text
            .replace("0031012C", "00310000")
            .replace("0031012c", "00310000");
        assert_ne!(text, changed);
        std::fs::write(file, changed).unwrap();
    }

    /// Signs a zone with new keys, of which the zone above does not know.
    fn rekey(&mut self, zone: &str) {
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with(&format!("K{zone}.")) {
                std::fs::remove_file(path).unwrap();
            }
        }
        self.signed(zone, HOST, "ECDSAP256SHA256", &[]);
    }

    /// Knot DNS with all of them.
    pub(crate) fn knot(&self) -> NameServer {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        self.knot_with(&names)
    }

    /// Knot DNS with some of them.
    pub(crate) fn knot_with(&self, names: &[&str]) -> NameServer {
        let (folder, address) = (self.folder.path().display(), free());
        let own = self.path(&format!("knot{}", address.port()));
        std::fs::create_dir(&own).unwrap();
        let own = own.display();
        let at = format!("{}@{}", address.ip(), address.port());
        let mut text = format!(
            "server:\n  rundir: \"{own}\"\n  listen: {at}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
             log:\n  - target: stderr\n    any: warning\n\
             database:\n  storage: \"{own}/db\"\n\
             template:\n  - id: default\n    storage: \"{folder}\"\n    journal-content: none\n    semantic-checks: off\n\
             zone:\n"
        );
        for name in names {
            _ = writeln!(text, "  - domain: {name}\n    file: {name}.zone");
        }
        let file = self.path(&format!("knot{}.conf", address.port()));
        std::fs::write(&file, text).unwrap();
        let top = names.last().unwrap();
        NameServer::knot(&file, address, top)
    }

    /// BIND with all of them, as a server that does not recurse.
    pub(crate) fn bind(&self) -> NameServer {
        let (folder, address) = (self.folder.path().display(), free());
        let (ip, port) = (address.ip(), address.port());
        let mut text = format!(
            "options {{\n directory \"{folder}\"; pid-file none; session-keyfile none; recursion no;\n \
             listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; dnssec-validation no;\n}};\ncontrols {{ }};\n"
        );
        for name in &self.names {
            _ = writeln!(
                text,
                "zone \"{name}\" {{ type primary; file \"{name}.zone\"; check-names ignore; }};"
            );
        }
        let file = self.path("named.conf");
        std::fs::write(&file, text).unwrap();
        let arguments = ["-g", "-c"];
        NameServer::start(
            "/usr/sbin/named",
            &arguments,
            &file,
            address,
            ("bind9", "example"),
        )
    }
}

/// A port that nobody has, for UDP and TCP alike.
pub(crate) fn free() -> SocketAddr {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.local_addr().unwrap()
}

fn run(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|error| {
        panic!("{command:?} cannot be started ({error}): this test needs the Debian package bind9-utils, which scripts/test installs")
    });
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
    String::from_utf8(done.stdout).unwrap()
}

/// A name server of the test's own.
pub(crate) struct NameServer {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl NameServer {
    /// Knot DNS with a configuration file, once it has this zone.
    pub(crate) fn knot(file: &Path, address: SocketAddr, zone: &str) -> Self {
        Self::start("/usr/sbin/knotd", &["-c"], file, address, ("knot", zone))
    }

    fn start(
        program: &str,
        arguments: &[&str],
        file: &Path,
        address: SocketAddr,
        (package, zone): (&str, &str),
    ) -> Self {
        let log = file.with_extension("log");
        let started = Command::new(program)
            .args(arguments)
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn();
        let child = started.unwrap_or_else(|error| {
            panic!("{program} cannot be started ({error}): this test needs the Debian package {package}, which scripts/test installs")
        });
        let mut server = Self { child, address };
        server.wait(&log, zone);
        server
    }

    /// Until it has the zone.
    fn wait(&mut self, log: &Path, zone: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        socket.connect(self.address).unwrap();
        // Its SOA.
        let mut question = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0".to_vec();
        for label in zone.split('.') {
            question.push(u8::try_from(label.len()).unwrap());
            question.extend(label.as_bytes());
        }
        question.extend(b"\0\0\x06\0\x01");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut answer = [0; 512];
            _ = socket.send(&question);
            let has_answer = socket.recv(&mut answer).is_ok() && answer[7] > 0;
            if has_answer {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            let said = || std::fs::read_to_string(log).unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{ended:?}\n{}",
                said()
            );
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
