//! Records on the wire and as text.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use doorward_hastls::record::MAX_PAIRS;
use doorward_hastls::text::{MAX_NAME, MAX_TTL};
use doorward_hastls::{PortPair, Record, RecordError, RecordType, Server, TextError, ZoneLine};

/// The example of section 3: SMTP both ways, HTTP with TLS only.
const EXAMPLE: [u8; 8] = [0x00, 0x19, 0x00, 0x19, 0x00, 0x00, 0x01, 0xbb];

fn pair(insecure: u16, secure: u16) -> PortPair {
    PortPair::new(insecure, secure).unwrap()
}

/// What a record of one pair says after it has crossed the wire.
fn crossed(insecure: u16, secure: u16) -> PortPair {
    let octets = Record::new([(insecure, secure)]).unwrap().encode().unwrap();
    let read = Record::decode([octets]).unwrap();
    let [only] = read.pairs() else {
        panic!("{read} is one pair");
    };
    *only
}

fn parse(line: &str) -> Result<ZoneLine, TextError> {
    ZoneLine::parse(line, RecordType::DEFAULT)
}

/// proves: HAS-3-2
#[test]
fn a_pair_is_four_octets_in_network_order() {
    let record = Record::new([(25, 25), (0, 443)]).unwrap();
    assert_eq!(record.encode().unwrap(), EXAMPLE);
    assert_eq!(Record::decode([EXAMPLE]).unwrap(), record);
    assert_eq!(record.pairs(), [pair(25, 25), pair(0, 443)]);
}

/// proves: HAS-2-4, HAS-2-5, HAS-3-5
#[test]
fn a_port_of_zero_says_that_a_form_is_not_offered() {
    let plain = crossed(49, 0);
    assert_eq!(plain.server(), Server::InsecureOnly);
    assert_eq!(
        (plain.insecure().unwrap().get(), plain.secure()),
        (49, None)
    );
    let tls = crossed(0, 443);
    assert_eq!(tls.server(), Server::SecureOnly);
    assert_eq!((tls.insecure(), tls.secure().unwrap().get()), (None, 443));
    let names = [plain, tls].map(|pair| (pair.server().abbreviation(), pair.server().to_string()));
    let expected = [("SIO", "insecure only"), ("SSO", "secure only")];
    assert_eq!(
        names,
        expected.map(|(short, long)| (short, long.to_owned()))
    );
}

/// proves: HAS-2-6
#[test]
fn two_ports_are_both_forms_and_equal_ones_an_upgrade_in_band() {
    let (apart, in_band) = (crossed(49, 300), crossed(25, 25));
    assert_eq!([apart.server(), in_band.server()], [Server::Both; 2]);
    assert_eq!([apart.is_upgrade(), in_band.is_upgrade()], [false, true]);
    assert_eq!(apart.server().abbreviation(), "SSB");
    assert!(!crossed(0, 25).is_upgrade() && !crossed(25, 0).is_upgrade());
}

#[test]
fn octets_that_are_no_whole_pairs_are_refused_whatever_they_are() {
    for length in 1..=7_usize {
        for octet in [0, 1, 0xff] {
            let read = Record::decode([vec![octet; length]]);
            if length == 4 {
                assert_eq!(read.is_ok(), octet != 0);
            } else {
                assert_eq!(read, Err(RecordError::Length(length)));
            }
        }
    }
    let beside_a_good_one = Record::decode([&EXAMPLE[..], &EXAMPLE[..5]]);
    assert_eq!(beside_a_good_one, Err(RecordError::Length(5)));
    let without_octets = Record::decode([&EXAMPLE[..], &[]]);
    assert_eq!(without_octets, Err(RecordError::Empty));
}

/// proves: HAS-3-11
#[test]
fn several_records_are_one_set_of_pairs() {
    let one = Record::decode([[0, 49, 1, 44, 7, 20, 8, 35]]).unwrap();
    let two = Record::decode([[0, 49, 1, 44], [7, 20, 8, 35]]).unwrap();
    assert_eq!(one, two);
    let again = Record::decode([[0, 49, 1, 44], [7, 20, 8, 35], [0, 49, 1, 44]]).unwrap();
    assert_eq!(one, again);
}

