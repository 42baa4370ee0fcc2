//! What can only be judged with the whole file at hand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use ipnet::IpNet;

use super::device::{KEY, ReadDevice};
use super::lint::Lint;
use super::listen::ListenerSpans;
use super::psk::PSK;
use super::report::Report;
use super::source::{Span, escape};
use super::suggest::nearest;
use super::tls::ReadProfile;
use super::{Listener, ListenerProtocol, Server, psk};

/// Everything that refers to something else, or must not be the same as something else.
pub(super) struct Whole<'a> {
    pub(super) server: &'a Server,
    pub(super) metrics: Option<(SocketAddr, Span)>,
    pub(super) listeners: &'a [(Listener, ListenerSpans)],
    pub(super) tls: &'a [ReadProfile],
    pub(super) device_groups: BTreeSet<&'a str>,
    pub(super) devices: &'a [ReadDevice],
}

pub(super) fn check(report: &mut Report, whole: &Whole<'_>) {
    if whole.listeners.is_empty() {
        report
            .remark(
                Lint::NoListener,
                "there is no [[listen]]: the server would serve nobody",
            )
            .on("listen")
            .help("add one with `protocol = \"tacacs-tls\"`");
    }
    for (listener, spans) in whole.listeners {
        listener_references(report, whole, listener, spans);
        plain_listener(report, whole, listener, spans);
    }
    shared_addresses(report, whole.listeners);
    metrics_address(report, whole);
    names_without_listener(report, whole);
    for device in whole.devices {
        ways_to_connect(report, whole, device);
    }
    for protocol in [ListenerProtocol::Tacacs, ListenerProtocol::RadiusUdp] {
        shared_networks(report, protocol, whole.devices);
    }
    shared_identities(report, whole.devices);
    psk::used_once(report, whole.devices);
}

fn listener_references(
    report: &mut Report,
    whole: &Whole<'_>,
    listener: &Listener,
    spans: &ListenerSpans,
) {
    profiles_of_listener(report, whole, listener, spans);
    let groups = listener.device_groups.iter().flatten();
    for (group, span) in groups.zip(&spans.device_groups) {
        if !whole.device_groups.contains(&**group) {
            let near = nearest(group, whole.device_groups.iter().copied());
            report
                .error(
                    *span,
                    format!("there is no device group `{}`", escape(group)),
                )
                .help("define it with `match`")
                .suggest(near);
        }
    }
}

/// Every profile exists, and each but the first has a name that chooses it and no other.
fn profiles_of_listener(
    report: &mut Report,
    whole: &Whole<'_>,
    listener: &Listener,
    spans: &ListenerSpans,
) {
    let mut taken: HashMap<&str, &str> = HashMap::new();
    for (position, (tls, span)) in listener.tls.iter().zip(&spans.tls).enumerate() {
        let Some(profile) = whole.tls.iter().find(|profile| profile.name == *tls) else {
            let near = nearest(tls, whole.tls.iter().map(|profile| &*profile.name));
            report
                .error(*span, format!("there is no [tls.{}]", escape(tls)))
                .help("define it, with `certificate`, `key` and `client_ca`")
                .suggest(near);
            continue;
        };
        if listener.methods.psk && profile.no_psk {
            report
                .error(*span, format!("[tls.{}] cannot serve pre-shared keys (`auth`): its suites leave out those with SHA-256", escape(tls)))
                .help("add \"TLS_AES_128_GCM_SHA256\" to `cipher_suites`");
        }
        if listener.protocol == ListenerProtocol::RadiusDtls && profile.no_datagrams {
            report
                .error(
                    *span,
                    format!("[tls.{}] cannot serve DTLS, which has version 1.2", escape(tls)),
                )
                .help("write `min_version = \"1.2\"` there; its certificate has to be of ECDSA or RSA");
        }
        if position > 0 && profile.names.is_empty() {
            report
                .error(*span, format!("[tls.{}] is never chosen: only the first profile of a listener serves without a name", escape(tls)))
                .help("give it `sni = { names = [\"aaa2.example.net\"] }`");
        }
        for name in &profile.names {
            if let Some(other) = taken.insert(name, tls) {
                report
                    .error(
                        *span,
                        format!(
                            "the server name {} chooses [tls.{}] and [tls.{}]",
                            escape(name),
                            escape(other),
                            escape(tls)
                        ),
                    )
                    .help("leave it with one of them");
            }
        }
    }
}

