//! Stored password hashes: argon2id, and the kinds that other servers leave behind.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher, Version};
use password_hash::PasswordVerifier;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::md5_crypt;

/// Octets of the longest password that can be right. Some of the imported kinds take time in the square of the length.
pub const MAX_PASSWORD: usize = 1024;

/// What one evaluation may cost on the machine the nominal figures come from; more would hold a worker for seconds.
const MAX_COST: Duration = Duration::from_millis(1_200);

/// Kibibytes of memory one evaluation may take.
const MAX_MEMORY: u64 = 256 * 1024;

/// A stored password hash. Clones share it; its `Debug` shows the kind only.
#[derive(Clone)]
pub struct PasswordHash(Arc<Stored>);

/// SHA-256 of a stored hash as it is written: a new salt makes a new one, so that it tells nothing about the password.
pub type Fingerprint = [u8; 32];

struct Stored {
    kind: HashKind,
    fingerprint: Fingerprint,
    nominal: Duration,
    form: Form,
}

enum Form {
    Argon2id {
        context: Argon2<'static>,
        salt: phc::Salt,
        digest: Zeroizing<Vec<u8>>,
    },
    Sha(Zeroizing<String>),
    Yescrypt(Zeroizing<String>),
    Bcrypt(Zeroizing<String>),
    Md5 {
        salt: String,
        digest: Zeroizing<[u8; 16]>,
    },
    #[cfg(test)]
    Panicking,
}

/// The kind of a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashKind {
    /// `$argon2id$`: what `doorward hash-password` makes.
    Argon2id,
    /// `$6$`: SHA-512-crypt.
    Sha512Crypt,
    /// `$5$`: SHA-256-crypt.
    Sha256Crypt,
    /// `$y$`: yescrypt.
    Yescrypt,
    /// `$2a$`, `$2b$` or `$2y$`: bcrypt.
    Bcrypt,
    /// `$1$`: MD5-crypt, weak by today's measure.
    Md5Crypt,
}

impl HashKind {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Argon2id => "argon2id",
            Self::Sha512Crypt => "SHA-512-crypt",
            Self::Sha256Crypt => "SHA-256-crypt",
            Self::Yescrypt => "yescrypt",
            Self::Bcrypt => "bcrypt",
            Self::Md5Crypt => "MD5-crypt",
        }
    }
}

/// Memory that a worker keeps from one evaluation to the next.
#[derive(Default)]
pub struct Scratch(Vec<Block>);

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch(..)")
    }
}

impl PasswordHash {
    /// Reads a stored hash: a PHC string of argon2id, or the crypt(3) form of the other kinds.
    ///
    /// White space around it is ignored. Cost parameters that would hold a worker for seconds are refused.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let text = text.trim();
        let (kind, form, nominal) = match text.split('$').nth(1) {
            Some("argon2id") => argon2id(text)?,
            Some("6") => sha_crypt(text, HashKind::Sha512Crypt)?,
            Some("5") => sha_crypt(text, HashKind::Sha256Crypt)?,
            Some("y") => yescrypt(text)?,
            Some("2a" | "2b" | "2y") => bcrypt(text)?,
            Some("1") => md5(text)?,
            Some(_) | None => return Err(HashError::UnknownKind),
        };
        if nominal > MAX_COST {
            return Err(HashError::TooCostly(kind));
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let fingerprint = digest.as_ref().try_into().unwrap_or_default();
        Ok(Self(Arc::new(Stored {
            kind,
            fingerprint,
            nominal,
            form,
        })))
    }

    /// Its kind.
    pub fn kind(&self) -> HashKind {
        self.0.kind
    }

    /// Tells this hash from every other.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// What one evaluation costs on a machine of reference; the pool scales it by what it sees.
    pub fn nominal_cost(&self) -> Duration {
        self.0.nominal
    }

