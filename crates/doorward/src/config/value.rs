//! Values of the kinds that the file uses, each mistake reported at its word.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use doorward_tacacs::Dialect;
use ipnet::{IpNet, Ipv4Net};

use super::report::Report;
use super::source::{Span, escape};
use super::suggest::nearest;
use super::tree::{Node, Value};
use crate::identity::user_name;

/// Reports a value of the wrong kind.
pub(super) fn wrong(report: &mut Report, node: &Node, key: &str, wanted: &str) {
    report.error(
        node.span,
        format!("`{key}` must be {wanted}, not {}", node.kind()),
    );
}

pub(super) fn text<'t>(report: &mut Report, key: &str, node: &'t Node) -> Option<&'t str> {
    let text = node.as_str();
    if text.is_none() {
        wrong(report, node, key, "a string");
    }
    text
}

/// A string that is not empty and has no control characters.
pub(super) fn name<'t>(report: &mut Report, key: &str, node: &'t Node) -> Option<&'t str> {
    let text = text(report, key, node)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        report.error(
            node.span,
            format!("`{key}` must not be empty or hold control characters"),
        );
        return None;
    }
    Some(text)
}

/// Whether a user name stands in the form that logins are compared with (RFC 8907 section 3.7); what differs is reported.
pub(super) fn is_user_name(report: &mut Report, name: &str, span: Span) -> bool {
    let (message, help) = match user_name(name.as_bytes(), Dialect::Rfc8907) {
        Ok(form) if form == name => return true,
        Ok(form) => (
            format!("the user name `{}` has another form", escape(name)),
            format!(
                "write it as `{}`, which is how every spelling of it is compared (RFC 8265)",
                escape(&form)
            ),
        ),
        Err(error) => (
            format!("`{}` is no user name: {error}", escape(name)),
            "no login could have it; take those characters out".to_owned(),
        ),
    };
    report.error(span, message).help(help);
    false
}

pub(super) fn boolean(report: &mut Report, key: &str, node: &Node) -> Option<bool> {
    if let Value::Boolean(value) = node.value {
        return Some(value);
    }
    wrong(report, node, key, "true or false");
    None
}

pub(super) fn integer<T: TryFrom<i64>>(
    report: &mut Report,
    key: &str,
    node: &Node,
    range: RangeInclusive<i64>,
) -> Option<T> {
    let Value::Integer(value) = node.value else {
        wrong(report, node, key, "a whole number");
        return None;
    };
    if !range.contains(&value) {
        report.error(
            node.span,
            format!("`{key}` must be from {} to {}", range.start(), range.end()),
        );
        return None;
    }
    T::try_from(value).ok()
}

/// The elements of a list of strings, with their nodes; elements of other kinds are reported.
pub(super) fn texts<'t>(
    report: &mut Report,
    key: &str,
    node: &'t Node,
) -> Vec<(&'t str, &'t Node)> {
    let Some(nodes) = node.as_list() else {
        wrong(report, node, key, "a list of strings");
        return Vec::new();
    };
    nodes
        .iter()
        .filter_map(|element| {
            let text = element.as_str();
            if text.is_none() {
                report.error(
                    element.span,
                    format!("`{key}` must hold strings, not {}", element.kind()),
                );
            }
            text.map(|text| (text, element))
        })
        .collect()
}

/// A string or a list of strings.
pub(super) fn one_or_more<'t>(
    report: &mut Report,
    key: &str,
    node: &'t Node,
) -> Vec<(&'t str, &'t Node)> {
    match &node.value {
        Value::String(text) => vec![(text, node)],
        Value::Array(nodes) => {
            if nodes.is_empty() {
                report
                    .error(
                        node.span,
                        format!("`{key}` is an empty list, which nothing can be in"),
                    )
                    .help("name something, or take the key out");
            }
            texts(report, key, node)
        }
        Value::Integer(_)
        | Value::Number
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Table(_)
        | Value::Null => {
            wrong(report, node, key, "a string or a list of strings");
            Vec::new()
        }
    }
}

/// A list of names.
pub(super) fn names(report: &mut Report, key: &str, node: &Node) -> Vec<Arc<str>> {
    texts(report, key, node)
        .into_iter()
        .map(|(text, _)| Arc::from(text))
        .collect()
}

