//! The journal as a process sees it: killed at any moment, on a full disk, and through the commands that read it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use doorward::accounting::{
    DecisionFields, DecisionKind, DecisionRecord, Fields, Journal, JournalError, JournalOptions,
    Kind, Protocol, Query, Reader, Record,
};
use doorward::policy::Transport;
use tempfile::TempDir;

fn record(user: &str, command: &str, argument: &str) -> Record {
    let fields = Fields {
        received: jiff::Timestamp::now(),
        kind: Kind::Stop,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        listener: "tacacs-tls",
        device: "core1",
        session: 1,
        privilege_level: 15,
        authentication_method: 6,
        authentication_type: 1,
        authentication_service: 1,
        user: user.as_bytes(),
        port: b"tty1",
        remote: b"192.0.2.7",
        service: b"shell",
        command: command.as_bytes(),
    };
    Record::new(&fields, [argument.as_bytes()])
}

fn decision(user: &str, request: &str) -> DecisionRecord {
    let fields = DecisionFields {
        received: jiff::Timestamp::now(),
        kind: DecisionKind::Authorization,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        privilege_level: 1,
        listener: "tacacs-tls",
        device: "core1",
        user: user.as_bytes(),
        port: b"tty1",
        remote: b"192.0.2.7",
        service: b"shell",
        command: request.as_bytes(),
        request: b"",
        outcome: "deny",
        reason: "no-rule",
        why: "no rule matched this user on this device, and no match denies",
        rule: None,
    };
    DecisionRecord::new(&fields, [])
}

/// How often each argument is in the journal.
fn recorded(path: &Path) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    count(path, Query::default(), &mut found);
    found
}

/// The same by one search for each user: these read the index.
fn recorded_by_user(path: &Path) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for user in USERS {
        let query = Query {
            user: Some(user.as_bytes().to_vec()),
            ..Query::default()
        };
        count(path, query, &mut found);
    }
    found
}

fn count(path: &Path, query: Query, found: &mut BTreeMap<String, usize>) {
    let reader = Reader::open(path).unwrap();
    for stored in reader.search(query).unwrap() {
        let stored = stored.unwrap();
        let argument = stored
            .entry
            .record()
            .unwrap()
            .view()
            .unwrap()
            .arguments
            .next()
            .unwrap()
            .to_vec();
        *found
            .entry(String::from_utf8(argument).unwrap())
            .or_default() += 1;
    }
}

const CHILD: &str = "DOORWARD_TEST_JOURNAL";
const ROUNDS: usize = 4;
const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// Tables and index are made of pieces so small that a kill falls between them, too.
fn small_pieces() -> JournalOptions {
    JournalOptions {
        period_records: 300,
        index_records: Some(100),
        ..JournalOptions::default()
    }
}

