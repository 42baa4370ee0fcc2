//! Devices with a way in over TLS and another one without (RFC 9887 section 6.2, RFC 6614bis section 7.1).

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::civil::Date;
use prefix_trie::{Prefix, PrefixMap};

use super::Lint;
use crate::config::device::ReadDevice;
use crate::config::listen::ListenerSpans;
use crate::config::report::{Fold, Report};
use crate::config::source::{Span, escape};
use crate::config::{Listener, ListenerProtocol};

const WHY: &str =
    "until the one without is gone, an attacker can use it, and TLS protects nothing there";

/// What is said of one protocol without TLS.
struct Way {
    protocol: ListenerProtocol,
    /// To a device that has both.
    help: &'static str,
    /// To one whose address another has.
    two_names: &'static str,
}

const WAYS: [Way; 2] = [
    Way {
        protocol: ListenerProtocol::Tacacs,
        help: "once `doorward status --devices` shows it with TLS, take the plain server out of the device, then `tacacs_secret` out of here \
               (or write `transport = \"tls\"`); to accept it while you move, write an [[allow]] with `until` (docs/guide/migration.md, RFC 9887 section 6.2)",
        two_names: "if both are one machine, take the entry without TLS out once it has moved; if not, give each an address of its own \
               (docs/guide/migration.md, RFC 9887 section 6.2)",
    },
    Way {
        protocol: ListenerProtocol::RadiusUdp,
        help: "once it comes by RadSec, take `radius_secret` out of here (or write `transport = \"tls\"`); to accept it while you move, write an \
               [[allow]] with `until` (docs/guide/radsec.md, RFC 6614bis sections 7.1 and 7.7)",
        two_names: "if both are one machine, take the entry without TLS out once it has moved; if not, give each an address of its own \
               (docs/guide/radsec.md, RFC 6614bis sections 7.1 and 7.7)",
    },
];

/// Tells of devices that this server takes without TLS and that could come with it, under one name or two.
pub(super) fn both(
    report: &mut Report,
    listeners: &[(Listener, ListenerSpans)],
    devices: &[ReadDevice],
    today: Date,
) {
    for way in &WAYS {
        both_ways(report, way, listeners, devices, today);
    }
}

fn both_ways(
    report: &mut Report,
    way: &Way,
    listeners: &[(Listener, ListenerSpans)],
    devices: &[ReadDevice],
    today: Date,
) {
    // A listener that no network reaches is left out, as everywhere.
    let unprotected: Vec<&Listener> = listeners
        .iter()
        .map(|(listener, _)| listener)
        .filter(|one| one.protocol == way.protocol && !one.is_closed(today))
        .filter(|one| !one.address.ip().to_canonical().is_loopback())
        .collect();
    let (mut secure, mut plain, mut under_one_name) = (Vec::new(), Vec::new(), Vec::new());
    for read in devices {
        // The server with TLS may be another one, with the same devices.
        let with = read.device.can_use_tls();
        let without = unprotected.iter().any(|one| one.serves(&read.device));
        match (with, without, read.secret(way.protocol)) {
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
        message: &|names, _| {
            format!("there is a way in over TLS and another one without for {names}: {WHY}")
        },
        help: way.help,
    });
    under_two_names(report, way, &secure, &plain);
}

/// What comes from an address of a device with TLS may be another device without.
fn under_two_names(report: &mut Report, way: &Way, secure: &[&ReadDevice], plain: &[&ReadDevice]) {
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
            .filter_map(|(network, span)| Some((without.sharing(*network)?, *span)))
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
                format!(
                    "an address of {names}, with TLS, is also one of [device.{other}], without: {WHY}"
                )
            },
            help: way.two_names,
        });
    }
}

/// Networks of devices, of which one is found that has addresses of another.
#[derive(Default)]
struct Networks {
    v4: PrefixMap<Ipv4Net, usize>,
    v6: PrefixMap<Ipv6Net, usize>,
}

/// The narrowest network around this one, else one within it: two networks cannot overlap otherwise.
fn sharing<P: Prefix>(networks: &PrefixMap<P, usize>, network: &P) -> Option<usize> {
    let around = networks.get_lpm(network);
    let found = around.or_else(|| networks.children(network).next());
    found.map(|(_, at)| *at)
}

impl Networks {
    fn insert(&mut self, network: IpNet, at: usize) {
        match network {
            IpNet::V4(network) => self.v4.insert(network, at),
            IpNet::V6(network) => self.v6.insert(network, at),
        };
    }

    fn sharing(&self, network: IpNet) -> Option<usize> {
        match network {
            IpNet::V4(network) => sharing(&self.v4, &network),
            IpNet::V6(network) => sharing(&self.v6, &network),
        }
    }
}
