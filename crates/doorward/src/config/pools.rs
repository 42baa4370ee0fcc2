//! Reading `[[pool]]`.

mod discover;
mod hastls;
mod secure;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorward_client::radius::{Error, Reconnect, Secret, Server};
use doorward_client::{Responders, ServerAddress};
use doorward_hastls::RecordType;

use super::file::Document;
use super::lint::secrets::Secrets;
use super::pool::{Pool, Settings, Strategy, Watchdog};
use super::report::Report;
use super::section::{Section, hide, not_built};
use super::shared_secret::{self, Of};
use super::source::{Span, escape};
use super::tls::ReadProfile;
use super::tree::Node;
use super::{DevicePsk, ListenerProtocol, Surroundings, secret, value};
use crate::secret::Reference;

/// The shortest interval of the watchdog (RFC 3539 section 3.4.1).
const SHORTEST_WATCHDOG: Duration = Duration::from_secs(6);
/// How long a connection to a server that was found is kept open unused if nothing else is said: there are many realms.
const IDLE_WHEN_FOUND: Duration = Duration::from_secs(600);

/// What a pool may refer to.
pub(super) struct Known<'a> {
    pub(super) surroundings: &'a Surroundings,
    pub(super) secrets: &'a Secrets,
    pub(super) tls_only: bool,
    /// `hastls_type` of [dns].
    pub(super) hastls_type: RecordType,
    pub(super) profiles: &'a [ReadProfile],
}

/// A pool and the places of its words.
#[derive(Debug)]
pub(super) struct ReadPool {
    pub(super) pool: Pool,
    /// What a listener is called that speaks like it.
    pub(super) protocol: ListenerProtocol,
    pub(super) name: Span,
    /// In the order of `servers`.
    pub(super) servers: Vec<Span>,
    /// `psk`, with its place.
    pub(super) psk: Option<(DevicePsk, Span)>,
    /// `secret`, with its place.
    pub(super) secret: Option<(Secret, Span)>,
}

/// The pools that can be used, and the names of all with their places.
pub(super) fn pools<'t>(
    report: &mut Report,
    document: &Document<'t>,
    known: &Known<'_>,
) -> (Vec<ReadPool>, BTreeMap<&'t str, Span>) {
    let responders = Arc::default();
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    let mut pools = Vec::new();
    for node in document.list(report, "pool") {
        let Some(mut section) = Section::new(report, "[[pool]]", node) else {
            continue;
        };
        let name = section.required(report, "name");
        let name = name.and_then(|node| Some((value::name(report, "name", node)?, node.span)));
        if let Some((name, span)) = name {
            report.about(Some(format!("pool.{name}")));
            if let Some(first) = names.insert(name, span) {
                report
                    .error(span, format!("two pools have the name `{}`", escape(name)))
                    .see(first, "the first one")
                    .help("routes name pools: give each its own");
            }
        }
        let name = name.unwrap_or(("", node.span));
        let read = pool(report, section, name, known, &responders);
        pools.extend(read.filter(|read| !read.pool.name.is_empty()));
        report.about(None);
    }
    (pools, names)
}

