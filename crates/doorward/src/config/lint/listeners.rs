//! Who may come without TLS.

use ipnet::IpNet;
use jiff::civil::Date;

use super::Lint;
use crate::config::device::ReadDevice;
use crate::config::listen::ListenerSpans;
use crate::config::report::{Fold, Report};
use crate::config::source::escape;
use crate::config::{AuthenticationType, Listener, ListenerProtocol};
use crate::policy::Protocol;

/// What is wrong with a protocol without TLS, and what to take in its place.
fn weakness(protocol: ListenerProtocol) -> (&'static str, &'static str) {
    if protocol == ListenerProtocol::RadiusUdp {
        (
            "logins and accounting records can be read on their way to this listener, and passwords be guessed from them: RADIUS/UDP hides \
             passwords alone, by MD5",
            "it is for this machine itself and for moving: give it a loopback address, or move its devices to a listener with `protocol = \"radius-tls\"` (docs/guide/radsec.md)",
        )
    } else {
        (
            "passwords, authorizations and accounting records can be read and changed on their way to this listener: the obfuscation of \
             TACACS+ without TLS is no encryption",
            "move its devices to a listener with `protocol = \"tacacs-tls\"` (port 300); until then keep it inside a management network (docs/guide/security.md)",
        )
    }
}

/// A plain listener: what can be read and forged there (RFC 8907 section 10), from where, and for how long.
pub(super) fn listener(
    report: &mut Report,
    listener: &Listener,
    spans: &ListenerSpans,
    devices: &[ReadDevice],
    accept: &[AuthenticationType],
    today: Date,
) {
    let plain = !listener.protocol.is_tls();
    let local = listener.address.ip().to_canonical().is_loopback();
    if !plain || listener.is_closed(today) || local {
        return;
    }
    let on = format!("listen.{}", listener.address);
    let (message, help) = weakness(listener.protocol);
    report
        .warning(Lint::PlainListener, spans.protocol, message)
        .on(on.clone())
        .help(help);
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

/// TLS and plain servers belong on different hosts (RFC 9887 section 5.1.1; RFC 6614bis section 7.1 for clients): told of
/// once for each protocol, at the first plain listener.
pub(super) fn beside_tls(
    report: &mut Report,
    listeners: &[(Listener, ListenerSpans)],
    today: Date,
) {
    let tacacs = "RFC 9887 section 5.1.1 wants them on different hosts: serve devices without TLS from a server of their own, and take this [[listen]] out once they have moved";
    let radius = "once its devices come by RadSec, take this [[listen]] out; until then serve them from a server of their own (RFC 6614bis sections 7.1 and 7.7)";
    for (protocol, help) in [(Protocol::Tacacs, tacacs), (Protocol::Radius, radius)] {
        beside_tls_of(report, listeners, today, protocol, help);
    }
}

fn beside_tls_of(
    report: &mut Report,
    listeners: &[(Listener, ListenerSpans)],
    today: Date,
    protocol: Protocol,
    help: &str,
) {
    let tls = listeners
        .iter()
        .find(|(one, _)| one.protocol.speaks() == protocol && one.protocol.is_tls());
    let plain = listeners.iter().find(|(one, _)| {
        one.protocol.speaks() == protocol
            && !one.protocol.is_tls()
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
            .help(help);
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
        let secret = read.secret(listener.protocol).is_some();
        let plain = secret && !device.address.is_empty() && !device.tls_required;
        let accepted = device.accept.as_deref().unwrap_or(accept);
        let sent = |one: &AuthenticationType| {
            // RADIUS has no other that sends it.
            one.sends_password()
                && (listener.protocol != ListenerProtocol::RadiusUdp
                    || *one == AuthenticationType::Pap)
        };
        listener.admits(device) && plain && accepted.iter().any(sent)
    };
    let mut names = devices
        .iter()
        .filter(may_send)
        .map(|read| &*read.device.name);
    let Some(first) = names.next() else {
        return;
    };
    let ways = if listener.protocol == ListenerProtocol::RadiusUdp {
        "`pap`"
    } else {
        "`ascii`, `pap`"
    };
    let others = match names.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    report
        .warning(
            Lint::PasswordOverPlain,
            spans.protocol,
            format!("passwords themselves ({ways}) may come over this listener, which has no TLS: from {}{others}", escape(first)),
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
    let with_secret = |read: &&ReadDevice| {
        let secrets = [read.tacacs.place, read.radius.place];
        secrets.iter().any(Option::is_some)
    };
    for read in devices.iter().filter(with_secret) {
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
        help: "what has no TLS is for known clients alone: give each device its own address or management network",
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
