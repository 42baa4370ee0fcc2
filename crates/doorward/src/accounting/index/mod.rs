//! The index of the journal: which rows are of which device, user and command.
//!
//! ```text
//! writer: "committed up to N"  →  indexer thread: runs of rows → segments → JOURNAL.index
//!                                                                              ↓
//!                         Reader::search / Reader::tail: conditions → candidates → rows → conditions again
//! ```
//!
//! Nothing here is on the way of a record: the table that is written has no index, and what is built behind it lies in a
//! file of its own. A *segment* covers a run of rows that do not change any more; a search takes the rows it has to look
//! at from the segments, reads every row where there is none, and judges each row itself. So an index that is late,
//! missing or damaged costs time and no answer.

mod bits;
mod lookup;
mod plan;
mod segment;
mod store;
mod worker;

#[cfg(test)]
mod tests;

pub(super) use lookup::Lookup;
pub(super) use plan::Conditions;
pub(super) use worker::{Indexer, Signal};
