//! Rules of the documents that take a whole handshake to show, and hostile peers.

use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, GeneralSubtree, IsCa, NameConstraints,
    SanType, SerialNumber,
};
use rustls::server::UnbufferedServerConnection;
use rustls::{ServerConfig, version};

use super::engine::Engine;
use super::*;
use crate::testing::{
    Ca, Everybody, FixedTime, Leaf, World, alert_at, carry, peer, server_failure,
};
use crate::{
    CertificateMatch, ChannelError, ClientPolicy, Der, MatchSettings, ReferenceIdentity,
    Revocation, ServerPolicy, Trust, TrustSettings,
};

/// A handshake of a client that shows `chain` with a server that judges by `trust`.
fn judged(
    world: &World,
    trust: TrustSettings,
    leaf: &Leaf,
    chain: Vec<Der>,
) -> (ClientChannel, ServerChannel) {
    let mut client = world.client(|client| client.certificate = Some((chain, leaf.private_key())));
    let trust = Arc::new(Trust::new(trust).unwrap());
    let mut server = world.server(|server| server.trust = trust);
    carry(&mut client, &mut server, 1000);
    (client, server)
}

fn trusting(anchor: &Ca) -> TrustSettings {
    TrustSettings {
        anchors: vec![anchor.der.clone()],
        revocation: Revocation::Off,
        ..Default::default()
    }
}

/// proves: TLS-3.4.1-1
#[test]
fn chains_that_break_a_rule_of_path_validation_are_refused() {
    type Change = fn(&mut CertificateParams);
    let nothing: Change = |_| ();
    let no_ca: Change = |params| params.is_ca = IsCa::ExplicitNoCa;
    let no_sub: Change = |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let elsewhere: Change = |params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.org".into())];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees,
            excluded_subtrees: Vec::new(),
        });
    };
    let critical: Change = |params| {
        let mut odd = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 1], vec![5, 0]);
        odd.set_criticality(true);
        params.custom_extensions.push(odd);
    };
    // upper CA, lower CA, refusal, alert
    let cases = [
        (nothing, no_ca, "issuer-not-ca", 48),
        (no_sub, nothing, "path-length", 48),
        (nothing, elsewhere, "name-constraint", 42),
        (nothing, critical, "critical-extension", 42),
    ];
    let world = World::new();
    for (of_upper, of_lower, name, number) in cases {
        let upper = world.ca.sub_with("upper", of_upper);
        let lower = upper.sub_with("lower", of_lower);
        let leaf = lower.leaf("core1.example.net");
        let chain = vec![leaf.der.clone(), lower.der.clone(), upper.der.clone()];
        let (mut client, server) = judged(&world, trusting(&world.ca), &leaf, chain);
        assert_eq!(
            (server_failure(&server).name(), alert_at(&mut client)),
            (name, number)
        );
    }
}

/// proves: TLS-3.4.1-2
#[test]
fn a_bare_leaf_is_enough_where_the_rest_is_stored_locally() {
    let world = World::new();
    let sub = world.ca.sub("sub");
    let leaf = sub.leaf("core1.example.net");
    let mut trust = trusting(&world.ca);
    trust.intermediates = vec![sub.der.clone()];
    let (_, server) = judged(&world, trust, &leaf, vec![leaf.der.clone()]);
    assert!(matches!(server.handshake(), Handshake::Done(_)));
}

/// proves: TLS-3.4.1-6
#[test]
fn a_leaf_under_a_stored_intermediate_is_still_asked_for_revocation() {
    let world = World::new();
    let sub = world.ca.sub("sub");
    let leaf = sub.leaf_with("core1.example.net", |params| {
        params.serial_number = Some(SerialNumber::from(5_u64))
    });
    let trust = TrustSettings {
        anchors: vec![world.ca.der.clone()],
        intermediates: vec![sub.der.clone()],
        crls: vec![world.ca.crl(&[]), sub.crl(&[5])],
        revocation: Revocation::Require,
        ..TrustSettings::default()
    };
    let (mut client, server) = judged(&world, trust, &leaf, vec![leaf.der.clone()]);
    assert_eq!(
        (server_failure(&server).name(), alert_at(&mut client)),
        ("certificate-revoked", 44)
    );
}

/// The device `core1` is whoever matches.
struct Matching(CertificateMatch);

impl Admission for Matching {
    fn admit(
        &self,
        identity: &PeerIdentity,
        peer: SocketAddr,
    ) -> Result<Arc<str>, AdmissionRefusal> {
        match self.0.matches(identity, peer.ip()) {
            Some(_) => Ok("core1".into()),
            None => Err(AdmissionRefusal::UnknownDevice),
        }
    }
}

