//! Reading the files: the main one, what it includes, and all of them as one document.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::parse::parse;
use super::report::Report;
use super::section::unknown;
use super::source::{Format, SourceFile, Span, escape};
use super::tree::{Entry, Node, Value};
use super::value;

/// A configuration never needs more files or octets than this; a pattern that went astray does.
const MAX_FILES: usize = 10_000;
const MAX_OCTETS: u64 = 64 << 20;

/// The trees of all files, the main one first.
pub(super) fn read(report: &mut Report, path: &Path) -> Vec<Node> {
    let mut trees = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = VecDeque::from([(path.to_path_buf(), None)]);
    while let Some((path, named_by)) = waiting.pop_front() {
        if !seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            continue;
        }
        if seen.len() > MAX_FILES {
            report.fault(format!("`include` names more than {MAX_FILES} files"));
            break;
        }
        report.places.read.insert(path.clone());
        let Some(tree) = read_one(report, &path, named_by) else {
            continue;
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        for (pattern, span) in includes(report, &tree) {
            report.places.read.insert(fixed_part(&folder, &pattern));
            match expand(&folder, &pattern) {
                Ok(files) => waiting.extend(files.into_iter().map(|file| (file, Some(span)))),
                Err(message) => {
                    report.error(span, message);
                }
            }
        }
        trees.push(tree);
    }
    trees
}

fn read_one(report: &mut Report, path: &Path, named_by: Option<Span>) -> Option<Node> {
    let shown = escape(&path.to_string_lossy());
    let read = std::fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MAX_OCTETS {
            return Err(std::io::Error::other("it is larger than 64 MiB"));
        }
        std::fs::read(path)
    });
    let text = read.and_then(|octets| {
        String::from_utf8(octets).map_err(|_| std::io::Error::other("it is not UTF-8 text"))
    });
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the configuration file {shown} cannot be read: {error}");
            match named_by {
                Some(span) => report.error(span, message),
                None => report.fault(message),
            }
            .help("check the path and its permissions");
            return None;
        }
    };
    let json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let format = if json { Format::Json } else { Format::Toml };
    let index = report.sources.files.len();
    let file = SourceFile::new(Arc::from(path), text, format);
    report.sources.files.push(file);
    let tree = parse(report, index)?;
    let Some(entries) = tree.as_table() else {
        report.error(tree.span, "a configuration file must be a table");
        return None;
    };
    check_version(report, entries, named_by.is_none(), index);
    Some(tree)
}

fn check_version(report: &mut Report, entries: &[Entry], main: bool, file: usize) {
    match entries.iter().find(|entry| entry.key == "version") {
        Some(entry) if matches!(entry.value.value, Value::Integer(1)) => {}
        Some(entry) => {
            report
                .error(
                    entry.value.span,
                    "this version of the file format is not known",
                )
                .help("write `version = 1`");
        }
        None if main => {
            let start = Span {
                file,
                start: 0,
                end: 0,
            };
            report
                .error(
                    start,
                    "the file does not say which version of the format it is written in",
                )
                .help("begin it with `version = 1`");
        }
        None => {}
    }
}

fn includes(report: &mut Report, tree: &Node) -> Vec<(String, Span)> {
    let entries = tree.as_table().unwrap_or(&[]);
    let Some(entry) = entries.iter().find(|entry| entry.key == "include") else {
        return Vec::new();
    };
    value::texts(report, "include", &entry.value)
        .into_iter()
        .map(|(text, node)| (text.to_owned(), node.span))
        .collect()
}

/// The path of a pattern up to its first wildcard: files that are there later are below it too.
fn fixed_part(folder: &Path, pattern: &str) -> PathBuf {
    let fixed = Path::new(pattern)
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?']));
    folder.join(fixed.collect::<PathBuf>())
}

