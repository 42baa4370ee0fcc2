//! A configuration file as a tree in which every key and value knows its place, whatever notation it was written in.

use super::source::Span;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What TOML and JSON have in common, and TOML's dates.
#[derive(Debug)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    /// A number that is no whole number of 64 bits.
    Number,
    Boolean(bool),
    Date(toml::value::Datetime),
    Array(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
    Null,
}

/// `key = value`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

impl Node {
    /// What it is, for "must be ..., not ...".
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::String(_) => "a string",
            Value::Integer(_) => "a whole number",
            Value::Number => "a number like that",
            Value::Boolean(_) => "true or false",
            Value::Date(_) => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
            Value::Null => "null",
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            Value::Integer(_)
            | Value::Number
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Array(_)
            | Value::Table(_)
            | Value::Null => None,
        }
    }

    /// The entry `key` of a table.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_table()?.iter().find(|entry| entry.key == key)
    }

    pub(super) fn as_table(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            Value::String(_)
            | Value::Integer(_)
            | Value::Number
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Array(_)
            | Value::Null => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Array(nodes) => Some(nodes),
            Value::String(_)
            | Value::Integer(_)
            | Value::Number
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Table(_)
            | Value::Null => None,
        }
    }

    /// Every string in it, at any depth.
    pub(super) fn strings(&self, found: &mut Vec<Span>) {
        match &self.value {
            Value::String(_) => found.push(self.span),
            Value::Array(nodes) => nodes.iter().for_each(|node| node.strings(found)),
            Value::Table(entries) => entries.iter().for_each(|entry| entry.value.strings(found)),
            Value::Integer(_)
            | Value::Number
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Null => {}
        }
    }
}
