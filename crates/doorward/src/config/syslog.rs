//! `to` of whatever is sent by syslog, and the keys beside it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use doorward_tls::ReferenceIdentity;

use super::lint::Lint;
use super::report::Report;
use super::section::Section;
use super::sink::{Facility, HostPort, Syslog, SyslogTarget, SyslogTls};
use super::source::{Span, escape};
use super::suggest::nearest;
use super::tls::ReadProfile;
use super::tree::Node;
use super::value;
use super::{Server, TlsProfile};

/// Octets of one message when nothing is said of it: what a receiver over a stream or a local socket should be able to
/// take (RFC 5425 section 4.3.1), and over UDP (RFC 5426 section 3.2).
const MAX_STREAM: usize = 8192;
const MAX_DATAGRAM: usize = 2048;

/// What `to` and its keys may refer to.
pub(super) struct Known<'a> {
    pub(super) server: &'a Server,
    pub(super) tls: &'a BTreeMap<Arc<str>, Arc<TlsProfile>>,
    /// Profiles that are in the file, also those that could not be used.
    pub(super) tls_names: &'a [ReadProfile],
}

/// `to`, `facility`, `tls` and `server_name`, as they are written.
pub(super) struct Keys<'t> {
    to: Option<&'t Node>,
    address: Option<Address>,
    facility: Facility,
    tls: Option<&'t Node>,
    server_name: Option<&'t Node>,
}

impl<'t> Keys<'t> {
    pub(super) fn read(report: &mut Report, section: &mut Section<'t>) -> Self {
        let to = section.required(report, "to");
        let address = to.and_then(|node| address(report, node));
        let facility = section
            .value("facility")
            .and_then(|node| value::choice(report, "facility", node, &Facility::NAMES));
        Self {
            to,
            address,
            facility: facility.unwrap_or_default(),
            tls: section.value("tls"),
            server_name: section.value("server_name"),
        }
    }

    /// `to` as the file has it.
    pub(super) fn written(&self) -> Option<&'t str> {
        self.to.and_then(Node::as_str)
    }

    /// The receiver and the place of `to`; `called` is what an `[[allow]]` calls it.
    pub(super) fn syslog(
        self,
        report: &mut Report,
        called: &str,
        known: &Known<'_>,
    ) -> Option<(Syslog, Span)> {
        let (to, address) = (self.to?, self.address?);
        if !matches!(address, Address::Tls(_)) {
            for (key, node) in [("tls", self.tls), ("server_name", self.server_name)] {
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
        warn(report, called, to.span, &address);
        let max_message = match address {
            Address::Udp(_) => MAX_DATAGRAM,
            Address::Tls(_) | Address::Tcp(_) | Address::Unix(_) => MAX_STREAM,
        };
        let target = match address {
            Address::Tls(place) => {
                let tls = secured(report, to, &place, self.tls, self.server_name, known)?;
                SyslogTarget::Tls(place, tls)
            }
            Address::Tcp(place) => SyslogTarget::Tcp(place),
            Address::Udp(place) => SyslogTarget::Udp(place),
            Address::Unix(path) => SyslogTarget::Unix(path),
        };
        let syslog = Syslog {
            target,
            facility: self.facility,
            max_message,
            host_name: Arc::clone(&known.server.name),
        };
        Some((syslog, to.span))
    }
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
