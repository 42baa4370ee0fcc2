//! `[radius]`: the dictionaries of vendors beside what is built in.
//!
//! They are read anew with every configuration. What one of them includes has to be below its folder, and all of them
//! together are bounded, so that a file from elsewhere can neither reach for others nor fill the memory.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use doorward_radius::dictionary::{Dictionary, Fault, Passed};

use super::diagnostic::Failure;
use super::file::Document;
use super::lint::Lint;
use super::report::Report;
use super::secret::folder;
use super::section::Section;
use super::source::{Format, SourceFile, Span, escape};
use super::value;

/// Octets of all files together; FreeRADIUS, with some two hundred vendors, has one million.
const OCTETS: u64 = 16 << 20;

/// The names that are built in.
pub fn standard() -> Arc<Dictionary> {
    static STANDARD: OnceLock<Arc<Dictionary>> = OnceLock::new();
    Arc::clone(STANDARD.get_or_init(|| Arc::new(Dictionary::standard())))
}

/// What is built in, and what these files define: for commands that read no configuration.
///
/// # Errors
/// A file that cannot be read, or a mistake in one.
pub fn load_dictionaries(paths: &[PathBuf]) -> Result<Arc<Dictionary>, Failure> {
    let mut report = Report::default();
    let mut dictionary = standard();
    let mut octets = OCTETS;
    for path in paths {
        Reader::new(&mut report, path, None, &mut octets).load(&mut dictionary);
    }
    if report.has_errors() {
        return Err(Failure {
            places: std::mem::take(&mut report.places),
            diagnostics: report.into_diagnostics().0,
        });
    }
    Ok(dictionary)
}

/// `[radius]`.
pub(super) fn dictionary(report: &mut Report, document: &Document<'_>) -> Arc<Dictionary> {
    let mut dictionary = standard();
    let Some(entry) = document.single(report, "radius") else {
        return dictionary;
    };
    let Some(mut section) = Section::new(report, "[radius]", &entry.value) else {
        return dictionary;
    };
    let mut octets = OCTETS;
    if let Some(node) = section.value("dictionaries") {
        for (text, node) in value::texts(report, "dictionaries", node) {
            if text.is_empty() {
                report
                    .error(node.span, "`dictionaries` names no file")
                    .help("write the path of one, or take it out");
                continue;
            }
            let path = folder(report, node.span).join(text);
            let reader = Reader::new(report, &path, Some(node.span), &mut octets);
            reader.load(&mut dictionary);
        }
    }
    section.finish(report);
    dictionary
}

/// One file, and what it includes.
struct Reader<'r> {
    report: &'r mut Report,
    path: &'r Path,
    /// Where the configuration names it.
    named_by: Option<Span>,
    /// So many octets may be read yet.
    left: &'r mut u64,
    /// The place of each file among the sources, by its path below the folder.
    read: BTreeMap<String, usize>,
}

impl<'r> Reader<'r> {
    fn new(
        report: &'r mut Report,
        path: &'r Path,
        named_by: Option<Span>,
        left: &'r mut u64,
    ) -> Self {
        Self {
            report,
            path,
            named_by,
            left,
            read: BTreeMap::new(),
        }
    }

    fn load(mut self, dictionary: &mut Arc<Dictionary>) {
        let name = self.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let text = match self.text(name.clone(), self.path) {
            Ok(text) => text,
            Err(error) => return self.unreadable(&error),
        };
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let mut include = |name: &str| {
            let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
            if !Path::new(name).components().all(inside) {
                return Err(
                    "it is not below the folder of the dictionary; name it in the configuration"
                        .to_owned(),
                );
            }
            self.text(name.to_owned(), &folder.join(name))
        };
        match Arc::make_mut(dictionary).load(&name, &text, &mut include) {
            Ok(None) => {}
            Ok(Some(passed)) => self.passed_over(&passed),
            Err(fault) => self.faulty(&fault),
        }
    }

    /// The text of a file, which is a source of the configuration from now on.
    fn text(&mut self, name: String, path: &Path) -> Result<String, String> {
        self.report.places.read.insert(path.to_path_buf());
        let text = read(path, self.left).map_err(|error| error.to_string())?;
        let files = &mut self.report.sources.files;
        self.read.insert(name, files.len());
        // Nobody parses it as such; its lines are shown.
        files.push(SourceFile::new(Arc::from(path), text.clone(), Format::Toml));
        Ok(text)
    }

    fn unreadable(self, error: &str) {
        let path = escape(&self.path.to_string_lossy());
        let message = format!("the dictionary {path} cannot be read: {error}");
        match self.named_by {
            Some(span) => self.report.error(span, message),
            None => self.report.fault(message),
        }
        .help("check the path and its permissions");
    }

    fn span(&self, fault: &Fault) -> Span {
        let index = self.read.get(&fault.file).copied().unwrap_or_default();
        let sources = &self.report.sources;
        sources.in_line(index, fault.line, fault.octets.clone())
    }

    /// Some files of FreeRADIUS have hundreds of such lines.
    fn passed_over(self, Passed { first, others }: &Passed) {
        let message = match others {
            0 => first.message.clone(),
            1 => format!(
                "{}; another line of the dictionary is passed over too",
                first.message
            ),
            count => format!(
                "{}; {count} other lines of the dictionary are passed over too",
                first.message
            ),
        };
        let span = self.span(first);
        self.report
            .warning(Lint::DictionaryLines, span, message)
            .on("radius")
            .help("attributes of a vendor stand between BEGIN-VENDOR and END-VENDOR; take out what is not for packets, or accept this");
    }

    fn faulty(self, fault: &Fault) {
        let span = self.span(fault);
        let problem = self.report.error(span, fault.message.as_str());
        problem.help(
            "correct the line or leave it out; the format is that of FreeRADIUS, and what is built in keeps its numbers and types",
        );
        if let Some(named_by) = self.named_by {
            problem.see(named_by, "named here");
        }
    }
}

/// Reads a file of at most `left` octets, which are fewer afterwards.
fn read(path: &Path, left: &mut u64) -> std::io::Result<String> {
    // Opening a pipe would wait for somebody to write.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut octets = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(left.saturating_add(1)).read_to_end(&mut octets)?;
    let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
    *left = left.checked_sub(length).ok_or_else(|| {
        let most = OCTETS >> 20;
        std::io::Error::other(format!(
            "all dictionaries together have more than {most} MiB"
        ))
    })?;
    String::from_utf8(octets).map_err(|_| std::io::Error::other("it is not UTF-8 text"))
}
