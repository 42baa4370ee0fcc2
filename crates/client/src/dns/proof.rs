//! Between the library that validates and the servers: what each look-up may cost, and what of an answer is shown to the library.
//!
//! ```text
//! Resolver ── DnssecDnsHandle ── Asker ── Transport ── servers
//! ```
//!
//! The library asks through here for everything that a proof needs. It bounds how deep it goes, but not how much; it believes nothing that is
//! not signed, but in these places it would say too much or too little if it saw the answer as it came:
//!
//! - Aliases of a name and what they lead to stand in one answer with the proofs of all of them. We show it one link at a time.
//! - The DS records of a trust anchor's own zone are not to be had where the zone above is not signed or not here, and it would insist on them
//!   for the keys that the anchor does not name. [`Keys`] are proved here, and the question never arises.
//! - A server that fails is to it like one that lies. What failed is noted.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, Stream};
use hickory_net::NetError;
use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::{DnsHandle, FirstAnswer as _};
use hickory_proto::dnssec::rdata::{DNSKEY, RRSIG};
use hickory_proto::dnssec::{TrustAnchors, Verifier as _};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Record, RecordData as _, RecordType};
use tokio::time::Instant;

use super::anchor::{Anchors, may_sign};
use super::bogus::{BogusReason, Failure};
use super::cache::Cache;
use super::name::Name;
use super::transport::{Transport, Unreachable};

/// Questions one look-up may lead to, with all that its proof needs.
const MAX_QUESTIONS: u32 = 100;
/// Questions of the library, whether they had to be sent or not: it keeps no account of them.
const MAX_STEPS: u32 = 500;
/// Signatures one look-up may be shown (KeyTrap, CVE-2023-50387); the library tries at most two keys for each.
const MAX_SIGNATURES: u32 = 500;
/// Records of one section that are looked at.
const MAX_RECORDS: usize = 200;
/// Signatures of the keys of an anchor that are tried.
const SEVERAL: usize = 8;
/// How long keys and delegations are remembered, whatever their time to live. They are proved anew for each look-up.
const MAX_TRUST: Duration = Duration::from_secs(300);
/// What they may weigh together, in octets.
const ROOM: usize = 1024 * 1024;
/// NSEC3 iterations above which a zone counts as insecure, and as bogus (RFC 9276 section 3.2).
const ITERATIONS: (u16, u16) = (100, 500);

type Question = (Name, RecordType);

/// What look-ups have in common.
pub(super) struct Prover {
    transport: Transport,
    anchors: Anchors,
    chain: Cache<Question, DnsResponse>,
}

impl Prover {
    pub(super) fn new(transport: Transport, anchors: Anchors) -> Self {
        Self {
            transport,
            anchors,
            chain: Cache::new(ROOM),
        }
    }
}

/// One look-up: what it cost, saw and met.
pub(super) struct Account {
    prover: Arc<Prover>,
    questions: AtomicU32,
    steps: AtomicU32,
    signatures: AtomicU32,
    seen: Mutex<HashMap<Question, DnsResponse>>,
    failure: Mutex<Option<Unreachable>>,
}

/// Asks within one zone and those beneath; the handle that the library builds on.
#[derive(Clone)]
pub(super) struct Asker {
    account: Arc<Account>,
    apex: Option<Name>,
}

/// Asks, and validates.
pub(super) type Validator = DnssecDnsHandle<Asker>;

impl Account {
    pub(super) fn new(prover: &Arc<Prover>) -> Arc<Self> {
        Arc::new(Self {
            prover: Arc::clone(prover),
            questions: AtomicU32::new(MAX_QUESTIONS),
            steps: AtomicU32::new(MAX_STEPS),
            signatures: AtomicU32::new(MAX_SIGNATURES),
            seen: Mutex::default(),
            failure: Mutex::new(None),
        })
    }

    /// The first question that nobody answered.
    pub(super) fn failure(&self) -> Option<Unreachable> {
        *lock(&self.failure)
    }

    /// The zones whose keys were asked for, from the top.
    pub(super) fn zones(&self) -> Vec<Name> {
        let seen = lock(&self.seen);
        let keys = seen.keys().filter(|(_, kind)| *kind == RecordType::DNSKEY);
        let mut zones: Vec<Name> = keys.map(|(name, _)| name.clone()).collect();
        zones.sort_by_key(Name::depth);
        zones
    }

    /// Remembers for others what a proof was made of.
    pub(super) fn keep(&self) {
        let chain = [RecordType::DNSKEY, RecordType::DS, RecordType::NS];
        for (question, response) in lock(&self.seen).drain() {
            let ttl = response.all_sections().map(|record| record.ttl).min();
            if chain.contains(&question.1) {
                let ttl = Duration::from_secs(ttl.unwrap_or_default().into());
                let until = Instant::now() + ttl.min(MAX_TRUST);
                let weight = response.as_buffer().len().saturating_mul(4);
                let chain = &self.prover.chain;
                if chain.get(&question, Instant::now()).is_none() {
                    chain.put(question, response, until, weight);
                }
            }
        }
    }

