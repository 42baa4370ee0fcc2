//! What another configuration would change: the same questions put to both, and the answers that differ.
//!
//! ```text
//! [[test]]s of both files ─┐
//! entries of the journal ──┴→ Question → judge under OLD, judge under NEW → Difference
//! ```
//!
//! Answers are those the server would give: the same users, addresses and rules, at the moment of the test or record. What the
//! journal does not hold is the certificate of the device, so that a rule with `policy_oid`, `issuer` or `fingerprint` matches
//! nothing. Memory is bounded: only distinct differences are kept, and no more than a limit of them.

mod asked;
mod judge;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::aaa::Reason;
use crate::accounting::EntryView;
use crate::config::source::Location;
use crate::config::{Config, PolicyTest};
use crate::policy::{CommandLine, Decision, Protocol, RuleReference, SHELL};

use asked::Asked;
use judge::{Judged, Question, command, login, radius_login, service};

/// One answer that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whom and what it is about.
    pub case: Case,
    /// Records and decisions with this very change.
    pub records: u64,
    /// The newest of them.
    pub last: Option<Timestamp>,
    /// A `[[test]]` of either file asks for it.
    pub tested: bool,
}

/// A question and both answers: what makes a difference distinct.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    /// The user; empty for a device as such.
    pub user: Arc<str>,
    /// The device; empty for a user as such.
    pub device: Arc<str>,
    /// What was asked.
    pub what: What,
    /// The answer of the old configuration.
    pub old: Outcome,
    /// The answer of the new configuration.
    pub new: Outcome,
}

/// What is asked, in the order in which it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Whether the device is in the file.
    Device,
    /// Whether the user is in the file.
    User,
    /// To log in, and the shell that comes of it.
    Login,
    /// To log in by RADIUS, and what the Access-Accept holds.
    RadiusLogin,
    /// A service other than the shell: `NAME`, or `NAME/PROTOCOL` as in the file.
    Service(String),
    /// A command.
    Command(String),
}

/// One answer. For [`What::Device`] and [`What::User`], permit means that the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// Permit or deny.
    pub decision: Decision,
    /// Why; `None` where the file as such is the reason.
    pub reason: Option<Reason>,
    /// The deciding line.
    pub rule: Option<Arc<RuleReference>>,
    /// What a permitted shell or service grants, as `name=value`: of a shell, a service or an Access-Accept; `None` = none is granted.
    pub grant: Option<Vec<String>>,
}

/// Distinct differences that are kept.
const LIMIT: usize = 100_000;

/// Two configurations side by side, and what was found so far.
#[derive(Debug)]
pub struct Comparison<'c> {
    old: &'c Config,
    new: &'c Config,
    now: Timestamp,
    limit: usize,
    found: HashMap<Case, Seen>,
    /// What was looked at.
    pub counts: Counts,
}

/// How much was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `[[test]]`s.
    pub tests: u64,
    /// Accounting records that ask something.
    pub records: u64,
    /// Decisions of `[audit]` that do.
    pub decisions: u64,
    /// Differences beyond the limit, each as often as it was met.
    pub left_out: u64,
}

#[derive(Debug, Default)]
struct Seen {
    records: u64,
    last: Option<Timestamp>,
    tested: bool,
}

/// Where a question comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Test,
    Journal(Timestamp),
}

