//! Authentication, authorization, accounting: the three verbs, and nothing of the protocol that asked.
//!
//! ```text
//! packet → {tacacs, radius}::Service → Aaa::{authenticate, authorize, account} → Result<decision, Unavailable> → packet
//! ```
//!
//! A denial is a value, a fault is [`Unavailable`], and neither ever becomes the other: the protocol side answers the
//! first with FAIL or Access-Reject, and the second with ERROR or, where RADIUS has no word for it, not at all, so that a
//! device can try its next server.

mod audit;
mod authentication;
pub mod authorization;
mod conversation;
mod outcome;
pub mod radius;
mod refused;
mod request;
mod sealed;
pub mod tacacs;
mod tolerated;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context as Waker, Poll};
use std::time::Instant;

use arc_swap::ArcSwap;
use doorward_tls::hello::OwnHellos;

pub use crate::policy::{Protocol, Transport};
pub use audit::Asked;
pub use authentication::{Judgement, Judging};
pub use outcome::{Kind, Outcome, Reason, Unavailable};
pub use refused::{RefusalLog, Refused};
pub use request::{Login, Password, Peer, Person, Proof, Who};
pub use tolerated::Tolerated;

use crate::accounting::{Commit, DecisionRecord, Journal, Record, Ticks, invisible};
use crate::config::{Audit, Config, User};
use crate::identity::{HashingPool, PasswordStore, Remembered};
use crate::metrics::Metrics;
use crate::policy::{Decision, ReplyAttribute, RuleReference};
use crate::proxy::Proxy;
use sealed::Sealer;

/// One generation of the configuration. A request uses the same one from start to end.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the reloads; the first is 1.
    pub generation: u64,
    /// What the file says.
    pub config: Arc<Config>,
    /// When it was loaded.
    pub loaded: jiff::Timestamp,
}

/// The heart of the server: what every listener asks.
#[derive(Debug)]
pub struct Aaa {
    snapshot: ArcSwap<Snapshot>,
    journal: Journal,
    hashing: HashingPool,
    passwords: Arc<PasswordStore>,
    remembered: Arc<Remembered>,
    sealer: Sealer,
    /// What was answered and refused so far.
    pub metrics: Metrics,
    /// The bound on log lines about refusals.
    pub refusals: RefusalLog,
    /// What devices were let off.
    pub tolerances: Tolerated,
    /// What RADIUS devices are told to do, and by which connection.
    pub orders: radius::Orders,
    /// The servers that requests of others are passed on to.
    pub proxy: Proxy,
    /// The statistics of `[fticks]`, on their way to the receiver.
    pub ticks: Ticks,
    /// What our own clients have just sent: a listener that gets it is reached by a route that leads back here. For the `tls` of
    /// every client that is a part of this server.
    pub own_hellos: Arc<OwnHellos>,
}

/// What a login or an authorization came to, with the line that decided.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Permit (pass) or deny (fail).
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// The deciding line, where one did.
    pub rule: Option<Arc<RuleReference>>,
    /// What the role of somebody who is let in gives to an Access-Accept.
    pub attributes: Option<Arc<[ReplyAttribute]>>,
}

impl Decided {
    fn deny(reason: Reason) -> Self {
        Self {
            decision: Decision::Deny,
            reason,
            rule: None,
            attributes: None,
        }
    }
}

impl Aaa {
    /// Puts the parts together; `snapshot` is the first generation.
    pub fn new(
        snapshot: Snapshot,
        journal: Journal,
        hashing: HashingPool,
        passwords: PasswordStore,
    ) -> Self {
        let aaa = Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            journal,
            hashing,
            passwords: Arc::new(passwords),
            remembered: Arc::default(),
            sealer: Sealer::default(),
            metrics: Metrics::default(),
            refusals: RefusalLog::default(),
            tolerances: Tolerated::default(),
            orders: radius::Orders::default(),
            proxy: Proxy::default(),
            ticks: Ticks::default(),
            own_hellos: Arc::default(),
        };
        aaa.proxy
            .settle(&aaa.snapshot.load().config, &aaa.own_hellos);
        aaa.settle_passwords();
        aaa
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts another configuration in force. Requests under way finish with the one they began with.
    pub fn replace_snapshot(&self, config: Arc<Config>) -> u64 {
        let generation = self.snapshot.load().generation + 1;
        self.proxy.settle(&config, &self.own_hellos);
        self.snapshot.store(Arc::new(Snapshot {
            generation,
            config,
            loaded: jiff::Timestamp::now(),
        }));
        self.settle_passwords();
        generation
    }

