//! Doorward: the AAA server for network devices, as a library and one binary.
//!
//! A request walks through the modules in this order, and dependencies point the same way:
//!
//! ```text
//! listen  →  aaa  →  policy      which rule decides (pure)
//!                 →  identity    who is it (users, password hashes)
//!                 →  accounting  the durable journal
//! ```
//!
//! [`config`] turns the file into one checked, immutable value, and [`secret`] reads the secrets it refers to; [`runtime`]
//! holds the value as the current snapshot, starts the listeners, reloads and drains; [`control`] answers
//! `doorward reload` and `doorward status`; [`diff`] compares two configurations; [`announce`] knows what the DNS should say of the listeners; [`cli`] has one file per command. `tests/layers.rs` fails on a `use` that
//! points upwards.

pub mod aaa;
pub mod accounting;
pub mod announce;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod diff;
pub mod identity;
pub mod listen;
pub mod metrics;
pub mod policy;
pub mod proxy;
pub mod runtime;
pub mod secret;
