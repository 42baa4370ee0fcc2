//! Things with an end, and not more of them than fit: who asks for many names pushes out what is oldest, and nothing grows.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// A map whose values weigh something and hold for a while.
pub(super) struct Cache<K, V> {
    inner: Mutex<Inner<K, V>>,
    /// The most its values may weigh together.
    room: usize,
}

struct Inner<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// In the order in which they came. A key that came again is here again, and its older place counts for nothing.
    order: VecDeque<(K, u64)>,
    weight: usize,
    number: u64,
}

struct Entry<V> {
    value: V,
    until: Instant,
    weight: usize,
    number: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    pub(super) fn new(room: usize) -> Self {
        let inner = Inner {
            entries: HashMap::new(),
            order: VecDeque::new(),
            weight: 0,
            number: 0,
        };
        Self {
            inner: Mutex::new(inner),
            room,
        }
    }

    /// The value and its end, if that is still ahead.
    pub(super) fn get(&self, key: &K, now: Instant) -> Option<(V, Instant)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = inner.entries.get(key)?;
        (entry.until > now).then(|| (entry.value.clone(), entry.until))
    }

    pub(super) fn put(&self, key: K, value: V, until: Instant, weight: usize) {
        // An entry costs something even if it holds nothing.
        let weight = weight.saturating_add(128);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.number = inner.number.wrapping_add(1);
        let number = inner.number;
        inner.order.push_back((key.clone(), number));
        let entry = Entry {
            value,
            until,
            weight,
            number,
        };
        let before = inner.entries.insert(key, entry);
        inner.weight = inner.weight.saturating_add(weight);
        inner.weight = inner
            .weight
            .saturating_sub(before.map_or(0, |entry| entry.weight));
        // What is written again and again leaves places behind.
        while inner.weight > self.room || inner.order.len() > inner.entries.len().saturating_mul(2)
        {
            let Some((key, number)) = inner.order.pop_front() else {
                break;
            };
            if inner
                .entries
                .get(&key)
                .is_some_and(|entry| entry.number == number)
            {
                let gone = inner.entries.remove(&key);
                inner.weight = inner
                    .weight
                    .saturating_sub(gone.map_or(0, |entry| entry.weight));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_of_names_does_not_grow_it() {
        let (cache, now) = (Cache::new(100_000), Instant::now());
        let until = now + Duration::from_secs(60);
        for number in 0..100_000_u32 {
            cache.put(number, (), until, 100);
        }
        let inner = cache.inner.lock().unwrap();
        assert!(inner.weight <= 100_000 && inner.entries.len() <= 500);
        assert!(inner.order.len() <= 1000, "{}", inner.order.len());
        assert!(inner.entries.contains_key(&99_999));
    }

    #[test]
    fn one_name_again_and_again_neither() {
        let (cache, now) = (Cache::new(100_000), Instant::now());
        let until = now + Duration::from_secs(60);
        for number in 0..10_000_u32 {
            cache.put("host", number, until, 0);
        }
        assert_eq!(cache.get(&"host", now), Some((9_999, until)));
        assert_eq!(cache.get(&"host", until), None);
        assert!(cache.inner.lock().unwrap().order.len() <= 2);
    }
}