    /// Changed passwords give way to new values in the file.
    fn settle_passwords(&self) {
        let snapshot = self.snapshot.load();
        if let Err(error) = self.passwords.settle(&snapshot.config.users) {
            tracing::warn!(%error, "a changed password that the file has overtaken is still in the store; it is tried again at the next reload");
        }
    }

    /// The passwords that users changed, for the state of the service.
    pub fn passwords(&self) -> &PasswordStore {
        &self.passwords
    }

    /// The journal, for the state of the service.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The password workers, for the state of the service.
    pub fn hashing(&self) -> &HashingPool {
        &self.hashing
    }

    /// Hands records to the journal; the future is ready when they are on the disk, or when they are not and never will be.
    pub fn account(&self, records: Vec<Record>) -> Commit {
        self.journal.submit(records)
    }

    /// Counts an answer, writes its line and makes the row that `audit` keeps of it: all three say the same of one
    /// outcome and one reason.
    ///
    /// Denials and faults are a line for everyone, permits for who asks for `debug`.
    #[must_use = "what is to be kept goes to `keep`"]
    pub fn note<'a, A>(
        &self,
        audit: Audit,
        peer: &Peer,
        asked: &Asked<'a, A>,
        outcome: Outcome,
        decided: &Decided,
    ) -> Option<DecisionRecord>
    where
        A: Iterator<Item = &'a [u8]> + Clone,
    {
        self.metrics
            .requests
            .add(asked.kind, outcome, decided.reason);
        if let Some(more) = self.admit_line(decided) {
            write_line(peer, asked, outcome, decided, more);
        }
        audit::row(audit, peer, asked, outcome, decided)
    }

    /// Hands the rows of one turn to the journal, which leaves `rows` empty. Nobody waits for them, and what the journal
    /// does not take costs a counter and a bounded line: an answer is never late or different for it.
    pub fn keep(&self, peer: &Peer, rows: &mut Vec<DecisionRecord>) {
        let decisions = rows.len();
        let Err(error) = self.journal.add_decisions(rows) else {
            return;
        };
        let reason = Refused::DecisionNotKept;
        let many = u64::try_from(decisions).unwrap_or(u64::MAX);
        self.metrics.refused.add_many(reason, many);
        if let Some(more) = self.refusals.admit(reason, std::time::Instant::now()) {
            tracing::warn!(
                reason = reason.name(),
                device = &*peer.device,
                decisions,
                %error,
                more_since_last_line = more,
                "{}",
                reason.sentence()
            );
        }
    }

    /// A user with `alert = true` was let in or permitted something: a warning and a count.
    fn alert(
        &self,
        user: &User,
        peer: &Peer,
        person: Person<'_>,
        kind: Kind,
        request: &dyn std::fmt::Display,
    ) {
        if !user.alert {
            return;
        }
        self.metrics.alerts.add(&user.name, kind);
        tracing::warn!(
            user = &*user.name,
            device = &*peer.device,
            remote = &*shortened(person.remote_address),
            kind = kind.name(),
            request = &*shortened(&request.to_string()),
            "a user with alert = true is at work"
        );
    }

    /// Counts the records of one commit.
    fn note_records(&self, outcome: Outcome, reason: Reason, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.metrics
            .requests
            .add_many(Kind::Accounting, outcome, reason, records);
    }

    fn journal_failed(&self, peer: &Peer, records: usize, error: &crate::accounting::JournalError) {
        if let Some(more) = self.refusals.admit(Refused::JournalFailed, Instant::now()) {
            tracing::error!(
                reason = Reason::JournalFailed.name(),
                device = &*peer.device,
                records,
                %error,
                more_since_last_line = more,
                "accounting records were answered with ERROR, so that the device can send them elsewhere"
            );
        }
    }

    /// The operating system did not hand out a connection: counted, and logged with the bound of a refusal.
    pub fn accept_failed(&self, listener: &str, error: &std::io::Error) {
        let reason = Refused::AcceptFailed;
        self.metrics.refused.add(reason);
        if let Some(more) = self.refusals.admit(reason, Instant::now()) {
            tracing::error!(
                reason = reason.name(),
                listener,
                %error,
                more_since_last_line = more,
                "a connection could not be accepted: {}",
                reason.sentence()
            );
        }
    }

    /// Whether an answer gets a line, and how many of its reason did not since the last one. A flood of logins that cannot be judged is one event, not one for each login.
    fn admit_line(&self, decided: &Decided) -> Option<u64> {
        if decided.reason != Reason::HashingBusy {
            return Some(0);
        }
        self.refusals
            .admit(Refused::PasswordWorkersBusy, Instant::now())
    }

    /// Counts a refusal and writes its line unless too many of its kind were written just now.
    pub fn refuse(&self, reason: Refused, listener: &str, source: SocketAddr, detail: &str) {
        self.metrics.refused.add(reason);
        if let Some(suppressed) = self.refusals.admit(reason, Instant::now()) {
            tracing::warn!(
                reason = reason.name(),
                listener,
                source = %source,
                detail = &*shortened(detail),
                more_since_last_line = suppressed,
                "refused: {}",
                reason.sentence()
            );
        }
    }
}

