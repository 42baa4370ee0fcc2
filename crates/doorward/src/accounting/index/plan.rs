//! From the conditions of a search to the rows of a segment that can meet them.

use std::collections::HashSet;

use jiff::Timestamp;

use super::super::query::CommandGlob;
use super::super::row::Form;
use super::bits::Bits;
use super::segment::{Block, Damaged, Entries, Field, Segment};
use super::store::{IndexError, IndexReader};

/// The conditions that the index can judge. A row that it leaves out does not meet them; whether the others do, also in
/// what is not indexed, is seen in the row.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Conditions<'a> {
    pub(in super::super) form: Form,
    pub(in super::super) device: Option<&'a [u8]>,
    pub(in super::super) user: Option<&'a [u8]>,
    pub(in super::super) command: Option<&'a CommandGlob>,
    pub(in super::super) since: Option<Timestamp>,
    /// Users that are left out, where `user` names none.
    pub(in super::super) quiet: &'a HashSet<Vec<u8>>,
}

impl Conditions<'_> {
    /// Whether asking the index is better than reading every row.
    pub(super) fn are_selective(&self) -> bool {
        self.device.is_some()
            || self.user.is_some()
            || self.command.is_some_and(CommandGlob::is_selective)
    }
}

/// The rows of a segment that can meet the conditions.
pub(super) fn select(
    index: &IndexReader,
    segment: &Segment,
    block: i64,
    conditions: &Conditions<'_>,
) -> Result<Bits, IndexError> {
    let span = segment.span().ok_or(Damaged)?;
    let group = Group {
        index,
        segment,
        block,
        span,
        form: conditions.form,
    };
    let mut selected = match conditions.since {
        Some(since) if i128::from(segment.newest) < since.as_nanosecond() => Bits::new(span),
        Some(_) | None => group.meeting(conditions)?,
    };
    for block in segment.unreadable()? {
        group.lists(block, |_| true, &mut selected)?;
    }
    Ok(selected)
}

/// What rows of one form have in a segment.
struct Group<'a> {
    index: &'a IndexReader,
    segment: &'a Segment,
    block: i64,
    span: u32,
    form: Form,
}

impl Group<'_> {
    fn meeting(&self, conditions: &Conditions<'_>) -> Result<Bits, IndexError> {
        let mut selected = None;
        for (field, value) in [
            (Field::Device, conditions.device),
            (Field::User, conditions.user),
        ] {
            if let Some(value) = value {
                narrow(&mut selected, self.equal(field, value)?);
            }
            if selected.as_ref().is_some_and(Bits::is_empty) {
                return Ok(Bits::new(self.span));
            }
        }
        if let Some(glob) = conditions.command.filter(|glob| glob.is_selective()) {
            narrow(&mut selected, self.like(glob)?);
        }
        let mut selected = selected.unwrap_or_else(|| Bits::new(self.span));
        if conditions.user.is_none() {
            for user in conditions.quiet {
                selected.subtract(&self.equal(Field::User, user)?);
            }
        }
        Ok(selected)
    }

    /// The rows whose field is `value`.
    fn equal(&self, field: Field, value: &[u8]) -> Result<Bits, IndexError> {
        let blocks = self.segment.blocks(self.form, field)?;
        let mut found = Bits::new(self.span);
        if let Some(block) = blocks.into_iter().find(|block| block.greatest >= value) {
            self.lists(block, |known| known == value, &mut found)?;
        }
        Ok(found)
    }

    /// The rows whose command matches.
    fn like(&self, glob: &CommandGlob) -> Result<Bits, IndexError> {
        let mut found = Bits::new(self.span);
        let prefix = glob.prefix();
        for block in self.segment.blocks(self.form, Field::Command)? {
            if block.greatest < prefix {
                continue;
            }
            self.lists(block, |known| glob.matches(known), &mut found)?;
            if block.greatest > prefix && !block.greatest.starts_with(prefix) {
                break;
            }
        }
        Ok(found)
    }

    /// Adds the rows of the values of a block that are wanted.
    fn lists(
        &self,
        block: Block<'_>,
        want: impl Fn(&[u8]) -> bool,
        found: &mut Bits,
    ) -> Result<(), IndexError> {
        let octets = self.index.block(self.block, block)?;
        let mut entries = Entries::new(&octets);
        while let Some((value, list)) = entries.next()? {
            if want(value) {
                list.collect(found)?;
            }
        }
        Ok(())
    }
}

fn narrow(selected: &mut Option<Bits>, found: Bits) {
    match selected {
        Some(selected) => selected.intersect(&found),
        None => *selected = Some(found),
    }
}
