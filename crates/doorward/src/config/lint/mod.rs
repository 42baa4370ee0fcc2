//! Lints: what a file may say, and a careful operator would want to know.
//!
//! ```text
//! reading the file ─┐
//! lint::run ────────┴→ findings → [[allow]] → Loaded::diagnostics, Loaded::accepted
//! ```
//!
//! A finding never stops a file from being used. It is true of the file as it stands: where something is not certain, nothing is
//! said. The work is bounded and never compares everything with everything, since a reload waits for it.

pub(super) mod allow;
pub(super) mod certificates;
mod commands;
mod digest;
mod keys;
mod listeners;
mod profiles;
mod proof;
mod reach;
mod routes;
mod rules;
pub(super) mod secrets;
mod ways;

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

pub use allow::Accepted;
pub(crate) use certificates::moment;
pub use digest::{digest, news};

use super::device::{DeviceGroup, ReadDevice};
use super::diagnostic::Diagnostic;
use super::listen::ListenerSpans;
use super::pools::ReadPool;
use super::report::Report;
use super::roles::Roles;
use super::routes::ReadRoute;
use super::rules::ReadRule;
use super::tests::TestSpans;
use super::user::ReadUser;
use super::{AuthenticationType, Listener, PolicyTest, Surroundings};

/// Everything a warning can be about. The names are part of the file format: `[[allow]]` refers to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lint {
    /// A certificate of ours or of a CA is not valid, or ends within 30 days.
    CertificateEnds,
    /// A revocation list is not current, or not for another 7 days.
    CrlEnds,
    /// A revocation list is there and does not count.
    CrlUnusable,
    /// No certificate or connection of this device could be accepted.
    DeviceCannotConnect,
    /// A device has a way in over TLS and another one without.
    DeviceOnTlsAndPlain,
    /// No rule can match on this device.
    DeviceWithoutRule,
    /// Lines of a dictionary define nothing.
    DictionaryLines,
    /// No device fits the `match` of this group.
    EmptyDeviceGroup,
    /// Users or devices are in this group, and nothing refers to it.
    GroupWithoutRule,
    /// The secrets of TLS connections are written to a file.
    KeylogOn,
    /// A plain listener is closed, or will be within 30 days.
    ListenerEnds,
    /// An Access-Request without Message-Authenticator is judged.
    MessageAuthenticatorOff,
    /// There is no listener.
    NoListener,
    /// There is no rule.
    NoRule,
    /// A secret is older than `max_age`.
    OldSecret,
    /// Everybody may connect to a plain listener.
    OpenPlainListener,
    /// Passwords themselves may come over a plain listener.
    PasswordOverPlain,
    /// A listener without TLS is on the same host as one with TLS.
    PlainBesideTls,
    /// A plain listener is open on every address of the machine.
    PlainEverywhere,
    /// A listener without TLS can be reached over a network.
    PlainListener,
    /// A secret stands in the configuration itself.
    PlainSecret,
    /// Records leave without TLS.
    PlainSink,
    /// A plain listener has no last day.
    PlainWithoutEnd,
    /// DTLS 1.2 cannot carry the identity of the only key a device has.
    PskIdentityUnfit,
    /// What comes by RadSec leaves by RADIUS/UDP.
    RadsecToUdp,
    /// Everybody on this machine can read a secret.
    ReadableSecret,
    /// The same group is named twice for one user.
    RepeatedGroup,
    /// Revoked certificates are accepted.
    RevocationOff,
    /// A role is less over RADIUS than the file says, because the profile of a device has no word for all of it.
    RoleHeldToLeast,
    /// No device fits all the conditions of a rule.
    RuleWithoutDevice,
    /// There is a day on which a device has no secret.
    SecretGap,
    /// A route never decides, because an earlier one always does.
    ShadowedRoute,
    /// A rule or command rule never decides, because an earlier one always does.
    ShadowedRule,
    /// One secret is used by several devices.
    SharedSecret,
    /// A RADIUS listener closes idle connections within a minute.
    ShortIdleTimeout,
    /// A word of a command rule that does something else than it looks like.
    SuspectWord,
    /// A test that passes whatever the commands of the roles say.
    TestProvesNothing,
    /// A TLS profile that lets nobody in.
    TrustsNobody,
    /// Any server may answer with rights on devices.
    UnfilteredAnswer,
    /// A condition names something that is not in the file.
    UnknownName,
    /// An `[[allow]]` that hides nothing.
    UnusedAllow,
    /// No route sends anything to this pool.
    UnusedPool,
    /// No rule gives this role to anybody.
    UnusedRole,
    /// No rule can match this user.
    UserWithoutRule,
    /// A password is stored under a hash that is weak by today's measure.
    WeakHash,
    /// A secret that is short, simple or easily guessed.
    WeakSecret,
    /// One secret for more addresses than any one device has.
    WideAddress,
    /// Our own certificate has a wildcard.
    WildcardCertificate,
}

