//! Which sources a turn has to look at: a password or a commit of one must not cost a look at all of them.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// The sources of one socket that were woken since its last turn, by what tells them apart.
#[derive(Debug)]
pub(super) struct Woken<K>(Mutex<Inner<K>>);

#[derive(Debug)]
struct Inner<K> {
    task: Option<Waker>,
    sources: Vec<K>,
}

impl<K> Default for Woken<K> {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            task: None,
            sources: Vec::new(),
        }))
    }
}

impl<K> Woken<K> {
    /// Moves them to `sources`; `task` is woken when there are others.
    pub(super) fn take(&self, task: &Waker, sources: &mut Vec<K>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner
            .task
            .as_ref()
            .is_some_and(|known| known.will_wake(task))
        {
            inner.task = Some(task.clone());
        }
        sources.append(&mut inner.sources);
    }

    pub(super) fn add(&self, source: K) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sources.push(source);
        let task = inner.task.clone();
        drop(inner);
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// Wakes one source.
#[derive(Debug)]
pub(super) struct Mark<K> {
    woken: Arc<Woken<K>>,
    source: K,
    /// It is among the woken already.
    set: AtomicBool,
}

impl<K: Copy> Mark<K> {
    pub(super) fn new(woken: &Arc<Woken<K>>, source: K) -> Arc<Self> {
        Arc::new(Self {
            woken: Arc::clone(woken),
            source,
            set: AtomicBool::new(false),
        })
    }

    /// It is looked at now.
    pub(super) fn clear(&self) {
        self.set.store(false, Ordering::SeqCst);
    }
}

impl<K: Copy + Debug + Send + Sync + 'static> Wake for Mark<K> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.set.swap(true, Ordering::SeqCst) {
            self.woken.add(self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_of_once_until_it_is_looked_at() {
        let woken = Arc::new(Woken::default());
        let marks: Vec<Arc<Mark<u8>>> = (1..=2).map(|one| Mark::new(&woken, one)).collect();
        let task = Waker::noop();
        let mut sources = Vec::new();
        let wakers: Vec<Waker> = marks.iter().map(|mark| Arc::clone(mark).into()).collect();
        wakers[1].wake_by_ref();
        wakers[0].wake_by_ref();
        wakers[1].wake_by_ref();
        woken.take(task, &mut sources);
        assert_eq!(sources, [2, 1]);
        sources.clear();
        marks[1].clear();
        for waker in wakers {
            waker.wake();
        }
        woken.take(task, &mut sources);
        assert_eq!(sources, [2]);
    }
}
