//! Tasks that a device began and has not ended: a START without its STOP (RFC 8907 section 7.2).
//!
//! A task is what one device calls by one `task_id`. The records are read once, oldest first, and only the tasks that are open at that
//! point are kept in memory; a device that uses an id again has begun another task, and the one before was never ended.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::entry::EntryView;
use super::error::JournalError;
use super::query::{Query, Wanted};
use super::reader::{Reader, Stored};
use super::record::Kind;
use super::row::{Form, Keys};

/// A task that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTask {
    /// The record that began it; the first one about it where its START is older than what was searched.
    pub began: Stored,
    /// When its device last reported of it.
    pub last_seen: Timestamp,
}

/// What was found.
#[derive(Debug, Default)]
pub struct OpenTasks {
    /// The tasks that are open, in the order in which they began.
    pub tasks: Vec<OpenTask>,
    /// How many that began before them were left out, because there were more than [`OpenTasks::MOST`].
    pub left_out: usize,
}

impl OpenTasks {
    /// Tasks that are remembered. Devices that report the start of every command and no end have no fewer than commands.
    pub const MOST: usize = 100_000;
}

/// Open tasks by device and `task_id`.
#[derive(Debug, Default)]
struct Tasks {
    devices: HashMap<Arc<str>, HashMap<Vec<u8>, OpenTask>>,
    /// How many there may be, at most.
    count: usize,
    left_out: usize,
}

impl Reader {
    /// The tasks that are open, of those whose record `query` is for. Records that cannot be read are handed to `malformed`, and
    /// the search goes on.
    ///
    /// Every record of the device (of all devices, without one) since `query.since` is read, because the end of a task need not
    /// name its user or command.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn open_tasks(
        &self,
        query: &Query,
        mut malformed: impl FnMut(JournalError),
    ) -> Result<OpenTasks, JournalError> {
        let everything = Query {
            device: query.device.clone(),
            since: query.since,
            wanted: Wanted::default(),
            ..Query::default()
        };
        let mut tasks = Tasks::default();
        for stored in self.search(everything)? {
            match stored {
                Ok(stored) => tasks.take(stored),
                Err(error @ JournalError::Malformed(_)) => malformed(error),
                Err(error) => return Err(error),
            }
        }
        tasks.forget(OpenTasks::MOST);
        let left_out = tasks.left_out;
        let mut open: Vec<OpenTask> = tasks
            .devices
            .into_values()
            .flat_map(HashMap::into_values)
            .filter(|task| is_for(query, &task.began))
            .collect();
        open.sort_unstable_by_key(|task| task.began.position);
        Ok(OpenTasks {
            tasks: open,
            left_out,
        })
    }
}

impl Tasks {
    fn take(&mut self, stored: Stored) {
        let Ok(EntryView::Accounting(view)) = stored.entry.view() else {
            return;
        };
        let mut arguments = view.arguments;
        let Some(task) = arguments.find_map(task_id) else {
            return;
        };
        let (kind, device, received) = (view.fields.kind, view.fields.device, view.fields.received);
        if kind == Kind::Stop {
            if let Some(tasks) = self.devices.get_mut(device) {
                self.count -= usize::from(tasks.remove(task).is_some());
            }
            return;
        }
        if let Some(open) = self
            .devices
            .get_mut(device)
            .and_then(|tasks| tasks.get_mut(task))
            .filter(|_| kind != Kind::Start)
        {
            open.last_seen = received;
            return;
        }
        let (device, task): (Arc<str>, _) = (device.into(), task.to_vec());
        let open = OpenTask {
            began: stored,
            last_seen: received,
        };
        let before = self.devices.entry(device).or_default().insert(task, open);
        if before.is_none() {
            self.count += 1;
        }
        if self.count >= 2 * OpenTasks::MOST {
            self.forget(OpenTasks::MOST);
        }
    }

    /// Keeps the `most` that began last.
    fn forget(&mut self, most: usize) {
        let all = self.devices.values().flat_map(HashMap::values);
        let mut places: Vec<_> = all.map(|task| task.began.position).collect();
        self.count = places.len();
        let Some(surplus) = places
            .len()
            .checked_sub(most)
            .filter(|surplus| *surplus > 0)
        else {
            return;
        };
        let (_, first, _) = places.select_nth_unstable(surplus);
        let first = *first;
        for tasks in self.devices.values_mut() {
            tasks.retain(|_, task| task.began.position >= first);
        }
        self.devices.retain(|_, tasks| !tasks.is_empty());
        self.count = most;
        self.left_out += surplus;
    }
}

fn task_id(argument: &[u8]) -> Option<&[u8]> {
    let value = argument.strip_prefix(b"task_id")?;
    value
        .strip_prefix(b"=")
        .or_else(|| value.strip_prefix(b"*"))
}

/// Whether the record is one that the query is for, its kind aside.
fn is_for(query: &Query, stored: &Stored) -> bool {
    let Ok(EntryView::Accounting(view)) = stored.entry.view() else {
        return false;
    };
    let fields = &view.fields;
    query.may_match(&Keys {
        form: Form::Accounting,
        received: fields.received,
        device: fields.device,
        user: fields.user,
        command: fields.command,
    })
}
