use std::format;

use proptest::prelude::*;

use super::*;

fn attribute(kind: Kind) -> Attribute {
    Attribute {
        name: "Test".into(),
        vendor: None,
        path: Vec::from([1]),
        kind,
        size: None,
        tagged: false,
        hidden: Hiding::None,
        values: Values::default(),
    }
}

#[test]
fn names_and_numbers_of_the_registry_are_known() {
    let dictionary = Dictionary::standard();
    for (name, vendor, path) in [
        ("User-Name", None, &[1][..]),
        ("Message-Authenticator", None, &[80]),
        ("Management-Privilege-Level", None, &[136]),
        ("Original-Packet-Code", None, &[241, 4]),
        ("Operator-NAS-Identifier", None, &[241, 8]),
        ("Cisco-AVPair", Some(9), &[1]),
        ("Juniper-Local-User-Name", Some(2636), &[1]),
        ("MS-MPPE-Send-Key", Some(311), &[16]),
        ("Huawei-Exec-Privilege", Some(2011), &[29]),
        ("Timetra-Access", Some(6527), &[1]),
        ("APC-Service-Type", Some(318), &[1]),
    ] {
        let found = dictionary.by_name(name).unwrap();
        assert_eq!((found.vendor, &*found.path), (vendor, path), "{name}");
        assert_eq!(dictionary.by_number(vendor, path), Some(found));
    }
    assert_eq!(dictionary.by_number(None, &[17]), None);
    assert_eq!(dictionary.by_number(Some(1), &[1]), None);
    assert_eq!(dictionary.vendor_by_name("cisco").unwrap().number, 9);
    assert_eq!(dictionary.format(8164).type_octets, 2);
    assert_eq!(dictionary.suggest("user-nmae"), Some("User-Name"));
    assert_eq!(dictionary.suggest("Colour-Of-The-Wall"), None);
}

