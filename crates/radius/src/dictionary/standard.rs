//! The dictionary that is built in.

use alloc::format;

use super::Dictionary;

/// The files, in the order they are read.
const FILES: [(&str, &str); 4] = [
    ("standard/rfc", include_str!("standard/rfc.dictionary")),
    (
        "standard/values",
        include_str!("standard/values.dictionary"),
    ),
    (
        "standard/network",
        include_str!("standard/network.dictionary"),
    ),
    (
        "standard/vendors",
        include_str!("standard/vendors.dictionary"),
    ),
];

impl Dictionary {
    /// What is built in: the attributes of the IETF, and those of vendors whose devices are administered over RADIUS.
    ///
    /// It is read anew on every call, which takes milliseconds: keep it.
    pub fn standard() -> Self {
        let mut dictionary = Self::default();
        for (name, text) in FILES {
            // A test loads each file without a fault.
            let _ = dictionary.load(name, text, &mut |name| {
                Err(format!("{name} is not built in"))
            });
        }
        dictionary.built_in = dictionary.attributes.len();
        dictionary
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_files_have_no_faults() {
        let mut dictionary = Dictionary::default();
        for (name, text) in FILES {
            let passed = dictionary.load(name, text, &mut |_| unreachable!());
            assert_eq!(passed, Ok(None));
        }
    }

    /// What the files of FreeRADIUS say again is taken, and what says otherwise is not.
    #[test]
    fn what_is_built_in_keeps_its_type() {
        let load = |text: &str| {
            let mut dictionary = Dictionary::standard();
            let done = dictionary.load("f", text, &mut |_| unreachable!());
            done.map(|_| dictionary).map_err(|fault| fault.message)
        };
        let again = "ATTRIBUTE Tunnel-Password 69 octets has_tag,encrypt=2\nATTRIBUTE Client-Id 4 ipaddr\n\
                     VENDOR Cisco 9\nBEGIN-VENDOR Cisco\nATTRIBUTE cisco-avpair 1 string\nEND-VENDOR Cisco\n\
                     VALUE Service-Type administrative-user 6";
        assert!(load(again).is_ok());
        for (text, said) in [
            (
                "ATTRIBUTE Tunnel-Password 69 string has_tag",
                "Tunnel-Password is `string has_tag encrypt=2` already, and cannot be `string has_tag`",
            ),
            (
                "ATTRIBUTE My-Secret 69 string",
                "the number of My-Secret is that of Tunnel-Password, which is `string has_tag encrypt=2` and cannot \
                 be `string` too",
            ),
            (
                "ATTRIBUTE Digest-Response 206 string",
                "Digest-Response is Attr-103 already, and cannot be Attr-206 too",
            ),
            (
                "VENDOR Cisco 10",
                "Cisco is the vendor 9 already, and cannot be 10 too",
            ),
        ] {
            assert_eq!(load(text).map(|_| ()), Err(said.into()));
        }
        // Between files of others the last line counts, as in FreeRADIUS: some vendors use a number twice.
        let twice =
            "VENDOR v 5\nBEGIN-VENDOR v\nATTRIBUTE a 1 integer\nATTRIBUTE b 1 string\nEND-VENDOR v";
        let loaded = load(twice).unwrap();
        assert_eq!(loaded.by_number(Some(5), &[1]), loaded.by_name("b"));
    }

    #[test]
    fn every_attribute_is_found_by_name_and_by_number() {
        let dictionary = Dictionary::standard();
        assert!(dictionary.attributes().count() > 500);
        for attribute in dictionary.attributes() {
            assert_eq!(dictionary.by_name(&attribute.name), Some(attribute));
            let upper = attribute.name.to_ascii_uppercase();
            assert_eq!(dictionary.by_name(&upper), Some(attribute));
            let found = dictionary.by_number(attribute.vendor, &attribute.path);
            assert_eq!(found, Some(attribute), "two names for one number");
            for (number, name) in attribute.values.iter() {
                assert_eq!(attribute.values.number(name), Some(number));
                assert_eq!(attribute.show(&attribute.encode(name).unwrap()), name);
            }
        }
    }
}