/// The files a pattern names, sorted; `*` and `?` stand within one component of the path.
fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    if pattern.is_empty() {
        return Err("`include` names no file".into());
    }
    if !pattern.contains(['*', '?']) {
        return Ok(vec![folder.join(pattern)]);
    }
    let mut found = vec![folder.to_path_buf()];
    for component in Path::new(pattern).components() {
        let Component::Normal(part) = component else {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        };
        let part = part.to_string_lossy();
        if !part.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(&*part));
            continue;
        }
        let mut next = Vec::new();
        for path in &found {
            let listed = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            for name in std::fs::read_dir(listed).into_iter().flatten().flatten() {
                let name = name.file_name();
                let shown = name.to_string_lossy();
                let hidden = shown.starts_with('.') && !part.starts_with('.');
                if !hidden && glob(&part, &shown) {
                    next.push(path.join(&name));
                }
            }
        }
        next.sort();
        found = next;
    }
    found.retain(|path| path.is_file());
    Ok(found)
}

/// `*` any characters, `?` one character.
fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || Some(&wanted) == text.get(t) => {
                p += 1;
                t += 1;
            }
            Some(_) | None => {
                let Some((at, from)) = star else {
                    return false;
                };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|&c| c == '*'))
}

/// All files as one: what each top-level key says, in the order of the files.
#[derive(Debug)]
pub(super) struct Document<'t> {
    keys: BTreeMap<&'t str, Vec<&'t Entry>>,
}

impl<'t> Document<'t> {
    /// Joins the files; `known` are all top-level keys.
    pub(super) fn new(report: &mut Report, trees: &'t [Node], known: &[&'static str]) -> Self {
        let mut keys: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in trees.iter().filter_map(Node::as_table).flatten() {
            if known.contains(&entry.key.as_str()) {
                keys.entry(&entry.key).or_default().push(entry);
            } else {
                super::section::hide(report, &entry.value);
                unknown(report, entry, "the file", known);
            }
        }
        Self { keys }
    }

    /// Every place that has the key.
    pub(super) fn all(&self, key: &str) -> &[&'t Entry] {
        self.keys.get(key).map_or(&[], Vec::as_slice)
    }

    /// A table that may be in one file only.
    pub(super) fn single(&self, report: &mut Report, key: &str) -> Option<&'t Entry> {
        let (first, others) = self.all(key).split_first()?;
        for other in others {
            twice(
                report,
                &format!("`[{key}]`"),
                other.key_span,
                first.key_span,
            );
        }
        Some(first)
    }

    /// The tables `[key.NAME]` of all files; a name may be defined once.
    pub(super) fn named(&self, report: &mut Report, key: &str) -> Vec<&'t Entry> {
        let mut found: Vec<&'t Entry> = Vec::new();
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for entry in self.all(key) {
            let Some(entries) = entry.value.as_table() else {
                report
                    .error(
                        entry.value.span,
                        format!("`{key}` must be a table, not {}", entry.value.kind()),
                    )
                    .help(format!("write `[{key}.NAME]`"));
                continue;
            };
            for one in entries {
                if one.key.is_empty() || one.key.chars().any(char::is_control) {
                    report.error(
                        one.key_span,
                        format!("a name in `[{key}.NAME]` is empty or holds control characters"),
                    );
                    continue;
                }
                match seen.get(one.key.as_str()) {
                    Some(first) => {
                        super::section::hide(report, &one.value);
                        twice(
                            report,
                            &format!("`[{key}.{}]`", one.key),
                            one.key_span,
                            *first,
                        );
                    }
                    None => {
                        seen.insert(&one.key, one.key_span);
                        found.push(one);
                    }
                }
            }
        }
        found
    }

    /// The tables `[[key]]` of all files.
    pub(super) fn list(&self, report: &mut Report, key: &str) -> Vec<&'t Node> {
        let mut found = Vec::new();
        for entry in self.all(key) {
            match entry.value.as_list() {
                Some(nodes) => found.extend(nodes),
                None => {
                    report
                        .error(
                            entry.key_span,
                            format!(
                                "`{key}` must be a list of tables, not {}",
                                entry.value.kind()
                            ),
                        )
                        .help(format!("write `[[{key}]]`"));
                }
            }
        }
        found
    }
}

fn twice(report: &mut Report, what: &str, second: Span, first: Span) {
    report
        .error(second, format!("{what} is defined twice"))
        .see(first, "first defined here")
        .help("keep one of them");
}
