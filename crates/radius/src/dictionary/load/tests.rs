use std::string::ToString;
use std::vec;

use proptest::prelude::*;

use super::super::{Hiding, Kind, VendorFormat};
use super::*;

fn none(name: &str) -> Result<String, String> {
    Err(format!("no {name}"))
}

fn load(text: &str) -> Result<(Dictionary, Option<Passed>), String> {
    let mut dictionary = Dictionary::default();
    let passed = dictionary.load("d/file", text, &mut none);
    passed
        .map(|passed| (dictionary, passed))
        .map_err(|fault| fault.to_string())
}

#[test]
fn every_line_of_the_format_is_understood() {
    let text = "
        # a remark
        VENDOR Wide 500 format=2,1   # and another
        VENDOR Flags 501 format=1,1,c
        VALUE Early Yes 1
        ATTRIBUTE Early 6 integer has_tag
        ATTRIBUTE Secret 2 string encrypt=1
        ATTRIBUTE Pieces 79 octets concat,array
        ATTRIBUTE Sixteen 0x50 octets[16]
        ATTRIBUTE Ext 241 extended
        ATTRIBUTE Inside 241.4 uint32
        ATTRIBUTE Old 7 string Wide
        FLAGS internal
        BEGIN-VENDOR Wide
        ATTRIBUTE Far 40000 tlv
        BEGIN-TLV Far
        ATTRIBUTE Near 3 abinary
        END-TLV Far
        ATTRIBUTE Dotted 40000.4 short
        END-VENDOR Wide
        $INCLUDE- nowhere
    ";
    let (dictionary, passed) = load(text).unwrap();
    assert_eq!(passed, None);
    let early = dictionary.by_name("early").unwrap();
    assert!(early.tagged);
    assert_eq!(early.values.number("YES"), Some(1));
    let kind = |vendor, path: &[u32]| dictionary.by_number(vendor, path).unwrap().kind;
    assert_eq!(kind(None, &[241, 4]), Kind::Integer);
    assert_eq!(kind(None, &[79]), Kind::Concat);
    assert_eq!(kind(Some(500), &[7]), Kind::Text);
    assert_eq!(kind(Some(500), &[40000, 3]), Kind::String);
    assert_eq!(kind(Some(500), &[40000, 4]), Kind::Short);
    assert_eq!(dictionary.by_name("Sixteen").unwrap().size, Some(16));
    assert_eq!(
        dictionary.by_name("Secret").unwrap().hidden,
        Hiding::UserPassword
    );
    let format = |type_octets, length_octets, continuation| VendorFormat {
        type_octets,
        length_octets,
        continuation,
    };
    assert_eq!(dictionary.format(500), format(2, 1, false));
    assert_eq!(dictionary.format(501), format(1, 1, true));
    assert_eq!(dictionary.format(502), VendorFormat::default());
}

#[test]
fn what_cannot_be_names_its_file_its_line_and_its_word() {
    for (text, message) in [
        ("ATTRIBUT a 1 string", "`ATTRIBUT`"),
        ("ATTRIBUTE a 1", "needs a name, a number and a type"),
        ("ATTRIBUTE a:1 1 string", "`a:1`"),
        ("ATTRIBUTE a one string", "`one`"),
        ("ATTRIBUTE a .1 string", "`.1`"),
        ("ATTRIBUTE a 0 string", "1 to 255"),
        ("ATTRIBUTE a 1.2 string", "tlv or extended"),
        (
            "ATTRIBUTE a 26 vsa\nATTRIBUTE b 26.9 string",
            "BEGIN-VENDOR",
        ),
        ("ATTRIBUTE a 1 string blue", "`blue`"),
        ("ATTRIBUTE a 1 ipaddr has_tag", "cannot have a tag"),
        ("ATTRIBUTE a 1 string concat", "`concat`"),
        (
            "ATTRIBUTE a 1 string\nATTRIBUTE A 2 string",
            "A is Attr-1 already, and cannot be Attr-2 too",
        ),
        ("VALUE a b 1", "needs the attribute `a`"),
        ("ATTRIBUTE a 1 byte\nVALUE a b 256", "0 to 255"),
        ("ATTRIBUTE a 1 byte\nVALUE a b +6", "`+6`"),
        ("VENDOR a 0", "`0`"),
        ("VENDOR a 5 format=3,1", "`format=3,1`"),
        ("VENDOR a 5 format=2,1,c", "`format=2,1,c`"),
        ("BEGIN-VENDOR a", "`a`"),
        ("VENDOR a 5\nBEGIN-VENDOR a format=1,1", "`format=1,1`"),
        ("VENDOR a 5\nVENDOR A 6", "A is the vendor 5 already"),
        (
            "VENDOR a 5\nVENDOR b 5 format=2,1",
            "has format=1,1 already",
        ),
        (
            "ATTRIBUTE a 1 integer\nVALUE a x 1\nVALUE a X 2",
            "`X` is the value 1 of a already",
        ),
        ("VENDOR a 5\nBEGIN-VENDOR a", "END-VENDOR a"),
        (
            "VENDOR a 5\nBEGIN-VENDOR a\nBEGIN-VENDOR a",
            "another block",
        ),
        (
            "VENDOR a 5\nBEGIN-VENDOR a\nATTRIBUTE b 256 string",
            "0 to 255",
        ),
        ("END-VENDOR a", "`a`"),
        ("ATTRIBUTE a 1 string\nBEGIN-TLV a", "`a`"),
        ("END-TLV a", "`a`"),
        ("$INCLUDE other", "no d/other"),
        ("$INCLUDE", "0 words"),
    ] {
        let fault = load(text).unwrap_err();
        let place = format!("d/file:{}: ", text.lines().count());
        assert!(fault.starts_with(&place), "{fault}");
        assert!(fault.contains(message), "{fault}");
    }
}

