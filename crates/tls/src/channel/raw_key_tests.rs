//! Raw public keys (RFC 7250), in either role and in both at once.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::KeyPair;

use super::tests::{client_info, info};
use super::*;
use crate::testing::{World, alert_at, carry, client_failure, peer, server_failure};
use crate::{
    ClientPolicy, ClientSettings, Incompatibility, KeyPin, PrivateKey, ReferenceIdentity,
    ServerPolicy, pem,
};

/// Knows some keys, and one certificate.
struct Doorman {
    pins: Mutex<Vec<KeyPin>>,
    methods: Methods,
}

impl Admission for Doorman {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Ok("with-certificate".into())
    }

    fn admit_key(&self, pin: &KeyPin, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        match self.pins.lock().unwrap().contains(pin) {
            true => Ok("with-key".into()),
            false => Err(AdmissionRefusal::UnknownKey),
        }
    }

    fn methods(&self) -> Methods {
        self.methods
    }
}

struct Site {
    world: World,
    server: Arc<ServerPolicy>,
    doorman: Arc<Doorman>,
    /// The client's.
    key: KeyPair,
}

fn private(key: &KeyPair) -> PrivateKey {
    pem::private_key(key.serialize_pem().as_bytes()).unwrap()
}

fn pin(key: &KeyPair) -> KeyPin {
    KeyPin::of(&rcgen::PublicKeyData::subject_public_key_info(key))
}

impl Site {
    fn new(methods: Methods) -> Self {
        let world = World::new();
        let key = KeyPair::generate().unwrap();
        let server = Arc::new(ServerPolicy::new(world.server_settings()).unwrap());
        let doorman = Arc::new(Doorman {
            pins: Mutex::new(vec![pin(&key)]),
            methods,
        });
        Self {
            world,
            server,
            doorman,
            key,
        }
    }

    fn mixed() -> Self {
        Self::new(Methods {
            certificate: true,
            psk: false,
            raw_public_key: true,
        })
    }

    fn meet(&self, change: impl FnOnce(&mut ClientSettings)) -> (ClientChannel, ServerChannel) {
        let mut settings = self.world.client_settings();
        change(&mut settings);
        let policy = Arc::new(ClientPolicy::new(settings).unwrap());
        self.meet_with(policy)
    }

    fn meet_with(&self, policy: Arc<ClientPolicy>) -> (ClientChannel, ServerChannel) {
        let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
        let mut client = ClientChannel::new(policy, reference, Some("aaa1.example.net"), peer());
        let mut server = ServerChannel::new(self.server.clone(), self.doorman.clone(), peer());
        carry(&mut client, &mut server, 1000);
        client.write_plain(b"request").ok();
        carry(&mut client, &mut server, 1000);
        (client, server)
    }

    fn bare(&self) -> impl FnOnce(&mut ClientSettings) {
        let key = private(&self.key);
        move |settings| {
            settings.raw_public_key = true;
            settings.certificate = Some((Vec::new(), key));
        }
    }
}

/// proves: TLS-3.3-3
#[test]
fn a_pinned_key_is_a_device_in_every_combination() {
    let site = Site::mixed();
    let ours = site.server.raw_public_key_pin().unwrap();
    for (client_raw, server_raw) in [(true, true), (true, false), (false, true), (false, false)] {
        let (client, mut server) = site.meet(|settings| {
            if client_raw {
                site.bare()(settings);
            }
            if server_raw {
                settings.server_pins = vec![ours];
            }
        });
        let told = info(&server);
        let (device, method) = match client_raw {
            true => ("with-key", Method::RawPublicKey),
            false => ("with-certificate", Method::Certificate),
        };
        assert_eq!(
            (told.device.as_deref(), told.method),
            (Some(device), method)
        );
        if client_raw {
            assert_eq!(told.identity.fingerprint, pin(&site.key).0);
            assert!(told.identity.dns.is_empty());
        }
        let method = match server_raw {
            true => Method::RawPublicKey,
            false => Method::Certificate,
        };
        assert_eq!(client_info(&client).method, method);
        let mut heard = Vec::new();
        server.read_plain(&mut heard).unwrap();
        assert_eq!(heard, b"request");
    }
}

/// proves: TLS-3.3-3, TLS-3.4.1-5
#[test]
fn a_key_that_is_not_pinned_or_no_longer_is_denied() {
    let site = Site::mixed();
    let mut settings = site.world.client_settings();
    site.bare()(&mut settings);
    let policy = Arc::new(ClientPolicy::new(settings).unwrap());
    let (_, server) = site.meet_with(policy.clone());
    assert!(!info(&server).resumed);
    site.doorman.pins.lock().unwrap().clear();
    // The same client, with all it may have kept from before.
    let (mut client, server) = site.meet_with(policy);
    let denied = HandshakeError::Admission(AdmissionRefusal::UnknownKey);
    assert_eq!(server_failure(&server), &denied);
    assert_eq!(alert_at(&mut client), 49);
}

#[test]
fn a_server_with_another_key_is_refused_and_a_roll_over_has_two_pins() {
    let site = Site::mixed();
    let other = pin(&KeyPair::generate().unwrap());
    let (client, server) = site.meet(|settings| settings.server_pins = vec![other]);
    assert_eq!(client_failure(&client), &HandshakeError::UnknownServerKey);
    assert_eq!(server_failure(&server), &HandshakeError::PeerAlert(42));
    let ours = site.server.raw_public_key_pin().unwrap();
    let (client, _) = site.meet(|settings| settings.server_pins = vec![other, ours]);
    assert!(matches!(client.handshake(), Handshake::Done(_)));
}

#[test]
fn a_server_may_have_a_key_of_its_own_for_this() {
    let mut site = Site::mixed();
    let key = KeyPair::generate().unwrap();
    let mut settings = site.world.server_settings();
    settings.raw_public_key = Some(private(&key));
    site.server = Arc::new(ServerPolicy::new(settings).unwrap());
    assert_eq!(site.server.raw_public_key_pin(), Some(pin(&key)));
    let (client, _) = site.meet(|settings| settings.server_pins = vec![pin(&key)]);
    assert!(matches!(client.handshake(), Handshake::Done(_)));
}

#[test]
fn a_listener_takes_only_what_it_is_configured_for() {
    let kinds = HandshakeError::Incompatible(Incompatibility::CertificateType);
    let site = Site::new(Methods::default());
    let (client, server) = site.meet(site.bare());
    assert_eq!(server_failure(&server), &kinds);
    assert_eq!(client_failure(&client), &HandshakeError::PeerAlert(43));

    let site = Site::new(Methods {
        certificate: false,
        psk: false,
        raw_public_key: true,
    });
    let (client, server) = site.meet(|_| ());
    assert_eq!(server_failure(&server), &kinds);
    assert_eq!(client_failure(&client), &HandshakeError::PeerAlert(43));
    let (_, server) = site.meet(site.bare());
    assert_eq!(info(&server).device.as_deref(), Some("with-key"));
}

/// A ticket of a certificate is not taken where the hello asks for a raw public key, and keys get none.
#[test]
fn keys_and_tickets_do_not_mix() {
    let site = Site::mixed();
    let mut settings = site.world.client_settings();
    site.bare()(&mut settings);
    let policy = Arc::new(ClientPolicy::new(settings).unwrap());
    for _ in 0..3 {
        let (_, server) = site.meet_with(policy.clone());
        assert!(!info(&server).resumed);
    }
}