fn plain_listener(
    report: &mut Report,
    whole: &Whole<'_>,
    listener: &Listener,
    spans: &ListenerSpans,
) {
    if listener.protocol.is_tls() {
        return;
    }
    if whole.server.tls_only {
        report
            .error(
                spans.protocol,
                "this listener is plain, and `tls_only` of [server] allows none",
            )
            .help("take the [[listen]] out, or set `tls_only = false`");
        return;
    }
    let served = whole.devices.iter().any(|read| {
        let secret = read.secret(listener.protocol);
        listener.admits(&read.device) && secret.is_some() && !read.address.is_empty()
    });
    if !served {
        let secret = listener.protocol.secret_key().unwrap_or_default();
        report
            .error(spans.protocol, format!("no device could use this plain listener: none of those it is for has `address` and `{secret}`"))
            .help("give the devices both, or take the [[listen]] out");
    }
}

/// The names of a profile that no listener uses choose nothing.
fn names_without_listener(report: &mut Report, whole: &Whole<'_>) {
    for profile in whole.tls {
        let mut listeners = whole.listeners.iter();
        let used = listeners.any(|(listener, _)| listener.tls.contains(&profile.name));
        if let Some(span) = profile.sni_names.filter(|_| !used) {
            let name = escape(&profile.name);
            report
                .error(
                    span,
                    format!("the names of [tls.{name}] choose nothing: no [[listen]] has it in `tls`"),
                )
                .help(format!(
                    "write `tls = [\"default\", \"{name}\"]` in the [[listen]] that is to have both, or take `names` out"
                ));
        }
    }
}

/// RFC 9887 section 3: TLS and plain TACACS+ never share a port.
fn shared_addresses(report: &mut Report, listeners: &[(Listener, ListenerSpans)]) {
    for (index, (one, spans)) in listeners.iter().enumerate() {
        let earlier = listeners.iter().take(index).find(|(other, _)| {
            // RadSec has one number for both (RFC 6614bis section 3.12).
            let radsec = one.protocol.is_tls()
                && other.protocol.is_tls()
                && one.protocol.is_udp() != other.protocol.is_udp();
            overlap(one.address, other.address) && !radsec
        });
        let Some((other, first)) = earlier else {
            continue;
        };
        let message = if one.protocol.is_tls() == other.protocol.is_tls() {
            "two listeners have this address"
        } else {
            "a plain listener and one with TLS never share an address and port"
        };
        report
            .error(spans.address, message)
            .see(first.address, "the other one")
            .help("give one of them another port; TLS is at 300 by default, plain TACACS+ at 49, RadSec at 2083, RADIUS/UDP at 1812");
    }
}

fn metrics_address(report: &mut Report, whole: &Whole<'_>) {
    let Some((address, span)) = whole.metrics else {
        return;
    };
    let mut listeners = whole.listeners.iter();
    let found = listeners.find(|(one, _)| !one.protocol.is_udp() && overlap(one.address, address));
    if let Some((_, spans)) = found {
        report
            .error(span, "a listener has the address of [metrics]")
            .see(spans.address, "the listener")
            .help("give [metrics] another port, 9300 for example");
    }
}

/// Would both be asked for the same packet? A wildcard address of IPv6 takes IPv4 as well.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_port = one.port() == other.port() && one.port() != 0;
    let covers = |wide: SocketAddr, narrow: SocketAddr| {
        wide.ip().is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
    };
    let same_ip = one.ip().to_canonical() == other.ip().to_canonical();
    same_port && (same_ip || covers(one, other) || covers(other, one))
}

