//! Making room: a full listener with `make_room` closes the connection that has been idle for longest, for a new one.
//!
//! ```text
//! idle at the end of a turn → its place among the idle, oldest first
//! accept, and no place left → the oldest idle one gives its place to the new one, is told so, and closes
//! ```
//!
//! The idle ones stand in order, so that a new connection costs the same however many there are. What has a request under
//! way, or is in its handshake, is not among them. One that has given its place away may still need a moment to close: so
//! many may do so at once, and a flood of new connections gets no further than that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::time::Instant;

use super::limits::Slot;

/// Connections that have given their place away and are not closed yet, at most.
const LEAVING: usize = 64;

/// When it became idle, and a number of its own: two may have become idle in one moment.
type Since = (Instant, u64);

/// The idle connections of a listener, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Room {
    idle: Mutex<BTreeMap<Since, Idle>>,
    leaving: Arc<AtomicUsize>,
    seats: AtomicU64,
}

#[derive(Debug)]
struct Idle {
    place: Arc<Place>,
    waker: Waker,
}

#[derive(Debug)]
struct Place {
    /// Among the connections of the listener, or among those that are leaving.
    slot: Mutex<Slot>,
    given_away: AtomicBool,
}

impl Room {
    /// A place among `places`, of which there are `limit`: of the connection that has been idle for longest, which is told to
    /// close. Where more are taken than there are, because a reload has lowered the limit, as many are told to close as it
    /// takes. `None` where too few are idle, or too many are closing; those that were told have brought the limit nearer for
    /// the next one that comes.
    pub(super) fn make(&self, places: &Arc<AtomicUsize>, limit: usize) -> Option<Slot> {
        loop {
            let given = self.take_oldest()?;
            // Still counted itself: this is the place of one, and the others are no more than may be.
            if places.load(Ordering::Relaxed) <= limit {
                return Some(given);
            }
        }
    }

    fn take_oldest(&self) -> Option<Slot> {
        let leaving = Slot::take(&self.leaving, LEAVING)?;
        let mut idle = self.idle();
        let (_, Idle { place, waker }) = idle.pop_first()?;
        let slot = place.slot.lock();
        let mut slot = slot.unwrap_or_else(PoisonError::into_inner);
        let given = std::mem::replace(&mut *slot, leaving);
        place.given_away.store(true, Ordering::Release);
        drop(idle);
        waker.wake();
        Some(given)
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<Since, Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection, given back on drop.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    place: Arc<Place>,
    number: u64,
    idle: Option<Since>,
}

impl Seat {
    pub(super) fn new(room: &Arc<Room>, slot: Slot) -> Self {
        Self {
            place: Arc::new(Place {
                slot: Mutex::new(slot),
                given_away: AtomicBool::new(false),
            }),
            number: room.seats.fetch_add(1, Ordering::Relaxed),
            room: Arc::clone(room),
            idle: None,
        }
    }

    /// Whether the place is another's now, and the connection has to close.
    pub(super) fn is_given_away(&self) -> bool {
        self.place.given_away.load(Ordering::Acquire)
    }

