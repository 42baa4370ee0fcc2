//! `[[accounting]]`: how long the database keeps records, and the sinks that are given each of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use doorward_tls::ReferenceIdentity;

use super::file::Document;
use super::lint::Lint;
use super::report::Report;
use super::section::{Section, not_built};
use super::server::path;
use super::sink::{Facility, HostPort, Sink, SinkKind, Syslog, SyslogTarget, SyslogTls};
use super::source::{Span, escape};
use super::suggest::nearest;
use super::tls::ReadProfile;
use super::tree::Node;
use super::value::{self, unknown_word};
use super::{Server, TlsProfile};

/// Octets of one message when `max_message` is absent: what a receiver over a stream or a local socket should be able to
/// take (RFC 5425 section 4.3.1), and over UDP (RFC 5426 section 3.2).
const MAX_STREAM: usize = 8192;
const MAX_DATAGRAM: usize = 2048;

/// What is said of the records.
#[derive(Debug, Default)]
pub(super) struct Accounting {
    /// How long the database keeps them; `None` = for ever.
    pub(super) keep: Option<Duration>,
    /// Who else gets them.
    pub(super) sinks: Vec<Sink>,
}

/// What a sink may refer to.
pub(super) struct Known<'a> {
    pub(super) server: &'a Server,
    pub(super) tls: &'a BTreeMap<Arc<str>, Arc<TlsProfile>>,
    /// Profiles that are in the file, also those that could not be used.
    pub(super) tls_names: &'a [ReadProfile],
}

pub(super) fn accounting(
    report: &mut Report,
    document: &Document<'_>,
    known: &Known<'_>,
) -> Accounting {
    let mut accounting = Accounting::default();
    let mut database: Option<Span> = None;
    let mut sinks: Vec<(Sink, Span)> = Vec::new();
    for node in document.list(report, "accounting") {
        let Some(mut section) = Section::new(report, "[[accounting]]", node) else {
            continue;
        };
        let Some(kind) = section.required(report, "type") else {
            continue;
        };
        let kind_span = kind.span;
        let sink = match value::text(report, "type", kind) {
            Some("database") => {
                if let Some(first) = database.replace(node.span) {
                    report
                        .error(node.span, "the accounting database is configured twice")
                        .see(first, "first here")
                        .help("keep one of them");
                }
                if let Some(node) = section.value("keep") {
                    let least = Duration::from_secs(3600);
                    accounting.keep = value::duration_from(report, "keep", node, least);
                }
                section.finish(report);
                continue;
            }
            Some("jsonl") => jsonl(report, section),
            Some("syslog") => syslog(report, section, known),
            Some("jetstream") => {
                not_built(
                    report,
                    kind_span,
                    "an accounting sink of type jetstream",
                    "sending records to NATS",
                    "take this [[accounting]] out of the file",
                );
                continue;
            }
            Some(other) => {
                let words = ["database", "jsonl", "syslog", "jetstream"];
                unknown_word(report, "type", other, kind_span, words.into_iter());
                continue;
            }
            None => continue,
        };
        if let Some((sink, span)) = sink {
            distinct(report, &sinks, &sink, span);
            sinks.push((sink, span));
        }
    }
    accounting.sinks = sinks.into_iter().map(|(sink, _)| sink).collect();
    accounting
}

/// The name is the place in the journal: two sinks with one would each miss what the other got.
fn distinct(report: &mut Report, sinks: &[(Sink, Span)], sink: &Sink, span: Span) {
    if let Some((_, first)) = sinks.iter().find(|(other, _)| other.name == sink.name) {
        let name = escape(&sink.name);
        report
            .error(span, format!("two sinks have the name `{name}`"))
            .see(*first, "the other one")
            .help("give each its own `name`, or take one of them out");
        return;
    }
    let SinkKind::Jsonl { path } = &sink.kind else {
        return;
    };
    let same =
        |other: &Sink| matches!(&other.kind, SinkKind::Jsonl { path: theirs } if theirs == path);
    if let Some((_, first)) = sinks.iter().find(|(other, _)| same(other)) {
        report
            .error(span, "two sinks write to the same file")
            .see(*first, "the other one")
            .help("give one of them another `path`");
    }
}

/// What every sink has.
struct Common {
    name: Option<Arc<str>>,
    decisions: bool,
}

fn common(report: &mut Report, section: &mut Section<'_>) -> Common {
    let name = section
        .value("name")
        .and_then(|node| value::name(report, "name", node))
        .map(Arc::from);
    let decisions = section
        .value("decisions")
        .and_then(|node| value::boolean(report, "decisions", node));
    Common {
        name,
        decisions: decisions.unwrap_or(false),
    }
}

/// The sink and the place of what it is called by.
fn jsonl(report: &mut Report, mut section: Section<'_>) -> Option<(Sink, Span)> {
    let Common { name, decisions } = common(report, &mut section);
    let node = section.required(report, "path");
    section.finish(report);
    let node = node?;
    let path = path(report, "path", node)?;
    let name = name.unwrap_or_else(|| format!("jsonl:{}", path.display()).into());
    let sink = Sink {
        name,
        decisions,
        kind: SinkKind::Jsonl { path },
        location: report.location(node.span),
    };
    Some((sink, node.span))
}