/// In the child: submits from many tasks at once and says what was acknowledged, until it is killed.
fn submit_until_killed(path: &Path, round: &str) {
    let journal = Arc::new(Journal::open(path, small_pieces()).unwrap());
    let counter = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..32_usize)
        .map(|task| {
            let (journal, counter, round) =
                (Arc::clone(&journal), Arc::clone(&counter), round.to_owned());
            runtime.spawn(async move {
                // Bounded: a parent that died must not leave a child for ever.
                for _ in 0..20_000 {
                    let names: Vec<_> = (0..=task % 4)
                        .map(|_| format!("{round}-{}", counter.fetch_add(1, Ordering::Relaxed)))
                        .collect();
                    let user = USERS.get(task % USERS.len()).unwrap();
                    let records = names
                        .iter()
                        .map(|name| record(user, "show version", name))
                        .collect();
                    journal.submit(records).await.unwrap();
                    let lines: String = names.iter().map(|name| format!("ack {name}\n")).collect();
                    std::io::stdout()
                        .lock()
                        .write_all(lines.as_bytes())
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn a_server_killed_under_load_loses_nothing_it_acknowledged() {
    if let Some(path) = std::env::var_os(CHILD) {
        return submit_until_killed(
            Path::new(&path),
            &std::env::var("DOORWARD_TEST_ROUND").unwrap(),
        );
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.db");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut random = [0; 2];
        getrandom::fill(&mut random).unwrap();
        // Killed after some commit, at no particular step of the next ones.
        let enough = 50 + usize::from(u16::from_le_bytes(random) % 2000);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_server_killed_under_load_loses_nothing_it_acknowledged",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .env("DOORWARD_TEST_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let before = acknowledged.len();
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).unwrap() > 0 {
            // A line that the kill cut short was not said.
            if let Some(name) = line
                .strip_prefix(b"ack ")
                .and_then(|rest| rest.strip_suffix(b"\n"))
            {
                acknowledged.push(String::from_utf8(name.to_vec()).unwrap());
            }
            if acknowledged.len() - before == enough {
                child.kill().unwrap();
            }
            line.clear();
        }
        let status = child.wait().unwrap();
        assert!(
            !status.success(),
            "the child ended before it was killed: {status}"
        );
        assert!(acknowledged.len() - before >= enough);
        // With no server at all, and then with the next one.
        let found = recorded(&path);
        assert_eq!(recorded_by_user(&path), found);
        let missing: Vec<_> = acknowledged
            .iter()
            .filter(|name| found.get(*name) != Some(&1))
            .collect();
        assert!(
            missing.is_empty(),
            "round {round}: {} of {} missing: {missing:?}",
            missing.len(),
            acknowledged.len()
        );
        drop(Journal::open(&path, small_pieces()).unwrap());
        assert_eq!(recorded(&path), found);
        assert_eq!(recorded_by_user(&path), found);
    }
    let index = rusqlite::Connection::open(folder.path().join("journal.db.index")).unwrap();
    let segments: u32 = index
        .query_row("SELECT count(*) FROM segment", [], |row| row.get(0))
        .unwrap();
    assert!(segments > 0);
}

/// A file system of its own, unmounted in the end.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mount
            .is_ok_and(|status| status.success())
            .then_some(Self { folder })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
    }
}

/// The same with a limit inside SQLite, which needs no privileges, is a unit test of the journal.
#[tokio::test]
async fn a_full_disk_fails_the_batch_and_room_again_ends_the_trouble() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("mounting is not allowed here: not tested");
        return;
    };
    let path = disk.folder.path().join("journal.db");
    let journal = Journal::open(&path, JournalOptions::default()).unwrap();
    let mut expected = BTreeMap::new();
    let mut next = 0..;
    let mut submit = |journal: &Journal| {
        let name = next.next().unwrap().to_string();
        (
            journal.submit(vec![record("alice", &"x".repeat(2000), &name)]),
            name,
        )
    };
    let filler = disk.folder.path().join("filler");
    for _ in 0..2 {
        let (commit, name) = submit(&journal);
        commit.await.unwrap();
        expected.insert(name, 1);
        fill(&filler);
        let mut refused = None;
        for _ in 0..2000 {
            let (commit, name) = submit(&journal);
            match commit.await {
                Ok(()) => _ = expected.insert(name, 1),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let refused = refused.unwrap();
        assert!(
            matches!(refused, JournalError::DiskFull | JournalError::Database(_)),
            "{refused}"
        );
        assert!(journal.stats().failing);
        std::fs::remove_file(&filler).unwrap();
        let (commit, name) = submit(&journal);
        commit.await.unwrap();
        expected.insert(name, 1);
        assert!(!journal.stats().failing);
        assert_eq!(recorded(&path), expected);
    }
    drop(journal);
    assert_eq!(recorded(&path), expected);
}

fn fill(path: &PathBuf) {
    let mut file = std::fs::File::create(path).unwrap();
    let block = [0; 4096];
    while file.write_all(&block).is_ok() {}
}

fn doorward(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command
        .args(arguments)
        .env("TZ", "UTC")
        .env_remove("DOORWARD_CONFIG");
    command
}

fn run(arguments: &[&str]) -> Output {
    doorward(arguments).stdin(Stdio::null()).output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn acct_search_reads_beside_the_server_and_without_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, JournalOptions::default()).unwrap();
    let records = vec![
        record("alice", "show version", "task_id=1"),
        record("bob", "reload\n\u{1b}[2J", "task_id=2"),
        record("alice", "configure terminal", "task_id=3"),
    ];
    journal.submit(records).await.unwrap();
    let path = path.to_str().unwrap();
    let search = ["acct", "search", "--journal", path];
    for _ in 0..2 {
        let json = run(&[&search[..], &["--json", "--user", "alice"]].concat());
        assert!(json.status.success());
        let found: Vec<serde_json::Value> = lines(&json)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let commands: Vec<_> = found
            .iter()
            .map(|record| record["command"].as_str().unwrap())
            .collect();
        assert_eq!(commands, ["show version", "configure terminal"]);

        let text = run(&search);
        assert!(text.status.success());
        assert_eq!(lines(&text).len(), 3);
        assert!(
            lines(&text)[1].ends_with(r"reload\x0a\x1b[2J"),
            "{:?}",
            lines(&text)[1]
        );

        let narrow = [
            &search[..],
            &[
                "--cmd", "show *", "--since", "1h", "--kind", "stop", "--device", "core1",
            ],
        ]
        .concat();
        assert_eq!(lines(&run(&narrow)).len(), 1);
        assert_eq!(
            lines(&run(&[&search[..], &["--kind", "start"]].concat())).len(),
            0
        );
        journal.close();
    }
}

#[tokio::test]
async fn acct_tail_follows_the_journal() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, JournalOptions::default()).unwrap();
    journal
        .submit(
            (0..5)
                .map(|n| record("alice", &format!("old {n}"), "x"))
                .collect(),
        )
        .await
        .unwrap();
    let mut tail = doorward(&[
        "acct",
        "tail",
        "-n",
        "2",
        "--json",
        "--journal",
        path.to_str().unwrap(),
    ])
    .stdout(Stdio::piped())
    .spawn()
    .map(Killed)
    .unwrap();
    let mut output = BufReader::new(tail.0.stdout.take().unwrap()).lines();
    let mut next = || {
        let line: serde_json::Value =
            serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
        line["command"].as_str().unwrap().to_owned()
    };
    assert_eq!((next(), next()), ("old 3".to_owned(), "old 4".to_owned()));
    journal
        .submit(vec![
            record("alice", "new 1", "x"),
            record("bob", "new 2", "x"),
        ])
        .await
        .unwrap();
    assert_eq!((next(), next()), ("new 1".to_owned(), "new 2".to_owned()));
    journal
        .submit(vec![record("alice", "new 3", "x")])
        .await
        .unwrap();
    assert_eq!(next(), "new 3");
}

