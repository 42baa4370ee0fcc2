//! The lines that define something.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::super::attribute::{Attribute, Hiding, Kind, Values, Vendor, VendorFormat};
use super::super::value::unsigned;
use super::super::words::quoted;
use super::{Blocks, Fault, Loader, Named, Place};

/// Attributes inside each other can be this deep.
const DEPTH: usize = 8;
/// The highest number that a type of one octet holds.
const MAX_TYPE: u32 = 255;

/// What follows the type of an attribute.
#[derive(Default)]
struct Flags {
    tagged: bool,
    hidden: Hiding,
    concat: bool,
    extended: bool,
    long: bool,
    vendor: Option<u32>,
}

impl Loader<'_> {
    pub(super) fn attribute(
        &mut self,
        words: &[&str],
        blocks: &Blocks,
        place: &Place,
    ) -> Result<(), Fault> {
        let &[name, number, kind, ref flags @ ..] = words else {
            return Err(place.fault(
                "ATTRIBUTE needs a name, a number and a type, and allows flags after them"
                    .to_string(),
            ));
        };
        check_name(name, place)?;
        let flags = self.flags(flags, place)?;
        let vendor = blocks.vendor.as_ref().map(|vendor| vendor.number);
        let vendor = vendor.or(flags.vendor);
        let mut path = blocks.tlvs.last().map_or_else(Vec::new, |(_, p)| p.clone());
        path.extend(numbers(number, place)?);
        if let [number] = *path
            && number > MAX_TYPE
            && vendor.is_none()
        {
            self.internal.insert(name.to_ascii_lowercase());
            self.passed.push(place.fault(format!(
                "{name} is passed over: no packet can carry {number}, as types are 1 to {MAX_TYPE}"
            )));
            return Ok(());
        }
        self.check_path(vendor, &path, place)?;
        let (kind, size) = self.kind(name, kind, &flags, place);
        if flags.tagged && !matches!(kind, Kind::Integer | Kind::Text | Kind::String) {
            return Err(place.fault(format!(
                "{name} cannot have a tag, which is allowed for integer, string and octets"
            )));
        }
        if flags.concat && kind != Kind::Concat {
            return Err(place.fault(format!(
                "{name} cannot be `concat`, which is allowed for octets"
            )));
        }
        let attribute = Attribute {
            name: name.to_string(),
            vendor,
            path,
            kind,
            size,
            tagged: flags.tagged,
            hidden: flags.hidden,
            values: Values::default(),
        };
        if self.dictionary.add(attribute) {
            return Ok(());
        }
        Err(place.fault(format!(
            "{name} is the name of another attribute, where a new name is needed"
        )))
    }

    pub(super) fn value(&mut self, words: &[&str], place: &Place) -> Result<(), Fault> {
        let &[attribute, name, text] = words else {
            return Err(place.fault("VALUE needs an attribute, a name and a number".to_string()));
        };
        let number = unsigned(text).ok_or_else(|| {
            let text = quoted(text);
            place.fault(format!(
                "{text} is no number, which has to be decimal or 0x and hexadecimal digits"
            ))
        })?;
        let named = Named {
            place: place.clone(),
            attribute: attribute.to_string(),
            name: name.to_string(),
            number,
        };
        if !self.name_value(&named)? {
            self.ahead.push(named);
        }
        Ok(())
    }

    pub(super) fn vendor(&mut self, words: &[&str], place: &Place) -> Result<(), Fault> {
        let (name, number, format) = match *words {
            [name, number] => (name, number, None),
            [name, number, format] => (name, number, Some(format)),
            _ => {
                return Err(place.fault(
                    "VENDOR needs a name and a number, and allows a format after them".to_string(),
                ));
            }
        };
        check_name(name, place)?;
        let text = quoted(number);
        let number = unsigned(number).and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| *number > 0).ok_or_else(|| {
            let most = u32::MAX;
            place.fault(format!(
                "{text} is no number of a vendor, which are 1 to {most}"
            ))
        })?;
        let format = match format {
            None => VendorFormat::default(),
            Some(word) => word
                .strip_prefix("format=")
                .and_then(format_of)
                .ok_or_else(|| {
                    let word = quoted(word);
                    place.fault(format!(
                        "{word} is no format of a vendor, which is format= with 1, 2 or 4 octets of type, 0, 1 or 2 \
                         of length, and perhaps c, as in format=1,1,c"
                    ))
                })?,
        };
        self.dictionary.add_vendor(Vendor {
            name: name.to_string(),
            number,
            format,
        });
        Ok(())
    }

    pub(super) fn begin_vendor(
        &mut self,
        words: &[&str],
        blocks: &mut Blocks,
        place: &Place,
    ) -> Result<(), Fault> {
        let &[name] = words else {
            return Err(place.fault(
                "BEGIN-VENDOR allows one word, the name; vendors inside extended attributes are not supported"
                    .to_string(),
            ));
        };
        if blocks.vendor.is_some() || !blocks.tlvs.is_empty() {
            let name = quoted(name);
            return Err(place.fault(format!(
                "BEGIN-VENDOR {name} is inside another block, where none is allowed"
            )));
        }
        let Some(vendor) = self.dictionary.vendor_by_name(name) else {
            let name = quoted(name);
            return Err(place.fault(format!(
                "{name} is no vendor, which a line with VENDOR has to define before"
            )));
        };
        let mut vendor = vendor.clone();
        // A number has several names, and the block ends with the one it began with.
        vendor.name = name.to_string();
        blocks.vendor = Some(vendor);
        Ok(())
    }

    pub(super) fn begin_tlv(
        &mut self,
        name: &str,
        blocks: &mut Blocks,
        place: &Place,
    ) -> Result<(), Fault> {
        let vendor = blocks.vendor.as_ref().map(|vendor| vendor.number);
        let known = self.dictionary.by_name(name);
        let known = known.filter(|known| known.kind == Kind::Tlv && known.vendor == vendor);
        let Some(known) = known else {
            let name = quoted(name);
            return Err(place.fault(format!(
                "{name} is no attribute of type tlv in this block, which BEGIN-TLV needs"
            )));
        };
        blocks.tlvs.push((name.to_string(), known.path.clone()));
        Ok(())
    }

    /// Whether a place can be and is inside an attribute that holds others.
    fn check_path(&self, vendor: Option<u32>, path: &[u32], place: &Place) -> Result<(), Fault> {
        let Some((first, inner)) = path.split_first() else {
            return Err(place.fault("a number is needed".to_string()));
        };
        let (least, most) = match vendor {
            Some(vendor) => (0, self.dictionary.format(vendor).max_type()),
            None => (1, MAX_TYPE),
        };
        if !(least..=most).contains(first) {
            return Err(place.fault(format!(
                "{first} is no type here, which are {least} to {most}"
            )));
        }
        if let Some(number) = inner.iter().find(|n| !(1..=MAX_TYPE).contains(*n)) {
            return Err(place.fault(format!(
                "{number} is no type inside an attribute, which are 1 to {MAX_TYPE}"
            )));
        }
        if path.len() > DEPTH {
            return Err(place.fault(format!(
                "the number is too deep, where {DEPTH} levels are allowed"
            )));
        }
        let Some((_, outer)) = path.split_last().filter(|(_, outer)| !outer.is_empty()) else {
            return Ok(());
        };
        match self.dictionary.by_number(vendor, outer).map(|o| o.kind) {
            Some(Kind::Tlv | Kind::Extended | Kind::LongExtended) => Ok(()),
            Some(Kind::Vsa | Kind::Evs) => Err(place.fault(
                "attributes of a vendor are allowed between BEGIN-VENDOR and END-VENDOR only".to_string(),
            )),
            _ => Err(place.fault(
                "the number is inside an attribute that is not of type tlv or extended, which it needs to be"
                    .to_string(),
            )),
        }
    }

    fn flags(&self, words: &[&str], place: &Place) -> Result<Flags, Fault> {
        let mut flags = Flags::default();
        let words = words.iter().flat_map(|word| word.split(','));
        for word in words.filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "has_tag" => flags.tagged = true,
                "encrypt=1" | "encrypt=user-password" => flags.hidden = Hiding::UserPassword,
                "encrypt=2" | "encrypt=tunnel-password" => flags.hidden = Hiding::TunnelPassword,
                "encrypt=3" | "encrypt=ascend-secret" => flags.hidden = Hiding::Ascend,
                "concat" => flags.concat = true,
                "extended" => flags.extended = true,
                "long" | "long_extended" => flags.long = true,
                "array" | "virtual" | "internal" | "secret" | "abinary" => {}
                _ => match self.dictionary.vendor_by_name(word) {
                    Some(vendor) => flags.vendor = Some(vendor.number),
                    None => {
                        let word = quoted(word);
                        return Err(place.fault(format!(
                            "{word} is no flag; allowed are has_tag, encrypt=1, encrypt=2, encrypt=3, concat, \
                             extended, long, array, virtual, internal, secret and the name of a vendor"
                        )));
                    }
                },
            }
        }
        Ok(flags)
    }

    fn kind(
        &mut self,
        name: &str,
        word: &str,
        flags: &Flags,
        place: &Place,
    ) -> (Kind, Option<usize>) {
        let lower = word.to_ascii_lowercase();
        let (base, size) = match lower.split_once('[') {
            Some((base, size)) => (
                base,
                size.strip_suffix(']').and_then(|size| size.parse().ok()),
            ),
            None => (lower.as_str(), None),
        };
        let kind = match base {
            "octets" if flags.concat => Kind::Concat,
            "octets" | "abinary" | "struct" | "combo-ip" => Kind::String,
            "string" | "text" => Kind::Text,
            "ipaddr" | "ipv4addr" => Kind::Ipv4Addr,
            "ipv6addr" => Kind::Ipv6Addr,
            "ipv4prefix" => Kind::Ipv4Prefix,
            "ipv6prefix" => Kind::Ipv6Prefix,
            "integer" | "uint32" | "enum" | "time_delta" => Kind::Integer,
            "integer64" | "uint64" => Kind::Integer64,
            "short" | "uint16" => Kind::Short,
            "byte" | "uint8" | "bool" => Kind::Byte,
            "signed" | "int32" => Kind::Signed,
            "date" | "time" => Kind::Time,
            "ifid" => Kind::IfId,
            "ether" => Kind::Ether,
            "tlv" if flags.extended => Kind::Extended,
            "tlv" if flags.long => Kind::LongExtended,
            "tlv" => Kind::Tlv,
            "extended" if flags.long => Kind::LongExtended,
            "extended" => Kind::Extended,
            "long-extended" => Kind::LongExtended,
            "vsa" => Kind::Vsa,
            "evs" => Kind::Evs,
            _ => {
                let word = quoted(word);
                let message = format!("{name} is kept as octets: {word} is no known type");
                self.passed.push(place.fault(message));
                Kind::String
            }
        };
        (kind, size.filter(|_| kind == Kind::String))
    }
}