#[test]
fn a_file_with_an_error_adds_nothing() {
    let mut dictionary = Dictionary::default();
    let text = "ATTRIBUTE a 1 string\nnonsense";
    assert!(dictionary.load("f", text, &mut none).is_err());
    assert!(dictionary.by_name("a").is_none());
}

#[test]
fn what_no_packet_carries_or_nobody_knows_is_passed_over_and_told() {
    let text = "ATTRIBUTE Auth-Type 1000 integer\nVALUE Auth-Type PAP 1\nATTRIBUTE a 1 union\nVALUE a b 1\nMEMBER x y";
    let (dictionary, passed) = load(text).unwrap();
    assert!(dictionary.by_name("Auth-Type").is_none());
    assert_eq!(dictionary.by_name("a").unwrap().kind, Kind::String);
    let passed = passed.unwrap();
    assert_eq!((passed.first.line, passed.others), (1, 3));
}

#[test]
fn what_is_known_may_be_said_again_and_a_number_gets_more_names() {
    let text = "ATTRIBUTE a 1 integer\nVALUE a x 1\nATTRIBUTE A 1 uint32\nVALUE a X 1\nVALUE a y 1";
    let (dictionary, _) = load(text).unwrap();
    let a = dictionary.by_number(None, &[1]).unwrap();
    assert_eq!((a.name.as_str(), a.kind), ("A", Kind::Integer));
    assert_eq!(a.values.iter().collect::<Vec<_>>(), [(1, "y")]);
    assert_eq!(
        (a.values.number("x"), dictionary.attributes().count()),
        (Some(1), 1)
    );
    let text = "ATTRIBUTE a 1 tlv\nATTRIBUTE b 1 tlv\nATTRIBUTE a 1 tlv\nATTRIBUTE c 1.1 string";
    let (dictionary, _) = load(text).unwrap();
    assert_eq!(dictionary.by_number(None, &[1]).unwrap().name, "a");
    assert_eq!(dictionary.by_name("b").unwrap().kind, Kind::Tlv);
    let text =
        "ATTRIBUTE a 1 string\nATTRIBUTE a 1 octets\nVENDOR v 5 format=2,1\nVENDOR w 5 format=2,1";
    let (dictionary, _) = load(text).unwrap();
    assert_eq!(dictionary.by_name("a").unwrap().kind, Kind::String);
    assert_eq!(
        dictionary.vendor_by_name("v"),
        dictionary.vendor_by_name("w")
    );
}

/// A file can build on one that was read before it.
#[test]
fn names_without_packets_are_known_to_later_files() {
    let mut dictionary = Dictionary::default();
    let internal = "ATTRIBUTE Auth-Type 1000 integer";
    assert!(dictionary.load("a", internal, &mut none).is_ok());
    let values = "VALUE Auth-Type Unix 1";
    assert_eq!(dictionary.load("b", values, &mut none), Ok(None));
}

