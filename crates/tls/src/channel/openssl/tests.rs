use std::time::{SystemTime, UNIX_EPOCH};

use super::contexts::{client_context, server_context};
use super::*;
use crate::ServerPolicy;
use crate::channel::verifier::Subject;
use crate::testing::{Everybody, World, peer};

/// Branches of OpenSSL with the day their support ends, Unix seconds: openssl-corporation.org/lifecycle.html.
const SUPPORTED: &[(&str, u64)] = &[
    ("3.5", 1_901_836_800), // 2030-04-08, long-term support
    ("4.0", 1_810_252_800), // 2027-05-14
];

#[test]
fn the_linked_library_is_supported() {
    let version = openssl::version::version();
    println!("{version}");
    let number = version.split(' ').nth(1).unwrap();
    let branch = number.rsplit_once('.').unwrap().0;
    let known = SUPPORTED.iter().find(|(name, _)| *name == branch);
    let (_, end) = known.unwrap_or_else(|| panic!("{version} is not supported"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now.as_secs() < *end, "{version} is not supported any more");
    if cfg!(feature = "openssl-bundled") {
        assert_eq!(branch, "4.0");
    }
}

fn pair() -> (OpenSsl, OpenSsl) {
    let suites = ["TLS_AES_128_GCM_SHA256"];
    let key = Arc::new(PskKey::new([7; 32]).unwrap());
    let identity = PskIdentity::new("core2").unwrap();
    let known = Known::Device {
        name: "core2".into(),
        identity: identity.octets().to_vec(),
        key: key.clone(),
    };
    let context = client_context(&suites, &["x25519"], false).unwrap();
    let client = OpenSsl::client(&context, &identity, &key, None).unwrap();
    let context = server_context(&suites, &["x25519"], None).unwrap();
    (client, OpenSsl::server(&context, known).unwrap())
}

fn pass(from: &mut OpenSsl, to: &mut OpenSsl) -> usize {
    let mut octets = Vec::new();
    from.drain(&mut octets);
    to.feed(&octets);
    octets.len()
}

#[test]
fn a_key_that_sealed_many_records_is_changed() {
    let (mut client, mut server) = pair();
    pass(&mut client, &mut server);
    pass(&mut server, &mut client);
    pass(&mut client, &mut server);
    let policy = ServerPolicy::new(World::new().server_settings()).unwrap();
    let judge = Judge::new(Subject::Client {
        policy: Arc::new(policy),
        admission: Arc::new(Everybody),
        peer: peer(),
        raw: false,
        tls12: false,
    });
    assert!(server.settled(&judge, None).unwrap().is_ok());
    server.records_per_key = 3;
    let mut lengths = Vec::new();
    for octet in 0..10 {
        server.write_plain(&[octet]).unwrap();
        lengths.push(pass(&mut server, &mut client));
        let mut plain = Vec::new();
        assert_eq!(client.read_plain(&mut plain), Ok(PlainState::Open));
        assert_eq!(plain, [octet]);
    }
    // Header, one octet, content type, tag; with a KeyUpdate of five octets before it.
    let (one, both) = (5 + 1 + 1 + 16, 2 * (5 + 1 + 16) + 1 + 5);
    assert_eq!(
        lengths,
        [one, one, one, both, one, one, both, one, one, both]
    );
}

#[test]
fn an_idle_connection_keeps_no_buffer_of_ours() {
    let (mut client, mut server) = pair();
    pass(&mut client, &mut server);
    pass(&mut server, &mut client);
    client.write_plain(&[1; 50_000]).unwrap();
    pass(&mut client, &mut server);
    server.read_plain(&mut Vec::new()).unwrap();
    for engine in [client, server] {
        let pipe = engine.stream.get_ref();
        assert_eq!((pipe.input.capacity(), pipe.output.capacity()), (0, 0));
        assert_eq!((engine.plain.capacity(), engine.unsent.capacity()), (0, 0));
    }
}
