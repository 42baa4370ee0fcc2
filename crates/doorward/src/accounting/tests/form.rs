//! The stored form, the escapes, JSON and text, patterns and ages.

use jiff::Zoned;
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use super::super::escape::{Blank, printable, push_json};
use super::*;

fn json(record: &Record) -> String {
    let mut out = Vec::new();
    write_json(&mut out, &EntryView::Accounting(record.view().unwrap()));
    String::from_utf8(out).unwrap()
}

fn text(record: &Record) -> String {
    let mut out = Vec::new();
    let zone = TimeZone::fixed(Offset::constant(1));
    TextForm::new(zone).write(&mut out, &EntryView::Accounting(record.view().unwrap()));
    String::from_utf8(out).unwrap()
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[ -~]{0,40}".prop_map(String::into_bytes),
        "(\\\\x[0-9a-f]{0,3}|[\\\\x9\u{1b}\u{202e}])*".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn what_is_stored_is_what_was_given(
        user in octets(),
        port in octets(),
        remote in octets(),
        command in prop::collection::vec(any::<u8>(), 0..70_000),
        arguments in prop::collection::vec(octets(), 0..255),
        session: u32,
        level: u8,
    ) {
        let fields = Fields {
            user: &user,
            port: &port,
            remote: &remote,
            command: &command,
            session,
            privilege_level: level,
            ..fields()
        };
        let record = Record::new(&fields, arguments.iter().map(Vec::as_slice));
        let copy = Record::from_row(record.row()).unwrap();
        let view = copy.view().unwrap();
        prop_assert_eq!(view.fields, fields);
        prop_assert_eq!(view.arguments.collect::<Vec<_>>(), arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn a_row_of_any_octets_is_read_or_refused(row in prop::collection::vec(any::<u8>(), 0..200), cut: usize, flip: (usize, u8)) {
        let _ = View::parse(&row);
        let mut row = numbered(1).row().to_vec();
        prop_assert_eq!(View::parse(&row[..cut % row.len()]).err(), Some(MalformedRecord));
        let place = flip.0 % row.len();
        row[place] ^= flip.1;
        if let Ok(view) = View::parse(&row) {
            let _ = view.arguments.count();
        }
    }

    #[test]
    fn escapes_are_unambiguous_and_harmless(octets in octets()) {
        prop_assert_eq!(unescape(&escape(&octets)), octets.clone());
        for blank in [Blank::Shown, Blank::Hidden] {
            let shown = printable(&octets, blank);
            prop_assert_eq!(unescape(&shown), octets.clone());
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(blank == Blank::Shown || !shown.contains(' '));
        }
        let mut out = Vec::new();
        push_json(&mut out, &octets);
        let out = String::from_utf8(out).unwrap();
        prop_assert!(!out.chars().any(char::is_control));
        let read: String = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(unescape(&read), octets);
    }

    #[test]
    fn a_pattern_matches_like_the_regular_expression(pattern in "[ab*?]{0,8}", line in "[ab\u{e4}]{0,10}") {
        let any = |character| match character {
            '*' => "(?s:.*)".to_owned(),
            '?' => "(?s:.)".to_owned(),
            letter => letter.to_string(),
        };
        let expression = format!("^{}$", pattern.chars().map(any).collect::<String>());
        let expected = regex::Regex::new(&expression).unwrap().is_match(&line);
        prop_assert_eq!(CommandGlob::new(&pattern).matches(line.as_bytes()), expected);
    }
}

/// proves: TAC-7.1-3
#[test]
fn json_has_every_field_of_the_request() {
    let record = Record::new(
        &fields(),
        [
            &b"task_id=1"[..],
            b"service=shell",
            b"cmd=show",
            b"cmd-arg=version",
        ],
    );
    let line = json(&record);
    let id = record.view().unwrap().id.to_string();
    assert_eq!(
        line,
        format!(
            concat!(
                r#"{{"id":"{}","received":"2026-11-20T10:00:00.25Z","device":"core1","user":"alice","port":"tty1","#,
                r#""remote":"192.0.2.7","kind":"stop","service":"shell","command":"show version","#,
                r#""args":["task_id=1","service=shell","cmd=show","cmd-arg=version"],"protocol":"tacacs","#,
                r#""transport":"tls","listener":"tacacs-tls","session":3735928559,"priv_lvl":15,"#,
                r#""authen_method":6,"authen_type":1,"authen_service":1}}"#,
                "\n"
            ),
            id
        )
    );
    let bare = Record::new(
        &Fields {
            service: b"",
            command: b"",
            ..fields()
        },
        [],
    );
    let parsed: serde_json::Value = serde_json::from_str(&json(&bare)).unwrap();
    assert_eq!(parsed["args"], serde_json::json!([]));
    assert_eq!(parsed["command"], "");
}

/// proves: TAC-10.4-2, TAC-8.3-10
#[test]
fn hostile_contents_stay_one_record() {
    let hostile: [&[u8]; 8] = [
        b"x\n2026-11-20 11:00:00+01:00  core1  alice  tty1  -  stop  shell  reload",
        b"x\"}\n{\"id\":\"forged\"",
        b"\x1b[2J\x1b]0;title\x07",
        b"nul\0and\r\rreturn\x08\x7f",
        b"\xff\xfe invalid \xc2",
        "csi \u{9b}31m, bidi \u{202e}, line \u{2028}".as_bytes(),
        br"\xff \n \u0000 \\",
        b"a  b\tc",
    ];
    for octets in hostile {
        let argument = [&b"err_msg="[..], octets].concat();
        let fields = Fields {
            user: octets,
            port: octets,
            remote: octets,
            service: octets,
            command: octets,
            ..fields()
        };
        let record = Record::new(&fields, [argument.as_slice()]);
        for line in [json(&record), text(&record)] {
            let inner = line.strip_suffix('\n').unwrap();
            assert!(
                !inner
                    .chars()
                    .any(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)),
                "{inner:?}"
            );
        }
        let parsed: serde_json::Value = serde_json::from_str(&json(&record)).unwrap();
        for name in ["user", "port", "remote", "service", "command"] {
            assert_eq!(unescape(parsed[name].as_str().unwrap()), octets);
        }
        assert_eq!(unescape(parsed["args"][0].as_str().unwrap()), argument);
        // In the text no field but the command can hold a blank, so columns cannot be forged either.
        assert_eq!(
            text(&record)
                .split("  ")
                .filter(|part| part.contains("192.0.2.7"))
                .count(),
            0
        );
    }
}

#[test]
fn ordinary_text_is_shown_as_it_is() {
    for ordinary in ["show version", r"CORP\alice", "J\u{fc}rgen", r"\d+", ""] {
        assert_eq!(escape(ordinary.as_bytes()), ordinary);
        assert_eq!(printable(ordinary.as_bytes(), Blank::Shown), ordinary);
    }
    assert_eq!(escape(b"a\xffb"), r"a\xffb");
    assert_eq!(escape(br"a\xffb"), r"a\x5cxffb");
}

#[test]
fn text_lines_are_aligned_and_local() {
    let mut form = TextForm::new(TimeZone::fixed(Offset::constant(1)));
    let mut out = Vec::new();
    let empty = Fields {
        user: b"",
        service: b"",
        command: b"",
        ..fields()
    };
    let bare = Record::new(&empty, [&b"task_id=7"[..], b"reason=two words"]);
    for record in [numbered(1), bare] {
        form.write(&mut out, &EntryView::Accounting(record.view().unwrap()));
    }
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "2026-11-20 11:00:00+01:00  core1       alice     tty1    192.0.2.7     stop   shell  show version\n\
         2026-11-20 11:00:00+01:00  core1       -         tty1    192.0.2.7     stop   -      task_id=7 reason=two\\x20words\n"
    );
}