#[test]
fn blocks_inside_extended_attributes_are_passed_over() {
    let text = "VENDOR v 5\nBEGIN-VENDOR v format=Extended-Vendor-Specific-5\nATTRIBUTE a 1 integer\n\
                VALUE a x 1\nEND-VENDOR v\nBEGIN-VENDOR v\nATTRIBUTE b 1 string\nEND-VENDOR v";
    let (dictionary, passed) = load(text).unwrap();
    let passed = passed.unwrap();
    assert_eq!((passed.first.line, passed.others), (2, 0));
    assert!(dictionary.by_name("a").is_none());
    assert_eq!(dictionary.by_name("b").unwrap().vendor, Some(5));
}

#[test]
fn faults_point_at_their_word() {
    for (line, word) in [
        ("\tATTRIBUTE a 1 string has_tag,blue # x", "blue"),
        ("ATTRIBUTE a b string", "b"),
        ("  ATTRIBUTE a 1  # x", "ATTRIBUTE a 1"),
        ("BEGIN-VENDOR \u{fc}", "\u{fc}"),
        ("$INCLUDE other", "other"),
        ("ATTRIBUTE a 999.1 string", "999.1"),
    ] {
        let fault = Dictionary::default()
            .load("f", line, &mut none)
            .unwrap_err();
        assert_eq!(&line[fault.octets.clone()], word, "{fault}");
    }
}

#[test]
fn files_that_include_themselves_end() {
    let mut dictionary = Dictionary::default();
    let mut deep = |_: &str| Ok("$INCLUDE x".to_string());
    let fault = dictionary.load("f", "$INCLUDE x", &mut deep).unwrap_err();
    assert!(fault.message.contains("too deep"), "{fault}");

    let mut asked = Vec::new();
    let mut tree = |name: &str| {
        asked.push(name.to_string());
        let end = asked.len() % INCLUDE_DEPTH == INCLUDE_DEPTH - 1;
        Ok(if end {
            ""
        } else {
            "$INCLUDE x\n$INCLUDE /y/z\n"
        }
        .to_string())
    };
    assert!(dictionary.load("a/f", "$INCLUDE x", &mut tree).is_err());
    assert!(asked.len() <= INCLUDE_FILES);
    assert_eq!(asked[0], "a/x");

    let mut many = |_: &str| Ok(String::new());
    let text = "$INCLUDE x\n".repeat(INCLUDE_FILES + 1);
    let fault = dictionary.load("f", &text, &mut many).unwrap_err();
    assert_eq!(fault.line, INCLUDE_FILES + 1);
}

/// However many lines define nothing, one is kept; and of values that wait for their attribute no more than may.
#[test]
fn what_is_kept_beside_the_definitions_is_bounded() {
    let text = "MEMBER x y\n".repeat(100_000);
    let passed = load(&text).unwrap().1.unwrap();
    assert_eq!((passed.first.line, passed.others), (1, 99_999));

    let values = "VALUE later x 1\n".repeat(VALUES_AHEAD);
    let (dictionary, _) = load(&format!("{values}ATTRIBUTE later 1 integer")).unwrap();
    let later = dictionary.by_name("later").unwrap();
    assert_eq!(later.values.number("x"), Some(1));
    let fault = load(&format!(
        "{values}VALUE later y 2\nATTRIBUTE later 1 integer"
    ))
    .unwrap_err();
    assert!(
        fault.starts_with(&format!("d/file:{}: ", VALUES_AHEAD + 1)),
        "{fault}"
    );
    assert!(
        fault.ends_with("put the lines with ATTRIBUTE first"),
        "{fault}"
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*|(\\PC|\n)*") {
        let _ = load(&text);
    }

    #[test]
    fn no_row_of_words_panics(words in proptest::collection::vec(prop_oneof![
        Just("ATTRIBUTE"), Just("VALUE"), Just("VENDOR"), Just("BEGIN-VENDOR"), Just("END-VENDOR"),
        Just("BEGIN-TLV"), Just("END-TLV"), Just("$INCLUDE"), Just("\n"), Just("\n"), Just("a"), Just("b"),
        Just("1"), Just("0"), Just("1.2.3"), Just("241.1"), Just("tlv"), Just("octets[99"), Just("octets[]"),
        Just("has_tag"), Just("format=4,0"), Just("4294967295"), Just("18446744073709551616"), Just("#"),
    ], 0..60)) {
        let _ = load(&words.join(" "));
    }
}
