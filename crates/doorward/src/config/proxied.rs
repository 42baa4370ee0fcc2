//! What of pools and routes can only be judged with the whole file at hand.

use std::net::IpAddr;

use doorward_client::ServerAddress;
use doorward_client::radius::Server;

use super::device::ReadDevice;
use super::lint::Lint;
use super::lint::secrets::Secrets;
use super::listen::ListenerSpans;
use super::pools::ReadPool;
use super::report::Report;
use super::routes::ReadRoute;
use super::source::{Span, escape};
use super::{Listener, ListenerProtocol};

pub(super) fn check(
    report: &mut Report,
    pools: &[ReadPool],
    routes: &[ReadRoute],
    devices: &[ReadDevice],
    listeners: &[(Listener, ListenerSpans)],
    secrets: &Secrets,
) {
    for (at, pool) in pools.iter().enumerate() {
        let earlier = pools.get(..at).unwrap_or_default();
        if let Some((_, span)) = &pool.psk {
            key_used_once(report, pool, *span, earlier, devices);
        }
        secret_used_once(report, pool, earlier, devices, secrets);
    }
    for read in routes {
        let named = pools.iter().find(|pool| pool.pool.name == read.route.pool);
        if let Some(pool) = named {
            loops(report, read, pool, listeners);
        }
    }
}

/// The other use of a key or secret: how it is called, and where.
type Use = (String, Span);

/// A key proves one pair of ends, each in one part: what we prove ourselves by to a server proves nobody to us (RFC 9257
/// section 4, RFC 9813 section 6).
fn key_used_once(
    report: &mut Report,
    pool: &ReadPool,
    span: Span,
    earlier: &[ReadPool],
    devices: &[ReadDevice],
) {
    let Some((own, _)) = &pool.psk else {
        return;
    };
    let name = escape(&pool.pool.name);
    let looks = own.looks();
    let secret = |octets: &[u8]| looks.contains(&octets);
    let of_device = |read: &ReadDevice| -> Option<Use> {
        let device = escape(&read.device.name);
        if let (Some(psk), Some(place)) = (&read.device.psk, read.psk)
            && psk.key == own.key
        {
            return Some((format!("the key of [device.{device}]"), place));
        }
        let mut secrets = read.shared_secrets();
        let found = secrets.find(|(_, shared, _)| secret(shared.key.octets()));
        found.map(|(key, _, place)| (format!("the `{key}` of [device.{device}]"), place))
    };
    let of_pool = |other: &ReadPool| -> Option<Use> {
        let called = escape(&other.pool.name);
        match &other.psk {
            Some((psk, place)) if psk.key == own.key => {
                Some((format!("the key of the pool `{called}`"), *place))
            }
            _ => None,
        }
    };
    let found = devices
        .iter()
        .find_map(of_device)
        .or_else(|| earlier.iter().find_map(of_pool));
    if let Some((what, place)) = found {
        report
            .error(
                span,
                format!("the pre-shared key of the pool `{name}` is also {what}"),
            )
            .see(place, "the other use")
            .help("a key is for one pair of ends, and for one of them to connect (RFC 9257 section 4): make a new one with `doorward device psk`");
        return;
    }
    let same = devices.iter().find(|read| {
        let psk = read.device.psk.as_ref();
        psk.is_some_and(|psk| psk.identity == own.identity)
    });
    if let Some(read) = same {
        let device = escape(&read.device.name);
        report
            .error(
                span,
                format!("the identity of the key of the pool `{name}` is also that of [device.{device}]"),
            )
            .see(read.psk.unwrap_or(span), "the other use")
            .help("a proxy must not use one identity both ways (RFC 9813): give the pool one of its own");
        return;
    }
    let same = earlier.iter().find_map(|other| {
        let (psk, place) = other.psk.as_ref()?;
        (psk.identity == own.identity).then_some((&other.pool.name, *place))
    });
    if let Some((other, place)) = same {
        let other = escape(other);
        report
            .error(
                span,
                format!("the identity of the key of the pool `{name}` is also that of the pool `{other}`, with another key"),
            )
            .see(place, "the other use")
            .help("an identity names one key, and changes with it (RFC 9813): agree on another identity with the server of one of them");
    }
}

