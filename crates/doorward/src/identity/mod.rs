//! Who is it: names, password hashes, and the bounded pool of threads that evaluates them.
//!
//! ```text
//! PasswordHash::parse (at load, refuses absurd costs)  →  HashingPool::verify (a future)  →  right | wrong | Unavailable
//! ```
//!
//! [`PasswordStore`] has the passwords that users changed through a device; [`ChapSecret`] is what challenges are judged by.
//! Where the configuration asks for it, [`Remembered`] answers for a password that was right lately.
//!
//! A stored hash that cannot be evaluated and a pool that is too busy are faults, never denials.

mod chap;
mod hash;
mod md5_crypt;
mod name;
mod pool;
mod remember;
mod store;

#[cfg(test)]
mod tests;

pub use chap::ChapSecret;
pub use hash::{
    Fingerprint, HashError, HashFault, HashKind, MAX_PASSWORD, PasswordHash, Scratch, hash_password,
};
pub use name::{NameError, user_name};
pub use pool::{HashingPool, HashingStats, Known, Verification};
pub use remember::{Digest, Remembered};
pub use store::{ChangedPassword, PasswordStore, StoreError};
