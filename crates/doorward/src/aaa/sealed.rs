//! The State of a login over several rounds: all that the server would have to remember of it, sealed and given to the device.
//!
//! RFC 2865 section 5.24 makes State opaque: a device returns it as it came. So nothing is kept here, whatever is asked and never
//! answered, and a login may go on over another connection. What comes back is believed only if it was sealed by a key of this
//! process (AES-256-GCM), less than [`LIFETIME`] ago, for the same device and the same user.
//!
//! ```text
//! key number │ nonce │ sealed: issued │ digest of device and user │ what was said so far │ tag
//!     1      │  12   │           8    │           32              │        n             │ 16
//! ```

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, digest};
use zeroize::Zeroizing;

use super::Reason;

/// How long a question may be answered: what routers give their users for a login.
pub(super) const LIFETIME: Duration = Duration::from_secs(30);

/// How long a key seals. It opens for [`LIFETIME`] longer.
const ROTATION: Duration = Duration::from_secs(3600);

/// What is sealed here is for nothing else.
const PURPOSE: &[u8] = b"doorward State 1";

const ISSUED: usize = 8;

/// The keys, which are made here and never leave.
pub(super) struct Sealer {
    origin: Instant,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    /// None before the first challenge.
    current: Option<Key>,
    /// The one before it, as long as something may come back that it has sealed.
    previous: Option<Key>,
}

struct Key {
    key: RandomizedNonceKey,
    number: u8,
    since: Duration,
}

/// Whose login it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    /// The device's name.
    pub(super) device: &'a str,
    /// The user's name.
    pub(super) user: &'a str,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Default for Sealer {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            ring: Mutex::default(),
        }
    }
}

impl Sealer {
    /// Seals what was said so far.
    ///
    /// # Errors
    /// There are no random octets for a key.
    pub(super) fn seal(
        &self,
        whose: Whose<'_>,
        said: &[u8],
        now: Instant,
    ) -> Result<Vec<u8>, Reason> {
        let now = now.saturating_duration_since(self.origin);
        let owner = whose.digest();
        let mut ring = self.ring();
        let key = ring.sealing(now)?;
        // Room for all of it, so that nothing in clear is left behind where the text has moved from.
        let length = ISSUED + owner.as_ref().len() + said.len() + AES_256_GCM.tag_len();
        let mut sealed = Vec::with_capacity(length);
        let issued = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        sealed.extend_from_slice(&issued.to_be_bytes());
        sealed.extend_from_slice(owner.as_ref());
        sealed.extend_from_slice(said);
        let nonce = key
            .key
            .seal_in_place_append_tag(Aad::from(PURPOSE), &mut sealed)
            .map_err(|_| Reason::NoRandom)?;
        Ok([&[key.number][..], nonce.as_ref(), &sealed].concat())
    }

    /// What was sealed for this device and user.
    ///
    /// # Errors
    /// It was not sealed here, or changed; it is too old; it is another one's.
    pub(super) fn open(
        &self,
        whose: Whose<'_>,
        state: &[u8],
        now: Instant,
    ) -> Result<Zeroizing<Vec<u8>>, Reason> {
        let now = now.saturating_duration_since(self.origin);
        let invalid = Reason::StateInvalid;
        let (number, rest) = state.split_first().ok_or(invalid)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(invalid)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| invalid)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let mut ring = self.ring();
        let key = ring.opening(*number, now).ok_or(invalid)?;
        let opened = key
            .key
            .open_in_place(nonce, Aad::from(PURPOSE), &mut sealed)
            .map_err(|_| invalid)?;
        let (issued, rest) = opened.split_first_chunk::<ISSUED>().ok_or(invalid)?;
        let issued = Duration::from_millis(u64::from_be_bytes(*issued));
        let owner = whose.digest();
        let (sealed_for, said) = rest.split_at_checked(owner.as_ref().len()).ok_or(invalid)?;
        constant_time::verify_slices_are_equal(sealed_for, owner.as_ref())
            .map_err(|_| Reason::StateForeign)?;
        if now.saturating_sub(issued) >= LIFETIME {
            return Err(Reason::StateExpired);
        }
        Ok(Zeroizing::new(said.to_vec()))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// The key that seals now; another one every hour.
    fn sealing(&mut self, now: Duration) -> Result<&Key, Reason> {
        let due = |key: &Key| now.saturating_sub(key.since) >= ROTATION;
        let number = match &self.current {
            Some(key) if due(key) => Some(key.number.wrapping_add(1)),
            Some(_) => None,
            None => Some(0),
        };
        if let Some(number) = number {
            let key = Key::new(number, now)?;
            self.previous = self.current.replace(key);
        }
        self.current.as_ref().ok_or(Reason::NoRandom)
    }

    fn opening(&mut self, number: u8, now: Duration) -> Option<&Key> {
        let replaced = self.current.as_ref().map(|key| key.since);
        if replaced.is_some_and(|since| now.saturating_sub(since) >= LIFETIME) {
            self.previous = None;
        }
        let mut keys = self.current.iter().chain(&self.previous);
        keys.find(|key| key.number == number)
    }
}