    /// Evaluates `password`. Takes milliseconds of a core: never call it on a thread that serves connections.
    pub fn verify(&self, password: &[u8], scratch: &mut Scratch) -> Result<bool, HashFault> {
        let (considered, too_long) = match password.get(..MAX_PASSWORD) {
            Some(start) => (start, password.len() > MAX_PASSWORD),
            None => (password, false),
        };
        let right = match &self.0.form {
            Form::Argon2id {
                context,
                salt,
                digest,
            } => {
                let mut computed = Zeroizing::new(vec![0; digest.len()]);
                scratch.0.resize(
                    context.params().block_count().max(scratch.0.len()),
                    Block::new(),
                );
                context
                    .hash_password_into_with_memory(considered, salt, &mut computed, &mut scratch.0)
                    .map_err(|_| HashFault)?;
                bool::from(computed.ct_eq(digest))
            }
            Form::Sha(text) => {
                let found =
                    sha_crypt::ShaCrypt::default().verify_password(considered, text.as_str());
                without_nul(considered, judged(found)?)
            }
            Form::Yescrypt(text) => {
                let found =
                    yescrypt::Yescrypt::default().verify_password(considered, text.as_str());
                without_nul(considered, judged(found)?)
            }
            Form::Bcrypt(text) => {
                let found = bcrypt::verify(considered, text).map_err(|_| HashFault)?;
                without_nul(considered, found)
            }
            Form::Md5 { salt, digest } => {
                let computed = Zeroizing::new(md5_crypt::md5_crypt(considered, salt.as_bytes()));
                without_nul(considered, bool::from(computed.ct_eq(&**digest)))
            }
            #[cfg(test)]
            Form::Panicking => panic!("planted"),
        };
        Ok(right && !too_long)
    }
}

/// The crypt(3) kinds are made from strings that end at a NUL; bcrypt would even take `x\0x` for `x`.
fn without_nul(password: &[u8], right: bool) -> bool {
    right && !password.contains(&0)
}

fn judged(found: Result<(), password_hash::Error>) -> Result<bool, HashFault> {
    match found {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(HashFault),
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.0.kind.name())
    }
}

/// A fresh argon2id hash at the default cost (19 MiB, two passes), as a PHC string.
///
/// Refuses an empty password and one over [`MAX_PASSWORD`] octets, which could never be right.
pub fn hash_password(password: &[u8]) -> Result<String, HashError> {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(HashError::Length);
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| HashError::Random)?;
    let hash = Argon2::default()
        .hash_password_with_salt(password, &salt)
        .map_err(|_| HashError::Malformed(HashKind::Argon2id))?;
    Ok(hash.to_string())
}

type Parsed = (HashKind, Form, Duration);

fn argon2id(text: &str) -> Result<Parsed, HashError> {
    const KIND: HashKind = HashKind::Argon2id;
    let malformed = HashError::Malformed(KIND);
    let phc = phc::PasswordHash::new(text).map_err(|_| malformed)?;
    let (Some(salt), Some(digest)) = (phc.salt, phc.hash) else {
        return Err(malformed);
    };
    // The lengths in use: a digest that lost some characters in copying has another one.
    if !matches!(digest.len(), 16 | 20 | 24 | 32 | 48 | 64) {
        return Err(malformed);
    }
    let params = Params::try_from(&phc).map_err(|_| malformed)?;
    // Without a version it is the first one, 1.0 (PHC string format).
    let version = Version::try_from(phc.version.unwrap_or(0x10)).map_err(|_| malformed)?;
    let memory = u64::from(params.m_cost());
    if memory > MAX_MEMORY {
        return Err(HashError::TooCostly(KIND));
    }
    let nominal = nanoseconds(memory.saturating_mul(u64::from(params.t_cost())), 570);
    let form = Form::Argon2id {
        context: Argon2::new(Algorithm::Argon2id, version, params),
        salt,
        digest: Zeroizing::new(digest.as_bytes().to_vec()),
    };
    Ok((KIND, form, nominal))
}

fn sha_crypt(text: &str, kind: HashKind) -> Result<Parsed, HashError> {
    let malformed = HashError::Malformed(kind);
    let mut fields: Vec<&str> = text.split('$').skip(2).collect();
    let mut rounds = sha_crypt::Params::RECOMMENDED_ROUNDS;
    if let Some(stated) = fields
        .first()
        .and_then(|field| field.strip_prefix("rounds="))
    {
        rounds = stated.parse().map_err(|_| malformed)?;
        sha_crypt::Params::new(rounds).map_err(|_| malformed)?;
        fields.remove(0);
    }
    let [salt, digest] = fields.as_slice() else {
        return Err(malformed);
    };
    let length = if kind == HashKind::Sha512Crypt {
        86
    } else {
        43
    };
    if salt.is_empty() || salt.len() > 16 || digest.len() != length {
        return Err(malformed);
    }
    sha_crypt::PasswordHashRef::new(text).map_err(|_| malformed)?;
    if digest.bytes().any(|octet| !crypt_letter(octet)) {
        return Err(malformed);
    }
    let nominal = nanoseconds(u64::from(rounds), 450);
    Ok((kind, Form::Sha(Zeroizing::new(text.to_owned())), nominal))
}

