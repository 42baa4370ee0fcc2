//! The attributes of a packet that goes on, each with its value revealed, and how they become a packet again.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::HopError;
use super::cover::{self, Cover, Lock, Salts};
use crate::attribute::{Attribute, Attributes, MAX_VALUE, kind};
use crate::build::{BuildError, PacketBuilder};
use crate::dictionary::Hiding;
use crate::rewrite::AttributeName;

/// The extended type of attributes of a vendor (RFC 6929 section 2.4).
const EVS: u8 = 26;

/// One attribute, or one of those inside a Vendor-Specific.
pub(super) struct Item {
    pub(super) name: AttributeName,
    /// The type of the attribute it is in.
    pub(super) kind: u8,
    /// What that attribute has before the value: extended type, flags, vendor.
    pub(super) head: Vec<u8>,
    pub(super) value: Zeroizing<Vec<u8>>,
    pub(super) cover: Cover,
    /// Of a Vendor-Specific that was read: which one. What follows one another and has the same is in one again.
    pub(super) group: Option<usize>,
}

impl Item {
    /// Whether it is what a name means: 26 and 241 to 246 mean all that is inside of them, a vendor all that it has.
    pub(super) fn is(&self, name: &AttributeName) -> bool {
        match (name.vendor, name.path.as_slice()) {
            (Some(vendor), []) => self.name.vendor == Some(vendor),
            (None, [kind @ (kind::VENDOR_SPECIFIC | kind::EXTENDED_1..=246)]) => self.kind == *kind,
            _ => self.name == *name,
        }
    }

    /// The items that carry a value: several if one attribute does not hold it. None for names of what only contains others.
    pub(super) fn of(name: &AttributeName, value: &[u8]) -> Vec<Self> {
        let part = |kind, head: Vec<u8>, value: &[u8]| Self {
            name: name.clone(),
            kind,
            head,
            value: value.to_vec().into(),
            cover: Cover::None,
            group: None,
        };
        match (name.vendor, name.path.as_slice()) {
            (Some(_), [_]) => Vec::from([part(kind::VENDOR_SPECIFIC, Vec::new(), value)]),
            (None, [kind @ 1..=240]) if *kind != kind::VENDOR_SPECIFIC => {
                Vec::from([part(*kind, Vec::new(), value)])
            }
            (None, [kind @ 241..=244, extended]) => {
                Vec::from([part(*kind, Vec::from([*extended]), value)])
            }
            (Some(vendor), [kind @ 241..=244, EVS, number]) => {
                let mut head = Vec::from([EVS]);
                head.extend_from_slice(&vendor.to_be_bytes());
                head.push(*number);
                Vec::from([part(*kind, head, value)])
            }
            (None, [kind @ 245..=246, extended]) => {
                Self::parts(*extended, &[], value, |head, value| {
                    part(*kind, head, value)
                })
            }
            (Some(vendor), [kind @ 245..=246, EVS, number]) => {
                let mut inner = vendor.to_be_bytes().to_vec();
                inner.push(*number);
                Self::parts(EVS, &inner, value, |head, value| part(*kind, head, value))
            }
            _ => Vec::new(),
        }
    }

    /// The parts of a long value (RFC 6929 section 2.2); only the first has `inner` before it.
    fn parts(
        extended: u8,
        inner: &[u8],
        value: &[u8],
        part: impl Fn(Vec<u8>, &[u8]) -> Self,
    ) -> Vec<Self> {
        let mut parts = Vec::new();
        let (mut inner, mut rest) = (inner, value);
        loop {
            let room = (MAX_VALUE - 2).saturating_sub(inner.len()).min(rest.len());
            let (now, after) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            let more = if after.is_empty() { 0 } else { 0x80 };
            let head = [&[extended, more], inner].concat();
            parts.push(part(head, now));
            (inner, rest) = (&[], after);
            if rest.is_empty() {
                return parts;
            }
        }
    }
}

/// The attributes, in their order.
#[derive(Default)]
pub(super) struct Items(pub(super) Vec<Item>);

impl Items {
    /// Reads the attributes of a packet.
    pub(super) fn read(
        octets: &[u8],
        lock: &Lock<'_>,
        hiding: impl Fn(Option<u32>, &[u8]) -> Hiding,
    ) -> Result<Self, HopError> {
        let attributes = Attributes::new(octets).map_err(HopError::Malformed)?;
        let mut reader = Reader {
            lock,
            hiding,
            items: Vec::new(),
            long: None,
        };
        for (group, attribute) in attributes.iter().enumerate() {
            reader.attribute(group, attribute)?;
        }
        Ok(Self(reader.items))
    }

    /// Where the first of a type stands, which is no vendor's and has no extended one.
    pub(super) fn position(&self, kind: u8) -> Option<usize> {
        self.0.iter().position(|item| item.kind == kind)
    }

    /// Whether there is one of a type.
    pub(super) fn has(&self, kind: u8) -> bool {
        self.position(kind).is_some()
    }

    /// Writes all of them.
    pub(super) fn write(
        &self,
        builder: &mut PacketBuilder,
        lock: &Lock<'_>,
        mut salts: Salts,
    ) -> Result<(), BuildError> {
        let mut open = Vendor::default();
        for item in &self.0 {
            let mut hide = || lock.hide(item.cover, &item.value, &mut salts);
            match (item.name.vendor, item.name.path.as_slice()) {
                (Some(vendor), [number]) => {
                    let value = hide()?;
                    open.add(builder, (item.group, vendor), *number, &value)?;
                    continue;
                }
                _ => open.close(builder)?,
            }
            match item.kind {
                kind::MESSAGE_AUTHENTICATOR => _ = builder.message_authenticator()?,
                kind::USER_PASSWORD => _ = builder.push_password(&item.value, lock.secret)?,
                kind if item.head.is_empty() => _ = builder.push(kind, &hide()?)?,
                kind => {
                    let mut value = Zeroizing::new(Vec::with_capacity(MAX_VALUE));
                    value.extend_from_slice(&item.head);
                    value.extend_from_slice(&hide()?);
                    builder.push(kind, &value)?;
                }
            }
        }
        open.close(builder)
    }
}

