//! `[role.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use doorward_tacacs::Dialect;
use doorward_tacacs::dictionary::Definition;

use super::file::Document;
use super::lint::Lint;
use super::reply::Known;
use super::report::Report;
use super::section::{Section, hide_obvious};
use super::source::{Span, escape};
use super::text::StringMap;
use super::tree::{Entry, Node, Value};
use super::{profile, value};
use crate::policy::{
    CommandRule, Commands, GrantedArgument, Rendered, Role, RuleReference, Service, ServiceGrant,
    ShellGrant, parse_rules,
};

/// The roles by name.
pub(super) type Roles<'t> = BTreeMap<&'t str, ReadRole>;

/// A role and the places of its words.
#[derive(Debug)]
pub(super) struct ReadRole {
    pub(super) role: Arc<Role>,
    pub(super) name: Span,
    /// In the order of `commands`.
    pub(super) commands: Vec<Span>,
}

fn reference(report: &Report, span: Span) -> Arc<RuleReference> {
    Arc::new(RuleReference {
        location: report.location(span),
        text: report.sources.line(span).into(),
    })
}

pub(super) fn roles<'t>(
    report: &mut Report,
    document: &Document<'t>,
    known: &Known<'_>,
) -> Roles<'t> {
    let entries = document.named(report, "role");
    let mut roles = Roles::new();
    // Lines of a file become the texts of references below, and one line may hold several roles.
    for entry in &entries {
        if let Some(radius) = entry.value.entry("radius") {
            hide_obvious(report, &radius.value);
        }
    }
    for entry in entries {
        report.about(Some(format!("role.{}", entry.key)));
        if let Some(read) = role(report, entry, known) {
            roles.insert(&entry.key, read);
        }
    }
    report.about(None);
    roles
}

fn role(report: &mut Report, entry: &Entry, known: &Known<'_>) -> Option<ReadRole> {
    let title = format!("[role.{}]", entry.key);
    let mut section = Section::new(report, title.as_str(), &entry.value)?;
    let mut role = Role {
        name: entry.key.as_str().into(),
        shell: None,
        commands: Commands::default(),
        services: Vec::new(),
        radius: [].into(),
        rendered: Rendered::default(),
        reference: reference(report, entry.key_span),
    };
    if let Some(entry) = section.take("shell") {
        role.shell = shell(report, &title, entry).map(Arc::new);
    }
    let mut places = Vec::new();
    if let Some(node) = section.value("commands") {
        let (lines, spans): (Vec<_>, Vec<_>) = commands(report, node).into_iter().unzip();
        role.commands = lines.into();
        places = spans;
    }
    if let Some(node) = section.value("services") {
        role.services = services(report, &title, node);
    }
    if let Some(node) = section.value("radius") {
        role.radius = super::reply::attributes(report, known, &title, node).into();
    }
    role.rendered = profile::render(known.dictionary, &role);
    section.finish(report);
    Some(ReadRole {
        role: Arc::new(role),
        name: entry.key_span,
        commands: places,
    })
}

fn commands(report: &mut Report, node: &Node) -> Vec<(CommandRule, Span)> {
    let Some(text) = value::text(report, "commands", node) else {
        return Vec::new();
    };
    let map = StringMap::new(&report.sources, node);
    let (rules, problems) = parse_rules(text);
    for problem in problems {
        let span = map.span(problem.piece);
        let message = problem.kind.to_string();
        let found = if problem.kind.is_lint() {
            report.warning(Lint::SuspectWord, span, message)
        } else {
            report.error(span, message)
        };
        found.help(problem.kind.help());
    }
    rules
        .into_iter()
        .map(|rule| {
            let line = text.get(rule.line.clone()).unwrap_or("");
            let span = map.span(rule.line.clone());
            let reference = RuleReference {
                location: report.location(span),
                text: escape(line).into(),
            };
            (rule.at(Arc::new(reference)), span)
        })
        .collect()
}

fn shell(report: &mut Report, title: &str, entry: &Entry) -> Option<ShellGrant> {
    let mut section = Section::new(report, format!("`shell` of {title}"), &entry.value)?;
    let mut grant = ShellGrant {
        priv_lvl: None,
        max_priv_lvl: None,
        arguments: Vec::new(),
        reference: reference(report, entry.key_span),
    };
    let argument = |name: &str, value: String| GrantedArgument {
        name: name.into(),
        mandatory: true,
        value: value.into(),
    };
    if let Some(node) = section.value("priv_lvl") {
        grant.priv_lvl = value::integer(report, "priv_lvl", node, 0..=15);
        let level = grant
            .priv_lvl
            .map(|level| argument("priv-lvl", level.to_string()));
        grant.arguments.extend(level);
    }
    if let Some(node) = section.value("max_priv_lvl") {
        grant.max_priv_lvl = value::integer(report, "max_priv_lvl", node, 0..=15);
        if grant.max_priv_lvl < grant.priv_lvl {
            report
                .error(
                    node.span,
                    "`max_priv_lvl` is below `priv_lvl`, which a login gets at once",
                )
                .help("raise it, or take it out");
        }
    }
    for (key, name) in [("idle_time", "idletime"), ("timeout", "timeout")] {
        if let Some(node) = section.value(key) {
            let minutes = minutes(report, key, node);
            grant
                .arguments
                .extend(minutes.map(|value| argument(name, value.to_string())));
        }
    }
    if let Some(node) = section.value("attributes") {
        let place = format!("`attributes` of {}", section.name);
        attributes(report, &place, node, &mut grant.arguments);
    }
    section.finish(report);
    Some(grant)
}

