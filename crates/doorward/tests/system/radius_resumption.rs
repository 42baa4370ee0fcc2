//! Tickets of RadSec connections: what they save is a signature, not the judgement.

use std::sync::Arc;

use rustls::{ClientConfig, HandshakeKind};

use crate::harness::{Place, Server, code};
use crate::radius::status;
use crate::radius_wire::{Device, End, end_of};
use crate::revocation::{brief, publish, serial};
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

/// What the log told last of a device that was admitted, without what is each connection's own.
fn identity(server: &mut Server, count: usize) -> serde_json::Value {
    let line = server.wait_for_logs(&["a device is connected", "core1"], count);
    let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
    for own in ["timestamp", "source", "resumed"] {
        line.as_object_mut().unwrap().remove(own);
    }
    line
}

/// The same device, the same fields for rules and the same rule; a login over each.
///
/// proves: RAD-3.5-2
#[test]
fn a_resumed_connection_has_the_identity_of_the_first() {
    let rule = "when = { group = \"noc\" }";
    let keyed =
        "when = { san = \"dns:core1.doorward.test\", eku = \"clientAuth\", group = \"noc\" }";
    let place = Place::with(&[(rule, keyed)]);
    let mut server = place.start_through(&[], "debug");
    let device = Remembering::core1(&place);
    let login = crate::radius::pap(1, "alice", &place.text("alice.password"));
    let mut told = Vec::new();
    for (count, kind) in [(1, HandshakeKind::Full), (2, HandshakeKind::Resumed)] {
        let mut connection = device.served(&server, "127.0.0.1", kind);
        let identity = identity(&mut server, count);
        assert!(identity["fingerprint"].is_string(), "{identity}");
        let accept = connection.ask(&login);
        assert_eq!(accept.header().code, doorward_radius::Code::ACCESS_ACCEPT);
        let passed = ["\"reason\":\"password-right\"", "\"user\":\"alice\""];
        let login = server.wait_for_logs(&passed, count);
        let login: serde_json::Value = serde_json::from_str(&login).unwrap();
        assert!(login["rule"].is_string(), "{login}");
        told.push((identity, login["rule"].clone()));
    }
    assert_eq!(told[0], told[1]);
}

/// Neither is believed by a ticket: one whose certificate has ended meanwhile, and one whose authority is trusted no more.
///
/// proves: RAD-3.5-5
#[test]
fn a_ticket_outlives_neither_its_certificate_nor_its_authority() {
    let place = Place::demo();
    brief(&place);
    let mut server = place.start();
    let soon_over = Remembering {
        config: client_config(&place, Some("brief")),
    };
    let mut open = soon_over.served(&server, "127.0.0.1", HandshakeKind::Full);
    drop(soon_over.served(&server, "127.0.0.1", HandshakeKind::Resumed));
    // The open connection is closed when the certificate ends, which tells the time.
    open.end();
    assert_eq!(
        soon_over.refused(&server, "127.0.0.1"),
        "CertificateExpired"
    );

    let device = Remembering::core1(&place);
    drop(device.served(&server, "127.0.0.1", HandshakeKind::Full));
    drop(device.served(&server, "127.0.0.1", HandshakeKind::Resumed));
    let other = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let other = params.self_signed(&other).unwrap();
    std::fs::write(place.path("other-ca.pem"), other.pem()).unwrap();
    place.edit(&[
        ("= [\"ca.pem\"]", "= [\"other-ca.pem\"]"),
        ("= \"require\" ", "= \"off\" "),
    ]);
    assert_eq!(code(&place.ask(&["reload"])), 0);
    let alert = device.refused(&server, "127.0.0.1");
    assert!(["UnknownCA", "UnknownCa"].contains(&&*alert), "{alert}");
    server.wait_for_log(&["\"reason\":\"certificate-path\"", "radius-tls"]);
}

/// The ticket is good each time: nothing is reloaded between the connection that brought it and the one that is refused, and
/// a connection before was resumed by one like it. Only for the device that is taken out there is a reload, which makes other
/// keys for tickets; that a ticket is refused whose device is gone while its key is valid, is shown in doorward-tls
/// (`expiry_device_and_address_are_judged_at_every_use`), and so is the client's half
/// (`a_server_revoked_since_its_ticket_is_refused_by_the_client`).
///
/// proves: RAD-3.5-4, RAD-3.5-6
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
