//! The ids of the connecting side.
//!
//! Id 0 is kept for Status-Server, so that a connection that is full can still be checked. An id whose request timed
//! out is in quarantine: its answer may still come and must not match another request.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::Now;

/// The id of every Status-Server.
pub const STATUS_ID: u8 = 0;

/// All 255 ids are outstanding or in quarantine: the request needs another connection, or has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("all 255 ids of the connection are in use")
    }
}

impl core::error::Error for Full {}

/// Which of the ids 1 to 255 of one connection are in use.
#[derive(Debug)]
pub struct Ids {
    /// A bit for each id.
    used: [u128; 2],
    last: u8,
    /// Ids whose requests timed out and when they are free again, the first one first.
    quarantine: VecDeque<(Now, u8)>,
    span: Duration,
}

impl Ids {
    /// All ids free; one that times out stays unused for `quarantine`.
    pub fn new(quarantine: Duration) -> Self {
        Self {
            used: [0; 2],
            last: STATUS_ID,
            quarantine: VecDeque::new(),
            span: quarantine,
        }
    }

    /// Takes the free id that follows the last one taken, so that an id rests as long as possible.
    ///
    /// # Errors
    /// No id is free.
    pub fn take(&mut self) -> Result<u8, Full> {
        let after = self.last.saturating_add(1)..=u8::MAX;
        let id = after
            .chain(1..=self.last)
            .find(|id| *id != STATUS_ID && !self.is_used(*id))
            .ok_or(Full)?;
        self.set(id, true);
        self.last = id;
        Ok(id)
    }

    /// Frees an id: its request, in time or late, was answered.
    pub fn release(&mut self, id: u8) {
        self.quarantine.retain(|(_, held)| *held != id);
        self.set(id, false);
    }

    /// Keeps an id that is in use from being used again until it is released or the time of quarantine is over.
    pub fn quarantine(&mut self, id: u8, now: Now) {
        if self.is_used(id) && self.quarantine.iter().all(|(_, held)| *held != id) {
            self.quarantine.push_back((now.after(self.span), id));
        }
    }

    /// When the next id leaves quarantine.
    pub fn timeout(&self) -> Option<Now> {
        self.quarantine.front().map(|(end, _)| *end)
    }

    /// Frees one id whose quarantine is over and tells it; call it until there is none.
    pub fn expire(&mut self, now: Now) -> Option<u8> {
        let (end, _) = self.quarantine.front()?;
        if now < *end {
            return None;
        }
        let (_, id) = self.quarantine.pop_front()?;
        self.set(id, false);
        Some(id)
    }

    /// How many ids are free.
    pub fn free(&self) -> usize {
        let used: u32 = self.used.iter().map(|half| half.count_ones()).sum();
        usize::from(u8::MAX).saturating_sub(usize::try_from(used).unwrap_or(usize::MAX))
    }

    fn is_used(&self, id: u8) -> bool {
        let half = self.used.get(usize::from(id >> 7));
        half.is_some_and(|half| half & Self::bit(id) != 0)
    }

    fn set(&mut self, id: u8, used: bool) {
        if let Some(half) = self.used.get_mut(usize::from(id >> 7)) {
            if used {
                *half |= Self::bit(id);
            } else {
                *half &= !Self::bit(id);
            }
        }
    }

    fn bit(id: u8) -> u128 {
        1 << (id & 127)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Now {
        Now(Duration::from_secs(seconds))
    }

    #[test]
    fn there_are_255_and_never_0() {
        let mut ids = Ids::new(Duration::from_secs(30));
        let taken: BTreeSet<u8> = (0..255).map(|_| ids.take().unwrap()).collect();
        assert_eq!(taken, (1..=255).collect());
        assert_eq!(ids.take(), Err(Full));
        ids.release(77);
        assert_eq!(ids.take(), Ok(77));
    }

    #[test]
    fn quarantine_ends_by_an_answer_or_in_time() {
        let mut ids = Ids::new(Duration::from_secs(30));
        for _ in 0..255 {
            ids.take().unwrap();
        }
        ids.quarantine(5, at(0));
        ids.quarantine(6, at(1));
        assert_eq!(ids.take(), Err(Full));
        ids.release(5);
        assert_eq!(ids.take(), Ok(5));
        assert_eq!(ids.timeout(), Some(at(31)));
        assert_eq!(ids.expire(at(30)), None);
        assert_eq!(ids.take(), Err(Full));
        assert_eq!(ids.expire(at(31)), Some(6));
        assert_eq!(ids.expire(at(31)), None);
        assert_eq!(ids.take(), Ok(6));
    }

    proptest! {
        #[test]
        fn an_id_is_never_taken_twice(steps in prop::collection::vec((0_u8..4, any::<u8>()), 0..900)) {
            let mut ids = Ids::new(Duration::from_secs(10));
            let mut busy = BTreeSet::new();
            for (second, (step, id)) in (0_u64..).zip(steps) {
                match step {
                    0 | 1 => match ids.take() {
                        Ok(id) => prop_assert!(id != STATUS_ID && busy.insert(id)),
                        Err(Full) => prop_assert_eq!(busy.len(), 255),
                    },
                    2 => {
                        ids.release(id);
                        busy.remove(&id);
                    }
                    _ => ids.quarantine(id, at(second)),
                }
                while let Some(id) = ids.expire(at(second)) {
                    prop_assert!(busy.remove(&id));
                }
                prop_assert_eq!(ids.free(), 255 - busy.len());
            }
        }
    }
}