/// The numbers of `241.1`.
fn numbers(word: &str, place: &Place) -> Result<Vec<u32>, Fault> {
    let parts = word.split('.').map(unsigned);
    let parts = parts.map(|number| number.and_then(|number| u32::try_from(number).ok()));
    parts.collect::<Option<_>>().ok_or_else(|| {
        let word = quoted(word);
        place.fault(format!(
            "{word} is no number of an attribute, which is decimal, or several with dots between them"
        ))
    })
}

/// The format of `2,1` or `1,1,c`.
fn format_of(word: &str) -> Option<VendorFormat> {
    let (word, continuation) = match word.strip_suffix(",c") {
        Some(word) => (word, true),
        None => (word, false),
    };
    let (type_octets, length_octets) = match word {
        "1,0" => (1, 0),
        "1,1" => (1, 1),
        "1,2" => (1, 2),
        "2,0" => (2, 0),
        "2,1" => (2, 1),
        "2,2" => (2, 2),
        "4,0" => (4, 0),
        "4,1" => (4, 1),
        "4,2" => (4, 2),
        _ => return None,
    };
    // Flags stand where WiMAX has them, behind a type and a length of an octet each.
    (!continuation || word == "1,1").then_some(VendorFormat {
        type_octets,
        length_octets,
        continuation,
    })
}

/// Names stand in configurations, where a colon begins a tag.
fn check_name(name: &str, place: &Place) -> Result<(), Fault> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_./+()&'".contains(&b);
    if name.bytes().all(allowed) && name.len() <= 128 {
        return Ok(());
    }
    Err(place.fault(format!(
        "{} is no name, which has at most 128 letters, digits and signs of -_./+()&'",
        quoted(name)
    )))
}