/// A pool's secret is no device's, nor another pool's, nor a key.
fn secret_used_once(
    report: &mut Report,
    pool: &ReadPool,
    earlier: &[ReadPool],
    devices: &[ReadDevice],
    secrets: &Secrets,
) {
    let Some((secret, span)) = &pool.secret else {
        return;
    };
    let octets = secret.octets();
    let name = escape(&pool.pool.name);
    let keys = devices.iter().filter_map(|read| {
        let psk = read.device.psk.as_ref()?;
        Some((
            psk,
            format!("[device.{}]", escape(&read.device.name)),
            read.psk?,
        ))
    });
    let other_keys = earlier.iter().filter_map(|read| {
        let (psk, place) = read.psk.as_ref()?;
        Some((
            psk,
            format!("the pool `{}`", escape(&read.pool.name)),
            *place,
        ))
    });
    let key = keys
        .chain(other_keys)
        .find(|(psk, ..)| psk.looks().contains(&octets));
    if let Some((_, whose, place)) = key {
        report
            .error(
                *span,
                format!("the `secret` of the pool `{name}` is also the pre-shared key of {whose}"),
            )
            .see(place, "the key")
            .help("a key for TLS is used for nothing else (RFC 6614bis section 7.7): give the pool a secret of its own");
        return;
    }
    let of_device = devices.iter().find_map(|read| {
        let mut shared = read.shared_secrets();
        let (key, _, place) = shared.find(|(_, one, _)| one.key.octets() == octets)?;
        Some((
            format!("the `{key}` of [device.{}]", escape(&read.device.name)),
            place,
        ))
    });
    let of_pool = || {
        earlier.iter().find_map(|read| {
            let (other, place) = read.secret.as_ref()?;
            let whose = format!("that of the pool `{}`", escape(&read.pool.name));
            (other.octets() == octets).then_some((whose, *place))
        })
    };
    if let Some((what, place)) = of_device.or_else(of_pool) {
        let message = format!("the `secret` of the pool `{name}` is also {what}");
        let told = match secrets.refuse_shared() {
            true => report.error(*span, format!("{message}, which [secrets] refuses")),
            false => report.warning(Lint::SharedSecret, *span, message),
        };
        told.on(format!("pool.{}", pool.pool.name))
            .see(place, "the other one")
            .help("give each its own: whoever learns it at one end can read and forge what the others say");
    }
}

/// A route must not lead back to us.
fn loops(
    report: &mut Report,
    read: &ReadRoute,
    pool: &ReadPool,
    listeners: &[(Listener, ListenerSpans)],
) {
    let records = pool.pool.accounting.iter().flatten();
    let places = pool.servers.iter().cycle();
    let servers = pool.pool.servers.iter().chain(records).zip(places);
    for (server, place) in servers {
        let Some((_, spans)) = ours(server, pool.protocol, listeners) else {
            continue;
        };
        let name = escape(&pool.pool.name);
        report
            .error(
                read.place,
                format!("this route is a loop: the pool `{name}` has a [[listen]] of this file among its servers"),
            )
            .see(*place, "the server")
            .see(spans.address, "the [[listen]]")
            .help("send to the server that judges these users, or take the route out");
        return;
    }
}

/// The listener that would get what is sent to the server, where that is certain from the file alone.
fn ours<'l>(
    server: &Server,
    protocol: ListenerProtocol,
    listeners: &'l [(Listener, ListenerSpans)],
) -> Option<&'l (Listener, ListenerSpans)> {
    let ip = literal(&server.address)?;
    let here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    let own = here(ip)
        || listeners
            .iter()
            .any(|(one, _)| one.address.ip().to_canonical() == ip);
    listeners.iter().find(|(one, _)| {
        let listening = one.address.ip().to_canonical();
        let family = listening.is_ipv6() || ip.is_ipv4();
        let reached = listening == ip
            || (listening.is_unspecified() && own && family)
            || (ip.is_unspecified() && here(listening));
        one.protocol == protocol && one.address.port() == server.address.port() && reached
    })
}

/// The host as an address; names may stand for anything.
pub(super) fn literal(address: &ServerAddress) -> Option<IpAddr> {
    address
        .host()
        .parse()
        .ok()
        .map(|ip: IpAddr| ip.to_canonical())
}