fn syslog(
    report: &mut Report,
    mut section: Section<'_>,
    known: &Known<'_>,
) -> Option<(Sink, Span)> {
    let Common { name, decisions } = common(report, &mut section);
    let to = section.required(report, "to");
    let address = to.and_then(|node| address(report, node));
    let facility = match section.value("facility") {
        Some(node) => value::choice(report, "facility", node, &Facility::NAMES).unwrap_or_default(),
        None => Facility::default(),
    };
    let max_message = section
        .value("max_message")
        .and_then(|node| value::integer(report, "max_message", node, 1024..=65_000));
    let tls = section.value("tls");
    let server_name = section.value("server_name");
    section.finish(report);
    let (to, address) = (to?, address?);
    if !matches!(address, Address::Tls(_)) {
        for (key, node) in [("tls", tls), ("server_name", server_name)] {
            if let Some(node) = node {
                report
                    .error(
                        node.span,
                        format!("`{key}` is for a `to` that begins with tls://"),
                    )
                    .help("write `to = \"tls://...\"`, or take it out");
            }
        }
    }
    let called = name.as_deref().or(to.as_str()).unwrap_or("syslog");
    warn(report, &format!("accounting.{called}"), to.span, &address);
    let default = match address {
        Address::Udp(_) => MAX_DATAGRAM,
        Address::Tls(_) | Address::Tcp(_) | Address::Unix(_) => MAX_STREAM,
    };
    let target = match address {
        Address::Tls(place) => {
            let tls = secured(report, to, &place, tls, server_name, known)?;
            SyslogTarget::Tls(place, tls)
        }
        Address::Tcp(place) => SyslogTarget::Tcp(place),
        Address::Udp(place) => SyslogTarget::Udp(place),
        Address::Unix(path) => SyslogTarget::Unix(path),
    };
    let name = name.unwrap_or_else(|| format!("syslog:{target}").into());
    let sink = Sink {
        name,
        decisions,
        kind: SinkKind::Syslog(Box::new(Syslog {
            target,
            facility,
            max_message: max_message.unwrap_or(default),
            host_name: Arc::clone(&known.server.name),
        })),
        location: report.location(to.span),
    };
    Some((sink, to.span))
}

/// `to` as it is written.
enum Address {
    Tls(HostPort),
    Tcp(HostPort),
    Udp(HostPort),
    Unix(PathBuf),
}

fn address(report: &mut Report, node: &Node) -> Option<Address> {
    let text = value::text(report, "to", node)?;
    let found = match text.split_once("://") {
        Some(("tls", rest)) => host_port(rest).map(Address::Tls),
        Some(("tcp", rest)) => host_port(rest).map(Address::Tcp),
        Some(("udp", rest)) => host_port(rest).map(Address::Udp),
        Some(("unix", rest)) if rest.starts_with('/') => Some(Address::Unix(rest.into())),
        Some(_) | None => None,
    };
    if found.is_none() {
        report
            .error(node.span, format!("`{}` of `to` is no place that syslog can be sent to", escape(text)))
            .help(
                "write \"tls://HOST:6514\", \"tcp://HOST:PORT\", \"udp://HOST:514\" or \"unix:///dev/log\"; \
                 an IPv6 address stands in brackets",
            );
    }
    found
}

fn host_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let address: std::net::Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
            address.to_string()
        }
        None => {
            let known = matches!(
                ReferenceIdentity::parse(host),
                Ok(ReferenceIdentity::Dns(_) | ReferenceIdentity::Ip(IpAddr::V4(_)))
            );
            // `localhost` and other names of the hosts file have no dot, and are none that a certificate could carry.
            let local = !host.is_empty()
                && host
                    .chars()
                    .all(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_'));
            (known || local).then(|| host.to_owned())?
        }
    };
    Some(HostPort { host, port })
}

/// What is lost without TLS, and what over UDP.
fn warn(report: &mut Report, section: &str, span: Span, address: &Address) {
    match address {
        Address::Udp(_) => {
            report
                .warning(
                    Lint::PlainSink,
                    span,
                    "syslog over UDP can lose records on their way, and neither side will know; without TLS anybody on the way can read them",
                )
                .on(section)
                .help("send to tls://, or have a jsonl sink beside it");
        }
        Address::Tcp(place) if !is_local(&place.host) => {
            report
                .warning(
                    Lint::PlainSink,
                    span,
                    "syslog over TCP without TLS: anybody on the way can read and change the records",
                )
                .on(section)
                .help("send to tls://");
        }
        Address::Tcp(_) | Address::Tls(_) | Address::Unix(_) => {}
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The profile we show and trust, and the name the server has to prove.
fn secured(
    report: &mut Report,
    to: &Node,
    place: &HostPort,
    tls: Option<&Node>,
    server_name: Option<&Node>,
    known: &Known<'_>,
) -> Option<SyslogTls> {
    let (wanted, wanted_span) = match tls {
        Some(node) => (value::text(report, "tls", node)?, node.span),
        None => ("default", to.span),
    };
    if !known
        .tls_names
        .iter()
        .any(|profile| *profile.name == *wanted)
    {
        let near = nearest(wanted, known.tls_names.iter().map(|profile| &*profile.name));
        report
            .error(wanted_span, format!("there is no [tls.{}]", escape(wanted)))
            .help("define it: `certificate` and `key` are what we show, `client_ca` is whom we trust to sign the receiver's certificate")
            .suggest(near);
    }
    let (name, name_span) = match server_name {
        Some(node) => (value::text(report, "server_name", node)?, node.span),
        None => (&*place.host, to.span),
    };
    let Ok(reference) = ReferenceIdentity::parse(name) else {
        report
            .error(
                name_span,
                format!("`{}` is no name that a certificate could prove", escape(name)),
            )
            .help("set `server_name` to a DNS name or an address that the receiver's certificate carries");
        return None;
    };
    let profile = known.tls.get(wanted)?;
    Some(SyslogTls {
        policy: Arc::clone(&profile.client),
        sni: reference.host_name().map(str::to_owned),
        reference,
        responders: Arc::default(),
    })
}