/// RFC 8907 section 8.2 counts `timeout` and `idletime` in minutes; zero means none.
fn minutes(report: &mut Report, key: &str, node: &Node) -> Option<u64> {
    let time = value::duration(report, key, node)?;
    if time.as_secs() % 60 != 0 || time.subsec_nanos() != 0 {
        report
            .error(
                node.span,
                format!("`{key}` must be whole minutes, which is what TACACS+ counts in"),
            )
            .help("write \"15m\"");
        return None;
    }
    Some(time.as_secs() / 60)
}

/// The octets of `name=value` on the wire.
const MAX_ARGUMENT: usize = 255;

/// `{ name = value, .. }`: a list stands for one argument per element, a name that ends in `*` for an optional argument.
fn attributes(report: &mut Report, place: &str, node: &Node, to: &mut Vec<GrantedArgument>) {
    let Some(entries) = node.as_table() else {
        report.error(
            node.span,
            format!("{place} must be a table, not {}", node.kind()),
        );
        return;
    };
    for entry in entries {
        let (name, mandatory) = match entry.key.strip_suffix('*') {
            Some(name) => (name, false),
            None => (entry.key.as_str(), true),
        };
        let sound =
            !name.is_empty() && !name.contains(['=', '*']) && !name.chars().any(char::is_control);
        if !sound {
            report
                .error(entry.key_span, "this is no name of an argument")
                .help("a name has no `=`; a `*` at its end makes the argument optional (RFC 8907 section 6.1)");
            continue;
        }
        if to.iter().any(|one| *one.name == *name) {
            report
                .error(
                    entry.key_span,
                    format!(
                        "the argument `{}` is already set by a key of its own",
                        escape(name)
                    ),
                )
                .help("keep one of them");
            continue;
        }
        let one = std::slice::from_ref(&entry.value);
        let values = entry.value.as_list().unwrap_or(one);
        for node in values {
            let Some(value) = argument_value(report, &entry.key, node) else {
                continue;
            };
            let defined = Definition::of(name.as_bytes(), Dialect::Rfc8907);
            if let Some(Err(error)) = defined.map(|one| one.check(value.as_bytes())) {
                report
                    .error(node.span, format!("the argument `{name}` is {error}"))
                    .help("a device would count it as one that it cannot handle, and refuse what it comes with (RFC 8907 section 8)");
                continue;
            }
            if name.len() + 1 + value.len() > MAX_ARGUMENT {
                report.error(
                    node.span,
                    format!("an argument has at most {MAX_ARGUMENT} octets with its name"),
                );
                continue;
            }
            to.push(GrantedArgument {
                name: name.into(),
                mandatory,
                value: value.into(),
            });
        }
    }
}

fn argument_value(report: &mut Report, key: &str, node: &Node) -> Option<String> {
    let value = match &node.value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Number | Value::Date(_) | Value::Array(_) | Value::Table(_) | Value::Null => {
            value::wrong(
                report,
                node,
                &escape(key),
                "a string, a whole number, true or false, or a list of these",
            );
            return None;
        }
    };
    if value.chars().any(char::is_control) {
        report.error(node.span, "an argument cannot hold control characters");
        return None;
    }
    Some(value)
}

fn services(report: &mut Report, title: &str, node: &Node) -> Vec<Service> {
    let Some(entries) = node.as_table() else {
        report.error(
            node.span,
            format!("`services` of {title} must be a table, not {}", node.kind()),
        );
        return Vec::new();
    };
    entries
        .iter()
        .map(|entry| {
            let mut grant = ServiceGrant {
                arguments: Vec::new(),
                reference: reference(report, entry.key_span),
            };
            let place = format!("the service `{}` of {title}", escape(&entry.key));
            attributes(report, &place, &entry.value, &mut grant.arguments);
            let (name, protocol) = match entry.key.split_once('/') {
                Some((name, protocol)) => (name, Some(protocol)),
                None => (entry.key.as_str(), None),
            };
            if name == "shell" {
                report
                    .error(
                        entry.key_span,
                        "the service `shell` is what `shell = { .. }` of the role is for",
                    )
                    .help("write its arguments there");
            }
            Service {
                name: name.into(),
                protocol: protocol.map(Arc::from),
                grant: Arc::new(grant),
            }
        })
        .collect()
}