/// proves: TLS-3.4.2-6, TLS-3.4.2-7, TLS-3.4.2-10
#[test]
fn the_configuration_says_which_field_identifies_a_client() {
    let mut world = World::new();
    world.client = world.ca.leaf_with("core1.example.net", |params| {
        params
            .subject_alt_names
            .push(SanType::IpAddress("192.0.2.17".parse().unwrap()));
        params
            .subject_alt_names
            .push(SanType::URI("urn:device:core1".try_into().unwrap()));
    });
    let policy = Arc::new(ServerPolicy::new(world.server_settings()).unwrap());
    let admitted = |change: &dyn Fn(&mut MatchSettings), peer: &str| {
        let mut settings = MatchSettings::default();
        change(&mut settings);
        let admission = Arc::new(Matching(CertificateMatch::new(settings).unwrap()));
        let mut client = world.client(|_| ());
        let mut server = ServerChannel::new(
            policy.clone(),
            admission,
            SocketAddr::new(peer.parse().unwrap(), 1),
        );
        carry(&mut client, &mut server, 1000);
        matches!(server.handshake(), Handshake::Done(_)) || {
            assert_eq!(alert_at(&mut client), 49);
            false
        }
    };
    let (here, there) = ("192.0.2.17", "192.0.2.18");
    assert!(admitted(
        &|settings| settings.dns = vec!["core1.example.net".into()],
        here
    ));
    assert!(admitted(
        &|settings| settings.dns = vec!["core1.example.net".into()],
        there
    ));
    assert!(!admitted(
        &|settings| settings.dns = vec!["core2.example.net".into()],
        here
    ));
    assert!(admitted(
        &|settings| settings.ip = vec!["192.0.2.17".into()],
        there
    ));
    assert!(!admitted(
        &|settings| settings.ip = vec!["192.0.2.18".into()],
        there
    ));
    assert!(admitted(
        &|settings| settings.uri = vec!["urn:device:core1".into()],
        there
    ));
    assert!(!admitted(
        &|settings| settings.uri = vec!["urn:device:core2".into()],
        there
    ));
    assert!(admitted(
        &|settings| settings.ip = vec!["peer".into()],
        here
    ));
    assert!(!admitted(
        &|settings| settings.ip = vec!["peer".into()],
        there
    ));
}

/// proves: TLS-3.2-1, TLS-5.1.2-1
#[test]
fn a_client_sends_nothing_but_its_hello_before_the_server_has_finished() {
    let world = World::new();
    let by_certificate = (world.client(|_| ()), world.server(|_| ()));
    for (mut client, mut server) in [by_certificate, psk_world::beginning(&world)] {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.drain(&mut up);
        assert_eq!(
            (up[0], up[5]),
            (22, 1),
            "a ClientHello in a handshake record"
        );
        assert_eq!(
            usize::from(u16::from_be_bytes([up[3], up[4]])) + 5,
            up.len(),
            "and nothing behind it"
        );
        assert_eq!(client.write_plain(b"request"), Err(ChannelError::NotReady));
        server.feed(&up);
        server.drain(&mut down);
        let (last, flight) = down.split_last().unwrap();
        up.clear();
        for octet in flight {
            client.feed(&[*octet]);
            assert_eq!(client.write_plain(b"request"), Err(ChannelError::NotReady));
            client.drain(&mut up);
        }
        assert!(
            up.is_empty() || up == [20, 3, 3, 0, 1, 1],
            "at most the change of cipher that means nothing"
        );
        client.feed(&[*last]);
        client.write_plain(b"request").unwrap();
        client.drain(&mut up);
        server.feed(&up);
        assert!(matches!(server.handshake(), Handshake::Done(_)));
    }
}

/// proves: TLS-3.2-3
#[test]
fn neither_role_speaks_tls_1_2() {
    let world = World::new();
    let key =
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&world.server.private_key().0).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![world.server.der.to_vec().into()], key);
    let config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&version::TLS12])
    .unwrap()
    .with_no_client_auth()
    .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let mut server = Engine::server(UnbufferedServerConnection::new(Arc::new(config)).unwrap());
    let mut client = world.client(|_| ());
    let (mut up, mut down) = (Vec::new(), Vec::new());
    client.drain(&mut up);
    server.feed(&up);
    server.drain(&mut down);
    assert_eq!(down, [21, 3, 3, 0, 2, 2, 70]);
    client.feed(&down);
    assert_eq!(
        crate::testing::client_failure(&client),
        &HandshakeError::PeerAlert(70)
    );

    // And the other way round: a hello that offers only TLS 1.2.
    let mut server = world.server(|_| ());
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    server.feed(&hello);
    let mut answer = Vec::new();
    server.drain(&mut answer);
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70]);
}

#[test]
fn a_client_judges_the_server_by_every_kind_of_reference() {
    let mut world = World::new();
    world.server = world.ca.leaf_with("*.t.example", |params| {
        params
            .subject_alt_names
            .push(SanType::IpAddress("192.0.2.1".parse().unwrap()));
    });
    let policy = Arc::new(ClientPolicy::new(world.client_settings()).unwrap());
    for (reference, good) in [
        ("aaa1.t.example", true),
        ("192.0.2.1", true),
        ("t.example", false),
        ("192.0.2.2", false),
    ] {
        let reference = ReferenceIdentity::parse(reference).unwrap();
        let mut client = ClientChannel::new(policy.clone(), reference, None, peer());
        let mut server = world.server(|_| ());
        carry(&mut client, &mut server, 1000);
        assert_eq!(matches!(client.handshake(), Handshake::Done(_)), good);
    }
}

