//! What the schema says is what the parser takes, both ways.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::parse::parse;
use super::super::report::{Asked, Report};
use super::super::source::{Format, SourceFile};
use super::super::tree::{self, Node};
use super::super::{BUILT, Surroundings, convert, file};
use super::validate::validate;
use super::{Key, Kind, Part, schema, tables};

/// A folder with the files that the examples of the tables name.
struct Place(tempfile::TempDir);

/// One text as the parser sees it.
struct Parsed {
    report: Report,
    tree: Node,
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["aaa1.example.net".into()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::create_dir(place.0.path().join("tls")).unwrap();
        for (name, text) in [
            ("tls/server.pem", certificate.pem()),
            ("tls/ca.pem", certificate.pem()),
            ("tls/server.key", key.serialize_pem()),
            ("secret", "a-secret-of-some-length".into()),
            ("secret2", "another-secret-of-some-length".into()),
            ("psk", "0123456789abcdef0123456789abcdef".into()),
            ("chap", "a secret for challenges".into()),
            ("dictionary.acme", "VENDOR Acme 32473".into()),
            ("hash", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$7CHOfrsUfaBzVINkCNMQ9ZaJzfBKSkJSHcXLGNjoVtY".into()),
        ] {
            std::fs::write(place.0.path().join(name), text).unwrap();
        }
        place
    }

    fn parse(&self, text: &str) -> Parsed {
        let path = self.0.path().join("main.toml");
        std::fs::write(&path, text).unwrap();
        let mut report = Report::default();
        let mut trees = file::read(&mut report, &path);
        assert_eq!(trees.len(), 1, "not TOML: {text}");
        convert(&mut report, &trees, &surroundings(), false);
        Parsed {
            report,
            tree: trees.remove(0),
        }
    }

    /// The same without a file, so that what is read before the rest (`version`, `include`) is not looked at.
    fn parse_in_memory(&self, text: &str) -> Parsed {
        let path = self.0.path().join("main.toml");
        let mut report = Report::default();
        let file = SourceFile::new(path.into(), text.to_owned(), Format::Toml);
        report.sources.files.push(file);
        let tree = parse(&mut report, 0).unwrap();
        convert(
            &mut report,
            std::slice::from_ref(&tree),
            &surroundings(),
            false,
        );
        Parsed { report, tree }
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        now: "2027-01-04T10:00:00Z".parse().unwrap(),
        variable: |_| None,
    }
}

/// One step from a table or list to what is in it.
#[derive(Clone, Debug)]
enum Step {
    Key(&'static str),
    Item(usize),
}

/// The way to a key, its tables' names all `x`.
type Way = Vec<Step>;

fn at<'n>(node: &'n Node, way: &[Step]) -> &'n Node {
    way.iter().fold(node, |node, step| match step {
        Step::Key(name) => &node.entry(name).unwrap().value,
        Step::Item(index) => node.as_list().unwrap().get(*index).unwrap(),
    })
}

fn shown(way: &[Step]) -> String {
    let steps = way.iter().map(|step| match step {
        Step::Key(name) => format!(".{name}"),
        Step::Item(index) => format!("[{index}]"),
    });
    steps.collect::<String>().trim_start_matches('.').to_owned()
}

/// The tables below a key, each with the steps from the key to it.
fn tables_of(key: &Key) -> Vec<(Vec<Step>, &'static [Key])> {
    if let Kind::Table(keys) = key.kind {
        vec![(vec![], keys)]
    } else if let Kind::Named(keys) = key.kind {
        vec![(vec![Step::Key("x")], keys)]
    } else if let Kind::List(keys) = key.kind {
        vec![(vec![Step::Item(0)], keys)]
    } else if let Kind::Variants(_, variants) = key.kind {
        let indexed = variants.iter().enumerate();
        indexed
            .map(|(index, (_, keys))| (vec![Step::Item(index)], *keys))
            .collect()
    } else {
        Vec::new()
    }
}

/// Every table of the schema: the way to one, and its keys.
fn every_table(keys: &'static [Key], way: &Way, found: &mut Vec<(Way, &'static [Key])>) {
    found.push((way.clone(), keys));
    for key in keys {
        for (steps, keys) in tables_of(key) {
            let mut way = way.clone();
            way.push(Step::Key(key.name));
            way.extend(steps);
            every_table(keys, &way, found);
        }
    }
}

