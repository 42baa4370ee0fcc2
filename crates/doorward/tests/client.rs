//! `doorward client` as a program: TLS from files, and a terminal that shows no password.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use doorward_tacacs::server::{Config, Event};
use doorward_tacacs::{
    AuthenticationStatus, Header, Now, Protection, Secret, ServerConnection, authentication,
    obfuscation,
};
use doorward_tls::{
    Admission, AdmissionRefusal, Clock, Handshake, PeerIdentity, PlainState, Revocation,
    ServerChannel, ServerPolicy, ServerSettings, Trust, TrustSettings, pem,
};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

const SECRET: &str = "squeamish ossifrage";
const PASSWORD: &str = "correct horse";

/// The CA, the server's pair and a device's pair, as PEM files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        files.write("ca.pem", &params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        for (name, dns, purpose) in [
            (
                "server",
                "aaa1.example.net",
                ExtendedKeyUsagePurpose::ServerAuth,
            ),
            (
                "core1",
                "core1.example.net",
                ExtendedKeyUsagePurpose::ClientAuth,
            ),
        ] {
            let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![purpose];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate().unwrap();
            files.write(
                &format!("{name}.pem"),
                &params.signed_by(&key, &issuer).unwrap().pem(),
            );
            files.write(&format!("{name}.key"), &key.serialize_pem());
        }
        files.write("password", &format!("{PASSWORD}\n"));
        files.write("secret", SECRET);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn policy(&self) -> Arc<ServerPolicy> {
        let trust = TrustSettings {
            anchors: pem::certificates(&self.read("ca.pem")).unwrap(),
            revocation: Revocation::Off,
            ..TrustSettings::default()
        };
        let settings = ServerSettings {
            certificate_chain: pem::certificates(&self.read("server.pem")).unwrap(),
            key: pem::private_key(&self.read("server.key")).unwrap(),
            trust: Arc::new(Trust::new(trust).unwrap()),
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            sni_required: false,
            raw_public_key: None,
            staple: None,
            tls12: false,
            ticket_lifetime: 3600,
            key_log: None,
            sni_names: Vec::new(),
            clock: Clock::system(),
        };
        Arc::new(ServerPolicy::new(settings).unwrap())
    }
}

struct Anybody;

impl Admission for Anybody {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Ok("anybody".into())
    }
}

/// A server for as many clients as come, one after the other.
fn serve(policy: Option<Arc<ServerPolicy>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, peer)) = listener.accept() {
            let channel = policy
                .clone()
                .map(|policy| ServerChannel::new(policy, Arc::new(Anybody), peer));
            // A client that breaks off ends its own connection only.
            _ = converse(stream, channel);
        }
    });
    address
}

fn converse(mut stream: TcpStream, mut channel: Option<ServerChannel>) -> std::io::Result<()> {
    let protection = match channel {
        Some(_) => Protection::Tls,
        None => Protection::Obfuscated(vec![Secret::new(SECRET)]),
    };
    let mut connection = ServerConnection::new(Arc::new(Config::new(protection)), Now::default());
    let mut chunk = [0; 16_384];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        let mut out = Vec::new();
        let mut plain = Vec::new();
        match &mut channel {
            None => plain.extend_from_slice(&chunk[..count]),
            Some(channel) => {
                channel.feed(&chunk[..count]);
                if matches!(channel.handshake(), Handshake::Done(_))
                    && channel.read_plain(&mut plain) != Ok(PlainState::Open)
                {
                    return Ok(());
                }
            }
        }
        connection.receive(&plain, Now::default());
        while let Some(event) = connection.poll() {
            let (ticket, password) = match event {
                Event::AuthenticationStart { ticket, start } => (ticket, start.data),
                Event::AuthenticationContinue { ticket, answer } => (ticket, answer.user_msg),
                Event::Authorization { .. }
                | Event::Accounting { .. }
                | Event::SessionEnded { .. }
                | Event::WrongFlag { .. }
                | Event::Refused { .. } => continue,
            };
            let status = match password {
                b"" => AuthenticationStatus::GETPASS,
                password if password == PASSWORD.as_bytes() => AuthenticationStatus::PASS,
                _ => AuthenticationStatus::FAIL,
            };
            let mut reply = authentication::Reply::new(status);
            reply.no_echo = status == AuthenticationStatus::GETPASS;
            reply.server_msg = if reply.no_echo { b"Password: " } else { b"" };
            connection
                .answer(ticket.with(reply), Now::default())
                .unwrap();
        }
        connection.poll_transmit(&mut out);
        if let Some(channel) = &mut channel {
            if !out.is_empty() {
                channel.write_plain(&out).unwrap();
            }
            out.clear();
            channel.drain(&mut out);
        }
        stream.write_all(&out)?;
    }
    Ok(())
}

fn run(command: &mut Command) -> (i32, serde_json::Value, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    let stdout = text(stdout);
    (
        status.code().unwrap(),
        serde_json::from_str(&stdout).unwrap_or(stdout.into()),
        text(stderr),
    )
}

