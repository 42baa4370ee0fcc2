//! What is left to the process once it serves: its user, its capabilities, its files.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::harness::{PATIENCE, Place, Server, code, doorward, stderr, stdout};
use crate::wire::{Peer, author};

/// One field of /proc/PID/status, of every thread.
fn fields(server: &Server, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let found: Vec<String> = tasks
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim_start_matches(':').trim().to_owned()
        })
        .collect();
    assert!(found.len() > 2, "threads: {found:?}");
    found
}

fn every(server: &Server, name: &str, wanted: &str) {
    for found in fields(server, name) {
        let words: Vec<&str> = found.split_whitespace().collect();
        assert_eq!(words.join(" "), wanted, "{name} of a thread");
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives everything of a place to a user.
fn give(place: &Place, user: &str) {
    let status = Command::new("chown")
        .args(["-R", user])
        .arg(place.folder.path())
        .status()
        .unwrap();
    assert!(status.success());
}

fn permits(place: &Place, server: &Server, command: &str) -> bool {
    let mut peer = Peer::tls(server.tls(), place, "core1").unwrap();
    let command = format!("cmd={command}");
    let request = author(1, "alice", &["service=shell", &command]);
    peer.ask(request.flags(4)).body[0] == 1
}

/// Whether this kernel has Landlock, asked without the server's help.
#[expect(clippy::print_stderr, reason = "who reads the output has to know")]
fn landlock() -> bool {
    let ask =
        "import ctypes, sys; sys.exit(0 if ctypes.CDLL(None).syscall(444, None, 0, 1) > 0 else 1)";
    let status = Command::new("python3").args(["-c", ask]).status().unwrap();
    if !status.success() {
        eprintln!("this kernel has no Landlock: only the announcement of that is tested");
    }
    status.success()
}

/// A server that started as root is nobody in every thread, with one capability, and can open port 300 at a reload.
#[test]
fn root_becomes_the_user_of_the_configuration_for_good() {
    let place = Place::with(&[("[server]", "[server]\nuser = \"nobody\"")]);
    if !is_root() {
        let mut server = place.start();
        server.wait_for_log(&["`user` in [server] has no effect"]);
        return;
    }
    give(&place, "nobody");
    let mut server = place.start();
    server.wait_for_log(&["no longer root", "\"user\":\"nobody\""]);
    every(&server, "Uid", "65534 65534 65534 65534");
    every(&server, "Groups", "");
    every(&server, "NoNewPrivs", "1");
    // CAP_NET_BIND_SERVICE is number 10.
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        every(&server, set, "0000000000000400");
    }
    for set in ["CapInh", "CapAmb"] {
        every(&server, set, "0000000000000000");
    }
    assert!(permits(&place, &server, "show"));
    // An address of the loopback network that no other test has.
    let low = format!("127.{}.0.9:300", 1 + std::process::id() % 250);
    place.edit(&[(
        "[tls.default]",
        &format!("[[listen]]\nprotocol = \"tacacs-tls\"\naddress = \"{low}\"\n[tls.default]"),
    )]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    server.wait_for_log(&["listening", &low]);
    let mut peer = Peer::tls(low.parse().unwrap(), &place, "core1").unwrap();
    let request = author(1, "alice", &["service=shell", "cmd=show"]);
    assert_eq!(peer.ask(request.flags(4)).body[0], 1);
    assert!(place.path("doorward.db").exists());
}

#[test]
fn what_the_user_cannot_read_keeps_the_server_from_starting_and_says_whose_right_is_missing() {
    if !is_root() {
        return;
    }
    let place = Place::with(&[("[server]", "[server]\nuser = \"nobody\"")]);
    give(&place, "nobody");
    let key = place.path("server.key");
    let chown = Command::new("chown")
        .arg("root")
        .arg(&key)
        .status()
        .unwrap();
    assert!(chown.success());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let run = doorward()
        .args(["run", "--config"])
        .arg(place.config())
        .output()
        .unwrap();
    assert_eq!(code(&run), 1);
    let text = stderr(&run);
    assert!(text.contains("server.key: Permission denied"), "{text}");
    assert!(
        text.contains("note: everything is read as the user `nobody` (uid 65534)"),
        "{text}"
    );
}

#[test]
fn a_user_who_is_not_there_is_an_error_at_the_start_and_a_warning_of_check() {
    let place = Place::with(&[("[server]", "[server]\nuser = \"nobody-at-all\"")]);
    let check = place.check();
    assert_eq!(code(&check), 0);
    let text = stderr(&check);
    assert!(
        text.contains("warning: the server could not become the user `nobody-at-all`"),
        "{text}"
    );
    if is_root() {
        let run = doorward()
            .args(["run", "--config"])
            .arg(place.config())
            .output()
            .unwrap();
        assert_eq!(code(&run), 1);
        let text = stderr(&run);
        assert!(
            text.contains("there is no user `nobody-at-all` in /etc/passwd"),
            "{text}"
        );
    }
}

#[test]
fn staying_root_is_warned_of() {
    if !is_root() {
        return;
    }
    let place = Place::demo();
    let check = place.check();
    assert_eq!(code(&check), 0);
    assert!(
        stderr(&check).contains("the server would stay root"),
        "{}",
        stderr(&check)
    );
    let mut server = place.start();
    server.wait_for_log(&["running as root"]);
}

/// An include in another folder, that says something of its own.
fn elsewhere(place: &Place) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("more.toml");
    std::fs::write(&file, "[user.zoe]\ngroups = [\"noc\"]\n").unwrap();
    let line = format!("version = 1\ninclude = [\"{}\"]", file.display());
    place.edit(&[("version = 1", &line)]);
    (folder, file.display().to_string())
}

#[test]
fn a_reload_that_needs_a_file_outside_of_the_sandbox_is_refused_and_names_it() {
    let place = Place::demo();
    let mut server = place.start();
    if !landlock() {
        server.wait_for_log(&["sandbox: unavailable", "Landlock"]);
        return;
    }
    server.wait_for_log(&["sandbox: "]);
    every(&server, "NoNewPrivs", "1");
    let good = std::fs::read_to_string(place.config()).unwrap();
    let (_folder, file) = elsewhere(&place);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 1);
    let text = stderr(&reload);
    assert!(text.contains("outside of the sandbox"), "{text}");
    assert!(text.contains(&format!("  --> {file}\n")), "{text}");
    assert!(text.contains("restart the server"), "{text}");
    assert!(permits(&place, &server, "show"), "the old one serves on");
    // A restart allows it.
    std::fs::write(place.config(), good).unwrap();
    let (_another, _) = elsewhere(&place);
    drop(server);
    let server = place.start();
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert!(permits(&place, &server, "show"));
}

