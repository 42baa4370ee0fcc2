//! Connections proved by an external pre-shared key, through both public channels.

use super::hello_surgery::{extension, without_certificates};
use super::psk_world::*;
use super::tests::{client_info, converse, drained, info, read};
use super::*;
use crate::hello::{ClientHelloReader, Progress};
use crate::testing::{World, alert_at, carry, client_failure, server_failure};
use crate::{
    ChannelError, ClientSettings, Incompatibility, Methods, PolicyError, PskFailure, PskIdentity,
    ServerPolicy,
};

#[test]
fn both_sides_prove_themselves_by_a_key_whatever_the_segments() {
    for chunk in [1, 7, 1000, 100_000] {
        let (mut client, mut server) = established(chunk);
        for shown in [info(&server).clone(), client_info(&client).clone()] {
            assert_eq!(shown.method.name(), "psk");
            assert_eq!(shown.psk_identity.as_deref(), Some(&b"core2"[..]));
            assert_eq!(shown.identity.dns, [""; 0]);
            assert_eq!(shown.identity.not_after, i64::MAX);
            assert_eq!(shown.sni.as_deref(), Some("aaa1.example.net"));
            assert_eq!(
                (shown.version, shown.suite),
                ("1.3", "TLS_AES_128_GCM_SHA256")
            );
            assert!(!shown.resumed && !shown.group.is_empty());
        }
        assert_eq!(info(&server).device.as_deref(), Some("core2"));
        assert_eq!(client_info(&client).device, None);

        converse(&mut client, &mut server, chunk);
    }
}

/// A server that has `keys` judges the hello of a client; what it thinks, and what it sends.
fn refused(
    world: &World,
    keys: Keys,
    methods: Methods,
    mut client: ClientChannel,
    change: impl FnOnce(&mut Vec<u8>),
) -> (HandshakeError, Vec<u8>) {
    let mut server = server(world, keys.taking(methods), |_| ());
    let mut hello = drained(|out| client.drain(out));
    change(&mut hello);
    server.feed(&hello);
    let answer = drained(|out| server.drain(out));
    (server_failure(&server).clone(), answer)
}

fn accepted(identity: impl Into<Vec<u8>> + Clone, key: &[u8]) {
    let world = World::new();
    let mut server = server(&world, Keys::default().with(identity.clone(), key), |_| ());
    let identity = identity.into();
    let mut client = client(&world, identity.clone(), key);
    carry(&mut client, &mut server, 1000);
    client.write_plain(b"request").unwrap();
    carry(&mut client, &mut server, 1000);
    assert_eq!(info(&server).psk_identity, Some(identity));
    assert_eq!(read(|out| server.read_plain(out)), b"request");
}

fn plain_alert(number: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, number]
}

/// What a wrong key is answered with: decrypt_error (RFC 8446 section 6.2), by older OpenSSL illegal_parameter.
fn wrong_key_alert() -> u8 {
    let world = World::new();
    let keys = Keys::default().with("core2", KEY);
    let wrong = client(&world, "core2", &[1; 32]);
    let (_, answer) = refused(&world, keys, PSK_ONLY, wrong, |_| ());
    let number = *answer.last().unwrap();
    assert!([47, 51].contains(&number));
    number
}

const UNKNOWN: HandshakeError = HandshakeError::Psk(PskFailure::UnknownIdentity);
const WRONG_KEY: HandshakeError = HandshakeError::Psk(PskFailure::WrongKey);

/// proves: TLS-3.5-1
#[test]
fn a_key_without_a_key_exchange_is_refused() {
    let world = World::new();
    for methods in [PSK_ONLY, BOTH] {
        let keys = Keys::default().with("core2", KEY);
        let only_psk_ke = |hello: &mut Vec<u8>| {
            let (at, length) = extension(hello, 45);
            assert_eq!(hello[at..at + length], [0, 45, 0, 2, 1, 1]);
            hello[at + 5] = 0;
        };
        let client = client(&world, "core2", KEY);
        let (error, answer) = refused(&world, keys, methods, client, only_psk_ke);
        assert_eq!(error, HandshakeError::Psk(PskFailure::NoKeyExchange));
        assert_eq!(answer, plain_alert(40));
    }
    let (_, server) = established(1000); // offers psk_dhe_ke
    assert_eq!(info(&server).method, Method::Psk);
    assert!(!info(&server).group.is_empty());
}

