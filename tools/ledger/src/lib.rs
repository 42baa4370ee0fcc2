//! The ledger check: which requirement is shown by which passing test.
//!
//! ```text
//! conformance/*.csv, finished.toml   → rows
//! crates/*, tools/*  (proves: lines) → sources   ┐
//! output of `cargo test`             → results   ├→ check → Report → page (docs/conformance.md)
//! docs/deviations.md, reviews.md     → papers    ┘
//! ```
//!
//! The sources are read by a small lexer of our own, not by a Rust parser: it knows comments,
//! literals, attributes and braces, which is all that finding a test and its module needs. Tests of
//! the tree's own rules (`tests/hygiene.rs`, `tests/documents.rs`) use the same lexer.

pub mod check;
pub mod lexer;
pub mod page;
pub mod papers;
pub mod results;
pub mod rows;
pub mod source;
pub mod workspace;