/// An example of a table on one line: with every key, or, when the key at `way` gets another value, with what must be there.
fn example_of(keys: &[Key], way: &[Step], instead: Option<&str>) -> String {
    let on_the_way = |key: &Key| matches!(way, [Step::Key(name), ..] if *name == key.name);
    let chosen = keys
        .iter()
        .filter(|key| instead.is_none() || key.required || on_the_way(key));
    let entries = chosen.map(|key| {
        let below = match way {
            [Step::Key(name), rest @ ..] if *name == key.name => Some(rest),
            _ => None,
        };
        let here = below.is_some_and(<[Step]>::is_empty);
        let instead_here = if here { instead } else { None };
        let value = instead_here.map_or_else(|| example(key, below, instead), str::to_owned);
        format!("{} = {value}", key.name)
    });
    entries.collect::<Vec<_>>().join(", ")
}

fn example(key: &Key, below: Option<&[Step]>, instead: Option<&str>) -> String {
    let below = below.unwrap_or(&[]);
    let tables = tables_of(key).into_iter().map(|(steps, keys)| {
        let way = match (steps.first(), below) {
            (None, below) => below,
            (Some(Step::Item(ours)), [Step::Item(theirs), rest @ ..]) if ours == theirs => rest,
            (Some(Step::Key(_)), [_, rest @ ..]) => rest,
            (Some(_), _) => &[],
        };
        format!("{{ {} }}", example_of(keys, way, instead))
    });
    let tables: Vec<String> = tables.collect();
    let all = tables.join(", ");
    match tables_of(key).first().map(|(steps, _)| steps.first()) {
        None => key.example.to_owned(),
        Some(None) => all,
        Some(Some(Step::Key(name))) => format!("{{ {name} = {all} }}"),
        Some(Some(Step::Item(_))) => format!("[{all}]"),
    }
}

/// The top-level key of a way alone, with its example or with another value at the end of the way.
fn text(way: &[Step], instead: Option<&str>) -> String {
    let Some(Step::Key(first)) = way.first() else {
        panic!("a way begins at a key");
    };
    let key = tables::FILE.iter().find(|key| key.name == *first).unwrap();
    let line = example_of(std::slice::from_ref(key), way, instead);
    if *first == "version" {
        line
    } else {
        format!("version = 1\n{line}")
    }
}

fn json(text: &str) -> Value {
    super::json_of(toml::Value::Table(text.parse().unwrap()))
}

/// The parser's tree as JSON, for files whose TOML the parser has read already.
fn json_of(node: &Node) -> Value {
    match &node.value {
        tree::Value::String(text) => Value::String(text.clone()),
        tree::Value::Integer(number) => Value::from(*number),
        tree::Value::Number => Value::from(0.5),
        tree::Value::Boolean(truth) => Value::Bool(*truth),
        tree::Value::Date(date) => Value::String(date.to_string()),
        tree::Value::Array(nodes) => nodes.iter().map(json_of).collect(),
        tree::Value::Table(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json_of(&entry.value)))
            .collect(),
        tree::Value::Null => Value::Null,
    }
}

fn names(keys: &[Key], which: impl Fn(&Key) -> bool) -> BTreeSet<&'static str> {
    let chosen = keys.iter().filter(|key| which(key));
    chosen.map(|key| key.name).collect()
}

const ADD: &str = "write what it means into config/schema/tables";

#[test]
fn the_schema_has_every_top_level_key_and_no_other() {
    let ours = names(tables::FILE, |_| true);
    let mut theirs: BTreeSet<&str> = BUILT.into_iter().collect();
    theirs.insert("accounting");
    assert_eq!(ours, theirs, "{ADD}");
}

/// The parser reads an example of every table; every reader says at its end which keys it asked for.
#[test]
fn every_table_has_the_keys_that_its_reader_asks_for() {
    let place = Place::new();
    let mut tables_found = Vec::new();
    every_table(tables::FILE, &Vec::new(), &mut tables_found);
    assert!(tables_found.len() > 15, "{}", tables_found.len());
    for (way, keys) in tables_found.iter().skip(1) {
        let mut parsed = place.parse(&text(way, None));
        let span = at(&parsed.tree, way).span;
        let asked: &Asked = parsed.report.asked(span);
        let known: BTreeSet<&str> = asked.keys.iter().copied().collect();
        let way = shown(way);
        let ours = names(keys, |_| true);
        let missing: Vec<_> = known.difference(&ours).collect();
        assert!(
            missing.is_empty(),
            "the parser knows {missing:?} in {way}, the schema does not: {ADD}"
        );
        let gone: Vec<_> = ours.difference(&known).collect();
        assert!(
            gone.is_empty(),
            "the schema has {gone:?} in {way}, the parser does not: take it out of config/schema/tables"
        );
        let required = names(keys, |key| key.required);
        assert_eq!(required, asked.required, "the required keys of {way}");
    }
}

#[test]
fn the_example_of_every_key_is_taken_by_both() {
    let place = Place::new();
    let schema = schema(Part::Main);
    for key in tables::FILE {
        let text = text(&[Step::Key(key.name)], None);
        let parsed = place.parse(&text);
        let errors = errors(&parsed);
        assert!(errors.is_empty(), "{text}\n{errors:?}");
        let problems = validate(&schema, &json(&text));
        assert!(problems.is_empty(), "{text}\n{problems:?}");
    }
}