/// proves: TLS-3.5-2
#[test]
fn keys_are_an_alternative_that_a_server_may_leave_out() {
    let world = World::new();
    let keys = || Keys::default().with("core2", KEY);
    let (error, answer) = refused(
        &world,
        keys(),
        Methods::default(),
        client(&world, "core2", KEY),
        without_certificates,
    );
    let lacking = HandshakeError::Incompatible(Incompatibility::SignatureScheme);
    assert_eq!((error, answer[0], answer.len()), (lacking, 21, 7));

    let mut by_key = client(&world, "core2", KEY);
    let mut by_certificate = world.client(|_| ());
    for (client, method) in [
        (&mut by_key, Method::Psk),
        (&mut by_certificate, Method::Certificate),
    ] {
        let mut server = server(&world, keys().taking(BOTH), |_| ());
        carry(client, &mut server, 1000);
        client.write_plain(b"request").unwrap();
        carry(client, &mut server, 1000);
        assert_eq!(info(&server).method, method);
        assert_eq!(read(|out| server.read_plain(out)), b"request");
    }
}

#[test]
fn a_client_with_a_key_takes_no_certificate_instead() {
    let world = World::new();
    for (methods, identity) in [(Methods::default(), "core2"), (BOTH, "core3")] {
        let keys = Keys::default().with("core2", KEY);
        let mut server = server(&world, keys.taking(methods), |_| ());
        let mut client = client(&world, identity, KEY);
        carry(&mut client, &mut server, 1000);
        let error = HandshakeError::Psk(PskFailure::NotAccepted);
        assert_eq!(client_failure(&client), &error);
        assert!(matches!(
            server_failure(&server),
            HandshakeError::PeerAlert(_)
        ));
    }
}

#[test]
fn a_client_with_a_certificate_gets_nowhere_where_only_keys_are_taken() {
    let world = World::new();
    let keys = Keys::default().with("core2", KEY);
    let client = world.client(|_| ());
    let (error, answer) = refused(&world, keys, PSK_ONLY, client, |_| ());
    assert_eq!(error, HandshakeError::Psk(PskFailure::NotOffered));
    assert_eq!(answer, plain_alert(40));
}

/// proves: TLS-3.5-3
#[test]
fn keys_of_sixteen_octets_and_more_work() {
    for length in [16_u8, 32, 64] {
        let key: Vec<u8> = (0..length).map(|octet| octet.wrapping_mul(251)).collect();
        accepted("core2", &key);
    }
    assert!(PskKey::new([0; 15]).is_err());
    accepted("core2", &[0; 16]);
}

/// proves: TLS-3.5-4
#[test]
fn identities_are_compared_octet_for_octet() {
    let world = World::new();
    let identities: [(&[u8], &[&[u8]]); 5] = [
        (
            b"core2",
            &[
                b"Core2", b"CORE2", b"core", b"core22", b"core2\0", b" core2",
            ],
        ),
        (
            "caf\u{e9}".as_bytes(),
            &["cafe\u{301}".as_bytes(), b"caf\xe9"],
        ),
        (b"a\0b", &[b"a", b"a\0", b"a\0c", b"a\0b\0"]),
        (b"\0", &[b"\0\0"]),
        (b"\xff\xfe\x80", &[b"\xff\xfe", b"\xef\xbf\xbd"]),
    ];
    for (configured, others) in identities {
        accepted(configured, KEY);
        for other in others {
            let keys = Keys::default().with(configured, KEY);
            let client = client(&world, *other, KEY);
            let (error, _) = refused(&world, keys, PSK_ONLY, client, |_| ());
            assert_eq!(error, UNKNOWN, "{}", other.escape_ascii());
        }
    }
    // What looks like one of our tickets is no external identity, whatever a device says.
    let ticket = b"DWT1-core2";
    let keys = Keys::default().with(*ticket, KEY);
    let client = client(&world, "XXXX-core2", KEY);
    let (error, _) = refused(&world, keys, PSK_ONLY, client, |hello| {
        let place = hello
            .windows(ticket.len())
            .position(|part| part == b"XXXX-core2");
        hello[place.unwrap()..][..4].copy_from_slice(b"DWT1");
    });
    assert_eq!(error, HandshakeError::Psk(PskFailure::NotOffered));
}

