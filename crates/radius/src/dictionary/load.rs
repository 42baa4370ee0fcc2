//! Dictionaries as files, in the format of FreeRADIUS: words between blanks, a line for each thing, `#` before remarks.

mod line;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::words::quoted;
use super::{Dictionary, Vendor};

/// Files that include each other can be this deep.
pub const INCLUDE_DEPTH: usize = 16;
/// One file and all it includes can be this many; without a bound, a file that includes itself twice never ends.
pub const INCLUDE_FILES: usize = 1024;

/// What is wrong in a dictionary: the place, and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
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

impl Dictionary {
    /// Adds what a file defines. A definition replaces one of the same name and place; nothing is added if there is
    /// an error. Returns the lines that were passed over, with the reason.
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
    ) -> Result<Vec<Fault>, Fault> {
        let mut loader = Loader {
            dictionary: self.clone(),
            include,
            files: 0,
            ahead: Vec::new(),
            internal: BTreeSet::new(),
            passed: Vec::new(),
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
    /// Attributes that no packet can carry.
    internal: BTreeSet<String>,
    passed: Vec<Fault>,
}

/// A value with a name.
struct Named {
    place: Place,
    attribute: String,
    name: String,
    number: u64,
}

/// Where a line is.
#[derive(Clone)]
struct Place {
    file: String,
    line: usize,
}

impl Place {
    fn fault(&self, message: String) -> Fault {
        Fault {
            file: self.file.clone(),
            line: self.line,
            message,
        }
    }
}

/// The blocks a line is in. They end with their file.
#[derive(Default)]
struct Blocks {
    vendor: Option<Vendor>,
    tlvs: Vec<(String, Vec<u32>)>,
}

impl Loader<'_> {
    fn file(&mut self, name: &str, text: &str, depth: usize) -> Result<(), Fault> {
        let mut blocks = Blocks::default();
        let mut place = Place {
            file: name.to_string(),
            line: 0,
        };
        for (at, line) in text.lines().enumerate() {
            place.line = at + 1;
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
        place: &Place,
        depth: usize,
    ) -> Result<(), Fault> {
        match first.to_ascii_uppercase().as_str() {
            "ATTRIBUTE" => self.attribute(words, blocks, place),
            "VALUE" => self.value(words, place),
            "VENDOR" => self.vendor(words, place),
            "BEGIN-VENDOR" => self.begin_vendor(words, blocks, place),
            "END-VENDOR" => {
                let name = one(first, words, place)?;
                match blocks.vendor.take() {
                    Some(open) if blocks.tlvs.is_empty() && open.name.eq_ignore_ascii_case(name) => Ok(()),
                    _ => Err(place.fault(format!(
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
                    _ => Err(place.fault(format!(
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
                self.passed.push(place.fault(message));
                Ok(())
            }
            _ => Err(place.fault(format!(
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
        place: &Place,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth >= INCLUDE_DEPTH {
            return Err(place.fault(format!(
                "{} is included too deep, where {INCLUDE_DEPTH} levels are allowed",
                quoted(name)
            )));
        }
        self.files += 1;
        if self.files > INCLUDE_FILES {
            return Err(place.fault(format!(
                "{} is one file too many, where {INCLUDE_FILES} are allowed",
                quoted(name)
            )));
        }
        let name = match place.file.rsplit_once('/') {
            Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
            _ => name.to_string(),
        };
        match (self.include)(&name) {
            Ok(text) => self.file(&name, &text, depth + 1),
            Err(_) if !needed => Ok(()),
            Err(error) => Err(place.fault(format!(
                "{} has to be readable to be included: {error}",
                quoted(&name)
            ))),
        }
    }

    /// Names the values whose attribute came after them.
    fn settle(&mut self) -> Result<(), Fault> {
        for named in core::mem::take(&mut self.ahead) {
            if !self.name_value(&named)? {
                let (attribute, name) = (quoted(&named.attribute), quoted(&named.name));
                return Err(named.place.fault(format!(
                    "the value {name} needs the attribute {attribute}, which no line defines"
                )));
            }
        }
        Ok(())
    }

    /// `false` if the attribute is not defined.
    fn name_value(&mut self, named: &Named) -> Result<bool, Fault> {
        if self
            .internal
            .contains(&named.attribute.to_ascii_lowercase())
        {
            return Ok(true);
        }
        let Some(attribute) = self.dictionary.by_name(&named.attribute) else {
            return Ok(false);
        };
        let Some(octets) = attribute.kind.number_octets() else {
            let message = format!(
                "the value {} is passed over: {} is no number",
                quoted(&named.name),
                attribute.name
            );
            self.passed.push(named.place.fault(message));
            return Ok(true);
        };
        let most = u64::MAX >> (64 - 8 * octets);
        if named.number > most {
            return Err(named.place.fault(format!(
                "the value {} is {}, where numbers from 0 to {most} are allowed",
                quoted(&named.name),
                named.number
            )));
        }
        Ok(self
            .dictionary
            .add_value(&named.attribute, &named.name, named.number))
    }
}

/// The only word after the first.
fn one<'a>(first: &str, words: &[&'a str], place: &Place) -> Result<&'a str, Fault> {
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
