//! The command line: exit codes, JSON, messages.

use std::io::Write;
use std::process::Stdio;

use crate::harness::{Place, code, doorward, stderr, stdout};

#[test]
fn wrong_usage_is_64_everywhere() {
    for arguments in [
        &["no-such-command"][..],
        &["check"],
        &["run", "--no-such-flag"],
        &["explain", "alice"],
        &["diff", "one.toml"],
        &["diff", "one.toml", "two.toml", "--since", "yesterday"],
        &["client", "authenticate", "--type", "nonsense"],
        &["acct"],
        &["status", "--no"],
        &["hash-password", "surplus"],
        &[],
    ] {
        let output = doorward().args(arguments).output().unwrap();
        assert_eq!(code(&output), 64, "{arguments:?}: {}", stderr(&output));
        assert!(
            stdout(&output).is_empty() && !stderr(&output).is_empty(),
            "{arguments:?}"
        );
    }
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["client", "--help"],
        &["run", "--help"],
    ] {
        assert_eq!(
            code(&doorward().args(arguments).output().unwrap()),
            0,
            "{arguments:?}"
        );
    }
}

#[test]
fn a_missing_file_is_a_local_fault() {
    for arguments in [
        &["run", "--config", "/nonexistent/doorward.toml"][..],
        &["check", "/nonexistent/doorward.toml"],
        &["test", "/nonexistent/doorward.toml"],
        &[
            "diff",
            "/nonexistent/doorward.toml",
            "/nonexistent/doorward.toml",
        ],
        &[
            "explain",
            "--config",
            "/nonexistent/doorward.toml",
            "alice",
            "core1",
            "show",
        ],
        &["status", "--config", "/nonexistent/doorward.toml"],
        &["reload", "--config", "/nonexistent/doorward.toml"],
        &["acct", "search", "--config", "/nonexistent/doorward.toml"],
    ] {
        let output = doorward().args(arguments).output().unwrap();
        assert_eq!(code(&output), 1, "{arguments:?}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("/nonexistent/doorward.toml"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn without_a_server_status_says_what_to_do() {
    let place = Place::demo();
    let output = place.ask(&["status"]);
    assert_eq!(code(&output), 1);
    let text = stderr(&output);
    assert!(
        text.starts_with("error: no running server")
            && text.contains("control.sock")
            && text.contains("help:"),
        "{text}"
    );
}

#[test]
fn explain_names_file_line_and_rule() {
    let place = Place::demo();
    let explain = |command: &str| place.ask(&["explain", "alice", "core1", command, "--json"]);
    let output = explain("show version");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["decision"], "permit");
    assert_eq!(json["rule"]["text"], "permit show|ping|traceroute **");
    let file = std::fs::read_to_string(place.config()).unwrap();
    let line = file
        .lines()
        .position(|line| line == "permit show|ping|traceroute **")
        .unwrap()
        + 1;
    assert_eq!(json["rule"]["line"], line);
    let output = explain("reload");
    assert_eq!(code(&output), 2);
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["decision"], "deny");
    assert!(json["why"].as_str().unwrap().contains("reload"), "{json}");
    assert!(!json["nearest"].as_array().unwrap().is_empty(), "{json}");
}

#[test]
fn check_and_test_run_the_tests_of_the_file() {
    let place = Place::demo();
    let config = place.config();
    for command in ["check", "test"] {
        let output = doorward().arg(command).arg(&config).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }
    place.edit(&[(
        "permit = [\"show version\"",
        "permit = [\"configure terminal\"",
    )]);
    for command in ["check", "test"] {
        let output = doorward().arg(command).arg(&config).output().unwrap();
        assert_eq!(code(&output), 1);
        let text = stdout(&output) + &stderr(&output);
        assert!(text.contains("configure terminal"), "{text}");
    }
}

#[test]
fn a_hash_that_was_made_logs_in() {
    let mut child = doorward()
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"a new password\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0);
    let hash = stdout(&output);
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let place = Place::demo();
    std::fs::write(place.path("alice.hash"), hash).unwrap();
    let server = place.start();
    let mut peer = crate::wire::Peer::plain(server.plain(), &place);
    assert_eq!(
        peer.ask(crate::wire::pap(1, "alice", "a new password"))
            .body[0],
        1
    );
}

