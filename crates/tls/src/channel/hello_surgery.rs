//! Changes to a ClientHello that no library would make.

/// Where the length of the extensions stands.
fn extensions(hello: &[u8]) -> usize {
    let mut at = 5 + 4 + 2 + 32; // record, message, version, random
    at += 1 + usize::from(hello[at]); // session id
    at += 2 + number(hello, at); // suites
    assert_eq!(hello[at], 1, "one compression method");
    at + 2
}

fn number(hello: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]))
}

/// Where an extension begins, and how long it is with its header.
pub(super) fn extension(hello: &[u8], wanted: u16) -> (usize, usize) {
    let mut at = extensions(hello) + 2;
    while number(hello, at) != usize::from(wanted) {
        at += 4 + number(hello, at + 2);
    }
    (at, 4 + number(hello, at + 2))
}

/// Takes signature_algorithms out, so that nothing but a key can succeed. The binder is wrong after that.
pub(super) fn without_certificates(hello: &mut Vec<u8>) {
    let (at, length) = extension(hello, 13);
    for place in [3, 7, extensions(hello)] {
        let shorter = u16::try_from(number(hello, place) - length).unwrap();
        hello[place..place + 2].copy_from_slice(&shorter.to_be_bytes());
    }
    hello.drain(at..at + length);
}