    /// Tells since when the connection is idle; `None` = it is not. Costs nothing where that is as before.
    pub(super) fn idle_since(&mut self, since: Option<Instant>, waker: &Waker) {
        let since = since.map(|since| (since, self.number));
        if since == self.idle {
            return;
        }
        let mut idle = self.room.idle();
        if let Some(before) = self.idle.take() {
            idle.remove(&before);
        }
        // Whoever takes a place does so under the lock, so that nobody stands here again without one.
        if let Some(since) = since
            && !self.is_given_away()
        {
            let place = Arc::clone(&self.place);
            let waker = waker.clone();
            idle.insert(since, Idle { place, waker });
            self.idle = Some(since);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(since) = self.idle {
            self.room.idle().remove(&since);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(counter: &Arc<AtomicUsize>) -> usize {
        counter.load(Ordering::Relaxed)
    }

    /// Who has a request, has gone or has given its place away has none to give.
    #[test]
    fn the_one_that_is_idle_for_longest_gives_its_place_away() {
        let (room, places) = (Arc::<Room>::default(), Arc::default());
        let seat = |_| Seat::new(&room, Slot::take(&places, 4).unwrap());
        let mut seats: Vec<Seat> = (0..4).map(seat).collect();
        let begin = Instant::now();
        let waker = Waker::noop();
        assert!(room.make(&places, 4).is_none(), "none is idle");
        assert_eq!(taken(&room.leaving), 0);
        for (seat, since) in seats.iter_mut().zip([5, 1, 3, 3]) {
            seat.idle_since(Some(begin + Duration::from_secs(since)), waker);
        }
        // One has a request, and becomes idle last.
        seats[1].idle_since(None, waker);
        let slot = room.make(&places, 4).unwrap();
        assert!(seats[2].is_given_away() && !seats[3].is_given_away());
        seats[1].idle_since(Some(begin + Duration::from_secs(9)), waker);
        // It has gone before its turn came.
        drop(seats.remove(3));
        let other = room.make(&places, 4).unwrap();
        assert!(seats[0].is_given_away() && !seats[1].is_given_away());
        assert_eq!((taken(&places), taken(&room.leaving)), (3, 2));
        // Who has given its place away has none to give.
        seats[0].idle_since(Some(begin), waker);
        seats[0].idle_since(None, waker);
        seats[2].idle_since(Some(begin + Duration::from_secs(1)), waker);
        assert!(room.make(&places, 4).is_some() && seats[1].is_given_away());
        assert!(room.make(&places, 4).is_none());
        drop((slot, other));
        assert_eq!(taken(&places), 0, "the third was not kept");
        drop(seats);
        assert_eq!(taken(&room.leaving), 0);
        assert!(room.idle().is_empty());
    }

    /// A reload has lowered the limit from six to three: the fourth place has to become free before there is one for
    /// somebody else.
    #[test]
    fn a_lowered_limit_is_kept_before_anybody_comes() {
        let (room, places) = (Arc::<Room>::default(), Arc::default());
        let mut seats: Vec<Seat> = (0..6)
            .map(|_| Seat::new(&room, Slot::take(&places, 6).unwrap()))
            .collect();
        let begin = Instant::now();
        for seat in &mut seats[..2] {
            seat.idle_since(Some(begin), Waker::noop());
        }
        assert!(room.make(&places, 3).is_none(), "two are too few");
        assert_eq!(taken(&places), 4);
        for seat in &mut seats[2..] {
            seat.idle_since(Some(begin), Waker::noop());
        }
        let slot = room.make(&places, 3).unwrap();
        assert_eq!(taken(&places), 3, "the new one among them");
        let given = seats.iter().filter(|seat| seat.is_given_away()).count();
        assert_eq!((given, taken(&room.leaving)), (4, 4));
        // Nobody is, where none at all may be.
        assert!(room.make(&places, 0).is_none());
        drop((slot, seats));
        assert_eq!((taken(&places), taken(&room.leaving)), (0, 0));
    }

    /// A flood displaces no more than may close at once.
    #[test]
    fn no_more_leave_at_once_than_may() {
        let (room, places) = (Arc::<Room>::default(), Arc::default());
        let count = LEAVING + 3;
        let mut seats: Vec<Seat> = (0..count)
            .map(|_| Seat::new(&room, Slot::take(&places, count).unwrap()))
            .collect();
        let begin = Instant::now();
        for seat in &mut seats {
            seat.idle_since(Some(begin), Waker::noop());
        }
        let made: Vec<Slot> = std::iter::from_fn(|| room.make(&places, count)).collect();
        assert_eq!(made.len(), LEAVING);
        assert_eq!(taken(&places), count);
        // One has closed.
        drop(seats.remove(0));
        assert!(room.make(&places, count).is_some());
        assert!(room.make(&places, count).is_none());
    }
}
