//! `[radius] dictionaries`: names from the files of vendors, and what is wrong with such files.

use crate::commands::doorward;
use crate::context::TestContext;

const ACME: &str = "# Acme's devices
VENDOR Acme 32473
BEGIN-VENDOR Acme
ATTRIBUTE Acme-Level 1 integer
ATTRIBUTE Acme-View 2 string has_tag
VALUE Acme-Level Operator 7
END-VENDOR Acme
";

const TEXT: &str = r#"version = 1
[radius]
dictionaries = ["vendors/dictionary.acme"]
[device.core1]
certificate = { dns = ["core1.example.net"] }
[user.alice]
groups = ["noc"]
[role.noc]
radius = { Acme-Level = "Operator", "Acme-View:3" = "all" }
[[rule]]
role = "noc"
[[test]]
as = { user = "alice" }
on = "core1"
protocol = "radius"
expect = { radius = { Acme-Level = 7, "Acme-View:3" = "all" } }
"#;

#[test]
fn names_of_a_dictionary_are_used_wherever_attributes_are() {
    let context = TestContext::new();
    context.file("vendors/dictionary.acme", ACME);
    let path = context.file("main.toml", TEXT);
    let path = path.to_str().unwrap();
    let (code, out, err) = doorward(&["test", path]);
    assert_eq!(code, 0, "{out}{err}");
    let explain = ["explain", "--config", path, "--protocol", "radius"];
    let (code, out, err) = doorward(&[&explain[..], &["alice", "core1"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("Acme-Level = Operator\n  Acme-View:3 = all"),
        "{out}"
    );

    // Another name for the same value is no difference, another value is one, in the words of each file.
    let other = ACME.replace("Acme-Level", "Acme-Rank");
    context.file(
        "other/dictionary.acme",
        &other.replace("Operator", "Worker"),
    );
    let text = TEXT
        .replace("Acme-Level", "Acme-Rank")
        .replace("vendors/", "other/");
    let renamed = context.file("renamed.toml", &text.replace("\"Operator\"", "\"Worker\""));
    let (code, out, err) = doorward(&["diff", path, renamed.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    let changed = context.file("changed.toml", &text.replace("\"Operator\"", "8"));
    let (code, out, err) = doorward(&["diff", path, changed.to_str().unwrap()]);
    assert_eq!(code, 2, "{out}{err}");
    for said in ["Acme-Level=Operator", "Acme-Rank=8"] {
        assert!(out.contains(said), "{said}: {out}");
    }

    let (code, said) = {
        let text = TEXT.replace("Acme-Level = 7", "Acme-Level = 8");
        let path = context.file("main.toml", &text);
        let (code, out, err) = doorward(&["test", path.to_str().unwrap()]);
        (code, format!("{out}{err}"))
    };
    assert_eq!(code, 1, "{said}");
    let wanted = "expected Acme-Level = 8: role noc gives Acme-Level = Operator";
    assert!(said.contains(wanted), "{said}");
}

/// The errors among the messages.
fn errors(messages: &str) -> String {
    let all = messages.split("\n\n");
    let errors: Vec<&str> = all.filter(|one| one.starts_with("error")).collect();
    errors.join("\n\n")
}

/// What is wrong in the file, in the words of the configuration's own messages.
fn messages(text: &str) -> String {
    let context = TestContext::new();
    context.file("vendors/dictionary.acme", text);
    context.file(
        "vendors/more/dictionary.wrong",
        "\n\tATTRIBUTE Acme-Colour 9 colour,\n",
    );
    context.file(
        "vendors/more/dictionary.bad",
        "# first\n\tATRIBUTE Acme-Colour 9 string # last\n",
    );
    let text = "version = 1\n[radius]\ndictionaries = [\n  \"vendors/dictionary.acme\",\n]\n";
    errors(&context.messages(text))
}

#[test]
fn mistakes_are_shown_at_their_word() {
    let said = [
        messages(&ACME.replace("has_tag", "has_tags")),
        messages("$INCLUDE more/dictionary.bad\n"),
        messages("ATTRIBUTE Tunnel-Password 69 string\n"),
        messages("ATTRIBUTE Login-Name 1 integer\n"),
        messages("VALUE Service-Type Operator 7\nVALUE Service-Type Operator 8\n"),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let context = TestContext::new();
    context.file("folder/file", "");
    std::fs::write(context.path().join("octets"), [0xff, 0xfe]).unwrap();
    let text = "version = 1\n[radius]\ndictionaries = [\"nowhere\", \"folder\", \"\", 5, \"octets\"]\ndictionary = \"x\"\n";
    let said = [
        messages("$INCLUDE nowhere\n"),
        messages("$INCLUDE ../secret\n"),
        messages("$INCLUDE /etc/hostname\n"),
        errors(&context.messages(text)),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
    assert_eq!(messages("$INCLUDE- nowhere\n"), "");
}

/// A file that includes itself ends, and one that never ends is not read to its end.
#[test]
fn all_files_together_are_bounded() {
    let said = messages("$INCLUDE dictionary.acme\n");
    assert!(said.contains("included too deep"), "{said}");
    let context = TestContext::new();
    let file = std::fs::File::create(context.path().join("large")).unwrap();
    file.set_len(1 << 40).unwrap();
    let said = context.messages("version = 1\n[radius]\ndictionaries = [\"large\"]\n");
    assert!(said.contains("more than 16 MiB"), "{said}");
    // What is no file is not opened: a pipe would wait for somebody to write.
    let said = context.messages("version = 1\n[radius]\ndictionaries = [\"/dev/zero\"]\n");
    assert!(said.contains("it is no file"), "{said}");
}

/// Once for a file, at the first of its lines; what is accepted is not told of.
#[test]
fn lines_that_define_nothing_are_told_of() {
    let context = TestContext::new();
    let wide = "ATTRIBUTE Acme-Wide 300 string\nATTRIBUTE Acme-Wider 301 string\nVALUE Acme-Wider Most 1\n";
    context.file("vendors/dictionary.acme", &format!("{ACME}{wide}"));
    context.file("vendors/one", "ATTRIBUTE Acme-Odd 240 oddity\n");
    let text = TEXT.replace("acme\"]", "acme\", \"vendors/one\"]");
    let lint = doorward::config::Lint::DictionaryLines;
    insta::assert_snapshot!(context.findings(lint, &text));
    let allow =
        "[[allow]]\nlint = \"dictionary-lines\"\non = \"radius\"\nreason = \"of another server\"\n";
    assert_eq!(context.findings(lint, &format!("{text}{allow}")), "");
}
