//! `[[test]]` as it stands in the file.

use super::super::authentication::authentication_type;
use super::super::file::Document;
use super::super::reply::Known;
use super::super::report::Report;
use super::super::rules::Names;
use super::super::section::Section;
use super::super::source::{Location, Span, escape};
use super::super::suggest::nearest;
use super::super::tree::Node;
use super::super::value;
use super::super::{AuthenticationType, PolicyTest, reply};
use crate::policy::{Decision, Protocol, ReplyAttribute};

/// Places of a test's words, for checks that need the rest of the file.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct TestSpans {
    user: Span,
    device: Span,
    /// Of `deny`; of the whole test where it has none.
    pub(in crate::config) deny: Span,
}

pub(in crate::config) fn read(
    report: &mut Report,
    document: &Document<'_>,
    known: &Known<'_>,
) -> Vec<(PolicyTest, TestSpans)> {
    let nodes = document.list(report, "test");
    nodes
        .into_iter()
        .filter_map(|node| read_one(report, node, known))
        .collect()
}

fn read_one(
    report: &mut Report,
    node: &Node,
    known: &Known<'_>,
) -> Option<(PolicyTest, TestSpans)> {
    let mut section = Section::new(report, "[[test]]", node)?;
    let mut user = None;
    let mut groups = None;
    if let Some(node) = section.required(report, "as")
        && let Some(mut who) = Section::new(report, "`as` of a [[test]]", node)
    {
        user = who
            .required(report, "user")
            .and_then(|node| value::name(report, "user", node).map(|name| (name, node.span)))
            .filter(|(name, span)| value::is_user_name(report, name, *span));
        groups = who
            .value("groups")
            .map(|node| value::names(report, "groups", node));
        who.finish(report);
    }
    let device = section
        .required(report, "on")
        .and_then(|node| value::name(report, "on", node).map(|name| (name, node.span)));
    let at = section
        .value("at")
        .and_then(|node| value::timestamp(report, "at", node));
    let from = section
        .value("from")
        .and_then(|node| value::address(report, "from", node));
    let protocol = section.value("protocol").and_then(|node| {
        let words = [("tacacs", Protocol::Tacacs), ("radius", Protocol::Radius)];
        value::choice(report, "protocol", node, &words)
    });
    let protocol = protocol.unwrap_or(Protocol::Tacacs);
    let auth = auth(report, &mut section, protocol);
    let deny_span = node.entry("deny").map_or(node.span, |entry| entry.key_span);
    let permit = commands(report, &mut section, "permit");
    let deny = commands(report, &mut section, "deny");
    if protocol == Protocol::Radius {
        for key in ["permit", "deny"] {
            if let Some(entry) = node.entry(key) {
                let (this, help) = (
                    format!("`{key}`"),
                    "take it out; what there is to expect of a RADIUS login is `login` and `radius` of `expect`",
                );
                apart(
                    report,
                    entry.key_span,
                    [&this, RADIUS],
                    "RADIUS asks for no commands",
                    help,
                );
            }
        }
    }
    let expected = section
        .value("expect")
        .and_then(|node| expected(report, node, protocol, known))
        .unwrap_or_default();
    section.finish(report);
    let ((user, user_span), (device, device_span)) = (user?, device?);
    let test = PolicyTest {
        user: user.into(),
        groups,
        device: device.into(),
        at,
        from,
        protocol,
        auth,
        permit,
        deny,
        priv_lvl: expected.priv_lvl,
        login: expected.login,
        radius: expected.radius,
        location: report.location(node.span),
    };
    let spans = TestSpans {
        user: user_span,
        device: device_span,
        deny: deny_span,
    };
    Some((test, spans))
}

const RADIUS: &str = "`protocol = \"radius\"`";

/// Two things of a test of which each makes the other meaningless.
fn apart(report: &mut Report, span: Span, [this, that]: [&str; 2], why: &str, help: &str) {
    report
        .error(span, format!("{this} and {that} do not go together: {why}"))
        .help(help);
}

