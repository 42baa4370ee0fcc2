//! Finds the servers of a realm in the DNS (RFC 7585).
//!
//! ```text
//! realm ─ NAPTR, of our service ─ SRV ─┬─ A, AAAA ─▶ places, in the order to try
//!    └─ none ─ SRV _radiustls._tcp ────┘
//! ```
//!
//! What the DNS says only leads to servers: each has to show by its certificate that it is the realm's, see
//! [`Servers::secure`]. That there are none is another matter, and needs as much proof as is asked for.

mod tag;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use crate::dns::{
    Bogus, Data, Found, Kind, Lookup, Name, Naptr, Resolver, Security, Srv, Unreachable,
};
use crate::radius::Server;

pub use tag::{Carrier, Tag, TagError};

/// Records of one kind of which more are not looked at: each costs a question.
const MOST: usize = 8;
/// Servers of a realm beyond which no more are looked for.
const MOST_SERVERS: usize = 8;
/// Addresses of one server.
const MOST_ADDRESSES: usize = 4;

/// What may be believed without a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: every answer has to be proved by DNSSEC, also one that there is none.
    #[default]
    Required,
    /// What comes from a zone that is proved to have no signatures, or above which there is no trust anchor.
    IfSigned,
}

/// What the DNS says of the servers of a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Discovery {
    /// There are some.
    Found(Servers),
    /// There are none, which is a fact about the realm: its users are nobody's.
    None(NoServers),
    /// Nothing is known: a fault, which is over some time.
    Failed(Failure),
}

/// The servers of a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// At least one, in the order in which they are to be asked.
    pub places: Vec<Place>,
    /// DNSSEC has proved every step from the realm to the names of the servers, so that these are as good as the realm's own name in their
    /// certificates (RFC 7585 section 2.2). Otherwise they have to show the realm.
    pub secure: bool,
    /// How long this holds: the shortest time to live on the way.
    pub ttl: Duration,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name, without a dot at the end.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// At least one.
    pub addresses: Vec<IpAddr>,
}

/// That a realm has no servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoServers {
    /// Why.
    pub why: WhyNone,
    /// How long this holds.
    pub ttl: Duration,
}

/// Why a realm has no servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNone {
    /// It does not have the form of a DNS name.
    NoName,
    /// It is not in the DNS, or has no record of the service there.
    NoService,
    /// The service is said not to be offered (RFC 2782: a target of `.`), or by hosts that have no address.
    NoHost,
}

impl fmt::Display for WhyNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoName => "the realm is no DNS name",
            Self::NoService => "the realm has no record of this service in the DNS",
            Self::NoHost => "the records of the realm name no host that has an address",
        })
    }
}

/// Why nothing is known of the servers of a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An answer has no signature, and has to have one.
    Unproved(Name),
    /// An answer is a lie, or its zone is broken.
    Bogus(Bogus),
    /// No name server answered.
    Unreachable(Unreachable),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unproved(name) => {
                write!(
                    f,
                    "{name} is not signed, and `dnssec = \"require\"` believes nothing else"
                )
            }
            Self::Bogus(bogus) => bogus.fmt(f),
            Self::Unreachable(unreachable) => unreachable.fmt(f),
        }
    }
}

/// Who answers questions.
pub trait Lookups: Sync {
    /// The records of a name and type.
    fn lookup(&self, name: &Name, kind: Kind) -> impl Future<Output = Lookup> + Send;
}

impl Lookups for Resolver {
    fn lookup(&self, name: &Name, kind: Kind) -> impl Future<Output = Lookup> + Send {
        Self::lookup(self, name, kind)
    }
}

/// Finds the servers of `realm`, the part of a Network Access Identifier behind the `@`, for the service of `tag`.
pub async fn discover(lookups: &impl Lookups, realm: &str, tag: &Tag, proof: Proof) -> Discovery {
    let Ok(realm) = realm.parse::<Name>() else {
        return Discovery::None(NoServers {
            why: WhyNone::NoName,
            // It never becomes one.
            ttl: Duration::MAX,
        });
    };
    let mut search = Search::new(lookups, proof);
    match search.servers(&realm, tag).await {
        Err(failure) => Discovery::Failed(failure),
        Ok(Ok(places)) => Discovery::Found(Servers {
            places,
            secure: search.secure,
            ttl: search.ttl,
        }),
        Ok(Err(why)) => Discovery::None(NoServers {
            why,
            ttl: search.ttl,
        }),
    }
}

