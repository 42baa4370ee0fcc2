//! Certificates that are refused within the handshake, with the alert that tells the peer.

use std::sync::Arc;

use rcgen::{ExtendedKeyUsagePurpose, SerialNumber, date_time_ymd};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, version};

use super::hello_surgery::extension;
use super::tests::{drained, info};
use super::*;
use crate::testing::{
    Everybody, FixedTime, Nobody, World, alert_at, carry, client_failure, peer, server_failure,
    trust,
};
use crate::{ChannelError, ClientSettings, PathError, Revocation, ServerPolicy, ServerSettings};

/// A server that trusts the CA of `world` judges the client that `settings` describe; the alert the client sees.
pub(super) fn refused(
    world: &World,
    server: impl FnOnce(&mut ServerSettings),
    client: impl FnOnce(&mut ClientSettings),
) -> (HandshakeError, u8) {
    let (mut client, mut server) = (world.client(client), world.server(server));
    carry(&mut client, &mut server, 1000);
    client.write_plain(b"request").ok();
    carry(&mut client, &mut server, 1000);
    assert_eq!(
        server.read_plain(&mut Vec::new()),
        Err(ChannelError::NotReady),
        "nothing is processed"
    );
    (server_failure(&server).clone(), alert_at(&mut client))
}

/// proves: TLS-3.1-1
#[test]
fn a_client_without_certificate_is_told_so() {
    let (error, alert) = refused(&World::new(), |_| (), |client| client.certificate = None);
    assert_eq!((error, alert), (HandshakeError::NoCertificate, 116));
}

/// proves: TLS-3.4-3
#[test]
fn every_bad_client_certificate_gets_its_own_alert() {
    let world = World::new();
    let stranger = crate::testing::Ca::root("stranger");
    let dated = |year| {
        move |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(year, 2, 1)
    };
    let cases = [
        (
            world.ca.leaf_with("core1.example.net", dated(2027)),
            "certificate-expired",
            45,
        ),
        (
            world.ca.leaf_with("core1.example.net", |params| {
                params.not_before = date_time_ymd(2027, 9, 1)
            }),
            "certificate-not-yet-valid",
            45,
        ),
        (stranger.leaf("core1.example.net"), "unknown-issuer", 48),
        (
            world.ca.leaf_with("core1.example.net", |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
            "extended-key-usage",
            43,
        ),
    ];
    for (leaf, name, number) in cases {
        let show = |client: &mut ClientSettings| {
            client.certificate = Some((vec![leaf.der.clone()], leaf.private_key()));
        };
        let (error, alert) = refused(&world, |_| (), show);
        assert_eq!((error.name(), alert), (name, number));
    }
    let mut damaged = world.client.der.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let show = |client: &mut ClientSettings| {
        client.certificate = Some((vec![damaged.into()], world.client.private_key()));
    };
    let (error, alert) = refused(&world, |_| (), show);
    assert_eq!((error.name(), alert), ("bad-signature", 42));
}

#[test]
fn a_revoked_client_and_a_missing_list_get_their_own_alerts() {
    let mut world = World::new();
    world.client = world.ca.leaf_with("core1.example.net", |params| {
        params.serial_number = Some(SerialNumber::from(5_u64))
    });
    let requiring = |crls| {
        let trust = Arc::new(trust(&[&world.ca], crls, Revocation::Require));
        move |server: &mut ServerSettings| server.trust = trust
    };
    let (error, alert) = refused(&world, requiring(vec![world.ca.crl(&[5])]), |_| ());
    assert_eq!((error.name(), alert), ("certificate-revoked", 44));
    let (error, alert) = refused(&world, requiring(Vec::new()), |_| ());
    assert_eq!((error.name(), alert), ("no-current-crl", 46));
}

/// proves: TLS-3.4-1
#[test]
fn each_side_refuses_a_revoked_certificate_of_the_other() {
    let mut world = World::new();
    let numbered = |number: u64| {
        move |params: &mut rcgen::CertificateParams| {
            params.serial_number = Some(SerialNumber::from(number))
        }
    };
    world.client = world.ca.leaf_with("core1.example.net", numbered(5));
    world.server = world.ca.leaf_with("aaa1.example.net", numbered(6));
    let listing = |serial| {
        Arc::new(trust(
            &[&world.ca],
            vec![world.ca.crl(&[serial])],
            Revocation::Require,
        ))
    };
    let revoked = |serial: &str| {
        HandshakeError::Path(PathError::Revoked {
            serial: serial.into(),
        })
    };

    let (mut client, mut server) = (
        world.client(|client| client.trust = listing(5)),
        world.server(|server| server.trust = listing(5)),
    );
    carry(&mut client, &mut server, 1000);
    assert_eq!(server_failure(&server), &revoked("5"));
    assert_eq!(alert_at(&mut client), 44);

    let (mut client, mut server) = (
        world.client(|client| client.trust = listing(6)),
        world.server(|server| server.trust = listing(6)),
    );
    carry(&mut client, &mut server, 1000);
    assert_eq!(client_failure(&client), &revoked("6"));
    assert_eq!(server_failure(&server), &HandshakeError::PeerAlert(44));
}

#[test]
fn a_good_certificate_of_no_device_is_denied_access() {
    let world = World::new();
    let policy = Arc::new(ServerPolicy::new(world.server_settings()).unwrap());
    for round in 0..2 {
        let mut client = world.client(|_| ());
        let mut server = ServerChannel::new(policy.clone(), Arc::new(Nobody), peer());
        carry(&mut client, &mut server, 1000);
        assert_eq!(
            server_failure(&server),
            &HandshakeError::Admission(AdmissionRefusal::UnknownDevice)
        );
        assert_eq!(
            alert_at(&mut client),
            49,
            "round {round}: a good path admits nobody"
        );
        assert!(!server.wants_abrupt_close());
        assert_eq!(policy.basis.trust.remembered(), 0, "nor is it remembered");
    }
}

/// Shows `chain` to a server of `policy` and signs with `key`, whosever that is.
fn impostor(
    world: &World,
    policy: &Arc<ServerPolicy>,
    chain: &[&[u8]],
    key: &crate::PrivateKey,
) -> (ServerChannel, Result<PlainState, ChannelError>) {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.0).unwrap();
    let chain = chain.iter().map(|der| der.to_vec().into()).collect();
    let stolen = rustls::sign::CertifiedKey::new(chain, key);
    let mut roots = RootCertStore::empty();
    roots.add(world.ca.der.to_vec().into()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&version::TLS13])
    .unwrap()
    .with_root_certificates(roots)
    .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen)));
    config.time_provider = Arc::new(FixedTime);
    let name = ServerName::try_from("aaa1.example.net").unwrap();
    let mut client = super::engine::Engine::client(
        UnbufferedClientConnection::new(Arc::new(config), name).unwrap(),
    );
    let mut server = ServerChannel::new(policy.clone(), Arc::new(Everybody), peer());
    for _ in 0..3 {
        server.feed(&drained(|out| client.drain(out)));
        client.feed(&drained(|out| server.drain(out)));
    }
    let end = client.read_plain(&mut Vec::new());
    (server, end)
}

