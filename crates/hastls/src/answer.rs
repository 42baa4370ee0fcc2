//! What the DNS said, and what that is worth.
//!
//! The draft lets a client use the record only if it was received securely (sections 3 and 6). Here that is a type: [`Validated`] is made
//! in one place, for answers that DNSSEC proved; of all others the octets are not even read.

use core::fmt;
use core::ops::Deref;

use crate::{Record, RecordError};

/// What validation found (RFC 4033 section 5), in the words of whoever validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Validation {
    /// A chain of signatures leads from a trust anchor to the data, checked by this host itself or over a channel as good as that. The AD
    /// bit of a resolver across a network is no such thing.
    Secure,
    /// The zone is provably not signed.
    Insecure,
    /// Signatures are missing or wrong.
    Bogus,
    /// The signatures are right, but not at this time.
    Expired,
    /// It could not be found out: no trust anchor, or no answer to a question on the way.
    Indeterminate,
}

/// Something DNSSEC has proved. Only [`Answer::read`] makes one.
///
/// ```compile_fail,E0423
/// # fn believe(record: doorward_hastls::Record) -> doorward_hastls::Validated<doorward_hastls::Record> {
/// doorward_hastls::Validated(record)
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated<T>(T);

impl<T> Deref for Validated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The outcome of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A record that counts.
    Secure(Validated<Record>),
    /// None that does, and why.
    Unusable(Unusable),
}

impl Answer {
    /// There is no record: no such name, or no such data.
    pub const ABSENT: Self = Self::Unusable(Unusable::Absent);
    /// Nobody looked.
    pub const NOT_ASKED: Self = Self::Unusable(Unusable::NotAsked);

    /// The RDATA of all records of an answer. Without records it is [`Answer::ABSENT`] if that was proved, and what the validation
    /// found if not; the octets are read only if they are secure.
    pub fn read<R: AsRef<[u8]>>(
        validation: Validation,
        rdatas: impl IntoIterator<Item = R>,
    ) -> Self {
        Self::Unusable(match validation {
            Validation::Insecure => Unusable::Insecure,
            Validation::Bogus => Unusable::Bogus,
            Validation::Expired => Unusable::Expired,
            Validation::Indeterminate => Unusable::Indeterminate,
            Validation::Secure => {
                let mut rdatas = rdatas.into_iter().peekable();
                if rdatas.peek().is_none() {
                    return Self::ABSENT;
                }
                match Record::decode(rdatas) {
                    Ok(record) => return Self::Secure(Validated(record)),
                    Err(error) => Unusable::Malformed(error),
                }
            }
        })
    }
}

/// Why no record counts, so that the configured policy stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Nobody looked.
    NotAsked,
    /// There is none.
    Absent,
    /// [`Validation::Insecure`].
    Insecure,
    /// [`Validation::Bogus`].
    Bogus,
    /// [`Validation::Expired`].
    Expired,
    /// [`Validation::Indeterminate`].
    Indeterminate,
    /// It is proved, and no record.
    Malformed(RecordError),
    /// It is proved, and says nothing about this service.
    Silent,
    /// It is proved, and contradicts itself about this service.
    Contradicting,
    /// It is proved, and announces an upgrade in band, which this application does not have.
    Upgrade,
}

impl Unusable {
    /// One word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::Absent => "absent",
            Self::Insecure => "insecure",
            Self::Bogus => "bogus",
            Self::Expired => "expired",
            Self::Indeterminate => "indeterminate",
            Self::Malformed(_) => "malformed",
            Self::Silent => "silent",
            Self::Contradicting => "contradicting",
            Self::Upgrade => "upgrade",
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "no HASTLS record was asked for",
            Self::Absent => "there is no HASTLS record",
            Self::Insecure => "the zone is not signed",
            Self::Bogus => "the signatures of the HASTLS record are missing or wrong",
            Self::Expired => "the signatures of the HASTLS record are not valid at this time",
            Self::Indeterminate => "whether the HASTLS record is right could not be found out",
            Self::Malformed(error) => return error.fmt(f),
            Self::Silent => "the HASTLS record says nothing about this service",
            Self::Contradicting => "the HASTLS record contradicts itself about this service",
            Self::Upgrade => {
                "the HASTLS record has equal ports, and this application has no upgrade to TLS"
            }
        })
    }
}

impl core::error::Error for Unusable {}
