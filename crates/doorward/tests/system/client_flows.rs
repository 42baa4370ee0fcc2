//! `doorward client` against the real server: every flow that both sides know.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Place, Server, code, doorward, stderr, stdout};

const CHAP: &str = "a secret for challenges only";
const NEW: &str = "Fresh-password-7";

/// The demo with carol, who has a secret for challenges, and passwords for privilege levels.
fn place(accept: &str) -> Place {
    let place = Place::with(&[
        (
            "[user.bob]",
            "[user.carol]\nchap_secret = \"file:carol.chap\"\ngroups = [\"noc\"]\n\n[user.\"J\u{f6}rg\"]\npassword = \"file:alice.hash\"\ngroups = [\"noc\"]\n\n[user.bob]",
        ),
        (
            "[role.watcher]",
            &format!(
                "[authentication]\naccept = {accept}\n\n[enable]\n15 = \"file:bob.hash\"\n\n[role.watcher]"
            ),
        ),
        (
            "shell = { priv_lvl = 1, idle_time = \"15m\" }",
            "shell = { priv_lvl = 1, max_priv_lvl = 15 }",
        ),
        (
            "[[accounting]]",
            "[audit]\ndecisions = \"all\"\n\n[[accounting]]",
        ),
    ]);
    std::fs::write(place.path("carol.chap"), CHAP).unwrap();
    std::fs::write(place.path("new.password"), NEW).unwrap();
    place
}

const ALL: &str = "[\"ascii\", \"pap\", \"chap\", \"mschapv1\", \"mschapv2\"]";

/// The flags of a client for one of the listeners.
fn flags(place: &Place, server: &Server, tls: bool) -> Vec<String> {
    let path = |name: &str| place.path(name).display().to_string();
    let mut flags: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| flags.extend(words.iter().map(|word| (*word).to_owned()));
    if tls {
        add(&[
            "--server",
            &server.tls().to_string(),
            "--ca",
            &path("ca.pem"),
        ]);
        add(&["--cert", &path("core1.pem"), "--key", &path("core1.key")]);
        add(&["--server-name", doorward::demo::SERVER_NAME]);
    } else {
        add(&["--server", &server.plain().to_string(), "--plain"]);
        add(&["--secret", &format!("file:{}", path("old-sw7.secret"))]);
    }
    flags
}

