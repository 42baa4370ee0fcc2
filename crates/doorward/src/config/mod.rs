//! The checked configuration: what the file means, after every reference has been resolved.
//!
//! Nothing here knows serde or TOML: [`load`] reads the files (`file.rs`), converts them with
//! every mistake reported at its place (`convert.rs`), runs the lints (`check.rs`) and hands out one [`Config`].

mod model;
pub mod source;

pub use model::*;
