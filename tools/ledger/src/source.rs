//! Finds in one source file: what its tests claim to prove, and which files hold its modules.

use crate::lexer::{Kind, Token, tokens};

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Functions with a `proves:` line above them.
    pub claims: Vec<Claim>,
    /// `mod name;` declarations.
    pub modules: Vec<FileModule>,
    /// `proves:` lines that stand above no function or are no doc comment, and words in them that are no id.
    pub faults: Vec<(usize, String)>,
}

/// A function that says what it proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Inline modules around it, outermost first.
    pub modules: Vec<String>,
    /// Its name.
    pub function: String,
    /// Whether an attribute makes it a test.
    pub is_test: bool,
    /// The ids, each with its line.
    pub ids: Vec<(usize, String)>,
    /// The line of the name.
    pub line: usize,
}

/// A module that lives in another file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileModule {
    /// Inline modules around the declaration.
    pub inside: Vec<String>,
    /// Its name.
    pub name: String,
    /// The value of a `#[path]` attribute.
    pub path: Option<String>,
    /// The line of the declaration.
    pub line: usize,
}

/// Reads one file.
pub fn scan(text: &str) -> Source {
    let tokens = tokens(text);
    let mut scanner = Scanner {
        tokens: &tokens,
        at: 0,
        ..Scanner::default()
    };
    while let Some(token) = scanner.next() {
        scanner.take(token);
    }
    scanner.drop_pending();
    scanner.out
}

/// Whether the word has the shape of a row's id: `TAC-4.5-9`.
pub fn is_id(word: &str) -> bool {
    let mut parts = word.rsplitn(2, '-');
    let number = parts.next().unwrap_or_default();
    let Some((prefix, section)) = parts.next().and_then(|rest| rest.split_once('-')) else {
        return false;
    };
    !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
        && !prefix.is_empty()
        && prefix
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        && !section.is_empty()
        && section
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.')
}