#[test]
fn a_login_over_tls_from_files() {
    let files = Files::new();
    let address = serve(Some(files.policy())).to_string();
    let login = |name: &str, kind: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args([
            "client",
            "authenticate",
            "--json",
            "--user",
            "alice",
            "--type",
            kind,
        ]);
        command.args(["--server", &address, "--server-name", name]);
        command.arg("--ca").arg(files.path("ca.pem"));
        command.arg("--cert").arg(files.path("core1.pem"));
        command.arg("--key").arg(files.path("core1.key"));
        command
            .arg("--password")
            .arg(format!("file:{}", files.path("password").display()));
        run(&mut command)
    };
    for kind in ["pap", "ascii"] {
        let (code, answer, stderr) = login("aaa1.example.net", kind);
        assert_eq!(
            (code, &answer["result"], &answer["status"]),
            (0, &"pass".into(), &"PASS".into()),
            "{stderr}"
        );
        let tls = &answer["tls"];
        assert_eq!(
            (&tls["version"], &tls["auth"]),
            (&"1.3".into(), &"certificate".into())
        );
        assert_eq!(tls["resumed"], false);
        assert!(
            tls["suite"].is_string() && tls["group"].is_string(),
            "{tls}"
        );
    }
    let (code, answer, stderr) = login("aaa2.example.net", "pap");
    assert_eq!((code, &answer["result"]), (3, &"error".into()));
    assert!(
        stderr.contains("another name") && stderr.contains(&address),
        "{stderr}"
    );
}

/// proves: TLS-5.2-2, TLS-2-2
#[test]
fn the_port_is_49_without_tls_and_300_with() {
    let files = Files::new();
    // Nobody listens on this address of the loopback network; the message names what was tried.
    let mut plain = Command::new(env!("CARGO_BIN_EXE_doorward"));
    plain.args([
        "client",
        "authenticate",
        "--json",
        "--user",
        "alice",
        "--type",
        "pap",
        "--server",
        "127.73.21.9",
    ]);
    plain.args(["--timeout", "5"]);
    plain
        .arg("--password")
        .arg(format!("file:{}", files.path("password").display()));
    let mut secure = Command::new(env!("CARGO_BIN_EXE_doorward"));
    secure.args(plain.get_args());
    plain
        .arg("--plain")
        .arg("--secret")
        .arg(format!("file:{}", files.path("secret").display()));
    secure.arg("--ca").arg(files.path("ca.pem"));
    secure
        .arg("--cert")
        .arg(files.path("core1.pem"))
        .arg("--key")
        .arg(files.path("core1.key"));
    for (mut command, target) in [(plain, "127.73.21.9:49: "), (secure, "127.73.21.9:300: ")] {
        let (code, answer, _) = run(&mut command);
        assert_eq!(code, 3);
        assert!(answer["why"].as_str().unwrap().contains(target), "{answer}");
    }
}

/// What a terminal shows when the first argument is typed at each of the prompts in the second; driven from outside: a pseudo-terminal needs system calls that this crate has no use for.
const TERMINAL: &str = r#"
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
shown, prompts = b"", sys.argv[2].split("|")
while True:
    if not select.select([terminal], [], [], 20)[0]:
        sys.exit("nothing happens: %r" % shown)
    try:
        chunk = os.read(terminal, 4096)
    except OSError:
        break
    if not chunk:
        break
    shown += chunk
    if prompts and prompts[0].encode() in shown:
        os.write(terminal, sys.argv[1].encode() + b"\n")
        prompts.pop(0)
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// proves: TAC-5.4-6, D05-4.4-3
#[test]
fn a_typed_password_is_not_shown() {
    let files = Files::new();
    let address = serve(None).to_string();
    for kind in ["pap", "ascii"] {
        let mut command = Command::new("python3");
        command.args(["-c", TERMINAL, PASSWORD, "Password: "]);
        command.arg(env!("CARGO_BIN_EXE_doorward"));
        command.args([
            "client",
            "authenticate",
            "--user",
            "alice",
            "--type",
            kind,
            "--server",
            &address,
            "--plain",
        ]);
        command
            .arg("--secret")
            .arg(format!("file:{}", files.path("secret").display()));
        let (code, shown, stderr) = run(&mut command);
        let shown = shown.as_str().unwrap();
        assert_eq!(code, 0, "{shown} {stderr}");
        assert!(
            shown.contains("Password: ") && shown.contains("pass: alice is logged in"),
            "{shown}"
        );
        assert!(!shown.contains("horse"), "{shown}");
    }
}

/// A server by hand whose first reply on every connection has this body; it tells what it was sent, in clear.
fn says(body: Vec<u8>) -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let (teller, told) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut octets = [0; Header::LENGTH];
            stream.read_exact(&mut octets).unwrap();
            let asked = Header::peek(&octets).unwrap();
            let mut request = vec![0; usize::try_from(asked.length).unwrap()];
            stream.read_exact(&mut request).unwrap();
            obfuscation::apply(&Secret::new(SECRET), &asked, &mut request);
            // A test that has seen enough does not listen any more.
            _ = teller.send(request);
            let header = Header {
                seq_no: asked.seq_no.next().unwrap(),
                length: u32::try_from(body.len()).unwrap(),
                ..asked
            };
            let mut reply = body.clone();
            obfuscation::apply(&Secret::new(SECRET), &header, &mut reply);
            let packet = [header.encode().as_slice(), &reply].concat();
            stream.write_all(&packet).unwrap();
        }
    });
    (address, told)
}

