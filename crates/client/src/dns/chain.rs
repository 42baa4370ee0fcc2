//! The chain of trust: from an anchor down to the zone that a name is in (RFC 4035 section 5).
//!
//! ```text
//! anchor ── DNSKEY of its zone ──▶ DS of the next label? ── yes: DNSKEY of the zone there, and on
//!                                                        ── no, it is no delegation: on, in the same zone
//!                                                        ── no, it is one without keys: insecure from here on
//! ```
//!
//! Each step is proved by the zone above it. Only a proof ends in "insecure": what an attacker leaves out ends in an error.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::Kind;
use super::anchor::Anchors;
use super::cache::Cache;
use super::crypto::{Digest, Flaw, Key, Signature, Verified};
use super::denial::{Delegation, Proofs};
use super::name::Name;
use super::transport::{Budget, Transport, Unreachable};
use super::wire::{IN, Message, Record};

/// How long keys and delegations are believed, whatever their time to live.
const MAX_TRUST: Duration = Duration::from_secs(3600);
/// How long a step without records of its own is believed.
const STEP: Duration = Duration::from_secs(300);
/// What the steps may weigh together, in octets.
const STEPS: usize = 1024 * 1024;
/// Digests of one delegation, and signatures of one set, that are looked at.
const SEVERAL: usize = 8;
/// Records that a proof of absence may consist of; honest ones have at most three.
const PROOFS: usize = 8;

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bogus {
    /// What is wrong.
    pub reason: BogusReason,
    /// With which name.
    pub at: Name,
}

/// What is wrong with an answer that should be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BogusReason {
    /// There is no signature, and the zone is signed.
    Unsigned,
    /// The signatures are right, but not at this time.
    Expired,
    /// No signature is right: the records were changed, or the keys.
    Signature,
    /// No key of the zone is the one that the trust anchor or the zone above names.
    Keys,
    /// Nothing proves that the records are not there.
    Denial,
}

impl fmt::Display for Bogus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.at;
        match self.reason {
            BogusReason::Unsigned => write!(f, "{at} should be signed, and has no signature"),
            BogusReason::Expired => {
                write!(f, "the signatures of {at} are not valid at this time")
            }
            BogusReason::Signature => write!(f, "no signature of {at} is right"),
            BogusReason::Keys => write!(
                f,
                "no key of {at} is the one that the trust anchor or the zone above names"
            ),
            BogusReason::Denial => write!(f, "nothing proves that {at} has no such record"),
        }
    }
}

impl std::error::Error for Bogus {}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Bogus(Bogus),
    Unreachable(Unreachable),
}

impl Failure {
    pub(super) fn bogus(reason: BogusReason, at: &Name) -> Self {
        Self::Bogus(Bogus {
            reason,
            at: at.clone(),
        })
    }
}

impl From<Unreachable> for Failure {
    fn from(error: Unreachable) -> Self {
        Self::Unreachable(error)
    }
}

/// A zone whose keys are proved.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) apex: Name,
    keys: Vec<Key>,
}

/// What is known about the zone that a name is in.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Secure(Arc<Zone>),
    Insecure,
    /// No anchor is above it.
    Indeterminate,
}

/// What is known about one label.
#[derive(Clone, Debug)]
enum Step {
    /// A zone begins here.
    Zone(Arc<Zone>),
    /// The zone goes on.
    Same,
    /// The zone ends here: there is nothing beneath.
    Nothing,
    /// A zone without keys begins here.
    Insecure,
}

/// Proves things.
pub(super) struct Chain {
    pub(super) transport: Transport,
    anchors: Anchors,
    steps: Cache<Name, Step>,
}

impl Chain {
    pub(super) fn new(transport: Transport, anchors: Anchors) -> Self {
        Self {
            transport,
            anchors,
            steps: Cache::new(STEPS),
        }
    }

    /// The zone that a name is in.
    pub(super) async fn zone_of(&self, name: &Name, budget: &Budget) -> Result<Standing, Failure> {
        let Some(anchored) = self.anchors.above(name) else {
            return Ok(Standing::Indeterminate);
        };
        let mut zone = self.anchored(anchored, budget).await?;
        for depth in anchored.depth().saturating_add(1)..=name.depth() {
            match self.step(&name.last(depth), &zone, budget).await? {
                Step::Zone(beneath) => zone = beneath,
                Step::Same => {}
                Step::Nothing => break,
                Step::Insecure => return Ok(Standing::Insecure),
            }
        }
        Ok(Standing::Secure(zone))
    }

