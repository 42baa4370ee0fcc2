//! `[[listen]]`.

use std::net::SocketAddr;
use std::time::Duration;

use doorward_radius::pairs::UDP_PORTS;
use doorward_tacacs::Dialect;
use doorward_tls::Methods;
use ipnet::IpNet;

use super::dialect::dialect;
use super::file::Document;
use super::lint::Lint;
use super::report::Report;
use super::section::Section;
use super::source::Span;
use super::tree::Node;
use super::value::{self, unknown_word};
use super::{Device, Listener, ListenerProtocol, Surroundings};
use crate::policy::Protocol;

pub(super) fn listeners(
    report: &mut Report,
    document: &Document<'_>,
    surroundings: &Surroundings,
) -> Vec<(Listener, ListenerSpans)> {
    let nodes = document.list(report, "listen");
    let mut listeners = Vec::new();
    for node in nodes {
        listeners.extend(listener(report, node, surroundings));
        report.about(None);
    }
    listeners
}

/// Places of a listener's words, for checks that need the rest of the file.
#[derive(Clone, Debug)]
pub(super) struct ListenerSpans {
    pub(super) protocol: Span,
    pub(super) address: Span,
    /// In the order of `tls`; the whole listener where it says nothing.
    pub(super) tls: Vec<Span>,
    /// In the order of `device_groups`.
    pub(super) device_groups: Vec<Span>,
}

fn listener(
    report: &mut Report,
    node: &Node,
    surroundings: &Surroundings,
) -> Option<(Listener, ListenerSpans)> {
    let mut section = Section::new(report, "[[listen]]", node)?;
    let protocol_node = section.required(report, "protocol")?;
    let protocol = match value::text(report, "protocol", protocol_node)? {
        "tacacs-tls" => ListenerProtocol::TacacsTls,
        "tacacs" => ListenerProtocol::Tacacs,
        "radius-tls" => ListenerProtocol::RadiusTls,
        "radius-udp" => ListenerProtocol::RadiusUdp,
        "radius-dtls" => ListenerProtocol::RadiusDtls,
        name => {
            let known = [
                "tacacs-tls",
                "tacacs",
                "radius-tls",
                "radius-dtls",
                "radius-udp",
            ];
            unknown_word(
                report,
                "protocol",
                name,
                protocol_node.span,
                known.into_iter(),
            );
            return None;
        }
    };
    let tls = protocol.is_tls();
    let address_node = section.value("address");
    let address = match address_node {
        Some(node) => value::socket_address(report, "address", node),
        None => Some(default_address(protocol)),
    };
    report.about(address.map(|address| format!("listen.{address}")));
    let mut spans = ListenerSpans {
        protocol: protocol_node.span,
        address: address_node.map_or(node.span, |node| node.span),
        tls: vec![node.span],
        device_groups: Vec::new(),
    };
    let mut listener = Listener {
        protocol,
        address: address.unwrap_or(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0))),
        tls: tls.then(|| "default".into()).into_iter().collect(),
        from: Vec::new(),
        single_connection: true,
        idle_timeout: Some(match protocol.speaks() {
            Protocol::Radius => RADIUS_IDLE,
            Protocol::Tacacs => IDLE,
        }),
        handshake_timeout: Duration::from_secs(5),
        max_connections: 10_000,
        make_room: false,
        max_handshakes: 512,
        handshake_rate: 0,
        max_body: 65_536,
        dialect: Dialect::Rfc8907,
        methods: Methods::default(),
        message_authenticator: true,
        until: None,
        device_groups: None,
        location: report.location(node.span),
    };
    apart(report, &listener, spans.address);
    tls_keys(report, &mut section, &mut listener, &mut spans);
    limits(report, &mut section, &mut listener);
    not_for_datagrams(report, &mut section, &listener);
    plain_keys(report, &mut section, &mut listener, surroundings);
    if let Some(node) = section.value("device_groups") {
        let groups = value::texts(report, "device_groups", node);
        spans.device_groups = groups.iter().map(|(_, node)| node.span).collect();
        listener.device_groups = Some(groups.into_iter().map(|(name, _)| name.into()).collect());
    }
    message_authenticator(report, &mut section, &mut listener);
    section.finish(report);
    address.map(|_| (listener, spans))
}

/// Secure and insecure RADIUS never share a port (RFC 6614bis section 3.12).
fn apart(report: &mut Report, listener: &Listener, address: Span) {
    let port = listener.address.port();
    let radsec = listener.protocol.is_tls() && listener.protocol.speaks() == Protocol::Radius;
    if radsec && UDP_PORTS.contains(&port) {
        report
            .error(
                address,
                "this is a port of RADIUS/UDP, where RadSec must not be",
            )
            .help("RadSec has port 2083; others than 1645, 1646, 1812, 1813 and 3799 are possible");
    }
    if listener.protocol == ListenerProtocol::RadiusUdp
        && port == ListenerProtocol::RadiusTls.default_port()
    {
        report
            .error(
                address,
                "this is the port of RadSec, where RADIUS/UDP must not be",
            )
            .help("RADIUS/UDP has port 1812; others than 2083 are possible");
    }
}

