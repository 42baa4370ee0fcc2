//! The form of messages.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::accounting::sink::message::Origin;
use crate::accounting::{DecisionRecord, EntryView};

const NO_LIMIT: usize = 1 << 20;

fn message(fields: &Fields<'_>, arguments: &[&[u8]], max: usize) -> String {
    let record = Record::new(fields, arguments.iter().copied());
    let mut out = b"before".to_vec();
    Origin::new(Facility::default(), "aaa1").write(
        &mut out,
        &EntryView::Accounting(record.view().unwrap()),
        max,
    );
    String::from_utf8(out.split_off(6)).unwrap()
}

/// The parts of a message by RFC 5424 section 6: PRI, then the fields of the header, structured data and MSG.
fn parts(message: &str) -> (u32, Vec<&str>, Value) {
    let (priority, rest) = message.strip_prefix('<').unwrap().split_once('>').unwrap();
    let fields: Vec<&str> = rest.splitn(8, ' ').collect();
    let [header @ .., text] = &fields[..] else {
        panic!("no fields in {message}");
    };
    assert_eq!(header.len(), 7, "{message}");
    assert_eq!((header[0], header[3], header[6]), ("1", "doorward", "-"));
    for (field, most) in [
        (header[2], 255),
        (header[3], 48),
        (header[4], 128),
        (header[5], 32),
    ] {
        assert!(!field.is_empty() && field.len() <= most, "{message}");
        assert!(
            field.bytes().all(|octet| octet.is_ascii_graphic()),
            "{message}"
        );
    }
    (
        priority.parse().unwrap(),
        header.to_vec(),
        serde_json::from_str(text).unwrap(),
    )
}

#[test]
fn a_message_has_the_record_as_json() {
    let text = message(&fields(), &[b"task_id=7", b"cmd=show"], NO_LIMIT);
    let (priority, header, json) = parts(&text);
    assert_eq!(priority, 10 * 8 + 6, "authpriv, informational");
    assert_eq!(header[4], std::process::id().to_string());
    assert_eq!(json["args"][1], "cmd=show");
    let id = json["id"].as_str().unwrap();
    let shown = text
        .replace(id, "ID")
        .replace(&format!(" {} ", std::process::id()), " PID ");
    insta::assert_snapshot!(shown);
}

#[test]
fn what_a_device_sent_breaks_no_message() {
    let hostile = Fields {
        kind: Kind::On,
        user: b"eve\n<0>1 - - - - - - forged",
        port: "\u{202e}\u{0}\u{7f}\u{85}".as_bytes(),
        remote: &[0xff, 0xfe, b'"', b'\\'],
        command: b"a\x1b[2Jb\tc",
        ..fields()
    };
    let text = message(&hostile, &[b"x=\r\n", b"\xc3"], NO_LIMIT);
    assert!(!text.chars().any(char::is_control), "{text:?}");
    let (priority, header, json) = parts(&text);
    assert_eq!((priority, header[5]), (10 * 8 + 5, "on"));
    assert_eq!(json["user"], "eve\n<0>1 - - - - - - forged");
    assert_eq!(json["remote"], r#"\xff\xfe"\"#);
}

#[test]
fn a_decision_has_its_kind_and_a_severity_by_its_outcome() {
    for (outcome, severity) in [
        ("permit", 6),
        ("pass", 6),
        ("deny", 5),
        ("fail", 5),
        ("error", 4),
    ] {
        let fields = DecisionFields {
            outcome,
            ..decision()
        };
        let row = DecisionRecord::new(&fields, [&b"service=shell"[..]]);
        let mut out = Vec::new();
        let origin = Origin::new(Facility::default(), "aaa1");
        origin.write(
            &mut out,
            &EntryView::Decision(row.view().unwrap()),
            NO_LIMIT,
        );
        let text = String::from_utf8(out).unwrap();
        let (priority, header, json) = parts(&text);
        assert_eq!((priority, header[5]), (80 + severity, "authorization"));
        assert_eq!(
            (&json["outcome"], &json["rule"]["line"]),
            (&outcome.into(), &7.into())
        );
    }
}

#[test]
fn the_name_of_the_host_stays_one_field() {
    for (name, shown) in [
        ("aaa 1", "aaa_1"),
        ("größe", "gr__e"),
        ("", "-"),
        (&"x".repeat(300), &*"x".repeat(255)),
    ] {
        let mut out = Vec::new();
        let record = record(1);
        Origin::new(Facility::default(), name).write(
            &mut out,
            &EntryView::Accounting(record.view().unwrap()),
            NO_LIMIT,
        );
        let text = String::from_utf8(out).unwrap();
        assert_eq!(parts(&text).1[2], shown);
    }
}

#[test]
fn a_long_record_loses_arguments_and_says_so() {
    let arguments: Vec<Vec<u8>> = (0..255)
        .map(|n| format!("a{n}={}", "x".repeat(200)).into_bytes())
        .collect();
    let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
    let text = message(&fields(), &arguments, 2048);
    assert!(text.len() <= 2048 && text.len() > 1700, "{}", text.len());
    let (_, _, json) = parts(&text);
    let kept = json["args"].as_array().unwrap().len();
    assert!(kept > 3, "{kept}");
    assert_eq!(json["args_left_out"], 255 - kept);
    assert_eq!(
        json["args"][kept - 1].as_str().unwrap().as_bytes(),
        arguments[kept - 1]
    );
    assert_eq!(
        (&json["command"], json.get("cut")),
        (&"show version".into(), None)
    );
    // One octet less than what fits is one argument less.
    let less = message(&fields(), &arguments, text.len() - 1);
    assert_eq!(parts(&less).2["args_left_out"], 255 - kept + 1);
    // What fits exactly is whole.
    let three = &arguments[..3];
    let length = message(&fields(), three, NO_LIMIT).len();
    let (_, _, json) = parts(&message(&fields(), three, length));
    assert_eq!(
        (
            json["args"].as_array().unwrap().len(),
            json.get("args_left_out")
        ),
        (3, None)
    );
}

#[test]
fn a_long_command_is_cut_at_a_character_and_says_so() {
    let command = "é".repeat(20_000);
    let long = Fields {
        command: command.as_bytes(),
        user: &[0; 255],
        ..fields()
    };
    let text = message(&long, &[b"task_id=7"], 2048);
    assert!(text.len() <= 2048, "{}", text.len());
    let (_, _, json) = parts(&text);
    assert_eq!(json["args_left_out"], 1);
    let cut: Vec<&str> = json["cut"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(cut, ["user", "command"]);
    assert!(
        json["command"]
            .as_str()
            .unwrap()
            .chars()
            .all(|one| one == 'é')
    );
    assert_eq!(json["id"].as_str().unwrap().len(), 36);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_record_fits_and_parses(
        user in proptest::collection::vec(any::<u8>(), 0..256),
        command in proptest::collection::vec(any::<u8>(), 0..3000),
        arguments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..256), 0..60),
        max in 1024_usize..9000,
    ) {
        let fields = Fields { user: &user, command: &command, ..fields() };
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let text = message(&fields, &arguments, max);
        prop_assert!(text.len() <= max);
        prop_assert!(!text.chars().any(char::is_control));
        let (_, _, json) = parts(&text);
        let left_out = json.get("args_left_out").map_or(0, |count| count.as_u64().unwrap());
        let kept = json["args"].as_array().unwrap().len();
        prop_assert_eq!(kept as u64 + left_out, arguments.len() as u64);
    }
}