    /// The zone of an anchor.
    async fn anchored(&self, apex: &Name, budget: &Budget) -> Result<Arc<Zone>, Failure> {
        if let Some((Step::Zone(zone), _)) = self.steps.get(apex, Instant::now()) {
            return Ok(zone);
        }
        let is_anchor = |key: &Key| self.anchors.of(apex).any(|anchor| anchor.is(apex, key));
        let (zone, ttl) = self.zone(apex, is_anchor, budget).await?;
        self.keep(apex, &Step::Zone(Arc::clone(&zone)), ttl);
        Ok(zone)
    }

    /// The keys of a zone, one of which is known and signs all of them.
    async fn zone(
        &self,
        apex: &Name,
        is_known: impl Fn(&Key) -> bool,
        budget: &Budget,
    ) -> Result<(Arc<Zone>, u32), Failure> {
        let answer = self.transport.ask(apex, Kind::DNSKEY, budget).await?;
        let records = set(&answer.answers, apex, Kind::DNSKEY);
        let read = records.iter().filter_map(|record| Key::read(&record.rdata));
        let keys: Vec<Key> = read.filter(Key::may_sign).collect();
        let known: Vec<Key> = keys.iter().filter(|key| is_known(key)).cloned().collect();
        if known.is_empty() {
            return Err(Failure::bogus(BogusReason::Keys, apex));
        }
        let signatures = signatures(&answer.answers, apex, Kind::DNSKEY);
        let known = Zone {
            apex: apex.clone(),
            keys: known,
        };
        let verified = known.verify(&records, &signatures, budget)?;
        let verified = verified.map_err(|reason| Failure::bogus(reason, apex))?;
        let zone = Zone { keys, ..known };
        Ok((Arc::new(zone), verified.ttl))
    }

    /// What begins or ends at a name in this zone.
    async fn step(&self, name: &Name, zone: &Zone, budget: &Budget) -> Result<Step, Failure> {
        if let Some((step, _)) = self.steps.get(name, Instant::now()) {
            return Ok(step);
        }
        let answer = self.transport.ask(name, Kind::DS, budget).await?;
        let records = set(&answer.answers, name, Kind::DS);
        let (step, ttl) = if records.is_empty() {
            let step = undelegated(name, zone, &answer, budget)?;
            (step, u32::MAX)
        } else {
            self.delegated(name, zone, &answer, budget).await?
        };
        self.keep(name, &step, ttl);
        Ok(step)
    }

    async fn delegated(
        &self,
        name: &Name,
        zone: &Zone,
        answer: &Message,
        budget: &Budget,
    ) -> Result<(Step, u32), Failure> {
        let records = set(&answer.answers, name, Kind::DS);
        let signed = signatures(&answer.answers, name, Kind::DS);
        let verified = zone.verify(&records, &signed, budget)?;
        let verified = verified.map_err(|reason| Failure::bogus(reason, name))?;
        if verified.wildcard_of.is_some() {
            return Err(Failure::bogus(BogusReason::Signature, name));
        }
        let read = records
            .iter()
            .filter_map(|record| Digest::read(&record.rdata));
        let digests: Vec<Digest> = read.filter(Digest::is_supported).take(SEVERAL).collect();
        if digests.is_empty() {
            return Ok((Step::Insecure, verified.ttl));
        }
        let is_named = |key: &Key| digests.iter().any(|digest| digest.covers(name, key));
        let (beneath, ttl) = self.zone(name, is_named, budget).await?;
        Ok((Step::Zone(beneath), ttl.min(verified.ttl)))
    }

    fn keep(&self, name: &Name, step: &Step, ttl: u32) {
        let (most, weight) = match step {
            Step::Zone(zone) => (MAX_TRUST, zone.weight()),
            Step::Same | Step::Nothing | Step::Insecure => (STEP, 0),
        };
        let until = Duration::from_secs(ttl.into()).min(most);
        let weight = weight.saturating_add(name.wire().len());
        self.steps
            .put(name.clone(), step.clone(), Instant::now() + until, weight);
    }
}

