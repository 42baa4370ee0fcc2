use std::net::IpAddr;

use rcgen::{CustomExtension, OtherNameValue, SanType};

use super::*;
use crate::testing::Ca;

mod realm;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn with_names(names: Vec<SanType>) -> PeerIdentity {
    let leaf = Ca::root("Issuing CA").leaf_with("unused.example.net", |params| {
        params.serial_number = Some(rcgen::SerialNumber::from(0x0b_u64));
        params.subject_alt_names = names;
    });
    PeerIdentity::from_der(&leaf.der).unwrap()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn listed(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn matching(change: impl FnOnce(&mut MatchSettings)) -> CertificateMatch {
    let mut settings = MatchSettings::default();
    change(&mut settings);
    CertificateMatch::new(settings).unwrap()
}

fn problem(change: impl FnOnce(&mut MatchSettings)) -> (MatchField, MatchProblem) {
    let mut settings = MatchSettings::default();
    change(&mut settings);
    let error = CertificateMatch::new(settings).unwrap_err();
    (error.field, error.problem)
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(contents.len()).unwrap()][..], contents].concat()
}

/// Names that rcgen cannot make: subjectAltName out of ready elements.
fn with_raw_names(names: &[Vec<u8>]) -> Result<PeerIdentity, PathError> {
    let names = names.concat();
    let content = [
        &[0x30, 0x81, u8::try_from(names.len()).unwrap()][..],
        &names,
    ]
    .concat();
    let leaf = Ca::root("root").leaf_with("unused.example.net", |params| {
        params.subject_alt_names.clear();
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[2, 5, 29, 17], content));
    });
    PeerIdentity::from_der(&leaf.der)
}

/// `CN=core1` of `O=Example` as a directoryName.
fn directory_name() -> Vec<u8> {
    let attribute = |kind: u8, value: &[u8]| {
        element(
            0x31,
            &element(
                0x30,
                &[&[0x06, 3, 0x55, 0x04, kind][..], &element(0x0c, value)].concat(),
            ),
        )
    };
    element(
        0xa4,
        &element(
            0x30,
            &[attribute(10, b"Example"), attribute(3, b"core1")].concat(),
        ),
    )
}

/// otherName of the type id-on-dnsSRV.
fn srv_name(name: &[u8]) -> Vec<u8> {
    other_name(7, &element(0x16, name))
}

/// otherName of a type of id-on, with its value.
fn other_name(kind: u8, value: &[u8]) -> Vec<u8> {
    let oid = element(0x06, &[0x2b, 6, 1, 5, 5, 7, 8, kind]);
    element(0xa0, &[oid, element(0xa0, value)].concat())
}

/// proves: TLS-3.4.2-8
#[test]
fn dns_and_address_entries_match_alone_and_together() {
    let address = |text: &str| SanType::IpAddress(text.parse().unwrap());
    let device = |names: &[&str], addresses: &[&str]| {
        matching(|settings| {
            settings.dns = listed(names);
            settings.ip = listed(addresses);
        })
    };
    let table = [
        (
            vec![dns("core1.example.net")],
            device(&["core1.example.net"], &[]),
        ),
        (vec![address("10.0.0.1")], device(&[], &["10.0.0.1"])),
        (
            vec![address("2001:db8::1")],
            device(&[], &["2001:DB8:0::1"]),
        ),
        (
            vec![dns("core1.example.net"), address("10.0.0.1")],
            device(&["core1.example.net"], &["10.0.0.1"]),
        ),
        (
            vec![dns("core1.example.net"), address("10.0.0.1")],
            device(&["core9.example.net"], &["10.0.0.1"]),
        ),
    ];
    let stranger = with_names(vec![dns("core2.example.net"), address("10.0.0.2")]);
    for (names, device) in table {
        assert_eq!(
            device.matches(&with_names(names), PEER),
            Some(MatchKind::Exact)
        );
        assert_eq!(device.matches(&stranger, PEER), None);
    }
}

