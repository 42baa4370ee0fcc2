//! Who may come without TLS.

use ipnet::IpNet;
use jiff::civil::Date;

use super::Lint;
use crate::config::device::ReadDevice;
use crate::config::listen::ListenerSpans;
use crate::config::report::{Fold, Report};
use crate::config::{Listener, ListenerProtocol};

/// A plain listener that does not say from where. Secrets can be guessed at by whoever can connect, and what they hide be read by
/// whoever listens on the way (RFC 8907 section 10.2).
pub(super) fn listener(
    report: &mut Report,
    listener: &Listener,
    spans: &ListenerSpans,
    today: Date,
) {
    let plain = listener.protocol == ListenerProtocol::Tacacs;
    let closed = listener.until.is_some_and(|until| until < today);
    let local = listener.address.ip().to_canonical().is_loopback();
    if !plain || closed || local {
        return;
    }
    let message = if listener.from.is_empty() {
        "any address may connect to this listener, which has no TLS"
    } else if listener.from.iter().any(wide) {
        "nearly any address may connect to this listener, which has no TLS: a range of `from` is wider than /8 (or /16 of IPv6)"
    } else {
        return;
    };
    report
        .warning(Lint::OpenPlainListener, spans.address, message)
        .on(format!("listen.{}", listener.address))
        .help("name the management networks in `from`; the devices' own ranges are added by themselves");
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
    let mut sections = Vec::new();
    for read in devices.iter().filter(|read| read.secret.is_some()) {
        let networks = read.device.address.iter().zip(&read.address);
        let first = networks.into_iter().find(|(network, _)| wide(network));
        if let Some((_, span)) = first {
            sections.push((format!("device.{}", read.device.name), *span));
        }
    }
    report.fold(Fold {
        lint: Lint::WideAddress,
        sections,
        message: &|names, _| {
            format!(
                "{names}: whoever has the secret is this device from nearly any address, without TLS"
            )
        },
        help: "give each device its own address or management network",
    });
}
