//! NAIRealm (RFC 7585 section 2.2), of servers and of devices.

use super::*;

/// otherName of the type id-on-naiRealm.
pub(super) fn realm(name: &[u8]) -> Vec<u8> {
    other_name(8, &element(0x0c, name))
}

/// proves: RAD-3.3.1-16, RAD-3.3.1-17, RAD-3.3.1-19
#[test]
fn a_server_of_a_realm_is_known_by_its_realm_alone() {
    let server = with_raw_names(&[
        realm(b"Example.ORG"),
        realm(b"*.sub.example.org"),
        realm(b"a*.example.com"),
        realm(b"www.*.com"),
        element(0x82, b"example.net"),
        element(0x82, b"*.example.net"),
        srv_name(b"_radsec.example.net"),
    ])
    .unwrap();
    for (wanted, result) in [
        ("example.org", true),
        ("EXAMPLE.org", true),
        ("x.sub.example.org", true),
        ("sub.example.org", false),
        ("a.b.sub.example.org", false),
        ("ab.example.com", false),
        ("www.example.com", false),
        // Names of another kind.
        ("example.net", false),
        ("a.example.net", false),
        ("_radsec.example.net", false),
    ] {
        let wanted = ReferenceIdentity::realm(wanted).unwrap();
        assert_eq!(wanted.matches(&server), result, "{wanted}");
        assert_eq!(wanted.host_name(), None, "a realm is no host");
    }
    let host = ReferenceIdentity::parse("example.org").unwrap();
    assert!(!host.matches(&server), "and a host is no realm");
    for bad in ["", "*.example.org", "a..b", "b\u{fc}cher.example"] {
        assert_eq!(
            ReferenceIdentity::realm(bad),
            Err(ReferenceError),
            "{bad:?}"
        );
    }
}

/// What DNSSEC has proved of a realm makes its host's name as good as the realm, each as a name of its own kind.
///
/// proves: RAD-3.3.1-19, RAD-3.3.1-20
#[test]
fn a_server_that_was_found_is_known_by_its_realm_or_its_host() {
    let found = ReferenceIdentity::found("Example.org", "AAA1.example.net").unwrap();
    for (name, wanted) in [
        (realm(b"example.org"), true),
        (realm(b"aaa1.example.net"), false),
        (element(0x82, b"aaa1.example.net"), true),
        (element(0x82, b"*.example.net"), true),
        (element(0x82, b"example.org"), false),
        (element(0x82, b"aaa2.example.net"), false),
    ] {
        let server = with_raw_names(std::slice::from_ref(&name)).unwrap();
        assert_eq!(found.matches(&server), wanted, "{name:?}");
    }
    assert_eq!(found.host_name(), Some("aaa1.example.net"));
    for (realm, host) in [
        ("*.example.org", "aaa1.example.net"),
        ("example.org", "192.0.2.1"),
        ("example.org", "_radsec.example.net"),
        ("", "aaa1.example.net"),
    ] {
        let wrong = ReferenceIdentity::found(realm, host);
        assert_eq!(wrong, Err(ReferenceError), "{realm} {host}");
    }
}

#[test]
fn a_realm_that_cannot_be_one_makes_the_certificate_unusable() {
    let odd = |value: &[u8]| with_raw_names(&[other_name(8, value)]).err();
    let unusable = Some(PathError::UnusableName);
    assert_eq!(odd(&element(0x0c, b"example.org")), None);
    assert_eq!(odd(&element(0x0c, b"")), unusable);
    assert_eq!(odd(&element(0x0c, b"a..b")), unusable);
    assert_eq!(odd(&element(0x0c, b"a\0.example.org")), unusable);
    assert_eq!(
        odd(&element(0x0c, "b\u{fc}cher.example".as_bytes())),
        unusable
    );
    // Of another type than UTF8String, or not alone.
    assert_eq!(odd(&element(0x16, b"example.org")), unusable);
    let twice = [element(0x0c, b"example.org"), element(0x0c, b"example.org")];
    assert_eq!(odd(&twice.concat()), unusable);
}

#[test]
fn a_device_is_known_by_its_realm() {
    let exact = Some(MatchKind::Exact);
    let by_wildcard = Some(MatchKind::Wildcard);
    let one = |name: &[u8]| vec![realm(name)];
    for (names, wanted, wildcard, result) in [
        (one(b"Example.ORG"), "example.org", false, exact),
        (one(b"example.org"), "EXAMPLE.org", false, exact),
        (
            vec![realm(b"other.org"), realm(b"example.org")],
            "example.org",
            false,
            exact,
        ),
        (one(b"example.com"), "example.org", false, None),
        // Only of its own kind.
        (
            vec![
                element(0x82, b"example.org"),
                srv_name(b"_radsec.example.org"),
            ],
            "example.org",
            false,
            None,
        ),
        // A `*` of the certificate.
        (one(b"*.example.org"), "a.example.org", true, by_wildcard),
        (one(b"*.example.org"), "a.example.org", false, None),
        (one(b"*.example.org"), "example.org", true, None),
        (one(b"*.example.org"), "a.b.example.org", true, None),
        (one(b"a*.example.org"), "ab.example.org", true, None),
        (one(b"a.*.org"), "a.example.org", true, None),
        // A `*` of the file.
        (one(b"a.example.org"), "*.example.org", false, by_wildcard),
        (one(b"a.b.example.org"), "*.example.org", false, None),
    ] {
        let identity = with_raw_names(&names).unwrap();
        let device = matching(|settings| {
            settings.realm = listed(&[wanted]);
            settings.wildcard = wildcard;
        });
        let found = device.matches(&identity, PEER);
        assert_eq!(found, result, "{wanted} of {:?}", identity.realms);
    }
}

#[test]
fn a_device_of_a_name_has_no_realm_and_a_wrong_realm_is_told_of() {
    let by_name = matching(|settings| settings.dns = listed(&["example.org"]));
    let of_realm = with_raw_names(&[realm(b"example.org")]).unwrap();
    assert_eq!(by_name.matches(&of_realm, PEER), None);
    for (bad, why) in [
        ("a..b", MatchProblem::NotARealm),
        ("", MatchProblem::NotARealm),
        ("b\u{fc}cher.example", MatchProblem::NotAnALabel),
        ("a*.example.org", MatchProblem::OddWildcard),
    ] {
        let found = problem(|settings| settings.realm = listed(&[bad]));
        assert_eq!(found, (MatchField::Realm, why), "{bad}");
    }
}
