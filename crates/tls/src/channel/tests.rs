use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, version};

use super::refusal_tests::refused;
use super::traffic_tests::connections;
use super::*;
use crate::hello::HelloError;
use crate::testing::{
    Everybody, NOW, World, alert_at, carry, client_failure, peer, server_failure,
};
use crate::{
    ChannelError, ClientPolicy, Incompatibility, PolicyError, ReferenceIdentity, ServerPolicy,
    ServerSettings,
};

pub(super) fn info(server: &ServerChannel) -> &PeerInfo {
    match server.handshake() {
        Handshake::Done(info) => info,
        Handshake::WantRead => panic!("the handshake goes on"),
        Handshake::Failed(error) => panic!("the handshake failed: {error}"),
    }
}

/// What the client of a finished handshake knows.
pub(super) fn client_info(client: &ClientChannel) -> &PeerInfo {
    match client.handshake() {
        Handshake::Done(info) => info,
        Handshake::WantRead => panic!("the handshake goes on"),
        Handshake::Failed(error) => panic!("the handshake failed: {error}"),
    }
}

pub(super) fn established(chunk: usize) -> (World, ClientChannel, ServerChannel) {
    let world = World::new();
    let (mut client, mut server) = (world.client(|_| ()), world.server(|_| ()));
    carry(&mut client, &mut server, chunk);
    (world, client, server)
}

pub(super) fn drained(drain: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    drain(&mut out);
    out
}

pub(super) fn read(read: impl FnOnce(&mut Vec<u8>) -> Result<PlainState, ChannelError>) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(read(&mut out), Ok(PlainState::Open));
    out
}

/// A question and its answer, by which the client learns that it was let in.
pub(super) fn converse(client: &mut ClientChannel, server: &mut ServerChannel, chunk: usize) {
    client.write_plain(b"request").unwrap();
    assert!(!client.confirmed());
    carry(client, server, chunk);
    assert_eq!(read(|out| server.read_plain(out)), b"request");
    server.write_plain(b"reply").unwrap();
    carry(client, server, chunk);
    assert_eq!(read(|out| client.read_plain(out)), b"reply");
    assert!(client.confirmed());
}

#[test]
fn both_sides_prove_themselves_by_certificate_whatever_the_segments() {
    for chunk in [1, 7, 1000, 100_000] {
        let (_world, mut client, mut server) = established(chunk);
        let info = info(&server);
        assert_eq!(info.device.as_deref(), Some("core1"));
        assert_eq!(info.identity.dns, ["core1.example.net"]);
        assert_eq!(
            (info.version, info.suite, info.group),
            ("1.3", "TLS_AES_128_GCM_SHA256", "X25519MLKEM768")
        );
        assert_eq!(
            (info.sni.as_deref(), info.resumed),
            (Some("aaa1.example.net"), false)
        );

        converse(&mut client, &mut server, chunk);
    }
}

/// proves: TLS-3.2-5
#[test]
fn record_borders_carry_no_meaning() {
    for (mut client, mut server) in connections(1000) {
        let mut sealed = Vec::new();
        for octet in b"one request" {
            client.write_plain(&[*octet]).unwrap();
            client.drain(&mut sealed); // a record an octet
        }
        client.write_plain(&vec![9; 40_000]).unwrap(); // more than one record holds
        client.drain(&mut sealed);
        server.feed(&sealed);
        let plain = read(|out| server.read_plain(out));
        assert_eq!(plain.strip_prefix(b"one request").unwrap(), vec![9; 40_000]);

        client.write_plain(b"one request").unwrap();
        client.write_plain(b"another").unwrap();
        let sealed = drained(|out| client.drain(out));
        let length = u16::from_be_bytes([sealed[3], sealed[4]]);
        assert_eq!(usize::from(length) + 5, sealed.len(), "both in one record");
        server.feed(&sealed);
        assert_eq!(read(|out| server.read_plain(out)), b"one requestanother");
    }
}

#[test]
fn a_late_reply_needs_no_input() {
    for (mut client, mut server) in connections(1000) {
        client.write_plain(b"request").unwrap();
        let sealed = drained(|out| client.drain(out));
        let (first, rest) = sealed.split_at(10);
        server.feed(first); // half a record stays inside while the reply goes out
        server.write_plain(b"reply").unwrap();
        client.feed(&drained(|out| server.drain(out)));
        assert_eq!(read(|out| client.read_plain(out)), b"reply");
        server.feed(rest);
        assert_eq!(read(|out| server.read_plain(out)), b"request");
    }
}

#[test]
fn nothing_can_be_said_before_the_handshake_is_over() {
    let world = World::new();
    let (mut client, mut server) = (world.client(|_| ()), world.server(|_| ()));
    assert_eq!(client.write_plain(b"early"), Err(ChannelError::NotReady));
    assert_eq!(server.write_plain(b"early"), Err(ChannelError::NotReady));
    assert_eq!(
        server.read_plain(&mut Vec::new()),
        Err(ChannelError::NotReady)
    );
    assert_eq!(server.key_update(), Err(ChannelError::NotReady));
}