/// proves: TAC-8.3-5
#[test]
fn a_task_id_of_any_form_is_kept_as_it_is() {
    for task in [
        "x y/z".to_owned(),
        "t".repeat(240),
        String::new(),
        "\u{1f600}*=".to_owned(),
    ] {
        let place = Place::new();
        let journal = place.journal();
        pollster(journal.submit(vec![numbered(&task)])).unwrap();
        assert_eq!(place.tasks(), [task]);
    }
}

fn pollster<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn ids_are_unique_and_sort_by_time() {
    let early = Fields {
        received: at("2026-11-20T10:00:00Z"),
        ..fields()
    };
    let late = Fields {
        received: at("2026-11-20T10:00:00.001Z"),
        ..fields()
    };
    let id = |fields: &Fields<'_>| of_task(fields, 0).view().unwrap().id;
    let mut ids: Vec<_> = (0..1000).map(|_| id(&early)).collect();
    let latest = id(&late);
    assert!(ids.iter().all(|id| *id < latest));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1000);
    // Version 7 and the variant of RFC 9562.
    let text = latest.to_string();
    assert_eq!((text.len(), &text[14..15]), (36, "7"));
    assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
}

#[test]
fn the_command_line_is_cmd_and_its_arguments() {
    let line = |arguments: &[&str]| {
        String::from_utf8(command_line(
            arguments.iter().map(|argument| argument.as_bytes()),
        ))
        .unwrap()
    };
    assert_eq!(
        line(&["task_id=1", "cmd=show", "cmd-arg=version", "cmd-arg=<cr>"]),
        "show version"
    );
    assert_eq!(line(&["cmd*show", "cmd-arg*run"]), "show run");
    assert_eq!(line(&["cmd=show ip route <cr>"]), "show ip route");
    assert_eq!(
        line(&["cmd=show", "cmd-arg=", "cmd-arg=x<cr>"]),
        "show x<cr>"
    );
    assert_eq!(line(&["service=shell", "cmd=", "cmd"]), "");
    assert_eq!(line(&["cmd=<cr>"]), "");
}