fn client(place: &Place, server: &Server, tls: bool, verb: &str, words: &[&str]) -> Output {
    doorward()
        .args(["client", verb])
        .args(flags(place, server, tls))
        .arg("--json")
        .args(words)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (i32, Value) {
    let value =
        serde_json::from_str(&stdout(output)).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (code(output), value)
}

/// proves: TAC-5.4.2.3-4, D05-4.4.1-3
#[test]
fn every_type_logs_in_by_either_listener() {
    let place = place(ALL);
    let server = place.start();
    let file = |name: &str| format!("file:{}", place.path(name).display());
    for tls in [false, true] {
        let login = |user: &str, kind: &str, password: &str| {
            let words = ["--user", user, "--type", kind, "--password", password];
            said(&client(&place, &server, tls, "authenticate", &words))
        };
        for (user, kind, right) in [
            ("alice", "pap", "alice.password"),
            ("alice", "ascii", "alice.password"),
            ("carol", "chap", "carol.chap"),
            ("carol", "mschapv1", "carol.chap"),
            ("carol", "mschapv2", "carol.chap"),
        ] {
            let (exit, answer) = login(user, kind, &file(right));
            assert_eq!(
                (exit, &answer["status"]),
                (0, &"PASS".into()),
                "{kind} {answer}"
            );
            let (exit, answer) = login(user, kind, &file("new.password"));
            assert_eq!(
                (exit, &answer["status"]),
                (2, &"FAIL".into()),
                "{kind} {answer}"
            );
        }
    }
}

/// Arguments leave in UTF-8, whatever the locale says.
/// proves: D05-3.7-4
#[test]
fn names_of_the_command_line_are_utf_8() {
    let place = place(ALL);
    let server = place.start();
    let password = format!("file:{}", place.path("alice.password").display());
    let output = doorward()
        .args(["client", "authenticate"])
        .args(flags(&place, &server, false))
        .args([
            "--json",
            "--user",
            "J\u{f6}rg",
            "--type",
            "pap",
            "--password",
            &password,
        ])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
}

/// proves: TAC-5.4.2.6-2, TAC-9-3
#[test]
fn a_level_and_another_password() {
    let place = place(ALL);
    let server = place.start();
    let file = |name: &str| format!("file:{}", place.path(name).display());
    let ask = |tls, words: &[&str]| {
        let output = client(&place, &server, tls, "authenticate", words);
        (code(&output), stdout(&output), stderr(&output))
    };
    for tls in [false, true] {
        let level = |level: &str, password: &str| {
            let password = file(password);
            ask(
                tls,
                &[
                    "--action",
                    "enable",
                    "--priv-lvl",
                    level,
                    "--user",
                    "alice",
                    "--password",
                    &password,
                ],
            )
        };
        assert_eq!(level("15", "bob.password").0, 0);
        assert_eq!(level("15", "alice.password").0, 2);
        assert_eq!(level("14", "bob.password").0, 2);
    }
    let (old, new) = (file("alice.password"), file("new.password"));
    let change = |old: &str, new: &str| {
        ask(
            true,
            &[
                "--action",
                "chpass",
                "--user",
                "alice",
                "--password",
                old,
                "--new-password",
                new,
            ],
        )
    };
    let login = |password: &str| {
        ask(
            false,
            &["--user", "alice", "--type", "pap", "--password", password],
        )
        .0
    };
    assert_eq!(change(&new, &new).0, 2, "the old one is wrong");
    assert_eq!(change(&old, &old).0, 2, "the same again will not do");
    assert_eq!(change(&old, &new).0, 0);
    assert_eq!((login(&new), login(&old)), (0, 2));
    for words in [
        &["--action", "enable", "--type", "pap"][..],
        &["--new-password", &new],
        &["--type", "pap,pap"],
    ] {
        assert_eq!(
            ask(false, &[&["--user", "alice"], words].concat()).0,
            64,
            "{words:?}"
        );
    }
}

/// proves: TAC-5.4.3-6, D05-4.4.3-13
#[test]
fn another_type_is_tried_where_the_server_wants_one() {
    let place = place("[\"pap\", \"chap\"]");
    let server = place.start();
    let secret = format!("file:{}", place.path("carol.chap").display());
    let login = |types: &str| {
        let words = ["--user", "carol", "--type", types, "--password", &secret];
        said(&client(&place, &server, true, "authenticate", &words))
    };
    let (exit, answer) = login("mschapv2");
    assert_eq!((exit, &answer["status"]), (2, &"RESTART".into()));
    assert!(
        answer["why"].as_str().unwrap().contains("--type"),
        "{answer}"
    );
    let (exit, answer) = login("mschapv2,mschapv1,chap");
    assert_eq!((exit, &answer["status"]), (0, &"PASS".into()), "{answer}");
}

/// proves: TAC-4.4-4
#[test]
fn the_next_server_is_asked_where_one_is_silent_and_never_after_a_denial() {
    let place = place(ALL);
    let server = place.start();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = gone.local_addr().unwrap().to_string();
    drop(gone);
    let login = |first: &str, password: &str| {
        let password = format!("file:{}", place.path(password).display());
        let output = doorward()
            .args(["client", "authenticate", "--server", first])
            .args(flags(&place, &server, false))
            .args([
                "--json",
                "--user",
                "alice",
                "--type",
                "pap",
                "--password",
                &password,
            ])
            .output()
            .unwrap();
        said(&output)
    };
    let (exit, answer) = login(&nobody, "alice.password");
    assert_eq!(
        (exit, &answer["server"]),
        (0, &server.plain().to_string().into())
    );
    let (exit, answer) = login(&server.plain().to_string(), "bob.password");
    assert_eq!((exit, &answer["result"]), (2, &"fail".into()));
    server.stop();
    let row = place.ask(&["audit", "search", "--json", "--user", "alice"]);
    assert_eq!(stdout(&row).lines().count(), 2, "one login each");
}

/// proves: TAC-8.3-11, D05-7-1, TAC-8.1-9, D05-7-2
#[test]
fn commands_are_recorded_as_they_are_entered_in_utc() {
    let place = place(ALL);
    let server = place.start();
    let authorize = |command: &[&str]| {
        let words = [&["--user", "alice", "--account"], command].concat();
        said(&client(&place, &server, true, "authorize", &words))
    };
    let (exit, answer) = authorize(&["show", "clock"]);
    assert_eq!((exit, &answer["accounted"]), (0, &"recorded".into()));
    let (exit, answer) = authorize(&["reload"]);
    assert_eq!((exit, &answer["accounted"]), (2, &"recorded".into()));
    let rows = stdout(&place.ask(&["acct", "search", "--json"]));
    let rows: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["kind"], &rows[0]["command"]),
        (&"start".into(), &"show clock".into())
    );
    assert_ne!(
        rows[0]["args"][0], rows[1]["args"][0],
        "each its own task_id"
    );

    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    for zone in ["Asia/Tokyo", "America/New_York"] {
        let before = now();
        let output = doorward()
            .args(["client", "account"])
            .args(flags(&place, &server, false))
            .args(["--json", "--user", "alice", "--start", "--task-id", zone])
            .env("TZ", zone)
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
        let rows = stdout(&place.ask(&["acct", "search", "--json", "--open"]));
        let row: Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
        let arguments = row["args"].as_array().unwrap();
        let time = arguments
            .iter()
            .find_map(|one| one.as_str().unwrap().strip_prefix("start_time="));
        let time: u64 = time.unwrap().parse().unwrap();
        assert!((before..=now()).contains(&time), "{zone}: {time}");
        assert!(
            !arguments
                .iter()
                .any(|one| one.as_str().unwrap().starts_with("timezone"))
        );
    }
}

/// Runs a program at a terminal, where keys are pressed at each prompt in turn, and prints what the terminal shows.
pub(crate) const TERMINAL: &str = r#"
import json, os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown, steps, seen = b"", json.loads(sys.argv[1]), 0
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
    if steps and steps[0][0].encode() in shown[seen:]:
        seen = len(shown)
        os.write(terminal, steps.pop(0)[1].encode())
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