fn pool(
    report: &mut Report,
    mut section: Section<'_>,
    (name, name_span): (&str, Span),
    known: &Known<'_>,
    responders: &Arc<Responders>,
) -> Option<ReadPool> {
    let place = match section.value("discover") {
        Some(node) => discover::read(report, node, section.value("servers")).map(Servers::Found),
        None => {
            let list = section.required(report, "servers");
            list.and_then(|node| Some(Servers::Listed(node, addresses(report, node)?)))
        }
    };
    let strategy = match section.value("strategy") {
        Some(node) => {
            let words = [
                ("failover", Strategy::Failover),
                ("balance", Strategy::Balance),
            ];
            value::choice(report, "strategy", node, &words).unwrap_or_default()
        }
        None => Strategy::default(),
    };
    let settings = settings(report, &mut section);
    let hastls = hastls::read(report, &mut section);
    unbuilt(report, &mut section);
    let words = Words::take(&mut section);
    section.finish(report);

    let place = place?;
    let (protocol, addresses) = match &place {
        Servers::Listed(_, (protocol, addresses)) => (*protocol, &addresses[..]),
        Servers::Found(wanted) => (wanted.protocol(), &[][..]),
    };
    words.apart(report, known, protocol);
    let found = matches!(place, Servers::Found(_));
    hastls::check(report, hastls, found, addresses);
    let mut read = ReadPool {
        pool: Pool {
            name: name.into(),
            servers: Vec::new(),
            discover: None,
            accounting: None,
            names: Vec::new(),
            strategy,
            watchdog: settings.watchdog,
            hastls: hastls.0,
            hastls_type: known.hastls_type,
            location: report.location(name_span),
            material: None,
        },
        protocol,
        name: name_span,
        servers: addresses.iter().map(|(_, span)| *span).collect(),
        psk: None,
        secret: None,
    };
    let scheme = protocol.name();
    let named = addresses.iter();
    let named = named.map(|(address, _)| format!("{scheme}://{address}").into());
    read.pool.names = named.collect();
    match place {
        Servers::Found(wanted) => {
            discover::found(
                report, wanted, &words, known, responders, settings, &mut read,
            )?;
        }
        Servers::Listed(list, _) if protocol == ListenerProtocol::RadiusUdp => {
            udp(report, list, addresses, &words, known, &mut read)?;
        }
        Servers::Listed(list, _) => {
            secure::secure(
                report, list, addresses, &words, known, responders, &mut read,
            )?;
        }
    }
    let accounting = read.pool.accounting.iter_mut().flatten();
    for server in read.pool.servers.iter_mut().chain(accounting) {
        settings.fit(server);
    }
    Some(read)
}

/// Where the servers of a pool are from.
enum Servers<'t> {
    /// `servers`.
    Listed(&'t Node, (ListenerProtocol, Vec<(ServerAddress, Span)>)),
    /// `discover`.
    Found(discover::Wanted),
}

/// `servers`: all of one kind, none twice.
fn addresses(
    report: &mut Report,
    node: &Node,
) -> Option<(ListenerProtocol, Vec<(ServerAddress, Span)>)> {
    if node.as_list().is_some_and(<[Node]>::is_empty) {
        report
            .error(node.span, "`servers` is an empty list")
            .help("write \"radius-tls://HOST\"");
    }
    let texts = value::texts(report, "servers", node);
    let mut found: Vec<(ServerAddress, Span)> = Vec::new();
    let mut kind: Option<(ListenerProtocol, Span)> = None;
    let mut sound = node.as_list().is_some_and(|list| list.len() == texts.len());
    for (text, node) in texts {
        let Some((protocol, address)) = address(report, text, node.span) else {
            sound = false;
            continue;
        };
        let (first, place) = *kind.get_or_insert((protocol, node.span));
        if first != protocol {
            let (this, that) = (protocol.name(), first.name());
            report
                .error(
                    node.span,
                    format!(
                        "a pool with {that}:// cannot have a server with {this}://: {}",
                        Error::Mixed
                    ),
                )
                .see(place, "the other kind")
                .help("make a [[pool]] for each kind of server");
            sound = false;
        }
        let same = |other: &ServerAddress| {
            other.host().eq_ignore_ascii_case(address.host()) && other.port() == address.port()
        };
        if let Some((_, first)) = found.iter().find(|(other, _)| same(other)) {
            report
                .error(node.span, "the pool has this server twice")
                .see(*first, "the first time")
                .help("take one of them out");
            sound = false;
        }
        found.push((address, node.span));
    }
    let (protocol, _) = kind.filter(|_| sound)?;
    Some((protocol, found))
}

fn address(
    report: &mut Report,
    text: &str,
    span: Span,
) -> Option<(ListenerProtocol, ServerAddress)> {
    const HELP: &str = "write \"radius-tls://HOST\", \"radius-dtls://HOST\" or \"radius-udp://HOST\", maybe with a port; an IPv6 address stands in brackets";
    let (scheme, place) = text.split_once("://").unwrap_or(("", text));
    let (protocol, port) = match scheme {
        "radius-tls" => (ListenerProtocol::RadiusTls, Server::TLS_PORT),
        "radius-dtls" => (ListenerProtocol::RadiusDtls, Server::TLS_PORT),
        "radius-udp" => (ListenerProtocol::RadiusUdp, Server::UDP_PORT),
        "tacacs" | "tacacs-tls" => {
            not_built(
                report,
                span,
                &format!("a pool with {scheme}://"),
                "forwarding TACACS+",
                "take it out of the file",
            );
            return None;
        }
        _ => {
            let message = format!("`{}` of `servers` is no server", escape(text));
            report.error(span, message).help(HELP);
            return None;
        }
    };
    match ServerAddress::parse(place, port) {
        Ok(address) => Some((protocol, address)),
        Err(error) => {
            let message = format!("`{}` of `servers` is no server: {error}", escape(text));
            report.error(span, message).help(HELP);
            None
        }
    }
}