/// All errors but those of names that only the rest of a file defines, and of keys that exclude each other.
fn errors(parsed: &Parsed) -> Vec<&str> {
    let mut errors = parsed.report.errors();
    errors.retain(|error| !error.starts_with("there is no ") || !error.contains(['`', '[']));
    errors.retain(|error| !error.contains(" do not go together: "));
    errors
}

/// Values of every kind, and every word that any key takes or will take.
fn probes() -> Vec<String> {
    let mut probes: Vec<String> = [
        "true",
        "false",
        "-1",
        "0",
        "1",
        "2",
        "5",
        "10",
        "11",
        "15",
        "16",
        "255",
        "256",
        "1024",
        "1025",
        "196356",
        "196357",
        "1000000",
        "1000001",
        "99999999999",
        "1.5",
        "\"\"",
        "\"x\"",
        "\"5m\"",
        "\"1h30m\"",
        "\"1.5s\"",
        "\".5h\"",
        "\"5\"",
        "\"m\"",
        "\"5 m\"",
        "\"5y\"",
        "\"file:secret\"",
        "\"file:\"",
        "\"plain:x\"",
        "\"vault:x\"",
        "\"sqlite:x.db\"",
        "\"sqlite:\"",
        "\"[::]:0\"",
        "\"192.0.2.1\"",
        "2027-01-04",
        "2027-01-04T10:00:00Z",
        "\"2027-01-04\"",
        "\"2027-01-04T10:00:00Z\"",
        "[]",
        "[1]",
        "[true]",
        "[[]]",
        "[{}]",
        "[\"x\"]",
        "[\"192.0.2.1\"]",
        "[\"x\", 1]",
        "{}",
        "{ x = 1 }",
        "{ x = {} }",
        "{ x = \"y\" }",
        "{ x = [1, \"y\"] }",
        "{ \"a=b\" = 1 }",
        "{ x = { y = 1 } }",
        "[{ type = \"x\" }]",
        "{ lifetime = \"0s\" }",
        "{ lifetime = \"1h\" }",
    ]
    .map(str::to_owned)
    .into();
    for word in [
        "off",
        "on",
        "all",
        "denied",
        "require",
        "if-available",
        "tls",
        "plain",
        "any",
        "local",
        "ad",
        "ascii",
        "pap",
        "chap",
        "mschapv1",
        "mschapv2",
        "certificate",
        "psk",
        "raw-public-key",
        "tacacs",
        "tacacs-tls",
        "radius",
        "radius-tls",
        "radius-dtls",
        "radius-udp",
        "rfc8907",
        "draft-05",
        "1.2",
        "1.3",
        "0s",
        "1h",
        "database",
        "jsonl",
        "syslog",
        "jetstream",
        "warn",
        "refuse",
        "auto",
        "use",
        "TLS",
    ] {
        probes.push(format!("\"{word}\""));
    }
    for word in [
        "local",
        "ad",
        "ascii",
        "pap",
        "chap",
        "mschapv1",
        "mschapv2",
        "certificate",
        "psk",
        "raw-public-key",
        "tls",
        "plain",
        "tacacs",
        "radius",
        "off",
    ] {
        probes.push(format!("[\"{word}\"]"));
    }
    probes
}

/// Errors that a schema can see coming: the wrong kind, a number out of range, a word outside a closed list. What it cannot
/// see are files that are not there, names that nothing defines, addresses that are none.
fn structural(message: &str) -> bool {
    // For a schema a date is a string, as editors hand it over.
    if message.ends_with("not a date") {
        return false;
    }
    [
        ", not a ",
        ", not true or false",
        ", not null",
        "must be from",
        "is no value of",
        "is not built yet",
        "is no duration",
        "is no secret reference",
        "must be one secret reference",
        "is an empty list",
        "is empty, so that",
        "must be a day",
        "must be a moment",
        "must not be empty",
        "must name a file",
        "is no store that is known",
    ]
    .iter()
    .any(|text| message.contains(text))
}

/// Keys that are looked at while the files are read.
fn found_first(way: &[Step]) -> bool {
    matches!(way, [Step::Key("version" | "include")])
}

