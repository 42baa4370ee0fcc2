//! Ledger.
fn main() {}