/// proves: TLS-3.5-5
#[test]
fn identities_may_be_long() {
    for length in [1, 16, 64, 128, 512] {
        accepted(vec![b'i'; length], KEY);
        accepted(vec![0xfe; length], KEY);
    }
}

#[test]
fn an_unknown_identity_looks_like_a_wrong_key() {
    let world = World::new();
    let elsewhere = |refusal: AdmissionRefusal| {
        let mut keys = Keys::default().with("core2", KEY);
        keys.known.insert(b"core9".to_vec(), Err(refusal));
        keys
    };
    let device: Arc<str> = "core9".into();
    let cases = [
        ("core2", AdmissionRefusal::UnknownKey, WRONG_KEY),
        ("core9", AdmissionRefusal::UnknownKey, UNKNOWN),
        (
            "core9",
            AdmissionRefusal::WrongAddress {
                device: device.clone(),
            },
            HandshakeError::Admission(AdmissionRefusal::WrongAddress {
                device: device.clone(),
            }),
        ),
        (
            "core9",
            AdmissionRefusal::WrongListener {
                device: device.clone(),
            },
            HandshakeError::Admission(AdmissionRefusal::WrongListener { device }),
        ),
    ];
    let alert = plain_alert(wrong_key_alert());
    for (identity, refusal, expected) in cases {
        let wrong = || client(&world, identity, &[1; 32]);
        // Its first share does not fit, so that a second hello would be asked for.
        let again = client_with(&world, identity, &[1; 32], |client| {
            client.groups = vec!["secp384r1".into(), "x25519".into()];
        });
        let keys = elsewhere(refusal.clone());
        let (error, answer) = refused(&world, keys, PSK_ONLY, again, |_| ());
        assert_eq!((error, answer.as_slice()), (expected.clone(), &alert[..]));
        // Only keys are taken.
        let keys = elsewhere(refusal.clone());
        let (error, answer) = refused(&world, keys, PSK_ONLY, wrong(), |_| ());
        assert_eq!((error, answer.as_slice()), (expected.clone(), &alert[..]));
        // Certificates would be taken, but the client cannot use one.
        let keys = elsewhere(refusal);
        let (error, answer) = refused(&world, keys, BOTH, wrong(), without_certificates);
        assert_eq!((error, answer.as_slice()), (expected, &alert[..]));
    }
}

#[test]
fn the_client_learns_of_a_wrong_key() {
    let world = World::new();
    let mut server = server(&world, Keys::default().with("core2", KEY), |_| ());
    let mut client = client(&world, "core2", &[1; 32]);
    carry(&mut client, &mut server, 1);
    assert_eq!(server_failure(&server), &WRONG_KEY);
    assert_eq!(
        client_failure(&client),
        &HandshakeError::PeerAlert(wrong_key_alert())
    );
    assert_eq!(alert_at(&mut client), wrong_key_alert());
    assert!(!server.wants_abrupt_close());
}

#[test]
fn each_of_thousands_has_a_key_of_its_own() {
    let world = World::new();
    let key = |number: u16| [&number.to_be_bytes()[..], &[3; 30]].concat();
    let keys = || {
        (0..5000).fold(Keys::default(), |keys, number| {
            keys.with(format!("core{number}"), &key(number))
        })
    };
    for number in [0, 17, 4999] {
        let mut server = server(&world, keys(), |_| ());
        let mut client = client(&world, format!("core{number}"), &key(number));
        carry(&mut client, &mut server, 1000);
        let expected = format!("core{number}").into_bytes();
        assert_eq!(info(&server).psk_identity, Some(expected));
    }
    let other = client(&world, "core17", &key(18));
    let (error, _) = refused(&world, keys(), PSK_ONLY, other, |_| ());
    assert_eq!(error, WRONG_KEY);
}

