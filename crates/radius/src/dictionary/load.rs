//! Dictionaries as files, in the format of FreeRADIUS: words between blanks, a line for each thing, `#` before remarks.

mod line;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::words::quoted;
use super::{Dictionary, Vendor};

/// Files that include each other can be this deep.
pub const INCLUDE_DEPTH: usize = 16;
/// One file and all it includes can be this many; without a bound, a file that includes itself twice never ends.
pub const INCLUDE_FILES: usize = 1024;
/// So many values can come before their attributes: each is kept until the end, and takes more memory than its line has octets.
pub const VALUES_AHEAD: usize = 16_384;

/// What is wrong in a dictionary: the place, and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The octets of the line that it is about: a word, or all of it.
    pub octets: Range<usize>,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, message) = (&self.file, self.line, &self.message);
        write!(f, "{file}:{line}: {message}")
    }
}

impl core::error::Error for Fault {}

/// Lines that define nothing, of which there may be as many as a file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The first one that was found, with the reason.
    pub first: Fault,
    /// How many others there are.
    pub others: usize,
}

impl Dictionary {
    /// Adds what a file defines; nothing is added if there is an error. Returns what was passed over.
    ///
    /// What is known may be said again, as the files of FreeRADIUS do: a definition replaces the one of the same name and
    /// number, and a number may get another name, of which the last is shown. What is built in
    /// ([`Dictionary::standard`]) keeps its type and flags, where text and octets count as one type: what was hidden would be
    /// shown otherwise. One name for two numbers is an error.
    ///
    /// `include` gets the name of a file that is to be read, already joined to the folder of the file that names it.
    ///
    /// # Errors
    /// The first line that cannot be.
    pub fn load(
        &mut self,
        name: &str,
        text: &str,
        include: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Option<Passed>, Fault> {
        let mut loader = Loader {
            dictionary: self.clone(),
            include,
            files: 0,
            ahead: Vec::new(),
            passed: None,
        };
        loader.file(name, text, 0)?;
        loader.settle()?;
        *self = loader.dictionary;
        Ok(loader.passed)
    }
}

struct Loader<'a> {
    dictionary: Dictionary,
    include: &'a mut dyn FnMut(&str) -> Result<String, String>,
    files: usize,
    /// Values whose attribute was not defined yet.
    ahead: Vec<Named>,
    passed: Option<Passed>,
}

/// A value with a name.
struct Named {
    /// Where it is, should something be wrong with it. Many may be of one file.
    file: Rc<str>,
    line: usize,
    octets: Range<usize>,
    attribute: String,
    name: String,
    number: u64,
}

/// Where a line is.
#[derive(Clone, Copy)]
struct Place<'t> {
    file: &'t Rc<str>,
    line: usize,
    /// All of the line.
    text: &'t str,
}

impl Place<'_> {
    /// What is wrong with the line.
    fn fault(&self, message: String) -> Fault {
        self.fault_at(self.definition(), message)
    }

    /// The line without its remark.
    fn definition(&self) -> &str {
        self.text.split('#').next().unwrap_or_default().trim()
    }

    /// Where a word is in the line.
    fn octets(&self, word: &str) -> Range<usize> {
        let start = word.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        let start = start.filter(|start| start.saturating_add(word.len()) <= self.text.len());
        start.map_or(0..self.text.len(), |start| start..start + word.len())
    }

    /// What is wrong with a word, which is a part of the text of the line.
    fn fault_at(&self, word: &str, message: String) -> Fault {
        Fault {
            file: self.file.to_string(),
            line: self.line,
            octets: self.octets(word),
            message,
        }
    }
}

/// The blocks a line is in. They end with their file.
#[derive(Default)]
struct Blocks {
    vendor: Option<Vendor>,
    /// The vendor's attributes are inside extended ones.
    extended: bool,
    tlvs: Vec<(String, Vec<u32>)>,
}

