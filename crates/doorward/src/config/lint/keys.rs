//! Keys whose identity the only way in cannot carry.

use jiff::civil::Date;

use super::Lint;
use crate::config::device::ReadDevice;
use crate::config::listen::ListenerSpans;
use crate::config::report::{Fold, Report};
use crate::config::{Listener, ListenerProtocol};

/// Tells of devices that have nothing but a key, and may come with it over DTLS alone, where its identity does not fit. TLS 1.3
/// carries any: who may come that way is left out.
pub(super) fn unfit(
    report: &mut Report,
    listeners: &[(Listener, ListenerSpans)],
    devices: &[ReadDevice],
    today: Date,
) {
    let open = || {
        let all = listeners.iter().map(|(listener, _)| listener);
        all.filter(|one| one.methods.psk && !one.is_closed(today))
    };
    let mut sections = Vec::new();
    for read in devices {
        let device = &read.device;
        let (Some(psk), Some(place)) = (&device.psk, read.psk) else {
            continue;
        };
        let other_proof = device.certificate.is_some() || !device.raw_public_key.is_empty();
        if psk.identity.fits_tls12() || other_proof {
            continue;
        }
        let is_dtls = |one: &&Listener| one.protocol == ListenerProtocol::RadiusDtls;
        let mut ways = open().filter(|one| one.protocol.is_tls() && one.admits(device));
        let mut others = ways.clone().filter(|one| !is_dtls(one));
        if ways.any(|one| is_dtls(&one)) && others.next().is_none() {
            sections.push((format!("device.{}", device.name), place));
        }
    }
    report.fold(Fold {
        lint: Lint::PskIdentityUnfit,
        sections,
        message: &|names, _| {
            format!("the identity of the key does not fit into DTLS 1.2, over which alone it could be used, for {names}")
        },
        help: "give the key an identity of at most 256 octets without a zero octet, or have the device come by `radius-tls` with TLS 1.3",
    });
}
