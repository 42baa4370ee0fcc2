//! The lines that define something.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::attribute::{Attribute, Hiding, Kind, Values, Vendor, VendorFormat};
use super::super::clash::Clash;
use super::super::value::unsigned;
use super::super::words::quoted;
use super::{Blocks, Fault, Loader, Named, Place, VALUES_AHEAD};

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
        place: &Place<'_>,
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
        if blocks.extended {
            // The block is told of where it begins.
            self.dictionary.add_uncarried(name);
            return Ok(());
        }
        let mut path = blocks.tlvs.last().map_or_else(Vec::new, |(_, p)| p.clone());
        path.extend(numbers(number, place)?);
        if let [number] = *path
            && number > MAX_TYPE
            && vendor.is_none()
        {
            self.dictionary.add_uncarried(name);
            self.pass_over(place.fault(format!(
                "{name} is passed over: no packet can carry {number}, as types are 1 to {MAX_TYPE}"
            )));
            return Ok(());
        }
        self.check_path(vendor, &path, number, place)?;
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
        match self.dictionary.add(attribute) {
            Ok(()) => Ok(()),
            Err(clash @ Clash::Name { .. }) => Err(place.fault_at(name, clash.to_string())),
            Err(clash @ Clash::Form { .. }) => Err(place.fault(clash.to_string())),
        }
    }

    pub(super) fn value(&mut self, words: &[&str], place: &Place<'_>) -> Result<(), Fault> {
        let &[attribute, name, text] = words else {
            return Err(place.fault("VALUE needs an attribute, a name and a number".to_string()));
        };
        let number = unsigned(text).ok_or_else(|| {
            let word = quoted(text);
            let form = "which has to be decimal or 0x and hexadecimal digits";
            place.fault_at(text, format!("{word} is no number, {form}"))
        })?;
        let named = Named {
            file: Rc::clone(place.file),
            line: place.line,
            octets: place.octets(place.definition()),
            attribute: attribute.to_string(),
            name: name.to_string(),
            number,
        };
        if self.name_value(&named)? {
            return Ok(());
        }
        if self.ahead.len() >= VALUES_AHEAD {
            return Err(place.fault_at(attribute, format!(
                "{} is not defined yet, where {VALUES_AHEAD} values are allowed to come before their attributes; put the lines with ATTRIBUTE first",
                quoted(attribute)
            )));
        }
        self.ahead.push(named);
        Ok(())
    }

    pub(super) fn vendor(&mut self, words: &[&str], place: &Place<'_>) -> Result<(), Fault> {
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
        let word = number;
        let number = unsigned(word).and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| *number > 0).ok_or_else(|| {
            let (text, most) = (quoted(word), u32::MAX);
            place.fault_at(
                word,
                format!("{text} is no number of a vendor, which are 1 to {most}"),
            )
        })?;
        let format = match format {
            None => VendorFormat::default(),
            Some(word) => word
                .strip_prefix("format=")
                .and_then(format_of)
                .ok_or_else(|| {
                    let text = quoted(word);
                    place.fault_at(word, format!(
                        "{text} is no format of a vendor, which is format= with 1, 2 or 4 octets of type, 0, 1 or 2 \
                         of length, and perhaps c, as in format=1,1,c"
                    ))
                })?,
        };
        self.one_vendor(name, number, format, place)?;
        self.dictionary.add_vendor(Vendor {
            name: name.to_string(),
            number,
            format,
        });
        Ok(())
    }

    /// One name has one number, and one number has one format.
    fn one_vendor(
        &self,
        name: &str,
        number: u32,
        format: VendorFormat,
        place: &Place<'_>,
    ) -> Result<(), Fault> {
        let named = self.dictionary.vendor_by_name(name);
        if let Some(known) = named.filter(|known| known.number != number) {
            let known = known.number;
            let message =
                format!("{name} is the vendor {known} already, and cannot be {number} too");
            return Err(place.fault_at(name, message));
        }
        let numbered = self.dictionary.vendor(number);
        if let Some(known) = numbered.filter(|known| known.format != format) {
            let (name, known) = (&known.name, known.format);
            return Err(place.fault(format!(
                "the vendor {number}, {name}, has format={known} already, and cannot have format={format}"
            )));
        }
        Ok(())
    }

    pub(super) fn begin_vendor(
        &mut self,
        words: &[&str],
        blocks: &mut Blocks,
        place: &Place<'_>,
    ) -> Result<(), Fault> {
        let (name, format) = match *words {
            [name] => (name, None),
            [name, format] => (name, Some(format)),
            _ => {
                return Err(place
                    .fault("BEGIN-VENDOR needs a name, and allows a format after it".to_string()));
            }
        };
        if blocks.vendor.is_some() || !blocks.tlvs.is_empty() {
            let name = quoted(name);
            return Err(place.fault(format!(
                "BEGIN-VENDOR {name} is inside another block, where none is allowed"
            )));
        }
        let Some(vendor) = self.dictionary.vendor_by_name(name) else {
            let text = quoted(name);
            let why = "which a line with VENDOR has to define before";
            return Err(place.fault_at(name, format!("{text} is no vendor, {why}")));
        };
        let mut vendor = vendor.clone();
        // A number has several names, and the block ends with the one it began with.
        vendor.name = name.to_string();
        blocks.vendor = Some(vendor);
        let Some(format) = format else {
            return Ok(());
        };
        let lower = format.to_ascii_lowercase();
        let extended = lower.strip_prefix("format=extended-vendor-specific-");
        if !extended.is_some_and(|which| matches!(which, "1" | "2" | "3" | "4" | "5" | "6")) {
            let text = quoted(format);
            let allowed = "allowed are format=Extended-Vendor-Specific-1 to -6";
            return Err(place.fault_at(format, format!("{text} is no format, {allowed}")));
        }
        blocks.extended = true;
        let message =
            "the block is passed over: vendors inside extended attributes are not supported";
        self.pass_over(place.fault(message.to_string()));
        Ok(())
    }

    pub(super) fn begin_tlv(
        &mut self,
        name: &str,
        blocks: &mut Blocks,
        place: &Place<'_>,
    ) -> Result<(), Fault> {
        let vendor = blocks.vendor.as_ref().map(|vendor| vendor.number);
        let known = self.dictionary.by_name(name);
        let known = known.filter(|known| known.kind == Kind::Tlv && known.vendor == vendor);
        let Some(known) = known else {
            let text = quoted(name);
            let why = "which BEGIN-TLV needs";
            return Err(place.fault_at(
                name,
                format!("{text} is no attribute of type tlv in this block, {why}"),
            ));
        };
        blocks.tlvs.push((name.to_string(), known.path.clone()));
        Ok(())
    }

    /// Whether a place can be and is inside an attribute that holds others.
    fn check_path(
        &self,
        vendor: Option<u32>,
        path: &[u32],
        word: &str,
        place: &Place<'_>,
    ) -> Result<(), Fault> {
        let wrong = |message: String| Err(place.fault_at(word, message));
        let Some((first, inner)) = path.split_first() else {
            return wrong("a number is needed".to_string());
        };
        let (least, most) = match vendor {
            Some(vendor) => (0, self.dictionary.format(vendor).max_type()),
            None => (1, MAX_TYPE),
        };
        if !(least..=most).contains(first) {
            return wrong(format!(
                "{first} is no type here, which are {least} to {most}"
            ));
        }
        if let Some(number) = inner.iter().find(|n| !(1..=MAX_TYPE).contains(*n)) {
            return wrong(format!(
                "{number} is no type inside an attribute, which are 1 to {MAX_TYPE}"
            ));
        }
        if path.len() > DEPTH {
            return wrong(format!(
                "the number is too deep, where {DEPTH} levels are allowed"
            ));
        }
        let Some((_, outer)) = path.split_last().filter(|(_, outer)| !outer.is_empty()) else {
            return Ok(());
        };
        match self.dictionary.by_number(vendor, outer).map(|o| o.kind) {
            Some(Kind::Tlv | Kind::Extended | Kind::LongExtended) => Ok(()),
            Some(Kind::Vsa | Kind::Evs) => wrong(
                "attributes of a vendor are allowed between BEGIN-VENDOR and END-VENDOR only".to_string(),
            ),
            _ => wrong(
                "the number is inside an attribute that is not of type tlv or extended, which it needs to be"
                    .to_string(),
            ),
        }
    }

    fn flags(&self, words: &[&str], place: &Place<'_>) -> Result<Flags, Fault> {
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
                        let text = quoted(word);
                        return Err(place.fault_at(word, format!(
                            "{text} is no flag; allowed are has_tag, encrypt=1, encrypt=2, encrypt=3, concat, \
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
        place: &Place<'_>,
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
                let text = quoted(word);
                let message = format!("{name} is kept as octets: {text} is no known type");
                self.pass_over(place.fault_at(word, message));
                Kind::String
            }
        };
        (kind, size.filter(|_| kind == Kind::String))
    }
}

/// The numbers of `241.1`.
fn numbers(word: &str, place: &Place<'_>) -> Result<Vec<u32>, Fault> {
    let parts = word.split('.').map(unsigned);
    let parts = parts.map(|number| number.and_then(|number| u32::try_from(number).ok()));
    parts.collect::<Option<_>>().ok_or_else(|| {
        let text = quoted(word);
        let form = "which is decimal, or several with dots between them";
        place.fault_at(word, format!("{text} is no number of an attribute, {form}"))
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
fn check_name(name: &str, place: &Place<'_>) -> Result<(), Fault> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_./+()&'".contains(&b);
    if name.bytes().all(allowed) && name.len() <= 128 {
        return Ok(());
    }
    let text = quoted(name);
    let form = "which has at most 128 letters, digits and signs of -_./+()&'";
    Err(place.fault_at(name, format!("{text} is no name, {form}")))
}