#[test]
fn nothing_undefined_is_published() {
    assert_eq!(Record::new([]), Err(RecordError::Empty));
    assert_eq!(
        Record::new([(49, 300), (0, 0)]),
        Err(RecordError::Undefined)
    );
    let many = (1..).take(MAX_PAIRS + 1).map(|port| (port, 0));
    assert_eq!(Record::new(many), Err(RecordError::TooMany(MAX_PAIRS + 1)));
    let longest = Record::new((1..).take(MAX_PAIRS).map(|port| (port, 0))).unwrap();
    assert_eq!(longest.encode().unwrap().len(), 65532);
    for [one, other] in [
        [(49, 300), (49, 0)],
        [(49, 300), (0, 300)],
        [(49, 300), (300, 0)],
        [(49, 300), (0, 49)],
        [(49, 0), (0, 49)],
        [(25, 25), (0, 25)],
    ] {
        let pairs = (pair(one.0, one.1), pair(other.0, other.1));
        let error = RecordError::Contradiction(pairs.0, pairs.1);
        assert_eq!(Record::new([one, other]), Err(error));
        let read = Record::decode([pairs.0.encode(), pairs.1.encode()]).unwrap();
        assert_eq!(read.contradiction(), Some(pairs));
        assert_eq!(read.encode(), Err(error));
        assert!(read.to_generic().is_err() && ZoneLine::new("a", None, read).is_err());
    }
    for fine in [
        [(1812, 2083), (1813, 2083)],
        [(25, 25), (25, 465)],
        [(49, 0), (0, 300)],
    ] {
        assert_eq!(Record::new(fine).unwrap().contradiction(), None);
    }
}

/// proves: HAS-3-3
#[test]
fn the_draft_form_is_read_and_written() {
    let line = parse("www.example.com IN HASTLS (25 25 0 443)").unwrap();
    assert_eq!(line.record().encode().unwrap(), EXAMPLE);
    assert_eq!(line.to_string(), "www.example.com IN HASTLS (25 25 0 443)");
    for same in [
        "www.example.com IN HASTLS 25 25 0 443",
        "www.example.com\tIN  hastls ( 25 25 0 443 ) ; mail and web\n",
        "\n; the host\nwww.example.com in HASTLS (\n  25 25 ; SMTP\n  0 443 ; HTTP\n)\n\n",
        "www.example.com HASTLS (25 25)(0\r\n443)",
        "www.example.com CLASS1 HASTLS \\# 8 00190019000001BB",
    ] {
        assert_eq!(parse(same).as_ref(), Ok(&line), "{same}");
    }
    for rdata in ["(49 300 0 2083)", "49 300 0 2083", " ( 49 300\n0\n2083 )"] {
        let record: Record = rdata.parse().unwrap();
        assert_eq!(record.to_string(), "(49 300 0 2083)");
    }
}

/// proves: HAS-5-1
#[test]
fn the_generic_form_is_read_and_written() {
    let line = parse("www.example.com. 3600 IN HASTLS (25 25 0 443)").unwrap();
    assert_eq!(
        line.record().to_generic().unwrap(),
        r"\# 8 00190019000001bb"
    );
    let generic = line.to_generic(RecordType::DEFAULT).unwrap();
    assert_eq!(
        generic,
        r"www.example.com. 3600 IN TYPE65400 \# 8 00190019000001bb"
    );
    assert_eq!(parse(&generic).as_ref(), Ok(&line));
    let spread = "www.example.com. IN 3600 type65400 \\# 8 (\n00190019 ; SMTP\n0000 01BB )";
    assert_eq!(parse(spread).as_ref(), Ok(&line));
    let other = RecordType::new(65280).unwrap();
    let renamed = line.to_generic(other).unwrap();
    assert!(renamed.contains(" TYPE65280 "));
    assert_eq!(ZoneLine::parse(&renamed, other).as_ref(), Ok(&line));
    assert_eq!(parse(&renamed), Err(TextError::Type));
}

/// proves: HAS-5-2
#[test]
fn records_of_other_classes_are_refused() {
    for class in [
        "CH", "HS", "ch", "ANY", "NONE", "CLASS3", "class0", "CLASS254",
    ] {
        for rdata in ["HASTLS (49 300)", r"TYPE65400 \# 4 0031012c"] {
            let line = format!("a.example. {class} {rdata}");
            assert_eq!(parse(&line), Err(TextError::Class), "{line}");
            let line = format!("a.example. 60 {class} {rdata}");
            assert_eq!(parse(&line), Err(TextError::Class), "{line}");
        }
    }
    for number in [0, 1, 41, 128, 252, 255, 65535] {
        assert_eq!(RecordType::new(number), None, "{number} is no type of data");
    }
    for number in [256, 65279, 65280, 65534] {
        let rrtype = RecordType::new(number).unwrap();
        assert_eq!(
            (rrtype.number(), rrtype.is_private()),
            (number, number >= 65280)
        );
    }
}

