//! What `packaging/` and `docs/guide/metrics.md` say about metrics is true of a running server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::exposition::{Page, promtool};
use crate::harness::Place;
use crate::wire::{Peer, pap};

type Labels = BTreeMap<String, BTreeSet<String>>;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// A page with every family that there is: a listener with a last day, a watched user, a device that came, a sink.
fn complete_page() -> Page {
    let place = Place::with(&[
        ("[device.core1]", "[device.core1]\ntolerate = [\"bare-cr\"]"),
        ("[user.alice] ", "[user.alice]\nalert = true "),
        (
            "[tls.default]",
            "[tls.default]\nocsp_staple = true\nocsp_responder = \"http://127.0.0.1:9/\"",
        ),
        (
            "address  = \"127.0.0.1:0\"\n\n[tls.default]",
            "address  = \"127.0.0.1:0\"\nuntil = 2999-12-31\n\n[tls.default]",
        ),
        (
            "[[accounting]]\ntype = \"database\"",
            "[[accounting]]\ntype = \"jsonl\"\npath = \"records.jsonl\"\n[[accounting]]\ntype = \"database\"",
        ),
        (
            "[metrics]",
            "[[pool]]\nname = \"home\"\nservers = [\"radius-tls://127.0.0.1:9\"]\n[[pool]]\nname = \"found\"\ndiscover = {}\n[[route]]\nrealm = \"example.org\"\npool = \"home\"\n[metrics]",
        ),
    ]);
    let server = place.start();
    let mut peer = Peer::tls(server.tls(), &place, "core1").unwrap();
    let password = place.text("alice.password");
    assert_eq!(peer.ask(pap(1, "alice", &password)).body[0], 1);
    Page::scrape(server.ready["metrics"].as_str().unwrap().parse().unwrap())
}

