//! The durable journal of accounting records, and of the decisions that `[audit]` keeps beside them.
//!
//! ```text
//! Record::new  →  Journal::submit  →  queue  →  writer thread: one transaction for all that waits  →  Commit resolves
//!                                                                     ↓
//!                              Reader::search / Reader::tail (read only, any process)   Cursor (sinks)
//!                                                                     ↑
//!                                              index: built behind the writer, in a file of its own
//! ```
//!
//! SUCCESS may be answered only after the [`Commit`] of a record resolved to `Ok` (RFC 8907 section 7.2): then it is on
//! the disk. A batch whose commit failed is not in the journal, also not later. Nobody waits for a decision: it rides
//! with the next transaction, and is dropped and counted where it would be in the way.

mod cursor;
mod decision;
mod entry;
mod error;
mod escape;
mod index;
mod journal;
mod open;
mod output;
mod place;
mod query;
mod queue;
mod reader;
mod record;
mod row;
mod schema;
mod search;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

pub use cursor::{Cursor, Cursors};
pub use decision::{DecidingRule, DecisionFields, DecisionKind, DecisionRecord, DecisionView};
pub use entry::{Entry, EntryView};
pub use error::JournalError;
pub use escape::{escape, invisible, unescape};
pub use journal::{Journal, JournalOptions, JournalStats};
pub use open::{OpenTask, OpenTasks};
pub use output::{TextForm, write_json, write_open_json};
pub use query::{CommandGlob, Query, SinceError, Wanted, parse_since};
pub use queue::Commit;
pub use reader::{Position, Reader, Stored};
pub use record::{Fields, Kind, Record, UPSTREAM, View, command_line, service_argument};
pub use row::{Arguments, MalformedRecord, Protocol, RecordId};
pub use search::{Search, Tail};
pub use sink::{SinkStats, Sinks, Tick, Ticks};
