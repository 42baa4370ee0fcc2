//! The tasks that accounting has opened and not closed (RFC 8907 section 8.3).

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use doorward_tacacs::AccountingRecord;

/// A new `task_id`, in decimal digits: the upper half is random, so that those of several processes do not meet; the lower
/// half counts, so that a process makes none twice before 2^32 others. That matters for commands, whose starts have no stop.
pub fn task_id() -> Result<String, getrandom::Error> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let upper = u64::from(getrandom::u32()?) << 32;
    Ok((upper | u64::from(MADE.fetch_add(1, Ordering::Relaxed))).to_string())
}

/// The `task_id`s between their start and their stop.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashSet<Vec<u8>>>);

impl Tasks {
    /// Looks at the id of a record that is about to be sent. `None`: it is a start whose id was started and not stopped.
    pub(crate) fn begin<'a>(&'a self, record: AccountingRecord, id: &'a [u8]) -> Option<Task<'a>> {
        match record {
            AccountingRecord::Start if !self.open().insert(id.to_vec()) => None,
            AccountingRecord::Start
            | AccountingRecord::Stop
            | AccountingRecord::Watchdog
            | AccountingRecord::Update => Some(Task {
                tasks: self,
                record,
                id,
                recorded: false,
            }),
        }
    }

    /// A new id that no task has which is open.
    pub(crate) fn fresh(&self) -> Result<String, getrandom::Error> {
        let open = self.open();
        // Ends: there are more numbers than any program has tasks.
        loop {
            let id = task_id()?;
            if !open.contains(id.as_bytes()) {
                return Ok(id);
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, HashSet<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record on its way. Dropping it frees the id of a stop that was recorded, and of a start that was not.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    tasks: &'a Tasks,
    record: AccountingRecord,
    id: &'a [u8],
    recorded: bool,
}

impl Task<'_> {
    /// The server took the record.
    pub(crate) fn recorded(mut self) {
        self.recorded = true;
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        let free = match self.record {
            AccountingRecord::Start => !self.recorded,
            AccountingRecord::Stop => self.recorded,
            AccountingRecord::Watchdog | AccountingRecord::Update => false,
        };
        if free {
            self.tasks.open().remove(self.id);
        }
    }
}