/// A Vendor-Specific being written.
#[derive(Default)]
struct Vendor {
    of: Option<(Option<usize>, u32)>,
    value: Zeroizing<Vec<u8>>,
}

impl Vendor {
    fn add(
        &mut self,
        builder: &mut PacketBuilder,
        of: (Option<usize>, u32),
        number: u8,
        value: &[u8],
    ) -> Result<(), BuildError> {
        let length = value.len().saturating_add(2);
        let full = self.value.len().saturating_add(length) > MAX_VALUE;
        if self.of != Some(of) || of.0.is_none() || full {
            self.close(builder)?;
            self.of = Some(of);
            self.value = Zeroizing::new(Vec::with_capacity(MAX_VALUE));
            self.value.extend_from_slice(&of.1.to_be_bytes());
        }
        let length = u8::try_from(length).map_err(|_| BuildError::TooLong)?;
        self.value.extend_from_slice(&[number, length]);
        self.value.extend_from_slice(value);
        Ok(())
    }

    fn close(&mut self, builder: &mut PacketBuilder) -> Result<(), BuildError> {
        if self.of.take().is_some() {
            builder.push(kind::VENDOR_SPECIFIC, &self.value)?;
        }
        Ok(())
    }
}

struct Reader<'a, H> {
    lock: &'a Lock<'a>,
    hiding: H,
    items: Vec<Item>,
    /// The value of 245 or 246 that goes on: its type, its extended type, and its name.
    long: Option<(u8, u8, AttributeName)>,
}

impl<H: Fn(Option<u32>, &[u8]) -> Hiding> Reader<'_, H> {
    fn attribute(&mut self, group: usize, attribute: Attribute<'_>) -> Result<(), HopError> {
        let Attribute { kind, value } = attribute;
        let long = self.long.take();
        let (vendor, path, head) = match (kind, value) {
            (kind::VENDOR_SPECIFIC, _) => {
                let inner = attribute.vendor();
                if let Some((vendor, inner)) = inner.filter(|(_, inner)| !inner.octets().is_empty())
                {
                    for one in &inner {
                        let path = Vec::from([one.kind]);
                        self.item(Some(vendor), path, kind, 0, one.value)?;
                        if let Some(item) = self.items.last_mut() {
                            item.group = Some(group);
                        }
                    }
                    return Ok(());
                }
                let vendor = value.first_chunk().copied().map(u32::from_be_bytes);
                // In a form of its own: only the whole of it has a name.
                (vendor, Vec::new(), 0)
            }
            (241..=244, [EVS, a, b, c, d, number, ..]) => {
                let vendor = u32::from_be_bytes([*a, *b, *c, *d]);
                (Some(vendor), Vec::from([kind, EVS, *number]), 6)
            }
            (241..=244, [extended, ..]) => (None, Vec::from([kind, *extended]), 1),
            (245..=246, [extended, flags, ..]) => {
                return self.long(long, attribute, *extended, flags & 0x80 != 0);
            }
            _ => (None, Vec::from([kind]), 0),
        };
        self.item(vendor, path, kind, head, value)
    }

    /// A part of a long value, which has the name of its first part.
    fn long(
        &mut self,
        begun: Option<(u8, u8, AttributeName)>,
        attribute: Attribute<'_>,
        extended: u8,
        more: bool,
    ) -> Result<(), HopError> {
        let Attribute { kind, value } = attribute;
        let begun = begun.filter(|one| (one.0, one.1) == (kind, extended));
        let (name, head) = match (&begun, value) {
            (Some((_, _, name)), _) => (name.clone(), 2),
            (None, [EVS, _, a, b, c, d, number, ..]) => {
                let vendor = Some(u32::from_be_bytes([*a, *b, *c, *d]));
                let path = Vec::from([kind, EVS, *number]);
                (AttributeName { vendor, path }, 7)
            }
            (None, _) => {
                let path = Vec::from([kind, extended]);
                (AttributeName { vendor: None, path }, 2)
            }
        };
        let parts = more || begun.is_some();
        if parts && (self.hiding)(name.vendor, &name.path) != Hiding::None {
            // What can be hidden fits into one.
            return Err(HopError::Hidden(name));
        }
        self.long = more.then(|| (kind, extended, name.clone()));
        self.item(name.vendor, name.path, kind, head, value)
    }

    fn item(
        &mut self,
        vendor: Option<u32>,
        path: Vec<u8>,
        kind: u8,
        head: usize,
        value: &[u8],
    ) -> Result<(), HopError> {
        let hiding = match path.as_slice() {
            [] => Hiding::None,
            path => cover::known(vendor, path).unwrap_or_else(|| (self.hiding)(vendor, path)),
        };
        let name = AttributeName { vendor, path };
        let (head, value) = value.split_at_checked(head).unwrap_or((&[], value));
        let Ok((cover, value)) = self.lock.reveal(hiding, value) else {
            return Err(HopError::Hidden(name));
        };
        self.items.push(Item {
            name,
            kind,
            head: head.to_vec(),
            value,
            cover,
            group: None,
        });
        Ok(())
    }
}