/// How the user logs in: by default as most devices of the protocol have it.
fn auth(report: &mut Report, section: &mut Section<'_>, protocol: Protocol) -> AuthenticationType {
    use AuthenticationType::{Ascii, Chap, MsChapV1, MsChapV2, Pap};
    let usual = match protocol {
        Protocol::Tacacs => Ascii,
        Protocol::Radius => Pap,
    };
    let Some(node) = section.value("auth") else {
        return usual;
    };
    let auth = value::text(report, "auth", node)
        .and_then(|name| authentication_type(report, "auth", name, node.span))
        .unwrap_or(usual);
    match (protocol, auth) {
        (Protocol::Radius, Ascii | MsChapV1) => {
            let this = format!("`auth = \"{}\"`", auth.name());
            let help = "write \"pap\", \"chap\" or \"mschapv2\"";
            apart(
                report,
                node.span,
                [&this, RADIUS],
                "there is no such login",
                help,
            );
        }
        (Protocol::Tacacs, _) | (Protocol::Radius, Pap | Chap | MsChapV2) => {}
    }
    auth
}

/// `expect`.
#[derive(Default)]
struct Expected {
    priv_lvl: Option<u8>,
    login: Option<Decision>,
    radius: Vec<ReplyAttribute>,
}

fn expected(
    report: &mut Report,
    node: &Node,
    protocol: Protocol,
    known: &Known<'_>,
) -> Option<Expected> {
    let mut expect = Section::new(report, "`expect` of a [[test]]", node)?;
    let mut expected = Expected::default();
    if let Some(node) = expect.value("priv_lvl") {
        expected.priv_lvl = value::integer(report, "priv_lvl", node, 0..=15);
        if protocol == Protocol::Radius {
            let help =
                "expect what the role gives: `radius = { Service-Type = \"Administrative-User\" }`";
            apart(
                report,
                node.span,
                ["`priv_lvl`", RADIUS],
                "it is of TACACS+",
                help,
            );
        }
    }
    if let Some(node) = expect.value("login") {
        let words = [("permit", Decision::Permit), ("deny", Decision::Deny)];
        expected.login = value::choice(report, "login", node, &words);
    }
    if let Some(node) = expect.value("radius") {
        expected.radius = reply::attributes(report, known, "`radius` of `expect`", node);
        if protocol == Protocol::Tacacs {
            let (that, help) = (
                "`protocol = \"tacacs\"`",
                "add `protocol = \"radius\"` to the [[test]]",
            );
            apart(
                report,
                node.span,
                ["`radius`", that],
                "TACACS+ has no such attributes",
                help,
            );
        } else if expected.login == Some(Decision::Deny) {
            let that = "`login = \"deny\"`";
            apart(
                report,
                node.span,
                ["`radius`", that],
                "a denied login gets no attributes",
                "take one of them out",
            );
        }
    }
    expect.finish(report);
    Some(expected)
}

fn commands(
    report: &mut Report,
    section: &mut Section<'_>,
    key: &'static str,
) -> Vec<(String, Location)> {
    let Some(node) = section.value(key) else {
        return Vec::new();
    };
    value::texts(report, key, node)
        .into_iter()
        .map(|(text, node)| (text.to_owned(), report.location(node.span)))
        .collect()
}

/// A test of a device that is not there could only fail, and one of a user in no group that any rule knows is a slip.
pub(in crate::config) fn check_names(
    report: &mut Report,
    tests: &[(PolicyTest, TestSpans)],
    names: &Names<'_>,
) {
    for (test, spans) in tests {
        if !names.devices.contains(&*test.device) {
            let near = nearest(&test.device, names.devices.iter().copied());
            report
                .error(
                    spans.device,
                    format!("there is no device `{}`", escape(&test.device)),
                )
                .help("a test is on a device of the file")
                .suggest(near);
        }
        if test.groups.is_none() && !names.configured_users.contains(&*test.user) {
            let near = nearest(&test.user, names.configured_users.iter().copied());
            report
                .error(
                    spans.user,
                    format!(
                        "there is no user `{}`, and the test names no groups",
                        escape(&test.user)
                    ),
                )
                .help("add `groups = [..]` to `as`, or name a user of the file")
                .suggest(near);
        }
    }
}
