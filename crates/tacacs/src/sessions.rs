//! The sessions of a connection, by id.

use alloc::vec::Vec;

use crate::SessionId;

/// A small hash table with open addressing: nothing is allocated before the first session, one session costs one
/// probe, and a thousand cost hardly more. Ids are chosen by the peer, who can make them collide; then a look-up is a
/// walk over the sessions of his own connection, whose number is bounded.
#[derive(Debug)]
pub(crate) struct Sessions<S> {
    /// A power of two, or nothing; at most half of it is in use.
    slots: Vec<Option<(SessionId, S)>>,
    len: usize,
}

impl<S> Default for Sessions<S> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            len: 0,
        }
    }
}

impl<S> Sessions<S> {
    /// An empty table above this size is given back.
    const KEEP: usize = 64;

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.slots.iter().flatten().map(|(id, _)| *id)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&S> {
        let at = self.find(id)?;
        self.slots.get(at)?.as_ref().map(|(_, session)| session)
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut S> {
        let at = self.find(id)?;
        self.slots.get_mut(at)?.as_mut().map(|(_, session)| session)
    }

    /// Adds a session whose id must not be in use.
    pub(crate) fn insert(&mut self, id: SessionId, session: S) {
        if (self.len + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.len += 1;
        self.place(id, session);
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<S> {
        let at = self.find(id)?;
        let (_, session) = self.slots.get_mut(at)?.take()?;
        self.len -= 1;
        self.close_gap(at);
        if self.is_empty() && self.slots.len() > Self::KEEP {
            self.slots = Vec::new();
        }
        Some(session)
    }

    /// Removes some session that `wanted` accepts.
    pub(crate) fn remove_one(&mut self, wanted: impl Fn(&S) -> bool) -> Option<(SessionId, S)> {
        let mut some = self.slots.iter().flatten();
        let (id, _) = some.find(|(_, session)| wanted(session))?;
        let id = *id;
        self.remove(id).map(|session| (id, session))
    }

    fn find(&self, id: SessionId) -> Option<usize> {
        let mut at = self.home(id);
        for _ in 0..self.slots.len() {
            match self.slots.get(at)? {
                Some((other, _)) if *other == id => return Some(at),
                Some(_) => at = self.following(at),
                None => return None,
            }
        }
        None
    }

    fn place(&mut self, id: SessionId, session: S) {
        let mut at = self.home(id);
        for _ in 0..self.slots.len() {
            match self.slots.get_mut(at) {
                Some(slot @ None) => {
                    *slot = Some((id, session));
                    return;
                }
                Some(Some(_)) | None => at = self.following(at),
            }
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(2);
        let mut slots = Vec::new();
        slots.resize_with(size, || None);
        let old = core::mem::replace(&mut self.slots, slots);
        for (id, session) in old.into_iter().flatten() {
            self.place(id, session);
        }
    }

    /// Moves later entries of the same run forward, so that no run has a hole in it.
    fn close_gap(&mut self, mut gap: usize) {
        let mut at = gap;
        for _ in 0..self.slots.len() {
            at = self.following(at);
            let Some(Some((id, _))) = self.slots.get(at) else {
                return;
            };
            if self.distance(self.home(*id), at) >= self.distance(gap, at) {
                self.slots.swap(gap, at);
                gap = at;
            }
        }
    }

    /// Where an id is looked for first: Fibonacci hashing, the high bits are the well mixed ones.
    fn home(&self, id: SessionId) -> usize {
        let bits = self.slots.len().checked_ilog2().unwrap_or(0);
        let mixed = u64::from(id.0.wrapping_mul(0x9e37_79b9));
        usize::try_from((mixed << bits) >> 32).unwrap_or(0)
    }

    fn following(&self, at: usize) -> usize {
        (at + 1) & self.slots.len().wrapping_sub(1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.slots.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_allocated_before_the_first_session() {
        let sessions = Sessions::<u8>::default();
        assert_eq!(sessions.slots.capacity(), 0);
        assert_eq!(sessions.get(SessionId(7)), None);
    }

    #[test]
    fn a_thousand_colliding_ids_are_all_found() {
        let mut sessions = Sessions::default();
        // The inverse of the multiplier makes ids whose mixed value is 0, 1, 2...: all have one home.
        let inverse = 0x144c_bc89_u32;
        assert_eq!(inverse.wrapping_mul(0x9e37_79b9), 1);
        let ids: Vec<SessionId> = (0..1000)
            .map(|n: u32| SessionId(n.wrapping_mul(inverse)))
            .collect();
        for id in &ids {
            sessions.insert(*id, id.0);
        }
        assert!(ids.iter().all(|id| sessions.get(*id) == Some(&id.0)));
        for id in &ids {
            assert_eq!(sessions.remove(*id), Some(id.0));
        }
        assert!(sessions.is_empty());
        assert_eq!(sessions.slots.capacity(), 0);
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(operations in prop::collection::vec((any::<bool>(), 0u32..40), 0..300)) {
            let mut sessions = Sessions::default();
            let mut model = BTreeMap::new();
            for (insert, number) in operations {
                // Multiples of a large power of two collide more often than small numbers do.
                let id = SessionId(number << 27 | number);
                if insert && !model.contains_key(&id) {
                    sessions.insert(id, number);
                    model.insert(id, number);
                } else if !insert {
                    prop_assert_eq!(sessions.remove(id), model.remove(&id));
                }
                prop_assert_eq!(sessions.len(), model.len());
                for id in model.keys() {
                    prop_assert_eq!(sessions.get(*id), model.get(id));
                }
            }
        }
    }
}