/// proves: TLS-3.4.2-9
#[test]
fn every_kind_of_name_is_read_and_matched() {
    let identity = with_names(vec![
        dns("Core1.Example.NET"),
        SanType::IpAddress("10.0.0.1".parse().unwrap()),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        uri("urn:device:core1"),
        SanType::Rfc822Name("noc@example.net".try_into().unwrap()),
        SanType::OtherName((
            vec![1, 3, 6, 1, 4, 1, 32473, 1],
            OtherNameValue::Utf8String("x".into()),
        )),
    ]);
    assert_eq!(identity.dns, ["core1.example.net"]);
    assert_eq!(
        identity.ip,
        [
            "10.0.0.1".parse::<IpAddr>().unwrap(),
            "2001:db8::1".parse().unwrap()
        ]
    );
    assert_eq!(identity.uri, ["urn:device:core1"]);
    assert_eq!(identity.serial, "b");
    let names = [
        "dns:core1.example.net",
        "ip:10.0.0.1",
        "ip:2001:db8::1",
        "uri:urn:device:core1",
    ];
    assert_eq!(identity.names().collect::<Vec<_>>(), names);
    let exact = |change: &dyn Fn(&mut MatchSettings)| {
        assert_eq!(
            matching(change).matches(&identity, PEER),
            Some(MatchKind::Exact)
        );
    };
    exact(&|settings| settings.dns = listed(&["other.example", "CORE1.example.net"]));
    exact(&|settings| settings.ip = listed(&["10.0.0.1"]));
    exact(&|settings| settings.ip = listed(&["2001:db8::1"]));
    exact(&|settings| settings.uri = listed(&["urn:device:core1"]));
    exact(&|settings| {
        settings.dns = listed(&["other.example"]);
        settings.ip = listed(&["10.0.0.1"]);
    });
    assert_eq!(
        matching(|settings| settings.dns = listed(&["core2.example.net"])).matches(&identity, PEER),
        None
    );
    assert_eq!(
        matching(|settings| settings.ip = listed(&["10.0.0.2"])).matches(&identity, PEER),
        None
    );
    assert_eq!(
        matching(|settings| settings.uri = listed(&["urn:device:core2"])).matches(&identity, PEER),
        None
    );
}

#[test]
fn a_directory_name_is_matched_in_its_text_form() {
    let identity = with_raw_names(&[directory_name()]).unwrap();
    assert_eq!(identity.directory, ["CN=core1,O=Example"]);
    let device = matching(|settings| settings.directory = listed(&["cn=CORE1, o=example"]));
    assert_eq!(device.matches(&identity, PEER), Some(MatchKind::Exact));
    let device = matching(|settings| settings.directory = listed(&["CN=core1"]));
    assert_eq!(device.matches(&identity, PEER), None);
}

/// proves: TLS-3.4.2-3
#[test]
fn the_common_name_is_never_a_name() {
    let leaf = Ca::root("root").leaf_with("unused.example.net", |params| {
        params.subject_alt_names.clear();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "core1.example.net");
    });
    let identity = PeerIdentity::from_der(&leaf.der).unwrap();
    assert!(identity.subject.contains("CN=core1.example.net"));
    assert_eq!(
        matching(|settings| settings.dns = listed(&["core1.example.net"])).matches(&identity, PEER),
        None
    );
    assert!(
        !ReferenceIdentity::parse("core1.example.net")
            .unwrap()
            .matches(&identity)
    );
}

#[test]
fn the_connecting_address_itself_may_be_asked_for() {
    let identity = with_names(vec![SanType::IpAddress("10.0.0.1".parse().unwrap())]);
    let device = matching(|settings| settings.ip = listed(&["peer"]));
    assert_eq!(device.matches(&identity, PEER), Some(MatchKind::Exact));
    assert_eq!(
        device.matches(&identity, "::ffff:10.0.0.1".parse().unwrap()),
        Some(MatchKind::Exact)
    );
    assert_eq!(device.matches(&identity, "10.0.0.2".parse().unwrap()), None);
}

