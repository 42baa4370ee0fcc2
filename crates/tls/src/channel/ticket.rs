//! Session tickets of the accepting role (RFC 8446 section 4.6.1): stateless, for one use, judged again at every use.
//!
//! ```text
//! ticket = magic ‖ key id ‖ number ‖ AES-256-GCM( hash of the chain ‖ issued ‖ what the TLS library wants back )
//! use:     known key ─ in time ─ not used ─▶ path still good ─ device still served from there ─▶ resumed
//!             └────────────┴─────────┴──────────────┴───────────────┴─▶ full handshake, which says why
//! ```
//!
//! A [`ServerPolicy`](crate::ServerPolicy) has its own keys, so that a ticket never outlives the configuration it was
//! issued under.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use super::verifier::Judge;
use crate::trust::PathKey;

/// The first octets of every ticket of ours; no external identity may begin like this.
pub(crate) const MAGIC: [u8; 4] = *b"DWT1";
/// Magic, key id, number.
const HEADER: usize = 4 + 4 + 8;
/// Hash of the chain, time of issue.
const BOUND: usize = 32 + 8;
/// Tickets of one key; the bits for used ones then take 2 MB.
const MAX_TICKETS: u64 = 1 << 24;
/// Seconds a ticket may be good for (RFC 8446 section 4.6.1).
pub const MAX_TICKET_LIFETIME: u32 = 604_800;

/// The keys of a policy: the one in use and the one before it, for the tickets that are still out.
pub(crate) struct Tickets {
    /// Seconds.
    lifetime: u32,
    keys: Mutex<[Option<Arc<Generation>>; 2]>,
}

/// One key, and which of its tickets came back.
struct Generation {
    id: [u8; 4],
    key: LessSafeKey,
    /// Unix seconds.
    born: i64,
    marks: Mutex<Marks>,
}

#[derive(Default)]
struct Marks {
    issued: u64,
    used: Vec<u64>,
}

/// A ticket that was ours, in time, and perhaps used before.
struct Opened {
    generation: Arc<Generation>,
    number: u64,
    path: PathKey,
    state: Zeroizing<Vec<u8>>,
}

impl Tickets {
    /// For tickets that are good for `lifetime` seconds.
    pub(crate) fn new(lifetime: u32) -> Self {
        Self {
            lifetime,
            keys: Mutex::default(),
        }
    }

    fn seal(&self, path: &PathKey, now: i64, state: &[u8]) -> Option<Vec<u8>> {
        let (generation, number) = self.next(now)?;
        let mut header = Vec::with_capacity(HEADER + BOUND + state.len() + AES_256_GCM.tag_len());
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&generation.id);
        header.extend_from_slice(&number.to_be_bytes());
        let mut sealed = Vec::with_capacity(BOUND + state.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(path);
        sealed.extend_from_slice(&now.to_be_bytes());
        sealed.extend_from_slice(state);
        generation
            .key
            .seal_in_place_append_tag(nonce(number), Aad::from(&header), &mut sealed)
            .ok()?;
        header.append(&mut sealed);
        Some(header)
    }

    /// `None` for whatever is not a ticket of ours that is still in time.
    fn open(&self, ticket: &[u8], now: i64) -> Option<Opened> {
        let (header, sealed) = ticket.split_at_checked(HEADER)?;
        let (id, number) = header.strip_prefix(&MAGIC)?.split_first_chunk::<4>()?;
        let number = u64::from_be_bytes(*number.first_chunk()?);
        let generation = self
            .lock()
            .iter()
            .flatten()
            .find(|one| one.id == *id)
            .cloned()?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let plain = generation
            .key
            .open_in_place(nonce(number), Aad::from(header), &mut opened)
            .ok()?;
        let (path, rest) = plain.split_first_chunk::<32>()?;
        let (issued, state) = rest.split_first_chunk::<8>()?;
        let (path, issued) = (*path, i64::from_be_bytes(*issued));
        let state = Zeroizing::new(state.to_vec());
        // A ticket from the future is one of before the clock was set back.
        let age = now.checked_sub(issued)?;
        (0..=i64::from(self.lifetime))
            .contains(&age)
            .then_some(Opened {
                generation,
                number,
                path,
                state,
            })
    }