#[test]
fn a_pattern_is_for_the_whole_line() {
    let matches = |pattern: &str, line: &str| CommandGlob::new(pattern).matches(line.as_bytes());
    assert!(matches("show *", "show ip route"));
    assert!(!matches("show *", "no show ip route"));
    assert!(!matches("show", "show ip route"));
    assert!(matches("*route", "show ip route"));
    assert!(matches("show ??? route", "show bgp route"));
    assert!(matches("*", ""));
    assert!(!matches("?", ""));
    assert!(CommandGlob::new("a?b").matches(b"a\xffb"));
    // No exponential time on the usual bait.
    assert!(!matches(
        &"*a".repeat(50),
        &"a".repeat(49)
            .repeat(20)
            .replace("aaaaaaaaaaaaaaaaaaaaaaaa", "b")
    ));
}

#[test]
fn since_takes_moments_dates_and_ages() {
    let now: Zoned = "2026-11-20T12:00:00+01:00[Europe/Amsterdam]"
        .parse()
        .unwrap();
    for (text, moment) in [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
        ("2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00Z"),
        ("2026-11-20", "2026-11-19T23:00:00Z"),
        ("2026-07-01T08:00", "2026-07-01T06:00:00Z"),
        ("90s", "2026-11-20T10:58:30Z"),
        ("30m", "2026-11-20T10:30:00Z"),
        ("2h", "2026-11-20T09:00:00Z"),
        ("7d", "2026-11-13T11:00:00Z"),
        ("2w", "2026-11-06T11:00:00Z"),
    ] {
        assert_eq!(parse_since(text, &now), Ok(at(moment)), "{text}");
    }
    for text in [
        "",
        "h",
        "-2h",
        "+2h",
        "2",
        "2y",
        "2 h",
        "99999999999999999d",
        "yesterday",
        "2026-13-01",
    ] {
        assert_eq!(parse_since(text, &now), Err(SinceError), "{text}");
    }
}