/// What one field of a log line may hold, in octets. The text and the JSON form both escape what is not printable; the whole
/// request is in the records, and a packet of 200 KB must not become a line of that size.
const FIELD: usize = 1024;

/// The beginning of a text that a peer sent, for a log line. Characters that would change how others are seen are escaped; the
/// forms of the log escape control characters by themselves.
pub(crate) fn shortened(text: &str) -> Cow<'_, str> {
    // A character of UTF-8 has at most four octets.
    let start = (FIELD.saturating_sub(3)..=FIELD)
        .rev()
        .find_map(|end| text.get(..end))
        .unwrap_or(text);
    if start.is_ascii() || !start.chars().any(invisible) {
        return Cow::Borrowed(start);
    }
    let mut shown = String::with_capacity(start.len() + 16);
    for char in start.chars() {
        if invisible(char) {
            shown.extend(char.escape_unicode());
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

fn write_line<'a, A>(
    peer: &Peer,
    asked: &Asked<'a, A>,
    outcome: Outcome,
    decided: &Decided,
    more: u64,
) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                kind = asked.kind.name(),
                outcome = outcome.name(),
                reason = decided.reason.name(),
                device = &*peer.device,
                user = &*shortened(asked.person.user),
                port = &*shortened(asked.person.port),
                remote = &*shortened(asked.person.remote_address),
                request = &*shortened(&asked.request.to_string()),
                rule = decided
                    .rule
                    .as_ref()
                    .map(|rule| tracing::field::display(&rule.location)),
                rule_text = decided.rule.as_ref().map(|rule| &*rule.text),
                more_since_last_line = (more > 0).then_some(more),
                "{}",
                decided.reason.sentence()
            )
        };
    }
    match outcome {
        Outcome::Error => line!(warn),
        Outcome::Fail | Outcome::Deny => line!(info),
        Outcome::Pass | Outcome::Permit | Outcome::Recorded => line!(debug),
    }
}

/// Takes the next of `waiting` from place `from` on that `poll` finds ready, with what came of it. Whoever has taken all asks no
/// place twice.
fn ready<T, R>(
    waiting: &mut Vec<T>,
    from: &mut usize,
    cx: &mut Waker<'_>,
    mut poll: impl FnMut(&mut T, &mut Waker<'_>) -> Poll<R>,
) -> Option<(T, R)> {
    while let Some(one) = waiting.get_mut(*from) {
        match poll(one, cx) {
            Poll::Ready(result) => return Some((waiting.remove(*from), result)),
            Poll::Pending => *from += 1,
        }
    }
    None
}
