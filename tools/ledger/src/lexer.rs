//! Splits Rust source into the few kinds of tokens the ledger looks at.
//!
//! Text inside strings and comments can never be mistaken for code, braces count correctly, and
//! nothing else is promised: numbers come as literals, operators as single characters.

/// One token and the line it starts on (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// The line of its first character, counted from 1.
    pub line: usize,
}

/// The kinds of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or name (raw names without their `r#`).
    Word(String),
    /// One character of punctuation.
    Mark(char),
    /// A string, character or number; strings with their content.
    Literal(String),
    /// An outer doc comment, without its slashes.
    OuterDoc(String),
    /// Any other comment, without its slashes.
    Comment(String),
}

impl Kind {
    /// The word, where it is one.
    pub fn word(&self) -> Option<&str> {
        if let Self::Word(word) = self {
            Some(word)
        } else {
            None
        }
    }

    /// The content, where it is a literal.
    pub fn literal(&self) -> Option<&str> {
        if let Self::Literal(content) = self {
            Some(content)
        } else {
            None
        }
    }
}

/// Splits `text`. Never fails: what is not Rust gives odd tokens.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        characters: text.chars().collect(),
        at: 0,
        line: 1,
        out: Vec::new(),
    };
    while let Some(character) = lexer.peek(0) {
        lexer.step(character);
    }
    lexer.out
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
    line: usize,
    out: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let character = self.peek(0)?;
        self.at += 1;
        if character == '\n' {
            self.line += 1;
        }
        Some(character)
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.bump();
        }
    }

    fn push(&mut self, kind: Kind, line: usize) {
        self.out.push(Token { kind, line });
    }

    fn step(&mut self, character: char) {
        let line = self.line;
        match (character, self.peek(1)) {
            ('/', Some('/')) => self.line_comment(line),
            ('/', Some('*')) => self.block_comment(line),
            ('"', _) => self.string(line),
            ('\'', _) => self.quote(line),
            (c, _) if c.is_whitespace() => {
                self.bump();
            }
            (c, _) if c.is_ascii_digit() => {
                let number = self.word();
                self.push(Kind::Literal(number), line);
            }
            (c, _) if is_word(c) => self.word_or_prefixed_literal(line),
            (c, _) => {
                self.bump();
                self.push(Kind::Mark(c), line);
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek(0).filter(|c| is_word(*c)) {
            word.push(c);
            self.bump();
        }
        word
    }

    fn word_or_prefixed_literal(&mut self, line: usize) {
        let word = self.word();
        match (word.as_str(), self.peek(0)) {
            ("b" | "c", Some('"')) => self.string(line),
            ("b", Some('\'')) => self.quote(line),
            ("r" | "br" | "cr", Some('"' | '#')) => {
                let hashes = (0..).take_while(|n| self.peek(*n) == Some('#')).count();
                if self.peek(hashes) == Some('"') {
                    self.skip(hashes + 1);
                    self.raw_string(hashes, line);
                } else if word == "r" && hashes == 1 {
                    self.bump();
                    let name = self.word();
                    self.push(Kind::Word(name), line);
                } else {
                    self.push(Kind::Word(word), line);
                }
            }
            _ => self.push(Kind::Word(word), line),
        }
    }

    fn raw_string(&mut self, hashes: usize, line: usize) {
        let mut content = String::new();
        while let Some(c) = self.bump() {
            if c == '"' && (0..hashes).all(|n| self.peek(n) == Some('#')) {
                self.skip(hashes);
                break;
            }
            content.push(c);
        }
        self.push(Kind::Literal(content), line);
    }

    fn string(&mut self, line: usize) {
        self.bump();
        let mut content = String::new();
        while let Some(c) = self.bump() {
            match c {
                '"' => break,
                '\\' => content.extend(self.bump()),
                _ => content.push(c),
            }
        }
        self.push(Kind::Literal(content), line);
    }

    /// A character literal, or a lifetime (which gives no token).
    fn quote(&mut self, line: usize) {
        self.bump();
        match (self.peek(0), self.peek(1)) {
            (Some('\\'), _) => {
                self.skip(2);
                while self.bump().is_some_and(|c| c != '\'') {}
                self.push(Kind::Literal(String::new()), line);
            }
            (Some(c), Some('\'')) => {
                self.skip(2);
                self.push(Kind::Literal(c.to_string()), line);
            }
            _ => {
                self.word();
            }
        }
    }

    fn line_comment(&mut self, line: usize) {
        let mut text = String::new();
        while let Some(c) = self.peek(0).filter(|c| *c != '\n') {
            text.push(c);
            self.bump();
        }
        let kind = match text.strip_prefix("///") {
            Some(rest) if !rest.starts_with('/') => Kind::OuterDoc(rest.to_owned()),
            _ => Kind::Comment(text.trim_start_matches(['/', '!']).to_owned()),
        };
        self.push(kind, line);
    }

    fn block_comment(&mut self, line: usize) {
        let mut text = String::new();
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.skip(2);
                    text.push_str("/*");
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.skip(2);
                    if depth == 0 {
                        break;
                    }
                    text.push_str("*/");
                }
                (Some(c), _) => {
                    text.push(c);
                    self.bump();
                }
                (None, _) => break,
            }
        }
        let body = text.strip_prefix("/*").unwrap_or(&text);
        let kind = match body.strip_prefix('*') {
            Some(rest) if !rest.is_empty() && !rest.starts_with('*') => {
                Kind::OuterDoc(rest.to_owned())
            }
            _ => Kind::Comment(body.trim_start_matches(['*', '!']).to_owned()),
        };
        self.push(kind, line);
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    fn word(text: &str) -> Kind {
        Kind::Word(text.to_owned())
    }

    fn literal(text: &str) -> Kind {
        Kind::Literal(text.to_owned())
    }

    #[test]
    fn strings_hide_what_they_hold() {
        assert_eq!(
            kinds(r#""a { \" // x" y"#),
            [literal("a { \" // x"), word("y")]
        );
        assert_eq!(kinds("r#\"a \" {\"# y"), [literal("a \" {"), word("y")]);
        assert_eq!(
            kinds("b\"{\" br##\"}\"#\"## c\"x\" y"),
            [literal("{"), literal("}\"#"), literal("x"), word("y")]
        );
    }

    #[test]
    fn characters_and_lifetimes_are_told_apart() {
        assert_eq!(
            kinds("'{' b'}' '\\'' '\\u{7d}' y"),
            [
                literal("{"),
                literal("}"),
                literal(""),
                literal(""),
                word("y")
            ]
        );
        assert_eq!(
            kinds("&'a str 'outer: loop"),
            [Kind::Mark('&'), word("str"), Kind::Mark(':'), word("loop")]
        );
    }

    #[test]
    fn comments_keep_their_rank() {
        assert_eq!(
            kinds("/// a\n//! b\n// c\n//// d\n/** e */ /* f /* g */ h */ /**/ y"),
            [
                Kind::OuterDoc(" a".into()),
                Kind::Comment(" b".into()),
                Kind::Comment(" c".into()),
                Kind::Comment(" d".into()),
                Kind::OuterDoc(" e ".into()),
                Kind::Comment(" f /* g */ h ".into()),
                Kind::Comment(String::new()),
                word("y")
            ]
        );
    }

    #[test]
    fn raw_names_lose_their_mark() {
        assert_eq!(
            kinds("r#type r # x"),
            [word("type"), word("r"), Kind::Mark('#'), word("x")]
        );
    }

    #[test]
    fn numbers_are_literals() {
        assert_eq!(
            kinds("0x1f_u8..9"),
            [
                literal("0x1f_u8"),
                Kind::Mark('.'),
                Kind::Mark('.'),
                literal("9")
            ]
        );
    }

    #[test]
    fn lines_count_through_literals_and_comments() {
        let lines: Vec<usize> = tokens("a\n\"x\ny\"\n/* \n */ b")
            .iter()
            .map(|token| token.line)
            .collect();
        assert_eq!(lines, [1, 2, 4, 5]);
    }

    #[test]
    fn unfinished_text_ends() {
        for text in ["\"abc", "/* abc", "'", "'\\", "r#\"x", "r#", "b'"] {
            tokens(text);
        }
    }
}