fn yescrypt(text: &str) -> Result<Parsed, HashError> {
    const KIND: HashKind = HashKind::Yescrypt;
    let malformed = HashError::Malformed(KIND);
    let fields: Vec<&str> = text.split('$').skip(2).collect();
    let [parameters, salt, digest] = fields.as_slice() else {
        return Err(malformed);
    };
    let params = yescrypt::Params::from_str(parameters).map_err(|_| malformed)?;
    // Only what crypt(3) makes: the default mode, and none of the options that stretch the time.
    let plain = yescrypt::Params::new(
        yescrypt::Mode::default(),
        params.n(),
        params.r(),
        params.p(),
    );
    if plain != Ok(params) {
        return Err(malformed);
    }
    let blocks = params.n().saturating_mul(u64::from(params.r()));
    if blocks / 8 > MAX_MEMORY {
        return Err(HashError::TooCostly(KIND));
    }
    yescrypt::PasswordHashRef::new(text).map_err(|_| malformed)?;
    if salt.len() > 86
        || digest.len() != 43
        || salt
            .bytes()
            .chain(digest.bytes())
            .any(|octet| !crypt_letter(octet))
    {
        return Err(malformed);
    }
    let nominal = nanoseconds(blocks.saturating_mul(u64::from(params.p())), 350);
    Ok((
        KIND,
        Form::Yescrypt(Zeroizing::new(text.to_owned())),
        nominal,
    ))
}

fn bcrypt(text: &str) -> Result<Parsed, HashError> {
    const KIND: HashKind = HashKind::Bcrypt;
    let parts = bcrypt::HashParts::from_str(text).map_err(|_| HashError::Malformed(KIND))?;
    let rounds = match parts.get_cost() {
        cost @ 4..=30 => 1_u64 << cost,
        _ => return Err(HashError::Malformed(KIND)),
    };
    Ok((
        KIND,
        Form::Bcrypt(Zeroizing::new(text.to_owned())),
        nanoseconds(rounds, 55_000),
    ))
}

fn md5(text: &str) -> Result<Parsed, HashError> {
    const KIND: HashKind = HashKind::Md5Crypt;
    let malformed = HashError::Malformed(KIND);
    let fields: Vec<&str> = text.split('$').skip(2).collect();
    let [salt, digest] = fields.as_slice() else {
        return Err(malformed);
    };
    if salt.len() > md5_crypt::MAX_SALT {
        return Err(malformed);
    }
    let form = Form::Md5 {
        salt: (*salt).to_owned(),
        digest: Zeroizing::new(md5_crypt::decode(digest).ok_or(malformed)?),
    };
    Ok((KIND, form, nanoseconds(1000, 300)))
}

fn crypt_letter(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'/')
}

fn nanoseconds(count: u64, each: u64) -> Duration {
    Duration::from_nanos(count.saturating_mul(each))
}

/// Why a stored hash is refused, or a new one is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashError {
    /// It does not begin like any kind that is known.
    UnknownKind,
    /// It begins like that kind and goes on wrongly.
    Malformed(HashKind),
    /// Its cost parameters would hold a worker for seconds, or take too much memory.
    TooCostly(HashKind),
    /// The password is empty or longer than [`MAX_PASSWORD`] octets.
    Length,
    /// The system gave no random octets.
    Random,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind => f.write_str(
                "not a password hash of a known kind ($argon2id$, $6$, $5$, $y$, $2a$, $2b$, $2y$ or $1$)",
            ),
            Self::Malformed(kind) => write!(f, "not a well-formed {} hash", kind.name()),
            Self::TooCostly(kind) => write!(
                f,
                "the cost parameters of this {} hash would hold a worker for seconds or take more than 256 MiB",
                kind.name()
            ),
            Self::Length => write!(f, "a password has 1 to {MAX_PASSWORD} octets"),
            Self::Random => f.write_str("the system gave no random octets for a salt"),
        }
    }
}

impl std::error::Error for HashError {}

/// A stored hash could not be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashFault;

impl fmt::Display for HashFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored password hash could not be evaluated")
    }
}

impl std::error::Error for HashFault {}

/// A hash that [`PasswordHash::parse`] would never let through.
#[cfg(test)]
pub(super) fn broken_for_tests(text: &str) -> PasswordHash {
    for_tests(Form::Bcrypt(Zeroizing::new(text.to_owned())))
}

/// A hash whose evaluation panics.
#[cfg(test)]
pub(super) fn panicking_for_tests() -> PasswordHash {
    for_tests(Form::Panicking)
}

#[cfg(test)]
fn for_tests(form: Form) -> PasswordHash {
    PasswordHash(Arc::new(Stored {
        kind: HashKind::Bcrypt,
        fingerprint: Fingerprint::default(),
        nominal: Duration::ZERO,
        form,
    }))
}