#[test]
fn suites_and_groups_are_those_of_the_policy() {
    let world = World::new();
    let chacha = "TLS_CHACHA20_POLY1305_SHA256".to_owned();
    let sha384 = "TLS_AES_256_GCM_SHA384".to_owned();
    let mut server_side = server(&world, Keys::default().with("core2", KEY), |server| {
        server.cipher_suites = vec![sha384.clone(), chacha];
        server.groups = vec!["secp384r1".into()];
    });
    // The client's first share is of another group, so that it is asked for a second hello.
    let mut client_side = client_with(&world, "core2", KEY, |client| {
        client.groups = vec!["x25519".into(), "secp384r1".into()];
    });
    carry(&mut client_side, &mut server_side, 1000);
    let info = info(&server_side);
    assert_eq!(
        (info.suite, info.group),
        ("TLS_CHACHA20_POLY1305_SHA256", "secp384r1")
    );
    assert_eq!(client_info(&client_side).group, "secp384r1");

    let keys = || Keys::default().with("core2", KEY);
    let group = |client: &mut ClientSettings| client.groups = vec!["x25519".into()];
    let mut server_side = server(&world, keys(), |server| {
        server.groups = vec!["secp256r1".into()]
    });
    let mut client_side = client_with(&world, "core2", KEY, group);
    carry(&mut client_side, &mut server_side, 1000);
    let lacking = HandshakeError::Incompatible(Incompatibility::Group);
    assert_eq!(server_failure(&server_side), &lacking);

    let mut settings = world.server_settings();
    settings.cipher_suites = vec![sha384.clone()];
    assert!(!ServerPolicy::new(settings).unwrap().can_serve_psk());
    let mut settings = world.client_settings();
    settings.cipher_suites = vec![sha384];
    settings.psk = Some((
        PskIdentity::new("core2").unwrap(),
        PskKey::new(KEY).unwrap(),
    ));
    let error = crate::ClientPolicy::new(settings).unwrap_err();
    assert_eq!(error, PolicyError::PskSuite);
}

/// With an external key as well (resumption has its own test): no early_data, in the first hello or in a second one.
///
/// proves: TLS-5.1.2-2
#[test]
fn a_client_with_a_key_offers_no_early_data() {
    let world = World::new();
    let again = |client: &mut ClientSettings| {
        client.groups = vec!["x25519".into(), "secp384r1".into()];
    };
    let mut client = client_with(&world, "core2", KEY, again);
    let mut server = server(&world, Keys::default().with("core2", KEY), |server| {
        server.groups = vec!["secp384r1".into()];
    });
    let (mut hellos, mut kinds) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let flight = drained(|out| client.drain(out));
        let mut rest = &flight[..];
        while !rest.is_empty() {
            let length = 5 + usize::from(u16::from_be_bytes([rest[3], rest[4]]));
            kinds.push(rest[0]);
            if rest[0] == 22 {
                hellos.push(rest[..length].to_vec());
            }
            rest = &rest[length..];
        }
        server.feed(&flight);
        client.feed(&drained(|out| server.drain(out)));
    }
    // Two hellos, and perhaps the record that says nothing: no record of data.
    assert!(
        kinds.iter().all(|kind| matches!(kind, 20 | 22)),
        "{kinds:?}"
    );
    assert_eq!(hellos.len(), 2);
    for hello in hellos {
        let mut reader = ClientHelloReader::new();
        let Ok(Progress::Done(read)) = reader.push(&hello) else {
            panic!("the reader refuses what offers early data")
        };
        assert_eq!(read.psk_identities, [b"core2".to_vec()]);
    }
    carry(&mut client, &mut server, 1000);
    assert_eq!(info(&server).method, Method::Psk);
}

#[test]
fn nothing_is_said_before_the_key_is_proved() {
    let world = World::new();
    let mut client = client(&world, "core2", KEY);
    let mut server = server(&world, Keys::default().with("core2", KEY), |_| ());
    assert_eq!(client.write_plain(b"early"), Err(ChannelError::NotReady));
    server.feed(&drained(|out| client.drain(out)));
    assert_eq!(server.write_plain(b"early"), Err(ChannelError::NotReady));
    assert_eq!(server.key_update(), Err(ChannelError::NotReady));
    assert_eq!(
        server.read_plain(&mut Vec::new()),
        Err(ChannelError::NotReady)
    );
    assert!(matches!(server.handshake(), Handshake::WantRead));
}