/// A name and a port whose addresses are not known yet.
struct Target {
    name: Name,
    port: u16,
}

/// One search and how good its findings are.
struct Search<'l, L> {
    lookups: &'l L,
    proof: Proof,
    secure: bool,
    ttl: Duration,
}

impl<'l, L: Lookups> Search<'l, L> {
    fn new(lookups: &'l L, proof: Proof) -> Self {
        Self {
            lookups,
            proof,
            secure: true,
            ttl: Duration::MAX,
        }
    }

    async fn servers(
        &mut self,
        realm: &Name,
        tag: &Tag,
    ) -> Result<Result<Vec<Place>, WhyNone>, Failure> {
        let Some(targets) = self.targets(realm, tag).await? else {
            return Ok(Err(WhyNone::NoService));
        };
        let mut places = Vec::new();
        let mut lost = None;
        for target in targets {
            // What one host suffers from does not keep the others from being found.
            match self.place(target).await {
                Ok(place) => places.extend(place),
                Err(failure) => lost = lost.or(Some(failure)),
            }
            if places.len() >= MOST_SERVERS {
                break;
            }
        }
        match (places.is_empty(), lost) {
            (false, _) => Ok(Ok(places)),
            (true, Some(failure)) => Err(failure),
            (true, None) => Ok(Err(WhyNone::NoHost)),
        }
    }

    /// The hosts, in their order; `None` if the realm does not have the service.
    async fn targets(&mut self, realm: &Name, tag: &Tag) -> Result<Option<Vec<Target>>, Failure> {
        let naptrs = self.naptrs(realm, tag).await?;
        if naptrs.is_empty() {
            // RFC 7585 section 3.4.3: the label of the service, where no record points elsewhere.
            let label = tag.label();
            let name = label.and_then(|label| format!("{label}.{realm}").parse().ok());
            let Some(name) = name else {
                return Ok(None);
            };
            return self.hosts(&name).await;
        }
        let mut found = Vec::new();
        for naptr in naptrs {
            if naptr.flags.eq_ignore_ascii_case(b"a") {
                found.push(Target {
                    name: naptr.replacement,
                    port: Server::TLS_PORT,
                });
            } else {
                found.extend(self.hosts(&naptr.replacement).await?.unwrap_or_default());
            }
        }
        Ok(Some(found))
    }

    /// The records of our service, in their order.
    async fn naptrs(&mut self, realm: &Name, tag: &Tag) -> Result<Vec<Naptr>, Failure> {
        let records = self.records(realm, Kind::NAPTR).await?;
        let naptrs = records.into_iter().filter_map(|one| match one {
            Data::Naptr(naptr) => Some(naptr),
            Data::A(_) | Data::Aaaa(_) | Data::Srv(_) | Data::Other(_) => None,
        });
        let mut ours: Vec<Naptr> = naptrs.filter(|naptr| is_ours(naptr, tag)).collect();
        ours.sort_by_key(|naptr| (naptr.order, naptr.preference));
        ours.truncate(MOST);
        Ok(ours)
    }

    /// The hosts of an SRV record set, in their order; `None` if there is no such set.
    async fn hosts(&mut self, name: &Name) -> Result<Option<Vec<Target>>, Failure> {
        let records = self.records(name, Kind::SRV).await?;
        let services = records.into_iter().filter_map(|one| match one {
            Data::Srv(srv) => Some(srv),
            Data::A(_) | Data::Aaaa(_) | Data::Naptr(_) | Data::Other(_) => None,
        });
        let services: Vec<Srv> = services.collect();
        if services.is_empty() {
            return Ok(None);
        }
        // With `.` for a target the service is decidedly not there.
        let offered = services
            .into_iter()
            .filter(|srv| srv.target != Name::root() && srv.port != 0);
        let mut ordered = order(offered.collect());
        ordered.truncate(MOST);
        let targets = ordered.into_iter().map(|srv| Target {
            name: srv.target,
            port: srv.port,
        });
        Ok(Some(targets.collect()))
    }

