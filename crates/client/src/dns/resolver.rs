//! Look-ups: one question of ours, the aliases it leads to, the proof of each, and a memory for all of that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use doorward_hastls as hastls;
use tokio::time::Instant;

use super::anchor::Anchors;
use super::answer::{Absent, Data, Found, Lookup, Security};
use super::cache::Cache;
use super::chain::{Bogus, BogusReason, Chain, Failure, Standing, Zone, set, signatures};
use super::crypto::Verified;
use super::denial::Strength;
use super::name::Name;
use super::transport::{Budget, Transport, Unreachable};
use super::wire::{IN, Message, Reader, Record};
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
/// Zones whose signatures are tried for one set.
const SIGNERS: usize = 2;

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
    chain: Chain,
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
            chain: Chain::new(Transport::new(servers), anchors),
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
        let budget = Budget::until(now + inner.deadline);
        let mut lookup = inner
            .follow(name, kind, &budget)
            .await
            .unwrap_or_else(Into::into);
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

impl Inner {
    /// Follows aliases. Each is asked for and proved by itself.
    async fn follow(&self, name: &Name, kind: Kind, budget: &Budget) -> Result<Lookup, Failure> {
        let (mut owner, mut security, mut least) = (name.clone(), Security::Secure, u32::MAX);
        for _ in 0..=MAX_ALIASES {
            let link = self.link(&owner, kind, budget).await?;
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

    async fn link(
        &self,
        name: &Name,
        kind: Kind,
        budget: &Budget,
    ) -> Result<Proved<Link>, Failure> {
        let answer = self.chain.transport.ask(name, kind, budget).await?;
        let records = set(&answer.answers, name, kind);
        if !records.is_empty() {
            let read = |record: &&Record| Data::read(kind, &record.rdata);
            let link = Link::Records(records.iter().map(read).collect());
            return Ok(self.judge(&records, &answer, budget).await?.of(link));
        }
        // With a DNAME comes an alias that nobody signed.
        let above = |record: &&Record| {
            record.kind == Kind::DNAME
                && record.class == IN
                && name.is_within(&record.owner)
                && *name != record.owner
        };
        if let Some(tree) = answer.answers.iter().find(above) {
            let target = Reader::new(&tree.rdata)
                .name()
                .ok_or(Unreachable::Garbage)?;
            let target = target.beneath(name.above(&tree.owner));
            let link = Link::Alias(target.ok_or(Unreachable::Garbage)?);
            return Ok(self.judge(&[tree], &answer, budget).await?.of(link));
        }
        let alias = set(&answer.answers, name, Kind::CNAME);
        if let [alias] = alias.as_slice() {
            let link = Reader::new(&alias.rdata).name().map(Link::Alias);
            let link = link.ok_or(Unreachable::Garbage)?;
            return Ok(self.judge(&[*alias], &answer, budget).await?.of(link));
        }
        self.judge_absence(name, kind, &answer, budget).await
    }

    /// How well the records of an owner and type are proved.
    async fn judge(
        &self,
        records: &[&Record],
        answer: &Message,
        budget: &Budget,
    ) -> Result<Proved<()>, Failure> {
        let Some(first) = records.first() else {
            return Err(Unreachable::Garbage.into());
        };
        let (owner, kind) = (&first.owner, first.kind);
        let signatures = signatures(&answer.answers, owner, kind);
        let mut fault = None;
        for signer in signers(owner, signatures.iter().map(|signature| &signature.signer)) {
            let Some(zone) = self.signing(&signer, budget, &mut fault).await? else {
                continue;
            };
            match zone.verify(records, &signatures, budget)? {
                Ok(verified) => return usable(owner, &zone, verified, answer, budget),
                Err(reason) => {
                    fault = Some(Bogus {
                        reason,
                        at: owner.clone(),
                    })
                }
            }
        }
        let security = self
            .unsigned(owner, fault, BogusReason::Unsigned, budget)
            .await?;
        let ttl = records.iter().map(|record| record.ttl).min();
        Ok(Proved {
            what: (),
            security,
            ttl: ttl.unwrap_or_default(),
        })
    }

    async fn judge_absence(
        &self,
        name: &Name,
        kind: Kind,
        answer: &Message,
        budget: &Budget,
    ) -> Result<Proved<Link>, Failure> {
        let nothing = |security| Proved {
            what: Link::Nothing,
            security,
            ttl: negative_ttl(answer),
        };
        let mut fault = None;
        let records = &answer.authorities;
        let proofs = records.iter().flat_map(|record| {
            let nsec = signatures(records, &record.owner, Kind::NSEC);
            nsec.into_iter()
                .chain(signatures(records, &record.owner, Kind::NSEC3))
        });
        let by: Vec<Name> = proofs.map(|signature| signature.signer).collect();
        for signer in signers(name, by.iter()) {
            let Some(zone) = self.signing(&signer, budget, &mut fault).await? else {
                continue;
            };
            let (proofs, flaw) = zone.proofs(records, budget)?;
            match proofs.absent(name, kind) {
                Some(Strength::Proved) => return Ok(nothing(Security::Secure)),
                Some(Strength::OptOut) => return Ok(nothing(Security::Insecure)),
                None => {
                    let reason = flaw.unwrap_or(BogusReason::Denial);
                    fault = Some(Bogus {
                        reason,
                        at: name.clone(),
                    });
                }
            }
        }
        let security = self
            .unsigned(name, fault, BogusReason::Denial, budget)
            .await?;
        Ok(nothing(security))
    }

    /// The zone that claims to have signed something, if its keys are proved.
    async fn signing(
        &self,
        signer: &Name,
        budget: &Budget,
        fault: &mut Option<Bogus>,
    ) -> Result<Option<Arc<Zone>>, Failure> {
        match self.chain.zone_of(signer, budget).await {
            Ok(Standing::Secure(zone)) if zone.apex == *signer => Ok(Some(zone)),
            Ok(Standing::Secure(_) | Standing::Insecure | Standing::Indeterminate) => Ok(None),
            Err(Failure::Bogus(bogus)) => {
                *fault = Some(bogus);
                Ok(None)
            }
            Err(unreachable @ Failure::Unreachable(_)) => Err(unreachable),
        }
    }

    /// What lacks a signature that counts is bogus, unless it is proved that the zone has none.
    async fn unsigned(
        &self,
        name: &Name,
        fault: Option<Bogus>,
        otherwise: BogusReason,
        budget: &Budget,
    ) -> Result<Security, Failure> {
        match self.chain.zone_of(name, budget).await? {
            Standing::Insecure => Ok(Security::Insecure),
            Standing::Indeterminate => Ok(Security::Indeterminate),
            Standing::Secure(_) => Err(match fault {
                Some(fault) => Failure::Bogus(fault),
                None => Failure::bogus(otherwise, name),
            }),
        }
    }
}

impl Proved<()> {
    fn of<T>(self, what: T) -> Proved<T> {
        Proved {
            what,
            security: self.security,
            ttl: self.ttl,
        }
    }
}

/// Records whose signature is right; if they were made from a wildcard, nothing closer may exist (RFC 4035 section 5.3.4).
fn usable(
    owner: &Name,
    zone: &Zone,
    verified: Verified,
    answer: &Message,
    budget: &Budget,
) -> Result<Proved<()>, Failure> {
    let security = match &verified.wildcard_of {
        None => Security::Secure,
        Some(encloser) => {
            let (proofs, flaw) = zone.proofs(&answer.authorities, budget)?;
            match proofs.nothing_closer(owner, encloser) {
                Some(Strength::Proved) => Security::Secure,
                Some(Strength::OptOut) => Security::Insecure,
                None => {
                    let reason = flaw.unwrap_or(BogusReason::Denial);
                    return Err(Failure::bogus(reason, owner));
                }
            }
        }
    };
    Ok(Proved {
        what: (),
        security,
        ttl: verified.ttl,
    })
}

/// The zones that may have signed something under a name, of those that signatures name.
fn signers<'a>(name: &Name, named: impl Iterator<Item = &'a Name>) -> Vec<Name> {
    let mut signers: Vec<Name> = Vec::new();
    for signer in named.filter(|signer| name.is_within(signer)) {
        if signers.len() < SIGNERS && !signers.contains(signer) {
            signers.push(signer.clone());
        }
    }
    signers
}

/// How long an absence holds, in seconds (RFC 2308 section 5).
fn negative_ttl(answer: &Message) -> u32 {
    let soa = answer
        .authorities
        .iter()
        .find(|record| record.kind == Kind::SOA);
    soa.map_or(0, |soa| {
        let (_, minimum) = soa.rdata.split_at(soa.rdata.len().saturating_sub(4));
        let minimum = <[u8; 4]>::try_from(minimum).map_or(0, u32::from_be_bytes);
        soa.ttl.min(minimum)
    })
}
