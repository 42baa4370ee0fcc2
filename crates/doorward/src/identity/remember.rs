//! Right passwords, remembered for a while, so that a run over a thousand devices costs one hash and not a thousand.
//!
//! What is kept is a keyed digest (HMAC-SHA-256 under a key of this process that never leaves it), bound to the very
//! [`User`] it was right for: a reload makes new users, and whatever was remembered for the old ones is worth nothing.
//! Only a right password is ever found here. A wrong one goes the long way and costs a hash, as ever.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::PasswordHash;
use crate::config::User;

/// Users with a remembered password, before those of older configurations are looked for and forgotten.
const SWEEP: usize = 1024;

/// The passwords that were right lately.
pub struct Remembered {
    /// `None` = the operating system gave no random octets, and nothing is remembered.
    key: Option<hmac::Key>,
    entries: Mutex<HashMap<Arc<str>, Entry>>,
}

struct Entry {
    user: Weak<User>,
    digest: hmac::Tag,
    until: Instant,
}

/// A password as it is remembered: worth nothing without the key.
#[derive(Clone)]
pub struct Digest(hmac::Tag);

impl Default for Remembered {
    fn default() -> Self {
        let mut octets = zeroize::Zeroizing::new([0; 32]);
        let key = getrandom::fill(&mut *octets)
            .is_ok()
            .then(|| hmac::Key::new(hmac::HMAC_SHA256, &*octets));
        Self {
            key,
            entries: Mutex::default(),
        }
    }
}

impl Remembered {
    /// The digest of a password for a user and the stored hash that judges it, so that a hash that replaces it has nothing
    /// remembered; `None` = this process cannot remember.
    pub fn digest(&self, user: &User, hash: &PasswordHash, password: &[u8]) -> Option<Digest> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        let length = u64::try_from(user.name.len()).unwrap_or(u64::MAX);
        context.update(&length.to_be_bytes());
        context.update(user.name.as_bytes());
        context.update(hash.fingerprint());
        context.update(password);
        Some(Digest(context.sign()))
    }

    /// Was this the password of this user, less than its lifetime ago?
    pub fn knows(&self, user: &Arc<User>, digest: &Digest, now: Instant) -> bool {
        self.lock().get(&user.name).is_some_and(|entry| {
            std::ptr::eq(entry.user.as_ptr(), Arc::as_ptr(user))
                && now < entry.until
                // In constant time: the comparison must not tell how near a guess was.
                && aws_lc_rs::constant_time::verify_slices_are_equal(
                    entry.digest.as_ref(),
                    digest.0.as_ref(),
                )
                .is_ok()
        })
    }

    /// Remembers a password that was right just now.
    pub fn keep(&self, user: &Arc<User>, digest: Digest, lifetime: Duration, now: Instant) {
        let Some(until) = now.checked_add(lifetime) else {
            return;
        };
        let mut entries = self.lock();
        if entries.len() >= SWEEP && !entries.contains_key(&user.name) {
            entries.retain(|_, entry| entry.user.strong_count() > 0 && now < entry.until);
        }
        let entry = Entry {
            user: Arc::downgrade(user),
            digest: digest.0,
            until,
        };
        entries.insert(Arc::clone(&user.name), entry);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        // A panic while the lock is held cannot leave an entry half made.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembered(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Location;

    const MINUTE: Duration = Duration::from_secs(60);

    fn user(name: &str) -> Arc<User> {
        Arc::new(User {
            name: name.into(),
            password: None,
            chap_secret: None,
            enable: Default::default(),
            groups: Vec::new(),
            from: Vec::new(),
            alert: false,
            quiet: false,
            location: Location {
                file: std::path::Path::new("doorward.toml").into(),
                line: 1,
                column: 1,
            },
        })
    }

    fn hash(salt: char) -> PasswordHash {
        let text = format!("$1$sal{salt}$qJH7.N4xYta3aEG/dfqo/0");
        PasswordHash::parse(&text).unwrap()
    }

    fn keep(remembered: &Remembered, user: &Arc<User>, password: &[u8], now: Instant) {
        let digest = remembered.digest(user, &hash('t'), password).unwrap();
        remembered.keep(user, digest, MINUTE, now);
    }

    fn knows(remembered: &Remembered, user: &Arc<User>, password: &[u8], now: Instant) -> bool {
        let digest = remembered.digest(user, &hash('t'), password).unwrap();
        remembered.knows(user, &digest, now)
    }

    #[test]
    fn only_the_right_password_of_the_right_user_is_known_and_not_for_ever() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        let (alice, bob) = (user("alice"), user("bob"));
        assert!(!knows(&remembered, &alice, b"secret", now));
        keep(&remembered, &alice, b"secret", now);
        assert!(knows(&remembered, &alice, b"secret", now));
        assert!(!knows(&remembered, &alice, b"secreT", now));
        assert!(!knows(&remembered, &alice, b"", now));
        assert!(!knows(&remembered, &bob, b"secret", now));
        let late = now + MINUTE;
        assert!(!knows(&remembered, &alice, b"secret", late));
        assert!(knows(
            &remembered,
            &alice,
            b"secret",
            late - Duration::from_millis(1)
        ));
    }

    #[test]
    fn another_hash_of_the_same_user_has_nothing_remembered() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        let alice = user("alice");
        keep(&remembered, &alice, b"secret", now);
        let other = remembered.digest(&alice, &hash('u'), b"secret").unwrap();
        assert!(!remembered.knows(&alice, &other, now));
        assert!(knows(&remembered, &alice, b"secret", now));
    }

    #[test]
    fn another_configuration_has_other_users() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        let before = user("alice");
        keep(&remembered, &before, b"secret", now);
        let after = user("alice");
        assert!(!knows(&remembered, &after, b"secret", now));
        // A login that was judged under the old configuration ends after the reload: it is remembered for nobody.
        keep(&remembered, &before, b"secret", now);
        assert!(!knows(&remembered, &after, b"secret", now));
    }

    #[test]
    fn users_that_left_are_forgotten() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        for number in 0..SWEEP {
            keep(&remembered, &user(&format!("user{number}")), b"secret", now);
        }
        assert_eq!(remembered.lock().len(), SWEEP);
        keep(&remembered, &user("one more"), b"secret", now);
        assert_eq!(remembered.lock().len(), 1);
    }

    #[test]
    fn nothing_is_shown() {
        let remembered = Remembered::default();
        keep(&remembered, &user("alice"), b"secret", Instant::now());
        assert_eq!(format!("{remembered:?}"), "Remembered(..)");
    }
}