/// Every `expr`, `query` and `definition` below a value.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let asks = ["expr", "query", "definition"].contains(&key.as_str());
                match value.as_str() {
                    Some(text) if asks => found.push(text.to_owned()),
                    Some(_) | None => queries(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn dashboard() -> Vec<String> {
    let text = std::fs::read_to_string(repository("packaging/grafana/doorward.json")).unwrap();
    let mut found = Vec::new();
    queries(&serde_json::from_str(&text).unwrap(), &mut found);
    found.retain(|query| query != "prometheus");
    found
}

fn alerts() -> Vec<String> {
    let path = repository("packaging/prometheus/doorward.rules.yml");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .map(str::to_owned)
        .collect()
}

/// What is wrong with a query, by the names, labels and values of a page.
fn faults(query: &str, names: &BTreeMap<&str, Labels>) -> Vec<String> {
    /// Labels that the scrape or the query language adds.
    const ADDED: [&str; 3] = ["instance", "job", "le"];
    let mut faults = Vec::new();
    let mut known: BTreeSet<&str> = ADDED.into_iter().collect();
    let mut metrics = 0;
    let empty = Labels::new();
    let is_word = |char: char| char == '_' || char.is_ascii_alphanumeric();
    let mut rest = query;
    while let Some(start) = rest.find(|char: char| char == '_' || char.is_ascii_alphabetic()) {
        let end = rest[start..]
            .find(|char| !is_word(char))
            .map_or(rest.len(), |end| start + end);
        let name = &rest[start..end];
        let after = &rest[end..];
        rest = after;
        // Strings outside of braces are arguments of functions.
        if !(name.starts_with("doorward_") || name.starts_with("process_") || name == "up") {
            continue;
        }
        metrics += 1;
        let labels = match names.get(name) {
            Some(labels) => labels,
            None if name == "up" => &empty,
            None => {
                faults.push(format!("there is no {name}"));
                continue;
            }
        };
        known.extend(labels.keys().map(String::as_str));
        let Some(braces) = after.strip_prefix('{') else {
            continue;
        };
        let (inside, after) = braces.split_once('}').unwrap();
        rest = after;
        for matcher in inside
            .split("\",")
            .map(|matcher| matcher.trim().trim_end_matches('"'))
        {
            let (label, value) = matcher.split_once('"').unwrap();
            let label = label.trim_end_matches(['=', '~', '!']).trim();
            if ADDED.contains(&label) {
                continue;
            }
            let Some(values) = labels.get(label) else {
                faults.push(format!("{name} has no label {label}"));
                continue;
            };
            for value in value.split('|').filter(|value| !value.starts_with('$')) {
                if !values.contains(value) {
                    faults.push(format!("{label} of {name} is never {value}"));
                }
            }
        }
    }
    if metrics == 0 {
        faults.push("no metric is in it".to_owned());
    }
    // Lists of labels: by (..), without (..), on (..), ignoring (..).
    for word in ["by (", "without (", "on (", "ignoring ("] {
        for list in query.split(word).skip(1) {
            for label in list.split(')').next().unwrap().split(',').map(str::trim) {
                if !known.contains(label) {
                    faults.push(format!("no metric of it has a label {label}"));
                }
            }
        }
    }
    faults
}

#[test]
fn every_query_of_dashboard_and_alerts_asks_for_what_is_there() {
    let page = complete_page();
    let names = page.labels();
    let (dashboard, alerts) = (dashboard(), alerts());
    assert!(dashboard.len() > 30, "{}", dashboard.len());
    assert!(alerts.len() > 15, "{}", alerts.len());
    let mut all = Vec::new();
    for query in dashboard.iter().chain(&alerts) {
        all.extend(
            faults(query, &names)
                .into_iter()
                .map(|fault| format!("{fault}: {query}")),
        );
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_query_for_what_is_not_there_is_caught() {
    let page = Page::parse("a 1\ndoorward_x{reason=\"good\",kind=\"k\"} 1\n");
    let names = page.labels();
    let faults = |query: &str| faults(query, &names);
    assert_eq!(
        faults(
            "sum by (reason, instance) (rate(doorward_x{kind=\"k\",reason=~\"good|$x\"}[5m])) > 0"
        ),
        [""; 0]
    );
    assert_eq!(faults("doorward_y"), ["there is no doorward_y"]);
    assert_eq!(
        faults("doorward_x{cause=\"good\"}"),
        ["doorward_x has no label cause"]
    );
    assert_eq!(
        faults("doorward_x{reason=\"bad\"}"),
        ["reason of doorward_x is never bad"]
    );
    assert_eq!(
        faults("sum by (cause) (doorward_x)"),
        ["no metric of it has a label cause"]
    );
    assert_eq!(faults("vector(1)"), ["no metric is in it"]);
}

#[test]
fn prometheus_takes_the_alerts() {
    let path = repository("packaging/prometheus/doorward.rules.yml");
    promtool(&["check", "rules", path.to_str().unwrap()], "");
    let path = repository("packaging/prometheus/doorward.rules.test.yml");
    promtool(&["test", "rules", path.to_str().unwrap()], "");
}

/// The table of `docs/guide/metrics.md`, made from a page.
fn documented(page: &Page) -> String {
    let names = page.labels();
    let mut rows = vec![
        "| metric | type | labels | meaning |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    for (name, family) in &page.families {
        let series = if family.kind == "histogram" {
            format!("{name}_count")
        } else {
            name.clone()
        };
        let labels: Vec<String> = names
            .get(series.as_str())
            .unwrap_or_else(|| panic!("{name} has no series"))
            .keys()
            .map(|label| format!("`{label}`"))
            .collect();
        rows.push(format!(
            "| `{name}` | {} | {} | {} |",
            family.kind,
            labels.join(", "),
            family.help
        ));
    }
    rows.join("\n")
}

#[test]
fn the_guide_lists_every_metric_as_it_is() {
    let wanted = documented(&complete_page());
    let guide = std::fs::read_to_string(repository("docs/guide/metrics.md")).unwrap();
    assert!(
        guide.contains(&wanted),
        "the table in docs/guide/metrics.md is not that of a running server, which is:\n{wanted}"
    );
}
