use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::testing::World;

/// One extension.
fn extension(kind: u16, contents: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &length16(contents)].concat()
}

fn length16(contents: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(contents.len()).unwrap().to_be_bytes()[..],
        contents,
    ]
    .concat()
}

/// A ClientHello message with these extensions.
fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.push(0); // session id
    body.extend([0, 4, 0x13, 0x01, 0x13, 0x02, 1, 0]);
    body.extend(length16(&extensions.concat()));
    [&[1, 0][..], &length16(&body)].concat()
}

/// Records of at most `fragment` octets each.
fn records(message: &[u8], fragment: usize) -> Vec<u8> {
    message
        .chunks(fragment)
        .flat_map(|piece| [&[22, 3, 1][..], &length16(piece)].concat())
        .collect()
}

fn server_name(name: &str) -> Vec<u8> {
    extension(
        0,
        &length16(&[&[0][..], &length16(name.as_bytes())].concat()),
    )
}

fn whole(octets: &[u8]) -> Result<Progress, HelloError> {
    ClientHelloReader::new().push(octets)
}

fn done(octets: &[u8]) -> ClientHello {
    match whole(octets) {
        Ok(Progress::Done(hello)) => *hello,
        other => panic!("no hello but {other:?}"),
    }
}

fn everything() -> Vec<Vec<u8>> {
    let psk = [
        &[0, 9, 0, 3, b'a', 0, b'b', 0, 0, 0, 1][..],
        &length16(&[&[32][..], &[7; 32]].concat()),
    ]
    .concat();
    vec![
        server_name("AAA1.example.net"),
        extension(13, &[0, 4, 4, 3, 8, 4]),
        extension(16, &[0, 6, 2, b'h', b'2', 2, b'h', b'3']),
        extension(19, &[1, 2]),
        extension(20, &[2, 2, 0]),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(45, &[1, 1]),
        extension(0x0a0a, &[]),
        extension(41, &psk),
    ]
}

#[test]
fn everything_of_interest_is_read() {
    let hello = done(&records(&message(&everything()), 16_384));
    assert_eq!(hello.random, [0x5a; 32]);
    assert_eq!(hello.server_name.as_deref(), Some("aaa1.example.net"));
    assert_eq!(hello.alpn, [b"h2", b"h3"]);
    assert_eq!(hello.cipher_suites, [0x1301, 0x1302]);
    assert_eq!(hello.versions, [0x0304, 0x0303]);
    assert!(hello.offers_tls13());
    assert_eq!(hello.signature_algorithms, [0x0403, 0x0804]);
    assert_eq!(
        (
            hello.client_certificate_types,
            hello.server_certificate_types
        ),
        (vec![2], vec![2, 0])
    );
    assert_eq!(hello.psk_identities, [b"a\0b"]);
    assert_eq!(hello.psk_modes, [1]);
}

#[test]
fn a_real_hello_is_read_and_replayed_unchanged() {
    let mut octets = Vec::new();
    World::new().client(|_| ()).drain(&mut octets);
    assert!(
        octets.len() > 1200,
        "a post-quantum key share does not fit one segment"
    );
    let mut reader = ClientHelloReader::new();
    let Ok(Progress::Done(hello)) = reader.push(&octets) else {
        panic!("no hello")
    };
    assert!(hello.offers_tls13());
    assert_eq!(reader.into_octets(), octets);
}

#[test]
fn a_hello_may_be_spread_over_records_and_segments() {
    let message = message(&everything());
    let expected = done(&records(&message, 16_384));
    for fragment in [message.len().div_ceil(MAX_RECORDS), 50, 100] {
        let octets = records(&message, fragment);
        assert_eq!(done(&octets), expected);
        let mut reader = ClientHelloReader::new();
        let (last, before) = octets.split_last().unwrap();
        for octet in before {
            assert_eq!(reader.push(&[*octet]), Ok(Progress::WantRead));
        }
        assert_eq!(
            reader.push(&[*last]),
            Ok(Progress::Done(Box::new(expected.clone())))
        );
    }
    assert_eq!(
        whole(&records(&message, 4)),
        Err(HelloError::TooManyRecords)
    );
}

#[test]
fn what_is_not_tls_is_told_apart_at_its_first_wrong_octet() {
    for first in (0..=u8::MAX).filter(|&first| first != 22) {
        assert_eq!(whole(&[first]), Err(HelloError::NotTls));
    }
    assert_eq!(whole(&[22]), Ok(Progress::WantRead));
    assert_eq!(whole(&[22, 2]), Err(HelloError::NotTls));
    assert_eq!(whole(&[22, 3, 1, 0, 0]), Err(HelloError::Malformed));
    assert_eq!(whole(&[22, 3, 1, 0x40, 1]), Err(HelloError::TooLong));
    assert_eq!(
        whole(&[22, 3, 1, 0, 4, 2]),
        Err(HelloError::NotAClientHello)
    );
    assert_eq!(
        whole(&[22, 3, 1, 0, 4, 1, 0, 0, 40]),
        Err(HelloError::Malformed)
    );
    assert_eq!(
        whole(&[22, 3, 1, 0, 4, 1, 1, 0, 0]),
        Err(HelloError::TooLong)
    );
    let mut interrupted = records(&message(&[]), 20)[..25].to_vec();
    interrupted.push(21);
    assert_eq!(whole(&interrupted), Err(HelloError::UnexpectedRecord));
    assert_eq!(HelloError::NotTls.alert(), None);
}