fn settings(report: &mut Report, section: &mut Section<'_>) -> Settings {
    let second = Duration::from_secs(1);
    let timeout = section
        .value("timeout")
        .and_then(|node| value::duration_from(report, "timeout", node, second));
    let connections = section
        .value("max_connections")
        .and_then(|node| value::integer(report, "max_connections", node, 1..=1024));
    let idle = section
        .value("idle_timeout")
        .filter(|node| node.as_str() != Some("off"));
    let idle = idle.and_then(|node| value::duration_from(report, "idle_timeout", node, second));
    let watchdog = section.value("watchdog").map(|node| match node.as_str() {
        Some("auto") => Watchdog::Auto,
        Some("off") => Watchdog::Off,
        _ => value::duration_from(report, "watchdog", node, SHORTEST_WATCHDOG)
            .map_or(Watchdog::Auto, Watchdog::Every),
    });
    Settings {
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
        max_connections: connections.unwrap_or(8),
        idle_timeout: idle,
        reconnect: reconnect(report, section),
        watchdog: watchdog.unwrap_or_default(),
    }
}

/// `reconnect = { floor = "0.5s", ceiling = "60s" }`.
fn reconnect(report: &mut Report, section: &mut Section<'_>) -> Reconnect {
    let (mut floor, mut ceiling) = (Reconnect::SHORTEST, Duration::from_secs(60));
    let node = section.value("reconnect");
    let table = node.and_then(|node| Section::new(report, "`reconnect` of [[pool]]", node));
    let Some(mut table) = table else {
        return Reconnect::new(floor, ceiling);
    };
    if let Some(node) = table.value("floor") {
        let read = value::duration(report, "floor", node);
        if read.is_some_and(|time| time < Reconnect::SHORTEST) {
            report
                .error(node.span, "`floor` must be at least 500ms")
                .help("connecting more often than that is what RadSec forbids (RFC 6614bis section 3.8.1)");
        }
        floor = read.unwrap_or(floor);
    }
    if let Some(node) = table.value("ceiling") {
        let read = value::duration(report, "ceiling", node);
        if read.is_some_and(|time| time < floor) {
            report
                .error(node.span, "`ceiling` is less than `floor`")
                .help("the time between two attempts grows from `floor` to `ceiling`");
        }
        ceiling = read.unwrap_or(ceiling);
    }
    table.finish(report);
    Reconnect::new(floor, ceiling)
}

/// What the contract has of pools and this version has not.
fn unbuilt(report: &mut Report, section: &mut Section<'_>) {
    let Some(node) = section.value("accounting") else {
        return;
    };
    match value::text(report, "accounting", node) {
        Some("journal") => not_built(
            report,
            node.span,
            "`accounting = \"journal\"` of [[pool]]",
            "keeping records while every server is down",
            "write \"forward\", or take it out",
        ),
        Some("forward") | None => {}
        Some(text) => {
            value::unknown_word(
                report,
                "accounting",
                text,
                node.span,
                ["forward", "journal"].into_iter(),
            );
        }
    }
}

/// The keys that are for some kinds of servers only.
struct Words<'t> {
    tls: Option<&'t Node>,
    psk: Option<&'t Node>,
    server_name: Option<&'t Node>,
    realm: Option<&'t Node>,
    sni: Option<&'t Node>,
    secret: Option<&'t Node>,
}

impl<'t> Words<'t> {
    fn take(section: &mut Section<'t>) -> Self {
        Self {
            tls: section.value("tls"),
            psk: section.value("psk"),
            server_name: section.value("server_name"),
            realm: section.value("realm"),
            sni: section.value("sni"),
            secret: section.value("secret"),
        }
    }

