//! Look-ups: one question of ours, the aliases it leads to, the proof of each, and a memory for all of that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_hastls as hastls;
use hickory_net::DnsError;
use hickory_net::NetError;
use hickory_proto::dnssec::Proof;
use hickory_proto::op::DnsResponse;
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{RData, Record, RecordData as _, RecordType};
use hickory_proto::serialize::binary::BinEncodable as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::anchor::Anchors;
use super::answer::{Absent, Data, Found, Lookup, Security};
use super::bogus::{Bogus, BogusReason, Failure};
use super::cache::Cache;
use super::denial;
use super::name::Name;
use super::proof::{Account, Asker, Prover, Validator, ask, flaw, signature};
use super::transport::{Transport, Unreachable};
use super::{Kind, system};

/// How long one look-up may take if nothing else is said.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer is kept, whatever its time to live.
const MAX_TTL: Duration = Duration::from_secs(24 * 3600);
/// Likewise for what is not there (RFC 2308 section 5).
const MAX_ABSENT: Duration = Duration::from_secs(3600);
/// How long we do not ask again after an error (RFC 9520).
const AFTER_ERROR: Duration = Duration::from_secs(5);
/// Aliases that are followed.
const MAX_ALIASES: usize = 8;
/// What all remembered answers may weigh together, in octets.
const ROOM: usize = 4 * 1024 * 1024;

/// Whom a [`Resolver`] asks, and whom it believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name servers, in this order: recursive ones, or those that have the zones themselves. Empty: those of the system.
    pub servers: Vec<SocketAddr>,
    /// The keys that every proof starts from.
    pub anchors: Anchors,
    /// How long one look-up may take.
    pub deadline: Duration,
}

impl Default for Settings {
    /// The system's servers, the keys of the root, and [`DEADLINE`].
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            anchors: Anchors::root(),
            deadline: DEADLINE,
        }
    }
}

/// Looks records up and proves them. Clones share their memory.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    prover: Arc<Prover>,
    deadline: Duration,
    answers: Cache<(Name, Kind), Lookup>,
}

impl Resolver {
    /// A resolver that has not asked anybody yet. Without servers in the settings it reads resolv.conf(5), once.
    pub fn new(settings: Settings) -> Self {
        let Settings {
            mut servers,
            anchors,
            deadline,
        } = settings;
        if servers.is_empty() {
            servers = system::servers();
        }
        Self(Arc::new(Inner {
            prover: Arc::new(Prover::new(Transport::new(servers), anchors)),
            deadline,
            answers: Cache::new(ROOM),
        }))
    }

    /// The records of a name and type. Of remembered ones the time to live is what is left of it.
    pub async fn lookup(&self, name: &Name, kind: Kind) -> Lookup {
        let inner = &self.0;
        let (key, now) = ((name.clone(), kind), Instant::now());
        if let Some((mut lookup, until)) = inner.answers.get(&key, now) {
            lookup.set_ttl(until.saturating_duration_since(now));
            return lookup;
        }
        let mut lookup = self.find(name.clone(), kind, now + inner.deadline).await;
        let kept = match &lookup {
            Lookup::Found(found) => found.ttl.min(MAX_TTL),
            Lookup::Absent(absent) => absent.ttl.min(MAX_ABSENT),
            Lookup::Bogus(_) | Lookup::Unreachable(_) => AFTER_ERROR,
        };
        lookup.set_ttl(kept);
        let weight = lookup.weight().saturating_add(name.wire().len());
        let until = Instant::now() + kept;
        inner.answers.put(key, lookup.clone(), until, weight);
        lookup
    }

