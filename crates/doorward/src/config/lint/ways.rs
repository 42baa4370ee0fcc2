//! Devices with a way in over TLS and another one without (RFC 9887 section 6.2).

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::civil::Date;
use prefix_trie::PrefixMap;

use super::Lint;
use crate::config::device::ReadDevice;
use crate::config::listen::ListenerSpans;
use crate::config::report::{Fold, Report};
use crate::config::source::{Span, escape};
use crate::config::{Listener, ListenerProtocol};

const WHY: &str =
    "until the one without is gone, an attacker can use it, and TLS protects nothing there";

/// Tells of devices that this server takes without TLS and that could come with it, under one name or two.
pub(super) fn both(
    report: &mut Report,
    listeners: &[(Listener, ListenerSpans)],
    devices: &[ReadDevice],
    today: Date,
) {
    // A listener that no network reaches is left out, as everywhere.
    let unprotected: Vec<&Listener> = listeners
        .iter()
        .map(|(listener, _)| listener)
        .filter(|one| one.protocol == ListenerProtocol::Tacacs && !one.is_closed(today))
        .filter(|one| !one.address.ip().to_canonical().is_loopback())
        .collect();
    let (mut secure, mut plain, mut under_one_name) = (Vec::new(), Vec::new(), Vec::new());
    for read in devices {
        // The server with TLS may be another one, with the same devices.
        let with = read.device.can_use_tls();
        let without = unprotected.iter().any(|one| one.serves(&read.device));
        match (with, without, read.secret) {
            (true, true, Some(secret)) => {
                under_one_name.push((format!("device.{}", read.device.name), secret));
                plain.push(read);
            }
            (_, true, _) => plain.push(read),
            (true, false, _) => secure.push(read),
            (false, false, _) => {}
        }
    }
    report.fold(Fold {
        lint: Lint::DeviceOnTlsAndPlain,
        sections: under_one_name,
        message: &|names, _| format!("there is a way in over TLS and another one without for {names}: {WHY}"),
        help: "once `doorward status --devices` shows it with TLS, take the plain server out of the device, then `tacacs_secret` out of here \
               (or write `transport = \"tls\"`); to accept it while you move, write an [[allow]] with `until` (docs/guide/migration.md, RFC 9887 section 6.2)",
    });
    under_two_names(report, &secure, &plain);
}

/// What comes from an address of a device with TLS may be another device without.
fn under_two_names(report: &mut Report, secure: &[&ReadDevice], plain: &[&ReadDevice]) {
    let mut without = Networks::default();
    for (at, read) in plain.iter().enumerate() {
        for network in &read.device.address {
            without.insert(*network, at);
        }
    }
    let mut shared: BTreeMap<usize, Vec<(String, Span)>> = BTreeMap::new();
    for read in secure {
        let networks = read.device.address.iter().zip(&read.address);
        let found = networks
            .filter_map(|(network, span)| Some((without.around(*network)?, *span)))
            .next();
        if let Some((at, span)) = found {
            let section = format!("device.{}", read.device.name);
            shared.entry(at).or_default().push((section, span));
        }
    }
    for (at, sections) in shared {
        let Some(other) = plain.get(at).map(|read| escape(&read.device.name)) else {
            continue;
        };
        report.fold(Fold {
            lint: Lint::DeviceOnTlsAndPlain,
            sections,
            message: &|names, _| {
                format!("the address of {names}, with TLS, is one of [device.{other}], without: {WHY}")
            },
            help: "if both are one machine, take the entry without TLS out once it has moved; if not, give each an address of its own \
                   (docs/guide/migration.md, RFC 9887 section 6.2)",
        });
    }
}

/// Networks of devices, of which the narrowest one around another is found.
#[derive(Default)]
struct Networks {
    v4: PrefixMap<Ipv4Net, usize>,
    v6: PrefixMap<Ipv6Net, usize>,
}

impl Networks {
    fn insert(&mut self, network: IpNet, at: usize) {
        match network {
            IpNet::V4(network) => self.v4.insert(network, at),
            IpNet::V6(network) => self.v6.insert(network, at),
        };
    }

    fn around(&self, network: IpNet) -> Option<usize> {
        match network {
            IpNet::V4(network) => self.v4.get_lpm(&network).map(|(_, at)| *at),
            IpNet::V6(network) => self.v6.get_lpm(&network).map(|(_, at)| *at),
        }
    }
}
