//! Hexadecimal digits in configurations: keys, pins and identities.

use zeroize::Zeroizing;

/// The octets of pairs of digits in either case; `None` = something else, or half a pair. It may be a secret, so that no copy
/// of it is left behind.
pub(crate) fn octets(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let digit = |octet: u8| char::from(octet).to_digit(16);
    let mut octets = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for &[high, low] in pairs {
        octets.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
    }
    Some(octets)
}