fn plain_client(
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> UnbufferedClientConnection {
    let config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(versions)
    .unwrap()
    .with_root_certificates(RootCertStore::empty())
    .with_no_client_auth();
    UnbufferedClientConnection::new(
        Arc::new(config),
        ServerName::try_from("aaa1.example.net").unwrap(),
    )
    .unwrap()
}

/// proves: TLS-3.2-2
#[test]
fn a_client_of_tls_1_2_gets_protocol_version() {
    let world = World::new();
    let mut server = world.server(|_| ());
    let mut client = super::engine::Engine::client(plain_client(&[&version::TLS12]));
    server.feed(&drained(|out| client.drain(out)));
    assert_eq!(
        server_failure(&server),
        &HandshakeError::Incompatible(Incompatibility::Version)
    );
    let answer = drained(|out| server.drain(out));
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70]);
    client.feed(&answer);
    assert_eq!(
        client.read_plain(&mut Vec::new()),
        Err(ChannelError::PeerAlert(70))
    );
}

#[test]
fn a_packet_without_tls_is_cut_off_at_its_first_octet_without_an_answer() {
    let world = World::new();
    for first in [0xc0, 0xc1, 0x80, 21, 23, 0] {
        let mut server = world.server(|_| ());
        server.feed(&[first]);
        assert_eq!(
            server_failure(&server),
            &HandshakeError::Hello(HelloError::NotTls)
        );
        assert!(server.wants_abrupt_close());
        assert!(drained(|out| server.drain(out)).is_empty());
    }
}

#[test]
fn server_names_are_required_and_chosen_by_policy() {
    let world = World::new();
    let other = world.ca.leaf("aaa2.example.net");
    let second = |server: &mut ServerSettings| {
        server.certificate_chain = vec![other.der.clone()];
        server.key = other.private_key();
        server.sni_names = vec!["AAA2.example.net".into(), "*.t.example".into()];
    };
    let mut settings = [world.server_settings(), world.server_settings()];
    settings[0].sni_names = vec!["aaa1.example.net".into()];
    settings[0].sni_required = true;
    second(&mut settings[1]);
    let policies: Arc<[Arc<ServerPolicy>]> = settings
        .into_iter()
        .map(|settings| Arc::new(ServerPolicy::new(settings).unwrap()))
        .collect();
    let client_policy = Arc::new(ClientPolicy::new(world.client_settings()).unwrap());
    let connect = |reference: &str, sni: Option<&str>| {
        let reference = ReferenceIdentity::parse(reference).unwrap();
        let mut client = ClientChannel::new(client_policy.clone(), reference, sni, peer());
        let mut server = ServerChannel::selecting(policies.clone(), Arc::new(Everybody), peer());
        carry(&mut client, &mut server, 1000);
        (client, server)
    };
    for name in ["aaa1.example.net", "aaa2.example.net"] {
        let (_, server) = connect(name, Some(name));
        assert_eq!(info(&server).sni.as_deref(), Some(name));
    }
    let (_, server) = connect("aaa2.example.net", Some("x.t.example"));
    info(&server);
    let (mut client, server) = connect("aaa1.example.net", None);
    assert_eq!(
        (server_failure(&server), alert_at(&mut client)),
        (&HandshakeError::NoServerName, 109)
    );
    let (mut client, server) = connect("aaa1.example.net", Some("aaa3.example.net"));
    assert_eq!(
        (server_failure(&server), alert_at(&mut client)),
        (&HandshakeError::UnknownServerName, 112)
    );
}

/// proves: TLS-3.4.2-12, TLS-5.1.5-1
#[test]
fn the_name_sent_in_clear_is_separate_from_the_one_that_is_verified() {
    let world = World::new();
    let policy = Arc::new(ClientPolicy::new(world.client_settings()).unwrap());
    for sni in [Some("front.example.org"), None] {
        let reference = ReferenceIdentity::parse("aaa1.example.net").unwrap();
        let mut client = ClientChannel::new(policy.clone(), reference, sni, peer());
        let mut reader = crate::hello::ClientHelloReader::new();
        let octets = drained(|out| client.drain(out));
        let Ok(crate::hello::Progress::Done(hello)) = reader.push(&octets) else {
            panic!("no hello")
        };
        assert_eq!(hello.server_name.as_deref(), sni);
        let mut server = world.server(|_| ());
        server.feed(&octets);
        carry(&mut client, &mut server, 1000);
        assert_eq!(info(&server).sni.as_deref(), sni);
    }
}