/// Every key with every probe: what the schema refuses the parser refuses too, and what the parser refuses by its form the
/// schema refuses.
#[test]
fn values_are_taken_and_refused_by_both() {
    let place = Place::new();
    let schema = schema(Part::Main);
    let probes = probes();
    let mut found = Vec::new();
    every_table(tables::FILE, &Vec::new(), &mut found);
    let mut differences = Vec::new();
    let mut refused = 0;
    for (table, keys) in &found {
        for key in *keys {
            let mut way = table.clone();
            way.push(Step::Key(key.name));
            for probe in &probes {
                let text = text(&way, Some(probe));
                let parsed = if found_first(&way) {
                    place.parse(&text)
                } else {
                    place.parse_in_memory(&text)
                };
                let errors = errors(&parsed);
                let problems = validate(&schema, &json_of(&parsed.tree));
                refused += usize::from(!errors.is_empty() && !problems.is_empty());
                let place = shown(&way);
                if errors.is_empty() && !problems.is_empty() {
                    differences.push(format!(
                        "{place} = {probe}: the parser takes it; the schema: {problems:?}"
                    ));
                }
                if problems.is_empty() && errors.iter().any(|error| structural(error)) {
                    differences.push(format!(
                        "{place} = {probe}: the schema takes it; the parser: {errors:?}"
                    ));
                }
            }
        }
    }
    let differences: BTreeSet<String> = differences.into_iter().collect();
    assert!(
        differences.is_empty(),
        "{} differences; {ADD}\n{}",
        differences.len(),
        differences.into_iter().collect::<Vec<_>>().join("\n")
    );
    assert!(refused > 3000, "only {refused} values were refused by both");
}

/// The TOML texts of the repository's documents, and whether each is a main file.
fn documents() -> Vec<(String, String, Part)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let mut found = vec![
        (
            "the README".to_owned(),
            {
                let readme = read("README.md");
                let (_, rest) = readme.split_once("```toml\n").unwrap();
                rest.split_once("```").unwrap().0.to_owned()
            },
            Part::Main,
        ),
        (
            "the demo".to_owned(),
            include_str!("../../demo/doorward.toml").to_owned(),
            Part::Main,
        ),
    ];
    for name in [
        "docs/examples/doorward.toml",
        "packaging/debian/doorward.toml",
    ] {
        found.push((name.to_owned(), read(name), Part::Main));
    }
    for entry in std::fs::read_dir(root.join("docs/examples/conf.d")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        found.push((path.display().to_string(), text, Part::Included));
    }
    found
}

#[test]
fn every_example_of_the_repository_is_valid() {
    let documents = documents();
    assert!(documents.len() >= 5);
    for (name, text, part) in documents {
        let problems = validate(&schema(part), &json(&text));
        assert!(problems.is_empty(), "{name}\n{problems:#?}");
    }
}

#[test]
fn wrong_files_are_refused_by_both() {
    let place = Place::new();
    let schema = schema(Part::Main);
    for text in [
        "",
        "version = 2",
        "version = 1\nnonsense = 1",
        "version = 1\nserver = 1",
        "version = 1\n[server]\nworkres = 2",
        "version = 1\n[[server]]",
        "version = 1\n[listen]\nprotocol = \"tacacs\"",
        "version = 1\n[[listen]]\naddress = \"[::]:300\"",
        "version = 1\n[[listen]]\nprotocol = \"telnet\"",
        "version = 1\n[tls]\ncertificate = \"x\"",
        "version = 1\n[tls.default]\ncertificate = \"tls/server.pem\"",
        "version = 1\n[user.alice]\npassword = \"hunter2\"",
        "version = 1\n[user]\nalice = 1",
        "version = 1\n[user.\"\"]",
        "version = 1\n[[rule]]\nname = \"x\"",
        "version = 1\n[[rule]]\nrole = \"x\"\nwhen = { gruop = \"x\" }",
        "version = 1\n[[accounting]]\ntype = \"paper\"",
        "version = 1\n[[accounting]]\nkeep = \"1d\"",
    ] {
        let problems = validate(&schema, &json(text));
        assert!(!problems.is_empty(), "the schema takes {text:?}");
        let parsed = place.parse(text);
        let errors = parsed.report.errors();
        assert!(!errors.is_empty(), "the parser takes {text:?}");
    }
    // An included file need not say the version.
    let text = "[user.alice]\ngroups = [\"noc\"]";
    assert!(!validate(&schema, &json(text)).is_empty());
    let included = super::schema(Part::Included);
    assert_eq!(validate(&included, &json(text)), [""; 0]);
}

#[test]
fn every_key_says_what_it_means() {
    let mut found = Vec::new();
    every_table(tables::FILE, &Vec::new(), &mut found);
    for (way, keys) in found {
        for key in keys {
            let place = format!("{}.{}", shown(&way), key.name);
            assert!(key.about.ends_with('.') && key.about.len() > 3, "{place}");
            if let Some(default) = key.default {
                let text = format!("value = {default}");
                assert!(text.parse::<toml::Table>().is_ok(), "{place}: {default}");
            }
            let nested = !tables_of(key).is_empty();
            assert_eq!(key.example.is_empty(), nested, "{place} wants an example");
        }
    }
}
