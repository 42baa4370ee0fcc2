//! Which server has asked what: the rounds of a login belong to one server (RFC 2865 section 5.24).

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a question is remembered at least; it may be twice as long.
const KEPT: Duration = Duration::from_secs(120);

/// Questions of one generation: what is remembered has a bound, whoever asks.
const MOST: usize = 65_536;

/// Bounded memory of two generations: when the younger one is old or full, it becomes the older one.
#[derive(Default)]
pub(super) struct Sticky {
    hasher: RandomState,
    both: Mutex<Both>,
}

#[derive(Default)]
struct Both {
    since: Option<Instant>,
    young: HashMap<u64, usize>,
    old: HashMap<u64, usize>,
}

impl Sticky {
    /// Which server has asked what this names.
    pub(super) fn asked(&self, name: &[&[u8]]) -> Option<usize> {
        let key = self.hasher.hash_one(name);
        let mut both = self.lock();
        both.age(Instant::now());
        let found = both.young.get(&key).or_else(|| both.old.get(&key));
        found.copied()
    }

    /// This server has asked it.
    pub(super) fn note(&self, name: &[&[u8]], server: usize) {
        let key = self.hasher.hash_one(name);
        let mut both = self.lock();
        both.age(Instant::now());
        both.young.insert(key, server);
    }

    fn lock(&self) -> MutexGuard<'_, Both> {
        self.both.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Both {
    fn age(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let age = now.saturating_duration_since(since);
        if age >= KEPT * 2 {
            self.young.clear();
        }
        if age >= KEPT || self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was noted is found for the promised time, and not for ever.
    #[test]
    fn a_question_is_remembered_for_a_while() {
        let mut both = Both::default();
        let start = Instant::now();
        both.age(start);
        both.young.insert(7, 3);
        both.age(start + KEPT - Duration::from_secs(1));
        assert_eq!(both.young.get(&7), Some(&3));
        both.age(start + KEPT);
        assert_eq!((both.young.get(&7), both.old.get(&7)), (None, Some(&3)));
        both.age(start + KEPT * 2);
        assert_eq!((both.young.get(&7), both.old.get(&7)), (None, None));
    }

    /// Nobody can fill the memory: the oldest go first.
    #[test]
    fn what_is_remembered_is_bounded() {
        let sticky = Sticky::default();
        for number in 0..3 * MOST {
            sticky.note(&[&number.to_be_bytes()], 1);
        }
        let both = sticky.lock();
        assert!(both.young.len() + both.old.len() <= 2 * MOST);
        drop(both);
        assert_eq!(sticky.asked(&[&0_usize.to_be_bytes()]), None);
        let last = 3 * MOST - 1;
        assert_eq!(sticky.asked(&[&last.to_be_bytes()]), Some(1));
    }

    /// The parts of a name are told apart: the station of one user is not that of another.
    #[test]
    fn names_are_told_apart() {
        let sticky = Sticky::default();
        sticky.note(&[b"alice", b"00-11"], 2);
        assert_eq!(sticky.asked(&[b"alice", b"00-11"]), Some(2));
        assert_eq!(sticky.asked(&[b"alice0", b"0-11"]), None);
    }
}