#[test]
fn wildcards_count_where_they_are_allowed() {
    let (wild, exact) = (Some(MatchKind::Wildcard), Some(MatchKind::Exact));
    // in the file, in the certificate, wildcard = ?, result
    let table = [
        ("core1.t.example", "core1.t.example", false, exact),
        ("*.t.example", "core1.t.example", false, wild),
        ("*.t.example", "a.core1.t.example", false, None),
        ("*.t.example", "t.example", false, None),
        ("core1.t.example", "*.t.example", false, None),
        ("core1.t.example", "*.t.example", true, wild),
        ("a.core1.t.example", "*.t.example", true, None),
        ("t.example", "*.t.example", true, None),
        ("*.t.example", "*.t.example", false, None),
        ("*.t.example", "*.t.example", true, wild),
        ("foo.t.example", "f*.t.example", true, None),
        ("a.b.example", "*.*.example", true, None),
    ];
    for (ours, theirs, wildcard, result) in table {
        let device = matching(|settings| {
            settings.dns = listed(&[ours]);
            settings.wildcard = wildcard;
        });
        assert_eq!(
            device.matches(&with_names(vec![dns(theirs)]), PEER),
            result,
            "{ours} {theirs} {wildcard}"
        );
    }
    let both = matching(|settings| settings.dns = listed(&["*.t.example", "core1.t.example"]));
    assert_eq!(
        both.matches(&with_names(vec![dns("core1.t.example")]), PEER),
        exact,
        "the exact one goes first"
    );
}

#[test]
fn conditions_must_all_hold_besides() {
    let mut identity = with_names(vec![dns("core1.example.net")]);
    identity.policy_oids = listed(&["1.3.6.1.4.1.32473.1"]);
    let hexadecimal: String = identity
        .fingerprint
        .iter()
        .map(|octet| format!("{octet:02X}:"))
        .collect();
    let fingerprint = hexadecimal.trim_end_matches(':').to_owned();
    let named = |change: &dyn Fn(&mut MatchSettings)| {
        let device = matching(|settings| {
            settings.dns = listed(&["core1.example.net"]);
            change(settings);
        });
        device.matches(&identity, PEER).is_some()
    };
    assert!(named(
        &|settings| settings.issuer = Some("cn=issuing ca,o=doorward test".into())
    ));
    assert!(!named(
        &|settings| settings.issuer = Some("CN=Issuing CA".into())
    ));
    assert!(named(&|settings| settings.serial = Some("00:0B".into())));
    assert!(!named(&|settings| settings.serial = Some("0c".into())));
    assert!(named(
        &|settings| settings.policy_oid = listed(&["1.2.3", "1.3.6.1.4.1.32473.1"])
    ));
    assert!(!named(&|settings| settings.policy_oid = listed(&["1.2.3"])));
    assert!(named(
        &|settings| settings.fingerprint = vec![format!("sha256:{fingerprint}")]
    ));
    assert!(!named(
        &|settings| settings.fingerprint = vec!["00".repeat(32)]
    ));
    assert!(!named(&|settings| {
        settings.serial = Some("b".into());
        settings.policy_oid = listed(&["1.2.3"]);
    }));

    let alone = |change: &dyn Fn(&mut MatchSettings)| matching(change).matches(&identity, PEER);
    assert_eq!(
        alone(&|settings| settings.fingerprint = vec![fingerprint.clone()]),
        Some(MatchKind::Exact)
    );
    assert_eq!(
        alone(&|settings| settings.policy_oid = listed(&["1.3.6.1.4.1.32473.1"])),
        Some(MatchKind::Exact)
    );
    let pinned = alone(&|settings| {
        settings.issuer = Some("CN=Issuing CA,O=Doorward test".into());
        settings.serial = Some("b".into());
    });
    assert_eq!(pinned, Some(MatchKind::Exact));
}