fn ways_to_connect(report: &mut Report, whole: &Whole<'_>, read: &ReadDevice) {
    let name = escape(&read.device.name);
    let secrets = [read.tacacs.place, read.radius.place];
    for span in secrets.into_iter().flatten() {
        if whole.server.tls_only {
            report
                .error(span, "this device has a secret for plain connections, and `tls_only` of [server] allows none")
                .help("take the secret out, or set `tls_only = false`");
        } else if read.device.address.is_empty() {
            report
                .warning(Lint::DeviceCannotConnect, span, format!("[device.{name}] has a secret and no `address`: without TLS it cannot be told who it is"))
                .on(format!("device.{}", read.device.name))
                .help("add `address = [\"192.0.2.1/32\"]`");
        }
    }
    let secret = secrets.iter().any(Option::is_some);
    let plain = secret && !read.address.is_empty() && !read.device.tls_required;
    let told = secret && read.device.address.is_empty();
    let psk = read.device.psk.is_some() || read.psk.is_some();
    let tls = read.certificate.is_some() || !read.device.raw_public_key.is_empty() || psk;
    if let Some(span) = read.dtls_required
        && read.certificate.is_none()
        && !psk
    {
        report
            .error(
                span,
                format!("[device.{name}] has to come by DTLS (`dtls_required`), and has nothing to prove itself by there"),
            )
            .help("add `certificate` or `psk`, or take `dtls_required` out");
    }
    if !plain && !tls && !told {
        let help = if read.device.tls_required {
            "it has to use TLS (`transport = \"tls\"`, maybe of its group): add `certificate`"
        } else {
            "add `certificate`, or both `address` and `tacacs_secret` (RADIUS/UDP: `radius_secret`)"
        };
        report
            .warning(
                Lint::DeviceCannotConnect,
                read.name,
                format!("[device.{name}] has no way to connect"),
            )
            .on(format!("device.{}", read.device.name))
            .help(help);
    }
    if read.nothing_accepted {
        report
            .error(
                read.name,
                format!("the groups of [device.{name}] leave it no authentication type"),
            )
            .help("make their `accept` overlap");
    }
}

/// The address is who a device is on plain connections, so that no two can have the same.
fn shared_networks(report: &mut Report, protocol: ListenerProtocol, devices: &[ReadDevice]) {
    let key = protocol.secret_key().unwrap_or_default();
    let with_secret = |read: &&ReadDevice| read.secret(protocol).is_some();
    let mut seen: BTreeMap<IpNet, Span> = BTreeMap::new();
    for read in devices.iter().filter(with_secret) {
        for (network, span) in read.device.address.iter().zip(&read.address) {
            if let Some(first) = seen.insert(network.trunc(), *span) {
                report
                    .error(
                        *span,
                        format!("two devices with `{key}` have the address {network}"),
                    )
                    .see(first, "the other one")
                    .help(
                        "on plain connections the address says who it is; keep it on one of them",
                    );
            }
        }
    }
}

fn shared_identities(report: &mut Report, devices: &[ReadDevice]) {
    let mut seen: HashMap<&str, Vec<(&ReadDevice, Span)>> = HashMap::new();
    for read in devices {
        for (identity, span) in &read.identities {
            let others = seen.entry(identity).or_default();
            let key = identity.starts_with(KEY) || identity.starts_with(PSK);
            let double = others.iter().find(|(other, _)| {
                if key {
                    other.device.name != read.device.name
                } else {
                    conflict(read, other)
                }
            });
            if let Some((other, first)) = double {
                let other = escape(&other.device.name);
                let what = if key {
                    "a device that shows this"
                } else {
                    "a certificate with this"
                };
                report
                    .error(*span, format!("{what} would also be [device.{other}]"))
                    .see(*first, "the same there")
                    .help("what matches two devices is refused: give each its own name, or tell them apart by `issuer` or `serial`");
            }
            others.push((read, *span));
        }
    }
}

/// Both list the identity; is there no condition that tells them apart?
fn conflict(one: &ReadDevice, other: &ReadDevice) -> bool {
    let (Some(ours), Some(theirs)) = (&one.device.certificate, &other.device.certificate) else {
        return false;
    };
    one.device.name != other.device.name && !ours.told_apart(theirs)
}
