//! From text to tree: TOML by `toml`, JSON by `jsonc-parser` in its strict mode.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::Report;
use super::source::{Format, Span};
use super::tree::{Entry, Node, Value};

/// The tree of file number `file`; what is wrong with its notation goes into the report.
pub(super) fn parse(report: &mut Report, file: usize) -> Option<Node> {
    let source = report.sources.files.get(file)?;
    let text = source.text.clone();
    match source.format {
        Format::Toml => parse_toml(report, file, &text),
        Format::Json => parse_json(report, file, &text),
    }
}

fn parse_toml(report: &mut Report, file: usize, text: &str) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(toml_table(file, table));
    }
    report.sources.hide_suspects(file);
    // What follows a mistake in the notation is often its echo: the first few say it all.
    for error in errors.iter().take(5) {
        let span = error.span().unwrap_or(0..0);
        let span = Span {
            file,
            start: span.start,
            end: span.end,
        };
        report
            .error(
                span,
                format!("this is not valid TOML: {}", one_line(error.message())),
            )
            .help("TOML is described at https://toml.io");
    }
    None
}

/// The parser's own words, which may quote the file only where the excerpt would too.
fn one_line(message: &str) -> String {
    super::source::escape(message.trim()).replace("\\n", "; ")
}

fn toml_table(file: usize, table: Spanned<DeTable<'_>>) -> Node {
    let span = span(file, table.span());
    Node {
        span,
        value: Value::Table(toml_entries(file, table.into_inner())),
    }
}

fn toml_entries(file: usize, table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: span(file, key.span()),
            key: key.into_inner().into_owned(),
            value: toml_value(file, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span);
    entries
}

fn toml_value(file: usize, value: Spanned<DeValue<'_>>) -> Node {
    let span = span(file, value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Number, Value::Integer),
        DeValue::Float(_) => Value::Number,
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(date) => Value::Date(date),
        DeValue::Array(array) => Value::Array(
            array
                .into_iter()
                .map(|element| toml_value(file, element))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(toml_entries(file, table)),
    };
    Node { span, value }
}

fn span(file: usize, range: std::ops::Range<usize>) -> Span {
    Span {
        file,
        start: range.start,
        end: range.end,
    }
}

fn parse_json(report: &mut Report, file: usize, text: &str) -> Option<Node> {
    let strict = jsonc_parser::ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    match jsonc_parser::parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &strict) {
        Ok(parsed) => {
            let value = parsed.value?;
            Some(json_value(report, file, value))
        }
        Err(error) => {
            report.sources.hide_suspects(file);
            let range = error.range();
            let place = Span {
                file,
                start: range.start,
                end: range.end,
            };
            report
                .error(
                    place,
                    format!(
                        "this is not valid JSON: {}",
                        one_line(&error.kind().to_string())
                    ),
                )
                .help("plain JSON only: no comments, no trailing commas");
            None
        }
    }
}

fn json_value(report: &mut Report, file: usize, value: ast::Value<'_>) -> Node {
    let range = value.range();
    let span = span(file, range.start..range.end);
    let value = match value {
        ast::Value::StringLit(text) => Value::String(text.value.into_owned()),
        ast::Value::NumberLit(number) => number.value.parse().map_or(Value::Number, Value::Integer),
        ast::Value::BooleanLit(value) => Value::Boolean(value.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(array) => Value::Array(
            array
                .elements
                .into_iter()
                .map(|element| json_value(report, file, element))
                .collect(),
        ),
        ast::Value::Object(object) => Value::Table(json_entries(report, file, object)),
    };
    Node { span, value }
}

fn json_entries(report: &mut Report, file: usize, object: ast::Object<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
    let mut seen = std::collections::HashMap::new();
    for property in object.properties {
        let range = property.name.range();
        let key_span = span(file, range.start..range.end);
        let key = property.name.as_str().to_owned();
        let value = json_value(report, file, property.value);
        if let Some(first) = seen.insert(key.clone(), key_span) {
            report
                .error(
                    key_span,
                    format!(
                        "`{}` is written twice in one object",
                        super::source::escape(&key)
                    ),
                )
                .see(first, "first written here")
                .help("keep one of them");
            continue;
        }
        entries.push(Entry {
            key,
            key_span,
            value,
        });
    }
    entries
}
