use jiff::Timestamp;

use super::{as_json, as_text, compared};
use crate::accounting::{EntryView, Record};
use crate::diff::tests::{ALICE, SITE, Typed, edited, loaded};
use crate::diff::{Comparison, Difference};

fn compare(new: &str, records: &[Record]) -> Vec<Difference> {
    let (old, new) = (loaded("old.toml", SITE), loaded("new.toml", new));
    let mut comparison = Comparison::new(&old, &new, Timestamp::UNIX_EPOCH);
    comparison.files();
    for record in records {
        comparison.entry(&EntryView::Accounting(record.view().unwrap()));
    }
    comparison.finish().0
}

/// Without the folders of the files.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let mut words: Vec<&str> = line.split(['(', ' ', '"']).collect();
        words.retain(|word| word.starts_with('/') && word.contains("toml"));
        let mut line = line.to_owned();
        for word in words {
            let name = word.rsplit('/').next().unwrap();
            line = line.replace(word, name);
        }
        out.push_str(&line);
    }
    out
}

fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for device in ["core1", "core2"] {
        for command in ["reload", "show running-config", "show version"] {
            let typed = Typed {
                device,
                command,
                ..ALICE
            };
            records.push(typed.record("shell", &[]));
        }
    }
    let hostile = Typed {
        command: "show \u{1b}[2J",
        at: "2027-01-05T10:00:00Z",
        ..ALICE
    };
    records.push(hostile.record("shell", &[]));
    let bob = Typed {
        user: "bob",
        command: "",
        at: "2027-01-05T03:00:00Z",
        ..ALICE
    };
    records.push(bob.record("ppp", &["service=ppp", "protocol=ip"]));
    records
}

#[test]
fn a_change_request_reads() {
    let new = edited(&[
        (
            "permit show **",
            "deny show running-config **\npermit show version",
        ),
        ("permit reload\n", "permit reload\npermit write\n"),
        ("priv_lvl = 15", "priv_lvl = 7"),
        ("services.\"ppp/ip\" = { addr = \"10.9.9.9\" }\n", ""),
        ("device.edge1", "device.edge2"),
        (
            "[user.alice]",
            "[user.carol]\ngroups = [\"noc\"]\n[user.alice]",
        ),
    ]) + "[[test]]\nas = { user = \"alice\" }\non = \"core2\"\npermit = [\"write\"]\n";
    let found = compare(&new, &records());
    insta::assert_snapshot!("text", plain(&as_text(&found)));
    let lines: Vec<String> = found.iter().map(|one| as_json(one).to_string()).collect();
    insta::assert_snapshot!("json", plain(&lines.join("\n")));
}

#[test]
fn nothing_that_changes_is_said_in_a_line() {
    assert_eq!(as_text(&compare(SITE, &records())), "no result changes");
    let counts = crate::diff::Counts {
        tests: 1,
        records: 2,
        decisions: 0,
        left_out: 0,
    };
    assert_eq!(compared(&counts, None), "compared 1 test");
}

#[test]
fn devices_on_which_the_same_changes_stand_in_one_heading() {
    let names: Vec<String> = (10..21).map(|at| format!("core{at}")).collect();
    let devices: String = names
        .iter()
        .zip(10..)
        .map(|(name, at)| {
            format!("[device.{name}]\naddress = [\"10.0.0.{at}\"]\ntacacs_secret = \"plain:the-secret-of-{name}\"\n")
        })
        .collect();
    let (old, new) = (
        loaded("old.toml", &(SITE.to_owned() + &devices)),
        loaded("new.toml", &(edited(&[("permit reload\n", "")]) + &devices)),
    );
    let mut comparison = Comparison::new(&old, &new, Timestamp::UNIX_EPOCH);
    for name in &names {
        let typed = Typed {
            device: name,
            ..ALICE
        };
        let record = typed.record("shell", &[]);
        comparison.entry(&EntryView::Accounting(record.view().unwrap()));
    }
    insta::assert_snapshot!("devices", plain(&as_text(&comparison.finish().0)));
}
