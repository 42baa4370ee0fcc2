//! The sources of OpenSSL 4.0 under the version that `openssl-sys` asks for; `README.md` says why.

pub use real::*;
