//! The names of attributes: what a configuration writes for the numbers of a packet (RFC 2865 section 5, RFC 6929).
//!
//! ```
//! use doorward_radius::dictionary::Dictionary;
//! let dictionary = Dictionary::standard();
//! let pair = dictionary.parse_pair("Service-Type", "Administrative-User").unwrap();
//! assert_eq!(pair.octets, [0, 0, 0, 6]);
//! assert_eq!(pair.attribute.show(&pair.octets), "Administrative-User");
//! ```

mod address;
mod attribute;
mod clash;
mod date;
mod load;
mod pair;
mod show;
mod standard;
mod value;
mod words;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

pub use attribute::{Attribute, Hiding, Kind, Values, Vendor, VendorFormat};
pub use load::{Fault, INCLUDE_DEPTH, INCLUDE_FILES, Passed, VALUES_AHEAD};
pub use pair::Pair;
pub use show::Shown;
pub use value::ValueError;

use clash::Clash;

/// A name further than this from every known one is not taken for a misspelling.
const NEAR: usize = 3;

/// Attributes and vendors, by name and by number. Names are compared without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    attributes: Vec<Attribute>,
    names: BTreeMap<String, usize>,
    numbers: BTreeMap<Option<u32>, BTreeMap<Vec<u32>, usize>>,
    vendors: BTreeMap<u32, Vendor>,
    vendor_names: BTreeMap<String, u32>,
    /// Names of files for what no packet can carry; other lines may speak of them.
    uncarried: BTreeSet<String>,
    /// So many of the attributes are built in, and keep their types.
    built_in: usize,
}

impl Dictionary {
    /// The attribute with this name.
    pub fn by_name(&self, name: &str) -> Option<&Attribute> {
        let index = self.names.get(&name.to_ascii_lowercase())?;
        self.attributes.get(*index)
    }

    /// The attribute with this place in a packet; of several names for it, the one defined last.
    pub fn by_number(&self, vendor: Option<u32>, path: &[u32]) -> Option<&Attribute> {
        let index = self.numbers.get(&vendor)?.get(path)?;
        self.attributes.get(*index)
    }

    /// All attributes, in the order they were defined.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter()
    }

    /// The vendor with this number.
    pub fn vendor(&self, number: u32) -> Option<&Vendor> {
        self.vendors.get(&number)
    }

    /// The vendor with this name.
    pub fn vendor_by_name(&self, name: &str) -> Option<&Vendor> {
        let number = self.vendor_names.get(&name.to_ascii_lowercase())?;
        self.vendors.get(number)
    }

    /// All vendors, by number.
    pub fn vendors(&self) -> impl Iterator<Item = &Vendor> {
        self.vendors.values()
    }

    /// How this vendor writes the type and length of its attributes; unknown vendors are taken to follow RFC 2865.
    pub fn format(&self, vendor: u32) -> VendorFormat {
        self.vendor(vendor)
            .map_or_else(VendorFormat::default, |vendor| vendor.format)
    }

    /// The known name nearest to `name`, if it is near enough to be what was meant.
    pub fn suggest(&self, name: &str) -> Option<&str> {
        let names = self.attributes.iter().map(|known| known.name.as_str());
        words::nearest(name, names, NEAR)
    }

    /// Adds a vendor. A number keeps its other names.
    fn add_vendor(&mut self, vendor: Vendor) {
        let number = vendor.number;
        self.vendor_names
            .insert(vendor.name.to_ascii_lowercase(), number);
        self.vendors.insert(number, vendor);
    }

    /// Adds an attribute. One of the same name and place is replaced and hands on its values.
    fn add(&mut self, mut attribute: Attribute) -> Result<(), Clash> {
        let name = attribute.name.to_ascii_lowercase();
        let index = self.names.get(&name).copied();
        let index = index.unwrap_or(self.attributes.len());
        let (vendor, path) = (attribute.vendor, attribute.path.clone());
        if let Some(known) = self.attributes.get(index) {
            clash::one_number(known, &attribute)?;
        }
        let mut built_in = self.attributes.iter().take(self.built_in);
        if let Some(known) = built_in.find(|one| (one.vendor, &one.path) == (vendor, &path)) {
            clash::one_form(known, &attribute)?;
        }
        match self.attributes.get_mut(index) {
            Some(known) => {
                attribute.values = core::mem::take(&mut known.values);
                *known = attribute;
            }
            None => self.attributes.push(attribute),
        }
        self.names.insert(name, index);
        // Also where the name was known: the number may have got another name in between.
        self.numbers.entry(vendor).or_default().insert(path, index);
        Ok(())
    }

    fn add_uncarried(&mut self, name: &str) {
        self.uncarried.insert(name.to_ascii_lowercase());
    }

    fn is_uncarried(&self, name: &str) -> bool {
        self.uncarried.contains(&name.to_ascii_lowercase()) && self.by_name(name).is_none()
    }

    /// Names a value of an attribute; `false` if there is no such attribute.
    fn add_value(&mut self, attribute: &str, name: &str, number: u64) -> bool {
        let index = self.names.get(&attribute.to_ascii_lowercase()).copied();
        let Some(known) = index.and_then(|index| self.attributes.get_mut(index)) else {
            return false;
        };
        known.values.add(name, number);
        true
    }
}

#[cfg(test)]
mod tests;
