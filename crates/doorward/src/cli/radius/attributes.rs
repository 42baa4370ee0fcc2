//! Attributes of requests, as the command line writes them.

use doorward_client::radius::Request;
use doorward_radius::attribute::kind;
use doorward_radius::dictionary::{Dictionary, Hiding};

use crate::cli::asking::Problem;
use crate::config::reply_path;

/// What the client makes itself.
const MADE: [(u8, &str); 7] = [
    (kind::USER_NAME, "--user gives it"),
    (kind::ACCT_SESSION_ID, "--session-id gives it"),
    (
        kind::ACCT_STATUS_TYPE,
        "--start, --stop and their like give it",
    ),
    (kind::USER_PASSWORD, "--password gives it"),
    (kind::CHAP_PASSWORD, "--type chap makes it"),
    (
        kind::MESSAGE_AUTHENTICATOR,
        "it is made where one is needed",
    ),
    (kind::EAP_MESSAGE, "this command does not speak EAP"),
];

/// Adds the attribute of this name.
pub(super) fn add(
    request: &mut Request,
    dictionary: &Dictionary,
    name: &str,
    value: &str,
) -> Result<(), Problem> {
    let wrong = |why: &str| Problem::Usage(format!("--attr {}: {why}", name.escape_debug()));
    if let Some(numbers) = name.strip_prefix("Attr-") {
        let (vendor, path) = by_number(numbers).ok_or_else(|| {
            wrong("this is no number such as Attr-240, Attr-241.9 or Attr-26.9.1")
        })?;
        let octets = octets(value).ok_or_else(|| wrong("0x begins pairs of hexadecimal digits"))?;
        if let Some(why) = made(vendor, &path) {
            return Err(wrong(why));
        }
        request.push(vendor, &path, &octets);
        return Ok(());
    }
    let pair = dictionary
        .parse_pair(name, value)
        .map_err(|error| Problem::Usage(format!("--attr: {error}")))?;
    let path = reply_path(dictionary, pair.attribute)
        .ok_or_else(|| wrong("it has a form this version cannot send"))?;
    let vendor = pair.attribute.vendor;
    if let Some(why) = made(vendor, &path) {
        return Err(wrong(why));
    }
    if pair.attribute.hidden != Hiding::None {
        return Err(wrong("it is a secret of answers, which no request carries"));
    }
    // Two times would leave it to the server which one counts.
    if (vendor, path.as_slice()) == (None, &[kind::EVENT_TIMESTAMP]) {
        request.remove(kind::EVENT_TIMESTAMP);
    }
    request.push(vendor, &path, &pair.tagged_octets());
    Ok(())
}

/// A request says which device asks (RFC 2865 section 4.1, RFC 2866 section 4.1).
pub(super) fn name_device(request: &mut Request) {
    let named = [
        kind::NAS_IP_ADDRESS,
        kind::NAS_IDENTIFIER,
        kind::NAS_IPV6_ADDRESS,
    ];
    if !named.iter().any(|kind| request.has(*kind)) {
        request.push(None, &[kind::NAS_IDENTIFIER], b"doorward");
    }
}

fn made(vendor: Option<u32>, path: &[u8]) -> Option<&'static str> {
    let (None, [kind]) = (vendor, path) else {
        return None;
    };
    let found = MADE.iter().find(|(made, _)| made == kind);
    found.map(|(_, why)| *why)
}

/// `240`, `241.9` or `26.9.1`.
fn by_number(text: &str) -> Option<(Option<u32>, Vec<u8>)> {
    let mut numbers = Vec::new();
    for part in text.split('.') {
        numbers.push(part.parse::<u32>().ok()?);
    }
    let octet = |number: &u32| u8::try_from(*number).ok().filter(|octet| *octet != 0);
    match numbers.as_slice() {
        [26, vendor, kind] => Some((Some(*vendor), vec![octet(kind)?])),
        [kind @ 241..=246, extended] => Some((None, vec![octet(kind)?, octet(extended)?])),
        [kind @ (1..=25 | 27..=240 | 247..=255)] => Some((None, vec![octet(kind)?])),
        _ => None,
    }
}

/// Octets in hexadecimal digits after 0x, or the text itself.
fn octets(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("0x") else {
        return Some(text.as_bytes().to_vec());
    };
    // Rust would read signs as well.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_attributes() {
        assert_eq!(by_number("240"), Some((None, vec![240])));
        assert_eq!(by_number("241.9"), Some((None, vec![241, 9])));
        assert_eq!(by_number("26.9.1"), Some((Some(9), vec![1])));
        for wrong in [
            "", "0", "26", "256", "241", "26.9", "26.9.0", "26.9.256", "1.2", "-1", "x",
        ] {
            assert_eq!(by_number(wrong), None, "{wrong}");
        }
        assert_eq!(octets("0x00fF"), Some(vec![0, 255]));
        assert_eq!(octets("text"), Some(b"text".to_vec()));
        assert_eq!(octets("0x0"), None);
        assert_eq!(octets("0x+1"), None);
    }

    #[test]
    fn what_the_client_makes_is_refused() {
        let mut request = Request::accounting(1);
        for (name, value) in [
            ("User-Password", "x"),
            ("Message-Authenticator", "0x00"),
            ("Attr-2", "x"),
            ("Tunnel-Password", "x"),
            ("Attr-x", "x"),
            ("Nas-Identifer", "x"),
            ("Service-Type", "Nobody"),
        ] {
            assert!(
                add(&mut request, &Dictionary::standard(), name, value).is_err(),
                "{name}"
            );
        }
        assert!(!request.has(kind::NAS_IDENTIFIER));
        name_device(&mut request);
        assert!(request.has(kind::NAS_IDENTIFIER));
    }
}
