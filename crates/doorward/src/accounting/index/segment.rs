//! The form of an index: which rows of one run of positions hold which value.
//!
//! ```text
//! directory:  group ...
//! group:      form | field | number of blocks | (greatest value of the block, CRC-32 of the block) ...
//! block:      (value, octets of the list, list) ...        values ascend, over all blocks of a group
//! list:       for each row that holds the value, how many rows before it do not, since the last that does
//! ```
//!
//! Numbers and lengths are LEB128. A group is what rows of one form have in one field; all the blocks of a segment are
//! numbered through in the order of the directory.

use std::collections::HashMap;

use super::super::reader::Position;
use super::super::row::{self, Form, Input, MalformedRecord, push_length, push_text};
use super::bits::Bits;

/// Octets after which a block is full: one read for a short list, and few blocks for a pattern over all of them.
const BLOCK: usize = 16 * 1024;

/// What one value costs a builder beside its own octets, about.
const VALUE: usize = 96;

/// Octets a builder may hold before its segment is full, however few the rows: rare values are all that need many.
const ROOM: usize = 24 * 1024 * 1024;

/// Positions a segment may go over, for places that a pattern of failed commits left empty.
const SPAN: i64 = 1 << 26;

/// Octets of a row that tell it from every other: version, id and time.
const HEAD: usize = 25;

/// What is indexed of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Field {
    Device,
    User,
    Command,
}

impl Field {
    fn code(self) -> u8 {
        match self {
            Self::Device => 1,
            Self::User => 2,
            Self::Command => 3,
        }
    }
}

/// The code, in the place of a form, of rows that no form fits; all of them are in one list.
const UNREADABLE: u8 = 0;

/// The octets that tell a row from every other.
pub(super) fn head(row: &[u8]) -> &[u8] {
    row.get(..HEAD).unwrap_or(row)
}

/// One segment as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    /// The positions of its first and last row.
    pub(super) first: i64,
    pub(super) last: i64,
    /// The latest time of a readable row, ns.
    pub(super) newest: i64,
    /// The heads of its first and last row: without them in their places it belongs to another journal.
    pub(super) first_head: Vec<u8>,
    pub(super) last_head: Vec<u8>,
    pub(super) directory: Vec<u8>,
}

impl Segment {
    /// Offsets of the segment.
    pub(super) fn span(&self) -> Option<u32> {
        let span = self.last.checked_sub(self.first)?.checked_add(1)?;
        u32::try_from(span).ok().filter(|span| *span > 0)
    }

    /// The CRC-32 of all this, and of where the blocks begin.
    pub(super) fn checksum(&self, block: i64) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for number in [self.first, self.last, self.newest, block] {
            hasher.update(&number.to_le_bytes());
        }
        for text in [&self.first_head, &self.last_head, &self.directory] {
            hasher.update(&u64::try_from(text.len()).unwrap_or(0).to_le_bytes());
            hasher.update(text);
        }
        hasher.finalize()
    }

    /// The blocks of a field of a form.
    pub(super) fn blocks(&self, form: Form, field: Field) -> Result<Vec<Block<'_>>, Damaged> {
        self.group(form.version(), field.code())
    }

    /// The one block of the rows that nobody can read.
    pub(super) fn unreadable(&self) -> Result<Vec<Block<'_>>, Damaged> {
        self.group(UNREADABLE, 0)
    }

    /// Every block.
    pub(super) fn all_blocks(&self) -> Result<Vec<Block<'_>>, Damaged> {
        let mut all = Vec::new();
        self.each(|_, block| all.push(block))?;
        Ok(all)
    }

    fn group(&self, form: u8, field: u8) -> Result<Vec<Block<'_>>, Damaged> {
        let mut found = Vec::new();
        self.each(|group, block| {
            if group == (form, field) {
                found.push(block);
            }
        })?;
        Ok(found)
    }

    fn each<'a>(&'a self, mut show: impl FnMut((u8, u8), Block<'a>)) -> Result<(), Damaged> {
        let mut input = Input(&self.directory);
        let mut number = 0;
        while !input.is_empty() {
            let group = (input.octet()?, input.octet()?);
            for _ in 0..input.length()? {
                let greatest = input.text()?;
                let checksum = u32::from_le_bytes(input.array()?);
                show(
                    group,
                    Block {
                        number,
                        greatest,
                        checksum,
                    },
                );
                number += 1;
            }
        }
        Ok(())
    }
}

/// A block as the directory has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) number: i64,
    pub(super) greatest: &'a [u8],
    pub(super) checksum: u32,
}

/// The values of a block and their lists.
pub(super) struct Entries<'a>(Input<'a>);

impl<'a> Entries<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self(Input(block))
    }

    /// The next value; `None` = it was the last one.
    pub(super) fn next(&mut self) -> Result<Option<(&'a [u8], List<'a>)>, Damaged> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let value = self.0.text()?;
        Ok(Some((value, List(self.0.text()?))))
    }
}

/// The places of a value.
#[derive(Clone, Copy)]
pub(super) struct List<'a>(&'a [u8]);

