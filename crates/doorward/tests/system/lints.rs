//! Findings on the command line, in the log and at a reload.

use std::process::Command;

use crate::harness::{PATIENCE, Place, code, doorward, stderr, stdout};

const ROLE: &str = "[role.spare]\nshell = { priv_lvl = 7 }\n\n[role.watcher]";
const ALLOW: &str = "[[allow]]\nlint = \"unused-role\"\non = \"role.spare\"\nreason = \"for the night shift, from May on\"\n\n[role.watcher]";

fn check(place: &Place, more: &[&str]) -> std::process::Output {
    let file = place.config();
    doorward()
        .arg("check")
        .args(more)
        .arg(file)
        .output()
        .unwrap()
}

#[test]
fn the_demo_has_no_finding() {
    let place = Place::demo();
    let output = check(&place, &["--strict"]);
    assert_eq!(code(&output), 0);
    // What is said of the user that runs the check is no finding about the file.
    assert!(!stderr(&output).contains("warning["), "{output:?}");
}

#[test]
fn warnings_fail_a_strict_check_unless_they_are_accepted_with_a_reason() {
    let place = Place::with(&[("[role.watcher]", ROLE)]);
    let output = check(&place, &[]);
    assert_eq!(code(&output), 0, "{output:?}");
    let text = stderr(&output);
    assert!(
        text.starts_with("warning[unused-role]: no rule gives the role `spare` to anybody\n"),
        "{text}"
    );
    assert!(text.contains(" = on: role.spare\n"), "{text}");
    let output = check(&place, &["--strict"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("--strict"), "{output:?}");

    place.edit(&[("[role.watcher]", ALLOW)]);
    let output = check(&place, &["--strict"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(!stderr(&output).contains("warning["), "{output:?}");
    let text = stdout(&output);
    assert!(
        text.ends_with("1 finding accepted by [[allow]]; -v lists them\n"),
        "{text}"
    );
    let text = stdout(&check(&place, &["-v"]));
    for part in [
        "unused-role: no rule gives the role `spare` to anybody",
        "why: for the night shift, from May on (",
    ] {
        assert!(text.contains(part), "{text}");
    }

    let wrong = "lint = \"unused-roles\"";
    place.edit(&[("lint = \"unused-role\"", wrong)]);
    let output = check(&place, &[]);
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).contains("did you mean `unused-role`?"),
        "{output:?}"
    );
}

/// The configuration's own figures follow it at a reload.
#[test]
fn findings_are_metrics_by_their_names() {
    let place = Place::with(&[("[role.watcher]", ROLE)]);
    let server = place.start();
    let metrics = server.ready["metrics"].as_str().unwrap().to_owned();
    let page = || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(&metrics).unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let unused = "doorward_configuration_warnings{lint=\"unused-role\"}";
    let accepted = "doorward_configuration_accepted_findings";
    let text = page();
    assert!(text.contains(&format!("{unused} 1\n")), "{text}");
    assert!(text.contains(&format!("{accepted} 0\n")), "{text}");
    place.edit(&[("[role.watcher]", ALLOW)]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    // A page that was dear to make is given for some moments more.
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut text = page();
    while !text.contains("doorward_configuration_generation 2\n") {
        assert!(std::time::Instant::now() < deadline, "{text}");
        text = page();
    }
    assert!(text.contains(&format!("{unused} 0\n")), "{text}");
    assert!(text.contains(&format!("{accepted} 1\n")), "{text}");
}

/// Who reloads every night reads what changed, and how much is as it was.
#[test]
fn a_reload_tells_what_is_new_and_counts_the_rest() {
    let place = Place::with(&[("[role.watcher]", ROLE)]);
    let mut server = place.start();
    server.wait_for_log(&["warning[unused-role]", "role `spare`"]);
    let reload = |place: &Place| {
        let output = place.ask(&["reload"]);
        assert_eq!(code(&output), 0, "{output:?}");
        stderr(&output)
    };
    // Other lines above it change nothing.
    place.edit(&[("[role.watcher]", "# moved\n# down\n[role.watcher]")]);
    let as_before = "1 warning is as before; `doorward check FILE` shows all\n";
    assert_eq!(reload(&place), as_before);

    let another = "[role.other]\nshell = { priv_lvl = 7 }\n\n[role.watcher]";
    place.edit(&[("[role.watcher]", another)]);
    let text = reload(&place);
    assert!(
        text.starts_with("warning[unused-role]: no rule gives the role `other`"),
        "{text}"
    );
    assert!(
        text.ends_with(as_before) && !text.contains("spare"),
        "{text}"
    );
    server.wait_for_log(&["warning[unused-role]", "role `other`"]);
    assert_eq!(
        reload(&place),
        "2 warnings are as before; `doorward check FILE` shows all\n"
    );
    let (_, log) = server.stop();
    assert_eq!(log.matches("role `spare`").count(), 1, "{log}");
    assert_eq!(log.matches("role `other`").count(), 1, "{log}");
}

/// Every address of a network namespace that has nothing but itself: the one place where a test may open a port to everybody.
/// proves: TAC-10.1-2, TAC-10.2-1, TAC-10.5-1, TAC-10.5-4
#[test]
fn a_start_with_a_plain_listener_for_everybody_warns_and_so_does_a_reload() {
    let alone = ["unshare", "--user", "--map-root-user", "--net"];
    let possible = Command::new(alone[0])
        .args(&alone[1..])
        .arg("true")
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("no network namespace can be had here: the warnings of a start are not shown");
        return;
    }
    // Without a loopback interface, 127.0.0.1 is not there.
    let place = Place::with(&[("\"127.0.0.1:0\"", "\"0.0.0.0:0\"")]);
    let mut server = place.start_through(&alone, "info");
    for (lint, text) in [
        ("plain-listener", "passwords, authorizations and accounting"),
        (
            "plain-listener",
            "the obfuscation of TACACS+ without TLS is no encryption",
        ),
        ("plain-everywhere", "open on every address of this machine"),
        ("plain-without-end", "is to stay for ever"),
        ("password-over-plain", "from old-sw7"),
        ("open-plain-listener", "any address may connect"),
    ] {
        let lint = format!("warning[{lint}]");
        let line = server.wait_for_log(&[&lint, text]);
        assert!(line.contains("\"level\":\"WARN\""), "{line}");
    }
    let another = "[[listen]]\nprotocol = \"tacacs\"\naddress = \"[::]:0\"\n\n[tls.default]";
    place.edit(&[("[tls.default]", another)]);
    let output = place.ask(&["reload"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let text = stderr(&output);
    for lint in ["plain-listener", "plain-everywhere", "plain-without-end"] {
        assert!(text.contains(&format!("warning[{lint}]")), "{text}");
    }
    server.wait_for_logs(&["warning[plain-everywhere]"], 2);
}
