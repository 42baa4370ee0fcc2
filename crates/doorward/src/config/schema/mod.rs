//! The configuration file as a JSON Schema, for editors and generators of inventories.
//!
//! [`tables`] says for every key what it holds and means. What is true is what the parser takes: the tests read examples of
//! every table, compare the keys each reader asked for with those listed here, and try values of every kind on both. A key
//! that is added to one of the two alone fails them with its name.

mod tables;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod validate;

use serde_json::{Map, Value, json};

/// One key of a table.
#[derive(Clone, Copy, Debug)]
struct Key {
    name: &'static str,
    kind: Kind,
    /// A value in TOML that the parser takes.
    example: &'static str,
    /// What it means, with its unit.
    about: &'static str,
    /// What holds without it, in TOML.
    default: Option<&'static str>,
    required: bool,
}

const fn key(name: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Key {
    Key {
        name,
        kind,
        example,
        about,
        default: None,
        required: false,
    }
}

impl Key {
    const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// What a key holds. The words of an unbuilt key are those that ask for nothing.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    /// A string that is not empty.
    Name,
    /// A string of this form, a regular expression.
    Form(&'static str),
    /// One of these strings.
    Words(&'static [&'static str]),
    Flag,
    /// `false`, of a key that is not built.
    False,
    /// From, to.
    Whole(i64, i64),
    /// "5m", "1h30m".
    Duration,
    /// The same, or `off`.
    DurationOrOff,
    /// A path, or `false`.
    PathOrFalse,
    /// A reference to a secret.
    Secret,
    /// The same, or an empty string for none.
    SecretOrNone,
    /// A TOML date, or a string of that form.
    Day,
    /// A TOML date and time with its offset, or a string of that form.
    Moment,
    /// A list of strings.
    Texts,
    /// The same, not empty.
    SomeTexts,
    /// A list of some of these strings, not empty.
    SomeWords(&'static [&'static str]),
    /// A list of some of these strings, or of none.
    AnyWords(&'static [&'static str]),
    /// A string, or a list of strings that is not empty.
    OneOrMore,
    /// The same, of these strings.
    OneOrMoreWords(&'static [&'static str]),
    /// The same, of strings of this form.
    OneOrMoreForms(&'static str),
    /// A path, or a list of paths.
    Files,
    /// A table with these keys.
    Table(&'static [Key]),
    /// Tables by name: `[device.core1]`.
    Named(&'static [Key]),
    /// A list of tables: `[[rule]]`.
    List(&'static [Key]),
    /// A list of tables, each with the keys of what it says in the key of this name.
    Variants(&'static str, &'static [(&'static str, &'static [Key])]),
    /// TACACS+ arguments by name.
    Arguments,
    /// Arguments by service.
    Services,
    /// RADIUS attributes by name.
    Attributes,
    /// References to hashes by privilege level.
    Levels,
    /// A reference to a secret, or a list of these tables, not empty.
    SecretOrList(&'static [Key]),
}

/// Which file is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The main file, which says its version.
    Main,
    /// A file that `include` names.
    Included,
}

/// The JSON Schema (draft 2020-12) of a configuration file.
pub fn schema(part: Part) -> Value {
    let mut schema = table(tables::FILE);
    let about = match part {
        Part::Main => "Configuration of the AAA server Doorward",
        Part::Included => "Part of a configuration of the AAA server Doorward, named by `include`",
    };
    if let Some(entries) = schema.as_object_mut() {
        if part == Part::Included {
            entries.remove("required");
        }
        entries.insert(
            "$schema".into(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        entries.insert("title".into(), json!("doorward.toml"));
        entries.insert("description".into(), json!(about));
    }
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema =
        json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty()
        && let Some(entries) = schema.as_object_mut()
    {
        entries.insert("required".into(), json!(required));
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = kind(&key.kind);
    let Some(entries) = schema.as_object_mut() else {
        return schema;
    };
    let mut about = key.about.to_owned();
    if let Some(default) = key.default {
        about.push_str(&format!("\n\nDefault: `{default}`"));
        entries.insert("default".into(), value(default));
    }
    entries.insert("description".into(), json!(about));
    if !key.example.is_empty() {
        entries.insert("examples".into(), json!([value(key.example)]));
    }
    schema
}

fn kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Name => json!({ "type": "string", "minLength": 1 }),
        Kind::Form(pattern) => json!({ "type": "string", "pattern": pattern }),
        Kind::Words(words) => json!({ "type": "string", "enum": words }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::False => json!({ "const": false }),
        Kind::Whole(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        Kind::Duration => json!({ "type": "string", "pattern": DURATION }),
        Kind::DurationOrOff => json!({ "type": "string", "pattern": format!("^off$|{DURATION}") }),
        Kind::Secret => json!({ "type": "string", "pattern": "^(file|env|cred|exec|plain):" }),
        Kind::PathOrFalse => {
            json!({ "anyOf": [{ "const": false }, { "type": "string", "minLength": 1 }] })
        }
        Kind::SecretOrNone => {
            json!({ "type": "string", "pattern": "^$|^(file|env|cred|exec|plain):" })
        }
        Kind::Day => json!({ "type": "string", "format": "date" }),
        Kind::Moment => json!({ "type": "string", "format": "date-time" }),
        Kind::Texts => list(json!({ "type": "string" }), 0),
        Kind::SomeTexts => list(json!({ "type": "string" }), 1),
        Kind::SomeWords(words) => list(json!({ "type": "string", "enum": words }), 1),
        Kind::AnyWords(words) => list(json!({ "type": "string", "enum": words }), 0),
        Kind::OneOrMore => one_or_list(json!({ "type": "string" }), 1),
        Kind::OneOrMoreForms(pattern) => {
            one_or_list(json!({ "type": "string", "pattern": pattern }), 1)
        }
        Kind::OneOrMoreWords(words) => one_or_list(json!({ "type": "string", "enum": words }), 1),
        Kind::Files => one_or_list(json!({ "type": "string" }), 0),
        Kind::Table(keys) => table(keys),
        Kind::Named(keys) => json!({
            "type": "object",
            "propertyNames": { "minLength": 1 },
            "additionalProperties": table(keys),
        }),
        Kind::List(keys) => list(table(keys), 0),
        Kind::Variants(key, variants) => {
            let variants: Vec<Value> = variants
                .iter()
                .map(|(word, keys)| variant(key, word, keys))
                .collect();
            list(json!({ "oneOf": variants }), 0)
        }
        Kind::Arguments => arguments(),
        Kind::Services => json!({ "type": "object", "additionalProperties": arguments() }),
        Kind::Attributes => json!({
            "type": "object",
            "additionalProperties": one_or_list(json!({ "type": ["string", "integer"] }), 0),
        }),
        Kind::SecretOrList(keys) => {
            json!({ "anyOf": [self::kind(&Kind::Secret), list(table(keys), 1)] })
        }
        Kind::Levels => json!({
            "type": "object",
            "propertyNames": { "pattern": "^([0-9]|1[0-5])$" },
            "additionalProperties": { "type": "string", "pattern": "^((file|env|cred|exec|plain):|user$)" },
        }),
    }
}

/// A number and a unit, once or more: what the parser of durations takes.
const DURATION: &str = r"^(([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d|w))+$";

fn list(items: Value, least: u32) -> Value {
    if least == 0 {
        json!({ "type": "array", "items": items })
    } else {
        json!({ "type": "array", "items": items, "minItems": least })
    }
}

fn one_or_list(items: Value, least: u32) -> Value {
    json!({ "anyOf": [items, list(items.clone(), least)] })
}

/// The table whose key `key` says `word`.
fn variant(key: &str, word: &str, keys: &[Key]) -> Value {
    let mut schema = table(keys);
    if let Some(property) = schema.pointer_mut(&format!("/properties/{key}"))
        && let Some(entries) = property.as_object_mut()
    {
        entries.insert("enum".into(), json!([word]));
    }
    schema
}

/// Strings, whole numbers and booleans, or lists of them, by names that a `*` makes optional.
fn arguments() -> Value {
    let one = json!({ "type": ["string", "integer", "boolean"] });
    json!({
        "type": "object",
        "propertyNames": { "pattern": r"^[^=*]+\*?$" },
        "additionalProperties": one_or_list(one, 0),
    })
}

/// A value written in TOML, as JSON.
fn value(text: &str) -> Value {
    let table = format!("value = {text}").parse::<toml::Table>();
    table
        .ok()
        .and_then(|mut table| table.remove("value"))
        .map_or(Value::Null, json_of)
}

/// TOML as JSON; dates become strings, as editors see them.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(values) => values.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| (key, json_of(value)))
            .collect(),
    }
}