/// RADIUS/UDP is for this machine unless the file says otherwise.
fn default_address(protocol: ListenerProtocol) -> SocketAddr {
    let port = protocol.default_port();
    if protocol == ListenerProtocol::RadiusUdp {
        SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port))
    } else {
        SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port))
    }
}

fn message_authenticator(report: &mut Report, section: &mut Section<'_>, listener: &mut Listener) {
    let Some(node) = section.value("message_authenticator") else {
        return;
    };
    let words = [("require", true), ("off", false)];
    let read = value::choice(report, "message_authenticator", node, &words);
    if listener.protocol != ListenerProtocol::RadiusUdp {
        let message = format!(
            "there is no `message_authenticator` of a listener for {}",
            listener.protocol.name()
        );
        report
            .error(node.span, message)
            .help("take it out: it is for RADIUS/UDP, and TLS protects every request as a whole");
        return;
    }
    listener.message_authenticator = read.unwrap_or(true);
    if !listener.message_authenticator {
        report
            .warning(
                Lint::MessageAuthenticatorOff,
                node.span,
                "an Access-Request without Message-Authenticator is judged here: whoever is on the way can change it, and forge answers by it (BlastRADIUS)",
            )
            .help("write \"require\", once the last device that sends none has been updated or replaced");
    }
}

/// Adds the ranges of the devices that a listener is for to its `from`; an empty `from` admits everybody as it is.
pub(super) fn admit_devices<'a>(
    listener: &mut Listener,
    devices: impl Iterator<Item = &'a Device>,
) {
    if listener.from.is_empty() {
        return;
    }
    for device in devices {
        let equipped = if listener.protocol.is_tls() {
            device.can_use_tls()
        } else {
            !device.secrets(listener.protocol).is_empty()
        };
        if listener.admits(device) && equipped {
            listener.from.extend(&device.address);
        }
    }
    listener.from = IpNet::aggregate(&listener.from);
}

fn tls_keys(
    report: &mut Report,
    section: &mut Section<'_>,
    listener: &mut Listener,
    spans: &mut ListenerSpans,
) {
    let plain = !listener.protocol.is_tls();
    let radius = listener.protocol.speaks() == Protocol::Radius;
    if let Some(node) = section.value("tls") {
        if plain {
            report
                .error(
                    node.span,
                    format!("a listener for {} has no TLS", listener.protocol.name()),
                )
                .help(if radius {
                    "take `tls` out, or make the protocol \"radius-tls\""
                } else {
                    "take `tls` out, or make the protocol \"tacacs-tls\""
                });
        } else {
            let names = value::one_or_more(report, "tls", node);
            spans.tls = names.iter().map(|(_, node)| node.span).collect();
            listener.tls = names.into_iter().map(|(name, _)| name.into()).collect();
        }
    }
    if let Some(node) = section.value("auth") {
        if plain {
            report
                .error(node.span, "`auth` is for listeners with TLS")
                .help("take it out");
            return;
        }
        let methods = value::texts(report, "auth", node);
        listener.methods = Methods {
            certificate: methods.iter().any(|(method, _)| *method == "certificate"),
            psk: methods.iter().any(|(method, _)| *method == "psk"),
            raw_public_key: methods
                .iter()
                .any(|(method, _)| *method == "raw-public-key"),
        };
        for (method, node) in &methods {
            match *method {
                "raw-public-key" if radius => {
                    report
                        .error(node.span, "RadSec knows no raw public keys")
                        .help("take \"raw-public-key\" out: devices need a certificate or a pre-shared key");
                }
                "certificate" | "psk" | "raw-public-key" => {}
                other => {
                    let known = ["certificate", "psk", "raw-public-key"];
                    unknown_word(report, "auth", other, node.span, known.into_iter());
                }
            }
        }
        if methods.is_empty() && node.as_list().is_some() {
            report
                .error(
                    node.span,
                    "`auth` is empty, so that no device could authenticate",
                )
                .help("write [\"certificate\"]");
        }
    }
}

/// What only connections have.
fn not_for_datagrams(report: &mut Report, section: &mut Section<'_>, listener: &Listener) {
    for key in [
        "idle_timeout",
        "handshake_timeout",
        "make_room",
        "max_handshakes",
        "handshake_rate",
    ] {
        if let Some(node) = section.value(key)
            && listener.protocol == ListenerProtocol::RadiusUdp
        {
            report
                .error(
                    node.span,
                    format!("`{key}` is for listeners with connections"),
                )
                .help("take it out: RADIUS/UDP has none");
        }
    }
}

/// What is TACACS+'s own.
fn not_for_radius(report: &mut Report, key: &str, node: &Node, listener: &Listener) {
    if listener.protocol.speaks() == Protocol::Radius {
        report
            .error(node.span, format!("`{key}` is for TACACS+"))
            .help("take it out: RADIUS has no such thing");
    }
}