/// One of a fixed set of words.
pub(super) fn choice<T: Copy>(
    report: &mut Report,
    key: &str,
    node: &Node,
    words: &[(&'static str, T)],
) -> Option<T> {
    let text = text(report, key, node)?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    unknown_word(
        report,
        key,
        text,
        node.span,
        words.iter().map(|(word, _)| *word),
    );
    None
}

/// Reports a word outside a fixed set.
pub(super) fn unknown_word(
    report: &mut Report,
    key: &str,
    text: &str,
    span: Span,
    known: impl Iterator<Item = &'static str>,
) {
    let known: Vec<&str> = known.collect();
    let near = nearest(text, known.iter().copied());
    let problem = report.error(span, format!("`{}` is no value of `{key}`", escape(text)));
    match near {
        Some(name) => problem.suggest(Some(name)),
        None => problem.help(format!("use one of: {}", known.join(", "))),
    };
}

pub(super) fn socket_address(report: &mut Report, key: &str, node: &Node) -> Option<SocketAddr> {
    let text = text(report, key, node)?;
    let parsed = text.parse();
    if parsed.is_err() {
        report
            .error(node.span, format!("`{}` is no address and port", escape(text)))
            .help("write \"192.0.2.1:300\", or \"[2001:db8::1]:300\" for IPv6; \"[::]:300\" is every address");
    }
    parsed.ok()
}

/// A network, or one address as a network of its own; host bits are cleared.
pub(super) fn network(report: &mut Report, key: &str, text: &str, span: Span) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    match text.parse::<IpNet>() {
        Ok(network) if network.trunc() == network => Some(canonical(network)),
        Ok(network) => {
            report
                .error(
                    span,
                    format!("`{}` has bits set outside its prefix", escape(text)),
                )
                .help(format!(
                    "write \"{}\" for the network, or a longer prefix for the host",
                    network.trunc()
                ));
            None
        }
        Err(_) => {
            report
                .error(
                    span,
                    format!("`{}` of `{key}` is no address or network", escape(text)),
                )
                .help("write \"192.0.2.1\", \"192.0.2.0/24\" or \"2001:db8::/48\"");
            None
        }
    }
}

/// IPv4 in IPv6 clothes counts as IPv4, as in connections.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    let plain = mapped.addr().to_ipv4_mapped();
    let prefix = mapped.prefix_len().checked_sub(96);
    match plain
        .zip(prefix)
        .map(|(addr, prefix)| Ipv4Net::new(addr, prefix))
    {
        Some(Ok(network)) => network.into(),
        Some(Err(_)) | None => network,
    }
}

pub(super) fn networks(report: &mut Report, key: &str, node: &Node) -> Vec<IpNet> {
    texts(report, key, node)
        .into_iter()
        .filter_map(|(text, element)| network(report, key, text, element.span))
        .collect()
}

/// "5m", "1h30m", "0.5s".
pub(super) fn duration(report: &mut Report, key: &str, node: &Node) -> Option<Duration> {
    let text = text(report, key, node)?;
    let parsed = parse_duration(text);
    if parsed.is_none() {
        report
            .error(
                node.span,
                format!("`{}` of `{key}` is no duration", escape(text)),
            )
            .help("write a number and a unit: ms, s, m, h, d or w, as in \"90s\" or \"1h30m\"");
    }
    parsed
}

/// A duration that is at least `floor`.
pub(super) fn duration_from(
    report: &mut Report,
    key: &str,
    node: &Node,
    floor: Duration,
) -> Option<Duration> {
    let value = duration(report, key, node)?;
    if value < floor {
        report.error(node.span, format!("`{key}` must be at least {floor:?}"));
        return None;
    }
    Some(value)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit: f64 = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        let seconds = number.parse::<f64>().ok()? * unit;
        // A thousand years is more than anybody means, and less than what overflows later sums.
        if !(0.0..=3.2e10).contains(&seconds) {
            return None;
        }
        total = total.checked_add(Duration::from_secs_f64(seconds))?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// What a TOML date or a string says (JSON has no dates).
fn date_or_text<T: std::str::FromStr>(node: &Node) -> Option<T> {
    match &node.value {
        Value::Date(date) => date.to_string().parse().ok(),
        Value::String(text) => text.parse().ok(),
        Value::Integer(_)
        | Value::Number
        | Value::Boolean(_)
        | Value::Array(_)
        | Value::Table(_)
        | Value::Null => None,
    }
}

/// A day: a TOML date, or a string of that form.
pub(super) fn date(report: &mut Report, key: &str, node: &Node) -> Option<jiff::civil::Date> {
    let parsed = date_or_text(node);
    if parsed.is_none() {
        report
            .error(node.span, format!("`{key}` must be a day"))
            .help("write 2027-06-30");
    }
    parsed
}

/// A moment: a TOML offset date-time, or a string of that form.
pub(super) fn timestamp(report: &mut Report, key: &str, node: &Node) -> Option<jiff::Timestamp> {
    let parsed = date_or_text(node);
    if parsed.is_none() {
        report
            .error(
                node.span,
                format!("`{key}` must be a moment with its offset from UTC"),
            )
            .help("write 2027-01-04T10:00:00Z");
    }
    parsed
}

/// An address without a prefix.
pub(super) fn address(report: &mut Report, key: &str, node: &Node) -> Option<IpAddr> {
    let text = text(report, key, node)?;
    let parsed = text.parse();
    if parsed.is_err() {
        report.error(
            node.span,
            format!("`{}` of `{key}` is no address", escape(text)),
        );
    }
    parsed.ok()
}

/// The value of a RADIUS attribute, which is written as a string or a number.
pub(super) fn string_or_number<'t>(
    report: &mut Report,
    key: &str,
    node: &'t Node,
) -> Option<Cow<'t, str>> {
    match &node.value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Integer(integer) => Some(Cow::Owned(integer.to_string())),
        Value::Number
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Array(_)
        | Value::Table(_)
        | Value::Null => {
            wrong(report, node, key, "a string, a number, or a list of them");
            None
        }
    }
}
