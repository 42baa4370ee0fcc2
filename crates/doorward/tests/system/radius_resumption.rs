//! Tickets of RadSec connections: what they save is a signature, not the judgement.

use std::sync::Arc;

use rustls::{ClientConfig, HandshakeKind};

use crate::harness::{Place, Server, code};
use crate::radius::status;
use crate::radius_wire::{Device, End, end_of};
use crate::revocation::{publish, serial};
use crate::wire::client_config;

/// A device that remembers its tickets.
struct Remembering {
    config: Arc<ClientConfig>,
}

impl Remembering {
    fn core1(place: &Place) -> Self {
        Self {
            config: client_config(place, Some("core1")),
        }
    }

    /// A connection that is served and has brought a ticket for the next one.
    fn served(&self, server: &Server, from: &str, kind: HandshakeKind) -> Device {
        let address = server.address("radius-tls");
        let mut device = Device::connect(address, from, &self.config).unwrap();
        assert_eq!(device.ask(&status(0)).header().id, 0);
        assert_eq!(device.kind(), kind, "from {from}");
        device
    }

    /// One that is refused, and by which alert.
    fn refused(&self, server: &Server, from: &str) -> String {
        let address = server.address("radius-tls");
        let end = match Device::connect(address, from, &self.config) {
            Ok(mut device) => {
                _ = device.try_send(&status(0));
                device.end()
            }
            Err(error) => end_of(&error),
        };
        match end {
            End::Alert(alert) => alert,
            end @ (End::Orderly | End::Cut) => panic!("{end:?} in place of an alert"),
        }
    }
}

/// The ticket is good each time: nothing is reloaded between the connection that brought it and the one that is refused, and
/// a connection before was resumed by one like it. Only for the device that is taken out there is a reload, which makes other
/// keys for tickets; that a ticket is refused whose device is gone while its key is valid, is shown in doorward-tls
/// (`expiry_device_and_address_are_judged_at_every_use`), and so is the client's half
/// (`a_server_revoked_since_its_ticket_is_refused_by_the_client`).
///
/// proves: RAD-3.5-4
#[test]
fn resumption_is_authorized_as_a_full_handshake_is() {
    let line = "certificate = { dns = [\"core1.doorward.test\"] }";
    let bound = format!("{line}\naddress = [\"127.0.0.1/32\"]");
    let old = "address       = [\"127.0.0.1/32\"]";
    let elsewhere = "address       = [\"127.0.0.8/32\"]";
    let place = Place::with(&[(old, elsewhere), (line, &bound)]);
    let mut server = place.start();
    let device = Remembering::core1(&place);
    drop(device.served(&server, "127.0.0.1", HandshakeKind::Full));
    drop(device.served(&server, "127.0.0.1", HandshakeKind::Resumed));
    assert_eq!(device.refused(&server, "127.0.0.2"), "AccessDenied");
    server.wait_for_log(&["\"reason\":\"device-address\"", "127.0.0.2"]);

    drop(device.served(&server, "127.0.0.1", HandshakeKind::Full));
    let mut open = device.served(&server, "127.0.0.1", HandshakeKind::Resumed);
    publish(&place, &[serial(&place, "core1.pem")]);
    // The open connection shows that the list is in force.
    open.end();
    assert_eq!(device.refused(&server, "127.0.0.1"), "CertificateRevoked");
    server.wait_for_log(&["\"reason\":\"certificate-revoked\"", "radius-tls"]);

    publish(&place, &[]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    drop(device.served(&server, "127.0.0.1", HandshakeKind::Full));
    drop(device.served(&server, "127.0.0.1", HandshakeKind::Resumed));
    place.edit(&[(&bound, "certificate = { dns = [\"core2.doorward.test\"] }")]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    assert_eq!(device.refused(&server, "127.0.0.1"), "AccessDenied");
    server.wait_for_log(&["\"reason\":\"certificate-matches-no-device\"", "radius-tls"]);
}
