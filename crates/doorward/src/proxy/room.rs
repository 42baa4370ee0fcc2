//! Room for the requests of one pool, shared among the devices: whoever asks for much leaves as much to the others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many requests may be under way at once. A device gets another place while it has fewer than are left: one alone half of
/// all, two that want everything a third each, and somebody who asks for little always finds some.
#[derive(Debug)]
pub(super) struct Room {
    all: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    places: usize,
    /// How many wait, those that have gone since included.
    waiting: usize,
    /// Only those that have something or wait.
    devices: HashMap<Arc<str>, Share>,
}

#[derive(Debug, Default)]
struct Share {
    places: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    device: Arc<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.leave(&self.device);
    }
}

impl Room {
    pub(super) fn new(all: usize) -> Self {
        Self {
            all,
            taken: Mutex::default(),
        }
    }

    /// Places that are taken.
    pub(super) fn taken(&self) -> usize {
        self.lock().places
    }

    /// A place, if the device may have one now. Those of it that wait go first.
    pub(super) fn try_enter(self: &Arc<Self>, device: &Arc<str>) -> Option<Place> {
        let mut taken = self.lock();
        let left = self.all.saturating_sub(taken.places);
        let share = taken.devices.get(device);
        let (own, waits) = share.map_or((0, false), |share| {
            (
                share.places,
                share.waiting.iter().any(|one| !one.is_closed()),
            )
        });
        if own >= left || waits {
            return None;
        }
        taken.take(device);
        Some(Place {
            room: Arc::clone(self),
            device: Arc::clone(device),
        })
    }

    /// A place, as soon as the device may have one. Whoever drops the future waits no more.
    pub(super) async fn enter(self: &Arc<Self>, device: &Arc<str>) -> Option<Place> {
        if let Some(place) = self.try_enter(device) {
            return Some(place);
        }
        let (given, place) = oneshot::channel();
        let share = |taken: &mut Taken| {
            let share = taken.devices.entry(Arc::clone(device)).or_default();
            share.waiting.push_back(given);
            taken.waiting = taken.waiting.saturating_add(1);
        };
        share(&mut self.lock());
        // Somebody may have left in between.
        self.give();
        place.await.ok()
    }

    fn leave(self: &Arc<Self>, device: &Arc<str>) {
        let mut taken = self.lock();
        taken.places = taken.places.saturating_sub(1);
        if let Some(share) = taken.devices.get_mut(device) {
            share.places = share.places.saturating_sub(1);
        }
        taken.forget(device);
        drop(taken);
        self.give();
    }

    /// Gives what is free to those that wait, the device with the fewest places first.
    fn give(self: &Arc<Self>) {
        loop {
            let mut taken = self.lock();
            let left = self.all.saturating_sub(taken.places);
            let Some((device, given)) = taken.next(left) else {
                return;
            };
            taken.take(&device);
            drop(taken);
            let place = Place {
                room: Arc::clone(self),
                device,
            };
            // Whoever has just gone leaves it again.
            _ = given.send(place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn take(&mut self, device: &Arc<str>) {
        self.places = self.places.saturating_add(1);
        let share = self.devices.entry(Arc::clone(device)).or_default();
        share.places = share.places.saturating_add(1);
    }

    fn forget(&mut self, device: &Arc<str>) {
        let idle = |share: &Share| share.places == 0 && share.waiting.is_empty();
        if self.devices.get(device).is_some_and(idle) {
            self.devices.remove(device);
        }
    }

    fn next(&mut self, left: usize) -> Option<(Arc<str>, oneshot::Sender<Place>)> {
        if self.waiting == 0 {
            return None;
        }
        self.devices.retain(|_, share| {
            share.waiting.retain(|one| !one.is_closed());
            share.places > 0 || !share.waiting.is_empty()
        });
        self.waiting = self.devices.values().map(|share| share.waiting.len()).sum();
        let waiting = self.devices.iter_mut();
        let waiting = waiting.filter(|(_, share)| !share.waiting.is_empty());
        let (device, share) = waiting.min_by_key(|(_, share)| share.places)?;
        if share.places >= left {
            return None;
        }
        let given = share.waiting.pop_front()?;
        self.waiting = self.waiting.saturating_sub(1);
        Some((Arc::clone(device), given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(room: &Arc<Room>, device: &Arc<str>) -> Vec<Place> {
        std::iter::from_fn(|| room.try_enter(device)).collect()
    }

    /// A device that wants everything leaves half, the next one a third, and there is always a place for whoever asks for one.
    #[test]
    fn nobody_takes_all() {
        let room = Arc::new(Room::new(120));
        let [one, other, small] = ["one", "other", "small"].map(Arc::<str>::from);
        let first = places(&room, &one);
        assert_eq!(first.len(), 60);
        let second = places(&room, &other);
        assert_eq!(second.len(), 30);
        assert!(room.try_enter(&small).is_some());
        drop(first);
        assert_eq!(places(&room, &other).len(), 30);
        assert_eq!(room.taken(), 30);
    }

    /// What is left goes to whoever waits, and first to whoever has least; nothing is kept of those that are gone.
    #[tokio::test]
    async fn who_waits_is_let_in() {
        let room = Arc::new(Room::new(8));
        let [greedy, modest] = ["greedy", "modest"].map(Arc::<str>::from);
        let mut held = places(&room, &greedy);
        assert_eq!(held.len(), 4);
        let more = room.enter(&greedy);
        tokio::pin!(more);
        let others = places(&room, &modest);
        let also = room.enter(&modest);
        tokio::pin!(also);
        tokio::select! {
            biased;
            _ = &mut more => panic!("it has more than is left"),
            _ = &mut also => panic!("it has as much as is left"),
            () = std::future::ready(()) => {}
        }
        held.truncate(3);
        let came = also.await.unwrap();
        drop((held, others, came));
        drop(more.await.unwrap());
        assert_eq!(room.taken(), 0);
        assert!(room.lock().devices.is_empty());
    }
}