#[test]
fn inside_the_sandbox_reloads_renewed_files_and_the_journal_work() {
    let place = Place::demo();
    let server = place.start();
    // As renewals do it: a new file of the old name.
    for name in ["server.pem", "ca.crl", "alice.hash"] {
        let path = place.path(name);
        let fresh = place.path("fresh");
        std::fs::copy(&path, &fresh).unwrap();
        std::fs::rename(&fresh, &path).unwrap();
    }
    std::fs::create_dir(place.path("conf.d")).unwrap();
    std::fs::write(
        place.path("conf.d/zoe.toml"),
        "[user.zoe]\ngroups = [\"noc\"]\n",
    )
    .unwrap();
    place.edit(&[("version = 1", "version = 1\ninclude = [\"conf.d/*.toml\"]")]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
    let address = server.tls().to_string();
    let path = |name: &str| place.path(name).display().to_string();
    let account = doorward()
        .args([
            "client",
            "account",
            "--server",
            &address,
            "--server-name",
            doorward::demo::SERVER_NAME,
        ])
        .args([
            "--ca",
            &path("ca.pem"),
            "--cert",
            &path("core1.pem"),
            "--key",
            &path("core1.key"),
        ])
        .args(["--user", "alice", "show", "version"])
        .output()
        .unwrap();
    assert_eq!(code(&account), 0, "{}", stderr(&account));
    let found = place.ask(&["acct", "search", "--user", "alice"]);
    assert!(
        stdout(&found).contains("show version"),
        "{}",
        stdout(&found)
    );
}

#[test]
fn without_a_sandbox_every_file_is_within_reach() {
    let place = Place::with(&[("[server]", "[server]\nsandbox = \"off\"")]);
    let mut server = place.start();
    server.wait_for_log(&["sandbox: off"]);
    let (_folder, _) = elsewhere(&place);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
}

/// Programs can be run only if the configuration named one at the start.
#[test]
fn a_program_that_only_a_reload_names_is_not_run() {
    if !landlock() {
        return;
    }
    let place = Place::demo();
    let mut server = place.start();
    server.wait_for_log(&["sandbox: ", "\"programs\":false"]);
    let program = format!("\"exec:cat {}\"", place.path("old-sw7.secret").display());
    place.edit(&[("\"file:old-sw7.secret\"", &program)]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 1);
    let text = stderr(&reload);
    assert!(
        text.contains("outside of the sandbox") && text.contains("  --> cat\n"),
        "{text}"
    );
    drop(server);
    let mut server = place.start();
    server.wait_for_log(&["sandbox: ", "\"programs\":true"]);
    let reload = place.ask(&["reload"]);
    assert_eq!(code(&reload), 0, "{}", stderr(&reload));
}

#[test]
fn a_required_sandbox_is_there_or_the_server_is_not() {
    let place = Place::with(&[("[server]", "[server]\nsandbox = \"require\"")]);
    if landlock() {
        let mut server = place.start();
        server.wait_for_log(&["sandbox: "]);
        return;
    }
    let run = doorward()
        .args(["run", "--config"])
        .arg(place.config())
        .output()
        .unwrap();
    assert_eq!(code(&run), 1);
    assert!(stderr(&run).contains("no Landlock"), "{}", stderr(&run));
}

/// How large a core dump of a process may be: the limit now, and what it may be raised to.
fn core_limits(pid: u32) -> [String; 2] {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"))
        .unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    [words.next().unwrap(), words.next().unwrap()]
}

/// The other commands read secrets and passwords as well.
/// proves: TAC-10.5.1-1
#[test]
fn no_command_leaves_a_core_dump() {
    // It waits for a password, of which it has got a part.
    let mut child = doorward()
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"not-yet-a-whole-").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while core_limits(child.id()) != ["0", "0"] {
        assert!(Instant::now() < deadline, "{:?}", core_limits(child.id()));
        std::thread::yield_now();
    }
    stdin.write_all(b"password\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).starts_with("$argon2id$"), "{output:?}");
}

/// Passwords and keys pass through memory: no core dump of it, and no debugger of the same user.
/// proves: TAC-10.5.1-1
#[test]
fn memory_is_kept_from_core_dumps_and_debuggers() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::with(&[("[server]", "[server]\nuser = \"nobody\"")]);
    if is_root() {
        give(&place, "nobody");
    }
    let server = place.start();
    assert_eq!(core_limits(server.pid()), ["0", "0"]);
    // What the kernel shows of a process that may not be dumped belongs to root, whoever runs it.
    let memory = std::fs::metadata(format!("/proc/{}/mem", server.pid())).unwrap();
    assert_eq!(memory.uid(), 0);
    if is_root() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let uid = status
            .lines()
            .find(|line| line.starts_with("Uid:"))
            .unwrap();
        assert!(!uid.contains("\t0\t"), "{uid}");
    }
    // And its own figures are still there.
    assert!(server.page().get("process_open_fds").unwrap() > 3.0);
}