#[test]
fn a_stolen_certificate_without_its_key_is_refused_and_not_remembered() {
    let world = World::new();
    let thief = world.ca.leaf("thief.example.net").private_key();
    let policy = Arc::new(ServerPolicy::new(world.server_settings()).unwrap());
    let refused = |chain: &[&[u8]]| {
        let (server, end) = impostor(&world, &policy, chain, &thief);
        assert_eq!(server_failure(&server), &HandshakeError::ProofOfPossession);
        assert_eq!(end, Err(ChannelError::PeerAlert(51)));
    };
    let stolen = &world.client.der;
    refused(&[stolen]);
    for rubbish in 0..3 {
        refused(&[stolen, &[rubbish; 10_000]]);
    }
    assert_eq!(policy.basis.trust.remembered(), 0);
    // The honest client, so that its path is remembered: that skips the path and not the proof.
    for _ in 0..2 {
        let mut client = world.client(|_| ());
        let mut server = ServerChannel::new(policy.clone(), Arc::new(Everybody), peer());
        carry(&mut client, &mut server, 1000);
        info(&server);
        assert_eq!(policy.basis.trust.remembered(), 1);
    }
    refused(&[stolen]);
    assert_eq!(policy.basis.trust.remembered(), 1);
}

#[test]
fn a_chain_longer_than_anybody_needs_is_refused_in_the_handshake() {
    let world = World::new();
    let policy = Arc::new(ServerPolicy::new(world.server_settings()).unwrap());
    let key = world.client.private_key();
    let leaf = &*world.client.der;
    let rubbish = [0; 33_000];
    for (chain, error) in [
        (vec![leaf; 7], PathError::TooManyCertificates),
        (vec![leaf, &rubbish], PathError::TooManyOctets),
    ] {
        let (server, end) = impostor(&world, &policy, &chain, &key);
        assert_eq!(server_failure(&server), &HandshakeError::Path(error));
        assert_eq!(end, Err(ChannelError::PeerAlert(42)));
    }
    assert_eq!(policy.basis.trust.remembered(), 0);
}

/// A hello that can do nothing but SHA-1: rsa_pkcs1_sha1 and ecdsa_sha1.
///
/// proves: TLS-5.1.3-1
#[test]
fn signatures_with_sha_1_are_refused() {
    let world = World::new();
    let (mut client, mut server) = (world.client(|_| ()), world.server(|_| ()));
    let mut hello = drained(|out| client.drain(out));
    let offered = |hello: &[u8]| match crate::hello::ClientHelloReader::new().push(hello) {
        Ok(crate::hello::Progress::Done(hello)) => hello.signature_algorithms,
        other => panic!("{other:?}"),
    };
    let (at, length) = extension(&hello, 13);
    let list = hello[at + 6..at + length].chunks_mut(2); // behind the header and the length of the list
    for (pair, sha1) in list.zip([0x0201_u16, 0x0203].iter().cycle()) {
        pair.copy_from_slice(&sha1.to_be_bytes());
    }
    assert!(
        offered(&hello)
            .iter()
            .all(|scheme| matches!(scheme, 0x0201 | 0x0203))
    );
    server.feed(&hello);
    let lacking = HandshakeError::Incompatible(crate::Incompatibility::SignatureScheme);
    assert_eq!(server_failure(&server), &lacking);
}
