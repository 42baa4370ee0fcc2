//! Which answers of the DNS count.
#![allow(clippy::panic)]

use doorward_hastls::{Answer, PortPair, RecordError, Unusable, Validation};

/// SMTP both ways, HTTP with TLS only.
const EXAMPLE: [u8; 8] = [0x00, 0x19, 0x00, 0x19, 0x00, 0x00, 0x01, 0xbb];

#[test]
fn only_a_secure_answer_is_read() {
    for (validation, why) in [
        (Validation::Insecure, Unusable::Insecure),
        (Validation::Bogus, Unusable::Bogus),
        (Validation::Expired, Unusable::Expired),
        (Validation::Indeterminate, Unusable::Indeterminate),
    ] {
        for rdata in [&EXAMPLE[..], &EXAMPLE[..3], &[]] {
            assert_eq!(Answer::read(validation, [rdata]), Answer::Unusable(why));
        }
    }
    let Answer::Secure(record) = Answer::read(Validation::Secure, [EXAMPLE]) else {
        panic!("it is proved");
    };
    let expected = [(25, 25), (0, 443)].map(|(a, b)| PortPair::new(a, b).unwrap());
    assert_eq!(record.pairs(), expected);
    let none: [&[u8]; 0] = [];
    assert_eq!(Answer::read(Validation::Secure, none), Answer::ABSENT);
    let malformed = Answer::Unusable(Unusable::Malformed(RecordError::Length(3)));
    assert_eq!(Answer::read(Validation::Secure, [&EXAMPLE[..3]]), malformed);
}
