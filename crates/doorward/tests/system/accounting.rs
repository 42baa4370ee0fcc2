//! The table of flags (RFC 8907 section 7.2) over the wire, and tasks without an end.

use serde_json::Value;

use crate::harness::{Place, code, stderr, stdout};
use crate::sessions::{ACCT_ERROR, SUCCESS};
use crate::wire::{Peer, acct};

fn rows(place: &Place, more: &[&str]) -> Vec<Value> {
    let output = place.ask(&[&["acct", "search", "--json"], more].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Bits without a meaning are ignored; the eight combinations of the others are judged by the table.
/// proves: TAC-7.2-7, TAC-7.2-12, TAC-7.2-13, D05-6.2-4
#[test]
fn every_octet_of_flags_is_judged_by_the_table() {
    for dialect in ["rfc8907", "draft-05"] {
        let place = Place::with(&[(
            "tags          = [\"role:access\"]",
            &format!("tags          = [\"role:access\"]\ndialect       = \"{dialect}\""),
        )]);
        let server = place.start();
        let mut peer = Peer::plain(server.plain(), &place);
        for flags in 0..=255 {
            let task = format!("task_id={flags}");
            let arguments = [task.as_str(), "service=shell", "elapsed_time=5"];
            let reply = peer.ask(acct(u32::from(flags), flags, "alice", &arguments).flags(4));
            let valid = matches!(flags & 0x0e, 2 | 4 | 8 | 10);
            let wanted = if valid { SUCCESS } else { ACCT_ERROR };
            assert_eq!(reply.body[4], wanted, "{dialect} {flags:#04x}");
        }
        let rows = rows(&place, &[]);
        assert_eq!(rows.len(), 128, "half of the combinations");
        for row in rows {
            let arguments = row["args"].as_array().unwrap();
            let task = arguments[0]
                .as_str()
                .unwrap()
                .strip_prefix("task_id=")
                .unwrap();
            let (kind, count) = match task.parse::<u8>().unwrap() & 0x0e {
                2 => ("start", 3),
                4 => ("stop", 3),
                10 => ("update", 3),
                // What a watchdog alone carries is to be ignored, but not which task it is of; the older dialect keeps it.
                8 if dialect == "rfc8907" => ("watchdog", 1),
                8 => ("watchdog", 3),
                other => panic!("{other:#04x} was recorded"),
            };
            assert_eq!(row["kind"], kind, "{row}");
            assert_eq!(arguments.len(), count, "{row}");
        }
    }
}

#[test]
fn a_task_without_its_stop_is_found() {
    let place = Place::demo();
    let server = place.start();
    let mut plain = Peer::plain(server.plain(), &place);
    let mut tls = Peer::tls(server.tls(), &place, "core1").unwrap();
    let record = |peer: &mut Peer, flag, kind, user: &str, arguments: &[&str]| {
        let reply = peer.ask(acct(1, kind, user, arguments).flags(flag));
        assert_eq!(reply.body[4], SUCCESS);
    };
    let shell = ["task_id=1", "service=shell"];
    let copy = ["task_id=2", "service=shell", "cmd=copy", "cmd-arg=flash:"];
    record(&mut plain, 4, 2, "alice", &shell);
    record(&mut tls, 5, 2, "bob", &shell);
    record(&mut plain, 4, 2, "alice", &copy);
    record(&mut plain, 4, 8, "alice", &["task_id=2"]);
    record(&mut plain, 4, 4, "alice", &["task_id=1", "elapsed_time=60"]);

    let open = rows(&place, &["--open"]);
    assert_eq!(open.len(), 2, "{open:#?}");
    assert_eq!(
        (&open[0]["device"], &open[0]["user"]),
        (&"core1".into(), &"bob".into())
    );
    assert_eq!(
        (&open[1]["kind"], &open[1]["command"]),
        (&"start".into(), &"copy flash:".into())
    );
    assert_eq!(open[1]["open_since"], open[1]["received"]);
    let time = |name: &str| {
        open[1][name]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    assert!(
        time("last_seen") > time("open_since"),
        "the watchdog was later"
    );
    assert_eq!(rows(&place, &["--open", "--user", "bob"]).len(), 1);
    assert_eq!(rows(&place, &["--open", "--cmd", "copy*"]).len(), 1);
    assert_eq!(rows(&place, &["--open", "--device", "core1"]).len(), 1);
    let text = stdout(&place.ask(&["acct", "search", "--open"]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[2].contains("copy flash:"), "{text}");
    assert!(
        lines[3].starts_with("    open for ") && lines[3].ends_with(" ago"),
        "{text}"
    );
    record(&mut plain, 4, 4, "", &["task_id=2"]);
    record(&mut tls, 5, 4, "bob", &["task_id=1"]);
    let none = place.ask(&["acct", "search", "--open"]);
    assert_eq!((code(&none), stdout(&none)), (0, String::new()));
    assert_eq!(
        code(&place.ask(&["acct", "search", "--open", "--kind", "stop"])),
        64
    );
}