/// A name without DS records.
fn undelegated(
    name: &Name,
    zone: &Zone,
    answer: &Message,
    budget: &Budget,
) -> Result<Step, Failure> {
    // An alias is not delegated. This can only make us expect signatures of the zone above.
    let alias = set(&answer.answers, name, Kind::CNAME);
    if !alias.is_empty() {
        let signed = signatures(&answer.answers, name, Kind::CNAME);
        let verified = zone.verify(&alias, &signed, budget)?;
        verified.map_err(|reason| Failure::bogus(reason, name))?;
        return Ok(Step::Same);
    }
    let (proofs, flaw) = zone.proofs(&answer.authorities, budget)?;
    match proofs.delegation(name) {
        Delegation::Insecure => Ok(Step::Insecure),
        Delegation::None => Ok(Step::Same),
        Delegation::Nothing => Ok(Step::Nothing),
        // Names beneath a DNAME are not in the zone.
        Delegation::Unproven
            if answer
                .answers
                .iter()
                .any(|record| record.kind == Kind::DNAME) =>
        {
            Ok(Step::Same)
        }
        Delegation::Unproven => Err(Failure::bogus(flaw.unwrap_or(BogusReason::Denial), name)),
    }
}

impl Zone {
    /// Verifies the records of one owner and type.
    pub(super) fn verify(
        &self,
        records: &[&Record],
        signatures: &[Signature],
        budget: &Budget,
    ) -> Result<Result<Verified, BogusReason>, Unreachable> {
        let mut flaw = None;
        for signature in signatures.iter().take(SEVERAL) {
            let mine = |key: &&Key| signature.may_be_by(&self.apex, key);
            for key in self.keys.iter().filter(mine) {
                budget.signature()?;
                match signature.verify(records, key, now()) {
                    Ok(verified) => return Ok(Ok(verified)),
                    Err(found) => flaw = flaw.max(Some(found)),
                }
            }
        }
        Ok(Err(match flaw {
            Some(Flaw::Time) => BogusReason::Expired,
            Some(Flaw::Wrong) => BogusReason::Signature,
            None if signatures.is_empty() => BogusReason::Unsigned,
            None => BogusReason::Signature,
        }))
    }

    /// The proofs of absence that this zone signed; and what is wrong with one that does not count.
    pub(super) fn proofs(
        &self,
        records: &[Record],
        budget: &Budget,
    ) -> Result<(Proofs, Option<BogusReason>), Unreachable> {
        let is_proof = |record: &&Record| [Kind::NSEC, Kind::NSEC3].contains(&record.kind);
        let (mut good, mut flaw) = (Vec::new(), None);
        for record in records.iter().filter(is_proof).take(PROOFS) {
            let signatures = signatures(records, &record.owner, record.kind);
            let same = set(records, &record.owner, record.kind);
            match self.verify(&same, &signatures, budget)? {
                Ok(verified) if verified.wildcard_of.is_none() => good.push(record),
                Ok(_) => flaw = Some(BogusReason::Denial),
                Err(found) => flaw = Some(found),
            }
        }
        Ok((Proofs::new(&self.apex, good.into_iter()), flaw))
    }

    fn weight(&self) -> usize {
        self.keys.len().saturating_mul(1024)
    }
}

/// The records of an owner and type.
pub(super) fn set<'a>(records: &'a [Record], owner: &Name, kind: Kind) -> Vec<&'a Record> {
    let is_of =
        |record: &&Record| record.class == IN && record.kind == kind && record.owner == *owner;
    records.iter().filter(is_of).collect()
}

/// Their signatures.
pub(super) fn signatures(records: &[Record], owner: &Name, kind: Kind) -> Vec<Signature> {
    let all = set(records, owner, Kind::RRSIG).into_iter();
    let read = all.filter_map(|record| Signature::read(&record.rdata));
    read.filter(|signature| signature.covered == kind).collect()
}

/// The time that signatures are judged at: seconds since 1970, modulo 2^32 (RFC 4034 section 3.1.5).
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map(|since| since.as_secs()).unwrap_or_default();
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}