impl<'c> Comparison<'c> {
    /// Compares `old` with `new`; tests without a time of their own are at `now`.
    pub fn new(old: &'c Config, new: &'c Config, now: Timestamp) -> Self {
        Self {
            old,
            new,
            now,
            limit: LIMIT,
            found: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// Compares who is in the files, and what their tests ask.
    pub fn files(&mut self) {
        self.users();
        self.devices();
        let (old, new) = (self.old, self.new);
        for test in old.tests.iter().chain(&new.tests) {
            self.test(test);
        }
    }

    fn users(&mut self) {
        let (old, new) = (self.old, self.new);
        for (one, other, gone) in [(old, new, true), (new, old, false)] {
            for user in one.users.values() {
                if !other.users.contains_key(&user.name) {
                    let place = membership("user", &user.name, &user.location);
                    self.member(What::User, &user.name, place, Reason::UserUnknown, gone);
                }
            }
        }
    }

    fn devices(&mut self) {
        let (old, new) = (self.old, self.new);
        for (one, other, gone) in [(old, new, true), (new, old, false)] {
            for device in one.devices.iter() {
                if other.devices.by_name(&device.name).is_none() {
                    let place = membership("device", &device.name, &device.location);
                    self.member(What::Device, &device.name, place, Reason::DeviceGone, gone);
                }
            }
        }
    }

    fn member(
        &mut self,
        what: What,
        name: &Arc<str>,
        place: RuleReference,
        absent: Reason,
        gone: bool,
    ) {
        let there = Outcome {
            decision: Decision::Permit,
            reason: None,
            rule: Some(Arc::new(place)),
            grant: None,
        };
        let absent = Outcome {
            decision: Decision::Deny,
            reason: Some(absent),
            rule: None,
            grant: None,
        };
        let nobody = Arc::from("");
        let (user, device) = match what {
            What::Device => (nobody, Arc::clone(name)),
            What::User | What::Login | What::RadiusLogin | What::Service(_) | What::Command(_) => {
                (Arc::clone(name), nobody)
            }
        };
        let (old, new) = if gone {
            (there, absent)
        } else {
            (absent, there)
        };
        let case = Case {
            user,
            device,
            what,
            old,
            new,
        };
        self.keep(case, None);
    }

    fn test(&mut self, test: &PolicyTest) {
        self.counts.tests += 1;
        let question = Question {
            user: &test.user,
            groups: test.groups.as_deref(),
            device: &test.device,
            remote_address: test.from,
            remote: "",
            port: "",
            now: test.at.unwrap_or(self.now),
            transport: None,
            protocol: test.protocol,
            auth: Some(test.auth),
            // As in `doorward test`: who does not say where from, may.
            from_anywhere: test.from.is_none(),
        };
        if test.protocol == Protocol::Radius {
            self.ask(&question, Origin::Test, || What::RadiusLogin, radius_login);
            return;
        }
        self.ask(&question, Origin::Test, || What::Login, login);
        for (text, _) in test.permit.iter().chain(&test.deny) {
            self.ask_command(&question, Origin::Test, text);
        }
    }

    /// Compares what an entry of the journal asks: its command, service or login, and the login that goes before a command.
    /// Entries that ask nothing (of RADIUS, without a user, without a service) are passed over.
    pub fn entry(&mut self, entry: &EntryView<'_>) {
        let asked = match entry {
            EntryView::Accounting(view) => Asked::record(view),
            EntryView::Decision(view) => Asked::decision(view),
        };
        let Some(Asked {
            question,
            service: named,
            protocol,
            command,
        }) = asked
        else {
            return;
        };
        match entry {
            EntryView::Accounting(_) => self.counts.records += 1,
            EntryView::Decision(_) => self.counts.decisions += 1,
        }
        let origin = Origin::Journal(question.now);
        if named == SHELL {
            self.ask(&question, origin, || What::Login, login);
            if !command.is_empty() {
                self.ask_command(&question, origin, command);
            }
            return;
        }
        let what = || match protocol {
            Some(protocol) => What::Service(format!("{named}/{protocol}")),
            None => What::Service(named.to_owned()),
        };
        self.ask(&question, origin, what, |config, question| {
            service(config, question, named, protocol)
        });
    }

    fn ask_command(&mut self, question: &Question<'_>, origin: Origin, text: &str) {
        let line = CommandLine::from_text(text);
        if line.words().next().is_some() {
            let what = || What::Command(line.text().to_owned());
            self.ask(question, origin, what, |config, question| {
                command(config, question, &line)
            });
        }
    }

    fn ask(
        &mut self,
        question: &Question<'_>,
        origin: Origin,
        what: impl FnOnce() -> What,
        judge: impl Fn(&'c Config, &Question<'_>) -> Judged,
    ) {
        let (old, new) = (judge(self.old, question), judge(self.new, question));
        if old.is_same(&new) {
            return;
        }
        let case = Case {
            user: question.user.into(),
            device: question.device.into(),
            what: what(),
            old: old.into_outcome(),
            new: new.into_outcome(),
        };
        self.keep(case, Some(origin));
    }

    fn keep(&mut self, case: Case, origin: Option<Origin>) {
        if self.found.len() >= self.limit && !self.found.contains_key(&case) {
            self.counts.left_out += 1;
            return;
        }
        let seen = self.found.entry(case).or_default();
        match origin {
            Some(Origin::Test) => seen.tested = true,
            Some(Origin::Journal(received)) => {
                seen.records += 1;
                seen.last = seen.last.max(Some(received));
            }
            None => {}
        }
    }

    /// The differences by user, device and what was asked.
    pub fn finish(self) -> (Vec<Difference>, Counts) {
        let mut found: Vec<Difference> = self
            .found
            .into_iter()
            .map(|(case, seen)| Difference {
                case,
                records: seen.records,
                last: seen.last,
                tested: seen.tested,
            })
            .collect();
        found.sort_by(|one, other| order(one).cmp(&order(other)));
        (found, self.counts)
    }
}

/// Users and devices as such first. The lines tell apart what differs by the time of day, or by where the user was.
fn order(one: &Difference) -> impl Ord + '_ {
    let line = |outcome: &Outcome| outcome.rule.as_ref().map(|rule| rule.location.line);
    let case = &one.case;
    let decisions = [&case.old, &case.new].map(|one| (one.decision.name(), line(one)));
    let as_such = !matches!(case.what, What::Device | What::User);
    (as_such, &case.user, &case.device, &case.what, decisions)
}

fn membership(kind: &str, name: &str, location: &Location) -> RuleReference {
    RuleReference {
        location: location.clone(),
        text: format!("[{kind}.{name}]").into(),
    }
}
