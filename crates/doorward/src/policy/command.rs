//! The words of a command.

use std::fmt::Write as _;

/// The words of a command as rules see them, and the form it came in.
///
/// White space inside an argument separates words too, so that no `deny` is passed by an argument that holds two words.
/// Trailing `<cr>` and empty arguments are no words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The words with one space between.
    text: String,
    raw: String,
}

impl CommandLine {
    /// From the value of `cmd` and those of the `cmd-arg`s, in order.
    pub fn from_arguments<'a>(cmd: &'a str, cmd_args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut raw = String::from(cmd);
        for argument in cmd_args {
            let _ = write!(raw, " {argument}");
        }
        Self::from_raw(raw)
    }

    /// From a line as a person types it.
    pub fn from_text(line: &str) -> Self {
        Self::from_raw(line.to_owned())
    }

    fn from_raw(raw: String) -> Self {
        let mut text = String::with_capacity(raw.len());
        for word in raw.split_whitespace() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        while let Some(shorter) = text.strip_suffix("<cr>") {
            // `<cr>` is dropped as a whole word only.
            if !(shorter.is_empty() || shorter.ends_with(' ')) {
                break;
            }
            let length = shorter.trim_end().len();
            text.truncate(length);
        }
        Self { text, raw }
    }

    /// The words.
    pub fn words(&self) -> impl Iterator<Item = &str> + Clone {
        self.text.split(' ').filter(|word| !word.is_empty())
    }

    /// The words with one space between: what the rules judged.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `cmd` and its arguments as they came, with one space between them: for records. Not escaped.
    pub fn raw(&self) -> &str {
        &self.raw
    }
}
