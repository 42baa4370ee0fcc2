//! Who is it: password hashes, and the bounded pool of threads that evaluates them.
//!
//! ```text
//! PasswordHash::parse (at load, refuses absurd costs)  →  HashingPool::verify (a future)  →  right | wrong | Unavailable
//! ```
//!
//! Where the configuration asks for it, [`Remembered`] answers for a password that was right lately.
//!
//! A stored hash that cannot be evaluated and a pool that is too busy are faults, never denials.

mod hash;
mod md5_crypt;
mod pool;
mod remember;

#[cfg(test)]
mod tests;

pub use hash::{
    HashError, HashFault, HashKind, MAX_PASSWORD, PasswordHash, Scratch, hash_password,
};
pub use pool::{HashingPool, HashingStats, Verification};
pub use remember::{Digest, Remembered};
