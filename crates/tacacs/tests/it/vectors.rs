//! The vectors in `tests/vectors`, which were computed apart from this crate.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use doorward_tacacs::{
    DecodeError, EncodeError, Header, PacketType, Secret, accounting, authentication,
    authorization, obfuscation,
};
use md5::{Digest, Md5};

struct Vector {
    place: String,
    key: Option<Secret>,
    packet: Vec<u8>,
    decoded: String,
    encoded: String,
}

/// Reads a body, and gives back how it prints and what the encoder makes of it.
fn transcode<'a, B: Debug>(
    decoded: Result<B, DecodeError>,
    encode: impl FnOnce(&B, &mut Vec<u8>) -> Result<(), EncodeError> + 'a,
) -> Result<(String, Result<Vec<u8>, EncodeError>), DecodeError> {
    let body = decoded?;
    let mut octets = Vec::new();
    let encoded = encode(&body, &mut octets);
    if encoded.is_err() {
        assert!(octets.is_empty(), "something was appended on error");
    }
    Ok((format!("{body:?}"), encoded.map(|()| octets)))
}

fn transcode_any(
    header: &Header,
    body: &[u8],
) -> Result<(String, Result<Vec<u8>, EncodeError>), DecodeError> {
    let reply = !header.seq_no.is_from_client();
    match (header.packet_type, reply) {
        (PacketType::AUTHENTICATION, true) => transcode(
            authentication::Reply::decode(body),
            authentication::Reply::encode,
        ),
        (PacketType::AUTHENTICATION, false) if header.seq_no.0 == 1 => transcode(
            authentication::Start::decode(body),
            authentication::Start::encode,
        ),
        (PacketType::AUTHENTICATION, false) => transcode(
            authentication::Continue::decode(body),
            authentication::Continue::encode,
        ),
        (PacketType::AUTHORIZATION, true) => transcode(
            authorization::Reply::decode(body),
            authorization::Reply::encode,
        ),
        (PacketType::AUTHORIZATION, false) => transcode(
            authorization::Request::decode(body),
            authorization::Request::encode,
        ),
        (PacketType::ACCOUNTING, true) => {
            transcode(accounting::Reply::decode(body), accounting::Reply::encode)
        }
        (PacketType::ACCOUNTING, false) => transcode(
            accounting::Request::decode(body),
            accounting::Request::encode,
        ),
        (other, _) => panic!("no body has the type {other:?}"),
    }
}

/// proves: TAC-4.1-1, TAC-4.1-4, TAC-4.1-6, TAC-4.1-7, TAC-4.1-13, TAC-4.1-22, TAC-4.2-1, TAC-4.5-3, TAC-5.1-1, TAC-5.1-12, TAC-5.2-1, TAC-5.2-4, TAC-5.3-1, TAC-5.3-2, TAC-6.1-1, TAC-6.2-1, TAC-7.1-1, TAC-7.2-3, TAC-7.2-8, TAC-8.1-10, D05-4.3-1, D05-3.5-3
#[test]
fn packets_decode_print_and_encode_as_computed_elsewhere() {
    let vectors = vectors(&["authentication.txt", "authorization.txt", "accounting.txt"]);
    assert!(vectors.len() > 50);
    for vector in vectors {
        let place = &vector.place;
        let (header, mut body) = open(&vector);
        let (decoded, encoded) =
            transcode_any(&header, &body).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(decoded, vector.decoded, "{place}");
        let encoded = match encoded {
            Err(error) => format!("error {error}"),
            Ok(octets) => {
                body.clone_from(&octets);
                apply(&vector, &header, &mut body);
                let header = Header {
                    length: u32::try_from(octets.len()).unwrap(),
                    ..header
                };
                hex(&[&header.encode()[..], &body].concat())
            }
        };
        assert_eq!(encoded, vector.encoded, "{place}");
    }
}

