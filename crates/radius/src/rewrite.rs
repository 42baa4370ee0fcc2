//! What a proxy changes of the attributes that pass it.

use alloc::vec::Vec;

/// Which attribute is meant: its vendor, if it is one's, and its type, with the extended type or the types of
/// sub-attributes behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName {
    /// The vendor's number.
    pub vendor: Option<u32>,
    /// The type, and what is inside of it.
    pub path: Vec<u8>,
}

/// The changes of one route in one direction, applied in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Nothing else passes. What a packet cannot do without (Message-Authenticator, Proxy-State) is never subject to it.
    pub allow: Option<Vec<AttributeName>>,
    /// Every occurrence of these is taken out.
    pub remove: Vec<AttributeName>,
    /// Every occurrence is taken out, and one with this value put in.
    pub set: Vec<(AttributeName, Vec<u8>)>,
    /// Put in beside what is there.
    pub add: Vec<(AttributeName, Vec<u8>)>,
}

impl Rewrite {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.allow.is_none() && self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}
