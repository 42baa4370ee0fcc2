//! TLS 1.2: only for a client whose policy allows it (collectors of syslog), and with the same judgement of the server.

use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::{ServerConfig, version};

use super::engine::Engine;
use super::*;
use crate::ChannelError;
use crate::testing::{Ca, Leaf, World, carry, client_failure};

/// A server of another maker that speaks nothing better than TLS 1.2, with this certificate.
fn old_server(leaf: &Leaf) -> Engine {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&leaf.private_key().0).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![leaf.der.to_vec().into()], key);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
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
