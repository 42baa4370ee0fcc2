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
        dictionary
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn the_files_have_no_faults() {
        let mut dictionary = Dictionary::default();
        for (name, text) in FILES {
            let passed = dictionary.load(name, text, &mut |_| unreachable!());
            assert_eq!(passed, Ok(Vec::new()));
        }
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