impl List<'_> {
    /// Puts them into a set.
    pub(super) fn collect(self, bits: &mut Bits) -> Result<(), Damaged> {
        let mut next = 0_u32;
        let mut octets = self.0.iter();
        while let Some(first) = octets.next() {
            let mut gap = u32::from(first & 0x7f);
            let mut octet = *first;
            let mut shift = 7;
            while octet & 0x80 != 0 {
                octet = *octets.next().ok_or(Damaged)?;
                gap |= u32::from(octet & 0x7f).checked_shl(shift).ok_or(Damaged)?;
                shift += 7;
            }
            let offset = next.checked_add(gap).ok_or(Damaged)?;
            if !bits.insert(offset) {
                return Err(Damaged);
            }
            next = offset + 1;
        }
        Ok(())
    }
}

/// The index cannot be what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

impl From<MalformedRecord> for Damaged {
    fn from(_: MalformedRecord) -> Self {
        Self
    }
}

/// Gathers the rows of a segment.
#[derive(Default)]
pub(super) struct Builder {
    segment: Segment,
    rows: u32,
    groups: Vec<Group>,
    unreadable: Places,
    room: usize,
}

/// The values of one field of one form.
struct Group {
    form: Form,
    field: Field,
    values: HashMap<Vec<u8>, Places>,
}

/// The list of a value as it grows.
#[derive(Default)]
struct Places {
    next: u32,
    list: Vec<u8>,
}

impl Places {
    fn push(&mut self, offset: u32) {
        let gap = offset.saturating_sub(self.next);
        push_length(&mut self.list, usize::try_from(gap).unwrap_or(usize::MAX));
        self.next = offset.saturating_add(1);
    }
}

impl Builder {
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// Adds a row; rows come in the order of their positions. `false` = the segment ended before this one.
    pub(super) fn add(&mut self, position: Position, row: &[u8], limit: u32) -> bool {
        if self.rows == 0 {
            self.segment.first = position.0;
            self.segment.first_head = head(row).to_vec();
            self.segment.newest = i64::MIN;
        }
        let offset = position.0 - self.segment.first;
        if self.rows >= limit || self.room >= ROOM || offset >= SPAN {
            return false;
        }
        let offset = u32::try_from(offset).unwrap_or(0);
        self.rows += 1;
        self.segment.last = position.0;
        self.segment.last_head.clear();
        self.segment.last_head.extend_from_slice(head(row));
        match row::keys(row) {
            Ok(keys) => {
                let received = i64::try_from(keys.received.as_nanosecond()).unwrap_or(i64::MAX);
                self.segment.newest = self.segment.newest.max(received);
                self.place(keys.form, Field::Device, keys.device.as_bytes(), offset);
                self.place(keys.form, Field::User, keys.user, offset);
                self.place(keys.form, Field::Command, keys.command, offset);
            }
            Err(MalformedRecord) => self.unreadable.push(offset),
        }
        true
    }

    fn place(&mut self, form: Form, field: Field, value: &[u8], offset: u32) {
        let is_it = |group: &Group| group.form == form && group.field == field;
        let index = match self.groups.iter().position(is_it) {
            Some(index) => index,
            None => {
                self.groups.push(Group {
                    form,
                    field,
                    values: HashMap::new(),
                });
                self.groups.len() - 1
            }
        };
        let Some(Group { values, .. }) = self.groups.get_mut(index) else {
            return;
        };
        match values.get_mut(value) {
            Some(places) => places.push(offset),
            None => {
                self.room += value.len() + VALUE;
                let mut places = Places::default();
                places.push(offset);
                values.insert(value.to_vec(), places);
            }
        }
    }

    /// The segment and its blocks; `None` = there was no row.
    pub(super) fn finish(mut self) -> Option<(Segment, Vec<Vec<u8>>)> {
        if self.rows == 0 {
            return None;
        }
        let mut blocks = Vec::new();
        let directory = &mut self.segment.directory;
        if !self.unreadable.list.is_empty() {
            let unreadable = vec![(Vec::new(), self.unreadable)];
            write_group(directory, &mut blocks, (UNREADABLE, 0), unreadable);
        }
        self.groups
            .sort_unstable_by_key(|group| (group.form, group.field));
        for group in self.groups {
            let mut values: Vec<_> = group.values.into_iter().collect();
            values.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            let codes = (group.form.version(), group.field.code());
            write_group(directory, &mut blocks, codes, values);
        }
        Some((self.segment, blocks))
    }
}

fn write_group(
    directory: &mut Vec<u8>,
    blocks: &mut Vec<Vec<u8>>,
    (form, field): (u8, u8),
    values: Vec<(Vec<u8>, Places)>,
) {
    let mut ends = Vec::new();
    let mut block = Vec::with_capacity(BLOCK * 2);
    let mut values = values.into_iter().peekable();
    while let Some((value, places)) = values.next() {
        push_text(&mut block, &value);
        push_text(&mut block, &places.list);
        if block.len() >= BLOCK || values.peek().is_none() {
            ends.push((value, crc32fast::hash(&block)));
            blocks.push(std::mem::take(&mut block));
        }
    }
    directory.extend_from_slice(&[form, field]);
    push_length(directory, ends.len());
    for (greatest, checksum) in ends {
        push_text(directory, &greatest);
        directory.extend_from_slice(&checksum.to_le_bytes());
    }
}
