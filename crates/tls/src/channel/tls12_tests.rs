//! TLS 1.2: only for a client whose policy allows it (collectors of syslog) and a listener that does (RadSec), and with the
//! same judgement of the peer.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, version};

use super::engine::Engine;
use super::tests::drained;
use super::traffic_tests::lengths;
use super::*;
use crate::ChannelError;
use crate::testing::{Ca, FixedTime, Leaf, World, carry, client_failure, server_failure};

/// A certificate with a key that perhaps is not its own.
fn shown(leaf: &Leaf) -> SingleCertAndKey {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&leaf.private_key().0).unwrap();
    SingleCertAndKey::from(CertifiedKey::new(vec![leaf.der.to_vec().into()], key))
}

/// A server of another maker that speaks nothing better than TLS 1.2, with this certificate.
fn old_server(leaf: &Leaf) -> Engine {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown(leaf)));
    Engine::server(UnbufferedServerConnection::new(Arc::new(config)).unwrap())
}

/// Carries octets both ways until nobody has any left.
fn exchange(client: &mut ClientChannel, server: &mut Engine) {
    loop {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.drain(&mut up);
        server.feed(&up);
        server.drain(&mut down);
        client.feed(&down);
        if up.is_empty() && down.is_empty() {
            return;
        }
    }
}

#[test]
fn a_client_that_may_speaks_tls_1_2_with_forward_secrecy() {
    let world = World::new();
    let mut server = old_server(&world.server);
    let mut client = world.client(|settings| settings.tls12 = true);
    exchange(&mut client, &mut server);
    let Handshake::Done(info) = client.handshake() else {
        panic!("{:?}", client.handshake());
    };
    assert_eq!(info.version, "1.2");
    assert!(info.suite.starts_with("TLS_ECDHE_ECDSA_WITH_"), "{info:?}");
    client.write_plain(b"record").unwrap();
    client.close();
    exchange(&mut client, &mut server);
    let mut read = Vec::new();
    assert_eq!(server.read_plain(&mut read), Ok(PlainState::Closed));
    assert_eq!(read, b"record");
    assert_eq!(client.write_plain(b"late"), Err(ChannelError::Closed));
}

#[test]
fn the_server_is_judged_as_over_tls_1_3() {
    let world = World::new();
    let cases = [
        (world.ca.leaf("aaa2.example.net"), "name-mismatch"),
        (
            Ca::root("Somebody").leaf("aaa1.example.net"),
            "unknown-issuer",
        ),
    ];
    for (leaf, refusal) in cases {
        let mut server = old_server(&leaf);
        let mut client = world.client(|settings| settings.tls12 = true);
        exchange(&mut client, &mut server);
        assert_eq!(client_failure(&client).name(), refusal);
    }
    // A certificate of the right server, shown by somebody who does not hold its key.
    let key = Ca::root("Device CA").leaf("aaa1.example.net").key;
    let stolen = Leaf {
        der: world.server.der.clone(),
        key,
    };
    let mut server = old_server(&stolen);
    let mut client = world.client(|settings| settings.tls12 = true);
    exchange(&mut client, &mut server);
    assert_eq!(client_failure(&client).name(), "proof-of-possession");
}

#[test]
fn tls_1_3_is_taken_where_both_know_it_and_named_suites_leave_nothing_older() {
    let world = World::new();
    let mut client = world.client(|settings| settings.tls12 = true);
    let mut server = world.server(|_| ());
    carry(&mut client, &mut server, 1000);
    let Handshake::Done(info) = client.handshake() else {
        panic!("{:?}", client.handshake());
    };
    assert_eq!(info.version, "1.3");

    let mut server = old_server(&world.server);
    let mut client = world.client(|settings| {
        settings.tls12 = true;
        settings.cipher_suites = vec!["TLS_AES_128_GCM_SHA256".into()];
    });
    exchange(&mut client, &mut server);
    assert_eq!(client_failure(&client), &HandshakeError::PeerAlert(70));
}

/// A client of another maker that speaks nothing better than TLS 1.2.
fn old_client(world: &World, leaf: Option<&Leaf>) -> Engine {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.ca.der.to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match leaf {
        Some(leaf) => builder.with_client_cert_resolver(Arc::new(shown(leaf))),
        None => builder.with_no_client_auth(),
    };
    config.time_provider = Arc::new(FixedTime);
    let name = "aaa1.example.net".try_into().unwrap();
    let client = UnbufferedClientConnection::new(Arc::new(config), name).unwrap();
    Engine::client(client)
}

/// Carries octets both ways until nobody has any left; what the server sent first.
fn served(client: &mut Engine, server: &mut ServerChannel) -> Vec<u8> {
    let mut first = None;
    loop {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.drain(&mut up);
        server.feed(&up);
        server.drain(&mut down);
        client.feed(&down);
        first.get_or_insert_with(|| down.clone());
        if up.is_empty() && down.is_empty() {
            return first.unwrap();
        }
    }
}