    /// A host with its addresses, if it has some. Nothing has to prove these: the host's certificate does.
    async fn place(&mut self, target: Target) -> Result<Option<Place>, Failure> {
        let mut addresses = Vec::new();
        let mut lost = None;
        for kind in [Kind::AAAA, Kind::A] {
            match self.lookups.lookup(&target.name, kind).await {
                Lookup::Found(found) => {
                    self.ttl = self.ttl.min(found.ttl);
                    addresses.extend(found.records.iter().filter_map(address));
                }
                Lookup::Absent(_) => {}
                Lookup::Bogus(bogus) => lost = Some(Failure::Bogus(bogus)),
                Lookup::Unreachable(unreachable) => lost = Some(Failure::Unreachable(unreachable)),
            }
        }
        addresses.truncate(MOST_ADDRESSES);
        match (addresses.is_empty(), lost) {
            (true, Some(failure)) => Err(failure),
            (true, None) => Ok(None),
            (false, _) => Ok(Some(Place {
                host: target.name.to_string().trim_end_matches('.').to_owned(),
                port: target.port,
                addresses,
            })),
        }
    }

    /// The records of a name, none if there are none; what is not proved as it has to be is a failure.
    async fn records(&mut self, name: &Name, kind: Kind) -> Result<Vec<Data>, Failure> {
        let (records, security, ttl) = match self.lookups.lookup(name, kind).await {
            Lookup::Found(Found {
                records,
                security,
                ttl,
                ..
            }) => (records, security, ttl),
            Lookup::Absent(absent) => (Vec::new(), absent.security, absent.ttl),
            Lookup::Bogus(bogus) => return Err(Failure::Bogus(bogus)),
            Lookup::Unreachable(unreachable) => return Err(Failure::Unreachable(unreachable)),
        };
        self.ttl = self.ttl.min(ttl);
        if security != Security::Secure {
            if self.proof == Proof::Required {
                return Err(Failure::Unproved(name.clone()));
            }
            self.secure = false;
        }
        Ok(records)
    }
}

/// Of our service, and such that it leads on without a regular expression (RFC 3958 section 2.2).
fn is_ours(naptr: &Naptr, tag: &Tag) -> bool {
    let leads = naptr.flags.eq_ignore_ascii_case(b"s") || naptr.flags.eq_ignore_ascii_case(b"a");
    leads
        && naptr.regexp.is_empty()
        && naptr.replacement != Name::root()
        && naptr.services.eq_ignore_ascii_case(tag.text().as_bytes())
}

fn address(data: &Data) -> Option<IpAddr> {
    match data {
        Data::A(address) => Some((*address).into()),
        Data::Aaaa(address) => Some((*address).into()),
        Data::Srv(_) | Data::Naptr(_) | Data::Other(_) => None,
    }
}

/// By priority, and among those of one by chance, of which each has as much as its weight (RFC 2782).
fn order(mut services: Vec<Srv>) -> Vec<Srv> {
    services.sort_by_key(|srv| (srv.priority, srv.weight));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let priority = first.priority;
        let alike = services.iter().take_while(|srv| srv.priority == priority);
        let total: u32 = alike.map(|srv| u32::from(srv.weight)).sum();
        // Without random numbers the order of the weights has to do.
        let drawn = random().map_or(total, |random| {
            u32::try_from((u64::from(random) * (u64::from(total) + 1)) >> 32).unwrap_or(total)
        });
        let mut sum = 0;
        let at = services.iter().position(|srv| {
            sum += u32::from(srv.weight);
            sum >= drawn || srv.priority != priority
        });
        ordered.push(services.remove(at.unwrap_or(0)));
    }
    ordered
}

fn random() -> Option<u32> {
    let mut octets = [0; 4];
    getrandom::fill(&mut octets).ok()?;
    Some(u32::from_ne_bytes(octets))
}
