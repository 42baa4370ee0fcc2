//! A scraper: HTTP by hand, the text forms of Prometheus read line by line, and its own checker.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::wire::tcp;

/// An HTTP reply; status 0 when there was none.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }
}

/// Sends octets and reads up to the end of the connection.
pub(crate) fn request(address: SocketAddr, octets: &str) -> Reply {
    let mut stream = tcp(address);
    // The server may have closed before it has read all.
    _ = stream.write_all(octets.as_bytes());
    let mut reply = Vec::new();
    _ = stream.read_to_end(&mut reply);
    let text = String::from_utf8(reply).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).unwrap_or("0");
    Reply {
        status: status.parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    request(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    )
}

/// A page of metrics.
#[derive(Debug)]
pub(crate) struct Page {
    /// Series as written, and value.
    pub samples: Vec<(String, f64)>,
    /// Family → type, help and unit.
    pub families: BTreeMap<String, Family>,
}

#[derive(Debug, Default)]
pub(crate) struct Family {
    pub kind: String,
    pub help: String,
    pub unit: Option<String>,
}

impl Page {
    pub(crate) fn scrape(address: SocketAddr) -> Self {
        let reply = get(address, "/metrics");
        assert_eq!(reply.status, 200, "{reply:?}");
        Self::parse(&reply.body)
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut page = Self {
            samples: Vec::new(),
            families: BTreeMap::new(),
        };
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let (word, name) = (words.next().unwrap(), words.next());
                let text = words.next().unwrap_or_default().to_owned();
                let Some(name) = name else {
                    assert_eq!(word, "EOF");
                    continue;
                };
                let family = page.families.entry(name.to_owned()).or_default();
                match word {
                    "HELP" => family.help = text,
                    "TYPE" => family.kind = text,
                    "UNIT" => family.unit = Some(text),
                    other => panic!("{other} in {line}"),
                }
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                page.samples
                    .push((series.to_owned(), value.parse().unwrap()));
            }
        }
        let series: BTreeSet<&str> = page
            .samples
            .iter()
            .map(|(series, _)| series.as_str())
            .collect();
        assert_eq!(series.len(), page.samples.len(), "a series is there twice");
        page
    }

    /// The newer form, with what its specification asks for beyond the lines: families in one piece, suffixes by type,
    /// units as suffix, and the end mark.
    pub(crate) fn open_metrics(text: &str) -> Self {
        assert!(text.ends_with("\n# EOF\n"));
        let page = Self::parse(text);
        for (name, family) in &page.families {
            assert!(!family.help.is_empty() && !family.kind.is_empty(), "{name}");
            assert!(
                family
                    .unit
                    .as_ref()
                    .is_none_or(|unit| name.ends_with(&format!("_{unit}"))),
                "{name}"
            );
            assert!(
                !name.ends_with("_total") && !name.ends_with("_info"),
                "{name}"
            );
        }
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                current = rest.split(' ').next().unwrap().to_owned();
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let suffixes: &[&str] = match page.families[&current].kind.as_str() {
                    "counter" => &["_total"],
                    "gauge" => &[""],
                    "info" => &["_info"],
                    "histogram" => &["_sum", "_count", "_bucket"],
                    other => panic!("{current} is of type {other}"),
                };
                assert!(
                    suffixes
                        .iter()
                        .any(|suffix| name == format!("{current}{suffix}")),
                    "{line} under {current}"
                );
            }
        }
        page
    }

    /// The value of a series, written as the page writes it.
    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        self.samples
            .iter()
            .find(|(name, _)| name == series)
            .map(|(_, value)| *value)
    }

    /// All series of one name.
    pub(crate) fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.samples
            .iter()
            .filter(move |(series, _)| name_of(series) == name)
            .map(|(series, value)| (series.as_str(), *value))
    }

    /// Every name with its labels and their values.
    pub(crate) fn labels(&self) -> BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> {
        let mut all: BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (series, _) in &self.samples {
            let labels = all.entry(name_of(series)).or_default();
            let Some((_, rest)) = series.split_once('{') else {
                continue;
            };
            for (label, value) in pairs(rest.trim_end_matches('}')) {
                labels.entry(label).or_default().insert(value);
            }
        }
        all
    }
}

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap()
}

/// `a="x",b="y"` with escaped values.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((label, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (_, '\\') => value.push(chars.next().unwrap().1),
                (at, '"') => break at,
                (_, other) => value.push(other),
            }
        };
        pairs.push((label.trim_start_matches(',').to_owned(), value));
        rest = &after[end + 1..];
    }
    pairs
}

/// Has the reader of OpenMetrics of the PyPI package read a page; it raises an error for whatever the specification forbids.
pub(crate) fn strict_reader(page: &str) {
    let venv = std::env::var("DOORWARD_INTEROP_VENV").unwrap_or_else(|_| {
        panic!("DOORWARD_INTEROP_VENV names no virtual environment with the PyPI package prometheus_client; run the tests by ./scripts/test")
    });
    let program = Path::new(&venv).join("bin/python");
    const READ: &str = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
        families = list(read(sys.stdin.read()))\n\
        assert len(families) > 30, families";
    run_checker(&program, &["-c", READ], page);
}

/// Runs Prometheus's own checker, which has to be content.
pub(crate) fn promtool(arguments: &[&str], input: &str) {
    let program = std::env::var_os("DOORWARD_PROMTOOL").unwrap_or_else(|| {
        panic!(
            "DOORWARD_PROMTOOL does not say where promtool is: ./scripts/test gets it from Debian's package prometheus \
             (apt-get download prometheus; dpkg-deb -x) and sets the variable"
        )
    });
    let text = run_checker(Path::new(&program), arguments, input);
    assert!(
        !text.contains("lint error"),
        "promtool {arguments:?}\n{text}"
    );
}

/// Runs a program that has to succeed; what it printed.
fn run_checker(program: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeding = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A program that fails may not have read everything.
    _ = feeding.join().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} {arguments:?}\n{text}",
        program.display()
    );
    text.into_owned()
}