#[test]
fn a_listener_that_may_serves_tls_1_2_and_says_that_it_knows_better() {
    let world = World::new();
    let mut client = old_client(&world, Some(&world.client));
    let mut server = world.server(|_| ()).with_versions(Versions::Tls12AndTls13);
    let flight = served(&mut client, &mut server);
    let Handshake::Done(info) = server.handshake() else {
        panic!("{:?}", server.handshake());
    };
    assert_eq!((info.version, info.resumed), ("1.2", false));
    assert!(info.suite.starts_with("TLS_ECDHE_ECDSA_WITH_"), "{info:?}");
    assert_eq!(info.device.as_deref(), Some("core1"));
    // The random of the ServerHello ends with what RFC 8446 section 4.1.3 asks of a server that was talked down.
    assert_eq!((flight[0], flight[5]), (22, 2));
    assert_eq!(&flight[11 + 24..11 + 32], b"DOWNGRD\x01");
    client.write_plain(b"request").unwrap();
    served(&mut client, &mut server);
    let mut read = Vec::new();
    assert_eq!(server.read_plain(&mut read), Ok(PlainState::Open));
    assert_eq!(read, b"request");
    for packet in [&b"one"[..], b"two", b"three"] {
        server.write_record(packet).unwrap();
    }
    let sealed = drained(|out| server.drain(out));
    // Explicit nonce and tag are 24 octets.
    assert_eq!(lengths(&sealed, 24), [3, 3, 5]);
    client.feed(&sealed);
    read.clear();
    client.read_plain(&mut read).unwrap();
    assert_eq!(read, b"onetwothree");
}

#[test]
fn a_client_is_judged_over_tls_1_2_as_over_tls_1_3() {
    let world = World::new();
    let stolen = Leaf {
        der: world.client.der.clone(),
        key: world.ca.leaf("core1.example.net").key,
    };
    let stranger = Ca::root("Somebody").leaf("core1.example.net");
    let cases = [
        (None, "no-certificate"),
        (Some(&stranger), "unknown-issuer"),
        (Some(&stolen), "proof-of-possession"),
    ];
    for (leaf, refusal) in cases {
        let mut client = old_client(&world, leaf);
        let mut server = world.server(|_| ()).with_versions(Versions::Tls12AndTls13);
        served(&mut client, &mut server);
        assert_eq!(server_failure(&server).name(), refusal);
    }
    // Without being told to, a listener speaks TLS 1.3 alone.
    let mut client = old_client(&world, Some(&world.client));
    let mut server = world.server(|_| ());
    assert_eq!(served(&mut client, &mut server), [21, 3, 3, 0, 2, 2, 70]);
}

/// Of several profiles on one listener each decides for itself.
#[test]
fn a_profile_without_tls_1_2_refuses_it_where_the_listener_may() {
    let world = World::new();
    let mut client = old_client(&world, Some(&world.client));
    let mut server = world
        .server(|settings| settings.tls12 = false)
        .with_versions(Versions::Tls12AndTls13);
    assert_eq!(served(&mut client, &mut server), [21, 3, 3, 0, 2, 2, 70]);
    assert_eq!(server_failure(&server).name(), "no-common-version");
}

#[test]
fn who_knows_tls_1_3_gets_it_from_a_listener_that_may_do_without() {
    let world = World::new();
    let mut client = world.client(|settings| settings.tls12 = true);
    let mut server = world.server(|_| ()).with_versions(Versions::Tls12AndTls13);
    carry(&mut client, &mut server, 1000);
    let Handshake::Done(info) = server.handshake() else {
        panic!("{:?}", server.handshake());
    };
    assert_eq!(info.version, "1.3");
}

/// Whoever says or hears so many records, one that is only told among them.
#[test]
fn keys_that_are_worn_are_told_of() {
    let world = World::new();
    for speaker in ["client", "server"] {
        let mut client = old_client(&world, Some(&world.client));
        let mut server = world
            .server(|_| ())
            .with_versions(Versions::Tls12AndTls13)
            .with_tls12_records(3);
        served(&mut client, &mut server);
        for spoken in 0..5 {
            assert_eq!(server.wants_renewal(), spoken >= 3, "{speaker}");
            if speaker == "client" {
                client.write_record(b"request").unwrap();
            } else {
                server.write_record(b"answer").unwrap();
            }
            served(&mut client, &mut server);
        }
    }
    let mut settings = world.client_settings();
    settings.tls12 = true;
    let policy = crate::ClientPolicy::new(settings).unwrap();
    let reference = crate::ReferenceIdentity::parse("aaa1.example.net").unwrap();
    let policy = Arc::new(policy.with_tls12_records(3));
    let connect = |server: &mut Engine| {
        let (policy, reference) = (policy.clone(), reference.clone());
        let name = Some("aaa1.example.net");
        let mut client = ClientChannel::new(policy, reference, name, crate::testing::peer());
        exchange(&mut client, server);
        client
    };
    let mut server = old_server(&world.server);
    let mut client = connect(&mut server);
    client.write_plain(&[7; 40_000]).unwrap();
    assert!(!client.wants_renewal());
    exchange(&mut client, &mut server);
    assert!(client.wants_renewal(), "it took three records");
}

#[test]
fn keys_of_tls_1_3_are_changed_and_never_worn() {
    let world = World::new();
    let mut client = world.client(|_| ());
    let mut server = world.server(|_| ()).with_tls12_records(1);
    carry(&mut client, &mut server, 1000);
    for _ in 0..3 {
        server.write_record(b"answer").unwrap();
        carry(&mut client, &mut server, 1000);
        assert!(!server.wants_renewal());
    }
}