    /// Reports what contradicts the kind of the servers, or each other.
    fn apart(&self, report: &mut Report, known: &Known<'_>, protocol: ListenerProtocol) {
        let scheme = format!("{}://", protocol.name());
        let secure = [
            ("tls", self.tls),
            ("psk", self.psk),
            ("server_name", self.server_name),
            ("realm", self.realm),
            ("sni", self.sni),
        ];
        if protocol == ListenerProtocol::RadiusUdp {
            for (key, node) in secure {
                let help = "take it out, or write \"radius-tls://\" or \"radius-dtls://\"";
                let why = "RADIUS/UDP knows its servers by their address and `secret`";
                apart(report, (key, node), &scheme, why, help);
            }
            return;
        }
        let why = "the secret of RadSec is fixed and protects nothing, TLS does";
        let help = "take it out; `tls` and `psk` say what proves us";
        match self.secret {
            Some(node) if node.as_str().and_then(Reference::parse).is_none() => {
                _ = secret::resolve(report, known.surroundings, "secret", node);
            }
            secret => apart(report, ("secret", secret), &scheme, why, help),
        }
        if self.psk.is_some() {
            let why = "the key proves both sides, and no certificate is shown or accepted";
            for (key, node) in [
                ("tls", self.tls),
                ("server_name", self.server_name),
                ("realm", self.realm),
            ] {
                apart(report, (key, node), "`psk`", why, "take one of them out");
            }
        }
        if self.realm.is_some() {
            let why = "each says what the server's certificate has to carry";
            let one = ("server_name", self.server_name);
            apart(report, one, "`realm`", why, "take one of them out");
        }
    }
}

/// Two things of a pool of which each makes the other meaningless.
fn apart(
    report: &mut Report,
    (key, node): (&str, Option<&Node>),
    other: &str,
    why: &str,
    help: &str,
) {
    let Some(node) = node else {
        return;
    };
    if ["psk", "secret"].contains(&key) {
        hide(report, node);
    }
    let message = format!("`{key}` and {other} do not go together: {why}");
    report.error(node.span, message).help(help);
}

/// The servers of RADIUS/UDP, and those for accounting where they have another port.
fn udp(
    report: &mut Report,
    list: &Node,
    addresses: &[(ServerAddress, Span)],
    words: &Words<'_>,
    known: &Known<'_>,
    read: &mut ReadPool,
) -> Option<()> {
    if known.tls_only {
        report
            .error(
                list.span,
                "this pool is RADIUS/UDP, and `tls_only` of [server] allows no server without TLS",
            )
            .help("write \"radius-tls://\" or \"radius-dtls://\", or set `tls_only = false`");
    }
    let Some(node) = words.secret else {
        report
            .error(list.span, "[[pool]] has no `secret`")
            .help("add `secret = \"file:PATH\"`: RADIUS/UDP needs the one that the servers have");
        return None;
    };
    let of = Of {
        key: "secret",
        device: &read.pool.name,
    };
    let secret = shared_secret::one(report, known.surroundings, known.secrets, of, node)?;
    let secret = Secret::new(secret.octets());
    let make = |report: &mut Report, address: ServerAddress, span: Span| {
        // What is weak has been told of, or refused, where the secret was read.
        match Server::udp_with_short_secret(address, secret.clone()) {
            Ok(server) => Some(server),
            Err(error) => {
                report.error(span, error.to_string());
                None
            }
        }
    };
    let mut accounting = Vec::new();
    let mut elsewhere = false;
    for (address, span) in addresses {
        let records = match address.port() {
            Server::UDP_PORT => at(address, Server::UDP_ACCOUNTING_PORT),
            // The ports of the drafts before RFC 2865.
            1645 => at(address, 1646),
            _ => address.clone(),
        };
        elsewhere |= records != *address;
        read.pool
            .servers
            .push(make(report, address.clone(), *span)?);
        accounting.push(make(report, records, *span)?);
    }
    read.pool.accounting = elsewhere.then_some(accounting);
    read.secret = Some((secret, node.span));
    Some(())
}

/// The same host with another port.
fn at(address: &ServerAddress, port: u16) -> ServerAddress {
    let host = address.host();
    match host.parse() {
        Ok(ip) => ServerAddress::from_ip(ip, port),
        Err(_) => ServerAddress::parse(host, port).unwrap_or_else(|_| address.clone()),
    }
}