/// Runs `doorward client` among the demo's files.
pub(crate) fn client(place: &Place, arguments: &[&str]) -> std::process::Output {
    doorward()
        .current_dir(place.path(""))
        .arg("client")
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn the_client_passes_fails_and_reports_what_is_not_there() {
    let place = Place::demo();
    let server = place.start();
    let (tls, plain) = (server.tls().to_string(), server.plain().to_string());
    let over_tls = [
        "--server",
        &tls,
        "--ca",
        "ca.pem",
        "--cert",
        "core1.pem",
        "--key",
        "core1.key",
        "--server-name",
        "aaa1.doorward.test",
    ];
    let over_plain = [
        "--server",
        &plain,
        "--plain",
        "--secret",
        "file:old-sw7.secret",
    ];
    for (transport, kind) in [(&over_tls[..], "tls"), (&over_plain[..], "plain")] {
        let run = |action: &str, more: &[&str]| {
            let arguments: Vec<&str> = [action]
                .into_iter()
                .chain(transport.iter().copied())
                .chain(["--user", "alice", "--json"])
                .chain(more.iter().copied())
                .collect();
            let output = client(&place, &arguments);
            let json: serde_json::Value = serde_json::from_str(&stdout(&output))
                .unwrap_or_else(|_| panic!("{kind} {action} {more:?}: {output:?}"));
            (code(&output), json)
        };
        for method in ["pap", "ascii"] {
            let (exit, json) = run(
                "authenticate",
                &["--type", method, "--password", "file:alice.password"],
            );
            assert_eq!(
                (exit, &json["result"]),
                (0, &"pass".into()),
                "{kind} {method} {json}"
            );
            assert_eq!(json["tls"].is_object(), kind == "tls", "{json}");
            let (exit, json) = run(
                "authenticate",
                &["--type", method, "--password", "file:bob.password"],
            );
            assert_eq!(
                (exit, &json["result"]),
                (2, &"fail".into()),
                "{kind} {method} {json}"
            );
        }
        let (exit, json) = run("authorize", &[]);
        assert_eq!((exit, &json["result"]), (0, &"pass".into()), "{json}");
        assert!(
            json["args"]
                .as_array()
                .unwrap()
                .contains(&"priv-lvl=1".into()),
            "{json}"
        );
        assert_eq!(run("authorize", &["show", "version"]).0, 0);
        assert_eq!(run("authorize", &["reload"]).0, 2);
        assert_eq!(run("account", &["--start", "show", "version"]).0, 0);
    }
    let mut wrong_name = over_tls;
    wrong_name[9] = "another.doorward.test";
    for transport in [
        &wrong_name[..],
        &[
            "--server",
            "127.0.0.1:1",
            "--plain",
            "--secret",
            "file:old-sw7.secret",
        ],
    ] {
        let arguments: Vec<&str> = ["authenticate"]
            .into_iter()
            .chain(transport.iter().copied())
            .chain([
                "--user",
                "alice",
                "--password",
                "file:alice.password",
                "--json",
            ])
            .collect();
        let output = client(&place, &arguments);
        assert_eq!(code(&output), 3, "{output:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&stdout(&output)).unwrap()["result"],
            "error"
        );
    }
}

#[test]
fn the_demo_proves_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo");
    // A second run uses the folder again, with its keys.
    let mut keys = Vec::new();
    for _ in 0..2 {
        let output = doorward()
            .args(["demo", "--once", "--dir"])
            .arg(&demo)
            .output()
            .unwrap();
        let text = stdout(&output);
        assert_eq!(code(&output), 0, "{text}\n{}", stderr(&output));
        for line in [
            "TLS",
            "plain",
            "RadSec",
            "TLS-PSK",
            "DTLS",
            "DTLS-PSK",
            "UDP",
            "denied",
            "acct search",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(!text.contains("FAILED"), "{text}");
        assert!(text.contains("All 39 lines passed."), "{text}");
        for file in [
            "ready.json",
            "ca.pem",
            "server.pem",
            "server.key",
            "core1.pem",
            "core1.key",
            "psk.txt",
            "doorward.toml",
        ] {
            assert!(demo.join(file).exists(), "{file}");
        }
        let key = std::fs::read_to_string(demo.join("lab-pe1.psk")).unwrap();
        let told = format!("identity lab-pe1.doorward.test\nkey {key}");
        let read = std::fs::read_to_string(demo.join("psk.txt")).unwrap();
        assert_eq!(read, told);
        keys.push(read);
    }
    assert_eq!(keys[0], keys[1]);
    std::fs::write(folder.path().join("something"), "else").unwrap();
    let output = doorward()
        .args(["demo", "--once", "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(
        code(&output),
        1,
        "a folder with other things in it is not touched"
    );
}

/// As one of a version that knew no DTLS: the configuration is kept, as everything in the folder, and cannot be tested.
#[test]
fn a_demo_of_another_version_says_what_to_do() {
    let place = Place::with(&[("protocol = \"radius-dtls\" ", "protocol = \"radius-tls\" ")]);
    let output = doorward()
        .args(["demo", "--once", "--dir"])
        .arg(place.path(""))
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", stdout(&output));
    let said = stderr(&output);
    for wanted in ["radius-dtls", "another version", "--dir"] {
        assert!(said.contains(wanted), "{said}");
    }
}

/// Who is not in the file is for others to judge, where a route says so.
#[test]
fn explain_names_the_pool_and_the_route_of_users_from_elsewhere() {
    let place = Place::demo();
    place.edit(&[(
        "version = 1",
        "version = 1\n[[pool]]\nname = \"home\"\nservers = [\"radius-tls://home.example.org\"]\n[[route]]\nrealm = \"example.org\"\npool = \"home\"\n",
    )]);
    let ask = |user: &str, more: &[&str]| {
        let arguments = [&["explain", user, "core1"], more].concat();
        place.ask(&arguments)
    };
    let radius = ["--protocol", "radius"];
    let output = ask("bob@Example.ORG", &radius);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(
        text.contains("forward: bob@Example.ORG is forwarded to the pool home (radius-tls://home.example.org:2083)")
            && text.contains("doorward.toml:8:9")
            && text.contains("[[route]] realm = \"example.org\""),
        "{text}"
    );
    let output = ask("bob@example.org", &["--protocol", "radius", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(object["decision"], "forward");
    assert_eq!(object["pool"], "home");
    assert_eq!(object["servers"][0], "radius-tls://home.example.org:2083");
    assert_eq!(object["route"]["line"], 8);
    // Another realm, TACACS+, and a user of the file are judged here.
    assert_eq!(code(&ask("bob@example.net", &radius)), 2);
    assert_eq!(code(&ask("bob@example.org", &["show version"])), 2);
    assert!(stdout(&ask("alice", &radius)).starts_with("permit"));
}
