//! What a look-up says.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::BinEncodable as _;

use super::bogus::{Bogus, Failure};
use super::name::Name;
use super::transport::Unreachable;

/// How well something is proved (RFC 4033 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// A chain of signatures leads from a trust anchor to it, and this host followed it.
    Secure,
    /// It is proved that the zone is not signed: anybody on the way may have written this.
    Insecure,
    /// No trust anchor is above the name, so that nothing is known. As good as [`Insecure`](Self::Insecure).
    Indeterminate,
}

impl Security {
    /// That of two things together.
    pub(super) fn and(self, other: Self) -> Self {
        match self {
            Self::Secure => other,
            Self::Insecure | Self::Indeterminate => self,
        }
    }
}

/// What the DNS said to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Lookup {
    /// There are records.
    Found(Found),
    /// There are none: no such name, or none of this type.
    Absent(Absent),
    /// It is a lie, or a fault of who runs the zone: nothing may be concluded from it, not even that there is nothing.
    Bogus(Bogus),
    /// Nobody answered.
    Unreachable(Unreachable),
}

impl From<Failure> for Lookup {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Bogus(bogus) => Self::Bogus(bogus),
            Failure::Unreachable(unreachable) => Self::Unreachable(unreachable),
        }
    }
}

/// Records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The records, in no order.
    pub records: Vec<Data>,
    /// Whose they are: the name that was asked for, or the one that its aliases (CNAME, DNAME) lead to.
    pub owner: Name,
    /// That of the weakest link of the chain of aliases, and of the records.
    pub security: Security,
    /// How much longer this may be used: what is left of the shortest time to live on the way, bounded by the life of its signatures.
    pub ttl: Duration,
}

/// No records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The name that was asked for, or the one that its aliases lead to.
    pub owner: Name,
    /// That of the weakest link: if secure, it is proved that there are none.
    pub security: Security,
    /// How much longer this may be used (RFC 2308).
    pub ttl: Duration,
}

/// A record without what is common to all of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Where a service is (RFC 2782).
    Srv(Srv),
    /// What to ask next (RFC 3403).
    Naptr(Naptr),
    /// The RDATA of any other type, as it came.
    Other(Vec<u8>),
}

/// RFC 2782. The root as `target` says that there is no such service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the RFC")]
pub struct Srv {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    pub target: Name,
}

/// RFC 3403. The texts are octets of the zone's owner, to be compared and not to be shown as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the RFC")]
pub struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: Vec<u8>,
    pub services: Vec<u8>,
    pub regexp: Vec<u8>,
    pub replacement: Name,
}

impl Data {
    pub(super) fn read(rdata: &RData) -> Option<Self> {
        if let RData::A(address) = rdata {
            Some(Self::A(address.0))
        } else if let RData::AAAA(address) = rdata {
            Some(Self::Aaaa(address.0))
        } else if let RData::SRV(srv) = rdata {
            Some(Self::Srv(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.clone().into(),
            }))
        } else if let RData::NAPTR(naptr) = rdata {
            Some(Self::Naptr(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: naptr.flags.to_vec(),
                services: naptr.services.to_vec(),
                regexp: naptr.regexp.to_vec(),
                replacement: naptr.replacement.clone().into(),
            }))
        } else {
            rdata.to_bytes().ok().map(Self::Other)
        }
    }

    pub(super) fn weight(&self) -> usize {
        let more = match self {
            Self::A(_) | Self::Aaaa(_) => 0,
            Self::Srv(srv) => srv.target.wire().len(),
            Self::Naptr(naptr) => [&naptr.flags, &naptr.services, &naptr.regexp]
                .iter()
                .map(|text| text.len())
                .sum::<usize>()
                .saturating_add(naptr.replacement.wire().len()),
            Self::Other(rdata) => rdata.len(),
        };
        more.saturating_add(size_of::<Self>())
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Indeterminate => "indeterminate",
        })
    }
}