#[test]
fn an_error_is_final() {
    let mut reader = ClientHelloReader::new();
    assert_eq!(reader.push(&[0xc0]), Err(HelloError::NotTls));
    assert_eq!(
        reader.push(&records(&message(&[]), 1000)),
        Err(HelloError::NotTls)
    );
    assert!(reader.into_octets().is_empty());
}

#[test]
fn no_extension_may_occur_twice() {
    for kind in [43, 0x0a0a] {
        let twice = [
            extension(kind, &[2, 3, 4]),
            server_name("a"),
            extension(kind, &[2, 3, 4]),
        ];
        assert_eq!(
            whole(&records(&message(&twice), 1000)),
            Err(HelloError::DuplicateExtension(kind))
        );
    }
}

#[test]
fn early_data_is_refused_without_an_alert() {
    let early = [extension(43, &[2, 3, 4]), extension(42, &[])];
    let error = whole(&records(&message(&early), 1000)).unwrap_err();
    assert_eq!((error, error.alert()), (HelloError::EarlyData, None));
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let bad = [
        extension(0, &[0, 9, 0, 0, 1, b'a']),
        extension(0, &length16(&[0, 0, 0])),
        extension(0, &length16(&[0, 0, 1, b'a', 0, 0, 1, b'b'])),
        extension(0, &length16(&[0, 0, 1, 0])),
        extension(13, &[0, 3, 4, 3, 8]),
        extension(43, &[3, 3, 4, 3]),
        extension(43, &[2, 3, 4, 9]),
        extension(41, &[0, 5, 0, 9, 0, 0, 0, 0, 0]),
        extension(16, &[0, 2, 9, 9]),
    ];
    for extension in bad {
        let octets = records(&message(&[extension]), 1000);
        assert_eq!(whole(&octets), Err(HelloError::Malformed), "{octets:02x?}");
    }
    // Every length in the message cut short by one.
    let good = message(&everything());
    for at in 4..good.len() {
        let mut cut = good[..at].to_vec();
        cut[2..4].copy_from_slice(&u16::try_from(at - 4).unwrap().to_be_bytes());
        let result = whole(&records(&cut, 1000));
        // Where nothing but the extensions is missing, it is an old client's hello.
        assert!(
            result == Err(HelloError::Malformed) || at == 4 + MIN_HELLO + 2,
            "cut at {at}: {result:?}"
        );
    }
}

/// A server that gets such a hello closes at once and in silence.
/// proves: TLS-5.1.2-3
#[test]
fn a_client_that_offers_early_data_is_cut_off() {
    let world = World::new();
    let mut server = world.server(|_| ());
    let early = [extension(43, &[2, 3, 4]), extension(42, &[])];
    server.feed(&records(&message(&early), 1000));
    assert!(matches!(
        server.handshake(),
        crate::Handshake::Failed(crate::HandshakeError::Hello(HelloError::EarlyData))
    ));
    assert!(server.wants_abrupt_close());
    server.feed(&[23, 3, 3, 0, 1, 0]);
    let mut out = Vec::new();
    server.drain(&mut out);
    assert!(out.is_empty());
}

/// Files of the fuzz corpus, so that what was found once stays found.
#[test]
fn the_corpus_is_read_without_panic() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/client_hello");
    let mut files = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        crate::fuzzing::client_hello(&fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 10, "only {files} files");
}

proptest! {
    #[test]
    fn any_octets_end_alike_whole_or_octet_by_octet(data in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzzing::client_hello(&data);
        crate::fuzzing::client_hello(&[&[22, 3, 1, 0, 150, 1, 0, 0, 120, 3, 3][..], &data].concat());
    }

    #[test]
    fn a_changed_octet_never_panics(at in 0_usize..300, to in any::<u8>(), fragment in 20_usize..400) {
        let mut octets = records(&message(&everything()), fragment);
        let at = at % octets.len();
        octets[at] = to;
        crate::fuzzing::client_hello(&octets);
    }

    #[test]
    fn any_segments_give_the_same_hello(cuts in prop::collection::vec(1_usize..60, 1..20), fragment in 20_usize..400) {
        let octets = records(&message(&everything()), fragment);
        let mut reader = ClientHelloReader::new();
        let (mut rest, mut last) = (&octets[..], Ok(Progress::WantRead));
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            last = reader.push(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(last, whole(&octets));
    }
}