impl Lint {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 48] = [
        Self::CertificateEnds,
        Self::CrlEnds,
        Self::CrlUnusable,
        Self::DeviceCannotConnect,
        Self::DeviceOnTlsAndPlain,
        Self::DeviceWithoutRule,
        Self::DictionaryLines,
        Self::EmptyDeviceGroup,
        Self::GroupWithoutRule,
        Self::KeylogOn,
        Self::ListenerEnds,
        Self::MessageAuthenticatorOff,
        Self::NoListener,
        Self::NoRule,
        Self::OldSecret,
        Self::OpenPlainListener,
        Self::PasswordOverPlain,
        Self::PlainBesideTls,
        Self::PlainEverywhere,
        Self::PlainListener,
        Self::PlainSecret,
        Self::PlainSink,
        Self::PlainWithoutEnd,
        Self::PskIdentityUnfit,
        Self::RadsecToUdp,
        Self::ReadableSecret,
        Self::RepeatedGroup,
        Self::RevocationOff,
        Self::RoleHeldToLeast,
        Self::RuleWithoutDevice,
        Self::SecretGap,
        Self::ShadowedRoute,
        Self::ShadowedRule,
        Self::SharedSecret,
        Self::ShortIdleTimeout,
        Self::SuspectWord,
        Self::TestProvesNothing,
        Self::TrustsNobody,
        Self::UnfilteredAnswer,
        Self::UnknownName,
        Self::UnusedAllow,
        Self::UnusedPool,
        Self::UnusedRole,
        Self::UserWithoutRule,
        Self::WeakHash,
        Self::WeakSecret,
        Self::WideAddress,
        Self::WildcardCertificate,
    ];

    /// The name in messages, in `[[allow]]` and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificateEnds => "certificate-ends",
            Self::CrlEnds => "crl-ends",
            Self::CrlUnusable => "crl-unusable",
            Self::DeviceCannotConnect => "device-cannot-connect",
            Self::DeviceOnTlsAndPlain => "device-on-tls-and-plain",
            Self::DeviceWithoutRule => "device-without-rule",
            Self::DictionaryLines => "dictionary-lines",
            Self::EmptyDeviceGroup => "empty-device-group",
            Self::GroupWithoutRule => "group-without-rule",
            Self::KeylogOn => "keylog-on",
            Self::ListenerEnds => "listener-ends",
            Self::MessageAuthenticatorOff => "message-authenticator-off",
            Self::NoListener => "no-listener",
            Self::NoRule => "no-rule",
            Self::OldSecret => "old-secret",
            Self::OpenPlainListener => "open-plain-listener",
            Self::PasswordOverPlain => "password-over-plain",
            Self::PlainBesideTls => "plain-beside-tls",
            Self::PlainEverywhere => "plain-everywhere",
            Self::PlainListener => "plain-listener",
            Self::PlainSecret => "plain-secret",
            Self::PlainSink => "plain-sink",
            Self::PlainWithoutEnd => "plain-without-end",
            Self::PskIdentityUnfit => "psk-identity-unfit",
            Self::RadsecToUdp => "radsec-to-udp",
            Self::ReadableSecret => "readable-secret",
            Self::RepeatedGroup => "repeated-group",
            Self::RevocationOff => "revocation-off",
            Self::RoleHeldToLeast => "role-held-to-least",
            Self::RuleWithoutDevice => "rule-without-device",
            Self::SecretGap => "secret-gap",
            Self::ShadowedRoute => "shadowed-route",
            Self::ShadowedRule => "shadowed-rule",
            Self::SharedSecret => "shared-secret",
            Self::ShortIdleTimeout => "short-idle-timeout",
            Self::SuspectWord => "suspect-word",
            Self::TestProvesNothing => "test-proves-nothing",
            Self::TrustsNobody => "trusts-nobody",
            Self::UnfilteredAnswer => "unfiltered-answer",
            Self::UnknownName => "unknown-name",
            Self::UnusedAllow => "unused-allow",
            Self::UnusedPool => "unused-pool",
            Self::UnusedRole => "unused-role",
            Self::UserWithoutRule => "user-without-rule",
            Self::WeakHash => "weak-hash",
            Self::WeakSecret => "weak-secret",
            Self::WideAddress => "wide-address",
            Self::WildcardCertificate => "wildcard-certificate",
        }
    }

    /// The lint of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lint| lint.name() == name)
    }

    /// What it means, one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::CertificateEnds => {
                "A certificate of the server or of a CA of the devices has expired or is not valid yet, or expires within 30 days."
            }
            Self::CrlEnds => {
                "A revocation list is out of date or not in force yet, or runs out within 7 days."
            }
            Self::CrlUnusable => "A revocation list is there and does not count.",
            Self::DeviceCannotConnect => {
                "A device has neither a certificate nor an address with a secret, or its secret cannot be used."
            }
            Self::DeviceOnTlsAndPlain => {
                "A device has a way in over TLS and another one without, under one name or with addresses that overlap."
            }
            Self::DeviceWithoutRule => {
                "No rule can match on a device: every login and command there is denied."
            }
            Self::DictionaryLines => {
                "Lines of a dictionary define what no packet carries or this version does not know, and are passed over."
            }
            Self::EmptyDeviceGroup => "No device fits the `match` of a device group.",
            Self::GroupWithoutRule => {
                "Users or devices are in a group that no rule, listener or setting refers to."
            }
            Self::KeylogOn => {
                "The secrets of TLS connections are written to a file: who has it can read them."
            }
            Self::ListenerEnds => {
                "A listener's last day is past, or comes within 30 days (`until`)."
            }
            Self::MessageAuthenticatorOff => {
                "A RADIUS/UDP listener judges an Access-Request that has no Message-Authenticator."
            }
            Self::NoListener => "There is no listener: nobody is served.",
            Self::NoRule => "There is no rule: everybody is denied everything.",
            Self::OldSecret => "A shared secret is older than `max_age` of [secrets].",
            Self::OpenPlainListener => "Any address may connect to a listener without TLS.",
            Self::PasswordOverPlain => "Passwords themselves may come over a listener without TLS.",
            Self::PlainBesideTls => "Listeners with and without TLS are on one host.",
            Self::PlainEverywhere => {
                "A listener without TLS is open on every address of the machine."
            }
            Self::PlainListener => "A listener without TLS can be reached over a network.",
            Self::PlainSecret => "A secret stands in the configuration itself.",
            Self::PlainSink => {
                "Records leave by UDP or by TCP without TLS: they can be read, changed or lost on their way."
            }
            Self::PlainWithoutEnd => "A listener without TLS has no last day.",
            Self::PskIdentityUnfit => {
                "A device can only come over DTLS by its key, whose identity DTLS 1.2 cannot carry: it is longer than 256 octets or has a zero octet."
            }
            Self::RadsecToUdp => {
                "A route takes requests that come by RadSec and sends them on by RADIUS/UDP, beyond this machine."
            }
            Self::ReadableSecret => "Every user of this machine can read the file of a secret.",
            Self::RepeatedGroup => "A user is put into the same group twice.",
            Self::RevocationOff => {
                "Revoked certificates are accepted: revocation is off, or optional with no list at all."
            }
            Self::RoleHeldToLeast => {
                "A role has only the least rights over RADIUS, or lets nobody in, on devices whose profile cannot say all that holds it."
            }
            Self::RuleWithoutDevice => {
                "The conditions of a rule leave no device of the file, each of them alone does."
            }
            Self::SecretGap => "On some day from now on no secret of a device is valid.",
            Self::ShadowedRoute => {
                "A route never decides, because an earlier one takes all that it would."
            }
            Self::ShadowedRule => {
                "A rule, or a line of a role's commands, never decides, because an earlier one matches whenever it would."
            }
            Self::SharedSecret => "Several devices have the same shared secret.",
            Self::ShortIdleTimeout => {
                "A RADIUS listener closes connections that were idle for less than 60 seconds."
            }
            Self::SuspectWord => {
                "A word of a command rule is taken literally though it looks like a pattern, or can never match."
            }
            Self::TestProvesNothing => {
                "The `deny` lines of a test pass because the login is denied, whatever the commands of the roles say."
            }
            Self::TrustsNobody => {
                "A TLS profile lets no device in: it trusts no CA, or requires a revocation list that it does not have."
            }
            Self::UnfilteredAnswer => {
                "A route for every realm passes all of an answer on to devices whose profile has words for rights."
            }
            Self::UnknownName => {
                "A condition names a user, group or tag that nothing in the file has."
            }
            Self::UnusedAllow => "An [[allow]] hides nothing.",
            Self::UnusedPool => "No route sends anything to a pool.",
            Self::UnusedRole => "No rule gives a role to anybody.",
            Self::UserWithoutRule => {
                "No rule can match a user: every login and command of theirs is denied."
            }
            Self::WeakHash => {
                "A password is stored as a hash that is quickly searched (MD5-crypt)."
            }
            Self::WeakSecret => {
                "A shared secret is shorter or simpler than [secrets] wants, or easily guessed."
            }
            Self::WideAddress => {
                "A device without TLS is known by an address range larger than any network (below /8, or /16 of IPv6)."
            }
            Self::WildcardCertificate => "The server's own certificate has a wildcard.",
        }
    }
}