/// proves: TLS-3.4.2-1
#[test]
fn a_server_with_another_name_is_refused_by_the_client() {
    let world = World::new();
    let policy = Arc::new(ClientPolicy::new(world.client_settings()).unwrap());
    let reference = ReferenceIdentity::parse("aaa9.example.net").unwrap();
    let mut client = ClientChannel::new(policy, reference, Some("aaa1.example.net"), peer());
    let mut server = world.server(|_| ());
    carry(&mut client, &mut server, 1000);
    assert_eq!(client_failure(&client), &HandshakeError::NameMismatch);
    assert_eq!(server_failure(&server), &HandshakeError::PeerAlert(42));
    assert_eq!(client.write_plain(b"request"), Err(ChannelError::NotReady));
}

/// proves: TLS-3.4.3-1
#[test]
fn each_suite_and_group_works_alone() {
    let world = World::new();
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let mut client = world.client(|client| client.cipher_suites = vec![suite.to_lowercase()]);
        let mut server = world.server(|_| ());
        carry(&mut client, &mut server, 1000);
        assert_eq!(info(&server).suite, suite);
    }
    for group in ["X25519MLKEM768", "x25519", "secp256r1"] {
        let mut client = world.client(|_| ());
        let mut server = world.server(|server| server.groups = vec![group.to_uppercase()]);
        carry(&mut client, &mut server, 1000);
        assert_eq!(
            info(&server).group,
            group,
            "a HelloRetryRequest where the client did not guess it"
        );
    }
}

/// proves: TLS-3.4.3-2, TLS-5.3-2
#[test]
fn suites_and_groups_that_are_not_configured_are_not_used() {
    let world = World::new();
    let suites = |name: &str| vec![name.to_owned()];
    let (error, alert) = refused(
        &world,
        |server| server.cipher_suites = suites("TLS_AES_128_GCM_SHA256"),
        |client| client.cipher_suites = suites("TLS_AES_256_GCM_SHA384"),
    );
    assert_eq!(
        (error, alert),
        (
            HandshakeError::Incompatible(Incompatibility::CipherSuite),
            40
        )
    );
    let (error, alert) = refused(
        &world,
        |server| server.groups = suites("secp256r1"),
        |client| client.groups = suites("x25519"),
    );
    assert_eq!(
        (error, alert),
        (HandshakeError::Incompatible(Incompatibility::Group), 40)
    );
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    let world = World::new();
    let wrong = |change: &dyn Fn(&mut ServerSettings)| {
        let mut settings = world.server_settings();
        change(&mut settings);
        ServerPolicy::new(settings).unwrap_err()
    };
    assert_eq!(
        wrong(&|server| server.certificate_chain.clear()),
        PolicyError::NoCertificate
    );
    assert_eq!(
        wrong(&|server| server.key = world.client.private_key()),
        PolicyError::KeyMismatch
    );
    assert_eq!(
        wrong(&|server| server.certificate_chain = vec![vec![1].into()]),
        PolicyError::Certificate
    );
    let unknown = wrong(&|server| server.cipher_suites = vec!["TLS_NULL".into()]);
    assert_eq!(
        unknown.to_string(),
        "there is no cipher suite TLS_NULL; known are TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, \
         TLS_CHACHA20_POLY1305_SHA256"
    );
    let unknown = wrong(&|server| server.groups = vec!["brainpool".into()]);
    assert!(unknown.to_string().contains("X25519MLKEM768"));
}

#[test]
fn the_authorities_of_the_listener_are_shown_and_no_ticket_is_sent() {
    let (_world, mut client, mut server) = established(1000);
    // What a server sends after the handshake would be tickets.
    assert!(drained(|out| server.drain(out)).is_empty());
    assert!(drained(|out| client.drain(out)).is_empty());
    let policy = ServerPolicy::new(World::new().server_settings()).unwrap();
    assert_eq!(policy.authorities.len(), 1);
    assert_eq!(policy.certificate_expires(), NOW + 213 * 86_400);
    // The key of the certificate is the raw key where there is no other.
    assert_eq!(Some(policy.certificate_pin()), policy.raw_public_key_pin());
    assert!(policy.trust().crls().is_empty());
}

/// Names of authorities travel in clear: only a client that is told to sends them.
#[test]
fn a_client_names_its_authorities_where_it_shall() {
    let world = World::new();
    let (_, certificate) = x509_parser::parse_x509_certificate(&world.ca.der).unwrap();
    let name = certificate.subject().as_raw();
    for shown in [false, true] {
        let mut client = world.client(|settings| settings.show_authorities = shown);
        let mut server = world.server(|_| ());
        let hello = drained(|out| client.drain(out));
        let named = hello.windows(name.len()).any(|part| part == name);
        assert_eq!(named, shown);
        server.feed(&hello);
        carry(&mut client, &mut server, 1000);
        assert_eq!(info(&server).method, Method::Certificate);
    }
}
