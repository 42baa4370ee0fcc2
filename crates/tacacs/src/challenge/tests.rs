use alloc::vec::Vec;

use super::*;

const PEER: [u8; 16] = hex(b"21402324255e262a28295f2b3a337c7e");

const fn hex<const N: usize>(text: &[u8]) -> [u8; N] {
    const fn digit(octet: u8) -> u8 {
        match octet {
            b'0'..=b'9' => octet - b'0',
            _ => octet - b'a' + 10,
        }
    }
    assert!(text.len() == 2 * N);
    let mut out = [0; N];
    let mut at = 0;
    while at < N {
        out[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    out
}

fn judge(
    method: ChallengeMethod,
    data: &[u8],
    user: &[u8],
    secret: &[u8],
) -> Result<bool, ChallengeError> {
    ChallengeResponse::decode(method, data)?.verify(user, secret)
}

/// Every bit of `data` but those in `ignored` counts.
fn every_bit_counts(
    method: ChallengeMethod,
    data: &[u8],
    user: &[u8],
    secret: &[u8],
    ignored: &[core::ops::Range<usize>],
) {
    assert_eq!(judge(method, data, user, secret), Ok(true));
    for index in 0..data.len() {
        for bit in 0..8 {
            let mut changed = data.to_vec();
            changed[index] ^= 1 << bit;
            let expected = ignored.iter().any(|range| range.contains(&index));
            let found = judge(method, &changed, user, secret);
            assert_eq!(found.unwrap_or(false), expected, "octet {index} bit {bit}");
        }
    }
}

/// The digest was computed by another program.
/// proves: TAC-5.4.2.3-2, TAC-5.4.2.3-4, D05-4.4.2-5
#[test]
fn chap_is_md5_over_id_secret_and_challenge() {
    let challenge: Vec<u8> = (0..16).collect();
    let method = ChallengeMethod::Chap;
    let data = method
        .respond(7, &challenge, &PEER, b"carol", b"chap-secret-0123")
        .unwrap();
    let response: [u8; 16] = hex(b"18e6b24e48770621d1049cc665dae938");
    let wanted = [&[7][..], &challenge, &response].concat();
    assert_eq!(data, wanted);
    let decoded = ChallengeResponse::decode(method, &data).unwrap();
    assert_eq!(decoded.id, 7);
    assert_eq!(decoded.challenge, challenge);
    assert_eq!(decoded.response, response);
    every_bit_counts(method, &data, b"carol", b"chap-secret-0123", &[]);
    assert_eq!(
        judge(method, &data, b"carol", b"chap-secret-0124"),
        Ok(false)
    );
}

/// proves: TAC-5.4.2.3-3
#[test]
fn chap_data_has_a_challenge_of_one_octet_at_least() {
    let method = ChallengeMethod::Chap;
    for length in 0..=17 {
        let data = std::vec![0; length];
        let found = ChallengeResponse::decode(method, &data);
        let least = 18;
        assert_eq!(
            found,
            Err(ChallengeError::Short {
                found: length,
                least
            })
        );
    }
    let data = std::vec![0; 18];
    assert_eq!(
        ChallengeResponse::decode(method, &data)
            .unwrap()
            .challenge
            .len(),
        1
    );
    assert_eq!(
        method.respond(0, &[0; 239], &PEER, b"", b""),
        Err(ChallengeError::Challenge {
            found: 239,
            wanted: 16
        })
    );
    assert_eq!(
        method.respond(0, &[0; 238], &PEER, b"", b"").unwrap().len(),
        255
    );
}

/// The example of RFC 2433 appendix B.
/// proves: TAC-5.4.2.4-2, TAC-5.4.2.4-3
#[test]
fn mschap_version_1_as_in_its_rfc() {
    let method = ChallengeMethod::MsChapV1;
    let challenge: [u8; 8] = hex(b"102db5df085d3041");
    let data = method
        .respond(3, &challenge, &PEER, b"user", b"MyPw")
        .unwrap();
    assert_eq!(data.len(), 58);
    assert_eq!(data[0], 3);
    assert_eq!(data[1..9], challenge);
    assert_eq!(data[9..33], [0; 24], "no LM response");
    let response: [u8; 24] = hex(b"4e9d3c8f9cfd385d5bf4d3246791956ca4c351ab409a3d61");
    assert_eq!(data[33..57], response);
    assert_eq!(data[57], 1);
    // The identifier is the client's own, and the LM response is not looked at.
    every_bit_counts(method, &data, b"user", b"MyPw", &[0..1, 9..33]);
    assert_eq!(judge(method, &data, b"user", b"mypw"), Ok(false));
    let mut without = data.clone();
    without[57] = 0;
    assert_eq!(
        judge(method, &without, b"user", b"MyPw"),
        Err(ChallengeError::LmOnly)
    );
}

/// The example of RFC 2759 section 9.2.
/// proves: TAC-5.4.2.5-2, TAC-5.4.2.5-3
#[test]
fn mschap_version_2_as_in_its_rfc() {
    let method = ChallengeMethod::MsChapV2;
    let challenge: [u8; 16] = hex(b"5b5d7c7d7b3f2f3e3c2c602132262628");
    let (user, secret) = (b"User", b"clientPass");
    let data = method.respond(9, &challenge, &PEER, user, secret).unwrap();
    assert_eq!(data.len(), 66);
    assert_eq!(data[0], 9);
    assert_eq!(data[1..17], challenge);
    assert_eq!(data[17..33], PEER);
    assert_eq!(data[33..41], [0; 8]);
    let response: [u8; 24] = hex(b"82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df");
    assert_eq!(data[41..65], response);
    assert_eq!(data[65], 0);
    every_bit_counts(method, &data, user, secret, &[0..1, 33..41, 65..66]);
    assert_eq!(judge(method, &data, b"EXAMPLE\\User", secret), Ok(true));
    assert_eq!(judge(method, &data, b"user", secret), Ok(false));
}

/// proves: TAC-5.4.2.4-5, TAC-5.4.2.5-5, D05-4.4.2-6
#[test]
fn mschap_challenges_have_one_length() {
    for (method, right) in [
        (ChallengeMethod::MsChapV1, 58),
        (ChallengeMethod::MsChapV2, 66),
    ] {
        for length in 0..=255 {
            let data = std::vec![1; length];
            let found = ChallengeResponse::decode(method, &data);
            assert_eq!(found.is_ok(), length == right, "{method:?} {length}");
        }
        let wrong = std::vec![0; method.challenge_length().unwrap() + 1];
        assert!(method.respond(0, &wrong, &PEER, b"", b"").is_err());
    }
}

#[test]
fn a_secret_that_is_no_text_has_no_nt_response() {
    let method = ChallengeMethod::MsChapV1;
    let found = method.respond(0, &[0; 8], &PEER, b"user", &[0xff]);
    assert_eq!(found, Err(ChallengeError::Secret));
    let data = method
        .respond(0, &[0; 8], &PEER, b"user", "pässwörd".as_bytes())
        .unwrap();
    assert_eq!(
        judge(method, &data, b"user", &[0xff]),
        Err(ChallengeError::Secret)
    );
    assert_eq!(
        judge(method, &data, b"user", "pässwörd".as_bytes()),
        Ok(true)
    );
}

#[test]
fn debug_output_has_no_response() {
    let data = ChallengeMethod::Chap
        .respond(1, b"12345678", &PEER, b"", b"x")
        .unwrap();
    let decoded = ChallengeResponse::decode(ChallengeMethod::Chap, &data).unwrap();
    assert_eq!(
        std::format!("{decoded:?}"),
        "ChallengeResponse { method: Chap, id: 1, .. }"
    );
}