/// The names that `[[allow]]` may have.
pub(super) const ACCEPTABLE: [&str; Lint::ALL.len() - 1] = acceptable();

#[expect(
    clippy::indexing_slicing,
    reason = "computed by the compiler, which refuses an index out of range"
)]
const fn acceptable() -> [&'static str; Lint::ALL.len() - 1] {
    let mut names = [""; Lint::ALL.len() - 1];
    let (mut from, mut to) = (0, 0);
    while from < Lint::ALL.len() {
        if !matches!(Lint::ALL[from], Lint::UnusedAllow) {
            names[to] = Lint::ALL[from].name();
            to += 1;
        }
        from += 1;
    }
    names
}

/// How many findings of each kind a configuration has, and which, so that a later one can be compared with it.
#[derive(Debug, Default)]
pub struct Findings {
    counts: BTreeMap<Lint, usize>,
    accepted: usize,
    identities: HashSet<u64>,
}

impl Findings {
    pub(super) fn new(diagnostics: &[Diagnostic], accepted: &[Accepted]) -> Self {
        let mut findings = Self {
            accepted: accepted.iter().map(|one| one.diagnostic.count).sum(),
            ..Self::default()
        };
        for diagnostic in diagnostics {
            if let Some(lint) = diagnostic.lint {
                *findings.counts.entry(lint).or_default() += diagnostic.count;
            }
            findings.identities.insert(identity(diagnostic));
        }
        findings
    }