#[test]
fn what_follows_an_error_is_ignored() {
    let world = World::new();
    let mut server = world.server(|_| ());
    server.feed(&[22, 3, 1, 0, 0]);
    let mut out = Vec::new();
    server.drain(&mut out);
    assert_eq!(out, [21, 3, 3, 0, 2, 2, 50], "decode_error");
    server.feed(&[22; 100_000]);
    out.clear();
    server.drain(&mut out);
    assert!(out.is_empty());
}

/// Remembers the authorities a server offers, and shows nothing.
#[derive(Debug, Default)]
struct Authorities(std::sync::Mutex<Vec<Vec<u8>>>);

impl rustls::client::ResolvesClientCert for Authorities {
    fn resolve(
        &self,
        hints: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        *self.0.lock().unwrap() = hints.iter().map(|hint| hint.to_vec()).collect();
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn the_authorities_a_client_may_choose_from_are_offered() {
    let world = World::new();
    let second = Ca::root("Another CA");
    let trust = Arc::new(crate::testing::trust(
        &[&world.ca, &second],
        Vec::new(),
        Revocation::Off,
    ));
    let mut server = world.server(|server| server.trust = trust);
    let offered = Arc::new(Authorities::default());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.ca.der.to_vec().into()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&version::TLS13])
    .unwrap()
    .with_root_certificates(roots)
    .with_client_cert_resolver(offered.clone());
    config.time_provider = Arc::new(FixedTime);
    let name = "aaa1.example.net".try_into().unwrap();
    let client = rustls::client::UnbufferedClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = Engine::client(client);
    let mut octets = Vec::new();
    client.drain(&mut octets);
    server.feed(&octets);
    octets.clear();
    server.drain(&mut octets);
    client.feed(&octets);
    let subject = |ca: &Ca| {
        let (_, certificate) = x509_parser::parse_x509_certificate(&ca.der).unwrap();
        let raw = certificate.subject().as_raw().to_vec();
        assert_eq!(
            (raw[0], usize::from(raw[1]) + 2),
            (0x30, raw.len()),
            "a whole Name"
        );
        raw
    };
    assert_eq!(
        *offered.0.lock().unwrap(),
        [subject(&world.ca), subject(&second)]
    );
}

#[test]
fn every_usual_kind_of_key_works() {
    let mut world = World::new();
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .unwrap();
    let others =
        [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384].map(rcgen::KeyPair::generate_for);
    for key in std::iter::once(rsa).chain(others.into_iter().map(Result::unwrap)) {
        world.client = world.ca.leaf_for("core1.example.net", key);
        let (mut client, mut server) = (world.client(|_| ()), world.server(|_| ()));
        carry(&mut client, &mut server, 1000);
        assert!(matches!(server.handshake(), Handshake::Done(_)));
    }
}

#[test]
fn channels_may_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<ServerChannel>();
    moves::<ClientChannel>();
}

/// Policies are costly to make and never change.
fn shared() -> (Arc<ServerPolicy>, Arc<ClientPolicy>) {
    static SHARED: std::sync::OnceLock<(Arc<ServerPolicy>, Arc<ClientPolicy>)> =
        std::sync::OnceLock::new();
    SHARED
        .get_or_init(|| {
            let world = World::new();
            let server = ServerPolicy::new(world.server_settings()).unwrap();
            (
                Arc::new(server),
                Arc::new(ClientPolicy::new(world.client_settings()).unwrap()),
            )
        })
        .clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to one octet of either flight, nobody panics, and nobody is served whose flight was changed
    /// in what TLS protects.
    #[test]
    fn a_changed_octet_on_the_wire_never_panics(flight in 0_usize..3, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (server_policy, client_policy) = shared();
        let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
        let mut client = ClientChannel::new(client_policy, reference, Some("aaa1.example.net"), peer());
        let mut server = ServerChannel::new(server_policy, Arc::new(Everybody), peer());
        for turn in 0..3 {
            let mut octets = Vec::new();
            if turn == 1 { server.drain(&mut octets) } else { client.drain(&mut octets) }
            if turn == flight && !octets.is_empty() {
                let at = at.index(octets.len());
                octets[at] ^= 1 << bit;
            }
            if turn == 1 { client.feed(&octets) } else { server.feed(&octets) }
        }
        let (mut out, mut plain) = (Vec::new(), Vec::new());
        server.drain(&mut out);
        let _ = server.read_plain(&mut plain);
        prop_assert!(plain.is_empty());
    }

    /// Rubbish behind a good handshake ends the channel.
    #[test]
    fn rubbish_after_the_handshake_never_panics(rubbish in prop::collection::vec(any::<u8>(), 1..400)) {
        let (server_policy, client_policy) = shared();
        let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
        let mut client = ClientChannel::new(client_policy, reference, None, peer());
        let mut server = ServerChannel::new(server_policy, Arc::new(Everybody), peer());
        carry(&mut client, &mut server, 10_000);
        rubbish.chunks(7).for_each(|piece| server.feed(piece));
        let mut plain = Vec::new();
        let _ = server.read_plain(&mut plain);
        prop_assert!(plain.is_empty());
    }
}