#[test]
fn a_line_with_a_mistake_says_which() {
    let long = format!("{}.{}", ["a"; 63].concat(), ["a."; 100].concat());
    for (line, error) in [
        ("", TextError::Short),
        ("a", TextError::Short),
        ("a IN", TextError::Short),
        ("a IN HASTLS", TextError::Record(RecordError::Empty)),
        ("a IN HASTLS ()", TextError::Record(RecordError::Empty)),
        (
            r"a IN TYPE65400 \# 0",
            TextError::Record(RecordError::Empty),
        ),
        (
            r"a IN TYPE65400 \# 4 00000000",
            TextError::Record(RecordError::Undefined),
        ),
        (
            r"a IN TYPE65400 \# 3 000000",
            TextError::Record(RecordError::Length(3)),
        ),
        (
            "a IN HASTLS (0 0)",
            TextError::Record(RecordError::Undefined),
        ),
        ("a IN HASTLS (49 300 0)", TextError::Odd),
        ("a IN HASTLS (49 65536)", TextError::Port),
        ("a IN HASTLS (49 -1)", TextError::Port),
        ("a IN HASTLS (49 +300)", TextError::Port),
        ("a IN HASTLS (0x31 0x12c)", TextError::Port),
        ("a IN HASTLS (49 300", TextError::Parentheses),
        ("a IN HASTLS 49 300)", TextError::Parentheses),
        ("a IN HASTLS ((49 300))", TextError::Parentheses),
        ("a IN HASTLS 49\n300", TextError::Rest),
        ("a IN HASTLS 49 300\nb IN HASTLS 49 300", TextError::Rest),
        (r"a IN HASTLS \# 4 0031012", TextError::Hexadecimal),
        (r"a IN HASTLS \# 4 0031012g", TextError::Hexadecimal),
        (r"a IN HASTLS \# 4 003101é", TextError::Hexadecimal),
        (r"a IN HASTLS \# 5 0031012c", TextError::Length),
        (r"a IN HASTLS \# 65540 0031012c", TextError::Length),
        (r"a IN HASTLS \#", TextError::Length),
        ("a IN TYPE65400 (49 300)", TextError::NotGeneric),
        (r"a IN TYPE65401 \# 4 0031012c", TextError::Type),
        ("a IN A 192.0.2.1", TextError::Type),
        ("a 60 60 IN HASTLS 49 300", TextError::Type),
        ("a IN IN HASTLS 49 300", TextError::Type),
        ("a 2147483648 IN HASTLS 49 300", TextError::Ttl),
        ("a 99999999999 IN HASTLS 49 300", TextError::Ttl),
        (" IN HASTLS 49 300", TextError::Owner),
        ("\n\tIN HASTLS 49 300", TextError::Owner),
        ("$TTL IN HASTLS 49 300", TextError::Owner),
        ("a..b IN HASTLS 49 300", TextError::Owner),
        (r"a\ b IN HASTLS 49 300", TextError::Type),
        ("ä IN HASTLS 49 300", TextError::Owner),
        (&format!("{long} IN HASTLS 49 300"), TextError::Owner),
    ] {
        let read = parse(line);
        assert_eq!(read, Err(error), "{line:?}");
        assert!(!error.to_string().is_empty());
    }
    assert!(long.len() > MAX_NAME);
}

#[test]
fn nothing_but_one_record_gets_into_a_zone_file() {
    let record = Record::new([(0, 300)]).unwrap();
    for owner in [
        "", ".", "a b", "a\nb", "a;b", "a(", "\"a\"", "a\\", "$INCLUDE", "a\0", "a@",
    ] {
        let made = ZoneLine::new(owner, None, record.clone());
        assert_eq!(made, Err(TextError::Owner), "{owner:?}");
    }
    let beyond = ZoneLine::new("a", Some(MAX_TTL + 1), record.clone());
    assert_eq!(beyond, Err(TextError::Ttl));
    for owner in [
        "@",
        "aaa1",
        "aaa1.example.net.",
        "*.example.net.",
        "_x.example",
    ] {
        let line = ZoneLine::new(owner, Some(MAX_TTL), record.clone()).unwrap();
        assert_eq!((line.owner(), line.ttl()), (owner, Some(MAX_TTL)));
        assert_eq!(parse(&line.to_string()).as_ref(), Ok(&line));
    }
}

#[test]
fn what_is_written_can_be_read_again() {
    let mut state = 0x9e37_79b9_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        // Few numbers, so that pairs meet; now and then any.
        let any = u16::try_from(state >> 16).unwrap();
        if state & 7 == 0 { any } else { any % 6 }
    };
    let (mut made, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let count = usize::from(random() % 6);
        let pairs: Vec<_> = (0..count).map(|_| (random(), random())).collect();
        let octets: Vec<u8> = pairs
            .iter()
            .flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()].concat())
            .collect();
        match Record::new(pairs.iter().copied()) {
            Ok(record) => {
                made += 1;
                assert_eq!(Record::decode([&octets]).as_ref(), Ok(&record));
                let written = record.encode().unwrap();
                assert_eq!(Record::decode([written]).as_ref(), Ok(&record));
                let texts = [record.to_string(), record.to_generic().unwrap()];
                assert!(
                    texts
                        .iter()
                        .all(|text| text.parse().as_ref() == Ok(&record))
                );
            }
            Err(error) => {
                refused += 1;
                let read = Record::decode([&octets]);
                assert!(read.is_err() || read.is_ok_and(|read| read.check() == Err(error)));
            }
        }
    }
    assert!(
        made > 1000 && refused > 1000,
        "{made} made, {refused} refused"
    );
}