    /// Findings of one kind that nobody accepted; one that is about five devices counts as five.
    pub fn count(&self, lint: Lint) -> usize {
        self.counts.get(&lint).copied().unwrap_or(0)
    }

    /// [`Self::count`] of every kind, those without a finding too.
    pub fn counts(&self) -> impl Iterator<Item = (Lint, usize)> {
        Lint::ALL.into_iter().map(|lint| (lint, self.count(lint)))
    }

    /// Findings that an `[[allow]]` accepted.
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// Is this finding among them?
    pub fn knows(&self, diagnostic: &Diagnostic) -> bool {
        self.identities.contains(&identity(diagnostic))
    }
}

/// The same for a finding that only moved to another line.
fn identity(diagnostic: &Diagnostic) -> u64 {
    let mut hasher = DefaultHasher::new();
    diagnostic.lint.hash(&mut hasher);
    diagnostic.message.hash(&mut hasher);
    diagnostic.section.hash(&mut hasher);
    let line = diagnostic.excerpt.as_ref().map(|one| one.line.trim());
    line.hash(&mut hasher);
    hasher.finish()
}

/// What the lints that need the whole file look at.
pub(super) struct Whole<'a> {
    pub(super) listeners: &'a [(Listener, ListenerSpans)],
    pub(super) groups: &'a [DeviceGroup],
    pub(super) devices: &'a [ReadDevice],
    pub(super) accept: &'a [AuthenticationType],
    pub(super) users: &'a [ReadUser],
    pub(super) roles: &'a Roles<'a>,
    pub(super) rules: &'a [ReadRule],
    pub(super) pools: &'a [ReadPool],
    pub(super) routes: &'a [ReadRoute],
    pub(super) tests: &'a [(PolicyTest, TestSpans)],
}

/// Looks at a file that has no errors: in one that has, a thing that seems not to be there may only be misspelt.
pub(super) fn run(report: &mut Report, whole: &Whole<'_>, surroundings: &Surroundings) {
    let today = surroundings.today();
    for (listener, spans) in whole.listeners {
        listeners::listener(report, listener, spans, whole.devices, whole.accept, today);
    }
    listeners::beside_tls(report, whole.listeners, today);
    listeners::wide_addresses(report, whole.devices);
    keys::unfit(report, whole.listeners, whole.devices, today);
    ways::both(report, whole.listeners, whole.devices, today);
    for role in whole.roles.values() {
        commands::shadowed(report, role);
    }
    routes::unused(report, whole);
    routes::shadowed(report, whole.routes);
    routes::unprotected(report, whole);
    routes::unfiltered(report, whole, today);
    // A proxy has no users of its own.
    if whole.rules.is_empty() && whole.users.is_empty() && !whole.routes.is_empty() {
        return;
    }
    if whole.rules.is_empty() {
        report
            .remark(
                Lint::NoRule,
                "there is no [[rule]]: every login and every command is denied",
            )
            .on("rule")
            .help("add one: [[rule]] with `when = { group = \"noc\" }` and `role = \"noc\"`");
        return;
    }
    let atlas = reach::Atlas::new(whole.devices);
    let views = rules::views(&atlas, whole.rules);
    rules::shadowed(report, whole.devices, &views);
    rules::without_device(report, &atlas, &views);
    // Where there are routes, what comes from a device may be for others to judge.
    if whole.routes.is_empty() {
        reach::devices(report, whole.devices, &views);
    }
    reach::users(report, whole);
    reach::device_groups(report, whole);
    profiles::held(report, whole, &views, today);
    proof::tests(report, whole);
}
