//! Text of a peer, made harmless.

/// What a peer sent as text, with everything escaped that could act on a terminal or hide in a log: control
/// characters, invisible formatting characters, and octets that are no UTF-8.
pub fn for_display(octets: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(octets) else {
        return octets.escape_ascii().to_string();
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Characters that reorder or hide their neighbours.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_that_acts_on_it() {
        assert_eq!(for_display(b"Password: "), "Password: ");
        assert_eq!(for_display(b"\x1b[2Jhello\r\n"), "\\u{1b}[2Jhello\\r\\n");
        assert_eq!(
            for_display("\u{9b}2J\u{202e}".as_bytes()),
            "\\u{9b}2J\\u{202e}"
        );
        assert_eq!(for_display(b"\xff\x00"), "\\xff\\x00");
        assert_eq!(for_display("Gr\u{fc}zi".as_bytes()), "Gr\u{fc}zi");
    }
}
