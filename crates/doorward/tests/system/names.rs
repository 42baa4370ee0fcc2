//! User names in every spelling and every disguise (RFC 8907 section 3.7, RFC 8265).

use serde_json::Value;

use crate::harness::{Place, code, doorward, stderr, stdout};
use crate::sessions::{
    ACCT_ERROR, AUTHOR_FAIL, FAIL, GETPASS, GETUSER, PASS, PASS_ADD, SUCCESS, everywhere,
};
use crate::wire::{Peer, acct, answer, ascii, author, pap, start};

const SHOW: [&str; 3] = ["service=shell", "cmd=show", "cmd-arg=version"];

/// The demo with Jörg, whose name has an accent.
fn place() -> Place {
    Place::with(&[
        (
            "[user.bob]",
            "[user.\"J\u{f6}rg\"]\npassword = \"file:alice.hash\"\ngroups = [\"noc\"]\n\n[user.bob]",
        ),
        (
            "[[accounting]]",
            "[audit]\ndecisions = \"all\"\n\n[[accounting]]",
        ),
    ])
}

fn rows(place: &Place, arguments: &[&str]) -> Vec<Value> {
    stdout(&place.ask(arguments))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// proves: TAC-3.7-1
#[test]
fn every_spelling_of_a_name_is_one_user_everywhere() {
    let place = place();
    let server = place.start();
    let password = place.text("alice.password");
    let spellings = ["J\u{f6}rg", "Jo\u{308}rg", "\u{ff2a}\u{f6}rg"];
    everywhere(&place, &server, |connect, kind| {
        assert_eq!(
            connect().ask(pap(1, "\u{ff41}lice", &password)).body[0],
            PASS,
            "{kind}"
        );
        assert_eq!(
            connect().ask(pap(1, "Alice", &password)).body[0],
            FAIL,
            "{kind}"
        );
        for name in spellings {
            assert_eq!(
                connect().ask(pap(1, name, &password)).body[0],
                PASS,
                "{kind} {name}"
            );
            let mut peer = connect();
            assert_eq!(peer.ask(ascii(1, "", "")).body[0], GETUSER);
            assert_eq!(peer.ask(answer(1, 3, name)).body[0], GETPASS);
            assert_eq!(
                peer.ask(answer(1, 5, &password)).body[0],
                PASS,
                "{kind} {name}"
            );
            assert_eq!(
                connect().ask(author(1, name, &SHOW)).body[0],
                PASS_ADD,
                "{kind} {name}"
            );
            let record = acct(1, 4, name, &["task_id=1", "service=shell", "cmd=show"]);
            assert_eq!(connect().ask(record).body[4], SUCCESS, "{kind} {name}");
        }
    });
    for name in spellings {
        let found = rows(&place, &["acct", "search", "--json", "--user", name]);
        assert_eq!(found.len(), 6, "{name}");
        assert_eq!(found[0]["user"], "J\u{f6}rg");
        let found = rows(&place, &["audit", "search", "--json", "--user", name]);
        assert_eq!(found.len(), 18, "{name}");
        assert_eq!(
            code(&place.ask(&["explain", name, "core1", "show version"])),
            0
        );
    }
}

/// What no name may be never passes, reaches nobody, and is shown in no form that does something.
/// proves: TAC-3.7-2
#[test]
fn what_is_no_name_is_refused_and_shown_escaped() {
    let place = place();
    let mut server = place.start();
    let password = place.text("alice.password");
    let names: [&[u8]; 10] = [
        b"alice\0",
        b"a b",
        "alice\u{2028}".as_bytes(),
        "\u{5d0}alice".as_bytes(),
        "ali\u{202e}ce".as_bytes(),
        "ali\u{200b}ce".as_bytes(),
        b"alice\x1b[2J",
        b"alice\r\nuser=bob",
        b"al\xffice",
        b"\xc0\x80",
    ];
    everywhere(&place, &server, |connect, kind| {
        for name in names {
            let data = password.as_bytes();
            let reply = connect().ask(start([1, 1, 2, 1], 1, name, data).version(0xc1));
            assert_eq!(reply.body[0], FAIL, "{kind} {name:?}");
            let reply = connect().ask(start([1, 1, 1, 1], 1, name, b""));
            assert_eq!(reply.body[0], FAIL, "{kind} {name:?}");
            let lossy = String::from_utf8_lossy(name).into_owned();
            if lossy.as_bytes() == name {
                assert_eq!(
                    connect().ask(author(1, &lossy, &SHOW)).body[0],
                    AUTHOR_FAIL,
                    "{lossy:?}"
                );
                assert_eq!(
                    connect().ask(acct(1, 2, &lossy, &["task_id=1"])).body[4],
                    ACCT_ERROR
                );
            }
        }
        assert_eq!(
            connect().ask(pap(2, "alice", &password)).body[0],
            PASS,
            "{kind}"
        );
    });
    server.wait_for_logs(&["user-name-invalid"], 20);
    let (_, log) = server.stop();
    let text = stdout(&place.ask(&["audit", "search", "--outcome", "fail"]));
    let json = stdout(&place.ask(&["audit", "search", "--outcome", "fail", "--json"]));
    for output in [&log, &text, &json] {
        assert!(output.contains("alice"));
        for line in output.lines() {
            let bad = |char: char| {
                char.is_control() || matches!(char, '\u{2028}' | '\u{202e}' | '\u{200b}')
            };
            assert!(!line.contains(bad), "{line:?}");
        }
    }
    assert!(!text.lines().any(|line| line.starts_with("user=bob")));
    assert_eq!(code(&place.ask(&["acct", "search"])), 0);
}

/// proves: D05-3.7-5
#[test]
fn another_encoding_is_told_of() {
    let place = place();
    let mut server = place.start();
    let latin = b"J\xf6rg";
    let reply = Peer::plain(server.plain(), &place).ask(start([1, 1, 1, 1], 1, latin, b""));
    assert_eq!(reply.body[0], FAIL);
    let line = server.wait_for_log(&["name-encoding"]);
    assert!(line.contains("UTF-8") && line.contains("old-sw7"), "{line}");
    server.wait_for("doorward_refused_total{reason=\"name-encoding\"}", 1.0);
}

/// In the old dialect a name is its octets.
/// proves: D05-3.7-2
#[test]
fn the_old_dialect_maps_no_name() {
    let place = place();
    place.edit(&[(
        "tags          = [\"role:access\"]",
        "tags          = [\"role:access\"]\ndialect       = \"draft-05\"",
    )]);
    let server = place.start();
    let password = place.text("alice.password");
    let first = |name: &str| {
        Peer::plain(server.plain(), &place)
            .ask(pap(1, name, &password))
            .body[0]
    };
    assert_eq!(first("J\u{f6}rg"), PASS);
    assert_eq!(first("Jo\u{308}rg"), FAIL);
    assert_eq!(first("\u{ff41}lice"), FAIL);
    // Over TLS the device speaks RFC 9887, which knows RFC 8907 only.
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    assert_eq!(peer.ask(pap(1, "Jo\u{308}rg", &password)).body[0], PASS);
}

/// proves: TAC-3.7-3, D05-3.7-3
#[test]
fn names_of_the_file_stand_in_the_form_that_is_compared() {
    let place = place();
    for (name, help) in [
        ("Jo\u{308}rg", "write it as `J\u{f6}rg`"),
        ("\u{ff41}lice", "write it as `alice`"),
        ("a b", "no login could have it"),
    ] {
        let text = std::fs::read_to_string(place.config()).unwrap();
        let file = place.path("changed.toml");
        let more = format!("\n[user.\"{name}\"]\ngroups = [\"noc\"]\n");
        std::fs::write(&file, format!("{text}{more}")).unwrap();
        let check = doorward().arg("check").arg(&file).output().unwrap();
        assert_eq!(code(&check), 1);
        assert!(stderr(&check).contains(help), "{}", stderr(&check));
        std::fs::write(
            &file,
            text.replace(
                "when = { group = \"noc\" }",
                &format!("when = {{ user = \"{name}\" }}"),
            ),
        )
        .unwrap();
        let check = doorward().arg("check").arg(&file).output().unwrap();
        assert!(stderr(&check).contains(help), "{}", stderr(&check));
    }
    std::fs::write(
        place.path("latin.toml"),
        b"version = 1\n[user.\"J\xf6rg\"]\n",
    )
    .unwrap();
    let check = doorward()
        .arg("check")
        .arg(place.path("latin.toml"))
        .output()
        .unwrap();
    assert_eq!(code(&check), 1);
    assert!(stderr(&check).contains("UTF-8"), "{}", stderr(&check));
}
