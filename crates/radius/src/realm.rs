//! The realm of a user (RFC 7542): who is asked about them.

/// The realm: what is behind the last `@`. `None` without one, and where it is not UTF-8 or has an empty label, as
/// `user@` and `user@example.org.` do (RFC 7542 section 2.2). Realms are compared without regard to case.
pub fn of(user_name: &[u8]) -> Option<&str> {
    split(user_name).map(|(_, realm)| realm)
}

/// The name without its realm; as it is where [`of`] finds none, and where nothing would be left, since no User-Name is
/// empty (RFC 2865 section 5.1).
pub fn strip(user_name: &[u8]) -> &[u8] {
    match split(user_name) {
        Some((user, _)) if !user.is_empty() => user,
        _ => user_name,
    }
}

fn split(user_name: &[u8]) -> Option<(&[u8], &str)> {
    let at = user_name.iter().rposition(|octet| *octet == b'@')?;
    let (user, rest) = user_name.split_at_checked(at)?;
    let realm = core::str::from_utf8(rest.get(1..)?).ok()?;
    let whole = realm.split('.').all(|label| !label.is_empty());
    whole.then_some((user, realm))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7542 section 2.2, with names as devices send them.
    #[test]
    fn the_realm_is_behind_the_last_at_sign() {
        let cases: [(&[u8], Option<&str>, &[u8]); 10] = [
            (b"alice@example.org", Some("example.org"), b"alice"),
            (b"a@b@Example", Some("Example"), b"a@b"),
            (b"@example.org", Some("example.org"), b"@example.org"),
            (b"alice", None, b"alice"),
            (b"", None, b""),
            (b"alice@", None, b"alice@"),
            (b"alice@example.", None, b"alice@example."),
            (b"alice@.org", None, b"alice@.org"),
            (b"alice@a..b", None, b"alice@a..b"),
            (b"alice@\xff", None, b"alice@\xff"),
        ];
        for (name, realm, user) in cases {
            assert_eq!(of(name), realm);
            assert_eq!(strip(name), user);
        }
        assert_eq!(of("a@bücher.example".as_bytes()), Some("bücher.example"));
    }
}
