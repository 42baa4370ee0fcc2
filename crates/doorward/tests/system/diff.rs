//! `doorward diff`, over a journal that a server wrote.

use std::process::Output;

use serde_json::Value;

use crate::harness::{Place, code, doorward, stderr, stdout};
use crate::sessions::{AUTHOR_FAIL, SUCCESS};
use crate::wire::{Peer, acct, author};

/// The demo's place with records of what alice and bob did, and its server stopped again.
fn worked_on() -> Place {
    let place = Place::demo();
    let server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let mut session = 0;
    let mut stopped = |user: &str, arguments: &[&str]| {
        session += 1;
        let arguments: Vec<&str> = ["task_id=1", "service=shell"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let reply = peer.ask(acct(session, 4, user, &arguments).flags(4));
        assert_eq!(reply.body[4], SUCCESS);
    };
    stopped("alice", &["cmd=show version <cr>"]);
    stopped(
        "alice",
        &["cmd=show", "cmd-arg=interface", "cmd-arg=Te0/0/1"],
    );
    stopped("alice", &["cmd=show interface Te0/0/1 <cr>"]);
    stopped("bob", &["cmd=write memory"]);
    let denied = peer.ask(author(9, "alice", &["service=shell", "cmd=clear"]).flags(4));
    assert_eq!(denied.body[0], AUTHOR_FAIL);
    let (status, log) = server.stop();
    assert_eq!(status, Some(0), "{log}");
    place
}

/// The demo's configuration beside it, changed.
fn changed(place: &Place, name: &str, replacements: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(place.config()).unwrap();
    for (old, new) in replacements {
        assert!(
            text.contains(old),
            "the demo's configuration has no {old:?}"
        );
        text = text.replace(old, new);
    }
    std::fs::write(place.path(name), text).unwrap();
}

fn diff(place: &Place, new: &str, more: &[&str]) -> Output {
    doorward()
        .current_dir(place.path(""))
        .args(["diff", "doorward.toml", new])
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn what_changes_for_recorded_commands_is_shown_with_both_lines() {
    let place = worked_on();
    changed(
        &place,
        "new.toml",
        &[
            (
                "permit show|ping|traceroute **",
                "permit show version\npermit ping|traceroute **\npermit clear",
            ),
            ("shell = { priv_lvl = 15 }", "shell = { priv_lvl = 14 }"),
            ("expect = { priv_lvl = 15 }", "expect = { priv_lvl = 14 }"),
        ],
    );
    let output = diff(&place, "new.toml", &["--json"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let find = |user: &str, what: &str| {
        let found = lines
            .iter()
            .find(|line| line["user"] == user && line["what"] == what);
        found.unwrap_or_else(|| panic!("{user} {what}: {lines:?}"))
    };
    assert_eq!(lines.len(), 3, "{lines:?}");
    let refused = &lines[0];
    assert_eq!(refused["command"], "clear");
    assert_eq!(
        (&refused["old"], &refused["new"]),
        (&"deny".into(), &"permit".into())
    );
    let command = &lines[1];
    assert_eq!(command["device"], "core1");
    assert_eq!(command["command"], "show interface Te0/0/1");
    assert_eq!(
        (&command["old"], &command["new"]),
        (&"permit".into(), &"deny".into())
    );
    assert_eq!(
        command["records"], 2,
        "typed once in one argument, once in three"
    );
    assert_eq!(
        command["old_rule"]["text"],
        "permit show|ping|traceroute **"
    );
    assert_eq!(command["rule"]["file"], "new.toml");
    assert_eq!(
        command["rule"]["text"],
        "[[rule]] the NOC watches everything"
    );
    assert_eq!(command["reason"], "no-command-rule");
    let level = find("bob", "login");
    assert_eq!(
        (&level["old"], &level["new"]),
        (&"permit".into(), &"permit".into())
    );
    assert_eq!(level["old_grant"][0], "priv-lvl=15");
    assert_eq!(level["grant"][0], "priv-lvl=14");
    let output = diff(&place, "new.toml", &[]);
    assert_eq!(code(&output), 2);
    let text = stdout(&output);
    for wanted in [
        "3 results change: 1 permit -> deny, 1 deny -> permit, 1 with another grant",
        "alice on core1\n  deny -> permit    `clear`\n",
        "recorded 2 times, last 2",
        "4 records and 1 decision since 2",
        "grants priv-lvl=14",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
}

#[test]
fn what_is_too_old_is_not_compared_and_the_same_is_zero() {
    let place = worked_on();
    changed(
        &place,
        "new.toml",
        &[(
            "permit show|ping|traceroute **",
            "permit show version\npermit ping|traceroute **",
        )],
    );
    let output = diff(&place, "new.toml", &["--since", "2999-01-01"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(
        stdout(&output)
            .starts_with("no result changes\ncompared 6 tests, 0 records and 0 decisions since 2"),
        "{}",
        stdout(&output)
    );
    let output = diff(&place, "doorward.toml", &[]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert!(stdout(&output).contains("compared 6 tests, 4 records"));
    let output = diff(&place, "doorward.toml", &["--json"]);
    assert_eq!((code(&output), stdout(&output)), (0, String::new()));
}

#[test]
fn without_a_journal_the_tests_are_compared_and_a_note_says_so() {
    let place = Place::demo();
    changed(&place, "new.toml", &[("deny   reload **\n", "")]);
    let output = diff(&place, "new.toml", &[]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(
        stdout(&output).contains("bob on core1\n  deny -> permit    `reload in 5`\n"),
        "{}",
        stdout(&output)
    );
    assert!(
        stderr(&output).starts_with("note: there is no journal, so that only"),
        "{}",
        stderr(&output)
    );
    // NEW need not pass its own tests to be compared, but both have to load.
    changed(
        &place,
        "broken.toml",
        &[("role = \"watcher\"", "role = \"wacher\"")],
    );
    let output = diff(&place, "broken.toml", &[]);
    assert_eq!((code(&output), stdout(&output)), (1, String::new()));
    assert!(
        stderr(&output).contains("there is no role `wacher`")
            && stderr(&output).contains("broken.toml cannot be compared"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_journal_that_cannot_be_read_is_a_fault_and_the_other_one_helps_where_one_is_missing() {
    let place = worked_on();
    changed(
        &place,
        "new.toml",
        &[("journal = \"doorward.db\"", "journal = \"elsewhere.db\"")],
    );
    // The records of NEW stand in for those that OLD does not have.
    let back = doorward()
        .current_dir(place.path(""))
        .args(["diff", "new.toml", "doorward.toml"])
        .output()
        .unwrap();
    assert_eq!(code(&back), 0, "{}", stderr(&back));
    assert!(stdout(&back).contains("4 records"), "{}", stdout(&back));
    std::fs::write(
        place.path("elsewhere.db"),
        "no journal at all, but long enough",
    )
    .unwrap();
    let back = doorward()
        .current_dir(place.path(""))
        .args(["diff", "new.toml", "doorward.toml"])
        .output()
        .unwrap();
    assert_eq!(code(&back), 1, "{}", stdout(&back));
    let text = stderr(&back);
    assert!(
        text.starts_with("error: ") && text.contains("elsewhere.db") && text.contains("help: "),
        "{text}"
    );
}