/// `doorward client VERB` without TLS.
fn plainly(files: &Files, address: SocketAddr, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.arg("client").args(words).env_remove("DOORWARD_LOG");
    command.args(["--plain", "--server", &address.to_string(), "--secret"]);
    command.arg(format!("file:{}", files.path("secret").display()));
    command
}

/// What leaves is UTF-8, whatever the locale says: the name of the command line, and the password of a file.
/// proves: D05-3.7-4
#[test]
fn names_and_passwords_leave_as_utf_8() {
    let files = Files::new();
    files.write("umlauts", "Z\u{fc}rich \u{20ac}\n");
    let (address, told) = says(vec![2, 0, 0, 0, 0, 0]);
    let flags = ["authenticate", "--dialect", "draft-05", "--type", "pap"];
    let words = [flags.as_slice(), &["--json", "--user", "\u{c4}nne"]].concat();
    let mut command = plainly(&files, address, &words);
    command.arg("--password").env("LC_ALL", "C");
    command.arg(format!("file:{}", files.path("umlauts").display()));
    assert_eq!(run(&mut command).0, 2);
    let body = told.recv_timeout(Duration::from_secs(20)).unwrap();
    let start = authentication::Start::decode(&body).unwrap();
    assert_eq!(start.user, b"\xc3\x84nne");
    assert_eq!(start.data, b"Z\xc3\xbcrich \xe2\x82\xac");
}

/// The message is for the user, the data for the log of the administrator.
/// proves: TAC-6.2-10
#[test]
fn a_message_is_printed_and_data_is_logged() {
    let files = Files::new();
    // FAIL without arguments, nine octets of message and six of data.
    let body = [&[0x10, 0, 0, 9, 0, 6][..], b"not todayrule 7"].concat();
    let (address, _told) = says(body);
    let mut command = plainly(&files, address, &["authorize", "--user", "alice", "show"]);
    for (level, logged) in [("error", false), ("info", true)] {
        let (code, shown, log) = run(command.env("DOORWARD_LOG", level));
        let shown = shown.as_str().unwrap();
        assert_eq!(code, 2, "{log}");
        assert!(shown.contains("the server says: not today"), "{shown}");
        assert!(!shown.contains("rule 7"), "{shown}");
        assert_eq!(log.contains("rule 7"), logged, "{log}");
    }
}

/// Octets that are no text or act on a terminal come out escaped wherever they come out: as text, as JSON, in the log.
/// proves: TAC-3.7-4
#[test]
fn data_of_a_reply_is_never_written_as_it_is() {
    const DATA: &[u8] = b"\x1b[2J\x07\x9b\x00\xff\r";
    let files = Files::new();
    let length = u8::try_from(DATA.len()).unwrap();
    for (verb, statuses) in [
        ("authenticate", [0x01, 0x02, 0x07]),
        ("authorize", [0x01, 0x10, 0x11]),
    ] {
        for status in statuses {
            let (address, _told) = says([&[status, 0, 0, 0, 0, length][..], DATA].concat());
            for json in [&[][..], &["--json"]] {
                let login = [
                    "--user",
                    "alice",
                    "--password",
                    "env:DOORWARD_TEST_PASSWORD",
                ];
                let words = [&[verb], login.as_slice(), json].concat();
                let mut command = plainly(&files, address, &words);
                command.env("DOORWARD_TEST_PASSWORD", PASSWORD);
                let output = command.env("DOORWARD_LOG", "trace").output().unwrap();
                let code = output.status.code();
                assert!(matches!(code, Some(0 | 2 | 3)), "{output:?}");
                let all = [output.stdout, output.stderr].concat();
                let raw = |octet: &u8| {
                    (*octet < 0x20 && *octet != b'\n') || matches!(octet, 0x7f | 0x9b | 0xff)
                };
                let text = all.escape_ascii();
                assert!(!all.iter().any(raw), "{verb} {status}: {text}");
            }
        }
    }
}

#[test]
fn a_password_to_hash_is_asked_for_twice_and_not_shown() {
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL, PASSWORD, "Password: |The same again: "]);
    command.args([env!("CARGO_BIN_EXE_doorward"), "hash-password"]);
    let (code, shown, stderr) = run(&mut command);
    let shown = shown.as_str().unwrap();
    assert_eq!(code, 0, "{shown} {stderr}");
    assert!(!shown.contains("horse"), "{shown}");
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let [first, second, hash] = lines.as_slice() else {
        panic!("{shown}");
    };
    assert_eq!((*first, *second), ("Password:", "The same again:"));
    let hash = doorward::identity::PasswordHash::parse(hash).unwrap();
    let mut scratch = doorward::identity::Scratch::default();
    assert_eq!(hash.verify(PASSWORD.as_bytes(), &mut scratch), Ok(true));
}
