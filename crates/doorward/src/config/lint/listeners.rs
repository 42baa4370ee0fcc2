//! Who may come without TLS.

use ipnet::IpNet;
use jiff::civil::Date;

use super::Lint;
use crate::config::device::ReadDevice;
use crate::config::listen::ListenerSpans;
use crate::config::report::{Fold, Report};
use crate::config::source::escape;
use crate::config::{AuthenticationType, Listener, ListenerProtocol};

/// A plain listener: what can be read and forged there (RFC 8907 section 10), from where, and for how long.
pub(super) fn listener(
    report: &mut Report,
    listener: &Listener,
    spans: &ListenerSpans,
    devices: &[ReadDevice],
    accept: &[AuthenticationType],
    today: Date,
) {
    let plain = listener.protocol == ListenerProtocol::Tacacs;
    let local = listener.address.ip().to_canonical().is_loopback();
    if !plain || listener.is_closed(today) || local {
        return;
    }
    let on = format!("listen.{}", listener.address);
    report
        .warning(
            Lint::PlainListener,
            spans.protocol,
            "passwords, authorizations and accounting records can be read and changed on their way to this listener: the obfuscation of \
             TACACS+ without TLS is no encryption",
        )
        .on(on.clone())
        .help("move its devices to a listener with `protocol = \"tacacs-tls\"` (port 300); until then keep it inside a management network (docs/guide/security.md)");
    if listener.address.ip().is_unspecified() {
        report
            .warning(
                Lint::PlainEverywhere,
                spans.address,
                "this listener, which has no TLS, is open on every address of this machine",
            )
            .on(on.clone())
            .help("give it the address of the management network alone");
    }
    if listener.until.is_none() {
        report
            .warning(
                Lint::PlainWithoutEnd,
                spans.protocol,
                "this listener, which has no TLS, is to stay for ever",
            )
            .on(on.clone())
            .help("write the last day of it: `until = 2027-06-30`; it is warned of 30 days before");
    }
    passwords(report, listener, spans, devices, accept);
    let message = if listener.from.is_empty() {
        "any address may connect to this listener, which has no TLS"
    } else if listener.from.iter().any(wide) {
        "nearly any address may connect to this listener, which has no TLS: a range of `from` is wider than /8 (or /16 of IPv6)"
    } else {
        return;
    };
    report
        .warning(Lint::OpenPlainListener, spans.address, message)
        .on(on)
        .help("name the management networks in `from`; the devices' own ranges are added by themselves");
}

/// TLS and plain servers belong on different hosts (RFC 9887 section 5.1.1): told of once, at the first plain listener.
pub(super) fn beside_tls(
    report: &mut Report,
    listeners: &[(Listener, ListenerSpans)],
    today: Date,
) {
    let tls = listeners
        .iter()
        .find(|(one, _)| one.protocol == ListenerProtocol::TacacsTls);
    let plain = listeners.iter().find(|(one, _)| {
        one.protocol == ListenerProtocol::Tacacs
            && !one.is_closed(today)
            && !one.address.ip().to_canonical().is_loopback()
    });
    if let (Some((_, tls)), Some((listener, spans))) = (tls, plain) {
        report
            .warning(
                Lint::PlainBesideTls,
                spans.protocol,
                "this listener has no TLS and is on the host of one that has: whoever gets at a device between the two can make it use the weaker one",
            )
            .on(format!("listen.{}", listener.address))
            .see(tls.protocol, "the one with TLS")
            .help("RFC 9887 section 5.1.1 wants them on different hosts: serve devices without TLS from a server of their own, and take this [[listen]] out once they have moved");
    }
}

/// Devices that may send passwords themselves over a plain listener (section 10.5.3).
fn passwords(
    report: &mut Report,
    listener: &Listener,
    spans: &ListenerSpans,
    devices: &[ReadDevice],
    accept: &[AuthenticationType],
) {
    let may_send = |read: &&ReadDevice| {
        let device = &read.device;
        let plain = read.secret.is_some() && !device.address.is_empty() && !device.tls_required;
        let accepted = device.accept.as_deref().unwrap_or(accept);
        listener.admits(device) && plain && accepted.iter().any(|one| one.sends_password())
    };
    let mut names = devices
        .iter()
        .filter(may_send)
        .map(|read| &*read.device.name);
    let Some(first) = names.next() else {
        return;
    };
    let others = match names.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    report
        .warning(
            Lint::PasswordOverPlain,
            spans.protocol,
            format!("passwords themselves (`ascii`, `pap`) may come over this listener, which has no TLS: from {}{others}", escape(first)),
        )
        .on(format!("listen.{}", listener.address))
        .help("`accept = [\"chap\", \"mschapv2\"]` in [authentication], the device or its group takes answers to challenges only");
}

/// Wider than any network that is run by one hand.
fn wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < 8,
        IpNet::V6(network) => network.prefix_len() < 16,
    }
}

/// Without TLS the address says which device it is.
pub(super) fn wide_addresses(report: &mut Report, devices: &[ReadDevice]) {
    let (mut any, mut nearly) = (Vec::new(), Vec::new());
    for read in devices.iter().filter(|read| read.secret.is_some()) {
        let networks = read.device.address.iter().zip(&read.address);
        let widest = networks
            .filter(|(network, _)| wide(network))
            .min_by_key(|(network, _)| network.prefix_len());
        if let Some((network, span)) = widest {
            let sections = if network.prefix_len() == 0 {
                &mut any
            } else {
                &mut nearly
            };
            sections.push((format!("device.{}", read.device.name), *span));
        }
    }
    report.fold(Fold {
        lint: Lint::WideAddress,
        sections: any,
        message: &|names, _| {
            format!(
                "any address is that of {names}: whoever has the secret is this device, from anywhere, without TLS"
            )
        },
        help: "TACACS+ without TLS is for known clients alone: give each device its own address or management network",
    });
    report.fold(Fold {
        lint: Lint::WideAddress,
        sections: nearly,
        message: &|names, _| {
            format!(
                "{names}: whoever has the secret is this device from nearly any address, without TLS"
            )
        },
        help: "give each device its own address or management network",
    });
}