fn limits(report: &mut Report, section: &mut Section<'_>, listener: &mut Listener) {
    if let Some(node) = section.value("from") {
        listener.from = value::networks(report, "from", node);
    }
    if let Some(node) = section.value("single_connection") {
        not_for_radius(report, "single_connection", node, listener);
        listener.single_connection =
            value::boolean(report, "single_connection", node).unwrap_or(false);
    }
    let second = Duration::from_secs(1);
    if let Some(node) = section.value("idle_timeout") {
        let radius = listener.protocol.speaks() == Protocol::Radius;
        if node.as_str() == Some("off") && listener.protocol == ListenerProtocol::RadiusDtls {
            report
                .error(node.span, "`idle_timeout` cannot be \"off\" for DTLS")
                .help("nothing else ends the association of a device that is gone without a word, or lets it begin anew from its port; write a duration, as in \"15m\"");
        } else if node.as_str() == Some("off") && radius {
            listener.idle_timeout = None;
        } else if node.as_str() == Some("off") {
            report
                .error(node.span, "`idle_timeout` can be \"off\" on RADIUS listeners only")
                .help("RFC 9887 wants idle TACACS+ connections closed; write a duration, as in \"5m\"");
        } else if let Some(time) = value::duration_from(report, "idle_timeout", node, second) {
            listener.idle_timeout = Some(time);
            if radius && time < SHORT_IDLE {
                report
                    .warning(
                        Lint::ShortIdleTimeout,
                        node.span,
                        "devices whose connections are closed this soon connect anew for nearly every login",
                    )
                    .help("take it out (15 minutes), or write 60s at least, or \"off\"");
            }
        }
    }
    if let Some(node) = section.value("handshake_timeout")
        && let Some(time) = value::duration_from(report, "handshake_timeout", node, second / 10)
    {
        listener.handshake_timeout = time;
    }
    let million = 1..=1_000_000;
    if let Some(node) = section.value("max_connections") {
        let read = value::integer(report, "max_connections", node, million.clone());
        listener.max_connections = read.unwrap_or(listener.max_connections);
    }
    if let Some(node) = section.value("make_room") {
        listener.make_room = value::boolean(report, "make_room", node).unwrap_or(false);
    }
    if let Some(node) = section.value("max_handshakes") {
        let read = value::integer(report, "max_handshakes", node, million);
        listener.max_handshakes = read.unwrap_or(listener.max_handshakes);
    }
    if let Some(node) = section.value("handshake_rate") {
        let read = value::integer(report, "handshake_rate", node, 0..=1_000_000);
        listener.handshake_rate = read.unwrap_or(0);
    }
    if let Some(node) = section.value("max_body") {
        not_for_radius(report, "max_body", node, listener);
        // The longest body that the lengths of RFC 8907 section 6.1 can add up to.
        let read = value::integer(report, "max_body", node, 256..=196_356);
        listener.max_body = read.unwrap_or(listener.max_body);
    }
}

/// `idle_timeout` of TACACS+ listeners.
const IDLE: Duration = Duration::from_secs(300);
/// `idle_timeout` of RADIUS listeners, whose clients keep their connections.
const RADIUS_IDLE: Duration = Duration::from_secs(900);
/// Idle times of RADIUS listeners below which a connection is not worth its handshake.
const SHORT_IDLE: Duration = Duration::from_secs(60);

/// Days before the last one of a listener from which on it is spoken of.
const NOTICE: i32 = 30;

fn plain_keys(
    report: &mut Report,
    section: &mut Section<'_>,
    listener: &mut Listener,
    surroundings: &Surroundings,
) {
    if let Some(node) = section.value("until") {
        listener.until = value::date(report, "until", node);
        let today = surroundings.today();
        let left = listener.until.map(|until| (until - today).get_days());
        let message = match left {
            Some(..0) => Some("this day is past: the listener stays closed"),
            Some(0..=NOTICE) => Some("the listener closes after this day, which is near"),
            Some(_) | None => None,
        };
        if let Some(message) = message {
            report
                .warning(Lint::ListenerEnds, node.span, message)
                .help("move the devices that still use it to TLS, then take the [[listen]] out; or move the day");
        }
    }
    if let Some(node) = section.value("dialect") {
        listener.dialect = dialect(report, node).unwrap_or_default();
        if listener.protocol.speaks() == Protocol::Radius {
            report
                .error(node.span, "RADIUS has no dialects")
                .help("take `dialect` out");
        } else if listener.protocol == ListenerProtocol::TacacsTls
            && listener.dialect != Dialect::Rfc8907
        {
            report
                .error(
                    node.span,
                    "TACACS+ over TLS has one dialect, that of RFC 8907",
                )
                .help("take `dialect` out; older devices need a listener of protocol \"tacacs\"");
        }
    }
}