#[test]
fn every_kind_is_shown_as_it_is_written() {
    for (kind, text, octets) in [
        (Kind::Integer, "258", &[0, 0, 1, 2][..]),
        (Kind::Integer64, "258", &[0, 0, 0, 0, 0, 0, 1, 2]),
        (Kind::Byte, "255", &[255]),
        (Kind::Short, "258", &[1, 2]),
        (Kind::Signed, "-2", &[255, 255, 255, 254]),
        (Kind::Time, "1970-01-01T00:01:00Z", &[0, 0, 0, 60]),
        (Kind::Text, "0xzü\\d", b"0xz\xc3\xbc\\d"),
        (Kind::String, "plain", b"plain"),
        (Kind::String, "0x00ff", &[0, 255]),
        (Kind::String, "0x3078", b"0x"),
        (Kind::Concat, "0x0201", &[2, 1]),
        (Kind::Concat, "", &[]),
        (Kind::Tlv, "0x0103ff", &[1, 3, 255]),
        (Kind::Vsa, "0x00", &[0]),
        (Kind::Extended, "0x01", &[1]),
        (Kind::LongExtended, "0x0100", &[1, 0]),
        (Kind::Evs, "0x00", &[0]),
        (
            Kind::IfId,
            "0:53ff:fe00:1",
            &[0, 0, 0x53, 255, 254, 0, 0, 1],
        ),
        (
            Kind::Ether,
            "00:53:00:aa:bb:cc",
            &[0, 0x53, 0, 0xaa, 0xbb, 0xcc],
        ),
        (Kind::Ipv4Addr, "192.0.2.1", &[192, 0, 2, 1]),
        (
            Kind::Ipv6Addr,
            "::1",
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
        (Kind::Ipv4Prefix, "192.0.2.0/24", &[0, 24, 192, 0, 2, 0]),
        (Kind::Ipv6Prefix, "2001:db8::/32", &[0, 32, 32, 1, 13, 184]),
    ] {
        let attribute = attribute(kind);
        assert_eq!(attribute.encode(text).unwrap(), octets, "{kind:?}");
        assert_eq!(attribute.show(octets), text, "{kind:?}");
    }
    assert_eq!(
        attribute(Kind::Integer).encode("0x1F").unwrap(),
        [0, 0, 0, 31]
    );
    assert_eq!(attribute(Kind::Time).encode("60").unwrap(), [0, 0, 0, 60]);
    assert_eq!(attribute(Kind::Integer).show(&[1, 2]), "0x0102");
    assert_eq!(attribute(Kind::Text).show(b"a\n\x1b[1m"), "a\\n\\u{1b}[1m");
    assert_eq!(attribute(Kind::Text).show(&[255]), "0xff");
}

#[test]
fn values_that_do_not_fit_are_told_in_one_sentence() {
    let dictionary = Dictionary::standard();
    for (name, value, message) in [
        (
            "Service-Type",
            "Administrative-Usr",
            "`Administrative-Usr` is no value of Service-Type, which takes a number or one of its names, such as \
             Administrative-User",
        ),
        (
            "Prompt",
            "Maybe",
            "`Maybe` is no value of Prompt, which takes a number or one of: No-Echo, Echo",
        ),
        (
            "NAS-Port",
            "4294967296",
            "`4294967296` is no value of NAS-Port, which takes a number from 0 to 4294967295",
        ),
        (
            "Framed-IPv6-Prefix",
            "2001:db8::1/64",
            "`2001:db8::1/64` is no value of Framed-IPv6-Prefix, which takes a network without bits beyond its \
             length, such as 2001:db8::/32",
        ),
        (
            "Message-Authenticator",
            "0x00",
            "Message-Authenticator has 1 octets, where exactly 16 are allowed",
        ),
        (
            "Class",
            "",
            "Class is empty, where at least one octet is needed (leave it out instead)",
        ),
        (
            "MS-MPPE-Send-Key",
            "0xsecret",
            "the hidden text is no value of MS-MPPE-Send-Key, which takes an even number of hexadecimal digits \
             after 0x",
        ),
        (
            "User-Nmae",
            "x",
            "`User-Nmae` is no attribute of the dictionary, which is where names have to come from (did you mean \
             User-Name?)",
        ),
        (
            "User-Name:1",
            "x",
            "User-Name has the tag `1`, where no tag is allowed",
        ),
        (
            "Tunnel-Type:32",
            "VLAN",
            "Tunnel-Type has the tag `32`, where a number from 1 to 31 is allowed",
        ),
    ] {
        let error = dictionary.parse_pair(name, value).unwrap_err();
        assert_eq!(format!("{error}"), message);
    }
    let long = |name, length: usize| dictionary.parse_pair(name, &"x".repeat(length)).is_ok();
    for (name, most) in [
        ("Class", 253),
        ("User-Password", 128),
        ("Tunnel-Client-Endpoint", 252),
        ("Cisco-AVPair", 247),
        ("Operator-NAS-Identifier", 252),
        ("Tunnel-Password", 239),
        ("EAP-Message", 4076),
    ] {
        assert!(long(name, most), "{name}");
        assert!(!long(name, most + 1), "{name}");
    }
}

#[test]
fn tags_stand_before_the_value() {
    let dictionary = Dictionary::standard();
    for (name, value, octets) in [
        ("Tunnel-Type:1", "VLAN", &[1, 0, 0, 13][..]),
        ("Tunnel-Type", "VLAN", &[0, 0, 0, 13]),
        ("Tunnel-Private-Group-Id:31", "7", &[31, b'7']),
        ("Tunnel-Private-Group-Id", "7", b"7"),
        ("Tunnel-Private-Group-Id", "\u{1}7", &[0, 1, b'7']),
        ("Tunnel-Password", "7", &[0, b'7']),
        ("Session-Timeout", "7", &[0, 0, 0, 7]),
    ] {
        let pair = dictionary.parse_pair(name, value).unwrap();
        assert_eq!(pair.tagged_octets(), octets, "{name}");
        let back = pair.attribute.split_tag(octets);
        assert_eq!(back, (pair.tag, pair.octets), "{name}");
    }
    assert!(
        dictionary
            .parse_pair("Tunnel-Preference", "16777216")
            .is_err()
    );
}

/// Vendors that begin their attributes in another way, from their dictionaries.
#[test]
fn vendors_attributes_are_read_in_the_format_of_the_vendor() {
    let mut dictionary = Dictionary::standard();
    let text = "VENDOR Wide 500 format=2,2\nBEGIN-VENDOR Wide\nATTRIBUTE Wide-Colour 1 string\nEND-VENDOR Wide\n\
                VENDOR Rest 501 format=4,0\nBEGIN-VENDOR Rest\nATTRIBUTE Rest-Count 65537 integer\nEND-VENDOR Rest";
    assert!(dictionary.load("f", text, &mut |_| unreachable!()).is_ok());
    let describe = |octets: &[u8]| {
        let attribute = crate::attribute::Attribute {
            kind: 26,
            value: octets,
        };
        let shown = dictionary.describe(&attribute).into_iter();
        let shown = shown.map(|one| format!("{}={}", one.name, one.value.unwrap_or_default()));
        shown.collect::<Vec<_>>().join(" ")
    };
    for (octets, text) in [
        (
            &b"\0\0\x01\xf4\0\x01\0\x07red\0\x02\0\x05a"[..],
            "Wide-Colour=red Attr-26.500.2=a",
        ),
        (b"\0\0\x01\xf5\0\x01\0\x01\0\0\0\x07", "Rest-Count=7"),
        (
            b"\0\0\x01\xf4\0\x01\0\x03",
            "Vendor-Specific=0x000001f400010003",
        ),
        (
            b"\0\0\x01\xf4\0\x01\0\x09ab",
            "Vendor-Specific=0x000001f4000100096162",
        ),
        (b"\0\0\x01\xf4", "Vendor-Specific=0x000001f4"),
        (b"\0\0\0\x09\x01\x04hi", "Cisco-AVPair=hi"),
    ] {
        assert_eq!(describe(octets), text);
    }
}

#[test]
fn hidden_values_are_not_in_debug() {
    let dictionary = Dictionary::standard();
    let shown = |name| format!("{:?}", dictionary.parse_pair(name, "hunter2").unwrap());
    assert!(!shown("User-Password").contains("hunter2"));
    assert!(shown("User-Name").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_pair_panics_and_what_is_shown_reads_back(at: prop::sample::Index, text in "\\PC*|[0-9a-fx:./-]{0,40}") {
        let dictionary = Dictionary::standard();
        let all: Vec<&Attribute> = dictionary.attributes().collect();
        let attribute = at.get(&all);
        if let Ok(octets) = attribute.encode(&text) {
            let shown = attribute.show(&octets);
            let plain = attribute.kind != Kind::Text || shown == text;
            prop_assert!(!plain || attribute.encode(&shown) == Ok(octets), "{}", shown);
        }
        let _ = dictionary.parse_pair(&text, &text);
    }

    #[test]
    fn no_octets_panic(at: prop::sample::Index, octets: Vec<u8>) {
        let dictionary = Dictionary::standard();
        let all: Vec<&Attribute> = dictionary.attributes().collect();
        let attribute = at.get(&all);
        let shown = attribute.show(&octets);
        prop_assert!(!shown.chars().any(char::is_control));
        let (tag, value) = attribute.split_tag(&octets);
        let _ = attribute.join_tag(tag, &value);
    }
}
