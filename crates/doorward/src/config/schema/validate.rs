//! As much of JSON Schema as [`super::schema`] uses, for its tests; a keyword it does not know is a panic, so that it cannot
//! be lenient by ignorance. `tests/packaging/schema.rs` lets a validator nobody here wrote judge as well.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

/// What is wrong with the value; empty = it is valid.
pub(super) fn validate(schema: &Value, value: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    check(schema, value, "", &mut problems);
    problems
}

fn valid(schema: &Value, value: &Value) -> bool {
    validate(schema, value).is_empty()
}

fn check(schema: &Value, value: &Value, place: &str, problems: &mut Vec<String>) {
    let keywords = schema.as_object().expect("a schema is an object");
    for (keyword, argument) in keywords {
        if !holds(keyword, argument, schema, value, place, problems) {
            problems.push(format!(
                "{place}: {keyword} {argument} does not hold for {value}"
            ));
        }
    }
}

fn holds(
    keyword: &str,
    argument: &Value,
    schema: &Value,
    value: &Value,
    place: &str,
    problems: &mut Vec<String>,
) -> bool {
    let text = value.as_str();
    let number = value.as_i64();
    let list = value.as_array();
    let length = |limit: &Value| limit.as_u64().unwrap() as usize;
    match keyword {
        "$schema" | "title" | "description" | "examples" | "default" => true,
        "type" => {
            let one = std::slice::from_ref(argument);
            let types = argument.as_array().map_or(one, Vec::as_slice);
            types.iter().any(|name| is(name.as_str().unwrap(), value))
        }
        "enum" => argument.as_array().unwrap().contains(value),
        "const" => argument == value,
        "minimum" => number.is_none_or(|number| number >= argument.as_i64().unwrap()),
        "maximum" => number.is_none_or(|number| number <= argument.as_i64().unwrap()),
        "minLength" => text.is_none_or(|text| text.chars().count() >= length(argument)),
        "pattern" => text.is_none_or(|text| matches(argument.as_str().unwrap(), text)),
        "format" => text.is_none_or(|text| match argument.as_str().unwrap() {
            "date" => text.parse::<jiff::civil::Date>().is_ok(),
            "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
            other => panic!("a format that is not known: {other}"),
        }),
        "minItems" => list.is_none_or(|list| list.len() >= length(argument)),
        "maxItems" => list.is_none_or(|list| list.len() <= length(argument)),
        "items" => {
            for (index, item) in list.into_iter().flatten().enumerate() {
                check(argument, item, &format!("{place}/{index}"), problems);
            }
            true
        }
        "anyOf" => argument
            .as_array()
            .unwrap()
            .iter()
            .any(|one| valid(one, value)),
        "oneOf" => {
            let fitting = argument.as_array().unwrap().iter();
            fitting.filter(|one| valid(one, value)).count() == 1
        }
        "propertyNames" => value.as_object().is_none_or(|entries| {
            let mut names = entries.keys();
            names.all(|name| valid(argument, &Value::String(name.clone())))
        }),
        "required" => value.as_object().is_none_or(|entries| {
            let mut names = argument.as_array().unwrap().iter();
            names.all(|name| entries.contains_key(name.as_str().unwrap()))
        }),
        "properties" => {
            for (name, entry) in value.as_object().into_iter().flatten() {
                if let Some(schema) = argument.get(name) {
                    check(schema, entry, &format!("{place}/{name}"), problems);
                }
            }
            true
        }
        "additionalProperties" => {
            for (name, entry) in value.as_object().into_iter().flatten() {
                let known = schema
                    .get("properties")
                    .is_some_and(|one| one.get(name).is_some());
                if known {
                    continue;
                }
                if argument == &Value::Bool(false) {
                    problems.push(format!("{place}: there is no key {name}"));
                } else {
                    check(argument, entry, &format!("{place}/{name}"), problems);
                }
            }
            true
        }
        other => panic!("a keyword that is not known: {other}"),
    }
}

/// Patterns are few, and each is tried thousands of times.
fn matches(pattern: &str, text: &str) -> bool {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        let known = known.entry(pattern.to_owned());
        known
            .or_insert_with(|| Regex::new(pattern).unwrap())
            .is_match(text)
    })
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("a type that is not known: {other}"),
    }
}