fn at_a_terminal(steps: &[(&str, &str)], flags: &[String], words: &[&str]) -> Output {
    Command::new("python3")
        .args(["-c", TERMINAL, &serde_json::to_string(steps).unwrap()])
        .args([env!("CARGO_BIN_EXE_doorward"), "client", "authenticate"])
        .args(flags)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// At prompts that show what is typed and at those that do not.
/// proves: D05-4.4.3-2, TAC-5.4.3-1
#[test]
fn ctrl_c_at_a_prompt_tells_the_server() {
    let place = place(ALL);
    for (prompt, keys, reason) in [
        ("Password: ", "half\u{3}", "interrupted by the user"),
        ("Username: ", "ali\u{3}", "interrupted by the user"),
        ("Username: ", "\u{4}", "the user gave no answer"),
    ] {
        let mut server = place.start();
        let flags = flags(&place, &server, false);
        let named = ["--user", "alice"];
        let words = if prompt == "Username: " {
            &[]
        } else {
            named.as_slice()
        };
        let output = at_a_terminal(&[(prompt, keys)], &flags, words);
        assert_eq!(code(&output), 1, "{output:?}");
        assert!(!stdout(&output).contains("half"), "{output:?}");
        let line = server.wait_for_log(&["\"reason\":\"aborted\""]);
        assert!(line.contains(reason), "{line}");
    }
}

/// The terminal's own editing takes a wrong letter back.
#[test]
fn a_name_that_is_asked_for_is_shown_and_may_be_corrected() {
    let place = place(ALL);
    let server = place.start();
    let flags = flags(&place, &server, false);
    let password = format!("{}\n", place.text("alice.password").trim());
    let steps = [("Username: ", "alicf\u{7f}e\n"), ("Password: ", &*password)];
    let output = at_a_terminal(&steps, &flags, &[]);
    let shown = stdout(&output);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(shown.contains("alic"), "{shown}");
    assert!(!shown.contains(password.trim()), "{shown}");
}

/// proves: D05-4.4-3
#[test]
fn the_new_password_is_asked_for_twice_and_not_shown() {
    let place = place(ALL);
    let server = place.start();
    let old = format!("file:{}", place.path("alice.password").display());
    let line = format!("{NEW}\n");
    let steps = [("New password: ", &*line), ("The same again: ", &line)];
    let flags = flags(&place, &server, true);
    let words = ["--action", "chpass", "--user", "alice", "--password", &old];
    let output = at_a_terminal(&steps, &flags, &words);
    let shown = stdout(&output);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(
        shown.contains("the password of alice is changed"),
        "{shown}"
    );
    assert!(!shown.contains(NEW), "{shown}");
}

/// Two that differ are asked for again, and none of them reaches the server.
#[test]
fn a_new_password_that_was_mistyped_is_not_sent() {
    let place = place(ALL);
    let server = place.start();
    let old = format!("file:{}", place.path("alice.password").display());
    let (new, wrong) = (format!("{NEW}\n"), "Mistyped-password-7\n");
    let steps = [
        ("New password: ", wrong),
        ("The same again: ", &*new),
        ("New password: ", &new),
        ("The same again: ", &new),
    ];
    let flags = flags(&place, &server, true);
    let words = ["--action", "chpass", "--user", "alice", "--password", &old];
    let output = at_a_terminal(&steps, &flags, &words);
    let shown = stdout(&output);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(shown.contains("not the same"), "{shown}");
    assert!(
        !shown.contains(NEW) && !shown.contains("Mistyped"),
        "{shown}"
    );
    let login = |password: &str| {
        let path = place.path("typed.password");
        std::fs::write(&path, password).unwrap();
        let password = format!("file:{}", path.display());
        let words = ["--user", "alice", "--type", "pap", "--password", &password];
        code(&client(&place, &server, false, "authenticate", &words))
    };
    assert_eq!((login(&new), login(wrong)), (0, 2));
}

/// The flag for clear text cannot be set at all: no option names it, and none is taken for it.
/// proves: TAC-10.5.2-8
#[test]
fn no_option_of_the_client_sends_bodies_in_clear() {
    let place = place(ALL);
    let server = place.start();
    for verb in ["authenticate", "authorize", "account"] {
        let help = doorward()
            .args(["client", verb, "--help"])
            .output()
            .unwrap();
        let help = stdout(&help).to_lowercase();
        assert!(
            help.contains("--plain") && !help.contains("unencrypted"),
            "{help}"
        );
        for option in ["--unencrypted", "--clear", "--no-obfuscation", "--debug"] {
            let output = client(&place, &server, false, verb, &["--user", "alice", option]);
            assert_eq!(code(&output), 64, "{verb} {option}");
        }
        // Without a secret there is no plain connection either.
        let output = doorward()
            .args(["client", verb, "--plain", "--user", "alice", "--server"])
            .arg(server.plain().to_string())
            .output()
            .unwrap();
        assert_eq!(code(&output), 64, "{verb}");
    }
}