    /// Looks up in a task of its own, so that a panic of the library ends only that.
    async fn find(&self, name: Name, kind: Kind, deadline: Instant) -> Lookup {
        let account = Account::new(&self.0.prover);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let followed = follow(&account, &name, kind).await;
            if followed.is_ok() {
                account.keep();
            }
            followed.unwrap_or_else(Into::into)
        });
        match timeout_at(deadline, task.join_next()).await {
            Ok(Some(Ok(lookup))) => lookup,
            Ok(Some(Err(_)) | None) => Lookup::Unreachable(Unreachable::Fault),
            Err(_) => Lookup::Unreachable(Unreachable::Timeout),
        }
    }

    /// The HASTLS record of a host, under the number that stands for the type.
    pub async fn hastls(&self, host: &Name, number: hastls::RecordType) -> Hastls {
        let lookup = self.lookup(host, Kind(number.number())).await;
        Hastls {
            answer: lookup.hastls(),
            lookup,
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

/// A HASTLS record, or why there is none that counts.
#[derive(Clone, Debug)]
pub struct Hastls {
    /// What [`hastls::decide`] wants.
    pub answer: hastls::Answer,
    /// What it was made from, with the time to live and the exact fault.
    pub lookup: Lookup,
}

impl Lookup {
    /// As an answer about HASTLS.
    fn hastls(&self) -> hastls::Answer {
        use hastls::{Answer, Validation};
        let validation = |security| match security {
            Security::Secure => Validation::Secure,
            Security::Insecure => Validation::Insecure,
            Security::Indeterminate => Validation::Indeterminate,
        };
        let none = |validation| Answer::read(validation, [[0; 0]; 0]);
        match self {
            Self::Found(found) => {
                let rdatas = found.records.iter().filter_map(|data| match data {
                    Data::Other(rdata) => Some(rdata),
                    Data::A(_) | Data::Aaaa(_) | Data::Srv(_) | Data::Naptr(_) => None,
                });
                Answer::read(validation(found.security), rdatas)
            }
            Self::Absent(absent) => none(validation(absent.security)),
            Self::Bogus(Bogus { reason, .. }) => none(match reason {
                BogusReason::Expired => Validation::Expired,
                BogusReason::Unsigned
                | BogusReason::Signature
                | BogusReason::Keys
                | BogusReason::Denial => Validation::Bogus,
            }),
            Self::Unreachable(_) => none(Validation::Indeterminate),
        }
    }

    /// How much longer it may be used; `None` for errors.
    pub fn ttl(&self) -> Option<Duration> {
        match self {
            Self::Found(found) => Some(found.ttl),
            Self::Absent(absent) => Some(absent.ttl),
            Self::Bogus(_) | Self::Unreachable(_) => None,
        }
    }

    fn set_ttl(&mut self, ttl: Duration) {
        match self {
            Self::Found(found) => found.ttl = ttl,
            Self::Absent(absent) => absent.ttl = ttl,
            Self::Bogus(_) | Self::Unreachable(_) => {}
        }
    }

    fn weight(&self) -> usize {
        let records = match self {
            Self::Found(found) => found.records.as_slice(),
            Self::Absent(_) | Self::Bogus(_) | Self::Unreachable(_) => &[],
        };
        // The names in it are about as long as the one that was asked for.
        records
            .iter()
            .map(Data::weight)
            .sum::<usize>()
            .saturating_add(512)
    }
}

/// What one answer says about one name.
enum Link {
    Records(Vec<Data>),
    /// The name is another name for this one.
    Alias(Name),
    Nothing,
}

/// Something, how well it is proved, and for how many seconds it holds.
struct Proved<T> {
    what: T,
    security: Security,
    ttl: u32,
}

/// Follows aliases. Each is asked for and proved by itself.
async fn follow(account: &Arc<Account>, name: &Name, kind: Kind) -> Result<Lookup, Failure> {
    let (mut owner, mut security, mut least) = (name.clone(), Security::Secure, u32::MAX);
    for _ in 0..=MAX_ALIASES {
        let link = link(account, &owner, kind).await?;
        security = security.and(link.security);
        least = least.min(link.ttl);
        let ttl = Duration::from_secs(least.into());
        match link.what {
            Link::Alias(target) => owner = target,
            Link::Records(records) => {
                return Ok(Lookup::Found(Found {
                    records,
                    owner,
                    security,
                    ttl,
                }));
            }
            Link::Nothing => {
                return Ok(Lookup::Absent(Absent {
                    owner,
                    security,
                    ttl,
                }));
            }
        }
    }
    Err(Unreachable::Aliases.into())
}

async fn link(account: &Arc<Account>, name: &Name, kind: Kind) -> Result<Proved<Link>, Failure> {
    let kind = RecordType::from(kind.0);
    let Some(validator) = Asker::validating(account, name).await? else {
        let asker = Asker::plain(account);
        let response = asker.ask(name, kind).await;
        let response = response.map_err(|error| asker.why(&error))?;
        let ttl = negative_ttl(&response);
        return Ok(
            match positive(name, &response, |_| Ok(Security::Indeterminate))? {
                Some((link, _)) => link,
                None => Proved {
                    what: Link::Nothing,
                    security: Security::Indeterminate,
                    ttl,
                },
            },
        );
    };
    let (response, denial) = validated(&validator, name, kind).await?;
    let judge = |record: &Record| match record.proof {
        Proof::Secure => Ok(Security::Secure),
        Proof::Insecure => Ok(Security::Insecure),
        Proof::Bogus | Proof::Indeterminate => Err(flaw(
            &response.answers,
            &record.name.clone().into(),
            record.record_type(),
        )),
    };
    let found = match positive(name, &response, judge) {
        Ok(found) => found,
        Err(Failure::Bogus(bogus)) => return Err(broken(&validator, bogus).await),
        Err(unreachable @ Failure::Unreachable(_)) => return Err(unreachable),
    };
    let Some((mut link, owner)) = found else {
        return absent(&validator, name, &response, denial).await;
    };
    if owner != *name {
        // An alias of the tree that the name is in; no proof of absence belongs to that.
        return Ok(link);
    }
    if link.security == Security::Secure && denial::is_expanded(&response.answers) {
        match denial::nothing_closer(name, &response, denial) {
            Some(security) => link.security = security,
            None => return Err(broken(&validator, denial_of(name)).await),
        }
    }
    Ok(link)
}

/// What the library says, and whether it is content with the denials in it. Of each record it has noted the proof.
async fn validated(
    validator: &Validator,
    name: &Name,
    kind: RecordType,
) -> Result<(DnsResponse, Proof), Failure> {
    match ask(validator, name, kind).await {
        Ok(response) => Ok((response, Proof::Secure)),
        Err(NetError::Dns(DnsError::Nsec {
            response, proof, ..
        })) => Ok((*response, proof)),
        Err(error) => Err(validator.inner().why(&error).into()),
    }
}

/// The records of a name or the alias in their place; and the owner, which is a name above for an alias of a tree.
fn positive(
    name: &Name,
    response: &DnsResponse,
    judge: impl Fn(&Record) -> Result<Security, BogusReason>,
) -> Result<Option<(Proved<Link>, Name)>, Failure> {
    let mut records = response.answers.iter();
    let mut records = records
        .by_ref()
        .filter(|record| signature(record).is_none())
        .peekable();
    let Some(first) = records.peek() else {
        return Ok(None);
    };
    let owner = Name::from(first.name.clone());
    let asked = response.queries.first().map(|query| query.query_type());
    let (mut found, mut alias) = (Vec::new(), None);
    let (mut security, mut ttl) = (Security::Secure, u32::MAX);
    for record in records {
        let judged = judge(record).map_err(|reason| Failure::bogus(reason, &owner))?;
        security = security.and(judged);
        ttl = ttl.min(record.ttl);
        if Some(record.record_type()) == asked {
            found.push(Data::read(&record.data).ok_or(Unreachable::Garbage)?);
        } else if let RData::CNAME(target) = &record.data {
            alias = Some(target.0.clone().into());
        } else if record.record_type() == RecordType::DNAME {
            let target = record.data.to_bytes().ok();
            let target = target.and_then(|target| Name::read(&target));
            alias = name.moved(&owner, &target.ok_or(Unreachable::Garbage)?);
        } else {
            return Err(Unreachable::Garbage.into());
        }
    }
    let what = match alias {
        Some(target) if found.is_empty() => Link::Alias(target),
        None if found.is_empty() => return Err(Unreachable::Garbage.into()),
        Some(_) | None => Link::Records(found),
    };
    Ok(Some((
        Proved {
            what,
            security,
            ttl,
        },
        owner,
    )))
}

async fn absent(
    validator: &Validator,
    name: &Name,
    response: &DnsResponse,
    denial: Proof,
) -> Result<Proved<Link>, Failure> {
    let Some(security) = denial::absence(name, response, denial) else {
        return Err(broken(validator, denial_of(name)).await);
    };
    Ok(Proved {
        what: Link::Nothing,
        security,
        ttl: negative_ttl(response),
    })
}

fn denial_of(name: &Name) -> Bogus {
    Bogus {
        reason: BogusReason::Denial,
        at: name.clone(),
    }
}

/// What is behind a fault: a question that nobody answered, the first zone whose keys are wrong, or itself.
async fn broken(validator: &Validator, bogus: Bogus) -> Failure {
    let account = validator.inner().account();
    for zone in account.zones() {
        if account.failure().is_some() {
            break;
        }
        let Ok(keys) = ask(validator, &zone, RecordType::DNSKEY).await else {
            continue;
        };
        if let Some(reason) = flaw_of_keys(&zone, &keys.answers) {
            return Failure::bogus(reason, &zone);
        }
    }
    match account.failure() {
        Some(unreachable) => unreachable.into(),
        None => Failure::Bogus(bogus),
    }
}

fn flaw_of_keys(zone: &Name, keys: &[Record]) -> Option<BogusReason> {
    let is_bogus = |record: &Record| signature(record).is_none() && record.proof.is_bogus();
    keys.iter()
        .any(is_bogus)
        .then(|| match flaw(keys, zone, RecordType::DNSKEY) {
            BogusReason::Expired => BogusReason::Expired,
            BogusReason::Unsigned
            | BogusReason::Keys
            | BogusReason::Signature
            | BogusReason::Denial => BogusReason::Keys,
        })
}

/// How long an absence holds, in seconds (RFC 2308 section 5). The library has bounded the times by the life of the signatures.
fn negative_ttl(response: &DnsResponse) -> u32 {
    let least = response.authorities.iter().map(|record| record.ttl).min();
    let minimum = response.authorities.iter().find_map(|record| {
        let soa = SOA::try_borrow(&record.data)?;
        Some(soa.minimum)
    });
    minimum.unwrap_or(0).min(least.unwrap_or(0))
}
