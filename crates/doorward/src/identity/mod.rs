//! Who is it: users and their password hashes.

/// A stored password hash: argon2id, or one of the imported kinds. Its `Debug` shows the kind only.
#[derive(Debug)]
pub struct PasswordHash {}