    /// The key to seal with, and the number of the next ticket, which no other will have under that key.
    fn next(&self, now: i64) -> Option<(Arc<Generation>, u64)> {
        let mut keys = self.lock();
        let [current, before] = &mut *keys;
        if let Some(generation) = current
            .as_ref()
            .filter(|one| one.serves(now, self.lifetime))
            && let Some(number) = generation.number()
        {
            return Some((Arc::clone(generation), number));
        }
        let generation = Arc::new(Generation::new(now)?);
        let number = generation.number()?;
        *before = current.replace(Arc::clone(&generation));
        Some((generation, number))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Option<Arc<Generation>>; 2]> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl Generation {
    fn new(now: i64) -> Option<Self> {
        let (mut id, mut key) = ([0; 4], Zeroizing::new([0; 32]));
        rand::fill(&mut id).ok()?;
        rand::fill(&mut *key).ok()?;
        Some(Self {
            id,
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).ok()?),
            born: now,
            marks: Mutex::default(),
        })
    }

    /// A key seals as long as a ticket lives and opens twice as long.
    fn serves(&self, now: i64, lifetime: u32) -> bool {
        (0..i64::from(lifetime)).contains(&now.saturating_sub(self.born))
    }

    fn number(&self) -> Option<u64> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let number = marks.issued;
        marks.issued += 1;
        (number < MAX_TICKETS).then_some(number)
    }

    /// Takes the one use of a ticket; false when it is gone.
    fn take(&self, number: u64) -> bool {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if number >= marks.issued {
            return false;
        }
        let Ok(place) = usize::try_from(number / 64) else {
            return false;
        };
        if marks.used.len() <= place {
            marks.used.resize(place + 1, 0);
        }
        let bit = 1 << (number % 64);
        let Some(word) = marks.used.get_mut(place) else {
            return false;
        };
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

fn nonce(number: u64) -> Nonce {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

/// Tickets for one connection, which knows whose it is.
pub(super) struct Ticketer {
    tickets: Arc<Tickets>,
    judge: Arc<Judge>,
}

impl Ticketer {
    pub(super) fn new(tickets: Arc<Tickets>, judge: Arc<Judge>) -> Self {
        Self { tickets, judge }
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tickets.fmt(f)
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        // A raw public key is not remembered: its full handshake needs no path.
        let accepted = self.judge.accepted()?;
        let path = accepted.proof.path()?;
        let now = self.judge.basis().clock.now();
        self.tickets.seal(path.key(), now, plain)
    }

    /// The one use is taken before the binder shows that the peer holds the secret: two uses at once must not both
    /// succeed, and whoever burns a stolen ticket costs its owner a full handshake and nothing else.
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let now = self.judge.basis().clock.now();
        let opened = self.tickets.open(ticket, now)?;
        self.judge
            .resume(&opened.path, now, || opened.generation.take(opened.number))
            .then(|| opened.state.to_vec())
    }
}

#[cfg(test)]
impl Tickets {
    /// A ticket, for tests of those who look at it from outside.
    pub(super) fn sealed(&self, path: &PathKey, now: i64, state: &[u8]) -> Vec<u8> {
        self.seal(path, now, state).unwrap()
    }

    /// Whether it is one of ours, and in time.
    pub(super) fn opens(&self, ticket: &[u8], now: i64) -> bool {
        self.open(ticket, now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATH: PathKey = [7; 32];

    fn tickets() -> Tickets {
        Tickets::new(100)
    }

    #[test]
    fn a_ticket_is_good_for_its_time_and_one_use() {
        let tickets = tickets();
        let ticket = tickets.seal(&PATH, 1000, b"state").unwrap();
        assert!(tickets.open(&ticket, 999).is_none(), "from the future");
        assert!(tickets.open(&ticket, 1101).is_none(), "too old");
        let opened = tickets.open(&ticket, 1100).unwrap();
        assert_eq!((opened.path, &**opened.state), (PATH, &b"state"[..]));
        assert!(opened.generation.take(opened.number));
        assert!(!opened.generation.take(opened.number));
        let again = tickets.open(&ticket, 1100).unwrap();
        assert!(!again.generation.take(again.number));
    }

    #[test]
    fn keys_change_and_the_last_one_still_opens() {
        let tickets = tickets();
        let first = tickets.seal(&PATH, 1000, b"1").unwrap();
        let late = tickets.seal(&PATH, 1099, b"2").unwrap();
        assert_eq!(first[4..8], late[4..8], "one key");
        let next = tickets.seal(&PATH, 1100, b"3").unwrap();
        assert_ne!(late[4..8], next[4..8], "another");
        assert!(tickets.open(&late, 1150).is_some());
        tickets.seal(&PATH, 1250, b"4").unwrap();
        assert!(tickets.open(&late, 1150).is_none(), "its key is gone");
    }

    #[test]
    fn a_key_that_issued_all_its_numbers_is_replaced() {
        let tickets = tickets();
        let first = tickets.seal(&PATH, 0, b"").unwrap();
        tickets.lock()[0]
            .as_ref()
            .unwrap()
            .marks
            .lock()
            .unwrap()
            .issued = MAX_TICKETS;
        let second = tickets.seal(&PATH, 0, b"").unwrap();
        assert_ne!(first[4..8], second[4..8]);
    }

    #[test]
    fn policies_do_not_open_each_others_tickets() {
        let ticket = tickets().seal(&PATH, 0, b"state").unwrap();
        assert!(tickets().open(&ticket, 0).is_none());
    }

    proptest! {
        /// A changed octet anywhere, a cut or an appended octet: no ticket.
        #[test]
        fn only_whole_tickets_open(place: prop::sample::Index, change in 1..=255_u8, cut: prop::sample::Index) {
            let tickets = tickets();
            let ticket = tickets.seal(&PATH, 0, b"state").unwrap();
            let mut changed = ticket.clone();
            changed[place.index(ticket.len())] ^= change;
            prop_assert!(tickets.open(&changed, 0).is_none());
            prop_assert!(tickets.open(&ticket[..cut.index(ticket.len())], 0).is_none());
            let longer = [&ticket[..], &[change]].concat();
            prop_assert!(tickets.open(&longer, 0).is_none());
        }

        /// Neither an external identity nor anything else is taken for a ticket.
        #[test]
        fn nothing_else_opens(octets in prop::collection::vec(any::<u8>(), 0..600), magic: bool) {
            let tickets = tickets();
            tickets.seal(&PATH, 0, b"state").unwrap();
            let octets = if magic { [&MAGIC[..], &octets].concat() } else { octets };
            prop_assert!(tickets.open(&octets, 0).is_none());
        }
    }
}
