//! Host names as they stand in certificates and in the configuration, compared by A-label without regard to case.

/// Labels at most 63 octets, the whole at most 253, none empty, nothing but printable ASCII (RFC 1035, ruling on names).
pub(crate) fn usable(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| (1..=63).contains(&label.len()))
        && name.bytes().all(|octet| octet.is_ascii_graphic())
}

/// `example.net` of `*.example.net`; `None` when the left-most label is not `*` alone or another `*` follows.
pub(crate) fn wildcard_parent(name: &str) -> Option<&str> {
    let parent = name.strip_prefix("*.")?;
    (!parent.contains('*')).then_some(parent)
}

/// `example.net` of `host.example.net`.
pub(crate) fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

/// A `*` in it that is not a whole left-most label: such a name matches nothing (RFC 9525 section 6.3).
pub(crate) fn odd_wildcard(name: &str) -> bool {
    name.contains('*') && wildcard_parent(name).is_none()
}

/// Does the presented `pattern` (RFC 9525 section 6.3) stand for exactly `name`? Both in lower case.
pub(crate) fn presented_matches(pattern: &str, name: &str) -> bool {
    match wildcard_parent(pattern) {
        Some(parent_of_pattern) => !name.contains('*') && parent(name) == Some(parent_of_pattern),
        None => !pattern.contains('*') && pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_host_names_are_unusable() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = format!("{}example", "a.".repeat(124));
        for bad in [
            "",
            ".",
            "a..example",
            "a.example.",
            ".example",
            "a\0.example",
            "b\u{e9}.example",
            "a b.example",
            &long_label,
            &long_name,
        ] {
            assert!(!usable(bad), "{bad:?}");
        }
        for good in [
            "a",
            "a.example",
            "*.example",
            "_tacacss.example.net",
            "xn--bcher-kva.example",
        ] {
            assert!(usable(good), "{good:?}");
        }
    }

    #[test]
    fn a_wildcard_is_one_whole_left_most_label() {
        assert!(presented_matches("*.t.example", "a.t.example"));
        for (pattern, name) in [
            ("*.t.example", "a.b.t.example"),
            ("*.t.example", "t.example"),
            ("f*.t.example", "foo.t.example"),
            ("*.*.example", "a.b.example"),
            ("a.*.example", "a.b.example"),
            ("*", "example"),
            ("*.t.example", "*.t.example"),
        ] {
            assert!(!presented_matches(pattern, name), "{pattern} {name}");
        }
    }
}