impl Key {
    fn new(number: u8, since: Duration) -> Result<Self, Reason> {
        let mut octets = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *octets).map_err(|_| Reason::NoRandom)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*octets);
        let key = key.map_err(|_| Reason::NoRandom)?;
        Ok(Self { key, number, since })
    }
}

impl Whose<'_> {
    /// Both names, so that no two pairs are alike.
    fn digest(self) -> digest::Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        for name in [self.device, self.user] {
            let length = u64::try_from(name.len()).unwrap_or(u64::MAX);
            context.update(&length.to_be_bytes());
            context.update(name.as_bytes());
        }
        context.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Whose<'_> = Whose {
        device: "core1",
        user: "alice",
    };
    const SAID: &[u8] = b"what was said";

    fn opened(
        sealer: &Sealer,
        whose: Whose<'_>,
        state: &[u8],
        now: Instant,
    ) -> Result<Vec<u8>, Reason> {
        sealer.open(whose, state, now).map(|said| said.to_vec())
    }

    #[test]
    fn what_was_sealed_comes_back_for_a_while() {
        let sealer = Sealer::default();
        let begin = Instant::now();
        let state = sealer.seal(ALICE, SAID, begin).unwrap();
        let clear = |part: &[u8]| state.windows(part.len()).any(|window| window == part);
        assert!(!clear(SAID) && !clear(b"alice"));
        // Opening uses nothing up: a device may have to send its request again.
        for after in [0, 1, 29_998] {
            let now = begin + Duration::from_millis(after);
            assert_eq!(
                opened(&sealer, ALICE, &state, now).as_deref(),
                Ok(SAID),
                "{after}"
            );
        }
        for after in [LIFETIME + Duration::from_millis(1), ROTATION / 2] {
            let late = opened(&sealer, ALICE, &state, begin + after);
            assert_eq!(late, Err(Reason::StateExpired), "{after:?}");
        }
        let again = sealer.seal(ALICE, SAID, begin).unwrap();
        assert_ne!(again, state, "two are never alike");
    }

    #[test]
    fn a_changed_octet_anywhere_is_seen() {
        let sealer = Sealer::default();
        let now = Instant::now();
        let state = sealer.seal(ALICE, SAID, now).unwrap();
        for at in 0..state.len() {
            let mut changed = state.clone();
            changed[at] ^= 1;
            let result = opened(&sealer, ALICE, &changed, now);
            assert_eq!(result, Err(Reason::StateInvalid), "{at}");
        }
        for length in 0..state.len() {
            let result = opened(&sealer, ALICE, &state[..length], now);
            assert_eq!(result, Err(Reason::StateInvalid), "{length}");
        }
        let longer = [&state[..], b"x"].concat();
        assert_eq!(
            opened(&sealer, ALICE, &longer, now),
            Err(Reason::StateInvalid)
        );
        // Nor does it open in another process, or after a restart.
        let other = Sealer::default();
        assert_eq!(
            opened(&other, ALICE, &state, now),
            Err(Reason::StateInvalid)
        );
        other.seal(ALICE, SAID, now).unwrap();
        assert_eq!(
            opened(&other, ALICE, &state, now),
            Err(Reason::StateInvalid)
        );
    }

    #[test]
    fn another_device_or_another_user_cannot_use_it() {
        let sealer = Sealer::default();
        let now = Instant::now();
        let state = sealer.seal(ALICE, SAID, now).unwrap();
        for (device, user) in [
            ("core1", "bob"),
            ("core2", "alice"),
            ("alice", "core1"),
            ("core1a", "lice"),
            ("core", "1alice"),
            ("", "core1alice"),
        ] {
            let whose = Whose { device, user };
            let result = opened(&sealer, whose, &state, now);
            assert_eq!(result, Err(Reason::StateForeign), "{whose:?}");
        }
    }

    #[test]
    fn keys_are_changed_and_the_last_one_opens_a_little_longer() {
        let sealer = Sealer::default();
        let begin = Instant::now();
        let first = sealer.seal(ALICE, SAID, begin).unwrap();
        let before = begin + ROTATION - Duration::from_millis(1);
        let old = sealer.seal(ALICE, SAID, before).unwrap();
        assert_eq!(first[0], old[0], "the same key");
        let change = begin + ROTATION + Duration::from_millis(1);
        let new = sealer.seal(ALICE, SAID, change).unwrap();
        assert_ne!(old[0], new[0]);
        assert_eq!(opened(&sealer, ALICE, &old, change).as_deref(), Ok(SAID));
        assert_eq!(opened(&sealer, ALICE, &new, change).as_deref(), Ok(SAID));
        assert_eq!(
            opened(&sealer, ALICE, &first, change),
            Err(Reason::StateExpired)
        );
        // Then nothing opens what it has sealed.
        let later = change + LIFETIME;
        assert_eq!(
            opened(&sealer, ALICE, &old, later),
            Err(Reason::StateInvalid)
        );
        // Many keys later its number comes again, and another key has it.
        let mut now = later;
        for _ in 0..255 {
            now += ROTATION;
            sealer.seal(ALICE, SAID, now).unwrap();
        }
        let latest = sealer.seal(ALICE, SAID, now).unwrap();
        assert_eq!(latest[0], first[0]);
        assert_eq!(
            opened(&sealer, ALICE, &first, now),
            Err(Reason::StateInvalid)
        );
    }
}