    async fn answer(&self, request: &DnsRequest) -> Result<DnsResponse, Unreachable> {
        let query = request.queries.first().ok_or(Unreachable::Garbage)?;
        spend(&self.steps, 1)?;
        let question = (Name::from(query.name().clone()), query.query_type());
        let known = lock(&self.seen).get(&question).cloned();
        let remembered = || {
            let chain = &self.prover.chain;
            chain.get(&question, Instant::now()).map(|(known, _)| known)
        };
        let response = match known.or_else(remembered) {
            Some(response) => response,
            None => {
                spend(&self.questions, 1)?;
                let mut response = self.prover.transport.ask(request).await?;
                prune(&question, &mut response);
                response
            }
        };
        let signatures = response.all_sections().filter_map(signature).count();
        let signatures = u32::try_from(signatures).unwrap_or(u32::MAX);
        spend(&self.signatures, signatures)?;
        lock(&self.seen).insert(question, response.clone());
        Ok(response)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spend(account: &AtomicU32, cost: u32) -> Result<(), Unreachable> {
    let less = |left: u32| left.checked_sub(cost);
    let spent = account.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    spent.map(|_| ()).map_err(|_| Unreachable::TooMuch)
}

impl Asker {
    /// Asks without proofs.
    pub(super) fn plain(account: &Arc<Account>) -> Self {
        Self {
            account: Arc::clone(account),
            apex: None,
        }
    }

    /// Validates what is beneath the deepest anchor above a name, if there is one.
    pub(super) async fn validating(
        account: &Arc<Account>,
        name: &Name,
    ) -> Result<Option<Validator>, Failure> {
        let anchors = &account.prover.anchors;
        let Some(apex) = anchors.above(name) else {
            return Ok(None);
        };
        let asker = Self {
            account: Arc::clone(account),
            apex: Some(apex.clone()),
        };
        let response = asker.ask(apex, RecordType::DNSKEY).await;
        let response = response.map_err(|error| asker.why(&error))?;
        let keys = anchored(apex, anchors, &response.answers)
            .map_err(|reason| Failure::bogus(reason, apex))?;
        let (soft, hard) = ITERATIONS;
        // Its cache believes a hash of 64 bits that has no key, which can be made to collide.
        let validator = DnssecDnsHandle::with_trust_anchor(asker, Arc::new(keys))
            .nsec3_iteration_limits(Some(soft), Some(hard))
            .validation_cache_size(0);
        Ok(Some(validator))
    }

    pub(super) fn why(&self, error: &NetError) -> Unreachable {
        self.account
            .failure()
            .unwrap_or_else(|| Unreachable::from(error))
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<DnsResponse, NetError> {
        ask(self, name, kind).await
    }

    /// Whether the question leads out of the zone of the anchor.
    fn leads_out(&self, query: &Query) -> bool {
        self.apex.as_ref().is_some_and(|apex| {
            let name = Name::from(query.name().clone());
            !name.is_within(apex) || (name == *apex && query.query_type() == RecordType::DS)
        })
    }
}

/// Asks the servers, or the library.
pub(super) async fn ask(
    handle: &impl DnsHandle,
    name: &Name,
    kind: RecordType,
) -> Result<DnsResponse, NetError> {
    let mut options = DnsRequestOptions::default();
    options.edns_set_dnssec_ok = true;
    let query = Query::query(name.wire().clone(), kind);
    handle.lookup(query, options).first_answer().await
}

impl DnsHandle for Asker {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, mut request: DnsRequest) -> Self::Response {
        // We want to see what is wrong, and hear nobody else's opinion.
        request.metadata.checking_disabled = true;
        request.metadata.authentic_data = false;
        let asker = self.clone();
        Box::pin(stream::once(async move {
            if request.queries.iter().any(|query| asker.leads_out(query)) {
                return Err(NetError::Message("not beneath the trust anchor"));
            }
            let answer = asker.account.answer(&request).await;
            answer.map_err(|why| {
                lock(&asker.account.failure).get_or_insert(why);
                NetError::Message("no answer")
            })
        }))
    }
}

/// Leaves what answers the question itself, and what proves that.
fn prune((name, kind): &Question, response: &mut DnsResponse) {
    let is_of = |record: &Record, kind| record.record_type() == kind && record.name == *name.wire();
    response.additionals.clear();
    response.answers.truncate(MAX_RECORDS);
    response.authorities.truncate(MAX_RECORDS);
    let answers = &response.answers;
    let tree = || {
        let mut trees = answers.iter().filter(|record| {
            record.record_type() == RecordType::DNAME && record.name.zone_of(name.wire())
        });
        trees.next().map(|record| record.name.clone())
    };
    let (owner, kept) = if answers.iter().any(|record| is_of(record, *kind)) {
        (name.wire().clone(), *kind)
    } else if let Some(tree) = tree() {
        (tree, RecordType::DNAME)
    } else {
        (name.wire().clone(), RecordType::CNAME)
    };
    response.answers.retain(|record| {
        let signed = signature(record).map(|signature| signature.input().type_covered);
        record.name == owner && signed.unwrap_or_else(|| record.record_type()) == kept
    });
    let signers: Vec<_> = response.answers.iter().filter_map(signature).collect();
    let is_wildcard = signers
        .iter()
        .any(|signature| signature.input().num_labels < owner.num_labels());
    let signers: Vec<_> = signers
        .iter()
        .map(|signature| signature.input().signer_name.clone())
        .collect();
    let is_answered = !response.answers.is_empty();
    let denials = [RecordType::NSEC, RecordType::NSEC3];
    let mine: Vec<_> = response
        .authorities
        .iter()
        .filter(|record| {
            signature(record).is_some_and(|signature| {
                denials.contains(&signature.input().type_covered)
                    && signers.contains(&signature.input().signer_name)
            })
        })
        .map(|record| record.name.clone())
        .collect();
    response.authorities.retain(|record| {
        let signed = signature(record).map(|signature| signature.input().type_covered);
        let of = signed.unwrap_or_else(|| record.record_type());
        if is_answered {
            is_wildcard && denials.contains(&of) && mine.contains(&record.name)
        } else {
            denials.contains(&of)
                || of == RecordType::SOA
                || (of, *kind) == (RecordType::NS, RecordType::NS)
        }
    });
    if is_answered {
        // The code is that of the last link.
        response.metadata.response_code = ResponseCode::NoError;
    }
}

/// What a record is if it is a signature.
pub(super) fn signature(record: &Record) -> Option<&RRSIG> {
    RRSIG::try_borrow(&record.data)
}

/// All keys of the zone of an anchor, once a key that the anchor names has signed them.
fn anchored(
    apex: &Name,
    anchors: &Anchors,
    answers: &[Record],
) -> Result<TrustAnchors, BogusReason> {
    let set = || {
        answers.iter().filter(|record| {
            record.record_type() == RecordType::DNSKEY
                && record.name == *apex.wire()
                && record.dns_class == DNSClass::IN
        })
    };
    let all = set().filter_map(|record| DNSKEY::try_borrow(&record.data));
    let is_named =
        |key: &&DNSKEY| may_sign(key) && anchors.of(apex).any(|anchor| anchor.is(apex, key));
    let named: Vec<&DNSKEY> = all.clone().filter(is_named).take(SEVERAL).collect();
    if named.is_empty() {
        return Err(BogusReason::Keys);
    }
    let mut signatures = answers
        .iter()
        .filter_map(signature)
        .filter(|signature| {
            signature.input().signer_name == *apex.wire()
                && signature.input().type_covered == RecordType::DNSKEY
                && signature.input().num_labels == apex.wire().num_labels()
        })
        .take(SEVERAL);
    let is_right = |signature: &RRSIG| {
        is_timely(signature)
            && named.iter().any(|key| {
                key.algorithm() == signature.input().algorithm
                    && key.calculate_key_tag().ok() == Some(signature.input().key_tag)
                    && key
                        .verify_rrsig(apex.wire(), DNSClass::IN, signature, set())
                        .is_ok()
            })
    };
    if !signatures.any(is_right) {
        return Err(flaw(answers, apex, RecordType::DNSKEY));
    }
    let mut trusted = TrustAnchors::empty();
    // Also those that may not sign: with one that it does not know, the library would ask for DS records. It lets none of them sign.
    for key in all {
        trusted.insert_with_name(key.public_key(), apex.wire().into());
    }
    Ok(trusted)
}

/// Whether a signature is for this time (RFC 4034 section 3.1.5).
pub(super) fn is_timely(signature: &RRSIG) -> bool {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map(|since| since.as_secs()).unwrap_or_default();
    let now = u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default();
    let not_before = |early: u32, late: u32| late.wrapping_sub(early) < 1 << 31;
    let input = signature.input();
    not_before(input.sig_inception.get(), now) && not_before(now, input.sig_expiration.get())
}

/// What seems to be wrong with records that are bogus.
pub(super) fn flaw(records: &[Record], owner: &Name, kind: RecordType) -> BogusReason {
    let of = records.iter().filter(|record| record.name == *owner.wire());
    let of = of.filter_map(signature);
    let mut of = of
        .filter(|signature| signature.input().type_covered == kind)
        .peekable();
    if of.peek().is_none() {
        BogusReason::Unsigned
    } else if of.any(is_timely) {
        BogusReason::Signature
    } else {
        BogusReason::Expired
    }
}
