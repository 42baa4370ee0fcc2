//! The rows of the ledger: `conformance/*.csv` and the list of finished documents beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

/// The name of the file that lists the finished documents.
const FINISHED: &str = "finished.toml";

/// The header every CSV file has to carry.
const COLUMNS: [&str; 6] = [
    "id",
    "section",
    "level",
    "role",
    "requirement",
    "how_to_observe",
];

/// How binding a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// MUST.
    Must,
    /// MUST NOT.
    MustNot,
    /// SHOULD.
    Should,
    /// SHOULD NOT.
    ShouldNot,
    /// MAY.
    May,
    /// No key word, but it has to be implemented.
    Fact,
}

impl Level {
    /// All levels, in the order they are printed in.
    pub const ALL: [Self; 6] = [
        Self::Must,
        Self::MustNot,
        Self::Should,
        Self::ShouldNot,
        Self::May,
        Self::Fact,
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// As written in the files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::May => "MAY",
            Self::Fact => "FACT",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Row {
    /// Its id, never renumbered.
    pub id: String,
    /// The section it comes from.
    pub section: String,
    /// How binding it is.
    #[serde(deserialize_with = "level")]
    pub level: Level,
    /// Whom it addresses.
    pub role: String,
    /// What is required.
    pub requirement: String,
    /// How one sees that it is met.
    pub how_to_observe: String,
}

impl Row {
    /// Whether a line in the review record is an answer to this row.
    pub fn takes_review(&self) -> bool {
        self.how_to_observe.starts_with("review:") || self.role == "operator-tooling"
    }

    /// Whether the row was taken back.
    pub fn is_withdrawn(&self) -> bool {
        self.requirement.starts_with("WITHDRAWN:")
    }
}

fn level<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Level, D::Error> {
    let text: String = serde::Deserialize::deserialize(deserializer)?;
    Level::parse(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no requirement level")))
}

/// The rows of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The file's name without `.csv`.
    pub name: String,
    /// Whether its MUST rows have to be shown.
    pub finished: bool,
    /// Its rows, in the order of the file.
    pub rows: Vec<Row>,
}

/// The content of `finished.toml`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Finished {
    finished: Vec<String>,
}

/// Reads the directory `conformance`. Every trouble is one sentence in the errors; what could be read is returned.
pub fn load(directory: &Path, errors: &mut Vec<String>) -> Vec<Document> {
    let mut finished = finished(&directory.join(FINISHED), errors);
    let mut documents = Vec::new();
    for path in crate::workspace::files(directory, "csv") {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let rows = rows(&path, &name, errors);
        let is_finished = finished.remove(&name);
        documents.push(Document {
            name,
            finished: is_finished,
            rows,
        });
    }
    for name in finished {
        errors.push(format!(
            "conformance/{FINISHED}: there is no document `{name}`"
        ));
    }
    if documents.is_empty() {
        errors.push("conformance: no documents found".to_owned());
    }
    refuse_repeated_ids(&documents, errors);
    documents
}

fn finished(path: &Path, errors: &mut Vec<String>) -> BTreeSet<String> {
    let read = fs::read_to_string(path).map_err(|error| error.to_string());
    let parsed =
        read.and_then(|text| toml::from_str::<Finished>(&text).map_err(|error| error.to_string()));
    let finished = parsed.unwrap_or_else(|error| {
        errors.push(format!("conformance/{FINISHED}: {error}"));
        Finished::default()
    });
    finished.finished.into_iter().collect()
}

fn rows(path: &Path, name: &str, errors: &mut Vec<String>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut reader = match csv::Reader::from_path(path) {
        Ok(reader) => reader,
        Err(error) => {
            errors.push(format!("conformance/{name}.csv: {error}"));
            return rows;
        }
    };
    match reader.headers() {
        Ok(header) if header.iter().eq(COLUMNS) => {}
        Ok(_) => {
            errors.push(format!(
                "conformance/{name}.csv: the columns are not {COLUMNS:?}"
            ));
            return rows;
        }
        Err(error) => {
            errors.push(format!("conformance/{name}.csv: {error}"));
            return rows;
        }
    }
    for row in reader.deserialize::<Row>() {
        match row {
            Ok(row) if crate::source::is_id(&row.id) => rows.push(row),
            Ok(row) => errors.push(format!("conformance/{name}.csv: `{}` is no id", row.id)),
            Err(error) => errors.push(format!("conformance/{name}.csv: {error}")),
        }
    }
    rows
}

fn refuse_repeated_ids(documents: &[Document], errors: &mut Vec<String>) {
    let mut seen = BTreeMap::new();
    for document in documents {
        for row in &document.rows {
            if let Some(first) = seen.insert(row.id.as_str(), document.name.as_str()) {
                errors.push(format!(
                    "conformance/{}.csv: the id {} is already in {first}.csv",
                    document.name, row.id
                ));
            }
        }
    }
}
