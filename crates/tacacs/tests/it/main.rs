//! Tests of the crate from outside: two machines talking to each other, properties, vectors, the fuzzing corpus.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop where it stands"
)]

mod agreement;
mod client_flows;
mod corpus;
mod encoding;
mod pair;
mod peers;
mod properties;
mod vectors;