#[tokio::test]
async fn audit_tail_follows_decisions_and_not_records() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, JournalOptions::default()).unwrap();
    let mut old = (0..5)
        .map(|n| decision("alice", &format!("old {n}")))
        .collect();
    journal.add_decisions(&mut old).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while journal.stats().decisions < 5 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    let path = path.to_str().unwrap();
    let arguments = ["audit", "tail", "-n", "2", "--json", "--journal", path];
    let mut tail = doorward(&arguments)
        .stdout(Stdio::piped())
        .spawn()
        .map(Killed)
        .unwrap();
    let mut output = BufReader::new(tail.0.stdout.take().unwrap()).lines();
    let mut next = || {
        let line: serde_json::Value =
            serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
        line["command"].as_str().unwrap().to_owned()
    };
    assert_eq!((next(), next()), ("old 3".to_owned(), "old 4".to_owned()));
    let record = record("alice", "a record", "x");
    journal.submit(vec![record]).await.unwrap();
    journal
        .add_decisions(&mut vec![decision("alice", "new 1")])
        .unwrap();
    assert_eq!(next(), "new 1");
}

/// An empty answer says why it is empty, where that is not because nothing happened.
#[tokio::test]
async fn an_empty_answer_has_a_hint() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.db");
    let config = folder.path().join("doorward.toml");
    let journal = Journal::open(&path, JournalOptions::default()).unwrap();
    let ask = |audit: &str, arguments: &[&str]| {
        let text = format!("version = 1\n[server]\njournal = \"journal.db\"\n{audit}");
        std::fs::write(&config, text).unwrap();
        let output = run(&[arguments, &["--config", config.to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let folder = folder.path().to_str().unwrap();
        String::from_utf8(output.stderr)
            .unwrap()
            .replace(folder, "FOLDER")
    };
    let mut hints = String::new();
    let mut hint = |audit: &str, arguments: &[&str]| {
        let answer = ask(audit, arguments);
        hints += &format!("# {audit:?} {arguments:?}\n{answer}\n");
    };
    hint("", &["acct", "search"]);
    let fields = Fields {
        received: "2026-11-20T10:00:00Z".parse().unwrap(),
        kind: Kind::Stop,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        listener: "tacacs-tls",
        device: "core1",
        session: 1,
        privilege_level: 15,
        authentication_method: 6,
        authentication_type: 1,
        authentication_service: 1,
        user: b"alice",
        port: b"tty1",
        remote: b"192.0.2.7",
        service: b"shell",
        command: b"show version",
    };
    journal
        .submit(vec![Record::new(&fields, [])])
        .await
        .unwrap();
    hint("", &["audit", "search"]);
    hint("", &["audit", "search", "--since", "2026-11-20T09:00:00Z"]);
    hint(
        "",
        &["acct", "search", "--user", "bob", "--since", "2026-11-19"],
    );
    hint("", &["acct", "search", "--since", "2026-11-21"]);
    hint("", &["audit", "search", "--outcome", "pass"]);
    hint("[audit]\ndecisions = \"off\"\n", &["audit", "search"]);
    hint("[audit]\ndecisions = \"all\"\n", &["audit", "search"]);
    insta::assert_snapshot!(hints);
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let codes: HashMap<&[&str], i32> = [
        (
            &["acct", "search", "--journal", "/nonexistent/journal.db"][..],
            1,
        ),
        (
            &["acct", "tail", "--journal", "/nonexistent/journal.db"][..],
            1,
        ),
        (
            &["acct", "search", "--config", "/nonexistent/doorward.toml"][..],
            1,
        ),
        (&["acct", "search", "--since", "yesterday"][..], 64),
        (&["acct", "search", "--kind", "banana"][..], 64),
        (&["acct", "search", "--nonsense"][..], 64),
        (&["acct"][..], 64),
        (
            &["audit", "search", "--journal", "/nonexistent/journal.db"][..],
            1,
        ),
        (&["audit", "search", "--outcome", "denied"][..], 64),
        (&["audit", "search", "--outcome", "recorded"][..], 64),
        (&["audit", "search", "--reason", "whim"][..], 64),
        (&["audit", "search", "--kind", "stop"][..], 64),
        (&["audit"][..], 64),
        (&["hash-password", "secret"][..], 64),
        (&["hash-password"][..], 1),
    ]
    .into();
    for (arguments, code) in codes {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
    let help = run(&["acct", "search", "--help"]);
    assert!(help.status.success());
    assert!(
        !String::from_utf8(help.stdout)
            .unwrap()
            .contains("--journal")
    );
}

#[test]
fn hash_password_prints_a_hash_that_verifies() {
    let mut child = doorward(&["hash-password"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"correct horse\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let hash = lines(&output);
    assert_eq!(hash.len(), 1);
    let hash = doorward::identity::PasswordHash::parse(&hash[0]).unwrap();
    let mut scratch = doorward::identity::Scratch::default();
    assert_eq!(hash.verify(b"correct horse", &mut scratch), Ok(true));
    assert_eq!(hash.verify(b"correct horse\n", &mut scratch), Ok(false));
}

/// What has nothing to do with the records must not keep anybody from reading them.
#[tokio::test]
async fn acct_search_works_with_a_configuration_that_is_broken_elsewhere() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path, JournalOptions::default()).unwrap();
    let records = vec![
        record("alice", "show version", "task_id=1"),
        record("oxidized", "show running-config", "task_id=2"),
    ];
    journal.submit(records).await.unwrap();
    let config = folder.path().join("doorward.toml");
    let search = |more: &[&str]| {
        let config = config.to_str().unwrap();
        run(&[&["acct", "search", "--config", config], more].concat())
    };
    let text = r#"version = 1
include = ["users.toml"]
[server]
journal = "journal.db"
workers = "many"
[tls.default]
certificate = "missing.pem"
key = "file:missing.key"
[user.oxidized]
password = "file:missing.hash"
quiet = true
[user.alice]
quiet = "perhaps"
[[rule]]
when = { gruop = 5 }
[rulez]
"#;
    std::fs::write(&config, text).unwrap();
    std::fs::write(folder.path().join("users.toml"), "this is no TOML").unwrap();
    let found = search(&[]);
    assert!(found.status.success(), "{found:?}");
    assert_eq!(lines(&found).len(), 1, "{found:?}");
    assert!(lines(&found)[0].contains("show version"));
    assert_eq!(lines(&search(&["--user", "oxidized"])).len(), 1);

    // Where the journal is must be known: the records of another one would be a wrong answer.
    for text in [
        "version = 1\n[server]\njournal = 5\n",
        "version = 1\ninclude = [\"users.toml\"]\n",
        "version = 1\n[server\n",
    ] {
        std::fs::write(&config, text).unwrap();
        let refused = search(&[]);
        assert_eq!(refused.status.code(), Some(1), "{text}");
        let message = String::from_utf8(refused.stderr).unwrap();
        assert!(
            message.starts_with("error: ") && message.contains("--> "),
            "{message}"
        );
    }
}

#[test]
fn errors_about_the_journal_say_where_and_what_to_do() {
    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("journal.db");
    std::fs::write(&broken, "this is no database ".repeat(400)).unwrap();
    for path in [&*broken, std::path::Path::new("/nonexistent/journal.db")] {
        for verb in ["search", "tail"] {
            let output = run(&["acct", verb, "--journal", path.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(1));
            let message = String::from_utf8(output.stderr).unwrap();
            let place = format!("\n  --> {}\n  help: ", path.display());
            assert!(
                message.starts_with("error: ") && message.contains(&place),
                "{message}"
            );
        }
    }
}
