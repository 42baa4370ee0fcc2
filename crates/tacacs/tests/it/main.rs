//! Tests of the crate from outside: two machines talking to each other, properties, vectors, the fuzzing corpus.

mod pair;
mod peers;