/// proves: TAC-4.5-9, TAC-4.5-10, TAC-6.1-6, D05-3.5-4, D05-4.2-2, D05-4.3-2, D05-5.1-2, D05-5.2-2, D05-6.2-6
#[test]
fn one_octet_more_or_less_is_an_error_in_every_body() {
    for vector in vectors(&["authentication.txt", "authorization.txt", "accounting.txt"]) {
        let (header, mut body) = open(&vector);
        body.push(b'x');
        let more = transcode_any(&header, &body).expect_err(&vector.place);
        assert_eq!(
            more,
            DecodeError::LengthSum {
                sum: body.len() - 1,
                length: body.len()
            },
            "{}",
            vector.place
        );
        body.truncate(body.len() - 2);
        transcode_any(&header, &body).expect_err(&vector.place);
    }
}

/// proves: TAC-4.5-10
#[test]
fn the_shortest_body_of_each_kind_is_its_fixed_part() {
    for (packet_type, seq_no, fixed) in [
        (1, 1, 8),
        (1, 2, 6),
        (1, 3, 5),
        (2, 1, 8),
        (2, 2, 6),
        (3, 1, 9),
        (3, 2, 5),
    ] {
        let mut octets = [0; Header::LENGTH];
        (octets[1], octets[2]) = (packet_type, seq_no);
        let header = Header::decode(&octets);
        assert!(transcode_any(&header, &vec![0; fixed]).is_ok());
        assert_eq!(
            transcode_any(&header, &vec![0; fixed - 1]).unwrap_err(),
            DecodeError::Truncated { length: fixed - 1 }
        );
    }
}

/// proves: TAC-4.5-4, TAC-4.5-5, D05-3.6-2
#[test]
fn pads_are_as_computed_elsewhere() {
    let mut seen = 0;
    for line in read("obfuscation.txt")
        .lines()
        .filter(|line| line.starts_with("pad "))
    {
        let words: Vec<&str> = line.splitn(8, ' ').collect();
        let mut octets = [0; Header::LENGTH];
        octets[0] = unhex(words[2])[0];
        octets[2] = unhex(words[3])[0];
        octets[4..8].copy_from_slice(&unhex(words[1]));
        let header = Header::decode(&octets);
        let mut pad = vec![0; words[4].parse().unwrap()];
        obfuscation::apply(&Secret::new(words[7].as_bytes()), &header, &mut pad);
        assert_eq!(hex(&Md5::digest(&pad)).replace(' ', ""), words[5], "{line}");
        if words[6] != "-" {
            assert_eq!(pad, unhex(words[6]), "{line}");
        }
        seen += 1;
    }
    assert_eq!(seen, 30);
}

/// The header and the body in clear.
fn open(vector: &Vector) -> (Header, Vec<u8>) {
    let header = Header::peek(&vector.packet).unwrap();
    let mut body = vector.packet[Header::LENGTH..].to_vec();
    assert_eq!(body.len(), header.length as usize, "{}", vector.place);
    apply(vector, &header, &mut body);
    (header, body)
}

fn apply(vector: &Vector, header: &Header, body: &mut [u8]) {
    if let Some(key) = &vector.key {
        obfuscation::apply(key, header, body);
    }
}

fn vectors(files: &[&str]) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for file in files {
        let text = read(file);
        let (mut key, mut packet, mut decoded) = (None, Vec::new(), String::new());
        for (number, line) in text.lines().enumerate() {
            let (word, rest) = line.split_at_checked(4).unwrap_or((line, ""));
            match word {
                "key " => key = Some(Secret::new(rest.as_bytes())),
                "in  " => packet = unhex(rest),
                "is  " => decoded = rest.to_owned(),
                "out " => {
                    let encoded = if rest.starts_with("error") {
                        rest.to_owned()
                    } else {
                        hex(&unhex(rest))
                    };
                    let place = format!("{file}:{}", number + 1);
                    let (key, packet, decoded) = (
                        key.take(),
                        std::mem::take(&mut packet),
                        std::mem::take(&mut decoded),
                    );
                    vectors.push(Vector {
                        place,
                        key,
                        packet,
                        decoded,
                        encoded,
                    });
                }
                _ => assert!(
                    line.is_empty() || line.starts_with('#'),
                    "{file}:{}: {line}",
                    number + 1
                ),
            }
        }
    }
    vectors
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    fs::read_to_string(path).unwrap()
}

fn hex(octets: &[u8]) -> String {
    octets
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}