#[derive(Default)]
struct Scanner<'a> {
    tokens: &'a [Token],
    at: usize,
    /// One entry per open brace: the module's name, or `None` for any other block.
    scopes: Vec<Option<String>>,
    /// Doc comments, attributes and modifiers seen since the last item.
    docs: Vec<(usize, String)>,
    test_attribute: bool,
    path_attribute: Option<String>,
    out: Source,
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    fn peek(&self) -> Option<&'a Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn next_if_mark(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(&Kind::Mark(mark));
        self.at += usize::from(found);
        found
    }

    fn next_if_word(&mut self) -> Option<&'a str> {
        let Some(Kind::Word(word)) = self.peek() else {
            return None;
        };
        self.at += 1;
        Some(word)
    }

    fn take(&mut self, token: &Token) {
        match &token.kind {
            Kind::OuterDoc(text) => {
                let lines = text
                    .lines()
                    .map(|line| line.trim().trim_start_matches('*').trim());
                self.docs
                    .extend((token.line..).zip(lines.map(str::to_owned)));
            }
            Kind::Comment(text) => self.plain_comment(token.line, text),
            Kind::Literal(_) => {}
            Kind::Mark('#') => self.attribute(),
            Kind::Mark('{') => {
                self.drop_pending();
                self.scopes.push(None);
            }
            Kind::Mark('}') => {
                self.drop_pending();
                self.scopes.pop();
            }
            Kind::Mark(_) => self.drop_pending(),
            Kind::Word(word) => self.word(token.line, word),
        }
    }

    fn word(&mut self, line: usize, word: &str) {
        match word {
            "pub" => {
                if self.next_if_mark('(') {
                    self.skip_to_closing('(', ')');
                }
            }
            "async" | "const" | "unsafe" | "extern" | "default" => {}
            "fn" => match self.next_if_word() {
                Some(name) => self.function(line, name),
                None => self.drop_pending(),
            },
            "mod" => match self.next_if_word() {
                Some(name) => self.module(line, name),
                None => self.drop_pending(),
            },
            _ => self.drop_pending(),
        }
    }

    fn function(&mut self, line: usize, name: &str) {
        let docs = std::mem::take(&mut self.docs);
        let ids = self.proved(&docs);
        if !ids.is_empty() {
            self.out.claims.push(Claim {
                modules: self.inline_modules(),
                function: name.to_owned(),
                is_test: self.test_attribute,
                ids,
                line,
            });
        }
        self.drop_pending();
    }

    fn module(&mut self, line: usize, name: &str) {
        let path = self.path_attribute.take();
        self.drop_pending();
        if self.next_if_mark('{') {
            self.scopes.push(Some(name.to_owned()));
        } else if self.next_if_mark(';') {
            let inside = self.inline_modules();
            self.out.modules.push(FileModule {
                inside,
                name: name.to_owned(),
                path,
                line,
            });
        }
    }

    /// `#[path::to::name ...]`; inner attributes are passed over.
    fn attribute(&mut self) {
        let inner = self.next_if_mark('!');
        if !self.next_if_mark('[') {
            return self.drop_pending();
        }
        let start = self.at;
        self.skip_to_closing('[', ']');
        if inner {
            return;
        }
        let body = self.tokens.get(start..self.at).unwrap_or_default();
        let mut name = None;
        for token in body
            .iter()
            .take_while(|token| token.kind.word().is_some() || token.kind == Kind::Mark(':'))
        {
            name = token.kind.word().or(name);
        }
        match name {
            Some("test") => self.test_attribute = true,
            Some("path") => {
                let path = body.iter().find_map(|token| token.kind.literal());
                self.path_attribute = path.map(str::to_owned);
            }
            _ => {}
        }
    }

    fn skip_to_closing(&mut self, open: char, close: char) {
        let mut depth = 1_usize;
        while let Some(token) = self.next() {
            if token.kind == Kind::Mark(open) {
                depth += 1;
            } else if token.kind == Kind::Mark(close) {
                depth -= 1;
            }
            if depth == 0 {
                break;
            }
        }
    }

    fn inline_modules(&self) -> Vec<String> {
        self.scopes.iter().flatten().cloned().collect()
    }

    /// Forgets docs and attributes; a `proves:` among them is a fault, because it stands above no function.
    fn drop_pending(&mut self) {
        for (line, text) in std::mem::take(&mut self.docs) {
            if after_proves(&text).is_some() {
                self.out
                    .faults
                    .push((line, "`proves:` stands above no function".to_owned()));
            }
        }
        self.test_attribute = false;
        self.path_attribute = None;
    }

    fn plain_comment(&mut self, line: usize, text: &str) {
        if text.lines().any(|text| after_proves(text.trim()).is_some()) {
            let fault = "`proves:` must be in a doc comment (`///`) right above the test";
            self.out.faults.push((line, fault.to_owned()));
        }
    }

    /// The ids in the docs of one function: a list goes on in the next line after a comma, or when the
    /// next line holds nothing but ids.
    fn proved(&mut self, docs: &[(usize, String)]) -> Vec<(usize, String)> {
        let mut ids = Vec::new();
        let mut open = false;
        let mut comma = false;
        for (line, text) in docs {
            let list = match after_proves(text) {
                Some(list) => list,
                None if comma || (open && holds_only_ids(text)) => text.as_str(),
                None => {
                    open = false;
                    continue;
                }
            };
            let before = ids.len();
            for word in list_words(list) {
                if is_id(word) {
                    ids.push((*line, word.to_owned()));
                } else {
                    self.out
                        .faults
                        .push((*line, format!("`{word}` after `proves:` is no id")));
                }
            }
            if ids.len() == before {
                self.out
                    .faults
                    .push((*line, "`proves:` names nothing".to_owned()));
            }
            open = true;
            comma = list.trim_end().ends_with(',');
        }
        ids
    }
}

fn after_proves(text: &str) -> Option<&str> {
    let (word, list) = text.split_once(':')?;
    word.trim().eq_ignore_ascii_case("proves").then_some(list)
}

fn list_words(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ', '\t']).filter(|word| !word.is_empty())
}

fn holds_only_ids(text: &str) -> bool {
    let mut words = list_words(text).peekable();
    words.peek().is_some() && words.all(is_id)
}

#[cfg(test)]
mod tests;
