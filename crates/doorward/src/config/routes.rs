//! Reading `[[route]]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use doorward_radius::dictionary::Dictionary;

use super::file::Document;
use super::report::Report;
use super::rewrite;
use super::rules::{Names, Of, conditions};
use super::section::Section;
use super::source::{Span, escape};
use super::suggest::nearest;
use super::tree::Node;
use super::value;
use crate::policy::{RealmPattern, Route, RuleReference};

/// A route and its place.
#[derive(Debug)]
pub(super) struct ReadRoute {
    pub(super) route: Route,
    pub(super) place: Span,
    /// How `[[allow]]` calls it: its number among all routes.
    pub(super) section: String,
}

/// The routes. `pools` are the names of all pools, those too that cannot be used.
pub(super) fn routes(
    report: &mut Report,
    document: &Document<'_>,
    pools: &BTreeMap<&str, Span>,
    names: &Names<'_>,
    dictionary: &Dictionary,
) -> Vec<ReadRoute> {
    let mut routes = Vec::new();
    for (index, node) in document.list(report, "route").into_iter().enumerate() {
        let Some(mut section) = Section::new(report, "[[route]]", node) else {
            continue;
        };
        let name = format!("route.{}", index + 1);
        report.about(Some(name.clone()));
        let realm_node = section.value("realm");
        let realm = realm_node.map(|node| realm(report, node));
        let conditions = section
            .value("when")
            .map_or_else(Vec::new, |node| conditions(report, node, names, Of::Route));
        let pool = section.required(report, "pool").and_then(|node| {
            let name = value::text(report, "pool", node)?;
            if !pools.contains_key(name) {
                let message = format!("there is no pool `{}`", escape(name));
                report
                    .error(node.span, message)
                    .help("define it: [[pool]] with this `name`")
                    .suggest(nearest(name, pools.keys().copied()));
            }
            Some(Arc::from(name))
        });
        let mut changes = |report: &mut Report, key| {
            section.value(key).map_or_else(Default::default, |node| {
                rewrite::read(report, dictionary, key, node)
            })
        };
        let request = changes(report, "rewrite");
        let answer = changes(report, "rewrite_answer");
        let strip_realm = section
            .value("strip_realm")
            .and_then(|node| value::boolean(report, "strip_realm", node));
        section.finish(report);
        report.about(None);
        let place = realm_node.map_or(node.span, |node| node.span);
        let (Some(pool), false) = (pool, realm == Some(None)) else {
            continue;
        };
        let route = Route {
            realm: realm.flatten(),
            conditions,
            pool,
            request,
            answer,
            strip_realm: strip_realm.unwrap_or(false),
            reference: reference(report, place, realm_node),
        };
        routes.push(ReadRoute {
            route,
            place,
            section: name,
        });
    }
    routes
}

fn reference(report: &Report, place: Span, realm: Option<&Node>) -> Arc<RuleReference> {
    let text = match realm.and_then(Node::as_str) {
        Some(realm) => format!("[[route]] realm = \"{}\"", escape(realm)),
        None => "[[route]]".to_owned(),
    };
    Arc::new(RuleReference {
        location: report.location(place),
        text: text.into(),
    })
}

/// `example.org`, `*.example.org`, `*`, or nothing.
fn realm(report: &mut Report, node: &Node) -> Option<RealmPattern> {
    let text = value::text(report, "realm", node)?;
    let is_realm = |text: &str| {
        let unfit = |char: char| char.is_whitespace() || char.is_control() || "*@".contains(char);
        text.split('.').all(|label| !label.is_empty()) && !text.contains(unfit)
    };
    match text {
        "" => return Some(RealmPattern::None),
        "*" => return Some(RealmPattern::Any),
        _ => {}
    }
    if let Some(parent) = text.strip_prefix("*.")
        && is_realm(parent)
    {
        return Some(RealmPattern::Sub(parent.to_owned()));
    }
    if is_realm(text) {
        return Some(RealmPattern::Exact(text.to_owned()));
    }
    report
        .error(node.span, format!("`{}` is no realm", escape(text)))
        .help("write \"example.org\", \"*.example.org\" for the realms below it, \"*\" for every one, or \"\" for names without; the realm is what follows the `@`");
    None
}