#[test]
fn each_wrong_value_names_its_key() {
    use {MatchField as F, MatchProblem as P};
    assert_eq!(problem(|_| ()), (F::Certificate, P::Nothing));
    assert_eq!(
        problem(|settings| settings.dns = listed(&["a..b"])),
        (F::Dns, P::NotADnsName)
    );
    assert_eq!(
        problem(|settings| settings.dns = listed(&["bücher.example"])),
        (F::Dns, P::NotAnALabel)
    );
    assert_eq!(
        problem(|settings| settings.dns = listed(&["f*.example"])),
        (F::Dns, P::OddWildcard)
    );
    assert_eq!(
        problem(|settings| settings.dns = listed(&["*"])),
        (F::Dns, P::OddWildcard)
    );
    assert_eq!(
        problem(|settings| settings.ip = listed(&["10.0.0.0/8"])),
        (F::Ip, P::NotAnAddress)
    );
    assert_eq!(
        problem(|settings| settings.uri = listed(&["nothing"])),
        (F::Uri, P::NotAUri)
    );
    assert_eq!(
        problem(|settings| settings.directory = listed(&["core1"])),
        (F::Directory, P::NotADistinguishedName)
    );
    assert_eq!(
        problem(|settings| settings.issuer = Some("CN=a".into())),
        (F::Issuer, P::IssuerAlone)
    );
    assert_eq!(
        problem(|settings| settings.serial = Some("1".into())),
        (F::Serial, P::SerialAlone)
    );
    assert_eq!(
        problem(|settings| settings.serial = Some("xyz".into())),
        (F::Serial, P::NotHexadecimal)
    );
    assert_eq!(
        problem(|settings| settings.policy_oid = listed(&["1.02"])),
        (F::PolicyOid, P::NotAnOid)
    );
    assert_eq!(
        problem(|settings| settings.fingerprint = listed(&["00"])),
        (F::Fingerprint, P::NotASha256)
    );
}

#[test]
fn conditions_that_differ_tell_two_devices_apart() {
    let named = |serial: Option<&str>| {
        matching(|settings| {
            settings.dns = listed(&["core1.example"]);
            settings.serial = serial.map(str::to_owned);
        })
    };
    assert!(!named(None).told_apart(&named(None)));
    assert!(!named(Some("1")).told_apart(&named(None)));
    assert!(!named(Some("1")).told_apart(&named(Some("1"))));
    assert!(named(Some("1")).told_apart(&named(Some("2"))));
}

#[test]
fn one_unusable_name_spoils_the_others() {
    let good = element(0x82, b"core1.example.net");
    assert!(with_raw_names(std::slice::from_ref(&good)).is_ok());
    let bad = [
        element(0x82, b"core1\0.example.net"),
        element(0x82, b"core1..example.net"),
        element(0x82, b""),
        element(0x82, b"b\xfccher.example"),
        element(0x86, b"urn:a\0b"),
        element(0x81, b"a\0@example.net"),
        element(0x87, &[10, 0, 0]),
        srv_name(b"no-underscore.example.net"),
    ];
    for bad in bad {
        assert_eq!(
            with_raw_names(&[good.clone(), bad.clone()]),
            Err(PathError::UnusableName),
            "{bad:02x?}"
        );
    }
}

/// proves: TLS-3.4.2-2, TLS-3.4.2-3, TLS-3.4.2-4
#[test]
fn a_server_is_known_by_dns_ip_or_srv_name_alone() {
    let server = with_raw_names(&[
        element(0x82, b"aaa1.example.net"),
        element(0x82, b"*.t.example"),
        element(0x82, b"f*.u.example"),
        element(0x82, b"*.*.v.example"),
        element(0x87, &[192, 0, 2, 1]),
        srv_name(b"_tacacss.example.net"),
        element(0x86, b"https://uri.example.net/"),
    ])
    .unwrap();
    let table = [
        ("aaa1.example.net", true),
        ("AAA1.Example.Net", true),
        ("aaa2.example.net", false),
        ("a.t.example", true),
        ("a.b.t.example", false),
        ("t.example", false),
        ("foo.u.example", false),
        ("a.b.v.example", false),
        ("192.0.2.1", true),
        ("192.0.2.2", false),
        ("_tacacss.example.net", true),
        ("_radsec.example.net", false),
        ("example.net", false),
        ("uri.example.net", false),
    ];
    for (reference, result) in table {
        assert_eq!(
            ReferenceIdentity::parse(reference)
                .unwrap()
                .matches(&server),
            result,
            "{reference}"
        );
    }
    let wild = with_names(vec![dns("*.2.0.192")]);
    assert!(
        !ReferenceIdentity::parse("1.2.0.192")
            .unwrap()
            .matches(&wild),
        "an address is no DNS name"
    );
    for bad in ["", "*.example", "a..b", "_tacacss", "b\u{fc}cher.example"] {
        assert_eq!(
            ReferenceIdentity::parse(bad),
            Err(ReferenceError),
            "{bad:?}"
        );
    }
    assert_eq!(
        ReferenceIdentity::parse("_tacacss.example.net")
            .unwrap()
            .host_name(),
        Some("example.net")
    );
}