impl Loader<'_> {
    fn file(&mut self, name: &str, text: &str, depth: usize) -> Result<(), Fault> {
        let mut blocks = Blocks::default();
        let file = Rc::from(name);
        let mut place = Place {
            file: &file,
            line: 0,
            text: "",
        };
        for (at, line) in text.lines().enumerate() {
            place.line = at + 1;
            place.text = line;
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else {
                continue;
            };
            let words: Vec<&str> = words.collect();
            self.line(first, &words, &mut blocks, &place, depth)?;
        }
        let open = blocks
            .tlvs
            .last()
            .map(|(name, _)| ("END-TLV", name))
            .or(blocks.vendor.as_ref().map(|v| ("END-VENDOR", &v.name)));
        match open {
            Some((end, name)) => {
                Err(place.fault(format!("the file ends without the needed {end} {name}")))
            }
            None => Ok(()),
        }
    }

    fn line(
        &mut self,
        first: &str,
        words: &[&str],
        blocks: &mut Blocks,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), Fault> {
        match first.to_ascii_uppercase().as_str() {
            "ATTRIBUTE" => self.attribute(words, blocks, place),
            "VALUE" => self.value(words, place),
            "VENDOR" => self.vendor(words, place),
            "BEGIN-VENDOR" => self.begin_vendor(words, blocks, place),
            "END-VENDOR" => {
                let name = one(first, words, place)?;
                blocks.extended = false;
                match blocks.vendor.take() {
                    Some(open) if blocks.tlvs.is_empty() && open.name.eq_ignore_ascii_case(name) => Ok(()),
                    _ => Err(place.fault_at(name, format!(
                        "END-VENDOR {} is not allowed here: it ends the block that was begun last",
                        quoted(name)
                    ))),
                }
            }
            "BEGIN-TLV" => self.begin_tlv(one(first, words, place)?, blocks, place),
            "END-TLV" => {
                let name = one(first, words, place)?;
                match blocks.tlvs.pop() {
                    Some((open, _)) if open.eq_ignore_ascii_case(name) => Ok(()),
                    _ => Err(place.fault_at(name, format!(
                        "END-TLV {} is not allowed here: it ends the block that was begun last",
                        quoted(name)
                    ))),
                }
            }
            "$INCLUDE" => self.include(one(first, words, place)?, true, place, depth),
            "$INCLUDE-" => self.include(one(first, words, place)?, false, place, depth),
            "FLAGS" => Ok(()),
            "MEMBER" | "STRUCT" => {
                let message = format!("{first} is passed over: a structure is kept as octets");
                self.pass_over(place.fault(message));
                Ok(())
            }
            _ => Err(place.fault_at(first, format!(
                "a line cannot begin with {}; allowed are ATTRIBUTE, VALUE, VENDOR, BEGIN-VENDOR, END-VENDOR, \
                 BEGIN-TLV, END-TLV, $INCLUDE, $INCLUDE- and FLAGS",
                quoted(first)
            ))),
        }
    }

    fn include(
        &mut self,
        name: &str,
        needed: bool,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth >= INCLUDE_DEPTH {
            return Err(place.fault_at(
                name,
                format!(
                    "{} is included too deep, where {INCLUDE_DEPTH} levels are allowed",
                    quoted(name)
                ),
            ));
        }
        self.files += 1;
        if self.files > INCLUDE_FILES {
            return Err(place.fault_at(
                name,
                format!(
                    "{} is one file too many, where {INCLUDE_FILES} are allowed",
                    quoted(name)
                ),
            ));
        }
        let joined = match place.file.rsplit_once('/') {
            Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
            _ => name.to_string(),
        };
        match (self.include)(&joined) {
            Ok(text) => self.file(&joined, &text, depth + 1),
            Err(_) if !needed => Ok(()),
            Err(error) => Err(place.fault_at(
                name,
                format!("{} cannot be included: {error}", quoted(name)),
            )),
        }
    }

    /// Counts a line that defines nothing.
    fn pass_over(&mut self, fault: Fault) {
        match &mut self.passed {
            Some(passed) => passed.others += 1,
            None => {
                self.passed = Some(Passed {
                    first: fault,
                    others: 0,
                });
            }
        }
    }

    /// Names the values whose attribute came after them.
    fn settle(&mut self) -> Result<(), Fault> {
        for named in core::mem::take(&mut self.ahead) {
            if !self.name_value(&named)? {
                let (attribute, name) = (quoted(&named.attribute), quoted(&named.name));
                return Err(named.fault(format!(
                    "the value {name} needs the attribute {attribute}, which no line defines"
                )));
            }
        }
        Ok(())
    }

    /// `false` if the attribute is not defined.
    fn name_value(&mut self, named: &Named) -> Result<bool, Fault> {
        if self.dictionary.is_uncarried(&named.attribute) {
            return Ok(true);
        }
        let Some(attribute) = self.dictionary.by_name(&named.attribute) else {
            return Ok(false);
        };
        let name = quoted(&named.name);
        let Some(octets) = attribute.kind.number_octets() else {
            let of = &attribute.name;
            let message = format!("the value {name} is passed over: {of} is no number");
            self.pass_over(named.fault(message));
            return Ok(true);
        };
        let most = u64::MAX >> (64 - 8 * octets);
        let number = named.number;
        if number > most {
            return Err(named.fault(format!(
                "the value {name} is {number}, where numbers from 0 to {most} are allowed"
            )));
        }
        let known = attribute.values.number(&named.name);
        if let Some(known) = known.filter(|known| *known != number) {
            let of = &attribute.name;
            return Err(named.fault(format!(
                "{name} is the value {known} of {of} already, and cannot be {number} too"
            )));
        }
        Ok(self
            .dictionary
            .add_value(&named.attribute, &named.name, number))
    }
}

impl Named {
    fn fault(&self, message: String) -> Fault {
        Fault {
            file: self.file.to_string(),
            line: self.line,
            octets: self.octets.clone(),
            message,
        }
    }
}

/// The only word after the first.
fn one<'a>(first: &str, words: &[&'a str], place: &Place<'_>) -> Result<&'a str, Fault> {
    match words {
        [word] => Ok(word),
        _ => Err(place.fault(format!(
            "{} has {} words after it, where one is allowed",
            quoted(first),
            words.len()
        ))),
    }
}

#[cfg(test)]
mod tests;
